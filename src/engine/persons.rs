//! Decides whether somebody may act for one patient more, or have one account more.
//!
//! ```text
//! account a has p, q, r; asks for s      fewer than the rule says?  --> Bound s
//!                                        changes left, one of them without an appointment?
//!                                          --> Bound s instead of the one that was bound longest
//!                                        otherwise PersonLimit, until a change is free again
//! ```
//!
//! **Architecture invariant:** who is bound is in the ledger of who has them. What is bound while no rule
//! says so is written nowhere, and counts nowhere.

use std::cmp::Reverse;

use arrayvec::ArrayVec;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use smallvec::SmallVec;

use super::ledger::LedgerShard;
use super::session::SessionState;
use super::view::{Context, View};
use crate::model::limits::{CHANGES_MAX, GIVING_WAY_MAX};
use crate::model::{
    AccountId, Attributes, Bound, Changes, Claim, ClientKey, Counter, Day, Fact, Outcome,
    PatientClass, PatientId, Period, PersonsRule, Place, PoolIndex, Refusal, RuleKey, RuleMode,
    RuleRef, RuleWhy, Rules, Tie, Timestamp,
};

/// Who has whom, by the ledger of the holder. A table and not a tree: every hold under a rule of persons
/// looks here twice, and a tree of ten thousand accounts is five looks into memory, one after the other.
#[derive(Debug)]
pub(super) struct Bindings(HashMap<PatientId, Ties, FixedState>);

/// Whom somebody has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ties {
    /// In the order in which they were bound. Most have one, which lies here: no other line of memory is
    /// waited for.
    pub bound: SmallVec<[Binding; 1]>,
    /// The days of changes, oldest first: the newest [`CHANGES_MAX`].
    pub changes: Vec<(Tie, Day)>,
}

/// Somebody whom somebody has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Who to whom.
    pub tie: Tie,
    /// The key of the patient or account.
    pub key: u128,
    /// Since when.
    pub since: Timestamp,
}

impl Ties {
    /// What a fact makes of it. Says whether it was possible.
    pub fn bind(&mut self, time: Timestamp, fact: &Bound) -> bool {
        let is_tie = |binding: &Binding, key| (binding.tie, binding.key) == (fact.tie, key);
        let mut is_possible = !self.bound.iter().any(|binding| is_tie(binding, fact.other));
        if let Some(key) = fact.instead_of {
            let before = self.bound.len();
            self.bound.retain(|binding| !is_tie(binding, key));
            is_possible &= self.bound.len() < before;
        }
        self.bound.push(Binding { tie: fact.tie, key: fact.other, since: time });
        self.changes.extend(fact.changed.iter().map(|day| (fact.tie, *day)));
        self.changes.sort_by_key(|(_, day)| *day);
        let surplus = self.changes.len().saturating_sub(CHANGES_MAX.into());
        self.changes.drain(..surplus);
        is_possible
    }

    fn of(&self, tie: Tie) -> impl Iterator<Item = &Binding> {
        self.bound.iter().filter(move |binding| binding.tie == tie)
    }
}

impl LedgerShard {
    /// Binds somebody.
    pub(super) fn bind(&mut self, time: Timestamp, fact: &Bound) {
        let ties = self.bindings_mut().entry(fact.ledger()).or_default();
        assert!(
            ties.bind(time, fact),
            "an impossible fact: {:032x} is bound twice, or gives way and is not bound",
            fact.other
        );
    }

    /// Whom somebody has, by the key of the ledger.
    pub fn ties(&self, holder: PatientId) -> Option<&Ties> {
        self.bindings.as_ref()?.0.get(&self.person(holder))
    }

    /// Whom everybody has, by the key of the ledger, in the order of keys.
    pub fn all_ties(&self) -> impl Iterator<Item = (PatientId, &Ties)> {
        let all = self.bindings.iter().flat_map(|bindings| &bindings.0);
        let mut all: Vec<_> = all.map(|(holder, ties)| (*holder, ties)).collect();
        all.sort_unstable_by_key(|(holder, _)| *holder);
        all.into_iter()
    }

