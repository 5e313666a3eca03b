//! Walks a configuration document and collects every error, each with its path.

use alloc::borrow::{Cow, ToOwned};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use serde_json::Value;
use serde_json::value::RawValue;

use super::VersionSource;
use super::choices::{self, Choice, SourceKind};
use super::endpoints::MOST;
use super::json::Members;
use super::keys::{KEYS, Key, Presence, ValueKind};
use super::nearest::{near, nearest as closest};
use super::projects::Selection;
use super::sources::Source;
use crate::facts::Host;
use crate::facts::Version;
use crate::rules::{Denials, RULES};

/// One thing that is wrong with a configuration document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The document cannot be read at all.
    #[error("expected a JSON object, found {found}")]
    Document {
        /// What stands there.
        found: String,
    },
    /// There is none, or an empty one, which Envoy hands over as none.
    #[error("there is no configuration, or an empty one: it stands under `config.configuration` of the filter")]
    Nothing,
    /// A key that the table does not have.
    #[error("{path}: unknown key{}", .meant.as_ref().map_or_else(String::new, |meant| format!(", did you mean `{meant}`")))]
    Unknown {
        /// Where it stands.
        path: String,
        /// The nearest key that the table has.
        meant: Option<Cow<'static, str>>,
    },
    /// A key that stands twice in an object: whoever reads on would have to choose.
    #[error("{path}: stands twice")]
    Twice {
        /// Where it stands.
        path: String,
    },
    /// A key that has no default and is not written.
    #[error("{path}: missing, expected {expected}")]
    Missing {
        /// Where it should stand.
        path: Cow<'static, str>,
        /// What should stand there.
        expected: String,
    },
    /// A value that is not what it must be.
    #[error("{path}: expected {expected}, found `{found}`")]
    Value {
        /// Where it stands.
        path: Cow<'static, str>,
        /// What should stand there.
        expected: String,
        /// What stands there, escaped and cut.
        found: String,
    },
}

/// One thing in a configuration that is legal, and probably not meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Where it stands.
    pub path: String,
    /// What it does, and what could be meant.
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.text)
    }
}

/// Every error of a document. Its `Display` gives one line for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.0.len() == 1 { "error" } else { "errors" };
        write!(f, "{} {noun} in the configuration", self.0.len())?;
        self.0.iter().try_for_each(|error| write!(f, "\n{error}"))
    }
}

impl core::error::Error for ConfigErrors {}

/// A document of which the top level is read.
pub(super) struct Document<'a> {
    /// Everything but the access rules.
    plain: Value,
    /// The access rules, which are many.
    access: Option<&'a RawValue>,
    /// Keys that stand twice.
    errors: Vec<ConfigError>,
}

/// Reads the text of a document.
pub(super) fn document(text: &[u8]) -> Result<Document<'_>, ConfigErrors> {
    let refuse = |found: String| ConfigErrors(alloc::vec![ConfigError::Document { found }]);
    let no_json = |error: &dyn fmt::Display| refuse(format!("text that is not JSON: {error}"));
    let text = core::str::from_utf8(text).map_err(|error| no_json(&error))?;
    if text.trim_ascii().is_empty() {
        let plain = Value::Object(serde_json::Map::new());
        return Ok(Document { plain, access: None, errors: alloc::vec![ConfigError::Nothing] });
    }
    let Ok(Members(members)) = serde_json::from_str(text) else {
        return Err(match serde_json::from_str::<Value>(text) {
            Ok(other) => refuse(format!("`{}`", shown(&other))),
            Err(error) => no_json(&error),
        });
    };
    let mut plain = serde_json::Map::new();
    let mut document = Document { plain: Value::Null, access: None, errors: Vec::new() };
    for (name, value) in members {
        if plain.contains_key(&name) || (name == ACCESS && document.access.is_some()) {
            document.errors.push(ConfigError::Twice { path: cut(&name) });
        } else if name == ACCESS {
            document.access = Some(value);
        } else {
            plain.insert(name, serde_json::from_str(value.get()).map_err(|error| no_json(&error))?);
        }
    }
    document.plain = Value::Object(plain);
    Ok(document)
}

/// The section of the access rules.
const ACCESS: &str = "access";

