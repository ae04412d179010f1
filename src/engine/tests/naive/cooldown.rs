//! Who gave a place up waits: everything that ever followed is kept, and looked through.

use super::Naive;
use super::rules::place_of;
use crate::model::{
    AccountId, Actor, Appointment, Attributes, Cause, ClientKey, ClientKeys, Cooldown,
    CooldownLength, CountedOf, Outcome, PatientId, Refusal, Role, RuleKey, RuleLayer, RuleMode,
    RuleRef, RuleScope, RuleWhy, ScopeKind, Session, SessionId, Timestamp,
};

/// For what somebody waits.
pub(in super::super) type NaiveCooldown = (PatientId, Cooldown);

impl Naive {
    /// Somebody gave a place up, or let it expire: then nobody asks.
    pub(super) fn cool(&mut self, actor: Option<&Actor>, ended: &Appointment) {
        let of_patients = |actor: &Actor| [Role::Gateway, Role::Counter].contains(&actor.role);
        if !actor.is_none_or(of_patients) {
            return;
        }
        let way = match ended.cause {
            Cause::Cancelled => 1,
            Cause::Released => 2,
            Cause::Expired => 4,
            Cause::None | Cause::Displaced | Cause::NotDrawn => return,
        };
        let (version, Some(rules)) = self.rules() else { return };
        let mut made = Vec::new();
        for (number, claim) in ended.claims.iter().enumerate() {
            let place = place_of(self.session(claim.session).unwrap());
            let mut nearest: Option<(ScopeKind, usize, &RuleLayer)> = None;
            for (index, layer) in rules.layers.iter().enumerate() {
                let is_about = layer.when.holds(ended.class, Attributes::default());
                let kind = layer.scope.kind();
                let is_farther = nearest.is_some_and(|(known, ..)| kind < known);
                if layer.scope.contains(&place) && is_about && !layer.cooldown.is_empty() {
                    nearest = if is_farther { nearest } else { Some((kind, index, layer)) };
                }
            }
            let Some((_, index, layer)) = nearest else { continue };
            for (tier, rule) in layer.cooldown.iter().enumerate() {
                if rule.after.0 & way == 0 {
                    continue;
                }
                let back = self.back_at(number, claim).unwrap_or(self.now);
                let until = match rule.length {
                    CooldownLength::Minutes(it) => self.now.plus_millis(60_000 * u64::from(it)),
                    CooldownLength::Hours(it) => self.now.plus_millis(60 * 60_000 * u64::from(it)),
                    CooldownLength::Days(it) => rules.civil.plus_days(self.now, it.into()),
                    CooldownLength::Returned(_) if back == Timestamp::MAX => continue,
                    CooldownLength::Returned(it) => back.plus_millis(60_000 * u64::from(it)),
                };
                if until == self.now {
                    continue;
                }
                let who = match rule.of {
                    CountedOf::Patient => Some(ended.patient),
                    CountedOf::Account => ended.account.map(AccountId::holder),
                    CountedOf::Phone => self.known_phone(ended.id).map(ClientKey::phone_holder),
                };
                let (layer, tier) = (u8::try_from(index).unwrap(), u8::try_from(tier).unwrap());
                let cooldown = Cooldown {
                    appointment: ended.id,
                    within: RuleScope::around(rule.within, &place),
                    since: self.now,
                    until,
                    rule: RuleRef { version, layer, tier },
                    of: rule.of,
                    mode: rule.mode,
                };
                made.extend(who.map(|who| (who, cooldown)));
            }
        }
        self.conduct.cooldowns.extend(made);
    }

    /// Why some may have no place in sessions yet; none of `from` is left for it.
    pub(super) fn cooling(
        &self,
        (patient, keys): (PatientId, &ClientKeys),
        from: &[SessionId],
        sessions: &[SessionId],
    ) -> Option<Refusal> {
        let lies_in = |id: &SessionId, scope: RuleScope| {
            self.session(*id).is_some_and(|it: &Session| scope.contains(&place_of(it)))
        };
        let mut last: Option<Cooldown> = None;
        // The patient's before the account's, and that before the telephone's.
        let (of_account, of_phone) = self.asked();
        let account = keys.account.filter(|_| of_account).map(AccountId::holder);
        let phone = keys.phone.filter(|_| of_phone).map(ClientKey::phone_holder);
        let who = [
            (CountedOf::Patient, Some(patient)),
            (CountedOf::Account, account),
            (CountedOf::Phone, phone),
        ];
        let all = who.into_iter().flat_map(|(of, key)| {
            let all = self.conduct.cooldowns.iter();
            all.filter(move |(other, it)| Some(*other) == key && it.of == of)
        });
        for (_, it) in all {
            let holds = it.mode == RuleMode::Enforce && self.now < it.until;
            let is_asked = sessions.iter().any(|id| lies_in(id, it.within));
            let is_left = from.iter().any(|id| lies_in(id, it.within));
            let key = |it: &Cooldown| (it.until, it.since, it.appointment, it.within);
            if holds && is_asked && !is_left && last.is_none_or(|last| key(&last) < key(it)) {
                last = Some(*it);
            }
        }
        let last = last?;
        let why = RuleWhy {
            within: last.within.kind(),
            since: last.since,
            until: last.until,
            ..RuleWhy::of(RuleKey::Cooldown, last.rule)
        };
        let wait = last.until.as_millis() - self.now.as_millis();
        Some(Refusal {
            outcome: Outcome::CoolingDown,
            status: None,
            retry_after_millis: u32::try_from(wait).unwrap_or(u32::MAX),
            why: Some(why),
        })
    }

    /// What is not over: of each scope and mode what ends last.
    pub(in super::super) fn waiting_after(&self, now: Timestamp) -> Vec<NaiveCooldown> {
        let mut left: Vec<NaiveCooldown> = Vec::new();
        for (who, it) in self.conduct.cooldowns.iter().filter(|(_, it)| now < it.until) {
            let is_like = |(other, known): &NaiveCooldown| {
                (*other, known.within, known.of, known.mode) == (*who, it.within, it.of, it.mode)
            };
            let key = |it: &Cooldown| (it.until, it.since, it.appointment);
            match left.iter_mut().find(|known| is_like(known)) {
                Some(known) if key(&known.1) < key(it) => *known = (*who, *it),
                Some(_) => {}
                None => left.push((*who, *it)),
            }
        }
        left.sort_by_key(|(who, it)| (*who, it.within, it.of, it.mode));
        left
    }
}
