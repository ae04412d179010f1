//! What a decision may look at, and what it comes to.

use super::home::HomeShard;
use super::indexed::{IndexedRules, RuleKeys};
use super::ledger::{LedgerShard, Live};
use super::record::KeptStrike;
use super::rulebook::Rulebook;
use super::session::{SessionShard, SessionState};
use super::waiting::Waits;
use crate::draw::NodeKey;
use crate::model::{
    Actor, Appointment, AppointmentId, Bill, Claims, Cooldown, Fact, Facts, KeptRestriction,
    Outcome, Past, PatientId, PaymentRef, Receipt, Refusal, RequestId, RuleKey, RuleMode, RuleRef,
    RuleWhy, ScopeKind, SessionId, Stay, Timestamp,
};

/// The shards that a command touches, to read. Which they are, the caller has found out.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The homes of the ids in the command.
    pub homes: &'a [&'a HomeShard],
    /// The ledgers of the patient, and of whoever else the command is about, by number.
    pub ledgers: &'a [(usize, &'a LedgerShard)],
    /// The number of the ledger in which a person is kept.
    pub route: fn(PatientId) -> usize,
    /// The shards of the sessions.
    pub sessions: &'a [&'a SessionShard],
}

/// Who asks, and when.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The node's time.
    pub now: Timestamp,
    /// Who asks.
    pub actor: &'a Actor,
    /// The rules in force.
    pub rules: &'a IndexedRules,
    /// Where they are kept with earlier versions, to tell by which of them somebody is restricted.
    pub book: Option<&'a Rulebook>,
    /// The time that openings go by: `now`, unless the clock is suspended. Then it stands still.
    pub openings: Timestamp,
    /// A random number for this command alone, where it needs one.
    pub chance: u64,
    /// The node's key for draws, if it has one.
    pub key: Option<&'a NodeKey>,
    /// Where and when the visits of other sessions are.
    pub catalog: Option<&'a dyn Catalog>,
    /// Keys of rules that refuse also where they are in shadow: what would happen is asked for then, and
    /// does not happen.
    pub trying: RuleKeys,
}

/// Where and when visits are, and which keys are of one person: told without locks, for it hardly ever
/// changes.
pub trait Catalog: std::fmt::Debug {
    /// What is known of a session.
    fn stay(&self, session: SessionId) -> Option<Stay>;

    /// The key under which a person is kept now, also one whose ledger is not locked.
    fn person(&self, key: PatientId) -> PatientId {
        key
    }
}

/// What is in force where no rules were applied.
pub(super) static NO_RULES: IndexedRules = IndexedRules::none();

impl<'a> Context<'a> {
    /// The same under the rules of a book that are in force.
    #[must_use]
    pub fn under(self, book: &'a Rulebook) -> Self {
        Self { rules: book.in_force(self.now), book: Some(book), ..self }
    }

    /// Whether what a rule says is applied, by its mode.
    pub(super) fn applies(&self, key: RuleKey, mode: RuleMode) -> bool {
        mode == RuleMode::Enforce || self.trying.contains(key)
    }

    /// What a refusal rests on: what a layer of the rules in force says about a key.
    pub(super) fn why(&self, key: RuleKey, layer: u8) -> RuleWhy {
        let said = self.rules.layers.get(usize::from(layer));
        let within = said.map_or(ScopeKind::Region, |layer| layer.scope.kind());
        let rule = RuleRef { version: self.rules.version, layer, tier: 0 };
        RuleWhy { within, ..RuleWhy::of(key, rule) }
    }

    /// Somebody who asks now, under no rules, while the clock is believed.
    pub const fn new(now: Timestamp, actor: &'a Actor) -> Self {
        let (rules, book, key, catalog) = (&NO_RULES, None, None, None);
        let trying = RuleKeys::NONE;
        Self { now, actor, rules, book, openings: now, chance: 0, key, catalog, trying }
    }
}

