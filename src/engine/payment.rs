//! Decides payments, the orders before them, and what is owed back.
//!
//! ```text
//! pending, in time     Booked + Paid                       a rule says with which payment
//! over, paid late      [Expired] Held + Booked + Paid      the same slots, as any hold would get them
//!                      RefundDue, and the refusal PaymentRefundable
//! booked, cancelled    Cancelled + RefundDue  -- refund -> Refunded
//! ```
//!
//! **Architecture invariant:** a payment that came too late takes a place as a hold does, by every rule
//! of holds, or none; and what was paid is booked with or owed back, once.

use super::change::refuse_stranger;
use super::hold::{Grant, Granted, Wanted, grant};
use super::limits::{Asking, refuse_beyond_limits};
use super::naming::{Person, refuse_personal};
use super::returns::end;
use super::subjects::phoned;
use super::view::{Context, Decision, View};
use super::violations::{Made, follow_booking, follow_end};
use super::visits::recorded;
use super::waitlist::with_entry;
use crate::model::limits::BILLS_MAX;
use crate::model::{
    Appointment, AppointmentId, AppointmentStatus, Attributes, Bill, Billed, Booked,
    BookingChannel, Cause, Claim, ClaimRequest, ClientKeys, Ended, Ending, Fact, Facts, Hold,
    LatePayment, Order, Ordered, Outcome, PatientClass, Pay, PaymentKind, PaymentRef, PaymentRule,
    Place, PoolIndex, Receipt, Refund, RefundState, Refusal, RequestId, ReturnRule, Role, RuleKey,
    RuleWhy, SlotChoice, Ttl,
};

/// A booking of a hold, however it was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Booking {
    pub(super) request: RequestId,
    pub(super) fingerprint: u64,
    pub(super) channel: BookingChannel,
    pub(super) paid: Option<(PaymentKind, PaymentRef)>,
}

/// A rule about payments, and the layer that says it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said<'a> {
    rule: &'a PaymentRule,
    layer: u8,
}

impl Said<'_> {
    /// Whether a booking with such a payment, or with none, is as the rule has it.
    fn check(
        &self,
        context: &Context<'_>,
        channel: BookingChannel,
        kind: Option<PaymentKind>,
    ) -> Result<(), Refusal> {
        self.rule.check(channel, kind).map_err(|outcome| {
            let through = self.rule.elsewhere(kind);
            let why = RuleWhy { through, ..context.why(RuleKey::Payment, self.layer) };
            Refusal::by_rule(outcome, context.now, why)
        })
    }
}

/// How visits of that class are paid for where the first of some claims is, if a rule says so.
pub(super) fn rule_of<'a>(
    view: &View<'_>,
    context: &Context<'a>,
    claims: &[Claim],
    class: PatientClass,
) -> Option<Said<'a>> {
    let session = view.session(claims.first()?.session)?;
    let is_about = |when: &crate::model::RuleCondition| when.holds(class, Attributes::default());
    let place = Place::of(session.spec());
    let said = context.rules.nearest(&place, is_about, |layer| layer.payment.as_ref());
    let applied = said.filter(|(_, rule)| context.applies(RuleKey::Payment, rule.mode));
    applied.map(|(layer, rule)| Said { rule, layer })
}

/// What a plain booking is paid with: a reference that is not 0 is the patient's own.
pub(super) fn paid_with(payment: PaymentRef) -> Option<(PaymentKind, PaymentRef)> {
    (payment.0 != 0).then_some((PaymentKind::SelfPay, payment))
}

/// Decides a booking with a payment of a kind (支付).
///
/// # Errors
///
/// The refusal with the lowest code of those that apply, after those of a stranger. Nothing happens
/// then. Where money is owed back the decision carries the refusal.
pub fn decide_pay(view: &View<'_>, context: &Context<'_>, pay: &Pay) -> Result<Decision, Refusal> {
    let fingerprint = pay.fingerprint();
    let known = view.appointment(pay.appointment);
    let asked = (pay.request, fingerprint, pay.payment);
    if let Some(retry) = repeated(view, asked, known.as_ref())? {
        return Ok(retry);
    }
    let Some(appointment) = known else {
        return Err(Outcome::AppointmentNotFound.into());
    };
    refuse_stranger((view, context), &appointment, pay.patient, pay.channel, true)?;
    let booking = Booking {
        request: pay.request,
        fingerprint,
        channel: pay.channel,
        paid: Some((pay.kind, pay.payment)),
    };
    let rule = rule_of(view, context, &appointment.claims, appointment.class);
    decide_booking(view, context, &appointment, rule, booking)
}

