//! The store on sled where something fails: a sync, the opening.

use std::os::fd::OwnedFd;

use super::*;
use crate::journal::block::Cutter;
use crate::journal::mark::Found;
use crate::journal::{DataFolder, FolderOptions, GENESIS, Opened};

/// A pipe refuses to be synced, as a broken disk does.
#[test]
fn i5_the_mark_stays_where_it_was_when_a_sync_fails() {
    let folder = tempfile::tempdir().unwrap();
    let options = FolderOptions::default();
    let Opened { mut store, log, .. } = DataFolder::open(folder.path(), &options).unwrap();
    let mut cutter = Cutter::new(Sequence(1), log.tail().last_time, GENESIS);
    let mut syncer = store.syncer.take().unwrap();
    let mut commit = |syncer: &mut SledSyncer| {
        assert!(cutter.push(7, b"a record").is_none());
        let block = cutter.finish().unwrap();
        store.write(std::slice::from_ref(&block)).unwrap();
        syncer.sync(&block, false).map_err(|error| error.to_string())
    };
    commit(&mut syncer).unwrap();
    syncer.data = File::from(OwnedFd::from(std::io::pipe().unwrap().1));
    let error = commit(&mut syncer).unwrap_err();
    assert!(error.contains("sync"), "{error}");
    let (_, found) = MarkFile::open(&folder.path().join("mark"), now()).unwrap();
    let Found::Mark(mark) = found else { panic!("{found:?}") };
    assert_eq!(mark.last, Sequence(1), "the mark promises what no disk has confirmed");
}

#[test]
fn a_panic_in_open_becomes_an_error_that_says_what_to_do() {
    let result = guarded::<()>(|| {
        assert!(is_opening_store(), "the panic hook lets it pass");
        panic!("page {} is gone", 7);
    });
    let text = result.unwrap_err().to_string();
    assert!(text.contains("page 7 is gone") && text.contains("restore it from a backup"));
    assert!(!is_opening_store());
}
