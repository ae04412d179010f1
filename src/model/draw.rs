//! A fair draw (公平摇号): its terms, its entries, and the values that are published.
//!
//! ```text
//! opens ===== entries ===== closes -> [beacon] -> revealed -> each entry, by rank: won or lost
//! commitment published              seed published
//! ```
//!
//! **Architecture invariant:** nothing here draws or hashes; `draw` does. These are the values that
//! facts, the wire and a published file share.

use std::fmt;

use arrayvec::ArrayVec;

use super::actor::BookingChannel;
use super::appointment::{Cause, Claim, PatientClass};
use super::fingerprint::Fingerprint;
use super::id::{AccountId, RulesVersion, SlotIndex};
use super::id::{AppointmentId, OrganizationId, PatientId, PoolIndex, RequestId, SessionId};
use super::limits::{BEACON_BYTES_MAX, RANKED_SLOTS_MAX};
use super::operation::Operation;
use super::session::Sharing;
use super::time::{Timestamp, Ttl};

/// Which draw: it follows from the session and the pool that is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DrawId {
    /// The session.
    pub session: SessionId,
    /// The pool whose places are drawn.
    pub pool: PoolIndex,
}

/// A value of 32 bytes that is published: a commitment or a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DrawHash(pub [u8; 32]);

/// What the ranks of a draw come from. Secret until it is revealed: it shows nothing of itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub [u8; 32]);

/// Who an entrant is in one draw and nowhere else: a keyed hash of draw and patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pseudonym(pub [u8; 16]);

/// That a pool's places are drawn, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// When entries end. They begin when the pool opens.
    pub closes: Timestamp,
    /// Slots that an entry may rank, 1 to 8.
    pub preferences_max: u8,
    /// How long a winner's hold lasts.
    pub ttl: Ttl,
    /// The public value that is mixed in, if one is named.
    pub beacon: Option<Beacon>,
    /// What the node is bound to. `None` in a request: the node that opens the session fills it in.
    pub commitment: Option<DrawHash>,
}

/// A public value that nobody knows before the close (公开随机信标), named before the opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beacon {
    /// SHA-256 of its name: which source, which round.
    pub name: DrawHash,
    /// When the draw goes on without it.
    pub until: Timestamp,
}

/// What an entrant wishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawChoice {
    /// As what the patient comes.
    pub class: PatientClass,
    /// Consecutive slots.
    pub count: u8,
    /// First slots, best first. None: any.
    pub slots: ArrayVec<SlotIndex, RANKED_SLOTS_MAX>,
}

/// An entry as it is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawEntry {
    /// Whose it is.
    pub pseudonym: Pseudonym,
    /// What is wished.
    pub choice: DrawChoice,
}

/// Gives the value of a draw's beacon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevealDraw {
    /// The id of the request.
    pub request: RequestId,
    /// Which draw.
    pub draw: DrawId,
    /// The value, as its source published it: 1 to 128 printable ASCII characters.
    pub beacon: String,
}

/// See [`Fact::Entered`](super::Fact::Entered).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entered {
    /// The appointment, new, and on the waitlist of the draw.
    pub appointment: AppointmentId,
    /// Who is to be seen.
    pub patient: PatientId,
    /// Who asked, if it was said.
    pub account: Option<AccountId>,
    /// Whose session it is.
    pub organization: OrganizationId,
    /// Through which channel.
    pub channel: BookingChannel,
    /// What other channels may do.
    pub sharing: Sharing,
    /// The close of the draw.
    pub until: Timestamp,
    /// The fingerprint of the request.
    pub fingerprint: u64,
    /// The rules that it was decided under.
    pub rules: RulesVersion,
    /// Which draw.
    pub draw: DrawId,
    /// The entry.
    pub entry: DrawEntry,
}

/// See [`Fact::EntryEnded`](super::Fact::EntryEnded).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryEnded {
    /// The request that did it, with its fingerprint. None if the draw did.
    pub request: Option<(RequestId, u64)>,
    /// Which draw.
    pub draw: DrawId,
    /// Which appointment.
    pub appointment: AppointmentId,
    /// Whose.
    pub patient: PatientId,
    /// `Released` or `NotDrawn`.
    pub cause: Cause,
}

