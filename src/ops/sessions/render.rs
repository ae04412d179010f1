//! A session in the words of the session document: what `parse` reads.
//!
//! **Architecture invariant:** what is printed of a session that a document can describe is read back
//! as that session.

use serde_json::{Map, Value, json};

use crate::model::{
    Attendance, ChannelSet, ClassSet, Delay, Draw, LateRule, PickUpWindow, Pool, ReturnRule,
    ServiceHours, Session, Timestamp, WaitlistRule,
};
use crate::ops::civil::Zone;
use crate::ops::document::words::{CLASSES, MINUTE_MILLIS, PICKS, REPEATS, SHARINGS};

/// The session as an entry of a session document, with times as the clocks of a zone show them.
/// What it does not say is left away.
pub fn render(session: &Session, zone: &Zone) -> Value {
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| drop(map.insert(key.to_owned(), value));
    put("id", session.id.0.into());
    put("organization", session.organization.0.into());
    put("site", session.site.0.into());
    put("department", session.department.0.into());
    put("resource", session.resource.0.into());
    put("type", session.appointment_type.into());
    put("start", time(session.start, zone));
    put("slots", session.slot_count().into());
    put("pick", word(&PICKS, &session.pick));
    put("repeat", word(&REPEATS, &session.repeat));
    put("sharing", word(&SHARINGS, &session.sharing));
    put("pools", session.pools.iter().map(|pool| render_pool(pool, zone)).collect());
    let terms = &session.terms;
    if terms.service.0 != 0 {
        put("service", terms.service.0.into());
    }
    if terms.fee != 0 {
        put("fee", terms.fee.into());
    }
    if let Some(ends) = terms.booking_ends {
        put("booking_ends", time(ends, zone));
    }
    if let Some(hours) = &terms.hours {
        put("hours", render_hours(hours, zone));
    }
    if terms.returns != ReturnRule::AtOnce {
        put("returns", render_returns(terms.returns));
    }
    if let Some(rule) = &terms.waitlist {
        put("waitlist", render_waitlist(rule, zone));
    }
    if let Some(attendance) = &terms.attendance {
        put("attendance", render_attendance(attendance, &terms.pick_up_windows, zone));
    }
    if let Some(changes) = terms.changes_max {
        put("changes_max", changes.into());
    }
    put_minutes(&mut map, "slot", session.slot_millis);
    put_minutes(&mut map, "hold", session.ttl_max.as_millis());
    if let Some(lead) = terms.lead_millis {
        put_minutes(&mut map, "lead", lead);
    }
    if let Some(offer) = terms.displaced_offer {
        put_minutes(&mut map, "displaced_offer", offer.as_millis());
    }
    Value::Object(map)
}

fn render_pool(pool: &Pool, zone: &Zone) -> Value {
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| drop(map.insert(key.to_owned(), value));
    if pool.channels != ChannelSet::ALL {
        put("channels", render_channels(pool.channels));
    }
    if pool.classes != ClassSet::ALL {
        let named = CLASSES.iter().filter(|(_, class)| pool.classes.contains(*class));
        put("classes", named.map(|(name, _)| *name).collect());
    }
    let first = pool.quotas.first().copied().unwrap_or_default();
    let all_same = pool.quotas.iter().all(|quota| *quota == first);
    put("places", if all_same { first.into() } else { pool.quotas.clone().into() });
    if pool.terms.draw.is_none() && pool.terms.opens != Timestamp::default() {
        put("opens", time(pool.terms.opens, zone));
    }
    if pool.terms.floor != 0 {
        put("floor", pool.terms.floor.into());
    }
    if let Some(draw) = &pool.terms.draw {
        put("draw", render_draw(draw, pool.terms.opens, zone));
    }
    if let Some(reclaim) = pool.terms.reclaim {
        put("reclaim", json!({ "at": time(reclaim.at, zone), "to": reclaim.to.0 }));
    }
    Value::Object(map)
}

