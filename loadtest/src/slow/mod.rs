//! What slow and silent clients cost: everybody else's goodput, and the node's memory.
//!
//! ```text
//! round:  node up -> load alone -> 2,000 slow peers gathered -> the same load -> node down
//!                    '------------- every other round the other way round ------'
//! memory: node up -> rest -> peers of one kind -> what each added
//! ```
//!
//! A peer is idle, or sends a byte of a long frame each second, or asks and never reads. Whoever is
//! cut off comes back at once.
//!
//! **Architecture invariant:** both loads of a round run against one node, minutes apart at most,
//! and the ratio is that of the medians over all rounds.

mod crowd;

use std::time::Duration;

use clap::Args;
use haoyuan::server::limits;
use serde::Serialize;

use self::crowd::{Crowd, Kind};
use crate::load::Mix;
use crate::node::{Keep, child::Node};
use crate::throughput;
use crate::{Failure, clock, usage};

/// How slow clients are measured.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Slow connections
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(3..=4_000))]
    connections: u32,
    /// Rounds, each with and without them
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// How long each load is measured
    #[arg(long, default_value_t = 5.0, value_name = "S")]
    seconds: f64,
    /// How long the slow ones are there before: over 30, as many are cut off as come back
    #[arg(long, default_value_t = 35.0, value_name = "S")]
    settle: f64,
    /// The greatest cost that is not a failure, in percent of the goodput
    #[arg(long, default_value_t = 10.0)]
    cost_max: f64,
    /// Where the nodes keep their stores; a temporary folder if not given
    #[arg(long, value_name = "DIR")]
    data_dir: Option<std::path::PathBuf>,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    /// Acknowledged holds per second: medians over the rounds.
    goodput_alone: f64,
    goodput_with_slow: f64,
    /// What the slow ones cost, in percent.
    cost_percent: f64,
    p99_alone_us: u64,
    p99_with_slow_us: u64,
    all_alone: Vec<f64>,
    all_with_slow: Vec<f64>,
    /// Slow connections that were open when the load began, the least of all rounds.
    slow_open: u64,
    /// Slow connections that were cut off and came back, over all rounds.
    slow_came_back: u64,
    /// Processors that the slow side kept busy while it was there without load.
    slow_settling_client_cpu: f64,
    slow_settling_node_cpu: f64,
    /// Processors that everybody else on this machine kept busy during the loads, at most. What
    /// slow peers cost is a fixed amount of work: on a busy machine its share says nothing.
    others_cpu: f64,
    /// Resident bytes that a connection adds to the node, by kind.
    idle_bytes: u64,
    trickling_bytes: u64,
    unread_bytes: u64,
    /// With every stream as full as it gets.
    worst_bytes: u64,
    connections: u32,
    rounds: u32,
    seconds: f64,
    processors: usize,
}

/// Peers in the rounds on memory.
const MEMORY_PEERS: [(Kind, u32); 4] =
    [(Kind::Idle, 2_000), (Kind::Trickling, 500), (Kind::Unread, 500), (Kind::Worst, 16)];

/// A node's memory has settled when it grows no more for so long.
const MEMORY_SETTLE: Duration = Duration::from_secs(2);

/// Processors for others from which on a measurement is doubtful.
const BUSY: f64 = 0.3;

/// What the documentation promises of one connection.
const WORST_BYTES_MAX: u64 = 23 << 20;

/// Runs the subcommand. `false` where the cost or the memory is beyond what is promised.
pub(crate) fn run(options: &Options) -> Result<bool, Failure> {
    let mut rounds = Rounds::default();
    for number in 0..options.rounds {
        rounds.add(options, number % 2 == 1)?;
    }
    let mut bytes = [0; 4];
    for (bytes, (kind, peers)) in bytes.iter_mut().zip(MEMORY_PEERS) {
        *bytes = memory(options, kind, peers)?;
    }
    let [idle_bytes, trickling_bytes, unread_bytes, worst_bytes] = bytes;
    let (alone, slow) = (median(&rounds.alone), median(&rounds.slow));
    let report = Report {
        goodput_alone: alone,
        goodput_with_slow: slow,
        cost_percent: (1.0 - slow / alone) * 100.0,
        p99_alone_us: median_of(&rounds.alone_p99),
        p99_with_slow_us: median_of(&rounds.slow_p99),
        all_alone: rounds.alone,
        all_with_slow: rounds.slow,
        slow_open: rounds.open,
        slow_came_back: rounds.came_back,
        slow_settling_client_cpu: rounds.client_cpu,
        slow_settling_node_cpu: rounds.node_cpu,
        others_cpu: rounds.others_cpu,
        idle_bytes,
        trickling_bytes,
        unread_bytes,
        worst_bytes,
        connections: options.connections,
        rounds: options.rounds,
        seconds: options.seconds,
        processors: usage::processors(),
    };
    crate::print(&report, options.json)?;
    if BUSY < report.others_cpu {
        progress("others kept this machine busy: measure the cost again on a quiet one");
    }
    Ok(report.cost_percent <= options.cost_max && report.worst_bytes <= WORST_BYTES_MAX)
}

