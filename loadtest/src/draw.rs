//! A draw: how long it takes until it is decided and its holds exist, and what that costs the others.
//!
//! ```text
//! N entries -> close -> revealed (ranked and allotted) -> last hold exists -> last entry ended
//! load on other sessions
//! `------ before ------'   `----------------------- meanwhile ------------------------'  `- after -'
//! ```
//!
//! **Architecture invariant:** the clock is the real one, and the ticker is the node's. What is
//! compared was measured in one run, and the draw's part begins with the close.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use haoyuan::draw::NodeKey;
use haoyuan::model::{
    Actor, AppointmentId, BookingChannel, ClaimRequest, Command, Draw, DrawId, DrawReading, Hold,
    OpenSession, PatientClass, PatientId, PoolIndex, PoolTerms, Query, Reading, RequestId, Role,
    Session, SlotChoice, Timestamp, Ttl,
};
use haoyuan::service::Service;
use serde::Serialize;

use crate::inside::{Booker, Place, against_rest, beside, open, supply_for};
use crate::random::mix;
use crate::supply::Supply;
use crate::{Failure, clock, node, usage};

/// How a draw is measured.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Entries
    #[arg(long, default_value_t = 100_000)]
    entries: u32,
    /// Places that are drawn
    #[arg(long, default_value_t = 1_000)]
    places: u16,
    /// Seconds of the load alone, before the close and after the last entry
    #[arg(long, default_value_t = 5, value_name = "S")]
    span: u64,
    /// End with 1 where a limit is passed: decided in 300 ms, holds 3 s later, p99 doubled
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    place: Place,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    entries: u32,
    places: u16,
    /// From the close until the seed is revealed: every entry is ranked, every place allotted.
    decided_ms: u64,
    /// From then until the last winner's hold exists.
    holds_exist_ms: u64,
    /// From the reveal until the last entry has ended.
    over_ms: u64,
    load_p99_us_before: u64,
    load_p99_us_meanwhile: u64,
    load_p99_us_after: u64,
    /// p99 meanwhile by the mean of the other two.
    p99_ratio: f64,
    file_system: Option<String>,
}

/// Milliseconds to open the session and to enter, before the close.
const LEAD_MILLIS: u64 = 60_000;

/// The most that a draw may take to be decided, its holds to exist, and p99 to grow.
const DECIDED_MAX_MILLIS: u64 = 300;
const EXIST_MAX_MILLIS: u64 = 3_000;
const RATIO_MAX: f64 = 2.0;

/// A draw that is not over by then never will be.
const OVER_MAX_MILLIS: u64 = 120_000;

/// Runs the subcommand.
pub(crate) fn run(options: &Options) -> Result<bool, Failure> {
    let folder = options.place.folder()?;
    let (service, _) = open(folder.path())?;
    service.set_draw_key(NodeKey::new([7; NodeKey::BYTES]));
    let supply = supply_for(20_000_000)?;
    let mut booker = Booker::new(&service, &supply, 1);
    booker.open_sessions()?;
    let begun = clock::wall();
    let closes = begun.plus_millis(LEAD_MILLIS);
    let draw = announce(&service, options, begun, closes)?;
    enter(&service, options, draw)?;
    node::start_ticker(&service);
    let span = 1_000 * options.span;
    pause_until(closes.minus_millis(span))?;
    let (before, ()) = beside(&mut booker, || pause_until(closes))?;
    let (meanwhile, times) = beside(&mut booker, || follow(&service, draw, closes))?;
    let (after, ()) = beside(&mut booker, || pause_until(clock::wall().plus_millis(span)))?;
    let p99 = [&before, &meanwhile, &after].map(|part| part.value_at_quantile(0.99));
    let report = Report {
        entries: options.entries,
        places: options.places,
        decided_ms: times[0],
        holds_exist_ms: times[1],
        over_ms: times[2],
        load_p99_us_before: p99[0],
        load_p99_us_meanwhile: p99[1],
        load_p99_us_after: p99[2],
        p99_ratio: against_rest(p99),
        file_system: usage::file_system(folder.path()),
    };
    service.close()?;
    crate::print(&report, options.json)?;
    let is_within = report.decided_ms <= DECIDED_MAX_MILLIS
        && report.holds_exist_ms <= EXIST_MAX_MILLIS
        && report.p99_ratio <= RATIO_MAX;
    Ok(!options.check || is_within)
}

