//! The locks: which shards a command touches, in which order, and what happens under them.
//!
//! ```text
//! command -> sold out? (board, no lock)
//!         -> lock rules < homes < ledger < sessions -> decide -> append -> evolve -> unlock
//!                                                      engine    journal   engine
//! ```
//!
//! **Architecture invariant:** this is the only module that locks shards. A record gets its place in
//! the journal while every shard that it touches is locked, and nothing but memory happens under a
//! lock. So the journal lists the records of every shard in the order in which they were applied,
//! and one pass over it, front to back, gives the same state. The inventory does not know the
//! journal: it is handed `append`, which must only queue.

mod deadlines;
mod directory;
mod draws;
mod group;
mod ledgers;
mod payment;
mod probing;
mod recover;
mod restrictions;
mod routing;
mod rules;
mod shadow;
mod shards;
mod supply;
mod sweep;
#[cfg(test)]
mod tests;
mod upkeep;
mod waitlist;

use std::sync::Arc;

use arrayvec::ArrayVec;
use dashmap::DashMap;
use foldhash::fast::FixedState;

use self::deadlines::Deadlines;
use self::directory::Directory;
use self::group::Group;
use self::ledgers::Ledgers;
pub use self::recover::{Batch, Part};
use self::routing::session_route;
use self::shadow::ShadowCounts;
pub use self::shards::SHARD_COUNT;
use self::shards::{Locked, Shards};
use self::sweep::Sweeps;
use crate::engine::{
    Asker, Context, Decision, HomeShard, Places, Queue, Rulebook, SessionShard, View, decide_call,
    decide_change, decide_hold, decide_import, decide_open, decide_quotas, giving_way,
};
use crate::model::limits::{COMMAND_LEDGERS_MAX, GIVING_WAY_MAX, SESSION_CELLS_MAX};
use crate::model::{
    Actor, Answer, Appointment, AppointmentId, Availability, BookingChannel, CallNext, CallOrder,
    Change, Fact, Facts, Hold, LateRule, OpenSession, Outcome, PatientClass, PatientId, Reading,
    Receipt, Refusal, RequestId, RuleKey, RulesVersion, Sequence, Session, SessionId,
    SessionReading, SetQuotas,
};
use crate::sync::{Mutex, RwLock};

/// Every session, appointment and ledger of a node, behind locks.
#[derive(Debug)]
pub struct Inventory {
    homes: Shards<HomeShard>,
    ledgers: Ledgers,
    sessions: Shards<SessionShard>,
    /// The rules, version by version. Locked before everything else.
    rules: RwLock<Locked<Rulebook>>,
    /// The places of every session, to read without a lock.
    boards: DashMap<SessionId, Arc<Places>, FixedState>,
    /// Sessions by resource and kind: derived, to look for alternatives.
    directory: Directory,
    /// Blocks that may not have reached every appointment: derived. No shard is locked under it.
    sweeps: Mutex<Sweeps>,
    /// When holds of each home expire.
    due: Deadlines,
    /// When something is due in each shard of sessions.
    sessions_due: Deadlines,
    /// When draws of each shard of sessions are due.
    draws_due: Deadlines,
    /// How long requests are remembered, in milliseconds.
    retention_millis: u64,
    /// How waiting ended, by department: volatile.
    waited: waitlist::History,
    /// What rules in shadow would have refused: volatile.
    shadow: ShadowCounts,
}

/// What a row of history came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Imported {
    /// It was booked, now or in an earlier run.
    Booked(Receipt),
    /// It was refused, and the refusal is remembered.
    Declined(Outcome),
}

impl Inventory {
    /// An empty inventory. `seed` makes its tables hard to attack; it changes no answer.
    /// `retention_millis` is how long requests are remembered.
    pub fn new(seed: u64, retention_millis: u64) -> Self {
        let hasher = FixedState::with_seed(seed);
        let map_shards = 256;
        Self {
            homes: Shards::new(|| HomeShard::new(seed, retention_millis)),
            ledgers: Ledgers::new(seed),
            sessions: Shards::new(|| SessionShard::new(seed)),
            rules: RwLock::new(Locked::new(Rulebook::default())),
            boards: DashMap::with_hasher_and_shard_amount(hasher.clone(), map_shards),
            directory: Directory::new(hasher),
            sweeps: Mutex::new(Sweeps::default()),
            due: Deadlines::new(),
            sessions_due: Deadlines::new(),
            draws_due: Deadlines::new(),
            retention_millis,
            waited: waitlist::History::default(),
            shadow: ShadowCounts::default(),
        }
    }

