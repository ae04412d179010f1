//! Which answers are possible, written out by hand.

use std::collections::BTreeMap;

use crate::model::Outcome;
use crate::model::Outcome as O;

/// Every request of the engine, with every answer that it can get.
const POSSIBLE: &[(&str, &[Outcome])] = &[
    (
        "open_session",
        &[
            O::Done,
            O::AlreadyDone,
            O::IdReused,
            O::OrganizationNotPermitted,
            O::SessionExists,
            O::SessionInvalid,
        ],
    ),
    (
        "hold",
        &[
            O::Done,
            O::AlreadyDone,
            O::ClaimsInvalid,
            O::ClaimsOverlap,
            O::PatientMissing,
            O::IdReused,
            O::SessionNotFound,
            O::OrganizationNotPermitted,
            O::SlotNotFound,
            O::PoolNotFound,
            O::SoldOut,
            O::SlotInPast,
            O::BookingClosed,
            O::NotOpenYet,
            O::OutsideServiceHours,
            O::SessionBlocked,
            O::AlreadyHasAppointment,
            O::Restricted,
            O::LimitReached,
            O::CoolingDown,
            O::PersonLimit,
            O::AccountLimit,
            O::PaymentMissing,
            O::PaymentKindRefused,
            O::DrawPending,
            O::EntryInvalid,
        ],
    ),
    (
        "import",
        &[
            O::Done,
            O::AlreadyDone,
            O::ClaimsInvalid,
            O::ClaimsOverlap,
            O::PatientMissing,
            O::IdReused,
            O::SessionNotFound,
            O::SlotNotFound,
            O::PoolNotFound,
            O::SoldOut,
            O::SlotInPast,
            O::BookingClosed,
            O::NotOpenYet,
            O::OutsideServiceHours,
            O::SessionBlocked,
            O::AlreadyHasAppointment,
            O::Restricted,
            O::LimitReached,
            O::CoolingDown,
            O::PersonLimit,
            O::DrawPending,
            O::EntryInvalid,
        ],
    ),
    ("book", BOOKER),
    ("release", HOLDER),
    (
        "cancel",
        &[
            O::Done,
            O::AlreadyDone,
            O::IdReused,
            O::OrganizationNotPermitted,
            O::AppointmentNotFound,
            O::ChannelNotShared,
            O::WrongStatus,
            O::CancelTooLate,
        ],
    ),
    ("arrive", ARRIVAL),
    (
        "check_in",
        &[
            O::Done,
            O::AlreadyDone,
            O::IdReused,
            O::OrganizationNotPermitted,
            O::AppointmentNotFound,
            O::WrongStatus,
            O::TooEarly,
            O::TooLate,
            O::AppointmentDisplaced,
        ],
    ),
    ("fulfil", FULFILLER),
    ("settle", STAFF),
    (
        "no_show",
        &[
            O::Done,
            O::AlreadyDone,
            O::IdReused,
            O::OrganizationNotPermitted,
            O::AppointmentNotFound,
            O::WrongStatus,
            O::TooEarly,
            O::AppointmentDisplaced,
        ],
    ),
    (
        "set_quotas",
        &[
            O::Done,
            O::AlreadyDone,
            O::IdReused,
            O::SessionNotFound,
            O::OrganizationNotPermitted,
            O::QuotasInvalid,
        ],
    ),
    (
        "reschedule",
        &[
            O::Done,
            O::AlreadyDone,
            O::ClaimsInvalid,
            O::ClaimsOverlap,
            O::IdReused,
            O::SessionNotFound,
            O::OrganizationNotPermitted,
            O::SlotNotFound,
            O::PoolNotFound,
            O::SoldOut,
            O::SlotInPast,
            O::BookingClosed,
            O::NotOpenYet,
            O::OutsideServiceHours,
            O::SessionBlocked,
            O::AlreadyHasAppointment,
            O::AppointmentNotFound,
            O::ChannelNotShared,
            O::Restricted,
            O::LimitReached,
            O::CoolingDown,
            O::HoldExpired,
            O::WrongStatus,
            O::TooManyChanges,
            O::CancelTooLate,
            O::DrawPending,
        ],
    ),
    (
        "block",
        &[
            O::Done,
            O::AlreadyDone,
            O::IdReused,
            O::SessionNotFound,
            O::OrganizationNotPermitted,
            O::SlotNotFound,
        ],
    ),
    (
        "substitute",
        &[O::Done, O::AlreadyDone, O::IdReused, O::SessionNotFound, O::OrganizationNotPermitted],
    ),
    (
        "add_place",
        &[
            O::Done,
            O::AlreadyDone,
            O::IdReused,
            O::SessionNotFound,
            O::OrganizationNotPermitted,
            O::SlotNotFound,
            O::SlotInPast,
            O::SessionBlocked,
            O::AlreadyHasAppointment,
        ],
    ),
    ("displace", &[O::Done]),
    ("offer", &[O::Done]),
    (
        "reveal_draw",
        &[
            O::Done,
            O::AlreadyDone,
            O::IdReused,
            O::SessionNotFound,
            O::OrganizationNotPermitted,
            O::DrawNotFound,
            O::BeaconNotAwaited,
            O::BeaconInvalid,
        ],
    ),
    (
        "join_waitlist",
        &[
            O::Done,
            O::AlreadyDone,
            O::ClaimsInvalid,
            O::ClaimsOverlap,
            O::IdReused,
            O::SessionNotFound,
            O::OrganizationNotPermitted,
            O::SlotNotFound,
            O::PoolNotFound,
            O::AlreadyHasAppointment,
            O::Restricted,
            O::WaitLimit,
            O::CoolingDown,
            O::PersonLimit,
            O::NotFull,
            O::AlreadyWaiting,
            O::WaitlistClosed,
            O::WaitlistFull,
        ],
    ),
    (
        "leave_waitlist",
        &[O::Done, O::AlreadyDone, O::IdReused, O::OrganizationNotPermitted, O::NotWaiting],
    ),
    ("place_offer", &[O::Done]),
    ("not_drawn_waits", &[O::Done]),
    (
        "call_next",
        &[
            O::Done,
            O::AlreadyDone,
            O::IdReused,
            O::SessionNotFound,
            O::OrganizationNotPermitted,
            O::NobodyWaiting,
        ],
    ),
    ("expire", &[O::Done]),
    // For what patients were restricted, besides missed visits.
    ("barred_unpaid", &[O::Done]),
    ("barred_release", &[O::Done]),
    ("barred_cancel", &[O::Done]),
    ("barred_same_day_cancel", &[O::Done]),
    ("barred_booking", &[O::Done]),
    ("barred_probing", &[O::Done]),
    ("barred_late", &[O::Done]),
    ("barred_missed", &[O::Done]),
    ("probed", &[O::Done]),
    ("probed_in_shadow", &[O::Done]),
    ("barred_account", &[O::Done]),
    ("barred_phone", &[O::Done]),
    ("bound", &[O::Done]),
    ("gives_way", &[O::Done]),
    ("beyond", &[O::Done]),
    ("phoned", &[O::Done]),
    (
        "restrict",
        &[O::Done, O::AlreadyDone, O::IdReused, O::OrganizationNotPermitted, O::RestrictionInvalid],
    ),
    (
        "amend",
        &[
            O::Done,
            O::AlreadyDone,
            O::IdReused,
            O::OrganizationNotPermitted,
            O::RestrictionNotFound,
            O::RestrictionOver,
            O::AmendmentInvalid,
        ],
    ),
    (
        "appeal",
        &[
            O::Done,
            O::AlreadyDone,
            O::IdReused,
            O::OrganizationNotPermitted,
            O::RestrictionNotFound,
            O::RestrictionOver,
            O::NoAppeal,
            O::AppealedAlready,
        ],
    ),
    (
        "merge_patients",
        &[O::Done, O::AlreadyDone, O::IdReused, O::OrganizationNotPermitted, O::AlreadyMerged],
    ),
    (
        "apply_rules",
        &[
            O::Done,
            O::AlreadyDone,
            O::IdReused,
            O::RulesInvalid,
            O::RulesTooSoon,
            O::RulesNeedNotice,
        ],
    ),
    (
        "order",
        &[
            O::Done,
            O::AlreadyDone,
            O::IdReused,
            O::OrganizationNotPermitted,
            O::AppointmentNotFound,
            O::ChannelNotShared,
            O::HoldExpired,
            O::WrongStatus,
            O::PatientNotNamed,
            O::OrderRefused,
        ],
    ),
    (
        "pay",
        &[
            O::Done,
            O::AlreadyDone,
            O::IdReused,
            O::OrganizationNotPermitted,
            O::AppointmentNotFound,
            O::ChannelNotShared,
            O::WrongStatus,
            O::PaymentKindRefused,
            O::PaymentRefundable,
            O::PaymentKnown,
            O::PatientNotNamed,
            O::TooManyPayments,
        ],
    ),
    (
        "refund",
        &[
            O::Done,
            O::AlreadyDone,
            O::IdReused,
            O::OrganizationNotPermitted,
            O::AppointmentNotFound,
            O::RefundNotDue,
        ],
    ),
    (
        "name_patient",
        &[
            O::Done,
            O::AlreadyDone,
            O::PatientMissing,
            O::IdReused,
            O::OrganizationNotPermitted,
            O::PoolNotFound,
            O::AlreadyHasAppointment,
            O::Restricted,
            O::LimitReached,
            O::CoolingDown,
            O::PersonLimit,
            O::AppointmentNotFound,
            O::ChannelNotShared,
            O::HoldExpired,
            O::WrongStatus,
            O::PatientNamed,
        ],
    ),
];

