//! How rows are laid out, so that bytes that were written in another way are never read.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{tables, target};
use crate::facts::{Credential, Feature, Hash, Invalid, JobPush, Level, Permission, Role, Visibility};

/// The layout of rows. It changes whenever a row is written in another order, also where its size stays, and whenever who
/// writes one has to do more than before: filters of two versions share rows while one takes the other's place.
pub const LAYOUT: &str = "14";

/// What tables of this size are called by: a filter that lays rows out in another way has tables of its own. Rows hold
/// places in lists, so the lists are part of it, and changing one changes it.
#[must_use]
pub fn layout(capacity: u32) -> Hash {
    let lists = [
        Role::ALL.map(|(_, _, name)| name).join(" "),
        Visibility::ALL.map(|(_, name)| name).join(" "),
        Level::ALL.map(|(_, name)| name).join(" "),
        Feature::ALL.map(|(_, name)| name).join(" "),
        JobPush::ALL.map(|(_, name)| name).join(" "),
        Permission::ALL.map(|(_, name)| name).join(" "),
        Invalid::ALL.map(|(_, name)| name).join(" "),
        Credential::ALL.map(|(_, name)| name).join(" "),
        target::lists(),
    ];
    let sizes = tables(capacity).map(|table| format!("{} {} {}", table.name(), table.row(), table.buckets()));
    let all: Vec<String> = [LAYOUT.into()].into_iter().chain(lists).chain(sizes).collect();
    Hash::of(&[all.join("\n").as_bytes()])
}
