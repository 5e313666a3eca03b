//! The demo: a story told through a running [`crate::stack`], and the decisions that jobscope makes on the way; or a
//! configuration and a world of one's own, to be tried.

mod client;
mod home;
mod image;
mod live;
mod offers;
mod own;
mod play;
mod print;
mod scene;
mod story;
mod summary;

use serde_json::json;

use crate::stack::Options;

pub use live::run;
pub use own::{Own, Wrong};
pub use play::{Report, StepReport, play};
pub use print::{Format, Paint, decision_line, print_step};
pub use story::Story;

/// The stack that the story is played on: as deployed, and Composer may read the index of a group.
#[must_use]
pub fn options() -> Options {
    Options { filter: vec![("/packages", json!({"index": "all-admitted"}))], ..Options::picked() }
}
