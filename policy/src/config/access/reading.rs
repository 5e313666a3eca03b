//! Reads rules, and collects every error with its path.

use alloc::borrow::{Cow, ToOwned};
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::value::RawValue;

use super::super::json;
use super::super::nearest::near;
use super::super::reader::{ConfigError, Warning, cut};
use super::actions::Actions;
use super::index::Index;
use super::keys::{RULE_KEYS, RuleKey, RuleValue, Use};
use super::names::Names;
use super::rule::{EVERY, Rule, RuleKind, Set};
use super::when::{Text, When};
use super::{AccessRules, Needs};
use crate::choices::Mode;

/// What was read so far.
pub(super) struct Reading {
    names: Names,
    ids: BTreeSet<Box<str>>,
    warnings: Vec<Warning>,
    pub(super) errors: Vec<ConfigError>,
}

/// An object that is read: a rule, or its conditions.
struct Object<'a> {
    kind: RuleKind,
    path: Cow<'a, str>,
    /// What stands before the names of its keys in the table.
    section: &'static str,
    members: Vec<(String, &'a RawValue)>,
}

impl Reading {
    pub(super) fn new() -> Self {
        let mut names = Names::default();
        let _every = names.admit("**");
        Self { names, ids: BTreeSet::new(), warnings: Vec::new(), errors: Vec::new() }
    }

    /// Reads the object that holds the four lists.
    pub(super) fn lists(mut self, value: Option<&RawValue>) -> (AccessRules, Vec<Warning>, Vec<ConfigError>) {
        let members = value.map_or_else(Vec::new, |value| {
            json::members(value).unwrap_or_else(|| {
                self.wrong("access", "an object with lists of rules", value.get());
                Vec::new()
            })
        });
        let known = || RuleKind::ALL.iter().map(|(_, name)| *name);
        let members = self.once("access", members, known);
        let mut read = |(kind, name): (RuleKind, &str)| {
            let list = members.iter().find(|(known, _)| known == name);
            Index::of(kind, list.map_or_else(Vec::new, |(_, value)| self.rules(kind, value)))
        };
        let [allow, deny, limit, outbound] = RuleKind::ALL.map(&mut read);
        self.names.settle();
        let denies = [&deny, &limit, &outbound].into_iter().any(Index::is_enforced);
        let conditions = || [&allow, &deny, &limit, &outbound].into_iter().flat_map(Index::conditions);
        let needs = Needs {
            protected: conditions().any(|when| when.protected.is_some()),
            environment: conditions().any(|when| when.environment.is_some()),
            fork: conditions().any(|when| when.fork.is_some()),
        };
        let rules = AccessRules { names: self.names, allow, deny, limit, outbound, denies, needs };
        (rules, self.warnings, self.errors)
    }

    fn rules(&mut self, kind: RuleKind, value: &RawValue) -> Vec<Rule> {
        let list = format!("access.{}", kind.name());
        let items = json::items(value).unwrap_or_else(|| {
            self.wrong(&list, "a list of rules", value.get());
            Vec::new()
        });
        items.iter().enumerate().filter_map(|(at, item)| self.rule(kind, format!("{list}[{at}]"), item)).collect()
    }

    fn rule(&mut self, kind: RuleKind, path: String, value: &RawValue) -> Option<Rule> {
        let object = self.object(kind, path.into(), "", value, "a rule")?;
        let id = self.field(&object, "id", Self::id);
        let mode = self.field(&object, "mode", Self::mode);
        let targets = match kind {
            RuleKind::Allow | RuleKind::Deny | RuleKind::Limit => self.field(&object, "targets", Self::projects),
            RuleKind::Outbound => self.field(&object, "targets", Self::projects_or_none),
        };
        let origins = self.field(&object, "origins", Self::projects);
        let actions = self.field(&object, "actions", Self::actions);
        let when = self.field(&object, "when", |reading, key, path, value| reading.when(kind, key, path, value));
        if kind == RuleKind::Deny && (&targets, &origins, &when) == (&Some(None), &Some(None), &Some(None)) {
            let text = "denies this in every project, to its own jobs too; say `targets: [\"**\"]` where that is meant";
            self.warnings.push(Warning { path: object.path.clone().into(), text: text.into() });
        }
        let every = || Set::of(alloc::vec![EVERY]);
        let rule = Rule {
            id: id??,
            mode: mode?.unwrap_or(Mode::Enforce),
            targets: targets?.unwrap_or_else(every),
            origins: origins?.unwrap_or_else(every),
            actions: actions?.unwrap_or_else(Actions::every),
            when: when?.map(Box::new),
        };
        if let Some((key, expected)) = kind.idle(&rule) {
            self.wrong(&format!("{}.{key}", object.path), expected, "all");
            return None;
        }
        Some(rule)
    }

