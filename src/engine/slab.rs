//! An appointment as it lies in memory: 112 bytes.
//!
//! The first claim lies in the entry; the few appointments with more keep them in a box.

use super::chunks::{Chunks, Position};
use crate::model::{
    AccountId, Appointment, AppointmentId, AppointmentStatus, BookingChannel, Cause, Claim, Claims,
    OrganizationId, PatientClass, PatientId, PaymentRef, PoolIndex, RulesVersion, SessionId,
    Sharing, SlotIndex, Timestamp,
};

/// Appointments by position.
#[derive(Debug, Default)]
pub(super) struct Slab(Chunks<Entry>);

/// An appointment, packed. Fields in the order of their alignment.
#[derive(Debug)]
pub(super) struct Entry {
    id: u128,
    patient: u128,
    account: u128,
    payment: u128,
    until: u64,
    fingerprint: u64,
    session: u64,
    more: Option<Box<Claims>>,
    organization: u32,
    rules: u32,
    slot: u16,
    count: u8,
    pool: u8,
    channel: BookingChannel,
    /// Two bits each of sharing and the lower part of the cause, three of status, one for "occupied".
    state: u8,
    /// Three bits of class, one for "has an account", one for "has a payment", one more of cause.
    marks: u8,
}

const _: () = assert!(size_of::<Entry>() == 112, "an appointment is 112 bytes");

const OCCUPIED: u8 = 1 << 7;
const HAS_ACCOUNT: u8 = 1 << 3;
const HAS_PAYMENT: u8 = 1 << 4;
/// Where the third bit of a cause is.
const CAUSE_SHIFT: u32 = 5;

impl Slab {
    pub(super) fn insert(&mut self, appointment: &Appointment) -> Position {
        self.0.insert(Entry::pack(appointment))
    }

    pub(super) fn remove(&mut self, position: Position) {
        let entry = self.0.get_mut(position);
        entry.state = 0;
        entry.more = None;
        self.0.remove(position);
    }

    pub(super) fn get(&self, position: Position) -> &Entry {
        self.0.get(position)
    }

    pub(super) fn entry_mut(&mut self, position: Position) -> &mut Entry {
        self.0.get_mut(position)
    }

    /// The live ones in one of the sessions, which are in order.
    pub(super) fn live_in(&self, sessions: &[SessionId]) -> impl Iterator<Item = AppointmentId> {
        self.0.iter().filter(|entry| entry.is_live_in(sessions)).map(Entry::id)
    }

    /// Every appointment, in the order of positions.
    pub(super) fn iter(&self) -> impl Iterator<Item = Appointment> + '_ {
        self.0.iter().filter(|entry| entry.is_occupied()).map(Entry::unpack)
    }
}

impl Entry {
    fn pack(appointment: &Appointment) -> Self {
        let (first, rest) = appointment
            .claims
            .split_first()
            .expect("an impossible fact: an appointment takes no place");
        let mut marks = appointment.class as u8;
        if appointment.account.is_some() {
            marks |= HAS_ACCOUNT;
        }
        let mut entry = Self {
            id: appointment.id.0,
            patient: appointment.patient.0,
            account: appointment.account.map_or(0, |account| account.0),
            payment: 0,
            until: 0,
            fingerprint: appointment.fingerprint,
            session: first.session.0,
            more: (!rest.is_empty()).then(|| Box::new(rest.iter().copied().collect())),
            organization: appointment.organization.0,
            rules: appointment.rules.0,
            slot: first.slot.0,
            count: first.count,
            pool: first.pool.0,
            channel: appointment.channel,
            state: OCCUPIED | (appointment.sharing as u8) << 5,
            marks,
        };
        entry.set_status(appointment.status, appointment.cause, appointment.until);
        if let Some(payment) = appointment.payment {
            entry.set_payment(payment);
        }
        entry
    }

    pub(super) fn unpack(&self) -> Appointment {
        let mut claims = Claims::new();
        claims.push(self.first());
        if let Some(rest) = &self.more {
            claims.extend_from_slice(rest);
        }
        Appointment {
            id: AppointmentId(self.id),
            patient: PatientId(self.patient),
            account: (self.marks & HAS_ACCOUNT != 0).then_some(AccountId(self.account)),
            organization: OrganizationId(self.organization),
            channel: self.channel,
            class: CLASSES.get(usize::from(self.marks & 7)).copied().unwrap_or_default(),
            sharing: SHARINGS.get(usize::from(self.state >> 5 & 3)).copied().unwrap_or_default(),
            status: self.status(),
            cause: self.cause(),
            until: self.until(),
            fingerprint: self.fingerprint,
            payment: (self.marks & HAS_PAYMENT != 0).then_some(PaymentRef(self.payment)),
            rules: RulesVersion(self.rules),
            claims,
        }
    }

