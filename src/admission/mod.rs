//! May a request come in? What is decided before any lock is taken, and may be forgotten.
//!
//! ```text
//! role -> channel -> shape -> id -> rates -> (sold out?) -> rates of persons -> gate
//!                                                    then, in `service`: room in the journal
//! ```
//!
//! **Architecture invariant:** volatile. Nothing here is journaled, and nothing that must be exact
//! or lasting is decided here. It is told the time.

mod bucket;
mod control;
mod gate;
mod meter;
mod probing;
mod rates;
mod shares;
mod table;
#[cfg(test)]
mod tests_overload;
#[cfg(test)]
mod tests_rates;
mod turns;

pub use bucket::{Level, Limit, Short};
pub use control::{Observation, Regime};
pub use gate::{Gate, Shed, ShedReason};
pub use meter::{ConnectionLevels, Meter};
pub use probing::Probes;
pub use rates::{Limited, RateCounts, RateSet, Rates};
pub use table::{Table, Verdict};
pub use turns::{EPOCH_MILLIS, Turn, position};

use crate::model::{
    Actor, BookingChannel, CallOrderOf, Command, HoldFault, IdFault, Operation, Outcome, Query,
    Role, Timestamp, permits,
};

/// Checks what can be told of a command without state, in the order of outcome codes.
///
/// # Errors
///
/// The first [`Outcome`] that applies.
pub fn admit(
    now: Timestamp,
    actor: &Actor,
    command: &Command,
    retention_millis: u64,
) -> Result<(), Outcome> {
    admit_operation(actor, command.operation(), command.channel())?;
    if let Command::Hold(hold) = command {
        if hold.book.is_some() && !permits(actor.role, Operation::Book) {
            return Err(Outcome::RoleNotPermitted);
        }
        hold.check().map_err(outcome_of)?;
    }
    if let Command::Reschedule(ask) = command {
        ask.check().map_err(outcome_of)?;
    }
    if let Command::JoinWaitlist(join) = command {
        join.check()?;
    }
    command.request().check(now, retention_millis).map_err(|fault| match fault {
        IdFault::Malformed => Outcome::IdMalformed,
        IdFault::TooOld => Outcome::IdTooOld,
        IdFault::InFuture => Outcome::IdInFuture,
    })
}

const fn outcome_of(fault: HoldFault) -> Outcome {
    match fault {
        HoldFault::Claims => Outcome::ClaimsInvalid,
        HoldFault::Overlap => Outcome::ClaimsOverlap,
        HoldFault::Patient => Outcome::PatientMissing,
    }
}

/// Checks what can be told of a query without state.
///
/// # Errors
///
/// The first [`Outcome`] that applies.
pub fn admit_query(actor: &Actor, query: &Query) -> Result<(), Outcome> {
    let channel = channel_of(query);
    let is_of_everybody = matches!(
        query,
        Query::CallOrder { of: CallOrderOf::All { .. }, .. }
            | Query::ReadBills { appointment: None, .. }
    );
    if is_of_everybody && actor.role == Role::Gateway {
        // Whose turn it is and what is owed back, of everybody, is not for who acts for patients from
        // outside.
        return Err(Outcome::RoleNotPermitted);
    }
    // Who reads for nobody in particular reads through any channel.
    let channel = channel.filter(|_| permits(actor.role, Operation::Hold));
    admit_operation(actor, query.operation(), channel)
}

/// The channel that a query names.
pub const fn channel_of(query: &Query) -> Option<BookingChannel> {
    match *query {
        Query::Availability { channel, .. }
        | Query::Get { channel, .. }
        | Query::List { channel, .. }
        | Query::CallOrder { of: CallOrderOf::One { channel, .. }, .. }
        | Query::Alternatives { channel, .. }
        | Query::Waitlist { channel, .. }
        | Query::ReadRecord { channel, .. }
        | Query::Explain { channel, .. }
        | Query::ReadStanding { channel, .. }
        | Query::Draw { appointment: Some(_), channel, .. } => Some(channel),
        Query::CallOrder { .. }
        | Query::ReadBills { .. }
        | Query::ReadRules { .. }
        | Query::ReadSession { .. }
        | Query::Draw { appointment: None, .. }
        | Query::Displaced { .. }
        | Query::Clock
        | Query::ConfirmClock => None,
    }
}

fn admit_operation(
    actor: &Actor,
    operation: Operation,
    channel: Option<BookingChannel>,
) -> Result<(), Outcome> {
    if !permits(actor.role, operation) {
        return Err(Outcome::RoleNotPermitted);
    }
    match channel {
        Some(channel) if !actor.channels.contains(channel) => Err(Outcome::ChannelNotPermitted),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Action, AppointmentId, Change, ChannelSet, RequestId};

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const DAY: u64 = 86_400_000;

    #[test]
    fn a_role_permits_exactly_what_its_column_says() {
        for role in Role::ALL {
            for (action, operation) in [
                (Action::Release, Operation::Release),
                (Action::Cancel, Operation::Cancel),
                (Action::Arrive, Operation::Arrive),
                (Action::CheckIn, Operation::CheckIn),
                (Action::Fulfil, Operation::Fulfil),
                (Action::NoShow, Operation::NoShow),
            ] {
                let actor = Actor::unbounded(role);
                let admitted =
                    admit(NOW, &actor, &change(action, RequestId::from_parts(NOW, 1)), DAY);
                assert_eq!(admitted.is_ok(), permits(role, operation), "{role:?} {operation:?}");
            }
        }
    }

    #[test]
    fn the_first_reason_is_given() {
        let (good, old) =
            (RequestId::from_parts(NOW, 1), RequestId::from_parts(NOW.minus_millis(DAY + 1), 1));
        let narrow = |role| Actor { channels: ChannelSet(1 << 5), ..Actor::unbounded(role) };
        for (actor, id, expected) in [
            (narrow(Role::Observer), old, Err(Outcome::RoleNotPermitted)),
            (narrow(Role::Gateway), old, Err(Outcome::ChannelNotPermitted)),
            (Actor::unbounded(Role::Gateway), old, Err(Outcome::IdTooOld)),
            (Actor::unbounded(Role::Gateway), RequestId(7), Err(Outcome::IdMalformed)),
            (Actor::unbounded(Role::Gateway), good, Ok(())),
        ] {
            assert_eq!(admit(NOW, &actor, &change(Action::Cancel, id), DAY), expected, "{actor:?}");
        }
    }

    fn change(action: Action, request: RequestId) -> Command {
        let appointment = AppointmentId(RequestId::from_parts(NOW, 2).0);
        let channel = BookingChannel::default();
        Command::Change(Change { request, appointment, patient: None, channel, action })
    }
}
