//! Of whom rules count besides the patient: the account and the telephone behind a request.
//!
//! ```text
//! patient a  --> ledger a          account a --> ledger a ^ tag          telephone a --> ledger a ^ other tag
//! ```
//!
//! **Architecture invariant:** keys are hashes, and each kind has a tag: an account, a telephone and a
//! patient never share a ledger, also where they were hashed to the same key.

use arrayvec::ArrayVec;

use super::appointment::Appointment;
use super::command::ClientKeys;
use super::id::{AccountId, AppointmentId, ClientKey, PatientId};
use super::rules::{CountedOf, RuleLayer, Tie};

/// The telephone that a hold was asked for with. See [`super::Fact::Phoned`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phoned {
    /// Which hold, or entry of a draw.
    pub appointment: AppointmentId,
    /// The telephone.
    pub phone: ClientKey,
}

/// Somebody of whom a rule counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// Who is to be seen.
    Patient(PatientId),
    /// Who is logged in.
    Account(AccountId),
    /// A telephone.
    Phone(ClientKey),
}

/// Who stands behind an appointment or a request, each by the key of the ledger in which they are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subjects {
    /// The patient; the account again where none is named.
    pub patient: PatientId,
    /// The account, if it was said.
    pub account: Option<PatientId>,
    /// The telephone, if it was said while rules asked for it.
    pub phone: Option<PatientId>,
}

/// Whether rules count of somebody besides the patient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Of accounts.
    pub account: bool,
    /// Of telephones.
    pub phone: bool,
}

impl Subject {
    /// The key of the ledger in which they are kept.
    pub const fn holder(self) -> PatientId {
        match self {
            Self::Patient(patient) => patient,
            Self::Account(account) => account.holder(),
            Self::Phone(phone) => phone.phone_holder(),
        }
    }
}

impl AccountId {
    /// The ledger line of the account: of its holds that name no patient, and of what rules count of it.
    pub const fn holder(self) -> PatientId {
        PatientId(self.0 ^ ACCOUNT)
    }
}

impl ClientKey {
    /// The ledger line of a telephone: of what rules count of it.
    pub const fn phone_holder(self) -> PatientId {
        PatientId(self.0 ^ PHONE)
    }
}

/// Sets accounts apart from patients.
const ACCOUNT: u128 = 0x6163_636f_756e_745f_686f_6c64_735f_6974;

/// Sets telephones apart from both.
const PHONE: u128 = 0x7068_6f6e_655f_7468_6174_5f61_736b_6564;

impl ClientKeys {
    /// Who stands behind a request for a patient.
    pub fn subjects(&self, patient: PatientId) -> Subjects {
        let account = self.account.map(AccountId::holder);
        Subjects { patient, account, phone: self.phone.map(ClientKey::phone_holder) }
    }
}

impl Appointment {
    /// Who stands behind it, where its telephone is known.
    pub fn subjects(&self, phone: Option<ClientKey>) -> Subjects {
        ClientKeys { account: self.account, phone, ..ClientKeys::default() }.subjects(self.patient)
    }
}

impl Subjects {
    /// The ledger of one of them.
    pub const fn key(&self, of: CountedOf) -> Option<PatientId> {
        match of {
            CountedOf::Patient => Some(self.patient),
            CountedOf::Account => self.account,
            CountedOf::Phone => self.phone,
        }
    }

    /// The ledgers in which rules look that ask of these.
    pub fn ledgers(&self, asked: Asked) -> ArrayVec<PatientId, 3> {
        self.asked(asked).map(|(_, key)| key).collect()
    }

    /// The same, with whose each is.
    pub fn asked(&self, asked: Asked) -> impl Iterator<Item = (CountedOf, PatientId)> {
        let account = self.account.filter(|_| asked.account).map(|key| (CountedOf::Account, key));
        let phone = self.phone.filter(|_| asked.phone).map(|key| (CountedOf::Phone, key));
        std::iter::once((CountedOf::Patient, self.patient)).chain(account).chain(phone)
    }
}

impl Asked {
    /// What either asks.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self { account: self.account || other.account, phone: self.phone || other.phone }
    }
}

impl RuleLayer {
    /// Of whom its keys count besides the patient. Whoever adds a key that does says it here.
    pub fn asks(&self) -> Asked {
        let persons = self.persons.as_ref();
        let persons = Asked {
            account: persons.is_some_and(|rule| rule.limit(Tie::AccountPatient).is_some()),
            phone: persons.is_some_and(|rule| rule.phone.is_some()),
        };
        persons.or(self.violations_ask()).or(self.cooldown_asks())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_a_telephone_and_a_patient_of_one_key_have_ledgers_of_their_own() {
        for key in [0, 1, u128::MAX, ACCOUNT, PHONE, ACCOUNT ^ PHONE] {
            let of = |subject: Subject| subject.holder();
            let patient = of(Subject::Patient(PatientId(key)));
            let account = of(Subject::Account(AccountId(key)));
            let phone = of(Subject::Phone(ClientKey(key)));
            assert!(patient != account && account != phone && phone != patient, "{key:x}");
        }
    }

    #[test]
    fn ledgers_are_looked_into_only_where_rules_ask() {
        let keys = ClientKeys {
            account: Some(AccountId(2)),
            phone: Some(ClientKey(3)),
            ..ClientKeys::default()
        };
        let who = keys.subjects(PatientId(1));
        for (account, phone, count) in
            [(false, false, 1), (true, false, 2), (false, true, 2), (true, true, 3)]
        {
            assert_eq!(who.ledgers(Asked { account, phone }).len(), count);
        }
        let nobody = ClientKeys::default().subjects(PatientId(1));
        assert_eq!(nobody.ledgers(Asked { account: true, phone: true }).len(), 1);
    }
}
