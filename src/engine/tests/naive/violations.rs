//! What else counts against patients: everything that ever ended or was booked is looked at again.

use super::Naive;
use super::history::NaiveEnded;
use super::restrictions::NaiveRestriction;
use super::rules::{in_window, place_of};
use super::words::is_live;
use crate::model::{
    Appointment, AppointmentId, AppointmentStatus, Attributes, Barred, Begins, ClientKey,
    ClientKeys, CountedOf, Day, Ending, Hold, PatientClass, PatientId, Place, Restriction,
    RestrictionCause, RuleRef, RuleScope, Term, Violation, ViolationRule, Visit,
};

/// What has just happened.
struct Happened {
    id: AppointmentId,
    class: PatientClass,
    place: Place,
    /// Of whom, and where it is kept of them.
    all: Vec<(CountedOf, PatientId, Option<usize>)>,
}

impl Naive {
    /// Counts the end of an appointment, which was kept last.
    pub(super) fn count_end(&mut self, appointment: &Appointment) {
        let Some(last) = self.history.ended.len().checked_sub(1) else { return };
        let is_over = appointment.status == AppointmentStatus::Cancelled
            || appointment.status == AppointmentStatus::NoShow
            || appointment.status == AppointmentStatus::Fulfilled && self.came_late(appointment.id);
        if !is_over {
            return;
        }
        let over = self.history.ended[last].clone();
        let place = over.visits[0].place;
        let Appointment { id, class, .. } = *appointment;
        let mut all = Vec::new();
        if !appointment.is_unnamed() {
            all.push((CountedOf::Patient, appointment.patient, Some(last)));
        }
        for (of, key) in self.asked_behind(appointment) {
            let mut at = last;
            if key != appointment.patient {
                self.history.ended.push(NaiveEnded { patient: key, ..over.clone() });
                at = self.history.ended.len() - 1;
            }
            all.push((of, key, Some(at)));
        }
        self.count(&Happened { id, class, place, all });
    }

    /// Counts that somebody probed, which was kept last.
    pub(super) fn count_probed(
        &mut self,
        hold: &Hold,
        place: Place,
        (of, key): (CountedOf, PatientId),
    ) {
        let all = vec![(of, key, self.history.ended.len().checked_sub(1))];
        self.count(&Happened { id: hold.appointment, class: hold.class, place, all });
    }

    /// Counts a booking.
    pub(super) fn count_booking(&mut self, index: usize) {
        let appointment = self.appointments[index].clone();
        let Appointment { id, patient, class, ref claims, .. } = appointment;
        let place = place_of(self.session(claims[0].session).unwrap());
        let visits: Vec<Visit> = claims.iter().map(|it| self.visit(it, it.slot)).collect();
        let today = self.civil().day_of(self.now);
        let mut all = vec![(CountedOf::Patient, patient, None)];
        for (of, key) in self.asked_behind(&appointment) {
            let (ending, visits) = (Ending::Booked, visits.clone());
            let line = NaiveEnded { patient: key, ending, booked: today, ended: today, visits };
            self.history.ended.push(line);
            all.push((of, key, Some(self.history.ended.len() - 1)));
        }
        self.count(&Happened { id, class, place, all });
    }

    /// The account and the telephone behind an appointment, as far as rules about violations ask.
    fn asked_behind(&self, appointment: &Appointment) -> Vec<(CountedOf, PatientId)> {
        let asks = |of: CountedOf| {
            let layers = self.rules().1.into_iter().flat_map(|rules| &rules.layers);
            layers.flat_map(|layer| &layer.violations).any(|rule| rule.of == of)
        };
        let account = appointment.account.filter(|_| asks(CountedOf::Account));
        let phone = self.known_phone(appointment.id).filter(|_| asks(CountedOf::Phone));
        let account = account.map(|it| (CountedOf::Account, it.holder()));
        let phone = phone.map(|it| (CountedOf::Phone, it.phone_holder()));
        account.into_iter().chain(phone).collect()
    }

    /// Whether rules count of accounts, and of telephones, or did before: those that were not overtaken.
    pub(super) fn asked(&self) -> (bool, bool) {
        let newest = self.rules().0.0 as usize;
        let mut asked = (false, false);
        for (index, apply) in self.conduct.applied[..newest].iter().enumerate() {
            let later = &self.conduct.applied[index + 1..newest];
            if later.iter().any(|other| other.rules.from <= apply.rules.from) {
                continue;
            }
            for layer in &apply.rules.layers {
                for rule in &layer.violations {
                    asked.0 |= rule.of == CountedOf::Account;
                    asked.1 |= rule.of == CountedOf::Phone;
                }
                for rule in &layer.cooldown {
                    asked.0 |= rule.of == CountedOf::Account;
                    asked.1 |= rule.of == CountedOf::Phone;
                }
                asked.1 |= layer.persons.as_deref().is_some_and(|it| it.phone.is_some());
                let tie = crate::model::Tie::AccountPatient;
                asked.0 |= layer.persons.as_deref().is_some_and(|it| it.limit(tie).is_some());
            }
        }
        asked
    }

