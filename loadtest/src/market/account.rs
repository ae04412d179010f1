//! The oracle's own account: what every acknowledged answer said, and what must follow from it.
//!
//! ```text
//! receipts, told by the feed --> Told {status, deadline} --> compared with the node, and with the journal
//! ```
//!
//! **Architecture invariant:** it knows answers and nothing of the node. What was in doubt when a node died
//! is settled by asking again; until then the account says nothing of it.

use std::collections::BTreeMap;

use haoyuan::model::{Appointment, AppointmentStatus as Status, Cause};
use serde::Serialize;

/// What somebody was told of an appointment last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) person: u32,
    pub(crate) opening: u32,
    pub(crate) status: Status,
    /// The deadline, in ms of the wall, of what is pending.
    pub(crate) until: u64,
}

/// Every appointment of which somebody was told.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) told: BTreeMap<u128, Told>,
    /// Answers with success.
    pub(crate) answers: u64,
}

/// What must never be, counted.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Violations {
    /// Places given beyond those that there are.
    pub(crate) oversold: u64,
    /// Acknowledged, and not so.
    pub(crate) lost: u64,
    /// Two places, or two entries, of one person in one opening; a request carried out twice.
    pub(crate) double: u64,
    /// Places that are taken and that nobody has; holds past their deadline.
    pub(crate) leaked: u64,
    /// Given before the opening.
    pub(crate) early: u64,
    /// The first of them, in words.
    pub(crate) first: Vec<String>,
}

/// Kinds of [`Violations`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Oversold,
    Lost,
    Double,
    Leaked,
    Early,
}

impl Violations {
    /// Notes one.
    pub(crate) fn note(&mut self, kind: Kind, what: impl FnOnce() -> String) {
        let (count, name) = match kind {
            Kind::Oversold => (&mut self.oversold, "OVERSOLD"),
            Kind::Lost => (&mut self.lost, "LOST"),
            Kind::Double => (&mut self.double, "DOUBLE"),
            Kind::Leaked => (&mut self.leaked, "LEAKED"),
            Kind::Early => (&mut self.early, "EARLY"),
        };
        *count += 1;
        if self.first.len() < TOLD_MAX {
            self.first.push(format!("{name}: {}", what()));
        }
    }
}

impl Account {
    /// Notes what was told of an appointment.
    pub(crate) fn note(&mut self, appointment: u128, told: Told) {
        self.told.insert(appointment, told);
    }

    /// Notes that it ended.
    pub(crate) fn end(&mut self, appointment: u128) {
        if let Some(told) = self.told.get_mut(&appointment) {
            told.status = Status::Cancelled;
        }
    }
}

impl Told {
    /// Whether an appointment can be as it is found, `now` in ms of the wall.
    pub(crate) fn compare(
        &self,
        found: Option<&Appointment>,
        now: u64,
    ) -> Result<(), (Kind, String)> {
        let Some(found) = found else {
            return Err((Kind::Lost, format!("{self} is not there")));
        };
        let lapsed = found.status == Status::Cancelled && found.cause == Cause::Expired;
        let is_sound = match self.status {
            // A draw takes it on; what it came to is told by the feed.
            Status::Waitlist => {
                matches!(found.status, Status::Waitlist | Status::Pending) || {
                    lapsed || found.status == Status::Cancelled && found.cause == Cause::NotDrawn
                }
            }
            Status::Pending => {
                found.status == Status::Pending || lapsed && self.until <= now + CLOCK_MILLIS
            }
            status => found.status == status,
        };
        if !is_sound {
            let (status, cause) = (found.status, found.cause);
            return Err((Kind::Lost, format!("{self} is {status:?}, {}", cause.name())));
        }
        if found.status == Status::Pending && found.until.as_millis() + LATE_MILLIS < now {
            let late = now - found.until.as_millis();
            return Err((Kind::Leaked, format!("{self} is held {late} ms after its deadline")));
        }
        Ok(())
    }
}

impl std::fmt::Display for Told {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { person, opening, status, .. } = self;
        write!(to, "what person {person} has in opening {opening} was told {status:?}, and")
    }
}

/// Violations that are told in words.
const TOLD_MAX: usize = 8;

/// The node's clock and ours are one; a slew of 500 ppm makes less than this.
const CLOCK_MILLIS: u64 = 50;

/// A hold past its deadline goes within some milliseconds, under load within this.
const LATE_MILLIS: u64 = 2_000;

#[cfg(test)]
mod tests {
    use super::*;
    use haoyuan::model::{
        AppointmentId, BookingChannel, Claim, OrganizationId, PatientClass, PatientId, PoolIndex,
        RulesVersion, SessionId, Sharing, SlotIndex, Timestamp,
    };

    fn found(status: Status, cause: Cause, until: u64) -> Appointment {
        let claim =
            Claim { session: SessionId(1), slot: SlotIndex(0), count: 1, pool: PoolIndex(0) };
        Appointment {
            id: AppointmentId(1),
            patient: PatientId(1),
            account: None,
            organization: OrganizationId(1),
            channel: BookingChannel::default(),
            class: PatientClass::Outpatient,
            sharing: Sharing::Cancel,
            status,
            cause,
            until: Timestamp::from_millis(until),
            fingerprint: 0,
            payment: None,
            rules: RulesVersion(0),
            claims: std::iter::once(claim).collect(),
        }
    }

    /// It is 100,000 now.
    #[test]
    fn what_was_told_and_is_not_so_is_a_violation() {
        use Status as S;
        let cases = [
            (S::Booked, 0, Some((S::Booked, Cause::None, 0)), None),
            (S::Booked, 0, None, Some(Kind::Lost)),
            (S::Booked, 0, Some((S::Pending, Cause::None, 110_000)), Some(Kind::Lost)),
            (S::Booked, 0, Some((S::Cancelled, Cause::Expired, 0)), Some(Kind::Lost)),
            (S::Cancelled, 0, Some((S::Cancelled, Cause::Cancelled, 0)), None),
            (S::Cancelled, 0, Some((S::Booked, Cause::None, 0)), Some(Kind::Lost)),
            (S::Pending, 110_000, Some((S::Pending, Cause::None, 110_000)), None),
            // Ended before its time, in its time, and not at all.
            (S::Pending, 110_000, Some((S::Cancelled, Cause::Expired, 0)), Some(Kind::Lost)),
            (S::Pending, 90_000, Some((S::Cancelled, Cause::Expired, 0)), None),
            (S::Pending, 90_000, Some((S::Pending, Cause::None, 90_000)), Some(Kind::Leaked)),
            (S::Pending, 99_000, Some((S::Pending, Cause::None, 99_000)), None),
            (S::Waitlist, 0, Some((S::Cancelled, Cause::NotDrawn, 0)), None),
            (S::Waitlist, 0, Some((S::Pending, Cause::None, 110_000)), None),
            (S::Waitlist, 0, None, Some(Kind::Lost)),
            (S::Waitlist, 0, Some((S::Cancelled, Cause::Released, 0)), Some(Kind::Lost)),
        ];
        for (status, until, there, expected) in cases {
            let told = Told { person: 1, opening: 1, status, until };
            let there = there.map(|(status, cause, until)| found(status, cause, until));
            let result = told.compare(there.as_ref(), 100_000);
            assert_eq!(result.err().map(|fault| fault.0), expected, "{told:?} {there:?}");
        }
    }
}
