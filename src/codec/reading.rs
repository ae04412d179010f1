//! Layouts of queries and of what they are answered with.

use arrayvec::ArrayVec;
use bincode::de::Decoder;
use bincode::de::read::Reader;
use bincode::enc::Encoder;
use bincode::enc::write::Writer;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use super::attendance::Lines;
use super::returns::ReturningList;
use super::terms::WithTerms;
use crate::model::limits::{SESSION_CELLS_MAX, SESSION_SLOTS_MAX};
use crate::model::{
    ALTERNATIVES_MAX, Alternative, Appointment, Availability, CallOrder, ClockReading,
    DisplacedPage, LISTED_MAX, Operation, Query, Reading, Session, SessionReading,
};

const AVAILABILITY: u8 = 2;
const APPOINTMENT: u8 = 3;
const APPOINTMENTS: u8 = 4;
const CLOCK: u8 = 7;
const SESSION: u8 = 8;
const ALTERNATIVES: u8 = 9;
const DISPLACED: u8 = 13;
const DRAW: u8 = 12;
const WAITLIST: u8 = 10;
const CALL_ORDER: u8 = 11;
// 14 is a receipt's, of a choice.
const RULES: u8 = 15;
const RECORD: u8 = 16;
const EXPLANATION: u8 = 17;
const BILLS: u8 = 22;
const STANDING: u8 = 20;

/// Free places of the slots of a session.
type Free = ArrayVec<u16, SESSION_SLOTS_MAX>;

layout_struct!(Alternative { claim, resource, start });
type Found = Vec<Alternative>;
layout_list!(FoundList<Alternative>, Found, u8, ALTERNATIVES_MAX, "more than is proposed at once");

type Cells = Vec<u16>;
layout_list!(Taken<u16>, Cells, u16, SESSION_CELLS_MAX, "more cells than a session has");

type Listed = Vec<Appointment>;
layout_list!(ListedList<Appointment>, Listed, u8, LISTED_MAX, "more than is listed at once");

/// The operation is the first byte, as in a change.
impl Encode for Query {
    #[inline]
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.operation().encode(encoder)?;
        match self {
            Self::Availability { session, channel, class } => {
                session.encode(encoder)?;
                channel.encode(encoder)?;
                class.encode(encoder)
            }
            Self::Get { appointment, patient, channel } => {
                appointment.encode(encoder)?;
                patient.encode(encoder)?;
                channel.encode(encoder)
            }
            Self::List { patient, channel }
            | Self::ReadRecord { patient, channel }
            | Self::ReadStanding { patient, channel } => {
                patient.encode(encoder)?;
                channel.encode(encoder)
            }
            Self::ReadSession { session } => session.encode(encoder),
            Self::Alternatives { appointment, session, slot, count, patient, channel, class } => {
                appointment.encode(encoder)?;
                session.encode(encoder)?;
                slot.encode(encoder)?;
                count.encode(encoder)?;
                patient.encode(encoder)?;
                channel.encode(encoder)?;
                class.encode(encoder)
            }
            Self::Displaced { session, department, after } => {
                session.encode(encoder)?;
                department.encode(encoder)?;
                after.encode(encoder)
            }
            Self::Draw { draw, appointment, patient, channel } => {
                draw.encode(encoder)?;
                appointment.encode(encoder)?;
                patient.encode(encoder)?;
                channel.encode(encoder)
            }
            Self::Waitlist { session, patient, channel } => {
                session.encode(encoder)?;
                patient.encode(encoder)?;
                channel.encode(encoder)
            }
            Self::CallOrder { session, of } => {
                session.encode(encoder)?;
                of.encode(encoder)
            }
            Self::ReadRules { at } => at.encode(encoder),
            Self::Explain { of, channel, at } => {
                of.encode(encoder)?;
                channel.encode(encoder)?;
                at.encode(encoder)
            }
            Self::ReadBills { appointment, after } => {
                appointment.encode(encoder)?;
                after.encode(encoder)
            }
            Self::Clock | Self::ConfirmClock => Ok(()),
        }
    }
}

