//! What sessions and schedules say of a pool that is drawn (摇号).

use jiff::civil::Date;

use super::entry::{Entry, Fault, Field, fault};
use super::moment::{Locale, Moment};
use super::narrow;
use super::subject::minutes_of_day;
use super::words::{MINUTE_MILLIS, WEEK_MINUTES};
use crate::draw::beacon_name;
use crate::model::{Beacon, Draw, DrawHash, Repeat, Session, Timestamp, Ttl};
use crate::ops::civil::Zone;

/// Which kind of document a pool stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ops) enum Kind {
    /// One for single sessions, which says what a node prints of a session too.
    Sessions,
    /// One for sessions that recur, each with a beacon of its own.
    Schedules,
}

/// When entries are taken, what they may say, and from what the draw is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ops) struct DrawRule {
    opens: Moment,
    closes: Until,
    preferences_max: u8,
    hold: Ttl,
    beacon: Option<BeaconRule>,
    commitment: Option<DrawHash>,
}

/// A moment, or so many milliseconds after another one.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Until {
    At(Moment),
    After(String, u64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct BeaconRule {
    name: BeaconName,
    until: Until,
}

/// Which source a beacon has.
#[derive(Clone, Debug, PartialEq, Eq)]
enum BeaconName {
    Text(String),
    /// With `{date}` and `{closes}` in it, which each session fills in.
    Pattern(String),
    /// As a node prints it.
    Hash(DrawHash),
}

impl DrawRule {
    pub(super) fn read(field: Field, kind: Kind) -> Result<Self, Fault> {
        let mut entry = Entry::new(field.place, field.value)?;
        let rule = Self {
            opens: Moment::read(entry.need("opens")?)?,
            closes: Until::read(&mut entry, "closes", "window_minutes", WINDOW_MINUTES_MAX)?
                .ok_or_else(|| entry.fault("needs closes, or window_minutes"))?,
            preferences_max: narrow(entry.number_or("preferences", 1, 8, 3)?),
            hold: minutes_of_day(&mut entry, "hold_minutes")?.unwrap_or(HOLD),
            beacon: BeaconRule::read(&mut entry, kind)?,
            commitment: match kind {
                Kind::Sessions => entry.may("commitment").map(|field| hash(&field)).transpose()?,
                Kind::Schedules => None,
            },
        };
        entry.finish()?;
        Ok(rule)
    }

    /// When entries begin, and the draw, for a session of that date.
    pub(super) fn of(&self, date: Date, locale: Locale<'_>) -> Result<(Timestamp, Draw), Fault> {
        let opens = self.opens.of(date, locale)?;
        let closes = self.closes.of(opens, date, locale)?;
        if closes <= opens {
            return Err(self.closes.fault(&format!("is not after entries begin{}", on(date))));
        }
        let beacon = match &self.beacon {
            Some(BeaconRule { name, until }) => {
                let at = until.of(closes, date, locale)?;
                if at <= closes {
                    return Err(until.fault(&format!("is not after the close{}", on(date))));
                }
                Some(Beacon { name: name.of(date, closes), until: at })
            }
            None => None,
        };
        let draw = Draw {
            closes,
            preferences_max: self.preferences_max,
            ttl: self.hold,
            beacon,
            commitment: self.commitment,
        };
        Ok((opens, draw))
    }

    /// The name of the beacon of a session, where it is known and not only its hash.
    pub(in crate::ops) fn beacon_text(&self, date: Date, closes: Timestamp) -> Option<String> {
        self.beacon.as_ref()?.name.text(date, closes)
    }
}

impl BeaconRule {
    fn read(entry: &mut Entry, kind: Kind) -> Result<Option<Self>, Fault> {
        let text = entry.may("beacon").map(|field| BeaconName::read(&field, kind)).transpose()?;
        let hashed = match kind {
            Kind::Sessions => entry.may("beacon_sha256"),
            Kind::Schedules => None,
        };
        let hashed = hashed.map(|field| hash(&field)).transpose()?.map(BeaconName::Hash);
        let until = Until::read(entry, "beacon_until", "beacon_minutes", WEEK_MINUTES)?;
        match (text, hashed, until) {
            (Some(_), Some(_), _) => {
                Err(entry.fault("has beacon and beacon_sha256; give one of the two"))
            }
            (Some(name), None, Some(until)) | (None, Some(name), Some(until)) => {
                Ok(Some(Self { name, until }))
            }
            (None, None, None) => Ok(None),
            (None, None, Some(_)) => {
                Err(entry.fault("has a deadline for a beacon and names none; give beacon"))
            }
            (_, _, None) => Err(entry.fault(
                "names a beacon, and the draw would wait for it for ever; give beacon_minutes after \
                 the close, or beacon_until",
            )),
        }
    }
}

impl BeaconName {
    fn read(field: &Field, kind: Kind) -> Result<Self, Fault> {
        let text = field.value.as_str().filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| fault(&field.place, "names its source in a text"))?;
        if kind == Kind::Sessions {
            return Ok(Self::Text(text.to_owned()));
        }
        if PARTS.iter().fold(text.to_owned(), |text, part| text.replace(part, "")).contains('{') {
            let reason = format!("is {:?}; what is filled in is {}", text, PARTS.join(" and "));
            return Err(fault(&field.place, &reason));
        }
        Ok(Self::Pattern(text.to_owned()))
    }

    fn of(&self, date: Date, closes: Timestamp) -> DrawHash {
        match self {
            Self::Hash(hash) => *hash,
            Self::Text(_) | Self::Pattern(_) => {
                beacon_name(&self.text(date, closes).unwrap_or_default())
            }
        }
    }

    fn text(&self, date: Date, closes: Timestamp) -> Option<String> {
        match self {
            Self::Hash(_) => None,
            Self::Text(text) => Some(text.clone()),
            Self::Pattern(text) => {
                let [day, close] = PARTS;
                let close_text = Zone::utc().rfc3339(closes).replace("+00:00", "Z");
                Some(text.replace(day, &date.to_string()).replace(close, &close_text))
            }
        }
    }
}

