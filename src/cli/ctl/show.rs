//! What the node answered, for people and for programs.

use serde_json::{Value, json};

use crate::cli::failure::Failure;
use crate::cli::ids::uuid;
use crate::cli::output::Output;
use crate::model::{
    Alternative, Appointment, AppointmentId, Availability, Claim, ClockReading, Receipt, Refusal,
    SessionId, SlotIndex, Timestamp,
};

/// Prints a receipt of an appointment.
pub(super) fn receipt(id: AppointmentId, receipt: &Receipt, json: bool) -> Result<(), Failure> {
    let mut output = Output::new();
    if json {
        output.json(&json!({
            "appointment": uuid(id.0),
            "status": receipt.status.map(crate::model::AppointmentStatus::code),
            "until_ms": receipt.until.as_millis(),
            "claims": claims(&receipt.claims),
            "retried": receipt.retried,
        }))?;
    } else {
        let status = receipt.status.map_or("done", crate::model::AppointmentStatus::code);
        let until = if matches!(status, "pending" | "waitlist") { "until" } else { "since" };
        output.line(format_args!("{} {status} {until} {}", uuid(id.0), time(receipt.until)))?;
        print_claims(&mut output, &receipt.claims)?;
    }
    output.flush()
}

/// Prints appointments, one after the other.
pub(super) fn appointments(list: &[Appointment], json: bool) -> Result<(), Failure> {
    let mut output = Output::new();
    for appointment in list {
        if json {
            output.json(&as_json(appointment))?;
        } else {
            let Appointment { id, status, until, .. } = appointment;
            let word =
                if matches!(status.code(), "pending" | "waitlist") { "until" } else { "since" };
            let place = if appointment.is_displaced() { ", displaced" } else { "" };
            output.line(format_args!(
                "{} {}{place} {word} {}",
                uuid(id.0),
                status.code(),
                time(*until)
            ))?;
            print_claims(&mut output, &appointment.claims)?;
        }
    }
    output.flush()
}

/// Prints free places, one line for each slot.
pub(super) fn availability(found: &Availability, json: bool) -> Result<(), Failure> {
    let mut output = Output::new();
    if json {
        output.json(&json!({
            "start_ms": found.start.as_millis(),
            "slot_ms": found.slot_millis,
            "free": found.free.as_slice(),
        }))?;
    } else {
        for (slot, free) in found.free.iter().enumerate() {
            let offset = u64::from(found.slot_millis).saturating_mul(slot as u64);
            let start = time(found.start.plus_millis(offset));
            output.line(format_args!("slot {slot:>3}  {start}  {free} free"))?;
        }
    }
    output.flush()
}

/// Prints that something was done with a session.
pub(super) fn done(session: SessionId, receipt: &Receipt, json: bool) -> Result<(), Failure> {
    let mut output = Output::new();
    if json {
        output.json(&json!({ "session": session.0, "retried": receipt.retried }))?;
    } else {
        let word = if receipt.retried { "was done before" } else { "done" };
        output.line(format_args!("session {} {word}", session.0))?;
    }
    output.flush()
}

/// Prints places, the best first.
pub(super) fn alternatives(list: &[Alternative], json: bool) -> Result<(), Failure> {
    let mut output = Output::new();
    for Alternative { claim, resource, start } in list {
        if json {
            output.json(&json!({
                "session": claim.session.0,
                "slot": claim.slot.0,
                "count": claim.count,
                "pool": claim.pool.0,
                "resource": resource.0,
                "start_ms": start.as_millis(),
            }))?;
        } else {
            output.line(format_args!(
                "session {} slot {} {} resource {}",
                claim.session.0,
                claim.slot.0,
                time(*start),
                resource.0
            ))?;
        }
    }
    output.flush()
}

/// Prints the node's clock.
pub(super) fn clock(clock: ClockReading, json: bool) -> Result<(), Failure> {
    let ClockReading { time: now, gap_millis, is_suspended } = clock;
    let mut output = Output::new();
    if json {
        output.json(&json!({
            "time_ms": now.as_millis(),
            "gap_ms": gap_millis,
            "suspended": is_suspended,
        }))?;
    } else {
        let state = if is_suspended { "suspended" } else { "good" };
        output.line(format_args!(
            "{} {state}; the machine's clock is {gap_millis} ms ahead of it",
            time(now)
        ))?;
    }
    output.flush()
}

/// Prints a refusal for a program; people get it as an error.
pub(super) fn refusal(refusal: Refusal) -> Result<(), Failure> {
    let mut output = Output::new();
    output.json(&json!({
        "outcome": refusal.outcome.name(),
        "code": refusal.outcome.code(),
        "transient": refusal.outcome.is_transient(),
        "status": refusal.status.map(crate::model::AppointmentStatus::code),
        "retry_after_ms": refusal.retry_after_millis,
        "why": refusal.why.as_ref().map(super::explain::why_of),
    }))?;
    output.flush()
}

pub(super) fn as_json(appointment: &Appointment) -> Value {
    json!({
        "appointment": uuid(appointment.id.0),
        "patient": format!("{:032x}", appointment.patient.0),
        "organization": appointment.organization.0,
        "channel": appointment.channel.number(),
        "status": appointment.status.code(),
        "cause": appointment.cause.name(),
        "until_ms": appointment.until.as_millis(),
        "payment": appointment.payment.map(|payment| format!("{:032x}", payment.0)),
        "claims": claims(&appointment.claims),
    })
}

fn claims(claims: &[Claim]) -> Vec<Value> {
    let claim = |claim: &Claim| {
        json!({
            "session": claim.session.0,
            "slot": claim.slot.0,
            "count": claim.count,
            "pool": claim.pool.0,
        })
    };
    claims.iter().map(claim).collect()
}

fn print_claims(output: &mut Output, claims: &[Claim]) -> Result<(), Failure> {
    claims.iter().try_for_each(|claim| {
        let Claim { session, slot: SlotIndex(slot), count, pool } = claim;
        let run = if *count == 1 { String::new() } else { format!(" and {} more", count - 1) };
        output.line(format_args!("  session {} slot {slot}{run} pool {}", session.0, pool.0))
    })
}

pub(super) fn time(time: Timestamp) -> String {
    let millis = i64::try_from(time.as_millis()).ok();
    let time = millis.and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    time.map_or_else(|| "-".to_owned(), |time| time.to_string())
}
