//! Several keys of one person: who is who, and how one ledger takes over another.
//!
//! ```text
//! merge a into b     ledger of a: gives up all that a had      ledger of b: takes it over, knows a
//! command names a -> locks b's ledger -> a is b there          homes keep the key of the request
//! ```
//!
//! What a waits for before its next place (`Cooled`) is not in the fact, but said of b in the same record.
//!
//! **Architecture invariant:** the ledger in which a person is kept knows all of their keys. What the
//! inventory knows to find that ledger is derived from it.

use std::collections::BTreeMap;

use super::cooldown::hand_over;
use super::ledger::{LedgerShard, Live};
use super::persons::moved_ties;
use super::record::{KeptStrike, PatientRecord};
use super::view::{Context, Decision, View};
use super::waiting::Waits;
use crate::model::limits::KEYS_MAX;
use crate::model::{
    Estate, Fact, KeptLine, MergePatients, Organizations, Outcome, PatientId, PatientsMerged,
    Refusal,
};

/// The other keys of the people of a shard.
#[derive(Debug, Default)]
pub(super) struct Keys {
    others: BTreeMap<PatientId, Vec<PatientId>>,
    /// The other way round: derived.
    person: BTreeMap<PatientId, PatientId>,
}

impl Keys {
    pub(super) fn person(&self, key: PatientId) -> PatientId {
        self.person.get(&key).copied().unwrap_or(key)
    }

    pub(super) fn others(&self, person: PatientId) -> &[PatientId] {
        self.others.get(&person).map_or(&[], Vec::as_slice)
    }

    pub(super) fn insert(&mut self, person: PatientId, key: PatientId) {
        self.others.entry(person).or_default().push(key);
        let before = self.person.insert(key, person);
        assert!(before.is_none(), "an impossible fact: key {:032x} is merged twice", key.0);
    }

    fn remove(&mut self, person: PatientId) -> Vec<PatientId> {
        let others = self.others.remove(&person).unwrap_or_default();
        for key in &others {
            self.person.remove(key);
        }
        others
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (PatientId, PatientId)> {
        self.others.iter().flat_map(|(person, keys)| keys.iter().map(|key| (*person, *key)))
    }
}

/// Decides whether two keys are of one person from now on (密钥轮换).
///
/// # Errors
///
/// The refusal with the lowest code of those that apply. Nothing happens then.
pub fn decide_merge(
    view: &View<'_>,
    context: &Context<'_>,
    ask: &MergePatients,
) -> Result<Decision, Refusal> {
    let fingerprint = ask.fingerprint();
    if let Some(retry) = view.repeated(context.now, ask.request, fingerprint)? {
        return Ok(retry);
    }
    if context.actor.organizations != Organizations::All {
        return Err(Outcome::OrganizationNotPermitted.into());
    }
    let (from, into) = (view.person(ask.from), view.person(ask.into));
    if from == into {
        return Err(Outcome::AlreadyMerged.into());
    }
    let keys = view.other_keys(from).to_vec();
    let all = view.other_keys(into).len().saturating_add(keys.len()).saturating_add(1);
    let (request, estate) = (ask.request, view.estate(from));
    let bound = moved_ties(view, context, from, into);
    let fact = PatientsMerged { request, fingerprint, from, into, keys, estate };
    let waits = hand_over(view, context.now, &fact, &bound);
    let Some(mut others) = waits.filter(|_| all <= KEYS_MAX && fact.fits()) else {
        return Err(Outcome::MergeTooLarge.into());
    };
    let mut decision = Decision::done(context.now, Fact::PatientsMerged(Box::new(fact)));
    others.extend(bound.into_iter().map(|bound| Fact::Bound(Box::new(bound))));
    decision.facts.extend(others);
    Ok(decision)
}

impl LedgerShard {
    /// Gives up what a fact says that one of its patients had.
    ///
    /// # Panics
    ///
    /// Panics if that is not all of it: the fact is impossible.
    pub fn give_up(&mut self, fact: &PatientsMerged) {
        let PatientsMerged { from, into, .. } = *fact;
        assert!(
            from != into && self.person(from) == from,
            "an impossible fact: {:032x} is merged into itself, or was before",
            from.0
        );
        assert!(
            self.estate(from) == fact.estate,
            "an impossible fact: {:032x} has other things",
            from.0
        );
        let mut given: Vec<_> = fact.estate.live.iter().map(|line| line.appointment).collect();
        given.sort_unstable();
        given.dedup();
        for appointment in given {
            self.remove(from, appointment);
        }
        self.waiting.remove(from);
        self.records.remove(from);
        self.histories.remove(from);
        self.cooldowns.remove(from);
        self.drop_ties(from);
        let others = self.keys.as_mut().map(|keys| keys.remove(from)).unwrap_or_default();
        assert!(others == fact.keys, "an impossible fact: {:032x} has other keys", from.0);
    }

