//! Tables about payments, orders and refunds.

use super::script::check;

#[test]
fn without_a_rule_a_payment_is_a_reference_and_nothing_more() {
    check(
        "
        open S1 1                    -> Done
        hold A1 P1 S1@0              -> Done
        book A1 pay=7                -> Done booked
        bills A1                     -> none
        cancel A1                    -> Done
        bills A1                     -> none
        hold A2 P2 S1@0 ttl=5m       -> Done
        tick 5m
        book A2 pay=8                -> HoldExpired
        ",
    );
}

#[test]
fn each_mode_takes_its_kinds_of_payment_and_no_other() {
    for (mode, none, own, insurance, set_aside) in [
        ("at-pick-up", "Done", "PaymentKindRefused", "PaymentKindRefused", "PaymentKindRefused"),
        ("self-pay", "PaymentMissing", "Done", "PaymentKindRefused", "PaymentKindRefused"),
        ("self-pay-or-insurance", "PaymentMissing", "Done", "Done", "PaymentKindRefused"),
        ("self-pay-only", "PaymentMissing", "Done", "PaymentKindRefused", "PaymentKindRefused"),
        ("after-visit", "Done", "PaymentKindRefused", "PaymentKindRefused", "PaymentKindRefused"),
        ("pre-authorization", "PaymentMissing", "PaymentKindRefused", "PaymentKindRefused", "Done"),
    ] {
        check(&format!(
            "
            rule mode={mode}                     -> Done
            open S1 9                            -> Done
            hold A1 P1 S1@0                      -> Done
            hold A2 P2 S1@0                      -> Done
            hold A3 P3 S1@0                      -> Done
            hold A4 P4 S1@0                      -> Done
            hold A5 P5 S1@0                      -> Done
            hold A6 P6 S1@0 pay=0                -> {none}
            hold A7 P7 S1@0 pay=7                -> {own}
            book A1                              -> {none}
            book A2 pay=7                        -> {own}
            pay A3 pay=7                         -> {own}
            pay A4 pay=7 kind=insurance          -> {insurance}
            pay A5 pay=7 kind=pre-authorization  -> {set_aside}
            "
        ));
    }
}

#[test]
fn other_channels_pay_as_they_like_but_never_by_insurance_where_only_the_patient_pays() {
    check(
        "
        rule mode=self-pay-only through=1    -> Done
        open S1 9                            -> Done
        hold A1 P1 S1@0                      -> Done
        hold A2 P2 S1@0 by=1                 -> Done
        book A1                              -> Done booked
        book A2 by=1                         -> PaymentMissing pending
        pay A2 pay=7 kind=insurance by=0     -> PaymentKindRefused pending
        pay A2 pay=7 by=1                    -> Done booked
        bills A2                             -> 7:self-pay:none
        ",
    );
}

#[test]
fn what_a_cancelled_visit_was_paid_with_is_owed_back_until_it_is_refunded() {
    check(
        "
        rule mode=self-pay           -> Done
        open S1 2                    -> Done
        hold A1 P1 S1@0              -> Done
        book A1 pay=7                -> Done
        bills A1                     -> 7:self-pay:none
        refund A1 pay=7 ref=9        -> RefundNotDue
        cancel A1                    -> Done
        bills A1                     -> 7:self-pay:due
        refund A1 pay=8 ref=9        -> RefundNotDue
        refund A2 pay=7 ref=9        -> AppointmentNotFound
        refund A1 pay=7 ref=9 of=2   -> OrganizationNotPermitted
        refund A1 pay=7 ref=9 req=R1 -> Done
        bills A1                     -> 7:self-pay:refunded
        refund A1 pay=7 ref=9 req=R1 -> AlreadyDone
        refund A1 pay=7 ref=9        -> AlreadyDone  // The same refund, by whichever request.
        refund A1 pay=7 ref=10       -> RefundNotDue
        refund A1 pay=7 ref=10 req=R1 -> IdReused
        hold A3 P3 S1@0 pay=5        -> Done         // Booked at once, it is paid for too.
        bills A3                     -> 5:self-pay:none
        cancel A3                    -> Done
        bills A3                     -> 5:self-pay:due
        ",
    );
}

#[test]
fn a_payment_that_comes_too_late_books_the_same_slot_while_a_place_is_left() {
    check(
        "
        open S1 1,1                  -> Done
        hold A1 P1 S1@0 ttl=5m       -> Done
        tick 5m
        pay A1 pay=7 req=A50         -> Done booked S1@0#0 A50   // Nobody had ended the hold yet.
        bills A1                     -> 7:self-pay:none>A50
        bills A50                    -> 7:self-pay:none
        free S1                      -> 0,1
        live P1                      -> A50
        pay A1 pay=7 req=A50         -> AlreadyDone booked A50
        pay A1 pay=7 req=R2          -> PaymentKnown
        release A1                   -> WrongStatus cancelled
        hold A2 P2 S1@1 ttl=5m       -> Done
        tick 5m
        expire                       -> A2
        pay A2 pay=8 for=P3          -> AppointmentNotFound
        pay A2 pay=8 kind=insurance for=P2  -> Done booked S1@1#0
        expire                       -> none
        free S1                      -> 0,0
        ",
    );
}

