//! The engine against the naive model: tens of thousands of small worlds.
//!
//! A case is a list of steps of eight bytes, so that a failing one shrinks to few steps of small
//! numbers. After each case the states are compared item by item, and the facts, written to bytes
//! and read back, make the same state again.
//!
//! **Architecture invariant:** what is expected comes from the naive model, never from the engine.

mod billing;
mod disruption;
mod draws;
mod explain;
mod moves;
mod persons;
mod queue;
mod restrictions;
mod rotation;
mod rules;
mod sessions;
mod shadow;
mod violations;
mod waitlist;

use std::cell::RefCell;

use proptest::array::{uniform4, uniform8};
use proptest::collection::vec;
use proptest::num::u8::ANY;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use self::sessions::session;
use super::build::{self, MINUTE, MORNING};
use super::naive::{Naive, unexplained};
use super::pairs::Pairs;
use super::world::{State, World};
use crate::codec::{decode_facts, encode_facts, encode_into};
use crate::model::{
    Action, Actor, Appointment, AppointmentStatus, Change, ClaimRequest, Command, Fact, Hold,
    OpenSession, OrganizationId, Organizations, Outcome, PatientClass, PatientId, PaymentRef,
    Receipt, Refusal, RequestId, Reschedule, Role, Rules, Session, SessionId, SetQuotas,
    SlotChoice, SlotIndex, Ttl,
};

/// `PROPTEST_CASES` sets another number; with fewer, nothing is said about how often each pair
/// occurred.
const CASES: u32 = 14_000;
/// On average.
const STEPS: usize = 25;

/// How often each pair of a request and an answer has to occur, and how many rounds it may take: the
/// rarest come to about as often in one.
const LEAST: u32 = 50;
const ROUNDS: u32 = 4;

#[test]
fn the_engine_answers_as_the_naive_model_does() {
    let pairs = RefCell::new(Pairs::default());
    let cases = cases_asked_for().unwrap_or(CASES);
    for _ in 0..ROUNDS {
        round(cases, &pairs);
        if cases < CASES || pairs.borrow().are_enough(LEAST) {
            break;
        }
    }
    if CASES <= cases {
        pairs.into_inner().check(LEAST);
    }
}

fn round(cases: u32, pairs: &RefCell<Pairs>) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let scripts = (uniform4(ANY), vec(uniform8(ANY), 1..2 * STEPS));
    TestRunner::new(config.clone())
        .run(&scripts, |(opened, steps)| {
            // A waiting case takes four times as long: it begins with all places booked.
            if opened[3] % 4 == 0 {
                Case::waiting(opened)
                    .under_rules(opened)
                    .play_waiting(&steps, &mut pairs.borrow_mut())?;
            }
            if opened[3] % 16 == 1 {
                Case::drawing(opened)
                    .under_rules(opened)
                    .play_waiting(&steps, &mut pairs.borrow_mut())?;
            }
            Case::new(opened).under_rules(opened).play(&steps, &mut pairs.borrow_mut())
        })
        .unwrap();
    // In half of the worlds practitioners fall ill all the time.
    TestRunner::new(config)
        .run(&scripts, |(opened, steps)| {
            let steps: Vec<_> = steps.into_iter().map(disruption::disrupted).collect();
            Case::new(opened).play(&steps, &mut pairs.borrow_mut())
        })
        .unwrap();
    queue::play(cases / 4, pairs);
    moves::play(cases / 8, pairs);
    rules::play(cases / 2, pairs);
    billing::play(cases / 2, pairs);
    persons::play(cases / 2, pairs);
}

#[expect(clippy::disallowed_methods, reason = "a test may be told how long to look")]
fn cases_asked_for() -> Option<u32> {
    std::env::var("PROPTEST_CASES").ok()?.parse().ok()
}

