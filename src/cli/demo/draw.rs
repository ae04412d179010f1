//! The scene of the fair draw: scripts are first and ask often, people come when they can.
//!
//! ```text
//! announced      opens =============== closes -> drawn -> told to everybody -> published
//!  | sealed number |  early people                                                |
//!  `---------------+- scripts, again and again                late people         `- checked (`drawn`)
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::account::Acknowledged;
use super::desk::{CHANNELS, Desk, FIRST_OF_SCENES, clinic, open, refused_as, stuck};
use super::patients::{Dice, pause};
use crate::cli::failure::Failure;
use crate::client::ids::new_appointment_id;
use crate::client::{CallError, Client, Event};
use crate::codec::decode_facts;
use crate::draw::{Collector, DrawFile};
use crate::model::{
    Action, AppointmentId, AppointmentStatus, BookingChannel, Cause, Draw, DrawHash, DrawId,
    DrawReading, Fact, Outcome, PatientId, PaymentRef, PoolIndex, Pseudonym, Sequence, SessionId,
    SlotChoice, Timestamp, Ttl,
};

/// The scene as it was played: what those who took part know.
#[derive(Debug)]
pub(super) struct Played {
    pub(super) opens: Timestamp,
    pub(super) closes: Timestamp,
    /// What was published before the opening, and when it was read.
    pub(super) commitment: DrawHash,
    pub(super) commitment_read: Timestamp,
    pub(super) entrants: Vec<Entrant>,
    /// The file, as the running node published it.
    pub(super) file: DrawFile,
    pub(super) pseudonyms: BTreeMap<AppointmentId, Pseudonym>,
}

/// Who enters, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    /// A program that asks before the opening, and again when it has entered.
    Script,
    /// A person who is there when entries open.
    Early,
    /// A person who comes shortly before the close.
    Late,
}

/// One who takes part, and the answers to it.
#[derive(Debug)]
pub(super) struct Entrant {
    pub(super) group: Group,
    patient: PatientId,
    channel: BookingChannel,
    /// The entry, where there is one.
    pub(super) entry: Option<AppointmentId>,
    /// What the patient keeps, where it was asked for.
    pub(super) receipt: Option<DrawHash>,
    pub(super) tries: u32,
    pub(super) too_early: u32,
    /// Tries to enter a second time that were refused.
    pub(super) second: u32,
    pub(super) too_late: u32,
    pub(super) has_won: bool,
    pub(super) has_booked: bool,
}

/// Plays the scene.
pub(super) async fn play(desk: &Arc<Desk>, admin: &Client) -> Result<Played, Failure> {
    let now = desk.clock.now();
    let opens = now.plus_millis(NOTICE_MILLIS);
    let closes = opens.plus_millis(WINDOW_MILLIS);
    let mut session = clinic(DRAW.session, now, Ttl::DEFAULT, vec![1; PLACES.into()]);
    for pool in &mut session.pools {
        let (ttl, preferences_max) = (Ttl::DEFAULT, 1);
        let draw = Draw { closes, preferences_max, ttl, beacon: None, commitment: None };
        (pool.terms.opens, pool.terms.draw) = (opens, Some(draw));
    }
    open(admin, now, session).await?;
    let announced = read(desk).await?;
    let commitment_read = desk.clock.now();
    let commitment = announced.terms.commitment.filter(|_| announced.revealed.is_none());
    let commitment = commitment.ok_or_else(|| stuck("a draw was announced without a seal"))?;

    let entrants = settle(desk, enter(desk, opens).await, closes).await?;
    let (file, pseudonyms) = publish(admin).await?;
    Ok(Played { opens, closes, commitment, commitment_read, entrants, file, pseudonyms })
}

/// Lets everybody enter.
async fn enter(desk: &Arc<Desk>, opens: Timestamp) -> Vec<Entrant> {
    let mut asking = JoinSet::new();
    for number in 0..SCRIPTS {
        asking.spawn(script(Arc::clone(desk), Entrant::new(Group::Script, number)));
    }
    for number in SCRIPTS..SCRIPTS + EARLY {
        let early = Entrant::new(Group::Early, number);
        asking.spawn(person(Arc::clone(desk), early, opens, EARLY_MILLIS));
    }
    for number in SCRIPTS + EARLY..SCRIPTS + EARLY + LATE {
        let late = Entrant::new(Group::Late, number);
        asking.spawn(person(Arc::clone(desk), late, opens, LATE_MILLIS));
    }
    asking.join_all().await
}

