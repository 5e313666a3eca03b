//! What a target is to the jobs of one user and origin.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::row::{Reader, Writer, place};
use super::{Confirmed, Freshness, Moment, Row, SKEW, Stripes, freshness};
use crate::config::Bindings;
use crate::facts::{
    Admission, Affiliation, Entry, Features, Found, Grants, Hash, Holders, JobPush, Level, Link, Outbound, Permissions,
    ProjectId, ProjectPath, Role, Standing, Target, Visibility,
};

/// Admissions without an entry, by their place; the entry of a project and of a group follow.
const ADMISSIONS: [Admission; 4] = [Admission::Own, Admission::Open, Admission::Unlisted, Admission::LeftToForge];
const LINKS: [Link; 2] = [Link::Project, Link::Group];
const AFFILIATIONS: [Affiliation; 3] = [Affiliation::Internal, Affiliation::External, Affiliation::LeftToForge];
/// What is left to the forge.
const LEFT: u8 = u8::MAX;
const LEVELS: [Level; 3] = [Level::Disabled, Level::Members, Level::Enabled];

/// The lists of which rows hold places and that stand here.
pub(super) fn lists() -> String {
    format!("{ADMISSIONS:?} {LINKS:?} {AFFILIATIONS:?} {LEVELS:?}")
}

/// What is remembered of a target, under [`crate::lookup::target_key`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetRow {
    /// The key.
    pub key: Hash,
    /// What was found.
    pub found: Found,
    /// When its parts were looked up.
    pub confirmed: Confirmed,
}

impl Row for TargetRow {
    const TABLE: &'static str = "target";
    const SIZE: usize = 368;

    fn key(&self) -> Hash {
        self.key
    }

    fn write(&self, writer: &mut Writer) -> Option<()> {
        let Confirmed { projects, members, allowlists } = self.confirmed;
        for moment in [projects, members, allowlists] {
            writer.number(moment.0);
        }
        match &self.found {
            Found::Nothing => writer.byte(0),
            Found::Standing(standing) => {
                writer.byte(1);
                let role = |role| place(Role::ALL.iter().map(|(role, _, _)| *role), role);
                writer.byte(standing.role.as_ref().map_or(Some(LEFT), role)?);
                writer.byte(place(AFFILIATIONS.into_iter(), &standing.affiliation)?);
                write_admission(writer, standing.admission)?;
                writer.byte(u8::from(standing.outbound == Outbound::Unlisted));
                write_target(writer, &standing.target)?;
            }
            Found::Holders(holders) => {
                writer.byte(if matches!(holders, Holders::All(_)) { 2 } else { 3 });
                writer.byte(u8::try_from(holders.looked_at().len()).ok()?);
                holders.looked_at().iter().for_each(|project| writer.number(project.0));
            }
        }
        Some(())
    }

    fn read(key: Hash, reader: &mut Reader<'_>) -> Option<Self> {
        let mut moment = || reader.number().map(Moment);
        let confirmed = Confirmed { projects: moment()?, members: moment()?, allowlists: moment()? };
        let found = match reader.byte()? {
            0 => Found::Nothing,
            1 => {
                let role = known(reader.byte()?, |at| Role::ALL.get(at).map(|(role, _, _)| *role))?;
                let affiliation = *AFFILIATIONS.get(usize::from(reader.byte()?))?;
                let admission = read_admission(reader)?;
                let outbound = if reader.byte()? == 0 { Outbound::Open } else { Outbound::Unlisted };
                let target = read_target(reader)?;
                Found::Standing(Standing { role, affiliation, admission, outbound, target })
            }
            mark @ (2 | 3) => {
                let count = reader.byte()?;
                let projects: Vec<ProjectId> =
                    (0..count).map(|_| reader.number().map(ProjectId)).collect::<Option<_>>()?;
                let too_many = Holders::TooMany(projects.first().copied());
                Found::Holders(if mark == 2 { Holders::All(projects) } else { too_many })
            }
            _ => return None,
        };
        Some(Self { key, found, confirmed })
    }

    /// What no longer serves goes first, and so does what is not there any more, and who holds what: of that a job can ask
    /// for any amount. Among equals the oldest goes.
    fn rank(&self, config: &Bindings, now: Moment) -> (u8, u64) {
        let is_gone = freshness(config, self.confirmed.oldest(), now) == Freshness::Gone;
        let worth = match self.found {
            Found::Standing(_) if !is_gone => 1,
            Found::Standing(_) | Found::Holders(_) | Found::Nothing => 0,
        };
        (worth, self.confirmed.oldest().0)
    }

