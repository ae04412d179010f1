//! How much may wait, and how many are let in: decided a few times a second from what was seen.
//!
//! ```text
//! commits of few records -> base   (what a commit costs that carries little)
//! base x 30, clamped -----> target (from arrival to durable)
//! records per second -----> rate   (learned where the node was busy)
//! rate x target ----------> limit  (records that may wait: Little's law)
//! refused at the limit ---> width  (whose turn it is, so that the limit seldom refuses)
//! read late --------------> width  (refusing is cheap, so that what comes can be read in time)
//! ```
//!
//! **Architecture invariant:** pure: it is told the time and cumulative counts, and it is the same
//! for the same story.

use super::turns::{EPOCH_MILLIS, Turn};
use crate::model::Timestamp;

/// What was counted since the start, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// When.
    pub now: Timestamp,
    /// Records appended.
    pub appended: u64,
    /// Records durable.
    pub durable: u64,
    /// Commits of a few records: what they took is what a commit costs beside its bytes.
    pub small_commits: u64,
    /// Microseconds that those took together.
    pub small_commit_micros: u64,
}

/// Holds that came when it was their turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Arrivals {
    pub(super) passed: u64,
    pub(super) refused: u64,
    /// Readings of a stream, and those that had waited longer than the target: requests that nobody
    /// has read yet are a queue too, in front of the node.
    pub(super) readings: u64,
    pub(super) late: u64,
}

/// What is in force until the next look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Regime {
    /// Records that may wait when a hold comes.
    pub limit: u64,
    /// Whose turn it is.
    pub turn: Turn,
    /// Since when.
    pub began: Timestamp,
    /// How wide the turn was on average lately: how fast it goes round.
    pub pace: u32,
    /// The time from arrival to durable that is aimed at, in microseconds.
    pub target_micros: u64,
    /// Records a second that the node makes durable when it is busy.
    pub rate: u64,
}

/// What has been learned.
#[derive(Clone, Debug)]
pub(super) struct Control {
    delay_max_micros: u64,
    base_micros: u64,
    rate: u64,
    turn: Turn,
    began: Timestamp,
    pace: u32,
    is_standing: bool,
    calm_since: Timestamp,
    last: Observation,
    /// Who had come, and how far the horizon was, when the width was steered last.
    arrived: Arrivals,
    steered: u64,
    window: Window,
    judged: Timestamp,
    was_refused: bool,
    refused_before: u64,
    least_waiting: u64,
}

/// A stretch over which the rate is measured.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    since: Timestamp,
    durable: u64,
    refused: u64,
}

impl Control {
    /// A node that has seen nothing, and hopes for the best.
    pub(super) const fn new(delay_max_millis: u64) -> Self {
        Self {
            delay_max_micros: delay_max_millis.saturating_mul(1_000),
            base_micros: BASE_MICROS_AT_FIRST,
            rate: RATE_AT_FIRST,
            turn: Turn::ALL,
            began: Timestamp::from_millis(0),
            pace: u32::MAX,
            is_standing: false,
            calm_since: Timestamp::from_millis(0),
            last: Observation {
                now: Timestamp::from_millis(0),
                appended: 0,
                durable: 0,
                small_commits: 0,
                small_commit_micros: 0,
            },
            arrived: Arrivals { passed: 0, refused: 0, readings: 0, late: 0 },
            steered: 0,
            window: Window { since: Timestamp::from_millis(0), durable: 0, refused: 0 },
            judged: Timestamp::from_millis(0),
            was_refused: false,
            refused_before: 0,
            least_waiting: u64::MAX,
        }
    }

    /// Looks at the counts. `None` where it is too early to change anything.
    pub(super) fn look(&mut self, seen: &Observation, arrived: Arrivals) -> Option<Regime> {
        let waiting = seen.appended.saturating_sub(seen.durable);
        self.least_waiting = self.least_waiting.min(waiting);
        if since(self.last.now, seen.now) < PERIOD_MILLIS {
            return None;
        }
        self.learn_base(seen);
        self.learn_rate(seen, arrived, waiting);
        self.judge_queue(seen, arrived);
        self.steer(seen, arrived, waiting);
        if EPOCH_MILLIS <= since(self.began, seen.now) {
            self.turn = self.turn.next();
            self.pace = self.pace / 4 * 3 + self.turn.width / 4;
            self.began = seen.now;
        }
        self.last = *seen;
        Some(self.regime())
    }

