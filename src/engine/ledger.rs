//! A ledger shard: what each of its patients has.

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use super::chunks::{Chunks, Position};
use super::cooldown::Cooldowns;
use super::history::Histories;
use super::identity::Keys;
use super::index::Index;
use super::persons::Bindings;
use super::record::{KeptStrike, PatientRecord, Records};
use super::restrictions::only_made;
use super::waiting::{Waiting, Waits};
use crate::model::{
    AppointmentId, AppointmentStatus, Claim, Cooldown, Fact, KeptRestriction, Past, PatientId,
    RequestId, SessionId, Settled, SlotIndex, Struck, Timestamp,
};

/// What the patients of this shard have. A patient with nothing has no entry.
#[derive(Debug)]
#[repr(C)]
pub struct LedgerShard {
    index: Index,
    pub(super) hasher: FixedState,
    entries: Chunks<Entry>,
    /// What patients have besides the first of it.
    more: Chunks<Vec<Live>>,
    /// Where somebody here has several keys.
    pub(super) keys: Option<Box<Keys>>,
    /// Where somebody here has others by a rule.
    pub(super) bindings: Option<Box<Bindings>>,
    pub(super) waiting: Waiting,
    pub(super) records: Records,
    pub(super) histories: Histories,
    pub(super) cooldowns: Cooldowns,
}

/// What one patient has. 52 bytes for the usual one live appointment.
#[derive(Debug)]
struct Entry {
    patient: [u32; 4],
    first: Live,
    /// Where the rest of it lies, or `NONE`.
    more: Position,
}

/// Who has something, and what.
#[derive(Clone, Copy, Debug)]
pub struct LedgerEntry<'a> {
    shard: &'a LedgerShard,
    entry: &'a Entry,
}

/// A claim of a live appointment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Live {
    appointment: [u32; 4],
    session: [u32; 2],
    /// In seconds since 1970.
    since: u32,
    /// The slot; the first of the session while it waits for a draw, and when it won.
    pub slot: SlotIndex,
}

const NONE: Position = Position::MAX;

const _: () = assert!(size_of::<Entry>() == 52, "an entry is 52 bytes");

impl LedgerShard {
    /// An empty shard. `seed` makes its table hard to attack; it changes no answer.
    pub fn new(seed: u64) -> Self {
        Self {
            index: Index::default(),
            hasher: FixedState::with_seed(seed),
            entries: Chunks::default(),
            more: Chunks::default(),
            keys: None,
            bindings: None,
            waiting: Waiting::default(),
            records: Records::default(),
            histories: Histories::new(seed),
            cooldowns: Cooldowns::default(),
        }
    }

    /// An empty shard beside this one, which numbers places with it: there are as many as doctors, and
    /// every shard has patients of all of them.
    #[must_use]
    pub fn beside(&self) -> Self {
        Self {
            index: Index::default(),
            hasher: self.hasher.clone(),
            entries: Chunks::default(),
            more: Chunks::default(),
            keys: None,
            bindings: None,
            waiting: Waiting::default(),
            records: Records::default(),
            histories: self.histories.beside(),
            cooldowns: Cooldowns::default(),
        }
    }