    fn seen(self, now: Moment) -> Self {
        Self { confirmed: self.confirmed.seen(now), ..self }
    }

    /// What is older than facts serve is what no decision rests on: to push that out takes nothing back.
    fn decides(&self, config: &Bindings, now: Moment) -> Stripes {
        let serves = self.confirmed.oldest().after(config.max_stale).after(SKEW) > now;
        if self.found != Found::Nothing && serves { Stripes::ALL } else { Stripes::NONE }
    }

    /// To be confirmed again is all that may happen to it.
    fn bears_out(&self, old: &Self) -> bool {
        self.found == old.found && self.confirmed.is_since(&old.confirmed)
    }

    /// The newer of two answers stands, whichever came last.
    fn over(self, old: Self) -> Self {
        if old.confirmed.oldest() > self.confirmed.oldest() { old } else { self }
    }
}

pub(super) fn write_target(writer: &mut Writer, target: &Target) -> Option<()> {
    let visibility = |one| place(Visibility::ALL.iter().map(|(visibility, _)| *visibility), one);
    writer.byte(target.visibility.as_ref().map_or(Some(LEFT), visibility)?);
    writer.byte(place(JobPush::ALL.iter().map(|(push, _)| *push), &target.job_push)?);
    for level in target.features.0 {
        writer.byte(place(LEVELS.into_iter(), &level)?);
    }
    writer.byte(u8::from(target.public_jobs));
    writer.byte(u8::from(target.archived));
    // A project without a name was not looked up, and what was not looked up is not remembered.
    writer.number(target.id?.0);
    writer.text(target.path.as_ref()?.as_str())
}

pub(super) fn read_target(reader: &mut Reader<'_>) -> Option<Target> {
    let visibility = known(reader.byte()?, |at| Visibility::ALL.get(at).map(|(one, _)| *one))?;
    let job_push = JobPush::ALL.get(usize::from(reader.byte()?))?.0;
    let mut features = Features::OPEN;
    for level in &mut features.0 {
        *level = *LEVELS.get(usize::from(reader.byte()?))?;
    }
    let (public_jobs, archived) = (reader.byte()? == 1, reader.byte()? == 1);
    let id = Some(ProjectId(reader.number()?));
    let path = Some(ProjectPath::parse(reader.text()?)?);
    Some(Target { id, path, visibility, features, job_push, public_jobs, archived })
}

fn write_admission(writer: &mut Writer, admission: Admission) -> Option<()> {
    let (entry, mark) = match admission {
        Admission::Listed(entry) => (Some(entry), ADMISSIONS.len()),
        Admission::Own | Admission::Open | Admission::Unlisted | Admission::LeftToForge => {
            (None, ADMISSIONS.iter().position(|one| *one == admission)?)
        }
    };
    writer.byte(u8::try_from(mark).ok()?);
    entry.map_or(Some(()), |entry| write_entry(writer, entry))
}

fn read_admission(reader: &mut Reader<'_>) -> Option<Admission> {
    let mark = usize::from(reader.byte()?);
    if mark == ADMISSIONS.len() { read_entry(reader).map(Admission::Listed) } else { ADMISSIONS.get(mark).copied() }
}

pub(super) fn write_entry(writer: &mut Writer, entry: Entry) -> Option<()> {
    writer.byte(place(LINKS.into_iter(), &entry.link)?);
    let granted = match entry.grants {
        Grants::Default => None,
        Grants::Only(permissions) => Some(permissions.bits()),
    };
    writer.byte(u8::from(granted.is_some()));
    writer.number(granted.unwrap_or_default().into());
    Some(())
}

pub(super) fn read_entry(reader: &mut Reader<'_>) -> Option<Entry> {
    let link = *LINKS.get(usize::from(reader.byte()?))?;
    let (is_limited, bits) = (reader.byte()? == 1, reader.number()?);
    let permissions = Permissions::of_bits(u32::try_from(bits).ok()?)?;
    Some(Entry { link, grants: if is_limited { Grants::Only(permissions) } else { Grants::Default } })
}

/// What a byte stands for, or that it is left to the forge.
fn known<T>(byte: u8, of_place: impl Fn(usize) -> Option<T>) -> Option<Option<T>> {
    if byte == LEFT { Some(None) } else { of_place(usize::from(byte)).map(Some) }
}
