//! Looks at a data folder while no node runs: is the story in it a possible one?
//!
//! ```text
//! archive + log --> chain intact? --> naive account: every status legal, every place counted
//!                                     |                       digests equal?
//! snapshot + log --> recovery --------'
//! ```
//!
//! **Architecture invariant:** the account here shares no code with the engine but the table of
//! transitions: two ways to the same state, compared.

mod attendance;
mod billing;
mod cooldown;
mod disruption;
mod draws;
mod history;
mod holds;
mod identity;
mod moves;
mod persons;
mod probing;
mod restrictions;
mod rules;
mod supply;
mod violations;
mod waiting;

use std::collections::BTreeMap;
#[cfg(feature = "node")]
use std::panic::AssertUnwindSafe;
#[cfg(feature = "node")]
use std::path::Path;

use self::moves::{cells, slots};
use super::digest::Digest;
#[cfg(feature = "node")]
use super::digest::of_inventory;
#[cfg(feature = "node")]
use super::open::{OpenError, OpenOptions, recover};
#[cfg(feature = "node")]
use crate::codec::decode_facts;
use crate::engine::{Alterations, SessionState};
#[cfg(feature = "node")]
use crate::journal::{DataFolder, Log};
use crate::model::{
    Appointment, AppointmentEvent, AppointmentId, AppointmentStatus, Cause, Claim, DrawId, Ended,
    Fact, Facts, Outcome, PatientId, PoolIndex, RequestId, Returning, Sequence, Session, SessionId,
    SlotIndex, Timestamp, WaitEntry, WaitState,
};

/// What an audit found.
#[derive(Clone, Debug, Default)]
pub struct AuditReport {
    /// Records in archive and log.
    pub records: u64,
    /// Facts in them.
    pub facts: u64,
    /// The last record.
    pub last: Sequence,
    /// The time of the last record.
    pub last_time: Timestamp,
    /// Sessions opened.
    pub sessions: u64,
    /// Places in them.
    pub places: u64,
    /// Places taken at the end.
    pub taken: u64,
    /// Those of them that are on their way back, or withheld.
    pub returning: u64,
    /// Places that were ever taken beyond a quota. Anything but 0 is a sale of what was not there.
    pub oversold: u64,
    /// Appointments by status at the end, those that were not forgotten.
    pub statuses: BTreeMap<AppointmentStatus, u64>,
    /// Cancelled appointments by cause.
    pub causes: BTreeMap<Cause, u64>,
    /// Refusals that are remembered.
    pub declined: u64,
    /// The digest of the state that the records make.
    pub digest: [u8; 32],
    /// What is wrong, a sentence each; the first [`FAULTS_MAX`]. Empty: all is well.
    pub faults: Vec<String>,
    /// What the operator should know, though nothing is wrong.
    pub warnings: Vec<String>,
}

/// Faults that a report names.
pub const FAULTS_MAX: usize = 100;

impl AuditReport {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.oversold == 0 && self.faults.is_empty()
    }

    fn fault(&mut self, sequence: Sequence, what: &str) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(format!("record {}: {what}", sequence.0));
        }
    }
}

/// Audits the data folder at `path`.
///
/// # Errors
///
/// The folder cannot be read at all: in use, of a newer format, or its chain is broken.
#[cfg(feature = "node")]
pub fn audit(path: &Path) -> Result<AuditReport, OpenError> {
    let log = DataFolder::inspect(path)?;
    let mut report = AuditReport {
        last: log.tail().last_sequence(),
        last_time: log.tail().last_time,
        warnings: log.warnings().to_vec(),
        ..AuditReport::default()
    };
    let mut account = Account::default();
    each_record(&log, Sequence(1), |sequence, time, facts| {
        account.add_record(&mut report, sequence, time, facts);
    })?;
    account.close(&mut report);
    if report.faults.is_empty() {
        compare_with_recovery(&log, &path.join("snapshots"), &mut report);
    }
    Ok(report)
}

