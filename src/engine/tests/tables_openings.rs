//! Tables about when places can be booked, and about how they are shared among pools.

use super::script::check;

#[test]
fn nothing_is_bookable_one_millisecond_early() {
    check(
        "
        open S1 1~opens@08:15   -> Done
        hold A1 P1 S1@0         -> NotOpenYet 900000ms
        tick 899999ms
        hold A1 P1 S1@any       -> NotOpenYet 1ms
        hold A1 P1 S1@0         -> NotOpenYet 1ms     // Refusals are not remembered.
        tick 1ms
        hold A1 P1 S1@0         -> Done S1@0#0
        hold A2 P2 S1@0         -> SoldOut
        ",
    );
}

#[test]
fn a_session_opens_in_waves_and_each_wave_says_when() {
    check(
        "
        open S1 1,0 0,1~opens@08:15 1,1~opens@08:30   -> Done
        hold A1 P1 S1@1         -> NotOpenYet 900000ms
        hold A1 P1 S1@any       -> Done S1@0#0
        hold A2 P2 S1@any       -> NotOpenYet 900000ms
        tick 15m
        hold A2 P2 S1@0         -> NotOpenYet 900000ms   // The third wave has it.
        hold A2 P2 S1@0>1       -> Done S1@1#1           // The second wish is open.
        tick 15m
        hold A3 P3 S1@0         -> Done S1@0#2
        hold A4 P4 S1@any       -> Done S1@1#2
        hold A5 P5 S1@any       -> SoldOut
        ",
    );
}

#[test]
fn a_wave_opens_to_whom_it_is_for() {
    check(
        "
        open S1 1:1 0:1~opens@08:15     -> Done
        hold A1 P1 S1@0 by=1            -> Done S1@0#0
        hold A2 P2 S1@0 by=1            -> SoldOut          // The other pool is not for it.
        hold A3 P3 S1@0 by=0            -> NotOpenYet
        hold A4 P4 S1@0 by=2            -> PoolNotFound
        ",
    );
}

#[test]
fn booking_ends_at_an_hour_or_before_the_slot() {
    check(
        "
        open S1 1,1,9 lead=60m          -> Done     // Slots at 09:00, 09:10, 09:20.
        hold A1 P1 S1@0                 -> BookingClosed
        hold A1 P1 S1@any               -> Done S1@1#0
        tick 10m
        hold A2 P2 S1@1                 -> SoldOut
        hold A2 P2 S1@0>1               -> BookingClosed
        hold A2 P2 S1@2                 -> Done
        open S2 9 ends=08:20            -> Done
        tick 599999ms
        hold A3 P3 S2@0                 -> Done
        tick 1ms
        hold A4 P4 S2@0                 -> BookingClosed
        hold A4 P4 S2@any               -> BookingClosed
        ",
    );
}

#[test]
fn nobody_books_outside_the_hours_but_the_counter() {
    check(
        "
        open S1 9 hours=08:10-08:30     -> Done
        hold A1 P1 S1@0                 -> OutsideServiceHours 600000ms
        hold A2 P2 S1@0 by=63           -> Done
        tick 10m
        hold A1 P1 S1@0                 -> Done
        tick 20m
        hold A3 P3 S1@0                 -> OutsideServiceHours 85200000ms
        open S2 0 hours=08:10-08:30     -> Done
        hold A3 P3 S2@0                 -> SoldOut          // It comes first.
        ",
    );
}

#[test]
fn a_hold_made_before_the_end_is_booked_after_it() {
    check(
        "
        open S1 1 ends=08:20 hours=08:00-08:20  -> Done
        hold A1 P1 S1@0 ttl=30m                 -> Done
        tick 25m
        book A1                                 -> Done booked
        cancel A1                               -> Done
        hold A2 P2 S1@0                         -> BookingClosed
        ",
    );
}

#[test]
fn unused_places_go_back_to_the_common_pool_in_time() {
    check(
        "
        open S1 1:2,1~reclaim@08:30>1 0,1       -> Done
        hold A1 P1 S1@0 by=1 ttl=60m            -> Done S1@0#0
        hold A2 P2 S1@0                         -> SoldOut
        tick 30m
        hold A2 P2 S1@0                         -> SoldOut      // Nobody did it yet.
        due
        free S1                                 -> 0,0|1,2
        hold A2 P2 S1@0                         -> Done S1@0#1
        hold A3 P3 S1@0 by=1                    -> SoldOut
        hold A3 P3 S1@1 by=1                    -> Done S1@1#1
        release A1                              -> Done         // Goes back to where it came from.
        free S1                                 -> 1,0|0,1
        due
        free S1                                 -> 1,0|0,1      // It is done once.
        ",
    );
}

#[test]
fn a_reclaim_leaves_a_pool_its_floor() {
    check(
        "
        open S1 1:2,2,2~floor@3~reclaim@08:30>1 0,0,0   -> Done
        tick 30m
        due
        free S1                                 -> 0,1,2|2,1,0  // The latest slots keep it.
        ",
    );
}

#[test]
fn quotas_are_never_below_what_is_taken_or_kept() {
    check(
        "
        open S1 0:2,2~floor@2 1:1,1     -> Done
        hold A1 P1 S1@0                 -> Done S1@0#0
        hold A2 P2 S1@0                 -> Done S1@0#0
        quotas S1 1,2 2,1               -> QuotasInvalid    // Two are taken.
        quotas S1 2,3 1,1               -> QuotasInvalid    // A place more in a slot.
        quotas S1 2,1 1,1               -> QuotasInvalid    // A place less.
        quotas S1 2 1                   -> QuotasInvalid
        quotas S1 3,3                   -> QuotasInvalid
        quotas S9 3,3                   -> SessionNotFound
        quotas S1 2,0 1,3 req=R1        -> Done
        free S1                         -> 0,0|1,3
        quotas S1 2,0 1,3 req=R1        -> AlreadyDone
        quotas S1 2,1 1,2 req=R1        -> IdReused
        release A1                      -> Done
        quotas S1 1,0 2,3               -> QuotasInvalid    // The floor is 2.
        quotas S1 1,1 2,2               -> Done
        free S1                         -> 0,1|2,2
        hold A3 P3 S1@0                 -> SoldOut
        hold A3 P3 S1@0 by=1            -> Done S1@0#1
        ",
    );
}
