//! Compares what a document describes with what a node has, and opens what is missing.

use tokio::task::JoinSet;

use super::Described;
use super::print::Printer;
use crate::cli::ctl::{fresh_id, told};
use crate::cli::failure::Failure;
use crate::client::{CallError, Client};
use crate::model::{OpenSession, Outcome, SessionId, SessionReading, Timestamp};
use crate::ops::schedule::Planned;
use crate::ops::sessions::{Difference, differences};

/// Sessions that are asked for together.
pub(super) const AT_A_TIME: usize = 64;

/// What a session on the node is to the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It is as described.
    Same,
    /// It was not there, and is opened now.
    Opened,
    /// It is not there.
    Missing,
    /// It is not there, and is over.
    Past,
    /// It is not there, and entries to one of its draws would have begun: nobody could know any more
    /// that the node was bound to the draw before.
    Late,
    /// It is otherwise.
    Different(Vec<Difference>),
}

/// How many sessions there are of each kind.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) same: usize,
    pub(super) opened: usize,
    pub(super) missing: usize,
    pub(super) past: usize,
    pub(super) late: usize,
    pub(super) different: usize,
}

/// Goes through all sessions; `open` says whether to open what is missing.
pub(super) async fn run(
    client: &Client,
    described: &Described,
    json: bool,
    open: bool,
) -> Result<Tally, Failure> {
    let mut printer = Printer::new(json);
    let mut tally = Tally::default();
    for some in described.planned.chunks(AT_A_TIME) {
        for (planned, found) in some.iter().zip(ask(client, some, described.now, json, open).await?)
        {
            tally.count(&found);
            printer.compared(planned, &found)?;
        }
    }
    for some in described.unplanned.chunks(AT_A_TIME) {
        let readings = read(client, some.iter().map(|unplanned| unplanned.session), json).await?;
        let there = some.iter().zip(readings).filter(|(_, reading)| reading.is_some());
        for (unplanned, _) in there {
            tally.different += 1;
            printer.unplanned(unplanned)?;
        }
    }
    printer.tally(&tally)?;
    Ok(tally)
}

/// Compares some sessions at a time.
async fn ask(
    client: &Client,
    some: &[Planned],
    now: Timestamp,
    json: bool,
    open: bool,
) -> Result<Vec<Found>, Failure> {
    let readings = read(client, some.iter().map(|planned| planned.session.id), json).await?;
    let found = some.iter().zip(readings).map(|(planned, reading)| match reading {
        Some(reading) => compare(planned, &reading, now),
        None if has_ended(planned, now) => Found::Past,
        None if is_late(planned, now) => Found::Late,
        None => Found::Missing,
    });
    let mut found: Vec<Found> = found.collect();
    if open {
        let missing = some.iter().zip(&mut found).filter(|(_, found)| **found == Found::Missing);
        open_all(client, missing, now, json).await?;
    }
    Ok(found)
}

/// What the node has of some sessions, in their order.
pub(super) async fn read(
    client: &Client,
    ids: impl Iterator<Item = SessionId>,
    json: bool,
) -> Result<Vec<Option<SessionReading>>, Failure> {
    let asked = in_parallel(ids.map(|id| {
        let client = client.clone();
        async move { client.session(id).await }
    }));
    let answers = asked.await?.into_iter().map(|answer| match answer {
        Err(CallError::Refused(refusal)) if refusal.outcome == Outcome::SessionNotFound => Ok(None),
        answer => told(answer, json).map(Some),
    });
    answers.collect()
}

async fn open_all(
    client: &Client,
    missing: impl Iterator<Item = (&Planned, &mut Found)>,
    now: Timestamp,
    json: bool,
) -> Result<(), Failure> {
    let (planned, mut found): (Vec<&Planned>, Vec<&mut Found>) = missing.unzip();
    let opened = in_parallel(planned.iter().map(|planned| {
        let (client, session) = (client.clone(), planned.session.clone());
        async move { client.open_session(OpenSession { request: fresh_id(), session }).await }
    }));
    for ((planned, found), answer) in planned.iter().zip(&mut found).zip(opened.await?) {
        **found = match answer {
            // Somebody was faster: then it is as any other that is there.
            Err(CallError::Refused(refusal)) if refusal.outcome == Outcome::SessionExists => {
                let reading = told(client.session(planned.session.id).await, json)?;
                compare(planned, &reading, now)
            }
            // The node's clock says so.
            Err(CallError::Refused(refusal))
                if refusal.outcome == Outcome::SessionInvalid
                    && is_late(planned, now.plus_millis(CLOCK_MILLIS)) =>
            {
                Found::Late
            }
            answer => told(answer, json).map(|_| Found::Opened)?,
        };
    }
    Ok(())
}

/// Runs futures at the same time; their results are in the order of the futures.
async fn in_parallel<T: Send + 'static>(
    futures: impl Iterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Result<Vec<T>, Failure> {
    let mut running = JoinSet::new();
    for (index, future) in futures.enumerate() {
        running.spawn(async move { (index, future.await) });
    }
    let mut done = Vec::new();
    while let Some(joined) = running.join_next().await {
        done.push(joined.map_err(|error| {
            Failure::failed(format!("a task ended early: {error}"), "ask again")
        })?);
    }
    done.sort_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

fn compare(planned: &Planned, reading: &SessionReading, now: Timestamp) -> Found {
    let differences = differences(&planned.session, &reading.session, &planned.zone, now);
    if differences.is_empty() { Found::Same } else { Found::Different(differences) }
}

/// Whether a draw of the session would have opened.
fn is_late(planned: &Planned, now: Timestamp) -> bool {
    let terms = planned.session.pools.iter().map(|pool| pool.terms);
    terms.filter(|terms| terms.draw.is_some()).any(|terms| terms.opens <= now)
}

fn has_ended(planned: &Planned, now: Timestamp) -> bool {
    let session = &planned.session;
    let slots = u64::try_from(session.slot_count()).unwrap_or_default();
    session.start.plus_millis(u64::from(session.slot_millis).saturating_mul(slots)) <= now
}

impl Tally {
    fn count(&mut self, found: &Found) {
        *match found {
            Found::Same => &mut self.same,
            Found::Opened => &mut self.opened,
            Found::Missing => &mut self.missing,
            Found::Past => &mut self.past,
            Found::Late => &mut self.late,
            Found::Different(_) => &mut self.different,
        } += 1;
    }
}

/// By how much the clocks of node and administrator may differ.
const CLOCK_MILLIS: u64 = 60_000;
