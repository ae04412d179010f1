//! `haoyuan ctl call-next` and `queue`: who is called, and who waits.
//!
//! **Architecture invariant:** the order is the node's; nothing is sorted here.

use clap::Args;
use serde_json::json;

use super::{Connection, Failure, Output, fresh_id, ids, told};
use crate::cli::ids::uuid;
use crate::client::Client;
use crate::model::{
    CallLine, CallNext, CallOrder, CallOrderOf, LISTED_MAX, RequestId, Role, SessionId,
};

/// Call the next patient of a session's queue
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  haoyuan ctl call-next 1001")]
pub(super) struct CallTask {
    /// The session
    #[arg(value_parser = ids::session)]
    session: SessionId,
    /// The id of the request; a new one if absent. Give it again to ask again
    #[arg(long, value_parser = ids::request)]
    id: Option<RequestId>,
}

/// Show who was called and who waits in a session, in the order of calls
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  haoyuan ctl queue 1001")]
pub(super) struct QueueTask {
    /// The session
    #[arg(value_parser = ids::session)]
    session: SessionId,
}

/// Calls the next one.
pub(super) fn call(connection: &Connection, task: &CallTask, json: bool) -> Result<(), Failure> {
    let (request, session) = (task.id.unwrap_or_else(fresh_id), task.session);
    connection.run(Role::Practitioner, async |client| {
        let receipt = told(client.call_next(CallNext { request, session }).await, json)?;
        let called = receipt.appointment.map(|appointment| uuid(appointment.0));
        let mut output = Output::new();
        if json {
            output.json(&json!({
                "session": session.0,
                "appointment": called,
                "retried": receipt.retried,
            }))?;
        } else if let Some(called) = called {
            output.line(format_args!("called {called}"))?;
        } else {
            output.line("who was called has left since")?;
        }
        output.flush()
    })
}

/// Shows the whole queue, page by page.
pub(super) fn run(connection: &Connection, task: &QueueTask, json: bool) -> Result<(), Failure> {
    connection.run(Role::Counter, async |client| {
        let order = told(whole(&client, task.session).await, json)?;
        show(task.session, &order, json)
    })
}

/// All pages. Who is called meanwhile moves up, and may be shown twice or not at all.
async fn whole(client: &Client, session: SessionId) -> Result<CallOrder, crate::client::CallError> {
    let mut order = client.call_order(session, CallOrderOf::All { from: 0 }).await?;
    while let Ok(from) = u16::try_from(order.lines.len()) {
        if usize::from(from) % LISTED_MAX != 0 || from == 0 {
            break;
        }
        let more = client.call_order(session, CallOrderOf::All { from }).await?;
        if more.lines.is_empty() {
            break;
        }
        order.lines.extend(more.lines);
    }
    Ok(order)
}

fn show(session: SessionId, order: &CallOrder, json: bool) -> Result<(), Failure> {
    let mut output = Output::new();
    if json {
        let lines: Vec<_> = order.lines.iter().map(as_json).collect();
        output.json(&json!({
            "session": session.0,
            "waiting": order.waiting,
            "visit_ms": order.visit_millis,
            "queue": lines,
        }))?;
        return output.flush();
    }
    for line in &order.lines {
        output.line(for_people(line))?;
    }
    let minutes = order.visit_millis.div_ceil(60_000);
    output.line(format_args!("{} wait; a visit takes about {minutes} min", order.waiting))?;
    output.flush()
}

fn as_json(line: &CallLine) -> serde_json::Value {
    json!({
        "position": line.position,
        "appointment": uuid(line.appointment.0),
        "slot": line.slot.0,
        "late": line.is_late,
        "since_ms": line.since.as_millis(),
        "called_ms": line.called.map(crate::model::Timestamp::as_millis),
        "wait_ms": line.wait_millis,
    })
}

fn for_people(line: &CallLine) -> String {
    let (id, late) = (uuid(line.appointment.0), if line.is_late { "  late" } else { "" });
    let slot = line.slot.0;
    if line.called.is_some() {
        return format!("called  {id}  slot {slot:>3}{late}");
    }
    let (position, minutes) = (line.position, line.wait_millis.div_ceil(60_000));
    format!("{position:>6}  {id}  slot {slot:>3}  about {minutes} min{late}")
}
