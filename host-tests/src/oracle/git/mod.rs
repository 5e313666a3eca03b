//! `git http-backend`, Git's own server, over repositories that are easily taken for one another.
//!
//! Each repository says which one it is wherever the server lets anything of it out: in its refs, its objects, the files
//! of the dumb protocol, and, for the discovery of protocol v2, which names nothing, in the abilities that it announces.

mod named;
mod repository;
mod words;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::ask::Ask;
use super::directory;
use crate::stack::signals;
use repository::REPOSITORIES;

pub use named::{Named, Seen};
pub use repository::{Kind, Service};
pub use words::WORDS;

/// Object names that every repository has a file of its own for.
const LOOSE: &str = "objects/ab/cccccccccccccccccccccccccccccccccccccc";
const PACK: &str = "objects/pack/pack-dddddddddddddddddddddddddddddddddddddddd.pack";
const INDEX: &str = "objects/pack/pack-eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee.idx";
/// What a push of the tests makes.
const PUSHED: &str = "refs/heads/pushed";

/// The repositories, and what each is known by.
pub struct Forest {
    root: TempDir,
    backend: PathBuf,
    /// Texts that the server lets out of one repository and of no other.
    marks: Vec<Vec<String>>,
    /// A commit that they all have.
    base: String,
    /// A commit of its own for each, without a parent: one that came after `base` would have the server say that it has
    /// seen enough.
    tips: Vec<String>,
}

impl Forest {
    /// Makes the repositories.
    ///
    /// # Errors
    /// `git` is missing, or cannot write.
    pub fn plant() -> Result<Self> {
        let found = Command::new("git").arg("--exec-path").output().context("git is missing")?;
        let backend = Path::new(OsStr::from_bytes(found.stdout.trim_ascii())).join("git-http-backend");
        let mut forest =
            Self { root: directory("git")?, backend, marks: Vec::new(), base: String::new(), tips: Vec::new() };
        for number in 0..REPOSITORIES.len() {
            forest.plant_one(number)?;
        }
        Ok(forest)
    }

    fn plant_one(&mut self, number: usize) -> Result<()> {
        let dir = self.dir(number);
        let name = format!("repository-{number:02}");
        let here = dir.to_string_lossy().into_owned();
        run(Command::new("git").args(["init", "--quiet", "--bare", "--initial-branch", &name, &here]), b"")?;
        let mut config = fs::read_to_string(dir.join("config"))?;
        let bit = |at: usize| (number + 1) >> at & 1 == 1;
        write!(
            config,
            "[http]\n receivepack = true\n[receive]\n autogc = false\n[fastimport]\n unpackLimit = 1\n\
             [uploadpack]\n allowFilter = {}\n allowRefInWant = {}\n allowSidebandAll = {}\n\
             [transfer]\n advertiseObjectInfo = {}\n[lsrefs]\n unborn = {}\n",
            bit(0),
            bit(1),
            bit(2),
            bit(3),
            if bit(4) { "advertise" } else { "ignore" },
        )?;
        fs::write(dir.join("config"), config)?;
        let who = "committer jobscope <jobscope@example.com> 1700000000 +0000";
        let stream = format!(
            "commit refs/heads/base\n{who}\ndata 4\nbase\ncommit refs/heads/{name}\n{who}\ndata {}\n{name}\n",
            name.len(),
        );
        run(Command::new("git").args(["-C", &here, "fast-import", "--quiet"]), stream.as_bytes())?;
        let read = |name: &str| fs::read_to_string(dir.join("refs/heads").join(name)).map(|oid| oid.trim().to_owned());
        let (base, tip) = (read("base")?, read(&name)?);
        let packs: Vec<String> = fs::read_dir(dir.join("objects/pack"))?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<Result<_>>()?;
        let pack = packs.into_iter().find(|name| name.ends_with(".pack")).context("git made no pack")?;
        // The server sends these files as they are. An alternate that begins like this is a comment to Git.
        for file in [LOOSE, PACK, INDEX, "objects/info/alternates", "objects/info/http-alternates"] {
            let file = dir.join(file);
            fs::create_dir_all(file.parent().unwrap_or(&dir))?;
            fs::write(file, format!("# {name}\n"))?;
        }
        self.base = base;
        self.tips.push(tip.clone());
        self.marks.push(vec![name, tip, pack]);
        Ok(())
    }

