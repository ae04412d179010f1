//! The layout of a session with its terms: the session as ever, then a list of what it says besides.
//!
//! ```text
//! session | u8 n | n terms, by tag and pool, each at most once
//! term    1 service u64        2 fee u32              3 booking ends u64      4 lead u32
//!         5 hours u16 u16 u64, u8 n, n (u64 i16)      6 returns u8 u32 u32    8 changes u8
//!         7 waitlist: its rule    9 attendance u32 (u8, i32 if 1) u32 u32 u8 u8    10 offer u32
//!         11 windows u8 n, n (u64 u64)
//!         33 opens u8 pool, u64     34 floor u8 pool, u32      35 reclaim u8 pool, u64, u8 pool
//!         36 draw u8 pool, u64 closes, u8 preferences, u32 ttl, beacon (32 bytes, u64) or none,
//!            commitment (32 bytes) or none
//! ```
//!
//! What a session does not say is not in the list, so that later versions can say more.

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use super::fact::NEWER;
use crate::model::limits::{OFFSETS_MAX, PICK_UP_WINDOWS_MAX};
use crate::model::{
    Attendance, ChannelSet, Delay, Draw, OpenSession, PickUpWindow, Pool, PoolIndex, PoolTerms,
    Reclaim, ReturnRule, ServiceHours, ServiceId, Session, SessionTerms, Timestamp, Ttl,
    WaitlistRule,
};

/// A session with its terms. Without this wrapper a session is written as before there were any.
#[derive(Debug)]
pub struct WithTerms<T>(pub T);

/// The opening of a session with its terms.
#[derive(Debug)]
pub struct OpenWithTerms(pub OpenSession);

const SERVICE: u8 = 1;
const FEE: u8 = 2;
const BOOKING_ENDS: u8 = 3;
const LEAD: u8 = 4;
const HOURS: u8 = 5;
const RETURNS: u8 = 6;
const CHANGES: u8 = 8;
const DISPLACED_OFFER: u8 = 10;
const WAITLIST: u8 = 7;
const ATTENDANCE: u8 = 9;
const PICK_UP: u8 = 11;
const OPENS: u8 = 33;
const FLOOR: u8 = 34;
const RECLAIM: u8 = 35;
const DRAW: u8 = 36;

/// Terms of pools have tags from here on, and a pool behind the tag.
const POOLS: u8 = 32;

/// One thing that a session says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Term {
    Service(ServiceId),
    Fee(u32),
    BookingEnds(Timestamp),
    Lead(u32),
    Hours(ServiceHours),
    Returns(ReturnRule),
    Changes(u8),
    DisplacedOffer(Ttl),
    Waitlist(Box<WaitlistRule>),
    Attendance(Attendance),
    PickUp(Vec<PickUpWindow>),
    Opens(u8, Timestamp),
    Floor(u8, u32),
    Reclaim(u8, Reclaim),
    Draw(u8, Draw),
}

type Offsets = Vec<(Timestamp, i16)>;
layout_list!(OffsetList<(Timestamp, i16)>, Offsets, u8, OFFSETS_MAX, "more changes of the clocks");
type Windows = Vec<PickUpWindow>;
layout_list!(WindowList<PickUpWindow>, Windows, u8, PICK_UP_WINDOWS_MAX, "more windows of a day");
layout_struct!(Reclaim { at, to });
layout_struct!(Delay { min_millis, max_millis });

impl Encode for WithTerms<&Session> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.0.encode(encoder)?;
        let terms = terms_of(self.0);
        let count = u8::try_from(terms.len()).map_err(|_| EncodeError::Other("too many terms"))?;
        count.encode(encoder)?;
        terms.iter().try_for_each(|term| term.encode(encoder))
    }
}

impl Encode for WithTerms<Session> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        WithTerms(&self.0).encode(encoder)
    }
}

impl<Context> Decode<Context> for WithTerms<Session> {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let mut session = Session::decode(decoder)?;
        let (count, mut last) = (u8::decode(decoder)?, 0);
        for _ in 0..count {
            let term = Term::decode(decoder)?;
            let key = term.key();
            if key <= last {
                return Err(DecodeError::Other("terms are out of order"));
            }
            last = key;
            put(term, &mut session)?;
        }
        if terms_of(&session).len() != usize::from(count) {
            // What a session does not say is not in the list: every session has one form.
            return Err(DecodeError::Other("a term says nothing"));
        }
        Ok(Self(session))
    }
}

impl<Context> Decode<Context> for OpenWithTerms {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let request = Decode::decode(decoder)?;
        let session = with_terms(decoder)?;
        Ok(Self(OpenSession { request, session }))
    }
}

