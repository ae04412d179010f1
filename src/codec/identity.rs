//! Layouts of two keys of one person.
//!
//! ```text
//! merge           request, from u128, into u128
//! PatientsMerged  request, fingerprint, from u128, into u128, u8 n, n keys u128, estate
//! estate          u8 n, n lines | u8 n, n (entry of a waitlist, option offer)
//!                 | u8 n, n (strike, u8 used up, u8 over) | u8 n, n restrictions as they are kept
//!                 | u8 n, n visits that are over
//! line            appointment u128, session u64, slot u16, since u64
//! visit           u8 number of its place and type, from 0 in the order in which they come; where it is
//!                 new: place, u8 type | u16 day | booked: u8 days before | ended: u8 days after that
//!                 | u8: ending in bits 0 to 2, half of the day in 3, of the appointment before in 4
//! ```
//!
//! A history is most of what somebody has. So that a record carries one of years, it is told in six
//! bytes for each visit.

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use crate::model::limits::{HISTORY_MAX, KEYS_MAX};
use crate::model::{
    AppointmentId, Day, Ending, Estate, HalfDay, KeptLine, KeptRestriction, MergePatients, Past,
    PatientId, PatientsMerged, Place, Strike, Visit, WaitEntry,
};

layout_struct!(MergePatients { request, from, into });

/// As many as a byte counts; the bytes of a record bound them tighter.
const ITEMS_MAX: usize = u8::MAX as usize;

type Keys = Vec<PatientId>;
layout_list!(KeyList<PatientId>, Keys, u8, KEYS_MAX, "more keys than a person has");
layout_struct!(KeptLine { appointment, session, slot, since });
type Live = Vec<KeptLine>;
layout_list!(LiveList<KeptLine>, Live, u8, ITEMS_MAX, "more than one has");
type Waits = Vec<(WaitEntry, Option<AppointmentId>)>;
layout_list!(
    WaitList<(WaitEntry, Option<AppointmentId>)>,
    Waits,
    u8,
    ITEMS_MAX,
    "more than one waits for"
);
type Strikes = Vec<(Strike, bool, bool)>;
layout_list!(StrikeList<(Strike, bool, bool)>, Strikes, u8, ITEMS_MAX, "more than is kept");
type Made = Vec<KeptRestriction>;
layout_list!(MadeList<KeptRestriction>, Made, u8, ITEMS_MAX, "more than is kept");
layout_with_lists!(Estate {
    live as LiveList<Live>,
    waits as WaitList<Waits>,
    strikes as StrikeList<Strikes>,
    restrictions as MadeList<Made>,
    past as PastList<Visits>,
});
layout_with_lists!(PatientsMerged {
    request,
    fingerprint,
    from,
    into,
    keys as KeyList<Keys>,
    estate
});

type Visits = Vec<Past>;

/// Visits that are over, each place named where it comes first.
struct PastList<T>(T);

impl Encode for PastList<&Visits> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        let count = u8::try_from(self.0.len()).map_err(|_| EncodeError::Other(TOO_LONG))?;
        count.encode(encoder)?;
        let mut places: Vec<(Place, u8)> = Vec::new();
        for past in self.0 {
            let place = (past.visit.place, past.visit.appointment_type);
            let known = places.iter().position(|other| *other == place);
            let number = known.unwrap_or(places.len());
            u8::try_from(number).map_err(|_| EncodeError::Other(TOO_LONG))?.encode(encoder)?;
            if known.is_none() {
                place.encode(encoder)?;
                places.push(place);
            }
            packed(past)
                .ok_or(EncodeError::Other("a day that is not told apart"))?
                .encode(encoder)?;
        }
        Ok(())
    }
}

impl<Context> Decode<Context> for PastList<Visits> {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let count = u8::decode(decoder)?;
        let (mut places, mut all): (Vec<(Place, u8)>, Visits) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let number = usize::from(u8::decode(decoder)?);
            if number == places.len() {
                let place = Decode::decode(decoder)?;
                if places.contains(&place) {
                    return Err(DecodeError::Other("a place has two numbers"));
                }
                places.push(place);
            }
            let place = places.get(number).ok_or(DecodeError::Other("a place has no number"))?;
            let past = unpacked(*place, Decode::decode(decoder)?);
            all.push(past.ok_or(DecodeError::Other("a visit that is none"))?);
        }
        Ok(Self(all))
    }
}

const _: () = assert!(HISTORY_MAX <= u8::MAX as usize);

const TOO_LONG: &str = "more visits than are kept";

/// The day, how long before it was booked, how long after that it ended, and the rest in bits.
type Packed = (u16, u8, u8, u8);

fn packed(past: &Past) -> Option<Packed> {
    let Past { visit, ending, booked, ended, is_joined } = *past;
    let day = u16::try_from(visit.day.0).ok()?;
    let ahead = u8::try_from(visit.day.0.checked_sub(booked.0)?).ok()?;
    let lasted = u8::try_from(ended.0.checked_sub(booked.0)?).ok()?;
    let is_late = ending == Ending::Late;
    let ending = if is_late { Ending::Fulfilled } else { ending };
    let flags = ending as u8 | (visit.half as u8) << 3 | u8::from(is_joined) << 4;
    let flags = flags | u8::from(is_late) << 5;
    Some((day, ahead, lasted, flags))
}

fn unpacked((place, appointment_type): (Place, u8), packed: Packed) -> Option<Past> {
    let (day, ahead, lasted, flags) = packed;
    let day = Day(day.into());
    let booked = Day(day.0.checked_sub(ahead.into())?);
    let ending = Ending::ALL.into_iter().find(|ending| *ending as u8 == flags & 7)?;
    let ending = match (ending, flags >> 5) {
        (Ending::Fulfilled, 1) => Ending::Late,
        (ending, 0) => ending,
        _ => return None,
    };
    let half = if flags >> 3 & 1 == 0 { HalfDay::Morning } else { HalfDay::Afternoon };
    let visit = Visit { place, appointment_type, day, half };
    let ended = Day(booked.0.saturating_add(lasted.into()));
    let is_joined = flags >> 4 & 1 == 1;
    Some(Past { visit, ending, booked, ended, is_joined })
}
