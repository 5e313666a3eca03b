//! What a target is to the jobs of one user and origin.

use alloc::vec::Vec;

use super::row::{Reader, Writer, place};
use super::{Moment, Row};
use crate::facts::{
    Admission, Affiliation, Features, Found, Hash, JobPush, Level, ProjectId, ProjectPath, Role, Standing, Target,
    Visibility,
};

const ADMISSIONS: [Admission; 5] =
    [Admission::Own, Admission::Project, Admission::Group, Admission::Open, Admission::Unlisted];
const LEVELS: [Level; 3] = [Level::Disabled, Level::Members, Level::Enabled];

/// What is remembered of a target, under [`crate::lookup::target_key`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetRow {
    /// The key.
    pub key: Hash,
    /// What was found.
    pub found: Found,
    /// When it was looked up.
    pub confirmed: Moment,
}

impl Row for TargetRow {
    const SIZE: usize = 352;

    fn key(&self) -> Hash {
        self.key
    }

    fn write(&self) -> Option<Vec<u8>> {
        let mut writer = Writer::new(Self::SIZE, self.key);
        writer.number(self.confirmed.0);
        match &self.found {
            Found::Nothing => writer.byte(0),
            Found::Standing(standing) => {
                let target = &standing.target;
                writer.byte(1);
                writer.byte(place(Role::ALL.iter().map(|(role, _, _)| *role), &standing.role)?);
                writer.byte(u8::from(standing.affiliation == Affiliation::External));
                writer.byte(place(ADMISSIONS.into_iter(), &standing.admission)?);
                writer.byte(place(Visibility::ALL.iter().map(|(visibility, _)| *visibility), &target.visibility)?);
                writer.byte(u8::from(target.job_push == JobPush::On));
                for level in target.features.0 {
                    writer.byte(place(LEVELS.into_iter(), &level)?);
                }
                writer.number(target.id.0);
                writer.text(target.path.as_str())?;
            }
        }
        writer.finish()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let key = reader.key()?;
        let confirmed = Moment(reader.number()?);
        let found = match reader.byte()? {
            0 => Found::Nothing,
            1 => {
                let role = Role::ALL.get(usize::from(reader.byte()?))?.0;
                let affiliation = if reader.byte()? == 0 { Affiliation::Internal } else { Affiliation::External };
                let admission = *ADMISSIONS.get(usize::from(reader.byte()?))?;
                let visibility = Visibility::ALL.get(usize::from(reader.byte()?))?.0;
                let job_push = if reader.byte()? == 1 { JobPush::On } else { JobPush::Off };
                let mut levels = [Level::Disabled; 9];
                for level in &mut levels {
                    *level = *LEVELS.get(usize::from(reader.byte()?))?;
                }
                let id = ProjectId(reader.number()?);
                let path = ProjectPath::parse(reader.text()?)?;
                let target = Target { id, path, visibility, features: Features(levels), job_push };
                Found::Standing(Standing { role, affiliation, admission, target })
            }
            _ => return None,
        };
        Some(Self { key, found, confirmed })
    }

    /// The oldest goes first.
    fn rank(&self) -> (u8, u64) {
        (0, self.confirmed.0)
    }

    /// The newer of two answers stands, whichever came last.
    fn over(self, old: Self) -> Self {
        if old.confirmed > self.confirmed { old } else { self }
    }
}
