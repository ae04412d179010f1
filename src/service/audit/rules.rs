//! The account of rules: which were in force, who missed what, and what had to follow.
//!
//! **Architecture invariant:** strikes are counted here from the appointments, not from what the engine
//! kept. What is at fault "by the rules" stops no recovery: what came of rules is in the facts, and is
//! not worked out again.

use super::cooldown::Cooling;
use super::restrictions::{is_in_effect, is_lifted};
use super::{Account, AuditReport};
use crate::engine::KeptStrike;
use crate::model::limits::{RULES_KEPT_MAX, RULES_LEAD_MILLIS};
use crate::model::{
    Appointment, AppointmentId, AppointmentStatus, Begins, BookingChannel, Claim, Consequence, Day,
    Fact, KeptRestriction, NoShowRule, PatientClass, PatientId, Place, Probed, Rescheduled,
    Restriction, RestrictionId, RuleMode, RuleScope, Rules, RulesApplied, RulesVersion, Sequence,
    Strike, Struck, Term, Timestamp, Window,
};
use crate::service::digest::Digest;
use std::collections::{BTreeMap, BTreeSet};

/// Rules, strikes and restrictions of an account.
#[derive(Debug, Default)]
pub(super) struct Conduct {
    versions: Vec<Rules>,
    newest: RulesVersion,
    strikes: BTreeMap<PatientId, Vec<KeptStrike>>,
    /// What was made, and what was done about it.
    pub(super) restrictions: BTreeMap<PatientId, Vec<KeptRestriction>>,
    struck: BTreeSet<AppointmentId>,
    /// Who waits after giving a place up.
    pub(super) cooling: Cooling,
    /// Who probed last, in which record.
    pub(super) probed: Option<(Sequence, Probed)>,
}

impl Conduct {
    pub(super) fn in_force(&self, now: Timestamp) -> Option<&Rules> {
        self.versions.iter().filter(|rules| rules.from <= now).max_by_key(|rules| rules.from)
    }

    /// Rules by their version, where they are still known.
    pub(super) fn version(&self, version: RulesVersion) -> Option<&Rules> {
        self.versions.iter().find(|rules| rules.version == version)
    }

    /// A visit took place.
    pub(super) fn visited(&mut self, patient: PatientId) {
        let strikes = self.strikes.get_mut(&patient).into_iter().flatten();
        strikes.for_each(|kept| kept.is_over = true);
    }

    /// What is kept of a patient.
    pub(super) fn kept(
        &self,
        patient: PatientId,
    ) -> (Vec<(Strike, bool, bool)>, Vec<KeptRestriction>) {
        let strikes = self.strikes.get(&patient).into_iter().flatten();
        let restrictions = self.restrictions.get(&patient).cloned().unwrap_or_default();
        let strikes = strikes.map(|kept| (kept.strike, kept.is_used, kept.is_over));
        let mut strikes: Vec<_> = strikes.collect();
        strikes
            .sort_unstable_by_key(|(it, is_used, is_over)| (it.day, it.place, *is_used, *is_over));
        (strikes, restrictions)
    }

    /// What one key had belongs to another.
    pub(super) fn hand_over(&mut self, from: PatientId, into: PatientId) {
        if let Some(strikes) = self.strikes.remove(&from) {
            self.strikes.entry(into).or_default().extend(strikes);
        }
        if let Some(restrictions) = self.restrictions.remove(&from) {
            self.restrictions.entry(into).or_default().extend(restrictions);
        }
    }

    pub(super) fn close(&self, digest: &mut Digest) {
        self.versions.iter().for_each(|rules| digest.rules(rules));
        self.cooling.close(digest);
        for (patient, strikes) in &self.strikes {
            for kept in strikes {
                digest.strike(*patient, kept);
            }
        }
        for (patient, made) in &self.restrictions {
            for kept in made {
                digest.restriction(*patient, kept);
            }
        }
    }
}

impl Account {
    pub(super) fn apply_rules(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        time: Timestamp,
        fact: &RulesApplied,
    ) {
        let (conduct, rules) = (&mut self.conduct, &fact.rules);
        if rules.version <= conduct.newest {
            report.fault(sequence, "a version of the rules comes twice");
        } else if rules.version.0 != conduct.newest.0.saturating_add(1) {
            report.fault(sequence, "by the rules: a version of them is missing");
        }
        if rules.check().is_err() || rules.from < time.plus_millis(RULES_LEAD_MILLIS) {
            report.fault(sequence, "by the rules: they are malformed, or come into force too soon");
        }
        conduct.newest = rules.version;
        conduct.versions.retain(|other| other.from < rules.from);
        conduct.versions.push(rules.clone());
        // The rulebook keeps one that says nothing besides.
        if RULES_KEPT_MAX <= conduct.versions.len() {
            conduct.versions.remove(0);
        }
    }

