//! The demo: a story told through a running [`crate::stack`], and the decisions that jobscope makes on the way.

mod client;
mod home;
mod image;
mod live;
mod play;
mod print;
mod story;

pub use live::run;
pub use play::{Report, StepReport, play};
pub use print::{Format, Paint, decision_line, print_step};
pub use story::Story;
