//! Who may begin a handshake.
//!
//! ```text
//! first packet --proven?--no--> Retry
//!                  '-- knock --> a place until the handshake ends, or none
//! ```
//!
//! **Architecture invariant:** what somebody without a certificate can make the node hold is
//! counted here, and here only. Nothing is held for an address that may be forged, or against it.

use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use parking_lot::Mutex;

use super::limits::{HANDSHAKES_MAX, HANDSHAKES_PER_ADDRESS_MAX};

#[derive(Debug, Default)]
pub(super) struct Door(Mutex<UnderWay>);

#[derive(Debug, Default)]
struct UnderWay {
    count: usize,
    per_address: HashMap<IpAddr, usize, RandomState>,
}

/// A handshake's place, until it ends.
#[derive(Debug)]
pub(super) struct Place {
    door: Arc<Door>,
    address: IpAddr,
}

impl Door {
    /// A place for a handshake of an address that is the client's own, if there is one. Without,
    /// nothing is said: an honest client asks again in a second.
    pub(super) fn knock(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = network(address);
        let mut under_way = self.0.lock();
        if HANDSHAKES_MAX <= under_way.count {
            return None;
        }
        let count = under_way.per_address.entry(address).or_default();
        if HANDSHAKES_PER_ADDRESS_MAX <= *count {
            return None;
        }
        *count += 1;
        under_way.count += 1;
        Some(Place { door: Arc::clone(self), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut under_way = self.door.0.lock();
        under_way.count = under_way.count.saturating_sub(1);
        if let Some(count) = under_way.per_address.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                under_way.per_address.remove(&self.address);
            }
        }
    }
}

/// What one party has at least: an IPv4 address, or the first half of an IPv6 one.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        four @ IpAddr::V4(_) => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_all_places_and_all_together_are_bounded() {
        let door = Arc::new(Door::default());
        let mut places = Vec::new();
        for number in 0.. {
            let before = places.len();
            // Another address of the same network each time.
            for host in 0.. {
                let address = format!("2001:db8:0:{number:x}::{host:x}").parse().unwrap();
                let Some(place) = door.knock(address) else { break };
                places.push(place);
            }
            assert!(places.len() - before <= HANDSHAKES_PER_ADDRESS_MAX);
            if places.len() == before {
                break;
            }
        }
        assert_eq!(places.len(), HANDSHAKES_MAX);
        assert!(door.knock("10.0.0.1".parse().unwrap()).is_none());
        drop(places);
        assert!(door.knock("10.0.0.1".parse().unwrap()).is_some());
        assert_eq!(door.0.lock().count, 0);
        assert!(door.0.lock().per_address.is_empty(), "who has left is forgotten");
    }
}
