//! Git over HTTP, served by git's own CGI program.
//!
//! `git http-backend` spins for ever when a body ends before its Content-Length, so a child
//! never outlives the interest in it: it is killed when the body breaks off and when the
//! answer is dropped.

use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::StreamExt;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout};
use tokio_util::io::ReaderStream;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::caller::Caller;
use crate::forge::Forge;
use crate::received::Received;
use crate::reply;
use world::Role;

/// What git can be asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Service {
    UploadPack,
    ReceivePack,
}

impl Service {
    fn name(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }
}

/// Answers `info/refs`.
pub async fn advertise(forge: &Arc<Forge>, received: &mut Received, path: &str) -> Response {
    let asked = received.target.pairs().into_iter().find(|(name, _)| name == "service");
    let service = match asked.as_ref().map(|(_, service)| service.as_str()) {
        Some("git-upload-pack") => Service::UploadPack,
        Some("git-receive-pack") => Service::ReceivePack,
        // Neither this forge nor GitLab speaks the dumb protocol.
        Some(_) | None => return reply::text(StatusCode::NOT_FOUND, "Not Found"),
    };
    let query = format!("service={}", service.name());
    answer(forge, received, path, service, "info/refs", &query).await
}

/// Answers a call of the service itself.
pub async fn call(forge: &Arc<Forge>, received: &mut Received, path: &str, service: Service) -> Response {
    answer(forge, received, path, service, service.name(), "").await
}

async fn answer(
    forge: &Arc<Forge>,
    received: &mut Received,
    path: &str,
    service: Service,
    verb: &str,
    query: &str,
) -> Response {
    let (folder, caller) = match admit(forge, received, path, service) {
        Ok(admitted) => admitted,
        Err(refusal) => return refusal,
    };
    let info = format!("/{folder}.git/{verb}");
    match backend(forge, received, &info, query, caller.login(forge)).await {
        Ok(response) => response,
        Err(error) => reply::broken(&error),
    }
}

/// The project's own spelling of its path, and who asks, if they may.
fn admit(forge: &Forge, received: &Received, path: &str, service: Service) -> Result<(String, Caller), Response> {
    let caller = received.caller_by_headers(forge).map_err(|_| reply::git_denied())?;
    let world = forge.world();
    let project = world.project_at(path);
    let project = project.filter(|project| caller.may_read(&world, project)).ok_or_else(|| {
        // Whoever has not said who they are is asked, whether or not there is a project.
        match caller {
            Caller::Anonymous => reply::git_denied(),
            Caller::Person(_) | Caller::Job(_) => reply::text(StatusCode::NOT_FOUND, reply::NO_PROJECT),
        }
    })?;
    if service == Service::ReceivePack {
        let refused = match caller {
            Caller::Anonymous => Some(reply::git_denied()),
            _ if project.archived => {
                Some(reply::text(StatusCode::FORBIDDEN, "You can't push code to an archived project."))
            }
            _ if !caller.has(&world, project, Role::Developer) => {
                Some(reply::text(StatusCode::FORBIDDEN, "You are not allowed to push code to this project."))
            }
            _ => None,
        };
        if let Some(refusal) = refused {
            return Err(refusal);
        }
    }
    Ok((project.path.clone(), caller))
}

async fn backend(
    forge: &Forge,
    received: &mut Received,
    info: &str,
    query: &str,
    login: Option<String>,
) -> Result<Response> {
    let mut command = forge.git.http_backend();
    command
        .env("GIT_PROJECT_ROOT", forge.settings.state.join("repositories"))
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", received.parts.method.as_str())
        .env("PATH_INFO", info)
        .env("QUERY_STRING", query)
        .env("REMOTE_ADDR", "127.0.0.1");
    let passed = [
        ("CONTENT_TYPE", header::CONTENT_TYPE.as_str()),
        // Without a length the backend reads to the end: chunked bodies have none.
        ("CONTENT_LENGTH", header::CONTENT_LENGTH.as_str()),
        ("HTTP_CONTENT_ENCODING", header::CONTENT_ENCODING.as_str()),
        ("GIT_PROTOCOL", "git-protocol"),
    ];
    for (variable, name) in passed {
        if let Some(value) = received.header(name) {
            command.env(variable, value);
        }
    }
    if let Some(login) = login {
        command.env("REMOTE_USER", login);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut child = command.spawn().context("cannot start git's HTTP backend")?;
    let stdin = child.stdin.take().context("git's HTTP backend has no standard input")?;
    let stdout = child.stdout.take().context("git's HTTP backend has no standard output")?;

    let stop = CancellationToken::new();
    // From here on the child dies with this function's caller.
    let guard = stop.clone().drop_guard();
    tokio::spawn({
        let stop = stop.clone();
        async move {
            tokio::select! {
                _ = child.wait() => {}
                () = stop.cancelled() => {
                    // It may have ended by itself in between.
                    let _ = child.kill().await;
                }
            }
        }
    });
    tokio::spawn(feed(received.take_body(), stdin, stop));
    respond(stdout, guard).await
}

/// Copies the request's body to the child, and stops the child when the body breaks off.
async fn feed(body: Body, mut stdin: ChildStdin, stop: CancellationToken) {
    let mut body = body.into_data_stream();
    let mut listening = true;
    loop {
        let next = tokio::select! {
            next = body.next() => next,
            () = stop.cancelled() => return,
        };
        match next {
            Some(Ok(bytes)) => {
                // A child that has read enough closes its end. The rest of the body is
                // still taken, or the client could not read the answer.
                if listening && stdin.write_all(&bytes).await.is_err() {
                    listening = false;
                }
            }
            Some(Err(_)) => {
                stop.cancel();
                return;
            }
            None => return,
        }
    }
}

/// The CGI program's head, and its body as a stream.
async fn respond(stdout: ChildStdout, guard: DropGuard) -> Result<Response> {
    let mut stdout = BufReader::new(stdout);
    let mut response = Response::new(Body::empty());
    loop {
        let mut line = Vec::new();
        if stdout.read_until(b'\n', &mut line).await? == 0 {
            bail!("git's HTTP backend ended before its answer began");
        }
        let line = line.trim_ascii();
        if line.is_empty() {
            break;
        }
        let colon = line.iter().position(|byte| *byte == b':').context("git's answer has a bad head")?;
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"status") {
            let code = value.get(..3).context("git's answer has a bad status")?;
            *response.status_mut() = StatusCode::from_bytes(code)?;
        } else {
            let name = HeaderName::from_bytes(name)?;
            response.headers_mut().append(name, HeaderValue::from_bytes(value)?);
        }
    }
    let whole = futures_util::stream::unfold(Some((ReaderStream::new(stdout), guard)), |open| async move {
        let (mut stream, guard) = open?;
        match stream.next().await {
            Some(chunk) => Some((chunk, Some((stream, guard)))),
            None => {
                // All was read: the child may end by itself.
                guard.disarm();
                None
            }
        }
    });
    *response.body_mut() = Body::from_stream(whole);
    Ok(response)
}
