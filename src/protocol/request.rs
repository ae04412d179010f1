//! Requests: a correlation id, an operation, its fields.

use crate::codec;
use crate::model::{Change, Command, Hold, OpenSession, Operation, Outcome, Query, Sequence};

/// What a client may send.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a hold is the usual request, and must not allocate")]
pub enum Request {
    /// Something that changes state.
    Command(Command),
    /// Something that only reads.
    Query(Query),
    /// Turns the stream into a feed of facts from this record on.
    Watch {
        /// The first record wanted.
        from: Sequence,
    },
    /// Turns the stream into the newest snapshot.
    Snapshot,
}

/// A request that cannot be carried out, with the id to answer it under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestFault {
    /// The correlation id.
    pub correlation: u32,
    /// `Malformed` or `UnknownOperation`.
    pub outcome: Outcome,
}

impl Request {
    /// What kind of request it is.
    pub const fn operation(&self) -> Operation {
        match self {
            Self::Command(command) => command.operation(),
            Self::Query(query) => query.operation(),
            Self::Watch { .. } => Operation::Watch,
            Self::Snapshot => Operation::Snapshot,
        }
    }
}

impl From<Command> for Request {
    fn from(command: Command) -> Self {
        Self::Command(command)
    }
}

impl From<Hold> for Request {
    fn from(hold: Hold) -> Self {
        Self::Command(Command::Hold(hold))
    }
}

impl From<Change> for Request {
    fn from(change: Change) -> Self {
        Self::Command(Command::Change(change))
    }
}

impl From<OpenSession> for Request {
    fn from(open: OpenSession) -> Self {
        Self::Command(Command::OpenSession(Box::new(open)))
    }
}

impl From<Query> for Request {
    fn from(query: Query) -> Self {
        Self::Query(query)
    }
}

/// Appends a request, without the length in front.
///
/// # Panics
///
/// On `Action::Settle`, which is no request of the wire.
#[inline]
pub fn write_request(correlation: u32, request: &Request, buffer: &mut Vec<u8>) {
    buffer.extend_from_slice(&correlation.to_le_bytes());
    match request {
        Request::Command(Command::Hold(hold)) => {
            buffer.push(Operation::Hold as u8);
            codec::encode_into(hold, buffer);
        }
        Request::Command(Command::Change(change)) => codec::encode_into(change, buffer),
        Request::Command(Command::OpenSession(open)) => {
            buffer.push(Operation::OpenSession as u8);
            codec::encode_into(open.as_ref(), buffer);
        }
        Request::Query(query) => codec::encode_into(query, buffer),
        Request::Watch { from } => {
            buffer.push(Operation::Watch as u8);
            codec::encode_into(from, buffer);
        }
        Request::Snapshot => buffer.push(Operation::Snapshot as u8),
    }
}

/// Reads the request that fills an item.
///
/// # Errors
///
/// `None` where the item is too short for a correlation id and an operation: then it cannot be
/// answered, and the frame is at fault. Otherwise the refusal to answer with.
#[inline]
pub fn decode_request(item: &[u8]) -> Result<(u32, Request), Option<RequestFault>> {
    let (correlation, body) = item.split_first_chunk::<4>().ok_or(None)?;
    let correlation = u32::from_le_bytes(*correlation);
    let (code, fields) = body.split_first().ok_or(None)?;
    let refuse = |outcome| Some(RequestFault { correlation, outcome });
    if super::REQUEST_BYTES_MAX < item.len() {
        return Err(refuse(Outcome::Malformed));
    }
    let operation = Operation::from_code(*code).ok_or_else(|| refuse(Outcome::UnknownOperation))?;
    let request = match operation {
        Operation::Hold => codec::decode_exact(fields).map(Command::Hold).map(Request::Command),
        Operation::Book
        | Operation::Release
        | Operation::Cancel
        | Operation::Arrive
        | Operation::CheckIn
        | Operation::Fulfil
        | Operation::NoShow => codec::decode_exact(body).map(Command::Change).map(Request::Command),
        Operation::Availability | Operation::Get | Operation::List => {
            codec::decode_exact(body).map(Request::Query)
        }
        Operation::OpenSession => codec::decode_exact(fields)
            .map(|open| Request::Command(Command::OpenSession(Box::new(open)))),
        Operation::Watch => codec::decode_exact(fields).map(|from| Request::Watch { from }),
        Operation::Snapshot if fields.is_empty() => Ok(Request::Snapshot),
        Operation::Snapshot => Err(codec::CodecError::Trailing(fields.len())),
    };
    request.map(|request| (correlation, request)).map_err(|_| refuse(Outcome::Malformed))
}
