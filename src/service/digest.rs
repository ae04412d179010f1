//! A hash of the whole state, to tell whether two states are the same.
//!
//! ```text
//! digest = sum, lane by lane, of blake3(kind, item)
//!          over every appointment, place, pool, returning place, ledger line remembered refusal and
//!          queue
//! ```
//!
//! The sum does not depend on the order of items, on the number of shards, on how facts were cut
//! into records, or on when a status was reached; the deadline of a pending hold is state and counts.

use crate::codec::{DrawHead, WithTerms, encode_into};
use crate::engine::{KeptStrike, SessionState, Tally};
use crate::inventory::{Inventory, Part};
use crate::model::{
    Appointment, AppointmentId, AppointmentStatus, Bill, ClientKey, Cooldown, Day, DrawEntry,
    DrawId, KeptRestriction, Outcome, Past, PatientId, PoolIndex, QueueEntry, Returning, Rules,
    SessionId, Tie, Timestamp, WaitEntry, WaitState,
};

/// A digest in the making.
#[derive(Clone, Debug, Default)]
pub struct Digest {
    lanes: [u64; 4],
    buffer: Vec<u8>,
}

impl Digest {
    /// Adds an appointment.
    pub fn appointment(&mut self, appointment: &Appointment) {
        let mut item = appointment.clone();
        if item.status != AppointmentStatus::Pending {
            item.until = Timestamp::default();
        }
        self.add(b'A', |buffer| encode_into(&item, buffer));
    }

    /// Adds a session: its pools, and every place in them.
    pub fn session(&mut self, state: &SessionState) {
        self.add(b'S', |buffer| match state.spec() {
            spec if spec.has_terms() => encode_into(&WithTerms(spec), buffer),
            spec => encode_into(spec, buffer),
        });
        let id = state.spec().id;
        state.returning().iter().for_each(|places| self.returning(id, places));
        if let Some(altered) = state.alterations() {
            for (slot, reason) in &altered.blocked {
                self.add(b'B', |buffer| encode_into(&(id, *slot, *reason), buffer));
            }
            for (slot, added) in &altered.added {
                self.add(b'P', |buffer| {
                    encode_into(&(id, *slot, PoolIndex::ADDED, *added), buffer);
                });
            }
            if altered.is_sweeping {
                self.add(b'W', |buffer| encode_into(&id, buffer));
            }
        }
        if let Some(waitlist) = state.waitlist() {
            self.waitlist(id, waitlist);
        }
        for (slot, pool, taken) in state.cells() {
            self.add(b'P', |buffer| encode_into(&(id, slot, pool, taken), buffer));
        }
        if let Some(queue) = state.queue() {
            queue.entries().for_each(|entry| self.queued(id, entry));
            self.tally(id, queue.tally());
        }
        for draw in state.draws() {
            let left = draw.left().map(|left| left.free().to_vec());
            let revealed = draw.revealed().cloned().zip(left);
            self.draw(draw.id(), DrawHead { beacon: draw.beacon().cloned(), revealed });
            for waiting in draw.waiting().iter() {
                self.entry(draw.id(), waiting.appointment, &waiting.entry);
            }
        }
    }

    /// Adds somebody in a queue.
    pub fn queued(&mut self, session: SessionId, entry: &QueueEntry) {
        self.add(b'Q', |buffer| {
            encode_into(&session, buffer);
            encode_into(entry, buffer);
        });
    }

    /// Adds what a queue counts, where it has counted anything.
    pub fn tally(&mut self, session: SessionId, tally: Tally) {
        let Tally { run, visits, visit_millis } = tally;
        if tally != Tally::default() {
            self.add(b'T', |buffer| encode_into(&(session, run, visits, visit_millis), buffer));
        }
    }

    /// Adds how far a draw has come; nothing, where it has not begun.
    pub fn draw(&mut self, draw: DrawId, head: DrawHead) {
        if head.beacon.is_some() || head.revealed.is_some() {
            self.add(b'V', |buffer| encode_into(&(draw, head), buffer));
        }
    }