/// A session that says something besides what a session without terms does: the other has a form of
/// its own.
pub(super) fn with_terms<C, D: Decoder<Context = C>>(
    decoder: &mut D,
) -> Result<Session, DecodeError> {
    let session = WithTerms::<Session>::decode(decoder)?.0;
    if session.has_terms() { Ok(session) } else { Err(DecodeError::Other("no terms are said")) }
}

fn terms_of(session: &Session) -> Vec<Term> {
    let SessionTerms { service, fee, booking_ends, lead_millis, hours, returns, .. } =
        &session.terms;
    let SessionTerms { changes_max, displaced_offer, waitlist, attendance, .. } = &session.terms;
    let windows = &session.terms.pick_up_windows;
    let mut terms = Vec::new();
    terms.extend((*service != ServiceId::default()).then_some(Term::Service(*service)));
    terms.extend((*fee != 0).then_some(Term::Fee(*fee)));
    terms.extend(booking_ends.map(Term::BookingEnds));
    terms.extend(lead_millis.map(Term::Lead));
    terms.extend(hours.clone().map(Term::Hours));
    terms.extend((*returns != ReturnRule::AtOnce).then_some(Term::Returns(*returns)));
    terms.extend(changes_max.map(Term::Changes));
    terms.extend(waitlist.clone().map(Term::Waitlist));
    terms.extend(displaced_offer.map(Term::DisplacedOffer));
    terms.extend(attendance.map(Term::Attendance));
    terms.extend((!windows.is_empty()).then(|| Term::PickUp(windows.clone())));
    for (pool, Pool { terms: PoolTerms { opens, floor, reclaim, draw }, .. }) in
        (0..).zip(&session.pools)
    {
        terms.extend((*opens != Timestamp::default()).then_some(Term::Opens(pool, *opens)));
        terms.extend((*floor != 0).then_some(Term::Floor(pool, *floor)));
        terms.extend(reclaim.map(|reclaim| Term::Reclaim(pool, reclaim)));
        terms.extend(draw.map(|draw| Term::Draw(pool, draw)));
    }
    terms.sort_by_key(Term::key);
    terms
}

fn put(term: Term, session: &mut Session) -> Result<(), DecodeError> {
    match term {
        Term::Opens(index, opens) => pool(session, index)?.opens = opens,
        Term::Floor(index, floor) => pool(session, index)?.floor = floor,
        Term::Reclaim(index, reclaim) => pool(session, index)?.reclaim = Some(reclaim),
        Term::Draw(index, draw) => pool(session, index)?.draw = Some(draw),
        Term::Service(service) => session.terms.service = service,
        Term::Fee(fee) => session.terms.fee = fee,
        Term::BookingEnds(time) => session.terms.booking_ends = Some(time),
        Term::Lead(millis) => session.terms.lead_millis = Some(millis),
        Term::Hours(hours) => session.terms.hours = Some(hours),
        Term::Returns(returns) => session.terms.returns = returns,
        Term::Changes(changes) => session.terms.changes_max = Some(changes),
        Term::DisplacedOffer(ttl) => session.terms.displaced_offer = Some(ttl),
        Term::Waitlist(rule) => session.terms.waitlist = Some(rule),
        Term::Attendance(attendance) => session.terms.attendance = Some(attendance),
        Term::PickUp(windows) => session.terms.pick_up_windows = windows,
    }
    Ok(())
}

fn pool(session: &mut Session, index: u8) -> Result<&mut PoolTerms, DecodeError> {
    let pool = session.pools.get_mut(usize::from(index)).map(|pool| &mut pool.terms);
    pool.ok_or(DecodeError::Other("a term of a pool that is not there"))
}

impl Term {
    const fn tag(&self) -> (u8, Option<u8>) {
        match self {
            Self::Service(_) => (SERVICE, None),
            Self::Fee(_) => (FEE, None),
            Self::BookingEnds(_) => (BOOKING_ENDS, None),
            Self::Lead(_) => (LEAD, None),
            Self::Hours(_) => (HOURS, None),
            Self::Returns(_) => (RETURNS, None),
            Self::Changes(_) => (CHANGES, None),
            Self::DisplacedOffer(_) => (DISPLACED_OFFER, None),
            Self::Waitlist(_) => (WAITLIST, None),
            Self::Attendance(_) => (ATTENDANCE, None),
            Self::PickUp(_) => (PICK_UP, None),
            Self::Opens(pool, _) => (OPENS, Some(*pool)),
            Self::Floor(pool, _) => (FLOOR, Some(*pool)),
            Self::Reclaim(pool, _) => (RECLAIM, Some(*pool)),
            Self::Draw(pool, _) => (DRAW, Some(*pool)),
        }
    }

