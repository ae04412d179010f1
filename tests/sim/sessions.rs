//! The sessions of a run: small, with few or many terms.

use haoyuan::model::{
    Attendance, Beacon, ChannelSet, ClassSet, Delay, DepartmentId, Draw, LateRule, OrganizationId,
    Pick, PickUpWindow, Pool, PoolIndex, PoolTerms, Reclaim, Repeat, ResourceId, ReturnRule,
    ServiceHours, Session, SessionId, SessionTerms, Sharing, SiteId, Timestamp, Ttl, WaitlistRule,
};

use crate::random::Random;

pub(crate) const MINUTE: u64 = 60_000;

/// Few, so that there are other sessions of the same one.
pub(crate) const RESOURCES: u64 = 3;

/// A small session, so that it sells out: some have begun, and some are over soon.
pub(crate) fn session(random: &mut Random, number: u64, now: Timestamp) -> Session {
    let slots = random.between(1, 5);
    let rich = random.chance(700);
    let count = random.between(1, 3);
    let pools = (0..count)
        .map(|index| Pool {
            channels: ChannelSet(random.pick(&[u64::MAX, u64::MAX, 0b0011, 0b0100])),
            classes: ClassSet(random.pick(&[u8::MAX, u8::MAX, 1, 1 << 4])),
            quotas: (0..slots).map(|_| u16::try_from(random.below(4)).unwrap()).collect(),
            terms: if rich { pool_terms(random, index, count, now) } else { PoolTerms::default() },
        })
        .collect();
    let start = now.minus_millis(30 * MINUTE).plus_millis(random.below(180 * MINUTE));
    let session = Session {
        id: SessionId(number),
        organization: OrganizationId(if random.chance(850) { 1 } else { 2 }),
        site: SiteId(1),
        department: DepartmentId(1),
        resource: ResourceId(number % RESOURCES),
        appointment_type: 0,
        start,
        slot_millis: random.pick(&[
            60_000,
            600_000,
            1_800_000,
            if number % 7 == 3 { 0 } else { 1 << 20 },
        ]),
        pick: random.pick(&[Pick::Earliest, Pick::Even]),
        repeat: random.pick(&[Repeat::OnePerPatient, Repeat::OnePerPatient, Repeat::Unlimited]),
        sharing: random.pick(&[Sharing::Own, Sharing::Read, Sharing::Cancel]),
        ttl_max: Ttl::from_millis(random.pick(&[30_000, 900_000, 86_400_000])).unwrap(),
        terms: if rich { session_terms(random, now) } else { SessionTerms::default() },
        pools,
    };
    if random.chance(250) { drawn(random, session, now) } else { session }
}

/// The same with a draw of its first pool, and few places in it.
fn drawn(random: &mut Random, mut session: Session, now: Timestamp) -> Session {
    let mut later = |from: Timestamp, most: u64| {
        from.plus_millis(MINUTE / 10).plus_millis(random.below(most * MINUTE))
    };
    let opens = later(now, 10);
    let closes = later(opens, 20);
    let until = later(closes, 10);
    session.start = later(until, 60);
    let name = haoyuan::draw::beacon_name("a lottery's next number");
    let draw = Draw {
        closes,
        preferences_max: 3,
        ttl: Ttl::from_millis(random.pick(&[60_000, 900_000])).unwrap(),
        beacon: random.chance(400).then_some(Beacon { name, until }),
        commitment: None,
    };
    let pool = &mut session.pools[0];
    (pool.channels, pool.classes) = (ChannelSet(u64::MAX), ClassSet(u8::MAX));
    pool.terms = PoolTerms { opens, draw: Some(draw), ..PoolTerms::default() };
    pool.quotas.iter_mut().for_each(|quota| *quota = (*quota).min(1));
    session.repeat = Repeat::OnePerPatient;
    session
}

