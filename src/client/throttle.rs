//! Which patients ask the node for a hold while it turns many away.
//!
//! ```text
//! patients who come   |########################################|   each has a place on a ring
//! who asks the node       [=== turn ===>                           as wide as keeps half turned away
//! let in                  [======                                  the node decides, as ever
//! ```
//!
//! To turn somebody away costs the node as much as to let him in, but for the disk. Where ten times
//! more come than it can do, it is busy with refusals, and what waits to be refused stands in front
//! of what it would let in. So the client sends no more than twice what is let in. It chooses by turns, as
//! the node does (`admission::turns`): who asks a thousand times is told a thousand times when its
//! turn comes, and the turn comes to everybody. Some are always turned away by the node itself: that
//! is how the client learns that it can do more. Whom the node has told when to come is remembered:
//! until then he is told the same without asking, and then he may ask, whosever turn it is.
//!
//! To send less the more is refused is "client-side throttling" of Beyer et al., *Site Reliability
//! Engineering*, chapter 21; there it is by chance, which favours who asks most often.
//!
//! **Architecture invariant:** nothing here reads a clock, and memory does not grow.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "shares between 0 and 1, and counts far below 2^52"
)]

use crate::admission::{EPOCH_MILLIS, Turn, position};
use crate::model::limits::CHANNELS_MAX;
use crate::model::{BookingChannel, PatientId, Timestamp};

/// Lets patients ask by turns while the node turns away more than a share of them. A flood in one
/// channel narrows the turn in that channel only.
#[derive(Clone, Debug)]
pub struct Throttle {
    seed: u64,
    /// How many ask for each that is let in; none where everybody asks always.
    surplus: Option<f64>,
    channels: Box<[Channel]>,
    /// Whom the node has told when to come, by place. Who meets another here is forgotten.
    told: Box<[Told]>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Told {
    place: u32,
    channel: u8,
    /// When to come, in microseconds; 0 where nobody was told.
    due: u64,
}

#[derive(Clone, Copy, Debug)]
struct Channel {
    turn: Turn,
    /// The usual width of the turn.
    pace: u32,
    /// When this epoch began, in microseconds.
    began: u64,
    looked: u64,
    /// Since it was looked last.
    counts: Counts,
    usual: Usual,
}

/// What a look counts, on average lately.
#[derive(Clone, Copy, Debug, Default)]
struct Usual {
    let_in: f64,
    told: f64,
    /// Who would ask were it everybody's turn.
    demand: f64,
}

/// Holds that were asked for.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    let_in: f64,
    turned_away: f64,
    /// Who came at the time that the node has told, whosever turn it was.
    told: f64,
}

impl Throttle {
    /// A throttle that keeps the share of holds that the node turns away about `turned_away_percent`
    /// (1 to 99); with 100 and more everybody asks always. `seed` decides when whose turn is, and
    /// should be nobody's guess.
    pub fn new(seed: u64, turned_away_percent: u8) -> Self {
        let channels = (0..CHANNELS_MAX).map(|_| Channel::default()).collect();
        let told = std::iter::repeat_n(Told::default(), TOLD_MAX).collect();
        let share = f64::from(turned_away_percent.max(1)) / 100.0;
        let surplus = (share < 1.0).then(|| 1.0 / (1.0 - share));
        Self { seed, surplus, channels, told }
    }

    /// Whether somebody may ask for a hold now. Time is in microseconds from any zero, and never goes
    /// back.
    ///
    /// # Errors
    ///
    /// It is not his turn, or the node said later: microseconds until then.
    pub fn admit(
        &mut self,
        micros: u64,
        (who, channel): (PatientId, BookingChannel),
    ) -> Result<(), u64> {
        let Some(surplus) = self.surplus else { return Ok(()) };
        let number = channel.number();
        let channel = &mut self.channels[usize::from(number)];
        channel.look(micros, surplus);
        let place = position(self.seed, who);
        let told = &mut self.told[row(place)];
        if told.due != 0 && (told.place, told.channel) == (place, number) {
            if micros < told.due {
                return Err(told.due - micros);
            }
            *told = Told::default();
            channel.counts.told += 1.0;
        } else if !channel.turn.covers(place) {
            return Err(channel.wait_micros(place, micros));
        }
        Ok(())
    }

