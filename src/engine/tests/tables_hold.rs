//! Tables about who gets which place.

use super::script::check;

#[test]
fn a_place_is_never_oversold() {
    check(
        "
        open S1 1,2         -> Done
        hold A1 P1 S1@0     -> Done S1@0#0
        hold A2 P2 S1@0     -> SoldOut
        hold A3 P3 S1@1     -> Done
        hold A4 P4 S1@1     -> Done
        hold A5 P5 S1@any   -> SoldOut
        free S1             -> 0,0
        release A1          -> Done cancelled
        free S1             -> 1,0
        hold A2 P2 S1@0     -> Done       // A refusal is not remembered.
        book A2             -> Done booked
        hold A6 P6 S1@0     -> SoldOut
        cancel A2           -> Done cancelled
        hold A6 P6 S1@0     -> Done
        free S1             -> 0,0
        ",
    );
}

#[test]
fn a_session_without_places_is_sold_out_from_the_start() {
    check(
        "
        open S1 0,0         -> Done
        hold A1 P1 S1@any   -> SoldOut
        hold A2 P2 S1@1     -> SoldOut
        ",
    );
}

#[test]
fn all_claims_are_taken_or_none() {
    check(
        "
        open S1 2,2                  -> Done
        open S2 1                    -> Done
        open S3 1,1                  -> Done
        hold A1 P1 S1@0 S2@0 S3@any*2  -> Done S1@0#0 S2@0#0 S3@0*2#0
        free S3                      -> 0,0
        hold A2 P2 S1@0 S2@0         -> SoldOut
        free S1                      -> 1,2     // The claim that could be met was not taken.
        hold A3 P3 S1@0 S9@0         -> SessionNotFound
        free S1                      -> 1,2
        release A1                   -> Done
        free S1                      -> 2,2
        free S2                      -> 1
        free S3                      -> 1,1
        ",
    );
}

#[test]
fn a_run_takes_consecutive_slots_of_one_pool() {
    check(
        "
        open S1 1,0,1,1,1            -> Done
        hold A1 P1 S1@0*2            -> SoldOut
        hold A2 P2 S1@any*3          -> Done S1@2*3#0
        free S1                      -> 1,0,0,0,0
        hold A3 P3 S1@3*3            -> SlotNotFound
        hold A4 P4 S1@any*6          -> SlotNotFound
        hold A5 P5 S1@any*5          -> SoldOut
        open S2 1,0 0,1              -> Done
        hold A6 P6 S2@0*2            -> SoldOut   // Both slots are free, but not in one pool.
        free S2                      -> 1,0|0,1
        ",
    );
}

#[test]
fn ranked_slots_are_tried_in_the_order_of_the_wish() {
    check(
        "
        open S1 1,1,1                -> Done
        hold A1 P1 S1@2>0>1          -> Done S1@2#0
        hold A2 P2 S1@2>0>1          -> Done S1@0#0
        hold A3 P3 S1@2>0            -> SoldOut
        hold A4 P4 S1@1>7            -> SlotNotFound
        hold A5 P5 S1@2>1            -> Done S1@1#0
        ",
    );
}

#[test]
fn any_slot_is_the_earliest_with_a_place() {
    check(
        "
        open S1 1,2,1                -> Done
        hold A1 P1 S1@any            -> Done S1@0#0
        hold A2 P2 S1@any            -> Done S1@1#0
        hold A3 P3 S1@any            -> Done S1@1#0
        release A1                   -> Done
        hold A4 P4 S1@any            -> Done S1@0#0
        hold A5 P5 S1@any            -> Done S1@2#0
        ",
    );
}

