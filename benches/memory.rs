//! What ledgers take in memory: bytes for each patient who has a history, and for one who has none.
//! `cargo bench --bench memory -- [DIVISOR]`; ten million patients take a minute or two.
//!
//! A history here is ten bookings: five cancelled, three missed, each a strike, and two visited. They
//! come in turn, everybody's first, then everybody's second, as years bring them.
#![expect(clippy::print_stdout, reason = "a benchmark reports")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock and its own memory")]

use std::time::Instant;

use haoyuan::engine::LedgerShard;
use haoyuan::inventory::SHARD_COUNT;
use haoyuan::model::{
    AppointmentId, Day, DepartmentId, Ending, Fact, HalfDay, OrganizationId, PatientId, Place,
    Recorded, ResourceId, ServiceId, Strike, Struck, Timestamp, Visit,
};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const PATIENTS: u64 = 10_000_000;

/// Resources of a region: every place of a visit is known by one number.
const RESOURCES: u64 = 20_000;

use Ending::{Cancelled, Fulfilled, Missed};
const ENDINGS: [Ending; 10] = [
    Cancelled, Missed, Cancelled, Fulfilled, Cancelled, Missed, Cancelled, Fulfilled, Cancelled,
    Missed,
];

fn main() {
    let divisor = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(1);
    let patients = PATIENTS / divisor;
    let first = LedgerShard::new(7);
    let mut ledgers: Vec<LedgerShard> = (0..SHARD_COUNT).map(|_| first.beside()).collect();
    let (before, start) = (resident(), Instant::now());
    for (round, ending) in (0_u32..).zip(ENDINGS) {
        for nth in 0..patients {
            visit(&mut ledgers, nth, round, ending);
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let bytes = (resident() - before) / patients;
    println!("{patients} patients of ten bookings: {bytes} bytes each, {seconds:.0} s to write");
    let strikes = ledgers[route(patient(0))].strikes(patient(0)).len();
    let visits = ledgers[route(patient(0))].past(patient(0)).count();
    println!("each with {visits} visits and {strikes} strikes; one who never came: 0 bytes");
}

fn visit(ledgers: &mut [LedgerShard], nth: u64, round: u32, ending: Ending) {
    let patient = patient(nth);
    let random = mix(nth << 8 | u64::from(round));
    let day = Day(20_000 + round * 30 + (random >> 40) as u32 % 30);
    let resource = random % RESOURCES;
    let place = Place {
        organization: OrganizationId((resource % 100) as u32),
        department: DepartmentId((resource % 40) as u32),
        resource: ResourceId(resource),
        service: ServiceId(0),
    };
    let half = if random >> 32 & 1 == 0 { HalfDay::Morning } else { HalfDay::Afternoon };
    let visit = Visit { place, appointment_type: 1, day, half };
    let visits = std::iter::once(visit).collect();
    let fact = Recorded { patient, ending, booked: Day(day.0 - 7), ended: day, visits };
    let ledger = &mut ledgers[route(patient)];
    ledger.evolve(NOW, &Fact::Recorded(Box::new(fact)));
    if ending == Missed {
        let struck = Struck {
            appointment: AppointmentId(u128::from(random)),
            patient,
            strike: Strike { day, place },
            restriction: None,
            is_used_up: false,
        };
        ledger.evolve(NOW, &Fact::Struck(Box::new(struck)));
    }
}

fn patient(nth: u64) -> PatientId {
    PatientId(u128::from(mix(nth)) << 64 | u128::from(mix(!nth)))
}

fn route(patient: PatientId) -> usize {
    let [.., last] = patient.0.to_le_bytes();
    usize::from(last) % SHARD_COUNT
}

/// The finalizer of splitmix64.
fn mix(number: u64) -> u64 {
    let mut word = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

/// Bytes of this process that are in memory.
fn resident() -> u64 {
    let told = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = told.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * 4_096
}
