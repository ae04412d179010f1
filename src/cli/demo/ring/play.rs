//! The scene as it is played: clinics open, everybody asks, the platform tells what it has for them.
//!
//! ```text
//! a quest for each person and clinic <-- won, offered, lost -- feed of the node
//!                  '--> the desk, over one connection: who cancels for a customer is read just before them
//! ```
//!
//! **Architecture invariant:** first requests come by the clock, whatever the node does.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;

use super::Part;
use super::clinics::{Times, draw_id, session};
use super::population::Population;
use super::quest::{Quest, Untold, live};
use super::stage::{Stage, listen};
use crate::cli::demo::account::Acknowledged;
use crate::cli::demo::desk::{Desk, open, stuck};
use crate::cli::demo::patients::pause;
use crate::cli::failure::Failure;
use crate::client::Client;
use crate::client::ids::new_request_id;
use crate::model::limits::RULES_LEAD_MILLIS;
use crate::model::{ApplyRules, AppointmentStatus, BookingChannel, Cause, Sequence, Timestamp};

/// The scene as it was played: what those who took part know.
#[derive(Debug)]
pub(in crate::cli::demo) struct Played {
    pub(super) population: Arc<Population>,
    pub(super) parts: [PartPlayed; 2],
}

/// What was done in a part.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PartPlayed {
    /// How often people asked for a place, and the ring.
    pub(super) requests: [u64; 2],
    /// How often the ring gave up a place for a customer.
    pub(super) handovers_tried: u32,
    /// People to whom a rule refused something.
    pub(super) hindered: u32,
}

/// Plays the scene.
pub(in crate::cli::demo) async fn play(
    desk: &Arc<Desk>,
    admin: &Client,
) -> Result<Played, Failure> {
    let population = Arc::new(Population::read()?);
    let now = desk.clock.now();
    let times = announce(desk, admin, &population, Part::FirstCome, now).await?;
    // They take some seconds of notice: those that the first part lasts.
    let from = apply_rules(desk, admin, &population, times.ends).await?;
    let first_come = perform(desk, admin, &population, Part::FirstCome, times).await?;
    let times = announce(desk, admin, &population, Part::ByLot, from).await?;
    let by_lot = perform(desk, admin, &population, Part::ByLot, times).await?;
    Ok(Played { population, parts: [first_come, by_lot] })
}

/// Opens the sessions of a part, some time before their places are to be had.
async fn announce(
    desk: &Desk,
    admin: &Client,
    population: &Population,
    part: Part,
    from: Timestamp,
) -> Result<Times, Failure> {
    let now = desk.clock.now();
    let times = Times::new(population, part, from.max(now).plus_millis(NOTICE_MILLIS));
    let mut opening = JoinSet::new();
    for clinic in 0..population.openings.count {
        let (admin, session) = (admin.clone(), session(population, part, times, clinic, now));
        opening.spawn(async move { open(&admin, now, session).await });
    }
    opening.join_all().await.into_iter().collect::<Result<(), _>>()?;
    Ok(times)
}

/// Puts the rules in force from an instant on, or as soon after it as there is notice. Says when.
async fn apply_rules(
    desk: &Desk,
    admin: &Client,
    population: &Population,
    from: Timestamp,
) -> Result<Timestamp, Failure> {
    let now = desk.clock.now();
    let from = from.max(now.plus_millis(RULES_LEAD_MILLIS + RULES_MORE_MILLIS));
    let rules = population.rules()?.rules(from);
    let apply = ApplyRules { request: new_request_id(now), rules };
    let applied = admin.apply_rules(apply).await;
    applied.map_err(|error| stuck(&format!("the rules were not taken: {error}")))?;
    Ok(from)
}

/// Lets everybody live for as long as a part lasts.
async fn perform(
    desk: &Arc<Desk>,
    admin: &Client,
    population: &Arc<Population>,
    part: Part,
    times: Times,
) -> Result<PartPlayed, Failure> {
    let stage = Arc::new(Stage::new(desk, population, part, times));
    let mut quests = JoinSet::new();
    for person in stage.everybody.iter().copied() {
        for clinic in 0..population.openings.count {
            let news = stage.news_for((person.number, clinic));
            quests.spawn(live(Quest::new(&stage, person, clinic), news));
        }
    }
    tokio::select! {
        () = desk.until(times.ends) => {}
        failed = listen(&stage, admin.watch(Sequence(1))) => match failed? {},
    }
    stage.close();
    let untold = quests.join_all().await.into_iter().flatten().collect();
    if part == Part::ByLot {
        settle(desk, population, untold).await?;
    }
    let hindered = crate::cli::demo::table::count(stage.hindered.lock().len());
    Ok(PartPlayed {
        requests: [0, 1].map(|side: usize| stage.requests[side].load(Ordering::Relaxed)),
        handovers_tried: stage.handovers_tried.load(Ordering::Relaxed),
        hindered,
    })
}

/// Waits until all lots are drawn, and reads what came of entries of which nobody was told in time.
async fn settle(desk: &Desk, population: &Population, untold: Vec<Untold>) -> Result<(), Failure> {
    let end = desk.clock.now().plus_millis(PATIENCE_MILLIS);
    for clinic in 0..population.openings.count {
        loop {
            let ask = || desk.client.draw(draw_id(clinic), None, None, BookingChannel::default());
            let reading = desk.patiently(ask).await.map_err(|error| stuck(&error.to_string()))?;
            if reading.revealed.is_some() && reading.waiting == 0 {
                break;
            }
            if end < desk.clock.now() {
                return Err(stuck("the lots of the clinics were not drawn in time"));
            }
            pause(LOOK_AGAIN).await;
        }
    }
    for (id, person) in untold {
        let ask = || desk.client.get(id, Some(person.patient()), person.channel);
        match desk.patiently(ask).await {
            Ok(entry)
                if (entry.status, entry.cause)
                    == (AppointmentStatus::Cancelled, Cause::NotDrawn) =>
            {
                desk.account.lock().note(id, Acknowledged::NotDrawn);
            }
            Ok(_) => desk.account.lock().note(id, Acknowledged::Held),
            Err(error) => desk.wonder(&error),
        }
    }
    Ok(())
}

/// From the announcement of clinics to their opening. Who probes begins in it.
const NOTICE_MILLIS: u64 = 500;

/// Until a request to put rules in force has reached the node.
const RULES_MORE_MILLIS: u64 = 500;

/// Much longer than a draw takes.
const PATIENCE_MILLIS: u64 = 20_000;
const LOOK_AGAIN: Duration = Duration::from_millis(10);
