//! Shares the places of slots out among pools, exactly.
//!
//! ```text
//! places  2 2 2 2 2   =10      shares 7:3      pool 0  1 2 1 2 1  =7
//!                                              pool 1  1 0 1 0 1  =3
//! ```
//!
//! Each pool gets its largest-remainder share of the whole, spread over the slots as evenly as whole
//! places allow. Sharing each slot out by itself would leave a pool of 30 % without any place where
//! a slot has one.
//!
//! **Architecture invariant:** pure and exact: every slot is given out whole, every pool gets its
//! share of the whole, and the same input gives the same places.

/// How much a pool gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// So many places of each slot.
    Places(u16),
    /// In this proportion to the others, of what is left.
    Share(u32),
}

/// Fixed places that a slot does not have, or places that nobody gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mismatch {
    pub(super) slot: usize,
    /// Places of the slot.
    pub(super) places: u32,
    /// Places that the pools name.
    pub(super) named: u32,
}

/// The places of each part in each slot.
pub(super) fn divide(places: &[u16], parts: &[Part]) -> Result<Vec<Vec<u16>>, Mismatch> {
    let named = |part: &Part| if let Part::Places(places) = part { *places } else { 0 };
    let named = parts.iter().map(|part| u32::from(named(part))).sum::<u32>();
    let has_shares = parts.iter().any(|part| matches!(part, Part::Share(_)));
    let mut left = Vec::with_capacity(places.len());
    for (slot, places) in places.iter().enumerate() {
        let places = u32::from(*places);
        match places.checked_sub(named) {
            Some(rest) if has_shares || rest == 0 => left.push(rest),
            _ => return Err(Mismatch { slot, places, named }),
        }
    }
    let shares: Vec<u64> = parts
        .iter()
        .map(|part| if let Part::Share(share) = part { u64::from(*share) } else { 0 })
        .collect();
    let mut rows = spread(&left, &shares).into_iter();
    let of = |part: &Part| {
        let row = rows.next().unwrap_or_default();
        match part {
            Part::Places(number) => vec![*number; places.len()],
            Part::Share(_) => row,
        }
    };
    Ok(parts.iter().map(of).collect())
}

/// Divides a number in proportion to weights: rounded down, and what is left by the largest
/// remainders, the first of equals. All zero where there is no weight.
pub(super) fn apportion(total: u64, weights: &[u64]) -> Vec<u64> {
    let sum = weights.iter().sum::<u64>().max(1);
    let exact = |weight: &u64| u128::from(total) * u128::from(*weight);
    let mut parts: Vec<u64> =
        weights.iter().map(|weight| narrow(exact(weight) / u128::from(sum))).collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|index| {
        let remainder = weights.get(*index).map(|weight| exact(weight) % u128::from(sum));
        std::cmp::Reverse(remainder)
    });
    let given = parts.iter().sum::<u64>();
    let left = if weights.iter().any(|weight| *weight != 0) { total - given } else { 0 };
    for index in order.into_iter().take(narrow_usize(left)) {
        parts.get_mut(index).into_iter().for_each(|part| *part += 1);
    }
    parts
}

/// The places of each weight in each slot: in sum its part of the whole, in each slot as near to it
/// as whole places allow.
fn spread(places: &[u32], weights: &[u64]) -> Vec<Vec<u16>> {
    let whole = places.iter().map(|places| u64::from(*places)).sum::<u64>();
    let parts = apportion(whole, weights);
    let mut given = vec![0_u64; weights.len()];
    let mut rows = vec![Vec::with_capacity(places.len()); weights.len()];
    let mut passed = 0_u64;
    for places in places {
        passed += u64::from(*places);
        let before = given.clone();
        give(u64::from(*places), whole, &mut given, |index, given| {
            let part = parts.get(index).copied().unwrap_or_default();
            // How far it is behind, in places times the whole; `None` where it has everything.
            (given < part).then(|| behind(part, passed, given, whole))
        });
        for ((row, given), before) in rows.iter_mut().zip(&given).zip(before) {
            row.push(u16::try_from(given - before).expect("no more than the slot has"));
        }
    }
    rows
}