    /// Whether somebody has anybody.
    pub fn has_ties(&self) -> bool {
        self.bindings.as_ref().is_some_and(|bindings| !bindings.0.is_empty())
    }

    /// Puts in whom somebody has, as a snapshot brings it.
    pub fn restore_ties(&mut self, holder: PatientId, ties: Ties) {
        self.bindings_mut().insert(holder, ties);
    }

    fn bindings_mut(&mut self) -> &mut HashMap<PatientId, Ties, FixedState> {
        let hasher = self.hasher.clone();
        let empty = || Box::new(Bindings(HashMap::with_hasher(hasher)));
        &mut self.bindings.get_or_insert_with(empty).0
    }

    /// What a key has that is merged goes with facts of its own.
    pub(super) fn drop_ties(&mut self, holder: PatientId) {
        if let Some(bindings) = &mut self.bindings {
            bindings.0.remove(&holder);
        }
    }
}

/// Who asks for a place, as far as it binds anybody.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    /// The patient, under the key of the person; `None` where the hold is an account's.
    pub patient: Option<PatientId>,
    /// The account.
    pub account: Option<AccountId>,
    /// The telephone.
    pub phone: Option<ClientKey>,
    /// As what the patient comes.
    pub class: PatientClass,
    /// What the gateway vouches for.
    pub attributes: Attributes,
}

/// A place that is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sought {
    pub(super) place: Place,
    /// When the pool opened; 0 where it was never closed, or none is booked from yet.
    pub(super) opens: Timestamp,
}

impl Sought {
    /// A place of a pool.
    pub(super) fn of(session: &SessionState, pool: PoolIndex) -> Self {
        let spec = session.spec();
        let pool = spec.pools.get(usize::from(pool.0));
        let opens = pool.map_or_else(Timestamp::default, |pool| pool.terms.opens);
        Self { place: Place::of(spec), opens }
    }

    /// Places that are taken.
    pub(super) fn of_claims(view: &View<'_>, claims: &[Claim]) -> SmallVec<[Self; 1]> {
        let found = claims.iter().filter_map(|claim| {
            view.session(claim.session).map(|session| Self::of(session, claim.pool))
        });
        found.collect()
    }
}

/// What a rule says of a place that is asked for.
#[derive(Clone, Copy, Debug)]
struct Said<'a> {
    layer: u8,
    rule: &'a PersonsRule,
    opens: Timestamp,
}

/// What comes of one tie.
struct Found {
    fact: Bound,
    refusals: SmallVec<[RuleWhy; 2]>,
}

impl Asker {
    /// The keys of a tie, where both are known: of who has the other, and of the other.
    fn ends(&self, tie: Tie) -> Option<(u128, u128)> {
        let patient = self.patient.map(|patient| patient.0);
        let account = self.account.map(|account| account.0);
        let phone = self.phone.map(|phone| phone.0);
        match tie {
            Tie::AccountPatient => account.zip(patient),
            Tie::PhonePatient => phone.zip(patient),
            Tie::PhoneAccount => phone.zip(account),
            Tie::PatientAccount => patient.zip(account),
        }
    }
}

/// Whom a request binds, or why it may not.
///
/// # Errors
///
/// [`Outcome::PersonLimit`], by the rule that refuses longest.
pub(super) fn bind(
    view: &View<'_>,
    context: &Context<'_>,
    asker: &Asker,
    sought: impl Iterator<Item = Sought>,
) -> Result<Vec<Fact>, Refusal> {
    if !context.rules.says(RuleKey::Persons) {
        return Ok(Vec::new());
    }
    let said = said(context, asker, sought);
    let found: SmallVec<[Found; 2]> =
        Tie::ALL.into_iter().filter_map(|tie| tied(view, context, asker, (tie, &said))).collect();
    let refusals = found.iter().flat_map(|found| &found.refusals);
    // What holds until something else happens lasts longest. Of equal ones the first counts.
    let worst = refusals.max_by_key(|why| {
        let first = Reverse((why.rule.layer, why.rule.tier));
        (why.until == Timestamp::default(), why.until, first)
    });
    if let Some(why) = worst {
        return Err(Refusal::by_rule(Outcome::PersonLimit, context.now, *why));
    }
    Ok(found.into_iter().map(|found| Fact::Bound(Box::new(found.fact))).collect())
}

