//! The rulebook behind its lock, which is taken before all others.
//!
//! ```text
//! command   read the rulebook -> homes < ledger < sessions -> decide -> append -> evolve -> unlock all
//! upkeep    the same: what the node does unasked is decided under rules too
//! apply     write the rulebook -> home -> decide -> append -> evolve
//! ```
//!
//! **Architecture invariant:** whatever makes a record is decided under one version, which the record
//! names, and the record of that version lies before it.

use super::Inventory;
use super::group::Group;
use super::shards::{Locked, SHARD_COUNT};
use crate::engine::{
    Catalog, Context, Decision, PatientRecord, Rulebook, Ties, active, decide_rules,
};
use crate::model::{
    Actor, AdmissionRule, Answer, ApplyRules, CivilTime, Cooldown, Fact, Facts, KeptRestriction,
    LISTED_MAX, PatientId, Reading, Receipt, RecordReading, Restriction, Role, Rules, RulesReading,
    Sequence, SessionId, Stay, Timestamp,
};

impl Catalog for Inventory {
    fn stay(&self, session: SessionId) -> Option<Stay> {
        self.directory.stay(session)
    }

    fn person(&self, key: PatientId) -> PatientId {
        self.ledgers.person(key)
    }
}

impl Inventory {
    /// Puts rules in force from an instant on, or refuses.
    pub fn apply_rules(
        &self,
        context: &Context<'_>,
        apply: &ApplyRules,
        append: impl FnOnce(&Facts) -> Sequence,
    ) -> Answer<Receipt> {
        let mut book = self.rules.write();
        let mut group = Group::of_homes(&self.homes, &[apply.request]);
        // They are put in force under those that are in force now.
        let context = self.by_the_book(&book.state, context);
        let decided = group.view(|view| decide_rules(view, &context, &book.state, apply));
        let Ok(Decision { facts, .. }) = &decided else {
            return self.conclude(&mut group, &context, decided, append);
        };
        let facts = facts.clone();
        let answer = self.conclude(&mut group, &context, decided, append);
        for fact in &facts {
            evolve_rules(&mut book, answer.after, fact);
        }
        answer
    }

    /// Lets a command be decided under the rules that are in force.
    pub(super) fn under_rules<T>(
        &self,
        context: &Context<'_>,
        decide: impl FnOnce(&Context<'_>) -> Answer<T>,
    ) -> Answer<T> {
        let book = self.rules.read();
        let answer = decide(&self.by_the_book(&book.state, context));
        // What was told at once rests on no record.
        let rests = answer.after != Sequence::default();
        let after = if rests { answer.after.max(book.last) } else { answer.after };
        Answer { after, ..answer }
    }

    /// Lets the node do something of its own accord, under the rules that are in force.
    pub(super) fn unasked<T>(&self, now: Timestamp, act: impl FnOnce(&Context<'_>) -> T) -> T {
        let (actor, book) = (Actor::unbounded(Role::Admin), self.rules.read());
        act(&self.by_the_book(&book.state, &Context::new(now, &actor)))
    }

    /// The same context under the rules that are in force.
    pub(super) fn by_the_book<'a>(
        &'a self,
        book: &'a Rulebook,
        context: &Context<'a>,
    ) -> Context<'a> {
        Context { catalog: Some(self), ..context.under(book) }
    }

    /// Every version of the rules that is known, oldest first, without the one that says nothing.
    pub fn all_rules(&self) -> Vec<Rules> {
        self.rules.read().state.versions().skip(1).cloned().collect()
    }

    /// The rules that are in force at an instant, and what comes after them.
    pub fn read_rules(&self, at: Timestamp) -> Answer<Reading> {
        let book = self.rules.read();
        let rules = Rules::clone(book.state.in_force(at));
        let later = book.state.versions().find(|other| at < other.from);
        let next = later.map(|other| (other.version, other.from));
        let reading = RulesReading { rules, next };
        Answer { after: book.last, result: Ok(Reading::Rules(Box::new(reading))) }
    }

