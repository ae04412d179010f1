//! Logs: what happened on the node, in text or JSON on stderr, with nobody named in it.
//!
//! **Architecture invariant:** a key of a patient or account is written as [`Masked`] or not at all.
//! The mask changes with every start, so that a log cannot be joined with a journal.

use std::fmt;
use std::io::IsTerminal;
use std::panic::PanicHookInfo;
use std::sync::OnceLock;

use tracing_subscriber::EnvFilter;

use super::config::LogFormat;

/// An identifier of a person in a log line: eight hex digits of a hash under a key that this
/// process made up. Equal people look equal within one run and nowhere else.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Masked(pub u128);

impl fmt::Display for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hash = blake3::keyed_hash(mask_key(), &self.0.to_le_bytes());
        f.write_str("~")?;
        hash.as_bytes().iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The level is no filter that `tracing` knows.
    #[error(
        "log.level = {level:?} is no level: {reason}; use error, warn, info, debug, trace, or a list \
         such as \"info,quinn=warn\""
    )]
    Level {
        /// What was given.
        level: String,
        /// Why not.
        reason: String,
    },
}

/// Starts writing log lines to stderr. A second start changes nothing.
///
/// # Errors
///
/// [`TraceError::Level`] for a level that is none.
pub fn start(format: LogFormat, level: &str) -> Result<(), TraceError> {
    let filter = EnvFilter::try_new(level).map_err(|error| TraceError::Level {
        level: level.to_owned(),
        reason: error.to_string(),
    })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let started = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging had started before");
    }
    Ok(())
}

/// Makes a panic end the process with a message (I-9), wherever it happens.
///
/// `is_expected` says whether the panicking thread is the one that waits for a panic: sled panics
/// when it opens a damaged store, and the journal catches that.
pub fn abort_on_panic(is_expected: fn() -> bool) {
    std::panic::set_hook(Box::new(move |panic| {
        if !is_expected() {
            report(panic);
            std::process::abort();
        }
    }));
}

/// Keeps a panic that is waited for off the terminal. Any other is shown as ever.
pub fn hide_panics(is_expected: fn() -> bool) {
    let show = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !is_expected() {
            show(panic);
        }
    }));
}

fn report(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("without a name");
    let place = panic.location().map_or_else(String::new, ToString::to_string);
    let what = panic.payload_as_str().unwrap_or("no message");
    let trace = std::backtrace::Backtrace::force_capture();
    tracing::error!(
        thread = name, place, what, %trace,
        "an invariant broke and the node stops rather than serve wrong places; start it again: \
         everything that was acknowledged is in the journal. Report this message",
    );
}

fn mask_key() -> &'static [u8; 32] {
    static KEY: OnceLock<[u8; 32]> = OnceLock::new();
    KEY.get_or_init(|| {
        let mut hasher = blake3::Hasher::new();
        for part in 0..4_u64 {
            hasher.update(&random_word(part).to_le_bytes());
        }
        *hasher.finalize().as_bytes()
    })
}

/// A word of the system's randomness, as the standard library gives it to every hash map.
fn random_word(part: u64) -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(part)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[test]
    fn a_masked_key_shows_who_is_who_but_not_who() {
        let (one, other) = (Masked(0x1234_5678), Masked(0x1234_5679));
        assert_eq!(one.to_string(), Masked(0x1234_5678).to_string());
        assert_ne!(one.to_string(), other.to_string());
        assert_eq!(one.to_string().len(), 9);
        assert!(!format!("{one:?}").contains("5678"));
    }

    #[test]
    fn a_wrong_level_is_refused_with_what_would_be_right() {
        let error = start(LogFormat::Text, "info,=loud").unwrap_err();
        assert!(error.to_string().contains("log.level = \"info,=loud\""), "{error}");
    }

    #[test]
    fn i9_a_panic_under_a_lock_ends_the_process_with_what_to_do() {
        let name = "ops::trace::tests::panics_under_a_lock";
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact", "--ignored", "--nocapture"])
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&child.stderr);
        assert_eq!(child.status.signal(), Some(SIGABRT), "{told}");
        assert!(told.contains("an invariant broke") && told.contains("start it again"), "{told}");
        assert!(!told.contains("went on"), "{told}");
    }

    #[test]
    #[ignore = "the child process of the test above"]
    fn panics_under_a_lock() {
        start(LogFormat::Text, "error").unwrap();
        abort_on_panic(|| false);
        let shard = Arc::new(Mutex::new(()));
        let other = Arc::clone(&shard);
        let thread = std::thread::spawn(move || {
            let _guard = other.lock();
            panic!("an impossible fact");
        });
        // Without the hook the lock is free again and everybody goes on.
        drop(thread.join());
        let _guard = shard.lock();
        eprintln!("went on");
    }

    const SIGABRT: i32 = 6;
}