/// An id that was seen before: the same payment again, which may have booked another appointment, or
/// another request that must not use it.
pub(super) fn repeated(
    view: &View<'_>,
    (request, fingerprint, payment): (RequestId, u64, PaymentRef),
    known: Option<&Appointment>,
) -> Result<Option<Decision>, Refusal> {
    if view.request(request) == Some(fingerprint)
        && let Some(appointment) = known
    {
        let bill = view.bill(appointment.id, payment);
        let is_owed = bill.is_some_and(|bill| bill.refund != RefundState::None);
        if is_owed && appointment.payment != Some(payment) {
            return Err(refundable(appointment));
        }
        return Ok(Some(Decision::retry(appointment)));
    }
    let rebooked = AppointmentId(request.0);
    if let Some(appointment) = view.appointment(rebooked)
        && appointment.fingerprint == fingerprint
    {
        let mut retry = Decision::retry(&appointment);
        retry.receipt.appointment = Some(rebooked);
        return Ok(Some(retry));
    }
    if view.knows(request) { Err(Outcome::IdReused.into()) } else { Ok(None) }
}

/// Books a hold, or what comes of a payment when it is over. Who asks may touch it.
pub(super) fn decide_booking(
    view: &View<'_>,
    context: &Context<'_>,
    appointment: &Appointment,
    rule: Option<Said<'_>>,
    booking: Booking,
) -> Result<Decision, Refusal> {
    let status = appointment.status;
    let of_status = |outcome| Refusal::of_status(outcome, status);
    let with_status = |refusal| Refusal { status: Some(status), ..refusal };
    let is_pending = status == AppointmentStatus::Pending;
    let is_over = is_pending && appointment.until <= context.now;
    let was_hold = status == AppointmentStatus::Cancelled && appointment.cause != Cause::Cancelled;
    if let Some((_, payment)) = booking.paid
        && let Some(bill) = view.bill(appointment.id, payment)
    {
        let is_owed = bill.refund != RefundState::None && appointment.payment != Some(payment);
        return Err(if is_owed {
            refundable(appointment)
        } else {
            of_status(Outcome::PaymentKnown)
        });
    }
    if is_pending && !is_over {
        if let Some(rule) = rule {
            let kind = booking.paid.map(|(kind, _)| kind);
            rule.check(context, booking.channel, kind).map_err(with_status)?;
        }
        if appointment.is_unnamed() {
            return Err(of_status(Outcome::PatientNotNamed));
        }
        if appointment.is_offer() {
            return Err(of_status(Outcome::AppointmentDisplaced));
        }
        return Ok(book(view, context, appointment, booking));
    }
    match booking.paid {
        Some(paid) if is_over || was_hold => {
            decide_late(view, context, appointment, rule, (booking, paid))
        }
        None if is_over => Err(of_status(Outcome::HoldExpired)),
        Some(_) | None => Err(of_status(Outcome::WrongStatus)),
    }
}

fn book(
    view: &View<'_>,
    context: &Context<'_>,
    appointment: &Appointment,
    booking: Booking,
) -> Decision {
    let Booking { request, fingerprint, paid, .. } = booking;
    let payment = paid.map_or(PaymentRef(0), |(_, payment)| payment);
    let id = appointment.id;
    let booked = Fact::Booked(Booked { request, fingerprint, appointment: id, payment });
    let mut facts = with_entry(view, appointment.patient, booked);
    facts.extend(paid.map(|paid| billed(None, bill(context, appointment, paid))));
    follow_booking(view, context, &Made::of(view, appointment), &mut facts);
    let receipt = Receipt {
        status: Some(AppointmentStatus::Booked),
        until: context.now,
        claims: appointment.claims.clone(),
        retried: false,
        appointment: None,
    };
    Decision { facts, receipt, refused: None }
}

