//! Replies: a correlation id, an outcome, and what belongs to it.
//!
//! ```text
//! success   correlation u32 | outcome u16 | form u8 | fields
//! refusal   correlation u32 | outcome u16 | [status u8] | [retry after ms u32] | [why, 36 bytes]
//! Gone      correlation u32 | 107     u16 | oldest u64 | snapshot u64
//! ```
//!
//! The length of a refusal tells what it carries: a full minute's answer to thousands is 8 bytes.
//! Why a rule refuses is told from version 2 of the protocol on.

use crate::codec;
use crate::model::{AppointmentStatus, Outcome, Reading, Receipt, Refusal, RuleWhy, Sequence};

const RECEIPT: u8 = 1;
const WATCHING: u8 = 5;
const SNAPSHOT: u8 = 6;
/// A receipt with the appointment that the engine chose behind it.
const RECEIPT_OF: u8 = 14;

/// The length of a [`RuleWhy`].
const WHY_BYTES: usize = 36;

/// What a node answers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "availability is usual, and must not allocate")]
pub enum Reply {
    /// A change was made, now or before.
    Receipt(Receipt),
    /// What was asked for.
    Reading(Reading),
    /// The stream is a feed now; this is the first record to come.
    Watching {
        /// The first record to come.
        from: Sequence,
    },
    /// The stream is a snapshot now.
    Snapshot {
        /// The record to watch from once the snapshot is loaded.
        sequence: Sequence,
        /// Its length in bytes.
        bytes: u64,
    },
    /// The request was refused.
    Refused(Refusal),
    /// What was to be watched is no longer there.
    Gone {
        /// The oldest record that can be watched from.
        oldest: Sequence,
        /// The newest snapshot, to watch from its sequence.
        snapshot: Option<Sequence>,
    },
}

/// Why an item is no reply that this version understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyFault {
    /// An outcome of a newer node. From 100 on it is a refusal; nothing was changed.
    #[error("the outcome {0} is not known to this version")]
    Outcome(u16),
    /// It is too short or too long, or a value is out of range.
    #[error("the reply is not well formed")]
    Malformed,
}

impl Reply {
    /// The outcome that stands in front of the reply.
    pub const fn outcome(&self) -> Outcome {
        match self {
            Self::Receipt(receipt) if receipt.retried => Outcome::AlreadyDone,
            Self::Receipt(_) | Self::Reading(_) | Self::Watching { .. } | Self::Snapshot { .. } => {
                Outcome::Done
            }
            Self::Refused(refusal) => refusal.outcome,
            Self::Gone { .. } => Outcome::Gone,
        }
    }
}

/// Appends a receipt or a refusal, without the length in front and without a [`Reply`] between.
#[inline]
pub fn write_receipt(correlation: u32, result: &Result<Receipt, Refusal>, buffer: &mut Vec<u8>) {
    match result {
        Ok(receipt) => {
            let done = if receipt.retried { Outcome::AlreadyDone } else { Outcome::Done };
            write_head(correlation, done, buffer);
            put_receipt(receipt, buffer);
        }
        Err(refusal) => write_refusal(correlation, *refusal, buffer),
    }
}

/// Appends a reply, without the length in front.
#[inline]
pub fn write_reply(correlation: u32, reply: &Reply, buffer: &mut Vec<u8>) {
    match reply {
        Reply::Refused(refusal) => return write_refusal(correlation, *refusal, buffer),
        Reply::Receipt(_)
        | Reply::Reading(_)
        | Reply::Watching { .. }
        | Reply::Snapshot { .. }
        | Reply::Gone { .. } => write_head(correlation, reply.outcome(), buffer),
    }
    match reply {
        Reply::Receipt(receipt) => {
            put_receipt(receipt, buffer);
        }
        Reply::Reading(reading) => codec::encode_into(reading, buffer),
        Reply::Watching { from } => {
            buffer.push(WATCHING);
            codec::encode_into(from, buffer);
        }
        Reply::Snapshot { sequence, bytes } => {
            buffer.push(SNAPSHOT);
            codec::encode_into(sequence, buffer);
            codec::encode_into(bytes, buffer);
        }
        Reply::Refused(_) => {}
        Reply::Gone { oldest, snapshot } => {
            codec::encode_into(oldest, buffer);
            codec::encode_into(&snapshot.unwrap_or_default(), buffer);
        }
    }
}

/// The correlation id and the outcome's code, without reading on. For those who only count.
#[inline]
pub fn reply_head(item: &[u8]) -> Option<(u32, u16)> {
    let (correlation, rest) = item.split_first_chunk::<4>()?;
    let (code, _) = rest.split_first_chunk::<2>()?;
    Some((u32::from_le_bytes(*correlation), u16::from_le_bytes(*code)))
}

