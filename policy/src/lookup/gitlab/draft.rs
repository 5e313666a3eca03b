//! What a target's flight knows so far: of each project that may be meant, what was remembered and what was answered.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::{OnceCell, RefCell};

use super::graphql::{Allowlist, gid};
use crate::access::TargetRef;
use crate::bindings::{Confirmed, Moment};
use crate::config::Sources;
use crate::facts::{
    Admission, Affiliation, Entry, Grants, Hash, Job, Known, Link, Origin, Outbound, Part, ProjectId, ProjectPath,
    Role, Standing, Target, Visibility,
};
use crate::failure::Failure;
use crate::lookup::{PartKey, Recall};

/// How a project is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reference {
    Path(ProjectPath),
    Id(ProjectId),
}

/// A project that may be meant.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) reference: Reference,
    /// The key of its project's number, and those of its parts, as far as they were made.
    number: OnceCell<Hash>,
    keys: RefCell<Vec<PartKey>>,
    /// It is elsewhere now, and not followed there.
    pub(super) is_gone: bool,
    /// The forge does not show its settings.
    pub(super) is_withheld: bool,
    /// The roles of those who must be allowed, as far as they are answered.
    roles: Vec<Role>,
    pub(super) allowlist: Allowlist,
    pub(super) older: Older,
}

/// What a forge before 17.10 says of an allowlist, whose entries grant everything.
#[derive(Debug, Default)]
pub(super) struct Older {
    pub(super) is_limited: bool,
    pub(super) by_project: bool,
    pub(super) by_group: bool,
    /// Its answers that are not in yet.
    pub(super) outstanding: usize,
}

/// Where the origin lets its jobs out to.
#[derive(Debug, Default)]
pub(super) struct OutboundList {
    pub(super) is_kept_in: Option<bool>,
    pub(super) named: Vec<String>,
    pub(super) is_withheld: bool,
}

/// A part that is known: of a place, or whatever the place.
#[derive(Debug)]
struct Held {
    at: Option<usize>,
    known: Known,
    /// When it was looked up, where it was remembered.
    since: Option<Moment>,
}

#[derive(Debug)]
pub(super) struct Draft {
    sources: Arc<Sources>,
    job: Arc<Job>,
    pub(super) is_image: bool,
    /// The projects that may be meant; of those that are there the first is.
    pub(super) places: Vec<Place>,
    pub(super) outbound: OutboundList,
    /// Whether each of those who must be allowed is external, as far as that is answered.
    externals: Vec<bool>,
    held: Vec<Held>,
    asked: Vec<(Option<usize>, Part)>,
    found: Option<usize>,
}

impl Reference {
    fn is(&self, origin: &Origin) -> bool {
        match self {
            Self::Path(path) => *path == origin.path,
            Self::Id(id) => *id == origin.id,
        }
    }

    fn key(&self) -> Hash {
        match self {
            Self::Path(path) => TargetRef::Path(path.clone()).key(),
            Self::Id(id) => TargetRef::Id(*id).key(),
        }
    }
}

impl Place {
    fn new(reference: Reference) -> Self {
        let (allowlist, older) = (Allowlist::default(), Older::default());
        let (number, keys) = (OnceCell::new(), RefCell::default());
        Self { reference, number, keys, is_gone: false, is_withheld: false, roles: Vec::new(), allowlist, older }
    }
}

/// A part that is the same for all places.
fn is_shared(part: Part) -> bool {
    match part {
        Part::External | Part::Enforcement => true,
        Part::Project | Part::Member | Part::Allowlist | Part::Outbound => false,
    }
}

impl Draft {
    pub(super) fn new(sources: Arc<Sources>, job: &Arc<Job>, references: Vec<Reference>, is_image: bool) -> Self {
        Self {
            sources,
            job: Arc::clone(job),
            is_image,
            places: references.into_iter().map(Place::new).collect(),
            outbound: OutboundList::default(),
            externals: Vec::new(),
            held: Vec::new(),
            asked: Vec::new(),
            found: None,
        }
    }

