//! What the scene of the fair draw showed, for somebody who runs a hospital.
//!
//! **Architecture invariant:** every number is counted: in the answers that people got, in the published
//! file, or in the journal after the kill. Where they should be the same and are not, there is a fault.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use serde::Serialize;

use super::draw::{Entrant, Group, PLACES, Played};
use super::table::{Table, clock_of, count, percent, permille};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::draw::{DrawFile, Places, final_seed, rank, receipt, verify};
use crate::model::{DrawHash, Pseudonym};

/// What the scene showed.
#[derive(Debug, Serialize)]
pub(super) struct DrawReport {
    places: u32,
    opens_ms: u64,
    closes_ms: u64,
    entries: u32,
    tries: u32,
    refused_too_early: u32,
    refused_second_entries: u32,
    refused_too_late: u32,
    groups: Vec<GroupReport>,
    winners: u32,
    booked: u32,
    commitment: String,
    commitment_read_ms: u64,
    seed: String,
    file_agrees: bool,
    checked: Vec<String>,
    receipt: Option<String>,
    receipt_rank: Option<u32>,
    receipt_won: Option<bool>,
    forgery_found: bool,
    same_after_the_kill: bool,
    other_seeds: u32,
    /// Whether all of it is as it must be.
    holds: bool,
}

/// One row of it.
#[derive(Debug, Serialize)]
struct GroupReport {
    group: &'static str,
    people: u32,
    tries: u32,
    entries: u32,
    entries_percent: f64,
    places: u32,
    places_percent: f64,
    /// What the same entries would have won on average, under other seeds.
    places_with_other_seeds: f64,
}

impl DrawReport {
    /// Counts, recomputes, and compares with the file that was made of the journal after the kill.
    pub(super) fn new(played: &Played, after_the_kill: Option<&DrawFile>) -> (Self, Vec<String>) {
        let Played { file, entrants, .. } = played;
        let text = file.render();
        let (kept, line) = found(played);
        let checked = verify(&text, played.commitment, kept);
        let sum = |of: fn(&Entrant) -> u32| entrants.iter().map(of).sum::<u32>();
        let mut report = Self {
            places: u32::from(PLACES),
            opens_ms: played.opens.as_millis(),
            closes_ms: played.closes.as_millis(),
            entries: sum(|entrant| entrant.entry.is_some().into()),
            tries: sum(|entrant| entrant.tries),
            refused_too_early: sum(|entrant| entrant.too_early),
            refused_second_entries: sum(|entrant| entrant.second),
            refused_too_late: sum(|entrant| entrant.too_late),
            groups: groups(played),
            winners: sum(|entrant| entrant.has_won.into()),
            booked: sum(|entrant| entrant.has_booked.into()),
            commitment: played.commitment.to_string(),
            commitment_read_ms: played.commitment_read.as_millis(),
            seed: DrawHash(file.seed.0).to_string(),
            file_agrees: checked.is_ok(),
            receipt: kept.map(|kept| kept.to_string()),
            receipt_rank: line.map(|(rank, _)| rank),
            receipt_won: line.map(|(_, won)| won),
            forgery_found: forged(file)
                .is_some_and(|forged| verify(&forged, played.commitment, None).is_err()),
            same_after_the_kill: after_the_kill.is_some_and(|again| again.render() == text),
            other_seeds: OTHER_SEEDS,
            holds: false,
            checked: checked.clone().unwrap_or_default(),
        };
        let mut faults = report.faults(played);
        faults.extend(checked.err().map(|fault| format!("the published draw is wrong: {fault}")));
        report.holds = faults.is_empty();
        (report, faults)
    }

    fn faults(&self, played: &Played) -> Vec<String> {
        let in_file = |won: bool| {
            let lines = played.file.entries.iter().filter(|line| !won || line.won.is_some());
            count(lines.count())
        };
        let pseudonym_of =
            |entrant: &Entrant| Some((*played.pseudonyms.get(&entrant.entry?)?, entrant.has_won));
        let told: Vec<_> = played.entrants.iter().filter_map(pseudonym_of).collect();
        let published: HashMap<_, _, foldhash::fast::FixedState> = (played.file.entries.iter())
            .map(|line| (line.entry.pseudonym, line.won.is_some()))
            .collect();
        let agrees = |(who, won): &(Pseudonym, bool)| published.get(who) == Some(won);
        let rules = [
            (
                self.winners == self.places.min(self.entries),
                "not every place was drawn, or one twice",
            ),
            (self.booked == self.winners, "a winner did not get the place"),
            (self.entries == in_file(false), "the published entries are not those that were made"),
            (self.winners == in_file(true), "the published winners are not those that were told"),
            (told.len() == published.len(), "somebody entered of whom nobody knows"),
            (told.iter().all(agrees), "somebody was told something else than what was published"),
            (
                self.commitment_read_ms < self.opens_ms,
                "the seal was not published before the opening",
            ),
            (self.forgery_found, "a forged file was taken for a true one"),
            (self.same_after_the_kill, "the draw in the journal is not the one that was published"),
        ];
        let broken = rules.into_iter().filter(|(holds, _)| !holds);
        broken.map(|(_, what)| format!("the fair draw: {what}")).collect()
    }

