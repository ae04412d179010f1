//! Lines of scripts about deadlines of cancels, payments, and accounts that hold places.

use super::{Line, answer, class, millis, minutes_of, number, small, time_of};
use crate::engine::tests::build;
use crate::engine::tests::world::World;
use crate::model::limits::RULES_LEAD_MILLIS;
use crate::model::{
    AccountId, Actor, ApplyRules, Attributes, CancelRule, Changes, ChannelSet, CivilTime,
    ClientKey, ClientKeys, Command, CooldownLength, CooldownRule, CountedOf, Deadline, EndingSet,
    Holder, HolderRule, LateCancel, LatePayment, NamePatient, NewPatients, Order, OrderRule,
    PatientClass, PatientId, Pay, PaymentKind, PaymentMode, PaymentRef, PaymentRule, Period,
    PersonsRule, Refund, Role, RuleLayer, RuleMode, Rules, RulesVersion, ScopeKind, Subject,
    TieRule,
};

impl Line<'_> {
    pub(super) fn run_billing(&self, world: &mut World) -> String {
        if self.verb == "rule" {
            let from = world.now.plus_millis(RULES_LEAD_MILLIS);
            let (version, layers) = (RulesVersion(0), vec![self.layer()]);
            let rules =
                Rules { version, from, civil: CivilTime::default(), layers, ..Rules::default() };
            let apply = ApplyRules { request: self.request(), rules };
            let applied =
                world.run(&Actor::unbounded(Role::Admin), &Command::ApplyRules(apply.into()));
            world.now = from;
            return answer(applied);
        }
        let id = build::appointment(number(self.words[0]));
        let command = match self.verb {
            "bills" => {
                let state = world.state();
                let bills = state.billing.of(id).iter().map(|bill| {
                    let again = bill.rebooked.map(|id| format!(">A{}", id.0 & 0xffff));
                    let again = again.unwrap_or_default();
                    format!("{}:{}:{}{again}", bill.payment.0, bill.kind.name(), bill.refund.name())
                });
                let bills: Vec<String> = bills.collect();
                return if bills.is_empty() { "none".to_owned() } else { bills.join(" ") };
            }
            "late" => return world.state().billing.is_late(id).to_string(),
            "has" => return has(world, self.words[0]),
            "order" => Command::Order(Order {
                request: self.request(),
                appointment: id,
                patient: self.patient(),
                channel: self.channel(),
                until: time_of(self.option("until").unwrap()),
            }),
            "pay" => Command::Pay(Pay {
                request: self.request(),
                appointment: id,
                patient: self.patient(),
                channel: self.channel(),
                kind: self.option("kind").map_or(PaymentKind::SelfPay, kind),
                payment: self.payment(),
            }),
            "refund" => Command::Refund(Refund {
                request: self.request(),
                appointment: id,
                payment: self.payment(),
                reference: PaymentRef(number(self.option("ref").unwrap())),
            }),
            _ => Command::NamePatient(Box::new(NamePatient {
                request: self.request(),
                appointment: id,
                patient: PatientId(number(self.words[1])),
                keys: self.keys(),
                channel: self.channel(),
                class: self.option("as").map_or(PatientClass::Outpatient, class),
                attributes: Attributes::default(),
            })),
        };
        answer(world.run(&self.actor(), &command))
    }

    pub(super) fn keys(&self) -> ClientKeys {
        let account = self.option("account").map(|account| AccountId(number(account)));
        let phone = self.option("phone").map(|phone| ClientKey(number(phone)));
        ClientKeys { account, phone, ..ClientKeys::default() }
    }

    fn patient(&self) -> Option<PatientId> {
        self.option("for").map(|patient| PatientId(number(patient)))
    }

    fn payment(&self) -> PaymentRef {
        PaymentRef(self.option("pay").map_or(0, number))
    }

    fn channels(&self, name: &str) -> Option<ChannelSet> {
        let bits = |list: &str| list.split(',').map(|it| 1_u64 << small::<u8>(it)).sum();
        self.option(name).map(|list| ChannelSet(bits(list)))
    }

    fn layer(&self) -> RuleLayer {
        let mode = match self.option("as") {
            Some("shadow") => RuleMode::Shadow,
            _ => RuleMode::Enforce,
        };
        let cancel = self.option("until").map(|until| CancelRule {
            until: deadline(until),
            later: self.channels("later").unwrap_or(ChannelSet(0)),
            late: match self.option("late") {
                Some("mark") => LateCancel::Mark,
                _ => LateCancel::Refuse,
            },
            mode,
        });
        let payment = self.option("mode").map(|by| PaymentRule {
            by: mode_of(by),
            channels: self.channels("through").unwrap_or(ChannelSet::ALL),
            late: match self.option("paid-late") {
                Some("refund") => LatePayment::Refund,
                _ => LatePayment::Rebook,
            },
            order: self.option("order").map(|order| {
                let (length, times) = order.split_once('*').unwrap_or((order, "1"));
                let minutes = u16::try_from(millis(length) / 60_000).unwrap();
                OrderRule { minutes, times: small(times) }
            }),
            mode,
        });
        let holder = self.option("holder").map(|limit| match limit {
            "patient" => HolderRule { by: Holder::Patient, limit: 1 },
            limit => HolderRule { by: Holder::Account, limit: small(limit) },
        });
        let cooldown = self.option("cool").map_or_else(Vec::new, |list| self.cooldowns(list, mode));
        let persons = self.persons(mode);
        RuleLayer { cancel, payment, holder, cooldown, persons, ..RuleLayer::default() }
    }

    /// `30m@resource,1d@region`, `back+5m@resource` for until it is back and more, `after=cancel` or two with a
    /// plus, `of=account` or `phone`.
    fn cooldowns(&self, list: &str, mode: RuleMode) -> Vec<CooldownRule> {
        let after = self.option("after").map_or(EndingSet::ALL, |names| {
            let bit = |name| match name {
                "cancel" => 1,
                "release" => 2,
                "expiry" => 4,
                other => panic!("unknown end: {other}"),
            };
            EndingSet(names.split('+').map(bit).sum())
        });
        let of = match self.option("of") {
            None => CountedOf::Patient,
            Some("account") => CountedOf::Account,
            Some("phone") => CountedOf::Phone,
            Some(other) => panic!("unknown subject: {other}"),
        };
        let one = |word: &str| {
            let (length, within) = word.split_once('@').unwrap();
            let minutes = |length| u16::try_from(millis(length) / 60_000).unwrap();
            let length = match (length.strip_suffix('d'), length.strip_prefix("back+")) {
                (_, Some(later)) => CooldownLength::Returned(minutes(later)),
                (Some(days), _) => CooldownLength::Days(small(days)),
                (None, None) => CooldownLength::Minutes(minutes(length)),
            };
            let kinds = [
                ScopeKind::Region,
                ScopeKind::Organization,
                ScopeKind::Department,
                ScopeKind::Schedule,
                ScopeKind::Service,
            ];
            let within = kinds.into_iter().find(|kind| kind.name() == within).unwrap();
            CooldownRule { after, within, length, of, mode }
        };
        list.split(',').map(one).collect()
    }

    fn persons(&self, mode: RuleMode) -> Option<Box<PersonsRule>> {
        let changes = self.option("changes").map(|said| {
            let (most, period) = said.split_once('*').unwrap();
            let days = period.strip_suffix('d').map(|days| Period::Days(small(days)));
            Changes { most: small(most), period: days.unwrap_or(Period::Any) }
        });
        let ties = |patients, accounts| TieRule { patients, accounts, changes };
        let account = self.option("patients").map(|most| ties(small(most), 0));
        let phone = self.option("phones").map(|said| {
            let (patients, accounts) = said.split_once('/').unwrap_or((said, "0"));
            ties(small(patients), small(accounts))
        });
        let patient = self.option("accounts").map(|most| ties(0, small(most)));
        let new_patients = self.option("new").map(|said| {
            let (most, length) = said.split_once('*').unwrap();
            let minutes = u16::try_from(millis(length) / 60_000).unwrap();
            NewPatients { most: small(most), minutes }
        });
        account.or(phone).or(patient)?;
        Some(Box::new(PersonsRule { account, phone, patient, new_patients, mode }))
    }
}

