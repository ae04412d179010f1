//! The node's key, and what is made from it.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};

use super::{hash, id_bytes};
use crate::model::{DrawHash, DrawId, PatientId, Pseudonym, Seed};

/// The secret of a node, 32 random bytes. Who has it knows every draw of the node beforehand.
#[derive(Clone)]
pub struct NodeKey([u8; 32]);

impl NodeKey {
    /// Bytes of a key.
    pub const BYTES: usize = 32;

    /// A key of these bytes.
    pub const fn new(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// The seed of a draw. Tell nobody before the draw is revealed.
    pub fn seed(&self, draw: DrawId) -> Seed {
        Seed(keyed(&self.0, &[SEED, &id_bytes(draw)]))
    }

    /// Who a patient is in a draw.
    pub fn pseudonym(&self, draw: DrawId, patient: PatientId) -> Pseudonym {
        let keyed = keyed(&self.0, &[PSEUDONYM, &id_bytes(draw), &patient.0.to_le_bytes()]);
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(keyed).for_each(|(byte, of_hash)| *byte = of_hash);
        Pseudonym(bytes)
    }

    /// What the node is bound to in a draw.
    pub fn commitment(&self, draw: DrawId) -> DrawHash {
        commitment(draw, &self.seed(draw))
    }
}

/// What binds a node to a seed: SHA-256 of the draw and the seed.
pub fn commitment(draw: DrawId, seed: &Seed) -> DrawHash {
    hash("haoyuan draw commitment 1", draw, |hasher| hasher.update(seed.0))
}

/// The seed with the beacon mixed in, or without one: that is another seed too.
pub fn final_seed(draw: DrawId, seed: &Seed, beacon: Option<&str>) -> Seed {
    let mark: &[u8] = if beacon.is_some() { &[1] } else { &[0] };
    let beacon = beacon.unwrap_or_default().as_bytes();
    Seed(keyed(&seed.0, &[FINAL, &id_bytes(draw), mark, beacon]))
}

/// The hash under which a beacon is named: SHA-256 of the text.
pub fn beacon_name(text: &str) -> DrawHash {
    DrawHash(Sha256::digest(text.as_bytes()).into())
}

/// HMAC-SHA256 of parts, one after the other.
fn keyed(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = mac_of(key);
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// HMAC-SHA256 with a key, to be cloned for each message.
pub(super) fn mac_of(key: &[u8; 32]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("NodeKey(..)")
    }
}

const SEED: &[u8] = b"haoyuan draw seed 1\0";
const PSEUDONYM: &[u8] = b"haoyuan draw pseudonym 1\0";
const FINAL: &[u8] = b"haoyuan draw final seed 1\0";
