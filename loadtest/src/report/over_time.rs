//! Values over time: throughput, latency, memory.

use super::OverTime;
use super::axis::{Axis, latency, number};
use super::chart::{Chart, Words};

/// Draws it.
pub(super) fn draw(figure: &OverTime) -> String {
    let points = || figure.curves.iter().flat_map(|curve| &curve.points);
    let end = points().map(|(seconds, _)| *seconds).fold(0.0, f64::max);
    let values = Axis::of(points().map(|(_, value)| *value), figure.scale);
    let is_latency = figure.unit == "µs";
    let words: Words = if is_latency { latency } else { number };
    let unit = if is_latency { "latency" } else { &figure.unit };
    let names: Vec<_> = figure.curves.iter().map(|curve| curve.name.as_str()).collect();
    let x: (Axis, Words, &str) = (Axis::exactly(end), number, "seconds");
    let mut chart = Chart::new(x, (values, words, unit), &names, unit);
    for (number, curve) in figure.curves.iter().enumerate() {
        chart.curve(number, &curve.points, &curve.name);
    }
    chart.svg.finish()
}
