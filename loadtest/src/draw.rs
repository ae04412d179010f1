//! A draw: how long it takes until it is decided and its holds exist, and what that costs the others.
//!
//! ```text
//! N entries -> close -> revealed (ranked and allotted) -> last hold exists -> last entry ended
//!                       `-------------- load on other sessions, before and meanwhile -------'
//! ```
//!
//! **Architecture invariant:** the clock is the real one, and the ticker is the node's.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use haoyuan::draw::NodeKey;
use haoyuan::model::{
    Actor, AppointmentId, Attributes, BookingChannel, ClaimRequest, ClientKeys, Command, Draw,
    DrawId, DrawReading, Hold, OpenSession, PatientClass, PatientId, PoolIndex, PoolTerms, Query,
    Reading, RequestId, Role, Session, SlotChoice, Timestamp, Ttl,
};
use haoyuan::service::Service;
use serde::Serialize;

use crate::inside::{Booker, Place, beside, open, supply_for};
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
    file_system: Option<String>,
}

/// Milliseconds to open the session and to enter, before the close.
const LEAD_MILLIS: u64 = 60_000;

/// How long the load runs alone, to compare with.
const BASELINE: Duration = Duration::from_secs(3);

/// A draw that is not over by then never will be.
const OVER_MAX: Duration = Duration::from_mins(2);

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
    let (before, ()) = beside(&mut booker, || {
        clock::pause(BASELINE);
        Ok(())
    })?;
    let (meanwhile, times) = beside(&mut booker, || follow(&service, draw, closes))?;
    let report = Report {
        entries: options.entries,
        places: options.places,
        decided_ms: times[0],
        holds_exist_ms: times[1],
        over_ms: times[2],
        load_p99_us_before: before.value_at_quantile(0.99),
        load_p99_us_meanwhile: meanwhile.value_at_quantile(0.99),
        file_system: usage::file_system(folder.path()),
    };
    service.close()?;
    crate::print(&report, options.json)?;
    Ok(true)
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
        let hold = Hold {
            appointment: AppointmentId(RequestId::from_parts(now, random).0),
            patient: Some(PatientId(1 << 100 | u128::from(patient))),
            keys: ClientKeys::default(),
            channel: BookingChannel::default(),
            class: PatientClass::Outpatient,
            attributes: Attributes::default(),
            ttl: Ttl::DEFAULT,
            book: None,
            claims: std::iter::once(ClaimRequest {
                session: draw.session,
                count: 1,
                slots: SlotChoice::Any,
            })
            .collect(),
        };
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
    let wait = closes.as_millis().saturating_sub(clock::wall().as_millis());
    clock::pause(Duration::from_millis(wait));
    let begun = clock::now();
    let until = |is_there: &dyn Fn(&DrawReading) -> bool| loop {
        if is_there(&read(service, draw)?) {
            return Ok::<_, Failure>(u64::try_from(begun.elapsed().as_millis())?);
        }
        if OVER_MAX < begun.elapsed() {
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