    /// Writes what a fact did to the patient's ledger.
    ///
    /// # Panics
    ///
    /// Panics if the fact is impossible in this state.
    pub fn evolve(&mut self, time: Timestamp, fact: &Fact) {
        match fact {
            Fact::Held(held) => self.insert_all(time, held.patient, held.appointment, &held.claims),
            Fact::Offered(fact) => {
                let held = &fact.held;
                self.insert_all(time, held.patient, held.appointment, &held.claims);
            }
            Fact::PlaceOffered(offered) => {
                let held = &offered.held;
                self.insert_all(time, held.patient, held.appointment, &held.claims);
                self.waiting.evolve(fact);
            }
            Fact::PlaceAdded(fact) => {
                self.insert_all(time, fact.patient, fact.appointment, &fact.claims);
            }
            Fact::WaitJoined(_) | Fact::WaitLeft(_) => self.waiting.evolve(fact),
            Fact::Ended(ended) => {
                self.remove(ended.patient, ended.appointment);
            }
            Fact::Freed(freed) => {
                self.remove(freed.ended.patient, freed.ended.appointment);
            }
            Fact::Entered(entered) => {
                let (session, slot) = (entered.draw.session, SlotIndex::default());
                let live = Live::new(entered.appointment, session, slot, time);
                self.insert(entered.patient, live);
            }
            Fact::EntryEnded(ended) => {
                self.remove(ended.patient, ended.appointment);
            }
            Fact::Settled(settled) => self.settle(settled),
            Fact::Rescheduled(fact) => {
                // A move is no new booking.
                let since = self.remove(fact.patient, fact.appointment);
                self.insert_all(since, fact.patient, fact.appointment, &fact.to);
            }
            Fact::Recorded(fact) => self.histories.push(fact.patient, fact.past()),
            Fact::Probed(fact) => {
                self.histories.push(fact.patient, fact.past().into_iter());
            }
            Fact::Left(left) => self.settle(&left.settled()),
            Fact::PatientsMerged(fact) => self.take_over(fact),
            Fact::Struck(struck) => self.strike(struck),
            Fact::Barred(fact) => {
                let made = only_made(fact.id.0, fact.restriction);
                self.records.append(fact.patient, &[made]);
            }
            Fact::Restricted(made) => self.records.restrict(made),
            Fact::Amended(amended) => self.records.amend(amended),
            Fact::Bound(fact) => self.bind(time, fact),
            Fact::PatientNamed(fact) => {
                self.insert_all(time, fact.patient, fact.appointment, &fact.claims);
            }
            Fact::Cooled(fact) => self.cooldowns.evolve(time, fact),
            Fact::LeftLate(_)
            | Fact::Billed(_)
            | Fact::Ordered(_)
            | Fact::Phoned(_)
            | Fact::SessionOpened(_)
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
            | Fact::DecidedUnder(_)
            | Fact::Substituted(_) => {}
        }
    }

    /// Writes what a fact takes out of the ledger of a holder, which may lie in another shard than the
    /// patient's.
    ///
    /// # Panics
    ///
    /// Panics if the fact is impossible in this state.
    pub fn let_go(&mut self, fact: &Fact) {
        if let Fact::PatientNamed(named) = fact {
            self.remove(named.account.holder(), named.appointment);
        }
    }

    /// The appointment is not live any more; a visit that took place ends a row of missed ones.
    fn settle(&mut self, settled: &Settled) {
        self.remove(settled.patient, settled.appointment);
        if settled.status == AppointmentStatus::Fulfilled {
            self.histories.end_row(settled.patient);
        }
    }

    /// A missed visit counts, and what followed from it.
    fn strike(&mut self, struck: &Struck) {
        let (patient, strike) = (struck.patient, struck.strike.kept());
        self.histories.strike(patient, &KeptStrike { strike, is_used: false, is_over: false });
        let Some(made) = struck.restriction else { return };
        self.records.append(patient, &[only_made(struck.appointment.0, made)]);
        if struck.is_used_up {
            self.histories.use_up(patient, made.within, made.since..=strike.day);
        }
    }

    /// What is kept of how a patient behaved.
    pub fn record(&self, patient: PatientId) -> PatientRecord {
        let person = self.person(patient);
        let restrictions = self.records.of(person).to_vec();
        PatientRecord { strikes: self.histories.strikes(person), restrictions }
    }

    /// The strikes of a patient, by day and place.
    pub fn strikes(&self, patient: PatientId) -> Vec<KeptStrike> {
        self.histories.strikes(self.person(patient))
    }

    /// The restrictions of a patient, in the order in which they were made.
    pub fn restrictions(&self, patient: PatientId) -> &[KeptRestriction] {
        self.records.of(self.person(patient))
    }

    /// For what a patient waits before the next place, some of it over.
    pub fn cooldowns(&self, patient: PatientId) -> &[Cooldown] {
        self.cooldowns.of(self.person(patient))
    }

    /// The same of every patient, by patient.
    pub fn all_cooldowns(&self) -> impl Iterator<Item = (PatientId, &[Cooldown])> {
        self.cooldowns.all()
    }

    /// When a place was given up last, if somebody had to wait. What was over by then may be dropped.
    pub const fn cooled_at(&self) -> Timestamp {
        self.cooldowns.latest()
    }

