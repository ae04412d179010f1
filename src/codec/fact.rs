//! Layouts of facts and records. The tags are frozen: journals of every version stay readable.

use arrayvec::ArrayVec;
use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use super::demand::ClaimList;
use super::reschedule::MovedLater;
use super::supply::{QuotaTable, Quotas};
use super::terms::{WithTerms, with_terms};
use crate::model::limits::{FORGOTTEN_MAX, RECORD_FACTS_MAX};
use crate::model::{
    AppointmentId, Booked, Declined, Ended, Fact, Facts, Forgotten, Held, Offered, Phoned,
    Progressed, QuotasSet, Reclaimed, SessionOpened, Settled,
};

/// The version of the layouts in this file. A data folder of a newer one is refused.
pub const FACT_FORMAT: u16 = 2;

/// A tag that no fact has in this version.
pub(super) const NEWER: &str = "no fact has this tag in this version";

const SESSION_OPENED: u8 = 1;
const HELD: u8 = 2;
const BOOKED: u8 = 3;
const ENDED: u8 = 4;
const PROGRESSED: u8 = 5;
const SETTLED: u8 = 6;
const DECLINED: u8 = 7;
const FORGOTTEN: u8 = 8;
// From here on since fact format 2.
const SESSION_OPENED_WITH_TERMS: u8 = 9;
const QUOTAS_SET: u8 = 10;
const RECLAIMED: u8 = 11;
const RESCHEDULED: u8 = 12;
const FREED: u8 = 14;
const RETURNED: u8 = 15;
const SWEPT: u8 = 13;
const SESSION_BLOCKED: u8 = 20;
const DISPLACED: u8 = 21;
const SUBSTITUTED: u8 = 22;
const PLACE_ADDED: u8 = 23;
const OFFERED: u8 = 24;
const ENTERED: u8 = 25;
const DRAW_REVEALED: u8 = 26;
const DRAW_WON: u8 = 27;
const ENTRY_ENDED: u8 = 28;
const BEACON_GIVEN: u8 = 29;
const WAIT_JOINED: u8 = 16;
const PLACE_OFFERED: u8 = 17;
const WAIT_LEFT: u8 = 18;
const WAIT_DRAWN: u8 = 19;
const QUEUED: u8 = 30;
const LEFT: u8 = 31;
const CALLED: u8 = 32;
const MOVED_LATER: u8 = 33;
const RULES_APPLIED: u8 = 34;
const STRUCK: u8 = 35;
const RESTRICTED: u8 = 36;
const AMENDED: u8 = 37;
const PATIENTS_MERGED: u8 = 38;
const LEFT_LATE: u8 = 40;
const BILLED: u8 = 41;
const ORDERED: u8 = 42;
const PATIENT_NAMED: u8 = 43;
const RECORDED: u8 = 44;
const PHONED: u8 = 46;
const DECIDED_UNDER: u8 = 52;
const COOLED: u8 = 47;
const BARRED: u8 = 48;
const PROBED: u8 = 50;
const BOUND: u8 = 45;

layout_struct!(SessionOpened { request, fingerprint, session });
layout_struct!(Booked { request, fingerprint, appointment, payment });
layout_struct!(Progressed { request, fingerprint, appointment, status });
layout_struct!(Settled { request, fingerprint, appointment, patient, status });
layout_struct!(Offered { displaced, held });
layout_struct!(Declined { appointment, patient, fingerprint, outcome });
layout_struct!(Phoned { appointment, phone });

layout_list!(FactList<Fact>, Facts, u8, RECORD_FACTS_MAX, "more facts than a record has");

/// The ids of [`Forgotten`].
type Ids = ArrayVec<AppointmentId, FORGOTTEN_MAX>;
layout_list!(IdList<AppointmentId>, Ids, u8, FORGOTTEN_MAX, "more ids than are forgotten at once");

/// Appends the facts of a record to a buffer.
pub fn encode_facts(facts: &Facts, buffer: &mut Vec<u8>) {
    super::encode_into(&FactList(facts), buffer);
}

/// Reads the facts of a record.
///
/// # Errors
///
/// [`super::CodecError`] where the bytes are no record of this format.
pub fn decode_facts(bytes: &[u8]) -> Result<Facts, super::CodecError> {
    super::decode_exact::<FactList<Facts>>(bytes).map(|list| list.0)
}

