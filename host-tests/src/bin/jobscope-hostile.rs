//! Reads rows of hostile requests with the core and with the compiled filter, and says which are read wrong.

use std::process::ExitCode;

use host_tests::hostile::{Document, Exceptions, run};
use host_tests::rows;

const ABOUT: &str = "Reads every row of a file twice, by the core and by the compiled filter, and compares it with what \
                     is expected. Exits with 1 when a row differs";

fn main() -> ExitCode {
    rows::main(ABOUT, Document::parse, Exceptions::parse, run)
}
