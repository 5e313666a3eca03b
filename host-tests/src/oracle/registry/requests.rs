//! The images, and what clients send for them.

use std::collections::BTreeSet;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::named::Touched;
use crate::oracle::Ask;

pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Names that hold each other, and the words of the registry's own routes.
pub(super) const NAMES: [&str; 20] = [
    "g/p",
    "g/p/img",
    "g/p/img/x",
    "g/pp",
    "g/p-p",
    "g/p.p",
    "g/p__p",
    "g/s/p",
    "h/p",
    "v2/g/p",
    "manifests/v1",
    "g/p/manifests",
    "g/p/manifests/v1",
    "g/p/blobs",
    "g/p/blobs/uploads",
    "g/p/tags",
    "g/p/tags/list",
    "g/p/referrers",
    "g/manifests/blobs",
    "g/blobs/uploads",
];

/// Every request that a client sends to every image, with what it touches there.
#[must_use]
pub fn seeds() -> Vec<(Touched, Ask)> {
    let mut seeds: Vec<(Touched, Ask)> = (0..NAMES.len()).flat_map(seeds_of).collect();
    let catalog = Touched { catalog: true, ..Touched::default() };
    seeds.push((catalog.clone(), Ask::new("GET", "/v2/_catalog")));
    seeds.push((catalog, Ask::new("GET", "/v2/_catalog?n=2&last=g/p")));
    seeds.push((Touched::default(), Ask::new("GET", "/v2/")));
    seeds
}

fn seeds_of(number: usize) -> Vec<(Touched, Ask)> {
    let name = NAMES[number];
    let at = |rest: String| format!("/v2/{name}/{rest}");
    let here = || BTreeSet::from([name.to_owned()]);
    let read = || Touched { read: here(), ..Touched::default() };
    let written = || Touched { written: here(), ..Touched::default() };
    let deleted = || Touched { deleted: here(), ..Touched::default() };
    let (blob_digest, manifest_digest) = (digest(&blob(number)), digest(&manifest(number)));
    let upload = at(format!("blobs/uploads/{}?_state={}", upload_id(number), upload_state(number)));
    let octets = |ask: Ask| ask.field("content-type", "application/octet-stream").body(blob(number));
    let mut seeds = vec![
        (read(), Ask::new("GET", at("tags/list".into()))),
        (read(), Ask::new("GET", at("tags/list?n=1&last=a".into()))),
        (written(), put(number, "v2")),
        (written(), put(number, &manifest_digest)),
        (deleted(), Ask::new("DELETE", at(format!("manifests/{manifest_digest}")))),
        // This registry deletes no tags, and knows no referrers.
        (Touched::default(), Ask::new("DELETE", at("manifests/v1".into()))),
        (Touched::default(), Ask::new("GET", at(format!("referrers/{manifest_digest}")))),
        (deleted(), Ask::new("DELETE", at(format!("blobs/{blob_digest}")))),
        (written(), Ask::new("POST", at("blobs/uploads/".into()))),
        (written(), octets(Ask::new("POST", at(format!("blobs/uploads/?digest={blob_digest}"))))),
        (written(), Ask::new("POST", at(format!("blobs/uploads/?mount={blob_digest}")))),
        (read(), Ask::new("GET", upload.as_str())),
        (read(), Ask::new("HEAD", upload.as_str())),
        (written(), octets(Ask::new("PATCH", upload.as_str()))),
        (written(), octets(Ask::new("PUT", format!("{upload}&digest={blob_digest}")))),
        (deleted(), Ask::new("DELETE", upload)),
    ];
    for method in ["GET", "HEAD"] {
        for rest in ["manifests/v1".into(), format!("manifests/{manifest_digest}"), format!("blobs/{blob_digest}")] {
            seeds.push((read(), Ask::new(method, at(rest)).field("accept", MANIFEST)));
        }
    }
    for step in [1, 7] {
        let other = (number + step) % NAMES.len();
        let mount = format!("mount={}&from={}", digest(&blob(other)), NAMES[other]);
        let mounted = Touched { read: BTreeSet::from([NAMES[other].to_owned()]), ..written() };
        seeds.push((mounted.clone(), Ask::new("POST", at(format!("blobs/uploads/?{mount}")))));
    }
    seeds
}

/// Requests that no client sends, with what they touch: a mount in a form.
#[must_use]
pub fn strange() -> Vec<Ask> {
    (0..NAMES.len())
        .map(|number| {
            let other = (number + 1) % NAMES.len();
            Ask::new("POST", format!("/v2/{}/blobs/uploads/", NAMES[number]))
                .field("content-type", "application/x-www-form-urlencoded")
                .body(format!("mount={}&from={}", digest(&blob(other)), NAMES[other]))
        })
        .collect()
}

pub(super) fn put(number: usize, reference: &str) -> Ask {
    Ask::new("PUT", format!("/v2/{}/manifests/{reference}", NAMES[number]))
        .field("content-type", MANIFEST)
        .body(manifest(number))
}

pub(super) fn upload_id(number: usize) -> String {
    format!("00000000-0000-4000-8000-0000000000{number:02}")
}

pub(super) fn upload_state(number: usize) -> String {
    format!("state-{number:02}-")
}

pub(super) fn blob(number: usize) -> String {
    format!("{{\"number\":{number}}}")
}

pub(super) fn manifest(number: usize) -> String {
    let config = json!({
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": digest(&blob(number)),
        "size": blob(number).len(),
    });
    json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []}).to_string()
}

pub(super) fn digest(content: &str) -> String {
    let hex: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