    /// Takes over what a fact says that another patient had.
    ///
    /// # Panics
    ///
    /// Panics if that is somebody's other key: the fact is impossible.
    pub(super) fn take_over(&mut self, fact: &PatientsMerged) {
        let PatientsMerged { from, into, estate, .. } = fact;
        assert!(
            self.person(*into) == *into,
            "an impossible fact: {:032x} is of somebody with another key",
            into.0
        );
        for line in &estate.live {
            let KeptLine { appointment, session, slot, since } = *line;
            self.insert(*into, Live::new(appointment, session, slot, since));
        }
        for (entry, offer) in &estate.waits {
            let mut entry = entry.clone();
            entry.patient = *into;
            self.waiting.insert(Waits { entry, offer: *offer });
        }
        self.histories.merge(*into, &estate.past);
        let strikes = estate.strikes.iter();
        let strikes = strikes.map(|(strike, is_used, is_over)| KeptStrike {
            strike: *strike,
            is_used: *is_used,
            is_over: *is_over,
        });
        self.keep(*into, strikes, &estate.restrictions);
        for key in fact.keys.iter().chain([from]) {
            self.restore_key(*into, *key);
        }
    }

    /// Everything that a patient has.
    pub fn estate(&self, patient: PatientId) -> Estate {
        let kept = |line: &Live| KeptLine {
            appointment: line.appointment(),
            session: line.session(),
            slot: line.slot,
            since: line.since().unwrap_or_default(),
        };
        let mut live: Vec<_> = self.lines(patient).map(kept).collect();
        live.sort_unstable();
        let mut past: Vec<_> = self.past(patient).collect();
        past.reverse();
        let waits = self.waits(patient).iter().map(|waits| (waits.entry.clone(), waits.offer));
        let PatientRecord { strikes, restrictions } = self.record(patient);
        let strikes = strikes.iter().map(|kept| (kept.strike, kept.is_used, kept.is_over));
        Estate { live, waits: waits.collect(), strikes: strikes.collect(), restrictions, past }
    }

    /// The key under which a person is kept here, if it is another one.
    pub fn person(&self, key: PatientId) -> PatientId {
        self.keys.as_ref().map_or(key, |keys| keys.person(key))
    }

    /// The other keys of a patient.
    pub fn other_keys(&self, patient: PatientId) -> &[PatientId] {
        self.keys.as_ref().map_or(&[], |keys| keys.others(patient))
    }

    /// Every other key with the person whose it is.
    pub fn all_keys(&self) -> impl Iterator<Item = (PatientId, PatientId)> {
        self.keys.iter().flat_map(|keys| keys.all())
    }

    /// Puts another key of a patient in, as a fact or a snapshot brings it.
    ///
    /// # Panics
    ///
    /// Panics if it is somebody's already.
    pub fn restore_key(&mut self, person: PatientId, key: PatientId) {
        self.keys.get_or_insert_default().insert(person, key);
    }
}

impl<'a> View<'a> {
    /// The key under which a person is kept, as far as the ledgers here know them.
    pub fn person(&self, key: PatientId) -> PatientId {
        let known = self.ledgers.iter().map(|(_, ledger)| ledger.person(key));
        known.into_iter().find(|person| *person != key).unwrap_or(key)
    }

    /// The other keys of a patient.
    pub fn other_keys(&self, patient: PatientId) -> &'a [PatientId] {
        self.ledger(patient).map(|ledger| ledger.other_keys(patient)).unwrap_or_default()
    }

    /// Whether a request is the one with that fingerprint, whichever key of the patient it named.
    pub fn is_same(&self, print: u64, patient: PatientId, of: impl Fn(PatientId) -> u64) -> bool {
        if of(patient) == print {
            return true;
        }
        let person = self.person(patient);
        of(person) == print || self.other_keys(person).iter().any(|key| of(*key) == print)
    }

    fn estate(&self, patient: PatientId) -> Estate {
        self.ledger(patient).map(|ledger| ledger.estate(patient)).unwrap_or_default()
    }
}
