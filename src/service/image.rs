//! The image of a shard in a snapshot.
//!
//! ```text
//! home      u32 n, n appointments | u32 n, n (time, request, fingerprint) | u32 n, n refusals
//!           [ u32 n, n (appointment, u8 moves) ]
//! ledger    u32 n, n (patient, appointment, session)
//! session   u32 n, n (session, u16 taken of each cell, queue)
//!           [ u32 n, n (session id, alterations) ]
//! queue     u16 run, u32 visits, u64 their milliseconds | u32 n, n entries
//! ```
//!
//! Where a session of a shard has terms the highest bit of their number is set, and terms follow each
//! session. Where one has something beside its places the next bit is set, and behind the places of each
//! follow a u32 n and n kinds of returning places. Where an appointment of a home was moved, the highest
//! bit of the number of refusals is set, and the moves follow.
//! Where a session was altered, bit 29 of the number of
//! sessions is set, and the alterations follow: u8 sweeping, u16 n, n (slot, u16 reason), u16 n,
//! n (slot, u16 added). A queue follows the taken places where the terms say something about attendance.

use std::collections::BTreeMap;

use crate::codec::{CodecError, WithTerms, decode, encode_into};
use crate::engine::{Alterations, Live, Queue, SessionState, Tally};
use crate::inventory::Part;
use crate::model::{
    Appointment, AppointmentId, Outcome, PatientId, QueueEntry, RequestId, Returning, Session,
    SessionId, SlotIndex, Timestamp,
};

/// Set in the number of sessions where terms follow each.
const WITH_TERMS: u32 = 1 << 31;

/// Set in the number of sessions where what lies beside their places follows each.
const WITH_ASIDE: u32 = 1 << 30;
/// Set in the number of refusals where moves follow.
const WITH_MOVES: u32 = 1 << 31;

/// Set in the number of sessions where alterations follow.
const WITH_ALTERATIONS: u32 = 1 << 29;

/// Appends the image of a shard.
pub(super) fn write(part: &Part<'_>, buffer: &mut Vec<u8>) {
    match part {
        Part::Home(home) => {
            list(buffer, home.appointments(), |item, buffer| encode_into(&item, buffer));
            list(buffer, home.requests(), |item, buffer| encode_into(&item, buffer));
            let (start, moved) = (buffer.len(), home.moved());
            list(buffer, home.refusals().into_iter(), |item, buffer| encode_into(&item, buffer));
            if !moved.is_empty() {
                // The highest byte of the number, as below.
                buffer[start + 3] |= WITH_MOVES.to_le_bytes()[3];
                list(buffer, moved.into_iter(), |item, buffer| encode_into(&item, buffer));
            }
        }
        Part::Ledger(ledger) => {
            let lines = ledger.entries().flat_map(|entry| {
                entry.live().map(|live| (entry.patient(), live.appointment(), live.session))
            });
            list(buffer, lines, |item, buffer| encode_into(&item, buffer));
        }
        Part::Session(shard) => {
            let sessions = shard.sessions();
            let start = buffer.len();
            let with_terms = sessions.iter().any(|state| state.spec().has_terms());
            let with_aside = sessions.iter().any(|state| !state.returning().is_empty());
            let altered: Vec<_> = sessions
                .iter()
                .filter_map(|state| Some((state.spec().id, state.alterations()?.clone())))
                .collect();
            list(buffer, sessions.into_iter(), |state, buffer| {
                if with_terms {
                    encode_into(&WithTerms(state.spec()), buffer);
                } else {
                    encode_into(state.spec(), buffer);
                }
                state.taken().iter().for_each(|taken| encode_into(taken, buffer));
                if state.spec().terms.attendance.is_some() {
                    let nobody = Queue::default();
                    write_queue(state.queue().unwrap_or(&nobody), buffer);
                }
                if with_aside {
                    list(buffer, state.returning().iter(), encode_into);
                }
            });
            // Bits of the highest byte of the number: there are never so many.
            for (flag, is_set) in [(WITH_TERMS, with_terms), (WITH_ASIDE, with_aside)] {
                buffer[start + 3] |= if is_set { flag.to_le_bytes()[3] } else { 0 };
            }
            if !altered.is_empty() {
                buffer[start + 3] |= WITH_ALTERATIONS.to_le_bytes()[3];
                list(buffer, altered.into_iter(), |(id, altered), buffer| {
                    encode_into(&id, buffer);
                    write_alterations(&altered, buffer);
                });
            }
        }
    }
}

