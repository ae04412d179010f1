//! Who took how many places, from the opening on.

use super::Sales;
use super::axis::{Axis, number};
use super::chart::{Chart, Words};

/// Draws it. A curve is a staircase: between two points nothing is sold.
#[expect(clippy::cast_precision_loss, reason = "a picture")]
pub(super) fn draw(figure: &Sales) -> String {
    let points = || figure.curves.iter().flat_map(|curve| &curve.points);
    let end = points().map(|(seconds, _)| *seconds).fold(0.0, f64::max);
    let most = points().map(|(_, places)| *places).filter(|places| places.is_finite());
    let most = most.fold(figure.places as f64, f64::max);
    let names: Vec<_> = figure.curves.iter().map(|curve| curve.name.as_str()).collect();
    let x: (Axis, Words, &str) = (Axis::exactly(end), number, "seconds since the opening");
    let y: (Axis, Words, &str) = (Axis::linear(most), number, "places taken");
    let mut chart = Chart::new(x, y, &names, "places taken by population");
    if 0 < figure.places {
        chart.mark(figure.places as f64, &format!("all {} places", figure.places));
    }
    for (number, curve) in figure.curves.iter().enumerate() {
        chart.curve(number, &stairs(&curve.points, end), &curve.name);
    }
    chart.svg.finish()
}

fn stairs(points: &[(f64, f64)], end: f64) -> Vec<(f64, f64)> {
    let mut stairs = Vec::with_capacity(2 * points.len() + 1);
    let mut last = None;
    for (seconds, places) in points {
        if let Some(before) = last {
            stairs.push((*seconds, before));
        }
        stairs.push((*seconds, *places));
        last = Some(*places);
    }
    stairs.extend(last.map(|places| (end, places)));
    stairs
}
