//! Every answer, numbered, in order of precedence.

use super::appointment::AppointmentStatus;
use super::rules::RuleWhy;
use super::time::Timestamp;

macro_rules! outcomes {
    ($($(#[$doc:meta])* $name:ident = $code:literal $transient:ident;)*) => {
        /// The answer to a request.
        ///
        /// Codes are part of the wire protocol: never renumber one, never reuse one. They come in
        /// ranges of 100 for each stage that a request passes, and are listed by precedence: where
        /// several apply, the lowest is given.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        #[non_exhaustive]
        pub enum Outcome {
            $($(#[$doc])* $name = $code,)*
        }

        impl Outcome {
            /// Every outcome, by precedence.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The outcome with that code.
            pub const fn from_code(code: u16) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The name in documentation, metrics and JSON.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// Whether the same request may succeed later without anybody changing it.
            pub const fn is_transient(self) -> bool {
                match self { $(Self::$name => outcomes!(@ $transient),)* }
            }
        }
    };
    (@ lasting) => { false };
    (@ transient) => { true };
}

outcomes! {
    /// The request was carried out.
    Done = 0 lasting;
    /// The request was carried out before; this is its present state.
    AlreadyDone = 1 lasting;

    /// The frame was read, but the request in it is not well formed.
    Malformed = 100 lasting;
    /// There is no operation with this code in this version.
    UnknownOperation = 101 lasting;
    /// The client's role does not permit the operation.
    RoleNotPermitted = 102 lasting;
    /// The request names a channel that the client's certificate does not.
    ChannelNotPermitted = 103 lasting;
    /// No claim, more than 8, a run of no slots or of more than 96, or an empty ranking.
    ClaimsInvalid = 104 lasting;
    /// Two claims of one request are in the same session.
    ClaimsOverlap = 105 lasting;
    /// The request names no patient, and this node takes no holds by account.
    PatientMissing = 106 lasting;
    /// The facts asked for are no longer in the journal; start from a snapshot.
    Gone = 107 lasting;

    /// The id is no `UUIDv7`.
    IdMalformed = 200 lasting;
    /// The id was made longer ago than requests are remembered.
    IdTooOld = 201 lasting;
    /// The id was made more than a minute from now.
    IdInFuture = 202 lasting;

    /// More comes than the node can do soon. Try again after the time that it names, not before:
    /// until then it is refused again.
    Overloaded = 300 transient;
    /// The node is starting or stopping; or its clock is suspended, and a session is to be opened.
    NotReady = 301 transient;
    /// The client asks too often. Try again after the time that it names.
    RateLimited = 302 transient;

    /// The id was used for another request.
    IdReused = 400 lasting;
    /// There is no session with this id.
    SessionNotFound = 401 lasting;
    /// What the request is about belongs to an organization that the certificate does not name.
    OrganizationNotPermitted = 402 lasting;
    /// The session has no such slot, or the run goes beyond its end.
    SlotNotFound = 403 lasting;
    /// No pool of the session is for this channel and class.
    PoolNotFound = 404 lasting;
    /// No place that the request may have is free. It comes before every other refusal that rests
    /// on what has happened, so that it can be told without a lock.
    SoldOut = 405 transient;
    /// The slot is over.
    SlotInPast = 406 lasting;
    /// Booking of the slot has ended.
    BookingClosed = 407 lasting;
    /// Places are free, and none of them can be booked yet. The answer says when.
    NotOpenYet = 408 transient;
    /// The channel may not book at this hour. The answer says when it may.
    OutsideServiceHours = 409 transient;
    /// The slots that the request may have are blocked. It is said instead of `SoldOut`.
    SessionBlocked = 410 transient;

    /// The patient has a live appointment in the session already.
    AlreadyHasAppointment = 500 lasting;

    /// A rule keeps the patient from booking there for a time, because of what happened before. The
    /// answer says until when.
    Restricted = 510 lasting;
    /// The patient may have no more appointments there and then (限约); where the time is known at which
    /// that ends, the hint says so.
    LimitReached = 511 lasting;

    /// The account, the telephone or the patient is bound to as many others as a rule lets be; or too many
    /// patients were new to the account since the places opened. The answer says until when, where it is
    /// time alone that ends it.
    PersonLimit = 512 lasting;

    /// A place was given up there not long ago, and a rule lets nobody take the next one yet (冷却期). The
    /// hint says when it does.
    CoolingDown = 513 lasting;

    /// The patient waits for as much as a rule lets them (候补限制).
    WaitLimit = 514 lasting;

    /// The account has as many holds as a rule lets it have whose patients it has not named.
    AccountLimit = 516 lasting;

    /// There is no appointment with this id, or it is another patient's.
    AppointmentNotFound = 600 lasting;
    /// The appointment was made through another channel, and its session does not share it.
    ChannelNotShared = 601 lasting;
    /// The deadline of the hold has passed.
    HoldExpired = 602 lasting;
    /// The appointment's status does not allow it.
    WrongStatus = 603 lasting;
    /// The slot has not begun, so nobody can have missed it; or it is too early to pick up the number
    /// or to check in, or to say that who may still check in did not come.
    TooEarly = 604 transient;
    /// The appointment was moved as often as its session allows.
    TooManyChanges = 605 lasting;
    /// It is later than the session lets a patient pick up the number or check in.
    TooLate = 606 lasting;
    /// Nobody waits in the session's queue to be called, or it keeps none.
    NobodyWaiting = 607 transient;

    /// It is later than a rule lets a patient cancel or move. The answer says how long ago the deadline
    /// was.
    CancelTooLate = 610 lasting;
    /// A rule wants the visit paid for when it is booked.
    PaymentMissing = 611 lasting;
    /// A rule takes no payment of this kind there.
    PaymentKindRefused = 612 lasting;
    /// The payment came too late and no place was booked with it. What was paid is written down as owed
    /// back.
    PaymentRefundable = 613 lasting;
    /// The payment was taken before, by another request.
    PaymentKnown = 614 lasting;
    /// The hold is an account's. Its patient is named before it is ordered or booked.
    PatientNotNamed = 615 lasting;
    /// The hold names its patient already.
    PatientNamed = 616 lasting;
    /// No rule lets a payment order move the deadline there, or the hold had as many as it may, or the
    /// order's own deadline has passed.
    OrderRefused = 617 lasting;
    /// No such payment of the appointment is owed back.
    RefundNotDue = 618 lasting;
    /// The appointment has as many payments as are written down. This one was not.
    TooManyPayments = 619 lasting;

    /// A session with this id exists and differs.
    SessionExists = 700 lasting;
    /// The session is not well formed.
    SessionInvalid = 701 lasting;
    /// The quotas do not fit the session: other pools or slots, another sum in a slot, less than is
    /// taken, or less than a pool's floor.
    QuotasInvalid = 702 lasting;
    /// The appointment lost its places: it can be moved or cancelled. Or it is an offer for such a one,
    /// which is accepted by moving that one there.
    AppointmentDisplaced = 703 lasting;
    /// As many places were added to the session as may be at a time.
    TooManyAdded = 704 transient;

    /// A place is free that the patient could have, now or when its pool opens. Book it.
    NotFull = 800 lasting;
    /// The patient waits for the session already.
    AlreadyWaiting = 801 lasting;
    /// The session keeps no waitlist, or has closed it.
    WaitlistClosed = 802 lasting;
    /// The patient does not wait; or has an offer, which is booked or released.
    NotWaiting = 803 lasting;
    /// As many wait as may, or the patient waits for as much as one may.
    WaitlistFull = 804 transient;

    /// Entries of the draw have ended, and its places are not given out yet. The answer says when
    /// to come back.
    DrawPending = 820 transient;
    /// An entry of a draw names one session, ranks no more slots than the draw takes, and is not
    /// booked at once.
    EntryInvalid = 821 lasting;
    /// The draw has as many entries as it can have.
    DrawFull = 822 lasting;
    /// The session has no such draw.
    DrawNotFound = 823 lasting;
    /// The draw names no beacon, has not closed yet, has the value already, or is made.
    BeaconNotAwaited = 824 lasting;
    /// The value of a beacon is 1 to 128 printable characters without spaces.
    BeaconInvalid = 825 lasting;
    /// The node has no key for draws.
    DrawKeyMissing = 826 lasting;

    /// The rules are not well formed, or name a version.
    RulesInvalid = 840 lasting;
    /// Rules come into force at least two seconds after they are applied.
    RulesTooSoon = 841 lasting;
    /// A restriction ends after it begins and after now, and does something.
    RestrictionInvalid = 842 lasting;
    /// The patient has no restriction with this id.
    RestrictionNotFound = 843 lasting;
    /// The restriction is over, or was lifted.
    RestrictionOver = 844 lasting;
    /// The restriction is not as it would have to be: it is not suspended, no appeal is open, the
    /// suspension would be over already, or it was amended as often as may be.
    AmendmentInvalid = 845 lasting;
    /// No rule in force lets the restriction be appealed against.
    NoAppeal = 846 lasting;
    /// An appeal is open already, or there were as many as the rule lets be.
    AppealedAlready = 847 lasting;
    /// The two keys are of one person already: the same key, or merged before, in whichever direction.
    AlreadyMerged = 848 lasting;
    /// The older key has more than one record carries, or the person has as many keys as can be.
    MergeTooLarge = 849 lasting;
    /// The rules are stricter than those before, and would come into force before the notice that
    /// those ask for. The answer names the first layer that is stricter, and the earliest instant.
    RulesNeedNotice = 850 lasting;
}

impl Outcome {
    /// The code on the wire.
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// The position in [`Self::ALL`].
    pub const fn position(self) -> usize {
        POSITIONS[self as usize] as usize
    }

    /// Whether the request was carried out, now or before.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Done | Self::AlreadyDone)
    }
}

/// The position of every code, made at compile time.
#[expect(clippy::cast_possible_truncation, reason = "there are fewer than 256 outcomes")]
const POSITIONS: [u8; 1_000] = {
    let mut positions = [0; 1_000];
    let mut position = 0;
    while position < Outcome::ALL.len() {
        positions[Outcome::ALL[position] as usize] = position as u8;
        position += 1;
    }
    positions
};

/// A request that was not carried out. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why. Never a success.
    pub outcome: Outcome,
    /// Where the appointment stands, if the refusal is about one.
    pub status: Option<AppointmentStatus>,
    /// When to try again, in milliseconds from now; 0 where the node cannot tell.
    pub retry_after_millis: u32,
    /// The rule that refuses, if one does.
    pub why: Option<RuleWhy>,
}

/// A refusal is moved about on the path that tells thousands that all is sold out.
const _: () = assert!(size_of::<Refusal>() <= 48, "a refusal is at most 48 bytes");

impl From<Outcome> for Refusal {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, status: None, retry_after_millis: 0, why: None }
    }
}

