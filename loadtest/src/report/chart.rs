//! What pictures with two axes have in common: a frame, ticks, a legend, curves.
//!
//! ```text
//! -- honest  .. scalpers        legend; every curve has a colour and a dash of its own
//! |          ___---
//! |     __--'                   values
//! '--------------------
//!  0      1      2   seconds
//! ```
//!
//! **Architecture invariant:** curves are told apart by their dashes too, not by colour alone.

use super::axis::Axis;
use super::svg::{Anchor, Svg, width_of};

/// Curves that look different; more take turns.
const LOOKS: usize = 7;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 40.0;
const PLOT_HEIGHT: f64 = 250.0;
const BELOW: f64 = 46.0;

/// A row of the legend, and its sample.
const ROW: f64 = 22.0;
const SAMPLE: f64 = 30.0;
const GAP: f64 = 22.0;

/// A picture with two axes.
#[derive(Debug)]
pub(super) struct Chart {
    pub(super) svg: Svg,
    top: f64,
    x: Axis,
    y: Axis,
}

/// How the values of an axis are written.
pub(super) type Words = fn(f64) -> String;

impl Chart {
    /// A frame with its legend. The units are those of x and y.
    pub(super) fn new(
        (x, x_words, x_unit): (Axis, Words, &str),
        (y, y_words, y_unit): (Axis, Words, &str),
        names: &[&str],
        label: &str,
    ) -> Self {
        let places = legend_places(names);
        let rows = places.last().map_or(0.0, |(_, row)| row + 1.0);
        let top = 28.0 + rows * ROW;
        let mut svg = Svg::new(WIDTH, top + PLOT_HEIGHT + BELOW, label);
        for (look, (name, (left, row))) in names.iter().zip(&places).enumerate() {
            let y = 14.0 + row * ROW;
            svg.path(&[(*left, y), (left + SAMPLE, y)], &look_of(look), name);
            svg.text((left + SAMPLE + 6.0, y + 4.0), Anchor::Start, "words", name);
        }
        let mut chart = Self { svg, top, x, y };
        chart.frame(x_words, x_unit, y_words, y_unit);
        chart
    }

    fn frame(&mut self, x_words: Words, x_unit: &str, y_words: Words, y_unit: &str) {
        let (right, bottom) = (WIDTH - RIGHT, self.top + PLOT_HEIGHT);
        for tick in self.y.ticks.clone() {
            let Some((_, at)) = self.point(self.x.ticks[0], tick) else { continue };
            self.svg.line((LEFT, at), (right, at), "grid");
            self.svg.text((LEFT - 8.0, at + 4.0), Anchor::End, "words", &y_words(tick));
        }
        for tick in self.x.ticks.clone() {
            let Some(at) = self.x.place(tick).map(|place| LEFT + place * (right - LEFT)) else {
                continue;
            };
            self.svg.line((at, bottom), (at, bottom + 5.0), "frame");
            self.svg.text((at, bottom + 20.0), Anchor::Middle, "words", &x_words(tick));
        }
        self.svg.line((LEFT, bottom), (right, bottom), "frame");
        self.svg.text((8.0, self.top - 12.0), Anchor::Start, "unit", y_unit);
        self.svg.text((right, bottom + 38.0), Anchor::End, "unit", x_unit);
    }

    /// Where a point lies. `None`, if it cannot be shown.
    pub(super) fn point(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        let (across, up) = (self.x.place(x)?, self.y.place(y)?);
        Some((LEFT + across * (WIDTH - RIGHT - LEFT), self.top + (1.0 - up) * PLOT_HEIGHT))
    }

    /// A curve, in the look of its number.
    pub(super) fn curve(&mut self, number: usize, points: &[(f64, f64)], name: &str) {
        let shown: Vec<_> = points.iter().filter_map(|(x, y)| self.point(*x, *y)).collect();
        self.svg.path(&shown, &look_of(number), name);
    }

    /// A value that is marked from side to side.
    pub(super) fn mark(&mut self, y: f64, words: &str) {
        let Some((_, at)) = self.point(self.x.ticks[0], y) else { return };
        self.svg.line((LEFT, at), (WIDTH - RIGHT, at), "mark");
        self.svg.text((WIDTH - RIGHT - 4.0, at - 6.0), Anchor::End, "unit", words);
    }
}

/// The classes of a curve.
fn look_of(number: usize) -> String {
    format!("curve c{}", number % LOOKS)
}

/// Left edge and row of each name.
fn legend_places(names: &[&str]) -> Vec<(f64, f64)> {
    let (mut left, mut row) = (LEFT, 0.0);
    let place = |name: &&str| {
        let width = SAMPLE + 6.0 + width_of(name);
        if LEFT < left && WIDTH - RIGHT < left + width {
            (left, row) = (LEFT, row + 1.0);
        }
        let at = (left, row);
        left += width + GAP;
        at
    };
    names.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_legend_takes_several_rows() {
        let names = ["a name of some length"; 12];
        let places = legend_places(&names);
        assert!(places.iter().all(|(left, _)| left + SAMPLE + 6.0 + 140.0 < WIDTH));
        assert!(1.0 < places.last().unwrap().1);
    }
}
