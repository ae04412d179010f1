//! What a part showed, as JSON for programs (`table` shows it to people).
//!
//! **Architecture invariant:** what was not measured is `null`, and a run in which the generator fell behind
//! says so beside the figures.

use std::collections::BTreeMap;

use serde::Serialize;

use super::ledger::Ledger;
use super::measures::{Auc, Lots, median, share};
use super::play::Play;
use super::stage::Played;
use crate::report::float;

/// One part. Shares are from 0 to 1.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct PartReport {
    /// Of the places that are booked at the end, those of the ring's identities.
    pub(crate) ring_share: f64,
    /// Of all who ask, the ring's identities.
    pub(crate) identity_share: f64,
    /// The chance that of a winner and a loser the winner asked first.
    pub(crate) auc: Option<f64>,
    /// How far chance alone brings it from 0.5: one standard deviation.
    pub(crate) auc_sigma: Option<f64>,
    /// The same as `auc`, of people alone.
    pub(crate) auc_people: Option<f64>,
    /// Places that the ring freed and took again by asking, while people waited for one.
    pub(crate) handovers: u64,
    /// Of the people, those whom a rule against scalpers refused something.
    pub(crate) honest_hindered: f64,
    /// Of the places, those that are not booked at the end.
    pub(crate) left_empty: f64,
    pub(crate) oversold: u64,
    /// From the opening, or the close of the draw, until every place was taken: the median of the openings,
    /// in seconds of the run. `null` where that never was.
    pub(crate) seconds_to_sell: Option<f64>,
    pub(crate) lost: u64,
    pub(crate) double: u64,
    pub(crate) leaked: u64,
    pub(crate) early: u64,
    pub(crate) violations: Vec<String>,
    pub(crate) places: u64,
    pub(crate) honest_places: u64,
    pub(crate) ring_places: u64,
    /// What the rules let the ring's identities have at the most.
    pub(crate) ring_places_max: Option<u64>,
    /// All hand-overs, also where nobody waited any more.
    pub(crate) handovers_all: u64,
    pub(crate) handovers_tried: u64,
    /// Places that nobody has at the end, in openings for which people wait.
    pub(crate) idle_while_waiting: u64,
    /// Of a draw: the ring's share of entries and of winners, what even lots would give it, and by how many
    /// standard deviations it won more.
    pub(crate) ring_entry_share: Option<f64>,
    pub(crate) ring_drawn_share: Option<f64>,
    pub(crate) ring_expected_share: Option<f64>,
    pub(crate) ring_sigmas: Option<f64>,
    pub(crate) hindered_by: BTreeMap<&'static str, u64>,
    pub(crate) requests: u64,
    pub(crate) ring_requests: u64,
    pub(crate) requests_per_second: f64,
    /// Requests for a place in the first minute of life of an opening, of each who wants it.
    pub(crate) person_asks_per_minute: f64,
    pub(crate) ring_asks_per_minute: f64,
    /// Requests that the node had no room for.
    pub(crate) shed: u64,
    pub(crate) honest_refusals: BTreeMap<&'static str, u64>,
    pub(crate) ring_refusals: BTreeMap<&'static str, u64>,
    /// Answers with success that the account was kept of, and appointments that were compared.
    pub(crate) answers: u64,
    pub(crate) appointments_checked: u64,
    pub(crate) journal_lines: u64,
    /// 99 of 100 first requests were sent not later than so many ms after they were to be.
    pub(crate) lag_p99_ms: f64,
    pub(crate) generator_fell_behind: bool,
    pub(crate) asked_again: u64,
    pub(crate) recovery_ms: Option<u64>,
    pub(crate) seconds: f64,
    /// Bookings by people and by the ring up to so many ms after the opening, of those that last.
    pub(crate) sales: Vec<(u64, u64, u64)>,
}

/// Everything.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    #[serde(flatten)]
    pub(crate) parts: BTreeMap<&'static str, PartReport>,
    pub(crate) conditions: Conditions,
}

/// What was chosen.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Conditions {
    pub(crate) seed: u64,
    pub(crate) speed: f64,
    /// From an opening to the fastest person's first request, in seconds of the run.
    pub(crate) reaction_seconds: f64,
    pub(crate) identities: u32,
    pub(crate) honest: u32,
    pub(crate) openings: u32,
    pub(crate) places: u16,
    pub(crate) tactics: Vec<String>,
    pub(crate) processors: usize,
}

/// First requests that are later are the generator's fault, not the node's.
const LAG_MAX_MILLIS: f64 = 20.0;

/// Points of the sales curve.
const POINTS: u64 = 40;