impl<Context> Decode<Context> for Query {
    #[inline]
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        match Operation::decode(decoder)? {
            Operation::Availability => Ok(Self::Availability {
                session: Decode::decode(decoder)?,
                channel: Decode::decode(decoder)?,
                class: Decode::decode(decoder)?,
            }),
            Operation::Get => Ok(Self::Get {
                appointment: Decode::decode(decoder)?,
                patient: Decode::decode(decoder)?,
                channel: Decode::decode(decoder)?,
            }),
            Operation::List => Ok(Self::List {
                patient: Decode::decode(decoder)?,
                channel: Decode::decode(decoder)?,
            }),
            Operation::Waitlist => Ok(Self::Waitlist {
                session: Decode::decode(decoder)?,
                patient: Decode::decode(decoder)?,
                channel: Decode::decode(decoder)?,
            }),
            Operation::ReadSession => Ok(Self::ReadSession { session: Decode::decode(decoder)? }),
            Operation::Alternatives => Ok(Self::Alternatives {
                appointment: Decode::decode(decoder)?,
                session: Decode::decode(decoder)?,
                slot: Decode::decode(decoder)?,
                count: Decode::decode(decoder)?,
                patient: Decode::decode(decoder)?,
                channel: Decode::decode(decoder)?,
                class: Decode::decode(decoder)?,
            }),
            Operation::Displaced => Ok(Self::Displaced {
                session: Decode::decode(decoder)?,
                department: Decode::decode(decoder)?,
                after: Decode::decode(decoder)?,
            }),
            Operation::Draw => Ok(Self::Draw {
                draw: Decode::decode(decoder)?,
                appointment: Decode::decode(decoder)?,
                patient: Decode::decode(decoder)?,
                channel: Decode::decode(decoder)?,
            }),
            Operation::CallOrder => Ok(Self::CallOrder {
                session: Decode::decode(decoder)?,
                of: Decode::decode(decoder)?,
            }),
            Operation::ReadRules => Ok(Self::ReadRules { at: Decode::decode(decoder)? }),
            Operation::ReadRecord => Ok(Self::ReadRecord {
                patient: Decode::decode(decoder)?,
                channel: Decode::decode(decoder)?,
            }),
            Operation::Explain => Ok(Self::Explain {
                of: Decode::decode(decoder)?,
                channel: Decode::decode(decoder)?,
                at: Decode::decode(decoder)?,
            }),
            Operation::ReadBills => Ok(Self::ReadBills {
                appointment: Decode::decode(decoder)?,
                after: Decode::decode(decoder)?,
            }),
            Operation::ReadStanding => Ok(Self::ReadStanding {
                patient: Decode::decode(decoder)?,
                channel: Decode::decode(decoder)?,
            }),
            Operation::Clock => Ok(Self::Clock),
            Operation::ConfirmClock => Ok(Self::ConfirmClock),
            _ => Err(DecodeError::Other("no query has this code")),
        }
    }
}

/// The first byte tells the form; 1 is a receipt's.
impl Encode for Reading {
    #[inline]
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        match self {
            Self::Availability(availability) => {
                AVAILABILITY.encode(encoder)?;
                availability.encode(encoder)
            }
            Self::Appointment(appointment) => {
                APPOINTMENT.encode(encoder)?;
                appointment.as_ref().encode(encoder)
            }
            Self::Appointments(list) => {
                APPOINTMENTS.encode(encoder)?;
                ListedList(list).encode(encoder)
            }
            Self::Clock(clock) => {
                CLOCK.encode(encoder)?;
                clock.encode(encoder)
            }
            Self::Waitlist(reading) => {
                WAITLIST.encode(encoder)?;
                reading.encode(encoder)
            }
            Self::Session(reading) => {
                SESSION.encode(encoder)?;
                WithTerms(&reading.session).encode(encoder)?;
                Taken(&reading.taken).encode(encoder)?;
                ReturningList(&reading.returning).encode(encoder)
            }
            Self::Alternatives(found) => {
                ALTERNATIVES.encode(encoder)?;
                FoundList(found).encode(encoder)
            }
            Self::Displaced(page) => {
                DISPLACED.encode(encoder)?;
                page.next.encode(encoder)?;
                ListedList(&page.appointments).encode(encoder)
            }
            Self::Draw(reading) => {
                DRAW.encode(encoder)?;
                reading.encode(encoder)
            }
            Self::CallOrder(order) => {
                CALL_ORDER.encode(encoder)?;
                order.waiting.encode(encoder)?;
                order.visit_millis.encode(encoder)?;
                Lines(&order.lines).encode(encoder)
            }
            Self::Rules(reading) => {
                RULES.encode(encoder)?;
                reading.encode(encoder)
            }
            Self::Record(reading) => {
                RECORD.encode(encoder)?;
                reading.encode(encoder)
            }
            Self::Explanation(explanation) => {
                EXPLANATION.encode(encoder)?;
                explanation.encode(encoder)
            }
            Self::Bills(page) => {
                BILLS.encode(encoder)?;
                page.as_ref().encode(encoder)
            }
            Self::Standing(reading) => {
                STANDING.encode(encoder)?;
                reading.encode(encoder)
            }
        }
    }
}

