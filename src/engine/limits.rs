//! Decides whether one more appointment is more than a patient may have.
//!
//! ```text
//! live lines + visits that are over + what is asked for
//!   -> in the place and time of a limit, around each claim -> counted -> more than the limit names?
//! ```
//!
//! Limits are found from the nearest layer outwards; of those with one key the first counts.
//!
//! **Architecture invariant:** reads and counts, nothing else. What is counted is the patient's, and no
//! other patient's shard is looked at.

use std::cmp::Reverse;

use smallvec::SmallVec;

use super::view::{Context, View};
use crate::model::{
    AppointmentId, Attributes, BookingLimit, ChannelSet, CivilTime, Claim, Counts, Day, DayOf,
    Ending, LimitKey, LimitScope, Outcome, PatientClass, PatientId, Period, Refusal, RuleKey,
    RuleRef, RuleWhy, ScopeKind, Timestamp, Visit,
};

/// Who asks for what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking<'a> {
    pub(super) patient: PatientId,
    pub(super) class: PatientClass,
    pub(super) attributes: Attributes,
    /// Appointments that are given up for it.
    pub(super) but: &'a [AppointmentId],
}

/// The refusal of a limit that one more appointment would break: the one that lasts longest.
pub(super) fn refuse_beyond_limits(
    view: &View<'_>,
    context: &Context<'_>,
    asking: &Asking<'_>,
    claims: &[Claim],
) -> Option<Refusal> {
    let rules = context.rules;
    if !rules.says(RuleKey::Limits) {
        return None;
    }
    // Most patients have so little that nothing need be looked up.
    let is_tried = context.trying.contains(RuleKey::Limits);
    if !is_tried && rules.allows(at_most(view, asking, claims)) {
        return None;
    }
    let visits = claims.iter().filter_map(|claim| {
        Some(view.stay(context, claim.session)?.visit(&rules.civil, claim.slot))
    });
    let visits: SmallVec<[Visit; 1]> = visits.collect();
    let known = Known::of(view, context, asking, &visits);
    let broken = visits.iter().flat_map(|visit| {
        limits_of(context, asking, visit)
            .into_iter()
            .filter_map(|limit| known.broken(context, &limit, visit))
    });
    // What holds until something else happens lasts longest. Of equal ones the first counts.
    let worst = broken.max_by_key(|why| {
        let first = Reverse((why.rule.layer, why.rule.tier));
        (why.until == Timestamp::default(), why.until, first, why.count, Reverse(why.since))
    });
    worst.map(|why| Refusal::by_rule(Outcome::LimitReached, context.now, why))
}

/// How much any limit can count at the most, without a look at where and when it is.
fn at_most(view: &View<'_>, asking: &Asking<'_>, claims: &[Claim]) -> u32 {
    let lines = view.lines(asking.patient).filter(|line| !asking.but.contains(&line.appointment()));
    let past: u32 = view.past(asking.patient).map(|past| past.ending.operations()).sum();
    let live = claims.len().saturating_add(lines.count());
    u32::try_from(live).unwrap_or(u32::MAX).saturating_add(past)
}

/// A limit, and where it stands.
#[derive(Clone, Copy, Debug)]
struct Found {
    limit: BookingLimit,
    rule: RuleRef,
}

/// The limits that hold around a visit, those that refuse.
fn limits_of(context: &Context<'_>, asking: &Asking<'_>, visit: &Visit) -> SmallVec<[Found; 8]> {
    let rules = context.rules;
    let layers = rules.at(&visit.place);
    let layers = layers.filter(|(_, layer)| layer.when.holds(asking.class, asking.attributes));
    let mut found: SmallVec<[Found; 8]> = SmallVec::new();
    for (layer, rule) in layers {
        for (tier, limit) in (0_u8..).zip(&rule.limits) {
            if found.iter().all(|other| other.limit.key != limit.key) {
                let rule = RuleRef { version: rules.version, layer, tier };
                found.push(Found { limit: *limit, rule });
            }
        }
    }
    found.retain(|found| {
        let applies = context.applies(RuleKey::Limits, found.limit.mode);
        applies && found.limit.most != BookingLimit::NO_LIMIT
    });
    found
}

