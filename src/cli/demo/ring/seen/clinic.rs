//! One clinic of the journal: its places, who has them, who waits, who freed what.
//!
//! **Architecture invariant:** a place is counted where a fact takes it, and asked of nothing else.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::cli::demo::table;
use crate::model::{AppointmentId, Session, SlotIndex, Timestamp};

/// What the clinics of a part came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::cli::demo::ring) struct Count {
    pub(in crate::cli::demo::ring) clinics: u32,
    pub(in crate::cli::demo::ring) places: u32,
    /// Booked at the end: by people, and by the ring.
    pub(in crate::cli::demo::ring) booked: [u32; 2],
    pub(in crate::cli::demo::ring) entries: [u32; 2],
    /// What even lots over the entries would have given the ring.
    pub(in crate::cli::demo::ring) ring_expected: f64,
    /// Places that were drawn, and that should have been.
    pub(in crate::cli::demo::ring) drawn: u32,
    pub(in crate::cli::demo::ring) to_draw: u32,
    /// Places that the ring gave up and took again by asking.
    pub(in crate::cli::demo::ring) handovers: u32,
    /// Of them those for which somebody waited.
    pub(in crate::cli::demo::ring) handovers_past: u32,
    pub(in crate::cli::demo::ring) oversold: u32,
    /// Places and entries before the opening, winners before the close.
    pub(in crate::cli::demo::ring) early: u32,
    /// Second places and entries of somebody in one clinic.
    pub(in crate::cli::demo::ring) second: u32,
}

/// What happened in one clinic.
#[derive(Debug, Default)]
pub(super) struct Clinic {
    pub(super) opens: Timestamp,
    closes: Timestamp,
    places: BTreeMap<SlotIndex, u32>,
    pub(super) taken: BTreeMap<SlotIndex, u32>,
    /// Whose, and where; an entry of a draw is nowhere yet.
    pub(super) live: BTreeMap<AppointmentId, Live>,
    pub(super) entered: BTreeSet<u32>,
    pub(super) waiting: BTreeSet<u32>,
    /// Who cancelled the places of a slot that nobody took since; nobody, where they were not cancelled. They
    /// are alike: what is freed first counts as taken first.
    pub(super) freed: BTreeMap<SlotIndex, VecDeque<Option<u32>>>,
    pub(super) count: Count,
}

/// An appointment that is not over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Live {
    pub(super) person: u32,
    pub(super) slot: Option<SlotIndex>,
    pub(super) is_booked: bool,
}

impl Clinic {
    pub(super) fn of(session: &Session) -> Self {
        let mut clinic = Self::default();
        for pool in &session.pools {
            clinic.opens = pool.terms.opens;
            clinic.closes = pool.terms.draw.map_or(clinic.opens, |draw| draw.closes);
            for (slot, quota) in (0..).map(SlotIndex).zip(&pool.quotas) {
                *clinic.places.entry(slot).or_default() += u32::from(*quota);
            }
        }
        clinic
    }

    pub(super) fn take(&mut self, slot: SlotIndex) {
        let taken = self.taken.entry(slot).or_default();
        *taken += 1;
        let places = self.places.get(&slot).copied().unwrap_or_default();
        self.count.oversold += u32::from(places < *taken);
    }

    pub(super) fn win(&mut self, time: Timestamp, id: AppointmentId, slot: SlotIndex) {
        self.count.early += u32::from(time < self.closes);
        self.count.drawn += 1;
        if let Some(live) = self.live.get_mut(&id) {
            live.slot = Some(slot);
        }
        self.take(slot);
    }

    /// Who cancelled the place that is taken now, if anybody did.
    pub(super) fn last_freed(&mut self, slot: SlotIndex) -> Option<u32> {
        self.freed.get_mut(&slot)?.pop_front()?
    }

    /// The count of a clinic to which nothing happens any more.
    pub(super) fn closed(&self, first_of_ring: u32) -> Count {
        let booked = |ring: bool| {
            let live = self.live.values().filter(|live| live.is_booked);
            table::count(live.filter(|it| (first_of_ring <= it.person) == ring).count())
        };
        let places: u32 = self.places.values().sum();
        let [people, ring] = self.count.entries;
        let entries = people + ring;
        let to_draw = places.min(entries);
        Count {
            clinics: 1,
            places,
            booked: [booked(false), booked(true)],
            ring_expected: f64::from(places) * f64::from(ring) / f64::from(entries.max(1)),
            to_draw,
            ..self.count
        }
    }
}

impl Count {
    pub(super) fn plus(mut self, other: &Self) -> Self {
        let pairs = [
            (&mut self.clinics, other.clinics),
            (&mut self.places, other.places),
            (&mut self.drawn, other.drawn),
            (&mut self.to_draw, other.to_draw),
            (&mut self.handovers, other.handovers),
            (&mut self.handovers_past, other.handovers_past),
            (&mut self.oversold, other.oversold),
            (&mut self.early, other.early),
            (&mut self.second, other.second),
        ];
        for (sum, more) in pairs {
            *sum += more;
        }
        for side in 0..2 {
            self.booked[side] += other.booked[side];
            self.entries[side] += other.entries[side];
        }
        self.ring_expected += other.ring_expected;
        self
    }

    pub(in crate::cli::demo::ring) fn booked_of_all(&self) -> u32 {
        self.booked.iter().sum()
    }
}
