//! Of how many others somebody is (账号, 手机号与就诊人): how many patients an account or a telephone may act
//! for, how many accounts a telephone or a patient may have, and how often one takes another's place.
//!
//! ```text
//! account   patients 3       family: a, b, c       d: no, or instead of the one that was bound longest
//! phone     patients 2       accounts 3
//! patient   accounts 1       one identity, one account
//! ```
//!
//! Sources of the forms: the platforms P6 and P9 of `docs/policies/`.
//!
//! **Architecture invariant:** what is bound is kept by the holder, not by the place: rules of several
//! places count the same persons, each to its own number.

use super::{Period, RuleMode, RuleRef};
use crate::model::civil::Day;
use crate::model::fingerprint::Fingerprint;
use crate::model::id::{AccountId, ClientKey, PatientId};
use crate::model::limits::{CHANGES_MAX, PERSONS_MAX};
use crate::model::subject::Subject;

/// Of how many others somebody is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PersonsRule {
    /// Of an account: patients alone.
    pub account: Option<TieRule>,
    /// Of a telephone.
    pub phone: Option<TieRule>,
    /// Of a patient: accounts alone.
    pub patient: Option<TieRule>,
    /// How many patients may be new to an account while places open. It goes with patients of accounts,
    /// which say who is new.
    pub new_patients: Option<NewPatients>,
    /// Whether it is applied.
    pub mode: RuleMode,
}

/// How many are bound to somebody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TieRule {
    /// Patients, 1 to [`PERSONS_MAX`]; 0 where nothing is said.
    pub patients: u8,
    /// Accounts, 1 to [`PERSONS_MAX`]; 0 where nothing is said.
    pub accounts: u8,
    /// How often another one may take the place of who has been bound longest. `None`: never.
    pub changes: Option<Changes>,
}

/// How often something may be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changes {
    /// How often, 1 to [`CHANGES_MAX`].
    pub most: u8,
    /// In which time, by the days on which it was changed: a day or longer.
    pub period: Period,
}

/// How many patients may be new to an account soon after places opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewPatients {
    /// How many, 0 to [`PERSONS_MAX`].
    pub most: u8,
    /// For how long after the opening of the pool that is booked from, in minutes, 1 to 1,440.
    pub minutes: u16,
}

/// Who is bound to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Tie {
    /// A patient to an account.
    AccountPatient = 0,
    /// A patient to a telephone.
    PhonePatient = 1,
    /// An account to a telephone.
    PhoneAccount = 2,
    /// An account to a patient.
    PatientAccount = 3,
}

/// Somebody is bound to somebody from now on. See [`crate::model::Fact::Bound`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Who to whom.
    pub tie: Tie,
    /// The key of the account, telephone or patient that has the other from now on.
    pub holder: u128,
    /// The key of the patient or account that it has.
    pub other: u128,
    /// Who gives way.
    pub instead_of: Option<u128>,
    /// The local days of changes that count from now on: this one's, or those of a key that was merged.
    pub changed: Vec<Day>,
    /// Whether a rule that is only counted would have refused it.
    pub is_beyond: bool,
    /// The rule.
    pub rule: RuleRef,
}

/// A day.
const MINUTES_MAX: u16 = 1_440;

impl Tie {
    /// Every tie, by number.
    pub const ALL: [Self; 4] =
        [Self::AccountPatient, Self::PhonePatient, Self::PhoneAccount, Self::PatientAccount];

    /// Who has others by it.
    pub const fn holder(self, key: u128) -> Subject {
        match self {
            Self::AccountPatient => Subject::Account(AccountId(key)),
            Self::PhonePatient | Self::PhoneAccount => Subject::Phone(ClientKey(key)),
            Self::PatientAccount => Subject::Patient(PatientId(key)),
        }
    }

