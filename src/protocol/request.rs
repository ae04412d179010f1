//! Requests: a correlation id, an operation, its fields.

use crate::codec::{self, OpenWithTerms, WithTerms};
use crate::model::{
    Change, Command, Hold, OpenSession, Operation, OperationKind, Outcome, Query, Sequence,
};

/// What a client may send.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    pub fn operation(&self) -> Operation {
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
        Request::Command(Command::OpenSession(open)) if open.session.has_terms() => {
            buffer.push(Operation::OpenWithTerms as u8);
            codec::encode_into(&open.request, buffer);
            codec::encode_into(&WithTerms(&open.session), buffer);
        }
        Request::Command(Command::OpenSession(open)) => {
            buffer.push(Operation::OpenSession as u8);
            codec::encode_into(open.as_ref(), buffer);
        }
        Request::Command(Command::SetQuotas(set)) => {
            buffer.push(Operation::SetQuotas as u8);
            codec::encode_into(set.as_ref(), buffer);
        }
        Request::Command(Command::Reschedule(ask)) => {
            buffer.push(Operation::Reschedule as u8);
            codec::encode_into(ask.as_ref(), buffer);
        }
        Request::Command(Command::BlockSession(block)) => {
            buffer.push(Operation::BlockSession as u8);
            codec::encode_into(block, buffer);
        }
        Request::Command(Command::Substitute(substitute)) => {
            buffer.push(Operation::Substitute as u8);
            codec::encode_into(substitute, buffer);
        }
        Request::Command(Command::AddPlace(add)) => {
            buffer.push(Operation::AddPlace as u8);
            codec::encode_into(add, buffer);
        }
        Request::Command(Command::RevealDraw(reveal)) => {
            buffer.push(Operation::RevealDraw as u8);
            codec::encode_into(reveal.as_ref(), buffer);
        }
        Request::Command(Command::JoinWaitlist(join)) => {
            buffer.push(Operation::JoinWaitlist as u8);
            codec::encode_into(join.as_ref(), buffer);
        }
        Request::Command(Command::LeaveWaitlist(leave)) => {
            buffer.push(Operation::LeaveWaitlist as u8);
            codec::encode_into(leave, buffer);
        }
        Request::Command(Command::CallNext(call)) => {
            buffer.push(Operation::CallNext as u8);
            codec::encode_into(call, buffer);
        }
        Request::Command(Command::ApplyRules(apply)) => {
            buffer.push(Operation::ApplyRules as u8);
            codec::encode_into(apply.as_ref(), buffer);
        }
        Request::Command(Command::Order(order)) => {
            buffer.push(Operation::Order as u8);
            codec::encode_into(order, buffer);
        }
        Request::Command(Command::Pay(pay)) => {
            buffer.push(Operation::Pay as u8);
            codec::encode_into(pay, buffer);
        }
        Request::Command(Command::Refund(refund)) => {
            buffer.push(Operation::Refund as u8);
            codec::encode_into(refund, buffer);
        }
        Request::Command(Command::NamePatient(name)) => {
            buffer.push(Operation::NamePatient as u8);
            codec::encode_into(name.as_ref(), buffer);
        }
        Request::Command(Command::Restrict(ask)) => {
            buffer.push(Operation::Restrict as u8);
            codec::encode_into(ask.as_ref(), buffer);
        }
        Request::Command(Command::Amend(ask)) => {
            buffer.push(Operation::Amend as u8);
            codec::encode_into(ask.as_ref(), buffer);
        }
        Request::Command(Command::Appeal(ask)) => {
            buffer.push(Operation::Appeal as u8);
            codec::encode_into(ask.as_ref(), buffer);
        }
        Request::Command(Command::MergePatients(ask)) => {
            buffer.push(Operation::MergePatients as u8);
            codec::encode_into(ask, buffer);
        }
        Request::Query(query) => codec::encode_into(query, buffer),
        Request::Watch { from } => {
            buffer.push(Operation::Watch as u8);
            codec::encode_into(from, buffer);
        }
        Request::Snapshot => buffer.push(Operation::Snapshot as u8),
    }
}

/// The parts of a request whose fields are not read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestParts<'a> {
    /// The correlation id.
    pub correlation: u32,
    /// The operation.
    pub operation: Operation,
    /// The operation and its fields.
    body: &'a [u8],
}

/// Reads what stands in front of every request.
///
/// # Errors
///
/// `None` where the item is too short for a correlation id and an operation: then it cannot be
/// answered, and the frame is at fault. Otherwise the refusal to answer with.
#[inline]
pub fn split_request(item: &[u8]) -> Result<RequestParts<'_>, Option<RequestFault>> {
    let (correlation, body) = item.split_first_chunk::<4>().ok_or(None)?;
    let correlation = u32::from_le_bytes(*correlation);
    let code = body.first().ok_or(None)?;
    let refuse = |outcome| Some(RequestFault { correlation, outcome });
    if super::REQUEST_BYTES_MAX < item.len() {
        return Err(refuse(Outcome::Malformed));
    }
    match Operation::from_code(*code) {
        Some(operation) => Ok(RequestParts { correlation, operation, body }),
        None => Err(refuse(Outcome::UnknownOperation)),
    }
}

