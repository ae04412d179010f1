//! Deadlines of cancels, payments, orders, refunds and the naming of patients, one by one.

use super::limits::Wanted;
use super::words::strangers;
use super::{Found, Naive, is_live, lowest, told, told_of_nothing};
use crate::model::{
    Actor, Appointment, AppointmentId, AppointmentStatus, Attributes, Bill, BookingChannel, Cause,
    Change, Claim, ClaimRequest, Claims, ClientKeys, Day, Deadline, Hold, Holder, LateCancel,
    LatePayment, NamePatient, Order, Outcome, PatientClass, Pay, PaymentKind, PaymentRef,
    PaymentRule, Place, PoolIndex, Receipt, Refund, RefundState, Refusal, Repeat, RequestId,
    ReturnRule, Role, RuleLayer, RuleMode, Session, SlotChoice, Timestamp, Ttl,
};

/// What lies beside appointments.
#[derive(Default)]
pub(in super::super) struct NaiveBilling {
    pub(in super::super) bills: Vec<Bill>,
    pub(in super::super) late: Vec<AppointmentId>,
    orders: Vec<Order>,
    /// Bookings that were made or are owed back.
    pays: Vec<Asked>,
    refunds: Vec<Refund>,
    pub(super) names: Vec<NamePatient>,
    /// What booked anew, and which appointment that made.
    again: Vec<(Asked, AppointmentId)>,
}

/// What asked for a booking.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    request: RequestId,
    appointment: AppointmentId,
    paid: Option<(PaymentKind, PaymentRef)>,
    is_pay: bool,
    fingerprint: u64,
}

impl Asked {
    pub(super) fn by_change(change: &Change, payment: PaymentRef) -> Self {
        Self {
            request: change.request,
            appointment: change.appointment,
            paid: Self::paid(payment),
            is_pay: false,
            fingerprint: change.fingerprint(),
        }
    }

    /// What a plain booking is paid with.
    pub(super) fn paid(payment: PaymentRef) -> Option<(PaymentKind, PaymentRef)> {
        (payment != PaymentRef(0)).then_some((PaymentKind::SelfPay, payment))
    }

    fn by_pay(pay: &Pay) -> Self {
        Self {
            request: pay.request,
            appointment: pay.appointment,
            paid: Some((pay.kind, pay.payment)),
            is_pay: true,
            fingerprint: pay.fingerprint(),
        }
    }
}

impl Naive {
    pub(super) fn is_used_for_billing(&self, id: RequestId) -> bool {
        let billing = &self.billing;
        billing.orders.iter().any(|it| it.request == id)
            || billing.pays.iter().any(|it| it.request == id)
            || billing.refunds.iter().any(|it| it.request == id)
            || billing.names.iter().any(|it| it.request == id)
    }

    /// What the nearest of the layers that hold says.
    pub(super) fn said<T>(
        &self,
        session: &Session,
        (class, attributes): (PatientClass, Attributes),
        key: impl Fn(&RuleLayer) -> Option<T>,
    ) -> Option<T> {
        let place = Place {
            organization: session.organization,
            department: session.department,
            resource: session.resource,
            service: session.terms.service,
        };
        let mut found: Option<(u8, T)> = None;
        for layer in &self.rules().1?.layers {
            let kind = layer.scope.kind() as u8;
            let holds = layer.scope.contains(&place) && layer.when.holds(class, attributes);
            if let Some(value) = key(layer).filter(|_| holds)
                && found.as_ref().is_none_or(|(nearest, _)| *nearest <= kind)
            {
                found = Some((kind, value));
            }
        }
        found.map(|(_, value)| value)
    }