impl Refusal {
    /// A refusal because of where an appointment stands.
    pub const fn of_status(outcome: Outcome, status: AppointmentStatus) -> Self {
        Self { outcome, status: Some(status), retry_after_millis: 0, why: None }
    }

    /// A refusal that holds until an instant; 49 days are as long as a hint can say.
    pub fn until(outcome: Outcome, now: Timestamp, until: Timestamp) -> Self {
        let wait = until.as_millis().saturating_sub(now.as_millis());
        Self::for_now(outcome, u32::try_from(wait).unwrap_or(u32::MAX))
    }

    /// A refusal by a rule; it hints at the end that the rule names, as far as a hint goes.
    pub fn by_rule(outcome: Outcome, now: Timestamp, why: RuleWhy) -> Self {
        Self { why: Some(why), ..Self::until(outcome, now, why.until) }
    }

    /// A refusal with a hint when to come back.
    pub const fn for_now(outcome: Outcome, retry_after_millis: u32) -> Self {
        Self { outcome, status: None, retry_after_millis, why: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_listed_by_precedence_and_found_by_code() {
        assert!(Outcome::ALL.windows(2).all(|pair| pair[0].code() < pair[1].code()));
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::from_code(outcome.code()), Some(*outcome));
        }
        assert_eq!(Outcome::from_code(2), None);
    }
}
