//! One shard of each kind, and the journal of what happened to them.

use super::build::{self, DAY, KEY, MORNING};
use crate::engine::{
    Billing, Candidate, Context, Decision, DrawInput, DrawPlan, HomeShard, LedgerShard,
    PatientRecord, Phones, Prober, Refused, RuleKeys, Rulebook, SKIP_MILLIS, SessionShard,
    SessionState, Step, Ties, View, Waits, decide_add, decide_amend, decide_appeal, decide_beacon,
    decide_block, decide_call, decide_change, decide_clear, decide_displace, decide_draw_step,
    decide_expiry, decide_hold, decide_import, decide_join, decide_leave, decide_merge,
    decide_name, decide_offer, decide_open, decide_order, decide_pay, decide_place_offer,
    decide_probed, decide_quotas, decide_refund, decide_reschedule, decide_restrict, decide_reveal,
    decide_rules, decide_substitute, next_step, offer_id, prober, shadowed,
};
use crate::model::{
    Actor, Appointment, AppointmentId, Command, Cooldown, Fact, Facts, Hold, Outcome, Past,
    PatientId, Probed, Receipt, Refusal, RequestId, Role, Sequence, SessionId, Stay, Timestamp,
};

#[derive(Debug)]
pub(super) struct World {
    pub(super) now: Timestamp,
    /// The random number of whatever is decided next.
    pub(super) chance: u64,
    home: HomeShard,
    ledger: LedgerShard,
    sessions: SessionShard,
    book: Rulebook,
    /// Every record, as a journal would keep it.
    pub(super) records: Vec<(Timestamp, Facts)>,
}

/// What a world comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) appointments: Vec<Appointment>,
    requests: Vec<(Timestamp, RequestId, u64)>,
    pub(super) declined: Vec<(AppointmentId, u64, Outcome)>,
    pub(super) moved: Vec<(AppointmentId, u8)>,
    pub(super) billing: Billing,
    pub(super) phones: Phones,
    pub(super) ties: Vec<(PatientId, Ties)>,
    pub(super) sessions: Vec<SessionState>,
    pub(super) ledger: Vec<(PatientId, AppointmentId, SessionId)>,
    pub(super) waits: Vec<Waits>,
    pub(super) records: Vec<(PatientId, PatientRecord)>,
    pub(super) past: Vec<(PatientId, Vec<Past>)>,
    pub(super) cooldowns: Vec<(PatientId, Vec<Cooldown>)>,
    pub(super) rules: Rulebook,
    /// Other keys, with the person whose each is.
    pub(super) keys: Vec<(PatientId, PatientId)>,
}

impl State {
    /// For what patients wait that is not over.
    pub(super) fn waiting_after(&self, now: Timestamp) -> Vec<(PatientId, Cooldown)> {
        let all = self.cooldowns.iter();
        let all = all.flat_map(|(patient, kept)| kept.iter().map(move |it| (*patient, *it)));
        let mut left: Vec<_> = all.filter(|(_, it)| now < it.until).collect();
        left.sort_by_key(|(patient, it)| (*patient, it.within, it.of, it.mode));
        left
    }
}

impl World {
    /// Nothing, at a time. Requests are remembered for longer than a test goes on.
    pub(super) fn new(now: Timestamp) -> Self {
        Self::remembering(1_000 * DAY, now)
    }

    /// Nothing, at a time, where requests are remembered for so many milliseconds.
    pub(super) fn remembering(retention: u64, now: Timestamp) -> Self {
        Self {
            now,
            chance: 0,
            home: HomeShard::new(0, retention),
            ledger: LedgerShard::new(0),
            sessions: SessionShard::new(0),
            book: Rulebook::default(),
            records: Vec::new(),
        }
    }

    /// Decides a command, and lets it happen.
    pub(super) fn run(&mut self, actor: &Actor, command: &Command) -> Result<Receipt, Refusal> {
        let Decision { facts, receipt, refused } = self.decide(actor, command)?;
        self.happen(facts);
        refused.map_or(Ok(receipt), Err)
    }

    /// What a command would come to.
    pub(super) fn answer(&self, actor: &Actor, command: &Command) -> Result<Receipt, Refusal> {
        self.decide(actor, command).map(|decision| decision.receipt)
    }

    /// Decides a row of history, and lets it happen.
    pub(super) fn import(&mut self, hold: &Hold) -> Result<Result<Receipt, Outcome>, Refusal> {
        let actor = Actor::unbounded(Role::Admin);
        let context = self.context(&actor);
        match self.look(|view| decide_import(view, &context, hold))? {
            Ok(Decision { facts, receipt, .. }) => {
                self.happen(facts);
                Ok(Ok(receipt))
            }
            Err((facts, outcome)) => {
                self.happen(facts);
                Ok(Err(outcome))
            }
        }
    }