    /// What leaving the places of an appointment late comes to.
    pub(super) fn leave_late(
        &self,
        actor: &Actor,
        appointment: &Appointment,
        channel: BookingChannel,
    ) -> Result<bool, Refusal> {
        let binds = matches!(actor.role, Role::Gateway | Role::Counter)
            && appointment.status != AppointmentStatus::Pending
            && !super::disruption::is_displaced(appointment);
        let mut is_late = false;
        for claim in appointment.claims.iter().filter(|_| binds) {
            let session = self.session(claim.session).unwrap();
            let who = (appointment.class, Attributes::default());
            let said = self.said(session, who, |layer| layer.cancel.clone());
            let Some(rule) = said.filter(|rule| rule.mode == RuleMode::Enforce) else { continue };
            let deadline = self.deadline(&rule.until, session.slot_start(claim.slot));
            if self.now < deadline {
                continue;
            }
            if rule.late == LateCancel::Refuse && !rule.later.contains(channel) {
                let since = self.now.as_millis() - deadline.as_millis();
                return Err(Refusal {
                    retry_after_millis: u32::try_from(since).unwrap_or(u32::MAX),
                    ..Refusal::of_status(Outcome::CancelTooLate, appointment.status)
                });
            }
            is_late = true;
        }
        Ok(is_late)
    }

    fn deadline(&self, deadline: &Deadline, start: Timestamp) -> Timestamp {
        let civil = &self.rules().1.unwrap().civil;
        let day = civil.day_of(start);
        let at =
            |day: Day, minute: u16| civil.start_of(day).plus_millis(u64::from(minute) * 60_000);
        match deadline {
            Deadline::Minutes(minutes) => start.minus_millis(u64::from(*minutes) * 60_000),
            Deadline::Days { days, minute } => at(Day(day.0 - u32::from(*days)), *minute),
            Deadline::Workdays { days, minute, except } => {
                let mut before: Vec<Day> = (1..200).map(|back| Day(day.0 - back)).collect();
                before.retain(|day| {
                    let is_weekend = matches!(
                        day.date().weekday(),
                        jiff::civil::Weekday::Saturday | jiff::civil::Weekday::Sunday
                    );
                    is_weekend == except.contains(day)
                });
                match days {
                    0 => at(day, *minute),
                    days => at(before[usize::from(*days) - 1], *minute),
                }
            }
            Deadline::HalfDays(halves) => {
                let noon = at(day, 720);
                let half = if start < noon { civil.start_of(day) } else { noon };
                half.minus_millis(u64::from(*halves - 1) * 12 * 3_600_000)
            }
        }
    }

    /// What the rules say of paying for the first of some claims.
    pub(super) fn payment_rule(
        &self,
        claims: &[Claim],
        class: PatientClass,
    ) -> Option<PaymentRule> {
        let session = self.session(claims.first()?.session)?;
        let said = self.said(session, (class, Attributes::default()), |layer| layer.payment);
        said.filter(|rule| rule.mode == RuleMode::Enforce)
    }

    /// Whether an account may hold without naming the patient: the first outcome is said before any
    /// other, the second among the others.
    pub(super) fn refuse_account(&self, hold: &Hold) -> Result<Option<Outcome>, Refusal> {
        let holder = hold.keys.account.unwrap().holder();
        let mut most = 255;
        for wish in &hold.claims {
            let Some(session) = self.session(wish.session) else { continue };
            let who = (hold.class, hold.attributes);
            let said = self.said(session, who, |layer| layer.holder);
            let Some(rule) = said.filter(|rule| rule.by == Holder::Account) else {
                return Err(Outcome::PatientMissing.into());
            };
            most = most.min(usize::from(rule.limit));
        }
        let own = self.appointments.iter().filter(|it| it.patient == holder && is_live(it));
        Ok((most <= own.count()).then_some(Outcome::AccountLimit))
    }

    pub(super) fn put_bill(
        &mut self,
        index: usize,
        (kind, payment): (PaymentKind, PaymentRef),
        refund: RefundState,
    ) {
        let of = &self.appointments[index];
        self.billing.bills.push(Bill {
            appointment: of.id,
            patient: of.patient,
            organization: of.organization,
            kind,
            payment,
            since: self.now,
            refund,
            reference: None,
            rebooked: None,
        });
    }

    /// What was paid for an appointment that is cancelled is owed back.
    pub(super) fn owe(&mut self, id: AppointmentId) {
        for bill in &mut self.billing.bills {
            let is_own = bill.appointment == id && bill.rebooked.is_none();
            if is_own && bill.refund == RefundState::None {
                (bill.refund, bill.since) = (RefundState::Due, self.now);
            }
        }
    }

    fn owed(&self, id: AppointmentId, payment: PaymentRef) -> Option<Bill> {
        let mut bills = self.billing.bills.iter();
        bills.find(|bill| (bill.appointment, bill.payment) == (id, payment)).copied()
    }