/// A payment of a hold that is over: the same slots again, or the money is owed back.
fn decide_late(
    view: &View<'_>,
    context: &Context<'_>,
    appointment: &Appointment,
    rule: Option<Said<'_>>,
    (booking, paid): (Booking, (PaymentKind, PaymentRef)),
) -> Result<Decision, Refusal> {
    if let Some(rule) = rule {
        rule.check(context, booking.channel, Some(paid.0))
            .map_err(|refusal| Refusal { status: Some(appointment.status), ..refusal })?;
    }
    if BILLS_MAX <= view.bills(appointment.id).len() {
        return Err(Refusal::of_status(Outcome::TooManyPayments, appointment.status));
    }
    let rebooks = rule.is_none_or(|said| said.rule.late == LatePayment::Rebook);
    let lapsed =
        appointment.status == AppointmentStatus::Pending || appointment.cause == Cause::Expired;
    let may = rebooks && lapsed && !appointment.is_unnamed() && !appointment.is_offer();
    let granted = if may { again(view, context, appointment, booking.channel) } else { None };
    if let Some(granted) = granted {
        return Ok(rebook(view, context, appointment, granted, (booking, paid)));
    }
    let bill = Bill { refund: RefundState::Due, ..bill(context, appointment, paid) };
    let request = Some((booking.request, booking.fingerprint));
    let facts = std::iter::once(billed(request, bill)).collect();
    let refused = Some(refundable(appointment));
    Ok(Decision { facts, refused, ..Decision::retry(appointment) })
}

/// The same slots for the same patient, if a hold would get them now.
fn again(
    view: &View<'_>,
    context: &Context<'_>,
    appointment: &Appointment,
    channel: BookingChannel,
) -> Option<Granted> {
    let wish = |claim: &Claim| ClaimRequest {
        session: claim.session,
        count: claim.count,
        slots: SlotChoice::at(claim.slot),
    };
    let wishes: Vec<ClaimRequest> = appointment.claims.iter().map(wish).collect();
    // Its own places are still taken where nobody has ended it yet. They come back with the same record,
    // for this request as for any other: not where sessions keep freed places back.
    let is_pending = appointment.status == AppointmentStatus::Pending;
    let at_once = |claim: &&Claim| {
        let session = view.session(claim.session);
        let returns = session.map(|session| session.spec().terms.returns);
        is_pending && returns == Some(ReturnRule::AtOnce) && claim.pool != PoolIndex::ADDED
    };
    let freed: Vec<Claim> = appointment.claims.iter().filter(at_once).copied().collect();
    let wanted = Wanted {
        claims: &wishes,
        patient: appointment.patient,
        channel,
        class: appointment.class,
        freed: &freed,
        but: &[appointment.id],
        may_enter: false,
    };
    let who = view.subjects(appointment).ledgers(context.rules.asked());
    let but = [appointment.id];
    let person = Person { who, channel, class: appointment.class, but: &but };
    let sessions = wishes.iter().map(|wish| wish.session);
    if refuse_personal(view, context, &person, sessions).is_some() {
        return None;
    }
    let granted = grant(view, context, &wanted).and_then(Grant::places).ok()?;
    let asking = Asking {
        patient: appointment.patient,
        class: appointment.class,
        attributes: Attributes::default(),
        but: &[appointment.id],
    };
    let broken = refuse_beyond_limits(view, context, &asking, &granted.claims);
    broken.is_none().then_some(granted)
}