    /// What is in force.
    pub(super) fn regime(&self) -> Regime {
        let target_micros = self.target_micros();
        let steady = self.rate.saturating_mul(target_micros) / 1_000_000;
        // A burst may wait longer, for as long as it is not known to stay.
        let most = self.rate.saturating_mul(self.delay_max_micros) / 1_000_000;
        let limit = if self.is_standing { steady } else { most.min(steady * BURST) };
        Regime {
            limit: limit.max(LIMIT_MIN),
            turn: self.turn,
            began: self.began,
            pace: self.pace,
            target_micros,
            rate: self.rate,
        }
    }

    fn target_micros(&self) -> u64 {
        let target = self.base_micros.saturating_mul(BASES_PER_TARGET).max(TARGET_MICROS_MIN);
        target.min(self.delay_max_micros)
    }

    fn learn_base(&mut self, seen: &Observation) {
        let commits = seen.small_commits.saturating_sub(self.last.small_commits);
        let micros = seen.small_commit_micros.saturating_sub(self.last.small_commit_micros);
        if let Some(mean) = micros.checked_div(commits) {
            // A stall is not what a commit costs: and in a flood there are no small ones that would
            // correct it. A disk that has become slower is believed within two seconds.
            let most =
                self.base_micros.saturating_mul(2).clamp(BASE_MICROS_AT_FIRST, BASE_MICROS_MAX);
            self.base_micros = (self.base_micros * 7 + mean.min(most)) / 8;
        }
    }

    /// Learns the rate, from one advance of the horizon to another: a group counts when it is done.
    fn learn_rate(&mut self, seen: &Observation, arrived: Arrivals, waiting: u64) {
        let start = Window { since: seen.now, durable: seen.durable, refused: arrived.refused };
        if waiting == 0 {
            self.window = start;
            return;
        }
        let millis = since(self.window.since, seen.now);
        let window = (self.target_micros() * TARGETS_PER_WINDOW / 1_000).max(WINDOW_MILLIS);
        if millis < window || seen.durable == self.last.durable {
            return;
        }
        let rate = seen.durable.saturating_sub(self.window.durable).saturating_mul(1_000) / millis;
        // A window in which less came than could be done says nothing of what can be done.
        if self.window.refused < arrived.refused || self.regime().limit / 2 < self.least_waiting {
            let weight = millis.min(SURE_MILLIS);
            self.rate = (self.rate * (SURE_MILLIS - weight) + rate * weight) / SURE_MILLIS;
        } else {
            self.rate = self.rate.max(rate);
        }
        self.window = start;
    }

    /// Tells a queue that stands from a burst that goes away.
    fn judge_queue(&mut self, seen: &Observation, arrived: Arrivals) {
        if since(self.judged, seen.now) < WINDOW_MILLIS {
            return;
        }
        let is_refused = self.refused_before < arrived.refused;
        if is_refused && self.was_refused {
            self.is_standing = true;
        }
        if is_refused || !self.turn.is_for_all() {
            self.calm_since = seen.now;
        } else if CALM_MILLIS <= since(self.calm_since, seen.now) {
            self.is_standing = false;
        }
        (self.was_refused, self.refused_before) = (is_refused, arrived.refused);
        (self.judged, self.least_waiting) = (seen.now, u64::MAX);
    }

    /// Steers the width so that of those whose turn it is one in twenty finds the queue full: with
    /// fewer the queue may run empty, with more it is chance who gets in.
    fn steer(&mut self, seen: &Observation, arrived: Arrivals, waiting: u64) {
        if seen.durable == self.steered && 0 < waiting {
            // A long commit: nothing is known before it ends.
            return;
        }
        let passed = arrived.passed.saturating_sub(self.arrived.passed);
        let refused = arrived.refused.saturating_sub(self.arrived.refused);
        let width = u64::from(self.turn.width);
        let readings = arrived.readings.saturating_sub(self.arrived.readings);
        let late = arrived.late.saturating_sub(self.arrived.late);
        let wanted = if readings < late.saturating_mul(2) {
            // Most of what is read has waited in front of the node. Below half of what the node can
            // do, fewer would not make it read faster.
            let enough = self.rate.saturating_mul(PERIOD_MILLIS) / 1_000 / CHANGES_PER_HOLD / 2;
            if passed < enough { width } else { width * 9 / 10 }
        } else if 0 < refused && passed == 0 {
            // What finishes takes all there is, and will not for ever.
            width * 9 / 10
        } else if 0 < refused {
            let all = passed + refused;
            (width * passed / all * 106 / 100).max(width / 2)
        } else if waiting < self.regime().limit / 2 {
            width * 5 / 4
        } else {
            width * 106 / 100
        };
        let wanted = wanted.clamp(WIDTH_MIN, u64::from(u32::MAX));
        self.turn.width = u32::try_from(wanted).unwrap_or(u32::MAX);
        (self.steered, self.arrived) = (seen.durable, arrived);
    }
}

