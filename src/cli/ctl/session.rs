//! `haoyuan ctl session show`: a session as it stands.

use clap::{Args, Subcommand};
use serde_json::json;

use super::connect::Connection;
use super::{describe, told};
use crate::cli::failure::Failure;
use crate::cli::ids;
use crate::cli::output::Output;
use crate::model::{Role, Session, SessionId, SessionReading};
use crate::ops::civil::Zone;
use crate::ops::sessions::render;

/// Shows a session as it stands: terms, pools, what is taken
#[derive(Debug, Args)]
pub(super) struct SessionArguments {
    #[command(subcommand)]
    task: SessionTask,
}

#[derive(Debug, Subcommand)]
enum SessionTask {
    /// Show a session: when it is, its terms in local time, and its pools with what is taken
    #[command(after_help = "Example:\n  haoyuan ctl session show 1001 --zone Asia/Shanghai")]
    Show {
        /// The session
        #[arg(value_parser = ids::session)]
        session: SessionId,
        /// The time zone of what is printed; by default that of the session's hours, or UTC
        #[arg(long, value_name = "NAME", value_parser = zone)]
        zone: Option<Zone>,
    },
}

fn zone(name: &str) -> Result<Zone, String> {
    Zone::named(name)
        .ok_or_else(|| "a zone is a name of the IANA list, as Asia/Shanghai".to_owned())
}

pub(super) fn run(
    connection: &Connection,
    arguments: &SessionArguments,
    json: bool,
) -> Result<(), Failure> {
    let SessionTask::Show { session, zone } = &arguments.task;
    connection.run(Role::Admin, async |client| {
        let reading = told(client.session(*session).await, json)?;
        let zone = zone.clone().unwrap_or_else(|| zone_of(&reading.session));
        show(&reading, &zone, json)
    })
}

/// The clocks that the session's hours, or those of its offers, go by when it begins.
fn zone_of(session: &Session) -> Zone {
    let offers = session.terms.waitlist.as_ref().and_then(|rule| rule.hours.as_ref());
    let hours = session.terms.hours.as_ref().or(offers);
    let offset = hours.and_then(|hours| {
        let known = hours.offsets.iter().rev().find(|(since, _)| *since <= session.start);
        known.or_else(|| hours.offsets.first()).map(|(_, minutes)| *minutes)
    });
    offset.and_then(Zone::fixed).unwrap_or_else(Zone::utc)
}

fn show(reading: &SessionReading, zone: &Zone, json: bool) -> Result<(), Failure> {
    let mut output = Output::new();
    let SessionReading { session, .. } = reading;
    if json {
        output.json(&json!({
            "session": render(session, zone),
            "taken": (0..session.pools.len()).map(|pool| taken(reading, pool)).collect::<Vec<_>>(),
        }))?;
        return output.flush();
    }
    output.line(format_args!("session {}: {}", session.id.0, describe::period(session, zone)))?;
    for line in describe::terms(session, zone) {
        output.line(format_args!("  {line}"))?;
    }
    for (index, pool) in session.pools.iter().enumerate() {
        let taken = taken_sum(&taken(reading, index));
        output.line(format_args!("  {}, {taken} taken", describe::pool(index, pool, zone)))?;
    }
    output.flush()
}

/// What is taken of a pool, slot by slot.
fn taken(reading: &SessionReading, pool: usize) -> Vec<u16> {
    reading
        .taken
        .chunks(reading.session.pools.len().max(1))
        .filter_map(|slot| slot.get(pool))
        .copied()
        .collect()
}

/// Places of any list.
pub(super) fn taken_sum(taken: &[u16]) -> u64 {
    taken.iter().map(|taken| u64::from(*taken)).sum()
}