pub(super) struct Case {
    pub(super) engine: World,
    naive: Naive,
    /// What was carried out, to be asked again.
    done: Vec<(&'static str, Command)>,
}

impl Case {
    /// Most of the four sessions are open from the start.
    fn new(opened: [u8; 4]) -> Self {
        let (engine, naive) = (World::new(MORNING), Naive::new(MORNING));
        let mut case = Self { engine, naive, done: Vec::new() };
        let admin = Actor::unbounded(Role::Admin);
        for (id, kind) in (0..4).zip(opened) {
            if kind < 230 {
                let open = Command::OpenSession(build::open(session(id, kind)).into());
                case.naive.run(&admin, &open).unwrap();
                case.engine.run(&admin, &open).unwrap();
            }
        }
        case
    }

    /// Every one of the sessions is open.
    pub(super) fn of(sessions: &[Session]) -> Self {
        let mut case = Self::new([u8::MAX; 4]);
        let admin = Actor::unbounded(Role::Admin);
        for session in sessions {
            let open = Command::OpenSession(build::open(session.clone()).into());
            case.naive.run(&admin, &open).unwrap();
            case.engine.run(&admin, &open).unwrap();
        }
        case
    }

    pub(super) fn later(&mut self, millis: u64) {
        self.engine.now = self.engine.now.plus_millis(millis);
        self.naive.now = self.engine.now;
    }

    fn play(mut self, steps: &[[u8; 8]], pairs: &mut Pairs) -> Result<(), TestCaseError> {
        for step in steps {
            self.step(Step(*step), pairs)?;
        }
        self.finish(pairs)
    }

    /// Compares the states, and what the facts make of them again.
    fn finish(self, pairs: &mut Pairs) -> Result<(), TestCaseError> {
        self.count_barred(pairs);
        let facts = self.engine.records.iter().flat_map(|(_, facts)| facts);
        for _ in facts.filter(|fact| fact.name() == "PlaceOffered") {
            pairs.count("place_offer", Outcome::Done);
        }
        let facts = self.engine.records.iter().flat_map(|(_, facts)| facts);
        let joined = facts.filter(|fact| fact.name() == "WaitJoined");
        for _ in joined.filter(|fact| fact.request().is_none()) {
            pairs.count("not_drawn_waits", Outcome::Done);
        }
        self.compare_state(&self.engine.state())?;
        self.replay()
    }

    /// What was written down makes the same state again.
    pub(super) fn replay(&self) -> Result<(), TestCaseError> {
        let state = self.engine.state();
        let records = self.engine.records.iter().map(|(time, facts)| {
            let mut bytes = Vec::new();
            encode_facts(facts, &mut bytes);
            facts.iter().for_each(rules_are_no_longer_than_said);
            (*time, decode_facts(&bytes).unwrap())
        });
        same(&World::replayed(records).state(), &state, "replay")
    }

    pub(super) fn import(&mut self, hold: &Hold, pairs: &mut Pairs) -> Result<(), TestCaseError> {
        let (engine, naive) = (self.engine.import(hold), self.naive.import(hold));
        pairs.count("import", imported(&engine));
        same(&engine, &naive, "import")
    }

