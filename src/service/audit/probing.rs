//! The account of who asked again and again for what was not to be had: that a rule says so, of them,
//! there and then.
//!
//! **Architecture invariant:** refusals leave no facts. How many there were, the fact says; here it is
//! compared with what the rule asks for.

use super::{Account, AuditReport};
use crate::model::{Attributes, Place, Probed, RuleLayer, RuleRef, Sequence, Timestamp, Visit};

impl Account {
    pub(super) fn probe(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        time: Timestamp,
        fact: &Probed,
    ) {
        if self.is_probing(time, fact) != Some(true) {
            report.fault(sequence, "by the rules: nobody probes who asked so often");
        }
        if let Some(past) = fact.past() {
            self.histories.keep_probed(fact.patient, past);
        }
        self.conduct.probed = Some((sequence, fact.clone()));
    }

    /// Whether the nearest rule in force says what the fact says.
    fn is_probing(&self, time: Timestamp, fact: &Probed) -> Option<bool> {
        let rules = self.conduct.in_force(time)?;
        let session = self.sessions.get(&fact.session)?;
        let place = Place::of(session);
        let is_about = |layer: &RuleLayer| {
            let holds = layer.when.holds(fact.class, Attributes::default());
            holds && layer.scope.contains(&place) && layer.probing.is_some()
        };
        let said = (0_u8..).zip(&rules.layers).filter(|(_, layer)| is_about(layer));
        let (number, layer) = said.max_by_key(|(index, layer)| (layer.scope.kind(), *index))?;
        let rule = layer.probing?;
        let by = RuleRef { version: rules.version, layer: number, tier: 0 };
        let (day, half) = rules.civil.half_of(time);
        let visit = Visit { place, appointment_type: session.appointment_type, day, half };
        let lasted = time.as_millis().checked_sub(fact.since.as_millis())?;
        Some(
            (fact.rule, fact.of, fact.mode) == (by, rule.of, rule.mode)
                && fact.visit == visit
                && rule.refusals <= fact.count
                && lasted < u64::from(rule.minutes) * 60_000
                && self.person(fact.patient) == fact.patient,
        )
    }
}
