//! The image of a shard in a snapshot.
//!
//! ```text
//! home      u32 n, n appointments | u32 n, n (time, request, fingerprint) | u32 n, n refusals
//!           [ u32 n, n (appointment, u8 moves) ]
//!           [ u32 n, n payments | u32 n, n (appointment, u8 orders) | u32 n, n marked appointments ]
//!           [ u32 n, n (appointment, telephone) ]
//! ledger    u32 n, n (patient, appointment, session)     [ u32 n, n (entry, offer) ]     [ records ]
//!           [ of each line u16 slot, u32 since ]     [ u32 n, n (patient, u32 n, n visits that are over) ]
//!           [ u32 n, n (patient, other key) ]
//!           [ u64 when a place was given up last, u32 n, n (patient, u32 n, n cool-downs) ]
//!           [ u32 n, n (holder, u32 n, n (u8 tie, u128 key, u64 since), u32 n, n changes (u8 tie, u32 day)) ]
//! session   u32 n, n (session, u16 taken of each cell, queue, [ places on their way back ], its draws)
//!           [ u32 n, n (session id, alterations) ]     [ u32 n, n (session id, waitlist) ]
//! rules     u32 n, n versions
//! records   u32 n, n (patient, u32 n, n (strike, u8 used up, u8 over), u32 n, n restrictions), each
//!           with its id, ground and steps where the highest bit of their number is set
//! queue     u16 run, u32 visits, u64 their milliseconds | u32 n, n entries
//! draw      beacon or none, revealed or none, u32 n, n (appointment, entry)
//! ```
//!
//! Where a session of a shard has terms the highest bit of their number is set, and terms follow each
//! session. Where one has something beside its places the next bit is set, and behind the places of each
//! follow a u32 n and n kinds of returning places. Where an appointment of a home was moved, the highest
//! bit of the number of refusals is set, and the moves follow.
//! A queue follows the taken places where the terms say something about attendance. Where a session was
//! altered, bit 29 of the number of sessions is set, and the alterations follow: u8 sweeping, u16 n,
//! n (slot, u16 reason), u16 n, n (slot, u16 added). Where anybody ever waited for one, bit 28 is set,
//! and the waitlists follow. Where patients wait, the highest bit of the number of a ledger is set, and
//! a u32 n and n (entry, option of an offer) follow. Where a patient has a record, the next bit is set, and
//! the records follow; the next, since lines say when they were made; the next, where one has a history;
//! the next, where one has several keys; the next, where one ever had to wait after giving a place up;
//! the next, where one has others by a rule about persons.

use std::collections::BTreeMap;

use crate::codec::{CodecError, DrawHead, WithTerms, decode, encode_into};
use crate::engine::{
    Alterations, Billing, Binding, DrawState, KeptStrike, Live, PatientRecord, Queue, SessionShard,
    SessionState, Tally, Ties, Waiting, Waits, only_made,
};
use crate::inventory::Part;
use crate::model::{
    Appointment, AppointmentId, Cooldown, Outcome, PatientId, Phoned, QueueEntry, RequestId,
    Returning, Rules, Session, SessionId, SlotIndex, Timestamp,
};

/// Set in the number of sessions where terms follow each.
const WITH_TERMS: u32 = 1 << 31;

/// Set in the number of lines of a ledger where what its patients wait for follows.
const WITH_WAITS: u32 = 1 << 31;

/// Set in the number of lines of a ledger where the records of its patients follow.
const WITH_RECORDS: u32 = 1 << 30;

/// Set in the number of lines of a ledger where the slot and the time of each follow.
const WITH_SINCE: u32 = 1 << 29;

/// Set in the number of lines of a ledger where the histories of its patients follow.
const WITH_PAST: u32 = 1 << 28;

/// Set in the number of lines of a ledger where other keys of its patients follow.
const WITH_KEYS: u32 = 1 << 27;

/// Set in the number of lines of a ledger where cool-downs of its patients follow.
const WITH_COOLDOWNS: u32 = 1 << 26;

/// Set in the number of lines of a ledger where those follow whom its holders have by a rule.
const WITH_TIES: u32 = 1 << 25;

/// The number itself.
const LINES: u32 = WITH_TIES - 1;

/// Set in the number of restrictions where each is followed by what was done about it.
const WITH_STEPS: u32 = 1 << 31;

/// Set in the number of sessions where what lies beside their places follows each.
const WITH_ASIDE: u32 = 1 << 30;
/// Set in the number of refusals where moves follow.
const WITH_MOVES: u32 = 1 << 31;