/// What the rounds brought so far.
#[derive(Debug)]
struct Rounds {
    alone: Vec<f64>,
    slow: Vec<f64>,
    alone_p99: Vec<u64>,
    slow_p99: Vec<u64>,
    open: u64,
    came_back: u64,
    client_cpu: f64,
    node_cpu: f64,
    others_cpu: f64,
}

impl Default for Rounds {
    fn default() -> Self {
        Self {
            alone: Vec::new(),
            slow: Vec::new(),
            alone_p99: Vec::new(),
            slow_p99: Vec::new(),
            open: u64::MAX,
            came_back: 0,
            client_cpu: 0.0,
            node_cpu: 0.0,
            others_cpu: 0.0,
        }
    }
}

impl Rounds {
    fn add(&mut self, options: &Options, slow_first: bool) -> Result<(), Failure> {
        let mut node = Node::start(options.data_dir.as_deref(), Keep::Commit, 2)?;
        for slow in [slow_first, !slow_first] {
            let crowd = if slow { Some(self.gather(options, &node)?) } else { None };
            let load = throughput::Options {
                server: vec![node.ready.address],
                certs: Some(node.certs()),
                connections: 8,
                warmup: 1.0,
                sessions: 12_500,
                audit: false,
                ..throughput::Options::small(Mix::Hold, false, options.seconds)
            };
            let (others, start) = (others_cpu(&node), clock::now());
            let report = throughput::measure(&load)?;
            let others = (others_cpu(&node) - others) / start.elapsed().as_secs_f64();
            self.others_cpu = self.others_cpu.max(others);
            let kind = if slow { "with slow peers" } else { "alone" };
            progress(&format!("{:.0} holds/s {kind}", report.ops_per_second));
            if 0 < report.oversold {
                return Err("places were oversold".into());
            }
            let (rates, p99s) = if slow {
                (&mut self.slow, &mut self.slow_p99)
            } else {
                (&mut self.alone, &mut self.alone_p99)
            };
            rates.push(report.ops_per_second);
            p99s.push(report.p99_us);
            if let Some(crowd) = crowd {
                self.came_back += crowd.came_back();
                crowd.leave();
            }
        }
        node.stop()?;
        Ok(())
    }

    fn gather(&mut self, options: &Options, node: &Node) -> Result<Crowd, Failure> {
        let kinds = [Kind::Idle, Kind::Trickling, Kind::Unread];
        let crowd = Crowd::gather(node, options.connections, &kinds, limits::PEER_TIME_MAX)?;
        let cpu = |process| usage::cpu_seconds(process).unwrap_or_default();
        let before = (cpu(std::process::id()), cpu(node.process()), clock::now());
        clock::pause(Duration::from_secs_f64(options.settle));
        let seconds = before.2.elapsed().as_secs_f64().max(1e-3);
        self.client_cpu = (cpu(std::process::id()) - before.0) / seconds;
        self.node_cpu = (cpu(node.process()) - before.1) / seconds;
        self.open = self.open.min(crowd.open());
        Ok(crowd)
    }
}

/// Seconds of processor time that neither we nor the node have used.
fn others_cpu(node: &Node) -> f64 {
    let ours = |process| usage::cpu_seconds(process).unwrap_or_default();
    let all = usage::machine_cpu_seconds().unwrap_or_default();
    all - ours(std::process::id()) - ours(node.process())
}

/// What a connection of a kind adds to a node's memory.
fn memory(options: &Options, kind: Kind, peers: u32) -> Result<u64, Failure> {
    let mut node = Node::start(options.data_dir.as_deref(), Keep::Commit, 2)?;
    let resident = |node: &Node| usage::resident_bytes(node.process()).ok_or("no /proc");
    // The first connections make room that later ones use again.
    Crowd::gather(&node, 64, &[Kind::Idle], Duration::ZERO)?.leave();
    let before = resident(&node)?;
    let crowd = Crowd::gather(&node, peers, &[kind], Duration::ZERO)?;
    let mut after = resident(&node)?;
    // Peers that make the node wait are cut off after a while: what they held at most counts.
    for _ in 0..10 {
        clock::pause(MEMORY_SETTLE);
        let now = resident(&node)?;
        if now <= after + after / 100 {
            break;
        }
        after = now;
    }
    let open = crowd.open().max(1);
    progress(&format!("{open} {kind:?}: {before} -> {after} bytes"));
    crowd.leave();
    node.stop()?;
    Ok(after.saturating_sub(before) / open)
}

/// A run takes minutes: who waits sees how far it is.
#[expect(clippy::print_stderr, reason = "the report is on standard output")]
fn progress(line: &str) {
    eprintln!("loadtest: {line}");
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        even if even % 2 == 0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
        _ => sorted[middle],
    }
}

fn median_of(values: &[u64]) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert_eq!(median_of(&[9, 1, 5]), 5);
    }
}
