//! Retries without limit: never gives up, asks again as many times faster than a person as scripts are, asks
//! on when it has entered a draw, and pays at once for what it gets.

use haoyuan::model::Outcome;

use super::Tactic;
use crate::market::manner::{Moment, Next, Then};
use crate::market::scenario::micros;

#[derive(Debug)]
pub(super) struct Retry;

impl Tactic for Retry {
    #[expect(clippy::cast_precision_loss, reason = "a pause is far below 2^52 µs")]
    fn refused(&mut self, moment: &mut Moment<'_>, outcome: Outcome, next: &mut Next) {
        let (scenario, person) = (moment.scenario, moment.pause() as f64 / 1e6);
        let ring = &scenario.ring;
        // What the machine gives is shared by all scripts of one row.
        let row = ring.identities.saturating_mul(scenario.openings.at_once);
        let least = f64::from(moment.ring_asking.min(row)) / ring.requests_per_second_max;
        let race = scenario.time.race(ring.race_seconds);
        // When the race is over it waits for what comes back.
        let slower = if race < moment.since_opening { ring.watches_slower } else { 1.0 };
        let pause = micros((person / ring.speed).max(least) * slower).max(1);
        *next = match *next {
            // The waitlist is another way, tried once.
            Next::Wait if !moment.has_joined => Next::Wait,
            // The node says when it opens, and a script is there.
            _ if outcome == Outcome::NotOpenYet && 0 < moment.hint_micros => {
                Next::Again(pause.min(moment.hint_micros))
            }
            _ => Next::Again(pause),
        };
    }

    #[expect(clippy::cast_precision_loss, reason = "a hold is far below 2^52 µs")]
    fn held(&mut self, moment: &mut Moment<'_>, then: &mut Then) {
        let hold = moment.hold_micros as f64 / 1e6;
        *then = Then::Book(micros(PAYS_WITHIN * hold / moment.scenario.ring.speed));
    }

    fn asks_on(&self) -> bool {
        true
    }
}

/// A person takes about so much of a hold's time to pay, and a script as many times less as it is faster.
const PAYS_WITHIN: f64 = 0.3;