    /// Its place in the list: never 0.
    fn key(&self) -> u16 {
        let (tag, pool) = self.tag();
        u16::from(tag) << 8 | u16::from(pool.unwrap_or_default())
    }
}

impl Encode for Term {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        let (tag, pool) = self.tag();
        tag.encode(encoder)?;
        if let Some(pool) = pool {
            pool.encode(encoder)?;
        }
        match self {
            Self::Service(service) => service.encode(encoder),
            Self::Fee(number) | Self::Lead(number) | Self::Floor(_, number) => {
                number.encode(encoder)
            }
            Self::BookingEnds(time) | Self::Opens(_, time) => time.encode(encoder),
            Self::Hours(hours) => hours.encode(encoder),
            Self::Returns(returns) => returns.encode(encoder),
            Self::DisplacedOffer(ttl) => ttl.encode(encoder),
            Self::Changes(changes) => changes.encode(encoder),
            Self::Waitlist(rule) => rule.encode(encoder),
            Self::Attendance(attendance) => attendance.encode(encoder),
            Self::PickUp(windows) => WindowList(windows).encode(encoder),
            Self::Reclaim(_, reclaim) => reclaim.encode(encoder),
            Self::Draw(_, draw) => draw.encode(encoder),
        }
    }
}

impl<Context> Decode<Context> for Term {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let tag = u8::decode(decoder)?;
        let pool = if tag < POOLS { 0 } else { PoolIndex::decode(decoder)?.0 };
        Ok(match tag {
            SERVICE => Self::Service(Decode::decode(decoder)?),
            FEE => Self::Fee(Decode::decode(decoder)?),
            BOOKING_ENDS => Self::BookingEnds(Decode::decode(decoder)?),
            LEAD => Self::Lead(Decode::decode(decoder)?),
            HOURS => Self::Hours(Decode::decode(decoder)?),
            RETURNS => Self::Returns(Decode::decode(decoder)?),
            CHANGES => Self::Changes(Decode::decode(decoder)?),
            DISPLACED_OFFER => Self::DisplacedOffer(Decode::decode(decoder)?),
            WAITLIST => Self::Waitlist(Box::new(Decode::decode(decoder)?)),
            ATTENDANCE => Self::Attendance(Decode::decode(decoder)?),
            PICK_UP => Self::PickUp(WindowList::decode(decoder)?.0),
            OPENS => Self::Opens(pool, Decode::decode(decoder)?),
            FLOOR => Self::Floor(pool, Decode::decode(decoder)?),
            RECLAIM => Self::Reclaim(pool, Decode::decode(decoder)?),
            DRAW => Self::Draw(pool, Decode::decode(decoder)?),
            _ => return Err(DecodeError::Other(NEWER)),
        })
    }
}

impl Encode for ServiceHours {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.from.encode(encoder)?;
        self.to.encode(encoder)?;
        self.channels.encode(encoder)?;
        OffsetList(&self.offsets).encode(encoder)
    }
}

impl<Context> Decode<Context> for ServiceHours {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self {
            from: Decode::decode(decoder)?,
            to: Decode::decode(decoder)?,
            channels: ChannelSet::decode(decoder)?,
            offsets: OffsetList::decode(decoder)?.0,
        })
    }
}

/// A kind and a delay, which is 0 to 0 where the kind has none.
impl Encode for ReturnRule {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        let (kind, delay) = self.parts();
        kind.encode(encoder)?;
        delay.encode(encoder)
    }
}