#[test]
fn an_even_session_fills_the_slot_with_the_largest_free_share() {
    check(
        "
        open S1 2,4,2 even           -> Done
        hold A1 P1 S1@any            -> Done S1@0#0    // 2/2, 4/4, 2/2: the first of equals.
        hold A2 P2 S1@any            -> Done S1@1#0    // 1/2, 4/4, 2/2
        hold A3 P3 S1@any            -> Done S1@2#0    // 1/2, 3/4, 2/2
        hold A4 P4 S1@any            -> Done S1@1#0    // 1/2, 3/4, 1/2
        hold A5 P5 S1@any            -> Done S1@0#0    // 1/2, 2/4, 1/2
        hold A6 P6 S1@2              -> Done S1@2#0    // A wish for a slot is not evened out.
        ",
    );
}

#[test]
fn the_share_counts_only_pools_that_the_wisher_may_use() {
    check(
        "
        open S1 0:1,2 1:9,0 even     -> Done
        hold A1 P1 S1@any            -> Done S1@0#0    // 1/1 and 2/2, whatever channel 1 has.
        hold A2 P2 S1@any            -> Done S1@1#0
        hold A3 P3 S1@any by=1       -> Done S1@0#1
        ",
    );
}

#[test]
fn pools_admit_by_channel_and_class_and_are_tried_in_their_order() {
    check(
        "
        open S1 1:1 */inpatient:1 *:1       -> Done
        hold A1 P1 S1@0 by=1                -> Done S1@0#0
        hold A2 P2 S1@0 by=1                -> Done S1@0#2    // Its own pool first, then the common one.
        hold A3 P3 S1@0 by=1                -> SoldOut
        hold A4 P4 S1@0 by=2 as=emergency   -> SoldOut
        hold A5 P5 S1@0 by=2 as=inpatient   -> Done S1@0#1
        open S2 1:1                         -> Done
        hold A6 P6 S2@0 by=2                -> PoolNotFound
        open S3 2/inpatient:1               -> Done
        hold A7 P7 S3@0 by=2                -> PoolNotFound
        hold A8 P8 S3@0 by=1 as=inpatient   -> PoolNotFound
        hold A9 P9 S3@0 by=2 as=inpatient   -> Done
        ",
    );
}

#[test]
fn a_freed_place_goes_back_to_its_pool() {
    check(
        "
        open S1 1:1 *:1              -> Done
        hold A1 P1 S1@0 by=1         -> Done S1@0#0
        hold A2 P2 S1@0 by=1         -> Done S1@0#1
        release A1                   -> Done
        free S1                      -> 1|0
        hold A3 P3 S1@0 by=2         -> SoldOut       // The place is channel 1's.
        book A2                      -> Done
        cancel A2                    -> Done
        free S1                      -> 1|1
        hold A3 P3 S1@0 by=2         -> Done S1@0#1
        tick 15m
        expire                       -> A3
        free S1                      -> 1|1
        ",
    );
}

#[test]
fn a_hold_lasts_as_long_as_request_and_session_allow() {
    check(
        "
        open S1 9 ttl=5m             -> Done
        open S2 9 ttl=3m             -> Done
        hold A1 P1 S1@0 ttl=2m       -> Done pending 08:02
        hold A2 P2 S1@0 ttl=9m       -> Done pending 08:05
        hold A3 P3 S1@0 S2@0 ttl=9m  -> Done pending 08:03
        hold A4 P4 S2@0 S1@0 ttl=1m  -> Done pending 08:01
        ",
    );
}

#[test]
fn a_hold_past_its_deadline_is_void_even_before_it_expires() {
    check(
        "
        open S1 1                    -> Done
        hold A1 P1 S1@0 ttl=10m      -> Done
        tick 9m
        expire                       -> none
        tick 1m
        book A1                      -> HoldExpired pending
        release A1                   -> HoldExpired pending
        hold A2 P2 S1@0              -> SoldOut    // The place comes back with the expiry.
        expire                       -> A1
        book A1                      -> WrongStatus cancelled
        expire                       -> none
        hold A2 P2 S1@0              -> Done
        ",
    );
}