    /// Takes what is remembered. What lies behind a project that is there is not meant.
    pub(super) fn recall(&mut self, recall: Recall<'_>) {
        for at in 0..self.places.len() {
            // The project first: it says what else is wanted.
            for part in
                [Part::Project, Part::Member, Part::External, Part::Allowlist, Part::Enforcement, Part::Outbound]
            {
                if self.wanted(at).contains(&part)
                    && self.known(at, part).is_none()
                    && let Some((known, since)) = self.key(at, part).and_then(|key| recall(&key))
                    && known.part() == part
                {
                    self.held.push(Held { at: (!is_shared(part)).then_some(at), known, since: Some(since) });
                }
            }
            if matches!(self.project(at), Some(Some(_))) {
                self.places.truncate(at.saturating_add(1));
                break;
            }
        }
    }

    /// The parts of a place that are not known and were not asked for, which they now are.
    pub(super) fn take_missing(&mut self, at: usize) -> Vec<Part> {
        let mut missing = Vec::new();
        for part in self.wanted(at) {
            // One list tells of all places whether the origin lets its jobs out there.
            let asked = ((!is_shared(part) && part != Part::Outbound).then_some(at), part);
            if self.known(at, part).is_none() && !self.asked.contains(&asked) {
                self.asked.push(asked);
                missing.push(part);
            }
        }
        missing
    }

    /// Whether what is known of a project was remembered.
    pub(super) fn has_recalled_project(&self) -> bool {
        self.held.iter().any(|held| held.known.part() == Part::Project && held.since.is_some())
    }

    /// Takes what was answered of a place.
    pub(super) fn hold(&mut self, at: usize, known: Known) {
        self.held.push(Held { at: Some(at), known, since: None });
    }

    /// Takes what was answered, whatever the place.
    pub(super) fn hold_for_all(&mut self, known: Known) {
        self.held.push(Held { at: None, known, since: None });
    }

    /// The role of one of those who must be allowed. The least of all is what the job has.
    pub(super) fn hold_role(&mut self, at: usize, role: Role) -> Result<(), Failure> {
        let people = self.job.people().count();
        let roles = &mut self.places.get_mut(at).ok_or(Failure::Doubt)?.roles;
        roles.push(role);
        if let Some(least) = roles.iter().min().copied().filter(|_| roles.len() == people) {
            self.hold(at, Known::Member(least));
        }
        Ok(())
    }

    /// Whether one of those who must be allowed is external. One is enough.
    pub(super) fn hold_external(&mut self, is_external: bool) {
        self.externals.push(is_external);
        if self.externals.len() == self.job.people().count() {
            self.hold_for_all(Known::External(self.externals.contains(&true)));
        }
    }

    /// One more answer of an older forge about a place's allowlist is in.
    pub(super) fn hold_older(&mut self, at: usize) -> Result<(), Failure> {
        let place = self.places.get_mut(at).ok_or(Failure::Doubt)?;
        let Older { is_limited, by_project, by_group, outstanding } = &mut place.older;
        *outstanding = outstanding.checked_sub(1).ok_or(Failure::Doubt)?;
        if *outstanding > 0 || place.is_withheld {
            return Ok(());
        }
        let link = match (*by_project, *by_group) {
            (true, _) => Some(Link::Project),
            (false, true) => Some(Link::Group),
            (false, false) => None,
        };
        let entry = link.map(|link| Entry { link, grants: Grants::Default });
        let known = Known::Allowlist { is_limited: *is_limited, entry };
        self.hold(at, known);
        Ok(())
    }

    /// Nothing is meant.
    pub(super) fn forget_places(&mut self) {
        self.places.clear();
    }

    /// Another project is meant than was asked for, and nothing is known of it.
    pub(super) fn start_again(&mut self, id: ProjectId) {
        self.places = [Place::new(Reference::Id(id))].into();
        self.outbound = OutboundList::default();
        self.externals.clear();
        self.held.clear();
        self.asked.clear();
    }

    /// Whether no project that may be meant is there.
    pub(super) fn is_nowhere(&self) -> bool {
        self.places.iter().enumerate().all(|(at, place)| place.is_gone || matches!(self.project(at), Some(None)))
    }