    fn step(&mut self, step: Step, pairs: &mut Pairs) -> Result<(), TestCaseError> {
        let (actor, id) = (step.actor(), step.0[1]);
        self.set_chance(step);
        match step.0[0] % 32 {
            0 | 1 => {
                let minutes = 1 + u64::from(id % 16);
                self.engine.now = self.engine.now.plus_millis(minutes * MINUTE);
                self.naive.now = self.engine.now;
                Ok(())
            }
            3 => {
                self.engine.step_draws();
                self.naive.step_draws();
                self.engine.step_sessions();
                self.naive.step_sessions();
                self.expire(pairs)
            }
            5 if id < 128 => {
                let leave = step.leave(&self.naive);
                self.run(&actor, Command::LeaveWaitlist(leave), "leave_waitlist", pairs)
            }
            4 | 5 => {
                let hold = Hold { book: Some(PaymentRef(1)), ..step.more_usual().hold() };
                self.import(&hold, pairs)
            }
            29 if step.0[5] < 128 => self.run(&actor, step.block(), "block", pairs),
            28 if step.0[5] < 64 => self.run(&actor, step.substitute(), "substitute", pairs),
            30 if step.0[5] < 160 => self.run(&actor, step.add(), "add_place", pairs),
            27 | 26 if step.0[5] < 100 => {
                let session = SessionId(u64::from(id % 4));
                let (engine, naive) = (self.engine.displace(session), self.naive.displace(session));
                for (_, is_offer) in &engine {
                    pairs.count(if *is_offer { "offer" } else { "displace" }, Outcome::Done);
                }
                same(&engine, &naive, "displace")?;
                self.try_displaced(&engine, pairs)
            }
            6 if step.0[5] < 128 => {
                let set = step.set_quotas(&self.naive.sessions);
                self.run(&actor, Command::SetQuotas(set.into()), "set_quotas", pairs)
            }
            8..=10 | 17 | 18 if 30 <= step.0[7] % 128 => {
                self.run(&actor, Command::Reschedule(step.reschedule().into()), "reschedule", pairs)
            }
            6 => self.run(&actor, Command::OpenSession(step.open().into()), "open_session", pairs),
            14 | 15 if id < 64 => {
                let join = step.join();
                self.run(&actor, Command::JoinWaitlist(join.into()), "join_waitlist", pairs)
            }
            14 | 15 => {
                self.run(&actor, Command::RevealDraw(step.reveal().into()), "reveal_draw", pairs)
            }
            7..=13 => self.run(&actor, Command::Hold(step.hold()), "hold", pairs),
            2 | 31 => {
                match self.done.iter().rev().nth(usize::from(id.saturating_sub(192) / 16)).cloned()
                {
                    Some((name, command)) => self.run(&actor, command, name, pairs),
                    None => Ok(()),
                }
            }
            19..=22 => {
                // An entry that waits, where there is one.
                let waits =
                    |it: &&Appointment| it.status == AppointmentStatus::Waitlist && id < 250;
                let found = self.naive.appointments.iter().find(waits);
                let mut change = step.change(step.0[0] % 32, Action::Release);
                if let Some(found) = found {
                    let minutes = self.naive.now.as_millis() / MINUTE % 64;
                    change.appointment = found.id;
                    change.channel = found.channel;
                    change.request = build::request(6_000 + u128::from(minutes));
                }
                let change = self.of_offer(change);
                self.run(&actor, Command::Change(change), "release", pairs)
            }
            verb => {
                let (name, action) = step.action(verb);
                let mut change = self.of_offer(step.change(verb, action));
                if let Some(offer) = step.offered(&self.naive) {
                    change.appointment = offer;
                }
                self.run(&actor, Command::Change(change), name, pairs)
            }
        }
    }

    /// A booking of an appointment that was made an offer is often one of the offer.
    fn of_offer(&self, change: Change) -> Change {
        let known = self.naive.appointments.iter().find(|one| one.id == change.appointment);
        let offer = known.and_then(Appointment::offer_id);
        let holds = matches!(change.action, Action::Book { .. } | Action::Release);
        match offer.filter(|_| holds) {
            Some(appointment) => Change { appointment, ..change },
            None => change,
        }
    }

    pub(super) fn run(
        &mut self,
        actor: &Actor,
        command: Command,
        name: &'static str,
        pairs: &mut Pairs,
    ) -> Result<(), TestCaseError> {
        shadow::check(&self.engine, actor, &command)?;
        let (engine, naive) = (self.engine.run(actor, &command), self.naive.run(actor, &command));
        pairs.count(name, outcome(&engine));
        same(&engine.clone().map_err(unexplained), &naive, &format!("{command:?}"))?;
        explain::check(&self.engine, actor, &command, &engine)?;
        if let Err(refusal) = &engine {
            self.probe(&command, refusal.outcome, pairs)?;
        }
        if engine.is_ok() {
            self.done.push((name, command));
        }
        Ok(())
    }