    /// A record names no other rules than those that are in force.
    pub(super) fn look_under(
        &self,
        report: &mut AuditReport,
        sequence: Sequence,
        time: Timestamp,
        facts: &[Fact],
    ) {
        let in_force = self.conduct.in_force(time).map_or(RulesVersion(0), |rules| rules.version);
        if facts.iter().filter_map(Fact::under).any(|under| under != in_force) {
            report.fault(sequence, "by the rules: it names others than those in force");
        }
    }

    pub(super) fn strike(
        &mut self,
        report: &mut AuditReport,
        sequence: Sequence,
        time: Timestamp,
        fact: &Struck,
    ) {
        let missed = self.appointments.get(&fact.appointment);
        let is_missed = missed.is_some_and(|appointment| {
            appointment.status == AppointmentStatus::NoShow
                && self.person(appointment.patient) == fact.patient
        });
        let said = (fact.strike, fact.restriction, fact.is_used_up);
        if !is_missed || !self.conduct.struck.insert(fact.appointment) {
            report.fault(sequence, "by the rules: a strike is of no missed visit, or its second");
        } else if self.due_strike(time, fact.appointment) != Some(said) {
            report.fault(sequence, "by the rules: a strike is another, or led to something else");
        }
        self.keep(fact);
    }

    /// Takes over what a fact says.
    fn keep(&mut self, fact: &Struck) {
        let strikes = self.conduct.strikes.entry(fact.patient).or_default();
        strikes.push(KeptStrike { strike: fact.strike.kept(), is_used: false, is_over: false });
        let Some(restriction) = fact.restriction else { return };
        for kept in strikes.iter_mut().filter(|_| fact.is_used_up) {
            let Strike { day, place } = kept.strike;
            kept.is_used |= restriction.since <= day
                && day <= fact.strike.kept().day
                && restriction.within.contains(&place);
        }
        self.conduct.restrictions.entry(fact.patient).or_default().push(KeptRestriction {
            id: RestrictionId(fact.appointment.0),
            restriction,
            ground: None,
            steps: Vec::new(),
        });
    }

    /// The strike of an appointment that was missed, by the rules in force.
    fn due_strike(
        &self,
        time: Timestamp,
        id: AppointmentId,
    ) -> Option<(Strike, Option<Restriction>, bool)> {
        let appointment = self.appointments.get(&id)?;
        let claim = appointment.claims.first()?;
        let session = self.sessions.get(&claim.session)?;
        let place = Place::of(session);
        let rules = self.conduct.in_force(time)?;
        let attributes = crate::model::Attributes::default();
        let mut said: Option<(usize, &NoShowRule)> = None;
        for (index, layer) in rules.layers.iter().enumerate() {
            let holds =
                layer.scope.contains(&place) && layer.when.holds(appointment.class, attributes);
            let Some(rule) = layer.no_show.as_ref().filter(|_| holds) else { continue };
            let is_nearer = said
                .is_none_or(|(known, _)| rules.layers[known].scope.kind() <= layer.scope.kind());
            if is_nearer {
                said = Some((index, rule));
            }
        }
        let (layer, rule) = said?;
        let day = rules.civil.day_of(session.slot_start(claim.slot));
        let strike = Strike { day, place };
        let patient = self.person(appointment.patient);
        let counted = self.counted(patient, rule, strike);
        let made = restriction(rules, (layer, rule), strike, &counted, time);
        let is_barred = |made: &Restriction| self.is_barred(patient, made, time);
        let restriction = made.filter(|made| !is_barred(made));
        Some((strike, restriction, rule.is_used_up))
    }

    fn counted(&self, patient: PatientId, rule: &NoShowRule, strike: Strike) -> Vec<Day> {
        let first = rule.window.first_day(strike.day);
        let scope = RuleScope::around(rule.within, &strike.place);
        let mut counted = vec![strike.day];
        for kept in self.conduct.strikes.get(&patient).into_iter().flatten() {
            let Strike { day, place } = kept.strike;
            let is_out = day < first || strike.day < day || !scope.contains(&place);
            let is_void =
                rule.is_used_up && kept.is_used || rule.window == Window::InARow && kept.is_over;
            if !is_out && !is_void {
                counted.push(day);
            }
        }
        counted
    }

    /// Whether a patient is under such a restriction already when another one would begin.
    pub(super) fn is_barred(
        &self,
        patient: PatientId,
        made: &Restriction,
        time: Timestamp,
    ) -> bool {
        let refuses = |one: &Restriction| one.consequence.refuses();
        let known = self.conduct.restrictions.get(&patient).into_iter().flatten();
        let known = known.filter(|kept| !is_lifted(kept, time)).map(|kept| &kept.restriction);
        known.filter(|other| other.from <= made.from && made.from < other.until).any(|other| {
            (other.within, other.mode, refuses(other)) == (made.within, made.mode, refuses(made))
                && (refuses(made) || other.consequence == made.consequence)
        })
    }

