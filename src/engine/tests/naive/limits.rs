//! What a patient may have, by counting everything in every window.

use std::cmp::Reverse;

use super::Naive;
use super::words::is_live;
use crate::model::{
    AppointmentId, Attributes, BookingLimit, ChannelSet, Claim, Counts, Day, DayOf, Ending,
    LimitKey, LimitScope, Outcome, PatientClass, PatientId, Period, Refusal, RuleKey, RuleMode,
    RuleRef, RuleWhy, ScopeKind, Session, SessionId, SlotIndex, Timestamp, Visit, WaitCounts,
    WaitKey, WaitLimit,
};

/// Who wants something, and gives up what.
pub(super) struct Wanted<'a> {
    pub(super) patient: PatientId,
    pub(super) class: PatientClass,
    pub(super) attributes: Attributes,
    pub(super) but: &'a [AppointmentId],
}

/// An appointment, as limits count it.
struct Thing {
    visits: Vec<Visit>,
    booked: Day,
    ending: Option<Ending>,
}

impl Naive {
    /// Why what is wanted would be too much.
    pub(super) fn beyond_limits(&self, wanted: &Wanted<'_>, claims: &[Claim]) -> Option<Refusal> {
        let (version, Some(rules)) = self.rules() else { return None };
        let today = rules.civil.day_of(self.now);
        let new: Vec<Visit> = claims.iter().map(|claim| self.visit(claim, claim.slot)).collect();
        let mut reasons: Vec<RuleWhy> = Vec::new();
        for visit in &new {
            let mut limits: Vec<(BookingLimit, u8, u8)> = Vec::new();
            for (index, layer) in rules.layers.iter().enumerate() {
                let is_about = layer.when.holds(wanted.class, wanted.attributes);
                if layer.scope.contains(&visit.place) && is_about {
                    let layer = u8::try_from(index).unwrap();
                    let own = layer_limits(&rules.layers[index].limits);
                    limits.extend(own.map(|(tier, limit)| (limit, layer, tier)));
                }
            }
            for (limit, layer, tier) in &limits {
                let kind = |layer: u8| rules.layers[usize::from(layer)].scope.kind();
                let is_overridden = limits.iter().any(|(other, by, _)| {
                    other.key == limit.key && (kind(*layer), *layer) < (kind(*by), *by)
                });
                if is_overridden || limit.mode == RuleMode::Shadow || limit.most == u16::MAX {
                    continue;
                }
                let key = limit.key;
                let mut things = self.things(wanted, &new, today);
                let day = if key.by == DayOf::Visit { visit.day } else { today };
                let (most, worst) = worst(&things, key, visit, day);
                if most <= usize::from(limit.most) {
                    continue;
                }
                let is_in_time = key.by == DayOf::Booking && key.period != Period::Any;
                let later = (1..=368).filter(|_| is_in_time).map(|ahead| Day(today.0 + ahead));
                let mut later = later;
                let free = later.find(|day| {
                    things[0].booked = *day;
                    let around = period_around(key.period, *day);
                    counted(&things, key, visit, around) <= usize::from(limit.most)
                });
                let is_any = key.period == Period::Any;
                reasons.push(RuleWhy {
                    rule: RuleRef { version, layer: *layer, tier: *tier },
                    key: RuleKey::Limits,
                    within: scope_kind(key.within),
                    count: u16::try_from(most - 1).unwrap(),
                    limit: limit.most,
                    since: if is_any {
                        Timestamp::default()
                    } else {
                        rules.civil.start_of(worst.0)
                    },
                    until: free.map_or_else(Timestamp::default, |day| rules.civil.start_of(day)),
                    through: ChannelSet(0),
                });
            }
        }
        let longest = reasons.into_iter().max_by_key(|why| {
            let never = why.until == Timestamp::default();
            let first = Reverse((why.rule.layer, why.rule.tier));
            (never, why.until, first, why.count, Reverse(why.since))
        })?;
        let wait = longest.until.as_millis().saturating_sub(self.now.as_millis());
        Some(Refusal {
            outcome: Outcome::LimitReached,
            status: None,
            retry_after_millis: u32::try_from(wait).unwrap_or(u32::MAX),
            why: Some(longest),
        })
    }

