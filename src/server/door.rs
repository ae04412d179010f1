//! Who may begin a handshake.
//!
//! ```text
//! first packet --> knock --> Enter (a place until the handshake ends) | Prove | Wait
//! ```
//!
//! **Architecture invariant:** what somebody without a certificate can make the node hold is
//! counted here, and here only. An address that may be forged is never held against its owner.

use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use parking_lot::Mutex;

use super::limits::{HANDSHAKES_BEFORE_RETRY, HANDSHAKES_MAX, HANDSHAKES_PER_ADDRESS_MAX};

#[derive(Debug, Default)]
pub(super) struct Door(Mutex<UnderWay>);

#[derive(Debug, Default)]
struct UnderWay {
    count: usize,
    /// Handshakes of addresses that were shown to be the client's own.
    proven: HashMap<IpAddr, usize, RandomState>,
}

/// What becomes of a first packet.
#[derive(Debug)]
pub(super) enum Knock {
    /// The handshake may go on.
    Enter(Place),
    /// The client must show first that its address is its own.
    Prove,
    /// There is no place; an honest client comes again.
    Wait,
}

/// A handshake's place, until it ends.
#[derive(Debug)]
pub(super) struct Place {
    door: Arc<Door>,
    proven: Option<IpAddr>,
}

impl Door {
    /// Looks at a first packet from an address that is `proven` by a Retry, or not.
    pub(super) fn knock(self: &Arc<Self>, address: IpAddr, proven: bool) -> Knock {
        let mut under_way = self.0.lock();
        if !proven && HANDSHAKES_BEFORE_RETRY <= under_way.count {
            return Knock::Prove;
        }
        if HANDSHAKES_MAX <= under_way.count {
            return Knock::Wait;
        }
        let proven = proven.then(|| network(address));
        if let Some(address) = proven {
            let count = under_way.proven.entry(address).or_default();
            if HANDSHAKES_PER_ADDRESS_MAX <= *count {
                return Knock::Wait;
            }
            *count += 1;
        }
        under_way.count += 1;
        Knock::Enter(Place { door: Arc::clone(self), proven })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut under_way = self.door.0.lock();
        under_way.count = under_way.count.saturating_sub(1);
        if let Some(address) = self.proven
            && let Some(count) = under_way.proven.get_mut(&address)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                under_way.proven.remove(&address);
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
        four => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(door: &Arc<Door>, address: &str, proven: bool) -> Option<Place> {
        match door.knock(address.parse().unwrap(), proven) {
            Knock::Enter(place) => Some(place),
            Knock::Prove | Knock::Wait => None,
        }
    }

    #[test]
    fn forged_addresses_cost_a_few_places_and_shut_nobody_out() {
        let door = Arc::new(Door::default());
        // All in the name of a client that is honest.
        let mut forged = Vec::new();
        while let Some(place) = enter(&door, "10.0.0.1", false) {
            forged.push(place);
        }
        assert_eq!(forged.len(), HANDSHAKES_BEFORE_RETRY);
        assert!(matches!(door.knock("10.0.0.1".parse().unwrap(), false), Knock::Prove));
        let honest = enter(&door, "10.0.0.1", true);
        assert!(honest.is_some(), "its address is its own, and it is let in");
        drop(forged);
        assert!(enter(&door, "10.0.0.1", false).is_some(), "nothing is left of them");
    }

    #[test]
    fn one_address_cannot_take_all_places_and_all_together_are_bounded() {
        let door = Arc::new(Door::default());
        let mut places = Vec::new();
        for number in 0.. {
            let address = format!("2001:db8:0:{number:x}::");
            let before = places.len();
            // Another address of the same network each time.
            for host in 0.. {
                let Some(place) = enter(&door, &format!("{address}{host:x}"), true) else { break };
                places.push(place);
            }
            assert!(places.len() - before <= HANDSHAKES_PER_ADDRESS_MAX);
            if places.len() == before {
                break;
            }
        }
        assert_eq!(places.len(), HANDSHAKES_MAX);
        drop(places);
        assert_eq!(door.0.lock().count, 0);
        assert!(door.0.lock().proven.is_empty(), "who has left is forgotten");
    }
}
