//! The registry of Terraform's modules, where a group is the namespace.

use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use world::Package;

use super::groups::packages;
use super::{known, lookup::Answer};
use crate::archive;
use crate::caller::Caller;
use crate::forge::Forge;
use crate::received::Received;
use crate::reply;

/// Where Terraform finds the registry of a host.
pub const DISCOVERY: [&str; 2] = [".well-known", "terraform.json"];

const MODULES: &str = "/api/v4/packages/terraform/modules/v1/";

/// `GET /.well-known/terraform.json`, everybody's.
pub fn discovery() -> Response {
    reply::json(StatusCode::OK, &json!({ "modules.v1": MODULES }))
}

/// `GET /packages/terraform/modules/v1/:namespace/:name/:system/*`.
pub fn serve(forge: &Forge, received: &Received, rest: &[&str]) -> Answer {
    let [group, name, system, rest @ ..] = rest else { return Err(reply::not_found()) };
    let name = format!("{name}/{system}");
    let found = packages(forge, received, group, |it| it.kind == "terraform_module" && it.name == name)?;
    let of = |version: &str| {
        let package = found.iter().map(|(_, package)| package).find(|package| package.version == version);
        package.ok_or_else(reply::not_found)
    };
    match rest {
        ["versions"] => Ok(versions(&name, found.iter().map(|(_, package)| package))),
        [version, "download"] => {
            let file = format!("{MODULES}{group}/{name}/{}/file", of(version)?.version);
            download(&file, &known(forge, received)?)
        }
        [version, "file"] => Ok(reply::bytes(archive::tar_gz(&of(version)?.files), "application/octet-stream")),
        _ => Err(reply::not_found()),
    }
}

fn versions<'a>(name: &str, found: impl Iterator<Item = &'a Package>) -> Response {
    let versions: Vec<Value> = found.map(|package| json!({ "version": package.version })).collect();
    reply::json(StatusCode::OK, &json!({ "modules": [{ "versions": versions, "source": name }] }))
}

/// Where a module is. Terraform shows its token to no such address, so that the address has it, in a JWT.
fn download(file: &str, caller: &Caller) -> Answer {
    let token = match caller {
        Caller::Job(job) => {
            let part = |claims: Value| URL_SAFE_NO_PAD.encode(claims.to_string());
            let (header, claims) = (part(json!({ "alg": "HS256" })), part(json!({ "token": job.token })));
            format!("token={header}.{claims}.unsigned&")
        }
        Caller::Anonymous | Caller::Person(_) => String::new(),
    };
    let place = HeaderName::from_static("x-terraform-get");
    Ok((StatusCode::NO_CONTENT, [(place, format!("{file}?{token}archive=tgz"))]).into_response())
}
