//! Tables about who may check in, who is late, and who is called when. Slots begin at 09:00, 09:10 …

use super::script::check;

#[test]
fn without_the_term_nothing_is_early_or_late_and_nobody_queues() {
    check(
        "
        open S1 9                       -> Done
        hold A1 P1 S1@0 pay=1           -> Done
        check-in A1                     -> Done checked-in
        call S1                         -> NobodyWaiting
        tick 24h
        hold A2 P2 S1@0                 -> SlotInPast
        fulfil A1                       -> Done fulfilled
        call S9                         -> SessionNotFound
        ",
    );
}

#[test]
fn check_in_begins_so_long_before_the_slot_and_says_when() {
    check(
        "
        open S1 9,9 attend=30m,5m,20m   -> Done
        hold A1 P1 S1@0 pay=1           -> Done
        check-in A1                     -> TooEarly booked 1800000ms
        tick 1799999ms
        check-in A1                     -> TooEarly 1ms
        tick 1ms
        check-in A1                     -> Done checked-in
        queue S1                        -> 1:A1/10m waiting=1
        check-in A1                     -> WrongStatus checked-in
        ",
    );
}

#[test]
fn too_late_is_too_late() {
    check(
        "
        open S1 9,9 attend=30m,5m,20m   -> Done
        hold A1 P1 S1@0 pay=1           -> Done
        hold A2 P2 S1@0 pay=1           -> Done
        hold A3 P3 S1@0 pay=1           -> Done
        hold A4 P4 S1@0 pay=1           -> Done
        arrive A4                       -> Done arrived
        no-show A1                      -> TooEarly booked 4800001ms  // While they may still come.
        tick 65m
        check-in A1                     -> Done                 // 09:05 is within the grace.
        tick 1ms
        check-in A2                     -> Done
        tick 899999ms
        no-show A3                      -> TooEarly 1ms
        check-in A3                     -> Done                 // 09:20 is the last instant.
        tick 1ms
        check-in A4                     -> TooLate arrived 0ms
        queue S1                        -> 1:A1/10m 2:A2~/20m 3:A3~/30m
        no-show A4                      -> Done noshow
        no-show A3                      -> Done noshow          // Gone from the queue unseen.
        queue S1                        -> 1:A1/10m 2:A2~/20m waiting=2
        ",
    );
}

#[test]
fn the_number_is_picked_up_in_time_or_not_at_all() {
    check(
        "
        open S1 9,9 attend=60m,5m,20m,pick@-10m     -> Done
        open S2 9,9 attend=60m,5m,20m,pick@3m       -> Done
        hold A1 P1 S1@0 pay=1           -> Done
        hold A2 P2 S1@0 pay=1           -> Done
        hold A3 P3 S1@0 pay=1           -> Done
        hold A4 P4 S2@0 pay=1           -> Done
        tick 50m
        arrive A1                       -> Done                 // 08:50 is the last instant.
        tick 1ms
        arrive A2                       -> TooLate booked
        check-in A3                     -> TooLate booked       // It would pick up with it.
        no-show A3                      -> TooEarly
        tick 13m
        check-in A1                     -> Done                 // It was picked up before.
        arrive A4                       -> TooLate
        tick 17m
        settle A2                       -> Done fulfilled       // An operator may know better.
        no-show A3                      -> Done noshow
        ",
    );
}

