//! Nobody is given a place beyond a limit of the rules, as far as it can be told in a few lines: limits
//! by the day of the visit, in periods of the calendar.

use std::collections::BTreeMap;

use haoyuan::model::{
    AppointmentId, BookingLimit, Claim, Claims, Counts, DayOf, Fact, Held, LimitScope, PatientId,
    Period, RuleMode, Rules, Stay, Timestamp, Visit,
};

use super::{History, Invariant, Sight, ensure};

/// What patients have, and what took place or could have.
#[derive(Default)]
pub(super) struct LimitKept {
    lives: BTreeMap<AppointmentId, (PatientId, Claims, bool)>,
    /// Versions, with since when they are in force.
    rules: Vec<Rules>,
}

impl Invariant for LimitKept {
    fn name(&self) -> &'static str {
        "limit_kept"
    }

    fn see(&mut self, sight: &Sight<'_>, history: &History) -> Result<(), String> {
        let Sight::Durable(record) = sight else { return Ok(()) };
        for fact in &record.facts {
            self.note(fact);
            if let (Fact::Held(_) | Fact::PlaceOffered(_), Some(held)) = (fact, fact.held()) {
                self.look(held, record.time, history)?;
            }
        }
        Ok(())
    }
}

impl LimitKept {
    fn note(&mut self, fact: &Fact) {
        if let Some(held) = fact.held() {
            let line = (held.patient, held.claims.clone(), true);
            self.lives.insert(held.appointment, line);
        }
        let settled = match fact {
            Fact::RulesApplied(applied) => {
                self.rules.push(applied.rules.clone());
                None
            }
            Fact::PatientsMerged(merged) => {
                let own = self.lives.values_mut().filter(|line| line.0 == merged.from);
                own.for_each(|line| line.0 = merged.into);
                None
            }
            Fact::PlaceAdded(added) => {
                let line = (added.patient, added.claims.clone(), true);
                self.lives.insert(added.appointment, line);
                None
            }
            Fact::Rescheduled(moved) => {
                if let Some(line) = self.lives.get_mut(&moved.appointment) {
                    line.1.clone_from(&moved.to);
                }
                None
            }
            Fact::Settled(settled) => Some(settled.appointment),
            Fact::Left(left) => Some(left.appointment),
            _ => fact.ended().and_then(|ended| self.lives.remove(&ended.appointment)).and(None),
        };
        if let Some(line) = settled.and_then(|id| self.lives.get_mut(&id)) {
            line.2 = false;
        }
    }

    fn look(&self, held: &Held, time: Timestamp, history: &History) -> Result<(), String> {
        let in_force = self.rules.iter().rev().find(|rules| rules.from <= time);
        let Some(rules) = in_force else { return Ok(()) };
        let visit = |claim: &Claim| {
            let session = history.sessions.get(&claim.session).expect("a claim is in a session");
            Stay::of(session).visit(&rules.civil, claim.slot)
        };
        for new in held.claims.iter().map(visit) {
            for limit in limits_at(rules, &new) {
                let counts = |(patient, claims, is_live): &&(PatientId, Claims, bool)| {
                    let is_counted = *is_live || limit.key.counts == Counts::All;
                    let (first, last) = limit.key.period.around(new.day);
                    let is_near = |other: Visit| {
                        first <= other.day
                            && other.day <= last
                            && limit.key.within.joins(&new, &other)
                    };
                    *patient == held.patient
                        && is_counted
                        && claims.iter().any(|claim| is_near(visit(claim)))
                };
                let count = self.lives.values().filter(counts).count();
                ensure(count <= usize::from(limit.most), || {
                    format!("patient {:x} has {count} beyond {limit:?}", held.patient.0)
                })?;
            }
        }
        Ok(())
    }
}

/// The limits that hold at a visit, of those that this can count.
fn limits_at(rules: &Rules, visit: &Visit) -> Vec<BookingLimit> {
    let layers = rules.layers.iter().enumerate();
    let mut said: Vec<_> = layers
        .filter(|(_, layer)| layer.scope.contains(&visit.place))
        .flat_map(|(index, layer)| {
            let near = (layer.scope.kind(), index);
            layer.limits.iter().map(move |limit| (limit.key, near, *limit))
        })
        .collect();
    said.sort_by_key(|(key, near, _)| (*key, *near));
    let mut found: Vec<BookingLimit> = Vec::new();
    for (_, _, limit) in said {
        if found.last().is_some_and(|last| last.key == limit.key) {
            found.pop();
        }
        found.push(limit);
    }
    found.retain(|limit| {
        limit.mode == RuleMode::Enforce
            && limit.key.by == DayOf::Visit
            && matches!(limit.key.counts, Counts::Live | Counts::All)
            && matches!(limit.key.period, Period::Day | Period::Week | Period::Year)
            && limit.key.within != LimitScope::Session
    });
    found
}