    /// Whether the same was asked before, and what it came to.
    pub(super) fn booked_before(
        &self,
        asked: &Asked,
        was_changed: bool,
    ) -> Option<Result<Receipt, Refusal>> {
        let again = self.billing.again.iter().find(|(other, _)| other == asked);
        if let Some((_, rebooked)) = again {
            let known = self.appointment(*rebooked)?;
            let receipt = told(&self.appointments[known], true);
            return Some(Ok(Receipt { appointment: Some(*rebooked), ..receipt }));
        }
        let was_asked = was_changed || self.billing.pays.contains(asked);
        let index = self.appointment(asked.appointment).filter(|_| was_asked)?;
        let appointment = &self.appointments[index];
        if let Some((_, payment)) = asked.paid
            && appointment.payment != Some(payment)
            && self.owed(asked.appointment, payment).is_some()
        {
            return Some(Err(Refusal::of_status(Outcome::PaymentRefundable, appointment.status)));
        }
        Some(Ok(told(appointment, true)))
    }

    pub(super) fn pay(&mut self, actor: &Actor, pay: &Pay) -> Result<Receipt, Refusal> {
        let asked = Asked::by_pay(pay);
        if let Some(before) = self.booked_before(&asked, false) {
            return before;
        }
        if self.is_used(pay.request) {
            return Err(Outcome::IdReused.into());
        }
        let Some(index) = self.appointment(pay.appointment) else {
            return Err(Outcome::AppointmentNotFound.into());
        };
        let appointment = &self.appointments[index];
        lowest(&strangers(actor, pay.patient, pay.channel, appointment))?;
        let rule = self.payment_rule(&appointment.claims, appointment.class);
        self.book_by(actor, index, rule, (asked, pay.channel))
    }

    /// Books an appointment, or what else comes of it, where the rules or the request say how it is
    /// paid for.
    pub(super) fn book_by(
        &mut self,
        actor: &Actor,
        index: usize,
        rule: Option<PaymentRule>,
        (asked, channel): (Asked, BookingChannel),
    ) -> Result<Receipt, Refusal> {
        let Appointment { id, status, cause, until, payment, .. } = self.appointments[index];
        let of_status = |outcome| Err(Refusal::of_status(outcome, status));
        if let Some((_, reference)) = asked.paid
            && let Some(bill) = self.owed(id, reference)
        {
            let is_owed = bill.refund != RefundState::None && payment != Some(reference);
            return of_status(if is_owed {
                Outcome::PaymentRefundable
            } else {
                Outcome::PaymentKnown
            });
        }
        let is_pending = status == AppointmentStatus::Pending;
        let is_over = is_pending && until <= self.now;
        let was_hold = status == AppointmentStatus::Cancelled && cause != Cause::Cancelled;
        if !(is_pending || was_hold && asked.paid.is_some()) {
            return of_status(Outcome::WrongStatus);
        }
        if is_over && asked.paid.is_none() {
            return of_status(Outcome::HoldExpired);
        }
        let mut refusals = Vec::new();
        let kind = asked.paid.map(|(kind, _)| kind);
        refusals.extend(rule.and_then(|rule| wrong_payment(&rule, channel, kind)));
        let is_unnamed = self.appointments[index].is_unnamed();
        if is_pending && !is_over {
            refusals.extend(is_unnamed.then_some(Outcome::PatientNotNamed));
            let is_offer = cause == Cause::Displaced;
            refusals.extend(is_offer.then_some(Outcome::AppointmentDisplaced));
        } else if 8 <= self.billing.bills.iter().filter(|bill| bill.appointment == id).count() {
            refusals.push(Outcome::TooManyPayments);
        }
        if let Some(lowest) = refusals.iter().min() {
            return of_status(*lowest);
        }
        if is_pending && !is_over {
            self.billing.pays.push(asked);
            let reference = asked.paid.map_or(PaymentRef(0), |(_, reference)| reference);
            super::book(&mut self.appointments[index], reference, self.now);
            if let Some(paid) = asked.paid {
                self.put_bill(index, paid, RefundState::None);
            }
            self.end_offer(id);
            self.count_booking(index);
            return Ok(told(&self.appointments[index], false));
        }
        let rebooks = rule.is_none_or(|rule| rule.late == LatePayment::Rebook);
        let was_left = was_hold && cause != Cause::Expired;
        let is_offer = is_pending && cause == Cause::Displaced;
        let may = rebooks && !was_left && !is_unnamed && !is_offer;
        let claims = if may { self.again(actor, index, channel) } else { None };
        let Some(claims) = claims else {
            self.billing.pays.push(asked);
            self.put_bill(index, asked.paid.unwrap(), RefundState::Due);
            return of_status(Outcome::PaymentRefundable);
        };
        Ok(self.rebook(index, claims, (asked, channel)))
    }