    /// Adds an entry that waits for a draw.
    pub fn entry(&mut self, draw: DrawId, appointment: AppointmentId, entry: &DrawEntry) {
        self.add(b'E', |buffer| {
            encode_into(&(draw, appointment), buffer);
            encode_into(entry, buffer);
        });
    }

    /// Adds places of a session that are on their way back.
    pub fn returning(&mut self, session: SessionId, places: &Returning) {
        self.add(b'R', |buffer| encode_into(&(session, *places), buffer));
    }

    /// Adds the waitlist of a session.
    pub fn waitlist(&mut self, session: SessionId, waitlist: &WaitState) {
        self.add(b'W', |buffer| {
            encode_into(&session, buffer);
            encode_into(waitlist, buffer);
        });
    }

    /// Adds what a patient waits for.
    pub fn waits(&mut self, entry: &WaitEntry, offer: Option<AppointmentId>) {
        self.add(b'E', |buffer| {
            encode_into(entry, buffer);
            encode_into(&offer, buffer);
        });
    }

    /// Adds a line of a ledger.
    pub fn live(&mut self, patient: PatientId, appointment: AppointmentId, session: SessionId) {
        self.add(b'L', |buffer| encode_into(&(patient, appointment, session), buffer));
    }

    /// Adds a strike of a patient.
    pub fn strike(&mut self, patient: PatientId, kept: &KeptStrike) {
        self.add(b'K', |buffer| {
            encode_into(&(patient, kept.strike, kept.is_used, kept.is_over), buffer);
        });
    }

    /// Adds a visit of an appointment that is over.
    pub fn past(&mut self, patient: PatientId, past: &Past) {
        self.add(b'H', |buffer| encode_into(&(patient, *past), buffer));
    }

    /// Adds a restriction of a patient.
    pub fn restriction(&mut self, patient: PatientId, kept: &KeptRestriction) {
        self.add(b'N', |buffer| {
            encode_into(&patient, buffer);
            encode_into(kept, buffer);
        });
    }

    /// Adds for what a patient waits after giving a place up, where that is not over at an instant:
    /// when a place was given up last, wherever. What is over is kept here and dropped there.
    pub fn cooldown(&mut self, patient: PatientId, kept: &Cooldown, at: Timestamp) {
        if at < kept.until {
            self.add(b'C', |buffer| encode_into(&(patient, *kept), buffer));
        }
    }

    /// Adds another key of a patient.
    pub fn key(&mut self, patient: PatientId, key: PatientId) {
        self.add(b'I', |buffer| encode_into(&(patient, key), buffer));
    }

    /// Adds a version of the rules.
    pub fn rules(&mut self, rules: &Rules) {
        self.add(b'G', |buffer| encode_into(rules, buffer));
    }

    /// Adds how often an appointment was moved.
    pub fn moved(&mut self, id: AppointmentId, changes: u8) {
        self.add(b'M', |buffer| encode_into(&(id, changes), buffer));
    }

    /// Adds a payment. When it became what it is follows from the facts and is left out, as of a
    /// status.
    pub fn bill(&mut self, bill: &Bill) {
        let bill = Bill { since: Timestamp::default(), ..*bill };
        self.add(b'F', |buffer| encode_into(&bill, buffer));
    }

    /// Adds how many payment orders a hold had.
    pub fn orders(&mut self, id: AppointmentId, orders: u8) {
        self.add(b'O', |buffer| encode_into(&(id, orders), buffer));
    }

    /// Adds an appointment whose patient left a place late.
    pub fn late(&mut self, id: AppointmentId) {
        self.add(b'Z', |buffer| encode_into(&id, buffer));
    }

    /// Adds the telephone that an appointment was asked for with.
    pub fn phone(&mut self, id: AppointmentId, phone: ClientKey) {
        self.add(b'Y', |buffer| encode_into(&(id, phone), buffer));
    }

    /// Adds who somebody has, by the key of a ledger.
    pub fn binding(&mut self, holder: PatientId, tie: Tie, key: u128, since: Timestamp) {
        self.add(b'X', |buffer| encode_into(&((holder, tie), (key, since)), buffer));
    }