#[test]
fn numbers_are_picked_up_in_windows_of_the_day() {
    check(
        "
        open S1 9,9 attend=2h,5m,20m windows=08:10-08:20,08:40-08:50 -> Done
        open S2 9,9 attend=2h,5m,20m,pick@-25m windows=08:10-08:20,08:40-08:50 -> Done
        open S3 9 windows=08:10-08:20   -> SessionInvalid       // Without attendance.
        hold A1 P1 S1@0 pay=1           -> Done
        hold A2 P2 S1@0 pay=1           -> Done
        hold A3 P3 S1@0 pay=1           -> Done
        hold A4 P4 S1@0 pay=1           -> Done
        hold A5 P5 S2@0 pay=1           -> Done
        arrive A1                       -> TooEarly booked 600000ms
        check-in A2                     -> TooEarly booked 600000ms
        tick 10m
        arrive A1                       -> Done arrived         // 08:10 is the first instant.
        tick 10m
        check-in A2                     -> Done checked-in      // 08:20 is the last.
        tick 1ms
        arrive A3                       -> TooEarly booked 1199999ms
        arrive A5                       -> TooLate booked       // Its pick-up ends at 08:35.
        check-in A1                     -> Done checked-in      // It was picked up before.
        tick 1199999ms
        check-in A3                     -> Done checked-in
        tick 10m
        tick 1ms
        arrive A4                       -> TooLate booked
        check-in A4                     -> TooLate booked
        ",
    );
}

#[test]
fn a_late_patient_goes_to_the_late_queue_and_is_not_lost() {
    check(
        "
        open S1 9,9,9 attend=30m,2m,60m -> Done
        hold A1 P1 S1@0 pay=1           -> Done
        hold A2 P2 S1@0 pay=1           -> Done
        hold A3 P3 S1@1 pay=1           -> Done
        hold A4 P4 S1@2 pay=1           -> Done
        tick 62m
        check-in A2                     -> Done checked-in
        tick 1ms
        check-in A1                     -> Done checked-in      // Late, in slot 0.
        check-in A3                     -> Done
        check-in A4                     -> Done
        queue S1                        -> 1:A2/10m 2:A1~/20m 3:A3/30m 4:A4/40m waiting=4
        call S1                         -> Done A2
        call S1                         -> Done A1
        fulfil A1                       -> Done fulfilled
        call S1                         -> Done A3
        call S1                         -> Done A4
        call S1                         -> NobodyWaiting
        ",
    );
}

#[test]
fn the_call_order_is_that_of_slot_and_arrival_with_late_ones_after_their_segment() {
    check(
        "
        open S1 9,9,9 attend=60m,0ms,60m    -> Done
        hold A1 P1 S1@2 pay=1           -> Done
        hold A2 P2 S1@1 pay=1           -> Done
        hold A3 P3 S1@1 pay=1           -> Done
        hold A4 P4 S1@0 pay=1           -> Done
        hold A5 P5 S1@0 pay=1           -> Done
        hold A6 P6 S1@0 pay=1           -> Done
        tick 30m
        check-in A1                     -> Done     // The first to come has the last slot.
        tick 1m
        check-in A3                     -> Done
        tick 1m
        check-in A2                     -> Done     // After A3 in the same slot.
        tick 28m
        check-in A4                     -> Done     // At 09:00.
        tick 1m
        check-in A5                     -> Done     // Late, in slot 0.
        tick 9m
        check-in A6                     -> Done     // Late, in slot 1.
        queue S1                        -> 1:A4/10m 2:A5~/20m 3:A3/30m 4:A2/40m 5:A6~/50m 6:A1/60m
        ",
    );
}

#[test]
fn the_call_order_lets_a_late_one_in_after_every_so_many() {
    check(
        "
        open S1 9,9 attend=60m,0ms,60m late=2    -> Done
        hold A1 P1 S1@0 pay=1           -> Done
        hold A2 P2 S1@0 pay=1           -> Done
        hold A3 P3 S1@0 pay=1           -> Done
        hold A4 P4 S1@0 pay=1           -> Done
        hold A5 P5 S1@1 pay=1           -> Done
        hold A6 P6 S1@0 pay=1           -> Done
        hold A7 P7 S1@0 pay=1           -> Done
        tick 60m
        check-in A1                     -> Done
        check-in A2                     -> Done
        check-in A3                     -> Done
        check-in A4                     -> Done
        check-in A5                     -> Done
        call S1                         -> Done A1
        call S1                         -> Done A2
        tick 1m
        check-in A6                     -> Done     // Those before do not count for who is late.
        check-in A7                     -> Done
        queue S1                        -> 0:A1!/0m 0:A2!/0m 1:A3/10m 2:A4/20m 3:A6~/30m 4:A5/40m 5:A7~/50m
        call S1                         -> Done A3
        queue S1                        -> 1:A4/10m 2:A6~/20m 3:A5/30m 4:A7~/40m waiting=4
        call S1                         -> Done A4
        call S1                         -> Done A6
        call S1                         -> Done A5
        call S1                         -> Done A7
        ",
    );
}

