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
