//! The command line: our own options, and those that `cargo test` and nextest hand to every test.

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Tests,
    List,
    Seed { seed: u64, is_printed: bool },
    Seeds { from: u64, count: u64 },
}

#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) mode: Mode,
    /// The one invariant to look at.
    pub(crate) only: Option<String>,
    filters: Vec<String>,
    skipped: Vec<String>,
    is_exact: bool,
    only_ignored: bool,
}

impl Args {
    /// Reads the command line. What is not known is for other test binaries, and is passed over.
    ///
    /// # Errors
    ///
    /// One of our own options has no number.
    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut args = Self {
            mode: Mode::Tests,
            only: None,
            filters: Vec::new(),
            skipped: Vec::new(),
            is_exact: false,
            only_ignored: false,
        };
        let (mut seed, mut seeds, mut from, mut is_printed) = (None, None, 1, false);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--seed" => seed = Some(number(&word, words.next())?),
                "--seeds" => seeds = Some(number(&word, words.next())?),
                "--from" => from = number(&word, words.next())?,
                "--only" => args.only = words.next(),
                "--trace" => is_printed = true,
                "--list" => args.mode = Mode::List,
                "--exact" => args.is_exact = true,
                "--ignored" => args.only_ignored = true,
                "--skip" => args.skipped.extend(words.next()),
                // These have a value of their own.
                "--format" | "--color" | "--test-threads" | "--logfile" | "--shuffle-seed"
                | "-Z" => {
                    drop(words.next());
                }
                _ if word.starts_with('-') => {}
                _ => args.filters.push(word),
            }
        }
        args.mode = match (seed, seeds) {
            (Some(seed), _) => Mode::Seed { seed, is_printed },
            (None, Some(count)) => Mode::Seeds { from, count },
            (None, None) => args.mode,
        };
        Ok(args)
    }

    /// Whether a test is asked for. None of ours is an ignored one.
    pub(crate) fn wants(&self, test: &str) -> bool {
        let fits = |filter: &String| {
            if self.is_exact { test == filter } else { test.contains(filter.as_str()) }
        };
        let named = self.filters.is_empty() || self.filters.iter().any(fits);
        named && !self.only_ignored && !self.skipped.iter().any(fits)
    }
}

fn number(option: &str, value: Option<String>) -> Result<u64, String> {
    let value = value.unwrap_or_default();
    value.parse().map_err(|_| format!("{option} wants a number, not {value:?}"))
}
