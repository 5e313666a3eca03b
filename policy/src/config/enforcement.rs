//! Whose denials are carried out where decisions are: `enforce`, and `observe.targets`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Config;
use super::choices;
use super::projects::Selection;
use super::reader::{Reader, Warning};
use crate::choices::{Bodies, Mode};
use crate::facts::ProjectPath;

/// What is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Enforce {
    /// Denials of these targets.
    pub targets: Selection,
    /// Refusals of what cannot be read.
    pub unreadable: Mode,
    /// Denials of what no job may do anywhere.
    pub unlisted: Mode,
    /// Denials of what is asked of no single project that is known.
    pub many: Mode,
}

/// Whose matter a denial is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concern<'a> {
    /// That of a project of which this is the path.
    Project(&'a ProjectPath),
    /// That of a project which the request names so, and of which nothing else is known.
    Named(&'a ProjectPath),
    /// Nobody's: the request cannot be read.
    Unreadable,
    /// Nobody's: no job may do this anywhere.
    Unlisted,
    /// That of many, or of one that is not known.
    Many,
}

/// The switches of what concerns no single project.
const FAMILIES: [&str; 3] = ["enforce.unreadable", "enforce.unlisted", "enforce.many"];

impl Enforce {
    /// Takes its keys out of a document, and what of them is probably not meant.
    pub(super) fn read(reader: &mut Reader<'_>, mode: Option<Mode>) -> Option<(Self, Vec<Warning>)> {
        let targets = reader.selection("enforce.targets");
        let [unreadable, unlisted, many] = FAMILIES.map(|key| reader.choice(key, &choices::MODE));
        let written = ["enforce.targets", "enforce.unreadable", "enforce.unlisted", "enforce.many"]
            .into_iter()
            .find(|key| reader.written(key).is_some());
        let read = Self { targets: targets?, unreadable: unreadable?, unlisted: unlisted?, many: many? };
        let warnings = match (mode?, written) {
            (Mode::Observe, Some(key)) => Vec::from([Warning {
                path: key.into(),
                text: "changes nothing: with `mode: observe` nothing is carried out".into(),
            }]),
            (Mode::Observe, None) => Vec::new(),
            (Mode::Enforce, _) => read.suspicious(),
        };
        Some((read, warnings))
    }

    fn suspicious(&self) -> Vec<Warning> {
        let warn = |path: &str, text: String| Warning { path: path.into(), text };
        let mut warnings = Vec::new();
        if self.targets.is_empty() {
            warnings.push(warn("enforce.targets", "names no project: all denials of targets are only recorded".into()));
        }
        if !self.targets.names_all() {
            let families = FAMILIES.into_iter().zip([self.unreadable, self.unlisted, self.many]);
            warnings.extend(families.filter(|(_, mode)| *mode == Mode::Enforce).map(|(key, _)| {
                warn(key, "is carried out for jobs of every project, whatever `enforce.targets` names".into())
            }));
        }
        if self.unreadable == Mode::Observe && !self.targets.is_empty() {
            let text = "lets what can be read in two ways reach the projects of `enforce.targets`, too";
            warnings.push(warn("enforce.unreadable", text.into()));
        }
        warnings.extend(self.targets.idle().map(|name| {
            warn("enforce.targets", format!("`!{name}` takes nothing out: no other name of the list holds it"))
        }));
        warnings
    }

    /// What is not judged where bodies are left unread, and what cannot be read is only recorded: what ordinary clients send.
    pub(super) fn unjudged(&self, mode: Mode, bodies: Bodies) -> Option<Warning> {
        let is_unjudged = (mode, bodies, self.unreadable) == (Mode::Enforce, Bodies::Leave, Mode::Observe);
        let text = "`leave` beside `enforce.unreadable: observe` lets a job's forms, and requests with its token in the body \
                    alone, reach the projects of `enforce.targets` unjudged";
        (is_unjudged && !self.targets.is_empty()).then(|| Warning { path: "bodies".into(), text: text.into() })
    }
}

impl Config {
    /// Whether a denial is carried out.
    #[must_use]
    pub fn mode_of(&self, concern: Concern<'_>) -> Mode {
        let of_target = |path| if self.enforce.targets.hold(path) { Mode::Enforce } else { Mode::Observe };
        match (self.mode, concern) {
            (Mode::Observe, _) => Mode::Observe,
            (Mode::Enforce, Concern::Project(path)) if self.observe.targets.hold(path) => Mode::Observe,
            (Mode::Enforce, Concern::Project(path) | Concern::Named(path)) => of_target(path),
            (Mode::Enforce, Concern::Unreadable) => self.enforce.unreadable,
            (Mode::Enforce, Concern::Unlisted) => self.enforce.unlisted,
            (Mode::Enforce, Concern::Many) => self.enforce.many,
        }
    }
}
