//! What the pipeline hands to its shells: answers that may have to wait, and pages of the journal.

use super::id::Sequence;
use super::outcome::Refusal;
use super::time::Timestamp;

/// What a request came to, and how much of the journal must be durable before that may be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// The record that the answer rests on; 0 where it may be given at once.
    pub after: Sequence,
    /// The answer.
    pub result: Result<T, Refusal>,
}

/// A durable record, as the feed gives it to subscribers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedRecord {
    /// Its position.
    pub sequence: Sequence,
    /// When it was decided.
    pub time: Timestamp,
    /// Its encoded facts (`codec::decode_facts`).
    pub facts: Vec<u8>,
}

/// Durable records in order, without gaps. Empty where there are none yet.
pub type FeedPage = Vec<FeedRecord>;

/// Why there is no page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// What was asked for was pruned.
    #[error("records before {} are pruned; start from a snapshot", oldest.0)]
    Gone {
        /// The oldest record that is left.
        oldest: Sequence,
    },
    /// The journal cannot be read.
    #[error("the journal cannot be read: {0}")]
    Unreadable(String),
}

impl<T> Answer<T> {
    /// A refusal that rests on nothing that could be lost.
    pub fn refused(refusal: impl Into<Refusal>) -> Self {
        Self::at_once(Err(refusal.into()))
    }

    /// An answer that may be given at once.
    pub const fn at_once(result: Result<T, Refusal>) -> Self {
        Self { after: Sequence(0), result }
    }
}
