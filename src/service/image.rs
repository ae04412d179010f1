//! The image of a shard in a snapshot.
//!
//! ```text
//! home      u32 n, n appointments | u32 n, n (time, request, fingerprint) | u32 n, n refusals
//! ledger    u32 n, n (patient, appointment, session)
//! session   u32 n, n (session, u16 taken of each cell, its draws)
//! draw      beacon or none, revealed or none, u32 n, n (appointment, entry)
//! ```
//!
//! Where a session of a shard has terms the highest bit of its number is set, and terms follow each
//! session.

use crate::codec::{CodecError, DrawHead, WithTerms, decode, encode_into};
use crate::engine::{DrawState, Live, SessionState, Waiting};
use crate::inventory::Part;
use crate::model::{
    Appointment, AppointmentId, Outcome, PatientId, RequestId, Session, SessionId, Timestamp,
};

/// Set in the number of sessions where terms follow each.
const WITH_TERMS: u32 = 1 << 31;

/// Appends the image of a shard.
pub(super) fn write(part: &Part<'_>, buffer: &mut Vec<u8>) {
    match part {
        Part::Home(home) => {
            list(buffer, home.appointments(), |item, buffer| encode_into(&item, buffer));
            list(buffer, home.requests(), |item, buffer| encode_into(&item, buffer));
            list(buffer, home.refusals().into_iter(), |item, buffer| encode_into(&item, buffer));
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
            list(buffer, sessions.into_iter(), |state, buffer| {
                if with_terms {
                    encode_into(&WithTerms(state.spec()), buffer);
                } else {
                    encode_into(state.spec(), buffer);
                }
                state.taken().iter().for_each(|taken| encode_into(taken, buffer));
                state.draws().iter().for_each(|draw| write_draw(draw, buffer));
            });
            if with_terms {
                // The highest byte of the number: there are never so many.
                buffer[start + 3] |= WITH_TERMS.to_le_bytes()[3];
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
            for _ in 0..source.next::<u32>()? {
                let (id, fingerprint, outcome) = source.next::<(AppointmentId, u64, Outcome)>()?;
                home.insert_declined(id, fingerprint, outcome);
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
            for _ in 0..number & !WITH_TERMS {
                shard.restore(session(&mut source, number & WITH_TERMS != 0)?);
            }
        }
    }
    match source.0.len() {
        0 => Ok(()),
        left => Err(CodecError::Trailing(left)),
    }
}

fn session(source: &mut Source<'_>, with_terms: bool) -> Result<SessionState, CodecError> {
    let spec = if with_terms {
        source.next::<WithTerms<Session>>()?.0
    } else {
        source.next::<Session>()?
    };
    let cells = spec.slot_count() * spec.pools.len();
    let taken: Vec<u16> = (0..cells).map(|_| source.next()).collect::<Result<_, _>>()?;
    let mut state = SessionState::from_parts(spec, &taken)
        .ok_or(CodecError::Invalid("more places are taken than there are"))?;
    for draw in state.draws_mut() {
        let DrawHead { beacon, revealed } = source.next()?;
        for _ in 0..source.next::<u32>()? {
            let (appointment, entry) = source.next()?;
            draw.insert(Waiting { appointment, entry });
        }
        draw.restore(beacon, revealed);
    }
    Ok(state)
}

fn write_draw(draw: &DrawState, buffer: &mut Vec<u8>) {
    let left = draw.left().map(|left| left.free().to_vec());
    let revealed = draw.revealed().cloned().zip(left);
    encode_into(&DrawHead { beacon: draw.beacon().cloned(), revealed }, buffer);
    list(buffer, draw.waiting().iter(), |waiting, buffer| {
        encode_into(&waiting.appointment, buffer);
        encode_into(&waiting.entry, buffer);
    });
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
