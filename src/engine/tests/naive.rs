//! The same rules, as simply as they can be said: vectors, and counting by looking at everything.
//!
//! **Architecture invariant:** this shares the vocabulary with the engine, and no rule. Where
//! several refusals apply, all are collected and the lowest is given.

#[path = "naive/billing.rs"]
mod billing;
#[path = "naive/cooldown.rs"]
mod cooldown;
#[path = "naive/disruption.rs"]
mod disruption;
#[path = "naive/draws.rs"]
mod draws;
#[path = "naive/finding.rs"]
mod finding;
#[path = "naive/history.rs"]
mod history;
#[path = "naive/identity.rs"]
pub(super) mod identity;
#[path = "naive/limits.rs"]
mod limits;
#[path = "naive/moves.rs"]
mod moves;
#[path = "naive/persons.rs"]
mod persons;
#[path = "naive/probing.rs"]
mod probing;
#[path = "naive/queue.rs"]
mod queue;
#[path = "naive/restrictions.rs"]
mod restrictions;
#[path = "naive/rules.rs"]
mod rules;
#[path = "naive/supply.rs"]
mod supply;
#[path = "naive/violations.rs"]
mod violations;
#[path = "naive/waitlist.rs"]
mod waitlist;
#[path = "naive/words.rs"]
mod words;

use self::billing::{Asked, NaiveBilling};
use self::draws::{Found, NaiveDraws};
use self::history::NaiveHistory;
use self::limits::Wanted;
use self::queue::NaiveQueue;
use self::rules::NaiveConduct;
use self::waitlist::{Entry, List};
pub(super) use self::words::unexplained;
use self::words::{event_of, is_live, lowest, shape, shape_of, strange, told, told_of_nothing};
use crate::model::{
    Action, Actor, AddPlace, Appointment, AppointmentEvent, AppointmentId, AppointmentStatus,
    BlockSession, Cause, Change, Claim, Claims, Command, Delay, Hold, JoinWaitlist, LeaveWaitlist,
    MergePatients, OpenSession, Outcome, PatientId, PaymentRef, Receipt, RefundState, Refusal,
    Repeat, RequestId, Reschedule, ReturnRule, Role, Session, SessionId, SetQuotas, Substitute,
    Timestamp,
};

/// Whether a hold is another one asked for again. Telephone, device, address and what is attested may differ.
fn asks_the_same(known: &Hold, hold: &Hold) -> bool {
    let Hold { attributes, .. } = *hold;
    let account = known.keys.account;
    let keys = crate::model::ClientKeys { account, ..hold.keys };
    Hold { keys, attributes, ..known.clone() } == *hold
}

#[derive(Default)]
pub(super) struct Naive {
    pub(super) now: Timestamp,
    pub(super) chance: u64,
    /// Session, slot, pool and instant of each place that is on its way back.
    pub(super) returning: Vec<(SessionId, u16, u8, Timestamp)>,
    pub(super) sessions: Vec<Session>,
    pub(super) appointments: Vec<Appointment>,
    /// The request that made each appointment, at the same position.
    holds: Vec<Option<Hold>>,
    /// Requests that were carried out and were no holds.
    opened: Vec<OpenSession>,
    changed: Vec<Change>,
    shared_out: Vec<SetQuotas>,
    moved: Vec<Reschedule>,
    blocks: Vec<BlockSession>,
    substitutes: Vec<Substitute>,
    adds: Vec<AddPlace>,
    /// Slots that are blocked now.
    blocked: Vec<(SessionId, u16)>,
    /// How often each appointment was moved, at the same position.
    changes: Vec<u8>,
    pub(super) queue: NaiveQueue,
    pub(super) conduct: NaiveConduct,
    pub(super) history: NaiveHistory,
    pub(super) billing: NaiveBilling,
    pub(super) ties: persons::NaiveTies,
    pub(super) declined: Vec<(Hold, Outcome)>,
    pub(super) draws: NaiveDraws,
    pub(super) joins: Vec<JoinWaitlist>,
    pub(super) leaves: Vec<LeaveWaitlist>,
    pub(super) entries: Vec<Entry>,
    pub(super) lists: std::collections::BTreeMap<SessionId, List>,
    pub(super) merges: Vec<MergePatients>,
    /// Keys that are of somebody else, with whom.
    pub(super) persons: std::collections::BTreeMap<PatientId, PatientId>,
}

