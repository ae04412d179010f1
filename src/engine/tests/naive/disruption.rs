//! Blocks, substitutes and added places, as simply as it can be said.

use super::{Found, Naive, is_live, lowest, told};
use crate::model::{
    Actor, AddPlace, Appointment, AppointmentId, AppointmentStatus, BlockSession, Cause, Claim,
    ClaimRequest, Claims, Outcome, PoolIndex, Receipt, Refusal, Repeat, RequestId, Session,
    SessionId, SlotChoice, SlotIndex, Substitute,
};

impl Naive {
    pub(in super::super) fn is_blocked(&self, session: SessionId, slot: u16) -> bool {
        self.blocked.contains(&(session, slot))
    }

    pub(super) fn block(
        &mut self,
        actor: &Actor,
        block: &BlockSession,
    ) -> Result<Receipt, Refusal> {
        if self.blocks.contains(block) {
            return Ok(self.receipt(true));
        }
        let session = self.permitted(actor, block.request, block.session)?;
        let slots = session.slot_count();
        if block.count == 0 || slots < usize::from(block.first.0) + usize::from(block.count) {
            return Err(Outcome::SlotNotFound.into());
        }
        for slot in block.first.0..block.first.0 + block.count {
            self.blocked.retain(|other| *other != (block.session, slot));
            if block.is_blocked {
                self.blocked.push((block.session, slot));
            }
        }
        self.blocks.push(*block);
        Ok(self.receipt(false))
    }

    pub(super) fn substitute(
        &mut self,
        actor: &Actor,
        ask: &Substitute,
    ) -> Result<Receipt, Refusal> {
        if self.substitutes.contains(ask) {
            return Ok(self.receipt(true));
        }
        self.permitted(actor, ask.request, ask.session)?;
        let mut sessions = self.sessions.iter_mut();
        sessions.find(|session| session.id == ask.session).unwrap().resource = ask.resource;
        self.substitutes.push(*ask);
        Ok(self.receipt(false))
    }

    pub(super) fn add_place(&mut self, actor: &Actor, add: &AddPlace) -> Result<Receipt, Refusal> {
        if let (true, Some(index)) = (self.adds.contains(add), self.appointment(add.appointment)) {
            return Ok(told(&self.appointments[index], true));
        }
        let session = self.permitted(actor, add.appointment.request(), add.session)?;
        let mut refusals = Vec::new();
        if session.slot_count() <= usize::from(add.slot.0) {
            return Err(Outcome::SlotNotFound.into());
        }
        if session.slot_end(add.slot) <= self.now {
            refusals.push(Outcome::SlotInPast);
        }
        if self.is_blocked(session.id, add.slot.0) {
            refusals.push(Outcome::SessionBlocked);
        }
        let mut live = self.appointments.iter().filter(|other| is_live(other));
        let is_there = live.any(|other| {
            other.patient == add.patient && other.claims.iter().any(|it| it.session == session.id)
        });
        if is_there && session.repeat == Repeat::OnePerPatient {
            refusals.push(Outcome::AlreadyHasAppointment);
        }
        lowest(&refusals)?;
        let claim = Claim { session: session.id, slot: add.slot, count: 1, pool: PoolIndex(255) };
        let appointment = Appointment {
            id: add.appointment,
            patient: add.patient,
            account: None,
            organization: session.organization,
            channel: add.channel,
            class: add.class,
            sharing: session.sharing,
            status: AppointmentStatus::Booked,
            cause: Cause::None,
            until: self.now,
            fingerprint: add.fingerprint(),
            payment: add.payment,
            rules: self.rules().0,
            claims: std::iter::once(claim).collect(),
        };
        let receipt = told(&appointment, false);
        self.put(appointment, None);
        self.adds.push(*add);
        Ok(receipt)
    }

