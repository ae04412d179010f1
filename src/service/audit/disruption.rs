//! The audit of blocks, substitutes and added places.
//!
//! **Architecture invariant:** the account shares nothing with the engine but the vocabulary.

use super::{Account, AuditReport};
use crate::engine::Alterations;
use crate::model::limits::ADDED_PLACES_MAX;
use crate::model::{
    AppointmentEvent, AppointmentId, AppointmentStatus, BlockSession, Cause, Claims, Displaced,
    Offered, PlaceAdded, PoolIndex, Sequence, SessionId, SlotIndex, Substituted, Timestamp,
};

impl Account {
    /// Slots close, or open again.
    pub(super) fn block(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        block: &BlockSession,
    ) {
        let Some(session) = self.sessions.get(&block.session) else {
            return report.fault(sequence, "slots are blocked of no session");
        };
        let end = usize::from(block.first.0) + usize::from(block.count);
        if block.count == 0 || session.slot_count() < end {
            report.fault(sequence, "slots are blocked that are not there");
        }
        let altered = self.altered.entry(block.session).or_default();
        altered.is_sweeping |= block.is_blocked;
        for slot in block.slots() {
            altered.blocked.remove(&slot);
            if block.is_blocked {
                altered.blocked.insert(slot, block.reason);
            }
        }
    }

    /// A block reached everybody: nobody who is live may have a place there.
    pub(super) fn swept(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        session: SessionId,
    ) {
        let Some(altered) = self.altered.get_mut(&session) else {
            return report.fault(sequence, "a block is over that never was");
        };
        altered.is_sweeping = false;
        let live = self.appointments.values().filter(|one| one.status.is_live());
        let is_left = live.flat_map(crate::model::Appointment::places).any(|claim| {
            claim.session == session
                && super::slots(claim).any(|slot| altered.blocked.contains_key(&SlotIndex(slot)))
        });
        if is_left {
            report.fault(sequence, "a block forgot an appointment");
        }
    }

    /// An appointment loses all its places and stays booked.
    pub(super) fn displace(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        time: Timestamp,
        fact: &Displaced,
    ) {
        if self.places_of(fact.appointment) != fact.claims {
            report.fault(sequence, "other places come back than were taken");
        }
        let hit = fact.claims.iter().any(|claim| {
            let altered = self.altered.get(&claim.session);
            altered.is_some_and(|altered| {
                super::slots(claim).any(|slot| altered.blocked.contains_key(&SlotIndex(slot)))
            })
        });
        if !hit {
            report.fault(sequence, "an appointment is displaced that no block reaches");
        }
        let event = AppointmentEvent::Displace;
        self.step(report, sequence, time, fact.appointment, event, Some(fact.patient));
        if let Some(appointment) = self.appointments.get_mut(&fact.appointment) {
            if appointment.status != AppointmentStatus::Booked {
                report.fault(sequence, "a hold is displaced instead of ended");
            }
            appointment.cause = Cause::Displaced;
        }
        self.give_back(report, sequence, &fact.claims, &[]);
        self.drop_queued(fact.appointment);
    }

    /// Another resource.
    pub(super) fn substitute(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        fact: &Substituted,
    ) {
        match self.sessions.get_mut(&fact.substitute.session) {
            Some(session) if session.resource == fact.from => {
                session.resource = fact.substitute.resource;
            }
            _ => report.fault(sequence, "a resource is replaced that was not there"),
        }
    }

    /// A place more, taken in the same record.
    pub(super) fn add_place(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        time: Timestamp,
        fact: &PlaceAdded,
    ) {
        let [claim] = fact.claims.as_slice() else {
            return report.fault(sequence, "a place is added that is not one");
        };
        let slots = self.sessions.get(&claim.session).map_or(0, crate::model::Session::slot_count);
        if claim.pool != PoolIndex::ADDED || claim.count != 1 || slots <= usize::from(claim.slot.0)
        {
            report.fault(sequence, "a place is added where none can be");
        }
        let appointment = fact.appointment(time);
        if self.appointments.insert(fact.appointment, appointment).is_some() {
            report.fault(sequence, "an appointment is held twice");
        }
        *self.taken.entry((claim.session, claim.slot.0, claim.pool.0)).or_default() += 1;
        if ADDED_PLACES_MAX < self.altered_of(claim.session).added_sum() {
            report.fault(sequence, "more places are added than may be");
        }
    }

    /// A hold for who was displaced.
    pub(super) fn offer(&mut self, report: &mut AuditReport, sequence: Sequence, fact: &Offered) {
        let displaced = self.appointments.get(&fact.displaced);
        if !displaced
            .is_some_and(|one| one.is_displaced() && self.person(one.patient) == fact.held.patient)
        {
            report.fault(sequence, "an offer is made to nobody who was displaced");
        }
        self.hold(report, sequence, &fact.held);
        if let Some(hold) = self.appointments.get_mut(&fact.held.appointment) {
            hold.cause = Cause::Displaced;
        }
    }

    /// The places that an appointment takes.
    pub(super) fn places_of(&self, id: AppointmentId) -> Claims {
        self.appointments.get(&id).map_or_else(Claims::new, |one| Claims::from_slice(one.places()))
    }

    /// Blocked slots and added places of a session: every added place is taken.
    pub(super) fn altered_of(&self, id: SessionId) -> Alterations {
        let mut altered = self.altered.get(&id).cloned().unwrap_or_default();
        let first = (id, 0, PoolIndex::ADDED.0);
        for ((_, slot, pool), taken) in self.taken.range(first..=(id, u16::MAX, u8::MAX)) {
            if *pool == PoolIndex::ADDED.0 && 0 < *taken {
                let added = u16::try_from(*taken).unwrap_or(u16::MAX);
                altered.added.insert(SlotIndex(*slot), added);
            }
        }
        altered
    }
}
