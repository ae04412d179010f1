//! The engine against tables, and against a naive model of the same rules.
//!
//! **Architecture invariant:** nothing here looks into a shard: what a test knows of the engine is
//! what a decision says and what a view shows.

mod agreement;
pub(crate) mod build;
mod draws;
mod draws_blocked;
mod draws_waitlist;
mod forgetting;
mod naive;
mod pairs;
mod script;
mod shards;
mod tables_attendance;
mod tables_billing;
mod tables_cancel;
mod tables_change;
mod tables_cooldown;
mod tables_disruption;
mod tables_fewer;
mod tables_hold;
mod tables_late;
mod tables_limits;
mod tables_move;
mod tables_naming;
mod tables_notice;
mod tables_openings;
mod tables_persons;
mod tables_restrictions;
mod tables_returns;
mod tables_rules;
mod tables_violations;
mod tables_waitlist;
mod tables_waits;
mod world;
