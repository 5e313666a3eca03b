//! Which projects of a group hold something: a package, or anything.
//!
//! GitLab lists what its caller may see, so an answer counts only where the service account sees all: as an administrator,
//! or as a member of the group. Its search finds more than what was asked for, and what is not named so does not count.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{PAGES, encoded, get};
use crate::Config;
use crate::access::{Holding, Package, Sought};
use crate::facts::{Found, GroupRef, Holders, MOST_HOLDERS, ProjectId, Role, UserId};
use crate::failure::Failure;
use crate::lookup::answer::{Answer, Fields, Said};
use crate::lookup::source::Course;
use crate::lookup::{Account, Call, Progress, Value as Fact};
use crate::tree::Tree;

/// Looks up who holds something.
#[derive(Debug)]
pub(super) struct HoldersFlight {
    root: String,
    account: Account,
    holding: Arc<Holding>,
    /// What each call asked, by its number.
    asked: Vec<Asked>,
    outstanding: usize,
    holders: Vec<ProjectId>,
}

#[derive(Debug, Clone, Copy)]
enum Asked {
    /// Who the service account is.
    Myself,
    /// Its role in the group.
    Member(UserId),
    /// A page of a list.
    List(List, usize),
}

#[derive(Debug, Clone, Copy)]
enum List {
    Projects,
    /// Packages that the forge shows, and downloads.
    Shown,
    /// Packages that it downloads and does not show.
    Hidden,
}

impl HoldersFlight {
    pub(super) fn start(config: &Config, account: &Account, holding: Arc<Holding>) -> (Self, Progress) {
        let mut flight = Self {
            root: config.forge.relative_url_root.clone(),
            account: account.clone(),
            holding,
            asked: Vec::new(),
            outstanding: 0,
            holders: Vec::new(),
        };
        let lists: &[List] = match flight.package() {
            None => &[List::Projects],
            Some(_) => &[List::Shown, List::Hidden],
        };
        let lists = lists.iter().map(|list| Asked::List(*list, 1));
        let progress = flight.ask([Asked::Myself].into_iter().chain(lists));
        (flight, progress)
    }

    fn take(&mut self, call: usize, answer: &Answer<'_>) -> Result<Progress, Failure> {
        let asked = *self.asked.get(call).ok_or(Failure::Doubt)?;
        self.outstanding = self.outstanding.checked_sub(1).ok_or(Failure::Doubt)?;
        let more = match (asked, answer.said()?) {
            (Asked::Myself, Said::Yes(body)) => {
                let myself = Fields::of(&body)?;
                let member = Asked::Member(UserId(myself.number("id")?));
                let is_admin = myself.0.get("is_admin").and_then(Tree::as_bool) == Some(true);
                (!is_admin).then_some(member)
            }
            (Asked::Member(myself), Said::Yes(body)) => {
                let member = Fields::of(&body)?;
                let sees_all = Role::of_level(member.number("access_level")?) >= Role::Reporter;
                if member.number("id")? != myself.0 || !sees_all {
                    return Err(Failure::LookupRights);
                }
                None
            }
            (Asked::List(list, page), Said::Yes(body)) => {
                self.read(&body)?;
                let is_last = answer.next_page.is_none_or(<[u8]>::is_empty);
                if self.holders.len() > MOST_HOLDERS || (!is_last && page >= PAGES) {
                    return Ok(landed(Found::Holders(Holders::TooMany(self.holders.first().copied()))));
                }
                (!is_last).then_some(Asked::List(list, page.saturating_add(1)))
            }
            (Asked::List(..), Said::NotFound) => return Ok(landed(Found::Nothing)),
            (_, Said::Moved(_)) => return Err(Failure::LookupAnswer),
            (_, Said::Unauthorized | Said::Forbidden | Said::NotFound) => return Err(Failure::LookupRights),
        };
        let progress = self.ask(more);
        if self.outstanding > 0 {
            return Ok(progress);
        }
        Ok(landed(Found::Holders(Holders::of(core::mem::take(&mut self.holders)))))
    }

    /// Takes a page of a list. What comes behind too many is not looked at.
    fn read(&mut self, body: &Tree<'_>) -> Result<(), Failure> {
        for entry in body.as_array().ok_or(Failure::LookupAnswer)?.iter().map(Fields::of) {
            if self.holders.len() > MOST_HOLDERS {
                break;
            }
            let entry = entry?;
            let project = match self.package() {
                None => entry.number("id")?,
                // A positive sign that the forge knows the filter.
                Some(package) if entry.text("package_type")? != package.registry.name() => {
                    return Err(Failure::LookupAnswer);
                }
                Some(package) if !package.is_named(entry.text("name")?) => continue,
                Some(_) => entry.number("project_id")?,
            };
            if !self.holders.contains(&ProjectId(project)) {
                self.holders.push(ProjectId(project));
            }
        }
        Ok(())
    }

