//! An opening: many sessions open in the same millisecond, with a crowd at the door, beside a load.
//!
//! ```text
//!          before                T   at the opening          T + span    after
//! crowd    NotOpenYet, NotOpenYet|   Done, Done, ...         |           Done, SoldOut ...
//! load     p99                   |   p99                     |           p99
//! ```
//!
//! **Architecture invariant:** whether a place was given early is read from the journal, not from what
//! the crowd believes.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use haoyuan::codec::decode_facts;
use haoyuan::model::{
    Actor, AppointmentId, ClaimRequest, Command, Fact, Hold, OpenSession, Outcome, PatientId,
    RequestId, Role, Sequence, SessionId, SlotChoice, Timestamp,
};
use haoyuan::service::Service;
use serde::Serialize;

use crate::inside::{Booker, Place, against_rest, beside, open, supply_for};
use crate::random::{Random, mix};
use crate::supply::Supply;
use crate::{Failure, clock, node, usage};

/// What opens, and who waits for it.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Sessions that open in the same millisecond
    #[arg(long, default_value_t = 10_000)]
    sessions: u32,
    /// Requests of the crowd in a second, spread over the sessions
    #[arg(long, default_value_t = 20_000, value_name = "N")]
    rate: u64,
    /// Seconds of each of the three parts: before, at the opening, after
    #[arg(long, default_value_t = 4, value_name = "S")]
    span: u64,
    /// End with 1 where a place was given early, or the load's p99 more than doubled
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    place: Place,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Default, Serialize)]
struct Report {
    sessions: u32,
    rate: u64,
    /// Places that the journal says were given before the opening. Must be 0.
    early: u64,
    /// The first of them was given so many ms after the opening.
    first_after_ms: Option<u64>,
    refused_before: u64,
    given: u64,
    refused_late: u64,
    load_p99_us_before: u64,
    load_p99_us_at: u64,
    load_p99_us_after: u64,
    /// p99 at the opening by the mean of the other two.
    p99_ratio: f64,
    load_holds: u64,
    crowd_fell_behind_ms: u64,
    file_system: Option<String>,
}

/// The most that p99 may grow.
const RATIO_MAX: f64 = 2.0;

/// Places of each slot of a session that opens, and its slots: the crowd cannot take them all.
const QUOTA: u16 = 10;
const SLOTS: u32 = 8;

/// Time to open the sessions in before anything is measured, in milliseconds a session.
const LEAD_MILLIS: u64 = 1_000;

/// Runs the subcommand.
pub(crate) fn run(options: &Options) -> Result<bool, Failure> {
    let folder = options.place.folder()?;
    let (service, _) = open(folder.path())?;
    let mut booker = Booker::new(&service, &supply_for(3 * options.span * 250_000)?, 1);
    booker.open_sessions()?;
    node::start_ticker(&service);

    let doors = Supply::new(options.sessions, SLOTS, QUOTA);
    let doors = Supply { first: doors.first + (1 << 17), ..doors };
    let setting_up = LEAD_MILLIS + u64::from(options.sessions) / 4;
    let opens = clock::wall().plus_millis(setting_up + options.span * 1_000);
    announce(&service, &doors, opens)?;

    let mut crowd = Crowd::new(&service, &doors, options.rate);
    let span = options.span * 1_000;
    let (before, refused) = beside(&mut booker, || Ok(crowd.until(opens.minus_millis(20))))?;
    let (at, given) = beside(&mut booker, || Ok(crowd.until(opens.plus_millis(span))))?;
    let (after, late) = beside(&mut booker, || Ok(crowd.until(opens.plus_millis(2 * span))))?;
    service.wait_durable(service.journal().appended())?;

    let p99 = [&before, &at, &after].map(|part| part.value_at_quantile(0.99));
    let (early, first) = given_early(&service, &doors, opens)?;
    let report = Report {
        sessions: options.sessions,
        rate: options.rate,
        early,
        first_after_ms: first.map(|first| first.as_millis() - opens.as_millis()),
        refused_before: refused.not_open,
        given: given.done + late.done,
        refused_late: given.other + late.other + refused.other,
        load_p99_us_before: p99[0],
        load_p99_us_at: p99[1],
        load_p99_us_after: p99[2],
        p99_ratio: against_rest(p99),
        load_holds: before.len() + at.len() + after.len(),
        crowd_fell_behind_ms: crowd.behind_millis,
        file_system: usage::file_system(folder.path()),
    };
    service.close()?;
    crate::print(&report, options.json)?;
    let sound = report.early == 0 && report.given != 0 && report.refused_before != 0;
    Ok(sound && (!options.check || report.p99_ratio <= RATIO_MAX))
}

