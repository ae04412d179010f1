//! Latency by percentile: each step to the right is a tenth of the requests that were left.
//!
//! ```text
//! 0 %    90 %    99 %    99.9 %    x = 1 / (1 - share), logarithmic
//! ```

use super::axis::{Axis, latency};
use super::chart::{Chart, Words};
use super::{Percentiles, Scale};

/// Draws it.
pub(super) fn draw(figure: &Percentiles) -> String {
    let points = || figure.curves.iter().flat_map(|curve| &curve.points);
    let values = Axis::of(points().map(|(_, micros)| *micros), Scale::Log);
    let mut shares = Axis::of(points().map(|(share, _)| rarity(*share)), Scale::Log);
    shares.ticks.retain(|tick| (tick.log10() - tick.log10().round()).abs() < 1e-6);
    let names: Vec<_> = figure.curves.iter().map(|curve| curve.name.as_str()).collect();
    let y: (Axis, Words, &str) = (values, latency, "latency");
    let x: (Axis, Words, &str) = (shares, percent, "of requests were faster");
    let mut chart = Chart::new(x, y, &names, "latency by percentile");
    for (number, curve) in figure.curves.iter().enumerate() {
        let points = curve.points.iter().map(|(share, micros)| (rarity(*share), *micros));
        chart.curve(number, &points.collect::<Vec<_>>(), &curve.name);
    }
    chart.svg.finish()
}

/// One of how many is slower.
fn rarity(share: f64) -> f64 {
    1.0 / (1.0 - share).max(1e-9)
}

fn percent(rarity: f64) -> String {
    let digits = (rarity.log10().round() - 2.0).max(0.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few digits")]
    let digits = digits as usize;
    format!("{:.digits$} %", 100.0 - 100.0 / rarity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_have_as_many_digits_as_they_need() {
        for (rarity, text) in
            [(1.0, "0 %"), (10.0, "90 %"), (100.0, "99 %"), (1e3, "99.9 %"), (1e5, "99.999 %")]
        {
            assert_eq!(percent(rarity), text);
        }
    }
}