    /// Puts in for what patients wait, and when one had to last, as a snapshot brings it.
    pub fn restore_cooldowns(&mut self, at: Timestamp, all: &[(PatientId, Vec<Cooldown>)]) {
        self.cooldowns.restore(at, all);
    }

    /// Every record, by patient. Takes memory for all of them.
    pub fn all_records(&self) -> BTreeMap<PatientId, PatientRecord> {
        let mut all: BTreeMap<_, PatientRecord> = BTreeMap::new();
        for (patient, strikes) in self.histories.all_strikes() {
            all.entry(patient).or_default().strikes = strikes;
        }
        for (patient, restrictions) in self.records.all() {
            all.entry(patient).or_default().restrictions = restrictions.to_vec();
        }
        all
    }

    /// Puts a record in, as a snapshot brings it. What is kept of visits comes before.
    pub fn restore_record(&mut self, patient: PatientId, record: &PatientRecord) {
        self.keep(patient, record.strikes.iter().copied(), &record.restrictions);
    }

    /// Puts strikes and restrictions with those of a patient.
    pub(super) fn keep(
        &mut self,
        patient: PatientId,
        strikes: impl Iterator<Item = KeptStrike>,
        restrictions: &[KeptRestriction],
    ) {
        strikes.for_each(|kept| self.histories.strike(patient, &kept));
        self.records.append(patient, restrictions);
    }

    /// The visits of a patient's appointments that are over, newest first.
    pub fn past(&self, patient: PatientId) -> impl Iterator<Item = Past> + '_ {
        self.histories.of(self.person(patient))
    }

    /// Every history, oldest visit first, in no order of patients.
    pub fn all_past(&self) -> impl Iterator<Item = (PatientId, Vec<Past>)> + '_ {
        self.histories.all()
    }

    /// Puts a visit behind what is known of a patient, as a snapshot brings it.
    pub fn restore_past(&mut self, patient: PatientId, past: Past) {
        self.histories.push(patient, std::iter::once(past));
    }

    /// Whether the patient has a live appointment in the session.
    pub fn has_live(&self, patient: PatientId, session: SessionId) -> bool {
        self.lines(patient).any(|live| live.session() == session)
    }

    /// Whether the patient has a live appointment in the session that is none of `but`.
    pub fn has_live_but(
        &self,
        patient: PatientId,
        session: SessionId,
        but: &[AppointmentId],
    ) -> bool {
        let counts = |live: &Live| live.session() == session && !but.contains(&live.appointment());
        self.lines(patient).any(counts)
    }

    /// Where the patient has live appointments.
    pub fn lines(&self, patient: PatientId) -> impl Iterator<Item = &Live> {
        let found = self.find(self.person(patient));
        found.into_iter().flat_map(|position| self.live_of(self.entries.get(position)))
    }

    /// The live appointments of a patient, by id, each once.
    pub fn live(&self, patient: PatientId) -> Vec<AppointmentId> {
        let mut ids: Vec<_> = self.lines(patient).map(Live::appointment).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Every patient with what they have, in no order that means anything.
    pub fn entries(&self) -> impl Iterator<Item = LedgerEntry<'_>> {
        self.index
            .positions()
            .map(|position| LedgerEntry { shard: self, entry: self.entries.get(position) })
    }

    fn live_of<'a>(&'a self, entry: &'a Entry) -> impl Iterator<Item = &'a Live> + use<'a> {
        let more = (entry.more != NONE).then(|| self.more.get(entry.more));
        std::iter::once(&entry.first).chain(more.into_iter().flatten())
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
            let more = self.entries.get(position).more;
            if more == NONE {
                self.entries.get_mut(position).more = self.more.insert(vec![live]);
            } else {
                self.more.get_mut(more).push(live);
            }
            return;
        }
        let entry = Entry { patient: quarters(patient.0), first: live, more: NONE };
        let position = self.entries.insert(entry);
        self.index.insert(self.hash(patient), position);
    }

    fn insert_all(
        &mut self,
        since: Timestamp,
        patient: PatientId,
        appointment: AppointmentId,
        claims: &[Claim],
    ) {
        for claim in claims {
            self.insert(patient, Live::new(appointment, claim.session, claim.slot, since));
        }
    }

    /// What a patient waits for, in the order of joining.
    pub fn waits(&self, patient: PatientId) -> &[Waits] {
        self.waiting.of(self.person(patient))
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

    /// Takes an appointment out, and says since when it was live.
    pub(super) fn remove(&mut self, patient: PatientId, appointment: AppointmentId) -> Timestamp {
        let Some(position) = self.find(patient) else {
            panic!("an impossible fact: the patient of {:032x} has nothing", appointment.0)
        };
        let entry = self.entries.get(position);
        let mut left: Vec<Live> = self.live_of(entry).copied().collect();
        let removed = left.iter().find(|live| live.appointment() == appointment).copied();
        let Some(removed) = removed else {
            panic!("an impossible fact: {:032x} is not live", appointment.0)
        };
        left.retain(|live| live.appointment() != appointment);
        let more = entry.more;
        if more != NONE {
            *self.more.get_mut(more) = Vec::new();
            self.more.remove(more);
        }
        match left.split_first() {
            None => {
                self.entries.remove(position);
                self.index.remove(self.hash(patient), position);
            }
            Some((first, [])) => {
                let entry = self.entries.get_mut(position);
                (entry.first, entry.more) = (*first, NONE);
            }
            Some((first, rest)) => {
                let more = self.more.insert(rest.to_vec());
                let entry = self.entries.get_mut(position);
                (entry.first, entry.more) = (*first, more);
            }
        }
        removed.since().unwrap_or_default()
    }

    fn find(&self, patient: PatientId) -> Option<Position> {
        let key = quarters(patient.0);
        self.index.find(self.hash(patient), |position| self.entries.get(position).patient == key)
    }

    #[expect(clippy::cast_possible_truncation, reason = "32 of the 64 bits are kept")]
    fn hash(&self, patient: PatientId) -> u32 {
        (self.hasher.hash_one(quarters(patient.0)) >> 16) as u32
    }
}

