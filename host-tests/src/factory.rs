//! A forge that knows a million jobs in a few kilobytes: a job is its number, and what it remembers of it is one bit. It
//! answers lookups as a service of the platform team, and tells which jobs ended.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// What every job reads.
pub const PACKAGE: &str = "/api/v4/projects/libs%2Fcommon/packages/generic/tool/1.0/tool.txt";

const TOKEN: &str = "glcbt-64_soak";

/// How many of the last ends are told, as many as one answer may name.
const TOLD: usize = 10_000;

/// A running forge. It ends with the process.
pub struct Factory {
    port: u16,
    jobs: Arc<Jobs>,
}

#[derive(Default)]
struct Jobs {
    handed_out: AtomicU64,
    lookups: AtomicU64,
    ended: Mutex<Ended>,
    /// A job has ended.
    news: Condvar,
}

#[derive(Default)]
struct Ended {
    /// A bit for each job that ended.
    bits: Vec<u64>,
    count: u64,
    /// The ids of the last of them.
    last: VecDeque<u64>,
    polls: Polls,
}

/// Those who wait to be told which jobs end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Polls {
    /// How many there are now.
    pub open: u64,
    /// How many there ever were at a time.
    pub most: u64,
}

impl Factory {
    /// Starts it at a free port.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let (port, jobs) = (listener.local_addr()?.port(), Arc::new(Jobs::default()));
        let shared = Arc::clone(&jobs);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let jobs = Arc::clone(&shared);
                // A connection that breaks is Envoy's to open anew.
                thread::spawn(move || drop(serve(stream, &jobs)));
            }
        });
        Ok(Self { port, jobs })
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many jobs have ended.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.jobs.ended().count
    }

    /// How many tokens were looked up.
    #[must_use]
    pub fn lookups(&self) -> u64 {
        self.jobs.lookups.load(Ordering::Relaxed)
    }

    /// Who waits for ends.
    #[must_use]
    pub fn polls(&self) -> Polls {
        self.jobs.ended().polls
    }

    /// Ends a job that nobody reported.
    pub fn end(&self, job: u64) {
        self.jobs.end(job.saturating_sub(1));
    }
}

/// The number and the token of the job in the answer to a runner.
///
/// # Errors
///
/// When it is none.
pub fn handed_out(body: &str) -> Result<(u64, String)> {
    let job: Value = serde_json::from_str(body)?;
    let (id, token) = (job["id"].as_u64(), job["token"].as_str());
    Ok((id.context("a job without a number")?, token.context("a job without a token")?.to_owned()))
}

/// A request or an answer.
pub(crate) struct Message {
    pub(crate) first: String,
    pub(crate) body: String,
}

impl Message {
    /// Reads one; none at the end of the connection.
    pub(crate) fn read(connection: &mut impl BufRead) -> Result<Option<Self>> {
        let mut first = String::new();
        if connection.read_line(&mut first)? == 0 {
            return Ok(None);
        }
        let mut fields = HashMap::new();
        loop {
            let mut line = String::new();
            connection.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            fields.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        if fields.contains_key("transfer-encoding") {
            bail!("a chunked message, which nobody here sends");
        }
        let length = fields.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        connection.read_exact(&mut body)?;
        Ok(Some(Self { first: first.trim_end().to_owned(), body: String::from_utf8(body)? }))
    }
}

fn serve(stream: TcpStream, jobs: &Jobs) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut connection = BufReader::new(stream);
    while let Some(message) = Message::read(&mut connection)? {
        let (status, fields, body) = jobs.answer(&message);
        let body = body.to_string();
        let answer = format!(
            "HTTP/1.1 {status} -\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{fields}\r\n{body}",
            body.len()
        );
        connection.get_mut().write_all(answer.as_bytes())?;
    }
    Ok(())
}

impl Jobs {
    fn answer(&self, request: &Message) -> (u16, &'static str, Value) {
        let mut parts = request.first.split(' ');
        let (method, path) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if path == "/jobscope/v1/lookup" {
            return (200, "", self.look_up(&request.body));
        }
        if path == "/jobscope/v1/ended" {
            return self.hear(&request.body);
        }
        if let Some(query) = path.strip_prefix("/jobscope/v1/changes?") {
            let (status, told) = self.changes(query);
            return (status, "", told);
        }
        match (method, path.strip_prefix("/api/v4/").unwrap_or_default()) {
            ("POST", "jobs/request") => {
                let number = self.handed_out.fetch_add(1, Ordering::Relaxed);
                let token = format!("{TOKEN}{number:016}");
                let job = json!({"id": number + 1, "token": token, "job_info": {"project_id": 101}, "runner_info": {"timeout": 3600}});
                (201, "", job)
            }
            ("PUT", job) if job.starts_with("jobs/") => match job.trim_start_matches("jobs/").parse::<u64>() {
                Ok(number) if number > 0 => {
                    self.end(number - 1);
                    (200, "job-status: success\r\n", json!({}))
                }
                Ok(_) | Err(_) => (404, "", json!({})),
            },
            ("GET", _) if path == PACKAGE => (200, "", json!("a tool")),
            _ => (404, "", json!({"message": "404 Not found"})),
        }
    }

