//! When and how a session may be booked: openings, cut-offs, service hours, what becomes of places.
//!
//! ```text
//! pool A   opens |========================== reclaimed ->|  unused places go to pool B
//! pool B              opens |===================================================|
//! session                   booking ends |x                hours 06:30-24:00 daily
//! ```
//!
//! A wave of an opening (分批放号) is a pool that opens later than another, so that the sum over pools
//! is the capacity whatever has opened.
//!
//! **Architecture invariant:** terms are results, not rules to compute: instants and offsets, made from
//! a schedule and its time zone before the session was opened. Nothing here knows a calendar.

use super::actor::{BookingChannel, ChannelSet};
use super::attendance::{Attendance, PickUpWindow};
use super::civil::{are_sound, minutes_at};
use super::draw::Draw;
use super::fingerprint::Fingerprint;
use super::id::{PoolIndex, ServiceId};
use super::limits::{
    OFFSETS_MAX, PICK_UP_WINDOWS_MAX, RANKED_SLOTS_MAX, RETURN_DELAY_MILLIS_MAX,
    WAITLIST_ENTRIES_MAX,
};
use super::time::{Timestamp, Ttl};
use super::waitlist::WaitlistRule;

/// What a session says about its booking besides its places. The default says nothing: it is
/// bookable from its opening until each slot ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionTerms {
    /// What is done there (服务项目), a code of the platform; 0 where it is not said.
    pub service: ServiceId,
    /// What it costs (挂号费), in hundredths of the currency.
    pub fee: u32,
    /// When booking ends (停止预约), for all slots.
    pub booking_ends: Option<Timestamp>,
    /// How long before its start booking of a slot ends, in milliseconds. Without it a slot can be
    /// booked until it ends.
    pub lead_millis: Option<u32>,
    /// When in the day it may be booked.
    pub hours: Option<ServiceHours>,
    /// What becomes of a place that is freed.
    pub returns: ReturnRule,
    /// How often an appointment may be moved by or for its patient (改约次数); as often as they like
    /// where it is not said.
    pub changes_max: Option<u8>,
    /// How long a place stands that is offered to an appointment which a block displaced. Without it
    /// none is offered by itself.
    pub displaced_offer: Option<Ttl>,
    /// Who waits where it is full, and how.
    pub waitlist: Option<Box<WaitlistRule>>,
    /// When its patients may come; where it says so it keeps a queue of them.
    pub attendance: Option<Attendance>,
    /// When in the day numbers are picked up, 0 to [`PICK_UP_WINDOWS_MAX`];
    /// at any time that `attendance` allows where it says none.
    pub pick_up_windows: Vec<PickUpWindow>,
}

/// When a pool opens, and what becomes of its places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolTerms {
    /// When its places can be booked (放号); at once where it is zero.
    pub opens: Timestamp,
    /// Places, over all slots, that no change of quotas and no reclaim takes from it.
    pub floor: u32,
    /// When its unused places go to another pool (回收).
    pub reclaim: Option<Reclaim>,
    /// How its places are drawn, where they are not for whoever comes first.
    pub draw: Option<Draw>,
}

/// Where the unused places of a pool go, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reclaim {
    /// When.
    pub at: Timestamp,
    /// To which pool of the session.
    pub to: PoolIndex,
}

/// The hours of a day in which some channels may book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceHours {
    /// The first minute of the local day, 0 to 1,439.
    pub from: u16,
    /// The minute after the last, 1 to 1,440 and after `from`.
    pub to: u16,
    /// Which channels it binds. A counter need not keep to it.
    pub channels: ChannelSet,
    /// What local time is: offsets from UTC in minutes and since when, oldest first, 1 to 8. The
    /// first holds before its own instant too.
    pub offsets: Vec<(Timestamp, i16)>,
}

/// What becomes of a place that is freed (退号去向).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReturnRule {
    /// It can be booked again at once.
    #[default]
    AtOnce,
    /// It can be booked again after a random delay, drawn when it is freed.
    Delayed(Delay),
    /// The waitlist has it first; if nobody waits it comes back after a random delay.
    WaitlistFirst(Delay),
    /// It does not come back.
    Withheld,
}

/// A random delay between two bounds, in milliseconds, both included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delay {
    /// The shortest.
    pub min_millis: u32,
    /// The longest, at most a day.
    pub max_millis: u32,
}

