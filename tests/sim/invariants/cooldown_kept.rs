//! Nobody who gave a place up is given the next one there before it is time, and nobody is told to wait
//! without having given one up.

use std::collections::BTreeMap;

use haoyuan::model::{
    AccountId, AppointmentId, Claim, ClientKey, Command, Cooldown, CountedOf, Fact, Facts, Outcome,
    PatientId, Place, RuleMode, Timestamp,
};

use super::{History, Invariant, Sight, ensure};
use crate::ask::Body;
use crate::history::Record;

/// Everything that ever followed from giving a place up, by the key of a ledger.
#[derive(Default)]
pub(super) struct CooldownKept {
    made: BTreeMap<PatientId, Vec<Cooldown>>,
    /// The telephones of holds, as far as rules ask for them.
    phones: BTreeMap<AppointmentId, ClientKey>,
}

impl Invariant for CooldownKept {
    fn name(&self) -> &'static str {
        "cooldown_kept"
    }

    fn see(&mut self, sight: &Sight<'_>, history: &History) -> Result<(), String> {
        match sight {
            Sight::Durable(record) => self.see_record(record, history),
            Sight::Told { ask, reply } if reply.outcome() == Outcome::CoolingDown => {
                let made = self.behind(&ask.body, history);
                let made = made
                    .into_iter()
                    .flatten()
                    .filter_map(|key| self.made.get(&history.person(key)));
                let is_known = made.flatten().any(|it| it.mode == RuleMode::Enforce);
                ensure(is_known, || format!("{ask} was told to wait for nothing"))
            }
            _ => Ok(()),
        }
    }
}

impl CooldownKept {
    /// The patient, the account and the telephone behind a request.
    fn behind(&self, body: &Body, history: &History) -> [Option<PatientId>; 3] {
        let (patient, account, phone) = match body {
            Body::Command(Command::Hold(hold)) | Body::Import(hold) => {
                (hold.patient, hold.keys.account, hold.keys.phone)
            }
            Body::Command(Command::NamePatient(name)) => {
                let known = self.phones.get(&name.appointment).copied();
                (Some(name.patient), name.keys.account, name.keys.phone.or(known))
            }
            Body::Command(Command::JoinWaitlist(join)) => (Some(join.patient), join.account, None),
            Body::Command(Command::Reschedule(ask)) => {
                let life = history.lives.get(&ask.appointment);
                let patient = life.map(|life| life.named.unwrap_or(life.held.patient));
                let account = life.and_then(|life| life.held.account);
                (patient, account, self.phones.get(&ask.appointment).copied())
            }
            _ => (None, None, None),
        };
        let account = account.map(AccountId::holder);
        [patient, account, phone.map(ClientKey::phone_holder)]
    }

    fn see_record(&mut self, record: &Record, history: &History) -> Result<(), String> {
        for fact in &record.facts {
            if let Fact::Phoned(fact) = fact {
                self.phones.insert(fact.appointment, fact.phone);
            }
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
        let (patient, account, claims) = match fact {
            // A payment that came late buys the place of its own hold back.
            Fact::Held(held) if !is_bought_back(&record.facts) => {
                (held.patient, held.account, &held.claims)
            }
            Fact::PlaceOffered(fact) => (fact.held.patient, None, &fact.held.claims),
            Fact::PatientNamed(fact) => (fact.patient, Some(fact.account), &fact.claims),
            _ => return Ok(()),
        };
        let phone = record.facts.iter().find_map(|fact| match fact {
            Fact::Phoned(fact) => Some(fact.phone.phone_holder()),
            _ => None,
        });
        let who = [
            (CountedOf::Patient, Some(patient)),
            (CountedOf::Account, account.map(AccountId::holder)),
            (CountedOf::Phone, phone),
        ];
        for Claim { session, .. } in claims {
            let session = history.sessions.get(session).ok_or("no such session")?;
            for (of, key) in who {
                let Some(key) = key else { continue };
                self.may_have((of, key), &Place::of(session), record.time)?;
            }
        }
        Ok(())
    }

    fn may_have(
        &self,
        (of, key): (CountedOf, PatientId),
        place: &Place,
        time: Timestamp,
    ) -> Result<(), String> {
        let made = self.made.get(&key).into_iter().flatten().filter(|it| it.of == of);
        let mut waits = made.filter(|it| it.mode == RuleMode::Enforce && time < it.until);
        let refusing = waits.find(|it| it.within.contains(place));
        ensure(refusing.is_none(), || format!("{:x} was given a place while {refusing:?}", key.0))
    }
}

fn has_ended(facts: &Facts, new: &Cooldown) -> bool {
    facts.iter().filter_map(Fact::ended).any(|ended| ended.appointment == new.appointment)
}

fn is_bought_back(facts: &Facts) -> bool {
    facts.iter().any(|fact| matches!(fact, Fact::Billed(it) if it.bill.rebooked.is_some()))
}
