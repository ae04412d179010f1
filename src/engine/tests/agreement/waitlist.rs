//! Worlds in which everybody waits: steps about waitlists, and sessions that are full at the start.

use super::sessions::session;
use super::{Case, MINUTE, MORNING, Naive, Pairs, Step, World, build};
use crate::engine::tests::build::EQUAL;
use crate::model::{
    Action, Actor, AppointmentId, Attributes, Change, ChannelSet, Command, Hold, JoinWaitlist,
    LeaveWaitlist, PatientClass, PatientId, PaymentRef, Role, RuleMode, ScopeKind, ServiceHours,
    SessionId, Timestamp, WaitCounts, WaitKey, WaitLimit, WaitlistRule,
};
use proptest::test_runner::TestCaseError;

impl Case {
    /// Sessions with waitlists whose places are all booked, most of them.
    pub(super) fn waiting(kinds: [u8; 4]) -> Self {
        let (engine, naive) = (World::new(MORNING), Naive::new(MORNING));
        let mut case = Self { engine, naive, done: Vec::new() };
        let admin = Actor::unbounded(Role::Admin);
        let mut both = |command: Command| {
            let (engine, naive) =
                (case.engine.run(&admin, &command), case.naive.run(&admin, &command));
            assert_eq!(engine, naive, "{command:?}");
            engine.is_ok()
        };
        let mut id = 10_000;
        for (number, kind) in (0..4).zip(kinds) {
            let mut session = session(number, waiting_kind(kind));
            session.start = session.start.max(MORNING.plus_millis(5 * MINUTE));
            both(Command::OpenSession(build::open(session).into()));
            for class in [PatientClass::Outpatient, PatientClass::Inpatient] {
                for channel in [0, 1].map(build::channel) {
                    loop {
                        id += 1;
                        let booked = Some(PaymentRef(1));
                        let hold = build::hold(id, id, [build::any(number)]);
                        let book = if id % 3 == 0 { None } else { booked };
                        if !both(Command::Hold(Hold { channel, class, book, ..hold })) {
                            break;
                        }
                    }
                }
            }
        }
        case
    }

    /// Steps that mostly concern waitlists.
    pub(super) fn play_waiting(
        mut self,
        steps: &[[u8; 8]],
        pairs: &mut Pairs,
    ) -> Result<(), TestCaseError> {
        for step in steps {
            let mut step = *step;
            let verb = step[0];
            // As the other script says: time, tick, join, leave, a change, or what was done.
            step[0] = [0, 3, 15, 15, 15, 5, 16, 21, 23, 31][usize::from(verb % 10)];
            // Both of these are told from others by the next byte.
            step[1] %= match step[0] {
                5 => 128,
                15 => 64,
                _ => 255,
            };
            let step = Step(step);
            match step.0[0] {
                23 => {
                    let number = self.naive.appointments.len().max(1);
                    let known = self.naive.appointments.get(usize::from(step.0[1]) % number);
                    let Some(appointment) = known.map(|appointment| appointment.id) else {
                        continue;
                    };
                    self.set_chance(step);
                    let action =
                        if step.0[2].is_multiple_of(2) { Action::Cancel } else { Action::Release };
                    let name = if step.0[2].is_multiple_of(2) { "cancel" } else { "release" };
                    let change = Change { appointment, ..step.change(23, action) };
                    // Nobody waits for what staff give up.
                    let role =
                        if step.0[3].is_multiple_of(4) { Role::Admin } else { Role::Gateway };
                    self.run(&Actor::unbounded(role), Command::Change(change), name, pairs)?;
                }
                _ => self.step(step, pairs)?,
            }
        }
        self.finish(pairs)
    }

    pub(super) fn set_chance(&mut self, step: Step) {
        self.engine.chance = u64::from_le_bytes(step.0).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.naive.chance = self.engine.chance;
    }
}

