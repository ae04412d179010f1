//! Tables about deadlines of cancels. Sessions begin at 09:00 of a Friday; it is 08:00.

use super::script::check;

#[test]
fn a_visit_can_be_cancelled_until_some_minutes_before_its_slot() {
    check(
        "
        rule until=-30m              -> Done
        open S1 2,2                  -> Done         // 09:00, 09:10
        hold A1 P1 S1@0 pay=1        -> Done
        hold A2 P2 S1@1 pay=1        -> Done
        tick 29m
        cancel A1                    -> Done cancelled
        late A1                      -> false
        tick 1m
        hold A3 P1 S1@0 pay=1        -> Done         // Who books late cannot cancel any more.
        cancel A3                    -> CancelTooLate booked 2000ms
        cancel A2                    -> Done         // Its slot begins later.
        tick 1m
        cancel A3 who=counter        -> CancelTooLate booked 62000ms
        free S1                      -> 1,2
        ",
    );
}

#[test]
fn the_deadline_itself_is_late() {
    check(
        "
        rule until=-60m              -> Done         // In force two seconds later: too late already.
        open S1 2                    -> Done
        hold A1 P1 S1@0 pay=1        -> Done
        cancel A1                    -> CancelTooLate
        open S2 2
        rule until=-59m              -> Done         // 08:01
        hold A2 P2 S2@0 pay=1        -> Done
        cancel A2                    -> Done
        ",
    );
}

#[test]
fn a_deadline_can_be_a_time_of_the_day_or_of_a_day_before() {
    check(
        "
        rule until=-0d@08:30         -> Done
        open S1 4                    -> Done
        hold A1 P1 S1@0 pay=1        -> Done
        tick 29m
        cancel A1                    -> Done
        hold A2 P2 S1@0 pay=1        -> Done
        tick 1m
        cancel A2                    -> CancelTooLate booked 2000ms
        rule until=-1d@15:00         -> Done         // Thursday at three: seventeen hours and a half ago.
        cancel A2                    -> CancelTooLate 63004000ms
        rule until=-0d@24:00         -> Done         // All of the day.
        cancel A2                    -> Done
        ",
    );
}

#[test]
fn a_deadline_can_be_counted_in_days_of_work() {
    check(
        "
        rule until=-1w@15:00         -> Done
        open S1 4                    -> Done         // A Friday: Thursday at three.
        hold A1 P1 S1@0 pay=1        -> Done
        cancel A1                    -> CancelTooLate 61202000ms
        rule until=-5w@15:00         -> Done         // The Friday before.
        cancel A1                    -> CancelTooLate 579604000ms
        ",
    );
}

#[test]
fn a_deadline_can_be_the_beginning_of_the_half_of_the_day() {
    check(
        "
        open S1 4                    -> Done         // In the morning.
        rule until=half              -> Done         // Midnight.
        hold A1 P1 S1@0 pay=1        -> Done
        cancel A1                    -> CancelTooLate 28802000ms
        rule until=half*2            -> Done         // Noon of the day before.
        cancel A1                    -> CancelTooLate 72004000ms
        ",
    );
}

#[test]
fn some_channels_may_cancel_later_and_staff_always_may() {
    check(
        "
        rule until=-120m later=3     -> Done
        open S1 4                    -> Done
        hold A1 P1 S1@0 pay=1        -> Done
        hold A2 P2 S1@0 pay=1        -> Done
        cancel A1                    -> CancelTooLate
        cancel A1 by=3               -> Done
        late A1                      -> true         // Late all the same.
        cancel A2 who=practitioner   -> Done
        late A2                      -> false        // That was no patient's wish.
        ",
    );
}

#[test]
fn a_late_cancel_can_be_marked_instead() {
    check(
        "
        rule until=-30m late=mark    -> Done
        open S1 4                    -> Done
        open S2 4
        hold A1 P1 S1@0 pay=1        -> Done
        hold A2 P2 S1@0 pay=1        -> Done
        hold A3 P3 S1@0              -> Done
        tick 45m
        release A3                   -> HoldExpired  // A hold is not cancelled.
        cancel A1 req=R1             -> Done cancelled
        late A1                      -> true
        cancel A1 req=R1             -> AlreadyDone
        move A2 S2@0                 -> Done         // Leaving a place late is late, wherever to.
        late A2                      -> true
        ",
    );
}

#[test]
fn who_may_not_cancel_any_more_may_not_move_either() {
    check(
        "
        rule until=-30m              -> Done
        open S1 4                    -> Done
        open S2 0
        hold A1 P1 S1@0 pay=1        -> Done
        tick 45m
        move A1 S1@0                 -> CancelTooLate booked 902000ms
        move A1 S2@0                 -> SoldOut      // The lowest code is given.
        move A1 S1@0 who=practitioner -> Done
        ",
    );
}

#[test]
fn rules_in_shadow_refuse_no_cancel() {
    check(
        "
        rule until=-30m as=shadow    -> Done
        open S1 4                    -> Done
        hold A1 P1 S1@0 pay=1        -> Done
        tick 45m
        cancel A1                    -> Done
        late A1                      -> false
        ",
    );
}

#[test]
fn who_was_displaced_may_cancel_at_any_time() {
    check(
        "
        rule until=-30m              -> Done
        open S1 4                    -> Done
        hold A1 P1 S1@0 pay=1        -> Done
        tick 45m
        block S1 0 who=admin         -> Done
        displace S1                  -> A1
        cancel A1                    -> Done
        late A1                      -> false
        ",
    );
}
