//! Power cuts: what was acknowledged is there, whatever the disk forgot of the rest.
//!
//! ```text
//! driver under tests/powercut/shim.c --> trace --> for many moments: what could be left --> start
//!        ^                                                                  |
//!        '------------------ sometimes the next driver goes on there <------'
//! ```

mod driver;
mod medium;
pub(crate) mod random;
pub(crate) mod shim;
mod trace;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use driver::add_ack;
pub(crate) use driver::{Acks, Driver, data, judge, now, options};
use medium::{Left, Medium};
use random::{Random, told_seed};
use shim::Shim;
use trace::Entry;

/// How often each thing happened.
#[derive(Debug, Default)]
struct Counts {
    traces: usize,
    cuts: BTreeMap<Left, usize>,
    /// Cuts between the first entry and the first answer.
    first_starts: usize,
    /// Cuts while a snapshot, an archive file or a store's own file was made or removed.
    among_names: usize,
    /// Cuts after which a driver went on, to be cut again.
    continued: usize,
    acks_checked: usize,
    tails_cut: usize,
}

/// A trace, and what it began with.
struct Run {
    folder: tempfile::TempDir,
    before: Acks,
    medium: Medium,
    entries: Vec<Entry>,
}

impl Run {
    /// Runs a driver on an empty folder.
    fn first(seed: u64, requests: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(root(&folder)).unwrap();
        Self::on(folder, Acks::new(), seed, requests)
    }

    fn on(folder: tempfile::TempDir, before: Acks, seed: u64, requests: usize) -> Self {
        let root = root(&folder);
        let medium = Medium::holding(&root);
        let marks = folder.path().join("trace");
        let driver = Driver { root, marks: marks.clone(), seed, requests };
        let ended = driver.run(&Shim { trace: Some(marks.clone()), ..Shim::default() });
        assert!(ended.status.success(), "seed {seed}: {}", ended.told);
        let entries = trace::read(&marks);
        Self { folder, before, medium, entries }
    }

    /// So many moments, in order: half of them anywhere, half where names change.
    fn moments(&self, count: usize, random: &mut Random) -> Vec<usize> {
        let naming: Vec<usize> = (0..self.entries.len()).filter(|at| self.is_naming(*at)).collect();
        let mut moments: Vec<usize> = (0..count)
            .map(|nth| {
                if nth % 2 == 0 || naming.is_empty() {
                    random.below(self.entries.len() + 1)
                } else {
                    let near = naming[random.below(naming.len())] + random.below(8);
                    near.saturating_sub(3).min(self.entries.len())
                }
            })
            .collect();
        moments.sort_unstable();
        moments
    }

    fn is_naming(&self, at: usize) -> bool {
        self.entries.get(at).is_some_and(|entry| {
            matches!(
                entry,
                Entry::Rename { .. }
                    | Entry::Unlink { .. }
                    | Entry::MakeDirectory { .. }
                    | Entry::Truncate { .. }
                    | Entry::Open { created: true, .. }
            )
        })
    }
}

/// Where a run's data folder lies; its trace lies beside.
fn root(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("root")
}

/// Cuts the power `cuts` times in each of so many traces.
fn cut(seed: u64, traces: usize, cuts: usize, requests: usize) -> Counts {
    let mut random = Random::new(seed);
    let mut counts = Counts::default();
    let mut left_over: Option<(tempfile::TempDir, Acks)> = None;
    for number in 0..traces as u64 {
        let own = seed.wrapping_add(number);
        let run = match left_over.take() {
            Some((folder, acks)) => {
                counts.continued += 1;
                Run::on(folder, acks, own, requests)
            }
            None => Run::first(own, requests),
        };
        left_over = cut_run(run, own, cuts, &mut random, &mut counts);
        counts.traces += 1;
    }
    counts
}