#[test]
fn deadlines_end_holds_in_their_order_and_nothing_else() {
    check(
        "
        open S1 9                    -> Done
        hold A1 P1 S1@0 ttl=3m       -> Done
        hold A2 P2 S1@0 ttl=1m       -> Done
        hold A3 P3 S1@0 ttl=2m       -> Done
        hold A4 P4 S1@0 ttl=1m       -> Done
        hold A5 P5 S1@0 ttl=1m       -> Done
        book A4                      -> Done
        release A5                   -> Done
        tick 2m
        expire                       -> A2 A3
        live P4                      -> A4
        live P2                      -> none
        free S1                      -> 7
        ",
    );
}

#[test]
fn a_retry_of_a_hold_gets_the_same_answer_with_the_original_deadline() {
    check(
        "
        open S1 1,1                  -> Done
        hold A1 P1 S1@any            -> Done pending 08:15 S1@0#0
        tick 5m
        hold A1 P1 S1@any            -> AlreadyDone pending 08:15 S1@0#0
        free S1                      -> 0,1
        book A1                      -> Done booked 08:05
        tick 5m
        hold A1 P1 S1@any            -> AlreadyDone booked 08:05 S1@0#0
        cancel A1                    -> Done cancelled 08:10
        tick 5m
        hold A1 P1 S1@any            -> AlreadyDone cancelled 08:10 S1@0#0
        free S1                      -> 1,1
        ",
    );
}

#[test]
fn a_retry_of_the_hold_that_took_the_last_place_succeeds() {
    check(
        "
        open S1 1                    -> Done
        hold A1 P1 S1@0              -> Done
        hold A2 P2 S1@0              -> SoldOut
        hold A1 P1 S1@0              -> AlreadyDone pending
        tick 15m
        expire                       -> A1
        hold A1 P1 S1@0              -> AlreadyDone cancelled
        ",
    );
}

#[test]
fn an_id_with_other_content_is_refused_each_way() {
    check(
        "
        open S1 9,9 req=R1               -> Done
        open S2 9 req=R1                 -> IdReused
        open S1 9,9 req=R1               -> AlreadyDone
        hold A1 P1 S1@0                  -> Done
        hold A1 P2 S1@0                  -> IdReused    // another patient
        hold A1 P1 S1@1                  -> IdReused    // another slot
        hold A1 P1 S1@any                -> IdReused    // another choice
        hold A1 P1 S1@0*2                -> IdReused    // another run
        hold A1 P1 S1@0 by=1             -> IdReused    // another channel
        hold A1 P1 S1@0 as=inpatient     -> IdReused    // another class
        hold A1 P1 S1@0 ttl=1m           -> IdReused    // another time to live
        hold A1 P1 S1@0 pay=1            -> IdReused    // booked at once
        hold A2 P2 S1@0                  -> Done
        book A1 req=R2 pay=1             -> Done
        book A1 req=R2 pay=1             -> AlreadyDone booked
        book A1 req=R2 pay=2             -> IdReused    // another payment
        book A2 req=R2 pay=1             -> IdReused    // another appointment
        release A2 req=R2                -> IdReused    // another action
        release A2 req=A1                -> IdReused    // the id of a hold
        release A2 req=A2                -> IdReused    // even its own
        open S3 9 req=A1                 -> IdReused
        open S3 9 req=R2                 -> IdReused
        ",
    );
}

#[test]
fn a_patient_has_one_live_appointment_in_a_session() {
    check(
        "
        open S1 9,9                  -> Done
        open S2 9                    -> Done
        hold A1 P1 S1@0              -> Done
        hold A2 P1 S1@1              -> AlreadyHasAppointment
        hold A3 P1 S2@0              -> Done
        hold A4 P2 S1@0              -> Done
        live P1                      -> A1 A3
        release A1                   -> Done
        hold A2 P1 S1@1              -> Done
        book A2                      -> Done
        hold A5 P1 S1@0              -> AlreadyHasAppointment
        arrive A2                    -> Done
        hold A5 P1 S1@0              -> AlreadyHasAppointment
        check-in A2                  -> Done
        hold A5 P1 S1@0              -> AlreadyHasAppointment
        fulfil A2                    -> Done
        hold A5 P1 S1@0              -> Done         // The visit is over: not live.
        hold A6 P1 S1@1 S2@0         -> AlreadyHasAppointment
        ",
    );
}