/// Set in the number of refusals where payments, orders and marks follow.
const WITH_BILLING: u32 = 1 << 30;

/// Set in the number of refusals where telephones follow.
const WITH_PHONES: u32 = 1 << 29;

/// Set in the number of sessions where alterations follow.
const WITH_ALTERATIONS: u32 = 1 << 29;

/// Set in the number of sessions where waitlists follow.
const WITH_WAITLISTS: u32 = 1 << 28;

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
            let billing = home.billing();
            if !billing.is_empty() {
                buffer[start + 3] |= WITH_BILLING.to_le_bytes()[3];
                list(buffer, billing.bills(), encode_into);
                list(buffer, billing.ordered(), |item, buffer| encode_into(&item, buffer));
                list(buffer, billing.late(), |item, buffer| encode_into(&item, buffer));
            }
            if !home.phones().is_empty() {
                buffer[start + 3] |= WITH_PHONES.to_le_bytes()[3];
                list(buffer, home.phones().all(), |item, buffer| encode_into(&item, buffer));
            }
        }
        Part::Ledger(ledger) => {
            let lines =
                || ledger.entries().flat_map(|entry| entry.live().map(move |live| (entry, live)));
            let start = buffer.len();
            list(buffer, lines(), |(entry, live), buffer| {
                encode_into(&(entry.patient(), live.appointment(), live.session()), buffer);
            });
            if ledger.all_waits().next().is_some() {
                buffer[start + 3] |= WITH_WAITS.to_le_bytes()[3];
                list(buffer, ledger.all_waits(), |waits, buffer| {
                    encode_into(&waits.entry, buffer);
                    encode_into(&waits.offer, buffer);
                });
            }
            let records = ledger.all_records();
            if !records.is_empty() {
                buffer[start + 3] |= WITH_RECORDS.to_le_bytes()[3];
                list(buffer, records.iter(), write_record);
            }
            if lines().next().is_some() {
                buffer[start + 3] |= WITH_SINCE.to_le_bytes()[3];
                for (_, live) in lines() {
                    encode_into(&(live.slot, live.since().unwrap_or_default()), buffer);
                }
            }
            if ledger.all_past().next().is_some() {
                buffer[start + 3] |= WITH_PAST.to_le_bytes()[3];
                list(buffer, ledger.all_past(), |(patient, past), buffer| {
                    encode_into(&patient, buffer);
                    list(buffer, past.iter(), encode_into);
                });
            }
            if ledger.all_keys().next().is_some() {
                buffer[start + 3] |= WITH_KEYS.to_le_bytes()[3];
                list(buffer, ledger.all_keys(), |keys, buffer| encode_into(&keys, buffer));
            }
            let is_cooling = ledger.all_cooldowns().next().is_some();
            if is_cooling || ledger.cooled_at() != Timestamp::default() {
                buffer[start + 3] |= WITH_COOLDOWNS.to_le_bytes()[3];
                encode_into(&ledger.cooled_at(), buffer);
                list(buffer, ledger.all_cooldowns(), |(patient, kept), buffer| {
                    encode_into(&patient, buffer);
                    list(buffer, kept.iter(), encode_into);
                });
            }
            if ledger.has_ties() {
                buffer[start + 3] |= WITH_TIES.to_le_bytes()[3];
                list(buffer, ledger.all_ties(), write_ties);
            }
        }
        Part::Session(shard) => write_sessions(shard, buffer),
        Part::Rules(book) => list(buffer, book.versions().skip(1), encode_into),
    }
}

fn read_billing(billing: &mut Billing, source: &mut Source<'_>) -> Result<(), CodecError> {
    for _ in 0..source.next::<u32>()? {
        billing.put(source.next()?);
    }
    for _ in 0..source.next::<u32>()? {
        let (appointment, orders) = source.next()?;
        billing.put_orders(appointment, orders);
    }
    for _ in 0..source.next::<u32>()? {
        billing.mark_late(source.next()?);
    }
    Ok(())
}

fn write_record((patient, record): (&PatientId, &PatientRecord), buffer: &mut Vec<u8>) {
    encode_into(patient, buffer);
    list(buffer, record.strikes.iter(), |kept, buffer| {
        encode_into(&(kept.strike, kept.is_used, kept.is_over), buffer);
    });
    // Bit 31 of the number: each with its id and what was done about it.
    let start = buffer.len();
    list(buffer, record.restrictions.iter(), encode_into);
    if !record.restrictions.is_empty() {
        buffer[start + 3] |= WITH_STEPS.to_le_bytes()[3];
    }
}

