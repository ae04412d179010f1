//! A report that people look at: one HTML file with pictures, and the JSON of everything in it.
//!
//! ```text
//! Page -> facts | section: title, text, figure -> svg | conditions | data      one file, no network
//! ```
//!
//! **Architecture invariant:** a page is plain data, and this module knows nothing of what was measured.

mod axis;
mod chart;
mod fairness;
mod html;
mod over_time;
mod peers;
mod percentiles;
mod sales;
mod svg;

use std::path::Path;

use hdrhistogram::Histogram;

pub(crate) use self::axis::{latency, number};

use crate::Failure;

/// Everything that a report shows.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) title: String,
    /// What was done and what came out, in a sentence or two.
    pub(crate) summary: String,
    /// The few numbers that matter most, by name.
    pub(crate) facts: Vec<(String, String)>,
    pub(crate) sections: Vec<Section>,
    /// What was asked, and where.
    pub(crate) conditions: Vec<(String, String)>,
    /// The JSON of everything.
    pub(crate) data: serde_json::Value,
}

/// A figure with its words.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) title: String,
    /// How to read it.
    pub(crate) text: String,
    pub(crate) figure: Figure,
}

/// A picture, or a table.
#[derive(Clone, Debug)]
pub(crate) enum Figure {
    OverTime(OverTime),
    Percentiles(Percentiles),
    Sales(Sales),
    Fairness(Fairness),
    Peers(Peers),
    Table(Table),
}

/// How values are spread over an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    Linear,
    /// Decades are equally far apart. What is not above 0 is left out.
    Log,
}

/// A named row of points.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    pub(crate) name: String,
    /// Seconds, and the value then.
    pub(crate) points: Vec<(f64, f64)>,
}

/// Values over seconds.
#[derive(Clone, Debug)]
pub(crate) struct OverTime {
    /// Such as `requests/s` or `µs`.
    pub(crate) unit: String,
    pub(crate) scale: Scale,
    pub(crate) curves: Vec<Curve>,
}

/// Latencies by the share of requests that were faster, both axes logarithmic.
#[derive(Clone, Debug)]
pub(crate) struct Percentiles {
    pub(crate) curves: Vec<Latencies>,
}

/// The latencies of a run.
#[derive(Clone, Debug)]
pub(crate) struct Latencies {
    pub(crate) name: String,
    /// The share of requests, 0 to 1, and the µs within which they were answered.
    pub(crate) points: Vec<(f64, f64)>,
}

/// How many places were taken by whom, by seconds since the opening.
#[derive(Clone, Debug)]
pub(crate) struct Sales {
    /// All that there were.
    pub(crate) places: u64,
    /// Places so far.
    pub(crate) curves: Vec<Curve>,
}

/// Who got what share, before and after.
#[derive(Clone, Debug)]
pub(crate) struct Fairness {
    /// Such as `first-come`.
    pub(crate) before: String,
    /// Such as `draw`.
    pub(crate) after: String,
    /// A share that would be fair, 0 to 1.
    pub(crate) reference: f64,
    pub(crate) reference_name: String,
    pub(crate) groups: Vec<Shares>,
}

/// The shares of a group, 0 to 1.
#[derive(Clone, Debug)]
pub(crate) struct Shares {
    pub(crate) name: String,
    pub(crate) before: f64,
    pub(crate) after: f64,
}

/// One value for each system.
#[derive(Clone, Debug)]
pub(crate) struct Peers {
    /// Such as `operations/s`.
    pub(crate) unit: String,
    pub(crate) scale: Scale,
    pub(crate) bars: Vec<Bar>,
}

/// The value of a system, and the least and the most of its runs.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) is_ours: bool,
}

/// Cells. The first column is of words, the others of numbers.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) head: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// A count, or µs, as a picture has it.
#[expect(clippy::cast_precision_loss, reason = "counts and latencies are far below 2^52")]
pub(crate) const fn float(value: u64) -> f64 {
    value as f64
}

impl Curve {
    /// A row of points.
    pub(crate) fn new(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), points }
    }
}

impl Latencies {
    /// Those of a histogram in µs, ever denser towards the slowest, as far as it has requests.
    #[expect(clippy::cast_precision_loss, reason = "a picture")]
    pub(crate) fn of(name: impl Into<String>, histogram: &Histogram<u64>) -> Self {
        // The slowest request of all is the last point that says anything.
        let decades = (histogram.len().max(2) as f64).log10().min(6.0);
        let steps = 60_u32;
        let share = |step: u32| {
            let share = 1.0 - 10_f64.powf(-decades * f64::from(step) / f64::from(steps));
            (share, histogram.value_at_quantile(share) as f64)
        };
        Self { name: name.into(), points: (0..=steps).map(share).collect() }
    }
}