    /// The node has let somebody in who asked for a hold, or refused him for another reason than that
    /// too many come.
    pub fn let_in(&mut self, channel: BookingChannel) {
        self.channels[usize::from(channel.number())].counts.let_in += 1.0;
    }

    /// The node has turned somebody away who asked for a hold, and told him when to come.
    pub fn turned_away(
        &mut self,
        micros: u64,
        (who, channel): (PatientId, BookingChannel),
        retry_after_millis: u32,
    ) {
        self.channels[usize::from(channel.number())].counts.turned_away += 1.0;
        let place = position(self.seed, who);
        let due = micros.saturating_add(u64::from(retry_after_millis) * 1_000);
        self.told[row(place)] = Told { place, channel: channel.number(), due };
    }
}

impl Default for Channel {
    fn default() -> Self {
        let (counts, usual) = (Counts::default(), Usual::default());
        Self { turn: Turn::ALL, pace: u32::MAX, began: 0, looked: 0, counts, usual }
    }
}

impl Channel {
    /// Moves the turn on, and makes it as wide as lets `surplus` times as many ask as are let in.
    fn look(&mut self, micros: u64, surplus: f64) {
        let looks = micros.saturating_sub(self.looked) / LOOK_MICROS;
        if looks == 0 {
            return;
        }
        let width = f64::from(self.turn.width) / f64::from(u32::MAX);
        let Counts { let_in, turned_away, told } = self.counts;
        let demand = (let_in + turned_away - told).max(0.0) / width;
        // What was counted is spread over the looks that nobody took.
        let weight = 1.0 - KEPT.powi(i32::try_from(looks).unwrap_or(i32::MAX));
        let learn =
            |usual: &mut f64, count: f64| *usual += (count / looks as f64 - *usual) * weight;
        learn(&mut self.usual.let_in, let_in);
        learn(&mut self.usual.told, told);
        learn(&mut self.usual.demand, demand);
        // Where nobody was turned away there is room for more than it seemed.
        let eased = if turned_away == 0.0 && 0.0 < let_in { width * 1.25 } else { 0.0 };
        (self.looked, self.counts) = (micros, Counts::default());

        let Usual { let_in, told, demand } = self.usual;
        let fits = (let_in * surplus - told).max(let_in / 4.0);
        let wanted = if fits < demand { (fits / demand).max(WIDTH_MIN) } else { 1.0 };
        let wanted = wanted.max(eased).min(1.0);
        self.turn.width = (wanted * f64::from(u32::MAX)) as u32;
        if EPOCH_MILLIS * 1_000 <= micros.saturating_sub(self.began) {
            self.turn = self.turn.next();
            self.pace = self.pace / 4 * 3 + self.turn.width / 4;
            self.began = micros;
        }
    }

    fn wait_micros(&self, place: u32, micros: u64) -> u64 {
        let at = |micros: u64| Timestamp::from_millis(micros / 1_000);
        self.turn.wait_millis(place, self.pace, at(self.began), at(micros)) * 1_000
    }
}

/// The row of a place in the table of those who were told when to come.
const fn row(place: u32) -> usize {
    place as usize % TOLD_MAX
}

/// Who is told to come back within a second or so by a node that lets in fifty thousand.
const TOLD_MAX: usize = 8_192;

/// Between two looks: as often as the node looks itself.
const LOOK_MICROS: u64 = 50_000;

/// What is kept of the averages from look to look: they are of the last half second or so, long
/// enough to outlast a commit that takes its time.
const KEPT: f64 = 0.9;