/// A beacon is known by the hash of its name, and a commitment is the node's.
fn render_draw(draw: &Draw, opens: Timestamp, zone: &Zone) -> Value {
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| drop(map.insert(key.to_owned(), value));
    put("opens", time(opens, zone));
    put("closes", time(draw.closes, zone));
    put("preferences", draw.preferences_max.into());
    if let Some(beacon) = draw.beacon {
        put("beacon_sha256", beacon.name.to_string().into());
        put("beacon_until", time(beacon.until, zone));
    }
    if let Some(commitment) = draw.commitment {
        put("commitment", commitment.to_string().into());
    }
    put_minutes(&mut map, "hold", draw.ttl.as_millis());
    Value::Object(map)
}

fn render_channels(channels: ChannelSet) -> Value {
    if channels == ChannelSet::ALL {
        return "all".into();
    }
    (0..u64::BITS).filter(|number| channels.0 >> number & 1 == 1).collect()
}

fn render_waitlist(rule: &WaitlistRule, zone: &Zone) -> Value {
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| drop(map.insert(key.to_owned(), value));
    put("entries", rule.entries_max.into());
    put("closes", time(rule.closes_at, zone));
    put(
        "hours",
        rule.hours.as_ref().map_or_else(|| "always".into(), |hours| render_daily(hours, zone)),
    );
    let classes = CLASSES.iter().map(|(name, class)| (*name, rule.priority_of(*class)));
    let named: Map<String, Value> = classes
        .filter(|(_, priority)| *priority != u8::MAX)
        .map(|(name, priority)| (name.to_owned(), priority.into()))
        .collect();
    if !named.is_empty() {
        put("priority", Value::Object(named));
    }
    for (key, millis) in [
        ("draw", rule.draw_millis),
        ("offer", rule.offer_millis),
        ("near_offer", rule.near_offer_millis),
        ("near", rule.near_millis),
    ] {
        put_minutes(&mut map, key, millis);
    }
    Value::Object(map)
}

fn render_attendance(attendance: &Attendance, windows: &[PickUpWindow], zone: &Zone) -> Value {
    let mut map = Map::new();
    if !windows.is_empty() {
        let window = |window: &PickUpWindow| json!({ "from": time(window.from, zone), "until": time(window.until, zone) });
        map.insert("pick_up_windows".to_owned(), windows.iter().map(window).collect());
    }
    let Attendance { check_in_from, pick_up_until, grace, late_until, late } = *attendance;
    put_minutes(&mut map, "check_in", check_in_from);
    put_minutes(&mut map, "grace", grace);
    put_minutes(&mut map, "late", late_until);
    if let Some(until) = pick_up_until {
        let minute = i32::try_from(MINUTE_MILLIS).unwrap_or(i32::MAX);
        let is_whole = until % minute == 0;
        let key = if is_whole { "pick_up_minutes" } else { "pick_up_ms" };
        map.insert(key.to_owned(), (if is_whole { until / minute } else { until }).into());
    }
    if let LateRule::Every(on_time) = late {
        map.insert("late_every".to_owned(), on_time.into());
    }
    Value::Object(map)
}

/// Hours with the channels that they bind.
fn render_hours(hours: &ServiceHours, zone: &Zone) -> Value {
    let mut rendered = render_daily(hours, zone);
    rendered["channels"] = render_channels(hours.channels);
    rendered
}

fn render_daily(hours: &ServiceHours, zone: &Zone) -> Value {
    let offset = |(since, minutes): &(Timestamp, i16)| json!({ "since": time(*since, zone), "minutes": minutes });
    json!({
        "from": clock(hours.from),
        "to": clock(hours.to),
        "offsets": hours.offsets.iter().map(offset).collect::<Vec<_>>(),
    })
}