    /// Adds a change of who somebody has.
    pub fn changed(&mut self, holder: PatientId, tie: Tie, day: Day) {
        self.add(b'X', |buffer| encode_into(&(holder, tie, day), buffer));
    }

    /// Adds a remembered refusal.
    pub fn declined(&mut self, id: AppointmentId, fingerprint: u64, outcome: Outcome) {
        self.add(b'D', |buffer| encode_into(&(id, fingerprint, outcome), buffer));
    }

    /// The digest of what was added.
    pub fn finish(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (place, lane) in bytes.chunks_exact_mut(8).zip(self.lanes) {
            place.copy_from_slice(&lane.to_le_bytes());
        }
        bytes
    }

    fn add(&mut self, kind: u8, encode: impl FnOnce(&mut Vec<u8>)) {
        self.buffer.clear();
        self.buffer.push(kind);
        encode(&mut self.buffer);
        let hash = blake3::hash(&self.buffer);
        for (lane, part) in self.lanes.iter_mut().zip(hash.as_bytes().chunks_exact(8)) {
            let part = part.first_chunk().expect("a chunk of eight has eight bytes");
            *lane = lane.wrapping_add(u64::from_le_bytes(*part));
        }
    }
}

/// The digest of an inventory. Nothing may change meanwhile.
pub fn of_inventory(inventory: &Inventory) -> [u8; 32] {
    let mut digest = Digest::default();
    let (mut cooled_at, mut waiting) = (Timestamp::default(), Vec::new());
    for (kind, index) in Inventory::parts() {
        inventory.with_part(kind, index, |part| {
            add_part(&mut digest, &part);
            if let Part::Ledger(ledger) = part {
                cooled_at = cooled_at.max(ledger.cooled_at());
                let all = ledger.all_cooldowns();
                waiting.extend(all.flat_map(|(who, kept)| kept.iter().map(move |it| (who, *it))));
            }
        });
    }
    for (patient, kept) in &waiting {
        digest.cooldown(*patient, kept, cooled_at);
    }
    digest.finish()
}

fn add_part(digest: &mut Digest, part: &Part<'_>) {
    match part {
        Part::Home(home) => {
            home.appointments().for_each(|appointment| digest.appointment(&appointment));
            for (id, changes) in home.moved() {
                digest.moved(id, changes);
            }
            let billing = home.billing();
            billing.bills().for_each(|bill| digest.bill(bill));
            billing.ordered().for_each(|(id, orders)| digest.orders(id, orders));
            billing.late().for_each(|id| digest.late(id));
            home.phones().all().for_each(|(id, phone)| digest.phone(id, phone));
            for (id, fingerprint, outcome) in home.refusals() {
                digest.declined(id, fingerprint, outcome);
            }
        }
        Part::Ledger(ledger) => {
            ledger.all_waits().for_each(|waits| digest.waits(&waits.entry, waits.offer));
            for (patient, record) in ledger.all_records() {
                record.strikes.iter().for_each(|kept| digest.strike(patient, kept));
                record.restrictions.iter().for_each(|made| digest.restriction(patient, made));
            }
            for (patient, past) in ledger.all_past() {
                for past in &past {
                    digest.past(patient, past);
                }
            }
            ledger.all_keys().for_each(|(patient, key)| digest.key(patient, key));
            for (holder, ties) in ledger.all_ties() {
                let bound = ties.bound.iter();
                bound.for_each(|to| digest.binding(holder, to.tie, to.key, to.since));
                ties.changes.iter().for_each(|(tie, day)| digest.changed(holder, *tie, *day));
            }
            for entry in ledger.entries() {
                for live in entry.live() {
                    digest.live(entry.patient(), live.appointment(), live.session());
                }
            }
        }
        Part::Session(shard) => {
            shard.sessions().into_iter().for_each(|state| digest.session(state));
        }
        Part::Rules(book) => book.versions().skip(1).for_each(|rules| digest.rules(rules)),
    }
}
