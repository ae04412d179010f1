//! What two threads cost each other: over all sessions, and on one that everybody wants.
//! Fixed seeds; `cargo bench --bench contention -- [NAME] [DIVISOR]`.
#![expect(clippy::print_stdout, reason = "a benchmark reports")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

mod clinic;

use std::time::Instant;

use haoyuan::model::{BookingChannel, PatientClass, SessionId};

use self::clinic::{BOOK, Clinic, is_wanted, next};

fn main() {
    let divisor = clinic::divisor();
    let (sessions, places) = (12_500, 20);
    for threads in [1, 2] {
        let total = 2_000_000 / threads / divisor;
        let bench = Clinic::new(sessions, places);
        run(&bench, "hold, uniform", threads, total, |clinic, random| hold(clinic, random, None));
        let bench = Clinic::new(sessions, places).under_rules();
        run(&bench, "hold, under rules", threads, total, |clinic, random| {
            hold(clinic, random, None);
        });
        let bench = Clinic::new(sessions, places);
        run(&bench, "hold + book", threads, total / 2, hold_and_book);
        let bench = Clinic::new(1, 10_000);
        let hot = 380_000 / threads / divisor;
        run(&bench, "hold, one hot session", threads, hot, |clinic, random| {
            hold(clinic, random, Some(0));
        });
        let bench = Clinic::new(sessions, 0);
        run(&bench, "sold out", threads, 4 * total, sold_out);
        let bench = Clinic::new(1, 0);
        run(&bench, "sold out, one hot session", threads, 4 * total, sold_out);
        let bench = Clinic::new(sessions, places);
        run(&bench, "availability, 40 slots", threads, total, read);
    }
}

fn run(
    clinic: &Clinic,
    name: &str,
    threads: u64,
    count: u64,
    step: impl Fn(&Clinic, &mut u64) + Sync,
) {
    if !is_wanted(name) {
        return;
    }
    let start = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let step = &step;
            scope.spawn(move || {
                let mut random = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(thread + 1);
                (0..count).for_each(|_| step(clinic, &mut random));
            });
        }
    });
    let nanos = start.elapsed().as_nanos();
    let each = nanos / u128::from(count);
    let rate = u128::from(count * threads) * 1_000 / nanos.max(1);
    println!("{name:26} {threads} thread(s): {each:5} ns each, {rate:4} M/s together");
}

fn hold(clinic: &Clinic, random: &mut u64, session: Option<u64>) {
    std::hint::black_box(clinic.hold(random, session));
}

fn hold_and_book(clinic: &Clinic, random: &mut u64) {
    if let Some(hold) = clinic.hold(random, None) {
        clinic.act(&hold, 1, BOOK);
    }
}

fn sold_out(clinic: &Clinic, random: &mut u64) {
    let hold = clinic.request(random, None);
    assert!(clinic.inventory.refuse_at_once(&clinic.context(), &hold).is_some());
}

fn read(clinic: &Clinic, random: &mut u64) {
    let session = SessionId(next(random) % clinic.sessions);
    let (channel, class) = (BookingChannel::default(), PatientClass::Outpatient);
    let answer = clinic.inventory.availability(&clinic.context(), session, channel, class);
    std::hint::black_box(answer.result.is_ok());
}
