//! The naive model of draws: a list of entries, sorted and gone through.

use super::{Naive, lowest, told};
use crate::draw::{NodeKey, final_seed, rank};
use crate::model::{
    Actor, Appointment, AppointmentStatus, Cause, Claim, Claims, DrawId, Hold, Outcome, PatientId,
    PoolIndex, Receipt, Refusal, RevealDraw, Session, SlotChoice, SlotIndex, Timestamp,
};

/// The key of the small worlds. The tests' own cannot be named from the fuzz targets.
static KEY: NodeKey = NodeKey::new([7; NodeKey::BYTES]);

#[derive(Default)]
pub(in super::super) struct NaiveDraws {
    /// Draws that were made.
    made: Vec<DrawId>,
    /// Beacons that were given.
    pub(super) given: Vec<RevealDraw>,
}

/// What a wish finds.
pub(super) enum Found {
    Claim(Claim),
    Entry(DrawId),
}

/// A session with the commitments of its draws.
pub(super) fn bound(mut session: Session) -> Session {
    for index in 0..session.pools.len() {
        let draw = DrawId { session: session.id, pool: PoolIndex(u8::try_from(index).unwrap()) };
        if let Some(terms) = &mut session.pools[index].terms.draw {
            terms.commitment = Some(KEY.commitment(draw));
        }
    }
    session
}

impl Naive {
    /// Whether every draw opens later and is bound to nothing yet.
    pub(super) fn can_draw(&self, session: &Session) -> bool {
        let drawn = session.pools.iter().filter(|pool| pool.terms.draw.is_some());
        drawn.clone().all(|pool| self.now < pool.terms.opens)
            && drawn.clone().all(|pool| pool.terms.draw.unwrap().commitment.is_none())
    }

    /// Whether nothing has to be drawn (any more) in a pool.
    pub(super) fn is_drawn(&self, session: &Session, pool: u8) -> bool {
        let draw = DrawId { session: session.id, pool: PoolIndex(pool) };
        session.pools[usize::from(pool)].terms.draw.is_none() || self.draws.made.contains(&draw)
    }

    pub(super) fn collects(&self, session: &Session, pool: u8) -> bool {
        let terms = session.pools[usize::from(pool)].terms;
        !self.is_drawn(session, pool)
            && (terms.opens <= self.now && self.now < terms.draw.unwrap().closes)
    }

    pub(super) fn entry_fits(&self, hold: &Hold, draw: DrawId) -> Result<(), Outcome> {
        let session = self.session(draw.session).unwrap();
        let most = session.pools[usize::from(draw.pool.0)].terms.draw.unwrap().preferences_max;
        let ranked = match &hold.claims[0].slots {
            SlotChoice::Any => 0,
            SlotChoice::Ranked(slots) => slots.len(),
        };
        let fits = hold.claims.len() == 1 && hold.book.is_none() && ranked <= usize::from(most);
        if fits { Ok(()) } else { Err(Outcome::EntryInvalid) }
    }

    pub(super) fn enter(&mut self, hold: &Hold, patient: PatientId, draw: DrawId) -> Receipt {
        let session = self.session(draw.session).unwrap();
        let slot = match &hold.claims[0].slots {
            SlotChoice::Any => SlotIndex(0),
            SlotChoice::Ranked(slots) => slots[0],
        };
        let claim =
            Claim { session: draw.session, slot, count: hold.claims[0].count, pool: draw.pool };
        let appointment = Appointment {
            id: hold.appointment,
            patient,
            account: hold.keys.account,
            organization: session.organization,
            channel: hold.channel,
            class: hold.class,
            sharing: session.sharing,
            status: AppointmentStatus::Waitlist,
            cause: Cause::None,
            until: session.pools[usize::from(draw.pool.0)].terms.draw.unwrap().closes,
            fingerprint: hold.fingerprint(),
            payment: None,
            rules: self.rules().0,
            claims: std::iter::once(claim).collect(),
        };
        let receipt = told(&appointment, false);
        self.put(appointment, Some(hold.clone()));
        receipt
    }

    /// Until when a draw of the session is pending: that one, or the first that has closed.
    pub(super) fn pending(&self, session: &Session, draw: Option<DrawId>) -> Refusal {
        let pools = (0_u8..).zip(&session.pools).filter(|(pool, it)| {
            let closed = it.terms.draw.is_some_and(|terms| terms.closes <= self.now);
            let is_asked = draw.is_none_or(|draw| draw.pool.0 == *pool);
            closed && is_asked && !self.is_drawn(session, *pool)
        });
        let due = pools.map(|(pool, _)| self.due(session, pool)).min().unwrap();
        let due = due.max(self.now.plus_millis(1_000));
        Refusal::until(Outcome::DrawPending, self.now, due)
    }

    /// Until when who can only enter a draw has to wait for it.
    pub(super) fn until_drawn(&self, draw: DrawId) -> Refusal {
        let session = self.session(draw.session).unwrap();
        let due = self.due(session, draw.pool.0).max(self.now.plus_millis(1_000));
        Refusal::until(Outcome::DrawPending, self.now, due)
    }

