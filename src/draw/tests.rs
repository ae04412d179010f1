//! The mathematics of a draw, and what a published one must not get away with.

use super::*;
use crate::model::{
    DrawChoice, DrawEntry, PatientClass, PatientId, PoolIndex, Pseudonym, Seed, SessionId,
    SlotIndex, Timestamp,
};

pub(super) const DRAW: DrawId = DrawId { session: SessionId(1001), pool: PoolIndex(0) };

fn key() -> NodeKey {
    NodeKey::new([9; NodeKey::BYTES])
}

fn choice(slots: &[u16]) -> DrawChoice {
    let slots = slots.iter().map(|slot| SlotIndex(*slot)).collect();
    DrawChoice { class: PatientClass::Outpatient, count: 1, slots }
}

/// A draw of 40 entries for 6 places, as a node would publish it.
fn published(beacon: Option<&str>) -> DrawFile {
    let mut entries: Vec<_> = (0..40)
        .map(|patient| DrawEntry {
            pseudonym: key().pseudonym(DRAW, PatientId(patient)),
            choice: choice(if patient % 3 == 0 { &[] } else { &[1, 0] }),
        })
        .collect();
    entries.sort_unstable_by_key(|entry| entry.pseudonym);
    let seed = key().seed(DRAW);
    let order = rank(&final_seed(DRAW, &seed, beacon), entries.iter().map(|it| it.pseudonym));
    let mut places = Places::new(&[3, 2, 1]);
    let mut lines: Vec<_> = entries
        .iter()
        .map(|entry| FileEntry { entry: entry.clone(), rank: 0, won: None })
        .collect();
    let mut results = Vec::new();
    for (number, ranked) in (1..).zip(order) {
        let line = &mut lines[ranked.position as usize];
        (line.rank, line.won) = (number, places.give(&line.entry.choice));
        results.push((line.entry.pseudonym, line.won));
    }
    DrawFile {
        draw: DRAW,
        opens: Timestamp::from_millis(1),
        closes: Timestamp::from_millis(2),
        commitment: key().commitment(DRAW),
        beacon_name: beacon.map(|_| beacon_name("round 7 of a public source")),
        beacon: beacon.map(ToOwned::to_owned),
        seed,
        places: vec![3, 2, 1],
        entries_digest: entries_digest(DRAW, entries.iter()),
        result_digest: result_digest(DRAW, results.into_iter()),
        entries: lines,
    }
}

#[test]
fn the_values_are_pinned_because_published_files_keep_them() {
    let hex =
        |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let seed = key().seed(DRAW);
    let entry = DrawEntry { pseudonym: Pseudonym([5; 16]), choice: choice(&[3, 1]) };
    let found = [
        hex(&seed.0),
        key().commitment(DRAW).to_string(),
        hex(&key().pseudonym(DRAW, PatientId(7)).0),
        hex(&final_seed(DRAW, &seed, None).0),
        hex(&final_seed(DRAW, &seed, Some("abc")).0),
        receipt(DRAW, &entry).to_string(),
        entries_digest(DRAW, [&entry].into_iter()).to_string(),
        result_digest(DRAW, [(entry.pseudonym, Some(SlotIndex(3)))].into_iter()).to_string(),
    ];
    assert_eq!(found, PINNED);
}

#[test]
fn a_published_draw_is_written_and_read_as_the_same_bytes() {
    for beacon in [None, Some("00ff")] {
        let file = published(beacon);
        let text = file.render();
        assert_eq!(DrawFile::parse(&text), Ok(file));
    }
}

#[test]
fn a_true_file_is_accepted_with_and_without_a_receipt() {
    for beacon in [None, Some("00ff")] {
        let file = published(beacon);
        let text = file.render();
        verify(&text, file.commitment, None).unwrap();
        for line in &file.entries {
            let said = verify(&text, file.commitment, Some(receipt(DRAW, &line.entry))).unwrap();
            let rank = format!("has rank {},", line.rank);
            assert!(said.last().unwrap().contains(&rank), "{said:?}");
        }
    }
}

#[test]
fn a_file_in_which_one_thing_was_altered_is_rejected() {
    type Alter = fn(&mut DrawFile);
    let alterations: [(Alter, VerifyFault); 14] = [
        (|file| file.commitment.0[0] ^= 1, VerifyFault::OtherCommitment),
        (|file| file.seed.0[31] ^= 1, VerifyFault::Seed),
        (|file| file.draw.pool.0 = 1, VerifyFault::Seed),
        (|file| file.beacon = Some("x".to_owned()), VerifyFault::Beacon),
        (|file| file.entries.swap(3, 4), VerifyFault::Order(5)),
        (|file| file.entries[7] = file.entries[6].clone(), VerifyFault::Order(8)),
        (|file| file.entries[5].entry.pseudonym.0[15] ^= 1, VerifyFault::Entries),
        (|file| file.entries[5].entry.choice = choice(&[2]), VerifyFault::Entries),
        (|file| file.entries[5].entry.choice.count = 2, VerifyFault::Entries),
        (|file| file.entries[5].entry.choice.class = PatientClass::Inpatient, VerifyFault::Entries),
        (|file| drop(file.entries.remove(5)), VerifyFault::Entries),
        (|file| file.entries_digest.0[0] ^= 1, VerifyFault::Entries),
        (|file| file.entries[5].rank += 1, VerifyFault::Rank(6)),
        (|file| file.result_digest.0[0] ^= 1, VerifyFault::Result),
    ];
    let truth = published(None);
    for (alter, expected) in alterations {
        let mut file = truth.clone();
        alter(&mut file);
        assert_ne!(file, truth);
        assert_eq!(verify(&file.render(), truth.commitment, None), Err(expected));
    }
}

