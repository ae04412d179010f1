//! Tables about holds of accounts, which name the patient after.

use super::script::check;

#[test]
fn an_account_holds_a_place_only_where_a_rule_lets_it() {
    check(
        "
        open S1 5                    -> Done
        hold A1 - S1@0 account=1     -> PatientMissing
        rule holder=patient          -> Done
        hold A1 - S1@0 account=1     -> PatientMissing
        rule holder=1                -> Done
        hold A1 - S1@0               -> PatientMissing
        hold A1 - S1@0 account=1 pay=1 -> PatientMissing     // Booked for nobody.
        hold A1 - S1@0 account=1     -> Done pending
        hold A1 - S1@0 account=1     -> AlreadyDone pending
        hold A2 - S9@0 account=1     -> SessionNotFound
        free S1                      -> 4
        live P1                      -> none
        ",
    );
}

#[test]
fn an_account_has_no_more_unnamed_holds_than_the_rule_says() {
    check(
        "
        rule holder=2                -> Done
        open S1 5                    -> Done
        open S2 5
        open S3 5
        hold A1 - S1@0 account=1     -> Done
        hold A2 - S2@0 account=1     -> Done
        hold A3 - S3@0 account=1     -> AccountLimit
        hold A3 - S3@0 account=2     -> Done
        name A1 P1 account=1         -> Done
        hold A4 - S3@0 account=1     -> Done
        release A2                   -> Done
        hold A5 - S1@0 account=1     -> Done
        ",
    );
}

#[test]
fn a_named_patient_is_held_to_the_limits_of_a_hold() {
    check(
        "
        rule holder=2                -> Done
        open S1 0:5 1/inpatient:5    -> Done
        hold A1 P1 S1@0              -> Done
        hold A2 - S1@0 account=1     -> Done pending
        name A2 P1 account=1         -> AlreadyHasAppointment
        name A2 P2 account=1 as=inpatient by=1 -> Done // The pool asks no class.
        live P2                      -> A2
        hold A3 - S1@0 account=1 as=inpatient by=1 -> Done S1@0#1
        name A3 P3 account=1 by=1    -> PoolNotFound
        name A3 P3 account=1 by=1 as=inpatient -> Done
        ",
    );
}

#[test]
fn a_hold_is_named_once_in_time_and_by_its_account() {
    check(
        "
        rule holder=2                -> Done
        open S1 9                    -> Done
        open S2 9
        hold A1 - S1@0 account=1 ttl=5m -> Done
        name A1 P1 account=2         -> AppointmentNotFound
        name A1 P1                   -> AppointmentNotFound
        name A9 P1 account=1         -> AppointmentNotFound
        name A1 P1 account=1 req=R1  -> Done pending 08:05
        name A1 P1 account=1 req=R1  -> AlreadyDone pending
        name A1 P2 account=1 req=R1  -> IdReused
        name A1 P2 account=1         -> PatientNamed
        release A1 for=P2            -> AppointmentNotFound
        book A1 pay=1 for=P1         -> Done booked
        name A1 P2 account=1         -> WrongStatus booked
        hold A2 - S2@0 account=1 ttl=5m -> Done
        tick 5m
        name A2 P2 account=1         -> HoldExpired
        expire                       -> A2
        name A2 P2 account=1         -> WrongStatus cancelled
        free S2                      -> 9
        ",
    );
}

#[test]
fn a_place_held_for_nobody_is_booked_by_nobody() {
    check(
        "
        rule holder=1                -> Done
        open S1 2                    -> Done
        hold A1 - S1@0 account=1 ttl=10m -> Done
        book A1 pay=1                -> PatientNotNamed pending
        pay A1 pay=1                 -> PatientNotNamed pending
        order A1 until=08:30         -> PatientNotNamed pending
        tick 10m
        pay A1 pay=1                 -> PaymentRefundable pending
        expire                       -> A1
        free S1                      -> 2
        ",
    );
}
