//! A project's Debian repository: the index that apt reads first, the one that it names, and packages. Unsigned.

use axum::http::StatusCode;
use axum::response::Response;
use sha2::{Digest, Sha256};
use world::{Package, Project};

use crate::archive;
use crate::reply;
use crate::repositories::hexadecimal;

const INDEX: &str = "main/binary-amd64/Packages";

/// `GET /projects/:id/packages/debian/dists/:distribution/*` and `…/pool/:distribution/:project/:letter/:name/:version/:file`.
pub fn serve(project: &Project, rest: &[&str]) -> Result<Response, Response> {
    let text = |text: String| Ok(reply::text(StatusCode::OK, &text));
    match rest {
        ["dists", suite, "Release"] => text(release(suite, &index(project))),
        ["dists", _, path @ ..] if path.join("/") == INDEX => text(index(project)),
        ["pool", _, _, _, name, version, _] => {
            let package = packages(project).find(|package| package.name == *name && package.version == *version);
            let content = content(package.ok_or_else(reply::not_found)?);
            Ok(reply::bytes(content, "application/vnd.debian.binary-package"))
        }
        _ => Err(reply::not_found()),
    }
}

fn packages(project: &Project) -> impl Iterator<Item = &Package> {
    project.published.iter().filter(|package| package.kind == "debian")
}

fn release(suite: &str, index: &str) -> String {
    let digest = hexadecimal(&Sha256::digest(index));
    let head = format!("Suite: {suite}\nDate: Thu, 01 Jan 2026 00:00:00 UTC\nArchitectures: amd64\nComponents: main\n");
    format!("{head}SHA256:\n {digest} {} {INDEX}\n", index.len())
}

fn index(project: &Project) -> String {
    let entry = |package: &Package| {
        let (name, version, content) = (&package.name, &package.version, content(package));
        let digest = hexadecimal(&Sha256::digest(&content));
        let letter: String = name.chars().take(1).collect();
        let file = format!("pool/stable/{}/{letter}/{name}/{version}/{name}_{version}_all.deb", project.id);
        format!(
            "Package: {name}\nVersion: {version}\nArchitecture: all\nFilename: {file}\nSize: {}\nSHA256: {digest}\n\n",
            content.len()
        )
    };
    packages(project).map(entry).collect()
}

/// No real `.deb`, but apt compares sums and leaves the rest to dpkg.
fn content(package: &Package) -> Vec<u8> {
    archive::tar_gz(&package.files)
}