    pub(super) fn compare_state(&self, state: &State) -> Result<(), TestCaseError> {
        let mut appointments = self.naive.appointments.clone();
        appointments.sort_by_key(|appointment| appointment.id);
        let (found, appointments) = (
            rotation::of_persons(&state.appointments, self),
            rotation::of_persons(&appointments, self),
        );
        same(&found, &appointments, "appointments")?;
        same(&state.ledger, &self.naive.ledger(), "ledgers")?;
        let (found, declined) = rotation::declined(&state.declined, self);
        same(&found, &declined, "remembered refusals")?;
        same(&state.moved, &self.naive.moves(), "moves")?;
        let waits: Vec<_> = state
            .waits
            .iter()
            .map(|it| {
                let sessions = it.entry.sessions().to_vec();
                (it.entry.entry, it.entry.joined, sessions, it.offer)
            })
            .collect();
        same(&waits, &self.naive.waits(), "entries of waitlists")?;
        rules::compare(state, &self.naive)?;
        let waits = state.waiting_after(self.engine.now);
        same(&waits, &self.naive.waiting_after(self.engine.now), "cool-downs")?;
        billing::compare(state, &self.naive)?;
        same(&state.sessions.len(), &self.naive.sessions.len(), "sessions")?;
        for session in &state.sessions {
            let id = session.spec().id;
            let naive = self.naive.sessions.iter().find(|session| session.id == id);
            same(&Some(session.spec()), &naive, "a session")?;
            same(&session.waitlist().cloned(), &self.naive.waitlist(id), "a waitlist")?;
            let mut returning: Vec<_> = session
                .returning()
                .iter()
                .flat_map(|it| (0..it.count).map(|_| (id, it.slot.0, it.pool.0, it.until)))
                .collect();
            returning.sort_unstable();
            let mut naive: Vec<_> =
                self.naive.returning.iter().filter(|it| it.0 == id).copied().collect();
            naive.sort_unstable();
            same(&returning, &naive, "returning places")?;
            let altered = session.alterations().cloned().unwrap_or_default();
            let blocked: Vec<_> = altered.blocked.keys().copied().collect();
            same(&blocked, &self.naive.blocked_slots(id), "blocked slots")?;
            for slot in session.slots() {
                let added = altered.added.get(&slot).copied().unwrap_or_default();
                same(&added, &self.naive.taken(id, slot.0, 255), "added places")?;
            }
            let queue = session.queue().cloned().unwrap_or_default();
            let rule = session.spec().terms.attendance.map(|rules| rules.late);
            let page = rule.map(|rule| queue.page(rule, 1, 0).lines).unwrap_or_default();
            let turns = page.iter().filter(|line| line.called.is_none());
            let engine = (
                queue.entries().copied().collect(),
                turns.map(|line| line.appointment).collect(),
                u64::from(queue.tally().visits),
                queue.tally().visit_millis,
            );
            same(&engine, &self.naive.queue_of(id), "a queue")?;
            for (slot, pool, taken) in session.cells() {
                let cell = format!("places of {id:?} {slot:?} {pool:?}");
                same(&taken, &self.naive.taken(id, slot.0, pool.0), &cell)?;
                let quota = session.spec().quota(slot, pool);
                same(&(taken <= quota), &true, &format!("{cell}: {taken} of {quota}"))?;
            }
        }
        Ok(())
    }
}

fn same<T: PartialEq + std::fmt::Debug>(
    engine: &T,
    naive: &T,
    what: &str,
) -> Result<(), TestCaseError> {
    if engine == naive {
        return Ok(());
    }
    Err(TestCaseError::fail(format!("{what}\nengine: {engine:?}\n naive: {naive:?}")))
}

fn outcome(answer: &Result<Receipt, Refusal>) -> Outcome {
    match answer {
        Ok(receipt) if receipt.retried => Outcome::AlreadyDone,
        Ok(_) => Outcome::Done,
        Err(refusal) => refusal.outcome,
    }
}

/// What bounds the bytes of rules is reckoned, not counted: no layer takes more.
fn rules_are_no_longer_than_said(fact: &Fact) {
    let Fact::RulesApplied(applied) = fact else { return };
    for layer in &applied.rules.layers {
        let mut bytes = Vec::new();
        encode_into(layer, &mut bytes);
        let alone = Rules { layers: vec![layer.clone()], ..Rules::none() };
        assert!(bytes.len() <= alone.weight(), "{} bytes for {}", bytes.len(), alone.weight());
    }
}

fn imported(answer: &Result<Result<Receipt, Outcome>, Refusal>) -> Outcome {
    match answer {
        Ok(Err(declined)) => *declined,
        Ok(Ok(receipt)) => outcome(&Ok(receipt.clone())),
        Err(refusal) => refusal.outcome,
    }
}

/// Eight bytes: what is asked, about which appointment, channel and class, patient, session,
/// variant, slots or request, actor.
#[derive(Clone, Copy)]
struct Step([u8; 8]);

impl Step {
    fn actor(self) -> Actor {
        let only = |organization| {
            Organizations::Only([OrganizationId(organization)].into_iter().collect())
        };
        let (role, organizations) = match self.0[7] {
            0..180 => (Role::Gateway, Organizations::All),
            180..200 => (Role::Gateway, only(1)),
            200..220 => (Role::Gateway, only(2)),
            220..240 => (Role::Practitioner, Organizations::All),
            _ => (Role::Admin, only(1)),
        };
        Actor { organizations, ..Actor::unbounded(role) }
    }

