//! What somebody pastes to ask about: a client's command, a line of `.gitlab-ci.yml` with one in it, a line of the access log.

use serde::Deserialize;
use serde_json::Value;

use crate::log::Line;
use crate::log::explain::{Explained, Reader};
use crate::marked::Node;

/// The clients whose commands are known.
const CLIENTS: [&str; 4] = ["curl", "git", "docker", "podman"];

/// What was pasted, as it can be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Pasted {
    /// The client's command; what was pasted, where there is none in it.
    pub line: String,
    /// Which job asks, where that is told.
    pub job: Option<String>,
    /// What a line of the log says of the decision that was made.
    pub told: Option<Explained>,
}

/// Reads what was pasted.
#[must_use]
pub fn pasted(text: &str) -> Pasted {
    if let Some(line) = Line::parse(text.as_bytes()).filter(Line::is_decision) {
        return of_log(text, &line);
    }
    let script = Node::documents(text).unwrap_or_default();
    let entries = script.iter().flat_map(Node::all).filter_map(Node::text);
    // A command by itself is a text of YAML, too, if it has no colon.
    let command = std::iter::once(text).chain(entries).flat_map(commands).find(|command| is_clients(command));
    Pasted { line: command.unwrap_or_else(|| text.trim().to_owned()), job: None, told: None }
}

fn is_clients(command: &str) -> bool {
    let program = command.split_whitespace().next().and_then(|word| word.rsplit('/').next());
    program.is_some_and(|program| CLIENTS.contains(&program))
}

/// The commands of a script, each without where its output goes.
fn commands(script: &str) -> Vec<String> {
    let mut commands = vec![String::new()];
    let (mut quote, mut is_escaped, mut is_output) = (None, false, false);
    for c in script.chars() {
        let is_plain = quote.is_none() && !is_escaped;
        match c {
            '\n' | ';' | '|' | '&' if is_plain && !(c == '&' && is_output) => {
                commands.push(String::new());
                is_output = false;
                continue;
            }
            '>' | '<' if is_plain => {
                is_output = true;
                // The number of what is led elsewhere, as in `2>`.
                if let Some(command) = commands.last_mut() {
                    let kept = command.trim_end_matches(|c: char| c.is_ascii_digit());
                    if kept.ends_with(' ') {
                        command.truncate(kept.len());
                    }
                }
            }
            '\'' | '"' if quote == Some(c) && !is_escaped => quote = None,
            '\'' | '"' if is_plain => quote = Some(c),
            _ => {}
        }
        is_escaped = c == '\\' && !is_escaped && quote != Some('\'');
        if let Some(command) = commands.last_mut().filter(|_| !is_output) {
            command.push(c);
        }
    }
    commands.iter().map(|command| command.trim().to_owned()).collect()
}

/// What the log says of a request, beside the decision.
#[derive(Deserialize)]
struct Logged {
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    authority: Option<String>,
    #[serde(default)]
    path: Option<String>,
    origin: Option<String>,
    user: Option<String>,
    target: Option<String>,
    action: Option<String>,
}

fn of_log(text: &str, line: &Line) -> Pasted {
    let told = Some(Explained::of(line, Reader::Author));
    match serde_json::from_str::<Logged>(text) {
        Ok(logged) => Pasted { line: command(&logged), job: job(&logged, &line.account()), told },
        Err(_) => Pasted { line: text.trim().to_owned(), job: None, told },
    }
}

/// A command by which a client sends such a request.
fn command(logged: &Logged) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let (target, path) = (text(&logged.target), text(&logged.path));
    let host = logged.authority.clone().unwrap_or_else(|| "$CI_SERVER_HOST".to_owned());
    let repository = || format!("https://{host}/{target}.git");
    match text(&logged.action).as_str() {
        "git.read" => format!("git clone {}", quoted(&repository())),
        "git.write" => format!("git push {}", quoted(&repository())),
        "lfs.download" => format!("git lfs fetch {}", quoted(&repository())),
        "lfs.upload" => format!("git lfs push {}", quoted(&repository())),
        "oci.pull" => format!("docker pull $CI_REGISTRY/{target}"),
        "oci.push" => format!("docker push $CI_REGISTRY/{target}"),
        "oci.login" => "docker login $CI_REGISTRY".to_owned(),
        _ => {
            let method = logged.method.clone().unwrap_or_else(|| "GET".to_owned());
            let address = quoted(&format!("https://{host}{path}"));
            format!("curl --request {} --header \"JOB-TOKEN: $CI_JOB_TOKEN\" {address}", quoted(&method))
        }
    }
}