    /// What blocks do to everybody, each with an offer of any place in a session.
    pub(in super::super) fn displace(&mut self, offered: SessionId) -> Vec<(AppointmentId, bool)> {
        let live = self.appointments.iter().filter(|appointment| is_live(appointment));
        let mut ids: Vec<_> = live.map(|appointment| appointment.id).collect();
        ids.sort_unstable();
        let mut reached = Vec::new();
        for id in ids {
            let index = self.appointment(id).unwrap();
            let appointment = &self.appointments[index];
            let is_hit = appointment.claims.iter().any(|claim| {
                (claim.slot.0..claim.slot.0 + u16::from(claim.count))
                    .any(|slot| self.is_blocked(claim.session, slot))
            });
            let waits = appointment.status == AppointmentStatus::Waitlist;
            if is_hit && !waits && !is_displaced(appointment) {
                let now = self.now;
                let appointment = &mut self.appointments[index];
                let was_held = appointment.status == AppointmentStatus::Pending;
                appointment.status =
                    if was_held { AppointmentStatus::Cancelled } else { AppointmentStatus::Booked };
                (appointment.cause, appointment.until) = (Cause::Displaced, now);
                if was_held {
                    self.end_offer(id);
                }
                self.leave_queue(id);
                reached.push((id, false));
            }
            if self.offer(index, offered).is_some() {
                reached.push((id, true));
            }
        }
        reached
    }

    fn offer(&mut self, index: usize, offered: SessionId) -> Option<()> {
        let displaced = self.appointments[index].clone();
        let id = displaced.offer_id()?;
        let [lost] = displaced.claims.as_slice() else { return None };
        let ttl = self.session(lost.session)?.terms.displaced_offer?;
        let others = self.appointments.iter().filter(|other| other.id != displaced.id);
        let mut others =
            others.filter(|other| is_live(other) && other.patient == displaced.patient);
        let is_there =
            others.any(|other| other.claims.iter().any(|claim| claim.session == offered));
        let once = self.session(offered)?.repeat == Repeat::OnePerPatient;
        if self.is_used(id.request()) || (is_there && once) {
            return None;
        }
        let admin = Actor::unbounded(crate::model::Role::Admin);
        let who = (displaced.channel, displaced.class);
        let any = ClaimRequest { session: offered, count: 1, slots: SlotChoice::Any };
        let hours = self.without_hours(offered);
        let found = self.find(&admin, who, &any, None);
        self.with_hours(offered, hours);
        let Ok(Found::Claim(claim)) = found else { return None };
        let session = self.session(offered)?.clone();
        let until = self.now.after(ttl).min(session.slot_start(claim.slot));
        if until <= self.now {
            return None;
        }
        let hold = Appointment {
            id,
            organization: session.organization,
            sharing: session.sharing,
            status: AppointmentStatus::Pending,
            until,
            payment: None,
            rules: self.rules().0,
            claims: std::iter::once(claim).collect(),
            ..displaced
        };
        self.put(hold, None);
        self.phone_of(id, displaced.id);
        Some(())
    }

    fn without_hours(&mut self, id: SessionId) -> Option<crate::model::ServiceHours> {
        let session = self.sessions.iter_mut().find(|session| session.id == id)?;
        session.terms.hours.take()
    }

    fn with_hours(&mut self, id: SessionId, hours: Option<crate::model::ServiceHours>) {
        if let Some(session) = self.sessions.iter_mut().find(|session| session.id == id) {
            session.terms.hours = hours;
        }
    }

    fn permitted(
        &self,
        actor: &Actor,
        request: RequestId,
        session: SessionId,
    ) -> Result<&Session, Refusal> {
        if self.is_used(request) {
            return Err(Outcome::IdReused.into());
        }
        let session = self.session(session).ok_or(Outcome::SessionNotFound)?;
        let may = actor.may_touch(session.organization);
        if may { Ok(session) } else { Err(Outcome::OrganizationNotPermitted.into()) }
    }

    pub(super) fn receipt(&self, retried: bool) -> Receipt {
        Receipt { status: None, until: self.now, claims: Claims::new(), retried, appointment: None }
    }

    /// Blocked slots of a session, in order.
    pub(in super::super) fn blocked_slots(&self, session: SessionId) -> Vec<SlotIndex> {
        let here = self.blocked.iter().filter(|(id, _)| *id == session);
        let mut slots: Vec<_> = here.map(|(_, slot)| SlotIndex(*slot)).collect();
        slots.sort_unstable();
        slots
    }
}

pub(super) fn is_displaced(appointment: &Appointment) -> bool {
    appointment.status == AppointmentStatus::Booked && appointment.cause == Cause::Displaced
}
