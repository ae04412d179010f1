//! Sessions with draws, and the values of their beacons.

use super::{MINUTE, MORNING, Step, request_id};
use crate::model::{
    Beacon, Draw, DrawId, PoolIndex, PoolTerms, RevealDraw, Session, SessionId, Timestamp, Ttl,
};

impl Step {
    /// Mostly of a session that is there, with one of three values.
    pub(super) fn reveal(self) -> RevealDraw {
        let [_, id, pool, _, session, value, request, _] = self.0;
        let session = SessionId(if session < 16 { 9 } else { u64::from(session % 4) });
        let draw = DrawId { session, pool: PoolIndex(u8::from(pool < 32)) };
        let beacon = ["a", "a", "a", "b", "two words", ""][usize::from(value % 6)].to_owned();
        RevealDraw { request: request_id(request, 4_000 + u128::from(id % 4)), draw, beacon }
    }
}

/// What cannot be drawn is for whoever comes first.
pub(super) fn undrawn(mut session: Session) -> Session {
    session.pools.iter_mut().for_each(|pool| pool.terms = PoolTerms::default());
    session
}

/// A draw whose entries begin in a minute.
pub(super) fn drawn(closes: Timestamp, beacon: Option<Beacon>) -> PoolTerms {
    let draw = Draw { closes, preferences_max: 1, ttl: Ttl::DEFAULT, beacon, commitment: None };
    let opens = MORNING.plus_millis(MINUTE);
    PoolTerms { opens, draw: Some(draw), ..PoolTerms::default() }
}
