//! How often somebody was refused because nothing was to be had: as many as come, in memory that does
//! not grow.
//!
//! ```text
//! key, rule --keyed hash--> tag (64 bits): its high bits choose a set
//! set   lock | tag, since, count, last request | ... seven cells, two lines of memory
//! ```
//!
//! A window begins with the first refusal and lasts as long as the rule says; a refusal after it begins
//! another one. So no more are ever told than there were in that time, and at a border of two windows up
//! to twice as many pass untold. Who has no cell takes the one whose window began first: who asks with
//! very many keys may have somebody forgotten who asked slowly, and nobody counted who did not ask. The
//! same request twice in a row is one.
//!
//! **Architecture invariant:** counting takes one lock, which is never held with another, and allocates
//! nothing. Where no rule in force counts, nothing is looked at but one word.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::model::{PatientId, ProbingRule, RequestId, RuleRef, Timestamp};

/// Who was refused how often, on one node.
#[derive(Debug)]
pub struct Probes {
    /// Until when it is known whether rules in force count, in milliseconds, and in the lowest bit whether
    /// they do: one word, so that no two who look at the rules mix what they say.
    known: AtomicU64,
    sets: OnceLock<Box<[Set]>>,
    /// `SipHash` with keys from the system: nobody can aim at a cell.
    hasher: RandomState,
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct Set(Mutex<[Cell; WAYS]>);

#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    /// 0 where nobody has had it.
    tag: u64,
    /// When the window began, in whole seconds.
    since: u32,
    count: u16,
    /// Some bits of the request that was counted last.
    last: u16,
}

/// Cells of a set: with the lock they fill two lines of memory.
const WAYS: usize = 7;

/// Sets of a node, 16 MiB: over 900,000 who are counted at a time.
const SETS: usize = 1 << 17;

const _: () = assert!(size_of::<Set>() == 128 && size_of::<Cell>() == 16);

impl Default for Probes {
    /// Nobody, until somebody looks at the rules.
    fn default() -> Self {
        Self { known: AtomicU64::new(0), sets: OnceLock::new(), hasher: RandomState::new() }
    }
}

impl Probes {
    /// Whether rules in force count refusals; `None` where somebody has to look.
    #[inline]
    pub fn is_asked(&self, now: Timestamp) -> Option<bool> {
        let known = self.known.load(Ordering::Relaxed);
        (now.as_millis() < known >> 1).then_some(known & 1 == 1)
    }

    /// Follows the rules: whether those in force count refusals, and until when they are in force. Rules
    /// must not be put in force meanwhile.
    pub fn follow(&self, is_asked: bool, until: Option<Timestamp>) {
        let until = until.map_or(u64::MAX, Timestamp::as_millis).min(u64::MAX >> 1);
        self.known.store(until << 1 | u64::from(is_asked), Ordering::Relaxed);
    }

    /// Has somebody look at the rules again.
    pub fn forget_rules(&self) {
        self.known.store(0, Ordering::Relaxed);
    }

    /// Counts a refusal. Where it fills the number that the rule names, that many are told, and since
    /// when; the count begins anew.
    pub fn count(
        &self,
        now: Timestamp,
        (who, by): (PatientId, RuleRef),
        request: RequestId,
        rule: ProbingRule,
    ) -> Option<(u16, Timestamp)> {
        let sets = self.sets.get_or_init(|| (0..SETS).map(|_| Set::default()).collect());
        let tag = self.hasher.hash_one((who.0, by.version.0, by.layer)).max(1);
        let index = usize::try_from(tag >> (u64::BITS - SETS.trailing_zeros())).unwrap_or(0);
        let mut cells = sets.get(index)?.0.lock();
        let cell = cell_of(&mut cells, tag)?;
        cell.count(now, request, rule)
    }

    /// How many bytes it takes, however many ask: none where no rule ever counted.
    pub fn bytes(&self) -> usize {
        self.sets.get().map_or(0, |sets| sets.len() * size_of::<Set>())
    }
}

/// The cell of a tag, or the one whose window began first.
fn cell_of(cells: &mut [Cell; WAYS], tag: u64) -> Option<&mut Cell> {
    let known = cells.iter().position(|cell| cell.tag == tag);
    let oldest = cells.iter().enumerate().min_by_key(|(_, cell)| cell.since);
    let oldest = oldest.map(|(at, _)| at);
    let cell = cells.get_mut(known.or(oldest)?)?;
    if cell.tag != tag {
        *cell = Cell { tag, ..Cell::default() };
    }
    Some(cell)
}

impl Cell {
    fn count(
        &mut self,
        now: Timestamp,
        request: RequestId,
        rule: ProbingRule,
    ) -> Option<(u16, Timestamp)> {
        let last = bits(request);
        let since = Timestamp::from_millis(u64::from(self.since) * 1_000);
        let is_over = since.plus_millis(rule.window_millis()) <= now;
        if self.last == last && !is_over {
            return None;
        }
        self.last = last;
        if self.count == 0 || is_over {
            self.since = u32::try_from(now.as_millis() / 1_000).unwrap_or(u32::MAX);
            self.count = 1;
            return None;
        }
        self.count = self.count.saturating_add(1);
        let is_full = rule.refusals <= self.count;
        is_full.then(|| (std::mem::take(&mut self.count), since))
    }
}

