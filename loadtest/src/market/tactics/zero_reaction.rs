//! Zero reaction time: a script asks as many times sooner after an opening as it is faster than a person.

use super::Tactic;
use crate::market::crowd::unit;
use crate::market::manner::Moment;
use crate::market::scenario::Kind;

#[derive(Debug)]
pub(super) struct ZeroReaction;

impl Tactic for ZeroReaction {
    #[expect(clippy::cast_possible_truncation, reason = "a time in the run is far below 2^63 µs")]
    #[expect(clippy::cast_precision_loss, reason = "and below 2^52")]
    fn first(&mut self, moment: &mut Moment<'_>, after: &mut i64) {
        let speed = moment.scenario.ring.speed;
        *after = match moment.kind {
            Kind::FirstCome => (*after as f64 / speed) as i64,
            // A draw's window is open for hours: a person would come at any time of it, a script at once.
            Kind::Draw => {
                let window = moment.scenario.time.wait(moment.scenario.draw.window_hours * 3_600.0);
                (unit(moment.random) * window as f64 / speed) as i64
            }
        };
        // No script is faster than its machine.
        *after = (*after).max(LEAST_MICROS);
    }
}

/// A good machine and a short line.
const LEAST_MICROS: i64 = 50;