/// Fills an empty shard from its image.
pub(super) fn read(part: Part<'_>, bytes: &[u8]) -> Result<(), CodecError> {
    let mut source = Source(bytes);
    match part {
        Part::Home(home) => {
            for _ in 0..source.next::<u32>()? {
                home.insert(&source.next::<Appointment>()?);
            }
            home.order_ended();
            for _ in 0..source.next::<u32>()? {
                let (time, request, fingerprint) = source.next::<(Timestamp, RequestId, u64)>()?;
                home.remember(time, request, fingerprint);
            }
            let number = source.next::<u32>()?;
            for _ in 0..number & !WITH_MOVES {
                let (id, fingerprint, outcome) = source.next::<(AppointmentId, u64, Outcome)>()?;
                home.insert_declined(id, fingerprint, outcome);
            }
            if number & WITH_MOVES != 0 {
                for _ in 0..source.next::<u32>()? {
                    let (id, changes) = source.next::<(AppointmentId, u8)>()?;
                    home.insert_changes(id, changes);
                }
            }
        }
        Part::Ledger(ledger) => {
            for _ in 0..source.next::<u32>()? {
                let (patient, appointment, session) =
                    source.next::<(PatientId, AppointmentId, SessionId)>()?;
                ledger.insert(patient, Live::new(appointment, session));
            }
        }
        Part::Session(shard) => {
            let number = source.next::<u32>()?;
            let mut sessions = BTreeMap::new();
            for _ in 0..number & !(WITH_TERMS | WITH_ASIDE | WITH_ALTERATIONS) {
                let state = session(&mut source, number)?;
                sessions.insert(state.spec().id, state);
            }
            if number & WITH_ALTERATIONS != 0 {
                for _ in 0..source.next::<u32>()? {
                    let id = source.next::<SessionId>()?;
                    let altered = alterations(&mut source)?;
                    let state = sessions.remove(&id);
                    let state = state.and_then(|state| state.with_alterations(altered));
                    let state = state.ok_or(CodecError::Invalid("alterations fit no session"))?;
                    sessions.insert(id, state);
                }
            }
            sessions.into_values().for_each(|state| shard.restore(state));
        }
    }
    match source.0.len() {
        0 => Ok(()),
        left => Err(CodecError::Trailing(left)),
    }
}

fn session(source: &mut Source<'_>, flags: u32) -> Result<SessionState, CodecError> {
    let spec = if flags & WITH_TERMS != 0 {
        source.next::<WithTerms<Session>>()?.0
    } else {
        source.next::<Session>()?
    };
    let cells = spec.slot_count() * spec.pools.len();
    let taken: Vec<u16> = (0..cells).map(|_| source.next()).collect::<Result<_, _>>()?;
    let keeps_queue = spec.terms.attendance.is_some();
    let state = SessionState::from_parts(spec, &taken)
        .ok_or(CodecError::Invalid("more places are taken than there are"))?;
    let queue = if keeps_queue { read_queue(source)? } else { Queue::default() };
    // Nobody checked in yet: as it was opened.
    let state = if queue == Queue::default() { state } else { state.with_queue(queue) };
    if flags & WITH_ASIDE == 0 {
        return Ok(state);
    }
    let returning: Vec<Returning> =
        (0..source.next::<u32>()?).map(|_| source.next()).collect::<Result<_, _>>()?;
    state
        .with_returning(&returning)
        .ok_or(CodecError::Invalid("more places come back than are taken"))
}

pub(super) fn write_alterations(altered: &Alterations, buffer: &mut Vec<u8>) {
    encode_into(&altered.is_sweeping, buffer);
    for slots in [&altered.blocked, &altered.added] {
        let count = u16::try_from(slots.len()).expect("a session has at most 288 slots");
        encode_into(&count, buffer);
        slots.iter().for_each(|(slot, number)| encode_into(&(*slot, *number), buffer));
    }
}

fn alterations(source: &mut Source<'_>) -> Result<Alterations, CodecError> {
    let is_sweeping = source.next()?;
    let mut slots = || {
        let count = source.next::<u16>()?;
        (0..count).map(|_| source.next::<(SlotIndex, u16)>()).collect::<Result<_, _>>()
    };
    Ok(Alterations { is_sweeping, blocked: slots()?, added: slots()? })
}

fn write_queue(queue: &Queue, buffer: &mut Vec<u8>) {
    let Tally { run, visits, visit_millis } = queue.tally();
    encode_into(&(run, visits, visit_millis), buffer);
    list(buffer, queue.entries(), encode_into);
}

fn read_queue(source: &mut Source<'_>) -> Result<Queue, CodecError> {
    let (run, visits, visit_millis) = source.next::<(u16, u32, u64)>()?;
    let entries = (0..source.next::<u32>()?).map(|_| source.next::<QueueEntry>());
    let entries: Vec<_> = entries.collect::<Result<_, _>>()?;
    Queue::from_parts(Tally { run, visits, visit_millis }, &entries)
        .ok_or(CodecError::Invalid("somebody waits twice"))
}

/// Writes items with their number in front, which is known only afterwards.
fn list<T>(
    buffer: &mut Vec<u8>,
    items: impl Iterator<Item = T>,
    mut write: impl FnMut(T, &mut Vec<u8>),
) {
    let start = buffer.len();
    buffer.extend([0; 4]);
    let mut count = 0_u32;
    for item in items {
        write(item, buffer);
        count += 1;
    }
    buffer[start..start + 4].copy_from_slice(&count.to_le_bytes());
}

struct Source<'a>(&'a [u8]);

impl Source<'_> {
    fn next<T: crate::codec::Encoded>(&mut self) -> Result<T, CodecError> {
        let (value, read) = decode(self.0)?;
        self.0 = self.0.get(read..).unwrap_or_default();
        Ok(value)
    }
}