/// Opens the sessions whose places can be booked from an instant on.
fn announce(service: &Service, doors: &Supply, opens: Timestamp) -> Result<(), Failure> {
    let (now, actor) = (clock::wall(), Actor::unbounded(Role::Admin));
    for index in 0..doors.sessions {
        let mut session = doors.session(index, now);
        session.pools.iter_mut().for_each(|pool| pool.terms.opens = opens);
        let request = RequestId::from_parts(now, u128::from(mix(session.id.0)));
        let command = Command::OpenSession(Box::new(OpenSession { request, session }));
        while let Err(refusal) = service.call(now, &actor, &command).result {
            if refusal.outcome != Outcome::Overloaded {
                return Err(format!("an opening was refused: {}", refusal.outcome.name()).into());
            }
            service.wait_durable(service.journal().appended())?;
        }
    }
    Ok(service.wait_durable(service.journal().appended())?)
}

/// Places of the doors that were taken before they opened, and when the first was taken after.
fn given_early(
    service: &Service,
    doors: &Supply,
    opens: Timestamp,
) -> Result<(u64, Option<Timestamp>), Failure> {
    let (mut early, mut first) = (0, None);
    let mut next = Sequence(1);
    let ids = doors.first..doors.first + u64::from(doors.sessions);
    while next <= service.durable() {
        let page = service.journal().read(next, 1 << 20)?;
        for (_, time, bytes) in page.records() {
            for fact in decode_facts(bytes)? {
                let Fact::Held(held) = fact else { continue };
                if !held.claims.iter().any(|claim| ids.contains(&claim.session.0)) {
                    continue;
                }
                early += u64::from(time < opens);
                if opens <= time && first.is_none() {
                    first = Some(time);
                }
            }
        }
        next = page.next();
    }
    Ok((early, first))
}

/// People who ask at a steady rate, whatever the answers.
struct Crowd {
    service: Arc<Service>,
    doors: Supply,
    rate: u64,
    random: Random,
    actor: Actor,
    asked: u64,
    behind_millis: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Answers {
    not_open: u64,
    done: u64,
    other: u64,
}

impl Crowd {
    fn new(service: &Arc<Service>, doors: &Supply, rate: u64) -> Self {
        let (service, doors) = (Arc::clone(service), doors.clone());
        let actor = Actor::unbounded(Role::Gateway);
        let random = Random::new(7);
        Self { service, doors, rate, random, actor, asked: 0, behind_millis: 0 }
    }

    /// Asks until an instant.
    fn until(&mut self, end: Timestamp) -> Answers {
        let (start, from) = (clock::now(), self.asked);
        let mut answers = Answers::default();
        while clock::wall() < end {
            let elapsed = clock::micros(start.elapsed());
            let due = from + elapsed.saturating_mul(self.rate) / 1_000_000;
            if due <= self.asked {
                clock::pause(Duration::from_micros(500));
                continue;
            }
            let behind = (due - self.asked) * 1_000 / self.rate.max(1);
            self.behind_millis = self.behind_millis.max(behind);
            self.ask(&mut answers);
        }
        answers
    }

    fn ask(&mut self, answers: &mut Answers) {
        self.asked += 1;
        let now = clock::wall();
        let session = self.doors.first + self.asked % u64::from(self.doors.sessions);
        let random = u128::from(self.random.next()) << 32 | u128::from(self.random.next());
        let claim = ClaimRequest { session: SessionId(session), count: 1, slots: SlotChoice::Any };
        let hold = Hold::of(
            AppointmentId(RequestId::from_parts(now, random).0),
            PatientId(1 << 100 | u128::from(self.asked)),
            [claim],
        );
        match self.service.call(now, &self.actor, &Command::Hold(hold)).result {
            Ok(_) => answers.done += 1,
            Err(refusal) if refusal.outcome == Outcome::NotOpenYet => answers.not_open += 1,
            Err(_) => answers.other += 1,
        }
    }
}
