//! When somebody comes: steadily, at random, in a rush that fades, or as a recorded curve says.
//!
//! ```text
//! shape: so many a second at each moment     1, or Exp(1), of "arrivals due" per arrival
//!    |\                                      walks along the area under the shape:
//! ___| \____                                 the same seed, the same instants
//! ```
//!
//! **Architecture invariant:** an instant depends on the seed, the shape and nothing else: no answer and
//! no clock comes in here.

use std::path::Path;
use std::str::FromStr;

use crate::Failure;
use crate::random::Random;

/// How people come.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Arrivals {
    /// Evenly.
    Steady,
    /// Independently of each other, as many on the average.
    Poisson,
    /// Few, then all at once, then fewer and fewer: an opening. At random, as all that follows.
    Spike,
    /// As many as were counted somewhere: seconds and rates in a file, the highest made the rate.
    Recorded(Vec<(f64, f64)>),
}

/// The instants of one process, in order.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    arrivals: Arrivals,
    /// The most in a second.
    rate: f64,
    /// The end, in seconds.
    end: f64,
    random: Random,
    /// Where the walk is, in seconds, and the piece of the shape.
    now: f64,
    piece: u32,
    /// The rate in that piece.
    here: f64,
    /// Of the first arrival, when they are even.
    phase: f64,
}

/// The shape is constant for so long, in seconds.
const PIECE: f64 = 0.01;

/// A spike: this share of the run lies before it, and so much of the rate comes then and at the end;
/// what is above that falls to a third in this share of the run.
const SPIKE_AT: f64 = 0.1;
const SPIKE_FLOOR: f64 = 0.1;
const SPIKE_DECAY: f64 = 0.2;

impl FromStr for Arrivals {
    type Err = String;

    /// A name, or the path of a file with a recorded curve.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "steady" => Ok(Self::Steady),
            "poisson" => Ok(Self::Poisson),
            "spike" => Ok(Self::Spike),
            path => Self::read(Path::new(path)).map_err(|failure| failure.to_string()),
        }
    }
}

impl Arrivals {
    /// The name in reports.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Poisson => "poisson",
            Self::Spike => "spike",
            Self::Recorded(_) => "recorded",
        }
    }

    fn read(path: &Path) -> Result<Self, Failure> {
        let told = |what: &str| {
            format!(
                "{}: {what}; arrivals are steady, poisson, spike, or a file of lines `seconds,rate`",
                path.display()
            )
        };
        let text = std::fs::read_to_string(path).map_err(|error| told(&error.to_string()))?;
        Self::recorded(&text).map_err(|what| told(&what).into())
    }

    /// Lines of seconds and rates, in order. A first line may say what they are.
    fn recorded(text: &str) -> Result<Self, String> {
        let mut points: Vec<(f64, f64)> = Vec::new();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let point = line.split_once(',').and_then(|(seconds, rate)| {
                Some((seconds.trim().parse().ok()?, rate.trim().parse().ok()?))
            });
            match point {
                Some(point) if is_next(&points, point) => points.push(point),
                None if number == 0 => {}
                _ => {
                    let number = number + 1;
                    return Err(format!("line {number} is no later second with a rate: {line:?}"));
                }
            }
        }
        if points.iter().any(|(_, rate)| 0.0 < *rate) {
            Ok(Self::Recorded(points))
        } else {
            Err("it has no rate above 0".to_owned())
        }
    }

    /// The share of the rate that comes at a moment of a run of so many seconds.
    fn share(&self, seconds: f64, end: f64) -> f64 {
        match self {
            Self::Steady | Self::Poisson => 1.0,
            Self::Spike => {
                let since = seconds / end - SPIKE_AT;
                let fading = if since < 0.0 { 0.0 } else { (-since / SPIKE_DECAY).exp() };
                SPIKE_FLOOR + (1.0 - SPIKE_FLOOR) * fading
            }
            Self::Recorded(points) => {
                let most = points.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
                between(points, seconds) / most
            }
        }
    }
}

fn is_next(points: &[(f64, f64)], (seconds, rate): (f64, f64)) -> bool {
    let is_later = points.last().is_none_or(|(before, _)| *before < seconds);
    is_later && seconds.is_finite() && rate.is_finite() && 0.0 <= seconds && 0.0 <= rate
}

/// A value between points; the ends hold beyond them.
fn between(points: &[(f64, f64)], seconds: f64) -> f64 {
    let next = points.partition_point(|(at, _)| *at <= seconds);
    match (next.checked_sub(1).and_then(|at| points.get(at)), points.get(next)) {
        (Some((from, low)), Some((to, high))) => {
            low + (high - low) * (seconds - from) / (to - from)
        }
        (Some((_, rate)), None) | (None, Some((_, rate))) => *rate,
        (None, None) => 0.0,
    }
}

