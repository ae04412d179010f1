//! Decides what follows from what was counted, from a missed visit first of all, and whom a restriction
//! refuses.
//!
//! ```text
//! no-show -> strike of its day -> strikes in the window >= count, and not restricted then?
//!                                 `- the highest tier that is reached -> restriction
//! hold    -> a restriction that holds now, where the session is -> Restricted, until when
//!            of one to fewer: as many live appointments there as it leaves?
//! ```
//!
//! **Architecture invariant:** what followed is in the fact: replay counts nothing.

use std::cmp::Reverse;

use smallvec::SmallVec;

use super::ledger::Live;
use super::record::{KeptStrike, active};
use super::view::{Context, View};
use crate::model::{
    Appointment, AppointmentId, Begins, BookingChannel, Consequence, Day, KeptRestriction,
    NoShowRule, Outcome, PatientClass, PatientId, Place, Refusal, Restriction, RestrictionCause,
    RuleKey, RuleMode, RuleRef, RuleScope, RuleWhy, Strike, Struck, Timestamp, Window,
};

/// The strike of an appointment whose patient did not come; `None` where no rule counts it.
pub(super) fn strike(
    view: &View<'_>,
    context: &Context<'_>,
    appointment: &Appointment,
) -> Option<Struck> {
    let claim = appointment.claims.first()?;
    let spec = view.session(claim.session)?.spec();
    let place = Place::of(spec);
    let rules = context.rules;
    let is_about = |when: &crate::model::RuleCondition| {
        when.holds(appointment.class, crate::model::Attributes::default())
    };
    let (layer, rule) = rules.nearest(&place, is_about, |layer| layer.no_show.as_ref())?;
    let day = rules.civil.day_of(spec.slot_start(claim.slot));
    let strike = Strike { day, place };
    let counted = counted(rule, &view.strikes(appointment.patient), strike);
    let reached = Reached { cause: RestrictionCause::NoShow, place, day, layer };
    let restriction = restriction(context, rule, &reached, &counted)
        .filter(|made| !is_barred(view, context, appointment.patient, made));
    let (appointment, patient) = (appointment.id, appointment.patient);
    Some(Struck { appointment, patient, strike, restriction, is_used_up: rule.is_used_up })
}

/// The days of the strikes that count together with a new one, which is among them.
fn counted(rule: &NoShowRule, strikes: &[KeptStrike], new: Strike) -> Vec<Day> {
    let scope = RuleScope::around(rule.within, &new.place);
    let first = rule.window.first_day(new.day);
    let counts = |kept: &&KeptStrike| {
        scope.contains(&kept.strike.place)
            && (first..=new.day).contains(&kept.strike.day)
            && !(rule.is_used_up && kept.is_used)
            && !(rule.window == Window::InARow && kept.is_over)
    };
    let earlier = strikes.iter().filter(counts).map(|kept| kept.strike.day);
    earlier.chain(std::iter::once(new.day)).collect()
}

/// What was counted last, and by which layer.
pub(super) struct Reached {
    pub(super) cause: RestrictionCause,
    pub(super) place: Place,
    pub(super) day: Day,
    pub(super) layer: u8,
}

/// Whether a patient is restricted likewise already when a restriction would begin.
pub(super) fn is_barred(
    view: &View<'_>,
    context: &Context<'_>,
    patient: PatientId,
    made: &Restriction,
) -> bool {
    let mut known = view.restrictions(patient).iter();
    known.any(|other| other.would_hold(context.now, made.from) && other.restriction.bars_like(made))
}