/// What a request comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What happens. Empty if the request is a retry: it has happened before.
    pub facts: Facts,
    /// What the client learns.
    pub receipt: Receipt,
    /// What the client learns instead, where what happens is not what was asked for.
    pub refused: Option<Refusal>,
}

impl<'a> View<'a> {
    /// The ledger in which somebody is kept, if it is one of these. No other is looked into: that would
    /// find nothing, and wait for memory.
    pub(super) fn ledger(&self, key: PatientId) -> Option<&'a LedgerShard> {
        if let [(_, only)] = self.ledgers {
            return Some(only);
        }
        let number = (self.route)(self.person(key));
        self.ledgers.iter().find(|(other, _)| *other == number).map(|(_, ledger)| *ledger)
    }

    /// The appointment with that id.
    pub fn appointment(&self, id: AppointmentId) -> Option<Appointment> {
        let found = self.homes.iter().find_map(|home| home.appointment(id))?;
        let patient = self.person(found.patient);
        Some(Appointment { patient, ..found })
    }

    /// The fingerprint of an earlier request with that id that was no hold.
    pub fn request(&self, id: RequestId) -> Option<u64> {
        self.homes.iter().find_map(|home| home.request(id))
    }

    /// The refusal that is remembered under that id, with the fingerprint of its request.
    pub fn declined(&self, id: AppointmentId) -> Option<(u64, Outcome)> {
        self.homes.iter().find_map(|home| home.declined(id))
    }

    /// Whether an id was used: for an appointment, another request, or a refusal that is remembered.
    pub fn knows(&self, id: RequestId) -> bool {
        self.homes.iter().any(|home| home.knows(id))
    }

    /// What comes of a request that makes no appointment where its id was used: nothing new, if it is
    /// the same request.
    ///
    /// # Errors
    ///
    /// [`Outcome::IdReused`] where the id means something else.
    pub fn repeated(
        &self,
        now: Timestamp,
        request: RequestId,
        fingerprint: u64,
    ) -> Result<Option<Decision>, Refusal> {
        self.repeated_by(now, request, |print| print == fingerprint)
    }

    /// The same of a request that names a patient, by whichever key.
    ///
    /// # Errors
    ///
    /// As [`repeated`](Self::repeated).
    pub fn repeated_by(
        &self,
        now: Timestamp,
        request: RequestId,
        is_same: impl FnOnce(u64) -> bool,
    ) -> Result<Option<Decision>, Refusal> {
        if self.request(request).is_some_and(is_same) {
            let receipt = answered(now, true);
            return Ok(Some(Decision { facts: Facts::new(), receipt, refused: None }));
        }
        if self.knows(request) { Err(Outcome::IdReused.into()) } else { Ok(None) }
    }

    /// The session with that id.
    pub fn session(&self, id: SessionId) -> Option<&'a SessionState> {
        self.sessions.iter().find_map(|shard| shard.session(id))
    }

    /// The session with that id, if who asks may change it.
    ///
    /// # Errors
    ///
    /// [`Outcome::SessionNotFound`] and [`Outcome::OrganizationNotPermitted`].
    pub fn permitted(
        &self,
        context: &Context<'_>,
        id: SessionId,
    ) -> Result<&'a SessionState, Refusal> {
        let session = self.session(id).ok_or(Outcome::SessionNotFound)?;
        if !context.actor.may_touch(session.spec().organization) {
            return Err(Outcome::OrganizationNotPermitted.into());
        }
        Ok(session)
    }

    /// What a patient waits for, in the order of joining.
    pub fn waits(&self, patient: PatientId) -> &'a [Waits] {
        self.ledger(patient).map(|ledger| ledger.waits(patient)).unwrap_or_default()
    }

    /// The strikes of a patient, by day and place.
    pub fn strikes(&self, patient: PatientId) -> Vec<KeptStrike> {
        self.ledger(patient).map(|ledger| ledger.strikes(patient)).unwrap_or_default()
    }

    /// The restrictions of a patient, in the order in which they were made.
    pub fn restrictions(&self, patient: PatientId) -> &'a [KeptRestriction] {
        self.ledger(patient).map(|ledger| ledger.restrictions(patient)).unwrap_or_default()
    }

    /// For what a patient waits before the next place, some of it over.
    pub fn cooldowns(&self, patient: PatientId) -> &'a [Cooldown] {
        self.ledger(patient).map(|ledger| ledger.cooldowns(patient)).unwrap_or_default()
    }

    /// An entry of a patient.
    pub fn wait(&self, patient: PatientId, entry: RequestId) -> Option<&'a Waits> {
        self.ledger(patient)?.wait(patient, entry)
    }

    /// The entry of a patient to which an appointment is offered.
    pub fn offered(&self, patient: PatientId, appointment: AppointmentId) -> Option<&'a Waits> {
        self.ledger(patient)?.offered(patient, appointment)
    }

    /// The live appointments of a patient, claim by claim.
    pub fn lines(&self, patient: PatientId) -> impl Iterator<Item = &'a Live> + use<'a, '_> {
        self.ledger(patient).into_iter().flat_map(move |ledger| ledger.lines(patient))
    }

    /// The visits of a patient's appointments that are over, newest first.
    pub fn past(&self, patient: PatientId) -> impl Iterator<Item = Past> + use<'a, '_> {
        self.ledger(patient).into_iter().flat_map(move |ledger| ledger.past(patient))
    }

    /// Where and when the visits of a session are.
    pub fn stay(&self, context: &Context<'_>, session: SessionId) -> Option<Stay> {
        let locked = self.session(session).map(|state| Stay::of(state.spec()));
        locked.or_else(|| context.catalog?.stay(session))
    }

    /// How often an appointment was moved by wish.
    pub fn changes(&self, id: AppointmentId) -> u8 {
        self.homes.iter().map(|home| home.changes(id)).max().unwrap_or_default()
    }

    /// The payments of an appointment, in the order in which they came.
    pub fn bills(&self, id: AppointmentId) -> &'a [Bill] {
        let all = self.homes.iter().map(|home| home.billing().of(id));
        all.max_by_key(|bills| bills.len()).unwrap_or_default()
    }

    /// One payment of an appointment.
    pub fn bill(&self, id: AppointmentId, payment: PaymentRef) -> Option<&'a Bill> {
        self.homes.iter().find_map(|home| home.billing().bill(id, payment))
    }

    /// How many payment orders a hold had.
    pub fn orders(&self, id: AppointmentId) -> u8 {
        self.homes.iter().map(|home| home.billing().orders(id)).max().unwrap_or_default()
    }

    /// Whether the patient has a live appointment in the session that is none of `but`.
    pub fn has_live_but(
        &self,
        patient: PatientId,
        session: SessionId,
        but: &[AppointmentId],
    ) -> bool {
        self.ledger(patient).is_some_and(|ledger| ledger.has_live_but(patient, session, but))
    }
}

impl Decision {
    /// Nothing new: where an appointment stands that an earlier request with the same id made or
    /// changed.
    pub fn retry(appointment: &Appointment) -> Self {
        let receipt = Receipt {
            status: Some(appointment.status),
            until: appointment.until,
            claims: Claims::from_slice(&appointment.claims),
            retried: true,
            appointment: None,
        };
        Self { facts: Facts::new(), receipt, refused: None }
    }

    /// Something happens that is about no appointment.
    pub fn done(now: Timestamp, fact: Fact) -> Self {
        let facts = std::iter::once(fact).collect();
        Self { facts, receipt: answered(now, false), refused: None }
    }
}

fn answered(now: Timestamp, retried: bool) -> Receipt {
    Receipt { status: None, until: now, claims: Claims::new(), retried, appointment: None }
}
