//! Keys that are rotated: with the naive model beside the engine, and the same history without rotation
//! beside the history with it.

use proptest::array::{uniform4, uniform8};
use proptest::collection::vec;
use proptest::num::u8::ANY;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::sessions::session;
use super::waitlist::waiting_kind;
use super::{Case, Step, request_id, same};
use crate::engine::tests::build;
use crate::engine::tests::naive::identity::each_key;
use crate::engine::tests::pairs::Pairs;
use crate::engine::tests::world::World;
use crate::model::{
    Actor, Appointment, AppointmentId, Command, Hold, MergePatients, OrganizationId, Organizations,
    Outcome, Past, PatientId, Receipt, Refusal, Role,
};

/// Merges two of five keys, or asks again.
pub(super) fn take(
    case: &mut Case,
    [id, who, what]: [u8; 3],
    pairs: &mut Pairs,
) -> Result<(), TestCaseError> {
    let last = case.done.iter().rev().find(|(name, _)| *name == "merge_patients").cloned();
    if let Some((name, command)) = last.filter(|_| what < 64) {
        return case.run(&Actor::unbounded(Role::Admin), command, name, pairs);
    }
    // Of an earlier request, now and then.
    let used = case.done.last().map(|(_, command)| command.request());
    let used = used.filter(|_| what % 8 == 7);
    let merge = MergePatients {
        request: used.unwrap_or_else(|| request_id(what, 17_000 + u128::from(id))),
        from: PatientId(u128::from(who % 5)),
        into: PatientId(u128::from(who / 5 % 5)),
    };
    let mut actor = Actor::unbounded(Role::Admin);
    if id % 8 == 7 {
        actor.organizations = Organizations::Only(std::iter::once(OrganizationId(1)).collect());
    }
    case.run(&actor, Command::MergePatients(merge), "merge_patients", pairs)
}

/// Appointments by person. Under which key one was asked for is in its fingerprint.
pub(super) fn of_persons(appointments: &[Appointment], case: &Case) -> Vec<Appointment> {
    let naive = &case.naive;
    let is_rotated = !naive.persons.is_empty();
    let of = |it: &Appointment| Appointment {
        patient: naive.person(it.patient),
        fingerprint: if is_rotated { 0 } else { it.fingerprint },
        ..it.clone()
    };
    appointments.iter().map(of).collect()
}

type DeclinedLines = Vec<(AppointmentId, u64, Outcome)>;

/// The refusals that are remembered, and those that should be. Under which key one was asked for is in
/// its fingerprint.
pub(super) fn declined(
    known: &[(AppointmentId, u64, Outcome)],
    case: &Case,
) -> (DeclinedLines, DeclinedLines) {
    let is_rotated = !case.naive.persons.is_empty();
    let line = |(hold, why): &(Hold, Outcome)| (hold.appointment, hold.fingerprint(), *why);
    let mut expected: DeclinedLines = case.naive.declined.iter().map(line).collect();
    expected.sort_by_key(|line| line.0);
    let mut known = known.to_vec();
    if is_rotated {
        known.iter_mut().chain(&mut expected).for_each(|line| line.1 = 0);
    }
    (known, expected)
}

/// The engine in a history in which keys are rotated, and in one in which everybody has one key.
struct Twins {
    plain: World,
    rotated: World,
    /// How often each patient's key was rotated.
    turns: [u128; 4],
    number: u128,
}

/// A key of a patient: the first, and those after it.
const fn key(patient: u128, turn: u128) -> PatientId {
    PatientId(patient + (turn << 64))
}

impl Twins {
    /// Asks both, the one of rotated keys by a key that is in use.
    fn ask(&mut self, actor: &Actor, command: &Command, choice: u8) -> Result<(), TestCaseError> {
        let mut other = command.clone();
        each_key(&mut other, |patient| {
            let turns = usize::try_from(patient.0).ok().and_then(|index| self.turns.get(index));
            key(patient.0, u128::from(choice) % (turns.copied().unwrap_or(0) + 1))
        });
        let answer = self.plain.run(actor, command);
        let twin = self.rotated.run(actor, &other);
        same(&twin, &answer, &format!("{other:?}"))
    }

    /// The next key of a patient.
    fn rotate(&mut self, patient: usize) -> Result<Receipt, Refusal> {
        self.number += 1;
        let turn = self.turns[patient];
        self.turns[patient] += 1;
        let from = patient as u128;
        let merge = MergePatients {
            request: build::request(self.number),
            from: key(from, turn),
            into: key(from, turn + 1),
        };
        self.rotated.run(&Actor::unbounded(Role::Admin), &Command::MergePatients(merge))
    }

    fn tick(&mut self) -> Result<(), TestCaseError> {
        for world in [&mut self.plain, &mut self.rotated] {
            world.step_sessions();
        }
        same(&self.rotated.expire(), &self.plain.expire(), "expire")
    }

