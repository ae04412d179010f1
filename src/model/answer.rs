//! What a request came to, and when that may be said.

use super::id::Sequence;
use super::outcome::Refusal;

/// A result, and how much of the journal must be durable before anybody hears of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// The last record that the result rests on. 0: none, so it may be said at once.
    pub after: Sequence,
    /// The result.
    pub result: Result<T, Refusal>,
}

impl<T> Answer<T> {
    /// A refusal that rests on nothing that could be lost.
    pub fn refused(refusal: impl Into<Refusal>) -> Self {
        Self { after: Sequence(0), result: Err(refusal.into()) }
    }
}
