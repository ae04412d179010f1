//! A part as it is played: what is due is sent, and each answer decides how somebody goes on.
//!
//! ```text
//! later (by time) --due--> asked --> packer of a door --> node
//!    ^-- minds: what now? <--- answers, and what the feed tells (won, offered, lapsed)
//! ```
//!
//! A quest is one person's wish for one opening.
//!
//! **Architecture invariant:** first requests come by the clock, whatever the node does; whatever follows an
//! answer is due some time after that answer came.

mod heard;
mod quest;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Instant;

use haoyuan::model::{
    AppointmentStatus as Status, Outcome, Receipt, Refusal, RequestId, Timestamp,
};
use haoyuan::protocol::{FrameKind, Packer, Reply, write_request};

use self::quest::{Quest, State, Step};
use crate::clock;
use crate::market::account::{Account, Kind as Fault, Told, Violations};
use crate::market::manner::{Later, Next, Then};
use crate::market::minds::{Minds, Past, Told as Facts};
use crate::market::openings::Timetable;
use crate::market::scenario::{Kind, Wants};
use crate::market::tally::Tally;
use crate::market::wire::{Asked, What};
use crate::random::{Random, mix};

/// From the start of the play to the first opening: there is time to ask before it.
pub(crate) const LEAD_MICROS: u64 = 2_500_000;

/// Requests sent at one look at the most: answers must be read too.
const AT_ONCE_MAX: usize = 4_096;

/// A part under way.
#[derive(Debug)]
pub(crate) struct Play {
    pub(crate) minds: Minds,
    pub(crate) times: Timetable,
    pub(crate) quests: Vec<Quest>,
    by_wish: BTreeMap<(u32, u32), u32>,
    by_appointment: BTreeMap<u128, u32>,
    later: BinaryHeap<Reverse<(u64, u32, u16, Step)>>,
    asked: Vec<Option<Asked>>,
    free: Vec<u32>,
    packers: Vec<Packer>,
    doors: Vec<u8>,
    pub(crate) account: Account,
    pub(crate) violations: Violations,
    pub(crate) tally: Tally,
    /// Places that somebody had in each opening, as the node said at the end, and when that was
    /// begun to be read, and done.
    pub(crate) taken: BTreeMap<u32, u64>,
    pub(crate) read_at: [Timestamp; 2],
    /// For each SIGKILL in mid-run: of what somebody had been told by then, and the last record that the
    /// node had on its disk.
    pub(crate) kills: Vec<(BTreeMap<u128, Told>, u64)>,
    ring_asking: u32,
    seed: u64,
    random: Random,
    zero: Instant,
}

impl Play {
    /// Everybody's wishes, and when each is to be sent first.
    pub(crate) fn new(minds: Minds, times: Timetable, seed: u64, zero: Instant) -> Self {
        let doors: Vec<u8> =
            minds.scenario.channels().iter().map(|channel| channel.number()).collect();
        let mut play = Self {
            times,
            quests: Vec::new(),
            by_wish: BTreeMap::new(),
            by_appointment: BTreeMap::new(),
            later: BinaryHeap::new(),
            asked: Vec::new(),
            free: Vec::new(),
            packers: doors.iter().map(|_| Packer::default()).collect(),
            doors,
            account: Account::default(),
            violations: Violations::default(),
            tally: Tally::default(),
            taken: BTreeMap::new(),
            read_at: [Timestamp::default(); 2],
            kills: Vec::new(),
            ring_asking: 0,
            seed,
            random: Random::new(mix(seed ^ 0x1d5)),
            zero,
            minds,
        };
        play.wish();
        play
    }

    fn wish(&mut self) {
        let openings = u32::try_from(self.times.opens.len()).unwrap_or(u32::MAX);
        let [least, most] = self.minds.scenario.honest.wants;
        for person in 0..u32::try_from(self.minds.crowd.people.len()).unwrap_or(u32::MAX) {
            if self.minds.part.wants == Wants::All || self.minds.crowd.is_ring(person) {
                (0..openings).for_each(|opening| self.begin(person, opening, None));
                continue;
            }
            let mut random = Random::new(mix(self.seed ^ 0x3a5 ^ u64::from(person) << 20));
            let wants = (least + random.below(most - least + 1)).min(openings);
            let mut wished = BTreeSet::new();
            while u32::try_from(wished.len()).unwrap_or(u32::MAX) < wants {
                wished.insert(random.below(openings));
            }
            for opening in wished {
                self.begin(person, opening, None);
            }
        }
    }