/// A winner that lost, a loser that won, and a place that is not there.
#[test]
fn a_file_with_another_winner_or_more_places_is_rejected() {
    let truth = published(None);
    for number in 0..truth.entries.len() {
        let mut file = truth.clone();
        let won = &mut file.entries[number].won;
        *won = if won.is_some() { None } else { Some(SlotIndex(0)) };
        let fault = verify(&file.render(), truth.commitment, None).unwrap_err();
        assert_eq!(fault, VerifyFault::Winner(number + 1));
    }
    let mut file = truth.clone();
    file.places[0] += 1;
    let fault = verify(&file.render(), truth.commitment, None).unwrap_err();
    assert!(matches!(fault, VerifyFault::Winner(_)), "{fault}");
}

/// Whoever holds the true commitment is not told that a file for another one is true.
#[test]
fn a_file_that_is_true_for_a_swapped_commitment_is_rejected() {
    let mut file = published(None);
    let published = file.commitment;
    file.seed = Seed([1; 32]);
    file.commitment = commitment(DRAW, &file.seed);
    assert_eq!(
        verify(&file.render(), published, None),
        Err(VerifyFault::OtherCommitment),
        "the seed was chosen afterwards"
    );
}

#[test]
fn another_beacon_is_rejected_because_it_gives_other_ranks() {
    let mut file = published(Some("00ff"));
    file.beacon = Some("00fe".to_owned());
    let fault = verify(&file.render(), file.commitment, None).unwrap_err();
    assert!(matches!(fault, VerifyFault::Rank(_)), "{fault}");
}

#[test]
fn a_receipt_of_an_entry_that_is_not_listed_as_it_was_made_is_not_found() {
    let file = published(None);
    let mut entry = file.entries[3].entry.clone();
    entry.choice = choice(&[2]);
    let found = verify(&file.render(), file.commitment, Some(receipt(DRAW, &entry)));
    assert_eq!(found, Err(VerifyFault::Receipt));
}

#[test]
fn text_that_is_no_published_draw_is_refused_with_its_line() {
    let text = published(None).render();
    let without = |line: usize| {
        let lines = text.lines().enumerate().filter(|(number, _)| number + 1 != line);
        lines.map(|(_, line)| format!("{line}\n")).collect::<Vec<_>>().concat()
    };
    for line in 1..=text.lines().count() {
        DrawFile::parse(&without(line)).unwrap_err();
    }
    for (from, to) in [
        ("haoyuan draw 1", "haoyuan draw 2"),
        ("draw 1001.0", "draw 01001.0"),
        ("closes 2", "closes  2"),
        ("commitment ", "commitment A"),
        (" outpatient 1 ", " somebody 1 "),
        ("\nentry ", "\n\nentry "),
        ("entries 40 ", "entries 39 "),
        ("entries 40 ", "entries 4000000000 "),
    ] {
        let spoilt = text.replacen(from, to, 1);
        assert_ne!(spoilt, text);
        DrawFile::parse(&spoilt).unwrap_err();
    }
}

#[test]
fn places_are_given_as_preferences_say_until_none_is_left() {
    let mut places = Places::new(&[1, 0, 2]);
    let run = DrawChoice { count: 2, ..choice(&[]) };
    assert_eq!(places.give(&run), None, "no two slots in a row have a place");
    assert_eq!(places.give(&choice(&[1, 7])), None, "a full slot, and one that is not there");
    assert_eq!(places.give(&choice(&[1, 2])), Some(SlotIndex(2)));
    assert_eq!(places.give(&choice(&[])), Some(SlotIndex(0)));
    assert_eq!(places.give(&choice(&[0])), None);
    assert_eq!(places.give(&choice(&[])), Some(SlotIndex(2)));
    assert!(places.are_gone());
}

#[test]
fn a_key_and_a_seed_show_nothing_of_themselves() {
    let shown = format!("{:?} {:?}", key(), key().seed(DRAW));
    assert_eq!(shown, "NodeKey(..) Seed(..)");
}

#[test]
fn another_draw_or_patient_has_another_seed_and_pseudonym() {
    let other = DrawId { pool: PoolIndex(1), ..DRAW };
    assert_ne!(key().seed(DRAW).0, key().seed(other).0);
    let who = |draw, patient| key().pseudonym(draw, PatientId(patient));
    assert_ne!(who(DRAW, 1), who(other, 1));
    assert_ne!(who(DRAW, 1), who(DRAW, 2));
    assert_eq!(who(DRAW, 1), who(DRAW, 1));
}

/// Computed by another program too, from the description in `docs/protocol.md`.
const PINNED: [&str; 8] = [
    "b0fec7fb1a9b1bc87db021177413b824f25f85318dc10955499d01316b5365ad",
    "239224c1358b6228a8c96fb7a8cdf80addb3a047d1986199856defbcca69476b",
    "943907e9a10cbc26597ffa0d6c30c01d",
    "3c3d26b965998f4ec2c6ac5c5a7525e1b9918adec868aaa3c91c3048b63059c2",
    "82db5f4fe966e8e35b66f153ef420bbabe666c2cb3790c509225a34ae5507468",
    "abec26860c27f0e8d7bf7bca80392b2a1251dcae386edabb14c8ee0a63cf9802",
    "dd36eb10082d471bc2630b817e69de64acd50137e7c881a961fdc40b6ac4c76c",
    "635c2be86ff0d290acabbee2d1cc728d31b6a737361c1762d4cd8b3a8d4cd452",
];