/// What the nearest layers say, each layer once for each opening.
fn said<'a>(
    context: &Context<'a>,
    asker: &Asker,
    sought: impl Iterator<Item = Sought>,
) -> SmallVec<[Said<'a>; 1]> {
    let mut all: SmallVec<[Said<'a>; 1]> = SmallVec::new();
    for Sought { place, opens } in sought {
        let is_about =
            |when: &crate::model::RuleCondition| when.holds(asker.class, asker.attributes);
        let rule = context.rules.nearest(&place, is_about, |layer| layer.persons.as_deref());
        let Some((layer, rule)) = rule else { continue };
        if !all.iter().any(|known| (known.layer, known.opens) == (layer, opens)) {
            all.push(Said { layer, rule, opens });
        }
    }
    all
}

/// What comes of one tie: nothing where no rule says a number of it, or both know each other.
fn tied(
    view: &View<'_>,
    context: &Context<'_>,
    asker: &Asker,
    (tie, said): (Tie, &[Said<'_>]),
) -> Option<Found> {
    let (holder, other) = asker.ends(tie)?;
    let first = said.iter().find(|said| said.rule.limit(tie).is_some())?;
    let known = Known::of(view, context, tie, holder);
    if known.has(view, context, other) {
        return None;
    }
    let today = context.rules.civil.day_of(context.now);
    let is_full = said.iter().any(|said| known.is_full(said));
    let leaver = if is_full { known.leaver(view, context) } else { None };
    let mut is_beyond = false;
    let mut refusals = SmallVec::new();
    for said in said {
        let full = known.full(context, said, (leaver, today));
        let news = known.news(context, said);
        for why in full.into_iter().chain(news) {
            if context.applies(RuleKey::Persons, said.rule.mode) {
                refusals.push(why);
            } else {
                is_beyond = true;
            }
        }
    }
    let instead_of = if is_full { leaver.or_else(|| known.oldest()) } else { None };
    let changed = instead_of.filter(|_| !is_beyond).map(|_| today).into_iter().collect();
    let rule = RuleRef { version: context.rules.version, layer: first.layer, tier: tie as u8 };
    let fact = Bound { tie, holder, other, instead_of, changed, is_beyond, rule };
    Some(Found { fact, refusals })
}

/// What is known of a tie.
struct Known<'a> {
    tie: Tie,
    ties: Option<&'a Ties>,
    /// How many different ones there are.
    count: u16,
}

impl<'a> Known<'a> {
    fn of(view: &View<'a>, context: &Context<'_>, tie: Tie, holder: u128) -> Self {
        let ties = view.ties(tie.holder(holder).holder());
        let all = || ties.into_iter().flat_map(|ties| ties.of(tie));
        let mut persons: SmallVec<[u128; 8]> =
            all().map(|binding| person(view, context, tie, binding.key)).collect();
        persons.sort_unstable();
        persons.dedup();
        Self { tie, ties, count: u16::try_from(persons.len()).unwrap_or(u16::MAX) }
    }

    /// The one that was bound longest and may give way.
    fn leaver(&self, view: &View<'_>, context: &Context<'_>) -> Option<u128> {
        let leaver = self.all().find(|binding| may_leave(view, context, self.tie, binding.key));
        leaver.map(|binding| binding.key)
    }

    /// The one that was bound longest.
    fn oldest(&self) -> Option<u128> {
        self.all().next().map(|binding| binding.key)
    }

    fn all(&self) -> impl Iterator<Item = &'a Binding> {
        let tie = self.tie;
        self.ties.into_iter().flat_map(move |ties| ties.of(tie))
    }

    fn has(&self, view: &View<'_>, context: &Context<'_>, key: u128) -> bool {
        self.all().any(|binding| person(view, context, self.tie, binding.key) == key)
    }

    /// Whether as many are bound as a rule says.
    fn is_full(&self, said: &Said<'_>) -> bool {
        said.rule.limit(self.tie).is_some_and(|limit| u16::from(limit) <= self.count)
    }

    /// Why no other can be bound where as many are as a rule says, and nobody may give way.
    fn full(
        &self,
        context: &Context<'_>,
        said: &Said<'_>,
        (leaver, today): (Option<u128>, Day),
    ) -> Option<RuleWhy> {
        let limit = said.rule.limit(self.tie).filter(|_| self.is_full(said))?.into();
        let why = context.why(RuleKey::Persons, said.layer);
        let rule = RuleRef { tier: self.tie as u8, ..why.rule };
        let why = RuleWhy { rule, count: self.count, limit, ..why };
        let Some(changes) = said.rule.changes(self.tie).filter(|_| leaver.is_some()) else {
            return Some(why);
        };
        let days = self.ties.into_iter().flat_map(|ties| &ties.changes);
        let days = days.filter(|(tie, _)| *tie == self.tie).map(|(_, day)| *day);
        let days: SmallVec<[Day; 8]> = days.collect();
        if changes.left(&days, today) {
            return None;
        }
        let civil = &context.rules.civil;
        let free = changes.free_again(&days, today);
        let until = free.map_or_else(Timestamp::default, |day| civil.start_of(day));
        let (first, _) = changes.period.around(today);
        let is_any = changes.period == Period::Any;
        let since = if is_any { Timestamp::default() } else { civil.start_of(first) };
        Some(RuleWhy { since, until, ..why })
    }

    /// Why nobody new may come to an account so soon after an opening.
    fn news(&self, context: &Context<'_>, said: &Said<'_>) -> Option<RuleWhy> {
        let new = said.rule.new_patients.filter(|_| self.tie == Tie::AccountPatient)?;
        let until = said.opens.plus_millis(u64::from(new.minutes).saturating_mul(60_000));
        if said.opens == Timestamp::default() || until <= context.now {
            return None;
        }
        let count = self.all().filter(|binding| said.opens <= binding.since).count();
        let why = context.why(RuleKey::Persons, said.layer);
        let rule = RuleRef { tier: NEW_PATIENTS, ..why.rule };
        let count = u16::try_from(count).unwrap_or(u16::MAX);
        let why = RuleWhy { rule, count, limit: new.most.into(), since: said.opens, until, ..why };
        (u16::from(new.most) <= count).then_some(why)
    }
}

/// The key under which somebody is kept now who was bound under another one.
fn person(view: &View<'_>, context: &Context<'_>, tie: Tie, key: u128) -> u128 {
    if !tie.is_of_patients() {
        return key;
    }
    let known = view.person(PatientId(key));
    context.catalog.map_or(known, |catalog| catalog.person(known)).0
}

/// Whether somebody who is bound has nothing to lose by it: no live appointment, no place on a waitlist.
fn may_leave(view: &View<'_>, context: &Context<'_>, tie: Tie, key: u128) -> bool {
    let patient = PatientId(person(view, context, tie, key));
    let has_any = || view.lines(patient).next().is_some() || !view.waits(patient).is_empty();
    !tie.is_of_patients() || !has_any()
}

/// Whose ledgers a request looks into besides those of who asks: of patients who may give way to a new
/// one.
pub fn giving_way(
    view: &View<'_>,
    context: &Context<'_>,
    asker: &Asker,
) -> ArrayVec<PatientId, GIVING_WAY_MAX> {
    let mut all = ArrayVec::new();
    if !context.rules.says(RuleKey::Persons) {
        return all;
    }
    for tie in [Tie::AccountPatient, Tie::PhonePatient] {
        let Some((holder, bound)) = asker.ends(tie) else { continue };
        let known = Known::of(view, context, tie, holder);
        let changes = |rule: &PersonsRule| {
            let limit = rule.limit(tie).filter(|limit| u16::from(*limit) <= known.count);
            limit.is_some() && (rule.changes(tie).is_some() || rule.mode == RuleMode::Shadow)
        };
        let mut rules = context.rules.layers.iter().filter_map(|layer| layer.persons.as_deref());
        if !rules.any(changes) || known.has(view, context, bound) {
            continue;
        }
        for binding in known.all() {
            let patient = PatientId(person(view, context, tie, binding.key));
            if !all.contains(&patient) && !all.is_full() {
                all.push(patient);
            }
        }
    }
    all
}

/// The accounts of a key that is merged, which belong to the other from then on; with the first of them
/// go its changes.
pub(super) fn moved_ties(
    view: &View<'_>,
    context: &Context<'_>,
    from: PatientId,
    into: PatientId,
) -> Vec<Bound> {
    let (tie, Some(ties)) = (Tie::PatientAccount, view.ties(from)) else { return Vec::new() };
    let known = view.ties(into);
    let is_new = |binding: &&Binding| {
        known.is_none_or(|known| known.of(tie).all(|own| own.key != binding.key))
    };
    let mut changed: Vec<Day> = ties.changes.iter().map(|(_, day)| *day).collect();
    let rule = RuleRef { version: context.rules.version, layer: 0, tier: tie as u8 };
    let moved = ties.of(tie).filter(is_new).map(|binding| Bound {
        tie,
        holder: into.0,
        other: binding.key,
        instead_of: None,
        changed: std::mem::take(&mut changed),
        is_beyond: false,
        rule,
    });
    moved.collect()
}

/// How many accounts a patient has by each layer that says a number, where there is any.
pub fn account_counters(rules: &Rules, ties: Option<&Ties>) -> Vec<Counter> {
    let tie = Tie::PatientAccount;
    let count = ties.map_or(0, |ties| ties.of(tie).count());
    let count = u16::try_from(count).unwrap_or(u16::MAX);
    let said = (0_u8..).zip(&rules.layers).filter_map(|(index, layer)| {
        let rule = layer.persons.as_deref().filter(|rule| rule.mode == RuleMode::Enforce)?;
        let limit = rule.limit(tie).filter(|_| count != 0)?.into();
        let rule = RuleRef { version: rules.version, layer: index, tier: tie as u8 };
        let within = layer.scope.kind();
        let why = RuleWhy { within, count, limit, ..RuleWhy::of(RuleKey::Persons, rule) };
        Some(Counter { scope: layer.scope, why })
    });
    said.collect()
}

impl Changes {
    fn left(self, days: &[Day], day: Day) -> bool {
        let (first, last) = self.period.around(day);
        let made = days.iter().filter(|made| first <= **made && **made <= last).count();
        made < usize::from(self.most)
    }

    /// The first day on which there is one again.
    fn free_again(self, days: &[Day], today: Day) -> Option<Day> {
        if !self.period.is_rolling() {
            let (_, last) = self.period.around(today);
            return (self.period != Period::Any).then(|| last.plus(1));
        }
        // The later the day, the fewer count: the first free one is found by halves.
        let (mut taken, mut free) = (today, today.plus(FREE_AGAIN_DAYS));
        while 1 < free.0.saturating_sub(taken.0) {
            let middle = Day(taken.0.midpoint(free.0));
            if self.left(days, middle) { free = middle } else { taken = middle }
        }
        Some(free)
    }
}

impl<'a> View<'a> {
    /// Whom somebody has, by the key of the ledger.
    pub fn ties(&self, holder: PatientId) -> Option<&'a Ties> {
        self.ledger(holder)?.ties(holder)
    }
}

/// As the tier of a refusal: too many patients that are new to an account. Ties are the tiers before it.
const NEW_PATIENTS: u8 = 4;

/// Beyond the longest rolling period.
const FREE_AGAIN_DAYS: u32 = 368;
