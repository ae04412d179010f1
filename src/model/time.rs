//! Time as data. The engine never asks what time it is; it is told.

use super::limits::TTL_MILLIS_MAX;

/// Milliseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

/// How long a hold lasts (锁号时限), 1 ms to [`TTL_MILLIS_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ttl(u32);

impl Timestamp {
    /// The latest representable time.
    pub const MAX: Self = Self(u64::MAX);

    /// A timestamp from milliseconds since the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The end of a hold that starts now.
    #[must_use]
    pub const fn after(self, ttl: Ttl) -> Self {
        Self(self.0.saturating_add(ttl.0 as u64))
    }

    /// The instant `millis` later.
    #[must_use]
    pub const fn plus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// The instant `millis` earlier, not before the epoch.
    #[must_use]
    pub const fn minus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_sub(millis))
    }
}

impl Ttl {
    /// What a client gets that has no wish of its own: a quarter of an hour to fill in and pay.
    pub const DEFAULT: Self = Self(15 * 60 * 1_000);

    /// A time to live, if it is in range.
    pub const fn from_millis(millis: u32) -> Option<Self> {
        if 0 < millis && millis <= TTL_MILLIS_MAX { Some(Self(millis)) } else { None }
    }

    /// The length in milliseconds.
    pub const fn as_millis(self) -> u32 {
        self.0
    }
}