impl Step {
    /// Two entries of each patient at most, mostly of one session.
    pub(super) fn join(self) -> JoinWaitlist {
        let [_, id, who, patient, session, variant, window, extra] = self.0;
        let count = match variant {
            0..10 => 0,
            10..150 => 1,
            150..230 => 2,
            _ => 3,
        };
        let target = |index: u8| {
            let apart = if extra < 16 { 0 } else { index };
            SessionId(if session == 255 { 9 } else { u64::from(session.wrapping_add(apart) % 4) })
        };
        let minutes = u64::from(window % 8) * 5;
        let patient = u128::from(patient % 4);
        JoinWaitlist {
            request: match extra {
                240.. => build::request(u128::from(id % 4)),
                _ => build::request(4_000 + patient * 64 + u128::from(id % 64)),
            },
            patient: PatientId(patient),
            account: None,
            channel: build::channel(u8::from(who < 64)),
            class: if who % 4 == 0 { PatientClass::Inpatient } else { PatientClass::Outpatient },
            attributes: if who % 8 < 3 { Attributes(30) } else { Attributes::default() },
            earliest: if window < 40 {
                MORNING.plus_millis(minutes * MINUTE)
            } else {
                MORNING.minus_millis(MINUTE * 10)
            },
            latest: if window % 16 == 7 { MORNING.plus_millis(MINUTE) } else { Timestamp::MAX },
            targets: (0..count).map(target).collect(),
        }
    }

    /// Mostly an entry that is there.
    pub(super) fn leave(self, naive: &Naive) -> LeaveWaitlist {
        let [_, id, other, _, _, _, request, _] = self.0;
        let entries = &naive.entries;
        let known = entries.get(usize::from(id) % entries.len().max(1));
        let (entry, patient) = known.map_or_else(
            || (build::request(4_000), PatientId(0)),
            |entry| (entry.join.request, entry.join.patient),
        );
        let patient = if other < 32 { PatientId(9) } else { patient };
        let request = match request {
            240.. => build::request(u128::from(id % 4)),
            _ => build::request(5_000 + u128::from(request)),
        };
        LeaveWaitlist { request, entry, patient, channel: build::channel(0) }
    }

    /// Half of the time an appointment that was offered.
    pub(super) fn offered(self, naive: &Naive) -> Option<AppointmentId> {
        let offers: Vec<_> = naive.entries.iter().filter_map(|entry| entry.offer).collect();
        let index = usize::from(self.0[1]) % offers.len().max(1);
        offers.get(index).copied().filter(|_| self.0[4].is_multiple_of(2))
    }
}

/// None, one or two limits of waiting: few may be waited for.
pub(super) fn limits([id, who, what]: [u8; 3]) -> Box<[WaitLimit]> {
    let scopes = [ScopeKind::Region, ScopeKind::Organization, ScopeKind::Department];
    let limit = |more: u8| {
        let (id, who) = (id.wrapping_add(more * 91), who.wrapping_add(more));
        let within = scopes[usize::from(id / 3 % 3)];
        let counts =
            if who.is_multiple_of(2) { WaitCounts::Sessions } else { WaitCounts::Resources };
        let most = if id == 77 { WaitLimit::NO_LIMIT } else { u16::from(what / 5 % 3) };
        let mode = if who % 16 == 15 { RuleMode::Shadow } else { RuleMode::Enforce };
        WaitLimit { key: WaitKey { within, counts }, most, mode }
    };
    (0..what % 3).map(limit).collect()
}

/// Of all kinds of sessions those with a waitlist.
pub(super) const fn waiting_kind(kind: u8) -> u8 {
    kind / 11 % 23 * 11 + 5
}

/// Waitlists with and without a draw, hours and priorities; some close soon.
pub(super) fn waitlist(kind: usize) -> WaitlistRule {
    let hours = ServiceHours {
        from: 483,
        to: 530,
        channels: ChannelSet::ALL,
        offsets: vec![(Timestamp::default(), 0)],
    };
    WaitlistRule {
        entries_max: if kind % 4 == 1 { 1 } else { 3 },
        priority: if kind.is_multiple_of(2) { EQUAL } else { [1, 0, 1, 1, 1] },
        draw_millis: if kind.is_multiple_of(3) { 120_000 } else { 0 },
        offer_millis: 600_000,
        near_offer_millis: 180_000,
        near_millis: 900_000,
        hours: (kind % 5 == 2).then_some(hours),
        closes_at: MORNING.plus_millis(if kind % 8 == 3 { 12 } else { 60 } * MINUTE),
    }
}
