//! Systems side by side: a bar for the median, a whisker from the least to the most of its runs.

use super::Peers;
use super::axis::{Axis, number};
use super::svg::{Anchor, Svg, width_of};

const WIDTH: f64 = 860.0;
const RIGHT: f64 = 70.0;
const TOP: f64 = 10.0;
const ROW: f64 = 30.0;
const THICK: f64 = 18.0;
const BELOW: f64 = 46.0;

/// Draws it.
#[expect(clippy::cast_precision_loss, reason = "a picture")]
pub(super) fn draw(figure: &Peers) -> String {
    let names = figure.bars.iter().map(|bar| width_of(&bar.name));
    let left = names.fold(60.0, f64::max) + 24.0;
    let bottom = TOP + figure.bars.len() as f64 * ROW;
    let mut svg = Svg::new(WIDTH, bottom + BELOW, &figure.unit);
    let values = figure.bars.iter().flat_map(|bar| [bar.value, bar.low, bar.high]);
    let axis = Axis::of(values, figure.scale);
    let at = |value| left + axis.place(value).unwrap_or(0.0) * (WIDTH - RIGHT - left);
    for tick in &axis.ticks {
        svg.line((at(*tick), TOP), (at(*tick), bottom), "grid");
        svg.text((at(*tick), bottom + 18.0), Anchor::Middle, "words", &number(*tick));
    }
    svg.text((WIDTH - RIGHT, bottom + 38.0), Anchor::End, "unit", &figure.unit);
    for (row, bar) in figure.bars.iter().enumerate() {
        let middle = TOP + (row as f64 + 0.5) * ROW;
        let class = if bar.is_ours { "ours" } else { "theirs" };
        let value = number(bar.value);
        svg.text((left - 12.0, middle + 4.0), Anchor::End, "words", &bar.name);
        let size = (at(bar.value) - left, THICK);
        svg.rect((left, middle - THICK / 2.0), size, class, &format!("{}: {value}", bar.name));
        svg.line((at(bar.low), middle), (at(bar.high), middle), "whisker");
        let end = at(bar.value).max(at(bar.high)) + 8.0;
        svg.text((end, middle + 4.0), Anchor::Start, "value", &value);
    }
    svg.finish()
}