fn pool_terms(random: &mut Random, index: u64, count: u64, now: Timestamp) -> PoolTerms {
    let mut soon = |most: u64| now.plus_millis(random.below(most * MINUTE));
    let (opens, at) = (soon(20), soon(90));
    let to = PoolIndex(u8::try_from((index + 1) % count).unwrap());
    PoolTerms {
        opens: if random.chance(600) { opens } else { Timestamp::default() },
        floor: u32::from(random.chance(100)),
        reclaim: (1 < count && random.chance(400)).then_some(Reclaim { at, to }),
        draw: None,
    }
}

fn session_terms(random: &mut Random, now: Timestamp) -> SessionTerms {
    let ends = now.plus_millis(random.below(240 * MINUTE));
    let hours = ServiceHours {
        from: 16 * 60 + 10,
        to: 17 * 60,
        channels: ChannelSet(0b0011),
        offsets: vec![(Timestamp::default(), 8 * 60)],
    };
    let attendance = random.chance(850).then(|| attendance(random));
    let windows =
        if attendance.is_some() && random.chance(300) { windows(random, now) } else { Vec::new() };
    SessionTerms {
        booking_ends: random.chance(300).then_some(ends),
        lead_millis: random.chance(300).then_some(600_000),
        hours: random.chance(300).then_some(hours),
        attendance,
        pick_up_windows: windows,
        changes_max: random.chance(200).then_some(1),
        displaced_offer: if random.chance(950) { Ttl::from_millis(120_000) } else { None },
        ..waiting(random, now)
    }
}

/// What becomes of freed places, and who waits for them.
fn waiting(random: &mut Random, now: Timestamp) -> SessionTerms {
    let returns = returns(random);
    let hours = ServiceHours {
        from: 16 * 60 + 5,
        to: 18 * 60,
        channels: ChannelSet::ALL,
        offsets: vec![(Timestamp::default(), 8 * 60)],
    };
    let rule = WaitlistRule {
        entries_max: random.pick(&[1, 3, 100]),
        priority: random.pick(&[[0; 5], [1, 1, 1, 1, 0]]),
        draw_millis: random.pick(&[0, 0, 30_000, 600_000]),
        offer_millis: 600_000,
        near_offer_millis: 60_000,
        near_millis: 3_600_000,
        hours: random.chance(200).then_some(hours),
        closes_at: now.plus_millis(random.between(5, 240) * MINUTE),
    };
    let waits = matches!(returns, ReturnRule::WaitlistFirst(_));
    SessionTerms { returns, waitlist: waits.then(|| Box::new(rule)), ..SessionTerms::default() }
}

/// Half of the sessions let freed places wait, and a few never give them back.
fn returns(random: &mut Random) -> ReturnRule {
    let delay = Delay { min_millis: 5_000, max_millis: 600_000 };
    random.pick(&[
        ReturnRule::AtOnce,
        ReturnRule::AtOnce,
        ReturnRule::AtOnce,
        ReturnRule::Delayed(delay),
        ReturnRule::WaitlistFirst(delay),
        ReturnRule::WaitlistFirst(delay),
        ReturnRule::WaitlistFirst(delay),
        ReturnRule::Withheld,
    ])
}

/// Numbers are picked up for a while, and again after a pause.
fn windows(random: &mut Random, now: Timestamp) -> Vec<PickUpWindow> {
    let until = now.plus_millis(random.between(5, 60) * MINUTE);
    let from = until.plus_millis(random.between(1, 30) * MINUTE);
    let second = PickUpWindow { from, until: from.plus_millis(600 * MINUTE) };
    vec![PickUpWindow { from: now, until }, second]
}

/// Mostly wide bounds, so that many come.
fn attendance(random: &mut Random) -> Attendance {
    let minutes = |minutes: u64| u32::try_from(minutes * MINUTE).unwrap();
    let grace = minutes(random.below(20));
    Attendance {
        check_in_from: minutes(random.pick(&[30, 180, 600])),
        pick_up_until: random.pick(&[None, None, None, Some(-600_000), Some(1_200_000)]),
        grace,
        late_until: grace + minutes(random.below(120)),
        late: random.pick(&[LateRule::EndOfSegment, LateRule::Every(1), LateRule::Every(3)]),
    }
}
