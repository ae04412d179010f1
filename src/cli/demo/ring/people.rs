//! The people of the scene and the ring's identities: who there is, and their keys.
//!
//! ```text
//! 0 .. honest | honest .. honest + identities
//! people      | the ring
//! ```
//!
//! **Architecture invariant:** people are numbers here and keys on the wire; which number a key is, only this
//! file knows, so that the journal can be counted without asking whoever played.

use super::population::{Population, Tactic};
use crate::cli::demo::patients::Dice;
use crate::model::{AccountId, BookingChannel, ClientKey, ClientKeys, PatientId};

/// Somebody, with what a gateway knows of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Person {
    pub(super) number: u32,
    pub(super) is_ring: bool,
    /// Numbers of things: who has the same has the same thing.
    account: u32,
    address: u32,
    pub(super) channel: BookingChannel,
}

/// Everybody: people first, then the ring's identities.
pub(super) fn everybody(population: &Population) -> Vec<Person> {
    let (honest, ring) = (&population.honest, &population.ring);
    let mut dice = Dice::new(SEED);
    let mut people = Vec::new();
    let (mut family, mut left) = (0, 0_u32);
    for number in 0..honest.count {
        if left == 0 {
            family = number;
            // A family is three people, so a third as often begins one.
            let begins = honest.families / (3.0 - 2.0 * honest.families);
            left = if dice.share() < begins { 3 } else { 1 };
        }
        left -= 1;
        let address = number / honest.people_per_address.max(1);
        let channel = door(population, &mut dice);
        people.push(Person { number, is_ring: false, account: family, address, channel });
    }
    let each = if ring.tactics.contains(&Tactic::Identities) {
        ring.patients_per_account.max(1)
    } else {
        ring.identities.max(1)
    };
    for identity in 0..ring.identities {
        let account = honest.count + identity / each;
        let channel = door(population, &mut dice);
        let number = honest.count + identity;
        people.push(Person { number, is_ring: true, account, address: account, channel });
    }
    people
}

/// A door, each as often as people use it.
fn door(population: &Population, dice: &mut Dice) -> BookingChannel {
    let doors = population.gateways.iter();
    let mut at = dice.below(doors.clone().map(|door| u64::from(door.share)).sum::<u64>().max(1));
    for door in doors {
        match at.checked_sub(door.share.into()) {
            Some(left) => at = left,
            None => return BookingChannel::new(door.channel).unwrap_or_default(),
        }
    }
    BookingChannel::default()
}

/// The key of a person.
pub(super) fn patient_of(number: u32) -> PatientId {
    PatientId(FIRST_PATIENT + u128::from(number))
}

/// Whose key it is, if it is of somebody in this scene.
pub(super) fn number_of(patient: PatientId) -> Option<u32> {
    let number = u32::try_from(patient.0.checked_sub(FIRST_PATIENT)?).ok()?;
    (number < PATIENTS_MAX).then_some(number)
}

impl Person {
    pub(super) fn patient(self) -> PatientId {
        patient_of(self.number)
    }

    /// What a gateway passes of who asks: rules are told of accounts, telephones, devices, addresses.
    pub(super) fn keys(self) -> ClientKeys {
        let key = |number: u32, kind: u128| FIRST_PATIENT * kind + u128::from(number);
        ClientKeys {
            account: Some(AccountId(key(self.account, 2))),
            phone: Some(ClientKey(key(self.account, 3))),
            device: Some(ClientKey(key(self.account, 4))),
            address: Some(ClientKey(key(self.address, if self.is_ring { 6 } else { 5 }))),
        }
    }
}

/// Where the patients of this scene begin, and how many there may be.
const FIRST_PATIENT: u128 = 3_000_000_000;
const PATIENTS_MAX: u32 = 1_000_000;

/// The same people in every run.
const SEED: u64 = 6;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn people_are_found_again_by_their_keys_and_few_share_an_account() {
        let population = Population::read().unwrap();
        let people = everybody(&population);
        let mut accounts = BTreeMap::new();
        for person in &people {
            assert_eq!(number_of(person.patient()), Some(person.number));
            *accounts.entry(person.keys().account.unwrap().0).or_insert(0_u32) += 1;
        }
        let ring = people.iter().filter(|person| person.is_ring).count();
        assert_eq!((people.len(), ring), (246, 6));
        assert!(accounts.values().all(|people| *people <= 3), "{accounts:?}");
        assert_eq!((number_of(PatientId(7)), number_of(PatientId(u128::MAX))), (None, None));
    }
}
