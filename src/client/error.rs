//! How a call can fail.

use std::time::Duration;

use quinn::{ConnectionError, ReadError, WriteError};

use crate::model::{Refusal, Sequence};
use crate::protocol::CloseCode;

/// Why a call has no success to show.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The node refused. Nothing was changed.
    #[error("refused: {} ({})", .0.outcome.name(), .0.outcome.code())]
    Refused(Refusal),
    /// No node could be asked in time. The request may have been carried out: ask again with the
    /// same id.
    #[error("no node answered: {0}")]
    Unavailable(String),
    /// The node is behind, and this hold would only have waited: it was not sent. Nothing was changed.
    #[error("calls have waited {} ms for the node; the hold was not sent, come back later", waited.as_millis())]
    Behind {
        /// For how long the oldest call has waited.
        waited: Duration,
    },
    /// The node turns many away, and this hold was not sent: it is not its patient's turn to ask.
    /// Nothing was changed.
    #[error("the node turns many away; the hold was not sent, come back in {} ms", wait.as_millis())]
    OutOfTurn {
        /// When the turn may have come, from now.
        wait: Duration,
    },
    /// The two sides do not understand each other, or the node does not know this client. Asking
    /// again does not help.
    #[error("client and node do not understand each other: {0}")]
    Protocol(String),
    /// The records to watch are pruned.
    #[error("records before {} are pruned; load a snapshot, then watch from it", oldest.0)]
    Gone {
        /// The oldest record that can be watched from.
        oldest: Sequence,
        /// The newest snapshot.
        snapshot: Option<Sequence>,
    },
}

impl From<ConnectionError> for CallError {
    fn from(error: ConnectionError) -> Self {
        match &error {
            ConnectionError::ApplicationClosed(close) => {
                let reason = String::from_utf8_lossy(&close.reason);
                of_code(close.error_code.into_inner(), &reason)
            }
            // The other side's TLS says what is wrong with us: a certificate, a protocol.
            ConnectionError::ConnectionClosed(close) if is_crypto(close.error_code.into()) => {
                Self::Protocol(error.to_string())
            }
            ConnectionError::TransportError(fault) if is_crypto(fault.code.into()) => {
                Self::Protocol(error.to_string())
            }
            ConnectionError::VersionMismatch => Self::Protocol(error.to_string()),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<ReadError> for CallError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::ConnectionLost(error) => error.into(),
            ReadError::Reset(code) => of_code(code.into_inner(), "the stream was broken off"),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl From<WriteError> for CallError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::ConnectionLost(error) => error.into(),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

/// What a close code means for asking again.
fn of_code(code: u64, reason: &str) -> CallError {
    let known = CloseCode::from_code(code);
    let said = format!("{reason}: {} ({code})", known.map_or("unknown", CloseCode::name));
    match known {
        Some(CloseCode::Finished | CloseCode::Stopping | CloseCode::NodeFailed) => {
            CallError::Unavailable(said)
        }
        _ => CallError::Protocol(said),
    }
}

/// Whether a transport error code stands for a TLS alert (RFC 9001, section 4.8).
fn is_crypto(code: u64) -> bool {
    (0x100..0x200).contains(&code)
}
