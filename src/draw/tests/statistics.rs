//! Is a draw fair? Measured over draws whose keys are drawn when the test runs, and printed.
//!
//! **Architecture invariant:** nothing here is close to its bound by design: a bound is what luck
//! exceeds once in a thousand runs or less.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::many_single_char_names,
    reason = "statistics in their usual letters, of small numbers"
)]

use std::collections::BTreeMap;

use super::{NodeKey, final_seed, rank};
use crate::model::{DrawId, PatientId, PoolIndex, SessionId};

/// A key that nobody chose, printed so that a failure can be repeated: `DRAW_TEST_KEY=<hex>`.
fn drawn_key() -> [u8; 32] {
    #[expect(clippy::disallowed_methods, reason = "a test may be told which key failed")]
    let given = std::env::var("DRAW_TEST_KEY").ok().and_then(|hex| hex.parse().ok());
    let key = given.unwrap_or_else(|| {
        let state = foldhash::quality::RandomState::default();
        let mut bytes = [0; 32];
        for (number, place) in (0_u64..).zip(bytes.chunks_exact_mut(8)) {
            let word = std::hash::BuildHasher::hash_one(&state, number);
            place.copy_from_slice(&word.to_le_bytes());
        }
        crate::model::DrawHash(bytes)
    });
    println!("DRAW_TEST_KEY={key}");
    key.0
}

/// Who wins of so many patients, who come in the order of their numbers.
fn winners(key: &NodeKey, session: u64, entrants: u32, places: usize) -> Vec<u32> {
    let draw = DrawId { session: SessionId(session), pool: PoolIndex(0) };
    let patients = (0..entrants).map(|patient| key.pseudonym(draw, PatientId(patient.into())));
    let order = rank(&final_seed(draw, &key.seed(draw), None), patients);
    order.iter().take(places).map(|ranked| ranked.position).collect()
}

/// The probability that a winner came before a loser.
fn auc(draws: &[Vec<u32>], entrants: u32) -> f64 {
    let mut sum = 0.0;
    for won in draws {
        let mut sorted = won.clone();
        sorted.sort_unstable();
        let losers = f64::from(entrants) - sorted.len() as f64;
        let later: f64 = (0_u32..)
            .zip(&sorted)
            .map(|(before, position)| losers - f64::from(position - before))
            .sum();
        sum += later / (losers * sorted.len() as f64);
    }
    sum / draws.len() as f64
}

/// The p-value of a chi-square test: wins of each identity over many draws of one run. Identities
/// share cells until a cell expects five wins.
fn p_value(key: &NodeKey, run: u64, (entrants, places, draws): (u32, usize, u64)) -> f64 {
    let mut wins: BTreeMap<u32, u32> = BTreeMap::new();
    let expected = draws as f64 * places as f64 / f64::from(entrants);
    let merged = (5.0 / expected).ceil().max(1.0) as u32;
    for draw in 0..draws {
        for winner in winners(key, run << 32 | draw, entrants, places) {
            *wins.entry(winner / merged).or_default() += 1;
        }
    }
    let cells = entrants / merged;
    // Draws are without repetition, so a cell's wins vary less than if they were independent.
    let share = places as f64 / f64::from(entrants);
    let finite = (1.0 - share) * f64::from(entrants) / f64::from(entrants - 1);
    let mean = expected * f64::from(merged);
    let count = |cell| f64::from(wins.get(&cell).copied().unwrap_or_default());
    let sum: f64 = (0..cells).map(|cell| (count(cell) - mean).powi(2) / mean).sum();
    chi_square_tail(sum / finite, f64::from(cells - 1))
}

/// The upper tail of chi-square: 1 - P(k/2, x/2), by series or continued fraction.
fn chi_square_tail(x: f64, degrees: f64) -> f64 {
    let (a, x) = (degrees / 2.0, x / 2.0);
    if x <= 0.0 {
        return 1.0;
    }
    let scale = (a * x.ln() - x - ln_gamma(a)).exp();
    if x < a + 1.0 {
        let (mut term, mut sum, mut n) = (1.0 / a, 1.0 / a, a);
        while term > sum * 1e-14 {
            n += 1.0;
            term *= x / n;
            sum += term;
        }
        return 1.0 - scale * sum;
    }
    let mut b = x + 1.0 - a;
    let mut c = 1e300;
    let mut d = 1.0 / b;
    let mut fraction = d;
    for i in 1..10_000 {
        let i = f64::from(i);
        let an = -i * (i - a);
        b += 2.0;
        d = 1.0 / (an * d + b);
        c = b + an / c;
        fraction *= d * c;
        if (d * c - 1.0).abs() < 1e-14 {
            break;
        }
    }
    scale * fraction
}