    /// Of whom restrictions refuse.
    pub(super) fn refused_as(&self, patient: PatientId, keys: &ClientKeys) -> Vec<PatientId> {
        let (of_account, of_phone) = self.asked();
        let account = keys.account.filter(|_| of_account).map(crate::model::AccountId::holder);
        let phone = keys.phone.filter(|_| of_phone).map(ClientKey::phone_holder);
        [Some(patient), account, phone].into_iter().flatten().collect()
    }

    /// The telephone of an appointment, if it is known.
    pub(super) fn known_phone(&self, id: AppointmentId) -> Option<ClientKey> {
        self.ties.phones.iter().find(|known| known.0 == id).map(|known| known.1)
    }

    fn count(&mut self, happened: &Happened) {
        let (version, Some(rules)) = self.rules() else { return };
        let rules = rules.clone();
        let mut nearest = None;
        for (index, layer) in rules.layers.iter().enumerate() {
            let is_about = layer.when.holds(happened.class, Attributes::default());
            let kind = layer.scope.kind() as u8;
            let is_nearer = nearest.is_none_or(|(known, _)| known <= kind);
            let is_here = layer.scope.contains(&happened.place);
            if is_about && is_here && !layer.violations.is_empty() && is_nearer {
                nearest = Some((kind, index));
            }
        }
        let Some((_, layer)) = nearest else { return };
        let mut number = 0;
        for rule in &rules.layers[layer].violations {
            let layer = u8::try_from(layer).unwrap();
            let rule_ref = RuleRef { version, layer, tier: number };
            let whom = happened.all.iter().find(|(of, ..)| *of == rule.of);
            if let Some((_, key, over)) = whom
                && let Some(made) = self.made((happened, *key, *over), rule, rule_ref)
                && !self.has_like(*key, &made)
            {
                let id = Barred::id_of(happened.id, &made);
                let mut known = self.conduct.restrictions.iter();
                if !known.any(|known| known.patient == *key && known.kept.id == id) {
                    let new = NaiveRestriction::new(*key, id, made, None);
                    self.conduct.restrictions.push(new);
                }
            }
            number += u8::try_from(rule.rule.tiers.len()).unwrap();
        }
    }

    /// What a rule makes of it.
    #[expect(clippy::unwrap_in_result, reason = "small numbers")]
    fn made(
        &self,
        (happened, key, over): (&Happened, PatientId, Option<usize>),
        rule: &ViolationRule,
        first_tier: RuleRef,
    ) -> Option<Restriction> {
        let civil = self.civil();
        let today = civil.day_of(self.now);
        let scope = RuleScope::around(rule.rule.within, &happened.place);
        let line = over.map(|over| &self.history.ended[over]);
        let is_end = line.is_some_and(|line| line.ending != Ending::Booked);
        let kinds = match line.filter(|_| is_end) {
            Some(line) => counted_as(line, rule, scope),
            None => vec![Violation::Booking],
        };
        let kinds = kinds.into_iter().filter(|kind| rule.counts.contains(*kind));
        let what = kinds.filter(|kind| (*kind != Violation::Booking) == is_end).max()?;
        let since = self.used_until(key, rule, scope);
        let mut days = self.days((happened.id, key, over, is_end), rule, scope);
        days.retain(|day| since <= *day && in_window(rule.rule.window, *day, today));
        days.push(today);
        let reached = rule.rule.tiers.iter().rposition(|it| usize::from(it.count) <= days.len())?;
        let tier = &rule.rule.tiers[reached];
        if rule.rule.is_once && days.len() != usize::from(tier.count) {
            return None;
        }
        let since = *days.iter().min().unwrap();
        let from = match rule.rule.begins {
            Begins::AtOnce => self.now,
            Begins::NextDay => civil.start_of(Day(today.0 + 1)),
            Begins::FirstStrike => civil.start_of(since),
        };
        let until = match tier.term {
            Term::Days(days) => civil.plus_days(from, days.into()),
            Term::Months(months) => civil.plus_months(from, months.into()),
            Term::DayEnd => civil.start_of(Day(today.0 + 1)),
            Term::MonthEnd => civil.start_of(today.month_start().plus_months(1)),
            Term::QuarterEnd => civil.start_of(today.quarter_start().plus_months(3)),
            Term::YearEnd => civil.start_of(today.year_start().plus_months(12)),
        };
        let cause = match what {
            Violation::Unpaid => RestrictionCause::Unpaid,
            Violation::Release => RestrictionCause::Release,
            Violation::Cancel => RestrictionCause::Cancel,
            Violation::SameDayCancel => RestrictionCause::SameDayCancel,
            Violation::Booking => RestrictionCause::Booking,
            Violation::Probing => RestrictionCause::Probing,
            Violation::Late => RestrictionCause::Late,
            Violation::Missed => RestrictionCause::Missed,
        };
        let number = first_tier.tier + u8::try_from(reached).unwrap();
        (from < until).then_some(Restriction {
            within: scope,
            cause,
            consequence: tier.consequence,
            mode: rule.rule.mode,
            from,
            until,
            rule: RuleRef { tier: number, ..first_tier },
            count: u16::try_from(days.len()).unwrap(),
            since,
        })
    }

