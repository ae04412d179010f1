//! A draw as a session keeps it: the entries that wait, and what was revealed.
//!
//! ```text
//! collecting   entries come and go             until the close; then they stay as they are
//! drawing      revealed, entries leave by rank     each won or lost, one fact each
//! over         revealed, no entry left         what is free is for whoever comes first
//! ```
//!
//! **Architecture invariant:** the seed is in no state before [`DrawRevealed`] is: it follows from a key
//! that is not here. The order of the draw is in no state at all: it follows from the seed and from
//! who waits.

#![expect(clippy::rc_buffer, reason = "it grows in place while nobody shares it")]

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::draw::Places;
use crate::model::{
    AppointmentId, Draw, DrawEntry, DrawId, DrawRevealed, Entered, EntryEnded, Timestamp,
};

/// A draw of a session.
#[derive(Clone, Debug)]
pub struct DrawState {
    draw: DrawId,
    terms: Draw,
    /// In no order that means anything. Shared with who ranks them without the lock.
    waiting: Arc<Vec<Waiting>>,
    /// Where each lies in `waiting`: derived.
    positions: BTreeMap<AppointmentId, usize>,
    beacon: Option<String>,
    revealed: Option<Box<Revealed>>,
}

/// An entry that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its appointment.
    pub appointment: AppointmentId,
    /// The entry.
    pub entry: DrawEntry,
}

/// What was revealed, and how far the draw has come.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Revealed {
    fact: DrawRevealed,
    left: Places,
}

impl DrawState {
    /// A draw that nobody has entered.
    pub(super) fn new(draw: DrawId, terms: Draw) -> Self {
        Self {
            draw,
            terms,
            waiting: Arc::default(),
            positions: BTreeMap::new(),
            beacon: None,
            revealed: None,
        }
    }

    /// Which draw.
    pub const fn id(&self) -> DrawId {
        self.draw
    }

    /// Its terms.
    pub const fn terms(&self) -> &Draw {
        &self.terms
    }

    /// The entries that wait, in no order that means anything.
    pub const fn waiting(&self) -> &Arc<Vec<Waiting>> {
        &self.waiting
    }

    /// The entry of an appointment, if it waits.
    pub fn entry(&self, appointment: AppointmentId) -> Option<&DrawEntry> {
        let position = self.positions.get(&appointment)?;
        self.waiting.get(*position).map(|waiting| &waiting.entry)
    }

    /// The value of the beacon, if it was given.
    pub const fn beacon(&self) -> Option<&String> {
        self.beacon.as_ref()
    }

    /// What was revealed.
    pub fn revealed(&self) -> Option<&DrawRevealed> {
        self.revealed.as_ref().map(|revealed| &revealed.fact)
    }

    /// The places that nobody has won yet, once the draw is revealed.
    pub fn left(&self) -> Option<&Places> {
        self.revealed.as_ref().map(|revealed| &revealed.left)
    }

    /// Whether every entry was decided.
    pub fn is_over(&self) -> bool {
        self.revealed.is_some() && self.waiting.is_empty()
    }

    /// Whether entries are being decided.
    pub fn is_drawing(&self) -> bool {
        self.revealed.is_some() && !self.waiting.is_empty()
    }

    /// Whether entries may come and go.
    pub fn is_collecting(&self, now: Timestamp) -> bool {
        self.revealed.is_none() && now < self.terms.closes
    }

    /// When there is something to do; `None` once it is over.
    pub fn next_due(&self) -> Option<Timestamp> {
        (!self.is_over()).then(|| self.terms.due(self.beacon.is_some()))
    }

    /// Puts the values of a snapshot in.
    pub fn restore(&mut self, beacon: Option<String>, revealed: Option<(DrawRevealed, Vec<u16>)>) {
        self.beacon = beacon;
        self.revealed =
            revealed.map(|(fact, left)| Box::new(Revealed { fact, left: Places::new(&left) }));
    }

    /// Puts an entry in, as a fact or a snapshot brings it.
    ///
    /// # Panics
    ///
    /// Panics if the appointment has entered already.
    pub fn insert(&mut self, waiting: Waiting) {
        let earlier = self.positions.insert(waiting.appointment, self.waiting.len());
        assert!(
            earlier.is_none(),
            "an impossible fact: {:032x} enters twice",
            waiting.appointment.0
        );
        Arc::make_mut(&mut self.waiting).push(waiting);
    }

    pub(super) fn enter(&mut self, fact: &Entered) {
        assert!(self.revealed.is_none(), "an impossible fact: an entry after the draw");
        self.insert(Waiting { appointment: fact.appointment, entry: fact.entry.clone() });
    }

    /// An entry ends. What it won in a slot that was blocked since nobody else wins: the next by rank
    /// get what they would have got.
    pub(super) fn end(&mut self, fact: &EntryEnded) {
        if let Some(position) = self.positions.get(&fact.appointment)
            && let Some(waiting) = self.waiting.get(*position)
            && let Some(revealed) = &mut self.revealed
        {
            revealed.left.give(&waiting.entry.choice);
        }
        self.remove(fact.appointment);
    }

    pub(super) fn give_beacon(&mut self, beacon: &str) {
        assert!(self.revealed.is_none(), "an impossible fact: a beacon after the draw");
        self.beacon = Some(beacon.to_owned());
    }

    pub(super) fn reveal(&mut self, fact: &DrawRevealed) {
        assert!(self.revealed.is_none(), "an impossible fact: a draw is revealed twice");
        let left = Places::new(&fact.places);
        self.revealed = Some(Box::new(Revealed { fact: fact.clone(), left }));
    }

    pub(super) fn win(&mut self, appointment: AppointmentId, claim: &crate::model::Claim) {
        let revealed = self.revealed.as_mut().expect("an impossible fact: a winner without a draw");
        assert!(
            revealed.left.has_room(claim.slot, claim.count),
            "an impossible fact: {:032x} wins a place that is gone",
            appointment.0
        );
        revealed.left.take(claim.slot, claim.count);
        self.remove(appointment);
    }

    fn remove(&mut self, appointment: AppointmentId) {
        let position = self.positions.remove(&appointment).unwrap_or_else(|| {
            panic!("an impossible fact: {:032x} is no entry that waits", appointment.0)
        });
        let waiting = Arc::make_mut(&mut self.waiting);
        waiting.swap_remove(position);
        if let Some(moved) = waiting.get(position) {
            self.positions.insert(moved.appointment, position);
        }
        if waiting.is_empty() {
            // It will not be needed again: the memory of a hundred thousand entries.
            *waiting = Vec::new();
        }
    }
}

impl PartialEq for DrawState {
    fn eq(&self, other: &Self) -> bool {
        let sorted = |state: &Self| {
            let mut waiting = state.waiting.to_vec();
            waiting.sort_unstable_by_key(|waiting| waiting.appointment);
            waiting
        };
        (self.draw, &self.terms, &self.beacon, &self.revealed)
            == (other.draw, &other.terms, &other.beacon, &other.revealed)
            && sorted(self) == sorted(other)
    }
}

impl Eq for DrawState {}