const fn since(earlier: Timestamp, now: Timestamp) -> u64 {
    now.as_millis().saturating_sub(earlier.as_millis())
}

/// Records that come of a hold that is let in: itself, and its booking.
const CHANGES_PER_HOLD: u64 = 2;

/// Between two looks: a few commits each.
pub(super) const PERIOD_MILLIS: u64 = 50;

/// A queue that was full in two windows on end is no burst; the rate is measured over as long.
const WINDOW_MILLIS: u64 = 100;

/// Three commits are in a target, and a window that ends in the middle of one is wrong by as much.
const TARGETS_PER_WINDOW: u64 = 4;

/// A rate that was measured over so long replaces the one before.
const SURE_MILLIS: u64 = 400;

/// Without a refusal for so long, the overload is over.
const CALM_MILLIS: u64 = 1_000;

/// A commit takes base + records × cost, and an answer up to three commits: one is synced, one is
/// written and waits, one gathers. At 30 bases from arrival to durable each of them takes ten, so nine
/// tenths of the disk's time go into records. At nine tenths of that rate a commit takes five to six
/// bases, and the slowest answers three of those: so answers under overload take less than twice as
/// long.
const BASES_PER_TARGET: u64 = 30;

/// The target of a very fast disk: less is noise of the scheduler, and nobody feels it.
const TARGET_MICROS_MIN: u64 = 10_000;

/// How many times the steady limit a burst may fill.
const BURST: u64 = 2;

/// What a small commit takes before one was seen; of a disk, and at the most.
const BASE_MICROS_AT_FIRST: u64 = 1_000;
const BASE_MICROS_MAX: u64 = 100_000;

/// Records a second before the node was busy: what most disks take. A faster one shows it within a
/// few commits; a slower one is filled for a moment.
const RATE_AT_FIRST: u64 = 50_000;

/// Records that may always wait: a few blocks, which any disk writes at once.
const LIMIT_MIN: u64 = 256;

