//! Values to bytes and back: the one module that knows the codec (bincode 2, fixed-size integers).
//!
//! ```text
//! integer      little-endian, as wide as its type        option     0, or 1 and the value
//! enumeration  one byte, the number in `model`           list       its length (u8 or u16), then its items
//! structure    its fields in the order written here      text       u16 length, UTF-8
//! ```
//!
//! **Architecture invariant:** no input makes this panic or allocate more than the input is long,
//! and the layout of a value never changes: golden files pin it.

#[macro_use]
mod layout;
mod attendance;
mod cooldown;
mod demand;
mod disruption;
mod draw;
mod explain;
mod fact;
mod history;
mod identity;
mod notice;
mod payment;
mod persons;
mod probing;
mod reading;
mod reschedule;
mod restrict;
mod returns;
mod rules;
mod supply;
mod terms;
mod waitlist;

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use bincode::de::read::{Reader, SliceReader};
use bincode::de::{Decode, Decoder, DecoderImpl};
use bincode::enc::Encode;
use bincode::enc::write::Writer;
use bincode::error::{DecodeError, EncodeError};

use crate::model::Hold;
pub use demand::blank_hold;
pub use draw::DrawHead;
pub use fact::{FACT_FORMAT, decode_facts, encode_facts};
#[cfg(test)]
pub(crate) use terms::tests::{rich_session, waitlist_session};
pub use terms::{OpenWithTerms, WithTerms};

/// What can be written: every value of the model. Implemented in this module only.
pub trait Encoded: Encode + Decode<()> {}
impl<T: Encode + Decode<()>> Encoded for T {}

/// Why bytes are not a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The bytes end inside the value.
    #[error("the bytes end inside a value")]
    Truncated,
    /// A byte stands for nothing that it may stand for here.
    #[error("a value is out of range: {0}")]
    Invalid(&'static str),
    /// A fact of a kind that a newer release wrote.
    #[error(
        "it has a fact of a kind that fact format {FACT_FORMAT} does not have; use a newer release \
         than this one ({}), one that knows fact format {}", env!("CARGO_PKG_VERSION"), FACT_FORMAT + 1
    )]
    NewerFact,
    /// Bytes are left over behind the value.
    #[error("{0} bytes are left over")]
    Trailing(usize),
}

/// Appends a value to a buffer.
///
/// # Panics
///
/// On a value outside the model's ranges: a list that is too long, a settlement as a request.
#[inline]
pub fn encode_into(value: &impl Encode, buffer: &mut Vec<u8>) {
    bincode::encode_into_writer(value, Buffer(buffer), LAYOUT)
        .expect("a value of the model has an encoding, and memory takes it");
}

/// Reads one value from the front of `bytes`, and says how long it was.
///
/// # Errors
///
/// [`CodecError`], with nothing read.
pub fn decode<T: Decode<()>>(bytes: &[u8]) -> Result<(T, usize), CodecError> {
    bincode::decode_from_slice(bytes, LAYOUT).map_err(explain)
}

/// Reads a value that fills `bytes` exactly.
///
/// # Errors
///
/// [`CodecError`], [`CodecError::Trailing`] where bytes are left.
#[inline]
pub fn decode_exact<T: Decode<()>>(bytes: &[u8]) -> Result<T, CodecError> {
    // The value is long and is moved as little as possible: no pair of it and its length.
    let mut decoder = DecoderImpl::new(SliceReader::new(bytes), LAYOUT, ());
    let value = match T::decode(&mut decoder) {
        Ok(value) => value,
        Err(error) => return Err(explain(error)),
    };
    // Who sends too much makes us decode no second time: what is left is counted by looking.
    match (1..=bytes.len()).rev().find(|left| decoder.reader().peek_read(*left).is_some()) {
        None => Ok(value),
        Some(left) => Err(CodecError::Trailing(left)),
    }
}

/// Reads a hold that fills `bytes` exactly into one that is there already, and is spoilt where this
/// fails. A hold is the usual request, and half a kilobyte that would be moved five times.
///
/// # Errors
///
/// As [`decode_exact`].
#[inline]
pub fn decode_hold_into(bytes: &[u8], hold: &mut Hold) -> Result<(), CodecError> {
    let mut decoder = DecoderImpl::new(SliceReader::new(bytes), LAYOUT, ());
    demand::fill_hold(hold, &mut decoder).map_err(explain)?;
    match decoder.reader().peek_read(1) {
        None => Ok(()),
        Some(_) => decode_exact::<Hold>(bytes).map(|_| ()),
    }
}

/// The most that one value may claim to hold while it is read. A frame is bounded before.
const DECODE_BYTES_MAX: usize = 1 << 20;

const LAYOUT: Configuration<LittleEndian, Fixint, Limit<DECODE_BYTES_MAX>> =
    bincode::config::standard()
        .with_little_endian()
        .with_fixed_int_encoding()
        .with_limit::<DECODE_BYTES_MAX>();

struct Buffer<'a>(&'a mut Vec<u8>);

impl Writer for Buffer<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is the shape that map_err wants")]
fn explain(error: DecodeError) -> CodecError {
    match error {
        DecodeError::UnexpectedEnd { .. } => CodecError::Truncated,
        DecodeError::Other(fact::NEWER) => CodecError::NewerFact,
        DecodeError::Other(what) => CodecError::Invalid(what),
        DecodeError::LimitExceeded => CodecError::Invalid("longer than a value may be"),
        _ => CodecError::Invalid("not a value of this kind"),
    }
}
