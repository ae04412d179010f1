//! Facts from bytes: mostly such as could have happened, and now and then one that could not.

use haoyuan::model::{
    AppointmentId, AppointmentStatus, Booked, Bound, Cause, Claim, Claims, ClientKey, Day,
    Declined, Ended, Fact, Forgotten, Held, OrganizationId, Outcome, PatientClass, PatientId,
    PaymentRef, Phoned, PoolIndex, Progressed, QuotasSet, Reclaimed, RuleRef, RulesVersion,
    SessionId, SessionOpened, SetQuotas, Settled, Sharing, SlotIndex, Tie, Timestamp,
};

use crate::{Bytes, MORNING, appointment, channel, patient, request, session, set_quotas};

/// Reads facts, and remembers what was held, so that what follows can fit it.
#[derive(Debug, Default)]
pub struct FactSource {
    held: Vec<(AppointmentId, PatientId, Claims)>,
    requests: u128,
}

impl FactSource {
    /// The next fact.
    pub fn fact(&mut self, bytes: &mut Bytes<'_>) -> Fact {
        self.requests += 1;
        let request = request(10_000 + self.requests);
        let fingerprint = 9;
        match bytes.below(16) {
            14 => {
                let (appointment, ..) = self.known(bytes);
                Fact::Phoned(Phoned { appointment, phone: ClientKey(u128::from(bytes.below(2))) })
            }
            15 => bound(bytes),
            0 | 1 => {
                let session = session(bytes);
                Fact::SessionOpened(Box::new(SessionOpened { request, fingerprint, session }))
            }
            2..=4 => self.hold(bytes),
            5 => {
                let (appointment, ..) = self.known(bytes);
                let payment = PaymentRef(5);
                Fact::Booked(Booked { request, fingerprint, appointment, payment })
            }
            6 | 7 => {
                let (appointment, patient, mut claims) = self.known(bytes);
                if bytes.once_in(16) {
                    claims = self::claims(bytes);
                }
                let cause = match bytes.below(8) {
                    0 | 1 => Cause::Released,
                    2 | 3 => Cause::Expired,
                    7 => Cause::None,
                    _ => Cause::Cancelled,
                };
                let request = (cause != Cause::Expired).then_some((request, fingerprint));
                Fact::Ended(Ended { request, appointment, patient, cause, claims })
            }
            8 => {
                let (appointment, ..) = self.known(bytes);
                let status =
                    status(bytes, AppointmentStatus::Arrived, AppointmentStatus::CheckedIn);
                Fact::Progressed(Progressed { request, fingerprint, appointment, status })
            }
            9 => {
                let (appointment, patient, _) = self.known(bytes);
                let status = status(bytes, AppointmentStatus::Fulfilled, AppointmentStatus::NoShow);
                Fact::Settled(Settled { request, fingerprint, appointment, patient, status })
            }
            10 => {
                let (appointment, patient) = (appointment(bytes), patient(bytes));
                let outcome = Outcome::SoldOut;
                Fact::Declined(Declined { appointment, patient, fingerprint, outcome })
            }
            12 => {
                let SetQuotas { session, quotas, .. } = set_quotas(bytes);
                Fact::QuotasSet(Box::new(QuotasSet { request, fingerprint, session, quotas }))
            }
            13 => Fact::Reclaimed(Box::new(Reclaimed {
                session: SessionId(u64::from(bytes.below(4))),
                from: PoolIndex(bytes.below(3)),
                to: PoolIndex(bytes.below(3)),
                places: (0..bytes.below(7)).map(|_| u16::from(bytes.below(3))).collect(),
            })),
            _ => {
                // All of one home; most often there is only one at hand.
                let (appointment, ..) = self.known(bytes);
                let count = usize::from(bytes.below(8) / 7) + 1;
                let appointments = std::iter::repeat_n(appointment, count).collect();
                Fact::Forgotten(Box::new(Forgotten { appointments }))
            }
        }
    }

    /// When a fact happened: mostly later than the one before.
    pub fn time(bytes: &mut Bytes<'_>) -> Timestamp {
        MORNING.plus_millis(u64::from(bytes.short()) * 1_000)
    }

    fn hold(&mut self, bytes: &mut Bytes<'_>) -> Fact {
        let (appointment, patient, claims) = (appointment(bytes), patient(bytes), claims(bytes));
        self.held.retain(|(id, ..)| *id != appointment);
        self.held.push((appointment, patient, claims.clone()));
        Fact::Held(Held {
            appointment,
            patient,
            account: None,
            organization: OrganizationId(1),
            channel: channel(bytes),
            class: PatientClass::Outpatient,
            sharing: Sharing::Cancel,
            until: MORNING.plus_millis(u64::from(bytes.below(60)) * 60_000),
            fingerprint: 3,
            rules: RulesVersion(0),
            claims,
        })
    }

    /// An appointment that was held, with its patient and places; a stranger once in 16.
    fn known(&self, bytes: &mut Bytes<'_>) -> (AppointmentId, PatientId, Claims) {
        let index = usize::from(bytes.byte());
        if index < 240
            && let Some(known) = self.held.get(index % self.held.len().max(1))
        {
            return known.clone();
        }
        (appointment(bytes), patient(bytes), claims(bytes))
    }
}

fn claims(bytes: &mut Bytes<'_>) -> Claims {
    let count = [1, 1, 1, 2, 1, 3, 1, 0][usize::from(bytes.below(8))];
    let claim = |bytes: &mut Bytes<'_>| Claim {
        session: SessionId(u64::from(bytes.below(4))),
        slot: SlotIndex(if bytes.once_in(64) { bytes.short() } else { bytes.below(6).into() }),
        count: if bytes.once_in(8) { bytes.byte() } else { 1 },
        pool: PoolIndex(bytes.below(3)),
    };
    (0..count).map(|_| claim(bytes)).collect()
}

fn status(
    bytes: &mut Bytes<'_>,
    first: AppointmentStatus,
    second: AppointmentStatus,
) -> AppointmentStatus {
    match bytes.below(16) {
        0..=6 => first,
        7..=13 => second,
        _ => AppointmentStatus::ALL[usize::from(bytes.below(7))],
    }
}

/// One of few belongs to one of few, now and then instead of another.
fn bound(bytes: &mut Bytes<'_>) -> Fact {
    let instead_of = bytes.once_in(4).then(|| u128::from(bytes.below(4)));
    Fact::Bound(Box::new(Bound {
        tie: Tie::ALL[usize::from(bytes.below(4))],
        holder: u128::from(bytes.below(2)),
        other: u128::from(bytes.below(8)),
        instead_of,
        changed: instead_of.map(|_| Day(u32::from(bytes.byte()))).into_iter().collect(),
        is_beyond: bytes.once_in(8),
        rule: RuleRef::default(),
    }))
}
