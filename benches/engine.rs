//! The engine and the inventory without network and disk: nanoseconds per operation, one and two
//! threads, uniform and on one hot session. Fixed seeds; `cargo bench --bench engine -- [DIVISOR]`.
#![expect(clippy::print_stdout, reason = "a benchmark reports")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use haoyuan::codec::encode_facts;
use haoyuan::engine::Context;
use haoyuan::inventory::Inventory;
use haoyuan::model::{
    Action, Actor, ApplyRules, AppointmentId, Attributes, Begins, BookingChannel, BookingLimit,
    CancelRule, Change, ChannelSet, CivilTime, ClaimRequest, ClassSet, ClientKeys, Consequence,
    Counts, DayOf, Deadline, DepartmentId, Facts, Hold, Holder, HolderRule, LateCancel,
    LatePayment, LimitKey, LimitScope, NoShowRule, OpenSession, OrganizationId, PatientClass,
    PatientId, PaymentMode, PaymentRef, PaymentRule, Period, Pick, Pool, PoolTerms, Repeat,
    RequestId, Role, RuleLayer, RuleMode, RuleScope, Rules, ScopeKind, Sequence, Session,
    SessionId, SessionTerms, Sharing, SlotChoice, SlotIndex, Term, Tier, Timestamp, Ttl, Window,
};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const SLOTS: u16 = 40;

fn main() {
    let divisor = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(1);
    let sessions = 12_500;
    let places = 20;
    for threads in [1, 2] {
        let bench = Bench::new(sessions, places);
        let total = 2_000_000 / threads / divisor;
        bench.run("hold, uniform", threads, total, |bench, random| bench.hold(random, None));
        let bench = Bench::new(sessions, places).under_rules();
        bench.run("hold, under rules", threads, total, |bench, random| bench.hold(random, None));
        let bench = Bench::new(sessions, places);
        bench.run("hold + book", threads, total / 2, Bench::hold_and_book);
        let bench = Bench::new(1, 10_000);
        let hot = 380_000 / threads / divisor;
        bench.run("hold, one hot session", threads, hot, |bench, random| {
            bench.hold(random, Some(0));
        });
        let bench = Bench::new(sessions, 0);
        bench.run("sold out", threads, 4 * total, Bench::sold_out);
        let bench = Bench::new(sessions, places);
        bench.run("availability, 40 slots", threads, total, Bench::read);
    }
}

struct Bench {
    inventory: Inventory,
    actor: Actor,
    sequence: AtomicU64,
    sessions: u64,
}

impl Bench {
    fn new(sessions: u64, places: u16) -> Self {
        let bench = Self {
            inventory: Inventory::new(7, 86_400_000),
            actor: Actor::unbounded(Role::Admin),
            sequence: AtomicU64::new(0),
            sessions,
        };
        for id in 0..sessions {
            let request = RequestId::from_parts(NOW, u128::from(id) << 8 | 1 << 70);
            let open = OpenSession { request, session: session(SessionId(id), places) };
            let answer = bench.inventory.open(&bench.context(), &open, |facts| bench.append(facts));
            assert!(answer.result.is_ok());
        }
        bench
    }

    /// The same under 42 layers that together say every key, for hospitals and departments that the
    /// sessions are of, and for others.
    fn under_rules(self) -> Self {
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

    fn run(&self, name: &str, threads: u64, count: u64, step: impl Fn(&Self, &mut u64) + Sync) {
        if std::env::args().skip(1).all(|argument| !name.contains(&argument))
            && std::env::args().len() > 2
        {
            return;
        }
        let start = Instant::now();
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let step = &step;
                scope.spawn(move || {
                    let mut random = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(thread + 1);
                    (0..count).for_each(|_| step(self, &mut random));
                });
            }
        });
        let nanos = start.elapsed().as_nanos();
        let each = nanos / u128::from(count);
        let rate = u128::from(count * threads) * 1_000 / nanos.max(1);
        println!("{name:24} {threads} thread(s): {each:5} ns each, {rate:4} M/s together");
    }

    fn hold(&self, random: &mut u64, session: Option<u64>) {
        let hold = self.request(random, session);
        let answer = self.inventory.hold(&self.context(), &hold, |facts| self.append(facts));
        std::hint::black_box(answer.after);
    }

    fn hold_and_book(&self, random: &mut u64) {
        let hold = self.request(random, None);
        let answer = self.inventory.hold(&self.context(), &hold, |facts| self.append(facts));
        if answer.result.is_err() {
            return;
        }
        let change = Change {
            request: RequestId(hold.appointment.0 ^ 1 << 20),
            appointment: hold.appointment,
            patient: hold.patient,
            channel: hold.channel,
            action: Action::Book { payment: PaymentRef(1) },
        };
        let answer = self.inventory.change(&self.context(), &change, |facts| self.append(facts));
        assert!(answer.result.is_ok());
    }

    fn sold_out(&self, random: &mut u64) {
        let hold = self.request(random, None);
        assert!(self.inventory.refuse_at_once(&self.context(), &hold).is_some());
    }

    fn read(&self, random: &mut u64) {
        let session = SessionId(next(random) % self.sessions);
        let (channel, class) = (BookingChannel::default(), PatientClass::Outpatient);
        let answer = self.inventory.availability(&self.context(), session, channel, class);
        std::hint::black_box(answer.result.is_ok());
    }

    fn request(&self, random: &mut u64, session: Option<u64>) -> Hold {
        let session = session.unwrap_or_else(|| next(random) % self.sessions);
        let slot = SlotIndex(u16::try_from(next(random) % u64::from(SLOTS)).unwrap_or(0));
        let id = u128::from(next(random)) << 64 | u128::from(next(random));
        let patient = PatientId(u128::from(next(random) % 10_000_000) << 64 | 0xabc);
        let claim = ClaimRequest {
            session: SessionId(session),
            count: 1,
            slots: if self.sessions == 1 { SlotChoice::Any } else { SlotChoice::at(slot) },
        };
        Hold {
            appointment: AppointmentId(RequestId::from_parts(NOW, id).0),
            patient: Some(patient),
            keys: ClientKeys::default(),
            channel: BookingChannel::default(),
            class: PatientClass::Outpatient,
            attributes: Attributes::default(),
            ttl: Ttl::DEFAULT,
            book: None,
            claims: std::iter::once(claim).collect(),
        }
    }

    fn append(&self, facts: &Facts) -> Sequence {
        thread_local! { static BUFFER: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) } }
        BUFFER.with_borrow_mut(|buffer| {
            buffer.clear();
            encode_facts(facts, buffer);
            std::hint::black_box(buffer.len());
        });
        Sequence(self.sequence.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn context(&self) -> Context<'_> {
        Context::new(NOW, &self.actor)
    }
}

fn session(id: SessionId, places: u16) -> Session {
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

/// Splitmix64: the benchmark owns its randomness.
fn next(random: &mut u64) -> u64 {
    *random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut word = *random;
    word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}