#[test]
fn an_unlimited_session_takes_a_patient_more_than_once() {
    check(
        "
        open S1 9,9 many             -> Done
        open S2 9                    -> Done
        hold A1 P1 S1@0              -> Done
        hold A2 P1 S1@0              -> Done
        hold A3 P1 S1@1 S2@0         -> Done
        hold A4 P1 S1@1 S2@0         -> AlreadyHasAppointment
        live P1                      -> A1 A2 A3
        release A2                   -> Done
        live P1                      -> A1 A3
        free S1                      -> 8,8
        ",
    );
}

#[test]
fn a_hold_that_is_booked_at_once_has_no_deadline() {
    check(
        "
        open S1 2                    -> Done
        hold A1 P1 S1@0 pay=7        -> Done booked 08:00 S1@0#0
        hold A1 P1 S1@0 pay=7        -> AlreadyDone booked 08:00
        tick 16m
        expire                       -> none
        free S1                      -> 1
        book A1 pay=7                -> WrongStatus booked
        cancel A1                    -> Done cancelled
        free S1                      -> 2
        ",
    );
}

#[test]
fn a_slot_can_be_booked_until_it_ends() {
    check(
        "
        open S1 1,1,1                -> Done         // 09:00, 09:10, 09:20
        tick 69m                                     // 09:09
        hold A1 P1 S1@0              -> Done
        release A1                   -> Done
        tick 1m
        hold A2 P2 S1@0              -> SlotInPast
        hold A3 P3 S1@any            -> Done S1@1#0
        hold A4 P4 S1@0>2            -> Done S1@2#0
        hold A5 P5 S1@any            -> SlotInPast   // A place is free, but it is over.
        hold A6 P6 S1@1              -> SoldOut
        ",
    );
}

#[test]
fn where_several_refusals_apply_the_lowest_code_is_given() {
    check(
        "
        open S1 1 own of=1                   -> Done
        open S2 1 of=2                       -> Done
        open S3 0:1                          -> Done
        hold A1 P1 S1@0                      -> Done
        hold A1 P9 S9@0                      -> IdReused            // before SessionNotFound
        hold A2 P2 S9@0 S2@0 of=1            -> SessionNotFound     // before OrganizationNotPermitted
        hold A2 P2 S2@7 S1@0 of=1            -> OrganizationNotPermitted // before SlotNotFound, SoldOut
        hold A2 P2 S1@7 S3@0 by=1            -> SlotNotFound        // before PoolNotFound
        hold A2 P2 S3@0 S1@0 by=1            -> PoolNotFound        // before SoldOut
        hold A2 P1 S1@0                      -> SoldOut             // before AlreadyHasAppointment
        hold A2 P2 S1@*1                     -> ClaimsInvalid
        hold A2 P2 S1@0*0                    -> ClaimsInvalid
        hold A2 P2 S1@0*97                   -> ClaimsInvalid
        hold A2 P2                           -> ClaimsInvalid
        hold A2 - S1@0 S1@0                  -> ClaimsOverlap       // before PatientMissing
        hold A2 - S1@0                       -> PatientMissing
        open S1 1 req=A1 of=1                -> IdReused            // before SessionExists
        open S1 1,2 2                        -> SessionExists       // before SessionInvalid
        open S4 1,2 2                        -> SessionInvalid
        release A1 of=2 for=P2 by=1          -> OrganizationNotPermitted
        release A1 for=P2 by=1               -> AppointmentNotFound // before ChannelNotShared
        tick 15m
        cancel A1 by=1                       -> ChannelNotShared    // before WrongStatus
        release A1 by=1                      -> ChannelNotShared    // before HoldExpired
        tick 60m
        hold A3 P1 S1@0                      -> SoldOut             // before SlotInPast
        expire                               -> A1
        hold A3 P1 S1@0                      -> SlotInPast
        ",
    );
}
