//! Decides what follows from holds that were left unpaid or given up, from cancels, bookings, probing,
//! and visits that somebody was late for or missed (违规).
//!
//! ```text
//! Recorded, Booked -> kept of the account and the telephone too, where rules ask
//! Probed           -> kept of who asked so often
//!   the rules of the nearest layer that has some, each:
//!   is it one of what the rule counts?
//!   + what is kept of who it is about in the window, where it holds, since it was used up last
//!   >= a tier, and not restricted so then? -> Barred, in the same record
//! ```
//!
//! **Architecture invariant:** what followed is in the fact: replay counts nothing.

use super::conduct::{Reached, is_barred, restriction};
use super::view::{Context, View};
use crate::model::limits::BARRED_MAX;
use crate::model::{
    Appointment, AppointmentId, Asked, Attributes, Barred, Claim, CountedOf, Day, Ending, Fact,
    Facts, HistoryRoom, Past, PatientClass, PatientId, Probed, Recorded, Restriction, RuleKey,
    RuleLayer, RuleScope, Subjects, Violation, ViolationRule, ViolationSet, Visit, Visits,
};

/// An end, a booking or probing, as far as rules count it.
struct Event<'a> {
    appointment: AppointmentId,
    class: PatientClass,
    /// Of whom it is counted, and who is restricted.
    who: Behind,
    /// The local day on which it happens.
    day: Day,
    /// Where it ends, or where there was no place: its visits as a ledger will keep them. None of a
    /// booking.
    ended: &'a [Past],
    /// Where the first visit would be.
    first: Visit,
    /// Appointments that end in the same record.
    but: Option<AppointmentId>,
}

/// Who stands behind it, as far as rules about violations ask, each by the key of a ledger.
#[derive(Clone, Copy)]
struct Behind {
    /// `None` where the patient is not named.
    patient: Option<PatientId>,
    account: Option<PatientId>,
    phone: Option<PatientId>,
}

impl Behind {
    fn of(view: &View<'_>, context: &Context<'_>, who: &Subjects, is_unnamed: bool) -> Self {
        let asks = context.rules.layers.iter().map(RuleLayer::violations_ask);
        let asked = asks.fold(Asked::default(), Asked::or);
        let person = |key: Option<PatientId>| key.map(|key| view.person(key));
        Self {
            patient: Some(who.patient).filter(|_| !is_unnamed),
            account: person(who.account.filter(|_| asked.account)),
            phone: person(who.phone.filter(|_| asked.phone)),
        }
    }

    const fn key(&self, of: CountedOf) -> Option<PatientId> {
        match of {
            CountedOf::Patient => self.patient,
            CountedOf::Account => self.account,
            CountedOf::Phone => self.phone,
        }
    }

    /// What is kept of the account and the telephone, where it is kept of somebody.
    fn kept(self, kept: &Recorded) -> impl Iterator<Item = Fact> {
        let others = [self.account, self.phone].into_iter().flatten();
        let others = others.filter(move |key| *key != kept.patient);
        others.map(|patient| Fact::Recorded(Box::new(Recorded { patient, ..kept.clone() })))
    }
}

/// Adds what follows from the end of an appointment, if `facts` keep it. A visit in time counts as
/// nothing, and is kept of the patient alone.
pub(super) fn follow_end(
    view: &View<'_>,
    context: &Context<'_>,
    appointment: &Appointment,
    facts: &mut Facts,
) {
    if !context.rules.says(RuleKey::Violations) {
        return;
    }
    let Some(recorded) = facts.iter().find_map(kept).cloned() else { return };
    let Some(first) = recorded.visits.first().copied() else { return };
    if recorded.ending == Ending::Fulfilled {
        return;
    }
    let ended: Vec<Past> = recorded.past().collect();
    let subjects = view.subjects(appointment);
    let who = Behind::of(view, context, &subjects, appointment.is_unnamed());
    facts.extend(who.kept(&recorded));
    let event = Event {
        appointment: appointment.id,
        class: appointment.class,
        who,
        day: recorded.ended,
        ended: &ended,
        first,
        but: None,
    };
    follow(view, context, &event, facts);
}

/// What is booked, and of whom.
pub(super) struct Made<'a> {
    pub(super) appointment: AppointmentId,
    pub(super) who: Subjects,
    pub(super) class: PatientClass,
    pub(super) claims: &'a [Claim],
    /// The appointment in whose stead it comes.
    pub(super) but: Option<AppointmentId>,
}