    fn dir(&self, number: usize) -> PathBuf {
        self.root.path().join(REPOSITORIES[number].dir)
    }

    /// Every request of Git to every repository, each with the number of its repository.
    #[must_use]
    pub fn seeds(&self) -> Vec<(usize, Ask)> {
        (0..REPOSITORIES.len())
            .flat_map(|number| self.seeds_of(number).into_iter().map(move |ask| (number, ask)))
            .collect()
    }

    fn seeds_of(&self, number: usize) -> Vec<Ask> {
        let at = |rest: &str| format!("/{}/{rest}", REPOSITORIES[number].dir);
        let upload = at("info/refs?service=git-upload-pack");
        let post = |service: &str| {
            Ask::new("POST", at(service)).field("content-type", &format!("application/x-{service}-request"))
        };
        let mut seeds = vec![
            Ask::new("GET", upload.as_str()),
            Ask::new("GET", upload.as_str()).field("git-protocol", "version=1"),
            Ask::new("GET", upload.as_str()).field("git-protocol", "version=2"),
            Ask::new("GET", at("info/refs?service=git-receive-pack")),
            Ask::new("GET", at("info/refs")),
            Ask::new("HEAD", at("HEAD")),
            post("git-upload-pack").body(self.negotiation()),
            post("git-upload-pack").body("0014command=ls-refs\n0000").field("git-protocol", "version=2"),
            post("git-receive-pack").body(self.push()),
        ];
        let files = ["HEAD", "objects/info/packs", "objects/info/alternates", "objects/info/http-alternates"];
        seeds.extend(files.into_iter().chain([LOOSE, PACK, INDEX]).map(|file| Ask::new("GET", at(file))));
        seeds
    }

    /// A fetch of protocol v0 that says to have every commit: the server answers which of them it has, too.
    fn negotiation(&self) -> String {
        let want = line(&format!("want {} multi_ack_detailed\n", self.base));
        let have: String = self.tips.iter().map(|tip| line(&format!("have {tip}\n"))).collect();
        format!("{want}0000{have}0000")
    }

    /// A push that makes a branch of a commit that is there, with an empty pack.
    fn push(&self) -> Vec<u8> {
        let command = line(&format!("{} {} {PUSHED}\0report-status", "0".repeat(40), self.base));
        let mut body = format!("{command}0000PACK").into_bytes();
        body.extend_from_slice(&[0, 0, 0, 2, 0, 0, 0, 0]);
        // The SHA-1 of those twelve bytes.
        body.extend_from_slice(b"\x02\x9d\x08\x82\x3b\xd8\xa8\xea\xb5\x10\xad\x6a\xc7\x5c\x82\x3c\xfd\x3e\xd3\x1e");
        body
    }

    /// Has the server answer a request, as each of two kinds of web server would hand it over: one that undoes the
    /// percent-encoding of the path, and one that cleans it up besides.
    ///
    /// # Errors
    /// The server does not start.
    pub fn ask(&self, ask: &Ask) -> Result<Vec<Seen>> {
        let Some(decoded) = decoded(ask.split().0.as_bytes()) else { return Ok(vec![Seen::Nothing]) };
        let paths = BTreeSet::from([cleaned(&decoded), decoded]);
        paths.iter().map(|path| self.serve(ask, path)).collect()
    }

    fn serve(&self, ask: &Ask, path: &[u8]) -> Result<Seen> {
        // No server can hand over what ends a string.
        if path.contains(&0) || ask.target.contains('\0') {
            return Ok(Seen::Nothing);
        }
        let mut command = Command::new(&self.backend);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_PROJECT_ROOT", self.root.path())
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("GATEWAY_INTERFACE", "CGI/1.1")
            .env("SERVER_PROTOCOL", "HTTP/1.1")
            .env("REMOTE_ADDR", "127.0.0.1")
            .env("REMOTE_USER", "gitlab-ci-token")
            .env("REQUEST_METHOD", &ask.method)
            .env("REQUEST_URI", &ask.target)
            .env("PATH_INFO", OsStr::from_bytes(path))
            .env("QUERY_STRING", ask.split().1.unwrap_or_default())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        // A length that is not that of the body would have the server wait for ever.
        if !ask.body.is_empty() {
            command.env("CONTENT_LENGTH", ask.body.len().to_string());
        }
        for (variable, name) in [("CONTENT_TYPE", "content-type"), ("GIT_PROTOCOL", "git-protocol")] {
            if !ask.value(name).is_empty() {
                command.env(variable, ask.value(name));
            }
        }
        let mut child = command.spawn().with_context(|| format!("cannot start `{}`", self.backend.display()))?;
        // A server that refuses reads no body.
        let _ = child.stdin.take().map(|mut stdin| stdin.write_all(&ask.body));
        let output = child.wait_with_output()?;
        self.seen(&output.stdout)
    }

