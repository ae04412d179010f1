//! The openings of a part as sessions, and the rules that hold for it.
//!
//! ```text
//! opening 0 .. at_once - 1 | at_once .. 2 at_once - 1 | ...      each a session with 20 places
//! begin                      + every                             all of a row open in one millisecond
//! ```
//!
//! **Architecture invariant:** when a place may first be given is worked out here and nowhere else; the
//! journal is compared with it.

use super::scenario::{Kind, Part, Scenario, micros};
use crate::random::mix;
use haoyuan::model::{
    ApplyRules, BookingChannel, ChannelSet, ClassSet, Command, Delay, DepartmentId, Draw,
    LimitScope, OpenSession, OrganizationId, PatientClass, Period, Pick, Pool, PoolIndex,
    PoolTerms, Reclaim, Repeat, RequestId, ResourceId, ReturnRule, Rules, Session, SessionId,
    SessionTerms, Sharing, SiteId, Timestamp, Ttl, WaitlistRule,
};

/// When everything of a part happens.
#[derive(Clone, Debug)]
pub(crate) struct Timetable {
    /// When the first row opens, by the wall.
    pub(crate) begins: Timestamp,
    /// Microseconds from there to each opening's.
    pub(crate) opens: Vec<u64>,
    /// From an opening to the close of its draw; 0 where it has none.
    pub(crate) window: u64,
    /// From an opening to when it is counted.
    pub(crate) lasts: u64,
    /// A hold's time to live, first come and won.
    pub(crate) hold: u64,
    pub(crate) won_hold: u64,
    pub(crate) offer: u64,
}

/// The first session.
const FIRST: u64 = 1_000_000;

/// Where a draw decides rules need not keep scripts from asking; see the default rules.
const DRAWN: OrganizationId = OrganizationId(1);
const FIRST_COME: OrganizationId = OrganizationId(2);

const DAY_MILLIS: u64 = 24 * 3_600_000;

/// The session of an opening.
pub(crate) fn session_id(opening: u32) -> SessionId {
    SessionId(FIRST + u64::from(opening))
}

/// The opening of a session.
pub(crate) fn of_session(session: u64) -> Option<u32> {
    u32::try_from(session.checked_sub(FIRST)?).ok()
}

impl Timetable {
    /// The times of a part that begins then.
    pub(crate) fn new(scenario: &Scenario, part: Part, begins: Timestamp) -> Self {
        let (time, openings) = (scenario.time, &scenario.openings);
        let every = micros(openings.every_seconds);
        let row = |opening: u32| u64::from(opening / openings.at_once);
        Self {
            begins,
            opens: (0..openings.count).map(|opening| row(opening) * every).collect(),
            window: match part.kind {
                Kind::FirstCome => 0,
                Kind::Draw => time.wait(scenario.draw.window_hours * 3_600.0),
            },
            lasts: micros(openings.lasts_seconds),
            hold: time.race(openings.hold_minutes * 60.0),
            won_hold: time.wait(scenario.draw.hold_hours * 3_600.0),
            offer: time.wait(scenario.waitlist.offer_hours * 3_600.0),
        }
    }

    /// When an opening opens, by the wall.
    pub(crate) fn opens_at(&self, opening: u32) -> Timestamp {
        self.begins.plus_millis(self.opens[opening as usize] / 1_000)
    }

    /// When the last opening is counted, in µs from the first.
    pub(crate) fn ends(&self) -> u64 {
        self.opens.last().copied().unwrap_or(0) + self.lasts
    }
}

/// The request that opens an opening's session.
pub(crate) fn open(
    scenario: &Scenario,
    part: Part,
    times: &Timetable,
    opening: u32,
    now: Timestamp,
) -> OpenSession {
    let openings = &scenario.openings;
    let opens = times.opens_at(opening);
    let day = 1 + u64::from(opening) * part.visit_days / u64::from(openings.count);
    let start = times.begins.plus_millis(day * DAY_MILLIS);
    let session = Session {
        id: session_id(opening),
        organization: if part.kind == Kind::Draw { DRAWN } else { FIRST_COME },
        site: SiteId(1),
        department: DepartmentId(1 + opening),
        resource: ResourceId(10_000 + u64::from(opening)),
        appointment_type: 1,
        start,
        slot_millis: 600_000,
        pick: Pick::Earliest,
        repeat: Repeat::OnePerPatient,
        sharing: Sharing::Cancel,
        ttl_max: ttl(times.hold.max(times.won_hold)),
        terms: terms(scenario, part, times, start),
        pools: pools(scenario, part, times, opens),
    };
    let random = u128::from(mix(session.id.0)) << 16 | u128::from(opening);
    OpenSession { request: RequestId::from_parts(now, random), session }
}

/// The request that puts the rules in force.
pub(crate) fn apply(rules: Rules, now: Timestamp) -> Command {
    let request = RequestId::from_parts(now, 0x0001_a7e5);
    Command::ApplyRules(Box::new(ApplyRules { request, rules }))
}