fn render_returns(rule: ReturnRule) -> Value {
    let with = |rule: &str, delay: Delay| {
        let mut map = Map::new();
        map.insert("rule".to_owned(), rule.into());
        put_minutes(&mut map, "min", delay.min_millis);
        put_minutes(&mut map, "max", delay.max_millis);
        Value::Object(map)
    };
    match rule {
        ReturnRule::AtOnce => "at-once".into(),
        ReturnRule::Delayed(delay) => with("delayed", delay),
        ReturnRule::WaitlistFirst(delay) => with("waitlist-first", delay),
        ReturnRule::Withheld => "withheld".into(),
    }
}

/// `lead_minutes`, or `lead_ms` where it is no whole minute, which no document can say.
fn put_minutes(map: &mut Map<String, Value>, key: &str, millis: u32) {
    let minute = u32::try_from(MINUTE_MILLIS).unwrap_or(u32::MAX);
    let (key, number) = if millis.is_multiple_of(minute) {
        (format!("{key}_minutes"), millis / minute)
    } else {
        (format!("{key}_ms"), millis)
    };
    map.insert(key, number.into());
}

fn word<T: PartialEq>(words: &[(&str, T)], value: &T) -> Value {
    words.iter().find(|(_, known)| known == value).map_or(Value::Null, |(name, _)| (*name).into())
}

fn time(time: Timestamp, zone: &Zone) -> Value {
    zone.rfc3339(time).into()
}

fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ServiceId;
    use crate::ops::document::{DocumentDefaults, DocumentFormat};
    use crate::ops::schedule::{PlanSpan, Schedules};
    use crate::ops::sessions::parse;

    fn sessions() -> Vec<Session> {
        let (format, defaults) = (DocumentFormat::Toml, DocumentDefaults::default());
        let opened = include_str!("../../../docs/examples/sessions.toml");
        let mut sessions = parse("sessions", format, opened, &defaults).unwrap();
        // The clocks change three times while they may be booked, and all terms are there.
        for text in [
            include_str!("../../../docs/examples/schedule.toml"),
            include_str!("../../../docs/examples/schedule-draw.toml"),
            include_str!("../../../docs/examples/schedule-waitlist.toml"),
        ] {
            let text = text
                .replace("workdays_before", "days_before")
                .replace("\"workdays\"", "\"tuesday\"")
                .replace("Asia/Shanghai", "America/New_York");
            let schedules = Schedules::parse("schedule", format, &text, &defaults).unwrap();
            let from = Some(jiff::civil::date(2026, 11, 10));
            let span = PlanSpan { from, days: Some(3), now: Timestamp::default() };
            let planned = schedules.plan(None, &span).unwrap();
            sessions.extend(planned.into_iter().map(|planned| planned.session));
        }
        sessions
    }

    #[test]
    fn what_is_printed_of_a_session_is_read_back_as_that_session() {
        let sessions = sessions();
        assert_eq!(sessions.len(), 9);
        for zone in ["Asia/Shanghai", "Europe/Berlin", "UTC"] {
            let zone = Zone::named(zone).unwrap();
            let printed = sessions.iter().map(|session| render(session, &zone));
            let printed = json!({ "sessions": printed.collect::<Vec<_>>() }).to_string();
            let (format, defaults) = (DocumentFormat::Json, DocumentDefaults::default());
            assert_eq!(parse("-", format, &printed, &defaults).unwrap(), sessions, "{printed}");
        }
    }

    #[test]
    fn what_no_document_can_say_is_printed_under_another_key() {
        let mut session = sessions().remove(0);
        session.slot_millis = 90_500;
        session.terms.lead_millis = Some(1);
        session.terms.service = ServiceId(0);
        let printed = render(&session, &Zone::utc());
        assert_eq!((&printed["slot_ms"], &printed["lead_ms"]), (&90_500.into(), &1.into()));
        for absent in ["slot_minutes", "lead_minutes", "service"] {
            assert_eq!(printed.get(absent), None, "{absent}");
        }
    }
}
