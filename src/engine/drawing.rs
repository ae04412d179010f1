//! Decides what happens in a draw: an entry, its beacon, the reveal, and each entry by rank.
//!
//! ```text
//! under the lock      without it           under the lock           under short locks
//! DrawInput::of  -->  DrawPlan::of  -->  decide_reveal (1 fact)  -->  decide_draw_step, one by one
//!                     ranks, allots
//! ```
//!
//! After a crash the plan is made again from those who still wait and the places that are left: the
//! entries that were decided are the first of the order, and what is left of it is the same.

#![expect(clippy::rc_buffer, reason = "it grows in place while nobody shares it")]

use std::sync::Arc;

use super::draws::{DrawState, Waiting};
use super::session::SessionState;
use super::view::{Context, Decision, View};
use super::waitlist::join_undrawn;
use crate::draw::{NodeKey, Places, entries_digest, final_seed, rank, receipt, result_digest};
use crate::model::limits::DRAW_ENTRIES_MAX;
use crate::model::{
    Appointment, AppointmentId, AppointmentStatus, BeaconGiven, Cause, Claim, ClaimRequest,
    DrawChoice, DrawEntry, DrawId, DrawReading, DrawRevealed, DrawWon, Entered, EntryEnded, Fact,
    Facts, Hold, Outcome, PatientId, PoolIndex, Receipt, Refusal, RevealDraw, Seed, SlotChoice,
    SlotIndex, Timestamp,
};

/// What a draw is made from, as it was at one moment.
#[derive(Debug)]
pub struct DrawInput {
    draw: DrawId,
    waiting: Arc<Vec<Waiting>>,
    places: Places,
    beacon: Option<String>,
    /// The seed, where it was revealed before.
    seed: Option<Seed>,
    commitment: Option<crate::model::DrawHash>,
}

/// What every entry comes to, in the order of ranks.
#[derive(Debug)]
pub struct DrawPlan {
    /// What it was made from: entries that changed make another plan necessary.
    waiting: Arc<Vec<Waiting>>,
    /// What is to be revealed.
    revealed: DrawRevealed,
    /// The steps, by rank.
    steps: Vec<DrawStep>,
    /// The steps up to here have been done.
    done: usize,
    /// Whether the draw was revealed before this plan was made.
    is_revealed: bool,
}

/// What one entry comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrawStep {
    /// The appointment.
    pub appointment: AppointmentId,
    /// The first slot that it wins.
    pub won: Option<SlotIndex>,
}

/// Why there is no plan: the key of the node is not the one that the draw is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherKey;

impl DrawInput {
    /// What a draw that is due is made from.
    pub fn of(session: &SessionState, state: &DrawState) -> Self {
        let pool = state.id().pool;
        let free = || session.slots().map(|slot| session.free(slot, pool)).collect::<Vec<_>>();
        Self {
            draw: state.id(),
            waiting: Arc::clone(state.waiting()),
            places: state.left().cloned().unwrap_or_else(|| Places::new(&free())),
            beacon: state.beacon().cloned(),
            seed: state.revealed().map(|revealed| revealed.seed),
            commitment: state.terms().commitment,
        }
    }

    /// Which draw.
    pub const fn draw(&self) -> DrawId {
        self.draw
    }
}

impl DrawPlan {
    /// Ranks all entries and allots the places. It takes long where there are many: no lock is held.
    ///
    /// # Errors
    ///
    /// [`OtherKey`], with nothing revealed.
    pub fn of(input: DrawInput, key: &NodeKey) -> Result<Self, OtherKey> {
        let DrawInput { draw, waiting, mut places, beacon, seed, commitment } = input;
        let is_revealed = seed.is_some();
        let seed = match seed {
            Some(seed) => seed,
            None if commitment == Some(key.commitment(draw)) => key.seed(draw),
            None => return Err(OtherKey),
        };
        let before = places.free().to_vec();
        let pseudonyms = waiting.iter().map(|waiting| waiting.entry.pseudonym);
        let order = rank(&final_seed(draw, &seed, beacon.as_deref()), pseudonyms);
        let ranked = order.iter().filter_map(|ranked| waiting.get(ranked.position as usize));
        let results: Vec<_> =
            ranked.map(|waiting| (waiting, places.give(&waiting.entry.choice))).collect();
        let mut canonical: Vec<&DrawEntry> = waiting.iter().map(|waiting| &waiting.entry).collect();
        canonical.sort_unstable_by_key(|entry| entry.pseudonym);
        let winners = results.iter().filter(|(_, won)| won.is_some()).count();
        let steps = results
            .iter()
            .map(|(waiting, won)| DrawStep { appointment: waiting.appointment, won: *won })
            .collect();
        let revealed = DrawRevealed {
            draw,
            seed,
            beacon,
            entries: u32::try_from(waiting.len()).unwrap_or(u32::MAX),
            entries_digest: entries_digest(draw, canonical.into_iter()),
            places: before,
            winners: u32::try_from(winners).unwrap_or(u32::MAX),
            result_digest: result_digest(
                draw,
                results.iter().map(|(waiting, won)| (waiting.entry.pseudonym, *won)),
            ),
        };
        Ok(Self { waiting, revealed, steps, done: 0, is_revealed })
    }

