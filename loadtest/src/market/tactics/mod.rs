//! What a ring of scalpers does. Each tactic is a file here with a name.
//!
//! ```text
//! a person's decision --> tactic --> tactic --> ... --> the ring's decision
//! ```
//!
//! An identity of the ring decides as a person does (`manner`); then each tactic of the scenario, in its
//! order there, may change the decision. To add one: write a file with a type that implements [`Tactic`],
//! and name it in [`ALL`].
//!
//! **Architecture invariant:** a tactic decides and sends nothing, as people do: what a ring can do is what
//! its tactics say, and the node sees nothing but requests.

mod adaptive;
mod collusion;
mod devices;
mod drip;
mod handover;
mod hoard;
mod identities;
mod probe;
mod retry;
mod zero_reaction;

use std::fmt::Debug;

use haoyuan::model::Outcome;

use super::crowd::Person;
use super::manner::{Guise, Later, Moment, Next, Then};
use super::scenario::Scenario;

/// One hostile behaviour. Whatever it does not say stays as it is.
pub(crate) trait Tactic: Debug {
    /// Before the run: accounts, devices and addresses of the identities.
    fn dress(&mut self, _scenario: &Scenario, _identities: &mut [Person]) {}

    /// When an identity asks first, in µs from the opening; before it where negative.
    fn first(&mut self, _moment: &mut Moment<'_>, _after: &mut i64) {}

    /// As whom the gateway sees who asks, for each request.
    fn disguise(&mut self, _moment: &mut Moment<'_>, _guise: &mut Guise) {}

    /// What an identity does that was refused.
    fn refused(&mut self, _moment: &mut Moment<'_>, _outcome: Outcome, _next: &mut Next) {}

    /// What it does with a hold.
    fn held(&mut self, _moment: &mut Moment<'_>, _then: &mut Then) {}

    /// What it does with a booking.
    fn booked(&mut self, _moment: &mut Moment<'_>, _later: &mut Later) {}

    /// Whether an identity that entered a draw asks on.
    fn asks_on(&self) -> bool {
        false
    }
}

/// Makes a tactic.
type Make = fn() -> Box<dyn Tactic>;

/// Every tactic, by its name in a scenario, with what it is.
pub(crate) const ALL: [(&str, &str, Make); 10] = [
    ("identities", "many real identities, on accounts of few each", || {
        Box::new(identities::Identities)
    }),
    ("zero_reaction", "scripts that ask as soon as an opening is", || {
        Box::new(zero_reaction::ZeroReaction)
    }),
    ("retry", "asks again as fast as it can, without limit", || Box::new(retry::Retry)),
    ("hoard", "holds without paying, and holds again", || Box::new(hoard::Hoard)),
    ("handover", "cancels, so that a customer catches the place", || Box::new(handover::HandOver)),
    ("probe", "asks before the opening", || Box::new(probe::Probe)),
    ("devices", "another device and address for each request", || {
        Box::new(devices::Devices::default())
    }),
    ("drip", "stays below the limits of rates", || Box::new(drip::Drip)),
    ("adaptive", "backs off when it is limited", || Box::new(adaptive::Adaptive::default())),
    ("collusion", "the same identities through several gateways", || {
        Box::new(collusion::Collusion::default())
    }),
];

/// The tactics of a scenario, in its order.
pub(crate) fn of(scenario: &Scenario) -> Result<Vec<Box<dyn Tactic>>, String> {
    let find = |name: &String| {
        let found = ALL.iter().find(|(known, ..)| known == name);
        found.map(|(_, _, make)| make()).ok_or_else(|| {
            let known: Vec<_> = ALL.iter().map(|(name, ..)| *name).collect();
            format!("ring.tactics: there is no tactic {name:?}; use {}", known.join(", "))
        })
    };
    scenario.ring.tactics.iter().map(find).collect()
}

#[cfg(test)]
mod tests;
