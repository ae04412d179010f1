//! Who is bound to whom, by looking at everybody.

use std::collections::BTreeMap;

use super::Naive;
use super::limits::period_around;
use super::words::is_live;
use crate::engine::{Binding, Ties};
use crate::model::{
    AccountId, AppointmentId, Attributes, Claim, ClientKey, Day, Hold, JoinWaitlist, NamePatient,
    Outcome, PatientClass, PatientId, Period, PersonsRule, PoolIndex, Refusal, RuleMode, SessionId,
    Tie, Timestamp,
};

/// Who has whom, how often that changed, and telephones of appointments.
#[derive(Default)]
pub(in super::super) struct NaiveTies {
    bound: Vec<(Tie, u128, u128, Timestamp)>,
    changed: Vec<(Tie, u128, Day)>,
    pub(in super::super) phones: Vec<(AppointmentId, ClientKey)>,
}

/// Somebody who is to be bound: who to whom, who gives way, and whether that counts as a change.
type Binds = Vec<(Tie, u128, u128, Option<u128>, bool)>;

struct Asker {
    patient: Option<PatientId>,
    account: Option<AccountId>,
    phone: Option<ClientKey>,
    class: PatientClass,
    attributes: Attributes,
}

impl Naive {
    pub(super) fn persons_of_hold(
        &self,
        hold: &Hold,
        claims: &[Claim],
        entry: Option<crate::model::DrawId>,
    ) -> Result<Binds, Refusal> {
        let drawn = entry.map(|draw| (draw.session, draw.pool));
        let found: Vec<_> =
            claims.iter().map(|claim| (claim.session, claim.pool)).chain(drawn).collect();
        if found.len() != hold.claims.len() {
            return Ok(Binds::new());
        }
        let asker = Asker {
            patient: hold.patient,
            account: hold.keys.account,
            phone: hold.keys.phone,
            class: hold.class,
            attributes: hold.attributes,
        };
        self.may_bind(&asker, &found)
    }

    pub(super) fn persons_of_name(
        &self,
        name: &NamePatient,
        hold: usize,
    ) -> Result<Binds, Refusal> {
        let hold = &self.appointments[hold];
        let known = self.ties.phones.iter().find(|(id, _)| *id == hold.id).map(|it| it.1);
        let asker = Asker {
            patient: Some(name.patient),
            account: name.keys.account,
            phone: name.keys.phone.or(known),
            class: name.class,
            attributes: name.attributes,
        };
        let found: Vec<_> = hold.claims.iter().map(|claim| (claim.session, claim.pool)).collect();
        self.may_bind(&asker, &found)
    }

    pub(super) fn persons_of_join(&self, join: &JoinWaitlist) -> Result<Binds, Refusal> {
        let asker = Asker {
            patient: Some(join.patient),
            account: join.account,
            phone: None,
            class: join.class,
            attributes: join.attributes,
        };
        let targets: Vec<_> = join.targets.iter().map(|id| (*id, PoolIndex::ADDED)).collect();
        self.may_bind(&asker, &targets)
    }

    pub(super) fn bind(&mut self, binds: Binds) {
        let today = self.rules().1.map(|rules| rules.civil.day_of(self.now));
        for (tie, holder, bound, leaver, is_counted) in binds {
            if let Some(leaver) = leaver {
                self.ties.bound.retain(|it| (it.0, it.1, it.2) != (tie, holder, leaver));
                self.ties.changed.extend(is_counted.then(|| (tie, holder, today.unwrap())));
            }
            self.ties.bound.push((tie, holder, bound, self.now));
        }
    }

    /// Notes a telephone where a rule asks for one and none is known.
    pub(super) fn phone(&mut self, id: AppointmentId, phone: Option<ClientKey>) {
        let is_asked = self.asked().1;
        let is_known = self.ties.phones.iter().any(|known| known.0 == id);
        if let Some(phone) = phone.filter(|_| is_asked && !is_known) {
            self.ties.phones.push((id, phone));
        }
    }

