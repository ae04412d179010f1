//! Small tables of text, and numbers as people read them.

use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::model::Timestamp;

/// Rows whose columns are as wide as what stands in them.
#[derive(Debug)]
pub(super) struct Table {
    /// Whether a column is aligned to the right.
    right: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(right: &[bool]) -> Self {
        Self { right: right.to_vec(), rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: &[&str]) {
        self.rows.push(cells.iter().map(|cell| (*cell).to_owned()).collect());
    }

    pub(super) fn print(&self, output: &mut Output) -> Result<(), Failure> {
        self.lines().try_for_each(|line| output.line(line))
    }

    fn lines(&self) -> impl Iterator<Item = String> {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(String::len).max().unwrap_or_default()
        };
        let widths: Vec<_> = (0..self.right.len()).map(width).collect();
        self.rows.iter().map(move |row| {
            let cells = row.iter().zip(&self.right).zip(&widths);
            let cells = cells.map(|((cell, right), width)| match right {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            });
            format!("   {}", cells.collect::<Vec<_>>().join("   ")).trim_end().to_owned()
        })
    }
}

/// A count, as it is added up here.
pub(super) fn count(items: usize) -> u32 {
    u32::try_from(items).unwrap_or(u32::MAX)
}

/// A part of a whole in per cent, to one digit after the point.
pub(super) fn permille(part: u32, whole: u32) -> f64 {
    (f64::from(part) * 1_000.0 / f64::from(whole.max(1))).round() / 10.0
}

/// Per cent, as it is printed.
pub(super) fn percent(value: f64) -> String {
    format!("{value:.1} %")
}

/// The time of the day, UTC, to the millisecond.
pub(super) fn clock_of(millis: u64) -> String {
    let time = Timestamp::from_millis(millis).as_millis() % (24 * 3_600_000);
    let (seconds, millis) = (time / 1_000, time % 1_000);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}.{millis:03}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_stands_in_them() {
        let mut table = Table::new(&[false, true, false]);
        table.row(&["who", "places", "answer"]);
        table.row(&["somebody", "7", ""]);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines, ["   who        places   answer", "   somebody        7"]);
    }

    #[test]
    fn shares_and_times_are_read_by_people() {
        assert_eq!(percent(permille(1, 3)), "33.3 %");
        assert_eq!(percent(permille(0, 0)), "0.0 %");
        assert_eq!(clock_of(24 * 3_600_000 + 3_723_004), "01:02:03.004");
    }
}
