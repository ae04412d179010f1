//! Identifiers on the command line: UUIDs and hex, and patients from text.

use crate::model::{
    AccountId, AppointmentId, ClientKey, PatientId, PaymentRef, RequestId, SessionId,
};

/// Reads 32 hex digits, or a UUID with its hyphens.
///
/// # Errors
///
/// What an id looks like.
pub(super) fn wide(text: &str) -> Result<u128, String> {
    let digits: String = text.chars().filter(|digit| *digit != '-').collect();
    let whole = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let number = if whole { u128::from_str_radix(&digits, 16).ok() } else { None };
    number.ok_or_else(|| {
        "an id is 32 hex digits or a UUID, as 0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f".to_owned()
    })
}

/// An appointment's id.
///
/// # Errors
///
/// As [`wide`].
pub(super) fn appointment(text: &str) -> Result<AppointmentId, String> {
    wide(text).map(AppointmentId)
}

/// A request's id.
///
/// # Errors
///
/// As [`wide`].
pub(super) fn request(text: &str) -> Result<RequestId, String> {
    wide(text).map(RequestId)
}

/// A patient's key.
///
/// # Errors
///
/// As [`wide`].
pub(super) fn patient(text: &str) -> Result<PatientId, String> {
    wide(text).map(PatientId)
}

/// An account's key.
///
/// # Errors
///
/// As [`wide`].
pub(super) fn account(text: &str) -> Result<AccountId, String> {
    wide(text).map(AccountId)
}

/// The key of an account from any text. Who has an account may be a patient too: the keys differ.
pub(super) fn account_named(text: &str) -> AccountId {
    let hash = blake3::Hasher::new_derive_key(ACCOUNT_CONTEXT).update(text.as_bytes()).finalize();
    let half = hash.as_bytes().first_chunk().expect("a hash has 32 bytes");
    AccountId(u128::from_le_bytes(*half))
}

/// A payment's reference: hex, or a number.
///
/// # Errors
///
/// As [`wide`].
pub(super) fn payment(text: &str) -> Result<PaymentRef, String> {
    let number = text.parse::<u64>().map(u128::from);
    number.or_else(|_| wide(text)).map(PaymentRef)
}

/// A session's id: a number.
///
/// # Errors
///
/// What it looks like.
pub(super) fn session(text: &str) -> Result<SessionId, String> {
    let number = text.parse().map_err(|_| "a session's id is a number below 2^64".to_owned());
    number.map(SessionId)
}

/// The key of a patient who is named by text. A real platform hashes outside, under its own key.
pub(super) fn patient_named(text: &str) -> PatientId {
    let hash = blake3::Hasher::new_derive_key(PATIENT_CONTEXT).update(text.as_bytes()).finalize();
    let half = hash.as_bytes().first_chunk().expect("a hash has 32 bytes");
    PatientId(u128::from_le_bytes(*half))
}

/// An id as people and other programs read it.
pub(super) fn uuid(id: u128) -> String {
    let hex = format!("{id:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

/// A telephone's key.
///
/// # Errors
///
/// As [`wide`].
pub(super) fn phone(text: &str) -> Result<ClientKey, String> {
    wide(text).map(ClientKey)
}

/// The key of a telephone from any text; it is not that of an account or a patient of the same text.
pub(super) fn phone_named(text: &str) -> ClientKey {
    let hash = blake3::Hasher::new_derive_key(PHONE_CONTEXT).update(text.as_bytes()).finalize();
    let half = hash.as_bytes().first_chunk().expect("a hash has 32 bytes");
    ClientKey(u128::from_le_bytes(*half))
}

/// See `blake3::derive_key`: a context is a constant, and names what the key is for.
/// Sets accounts apart from patients and from other uses of the hash.
const ACCOUNT_CONTEXT: &str = "haoyuan 2026 ctl account named by text";
const PHONE_CONTEXT: &str = "haoyuan 2026 ctl telephone named by text";
const PATIENT_CONTEXT: &str = "haoyuan 2026 ctl patient named by text";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_printed_with_and_without_hyphens() {
        let id = 0x0192_f0c1_7a2b_7c3d_8e4f_5a6b_7c8d_9e0f;
        assert_eq!(wide(&uuid(id)), Ok(id));
        assert_eq!(wide(&format!("{id:032X}")), Ok(id));
        for bad in
            ["", "12", "+1234567890abcdef1234567890abcde", "g234567890abcdef1234567890abcdef"]
        {
            assert!(wide(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_patient_named_by_text_is_always_the_same_and_not_the_text() {
        assert_eq!(patient_named("Li Lei"), patient_named("Li Lei"));
        assert_ne!(patient_named("Li Lei"), patient_named("Li Lei "));
    }
}
