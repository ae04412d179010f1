//! What the staff want: sessions, rules, restrictions, places that are closed or moved.

use haoyuan::model::{
    Amend, ApplyRules, AppointmentStatus, BlockSession, Command, DrawId, EvidenceRef, Hold,
    MergePatients, OpenSession, PatientId, PaymentRef, PoolIndex, ResourceId, RestrictionId,
    RevealDraw, Session, SessionId, SetQuotas, SlotIndex, Substitute, Timestamp,
};

use super::{Known, Traffic, new_id};
use crate::ask::Body;
use crate::random::Random;
use crate::rules::{amendment, restrict, rules};
use crate::sessions::{RESOURCES, session};

impl Traffic {
    pub(super) fn admin_wish(
        &mut self,
        random: &mut Random,
        client: usize,
        now: Timestamp,
    ) -> Body {
        let [restricts, amends, merges] = if self.is_desk { [4, 8, 2] } else { [0; 3] };
        let applies = if self.is_billing { 8 } else { 5 };
        match random.weighted(&[4, 2, 2, 1, 2, 6, 1, 3, applies, restricts, amends, merges]) {
            11 => self.merge(random, now),
            9 => self.restrict(random, now),
            10 => self.amend(random, now),
            8 => {
                let apply = ApplyRules {
                    request: new_id(random, now),
                    rules: rules(random, now, (self.is_billing, self.is_desk)),
                };
                Body::Command(Command::ApplyRules(apply.into()))
            }
            0 => self.opening(random, now),
            5 => Body::Command(Command::BlockSession(self.block(random, now))),
            6 => self.substitute(random, now),
            7 => self.reveal(random, now),
            4 => self.quotas(random, now).unwrap_or_else(|| self.opening(random, now)),
            1 => Body::Query(self.query(random)),
            2 => self.change(random, client, now),
            _ => {
                let hold = self.hold(random, client, now);
                Body::Import(Hold { book: Some(PaymentRef(7)), ..hold })
            }
        }
    }

    pub(crate) fn opening(&mut self, random: &mut Random, now: Timestamp) -> Body {
        let again = 0 < self.sessions && random.chance(150);
        let number = if again { random.between(1, self.sessions) } else { self.sessions + 1 };
        self.sessions = self.sessions.max(number);
        let session = session(random, number, now);
        self.asked.entry(number).or_insert_with(|| session.clone());
        let request = new_id(random, now);
        Body::Command(Command::OpenSession(Box::new(OpenSession { request, session })))
    }

    /// The value of the beacon of a late session, where one is awaited or not.
    fn reveal(&self, random: &mut Random, now: Timestamp) -> Body {
        let drawn = |session: &&Session| session.pools[0].terms.draw.is_some();
        let late: Vec<SessionId> =
            self.asked.values().rev().filter(drawn).take(3).map(|session| session.id).collect();
        let session = match late.len() {
            0 => self.late_session(random),
            count => late[random.index(count)],
        };
        let pool = PoolIndex(u8::from(random.chance(50)));
        let beacon = random.pick(&["block 7", "7", "7", "8"]).to_owned();
        let draw = DrawId { session, pool };
        let request = new_id(random, now);
        Body::Command(Command::RevealDraw(Box::new(RevealDraw { request, draw, beacon })))
    }

    /// Some places of a late session to another pool.
    fn quotas(&self, random: &mut Random, now: Timestamp) -> Option<Body> {
        let number = random.between(self.sessions.saturating_sub(5).max(1), self.sessions);
        let session = self.asked.get(&number)?;
        let mut quotas: Vec<_> = session.pools.iter().map(|pool| pool.quotas.clone()).collect();
        for slot in 0..session.slot_count() {
            let (from, to) = (random.index(quotas.len()), random.index(quotas.len()));
            let moved = quotas[from][slot].min(u16::try_from(random.below(3)).unwrap());
            quotas[from][slot] -= moved;
            quotas[to][slot] += moved + u16::from(random.chance(40));
        }
        let request = new_id(random, now);
        let set = SetQuotas { request, session: session.id, quotas };
        Some(Body::Command(Command::SetQuotas(Box::new(set))))
    }

    /// Some slots of a session are closed, and as often open again.
    pub(super) fn block(&self, random: &mut Random, now: Timestamp) -> BlockSession {
        BlockSession {
            request: new_id(random, now),
            session: self.late_session(random),
            first: SlotIndex(random.pick(&[0, 0, 0, 1, 2])),
            count: random.pick(&[1, 1, 1, 1, 1, 1, 2, 0]),
            is_blocked: random.chance(450),
            reason: random.pick(&[1, 2]),
            by: None,
        }
    }

    /// Mostly a new key of somebody; now and then two people are taken for one.
    fn merge(&mut self, random: &mut Random, now: Timestamp) -> Body {
        let from = self.patient(random);
        let into =
            if random.chance(850) { PatientId(from.0 + (1 << 64)) } else { self.patient(random) };
        self.keys.push(into);
        let request = new_id(random, now);
        Body::Command(Command::MergePatients(MergePatients { request, from, into }))
    }

    fn restrict(&mut self, random: &mut Random, now: Timestamp) -> Body {
        let patient = self.patient(random);
        let id = new_id(random, now);
        let ask = restrict(random, id, patient, now);
        self.restrictions.push((patient, RestrictionId(ask.request.0)));
        Body::Command(Command::Restrict(Box::new(ask)))
    }

    /// One of the late restrictions, or one that a missed visit may have led to.
    pub(super) fn some_restriction(&self, random: &mut Random) -> (PatientId, RestrictionId) {
        let missed = |known: &&Known| known.status == AppointmentStatus::NoShow;
        let struck =
            self.known.iter().filter(missed).map(|it| (it.patient, RestrictionId(it.id.0)));
        let struck: Vec<_> = struck.collect();
        let all = if random.chance(750) { &self.restrictions } else { &struck };
        let window = all.len().min(6);
        let back = random.index(window.max(1));
        let found = all.len().checked_sub(back + 1).and_then(|index| all.get(index));
        found.copied().unwrap_or((PatientId(1), RestrictionId(1)))
    }

    fn amend(&self, random: &mut Random, now: Timestamp) -> Body {
        let (patient, restriction) = self.some_restriction(random);
        Body::Command(Command::Amend(Box::new(Amend {
            request: new_id(random, now),
            patient,
            restriction,
            amendment: amendment(random, now),
            evidence: EvidenceRef(0),
            reason: 1,
        })))
    }

    fn substitute(&self, random: &mut Random, now: Timestamp) -> Body {
        Body::Command(Command::Substitute(Substitute {
            request: new_id(random, now),
            session: self.late_session(random),
            resource: ResourceId(random.below(RESOURCES)),
            reason: 1,
            by: None,
        }))
    }
}
