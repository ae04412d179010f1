//! An id is held once, booked at most once, and ends at most once, with the places that it took.

use std::collections::BTreeMap;

use haoyuan::model::{AppointmentId, Claims, Fact};

use super::{History, Invariant, Sight, ensure};

#[derive(Default)]
pub(super) struct HeldOnce {
    lives: BTreeMap<AppointmentId, Life>,
}

struct Life {
    claims: Claims,
    booked: u32,
    ended: u32,
    forgotten: u32,
}

impl Invariant for HeldOnce {
    fn name(&self) -> &'static str {
        "held_once"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &History) -> Result<(), String> {
        let Sight::Durable(record) = sight else { return Ok(()) };
        for fact in &record.facts {
            if fact.held().is_some() || matches!(fact, Fact::PlaceAdded(_)) {
                let id = fact.appointment().ok_or("a hold of nothing")?;
                let booked = u32::from(matches!(fact, Fact::PlaceAdded(_)));
                let claims = Claims::from_slice(fact.taken());
                let life = Life { claims, booked, ended: 0, forgotten: 0 };
                let earlier = self.lives.insert(id, life);
                ensure(earlier.is_none(), || format!("{:x} is held twice", id.0))?;
                continue;
            }
            if let Fact::Entered(entered) = fact {
                let life = Life { claims: Claims::new(), booked: 0, ended: 0, forgotten: 0 };
                let earlier = self.lives.insert(entered.appointment, life);
                ensure(earlier.is_none(), || format!("{:x} twice", entered.appointment.0))?;
                continue;
            }
            let ids = match fact {
                Fact::Forgotten(forgotten) => forgotten.appointments.to_vec(),
                Fact::Declined(_)
                | Fact::SessionOpened(_)
                | Fact::QuotasSet(_)
                | Fact::Reclaimed(_)
                | Fact::BeaconGiven(_)
                | Fact::DrawRevealed(_)
                | Fact::Returned(_)
                | Fact::Swept(_)
                | Fact::SessionBlocked(_)
                | Fact::Substituted(_)
                | Fact::WaitJoined(_)
                | Fact::WaitLeft(_)
                | Fact::WaitDrawn(_)
                | Fact::Billed(_)
                | Fact::LeftLate(_)
                | Fact::Phoned(_)
                | Fact::DecidedUnder(_)
                | Fact::Called(_) => continue,
                _ => fact.appointment().into_iter().collect(),
            };
            for id in ids {
                let life = self.lives.get_mut(&id).ok_or("a fact about nothing")?;
                step(life, fact).map_err(|what| format!("{:x} {what}", id.0))?;
            }
        }
        Ok(())
    }
}

fn step(life: &mut Life, fact: &Fact) -> Result<(), String> {
    let was_over = 0 < life.ended;
    match fact {
        Fact::Booked(_) => life.booked += 1,
        Fact::Ended(ended) => {
            life.ended += 1;
            ensure(ended.claims == life.claims, || "gives back what it had not".to_owned())?;
        }
        Fact::Freed(freed) => {
            life.ended += 1;
            ensure(freed.ended.claims == life.claims, || "gives back what it had not".to_owned())?;
        }
        Fact::Displaced(displaced) => {
            ensure(displaced.claims == life.claims, || "loses what it had not".to_owned())?;
            ensure(!life.claims.is_empty(), || "is displaced twice".to_owned())?;
            life.claims.clear();
        }
        Fact::Rescheduled(moved) => {
            ensure(moved.from == life.claims, || "leaves what it had not".to_owned())?;
            life.claims.clone_from(&moved.to);
        }
        Fact::DrawWon(won) => {
            ensure(life.claims.is_empty(), || "wins twice".to_owned())?;
            life.claims.push(won.claim);
        }
        Fact::EntryEnded(_) => {
            life.ended += 1;
            ensure(life.claims.is_empty(), || "ends as an entry with a place".to_owned())?;
        }
        Fact::Settled(_) | Fact::Left(_) => life.ended += 1,
        Fact::Forgotten(_) => {
            life.forgotten += 1;
            ensure(was_over, || "is forgotten while it lives".to_owned())?;
            return ensure(life.forgotten == 1, || "is forgotten twice".to_owned());
        }
        _ => {}
    }
    ensure(!was_over, || "goes on after its end".to_owned())?;
    ensure(life.booked <= 1, || "is booked twice".to_owned())
}