/// Whom an account (`a1`), a telephone (`t1`) or a patient (`p1`) has, in the order of being bound.
fn has(world: &World, said: &str) -> String {
    let (kind, key) = said.split_at(1);
    let key = number(key);
    let holder = match kind {
        "a" => Subject::Account(AccountId(key)),
        "t" => Subject::Phone(ClientKey(key)),
        _ => Subject::Patient(PatientId(key)),
    };
    let state = world.state();
    let ties = state.ties.iter().find(|(known, _)| *known == holder.holder());
    let bound = ties.iter().flat_map(|(_, ties)| &ties.bound);
    let name = |to: &crate::engine::Binding| {
        format!("{}{}", if to.tie.is_of_patients() { "P" } else { "a" }, to.key)
    };
    let all: Vec<String> = bound.map(name).collect();
    if all.is_empty() { "none".to_owned() } else { all.join("+") }
}

/// `-30m`, `-1d@15:00`, `-1w@15:00` (days of work), `half` or `half*2`.
fn deadline(word: &str) -> Deadline {
    if let Some(halves) = word.strip_prefix("half") {
        return Deadline::HalfDays(halves.strip_prefix('*').map_or(1, small));
    }
    let before = word.strip_prefix('-').unwrap();
    let Some((days, at)) = before.split_once('@') else {
        return Deadline::Minutes(u32::try_from(millis(before) / 60_000).unwrap());
    };
    let minute = u16::try_from(minutes_of(at)).unwrap();
    match days.strip_suffix('w') {
        Some(days) => {
            Deadline::Workdays { days: small(days), minute, except: arrayvec::ArrayVec::new() }
        }
        None => Deadline::Days { days: small(days.strip_suffix('d').unwrap()), minute },
    }
}

fn kind(name: &str) -> PaymentKind {
    PaymentKind::ALL.into_iter().find(|kind| kind.name() == name).unwrap()
}

fn mode_of(name: &str) -> PaymentMode {
    match name {
        "at-pick-up" => PaymentMode::AtPickUp,
        "self-pay" => PaymentMode::SelfPay,
        "self-pay-or-insurance" => PaymentMode::SelfPayOrInsurance,
        "self-pay-only" => PaymentMode::SelfPayOnly,
        "after-visit" => PaymentMode::AfterVisit,
        "pre-authorization" => PaymentMode::PreAuthorization,
        other => panic!("unknown mode: {other}"),
    }
}