/// Takes values out of a document by their path.
pub(super) struct Reader<'a> {
    document: &'a Document<'a>,
    errors: Vec<ConfigError>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(document: &'a Document<'a>) -> Self {
        Self { document, errors: document.errors.clone() }
    }

    /// The access rules, as far as they are read here: not at all.
    pub(super) fn access(&self) -> Option<&'a RawValue> {
        self.document.access
    }

    /// Errors that somebody else found.
    pub(super) fn report(&mut self, errors: Vec<ConfigError>) {
        self.errors.extend(errors);
    }

    /// The result, once everything has been taken.
    pub(super) fn finish<T>(self, read: Option<T>) -> Result<T, ConfigErrors> {
        match read {
            Some(value) if self.errors.is_empty() => Ok(value),
            _ => Err(ConfigErrors(self.errors)),
        }
    }

    pub(super) fn refuse(&mut self, path: &'static str, expected: &str, found: &str) {
        self.errors.push(ConfigError::Value { path: path.into(), expected: expected.into(), found: cut(found) });
    }

    pub(super) fn refuse_unknown_keys(&mut self) {
        let mut unknown = Vec::new();
        walk(&self.document.plain, &mut String::new(), &mut unknown);
        self.errors.extend(
            unknown.into_iter().map(|path| ConfigError::Unknown { meant: nearest(&path).map(Cow::Borrowed), path }),
        );
    }

    pub(super) fn choice<T: Copy>(&mut self, path: &'static str, among: &Choice<T>) -> Option<T> {
        let place = self.place(path, among.words)?;
        among.values.get(place).copied()
    }

    /// The place of what is written among these words.
    fn place(&mut self, path: &'static str, words: &[&str]) -> Option<usize> {
        self.take(path, |_, value| {
            // `on` and `off` are YAML's way to write these.
            let name = value.as_bool().map_or(value.as_str(), |is_on| Some(if is_on { "on" } else { "off" }))?;
            words.iter().position(|word| *word == name)
        })
    }

    pub(super) fn choices<T: Copy>(&mut self, path: &'static str, among: &Choice<T>) -> Option<Vec<T>> {
        let expected = |_: &Value| format!("one of `{}`", among.words.join("`, `"));
        self.entries(path, 1, expected, |name| among.named(name.as_str()?))
    }

    pub(super) fn text(&mut self, path: &'static str) -> Option<String> {
        self.take(path, |_, value| value.as_str().filter(|text| !text.is_empty()).map(ToOwned::to_owned))
    }

    pub(super) fn authority(&mut self, path: &'static str) -> Option<String> {
        self.take(path, |_, value| {
            value.as_str().filter(|text| Host::of_authority(text.as_bytes()).is_some()).map(ToOwned::to_owned)
        })
    }

    /// A list of endpoints, of which none is read yet.
    pub(super) fn endpoints(&mut self, path: &'static str) -> Option<Vec<Value>> {
        self.take(path, |_, value| value.as_array().filter(|listed| listed.len() <= MOST).cloned())
    }

    /// A version, or the newest. A number loses the zero of 18.10, so that one and 18.1 are written in quotes.
    pub(super) fn version(&mut self, path: &'static str) -> Option<(Version, VersionSource)> {
        let stated = |version| (version, VersionSource::Configuration);
        self.take(path, |_, value| match value {
            Value::String(text) if text == "lookup" => Some((Version::NEWEST, VersionSource::Lookup)),
            Value::String(text) if text == "newest" => Some(stated(Version::NEWEST)),
            Value::String(text) => Version::parse(text).map(stated),
            Value::Number(number) => {
                let text = number.to_string();
                let text = if text.contains('.') { text } else { [&text, ".0"].concat() };
                Version::parse(&text).filter(|version| version.1 != 1 && version.1 != 10).map(stated)
            }
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        })
    }

    pub(super) fn hosts(&mut self, path: &'static str) -> Option<Vec<Host>> {
        let least = if let Some(ValueKind::Hosts(least)) = key(path).map(|key| key.kind) { least } else { 0 };
        let expected = |_: &Value| "a host name without port".into();
        self.entries(path, least, expected, |host| Host::parse(host.as_str()?.as_bytes()))
    }

    pub(super) fn selection(&mut self, path: &'static str) -> Option<Selection> {
        let expected = |_: &Value| "a project such as `apps/web`, `apps/**`, `**` or `!apps/legacy/**`".into();
        let names = self.entries(path, 0, expected, |name| {
            let name = name.as_str()?;
            Selection::of(core::iter::once(name)).map(|_| name.to_owned())
        })?;
        let chosen = Selection::of(names.iter().map(String::as_str))?;
        if chosen.is_empty() && !names.is_empty() {
            self.refuse(path, "a name without a `!`, since the others only take projects out", "none");
        }
        Some(chosen)
    }

    /// Rules that can be observed, by their places.
    pub(super) fn rules(&mut self, path: &'static str) -> Option<Vec<usize>> {
        let place = |name: &Value| {
            RULES.iter().position(|rule| Some(rule.id) == name.as_str() && rule.denials == Denials::Observable)
        };
        let expected = |name: &Value| {
            let name = name.as_str().unwrap_or_default();
            let ids = || RULES.iter().filter(|rule| rule.denials == Denials::Observable).map(|rule| rule.id);
            if RULES.iter().any(|rule| rule.id == name) {
                return "a rule that can be observed, since without this one nothing is judged".into();
            }
            format!("the id of a rule (nearest is `{}`)", closest(name, ids()).unwrap_or_default())
        };
        self.entries(path, 0, expected, place)
    }

    /// A list of at least so many. Each entry that is wrong is an error of its own.
    fn entries<T>(
        &mut self,
        path: &'static str,
        least: usize,
        expected: impl Fn(&Value) -> String,
        parse: impl Fn(&Value) -> Option<T>,
    ) -> Option<Vec<T>> {
        let read = self.take(path, |_, value| {
            let entries = value.as_array().filter(|entries| entries.len() >= least)?;
            let read = |entry| parse(entry).ok_or_else(|| (expected(entry), shown(entry)));
            Some(entries.iter().map(read).collect::<Vec<_>>())
        })?;
        let wrong = read.iter().enumerate().filter_map(|(at, entry)| Some((at, entry.as_ref().err()?)));
        self.errors.extend(wrong.map(|(at, (expected, found))| ConfigError::Value {
            path: format!("{path}[{at}]").into(),
            expected: expected.clone(),
            found: found.clone(),
        }));
        read.into_iter().map(Result::ok).collect()
    }

    /// A fact's source: one of three words, and under `list` what the configuration says of it. A list that nobody
    /// would read is refused.
    pub(super) fn source<T>(
        &mut self,
        path: &'static str,
        list: Option<&'static str>,
        parse: &dyn Fn(&Value) -> Option<T>,
    ) -> Option<Source<T>> {
        let from = self.choice(path, &choices::SOURCE)?;
        let says = from == SourceKind::Configuration;
        match list {
            Some(list) if !says && self.written(list).is_some() => {
                self.refuse(list, &format!("no such key unless `{path}` is `configuration`"), "a list");
                None
            }
            Some(list) if says => self.take(list, |_, value| parse(value)).map(Source::Configuration),
            _ if says => parse(&Value::Null).map(Source::Configuration),
            _ if from == SourceKind::Lookup => Some(Source::Lookup),
            _ => Some(Source::Forge),
        }
    }

    /// Notes that a key is missing which only some configurations need.
    pub(super) fn miss(&mut self, path: &'static str, expected: String) {
        self.errors.push(ConfigError::Missing { path: path.into(), expected });
    }

    pub(super) fn url_root(&mut self, path: &'static str) -> Option<String> {
        self.take(path, |_, value| {
            value.as_str().filter(|root| root.is_empty() || is_url_root(root)).map(ToOwned::to_owned)
        })
    }

    /// A path of our own; in it `None` where the text is empty.
    pub(super) fn own_path(&mut self, path: &'static str) -> Option<Option<String>> {
        self.take(path, |_, value| {
            let path = value.as_str().filter(|path| path.is_empty() || is_own_path(path))?;
            Some((!path.is_empty()).then(|| path.to_owned()))
        })
    }

    /// A name of the proxy's; in it `None` where the text is empty.
    pub(super) fn name(&mut self, path: &'static str) -> Option<Option<String>> {
        self.take(path, |_, value| value.as_str().map(|name| (!name.is_empty()).then(|| name.to_owned())))
    }

    /// The name of a variable; in it `None` where the text is empty.
    pub(super) fn environment_variable(&mut self, path: &'static str) -> Option<Option<String>> {
        self.take(path, |_, value| {
            let sound = |name: &&str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            let name = value.as_str().filter(sound)?;
            Some((!name.is_empty()).then(|| name.to_owned()))
        })
    }

    pub(super) fn count(&mut self, path: &'static str) -> Option<u32> {
        self.take(path, |kind, value| {
            let ValueKind::Count(least, most) = kind else { return None };
            whole(value).filter(|number| (least..=most).contains(number))
        })
    }

    pub(super) fn duration(&mut self, path: &'static str) -> Option<Duration> {
        self.take(path, |kind, value| {
            let ValueKind::Time(least, most) = kind else { return None };
            time(value.as_str()?).filter(|time| (least..=most).contains(time))
        })
    }

    /// What is written under a key.
    pub(super) fn written(&self, path: &str) -> Option<&'a Value> {
        path.split('.').try_fold(&self.document.plain, |at, name| at.get(name))
    }

    /// Takes what is written under a key, or its default. `parse` gets the key's kind, which bounds it.
    fn take<T>(&mut self, path: &'static str, parse: impl Fn(ValueKind, &Value) -> Option<T>) -> Option<T> {
        let (key, value) = self.value(path)?;
        let parsed = parse(key.kind, &value);
        if parsed.is_none() {
            self.refuse(key.path, &key.kind.expects(), &found(key.kind, &value));
        }
        parsed
    }

    /// A key, and what is written under it, or its default.
    fn value(&mut self, path: &'static str) -> Option<(&'static Key, Cow<'a, Value>)> {
        let Some(key) = key(path) else {
            self.errors.push(ConfigError::Unknown { path: path.to_owned(), meant: None });
            return None;
        };
        match (self.written(path), key.presence) {
            (Some(value), _) => Some((key, Cow::Borrowed(value))),
            (None, Presence::Default(text)) => Some((key, Cow::Owned(serde_json::from_str(text).unwrap_or_default()))),
            (None, Presence::Required) => {
                self.miss(key.path, key.kind.expects());
                None
            }
        }
    }
}