fn quoted(word: &str) -> String {
    shlex::try_quote(word).map_or_else(|_| "''".to_owned(), |word| word.into_owned())
}

/// Which job it was, as [`crate::job::Caller::of`] reads it.
fn job(logged: &Logged, account: &Value) -> Option<String> {
    let origin = logged.origin.as_deref().filter(|origin| !["-", ""].contains(origin))?;
    let user = logged.user.as_deref().filter(|user| !["-", ""].contains(user)).unwrap_or("nobody");
    let of =
        |name: &str| account.pointer(&format!("/job/{name}")).and_then(Value::as_str).filter(|one| !one.is_empty());
    let mut job = format!("{origin}@{} as {user}", of("ref").unwrap_or("main"));
    for (word, value, usual) in [("in", of("environment"), ""), ("by", of("source"), "push")] {
        if let Some(value) = value.filter(|value| *value != usual) {
            job.push_str(&format!(" {word} {value}"));
        }
    }
    job.push_str(if account.pointer("/job/fork") == Some(&Value::Bool(true)) { " of a fork" } else { "" });
    Some(job)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_command_is_found_where_it_stands() {
        for (text, line) in [
            ("git clone https://f/a.git", "git clone https://f/a.git"),
            ("  - git clone https://f/a.git", "git clone https://f/a.git"),
            ("script:\n  - echo now\n  - docker pull r/a:1", "docker pull r/a:1"),
            (
                "- 'curl --header \"JOB-TOKEN: $CI_JOB_TOKEN\" https://f/x'",
                "curl --header \"JOB-TOKEN: $CI_JOB_TOKEN\" https://f/x",
            ),
            ("- cd x && git fetch https://f/a.git 2>&1 | tee log", "git fetch https://f/a.git"),
            ("curl 'https://f/x?a=1&b=2' > out; ls", "curl 'https://f/x?a=1&b=2'"),
            ("curl \\\n  --header 'A: b' https://f", "curl \\\n  --header 'A: b' https://f"),
            ("- |\n  set -e\n  /usr/bin/git ls-remote https://f/a.git\n", "/usr/bin/git ls-remote https://f/a.git"),
            (" npm install ", "npm install"),
            ("", ""),
        ] {
            assert_eq!(pasted(text), Pasted { line: line.into(), job: None, told: None }, "{text}");
        }
    }

    #[test]
    fn a_line_of_the_log_is_asked_again() {
        let line = |action: &str| {
            let why = json!({"job": {"ref": "v1", "source": "schedule", "fork": true}}).to_string();
            let line = json!({"verdict": "deny", "reason": "allowlist.missing", "origin": "apps/web", "user": "dana",
                "target": "libs/it's", "action": action, "method": "GET", "authority": "f", "path": "/api/v4/x", "why": why});
            pasted(&line.to_string())
        };
        let clone = line("git.read");
        assert_eq!(clone.line, r#"git clone "https://f/libs/it's.git""#);
        assert_eq!(clone.job.as_deref(), Some("apps/web@v1 as dana by schedule of a fork"));
        assert_eq!(clone.told.unwrap().verdict(), "deny");
        assert_eq!(
            line("issues.read").line,
            "curl --request GET --header \"JOB-TOKEN: $CI_JOB_TOKEN\" https://f/api/v4/x"
        );
        let nobody = pasted(r#"{"verdict": "deny", "origin": "-", "user": null}"#);
        assert_eq!((nobody.job, nobody.told.is_some()), (None, true));
    }
}
