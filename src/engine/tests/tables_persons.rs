//! Tables about how many patients accounts and telephones have.

use super::script::check;

#[test]
fn an_account_acts_for_as_many_patients_as_the_rule_says() {
    check(
        "
        open S1 9                           -> Done
        hold A1 P9 S1@0 account=1           -> Done     // Before there was a rule.
        rule patients=2                     -> Done
        has a1                              -> none
        hold A2 P1 S1@0 account=1           -> Done
        hold A3 P2 S1@0 account=1           -> Done
        hold A4 P3 S1@0 account=1           -> PersonLimit
        hold A4 P3 S1@0 account=2           -> Done
        hold A5 P4 S1@0                     -> Done     // Nobody's account.
        has a1                              -> P1+P2
        release A2                          -> Done
        hold A6 P1 S1@0 account=1           -> Done     // Bound already.
        has a1                              -> P1+P2
        hold A2 P1 S1@0 account=1           -> AlreadyDone
        ",
    );
}

#[test]
fn who_was_bound_longest_and_has_nothing_gives_way() {
    check(
        "
        open S1 20                          -> Done
        rule patients=2 changes=1*5d        -> Done
        hold A1 P1 S1@0 account=1           -> Done
        hold A2 P2 S1@0 account=1           -> Done
        hold A3 P3 S1@0 account=1           -> PersonLimit      // Both have a visit ahead.
        release A2                          -> Done
        hold A3 P3 S1@0 account=1           -> Done
        has a1                              -> P1+P3
        release A1
        hold A4 P4 S1@0 account=1           -> PersonLimit      // The change of these days is made.
        ",
    );
}

#[test]
fn a_telephone_has_patients_and_accounts_of_its_own() {
    check(
        "
        open S1 20                          -> Done
        rule phones=2/1                     -> Done
        hold A1 P1 S1@0 account=1 phone=1   -> Done
        hold A2 P2 S1@0 account=1 phone=1   -> Done
        hold A3 P3 S1@0 account=1 phone=1   -> PersonLimit
        hold A3 P1 S1@0 account=2 phone=1   -> AlreadyHasAppointment
        hold A3 P3 S1@0 account=2 phone=2   -> Done
        hold A4 P4 S1@0 account=1 phone=2   -> PersonLimit      // Of another account.
        hold A4 P4 S1@0 phone=2             -> Done
        has t1                              -> P1+a1+P2
        has t2                              -> P3+a2+P4
        has a1                              -> none             // The rule says nothing of accounts.
        ",
    );
}

#[test]
fn a_patient_is_booked_by_one_account_and_changes_it_now_and_then() {
    check(
        "
        open S1 20                          -> Done
        open S2 20                          -> Done
        open S3 20                          -> Done
        rule accounts=1 changes=1*any       -> Done
        hold A1 P1 S1@0 account=1           -> Done
        hold A2 P1 S2@0 account=2           -> Done             // In spite of the visit.
        has p1                              -> a2
        hold A3 P1 S3@0 account=1           -> PersonLimit
        rule accounts=1                     -> Done
        hold A3 P1 S3@0 account=3           -> PersonLimit
        hold A3 P1 S3@0 account=2           -> Done
        ",
    );
}

#[test]
fn a_patient_who_is_named_later_is_bound_then() {
    check(
        "
        open S1 9                           -> Done
        open S2 9                           -> Done
        rule holder=4 patients=1 phones=9/1 -> Done
        hold A1 - S1@0 account=1 phone=1    -> Done
        has a1                              -> none
        has t1                              -> a1
        hold A2 - S2@0 account=2 phone=1    -> PersonLimit
        name A1 P1 account=1                -> Done
        has a1                              -> P1
        has t1                              -> a1+P1            // With the telephone of the hold.
        hold A3 - S2@0 account=1            -> Done
        name A3 P2 account=1                -> PersonLimit
        name A3 P1 account=1                -> Done
        ",
    );
}

#[test]
fn few_patients_are_new_to_an_account_right_after_an_opening() {
    check(
        "
        open S1 9~opens@08:10 at=10:00      -> Done
        open S2 9 at=10:00                  -> Done
        rule patients=9 new=1*10m           -> Done
        hold A1 P1 S2@0 account=1           -> Done             // Open since ever.
        tick 10m
        hold A2 P1 S1@0 account=1           -> Done
        hold A3 P2 S1@0 account=1           -> Done
        hold A4 P3 S1@0 account=1           -> PersonLimit
        hold A4 P3 S2@0 account=1           -> Done
        hold A5 P4 S1@0 account=2           -> Done
        tick 10m
        hold A6 P5 S1@0 account=1           -> Done
        ",
    );
}

#[test]
fn a_rule_on_trial_binds_and_refuses_nobody() {
    check(
        "
        open S1 9                           -> Done
        rule patients=1 as=shadow           -> Done
        hold A1 P1 S1@0 account=1           -> Done
        hold A2 P2 S1@0 account=1           -> Done
        has a1                              -> P2
        hold A3 P3 S1@0 account=1           -> Done
        has a1                              -> P3
        ",
    );
}
