//! What happened in a run, line by line, and its hash; and how often each kind of thing happened.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::{Arguments, Write};

/// The trace of a run. The hash is of every line; only the last lines are kept.
#[derive(Debug)]
pub(crate) struct Trace {
    hasher: blake3::Hasher,
    last: VecDeque<String>,
    is_printed: bool,
}

/// Lines that are shown with a failure.
const LINES_KEPT: usize = 40;

impl Trace {
    pub(crate) fn new(is_printed: bool) -> Self {
        let last = VecDeque::with_capacity(LINES_KEPT);
        Self { hasher: blake3::Hasher::new(), last, is_printed }
    }

    /// Adds a line, with the virtual time in microseconds.
    pub(crate) fn add(&mut self, micros: u64, what: Arguments<'_>) {
        let mut line = if self.last.len() == LINES_KEPT {
            self.last.pop_front().unwrap_or_default()
        } else {
            String::new()
        };
        line.clear();
        writeln!(line, "{:>8}.{:06} {what}", micros / 1_000_000, micros % 1_000_000)
            .expect("a string takes what is written");
        self.hasher.update(line.as_bytes());
        if self.is_printed {
            print!("{line}");
        }
        self.last.push_back(line);
    }

    pub(crate) fn hash(&self) -> String {
        self.hasher.finalize().to_hex().to_string()
    }

    pub(crate) fn last_lines(&self) -> String {
        self.last.iter().map(String::as_str).collect()
    }
}

/// How often things happened, by kind and name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts(BTreeMap<(&'static str, &'static str), u64>);

impl Counts {
    pub(crate) fn add(&mut self, kind: &'static str, name: &'static str) {
        self.add_many(kind, name, 1);
    }

    pub(crate) fn add_many(&mut self, kind: &'static str, name: &'static str, count: u64) {
        if 0 < count {
            *self.0.entry((kind, name)).or_default() += count;
        }
    }

    pub(crate) fn join(&mut self, other: &Self) {
        for ((kind, name), count) in &other.0 {
            self.add_many(kind, name, *count);
        }
    }

    pub(crate) fn of(&self, kind: &'static str, name: &'static str) -> u64 {
        self.0.get(&(kind, name)).copied().unwrap_or(0)
    }

    pub(crate) fn print(&self) {
        for ((kind, name), count) in &self.0 {
            println!("{kind:<10} {name:<32} {count:>12}");
        }
    }
}
