//! Identifiers: opaque numbers with a type each, so that none is taken for another.
//!
//! **Architecture invariant:** an identifier of a person is a keyed hash made outside the engine.
//! No name, card number or telephone number ever reaches this type.

use super::time::Timestamp;

macro_rules! identifiers {
    ($($(#[$doc:meta])* $name:ident($repr:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $repr);
    )*};
}

identifiers! {
    /// The id of one request that changes something (幂等键): a `UUIDv7` that the client makes.
    ///
    /// The same id with the same content always gets the same answer.
    RequestId(u128);
    /// An appointment, from its hold to its end. It is the [`RequestId`] of the hold.
    AppointmentId(u128);
    /// A real person who is to be seen (就诊人), as a keyed 128-bit hash. FHIR `Patient`.
    PatientId(u128);
    /// Who is logged in (账号, 代办人) and may act for several patients, as a keyed hash.
    AccountId(u128);
    /// A telephone, device or network address behind a request, as a keyed hash.
    ClientKey(u128);
    /// A restriction: the request that made it, or the appointment that was missed.
    RestrictionId(u128);
    /// What a restriction or an appeal rests on: a file, a ticket, as a reference made outside.
    EvidenceRef(u128);
    /// The reference of a payment, as the payment system gave it.
    PaymentRef(u128);
    /// One resource's contiguous period (出诊单元): a row of equal slots.
    SessionId(u64);
    /// Whatever has a calendar (资源): a practitioner, a room, a device.
    ResourceId(u64);
    /// A legal entity that offers services: a hospital. FHIR `Organization`.
    OrganizationId(u32);
    /// A service item (服务项目): what is done in a visit.
    ServiceId(u32);
    /// A department (科室) of an organization.
    DepartmentId(u32);
    /// A campus (院区) of an organization.
    SiteId(u16);
    /// The position of a slot in its session, from 0.
    SlotIndex(u16);
    /// The position of a pool (号源池) in its session, from 0.
    PoolIndex(u8);
    /// The version of the rules that a fact was decided under. 0 before there are rules.
    RulesVersion(u32);
    /// The position of a record in the journal, from 1, without gaps. 0 means "before the first".
    Sequence(u64);
}

/// Why an id cannot name a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdFault {
    /// It is no `UUIDv7`: its version or variant bits are wrong.
    Malformed,
    /// It was made longer ago than the engine remembers requests.
    TooOld,
    /// It claims to be made more than a minute from now.
    InFuture,
}

impl RequestId {
    /// Builds a `UUIDv7` (RFC 9562, section 5.7) from a time and 74 random bits.
    ///
    /// ```text
    /// 127          80 79   76 75       64 63 62 61                 0
    /// | unix ms (48) | ver 7 | rand (12) | 10 | rand (62)           |
    /// ```
    pub const fn from_parts(time: Timestamp, random: u128) -> Self {
        let millis = (time.as_millis() as u128 & 0xffff_ffff_ffff) << 80;
        let high = (random >> 62 & 0xfff) << 64;
        let low = random & 0x3fff_ffff_ffff_ffff;
        Self(millis | 0x7 << 76 | high | 0b10 << 62 | low)
    }

    /// When the client says that it made the id.
    pub const fn time(self) -> Timestamp {
        Timestamp::from_millis((self.0 >> 80) as u64)
    }

    /// Checks form and age. `retention_millis` is how long the engine remembers requests.
    ///
    /// # Errors
    ///
    /// [`IdFault`] in order of precedence.
    pub const fn check(self, now: Timestamp, retention_millis: u64) -> Result<(), IdFault> {
        if self.0 >> 76 & 0xf != 7 || self.0 >> 62 & 0b11 != 0b10 {
            return Err(IdFault::Malformed);
        }
        let (made, now) = (self.time().as_millis(), now.as_millis());
        if made.saturating_add(retention_millis) < now {
            return Err(IdFault::TooOld);
        }
        if now.saturating_add(super::limits::ID_AHEAD_MILLIS_MAX) < made {
            return Err(IdFault::InFuture);
        }
        Ok(())
    }
}

impl AppointmentId {
    /// The request that made the appointment.
    pub const fn request(self) -> RequestId {
        RequestId(self.0)
    }
}

impl Sequence {
    /// The position after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000;
    const DAY: u64 = 24 * 3_600_000;

    #[test]
    fn an_id_is_taken_only_within_its_window() {
        for (made, expected) in [
            (NOW, Ok(())),
            (NOW - DAY, Ok(())),
            (NOW - DAY - 1, Err(IdFault::TooOld)),
            (NOW + 60_000, Ok(())),
            (NOW + 60_001, Err(IdFault::InFuture)),
        ] {
            let id = RequestId::from_parts(Timestamp::from_millis(made), u128::MAX);
            assert_eq!(id.time().as_millis(), made);
            assert_eq!(id.check(Timestamp::from_millis(NOW), DAY), expected, "{made}");
        }
    }

    #[test]
    fn an_id_of_another_form_is_malformed() {
        let good = RequestId::from_parts(Timestamp::from_millis(NOW), 5).0;
        for bad in [0, 7, u128::MAX, good ^ 1 << 76, good ^ 1 << 62, good ^ 1 << 63] {
            let fault = RequestId(bad).check(Timestamp::from_millis(NOW), DAY);
            assert_eq!(fault, Err(IdFault::Malformed), "{bad:x}");
        }
    }
}