/// Bits that tell requests in a row apart: of two of them one in 65,536 pairs has the same.
fn bits(request: RequestId) -> u16 {
    let halves = request.0 ^ request.0 >> 64;
    let quarters = halves ^ halves >> 32;
    u16::try_from((quarters ^ quarters >> 16) & 0xffff).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CountedOf, RuleMode, RulesVersion};

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const BY: RuleRef = RuleRef { version: RulesVersion(1), layer: 0, tier: 0 };

    fn rule(refusals: u16, minutes: u16) -> ProbingRule {
        ProbingRule { refusals, minutes, of: CountedOf::Account, mode: RuleMode::Enforce }
    }

    fn request(number: u128) -> RequestId {
        RequestId(number)
    }

    #[test]
    fn a_threshold_is_told_once_and_the_count_begins_anew() {
        // Seconds after the start, the request, and whether it fills three in a minute.
        let table = [
            (0, 1, false),
            (10, 2, false),
            (20, 3, true),
            // Anew; the answer to the last one was lost, and it is asked again.
            (20, 3, false),
            (21, 4, false),
            (22, 5, false),
            (23, 6, true),
            // A retry of the same request is one refusal.
            (24, 7, false),
            (25, 7, false),
            (26, 7, false),
            (27, 8, false),
            (28, 9, true),
            // A minute is over: the first two count no more.
            (100, 10, false),
            (110, 11, false),
            (160, 12, false),
            (161, 13, false),
            (219, 14, true),
        ];
        let probes = Probes::default();
        for (seconds, number, is_full) in table {
            let now = NOW.plus_millis(seconds * 1_000);
            let told = probes.count(now, (PatientId(7), BY), request(number), rule(3, 1));
            assert_eq!(told.is_some(), is_full, "{seconds} s: {told:?}");
            if let Some((count, since)) = told {
                assert_eq!(count, 3);
                assert!(now < since.plus_millis(60_000), "{seconds} s: since {since:?}");
            }
        }
    }

    #[test]
    fn persons_and_rules_are_counted_apart() {
        let (probes, rule) = (Probes::default(), rule(2, 5));
        let other = RuleRef { version: RulesVersion(2), ..BY };
        let layer = RuleRef { layer: 1, ..BY };
        for (at, (who, by)) in [(7, BY), (8, BY), (7, other), (7, layer)].into_iter().enumerate() {
            let number = at as u128;
            assert_eq!(probes.count(NOW, (PatientId(who), by), request(number), rule), None);
        }
        let told = probes.count(NOW, (PatientId(7), BY), request(99), rule);
        assert_eq!(told, Some((2, NOW)));
    }

    #[test]
    fn three_million_persons_take_no_more_memory_and_tell_nothing_that_was_not() {
        let (probes, two) = (Probes::default(), rule(2, 5));
        assert_eq!(probes.bytes(), 0, "no rule, no memory");
        for who in 0..3_000_000_u128 {
            let now = NOW.plus_millis(u64::try_from(who / 1_000).unwrap());
            let told = probes.count(now, (PatientId(who), BY), request(who), two);
            assert_eq!(told, None, "{who} asked once");
        }
        assert_eq!(probes.bytes(), 16 << 20);
        // Most of the newest are still known: more came in their second than there is room for.
        let then = NOW.plus_millis(3_001);
        let again = |who: u128| probes.count(then, (PatientId(who), BY), request(who + 1), two);
        let known = (2_990_000..3_000_000).filter(|who| again(*who).is_some()).count();
        assert!(9_000 < known, "{known} of 10,000");
    }

    #[test]
    fn two_threads_count_no_refusal_twice() {
        let (probes, ten) = (Probes::default(), rule(10, 1_440));
        let told = |thread: u128| {
            let ask = |number: &u128| {
                let number = request(thread << 64 | *number);
                probes.count(NOW, (PatientId(7), BY), number, ten).is_some()
            };
            (0..10_000_u128).filter(ask).count()
        };
        let sum: usize = std::thread::scope(|scope| {
            let (one, two) = (scope.spawn(|| told(1)), scope.spawn(|| told(2)));
            one.join().unwrap() + two.join().unwrap()
        });
        // Two requests in a row may have the same bits.
        assert!((1_900..=2_000).contains(&sum), "{sum}");
    }

    #[test]
    fn who_looks_at_the_rules_is_told_when_to_look_again() {
        let probes = Probes::default();
        assert_eq!(probes.is_asked(NOW), None);
        probes.follow(true, Some(NOW.plus_millis(5)));
        assert_eq!(probes.is_asked(NOW.plus_millis(4)), Some(true));
        assert_eq!(probes.is_asked(NOW.plus_millis(5)), None);
        probes.follow(false, None);
        assert_eq!(probes.is_asked(NOW.plus_millis(1 << 40)), Some(false));
        probes.forget_rules();
        assert_eq!(probes.is_asked(NOW), None);
    }
}