/// As [`audit`], but of the story up to one record: what the node was when that was its last. Says
/// nothing of a recovery, because no node would start there.
///
/// # Errors
///
/// As [`audit`].
#[cfg(feature = "node")]
pub fn audit_through(path: &Path, through: Sequence) -> Result<AuditReport, OpenError> {
    let log = DataFolder::inspect(path)?;
    let mut report = AuditReport { warnings: log.warnings().to_vec(), ..AuditReport::default() };
    let mut account = Account::default();
    each_record(&log, Sequence(1), |sequence, time, facts| {
        if sequence <= through {
            (report.last, report.last_time) = (sequence, time.max(report.last_time));
            account.add_record(&mut report, sequence, time, facts);
        }
    })?;
    account.close(&mut report);
    Ok(report)
}

/// Recovers a folder as a node would, and says what state it comes to. For a folder whose first
/// records are no longer kept, of which there can be no audit.
///
/// # Errors
///
/// A node would not start on it.
#[cfg(feature = "node")]
pub fn recovered_digest(path: &Path) -> Result<[u8; 32], OpenError> {
    let log = DataFolder::inspect(path)?;
    let (inventory, _) = recover(&log, &path.join("snapshots"), &OpenOptions::default())?;
    Ok(of_inventory(&inventory))
}

/// Calls `visit` with every record of a data folder from `from` on, archived ones included.
///
/// # Errors
///
/// The folder cannot be read, or the records are no longer kept.
#[cfg(feature = "node")]
pub fn history(
    path: &Path,
    from: Sequence,
    visit: impl FnMut(Sequence, Timestamp, &Facts),
) -> Result<(), OpenError> {
    each_record(&DataFolder::inspect(path)?, from, visit)
}

/// As [`history()`], of a damaged folder: as far as its chain is whole. Says which record is the last.
///
/// # Errors
///
/// As [`history()`].
#[cfg(feature = "node")]
pub fn salvaged_history(
    path: &Path,
    from: Sequence,
    visit: impl FnMut(Sequence, Timestamp, &Facts),
) -> Result<Sequence, OpenError> {
    let log = DataFolder::salvage(path)?;
    each_record(&log, from, visit)?;
    Ok(log.tail().last_sequence())
}

#[cfg(feature = "node")]
fn each_record(
    log: &Log,
    from: Sequence,
    mut visit: impl FnMut(Sequence, Timestamp, &Facts),
) -> Result<(), OpenError> {
    log.history::<OpenError>(from, |sequence, time, bytes| {
        let facts = decode_facts(bytes).map_err(|source| OpenError::Record { sequence, source })?;
        visit(sequence, time, &facts);
        Ok(())
    })
}

/// Recovers the folder as a node would, and compares. The records were found possible before, so a
/// panic here means that engine and account disagree.
#[cfg(feature = "node")]
fn compare_with_recovery(log: &Log, snapshots: &Path, report: &mut AuditReport) {
    let recovered = std::panic::catch_unwind(AssertUnwindSafe(|| {
        recover(log, snapshots, &OpenOptions::default())
            .map(|(inventory, found)| (of_inventory(&inventory), found))
    }));
    let fault = match recovered {
        Ok(Ok((digest, found))) => {
            report.warnings.extend(found.warnings);
            (digest != report.digest).then(|| "recovery comes to another state".to_owned())
        }
        Ok(Err(error)) => Some(format!("recovery fails: {error}")),
        Err(_) => Some("recovery meets an impossible fact".to_owned()),
    };
    if let Some(what) = fault {
        report.fault(report.last, &what);
    }
}

/// What the facts of records come to, without a folder and without recovery to compare with.
#[cfg(any(test, fuzzing))]
pub(super) fn of_records(records: &[(Sequence, Timestamp, Facts)]) -> AuditReport {
    let mut report = AuditReport::default();
    let mut account = Account::default();
    for (sequence, time, facts) in records {
        report.last = *sequence;
        account.add_record(&mut report, *sequence, *time, facts);
    }
    account.close(&mut report);
    report
}