    /// Somebody wants a place in an opening, from a moment on or when people first ask.
    fn begin(&mut self, person: u32, opening: u32, at: Option<u64>) {
        let quest = u32::try_from(self.quests.len()).expect("fewer than 2^32 wishes");
        let mut past = Past::new(self.seed, person, opening);
        let opens = i64::try_from(self.opens(opening)).unwrap_or(i64::MAX);
        let first = at.unwrap_or_else(|| {
            let after = self.minds.first(&mut past);
            u64::try_from(opens.saturating_add(after)).unwrap_or(0)
        });
        self.quests.push(Quest::new(past, opening));
        self.by_wish.insert((person, opening), quest);
        self.plan(quest, Step::Ask, first);
    }

    /// When an opening opens, in µs from the start of the play.
    pub(crate) fn opens(&self, opening: u32) -> u64 {
        LEAD_MICROS + self.times.opens[opening as usize]
    }

    pub(crate) fn micros(&self) -> u64 {
        clock::micros(self.zero.elapsed())
    }

    /// Whether nothing is to come any more.
    pub(crate) fn is_over(&self, now: u64) -> bool {
        LEAD_MICROS + self.times.ends() <= now
    }

    /// Requests without an answer.
    pub(crate) fn under_way(&self) -> usize {
        self.asked.len() - self.free.len()
    }

    /// What a door has to send.
    pub(crate) fn frames(&mut self, door: usize) -> Vec<u8> {
        self.packers[door].take()
    }

    /// After a crash: everything without an answer is asked again, under the same id.
    pub(crate) fn ask_again(&mut self) {
        self.packers.iter_mut().for_each(|packer| *packer = Packer::default());
        for correlation in 0..self.asked.len() {
            if self.asked[correlation].is_some() {
                self.tally.asked_again += 1;
                self.pack(correlation);
            }
        }
    }

    fn plan(&mut self, quest: u32, step: Step, at: u64) {
        let wish = &mut self.quests[quest as usize];
        wish.plan = wish.plan.wrapping_add(1);
        let is_late = self.times.lasts
            < at.saturating_sub(LEAD_MICROS + self.times.opens[wish.opening as usize]);
        if step == Step::Ask && is_late {
            self.give_up(quest);
        } else {
            let plan = wish.plan;
            self.later.push(Reverse((at, quest, plan, step)));
        }
    }

    fn give_up(&mut self, quest: u32) {
        self.asks_no_more(quest);
        let wish = &mut self.quests[quest as usize];
        if wish.state == State::Open && !wish.past.has_joined {
            wish.state = State::Over;
        }
    }

    fn asks_no_more(&mut self, quest: u32) {
        let wish = &mut self.quests[quest as usize];
        let ring = self.minds.crowd.is_ring(wish.past.person);
        if std::mem::take(&mut wish.is_asking) && ring {
            self.ring_asking -= 1;
        }
    }

    /// Sends what is due.
    pub(crate) fn send_due(&mut self, now: u64) {
        let is_over = self.is_over(now);
        for _ in 0..AT_ONCE_MAX {
            let Some(Reverse((due, quest, plan, step))) = self.later.peek().copied() else {
                return;
            };
            if now < due {
                return;
            }
            self.later.pop();
            if self.quests[quest as usize].plan == plan && !is_over {
                self.take_step(quest, step, due, now);
            }
        }
    }

    fn take_step(&mut self, quest: u32, step: Step, due: u64, now: u64) {
        let state = self.quests[quest as usize].state;
        match (step, state) {
            (Step::Ask, State::Open | State::Entered) => {
                self.note_first(quest, due, now);
                self.send(quest, What::Hold, now);
            }
            (Step::Book, State::Held) => self.send(quest, What::Book, now),
            (Step::Release, State::Held) => self.send(quest, What::Release, now),
            (Step::Cancel, State::Booked) => self.send(quest, What::Cancel, now),
            (Step::HandOver, State::Booked) => self.hand_over(quest, now),
            _ => {}
        }
    }

