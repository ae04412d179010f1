//! Measures a haoyuan node: throughput, latency, expiry, recovery. `README.md` says how to read it.
//!
//! ```text
//! throughput --spawns--> node (this binary again)      expiry, recovery: the service in-process
//!     '-- load: C connections x W in flight --QUIC--^
//! ```
//!
//! **Architecture invariant:** what is reported was measured or counted in this run. A figure that
//! cannot be had (of a node that is not our child, say) is `null`, never a guess.

mod certs;
mod clock;
mod load;
mod node;
mod pipeline;
mod random;
mod supply;
mod throughput;
mod usage;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What goes wrong in a measurement ends it: a sentence for who runs it.
type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, Parser)]
#[command(version, about = "Measures a haoyuan node")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Requests per second and their latency, closed loop, over QUIC
    Throughput(throughput::Options),
    /// The node that `throughput` starts for itself
    #[command(hide = true)]
    Node(node::Options),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Throughput(options) => throughput::run(&options),
        Command::Node(options) => node::run(&options).map(|()| true),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => complain(&*failure),
    }
}

#[expect(clippy::print_stderr, reason = "the command line says why it failed")]
fn complain(failure: &dyn std::error::Error) -> ExitCode {
    eprintln!("loadtest: {failure}");
    ExitCode::FAILURE
}
