//! The verdict: what the demonstration showed, and whether all of it agrees.
//!
//! ```text
//! answers that people got ---.
//! journal after the kill ----+--> the same? --> tables or JSON, exit code
//! state after the restart ---'
//! ```

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;

use super::account::Acknowledged;
use super::desk::FIRST_OF_SCENES;
use super::drawn::DrawReport;
use super::ring::RingReport;
use super::waited::WaitlistReport;
use super::{DemoArguments, Journal, PATIENTS_PER_SECOND, Played};
use crate::cli::failure::Failure;
use crate::cli::output::{Output, hex};
use crate::model::{Cause, SessionId};
use crate::service::audit::AuditReport;

/// What the demonstration showed.
#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    seconds: f64,
    patients: u64,
    requests: u64,
    requests_per_second: f64,
    p50_us: u64,
    p99_us: u64,
    p999_us: u64,
    places: u64,
    sold: u64,
    oversold: u64,
    expired: u64,
    released: u64,
    cancelled: u64,
    resold: u64,
    sold_out: u64,
    told_to_wait: u64,
    records: u64,
    recovery_ms: u64,
    digest: String,
    digest_after_recovery: String,
    same_after_recovery: bool,
    account_agrees: bool,
    draw: DrawReport,
    waitlist: WaitlistReport,
    ring: RingReport,
    faults: Vec<String>,
}

impl Verdict {
    /// Compares what was played with what the journal says after the kill.
    pub(super) fn new(
        arguments: &DemoArguments,
        played: &Played,
        (before, after): (&AuditReport, &AuditReport),
        journal: &Journal,
        recovery: Duration,
    ) -> Self {
        let Played { world, elapsed, desk, .. } = played;
        let (draw, of_draw) = DrawReport::new(&played.draw, journal.draw.as_ref());
        let (waitlist, of_waitlist) = WaitlistReport::new(&played.waitlist, &journal.waitlist);
        let (ring, of_ring) = RingReport::new(&played.ring, &journal.ring);
        let latency = world.latency.lock();
        let mut account = world.account.lock();
        let sold = account.count(Acknowledged::Booked);
        account.absorb(&desk.account.lock());
        let requests = world.requests.load(Ordering::Relaxed);
        let mut faults = before.faults.clone();
        faults.extend(after.faults.iter().cloned());
        faults.extend(of_draw.into_iter().chain(of_waitlist).chain(of_ring));
        let disagreement = account.disagreement(&journal.story);
        let account_agrees = disagreement.is_none();
        faults.extend(disagreement);
        faults.extend(world.surprises.lock().iter().map(|what| format!("a patient got: {what}")));
        faults.extend(desk.surprises.lock().iter().cloned());
        if before.digest != after.digest {
            faults.push("the state after the restart is not the one before the kill".to_owned());
        }
        let is_of = |session: SessionId| session < FIRST_OF_SCENES;
        let cause = |cause| journal.story.ended(cause, is_of);
        #[expect(clippy::cast_precision_loss, reason = "requests of minutes are below 2^52")]
        let requests_per_second = requests as f64 / elapsed.as_secs_f64();
        Self {
            seconds: elapsed.as_secs_f64(),
            patients: arguments.seconds * PATIENTS_PER_SECOND,
            requests,
            requests_per_second,
            p50_us: latency.value_at_quantile(0.5),
            p99_us: latency.value_at_quantile(0.99),
            p999_us: latency.value_at_quantile(0.999),
            places: journal.story.places(is_of),
            sold,
            oversold: before.oversold + after.oversold,
            expired: cause(Cause::Expired),
            released: cause(Cause::Released),
            cancelled: cause(Cause::Cancelled),
            resold: journal.story.resold(is_of),
            sold_out: world.sold_out.load(Ordering::Relaxed),
            told_to_wait: world.told_to_wait.load(Ordering::Relaxed),
            records: before.records,
            recovery_ms: u64::try_from(recovery.as_millis()).unwrap_or(u64::MAX),
            digest: hex(&before.digest),
            digest_after_recovery: hex(&after.digest),
            same_after_recovery: before.digest == after.digest,
            account_agrees,
            draw,
            waitlist,
            ring,
            faults,
        }
    }

    /// Whether all of it holds.
    pub(super) fn is_good(&self) -> bool {
        self.oversold == 0
            && self.same_after_recovery
            && self.account_agrees
            && self.faults.is_empty()
    }

    /// What is wrong, the first of it.
    pub(super) fn fault(&self) -> &str {
        self.faults.first().map_or("the demonstration failed", String::as_str)
    }

    /// Tells it.
    pub(super) fn print(&self, output: &mut Output) -> Result<(), Failure> {
        self.draw.print(output)?;
        self.waitlist.print(output)?;
        self.ring.print(output)?;
        output
            .line("4. AN OPENING FOR WHOEVER COMES FIRST, AND THE CHECK OF ALL FOUR (先到先得)")?;
        output.line(
            "   After it the node is killed and started again, and its journal is audited.",
        )?;
        output.line("")?;
        let mut row =
            |name: &str, value: String| output.line(format_args!("{name:<34}{value:>14}"));
        row("patients", self.patients.to_string())?;
        row("requests", self.requests.to_string())?;
        row("requests per second", format!("{:.0}", self.requests_per_second))?;
        row("latency p50, ms", millis(self.p50_us))?;
        row("latency p99, ms", millis(self.p99_us))?;
        row("latency p99.9, ms", millis(self.p999_us))?;
        row("places", self.places.to_string())?;
        row("places sold", self.sold.to_string())?;
        row("places sold twice (oversold)", self.oversold.to_string())?;
        row("holds expired", self.expired.to_string())?;
        row("holds released", self.released.to_string())?;
        row("appointments cancelled", self.cancelled.to_string())?;
        row("places that came back and resold", self.resold.to_string())?;
        row("refused as sold out", self.sold_out.to_string())?;
        row("told to come back", self.told_to_wait.to_string())?;
        row("records in the journal", self.records.to_string())?;
        row("killed, and ready again after, ms", self.recovery_ms.to_string())?;
        let yes = |truth: bool| if truth { "yes" } else { "NO" }.to_owned();
        row("state the same after the kill", yes(self.same_after_recovery))?;
        row("every answer is in the journal", yes(self.account_agrees))?;
        self.faults.iter().try_for_each(|fault| output.line(format_args!("fault: {fault}")))
    }
}

fn millis(micros: u64) -> String {
    format!("{}.{:03}", micros / 1_000, micros % 1_000)
}
