//! Who asks: patients, the elderly at the counter, and the identities of the ring.
//!
//! ```text
//! 0 .. elderly .. honest | honest .. honest + identities
//! counter       apps     | the ring
//! ```
//!
//! **Architecture invariant:** people are numbers here and keys on the wire; which number a key is, only
//! this file knows, so that the journal can be counted without asking whoever played.

use haoyuan::model::{AccountId, BookingChannel, ClientKey, ClientKeys, PatientId};

use super::scenario::Scenario;
use crate::random::{Random, mix};

/// What somebody is in a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Wants a place through an app or a telephone.
    Patient,
    /// Comes to the counter.
    Elder,
    /// Is one of the ring's identities.
    Ring,
}

/// Somebody, with what a gateway knows of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Person {
    pub(crate) side: Side,
    /// Numbers of things: who has the same has the same thing.
    pub(crate) account: u64,
    pub(crate) device: u64,
    pub(crate) address: u64,
    pub(crate) channel: BookingChannel,
}

/// Everybody.
#[derive(Clone, Debug)]
pub(crate) struct Crowd {
    pub(crate) people: Vec<Person>,
    pub(crate) honest: u32,
}

impl Crowd {
    /// The people of a scenario, the same for the same seed. The ring is not dressed by its tactics yet:
    /// it has one account, one device and one address.
    pub(crate) fn new(scenario: &Scenario, seed: u64) -> Self {
        let mut random = Random::new(mix(seed ^ 0xc0d));
        let honest = &scenario.honest;
        let mut people = Vec::new();
        let mut family = 0;
        let mut left = 0;
        for number in 0..honest.count {
            if left == 0 {
                family = number;
                // A family is three people, so a third as often begins one.
                let begins = honest.families / (3.0 - 2.0 * honest.families);
                left = if chance(&mut random, begins) { 3 } else { 1 };
            }
            left -= 1;
            let is_elder = number < honest.elderly;
            people.push(Person {
                side: if is_elder { Side::Elder } else { Side::Patient },
                account: u64::from(family),
                device: u64::from(family),
                address: u64::from(number / honest.people_per_address),
                channel: if is_elder {
                    BookingChannel::default()
                } else {
                    door(scenario, &mut random)
                },
            });
        }
        for _ in 0..scenario.ring.identities {
            people.push(Person {
                side: Side::Ring,
                account: RING,
                device: RING,
                address: RING,
                channel: door(scenario, &mut random),
            });
        }
        Self { people, honest: honest.count }
    }

    /// The ring's identities.
    pub(crate) fn ring(&mut self) -> &mut [Person] {
        &mut self.people[self.honest as usize..]
    }

    /// Whether a person is one of the ring.
    pub(crate) fn is_ring(&self, person: u32) -> bool {
        self.honest <= person
    }

    /// Whom a patient's key is of.
    pub(crate) fn of_patient(&self, patient: u128) -> Option<u32> {
        let number = u32::try_from((patient & u128::from(u64::MAX)).checked_sub(1)?).ok()?;
        let is_known = (number as usize) < self.people.len() && patient_key(number).0 == patient;
        is_known.then_some(number)
    }
}

impl Person {
    /// What a gateway passes of who asks. A counter passes no account.
    pub(crate) fn keys(&self) -> ClientKeys {
        if self.side == Side::Elder {
            return ClientKeys::default();
        }
        ClientKeys {
            account: Some(AccountId(wide(self.account, 1))),
            phone: Some(ClientKey(wide(self.account, 2))),
            device: Some(ClientKey(wide(self.device, 3))),
            address: Some(ClientKey(wide(self.address, 4))),
        }
    }
}

/// The key of a person.
pub(crate) fn patient_key(person: u32) -> PatientId {
    let number = u64::from(person) + 1;
    PatientId(u128::from(mix(number)) << 64 | u128::from(number))
}

/// True in so many of one.
pub(crate) fn chance(random: &mut Random, share: f64) -> bool {
    unit(random) < share
}

/// A number from 0 to 1, never 1.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
pub(crate) fn unit(random: &mut Random) -> f64 {
    (random.next() >> 11) as f64 / (1_u64 << 53) as f64
}

/// A number between two.
pub(crate) fn between(random: &mut Random, [least, most]: [f64; 2]) -> f64 {
    least + (most - least) * unit(random)
}

/// A door, each as often as people use it.
fn door(scenario: &Scenario, random: &mut Random) -> BookingChannel {
    let doors = || scenario.gateways.iter();
    let mut at = random.below(doors().map(|door| door.share).sum());
    for door in doors() {
        if at < door.share {
            return BookingChannel::new(door.channel).unwrap_or_default();
        }
        at -= door.share;
    }
    BookingChannel::default()
}

fn wide(number: u64, kind: u64) -> u128 {
    u128::from(mix(number ^ kind << 56)) << 64 | u128::from(number) << 8 | u128::from(kind)
}

/// Where the numbers of the ring's things begin.
pub(crate) const RING: u64 = 1 << 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_found_again_by_their_keys_and_use_doors_as_the_scenario_says() {
        let scenario = Scenario::built_in().unwrap();
        let crowd = Crowd::new(&scenario, 7);
        assert_eq!(crowd.people.len(), 2_050);
        for person in [0, 199, 200, 1_999, 2_000, 2_049] {
            assert_eq!(crowd.of_patient(patient_key(person).0), Some(person));
        }
        assert_eq!(crowd.of_patient(patient_key(5_000).0), None);
        assert_eq!(crowd.of_patient(17), None);
        let of = |channel: u8| {
            crowd.people.iter().filter(|person| person.channel.number() == channel).count()
        };
        assert_eq!(of(0), 200);
        assert!(
            (800..1_050).contains(&of(1)) && (550..750).contains(&of(2)),
            "{} {}",
            of(1),
            of(2)
        );
    }

    #[test]
    fn three_at_most_share_an_account_and_as_many_as_the_scenario_says_do() {
        let scenario = Scenario::built_in().unwrap();
        let crowd = Crowd::new(&scenario, 7);
        let mut sizes = std::collections::BTreeMap::new();
        for person in &crowd.people[..2_000] {
            *sizes.entry(person.account).or_insert(0_u32) += 1;
        }
        let shared: u32 = sizes.values().filter(|size| 1 < **size).sum();
        assert!(sizes.values().all(|size| *size <= 3));
        assert!((450..750).contains(&shared), "{shared}");
    }
}
