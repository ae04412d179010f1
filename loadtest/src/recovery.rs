//! Recovery: how fast a store comes back, what an appointment weighs, and what a snapshot disturbs.
//!
//! ```text
//! fill N -> weigh -> close -> open from the journal -> snapshot beside a load -> close
//!                                                        -> open from the snapshot
//! ```
//!
//! **Architecture invariant:** every opening is of a store that was closed in order, by the same
//! call that a node starts with; the page cache is warm, and the report says so.

#![expect(clippy::cast_precision_loss, reason = "counts and bytes far below 2^52")]

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use haoyuan::model::Ttl;
use haoyuan::service::Service;
use serde::Serialize;

use crate::inside::{Booker, Place, beside, open, supply_for};
use crate::{Failure, clock, usage};

/// How recovery is measured.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Live appointments, a record of the journal each
    #[arg(long, default_value_t = 10_000_000)]
    records: u64,
    #[command(flatten)]
    place: Place,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    records: u64,
    fill_per_second: f64,
    resident_bytes_per_appointment: Option<f64>,
    journal_seconds: f64,
    journal_records_per_second: f64,
    snapshot_write_seconds: f64,
    snapshot_bytes: Option<u64>,
    snapshot_seconds: f64,
    /// Records after the snapshot, replayed in those seconds: the load's.
    snapshot_replayed: u64,
    hold_p99_us: u64,
    hold_p99_us_during_snapshot: u64,
    page_cache: &'static str,
    file_system: Option<String>,
}

/// How long the load runs alone, to compare with.
const BASELINE: Duration = Duration::from_secs(3);

/// Holds that the load takes meanwhile, at most.
const LOAD_ROOM: u64 = 10_000_000;

/// Runs the subcommand. `false` where the state that came back is not the one that was closed.
pub(crate) fn run(options: &Options) -> Result<bool, Failure> {
    let folder = options.place.folder()?;
    let supply = supply_for(options.records + LOAD_ROOM)?;
    let (service, _) = open(folder.path())?;
    let mut booker = Booker::new(&service, &supply, 1);
    booker.open_sessions()?;
    let resident = || usage::resident_bytes(std::process::id());
    let (empty, start) = (resident(), clock::now());
    booker.fill(options.records, |_, _| day())?;
    let fill = start.elapsed().as_secs_f64();
    let weight = resident().zip(empty).map(|(full, empty)| full.saturating_sub(empty) as f64);
    drop(booker);
    let digest = closed(service)?;

    let start = clock::now();
    let (service, journal) = open(folder.path())?;
    let journal_seconds = start.elapsed().as_secs_f64();
    let mut same = digest == service.digest();

    let mut booker = Booker::new(&service, &supply, 2);
    let (before, ()) = beside(&mut booker, || {
        clock::pause(BASELINE);
        Ok(())
    })?;
    let (meanwhile, (snapshot_write_seconds, snapshot_bytes)) = beside(&mut booker, || {
        let start = clock::now();
        let path = service.take_snapshot()?;
        let seconds = start.elapsed().as_secs_f64();
        Ok((seconds, path.and_then(|path| path.metadata().ok()).map(|file| file.len())))
    })?;
    service.journal().wait_pruned();
    drop(booker);
    let digest = closed(service)?;

    let start = clock::now();
    let (service, snapshot) = open(folder.path())?;
    let snapshot_seconds = start.elapsed().as_secs_f64();
    same &= digest == service.digest() && snapshot.snapshot.is_some();
    let report = Report {
        records: options.records,
        fill_per_second: options.records as f64 / fill,
        resident_bytes_per_appointment: weight.map(|bytes| bytes / options.records as f64),
        journal_seconds,
        journal_records_per_second: journal.replayed as f64 / journal_seconds,
        snapshot_write_seconds,
        snapshot_bytes,
        snapshot_seconds,
        snapshot_replayed: snapshot.replayed,
        hold_p99_us: before.value_at_quantile(0.99),
        hold_p99_us_during_snapshot: meanwhile.value_at_quantile(0.99),
        page_cache: "warm",
        file_system: usage::file_system(folder.path()),
    };
    service.close()?;
    crate::print(&report, options.json)?;
    Ok(same)
}

/// Closes a service and gives its memory back. Says what its state was.
fn closed(service: Arc<Service>) -> Result<[u8; 32], Failure> {
    let digest = service.digest();
    service.close()?;
    drop(service);
    Ok(digest)
}

/// Nothing is to expire in the middle.
fn day() -> Ttl {
    Ttl::from_millis(haoyuan::model::limits::TTL_MILLIS_MAX).unwrap_or(Ttl::DEFAULT)
}
