//! The account of what else counts against somebody: what had to follow from ends, bookings and probing.
//!
//! **Architecture invariant:** what is counted is what this account kept of appointments, whole ones, in
//! the order in which they ended.

use super::rules::restriction;
use super::{Account, AuditReport};
use crate::model::{
    Appointment, AppointmentId, AppointmentStatus, Attributes, Barred, CountedOf, Day,
    KeptRestriction, Past, PatientClass, PatientId, Place, Probed, Restriction, RuleLayer,
    RuleMode, RuleScope, Rules, Sequence, Strike, Timestamp, Violation, ViolationRule,
    ViolationSet,
};

impl Account {
    pub(super) fn bar(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        time: Timestamp,
        fact: &Barred,
    ) {
        if self.due_bar(sequence, time, fact) != Some(fact.restriction)
            || fact.id != Barred::id_of(fact.appointment, &fact.restriction)
        {
            let what = "by the rules: nobody had to be restricted so";
            report.fault(sequence, what);
        }
        self.conduct.restrictions.entry(fact.patient).or_default().push(KeptRestriction {
            id: fact.id,
            restriction: fact.restriction,
            ground: None,
            steps: Vec::new(),
        });
    }

    /// What had to follow by the rule that a fact names.
    fn due_bar(&self, sequence: Sequence, time: Timestamp, fact: &Barred) -> Option<Restriction> {
        let rules = self.conduct.in_force(time)?;
        let probed = self.probed_in(sequence, fact);
        let appointment = self.appointments.get(&fact.appointment).filter(|_| probed.is_none());
        let (place, class) = match (probed, appointment) {
            (Some(probed), _) => (probed.visit.place, probed.class),
            (None, appointment) => (self.place_of(appointment?)?, appointment?.class),
        };
        let (layer, said) = says(rules, class, &place)?;
        let (rule, number) = rule_of(said, fact.restriction.rule.tier)?;
        let subject = match (probed, appointment) {
            (Some(probed), _) => Some(probed.patient).filter(|_| probed.of == rule.of),
            (None, appointment) => self.subject(appointment?, rule.of),
        };
        if subject != Some(fact.patient) {
            return None;
        }
        let scope = RuleScope::around(rule.rule.within, &place);
        let own = self.histories.of(fact.patient);
        let own = appointments_of(&own);
        let is_end = probed.is_some() || self.histories.ends_in(sequence, fact.appointment);
        let kinds = if is_end {
            here(own.last()?, scope).fold(0, |all, past| all | past.violations().0)
        } else if self.histories.is_booked_in(sequence, fact.appointment) {
            ViolationSet::only(Violation::Booking).0
        } else {
            0
        };
        let what = ViolationSet(kinds & rule.counts.0).last()?;
        let day = rules.civil.day_of(time);
        let first = self.counts_since(rules, fact.patient, (rule, scope));
        let first = first.max(rule.rule.window.first_day(day));
        let mut counted = self.live(rules, fact.patient, fact.appointment, (rule, scope));
        for (index, visits) in own.iter().enumerate() {
            let is_it = is_end && index + 1 == own.len();
            let is_known = !is_end && index + 1 == own.len() && rule.of != CountedOf::Patient;
            counted.extend(ends(visits, rule, scope).filter(|_| !is_it));
            counted.extend(bookings(visits, rule, scope).filter(|_| !is_known));
        }
        counted.retain(|counted| first <= *counted && *counted <= day);
        counted.push(day);
        let strike = Strike { day, place };
        let made = restriction(rules, (layer, &rule.rule), strike, &counted, time)?;
        let mut made = Restriction { cause: what.cause(), ..made };
        made.rule.tier += number;
        let known = self.conduct.restrictions.get(&fact.patient).into_iter().flatten();
        let is_known = known.into_iter().any(|kept| kept.id == fact.id);
        (!is_known && !self.is_barred(fact.patient, &made, time)).then_some(made)
    }

    /// What of probing, kept with a record, a restriction in it is about.
    fn probed_in(&self, sequence: Sequence, fact: &Barred) -> Option<&Probed> {
        let (at, probed) = self.conduct.probed.as_ref()?;
        let is_it = (*at, probed.appointment) == (sequence, fact.appointment);
        (is_it && probed.mode == RuleMode::Enforce).then_some(probed)
    }

