//! The account of what is kept of appointments that are over.

use std::collections::{BTreeMap, BTreeSet};

use super::{Account, AuditReport};
use crate::model::limits::{HISTORY_DAYS, HISTORY_MAX, PROBED_MAX};
use crate::model::{
    Appointment, AppointmentId, AppointmentStatus, Cause, CivilTime, Claim, Day, Ending, Fact,
    KeptLine, Left, Past, PatientId, Recorded, Sequence, Settled, SlotIndex, Stay, Timestamp,
    Violation,
};
use crate::service::digest::Digest;

/// When appointments were made, which ended last, and what is kept of each patient's.
#[derive(Debug, Default)]
pub(super) struct Histories {
    made: BTreeMap<AppointmentId, Timestamp>,
    pub(super) ended: Option<(Sequence, AppointmentId, Ending)>,
    booked: Option<(Sequence, AppointmentId)>,
    kept: BTreeMap<PatientId, Vec<Past>>,
    /// Entered in a draw, and not moved since: a ledger has them in the first slot.
    entered: BTreeSet<AppointmentId>,
}

impl Histories {
    /// Notes when an appointment is made, and how one ends.
    pub(super) fn note(&mut self, sequence: Sequence, time: Timestamp, fact: &Fact) {
        let Some(id) = fact.appointment() else { return };
        match fact {
            Fact::Held(_)
            | Fact::Offered(_)
            | Fact::PlaceOffered(_)
            | Fact::PlaceAdded(_)
            | Fact::PatientNamed(_) => {
                self.made.insert(id, time);
            }
            Fact::Entered(_) => {
                self.made.insert(id, time);
                self.entered.insert(id);
            }
            Fact::Rescheduled(_) => {
                self.entered.remove(&id);
            }
            Fact::Booked(_) => self.booked = Some((sequence, id)),
            _ => {
                if let Some(ending) = ending_of(fact) {
                    self.ended = Some((sequence, id, ending));
                }
            }
        }
    }

    /// What ended last was a visit whose patient had come late, if it was a visit.
    pub(super) fn note_late(&mut self) {
        if let Some((.., ending @ Ending::Fulfilled)) = &mut self.ended {
            *ending = Ending::Late;
        }
    }

    /// When an appointment was made.
    pub(super) fn made_at(&self, appointment: AppointmentId) -> Timestamp {
        self.made.get(&appointment).copied().unwrap_or_default()
    }

    /// Whether an appointment ended in a record, in a way that is kept.
    pub(super) fn ends_in(&self, sequence: Sequence, appointment: AppointmentId) -> bool {
        self.ended.is_some_and(|(at, id, _)| (at, id) == (sequence, appointment))
    }

    /// Whether an appointment was booked in a record.
    pub(super) fn is_booked_in(&self, sequence: Sequence, appointment: AppointmentId) -> bool {
        self.booked == Some((sequence, appointment))
    }

    /// The line of a live appointment's claim in a ledger.
    pub(super) fn line(&self, appointment: AppointmentId, claim: &Claim) -> KeptLine {
        let made = self.made.get(&appointment).copied().unwrap_or_default();
        let since = Timestamp::from_millis(made.as_millis() / 1_000 * 1_000);
        let is_entry = self.entered.contains(&appointment);
        let slot = if is_entry { SlotIndex::default() } else { claim.slot };
        KeptLine { appointment, session: claim.session, slot, since }
    }

    /// What is kept of a patient, oldest first.
    pub(super) fn of(&self, patient: PatientId) -> Vec<Past> {
        self.kept.get(&patient).cloned().unwrap_or_default()
    }

    /// What was kept under one key is kept under another, as it ended.
    pub(super) fn hand_over(&mut self, from: PatientId, into: PatientId) {
        let Some(given) = self.kept.remove(&from) else { return };
        let kept = self.kept.entry(into).or_default();
        let mut appointments: Vec<Vec<Past>> = Vec::new();
        for all in [std::mem::take(kept), given] {
            for (index, past) in all.into_iter().enumerate() {
                match appointments.last_mut() {
                    Some(last) if past.is_joined && index != 0 => last.push(past),
                    Some(_) | None => appointments.push(vec![Past { is_joined: false, ..past }]),
                }
            }
        }
        appointments.sort_by_key(|visits| visits.first().map(|first| first.ended));
        kept.extend(appointments.into_iter().flatten());
        let today = kept.iter().map(|past| past.ended).max().unwrap_or_default();
        drop_old(kept, today);
    }

