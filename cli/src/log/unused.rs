//! Entries of allowlists that nothing in a log needed.

use std::collections::BTreeSet;

use policy::rules::Reason;
use world::World;

use super::Line;

/// What a log needed of entries: who came where by one.
#[derive(Debug, Clone, Default)]
pub struct Used {
    /// Target and origin.
    pairs: BTreeSet<(String, String)>,
}

/// An entry that nobody used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unused {
    /// The project whose entry it is.
    pub target: String,
    /// Whom it lets in: a project, or a group with `/**`.
    pub names: String,
}

impl Used {
    /// Notes a line.
    pub fn note(&mut self, line: &Line) {
        if [Reason::Listed, Reason::GroupListed].iter().any(|reason| reason.code() == line.reason) {
            self.pairs.insert((line.target.to_ascii_lowercase(), line.origin.to_ascii_lowercase()));
        }
    }

    /// The entries of a world that nothing needed, by target. One for a group counts where it is the nearest to an origin.
    #[must_use]
    pub fn unused(&self, world: &World) -> Vec<Unused> {
        let mut unused = Vec::new();
        for target in &world.projects {
            let of_target = self.pairs.iter().filter(|(path, _)| path.eq_ignore_ascii_case(&target.path));
            let origins: Vec<&str> = of_target.map(|(_, origin)| origin.as_str()).collect();
            let projects = target.allowlist.projects.iter().filter_map(|id| world.project(*id));
            let projects: Vec<&str> = projects.map(|project| project.path.as_str()).collect();
            let groups = target.allowlist.groups.iter().filter_map(|id| world.group(*id));
            let groups: Vec<&str> = groups.map(|group| group.path.as_str()).collect();
            let is_within = |origin: &str, group: &str| {
                let (head, tail) = origin.split_at_checked(group.len()).unwrap_or_default();
                head.eq_ignore_ascii_case(group) && tail.starts_with('/')
            };
            // Of several groups above an origin the nearest one let it in.
            let by = |origin: &str| {
                groups.iter().copied().filter(|group| is_within(origin, group)).max_by_key(|group| group.len())
            };
            let is_named = |origin: &str| projects.iter().any(|path| path.eq_ignore_ascii_case(origin));
            let idle = projects.iter().filter(|path| !origins.iter().any(|origin| origin.eq_ignore_ascii_case(path)));
            let names = idle.map(|path| (*path).to_owned());
            let idle = groups
                .iter()
                .filter(|group| !origins.iter().any(|origin| !is_named(origin) && by(origin) == Some(**group)));
            let names = names.chain(idle.map(|group| format!("{group}/**")));
            unused.extend(names.map(|names| Unused { target: target.path.clone(), names }));
        }
        unused
    }
}
