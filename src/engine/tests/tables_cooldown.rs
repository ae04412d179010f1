//! Tables about cool-downs. Sessions begin at 09:00, each of another practitioner; it is 08:00.

use super::build::{self, MINUTE, MORNING};
use super::script::check;
use crate::engine::LedgerShard;
use crate::model::{
    AppointmentId, Cooldown, Cooled, CountedOf, Fact, PatientId, RuleMode, RuleRef, RuleScope,
    Timestamp,
};

#[test]
fn who_cancels_waits_for_the_next_place_there_and_nowhere_else() {
    check(
        "
        rule cool=30m@resource       -> Done
        open S1 4
        open S2 4
        hold A1 P1 S1@0 pay=1        -> Done
        cancel A1                    -> Done
        hold A2 P1 S1@0              -> CoolingDown 1800000ms
        hold A3 P1 S2@0              -> Done         // Another practitioner.
        hold A4 P2 S1@0              -> Done         // Another patient.
        tick 30m
        hold A2 P1 S1@0              -> Done
        ",
    );
}

#[test]
fn a_rule_names_after_which_ends_one_waits() {
    check(
        "
        rule cool=30m@department after=release
        open S1 4
        open S2 4
        hold A1 P1 S1@0 pay=1        -> Done
        cancel A1                    -> Done
        hold A2 P1 S1@0              -> Done
        release A2                   -> Done
        hold A3 P1 S2@0              -> CoolingDown 1800000ms
        rule cool=10m@department after=expiry
        hold A4 P2 S1@0 ttl=5m       -> Done
        release A4                   -> Done
        hold A5 P2 S1@0 ttl=5m       -> Done
        tick 6m
        hold A6 P2 S2@0              -> Done         // Nobody has ended it yet.
        release A6                   -> Done
        expire                       -> A5
        hold A7 P2 S2@0              -> CoolingDown 600000ms
        ",
    );
}

#[test]
fn of_several_for_one_scope_the_latest_end_counts_and_terms_do_not_add_up() {
    check(
        "
        rule cool=20m@resource,50m@resource,10m@region
        open S1 4
        open S2 4
        hold A1 P1 S1@0 pay=1        -> Done
        cancel A1                    -> Done
        hold A2 P1 S1@0              -> CoolingDown 3000000ms
        hold A3 P1 S2@0              -> CoolingDown 600000ms
        tick 10m
        hold A3 P1 S2@0 pay=1        -> Done
        hold A2 P1 S1@0              -> CoolingDown 2400000ms
        cancel A3                    -> Done
        hold A4 P1 S2@0              -> CoolingDown 3000000ms
        hold A2 P1 S1@0              -> CoolingDown 2400000ms
        ",
    );
}

#[test]
fn days_end_at_the_same_local_time_and_rules_that_come_later_change_nothing() {
    check(
        "
        rule cool=2d@region          -> Done
        open S1 4
        hold A1 P1 S1@0 pay=1        -> Done
        cancel A1                    -> Done
        hold A2 P1 S1@0              -> CoolingDown 172800000ms
        rule until=-30m              -> Done
        hold A2 P1 S1@0              -> CoolingDown 172798000ms
        ",
    );
}

#[test]
fn what_is_not_the_patients_doing_brings_no_cool_down() {
    check(
        "
        rule cool=1d@region          -> Done
        open S1 4
        open S2 4
        open S3 4
        hold A1 P1 S1@0 pay=1        -> Done
        cancel A1 who=practitioner   -> Done
        hold A2 P1 S1@0              -> Done
        block S1 0                   -> Done
        displace S1                  -> A2
        hold A3 P1 S2@0 pay=1        -> Done
        move A3 S3@0                 -> Done
        hold A4 P1 S2@0              -> Done
        release A4                   -> Done
        hold A5 P1 S2@0              -> CoolingDown
        ",
    );
}

#[test]
fn a_move_enters_no_scope_in_which_one_waits_and_is_free_within_it() {
    check(
        "
        rule cool=30m@resource       -> Done
        open S1 4,4
        open S2 4
        open S3 4
        hold A1 P1 S1@0 pay=1        -> Done
        hold A2 P1 S2@0 pay=1        -> Done
        cancel A1                    -> Done
        move A2 S1@0                 -> CoolingDown 1800000ms
        move A2 S3@0                 -> Done
        rule cool=30m@department     -> Done
        hold A3 P2 S1@0 pay=1        -> Done
        hold A4 P2 S2@0 pay=1        -> Done
        cancel A3                    -> Done
        move A4 S1@0                 -> Done         // It has a place in that department already.
        hold A5 P2 S2@0              -> CoolingDown
        ",
    );
}

#[test]
fn the_same_request_again_is_answered_as_before() {
    check(
        "
        rule cool=1d@region          -> Done
        open S1 4
        open S2 4
        hold A1 P1 S1@0              -> Done
        hold A2 P1 S2@0              -> Done
        release A2 req=R1            -> Done
        release A2 req=R1            -> AlreadyDone
        hold A1 P1 S1@0              -> AlreadyDone pending
        hold A3 P1 S2@0              -> CoolingDown
        ",
    );
}

#[test]
fn an_account_waits_by_itself_and_nobody_is_named_who_waits() {
    check(
        "
        rule cool=30m@region holder=2
        open S1 4
        open S2 4
        hold A1 - S1@0 account=1     -> Done
        release A1                   -> Done
        hold A2 - S1@0 account=1     -> CoolingDown 1800000ms
        hold A3 P1 S1@0              -> Done
        release A3                   -> Done
        hold A4 - S1@0 account=2     -> Done
        name A4 P1 account=2         -> CoolingDown 1800000ms
        name A4 P2 account=2         -> Done
        ",
    );
}

