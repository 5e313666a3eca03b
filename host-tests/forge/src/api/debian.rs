//! A project's Debian repository: the index that apt reads first, the one that it names, and packages. Unsigned.

use axum::http::StatusCode;
use axum::response::Response;
use sha2::{Digest, Sha256};
use world::{Package, Project};

use crate::archive;
use crate::repositories::hexadecimal;
use crate::reply;

const INDEX: &str = "main/binary-amd64/Packages";

/// `GET /projects/:id/packages/debian/dists/:distribution/*` and `…/pool/:distribution/:project/:letter/:name/:version/:file`.
pub fn serve(project: &Project, rest: &[&str]) -> Result<Response, Response> {
    let packages = || project.published.iter().filter(|package| package.kind == "debian");
    match rest {
        ["dists", suite, "Release"] => {
            Ok(reply::text(StatusCode::OK, &release(suite, &index(project.id, packages()))))
        }
        ["dists", _, path @ ..] if path.join("/") == INDEX => {
            Ok(reply::text(StatusCode::OK, &index(project.id, packages())))
        }
        ["pool", _, _, _, name, version, _] => {
            let package = packages().find(|package| package.name == *name && package.version == *version);
            let content = content(package.ok_or_else(reply::not_found)?);
            Ok(reply::bytes(content, "application/vnd.debian.binary-package"))
        }
        _ => Err(reply::not_found()),
    }
}

fn release(suite: &str, index: &str) -> String {
    let digest = hexadecimal(&Sha256::digest(index));
    let head = format!("Suite: {suite}\nDate: Thu, 01 Jan 2026 00:00:00 UTC\nArchitectures: amd64\nComponents: main\n");
    format!("{head}SHA256:\n {digest} {} {INDEX}\n", index.len())
}

fn index<'a>(project: u64, packages: impl Iterator<Item = &'a Package>) -> String {
    let entry = |package: &Package| {
        let (name, version, content) = (&package.name, &package.version, content(package));
        let digest = hexadecimal(&Sha256::digest(&content));
        let letter: String = name.chars().take(1).collect();
        let file = format!("pool/stable/{project}/{letter}/{name}/{version}/{name}_{version}_all.deb");
        format!(
            "Package: {name}\nVersion: {version}\nArchitecture: all\nFilename: {file}\nSize: {}\nSHA256: {digest}\n\n",
            content.len()
        )
    };
    packages.map(entry).collect()
}

/// No real `.deb`, but apt compares sums and leaves the rest to dpkg.
fn content(package: &Package) -> Vec<u8> {
    archive::tar_gz(&package.files)
}
