//! `jobscope`: what the access rules say over a world, asked in the words of the clients.
//!
//! A skin: it reads files, asks [`questions`], and prints.

mod program;

use std::process::ExitCode;

fn main() -> ExitCode {
    program::run()
}