impl Naive {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { now, ..Self::default() }
    }

    pub(super) fn run(&mut self, actor: &Actor, command: &Command) -> Result<Receipt, Refusal> {
        let command = &self.of_persons(command);
        match command {
            Command::OpenSession(open) => self.open(actor, open),
            Command::Hold(hold) => self.hold(actor, hold),
            Command::Change(change) => self.change(actor, change),
            Command::SetQuotas(set) => self.set_quotas(actor, set),
            Command::Reschedule(ask) => self.reschedule(actor, ask),
            Command::BlockSession(block) => self.block(actor, block),
            Command::Substitute(ask) => self.substitute(actor, ask),
            Command::AddPlace(add) => self.add_place(actor, add),
            Command::RevealDraw(reveal) => self.reveal_draw(actor, reveal),
            Command::JoinWaitlist(join) => self.join(actor, join),
            Command::LeaveWaitlist(leave) => self.leave(actor, leave),
            Command::CallNext(call) => self.call_next(actor, call),
            Command::ApplyRules(apply) => self.apply_rules(apply),
            Command::Order(order) => self.order(actor, order),
            Command::Pay(pay) => self.pay(actor, pay),
            Command::Refund(refund) => self.refund(actor, refund),
            Command::NamePatient(name) => self.name_patient(actor, name),
            Command::Restrict(ask) => self.restrict(actor, ask),
            Command::Amend(ask) => self.amend(actor, ask),
            Command::Appeal(ask) => self.appeal(actor, ask),
            Command::MergePatients(ask) => self.merge(actor, ask),
        }
    }

    /// What becomes of the places of an appointment that ended, as its sessions say.
    fn free(&mut self, index: usize) {
        let claims = self.appointments[index].claims.clone();
        self.free_but(&claims, &[]);
    }

    /// The same of claims, but those with a place that is taken again.
    fn free_but(&mut self, claims: &[Claim], taken: &[Claim]) {
        let cells = |claim: &Claim| -> Vec<(SessionId, u8, u16)> {
            let slots = claim.slot.0..claim.slot.0 + u16::from(claim.count);
            slots.map(|slot| (claim.session, claim.pool.0, slot)).collect()
        };
        let again: Vec<_> = taken.iter().flat_map(cells).collect();
        for (number, claim) in claims.iter().enumerate() {
            if claim.pool.0 == 255 || cells(claim).iter().any(|cell| again.contains(cell)) {
                continue;
            }
            let Some(back) = self.back_at(number, claim) else { continue };
            for slot in claim.slot.0..claim.slot.0 + u16::from(claim.count) {
                self.returning.push((claim.session, slot, claim.pool.0, back));
            }
        }
    }

    /// When a place that is given up comes back; `None` for at once.
    fn back_at(&self, number: usize, claim: &Claim) -> Option<Timestamp> {
        let chance = u128::from(self.chance.rotate_left(8 * u32::try_from(number).unwrap()));
        let later = |delay: Delay| {
            let span = u128::from(delay.max_millis - delay.min_millis + 1);
            let drawn = u64::try_from(chance * span / (1 << 64)).unwrap();
            self.now.plus_millis(u64::from(delay.min_millis) + drawn)
        };
        match self.session(claim.session)?.terms.returns {
            _ if claim.pool.0 == 255 => None,
            ReturnRule::AtOnce => None,
            ReturnRule::Delayed(delay) | ReturnRule::WaitlistFirst(delay) => Some(later(delay)),
            ReturnRule::Withheld => Some(Timestamp::MAX),
        }
    }

    /// Taken places of a cell, counted by looking at every appointment.
    pub(super) fn taken(&self, session: SessionId, slot: u16, pool: u8) -> u16 {
        self.taken_but(session, slot, pool, None)
    }

    /// The same without one of them.
    fn taken_but(
        &self,
        session: SessionId,
        slot: u16,
        pool: u8,
        but: Option<AppointmentId>,
    ) -> u16 {
        let takers = self.appointments.iter().filter(|a| {
            !matches!(a.status, AppointmentStatus::Cancelled | AppointmentStatus::Waitlist)
        });
        let takers = takers.filter(|appointment| Some(appointment.id) != but);
        let takers = takers.filter(|appointment| !disruption::is_displaced(appointment));
        let claims = takers.flat_map(|appointment| &appointment.claims);
        let here = claims.filter(|claim| {
            claim.session == session
                && claim.pool.0 == pool
                && (claim.slot.0..claim.slot.0 + u16::from(claim.count)).contains(&slot)
        });
        let returning =
            self.returning.iter().filter(|it| (it.0, it.1, it.2) == (session, slot, pool));
        u16::try_from(here.count() + returning.count()).unwrap()
    }

    /// Every line of every ledger, sorted.
    pub(super) fn ledger(&self) -> Vec<(PatientId, AppointmentId, SessionId)> {
        let live = self.appointments.iter().filter(|appointment| is_live(appointment));
        let mut lines: Vec<_> = live
            .flat_map(|a| a.claims.iter().map(|claim| (a.patient, a.id, claim.session)))
            .collect();
        lines.sort_unstable();
        lines
    }

    pub(super) fn session(&self, id: SessionId) -> Option<&Session> {
        self.sessions.iter().find(|session| session.id == id)
    }

    fn appointment(&self, id: AppointmentId) -> Option<usize> {
        self.appointments.iter().position(|appointment| appointment.id == id)
    }

    /// Whether the id was used for something.
    pub(super) fn is_used(&self, id: RequestId) -> bool {
        self.appointments.iter().any(|appointment| appointment.id.request() == id)
            || self.declined.iter().any(|(hold, _)| hold.appointment.request() == id)
            || self.opened.iter().any(|open| open.request == id)
            || self.changed.iter().any(|change| change.request == id)
            || self.shared_out.iter().any(|set| set.request == id)
            || self.moved.iter().any(|ask| ask.request == id)
            || self.blocks.iter().any(|block| block.request == id)
            || self.substitutes.iter().any(|ask| ask.request == id)
            || self.draws.given.iter().any(|reveal| reveal.request == id)
            || self.joins.iter().any(|join| join.request == id)
            || self.leaves.iter().any(|leave| leave.request == id)
            || self.queue.calls.iter().any(|(call, ..)| call.request == id)
            || self.conduct.applied.iter().any(|apply| apply.request == id)
            || self.is_used_for_billing(id)
            || self.is_used_for_restrictions(id)
            || self.merges.iter().any(|ask| ask.request == id)
    }

    fn hold(&mut self, actor: &Actor, hold: &Hold) -> Result<Receipt, Refusal> {
        shape(hold)?;
        if let Some(index) = self.appointment(hold.appointment)
            && self.holds[index].as_ref().is_some_and(|known| asks_the_same(known, hold))
        {
            return Ok(told(&self.appointments[index], true));
        }
        let mut refusals: Vec<Refusal> = Vec::new();
        let patient = hold.holder().unwrap();
        if hold.patient.is_none() {
            refusals.extend(self.refuse_account(hold)?.map(Refusal::from));
        }
        if self.is_used(hold.appointment.request()) {
            refusals.push(Outcome::IdReused.into());
        }
        let mut claims = Claims::new();
        let mut entry = None;
        for wish in &hold.claims {
            match self.find(actor, (hold.channel, hold.class), wish, None) {
                Ok(Found::Claim(claim)) => claims.push(claim),
                Ok(Found::Entry(draw)) if hold.patient.is_none() => {
                    refusals.push(self.until_drawn(draw));
                }
                Ok(Found::Entry(draw)) => {
                    entry = Some(draw);
                    if let Err(outcome) = self.entry_fits(hold, draw) {
                        refusals.push(outcome.into());
                    }
                }
                Err(refusal) => refusals.push(refusal),
            }
            let live = |line: &(PatientId, AppointmentId, SessionId)| {
                (line.0, line.2) == (patient, wish.session)
            };
            let once = |session: &Session| session.repeat == Repeat::OnePerPatient;
            if self.session(wish.session).is_some_and(once) && self.ledger().iter().any(live) {
                refusals.push(Outcome::AlreadyHasAppointment.into());
            }
        }
        let who = self.refused_as(patient, &hold.keys);
        let wished = hold.claims.iter().filter_map(|wish| self.session(wish.session));
        let barred =
            wished.filter_map(|it| self.restricted(&who, it, (hold.channel, hold.class), &[]));
        refusals.extend(rules::strictest(barred));
        let asked: Vec<_> = hold.claims.iter().map(|wish| wish.session).collect();
        refusals.extend(self.cooling((patient, &hold.keys), &[], &asked));
        let wanted = Wanted { patient, class: hold.class, attributes: hold.attributes, but: &[] };
        if hold.patient.is_none() {
            // Limits are a patient's, who is not known yet.
        } else if let (Some(draw), [_]) = (entry, hold.claims.as_slice()) {
            let (session, slot) = (draw.session, crate::model::SlotIndex(0));
            let claim = Claim { session, slot, count: 1, pool: draw.pool };
            refusals.extend(self.beyond_limits(&wanted, &[claim]));
        } else if claims.len() == hold.claims.len() {
            refusals.extend(self.beyond_limits(&wanted, &claims));
        }
        let binds = self.persons_of_hold(hold, &claims, entry);
        refusals.extend(binds.as_ref().err());
        let rule = self.payment_rule(&claims, hold.class);
        let rule = rule.filter(|_| actor.role != Role::Admin);
        let paid = hold.book.zip(rule).map(|(payment, rule)| (Asked::paid(payment), rule));
        if let Some((kind, rule)) = paid {
            let kind = kind.map(|(kind, _)| kind);
            let wrong = billing::wrong_payment(&rule, hold.channel, kind);
            refusals.extend(wrong.map(Refusal::from));
        }
        if let Some(lowest) = refusals.iter().min_by_key(|refusal| refusal.outcome) {
            return Err(*lowest);
        }
        self.bind(binds?);
        self.phone(hold.appointment, hold.keys.phone);
        if let Some(draw) = entry {
            return Ok(self.enter(hold, patient, draw));
        }
        let receipt = self.take(hold, patient, claims);
        let last = self.appointments.len() - 1;
        if let Some((Some(paid), _)) = paid {
            self.put_bill(last, paid, RefundState::None);
        }
        if hold.book.is_some() {
            self.count_booking(last);
        }
        Ok(receipt)
    }

    fn take(&mut self, hold: &Hold, patient: PatientId, claims: Claims) -> Receipt {
        let sessions = claims.iter().map(|claim| self.session(claim.session).unwrap());
        let sessions: Vec<_> = sessions.collect();
        let ttl = sessions.iter().map(|session| session.ttl_max).min().unwrap().min(hold.ttl);
        let mut appointment = Appointment {
            id: hold.appointment,
            patient,
            account: hold.keys.account,
            organization: sessions[0].organization,
            channel: hold.channel,
            class: hold.class,
            sharing: sessions.iter().map(|session| session.sharing).min().unwrap(),
            status: AppointmentStatus::Pending,
            cause: Cause::None,
            until: self.now.after(ttl),
            fingerprint: hold.fingerprint(),
            payment: None,
            rules: self.rules().0,
            claims,
        };
        if let Some(payment) = hold.book {
            book(&mut appointment, payment, self.now);
        }
        let receipt = told(&appointment, false);
        self.put(appointment, Some(hold.clone()));
        receipt
    }

    /// Takes a place that the engine offers; nobody asked for it by a hold.
    pub(super) fn take_offer(&mut self, appointment: Appointment) {
        self.put(appointment, None);
    }

    fn put(&mut self, appointment: Appointment, hold: Option<Hold>) {
        let is_drawn = appointment.status == AppointmentStatus::Waitlist;
        self.history.made.push((self.now, is_drawn));
        self.appointments.push(appointment);
        self.holds.push(hold);
        self.changes.push(0);
    }

    fn set_quotas(&mut self, actor: &Actor, set: &SetQuotas) -> Result<Receipt, Refusal> {
        let receipt = |retried| Receipt {
            status: None,
            until: self.now,
            claims: Claims::new(),
            retried,
            appointment: None,
        };
        if self.shared_out.contains(set) {
            return Ok(receipt(true));
        }
        if self.is_used(set.request) {
            return Err(Outcome::IdReused.into());
        }
        let session = self.session(set.session).ok_or(Outcome::SessionNotFound)?;
        if !actor.may_touch(session.organization) {
            return Err(Outcome::OrganizationNotPermitted.into());
        }
        let slots = session.slot_count();
        if set.quotas.len() != session.pools.len() || set.quotas.iter().any(|q| q.len() != slots) {
            return Err(Outcome::QuotasInvalid.into());
        }
        for slot in 0..slots {
            let sum = |quotas: Vec<u16>| quotas.into_iter().map(u32::from).sum::<u32>();
            let before = sum(session.pools.iter().map(|pool| pool.quotas[slot]).collect());
            if before != sum(set.quotas.iter().map(|quotas| quotas[slot]).collect()) {
                return Err(Outcome::QuotasInvalid.into());
            }
        }
        for (index, (pool, quotas)) in session.pools.iter().zip(&set.quotas).enumerate() {
            let taken = |slot: usize| {
                let (slot, pool) = (u16::try_from(slot).unwrap(), u8::try_from(index).unwrap());
                self.taken(session.id, slot, pool)
            };
            let places: u32 = quotas.iter().map(|quota| u32::from(*quota)).sum();
            if places < pool.terms.floor || (0..slots).any(|slot| quotas[slot] < taken(slot)) {
                return Err(Outcome::QuotasInvalid.into());
            }
        }
        let receipt = receipt(false);
        let index = self.sessions.iter().position(|session| session.id == set.session).unwrap();
        for (pool, quotas) in self.sessions[index].pools.iter_mut().zip(&set.quotas) {
            pool.quotas.clone_from(quotas);
        }
        self.shared_out.push(set.clone());
        Ok(receipt)
    }

    /// Moves unused places where they are due.
    pub(super) fn step_sessions(&mut self) {
        for index in 0..self.sessions.len() {
            for from in 0..self.sessions[index].pools.len() {
                let session = &self.sessions[index];
                let due = session.pools[from].terms.reclaim.filter(|it| it.at <= self.now);
                let Some(reclaim) = due else { continue };
                if !self.is_drawn(session, u8::try_from(from).unwrap()) {
                    continue;
                }
                let pool = &session.pools[from];
                let all: u32 = pool.quotas.iter().map(|quota| u32::from(*quota)).sum();
                let mut most = u16::try_from(all - pool.terms.floor).unwrap();
                for slot in 0..session.slot_count() {
                    let (id, cell) = (self.sessions[index].id, u16::try_from(slot).unwrap());
                    let taken = self.taken(id, cell, u8::try_from(from).unwrap());
                    let is_blocked = self.is_blocked(id, cell);
                    let pools = &mut self.sessions[index].pools;
                    let unused = pools[from].quotas[slot] - taken;
                    let unused = if is_blocked { 0 } else { unused.min(most) };
                    most -= unused;
                    pools[from].quotas[slot] -= unused;
                    pools[usize::from(reclaim.to.0)].quotas[slot] += unused;
                }
                self.sessions[index].pools[from].terms.reclaim = None;
            }
        }
        self.step_waitlists();
    }

    fn change(&mut self, actor: &Actor, change: &Change) -> Result<Receipt, Refusal> {
        let found = self.appointment(change.appointment);
        let same = |other: &&Change| {
            (other.request, other.appointment, other.action)
                == (change.request, change.appointment, change.action)
        };
        let was_changed = self.changed.iter().any(|other| same(&other));
        let asked = if let Action::Book { payment } = change.action {
            Some(Asked::by_change(change, payment))
        } else {
            None
        };
        if let Some(before) = asked.and_then(|asked| self.booked_before(&asked, was_changed)) {
            return before;
        }
        if let (true, Some(index)) = (was_changed, found) {
            return Ok(told(&self.appointments[index], true));
        }
        if self.is_used(change.request) {
            return Err(Outcome::IdReused.into());
        }
        let Some(index) = found else { return Err(Outcome::AppointmentNotFound.into()) };
        let appointment = &self.appointments[index];
        lowest(&strange(actor, change, appointment))?;
        if let Some(asked) = asked.filter(|_| appointment.status != AppointmentStatus::Waitlist)
            && let Some(rule) = self.payment_rule(&appointment.claims, appointment.class)
        {
            return self.book_by(actor, index, Some(rule), (asked, change.channel));
        }

        let mut refusals = Vec::new();
        let is_void =
            appointment.status == AppointmentStatus::Pending && appointment.until <= self.now;
        if is_void && matches!(change.action, Action::Book { .. } | Action::Release) {
            refusals.push(Outcome::HoldExpired);
        }
        let event = event_of(change.action);
        let is_kept = self.is_kept(index);
        let appointment = &self.appointments[index];
        if appointment.status.after(event).is_none() {
            refusals.push(Outcome::WrongStatus);
        }
        let has_begun =
            |claim: &Claim| self.session(claim.session).unwrap().slot_start(claim.slot) <= self.now;
        let rules = self.attendance(appointment);
        if event == AppointmentEvent::NoShow
            && rules.is_none()
            && !appointment.claims.iter().any(has_begun)
        {
            refusals.push(Outcome::TooEarly);
        }
        if event == AppointmentEvent::Book && appointment.is_unnamed() {
            refusals.push(Outcome::PatientNotNamed);
        }
        let is_offer = appointment.status == AppointmentStatus::Pending
            && appointment.cause == Cause::Displaced;
        let is_lost = disruption::is_displaced(appointment);
        if (is_offer && event == AppointmentEvent::Book)
            || (is_lost && event != AppointmentEvent::Cancel)
        {
            refusals.push(Outcome::AppointmentDisplaced);
        }
        // What is displaced has a higher code than what is too early or too late.
        if refusals.iter().all(|outcome| *outcome == Outcome::AppointmentDisplaced)
            && let Some((_, slot_start, rules)) = rules
        {
            self.in_time(appointment, change.action, slot_start, &rules)?;
        }
        if let Some(outcome) = refusals.iter().min() {
            return Err(Refusal::of_status(*outcome, appointment.status));
        }
        let is_late = change.action == Action::Cancel
            && self.leave_late(actor, appointment, change.channel)?;
        let took = !is_lost && appointment.status != AppointmentStatus::Waitlist;
        if appointment.status == AppointmentStatus::Waitlist {
            self.withdraw(index)?;
        }

        self.note_queue(change, index);
        let now = self.now;
        let appointment = &mut self.appointments[index];
        if let Action::Book { payment } = change.action {
            book(appointment, payment, now);
        } else {
            appointment.status = appointment.status.after(event).unwrap();
            appointment.until = now;
        }
        appointment.cause = match change.action {
            Action::Release => Cause::Released,
            Action::Cancel => Cause::Cancelled,
            Action::Book { .. }
            | Action::Arrive
            | Action::CheckIn
            | Action::Fulfil
            | Action::NoShow
            | Action::Settle => Cause::None,
        };
        self.changed.push(*change);
        let settled = appointment.clone();
        if is_kept {
            self.keep_ended(&settled, index);
            self.cool(Some(actor), &settled);
        }
        if settled.status == AppointmentStatus::NoShow {
            self.strike(&settled);
        }
        let goes_on = matches!(change.action, Action::Arrive | Action::CheckIn);
        if is_kept && !goes_on && !matches!(change.action, Action::Book { .. }) {
            self.count_end(&settled);
        }
        if matches!(change.action, Action::Book { .. }) {
            self.count_booking(index);
        }
        if settled.status == AppointmentStatus::Fulfilled {
            self.end_row(settled.patient);
        }
        let appointment = &mut self.appointments[index];
        let ended = appointment.status == AppointmentStatus::Cancelled;
        let receipt = told(appointment, false);
        if ended && took {
            self.free(index);
        }
        self.end_offer(change.appointment);
        if change.action == Action::Cancel {
            self.billing.late.extend(is_late.then_some(change.appointment));
            self.owe(change.appointment);
        }
        Ok(receipt)
    }
}

fn book(appointment: &mut Appointment, payment: PaymentRef, now: Timestamp) {
    appointment.status = AppointmentStatus::Booked;
    appointment.payment = Some(payment);
    appointment.until = now;
}