impl<'a> Made<'a> {
    /// An appointment that there is.
    pub(super) fn of(view: &View<'_>, appointment: &'a Appointment) -> Self {
        let Appointment { id, class, ref claims, .. } = *appointment;
        Self { appointment: id, who: view.subjects(appointment), class, claims, but: None }
    }
}

/// Adds what follows from a booking.
pub(super) fn follow_booking(
    view: &View<'_>,
    context: &Context<'_>,
    made: &Made<'_>,
    facts: &mut Facts,
) {
    if !context.rules.says(RuleKey::Violations) {
        return;
    }
    let civil = &context.rules.civil;
    let visit = |it: &Claim| Some(view.stay(context, it.session)?.visit(civil, it.slot));
    let visits: Visits = made.claims.iter().filter_map(visit).collect();
    let Some(first) = visits.first().copied() else { return };
    let Made { appointment, class, but, .. } = *made;
    let (who, day) = (Behind::of(view, context, &made.who, false), civil.day_of(context.now));
    let (patient, ending) = (made.who.patient, Ending::Booked);
    let booked = Recorded { patient, ending, booked: day, ended: day, visits };
    facts.extend(who.kept(&booked));
    let event = Event { appointment, class, who, day, ended: &[], first, but };
    follow(view, context, &event, facts);
}

/// Adds what follows from probing, which is kept of who asked alone.
pub(super) fn follow_probed(
    view: &View<'_>,
    context: &Context<'_>,
    probed: &Probed,
    facts: &mut Facts,
) {
    let Some(past) = probed.past() else { return };
    let key = |of: CountedOf| (probed.of == of).then_some(probed.patient);
    let (patient, account) = (key(CountedOf::Patient), key(CountedOf::Account));
    let event = Event {
        appointment: probed.appointment,
        class: probed.class,
        who: Behind { patient, account, phone: key(CountedOf::Phone) },
        day: past.ended,
        ended: &[past],
        first: past.visit,
        but: None,
    };
    follow(view, context, &event, facts);
}

fn follow(view: &View<'_>, context: &Context<'_>, event: &Event<'_>, facts: &mut Facts) {
    let rules = context.rules;
    let said = rules.nearest(
        &event.first.place,
        |when| when.holds(event.class, Attributes::default()),
        |layer| Some(layer).filter(|layer| !layer.violations.is_empty()),
    );
    let Some((layer, RuleLayer { violations, .. })) = said else { return };
    let mut tier = 0_u8;
    for rule in violations {
        let before = tier;
        tier = tier.saturating_add(u8::try_from(rule.rule.tiers.len()).unwrap_or(u8::MAX));
        let so_far = facts.iter().filter(|fact| matches!(fact, Fact::Barred(_))).count();
        if BARRED_MAX <= so_far {
            return;
        }
        let barred = barred(view, context, event, (layer, before, rule), facts);
        facts.extend(barred.map(|barred| Fact::Barred(Box::new(barred))));
    }
}

/// What follows by one rule, whose tiers are counted from a number on.
fn barred(
    view: &View<'_>,
    context: &Context<'_>,
    event: &Event<'_>,
    (layer, tier, rule): (u8, u8, &ViolationRule),
    facts: &Facts,
) -> Option<Barred> {
    let patient = event.who.key(rule.of)?;
    let scope = RuleScope::around(rule.rule.within, &event.first.place);
    let what = event.kinds(scope).both(rule.counts).last()?;
    let counted = counted(view, context, event, (patient, rule, scope), facts);
    let reached = Reached { cause: what.cause(), place: event.first.place, day: event.day, layer };
    let mut restriction = restriction(context, &rule.rule, &reached, &counted)?;
    restriction.rule.tier = restriction.rule.tier.saturating_add(tier);
    let appointment = event.appointment;
    let id = Barred::id_of(appointment, &restriction);
    let is_like =
        |other: &Restriction| other.is_active(restriction.from) && other.bars_like(&restriction);
    let is_known = is_barred(view, context, patient, &restriction)
        || view.restrictions(patient).iter().any(|kept| kept.id == id)
        || made_with_it(facts, patient).any(is_like);
    (!is_known).then_some(Barred { appointment, patient, id, restriction })
}

/// Restrictions of a patient that are made with the same record.
fn made_with_it(facts: &Facts, patient: PatientId) -> impl Iterator<Item = &Restriction> {
    let earlier = facts.iter().filter_map(made_by).filter(move |(who, _)| *who == patient);
    earlier.map(|(_, made)| made)
}

/// A restriction that follows, also from a strike: a missed visit may count as both.
fn made_by(fact: &Fact) -> Option<(PatientId, &Restriction)> {
    if let Fact::Barred(barred) = fact {
        return Some((barred.patient, &barred.restriction));
    }
    let Fact::Struck(struck) = fact else { return None };
    Some((struck.patient, struck.restriction.as_ref()?))
}

