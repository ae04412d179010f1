//! From the facts of a journal or a feed to a published draw.

use std::collections::BTreeMap;

use super::file::{DrawFile, FileEntry};
use crate::model::{
    AppointmentId, Cause, DrawEntry, DrawId, DrawRevealed, Fact, Session, SlotIndex, Timestamp,
};

/// Gathers one draw from facts: what happened, not what should have.
#[derive(Debug)]
pub struct Collector {
    draw: DrawId,
    session: Option<(Timestamp, crate::model::Draw)>,
    waiting: BTreeMap<AppointmentId, DrawEntry>,
    revealed: Option<DrawRevealed>,
    decided: Vec<FileEntry>,
}

/// Why there is nothing to publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unpublished {
    /// No session with such a draw was opened in these facts.
    #[error("no session with this draw was opened in these records")]
    Unknown,
    /// The seed is secret yet.
    #[error("the draw is not made yet: its seed is secret until then")]
    Undrawn,
    /// Some entries wait for their turn.
    #[error("{0} entries are not decided yet; ask again in a moment")]
    Unfinished(usize),
}

impl Collector {
    /// Nothing yet.
    pub const fn new(draw: DrawId) -> Self {
        Self { draw, session: None, waiting: BTreeMap::new(), revealed: None, decided: Vec::new() }
    }

    /// Takes the next fact.
    pub fn add(&mut self, fact: &Fact) {
        match fact {
            Fact::SessionOpened(opened) => self.open(&opened.session),
            Fact::Entered(entered) if entered.draw == self.draw => {
                self.waiting.insert(entered.appointment, entered.entry.clone());
            }
            Fact::DrawRevealed(revealed) if revealed.draw == self.draw => {
                self.revealed = Some(DrawRevealed::clone(revealed));
            }
            Fact::DrawWon(won) if won.draw() == self.draw => {
                self.decide(won.appointment, Some(won.claim.slot));
            }
            Fact::EntryEnded(ended) if ended.draw == self.draw => match ended.cause {
                Cause::NotDrawn => self.decide(ended.appointment, None),
                _ => drop(self.waiting.remove(&ended.appointment)),
            },
            _ => {}
        }
    }

    /// The draw, if it is over.
    ///
    /// # Errors
    ///
    /// [`Unpublished`].
    pub fn finish(mut self) -> Result<DrawFile, Unpublished> {
        let (opens, terms) = self.session.ok_or(Unpublished::Unknown)?;
        let revealed = self.revealed.ok_or(Unpublished::Undrawn)?;
        if !self.waiting.is_empty() {
            return Err(Unpublished::Unfinished(self.waiting.len()));
        }
        self.decided.sort_unstable_by_key(|line| line.entry.pseudonym);
        Ok(DrawFile {
            draw: self.draw,
            opens,
            closes: terms.closes,
            commitment: terms.commitment.ok_or(Unpublished::Unknown)?,
            beacon_name: terms.beacon.map(|beacon| beacon.name),
            beacon: revealed.beacon,
            seed: revealed.seed,
            places: revealed.places,
            entries_digest: revealed.entries_digest,
            result_digest: revealed.result_digest,
            entries: self.decided,
        })
    }

    fn open(&mut self, session: &Session) {
        if session.id == self.draw.session {
            let pool = session.pools.get(usize::from(self.draw.pool.0));
            self.session = pool.and_then(|pool| Some((pool.terms.opens, pool.terms.draw?)));
        }
    }

    fn decide(&mut self, appointment: AppointmentId, won: Option<SlotIndex>) {
        let Some(entry) = self.waiting.remove(&appointment) else { return };
        let rank = u32::try_from(self.decided.len()).unwrap_or(u32::MAX).saturating_add(1);
        self.decided.push(FileEntry { entry, rank, won });
    }
}