impl Encode for Fact {
    #[inline]
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        match self {
            Self::SessionOpened(fact) if fact.session.has_terms() => {
                SESSION_OPENED_WITH_TERMS.encode(encoder)?;
                fact.request.encode(encoder)?;
                fact.fingerprint.encode(encoder)?;
                WithTerms(&fact.session).encode(encoder)
            }
            Self::SessionOpened(fact) => {
                SESSION_OPENED.encode(encoder)?;
                fact.as_ref().encode(encoder)
            }
            Self::QuotasSet(fact) => {
                QUOTAS_SET.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::Reclaimed(fact) => {
                RECLAIMED.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::Freed(fact) => {
                FREED.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::WaitJoined(fact) => {
                WAIT_JOINED.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::PlaceOffered(fact) => {
                PLACE_OFFERED.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::WaitLeft(fact) => {
                WAIT_LEFT.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::WaitDrawn(fact) => {
                WAIT_DRAWN.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::RulesApplied(fact) => {
                RULES_APPLIED.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::Recorded(fact) => {
                RECORDED.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::Struck(fact) => {
                STRUCK.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::Barred(fact) => {
                BARRED.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::Probed(fact) => {
                PROBED.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::Restricted(fact) => {
                RESTRICTED.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::Amended(fact) => {
                AMENDED.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::PatientsMerged(fact) => {
                PATIENTS_MERGED.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::LeftLate(fact) => {
                LEFT_LATE.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::Billed(fact) => {
                BILLED.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::Ordered(fact) => {
                ORDERED.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::PatientNamed(fact) => {
                PATIENT_NAMED.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::Bound(fact) => {
                BOUND.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::Phoned(fact) => {
                PHONED.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::Cooled(fact) => {
                COOLED.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::Returned(fact) => {
                RETURNED.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::DecidedUnder(version) => {
                DECIDED_UNDER.encode(encoder)?;
                version.encode(encoder)
            }
            Self::Swept(session) => {
                SWEPT.encode(encoder)?;
                session.encode(encoder)
            }
            Self::SessionBlocked(fact) => {
                SESSION_BLOCKED.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::Displaced(fact) => {
                DISPLACED.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::Substituted(fact) => {
                SUBSTITUTED.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::PlaceAdded(fact) => {
                PLACE_ADDED.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::Offered(fact) => {
                OFFERED.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::Rescheduled(fact) if fact.back.is_empty() => {
                RESCHEDULED.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::Rescheduled(fact) => {
                MOVED_LATER.encode(encoder)?;
                MovedLater(fact.as_ref()).encode(encoder)
            }
            Self::Entered(fact) => {
                ENTERED.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::BeaconGiven(fact) => {
                BEACON_GIVEN.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::DrawRevealed(fact) => {
                DRAW_REVEALED.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::DrawWon(fact) => {
                DRAW_WON.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::EntryEnded(fact) => {
                ENTRY_ENDED.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::Queued(fact) => {
                QUEUED.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::Left(fact) => {
                LEFT.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::Called(fact) => {
                CALLED.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::Held(fact) => {
                HELD.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::Booked(fact) => {
                BOOKED.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::Ended(fact) => {
                ENDED.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::Progressed(fact) => {
                PROGRESSED.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::Settled(fact) => {
                SETTLED.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::Declined(fact) => {
                DECLINED.encode(encoder)?;
                fact.encode(encoder)
            }
            Self::Forgotten(fact) => {
                FORGOTTEN.encode(encoder)?;
                IdList(&fact.appointments).encode(encoder)
            }
        }
    }
}

impl<Context> Decode<Context> for Fact {
    #[inline]
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(match u8::decode(decoder)? {
            SESSION_OPENED => Self::SessionOpened(Box::new(Decode::decode(decoder)?)),
            HELD => Self::Held(Decode::decode(decoder)?),
            BOOKED => Self::Booked(Decode::decode(decoder)?),
            ENDED => Self::Ended(Decode::decode(decoder)?),
            PROGRESSED => Self::Progressed(Decode::decode(decoder)?),
            SETTLED => Self::Settled(Decode::decode(decoder)?),
            DECLINED => Self::Declined(Decode::decode(decoder)?),
            FORGOTTEN => {
                let appointments = IdList::decode(decoder)?.0;
                Self::Forgotten(Box::new(Forgotten { appointments }))
            }
            SESSION_OPENED_WITH_TERMS => Self::SessionOpened(Box::new(SessionOpened {
                request: Decode::decode(decoder)?,
                fingerprint: Decode::decode(decoder)?,
                session: with_terms(decoder)?,
            })),
            QUOTAS_SET => Self::QuotasSet(Box::new(Decode::decode(decoder)?)),
            RECLAIMED => Self::Reclaimed(Box::new(Decode::decode(decoder)?)),
            FREED => Self::Freed(Box::new(Decode::decode(decoder)?)),
            RETURNED => Self::Returned(Box::new(Decode::decode(decoder)?)),
            RESCHEDULED => Self::Rescheduled(Box::new(Decode::decode(decoder)?)),
            MOVED_LATER => Self::Rescheduled(Box::new(MovedLater::decode(decoder)?.0)),
            SWEPT => Self::Swept(Decode::decode(decoder)?),
            SESSION_BLOCKED => Self::SessionBlocked(Box::new(Decode::decode(decoder)?)),
            DISPLACED => Self::Displaced(Box::new(Decode::decode(decoder)?)),
            SUBSTITUTED => Self::Substituted(Box::new(Decode::decode(decoder)?)),
            PLACE_ADDED => Self::PlaceAdded(Box::new(Decode::decode(decoder)?)),
            OFFERED => Self::Offered(Box::new(Decode::decode(decoder)?)),
            ENTERED => Self::Entered(Box::new(Decode::decode(decoder)?)),
            BEACON_GIVEN => Self::BeaconGiven(Box::new(Decode::decode(decoder)?)),
            DRAW_REVEALED => Self::DrawRevealed(Box::new(Decode::decode(decoder)?)),
            DRAW_WON => Self::DrawWon(Decode::decode(decoder)?),
            ENTRY_ENDED => Self::EntryEnded(Decode::decode(decoder)?),
            WAIT_JOINED => Self::WaitJoined(Box::new(Decode::decode(decoder)?)),
            PLACE_OFFERED => Self::PlaceOffered(Box::new(Decode::decode(decoder)?)),
            WAIT_LEFT => Self::WaitLeft(Box::new(Decode::decode(decoder)?)),
            WAIT_DRAWN => Self::WaitDrawn(Decode::decode(decoder)?),
            QUEUED => Self::Queued(Decode::decode(decoder)?),
            LEFT => Self::Left(Decode::decode(decoder)?),
            CALLED => Self::Called(Decode::decode(decoder)?),
            RULES_APPLIED => Self::RulesApplied(Box::new(Decode::decode(decoder)?)),
            STRUCK => Self::Struck(Box::new(Decode::decode(decoder)?)),
            BARRED => Self::Barred(Box::new(Decode::decode(decoder)?)),
            RESTRICTED => Self::Restricted(Box::new(Decode::decode(decoder)?)),
            AMENDED => Self::Amended(Box::new(Decode::decode(decoder)?)),
            PATIENTS_MERGED => Self::PatientsMerged(Box::new(Decode::decode(decoder)?)),
            LEFT_LATE => Self::LeftLate(Box::new(Decode::decode(decoder)?)),
            BILLED => Self::Billed(Box::new(Decode::decode(decoder)?)),
            ORDERED => Self::Ordered(Decode::decode(decoder)?),
            PATIENT_NAMED => Self::PatientNamed(Box::new(Decode::decode(decoder)?)),
            RECORDED => Self::Recorded(Box::new(Decode::decode(decoder)?)),
            PHONED => Self::Phoned(Decode::decode(decoder)?),
            DECIDED_UNDER => Self::DecidedUnder(Decode::decode(decoder)?),
            COOLED => Self::Cooled(Box::new(Decode::decode(decoder)?)),
            BOUND => Self::Bound(Box::new(Decode::decode(decoder)?)),
            PROBED => Self::Probed(Box::new(Decode::decode(decoder)?)),
            _ => return Err(DecodeError::Other(NEWER)),
        })
    }
}

impl Encode for Held {
    #[inline]
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.appointment.encode(encoder)?;
        self.patient.encode(encoder)?;
        self.account.encode(encoder)?;
        self.organization.encode(encoder)?;
        self.channel.encode(encoder)?;
        self.class.encode(encoder)?;
        self.sharing.encode(encoder)?;
        self.until.encode(encoder)?;
        self.fingerprint.encode(encoder)?;
        self.rules.encode(encoder)?;
        ClaimList(&self.claims).encode(encoder)
    }
}

impl<Context> Decode<Context> for Held {
    #[inline]
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self {
            appointment: Decode::decode(decoder)?,
            patient: Decode::decode(decoder)?,
            account: Decode::decode(decoder)?,
            organization: Decode::decode(decoder)?,
            channel: Decode::decode(decoder)?,
            class: Decode::decode(decoder)?,
            sharing: Decode::decode(decoder)?,
            until: Decode::decode(decoder)?,
            fingerprint: Decode::decode(decoder)?,
            rules: Decode::decode(decoder)?,
            claims: ClaimList::decode(decoder)?.0,
        })
    }
}

impl Encode for Ended {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.request.encode(encoder)?;
        self.appointment.encode(encoder)?;
        self.patient.encode(encoder)?;
        self.cause.encode(encoder)?;
        ClaimList(&self.claims).encode(encoder)
    }
}

impl<Context> Decode<Context> for Ended {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self {
            request: Decode::decode(decoder)?,
            appointment: Decode::decode(decoder)?,
            patient: Decode::decode(decoder)?,
            cause: Decode::decode(decoder)?,
            claims: ClaimList::decode(decoder)?.0,
        })
    }
}

impl Encode for QuotasSet {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.request.encode(encoder)?;
        self.fingerprint.encode(encoder)?;
        self.session.encode(encoder)?;
        QuotaTable(&self.quotas).encode(encoder)
    }
}

impl<Context> Decode<Context> for QuotasSet {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self {
            request: Decode::decode(decoder)?,
            fingerprint: Decode::decode(decoder)?,
            session: Decode::decode(decoder)?,
            quotas: QuotaTable::decode(decoder)?.0,
        })
    }
}

impl Encode for Reclaimed {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.session.encode(encoder)?;
        self.from.encode(encoder)?;
        self.to.encode(encoder)?;
        Quotas(&self.places).encode(encoder)
    }
}

impl<Context> Decode<Context> for Reclaimed {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self {
            session: Decode::decode(decoder)?,
            from: Decode::decode(decoder)?,
            to: Decode::decode(decoder)?,
            places: Quotas::decode(decoder)?.0,
        })
    }
}
