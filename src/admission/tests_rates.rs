//! Rates under virtual time: which requests they are about, what refuses, and what outlives a change.

use super::{Limited, Meter, Rates};
use crate::model::{
    AccountId, Actor, AdmissionRule, AppointmentId, BookingChannel, ChannelSet, ChannelShare,
    ClientKey, ClientKeys, Command, Hold, LeaveWaitlist, PatientId, RateKey, RateRule, RequestId,
    Role, RuleMode, Timestamp,
};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const MINUTE: u64 = 60_000;

fn rule(per: RateKey, rate: u32) -> RateRule {
    RateRule {
        per,
        rate,
        every_seconds: 60,
        burst: rate,
        block_minutes: 0,
        channels: ChannelSet::ALL,
        mode: RuleMode::Enforce,
    }
}

fn under(rates: &[RateRule]) -> Rates {
    let node = Rates::default();
    follow(&node, rates);
    node
}

fn follow(node: &Rates, rates: &[RateRule]) {
    node.follow(Some(&AdmissionRule { rates: rates.to_vec(), shares: vec![] }), None);
}

/// A hold whose keys are all made of its patient's number.
fn hold(patient: u128, channel: u8) -> Hold {
    Hold {
        keys: ClientKeys {
            account: Some(AccountId(patient)),
            phone: Some(ClientKey(patient)),
            device: Some(ClientKey(patient)),
            address: Some(ClientKey(patient)),
        },
        channel: BookingChannel::new(channel).unwrap(),
        ..Hold::of(
            AppointmentId(RequestId::from_parts(NOW, patient << 8).0),
            PatientId(patient),
            [],
        )
    }
}

/// Asks as a request that reaches the engine does: the way first, then who asks.
fn ask_as(
    role: Role,
    node: &Rates,
    meter: &mut Meter,
    now: Timestamp,
    command: impl Into<Command>,
) -> Result<(), Limited> {
    let (actor, command) = (Actor::unbounded(role), command.into());
    node.admit(now, &actor, meter, (command.channel(), Some(&command)))?;
    node.admit_keys(now, &actor, meter, &command)
}

fn ask(
    node: &Rates,
    meter: &mut Meter,
    now: Timestamp,
    command: impl Into<Command>,
) -> Result<(), RateKey> {
    ask_as(Role::Gateway, node, meter, now, command).map_err(|limited| limited.key)
}

impl From<Hold> for Command {
    fn from(hold: Hold) -> Self {
        Self::Hold(hold)
    }
}

impl From<LeaveWaitlist> for Command {
    fn from(leave: LeaveWaitlist) -> Self {
        Self::LeaveWaitlist(leave)
    }
}

#[test]
fn each_kind_of_key_has_buckets_of_its_own() {
    for key in RateKey::ALL {
        let (node, mut meter) = (under(&[rule(key, 1)]), Meter::default());
        assert_eq!(ask(&node, &mut meter, NOW, hold(1, 1)), Ok(()), "{key:?}");
        assert_eq!(ask(&node, &mut meter, NOW, hold(1, 1)), Err(key));
        // Somebody else, through another channel, on another connection.
        let other = key.is_personal() || key == RateKey::Channel;
        let expected = if other { Ok(()) } else { Err(key) };
        assert_eq!(ask(&node, &mut meter, NOW, hold(2, 2)), expected, "{key:?}");
        let by_connection = ask(&node, &mut Meter::default(), NOW, hold(1, 1));
        let expected = if key == RateKey::Connection { Ok(()) } else { Err(key) };
        assert_eq!(by_connection, expected, "{key:?}");
        assert_eq!(ask(&node, &mut meter, NOW.plus_millis(MINUTE), hold(1, 1)), Ok(()));
    }
}

#[test]
fn a_key_that_a_request_does_not_carry_is_not_counted() {
    let rates = [RateKey::Account, RateKey::Device, RateKey::Address].map(|key| rule(key, 1));
    let (node, mut meter) = (under(&rates), Meter::default());
    for number in 0..5 {
        let anonymous = Hold { keys: ClientKeys::default(), ..hold(number, 1) };
        assert_eq!(ask(&node, &mut meter, NOW, anonymous), Ok(()));
    }
    // What is no hold carries the patient.
    let (node, mut meter) = (under(&[rule(RateKey::Patient, 1)]), Meter::default());
    let leave = LeaveWaitlist {
        request: RequestId::from_parts(NOW, 9),
        entry: RequestId::from_parts(NOW, 8),
        patient: PatientId(1),
        channel: BookingChannel::default(),
    };
    assert_eq!(ask(&node, &mut meter, NOW, leave), Ok(()));
    assert_eq!(ask(&node, &mut meter, NOW, hold(1, 1)), Err(RateKey::Patient));
}

#[test]
fn a_rate_of_some_channels_is_about_those_alone() {
    for key in RateKey::ALL {
        let some = RateRule { channels: ChannelSet(1 << 7), ..rule(key, 1) };
        let (node, mut meter) = (under(&[some]), Meter::default());
        for _ in 0..3 {
            assert_eq!(ask(&node, &mut meter, NOW, hold(1, 6)), Ok(()), "{key:?}");
        }
        assert_eq!(ask(&node, &mut meter, NOW, hold(1, 7)), Ok(()));
        assert_eq!(ask(&node, &mut meter, NOW, hold(1, 7)), Err(key));
    }
}

