//! Sessions with draws, and the values of their beacons.

use super::waitlist::waitlist;
use super::{Case, MINUTE, MORNING, Naive, Step, World, build, request_id};
use crate::model::{
    Actor, Beacon, Command, Delay, Draw, DrawId, PoolIndex, PoolTerms, ReturnRule, RevealDraw,
    Role, Session, SessionId, SessionTerms, Timestamp, Ttl,
};

impl Case {
    /// Sessions of one place that is drawn, with waitlists, which some patients have entered.
    pub(super) fn drawing(kinds: [u8; 4]) -> Self {
        let mut case =
            Self { engine: World::new(MORNING), naive: Naive::new(MORNING), done: Vec::new() };
        let admin = Actor::unbounded(Role::Admin);
        let both = |case: &mut Self, command: Command| {
            let answers = (case.engine.run(&admin, &command), case.naive.run(&admin, &command));
            assert_eq!(answers.0, answers.1, "{command:?}");
        };
        for (id, kind) in (0_u64..4).zip(kinds) {
            let delay = Delay { min_millis: 60_000, max_millis: 360_000 };
            let (returns, rule) = (ReturnRule::WaitlistFirst(delay), waitlist(kind.into()));
            let waitlist = Some(Box::new(rule));
            let terms = SessionTerms { returns, waitlist, ..SessionTerms::default() };
            let mut session = Session { terms, ..build::session(id, &[1]) };
            session.pools[0].terms = drawn(MORNING.plus_millis(4 * MINUTE), None);
            both(&mut case, Command::OpenSession(build::open(session).into()));
        }
        case.later(2 * MINUTE);
        for (session, kind) in (0_u64..4).zip(kinds) {
            for patient in 0..u128::from(kind % 6) {
                let id = 10_000 + u128::from(session) * 10 + patient;
                both(&mut case, Command::Hold(build::hold(id, patient, [build::any(session)])));
            }
        }
        case.later(2 * MINUTE);
        case
    }
}

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