/// What the facts say, kept as simply as can be.
#[derive(Default)]
struct Account {
    sessions: BTreeMap<SessionId, Session>,
    taken: BTreeMap<(SessionId, u16, u8), u32>,
    appointments: BTreeMap<AppointmentId, Appointment>,
    declined: BTreeMap<AppointmentId, (u64, Outcome)>,
    /// Blocked slots and added places.
    altered: BTreeMap<SessionId, Alterations>,
    /// How often appointments were moved by wish.
    changes: BTreeMap<AppointmentId, u8>,
    /// Places of appointments that were forgotten after their visit: they stay taken.
    kept: BTreeMap<(SessionId, u16, u8), u32>,
    /// Places that nobody has and that are not free yet, with when they are.
    returning: BTreeMap<(SessionId, u16, u8, Timestamp), u16>,
    draws: BTreeMap<DrawId, draws::AuditedDraw>,
    /// Who waits, with the offer that they have, and the waitlists of sessions.
    waits: BTreeMap<(PatientId, RequestId), (WaitEntry, Option<AppointmentId>)>,
    waitlists: BTreeMap<SessionId, WaitState>,
    queues: BTreeMap<SessionId, attendance::Waiting>,
    conduct: rules::Conduct,
    histories: history::Histories,
    beside: billing::Beside,
    ties: persons::Persons,
    /// Under which key somebody is kept who has several.
    persons: BTreeMap<PatientId, PatientId>,
}

impl Account {
    fn add_record(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        time: Timestamp,
        facts: &Facts,
    ) {
        report.records += 1;
        self.look_under(report, sequence, time, facts);
        for fact in facts {
            report.facts += 1;
            self.add(report, sequence, time, fact);
        }
    }

