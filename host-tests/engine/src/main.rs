//! An `ext_authz` service over HTTP that decides each request by a policy in Rego over facts that it has at hand. It says on
//! its first line where it listens.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use anyhow::Result;
use regorus::{Engine, Value};

const POLICY: &str = include_str!("policy.rego");

/// What a service of a team would have loaded: who the jobs are, and whom each project lets in.
const FACTS: &str = r#"{
    "jobs": {"glcbt-64_running000000000001": {"project": "apps/web", "user": "dana"}},
    "projects": {"libs%2Fcommon": {"path": "libs/common", "allowlist": ["apps/api", "apps/web", "infra/deploy"]}}
}"#;

fn main() -> Result<()> {
    let mut engine = Engine::new();
    engine.add_policy("policy.rego".to_owned(), POLICY.to_owned())?;
    engine.add_data(Value::from_json_str(FACTS)?)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?.port());
    for stream in listener.incoming() {
        let (stream, engine) = (stream?, engine.clone());
        thread::spawn(move || serve(stream, engine));
    }
    Ok(())
}

/// Answers one question after another, each the head of the request that it is about.
fn serve(stream: TcpStream, mut engine: Engine) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut connection = BufReader::new(stream);
    let mut line = String::new();
    while connection.read_line(&mut line)? > 0 {
        let mut first = line.split(' ');
        let (method, path) = (first.next().unwrap_or_default().to_owned(), first.next().unwrap_or_default().to_owned());
        let mut token = String::new();
        loop {
            line.clear();
            connection.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            if name.eq_ignore_ascii_case("job-token") {
                value.trim().clone_into(&mut token);
            }
        }
        line.clear();
        let input = [("method", method), ("path", path), ("token", token)];
        let input = input.map(|(name, value)| (Value::from(name), Value::from(value)));
        engine.set_input(Value::from(BTreeMap::from(input)));
        let allowed = engine.eval_rule("data.ingress.allow".to_owned())? == Value::from(true);
        let status = if allowed { "200 OK" } else { "403 Forbidden" };
        connection.get_mut().write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes())?;
    }
    Ok(())
}