    /// The token-lookup service: what docs/token-lookup.md says.
    fn look_up(&self, question: &str) -> Value {
        let question: Value = serde_json::from_str(question).unwrap_or_default();
        let Some(token) = question["token"].as_str() else {
            return json!({"version": 1, "role": "reporter", "external": false, "admission": "group",
                "target": {"id": 102, "path": "libs/common", "visibility": "private", "push_by_job_token": false}});
        };
        self.lookups.fetch_add(1, Ordering::Relaxed);
        let number = token.strip_prefix(TOKEN).and_then(|number| number.parse::<u64>().ok());
        match number.filter(|number| !self.has_ended(*number)) {
            Some(number) => json!({"version": 1, "token": "running", "job": {"id": number + 1,
                "user": {"id": 11, "name": "dana"}, "origin": {"id": 101, "path": "apps/web"}}}),
            None => json!({"version": 1, "token": "unknown"}),
        }
    }

    /// Jobs that ended, as Envoys tell them: what docs/token-lookup.md says.
    fn hear(&self, report: &str) -> (u16, &'static str, Value) {
        let report: Value = serde_json::from_str(report).unwrap_or_default();
        match report["jobs"].as_array().map(|jobs| jobs.iter().map(Value::as_u64).collect::<Option<Vec<u64>>>()) {
            Some(Some(jobs)) if report["version"] == 1 => {
                jobs.into_iter().for_each(|job| self.end(job.saturating_sub(1)));
                (200, "", json!({"version": 1}))
            }
            _ => (400, "", json!({})),
        }
    }

    /// The list of ended jobs: what docs/token-lookup.md says. A cursor is how many have ended.
    fn changes(&self, query: &str) -> (u16, Value) {
        let number = |name: &str| {
            let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            value.and_then(|value| value.parse::<u64>().ok())
        };
        let mut ended = self.ended();
        let mut told = Vec::new();
        if let Some(after) = number("after") {
            if !ended.is_told(after) {
                return (410, json!({}));
            }
            ended.polls.open += 1;
            ended.polls.most = ended.polls.most.max(ended.polls.open);
            let wait = Duration::from_secs(number("wait").unwrap_or_default());
            let waited = self.news.wait_timeout_while(ended, wait, |ended| ended.count == after);
            (ended, _) = waited.unwrap_or_else(PoisonError::into_inner);
            ended.polls.open -= 1;
            told.extend(ended.last.iter().rev().zip(after..ended.count).map(|(job, _)| *job));
        }
        (200, json!({"version": 1, "cursor": ended.count.to_string(), "ended": told}))
    }

    fn end(&self, number: u64) {
        let mut ended = self.ended();
        let (word, bit) = place(number);
        let length = ended.bits.len().max(word + 1);
        ended.bits.resize(length, 0);
        if ended.bits[word] & bit == 0 {
            ended.bits[word] |= bit;
            ended.count += 1;
            ended.last.push_back(number + 1);
            if ended.last.len() > TOLD {
                ended.last.pop_front();
            }
            self.news.notify_all();
        }
    }

    fn has_ended(&self, number: u64) -> bool {
        let (word, bit) = place(number);
        self.ended().bits.get(word).is_some_and(|bits| bits & bit != 0)
    }

    fn ended(&self) -> MutexGuard<'_, Ended> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ended {
    /// Whether all who ended after so many others are still told.
    fn is_told(&self, after: u64) -> bool {
        self.count.checked_sub(after).is_some_and(|new| new <= self.last.len() as u64)
    }
}

fn place(number: u64) -> (usize, u64) {
    (usize::try_from(number / 64).unwrap_or(usize::MAX - 1), 1 << (number % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_runs_from_being_handed_out_to_its_end() {
        let jobs = Jobs::default();
        let ask = |first: &str| jobs.answer(&Message { first: format!("{first} HTTP/1.1"), body: String::new() });
        let is_running = |token: &str| jobs.look_up(&json!({"token": token}).to_string())["token"] == "running";
        let (status, _, job) = ask("POST /api/v4/jobs/request");
        let (id, token) = handed_out(&job.to_string()).unwrap();
        assert_eq!((status, is_running(&token)), (201, true));
        assert_eq!(ask(&format!("PUT /api/v4/jobs/{id}")).0, 200);
        assert!(!is_running(&token) && !is_running("glcbt-64_junk"));
        let tell = |body: &str| {
            let first = "POST /jobscope/v1/ended HTTP/1.1".into();
            jobs.answer(&Message { first, body: body.into() }).0
        };
        assert_eq!([r#"{"version": 1, "jobs": [7]}"#, r#"{"version": 1, "jobs": ["8"]}"#].map(tell), [200, 400]);
        assert!(jobs.has_ended(6) && !jobs.has_ended(7));
    }

    #[test]
    fn ends_are_told_from_a_cursor_on() {
        let jobs = Jobs::default();
        assert_eq!(jobs.changes("wait=25"), (200, json!({"version": 1, "cursor": "0", "ended": []})));
        for number in [6, 7, 6] {
            jobs.end(number);
        }
        assert_eq!(jobs.changes("wait=25&after=1"), (200, json!({"version": 1, "cursor": "2", "ended": [8]})));
        assert_eq!(jobs.changes("wait=0&after=2"), (200, json!({"version": 1, "cursor": "2", "ended": []})));
        assert_eq!(jobs.changes("wait=25&after=3").0, 410);
        for number in 8..8 + TOLD as u64 {
            jobs.end(number);
        }
        assert_eq!(jobs.changes("wait=25&after=1").0, 410, "that is too long ago");
        assert_eq!(jobs.ended().polls, Polls { open: 0, most: 1 });
    }
}
