//! Rules, strikes and restrictions, day by day.

use super::Naive;
use super::cooldown::NaiveCooldown;
use super::restrictions::NaiveRestriction;
use super::words::is_live;
use crate::model::limits::RULES_LEAD_MILLIS;
use crate::model::{
    Amend, Appeal, ApplyRules, Appointment, AppointmentId, Begins, BookingChannel, ChannelSet,
    Consequence, Day, NoShowRule, Outcome, PatientClass, PatientId, Place, Receipt, Refusal,
    Restrict, Restriction, RestrictionCause, RestrictionId, RuleKey, RuleMode, RuleRef, RuleScope,
    RuleWhy, Rules, RulesVersion, Session, SessionId, Term, Timestamp, Window,
};

/// What is known of rules and of how patients behaved.
#[derive(Default)]
pub(in super::super) struct NaiveConduct {
    pub(in super::super) applied: Vec<ApplyRules>,
    /// Whose, of which day, where; whether it was used up; whether a visit came after it.
    pub(in super::super) strikes: Vec<(PatientId, Day, Place, bool, bool)>,
    pub(in super::super) restrictions: Vec<NaiveRestriction>,
    /// What ever followed from giving a place up.
    pub(in super::super) cooldowns: Vec<NaiveCooldown>,
    pub(in super::super) restricts: Vec<Restrict>,
    pub(in super::super) amends: Vec<Amend>,
    /// Each with its term.
    pub(in super::super) appeals: Vec<(Appeal, Timestamp)>,
}

impl Naive {
    pub(super) fn apply_rules(&mut self, apply: &ApplyRules) -> Result<Receipt, Refusal> {
        if self.conduct.applied.contains(apply) {
            return Ok(self.receipt(true));
        }
        if self.is_used(apply.request) {
            return Err(Outcome::IdReused.into());
        }
        let mut refusals = Vec::new();
        if apply.rules.check().is_err() || apply.rules.version != RulesVersion(0) {
            refusals.push(Outcome::RulesInvalid);
        }
        if apply.rules.from < self.now.plus_millis(RULES_LEAD_MILLIS) {
            refusals.push(Outcome::RulesTooSoon);
        }
        super::lowest(&refusals)?;
        self.announced(&apply.rules)?;
        self.conduct.applied.push(apply.clone());
        Ok(self.receipt(false))
    }

    /// Whether there is notice enough, where the rules are stricter than what would hold then. What is
    /// stricter is told by the model, and that by a test of its own.
    fn announced(&self, rules: &Rules) -> Result<(), Refusal> {
        let (_, today) = self.rules();
        let Some(today) = today.filter(|today| 0 < today.notice_days) else { return Ok(()) };
        let days = today.notice_days;
        let earliest = today.civil.plus_days(self.now, days.into());
        let (version, before) = self.rules_at(rules.from);
        let stricter = before.map_or_else(Vec::new, |before| rules.stricter_than(before));
        let Some(first) = stricter.first().filter(|_| rules.from < earliest) else { return Ok(()) };
        let rule = RuleRef { version, layer: first.layer, tier: 0 };
        let why = RuleWhy { until: earliest, limit: days, ..RuleWhy::of(first.key, rule) };
        Err(Refusal::by_rule(Outcome::RulesNeedNotice, self.now, why))
    }

    /// The version in force: of those that began, and that no later version overtook, the newest.
    pub(super) fn rules(&self) -> (RulesVersion, Option<&Rules>) {
        self.rules_at(self.now)
    }

    fn rules_at(&self, now: Timestamp) -> (RulesVersion, Option<&Rules>) {
        let mut found = (RulesVersion(0), None);
        for (index, apply) in self.conduct.applied.iter().enumerate() {
            let later = &self.conduct.applied[index + 1..];
            let is_overtaken = later.iter().any(|other| other.rules.from <= apply.rules.from);
            if apply.rules.from <= now && !is_overtaken {
                let version = RulesVersion(u32::try_from(index).unwrap() + 1);
                found = (version, Some(&apply.rules));
            }
        }
        found
    }