    /// The places that a hold of the same slots would get now.
    fn again(&self, actor: &Actor, index: usize, channel: BookingChannel) -> Option<Claims> {
        let old = &self.appointments[index];
        let is_pending = old.status == AppointmentStatus::Pending;
        let mut claims = Claims::new();
        for claim in &old.claims {
            let session = self.session(claim.session)?;
            let own = session.terms.returns == ReturnRule::AtOnce && is_pending;
            let slots = SlotChoice::at(claim.slot);
            let wish = ClaimRequest { session: claim.session, count: claim.count, slots };
            match self.find(actor, (channel, old.class), &wish, own.then_some(old.id)) {
                Ok(Found::Claim(claim)) => claims.push(claim),
                Ok(Found::Entry(_)) | Err(_) => return None,
            }
            let other = self.appointments.iter().any(|other| {
                let is_there = other.claims.iter().any(|it| it.session == claim.session);
                other.patient == old.patient && other.id != old.id && is_live(other) && is_there
            });
            let once = session.repeat == Repeat::OnePerPatient;
            let keys = ClientKeys { phone: self.known_phone(old.id), ..ClientKeys::default() };
            let who = self.refused_as(old.patient, &ClientKeys { account: old.account, ..keys });
            let restricted = self.restricted(&who, session, (channel, old.class), &[old.id]);
            if once && other || restricted.is_some() {
                return None;
            }
        }
        let but = [old.id];
        let wanted = wanted(old.patient, old.class, Attributes::default(), &but);
        self.beyond_limits(&wanted, &claims).is_none().then_some(claims)
    }

    fn rebook(
        &mut self,
        index: usize,
        claims: Claims,
        (asked, channel): (Asked, BookingChannel),
    ) -> Receipt {
        let (id, now) = (AppointmentId(asked.request.0), self.now);
        if self.appointments[index].status == AppointmentStatus::Pending {
            let is_kept = self.is_kept(index);
            let old = &mut self.appointments[index];
            (old.status, old.cause, old.until) =
                (AppointmentStatus::Cancelled, Cause::Expired, now);
            let old = old.clone();
            if is_kept {
                self.keep_ended(&old, index);
                self.count_end(&old);
            }
            self.free(index);
            self.end_offer(old.id);
        }
        let paid = asked.paid.unwrap();
        let old = &self.appointments[index];
        let hold = Hold {
            appointment: id,
            patient: Some(old.patient),
            keys: ClientKeys { account: old.account, ..ClientKeys::default() },
            channel,
            class: old.class,
            attributes: Attributes::default(),
            ttl: Ttl::DEFAULT,
            book: Some(paid.1),
            claims: old.claims.iter().map(|_| wish_for_nothing()).collect(),
        };
        let patient = old.patient;
        self.put_bill(index, paid, RefundState::None);
        self.billing.bills.last_mut().unwrap().rebooked = Some(id);
        let receipt = self.take(&hold, patient, claims);
        self.appointments.last_mut().unwrap().fingerprint = asked.fingerprint;
        *self.holds.last_mut().unwrap() = None;
        self.phone_of(id, asked.appointment);
        let last = self.appointments.len() - 1;
        self.put_bill(last, paid, RefundState::None);
        self.count_booking(last);
        self.billing.again.push((asked, id));
        Receipt { appointment: Some(id), ..receipt }
    }

