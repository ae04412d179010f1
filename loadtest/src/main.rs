//! Measures a haoyuan node: throughput, latency, expiry, recovery. `README.md` says how to read it.
//!
//! ```text
//! throughput --spawns--> node (this binary again)      expiry, recovery: the service in-process
//!     '-- load: C connections x W in flight --QUIC--^
//! ```
//!
//! **Architecture invariant:** what is reported was measured or counted in this run. A figure that
//! cannot be had (of a node that is not our child, say) is `null`, never a guess.

mod arrivals;
mod certs;
mod clock;
mod compare;
mod crash;
mod draw;
mod expiry;
mod inside;
mod latency;
mod load;
mod market;
mod node;
mod open;
mod opening;
mod overload;
mod pipeline;
mod progress;
mod random;
mod recovery;
mod report;
mod series;
mod slow;
mod smoke;
mod soak;
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
    /// One request at a time, beside bare durable writes
    Latency(latency::Options),
    /// A draw: until it is decided, until its holds exist, and what it costs the others
    Draw(draw::Options),
    /// How late holds end that nobody confirmed
    Expiry(expiry::Options),
    /// How fast a store comes back, and what an appointment weighs
    Recovery(recovery::Options),
    /// SIGKILL under load, at bad moments, and again: fails where an answer is lost
    Crash(crash::Options),
    /// More than the node can do, open loop: what is accepted, how late, how even, how soon over
    Overload(overload::Options),
    /// People who come by their own clock, whatever is answered: latency without excuses
    Open(open::Options),
    /// Hours of the same: whether memory, disk and latency stay where they are
    Soak(soak::Options),
    /// Openings with a ring of scalpers: who gets the places, and who should
    Market(Box<market::Options>),
    /// Many sessions open in the same millisecond: nothing early, and what it costs the others
    Opening(opening::Options),
    /// What slow and silent clients cost the others, and what a connection weighs
    Slow(slow::Options),
    /// Every mix for a second: fails where anything is oversold, or nothing is sold
    Smoke(smoke::Options),
    /// haoyuan beside Redis and `PostgreSQL`, in turns, on this machine
    Compare(compare::Options),
    /// The node that `throughput` starts for itself
    #[command(hide = true)]
    Node(node::Options),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Throughput(options) => throughput::run(&options),
        Command::Latency(options) => latency::run(&options),
        Command::Draw(options) => draw::run(&options),
        Command::Expiry(options) => expiry::run(&options),
        Command::Recovery(options) => recovery::run(&options),
        Command::Crash(options) => crash::run(&options),
        Command::Overload(options) => overload::run(&options),
        Command::Open(options) => open::run(&options),
        Command::Market(options) => market::run(&options),
        Command::Opening(options) => opening::run(&options),
        Command::Slow(options) => slow::run(&options),
        Command::Soak(options) => soak::run(&options),
        Command::Smoke(options) => smoke::run(&options),
        Command::Compare(options) => compare::run(&options),
        Command::Node(options) => node::run(&options).map(|()| true),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => complain(&*failure),
    }
}

/// Prints a report: one JSON object, or a line for each of its fields.
#[expect(clippy::print_stdout, reason = "this is what the tool is for")]
fn print(report: &impl serde::Serialize, json: bool) -> Result<(), Failure> {
    match serde_json::to_value(report)? {
        serde_json::Value::Object(fields) if !json => {
            for (name, value) in fields {
                println!("{name:<32} {value}");
            }
        }
        other => println!("{other}"),
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "the command line says why it failed")]
fn complain(failure: &dyn std::error::Error) -> ExitCode {
    eprintln!("loadtest: {failure}");
    ExitCode::FAILURE
}