impl PartReport {
    pub(crate) fn new(played: Played) -> Self {
        let Played { mut play, mut recount, cap, recovery_millis, seconds } = played;
        recount.ledgers.iter_mut().for_each(|ledger| ledger.close(&play.minds.crowd));
        let ledgers = &recount.ledgers;
        let sum = |of: fn(&Ledger) -> u64| ledgers.iter().map(of).sum::<u64>();
        let [people, ring] = [sum(|ledger| ledger.booked[0]), sum(|ledger| ledger.booked[1])];
        let places = sum(Ledger::places);
        let mut lots = Lots::default();
        for ledger in ledgers {
            lots.add_ledger(ledger, &play.minds.crowd);
        }
        let drawn = play.is_draw().then_some(());
        let everybody = auc(&play, ledgers, |_| true);
        let people_alone = auc(&play, ledgers, |person| !play.minds.crowd.is_ring(person));
        let lag_p99_ms = play.tally.lag_millis(99);
        let run_seconds = float(play.times.ends()) / 1e6;
        let scenario = &play.minds.scenario;
        let openings = u64::from(scenario.openings.count);
        let ring_wishes = u64::from(scenario.ring.identities) * openings;
        let wishes = play.quests.len() as u64;
        let honest = u64::from(scenario.honest.count);
        let violations = std::mem::take(&mut play.violations);
        let tally = &play.tally;
        Self {
            ring_share: share(ring, people + ring),
            identity_share: scenario.identity_share(),
            auc: everybody.value(),
            auc_sigma: everybody.deviation(),
            auc_people: people_alone.value(),
            handovers: sum(|ledger| ledger.handovers[1]),
            honest_hindered: share(tally.hindered.len() as u64, honest),
            left_empty: share(places.saturating_sub(people + ring), places),
            oversold: violations.oversold,
            seconds_to_sell: seconds_to_sell(ledgers),
            lost: violations.lost,
            double: violations.double,
            leaked: violations.leaked,
            early: violations.early,
            places,
            honest_places: people,
            ring_places: ring,
            ring_places_max: cap.map(|cap| u64::from(cap) * u64::from(scenario.ring.identities)),
            handovers_all: sum(|ledger| ledger.handovers[0]),
            handovers_tried: tally.handovers_tried,
            idle_while_waiting: ledgers.iter().map(|ledger| ledger.idle(&play.minds.crowd)).sum(),
            ring_entry_share: drawn.map(|()| share(lots.ring_entries, lots.entries)),
            ring_drawn_share: drawn.map(|()| share(lots.ring_winners, lots.winners)),
            ring_expected_share: drawn.map(|()| lots.expected_share()),
            ring_sigmas: lots.sigmas(),
            hindered_by: tally.hindered_by.clone(),
            requests: tally.requests,
            ring_requests: tally.ring_requests,
            requests_per_second: float(tally.requests) / run_seconds,
            person_asks_per_minute: share(tally.first_minute[0], wishes - ring_wishes),
            ring_asks_per_minute: share(tally.first_minute[1], ring_wishes),
            shed: tally.shed,
            honest_refusals: tally.refusals[0].clone(),
            ring_refusals: tally.refusals[1].clone(),
            answers: play.account.answers,
            appointments_checked: play.account.told.len() as u64,
            journal_lines: recount.lines,
            lag_p99_ms,
            generator_fell_behind: LAG_MAX_MILLIS < lag_p99_ms,
            asked_again: tally.asked_again,
            recovery_ms: recovery_millis,
            seconds,
            sales: sales(&play, ledgers),
            violations: violations.first,
        }
    }

    pub(crate) const fn is_sound(&self) -> bool {
        self.oversold + self.lost + self.double + self.leaked + self.early == 0
    }
}

/// Of a draw from the journal: entries in their order, and who was drawn. First come, first served: who asked
/// when, by our clock, and who ever had a place.
fn auc(play: &Play, ledgers: &[Ledger], counts: impl Fn(u32) -> bool) -> Auc {
    let mut auc = Auc::default();
    if play.is_draw() {
        for ledger in ledgers {
            let entries = ledger.entries.iter().filter(|person| counts(**person));
            auc.add(entries.map(|person| ledger.drawn.contains(person)));
        }
        return auc;
    }
    let mut came: Vec<Vec<(u64, u32)>> = vec![Vec::new(); ledgers.len()];
    for (person, quest) in play.people().filter(|(person, _)| counts(*person)) {
        if quest.first_asked != u64::MAX
            && let Some(came) = came.get_mut(quest.opening as usize)
        {
            came.push((quest.first_asked, person));
        }
    }
    for (mut came, ledger) in came.into_iter().zip(ledgers) {
        came.sort_unstable();
        auc.add(came.iter().map(|(_, person)| ledger.had.contains(person)));
    }
    auc
}

/// The median, with openings that never were full as the longest.
fn seconds_to_sell(ledgers: &[Ledger]) -> Option<f64> {
    let seconds = |ledger: &Ledger| {
        let after = ledger.sold?.saturating_sub(ledger.closes);
        Some(float(after) / 1e3)
    };
    let all = ledgers.iter().map(|ledger| seconds(ledger).unwrap_or(f64::INFINITY)).collect();
    median(all).filter(|seconds| seconds.is_finite())
}

/// Bookings over time, of people and of the ring.
fn sales(play: &Play, ledgers: &[Ledger]) -> Vec<(u64, u64, u64)> {
    let lasts = play.times.lasts / 1_000;
    let bookings: Vec<(u32, u64)> = ledgers.iter().flat_map(Ledger::bookings).collect();
    let point = |number| {
        let at = lasts * number / POINTS;
        let (mut people, mut ring) = (0, 0);
        for (person, _) in bookings.iter().filter(|booking| booking.1 <= at) {
            *(if play.minds.crowd.is_ring(*person) { &mut ring } else { &mut people }) += 1;
        }
        (at, people, ring)
    };
    (0..=POINTS).map(point).collect()
}

impl Report {
    /// Whether nothing was oversold, lost, double, leaked or early.
    pub(crate) fn is_sound(&self) -> bool {
        self.parts.values().all(PartReport::is_sound)
    }
}

/// The parts, as they are played and shown.
pub(crate) const ORDER: [&str; 4] = ["control", "draw", "sparse", "rules"];
