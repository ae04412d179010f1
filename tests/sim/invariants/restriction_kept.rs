//! Nobody is given a place where a rule keeps them from booking, and nobody is told so without cause.

use std::collections::BTreeMap;

use haoyuan::model::{
    BookingChannel, Claim, Consequence, Fact, Outcome, PatientId, Place, Restriction, RuleMode,
    Session, Timestamp,
};

use super::{History, Invariant, Sight, ensure};
use crate::ask::Body;
use haoyuan::model::Command;

/// What was ever made, by patient.
#[derive(Default)]
pub(super) struct RestrictionKept {
    made: BTreeMap<PatientId, Vec<Restriction>>,
}

impl Invariant for RestrictionKept {
    fn name(&self) -> &'static str {
        "restriction_kept"
    }

    fn see(&mut self, sight: &Sight<'_>, history: &History) -> Result<(), String> {
        match sight {
            Sight::Durable(record) => {
                for fact in &record.facts {
                    self.note(fact, record.time, history)?;
                }
                Ok(())
            }
            Sight::Told { ask, reply } if reply.outcome() == Outcome::Restricted => {
                let patient = match &ask.body {
                    Body::Command(Command::Hold(hold)) | Body::Import(hold) => hold.patient,
                    Body::Command(Command::JoinWaitlist(join)) => Some(join.patient),
                    _ => None,
                };
                let known = patient.is_some_and(|patient| self.made.contains_key(&patient));
                ensure(known, || format!("{ask} was told of a restriction that nobody made"))
            }
            _ => Ok(()),
        }
    }
}

impl RestrictionKept {
    fn note(&mut self, fact: &Fact, time: Timestamp, history: &History) -> Result<(), String> {
        if let Fact::Struck(struck) = fact {
            let made = self.made.entry(struck.patient).or_default();
            made.extend(struck.restriction);
        }
        if let Fact::Entered(entered) = fact {
            let session = history.sessions.get(&entered.draw.session).ok_or("no such session")?;
            return self.look(entered.patient, entered.channel, time, session);
        }
        let (Fact::Held(_) | Fact::PlaceOffered(_)) = fact else { return Ok(()) };
        let Some(held) = fact.held() else { return Ok(()) };
        for Claim { session, .. } in &held.claims {
            let session = history.sessions.get(session).ok_or("no such session")?;
            self.look(held.patient, held.channel, time, session)?;
        }
        Ok(())
    }

    fn look(
        &self,
        patient: PatientId,
        channel: BookingChannel,
        time: Timestamp,
        session: &Session,
    ) -> Result<(), String> {
        let place = Place::of(session);
        for made in self.made.get(&patient).into_iter().flatten() {
            let is_barred = match made.consequence {
                Consequence::Refuse { but } => !but.contains(channel),
                Consequence::Warn | Consequence::Lower(_) => false,
            };
            let holds = made.from <= time && time < made.until && made.within.contains(&place);
            ensure(!(is_barred && holds && made.mode == RuleMode::Enforce), || {
                format!("patient {:x} was given a place while {made:?}", patient.0)
            })?;
        }
        Ok(())
    }
}
