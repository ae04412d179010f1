//! Who asks: the role, organizations and channels of a client certificate, and what they permit.

use arrayvec::ArrayVec;

use super::id::OrganizationId;
use super::limits::{ACTOR_ORGANIZATIONS_MAX, CHANNELS_MAX};

/// Where a request comes from (渠道): 窗口, 自助机, APP, 公众号, 平台 … A number below
/// [`CHANNELS_MAX`]; the configuration names them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BookingChannel(u8);

impl BookingChannel {
    /// A channel, if the number is below [`CHANNELS_MAX`].
    pub const fn new(number: u8) -> Option<Self> {
        if number < CHANNELS_MAX { Some(Self(number)) } else { None }
    }

    /// The number of the channel.
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// A set of channels, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChannelSet(pub u64);

impl ChannelSet {
    /// Every channel.
    pub const ALL: Self = Self(u64::MAX);

    /// Whether the channel is in the set.
    pub const fn contains(self, channel: BookingChannel) -> bool {
        self.0 >> channel.0 & 1 == 1
    }

    /// The set with one more channel.
    #[must_use]
    pub const fn with(self, channel: BookingChannel) -> Self {
        Self(self.0 | 1 << channel.0)
    }
}

/// What a client may be. One role per certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Role {
    /// An app's or platform's server, which acts for patients.
    Gateway = 1,
    /// Staff at a window or nurse station.
    Counter = 2,
    /// A practitioner's desk.
    Practitioner = 3,
    /// Who opens sessions and changes rules for the named organizations.
    Admin = 4,
    /// Reads everything, changes nothing.
    Auditor = 5,
    /// Sees places, not people: displays and dashboards.
    Observer = 6,
    /// Another node that copies the journal.
    Replica = 7,
}

impl Role {
    /// Every role, in the order of the documentation.
    pub const ALL: [Self; 7] = [
        Self::Gateway,
        Self::Counter,
        Self::Practitioner,
        Self::Admin,
        Self::Auditor,
        Self::Observer,
        Self::Replica,
    ];

    /// The name in certificates, configuration and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Counter => "counter",
            Self::Practitioner => "practitioner",
            Self::Admin => "admin",
            Self::Auditor => "auditor",
            Self::Observer => "observer",
            Self::Replica => "replica",
        }
    }

    /// The role of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// What a client may ask. The number is the operation code of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Operation {
    /// Opens a session (放号).
    OpenSession = 1,
    /// Holds places (锁号), or books them at once.
    Hold = 2,
    /// Confirms a hold (确认预约).
    Book = 3,
    /// Gives up a hold (释放号源).
    Release = 4,
    /// Ends a booked appointment (退号).
    Cancel = 5,
    /// Records that the patient has come (到院).
    Arrive = 6,
    /// Records the check-in (签到, 取号).
    CheckIn = 7,
    /// Records that the visit took place (完成).
    Fulfil = 8,
    /// Records that the patient did not come (爽约).
    NoShow = 9,
    /// Reads the free places of a session (余号).
    Availability = 32,
    /// Reads one appointment.
    Get = 33,
    /// Lists the live appointments of a patient.
    List = 34,
    /// Subscribes to facts.
    Watch = 48,
    /// Fetches a snapshot, to start watching from.
    Snapshot = 49,
    /// Reads the node's clock.
    Clock = 64,
    /// Says that the machine's clock is right, after it jumped.
    ConfirmClock = 65,
}

impl Operation {
    /// Every operation, in the order of the documentation.
    pub const ALL: [Self; 16] = [
        Self::OpenSession,
        Self::Hold,
        Self::Book,
        Self::Release,
        Self::Cancel,
        Self::Arrive,
        Self::CheckIn,
        Self::Fulfil,
        Self::NoShow,
        Self::Availability,
        Self::Get,
        Self::List,
        Self::Watch,
        Self::Snapshot,
        Self::Clock,
        Self::ConfirmClock,
    ];