#[test]
fn the_streams_of_a_connection_share_its_bucket() {
    let node = under(&[rule(RateKey::Connection, 10)]);
    let levels = std::sync::Arc::default();
    let mut streams: [Meter; 4] =
        std::array::from_fn(|_| Meter::new(std::sync::Arc::clone(&levels)));
    let mut passed = 0;
    for _ in 0..10 {
        for meter in &mut streams {
            passed += u32::from(ask(&node, meter, NOW, hold(1, 1)).is_ok());
        }
    }
    assert_eq!(passed, 10);
}

#[test]
fn a_rate_in_shadow_counts_and_refuses_nobody_and_hides_no_other() {
    let shadow = RateRule { mode: RuleMode::Shadow, block_minutes: 5, ..rule(RateKey::Patient, 1) };
    let (node, mut meter) = (under(&[shadow, rule(RateKey::Patient, 3)]), Meter::default());
    let told: Vec<_> = (0..5).map(|_| ask(&node, &mut meter, NOW, hold(1, 1))).collect();
    assert_eq!(told[..3], [Ok(()); 3]);
    assert_eq!(told[3..], [Err(RateKey::Patient); 2]);
    let [.., patient, _, _] = node.counts(NOW).limited;
    assert_eq!(patient, [2, 4]);
}

#[test]
fn administrators_are_never_counted() {
    let rates = RateKey::ALL.map(|key| rule(key, 1));
    let (node, mut meter) = (under(&rates), Meter::default());
    for _ in 0..5 {
        assert_eq!(ask_as(Role::Admin, &node, &mut meter, NOW, hold(1, 1)), Ok(()));
    }
    assert_eq!(ask(&node, &mut meter, NOW, hold(1, 1)), Ok(()));
    assert_eq!(ask(&node, &mut meter, NOW, hold(1, 1)), Err(RateKey::Connection));
}

#[test]
fn buckets_and_blocks_outlive_other_rules_for_as_long_as_their_rate_stays() {
    let blocking = RateRule { block_minutes: 60, ..rule(RateKey::Address, 1) };
    let channel = rule(RateKey::Channel, 2);
    let (node, mut meter) = (under(&[blocking, channel]), Meter::default());
    assert_eq!(ask(&node, &mut meter, NOW, hold(1, 1)), Ok(()));
    assert_eq!(ask(&node, &mut meter, NOW, hold(1, 1)), Err(RateKey::Address));
    // Another rate is added in front.
    follow(&node, &[rule(RateKey::Patient, 9), channel, blocking]);
    assert_eq!(ask(&node, &mut meter, NOW, hold(2, 1)), Err(RateKey::Channel));
    assert_eq!(ask(&node, &mut meter, NOW, hold(1, 2)), Err(RateKey::Address));
    // The rate of addresses is another one now, and so are its buckets.
    follow(&node, &[RateRule { rate: 2, ..blocking }]);
    assert_eq!(ask(&node, &mut meter, NOW, hold(1, 2)), Ok(()));
    // Without rules nobody is counted.
    node.follow(None, None);
    for _ in 0..5 {
        assert_eq!(ask(&node, &mut meter, NOW, hold(1, 2)), Ok(()));
    }
}

#[test]
fn rules_are_due_when_the_next_come_into_force_and_not_before() {
    let node = Rates::default();
    assert!(node.is_due(NOW), "nobody has looked");
    node.follow(None, Some(NOW.plus_millis(10)));
    for (millis, is_due) in [(0, false), (9, false), (10, true), (11, true)] {
        assert_eq!(node.is_due(NOW.plus_millis(millis)), is_due, "{millis}");
    }
    let share = ChannelShare { channels: ChannelSet(2), weight: 7 };
    let rule = AdmissionRule { rates: vec![], shares: vec![share] };
    let weights = node.follow(Some(&rule), None);
    assert_eq!(weights[..3], [1, 7, 1]);
    assert!(!node.is_due(NOW.plus_millis(1 << 40)));
}

#[test]
fn clients_are_told_to_come_back_after_the_token_is_there_and_not_all_at_once() {
    for (key, least, most) in
        [(RateKey::Channel, 30_000, 34_750), (RateKey::Patient, 30_000, 33_770)]
    {
        let (node, mut meter) = (under(&[rule(key, 2)]), Meter::default());
        let mut told = std::collections::BTreeSet::new();
        for patient in 1..=50 {
            for _ in 0..3 {
                let asked = ask_as(Role::Gateway, &node, &mut meter, NOW, hold(patient, 1));
                told.extend(asked.err().map(|limited| limited.retry_after_millis));
            }
            let again = |meter: &mut Meter| {
                ask_as(Role::Gateway, &node, meter, NOW, hold(patient, 1)).unwrap_err()
            };
            assert_eq!(again(&mut meter), again(&mut meter), "the same request is told the same");
        }
        assert!(told.first() >= Some(&least) && told.last() < Some(&most), "{key:?} {told:?}");
        assert!(40 < told.len(), "{key:?}: {} times for 50", told.len());
    }
}