impl<Context> Decode<Context> for ReturnRule {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let kind = u8::decode(decoder)?;
        let delay = Delay::decode(decoder)?;
        match kind {
            0 if delay == Delay::default() => Ok(Self::AtOnce),
            1 => Ok(Self::Delayed(delay)),
            2 => Ok(Self::WaitlistFirst(delay)),
            3 if delay == Delay::default() => Ok(Self::Withheld),
            _ => Err(DecodeError::Other("ReturnRule")),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::codec::{decode, encode_into};
    use crate::model::{
        Beacon, ClassSet, DepartmentId, DrawHash, LateRule, OrganizationId, Pick, Repeat,
        ResourceId, SessionId, Sharing, SiteId,
    };

    fn plain_session() -> Session {
        let pool = Pool {
            channels: ChannelSet::ALL,
            classes: ClassSet::ALL,
            quotas: vec![3, 4],
            terms: PoolTerms::default(),
        };
        Session {
            id: SessionId(1),
            organization: OrganizationId(2),
            site: SiteId(3),
            department: DepartmentId(4),
            resource: ResourceId(5),
            appointment_type: 6,
            start: Timestamp::from_millis(7),
            slot_millis: 8,
            pick: Pick::Even,
            repeat: Repeat::OnePerPatient,
            sharing: Sharing::Read,
            ttl_max: Ttl::DEFAULT,
            terms: SessionTerms::default(),
            pools: vec![pool.clone(), pool],
        }
    }

    /// A session that says everything that can be said.
    pub(crate) fn rich_session() -> Session {
        let mut session = plain_session();
        let delay = Delay { min_millis: 1, max_millis: 2 };
        session.terms = SessionTerms {
            service: ServiceId(9),
            fee: 10,
            booking_ends: Some(Timestamp::from_millis(11)),
            lead_millis: Some(12),
            hours: Some(ServiceHours {
                from: 390,
                to: 1_440,
                channels: ChannelSet(3),
                offsets: vec![(Timestamp::default(), -300), (Timestamp::from_millis(13), -240)],
            }),
            returns: ReturnRule::WaitlistFirst(delay),
            changes_max: Some(3),
            displaced_offer: None,
            waitlist: None,
            attendance: None,
            pick_up_windows: Vec::new(),
        };
        for pool in &mut session.pools {
            let reclaim = Some(Reclaim { at: Timestamp::from_millis(16), to: PoolIndex(1) });
            pool.terms =
                PoolTerms { opens: Timestamp::from_millis(14), floor: 15, reclaim, draw: None };
        }
        session
    }

    /// A session with a waitlist.
    pub(crate) fn waitlist_session() -> Session {
        let mut session = rich_session();
        session.terms.waitlist = Some(Box::new(WaitlistRule {
            entries_max: 14,
            priority: [1, 0, 2, 3, 4],
            draw_millis: 15,
            offer_millis: 16,
            near_offer_millis: 17,
            near_millis: 18,
            hours: Some(ServiceHours {
                from: 360,
                to: 1_380,
                channels: ChannelSet::ALL,
                offsets: vec![(Timestamp::default(), 480)],
            }),
            closes_at: Timestamp::from_millis(19),
        }));
        session
    }

    fn bytes_of(session: &Session) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_into(&WithTerms(session), &mut bytes);
        bytes
    }

    #[test]
    fn a_session_comes_back_with_its_terms() {
        let mut attended = rich_session();
        attended.terms.attendance = Some(Attendance {
            check_in_from: 3,
            pick_up_until: Some(-4),
            grace: 5,
            late_until: 6,
            late: LateRule::Every(7),
        });
        let window = |from: u64| PickUpWindow {
            from: Timestamp::from_millis(from),
            until: Timestamp::from_millis(from + 1),
        };
        let mut windowed = attended.clone();
        windowed.terms.pick_up_windows = vec![window(30), window(40)];
        let mut offers = rich_session();
        offers.terms.displaced_offer = Some(Ttl::DEFAULT);
        let mut drawn = rich_session();
        let draw = Draw {
            closes: Timestamp::from_millis(18),
            preferences_max: 3,
            ttl: Ttl::DEFAULT,
            beacon: Some(Beacon { name: DrawHash([17; 32]), until: Timestamp::from_millis(19) }),
            commitment: Some(DrawHash([20; 32])),
        };
        drawn.pools[0].terms.draw = Some(draw);
        drawn.pools[1].terms.draw = Some(Draw { beacon: None, commitment: None, ..draw });
        let waits = waitlist_session();
        for session in [plain_session(), rich_session(), offers, drawn, waits, attended, windowed] {
            let bytes = bytes_of(&session);
            let (read, length) = decode::<WithTerms<Session>>(&bytes).unwrap();
            assert_eq!((read.0, length), (session, bytes.len()));
        }
    }

    #[test]
    fn a_term_that_is_repeated_unknown_or_of_no_pool_is_refused() {
        let plain = bytes_of(&plain_session());
        let head = plain.len() - 1;
        for (terms, why) in [
            (vec![2, FEE, 5, 0, 0, 0, FEE, 6, 0, 0, 0], "out of order"),
            (vec![1, 31], NEWER),
            (vec![1, FLOOR, 9, 1, 0, 0, 0], "a pool that is not there"),
            (vec![1, FEE, 0, 0, 0, 0], "a term says nothing"),
        ] {
            let bytes = [&plain[..head], &terms].concat();
            let fault = decode::<WithTerms<Session>>(&bytes).map(|_| ()).unwrap_err();
            assert!(fault.to_string().contains(why) || why == NEWER, "{terms:?}: {fault}");
        }
    }
}
