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

use crate::stack::{Behind, Delivery, Options};

pub use image::write as write_image;
pub use live::run;
pub use own::{Own, Wrong};
pub use play::{Report, StepReport, play};
pub use print::{Format, Paint, decision_line, print_step};
pub use story::Story;

/// A story, and the stack that it is played on.
pub struct Chapter {
    /// Its name: that of its file in `envoy/demo`.
    pub story: &'static str,
    /// How the stack is set up.
    pub stack: Options,
}

/// What is played unattended, in order; the last needs the lookup service, and is played when it is asked for.
#[must_use]
pub fn chapters() -> [Chapter; 3] {
    let observing = vec![("/mode", json!("observe")), ("/log", json!({"allows": "full"}))];
    let soon = vec![("/bindings/revalidate_after", json!("2s"))];
    [
        Chapter { story: "story", stack: options() },
        Chapter {
            story: "rollout",
            stack: Options { filter: observing, delivery: Delivery::Listener, ..Options::picked() },
        },
        Chapter { story: "identities", stack: Options { filter: soon, behind: Behind::Accounts, ..Options::picked() } },
    ]
}

/// The stack of the first story, and of `make run`: as deployed, and Composer may read the index of a group.
#[must_use]
pub fn options() -> Options {
    Options { filter: vec![("/packages", json!({"index": "all-admitted"}))], ..Options::picked() }
}
