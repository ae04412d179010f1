//! Every operation of the wire, numbered, and who may ask for it.

use super::actor::Role;

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident = $code:literal $text:literal $kind:ident;)*) => {
        /// What a client may ask. The number is the operation code of the wire: never renumber one,
        /// never reuse one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Operation {
            $($(#[$doc])* $name = $code,)*
        }

        impl Operation {
            /// Every operation, in the order of the documentation.
            pub const ALL: [Self; [$($code),*].len()] = [$(Self::$name,)*];

            /// The operation with that code.
            pub const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The name in metrics and logs.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What reads it and answers it.
            pub const fn kind(self) -> OperationKind {
                match self { $(Self::$name => OperationKind::$kind,)* }
            }
        }
    };
}

/// What reads an operation, and what it is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationKind {
    /// It changes something: a `Command`, answered with a receipt.
    Command,
    /// It reads: a `Query`, answered with a reading.
    Query,
    /// It turns its stream into one that pushes.
    Push,
}

operations! {
    /// Opens a session (放号).
    OpenSession = 1 "open_session" Command;
    /// Holds places (锁号), or books them at once.
    Hold = 2 "hold" Command;
    /// Confirms a hold (确认预约).
    Book = 3 "book" Command;
    /// Gives up a hold (释放号源).
    Release = 4 "release" Command;
    /// Ends a booked appointment (退号).
    Cancel = 5 "cancel" Command;
    /// Records that the patient has come (到院).
    Arrive = 6 "arrive" Command;
    /// Records the check-in (签到, 取号).
    CheckIn = 7 "check_in" Command;
    /// Records that the visit took place (完成).
    Fulfil = 8 "fulfil" Command;
    /// Records that the patient did not come (爽约).
    NoShow = 9 "no_show" Command;
    /// Opens a session that says when and how it may be booked (定时放号).
    OpenWithTerms = 10 "open_with_terms" Command;
    /// Shares the places of a session out anew (调整配额).
    SetQuotas = 11 "set_quotas" Command;
    /// Moves an appointment to other places (改约).
    Reschedule = 12 "reschedule" Command;
    /// Closes slots of a session, or opens them again (停诊).
    BlockSession = 13 "block_session" Command;
    /// Puts another resource into a session (替诊).
    Substitute = 14 "substitute" Command;
    /// Adds a place for one patient (加号).
    AddPlace = 15 "add_place" Command;
    /// Joins the waitlists of sessions that are full (加入候补).
    JoinWaitlist = 16 "join_waitlist" Command;
    /// Leaves them (退出候补).
    LeaveWaitlist = 17 "leave_waitlist" Command;
    /// Gives the value of a draw's public beacon (摇号).
    RevealDraw = 18 "reveal_draw" Command;
    /// Calls the next patient of a session's queue (叫号).
    CallNext = 19 "call_next" Command;
    /// Puts rules in force from an instant on (规则生效).
    ApplyRules = 20 "apply_rules" Command;
    /// Restricts a patient by hand (限制预约).
    Restrict = 21 "restrict" Command;
    /// Lifts, suspends or resumes a restriction, or decides an appeal (解除, 暂停, 裁定).
    Amend = 22 "amend" Command;
    /// Appeals against a restriction (申诉).
    Appeal = 23 "appeal" Command;
    /// Says that two keys are of one person (密钥轮换).
    MergePatients = 24 "merge_patients" Command;
    /// Moves the deadline of a hold to that of a payment order (支付订单).
    Order = 25 "order" Command;
    /// Books a hold with a payment of a kind, also when the hold is over (支付).
    Pay = 26 "pay" Command;
    /// Says that money was given back (退费).
    Refund = 27 "refund" Command;
    /// Names the patient of a hold that an account has (选择就诊人).
    NamePatient = 28 "name_patient" Command;
    /// Lists what is owed back, or the payments of one appointment (退费清单).
    ReadBills = 29 "read_bills" Query;
    /// Reads the free places of a session (余号).
    Availability = 32 "availability" Query;
    /// Reads one appointment.
    Get = 33 "get" Query;
    /// Lists the live appointments of a patient.
    List = 34 "list" Query;
    /// Reads a session with its terms and what is taken.
    ReadSession = 35 "read_session" Query;
    /// Lists the nearest places that an appointment could take instead.
    Alternatives = 36 "alternatives" Query;
    /// Reads how long the waitlist of a session is, and where a patient stands in it.
    Waitlist = 37 "waitlist" Query;
    /// Lists displaced appointments that have no other places yet.
    Displaced = 40 "displaced" Query;
    /// Reads the queue of a session in the order of its calls (候诊队列).
    CallOrder = 38 "call_order" Query;
    /// Reads where a draw stands: its commitment, its entries, what was revealed.
    Draw = 39 "draw" Query;
    /// Reads the rules in force.
    ReadRules = 41 "read_rules" Query;
    /// Reads what is kept of how a patient behaved (爽约与限制记录).
    ReadRecord = 42 "read_record" Query;
    /// Tells why something is as it is (说明).
    Explain = 43 "explain" Query;
    /// Reads where a patient's restrictions stand, and what was done about them (限制状态).
    ReadStanding = 44 "read_standing" Query;
    /// Subscribes to facts.
    Watch = 48 "watch" Push;
    /// Fetches a snapshot, to start watching from.
    Snapshot = 49 "snapshot" Push;
    /// Reads the node's clock.
    Clock = 64 "clock" Query;
    /// Says that the machine's clock is right, after it jumped.
    ConfirmClock = 65 "confirm_clock" Query;
}

