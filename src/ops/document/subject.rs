//! Who is booked, and by which rules: the same keys in a session and in a schedule.
//!
//! A table of terms that is to be in both is a key in [`Subject::read`] and a line in
//! [`Subject::session`].

use jiff::civil::Date;

use super::attendance::{AttendanceTable, read_attendance};
use super::draw;
use super::entry::{Entry, Fault, fault};
use super::moment::{Locale, Moment};
use super::returns::read_returns;
use super::waitlist::WaitlistTable;
use super::words::{LocalHours, MINUTE_MILLIS, PICKS, REPEATS, SHARINGS, WEEK_MINUTES, read_hours};
use super::{DocumentDefaults, MAX_8, MAX_16, MAX_32, narrow};
use crate::model::{
    DepartmentId, OrganizationId, Pick, Pool, Repeat, ResourceId, ReturnRule, ServiceId, Session,
    SessionId, SessionTerms, Sharing, SiteId, Timestamp, Ttl,
};

/// Everything that is said of a session besides its time and its places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ops) struct Subject {
    pub(in crate::ops) organization: OrganizationId,
    site: SiteId,
    department: DepartmentId,
    resource: ResourceId,
    service: ServiceId,
    appointment_type: u8,
    fee: u32,
    pick: Pick,
    repeat: Repeat,
    sharing: Sharing,
    ttl: Ttl,
    lead_millis: Option<u32>,
    booking_ends: Option<Moment>,
    hours: Option<LocalHours>,
    returns: ReturnRule,
    changes_max: Option<u8>,
    displaced_offer: Option<Ttl>,
    waitlist: Option<WaitlistTable>,
    attendance: Option<AttendanceTable>,
}

impl Subject {
    pub(in crate::ops) fn read(
        entry: &mut Entry,
        defaults: &DocumentDefaults,
    ) -> Result<Self, Fault> {
        let waitlist = entry.may("waitlist").map(WaitlistTable::read).transpose()?;
        Ok(Self {
            organization: OrganizationId(narrow(entry.need("organization")?.number(0, MAX_32)?)),
            site: SiteId(narrow(entry.need("site")?.number(0, MAX_16)?)),
            department: DepartmentId(narrow(entry.need("department")?.number(0, MAX_32)?)),
            resource: ResourceId(entry.need("resource")?.number(0, u64::MAX)?),
            service: ServiceId(narrow(entry.number_or("service", 0, MAX_32, 0)?)),
            appointment_type: narrow(entry.number_or("type", 0, MAX_8, 0)?),
            fee: narrow(entry.number_or("fee", 0, MAX_32, 0)?),
            pick: entry.choice("pick", &PICKS)?,
            repeat: entry.choice("repeat", &REPEATS)?,
            sharing: entry.choice("sharing", &SHARINGS)?,
            ttl: minutes_of_day(entry, "hold_minutes")?.unwrap_or(defaults.ttl),
            lead_millis: match entry.may("lead_minutes") {
                Some(field) => Some(narrow(field.number(0, WEEK_MINUTES)? * MINUTE_MILLIS)),
                None => None,
            },
            booking_ends: entry.may("booking_ends").map(Moment::read).transpose()?,
            hours: entry.may("hours").map(|field| read_hours(field, defaults)).transpose()?,
            returns: read_returns(entry.may("returns"), waitlist.is_some())?,
            changes_max: match entry.may("changes_max") {
                Some(field) => Some(narrow(field.number(0, MAX_8)?)),
                None => None,
            },
            displaced_offer: minutes_of_day(entry, "displaced_offer_minutes")?,
            waitlist,
            attendance: entry.may("attendance").map(read_attendance).transpose()?,
        })
    }

    /// A session of the subject on a date; `place` is what is at fault where it cannot be one.
    pub(in crate::ops) fn session(
        &self,
        (id, start, slot_millis): (SessionId, Timestamp, u32),
        pools: Vec<Pool>,
        place: &str,
        date: Date,
        locale: Locale<'_>,
    ) -> Result<Session, Fault> {
        let mut session = Session {
            id,
            organization: self.organization,
            site: self.site,
            department: self.department,
            resource: self.resource,
            appointment_type: self.appointment_type,
            start,
            slot_millis,
            pick: self.pick,
            repeat: self.repeat,
            sharing: self.sharing,
            ttl_max: self.ttl,
            terms: SessionTerms::default(),
            pools,
        };
        session.terms = self.terms(&session, date, locale)?;
        draw::check(&session).map_err(|reason| fault(place, reason))?;
        session.check().map_err(|reason| fault(place, &reason.to_string()))?;
        Ok(session)
    }

    /// The terms of a session on a date, with its times as instants.
    fn terms(
        &self,
        session: &Session,
        date: Date,
        locale: Locale<'_>,
    ) -> Result<SessionTerms, Fault> {
        let end = end_of(session);
        let booking_ends = self.booking_ends.as_ref().map(|ends| ends.of(date, locale));
        let booking_ends = booking_ends.transpose()?;
        let hours = self.hours.as_ref().map(|hours| hours.until(end, locale.zone));
        let windows = self.attendance.as_ref().map(|table| table.windows(date, locale));
        let opens = session.pools.iter().map(|pool| pool.terms.opens).min().unwrap_or_default();
        let bookable = (opens, booking_ends.unwrap_or(Timestamp::MAX));
        let rule = |table: &WaitlistTable| table.rule(bookable, end, date, locale).map(Box::new);
        Ok(SessionTerms {
            service: self.service,
            fee: self.fee,
            booking_ends,
            lead_millis: self.lead_millis,
            hours: hours.transpose()?,
            returns: self.returns,
            changes_max: self.changes_max,
            displaced_offer: self.displaced_offer,
            waitlist: self.waitlist.as_ref().map(rule).transpose()?,
            attendance: self.attendance.as_ref().map(|table| table.rules),
            pick_up_windows: windows.transpose()?.unwrap_or_default(),
        })
    }
}

/// When the last slot of a session ends.
pub(in crate::ops) fn end_of(session: &Session) -> Timestamp {
    let slots = u64::try_from(session.slot_count()).unwrap_or_default();
    session.start.plus_millis(u64::from(session.slot_millis).saturating_mul(slots))
}

/// Minutes from 1 to a day.
pub(super) fn minutes_of_day(entry: &mut Entry, key: &'static str) -> Result<Option<Ttl>, Fault> {
    let minutes = entry.may(key).map(|field| field.number(1, 1_440)).transpose()?;
    let ttl = |minutes| Ttl::from_millis(narrow::<u32>(minutes * MINUTE_MILLIS));
    Ok(minutes.map(|minutes| ttl(minutes).expect("a day at most")))
}