/// The most places that somebody may have over all openings of a part, by the rules: the smallest number
/// that counts everything everywhere, over months in which all the visits lie.
pub(crate) fn cap(rules: &Rules, part: Part) -> Option<u16> {
    let limits = rules.layers.iter().flat_map(|layer| &layer.limits);
    let all = limits.filter(|limit| {
        let holds = match limit.key.period {
            Period::Any => true,
            Period::Months(months) => part.visit_days < 28 * u64::from(months),
            _ => false,
        };
        limit.key.within == LimitScope::Region && holds
    });
    all.map(|limit| limit.most).min()
}

fn terms(scenario: &Scenario, part: Part, times: &Timetable, start: Timestamp) -> SessionTerms {
    if !part.waitlist {
        return SessionTerms::default();
    }
    let minutes = |minutes: f64| millis(scenario.time.wait(minutes * 60.0));
    let delay = Delay {
        min_millis: minutes(scenario.returns.least_minutes),
        max_millis: minutes(scenario.returns.most_minutes),
    };
    let offer = millis(times.offer);
    let waitlist = WaitlistRule {
        entries_max: scenario.waitlist.entries,
        priority: [0; PatientClass::COUNT],
        draw_millis: minutes(JOIN_DRAW_MINUTES),
        offer_millis: offer,
        near_offer_millis: offer,
        near_millis: 0,
        hours: None,
        closes_at: start.minus_millis(3_600_000),
    };
    SessionTerms {
        returns: ReturnRule::WaitlistFirst(delay),
        waitlist: Some(Box::new(waitlist)),
        ..SessionTerms::default()
    }
}

/// The apps' pool, and the counter's where there is one.
fn pools(scenario: &Scenario, part: Part, times: &Timetable, opens: Timestamp) -> Vec<Pool> {
    let openings = &scenario.openings;
    let at_counter = if part.counter { openings.counter_places } else { 0 };
    let every = spread(openings.places, openings.slots);
    let counter = spread(at_counter, openings.slots);
    let apps = every.iter().zip(&counter).map(|(all, taken)| all.saturating_sub(*taken)).collect();
    let draw = (part.kind == Kind::Draw).then(|| Draw {
        closes: opens.plus_millis(times.window / 1_000),
        preferences_max: 3,
        ttl: ttl(times.won_hold),
        beacon: None,
        commitment: None,
    });
    let pool = |channels, quotas, terms| Pool { channels, classes: ClassSet::ALL, quotas, terms };
    let app_terms = PoolTerms { opens, draw, ..PoolTerms::default() };
    if at_counter == 0 {
        return vec![pool(ChannelSet::ALL, apps, app_terms)];
    }
    let doors = scenario.channels().into_iter().filter(|door| *door != BookingChannel::default());
    let doors = doors.fold(ChannelSet(0), ChannelSet::with);
    // Before the draw, so that what nobody took at the counter is drawn too.
    let window = if times.window == 0 { times.lasts / 2 } else { times.window };
    let reclaim =
        Some(Reclaim { at: opens.plus_millis(window / 1_000 * 8 / 10), to: PoolIndex(0) });
    let counter_terms = PoolTerms { opens, reclaim, ..PoolTerms::default() };
    let only_counter = ChannelSet(0).with(BookingChannel::default());
    vec![pool(doors, apps, app_terms), pool(only_counter, counter, counter_terms)]
}

/// Places over slots, the first ones more where they are uneven.
fn spread(places: u16, slots: u16) -> Vec<u16> {
    (0..slots).map(|slot| places / slots + u16::from(slot < places % slots)).collect()
}

pub(crate) fn ttl(micros: u64) -> Ttl {
    Ttl::from_millis(millis(micros)).unwrap_or(Ttl::DEFAULT)
}

fn millis(micros: u64) -> u32 {
    u32::try_from(micros / 1_000).unwrap_or(u32::MAX).max(1)
}

/// Who joins a waitlist within so many minutes of life of the first is drawn, not raced.
const JOIN_DRAW_MINUTES: f64 = 10.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_session_of_every_part_is_sound_and_has_its_places() {
        let scenario = Scenario::built_in().unwrap();
        let begins = Timestamp::from_millis(1_800_000_000_000);
        let parts = scenario.parts.clone();
        for part in [parts.control, parts.draw, parts.sparse, parts.rules] {
            let times = Timetable::new(&scenario, part, begins);
            for opening in [0, 49, 50, 199] {
                let open = open(&scenario, part, &times, opening, begins);
                let session = open.session;
                assert_eq!(session.check(), Ok(()), "{part:?}");
                let places: u16 = session.pools.iter().flat_map(|pool| &pool.quotas).sum();
                assert_eq!(places, 20);
                assert_eq!(of_session(session.id.0), Some(opening));
            }
            assert_eq!(times.ends(), 19 * 2_000_000 + 22_000_000);
        }
        let rules = scenario.rules(begins).unwrap();
        let caps = [parts.draw, parts.sparse, parts.rules].map(|part| cap(&rules, part));
        assert_eq!(caps, [None, Some(5), Some(5)]);
    }

    #[test]
    fn places_are_spread_over_slots() {
        assert_eq!(spread(20, 10), [2; 10]);
        assert_eq!(spread(5, 3), [2, 2, 1]);
        assert_eq!(spread(0, 2), [0, 0]);
    }
}