#[test]
fn an_account_that_freed_a_place_takes_none_there_for_anybody_before_it_is_back() {
    check(
        "
        rule cool=back+5m@resource of=account
        open S1 4 back=20m
        open S2 4
        hold A1 P1 S1@0 account=1 pay=1      -> Done
        cancel A1                            -> Done
        hold A2 P2 S1@0 account=1            -> CoolingDown 1500000ms
        hold A2 P2 S2@0 account=1            -> Done     // Another practitioner.
        hold A3 P2 S1@0 account=2            -> Done
        hold A4 P1 S1@0                      -> Done     // Without an account nobody is known.
        tick 20m
        due
        hold A6 P3 S1@0 account=1            -> CoolingDown 300000ms
        tick 5m
        hold A6 P3 S1@0 account=1            -> Done
        ",
    );
}

#[test]
fn a_telephone_waits_for_what_was_held_with_it_and_so_does_who_is_named_or_moved_with_it() {
    check(
        "
        rule cool=back+0m@resource of=phone holder=2
        open S1 8 back=20m
        open S2 4
        hold A1 P1 S1@0 phone=1              -> Done
        hold A2 P2 S2@0 phone=1 pay=1        -> Done
        hold A3 - S1@0 account=1             -> Done
        hold A4 - S1@0 account=2 phone=1     -> Done
        release A1                           -> Done
        hold A5 P3 S1@0 phone=1              -> CoolingDown 1200000ms
        hold A5 P3 S1@0 phone=2              -> Done
        move A2 S1@0                         -> CoolingDown 1200000ms
        name A4 P4 account=2                 -> CoolingDown 1200000ms
        name A3 P4 account=1 phone=1         -> CoolingDown 1200000ms
        name A3 P4 account=1                 -> Done
        tick 20m
        due
        move A2 S1@0                         -> Done
        ",
    );
}

#[test]
fn for_a_place_that_is_back_at_once_or_never_nobody_waits_longer_than_the_minutes_after_it() {
    check(
        "
        rule cool=back+0m@resource of=account
        open S1 4
        hold A1 P1 S1@0 account=1            -> Done
        release A1                           -> Done
        hold A2 P1 S1@0 account=1            -> Done
        rule cool=back+5m@resource of=account
        release A2                           -> Done
        hold A3 P1 S1@0 account=1            -> CoolingDown 300000ms
        open S2 4 back=never
        hold A4 P1 S2@0 account=2            -> Done
        release A4                           -> Done
        hold A5 P1 S2@0 account=2            -> Done
        ",
    );
}

#[test]
fn of_who_waits_that_is_told_which_ends_last() {
    check(
        "
        rule cool=30m@region of=account
        open S1 4
        open S2 4
        hold A1 P1 S1@0 account=1            -> Done
        release A1                           -> Done
        rule cool=50m@resource
        hold A2 P2 S2@0 account=2            -> Done
        release A2                           -> Done
        hold A3 P2 S2@0 account=1            -> CoolingDown 3000000ms
        hold A3 P2 S1@0 account=1            -> CoolingDown 1798000ms
        ",
    );
}

#[test]
fn a_payment_that_comes_late_books_its_own_place_again_all_the_same() {
    check(
        "
        rule mode=self-pay cool=30m@region
        open S1 4
        open S2 4
        hold A1 P1 S1@0 ttl=5m       -> Done
        tick 5m
        expire                       -> A1
        hold A2 P1 S2@0              -> CoolingDown 1800000ms
        pay A1 pay=7                 -> Done booked
        hold A2 P1 S2@0              -> CoolingDown 1800000ms
        ",
    );
}

#[test]
fn in_shadow_nobody_is_refused() {
    check(
        "
        rule cool=30m@region as=shadow
        open S1 4
        hold A1 P1 S1@0              -> Done
        release A1                   -> Done
        hold A2 P1 S1@0              -> Done
        ",
    );
}

fn cooled(patient: u128, since: Timestamp, minutes: u64) -> Fact {
    let cooldown = Cooldown {
        appointment: AppointmentId(build::request(patient).0),
        within: RuleScope::Region,
        since,
        until: since.plus_millis(minutes * MINUTE),
        rule: RuleRef::default(),
        of: CountedOf::Patient,
        mode: RuleMode::Enforce,
    };
    let (patient, cooldowns) = (PatientId(patient), vec![cooldown]);
    Fact::Cooled(Box::new(Cooled { patient, cooldowns }))
}

#[test]
fn what_is_over_is_dropped_when_the_next_one_begins() {
    let mut ledger = LedgerShard::new(0);
    let at = |minutes: u64| MORNING.plus_millis(minutes * MINUTE);
    for (patient, minute, length, left) in [
        (1, 0, 10, vec![(1, 10)]),
        (2, 5, 60, vec![(1, 10), (2, 65)]),
        // The later end stays.
        (2, 6, 20, vec![(1, 10), (2, 65)]),
        (1, 9, 10, vec![(1, 19), (2, 65)]),
        (3, 19, 1, vec![(2, 65), (3, 20)]),
        (3, 65, 1, vec![(3, 66)]),
    ] {
        ledger.evolve(at(minute), &cooled(patient, at(minute), length));
        let all = ledger.all_cooldowns();
        let kept = all.flat_map(|(who, kept)| kept.iter().map(move |it| (who, it.until)));
        let expected = left.iter().map(|(who, until)| (PatientId(*who), at(*until)));
        assert!(kept.eq(expected), "{patient} at {minute}");
    }
    assert_eq!(ledger.cooled_at(), at(65));
}