    /// The states, with every key as it was first.
    fn compare(&self) -> Result<(), TestCaseError> {
        let (mut rotated, plain) = (self.rotated.state(), self.plain.state());
        let first = |key: &mut PatientId| key.0 &= u128::from(u64::MAX);
        rotated.ledger.iter_mut().for_each(|line| first(&mut line.0));
        rotated.ledger.sort_unstable();
        same(&rotated.ledger, &plain.ledger, "ledgers")?;
        rotated.waits.iter_mut().for_each(|waits| first(&mut waits.entry.patient));
        rotated
            .waits
            .sort_by_key(|waits| (waits.entry.patient, waits.entry.joined, waits.entry.entry));
        let mut waits = plain.waits.clone();
        waits.sort_by_key(|waits| (waits.entry.patient, waits.entry.joined, waits.entry.entry));
        same(&rotated.waits, &waits, "waits")?;
        rotated.records.iter_mut().for_each(|record| first(&mut record.0));
        rotated.records.sort_by_key(|(patient, _)| *patient);
        same(&rotated.records, &plain.records, "records")?;
        let now = self.plain.now;
        let mut waits = rotated.waiting_after(now);
        for (patient, _) in &mut waits {
            first(patient);
        }
        waits.sort_by_key(|(patient, it)| (*patient, it.within, it.mode));
        same(&waits, &plain.waiting_after(now), "cool-downs")?;
        let by_patient = |all: Vec<(PatientId, Vec<Past>)>| {
            let mut all: Vec<_> = all
                .into_iter()
                .flat_map(|(who, past)| past.into_iter().map(move |it| (who, it)))
                .collect();
            for line in &mut all {
                first(&mut line.0);
            }
            all.sort_unstable();
            all
        };
        same(&by_patient(rotated.past), &by_patient(plain.past.clone()), "what is over")?;
        same(&rotated.moved, &plain.moved, "moves")?;
        for (one, other) in rotated.sessions.iter().zip(&plain.sessions) {
            same(&one.taken(), &other.taken(), "taken")?;
            same(&one.returning(), &other.returning(), "returning")?;
        }
        let of = |mut it: Appointment| {
            first(&mut it.patient);
            Appointment { fingerprint: 0, ..it }
        };
        let one: Vec<_> = rotated.appointments.into_iter().map(of).collect();
        let other: Vec<_> = plain.appointments.into_iter().map(of).collect();
        same(&one, &other, "appointments")?;
        let again = World::replayed(self.rotated.records.iter().cloned());
        same(&again.state(), &self.rotated.state(), "replay")
    }
}

#[test]
fn a_history_with_rotated_keys_answers_as_the_same_history_with_one_key_for_each() {
    let config = Config { cases: 600, failure_persistence: None, ..Config::default() };
    let scripts = (uniform4(ANY), vec((uniform8(ANY), ANY), 1..80));
    TestRunner::new(config)
        .run(&scripts, |(opened, steps)| {
            let begun = || Case::waiting(opened.map(undrawn)).under_rules(opened).engine;
            let (plain, rotated) = (begun(), begun());
            let mut twins = Twins { plain, rotated, turns: [0; 4], number: 30_000 };
            for (bytes, choice) in steps {
                play(&mut twins, Step(bytes), choice)?;
            }
            twins.compare()
        })
        .unwrap();
}

/// A draw of a waitlist ranks keys, so that another key is another lot: the next kind of session without one.
fn undrawn(kind: u8) -> u8 {
    let draws = |kind: &u8| {
        let terms = session(0, waiting_kind(*kind)).terms;
        terms.waitlist.is_some_and(|rule| rule.draw_millis != 0)
    };
    let mut kinds = (0..=u8::MAX).map(|more| kind.wrapping_add(more));
    kinds.find(|kind| !draws(kind)).unwrap()
}

fn play(twins: &mut Twins, step: Step, choice: u8) -> Result<(), TestCaseError> {
    let [verb, id, ..] = step.0;
    let actor = step.actor();
    let command = match verb % 16 {
        0 => {
            let minutes = 1 + u64::from(id % 16);
            for world in [&mut twins.plain, &mut twins.rotated] {
                world.now = world.now.plus_millis(minutes * build::MINUTE);
            }
            return twins.tick();
        }
        1 if id < 160 => {
            let merged = twins.rotate(usize::from(id % 4));
            return same(&merged.is_ok(), &true, "rotate");
        }
        1 => step.add(),
        2..=5 => Command::Hold(step.hold()),
        6 | 7 => Command::JoinWaitlist(step.join().into()),
        8 => Command::Reschedule(step.reschedule().into()),
        9 => step.block(),
        _ => Command::Change(step.change(16 + verb % 16, step.action(16 + verb % 16).1)),
    };
    twins.ask(&actor, &command, choice)
}