    /// The name in JSON: whose, and of what.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccountPatient => "account.patients",
            Self::PhonePatient => "phone.patients",
            Self::PhoneAccount => "phone.accounts",
            Self::PatientAccount => "patient.accounts",
        }
    }

    /// Whether patients are bound by it: they may have several keys, and appointments.
    pub const fn is_of_patients(self) -> bool {
        matches!(self, Self::AccountPatient | Self::PhonePatient)
    }
}

impl Bound {
    /// How many bytes it takes at most.
    pub fn weight(&self) -> usize {
        59 + 4 * self.changed.len()
    }

    /// The key of the ledger in which it is kept.
    pub const fn ledger(&self) -> PatientId {
        self.tie.holder(self.holder).holder()
    }
}

impl PersonsRule {
    /// How many may be bound by a tie; `None` where the rule does not say.
    pub fn limit(&self, tie: Tie) -> Option<u8> {
        let said = self.of(tie)?;
        let limit = if tie.is_of_patients() { said.patients } else { said.accounts };
        (limit != 0).then_some(limit)
    }

    /// How often one of them may give way to another.
    pub fn changes(&self, tie: Tie) -> Option<Changes> {
        self.of(tie)?.changes
    }

    const fn of(&self, tie: Tie) -> Option<TieRule> {
        match tie {
            Tie::AccountPatient => self.account,
            Tie::PhonePatient | Tie::PhoneAccount => self.phone,
            Tie::PatientAccount => self.patient,
        }
    }

    /// How many bytes it takes at most.
    pub(super) fn weight(&self) -> usize {
        let ties = [self.account, self.phone, self.patient].into_iter().flatten();
        let ties = ties.map(|said| 3 + said.changes.map_or(0, |_| 4)).sum::<usize>();
        6 + ties + self.new_patients.map_or(0, |_| 3)
    }

    pub(super) fn is_sound(&self) -> bool {
        let ties = [self.account, self.phone, self.patient];
        let says = self.account.is_none_or(|said| said.accounts == 0)
            && self.patient.is_none_or(|said| said.patients == 0)
            && ties.iter().any(Option::is_some);
        let news = self.new_patients.is_none_or(|new| {
            self.limit(Tie::AccountPatient).is_some()
                && new.most <= PERSONS_MAX
                && (1..=MINUTES_MAX).contains(&new.minutes)
        });
        says && news && ties.into_iter().flatten().all(TieRule::is_sound)
    }

    pub(super) fn fingerprint(&self, print: &mut Fingerprint) {
        print.add(10 << 56 | self.mode as u64);
        for said in [self.account, self.phone, self.patient] {
            let Some(TieRule { patients, accounts, changes }) = said else {
                print.add(0);
                continue;
            };
            print.add(1 << 32 | u64::from(patients) | u64::from(accounts) << 8);
            let (period, length) = changes.map_or((0, 0), |changes| changes.period.parts());
            let most = changes.map_or(0, |changes| changes.most);
            print.add(u64::from(most) | u64::from(period) << 8 | u64::from(length) << 16);
        }
        let new = self
            .new_patients
            .map_or(0, |new| 1 << 32 | u64::from(new.most) | u64::from(new.minutes) << 8);
        print.add(new);
    }

    /// Whether it can go against anybody.
    pub(super) fn harms(&self) -> bool {
        self.mode == RuleMode::Enforce
    }

    /// Whether anybody may have fewer by it than by another, or may change less often.
    pub(super) fn is_stricter_than(&self, old: &Self) -> bool {
        if !self.harms() {
            return false;
        }
        let is_harder = |tie: &Tie| {
            let Some(limit) = self.limit(*tie) else { return false };
            let Some(before) = old.limit(*tie) else { return true };
            limit < before
                || match (old.changes(*tie), self.changes(*tie)) {
                    (None, _) => false,
                    (Some(_), None) => true,
                    (Some(old), Some(new)) => old.period != new.period || new.most < old.most,
                }
        };
        let opens = match (old.new_patients, self.new_patients) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(old), Some(new)) => new.most < old.most || old.minutes < new.minutes,
        };
        !old.harms() || opens || Tie::ALL.iter().any(is_harder)
    }
}