impl RequestParts<'_> {
    /// Reads a command, `None` where it is no command or not well formed.
    ///
    /// Apart from [`decode_request`] because a command is long, and each layer around it would move
    /// it once more.
    #[inline]
    #[expect(clippy::wildcard_enum_match_arm, reason = "a test reads every operation")]
    pub fn command(&self) -> Option<Command> {
        let fields = self.body.get(1..)?;
        match self.operation {
            Operation::Hold => Some(Command::Hold(codec::decode_exact(fields).ok()?)),
            Operation::Book
            | Operation::Release
            | Operation::Cancel
            | Operation::Arrive
            | Operation::CheckIn
            | Operation::Fulfil
            | Operation::NoShow => Some(Command::Change(codec::decode_exact(self.body).ok()?)),
            Operation::OpenSession => {
                Some(Command::OpenSession(Box::new(codec::decode_exact(fields).ok()?)))
            }
            Operation::OpenWithTerms => {
                let OpenWithTerms(open) = codec::decode_exact(fields).ok()?;
                Some(Command::OpenSession(Box::new(open)))
            }
            Operation::JoinWaitlist => {
                Some(Command::JoinWaitlist(Box::new(codec::decode_exact(fields).ok()?)))
            }
            Operation::LeaveWaitlist => {
                Some(Command::LeaveWaitlist(codec::decode_exact(fields).ok()?))
            }
            Operation::SetQuotas => {
                Some(Command::SetQuotas(Box::new(codec::decode_exact(fields).ok()?)))
            }
            Operation::Reschedule => {
                Some(Command::Reschedule(Box::new(codec::decode_exact(fields).ok()?)))
            }
            Operation::BlockSession => {
                Some(Command::BlockSession(codec::decode_exact(fields).ok()?))
            }
            Operation::Substitute => Some(Command::Substitute(codec::decode_exact(fields).ok()?)),
            Operation::AddPlace => Some(Command::AddPlace(codec::decode_exact(fields).ok()?)),
            Operation::RevealDraw => {
                Some(Command::RevealDraw(Box::new(codec::decode_exact(fields).ok()?)))
            }
            Operation::CallNext => Some(Command::CallNext(codec::decode_exact(fields).ok()?)),
            Operation::ApplyRules => {
                Some(Command::ApplyRules(Box::new(codec::decode_exact(fields).ok()?)))
            }
            Operation::Order => Some(Command::Order(codec::decode_exact(fields).ok()?)),
            Operation::Pay => Some(Command::Pay(codec::decode_exact(fields).ok()?)),
            Operation::Refund => Some(Command::Refund(codec::decode_exact(fields).ok()?)),
            Operation::NamePatient => {
                Some(Command::NamePatient(Box::new(codec::decode_exact(fields).ok()?)))
            }
            Operation::MergePatients => {
                Some(Command::MergePatients(codec::decode_exact(fields).ok()?))
            }
            Operation::Restrict => {
                Some(Command::Restrict(Box::new(codec::decode_exact(fields).ok()?)))
            }
            Operation::Amend => Some(Command::Amend(Box::new(codec::decode_exact(fields).ok()?))),
            Operation::Appeal => Some(Command::Appeal(Box::new(codec::decode_exact(fields).ok()?))),
            _ => None,
        }
    }

    /// Reads a hold into `command`, a hold that is spoilt where this is `None`. The usual request,
    /// and the fastest way to read it.
    #[inline]
    pub fn hold_into(&self, command: &mut Command) -> Option<()> {
        match (self.operation, command) {
            (Operation::Hold, Command::Hold(hold)) => {
                codec::decode_hold_into(self.body.get(1..)?, hold).ok()
            }
            _ => None,
        }
    }

    /// Reads a query, `None` where it is no query or not well formed.
    #[inline]
    pub fn query(&self) -> Option<Query> {
        codec::decode_exact(self.body).ok()
    }

    /// Reads the record that a watch begins from, or nothing for a snapshot.
    #[expect(clippy::wildcard_enum_match_arm, reason = "a test reads every operation")]
    pub fn push(&self) -> Option<Request> {
        let fields = self.body.get(1..)?;
        match self.operation {
            Operation::Watch => Some(Request::Watch { from: codec::decode_exact(fields).ok()? }),
            Operation::Snapshot if fields.is_empty() => Some(Request::Snapshot),
            _ => None,
        }
    }

    /// The refusal of a request whose fields are not well formed.
    pub const fn malformed(&self) -> RequestFault {
        RequestFault { correlation: self.correlation, outcome: Outcome::Malformed }
    }
}

/// Reads the request that fills an item.
///
/// # Errors
///
/// As [`split_request`].
pub fn decode_request(item: &[u8]) -> Result<(u32, Request), Option<RequestFault>> {
    let parts = split_request(item)?;
    let request = match parts.operation.kind() {
        OperationKind::Query => parts.query().map(Request::Query),
        OperationKind::Push => parts.push(),
        OperationKind::Command => parts.command().map(Request::Command),
    };
    request.map(|request| (parts.correlation, request)).ok_or_else(|| Some(parts.malformed()))
}