    fn when(&mut self, kind: RuleKind, key: &RuleKey, path: &str, value: &RawValue) -> Option<When> {
        let object = self.object(kind, path.into(), "when.", value, key.kind.expects())?;
        if object.members.is_empty() {
            self.wrong(path, key.kind.expects(), value.get());
        }
        let git_ref = self.field(&object, "ref", Self::texts);
        let protected = self.field(&object, "protected", Self::flag);
        let environment = self.field(&object, "environment", Self::texts);
        let source = self.field(&object, "source", Self::texts);
        let fork = self.field(&object, "fork", Self::flag);
        Some(When { git_ref: git_ref?, protected: protected?, environment: environment?, source: source?, fork: fork? })
    }

    fn id(&mut self, key: &RuleKey, path: &str, value: &RawValue) -> Option<Box<str>> {
        let is_letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let is_sound = |id: &Cow<'_, str>| {
            id.len() <= 63 && id.bytes().all(|b| is_letter(b) || b == b'-') && id.bytes().next().is_some_and(is_letter)
        };
        let Some(id) = json::text(value).filter(is_sound) else {
            self.wrong(path, key.kind.expects(), value.get());
            return None;
        };
        if !self.ids.insert(id.as_ref().into()) {
            self.wrong(path, "an id that no other rule has", value.get());
        }
        Some(id.as_ref().into())
    }

    fn mode(&mut self, key: &RuleKey, path: &str, value: &RawValue) -> Option<Mode> {
        let mode = match json::text(value).as_deref() {
            Some("enforce") => Some(Mode::Enforce),
            Some("observe") => Some(Mode::Observe),
            Some(_) | None => None,
        };
        self.or_wrong(mode, key, path, value)
    }

    fn flag(&mut self, key: &RuleKey, path: &str, value: &RawValue) -> Option<bool> {
        self.or_wrong(json::flag(value), key, path, value)
    }

    fn projects(&mut self, key: &RuleKey, path: &str, value: &RawValue) -> Option<Set> {
        self.list(key, path, value, |reading, name| reading.names.admit(name)).map(Set::of)
    }

    fn projects_or_none(&mut self, key: &RuleKey, path: &str, value: &RawValue) -> Option<Set> {
        let is_none = json::items(value).is_some_and(|items| items.is_empty());
        if is_none { Some(Set::of(Vec::new())) } else { self.projects(key, path, value) }
    }

    fn actions(&mut self, key: &RuleKey, path: &str, value: &RawValue) -> Option<Actions> {
        let named = self.list(key, path, value, |_, name| Actions::named(name))?;
        Some(named.into_iter().fold(Actions::NONE, Actions::and))
    }

    fn texts(&mut self, key: &RuleKey, path: &str, value: &RawValue) -> Option<Box<[Text]>> {
        // As a branch's or tag's name it would never be met.
        let is_whole_ref = |text: &str| text.starts_with("refs/heads/") || text.starts_with("refs/tags/");
        let is_ref = key.path == "when.ref";
        let texts =
            self.list(key, path, value, |_, text| Text::parse(text).filter(|_| !(is_ref && is_whole_ref(text))));
        texts.map(Vec::into_boxed_slice)
    }

    /// A list of one or more texts.
    fn list<T>(
        &mut self,
        key: &RuleKey,
        path: &str,
        value: &RawValue,
        read: impl Fn(&mut Self, &str) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Some(items) = json::items(value).filter(|items| !items.is_empty()) else {
            self.wrong(path, key.kind.expects(), value.get());
            return None;
        };
        let mut all = Vec::with_capacity(items.len());
        for (at, item) in items.iter().enumerate() {
            let text = json::text(item);
            match text.as_deref().and_then(|text| read(self, text)) {
                Some(one) => all.push(one),
                None => self.wrong(&format!("{path}[{at}]"), &expects_one(key.kind, text.as_deref()), item.get()),
            }
        }
        (all.len() == items.len()).then_some(all)
    }

    /// What stands under a key: nothing where it may be left out, `None` where an error was found.
    #[expect(clippy::option_option, reason = "wrong, left out, and written are three things")]
    fn field<T>(
        &mut self,
        object: &Object<'_>,
        name: &str,
        read: impl FnOnce(&mut Self, &RuleKey, &str, &RawValue) -> Option<T>,
    ) -> Option<Option<T>> {
        let key = RULE_KEYS.iter().find(|key| key.path.strip_prefix(object.section) == Some(name))?;
        let path = || format!("{}.{name}", object.path);
        match object.members.iter().find(|(known, _)| known == name) {
            Some((_, value)) => read(self, key, &path(), value).map(Some),
            None if key.use_in(object.kind) == Use::Must => {
                self.errors.push(ConfigError::Missing { path: path().into(), expected: key.kind.expects().into() });
                None
            }
            None => Some(None),
        }
    }

    fn object<'a>(
        &mut self,
        kind: RuleKind,
        path: Cow<'a, str>,
        section: &'static str,
        value: &'a RawValue,
        expected: &str,
    ) -> Option<Object<'a>> {
        let Some(members) = json::members(value) else {
            self.wrong(&path, expected, value.get());
            return None;
        };
        let known = || {
            let keys = RULE_KEYS.iter().filter(|key| key.use_in(kind) != Use::Never);
            keys.filter_map(|key| key.path.strip_prefix(section)).filter(|name| !name.contains('.'))
        };
        let members = self.once(&path, members, known);
        Some(Object { kind, path, section, members })
    }

    /// The members with known names. What is unknown or stands twice is an error.
    fn once<'a, N: Iterator<Item = &'static str>>(
        &mut self,
        path: &str,
        members: Vec<(String, &'a RawValue)>,
        known: impl Fn() -> N,
    ) -> Vec<(String, &'a RawValue)> {
        let mut once: Vec<(String, &'a RawValue)> = Vec::new();
        for (name, value) in members {
            if !known().any(|known| known == name) {
                self.errors.push(ConfigError::Unknown {
                    path: format!("{path}.{}", cut(&name)),
                    meant: near(&name, known()).map(Cow::Borrowed),
                });
            } else if once.iter().any(|(before, _)| *before == name) {
                self.errors.push(ConfigError::Twice { path: format!("{path}.{name}") });
            } else {
                once.push((name, value));
            }
        }
        once
    }

    fn or_wrong<T>(&mut self, read: Option<T>, key: &RuleKey, path: &str, value: &RawValue) -> Option<T> {
        if read.is_none() {
            self.wrong(path, key.kind.expects(), value.get());
        }
        read
    }

    fn wrong(&mut self, path: &str, expected: &str, found: &str) {
        self.errors.push(ConfigError::Value {
            path: path.to_owned().into(),
            expected: expected.into(),
            found: cut(found),
        });
    }
}

/// What an item of a list must be.
fn expects_one(kind: RuleValue, found: Option<&str>) -> Cow<'static, str> {
    match (kind, found) {
        (RuleValue::Actions, Some(found)) => format!("an action (nearest is `{}`)", Actions::nearest(found)).into(),
        (RuleValue::Actions, None) => "an action such as `oci.pull` or `packages.*`".into(),
        (RuleValue::Projects, _) => "a project such as `apps/web`, `apps/**` or `**`".into(),
        (RuleValue::Texts, _) => "a text such as `main` or `release/*`, without `refs/heads/` and `refs/tags/`".into(),
        (RuleValue::Id | RuleValue::Mode | RuleValue::Conditions | RuleValue::Flag, _) => kind.expects().into(),
    }
}
