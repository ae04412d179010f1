//! The one place that reads the clocks of the operating system.
//!
//! ```text
//! time |        ______ wall            time = start + monotonic, and is pulled
//!      |   ..../                       towards the wall by at most 500 ppm;
//!      | ./....... time                a gap over 1 s raises an alarm instead
//!      +------------------ monotonic
//! ```
//!
//! **Architecture invariant:** time never goes back and never jumps, except forwards and when an
//! operator has confirmed it (I-7). [`Slew`] holds that rule and reads no clock itself.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use crate::model::Timestamp;

/// The node's time: told to every request, to the ticker and to the journal.
#[derive(Debug)]
pub struct Clock {
    source: Box<dyn ClockSource>,
    slew: Mutex<Slew>,
}

/// The two clocks of a machine.
pub trait ClockSource: std::fmt::Debug + Send + Sync {
    /// Microseconds since some fixed moment; never goes back.
    fn monotonic(&self) -> u64;

    /// Microseconds since the Unix epoch; may jump.
    fn wall(&self) -> u64;
}

/// The clocks of this machine.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    started: Instant,
}

/// Whether deadlines may be acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockState {
    /// Time and wall agree to within a second.
    Good,
    /// They do not: expiry and openings pause until an operator confirms the time.
    Suspended {
        /// Wall minus time, in milliseconds; negative where the wall is behind.
        gap_millis: i64,
    },
}

/// What the two clocks of the system show at one moment, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Since some fixed moment; never goes back.
    pub monotonic: u64,
    /// Since the Unix epoch; may jump.
    pub wall: u64,
}

/// The rule that makes one steady time of two clocks. Pure: it is told what they show.
#[derive(Clone, Debug)]
pub struct Slew {
    last: Reading,
    time: u64,
    told: u64,
    gap: i64,
    accepted: i64,
    suspended: bool,
}

/// Whether a node may start, given when the last record of its journal was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartFault {
    /// The clock is a little behind: wait for this long, then start.
    #[error("the clock is {0:?} behind the journal; waiting for it")]
    Wait(Duration),
    /// The clock is far behind: somebody has to look.
    #[error(
        "the clock shows {now_millis} ms, but the journal's last record is from {last_millis} ms; \
         set the machine's clock (timedatectl, chronyc makestep) and start again"
    )]
    Behind {
        /// What the clock shows, in milliseconds since the epoch.
        now_millis: u64,
        /// When the last record was written.
        last_millis: u64,
    },
}

impl Clock {
    /// A clock that starts at the wall's time.
    pub fn start() -> Self {
        Self::on(SystemClock::start())
    }

    /// The same on other clocks than the machine's.
    pub fn on(source: impl ClockSource + 'static) -> Self {
        let slew = Slew::new(Reading { monotonic: source.monotonic(), wall: source.wall() });
        Self { source: Box::new(source), slew: Mutex::new(slew) }
    }

    /// The time now. Never less than any time told before.
    pub fn now(&self) -> Timestamp {
        self.observe().0
    }

    /// Whether deadlines may be acted on.
    pub fn state(&self) -> ClockState {
        self.observe().1
    }

    /// Wall minus time, in milliseconds.
    pub fn gap_millis(&self) -> i64 {
        self.slew.lock().gap / MICROS_PER_MILLI
    }

    /// An operator says that the wall is right, as it is now. See [`Slew::confirm`].
    pub fn confirm(&self) {
        let mut slew = self.slew.lock();
        slew.observe(Reading { monotonic: self.source.monotonic(), wall: self.source.wall() });
        slew.confirm();
    }

    /// Before anything was told: takes the time of a wall that has moved ahead meanwhile. A machine
    /// that has just started gets its time late, and a long journal takes minutes to read.
    pub fn catch_up(&self) {
        let mut slew = self.slew.lock();
        slew.observe(Reading { monotonic: self.source.monotonic(), wall: self.source.wall() });
        if 0 < slew.gap {
            slew.confirm();
        }
    }

    fn observe(&self) -> (Timestamp, ClockState) {
        let mut slew = self.slew.lock();
        let monotonic = self.source.monotonic();
        if slew.wants_wall(monotonic) {
            slew.observe(Reading { monotonic, wall: self.source.wall() });
        }
        (slew.time_at(monotonic), slew.state())
    }
}

impl SystemClock {
    /// Clocks whose monotonic one begins now.
    pub fn start() -> Self {
        Self { started: monotonic_now() }
    }
}

impl ClockSource for SystemClock {
    fn monotonic(&self) -> u64 {
        let elapsed = monotonic_now().saturating_duration_since(self.started);
        u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
    }

    fn wall(&self) -> u64 {
        wall_micros()
    }
}

impl Slew {
    /// A time that starts at the wall's.
    pub const fn new(start: Reading) -> Self {
        Self { last: start, time: start.wall, told: 0, gap: 0, accepted: 0, suspended: false }
    }

