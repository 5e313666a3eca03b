//! The cheapest upstream: what it is sent it throws away, and says what a forge would. It is the `ext_authz` service over HTTP
//! too, which lets everything pass.

use std::io;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How large a body is that is measured in its own right.
pub(super) const GIB: usize = 1 << 30;

/// The name in the path of a download that is so large.
pub(super) const LARGE: &str = "/1GiB";

/// The field of a request that wants a JWT of its own.
pub(super) const NUMBER: &str = "x-number";

const PIECE: usize = 64 << 10;

/// The JWT of a job for the registry, one for each number, of the size that GitLab's have.
pub(super) fn registry_jwt(number: u64) -> String {
    let access = r#"[{"type":"repository","name":"libs/common/app","actions":["pull"],"meta":{"project_path":"libs/common","project_id":102,"root_namespace_id":7}}]"#;
    let user = "user".repeat(40);
    jwt(&format!(
        r#"{{"access":{access},"jti":"{number:036}","aud":"container_registry","sub":"dana","auth_type":"build","user":"{user}"}}"#
    ))
}

fn jwt(claims: &str) -> String {
    let header = format!(r#"{{"typ":"JWT","alg":"RS256","kid":"{}"}}"#, "ABCD:".repeat(12));
    let signature: Vec<u8> = (0..=u8::MAX).map(|at| at.wrapping_mul(at).wrapping_mul(73) ^ at).collect();
    [header.into_bytes(), claims.into(), signature].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
}

pub(super) async fn serve(mut stream: TcpStream) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(PIECE);
    loop {
        let end = loop {
            match bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                Some(at) => break at + 4,
                None if stream.read_buf(&mut bytes).await? == 0 => return Ok(()),
                None => {}
            }
        };
        let head = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).to_lowercase();
        bytes.drain(..end);
        match field(&head, "content-length").and_then(|length| length.parse().ok()) {
            Some(length) => skip(&mut stream, &mut bytes, length).await?,
            None if field(&head, "transfer-encoding").is_some() => skip_chunks(&mut stream, &mut bytes).await?,
            None => {}
        }
        answer(&mut stream, &head).await?;
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

async fn skip(stream: &mut TcpStream, bytes: &mut Vec<u8>, mut length: usize) -> io::Result<()> {
    while length > bytes.len() {
        length -= bytes.len();
        bytes.clear();
        if stream.read_buf(bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    bytes.drain(..length);
    Ok(())
}

async fn skip_chunks(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<()> {
    const LAST: &[u8] = b"0\r\n\r\n";
    while !bytes.ends_with(LAST) {
        // The last bytes may be the beginning of the end.
        bytes.drain(..bytes.len().saturating_sub(LAST.len()));
        if stream.read_buf(bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    bytes.clear();
    Ok(())
}

async fn answer(stream: &mut TcpStream, head: &str) -> io::Result<()> {
    let path = head.split(' ').nth(1).unwrap_or_default();
    if path.contains(&LARGE.to_lowercase()) {
        stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {GIB}\r\n\r\n").as_bytes()).await?;
        let piece = vec![0; PIECE];
        for _ in 0..GIB / PIECE {
            stream.write_all(&piece).await?;
        }
        return Ok(());
    }
    let (media, body) = match path {
        path if path.starts_with("/jwt/auth") => {
            let number = field(head, NUMBER).and_then(|number| number.parse().ok()).unwrap_or(0);
            ("application/json", format!(r#"{{"token":"{}","expires_in":3600}}"#, registry_jwt(number)))
        }
        path if path.ends_with("/objects/batch") => ("application/vnd.git-lfs+json", located()),
        _ => ("text/plain", "ok".to_owned()),
    };
    let length = body.len();
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-type: {media}\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(answer.as_bytes()).await
}

/// What a forge answers to a batch of one object.
fn located() -> String {
    let object = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393";
    let href = format!("http://127.0.0.1/libs/common.git/gitlab-lfs/objects/{object}");
    let login = STANDARD.encode(format!("dana:{}", jwt(r#"{"data":{"actor":"dana"}}"#)));
    let download = json!({"href": href, "header": {"Authorization": format!("Basic {login}")}});
    let found = json!({"oid": object, "size": 3, "authenticated": true, "actions": {"download": download}});
    json!({"transfer": "basic", "objects": [found]}).to_string()
}
