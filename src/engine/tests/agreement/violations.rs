//! Rules of what else counts against somebody, and how often they restrict.

use proptest::test_runner::TestCaseError;

use super::rules::no_show;
use super::{Case, same};
use crate::engine::tests::pairs::Pairs;
use crate::model::{
    AccountId, Begins, ChannelSet, Command, Consequence, CountedOf, Fact, NoShowRule, Outcome,
    ProbingRule, RuleMode, Term, Tier, Violation, ViolationRule, ViolationSet, Window,
};

impl Case {
    /// Ends the holds that are due.
    pub(super) fn expire(&mut self, pairs: &mut Pairs) -> Result<(), TestCaseError> {
        let (mut engine, mut naive) = (self.engine.expire(), self.naive.expire());
        engine.sort_unstable();
        naive.sort_unstable();
        if !engine.is_empty() {
            pairs.count("expire", Outcome::Done);
        }
        same(&engine, &naive, "expire")
    }

    /// In worlds with rules about it each hold that finds nothing fills what a rule counts.
    pub(super) fn probe(
        &mut self,
        command: &Command,
        outcome: Outcome,
        pairs: &mut Pairs,
    ) -> Result<(), TestCaseError> {
        let Command::Hold(hold) = command else { return Ok(()) };
        if !outcome.says_nothing_is_there() {
            return Ok(());
        }
        let engine = self.engine.probe(hold).map(|it| (it.patient, it.rule, it.mode));
        if let Some((.., mode)) = engine {
            let is_shadow = mode == RuleMode::Shadow;
            pairs.count(if is_shadow { "probed_in_shadow" } else { "probed" }, Outcome::Done);
        }
        same(&engine, &self.naive.probe(hold), "who probed")
    }

    /// Counts for what patients were restricted.
    pub(super) fn count_barred(&self, pairs: &mut Pairs) {
        for fact in self.engine.records.iter().flat_map(|(_, facts)| facts) {
            let Fact::Barred(barred) = fact else { continue };
            let violation = barred.restriction.cause.violation().unwrap();
            let what = match violation {
                Violation::Unpaid => "barred_unpaid",
                Violation::Release => "barred_release",
                Violation::Cancel => "barred_cancel",
                Violation::SameDayCancel => "barred_same_day_cancel",
                Violation::Booking => "barred_booking",
                Violation::Probing => "barred_probing",
                Violation::Late => "barred_late",
                Violation::Missed => "barred_missed",
            };
            pairs.count(what, Outcome::Done);
            let id = barred.appointment;
            let mut all = self.naive.appointments.iter();
            let Some(whose) = all.find(|it| it.id == id) else { continue };
            let phone = self.naive.ties.phones.iter().find(|known| known.0 == id);
            let phone = phone.map(|known| known.1.phone_holder());
            if whose.account.map(AccountId::holder) == Some(barred.patient) {
                pairs.count("barred_account", Outcome::Done);
            } else if phone == Some(barred.patient) {
                pairs.count("barred_phone", Outcome::Done);
            }
        }
    }
}

/// The second of something on a day leads to what a missed visit does, of holds that are given up or find
/// nothing the first.
pub(super) fn soon(kind: u8, missed: &NoShowRule) -> Vec<ViolationRule> {
    let counts = match kind % 5 {
        0 => ViolationSet::only(Violation::Release),
        1 => [Violation::Unpaid, Violation::Cancel].into_iter().collect(),
        2 => ViolationSet::only(Violation::Booking),
        3 => [Violation::Missed, Violation::Late].into_iter().collect(),
        _ => ViolationSet::only(Violation::Probing),
    };
    let (count, consequence) =
        (1 + u16::from(matches!(kind % 5, 1 | 2)), missed.tiers[0].consequence);
    let rule = NoShowRule {
        window: Window::Days(1),
        tiers: std::iter::once(Tier { count, consequence, term: Term::Days(1) }).collect(),
        ..missed.clone()
    };
    vec![ViolationRule { counts, of: CountedOf::Patient, rule }]
}

/// None, one or two rules of what else counts against somebody, now and then a wrong one.
pub(super) fn rules(id: u8, who: u8, what: u8) -> Vec<ViolationRule> {
    let counts = [
        ViolationSet::only(Violation::Cancel),
        ViolationSet::only(Violation::SameDayCancel),
        [Violation::Unpaid, Violation::Release].into_iter().collect(),
        ViolationSet::only(Violation::Booking),
        [Violation::Cancel, Violation::Probing, Violation::Booking].into_iter().collect(),
        ViolationSet::only(Violation::Unpaid),
        ViolationSet::only(Violation::Release),
        ViolationSet::only(Violation::Probing),
        [Violation::Late, Violation::Missed].into_iter().collect(),
        [Violation::Missed, Violation::Unpaid, Violation::Booking].into_iter().collect(),
    ];
    let windows = [
        Window::Days(1),
        Window::Days(1 + u16::from(what % 8)),
        Window::Month,
        Window::Months(1 + id % 2),
        Window::Year,
        Window::Quarter,
    ];
    let rule = |more: u8| {
        let number = usize::from((id >> 2).wrapping_add(more));
        let as_missed = no_show(id.wrapping_add(more), who.wrapping_mul(3), what.rotate_left(3));
        let window = if what == 91 { Window::Ever } else { windows[number % 6] };
        let begins = match as_missed.begins {
            Begins::FirstStrike if as_missed.is_used_up && what != 92 => Begins::AtOnce,
            other @ (Begins::NextDay | Begins::AtOnce | Begins::FirstStrike) => other,
        };
        let rule = NoShowRule { window, begins, ..as_missed };
        let ofs = [CountedOf::Patient, CountedOf::Account, CountedOf::Phone, CountedOf::Patient];
        let of = ofs[usize::from(who.rotate_right(3)) % 4];
        // What patients of an account have is not known to it: now and then such a rule, which is malformed.
        let mut rule = rule;
        let fewer = |tier: &&mut Tier| matches!(tier.consequence, Consequence::Fewer(_));
        let others = of != CountedOf::Patient && what % 16 != 11;
        for tier in rule.tiers.iter_mut().filter(|_| others).filter(fewer) {
            tier.consequence = Consequence::Refuse { but: ChannelSet(0) };
        }
        ViolationRule { counts: counts[number % 10], of, rule }
    };
    (0..(what >> 2) % 3).map(rule).collect()
}

/// In two of three worlds a rule about who probes, now and then a wrong one.
pub(super) fn probing(id: u8, who: u8) -> Option<ProbingRule> {
    let ofs = [CountedOf::Account, CountedOf::Phone, CountedOf::Patient];
    (id % 3 != 2).then(|| ProbingRule {
        refusals: u16::from(who / 32) + 1,
        minutes: 5,
        of: ofs[usize::from(who / 4) % 3],
        mode: if id & 0x18 == 0x18 { RuleMode::Shadow } else { RuleMode::Enforce },
    })
}
