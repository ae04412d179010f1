//! A draw is revealed once, after its close and as it was committed to; its entries are decided in the
//! order that follows from the seed, and every one of them is.

use std::collections::{BTreeMap, BTreeSet};

use haoyuan::draw::{commitment, final_seed, rank};
use haoyuan::model::{
    AppointmentId, Cause, DrawId, DrawRevealed, Entered, Fact, PatientId, Pseudonym, Timestamp,
};

use super::{History, Invariant, Sight, ensure};

#[derive(Default)]
pub(super) struct DrawnInOrder {
    /// Who waits in which draw, by pseudonym.
    waiting: BTreeMap<DrawId, BTreeMap<Pseudonym, (AppointmentId, PatientId)>>,
    /// Who is to be decided next, the last of them first.
    order: BTreeMap<DrawId, Vec<AppointmentId>>,
    revealed: BTreeSet<DrawId>,
}

impl Invariant for DrawnInOrder {
    fn name(&self) -> &'static str {
        "drawn_in_order"
    }

    fn see(&mut self, sight: &Sight<'_>, history: &History) -> Result<(), String> {
        match sight {
            Sight::Durable(record) => {
                let mut facts = record.facts.iter();
                facts.try_for_each(|fact| self.see_fact(record.time, fact, history))
            }
            Sight::Healed { .. } => {
                let left = self.waiting.iter().find(|(_, waiting)| !waiting.is_empty());
                ensure(left.is_none(), || format!("entries were never decided: {left:?}"))
            }
            _ => Ok(()),
        }
    }
}

impl DrawnInOrder {
    fn see_fact(&mut self, time: Timestamp, fact: &Fact, all: &History) -> Result<(), String> {
        if let Fact::Entered(entered) = fact {
            return self.enter(time, entered, all);
        }
        if let Fact::DrawRevealed(revealed) = fact {
            return self.reveal(time, revealed, all);
        }
        if let Fact::DrawWon(won) = fact {
            return self.decide(won.draw(), won.appointment);
        }
        match fact {
            Fact::EntryEnded(ended) if ended.cause == Cause::NotDrawn => {
                self.decide(ended.draw, ended.appointment)
            }
            Fact::EntryEnded(ended) => {
                let what = || format!("{ended:?} after the reveal, or of nobody who waits");
                ensure(!self.revealed.contains(&ended.draw), what)?;
                ensure(self.leave(ended.draw, ended.appointment), what)
            }
            _ => Ok(()),
        }
    }

    fn enter(&mut self, time: Timestamp, entered: &Entered, all: &History) -> Result<(), String> {
        let session = all.sessions.get(&entered.draw.session).ok_or("no such session")?;
        let terms = session.pools[usize::from(entered.draw.pool.0)].terms;
        ensure(terms.draw.is_some(), || format!("{entered:?} where nothing is drawn"))?;
        // While the clock is in doubt openings stand still, and so does a close.
        let is_open = terms.opens <= time && !self.revealed.contains(&entered.draw);
        ensure(is_open, || format!("{entered:?} out of time"))?;
        let waiting = self.waiting.entry(entered.draw).or_default();
        let who = (entered.appointment, entered.patient);
        let twice = waiting.insert(entered.entry.pseudonym, who).is_some()
            || waiting.values().filter(|other| other.1 == entered.patient).count() != 1;
        ensure(!twice, || format!("patient {} entered twice", entered.patient.0))
    }

    fn reveal(
        &mut self,
        time: Timestamp,
        revealed: &DrawRevealed,
        all: &History,
    ) -> Result<(), String> {
        let id = revealed.draw;
        let session = all.sessions.get(&id.session).ok_or("no such session")?;
        let draw = session.pools[usize::from(id.pool.0)].terms.draw.ok_or("no such draw")?;
        ensure(self.revealed.insert(id), || format!("{id} is revealed twice"))?;
        ensure(draw.closes <= time, || format!("{id} is revealed before its close"))?;
        let bound = Some(commitment(id, &revealed.seed)) == draw.commitment;
        ensure(bound, || format!("the seed of {id} is not the one that was committed to"))?;
        let waiting = self.waiting.entry(id).or_default();
        ensure(waiting.len() == revealed.entries as usize, || format!("{id}: other entries"))?;
        let seed = final_seed(id, &revealed.seed, revealed.beacon.as_deref());
        let ranked = rank(&seed, waiting.keys().copied());
        let ids: Vec<AppointmentId> = waiting.values().map(|(id, _)| *id).collect();
        let order = ranked.iter().rev().map(|ranked| ids[ranked.position as usize]);
        self.order.insert(id, order.collect());
        Ok(())
    }

    fn decide(&mut self, draw: DrawId, appointment: AppointmentId) -> Result<(), String> {
        let next = self.order.get_mut(&draw).and_then(Vec::pop);
        ensure(next == Some(appointment), || format!("{draw}: {next:x?} was before others"))?;
        ensure(self.leave(draw, appointment), || format!("{draw}: decided twice"))
    }

    /// Whether they waited.
    fn leave(&mut self, draw: DrawId, appointment: AppointmentId) -> bool {
        let waiting = self.waiting.entry(draw).or_default();
        let before = waiting.len();
        waiting.retain(|_, (id, _)| *id != appointment);
        waiting.len() < before
    }
}
