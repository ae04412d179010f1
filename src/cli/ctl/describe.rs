//! A session in words: for people who answer for it.

use crate::model::limits::SESSION_SLOTS_MAX;
use crate::model::{
    Attendance, ChannelSet, ClassSet, Delay, Draw, LateRule, Pick, Pool, Repeat, ReturnRule,
    ServiceHours, Session, Sharing, Timestamp, WaitlistRule,
};
use crate::ops::civil::Zone;
use crate::ops::sessions::CLASSES;

/// From when to when, in local time: `2026-09-01 08:00-12:00, 24 slots of 10 minutes`.
pub(super) fn period(session: &Session, zone: &Zone) -> String {
    let slots = session.slot_count().min(SESSION_SLOTS_MAX);
    let end = session.start.plus_millis(u64::from(session.slot_millis) * slots as u64);
    let (from, to) = (zone.show(session.start), zone.show(end));
    let same_day = from.get(..11).filter(|day| to.starts_with(day));
    let to = same_day.and_then(|day| to.strip_prefix(day)).unwrap_or(&to);
    let length = duration(session.slot_millis);
    format!("{from}-{to}, {slots} slot{} of {length}", plural(slots))
}

/// The places of all pools.
pub(super) fn places(session: &Session) -> u64 {
    session.pools.iter().map(pool_places).sum()
}

/// The places of a pool.
pub(super) fn pool_places(pool: &Pool) -> u64 {
    pool.quotas.iter().map(|quota| u64::from(*quota)).sum()
}

/// When how many places open: `34 open 2026-08-27 07:00, 29 are open from the start`.
pub(super) fn openings(session: &Session, zone: &Zone) -> String {
    let mut waves: Vec<(Timestamp, Option<Timestamp>, u64)> = Vec::new();
    for pool in &session.pools {
        let (opens, places) = (pool.terms.opens, pool_places(pool));
        let closes = pool.terms.draw.map(|draw| draw.closes);
        match waves.iter_mut().find(|wave| (wave.0, wave.1) == (opens, closes)) {
            Some((_, _, sum)) => *sum += places,
            None => waves.push((opens, closes, places)),
        }
    }
    waves.sort_unstable();
    let wave = |(opens, closes, places): &(Timestamp, Option<Timestamp>, u64)| match closes {
        Some(closes) => {
            format!("{places} by draw {} to {}", zone.show(*opens), zone.show(*closes))
        }
        None if opens.as_millis() == 0 => format!("{places} at once"),
        None => format!("{places} at {}", zone.show(*opens)),
    };
    waves.iter().map(wave).collect::<Vec<_>>().join(", ")
}

/// Everything that a session says besides its places, a line each.
pub(super) fn terms(session: &Session, zone: &Zone) -> Vec<String> {
    let terms = &session.terms;
    let mut lines = vec![format!(
        "organization {}, site {}, department {}, resource {}, type {}",
        session.organization.0,
        session.site.0,
        session.department.0,
        session.resource.0,
        session.appointment_type
    )];
    if terms.service.0 != 0 || terms.fee != 0 {
        let fee = format!("{}.{:02}", terms.fee / 100, terms.fee % 100);
        lines.push(format!("service {}, fee {fee}", terms.service.0));
    }
    lines.push(rules(session));
    if let Some(ends) = terms.booking_ends {
        lines.push(format!("booking ends {}", zone.show(ends)));
    }
    if let Some(lead) = terms.lead_millis {
        lines.push(format!("a slot can be booked until {} before it begins", duration(lead)));
    }
    lines.extend(terms.hours.as_ref().map(hours));
    if terms.returns != ReturnRule::AtOnce {
        lines.push(returns(terms.returns));
    }
    if let Some(rule) = &terms.waitlist {
        lines.extend(waitlist(rule));
        lines.push(format!("waitlist closes {}", zone.show(rule.closes_at)));
    }
    lines.extend(terms.attendance.as_ref().map(attendance));
    lines.extend(terms.pick_up_windows.iter().map(|window| {
        format!("numbers are picked up {} to {}", zone.show(window.from), zone.show(window.until))
    }));
    if let Some(changes) = terms.changes_max {
        lines.push(format!("an appointment can be moved {changes} times by its patient"));
    }
    if let Some(offer) = terms.displaced_offer {
        let time = duration(offer.as_millis());
        lines.push(format!("who is displaced is offered another place for {time}"));
    }
    lines
}

fn rules(session: &Session) -> String {
    let pick = match session.pick {
        Pick::Earliest => "the earliest slot first",
        Pick::Even => "slots filled evenly",
    };
    let repeat = match session.repeat {
        Repeat::OnePerPatient => "one appointment for each patient",
        Repeat::Unlimited => "any number for each patient",
    };
    let sharing = match session.sharing {
        Sharing::Own => "other channels see nothing",
        Sharing::Read => "other channels may look",
        Sharing::Cancel => "other channels may cancel",
    };
    let hold = duration(session.ttl_max.as_millis());
    format!("{pick}; {repeat}; {sharing}; held for up to {hold}")
}