/// Cuts one trace. Gives back one of its images, for a driver to go on with.
fn cut_run(
    mut run: Run,
    seed: u64,
    cuts: usize,
    random: &mut Random,
    counts: &mut Counts,
) -> Option<(tempfile::TempDir, Acks)> {
    let moments = run.moments(cuts, random);
    let kept = random.below(cuts * 2);
    let mut kept_image = None;
    let (mut acks, mut done) = (run.before.clone(), 0);
    for (nth, moment) in moments.into_iter().enumerate() {
        for entry in &run.entries[done..moment] {
            run.medium.step(entry);
            if let Entry::Mark(mark) = entry {
                add_ack(&mut acks, mark);
            }
        }
        done = moment;
        let left = Left::ALL[random.below(Left::ALL.len())];
        let draws = random.next();
        let image = tempfile::tempdir().unwrap();
        run.medium.image(left, &mut Random::new(draws), &root(&image));
        if nth == kept {
            let copy = tempfile::tempdir().unwrap();
            run.medium.image(left, &mut Random::new(draws), &root(&copy));
            kept_image = Some((copy, acks.clone()));
        }
        match judge(&root(&image), &acks) {
            Ok(warnings) => counts.tails_cut += usize::from(!warnings.is_empty()),
            Err(wrong) => {
                let path = keep(image, run.folder);
                panic!(
                    "seed {seed}, entry {moment}, {left:?}: {wrong}; kept in {}",
                    path.display()
                );
            }
        }
        *counts.cuts.entry(left).or_default() += 1;
        counts.first_starts += usize::from(acks.is_empty());
        counts.among_names += usize::from(run.is_naming(moment));
        counts.acks_checked += acks.len();
    }
    kept_image
}

/// Keeps what a failure is about.
fn keep(image: tempfile::TempDir, run: tempfile::TempDir) -> PathBuf {
    let trace = run.keep().join("trace");
    let image = image.keep();
    std::fs::rename(trace, image.join("trace")).unwrap();
    image
}

#[test]
fn after_a_power_cut_every_acknowledged_answer_is_there() {
    let counts = cut(20_260_101, 3, 25, 160);
    assert_eq!(counts.cuts.values().sum::<usize>(), 75);
    assert!(0 < counts.first_starts && 0 < counts.among_names, "{counts:?}");
}

#[test]
#[ignore = "a thousand cuts: minutes"]
fn a_thousand_power_cuts_lose_nothing() {
    let seed = told_seed();
    let counts = cut(seed, 24, 50, 400);
    println!("{counts:#?}");
    assert_eq!(counts.cuts.values().sum::<usize>(), 1_200);
}

/// A test of the test: a disk that forgets what was synced is noticed.
#[test]
fn a_disk_that_forgets_what_it_confirmed_is_noticed() {
    let mut run = Run::first(7, 120);
    let mut acks = Acks::new();
    for entry in &run.entries {
        // The store's data is never made durable.
        let is_sync_of_log = matches!(entry, Entry::SyncDone { .. }) && !acks.is_empty();
        if !is_sync_of_log {
            run.medium.step(entry);
        }
        if let Entry::Mark(mark) = entry {
            add_ack(&mut acks, mark);
        }
    }
    let image = tempfile::tempdir().unwrap();
    run.medium.image(Left::Nothing, &mut Random::new(1), &root(&image));
    let wrong = judge(&root(&image), &acks).unwrap_err();
    assert!(wrong.contains("was told") || wrong.contains("does not start"), "{wrong}");
}

/// What a trace, or a file of marks alone, says was acknowledged.
pub(crate) fn acks_of(trace: &Path) -> Acks {
    let mut acks = Acks::new();
    for entry in trace::read(trace) {
        if let Entry::Mark(mark) = entry {
            add_ack(&mut acks, &mark);
        }
    }
    acks
}

/// For tests that only want a folder with a past: trees pruned, two snapshots, an archive.
pub(crate) fn folder_with_a_past(root: &Path, seed: u64, requests: usize) {
    let marks = root.with_extension("marks");
    let driver = Driver { root: root.to_owned(), marks, seed, requests };
    let ended = driver.run(&Shim::default());
    assert!(ended.status.success(), "{}", ended.told);
}
