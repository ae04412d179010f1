//! Layouts of draws: terms, entries, facts, and what is read of one.
//!
//! ```text
//! draw id   u64 session, u8 pool        hash, seed 32 bytes        pseudonym 16 bytes
//! entry     pseudonym, u8 class, u8 count, u8 n, n u16 slots
//! beacon    u8 n, n bytes of ASCII
//! ```

use arrayvec::ArrayVec;
use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use super::supply::Quotas;
use crate::model::limits::{BEACON_BYTES_MAX, RANKED_SLOTS_MAX};
use crate::model::{
    Beacon, BeaconGiven, Draw, DrawChoice, DrawEntry, DrawHash, DrawId, DrawReading, DrawRevealed,
    DrawWon, Entered, EntryEnded, Pseudonym, RevealDraw, Seed, SlotIndex,
};

layout_number!(DrawHash Seed Pseudonym);
layout_struct!(DrawId { session, pool });
layout_struct!(Beacon { name, until });
layout_struct!(Draw { closes, preferences_max, ttl, beacon, commitment });
layout_struct!(DrawEntry { pseudonym, choice });
layout_struct!(Entered {
    appointment,
    patient,
    account,
    organization,
    channel,
    sharing,
    until,
    fingerprint,
    rules,
    draw,
    entry
});
layout_struct!(EntryEnded { request, draw, appointment, patient, cause });
layout_struct!(DrawWon { appointment, until, claim });

type Slots = ArrayVec<SlotIndex, RANKED_SLOTS_MAX>;
layout_list!(SlotList<SlotIndex>, Slots, u8, RANKED_SLOTS_MAX, "more slots than can be ranked");

type Bytes = Vec<u8>;
layout_list!(Ascii<u8>, Bytes, u8, BEACON_BYTES_MAX, "a longer beacon than there is");

/// The value of a beacon.
struct Value<T>(T);

impl Encode for Value<&String> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        Ascii(&self.0.as_bytes().to_vec()).encode(encoder)
    }
}

impl<Context> Decode<Context> for Value<String> {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let bytes: Bytes = Ascii::decode(decoder)?.0;
        match String::from_utf8(bytes) {
            Ok(text) if text.is_ascii() => Ok(Self(text)),
            _ => Err(DecodeError::Other("a beacon is ASCII")),
        }
    }
}

/// The value of a beacon, or none.
struct Maybe<T>(T);

impl Encode for Maybe<&Option<String>> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.0.is_some().encode(encoder)?;
        self.0.as_ref().map_or(Ok(()), |text| Value(text).encode(encoder))
    }
}

impl<Context> Decode<Context> for Maybe<Option<String>> {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let is_some = bool::decode(decoder)?;
        Ok(Self(if is_some { Some(Value::<String>::decode(decoder)?.0) } else { None }))
    }
}

impl Encode for DrawChoice {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.class.encode(encoder)?;
        self.count.encode(encoder)?;
        SlotList(&self.slots).encode(encoder)
    }
}

impl<Context> Decode<Context> for DrawChoice {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self {
            class: Decode::decode(decoder)?,
            count: Decode::decode(decoder)?,
            slots: SlotList::decode(decoder)?.0,
        })
    }
}

impl Encode for RevealDraw {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.request.encode(encoder)?;
        self.draw.encode(encoder)?;
        Value(&self.beacon).encode(encoder)
    }
}

impl<Context> Decode<Context> for RevealDraw {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self {
            request: Decode::decode(decoder)?,
            draw: Decode::decode(decoder)?,
            beacon: Value::<String>::decode(decoder)?.0,
        })
    }
}

impl Encode for BeaconGiven {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.request.encode(encoder)?;
        self.fingerprint.encode(encoder)?;
        self.draw.encode(encoder)?;
        Value(&self.beacon).encode(encoder)
    }
}

impl<Context> Decode<Context> for BeaconGiven {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self {
            request: Decode::decode(decoder)?,
            fingerprint: Decode::decode(decoder)?,
            draw: Decode::decode(decoder)?,
            beacon: Value::<String>::decode(decoder)?.0,
        })
    }
}

impl Encode for DrawRevealed {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.draw.encode(encoder)?;
        self.seed.encode(encoder)?;
        Maybe(&self.beacon).encode(encoder)?;
        self.entries.encode(encoder)?;
        self.entries_digest.encode(encoder)?;
        Quotas(&self.places).encode(encoder)?;
        self.winners.encode(encoder)?;
        self.result_digest.encode(encoder)
    }
}

impl<Context> Decode<Context> for DrawRevealed {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self {
            draw: Decode::decode(decoder)?,
            seed: Decode::decode(decoder)?,
            beacon: Maybe::<Option<String>>::decode(decoder)?.0,
            entries: Decode::decode(decoder)?,
            entries_digest: Decode::decode(decoder)?,
            places: Quotas::decode(decoder)?.0,
            winners: Decode::decode(decoder)?,
            result_digest: Decode::decode(decoder)?,
        })
    }
}

impl Encode for DrawReading {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.draw.encode(encoder)?;
        self.opens.encode(encoder)?;
        self.terms.encode(encoder)?;
        self.waiting.encode(encoder)?;
        Maybe(&self.beacon).encode(encoder)?;
        self.revealed.encode(encoder)?;
        self.receipt.encode(encoder)
    }
}

impl<Context> Decode<Context> for DrawReading {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self {
            draw: Decode::decode(decoder)?,
            opens: Decode::decode(decoder)?,
            terms: Decode::decode(decoder)?,
            waiting: Decode::decode(decoder)?,
            beacon: Maybe::<Option<String>>::decode(decoder)?.0,
            revealed: Decode::decode(decoder)?,
            receipt: Decode::decode(decoder)?,
        })
    }
}

/// A draw as it stands in a snapshot, behind the session that has it.
///
/// ```text
/// beacon or none | revealed or none, then u16 n and the places that are left
/// ```
///
/// Entries follow: `u32 n`, then n (appointment, entry).
#[derive(Debug)]
pub struct DrawHead {
    /// The value of the beacon.
    pub beacon: Option<String>,
    /// What was revealed, and the places that are left of it.
    pub revealed: Option<(DrawRevealed, Vec<u16>)>,
}

impl Encode for DrawHead {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        Maybe(&self.beacon).encode(encoder)?;
        self.revealed.is_some().encode(encoder)?;
        self.revealed.as_ref().map_or(Ok(()), |(revealed, left)| {
            revealed.encode(encoder)?;
            Quotas(left).encode(encoder)
        })
    }
}

impl<Context> Decode<Context> for DrawHead {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let beacon = Maybe::<Option<String>>::decode(decoder)?.0;
        let revealed = if bool::decode(decoder)? {
            Some((Decode::decode(decoder)?, Quotas::decode(decoder)?.0))
        } else {
            None
        };
        Ok(Self { beacon, revealed })
    }
}
