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
mod demand;
mod fact;
mod reading;
mod supply;

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use bincode::de::Decode;
use bincode::enc::Encode;
use bincode::enc::write::Writer;
use bincode::error::{DecodeError, EncodeError};

pub use fact::{FACT_FORMAT, decode_facts, encode_facts};

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
    /// Bytes are left over behind the value.
    #[error("{0} bytes are left over")]
    Trailing(usize),
}

/// Appends a value to a buffer.
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
pub fn decode_exact<T: Decode<()>>(bytes: &[u8]) -> Result<T, CodecError> {
    let (value, read) = decode(bytes)?;
    match bytes.len().saturating_sub(read) {
        0 => Ok(value),
        left => Err(CodecError::Trailing(left)),
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
        DecodeError::Other(what) => CodecError::Invalid(what),
        DecodeError::LimitExceeded => CodecError::Invalid("longer than a value may be"),
        _ => CodecError::Invalid("not a value of this kind"),
    }
}