    /// The operation with that code.
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::OpenSession,
            2 => Self::Hold,
            3 => Self::Book,
            4 => Self::Release,
            5 => Self::Cancel,
            6 => Self::Arrive,
            7 => Self::CheckIn,
            8 => Self::Fulfil,
            9 => Self::NoShow,
            32 => Self::Availability,
            33 => Self::Get,
            34 => Self::List,
            48 => Self::Watch,
            49 => Self::Snapshot,
            64 => Self::Clock,
            65 => Self::ConfirmClock,
            _ => return None,
        })
    }

    /// The position in [`Self::ALL`].
    pub const fn position(self) -> usize {
        match self {
            Self::OpenSession => 0,
            Self::Hold => 1,
            Self::Book => 2,
            Self::Release => 3,
            Self::Cancel => 4,
            Self::Arrive => 5,
            Self::CheckIn => 6,
            Self::Fulfil => 7,
            Self::NoShow => 8,
            Self::Availability => 9,
            Self::Get => 10,
            Self::List => 11,
            Self::Watch => 12,
            Self::Snapshot => 13,
            Self::Clock => 14,
            Self::ConfirmClock => 15,
        }
    }

    /// The name in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenSession => "open_session",
            Self::Hold => "hold",
            Self::Book => "book",
            Self::Release => "release",
            Self::Cancel => "cancel",
            Self::Arrive => "arrive",
            Self::CheckIn => "check_in",
            Self::Fulfil => "fulfil",
            Self::NoShow => "no_show",
            Self::Availability => "availability",
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Snapshot => "snapshot",
            Self::Clock => "clock",
            Self::ConfirmClock => "confirm_clock",
        }
    }
}

/// Who may do what. `docs/protocol.md` shows the same table; a test reads every cell of both.
///
/// ```text
///               gateway counter practitioner admin auditor observer replica
/// open_session                               x
/// hold          x       x       x
/// book          x       x       x
/// release       x       x       x
/// cancel        x       x       x            x
/// arrive                x       x
/// check_in      x       x       x
/// fulfil                        x
/// no_show               x       x
/// availability  x       x       x            x     x       x        x
/// get           x       x       x            x     x
/// list          x       x       x            x     x
/// watch                                      x     x                x
/// snapshot                                   x     x                x
/// clock                                      x     x       x
/// confirm_clock                              x
/// ```
pub const fn permits(role: Role, operation: Operation) -> bool {
    use Operation as O;
    use Role as R;
    match operation {
        O::OpenSession | O::ConfirmClock => matches!(role, R::Admin),
        O::Hold | O::Book | O::Release => matches!(role, R::Gateway | R::Counter | R::Practitioner),
        O::Cancel => matches!(role, R::Gateway | R::Counter | R::Practitioner | R::Admin),
        O::CheckIn => matches!(role, R::Gateway | R::Counter | R::Practitioner),
        O::Arrive | O::NoShow => matches!(role, R::Counter | R::Practitioner),
        O::Fulfil => matches!(role, R::Practitioner),
        O::Availability => true,
        O::Get | O::List => !matches!(role, R::Observer | R::Replica),
        O::Watch | O::Snapshot => matches!(role, R::Admin | R::Auditor | R::Replica),
        O::Clock => matches!(role, R::Admin | R::Auditor | R::Observer),
    }
}

/// The organizations that an actor may touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Organizations {
    /// Every organization of the node.
    All,
    /// Only these.
    Only(ArrayVec<OrganizationId, ACTOR_ORGANIZATIONS_MAX>),
}

/// Who asks: what a client certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// What the client is.
    pub role: Role,
    /// Whose sessions and appointments it may touch.
    pub organizations: Organizations,
    /// The channels that it may name as a request's origin.
    pub channels: ChannelSet,
}

impl Actor {
    /// An actor of a role without further bounds: the node's own tools, and tests.
    pub const fn unbounded(role: Role) -> Self {
        Self { role, organizations: Organizations::All, channels: ChannelSet::ALL }
    }

    /// Whether the actor may touch what belongs to the organization.
    pub fn may_touch(&self, organization: OrganizationId) -> bool {
        match &self.organizations {
            Organizations::All => true,
            Organizations::Only(list) => list.contains(&organization),
        }
    }
}
