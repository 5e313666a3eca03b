//! Asks rows of what a forge decides on a job token, and says which are decided otherwise here.

use std::process::ExitCode;

use host_tests::conformance::{Document, Exceptions, run};
use host_tests::rows;

const ABOUT: &str = "Decides every row of a file twice, by the core and by the compiled filter, and compares it with \
                     what the forge does. Exits with 1 when a row differs";

fn main() -> ExitCode {
    rows::main(ABOUT, Document::parse, Exceptions::parse, run)
}
