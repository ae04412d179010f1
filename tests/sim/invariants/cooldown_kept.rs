//! Nobody who gave a place up is given the next one there before it is time, and nobody is told to wait
//! without having given one up.

use std::collections::BTreeMap;

use haoyuan::model::{
    AccountId, Claim, Command, Cooldown, Fact, Facts, Outcome, PatientId, Place, RuleMode,
    Timestamp,
};

use super::{History, Invariant, Sight, ensure};
use crate::ask::Body;
use crate::history::Record;

/// Everything that ever followed from giving a place up, by patient.
#[derive(Default)]
pub(super) struct CooldownKept {
    made: BTreeMap<PatientId, Vec<Cooldown>>,
}

impl Invariant for CooldownKept {
    fn name(&self) -> &'static str {
        "cooldown_kept"
    }

    fn see(&mut self, sight: &Sight<'_>, history: &History) -> Result<(), String> {
        match sight {
            Sight::Durable(record) => self.see_record(record, history),
            Sight::Told { ask, reply } if reply.outcome() == Outcome::CoolingDown => {
                let patient = match &ask.body {
                    Body::Command(Command::Hold(hold)) | Body::Import(hold) => {
                        hold.patient.or_else(|| hold.keys.account.map(AccountId::holder))
                    }
                    Body::Command(Command::NamePatient(name)) => Some(name.patient),
                    Body::Command(Command::JoinWaitlist(join)) => Some(join.patient),
                    Body::Command(Command::Reschedule(ask)) => {
                        let life = history.lives.get(&ask.appointment);
                        life.map(|life| life.named.unwrap_or(life.held.patient))
                    }
                    _ => None,
                };
                let patient = patient.map(|patient| history.person(patient));
                let made = patient.and_then(|patient| self.made.get(&patient));
                let is_known = made.into_iter().flatten().any(|it| it.mode == RuleMode::Enforce);
                ensure(is_known, || format!("{ask} was told to wait for nothing"))
            }
            _ => Ok(()),
        }
    }
}

impl CooldownKept {
    fn see_record(&mut self, record: &Record, history: &History) -> Result<(), String> {
        for fact in &record.facts {
            self.look(fact, record, history)?;
            if let Fact::PatientsMerged(fact) = fact {
                let made = self.made.remove(&fact.from).unwrap_or_default();
                self.made.entry(fact.into).or_default().extend(made);
            }
            if let Fact::Cooled(cooled) = fact {
                let made = self.made.entry(cooled.patient).or_default();
                for new in &cooled.cooldowns {
                    let is_told_again = made.contains(new);
                    let is_new = new.since == record.time && has_ended(&record.facts, new);
                    let ends = record.time < new.until;
                    ensure(ends && (is_new || is_told_again), || format!("{new:?} from nothing"))?;
                }
                made.extend(&cooled.cooldowns);
            }
        }
        Ok(())
    }

    fn look(&self, fact: &Fact, record: &Record, history: &History) -> Result<(), String> {
        let (patient, claims) = match fact {
            // A payment that came late buys the place of its own hold back.
            Fact::Held(held) if !is_bought_back(&record.facts) => (held.patient, &held.claims),
            Fact::PlaceOffered(fact) => (fact.held.patient, &fact.held.claims),
            Fact::PatientNamed(fact) => (fact.patient, &fact.claims),
            _ => return Ok(()),
        };
        for Claim { session, .. } in claims {
            let session = history.sessions.get(session).ok_or("no such session")?;
            self.may_have(patient, &Place::of(session), record.time)?;
        }
        Ok(())
    }

    fn may_have(&self, patient: PatientId, place: &Place, time: Timestamp) -> Result<(), String> {
        let made = self.made.get(&patient).into_iter().flatten();
        let mut waits = made.filter(|it| it.mode == RuleMode::Enforce && time < it.until);
        let refusing = waits.find(|it| it.within.contains(place));
        ensure(refusing.is_none(), || {
            format!("patient {:x} was given a place while {refusing:?}", patient.0)
        })
    }
}

fn has_ended(facts: &Facts, new: &Cooldown) -> bool {
    facts.iter().filter_map(Fact::ended).any(|ended| ended.appointment == new.appointment)
}

fn is_bought_back(facts: &Facts) -> bool {
    facts.iter().any(|fact| matches!(fact, Fact::Billed(it) if it.bill.rebooked.is_some()))
}