impl TieRule {
    fn is_sound(self) -> bool {
        let numbers = [self.patients, self.accounts];
        numbers.iter().all(|number| *number <= PERSONS_MAX)
            && numbers.iter().any(|number| *number != 0)
            && self.changes.is_none_or(Changes::is_sound)
    }
}

impl Changes {
    const fn is_sound(self) -> bool {
        let lasts = match self.period {
            Period::Days(days) => 1 <= days && days <= 366,
            Period::Months(months) => 1 <= months && months <= 12,
            Period::HalfDay => false,
            Period::Any
            | Period::Day
            | Period::Week
            | Period::Month
            | Period::Quarter
            | Period::Year => true,
        };
        lasts && 1 <= self.most && self.most <= CHANGES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(patients: u8, changes: Option<(u8, Period)>, new: Option<(u8, u16)>) -> PersonsRule {
        let changes = changes.map(|(most, period)| Changes { most, period });
        PersonsRule {
            account: Some(TieRule { patients, accounts: 0, changes }),
            new_patients: new.map(|(most, minutes)| NewPatients { most, minutes }),
            ..PersonsRule::default()
        }
    }

    #[test]
    fn fewer_persons_fewer_changes_and_longer_openings_are_stricter() {
        let (year, month) = (Period::Year, Period::Month);
        let base = rule(3, Some((2, year)), Some((1, 10)));
        for (after, is_stricter) in [
            (base, false),
            (rule(4, Some((2, year)), None), false),
            (rule(2, Some((2, year)), Some((1, 10))), true),
            (rule(3, Some((1, year)), Some((1, 10))), true),
            (rule(3, Some((3, year)), Some((1, 10))), false),
            (rule(3, Some((2, month)), Some((1, 10))), true),
            (rule(3, None, Some((1, 10))), true),
            (rule(3, Some((2, year)), Some((0, 10))), true),
            (rule(3, Some((2, year)), Some((1, 11))), true),
            (PersonsRule { mode: RuleMode::Shadow, ..rule(1, None, None) }, false),
            (PersonsRule { phone: base.account, ..base }, true),
        ] {
            assert_eq!(after.is_stricter_than(&base), is_stricter, "{after:?}");
        }
        let tried = PersonsRule { mode: RuleMode::Shadow, ..base };
        assert!(base.is_stricter_than(&tried), "what was only counted refuses now");
        assert!(!rule(3, Some((1, year)), None).is_stricter_than(&rule(3, None, None)));
    }

    #[test]
    fn a_rule_names_numbers_of_kinds_that_there_are() {
        let ties = |patients, accounts| Some(TieRule { patients, accounts, changes: None });
        let none = PersonsRule::default();
        for (rule, is_sound) in [
            (none, false),
            (PersonsRule { account: ties(3, 0), ..none }, true),
            (PersonsRule { account: ties(3, 1), ..none }, false),
            (PersonsRule { account: ties(0, 0), ..none }, false),
            (PersonsRule { account: ties(17, 0), ..none }, false),
            (PersonsRule { phone: ties(0, 1), ..none }, true),
            (PersonsRule { patient: ties(1, 1), ..none }, false),
            (rule(3, Some((0, Period::Year)), None), false),
            (rule(3, Some((1, Period::HalfDay)), None), false),
            (rule(3, Some((1, Period::Days(0))), None), false),
            (rule(3, None, Some((16, 1_440))), true),
            (rule(3, None, Some((1, 0))), false),
            (
                PersonsRule { phone: ties(1, 0), account: None, ..rule(3, None, Some((1, 9))) },
                false,
            ),
        ] {
            assert_eq!(rule.is_sound(), is_sound, "{rule:?}");
            let held = rule.weight();
            assert!((6..=30).contains(&held), "{held}");
        }
    }
}