/// A script is there before the opening. It asks through every door until it is in, and then tries to
/// get in again.
async fn script(desk: Arc<Desk>, mut script: Entrant) -> Entrant {
    let mut dice = Dice::new(script.number());
    for channel in CHANNELS.into_iter().cycle() {
        script.ask(&desk, channel).await;
        if 0 < script.too_late || SECOND_TRIES <= script.second {
            break;
        }
        pause(dice.between(SCRIPT_PAUSE_MILLIS)).await;
    }
    script
}

/// A person comes once, and asks again only when told that it is too early.
async fn person(
    desk: Arc<Desk>,
    mut person: Entrant,
    opens: Timestamp,
    (least, greatest): (u64, u64),
) -> Entrant {
    let mut dice = Dice::new(person.number());
    desk.until(opens.plus_millis(least + dice.below(greatest - least))).await;
    loop {
        let earlier = person.too_early;
        person.ask(&desk, person.channel).await;
        if earlier == person.too_early {
            break;
        }
        pause(dice.between(SCRIPT_PAUSE_MILLIS)).await;
    }
    let keeps = person.group == Group::Early && dice.below(RECEIPTS_ONE_IN) == 0;
    if let Some(entry) = person.entry.filter(|_| keeps) {
        let (patient, channel) = (Some(person.patient), person.channel);
        let ask = || desk.client.draw(DRAW, Some(entry), patient, channel);
        match desk.patiently(ask).await {
            Ok(reading) => person.receipt = reading.receipt,
            Err(error) => desk.wonder(&error),
        }
    }
    person
}

impl Entrant {
    fn new(group: Group, number: u64) -> Self {
        Self {
            group,
            patient: PatientId(FIRST_PATIENT + u128::from(number)),
            channel: CHANNELS[0],
            entry: None,
            receipt: None,
            tries: 0,
            too_early: 0,
            second: 0,
            too_late: 0,
            has_won: false,
            has_booked: false,
        }
    }

    fn number(&self) -> u64 {
        u64::try_from(self.patient.0).unwrap_or_default()
    }

    /// Asks once, under an id that was never used.
    async fn ask(&mut self, desk: &Desk, channel: BookingChannel) {
        self.tries += 1;
        let id = new_appointment_id(desk.clock.now());
        let wish = (DRAW.session, SlotChoice::Any);
        match desk.hold(id, self.patient, channel, wish).await {
            Ok(receipt) => {
                desk.account.lock().note(id, Acknowledged::Entered);
                let earlier = self.entry.replace(id);
                if earlier.is_some() || receipt.status != Some(AppointmentStatus::Waitlist) {
                    desk.surprise("somebody entered a draw twice, or got a place of it".to_owned());
                }
                self.channel = channel;
            }
            Err(error) => match refused_as(&error) {
                Some(Outcome::NotOpenYet) => self.too_early += 1,
                Some(Outcome::AlreadyHasAppointment) => self.second += 1,
                Some(Outcome::DrawPending | Outcome::SoldOut) => self.too_late += 1,
                _ => {
                    desk.wonder(&error);
                    // Whoever cannot get an answer does not ask for ever.
                    self.too_late += 1;
                }
            },
        }
    }

    /// Learns what the entry came to, and books what it won.
    async fn learn(&mut self, desk: &Desk) -> Result<(), CallError> {
        let Some(id) = self.entry else { return Ok(()) };
        let ask = || desk.client.get(id, Some(self.patient), self.channel);
        let entry = desk.patiently(ask).await?;
        if (entry.status, entry.cause) == (AppointmentStatus::Cancelled, Cause::NotDrawn) {
            desk.account.lock().note(id, Acknowledged::NotDrawn);
            return Ok(());
        }
        if entry.status != AppointmentStatus::Pending {
            desk.surprise(format!("an entry of a draw came to {:?}", entry.status));
            return Ok(());
        }
        desk.account.lock().note(id, Acknowledged::Held);
        self.has_won = true;
        let payment = PaymentRef(id.0);
        self.has_booked = desk.act(id, self.patient, self.channel, Action::Book { payment }).await;
        Ok(())
    }
}