/// Gives whole places to who is behind by them, and the rest one by one to who is furthest behind,
/// the first of equals.
fn give(places: u64, whole: u64, given: &mut [u64], behind: impl Fn(usize, u64) -> Option<i128>) {
    let mut left = places;
    for (index, given) in given.iter_mut().enumerate() {
        let due = behind(index, *given).unwrap_or_default() / i128::from(whole.max(1));
        let due = u64::try_from(due).unwrap_or_default().min(left);
        *given += due;
        left -= due;
    }
    for _ in 0..left {
        let furthest = given
            .iter()
            .enumerate()
            .filter_map(|(index, given)| Some((behind(index, *given)?, std::cmp::Reverse(index))))
            .max();
        let Some((_, std::cmp::Reverse(index))) = furthest else { return };
        given.get_mut(index).into_iter().for_each(|given| *given += 1);
    }
}

fn behind(part: u64, passed: u64, given: u64, whole: u64) -> i128 {
    i128::from(part) * i128::from(passed) - i128::from(given) * i128::from(whole)
}

fn narrow(number: u128) -> u64 {
    u64::try_from(number).expect("a part is no more than the whole")
}

fn narrow_usize(number: u64) -> usize {
    usize::try_from(number).expect("fewer than there are weights")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn places_are_shared_out_by_the_largest_remainder() {
        for (total, weights, expected) in [
            (10, &[7, 3][..], &[7, 3][..]),
            (10, &[1, 1, 1], &[4, 3, 3]),
            (1, &[60, 40], &[1, 0]),
            (7, &[5, 3, 2], &[4, 2, 1]),
            (0, &[5, 3], &[0, 0]),
            (5, &[0, 0], &[0, 0]),
            (3, &[0, 9], &[0, 3]),
        ] {
            assert_eq!(apportion(total, weights), expected, "{total} by {weights:?}");
        }
    }

    #[test]
    fn a_small_share_has_places_even_where_a_slot_has_one() {
        let rows = divide(&[1; 10], &[Part::Share(70), Part::Share(30)]).unwrap();
        assert_eq!(rows[0].iter().sum::<u16>(), 7);
        assert_eq!(rows[1].iter().sum::<u16>(), 3);
        let first = rows[1].iter().position(|places| *places == 1);
        assert_eq!(first, Some(1), "spread over the slots, not heaped at the end: {rows:?}");
    }

    #[test]
    fn fixed_places_come_first_and_must_fit() {
        let parts = [Part::Places(1), Part::Share(1), Part::Share(1)];
        assert_eq!(divide(&[5, 1], &parts).unwrap(), [vec![1, 1], vec![2, 0], vec![2, 0]]);
        assert_eq!(
            divide(&[5, 0], &parts),
            Err(Mismatch { slot: 1, places: 0, named: 1 }),
            "more than there is"
        );
        assert_eq!(
            divide(&[2, 3], &[Part::Places(2)]),
            Err(Mismatch { slot: 1, places: 3, named: 2 }),
            "a place for nobody"
        );
    }

    proptest! {
        #[test]
        fn every_slot_is_given_out_whole_and_every_pool_gets_its_share(
            places in prop::collection::vec(0_u16..40, 1..30),
            shares in prop::collection::vec(0_u32..1_000, 1..8),
        ) {
            prop_assume!(shares.iter().any(|share| *share != 0));
            let parts: Vec<Part> = shares.iter().map(|share| Part::Share(*share)).collect();
            let rows = divide(&places, &parts).unwrap();
            for (slot, places) in places.iter().enumerate() {
                prop_assert_eq!(rows.iter().map(|row| row[slot]).sum::<u16>(), *places);
            }
            let whole = places.iter().map(|places| u64::from(*places)).sum();
            let weights: Vec<u64> = shares.iter().map(|share| u64::from(*share)).collect();
            let sums: Vec<u64> =
                rows.iter().map(|row| row.iter().map(|places| u64::from(*places)).sum()).collect();
            prop_assert_eq!(sums, apportion(whole, &weights));
        }
    }
}
