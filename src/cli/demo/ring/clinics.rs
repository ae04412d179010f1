//! The clinics of the scene: when they open, and how each part gives their places.
//!
//! ```text
//! a. first come   opens ======================== ends
//! b. by lot                                           rules in force | opens === closes -> drawn ===== ends
//! ```
//!
//! **Architecture invariant:** both parts have the same clinics, departments and places; only how the
//! places are given differs, and the days of the visits.

use super::Part;
use super::population::Population;
use crate::cli::demo::desk::{FIRST_OF_SCENES, clinic};
use crate::model::{
    Delay, DepartmentId, Draw, DrawId, PatientClass, PoolIndex, ResourceId, ReturnRule, Session,
    SessionId, SessionTerms, Timestamp, Ttl, WaitlistRule,
};

/// When everything of a part happens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) opens: Timestamp,
    /// When entries end and lots are drawn; the opening where they are not.
    pub(super) closes: Timestamp,
    pub(super) ends: Timestamp,
    /// A hold's time to live, first come.
    pub(super) hold: Ttl,
}

impl Times {
    pub(super) fn new(population: &Population, part: Part, opens: Timestamp) -> Self {
        let Population { time, draw, openings, .. } = population;
        let window = match part {
            Part::FirstCome => 0,
            Part::ByLot => millis(time.wait(draw.window_hours * 3_600.0)),
        };
        Self {
            opens,
            closes: opens.plus_millis(window.into()),
            ends: opens.plus_millis(millis(population.lasts()).into()),
            hold: ttl(time.race(openings.hold_minutes * 60.0)),
        }
    }
}

/// The session of a clinic in a part.
pub(super) const fn session_id(part: Part, clinic: u16) -> SessionId {
    SessionId(FIRST_OF_SCENES.0 + OFFSET + PART * part as u64 + clinic as u64)
}

/// The part and the clinic of a session, if it is of this scene.
pub(super) fn clinic_of(session: SessionId) -> Option<(Part, u16)> {
    let number = session.0.checked_sub(FIRST_OF_SCENES.0 + OFFSET)?;
    let part = Part::ALL.into_iter().find(|part| *part as u64 == number / PART)?;
    Some((part, u16::try_from(number % PART).ok()?))
}

/// The draw of a clinic.
pub(super) const fn draw_id(clinic: u16) -> DrawId {
    DrawId { session: session_id(Part::ByLot, clinic), pool: PoolIndex(0) }
}

/// The session of a clinic.
pub(super) fn session(
    population: &Population,
    part: Part,
    times: Times,
    number: u16,
    now: Timestamp,
) -> Session {
    let Population { openings, time, draw, .. } = population;
    let slots = openings.slots.max(1);
    let places = |slot| openings.places / slots + u16::from(slot < openings.places % slots);
    let won_hold = ttl(time.wait(draw.hold_hours * 3_600.0));
    let ttl_max = times.hold.max(won_hold);
    let mut session =
        clinic(session_id(part, number), now, ttl_max, (0..slots).map(places).collect());
    session.department = DepartmentId(FIRST_DEPARTMENT + u32::from(number));
    session.resource = ResourceId(FIRST_OF_SCENES.0 + OFFSET + u64::from(number));
    session.start = now.plus_millis(day_of(population, part, number) * DAY_MILLIS);
    for pool in &mut session.pools {
        pool.terms.opens = times.opens;
        pool.terms.draw = (part == Part::ByLot).then_some(Draw {
            closes: times.closes,
            preferences_max: 3,
            ttl: won_hold,
            beacon: None,
            commitment: None,
        });
    }
    if part == Part::ByLot {
        session.terms = waitlist_first(population, times);
    }
    session
}

/// In how many days a visit is. What rules count over three months of one part is not the other's.
fn day_of(population: &Population, part: Part, number: u16) -> u64 {
    let parts = population.parts;
    let (first, days) = match part {
        Part::FirstCome => (1, parts.control.visit_days),
        Part::ByLot => (parts.control.visit_days + APART_DAYS, parts.draw.visit_days),
    };
    first + u64::from(number) * days / u64::from(population.openings.count.max(1))
}

/// What is freed goes to who waits. The waitlist closes with the scene, so that no offer outlives it.
fn waitlist_first(population: &Population, times: Times) -> SessionTerms {
    let Population { time, returns, waitlist, .. } = population;
    let minutes = |minutes: f64| millis(time.wait(minutes * 60.0));
    let delay = Delay {
        min_millis: minutes(returns.least_minutes),
        max_millis: minutes(returns.most_minutes),
    };
    let offer_millis = minutes(waitlist.offer_hours * 60.0);
    let rule = WaitlistRule {
        entries_max: waitlist.entries,
        priority: [0; PatientClass::COUNT],
        draw_millis: minutes(JOIN_DRAW_MINUTES),
        offer_millis,
        near_offer_millis: offer_millis,
        near_millis: 0,
        hours: None,
        closes_at: times.ends,
    };
    SessionTerms {
        returns: ReturnRule::WaitlistFirst(delay),
        waitlist: Some(Box::new(rule)),
        ..SessionTerms::default()
    }
}

fn ttl(duration: std::time::Duration) -> Ttl {
    Ttl::from_millis(millis(duration)).unwrap_or(Ttl::DEFAULT)
}

fn millis(duration: std::time::Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX).max(1)
}

/// Who joins a waitlist within so many minutes of life of the first is drawn, not raced; as `loadtest
/// market` has it.
const JOIN_DRAW_MINUTES: f64 = 10.0;

/// More than three months lie between the last visit of the first part and the first of the other.
const APART_DAYS: u64 = 120;

const DAY_MILLIS: u64 = 24 * 3_600_000;

/// The sessions of this scene begin so far behind the first of all scenes, and those of a part so far from
/// the other's.
const OFFSET: u64 = 10_000;
const PART: u64 = 10_000;

const FIRST_DEPARTMENT: u32 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clinics_of_both_parts_are_sound_and_found_again() {
        let population = Population::read().unwrap();
        let now = Timestamp::from_millis(1_800_000_000_000);
        for part in Part::ALL {
            let times = Times::new(&population, part, now.plus_millis(500));
            for number in 0..population.openings.count {
                let session = session(&population, part, times, number, now);
                assert_eq!(session.check(), Ok(()), "{part:?} {number}");
                let places: u16 = session.pools.iter().flat_map(|pool| &pool.quotas).sum();
                assert_eq!(places, population.openings.places);
                assert_eq!(clinic_of(session.id), Some((part, number)));
            }
        }
        for other in [0, FIRST_OF_SCENES.0 + 2, FIRST_OF_SCENES.0 + 30_000] {
            assert_eq!(clinic_of(SessionId(other)), None);
        }
    }

    #[test]
    fn what_is_freed_is_booked_or_back_when_the_scene_ends() {
        let population = Population::read().unwrap();
        let opens = Timestamp::from_millis(1_800_000_000_000);
        let times = Times::new(&population, Part::ByLot, opens);
        assert!(opens < times.closes && times.closes.plus_millis(2_000) <= times.ends);
        assert!(times.ends <= opens.plus_millis(4_000), "nobody watches for longer");
    }
}