    /// Takes note of what the clocks show, and pulls the time towards the wall.
    pub fn observe(&mut self, reading: Reading) {
        let elapsed = reading.monotonic.saturating_sub(self.last.monotonic);
        let free = self.time.saturating_add(elapsed);
        let gap = difference(reading.wall, free);
        let pull_max = i64::try_from(elapsed / MICROS_PER_PULLED_MICRO).unwrap_or(i64::MAX);
        let pull = if self.suspended { 0 } else { gap.clamp(-pull_max, pull_max) };

        self.time = free.saturating_add_signed(pull);
        self.gap = gap.saturating_sub(pull);
        self.last = reading;
        if self.gap.abs() < self.accepted.abs() {
            self.accepted = self.gap;
        }
        if GAP_MICROS_MAX < self.gap.saturating_sub(self.accepted).abs() {
            self.suspended = true;
        }
    }

    /// An operator says that the wall is right: a wall that is ahead is jumped to; one that is
    /// behind is approached at 500 ppm, because time never goes back.
    pub fn confirm(&mut self) {
        if 0 < self.gap {
            self.time = self.time.saturating_add_signed(self.gap);
            self.gap = 0;
        }
        self.accepted = self.gap;
        self.suspended = false;
    }

    /// The time at a monotonic reading that is not before the last observed one.
    ///
    /// A pull backwards is known only when the wall is looked at, after some of the time that it
    /// takes away was told: time stands still until that is made up.
    pub fn time_at(&mut self, monotonic: u64) -> Timestamp {
        let elapsed = monotonic.saturating_sub(self.last.monotonic);
        self.told = self.told.max(self.time.saturating_add(elapsed));
        Timestamp::from_millis(self.told / MICROS_PER_MILLI.unsigned_abs())
    }

    /// Whether deadlines may be acted on.
    pub const fn state(&self) -> ClockState {
        if self.suspended {
            ClockState::Suspended { gap_millis: self.gap / MICROS_PER_MILLI }
        } else {
            ClockState::Good
        }
    }

    /// Whether it is time to look at the wall again.
    const fn wants_wall(&self, monotonic: u64) -> bool {
        WALL_EVERY_MICROS <= monotonic.saturating_sub(self.last.monotonic)
    }
}

/// Checks the clock against the time of the journal's last record.
///
/// # Errors
///
/// [`StartFault::Wait`] for a clock less than 5 s behind, [`StartFault::Behind`] for one further.
pub fn check_start(now: Timestamp, last_time: Timestamp) -> Result<(), StartFault> {
    let (now_millis, last_millis) = (now.as_millis(), last_time.as_millis());
    match last_millis.saturating_sub(now_millis) {
        0 => Ok(()),
        behind if behind < START_WAIT_MILLIS_MAX => {
            Err(StartFault::Wait(Duration::from_millis(behind)))
        }
        _ => Err(StartFault::Behind { now_millis, last_millis }),
    }
}

/// The monotonic clock, for measuring how long something takes.
pub fn monotonic_now() -> Instant {
    #![expect(clippy::disallowed_methods, reason = "the one place that reads the OS clocks")]
    Instant::now()
}

/// Lets the calling thread sleep. Only what drives a load or waits for a start may.
pub fn pause(duration: Duration) {
    #![expect(clippy::disallowed_methods, reason = "the one place that knows the OS's time")]
    std::thread::sleep(duration);
}

fn wall_micros() -> u64 {
    #![expect(clippy::disallowed_methods, reason = "the one place that reads the OS clocks")]
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX)
}

fn difference(left: u64, right: u64) -> i64 {
    i64::try_from(i128::from(left) - i128::from(right)).unwrap_or(i64::MAX)
}

const MICROS_PER_MILLI: i64 = 1_000;

/// 500 ppm, the rate that adjtime keeps to: one microsecond in 2,000.
const MICROS_PER_PULLED_MICRO: u64 = 2_000;

/// More than NTP leaves, less than anybody would call punctual.
const GAP_MICROS_MAX: i64 = 1_000_000;

/// Ten times a second: a jump is noticed before the ticker's next but one round.
const WALL_EVERY_MICROS: u64 = 100_000;

