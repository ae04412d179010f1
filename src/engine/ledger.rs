//! A ledger shard: what each of its patients has.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use super::chunks::{Chunks, Position};
use super::index::Index;
use super::record::{PatientRecord, Records};
use super::waiting::{Waiting, Waits};
use crate::model::{
    AppointmentId, AppointmentStatus, Claim, Fact, PatientId, RequestId, SessionId, Settled,
};

/// What the patients of this shard have. A patient with nothing has no entry.
#[derive(Debug)]
#[repr(C)]
pub struct LedgerShard {
    index: Index,
    hasher: FixedState,
    entries: Chunks<LedgerEntry>,
    waiting: Waiting,
    records: Records,
}

/// What one patient has. 48 bytes for the usual one live appointment.
#[derive(Debug)]
pub struct LedgerEntry {
    patient: [u64; 2],
    first: Live,
    #[expect(clippy::box_collection, reason = "a vector in place would cost every entry 16 bytes")]
    more: Option<Box<Vec<Live>>>,
}

/// A session in which a patient has a live appointment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Live {
    appointment: [u64; 2],
    /// The session.
    pub session: SessionId,
}

const _: () = assert!(size_of::<LedgerEntry>() == 48, "an entry is 48 bytes");

impl LedgerShard {
    /// An empty shard. `seed` makes its table hard to attack; it changes no answer.
    pub fn new(seed: u64) -> Self {
        Self {
            index: Index::default(),
            hasher: FixedState::with_seed(seed),
            entries: Chunks::default(),
            waiting: Waiting::default(),
            records: Records::default(),
        }
    }

    /// Writes what a fact did to the patient's ledger.
    ///
    /// # Panics
    ///
    /// Panics if the fact is impossible in this state.
    pub fn evolve(&mut self, fact: &Fact) {
        match fact {
            Fact::Held(held) => self.insert_all(held.patient, held.appointment, &held.claims),
            Fact::Offered(fact) => {
                let held = &fact.held;
                self.insert_all(held.patient, held.appointment, &held.claims);
            }
            Fact::PlaceOffered(offered) => {
                let held = &offered.held;
                self.insert_all(held.patient, held.appointment, &held.claims);
                self.waiting.evolve(fact);
            }
            Fact::PlaceAdded(fact) => {
                self.insert_all(fact.patient, fact.appointment, &fact.claims);
            }
            Fact::WaitJoined(_) | Fact::WaitLeft(_) => self.waiting.evolve(fact),
            Fact::Ended(ended) => self.remove(ended.patient, ended.appointment),
            Fact::Freed(freed) => self.remove(freed.ended.patient, freed.ended.appointment),
            Fact::Entered(entered) => {
                let live = Live::new(entered.appointment, entered.draw.session);
                self.insert(entered.patient, live);
            }
            Fact::EntryEnded(ended) => self.remove(ended.patient, ended.appointment),
            Fact::Settled(settled) => self.settle(settled),
            Fact::Rescheduled(fact) => {
                self.remove(fact.patient, fact.appointment);
                self.insert_all(fact.patient, fact.appointment, &fact.to);
            }
            Fact::Left(left) => self.settle(&left.settled()),
            Fact::Struck(_) => self.records.evolve(fact),
            Fact::SessionOpened(_)
            | Fact::RulesApplied(_)
            | Fact::Queued(_)
            | Fact::Called(_)
            | Fact::QuotasSet(_)
            | Fact::Reclaimed(_)
            | Fact::Returned(_)
            | Fact::BeaconGiven(_)
            | Fact::DrawRevealed(_)
            | Fact::DrawWon(_)
            | Fact::WaitDrawn(_)
            | Fact::Booked(_)
            | Fact::Progressed(_)
            | Fact::Declined(_)
            | Fact::Forgotten(_)
            | Fact::Swept(_)
            | Fact::SessionBlocked(_)
            | Fact::Displaced(_)
            | Fact::Substituted(_) => {}
        }
    }

    /// The appointment is not live any more; a visit that took place ends a row of missed ones.
    fn settle(&mut self, settled: &Settled) {
        self.remove(settled.patient, settled.appointment);
        if settled.status == AppointmentStatus::Fulfilled {
            self.records.end_row(settled.patient);
        }
    }

    /// What is kept of how a patient behaved, where there is anything.
    pub fn record(&self, patient: PatientId) -> Option<&PatientRecord> {
        self.records.of(patient)
    }

    /// Every record, by patient.
    pub fn all_records(&self) -> impl Iterator<Item = (PatientId, &PatientRecord)> {
        self.records.all()
    }

    /// Puts a record in, as a snapshot brings it.
    pub fn restore_record(&mut self, patient: PatientId, record: PatientRecord) {
        self.records.insert(patient, record);
    }

    /// Whether the patient has a live appointment in the session.
    pub fn has_live(&self, patient: PatientId, session: SessionId) -> bool {
        self.entry(patient).is_some_and(|entry| entry.live().any(|live| live.session == session))
    }

