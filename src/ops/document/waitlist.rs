//! What sessions and schedules say of those who wait where a session is full (候补).

use jiff::civil::Date;

use super::entry::{Entry, Fault, Field};
use super::moment::{Locale, Moment};
use super::narrow;
use super::words::{
    CLASSES, DAY_MINUTES, LocalHours, MINUTE_MILLIS, WEEK_MINUTES, read_hours_for_all,
};
use crate::model::limits::WAITLIST_ENTRIES_MAX;
use crate::model::{PatientClass, Timestamp, WaitlistRule};

/// Who may wait, in which order, how long offers last, and when it is over. An empty table says the
/// usual of everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ops) struct WaitlistTable {
    place: String,
    entries_max: u16,
    priority: [u8; PatientClass::COUNT],
    draw_millis: u32,
    offer_millis: u32,
    near_offer_millis: u32,
    near_millis: u32,
    hours: OfferHours,
    /// 23:00 the day before, or when booking ends if that is earlier, where it is not said.
    closes: Option<Moment>,
}

/// When in the day offers are made.
#[derive(Clone, Debug, PartialEq, Eq)]
enum OfferHours {
    /// From 06:00 to 23:00 by the clocks of the session's zone.
    Usual,
    Always,
    Within(LocalHours),
}

impl WaitlistTable {
    pub(super) fn read(field: Field) -> Result<Self, Fault> {
        let mut entry = Entry::new(field.place, field.value)?;
        let mut minutes = |key, least, greatest, otherwise| {
            let minutes = entry.number_or(key, least, greatest, otherwise);
            minutes.map(|minutes| narrow::<u32>(minutes * MINUTE_MILLIS))
        };
        let table = Self {
            draw_millis: minutes("draw_minutes", 0, WEEK_MINUTES, 10)?,
            offer_millis: minutes("offer_minutes", 1, DAY_MINUTES, DAY_MINUTES)?,
            near_offer_millis: minutes("near_offer_minutes", 1, DAY_MINUTES, 30)?,
            near_millis: minutes("near_minutes", 0, WEEK_MINUTES, DAY_MINUTES)?,
            entries_max: narrow(entry.number_or("entries", 1, WAITLIST_ENTRIES_MAX.into(), 100)?),
            priority: match entry.may("priority") {
                Some(field) => read_priority(field)?,
                None => [u8::MAX; PatientClass::COUNT],
            },
            hours: match entry.may("hours") {
                Some(field) if field.value == "always" => OfferHours::Always,
                Some(field) => OfferHours::Within(read_hours_for_all(field)?),
                None => OfferHours::Usual,
            },
            closes: entry.may("closes").map(Moment::read).transpose()?,
            place: entry.place().to_owned(),
        };
        entry.finish()?;
        Ok(table)
    }

    /// The rule of a session that can be booked from an instant to another, and is over at `end`.
    pub(super) fn rule(
        &self,
        (opens, ends): (Timestamp, Timestamp),
        end: Timestamp,
        date: Date,
        locale: Locale<'_>,
    ) -> Result<WaitlistRule, Fault> {
        let moment = self.moment();
        let is_usual = self.closes.is_none() || self.hours == OfferHours::Usual;
        if is_usual && locale.zone.is_none() {
            let reason = "is in local time where it gives no hours or no closes: offers from 06:00 \
                          to 23:00, the close at 23:00 the day before; give the session's zone, or \
                          both keys with instants and offsets";
            return Err(moment.fault(reason));
        }
        let closes_at = moment.of(date, locale)?;
        let closes_at = if self.closes.is_none() { closes_at.min(ends) } else { closes_at };
        if closes_at <= opens {
            let reason = format!("closes before a pool opens, for the session of {date}");
            return Err(moment.fault(&reason));
        }
        if ends < closes_at {
            let reason = format!(
                "closes after booking has ended, and nothing is offered then, for the session of \
                 {date}; use booking_ends or earlier"
            );
            return Err(moment.fault(&reason));
        }
        let hours = match &self.hours {
            OfferHours::Usual => Some(LocalHours::daily(&self.place, 6 * 60, 23 * 60)),
            OfferHours::Always => None,
            OfferHours::Within(hours) => Some(hours.clone()),
        };
        Ok(WaitlistRule {
            entries_max: self.entries_max,
            priority: self.priority,
            draw_millis: self.draw_millis,
            offer_millis: self.offer_millis,
            near_offer_millis: self.near_offer_millis,
            near_millis: self.near_millis,
            hours: hours.map(|hours| hours.until(end, locale.zone)).transpose()?,
            closes_at,
        })
    }

    fn moment(&self) -> Moment {
        let usual = || Moment::days_before(&self.place, 1, 23 * 60);
        self.closes.clone().unwrap_or_else(usual)
    }
}

