//! The rules of reservation: what a request comes to, and what a fact does.
//!
//! ```text
//!            decide                          evolve
//! command ------------> facts + receipt   fact -------> home | ledger | session shard
//!   reads a View,       or a refusal         writes one shard, cannot fail
//!   writes nothing
//! ```
//!
//! Three kinds of shards hold the state: a [`HomeShard`] the appointments (and other requests) whose
//! ids are at home there, a [`LedgerShard`] what its patients have, a [`SessionShard`] the places.
//! One [`Rulebook`] has the rules, version by version.
//!
//! **Architecture invariant:** nothing here locks, waits, reads a clock, draws a random number,
//! touches a file, or depends on the order of a hash map. Time comes in as an argument. The live
//! path decides and evolves; recovery and replicas evolve the same facts and nothing else.

#![deny(clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

mod agenda;
mod alterations;
mod attendance;
mod billing;
mod cancelling;
mod change;
mod chunks;
mod conditions;
mod conduct;
mod cooldown;
mod deadlines;
mod disruption;
mod drawing;
mod draws;
mod explain;
mod history;
mod hold;
mod home;
mod identity;
mod index;
mod indexed;
mod ledger;
mod limits;
mod naming;
mod offers;
mod open;
mod payment;
mod persons;
mod pick;
mod places;
mod probing;
mod queue;
mod quotas;
mod record;
mod reschedule;
mod restrictions;
mod returns;
mod rulebook;
mod session;
mod shadow;
mod slab;
mod subjects;
#[cfg(test)]
pub(crate) mod tests;
mod view;
mod violations;
mod visits;
mod wait_limits;
mod waiting;
mod waitlist;

pub use alterations::Alterations;
pub use attendance::decide_call;
pub use billing::Billing;
pub use change::{decide_change, decide_expiry};
pub use disruption::{
    decide_add, decide_block, decide_displace, decide_offer, decide_substitute, offers,
};
pub use drawing::{
    DrawInput, DrawPlan, DrawStep, OtherKey, decide_beacon, decide_draw_step, decide_reveal,
    read_draw,
};
pub use draws::{DrawState, Waiting};
pub use explain::{counted_strikes, counters, steps, waits_for};
pub use hold::{decide_hold, decide_import};
pub use home::HomeShard;
pub use identity::decide_merge;
pub use indexed::{IndexedRules, RuleKeys};
pub use ledger::{LedgerEntry, LedgerShard, Live};
pub use naming::decide_name;
pub use offers::{
    Candidate, SKIP_MILLIS, Step, decide_clear, decide_place_offer, next_step, offer_fingerprint,
    offer_id,
};
pub use open::decide_open;
pub use payment::{decide_order, decide_pay, decide_refund};
pub use persons::{Asker, Binding, Ties, account_counters, giving_way};
pub use pick::{Seeker, places_near};
pub use places::Places;
pub use probing::{Prober, Refused, decide_probed, prober};
pub use queue::{Queue, Tally};
pub use quotas::decide_quotas;
pub use record::{KeptStrike, PatientRecord, active};
pub use reschedule::{Leaving, decide_reschedule};
pub use restrictions::{decide_amend, decide_appeal, decide_restrict, only_made};
pub use rulebook::{Rulebook, decide_rules};
pub use session::{SessionShard, SessionState};
pub use shadow::shadowed;
pub use subjects::Phones;
pub use view::{Catalog, Context, Decision, View};
pub use waiting::Waits;
pub use waitlist::{decide_join, decide_leave};
