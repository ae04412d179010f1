//! A region to measure on: sessions with 40 slots each in an inventory without disk and network.
//!
//! ```text
//! Clinic: inventory <- hold, book, cancel ... -> facts -> encoded, and forgotten
//! ```
//!
//! **Architecture invariant:** everything comes from fixed seeds; nothing here reads a clock.
#![allow(dead_code, reason = "each benchmark takes what it needs")]

pub(crate) mod steps;

use std::sync::atomic::{AtomicU64, Ordering};

use haoyuan::codec::encode_facts;
use haoyuan::engine::Context;
use haoyuan::inventory::Inventory;
use haoyuan::model::{
    Action, Actor, ApplyRules, AppointmentId, Begins, BookingLimit, CancelRule, Change, ChannelSet,
    CivilTime, ClaimRequest, ClassSet, Consequence, Counts, DayOf, Deadline, DepartmentId, Facts,
    Hold, Holder, HolderRule, LateCancel, LatePayment, LimitKey, LimitScope, NoShowRule,
    OpenSession, OrganizationId, PatientId, PaymentMode, PaymentRef, PaymentRule, Period, Pick,
    Pool, PoolTerms, Repeat, RequestId, Role, RuleLayer, RuleMode, RuleScope, Rules, ScopeKind,
    Sequence, Session, SessionId, SessionTerms, Sharing, SlotChoice, SlotIndex, Term, Tier,
    Timestamp, Ttl, Window,
};

/// When everything happens.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// Slots of a session.
pub(crate) const SLOTS: u16 = 40;

/// Keeps what is appended, for who wants to let it happen again.
pub(crate) type Kept = parking_lot::Mutex<Vec<Facts>>;

/// An inventory, and who asks it.
pub(crate) struct Clinic {
    pub(crate) inventory: Inventory,
    pub(crate) actor: Actor,
    sequence: AtomicU64,
    pub(crate) sessions: u64,
    kept: Option<Kept>,
}

impl Clinic {
    /// So many sessions with so many places in each slot.
    pub(crate) fn new(sessions: u64, places: u16) -> Self {
        let clinic = Self {
            inventory: Inventory::new(7, 86_400_000),
            actor: Actor::unbounded(Role::Admin),
            sequence: AtomicU64::new(0),
            sessions,
            kept: None,
        };
        for id in 0..sessions {
            let request = RequestId::from_parts(NOW, u128::from(id) << 8 | 1 << 70);
            let open = OpenSession { request, session: session(SessionId(id), places) };
            let answer =
                clinic.inventory.open(&clinic.context(), &open, |facts| clinic.append(facts));
            assert!(answer.result.is_ok());
        }
        clinic
    }

    /// The same under 42 layers that together say every key, for hospitals and departments that the
    /// sessions are of, and for others.
    pub(crate) fn under_rules(self) -> Self {
        let tier = Tier {
            count: 3,
            consequence: Consequence::Refuse { but: ChannelSet(0) },
            term: Term::Months(3),
        };
        let rule = NoShowRule {
            within: ScopeKind::Region,
            window: Window::Year,
            begins: Begins::NextDay,
            is_used_up: false,
            is_once: false,
            mode: RuleMode::Enforce,
            tiers: std::iter::once(tier).collect(),
        };
        let scope = |index: u32| match index {
            0 => RuleScope::Region,
            _ if index < 28 => RuleScope::Organization(OrganizationId(index)),
            _ => RuleScope::Department(OrganizationId(1), DepartmentId(index - 27)),
        };
        // Four limits for everybody, as the platform P6 of docs/policies.md has them, and one nearer.
        let limit = |within, period, counts, most| {
            let key = LimitKey { within, period, by: DayOf::Visit, counts };
            BookingLimit { key, most, mode: RuleMode::Enforce }
        };
        let limits = |index: u32| match index {
            0 => vec![
                limit(LimitScope::Department, Period::Day, Counts::Live, 1),
                limit(LimitScope::Region, Period::Day, Counts::Live, 2),
                limit(LimitScope::Region, Period::Days(7), Counts::All, 3),
                limit(LimitScope::Region, Period::Months(3), Counts::All, 5),
            ],
            _ if index % 8 == 1 => {
                vec![limit(LimitScope::Department, Period::Day, Counts::Live, 2)]
            }
            _ => Vec::new(),
        };
        let layers = (0..42).map(|index| RuleLayer {
            scope: scope(index),
            no_show: Some(rule.clone()),
            limits: limits(index),
            cancel: (index % 8 < 2).then(|| CancelRule {
                until: Deadline::Minutes(30),
                later: ChannelSet(0),
                late: LateCancel::Refuse,
                mode: RuleMode::Enforce,
            }),
            payment: (index % 8 < 2).then_some(PaymentRule {
                by: PaymentMode::AtPickUp,
                channels: ChannelSet::ALL,
                late: LatePayment::Refund,
                order: None,
                mode: RuleMode::Enforce,
            }),
            holder: (index % 8 < 2).then_some(HolderRule { by: Holder::Patient, limit: 1 }),
            ..RuleLayer::default()
        });
        let rules = Rules { from: NOW, layers: layers.collect(), ..Rules::none() };
        let rules = Rules { civil: CivilTime::default(), ..rules };
        let apply = ApplyRules { request: RequestId::from_parts(NOW, 1 << 71), rules };
        let context = Context::new(NOW.minus_millis(60_000), &self.actor);
        let answer = self.inventory.apply_rules(&context, &apply, |facts| self.append(facts));
        assert!(answer.result.is_ok());
        self
    }

