//! What a node pushes to a subscriber: records with their facts, and signs of life between them.
//!
//! ```text
//! fact item   sequence u64 | time u64 | facts           time: when it was decided
//! heartbeat   durable u64 | time u64                    time: the node's, now
//! ```

use crate::codec;
use crate::model::{FeedRecord, Sequence, Timestamp};

/// How far the journal is durable, and the node's time. Sent when there is nothing else to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The last durable record.
    pub durable: Sequence,
    /// The node's time.
    pub time: Timestamp,
}

/// Why a pushed frame cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a pushed frame is not well formed")]
pub struct PushFault;

impl Heartbeat {
    /// Appends the body of the frame.
    pub fn write(self, buffer: &mut Vec<u8>) {
        codec::encode_into(&self.durable, buffer);
        codec::encode_into(&self.time, buffer);
    }

    /// Reads the body of the frame.
    ///
    /// # Errors
    ///
    /// [`PushFault`].
    pub fn read(bytes: &[u8]) -> Result<Self, PushFault> {
        let (durable, time) = codec::decode_exact(bytes).map_err(|_| PushFault)?;
        Ok(Self { durable, time })
    }
}

/// Appends a record, without the length in front.
pub fn write_fact_item(record: &FeedRecord, buffer: &mut Vec<u8>) {
    codec::encode_into(&record.sequence, buffer);
    codec::encode_into(&record.time, buffer);
    buffer.extend_from_slice(&record.facts);
}

/// Reads the record that fills an item. Its facts are read with `codec::decode_facts`.
///
/// # Errors
///
/// [`PushFault`].
pub fn decode_fact_item(item: &[u8]) -> Result<FeedRecord, PushFault> {
    let ((sequence, time), read) = codec::decode(item).map_err(|_| PushFault)?;
    Ok(FeedRecord { sequence, time, facts: item.get(read..).unwrap_or_default().to_vec() })
}
