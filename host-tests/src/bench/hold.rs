//! Requests made to take long: for how long at most one of them keeps its worker from all others.

use anyhow::Result;
use axum::body::Bytes;

use super::figure::{Figures, Measure};
use super::load::{PATIENCE, runtime};
use super::peer::Peer;
use super::stage::Services;
use super::work::{info_refs, login};
use super::{Plan, millis};
use crate::traffic::{Body, Http1, Request};

const MIB: usize = 1 << 20;
const HEAD: usize = 28 << 10;

/// How often each is sent in a round.
const TIMES: u32 = 5;

const JSON: &str = "application/json";
const RELEASES: &str = "/api/v4/projects/102/releases";

/// What the exact costs of the filter's tests have as the dearest of their kinds.
fn requests() -> [(&'static str, Request); 7] {
    let fill =
        |before: &str, one: &str, size: usize| format!("{before}{}", one.repeat((size - before.len()) / one.len()));
    let parts = "multipart/form-data; boundary=b";
    let field = "--b\r\nContent-Disposition: form-data; name=\"job_token\"\r\n\r\nx\r\n";
    [
        (
            "1 MiB of LFS batch",
            login(post(
                "/libs/common.git/info/lfs/objects/batch",
                "application/vnd.git-lfs+json",
                fill("{\"a\":", "[", MIB),
            )),
        ),
        (
            "1 MiB of JSON, with a token",
            post(RELEASES, JSON, fill("{\"job_token\":\"legacy\",\"a\":[0", ",{\"\":0}", MIB)),
        ),
        ("1 MiB of a form", post(RELEASES, "application/x-www-form-urlencoded", fill("", "token=x&", MIB))),
        ("1 MiB of parts, with a token", post(RELEASES, parts, fill(field, "--", MIB))),
        ("28 KiB of JWTs in a field", head("authorization", &format!("Bearer {}", fill("", "eyJ.", HEAD)))),
        ("28 KiB of logins in a field", head("authorization", &format!("Basic {}", fill("", "Z2xj", HEAD)))),
        ("28 KiB of a query", Request { path: fill("/x?", "%6aob_toke=x&", HEAD), ..info_refs() }),
    ]
}

fn post(path: &str, media: &str, body: String) -> Request {
    let fields = vec![("content-type", media.to_owned())];
    Request { method: "POST", path: path.into(), fields, body: Body::whole(Bytes::from(body)), ..info_refs() }
}

fn head(name: &'static str, value: &str) -> Request {
    Request { fields: vec![(name, value.to_owned())], ..info_refs() }
}

pub(super) fn measure(plan: &Plan, services: &Services, say: &dyn Fn(&str), figures: &mut Figures) -> Result<()> {
    let runtime = runtime()?;
    let envoys = services.envoys(&[Peer::None, Peer::Jobscope])?;
    for _ in 0..plan.rounds.min(5) {
        for (what, request) in requests() {
            for (peer, envoy) in &envoys {
                say(&format!("hold: {what}, {}", peer.title()));
                let before = envoy.cpu()?;
                for _ in 0..TIMES {
                    // Whatever is answered, also before all was sent.
                    runtime.block_on(async {
                        if let Ok(mut connection) = Http1::open(envoy.port()).await {
                            let _ = connection.send(&request, PATIENCE).await;
                        }
                    });
                }
                figures.add(Measure::Hold, what, *peer, millis((envoy.cpu()? - before) / TIMES));
            }
        }
    }
    Ok(())
}