/// One claim of an appointment that is there, was there, or is asked for.
#[derive(Clone, Copy, Debug)]
struct Unit {
    visit: Visit,
    booked: Day,
    /// Which appointment: the new one is 0.
    of: u32,
    is_live: bool,
    was_booked: bool,
    /// How many operations it was.
    operations: u32,
}

/// Everything of a patient that a limit may count, and what is asked for.
struct Known(SmallVec<[Unit; 16]>);

impl Known {
    fn of(view: &View<'_>, context: &Context<'_>, asking: &Asking<'_>, visits: &[Visit]) -> Self {
        let civil = &context.rules.civil;
        let new = |visit: &Visit| Unit {
            visit: *visit,
            booked: civil.day_of(context.now),
            of: 0,
            is_live: true,
            was_booked: true,
            operations: 1,
        };
        let mut units: SmallVec<[Unit; 16]> = visits.iter().map(new).collect();
        let (mut ids, mut last): (SmallVec<[AppointmentId; 8]>, u32) = (SmallVec::new(), 0);
        for line in view.lines(asking.patient) {
            let id = line.appointment();
            if asking.but.contains(&id) {
                continue;
            }
            let Some(stay) = view.stay(context, line.session()) else { continue };
            let place = ids.iter().position(|other| *other == id).unwrap_or_else(|| {
                ids.push(id);
                ids.len().saturating_sub(1)
            });
            let of = u32::try_from(place).unwrap_or(u32::MAX).saturating_add(1);
            last = last.max(of);
            let booked = line.since().map_or(Day(0), |since| civil.day_of(since));
            let visit = stay.visit(civil, line.slot);
            units.push(Unit { visit, booked, of, is_live: true, was_booked: true, operations: 1 });
        }
        // Newest first: the first visit of an appointment comes last.
        let mut of = last.saturating_add(1);
        for past in view.past(asking.patient).filter(|past| past.ending != Ending::Probed) {
            let (was_booked, operations) = (past.ending.was_booked(), past.ending.operations());
            let (visit, booked) = (past.visit, past.booked);
            units.push(Unit { visit, booked, of, is_live: false, was_booked, operations });
            if !past.is_joined {
                of = of.saturating_add(1);
            }
        }
        Self(units)
    }

    /// Why a limit is broken around a visit; `None` where it is not.
    fn broken(&self, context: &Context<'_>, found: &Found, visit: &Visit) -> Option<RuleWhy> {
        let BookingLimit { key, most, .. } = found.limit;
        if self.most() <= u32::from(most) {
            return None;
        }
        let counted = self.counted(key, visit);
        let today = context.rules.civil.day_of(context.now);
        let around = if key.by == DayOf::Visit { visit.day } else { today };
        let spans = spans(key.period, around, &counted);
        let count = spans.map(|span| (count(key, &counted, span), span));
        let (count, span) = count.max_by_key(|(count, (_, last))| (*count, Reverse(*last)))?;
        if count <= u32::from(most) {
            return None;
        }
        let civil = &context.rules.civil;
        let until = if key.by == DayOf::Booking {
            free_again(civil, key, most, &counted, (today, span))
        } else {
            Timestamp::default()
        };
        Some(RuleWhy {
            rule: found.rule,
            key: RuleKey::Limits,
            within: key.within.kind(),
            count: u16::try_from(count.saturating_sub(1)).unwrap_or(u16::MAX),
            limit: most,
            since: if key.period == Period::Any {
                Timestamp::default()
            } else {
                civil.start_of(span.0)
            },
            until,
            through: ChannelSet(0),
        })
    }

    /// How much any limit can count at the most.
    fn most(&self) -> u32 {
        self.0.iter().map(|unit| unit.operations).sum()
    }