    /// Why a hold finds no place, told from the board without a lock: there is none, or none that is
    /// open yet. `None` where it takes a closer look: more than one claim, an id that exists, a
    /// session of another organization.
    pub fn refuse_at_once(&self, context: &Context<'_>, hold: &Hold) -> Option<Refusal> {
        // Whether an account may hold at all is a rule's to say, and is said first.
        let [wish] = hold.claims.as_slice() else { return None };
        hold.patient?;
        let refusal = {
            let board = self.boards.get(&wish.session)?;
            let refusal =
                board.refuse(wish, hold.channel, hold.class, (context.now, context.openings));
            refusal.filter(|_| context.actor.may_touch(board.organization()))?
        };
        // The id last: a retry of the request that took the last place gets its success.
        (!self.knows(hold.appointment.request())).then_some(refusal)
    }

    /// Holds places, or refuses.
    pub fn hold(
        &self,
        context: &Context<'_>,
        hold: &Hold,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Answer<Receipt> {
        self.under_rules(context, |context| {
            let mut group = self.lock_for_hold(context, hold);
            let decided = self.decided(&group, context, |view, it| decide_hold(view, it, hold));
            self.conclude(&mut group, context, decided, append)
        })
    }

    /// Books a row of history, or remembers its refusal.
    pub fn import(
        &self,
        context: &Context<'_>,
        hold: &Hold,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Answer<Imported> {
        self.under_rules(context, |context| self.import_under(context, hold, append))
    }

    fn import_under(
        &self,
        context: &Context<'_>,
        hold: &Hold,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Answer<Imported> {
        let mut group = self.lock_for_hold(context, hold);
        match group.view(|view| decide_import(view, context, hold)) {
            Err(refusal) => Answer { after: group.last(), result: Err(refusal) },
            Ok(Ok(decision)) => {
                let answer = self.conclude(&mut group, context, Ok(decision), append);
                Answer { after: answer.after, result: answer.result.map(Imported::Booked) }
            }
            Ok(Err((facts, outcome))) => {
                let result = Ok(Imported::Declined(outcome));
                if facts.is_empty() {
                    return Answer { after: group.last(), result };
                }
                let after = self.carry_out(&mut group, context, facts, append);
                Answer { after, result }
            }
        }
    }

    /// Changes an appointment, or refuses.
    pub fn change(
        &self,
        context: &Context<'_>,
        change: &Change,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Answer<Receipt> {
        self.under_rules(context, |context| self.change_under(context, change, append))
    }

    fn change_under(
        &self,
        context: &Context<'_>,
        change: &Change,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Answer<Receipt> {
        let ids = [change.request, change.appointment.request()];
        let mut group = Group::of_homes(&self.homes, &ids);
        // The homes come first in the order of locks, so what they say about the appointment stays
        // true while the other locks are taken.
        let known = group.view(|view| view.appointment(change.appointment));
        if let Some(appointment) = known {
            self.lock_who(&mut group, context, &appointment);
            let sessions = waitlist::sessions_of(&group, &appointment);
            group.lock_sessions(&self.sessions, sessions.into_iter());
        }
        let decided = self.decided(&group, context, |view, it| decide_change(view, it, change));
        self.conclude(&mut group, context, decided, append)
    }

    /// Opens a session, or refuses.
    pub fn open(
        &self,
        context: &Context<'_>,
        open: &OpenSession,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Answer<Receipt> {
        let decide = |view: &View<'_>, context: &Context<'_>| decide_open(view, context, open);
        self.alter(context, (open.request, open.session.id), decide, append)
    }

    /// Shares the places of a session out anew, or refuses.
    pub fn set_quotas(
        &self,
        context: &Context<'_>,
        set: &SetQuotas,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Answer<Receipt> {
        let decide = |view: &View<'_>, context: &Context<'_>| decide_quotas(view, context, set);
        self.alter(context, (set.request, set.session), decide, append)
    }

    /// Calls the next patient of a session's queue, or refuses.
    pub fn call_next(
        &self,
        context: &Context<'_>,
        call: &CallNext,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Answer<Receipt> {
        let decide = |view: &View<'_>, context: &Context<'_>| decide_call(view, context, call);
        self.alter(context, (call.request, call.session), decide, append)
    }

    /// The queue of a session from a line on, or the line of one appointment alone: `None` where it
    /// is not in the queue.
    pub fn call_order(
        &self,
        actor: &Actor,
        id: SessionId,
        of: Result<AppointmentId, u16>,
    ) -> Answer<Option<CallOrder>> {
        let shard = self.sessions.lock(session_route(id));
        let after = shard.last;
        let Some(state) = shard.state.session(id) else {
            return Answer { after, result: Err(Outcome::SessionNotFound.into()) };
        };
        let spec = state.spec();
        if !actor.may_touch(spec.organization) {
            return Answer::refused(Outcome::OrganizationNotPermitted);
        }
        let nobody = Queue::default();
        let queue = state.queue().unwrap_or(&nobody);
        let rule = spec.terms.attendance.map_or(LateRule::EndOfSegment, |rules| rules.late);
        let order = match of {
            Err(from) => Some(queue.page(rule, spec.slot_millis, from)),
            Ok(appointment) => queue.page_of(rule, spec.slot_millis, appointment),
        };
        Answer { after, result: Ok(order) }
    }

    /// A session as it stands.
    pub fn read_session(&self, actor: &Actor, id: SessionId) -> Answer<Reading> {
        let shard = self.sessions.lock(session_route(id));
        let after = shard.last;
        let Some(state) = shard.state.session(id) else {
            return Answer { after, result: Err(Outcome::SessionNotFound.into()) };
        };
        if !actor.may_touch(state.spec().organization) {
            return Answer::refused(Outcome::OrganizationNotPermitted);
        }
        let reading = SessionReading {
            session: state.spec().clone(),
            taken: state.taken(),
            returning: state.returning().iter().take(SESSION_CELLS_MAX).copied().collect(),
        };
        Answer { after, result: Ok(Reading::Session(Box::new(reading))) }
    }

    /// The free places of a session.
    pub fn availability(
        &self,
        context: &Context<'_>,
        session: SessionId,
        channel: BookingChannel,
        class: PatientClass,
    ) -> Answer<Availability> {
        let Some(board) = self.boards.get(&session) else {
            return Answer::refused(Outcome::SessionNotFound);
        };
        if !context.actor.may_touch(board.organization()) {
            return Answer::refused(Outcome::OrganizationNotPermitted);
        }
        let times = (context.now, context.openings);
        let (availability, after) = board.read(channel, class, times);
        Answer { after, result: Ok(availability) }
    }

    /// The appointment with that id, and the record that it rests on.
    pub fn appointment(&self, id: AppointmentId) -> (Option<Appointment>, Sequence) {
        let home = self.homes.lock(shards::route(id.0));
        let found = home.state.appointment(id);
        let patient = found.as_ref().map(|found| self.ledgers.person(found.patient));
        let named = found.zip(patient);
        (named.map(|(found, patient)| Appointment { patient, ..found }), home.last)
    }

    /// Whether a request is known to have been carried out, and the refusal that is remembered of it.
    pub fn came_of(&self, request: RequestId) -> (bool, Option<Outcome>) {
        let home = self.homes.lock(shards::route(request.0));
        let declined = home.state.declined(AppointmentId(request.0)).map(|(_, outcome)| outcome);
        (home.state.knows(request) && declined.is_none(), declined)
    }

    /// How often an appointment was moved by wish.
    pub fn changes(&self, id: AppointmentId) -> u8 {
        self.homes.lock(shards::route(id.0)).state.changes(id)
    }

    /// A session as it stands.
    pub fn spec(&self, id: SessionId) -> Option<Session> {
        let shard = self.sessions.lock(session_route(id));
        shard.state.session(id).map(|session| session.spec().clone())
    }

    /// The ids of a patient's live appointments, and the record that they rest on.
    pub fn live(&self, patient: PatientId) -> (Vec<AppointmentId>, Sequence) {
        let (ledger, patient) = self.ledgers.lock_person(patient);
        (ledger.state.live(patient), ledger.last)
    }

    /// Holds that are pending now, and appointments in memory: shard by shard, so the sums are
    /// of no single instant.
    pub fn counts(&self) -> (u64, u64) {
        (0..SHARD_COUNT).fold((0, 0), |(holds, appointments), index| {
            let home = &self.homes.lock(index).state;
            (holds + home.pending() as u64, appointments + home.len() as u64)
        })
    }

    /// Open sessions and their free places.
    pub fn free_places(&self) -> (u64, u64) {
        self.boards
            .iter()
            .fold((0, 0), |(sessions, free), board| (sessions + 1, free + board.all_free()))
    }

    fn lock_for_hold(&self, context: &Context<'_>, hold: &Hold) -> Group<'_> {
        let mut group = lock_with_leavers(context, |also| {
            let mut group = Group::of_homes(&self.homes, &[hold.appointment.request()]);
            let Some(holder) = hold.holder() else { return (group, None) };
            let who = hold.keys.subjects(holder).ledgers(context.rules.asked());
            group.lock_ledgers(&self.ledgers, &with(&who, also));
            let asker = || Asker {
                patient: hold.patient.map(|patient| group.view(|view| view.person(patient))),
                account: hold.keys.account,
                phone: hold.keys.phone,
                class: hold.class,
                attributes: hold.attributes,
            };
            let asker = context.rules.says(RuleKey::Persons).then(asker);
            (group, asker)
        });
        group.lock_sessions(&self.sessions, hold.claims.iter().map(|wish| wish.session));
        group
    }

    /// Locks the ledgers of those who stand behind an appointment: of its patient, and of whom rules in
    /// force ask besides.
    fn lock_who<'a>(
        &'a self,
        group: &mut Group<'a>,
        context: &Context<'_>,
        appointment: &Appointment,
    ) {
        let who = group.view(|view| view.subjects(appointment));
        group.lock_subjects(&self.ledgers, context.rules.asked(), &who);
    }

    /// Turns a decision into an answer. What was refused, or done before, rests on the records that
    /// last touched the shards; the three refusals of a release minute need not wait for them (I-5).
    fn conclude(
        &self,
        group: &mut Group<'_>,
        context: &Context<'_>,
        decided: Result<Decision, Refusal>,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Answer<Receipt> {
        match decided {
            Err(refusal)
                if matches!(
                    refusal.outcome,
                    Outcome::SoldOut | Outcome::NotOpenYet | Outcome::SessionBlocked
                ) =>
            {
                Answer::refused(refusal)
            }
            Err(refusal) => Answer { after: group.last(), result: Err(refusal) },
            Ok(Decision { facts, receipt, .. }) if facts.is_empty() => {
                Answer { after: group.last(), result: Ok(receipt) }
            }
            Ok(Decision { facts, receipt, refused }) => {
                let after = self.carry_out(group, context, facts, append);
                Answer { after, result: refused.map_or(Ok(receipt), Err) }
            }
        }
    }

    /// Appends the record, then lets it happen. From here on nothing can fail.
    fn carry_out(
        &self,
        group: &mut Group<'_>,
        context: &Context<'_>,
        mut facts: Facts,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Sequence {
        name_rules(&mut facts, context.rules.version);
        let sequence = append(&facts);
        for fact in &facts {
            group.evolve(sequence, context.now, fact);
            self.derive(group, fact);
        }
        self.note_deadlines(group);
        sequence
    }

    /// Brings what is derived up to a fact about a session.
    fn derive(&self, group: &mut Group<'_>, fact: &Fact) {
        match fact {
            Fact::SessionOpened(opened) => {
                self.publish(group, opened.session.id);
                self.directory.insert(&opened.session, None);
            }
            Fact::WaitLeft(left) => self.count_left(group, left),
            Fact::PatientsMerged(fact) => self.ledgers.note(fact),
            Fact::SessionBlocked(fact) if fact.block.is_blocked => {
                self.begin_sweep(fact.block.session);
            }
            Fact::Substituted(fact) => {
                let shard = group.session_mut(fact.substitute.session);
                if let Some(session) = shard.state.session(fact.substitute.session) {
                    self.directory.insert(session.spec(), Some(fact.from));
                }
            }
            _ => {}
        }
    }

    /// Lets everybody see the places of a session that was just opened.
    fn publish(&self, group: &mut Group<'_>, id: SessionId) {
        let shard = group.session_mut(id);
        let state = shard.state.session(id).expect("the session was just opened");
        self.boards.insert(id, Arc::clone(state.places()));
    }

    /// Whether the id was used: its home is the directory. The lock is held for one look, as a
    /// concurrent map would.
    fn knows(&self, id: RequestId) -> bool {
        self.homes.lock(shards::route(id.0)).state.knows(id)
    }
}

/// Has a record name the rules that it was decided under. A hold does so by itself.
fn name_rules(facts: &mut Facts, version: RulesVersion) {
    let is_named = || facts.iter().any(|fact| fact.under().is_some());
    if version != RulesVersion::default() && !is_named() {
        facts.push(Fact::DecidedUnder(version));
    }
}

/// The ledgers of those who ask, and others.
fn with(who: &[PatientId], also: &[PatientId]) -> ArrayVec<PatientId, COMMAND_LEDGERS_MAX> {
    who.iter().chain(also).copied().collect()
}

/// Locks homes and ledgers, and once more with the ledgers of patients who may give way to a new one:
/// who they are, the ledgers say. Sessions are locked after it.
fn lock_with_leavers<'a>(
    context: &Context<'_>,
    lock: impl Fn(&[PatientId]) -> (Group<'a>, Option<Asker>),
) -> Group<'a> {
    let mut also = ArrayVec::<PatientId, GIVING_WAY_MAX>::new();
    loop {
        let (group, asker) = lock(&also);
        let leavers = asker.map(|asker| group.view(|view| giving_way(view, context, &asker)));
        let leavers = leavers.unwrap_or_default();
        if leavers.iter().all(|patient| also.contains(patient)) {
            return group;
        }
        also = leavers;
    }
}
