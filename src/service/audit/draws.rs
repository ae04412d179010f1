//! The audit of draws: who entered, what was revealed, and whether each got what the seed gives.
//!
//! **Architecture invariant:** the account shares nothing with the engine but the vocabulary and the
//! mathematics of a draw, which anybody can check.

use std::collections::{BTreeMap, BTreeSet};

use super::super::digest::Digest;
use super::{Account, AuditReport, slots};
use crate::codec::DrawHead;
use crate::draw::{Places, commitment, entries_digest, final_seed, rank};
use crate::model::{
    Appointment, AppointmentEvent, AppointmentId, AppointmentStatus, BeaconGiven, Cause, Claim,
    Draw, DrawEntry, DrawId, DrawRevealed, DrawWon, Entered, EntryEnded, PoolIndex, Pseudonym,
    Sequence, Session, SlotIndex, Timestamp,
};

/// A draw, and what became of its entries.
#[derive(Debug)]
pub(super) struct AuditedDraw {
    terms: Draw,
    opens: Timestamp,
    waiting: BTreeMap<AppointmentId, DrawEntry>,
    entrants: BTreeSet<Pseudonym>,
    beacon: Option<String>,
    revealed: Option<DrawRevealed>,
    left: Option<Places>,
    /// What each entry has to come to, the next one last.
    due: Vec<(AppointmentId, Option<SlotIndex>)>,
}

impl AuditedDraw {
    /// Whether places of its pool are for whoever comes.
    pub(super) fn may_take(&self) -> bool {
        self.revealed.is_some() && self.waiting.is_empty()
    }
}

impl Account {
    /// Notes the draws of a session, to which the node must be bound.
    pub(super) fn announce(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        session: &Session,
    ) {
        for (pool, terms) in (0..).map(PoolIndex).zip(session.pools.iter().map(|pool| pool.terms)) {
            let Some(draw) = terms.draw else { continue };
            if draw.commitment.is_none() {
                report.fault(sequence, "a draw is announced without a commitment");
            }
            let audited = AuditedDraw {
                terms: draw,
                opens: terms.opens,
                waiting: BTreeMap::new(),
                entrants: BTreeSet::new(),
                beacon: None,
                revealed: None,
                left: None,
                due: Vec::new(),
            };
            self.draws.insert(DrawId { session: session.id, pool }, audited);
        }
    }

    /// An entry: before the reveal, one for each patient.
    pub(super) fn enter(&mut self, report: &mut AuditReport, sequence: Sequence, fact: &Entered) {
        let appointment = Appointment {
            id: fact.appointment,
            patient: fact.patient,
            account: fact.account,
            organization: fact.organization,
            channel: fact.channel,
            class: fact.entry.choice.class,
            sharing: fact.sharing,
            status: AppointmentStatus::Waitlist,
            cause: Cause::None,
            until: fact.until,
            fingerprint: fact.fingerprint,
            payment: None,
            rules: fact.rules,
            claims: std::iter::once(fact.entry.choice.claim(fact.draw)).collect(),
        };
        if self.appointments.insert(fact.appointment, appointment).is_some() {
            report.fault(sequence, "an appointment enters that there was before");
        }
        let Some(draw) = self.draws.get_mut(&fact.draw) else {
            return report.fault(sequence, "an entry is in no draw");
        };
        if draw.revealed.is_some() || fact.until != draw.terms.closes {
            report.fault(sequence, "an entry comes after the draw, or names another close");
        }
        if !draw.entrants.insert(fact.entry.pseudonym) {
            report.fault(sequence, "a patient enters a draw twice");
        }
        draw.waiting.insert(fact.appointment, fact.entry.clone());
    }

    /// The value of a beacon: once, of a draw that names one.
    pub(super) fn give_beacon(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        fact: &BeaconGiven,
    ) {
        let Some(draw) = self.draws.get_mut(&fact.draw) else {
            return report.fault(sequence, "a beacon is given for no draw");
        };
        if draw.terms.beacon.is_none() || draw.beacon.is_some() || draw.revealed.is_some() {
            report.fault(sequence, "a beacon is given that is not awaited");
        }
        draw.beacon = Some(fact.beacon.clone());
    }