    /// Cancels, and in the same moment the script of a customer asks: at best it is the next request that
    /// the node reads.
    fn hand_over(&mut self, quest: u32, now: u64) {
        let wish = &self.quests[quest as usize];
        let (opening, seller) = (wish.opening, wish.past.person);
        self.send(quest, What::Cancel, now);
        self.tally.handovers_tried += 1;
        if let Some(customer) = self.customer(opening, seller) {
            self.quests[customer as usize].race_from = now;
            self.plan(customer, Step::Ask, now);
        }
    }

    fn note_first(&mut self, quest: u32, due: u64, now: u64) {
        let opens = self.opens(self.quests[quest as usize].opening);
        let wish = &mut self.quests[quest as usize];
        if opens <= due {
            wish.first_asked = wish.first_asked.min(due);
        }
        wish.past.tries = wish.past.tries.saturating_add(1);
        if wish.past.tries == 1 {
            self.tally.lag.push(u32::try_from(now - due).unwrap_or(u32::MAX));
        }
        let ring = self.minds.crowd.is_ring(wish.past.person);
        if !std::mem::replace(&mut wish.is_asking, true) && ring {
            self.ring_asking += 1;
        }
    }

    fn send(&mut self, quest: u32, what: What, now: u64) {
        let wish = &mut self.quests[quest as usize];
        let person = wish.past.person;
        // What is done with a place is done through the door that it was got by.
        let guise = match wish.got_by.filter(|_| what != What::Hold && what != What::Join) {
            Some(guise) => guise,
            None => self.minds.guise(&mut wish.past),
        };
        let asked = Asked {
            quest,
            person,
            opening: wish.opening,
            what,
            id: self.fresh_id(now),
            appointment: self.quests[quest as usize].appointment,
            guise,
            hold_micros: self.times.hold,
        };
        let correlation = self.free.pop().map_or_else(
            || {
                self.asked.push(None);
                self.asked.len() - 1
            },
            |free| free as usize,
        );
        let ring = self.minds.crowd.is_ring(person);
        let since = now.checked_sub(self.opens(asked.opening));
        let race = self.minds.scenario.time.race(60.0);
        self.tally.count_request(ring, what, since.is_some_and(|since| since < race));
        self.asked[correlation] = Some(asked);
        self.pack(correlation);
    }

    fn pack(&mut self, correlation: usize) {
        let Some(asked) = self.asked[correlation] else { return };
        let door = self.doors.iter().position(|door| *door == asked.channel().number());
        let number = u32::try_from(correlation).expect("fewer than 2^32 requests under way");
        let request = asked.request();
        self.packers[door.unwrap_or(0)].item(FrameKind::Requests, |buffer| {
            write_request(number, &request, buffer);
        });
    }

    fn fresh_id(&mut self, now: u64) -> u128 {
        let random = u128::from(self.random.next()) << 64 | u128::from(self.random.next());
        let begins = self.times.begins.minus_millis(LEAD_MICROS / 1_000);
        RequestId::from_parts(begins.plus_millis(now / 1_000), random >> 32).0
    }

    /// An answer came.
    pub(crate) fn answer(&mut self, correlation: u32, reply: Reply, now: u64) {
        let slot = self.asked.get_mut(correlation as usize).and_then(Option::take);
        let Some(asked) = slot else {
            self.violations.note(Fault::Double, || format!("an answer to nothing: {reply:?}"));
            return;
        };
        self.free.push(correlation);
        match reply {
            Reply::Receipt(receipt) => {
                self.account.answers += 1;
                self.done(&asked, &receipt, now);
            }
            Reply::Refused(refusal) => self.refused(&asked, refusal, now),
            other => {
                self.violations.note(Fault::Lost, || format!("{asked:?} was answered {other:?}"));
            }
        }
    }

    fn done(&mut self, asked: &Asked, receipt: &Receipt, now: u64) {
        let quest = asked.quest;
        match asked.what {
            What::Hold => self.got(asked, receipt, now),
            What::Book => {
                self.note(asked, asked.appointment, Status::Booked, 0);
                self.booked(quest, now);
            }
            What::Release | What::Cancel => {
                self.account.end(asked.appointment);
                self.left(asked, now);
            }
            What::Join => {
                self.tally.joined += 1;
                self.join_answered(quest, now);
            }
        }
    }

