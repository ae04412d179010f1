//! The sessions of the small worlds.

use super::draws::{drawn, undrawn};
use super::waitlist::waitlist;
use super::{MINUTE, MORNING, build};
use crate::model::{
    Attendance, Beacon, ChannelSet, ClassSet, Delay, DrawHash, LateRule, OrganizationId, Pick,
    PickUpWindow, Pool, PoolIndex, PoolTerms, Reclaim, Repeat, ReturnRule, ServiceHours, Session,
    SessionTerms, Sharing, Timestamp, Ttl,
};

/// One of 256 sessions with an id. They begin from five minutes ago to in an hour.
pub(super) fn session(id: u64, kind: u8) -> Session {
    let kind = usize::from(kind);
    let pools = [
        vec![pool(ChannelSet::ALL, ClassSet::ALL, &[1, 1])],
        vec![pool(ChannelSet::ALL, ClassSet::ALL, &[2, 1, 2])],
        vec![
            pool(ChannelSet(1), ClassSet::ALL, &[1, 1]),
            pool(ChannelSet::ALL, ClassSet::ALL, &[1, 0]),
        ],
        vec![
            pool(ChannelSet::ALL, ClassSet(1), &[1, 2]),
            pool(ChannelSet(2), ClassSet(2), &[1, 1]),
        ],
    ];
    let session = Session {
        // A draw needs time before the session.
        start: start(if kind % 12 < 9 { kind / 4 % 4 } else { 2 + kind / 4 % 2 }),
        pick: [Pick::Earliest, Pick::Even][kind / 16 % 2],
        repeat: [Repeat::OnePerPatient, Repeat::Unlimited][usize::from(kind / 32 % 4 == 3)],
        sharing: [Sharing::Cancel, Sharing::Read, Sharing::Own][kind / 64 % 3],
        organization: OrganizationId(if kind % 5 == 4 { 2 } else { 1 }),
        ttl_max: Ttl::from_millis(10 * 60_000).unwrap(),
        terms: terms(kind),
        pools: waves(kind, pools[kind % 4].clone()),
        ..build::session(id, &[])
    };
    if session.check().is_ok() { session } else { undrawn(session) }
}

/// Half of the sessions say nothing more. Of those with a draw, half let the others wait.
fn terms(kind: usize) -> SessionTerms {
    let delay = Delay { min_millis: 60_000, max_millis: 360_000 };
    let terms = SessionTerms::default();
    if 9 <= kind % 12 && (kind / 12).is_multiple_of(2) {
        let waitlist = Some(Box::new(waitlist(kind / 12)));
        return SessionTerms { returns: ReturnRule::WaitlistFirst(delay), waitlist, ..terms };
    }
    match kind % 11 {
        1 => SessionTerms { lead_millis: Some(600_000), ..terms },
        2 => SessionTerms { booking_ends: Some(MORNING.plus_millis(8 * MINUTE)), ..terms },
        3 => {
            let offsets = vec![(Timestamp::default(), 60), (MORNING.plus_millis(MINUTE), 0)];
            let hours = ServiceHours { from: 483, to: 490, channels: ChannelSet(1), offsets };
            SessionTerms { hours: Some(hours), ..terms }
        }
        9 => {
            let rules = [
                ReturnRule::Delayed(delay),
                ReturnRule::WaitlistFirst(delay),
                ReturnRule::Withheld,
            ];
            SessionTerms { returns: rules[kind / 11 % 3], ..terms }
        }
        8 => SessionTerms {
            attendance: Some(attendance(kind)),
            pick_up_windows: windows(kind),
            ..terms
        },
        10 => SessionTerms { changes_max: Some(u8::try_from(kind / 11 % 2).unwrap()), ..terms },
        5 | 6 => {
            let returns = ReturnRule::WaitlistFirst(delay);
            let displaced_offer = (kind % 11 == 6).then_some(Ttl::DEFAULT);
            let waitlist = Some(Box::new(waitlist(kind / 11)));
            SessionTerms { returns, displaced_offer, waitlist, ..terms }
        }
        0 | 4 => SessionTerms { displaced_offer: Some(Ttl::DEFAULT), ..terms },
        7 => {
            let attendance = Some(attendance(kind));
            SessionTerms { displaced_offer: Some(Ttl::DEFAULT), attendance, ..terms }
        }
        _ => terms,
    }
}

/// Pools that open later, with floors, and that give back what is left.
fn waves(kind: usize, mut pools: Vec<Pool>) -> Vec<Pool> {
    let later = |minutes: u64| MORNING.plus_millis(minutes * MINUTE);
    match kind % 12 {
        4 => pools[0].terms.opens = later(2),
        5 => pools.iter_mut().for_each(|pool| pool.terms.opens = later(4)),
        6 => {
            pools.last_mut().unwrap().terms =
                PoolTerms { opens: later(5), floor: 1, ..PoolTerms::default() }
        }
        7 if 1 < pools.len() => {
            pools[0].terms.reclaim = Some(Reclaim { at: later(3), to: PoolIndex(1) });
            pools[0].terms.floor = 1;
            pools[1].terms.opens = later(4);
        }
        8 if 1 < pools.len() => {
            pools[0].terms.reclaim = Some(Reclaim { at: later(3), to: PoolIndex(1) });
            pools[1].terms.reclaim = Some(Reclaim { at: later(3), to: PoolIndex(0) });
        }
        9 => {
            let beacon = Beacon { name: DrawHash([1; 32]), until: later(20) };
            pools[0].terms = drawn(later(9), (kind % 4 != 1).then_some(beacon));
        }
        10 => {
            let beacon = Beacon { name: DrawHash([1; 32]), until: later(20) };
            pools[0].terms = drawn(later(7), Some(beacon));
        }
        11 => {
            let beacon = Beacon { name: DrawHash([1; 32]), until: later(20) };
            for pool in &mut pools {
                pool.terms = drawn(later(10), Some(beacon));
            }
        }
        _ => {}
    }
    pools
}

/// Around slots of which most begin within half an hour.
pub(super) fn attendance(kind: usize) -> Attendance {
    let minute = |minutes: u32| minutes * 60_000;
    Attendance {
        check_in_from: minute([60, 15][kind / 8 % 2]),
        pick_up_until: [None, Some(-60_000), Some(120_000), None][kind / 4 % 4],
        grace: minute([0, 2][kind / 2 % 2]),
        late_until: minute([4, 15][kind / 16 % 2]),
        late: [LateRule::EndOfSegment, LateRule::Every(1), LateRule::Every(2)][kind / 11 % 3],
    }
}

/// In some sessions numbers are picked up in two windows, between which nobody may.
pub(super) fn windows(kind: usize) -> Vec<PickUpWindow> {
    let at = |seconds: u64| MORNING.plus_millis(seconds * 1_000);
    let window = |from, until| PickUpWindow { from: at(from), until: at(until) };
    match kind / 32 % 4 {
        1 => vec![window(30, 360), window(600, 1_500)],
        2 => vec![window(0, 300), window(420, 480), window(900, 3_600)],
        _ => Vec::new(),
    }
}

fn start(choice: usize) -> Timestamp {
    MORNING.minus_millis(5 * MINUTE).plus_millis([0, 10, 25, 65][choice] * MINUTE)
}

fn pool(channels: ChannelSet, classes: ClassSet, quotas: &[u16]) -> Pool {
    Pool { channels, classes, quotas: quotas.to_vec(), terms: PoolTerms::default() }
}