    /// The telephone of one is that of another.
    pub(super) fn phone_of(&mut self, id: AppointmentId, from: AppointmentId) {
        let known = self.ties.phones.iter().find(|it| it.0 == from).map(|it| it.1);
        self.phone(id, known);
    }

    /// The accounts of a key belong to another one.
    pub(super) fn merge_accounts(&mut self, from: PatientId, into: PatientId) {
        let tie = Tie::PatientAccount;
        let has = |ties: &NaiveTies, account| {
            ties.bound.iter().any(|it| (it.0, it.1, it.2) == (tie, into.0, account))
        };
        let all = self.ties.bound.iter().filter(|it| (it.0, it.1) == (tie, from.0));
        let new: Vec<u128> = all.map(|it| it.2).filter(|it| !has(&self.ties, *it)).collect();
        self.ties.bound.retain(|it| (it.0, it.1) != (tie, from.0));
        self.ties.bound.extend(new.iter().map(|account| (tie, into.0, *account, self.now)));
        if new.is_empty() {
            self.ties.changed.retain(|it| (it.0, it.1) != (tie, from.0));
        }
        let own = self.ties.changed.iter_mut().filter(|it| (it.0, it.1) == (tie, from.0));
        own.for_each(|it| it.1 = into.0);
    }

    /// All of it by the key of a ledger, as the engine keeps it.
    pub(in super::super) fn all_ties(&self) -> Vec<(PatientId, Ties)> {
        let mut all: BTreeMap<PatientId, Ties> = BTreeMap::new();
        for (tie, holder, key, since) in &self.ties.bound {
            let ties = all.entry(tie.holder(*holder).holder()).or_default();
            ties.bound.push(Binding { tie: *tie, key: *key, since: *since });
        }
        for (tie, holder, day) in &self.ties.changed {
            let ties = all.entry(tie.holder(*holder).holder()).or_default();
            ties.changes.push((*tie, *day));
        }
        for ties in all.values_mut() {
            ties.changes.sort_by_key(|it| it.1);
        }
        all.into_iter().collect()
    }

    fn may_bind(&self, asker: &Asker, found: &[(SessionId, PoolIndex)]) -> Result<Binds, Refusal> {
        let (patient, account) = (asker.patient.map(|it| it.0), asker.account.map(|it| it.0));
        let phone = asker.phone.map(|it| it.0);
        let (mut binds, mut untils) = (Binds::new(), Vec::new());
        let said: Vec<_> = found.iter().filter_map(|it| self.rule_of(asker, *it)).collect();
        for (tie, holder, bound) in [
            (Tie::AccountPatient, account, patient),
            (Tie::PhonePatient, phone, patient),
            (Tie::PhoneAccount, phone, account),
            (Tie::PatientAccount, patient, account),
        ] {
            let (Some(holder), Some(bound)) = (holder, bound) else { continue };
            let is_said = said.iter().any(|(rule, _)| number(rule, tie).is_some());
            let person = |key: &u128| self.who(tie, *key);
            let own: Vec<_> =
                self.ties.bound.iter().filter(|it| (it.0, it.1) == (tie, holder)).collect();
            if !is_said || own.iter().any(|it| person(&it.2) == bound) {
                continue;
            }
            let mut persons: Vec<u128> = own.iter().map(|it| person(&it.2)).collect();
            persons.sort_unstable();
            persons.dedup();
            let quiet = own.iter().find(|it| self.is_quiet(tie, person(&it.2))).map(|it| it.2);
            let (mut leaver, mut is_beyond) = (None, false);
            for (rule, opens) in &said {
                let mut why: Vec<Timestamp> = Vec::new();
                if number(rule, tie).is_some_and(|most| usize::from(most) <= persons.len()) {
                    leaver = quiet.or_else(|| own.first().map(|it| it.2));
                    why.extend(self.no_change(rule, (tie, holder), quiet.is_some()));
                }
                if let Some(new) = rule.new_patients.filter(|_| tie == Tie::AccountPatient) {
                    let until = opens.plus_millis(u64::from(new.minutes) * 60_000);
                    let since = own.iter().filter(|it| *opens <= it.3).count();
                    let is_soon = *opens != Timestamp::default() && self.now < until;
                    let is_many = usize::from(new.most) <= since;
                    why.extend((is_soon && is_many).then_some(until));
                }
                if rule.mode == RuleMode::Enforce {
                    untils.extend(why);
                } else {
                    is_beyond |= !why.is_empty();
                }
            }
            binds.push((tie, holder, bound, leaver, !is_beyond));
        }
        if untils.is_empty() {
            return Ok(binds);
        }
        let has_end = untils.iter().all(|until| *until != Timestamp::default());
        let until = untils.into_iter().max().filter(|_| has_end).unwrap_or_default();
        Err(Refusal::until(Outcome::PersonLimit, self.now, until))
    }

