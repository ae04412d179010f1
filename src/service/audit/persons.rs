//! Recounts telephones, and who is bound to whom.

use std::collections::BTreeMap;

use super::{Account, AuditReport};
use crate::model::limits::CHANGES_MAX;
use crate::model::{
    AppointmentId, Bound, ClientKey, Day, Fact, PatientId, Phoned, RuleMode, Sequence, Tie,
    Timestamp,
};
use crate::service::digest::Digest;

/// Telephones by appointment, and who somebody has by the key of a ledger.
#[derive(Default)]
pub(super) struct Persons {
    phones: BTreeMap<AppointmentId, ClientKey>,
    bound: BTreeMap<PatientId, Vec<(Tie, u128, Timestamp)>>,
    changes: BTreeMap<PatientId, Vec<(Tie, Day)>>,
}

impl Persons {
    /// The telephone that an appointment was asked for with, if it is known.
    pub(super) fn phone_of(&self, id: AppointmentId) -> Option<ClientKey> {
        self.phones.get(&id).copied()
    }

    pub(super) fn forget(&mut self, id: AppointmentId) {
        self.phones.remove(&id);
    }

    /// A key that is merged has nobody any more; what it had comes with facts of its own.
    pub(super) fn merge(&mut self, from: PatientId) {
        self.bound.remove(&from);
        self.changes.remove(&from);
    }

    pub(super) fn close(&self, digest: &mut Digest) {
        self.phones.iter().for_each(|(id, phone)| digest.phone(*id, *phone));
        for (holder, bound) in &self.bound {
            for (tie, key, at) in bound {
                digest.binding(*holder, *tie, *key, *at);
            }
        }
        for (holder, changes) in &self.changes {
            for (tie, day) in changes {
                digest.changed(*holder, *tie, *day);
            }
        }
    }
}

impl Account {
    pub(super) fn add_persons(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        time: Timestamp,
        fact: &Fact,
    ) {
        match fact {
            Fact::Phoned(fact) => self.phone(report, sequence, fact),
            Fact::Bound(fact) => self.bind(report, sequence, time, fact),
            _ => {}
        }
    }

    fn phone(&mut self, report: &mut AuditReport, sequence: Sequence, fact: &Phoned) {
        if !self.appointments.contains_key(&fact.appointment) {
            return report.fault(sequence, "a telephone is of no appointment");
        }
        if self.ties.phones.insert(fact.appointment, fact.phone).is_some() {
            report.fault(sequence, "an appointment has two telephones");
        }
    }

    fn bind(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        time: Timestamp,
        fact: &Bound,
    ) {
        let all = self.ties.bound.entry(fact.ledger()).or_default();
        if all.iter().any(|(tie, key, _)| (*tie, *key) == (fact.tie, fact.other)) {
            report.fault(sequence, "somebody is bound twice");
        }
        if let Some(leaver) = fact.instead_of {
            let index = all.iter().position(|(tie, key, _)| (*tie, *key) == (fact.tie, leaver));
            match index {
                Some(index) => _ = all.remove(index),
                None => report.fault(sequence, "somebody gives way who was not bound"),
            }
        }
        all.push((fact.tie, fact.other, time));
        let changes = self.ties.changes.entry(fact.ledger()).or_default();
        changes.extend(fact.changed.iter().map(|day| (fact.tie, *day)));
        changes.sort_by_key(|(_, day)| *day);
        while usize::from(CHANGES_MAX) < changes.len() {
            changes.remove(0);
        }
        self.count_bound(report, sequence, fact);
    }

    /// By the rule that is named nobody has more than it says, unless one of them gave way.
    fn count_bound(&self, report: &mut AuditReport, sequence: Sequence, fact: &Bound) {
        let Some(rules) = self.conduct.version(fact.rule.version) else { return };
        let layer = rules.layers.get(usize::from(fact.rule.layer));
        let Some(rule) = layer.and_then(|layer| layer.persons.as_deref()) else { return };
        let all = self.ties.bound.get(&fact.ledger()).into_iter().flatten();
        let own = all.filter(|(tie, _, _)| *tie == fact.tie);
        let mut persons: Vec<u128> = own
            .map(
                |(tie, key, _)| {
                    if tie.is_of_patients() { self.person(PatientId(*key)).0 } else { *key }
                },
            )
            .collect();
        persons.sort_unstable();
        persons.dedup();
        let limit = rule.limit(fact.tie).map_or(usize::MAX, usize::from);
        let is_bad = rule.mode == RuleMode::Enforce
            && fact.instead_of.is_none()
            && !fact.is_beyond
            && limit < persons.len();
        if is_bad {
            report.fault(sequence, "by the rules: more are bound to somebody than a rule says");
        }
    }
}
