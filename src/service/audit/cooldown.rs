//! The account of cool-downs: who waits after giving a place up, and that nobody is given the next one
//! before.
//!
//! **Architecture invariant:** what had to follow is worked out here from the appointment that ended and
//! the rules in force. Who ended it no fact says, so that one that is missing is found only where two
//! keys are merged.

use std::collections::BTreeMap;

use super::{Account, AuditReport};
use crate::model::{
    AppointmentId, Attributes, Claim, Cooldown, CooldownLength, Cooled, Ending, Fact, PatientId,
    Place, RuleLayer, RuleMode, RuleRef, RuleScope, Sequence, Timestamp,
};
use crate::service::digest::Digest;

/// Who waits for what.
#[derive(Debug, Default)]
pub(super) struct Cooling {
    kept: BTreeMap<PatientId, Vec<Cooldown>>,
    /// When a place was given up last.
    latest: Timestamp,
    /// What the record of a merge has to say yet.
    due: Option<(Sequence, PatientId, Vec<Cooldown>)>,
    /// Who was given a place too soon, unless a payment that came late bought it back.
    suspect: Option<(Sequence, AppointmentId)>,
}

impl Cooling {
    pub(super) fn close(&self, digest: &mut Digest) {
        for (patient, kept) in &self.kept {
            for cooldown in kept {
                digest.cooldown(*patient, cooldown, self.latest);
            }
        }
    }

    fn keep(&mut self, time: Timestamp, fact: &Cooled) {
        let kept = self.kept.entry(fact.patient).or_default();
        for new in &fact.cooldowns {
            let is_like = |old: &Cooldown| (old.within, old.mode) == (new.within, new.mode);
            let rank = |it: &Cooldown| (it.until, it.since, it.appointment);
            if kept.iter().any(|old| is_like(old) && rank(new) <= rank(old)) {
                continue;
            }
            match kept.iter().position(is_like) {
                Some(index) => kept[index] = *new,
                None => kept.push(*new),
            }
        }
        self.latest = self.latest.max(time);
    }

    /// One key gives up what it waits for; the record says it of the other.
    pub(super) fn hand_over(
        &mut self,
        (sequence, time): (Sequence, Timestamp),
        from: PatientId,
        into: PatientId,
    ) {
        let mut given = self.kept.remove(&from).unwrap_or_default();
        given.retain(|cooldown| time < cooldown.until);
        self.due = (!given.is_empty()).then_some((sequence, into, given));
    }
}

impl Account {
    /// Looks at what the record before left open, and whether somebody is given a place who had to wait.
    pub(super) fn note_cooling(
        &mut self,
        report: &mut AuditReport,
        (sequence, time): (Sequence, Timestamp),
        fact: Option<&Fact>,
    ) {
        let cooling = &mut self.conduct.cooling;
        let rebooked = match fact {
            Some(Fact::Billed(billed)) => billed.bill.rebooked,
            _ => None,
        };
        cooling.suspect.take_if(|(_, id)| rebooked == Some(*id));
        let is_over = |of: Sequence| fact.is_none() || of != sequence;
        if let Some((of, _)) = cooling.suspect.take_if(|(of, _)| is_over(*of)) {
            report.fault(of, "by the rules: who gave a place up was given the next one too soon");
        }
        if let Some((of, ..)) = cooling.due.take_if(|(of, ..)| is_over(*of)) {
            report.fault(of, "by the rules: a merged key waits no more for what it waited for");
        }
        let given = match fact {
            Some(Fact::Held(held)) => Some((held.patient, held.appointment, &held.claims)),
            Some(Fact::PlaceOffered(fact)) => {
                Some((fact.held.patient, fact.held.appointment, &fact.held.claims))
            }
            Some(Fact::PatientNamed(fact)) => Some((fact.patient, fact.appointment, &fact.claims)),
            _ => None,
        };
        if let Some((patient, appointment, claims)) = given
            && self.has_to_wait(time, patient, claims)
        {
            self.conduct.cooling.suspect = Some((sequence, appointment));
        }
    }

    pub(super) fn cool(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        time: Timestamp,
        fact: &Cooled,
    ) {
        let due = match self.conduct.cooling.due.take() {
            Some((_, into, given)) => Some((into, given)),
            None => self.due_cooldowns(sequence, time),
        };
        let order = |mut all: Vec<Cooldown>| {
            all.sort_by_key(|it| (it.within, it.mode, it.until));
            all
        };
        let said = (fact.patient, order(fact.cooldowns.clone()));
        if due.map(|(patient, due)| (patient, order(due))) != Some(said) {
            report.fault(sequence, "by the rules: somebody waits for another time than they say");
        }
        self.conduct.cooling.keep(time, fact);
    }

    /// What follows from the appointment that ended in this record.
    fn due_cooldowns(
        &self,
        sequence: Sequence,
        time: Timestamp,
    ) -> Option<(PatientId, Vec<Cooldown>)> {
        let (_, id, ending) = self.histories.ended.filter(|ended| ended.0 == sequence)?;
        let appointment = self.appointments.get(&id)?;
        let rules = self.conduct.in_force(time)?;
        let way = match ending {
            Ending::Cancelled => 1,
            Ending::Released => 2,
            Ending::Expired => 4,
            Ending::Fulfilled | Ending::Missed | Ending::Booked => return None,
        };
        let mut due: Vec<Cooldown> = Vec::new();
        for claim in &appointment.claims {
            let place = Place::of(self.sessions.get(&claim.session)?);
            let about = |layer: &&RuleLayer| {
                let is_there = layer.scope.contains(&place) && !layer.cooldown.is_empty();
                is_there && layer.when.holds(appointment.class, Attributes::default())
            };
            let layers = || (0_u8..).zip(&rules.layers).filter(|(_, layer)| about(layer));
            let nearest = layers().map(|(_, layer)| layer.scope.kind()).max();
            let last = layers().filter(|(_, layer)| Some(layer.scope.kind()) == nearest).last();
            let Some((layer, said)) = last else { continue };
            for (tier, rule) in (0_u8..).zip(&said.cooldown) {
                let until = match rule.length {
                    CooldownLength::Minutes(minutes) => {
                        time.plus_millis(u64::from(minutes) * 60_000)
                    }
                    CooldownLength::Hours(hours) => time.plus_millis(u64::from(hours) * 3_600_000),
                    CooldownLength::Days(days) => rules.civil.plus_days(time, days.into()),
                };
                let cooldown = Cooldown {
                    appointment: id,
                    within: RuleScope::around(rule.within, &place),
                    since: time,
                    until,
                    rule: RuleRef { version: rules.version, layer, tier },
                    mode: rule.mode,
                };
                let is_like =
                    |it: &Cooldown| (it.within, it.mode) == (cooldown.within, cooldown.mode);
                if rule.after.0 & way == 0
                    || due.iter().any(|it| is_like(it) && cooldown.until <= it.until)
                {
                    continue;
                }
                due.retain(|it| !is_like(it));
                due.push(cooldown);
            }
        }
        (!due.is_empty()).then(|| (self.person(appointment.patient), due))
    }

    fn has_to_wait(&self, time: Timestamp, patient: PatientId, claims: &[Claim]) -> bool {
        let Some(kept) = self.conduct.cooling.kept.get(&patient) else { return false };
        claims.iter().any(|claim| {
            let place = self.sessions.get(&claim.session).map(Place::of);
            kept.iter().any(|cooldown| {
                let holds = cooldown.mode == RuleMode::Enforce && time < cooldown.until;
                holds && place.is_some_and(|place| cooldown.within.contains(&place))
            })
        })
    }
}