    /// Until when nobody can give way, zero for ever.
    fn no_change(
        &self,
        rule: &PersonsRule,
        (tie, holder): (Tie, u128),
        has_quiet: bool,
    ) -> Option<Timestamp> {
        let of = match tie {
            Tie::AccountPatient => rule.account,
            Tie::PhonePatient | Tie::PhoneAccount => rule.phone,
            Tie::PatientAccount => rule.patient,
        };
        let Some(changes) = of.and_then(|of| of.changes).filter(|_| has_quiet) else {
            return Some(Timestamp::default());
        };
        let civil = &self.rules().1?.civil;
        let count = |day: Day| {
            let (first, last) = period_around(changes.period, day);
            let own = self.ties.changed.iter().filter(|it| (it.0, it.1) == (tie, holder));
            own.filter(|it| (first..=last).contains(&it.2)).count()
        };
        let today = civil.day_of(self.now);
        if count(today) < usize::from(changes.most) {
            return None;
        }
        let mut later = (1..=368).map(|ahead| Day(today.0 + ahead));
        let free = later.find(|day| count(*day) < usize::from(changes.most));
        let free = free.filter(|_| changes.period != Period::Any);
        Some(free.map_or_else(Timestamp::default, |day| civil.start_of(day)))
    }

    fn who(&self, tie: Tie, key: u128) -> u128 {
        let is_patient = matches!(tie, Tie::AccountPatient | Tie::PhonePatient);
        if is_patient { self.person(PatientId(key)).0 } else { key }
    }

    fn is_quiet(&self, tie: Tie, person: u128) -> bool {
        if matches!(tie, Tie::PhoneAccount | Tie::PatientAccount) {
            return true;
        }
        let has = self.appointments.iter().any(|it| is_live(it) && it.patient.0 == person);
        let mut waiting = self.entries.iter().filter(|it| !it.places.is_empty());
        !has && !waiting.any(|it| it.join.patient.0 == person)
    }

    /// What is said of a place, and when its pool opened.
    fn rule_of(
        &self,
        asker: &Asker,
        (id, pool): (SessionId, PoolIndex),
    ) -> Option<(PersonsRule, Timestamp)> {
        let session = self.session(id)?;
        let who = (asker.class, asker.attributes);
        let rule = self.said(session, who, |layer| layer.persons.as_deref().copied())?;
        let pool = session.pools.get(usize::from(pool.0));
        Some((rule, pool.map(|pool| pool.terms.opens).unwrap_or_default()))
    }
}

fn number(rule: &PersonsRule, tie: Tie) -> Option<u8> {
    let said = match tie {
        Tie::AccountPatient => rule.account.map(|it| it.patients),
        Tie::PhonePatient => rule.phone.map(|it| it.patients),
        Tie::PhoneAccount => rule.phone.map(|it| it.accounts),
        Tie::PatientAccount => rule.patient.map(|it| it.accounts),
    };
    said.filter(|number| *number != 0)
}