    /// Tells it.
    pub(super) fn print(&self, output: &mut Output) -> Result<(), Failure> {
        let (people, scripts) =
            (self.groups.iter().map(|group| group.people).sum::<u32>(), &self.groups[0]);
        output.line("1. AN OPENING BY FAIR DRAW (公平摇号)")?;
        output.line(format_args!(
            "   An expert's clinic has {} places. {people} people want one; {} of them let a script ask.",
            self.places, scripts.people
        ))?;
        output.line("   Whoever asks before the close has one entry. Then lots are drawn.")?;
        output.line("")?;
        self.print_facts(output)?;
        output.line("")?;
        self.print_groups(output)?;
        output.line("")?;
        self.print_proof(output)?;
        output.line("")?;
        if self.holds {
            output.line(format_args!(
                "   => Being fast bought nothing: {} tries of scripts made {} entries, one for each person,",
                scripts.tries, scripts.entries
            ))?;
            output.line("      like everybody's.")?;
        } else {
            output.line("   => This did not go as it must: see the faults below.")?;
        }
        output.line("")
    }

    fn print_facts(&self, output: &mut Output) -> Result<(), Failure> {
        let mut facts = Table::new(&[false, true]);
        let mut fact = |what: &str, value: String| facts.row(&[what, &value]);
        fact("entries opened (UTC)", clock_of(self.opens_ms));
        fact("entries closed (UTC)", clock_of(self.closes_ms));
        let open = self.closes_ms.saturating_sub(self.opens_ms);
        let open = format!("{}.{} s", open / 1_000, open % 1_000 / 100);
        fact("entries were open for (in a hospital: hours)", open);
        fact("people who entered, once each", self.entries.to_string());
        fact("tries refused: before the opening", self.refused_too_early.to_string());
        fact("tries refused: a second entry", self.refused_second_entries.to_string());
        fact("tries refused: after the close", self.refused_too_late.to_string());
        fact("places given out by lot", self.winners.to_string());
        fact("winners who booked", self.booked.to_string());
        facts.print(output)
    }

    fn print_groups(&self, output: &mut Output) -> Result<(), Failure> {
        let mut table = Table::new(&[false, true, true, true, true, true, true, true]);
        table.row(&[
            "who",
            "people",
            "tries",
            "entries",
            "of entries",
            "places",
            "of places",
            "on average*",
        ]);
        for (group, (_, _, label)) in self.groups.iter().zip(GROUPS) {
            table.row(&[
                label,
                &group.people.to_string(),
                &group.tries.to_string(),
                &group.entries.to_string(),
                &percent(group.entries_percent),
                &group.places.to_string(),
                &percent(group.places_percent),
                &format!("{:.1}", group.places_with_other_seeds),
            ]);
        }
        table.print(output)?;
        output.line(format_args!(
            "   * {} places are few, so luck shows in one draw. These are the places that the same entries win",
            self.places
        ))?;
        output.line(format_args!(
            "     on average if the lots are drawn {} times more: they follow the entries, not the tries.",
            self.other_seeds
        ))
    }

    fn print_proof(&self, output: &mut Output) -> Result<(), Failure> {
        let told = |truth: bool| if truth { "yes" } else { "NO" };
        let mut lots = Table::new(&[false, false]);
        lots.row(&["   seal, published before", &self.commitment]);
        lots.row(&["   number, published after", &self.seed]);
        output.line("   Everybody can check the draw. The lots follow from a secret number. A seal that fits")?;
        output.line("   no other number is published before entries open, and the number itself after the draw.")?;
        if let Some(receipt) = &self.receipt {
            lots.row(&["   receipt of one patient", receipt]);
        }
        lots.print(output)?;
        let mut checks = Table::new(&[false, false]);
        let mut check = |what: &str, value: &str| checks.row(&[&format!("   {what}"), value]);
        check(
            "the published list, computed again, gives the same lots and winners",
            told(self.file_agrees),
        );
        if let Some(rank) = self.receipt_rank {
            let came_to = if self.receipt_won == Some(true) { "a place" } else { "no place" };
            let found = format!("yes: lot {rank} of {}, {came_to}", self.entries);
            check("the receipt is found in the list", &found);
        }
        check("a list in which one winner was swapped is found out", told(self.forgery_found));
        check(
            "the list is the same after the node was killed (see 4)",
            told(self.same_after_the_kill),
        );
        checks.print(output)?;
        output.line(
            "   Who has the list, the seal and a receipt checks this at home: haoyuan draw verify.",
        )
    }
}

