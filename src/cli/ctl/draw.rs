//! `haoyuan ctl draw`: where a draw stands, its beacon, its file.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{Connection, Origin, PatientName, fresh_id, of_call, told};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::{draw as published, ids};
use crate::client::{Client, Event};
use crate::codec::decode_facts;
use crate::draw::Collector;
use crate::model::{AppointmentId, DrawId, DrawReading, RequestId, RevealDraw, Role, Sequence};

#[derive(Debug, Subcommand)]
pub(super) enum DrawTask {
    /// Show where a draw stands: its commitment, its entries, what was revealed
    #[command(after_help = "Examples:
  haoyuan ctl draw show 1001.0
  haoyuan ctl draw show 1001.0 --appointment 0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f   with its receipt")]
    Show {
        /// The draw: its session and its pool, as 1001.0
        draw: DrawId,
        /// An entrant whose receipt is wanted, before the draw
        #[arg(long, value_parser = ids::appointment)]
        appointment: Option<AppointmentId>,
        #[command(flatten)]
        patient: PatientName,
        #[command(flatten)]
        origin: Origin,
    },
    /// Give the value of the beacon that the draw names, after the close
    #[command(after_help = "Example:\n  haoyuan ctl draw reveal 1001.0 --beacon 8a72…")]
    Reveal {
        /// The draw
        draw: DrawId,
        /// The value, as its source published it
        #[arg(long, value_name = "VALUE")]
        beacon: String,
        /// The id of the request; a new one if absent. Give it again to ask again
        #[arg(long, value_parser = ids::request)]
        id: Option<RequestId>,
    },
    /// Write the file of a draw that was made, from the node's feed
    #[command(after_help = "Example:\n  haoyuan ctl draw export 1001.0 --out 1001.0.draw")]
    Export {
        /// The draw
        draw: DrawId,
        /// The file to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// The record to read from: one before the session was opened
        #[arg(long, value_name = "SEQ", default_value_t = 1)]
        from: u64,
    },
}

/// Runs the command.
pub(super) fn run(connection: &Connection, task: &DrawTask, json: bool) -> Result<(), Failure> {
    match task {
        DrawTask::Show { draw, appointment, patient, origin } => {
            connection.run(Role::Counter, async |client| {
                let asked = client.draw(*draw, *appointment, patient.id(), origin.channel).await;
                show(&told(asked, json)?, json)
            })
        }
        DrawTask::Reveal { draw, beacon, id } => connection.run(Role::Admin, async |client| {
            let request = id.unwrap_or_else(fresh_id);
            let reveal = RevealDraw { request, draw: *draw, beacon: beacon.clone() };
            let receipt = told(client.reveal_draw(reveal).await, json)?;
            let mut output = Output::new();
            if json {
                let id = draw.to_string();
                output.json(&json!({ "draw": id, "retried": receipt.retried }))?;
            } else {
                output.line(format_args!("draw {draw} has its beacon"))?;
            }
            output.flush()
        }),
        DrawTask::Export { draw, out, from } => connection.run(Role::Admin, async |client| {
            let collector = collect(&client, *draw, Sequence(*from)).await?;
            published::publish(collector.finish(), *draw, out)
        }),
    }
}

async fn collect(client: &Client, draw: DrawId, from: Sequence) -> Result<Collector, Failure> {
    let mut collector = Collector::new(draw);
    let mut watch = client.watch(from);
    loop {
        match watch.next().await.map_err(|error| of_call(&error))? {
            Event::Heartbeat(heartbeat) if heartbeat.durable < watch.position() => {
                return Ok(collector);
            }
            Event::Heartbeat(_) => {}
            Event::Record(record) => {
                let facts = decode_facts(&record.facts).map_err(|error| {
                    Failure::failed(
                        format!("record {} cannot be read: {error}", record.sequence.0),
                        "use the release that the node is",
                    )
                })?;
                facts.iter().for_each(|fact| collector.add(fact));
            }
        }
    }
}

fn show(reading: &DrawReading, json: bool) -> Result<(), Failure> {
    let mut output = Output::new();
    if json {
        output.json(&as_json(reading))?;
        return output.flush();
    }
    let DrawReading { draw, opens, terms, waiting, beacon, revealed, receipt } = reading;
    let state = if revealed.is_none() { "secret" } else { "revealed" };
    output.line(format_args!("draw {draw}: seed {state}, {waiting} entries wait"))?;
    output.line(format_args!(
        "  entries from {} to {}",
        super::show::time(*opens),
        super::show::time(terms.closes)
    ))?;
    if let Some(commitment) = terms.commitment {
        output.line(format_args!("  commitment {commitment}"))?;
    }
    if let Some(named) = terms.beacon {
        let value = beacon.as_deref().unwrap_or("not given yet");
        output.line(format_args!("  beacon {value}, named by {}", named.name))?;
    }
    if let Some(revealed) = revealed {
        output.line(format_args!("  {} of {} entries won", revealed.winners, revealed.entries))?;
        output.line(format_args!("  result {}", revealed.result_digest))?;
    }
    if let Some(receipt) = receipt {
        output.line(format_args!("  receipt {receipt}"))?;
    }
    output.flush()
}

fn as_json(reading: &DrawReading) -> Value {
    let DrawReading { draw, opens, terms, waiting, beacon, revealed, receipt } = reading;
    json!({
        "draw": draw.to_string(),
        "opens_ms": opens.as_millis(),
        "closes_ms": terms.closes.as_millis(),
        "commitment": terms.commitment.map(|hash| hash.to_string()),
        "beacon_name": terms.beacon.map(|beacon| beacon.name.to_string()),
        "beacon_until_ms": terms.beacon.map(|beacon| beacon.until.as_millis()),
        "beacon": beacon,
        "waiting": waiting,
        "receipt": receipt.map(|hash| hash.to_string()),
        "seed": revealed.as_ref().map(|it| crate::model::DrawHash(it.seed.0).to_string()),
        "entries": revealed.as_ref().map(|it| it.entries),
        "winners": revealed.as_ref().map(|it| it.winners),
        "result": revealed.as_ref().map(|it| it.result_digest.to_string()),
    })
}