impl<'a> LedgerEntry<'a> {
    /// Whose it is.
    pub fn patient(&self) -> PatientId {
        PatientId(joined(self.entry.patient))
    }

    /// Where the patient has live appointments.
    pub fn live(&self) -> impl Iterator<Item = &'a Live> + use<'a> {
        self.shard.live_of(self.entry)
    }
}

impl Live {
    /// A claim of a live appointment, made at an instant, of which the second counts.
    pub fn new(
        appointment: AppointmentId,
        session: SessionId,
        slot: SlotIndex,
        since: Timestamp,
    ) -> Self {
        let since = u32::try_from(since.as_millis() / MILLIS).unwrap_or(u32::MAX);
        Self { appointment: quarters(appointment.0), session: halves(session.0), since, slot }
    }

    /// Which appointment.
    pub fn appointment(&self) -> AppointmentId {
        AppointmentId(joined(self.appointment))
    }

    /// In which session.
    pub fn session(&self) -> SessionId {
        let [low, high] = self.session;
        SessionId(u64::from(high) << 32 | u64::from(low))
    }

    /// When it was made, to the second; `None` where a snapshot of an earlier version did not say.
    pub fn since(&self) -> Option<Timestamp> {
        let since = Timestamp::from_millis(u64::from(self.since) * MILLIS);
        (self.since != 0).then_some(since)
    }
}

const MILLIS: u64 = 1_000;

/// Wider numbers would align an entry to eight or sixteen bytes, and cost as many more.
#[expect(clippy::cast_possible_truncation, reason = "both halves are kept")]
const fn halves(wide: u64) -> [u32; 2] {
    [wide as u32, (wide >> 32) as u32]
}

/// The same of 128 bits.
#[expect(clippy::cast_possible_truncation, reason = "all four quarters are kept")]
pub(super) const fn quarters(wide: u128) -> [u32; 4] {
    [wide as u32, (wide >> 32) as u32, (wide >> 64) as u32, (wide >> 96) as u32]
}

/// What [`quarters`] took apart.
pub(super) fn joined(parts: [u32; 4]) -> u128 {
    parts.iter().rev().fold(0, |wide, part| wide << 32 | u128::from(*part))
}