    /// What the rules in force say of admission, and when others come into force.
    pub fn admission_rule(&self, now: Timestamp) -> (Option<AdmissionRule>, Option<Timestamp>) {
        let book = self.rules.read();
        let later = book.state.versions().find(|other| now < other.from);
        (book.state.in_force(now).admission().cloned(), later.map(|other| other.from))
    }

    /// What is kept of how a patient behaved, as far as an actor may see it.
    pub fn read_record(&self, actor: &Actor, patient: PatientId) -> Answer<Reading> {
        let (PatientRecord { strikes, restrictions }, after) = self.record_for(actor, patient);
        let strikes = strikes.iter().map(|kept| kept.strike);
        let reading = RecordReading {
            strikes: newest(strikes.collect()),
            restrictions: newest(restrictions.iter().map(|kept| kept.restriction).collect()),
        };
        Answer { after, result: Ok(Reading::Record(Box::new(reading))) }
    }

    /// The same as it is kept, and the record that it rests on.
    pub fn record_for(&self, actor: &Actor, patient: PatientId) -> (PatientRecord, Sequence) {
        let (ledger, patient) = self.ledgers.lock_person(patient);
        let mut record = ledger.state.record(patient);
        record.strikes.retain(|kept| actor.may_touch(kept.strike.place.organization));
        let may_see = |kept: &KeptRestriction| {
            let organization = kept.restriction.within.organization();
            organization.is_none_or(|organization| actor.may_touch(organization))
        };
        record.restrictions.retain(may_see);
        (record, ledger.last)
    }

    /// For what a patient waits after giving a place up, as far as an actor may see it; some of it is
    /// over.
    pub fn cooldowns_for(&self, actor: &Actor, patient: PatientId) -> (Vec<Cooldown>, Sequence) {
        let (ledger, patient) = self.ledgers.lock_person(patient);
        let may_see = |it: &&Cooldown| {
            it.within.organization().is_none_or(|organization| actor.may_touch(organization))
        };
        let waits = ledger.state.cooldowns(patient).iter().filter(may_see);
        (waits.copied().collect(), ledger.last)
    }

    /// Whom somebody has, by the key of a ledger.
    pub fn ties(&self, holder: PatientId) -> Option<Ties> {
        let (ledger, holder) = self.ledgers.lock_person(holder);
        ledger.state.ties(holder).cloned()
    }

    /// Lets the rules be read that are in force at an instant.
    pub fn with_rules<T>(&self, at: Timestamp, read: impl FnOnce(&Rules) -> T) -> T {
        read(self.rules.read().state.in_force(at))
    }

    /// What a day is by the rules in force at an instant.
    pub fn civil(&self, at: Timestamp) -> CivilTime {
        self.with_rules(at, |rules| rules.civil.clone())
    }

    /// Looks at the record of every patient who has one.
    pub fn each_record(&self, mut look: impl FnMut(&PatientRecord)) {
        for index in 0..SHARD_COUNT {
            let ledger = self.ledgers.lock(index);
            ledger.state.all_records().values().for_each(&mut look);
        }
    }

    /// The restrictions that hold for a patient at an instant.
    pub fn restrictions(&self, patient: PatientId, now: Timestamp) -> Vec<Restriction> {
        let (ledger, patient) = self.ledgers.lock_person(patient);
        active(ledger.state.restrictions(patient), now).copied().collect()
    }
}

fn newest<T>(mut all: Vec<T>) -> Vec<T> {
    let surplus = all.len().saturating_sub(LISTED_MAX);
    all.drain(..surplus);
    all
}

/// Writes what a fact does to the rules, unless the snapshot has it already.
pub(super) fn evolve_rules(book: &mut Locked<Rulebook>, sequence: Sequence, fact: &Fact) {
    if matches!(fact, Fact::RulesApplied(_)) && book.base < sequence {
        book.last = sequence;
        book.state.evolve(fact);
    }
}