    fn package(&self) -> Option<&Package> {
        match &self.holding.sought {
            Sought::Everything | Sought::Owned => None,
            Sought::Package(package) | Sought::File(package) => Some(package),
        }
    }

    fn ask(&mut self, asks: impl IntoIterator<Item = Asked>) -> Progress {
        let mut calls = Vec::new();
        for asked in asks {
            calls.push((self.asked.len(), self.call(asked)));
            self.asked.push(asked);
        }
        self.outstanding = self.outstanding.saturating_add(calls.len());
        Progress::Going(calls)
    }

    fn call(&self, asked: Asked) -> Call {
        let group = match &self.holding.group {
            GroupRef::Path(path) | GroupRef::Namespace(path) => encoded(path.as_str()),
            GroupRef::Id(id) => format!("{}", id.0),
        };
        let path = match asked {
            Asked::Myself => "/user".into(),
            Asked::Member(myself) => format!("/groups/{group}/members/all/{}", myself.0),
            Asked::List(List::Projects, page) => format!(
                "/groups/{group}/projects?include_subgroups=true&with_shared=false&simple=true&per_page=100&page={page}"
            ),
            Asked::List(list @ (List::Shown | List::Hidden), page) => {
                let package = self.package();
                let registry = package.map_or("", |package| package.registry.name());
                let word = package.and_then(Package::word);
                let word = word.map_or_else(String::new, |word| format!("&package_name={}", encoded(word)));
                let status = if matches!(list, List::Hidden) { "&status=hidden" } else { "" };
                format!(
                    "/groups/{group}/packages?package_type={registry}{word}{status}&include_versionless=true&per_page=100&page={page}"
                )
            }
        };
        get(&self.root, &path, &self.account)
    }
}

impl Course for HoldersFlight {
    fn answer(&mut self, call: usize, answer: &Answer<'_>) -> Progress {
        self.take(call, answer).unwrap_or_else(|failure| Progress::Landed(Err(failure)))
    }
}

