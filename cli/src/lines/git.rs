//! `git` and `git lfs` over HTTP.

use super::url::{Url, basic};
use super::{LineError, Setting};
use crate::request::Request;

const KNOWN: &str =
    "`git clone`, `fetch`, `pull`, `ls-remote`, `push`, or `git lfs fetch`, `pull`, `push`, with an address";

/// What is asked of a repository.
enum Asked {
    /// A service of Git, and whether more is asked than the references.
    Service { name: &'static str, is_whole: bool },
    /// An operation of LFS.
    Lfs(&'static str),
}

pub(super) fn requests(words: &[String], setting: &Setting<'_>) -> Result<Vec<Request>, LineError> {
    let commands = words.iter().map(String::as_str).filter(|word| !word.starts_with('-'));
    let asked = commands.clone().find_map(|word| match word {
        "clone" | "fetch" | "pull" => Some(Asked::Service { name: "git-upload-pack", is_whole: true }),
        "ls-remote" => Some(Asked::Service { name: "git-upload-pack", is_whole: false }),
        "push" => Some(Asked::Service { name: "git-receive-pack", is_whole: true }),
        _ => None,
    });
    let is_lfs = commands.clone().next() == Some("lfs");
    let asked = match asked {
        Some(Asked::Service { name, .. }) if is_lfs => {
            Asked::Lfs(if name == "git-receive-pack" { "upload" } else { "download" })
        }
        Some(asked) => asked,
        None => {
            let found = words.first().cloned().unwrap_or_default();
            return Err(LineError::Command { expected: KNOWN, found: format!("git {found}").trim_end().to_owned() });
        }
    };
    // `-c url.https://...insteadOf=` and the like are values of options, and no word of their own.
    let address = words.iter().find(|word| Url::is_one(word));
    // One of SSH, or a path, is told as it stands.
    let other = || words.iter().skip(1).find(|word| !word.starts_with('-') && word.contains([':', '/']));
    let url = Url::parse(address.or_else(other).map_or("no address", String::as_str))?;
    // What a runner writes into the configuration of Git for the job.
    let login = url.login.clone().unwrap_or_else(|| format!("gitlab-ci-token:{}", setting.token));
    let repository = url.path();
    let request = |method: &str, path: &str| {
        let request = Request::new(method, &url.authority, &format!("{repository}{path}"));
        request.with("authorization", &basic(&login)).with("user-agent", "git/2.47.3").with("accept", "*/*")
    };
    Ok(match asked {
        Asked::Service { name, is_whole } => {
            let references = request("GET", &format!("/info/refs?service={name}")).with("git-protocol", "version=2");
            let media = |what: &str| format!("application/x-{name}-{what}");
            let pack = request("POST", &format!("/{name}")).with("content-type", &media("request")).with_body(b"0000");
            if is_whole { vec![references, pack] } else { vec![references] }
        }
        Asked::Lfs(operation) => {
            // Git LFS puts `.git` behind an address that has none.
            let suffix = if repository.ends_with(".git") { "" } else { ".git" };
            let body = serde_json::json!({"operation": operation, "transfers": ["basic"], "objects": [
                {"oid": "0".repeat(64), "size": 1}
            ]});
            let media = "application/vnd.git-lfs+json";
            let batch = request("POST", &format!("{suffix}/info/lfs/objects/batch"));
            let batch = Request { headers: Vec::new(), ..batch }.with("authorization", &basic(&login));
            vec![batch.with("accept", media).with("content-type", media).with_body(body.to_string().as_bytes())]
        }
    })
}