impl<Context> Decode<Context> for Reading {
    #[inline]
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(match u8::decode(decoder)? {
            AVAILABILITY => Self::Availability(Decode::decode(decoder)?),
            APPOINTMENT => Self::Appointment(Box::new(Decode::decode(decoder)?)),
            APPOINTMENTS => Self::Appointments(ListedList::decode(decoder)?.0),
            CLOCK => Self::Clock(Decode::decode(decoder)?),
            WAITLIST => Self::Waitlist(Decode::decode(decoder)?),
            SESSION => Self::Session(Box::new(SessionReading {
                session: WithTerms::<Session>::decode(decoder)?.0,
                taken: Taken::decode(decoder)?.0,
                returning: ReturningList::decode(decoder)?.0,
            })),
            ALTERNATIVES => Self::Alternatives(FoundList::decode(decoder)?.0),
            DISPLACED => Self::Displaced(DisplacedPage {
                next: Decode::decode(decoder)?,
                appointments: ListedList::decode(decoder)?.0,
            }),
            DRAW => Self::Draw(Box::new(Decode::decode(decoder)?)),
            CALL_ORDER => Self::CallOrder(Box::new(CallOrder {
                waiting: Decode::decode(decoder)?,
                visit_millis: Decode::decode(decoder)?,
                lines: Lines::decode(decoder)?.0,
            })),
            RULES => Self::Rules(Box::new(Decode::decode(decoder)?)),
            RECORD => Self::Record(Box::new(Decode::decode(decoder)?)),
            EXPLANATION => Self::Explanation(Box::new(Decode::decode(decoder)?)),
            BILLS => Self::Bills(Box::new(Decode::decode(decoder)?)),
            STANDING => Self::Standing(Box::new(Decode::decode(decoder)?)),
            _ => return Err(DecodeError::Other("no reading has this form")),
        })
    }
}

layout_struct!(ClockReading { time, gap_millis, is_suspended });

impl Encode for Availability {
    #[inline]
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.start.encode(encoder)?;
        self.slot_millis.encode(encoder)?;
        encode_free(&self.free, encoder)
    }
}

impl<Context> Decode<Context> for Availability {
    #[inline]
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self {
            start: Decode::decode(decoder)?,
            slot_millis: Decode::decode(decoder)?,
            free: decode_free(decoder)?,
        })
    }
}

/// A list with its length as `u16`, like any other, but written at once: it is the body of the
/// reply that a node gives most often.
#[inline]
fn encode_free<E: Encoder>(free: &Free, encoder: &mut E) -> Result<(), EncodeError> {
    let length = u16::try_from(free.len()).map_err(|_| EncodeError::Other(TOO_LONG))?;
    length.encode(encoder)?;
    let mut bytes = [0; 2 * SESSION_SLOTS_MAX];
    for (place, free) in bytes.chunks_exact_mut(2).zip(free) {
        place.copy_from_slice(&free.to_le_bytes());
    }
    encoder.writer().write(bytes.get(..2 * free.len()).unwrap_or_default())
}

#[inline]
fn decode_free<D: Decoder>(decoder: &mut D) -> Result<Free, DecodeError> {
    let length = usize::from(u16::decode(decoder)?);
    let mut bytes = [0; 2 * SESSION_SLOTS_MAX];
    let bytes = bytes.get_mut(..2 * length).ok_or(DecodeError::Other(TOO_LONG))?;
    decoder.reader().read(bytes)?;
    Ok(bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect())
}

const TOO_LONG: &str = "more slots than a session has";
