//! Git LFS: the batch call, locks that are never held, and the objects themselves.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use tokio_util::io::ReaderStream;

use crate::caller::Caller;
use crate::forge::Forge;
use crate::received::Received;
use crate::reply;
use crate::repositories::{hexadecimal, lfs_object};
use world::{Project, Role};

#[derive(Deserialize)]
struct Batch {
    operation: String,
    #[serde(default)]
    objects: Vec<Wanted>,
}

#[derive(Deserialize)]
struct Wanted {
    oid: String,
    size: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Right {
    Download,
    Upload,
}

/// What is below `info/lfs`.
pub async fn meta(forge: &Forge, received: &mut Received, path: &str, rest: &[&str]) -> Response {
    let method = received.parts.method.clone();
    match (&method, rest) {
        (&Method::POST, ["objects", "batch"]) => batch(forge, received, path).await.unwrap_or_else(|refusal| refusal),
        (&Method::GET, ["locks"]) => locks(forge, received, path, Right::Download, json!({ "locks": [] })),
        (&Method::POST, ["locks", "verify"]) => {
            let none = json!({ "ours": [], "theirs": [] });
            locks(forge, received, path, Right::Upload, none)
        }
        (&Method::POST, ["locks"]) => {
            let lock = json!({ "lock": { "id": "1", "path": "", "locked_at": "2024-01-01T00:00:00Z" } });
            locks(forge, received, path, Right::Upload, lock)
        }
        (_, ["objects", ..]) => reply::lfs_error(StatusCode::NOT_IMPLEMENTED, "Server supports batch API only"),
        _ => reply::lfs_error(StatusCode::NOT_FOUND, "Not found."),
    }
}

/// One object: `OID` to read it, `OID/SIZE` to write it.
pub async fn object(forge: &Forge, received: &mut Received, path: &str, rest: &[&str]) -> Response {
    let method = received.parts.method.clone();
    let answer = match (&method, rest) {
        (&Method::GET, [oid]) if is_oid(oid) => download(forge, received, path, oid).await,
        (&Method::PUT, [oid, size]) if is_oid(oid) => match size.parse() {
            Ok(size) => upload(forge, received, path, oid, size).await,
            Err(_) => Err(reply::lfs_error(StatusCode::NOT_FOUND, "Not found.")),
        },
        _ => Err(reply::lfs_error(StatusCode::NOT_FOUND, "Not found.")),
    };
    answer.unwrap_or_else(|refusal| refusal)
}

fn is_oid(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn admit(forge: &Forge, received: &Received, path: &str, right: Right) -> Result<Arc<Project>, Response> {
    Ok(admitted(forge, received, path, right)?.0)
}

fn admitted(forge: &Forge, received: &Received, path: &str, right: Right) -> Result<(Arc<Project>, Caller), Response> {
    let caller = received.caller_by_headers(forge).map_err(|_| reply::lfs_denied())?;
    let world = forge.world();
    let project = world.project_at(path).filter(|project| caller.may_read(&world, project));
    let refused = match (&caller, project) {
        (Caller::Anonymous, None) => reply::lfs_denied(),
        (Caller::Anonymous, Some(_)) if right == Right::Upload => reply::lfs_denied(),
        (_, None) => reply::lfs_error(StatusCode::NOT_FOUND, "Not found."),
        (_, Some(project)) => {
            if right == Right::Download || caller.has(&world, project, Role::Developer) {
                return Ok((project.clone(), caller));
            }
            reply::lfs_error(StatusCode::FORBIDDEN, "Access forbidden. Check your access level.")
        }
    };
    Err(refused)
}

fn locks(forge: &Forge, received: &Received, path: &str, right: Right, answer: Value) -> Response {
    match admit(forge, received, path, right) {
        Ok(_) => reply::lfs(StatusCode::OK, &answer),
        Err(refusal) => refusal,
    }
}

async fn batch(forge: &Forge, received: &mut Received, path: &str) -> Result<Response, Response> {
    let body = received.bytes().await?;
    let batch: Batch = serde_json::from_slice(&body)
        .map_err(|_| reply::lfs_error(StatusCode::UNPROCESSABLE_ENTITY, "expected a batch request"))?;
    let right = match batch.operation.as_str() {
        "download" => Right::Download,
        "upload" => Right::Upload,
        _ => return Err(reply::lfs_error(StatusCode::NOT_FOUND, "Not found.")),
    };
    let (project, caller) = admitted(forge, received, path, right)?;
    let sent = received.header(header::AUTHORIZATION.as_str()).map(str::to_owned);
    let authorization = handed_out(forge, &caller).or(sent);
    let objects = batch.objects.iter().map(|wanted| answer(forge, &project, wanted, right, authorization.as_deref()));
    let answer = json!({ "transfer": "basic", "objects": objects.collect::<Vec<_>>() });
    if forge.fault().cut_batch {
        let mut text = answer.to_string();
        text.truncate(text.len() / 2);
        return Ok(reply::bytes(text, reply::LFS));
    }
    Ok(reply::lfs(StatusCode::OK, &answer))
}

/// What a job is handed out in place of its token: a credential of its user, who may do more. A
/// job without a user, and a person, get their own back.
fn handed_out(forge: &Forge, caller: &Caller) -> Option<String> {
    let Caller::Job(job) = caller else { return None };
    let user = forge.user(job.user?)?;
    let claims = json!({ "data": { "actor": user.username } });
    let password = forge.signer.sign(claims, SystemTime::now()).ok()?;
    let login = STANDARD.encode(format!("{}:{password}", user.username));
    forge.lfs_credentials().insert(password, user.id);
    Some(format!("Basic {login}"))
}

/// What a client is to do about one object.
fn answer(forge: &Forge, project: &Project, wanted: &Wanted, right: Right, authorization: Option<&str>) -> Value {
    let Wanted { oid, size } = wanted;
    let mut answer = json!({ "oid": oid, "size": size });
    if !is_oid(oid) {
        answer["error"] = json!({ "code": 422, "message": "expected a SHA-256 in lower case" });
        return answer;
    }
    let exists = lfs_object(&forge.settings.state, project.id, oid).is_file();
    let href = forge.url(&format!("{}.git/gitlab-lfs/objects/{oid}", project.path));
    let (verb, href) = match (right, exists) {
        (Right::Download, true) => ("download", href),
        (Right::Upload, false) => ("upload", format!("{href}/{size}")),
        (Right::Download, false) => {
            answer["error"] = json!({ "code": 404, "message": "Object does not exist on the server" });
            return answer;
        }
        // Nothing to do.
        (Right::Upload, true) => return answer,
    };
    let mut action = json!({ "href": href });
    // git-lfs asks again without end when it is told it is authenticated and has no header.
    if let Some(authorization) = authorization {
        action["header"] = json!({ "Authorization": authorization });
        answer["authenticated"] = json!(true);
    }
    answer["actions"] = json!({ verb: action });
    answer
}

async fn download(forge: &Forge, received: &Received, path: &str, oid: &str) -> Result<Response, Response> {
    let project = admit(forge, received, path, Right::Download)?;
    let file = tokio::fs::File::open(lfs_object(&forge.settings.state, project.id, oid)).await;
    let file = file.map_err(|_| reply::lfs_error(StatusCode::NOT_FOUND, "Not found."))?;
    Ok(reply::bytes(Body::from_stream(ReaderStream::new(file)), "application/octet-stream"))
}

async fn upload(
    forge: &Forge,
    received: &mut Received,
    path: &str,
    oid: &str,
    size: u64,
) -> Result<Response, Response> {
    let project = admit(forge, received, path, Right::Upload)?;
    let object = lfs_object(&forge.settings.state, project.id, oid);
    let partial = object.with_extension("partial");
    let found = store(received.take_body(), &partial).await;
    let kept = match found {
        Ok((hash, length)) if hash == oid && length == size => tokio::fs::rename(&partial, &object).await.is_ok(),
        Ok(_) | Err(_) => false,
    };
    if kept {
        return Ok(reply::text(StatusCode::OK, ""));
    }
    // Whatever arrived is not the object.
    let _ = tokio::fs::remove_file(&partial).await;
    Err(reply::lfs_error(StatusCode::UNPROCESSABLE_ENTITY, "expected the bytes the object is named after"))
}

/// Writes a body to a file; gives its SHA-256 and its length.
async fn store(body: Body, file: &Path) -> anyhow::Result<(String, u64)> {
    if let Some(parent) = file.parent() {
        tokio::fs::create_dir_all(parent).await?;
    }
    let mut out = tokio::fs::File::create(file).await?;
    let (mut hash, mut length) = (Sha256::new(), 0u64);
    let mut body = body.into_data_stream();
    while let Some(bytes) = body.next().await {
        let bytes = bytes?;
        hash.update(&bytes);
        length = length.saturating_add(u64::try_from(bytes.len())?);
        out.write_all(&bytes).await?;
    }
    out.flush().await?;
    Ok((hexadecimal(&hash.finalize()), length))
}
