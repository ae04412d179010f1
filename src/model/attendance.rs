//! Pick-up, check-in and lateness (取号, 签到, 过号), and the queue that comes of them.
//!
//! ```text
//!        check_in_from    start      grace        late_until
//! too early |-- on time --|-- on time --|--- late ----|  too late: a no-show
//!              pick_up_until, before or after the start: who is not in the house by then is too late
//!
//! too early  |= window =|  too early  |= window =|  too late           where a session says windows
//! ```
//!
//! A session that says an [`Attendance`] keeps a queue of those who checked in, and calls them one by
//! one. A session that says none keeps no queue.

use super::fingerprint::Fingerprint;
use super::id::{AppointmentId, RequestId, SessionId, SlotIndex};
use super::limits::{ATTENDANCE_MILLIS_MAX, PICK_UP_WINDOWS_MAX};
use super::operation::Operation;
use super::time::Timestamp;

/// When the patients of a session may come, in milliseconds around the start of their slot, each
/// bound included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attendance {
    /// How long before the start check-in begins.
    pub check_in_from: u32,
    /// When the number must be picked up (取号), after the start or, negative, before it. Without it
    /// any time will do.
    pub pick_up_until: Option<i32>,
    /// How long after the start a check-in is still on time.
    pub grace: u32,
    /// How long after the start a check-in is taken at all: late beyond `grace`.
    pub late_until: u32,
    /// When the late ones are called.
    pub late: LateRule,
}

/// A time of the day in which numbers are picked up (取号时段), as instants, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PickUpWindow {
    /// The first instant.
    pub from: Timestamp,
    /// The last.
    pub until: Timestamp,
}

/// When late patients are called (过号规则).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LateRule {
    /// After everybody on time up to the slot in which they checked in.
    EndOfSegment,
    /// One after every so many on time who were called while somebody late was waiting, from 1.
    Every(u8),
}

/// Somebody who checked in and has not left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueEntry {
    /// Whose turn it will be.
    pub appointment: AppointmentId,
    /// The slot that was booked, the first of a run.
    pub slot: SlotIndex,
    /// The slot in whose turn they are called: the booked one, or for who is late the one in which
    /// they checked in.
    pub segment: SlotIndex,
    /// Whether they came after the grace.
    pub is_late: bool,
    /// When they checked in.
    pub since: Timestamp,
    /// When they were called, and by which request.
    pub call: Option<(Timestamp, RequestId)>,
}

/// Calls the next patient of a session's queue (叫号).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallNext {
    /// The id of the request.
    pub request: RequestId,
    /// Which session.
    pub session: SessionId,
}

/// The queue of a session, or a part of it: who was called and has not left, then who waits, in the
/// order in which they will be called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallOrder {
    /// How many wait, those who are not listed too.
    pub waiting: u32,
    /// What a visit takes, in milliseconds: the mean of the session's visits so far, or the length of
    /// its slots while there were none.
    pub visit_millis: u32,
    /// At most [`super::LISTED_MAX`].
    pub lines: Vec<CallLine>,
}

/// One who checked in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallLine {
    /// Who.
    pub appointment: AppointmentId,
    /// The slot that was booked.
    pub slot: SlotIndex,
    /// Whether they came late.
    pub is_late: bool,
    /// When they checked in.
    pub since: Timestamp,
    /// When they were called, if they were.
    pub called: Option<Timestamp>,
    /// From 1 for the next one; 0 for who was called.
    pub position: u32,
    /// How long it will take until they are called, in milliseconds: the position times a visit.
    pub wait_millis: u32,
}

/// Whose turn is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallOrderOf {
    /// Everybody's, from a line on.
    All {
        /// How many lines to leave out.
        from: u16,
    },
    /// One appointment's: all that a gateway is told.
    One {
        /// Which.
        appointment: AppointmentId,
        /// Whose it is. A gateway says so, and somebody else's appointment is not found.
        patient: Option<super::id::PatientId>,
        /// Through which channel it is read.
        channel: super::actor::BookingChannel,
    },
}

impl Attendance {
    /// Whether its bounds are in range and in order.
    pub(super) fn is_sound(&self) -> bool {
        let Self { check_in_from, pick_up_until, grace, late_until, late } = *self;
        let pick_up = pick_up_until.map_or(0, i32::unsigned_abs);
        let longest = check_in_from.max(pick_up).max(late_until);
        longest <= ATTENDANCE_MILLIS_MAX && grace <= late_until && late != LateRule::Every(0)
    }

    /// The last instant of picking up, of a slot that begins then.
    pub fn pick_up_ends(&self, start: Timestamp) -> Option<Timestamp> {
        let until = self.pick_up_until?;
        let millis = u64::from(until.unsigned_abs());
        Some(if until < 0 { start.minus_millis(millis) } else { start.plus_millis(millis) })
    }

    pub(super) fn fingerprint(&self, print: &mut Fingerprint) {
        print.add(u64::from(self.check_in_from) << 32 | u64::from(self.grace));
        print.add(self.pick_up_until.map_or(u64::MAX, |until| u64::from(until.cast_unsigned())));
        let (kind, every) = self.late.parts();
        print.add(u64::from(self.late_until) << 16 | u64::from(kind) << 8 | u64::from(every));
    }
}

impl PickUpWindow {
    /// Whether windows are few, in order, each with some time in it, and within a day of the start of
    /// their session.
    pub(super) fn are_sound(windows: &[Self], start: Timestamp) -> bool {
        let day = u64::from(ATTENDANCE_MILLIS_MAX);
        let around = start.minus_millis(day)..=start.plus_millis(day);
        let is_sound = |window: &Self| {
            window.from < window.until
                && around.contains(&window.from)
                && around.contains(&window.until)
        };
        let in_order = windows.is_sorted_by(|before, after| before.until < after.from);
        windows.len() <= PICK_UP_WINDOWS_MAX && windows.iter().all(is_sound) && in_order
    }

    pub(super) fn fingerprint(windows: &[Self], print: &mut Fingerprint) {
        for window in windows {
            print.add(window.from.as_millis()).add(window.until.as_millis());
        }
    }
}

impl LateRule {
    /// Its number, and how many go before a late one where it says that.
    pub const fn parts(self) -> (u8, u8) {
        match self {
            Self::EndOfSegment => (0, 0),
            Self::Every(on_time) => (1, on_time),
        }
    }
}

impl CallNext {
    /// A hash of everything but the id of the request.
    pub fn fingerprint(&self) -> u64 {
        Fingerprint::new(Operation::CallNext as u64).add(self.session.0).finish()
    }
}