fn rebook(
    view: &View<'_>,
    context: &Context<'_>,
    appointment: &Appointment,
    granted: Granted,
    (booking, paid): (Booking, (PaymentKind, PaymentRef)),
) -> Decision {
    let Appointment { id, patient, account, class, .. } = *appointment;
    let (rebooked, payment) = (AppointmentId(booking.request.0), paid.1);
    let mut facts = Facts::new();
    if appointment.status == AppointmentStatus::Pending {
        let claims = appointment.claims.clone();
        let ended =
            Ended { request: None, appointment: id, patient, cause: Cause::Expired, claims };
        facts.extend(with_entry(view, patient, end(view, context, ended)));
        facts.extend(recorded(view, context, appointment, Ending::Expired));
    }
    let hold = Hold {
        appointment: rebooked,
        patient: Some(patient),
        keys: ClientKeys { account, ..ClientKeys::default() },
        channel: booking.channel,
        class,
        attributes: Attributes::default(),
        ttl: Ttl::DEFAULT,
        book: Some(payment),
        claims: appointment.claims.iter().map(|_| unasked()).collect(),
    };
    let paid_late = Bill { rebooked: Some(rebooked), ..bill(context, appointment, paid) };
    let organization = granted.organization;
    let made = granted.decision(context, &hold, patient, booking.fingerprint);
    facts.extend(made.facts);
    facts.push(billed(None, paid_late));
    let paid_now = Bill { appointment: rebooked, organization, ..bill(context, appointment, paid) };
    facts.push(billed(None, paid_now));
    facts.extend(phoned(context, rebooked, view.phone(id)));
    follow_end(view, context, appointment, &mut facts);
    let receipt = Receipt { appointment: Some(rebooked), ..made.receipt };
    let claims = &receipt.claims;
    let who = view.subjects(appointment);
    let made = Made { appointment: rebooked, who, class, claims, but: Some(id) };
    follow_booking(view, context, &made, &mut facts);
    Decision { facts, receipt, refused: None }
}

/// The wishes of a hold that was granted already are not looked at.
fn unasked() -> ClaimRequest {
    ClaimRequest { session: crate::model::SessionId(0), count: 1, slots: SlotChoice::Any }
}

/// A payment that was just made.
fn bill(
    context: &Context<'_>,
    of: &Appointment,
    (kind, payment): (PaymentKind, PaymentRef),
) -> Bill {
    Bill {
        appointment: of.id,
        patient: of.patient,
        organization: of.organization,
        kind,
        payment,
        since: context.now,
        refund: RefundState::None,
        reference: None,
        rebooked: None,
    }
}

fn billed(request: Option<(RequestId, u64)>, bill: Bill) -> Fact {
    Fact::Billed(Box::new(Billed { request, bill }))
}

/// The payment of a hold that was booked at once, where a rule says how it is paid for.
///
/// # Errors
///
/// [`Outcome::PaymentMissing`] and [`Outcome::PaymentKindRefused`].
pub(super) fn bill_at_once(
    view: &View<'_>,
    context: &Context<'_>,
    hold: &Hold,
    claims: &[Claim],
) -> Result<Option<PaymentKind>, Refusal> {
    // History that is read in was paid for as it was.
    let Some(payment) = hold.book.filter(|_| context.actor.role != Role::Admin) else {
        return Ok(None);
    };
    let Some(rule) = rule_of(view, context, claims, hold.class) else { return Ok(None) };
    let kind = paid_with(payment).map(|(kind, _)| kind);
    rule.check(context, hold.channel, kind)?;
    Ok(kind)
}

/// Adds the payment of a hold that is booked at once to what happens.
pub(super) fn with_bill(
    mut decision: Decision,
    context: &Context<'_>,
    kind: Option<PaymentKind>,
) -> Decision {
    let (Some(kind), [Fact::Held(held), Fact::Booked(booked)]) = (kind, decision.facts.as_slice())
    else {
        return decision;
    };
    let bill = Bill {
        appointment: held.appointment,
        patient: held.patient,
        organization: held.organization,
        kind,
        payment: booked.payment,
        since: context.now,
        refund: RefundState::None,
        reference: None,
        rebooked: None,
    };
    decision.facts.push(billed(None, bill));
    decision
}

/// What a cancelled appointment was paid with is owed back.
pub(super) fn owe(view: &View<'_>, context: &Context<'_>, id: AppointmentId) -> Vec<Fact> {
    let bills = view.bills(id).iter();
    let booked = bills.filter(|bill| bill.refund == RefundState::None && bill.rebooked.is_none());
    let due = |bill: &Bill| Bill { refund: RefundState::Due, since: context.now, ..*bill };
    booked.map(|bill| billed(None, due(bill))).collect()
}

