//! The table of what hosts do, `cases/host-behaviours.yaml`: played on each host by the probe, and compared.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Value, json};

/// How far apart pieces of a body come.
pub const APART: Duration = Duration::from_millis(60);

/// When a client leaves that leaves.
pub const LEAVES: Duration = Duration::from_millis(100);

/// How far apart pieces of an answer come, to a call or of the upstream.
pub const ANSWERED: Duration = Duration::from_millis(50);

/// A body that is longer is told by its length.
const LONG: usize = 40;

/// The field by which an answer is asked for in so many pieces.
pub const PIECES: &str = "x-download";

/// An environment variable that each host has, and its value.
pub const VARIABLE: (&str, &str) = ("CREDENTIAL", "secret");

/// The field by whose value routes are chosen, and the one that the route of a value adds with it.
pub const ROUTES: (&str, &str) = ("x-jobscope-credential", "x-routed");

/// One behaviour.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// What the request asks for.
    pub name: String,
    /// What it is about.
    pub about: String,
    /// What holds, in a sentence.
    pub holds: String,
    /// What the probe does, by event.
    #[serde(default)]
    pub does: BTreeMap<String, Vec<String>>,
    /// What the client does.
    #[serde(default)]
    pub sends: Sends,
    /// What the probe tells, in this order, perhaps among other things.
    pub sees: Vec<String>,
    /// The status that the client gets; where nothing is said 200, and none where it leaves.
    #[serde(default)]
    pub client: Option<u16>,
    /// What the client gets beside that.
    #[serde(default)]
    pub gets: Option<Gets>,
    /// What the upstream gets.
    #[serde(default)]
    pub upstream: Option<Upstream>,
}

/// A client's part.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sends {
    /// The method.
    pub method: String,
    /// What follows the row's name in the path.
    pub path: String,
    /// Fields of the head.
    pub fields: Vec<(String, String)>,
    /// Pieces of the body.
    pub body: Vec<String>,
    /// Whether trailers end it.
    pub trailers: bool,
    /// Whether the client leaves.
    pub leaves: bool,
    /// How often all of this is done, by other workers each time.
    pub times: usize,
}

impl Default for Sends {
    fn default() -> Self {
        Self {
            method: "GET".to_owned(),
            path: String::new(),
            fields: Vec::new(),
            body: Vec::new(),
            trailers: false,
            leaves: false,
            times: 1,
        }
    }
}

/// What a client gets.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gets {
    /// The body; of a long one, how many bytes.
    pub body: Option<String>,
    /// Fields, and those that are not there.
    pub fields: Fields,
}

/// Fields, and those that are not there.
type Fields = BTreeMap<String, Option<String>>;

/// What an upstream gets.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Upstream {
    /// The path.
    pub path: Option<String>,
    /// How many bytes of a body.
    pub length: Option<usize>,
    /// Fields, and those that are not there.
    pub fields: Fields,
}

/// What came of a row on a host.
#[derive(Debug, Default)]
pub struct Seen {
    /// What the probe told.
    pub lines: Vec<String>,
    /// The status that the client got last.
    pub client: Option<u16>,
    /// The body and the fields that it got.
    pub gets: (Vec<u8>, BTreeMap<String, String>),
    /// The path, the length of the body, and the fields that the upstream got.
    pub upstream: Option<(String, usize, BTreeMap<String, String>)>,
}

impl Row {
    /// The path that the client asks for.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/{}{}", self.name, self.sends.path)
    }

    /// Whether anything of a request follows its head.
    #[must_use]
    pub fn ends_with_head(&self) -> bool {
        self.sends.body.is_empty() && !self.sends.trailers
    }

    /// Whether the probe has told all that the row says.
    #[must_use]
    pub fn is_told(&self, lines: &[String]) -> bool {
        let mut lines = lines.iter();
        self.sees.iter().all(|wanted| lines.any(|line| line == wanted))
    }

    /// What is otherwise than the table says.
    #[must_use]
    pub fn wrong(&self, seen: &Seen) -> Option<String> {
        let status = self.client.or((!self.sends.leaves).then_some(200));
        if seen.client != status {
            return Some(format!("{}: the client gets {:?}, and not {status:?}: {seen:#?}", self.name, seen.client));
        }
        // What is not told by one who tells all that it does may not happen: where the row's first event is told, all is.
        let told: Vec<&String> = match self.sees.first() {
            Some(first) if first.starts_with("head") => seen.lines.iter().take(self.sees.len()).collect(),
            _ => seen.lines.iter().filter(|line| self.sees.contains(line)).collect(),
        };
        if told != self.sees.iter().collect::<Vec<_>>() {
            return Some(format!("{}: {:#?} is seen, and not {:#?}", self.name, seen.lines, self.sees));
        }
        if let Some(Gets { body, fields }) = &self.gets {
            let (seen_body, seen_fields) = &seen.gets;
            let seen_body = if seen_body.len() > LONG {
                format!("{} bytes", seen_body.len())
            } else {
                String::from_utf8_lossy(seen_body).into_owned()
            };
            if body.as_ref().is_some_and(|body| *body != seen_body) || !are(fields, seen_fields) {
                return Some(format!("{}: the client gets {seen_fields:?} {seen_body:?}", self.name));
            }
        }
        let Some(Upstream { path, length, fields }) = &self.upstream else { return None };
        let Some((seen_path, seen_length, seen_fields)) = &seen.upstream else {
            return Some(format!("{}: the upstream gets nothing", self.name));
        };
        let is_same = path.as_ref().is_none_or(|path| path == seen_path)
            && length.is_none_or(|length| length == *seen_length)
            && are(fields, seen_fields);
        (!is_same).then(|| format!("{}: the upstream gets {:?}", self.name, seen.upstream))
    }
}

fn are(fields: &Fields, seen: &BTreeMap<String, String>) -> bool {
    fields.iter().all(|(name, value)| seen.get(name) == value.as_ref())
}

/// The table.
///
/// # Errors
/// It cannot be read.
pub fn table() -> Result<Vec<Row>> {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cases/host-behaviours.yaml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    serde_saphyr::from_str(&text).with_context(|| format!("`{}` is no table", path.display()))
}

/// The probe's configuration.
#[must_use]
pub fn configuration(rows: &[Row]) -> Value {
    let rows: serde_json::Map<String, Value> = rows.iter().map(|row| (row.name.clone(), json!(row.does))).collect();
    json!({ "rows": rows })
}

/// What the probe told of a row, in whatever log.
#[must_use]
pub fn lines<'a>(log: impl IntoIterator<Item = &'a str>, row: &str) -> Vec<String> {
    let begins = format!("probe {row}| ");
    log.into_iter().filter_map(|line| Some(line.split_once(&begins)?.1.trim_end().to_owned())).collect()
}

/// The probe, as `make build` leaves it behind.
#[must_use]
pub fn probe() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/wasm32-wasip1/release/probe.wasm")
}