fn landed(found: Found) -> Progress {
    Progress::Landed(Ok(Fact::Target(found)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Registry;
    use crate::facts::{GroupId, GroupPath};
    use alloc::borrow::ToOwned;
    use alloc::string::ToString;

    const ADMIN: &str = r#"{"id":1,"is_admin":true}"#;

    fn config() -> Config {
        let document = r#"{"forge": {"hosts": ["h"], "relative_url_root": "/gitlab"}, "lookup": {"cluster": "c", "authority": "h", "credential_env": "E"}}"#;
        Config::parse(document.as_bytes()).unwrap()
    }

    fn npm(name: &str) -> Sought {
        Sought::Package(Package::new(Registry::Npm, [name.to_owned()]))
    }

    fn paths(progress: &Progress) -> Vec<(usize, String)> {
        let Progress::Going(calls) = progress else { panic!("{progress:?}") };
        calls.iter().map(|(number, call)| (*number, call.path.clone())).collect()
    }

    fn start(group: GroupRef, sought: Sought) -> (HoldersFlight, Vec<(usize, String)>) {
        let holding = Arc::new(Holding { group, sought });
        let (flight, progress) = HoldersFlight::start(&config(), &Account::ByProxy, holding);
        let paths = paths(&progress);
        (flight, paths)
    }

    fn libs() -> GroupRef {
        GroupRef::Path(GroupPath::parse("libs/team").unwrap())
    }

    fn reply<'a>(status: u16, body: &'a str, next_page: Option<&'a [u8]>) -> Answer<'a> {
        Answer { status: Some(status), next_page, location: None, body: body.as_bytes() }
    }

    fn listed(entries: &[(&str, u64)]) -> String {
        let entry = |(name, project): &(&str, u64)| {
            format!(r#"{{"name":"{name}","package_type":"npm","project_id":{project}}}"#)
        };
        format!("[{}]", entries.iter().map(entry).collect::<Vec<_>>().join(","))
    }

    fn found(progress: Progress) -> Result<Found, Failure> {
        let Progress::Landed(landed) = progress else { panic!("{progress:?}") };
        landed.map(|value| match value {
            Fact::Target(found) => found,
            Fact::Token(token) => panic!("{token:?}"),
        })
    }

    fn ids(ids: &[u64]) -> Result<Found, Failure> {
        Ok(Found::Holders(Holders::All(ids.iter().copied().map(ProjectId).collect())))
    }

    #[test]
    fn a_package_is_looked_for_among_those_that_are_shown_and_those_that_are_not() {
        let (_, calls) = start(libs(), npm("@Libs/tool"));
        let list = "/gitlab/api/v4/groups/libs%2Fteam/packages?package_type=npm&package_name=%40libs%2Ftool";
        let rest = "&include_versionless=true&per_page=100&page=1";
        let expected =
            ["/gitlab/api/v4/user".to_owned(), format!("{list}{rest}"), format!("{list}&status=hidden{rest}")];
        assert_eq!(calls, expected.into_iter().enumerate().collect::<Vec<_>>());
        let (_, calls) = start(GroupRef::Id(GroupId(7)), npm("ab"));
        assert!(calls[1].1.contains("/groups/7/packages?package_type=npm&include_versionless"), "{calls:?}");
        let (_, calls) = start(GroupRef::Id(GroupId(7)), Sought::Everything);
        assert!(calls.len() == 2 && calls[1].1.contains("/groups/7/projects?include_subgroups=true&with_shared=false"));
    }

    #[test]
    fn whoever_holds_a_package_of_that_very_name_counts_once_on_every_page_of_both_lists() {
        let (mut flight, _) = start(libs(), npm("@libs/tool"));
        assert!(paths(&flight.answer(0, &reply(200, ADMIN, None))).is_empty());
        let first = listed(&[("@libs/tool", 7), ("@Libs/Tool", 8), ("@libs/tools", 9), ("@libs/tool", 7)]);
        let more = paths(&flight.answer(1, &reply(200, &first, Some(b"2"))));
        assert!(more.len() == 1 && more[0].0 == 3 && more[0].1.ends_with("&page=2"), "{more:?}");
        assert!(paths(&flight.answer(2, &reply(200, &listed(&[("@libs/tool", 5)]), Some(b"")))).is_empty());
        let last = flight.answer(3, &reply(200, &listed(&[("@libs/tool", 6)]), None));
        assert_eq!(found(last), ids(&[5, 6, 7, 8]));
    }

    #[test]
    fn who_does_not_see_all_is_not_believed() {
        let nobody = "[]";
        let begun = || {
            let (mut flight, _) = start(libs(), npm("@libs/tool"));
            let _ = flight.answer(1, &reply(200, nobody, None));
            let _ = flight.answer(2, &reply(200, nobody, None));
            flight
        };
        assert_eq!(found(begun().answer(0, &reply(200, ADMIN, None))), ids(&[]));
        for (status, member, expected) in [
            (200, r#"{"id":1,"access_level":20}"#, ids(&[])),
            (200, r#"{"id":1,"access_level":15}"#, Err(Failure::LookupRights)),
            (200, r#"{"id":2,"access_level":50}"#, Err(Failure::LookupRights)),
            (404, r#"{"message":"404 Not found"}"#, Err(Failure::LookupRights)),
        ] {
            let mut flight = begun();
            for myself in [r#"{"id":1}"#, r#"{"id":1,"is_admin":false}"#, r#"{"id":1,"is_admin":"true"}"#] {
                let asked = paths(&flight.answer(0, &reply(200, myself, None)));
                assert!(asked[0].1.ends_with("/groups/libs%2Fteam/members/all/1"), "{asked:?}");
                flight = begun();
            }
            let asked = paths(&flight.answer(0, &reply(200, r#"{"id":1}"#, None)));
            assert_eq!(found(flight.answer(asked[0].0, &reply(status, member, None))), expected, "{member}");
        }
        assert_eq!(found(begun().answer(0, &reply(401, r#"{"message":"401"}"#, None))), Err(Failure::LookupRights));
    }

    #[test]
    fn what_is_more_than_is_looked_at_ends_the_lookup() {
        let names: Vec<(&str, u64)> = (1..=33).map(|project| ("tool", project)).collect();
        let (mut flight, _) = start(libs(), npm("tool"));
        let too_many = |first: Option<u64>| Ok(Found::Holders(Holders::TooMany(first.map(ProjectId))));
        assert_eq!(found(flight.answer(1, &reply(200, &listed(&names), None))), too_many(Some(1)));
        let (mut flight, _) = start(libs(), npm("tool"));
        let (mut call, page) = (1, listed(&[("tools", 1)]));
        for _ in 1..PAGES {
            call = paths(&flight.answer(call, &reply(200, &page, Some(b"2"))))[0].0;
        }
        assert_eq!(found(flight.answer(call, &reply(200, &page, Some(b"11")))), too_many(None));
    }

    #[test]
    fn a_group_that_is_not_there_holds_nothing_and_what_cannot_be_read_is_a_failure() {
        let first = |status, body: &str| {
            let (mut flight, _) = start(libs(), npm("tool"));
            found(flight.answer(1, &reply(status, body, None)))
        };
        assert_eq!(first(404, r#"{"message":"404 Group Not Found"}"#), Ok(Found::Nothing));
        assert_eq!(first(404, "<html>"), Err(Failure::LookupAnswer));
        assert_eq!(first(403, r#"{"message":"403 Forbidden"}"#), Err(Failure::LookupRights));
        for body in ["{}", "[7]", r#"[{"name":"tool","package_type":"npm"}]"#, r#"[{"name":"tool","project_id":7}]"#] {
            assert_eq!(first(200, body), Err(Failure::LookupAnswer), "{body}");
        }
        // A forge that passes over the filter.
        let other = listed(&[("tool", 7)]).replace("npm", "maven").to_string();
        assert_eq!(first(200, &other), Err(Failure::LookupAnswer));
    }
}