/// See [`Fact::BeaconGiven`](super::Fact::BeaconGiven).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BeaconGiven {
    /// The request that did it.
    pub request: RequestId,
    /// Its fingerprint.
    pub fingerprint: u64,
    /// Which draw.
    pub draw: DrawId,
    /// The value.
    pub beacon: String,
}

/// See [`Fact::DrawRevealed`](super::Fact::DrawRevealed).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawRevealed {
    /// Which draw.
    pub draw: DrawId,
    /// The seed: from here on everybody may know it.
    pub seed: Seed,
    /// The beacon's value, where it was given in time.
    pub beacon: Option<String>,
    /// How many entries there are.
    pub entries: u32,
    /// A digest of all entries in canonical order.
    pub entries_digest: DrawHash,
    /// The places that are drawn, slot by slot.
    pub places: Vec<u16>,
    /// How many entries win.
    pub winners: u32,
    /// A digest of who gets what, by rank.
    pub result_digest: DrawHash,
}

/// See [`Fact::DrawWon`](super::Fact::DrawWon).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrawWon {
    /// Which appointment.
    pub appointment: AppointmentId,
    /// The deadline of its hold.
    pub until: Timestamp,
    /// The places.
    pub claim: Claim,
}

/// Where a draw stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawReading {
    /// Which draw.
    pub draw: DrawId,
    /// When entries begin.
    pub opens: Timestamp,
    /// Its terms, with the commitment.
    pub terms: Draw,
    /// Entries that wait.
    pub waiting: u32,
    /// The value of the beacon, where it was given.
    pub beacon: Option<String>,
    /// What was revealed.
    pub revealed: Option<DrawRevealed>,
    /// The receipt of the appointment that was asked for, while its entry waits.
    pub receipt: Option<DrawHash>,
}

impl DrawWon {
    /// Which draw.
    pub const fn draw(&self) -> DrawId {
        DrawId { session: self.claim.session, pool: self.claim.pool }
    }
}

impl DrawChoice {
    /// The claim that a waiting entry stands for: what is wished most. It takes no place.
    pub fn claim(&self, DrawId { session, pool }: DrawId) -> Claim {
        let slot = self.slots.first().copied().unwrap_or_default();
        Claim { session, slot, count: self.count, pool }
    }
}

impl Draw {
    /// When the draw can be made: at the close, or as soon after it as the beacon is settled.
    pub const fn due(&self, has_beacon: bool) -> Timestamp {
        match self.beacon {
            Some(beacon) if !has_beacon => beacon.until,
            _ => self.closes,
        }
    }

    pub(super) fn fingerprint(&self, print: &mut Fingerprint) {
        print.add(self.closes.as_millis());
        print.add(u64::from(self.preferences_max) << 32 | u64::from(self.ttl.as_millis()));
        let Some(Beacon { name, until }) = self.beacon else { return };
        print.add(until.as_millis());
        add_bytes(print, &name.0);
    }
}

impl RevealDraw {
    /// A hash of everything but the id of the request.
    pub fn fingerprint(&self) -> u64 {
        let mut print = Fingerprint::new(Operation::RevealDraw as u64);
        print.add(self.draw.session.0).add(u64::from(self.draw.pool.0));
        print.add(self.beacon.len() as u64);
        add_bytes(&mut print, self.beacon.as_bytes());
        print.finish()
    }

    /// Whether the value can stand in a published file.
    pub fn is_sound(&self) -> bool {
        let printable = self.beacon.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
        printable && (1..=BEACON_BYTES_MAX).contains(&self.beacon.len())
    }
}

fn add_bytes(print: &mut Fingerprint, bytes: &[u8]) {
    for chunk in bytes.chunks(8) {
        let word = chunk.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        print.add(word);
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Seed(..)")
    }
}

impl fmt::Display for DrawId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.session.0, self.pool.0)
    }
}

impl std::str::FromStr for DrawId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = || {
            let (session, pool) = text.split_once('.')?;
            let id = Self {
                session: SessionId(session.parse().ok()?),
                pool: PoolIndex(pool.parse().ok()?),
            };
            (id.to_string() == text).then_some(id)
        };
        parsed().ok_or("a draw is a session and a pool, as 1001.0")
    }
}
