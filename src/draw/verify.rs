//! Checks a published draw alone: nothing but the file, the commitment, and a receipt.

use super::file::{DrawFile, FileEntry, FileFault};
use super::{Places, commitment, entries_digest, final_seed, rank, receipt, result_digest};
use crate::model::{DrawHash, Pseudonym};

/// Why a published draw is not what it says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyFault {
    /// It is no published draw.
    #[error("the file cannot be read: {0}")]
    File(#[from] FileFault),
    /// It is bound to another value than was published before the opening.
    #[error("the commitment of the file is not the one that was published")]
    OtherCommitment,
    /// The node did not use the seed that it was bound to.
    #[error("the seed is not the one that the node was bound to")]
    Seed,
    /// A value of a beacon that was not named beforehand.
    #[error("a beacon was mixed in that was not named before the opening")]
    Beacon,
    /// Entries are out of order, or one stands twice.
    #[error("entry {0} stands twice or out of order")]
    Order(usize),
    /// An entry was changed, added or left out.
    #[error("the entries are not those that were drawn from")]
    Entries,
    /// An entry has another rank than the seed gives it.
    #[error("entry {0} has another rank than the seed gives it")]
    Rank(usize),
    /// An entry got something else than its rank and its preferences give it.
    #[error("entry {0} got something else than its rank and preferences give it")]
    Winner(usize),
    /// The result is not the one that was journaled when the seed was revealed.
    #[error("the result is not the one that was fixed when the seed was revealed")]
    Result,
    /// No entry has the receipt.
    #[error("no entry has this receipt: the entry was changed or left out")]
    Receipt,
}

/// Recomputes a published draw, and says in sentences what was checked.
///
/// # Errors
///
/// The first [`VerifyFault`] in the order of that enum.
pub fn verify(
    text: &str,
    published: DrawHash,
    kept: Option<DrawHash>,
) -> Result<Vec<String>, VerifyFault> {
    let file = DrawFile::parse(text)?;
    let mut checked = vec![format!("draw {} has {} entries", file.draw, file.entries.len())];
    check_seed(&file, published)?;
    checked.push("the seed is the one that the published commitment binds the node to".to_owned());
    checked.push(of_beacon(&file)?.to_owned());
    check_entries(&file)?;
    checked.push("the entries are those that the node fixed when it revealed the seed".to_owned());
    let winners = check_result(&file)?;
    checked.push("every rank follows from the seed, the beacon and the pseudonym".to_owned());
    checked
        .push(format!("{winners} entries won, each its best preference that was free at its rank"));
    if let Some(kept) = kept {
        checked.push(find(&file, kept).ok_or(VerifyFault::Receipt)?);
    }
    Ok(checked)
}

fn check_seed(file: &DrawFile, published: DrawHash) -> Result<(), VerifyFault> {
    if file.commitment != published {
        return Err(VerifyFault::OtherCommitment);
    }
    if commitment(file.draw, &file.seed) == published { Ok(()) } else { Err(VerifyFault::Seed) }
}

const fn of_beacon(file: &DrawFile) -> Result<&'static str, VerifyFault> {
    match (&file.beacon_name, &file.beacon) {
        (None, Some(_)) => Err(VerifyFault::Beacon),
        (None, None) => Ok("no beacon was named"),
        (Some(_), None) => Ok("a beacon was named, but its value was not given in time"),
        (Some(_), Some(_)) => {
            Ok("the beacon's value is mixed in; compare it with what its source published")
        }
    }
}

fn check_entries(file: &DrawFile) -> Result<(), VerifyFault> {
    let pseudonyms = file.entries.iter().map(|entry| entry.entry.pseudonym);
    let mut last: Option<Pseudonym> = None;
    for (number, pseudonym) in (1..).zip(pseudonyms) {
        if last.is_some_and(|last| pseudonym <= last) {
            return Err(VerifyFault::Order(number));
        }
        last = Some(pseudonym);
    }
    let digest = entries_digest(file.draw, file.entries.iter().map(|entry| &entry.entry));
    if digest == file.entries_digest { Ok(()) } else { Err(VerifyFault::Entries) }
}

/// Draws again, and counts the winners.
fn check_result(file: &DrawFile) -> Result<usize, VerifyFault> {
    let seed = final_seed(file.draw, &file.seed, file.beacon.as_deref());
    let order = rank(&seed, file.entries.iter().map(|entry| entry.entry.pseudonym));
    let mut places = Places::new(&file.places);
    let mut results = Vec::with_capacity(order.len());
    for (rank, ranked) in (1..).zip(&order) {
        let Some(line) = file.entries.get(ranked.position as usize) else { continue };
        let number = (ranked.position as usize).saturating_add(1);
        if line.rank != rank {
            return Err(VerifyFault::Rank(number));
        }
        let won = places.give(&line.entry.choice);
        if won != line.won {
            return Err(VerifyFault::Winner(number));
        }
        results.push((line.entry.pseudonym, won));
    }
    let winners = results.iter().filter(|(_, won)| won.is_some()).count();
    let digest = result_digest(file.draw, results.into_iter());
    if digest == file.result_digest { Ok(winners) } else { Err(VerifyFault::Result) }
}

/// What became of the entry with a receipt.
fn find(file: &DrawFile, kept: DrawHash) -> Option<String> {
    let is_kept = |line: &&FileEntry| receipt(file.draw, &line.entry) == kept;
    let FileEntry { rank, won, .. } = file.entries.iter().find(is_kept)?;
    Some(match won {
        Some(slot) => {
            format!("your entry is in the list, has rank {rank}, and won slot {}", slot.0)
        }
        None => format!("your entry is in the list, has rank {rank}, and won nothing"),
    })
}