/// Waits for an instant that lies ahead.
fn pause_until(instant: Timestamp) -> Result<(), Failure> {
    let wait = instant.as_millis().checked_sub(clock::wall().as_millis());
    let wait = wait.ok_or("entering took longer than the draw was open: ask for fewer entries")?;
    clock::pause(Duration::from_millis(wait));
    Ok(())
}

/// Opens a session whose one pool is drawn.
fn announce(
    service: &Service,
    options: &Options,
    now: Timestamp,
    closes: Timestamp,
) -> Result<DrawId, Failure> {
    let mut session: Session = Supply::new(1, 1, options.places).session(0, now);
    let terms =
        Draw { closes, preferences_max: 3, ttl: Ttl::DEFAULT, beacon: None, commitment: None };
    let opens = now.plus_millis(1);
    session.pools[0].terms = PoolTerms { opens, draw: Some(terms), ..PoolTerms::default() };
    let draw = DrawId { session: session.id, pool: PoolIndex(0) };
    let request = RequestId::from_parts(now, u128::from(mix(session.id.0)));
    let open = Command::OpenSession(Box::new(OpenSession { request, session }));
    let answer = service.call(now, &Actor::unbounded(Role::Admin), &open);
    answer.result.map_err(|refusal| format!("not opened: {refusal:?}"))?;
    Ok(draw)
}

fn enter(service: &Service, options: &Options, draw: DrawId) -> Result<(), Failure> {
    let actor = Actor::unbounded(Role::Gateway);
    clock::pause(Duration::from_millis(5));
    for patient in 1..=options.entries {
        let now = clock::wall();
        let random = u128::from(mix(patient.into())) << 32 | u128::from(patient);
        let hold = Hold::of(
            AppointmentId(RequestId::from_parts(now, random).0),
            PatientId(1 << 100 | u128::from(patient)),
            [ClaimRequest { session: draw.session, count: 1, slots: SlotChoice::Any }],
        );
        let answer = service.call(now, &actor, &Command::Hold(hold));
        if let Err(refusal) = answer.result {
            return Err(format!("patient {patient} did not enter: {refusal:?}").into());
        }
        if patient % 1_000 == 0 {
            service.wait_durable(answer.after)?;
        }
    }
    Ok(())
}

/// Milliseconds from the close to the reveal, and from there to the last hold and to the end.
fn follow(service: &Arc<Service>, draw: DrawId, closes: Timestamp) -> Result<[u64; 3], Failure> {
    let until = |is_there: &dyn Fn(&DrawReading) -> bool| loop {
        let elapsed = clock::wall().as_millis().saturating_sub(closes.as_millis());
        if is_there(&read(service, draw)?) {
            return Ok::<_, Failure>(elapsed);
        }
        if OVER_MAX_MILLIS < elapsed {
            return Err("the draw did not end".into());
        }
        clock::pause(Duration::from_millis(1));
    };
    let decided = until(&|reading| reading.revealed.is_some())?;
    let actor = Actor::unbounded(Role::Gateway);
    let full = until(&|_| {
        let query = Query::Availability {
            session: draw.session,
            channel: BookingChannel::default(),
            class: PatientClass::Outpatient,
        };
        match service.read(clock::wall(), &actor, &query).result {
            Ok(Reading::Availability(places)) => places.free.iter().all(|free| *free == 0),
            _ => false,
        }
    })?;
    let over = until(&|reading| reading.waiting == 0)?;
    Ok([decided, full - decided, over - decided])
}

fn read(service: &Service, draw: DrawId) -> Result<DrawReading, Failure> {
    let query =
        Query::Draw { draw, appointment: None, patient: None, channel: BookingChannel::default() };
    match service.read(clock::wall(), &Actor::unbounded(Role::Admin), &query).result {
        Ok(Reading::Draw(reading)) => Ok(*reading),
        other => Err(format!("the draw cannot be read: {other:?}").into()),
    }
}