/// Who may wait in which order, and how places are offered to them.
fn waitlist(rule: &WaitlistRule) -> [String; 2] {
    let mut classes = CLASSES.map(|(name, class)| (rule.priority_of(class), name));
    classes.sort_by_key(|(priority, _)| *priority);
    let groups = classes.chunk_by(|(one, _), (other, _)| one == other);
    let group = |group: &[(u8, &str)]| {
        group.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(" and ")
    };
    let groups: Vec<String> = groups.map(group).collect();
    let first = match &groups[..] {
        [_] => String::new(),
        groups => format!("; {}", groups.join(" before ")),
    };
    let draw = match rule.draw_millis {
        0 => "in the order of joining".to_owned(),
        millis => format!("drawn among who joins within {} of the first", duration(millis)),
    };
    let hours = match &rule.hours {
        Some(hours) => format!("made {}-{}", clock(hours.from), clock(hours.to)),
        None => "made at any hour".to_owned(),
    };
    [
        format!("waitlist of {}, {draw}{first}", rule.entries_max),
        format!(
            "offers last {}, {} where the visit is within {}, {hours}",
            duration(rule.offer_millis),
            duration(rule.near_offer_millis),
            duration(rule.near_millis)
        ),
    ]
}

/// When patients may come, and what becomes of the late.
fn attendance(attendance: &Attendance) -> String {
    let Attendance { check_in_from, pick_up_until, grace, late_until, late } = *attendance;
    let pick_up = match pick_up_until {
        None => String::new(),
        Some(0) => "picked up by the start; ".to_owned(),
        Some(until) => {
            let side = if until < 0 { "before" } else { "after" };
            format!("picked up by {} {side} the start; ", duration(until.unsigned_abs()))
        }
    };
    let late = match late {
        LateRule::EndOfSegment => "called at the end of the slot".to_owned(),
        LateRule::Every(1) => "called by turns with who is on time".to_owned(),
        LateRule::Every(on_time) => format!("one called after {on_time} on time"),
    };
    let from = duration(check_in_from);
    format!(
        "{pick_up}check-in from {from} before the start, on time for {} after it, late for {}: {late}",
        duration(grace),
        duration(late_until)
    )
}

/// What a draw is, without its places.
fn draw(draw: &Draw, opens: Timestamp, zone: &Zone) -> String {
    let mut parts = vec![
        format!("drawn among entries from {} to {}", zone.show(opens), zone.show(draw.closes)),
        format!("up to {} slots ranked", draw.preferences_max),
        format!("winners have {}", duration(draw.ttl.as_millis())),
    ];
    if let Some(beacon) = draw.beacon {
        parts.push(format!("beacon awaited until {}", zone.show(beacon.until)));
    }
    if let Some(commitment) = draw.commitment {
        parts.push(format!("commitment {commitment}"));
    }
    parts.join(", ")
}

fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

fn hours(hours: &ServiceHours) -> String {
    let offset = |(_, minutes): &(Timestamp, i16)| {
        let sign = if *minutes < 0 { '-' } else { '+' };
        format!("{sign}{}", clock(minutes.unsigned_abs()))
    };
    let offsets = hours.offsets.iter().map(offset).collect::<Vec<_>>().join(", then ");
    let channels = channels(hours.channels);
    format!("booked {}-{} (UTC{offsets}) through {channels}", clock(hours.from), clock(hours.to))
}

fn returns(rule: ReturnRule) -> String {
    let between = |delay: Delay| {
        format!("after {} to {}", duration(delay.min_millis), duration(delay.max_millis))
    };
    match rule {
        ReturnRule::AtOnce => "a freed place can be booked again at once".to_owned(),
        ReturnRule::Delayed(delay) => format!("a freed place comes back {}", between(delay)),
        ReturnRule::WaitlistFirst(delay) => {
            format!("a freed place goes to the waitlist; if nobody waits, back {}", between(delay))
        }
        ReturnRule::Withheld => "a freed place does not come back".to_owned(),
    }
}

/// A pool in a line, without what is taken.
pub(super) fn pool(index: usize, pool: &Pool, zone: &Zone) -> String {
    let mut parts = vec![format!("{} places", pool_places(pool)), channels(pool.channels)];
    if pool.classes != ClassSet::ALL {
        let named = CLASSES.iter().filter(|(_, class)| pool.classes.contains(*class));
        let named = named.map(|(name, _)| *name).collect::<Vec<_>>().join(" and ");
        parts.push(format!("for {named}"));
    }
    match &pool.terms.draw {
        Some(terms) => parts.push(draw(terms, pool.terms.opens, zone)),
        None if pool.terms.opens == Timestamp::default() => {}
        None => parts.push(format!("opens {}", zone.show(pool.terms.opens))),
    }
    if pool.terms.floor != 0 {
        parts.push(format!("never below {}", pool.terms.floor));
    }
    if let Some(reclaim) = pool.terms.reclaim {
        parts.push(format!("unused to pool {} at {}", reclaim.to.0, zone.show(reclaim.at)));
    }
    format!("pool {index}: {}", parts.join(", "))
}

fn channels(channels: ChannelSet) -> String {
    if channels == ChannelSet::ALL {
        return "every channel".to_owned();
    }
    let numbers: Vec<String> = (0..u64::BITS)
        .filter(|number| channels.0 >> number & 1 == 1)
        .map(|number| number.to_string())
        .collect();
    format!("channel{} {}", plural(numbers.len()), numbers.join(" "))
}

/// `24 hours`, `10 minutes`, `90 s`, `1500 ms`.
fn duration(millis: u32) -> String {
    match millis {
        60_000 => "1 minute".to_owned(),
        _ if 7_200_000 <= millis && millis.is_multiple_of(3_600_000) => {
            format!("{} hours", millis / 3_600_000)
        }
        _ if millis.is_multiple_of(60_000) => format!("{} minutes", millis / 60_000),
        _ if millis.is_multiple_of(1_000) => format!("{} s", millis / 1_000),
        _ => format!("{millis} ms"),
    }
}

/// The ending of a word for so many.
pub(super) const fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
