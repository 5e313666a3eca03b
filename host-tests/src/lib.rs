//! x

pub mod demo;
pub mod host;
pub mod hostile;
pub mod stack;