#[test]
fn nobody_is_called_twice() {
    check(
        "
        open S1 9 attend=60m,0ms,60m    -> Done
        hold A1 P1 S1@0 pay=1           -> Done
        hold A2 P2 S1@0 pay=1           -> Done
        tick 10m
        check-in A1                     -> Done
        check-in A2                     -> Done
        call S1 req=R1                  -> Done checked-in A1
        call S1 req=R1                  -> AlreadyDone checked-in A1
        call S1 req=R2                  -> Done A2              // Another room.
        call S1 req=R3                  -> NobodyWaiting
        call S2 req=R1                  -> IdReused
        fulfil A1                       -> Done
        call S1 req=R1                  -> AlreadyDone -        // Whoever it was has left.
        call S1 req=R3                  -> NobodyWaiting
        queue S1                        -> 0:A2!/0m waiting=0
        ",
    );
}

#[test]
fn the_expected_wait_is_what_visits_took_so_far() {
    check(
        "
        open S1 9 attend=60m,0ms,60m    -> Done
        hold A1 P1 S1@0 pay=1           -> Done
        hold A2 P2 S1@0 pay=1           -> Done
        hold A3 P3 S1@0 pay=1           -> Done
        hold A4 P4 S1@0 pay=1           -> Done
        tick 10m
        check-in A1                     -> Done
        check-in A2                     -> Done
        check-in A3                     -> Done
        check-in A4                     -> Done
        queue S1                        -> 1:A1/10m 4:A4/40m    // A slot's length.
        call S1                         -> Done A1
        tick 4m
        fulfil A1                       -> Done
        queue S1                        -> 1:A2/4m 3:A4/12m
        call S1                         -> Done A2
        tick 8m
        fulfil A2                       -> Done
        queue S1                        -> 1:A3/6m 2:A4/12m     // The mean of 4 and 8.
        call S1                         -> Done A3
        tick 60m
        settle A3                       -> Done                 // No visit ended: nothing learnt.
        fulfil A4                       -> Done                 // Never called: nothing learnt.
        queue S1                        -> waiting=0
        ",
    );
}

#[test]
fn an_appointment_in_several_sessions_stands_in_one_queue() {
    check(
        "
        open S1 9                       -> Done
        open S2 9 attend=60m,0ms,60m    -> Done
        open S3 9 attend=1m,0ms,60m     -> Done
        hold A1 P1 S1@0 S2@0 S3@0 pay=1 -> Done
        tick 10m
        check-in A1                     -> Done     // By the rules of the first that has some.
        queue S2                        -> 1:A1/10m
        queue S3                        -> none
        call S3                         -> NobodyWaiting
        call S2                         -> Done A1
        fulfil A1                       -> Done
        ",
    );
}

#[test]
fn a_queue_is_called_by_who_may_touch_the_session() {
    check(
        "
        open S1 9 attend=60m,0ms,60m of=1   -> Done
        call S1 of=2                        -> OrganizationNotPermitted
        call S1 of=1                        -> NobodyWaiting
        open S2 9 attend=60m,30m,20m        -> SessionInvalid   // Late before the grace ends.
        open S2 9 attend=60m,0ms,20m late=0 -> SessionInvalid
        open S2 9 attend=60m,0ms,25h        -> SessionInvalid
        open S2 9 attend=60m,0ms,24h,pick@-25h  -> SessionInvalid
        ",
    );
}