    /// Counts a visit that was missed.
    pub(super) fn strike(&mut self, appointment: &Appointment) {
        let claim = appointment.claims[0];
        let session = self.session(claim.session).unwrap().clone();
        let (version, Some(rules)) = self.rules() else { return };
        let place = place_of(&session);
        let kinds = [4, 3, 2, 1, 0];
        let said = kinds.iter().find_map(|kind| {
            rules.layers.iter().enumerate().rev().find_map(|(layer, it)| {
                let is_here = it.scope.kind() as u8 == *kind && it.scope.contains(&place);
                let is_about =
                    it.when.holds(appointment.class, crate::model::Attributes::default());
                let rule = it.no_show.as_ref().filter(|_| is_here && is_about)?;
                Some((u8::try_from(layer).unwrap(), rule.clone()))
            })
        });
        let Some((layer, rule)) = said else { return };
        let rules = rules.clone();
        let patient = appointment.patient;
        let day = rules.civil.day_of(session.slot_start(claim.slot));
        self.conduct.strikes.push((patient, day, place, false, false));
        let counted = self.counted(patient, &rule, day, &place);
        let tiers = (0_u8..).zip(&rule.tiers);
        let reached = tiers.filter(|(_, tier)| usize::from(tier.count) <= counted.len()).last();
        let Some((tier, reached)) = reached else { return };
        if rule.is_once && counted.len() != usize::from(reached.count) {
            return;
        }
        let since = *counted.iter().min().unwrap();
        let from = match rule.begins {
            Begins::NextDay => rules.civil.start_of(Day(day.0 + 1)),
            Begins::AtOnce => self.now,
            Begins::FirstStrike => rules.civil.start_of(since),
        };
        let until = match reached.term {
            Term::Days(days) => rules.civil.plus_days(from, days.into()),
            Term::Months(months) => rules.civil.plus_months(from, months.into()),
            Term::DayEnd => rules.civil.start_of(Day(day.0 + 1)),
            Term::MonthEnd => rules.civil.start_of(day.month_start().plus_months(1)),
            Term::QuarterEnd => rules.civil.start_of(day.quarter_start().plus_months(3)),
            Term::YearEnd => rules.civil.start_of(day.year_start().plus_months(12)),
        };
        let made = Restriction {
            within: RuleScope::around(rule.within, &place),
            cause: RestrictionCause::NoShow,
            consequence: reached.consequence,
            mode: rule.mode,
            from,
            until,
            rule: RuleRef { version, layer, tier },
            count: u16::try_from(counted.len()).unwrap(),
            since,
        };
        if until <= from || self.has_like(patient, &made) {
            return;
        }
        let id = RestrictionId(appointment.id.0);
        self.conduct.restrictions.push(NaiveRestriction::new(patient, id, made, None));
        for (who, of, at, is_used, _) in &mut self.conduct.strikes {
            let is_counted =
                *who == patient && since <= *of && *of <= day && made.within.contains(at);
            *is_used |= rule.is_used_up && is_counted;
        }
    }

    /// The days of the strikes that count; the newest is among them.
    fn counted(&self, patient: PatientId, rule: &NoShowRule, day: Day, place: &Place) -> Vec<Day> {
        let scope = RuleScope::around(rule.within, place);
        let last = self.conduct.strikes.len() - 1;
        let all = self.conduct.strikes.iter().enumerate();
        all.filter(|(index, (who, of, at, is_used, is_over))| {
            let is_new = *index == last;
            let is_void = rule.is_used_up && *is_used || rule.window == Window::InARow && *is_over;
            *who == patient
                && scope.contains(at)
                && in_window(rule.window, *of, day)
                && (is_new || !is_void)
        })
        .map(|(_, (_, of, ..))| *of)
        .collect()
    }

    pub(super) fn has_like(&self, patient: PatientId, made: &Restriction) -> bool {
        self.conduct.restrictions.iter().any(|known| {
            let other = known.kept.restriction;
            let refuse = other.consequence.refuses() && made.consequence.refuses();
            known.patient == patient
                && !known.is_lifted(self.now)
                && other.within == made.within
                && other.mode == made.mode
                && (refuse || other.consequence == made.consequence)
                && other.from <= made.from
                && made.from < other.until
        })
    }

