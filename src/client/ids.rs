//! Ids for requests: they make a retry safe.

use crate::model::{AppointmentId, RequestId, Timestamp};

/// A new id: the time, and 74 bits that nobody can guess.
///
/// # Panics
///
/// Where the system has no randomness: then TLS does not work either.
pub fn new_request_id(now: Timestamp) -> RequestId {
    RequestId::from_parts(now, u128::from_le_bytes(random()))
}

/// Bytes that nobody can guess.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut random = [0; N];
    let source = rustls::crypto::ring::default_provider().secure_random;
    source.fill(&mut random).expect("the system gives random bytes");
    random
}

/// A new id for an appointment, which is the id of its hold.
pub fn new_appointment_id(now: Timestamp) -> AppointmentId {
    AppointmentId(new_request_id(now).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_well_formed_and_differ() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let (one, other) = (new_request_id(now), new_request_id(now));
        assert_ne!(one, other);
        assert_eq!((one.time(), one.check(now, 0)), (now, Ok(())));
    }
}