/// One in a thousand: narrower would only take longer to widen.
const WIDTH_MIN: u64 = (u32::MAX / 1_024) as u64;

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks every 50 ms at a node that does `rate` a second, with so many waiting at each look.
    fn run(control: &mut Control, rate: u64, waiting: u64, refused: u64, looks: u64) -> Regime {
        let mut last = control.regime();
        for _ in 0..looks {
            let durable = control.last.durable + rate / 20;
            let seen = Observation {
                now: control.last.now.plus_millis(50),
                appended: durable + waiting,
                durable,
                ..control.last
            };
            let passed = control.arrived.passed + rate / 20;
            let refused = control.arrived.refused + refused;
            let arrived = Arrivals { passed, refused, ..Arrivals::default() };
            last = control.look(&seen, arrived).unwrap();
        }
        last
    }

    #[test]
    fn a_node_that_is_not_busy_keeps_its_hopes_and_lets_everybody_in() {
        let mut control = Control::new(100);
        let regime = run(&mut control, 100, 0, 0, 1_000);
        assert_eq!((regime.rate, regime.turn.width), (RATE_AT_FIRST, u32::MAX));
        assert_eq!((regime.target_micros, regime.limit), (30_000, 3_000));
    }

    #[test]
    fn one_stall_of_the_disk_hardly_moves_the_target_and_a_slower_disk_does_in_two_seconds() {
        let mut control = Control::new(1_000);
        for (micros, looks, target_micros) in [
            (1_000, 40, 30_000),
            // One commit that took a fifth of a second, and another.
            (200_000, 1, 33_750),
            (1_000, 1, 33_270),
            (200_000, 1, 37_410),
            (1_000, 40, 30_000),
            (8_000, 40, 240_000),
        ] {
            for _ in 0..looks {
                let seen = Observation {
                    now: control.last.now.plus_millis(50),
                    small_commits: control.last.small_commits + 1,
                    small_commit_micros: control.last.small_commit_micros + micros,
                    ..control.last
                };
                control.look(&seen, Arrivals::default());
            }
            let told = control.regime().target_micros;
            let at = format!("{looks} looks at {micros} us: {told}");
            assert!(told.abs_diff(target_micros) <= target_micros / 20, "{at}");
        }
    }

    #[test]
    fn a_queue_that_stands_is_cut_to_the_target_and_the_turn_to_what_passes() {
        let mut control = Control::new(100);
        let regime = run(&mut control, 50_000, 40_000, 22_500, 40);
        assert!(regime.rate < 51_000, "{regime:?}");
        assert_eq!(regime.limit, regime.rate * 30_000 / 1_000_000);
        assert_eq!(u64::from(regime.turn.width), WIDTH_MIN);
        let regime = run(&mut control, 20_000, 100, 0, 40);
        assert_eq!(regime.turn.width, u32::MAX, "2 s after the load fell");
        let regime = run(&mut control, 20_000, 100, 0, 40);
        assert_eq!(regime.limit, regime.rate * 30_000 / 1_000_000 * 2, "a burst may wait again");
    }

    #[test]
    fn a_burst_that_goes_away_by_itself_changes_nothing() {
        let mut control = Control::new(100);
        let before = run(&mut control, 1_000, 0, 0, 10);
        run(&mut control, 30_000, 30_000, 0, 1);
        let after = run(&mut control, 30_000, 10, 0, 3);
        assert_eq!((before.limit, before.turn.width), (after.limit, after.turn.width));
    }

    #[test]
    fn the_width_settles_where_one_in_twenty_finds_the_queue_full() {
        let mut control = Control::new(100);
        let full = u64::from(u32::MAX);
        for _ in 0..200 {
            let width = u64::from(control.turn.width);
            let came = 25_000 * width / full;
            let passed = came.min(2_500);
            let seen = Observation { now: control.last.now.plus_millis(50), ..control.last };
            let arrived = Arrivals {
                passed: control.arrived.passed + passed,
                refused: control.arrived.refused + came - passed,
                ..Arrivals::default()
            };
            control.look(&seen, arrived);
        }
        let percent = u64::from(control.turn.width) * 100 / full;
        assert!((9..13).contains(&percent), "{percent} % for a tenth that fits");
    }

    /// Requests wait to be read while the disk keeps up: the turn narrows until they are read in
    /// time, and not below half of what the node can do.
    #[test]
    fn the_turn_narrows_while_what_comes_is_read_late() {
        for (readable, least, most) in [(30_000, 45, 65), (0, 20, 30)] {
            let mut control = Control::new(100);
            let full = u64::from(u32::MAX);
            let mut widths = Vec::new();
            for _ in 0..200 {
                // 50,000 holds a second come; the node reads in time where it lets in few enough.
                let passed = 2_500 * u64::from(control.turn.width) / full;
                let is_late = readable / 20 < passed;
                let arrived = Arrivals {
                    passed: control.arrived.passed + passed,
                    refused: 0,
                    readings: control.arrived.readings + 10,
                    late: control.arrived.late + 10 * u64::from(is_late),
                };
                let seen = Observation { now: control.last.now.plus_millis(50), ..control.last };
                control.look(&seen, arrived);
                widths.push(u64::from(control.turn.width) * 100 / full);
            }
            let mean = widths[100..].iter().sum::<u64>() / 100;
            assert!((least..most).contains(&mean), "{mean} % where {readable} can be read");
        }
    }

    #[test]
    fn the_target_follows_what_a_small_commit_takes_within_bounds() {
        for (micros, target) in [(100, 10_000), (2_000, 60_000), (20_000, 100_000)] {
            let mut control = Control::new(100);
            for _ in 0..100 {
                let seen = Observation {
                    now: control.last.now.plus_millis(50),
                    small_commits: control.last.small_commits + 3,
                    small_commit_micros: control.last.small_commit_micros + 3 * micros,
                    ..control.last
                };
                control.look(&seen, Arrivals::default());
            }
            let found = control.regime().target_micros;
            assert!(target - target / 50 <= found && found <= target, "{micros}: {found}");
        }
    }
}