fn groups(played: &Played) -> Vec<GroupReport> {
    let entries = played.entrants.iter().filter(|entrant| entrant.entry.is_some());
    let (all, winners) = (count(entries.count()), |of: &[&Entrant]| {
        count(of.iter().filter(|entrant| entrant.has_won).count())
    });
    let everybody: Vec<&Entrant> = played.entrants.iter().collect();
    let won = winners(&everybody);
    let means = means(played);
    let report = |(group, name, _): (Group, &'static str, &str)| {
        let of: Vec<_> =
            everybody.iter().copied().filter(|entrant| entrant.group == group).collect();
        let entries = count(of.iter().filter(|entrant| entrant.entry.is_some()).count());
        let places = winners(&of);
        GroupReport {
            group: name,
            people: count(of.len()),
            tries: of.iter().map(|entrant| entrant.tries).sum(),
            entries,
            entries_percent: permille(entries, all),
            places,
            places_percent: permille(places, won),
            places_with_other_seeds: means.get(name).copied().unwrap_or_default(),
        }
    };
    GROUPS.into_iter().map(report).collect()
}

/// What each group would have won on average, had the seed been another one: with the functions that
/// the node draws with, and the entries that there were.
fn means(played: &Played) -> BTreeMap<&'static str, f64> {
    let Played { file, entrants, pseudonyms, .. } = played;
    let name_of = |entrant: &Entrant| {
        let (_, name, _) = GROUPS.into_iter().find(|(group, ..)| *group == entrant.group)?;
        Some((*pseudonyms.get(&entrant.entry?)?, name))
    };
    let names: HashMap<_, _, foldhash::fast::FixedState> =
        entrants.iter().filter_map(name_of).collect();
    let mut won: BTreeMap<&'static str, u32> = BTreeMap::new();
    for number in 0..OTHER_SEEDS {
        let seed = final_seed(file.draw, &file.seed, Some(&format!("another {number}")));
        let mut places = Places::new(&file.places);
        for ranked in rank(&seed, file.entries.iter().map(|line| line.entry.pseudonym)) {
            if places.are_gone() {
                break;
            }
            let Some(line) = file.entries.get(ranked.position as usize) else { continue };
            if places.give(&line.entry.choice).is_some()
                && let Some(name) = names.get(&line.entry.pseudonym)
            {
                *won.entry(name).or_default() += 1;
            }
        }
    }
    won.into_iter().map(|(name, won)| (name, f64::from(won) / f64::from(OTHER_SEEDS))).collect()
}

/// A receipt that somebody kept, with its rank in the file and whether it won.
fn found(played: &Played) -> (Option<DrawHash>, Option<(u32, bool)>) {
    let kept = played.entrants.iter().find_map(|entrant| entrant.receipt);
    let is_kept = |entry| Some(receipt(played.file.draw, entry)) == kept;
    let line = played.file.entries.iter().find(|line| is_kept(&line.entry));
    (kept, line.map(|line| (line.rank, line.won.is_some())))
}

/// The file with the place of a winner given to somebody who won nothing.
fn forged(file: &DrawFile) -> Option<String> {
    let mut forged = file.clone();
    let winner = forged.entries.iter().position(|line| line.won.is_some())?;
    let loser = forged.entries.iter().position(|line| line.won.is_none())?;
    let place = forged.entries.get_mut(winner)?.won.take();
    forged.entries.get_mut(loser)?.won = place;
    Some(forged.render())
}

/// The groups in the order of arrival, and what they are called in JSON and in the table.
const GROUPS: [(Group, &str, &str); 3] = [
    (Group::Script, "scripts", "scripts, first and often"),
    (Group::Early, "early", "people, early"),
    (Group::Late, "late", "people, late"),
];

/// Other seeds that the same entries are ranked by.
const OTHER_SEEDS: u32 = 100;
