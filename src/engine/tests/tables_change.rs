//! Tables about what becomes of an appointment.

use super::script::check;

#[test]
fn a_visit_goes_its_way() {
    check(
        "
        open S1 2                    -> Done
        hold A1 P1 S1@0              -> Done pending
        arrive A1                    -> WrongStatus pending
        check-in A1                  -> WrongStatus pending
        cancel A1                    -> WrongStatus pending
        book A1 pay=1                -> Done booked
        release A1                   -> WrongStatus booked
        fulfil A1                    -> WrongStatus booked
        arrive A1                    -> Done arrived
        arrive A1                    -> WrongStatus arrived
        check-in A1                  -> Done checked-in
        cancel A1                    -> WrongStatus checked-in
        fulfil A1                    -> Done fulfilled
        no-show A1                   -> WrongStatus fulfilled
        free S1                      -> 1            // What took place keeps its place.
        live P1                      -> none
        ",
    );
}

#[test]
fn a_booked_patient_may_check_in_without_having_arrived() {
    check(
        "
        open S1 2                    -> Done
        hold A1 P1 S1@0 pay=1        -> Done
        check-in A1                  -> Done checked-in
        settle A1                    -> Done fulfilled
        settle A1                    -> WrongStatus fulfilled
        hold A2 P2 S1@0 pay=1        -> Done
        settle A2                    -> Done fulfilled   // Closing the day asks for no check-in.
        ",
    );
}

#[test]
fn nobody_has_missed_a_slot_that_has_not_begun() {
    check(
        "
        open S1 1,1                  -> Done         // 09:00, 09:10
        open S2 1 many               -> Done
        hold A1 P1 S1@1 pay=1        -> Done
        tick 60m
        no-show A1                   -> TooEarly booked
        tick 9m
        no-show A1                   -> TooEarly booked
        tick 1m
        no-show A1                   -> Done noshow
        live P1                      -> none
        free S1                      -> 1,0          // Nor does the place come back.
        hold A2 P1 S1@1              -> SoldOut
        ",
    );
}

#[test]
fn an_appointment_that_ended_changes_no_more() {
    check(
        "
        open S1 9                    -> Done
        hold A1 P1 S1@0              -> Done
        release A1                   -> Done cancelled
        book A1                      -> WrongStatus cancelled
        release A1                   -> WrongStatus cancelled
        cancel A1                    -> WrongStatus cancelled
        arrive A1                    -> WrongStatus cancelled
        check-in A1                  -> WrongStatus cancelled
        fulfil A1                    -> WrongStatus cancelled
        settle A1                    -> WrongStatus cancelled
        tick 90m
        no-show A1                   -> WrongStatus cancelled
        free S1                      -> 9
        ",
    );
}

#[test]
fn a_retry_of_a_change_tells_where_the_appointment_stands() {
    check(
        "
        open S1 1                    -> Done
        hold A1 P1 S1@0              -> Done
        book A1 req=R1 pay=5         -> Done booked 08:00
        tick 1m
        book A1 req=R1 pay=5         -> AlreadyDone booked 08:00
        cancel A1 req=R2             -> Done cancelled 08:01
        book A1 req=R1 pay=5         -> AlreadyDone cancelled 08:01
        cancel A1 req=R2             -> AlreadyDone cancelled
        free S1                      -> 1             // The place came back once.
        cancel A1 req=R3             -> WrongStatus
        cancel A9 req=R4             -> AppointmentNotFound
        ",
    );
}

#[test]
fn another_channel_may_do_what_the_session_shares() {
    for (sharing, expected) in
        [("own", "ChannelNotShared"), ("read", "ChannelNotShared"), ("", "Done")]
    {
        check(&format!(
            "
            open S1 9 {sharing}                    -> Done
            hold A1 P1 S1@0 by=1                   -> Done
            book A1 by=2                           -> {expected}
            hold A2 P2 S1@0 by=1                   -> Done
            release A2 by=2 who=counter            -> {expected}
            hold A3 P3 S1@0 by=1 pay=1             -> Done
            cancel A3 by=2                         -> {expected}
            hold A4 P4 S1@0 by=1 pay=1             -> Done
            cancel A4 by=1                         -> Done
            hold A5 P5 S1@0 by=1 pay=1             -> Done
            cancel A5 by=2 who=practitioner        -> Done    // Staff act for the house.
            hold A6 P6 S1@0 by=1 pay=1             -> Done
            check-in A6 by=2                       -> Done    // Being there is no question of channels.
            "
        ));
    }
}

#[test]
fn the_strictest_session_of_an_appointment_rules_its_sharing() {
    check(
        "
        open S1 9                    -> Done
        open S2 9 own                -> Done
        hold A1 P1 S1@0 S2@0 by=1    -> Done
        release A1 by=2              -> ChannelNotShared
        hold A2 P2 S2@0 S1@0 by=1    -> Done
        release A2 by=2              -> ChannelNotShared
        release A2 by=1              -> Done
        ",
    );
}

#[test]
fn staff_of_one_organization_touch_nothing_of_another() {
    check(
        "
        open S1 9 of=1                         -> Done
        open S2 9 of=2                         -> Done
        hold A1 P1 S1@0 of=2                   -> OrganizationNotPermitted
        hold A1 P1 S1@0 of=1                   -> Done
        hold A2 P2 S1@0 S2@0 of=1              -> OrganizationNotPermitted
        hold A2 P2 S1@0 S2@0 of=1,2            -> Done
        book A1 of=2                           -> OrganizationNotPermitted
        book A1 of=1                           -> Done
        cancel A1 of=2 who=admin               -> OrganizationNotPermitted
        arrive A1 of=2 who=practitioner        -> OrganizationNotPermitted
        cancel A1 of=1 who=admin               -> Done
        ",
    );
}

#[test]
fn an_appointment_of_another_patient_is_not_found() {
    check(
        "
        open S1 9                    -> Done
        hold A1 P1 S1@0              -> Done
        book A1 for=P2               -> AppointmentNotFound
        release A1 for=P2            -> AppointmentNotFound
        book A1 for=P1               -> Done
        book A9                      -> AppointmentNotFound
        ",
    );
}

#[test]
fn history_is_booked_at_once_and_its_refusals_are_remembered() {
    check(
        "
        open S1 1,1                  -> Done
        import A1 P1 S1@0            -> Done booked
        import A2 P2 S1@0            -> Declined SoldOut
        release A1                   -> WrongStatus
        cancel A1                    -> Done
        import A2 P2 S1@0            -> Declined SoldOut      // Decided once, read afterwards.
        import A2 P3 S1@0            -> IdReused
        import A1 P1 S1@0            -> AlreadyDone cancelled
        import A1 P2 S1@0            -> IdReused
        hold A2 P2 S1@0              -> IdReused              // The id is taken by the refusal.
        import A3 P3 S9@0            -> Declined SessionNotFound
        import A4 P4                 -> ClaimsInvalid         // No row: not remembered.
        import A4 - S1@0             -> PatientMissing
        import A4 P4 S1@0            -> Done
        tick 71m
        import A5 P5 S1@1            -> Done
        tick 10m
        import A6 P6 S1@1            -> Declined SoldOut
        cancel A5                    -> Done
        import A7 P7 S1@1            -> Declined SlotInPast
        ",
    );
}
