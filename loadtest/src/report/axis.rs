//! Axes: where a value lies, which values are written beside it, and how.
//!
//! ```text
//! linear: 0, 20k, 40k, 60k      steps of 1, 2 or 5 x 10^n
//! log:    1 ms, 10 ms, 100 ms   decades; within one or two of them also 2 and 5
//! ```
//!
//! **Architecture invariant:** a value of the axis lies within its span, and its ends are written.

use super::Scale;

/// An axis from a value at one end to another at the other.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    pub(super) ticks: Vec<f64>,
}

impl Axis {
    /// An axis that has room for all values. A linear one begins at 0.
    pub(super) fn of(values: impl Iterator<Item = f64>, scale: Scale) -> Self {
        let is_shown = |value: &f64| value.is_finite() && (scale == Scale::Linear || 0.0 < *value);
        let (low, high) =
            values.filter(is_shown).fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), it| {
                (low.min(it), high.max(it))
            });
        match scale {
            Scale::Linear => Self::linear(if high.is_finite() { high } else { 1.0 }),
            Scale::Log if high.is_finite() => Self::log(low, high),
            Scale::Log => Self::log(1.0, 10.0),
        }
    }

    /// From 0 to a round value.
    pub(super) fn linear(high: f64) -> Self {
        let high = if 0.0 < high { high } else { 1.0 };
        let step = round_up(high / 5.0);
        let count = (high / step).ceil();
        let ticks = (0..=whole(count)).map(|tick| f64::from(tick) * step).collect();
        Self { scale: Scale::Linear, low: 0.0, high: count * step, ticks }
    }

    /// From 0 to just this value, with round values written.
    pub(super) fn exactly(high: f64) -> Self {
        let mut axis = Self::linear(high);
        axis.high = if 0.0 < high { high } else { 1.0 };
        let last = axis.high;
        axis.ticks.retain(|tick| *tick <= last);
        axis
    }

    fn log(low: f64, high: f64) -> Self {
        let (from, to) = (low.log10().floor(), high.log10().ceil().max(low.log10().floor() + 1.0));
        let factors: &[f64] = if to - from <= 2.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let decades = (0..=whole(to - from)).map(|decade| from + f64::from(decade));
        let ticks =
            decades.flat_map(|decade| factors.iter().map(move |by| by * 10_f64.powf(decade)));
        let (low, high) = (10_f64.powf(from), 10_f64.powf(to));
        let ticks = ticks.filter(|tick| *tick <= high * 1.001).collect();
        Self { scale: Scale::Log, low, high, ticks }
    }

    /// Where a value lies: 0 at one end, 1 at the other. `None` for what cannot be shown.
    pub(super) fn place(&self, value: f64) -> Option<f64> {
        if !value.is_finite() {
            return None;
        }
        let place = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log if value <= 0.0 => return None,
            Scale::Log => (value / self.low).log10() / (self.high / self.low).log10(),
        };
        Some(place.clamp(0.0, 1.0))
    }
}

/// The next of 1, 2, 5 × 10^n.
fn round_up(value: f64) -> f64 {
    let decade = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * decade)
        .find(|step| value <= step * 1.000_001)
        .unwrap_or(value)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few ticks")]
const fn whole(value: f64) -> u32 {
    value.clamp(0.0, 1_000.0).round() as u32
}

/// A number in few letters: 950, 1.2k, 35k, 1.25M.
pub(crate) fn number(value: f64) -> String {
    let (value, unit) = match value.abs() {
        size if size >= 999_500.0 => (value / 1e6, "M"),
        size if size >= 999.5 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let digits = match value.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        size if size >= 0.01 => 2,
        _ => 4,
    };
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    };
    format!("{text}{unit}")
}

/// A latency in the unit that suits it, of a value in µs.
pub(crate) fn latency(micros: f64) -> String {
    match micros {
        size if size >= 1e6 => format!("{} s", number(micros / 1e6)),
        size if size >= 1e3 => format!("{} ms", number(micros / 1e3)),
        _ => format!("{} µs", number(micros)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_enclose_all_values() {
        for (values, scale, expected) in [
            (vec![3.0, 47.0], Scale::Linear, vec![0.0, 10.0, 20.0, 30.0, 40.0, 50.0]),
            (vec![1.0], Scale::Linear, vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
            (vec![], Scale::Linear, vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
            (vec![150.0, 90_000.0], Scale::Log, vec![1e2, 1e3, 1e4, 1e5]),
            (vec![-1.0, 0.0, f64::NAN, 20.0], Scale::Log, vec![10.0, 20.0, 50.0, 100.0]),
        ] {
            let axis = Axis::of(values.iter().copied(), scale);
            let close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-6 * (1.0 + b.abs());
            assert_eq!(axis.ticks.len(), expected.len(), "{:?}", axis.ticks);
            assert!(axis.ticks.iter().zip(&expected).all(close), "{:?}", axis.ticks);
        }
    }

    #[test]
    fn values_lie_between_the_ends() {
        let axis = Axis::of([10.0, 1_000.0].into_iter(), Scale::Log);
        for (value, place) in
            [(10.0, Some(0.0)), (100.0, Some(0.5)), (1_000.0, Some(1.0)), (0.0, None)]
        {
            assert_eq!(axis.place(value), place, "{value}");
        }
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (0.25, "0.25"),
            (950.0, "950"),
            (1_234.0, "1.23k"),
            (35_000.0, "35k"),
            (999_600.0, "1M"),
            (1_250_000.0, "1.25M"),
        ] {
            assert_eq!(number(value), text);
        }
        for (micros, text) in [(80.0, "80 µs"), (1_500.0, "1.5 ms"), (2e6, "2 s")] {
            assert_eq!(latency(micros), text);
        }
    }
}