    /// The eight changes, booking most of all.
    const fn action(self, verb: u8) -> (&'static str, Action) {
        let payment = PaymentRef(if self.0[5] < 32 { 2 } else { 1 });
        match verb {
            16..=18 => ("book", Action::Book { payment }),
            23 => ("cancel", Action::Cancel),
            24 | 25 => ("arrive", Action::Arrive),
            26 => ("check_in", Action::CheckIn),
            27 | 28 => ("fulfil", Action::Fulfil),
            29 => ("settle", Action::Settle),
            _ => ("no_show", Action::NoShow),
        }
    }

    fn change(self, verb: u8, action: Action) -> Change {
        let [_, id, channel, patient, _, _, request, _] = self.0;
        let id = u128::from(id % 4);
        Change {
            request: request_id(request, u128::from(verb) * 8 + id),
            patient: (patient < 24).then_some(PatientId(u128::from(patient % 4))),
            channel: build::channel(u8::from(channel < 64)),
            ..build::change(0, id, action)
        }
    }

    /// Mostly a place moved from one pool to another.
    fn set_quotas(self, sessions: &[Session]) -> SetQuotas {
        let [_, id, kind, from, to, variant, request, slot] = self.0;
        let id = SessionId(u64::from(id % 4));
        let session = sessions.iter().find(|session| session.id == id);
        let pools = session.map_or(&[][..], |session| &session.pools);
        let mut quotas: Vec<Vec<u16>> = pools.iter().map(|pool| pool.quotas.clone()).collect();
        let slot = usize::from(slot % 2);
        if !quotas.is_empty() && variant % 8 != 0 {
            let (from, to) = (usize::from(from) % pools.len(), usize::from(to) % pools.len());
            let moved = quotas[from][slot].min(1 + u16::from(kind % 2));
            quotas[from][slot] -= moved;
            quotas[to][slot] += moved;
        }
        match variant % 32 {
            1 => quotas.push(vec![0, 0]),
            2 => quotas.iter_mut().for_each(|pool| pool[0] += 1),
            _ => {}
        }
        let request = request_id(request, 3_000 + u128::from(variant));
        SetQuotas { request, session: id, quotas }
    }