const BOOKER: &[Outcome] = &[
    O::Done,
    O::AlreadyDone,
    O::IdReused,
    O::OrganizationNotPermitted,
    O::AppointmentNotFound,
    O::ChannelNotShared,
    O::HoldExpired,
    O::WrongStatus,
    O::PaymentMissing,
    O::PaymentKindRefused,
    O::PaymentRefundable,
    O::PaymentKnown,
    O::PatientNotNamed,
    O::TooManyPayments,
    O::AppointmentDisplaced,
];
const FULFILLER: &[Outcome] = &[
    O::Done,
    O::AlreadyDone,
    O::IdReused,
    O::OrganizationNotPermitted,
    O::AppointmentNotFound,
    O::WrongStatus,
];
const HOLDER: &[Outcome] = &[
    O::Done,
    O::AlreadyDone,
    O::IdReused,
    O::OrganizationNotPermitted,
    O::AppointmentNotFound,
    O::ChannelNotShared,
    O::HoldExpired,
    O::WrongStatus,
    O::DrawPending,
];

const ARRIVAL: &[Outcome] = &[
    O::Done,
    O::AlreadyDone,
    O::IdReused,
    O::OrganizationNotPermitted,
    O::AppointmentNotFound,
    O::WrongStatus,
    O::TooEarly,
    O::TooLate,
    O::AppointmentDisplaced,
];

