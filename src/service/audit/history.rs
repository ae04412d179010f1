//! The account of what is kept of appointments that are over.

use std::collections::BTreeMap;

use super::{Account, AuditReport};
use crate::model::limits::{HISTORY_DAYS, HISTORY_MAX};
use crate::model::{
    AppointmentId, AppointmentStatus, Cause, CivilTime, Day, Ending, Fact, Left, Past, PatientId,
    Recorded, Sequence, Settled, Stay, Timestamp,
};
use crate::service::digest::Digest;

/// When appointments were made, which ended last, and what is kept of each patient's.
#[derive(Debug, Default)]
pub(super) struct Histories {
    made: BTreeMap<AppointmentId, Timestamp>,
    ended: Option<(Sequence, AppointmentId, Ending)>,
    kept: BTreeMap<PatientId, Vec<Past>>,
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
            | Fact::Entered(_) => {
                self.made.insert(id, time);
            }
            _ => {
                if let Some(ending) = ending_of(fact) {
                    self.ended = Some((sequence, id, ending));
                }
            }
        }
    }

    pub(super) fn close(&self, digest: &mut Digest) {
        for (patient, past) in &self.kept {
            for past in past {
                digest.past(*patient, past);
            }
        }
    }
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
        let due = self.due_record(sequence, time);
        let untold = due.clone().map(|due| Recorded { booked: Day(0), ..due });
        if due.as_ref() != Some(fact) && untold.as_ref() != Some(fact) {
            report.fault(sequence, "by the rules: what is kept of an appointment is another");
        }
        let kept = self.histories.kept.entry(fact.patient).or_default();
        kept.extend(fact.past());
        let today = fact.past().map(|past| past.ended).max().unwrap_or_default();
        let horizon = today.minus(HISTORY_DAYS);
        kept.retain(|past| horizon <= past.ended.max(past.visit.day));
        let surplus = kept.len().saturating_sub(HISTORY_MAX);
        kept.drain(..surplus);
    }

    /// What has to be kept of the appointment that ended in this record.
    fn due_record(&self, sequence: Sequence, time: Timestamp) -> Option<Recorded> {
        let (_, id, ending) = self.histories.ended.filter(|ended| ended.0 == sequence)?;
        let appointment = self.appointments.get(&id)?;
        let utc = CivilTime::default();
        let civil = self.conduct.in_force(time).map_or(&utc, |rules| &rules.civil);
        let visits = appointment.claims.iter().filter_map(|claim| {
            Some(Stay::of(self.sessions.get(&claim.session)?).visit(civil, claim.slot))
        });
        Some(Recorded {
            patient: appointment.patient,
            ending,
            booked: civil.day_of(*self.histories.made.get(&id)?),
            ended: civil.day_of(time),
            visits: visits.collect(),
        })
    }
}
