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
/// pool when their time had come (回收) are as described.
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
        let text = |session: &Session| Some(Value::from(format!("{:?}", session.terms)));
        let (document, node) = (text(&described), text(found));
        differences.push(Difference { key: "terms".to_owned(), document, node });
    }
    differences
}

/// The session after what was due to be reclaimed, if the node has places that fit it.
fn as_reclaimed(described: &Session, found: &Session, now: Timestamp) -> Session {
    let mut session = described.clone();
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
