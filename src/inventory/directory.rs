//! Where to look for places like another one: sessions by resource, and by kind of visit; and where
//! and when the visits of each are.
//!
//! **Architecture invariant:** derived, and off the hot path: written when a session is opened or gets
//! another resource, read by who looks for alternatives. No guard is held while something else is
//! locked or looked up.

use std::collections::BTreeMap;
use std::hash::Hash;

use dashmap::DashMap;
use foldhash::fast::FixedState;

use crate::model::{DepartmentId, OrganizationId, ResourceId, Session, SessionId, Stay, Timestamp};

/// Sessions by their beginning, with their resources.
type Row = BTreeMap<(Timestamp, SessionId), ResourceId>;
type Rows<K> = DashMap<K, Row, FixedState>;

/// Sessions by resource, and by organization, department and appointment type.
#[derive(Debug)]
pub(super) struct Directory {
    by_resource: Rows<(OrganizationId, ResourceId)>,
    by_kind: Rows<(OrganizationId, DepartmentId, u8)>,
    stays: DashMap<SessionId, Stay, FixedState>,
}

/// A session that may have places like another one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) session: SessionId,
    pub(super) resource: ResourceId,
    /// Whether it has the same resource.
    pub(super) is_same: bool,
}

/// Sessions of each kind that one search looks at: two weeks of half-days, either way.
const LOOKED_AT_MAX: usize = 48;

/// A session that began longer ago has no slot that lies ahead, or is no visit to move to.
const LOOK_BACK_MILLIS: u64 = 24 * 60 * 60 * 1_000;

impl Directory {
    pub(super) fn new(hasher: FixedState) -> Self {
        let shards = 64;
        Self {
            by_resource: DashMap::with_hasher_and_shard_amount(hasher.clone(), shards),
            by_kind: DashMap::with_hasher_and_shard_amount(hasher.clone(), shards),
            stays: DashMap::with_hasher_and_shard_amount(hasher, shards),
        }
    }

    /// Where and when the visits of a session are.
    pub(super) fn stay(&self, session: SessionId) -> Option<Stay> {
        self.stays.get(&session).map(|stay| *stay)
    }

    /// Adds a session, or tells its new resource.
    pub(super) fn insert(&self, session: &Session, before: Option<ResourceId>) {
        let key = (session.start, session.id);
        self.stays.insert(session.id, Stay::of(session));
        let Session { organization, department, resource, appointment_type, .. } = *session;
        if let Some(mut row) =
            before.and_then(|before| self.by_resource.get_mut(&(organization, before)))
        {
            row.remove(&key);
        }
        self.by_resource.entry((organization, resource)).or_default().insert(key, resource);
        let kind = (organization, department, appointment_type);
        self.by_kind.entry(kind).or_default().insert(key, resource);
    }

    /// Sessions near an instant that are like a session: of its resource first, then of its kind.
    pub(super) fn near(
        &self,
        session: &Session,
        around: Timestamp,
        now: Timestamp,
    ) -> Vec<Candidate> {
        let Session { organization, department, resource, appointment_type, .. } = *session;
        let kind = (organization, department, appointment_type);
        let mut found = nearest(&self.by_resource, &(organization, resource), around, now);
        found.extend(
            nearest(&self.by_kind, &kind, around, now)
                .into_iter()
                .filter(|(_, other)| *other != resource),
        );
        let candidate =
            |(session, other)| Candidate { session, resource: other, is_same: other == resource };
        found.into_iter().map(candidate).collect()
    }
}

/// The sessions of a row whose beginnings are nearest to an instant.
fn nearest<K: Eq + Hash>(
    rows: &Rows<K>,
    key: &K,
    around: Timestamp,
    now: Timestamp,
) -> Vec<(SessionId, ResourceId)> {
    let Some(row) = rows.get(key) else { return Vec::new() };
    let oldest = now.minus_millis(LOOK_BACK_MILLIS);
    let middle = (around.max(oldest), SessionId(0));
    let later = row.range(middle..).take(LOOKED_AT_MAX);
    let earlier = row.range((oldest, SessionId(0))..middle).rev().take(LOOKED_AT_MAX);
    let mut found: Vec<_> = later.chain(earlier).collect();
    found.sort_unstable_by_key(|((start, session), _)| {
        (start.as_millis().abs_diff(around.as_millis()), *session)
    });
    found.truncate(LOOKED_AT_MAX);
    found.into_iter().map(|((_, session), resource)| (*session, *resource)).collect()
}