    pub(super) fn end_row(&mut self, patient: PatientId) {
        let own = self.conduct.strikes.iter_mut().filter(|(who, ..)| *who == patient);
        own.for_each(|strike| strike.4 = true);
    }

    /// Why nobody of some may book in a session through a channel: by what ends last.
    pub(super) fn restricted(
        &self,
        who: &[PatientId],
        session: &Session,
        (channel, class): (BookingChannel, PatientClass),
        but: &[AppointmentId],
    ) -> Option<Refusal> {
        let place = place_of(session);
        let own = self.conduct.restrictions.iter().filter(|known| who.contains(&known.patient));
        let refusing = own.filter(|known| {
            let made = known.kept.restriction;
            let is_barred = match made.consequence {
                Consequence::Refuse { but } => !but.contains(channel),
                Consequence::RefuseBut { channels, classes } => {
                    !channels.contains(channel) || !classes.contains(class)
                }
                Consequence::Fewer(most) => {
                    usize::from(most) <= self.live_in(known.patient, made.within, but)
                }
                Consequence::Warn | Consequence::Lower(_) => false,
            };
            is_barred
                && made.mode == RuleMode::Enforce
                && known.is_in_effect(self.now)
                && made.within.contains(&place)
        });
        self.told(refusing.collect(), class, but)
    }

    /// What the strictest of some restrictions says: one that leaves nothing before one that leaves some.
    pub(super) fn told(
        &self,
        mut refusing: Vec<&NaiveRestriction>,
        class: PatientClass,
        but: &[AppointmentId],
    ) -> Option<Refusal> {
        refusing.sort_by_key(|known| {
            let what = known.kept.restriction.consequence;
            let leaves = if let Consequence::Fewer(most) = what { most } else { 0 };
            (u8::MAX - leaves, known.ends(), known.kept.id)
        });
        let last = refusing.pop()?;
        let (made, until) = (last.kept.restriction, last.ends());
        let through = match made.consequence {
            Consequence::Refuse { but } => but,
            Consequence::RefuseBut { channels, classes } if classes.contains(class) => channels,
            Consequence::RefuseBut { .. } => ChannelSet(0),
            Consequence::Fewer(_) => ChannelSet(u64::MAX),
            Consequence::Warn | Consequence::Lower(_) => panic!("it refuses"),
        };
        let within = made.within.kind();
        let why = RuleWhy { within, until, through, ..RuleWhy::of(RuleKey::Staff, made.rule) };
        let why = if last.kept.ground.is_some() { why } else { self.counted_in(&made, why)? };
        let why = if let Consequence::Fewer(most) = made.consequence {
            let count = self.live_in(last.patient, made.within, but);
            let count = u16::try_from(count).unwrap();
            RuleWhy { count, limit: most.into(), since: Timestamp::default(), ..why }
        } else {
            why
        };
        let wait = until.as_millis() - self.now.as_millis();
        let retry_after_millis = u32::try_from(wait).unwrap_or(u32::MAX);
        let outcome = Outcome::Restricted;
        Some(Refusal { outcome, status: None, retry_after_millis, why: Some(why) })
    }

    /// How many live appointments somebody has in a scope, but some.
    pub(super) fn live_in(
        &self,
        patient: PatientId,
        within: RuleScope,
        but: &[AppointmentId],
    ) -> usize {
        let mut count = 0;
        for one in &self.appointments {
            let mut sessions = one.claims.iter().map(|claim| self.session(claim.session).unwrap());
            let is_there = sessions.any(|session| within.contains(&place_of(session)));
            let is_own = one.patient == patient && is_live(one) && !but.contains(&one.id);
            count += usize::from(is_own && is_there);
        }
        count
    }

