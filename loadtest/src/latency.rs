//! One client, one request at a time: what a durable answer costs beside a bare durable write.
//!
//! ```text
//! hold over QUIC, write 4 KiB + fdatasync, hold, write, hold, write ...   same disk, same minute
//! ```
//!
//! **Architecture invariant:** the two are interleaved, so that a slow minute of the disk is slow
//! for both.

#![expect(clippy::cast_precision_loss, reason = "microseconds of one request")]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use clap::Args;
use haoyuan::client::Lane;
use haoyuan::model::Role;
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::load::one_hold;
use crate::node::{Keep, child::Node};
use crate::random::Random;
use crate::supply::Supply;
use crate::{Failure, certs, clock, usage};

/// How latency is measured.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Requests, and as many bare writes
    #[arg(long, default_value_t = 2_000)]
    requests: u32,
    /// Where the node keeps its store, and the bare file is; a temporary folder if not given
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    request_p50_us: u64,
    request_p99_us: u64,
    write_p50_us: u64,
    write_p99_us: u64,
    /// Medians: a request over a bare write.
    ratio: f64,
    /// Medians: what a request takes longer.
    more_us: i64,
    requests: u32,
    folder: String,
    file_system: Option<String>,
}

/// The bare file: written over and over, so that no length changes.
const FILE_BLOCKS: u32 = 4_096;
const BLOCK: usize = 4_096;

/// Not counted: everything is new the first time.
const WARM: u32 = 100;

/// Runs the subcommand.
pub(crate) fn run(options: &Options) -> Result<bool, Failure> {
    let mut node = Node::start(options.data_dir.as_deref(), Keep::Commit, 2)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (requests, writes) = runtime.block_on(measure(options, &node))?;
    let at = |histogram: &Histogram<u64>, share| histogram.value_at_quantile(share);
    let (request, write) = (at(&requests, 0.5), at(&writes, 0.5));
    let report = Report {
        request_p50_us: request,
        request_p99_us: at(&requests, 0.99),
        write_p50_us: write,
        write_p99_us: at(&writes, 0.99),
        ratio: request as f64 / write.max(1) as f64,
        more_us: request.cast_signed() - write.cast_signed(),
        requests: options.requests,
        folder: node.folder().display().to_string(),
        file_system: usage::file_system(node.folder()),
    };
    node.stop()?;
    crate::print(&report, options.json)?;
    Ok(true)
}

async fn measure(
    options: &Options,
    node: &Node,
) -> Result<(Histogram<u64>, Histogram<u64>), Failure> {
    let supply = Supply::new(100, 40, 10_000);
    let lane = async |role| {
        let dialer = certs::dialer(&node.certs(), &[node.ready.address], role)?;
        Ok::<Lane, Failure>(Lane::open(&dialer.connect().await?, "loadtest").await?)
    };
    supply.open(&mut lane(Role::Admin).await?).await?;
    let mut lane = lane(Role::Gateway).await?;
    let file = bare_file(node)?;
    let block = [7; BLOCK];
    let mut random = Random::new(1);
    let histogram = || Histogram::new_with_bounds(1, 60_000_000, 3);
    let (mut requests, mut writes) = (histogram()?, histogram()?);
    for number in 0..options.requests + WARM {
        let request = one_hold(&supply, &mut random, number);
        let start = clock::now();
        lane.sender.queue(number, &request);
        lane.sender.flush().await?;
        let mut answered = false;
        while !answered {
            lane.receiver.receive(|correlation, _| answered = correlation == number).await?;
        }
        let took = clock::micros(start.elapsed());
        let start = clock::now();
        file.write_all_at(&block, u64::from(number % FILE_BLOCKS) * BLOCK as u64)?;
        file.sync_data()?;
        let wrote = clock::micros(start.elapsed());
        if WARM <= number {
            requests.saturating_record(took);
            writes.saturating_record(wrote);
        }
    }
    drop(lane);
    clock::linger().await;
    Ok((requests, writes))
}

fn bare_file(node: &Node) -> Result<File, Failure> {
    let file = File::create(node.folder().join("bare"))?;
    for block in 0..FILE_BLOCKS {
        file.write_all_at(&[0; BLOCK], u64::from(block) * BLOCK as u64)?;
    }
    file.sync_all()?;
    Ok(file)
}