fn key(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// Collects the paths in `value` that no key has.
fn walk(value: &Value, path: &mut String, unknown: &mut Vec<String>) {
    let Value::Object(members) = value else {
        unknown.push(path.clone());
        return;
    };
    for (name, member) in members {
        let before = path.len();
        if before > 0 {
            path.push('.');
        }
        path.push_str(name);
        let is_key = key(path).is_some();
        let is_section =
            KEYS.iter().any(|key| key.path.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('.')));
        if is_section {
            walk(member, path, unknown);
        } else if !is_key {
            unknown.push(cut(path));
        }
        path.truncate(before);
    }
}

/// The key or section that was probably meant: one of the same section whose name begins with the other or is nearly it,
/// or one of that name in another.
fn nearest(path: &str) -> Option<&'static str> {
    let split = |path| -> (&str, &str) { str::rsplit_once(path, '.').unwrap_or(("", path)) };
    let (section, name) = split(path);
    let keys = || KEYS.iter().map(|key| key.path);
    let names = || keys().filter(|key| split(key).0 == section).map(|key| split(key).1);
    let key = |name: &str| keys().find(|key| split(key) == (section, name));
    let sections = || keys().filter_map(|key| key.split('.').next());
    let begins = |known: &&str| known.starts_with(name) || name.starts_with(*known);
    names()
        .find(begins)
        .or_else(|| near(name, names()))
        .and_then(key)
        .or_else(|| keys().find(|key| split(key).1 == name))
        .or_else(|| near(name, sections()).filter(|_| section.is_empty()))
}