    /// Keeps that somebody probed.
    pub(super) fn keep_probed(&mut self, patient: PatientId, past: Past) {
        let kept = self.kept.entry(patient).or_default();
        kept.push(past);
        drop_old(kept, past.ended);
    }

    pub(super) fn close(&self, digest: &mut Digest) {
        for (patient, past) in &self.kept {
            for past in past {
                digest.past(*patient, past);
            }
        }
    }
}

/// What no rule may ask about any more, and the oldest of too many.
fn drop_old(kept: &mut Vec<Past>, today: Day) {
    let horizon = today.minus(HISTORY_DAYS);
    kept.retain(|past| horizon <= past.ended.max(past.visit.day));
    let probed = kept.iter().filter(|past| past.ending == Ending::Probed).count();
    let mut left = probed.saturating_sub(PROBED_MAX);
    kept.retain(|past| {
        let goes = past.ending == Ending::Probed && left != 0;
        left -= usize::from(goes);
        !goes
    });
    let surplus = kept.len().saturating_sub(HISTORY_MAX);
    kept.drain(..surplus);
}

fn ending_of(fact: &Fact) -> Option<Ending> {
    if let Fact::Settled(Settled { status, .. }) | Fact::Left(Left { status, .. }) = fact {
        let is_missed = *status == AppointmentStatus::NoShow;
        return Some(if is_missed { Ending::Missed } else { Ending::Fulfilled });
    }
    match fact.ended()?.cause {
        Cause::Released => Some(Ending::Released),
        Cause::Expired => Some(Ending::Expired),
        Cause::Cancelled => Some(Ending::Cancelled),
        Cause::None | Cause::Displaced | Cause::NotDrawn => None,
    }
}

impl Account {
    pub(super) fn record(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        time: Timestamp,
        fact: &Recorded,
    ) {
        let mut due = self.due_record(sequence, time, fact);
        if let Some(due) = &mut due {
            // Earlier versions did not always know when it was made, and nothing of lateness: where a
            // rule counts that, it is a later one.
            if fact.booked == Day(0) {
                due.booked = Day(0);
            }
            if fact.ending == Ending::Fulfilled
                && due.ending == Ending::Late
                && !self.counts_late(time)
            {
                due.ending = Ending::Fulfilled;
            }
        }
        if due.as_ref() != Some(fact) {
            report.fault(sequence, "by the rules: what is kept of an appointment is another");
        }
        let kept = self.histories.kept.entry(fact.patient).or_default();
        kept.extend(fact.past());
        let today = fact.past().map(|past| past.ended).max().unwrap_or_default();
        drop_old(kept, today);
    }

    fn counts_late(&self, time: Timestamp) -> bool {
        let rules = self.conduct.in_force(time);
        let layers = rules.into_iter().flat_map(|rules| &rules.layers);
        let mut all = layers.flat_map(|layer| &layer.violations);
        all.any(|rule| rule.counts.contains(Violation::Late))
    }

    /// What has to be kept with this record of the patient, or of the account or the telephone that a fact
    /// is about.
    fn due_record(&self, sequence: Sequence, time: Timestamp, fact: &Recorded) -> Option<Recorded> {
        let (_, id, ending) = if fact.ending == Ending::Booked {
            let (at, id) = self.histories.booked?;
            Some((at, id, Ending::Booked)).filter(|booked| booked.0 == sequence)?
        } else {
            self.histories.ended.filter(|ended| ended.0 == sequence)?
        };
        let appointment = self.appointments.get(&id)?;
        let utc = CivilTime::default();
        let civil = self.conduct.in_force(time).map_or(&utc, |rules| &rules.civil);
        let visits = appointment.claims.iter().filter_map(|claim| {
            Some(Stay::of(self.sessions.get(&claim.session)?).visit(civil, claim.slot))
        });
        let made = *self.histories.made.get(&id)?;
        let patient = self.person(appointment.patient);
        let is_behind = self.behind(appointment).contains(&fact.patient);
        let is_booked = ending == Ending::Booked;
        let patient = if is_behind { fact.patient } else { patient };
        // Of the patient a booking is known while it is live.
        (is_behind || !is_booked).then_some(())?;
        Some(Recorded {
            patient,
            ending,
            booked: civil.day_of(if is_booked { time } else { made }),
            ended: civil.day_of(time),
            visits: visits.collect(),
        })
    }

    /// The keys of the account and the telephone of an appointment.
    pub(super) fn behind(&self, appointment: &Appointment) -> Vec<PatientId> {
        let who = appointment.subjects(self.ties.phone_of(appointment.id));
        let keys = [who.account, who.phone].into_iter().flatten();
        keys.map(|key| self.person(key)).collect()
    }
}
