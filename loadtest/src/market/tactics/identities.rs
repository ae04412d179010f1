//! Many real identities: the ring's papers are spread over accounts of few patients each, as families have.

use super::Tactic;
use crate::market::crowd::{Person, RING};
use crate::market::scenario::Scenario;

#[derive(Debug)]
pub(super) struct Identities;

impl Tactic for Identities {
    fn dress(&mut self, scenario: &Scenario, identities: &mut [Person]) {
        let each = scenario.ring.patients_per_account;
        for (number, person) in (0_u32..).zip(identities) {
            let account = RING + u64::from(number / each);
            (person.account, person.device, person.address) = (account, account, account);
        }
    }
}