impl Schedule {
    /// The `part`th of so many processes that together come at a rate, over some seconds.
    pub(crate) fn new(
        arrivals: &Arrivals,
        rate: f64,
        seconds: f64,
        (part, parts): (u32, u32),
        seed: u64,
    ) -> Self {
        let random = Random::new(seed ^ u64::from(part).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        // Even processes take turns.
        let phase = f64::from(part) / f64::from(parts);
        let (arrivals, rate) = (arrivals.clone(), rate / f64::from(parts));
        let mut schedule =
            Self { arrivals, rate, end: seconds, random, now: 0.0, piece: 0, here: 0.0, phase };
        schedule.here = schedule.rate_here();
        schedule
    }

    /// The next instant, in µs from the start. `None` when the run is over.
    pub(crate) fn next(&mut self) -> Option<u64> {
        let mut wanted = match self.arrivals {
            Arrivals::Steady if self.now == 0.0 => self.phase.max(1e-9),
            Arrivals::Steady => 1.0,
            _ => self.exponential(),
        };
        loop {
            let until = f64::from(self.piece + 1) * PIECE;
            let here = self.here * (until - self.now);
            if wanted <= here {
                self.now += wanted / self.here;
                break;
            }
            wanted -= here.max(0.0);
            self.now = until;
            self.piece += 1;
            self.here = self.rate_here();
            if self.end <= self.now {
                return None;
            }
        }
        (self.now < self.end).then(|| micros(self.now))
    }

    /// The rate in the middle of the piece.
    fn rate_here(&self) -> f64 {
        let middle = (f64::from(self.piece) + 0.5) * PIECE;
        self.rate * self.arrivals.share(middle, self.end)
    }

    /// The area between two arrivals that know nothing of each other.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are meant")]
    fn exponential(&mut self) -> f64 {
        let uniform = (self.random.next() >> 11) as f64 / (1_u64 << 53) as f64;
        -(1.0 - uniform).ln()
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within a run")]
fn micros(seconds: f64) -> u64 {
    (seconds * 1e6) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instants(arrivals: &Arrivals, rate: f64, seconds: f64, seed: u64) -> Vec<u64> {
        let mut schedule = Schedule::new(arrivals, rate, seconds, (0, 1), seed);
        std::iter::from_fn(|| schedule.next()).collect()
    }

    fn count(instants: &[u64], from: u64, to: u64) -> usize {
        instants.iter().filter(|at| (from..to).contains(*at)).count()
    }

    #[test]
    fn steady_arrivals_are_a_step_apart() {
        let found = instants(&Arrivals::Steady, 1_000.0, 2.0, 1);
        assert!((1_999..=2_001).contains(&found.len()), "{}", found.len());
        assert!(found.windows(2).all(|pair| (999..=1_001).contains(&(pair[1] - pair[0]))));
    }

    #[test]
    fn parts_of_a_steady_process_take_turns() {
        let mut all: Vec<u64> = (0..4)
            .flat_map(|part| {
                let mut one = Schedule::new(&Arrivals::Steady, 1_000.0, 1.0, (part, 4), 1);
                std::iter::from_fn(move || one.next()).collect::<Vec<_>>()
            })
            .collect();
        all.sort_unstable();
        assert!(all.windows(2).all(|pair| (999..=1_001).contains(&(pair[1] - pair[0]))));
    }

    #[test]
    fn poisson_arrivals_spread_as_they_should() {
        let found = instants(&Arrivals::Poisson, 10_000.0, 4.0, 3);
        // The count has a deviation of 200, and so has the variance of counts in 10 ms around 100.
        assert!((39_000..41_000).contains(&found.len()), "{}", found.len());
        let counts: Vec<f64> = (0..400)
            .map(|step| {
                f64::from(u32::try_from(count(&found, step * 10_000, (step + 1) * 10_000)).unwrap())
            })
            .collect();
        let mean = counts.iter().sum::<f64>() / 400.0;
        let variance = counts.iter().map(|it| (it - mean) * (it - mean)).sum::<f64>() / 399.0;
        assert!((75.0..130.0).contains(&variance), "{variance}");
    }

    #[test]
    fn a_spike_is_highest_when_it_begins() {
        let found = instants(&Arrivals::Spike, 10_000.0, 10.0, 1);
        let second = |at: u64| count(&found, at * 1_000_000, (at + 1) * 1_000_000);
        assert!((800..1_200).contains(&second(0)), "{}", second(0));
        assert!(second(1) > 7 * second(0), "{} {}", second(0), second(1));
        assert!((1..9).all(|at| second(at) > second(at + 1)));
    }

    #[test]
    fn a_recorded_curve_is_followed() {
        let curve = Arrivals::recorded("seconds,rate\n0,0\n1,50\n2,50\n3,0\n").unwrap();
        let found = instants(&curve, 1_000.0, 3.0, 1);
        for (from, to, expected) in [(0, 1, 500), (1, 2, 1_000), (2, 3, 500)] {
            let found = count(&found, from * 1_000_000, to * 1_000_000);
            assert!(found.abs_diff(expected) < 120, "{from}: {found}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_instants() {
        for arrivals in [Arrivals::Poisson, Arrivals::Spike] {
            assert_eq!(instants(&arrivals, 500.0, 3.0, 7), instants(&arrivals, 500.0, 3.0, 7));
            assert_ne!(instants(&arrivals, 500.0, 3.0, 7), instants(&arrivals, 500.0, 3.0, 8));
        }
    }

    #[test]
    fn curves_that_make_no_sense_are_refused() {
        for (text, why) in [
            ("0,1\n0,2\n", "line 2"),
            ("0,1\n1,-2\n", "line 2"),
            ("0,1\nx\n", "line 2"),
            ("0,0\n", "no rate above 0"),
            ("", "no rate above 0"),
        ] {
            let told = Arrivals::recorded(text).unwrap_err();
            assert!(told.contains(why), "{text:?}: {told}");
        }
    }
}
