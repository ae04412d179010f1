//! How somebody goes on: what each answer makes them do, and when.
//!
//! ```text
//! first --> asked -- refused --> again | wait | stop
//!                 '- held    --> book  | release | forget
//!                                 '- booked --> keep | cancel | hand over
//! ```
//!
//! **Architecture invariant:** decisions only. Who decides sends nothing and knows no clock but the run's
//! microseconds that it is told.

use haoyuan::model::Outcome;

use super::crowd::{Person, Side, between, chance, unit};
use super::scenario::{Kind, Scenario};
use crate::random::Random;

/// What somebody who decides may know.
#[derive(Debug)]
pub(crate) struct Moment<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) kind: Kind,
    /// Whether the session keeps a waitlist.
    pub(crate) has_waitlist: bool,
    pub(crate) side: Side,
    pub(crate) person: u32,
    /// Microseconds since the opening; 0 before it.
    pub(crate) since_opening: u64,
    /// Openings that the ring still asks for, over all its identities.
    pub(crate) ring_asking: u32,
    /// Whether somebody of this identity has asked for the waitlist already.
    pub(crate) has_joined: bool,
    /// After which time the node says to come back; 0 where it does not.
    pub(crate) hint_micros: u64,
    /// A hold's time to live; 0 where there is none.
    pub(crate) hold_micros: u64,
    /// Chance, the same for the same seed, person and opening.
    pub(crate) random: &'a mut Random,
}

/// After a refusal. Microseconds of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Asks again.
    Again(u64),
    /// Joins the waitlist.
    Wait,
    /// Gives up.
    Stop,
}

/// After a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// Books, in time or not.
    Book(u64),
    /// Gives it up.
    Release(u64),
    /// Lets it lapse.
    Forget,
}

/// After a booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Later {
    /// Comes to the visit.
    Keep,
    /// Cancels, and may try another opening then.
    Cancel { after: u64, rebooks: bool },
    /// Cancels so that a customer of the ring can have it.
    HandOver(u64),
}

impl Moment<'_> {
    /// From a refusal to a person's next try.
    pub(crate) fn pause(&mut self) -> u64 {
        let seconds = self.scenario.honest.pause_seconds;
        self.scenario.time.race(seconds * between(self.random, [0.7, 1.3]))
    }
}

/// When somebody asks first, in µs from the opening.
pub(crate) fn first(moment: &mut Moment<'_>) -> i64 {
    let (time, honest) = (moment.scenario.time, &moment.scenario.honest);
    let after = if moment.kind == Kind::Draw {
        // At any time of the window, the elderly at the counter before its unused places go elsewhere.
        let window = moment.scenario.draw.window_hours * 3_600.0;
        let part = if moment.side == Side::Elder { [0.05, 0.6] } else { [0.01, 0.97] };
        time.wait(window * between(moment.random, part))
    } else {
        let beyond = -honest.hesitation_seconds * (1.0 - unit(moment.random)).ln();
        time.race(honest.reaction_seconds + beyond)
    };
    i64::try_from(after).unwrap_or(i64::MAX)
}

/// What a person does who was refused.
pub(crate) fn refused(moment: &mut Moment<'_>, outcome: Outcome) -> Next {
    match outcome {
        Outcome::SoldOut if moment.has_waitlist && moment.side != Side::Elder => Next::Wait,
        Outcome::SoldOut | Outcome::NotOpenYet | Outcome::RateLimited | Outcome::DrawPending => {
            // As many tries as somebody has on average: each is the last with the same chance.
            if chance(moment.random, 1.0 / moment.scenario.honest.tries) {
                Next::Stop
            } else {
                Next::Again(moment.pause())
            }
        }
        _ => Next::Stop,
    }
}

/// What a person does with a hold.
#[expect(clippy::cast_precision_loss, reason = "a hold's microseconds are far below 2^52")]
pub(crate) fn held(moment: &mut Moment<'_>, is_race: bool) -> Then {
    let honest = &moment.scenario.honest;
    let hold = moment.hold_micros as f64 / 1e6;
    let run = |seconds: f64| super::scenario::micros(seconds);
    let in_time = if is_race {
        moment.scenario.time.race(between(moment.random, honest.think_seconds))
    } else {
        run(hold * between(moment.random, [0.05, 0.6]))
    };
    let at = unit(moment.random);
    let (never, late) = (honest.never_pays, honest.pays_late);
    if at < never {
        Then::Forget
    } else if at < never + late {
        Then::Book(run(hold * 1.05))
    } else if at < never + late + honest.releases {
        Then::Release(in_time)
    } else {
        Then::Book(in_time)
    }
}

/// What a person does who has booked.
pub(crate) fn booked(moment: &mut Moment<'_>) -> Later {
    let (time, honest) = (moment.scenario.time, &moment.scenario.honest);
    if !chance(moment.random, honest.cancels) {
        return Later::Keep;
    }
    let after = time.wait(60.0 * between(moment.random, honest.cancel_minutes));
    Later::Cancel { after, rebooks: chance(moment.random, honest.rebooks) }
}

/// Who is behind each request: what a gateway is told, which a tactic may change from one to the next.
pub(crate) type Guise = Person;