    fn due(&self, session: &Session, pool: u8) -> Timestamp {
        let terms = session.pools[usize::from(pool)].terms.draw.unwrap();
        let draw = DrawId { session: session.id, pool: PoolIndex(pool) };
        match terms.beacon {
            Some(beacon) if self.beacon(draw).is_none() => beacon.until,
            _ => terms.closes,
        }
    }

    fn beacon(&self, draw: DrawId) -> Option<String> {
        let given = self.draws.given.iter().find(|reveal| reveal.draw == draw);
        given.map(|reveal| reveal.beacon.clone())
    }

    pub(super) fn withdraw(&self, index: usize) -> Result<(), Refusal> {
        let claim = self.appointments[index].claims[0];
        let session = self.session(claim.session).unwrap();
        if self.collects(session, claim.pool.0) {
            return Ok(());
        }
        Err(self.pending(session, Some(DrawId { session: session.id, pool: claim.pool })))
    }

    pub(super) fn reveal_draw(
        &mut self,
        actor: &Actor,
        reveal: &RevealDraw,
    ) -> Result<Receipt, Refusal> {
        let receipt = |retried| Receipt {
            status: None,
            until: self.now,
            claims: Claims::new(),
            retried,
            appointment: None,
        };
        if self.draws.given.contains(reveal) {
            return Ok(receipt(true));
        }
        let mut refusals = Vec::new();
        if self.is_used(reveal.request) {
            refusals.push(Outcome::IdReused);
        }
        match self.session(reveal.draw.session) {
            None => refusals.push(Outcome::SessionNotFound),
            Some(session) => {
                if !actor.may_touch(session.organization) {
                    refusals.push(Outcome::OrganizationNotPermitted);
                }
                let pool = session.pools.get(usize::from(reveal.draw.pool.0));
                match pool.and_then(|pool| pool.terms.draw) {
                    None => refusals.push(Outcome::DrawNotFound),
                    Some(terms) => {
                        let awaited = terms.beacon.is_some_and(|beacon| {
                            terms.closes <= self.now && self.now < beacon.until
                        });
                        if !awaited || self.beacon(reveal.draw).is_some() {
                            refusals.push(Outcome::BeaconNotAwaited);
                        }
                    }
                }
            }
        }
        if reveal.beacon.is_empty() || reveal.beacon.contains(' ') {
            refusals.push(Outcome::BeaconInvalid);
        }
        lowest(&refusals)?;
        let receipt = receipt(false);
        self.draws.given.push(reveal.clone());
        Ok(receipt)
    }

    /// Makes the draws that are due.
    pub(in super::super) fn step_draws(&mut self) {
        let mut due = Vec::new();
        for session in &self.sessions {
            for pool in (0_u8..).take(session.pools.len()) {
                if !self.is_drawn(session, pool) && self.due(session, pool) <= self.now {
                    due.push(DrawId { session: session.id, pool: PoolIndex(pool) });
                }
            }
        }
        for draw in due {
            self.draw(draw);
        }
    }

    fn draw(&mut self, draw: DrawId) {
        let session = self.session(draw.session).unwrap().clone();
        let seed = final_seed(draw, &KEY.seed(draw), self.beacon(draw).as_deref());
        let is_in = |appointment: &Appointment| {
            appointment.status == AppointmentStatus::Waitlist
                && appointment.claims[0].session == draw.session
                && appointment.claims[0].pool == draw.pool
        };
        let entrants: Vec<usize> = (0..self.appointments.len())
            .filter(|index| is_in(&self.appointments[*index]))
            .collect();
        let pseudonyms =
            entrants.iter().map(|index| KEY.pseudonym(draw, self.appointments[*index].patient));
        for ranked in rank(&seed, pseudonyms) {
            let index = entrants[ranked.position as usize];
            self.decide(&session, draw, index);
        }
        self.draws.made.push(draw);
    }

    fn decide(&mut self, session: &Session, draw: DrawId, index: usize) {
        let slots = u16::try_from(session.slot_count()).unwrap();
        let wish = self.holds[index].as_ref().unwrap().claims[0].clone();
        let wished: Vec<u16> = match &wish.slots {
            SlotChoice::Any => (0..slots).collect(),
            SlotChoice::Ranked(list) => list.iter().map(|slot| slot.0).collect(),
        };
        let count = u16::from(wish.count);
        let has_room = |slot: &u16| {
            slot + count <= slots
                && (*slot..slot + count).all(|slot| {
                    let quota = session.quota(SlotIndex(slot), draw.pool);
                    !self.is_blocked(session.id, slot)
                        && self.taken(session.id, slot, draw.pool.0) < quota
                })
        };
        let won = wished.into_iter().find(has_room);
        let terms = session.pools[usize::from(draw.pool.0)].terms.draw.unwrap();
        let now = self.now;
        let appointment = &mut self.appointments[index];
        if let Some(slot) = won {
            appointment.status = AppointmentStatus::Pending;
            appointment.until = now.after(terms.ttl);
            appointment.claims[0].slot = SlotIndex(slot);
        } else {
            appointment.status = AppointmentStatus::Cancelled;
            appointment.cause = Cause::NotDrawn;
            appointment.until = now;
            self.bring(session, index);
        }
    }
}