impl Figure {
    fn draw(&self) -> String {
        match self {
            Self::OverTime(figure) => over_time::draw(figure),
            Self::Percentiles(figure) => percentiles::draw(figure),
            Self::Sales(figure) => sales::draw(figure),
            Self::Fairness(figure) => fairness::draw(figure),
            Self::Peers(figure) => peers::draw(figure),
            Self::Table(table) => html::table(table),
        }
    }
}

/// Writes a report into a file.
pub(crate) fn write(path: &Path, page: &Page) -> Result<(), Failure> {
    std::fs::write(path, html::page(page)?)
        .map_err(|error| format!("the report {} cannot be written: {error}", path.display()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(name: &str) -> Curve {
        Curve::new(name, vec![(0.0, 0.0), (1.0, 10.0), (2.0, f64::NAN), (3.0, 1_000.0)])
    }

    fn figures() -> Vec<Figure> {
        let mut histogram = Histogram::new_with_bounds(1, 60_000_000, 3).unwrap();
        (1..1_000_u64).for_each(|micros| histogram.record(micros * micros).unwrap());
        let (before, after) = ("first-come".to_owned(), "draw".to_owned());
        let groups = vec![Shares { name: "ring <50>".to_owned(), before: 0.97, after: 0.024 }];
        let bar = |name: &str, value: f64| Bar {
            name: name.to_owned(),
            value,
            low: value / 2.0,
            high: value * 1.5,
            is_ours: name == "haoyuan",
        };
        let curves = vec![curve("honest"), curve("scalpers & co")];
        vec![
            Figure::OverTime(OverTime {
                unit: "requests/s".to_owned(),
                scale: Scale::Log,
                curves: curves.clone(),
            }),
            Figure::Percentiles(Percentiles { curves: vec![Latencies::of("holds", &histogram)] }),
            Figure::Sales(Sales { places: 1_000, curves }),
            Figure::Fairness(Fairness {
                before,
                after,
                reference: 0.0244,
                reference_name: "share of identities".to_owned(),
                groups,
            }),
            Figure::Peers(Peers {
                unit: "operations/s".to_owned(),
                scale: Scale::Linear,
                bars: vec![bar("haoyuan", 60_000.0), bar("redis", 0.0)],
            }),
            Figure::Table(Table {
                head: vec!["system".to_owned(), "p99".to_owned()],
                rows: vec![vec!["<redis>".to_owned(), "5".to_owned()]],
            }),
        ]
    }

    #[test]
    fn every_figure_is_drawn_with_words_escaped_and_numbers_finite() {
        for figure in figures() {
            let drawn = figure.draw();
            assert!(drawn.starts_with("<svg") || drawn.starts_with("<div"), "{drawn}");
            assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
            assert!(!drawn.contains("<50>") && !drawn.contains("<redis>"), "{drawn}");
            let opened = drawn.matches('<').count();
            assert_eq!(opened, drawn.matches('>').count(), "{drawn}");
        }
    }

    #[test]
    fn figures_without_points_are_empty_and_not_wrong() {
        let empty = Curve::new("nobody", Vec::new());
        for figure in [
            Figure::OverTime(OverTime {
                unit: "/s".to_owned(),
                scale: Scale::Log,
                curves: vec![empty.clone()],
            }),
            Figure::Sales(Sales { places: 0, curves: vec![empty] }),
            Figure::Percentiles(Percentiles { curves: Vec::new() }),
            Figure::Peers(Peers { unit: "/s".to_owned(), scale: Scale::Log, bars: Vec::new() }),
        ] {
            let drawn = figure.draw();
            assert!(drawn.ends_with("</svg>") && !drawn.contains("NaN"), "{drawn}");
        }
    }

    #[test]
    fn a_page_needs_no_network_and_its_data_can_be_read() {
        let data = serde_json::json!({ "name": "</script><b>", "value": 1 });
        let sections = figures().into_iter().map(|figure| Section {
            title: "A & B".to_owned(),
            text: "how to read it".to_owned(),
            figure,
        });
        let page = Page {
            title: "A test".to_owned(),
            summary: "Nothing was measured.".to_owned(),
            facts: vec![("oversold".to_owned(), "0".to_owned())],
            sections: sections.collect(),
            conditions: vec![("seed".to_owned(), "1".to_owned())],
            data: data.clone(),
        };
        let text = html::page(&page).unwrap();
        assert!(!text.contains("http"), "nothing is fetched, not even a name space");
        let begin = text.find("id=\"data\">").unwrap() + "id=\"data\">".len();
        let rest = text.get(begin..).unwrap();
        let embedded = rest.get(..rest.find("</script>").unwrap()).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(embedded).unwrap(), data);
    }
}