/// Whether a path can be ours: spelled in one way, and not where clients of the forge go with a job's token.
fn is_own_path(path: &str) -> bool {
    let mut names = path.split('/').skip(1);
    let is_clients = names.next().is_some_and(|first| matches!(first, "api" | "v2" | "jwt"));
    is_url_root(path) && path.len() <= 255 && names.next().is_some() && !is_clients && !path.contains(".git")
}

fn is_url_root(root: &str) -> bool {
    root.strip_prefix('/').is_some_and(|rest| {
        rest.split('/').all(|segment| {
            !segment.is_empty()
                && !segment.trim_matches('.').is_empty()
                && segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        })
    })
}

/// A whole number; a protobuf `Struct` writes every number as a double.
fn whole(value: &Value) -> Option<u32> {
    if let Some(number) = value.as_u64() {
        return u32::try_from(number).ok();
    }
    let text = value.as_number()?.to_string();
    text.strip_suffix(".0")?.parse().ok()
}

fn time(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number.checked_mul(60)?)),
        "h" => Some(Duration::from_secs(number.checked_mul(3600)?)),
        _ => None,
    }
}

/// What was found where a value of this kind was expected. In place of a variable's name the secret itself may stand: not shown.
fn found(kind: ValueKind, value: &Value) -> String {
    match (kind, value) {
        (ValueKind::Variable, Value::String(_)) => "another text".into(),
        (ValueKind::Variable, _) => "no text".into(),
        _ => shown(value),
    }
}

pub(super) fn shown(value: &Value) -> String {
    cut(&value.to_string())
}

/// Printable, at most 60 characters: an error must not carry a document into a log.
pub(super) fn cut(text: &str) -> String {
    let mut shown: String = text.chars().flat_map(char::escape_debug).filter(|c| *c != '\\').take(60).collect();
    if text.chars().nth(60).is_some() {
        shown.push_str("...");
    }
    shown
}
