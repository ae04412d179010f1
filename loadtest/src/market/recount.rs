//! Who has the places, recounted from `haoyuan journal --json`: as anybody can who has the folder.
//!
//! ```text
//! lines, oldest first --> one ledger for each opening: places, who has them, who waits, who freed what
//! ```
//!
//! **Architecture invariant:** shares, hand-overs, early places and double ones come from the lines alone;
//! of the play it takes when pools open, whose key is whose, and what was acknowledged.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use haoyuan::model::AppointmentStatus as Status;
use serde::Deserialize;

use super::account::{Kind as Fault, Violations};
use super::ledger::{Ledger, Taken};
use super::openings::of_session;
use super::play::Play;
use crate::Failure;

/// What the journal says of a part.
#[derive(Debug, Default)]
pub(crate) struct Recount {
    pub(crate) ledgers: Vec<Ledger>,
    pub(crate) violations: Violations,
    pub(crate) lines: u64,
    /// Where a node was killed in mid-run: by which record each appointment came where it is.
    records: BTreeMap<(u128, Step), u64>,
}

/// Where an appointment is in its life, as far as an answer says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Made,
    Booked,
    Over,
}

impl Step {
    fn of_fact(fact: &str) -> Self {
        match fact {
            "Booked" => Self::Booked,
            "Released" | "Expired" | "Cancelled" | "NotDrawn" | "Withdrawn" => Self::Over,
            _ => Self::Made,
        }
    }

    const fn of_status(status: Status) -> Self {
        match status {
            Status::Booked => Self::Booked,
            Status::Cancelled => Self::Over,
            _ => Self::Made,
        }
    }
}

/// What of a line is looked at. `haoyuan journal --help` says what each key is.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Line<'a> {
    pub(super) seq: u64,
    pub(super) time_ms: u64,
    pub(super) fact: &'a str,
    pub(super) appointment: Option<&'a str>,
    pub(super) patient: Option<&'a str>,
    pub(super) session: Option<u64>,
    #[serde(default)]
    pub(super) slot: Option<u16>,
    #[serde(default)]
    pub(super) count: Option<u16>,
    #[serde(default)]
    pub(super) pool: Option<u8>,
    #[serde(default)]
    pub(super) places: Option<u16>,
    #[serde(default)]
    pub(super) to_pool: Option<u8>,
}

/// Counts the journal of a dead node's folder.
pub(crate) fn recount(binary: &Path, data: &Path, play: &Play) -> Result<Recount, Failure> {
    let mut child = Command::new(binary)
        .args(["journal", "--json", "--data-dir"])
        .arg(data)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().ok_or("the journal has no output")?;
    let counted = count(BufReader::with_capacity(1 << 20, output), play);
    let status = child.wait()?;
    if !status.success() {
        return Err(format!("`haoyuan journal` ended with {status}").into());
    }
    let mut recount = counted?;
    compare(&mut recount, play);
    Ok(recount)
}

fn count(mut lines: impl BufRead, play: &Play) -> Result<Recount, Failure> {
    let openings = u32::try_from(play.times.opens.len())?;
    let mut recount = Recount::default();
    for opening in 0..openings {
        let opens = play.times.opens_at(opening).as_millis();
        let closes = opens + play.times.window / 1_000;
        recount.ledgers.push(Ledger::new(opens, closes, play.is_draw()));
    }
    let mut text = String::new();
    while lines.read_line(&mut text)? != 0 {
        let line: Line<'_> = serde_json::from_str(&text)?;
        recount.lines += 1;
        if !play.kills.is_empty()
            && let Some(id) = line.appointment.and_then(number)
        {
            recount.records.entry((id, Step::of_fact(line.fact))).or_insert(line.seq);
        }
        let opening = line.session.and_then(of_session).map(|opening| opening as usize);
        if let Some(ledger) = opening.and_then(|opening| recount.ledgers.get_mut(opening)) {
            let person =
                line.patient.and_then(number).and_then(|key| play.minds.crowd.of_patient(key));
            let window = play.read_at.map(haoyuan::model::Timestamp::as_millis);
            ledger.add(&line, person, &play.minds.crowd, window, &mut recount.violations);
        }
        text.clear();
    }
    Ok(recount)
}

/// The number behind the 32 digits of a key.
pub(super) fn number(hex: &str) -> Option<u128> {
    u128::from_str_radix(hex, 16).ok()
}

/// The account of what was acknowledged against the journal, and the node's places against it.
fn compare(recount: &mut Recount, play: &Play) {
    let Recount { ledgers, violations, records, .. } = recount;
    for (told, acknowledged) in &play.kills {
        for (id, told) in told {
            let record = records.get(&(*id, Step::of_status(told.status)));
            if let Some(record) = record.filter(|record| *acknowledged < **record) {
                violations.note(Fault::Lost, || {
                    format!(
                        "{id:032x}: {told} when the node was killed, by record {record}, and the disk had \
                         {acknowledged}: a power cut would have taken it"
                    )
                });
            }
        }
    }
    for (id, told) in &play.account.told {
        let Some(ledger) = ledgers.get(told.opening as usize) else { continue };
        let there = ledger.appointments.get(id);
        let is_kept = match (told.status, there) {
            (_, None) => false,
            (Status::Booked, Some(there)) => *there == Taken::Booked,
            (Status::Cancelled, Some(there)) => *there == Taken::Over,
            (_, Some(_)) => true,
        };
        if !is_kept {
            violations
                .note(Fault::Lost, || format!("{id:032x}: {told} is {there:?} in the journal"));
        }
    }
    for (opening, taken) in &play.taken {
        let Some(ledger) = ledgers.get(*opening as usize) else { continue };
        let [least, most] = ledger.read_between();
        if !(least..=most).contains(taken) {
            violations.note(Fault::Leaked, || {
                format!(
                    "opening {opening}: the node says {taken} places are taken, by the journal \
                     {least} to {most} are"
                )
            });
        }
    }
}
