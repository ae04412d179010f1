//! Just enough SVG, as text inside a page.
//!
//! **Architecture invariant:** shapes carry classes, not colours: the page's style knows light and dark.

use std::fmt::Write;

/// A drawing that grows.
#[derive(Debug)]
pub(super) struct Svg {
    text: String,
}

/// Where a text begins, seen from its point.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    /// An empty drawing, as wide as the page allows. The label is read out to who does not see it.
    pub(super) fn new(width: f64, height: f64, label: &str) -> Self {
        let mut svg = Self { text: String::new() };
        svg.add(format_args!(
            "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">",
            escaped(label)
        ));
        svg
    }

    /// A straight line.
    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        self.add(format_args!(
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" class=\"{class}\"/>",
            from.0, from.1, to.0, to.1
        ));
    }

    /// A line through points, with a name that shows when it is pointed at.
    pub(super) fn path(&mut self, points: &[(f64, f64)], class: &str, name: &str) {
        let Some((first, rest)) = points.split_first() else { return };
        self.add(format_args!("<path class=\"{class}\" d=\"M{:.1} {:.1}", first.0, first.1));
        for point in rest {
            self.add(format_args!("L{:.1} {:.1}", point.0, point.1));
        }
        self.add(format_args!("\"><title>{}</title></path>", escaped(name)));
    }

    /// A box.
    pub(super) fn rect(&mut self, at: (f64, f64), size: (f64, f64), class: &str, name: &str) {
        self.add(format_args!(
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" class=\"{class}\"><title>{}</title></rect>",
            at.0,
            at.1,
            size.0.max(0.0),
            size.1.max(0.0),
            escaped(name)
        ));
    }

    /// A circle.
    pub(super) fn circle(&mut self, at: (f64, f64), radius: f64, class: &str, name: &str) {
        self.add(format_args!(
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius:.1}\" class=\"{class}\"><title>{}</title></circle>",
            at.0,
            at.1,
            escaped(name)
        ));
    }

    /// Words.
    pub(super) fn text(&mut self, at: (f64, f64), anchor: Anchor, class: &str, words: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.add(format_args!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" class=\"{class}\">{}</text>",
            at.0,
            at.1,
            escaped(words)
        ));
    }

    /// The drawing.
    pub(super) fn finish(mut self) -> String {
        self.text.push_str("</svg>");
        self.text
    }

    fn add(&mut self, what: std::fmt::Arguments<'_>) {
        // Writing into a string cannot fail.
        let _written = self.text.write_fmt(what);
    }
}

/// Words as the text of a page.
pub(super) fn escaped(words: &str) -> String {
    let mut escaped = String::with_capacity(words.len());
    for letter in words.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// About how wide words are in the size of labels, in units of the drawing.
pub(super) fn width_of(words: &str) -> f64 {
    let width = |letter: char| if letter.is_ascii() { 6.6 } else { 12.0 };
    words.chars().map(width).sum()
}
