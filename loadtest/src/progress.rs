//! How far a run is: a bar where a person looks on, a line for each step where nobody does.
//!
//! **Architecture invariant:** everything goes to stderr; stdout is for figures.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A run under way.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Of a run of so many steps, whatever a step is.
    pub(crate) fn new(steps: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{elapsed_precise} [{bar:30}] {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(500));
        Self { bar }
    }

    /// The run is so far, and this is what it does. Nobody reads it where there is no terminal.
    pub(crate) fn at(&self, step: u64, what: impl Into<std::borrow::Cow<'static, str>>) {
        self.bar.set_position(step);
        self.bar.set_message(what);
    }

    /// Something that stays on the screen.
    #[expect(clippy::print_stderr, reason = "who waits sees how far it is")]
    pub(crate) fn say(&self, line: &str) {
        if self.bar.is_hidden() {
            eprintln!("{line}");
        } else {
            self.bar.println(line);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
