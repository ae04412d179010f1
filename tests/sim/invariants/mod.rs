//! What must hold in every run, one invariant a file.
//!
//! **Architecture invariant:** an invariant keeps its own account of what it is shown. It reads the
//! durable records and what leaves the node, and believes neither the engine nor the journal.

mod billing_kept;
mod blocked_is_empty;
mod called_in_turn;
mod clock_only_forward;
mod cooldown_kept;
mod damage_is_refused;
mod drawn_in_order;
mod durable_is_kept;
mod expiry_on_time;
mod failed_sync_is_final;
mod feed_agrees;
mod heals;
mod held_once;
mod limit_kept;
mod never_oversold;
mod no_lost_place;
mod nothing_early;
mod one_id_one_request;
mod one_live_appointment_per_patient_and_session;
mod persons_kept;
mod probed_is_refused;
mod quota_kept;
mod quota_sum;
mod refusal_changes_nothing;
mod replay_agrees;
mod reply_implies_durable;
mod restriction_kept;
mod retry_same_answer;
mod snapshot_agrees;
mod under_rules;
mod waits_once;

use haoyuan::model::{Sequence, Timestamp};
use haoyuan::service::Service;

use crate::ask::{Ask, Reply};
use crate::history::{History, Record};
use crate::node::Snapshot;

/// Something that must hold in every run.
pub(crate) trait Invariant {
    /// What it is called in reports.
    fn name(&self) -> &'static str;

    /// Looks at what just happened. The history has every durable record, the shown one included.
    ///
    /// # Errors
    ///
    /// It does not hold, in words.
    fn see(&mut self, sight: &Sight<'_>, history: &History) -> Result<(), String>;
}

/// What an invariant is shown.
pub(crate) enum Sight<'a> {
    /// The disk has a record for good.
    Durable(&'a Record),
    /// The node decided, and made that many records.
    Decided { ask: &'a Ask, reply: &'a Reply, records: u64 },
    /// An answer leaves the node.
    Told { ask: &'a Ask, reply: &'a Reply },
    /// A tick is over.
    Ticked { service: &'a Service, now: Timestamp, is_paused: bool },
    /// A commit failed when the disk had this much.
    Failed { durable: Sequence },
    /// The process is gone.
    Stopped,
    /// A snapshot is complete.
    Copied(&'a Snapshot),
    /// A start on a log with one changed bit before its mark.
    DamagedStart { was_refused: bool },
    /// The node is up again, on these records of the log.
    Started { service: &'a Service, kept: &'a [Record] },
    /// Everything that was decided is durable.
    Calm { service: &'a Service },
    /// The faults are over for long, and another start came to this digest.
    Healed { service: &'a Service, digest: [u8; 32] },
}

/// Every invariant, in its first state.
pub(crate) fn all(retention_millis: u64) -> Vec<Box<dyn Invariant>> {
    vec![
        Box::<never_oversold::NeverOversold>::default(),
        Box::<quota_kept::QuotaKept>::default(),
        Box::<quota_sum::QuotaSum>::default(),
        Box::new(nothing_early::NothingEarly),
        Box::<blocked_is_empty::BlockedIsEmpty>::default(),
        Box::<called_in_turn::CalledInTurn>::default(),
        Box::<held_once::HeldOnce>::default(),
        Box::<waits_once::WaitsOnce>::default(),
        Box::<drawn_in_order::DrawnInOrder>::default(),
        Box::<one_live_appointment_per_patient_and_session::OneLive>::default(),
        Box::<clock_only_forward::ClockOnlyForward>::default(),
        Box::<expiry_on_time::ExpiryOnTime>::default(),
        Box::new(reply_implies_durable::ReplyImpliesDurable),
        Box::<under_rules::UnderRules>::default(),
        Box::<limit_kept::LimitKept>::default(),
        Box::<persons_kept::PersonsKept>::default(),
        Box::<restriction_kept::RestrictionKept>::default(),
        Box::<probed_is_refused::ProbedIsRefused>::default(),
        Box::<cooldown_kept::CooldownKept>::default(),
        Box::<billing_kept::BillingKept>::default(),
        Box::<retry_same_answer::RetrySameAnswer>::default(),
        Box::<one_id_one_request::OneIdOneRequest>::default(),
        Box::new(refusal_changes_nothing::RefusalChangesNothing),
        Box::<failed_sync_is_final::FailedSyncIsFinal>::default(),
        Box::new(durable_is_kept::DurableIsKept),
        Box::new(replay_agrees::ReplayAgrees::new(retention_millis)),
        Box::new(snapshot_agrees::SnapshotAgrees::new(retention_millis)),
        Box::new(no_lost_place::NoLostPlace),
        Box::new(feed_agrees::FeedAgrees),
        Box::new(damage_is_refused::DamageIsRefused),
        Box::new(heals::Heals),
    ]
}

/// Says so where something does not hold.
fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}
