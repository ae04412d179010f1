//! Shards that are copied one by one, each at its own record, and filled again.

use super::race::{act, next};
use super::{Node, START};
use crate::engine::tests::build::DAY;
use crate::engine::{HomeShard, LedgerShard, Live, SessionState};
use crate::inventory::{Inventory, Part, SHARD_COUNT};
use crate::model::{
    Appointment, AppointmentId, Outcome, Past, PatientId, RequestId, Rules, Sequence, Timestamp,
};
use crate::service::digest::of_inventory;

/// What a snapshot keeps of a shard.
#[derive(Default)]
struct Copied {
    appointments: Vec<Appointment>,
    requests: Vec<(Timestamp, RequestId, u64)>,
    refusals: Vec<(AppointmentId, u64, Outcome)>,
    live: Vec<(PatientId, Live)>,
    sessions: Vec<SessionState>,
    rules: Vec<Rules>,
    past: Vec<(PatientId, Vec<Past>)>,
}

/// The number of a kind in snapshots.
const fn kind_of(part: &Part<'_>) -> u8 {
    match part {
        Part::Home(_) => 0,
        Part::Ledger(_) => 1,
        Part::Session(_) => 2,
        Part::Rules(_) => 3,
    }
}

impl Copied {
    fn of(part: &Part<'_>) -> Self {
        match part {
            Part::Home(home) => Self {
                appointments: home.appointments().collect(),
                requests: home.requests().collect(),
                refusals: home.refusals(),
                ..Self::default()
            },
            Part::Ledger(ledger) => {
                let lines = ledger
                    .entries()
                    .flat_map(|entry| entry.live().map(move |live| (entry.patient(), *live)));
                Self { live: lines.collect(), past: ledger.all_past().collect(), ..Self::default() }
            }
            Part::Session(shard) => {
                let sessions = shard.sessions().into_iter().cloned().collect();
                Self { sessions, ..Self::default() }
            }
            Part::Rules(book) => {
                Self { rules: book.versions().skip(1).cloned().collect(), ..Self::default() }
            }
        }
    }

    fn fill(self, part: Part<'_>) {
        match part {
            Part::Home(home) => self.fill_home(home),
            Part::Ledger(ledger) => self.fill_ledger(ledger),
            Part::Session(shard) => self.sessions.into_iter().for_each(|it| shard.restore(it)),
            Part::Rules(book) => self.rules.into_iter().for_each(|rules| book.insert(rules)),
        }
    }

    fn fill_home(self, home: &mut HomeShard) {
        self.appointments.iter().for_each(|appointment| home.insert(appointment));
        home.order_ended();
        for (time, request, fingerprint) in self.requests {
            home.remember(time, request, fingerprint);
        }
        for (id, fingerprint, outcome) in self.refusals {
            home.insert_declined(id, fingerprint, outcome);
        }
    }

    fn fill_ledger(self, ledger: &mut LedgerShard) {
        self.live.into_iter().for_each(|(patient, live)| ledger.insert(patient, live));
        for (patient, past) in self.past {
            for past in past {
                ledger.restore_past(patient, past);
            }
        }
    }
}