/// Decides a payment order: until when a hold stands now (支付订单).
///
/// # Errors
///
/// The refusal with the lowest code of those that apply, after those of a stranger. Nothing happens
/// then.
pub fn decide_order(
    view: &View<'_>,
    context: &Context<'_>,
    order: &Order,
) -> Result<Decision, Refusal> {
    let fingerprint = order.fingerprint();
    let known = view.appointment(order.appointment);
    if let (Some(print), Some(appointment)) = (view.request(order.request), &known)
        && print == fingerprint
    {
        return Ok(Decision::retry(appointment));
    }
    if view.knows(order.request) {
        return Err(Outcome::IdReused.into());
    }
    let Some(appointment) = known else {
        return Err(Outcome::AppointmentNotFound.into());
    };
    refuse_stranger((view, context), &appointment, order.patient, order.channel, true)?;
    let of_status = |outcome| Refusal::of_status(outcome, appointment.status);
    if appointment.status != AppointmentStatus::Pending {
        return Err(of_status(Outcome::WrongStatus));
    }
    if appointment.until <= context.now {
        return Err(of_status(Outcome::HoldExpired));
    }
    if appointment.is_unnamed() {
        return Err(of_status(Outcome::PatientNotNamed));
    }
    let said = rule_of(view, context, &appointment.claims, appointment.class);
    let orders = view.orders(appointment.id);
    let allowed = said.and_then(|said| said.rule.order);
    let rule = allowed.filter(|rule| orders < rule.times);
    let until = rule.map(|rule| {
        let most = context.now.plus_millis(u64::from(rule.minutes).saturating_mul(60_000));
        order.until.min(most)
    });
    let Some(until) = until.filter(|until| context.now < *until) else {
        let why = said.map(|said| RuleWhy {
            count: orders.into(),
            limit: allowed.map_or(0, |rule| rule.times.into()),
            ..context.why(RuleKey::Payment, said.layer)
        });
        return Err(Refusal { why, ..of_status(Outcome::OrderRefused) });
    };
    if appointment.is_offer() {
        return Err(of_status(Outcome::AppointmentDisplaced));
    }

    let receipt = Receipt {
        status: Some(AppointmentStatus::Pending),
        until,
        claims: appointment.claims,
        retried: false,
        appointment: None,
    };
    let fact = Ordered {
        request: order.request,
        fingerprint,
        appointment: order.appointment,
        until,
        orders: orders.saturating_add(1),
    };
    let facts = std::iter::once(Fact::Ordered(fact)).collect();
    Ok(Decision { facts, receipt, refused: None })
}

/// Decides that money was given back (退费). The same reference again is the same refund.
///
/// # Errors
///
/// [`Outcome::IdReused`], [`Outcome::OrganizationNotPermitted`], [`Outcome::AppointmentNotFound`] and
/// [`Outcome::RefundNotDue`]. Nothing happens then.
pub fn decide_refund(
    view: &View<'_>,
    context: &Context<'_>,
    refund: &Refund,
) -> Result<Decision, Refusal> {
    let fingerprint = refund.fingerprint();
    if let Some(retry) = view.repeated(context.now, refund.request, fingerprint)? {
        return Ok(retry);
    }
    let known = view.appointment(refund.appointment);
    let organization = known.map(|appointment| appointment.organization);
    let organization = organization
        .or_else(|| view.bills(refund.appointment).first().map(|bill| bill.organization))
        .ok_or(Outcome::AppointmentNotFound)?;
    if !context.actor.may_touch(organization) {
        return Err(Outcome::OrganizationNotPermitted.into());
    }
    let bill = view.bill(refund.appointment, refund.payment).ok_or(Outcome::RefundNotDue)?;
    let reference = Some(refund.reference);
    match bill.refund {
        RefundState::Due => {
            let request = Some((refund.request, fingerprint));
            let (refund, since) = (RefundState::Refunded, context.now);
            let bill = Bill { since, refund, reference, ..*bill };
            Ok(Decision::done(context.now, billed(request, bill)))
        }
        RefundState::Refunded if bill.reference == reference => {
            let mut decision = Decision::done(context.now, billed(None, *bill));
            decision.facts.clear();
            decision.receipt.retried = true;
            Ok(decision)
        }
        RefundState::None | RefundState::Refunded => Err(Outcome::RefundNotDue.into()),
    }
}

fn refundable(appointment: &Appointment) -> Refusal {
    Refusal::of_status(Outcome::PaymentRefundable, appointment.status)
}