    /// The days of everything else that the rule may count.
    fn days(
        &self,
        (id, key, over_at, is_end): (AppointmentId, PatientId, Option<usize>, bool),
        rule: &ViolationRule,
        scope: RuleScope,
    ) -> Vec<Day> {
        let (mut days, civil) = (Vec::new(), self.civil());
        for (index, over) in self.history.ended.iter().enumerate() {
            if over.patient != key {
                continue;
            }
            let kinds = counted_as(over, rule, scope);
            let ends = kinds.iter().any(|kind| *kind != Violation::Booking);
            let is_it = over_at == Some(index);
            let books = kinds.contains(&Violation::Booking);
            days.extend((ends && (!is_it || !is_end)).then_some(over.ended));
            days.extend((books && (!is_it || is_end)).then_some(over.booked));
        }
        for (other, made) in self.appointments.iter().zip(&self.history.made) {
            let is_here = other
                .claims
                .iter()
                .any(|claim| scope.contains(&place_of(self.session(claim.session).unwrap())));
            let is_other = other.id != id && other.patient == key;
            let counts = rule.counts.contains(Violation::Booking) && rule.of == CountedOf::Patient;
            if is_here && is_other && is_live(other) && counts {
                days.push(civil.day_of(made.0));
            }
        }
        days
    }

    /// The first day that a restriction has not used up.
    fn used_until(&self, patient: PatientId, rule: &ViolationRule, scope: RuleScope) -> Day {
        let civil = self.civil();
        let mut first = Day(0);
        for known in self.conduct.restrictions.iter().filter(|known| known.patient == patient) {
            let made = &known.kept.restriction;
            let kind = match made.cause {
                RestrictionCause::Unpaid => Violation::Unpaid,
                RestrictionCause::Release => Violation::Release,
                RestrictionCause::Cancel => Violation::Cancel,
                RestrictionCause::SameDayCancel => Violation::SameDayCancel,
                RestrictionCause::Booking => Violation::Booking,
                RestrictionCause::Probing => Violation::Probing,
                RestrictionCause::Late => Violation::Late,
                RestrictionCause::Missed => Violation::Missed,
                RestrictionCause::NoShow | RestrictionCause::Staff => continue,
            };
            let is_ours = rule.counts.contains(kind)
                && made.within == scope
                && made.mode == rule.rule.mode
                && rule.rule.is_used_up;
            let mut day = civil.day_of(made.from);
            if civil.start_of(day) < made.from {
                day = Day(day.0 + 1);
            }
            if is_ours {
                first = first.max(day);
            }
        }
        first
    }
}

/// What of an appointment that is over counts, in a part of the platform.
fn counted_as(over: &NaiveEnded, rule: &ViolationRule, scope: RuleScope) -> Vec<Violation> {
    let mut kinds = Vec::new();
    let is_patient = rule.of == CountedOf::Patient;
    for visit in over.visits.iter().filter(|visit| scope.contains(&visit.place)) {
        match over.ending {
            Ending::Fulfilled if is_patient => kinds.push(Violation::Booking),
            Ending::Booked if !is_patient => kinds.push(Violation::Booking),
            Ending::Fulfilled | Ending::Booked => {}
            Ending::Late => {
                kinds.extend(is_patient.then_some(Violation::Booking));
                kinds.push(Violation::Late);
            }
            Ending::Missed => {
                kinds.extend(is_patient.then_some(Violation::Booking));
                kinds.push(Violation::Missed);
            }
            Ending::Probed => kinds.push(Violation::Probing),
            Ending::Released => kinds.push(Violation::Release),
            Ending::Expired => kinds.push(Violation::Unpaid),
            Ending::Cancelled => {
                kinds.extend(is_patient.then_some(Violation::Booking));
                kinds.push(Violation::Cancel);
                if visit.day <= over.ended {
                    kinds.push(Violation::SameDayCancel);
                }
            }
        }
    }
    kinds.retain(|kind| rule.counts.contains(*kind));
    kinds
}
