//! Requests that are encoded once and then patched: what differs is a few bytes.
//!
//! The places of those bytes are found, not known: marks are encoded with the protocol's own
//! writer and looked up in what came out.
//!
//! **Architecture invariant:** a patched template is what the protocol's writer would have written.

use haoyuan::model::{
    AccountId, Action, AppointmentId, BookingChannel, Change, ClaimRequest, ClientKeys, Hold,
    PatientClass, PatientId, PaymentRef, Query, RequestId, SessionId, SlotChoice, SlotIndex, Ttl,
};
use haoyuan::protocol::{Request, append_item, write_request};

use super::wish::account_key;
use crate::clock;
use crate::random::Random;
use crate::supply::Supply;

/// An item: its length, then a request.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    appointment: Option<usize>,
    request: Option<usize>,
    patient: Option<usize>,
    account: Option<usize>,
    session: Option<usize>,
    slot: Option<usize>,
}

/// What differs from request to request. What a template has no place for is left out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Patch {
    pub(crate) correlation: u32,
    pub(crate) request: u128,
    pub(crate) appointment: u128,
    pub(crate) patient: u128,
    pub(crate) session: u64,
    pub(crate) slot: u16,
}

const APPOINTMENT: u128 = 0x0101_0101_0101_0101_1111_1111_1111_1111;
const REQUEST: u128 = 0x0202_0202_0202_0202_1212_1212_1212_1212;
const PATIENT: u128 = 0x0303_0303_0303_0303_1313_1313_1313_1313;
const ACCOUNT: u128 = 0x0404_0404_0404_0404_1414_1414_1414_1414;
const SESSION: u64 = 0x0505_0505_1515_1515;
const SLOT: u16 = 0xfedc;

/// Behind the item's length.
const CORRELATION_AT: usize = 2;

impl Template {
    /// A hold of one slot, or of any slot of the session, for a patient with an account.
    pub(crate) fn hold(any: bool) -> Self {
        let slots = if any { SlotChoice::Any } else { SlotChoice::at(SlotIndex(SLOT)) };
        let claim = ClaimRequest { session: SessionId(SESSION), count: 1, slots };
        let keys = ClientKeys { account: Some(AccountId(ACCOUNT)), ..ClientKeys::default() };
        Self::of(&Request::from(Hold { claims: std::iter::once(claim).collect(), ..hold(keys) }))
    }

    /// The same for some slot, for so long.
    pub(crate) fn hold_for(ttl: Ttl) -> Self {
        let slots = SlotChoice::at(SlotIndex(SLOT));
        let claim = ClaimRequest { session: SessionId(SESSION), count: 1, slots };
        let keys = ClientKeys { account: Some(AccountId(ACCOUNT)), ..ClientKeys::default() };
        let claims = std::iter::once(claim).collect();
        Self::of(&Request::from(Hold { claims, ttl, ..hold(keys) }))
    }

    /// A change of an appointment.
    pub(crate) fn change(action: Action) -> Self {
        Self::of(&Request::from(Change {
            request: RequestId(REQUEST),
            appointment: AppointmentId(APPOINTMENT),
            patient: Some(PatientId(PATIENT)),
            channel: BookingChannel::default(),
            action,
        }))
    }

    /// A confirmation with some payment.
    pub(crate) fn book() -> Self {
        Self::change(Action::Book { payment: PaymentRef(0x7061_6964) })
    }

    /// A reading of a session.
    pub(crate) fn availability() -> Self {
        Self::of(&Request::from(Query::Availability {
            session: SessionId(SESSION),
            channel: BookingChannel::default(),
            class: PatientClass::Outpatient,
        }))
    }

    fn of(request: &Request) -> Self {
        let mut bytes = Vec::new();
        append_item(&mut bytes, |buffer| write_request(0, request, buffer));
        let at = |mark: &[u8]| bytes.windows(mark.len()).position(|window| window == mark);
        Self {
            appointment: at(&APPOINTMENT.to_le_bytes()),
            request: at(&REQUEST.to_le_bytes()),
            patient: at(&PATIENT.to_le_bytes()),
            account: at(&ACCOUNT.to_le_bytes()),
            session: at(&SESSION.to_le_bytes()),
            slot: at(&SLOT.to_le_bytes()),
            bytes,
        }
    }

    /// The item with everything in its place.
    #[inline]
    pub(crate) fn patched(&mut self, patch: &Patch) -> &[u8] {
        self.put(Some(CORRELATION_AT), patch.correlation.to_le_bytes());
        self.put(self.appointment, patch.appointment.to_le_bytes());
        self.put(self.request, patch.request.to_le_bytes());
        self.put(self.patient, patch.patient.to_le_bytes());
        self.put(self.account, account_key(patch.patient).to_le_bytes());
        self.put(self.session, patch.session.to_le_bytes());
        self.put(self.slot, patch.slot.to_le_bytes());
        &self.bytes
    }

    #[inline]
    fn put<const N: usize>(&mut self, at: Option<usize>, value: [u8; N]) {
        if let Some(at) = at
            && let Some(place) = self.bytes.get_mut(at..at + N)
        {
            place.copy_from_slice(&value);
        }
    }
}

/// A hold of some slot for somebody else each time: for those who send few.
pub(crate) fn one_hold(supply: &Supply, random: &mut Random, number: u32) -> Request {
    let session = SessionId(supply.first + u64::from(random.below(supply.sessions)));
    let slot = u16::try_from(random.below(supply.slots)).unwrap_or(0);
    let bits = u128::from(random.next()) << 32 | u128::from(random.next());
    let slots = SlotChoice::at(SlotIndex(slot));
    Request::from(Hold {
        appointment: AppointmentId(RequestId::from_parts(clock::wall(), bits).0),
        patient: Some(PatientId(u128::from(number))),
        claims: std::iter::once(ClaimRequest { session, count: 1, slots }).collect(),
        ..hold(ClientKeys::default())
    })
}

/// A hold with nothing in it yet.
fn hold(keys: ClientKeys) -> Hold {
    Hold { keys, ..Hold::of(AppointmentId(APPOINTMENT), PatientId(PATIENT), []) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use haoyuan::model::Command;
    use haoyuan::protocol::decode_request;

    const PATCH: Patch =
        Patch { correlation: 9, request: 1, appointment: 2, patient: 3, session: 4, slot: 5 };

    fn read(mut template: Template) -> Request {
        let item = template.patched(&PATCH).to_vec();
        let (correlation, request) = decode_request(&item[2..]).unwrap();
        assert_eq!((usize::from(item[0]) + 2, correlation), (item.len(), 9));
        request
    }

    #[test]
    fn what_is_patched_is_what_is_read() {
        for (any, expected) in [(true, SlotChoice::Any), (false, SlotChoice::at(SlotIndex(5)))] {
            let Request::Command(Command::Hold(hold)) = read(Template::hold(any)) else { panic!() };
            assert_eq!((hold.appointment, hold.patient), (AppointmentId(2), Some(PatientId(3))));
            assert_eq!(hold.keys.account, Some(AccountId(account_key(3))));
            assert_eq!((hold.claims[0].session, &hold.claims[0].slots), (SessionId(4), &expected));
        }
        for template in [Template::book(), Template::change(Action::Cancel)] {
            let Request::Command(Command::Change(change)) = read(template) else { panic!() };
            assert_eq!((change.request, change.appointment), (RequestId(1), AppointmentId(2)));
            assert_eq!(change.patient, Some(PatientId(3)));
        }
        let Request::Query(Query::Availability { session, .. }) = read(Template::availability())
        else {
            panic!()
        };
        assert_eq!(session, SessionId(4));
    }
}
