//! Expiry: how late holds end that nobody confirmed, and what a second with a million of them does.
//!
//! ```text
//! uniform:  N holds due over 15 min    -> watched for a while, beside a load of new holds
//! burst:    M holds due in one second  -> until all are ended; the load before and meanwhile
//! ```
//!
//! **Architecture invariant:** the clock is the real one, and the ticker is the node's.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use haoyuan::model::{Timestamp, Ttl};
use haoyuan::service::Service;
use serde::Serialize;

use crate::inside::{Booker, Place, beside, open, supply_for};
use crate::random::Random;
use crate::{Failure, clock, node, usage};

/// How expiry is measured.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Pending holds with deadlines spread evenly
    #[arg(long, default_value_t = 10_000_000)]
    holds: u64,
    /// Over how many seconds their deadlines are spread
    #[arg(long, default_value_t = 900, value_name = "S")]
    span: u32,
    /// For how many seconds expiry is watched; the store is left before the rest is due
    #[arg(long, default_value_t = 60, value_name = "S")]
    watch: u32,
    /// Holds that are due within one second
    #[arg(long, default_value_t = 1_000_000)]
    burst: u64,
    #[command(flatten)]
    place: Place,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    /// Of the uniform part: ends of buckets, powers of two, that the share is below.
    lag_p50_ms_below: Option<u64>,
    lag_p99_ms_below: Option<u64>,
    expired: u64,
    load_p99_us: u64,
    /// Of the burst: from the first deadline to the last end, so 1 s at least.
    burst_drain_seconds: f64,
    burst_load_p99_us: u64,
    burst_load_p99_us_before: u64,
    holds: u64,
    burst: u64,
    span_seconds: u32,
    file_system: Option<String>,
}

/// Seconds to take holds in before the first is due; a slower machine ends some early, and counts
/// them all the same.
fn lead_seconds(holds: u64) -> u64 {
    3 + holds / 300_000
}

/// How long the load runs alone, to compare with.
const BASELINE: Duration = Duration::from_secs(3);

/// A burst that is not over by then never will be.
const DRAIN_MAX: Duration = Duration::from_mins(2);

/// Runs the subcommand.
pub(crate) fn run(options: &Options) -> Result<bool, Failure> {
    let folder = options.place.folder()?;
    let (service, _) = open(folder.path())?;
    // The load takes places too, for as long as anything is watched.
    let room = u64::from(options.watch) * 200_000 + 5_000_000;
    let supply = supply_for(options.holds + options.burst + room)?;
    let mut booker = Booker::new(&service, &supply, 1);
    booker.open_sessions()?;
    node::start_ticker(&service);
    let mut report = Report {
        lag_p50_ms_below: None,
        lag_p99_ms_below: None,
        expired: 0,
        load_p99_us: 0,
        burst_drain_seconds: 0.0,
        burst_load_p99_us: 0,
        burst_load_p99_us_before: 0,
        holds: options.holds,
        burst: options.burst,
        span_seconds: options.span,
        file_system: usage::file_system(folder.path()),
    };
    burst(options, &service, &mut booker, &mut report)?;
    uniform(options, &service, &mut booker, &mut report)?;
    service.close()?;
    crate::print(&report, options.json)?;
    Ok(true)
}

fn burst(
    options: &Options,
    service: &Arc<Service>,
    booker: &mut Booker,
    report: &mut Report,
) -> Result<(), Failure> {
    let lead = (lead_seconds(options.burst) + BASELINE.as_secs()) * 1_000;
    let due = clock::wall().plus_millis(lead);
    booker.fill(options.burst, until(due, 1_000))?;
    let (before, ()) = beside(booker, || {
        pause_until(due.minus_millis(20));
        Ok(())
    })?;
    let start = service.stats().expired;
    let (meanwhile, seconds) = beside(booker, || {
        pause_until(due);
        let begun = clock::now();
        while service.stats().expired - start < options.burst {
            if DRAIN_MAX < begun.elapsed() {
                return Err("the burst was not ended within two minutes".into());
            }
            clock::pause(Duration::from_millis(5));
        }
        Ok(begun.elapsed().as_secs_f64())
    })?;
    report.burst_drain_seconds = seconds;
    report.burst_load_p99_us = meanwhile.value_at_quantile(0.99);
    report.burst_load_p99_us_before = before.value_at_quantile(0.99);
    Ok(())
}

fn uniform(
    options: &Options,
    service: &Arc<Service>,
    booker: &mut Booker,
    report: &mut Report,
) -> Result<(), Failure> {
    let due = clock::wall().plus_millis(lead_seconds(options.holds) * 1_000);
    booker.fill(options.holds, until(due, options.span.saturating_mul(1_000)))?;
    pause_until(due);
    let before = service.stats().lateness;
    let (load, ()) = beside(booker, || {
        clock::pause(Duration::from_secs(u64::from(options.watch)));
        Ok(())
    })?;
    let after = service.stats().lateness;
    let late: Vec<u64> = after.iter().zip(before).map(|(after, before)| after - before).collect();
    report.expired = late.iter().sum();
    report.lag_p50_ms_below = bucket_end(&late, 50);
    report.lag_p99_ms_below = bucket_end(&late, 99);
    report.load_p99_us = load.value_at_quantile(0.99);
    Ok(())
}

/// Deadlines spread evenly over so many milliseconds from `due` on.
fn until(due: Timestamp, millis: u32) -> impl FnMut(Timestamp, &mut Random) -> Ttl {
    move |now, random| {
        let at = due.plus_millis(u64::from(random.below(millis.max(1))));
        let left = at.as_millis().saturating_sub(now.as_millis()).max(1);
        u32::try_from(left).ok().and_then(Ttl::from_millis).unwrap_or(Ttl::DEFAULT)
    }
}

fn pause_until(time: Timestamp) {
    let left = time.as_millis().saturating_sub(clock::wall().as_millis());
    clock::pause(Duration::from_millis(left));
}

/// The end of the bucket, in ms, in which so many percent are reached. Bucket i ends at `2^i`.
fn bucket_end(buckets: &[u64], percent: u64) -> Option<u64> {
    let total: u64 = buckets.iter().sum();
    let mut seen = 0;
    buckets.iter().enumerate().filter(|_| 0 < total).find_map(|(bucket, count)| {
        seen += count;
        (total * percent <= seen * 100).then(|| 1 << bucket)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_found_in_its_bucket() {
        let buckets = [50, 40, 9, 1];
        let ends = [50, 51, 90, 99, 100].map(|percent| bucket_end(&buckets, percent));
        assert_eq!(ends, [Some(1), Some(2), Some(2), Some(4), Some(8)]);
        assert_eq!(bucket_end(&[0, 0], 50), None);
    }
}