/// What follows, if a tier is reached and it lasts at all.
pub(super) fn restriction(
    context: &Context<'_>,
    rule: &NoShowRule,
    last: &Reached,
    counted: &[Day],
) -> Option<Restriction> {
    let count = u16::try_from(counted.len()).unwrap_or(u16::MAX);
    let (position, tier) = rule.reached(count)?;
    let since = counted.iter().min().copied()?;
    let civil = &context.rules.civil;
    let from = match rule.begins {
        Begins::NextDay => civil.start_of(last.day.plus(1)),
        Begins::AtOnce => context.now,
        Begins::FirstStrike => civil.start_of(since),
    };
    let until = tier.term.end(civil, from, last.day);
    let version = context.rules.version;
    let restriction = Restriction {
        within: RuleScope::around(rule.within, &last.place),
        cause: last.cause,
        consequence: tier.consequence,
        mode: rule.mode,
        from,
        until,
        rule: RuleRef { version, layer: last.layer, tier: position },
        count,
        since,
    };
    (from < until).then_some(restriction)
}

impl Restriction {
    /// Whether it already does, where another one would hold, what that would do.
    pub(super) fn bars_like(&self, other: &Self) -> bool {
        let (own, others) = (self.consequence, other.consequence);
        let is_like = own == others || own.refuses() && others.refuses();
        self.within == other.within && self.mode == other.mode && is_like
    }
}

/// By how much a patient's class on waitlists is lower.
pub(super) fn lowered_by(view: &View<'_>, now: Timestamp, patient: PatientId, place: &Place) -> u8 {
    let lower = |restriction: &Restriction| match restriction.consequence {
        Consequence::Lower(by) if restriction.mode == RuleMode::Enforce => by,
        Consequence::Lower(_)
        | Consequence::Warn
        | Consequence::Refuse { .. }
        | Consequence::RefuseBut { .. }
        | Consequence::Fewer(_) => 0,
    };
    let all = active(view.restrictions(patient), now);
    let here = all.filter(|made| made.within.contains(place));
    here.map(lower).max().unwrap_or_default()
}

/// Whom restrictions are looked up of, and what they give up for what they ask.
#[derive(Clone, Copy, Debug)]
pub(super) struct Restrained<'a> {
    /// A patient, with an account and a telephone where rules ask for them.
    pub(super) who: &'a [PatientId],
    pub(super) but: &'a [AppointmentId],
}

/// Why nobody may book somewhere through a channel for a patient, with an account and a telephone: of the
/// restrictions of any of them the strictest, and of those the one that ends last.
pub(super) fn refuse_restricted(
    view: &View<'_>,
    context: &Context<'_>,
    asking: Restrained<'_>,
    place: &Place,
    (channel, class): (BookingChannel, PatientClass),
) -> Option<Refusal> {
    let refuses = |kept: &KeptRestriction| kept.refuses(context, channel, class);
    let all = restrictions(view, asking.who);
    let refusing = all
        .filter(|(_, kept)| kept.restriction.within.contains(place))
        .filter(|(key, kept)| refuses(kept) || is_full(view, context, (*key, asking.but), kept));
    strictest(view, context, asking.but, refusing, class)
}

/// Why a move would give a patient more appointments in some places than they may have there for now. A
/// move within the scope of a restriction adds none: `from` is where it leaves.
pub(super) fn refuse_one_more(
    view: &View<'_>,
    context: &Context<'_>,
    asking: Restrained<'_>,
    from: &[Place],
    (places, class): (&[Place], PatientClass),
) -> Option<Refusal> {
    let refusing = restrictions(view, asking.who).filter(|(key, kept)| {
        let within = kept.restriction.within;
        let enters = places.iter().any(|place| within.contains(place));
        let leaves = from.iter().any(|place| within.contains(place));
        enters && !leaves && is_full(view, context, (*key, asking.but), kept)
    });
    strictest(view, context, asking.but, refusing, class)
}

fn restrictions<'a>(
    view: &View<'a>,
    who: &[PatientId],
) -> impl Iterator<Item = (PatientId, &'a KeptRestriction)> {
    who.iter().flat_map(|key| view.restrictions(*key).iter().map(|kept| (*key, kept)))
}

/// Whether somebody is restricted to fewer appointments now, and has as many already.
fn is_full(
    view: &View<'_>,
    context: &Context<'_>,
    who: (PatientId, &[AppointmentId]),
    kept: &KeptRestriction,
) -> bool {
    let Consequence::Fewer(most) = kept.restriction.consequence else { return false };
    kept.is_applied(context) && usize::from(most) <= live_within(view, context, who, kept)
}