    /// Which draw.
    pub const fn draw(&self) -> DrawId {
        self.revealed.draw
    }

    /// Whether the seed is known already.
    pub const fn is_revealed(&self) -> bool {
        self.is_revealed
    }

    /// The entries are not shared any more: from here on they leave one by one.
    pub fn note_revealed(&mut self) {
        self.is_revealed = true;
        self.waiting = Arc::default();
    }

    /// The next step.
    pub fn next_step(&self) -> Option<DrawStep> {
        self.steps.get(self.done).copied()
    }

    /// Whether entries to come have a place to win.
    pub fn has_winners(&self) -> bool {
        let won = self.steps.iter().skip(self.done).take(WINNERS_AHEAD);
        won.clone().any(|step| step.won.is_some())
    }

    /// Goes on to the step after.
    pub fn note_done(&mut self) {
        self.done = self.done.saturating_add(1);
    }
}

/// Decides an entry: the wish of a hold in the window of a draw.
pub(super) fn decide_entry(
    session: &SessionState,
    context: &Context<'_>,
    hold: &Hold,
    (patient, pool): (PatientId, PoolIndex),
) -> Result<Decision, Refusal> {
    let state = session.draw(pool).ok_or(Outcome::DrawNotFound)?;
    let [wish] = hold.claims.as_slice() else { return Err(Outcome::EntryInvalid.into()) };
    let choice = choice_of(hold, wish);
    if hold.book.is_some() || usize::from(state.terms().preferences_max) < choice.slots.len() {
        return Err(Outcome::EntryInvalid.into());
    }
    if DRAW_ENTRIES_MAX <= state.waiting().len() {
        return Err(Outcome::DrawFull.into());
    }
    let key = context.key.ok_or(Outcome::DrawKeyMissing)?;
    let draw = state.id();
    let until = state.terms().closes;
    let claims = std::iter::once(choice.claim(draw)).collect();
    let receipt = Receipt {
        status: Some(AppointmentStatus::Waitlist),
        until,
        claims,
        retried: false,
        appointment: None,
    };
    let entry = DrawEntry { pseudonym: key.pseudonym(draw, patient), choice };
    let fact = Fact::Entered(Box::new(Entered {
        appointment: hold.appointment,
        patient,
        account: hold.keys.account,
        organization: session.spec().organization,
        channel: hold.channel,
        sharing: session.spec().sharing,
        until,
        fingerprint: hold.fingerprint(),
        rules: context.rules.version,
        draw,
        entry,
    }));
    Ok(Decision { facts: std::iter::once(fact).collect(), receipt, refused: None })
}

fn choice_of(hold: &Hold, wish: &ClaimRequest) -> DrawChoice {
    let slots = match &wish.slots {
        SlotChoice::Any => arrayvec::ArrayVec::new(),
        SlotChoice::Ranked(slots) => slots.clone(),
    };
    DrawChoice { class: hold.class, count: wish.count, slots }
}

/// Decides the value of a beacon.
///
/// # Errors
///
/// The refusal with the lowest code of those that apply. Nothing happens then.
pub fn decide_beacon(
    view: &View<'_>,
    context: &Context<'_>,
    reveal: &RevealDraw,
) -> Result<Decision, Refusal> {
    let fingerprint = reveal.fingerprint();
    if let Some(retry) = view.repeated(context.now, reveal.request, fingerprint)? {
        return Ok(retry);
    }
    let session = view.permitted(context, reveal.draw.session)?;
    let state = session.draw(reveal.draw.pool).ok_or(Outcome::DrawNotFound)?;
    if !awaits_beacon(state, context.openings) {
        return Err(Outcome::BeaconNotAwaited.into());
    }
    if !reveal.is_sound() {
        return Err(Outcome::BeaconInvalid.into());
    }
    let RevealDraw { request, draw, beacon } = reveal.clone();
    let fact = BeaconGiven { request, fingerprint, draw, beacon };
    Ok(Decision::done(context.now, Fact::BeaconGiven(Box::new(fact))))
}

