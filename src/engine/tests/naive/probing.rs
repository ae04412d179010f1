//! Who is refused so often that it counts against them. How often that was, the naive model is told.

use super::Naive;
use super::history::NaiveEnded;
use super::rules::place_of;
use crate::model::limits::PROBED_MAX;
use crate::model::{
    AccountId, Attributes, ClientKey, CountedOf, Ending, HalfDay, Hold, PatientId, ProbingRule,
    RuleMode, RuleRef, Visit,
};

impl Naive {
    /// What comes of so many refusals, a hold's being the last: who probed, by which rule, and whether it
    /// counts.
    pub(in super::super) fn probe(
        &mut self,
        hold: &Hold,
    ) -> Option<(PatientId, RuleRef, RuleMode)> {
        let hold = self.hold_of_person(hold);
        let (version, rules) = self.rules();
        let session = self.session(hold.claims[0].session)?;
        let (place, appointment_type) = (place_of(session), session.appointment_type);
        let mut nearest: Option<(u8, usize, ProbingRule)> = None;
        for (index, layer) in rules?.layers.iter().enumerate() {
            let is_about = layer.when.holds(hold.class, Attributes::default());
            let kind = layer.scope.kind() as u8;
            let is_nearer = nearest.is_none_or(|it| it.0 <= kind);
            if let Some(rule) = layer.probing
                && is_about
                && layer.scope.contains(&place)
                && is_nearer
            {
                nearest = Some((kind, index, rule));
            }
        }
        let (_, layer, rule) = nearest?;
        let key = match rule.of {
            CountedOf::Patient => hold.patient?,
            CountedOf::Account => hold.keys.account.map(AccountId::holder)?,
            CountedOf::Phone => hold.keys.phone.map(ClientKey::phone_holder)?,
        };
        let by = RuleRef { version, layer: u8::try_from(layer).unwrap(), tier: 0 };
        if rule.mode == RuleMode::Shadow {
            return Some((key, by, rule.mode));
        }
        let civil = self.civil();
        let today = civil.day_of(self.now);
        let noon = civil.start_of(today).plus_millis(12 * 60 * 60 * 1_000);
        let half = if self.now < noon { HalfDay::Morning } else { HalfDay::Afternoon };
        let visit = Visit { place, appointment_type, day: today, half };
        let is_probed = |it: &NaiveEnded| it.patient == key && it.ending == Ending::Probed;
        if self.history.ended.iter().filter(|it| is_probed(it)).count() == PROBED_MAX {
            let oldest = self.history.ended.iter().position(is_probed)?;
            self.history.ended.remove(oldest);
        }
        self.history.ended.push(NaiveEnded {
            patient: key,
            ending: Ending::Probed,
            booked: today,
            ended: today,
            visits: vec![visit],
        });
        self.count_probed(&hold, place, (rule.of, key));
        Some((key, by, rule.mode))
    }
}