    pub(super) fn order(&mut self, actor: &Actor, order: &Order) -> Result<Receipt, Refusal> {
        let found = self.appointment(order.appointment);
        let same = |other: &&Order| {
            (other.request, other.appointment, other.until)
                == (order.request, order.appointment, order.until)
        };
        if let (Some(_), Some(index)) = (self.billing.orders.iter().find(same), found) {
            return Ok(told(&self.appointments[index], true));
        }
        if self.is_used(order.request) {
            return Err(Outcome::IdReused.into());
        }
        let Some(index) = found else { return Err(Outcome::AppointmentNotFound.into()) };
        let hold = &self.appointments[index];
        lowest(&strangers(actor, order.patient, order.channel, hold))?;
        let mut refusals = Vec::new();
        let is_pending = hold.status == AppointmentStatus::Pending;
        refusals.extend((!is_pending).then_some(Outcome::WrongStatus));
        refusals.extend((is_pending && hold.until <= self.now).then_some(Outcome::HoldExpired));
        refusals.extend(hold.is_unnamed().then_some(Outcome::PatientNotNamed));
        let had = self.billing.orders.iter().filter(|it| it.appointment == hold.id).count();
        let rule = self.payment_rule(&hold.claims, hold.class).and_then(|rule| rule.order);
        let until = rule
            .filter(|rule| had < usize::from(rule.times))
            .map(|rule| order.until.min(self.now.plus_millis(u64::from(rule.minutes) * 60_000)));
        let until = until.filter(|until| self.now < *until);
        refusals.extend(until.is_none().then_some(Outcome::OrderRefused));
        let is_offer = is_pending && hold.cause == Cause::Displaced;
        refusals.extend(is_offer.then_some(Outcome::AppointmentDisplaced));
        if let Some(lowest) = refusals.iter().min() {
            return Err(Refusal::of_status(*lowest, hold.status));
        }
        self.billing.orders.push(*order);
        self.appointments[index].until = until.unwrap();
        Ok(told(&self.appointments[index], false))
    }

    pub(super) fn refund(&mut self, actor: &Actor, refund: &Refund) -> Result<Receipt, Refusal> {
        if self.billing.refunds.contains(refund) {
            return Ok(told_of_nothing(self.now, true));
        }
        if self.is_used(refund.request) {
            return Err(Outcome::IdReused.into());
        }
        let Some(index) = self.appointment(refund.appointment) else {
            return Err(Outcome::AppointmentNotFound.into());
        };
        if !actor.may_touch(self.appointments[index].organization) {
            return Err(Outcome::OrganizationNotPermitted.into());
        }
        let now = self.now;
        let mut bills = self.billing.bills.iter_mut();
        let bill = bills
            .find(|it| (it.appointment, it.payment) == (refund.appointment, refund.payment))
            .ok_or(Outcome::RefundNotDue)?;
        match bill.refund {
            RefundState::Due => {
                (bill.refund, bill.since) = (RefundState::Refunded, now);
                bill.reference = Some(refund.reference);
                self.billing.refunds.push(*refund);
                Ok(told_of_nothing(now, false))
            }
            RefundState::Refunded if bill.reference == Some(refund.reference) => {
                Ok(told_of_nothing(now, true))
            }
            RefundState::None | RefundState::Refunded => Err(Outcome::RefundNotDue.into()),
        }
    }