    /// Nobody is given a place who is kept from booking it.
    pub(super) fn look_for_restriction(
        &self,
        report: &mut AuditReport,
        sequence: Sequence,
        time: Timestamp,
        (patient, id, (channel, class)): Booker,
        claims: &[Claim],
    ) {
        let Some(known) = self.conduct.restrictions.get(&patient) else { return };
        for claim in claims {
            let Some(session) = self.sessions.get(&claim.session) else { continue };
            let place = Place::of(session);
            let bars = |kept: &KeptRestriction| {
                let made = &kept.restriction;
                (made.consequence.bars(channel, class) || self.is_full(patient, id, made))
                    && is_in_effect(kept, time)
                    && made.mode == RuleMode::Enforce
                    && made.within.contains(&place)
            };
            if known.iter().any(bars) {
                report.fault(sequence, "by the rules: a restricted patient was given a place");
            }
        }
    }

    /// Nobody moves to more places than a restriction leaves; within it a move adds none. What was displaced
    /// may always move.
    pub(super) fn look_for_more(
        &self,
        report: &mut AuditReport,
        sequence: Sequence,
        time: Timestamp,
        fact: &Rescheduled,
    ) {
        let moved = self.appointments.get(&fact.appointment);
        let Some(known) = self.conduct.restrictions.get(&fact.patient) else { return };
        if moved.is_none_or(Appointment::is_displaced) {
            return;
        }
        let has_more = |kept: &KeptRestriction| {
            let made = &kept.restriction;
            made.mode == RuleMode::Enforce
                && is_in_effect(kept, time)
                && self.is_within(&fact.to, made.within)
                && !self.is_within(&fact.from, made.within)
                && self.is_full(fact.patient, fact.appointment, made)
        };
        if known.iter().any(has_more) {
            report.fault(sequence, "by the rules: a move came to more than a restriction leaves");
        }
    }

    /// Whether a patient has as many appointments as a restriction leaves, but one.
    fn is_full(&self, patient: PatientId, but: AppointmentId, made: &Restriction) -> bool {
        let Consequence::Fewer(most) = made.consequence else { return false };
        let live = self
            .appointments
            .values()
            .filter(|it| it.status.is_live() && it.id != but && self.person(it.patient) == patient);
        let there = live.filter(|it| self.is_within(&it.claims, made.within));
        usize::from(most) <= there.count()
    }

    fn is_within(&self, claims: &[Claim], within: RuleScope) -> bool {
        let sessions = claims.iter().filter_map(|claim| self.sessions.get(&claim.session));
        sessions.map(Place::of).any(|place| within.contains(&place))
    }
}

/// Whose a place is now, by which appointment, and as whom they have it.
pub(super) type Booker = (PatientId, AppointmentId, (BookingChannel, PatientClass));

/// What follows from strikes, if anything.
pub(super) fn restriction(
    rules: &Rules,
    (layer, rule): (usize, &NoShowRule),
    strike: Strike,
    counted: &[Day],
    time: Timestamp,
) -> Option<Restriction> {
    let count = u16::try_from(counted.len()).unwrap_or(u16::MAX);
    let tier = rule.tiers.iter().rposition(|tier| tier.count <= count)?;
    if rule.is_once && rule.tiers[tier].count < count {
        return None;
    }
    let since = counted.iter().min().copied()?;
    let civil = &rules.civil;
    let from = match rule.begins {
        Begins::NextDay => civil.start_of(Day(strike.day.0 + 1)),
        Begins::AtOnce => time,
        Begins::FirstStrike => civil.start_of(since),
    };
    let until = match rule.tiers[tier].term {
        Term::Days(days) => civil.plus_days(from, days.into()),
        Term::Months(months) => civil.plus_months(from, months.into()),
        Term::DayEnd => civil.start_of(Day(strike.day.0 + 1)),
        Term::MonthEnd => civil.start_of(strike.day.month_start().plus_months(1)),
        Term::QuarterEnd => civil.start_of(strike.day.quarter_start().plus_months(3)),
        Term::YearEnd => civil.start_of(strike.day.year_start().plus_months(12)),
    };
    let rule_ref = crate::model::RuleRef {
        version: rules.version,
        layer: u8::try_from(layer).ok()?,
        tier: u8::try_from(tier).ok()?,
    };
    (from < until).then_some(Restriction {
        within: RuleScope::around(rule.within, &strike.place),
        cause: crate::model::RestrictionCause::NoShow,
        consequence: rule.tiers[tier].consequence,
        mode: rule.mode,
        from,
        until,
        rule: rule_ref,
        count,
        since,
    })
}