const STAFF: &[Outcome] = &[
    O::Done,
    O::AlreadyDone,
    O::IdReused,
    O::OrganizationNotPermitted,
    O::AppointmentNotFound,
    O::WrongStatus,
    O::AppointmentDisplaced,
];

/// How often each answer was given.
#[derive(Default)]
pub(super) struct Pairs(BTreeMap<(&'static str, Outcome), u32>);

impl Pairs {
    pub(super) fn count(&mut self, request: &'static str, outcome: Outcome) {
        *self.0.entry((request, outcome)).or_default() += 1;
    }

    /// Whether every possible answer was given `least` times.
    pub(super) fn are_enough(&self, least: u32) -> bool {
        let count = |request, outcome| self.0.get(&(request, outcome)).copied().unwrap_or(0);
        let mut possible = POSSIBLE.iter().flat_map(|(request, outcomes)| {
            outcomes.iter().map(move |outcome| count(*request, *outcome))
        });
        possible.all(|count| least <= count)
    }

    /// Asserts that every possible answer was given `least` times, and no other at all.
    pub(super) fn check(mut self, least: u32) {
        let mut wrong = Vec::new();
        for (request, outcomes) in POSSIBLE {
            for outcome in *outcomes {
                let count = self.0.remove(&(*request, *outcome)).unwrap_or(0);
                if count < least {
                    wrong.push(format!("{request} was answered {outcome:?} {count} times"));
                }
            }
        }
        for ((request, outcome), count) in self.0 {
            wrong.push(format!("{request} was answered {outcome:?} {count} times, never expected"));
        }
        assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    }
}
