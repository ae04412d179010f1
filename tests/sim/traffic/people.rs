//! What people want through apps and counters: holds, changes, other places, a place in the queue.

use haoyuan::model::{
    Action, AddPlace, Appeal, AppointmentId, AppointmentStatus, Attributes, CallNext, Change,
    ClaimRequest, ClientKeys, Command, EvidenceRef, Hold, JoinWaitlist, LeaveWaitlist, Operation,
    PatientClass, PaymentRef, Reschedule, Role, SessionId, SlotChoice, SlotIndex, Timestamp, Ttl,
    permits,
};

use super::{Known, Traffic, new_id};
use crate::ask::Body;
use crate::billing::by_account;
use crate::random::Random;
use crate::sessions::MINUTE;

impl Traffic {
    pub(super) fn patient_wish(
        &mut self,
        random: &mut Random,
        client: usize,
        now: Timestamp,
    ) -> Body {
        let calls = permits(self.actors[client].role, Operation::CallNext);
        if calls && random.chance(150) {
            let (request, session) = (new_id(random, now), self.busy_session(random));
            return Body::Command(Command::CallNext(CallNext { request, session }));
        }
        let adds = u64::from(self.actors[client].role == Role::Practitioner);
        let (bills, appeals) = (if self.is_billing { 14 } else { 1 }, 3 * u64::from(self.is_desk));
        match random.weighted(&[14, 8, 2, 1, 2, 2 * adds, adds, 5, 1, bills, appeals]) {
            10 => self.appeal(random, client, now),
            9 => self.billing_wish(random, client, now),
            7 => self.join(random, client, now),
            8 if !self.entries.is_empty() => self.leave(random, client, now),
            0 => {
                let hold = self.hold(random, client, now);
                Body::Command(Command::Hold(by_account(random, hold, self.is_billing)))
            }
            5 => self.add_place(random, client, now),
            6 => Body::Command(Command::BlockSession(self.block(random, now))),
            1 => self.change(random, client, now),
            2 => Body::Query(self.query(random)),
            4 => self.reschedule(random, client, now),
            _ => {
                let hold = self.hold(random, client, now);
                malformed(random, hold)
            }
        }
    }

    /// Mostly one where somebody waits.
    fn busy_session(&self, random: &mut Random) -> SessionId {
        let keeps_queue = |id: &SessionId| {
            self.asked.get(&id.0).is_some_and(|session| session.terms.attendance.is_some())
        };
        let checked_in = |known: &&Known| known.status == AppointmentStatus::CheckedIn;
        let waiting = self.known.iter().filter(checked_in).flat_map(|known| &known.sessions);
        let busy: Vec<SessionId> = waiting.copied().filter(keeps_queue).collect();
        if busy.is_empty() || random.chance(200) {
            return self.late_session(random);
        }
        busy[random.index(busy.len())]
    }

    pub(super) fn hold(&self, random: &mut Random, client: usize, now: Timestamp) -> Hold {
        let mut claims = smallvec::SmallVec::<[ClaimRequest; 1]>::new();
        for _ in 0..random.pick(&[1, 1, 1, 1, 2, 3]) {
            let unknown = u64::from(random.chance(50));
            let oldest = self.sessions.saturating_sub(5).max(1);
            let session = SessionId(random.between(oldest, self.sessions + unknown));
            if claims.iter().any(|claim| claim.session == session) && random.chance(900) {
                continue;
            }
            let slots = match random.below(3) {
                0 => SlotChoice::Any,
                1 => SlotChoice::at(SlotIndex(u16::try_from(random.below(3)).unwrap())),
                _ => SlotChoice::Ranked(
                    (0..random.between(1, 3))
                        .map(|_| SlotIndex(u16::try_from(random.below(4)).unwrap()))
                        .collect(),
                ),
            };
            let count = random.pick(&[1, 1, 1, 1, 1, 1, 2, 3]);
            claims.push(ClaimRequest { session, count, slots });
        }
        let class =
            if random.chance(850) { PatientClass::Outpatient } else { PatientClass::Referral };
        Hold {
            appointment: AppointmentId(new_id(random, now).0),
            patient: Some(self.patient(random)),
            keys: ClientKeys::default(),
            channel: self.own_channel(random, client),
            class,
            attributes: Attributes::default(),
            ttl: Ttl::from_millis(random.pick(&[1_000, 10_000, 60_000, 900_000])).unwrap(),
            book: random.chance(100).then_some(PaymentRef(1)),
            claims,
        }
    }

    /// Other places for an appointment that is known.
    fn reschedule(&self, random: &mut Random, client: usize, now: Timestamp) -> Body {
        let Hold { channel, claims, .. } = self.hold(random, client, now);
        let unknown = AppointmentId(new_id(random, now).0);
        let known = self.some_known(random).filter(|_| random.chance(980));
        Body::Command(Command::Reschedule(Box::new(Reschedule {
            request: new_id(random, now),
            appointment: known.map_or(unknown, |known| known.id),
            patient: known.filter(|_| random.chance(700)).map(|known| known.patient),
            channel: known.filter(|_| random.chance(700)).map_or(channel, |known| known.channel),
            claims,
        })))
    }

