//! Steps that block, substitute and add places.

use proptest::test_runner::TestCaseError;

use super::{Case, Pairs, Step, build, request_id};
use crate::model::{
    Action, Actor, AddPlace, AppointmentId, BlockSession, Change, Command, PatientClass, PatientId,
    PaymentRef, ResourceId, Role, SessionId, SlotIndex, Substitute,
};

impl Case {
    /// Somebody treats those who were displaced as if nothing had happened.
    pub(super) fn try_displaced(
        &mut self,
        reached: &[(AppointmentId, bool)],
        pairs: &mut Pairs,
    ) -> Result<(), TestCaseError> {
        let actor = Actor::unbounded(Role::Practitioner);
        let payment = PaymentRef(1);
        let tries = [
            ("check_in", Action::CheckIn),
            ("no_show", Action::NoShow),
            ("settle", Action::Settle),
            ("arrive", Action::Arrive),
        ];
        for (appointment, is_offer) in reached {
            let named = if *is_offer { &[("book", Action::Book { payment })][..] } else { &tries };
            for (name, action) in named {
                let request = build::request(9_000 + u128::from(action.operation() as u8));
                let change =
                    Change { request, appointment: *appointment, ..build::change(0, 0, *action) };
                let change = self.of_offer(change);
                self.run(&actor, Command::Change(change), name, pairs)?;
            }
        }
        Ok(())
    }
}

impl Step {
    /// Mostly one slot of a session, and as often opened again.
    pub(super) fn block(self) -> Command {
        let [_, id, first, count, open, variant, request, _] = self.0;
        let count = [1, 1, 2, 3, 0][usize::from(count % 5)];
        let is_blocked = open % 4 != 0;
        let own = 6_000 + u128::from(variant % 8) + 8 * u128::from(id % 4);
        Command::BlockSession(BlockSession {
            request: request_id(request, own + 64 * u128::from(first % 3)),
            session: SessionId(if id == 255 { 9 } else { u64::from(id % 4) }),
            first: SlotIndex(u16::from(first % 3)),
            count,
            is_blocked,
            reason: u16::from(variant % 2),
            by: None,
        })
    }

    pub(super) fn substitute(self) -> Command {
        let [_, id, who, _, _, variant, request, _] = self.0;
        Command::Substitute(Substitute {
            request: request_id(request, 7_000 + u128::from(variant)),
            session: SessionId(if id >= 250 { 9 } else { u64::from(id % 4) }),
            resource: ResourceId(u64::from(who % 4)),
            reason: 1,
            by: None,
        })
    }

    pub(super) fn add(self) -> Command {
        let [_, id, channel, patient, session, _, slot, _] = self.0;
        Command::AddPlace(AddPlace {
            appointment: build::appointment(u128::from(id % 4)),
            patient: PatientId(u128::from(patient % 4)),
            session: SessionId(if session >= 250 { 9 } else { u64::from(session % 4) }),
            slot: SlotIndex(u16::from(slot % 4)),
            channel: build::channel(u8::from(channel < 64)),
            class: PatientClass::Outpatient,
            payment: None,
            reason: 1,
            by: None,
        })
    }
}

/// The same step with more blocks, and more that they reach.
pub(super) const fn disrupted(mut step: [u8; 8]) -> [u8; 8] {
    let [verb, _, _, patient, choice, ..] = step;
    // The hour stays what it was, and the names are right.
    step[0] = match verb % 16 {
        0..=4 => 7,
        5 | 6 => 29,
        7 | 8 => 27,
        9 => 8,
        10 => 30,
        11 => 4,
        12 => [16, 20, 20, 23][choice as usize % 4],
        13 => [30, 30, 29, 20][choice as usize % 4],
        14 => [24, 26, 29, 31][choice as usize % 4],
        15 if choice < 128 => 0,
        _ => verb,
    };
    step[5] = match verb % 16 {
        0..=4 | 11 => 128,
        5..=8 => 64 + patient % 32,
        10 => 0,
        12..=14 => 200,
        _ => step[5],
    };
    if verb % 16 < 5 {
        // Booked at once, and of any slot.
        (step[6], step[7]) = (patient % 200, step[7] & !3);
    }
    step
}