/// Whether entries have ended, a beacon was named, and its time is not over.
fn awaits_beacon(state: &DrawState, now: Timestamp) -> bool {
    let terms = state.terms();
    let in_time = terms.beacon.is_some_and(|beacon| terms.closes <= now && now < beacon.until);
    in_time && state.beacon().is_none() && state.revealed().is_none()
}

/// Decides the reveal. `None` where the plan is another one's: the draw is not due, is revealed, or
/// has other entries or places than the plan was made from.
pub fn decide_reveal(session: &SessionState, now: Timestamp, plan: &DrawPlan) -> Option<Facts> {
    let state = session.draw(plan.draw().pool)?;
    let is_due = state.next_due().is_some_and(|due| due <= now) && state.revealed().is_none();
    let pool = state.id().pool;
    let same_places = session.slots().map(|slot| session.free(slot, pool)).eq(plan
        .revealed
        .places
        .iter()
        .copied());
    let is_same = Arc::ptr_eq(state.waiting(), &plan.waiting)
        && state.beacon() == plan.revealed.beacon.as_ref()
        && same_places;
    let fact = Fact::DrawRevealed(Box::new(plan.revealed.clone()));
    (is_due && is_same).then(|| std::iter::once(fact).collect())
}

/// Decides the next entry of a draw that is revealed. `None` where it was decided before.
pub fn decide_draw_step(
    view: &View<'_>,
    context: &Context<'_>,
    draw: DrawId,
    step: DrawStep,
) -> Option<Facts> {
    let session = view.session(draw.session)?;
    let state = session.draw(draw.pool)?;
    state.revealed()?;
    let choice = state.entry(step.appointment)?.choice.clone();
    let count = choice.count;
    let appointment = view.appointment(step.appointment)?;
    let claim = |slot| Claim { session: draw.session, slot, count, pool: draw.pool };
    // A block since the reveal takes what was won there.
    let won = step.won.map(claim).filter(|claim| session.reason_of_block(claim).is_none());
    if let Some(claim) = won {
        let until = context.now.after(state.terms().ttl);
        let fact = Fact::DrawWon(DrawWon { appointment: step.appointment, until, claim });
        return Some(std::iter::once(fact).collect());
    }
    let Appointment { id, patient, .. } = appointment;
    let cause = Cause::NotDrawn;
    let ended = EntryEnded { request: None, draw, appointment: id, patient, cause };
    // Entries come here in drawn order, and wait on in it.
    let joined = join_undrawn(view, context, &appointment, &choice);
    Some(std::iter::once(Fact::EntryEnded(ended)).chain(joined).collect())
}

/// Refuses to withdraw an entry after the close, until the draw has decided it.
pub(super) fn refuse_withdrawal(
    view: &View<'_>,
    context: &Context<'_>,
    draw: DrawId,
) -> Result<(), Refusal> {
    let state = view.session(draw.session).and_then(|session| session.draw(draw.pool));
    match state {
        Some(state) if !state.is_collecting(context.openings) => Err(pending(state, context)),
        _ => Ok(()),
    }
}

/// Nothing can be had or changed before the draw is made.
pub(super) fn pending(state: &DrawState, context: &Context<'_>) -> Refusal {
    let due = state.next_due().unwrap_or(context.openings);
    let soon = context.openings.plus_millis(PENDING_MILLIS);
    Refusal::until(Outcome::DrawPending, context.openings, due.max(soon))
}

/// Where a draw stands, for who asks.
pub fn read_draw(
    session: &SessionState,
    draw: DrawId,
    entrant: Option<AppointmentId>,
) -> Option<DrawReading> {
    let state = session.draw(draw.pool)?;
    let opens = session.spec().pools.get(usize::from(draw.pool.0))?.terms.opens;
    let entry = entrant.and_then(|appointment| state.entry(appointment));
    Some(DrawReading {
        draw,
        opens,
        terms: *state.terms(),
        waiting: u32::try_from(state.waiting().len()).unwrap_or(u32::MAX),
        beacon: state.beacon().cloned(),
        revealed: state.revealed().cloned(),
        receipt: entry.map(|entry| receipt(draw, entry)),
    })
}

/// When to come back while a draw is being made: it takes about a second.
const PENDING_MILLIS: u64 = 1_000;

/// Steps that are looked at to tell whether winners are still to come.
const WINNERS_AHEAD: usize = 256;
