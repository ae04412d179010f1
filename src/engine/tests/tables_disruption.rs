//! Tables of blocks, substitutes and added places.

use super::script::check;

#[test]
fn nothing_in_a_blocked_slot_can_be_held() {
    check(
        "
        open S1 1,1,1 of=1
        hold A1 P1 S1@0        -> Done
        block S1 0*2 of=2      -> OrganizationNotPermitted
        block S9 0*2           -> SessionNotFound
        block S1 2*2           -> SlotNotFound
        block S1 0*0           -> SlotNotFound
        block S1 0*2 req=R1    -> Done
        block S1 0*2 req=R1    -> AlreadyDone
        block S1 0*3 req=R1    -> IdReused
        free S1                -> 0,0,1
        hold A2 P2 S1@0        -> SessionBlocked
        hold A2 P2 S1@1        -> SessionBlocked
        hold A2 P2 S1@any*2    -> SessionBlocked
        hold A2 P2 S1@1>2      -> Done S1@2#0
        hold A3 P3 S1@any      -> SoldOut                // what is open is sold out
        hold A3 P3 S1@0>1      -> SessionBlocked
        release A1             -> Done
        free S1                -> 0,0,0
        unblock S1 0*2         -> Done
        free S1                -> 1,1,0
        hold A3 P3 S1@0        -> Done
        ",
    );
}

#[test]
fn a_displaced_patient_is_never_forgotten() {
    check(
        "
        open S1 1,1,1,1
        open S2 1,1
        open S3 1,1
        hold A1 P1 S1@0 S2@0 pay=1   -> Done booked
        hold A2 P2 S1@1              -> Done pending
        hold A3 P3 S1@2 pay=1        -> Done booked
        hold A4 P4 S1@3 pay=1        -> Done booked
        check-in A4                  -> Done
        block S1 0*2                 -> Done
        displace S9                  -> A1 A2
        free S2                      -> 1,1               // what it had elsewhere came back too
        displaced                    -> A1
        live P1                      -> A1
        live P2                      -> none
        block S1 2*2                 -> Done
        displace S9                  -> A3 A4
        displace S9                  -> none
        displaced                    -> A1 A3 A4
        arrive A1                    -> AppointmentDisplaced booked
        no-show A3                   -> TooEarly
        tick 90m
        no-show A3                   -> AppointmentDisplaced booked   // nobody misses what was blocked
        settle A3                    -> AppointmentDisplaced
        unblock S1 0*4               -> Done
        displaced                    -> A1 A3 A4          // opening again gives nothing back by itself
        tick 8d
        forget                       -> A2
        displaced                    -> A1 A3 A4
        live P4                      -> A4
        cancel A1                    -> Done cancelled
        displaced                    -> A3 A4
        free S2                      -> 1,1
        ",
    );
}

#[test]
fn a_displaced_appointment_moves_whenever_it_likes() {
    check(
        "
        open S1 1,1 changes=0
        open S2 1,1 changes=0
        hold A1 P1 S1@0 pay=1   -> Done
        move A1 S1@1            -> TooManyChanges
        block S1 0*2            -> Done
        displace S9             -> A1
        tick 61m                                          // its slot has begun, and is not missed
        move A1 S1@1            -> SessionBlocked
        move A1 S2@1            -> Done booked 09:01 S2@1#0
        displaced               -> none
        free S1                 -> 0,0
        free S2                 -> 1,0
        check-in A1             -> Done
        unblock S1 0*2          -> Done
        free S1                 -> 1,1
        ",
    );
}

#[test]
fn an_offer_stands_until_its_deadline_and_is_accepted_by_moving_there() {
    check(
        "
        open S1 1,1 offer=20m
        open S2 1
        open S3 1
        hold A1 P1 S1@0 pay=1  -> Done
        hold A2 P2 S1@1 pay=1  -> Done
        block S1 0*2           -> Done
        displace S2            -> A1 offered-A1 A2        // one place, one offer
        free S2                -> 0
        displaced              -> A1 A2
        hold A3 P3 S2@0        -> SoldOut
        move A2 S2@0           -> SoldOut                 // an offer is of one patient
        accept A1 pay=1        -> AppointmentDisplaced pending
        hold A4 P1 S2@0        -> SoldOut
        move A1 S2@0           -> Done booked S2@0#0
        displaced              -> A2
        live P1                -> A1
        free S2                -> 0
        displace S3            -> offered-A2
        tick 20m
        free S3                -> 0
        expire                 ->                         // the offer
        free S3                -> 1
        displaced              -> A2
        displace S3            -> none                    // it is made once
        ",
    );
}

#[test]
fn an_offer_is_given_back_where_another_place_is_chosen() {
    check(
        "
        open S1 1 offer=20m
        open S2 1
        open S3 1
        hold A1 P1 S1@0 pay=1  -> Done
        block S1 0*1           -> Done
        displace S2            -> A1 offered-A1
        move A1 S3@0           -> Done S3@0#0
        free S2                -> 1
        free S3                -> 0
        live P1                -> A1
        ",
    );
}

#[test]
fn a_substitute_changes_who_is_there_and_nothing_else() {
    check(
        "
        open S1 1,1
        hold A1 P1 S1@0 pay=1        -> Done
        substitute S1 77 of=2        -> OrganizationNotPermitted
        substitute S9 77             -> SessionNotFound
        substitute S1 77 req=R1      -> Done
        substitute S1 77 req=R1      -> AlreadyDone
        substitute S1 78 req=R1      -> IdReused
        resource S1                  -> 77
        live P1                      -> A1
        free S1                      -> 0,1
        ",
    );
}

#[test]
fn an_added_place_never_goes_to_somebody_else() {
    check(
        "
        open S1 1,1
        hold A1 P1 S1@0          -> Done
        add A2 P2 S1@0 of=2      -> OrganizationNotPermitted
        add A2 P2 S1@2           -> SlotNotFound
        add A2 P1 S1@0           -> AlreadyHasAppointment
        add A2 P2 S1@0           -> Done booked S1@0#255
        add A2 P2 S1@0           -> AlreadyDone
        add A2 P2 S1@1           -> IdReused
        free S1                  -> 0,1 sum=1
        hold A3 P3 S1@0          -> SoldOut
        cancel A2                -> Done cancelled
        free S1                  -> 0,1 sum=1              // the place went with its patient
        hold A3 P3 S1@0          -> SoldOut
        release A1               -> Done
        free S1                  -> 1,1
        add A4 P4 S1@0           -> Done
        move A4 S1@1             -> Done booked S1@1#0
        hold A5 P5 S1@0          -> Done
        hold A6 P6 S1@0          -> SoldOut
        block S1 1*1             -> Done
        add A7 P7 S1@1           -> SessionBlocked
        tick 70m
        add A7 P7 S1@0           -> SlotInPast
        ",
    );
}

#[test]
fn a_session_takes_thirty_two_added_places_at_a_time() {
    let adds = |from: u32, to: u32| {
        let lines: Vec<_> = (from..to).map(|n| format!("add A{n} P{n} S1@0 -> Done")).collect();
        lines.join("\n")
    };
    check(&format!(
        "open S1 1\n{}\nadd A99 P99 S1@0 -> TooManyAdded\ncancel A40 -> Done\n{}",
        adds(20, 52),
        adds(60, 61),
    ));
}