fn read_record(source: &mut Source<'_>) -> Result<PatientRecord, CodecError> {
    let mut record = PatientRecord::default();
    for _ in 0..source.next::<u32>()? {
        let (strike, is_used, is_over) = source.next()?;
        record.strikes.push(KeptStrike { strike, is_used, is_over });
    }
    let number = source.next::<u32>()?;
    for index in 0..number & !WITH_STEPS {
        let kept = if number & WITH_STEPS == 0 {
            only_made(index.into(), source.next()?)
        } else {
            source.next()?
        };
        record.restrictions.push(kept);
    }
    Ok(record)
}

type Cooling = Vec<(PatientId, Vec<Cooldown>)>;

fn read_cooldowns(source: &mut Source<'_>) -> Result<(Timestamp, Cooling), CodecError> {
    let at = source.next()?;
    let mut all = Cooling::new();
    for _ in 0..source.next::<u32>()? {
        let (patient, mut kept) = (source.next()?, Vec::new());
        for _ in 0..source.next::<u32>()? {
            kept.push(source.next()?);
        }
        all.push((patient, kept));
    }
    Ok((at, all))
}

fn write_ties((holder, ties): (PatientId, &Ties), buffer: &mut Vec<u8>) {
    encode_into(&holder, buffer);
    list(buffer, ties.bound.iter(), |to, buffer| {
        encode_into(&(to.tie, to.key, to.since), buffer);
    });
    list(buffer, ties.changes.iter(), encode_into);
}

fn read_ties(source: &mut Source<'_>) -> Result<Ties, CodecError> {
    let mut ties = Ties::default();
    for _ in 0..source.next::<u32>()? {
        let (tie, key, since) = source.next()?;
        ties.bound.push(Binding { tie, key, since });
    }
    for _ in 0..source.next::<u32>()? {
        ties.changes.push(source.next()?);
    }
    Ok(ties)
}

fn write_sessions(shard: &SessionShard, buffer: &mut Vec<u8>) {
    let (sessions, start) = (shard.sessions(), buffer.len());
    let with_terms = sessions.iter().any(|state| state.spec().has_terms());
    let with_aside = sessions.iter().any(|state| !state.returning().is_empty());
    list(buffer, sessions.iter(), |state, buffer| {
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
        state.draws().iter().for_each(|draw| write_draw(draw, buffer));
    });
    let altered = || sessions.iter().filter_map(|state| Some((state, state.alterations()?)));
    let waited = || sessions.iter().filter_map(|state| Some((state, state.waitlist()?)));
    if altered().next().is_some() {
        list(buffer, altered(), |(state, altered), buffer| {
            encode_into(&state.spec().id, buffer);
            write_alterations(altered, buffer);
        });
    }
    if waited().next().is_some() {
        list(buffer, waited(), |(state, waitlist), buffer| {
            encode_into(&state.spec().id, buffer);
            encode_into(waitlist, buffer);
        });
    }
    // Bits of the highest byte of the number: there are never so many.
    for (flag, is_set) in [
        (WITH_TERMS, with_terms),
        (WITH_ASIDE, with_aside),
        (WITH_ALTERATIONS, altered().next().is_some()),
        (WITH_WAITLISTS, waited().next().is_some()),
    ] {
        buffer[start + 3] |= if is_set { flag.to_le_bytes()[3] } else { 0 };
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
            for _ in 0..number & !(WITH_MOVES | WITH_BILLING | WITH_PHONES) {
                let (id, fingerprint, outcome) = source.next::<(AppointmentId, u64, Outcome)>()?;
                home.insert_declined(id, fingerprint, outcome);
            }
            if number & WITH_MOVES != 0 {
                for _ in 0..source.next::<u32>()? {
                    let (id, changes) = source.next::<(AppointmentId, u8)>()?;
                    home.insert_changes(id, changes);
                }
            }
            if number & WITH_BILLING != 0 {
                read_billing(home.billing_mut(), &mut source)?;
            }
            let phones = if number & WITH_PHONES == 0 { 0 } else { source.next::<u32>()? };
            for _ in 0..phones {
                let (appointment, phone) = source.next()?;
                home.phones_mut().note(&Phoned { appointment, phone });
            }
        }
        Part::Ledger(ledger) => {
            let number = source.next::<u32>()?;
            let lines = number & LINES;
            let lines = (0..lines).map(|_| source.next::<(PatientId, AppointmentId, SessionId)>());
            let lines: Vec<_> = lines.collect::<Result<_, _>>()?;
            let waits = if number & WITH_WAITS == 0 { 0 } else { source.next::<u32>()? };
            for _ in 0..waits {
                let (entry, offer) = (source.next()?, source.next()?);
                ledger.restore_waits(Waits { entry, offer });
            }
            // Strikes are marks on visits, which come behind them.
            let count = if number & WITH_RECORDS == 0 { 0 } else { source.next::<u32>()? };
            let mut records = Vec::new();
            for _ in 0..count {
                records.push((source.next::<PatientId>()?, read_record(&mut source)?));
            }
            for (patient, appointment, session) in lines {
                let said =
                    if number & WITH_SINCE == 0 { Default::default() } else { source.next()? };
                let (slot, since): (SlotIndex, Timestamp) = said;
                ledger.insert(patient, Live::new(appointment, session, slot, since));
            }
            let histories = if number & WITH_PAST == 0 { 0 } else { source.next::<u32>()? };
            for _ in 0..histories {
                let patient = source.next()?;
                for _ in 0..source.next::<u32>()? {
                    ledger.restore_past(patient, source.next()?);
                }
            }
            for (patient, record) in &records {
                ledger.restore_record(*patient, record);
            }
            let keys = if number & WITH_KEYS == 0 { 0 } else { source.next::<u32>()? };
            for _ in 0..keys {
                let (patient, key) = source.next()?;
                ledger.restore_key(patient, key);
            }
            if number & WITH_COOLDOWNS != 0 {
                let (at, all) = read_cooldowns(&mut source)?;
                ledger.restore_cooldowns(at, &all);
            }
            let holders = if number & WITH_TIES == 0 { 0 } else { source.next::<u32>()? };
            for _ in 0..holders {
                let (holder, ties) = (source.next()?, read_ties(&mut source)?);
                ledger.restore_ties(holder, ties);
            }
        }
        Part::Session(shard) => read_sessions(shard, &mut source)?,
        Part::Rules(book) => {
            for _ in 0..source.next::<u32>()? {
                let rules: Rules = source.next()?;
                // What was in force was, whatever a check says of it today: a log brings it too.
                if rules.version <= book.newest() {
                    return Err(CodecError::Invalid("rules are out of order"));
                }
                book.insert(rules);
            }
        }
    }
    match source.0.len() {
        0 => Ok(()),
        left => Err(CodecError::Trailing(left)),
    }
}

