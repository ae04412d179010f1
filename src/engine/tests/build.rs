//! Commands with what a test does not care about filled in.

use crate::draw::NodeKey;
use crate::model::{
    Action, AppointmentId, BookingChannel, Change, ChannelSet, ClaimRequest, ClassSet,
    DepartmentId, Draw, Hold, OpenSession, OrganizationId, PatientClass, PatientId, Pick, Pool,
    PoolTerms, Repeat, RequestId, ResourceId, Session, SessionId, SessionTerms, Sharing, SiteId,
    SlotChoice, SlotIndex, Timestamp, Ttl,
};

/// 08:00 of a day: when tests begin.
pub(crate) const MORNING: Timestamp = Timestamp::from_millis(1_800_000_000_000);

pub(crate) const MINUTE: u64 = 60_000;
pub(crate) const DAY: u64 = 24 * 60 * MINUTE;

/// The node's key for draws.
pub(crate) static KEY: NodeKey = NodeKey::new([7; NodeKey::BYTES]);

/// A session whose one pool is drawn: entries from 08:01 to 08:02, three preferences, holds of a
/// quarter of an hour.
pub(crate) fn drawn(id: u64, quotas: &[u16]) -> Session {
    let mut session = session(id, quotas);
    session.pools[0].terms = PoolTerms {
        opens: MORNING.plus_millis(MINUTE),
        draw: Some(Draw {
            closes: MORNING.plus_millis(2 * MINUTE),
            preferences_max: 3,
            ttl: Ttl::DEFAULT,
            beacon: None,
            commitment: None,
        }),
        ..PoolTerms::default()
    };
    session
}

pub(crate) fn request(number: u128) -> RequestId {
    RequestId::from_parts(MORNING, number)
}

pub(crate) fn appointment(number: u128) -> AppointmentId {
    AppointmentId(request(number).0)
}

pub(crate) fn channel(number: u8) -> BookingChannel {
    BookingChannel::new(number).unwrap()
}

/// Ten-minute slots from 09:00, one pool for everybody.
pub(crate) fn session(id: u64, quotas: &[u16]) -> Session {
    Session {
        id: SessionId(id),
        organization: OrganizationId(1),
        site: SiteId(1),
        department: DepartmentId(1),
        resource: ResourceId(id),
        appointment_type: 0,
        start: MORNING.plus_millis(60 * MINUTE),
        slot_millis: 600_000,
        pick: Pick::Earliest,
        repeat: Repeat::OnePerPatient,
        sharing: Sharing::Cancel,
        ttl_max: Ttl::from_millis(24 * 3_600_000).unwrap(),
        terms: SessionTerms::default(),
        pools: vec![Pool {
            channels: ChannelSet::ALL,
            classes: ClassSet::ALL,
            quotas: quotas.to_vec(),
            terms: PoolTerms::default(),
        }],
    }
}

/// The opening of a session, by a request that follows from the session's id.
pub(crate) fn open(session: Session) -> OpenSession {
    OpenSession { request: request(1 << 40 | u128::from(session.id.0)), session }
}

pub(crate) fn at(session: u64, slot: u16) -> ClaimRequest {
    let slots = SlotChoice::at(SlotIndex(slot));
    ClaimRequest { session: SessionId(session), count: 1, slots }
}

pub(crate) fn any(session: u64) -> ClaimRequest {
    ClaimRequest { session: SessionId(session), count: 1, slots: SlotChoice::Any }
}

pub(crate) fn hold(
    id: u128,
    patient: u128,
    claims: impl IntoIterator<Item = ClaimRequest>,
) -> Hold {
    Hold::of(appointment(id), PatientId(patient), claims)
}

pub(crate) fn change(request_number: u128, id: u128, action: Action) -> Change {
    Change {
        request: request(request_number),
        appointment: appointment(id),
        patient: None,
        channel: channel(0),
        action,
    }
}

/// Priorities of a waitlist in which all classes are alike.
pub(crate) const EQUAL: [u8; PatientClass::COUNT] = [0; PatientClass::COUNT];