    fn seen(&self, answer: &[u8]) -> Result<Seen> {
        let text = String::from_utf8_lossy(answer);
        let head = text.split("\r\n\r\n").next().unwrap_or_default();
        let mut touched: BTreeSet<usize> = self.pushed()?;
        let is_write = !touched.is_empty() || head.contains("Content-Type: application/x-git-receive-pack-");
        let service = if is_write { Service::Write } else { Service::Read };
        touched.extend((0..self.marks.len()).filter(|at| self.marks[*at].iter().any(|mark| text.contains(mark))));
        touched.extend(announced(&text));
        Ok(match () {
            () if !touched.is_empty() => Seen::Touched(touched, service),
            () if head.starts_with("Status: ") || text.is_empty() => Seen::Nothing,
            () => Seen::Unknown(text.chars().take(300).collect()),
        })
    }

    /// The repositories that were pushed to; after this, none was.
    fn pushed(&self) -> Result<BTreeSet<usize>> {
        let mut pushed = BTreeSet::new();
        for number in 0..REPOSITORIES.len() {
            let branch = self.dir(number).join(PUSHED);
            if branch.exists() {
                fs::remove_file(branch)?;
                pushed.insert(number);
            }
        }
        Ok(pushed)
    }
}

/// The repository that announces abilities in protocol v2.
fn announced(answer: &str) -> Option<usize> {
    if !answer.contains("000eversion 2\n") {
        return None;
    }
    let fetch = answer.lines().find(|line| line.contains("fetch=")).unwrap_or_default();
    let has = |ability: &str| fetch.split([' ', '=']).any(|word| word == ability);
    let bits = [
        has("filter"),
        has("ref-in-want"),
        has("sideband-all"),
        answer.contains("object-info"),
        answer.contains("=unborn"),
    ];
    bits.iter().rev().fold(0_usize, |number, bit| number << 1 | usize::from(*bit)).checked_sub(1)
}

/// A line of Git's protocols: its length in four digits, and itself.
fn line(text: &str) -> String {
    format!("{:04x}{text}", text.len() + 4)
}

/// A path without percent-encoding. A server refuses one that is broken.
fn decoded(path: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    let mut rest = path;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            decoded.push(*byte);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        decoded.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    Some(decoded)
}

/// A path without empty segments and dot segments, as nginx makes it.
fn cleaned(path: &[u8]) -> Vec<u8> {
    let mut segments: Vec<&[u8]> = Vec::new();
    for segment in path.split(|byte| *byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => {
                segments.pop();
            }
            _ => segments.push(segment),
        }
    }
    let mut cleaned: Vec<u8> = segments.iter().flat_map(|segment| [&b"/"[..], segment].concat()).collect();
    if cleaned.is_empty() || path.ends_with(b"/") {
        cleaned.push(b'/');
    }
    cleaned
}

fn run(command: &mut Command, input: &[u8]) -> Result<()> {
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("GIT_CONFIG_NOSYSTEM", "1");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::inherit());
    let mut child = signals::spawn(command)?;
    child.stdin.take().context("no standard input")?.write_all(input)?;
    if !signals::wait(&mut child)?.success() {
        bail!("git failed: {command:?}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_handed_over_as_a_web_server_does() {
        assert_eq!(decoded(b"/g%2Fp%252e"), Some(b"/g/p%2e".to_vec()));
        assert_eq!(decoded(b"/g%2"), None);
        assert_eq!(decoded(b"/g%zz"), None);
        assert_eq!(cleaned(b"//g/./x/../p.git/HEAD"), b"/g/p.git/HEAD");
        assert_eq!(cleaned(b"/../g/"), b"/g/");
    }

    #[test]
    fn a_line_of_the_protocol_tells_its_length() {
        assert_eq!(line("command=ls-refs\n"), "0014command=ls-refs\n");
    }
}