    /// What comes of as many refusals as a rule names, a hold's being the last.
    pub(super) fn probe(&mut self, hold: &Hold) -> Option<Probed> {
        let actor = Actor::unbounded(Role::Admin);
        let context = self.context(&actor);
        let place = self.session_of(hold)?.place;
        let Prober { who, rule, by } = prober(context.rules, &place, hold)?;
        let since = self.now.minus_millis(1);
        let refused = Refused { who, by, count: rule.refusals, since };
        let facts = self.look(|view| decide_probed(view, &context, hold, &refused))?;
        self.happen(facts.clone());
        let probed = |fact| if let Fact::Probed(it) = fact { Some(*it) } else { None };
        facts.into_iter().find_map(probed)
    }

    fn session_of(&self, hold: &Hold) -> Option<Stay> {
        self.sessions.session(hold.claims.first()?.session).map(|state| Stay::of(state.spec()))
    }

    /// Ends the holds that are due, and says which.
    pub(super) fn expire(&mut self) -> Vec<AppointmentId> {
        let mut ended = Vec::new();
        while let Some(id) = self.home.next_due(self.now) {
            self.expire_one(id);
            ended.push(id);
        }
        ended
    }

    /// Does what is due in sessions.
    pub(super) fn step_sessions(&mut self) {
        let ids: Vec<_> = self.sessions.sessions().iter().map(|state| state.spec().id).collect();
        loop {
            let before = self.records.len();
            for id in &ids {
                self.step_session(*id);
            }
            if self.records.len() == before {
                return;
            }
        }
    }

