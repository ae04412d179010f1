//! Doors to images and to the naive account, for the fuzz targets in `tests/fuzz`.
//!
//! Built under `--cfg fuzzing` only.

use super::audit::{self, AuditReport};
use super::image;
use crate::codec::CodecError;
use crate::inventory::Inventory;
use crate::model::{Facts, Sequence, Timestamp};

/// What the facts of records come to by the account of the audit, which shares no code with the
/// engine.
pub fn account(records: &[(Sequence, Timestamp, Facts)]) -> AuditReport {
    audit::of_records(records)
}

/// The image of a shard.
pub fn write_image(inventory: &Inventory, kind: u8, index: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    inventory.with_part(kind, index, |part| image::write(&part, &mut bytes));
    bytes
}

/// Fills an empty shard from its image.
///
/// # Errors
///
/// The bytes are no image of such a shard.
pub fn read_image(
    inventory: &mut Inventory,
    kind: u8,
    index: usize,
    base: Sequence,
    bytes: &[u8],
) -> Result<(), CodecError> {
    inventory.restore_part(kind, index, base, |part| image::read(part, bytes))
}
