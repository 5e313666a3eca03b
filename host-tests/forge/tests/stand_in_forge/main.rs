//! The stand-in forge as its clients see it: the program itself, with real git and git-lfs.

mod api;
mod git;
mod harness;
mod hostile;
mod runner;
