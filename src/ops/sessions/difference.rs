//! What a session on a node has otherwise than its document.

use serde_json::Value;

use super::render::render;
use crate::model::{Pool, Session, SlotIndex, Timestamp};
use crate::ops::civil::Zone;

/// A key that document and node do not agree on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which, as in `pools[0].places`.
    pub key: String,
    /// What the document says; `None` where it says nothing.
    pub document: Option<Value>,
    /// What the node has.
    pub node: Option<Value>,
}

/// Compares a session as described with what the node has at a time. Places that went to another
/// pool when their time had come (回收) are as described, and so is what the node bound a draw to.
pub fn differences(
    described: &Session,
    found: &Session,
    zone: &Zone,
    now: Timestamp,
) -> Vec<Difference> {
    if described == found {
        return Vec::new();
    }
    let described = as_reclaimed(described, found, now);
    if described == *found {
        return Vec::new();
    }
    let mut differences = Vec::new();
    compare("", Some(&render(&described, zone)), Some(&render(found, zone)), &mut differences);
    if differences.is_empty() {
        // Terms that no document can say, from a client of its own.
        let text = |session: &Session| {
            let pools: Vec<_> =
                session.pools.iter().map(|pool| (pool.classes, pool.terms)).collect();
            Some(Value::from(format!("{:?} {pools:?}", session.terms)))
        };
        let (document, node) = (text(&described), text(found));
        differences.push(Difference { key: "terms".to_owned(), document, node });
    }
    differences
}

/// The session after what was due to be reclaimed, if the node has places that fit it.
fn as_reclaimed(described: &Session, found: &Session, now: Timestamp) -> Session {
    let mut session = described.clone();
    for (pool, there) in session.pools.iter_mut().zip(&found.pools) {
        // The node binds itself to a draw; no document says to what.
        if let (Some(draw), Some(there)) = (&mut pool.terms.draw, there.terms.draw) {
            draw.commitment = draw.commitment.or(there.commitment);
        }
    }
    if found.pools.len() != session.pools.len() || found.slot_count() != session.slot_count() {
        return session;
    }
    let mut moved = vec![false; session.pools.len()];
    for (index, (pool, there)) in session.pools.iter_mut().zip(&found.pools).enumerate() {
        let due = pool.terms.reclaim.filter(|reclaim| reclaim.at <= now);
        if let (Some(reclaim), None) = (due, there.terms.reclaim) {
            pool.terms.reclaim = None;
            for index in [index, usize::from(reclaim.to.0)] {
                moved.get_mut(index).into_iter().for_each(|moved| *moved = true);
            }
        }
    }
    if same_sums(&session, found, &moved) {
        let pools = session.pools.iter_mut().zip(&found.pools).zip(moved);
        for ((pool, there), _) in pools.filter(|(_, moved)| *moved) {
            pool.quotas.clone_from(&there.quotas);
        }
    }
    session
}

/// Whether the pools between which places moved have as many in each slot as before.
fn same_sums(described: &Session, found: &Session, moved: &[bool]) -> bool {
    let sum = |pools: &[Pool], slot: u16| {
        let pools = pools.iter().zip(moved).filter(|(_, moved)| **moved);
        let quota = |pool: &Pool| pool.quotas.get(usize::from(slot)).copied().map_or(0, u32::from);
        pools.map(|(pool, _)| quota(pool)).sum::<u32>()
    };
    let slots = (0..).take(described.slot_count()).map(SlotIndex);
    slots.into_iter().all(|SlotIndex(slot)| sum(&described.pools, slot) == sum(&found.pools, slot))
}