/// How many live appointments somebody has where a restriction holds, but some.
fn live_within(
    view: &View<'_>,
    context: &Context<'_>,
    (key, but): (PatientId, &[AppointmentId]),
    kept: &KeptRestriction,
) -> usize {
    let within = kept.restriction.within;
    let lines = view.lines(key).filter(|line| !but.contains(&line.appointment()));
    let is_there =
        |session| view.stay(context, session).is_some_and(|stay| within.contains(&stay.place));
    let there = lines.filter(|line| is_there(line.session()));
    let mut ids: SmallVec<[AppointmentId; 8]> = there.map(Live::appointment).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.len()
}

/// The refusal of the restriction that leaves least; of those that leave as much the one that ends last.
fn strictest<'a>(
    view: &View<'_>,
    context: &Context<'_>,
    but: &[AppointmentId],
    refusing: impl Iterator<Item = (PatientId, &'a KeptRestriction)>,
    class: PatientClass,
) -> Option<Refusal> {
    let order = |kept: &KeptRestriction| {
        (Reverse(kept.restriction.consequence.most()), kept.ends(context.now), kept.id)
    };
    let (key, kept) = refusing.max_by_key(|(_, kept)| order(kept))?;
    let why = match kept.restriction.consequence {
        Consequence::Fewer(most) => {
            let count = live_within(view, context, (key, but), kept);
            let count = u16::try_from(count).unwrap_or(u16::MAX);
            RuleWhy { count, limit: most.into(), ..told(context, kept, class) }
        }
        Consequence::Warn
        | Consequence::Lower(_)
        | Consequence::Refuse { .. }
        | Consequence::RefuseBut { .. } => why(context, kept, class),
    };
    Some(Refusal::by_rule(Outcome::Restricted, context.now, why))
}

/// What the rule is about that a restriction followed from.
pub(super) const fn key_of(cause: RestrictionCause) -> RuleKey {
    match cause {
        RestrictionCause::NoShow => RuleKey::NoShow,
        RestrictionCause::Staff => RuleKey::Staff,
        RestrictionCause::Unpaid
        | RestrictionCause::Release
        | RestrictionCause::Cancel
        | RestrictionCause::SameDayCancel
        | RestrictionCause::Booking
        | RestrictionCause::Probing
        | RestrictionCause::Late
        | RestrictionCause::Missed => RuleKey::Violations,
    }
}

/// Where a restriction holds, until when, and through which channels it does not refuse.
fn told(context: &Context<'_>, kept: &KeptRestriction, class: PatientClass) -> RuleWhy {
    let made = &kept.restriction;
    RuleWhy {
        within: made.within.kind(),
        until: kept.ends(context.now),
        through: made.consequence.passes(class),
        ..RuleWhy::of(key_of(made.cause), made.rule)
    }
}

/// What a restriction rests on that refuses to book, told to a patient of a class.
fn why(context: &Context<'_>, kept: &KeptRestriction, class: PatientClass) -> RuleWhy {
    let (made, told) = (&kept.restriction, told(context, kept, class));
    if made.cause == RestrictionCause::Staff {
        return told;
    }
    let rules = context.book.and_then(|book| book.version(made.rule.version));
    let layer = rules.and_then(|rules| rules.layers.get(usize::from(made.rule.layer)));
    let tier = if made.cause == RestrictionCause::NoShow {
        let rule = layer.and_then(|layer| layer.no_show.as_ref());
        rule.and_then(|rule| rule.tiers.get(usize::from(made.rule.tier)))
    } else {
        let tier = layer.and_then(|layer| layer.violation_tier(made.rule.tier));
        tier.map(|(_, tier)| tier)
    };
    let civil = rules.map_or(&context.rules.civil, |rules| &rules.civil);
    RuleWhy {
        count: made.count,
        limit: tier.map_or(0, |tier| tier.count),
        since: civil.start_of(made.since),
        ..told
    }
}