    pub(super) fn name_patient(
        &mut self,
        actor: &Actor,
        name: &NamePatient,
    ) -> Result<Receipt, Refusal> {
        let found = self.appointment(name.appointment);
        let key =
            |it: &NamePatient| (it.request, it.appointment, it.patient, it.keys.account, it.class);
        let same = |other: &&NamePatient| key(other) == key(name);
        if let (Some(_), Some(index)) = (self.billing.names.iter().find(same), found) {
            return Ok(told(&self.appointments[index], true));
        }
        if self.is_used(name.request) {
            return Err(Outcome::IdReused.into());
        }
        let Some(index) = found else { return Err(Outcome::AppointmentNotFound.into()) };
        let hold = &self.appointments[index];
        lowest(&strangers(actor, None, name.channel, hold))?;
        let Some(account) = name.keys.account.filter(|it| hold.account == Some(*it)) else {
            return Err(Outcome::AppointmentNotFound.into());
        };
        if name.patient == account.holder() {
            return Err(Outcome::PatientMissing.into());
        }
        let mut refusals: Vec<Refusal> = Vec::new();
        let mut restricted: Vec<Refusal> = Vec::new();
        let phone = name.keys.phone.or_else(|| self.known_phone(name.appointment));
        let keys = ClientKeys { phone, ..name.keys };
        let who = self.refused_as(name.patient, &keys);
        for claim in &hold.claims {
            let session = self.session(claim.session).unwrap();
            if claim.pool != PoolIndex::ADDED {
                let pool = &session.pools[usize::from(claim.pool.0)];
                if !pool.channels.contains(hold.channel) || !pool.classes.contains(name.class) {
                    refusals.push(Outcome::PoolNotFound.into());
                }
            }
            let has = |line: &(_, AppointmentId, _)| (line.0, line.2) == (name.patient, session.id);
            if session.repeat == Repeat::OnePerPatient && self.ledger().iter().any(has) {
                refusals.push(Outcome::AlreadyHasAppointment.into());
            }
            restricted.extend(self.restricted(&who, session, (hold.channel, name.class), &[]));
        }
        refusals.extend(super::rules::strictest(restricted.into_iter()));
        let wanted = wanted(name.patient, name.class, name.attributes, &[]);
        refusals.extend(self.beyond_limits(&wanted, &hold.claims));
        let asked: Vec<_> = hold.claims.iter().map(|claim| claim.session).collect();
        refusals.extend(self.cooling((name.patient, &keys), &[], &asked));
        let binds = self.persons_of_name(name, index);
        refusals.extend(binds.as_ref().err());
        let is_pending = hold.status == AppointmentStatus::Pending;
        let mut of_status = |outcome, applies: bool| {
            refusals.extend(applies.then(|| Refusal::of_status(outcome, hold.status)));
        };
        of_status(Outcome::HoldExpired, is_pending && hold.until <= self.now);
        of_status(Outcome::WrongStatus, !is_pending);
        of_status(Outcome::PatientNamed, hold.patient != account.holder());
        if let Some(lowest) = refusals.iter().min_by_key(|refusal| refusal.outcome) {
            return Err(*lowest);
        }
        self.bind(binds?);
        self.phone(name.appointment, name.keys.phone);
        self.billing.names.push(*name);
        // It is the patient's since now.
        self.history.made[index].0 = self.now;
        let hold = &mut self.appointments[index];
        (hold.patient, hold.class) = (name.patient, name.class);
        Ok(told(hold, false))
    }

    /// How many orders each pending hold had, by id: those that had one.
    pub(in super::super) fn ordered(&self) -> Vec<(AppointmentId, u8)> {
        let pending = self.appointments.iter().filter(|it| it.status == AppointmentStatus::Pending);
        let count = |id: AppointmentId| {
            self.billing.orders.iter().filter(|order| order.appointment == id).count()
        };
        let mut all: Vec<_> =
            pending.map(|it| (it.id, u8::try_from(count(it.id)).unwrap())).collect();
        all.retain(|(_, orders)| 0 < *orders);
        all.sort_unstable();
        all
    }
}

/// What is wrong with a payment of a kind, or with none.
pub(super) fn wrong_payment(
    rule: &PaymentRule,
    channel: BookingChannel,
    kind: Option<PaymentKind>,
) -> Option<Outcome> {
    use crate::model::PaymentMode as M;
    let takes: &[PaymentKind] = match rule.by {
        M::AtPickUp | M::AfterVisit => &[],
        M::SelfPay | M::SelfPayOnly => &[PaymentKind::SelfPay],
        M::SelfPayOrInsurance => &[PaymentKind::SelfPay, PaymentKind::Insurance],
        M::PreAuthorization => &[PaymentKind::PreAuthorization],
    };
    if rule.by == M::SelfPayOnly && kind == Some(PaymentKind::Insurance) {
        return Some(Outcome::PaymentKindRefused);
    }
    match kind {
        _ if !rule.channels.contains(channel) => None,
        Some(kind) => (!takes.contains(&kind)).then_some(Outcome::PaymentKindRefused),
        None => (!takes.is_empty()).then_some(Outcome::PaymentMissing),
    }
}

const fn wanted(
    patient: crate::model::PatientId,
    class: PatientClass,
    attributes: Attributes,
    but: &[AppointmentId],
) -> Wanted<'_> {
    Wanted { patient, class, attributes, but }
}

fn wish_for_nothing() -> ClaimRequest {
    ClaimRequest { session: crate::model::SessionId(0), count: 1, slots: SlotChoice::Any }
}