    /// Who stands behind an appointment as a rule asks.
    fn subject(&self, appointment: &Appointment, of: CountedOf) -> Option<PatientId> {
        let who = appointment.subjects(self.ties.phone_of(appointment.id));
        let key = match of {
            CountedOf::Patient => Some(who.patient).filter(|_| !appointment.is_unnamed()),
            CountedOf::Account => who.account,
            CountedOf::Phone => who.phone,
        };
        key.map(|key| self.person(key))
    }

    fn place_of(&self, appointment: &Appointment) -> Option<Place> {
        let session = self.sessions.get(&appointment.claims.first()?.session)?;
        Some(Place::of(session))
    }

    /// The days on which a patient's other live appointments were made, where bookings count.
    fn live(
        &self,
        rules: &Rules,
        patient: PatientId,
        but: AppointmentId,
        (rule, scope): (&ViolationRule, RuleScope),
    ) -> Vec<Day> {
        if !rule.counts.contains(Violation::Booking) || rule.of != CountedOf::Patient {
            return Vec::new();
        }
        let is_live = |it: &&Appointment| {
            let over = [
                AppointmentStatus::Cancelled,
                AppointmentStatus::Fulfilled,
                AppointmentStatus::NoShow,
            ];
            !over.contains(&it.status) && it.id != but && self.person(it.patient) == patient
        };
        let is_here = |it: &&Appointment| {
            let mut sessions = it.claims.iter().map(|claim| self.sessions.get(&claim.session));
            sessions.any(|known| known.is_some_and(|it| scope.contains(&Place::of(it))))
        };
        let live = self.appointments.values().filter(is_live).filter(is_here);
        live.map(|it| rules.civil.day_of(self.histories.made_at(it.id))).collect()
    }

    fn counts_since(
        &self,
        rules: &Rules,
        patient: PatientId,
        (rule, scope): (&ViolationRule, RuleScope),
    ) -> Day {
        let mut since = Day(0);
        for kept in self.conduct.restrictions.get(&patient).into_iter().flatten() {
            let made = &kept.restriction;
            let is_ours = made.cause.violation().is_some_and(|it| rule.counts.contains(it));
            if rule.rule.is_used_up
                && is_ours
                && made.within == scope
                && made.mode == rule.rule.mode
            {
                since = since.max(made.counts_again(&rules.civil));
            }
        }
        since
    }
}

/// The nearest layer that says something about violations, the last of those of one scope.
fn says<'a>(
    rules: &'a Rules,
    class: PatientClass,
    place: &Place,
) -> Option<(usize, &'a RuleLayer)> {
    let is_about = |layer: &RuleLayer| {
        layer.scope.contains(place)
            && layer.when.holds(class, Attributes::default())
            && !layer.violations.is_empty()
    };
    let said = rules.layers.iter().enumerate().filter(|(_, layer)| is_about(layer));
    said.max_by_key(|(index, layer)| (layer.scope.kind(), *index))
}

/// The rule with a tier of that number, and the number of its first.
fn rule_of(layer: &RuleLayer, tier: u8) -> Option<(&ViolationRule, u8)> {
    let mut first = 0;
    for rule in &layer.violations {
        let next = first + u8::try_from(rule.rule.tiers.len()).ok()?;
        if tier < next {
            return Some((rule, first));
        }
        first = next;
    }
    None
}

/// Visits, appointment by appointment.
fn appointments_of(kept: &[Past]) -> Vec<&[Past]> {
    kept.chunk_by(|_, next| next.is_joined).collect()
}

fn here(visits: &[Past], scope: RuleScope) -> impl Iterator<Item = &Past> {
    visits.iter().filter(move |past| scope.contains(&past.visit.place))
}

fn ends(visits: &[Past], rule: &ViolationRule, scope: RuleScope) -> impl Iterator<Item = Day> {
    let counts = |past: &&Past| past.violations().0 & rule.counts.0 != 0;
    here(visits, scope).filter(counts).map(|past| past.ended).min().into_iter()
}

fn bookings(visits: &[Past], rule: &ViolationRule, scope: RuleScope) -> impl Iterator<Item = Day> {
    let counts = rule.counts.contains(Violation::Booking);
    let booked = here(visits, scope).filter(|past| counts && rule.was_booked(past));
    booked.map(|past| past.booked).min().into_iter()
}
