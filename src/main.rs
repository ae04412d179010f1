//! The `haoyuan` command: see `haoyuan::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    haoyuan::cli::main()
}