impl Until {
    fn read(
        entry: &mut Entry,
        moment: &'static str,
        minutes: &'static str,
        minutes_max: u64,
    ) -> Result<Option<Self>, Fault> {
        match (entry.may(moment), entry.may(minutes)) {
            (Some(field), None) => Ok(Some(Self::At(Moment::read(field)?))),
            (None, Some(field)) => {
                let millis = field.number(1, minutes_max)? * MINUTE_MILLIS;
                Ok(Some(Self::After(field.place, millis)))
            }
            (None, None) => Ok(None),
            (Some(_), Some(_)) => {
                Err(entry.fault(&format!("has {moment} and {minutes}; give one of the two")))
            }
        }
    }

    fn of(&self, since: Timestamp, date: Date, locale: Locale<'_>) -> Result<Timestamp, Fault> {
        match self {
            Self::At(moment) => moment.of(date, locale),
            Self::After(_, millis) => Ok(since.plus_millis(*millis)),
        }
    }

    fn fault(&self, reason: &str) -> Fault {
        match self {
            Self::At(moment) => moment.fault(reason),
            Self::After(place, _) => fault(place, reason),
        }
    }
}

/// What is wrong between the draws of a session and the rest of it. Who is not drawn waits from then
/// on, and nobody can wait for a place before it is drawn.
pub(super) fn check(session: &Session) -> Result<(), &'static str> {
    let ends = session.terms.booking_ends.unwrap_or(Timestamp::MAX);
    for draw in session.pools.iter().filter_map(|pool| pool.terms.draw) {
        let made = draw.due(false);
        if session.repeat != Repeat::OnePerPatient {
            return Err(
                "has a draw, and a patient has one entry; use repeat = \"one-per-patient\"",
            );
        }
        if session.start < made {
            return Err("is drawn after it has begun; close the draw, and end the wait for its \
                        beacon, before the start");
        }
        if ends <= made {
            return Err(
                "is drawn when booking has ended; close the draw, and end the wait for its \
                        beacon, before booking_ends",
            );
        }
        if session.terms.waitlist.as_ref().is_some_and(|rule| rule.closes_at <= made) {
            return Err(
                "is drawn when its waitlist has closed, so that who is not drawn could not \
                        wait; close the waitlist later, or the draw earlier",
            );
        }
    }
    Ok(())
}

