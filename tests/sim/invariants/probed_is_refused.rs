//! It is never written down that somebody probes without as many holds of theirs refused, as a rule of
//! that version says.

use std::collections::BTreeMap;

use haoyuan::model::{AccountId, ClientKey, Command, Fact, Hold, PatientId, Probed};

use super::{History, Invariant, Sight, ensure};
use crate::ask::Body;

/// Holds that found nothing, and how many of them were written down, by who asked.
#[derive(Default)]
pub(super) struct ProbedIsRefused {
    refused: BTreeMap<PatientId, u64>,
    told: BTreeMap<PatientId, u64>,
}

impl Invariant for ProbedIsRefused {
    fn name(&self) -> &'static str {
        "probed_is_refused"
    }

    fn see(&mut self, sight: &Sight<'_>, history: &History) -> Result<(), String> {
        match sight {
            Sight::Decided { ask, reply, .. } => {
                if let Body::Command(Command::Hold(hold)) = &ask.body
                    && reply.outcome().says_nothing_is_there()
                {
                    for key in keys(hold) {
                        *self.refused.entry(key).or_default() += 1;
                    }
                }
                Ok(())
            }
            Sight::Durable(record) => {
                for fact in &record.facts {
                    if let Fact::Probed(fact) = fact {
                        self.look(fact, history)?;
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl ProbedIsRefused {
    fn look(&mut self, fact: &Probed, history: &History) -> Result<(), String> {
        *self.told.entry(fact.patient).or_default() += u64::from(fact.count);
        // By any key of a person.
        let sum = |of: &BTreeMap<PatientId, u64>| -> u64 {
            let own = of.iter().filter(|(key, _)| history.person(**key) == fact.patient);
            own.map(|(_, count)| count).sum()
        };
        let (refused, told) = (sum(&self.refused), sum(&self.told));
        ensure(told <= refused, || format!("{fact:?}: {told} of {refused} refusals"))?;
        let rules = history.rules.iter().find(|rules| rules.version == fact.rule.version);
        let layer = rules.and_then(|rules| rules.layers.get(usize::from(fact.rule.layer)));
        let said = layer.and_then(|layer| layer.probing).is_some_and(|rule| {
            let is_it = (rule.of, rule.mode) == (fact.of, fact.mode);
            is_it && rule.refusals <= fact.count
        });
        ensure(said, || format!("{fact:?} by no rule"))
    }
}

/// Everybody of whom a rule may count a hold.
fn keys(hold: &Hold) -> Vec<PatientId> {
    let account = hold.keys.account.map(AccountId::holder);
    let phone = hold.keys.phone.map(ClientKey::phone_holder);
    [hold.patient, account, phone].into_iter().flatten().collect()
}
