//! Shares before and after: a ring, a dot, and a line between them for each group.
//!
//! ```text
//! ring      *------------------------------o      * after  o before
//!           | share of identities
//! ```

use super::svg::{Anchor, Svg, width_of};
use super::{Fairness, Shares};

const WIDTH: f64 = 860.0;
const RIGHT: f64 = 70.0;
const TOP: f64 = 66.0;
const ROW: f64 = 40.0;
const BELOW: f64 = 46.0;

/// Draws it.
#[expect(clippy::cast_precision_loss, reason = "a picture")]
pub(super) fn draw(figure: &Fairness) -> String {
    let names = figure.groups.iter().map(|group| width_of(&group.name));
    let left = names.fold(60.0, f64::max) + 24.0;
    let bottom = TOP + figure.groups.len() as f64 * ROW;
    let mut svg = Svg::new(WIDTH, bottom + BELOW, "shares before and after");
    legend(&mut svg, figure, left);
    let at = |share: f64| {
        let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
        left + share * (WIDTH - RIGHT - left)
    };
    for step in 0..=5 {
        let share = f64::from(step) / 5.0;
        svg.line((at(share), TOP), (at(share), bottom), "grid");
        let words = format!("{:.0} %", 100.0 * share);
        svg.text((at(share), bottom + 18.0), Anchor::Middle, "words", &words);
    }
    svg.text((WIDTH - RIGHT, bottom + 38.0), Anchor::End, "unit", "share of the places");
    svg.line((at(figure.reference), TOP - 6.0), (at(figure.reference), bottom), "mark");
    for (row, group) in figure.groups.iter().enumerate() {
        let y = TOP + (row as f64 + 0.5) * ROW;
        svg.text((left - 12.0, y + 4.0), Anchor::End, "words", &group.name);
        dumbbell(&mut svg, group, y, &at);
    }
    svg.finish()
}

fn legend(svg: &mut Svg, figure: &Fairness, left: f64) {
    svg.circle((left, 14.0), 6.0, "ring c1", &figure.before);
    svg.text((left + 14.0, 18.0), Anchor::Start, "words", &figure.before);
    let next = left + 36.0 + width_of(&figure.before);
    svg.circle((next, 14.0), 6.0, "dot c0", &figure.after);
    svg.text((next + 14.0, 18.0), Anchor::Start, "words", &figure.after);
    let next = next + 36.0 + width_of(&figure.after);
    svg.line((next, 6.0), (next, 22.0), "mark");
    let words = format!("{}: {}", figure.reference_name, percent(figure.reference));
    svg.text((next + 10.0, 18.0), Anchor::Start, "words", &words);
}

fn dumbbell(svg: &mut Svg, group: &Shares, y: f64, at: &impl Fn(f64) -> f64) {
    let (before, after) = (at(group.before), at(group.after));
    svg.line((before, y), (after, y), "frame");
    svg.circle((before, y), 7.0, "ring c1", &percent(group.before));
    svg.circle((after, y), 7.0, "dot c0", &percent(group.after));
    let words = format!("{} to {}", percent(group.before), percent(group.after));
    // Above the line, where it cannot meet a mark.
    let middle = before.midpoint(after).clamp(110.0, WIDTH - RIGHT - 60.0);
    svg.text((middle, y - 9.0), Anchor::Middle, "unit", &words);
}

fn percent(share: f64) -> String {
    let digits = if share < 0.1 { 2 } else { 1 };
    format!("{:.digits$} %", 100.0 * share)
}