impl Operation {
    /// The position in [`Self::ALL`].
    pub const fn position(self) -> usize {
        POSITIONS[self as usize] as usize
    }
}

/// The position of every code, made at compile time.
#[expect(clippy::cast_possible_truncation, reason = "there are fewer than 256 operations")]
const POSITIONS: [u8; 256] = {
    let mut positions = [0; 256];
    let mut position = 0;
    while position < Operation::ALL.len() {
        positions[Operation::ALL[position] as usize] = position as u8;
        position += 1;
    }
    positions
};

/// Who may do what. `docs/protocol.md` shows the same table; a test reads every cell of both.
///
/// ```text
///                 gateway counter practitioner admin auditor observer replica
/// open_session                                 x
/// open_with_terms                              x
/// set_quotas                                   x
/// reschedule      x       x       x            x
/// block_session                   x            x
/// substitute                                   x
/// add_place                       x
/// hold            x       x       x
/// book            x       x       x
/// release         x       x       x
/// cancel          x       x       x            x
/// arrive                  x       x
/// check_in        x       x       x
/// fulfil                          x
/// no_show                 x       x
/// join_waitlist   x       x       x
/// leave_waitlist  x       x       x
/// reveal_draw                                  x
/// call_next               x       x
/// apply_rules                                  x
/// restrict                        x            x
/// amend                           x            x
/// appeal          x       x       x            x
/// merge_patients                               x
/// order           x       x       x
/// pay             x       x       x
/// refund          x       x                    x
/// name_patient    x       x       x
/// read_bills      x       x                    x     x
/// availability    x       x       x            x     x       x        x
/// get             x       x       x            x     x
/// list            x       x       x            x     x
/// read_session    x       x       x            x     x
/// alternatives    x       x       x            x     x
/// waitlist        x       x       x            x     x
/// displaced               x       x            x     x
/// call_order      x       x       x            x     x
/// draw            x       x       x            x     x       x
/// read_rules      x       x       x            x     x       x
/// read_record     x       x       x            x     x
/// explain         x       x       x            x     x
/// read_standing   x       x       x            x     x
/// watch                                        x     x                x
/// snapshot                                     x     x                x
/// clock                                        x     x       x
/// confirm_clock                                x
/// ```
pub const fn permits(role: Role, operation: Operation) -> bool {
    use Operation as O;
    use Role as R;
    match operation {
        O::OpenSession
        | O::OpenWithTerms
        | O::ApplyRules
        | O::MergePatients
        | O::SetQuotas
        | O::Substitute
        | O::RevealDraw
        | O::ConfirmClock => {
            matches!(role, R::Admin)
        }
        O::Cancel | O::Reschedule | O::Appeal => {
            matches!(role, R::Gateway | R::Counter | R::Practitioner | R::Admin)
        }
        O::Hold
        | O::Book
        | O::Release
        | O::JoinWaitlist
        | O::LeaveWaitlist
        | O::Order
        | O::Pay
        | O::NamePatient => {
            matches!(role, R::Gateway | R::Counter | R::Practitioner)
        }
        O::Refund => matches!(role, R::Gateway | R::Counter | R::Admin),
        O::ReadBills => matches!(role, R::Gateway | R::Counter | R::Admin | R::Auditor),
        O::CheckIn => matches!(role, R::Gateway | R::Counter | R::Practitioner),
        O::Arrive | O::NoShow | O::CallNext => matches!(role, R::Counter | R::Practitioner),
        O::Fulfil | O::AddPlace => matches!(role, R::Practitioner),
        O::BlockSession | O::Restrict | O::Amend => matches!(role, R::Practitioner | R::Admin),
        O::Displaced => {
            matches!(role, R::Counter | R::Practitioner | R::Admin | R::Auditor)
        }
        O::Availability => true,
        O::Get
        | O::List
        | O::ReadSession
        | O::Alternatives
        | O::Waitlist
        | O::ReadRecord
        | O::Explain
        | O::ReadStanding
        | O::CallOrder => !matches!(role, R::Observer | R::Replica),
        O::Draw | O::ReadRules => !matches!(role, R::Replica),
        O::Watch | O::Snapshot => matches!(role, R::Admin | R::Auditor | R::Replica),
        O::Clock => matches!(role, R::Admin | R::Auditor | R::Observer),
    }
}