/// What is wrong with terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermsFault {
    /// The hours are out of range or the wrong way round.
    #[error("service hours run from a minute of the day to a later one, at most 1440")]
    Hours,
    /// No offset, too many, out of order or of more than a day.
    #[error("service hours have 1 to {OFFSETS_MAX} offsets, oldest first, each within a day")]
    Offsets,
    /// The bounds of a delay are the wrong way round or too long.
    #[error("a return's delay has a shortest and a longest bound, at most a day")]
    Delay,
    /// More places are kept for a pool than it has.
    #[error("a pool's floor is at most its places")]
    Floor,
    /// Unused places go to a pool that is not there, or to the same.
    #[error("a pool's unused places go to another pool of the session")]
    Reclaim,
    /// A draw is at odds with its pool, its session or itself.
    #[error(
        "a draw closes after its pool opens and before the session starts, its beacon after that, \
         its pool's unused places go later, it takes 1 to {RANKED_SLOTS_MAX} preferences, and its \
         session one appointment per patient"
    )]
    Draw,
    /// The rule of the waitlist is out of range, or freed places do not go to it.
    #[error(
        "a waitlist takes 1 to {WAITLIST_ENTRIES_MAX} entries, offers places for up to a day, in hours for every channel, and needs freed places to go to it first"
    )]
    Waitlist,
    /// The bounds of attendance are too long or the wrong way round, or nobody goes before the late.
    #[error("attendance is within a day of the start, late from the grace on, after 1 or more")]
    Attendance,
    /// Windows are too many, empty, out of order, too far from the start, or of a session without
    /// attendance.
    #[error(
        "numbers are picked up in at most {PICK_UP_WINDOWS_MAX} windows, in order, each of some time and within a day of the start, where the session says attendance"
    )]
    PickUp,
}

impl SessionTerms {
    /// Checks ranges.
    ///
    /// # Errors
    ///
    /// The first [`TermsFault`] in the order of that enum.
    pub fn check(&self) -> Result<(), TermsFault> {
        if let Some(hours) = &self.hours {
            hours.check()?;
        }
        if self.attendance.is_some_and(|attendance| !attendance.is_sound()) {
            return Err(TermsFault::Attendance);
        }
        match self.returns {
            ReturnRule::Delayed(delay) | ReturnRule::WaitlistFirst(delay) => delay.check(),
            ReturnRule::AtOnce | ReturnRule::Withheld => Ok(()),
        }?;
        match (&self.waitlist, self.returns) {
            (None, _) => Ok(()),
            (Some(rule), ReturnRule::WaitlistFirst(_)) => rule.check(),
            (Some(_), _) => Err(TermsFault::Waitlist),
        }
    }
}

impl SessionTerms {
    /// Checks the windows for picking up, of a session that begins then.
    pub(super) fn check_windows(&self, start: Timestamp) -> Result<(), TermsFault> {
        let windows = &self.pick_up_windows;
        let has_rules = windows.is_empty() || self.attendance.is_some();
        let is_sound = has_rules && PickUpWindow::are_sound(windows, start);
        if is_sound { Ok(()) } else { Err(TermsFault::PickUp) }
    }

    pub(super) fn fingerprint(&self, print: &mut Fingerprint) {
        print.add(u64::from(self.service.0) << 32 | u64::from(self.fee));
        print.add(self.booking_ends.map_or(u64::MAX, Timestamp::as_millis));
        print.add(self.lead_millis.map_or(u64::MAX, u64::from));
        if let Some(hours) = &self.hours {
            hours.fingerprint(print);
        }
        let (kind, delay) = self.returns.parts();
        print.add(u64::from(kind));
        print.add(u64::from(delay.min_millis) << 32 | u64::from(delay.max_millis));
        if let Some(changes) = self.changes_max {
            print.add(8 << 32 | u64::from(changes));
        }
        if let Some(ttl) = self.displaced_offer {
            print.add(10 << 32 | u64::from(ttl.as_millis()));
        }
        if let Some(rule) = &self.waitlist {
            rule.fingerprint(print);
        }
        if let Some(attendance) = &self.attendance {
            attendance.fingerprint(print);
        }
        if !self.pick_up_windows.is_empty() {
            PickUpWindow::fingerprint(&self.pick_up_windows, print.add(11 << 32));
        }
    }
}

impl PoolTerms {
    pub(super) fn fingerprint(&self, print: &mut Fingerprint) {
        print.add(self.opens.as_millis()).add(u64::from(self.floor));
        if let Some(Reclaim { at, to }) = self.reclaim {
            print.add(at.as_millis()).add(u64::from(to.0));
        }
        if let Some(draw) = &self.draw {
            draw.fingerprint(print);
        }
    }

    /// Checks the draw, of a session that begins then.
    pub(super) fn check_draw(&self, start: Timestamp) -> Result<(), TermsFault> {
        let Some(draw) = self.draw else { return Ok(()) };
        let made = draw.due(false);
        let sound = self.opens < draw.closes
            && draw.beacon.is_none_or(|beacon| draw.closes < beacon.until)
            && made <= start
            && self.reclaim.is_none_or(|reclaim| made < reclaim.at)
            && (1..=RANKED_SLOTS_MAX).contains(&usize::from(draw.preferences_max));
        if sound { Ok(()) } else { Err(TermsFault::Draw) }
    }
}