/// Stirling's series.
fn ln_gamma(x: f64) -> f64 {
    let mut shifted = x;
    let mut product = 1.0;
    while shifted < 10.0 {
        product *= shifted;
        shifted += 1.0;
    }
    let inverse = 1.0 / shifted;
    let series = inverse / 12.0 - inverse.powi(3) / 360.0 + inverse.powi(5) / 1_260.0;
    (shifted - 0.5) * shifted.ln() - shifted + 0.5 * std::f64::consts::TAU.ln() + series
        - f64::ln(product)
}

/// The greatest distance between the p-values and a uniform distribution.
fn distance(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len() as f64;
    let apart = |(index, value): (usize, &f64)| {
        let (below, above) = (index as f64 / n, (index + 1) as f64 / n);
        (value - below).abs().max((above - value).abs())
    };
    values.iter().enumerate().map(apart).fold(0.0, f64::max)
}

fn check_uniform(runs: u32, shape: (u32, usize, u64)) {
    let key = NodeKey::new(drawn_key());
    let mut values: Vec<f64> =
        (0..runs).map(|run| p_value(&key, u64::from(run) + 1, shape)).collect();
    let distance = distance(&mut values);
    // Kolmogorov's bound at 0.1 %.
    let bound = 1.949 / f64::from(runs).sqrt();
    println!("{runs} runs: distance {distance:.4}, bound {bound:.4}");
    assert!(distance <= bound, "the p-values are not uniform: {distance} of {bound}");
}

#[test]
fn chi_square_is_as_in_the_tables() {
    for (x, degrees, tail) in [(3.841, 1.0, 0.05), (18.307, 10.0, 0.05), (135.807, 100.0, 0.01)] {
        assert!((chi_square_tail(x, degrees) - tail).abs() < 1e-4, "{x} {degrees}");
    }
    assert!((ln_gamma(0.5) - std::f64::consts::PI.sqrt().ln()).abs() < 1e-9);
}

/// 40 draws of 100 winners each among 2,000 who come one after the other.
#[test]
fn who_comes_early_wins_no_more_often() {
    let key = NodeKey::new(drawn_key());
    let draws: Vec<_> = (0..40).map(|session| winners(&key, session, 2_000, 100)).collect();
    let auc = auc(&draws, 2_000);
    println!("AUC {auc:.4} over {} winners", draws.iter().map(Vec::len).sum::<usize>());
    assert!((auc - 0.5).abs() <= 0.02, "{auc}");
}

/// The measure finds what it looks for: places to whoever comes first.
#[test]
fn the_measure_of_arrival_tells_a_queue_from_a_draw() {
    let queue = vec![(0..100).collect::<Vec<u32>>()];
    assert!((auc(&queue, 2_000) - 1.0).abs() < 1e-9);
}

#[test]
fn identities_win_as_often_as_chance_has_it() {
    check_uniform(30, (200, 20, 40));
}

/// The long form: `cargo test --release --lib draw::statistics -- --ignored --nocapture`.
#[test]
#[ignore = "takes a minute"]
fn identities_win_as_often_as_chance_has_it_in_200_runs() {
    check_uniform(200, (1_000, 50, 100));
}

/// The long form over twenty times the winners.
#[test]
#[ignore = "takes a minute"]
fn who_comes_early_wins_no_more_often_among_100_000() {
    let key = NodeKey::new(drawn_key());
    let draws: Vec<_> = (0..5).map(|session| winners(&key, session, 100_000, 1_000)).collect();
    let auc = auc(&draws, 100_000);
    println!("AUC {auc:.4} over 5,000 winners");
    assert!((auc - 0.5).abs() <= 0.02, "{auc}");
}