    /// What a limit counts around a visit, with the day that it counts by.
    fn counted(&self, key: LimitKey, visit: &Visit) -> SmallVec<[(Day, Unit); 16]> {
        let counts = |unit: &&Unit| {
            let is_counted = match key.counts {
                Counts::Live => unit.is_live,
                Counts::All | Counts::Departments | Counts::Resources => unit.was_booked,
                Counts::Operations => true,
            };
            let is_same_half = key.period != Period::HalfDay || unit.visit.half == visit.half;
            is_counted && is_same_half && key.within.joins(visit, &unit.visit)
        };
        let day = |unit: &Unit| if key.by == DayOf::Visit { unit.visit.day } else { unit.booked };
        self.0.iter().filter(counts).map(|unit| (day(unit), *unit)).collect()
    }
}

/// The periods in which a day lies, each from its first to its last day: one, or those that overlap it
/// and end with a day on which something is.
fn spans(period: Period, around: Day, counted: &[(Day, Unit)]) -> impl Iterator<Item = (Day, Day)> {
    let later = counted.iter().map(|(day, _)| *day).filter(move |day| around < *day);
    let later = later.filter(move |_| period.is_rolling()).map(move |day| period.around(day));
    let later = later.filter(move |(first, _)| *first <= around);
    std::iter::once(period.around(around)).chain(later)
}

/// How much a limit counts in a span of days.
fn count(key: LimitKey, counted: &[(Day, Unit)], (first, last): (Day, Day)) -> u32 {
    let within = |(day, _): &&(Day, Unit)| first <= *day && *day <= last;
    let units = || counted.iter().filter(within).map(|(_, unit)| unit);
    let distinct = |same: &dyn Fn(&Unit, &Unit) -> bool| -> u32 {
        let firsts = units()
            .enumerate()
            .filter(|(index, unit)| !units().take(*index).any(|earlier| same(earlier, unit)));
        firsts
            .map(|(_, unit)| if key.counts == Counts::Operations { unit.operations } else { 1 })
            .sum()
    };
    match key.counts {
        Counts::Live | Counts::All | Counts::Operations => {
            distinct(&|one, other| one.of == other.of)
        }
        Counts::Departments => {
            distinct(&|one, other| LimitScope::Department.joins(&one.visit, &other.visit))
        }
        Counts::Resources => {
            distinct(&|one, other| LimitScope::Schedule.joins(&one.visit, &other.visit))
        }
    }
}

/// When a limit by the day of booking is no longer broken: with the next period, or when enough of the
/// days that count are too long ago.
fn free_again(
    civil: &CivilTime,
    key: LimitKey,
    most: u16,
    counted: &[(Day, Unit)],
    (today, span): (Day, (Day, Day)),
) -> Timestamp {
    // What is asked for is made on another day then.
    let earlier: SmallVec<[(Day, Unit); 16]> =
        counted.iter().filter(|(_, unit)| unit.of != 0).copied().collect();
    let new = |day: Day| {
        counted.iter().filter(|(_, unit)| unit.of == 0).map(move |(_, unit)| (day, *unit))
    };
    let is_free = |day: Day| {
        let mut all = earlier.clone();
        all.extend(new(day));
        count(key, &all, key.period.around(day)) <= u32::from(most)
    };
    let next = if key.period.is_rolling() {
        // The later the day, the less of what was is counted: the first free one is found by halves.
        let (mut taken, mut free) = (today, today.plus(FREE_AGAIN_DAYS));
        while 1 < free.0.saturating_sub(taken.0) {
            let middle = Day(taken.0.midpoint(free.0));
            if is_free(middle) { free = middle } else { taken = middle }
        }
        free
    } else {
        span.1.plus(1)
    };
    // What is asked for may be too much by itself.
    if key.period != Period::Any && is_free(next) {
        civil.start_of(next)
    } else {
        Timestamp::default()
    }
}

/// Beyond the longest rolling period.
const FREE_AGAIN_DAYS: u32 = 368;

impl LimitScope {
    /// The nearest kind of scope in which it lies.
    const fn kind(self) -> ScopeKind {
        match self {
            Self::Region => ScopeKind::Region,
            Self::Organization | Self::AppointmentType => ScopeKind::Organization,
            Self::Department => ScopeKind::Department,
            Self::Schedule | Self::Session => ScopeKind::Schedule,
            Self::Service => ScopeKind::Service,
        }
    }
}