    /// What is wanted, what the patient has, and what is over.
    fn things(&self, wanted: &Wanted<'_>, new: &[Visit], today: Day) -> Vec<Thing> {
        let civil = self.civil();
        let mut things = vec![Thing { visits: new.to_vec(), booked: today, ending: None }];
        for (appointment, made) in self.appointments.iter().zip(&self.history.made) {
            if appointment.patient != wanted.patient
                || !is_live(appointment)
                || wanted.but.contains(&appointment.id)
            {
                continue;
            }
            let slot = |claim: &Claim| if made.1 { SlotIndex(0) } else { claim.slot };
            let visits = appointment.claims.iter().map(|it| self.visit(it, slot(it))).collect();
            things.push(Thing { visits, booked: civil.day_of(made.0), ending: None });
        }
        for over in self.history.ended.iter().filter(|over| over.patient == wanted.patient) {
            // Nothing was had by it.
            if over.ending == Ending::Probed {
                continue;
            }
            let visits = over.visits.clone();
            things.push(Thing { visits, booked: over.booked, ending: Some(over.ending) });
        }
        things
    }
}

impl Naive {
    /// Why waiting for some sessions too would be too much: the limit that is said first.
    pub(super) fn beyond_waits(
        &self,
        (patient, class, attributes): (PatientId, PatientClass, Attributes),
        sessions: &[SessionId],
    ) -> Option<Refusal> {
        let (version, rules) = self.rules();
        let rules = rules?;
        let own = self.entries.iter().filter(|entry| entry.join.patient == patient);
        let waited: Vec<SessionId> =
            own.flat_map(|entry| entry.places.iter().map(|place| place.0)).collect();
        let both: Vec<SessionId> = waited.iter().chain(sessions).copied().collect();
        let mut first: Option<RuleWhy> = None;
        for (layer, said) in (0_u8..).zip(&rules.layers) {
            for (tier, limit) in (0_u8..).zip(&said.waitlist) {
                let decides = |session: &&Session| {
                    let place = crate::model::Place::of(session);
                    let mut all = (0_u8..).zip(&rules.layers);
                    let is_overridden = all.any(|(other, by)| {
                        by.scope.contains(&place)
                            && by.when.holds(class, attributes)
                            && (said.scope.kind(), layer) < (by.scope.kind(), other)
                            && by.waitlist.iter().any(|it| it.key == limit.key)
                    });
                    said.scope.contains(&place)
                        && said.when.holds(class, attributes)
                        && !is_overridden
                };
                if limit.mode == RuleMode::Shadow || limit.most == WaitLimit::NO_LIMIT {
                    continue;
                }
                let asked = sessions.iter().filter_map(|id| self.session(*id));
                for session in asked.filter(decides) {
                    let most = self.waited(limit.key, session, &both);
                    if first.is_none() && usize::from(limit.most) < most {
                        let count = self.waited(limit.key, session, &waited);
                        first = Some(RuleWhy {
                            within: limit.key.within,
                            count: u16::try_from(count).unwrap(),
                            limit: limit.most,
                            ..RuleWhy::of(RuleKey::Waitlist, RuleRef { version, layer, tier })
                        });
                    }
                }
            }
        }
        first.map(|why| Refusal { why: Some(why), ..Outcome::WaitLimit.into() })
    }

    fn waited(&self, key: WaitKey, around: &Session, sessions: &[SessionId]) -> usize {
        let mut named = Vec::new();
        for session in sessions.iter().filter_map(|id| self.session(*id)) {
            let is_here = match key.within {
                ScopeKind::Organization => session.organization == around.organization,
                ScopeKind::Department => {
                    (session.organization, session.department)
                        == (around.organization, around.department)
                }
                ScopeKind::Region | ScopeKind::Schedule | ScopeKind::Service => true,
            };
            let name = match key.counts {
                WaitCounts::Sessions => (0, session.id.0),
                WaitCounts::Resources => (session.organization.0, session.resource.0),
            };
            if is_here && !named.contains(&name) {
                named.push(name);
            }
        }
        named.len()
    }
}

fn layer_limits(limits: &[BookingLimit]) -> impl Iterator<Item = (u8, BookingLimit)> + '_ {
    (0..).zip(limits.iter().copied())
}