    /// Keeps from now on what happens.
    pub(crate) fn keeping(mut self) -> Self {
        self.kept = Some(Kept::default());
        self
    }

    /// What was kept.
    pub(crate) fn kept(&self) -> Vec<Facts> {
        self.kept.as_ref().map(|kept| kept.lock().clone()).unwrap_or_default()
    }

    /// Holds a place of any session, or of one. Whether there was one.
    pub(crate) fn hold(&self, random: &mut u64, session: Option<u64>) -> Option<Hold> {
        let hold = self.request(random, session);
        let answer = self.inventory.hold(&self.context(), &hold, |facts| self.append(facts));
        answer.result.is_ok().then_some(hold)
    }

    /// Carries out an action on an appointment that was held.
    pub(crate) fn act(&self, hold: &Hold, number: u128, action: Action) {
        let change = change(hold, number, action);
        let answer = self.inventory.change(&self.context(), &change, |facts| self.append(facts));
        assert!(answer.result.is_ok(), "{answer:?}");
    }

    /// A hold that nobody made before, by one of ten million patients.
    pub(crate) fn request(&self, random: &mut u64, session: Option<u64>) -> Hold {
        let session = session.unwrap_or_else(|| next(random) % self.sessions);
        let slot = SlotIndex(u16::try_from(next(random) % u64::from(SLOTS)).unwrap_or(0));
        let id = u128::from(next(random)) << 64 | u128::from(next(random));
        let patient = PatientId(u128::from(next(random) % 10_000_000) << 64 | 0xabc);
        let claim = ClaimRequest {
            session: SessionId(session),
            count: 1,
            slots: if self.sessions == 1 { SlotChoice::Any } else { SlotChoice::at(slot) },
        };
        Hold::of(AppointmentId(RequestId::from_parts(NOW, id).0), patient, [claim])
    }

    /// Encodes facts as a journal does, and forgets them unless they are kept.
    pub(crate) fn append(&self, facts: &Facts) -> Sequence {
        thread_local! { static BUFFER: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) } }
        BUFFER.with_borrow_mut(|buffer| {
            buffer.clear();
            encode_facts(facts, buffer);
            std::hint::black_box(buffer.len());
        });
        if let Some(kept) = &self.kept {
            kept.lock().push(facts.clone());
        }
        Sequence(self.sequence.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Now, and everything allowed.
    pub(crate) fn context(&self) -> Context<'_> {
        Context::new(NOW, &self.actor)
    }
}

/// A change of an appointment; `number` tells the requests about one apart.
pub(crate) fn change(hold: &Hold, number: u128, action: Action) -> Change {
    Change {
        request: RequestId(hold.appointment.0 ^ number << 20),
        appointment: hold.appointment,
        patient: hold.patient,
        channel: hold.channel,
        action,
    }
}

/// The booking of a hold.
pub(crate) const BOOK: Action = Action::Book { payment: PaymentRef(1) };

/// A session of tomorrow.
pub(crate) fn session(id: SessionId, places: u16) -> Session {
    Session {
        id,
        organization: OrganizationId(1),
        site: haoyuan::model::SiteId(1),
        department: DepartmentId(1),
        resource: haoyuan::model::ResourceId(id.0),
        appointment_type: 0,
        start: NOW.plus_millis(86_400_000),
        slot_millis: 600_000,
        pick: Pick::Earliest,
        repeat: Repeat::OnePerPatient,
        sharing: Sharing::Cancel,
        ttl_max: Ttl::DEFAULT,
        terms: SessionTerms::default(),
        pools: vec![Pool {
            channels: ChannelSet::ALL,
            classes: ClassSet::ALL,
            quotas: vec![places; usize::from(SLOTS)],
            terms: PoolTerms::default(),
        }],
    }
}

/// Whether the command line wants a measurement: all where it names none. Numbers and flags are no names.
pub(crate) fn is_wanted(name: &str) -> bool {
    let is_name = |word: &String| word.parse::<u64>().is_err() && !word.starts_with("--");
    let mut names = std::env::args().skip(1).filter(is_name).peekable();
    names.peek().is_none() || names.any(|part| name.contains(&part))
}

/// By how much a run is shorter than it might be: a number on the command line.
pub(crate) fn divisor() -> u64 {
    std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(1)
}

/// Splitmix64: a benchmark owns its randomness.
pub(crate) fn next(random: &mut u64) -> u64 {
    *random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut word = *random;
    word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}