fn read_sessions(shard: &mut SessionShard, source: &mut Source<'_>) -> Result<(), CodecError> {
    let number = source.next::<u32>()?;
    let mut sessions = BTreeMap::new();
    for _ in 0..number & !(WITH_TERMS | WITH_ASIDE | WITH_ALTERATIONS | WITH_WAITLISTS) {
        let state = session(source, number)?;
        sessions.insert(state.spec().id, state);
    }
    if number & WITH_ALTERATIONS != 0 {
        for _ in 0..source.next::<u32>()? {
            let state = sessions.remove(&source.next()?);
            let altered = alterations(source)?;
            let state = state.and_then(|state| state.with_alterations(altered));
            let state = state.ok_or(CodecError::Invalid("alterations fit no session"))?;
            sessions.insert(state.spec().id, state);
        }
    }
    if number & WITH_WAITLISTS != 0 {
        for _ in 0..source.next::<u32>()? {
            let state = sessions.remove(&source.next()?);
            let state = state.ok_or(CodecError::Invalid("a waitlist is of no session"))?;
            let state = state.with_waitlist(source.next()?);
            sessions.insert(state.spec().id, state);
        }
    }
    for state in sessions.into_values() {
        shard.restore(state);
    }
    Ok(())
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
    let mut state = SessionState::from_parts(spec, &taken)
        .ok_or(CodecError::Invalid("more places are taken than there are"))?;
    let queue = if keeps_queue { read_queue(source)? } else { Queue::default() };
    // Nobody checked in yet: as it was opened.
    if queue != Queue::default() {
        state = state.with_queue(queue);
    }
    if flags & WITH_ASIDE != 0 {
        let returning: Vec<Returning> =
            (0..source.next::<u32>()?).map(|_| source.next()).collect::<Result<_, _>>()?;
        state = state
            .with_returning(&returning)
            .ok_or(CodecError::Invalid("more places come back than are taken"))?;
    }
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

pub(super) fn write_alterations(altered: &Alterations, buffer: &mut Vec<u8>) {
    encode_into(&altered.is_sweeping, buffer);
    for slots in [&altered.blocked, &altered.added] {
        let count = u16::try_from(slots.len()).expect("a session has at most 288 slots");
        encode_into(&count, buffer);
        for (slot, number) in slots {
            encode_into(&(*slot, *number), buffer);
        }
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
