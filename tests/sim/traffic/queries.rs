//! What is looked at: each reading that there is.

use haoyuan::model::{
    AppointmentId, CallOrderOf, DrawId, ExplainOf, PatientClass, PoolIndex, Query, SessionId,
    SlotIndex,
};

use super::{Traffic, some_channel};
use crate::random::Random;

impl Traffic {
    pub(super) fn query(&self, random: &mut Random) -> Query {
        let channel = some_channel(random);
        match (random.below(10), self.some_known(random)) {
            (9, _) => self.bills(random),
            (8, Some(known)) if random.chance(500) => {
                let request = known.id.request();
                let of = match random.below(4) {
                    0 => ExplainOf::Request { request, patient: None },
                    1 => ExplainOf::Appointment { appointment: known.id, patient: None },
                    2 => ExplainOf::Patient(known.patient),
                    _ if self.is_desk => {
                        return Query::ReadStanding { patient: known.patient, channel };
                    }
                    _ => return Query::ReadRecord { patient: known.patient, channel },
                };
                Query::Explain { of, channel, at: None }
            }
            (8, _) => Query::ReadRules { at: None },
            (7, known) => Query::Draw {
                draw: DrawId { session: self.late_session(random), pool: PoolIndex(0) },
                appointment: known.filter(|_| random.chance(500)).map(|known| known.id),
                patient: None,
                channel,
            },
            (6, Some(known)) if random.chance(500) => {
                let patient = random.chance(700).then_some(known.patient);
                let of = CallOrderOf::One { appointment: known.id, patient, channel };
                Query::CallOrder { session: self.late_session(random), of }
            }
            (6, _) => {
                let of = CallOrderOf::All { from: u16::try_from(random.below(3)).unwrap() };
                Query::CallOrder { session: self.late_session(random), of }
            }
            (3, Some(known)) => Query::Alternatives {
                appointment: Some(known.id),
                session: SessionId(0),
                slot: SlotIndex(0),
                count: 1,
                patient: Some(known.patient),
                channel: known.channel,
                class: PatientClass::Outpatient,
            },
            (4, _) => {
                let session = random.chance(500).then(|| self.late_session(random));
                Query::Displaced { session, department: None, after: AppointmentId(0) }
            }
            (5, _) => Query::Waitlist {
                session: SessionId(random.between(1, self.sessions + 1)),
                patient: random.chance(500).then(|| self.patient(random)),
                channel,
            },
            (0, Some(known)) => {
                let patient = random.chance(700).then_some(known.patient);
                Query::Get { appointment: known.id, patient, channel }
            }
            (1, _) => {
                let patient = self.patient(random);
                Query::List { patient, channel }
            }
            _ => {
                let session = SessionId(random.between(1, self.sessions + 1));
                Query::Availability { session, channel, class: PatientClass::Outpatient }
            }
        }
    }
}
