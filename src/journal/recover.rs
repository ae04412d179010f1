//! The start on an existing log: verify everything, cut what was never acknowledged, refuse the
//! rest.
//!
//! ```text
//! origin |--- tree ---|--- tree ---|--- tree ---x···|
//!        every block continues the chain   mark ^   ^ damage here: cut, with a warning
//!                         ^ damage here, or an end here: refuse
//! ```
//!
//! **Architecture invariant:** a start either finds every acknowledged record, verified, or fails
//! and says what to do. It never repairs what was acknowledged.

use std::path::PathBuf;
use std::sync::Arc;

use super::archive;
use super::chain::{Damage, Tail};
use super::error::RESTORE;
use super::mark::Mark;
use super::sled::{Generation, SledLog, guarded};
use super::store::ReadStore;
use super::{Block, JournalError, ReadError, Sequence, Timestamp};

/// A verified log, open for reading.
#[derive(Debug)]
pub struct Log {
    pub(super) sled: Arc<SledLog>,
    pub(super) archive: PathBuf,
    tail: Tail,
    warnings: Vec<String>,
}

/// What to do with a damaged tail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnDamagedTail {
    /// Remove it: the log goes on.
    Cut,
    /// Leave it: the folder is only looked at.
    Ignore,
}

impl Log {
    /// Verifies a log against its mark.
    pub(super) fn verify(
        sled: SledLog,
        archive: PathBuf,
        mark: Mark,
        on_damaged_tail: OnDamagedTail,
    ) -> Result<Self, JournalError> {
        let sled = Arc::new(sled);
        let mut log = Self { tail: sled.origin(), sled, archive, warnings: Vec::new() };
        guarded(|| {
            log.drop_leftovers(on_damaged_tail)?;
            log.walk(mark, on_damaged_tail)
        })?;
        if log.tail.last_sequence() < mark.last {
            return Err(JournalError::Shortened {
                found: log.tail.last_sequence(),
                expected: mark.last,
                instruction: RESTORE.to_owned(),
            });
        }
        log.tail.last_time = log.tail.last_time.max(mark.latest);
        Ok(log)
    }

    /// Where the log ends.
    pub fn tail(&self) -> Tail {
        self.tail
    }

    /// The oldest record outside the archive; the next one to come in an empty log.
    pub fn oldest(&self) -> Sequence {
        self.sled.oldest()
    }