/// What is kept of an appointment that ends.
const fn kept(fact: &Fact) -> Option<&Recorded> {
    if let Fact::Recorded(recorded) = fact { Some(recorded) } else { None }
}

impl Event<'_> {
    /// What it is, in a part of the platform.
    fn kinds(&self, scope: RuleScope) -> ViolationSet {
        if self.ended.is_empty() {
            return ViolationSet::only(Violation::Booking);
        }
        let here = self.ended.iter().filter(|past| scope.contains(&past.visit.place));
        here.fold(ViolationSet::default(), |all, past| ViolationSet(all.0 | past.violations().0))
    }
}

/// The days of what counts together with an event, which is among them.
fn counted(
    view: &View<'_>,
    context: &Context<'_>,
    event: &Event<'_>,
    (patient, rule, scope): (PatientId, &ViolationRule, RuleScope),
    facts: &Facts,
) -> Vec<Day> {
    let since = counts_since(view, context, patient, (rule, scope), facts);
    let first = rule.rule.window.first_day(event.day).max(since);
    let mut days = vec![event.day];
    let counts = |day: &Day| (first..=event.day).contains(day);
    // What is kept with this record: that what ends was booked counts besides, and what ends before a
    // booking.
    let (is_end, mut room) = (!event.ended.is_empty(), HistoryRoom::default());
    let probed = event.ended.iter().filter(|past| past.ending == Ending::Probed);
    for past in probed {
        room.takes(past.ending);
    }
    for recorded in facts.iter().filter_map(kept).filter(|it| it.patient == patient) {
        let visits: Vec<Past> = recorded.past().collect();
        for past in &visits {
            room.takes(past.ending);
        }
        let [end, booked] = days_of(&visits, rule, scope);
        let other = if is_end { booked } else { end };
        days.extend(other.filter(counts));
    }
    // As many as a ledger has with those.
    let past: Vec<Past> = view.past(patient).filter(|past| room.takes(past.ending)).collect();
    // Newest first: the first visit of an appointment comes last.
    for visits in past.split_inclusive(|past| !past.is_joined) {
        days.extend(days_of(visits, rule, scope).into_iter().flatten().filter(counts));
    }
    if rule.of == CountedOf::Patient && rule.counts.contains(Violation::Booking) {
        days.extend(live(view, context, (patient, event), scope).into_iter().filter(counts));
    }
    days
}

/// The days of what one appointment that is over counts as: its end, and its booking.
fn days_of(visits: &[Past], rule: &ViolationRule, scope: RuleScope) -> [Option<Day>; 2] {
    let here = || visits.iter().filter(|past| scope.contains(&past.visit.place));
    let ends = here().filter(|past| past.violations().both(rule.counts) != ViolationSet::default());
    let counts = rule.counts.contains(Violation::Booking);
    let booked = here().filter(|past| counts && rule.was_booked(past));
    [ends.map(|past| past.ended).min(), booked.map(|past| past.booked).min()]
}

/// The days on which the other live appointments of a patient were made.
fn live(
    view: &View<'_>,
    context: &Context<'_>,
    (patient, event): (PatientId, &Event<'_>),
    scope: RuleScope,
) -> Vec<Day> {
    let civil = &context.rules.civil;
    let mut known: Vec<AppointmentId> = vec![event.appointment];
    known.extend(event.but);
    let mut days = Vec::new();
    for line in view.lines(patient) {
        let id = line.appointment();
        let stay = view.stay(context, line.session());
        if known.contains(&id) || !stay.is_some_and(|stay| scope.contains(&stay.place)) {
            continue;
        }
        known.push(id);
        days.push(line.since().map_or(Day(0), |since| civil.day_of(since)));
    }
    days
}

/// The first day that counts, where what led to a restriction is used up.
fn counts_since(
    view: &View<'_>,
    context: &Context<'_>,
    patient: PatientId,
    (rule, scope): (&ViolationRule, RuleScope),
    facts: &Facts,
) -> Day {
    if !rule.rule.is_used_up {
        return Day(0);
    }
    let made = view.restrictions(patient).iter().map(|kept| &kept.restriction);
    let by_it = made.chain(made_with_it(facts, patient)).filter(|made| {
        let counted = made.cause.violation().is_some_and(|it| rule.counts.contains(it));
        counted && (made.within, made.mode) == (scope, rule.rule.mode)
    });
    by_it.map(|made| made.counts_again(&context.rules.civil)).max().unwrap_or_default()
}