fn on(date: Date) -> String {
    format!(", for the session of {date}")
}

fn hash(field: &Field) -> Result<DrawHash, Fault> {
    let hash = field.value.as_str().unwrap_or_default().parse();
    hash.map_err(|reason| fault(&field.place, reason))
}

/// What a schedule fills into the name of a beacon: the session's date, and the close in UTC.
const PARTS: [&str; 2] = ["{date}", "{closes}"];

/// How long winners have where the document does not say.
const HOLD: Ttl = match Ttl::from_millis(120 * 60_000) {
    Some(hold) => hold,
    None => Ttl::DEFAULT,
};

/// A month.
const WINDOW_MINUTES_MAX: u64 = 31 * 24 * 60;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::document::{DocumentDefaults, DocumentFormat};
    use crate::ops::sessions::{parse, render};

    const OPENS: &str = "opens = \"2027-02-20T08:00:00+08:00\"";

    /// A session on the morning of 1 March 2027 whose pool is drawn.
    fn read(draw: &str, keys: &str) -> Result<Session, String> {
        let text = format!(
            "[[sessions]]\nid = 1\norganization = 1\nsite = 1\ndepartment = 1\nresource = 1\n\
             start = \"2027-03-01T08:00:00+08:00\"\nslot_minutes = 10\nslots = 6\n{keys}\n\
             [[sessions.pools]]\nplaces = 1\n[sessions.pools.draw]\n{draw}"
        );
        let read = parse("s.toml", DocumentFormat::Toml, &text, &DocumentDefaults::default());
        read.map(|mut sessions| sessions.remove(0)).map_err(|error| error.to_string())
    }

    fn draw_of(draw: &str) -> Draw {
        read(&format!("{OPENS}\n{draw}"), "").unwrap().pools.remove(0).terms.draw.unwrap()
    }

    #[test]
    fn a_window_and_a_deadline_are_moments_or_lengths() {
        let whole = Draw {
            closes: Timestamp::from_millis(1_803_168_000_000),
            preferences_max: 3,
            ttl: HOLD,
            beacon: None,
            commitment: None,
        };
        assert_eq!(HOLD.as_millis(), 7_200_000);
        let closes = "closes = \"2027-02-21T08:00:00+08:00\"";
        for said in [closes, "window_minutes = 1440"] {
            assert_eq!(draw_of(said), whole, "{said}");
            let beacon =
                Beacon { name: beacon_name("drand 7"), until: whole.closes.plus_millis(3_600_000) };
            let with = Draw { beacon: Some(beacon), preferences_max: 8, ..whole };
            for until in ["beacon_minutes = 60", "beacon_until = \"2027-02-21T01:00:00Z\""] {
                let text = format!("{said}\npreferences = 8\nbeacon = \"drand 7\"\n{until}");
                assert_eq!(draw_of(&text), with, "{text}");
            }
        }
    }

    #[test]
    fn what_a_node_prints_of_a_draw_is_read_back() {
        let text = "window_minutes = 60\nbeacon = \"drand\"\nbeacon_minutes = 5\n";
        let bound = format!("{text}commitment = \"{}\"", "5a".repeat(32));
        for text in [text, &bound] {
            let session = read(&format!("{OPENS}\n{text}"), "").unwrap();
            let printed = render(&session, &Zone::utc());
            let printed = serde_json::json!({ "sessions": [printed] }).to_string();
            let again = parse("-", DocumentFormat::Json, &printed, &DocumentDefaults::default());
            assert_eq!(again.unwrap(), [session], "{printed}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_draw_is_named() {
        let window = "window_minutes = 60";
        let hash = "beacon_sha256 = \"00\"";
        for (draw, expected) in [
            (OPENS.to_owned(), ".pools[0].draw: needs closes, or window_minutes"),
            (window.to_owned(), ".pools[0].draw.opens: is missing"),
            (
                format!("{OPENS}\n{window}\ncloses = \"2027-02-21T08:00:00Z\""),
                ".pools[0].draw: has closes and window_minutes; give one of the two",
            ),
            (
                format!("{OPENS}\nwindow_minutes = 44641"),
                ".pools[0].draw.window_minutes: is 44641; it takes a number, 1 to 44640",
            ),
            (
                format!("{OPENS}\ncloses = \"2027-02-20T00:00:00Z\""),
                ".pools[0].draw.closes: is not after entries begin, for the session of 2027-03-01",
            ),
            (
                format!("{OPENS}\nwindow_minutes = 12961"),
                ": is drawn after it has begun; close the draw, and end the wait for its beacon, \
                 before the start",
            ),
            (
                format!("{OPENS}\n{window}\npreferences = 9"),
                ".pools[0].draw.preferences: is 9; it takes a number, 1 to 8",
            ),
            (
                format!("{OPENS}\n{window}\nhold_minutes = 1441"),
                ".pools[0].draw.hold_minutes: is 1441; it takes a number, 1 to 1440",
            ),
            (
                format!("{OPENS}\n{window}\nbeacon = \"drand\""),
                ".pools[0].draw: names a beacon, and the draw would wait for it for ever; give bea",
            ),
            (
                format!("{OPENS}\n{window}\nbeacon_minutes = 1"),
                ".pools[0].draw: has a deadline for a beacon and names none; give beacon",
            ),
            (
                format!("{OPENS}\n{window}\nbeacon = \"\"\nbeacon_minutes = 1"),
                ".pools[0].draw.beacon: names its source in a text",
            ),
            (
                format!("{OPENS}\n{window}\n{hash}\nbeacon_minutes = 1"),
                ".pools[0].draw.beacon_sha256: it takes 64 hex digits, in small letters",
            ),
            (
                format!(
                    "{OPENS}\n{window}\nbeacon = \"d\"\nbeacon_until = \"2027-02-20T01:00:00Z\""
                ),
                ".pools[0].draw.beacon_until: is not after the close, for the session of 2027-03-01",
            ),
            (
                format!("{OPENS}\n{window}\ncommitment = 1"),
                ".pools[0].draw.commitment: it takes 64",
            ),
            (
                format!("{OPENS}\n{window}\nseed = 1"),
                ".pools[0].draw.seed: is no key; the keys are",
            ),
        ] {
            let refused = read(&draw, "").unwrap_err();
            assert!(refused.contains(&format!("s.toml: sessions[0]{expected}")), "{refused}");
        }
        for (keys, expected) in [
            (
                "zone = \"Asia/Shanghai\"\nwaitlist = { closes = \"2027-02-20T01:00:00Z\" }",
                "is drawn when its waitlist has closed, so that who is not drawn could not wait; ",
            ),
            ("repeat = \"unlimited\"", "has a draw, and a patient has one entry; use repeat = "),
            (
                "booking_ends = \"2027-02-20T01:00:00Z\"",
                "is drawn when booking has ended; close the draw, and end the wait for its beacon, ",
            ),
        ] {
            let refused = read(&format!("{OPENS}\n{window}"), keys).unwrap_err();
            assert!(refused.starts_with(&format!("s.toml: sessions[0]: {expected}")), "{refused}");
        }
    }
}