#[test]
fn a_payment_that_finds_its_place_taken_is_owed_back() {
    check(
        "
        open S1 1,5                  -> Done
        hold A1 P1 S1@0 ttl=5m       -> Done
        tick 5m
        expire                       -> A1
        hold A2 P2 S1@0 pay=1        -> Done
        pay A1 pay=7 req=R1          -> PaymentRefundable cancelled
        bills A1                     -> 7:self-pay:due
        pay A1 pay=7 req=R1          -> PaymentRefundable    // The same answer again.
        pay A1 pay=7 req=R2          -> PaymentRefundable    // The same payment is written down once.
        pay A1 pay=8 req=R1          -> IdReused
        bills A1                     -> 7:self-pay:due
        free S1                      -> 0,5
        live P1                      -> none
        cancel A2                    -> Done
        pay A1 pay=7 req=R3          -> PaymentRefundable    // What is owed back books nothing later.
        refund A1 pay=7 ref=9        -> Done
        pay A1 pay=7 req=R1          -> PaymentRefundable
        ",
    );
}

#[test]
fn a_late_payment_obeys_every_rule_of_holds() {
    check(
        "
        open S1 5,5                  -> Done
        open S2 5,5~opens@08:00 ends=08:04
        hold A1 P1 S1@0 ttl=5m       -> Done
        hold A2 P2 S2@0 ttl=4m       -> Done
        hold A3 P3 S1@0 ttl=4m       -> Done
        tick 6m
        expire                       -> A1 A2 A3
        hold A4 P1 S1@1              -> Done
        pay A1 pay=7                 -> PaymentRefundable    // The patient has another place there.
        pay A2 pay=8                 -> PaymentRefundable    // Booking has ended.
        block S1 0 who=admin         -> Done
        pay A3 pay=9                 -> PaymentRefundable
        free S1                      -> 0,4
        ",
    );
}

#[test]
fn a_hold_that_was_given_up_is_not_booked_by_a_payment() {
    check(
        "
        open S1 5                    -> Done
        hold A1 P1 S1@0              -> Done
        release A1                   -> Done
        pay A1 pay=7                 -> PaymentRefundable cancelled
        hold A2 P2 S1@0 pay=1        -> Done
        cancel A2                    -> Done
        pay A2 pay=8                 -> WrongStatus cancelled
        bills A2                     -> none
        free S1                      -> 5
        ",
    );
}

#[test]
fn a_rule_can_have_every_late_payment_owed_back() {
    check(
        "
        rule mode=self-pay paid-late=refund  -> Done
        open S1 5                    -> Done
        hold A1 P1 S1@0 ttl=5m       -> Done
        tick 5m
        book A1                      -> HoldExpired pending
        book A1 pay=7 req=R1         -> PaymentRefundable pending
        book A1 pay=7 req=R1         -> PaymentRefundable pending
        expire                       -> A1
        book A1 pay=8                -> PaymentRefundable cancelled
        bills A1                     -> 7:self-pay:due 8:self-pay:due
        free S1                      -> 5
        ",
    );
}

#[test]
fn an_appointment_has_at_most_eight_payments() {
    check(
        "
        open S1 5                    -> Done
        hold A1 P1 S1@0              -> Done
        release A1                   -> Done
        pay A1 pay=1                 -> PaymentRefundable
        pay A1 pay=2                 -> PaymentRefundable
        pay A1 pay=3                 -> PaymentRefundable
        pay A1 pay=4                 -> PaymentRefundable
        pay A1 pay=5                 -> PaymentRefundable
        pay A1 pay=6                 -> PaymentRefundable
        pay A1 pay=7                 -> PaymentRefundable
        pay A1 pay=8                 -> PaymentRefundable
        pay A1 pay=9                 -> TooManyPayments
        ",
    );
}

#[test]
fn a_plain_booking_that_comes_too_late_is_one_too_where_a_rule_wants_payment() {
    check(
        "
        rule mode=self-pay           -> Done
        open S1 1                    -> Done
        hold A1 P1 S1@0 ttl=5m       -> Done
        tick 5m
        book A1 pay=7 req=R1         -> Done booked
        book A1 pay=7 req=R1         -> AlreadyDone booked
        expire                       -> none
        free S1                      -> 0
        hold A2 P2 S1@0              -> SoldOut
        ",
    );
}

#[test]
fn a_payment_order_moves_the_deadline_as_far_and_as_often_as_the_rule_lets_it() {
    check(
        "
        open S1 2                    -> Done
        hold A1 P1 S1@0 ttl=5m       -> Done pending 08:05
        order A1 until=08:20         -> OrderRefused         // No rule says how far.
        rule mode=self-pay order=30m -> Done
        order A1 until=08:20 req=R1  -> Done pending 08:20
        order A1 until=08:20 req=R1  -> AlreadyDone pending 08:20
        order A1 until=08:25         -> OrderRefused         // Once.
        tick 6m
        expire                       -> none                 // The old deadline is none any more.
        tick 14m
        book A1                      -> HoldExpired
        expire                       -> A1
        free S1                      -> 2
        hold A2 P2 S1@0 ttl=5m       -> Done
        order A2 until=23:00         -> Done pending 08:50   // Thirty minutes at most.
        order A2 until=08:00         -> OrderRefused
        book A2 pay=1                -> Done booked
        order A2 until=08:45         -> WrongStatus booked
        order A9 until=08:45         -> AppointmentNotFound
        ",
    );
}

#[test]
fn an_order_can_end_sooner_than_the_hold_and_giving_it_up_frees_the_place_at_once() {
    check(
        "
        rule mode=self-pay order=30m*2  -> Done
        open S1 2                    -> Done
        hold A1 P1 S1@0 ttl=15m      -> Done
        order A1 until=08:03         -> Done pending 08:03
        tick 3m
        expire                       -> A1
        hold A2 P2 S1@0 ttl=15m      -> Done
        order A2 until=08:10         -> Done
        order A2 until=08:20         -> Done
        order A2 until=08:21         -> OrderRefused
        free S1                      -> 1
        release A2                   -> Done cancelled
        free S1                      -> 2
        tick 20m
        expire                       -> none
        order A2 until=09:00         -> WrongStatus
        ",
    );
}