    /// What the operator should know: a sentence each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Calls `visit` with every record from `from` on, in order, on this thread, until it fails.
    pub fn for_each_record<E: From<ReadError>>(
        &self,
        from: Sequence,
        mut visit: impl FnMut(Sequence, Timestamp, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if from < self.oldest() {
            return Err(ReadError::Gone { oldest: self.oldest() }.into());
        }
        if self.tail.next_sequence <= from {
            return Ok(());
        }
        let generations = self.sled.generations();
        let start = generations.partition_point(|generation| generation.base <= from.0);
        for generation in generations.iter().skip(start.saturating_sub(1)) {
            for entry in generation.entries_from(from).map_err(ReadError::from)? {
                let (_, value) = entry.map_err(ReadError::from)?;
                let block = parse(&value)?;
                for (sequence, time, payload) in block.records().filter(|it| from <= it.0) {
                    visit(sequence, time, payload)?;
                }
                // What follows was found damaged, if there is anything.
                if self.tail.last_sequence() <= block.last() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// As [`for_each_record`](Self::for_each_record), but archived records come first: one stream
    /// from record 1 on, if the retention kept everything.
    pub fn history<E: From<ReadError>>(
        &self,
        from: Sequence,
        mut visit: impl FnMut(Sequence, Timestamp, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let live = self.sled.origin();
        let files = archive::list(&self.archive).map_err(ReadError::from)?;
        // A crash between archive and drop leaves a tree in both places: the live one counts.
        let files = files.iter().filter(|file| file.last < live.next_sequence);
        let files: Vec<_> = files.skip_while(|file| file.last < from).collect();
        let oldest = files.first().map_or(live.next_sequence, |file| file.first);
        if from < oldest {
            return Err(ReadError::Gone { oldest }.into());
        }

        let mut tail = None;
        for file in files {
            let passed: Result<(), Passed<E>> =
                archive::read(file, from, &mut tail, |seq, at, it| {
                    visit(seq, at, it).map_err(Passed::Visit)
                });
            passed.map_err(Passed::into_inner)?;
        }
        if tail.is_some_and(|tail| tail.last_chain != live.last_chain) {
            let damage = JournalError::damaged("the archive does not meet the start of the log");
            return Err(ReadError::from(damage).into());
        }
        self.for_each_record(from.max(live.next_sequence), visit)
    }

    /// Removes trees that a pruning archived but did not drop any more, and trees without a block.
    fn drop_leftovers(&mut self, on_damaged_tail: OnDamagedTail) -> Result<(), JournalError> {
        if on_damaged_tail == OnDamagedTail::Ignore {
            return Ok(());
        }
        for generation in self.sled.generations() {
            let is_archived = generation.base < self.tail.next_sequence.0;
            if is_archived || generation.blocks().next().is_none() {
                self.sled.drop_generation(&generation)?;
            }
        }
        Ok(())
    }

    /// Steps over all blocks up to the first damage.
    fn walk(&mut self, mark: Mark, on_damaged_tail: OnDamagedTail) -> Result<(), JournalError> {
        let origin = self.tail.next_sequence.0;
        check_mark(mark, &self.tail)?;
        let generations = self.sled.generations();
        for (index, generation) in generations.iter().enumerate() {
            if generation.base < origin {
                continue;
            }
            for entry in generation.entries_from(Sequence(0))? {
                let (key, value) = entry?;
                match self.tail.accept(&value) {
                    Ok(_) => check_mark(mark, &self.tail)?,
                    Err(damage) => {
                        if let Some(error) = damage.newer(self.sled.path()) {
                            return Err(error);
                        }
                        self.judge(damage, mark)?;
                        if on_damaged_tail == OnDamagedTail::Cut {
                            self.cut(generation, &key, generations.get(index + 1..))?;
                        }
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether damage lies in the tail that nobody relies on.
    fn judge(&mut self, damage: Damage, mark: Mark) -> Result<(), JournalError> {
        if self.tail.last_sequence() < mark.last {
            return Err(JournalError::damaged(format!(
                "{damage}, and records up to {} were acknowledged",
                mark.last.0
            )));
        }
        self.warnings.push(format!(
            "the end of the log was damaged: {damage}; what follows record {} was never \
             acknowledged and is left out",
            self.tail.last_sequence().0
        ));
        Ok(())
    }

    fn cut(
        &self,
        generation: &Generation,
        from: &[u8],
        later: Option<&[Arc<Generation>]>,
    ) -> Result<(), JournalError> {
        for generation in later.unwrap_or_default().iter().rev() {
            self.sled.drop_generation(generation)?;
        }
        generation.cut_from(from)?;
        if generation.blocks().next().is_none() {
            self.sled.drop_generation(generation)?;
        }
        self.sled.sync(&self.sled.data_file()?)
    }
}

/// A block that ends at the mark is the one that the mark was written for.
fn check_mark(mark: Mark, tail: &Tail) -> Result<(), JournalError> {
    if tail.last_sequence() == mark.last && tail.last_chain != mark.chain {
        let what = format!("record {} is not the one that was acknowledged", mark.last.0);
        return Err(JournalError::damaged(what));
    }
    Ok(())
}

fn parse(value: &[u8]) -> Result<Block<'_>, ReadError> {
    Block::parse(value).map_err(|error| JournalError::damaged(error.to_string()).into())
}

/// Tells a fault of the archive from a wish of the visitor to stop.
enum Passed<E> {
    Archive(JournalError),
    Visit(E),
}

impl<E> From<JournalError> for Passed<E> {
    fn from(error: JournalError) -> Self {
        Self::Archive(error)
    }
}

impl<E: From<ReadError>> Passed<E> {
    fn into_inner(self) -> E {
        match self {
            Self::Archive(error) => ReadError::from(error).into(),
            Self::Visit(error) => error,
        }
    }
}
