//! Walks a configuration document and collects every error, each with its path.

use alloc::borrow::{Cow, ToOwned};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use serde_json::Value;
use serde_json::value::RawValue;

use super::choices::{self, Choice, SourceKind};
use super::json::Members;
use super::keys::{KEYS, Key, Presence, ValueKind};
use super::projects::Projects;
use super::sources::Source;
use crate::request::host::Host;
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
        self.take(path, |_, value| among.named(value.as_str()?))
    }

    pub(super) fn choices<T: Copy>(&mut self, path: &'static str, among: &Choice<T>) -> Option<Vec<T>> {
        self.take(path, |_, value| {
            let chosen: Option<Vec<T>> = value.as_array()?.iter().map(|name| among.named(name.as_str()?)).collect();
            chosen.filter(|chosen| !chosen.is_empty())
        })
    }

    pub(super) fn text(&mut self, path: &'static str) -> Option<String> {
        self.take(path, |_, value| value.as_str().filter(|text| !text.is_empty()).map(ToOwned::to_owned))
    }

    pub(super) fn authority(&mut self, path: &'static str) -> Option<String> {
        self.take(path, |_, value| {
            value.as_str().filter(|text| Host::of_authority(text.as_bytes()).is_some()).map(ToOwned::to_owned)
        })
    }

    pub(super) fn hosts(&mut self, path: &'static str) -> Option<Vec<Host>> {
        self.take(path, |kind, value| {
            let ValueKind::Hosts(least) = kind else { return None };
            let hosts: Option<Vec<Host>> =
                value.as_array()?.iter().map(|host| Host::parse(host.as_str()?.as_bytes())).collect();
            hosts.filter(|hosts| hosts.len() >= least)
        })
    }

    pub(super) fn projects(&mut self, path: &'static str) -> Option<Projects> {
        self.take(path, |_, value| {
            let names: Option<Vec<&str>> = value.as_array()?.iter().map(Value::as_str).collect();
            Projects::of(names?.into_iter())
        })
    }

    /// Rules that can be observed, by their places.
    pub(super) fn rules(&mut self, path: &'static str) -> Option<Vec<usize>> {
        let place = |name: &Value| {
            RULES.iter().position(|rule| Some(rule.id) == name.as_str() && rule.denials == Denials::Observable)
        };
        self.take(path, |_, value| value.as_array()?.iter().map(place).collect())
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
        let Some(key) = key(path) else {
            self.errors.push(ConfigError::Unknown { path: path.to_owned(), meant: None });
            return None;
        };
        let written = self.written(path);
        let parse = |value: &Value| parse(key.kind, value);
        let error = match (written, key.presence) {
            (Some(value), _) => match parse(value) {
                Some(parsed) => return Some(parsed),
                None => ConfigError::Value { path: key.path.into(), expected: key.kind.expects(), found: shown(value) },
            },
            (None, Presence::Default(text)) => match serde_json::from_str(text).ok().as_ref().and_then(&parse) {
                Some(parsed) => return Some(parsed),
                None => ConfigError::Value { path: key.path.into(), expected: key.kind.expects(), found: cut(text) },
            },
            (None, Presence::Required) => ConfigError::Missing { path: key.path.into(), expected: key.kind.expects() },
        };
        self.errors.push(error);
        None
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

/// The key that was probably meant: the same section, and one name begins with the other.
fn nearest(path: &str) -> Option<&'static str> {
    KEYS.iter().map(|key| key.path).find(|known| {
        let section = |p: &str| p.rsplit_once('.').map_or("", |(section, _)| section).len();
        section(path) == section(known) && (known.starts_with(path) || path.starts_with(known))
    })
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
    let text = value.as_f64()?.to_string();
    text.parse().ok()
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

fn shown(value: &Value) -> String {
    cut(&value.to_string())
}

/// Printable ASCII, at most 60 characters: an error must not carry a document into a log.
pub(super) fn cut(text: &str) -> String {
    let mut shown: String = text.chars().flat_map(char::escape_default).filter(|c| *c != '\\').take(60).collect();
    if text.len() > 60 {
        shown.push_str("...");
    }
    shown
}