    /// Mostly one place for another.
    fn reschedule(self) -> Reschedule {
        let [_, id, _, patient, session, variant, slots, _] = self.0;
        let Hold { channel, mut claims, .. } =
            Self([0, id, self.0[2], 0, session, 128, slots, 0]).hold();
        match variant {
            0..40 => claims.push(ClaimRequest {
                session: SessionId(u64::from(session.wrapping_add(1) % 4)),
                ..claim(slots.rotate_left(1))
            }),
            40..44 => claims.push(claims[0].clone()),
            _ => {}
        }
        let id = u128::from(id % 4);
        Reschedule {
            request: request_id(variant.rotate_left(3), 5_000 + u128::from(slots) * 4 + id),
            appointment: build::appointment(id),
            patient: (patient < 24).then_some(PatientId(u128::from(patient % 4))),
            channel,
            claims,
        }
    }

    fn open(self) -> OpenSession {
        let [_, id, kind, _, _, variant, request, _] = self.0;
        let id = u64::from(id % 4);
        let mut session = session(id, if variant < 128 { 0 } else { kind });
        if variant % 4 == 3 {
            session.slot_millis = 0;
        }
        let own = build::open(session.clone()).request;
        let request = if request < 128 { own } else { request_id(request, u128::from(id)) };
        OpenSession { request, session }
    }

    /// The same with half of the holds as they usually are.
    const fn more_usual(mut self) -> Self {
        if self.0[5] < 128 {
            self.0[5] = 0;
        }
        self
    }

    fn hold(self) -> Hold {
        let [_, id, who, patient, session, variant, slots, extra] = self.0;
        let ttl = Ttl::from_millis(60_000 * [2, 5, 15][usize::from(id % 3)]).unwrap();
        let id = u128::from(id % 4);
        if variant < 64 {
            // The hold that this id usually makes, so that it is retried.
            let claim = build::any(u64::try_from(id).unwrap() % 4);
            return Hold { ttl, ..build::hold(id, id % 4, [claim]) };
        }
        let count = match variant {
            64..192 => 1,
            192..240 => 2,
            240..250 => 3,
            _ => 0,
        };
        let claims = (0..count).map(|index| {
            let apart = if extra < 16 { 0 } else { index };
            let session =
                if session == 255 { 9 } else { u64::from(session.wrapping_add(apart) % 4) };
            ClaimRequest { session: SessionId(session), ..claim(slots.rotate_left(index.into())) }
        });
        Hold {
            patient: (patient < 250).then_some(PatientId(u128::from(patient % 4))),
            channel: build::channel(u8::from(who < 64)),
            class: if who % 4 == 0 { PatientClass::Inpatient } else { PatientClass::Outpatient },
            ttl,
            book: (extra % 4 == 0).then_some(PaymentRef(1)),
            ..build::hold(id, 0, claims)
        }
    }
}

/// Mostly an id that the same change always has, so that it is retried.
pub(super) fn request_id(choice: u8, own: u128) -> RequestId {
    match choice {
        0..200 => build::request(1_000 + own),
        200..230 => build::request(2_000 + u128::from(choice % 4)),
        _ => build::request(u128::from(choice % 4)),
    }
}

fn claim(byte: u8) -> ClaimRequest {
    let slot = SlotIndex(u16::from(byte % 3));
    let slots = match byte {
        0..100 => SlotChoice::Any,
        100..200 => SlotChoice::at(slot),
        200..250 => {
            SlotChoice::Ranked([slot, SlotIndex(u16::from(byte % 4))].into_iter().collect())
        }
        _ => SlotChoice::Ranked([].into_iter().collect()),
    };
    let count = match byte % 16 {
        15 => 2,
        14 => 3,
        _ => 1,
    };
    ClaimRequest { session: SessionId(0), count, slots }
}
