//! What the parts must come to: the figures that `--check` holds a run against.
//!
//! Of a part whose people came late, because the generator fell behind, or were not heard, because the node had
//! no room, only what rests on the order of entries is judged: the rest would be a figure of the machine.
//!
//! **Architecture invariant:** what chance alone may do is worked out from the run's own size, so a small run
//! is held to as much as it can show, and a large one to the figure itself.

use super::report::{PartReport, Report};
use crate::report::float;

/// A ring that does not reach so much of an open door is no ring.
const CONTROL_SHARE_MIN: f64 = 0.95;
/// In a run of fewer places it need not have those that it let go of to hand them over, one in ten: it loses a
/// third of them to people there, by chance. Of many places it loses one in 50, and is held to the figure.
const CONTROL_PLACES_MIN: u64 = 1_000;
/// From this speed on.
const CONTROL_SPEED_MIN: f64 = 100.0;

/// The ring's share of the places of draws that everybody enters, around its share of identities.
const SHARE_OFF_MAX: f64 = 0.0073;
/// And standard deviations that are chance. A run is held to five figures of that kind: beyond three, one
/// good run in 75 would fail, beyond four one in 3,000.
const SIGMAS_MAX: f64 = 4.0;

/// Coming early brings no more than this.
const AUC_OFF_MAX: f64 = 0.02;

const HINDERED_MAX: f64 = 0.001;

/// One request in so many may be shed.
const SHED_PART_MAX: u64 = 1_000;

/// Places left empty beyond those of the control; in a run of less than 200 places, one.
const EMPTY_MORE_MAX: f64 = 0.005;

/// What of a run is beyond its figure, a sentence each.
pub(crate) fn beyond(report: &Report) -> Vec<String> {
    let part = |name: &str| report.parts.get(name);
    let mut found = Vec::new();
    let mut expect = |name: &str, holds: bool, what: String| {
        if !holds {
            found.push(format!("{name}: {what}"));
        }
    };
    let is_fast = CONTROL_SPEED_MIN <= report.conditions.speed;
    let reaction = report.conditions.reaction_seconds;
    let is_quick =
        |part: &&PartReport| part.seconds_to_sell.is_some_and(|sold| sold < reaction / 2.0);
    let control = part("control").filter(|part| is_fast && was_played_as_meant(part));
    // Where a person would have been there before the places were gone, the machine is judged, not the ring.
    if let Some(control) = control.filter(is_quick) {
        let share = control.ring_share;
        let least = control_share_min(control);
        let what = format!("the ring got {share:.3} only, and {least:.3} is the least");
        expect("control", least <= share, what);
    }
    let empty = part("control").map(|control| control.left_empty);
    for (name, drawn) in ["draw", "sparse"].into_iter().filter_map(|name| Some((name, part(name)?)))
    {
        if let (Some(auc), Some(sigma)) = (drawn.auc, drawn.auc_sigma) {
            let most = AUC_OFF_MAX.max(SIGMAS_MAX * sigma);
            expect(name, (auc - 0.5).abs() <= most, format!("the AUC is {auc:.3} ± {sigma:.3}"));
        }
        if let Some(sigmas) = drawn.ring_sigmas {
            let what =
                format!("the ring won {sigmas:.1} standard deviations more than its entries");
            expect(name, sigmas.abs() <= SIGMAS_MAX, what);
        }
        if !was_played_as_meant(drawn) {
            continue;
        }
        let most = drawn.ring_places_max.unwrap_or(u64::MAX);
        let places = drawn.ring_places;
        expect(name, places <= most, format!("the ring has {places} places of {most}"));
        let handovers = drawn.handovers;
        expect(name, handovers == 0, format!("{handovers} hand-overs while people waited"));
        let hindered = drawn.honest_hindered;
        expect(
            name,
            hindered <= HINDERED_MAX,
            format!("{hindered:.4} of the people were hindered"),
        );
        if let Some(empty) = empty {
            let more = drawn.left_empty - empty;
            let what =
                format!("{more:.4} more places were left empty than first come, first served");
            let places = float(drawn.places);
            expect(name, (more * places).round() <= (EMPTY_MORE_MAX * places).max(1.0), what);
        }
    }
    if let Some(dense) = part("draw").filter(|part| was_played_as_meant(part)) {
        let off = (dense.ring_share - dense.identity_share).abs();
        let most = SHARE_OFF_MAX.max(share_off(dense));
        let what = format!("the ring's share is {off:.4} off its share of identities");
        expect("draw", off <= most, what);
    }
    found
}

/// Whether people came when they meant to, and nearly everybody was heard.
fn was_played_as_meant(part: &PartReport) -> bool {
    !part.generator_fell_behind && part.shed <= part.requests / SHED_PART_MAX
}

/// What the ring must have of an open door.
fn control_share_min(control: &PartReport) -> f64 {
    if CONTROL_PLACES_MIN <= control.places {
        return CONTROL_SHARE_MIN;
    }
    let kept = control.places.saturating_sub(control.handovers_tried);
    CONTROL_SHARE_MIN.min(float(kept) / float(control.places.max(1)))
}

/// What chance does to the ring's share, were every place given by chance.
fn share_off(part: &PartReport) -> f64 {
    let share = part.identity_share;
    let places = float(part.places.max(1));
    SIGMAS_MAX * (share * (1.0 - share) / places).sqrt()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::report::Conditions;
    use super::*;

    /// A part that is as it is to be.
    fn part(places: u64) -> PartReport {
        PartReport {
            places,
            ring_share: 1.0,
            seconds_to_sell: Some(0.001),
            auc: Some(0.5),
            auc_sigma: Some(0.001),
            ..PartReport::default()
        }
    }

    /// How many figures are beyond, of a run with this control and these draws.
    fn beyond_of(control: PartReport, sparse: PartReport) -> usize {
        let conditions =
            Conditions { speed: 100.0, reaction_seconds: 0.1, ..Conditions::default() };
        let parts = BTreeMap::from([("control", control), ("sparse", sparse)]);
        beyond(&Report { parts, conditions }).len()
    }

    #[test]
    fn a_ring_has_to_have_the_open_door_but_for_what_it_let_go_of() {
        for (places, let_go, ring_share, expected, why) in [
            (4_000, 0, 0.951, 0, "all but one in 20"),
            (4_000, 0, 0.949, 1, "less"),
            (4_000, 402, 0.949, 1, "of many it has to have those too that it let go of"),
            (160, 0, 0.944, 1, "nothing was let go of"),
            (160, 17, 0.944, 0, "17 of 160 were let go of, and 9 are missing"),
            (160, 17, 0.887, 1, "18 are missing"),
        ] {
            let control = PartReport { handovers_tried: let_go, ring_share, ..part(places) };
            assert_eq!(beyond_of(control, part(places)), expected, "{why}");
        }
    }

    #[test]
    fn draws_leave_no_more_places_empty_than_an_open_door_but_one_of_a_small_run() {
        for (places, control, sparse, expected) in [
            (4_000, 0, 20, 0),
            (4_000, 0, 21, 1),
            (4_000, 3, 23, 0),
            (160, 0, 1, 0),
            (160, 2, 3, 0),
            (160, 0, 2, 1),
        ] {
            let empty = |count: u32| PartReport {
                left_empty: f64::from(count) / float(places),
                ..part(places)
            };
            let found = beyond_of(empty(control), empty(sparse));
            assert_eq!(found, expected, "{sparse} of {places} beside {control}");
        }
    }
}
