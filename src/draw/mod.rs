//! The fair draw as mathematics: seeds, pseudonyms, ranks, and the check of a published one.
//!
//! ```text
//! node key --HMAC(draw id)--> seed ----SHA-256----> commitment        published before the opening
//!                              | HMAC(beacon)
//!                          final seed --HMAC(pseudonym)--> rank --> who gets which place
//! node key --HMAC(draw id, patient)--> pseudonym
//! ```
//!
//! A rank comes from the final seed and the pseudonym, and both from secrets of the node: nothing
//! that a client chooses (its id, when it asks, how often) is in it.
//!
//! **Architecture invariant:** pure. The engine that draws and the tool that verifies use the same
//! functions, and everything that they use is in the published file but the key, which only makes
//! seed and pseudonyms.

mod collect;
mod file;
mod key;
mod rank;
#[cfg(test)]
#[path = "tests/statistics.rs"]
mod statistics;
#[cfg(test)]
mod tests;
mod verify;

pub use collect::{Collector, Unpublished};
pub use file::{DrawFile, FileEntry, FileFault};
pub use key::{NodeKey, beacon_name, commitment, final_seed};
pub use rank::{Places, Ranked, entries_digest, rank, receipt, result_digest};
pub use verify::{VerifyFault, verify};

use sha2::{Digest as _, Sha256};

use crate::model::{DrawHash, DrawId};

/// SHA-256 over a purpose, a draw, and what `add` adds: no hash of one purpose is one of another.
fn hash(purpose: &str, draw: DrawId, add: impl FnOnce(&mut Sha256)) -> DrawHash {
    let mut hasher = Sha256::new();
    hasher.update(purpose.as_bytes());
    hasher.update([0]);
    hasher.update(id_bytes(draw));
    add(&mut hasher);
    DrawHash(hasher.finalize().into())
}

/// Session as `u64`, pool as `u8`.
fn id_bytes(draw: DrawId) -> [u8; 9] {
    let mut bytes = [draw.pool.0; 9];
    if let Some(session) = bytes.first_chunk_mut() {
        *session = draw.session.0.to_le_bytes();
    }
    bytes
}
