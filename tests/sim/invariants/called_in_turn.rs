//! Who checks in is queued once, called at most once and in their turn, and is in the queue until they
//! leave: nobody is lost.

use std::collections::BTreeMap;

use haoyuan::inventory::{Part, SHARD_COUNT};
use haoyuan::model::{AppointmentId, AppointmentStatus, Called, Fact, LateRule, Queued, SessionId};
use haoyuan::service::Service;

use super::{History, Invariant, Sight, ensure};

#[derive(Default)]
pub(super) struct CalledInTurn {
    queues: BTreeMap<SessionId, Vec<Waiting>>,
}

struct Waiting {
    queued: Queued,
    is_called: bool,
}

impl Invariant for CalledInTurn {
    fn name(&self) -> &'static str {
        "called_in_turn"
    }

    fn see(&mut self, sight: &Sight<'_>, history: &History) -> Result<(), String> {
        match sight {
            Sight::Durable(record) => {
                record.facts.iter().try_for_each(|fact| self.add(fact, history))
            }
            Sight::Calm { service } | Sight::Healed { service, .. } => {
                self.nobody_is_lost(history)?;
                self.compare(service)
            }
            _ => Ok(()),
        }
    }
}

impl CalledInTurn {
    fn add(&mut self, fact: &Fact, history: &History) -> Result<(), String> {
        match fact {
            Fact::Queued(queued) => {
                let session = history.sessions.get(&queued.session).ok_or("no such session")?;
                let rules = session.terms.attendance.ok_or("a queue where there is none")?;
                let start = session.slot_start(queued.slot);
                let last = start.plus_millis(rules.late_until.into());
                ensure(queued.since <= last, || format!("{queued:?} is later than {last:?}"))?;
                let queue = self.queues.entry(queued.session).or_default();
                let again = queue.iter().any(|it| it.queued.appointment == queued.appointment);
                queue.push(Waiting { queued: *queued, is_called: false });
                ensure(!again, || format!("{queued:?} waits already"))
            }
            Fact::Called(called) => self.call(called, history),
            // Who loses the place is checked in no more.
            Fact::Displaced(lost) => {
                let gone = |it: &Waiting| it.queued.appointment != lost.appointment;
                self.queues.values_mut().for_each(|queue| queue.retain(gone));
                Ok(())
            }
            Fact::Left(left) => {
                let queue = self.queues.entry(left.session).or_default();
                let before = queue.len();
                queue.retain(|it| it.queued.appointment != left.appointment);
                ensure(queue.len() + 1 == before, || format!("{left:?} was not there"))
            }
            _ => Ok(()),
        }
    }

    /// Whoever is called is the first of the kind, and no late one goes before the rule lets it.
    fn call(&mut self, called: &Called, history: &History) -> Result<(), String> {
        let session = history.sessions.get(&called.session).ok_or("no such session")?;
        let rules = session.terms.attendance.ok_or("a call where there is no queue")?;
        let queue = self.queues.entry(called.session).or_default();
        let is_it = |it: &&mut Waiting| it.queued.appointment == called.appointment;
        let it = queue.iter_mut().find(is_it).ok_or("somebody is called who is not there")?;
        ensure(!it.is_called, || format!("{called:?} is called twice"))?;
        it.is_called = true;
        let Queued { is_late, segment, since, appointment, .. } = it.queued;
        let others = || queue.iter().filter(|other| !other.is_called).map(|other| &other.queued);
        let first = others().filter(|other| other.is_late == is_late).all(|other| {
            (segment, since, appointment) < (other.segment, other.since, other.appointment)
        });
        ensure(first, || format!("{called:?} goes before others of its kind"))?;
        let mut others = others().filter(|other| other.is_late != is_late);
        let in_turn = others.all(|other| {
            let (on_time, late) =
                if is_late { (other.slot, segment) } else { (segment, other.segment) };
            let late_first = late < on_time;
            rules.late != LateRule::EndOfSegment || late_first == is_late
        });
        ensure(in_turn, || format!("{called:?} goes against the rule {:?}", rules.late))
    }

    /// Everybody who is checked in where there is a queue is in it.
    fn nobody_is_lost(&self, history: &History) -> Result<(), String> {
        for life in history.lives.values() {
            let keeps = |session: &SessionId| {
                let session = history.sessions.get(session);
                session.is_some_and(|session| session.terms.attendance.is_some())
            };
            let session = life.claims().iter().map(|claim| claim.session).find(keeps);
            let Some(session) = session else { continue };
            let is_there = self.queues.get(&session).is_some_and(|queue| {
                queue.iter().any(|it| it.queued.appointment == life.held.appointment)
            });
            let should = life.status() == AppointmentStatus::CheckedIn;
            ensure(is_there == should, || {
                let id = life.held.appointment.0;
                format!("{id:x} is {:?}, in the queue: {is_there}", life.status())
            })?;
        }
        Ok(())
    }

    /// The node's queues are these.
    fn compare(&self, service: &Service) -> Result<(), String> {
        for index in 0..SHARD_COUNT {
            service.inventory().with_part(2, index, |part| -> Result<(), String> {
                let Part::Session(shard) = part else { return Ok(()) };
                for state in shard.sessions() {
                    let mut should: Vec<(AppointmentId, bool)> = self
                        .queues
                        .get(&state.spec().id)
                        .map(|queue| {
                            let line = |it: &Waiting| (it.queued.appointment, it.is_called);
                            queue.iter().map(line).collect()
                        })
                        .unwrap_or_default();
                    should.sort_unstable();
                    let entries = state.queue().map(|queue| {
                        let line =
                            |it: &haoyuan::model::QueueEntry| (it.appointment, it.call.is_some());
                        queue.entries().map(line).collect::<Vec<_>>()
                    });
                    let has = entries.unwrap_or_default();
                    ensure(has == should, || {
                        format!("session {} queues {has:x?}, not {should:x?}", state.spec().id.0)
                    })?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}