/// Reads the reply that fills an item.
///
/// # Errors
///
/// [`ReplyFault`], with the correlation id where there is one.
pub fn decode_reply(item: &[u8]) -> Result<(u32, Reply), (Option<u32>, ReplyFault)> {
    let (correlation, code) = reply_head(item).ok_or((None, ReplyFault::Malformed))?;
    let body = item.get(6..).unwrap_or_default();
    let fault = |fault| (Some(correlation), fault);
    let outcome = Outcome::from_code(code).ok_or_else(|| fault(ReplyFault::Outcome(code)))?;
    let reply = if outcome.is_success() {
        read_success(outcome, body)
    } else if outcome == Outcome::Gone && body.len() == 16 {
        read_pair(body).map(|(oldest, snapshot)| Reply::Gone {
            oldest: Sequence(oldest),
            snapshot: Some(Sequence(snapshot)).filter(|sequence| sequence.0 != 0),
        })
    } else {
        read_refusal(outcome, body).map(Reply::Refused)
    };
    reply.map(|reply| (correlation, reply)).ok_or_else(|| fault(ReplyFault::Malformed))
}

#[inline]
fn write_head(correlation: u32, outcome: Outcome, buffer: &mut Vec<u8>) {
    buffer.extend_from_slice(&correlation.to_le_bytes());
    buffer.extend_from_slice(&outcome.code().to_le_bytes());
}

#[inline]
fn put_receipt(receipt: &Receipt, buffer: &mut Vec<u8>) {
    buffer.push(if receipt.appointment.is_some() { RECEIPT_OF } else { RECEIPT });
    codec::encode_into(receipt, buffer);
    if let Some(appointment) = &receipt.appointment {
        codec::encode_into(appointment, buffer);
    }
}

#[inline]
fn write_refusal(correlation: u32, refusal: Refusal, buffer: &mut Vec<u8>) {
    write_head(correlation, refusal.outcome, buffer);
    if let Some(status) = refusal.status {
        buffer.push(status as u8);
    }
    if refusal.retry_after_millis != 0 {
        buffer.extend_from_slice(&refusal.retry_after_millis.to_le_bytes());
    }
    if let Some(why) = &refusal.why {
        codec::encode_into(why, buffer);
    }
}

fn read_success(outcome: Outcome, body: &[u8]) -> Option<Reply> {
    let (form, fields) = body.split_first()?;
    match *form {
        RECEIPT | RECEIPT_OF => {
            let receipt = if *form == RECEIPT {
                codec::decode_exact::<Receipt>(fields).ok()?
            } else {
                let (receipt, id): (Receipt, _) = codec::decode_exact(fields).ok()?;
                Receipt { appointment: Some(id), ..receipt }
            };
            (receipt.retried == (outcome == Outcome::AlreadyDone))
                .then_some(Reply::Receipt(receipt))
        }
        // Only a change can have been made before.
        _ if outcome != Outcome::Done => None,
        WATCHING => codec::decode_exact(fields).ok().map(|from| Reply::Watching { from }),
        SNAPSHOT => read_pair(fields)
            .map(|(sequence, bytes)| Reply::Snapshot { sequence: Sequence(sequence), bytes }),
        _ => codec::decode_exact(body).ok().map(Reply::Reading),
    }
}

fn read_refusal(outcome: Outcome, body: &[u8]) -> Option<Refusal> {
    // A status and a hint are shorter together than a reason.
    let (body, why) = match body.len().checked_sub(WHY_BYTES) {
        Some(before) => body.split_at_checked(before).map(|(body, why)| (body, Some(why)))?,
        None => (body, None),
    };
    let why = match why {
        Some(why) => Some(codec::decode_exact::<RuleWhy>(why).ok()?),
        None => None,
    };
    let (status, retry) = match body.len() {
        1 | 5 => body.split_first().map(|(status, retry)| (Some(*status), retry))?,
        _ => (None, body),
    };
    let status = match status {
        None => None,
        Some(code) => {
            let of_code = |status: &AppointmentStatus| *status as u8 == code;
            Some(AppointmentStatus::ALL.into_iter().find(of_code)?)
        }
    };
    let retry_after_millis = match retry {
        [] => 0,
        // No hint is no bytes: a reply has one form.
        retry => Some(u32::from_le_bytes(retry.try_into().ok()?)).filter(|millis| *millis != 0)?,
    };
    Some(Refusal { outcome, status, retry_after_millis, why })
}

fn read_pair(bytes: &[u8]) -> Option<(u64, u64)> {
    codec::decode_exact(bytes).ok()
}
