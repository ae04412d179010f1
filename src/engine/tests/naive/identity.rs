//! Two keys of one person: whoever is named by the older key is named by the other from then on, in all
//! that was ever asked.

use super::{Naive, lowest};
use crate::model::{
    Actor, AddPlace, Amend, Appeal, Change, Command, Hold, JoinWaitlist, LeaveWaitlist,
    MergePatients, Order, Organizations, Outcome, PatientId, Pay, Receipt, Refusal, Reschedule,
    Restrict,
};

impl Naive {
    /// Who is meant by a key.
    pub(in super::super) fn person(&self, key: PatientId) -> PatientId {
        self.persons.get(&key).copied().unwrap_or(key)
    }

    pub(super) fn hold_of_person(&self, hold: &Hold) -> Hold {
        Hold { patient: hold.patient.map(|key| self.person(key)), ..hold.clone() }
    }

    /// The command as if it had named everybody by the newest key.
    pub(super) fn of_persons(&self, command: &Command) -> Command {
        let mut command = command.clone();
        each_key(&mut command, |key| self.person(key));
        command
    }

    pub(super) fn merge(&mut self, actor: &Actor, ask: &MergePatients) -> Result<Receipt, Refusal> {
        if self.merges.contains(ask) {
            return Ok(self.receipt(true));
        }
        let mut refusals = Vec::new();
        if self.is_used(ask.request) {
            refusals.push(Outcome::IdReused);
        }
        if actor.organizations != Organizations::All {
            refusals.push(Outcome::OrganizationNotPermitted);
        }
        let (from, into) = (self.person(ask.from), self.person(ask.into));
        if from == into {
            refusals.push(Outcome::AlreadyMerged);
        }
        if 3_300 < self.weight(from) {
            refusals.push(Outcome::MergeTooLarge);
        }
        lowest(&refusals)?;
        for person in self.persons.values_mut().filter(|person| **person == from) {
            *person = into;
        }
        self.persons.insert(from, into);
        self.rename(from, into);
        self.merge_accounts(from, into);
        self.merges.push(*ask);
        Ok(self.receipt(false))
    }

    fn weight(&self, who: PatientId) -> usize {
        let lines = self.ledger().iter().filter(|line| line.0 == who).count();
        let strikes = self.conduct.strikes.iter().filter(|strike| strike.0 == who).count();
        let own = self.conduct.restrictions.iter().filter(|known| known.patient == who);
        let steps: usize = own.clone().map(|known| known.kept.steps.len()).sum();
        let entries = self.entries.iter().filter(|entry| entry.join.patient == who);
        let places: usize = entries.clone().map(|entry| entry.places.len()).sum();
        let past = self.history.ended.iter().filter(|it| it.patient == who);
        let visits: Vec<_> = past.flat_map(|it| &it.visits).collect();
        let mut rooms: Vec<_> = visits.iter().map(|it| (it.place, it.appointment_type)).collect();
        rooms.sort_unstable();
        rooms.dedup();
        34 * lines
            + 6 * visits.len()
            + 21 * rooms.len()
            + 26 * strikes
            + 91 * own.count()
            + 58 * steps
            + 120 * entries.count()
            + 18 * places
    }

    fn rename(&mut self, from: PatientId, into: PatientId) {
        let keyed = |key: &mut PatientId| {
            if *key == from {
                *key = into;
            }
        };
        self.appointments.iter_mut().for_each(|it| keyed(&mut it.patient));
        let holds = self.holds.iter_mut().flatten();
        let declined = self.declined.iter_mut().map(|(hold, _)| hold);
        holds.chain(declined).filter_map(|hold| hold.patient.as_mut()).for_each(keyed);
        self.changed.iter_mut().filter_map(|it| it.patient.as_mut()).for_each(keyed);
        self.moved.iter_mut().filter_map(|it| it.patient.as_mut()).for_each(keyed);
        self.adds.iter_mut().for_each(|it| keyed(&mut it.patient));
        self.joins.iter_mut().for_each(|it| keyed(&mut it.patient));
        self.leaves.iter_mut().for_each(|it| keyed(&mut it.patient));
        self.entries.iter_mut().for_each(|it| keyed(&mut it.join.patient));
        self.history.ended.iter_mut().for_each(|it| keyed(&mut it.patient));
        self.billing.names.iter_mut().for_each(|it| keyed(&mut it.patient));
        let conduct = &mut self.conduct;
        conduct.strikes.iter_mut().for_each(|it| keyed(&mut it.0));
        conduct.restrictions.iter_mut().for_each(|it| keyed(&mut it.patient));
        conduct.cooldowns.iter_mut().for_each(|it| keyed(&mut it.0));
        conduct.restricts.iter_mut().for_each(|it| keyed(&mut it.patient));
        conduct.amends.iter_mut().for_each(|it| keyed(&mut it.patient));
        conduct.appeals.iter_mut().for_each(|(it, _)| keyed(&mut it.patient));
    }
}

/// Exchanges every key of a patient that a command names, but those of a merge.
pub(in super::super) fn each_key(command: &mut Command, of: impl Fn(PatientId) -> PatientId) {
    let key = |key: &mut PatientId| *key = of(*key);
    match command {
        Command::Hold(Hold { patient, .. })
        | Command::Change(Change { patient, .. })
        | Command::Order(Order { patient, .. })
        | Command::Pay(Pay { patient, .. }) => {
            patient.iter_mut().for_each(key);
        }
        Command::Reschedule(ask) => {
            let Reschedule { patient, .. } = &mut **ask;
            patient.iter_mut().for_each(key);
        }
        Command::AddPlace(AddPlace { patient, .. })
        | Command::LeaveWaitlist(LeaveWaitlist { patient, .. }) => key(patient),
        Command::JoinWaitlist(join) => {
            let JoinWaitlist { patient, .. } = &mut **join;
            key(patient);
        }
        Command::Restrict(ask) => {
            let Restrict { patient, .. } = &mut **ask;
            key(patient);
        }
        Command::Amend(ask) => {
            let Amend { patient, .. } = &mut **ask;
            key(patient);
        }
        Command::Appeal(ask) => {
            let Appeal { patient, .. } = &mut **ask;
            key(patient);
        }
        Command::NamePatient(name) => key(&mut name.patient),
        Command::Refund(_)
        | Command::OpenSession(_)
        | Command::SetQuotas(_)
        | Command::BlockSession(_)
        | Command::Substitute(_)
        | Command::RevealDraw(_)
        | Command::CallNext(_)
        | Command::ApplyRules(_)
        | Command::MergePatients(_) => {}
    }
}