/// Every third shard is copied at the start, at a third and at the end of a busy hour; each skips
/// what its copy has, and catches up with the rest.
#[test]
fn shards_that_were_copied_at_different_records_catch_up_with_each_other() {
    let node = Node::new();
    let mut copies = Vec::new();
    let mut random = 3;
    for step in 0..9_000 {
        if step % 3_000 == 0 {
            copies.extend(copied(&node, step / 3_000));
        }
        random = next(random);
        act(&node, step, random >> 16);
    }
    let mut restored = Inventory::new(5, DAY);
    for (kind, index, base, copy) in copies {
        restored.restore_part(kind, index, base, |part| {
            assert_eq!(kind_of(&part), kind);
            copy.fill(part);
        });
    }
    for (number, (time, facts)) in (1..).zip(node.records.lock().iter()) {
        restored.replay(Sequence(number), *time, facts);
    }
    restored.rebuild();

    restored.check_derived();
    assert_eq!(of_inventory(&restored), of_inventory(&node.inventory));
    assert_eq!(restored.counts(), node.inventory.counts());
    assert_eq!(restored.free_places(), node.inventory.free_places());
    // Deadlines of what is no hold any more differ: a copy has none, and a replay drops none.
    let later = START.plus_millis(9 * DAY);
    assert_eq!(expired(&restored, later), expired(&node.inventory, later));
    assert_eq!((restored.next_deadline(), node.inventory.next_deadline()), (None, None));
    for index in 0..SHARD_COUNT {
        let remembered = |inventory: &Inventory| {
            inventory.with_part(0, index, |part| match part {
                Part::Home(home) => home.requests().collect::<Vec<_>>(),
                Part::Ledger(_) | Part::Session(_) | Part::Rules(_) => {
                    unreachable!("kind 0 is homes")
                }
            })
        };
        assert_eq!(remembered(&restored), remembered(&node.inventory));
        forgets_alike(&restored, &node.inventory, index, later);
    }
}

fn copied(node: &Node, share: u64) -> Vec<(u8, usize, Sequence, Copied)> {
    let mut all = Vec::new();
    for (kind, index) in Inventory::parts().filter(|(_, index)| *index as u64 % 3 == share) {
        let copy = node.inventory.with_part(kind, index, |part| Copied::of(&part));
        all.push((kind, index, Sequence(node.records.lock().len() as u64), copy));
    }
    all
}

fn expired(inventory: &Inventory, now: Timestamp) -> usize {
    let due: Vec<usize> = inventory.due_homes(now).collect();
    let expire = |home: &usize| {
        std::iter::from_fn(|| inventory.expire_one(*home, now, 0, |_| Sequence(1 << 40))).count()
    };
    due.iter().map(expire).sum()
}

/// What ended first is forgotten first, and nothing is left over.
fn forgets_alike(restored: &Inventory, original: &Inventory, home: usize, now: Timestamp) {
    let forget = |inventory: &Inventory| {
        let mut ids = Vec::new();
        while inventory
            .forget_some(home, now, |facts| {
                for fact in facts {
                    if let crate::model::Fact::Forgotten(forgotten) = fact {
                        ids.extend_from_slice(&forgotten.appointments);
                    }
                }
                Sequence(1 << 40)
            })
            .is_some()
        {}
        ids.sort_unstable();
        ids
    };
    assert_eq!(forget(restored), forget(original));
}

#[test]
fn the_ticker_looks_where_the_earliest_deadline_is_and_nowhere_else() {
    use crate::engine::tests::build;
    use crate::model::{Hold, Ttl};

    let node = Node::new();
    assert_eq!(node.inventory.next_deadline(), None);
    node.open(START, &build::open(build::session(1, &[9]))).result.unwrap();
    for (id, millis) in [(1, 5_000), (2, 3_000), (3, 4_000)] {
        let ttl = Ttl::from_millis(millis).unwrap();
        node.hold(START, &Hold { ttl, ..build::hold(id, id, [build::any(1)]) }).result.unwrap();
    }
    let due = |millis| node.inventory.due_homes(START.plus_millis(millis)).count();
    assert_eq!(node.inventory.next_deadline(), Some(START.plus_millis(3_000)));
    assert_eq!([2_999, 3_000, 3_999, 4_000, 5_000].map(due), [0, 1, 1, 2, 3]);

    let mut late = Vec::new();
    let now = START.plus_millis(4_100);
    for home in node.inventory.due_homes(now) {
        let append = |facts: &crate::model::Facts| node.append(now, facts);
        late.extend(node.inventory.expire_one(home, now, 0, append).map(|(_, late)| late));
        assert_eq!(node.inventory.expire_one(home, now, 0, append), None);
    }
    late.sort_unstable();
    assert_eq!(late, [100, 1_100]);
    assert_eq!(node.inventory.next_deadline(), Some(START.plus_millis(5_000)));
    assert_eq!(node.inventory.counts(), (1, 3));
}
