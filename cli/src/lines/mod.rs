//! Command lines of clients, read into the requests that the clients send.
//!
//! A line means one request or several (a clone asks for the references and then for the objects); they come in the
//! client's order, with the header fields that decide. No file is opened here: who has files passes a way to read them.

mod curl;
mod git;
mod images;
mod raw;
mod url;
mod variables;

use policy::Config;
use policy::facts::Job;

use crate::request::Request;
use variables::Variables;

pub(crate) use images::made;

/// What a line is read with.
pub struct Setting<'a> {
    /// Where the forge and its registry are.
    pub config: &'a Config,
    /// The job whose script the line is from.
    pub job: &'a Job,
    /// Its token.
    pub token: &'a str,
    /// How a file that the line names is read; `None` where it cannot be.
    pub file: &'a dyn Fn(&str) -> Option<Vec<u8>>,
}

/// Why a line cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Nothing is asked.
    #[error("expected a command such as `curl`, `git clone` or `docker pull`, found nothing")]
    Empty,
    /// A quote is open.
    #[error("expected a command line, found one with a quote that is not closed")]
    Quote,
    /// A program that is not known here.
    #[error("expected `curl`, `git`, `docker` or `podman`, found `{0}`")]
    Program(String),
    /// What a program is asked to do is not known here.
    #[error("expected {expected}, found `{found}`")]
    Command {
        /// What is known.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// An option that may change the request in a way that is not known here.
    #[error("`{program}` has no option `{option}` that is known here")]
    Option {
        /// The program.
        program: &'static str,
        /// The option.
        option: String,
    },
    /// An option without its value.
    #[error("`{0}` needs a value")]
    Value(String),
    /// No address, or none that can be read.
    #[error("expected an address that begins with `https://`, found `{0}`")]
    Address(String),
    /// A variable that a job has not, or of which nothing is known here.
    #[error("the variable `{0}` is not known here; write its value")]
    Variable(String),
    /// An image at no registry of the configuration.
    #[error(
        "expected an image at a registry of the configuration, such as `{registry}/group/project:tag`, found `{found}`"
    )]
    Image {
        /// The registry of the configuration.
        registry: String,
        /// What stands there.
        found: String,
    },
    /// A file that cannot be read.
    #[error("cannot read the file `{0}` that the line names")]
    File(String),
    /// What should be a request and is none.
    #[error("expected a request such as `GET /path HTTP/1.1`, header fields and an empty line, found {0}")]
    Request(&'static str),
}

/// What somebody asks in one text: a command line, or a request on the wire.
///
/// # Errors
/// It cannot be read: which part of it, and what was expected.
pub fn text(text: &str, setting: &Setting<'_>) -> Result<Vec<Request>, LineError> {
    let is_raw = text.lines().next().is_some_and(|line| line.contains(" HTTP/"));
    if is_raw { raw(text.as_bytes(), setting).map(|request| vec![request]) } else { line(text, setting) }
}

/// The requests of a command line, as one text.
///
/// # Errors
/// It cannot be read: which part of it, and what was expected.
pub fn line(text: &str, setting: &Setting<'_>) -> Result<Vec<Request>, LineError> {
    words(&shlex::split(text).ok_or(LineError::Quote)?, setting)
}

/// The requests of a command line, word by word. Variables in it are the job's.
///
/// # Errors
/// As of [`line`].
pub fn words(words: &[String], setting: &Setting<'_>) -> Result<Vec<Request>, LineError> {
    let variables = Variables::of(setting.config, setting.job, setting.token);
    let words = words.iter().map(|word| variables.expand(word)).collect::<Result<Vec<_>, _>>()?;
    let (program, rest) = words.split_first().ok_or(LineError::Empty)?;
    match program.rsplit('/').next().unwrap_or_default() {
        "curl" => curl::requests(rest, setting),
        "git" => git::requests(rest, setting),
        "docker" | "podman" => images::requests(rest, setting),
        other => Err(LineError::Program(other.to_owned())),
    }
}

/// A request as it stands on the wire: a line, header fields, an empty line and perhaps a body.
///
/// # Errors
/// It is none.
pub fn raw(bytes: &[u8], setting: &Setting<'_>) -> Result<Request, LineError> {
    raw::request(bytes, &Variables::of(setting.config, setting.job, setting.token))
}

#[cfg(test)]
mod tests;