    /// A place, or an entry.
    fn got(&mut self, asked: &Asked, receipt: &Receipt, now: u64) {
        let quest = asked.quest;
        let status = receipt.status.unwrap_or(Status::Cancelled);
        self.note(asked, asked.id, status, receipt.until.as_millis());
        let opens = self.opens(asked.opening);
        if now + CLOCK_MICROS < opens && !receipt.retried {
            self.violations.note(Fault::Early, || {
                format!("{asked:?} got {status:?} {} µs before the opening", opens - now)
            });
        }
        let wish = &mut self.quests[quest as usize];
        if matches!(wish.state, State::Entered | State::Held | State::Booked) {
            let state = wish.state;
            let first = wish.appointment;
            self.violations.note(Fault::Double, || {
                format!("{asked:?} got {status:?}, and was {state:?} with {first:032x}")
            });
            return;
        }
        (wish.appointment, wish.got_by) = (asked.id, Some(asked.guise));
        self.by_appointment.insert(asked.id, quest);
        match status {
            Status::Waitlist => self.entered(quest, now),
            Status::Booked => self.booked(quest, now),
            _ => self.held(quest, receipt.until.as_millis(), true, now),
        }
    }

    fn entered(&mut self, quest: u32, now: u64) {
        let wish = &mut self.quests[quest as usize];
        wish.state = State::Entered;
        if self.minds.asks_on(wish.past.person) {
            self.go_on(quest, Outcome::AlreadyHasAppointment, 0, now);
        } else {
            self.asks_no_more(quest);
        }
    }

    /// Somebody has a hold until then, in ms of the wall.
    fn held(&mut self, quest: u32, until: u64, is_race: bool, now: u64) {
        self.asks_no_more(quest);
        let wall = self.wall(now);
        let wish = &mut self.quests[quest as usize];
        wish.state = State::Held;
        let hold_micros = until.saturating_sub(wall) * 1_000;
        let told = Facts { hold_micros, ..Facts::default() };
        let then = self.minds.held(&mut wish.past, told, is_race);
        wish.plan = wish.plan.wrapping_add(1);
        match then {
            Then::Book(after) => self.plan(quest, Step::Book, now + after),
            Then::Release(after) => self.plan(quest, Step::Release, now + after),
            Then::Forget => {}
        }
    }

    fn booked(&mut self, quest: u32, now: u64) {
        self.asks_no_more(quest);
        let wish = &mut self.quests[quest as usize];
        wish.state = State::Booked;
        wish.plan = wish.plan.wrapping_add(1);
        match self.minds.booked(&mut wish.past) {
            Later::Keep => {}
            Later::Cancel { after, rebooks } => {
                wish.rebooks = rebooks;
                self.plan(quest, Step::Cancel, now + after);
            }
            Later::HandOver(after) => self.plan(quest, Step::HandOver, now + after),
        }
    }

    /// Somebody gave a place up, and may try elsewhere.
    fn left(&mut self, asked: &Asked, now: u64) {
        let wish = &mut self.quests[asked.quest as usize];
        wish.state = State::Over;
        if !std::mem::take(&mut wish.rebooks) {
            return;
        }
        if let Some(opening) = self.elsewhere(asked) {
            let at = (now + self.minds.scenario.time.race(60.0)).max(self.opens(opening));
            self.begin(asked.person, opening, Some(at));
        }
    }

    /// Another identity of the ring that has nothing there, one that uses the same door if there is one.
    fn customer(&mut self, opening: u32, seller: u32) -> Option<u32> {
        let (first, count) = (self.minds.crowd.honest, self.minds.scenario.ring.identities);
        let start = self.random.below(count);
        let ring = (0..count).map(|number| first + (start + number) % count);
        let free = ring.filter(|person| *person != seller).filter_map(|person| {
            let quest = *self.by_wish.get(&(person, opening))?;
            let is_free = matches!(self.quests[quest as usize].state, State::Open | State::Over);
            is_free.then_some((person, quest))
        });
        let door = self.minds.person(seller).channel;
        // `min_by_key` keeps the first of equals.
        let (_, customer) = free.min_by_key(|free| self.minds.person(free.0).channel != door)?;
        self.quests[customer as usize].state = State::Open;
        Some(customer)
    }