    fn add(&mut self, report: &mut AuditReport, sequence: Sequence, time: Timestamp, fact: &Fact) {
        self.histories.note(sequence, time, fact);
        self.note_cooling(report, (sequence, time), Some(fact));
        match fact {
            Fact::SessionOpened(opened) => {
                let session = opened.session.clone();
                self.announce(report, sequence, &session);
                if session.check().is_err() || self.sessions.insert(session.id, session).is_some() {
                    report.fault(sequence, "a session is malformed or opened twice");
                }
            }
            Fact::Held(held) => {
                let who = (held.patient, held.appointment, (held.channel, held.class));
                self.look_for_restriction(report, sequence, time, who, &held.claims);
                self.hold(report, sequence, held);
            }
            Fact::RulesApplied(fact) => self.apply_rules(report, sequence, time, fact),
            Fact::Struck(fact) => self.strike(report, sequence, time, fact),
            // Looked at with the record.
            Fact::DecidedUnder(_) => {}
            Fact::Barred(fact) => self.bar(report, sequence, time, fact),
            Fact::Probed(fact) => self.probe(report, sequence, time, fact),
            Fact::Recorded(fact) => self.record(report, sequence, time, fact),
            Fact::Phoned(_) | Fact::Bound(_) => self.add_persons(report, sequence, time, fact),
            Fact::LeftLate(_) | Fact::Billed(_) | Fact::Ordered(_) | Fact::PatientNamed(_) => {
                self.add_billing(report, sequence, time, fact);
            }
            Fact::Cooled(fact) => self.cool(report, sequence, time, fact),
            Fact::PatientsMerged(fact) => self.merge(report, (sequence, time), fact),
            Fact::Restricted(fact) => self.restrict(report, sequence, time, fact),
            Fact::Amended(fact) => self.amend(report, sequence, time, fact),
            Fact::Booked(fact) => {
                self.step(report, sequence, time, fact.appointment, AppointmentEvent::Book, None);
                self.book(report, sequence, fact);
            }
            Fact::Ended(fact) => self.end(report, sequence, time, fact, &[]),
            Fact::Freed(fact) => self.end(report, sequence, time, &fact.ended, &fact.back),
            Fact::Returned(fact) => self.come_back(report, sequence, fact),
            Fact::WaitJoined(fact) => self.join(report, sequence, fact),
            Fact::WaitDrawn(fact) => self.draw(report, sequence, fact),
            Fact::WaitLeft(fact) => self.leave_waitlist(report, sequence, fact),
            Fact::PlaceOffered(fact) => {
                let held = &fact.held;
                let who = (held.patient, held.appointment, (held.channel, held.class));
                self.look_for_restriction(report, sequence, time, who, &held.claims);
                self.offer_place(report, sequence, fact);
                self.hold_returning(report, sequence, held);
            }
            Fact::Progressed(fact) => {
                let event = match fact.status {
                    AppointmentStatus::Arrived => AppointmentEvent::Arrive,
                    AppointmentStatus::CheckedIn => AppointmentEvent::CheckIn,
                    _ => {
                        return report.fault(sequence, "an appointment moves on to no such status");
                    }
                };
                self.look_at_pick_up(report, sequence, time, fact.appointment);
                self.step(report, sequence, time, fact.appointment, event, None);
            }
            Fact::Queued(fact) => self.queue(report, sequence, time, fact),
            Fact::Left(fact) => {
                let is_late = self.leave(report, sequence, time, fact);
                self.add(report, sequence, time, &Fact::Settled(fact.settled()));
                if is_late {
                    self.histories.note_late();
                }
            }
            Fact::Called(fact) => self.call(report, sequence, fact),
            Fact::Settled(fact) => {
                let event = match fact.status {
                    AppointmentStatus::NoShow => AppointmentEvent::NoShow,
                    AppointmentStatus::Fulfilled => {
                        self.conduct.visited(fact.patient);
                        AppointmentEvent::Settle
                    }
                    _ => {
                        return report
                            .fault(sequence, "an appointment is settled as no such status");
                    }
                };
                self.step(report, sequence, time, fact.appointment, event, Some(fact.patient));
            }
            Fact::Declined(fact) => {
                self.declined.insert(fact.appointment, (fact.fingerprint, fact.outcome));
            }
            Fact::QuotasSet(fact) => self.share_out(report, sequence, fact),
            Fact::Reclaimed(fact) => self.reclaim(report, sequence, fact),
            Fact::Rescheduled(fact) => {
                self.look_for_more(report, sequence, time, fact);
                self.reschedule(report, sequence, time, fact);
            }
            Fact::SessionBlocked(fact) => self.block(report, sequence, &fact.block),
            Fact::Swept(session) => self.swept(report, sequence, *session),
            Fact::Displaced(fact) => self.displace(report, sequence, time, fact),
            Fact::Substituted(fact) => self.substitute(report, sequence, fact),
            Fact::PlaceAdded(fact) => self.add_place(report, sequence, time, fact),
            Fact::Offered(fact) => self.offer(report, sequence, fact),
            Fact::Entered(fact) => self.enter(report, sequence, fact),
            Fact::BeaconGiven(fact) => self.give_beacon(report, sequence, fact),
            Fact::DrawRevealed(fact) => self.reveal(report, sequence, time, fact),
            Fact::DrawWon(fact) => self.win(report, sequence, fact),
            Fact::EntryEnded(fact) => self.end_entry(report, sequence, time, fact),
            Fact::Forgotten(fact) => {
                for id in &fact.appointments {
                    self.forget(report, sequence, *id);
                }
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a step is who, what, when, and where to report")]
    fn step(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        time: Timestamp,
        id: AppointmentId,
        event: AppointmentEvent,
        patient: Option<PatientId>,
    ) {
        let whose = self.appointments.get(&id).map(|it| self.person(it.patient));
        let Some(appointment) = self.appointments.get_mut(&id) else {
            return report.fault(sequence, "a fact is about no appointment");
        };
        if patient.is_some() && patient != whose {
            report.fault(sequence, "a fact is about another patient");
        }
        self.beside.end_hold(id);
        match appointment.status.after(event) {
            Some(status) => (appointment.status, appointment.until) = (status, time),
            None => report.fault(
                sequence,
                &format!(
                    "{event:?} is not possible where an appointment is {:?}",
                    appointment.status
                ),
            ),
        }
    }

    fn end(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        time: Timestamp,
        ended: &Ended,
        back: &[Timestamp],
    ) {
        let Ended { appointment: id, patient, cause, ref claims, .. } = *ended;
        let event = match cause {
            Cause::Released => AppointmentEvent::Release,
            Cause::Expired => AppointmentEvent::Expire,
            Cause::Cancelled => AppointmentEvent::Cancel,
            Cause::Displaced => AppointmentEvent::Displace,
            Cause::None | Cause::NotDrawn => {
                return report.fault(sequence, "an appointment ends for no cause");
            }
        };
        // Before the step: what an appointment takes follows from its status.
        let took = self.places_of(id);
        self.step(report, sequence, time, id, event, Some(patient));
        if let Some(appointment) = self.appointments.get_mut(&id) {
            appointment.cause = cause;
            if took != *claims {
                report.fault(sequence, "other places come back than were taken");
            }
        }
        self.give_back(report, sequence, claims, back);
    }

    fn give_back(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        claims: &[Claim],
        back: &[Timestamp],
    ) {
        for (index, claim) in claims.iter().enumerate() {
            let until = back.get(index).copied().unwrap_or_default();
            for slot in slots(claim) {
                if until != Timestamp::default() {
                    self.set_out(claim, slot, until);
                    continue;
                }
                let taken = self.taken.entry((claim.session, slot, claim.pool.0)).or_default();
                match taken.checked_sub(1) {
                    Some(left) => *taken = left,
                    None => report.fault(sequence, "a place comes back twice"),
                }
            }
        }
    }

    /// Counts at the end, and recounts every place from the appointments that take one.
    fn close(mut self, report: &mut AuditReport) {
        let mut digest = Digest::default();
        self.note_cooling(report, (report.last, report.last_time), None);
        self.close_queues(report, &mut digest);
        let mut recount = std::mem::take(&mut self.kept);
        for ((session, slot, pool, until), count) in &self.returning {
            let places = Returning {
                until: *until,
                slot: SlotIndex(*slot),
                pool: PoolIndex(*pool),
                count: *count,
            };
            digest.returning(*session, &places);
            *recount.entry((*session, *slot, *pool)).or_default() += u32::from(*count);
            report.returning += u64::from(*count);
        }
        for appointment in self.appointments.values() {
            digest.appointment(appointment);
            *report.statuses.entry(appointment.status).or_default() += 1;
            if appointment.status == AppointmentStatus::Cancelled {
                *report.causes.entry(appointment.cause).or_default() += 1;
            }
            for claim in &appointment.claims {
                if appointment.status.is_live() {
                    digest.live(self.person(appointment.patient), appointment.id, claim.session);
                }
            }
            for (claim, slot) in cells(appointment.places()) {
                *recount.entry((claim.session, slot, claim.pool.0)).or_default() += 1;
            }
        }
        self.persons.iter().for_each(|(key, person)| digest.key(*person, *key));
        self.conduct.close(&mut digest);
        self.histories.close(&mut digest);
        self.beside.close(report, &self.appointments, &mut digest);
        self.ties.close(&mut digest);
        for (id, changes) in &self.changes {
            digest.moved(*id, *changes);
        }
        draws::close(&self.draws, &mut digest);
        for (entry, offer) in self.waits.values() {
            digest.waits(entry, *offer);
        }
        for (session, waitlist) in &self.waitlists {
            digest.waitlist(*session, waitlist);
        }
        for (id, (fingerprint, outcome)) in &self.declined {
            digest.declined(*id, *fingerprint, *outcome);
            report.declined += 1;
        }
        let mut sessions = std::mem::take(&mut self.sessions);
        while let Some((id, session)) = sessions.pop_first() {
            let count = |slot, pool| self.taken.get(&(id, slot, pool)).copied().unwrap_or(0);
            let mut taken = Vec::new();
            for slot in (0_u16..).take(session.slot_count()) {
                for pool in (0_u8..).take(session.pools.len()) {
                    taken.push(u16::try_from(count(slot, pool)).unwrap_or(u16::MAX));
                }
            }
            report.sessions += 1;
            report.taken += taken.iter().map(|taken| u64::from(*taken)).sum::<u64>();
            let quotas = session.pools.iter().flat_map(|pool| &pool.quotas);
            report.places += quotas.map(|quota| u64::from(*quota)).sum::<u64>();
            let altered = self.altered_of(id);
            report.taken += u64::from(altered.added_sum());
            report.places += u64::from(altered.added_sum());
            let state = SessionState::from_parts(session, &taken);
            match state.and_then(|state| state.with_alterations(altered)) {
                Some(state) => digest.session(&state),
                None => report.fault(report.last, "a session has more taken than it has places"),
            }
        }
        let mut counted = self.taken;
        counted.retain(|_, taken| *taken != 0);
        if counted != recount {
            report.fault(report.last, "the places taken are not those of the appointments");
        }
        report.digest = digest.finish();
    }
}
