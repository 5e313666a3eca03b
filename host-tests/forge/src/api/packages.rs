//! Generic packages, kept as files.

use std::collections::BTreeSet;
use std::path::PathBuf;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio_util::io::ReaderStream;

use super::{inside, readable, writable};
use crate::forge::Forge;
use crate::params::Params;
use crate::received::Received;
use crate::reply;

/// `GET /projects/:id/packages`: every name and version there is.
pub fn list(forge: &Forge, received: &Received, id: &str) -> Result<Response, Response> {
    let (project, _) = readable(forge, received, id)?;
    let folder = folder(forge, project.id);
    let mut found = BTreeSet::new();
    for name in entries(folder.clone()) {
        for version in entries(folder.join(&name)) {
            found.insert((name.clone(), version));
        }
    }
    let packages = found.into_iter().zip(1u64..).map(|((name, version), id)| {
        json!({
            "id": id,
            "name": name,
            "version": version,
            "package_type": "generic",
            "status": "default",
            "created_at": "2024-01-01T00:00:00.000Z",
        })
    });
    Ok(reply::json(StatusCode::OK, &Value::Array(packages.collect())))
}

/// `GET …/packages/generic/:name/:version/*file`.
pub async fn download(forge: &Forge, received: &Received, id: &str, file: &[&str]) -> Result<Response, Response> {
    let (project, _) = readable(forge, received, id)?;
    let path = folder(forge, project.id).join(package_file(file)?);
    let not_found = || reply::message(StatusCode::NOT_FOUND, "404 Package Not Found");
    if !path.is_file() {
        return Err(not_found());
    }
    let file = tokio::fs::File::open(path).await.map_err(|_| not_found())?;
    Ok(reply::bytes(Body::from_stream(ReaderStream::new(file)), "application/octet-stream"))
}

/// `PUT …/packages/generic/:name/:version/*file`. The body is the file, whatever its type says.
pub async fn upload(forge: &Forge, received: &mut Received, id: &str, file: &[&str]) -> Result<Response, Response> {
    let params = Params::of_query(received.target.pairs());
    let (project, _) = writable(forge, received, &params, id)?;
    let path = folder(forge, project.id).join(package_file(file)?);
    match store(received.take_body(), path).await {
        Ok(()) => Ok(reply::message(StatusCode::CREATED, "201 Created")),
        Err(error) => Err(reply::broken(&error)),
    }
}

/// `name/version/file`, with three parts at least.
fn package_file(segments: &[&str]) -> Result<String, Response> {
    if segments.len() < 3 {
        return Err(reply::not_found());
    }
    inside(segments)
}

fn folder(forge: &Forge, project: u64) -> PathBuf {
    forge.settings.state.join("packages").join(project.to_string())
}

fn entries(folder: PathBuf) -> Vec<String> {
    let found = std::fs::read_dir(folder).into_iter().flatten().flatten();
    found.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

async fn store(body: Body, path: PathBuf) -> anyhow::Result<()> {
    if let Some(parent) = path.parent() {
        tokio::fs::create_dir_all(parent).await?;
    }
    let mut out = tokio::fs::File::create(path).await?;
    let mut body = body.into_data_stream();
    while let Some(bytes) = body.next().await {
        out.write_all(&bytes?).await?;
    }
    Ok(out.flush().await?)
}