    const fn first(&self) -> Claim {
        Claim {
            session: SessionId(self.session),
            slot: SlotIndex(self.slot),
            count: self.count,
            pool: PoolIndex(self.pool),
        }
    }

    pub(super) const fn id(&self) -> AppointmentId {
        AppointmentId(self.id)
    }

    fn cause(&self) -> Cause {
        let cause = self.state >> 3 & 3 | (self.marks >> CAUSE_SHIFT & 1) << 2;
        CAUSES.get(usize::from(cause)).copied().unwrap_or_default()
    }

    /// Whether it lost its places to a block and has no others.
    pub(super) fn is_displaced(&self) -> bool {
        self.cause() == Cause::Displaced
            && self.is_occupied()
            && self.status() == AppointmentStatus::Booked
    }

    /// Whether it is live and has, or had, a place in one of the sessions, which are in order.
    pub(super) fn is_live_in(&self, sessions: &[SessionId]) -> bool {
        let is_in = |session: SessionId| sessions.binary_search(&session).is_ok();
        self.is_occupied()
            && (is_in(SessionId(self.session))
                || self.more.iter().any(|more| more.iter().any(|claim| is_in(claim.session))))
            && self.status().is_live()
    }

    /// Whether these are the places that it takes.
    pub(super) fn takes(&self, claims: &[Claim]) -> bool {
        if self.is_displaced() {
            return claims.is_empty();
        }
        let Some((first, rest)) = claims.split_first() else { return false };
        *first == self.first() && rest == self.more.as_deref().map_or(&[][..], Claims::as_slice)
    }

    pub(super) const fn is_occupied(&self) -> bool {
        self.state & OCCUPIED != 0
    }

    pub(super) fn status(&self) -> AppointmentStatus {
        // The eighth status is 0 in three bits.
        let index = usize::from((self.state & 7).wrapping_sub(1) & 7);
        *AppointmentStatus::ALL.get(index).expect("only packed statuses are stored")
    }

    pub(super) const fn until(&self) -> Timestamp {
        Timestamp::from_millis(self.until)
    }

    /// Whether this is a hold with that deadline.
    pub(super) fn is_pending_until(&self, until: Timestamp) -> bool {
        self.is_occupied()
            && self.status() == AppointmentStatus::Pending
            && self.until == until.as_millis()
    }

    pub(super) fn set_status(&mut self, status: AppointmentStatus, cause: Cause, until: Timestamp) {
        self.state = self.state & 0b1110_0000 | (cause as u8 & 3) << 3 | status as u8 & 7;
        self.marks = self.marks & !(1 << CAUSE_SHIFT) | (cause as u8 >> 2) << CAUSE_SHIFT;
        self.until = until.as_millis();
    }

    /// Moves the deadline of a hold.
    pub(super) const fn set_deadline(&mut self, until: Timestamp) {
        self.until = until.as_millis();
    }

    /// Makes it a patient's.
    pub(super) const fn set_patient(&mut self, patient: PatientId, class: PatientClass) {
        self.patient = patient.0;
        self.marks = self.marks & !7 | class as u8;
    }

    /// Gives it other places.
    pub(super) fn set_claims(&mut self, claims: &[Claim]) {
        let (first, rest) =
            claims.split_first().expect("an impossible fact: an appointment takes no place");
        (self.session, self.slot) = (first.session.0, first.slot.0);
        (self.count, self.pool) = (first.count, first.pool.0);
        self.more = (!rest.is_empty()).then(|| Box::new(rest.iter().copied().collect()));
    }

    /// Puts it into a session of another organization, or one that shares otherwise.
    pub(super) fn set_sharing(&mut self, organization: OrganizationId, sharing: Sharing) {
        self.organization = organization.0;
        self.state = self.state & 0b1001_1111 | (sharing as u8) << 5;
    }

    pub(super) fn set_payment(&mut self, payment: PaymentRef) {
        self.payment = payment.0;
        self.marks |= HAS_PAYMENT;
    }
}

const CLASSES: [PatientClass; 5] = [
    PatientClass::Outpatient,
    PatientClass::Inpatient,
    PatientClass::CheckUp,
    PatientClass::Emergency,
    PatientClass::Referral,
];
const SHARINGS: [Sharing; 3] = [Sharing::Own, Sharing::Read, Sharing::Cancel];
const CAUSES: [Cause; 6] = [
    Cause::None,
    Cause::Released,
    Cause::Expired,
    Cause::Cancelled,
    Cause::Displaced,
    Cause::NotDrawn,
];
const _: () = assert!(Cause::NotDrawn as u8 == 5, "a cause is its position, in three bits");
