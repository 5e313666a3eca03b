//! Decides the rows of a file of cases, and says which come out otherwise than they must.

use std::process::ExitCode;

fn main() -> ExitCode {
    host_tests::cases::main()
}