/// What a restarted time service puts right by itself.
const START_WAIT_MILLIS_MAX: u64 = 5_000;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    const START: u64 = 1_800_000_000_000_000;
    const SECOND: u64 = 1_000_000;

    /// Runs a script of `monotonic s | wall s | time ms after start | state`, one row a reading.
    /// `confirm` alone on a row is the operator.
    fn check(script: &str) {
        let mut slew = Slew::new(Reading { monotonic: 0, wall: START });
        for row in script.lines().map(str::trim).filter(|row| !row.is_empty()) {
            if row == "confirm" {
                slew.confirm();
                continue;
            }
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let micros = |cell: &str| {
                let time: jiff::SignedDuration = format!("{cell}s").parse().unwrap();
                i64::try_from(time.as_micros()).unwrap()
            };
            let monotonic = micros(cells[0]).unsigned_abs();
            slew.observe(Reading {
                monotonic,
                wall: START.saturating_add_signed(micros(cells[1])),
            });
            let time = slew.time_at(monotonic).as_millis() - START / 1_000;
            assert_eq!(time.to_string(), cells[2], "time in {row}");
            let state = match slew.state() {
                ClockState::Good => "good".to_owned(),
                ClockState::Suspended { gap_millis } => format!("gap {gap_millis}"),
            };
            assert_eq!(state, cells[3], "state in {row}");
        }
    }

    #[test]
    fn time_follows_the_wall_by_500_ppm_at_most() {
        check(
            "
            10 | 10    | 10000 | good
            20 | 20.9  | 20005 | good
            40 | 40.9  | 40015 | good
            50 | 49.5  | 50010 | good
            60 | 60.01 | 60010 | good
            ",
        );
    }

    #[test]
    fn a_gap_over_a_second_suspends_until_it_is_confirmed() {
        check(
            "
            10 | 11.004 | 10005 | good
            20 | 25     | 20010 | gap 4990
            30 | 30     | 30010 | gap -10
            confirm
            40 | 40     | 40005 | good
            ",
        );
    }

    #[test]
    fn a_confirmed_wall_that_is_ahead_is_jumped_to() {
        check(
            "
            10 | 70 | 10005 | gap 59995
            confirm
            20 | 80 | 80000 | good
            ",
        );
    }

    #[test]
    fn a_confirmed_wall_that_is_behind_is_approached_without_going_back() {
        check(
            "
            100  | 90   | 99950  | gap -9950
            confirm
            200  | 190  | 199900 | good
            4200 | 4190 | 4197900 | good
            4201 | 4100 | 4198899 | gap -98899
            ",
        );
    }

    #[test]
    fn a_slow_drift_is_followed_for_a_day_and_a_fast_one_raises_the_alarm() {
        for (ppm, suspended_after) in
            [(400, None), (-400, None), (600, Some(10_000)), (-600, Some(10_000))]
        {
            let mut slew = Slew::new(Reading { monotonic: 0, wall: START });
            let suspended = (1..=864_000_u64).find(|step| {
                let monotonic = step * SECOND / 10;
                let drift = i64::try_from(monotonic).unwrap() / 1_000_000 * ppm;
                slew.observe(Reading {
                    monotonic,
                    wall: (START + monotonic).saturating_add_signed(drift),
                });
                slew.state() != ClockState::Good
            });
            let seconds = suspended.map(|step| step / 10);
            assert_eq!(seconds.is_some(), suspended_after.is_some(), "{ppm} ppm: {seconds:?}");
            if let (Some(found), Some(expected)) = (seconds, suspended_after) {
                assert!(found.abs_diff(expected) < 20, "{ppm} ppm: after {found} s");
            }
        }
    }

    #[test]
    fn time_between_two_looks_at_the_wall_never_goes_back() {
        let mut slew = Slew::new(Reading { monotonic: 0, wall: START });
        let mut last = Timestamp::default();
        for step in 1..2_000_u64 {
            let monotonic = step * 333;
            let time = slew.time_at(monotonic);
            assert!(last <= time, "{last:?} then {time:?}");
            last = time;
            if step % 7 == 0 {
                let wall = START + monotonic - if step % 2 == 0 { 900_000 } else { 0 };
                slew.observe(Reading { monotonic, wall });
            }
        }
    }

    #[test]
    fn a_start_behind_the_journal_waits_or_refuses() {
        let at = |seconds: u64| Timestamp::from_millis((START + seconds * SECOND) / 1_000);
        assert_eq!(check_start(at(10), at(10)), Ok(()));
        let wait = StartFault::Wait(Duration::from_secs(4));
        assert_eq!(check_start(at(10), at(14)), Err(wait));
        let Err(StartFault::Behind { .. }) = check_start(at(10), at(15)) else { panic!("started") };
    }

    /// Clocks that a test turns: monotonic and wall, in microseconds.
    #[derive(Clone, Debug, Default)]
    struct Turned(Arc<[AtomicU64; 2]>);

    impl ClockSource for Turned {
        fn monotonic(&self) -> u64 {
            self.0[0].load(Ordering::SeqCst)
        }

        fn wall(&self) -> u64 {
            self.0[1].load(Ordering::SeqCst)
        }
    }

    #[test]
    fn before_anything_is_told_a_clock_catches_up_and_never_goes_back() {
        for (wall, time, state) in [
            (START + 40 * SECOND, START + 40 * SECOND, ClockState::Good),
            (START, START + 10 * SECOND, ClockState::Suspended { gap_millis: -9_995 }),
        ] {
            let source = Turned::default();
            source.0[1].store(START, Ordering::SeqCst);
            let clock = Clock::on(source.clone());
            source.0[0].store(10 * SECOND, Ordering::SeqCst);
            source.0[1].store(wall, Ordering::SeqCst);
            clock.catch_up();
            assert!(time / 1_000 - clock.now().as_millis() <= 5);
            assert_eq!(clock.state(), state);
        }
    }

    #[test]
    fn the_real_clock_moves_forwards() {
        let clock = Clock::start();
        let (first, second) = (clock.now(), clock.now());
        assert!(first <= second && Timestamp::from_millis(1_700_000_000_000) < first);
        assert_eq!(clock.state(), ClockState::Good);
    }
}