    /// Another opening of the same row that the person has not wanted yet.
    fn elsewhere(&mut self, asked: &Asked) -> Option<u32> {
        let at = self.times.opens[asked.opening as usize];
        let row: Vec<u32> = (0_u32..)
            .zip(&self.times.opens)
            .filter(|(opening, opens)| {
                **opens == at && !self.by_wish.contains_key(&(asked.person, *opening))
            })
            .map(|(opening, _)| opening)
            .collect();
        let count = u32::try_from(row.len()).ok().filter(|count| 0 < *count)?;
        row.get(self.random.below(count) as usize).copied()
    }

    fn refused(&mut self, asked: &Asked, refusal: Refusal, now: u64) {
        let (quest, outcome) = (asked.quest, refusal.outcome);
        let is_ring = self.minds.crowd.is_ring(asked.person);
        self.tally.count_refusal(asked.person, is_ring, outcome);
        let hint = u64::from(refusal.retry_after_millis) * 1_000;
        if matches!(outcome, Outcome::Overloaded | Outcome::NotReady) {
            let step = match asked.what {
                What::Hold | What::Join => Step::Ask,
                What::Book => Step::Book,
                What::Release => Step::Release,
                What::Cancel => Step::Cancel,
            };
            self.plan(quest, step, now + hint.max(1_000));
            return;
        }
        match asked.what {
            What::Hold => self.go_on(quest, outcome, hint, now),
            What::Join => self.join_answered(quest, now),
            // Too late, or it was ended meanwhile: whoever asks on asks on.
            What::Book | What::Release => self.lapsed(quest, now),
            What::Cancel => {}
        }
    }

    /// Who joined, or could not, asks on if that is their way.
    fn join_answered(&mut self, quest: u32, now: u64) {
        let wish = &mut self.quests[quest as usize];
        wish.past.has_joined = true;
        if self.minds.asks_on(wish.past.person) {
            self.go_on(quest, Outcome::SoldOut, 0, now);
        } else {
            self.asks_no_more(quest);
        }
    }

    /// What somebody does who was refused.
    fn go_on(&mut self, quest: u32, outcome: Outcome, hint_micros: u64, now: u64) {
        let opens = self.opens(self.quests[quest as usize].opening);
        let wish = &mut self.quests[quest as usize];
        let since_opening = now.saturating_sub(opens.max(wish.race_from));
        if !matches!(wish.state, State::Open | State::Entered) {
            return;
        }
        let told =
            Facts { ring_asking: self.ring_asking, since_opening, hint_micros, hold_micros: 0 };
        match self.minds.refused(&mut wish.past, told, outcome) {
            Next::Again(after) => self.plan(quest, Step::Ask, now + after.max(1)),
            Next::Wait if wish.state == State::Open => self.send(quest, What::Join, now),
            Next::Wait | Next::Stop => self.give_up(quest),
        }
    }

    /// A hold, or an entry, came to nothing.
    fn lapsed(&mut self, quest: u32, now: u64) {
        let wish = &mut self.quests[quest as usize];
        if !matches!(wish.state, State::Held | State::Entered) {
            return;
        }
        wish.plan = wish.plan.wrapping_add(1);
        wish.state = State::Open;
        if self.minds.asks_on(wish.past.person) {
            self.plan(quest, Step::Ask, now + 1);
        } else {
            self.asks_no_more(quest);
        }
    }

    fn note(&mut self, asked: &Asked, appointment: u128, status: Status, until: u64) {
        let told = Told { person: asked.person, opening: asked.opening, status, until };
        self.account.note(appointment, told);
    }

    fn wall(&self, now: u64) -> u64 {
        (self.times.begins.as_millis() + now / 1_000).saturating_sub(LEAD_MICROS / 1_000)
    }

    /// Every wish, and whose it is.
    pub(crate) fn people(&self) -> impl Iterator<Item = (u32, &Quest)> {
        self.quests.iter().map(|quest| (quest.past.person, quest))
    }

    /// Whether the part is a draw.
    pub(crate) fn is_draw(&self) -> bool {
        self.minds.part.kind == Kind::Draw
    }
}

/// Our clock and the node's are one; both are read in milliseconds.
const CLOCK_MICROS: u64 = 2_000;
