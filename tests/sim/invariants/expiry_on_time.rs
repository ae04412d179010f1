//! No hold ends by its deadline before it, none is used after it, and a tick leaves none that is due.

use std::collections::BTreeMap;

use haoyuan::inventory::{Part, SHARD_COUNT};
use haoyuan::journal::Lane;
use haoyuan::model::{AppointmentId, AppointmentStatus, Cause, Fact, Timestamp};
use haoyuan::service::Service;

use super::{History, Invariant, Sight, ensure};

#[derive(Default)]
pub(super) struct ExpiryOnTime {
    pending: BTreeMap<AppointmentId, Timestamp>,
}

impl Invariant for ExpiryOnTime {
    fn name(&self) -> &'static str {
        "expiry_on_time"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &History) -> Result<(), String> {
        match sight {
            Sight::Durable(record) => {
                record.facts.iter().try_for_each(|fact| self.see_fact(record.time, fact))
            }
            // While the clock is in doubt nothing expires, and without room nothing is recorded.
            Sight::Ticked { service, now, is_paused } if !is_paused => {
                let is_full = service.journal().reserve(Lane::Upkeep).is_none();
                let due = due(service, *now);
                ensure(is_full || service.is_failed() || due.is_empty(), || {
                    format!("{due:x?} were due at {}", now.as_millis())
                })
            }
            _ => Ok(()),
        }
    }
}

impl ExpiryOnTime {
    fn see_fact(&mut self, time: Timestamp, fact: &Fact) -> Result<(), String> {
        if let Some(held) = fact.held() {
            self.pending.insert(held.appointment, held.until);
            return ensure(time < held.until, || "a hold is void from the start".to_owned());
        }
        if let Fact::DrawWon(won) = fact {
            self.pending.insert(won.appointment, won.until);
            return ensure(time < won.until, || "a win is void from the start".to_owned());
        }
        match fact {
            Fact::Ordered(ordered) => {
                let until = self.pending.insert(ordered.appointment, ordered.until);
                // Of one that was moved nothing is known any more.
                let in_time = until.is_none_or(|until| time < until) && time < ordered.until;
                return ensure(in_time, || format!("{ordered:?} at {}", time.as_millis()));
            }
            Fact::PatientNamed(named) => {
                let until = self.pending.get(&named.appointment);
                let in_time = until.is_none_or(|until| time < *until);
                return ensure(in_time, || format!("{named:?} at {}", time.as_millis()));
            }
            Fact::Billed(_) | Fact::LeftLate(_) | Fact::Phoned(_) => return Ok(()),
            _ => {}
        }
        let Some(until) = fact.appointment().and_then(|id| self.pending.remove(&id)) else {
            return Ok(());
        };
        let cause = match fact {
            Fact::Ended(ended) => ended.cause,
            Fact::Freed(freed) => freed.ended.cause,
            _ => Cause::None,
        };
        // A block ends what it finds, also what is over and not recorded yet.
        let expired = cause == Cause::Expired || cause == Cause::Displaced && until <= time;
        ensure(expired == (until <= time), || {
            let (time, until) = (time.as_millis(), until.as_millis());
            format!("{} at {time}, the deadline is {until}", fact.name())
        })
    }
}

fn due(service: &Service, now: Timestamp) -> Vec<AppointmentId> {
    let mut due = Vec::new();
    for index in 0..SHARD_COUNT {
        service.inventory().with_part(0, index, |part| {
            if let Part::Home(home) = part {
                let pending = home
                    .appointments()
                    .filter(|hold| hold.status == AppointmentStatus::Pending && hold.until <= now);
                due.extend(pending.map(|hold| hold.id));
            }
        });
    }
    due
}