    /// Why a move would be one appointment too many where somebody may have fewer.
    pub(super) fn one_more(
        &self,
        moved: &Appointment,
        sessions: &[SessionId],
        but: &[AppointmentId],
    ) -> Option<Refusal> {
        let place = |id: &SessionId| self.session(*id).map(place_of);
        let to: Vec<Place> = sessions.iter().filter_map(place).collect();
        let from: Vec<Place> = moved.claims.iter().filter_map(|it| place(&it.session)).collect();
        let mut refusing = Vec::new();
        for known in self.conduct.restrictions.iter().filter(|it| it.patient == moved.patient) {
            let made = known.kept.restriction;
            let Consequence::Fewer(most) = made.consequence else { continue };
            let stays = from.iter().any(|place| made.within.contains(place));
            let comes = to.iter().any(|place| made.within.contains(place));
            let applies = made.mode == RuleMode::Enforce && known.is_in_effect(self.now);
            let has = self.live_in(moved.patient, made.within, but);
            if applies && comes && !stays && usize::from(most) <= has {
                refusing.push(known);
            }
        }
        self.told(refusing, moved.class, but)
    }

    /// The same with what the rule counted that made it.
    fn counted_in(&self, made: &Restriction, why: RuleWhy) -> Option<RuleWhy> {
        let by = &self.conduct.applied[made.rule.version.0 as usize - 1].rules;
        let layer = &by.layers[usize::from(made.rule.layer)];
        let number = usize::from(made.rule.tier);
        let mut all = layer.violations.iter().flat_map(|rule| rule.rule.tiers.to_vec());
        let (key, tier) = match made.cause {
            RestrictionCause::NoShow => (RuleKey::NoShow, layer.no_show.as_ref()?.tiers[number]),
            RestrictionCause::Staff => return None,
            RestrictionCause::Unpaid
            | RestrictionCause::Release
            | RestrictionCause::Cancel
            | RestrictionCause::SameDayCancel
            | RestrictionCause::Booking
            | RestrictionCause::Probing
            | RestrictionCause::Late
            | RestrictionCause::Missed => (RuleKey::Violations, all.nth(number)?),
        };
        Some(RuleWhy {
            key,
            count: made.count,
            limit: tier.count,
            since: by.civil.start_of(made.since),
            ..why
        })
    }

    /// By how much the patient's class on waitlists is lower.
    pub(super) fn lowered_by(&self, patient: PatientId, session: &Session) -> u8 {
        let place = place_of(session);
        let mut by = 0;
        for known in &self.conduct.restrictions {
            let made = known.kept.restriction;
            let holds = known.is_in_effect(self.now);
            if let Consequence::Lower(more) = made.consequence
                && known.patient == patient
                && holds
                && made.mode == RuleMode::Enforce
                && made.within.contains(&place)
            {
                by = by.max(more);
            }
        }
        by
    }
}

/// Of refusals of several sessions the strictest, and of those the one that ends last.
pub(super) fn strictest(refusals: impl Iterator<Item = Refusal>) -> Option<Refusal> {
    refusals.max_by_key(|refusal| {
        let why = refusal.why.unwrap();
        let leaves = if why.through == ChannelSet(u64::MAX) { why.limit } else { 0 };
        (u16::MAX - leaves, why.until)
    })
}

/// Whether a strike of a day counts together with a newer one.
pub(super) fn in_window(window: Window, of: Day, newest: Day) -> bool {
    let (old, new) = (of.date(), newest.date());
    let month = |date: jiff::civil::Date| (date.year(), date.month());
    let quarter = |date: jiff::civil::Date| (date.year(), (date.month() - 1) / 3);
    of <= newest
        && match window {
            Window::Days(days) => newest.0 - of.0 < u32::from(days),
            Window::Months(months) => newest.minus_months(months.into()) < of,
            Window::Month => month(old) == month(new),
            Window::Quarter => quarter(old) == quarter(new),
            Window::Year => old.year() == new.year(),
            Window::InARow | Window::Ever => true,
        }
}

pub(super) const fn place_of(session: &Session) -> Place {
    Place {
        organization: session.organization,
        department: session.department,
        resource: session.resource,
        service: session.terms.service,
    }
}