    /// The reveal: of the seed that was promised, for the entries that there are.
    pub(super) fn reveal(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        time: Timestamp,
        fact: &DrawRevealed,
    ) {
        let Some(draw) = self.draws.get_mut(&fact.draw) else {
            return report.fault(sequence, "a draw is revealed that there is not");
        };
        if draw.revealed.is_some() || time < draw.terms.due(draw.beacon.is_some()) {
            report.fault(sequence, "a draw is revealed twice or too early");
        }
        if draw.terms.commitment != Some(commitment(fact.draw, &fact.seed)) {
            report.fault(sequence, "the seed of a draw is not the one that was promised");
        }
        let mut canonical: Vec<_> = draw.waiting.values().collect();
        canonical.sort_unstable_by_key(|entry| entry.pseudonym);
        if entries_digest(fact.draw, canonical.into_iter()) != fact.entries_digest
            || draw.beacon != fact.beacon
            || draw.opens >= draw.terms.closes
        {
            report.fault(sequence, "a draw is made from other entries than there are");
        }
        draw.revealed = Some(fact.clone());
        let mut places = Places::new(&fact.places);
        draw.left = Some(places.clone());
        let entries: Vec<_> = draw.waiting.iter().collect();
        let seed = final_seed(fact.draw, &fact.seed, fact.beacon.as_deref());
        let order = rank(&seed, entries.iter().map(|(_, entry)| entry.pseudonym));
        let ranked = order.iter().filter_map(|ranked| entries.get(ranked.position as usize));
        let mut due: Vec<_> =
            ranked.map(|(id, entry)| (**id, places.give(&entry.choice))).collect();
        due.reverse();
        draw.due = due;
    }

    /// A winner: the next by rank, with the place that the seed gives.
    pub(super) fn win(&mut self, report: &mut AuditReport, sequence: Sequence, fact: &DrawWon) {
        self.decide(report, sequence, fact.draw(), (fact.appointment, Some(fact.claim.slot)));
        let draw = self.draws.get_mut(&fact.draw());
        if let Some(left) = draw.and_then(|draw| draw.left.as_mut()) {
            left.take(fact.claim.slot, fact.claim.count);
        }
        let event = AppointmentEvent::Win;
        self.step(report, sequence, fact.until, fact.appointment, event, None);
        if let Some(appointment) = self.appointments.get_mut(&fact.appointment) {
            appointment.claims = std::iter::once(fact.claim).collect();
        }
        self.take_drawn(report, sequence, std::slice::from_ref(&fact.claim));
    }

    /// An entry that ends without a place: withdrawn before the draw, or the next by rank.
    pub(super) fn end_entry(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        time: Timestamp,
        fact: &EntryEnded,
    ) {
        let event = if fact.cause == Cause::NotDrawn {
            let lost = self.lost_to_block(fact);
            self.decide(
                report,
                sequence,
                fact.draw,
                (fact.appointment, lost.map(|lost| lost.slot)),
            );
            let draw = self.draws.get_mut(&fact.draw);
            if let (Some(left), Some(lost)) = (draw.and_then(|draw| draw.left.as_mut()), lost) {
                left.take(lost.slot, lost.count);
            }
            AppointmentEvent::Lose
        } else {
            let draw = self.draws.get_mut(&fact.draw);
            let draw = draw.filter(|draw| draw.revealed.is_none());
            let ended = draw.and_then(|draw| {
                let entry = draw.waiting.remove(&fact.appointment)?;
                Some(draw.entrants.remove(&entry.pseudonym))
            });
            if ended != Some(true) {
                report.fault(sequence, "an entry is withdrawn that does not wait");
            }
            AppointmentEvent::Release
        };
        self.step(report, sequence, time, fact.appointment, event, Some(fact.patient));
        if let Some(appointment) = self.appointments.get_mut(&fact.appointment) {
            appointment.cause = fact.cause;
        }
    }

    /// The place that the seed gives an entry in a slot that is blocked: then it comes to nothing.
    fn lost_to_block(&self, fact: &EntryEnded) -> Option<Claim> {
        let draw = self.draws.get(&fact.draw)?;
        let (_, slot) = draw.due.last().filter(|(id, _)| *id == fact.appointment)?;
        let count = draw.waiting.get(&fact.appointment)?.choice.count;
        let (session, pool) = (fact.draw.session, fact.draw.pool);
        let claim = Claim { session, slot: (*slot)?, count, pool };
        let altered = self.altered.get(&session)?;
        let is_blocked = |slot: u16| altered.blocked.contains_key(&SlotIndex(slot));
        slots(&claim).any(is_blocked).then_some(claim)
    }

    /// What an entry comes to has to be what the seed gives the next by rank.
    fn decide(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        draw: DrawId,
        came_to: (AppointmentId, Option<SlotIndex>),
    ) {
        let Some(draw) = self.draws.get_mut(&draw) else {
            return report.fault(sequence, "an entry of no draw is decided");
        };
        if draw.due.pop() != Some(came_to) || draw.waiting.remove(&came_to.0).is_none() {
            report.fault(sequence, "an entry comes to something else than the seed gives it");
        }
    }
}

/// Adds what draws came to to a digest.
pub(super) fn close(draws: &BTreeMap<DrawId, AuditedDraw>, digest: &mut Digest) {
    for (id, draw) in draws {
        let left = draw.left.as_ref().map(|left| left.free().to_vec());
        let revealed = draw.revealed.clone().zip(left);
        digest.draw(*id, DrawHead { beacon: draw.beacon.clone(), revealed });
        for (appointment, entry) in &draw.waiting {
            digest.entry(*id, *appointment, entry);
        }
    }
}
