//! Nothing is held before its pool opens, after its booking has ended, or outside the hours.

use haoyuan::model::{Fact, Held, Session, Timestamp};

use super::{History, Invariant, Sight, ensure};

pub(super) struct NothingEarly;

impl Invariant for NothingEarly {
    fn name(&self) -> &'static str {
        "nothing_early"
    }

    fn see(&mut self, sight: &Sight<'_>, history: &History) -> Result<(), String> {
        let Sight::Durable(record) = sight else { return Ok(()) };
        for fact in &record.facts {
            let Some(held) = fact.held() else { continue };
            for claim in &held.claims {
                let session = history.sessions.get(&claim.session).ok_or("no such session")?;
                let opens = session.pools[usize::from(claim.pool.0)].terms.opens;
                ensure(opens <= record.time, || format!("{claim:?} was taken before {opens:?}"))?;
                let ends = ends_of(session, session.slot_start(claim.slot));
                ensure(record.time < ends, || format!("{claim:?} was taken after {ends:?}"))?;
                // The hours bind who asks; an offer is the node's.
                if matches!(fact, Fact::Held(_)) {
                    in_hours(session, held, record.time)?;
                }
            }
        }
        Ok(())
    }
}

/// When booking of a slot ends that begins then.
fn ends_of(session: &Session, start: Timestamp) -> Timestamp {
    let lead = session.terms.lead_millis.map(|lead| start.minus_millis(lead.into()));
    [session.terms.booking_ends, lead].into_iter().flatten().min().unwrap_or(Timestamp::MAX)
}

/// The simulation's hours are in one offset.
fn in_hours(session: &Session, held: &Held, time: Timestamp) -> Result<(), String> {
    let Some(hours) = &session.terms.hours else { return Ok(()) };
    let minute = (time.as_millis() / 60_000 + 8 * 60) % 1_440;
    let is_in = (u64::from(hours.from)..u64::from(hours.to)).contains(&minute);
    ensure(is_in || !hours.channels.contains(held.channel), || {
        format!("{:x} was held in minute {minute} of the day", held.appointment.0)
    })
}