/// The largest count of all periods in which a day lies, and the first such period.
fn worst(things: &[Thing], key: LimitKey, visit: &Visit, day: Day) -> (usize, (Day, Day)) {
    let ends = match key.period {
        Period::Days(days) => u32::from(days),
        Period::Months(months) => 31 * u32::from(months),
        Period::Any
        | Period::HalfDay
        | Period::Day
        | Period::Week
        | Period::Month
        | Period::Quarter
        | Period::Year => 0,
    };
    let mut found: Option<(usize, (Day, Day))> = None;
    for end in day.0..=day.0 + ends {
        let around = period_around(key.period, Day(end));
        if day < around.0 || around.1 < day {
            continue;
        }
        let count = counted(things, key, visit, around);
        if found.is_none_or(|(most, _)| most < count) {
            found = Some((count, around));
        }
    }
    found.unwrap()
}

/// The period that ends with a day, or in which it lies.
pub(super) fn period_around(period: Period, day: Day) -> (Day, Day) {
    match period {
        Period::Any => (Day(0), Day(u32::MAX)),
        Period::HalfDay | Period::Day => (day, day),
        Period::Days(days) => (Day(day.0 - u32::from(days) + 1), day),
        Period::Months(months) => (Day(day.minus_months(months.into()).0 + 1), day),
        Period::Week => (day.week_start(), Day(day.week_start().0 + 6)),
        Period::Month => (day.month_start(), Day(day.month_start().plus_months(1).0 - 1)),
        Period::Quarter => (day.quarter_start(), Day(day.quarter_start().plus_months(3).0 - 1)),
        Period::Year => (day.year_start(), Day(day.year_start().plus_months(12).0 - 1)),
    }
}

fn counted(things: &[Thing], key: LimitKey, visit: &Visit, (first, last): (Day, Day)) -> usize {
    let mut operations = 0;
    let mut appointments = 0;
    let mut departments = Vec::new();
    let mut resources = Vec::new();
    for thing in things {
        let is_counted = match key.counts {
            Counts::Live => thing.ending.is_none(),
            Counts::Operations => true,
            Counts::All | Counts::Departments | Counts::Resources => {
                !matches!(thing.ending, Some(Ending::Released | Ending::Expired))
            }
        };
        let inside = |other: &&Visit| {
            let day = if key.by == DayOf::Visit { other.day } else { thing.booked };
            let same_half = key.period != Period::HalfDay || other.half == visit.half;
            first <= day && day <= last && same_half && is_together(key.within, visit, other)
        };
        let visits: Vec<&Visit> = thing.visits.iter().filter(inside).collect();
        if !is_counted || visits.is_empty() {
            continue;
        }
        appointments += 1;
        let given_up = matches!(thing.ending, Some(Ending::Released | Ending::Cancelled));
        operations += if given_up { 2 } else { 1 };
        for visit in visits {
            departments.push((visit.place.organization, visit.place.department));
            resources.push((visit.place.organization, visit.place.resource));
        }
    }
    departments.sort_unstable();
    departments.dedup();
    resources.sort_unstable();
    resources.dedup();
    match key.counts {
        Counts::Live | Counts::All => appointments,
        Counts::Departments => departments.len(),
        Counts::Resources => resources.len(),
        Counts::Operations => operations,
    }
}

fn is_together(within: LimitScope, one: &Visit, other: &Visit) -> bool {
    let same_house = one.place.organization == other.place.organization;
    match within {
        LimitScope::Region => true,
        LimitScope::Organization => same_house,
        LimitScope::Department => same_house && one.place.department == other.place.department,
        LimitScope::Schedule => same_house && one.place.resource == other.place.resource,
        LimitScope::Service => same_house && one.place.service == other.place.service,
        LimitScope::Session => one == other,
        LimitScope::AppointmentType => same_house && one.appointment_type == other.appointment_type,
    }
}

const fn scope_kind(within: LimitScope) -> ScopeKind {
    match within {
        LimitScope::Region => ScopeKind::Region,
        LimitScope::Organization | LimitScope::AppointmentType => ScopeKind::Organization,
        LimitScope::Department => ScopeKind::Department,
        LimitScope::Schedule | LimitScope::Session => ScopeKind::Schedule,
        LimitScope::Service => ScopeKind::Service,
    }
}