/// Narrower would only take longer to widen.
const WIDTH_MIN: f64 = 1.0 / 64.0;

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    const STEP_MICROS: u64 = 1_000;
    const SECOND: u64 = 1_000_000;
    const SEED: u64 = 5;
    /// When to come back, as the node says.
    const TOLD_MILLIS: u32 = 300;

    /// A node that lets in so many a second, up to those of 50 ms at once. It tells them so 60 ms
    /// later, and the others at once.
    struct World {
        throttle: Throttle,
        micros: u64,
        let_in_per_second: u64,
        room: u64,
        syncing: VecDeque<(u64, BookingChannel)>,
        next: u128,
    }

    /// What became of those who came.
    #[derive(Clone, Copy, Debug, Default)]
    struct Said {
        came: u64,
        asked: u64,
        let_in: u64,
    }

    fn world(let_in_per_second: u64, turned_away_percent: u8) -> World {
        let throttle = Throttle::new(SEED, turned_away_percent);
        World { throttle, micros: 0, let_in_per_second, room: 0, syncing: VecDeque::new(), next: 0 }
    }

    impl World {
        fn step(&mut self) {
            self.micros += STEP_MICROS;
            let room = self.room + self.let_in_per_second * STEP_MICROS / SECOND;
            self.room = room.min(self.let_in_per_second / 20);
            while let Some((_, channel)) = self.syncing.pop_front_if(|(due, _)| *due <= self.micros)
            {
                self.throttle.let_in(channel);
            }
        }

        /// Whether somebody asks, and is let in.
        fn ask(&mut self, who: u128, channel: BookingChannel) -> Result<bool, u64> {
            let who = (PatientId(who), channel);
            self.throttle.admit(self.micros, who)?;
            if self.room == 0 {
                self.throttle.turned_away(self.micros, who, TOLD_MILLIS);
                return Ok(false);
            }
            self.room -= 1;
            self.syncing.push_back((self.micros + 60_000, channel));
            Ok(true)
        }

        /// So many new patients come, and it does not matter what is told them.
        fn crowd(&mut self, count: u128) {
            for who in self.next..self.next + count {
                self.ask(who, BookingChannel::default()).unwrap_or_default();
            }
            self.next += count;
        }

        fn run(&mut self, rate: u64, seconds: u64) -> Said {
            self.run_and_note(rate, seconds, |_| ())
        }

        /// Lets new patients come, and notes who was let in.
        fn run_and_note(&mut self, rate: u64, seconds: u64, mut note: impl FnMut(u128)) -> Said {
            let mut said = Said::default();
            for _ in 0..seconds * SECOND / STEP_MICROS {
                self.step();
                for _ in 0..rate * STEP_MICROS / SECOND {
                    self.next += 1;
                    said.came += 1;
                    let Ok(is_in) = self.ask(self.next, BookingChannel::default()) else {
                        continue;
                    };
                    said.asked += 1;
                    if is_in {
                        said.let_in += 1;
                        note(self.next);
                    }
                }
            }
            said
        }
    }

    #[test]
    fn little_more_is_sent_than_the_node_lets_in_and_it_never_runs_empty() {
        for (let_in, rate, percent, asked_most) in [
            (20_000, 60_000, 50, 210),
            (20_000, 200_000, 50, 210),
            (20_000, 2_000_000, 50, 210),
            (20_000, 200_000, 20, 135),
            (1_000, 5_000, 50, 210),
        ] {
            let mut world = world(let_in, percent);
            world.run(let_in, 1);
            world.run(rate, 2);
            let said = world.run(rate, 5);
            let at = format!("{let_in} of {rate} with {percent} %: {said:?}");
            assert!(let_in * 5 * 95 / 100 <= said.let_in, "{at}");
            assert!(said.asked * 100 <= said.let_in * asked_most, "{at}");
        }
    }

    #[test]
    fn a_node_that_turns_nobody_away_is_asked_by_everybody_and_so_it_is_soon_after_a_flood() {
        let mut world = world(20_000, 50);
        let calm = world.run(10_000, 2);
        assert_eq!((calm.came, calm.came), (calm.asked, calm.let_in));
        assert!(world.run(400_000, 3).asked < 3 * 400_000 / 4);
        world.run(10_000, 2);
        let after = world.run(10_000, 1);
        assert_eq!(after.came, after.asked, "two seconds later");
    }

    #[test]
    fn after_a_node_that_let_nobody_in_a_client_that_seldom_asks_is_back_in_seconds() {
        let mut world = world(0, 50);
        world.run(10_000, 5);
        world.let_in_per_second = 20_000;
        world.run(1_000, 5);
        let after = world.run(1_000, 1);
        assert_eq!((after.asked, after.let_in), (after.came, after.came));
    }

    #[test]
    fn a_hundred_percent_lets_everybody_ask() {
        let mut world = world(1_000, 100);
        let said = world.run(100_000, 2);
        assert_eq!(said.came, said.asked);
    }

    #[test]
    fn a_flood_in_one_channel_is_no_matter_of_another() {
        let mut world = world(20_000, 50);
        let other = BookingChannel::new(7).unwrap();
        for _ in 0..5_000 {
            world.step();
            assert_eq!(world.ask(world.next, other), Ok(true), "the other comes first, and is few");
            world.crowd(200);
        }
    }

    #[test]
    fn every_part_of_the_ring_comes_as_often() {
        let mut world = world(20_000, 50);
        world.run(100_000, 2);
        let mut parts = [0_u64; 20];
        world.run_and_note(100_000, 40, |who| {
            let place = u64::from(position(SEED, PatientId(who)));
            parts[usize::try_from((place * 20) >> 32).unwrap()] += 1;
        });
        let (least, most) = (parts.iter().min().unwrap(), parts.iter().max().unwrap());
        assert!(*most <= least * 3 / 2, "{parts:?}");
    }

    #[test]
    fn who_hammers_comes_in_no_sooner_than_who_comes_when_told() {
        let mut world = world(20_000, 50);
        world.run(100_000, 3);
        let start = world.micros;
        // Three hundred of each kind: who, when to ask next, when let in.
        let regulars = |kind: u128| (0..300).map(move |nth| (kind << 100 | nth, start, None));
        let mut all: [Vec<(u128, u64, Option<u64>)>; 2] =
            [1, 2].map(|kind| regulars(kind).collect());
        for round in 0..30_000_usize {
            world.step();
            for kind in [round % 2, (round + 1) % 2] {
                for (who, due, let_in) in &mut all[kind] {
                    if world.micros < *due || let_in.is_some() {
                        continue;
                    }
                    let told = match world.ask(*who, BookingChannel::default()) {
                        Ok(true) => {
                            *let_in = Some(world.micros - start);
                            continue;
                        }
                        Ok(false) => u64::from(TOLD_MILLIS) * 1_000,
                        Err(wait) => wait,
                    };
                    *due = world.micros + if kind == 0 { told } else { 5_000 };
                }
            }
            world.crowd(100);
        }
        let [polite, pushy] = all.map(|kind| {
            let waits: Vec<u64> = kind.iter().filter_map(|regular| regular.2).collect();
            assert_eq!(waits.len(), 300, "all are in after half a minute");
            waits.iter().sum::<u64>() / 300
        });
        assert!(polite <= pushy * 5 / 4 + SECOND / 2, "polite {polite} us, pushy {pushy} us");
        assert!(SECOND / 2 < pushy, "hammering got through after {pushy} us");
    }

    #[test]
    fn whom_the_node_has_told_when_to_come_is_asked_for_then_and_not_before() {
        let mut throttle = Throttle::new(SEED, 50);
        let of = |who| (PatientId(who), BookingChannel::default());
        // Nobody is let in, so that hardly anybody may ask.
        let told: Vec<u128> = (0..100_000)
            .filter(|who| {
                let micros = u64::try_from(*who).unwrap() * 50;
                let is_asked = throttle.admit(micros, of(*who)).is_ok();
                if is_asked {
                    throttle.turned_away(micros, of(*who), 60_000);
                }
                is_asked
            })
            .collect();
        let (now, last) = (5_000_000, *told.last().unwrap());
        let Err(wait) = throttle.admit(now, of(last)) else { panic!("before the time") };
        assert!((59 * SECOND..60 * SECOND).contains(&wait), "{wait}");
        assert_eq!(throttle.admit(now + wait, of(last)), Ok(()), "at the time");
    }
}
