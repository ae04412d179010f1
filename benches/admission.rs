//! What counting a request costs: nanoseconds per check of connection and channel, and of persons and
//! machines, one and two threads. Fixed seeds; `cargo bench --bench admission -- [NAME] [DIVISOR]`.
#![expect(clippy::print_stdout, reason = "a benchmark reports")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::sync::Arc;
use std::time::Instant;

use haoyuan::admission::{Meter, Rates};
use haoyuan::model::{
    Actor, AdmissionRule, AppointmentId, BookingChannel, ChannelSet, ClientKey, Command, Hold,
    PatientId, RateKey, RateRule, RequestId, Role, RuleMode, Timestamp,
};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn main() {
    let divisor = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(1);
    let count = 20_000_000 / divisor;
    let none: &[RateKey] = &[];
    for threads in [1, 2] {
        let fast = [(1_000_000, 1_000_000)];
        way("no rates", threads, count, none, &fast);
        way("connection", threads, count, &[RateKey::Connection], &fast);
        way("channel", threads, count, &[RateKey::Channel], &fast);
        let both = [RateKey::Connection, RateKey::Channel];
        way("connection and channel", threads, count, &both, &fast);
        way("channel, all refused", threads, count, &[RateKey::Channel], &[(1, 1)]);
        let few = count / 10;
        keyed("patient, 1,000 of them", threads, few, 1_000, &[RateKey::Patient]);
        keyed("patient, 10 million", threads, few, 10_000_000, &[RateKey::Patient]);
        let two = [RateKey::Patient, RateKey::Address];
        keyed("patient and address", threads, few, 10_000_000, &two);
    }
}

fn rates(keys: &[RateKey], rate: u32, burst: u32) -> Rates {
    let rule = |per: &RateKey| RateRule {
        per: *per,
        rate,
        every_seconds: if rate == 1 { 86_400 } else { 1 },
        burst,
        block_minutes: 0,
        channels: ChannelSet::ALL,
        mode: RuleMode::Enforce,
    };
    let rates = Rates::default();
    let rule = AdmissionRule { rates: keys.iter().map(rule).collect(), shares: Vec::new() };
    rates.follow(Some(&rule), None);
    rates
}

/// Streams of different connections that ask through one channel.
fn way(name: &str, threads: u64, count: u64, keys: &[RateKey], limits: &[(u32, u32)]) {
    for (rate, burst) in limits {
        let rates = rates(keys, *rate, *burst);
        run(name, threads, count, |_| {
            let (actor, command) = (Actor::unbounded(Role::Gateway), command(1));
            let mut meter = Meter::new(Arc::default());
            let asked = (Some(BookingChannel::default()), Some(&command));
            let mut passed = 0_u64;
            for number in 0..count {
                // A hundred requests are read at a time; a reading takes 10 µs.
                let now = NOW.plus_millis(number / 10_000);
                passed += u64::from(rates.admit(now, &actor, &mut meter, asked).is_ok());
            }
            std::hint::black_box(passed);
        });
    }
}

/// Commands of so many patients, each from an address of its own.
fn keyed(name: &str, threads: u64, count: u64, patients: u64, keys: &[RateKey]) {
    let rates = rates(keys, 100, 100);
    run(name, threads, count, |thread| {
        let actor = Actor::unbounded(Role::Gateway);
        let mut meter = Meter::new(Arc::default());
        let mut command = command(1);
        // The meter learns of the rates.
        assert!(rates.admit(NOW, &actor, &mut meter, (None, None)).is_ok());
        let mut random = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(thread + 1);
        let mut passed = 0_u64;
        for number in 0..count {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            if let Command::Hold(hold) = &mut command {
                let who = u128::from(random % patients);
                hold.patient = Some(PatientId(who));
                hold.keys.address = Some(ClientKey(who << 64));
            }
            let now = NOW.plus_millis(number / 1_000);
            passed += u64::from(rates.admit_keys(now, &actor, &meter, &command).is_ok());
        }
        std::hint::black_box(passed);
    });
}

fn run(name: &str, threads: u64, count: u64, work: impl Fn(u64) + Sync) {
    let mut words = std::env::args().skip(1).filter(|word| word.parse::<u64>().is_err());
    if words.any(|word| !word.starts_with("--") && !name.contains(&word)) {
        return;
    }
    let start = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let work = &work;
            scope.spawn(move || work(thread));
        }
    });
    let nanos = start.elapsed().as_nanos();
    let tenths = nanos * 10 / u128::from(count);
    println!("{name:24} {threads} thread(s): {:4}.{} ns each", tenths / 10, tenths % 10);
}

fn command(patient: u128) -> Command {
    Command::Hold(Hold::of(AppointmentId(RequestId::from_parts(NOW, 1).0), PatientId(patient), []))
}
