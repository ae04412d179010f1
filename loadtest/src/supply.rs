//! The sessions that a run books from: opened over the wire, counted before and after.
//!
//! ```text
//! uniform: 12,500 sessions x 40 slots x 20 places       hot: one at a time, 288 x 10,000 places
//! ```

use haoyuan::client::Lane;
use haoyuan::model::{
    BookingChannel, ChannelSet, ClassSet, DepartmentId, OpenSession, OrganizationId, PatientClass,
    Pick, Pool, PoolTerms, Query, Reading, Repeat, RequestId, ResourceId, Session, SessionId,
    SessionTerms, Sharing, SiteId, Timestamp, Ttl,
};
use haoyuan::protocol::{Reply, Request};

use crate::pipeline::pipeline;
use crate::random::mix;
use crate::{Failure, clock};

/// What is opened: equal sessions with numbers that no other run uses.
#[derive(Clone, Debug)]
pub(crate) struct Supply {
    /// The id of the first session; the others follow.
    pub(crate) first: u64,
    /// How many.
    pub(crate) sessions: u32,
    /// Slots of each.
    pub(crate) slots: u32,
    /// Places of each slot.
    pub(crate) quota: u16,
    /// Which slot a hold for any slot gets.
    pub(crate) pick: Pick,
}

/// Sessions start a day ahead: no slot is over in the middle of a run.
const AHEAD_MILLIS: u64 = 24 * 3_600_000;

/// Slots of five minutes.
const SLOT_MILLIS: u32 = 5 * 60_000;

impl Supply {
    /// Sessions that are not opened yet.
    pub(crate) fn new(sessions: u32, slots: u32, quota: u16) -> Self {
        // Milliseconds × 65,536: runs differ, and so do the sessions within a run.
        let first = clock::wall().as_millis() << 16;
        Self { first, sessions, slots, quota, pick: Pick::Earliest }
    }

    /// Places of all sessions.
    pub(crate) fn places(&self) -> u64 {
        self.slot_count() as u64 * u64::from(self.quota)
    }

    /// Slots of all sessions.
    pub(crate) const fn slot_count(&self) -> usize {
        self.sessions as usize * self.slots as usize
    }

    /// Describes a session.
    pub(crate) fn session(&self, index: u32, now: Timestamp) -> Session {
        Session {
            id: SessionId(self.first + u64::from(index)),
            organization: OrganizationId(1 + index % 50),
            site: SiteId(1),
            department: DepartmentId(1 + index % 1_000),
            resource: ResourceId(u64::from(index)),
            appointment_type: 1,
            start: now.plus_millis(AHEAD_MILLIS),
            slot_millis: SLOT_MILLIS,
            pick: self.pick,
            repeat: Repeat::OnePerPatient,
            sharing: Sharing::Cancel,
            ttl_max: Ttl::from_millis(haoyuan::model::limits::TTL_MILLIS_MAX)
                .unwrap_or(Ttl::DEFAULT),
            terms: SessionTerms::default(),
            pools: vec![Pool {
                channels: ChannelSet::ALL,
                classes: ClassSet::ALL,
                quotas: vec![self.quota; self.slots as usize],
                terms: PoolTerms::default(),
            }],
        }
    }

    /// Opens all sessions, in the role of an admin.
    pub(crate) async fn open(&self, lane: &mut Lane) -> Result<(), Failure> {
        let now = clock::wall();
        let make = |index| {
            // Sessions have numbers of their own: what follows from them is unique enough.
            let session = self.session(index, now);
            let random = u128::from(mix(session.id.0)) | u128::from(index) << 62;
            OpenSession { request: RequestId::from_parts(now, random), session }.into()
        };
        let take = |index, reply| match reply {
            Reply::Receipt(_) => Ok(()),
            other => Err(format!("session {index} was not opened: {other:?}").into()),
        };
        pipeline(lane, self.sessions, make, take).await
    }

    /// Free places of every slot, session by session.
    pub(crate) async fn free(&self, lane: &mut Lane) -> Result<Vec<u16>, Failure> {
        let mut free = vec![0; self.slot_count()];
        let make = |index| {
            Request::from(Query::Availability {
                session: SessionId(self.first + u64::from(index)),
                channel: BookingChannel::default(),
                class: PatientClass::Outpatient,
            })
        };
        let slots = self.slots as usize;
        let take = |index: u32, reply| {
            let Reply::Reading(Reading::Availability(availability)) = reply else {
                return Err(format!("session {index} cannot be read: {reply:?}").into());
            };
            let at = index as usize * slots;
            free[at..at + slots].copy_from_slice(&availability.free);
            Ok(())
        };
        pipeline(lane, self.sessions, make, take).await?;
        Ok(free)
    }
}
