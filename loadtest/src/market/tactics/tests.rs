use super::*;
use crate::market::crowd::Crowd;
use crate::market::minds::{Minds, Past, Told};
use crate::market::scenario::Part;

/// A ring of the built-in scenario with these tactics, at 100 times the speed of a person.
fn minds(tactics: &[&str], part: impl FnOnce(&Scenario) -> Part) -> Minds {
    let mut scenario = Scenario::built_in().unwrap();
    scenario.ring.tactics = tactics.iter().map(|name| (*name).to_owned()).collect();
    let part = part(&scenario);
    Minds::new(scenario, part, 1).unwrap()
}

fn first_come(tactics: &[&str]) -> Minds {
    minds(tactics, |scenario| scenario.parts.control)
}

const SCRIPT: u32 = 2_000;

fn past() -> Past {
    Past::new(1, SCRIPT, 0)
}

/// The pause after a refusal, in µs; `None` where nothing is asked again.
fn pause(minds: &mut Minds, outcome: Outcome) -> Option<u64> {
    match minds.refused(&mut past(), Told::default(), outcome) {
        Next::Again(after) => Some(after),
        Next::Wait | Next::Stop => None,
    }
}

#[test]
fn every_tactic_is_found_by_its_name_and_another_is_refused() {
    for (name, about, _) in ALL {
        assert!(!about.is_empty());
        assert!(!first_come(&[name]).scenario.ring.tactics.is_empty());
    }
    let mut scenario = Scenario::built_in().unwrap();
    scenario.ring.tactics = vec!["bribery".to_owned()];
    assert!(of(&scenario).unwrap_err().contains("there is no tactic \"bribery\""));
}

#[test]
fn without_tactics_an_identity_decides_as_a_person_does() {
    let mut ring = first_come(&[]);
    let mut person = Past { person: 300, ..past() };
    assert_eq!(ring.first(&mut past()), ring.first(&mut person));
    assert!(!ring.asks_on(SCRIPT));
}

#[test]
fn a_script_is_as_many_times_sooner_as_it_is_faster_and_a_probe_before_the_opening() {
    let (person, script, probe) = (
        first_come(&[]).first(&mut past()),
        first_come(&["zero_reaction"]).first(&mut past()),
        first_come(&["probe"]).first(&mut past()),
    );
    assert!((person / 100 - script).abs() <= 50, "{person} {script}");
    assert!((-333_400..=0).contains(&probe), "{probe}");
}

#[test]
fn retries_never_end_and_come_as_many_times_faster() {
    let mut retry = first_come(&["retry"]);
    let after = pause(&mut retry, Outcome::SoldOut).unwrap();
    // A person's pause is 0.6 s of the run.
    assert!((4_000..=8_000).contains(&after), "{after}");
    let told = Told { ring_asking: 400, ..Told::default() };
    let shared = retry.refused(&mut past(), told, Outcome::SoldOut);
    assert_eq!(shared, Next::Again(5_000), "400 that ask share 80,000 requests a second");
    let told = Told { since_opening: 1_000_001, ..told };
    assert_eq!(retry.refused(&mut past(), told, Outcome::SoldOut), Next::Again(100_000));
    let told = Told { hint_micros: 3_000, ..Told::default() };
    assert_eq!(retry.refused(&mut past(), told, Outcome::NotOpenYet), Next::Again(3_000));
    assert!(retry.asks_on(SCRIPT) && !retry.asks_on(3));
}

#[test]
fn a_drip_and_who_adapts_are_slower_than_a_retry() {
    let mut drip = first_come(&["retry", "drip"]);
    assert!(200_000 <= pause(&mut drip, Outcome::SoldOut).unwrap());
    let mut adaptive = first_come(&["retry", "adaptive"]);
    let mut pauses = Vec::new();
    for _ in 0..12 {
        pauses.push(pause(&mut adaptive, Outcome::RateLimited).unwrap());
    }
    assert_eq!(pauses[1], 2 * pauses[0]);
    assert_eq!(pauses[11], pauses[10], "not slower for ever");
    assert!(pause(&mut adaptive, Outcome::SoldOut).unwrap() < pauses[11]);
}

#[test]
fn hoarders_let_lapse_and_sellers_hand_over_as_often_as_the_scenario_says() {
    let mut hoard = first_come(&["hoard"]);
    let mut handover = first_come(&["handover"]);
    let (mut lapsed, mut handed) = (0, 0);
    for opening in 0..1_000 {
        let mut past = Past::new(1, SCRIPT, opening);
        let then = hoard.held(&mut past, Told { hold_micros: 1_000_000, ..Told::default() }, true);
        lapsed += u32::from(then == Then::Forget);
        handed += u32::from(matches!(handover.booked(&mut past), Later::HandOver(_)));
    }
    assert!((450..=560).contains(&lapsed), "{lapsed}");
    assert!((70..=130).contains(&handed), "{handed}");
}

#[test]
fn identities_have_accounts_of_few_and_without_them_all_have_one() {
    let accounts = |tactics: &[&str]| {
        let minds = first_come(tactics);
        let ring = minds.crowd.people[2_000..].iter().map(|person| person.account);
        ring.collect::<std::collections::BTreeSet<_>>().len()
    };
    assert_eq!((accounts(&[]), accounts(&["identities"])), (1, 25));
}

#[test]
fn devices_and_doors_change_from_request_to_request() {
    let mut many = first_come(&["devices", "collusion"]);
    let one = many.guise(&mut past());
    let other = many.guise(&mut past());
    assert_ne!((one.device, one.address), (other.device, other.address));
    assert_ne!(one.channel, other.channel);
    assert_eq!(one.account, other.account);
}

#[test]
fn people_have_no_tactics() {
    let crowd = Crowd::new(&Scenario::built_in().unwrap(), 1);
    let dressed = first_come(&["identities", "devices"]).crowd;
    for person in 0..2_000 {
        assert_eq!(crowd.people[person].device, dressed.people[person].device);
    }
}
