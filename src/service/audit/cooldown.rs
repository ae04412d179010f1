//! The account of cool-downs: who waits after giving a place up, and that nobody is given the next one
//! before.
//!
//! **Architecture invariant:** what had to follow is worked out here from the appointment that ended and
//! the rules in force. Who ended it no fact says, so that one that is missing is found only where two
//! keys are merged.

use std::collections::BTreeMap;

use super::{Account, AuditReport};
use crate::model::{
    AccountId, AppointmentId, Attributes, Claim, Claims, Cooldown, CooldownLength, Cooled,
    CountedOf, Ending, Fact, PatientId, Place, RuleLayer, RuleMode, RuleRef, RuleScope, Sequence,
    Timestamp,
};
use crate::service::digest::Digest;

/// Who stands behind what is given, and as whom.
type Behind = [(CountedOf, Option<PatientId>); 2];

/// Who waits for what.
#[derive(Debug, Default)]
pub(super) struct Cooling {
    kept: BTreeMap<PatientId, Vec<Cooldown>>,
    /// When a place was given up last.
    latest: Timestamp,
    /// What the record of a merge has to say yet.
    due: Option<(Sequence, PatientId, Vec<Cooldown>)>,
    /// When the places that a record frees come back, where that is not at once.
    freed: Option<(Sequence, Vec<Timestamp>)>,
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
            let like = |it: &Cooldown| (it.within, it.of, it.mode);
            let is_like = |old: &Cooldown| like(old) == like(new);
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
        if let Some(Fact::Freed(freed)) = fact {
            cooling.freed = Some((sequence, freed.back.clone()));
        }
        if let Some((appointment, who, claims)) = fact.and_then(|fact| self.given(fact))
            && who
                .into_iter()
                .any(|(of, key)| key.is_some_and(|key| self.has_to_wait(time, (of, key), &claims)))
        {
            self.conduct.cooling.suspect = Some((sequence, appointment));
        }
    }

    /// What is given to whom: to a patient, an account, and a telephone as soon as it is known.
    fn given(&self, fact: &Fact) -> Option<(AppointmentId, Behind, Claims)> {
        let account = |account: Option<AccountId>| account.map(|it| self.person(it.holder()));
        let both =
            |patient, account| [(CountedOf::Patient, Some(patient)), (CountedOf::Account, account)];
        Some(match fact {
            Fact::Held(it) => {
                (it.appointment, both(it.patient, account(it.account)), it.claims.clone())
            }
            // Who waits has a place in a queue, whoever asked for it.
            Fact::PlaceOffered(it) => {
                (it.held.appointment, both(it.held.patient, None), it.held.claims.clone())
            }
            Fact::PatientNamed(it) => {
                (it.appointment, both(it.patient, account(Some(it.account))), it.claims.clone())
            }
            Fact::Phoned(it) => {
                let appointment = self.appointments.get(&it.appointment)?;
                let phone = self.person(it.phone.phone_holder());
                // An entry of a draw has no place yet.
                let who = [(CountedOf::Phone, Some(phone)), (CountedOf::Account, None)];
                (it.appointment, who, Claims::from_slice(&appointment.claims))
            }
            _ => return None,
        })
    }

    pub(super) fn cool(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        time: Timestamp,
        fact: &Cooled,
    ) {
        let due = if let Some((_, into, given)) = self.conduct.cooling.due.take() {
            Some((into, given))
        } else {
            let mut due = self.due_cooldowns(sequence, time).unwrap_or_default();
            due.remove_entry(&fact.patient)
        };
        let order = |mut all: Vec<Cooldown>| {
            all.sort_by_key(|it| (it.within, it.of, it.mode, it.until));
            all
        };
        let said = (fact.patient, order(fact.cooldowns.clone()));
        if due.map(|(patient, due)| (patient, order(due))) != Some(said) {
            report.fault(sequence, "by the rules: somebody waits for another time than they say");
        }
        self.conduct.cooling.keep(time, fact);
    }

    /// What follows from the appointment that ended in this record, and for whom.
    fn due_cooldowns(
        &self,
        sequence: Sequence,
        time: Timestamp,
    ) -> Option<BTreeMap<PatientId, Vec<Cooldown>>> {
        let (_, id, ending) = self.histories.ended.filter(|ended| ended.0 == sequence)?;
        let appointment = self.appointments.get(&id)?;
        let rules = self.conduct.in_force(time)?;
        let way = match ending {
            Ending::Cancelled => 1,
            Ending::Released => 2,
            Ending::Expired => 4,
            Ending::Fulfilled | Ending::Late | Ending::Missed | Ending::Booked | Ending::Probed => {
                return None;
            }
        };
        let mut all: BTreeMap<PatientId, Vec<Cooldown>> = BTreeMap::new();
        let freed = self.conduct.cooling.freed.as_ref().filter(|freed| freed.0 == sequence);
        let who = appointment.subjects(self.ties.phone_of(id));
        for (number, claim) in appointment.claims.iter().enumerate() {
            let back = freed.and_then(|freed| freed.1.get(number).copied()).unwrap_or(time);
            let back = back.max(time);
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
                    CooldownLength::Returned(_) if back == Timestamp::MAX => continue,
                    CooldownLength::Returned(minutes) => {
                        back.plus_millis(u64::from(minutes) * 60_000)
                    }
                };
                let Some(key) = who.key(rule.of).map(|key| self.person(key)) else { continue };
                let cooldown = Cooldown {
                    appointment: id,
                    within: RuleScope::around(rule.within, &place),
                    since: time,
                    until,
                    rule: RuleRef { version: rules.version, layer, tier },
                    of: rule.of,
                    mode: rule.mode,
                };
                let like = |it: &Cooldown| (it.within, it.of, it.mode);
                let is_like = |it: &Cooldown| like(it) == like(&cooldown);
                let is_over = until <= time || rule.after.0 & way == 0;
                let due = all.entry(key).or_default();
                if is_over || due.iter().any(|it| is_like(it) && cooldown.until <= it.until) {
                    continue;
                }
                due.retain(|it| !is_like(it));
                due.push(cooldown);
            }
        }
        all.retain(|_, due| !due.is_empty());
        Some(all)
    }

    fn has_to_wait(
        &self,
        time: Timestamp,
        (of, key): (CountedOf, PatientId),
        claims: &[Claim],
    ) -> bool {
        let Some(kept) = self.conduct.cooling.kept.get(&key) else { return false };
        claims.iter().any(|claim| {
            let place = self.sessions.get(&claim.session).map(Place::of);
            kept.iter().any(|cooldown| {
                let is_ours = (cooldown.of, cooldown.mode) == (of, RuleMode::Enforce);
                let holds = is_ours && time < cooldown.until;
                holds && place.is_some_and(|place| cooldown.within.contains(&place))
            })
        })
    }
}
