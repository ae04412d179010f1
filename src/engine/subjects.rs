//! Who stands behind appointments: telephones, which lie beside them, and the ledgers of all whom rules
//! count of.
//!
//! ```text
//! hold, with a rule that asks for telephones     Held | Phoned       an appointment itself keeps its account
//! whoever acts later                             View::subjects      patient, account, telephone if known
//! ```
//!
//! **Architecture invariant:** a telephone is known where rules asked for it when the hold was made; whoever
//! acts later must cope with none.

use std::collections::BTreeMap;

use super::view::{Context, View};
use crate::model::{Appointment, AppointmentId, ClientKey, Fact, Phoned, Subjects};

/// The telephones that appointments of a home were asked for with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Phones(BTreeMap<AppointmentId, ClientKey>);

impl Phones {
    /// That of an appointment, if it is known.
    pub fn of(&self, appointment: AppointmentId) -> Option<ClientKey> {
        self.0.get(&appointment).copied()
    }

    /// All that are known, by appointment.
    pub fn all(&self) -> impl ExactSizeIterator<Item = (AppointmentId, ClientKey)> + '_ {
        self.0.iter().map(|(id, phone)| (*id, *phone))
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes one, as a fact or a snapshot brings it.
    ///
    /// # Panics
    ///
    /// Panics if that of the appointment is known: the fact is impossible.
    pub fn note(&mut self, phoned: &Phoned) {
        let before = self.0.insert(phoned.appointment, phoned.phone);
        let id = phoned.appointment.0;
        assert!(before.is_none(), "an impossible fact: {id:032x} has a telephone already");
    }

    /// The appointment leaves memory.
    pub(super) fn forget(&mut self, appointment: AppointmentId) {
        self.0.remove(&appointment);
    }
}

/// What is kept of the telephone of a hold: nothing where no rule asks for it.
pub(super) fn phoned(
    context: &Context<'_>,
    appointment: AppointmentId,
    phone: Option<ClientKey>,
) -> Option<Fact> {
    let phone = phone.filter(|_| context.rules.asked().phone)?;
    Some(Fact::Phoned(Phoned { appointment, phone }))
}

impl View<'_> {
    /// The telephone that an appointment was asked for with, if it is known.
    pub fn phone(&self, id: AppointmentId) -> Option<ClientKey> {
        self.homes.iter().find_map(|home| home.phones().of(id))
    }

    /// Who stands behind an appointment, each by the key of a ledger. Those of accounts and telephones are
    /// here where rules in force ask for them.
    pub fn subjects(&self, appointment: &Appointment) -> Subjects {
        appointment.subjects(self.phone(appointment.id))
    }
}