    /// Mostly for sessions of late that were full.
    fn join(&mut self, random: &mut Random, client: usize, now: Timestamp) -> Body {
        let oldest = self.sessions.saturating_sub(5).max(1);
        let targets = (0..random.pick(&[1, 1, 2, 3]))
            .map(|_| {
                let unknown = u64::from(random.chance(20));
                let late = self.full.len().min(8);
                if 0 < late && random.chance(800) {
                    return self.full[self.full.len() - 1 - random.index(late)];
                }
                SessionId(random.between(oldest, self.sessions + unknown))
            })
            .collect();
        let join = JoinWaitlist {
            request: new_id(random, now),
            patient: self.patient(random),
            account: None,
            channel: self.own_channel(random, client),
            class: if random.chance(850) {
                PatientClass::Outpatient
            } else {
                PatientClass::Referral
            },
            attributes: random.pick(&[Attributes::default(), Attributes(40), Attributes(8)]),
            earliest: if random.chance(100) {
                now.plus_millis(30 * MINUTE)
            } else {
                Timestamp::default()
            },
            latest: Timestamp::MAX,
            targets,
        };
        self.entries.push((join.request, join.patient));
        Body::Command(Command::JoinWaitlist(Box::new(join)))
    }

    fn leave(&self, random: &mut Random, client: usize, now: Timestamp) -> Body {
        let (entry, patient) = self.entries[random.index(self.entries.len())];
        let channel = self.own_channel(random, client);
        let request = new_id(random, now);
        Body::Command(Command::LeaveWaitlist(LeaveWaitlist { request, entry, patient, channel }))
    }

    fn appeal(&self, random: &mut Random, client: usize, now: Timestamp) -> Body {
        let (patient, restriction) = self.some_restriction(random);
        Body::Command(Command::Appeal(Box::new(Appeal {
            request: new_id(random, now),
            patient,
            restriction,
            evidence: EvidenceRef(1),
            channel: self.own_channel(random, client),
        })))
    }

    fn add_place(&self, random: &mut Random, client: usize, now: Timestamp) -> Body {
        Body::Command(Command::AddPlace(AddPlace {
            appointment: AppointmentId(new_id(random, now).0),
            patient: self.patient(random),
            session: self.late_session(random),
            slot: SlotIndex(u16::try_from(random.below(4)).unwrap()),
            channel: self.own_channel(random, client),
            class: PatientClass::Outpatient,
            payment: None,
            reason: 1,
            by: None,
        }))
    }

    pub(super) fn change(&self, random: &mut Random, client: usize, now: Timestamp) -> Body {
        let payment = PaymentRef(u128::from(random.below(3)));
        let known = self.some_known(random);
        let next = |random: &mut Random| match known.map(|known| known.status) {
            Some(AppointmentStatus::Pending) => {
                random.pick(&[Action::Book { payment }, Action::Book { payment }, Action::Release])
            }
            Some(AppointmentStatus::Waitlist) => Action::Release,
            Some(AppointmentStatus::Booked) => random.pick(&[
                Action::Cancel,
                Action::Arrive,
                Action::CheckIn,
                Action::CheckIn,
                Action::CheckIn,
                Action::NoShow,
            ]),
            _ => random.pick(&[Action::CheckIn, Action::Fulfil, Action::NoShow, Action::Cancel]),
        };
        let any = [
            Action::Book { payment },
            Action::Release,
            Action::Cancel,
            Action::Arrive,
            Action::CheckIn,
            Action::Fulfil,
            Action::NoShow,
        ];
        let role = self.actors[client].role;
        let wanted = |_| {
            let action = if random.chance(850) { next(random) } else { random.pick(&any) };
            permits(role, action.operation()).then_some(action)
        };
        let action = (0..6).find_map(wanted).unwrap_or(Action::Cancel);
        let unknown = AppointmentId(new_id(random, now).0);
        let stranger = self.patient(random);
        let patient = match random.below(20) {
            0 => Some(stranger),
            1..=9 => None,
            _ => known.map(|known| known.patient),
        };
        let channel = known.filter(|_| random.chance(700)).map(|known| known.channel);
        Body::Command(Command::Change(Change {
            request: new_id(random, now),
            appointment: known.filter(|_| random.chance(980)).map_or(unknown, |known| known.id),
            patient,
            channel: channel.unwrap_or_else(|| self.own_channel(random, client)),
            action,
        }))
    }
}

fn malformed(random: &mut Random, mut hold: Hold) -> Body {
    match random.below(4) {
        0 => hold.appointment = AppointmentId(random.next().into()),
        1 => hold.patient = None,
        2 => hold.claims.clear(),
        _ => hold.claims.extend(hold.claims.first().cloned()),
    }
    Body::Command(Command::Hold(hold))
}