/// Waits for the draw, and tells everybody.
async fn settle(
    desk: &Arc<Desk>,
    entrants: Vec<Entrant>,
    closes: Timestamp,
) -> Result<Vec<Entrant>, Failure> {
    desk.until(closes).await;
    let end = closes.plus_millis(PATIENCE_MILLIS);
    loop {
        let reading = read(desk).await?;
        if reading.revealed.is_some() && reading.waiting == 0 {
            break;
        }
        if end < desk.clock.now() {
            return Err(stuck("the lots were not drawn in time"));
        }
        pause(LOOK_AGAIN).await;
    }
    let mut learning = JoinSet::new();
    for mut entrant in entrants {
        let desk = Arc::clone(desk);
        learning.spawn(async move {
            if let Err(error) = entrant.learn(&desk).await {
                desk.wonder(&error);
            }
            entrant
        });
    }
    Ok(learning.join_all().await)
}

async fn read(desk: &Desk) -> Result<DrawReading, Failure> {
    let ask = || desk.client.draw(DRAW, None, None, CHANNELS[0]);
    desk.patiently(ask).await.map_err(|error| stuck(&error.to_string()))
}

/// Makes the file of the draw from the node's feed, as `haoyuan ctl draw export` does.
async fn publish(
    admin: &Client,
) -> Result<(DrawFile, BTreeMap<AppointmentId, Pseudonym>), Failure> {
    let mut collector = Collector::new(DRAW);
    let mut pseudonyms = BTreeMap::new();
    let (mut entries, mut decided) = (None, 0);
    let mut watch = admin.watch(Sequence(1));
    while entries.is_none_or(|entries| decided < entries) {
        let event = tokio::time::timeout(PATIENCE, watch.next()).await;
        let event = event.map_err(|_| stuck("the draw could not be published"))?;
        let Event::Record(record) = event.map_err(|error| stuck(&error.to_string()))? else {
            continue;
        };
        for fact in decode_facts(&record.facts).map_err(|error| stuck(&error.to_string()))? {
            match &fact {
                Fact::Entered(entered) => {
                    pseudonyms.insert(entered.appointment, entered.entry.pseudonym);
                }
                Fact::DrawRevealed(revealed) => entries = Some(revealed.entries),
                Fact::DrawWon(_) | Fact::EntryEnded(_) => decided += 1,
                _ => {}
            }
            collector.add(&fact);
        }
    }
    let file = collector.finish().map_err(|error| stuck(&error.to_string()))?;
    Ok((file, pseudonyms))
}

/// The draw of the scene.
pub(super) const DRAW: DrawId =
    DrawId { session: SessionId(FIRST_OF_SCENES.0 + 1), pool: PoolIndex(0) };

/// An expert's morning.
pub(super) const PLACES: u16 = 12;

const SCRIPTS: u64 = 120;
const EARLY: u64 = 120;
const LATE: u64 = 160;

/// How often a script that is in tries to get in again.
const SECOND_TRIES: u32 = 4;

/// How long a script waits between two tries.
const SCRIPT_PAUSE_MILLIS: (u64, u64) = (30, 80);

/// From the announcement to the opening.
const NOTICE_MILLIS: u64 = 400;

/// From the opening to the close: hours, played fast.
const WINDOW_MILLIS: u64 = 1_200;

/// When people come, after the opening.
const EARLY_MILLIS: (u64, u64) = (20, 300);
const LATE_MILLIS: (u64, u64) = (700, 1_000);

/// One in so many early people asks for the receipt.
const RECEIPTS_ONE_IN: u64 = 12;

/// Where the patients of this scene begin.
const FIRST_PATIENT: u128 = 1_000_000_000;

/// Much longer than a draw takes.
const PATIENCE_MILLIS: u64 = 20_000;
const PATIENCE: std::time::Duration = std::time::Duration::from_millis(PATIENCE_MILLIS);
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_millis(10);