    /// Whether the patient has a live appointment in the session that is none of `but`.
    pub fn has_live_but(
        &self,
        patient: PatientId,
        session: SessionId,
        but: &[AppointmentId],
    ) -> bool {
        let counts = |live: &Live| live.session == session && !but.contains(&live.appointment());
        self.entry(patient).is_some_and(|entry| entry.live().any(counts))
    }

    /// Where the patient has live appointments.
    pub fn lines(&self, patient: PatientId) -> Vec<Live> {
        self.entry(patient).into_iter().flat_map(LedgerEntry::live).copied().collect()
    }

    /// The live appointments of a patient, by id, each once.
    pub fn live(&self, patient: PatientId) -> Vec<AppointmentId> {
        let entry = self.entry(patient);
        let mut ids: Vec<_> =
            entry.into_iter().flat_map(LedgerEntry::live).map(Live::appointment).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Every patient with what they have, in no order that means anything.
    pub fn entries(&self) -> impl Iterator<Item = &LedgerEntry> {
        self.index.positions().map(|position| self.entries.get(position))
    }

    /// Patients who have something.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether no patient of this shard has anything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a live appointment, as a hold or a snapshot brings it.
    pub fn insert(&mut self, patient: PatientId, live: Live) {
        if let Some(position) = self.find(patient) {
            self.entries.get_mut(position).more.get_or_insert_default().push(live);
            return;
        }
        let entry = LedgerEntry { patient: halves(patient.0), first: live, more: None };
        let position = self.entries.insert(entry);
        self.index.insert(self.hash(patient), position);
    }

    fn insert_all(&mut self, patient: PatientId, appointment: AppointmentId, claims: &[Claim]) {
        for claim in claims {
            self.insert(patient, Live::new(appointment, claim.session));
        }
    }

    /// What a patient waits for, in the order of joining.
    pub fn waits(&self, patient: PatientId) -> &[Waits] {
        self.waiting.of(patient)
    }

    /// An entry of a patient.
    pub fn wait(&self, patient: PatientId, entry: RequestId) -> Option<&Waits> {
        self.waits(patient).iter().find(|waits| waits.entry.entry == entry)
    }

    /// The entry of a patient to which an appointment is offered.
    pub fn offered(&self, patient: PatientId, appointment: AppointmentId) -> Option<&Waits> {
        self.waits(patient).iter().find(|waits| waits.offer == Some(appointment))
    }

    /// Everything that patients wait for, by patient.
    pub fn all_waits(&self) -> impl Iterator<Item = &Waits> {
        self.waiting.all()
    }

    /// Puts an entry of a waitlist in, as a snapshot brings it.
    ///
    /// # Panics
    ///
    /// Panics if its patient waits for one of its sessions already.
    pub fn restore_waits(&mut self, waits: Waits) {
        self.waiting.insert(waits);
    }

    fn remove(&mut self, patient: PatientId, appointment: AppointmentId) {
        let Some(position) = self.find(patient) else {
            panic!("an impossible fact: the patient of {:032x} has nothing", appointment.0)
        };
        let entry = self.entries.get_mut(position);
        let mut left: Vec<Live> = entry.live().copied().collect();
        let before = left.len();
        left.retain(|live| live.appointment() != appointment);
        assert!(left.len() < before, "an impossible fact: {:032x} is not live", appointment.0);
        match left.split_first() {
            None => {
                entry.more = None;
                self.entries.remove(position);
                self.index.remove(self.hash(patient), position);
            }
            Some((first, rest)) => {
                entry.first = *first;
                entry.more = (!rest.is_empty()).then(|| Box::new(rest.to_vec()));
            }
        }
    }

    fn entry(&self, patient: PatientId) -> Option<&LedgerEntry> {
        self.find(patient).map(|position| self.entries.get(position))
    }

    fn find(&self, patient: PatientId) -> Option<Position> {
        let key = halves(patient.0);
        self.index.find(self.hash(patient), |position| self.entries.get(position).patient == key)
    }

    #[expect(clippy::cast_possible_truncation, reason = "32 of the 64 bits are kept")]
    fn hash(&self, patient: PatientId) -> u32 {
        (self.hasher.hash_one(halves(patient.0)) >> 16) as u32
    }
}

impl LedgerEntry {
    /// Whose it is.
    pub fn patient(&self) -> PatientId {
        PatientId(joined(self.patient))
    }

    /// Where the patient has live appointments.
    pub fn live(&self) -> impl Iterator<Item = &Live> {
        std::iter::once(&self.first).chain(self.more.as_deref().into_iter().flatten())
    }
}

impl Live {
    /// A live appointment in a session.
    pub const fn new(appointment: AppointmentId, session: SessionId) -> Self {
        Self { appointment: halves(appointment.0), session }
    }

    /// Which appointment.
    pub fn appointment(&self) -> AppointmentId {
        AppointmentId(joined(self.appointment))
    }
}

/// A `u128` would align an entry to 16 bytes and cost 16 more.
#[expect(clippy::cast_possible_truncation, reason = "both halves are kept")]
const fn halves(wide: u128) -> [u64; 2] {
    [wide as u64, (wide >> 64) as u64]
}

fn joined([low, high]: [u64; 2]) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}