    /// The project that is meant, once it is known of all that may be whether they are there.
    pub(super) fn find(&mut self) -> Result<Option<(usize, Target)>, Failure> {
        for (at, place) in self.places.iter().enumerate().filter(|(_, place)| !place.is_gone) {
            match (self.project(at), &place.reference) {
                (None, _) => return Err(Failure::Doubt),
                (Some(None), _) => {}
                // A positive sign that the answer is about the project that was asked for.
                (Some(Some(target)), Reference::Id(id)) if target.id != Some(*id) => return Err(Failure::LookupAnswer),
                (Some(Some(target)), _) => {
                    let found = (at, target.clone());
                    self.found = Some(at);
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    /// What the project at a place is to the job. Called when all that is wanted of it was asked.
    pub(super) fn standing(&mut self, at: usize, mut target: Target) -> Result<Standing, Failure> {
        let has_user = self.job.user.is_some();
        // What nobody answered is not taken for a "no": without a user there is nobody to ask about.
        let role = match self.known(at, Part::Member) {
            _ if !self.sources.membership.is_lookup() => None,
            Some(Known::Member(role)) => Some(*role),
            _ if !has_user => Some(Role::None),
            // It moved between the answers.
            Some(_) | None => return Err(Failure::LookupAnswer),
        };
        let affiliation = match self.known(at, Part::External) {
            _ if !self.sources.external.is_lookup() => Affiliation::LeftToForge,
            Some(Known::External(true)) => Affiliation::External,
            Some(Known::External(false)) => Affiliation::Internal,
            _ if !has_user => Affiliation::Internal,
            Some(_) | None => return Err(Failure::Doubt),
        };
        let admission = self.admission(at, &target)?;
        let outbound = self.let_out(at, &target)?;
        if !self.sources.visibility.is_lookup() {
            target.visibility = None;
        }
        Ok(Standing { role, affiliation, admission, outbound, target })
    }

    /// What was learned, to be remembered. Of a place without a project that alone is.
    pub(super) fn learned(&self) -> Vec<(PartKey, Known)> {
        let new = self.held.iter().filter(|held| held.since.is_none());
        // Between two answers another project may have come to a path.
        let is_sound = |at: usize, part: Part| match (self.project(at), self.places.get(at)) {
            (Some(Some(target)), Some(place)) => part != Part::Allowlist || place.allowlist.is_of(target),
            _ => part == Part::Project,
        };
        let sound = new.filter(|held| held.at.is_none_or(|at| is_sound(at, held.known.part())));
        sound
            .filter_map(|held| Some((self.key(held.at.unwrap_or(0), held.known.part())?, held.known.clone())))
            .collect()
    }

    /// How old what was found is, when the flight began then.
    pub(super) fn confirmed(&self, began: Moment) -> Confirmed {
        let counts = |held: &&Held| held.at.is_none() || held.at == self.found || held.known.part() == Part::Project;
        let older = self.held.iter().filter(counts).filter_map(|held| Some((held.known.part(), held.since?)));
        older.fold(Confirmed::at(began), |confirmed, (part, since)| confirmed.with(part.lifetime(), since))
    }

    /// The parts that matter of a place, as far as is known what does.
    fn wanted(&self, at: usize) -> Vec<Part> {
        let Some(place) = self.places.get(at).filter(|place| !place.is_gone) else { return Vec::new() };
        let target = match self.project(at) {
            Some(None) => return Vec::new(),
            Some(Some(target)) => Some(target),
            None => None,
        };
        let is_own = target.map_or(place.reference.is(&self.job.origin), |target| self.is_own(target));
        let is_limited = matches!(self.known(at, Part::Allowlist), Some(Known::Allowlist { is_limited: true, .. }));
        let (sources, has_user) = (&self.sources, self.job.user.is_some());
        [
            (Part::Project, true),
            (Part::Member, sources.membership.is_lookup() && has_user),
            (Part::External, sources.external.is_lookup() && has_user),
            // The origin admits its own jobs whatever its allowlist says.
            (Part::Allowlist, sources.allowlists.is_lookup() && !is_own),
            (Part::Enforcement, sources.allowlists.is_lookup() && !is_own && !is_limited),
            (Part::Outbound, sources.outbound.is_lookup() && !is_own && target.is_none_or(is_private)),
        ]
        .into_iter()
        .filter_map(|(part, is_wanted)| is_wanted.then_some(part))
        .collect()
    }

    fn is_own(&self, target: &Target) -> bool {
        target.id == Some(self.job.origin.id)
    }

    /// Whether the target admits the origin.
    fn admission(&self, at: usize, target: &Target) -> Result<Admission, Failure> {
        if self.is_own(target) {
            return Ok(Admission::Own);
        }
        if !self.sources.allowlists.is_lookup() {
            return Ok(Admission::LeftToForge);
        }
        let place = self.places.get(at).ok_or(Failure::Doubt)?;
        let Some(Known::Allowlist { is_limited, entry }) = self.known(at, Part::Allowlist) else {
            return Err(if place.is_withheld { Failure::LookupRights } else { Failure::Doubt });
        };
        if !place.allowlist.is_of(target) {
            return Err(Failure::LookupAnswer);
        }
        let is_enforced = match (is_limited, self.known(at, Part::Enforcement)) {
            (true, _) => true,
            (false, Some(Known::Enforcement(is_enforced))) => *is_enforced,
            (false, _) => return Err(Failure::Doubt),
        };
        Ok(match entry {
            _ if !is_enforced => Admission::Open,
            Some(entry) => Admission::Listed(*entry),
            None => Admission::Unlisted,
        })
    }

    /// Whether the origin lets its jobs out to the target.
    fn let_out(&mut self, at: usize, target: &Target) -> Result<Outbound, Failure> {
        if !self.wanted(at).contains(&Part::Outbound) {
            return Ok(Outbound::Open);
        }
        let is_let_out = match (self.known(at, Part::Outbound), self.outbound.is_kept_in) {
            (Some(Known::Outbound(is_let_out)), _) => *is_let_out,
            (_, None | Some(true)) if self.outbound.is_withheld => return Err(Failure::LookupRights),
            (_, None) => return Err(Failure::Doubt),
            (_, Some(is_kept_in)) => {
                let own = gid(target.id.ok_or(Failure::Doubt)?);
                let is_let_out = !is_kept_in || self.outbound.named.contains(&own);
                self.hold(at, Known::Outbound(is_let_out));
                is_let_out
            }
        };
        Ok(if is_let_out { Outbound::Open } else { Outbound::Unlisted })
    }

    fn known(&self, at: usize, part: Part) -> Option<&Known> {
        let known = self.held.iter().filter(|held| held.at.is_none_or(|of| of == at)).map(|held| &held.known);
        known.into_iter().find(|known| known.part() == part)
    }

    /// What stands at a place; `None` while that is not known.
    fn project(&self, at: usize) -> Option<Option<&Target>> {
        match self.known(at, Part::Project)? {
            Known::Project(project) => Some(project.as_ref()),
            Known::Member(_)
            | Known::External(_)
            | Known::Allowlist { .. }
            | Known::Enforcement(_)
            | Known::Outbound(_) => None,
        }
    }

    /// How what does not say whose it is names a place: by its project's number, once that is known.
    pub(super) fn named(&self, at: usize) -> Option<Reference> {
        self.subject(at).or_else(|| self.places.get(at).map(|place| place.reference.clone()))
    }

    /// The project at a place, by its number. Another may come to its path, and what is known of the one says nothing of the
    /// other.
    fn subject(&self, at: usize) -> Option<Reference> {
        match &self.places.get(at)?.reference {
            Reference::Id(id) => Some(Reference::Id(*id)),
            Reference::Path(_) => self.project(at)??.id.map(Reference::Id),
        }
    }

    /// The key of a part. It is needed where that is remembered and again where it was learned, and made once.
    fn key(&self, at: usize, part: Part) -> Option<PartKey> {
        let place = self.places.get(at)?;
        let mut keys = place.keys.try_borrow_mut().ok()?;
        if let Some(key) = keys.iter().find(|key| key.part == part) {
            return Some(*key);
        }
        let reference = match part {
            Part::Project => place.reference.key(),
            // No project is named by these.
            Part::External | Part::Enforcement => Hash([0; 32]),
            Part::Member | Part::Allowlist | Part::Outbound => {
                let number = self.subject(at)?;
                *place.number.get_or_init(|| number.key())
            }
        };
        let key = PartKey::of(part, &self.job, &reference);
        keys.push(key);
        Some(key)
    }
}

fn is_private(target: &Target) -> bool {
    !matches!(target.visibility, Some(Visibility::Public | Visibility::Internal))
}
