//! Tables of moves: an appointment takes other places.

use super::script::check;

#[test]
fn a_reschedule_takes_all_new_places_and_frees_all_old_ones_or_nothing() {
    check(
        "
        open S1 1,1
        open S2 1,1
        open S3 1,1
        open S4 1,1
        hold A1 P1 S1@0 S2@0 pay=7  -> Done booked
        hold A2 P2 S4@1             -> Done pending
        move A1 S3@0 S4@1           -> SoldOut              // one of two is taken: nothing moves
        free S1                     -> 0,1 sum=1
        free S2                     -> 0,1 sum=1
        free S3                     -> 1,1 sum=2
        move A1 S3@0 S4@0           -> Done booked S3@0#0 S4@0#0
        free S1                     -> 1,1 sum=2
        free S2                     -> 1,1 sum=2
        free S3                     -> 0,1 sum=1
        free S4                     -> 0,0 sum=0
        live P1                     -> A1
        hold A3 P1 S1@0             -> Done                 // its old session takes the patient again
        hold A4 P1 S3@1             -> AlreadyHasAppointment
        cancel A1                   -> Done cancelled S3@0#0 S4@0#0
        free S3                     -> 1,1 sum=2
        ",
    );
}

#[test]
fn a_move_keeps_the_deadline_of_a_hold_and_the_status_of_a_booking() {
    check(
        "
        open S1 1,1
        open S2 1,1
        hold A1 P1 S1@0 ttl=15m  -> Done pending 08:15
        tick 10m
        move A1 S2@0             -> Done pending 08:15 S2@0#0
        tick 5m
        move A1 S2@1             -> HoldExpired pending
        expire                   -> A1
        free S2                  -> 1,1
        move A1 S2@1             -> WrongStatus cancelled
        ",
    );
}

#[test]
fn the_places_that_an_appointment_leaves_are_free_for_its_own_move() {
    check(
        "
        open S1 1,1,1
        hold A1 P1 S1@0*2  -> Done S1@0*2#0
        move A1 S1@1*2     -> Done S1@1*2#0
        free S1            -> 1,0,0
        move A1 S1@1*2     -> Done S1@1*2#0
        free S1            -> 1,0,0
        hold A2 P2 S1@0    -> Done
        move A2 S1@1       -> SoldOut
        ",
    );
}

#[test]
fn the_same_move_is_made_once_and_answered_alike() {
    check(
        "
        open S1 1,1
        open S2 1,1 changes=1
        hold A1 P1 S1@0 pay=1   -> Done
        move A1 S2@0 req=R1     -> Done booked S2@0#0
        move A1 S2@0 req=R1     -> AlreadyDone booked S2@0#0
        move A1 S2@1 req=R1     -> IdReused
        cancel A1 req=R1        -> IdReused
        ",
    );
}

#[test]
fn an_appointment_moves_as_often_as_the_session_that_it_leaves_allows() {
    check(
        "
        open S1 1,1 changes=2
        open S2 1,1
        hold A1 P1 S1@0 pay=1         -> Done
        move A1 S1@1                  -> Done
        move A1 S1@0                  -> Done
        move A1 S1@1                  -> TooManyChanges booked
        move A1 S2@0 who=practitioner -> Done S2@0#0
        move A1 S2@1                  -> Done S2@1#0
        ",
    );
}

#[test]
fn who_may_not_touch_an_appointment_learns_nothing_by_moving_it() {
    check(
        "
        open S1 1,1 own of=1
        open S2 1,1 of=2
        hold A1 P1 S1@0 pay=1       -> Done
        hold A2 P2 S2@0             -> Done
        move A1 S2@0 of=2           -> OrganizationNotPermitted
        move A1 S2@0 for=P9         -> AppointmentNotFound
        move A1 S2@0 by=1           -> ChannelNotShared
        move A9 S2@0                -> AppointmentNotFound
        move A1 S2@0                -> SoldOut
        move A1 S2@1                -> Done S2@1#0
        move A1 S1@0 of=1           -> OrganizationNotPermitted
        ",
    );
}

#[test]
fn a_missed_visit_cannot_be_moved_to_one_that_lies_ahead() {
    check(
        "
        open S1 1,1
        hold A1 P1 S1@0 pay=1  -> Done
        tick 60m
        move A1 S1@1           -> BookingClosed
        ",
    );
}