impl ReturnRule {
    /// Its number, and its delay where it has one.
    pub const fn parts(self) -> (u8, Delay) {
        const NONE: Delay = Delay { min_millis: 0, max_millis: 0 };
        match self {
            Self::AtOnce => (0, NONE),
            Self::Delayed(delay) => (1, delay),
            Self::WaitlistFirst(delay) => (2, delay),
            Self::Withheld => (3, NONE),
        }
    }
}

impl ServiceHours {
    pub(super) fn fingerprint(&self, print: &mut Fingerprint) {
        print.add(u64::from(self.from) << 16 | u64::from(self.to)).add(self.channels.0);
        for (since, minutes) in &self.offsets {
            print.add(since.as_millis()).add(u64::from(minutes.cast_unsigned()));
        }
    }

    /// How long until a channel may book, in milliseconds; `None` where it may now.
    pub fn closed_for(&self, now: Timestamp, channel: BookingChannel) -> Option<u64> {
        if !self.channels.contains(channel) {
            return None;
        }
        let minute = self.minute_of(now);
        if (u64::from(self.from)..u64::from(self.to)).contains(&minute) {
            return None;
        }
        let from = u64::from(self.from);
        let minutes =
            if minute < from { from } else { from.saturating_add(MINUTES) }.saturating_sub(minute);
        let into_minute = now.as_millis().checked_rem(MINUTE_MILLIS).unwrap_or_default();
        Some(minutes.saturating_mul(MINUTE_MILLIS).saturating_sub(into_minute))
    }

    /// The minute of the local day.
    fn minute_of(&self, now: Timestamp) -> u64 {
        let offset = minutes_at(&self.offsets, now);
        let minutes = now.as_millis() / MINUTE_MILLIS;
        minutes.saturating_add(MINUTES).saturating_add_signed(i64::from(offset)) % MINUTES
    }

    pub(super) fn check(&self) -> Result<(), TermsFault> {
        if self.to <= self.from || MINUTES < u64::from(self.to) {
            return Err(TermsFault::Hours);
        }
        if are_sound(&self.offsets) { Ok(()) } else { Err(TermsFault::Offsets) }
    }
}

impl Delay {
    fn check(self) -> Result<(), TermsFault> {
        let sound =
            self.min_millis <= self.max_millis && self.max_millis <= RETURN_DELAY_MILLIS_MAX;
        if sound { Ok(()) } else { Err(TermsFault::Delay) }
    }
}

/// Minutes of a day.
const MINUTES: u64 = 24 * 60;
const MINUTE_MILLIS: u64 = 60_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// 00:00-06:30 is closed; Beijing is eight hours ahead.
    #[test]
    fn service_hours_are_read_in_local_time() {
        let beijing = |from, to| ServiceHours {
            from,
            to,
            channels: ChannelSet::ALL,
            offsets: vec![(Timestamp::default(), 480)],
        };
        let night = beijing(390, 1_440);
        let at = |hours: u64, minutes: u64, millis: u64| {
            // 2027-01-01T00:00:00+08:00
            Timestamp::from_millis(
                1_798_732_800_000 + (hours * 60 + minutes) * MINUTE_MILLIS + millis,
            )
        };
        let channel = BookingChannel::default();
        for (now, left) in [
            (at(0, 0, 0), Some(390 * MINUTE_MILLIS)),
            (at(6, 29, 59_999), Some(1)),
            (at(6, 30, 0), None),
            (at(23, 59, 59_999), None),
            (at(24, 0, 0), Some(390 * MINUTE_MILLIS)),
        ] {
            assert_eq!(night.closed_for(now, channel), left, "{now:?}");
        }
        let office = beijing(480, 1_020);
        assert_eq!(office.closed_for(at(17, 0, 0), channel), Some(15 * 60 * MINUTE_MILLIS));
    }

    /// New York goes from -300 to -240 minutes on 2027-03-14T07:00Z.
    #[test]
    fn service_hours_follow_a_change_of_the_clocks() {
        let change = Timestamp::from_millis(1_805_007_600_000);
        let hours = ServiceHours {
            from: 480,
            to: 1_020,
            channels: ChannelSet::ALL,
            offsets: vec![(Timestamp::default(), -300), (change, -240)],
        };
        let channel = BookingChannel::default();
        let before = change.minus_millis(24 * 60 * MINUTE_MILLIS);
        for (day, opens) in [(before, 6 * 60), (change, 5 * 60)] {
            let closed = hours.closed_for(day, channel).unwrap();
            assert_eq!(closed, opens * MINUTE_MILLIS, "{day:?}");
        }
    }
}