    /// Does what is due in a session, as the inventory does it.
    fn step_session(&mut self, id: SessionId) {
        let actor = Actor::unbounded(Role::Admin);
        while self.session(id).next_due().is_some_and(|due| due <= self.now) {
            let (candidate, decided) = match next_step(self.session(id), self.now, self.chance) {
                Step::Happen(facts) => {
                    self.happen(facts);
                    continue;
                }
                Step::Wait(until) => {
                    self.sessions.postpone(id, until.max(self.now.plus_millis(1)));
                    continue;
                }
                Step::Offer(candidate) => {
                    let appointment = offer_id(candidate.entry, self.now);
                    let context = self.context(&actor);
                    let offer = |view: &View<'_>| {
                        decide_place_offer(view, &context, candidate, appointment)
                    };
                    (candidate, self.look(offer))
                }
                Step::Clear(candidate) => {
                    let context = self.context(&actor);
                    (candidate, self.look(|view| decide_clear(view, &context, candidate)))
                }
            };
            match decided {
                Some(facts) => self.happen(facts),
                None => self.sessions.skip(candidate, self.now.plus_millis(SKIP_MILLIS)),
            }
        }
    }

    /// Who would be offered a place of a session next, if somebody is.
    pub(super) fn next_candidate(&self, id: SessionId) -> Option<Candidate> {
        match next_step(self.session(id), self.now, self.chance) {
            Step::Offer(candidate) => Some(candidate),
            Step::Happen(_) | Step::Clear(_) | Step::Wait(_) => None,
        }
    }

    /// Offers a place to a candidate, who may have been found a while ago. Says whether it was.
    pub(super) fn offer_to(&mut self, candidate: Candidate) -> bool {
        let actor = Actor::unbounded(Role::Admin);
        let context = self.context(&actor);
        let appointment = offer_id(candidate.entry, self.now);
        let offer = |view: &View<'_>| decide_place_offer(view, &context, candidate, appointment);
        let facts = self.look(offer);
        let is_offered = facts.is_some();
        self.happen(facts.unwrap_or_default());
        is_offered
    }

    /// Does to everybody what blocks do, and offers each who is displaced any place of a session. Says
    /// who was reached and who was made an offer.
    pub(super) fn displace(&mut self, offered: SessionId) -> Vec<(AppointmentId, bool)> {
        let mut ids = self.home.live_in(&self.session_ids());
        ids.sort_unstable();
        let mut reached = Vec::new();
        for id in ids {
            let facts = self.look(|view| decide_displace(view, id));
            reached.extend(facts.is_some().then_some((id, false)));
            self.happen(facts.unwrap_or_default());
            let actor = Actor::unbounded(Role::Admin);
            let context = self.context(&actor);
            let wish = build::any(offered.0);
            let facts = self.look(|view| decide_offer(view, &context, id, &wish));
            reached.extend(facts.is_some().then_some((id, true)));
            self.happen(facts.unwrap_or_default());
        }
        for session in self.session_ids() {
            if self.session(session).is_sweeping() {
                self.happen(std::iter::once(Fact::Swept(session)).collect());
            }
        }
        reached
    }

    /// Who has no place though booked.
    pub(super) fn displaced(&self) -> Vec<AppointmentId> {
        self.home.displaced(AppointmentId(0)).map(|appointment| appointment.id).collect()
    }

    fn session_ids(&self) -> Vec<SessionId> {
        self.sessions.sessions().into_iter().map(|session| session.spec().id).collect()
    }

    /// Makes the draws that are due, and says how many entries were decided.
    pub(super) fn step_draws(&mut self) -> usize {
        let mut steps = 0;
        while let Some(mut plan) = self.next_plan() {
            self.reveal(&mut plan);
            while self.step_draw(&mut plan) {
                steps += 1;
            }
        }
        steps
    }

    /// The plan of a draw that is due, made from the state alone.
    pub(super) fn next_plan(&self) -> Option<DrawPlan> {
        let (session, state) = self.sessions.due_draws(self.now).next()?;
        Some(DrawPlan::of(DrawInput::of(session, state), &KEY).expect("the key is the same"))
    }

    /// Reveals the seed of a draw, if it is not.
    pub(super) fn reveal(&mut self, plan: &mut DrawPlan) -> bool {
        if !plan.is_revealed() {
            let session = self.session(plan.draw().session);
            let Some(facts) = decide_reveal(session, self.now, plan) else { return false };
            self.happen(facts);
        }
        plan.note_revealed();
        true
    }

    /// Decides the next entry of a draw.
    pub(super) fn step_draw(&mut self, plan: &mut DrawPlan) -> bool {
        let Some(step) = plan.next_step() else { return false };
        let actor = Actor::unbounded(Role::Admin);
        let context = self.context(&actor);
        let facts = self.look(|view| decide_draw_step(view, &context, plan.draw(), step));
        self.happen(facts.expect("an entry is decided once"));
        plan.note_done();
        true
    }

    /// Forgets what ended long ago, and says what that was.
    pub(super) fn forget(&mut self) -> Vec<AppointmentId> {
        let Some(forgotten) = self.home.next_forgettable(self.now) else { return Vec::new() };
        let ids = forgotten.appointments.to_vec();
        self.happen(std::iter::once(Fact::Forgotten(Box::new(forgotten))).collect());
        ids
    }

    /// A world to which the same facts happened and nothing else.
    pub(super) fn replayed(records: impl Iterator<Item = (Timestamp, Facts)>) -> Self {
        let mut world = Self::new(MORNING);
        for (time, facts) in records {
            world.now = time;
            world.happen(facts);
        }
        world
    }

    /// The same of facts that are told otherwise, or not at all, by what a ledger has until then.
    pub(super) fn retold(
        records: impl Iterator<Item = (Timestamp, Facts)>,
        mut tell: impl FnMut(&LedgerShard, Fact) -> Option<Fact>,
    ) -> Self {
        let mut world = Self::new(MORNING);
        for (time, facts) in records {
            world.now = time;
            let mut told = Facts::new();
            for fact in facts {
                let Some(fact) = tell(&world.ledger, fact) else { continue };
                world.evolve(&fact);
                told.push(fact);
            }
            world.records.push((time, told));
        }
        world
    }

    /// Everything, in an order that does not depend on how it came about.
    pub(super) fn state(&self) -> State {
        let mut appointments: Vec<_> = self.home.appointments().collect();
        appointments.sort_by_key(|appointment| appointment.id);
        let lines = self.ledger.entries().flat_map(|entry| {
            entry.live().map(move |live| (entry.patient(), live.appointment(), live.session()))
        });
        let mut ledger: Vec<_> = lines.collect();
        ledger.sort_unstable();
        State {
            appointments,
            requests: self.home.requests().collect(),
            declined: self.home.refusals(),
            moved: self.home.moved(),
            billing: self.home.billing().clone(),
            phones: self.home.phones().clone(),
            ties: self.ledger.all_ties().map(|(holder, ties)| (holder, ties.clone())).collect(),
            sessions: self.sessions.sessions().into_iter().cloned().collect(),
            ledger,
            waits: self.ledger.all_waits().cloned().collect(),
            past: {
                let mut past: Vec<_> = self.ledger.all_past().collect();
                past.sort_by_key(|(patient, _)| *patient);
                past
            },
            cooldowns: {
                let all = self.ledger.all_cooldowns();
                all.map(|(patient, kept)| (patient, kept.to_vec())).collect()
            },
            records: self.ledger.all_records().into_iter().collect(),
            rules: self.book.clone(),
            keys: self.ledger.all_keys().collect(),
        }
    }

    pub(super) fn session(&self, id: SessionId) -> &SessionState {
        self.sessions.session(id).expect("a script opens its sessions")
    }

    pub(super) fn appointment(&self, id: AppointmentId) -> Appointment {
        self.home.appointment(id).expect("a script names what there is")
    }

    pub(super) fn live(&self, patient: PatientId) -> Vec<AppointmentId> {
        self.ledger.live(patient)
    }

    fn decide(&self, actor: &Actor, command: &Command) -> Result<Decision, Refusal> {
        self.decide_in(self.context(actor), command)
    }

    /// Whether a command that comes now would be granted, for the first time.
    pub(super) fn grants(&self, actor: &Actor, command: &Command) -> bool {
        let decided = self.decide(actor, command);
        decided.is_ok_and(|it| !it.facts.is_empty() && it.refused.is_none())
    }

    /// The keys of rules in shadow that would refuse a command that comes now.
    pub(super) fn shadowed(&self, actor: &Actor, command: &Command) -> RuleKeys {
        let decided = self.decide(actor, command);
        let decide = |context: &Context<'_>| self.decide_in(*context, command);
        shadowed(&self.context(actor), &decided, decide)
    }

    /// The keys of rules that are in shadow now.
    pub(super) fn in_shadow(&self) -> RuleKeys {
        self.book.in_force(self.now).in_shadow()
    }

    fn decide_in(&self, context: Context<'_>, command: &Command) -> Result<Decision, Refusal> {
        self.look(|view| match command {
            Command::RevealDraw(reveal) => decide_beacon(view, &context, reveal),
            Command::OpenSession(open) => decide_open(view, &context, open),
            Command::Hold(hold) => decide_hold(view, &context, hold),
            Command::Change(change) => decide_change(view, &context, change),
            Command::SetQuotas(set) => decide_quotas(view, &context, set),
            Command::Reschedule(ask) => decide_reschedule(view, &context, ask),
            Command::BlockSession(block) => decide_block(view, &context, block),
            Command::Substitute(substitute) => decide_substitute(view, &context, substitute),
            Command::AddPlace(add) => decide_add(view, &context, add),
            Command::JoinWaitlist(join) => decide_join(view, &context, join),
            Command::LeaveWaitlist(leave) => decide_leave(view, &context, leave),
            Command::CallNext(call) => decide_call(view, &context, call),
            Command::ApplyRules(apply) => decide_rules(view, &context, &self.book, apply),
            Command::Order(order) => decide_order(view, &context, order),
            Command::Pay(pay) => decide_pay(view, &context, pay),
            Command::Refund(refund) => decide_refund(view, &context, refund),
            Command::NamePatient(name) => decide_name(view, &context, name),
            Command::Restrict(ask) => decide_restrict(view, &context, ask),
            Command::Amend(ask) => decide_amend(view, &context, ask),
            Command::Appeal(ask) => decide_appeal(view, &context, ask),
            Command::MergePatients(ask) => decide_merge(view, &context, ask),
        })
    }

    fn context<'a>(&'a self, actor: &'a Actor) -> Context<'a> {
        let context = Context::new(self.now, actor).under(&self.book);
        Context { chance: self.chance, key: Some(&KEY), catalog: Some(&self.sessions), ..context }
    }

    fn look<T>(&self, look: impl FnOnce(&View<'_>) -> T) -> T {
        let (homes, sessions) = ([&self.home], [&self.sessions]);
        let ledgers = [(0, &self.ledger)];
        look(&View { homes: &homes, ledgers: &ledgers, route: |_| 0, sessions: &sessions })
    }

    /// What a deadline would do to an appointment now.
    pub(super) fn expiry_of(&self, id: AppointmentId) -> Option<Facts> {
        let actor = Actor::unbounded(Role::Admin);
        let context = self.context(&actor);
        self.look(|view| decide_expiry(view, &context, id))
    }

    fn expire_one(&mut self, id: AppointmentId) {
        self.happen(self.expiry_of(id).expect("what is due expires"));
    }

    fn happen(&mut self, facts: Facts) {
        for fact in &facts {
            self.evolve(fact);
        }
        if !facts.is_empty() {
            self.records.push((self.now, facts));
        }
    }

    fn evolve(&mut self, fact: &Fact) {
        if let Some((request, fingerprint)) = fact.request() {
            self.home.remember(self.now, request, fingerprint);
        }
        self.home.evolve(self.now, fact);
        if let Some(merged) = fact.merged() {
            self.ledger.give_up(merged);
        }
        self.ledger.evolve(self.now, fact);
        self.ledger.let_go(fact);
        for (index, claim) in fact.freed().iter().enumerate() {
            self.sessions.free(claim, fact.back(index), Sequence(1));
            if let Fact::Displaced(fact) = fact {
                self.sessions.drop_queued(claim.session, fact.appointment);
            }
        }
        if !matches!(fact, Fact::PlaceOffered(_)) {
            fact.taken().iter().for_each(|claim| self.sessions.take(claim, Sequence(1)));
        }
        for target in fact.targets() {
            self.sessions.tend(fact, *target, Sequence(1));
        }
        self.sessions.evolve(fact, Sequence(1));
        self.book.evolve(fact);
    }
}