/// `{ emergency = 0, referral = 1 }`, the lowest first. Who is not named comes last.
fn read_priority(field: Field) -> Result<[u8; PatientClass::COUNT], Fault> {
    let mut entry = Entry::new(field.place, field.value)?;
    let mut priority = [u8::MAX; PatientClass::COUNT];
    for (name, class) in CLASSES {
        let last = u64::from(u8::MAX);
        let number = entry.number_or(name, 0, last, last)?;
        priority.get_mut(class as usize).into_iter().for_each(|place| *place = narrow(number));
    }
    entry.finish()?;
    Ok(priority)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ChannelSet, Delay, ReturnRule, ServiceHours, Session};
    use crate::ops::document::{DocumentDefaults, DocumentFormat};
    use crate::ops::sessions::parse;

    /// A session on the morning of 1 March 2027, with more keys.
    fn read(keys: &str) -> Result<Session, String> {
        let text = format!(
            "[[sessions]]\nid = 1\norganization = 1\nsite = 1\ndepartment = 1\nresource = 1\n\
             start = \"2027-03-01T08:00:00+08:00\"\nslot_minutes = 10\nslots = 6\nplaces = 1\n{keys}"
        );
        let read = parse("s.toml", DocumentFormat::Toml, &text, &DocumentDefaults::default());
        read.map(|mut sessions| sessions.remove(0)).map_err(|error| error.to_string())
    }

    const SHANGHAI: &str = "zone = \"Asia/Shanghai\"\n";

    fn in_shanghai(keys: &str) -> Result<Session, String> {
        read(&format!("{SHANGHAI}{keys}"))
    }

    fn rule(keys: &str) -> WaitlistRule {
        *in_shanghai(keys).unwrap().terms.waitlist.unwrap()
    }

    fn at(text: &str) -> Timestamp {
        let millis = text.parse::<jiff::Timestamp>().unwrap().as_millisecond();
        Timestamp::from_millis(millis.try_into().unwrap())
    }

    fn hours(from: u16, to: u16) -> ServiceHours {
        let offsets = vec![(Timestamp::default(), 480)];
        ServiceHours { from, to, channels: ChannelSet::ALL, offsets }
    }

    #[test]
    fn an_empty_table_says_the_usual() {
        let expected = WaitlistRule {
            entries_max: 100,
            priority: [u8::MAX; PatientClass::COUNT],
            draw_millis: 10 * 60_000,
            offer_millis: 24 * 3_600_000,
            near_offer_millis: 30 * 60_000,
            near_millis: 24 * 3_600_000,
            hours: Some(hours(360, 1_380)),
            closes_at: at("2027-02-28T23:00:00+08:00"),
        };
        for table in ["waitlist = {}", "[sessions.waitlist]"] {
            assert_eq!(rule(table), expected, "{table}");
        }
        assert_eq!(in_shanghai("").unwrap().terms.waitlist, None);
    }

    #[test]
    fn a_table_says_everything_of_a_waitlist() {
        let table = "[sessions.waitlist]\nentries = 7\npriority = { emergency = 0, referral = 3 }\n\
                     draw_minutes = 0\noffer_minutes = 60\nnear_offer_minutes = 5\nnear_minutes = 90\n\
                     hours = { from = \"00:00\", to = \"24:00\" }\n\
                     closes = \"2027-03-01T07:00:00+08:00\"\n";
        let expected = WaitlistRule {
            entries_max: 7,
            priority: [255, 255, 255, 0, 3],
            draw_millis: 0,
            offer_millis: 3_600_000,
            near_offer_millis: 300_000,
            near_millis: 5_400_000,
            hours: Some(hours(0, 1_440)),
            closes_at: at("2027-03-01T07:00:00+08:00"),
        };
        assert_eq!(rule(table), expected);
        assert_eq!(rule("waitlist = { hours = \"always\" }").hours, None);
        // Without a zone everything local has to be said.
        let instants = "waitlist = { hours = \"always\", closes = \"2027-02-28T15:00:00Z\" }";
        let closes = read(instants).unwrap().terms.waitlist.unwrap().closes_at;
        assert_eq!(closes, at("2027-02-28T15:00:00Z"));
    }

    #[test]
    fn where_nothing_is_said_a_waitlist_closes_with_booking_at_the_latest() {
        for (ends, expected) in [
            ("{ days_before = 1, at = \"15:00\" }", "2027-02-28T15:00:00+08:00"),
            ("{ days_before = 0, at = \"07:00\" }", "2027-02-28T23:00:00+08:00"),
        ] {
            let keys = format!("booking_ends = {ends}\nwaitlist = {{}}");
            assert_eq!(rule(&keys).closes_at, at(expected), "{ends}");
        }
    }

    #[test]
    fn freed_places_go_to_who_waits_first_or_the_document_is_refused() {
        let minutes =
            |min: u32, max: u32| Delay { min_millis: min * 60_000, max_millis: max * 60_000 };
        let bounds = "{ rule = \"waitlist-first\", min_minutes = 0, max_minutes = 1 }";
        for (returns, with, without) in [
            ("", ReturnRule::WaitlistFirst(minutes(5, 30)), ReturnRule::AtOnce),
            (
                "returns = \"waitlist-first\"\n",
                ReturnRule::WaitlistFirst(minutes(5, 30)),
                ReturnRule::WaitlistFirst(minutes(5, 30)),
            ),
            (
                &format!("returns = {bounds}\n"),
                ReturnRule::WaitlistFirst(minutes(0, 1)),
                ReturnRule::WaitlistFirst(minutes(0, 1)),
            ),
        ] {
            let found = in_shanghai(&format!("{returns}waitlist = {{}}")).unwrap();
            assert_eq!(found.terms.returns, with, "{returns}");
            assert_eq!(in_shanghai(returns).unwrap().terms.returns, without, "{returns}");
        }
        for returns in [
            "\"at-once\"",
            "\"withheld\"",
            "{ rule = \"delayed\", min_minutes = 5, max_minutes = 30 }",
        ] {
            let keys = format!("returns = {returns}\nwaitlist = {{}}");
            let refused = in_shanghai(&keys).unwrap_err();
            assert_eq!(
                refused,
                "s.toml: sessions[0].returns: keeps freed places from the waitlist; use \
                 waitlist-first, leave returns away, or take the waitlist out"
            );
        }
    }

    #[test]
    fn what_is_wrong_with_a_waitlist_is_named() {
        for (table, expected) in [
            ("true", "waitlist: needs a table of keys, not true"),
            ("{ entry = 1 }", "waitlist.entry: is no key; the keys are draw_minutes, "),
            ("{ entries = 0 }", "waitlist.entries: is 0; it takes a number, 1 to 1000"),
            ("{ entries = 1001 }", "waitlist.entries: is 1001; it takes a number, 1 to 1000"),
            ("{ draw_minutes = 10081 }", "waitlist.draw_minutes: is 10081; it takes a number, 0"),
            ("{ offer_minutes = 0 }", "waitlist.offer_minutes: is 0; it takes a number, 1 to 1440"),
            ("{ near_offer_minutes = 1441 }", "waitlist.near_offer_minutes: is 1441; it takes"),
            (
                "{ near_minutes = -1 }",
                "waitlist.near_minutes: is -1; it takes a number, 0 to 10080",
            ),
            ("{ priority = { vip = 1 } }", "waitlist.priority.vip: is no key; the keys are outpa"),
            ("{ priority = { referral = 256 } }", "waitlist.priority.referral: is 256; it takes"),
            ("{ priority = [\"referral\"] }", "waitlist.priority: needs a table of keys, not ["),
            ("{ hours = \"never\" }", "waitlist.hours: needs a table of keys, not \"never\""),
            (
                "{ hours = { from = \"23:00\", to = \"06:00\" } }",
                "waitlist.hours: closes before it opens; from and to are hours of one day",
            ),
            (
                "{ hours = { from = \"06:00\", to = \"23:00\", channels = [1] } }",
                "waitlist.hours.channels: is no key; the keys are from, to, offsets",
            ),
            ("{ closes = \"23:00\" }", "waitlist.closes: is \"23:00\"; it takes a time with its"),
            (
                "{ closes = { days_before = 60, at = \"23:00\" } }",
                "waitlist.closes: closes before a pool opens, for the session of 2027-03-01",
            ),
            (
                "{ closes = { days_before = 0, at = \"07:01\" } }",
                "waitlist.closes: closes after booking has ended, and nothing is offered then, for \
                 the session of 2027-03-01; use booking_ends or earlier",
            ),
        ] {
            let keys = format!(
                "opens = {{ days_before = 30, at = \"07:00\" }}\n\
                 booking_ends = {{ days_before = 0, at = \"07:00\" }}\nwaitlist = {table}"
            );
            let refused = in_shanghai(&keys).unwrap_err();
            assert!(refused.contains(&format!("s.toml: sessions[0].{expected}")), "{refused}");
        }
        for table in ["{}", "{ hours = \"always\" }", "{ closes = \"2027-02-28T15:00:00Z\" }"] {
            let refused = read(&format!("waitlist = {table}")).unwrap_err();
            assert!(refused.contains("waitlist"), "{refused}");
            assert!(refused.contains("give the session's zone, or both keys"), "{refused}");
        }
    }
}