fn compare(key: &str, document: Option<&Value>, node: Option<&Value>, list: &mut Vec<Difference>) {
    if document == node {
        return;
    }
    match (document, node) {
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            let added = other.keys().filter(|key| !one.contains_key(*key));
            for name in one.keys().chain(added) {
                let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                compare(&key, one.get(name), other.get(name), list);
            }
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) if key == "pools" => {
            for index in 0..one.len().max(other.len()) {
                let key = format!("{key}[{index}]");
                compare(&key, one.get(index), other.get(index), list);
            }
        }
        _ => {
            let (document, node) = (document.cloned(), node.cloned());
            list.push(Difference { key: key.to_owned(), document, node });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        Attendance, Beacon, Draw, DrawHash, LateRule, ServiceId, Ttl, WaitlistRule,
    };
    use crate::ops::document::{DocumentDefaults, DocumentFormat};
    use crate::ops::sessions::parse;

    fn sessions() -> Vec<Session> {
        let text = include_str!("../../../docs/examples/sessions.toml");
        parse("s", DocumentFormat::Toml, text, &DocumentDefaults::default()).unwrap()
    }

    /// Three pools; the second one's places go to the first on 28 February 2027 at 12:00.
    fn session() -> Session {
        sessions().remove(0)
    }

    fn rule(session: &mut Session) -> &mut WaitlistRule {
        session.terms.waitlist.as_mut().unwrap()
    }

    fn attendance(session: &mut Session) -> &mut Attendance {
        session.terms.attendance.as_mut().unwrap()
    }

    fn keys_of(described: &Session, found: &Session) -> Vec<String> {
        let differences = differences(described, found, &Zone::utc(), Timestamp::default());
        differences.into_iter().map(|difference| difference.key).collect()
    }

    fn reclaim_time() -> Timestamp {
        session().pools[1].terms.reclaim.unwrap().at
    }

    fn keys(found: &Session, now: Timestamp) -> Vec<String> {
        let zone = Zone::named("Asia/Shanghai").unwrap();
        let differences = differences(&session(), found, &zone, now);
        differences.into_iter().map(|difference| difference.key).collect()
    }

    #[test]
    fn a_difference_names_the_key_of_the_document() {
        type Change = fn(&mut Session);
        let changes: [(Change, &[&str]); 9] = [
            (|_| {}, &[]),
            (|session| session.terms.fee = 1, &["fee"]),
            (|session| session.terms.service = ServiceId(0), &["service"]),
            (|session| session.start = session.start.plus_millis(60_000), &["start"]),
            (|session| session.slot_millis = 61, &["slot_minutes", "slot_ms"]),
            (|session| session.pools[1].quotas[3] = 9, &["pools[1].places"]),
            (|session| session.pools[0].terms.floor = 0, &["pools[0].floor"]),
            (|session| session.pools[1].terms.reclaim = None, &["pools[1].reclaim"]),
            (|session| session.pools.truncate(2), &["pools[2]"]),
        ];
        for (change, expected) in changes {
            let mut found = session();
            change(&mut found);
            let before = reclaim_time().minus_millis(1);
            assert_eq!(keys(&found, before), expected);
        }
    }

    #[test]
    fn a_difference_of_a_draw_or_a_waitlist_names_its_key() {
        type Change = fn(&mut Session);
        let drawn = |session: &mut Session, change: fn(&mut Draw)| {
            change(session.pools[2].terms.draw.as_mut().unwrap());
        };
        let said = sessions();
        let mut drawn_ones = vec![said[0].clone(); 5];
        drawn(&mut drawn_ones[0], |draw| draw.commitment = Some(DrawHash([7; 32])));
        drawn(&mut drawn_ones[1], |draw| draw.closes = draw.closes.plus_millis(1));
        drawn(&mut drawn_ones[2], |draw| draw.preferences_max = 1);
        drawn(&mut drawn_ones[3], |draw| draw.ttl = Ttl::DEFAULT);
        drawn(&mut drawn_ones[4], |draw| {
            let until = draw.closes.plus_millis(1);
            draw.beacon = Some(Beacon { name: DrawHash([7; 32]), until });
        });
        let expected: [&[&str]; 5] = [
            &[],
            &["pools[2].draw.closes"],
            &["pools[2].draw.preferences"],
            &["pools[2].draw.hold_minutes"],
            &["pools[2].draw.beacon_sha256", "pools[2].draw.beacon_until"],
        ];
        for (found, expected) in drawn_ones.iter().zip(expected) {
            assert_eq!(keys_of(&said[0], found), expected);
        }
        let attended: [(Change, &str); 6] = [
            (|session| session.terms.attendance = None, "attendance"),
            (|session| attendance(session).grace = 0, "attendance.grace_minutes"),
            (|session| attendance(session).late_until = 3_540_000, "attendance.late_minutes"),
            (|session| attendance(session).pick_up_until = Some(0), "attendance.pick_up_minutes"),
            (|session| attendance(session).late = LateRule::Every(9), "attendance.late_every"),
            (|session| session.terms.pick_up_windows.clear(), "attendance.pick_up_windows"),
        ];
        let changes: [(Change, &str); 9] = [
            (|session| session.terms.waitlist = None, "waitlist"),
            (|session| rule(session).entries_max = 1, "waitlist.entries"),
            (|session| rule(session).priority[3] = 2, "waitlist.priority.emergency"),
            (|session| rule(session).draw_millis = 0, "waitlist.draw_minutes"),
            (|session| rule(session).offer_millis = 60_000, "waitlist.offer_minutes"),
            (|session| rule(session).near_offer_millis = 60_000, "waitlist.near_offer_minutes"),
            (|session| rule(session).near_millis = 60_000, "waitlist.near_minutes"),
            (|session| rule(session).hours = None, "waitlist.hours"),
            (|session| rule(session).closes_at = Timestamp::MAX, "waitlist.closes"),
        ];
        for (change, key) in attended.into_iter().chain(changes) {
            let mut found = said[2].clone();
            change(&mut found);
            assert_eq!(keys_of(&said[2], &found), [key]);
        }
    }

    #[test]
    fn places_that_were_reclaimed_in_time_are_no_difference() {
        let due = reclaim_time();
        let mut found = session();
        found.pools[1].terms.reclaim = None;
        found.pools[1].quotas[0] -= 1;
        found.pools[0].quotas[0] += 1;
        let reclaimed = found.clone();
        assert!(keys(&found, due).is_empty());
        let early = ["pools[0].places", "pools[1].places", "pools[1].reclaim"];
        assert_eq!(keys(&found, due.minus_millis(1)), early, "before the time");
        found.pools[0].quotas[0] += 1;
        assert_eq!(keys(&found, due), ["pools[0].places", "pools[1].places"], "a place too many");
        let mut elsewhere = reclaimed;
        elsewhere.terms.fee = 1;
        assert_eq!(keys(&elsewhere, due), ["fee"]);
    }

    #[test]
    fn what_no_document_can_say_is_a_difference_too() {
        let mut found = session();
        // The names of documents have no such class.
        found.pools[1].classes.0 |= 1 << 7;
        assert_eq!(keys(&found, reclaim_time().minus_millis(1)), ["terms"]);
    }
}
