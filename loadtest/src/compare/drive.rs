//! The closed loop against a peer: connections with a window of requests under way, as against a node.
//!
//! ```text
//! 50 connections x 16 tasks: draw a wish -> ask -> answer -> count -> draw ...
//! expirer: every 100 ms, as the node's ticker does
//! ```
//!
//! **Architecture invariant:** wishes are drawn, phases timed and answers counted as in `load`; only
//! what goes over the wire differs.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

use haoyuan::model::{Outcome, RequestId, Timestamp};
use tokio::task::{JoinSet, LocalSet};

use crate::load::{ENDING, Kind, MEASURED, Tally, WARMING, Wish, patient_key};
use crate::random::{Random, mix};
use crate::supply::Supply;
use crate::{Failure, clock};

/// A hold that is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    pub(super) id: u128,
    pub(super) patient: u128,
    pub(super) account: u128,
    pub(super) session: u64,
    pub(super) slot: u16,
    /// In ms of the wall's time.
    pub(super) deadline: u64,
    /// Live appointments that a patient may have.
    pub(super) most: u16,
}

/// What the account of a server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Account {
    /// Free places of all slots.
    pub(super) free: u64,
    /// Holds that live.
    pub(super) live: u64,
}

/// A connection to a peer. Clones share it.
pub(super) trait Client: Clone + 'static {
    /// Holds a place. The answer is the code of an outcome, here as below.
    fn hold(&mut self, ask: &Ask) -> impl Future<Output = Result<u16, Failure>>;
    /// Confirms a hold.
    fn book(&mut self, ask: &Ask, now: u64) -> impl Future<Output = Result<u16, Failure>>;
    /// Ends a hold or a booking.
    fn cancel(&mut self, ask: &Ask) -> impl Future<Output = Result<u16, Failure>>;
    /// Ends holds that are due, so many at a time. Says how many.
    fn expire(&mut self, now: u64) -> impl Future<Output = Result<u64, Failure>>;
    /// Restricts a patient from now on.
    fn restrict(&mut self, patient: u128) -> impl Future<Output = Result<(), Failure>>;
    /// Opens sessions.
    fn open(&mut self, supply: &Supply) -> impl Future<Output = Result<(), Failure>>;
    /// Counts places and holds.
    fn account(&mut self, supply: &Supply) -> impl Future<Output = Result<Account, Failure>>;
    /// What the server says that an answer survives.
    fn durability(&mut self) -> impl Future<Output = Result<String, Failure>>;
}

/// How a peer is asked.
#[derive(Clone, Debug)]
pub(super) struct Load {
    pub(super) supply: Supply,
    pub(super) window: u32,
    pub(super) warmup: f64,
    pub(super) seconds: f64,
    pub(super) seed: u64,
    pub(super) most: u16,
}

/// What a run brought.
#[derive(Debug)]
pub(super) struct Driven<S> {
    pub(super) tally: Tally,
    /// Holds that were acknowledged, the warm-up's too.
    pub(super) taken: u64,
    /// Samples at the beginning and the end of the measured time, and how long it was.
    pub(super) samples: (S, S),
    pub(super) seconds: f64,
}

struct Shared {
    load: Load,
    start: Instant,
    /// The wall's time at the start.
    wall: Timestamp,
    phase: Cell<u8>,
    taken: Cell<u64>,
    tally: RefCell<Tally>,
}

/// How often a run is looked at, and how often deadlines are.
const LOOK: Duration = Duration::from_millis(20);
const EXPIRE: Duration = Duration::from_millis(100);

/// A run ends early when this share of all places is taken, as one against a node.
const TAKEN_PERCENT: u64 = 60;

/// Holds last a quarter of an hour.
const TTL_MILLIS: u64 = 15 * 60_000;

/// Asks until the time is over. The last client expires; the others hold.
pub(super) async fn drive<C: Client, S>(
    clients: Vec<C>,
    load: &Load,
    sample: impl Fn() -> S,
) -> Result<Driven<S>, Failure> {
    let shared = Rc::new(Shared {
        load: load.clone(),
        start: clock::now(),
        wall: clock::wall(),
        phase: Cell::new(WARMING),
        taken: Cell::new(0),
        tally: RefCell::new(Tally::new(0)),
    });
    let local = LocalSet::new();
    let mut running = JoinSet::new();
    let mut clients = clients;
    let expirer = clients.pop().ok_or("no connection")?;
    running.spawn_local_on(expire(expirer, Rc::clone(&shared)), &local);
    for (number, client) in clients.into_iter().enumerate() {
        // The windows of a connection draw from one generator, as those of a node's do.
        let seed = load.seed ^ mix(number as u64 + 1);
        let random = Rc::new(RefCell::new(Random::new(seed)));
        for _ in 0..load.window {
            let position = hold(client.clone(), Rc::clone(&shared), Rc::clone(&random));
            running.spawn_local_on(position, &local);
        }
    }
    local
        .run_until(async {
            shared.wait(load.warmup).await;
            let (first, from) = (sample(), clock::now());
            shared.phase.set(MEASURED);
            shared.wait(load.seconds).await;
            shared.phase.set(ENDING);
            let (last, seconds) = (sample(), from.elapsed().as_secs_f64());
            while let Some(ended) = running.join_next().await {
                ended??;
            }
            shared.tally.borrow_mut().settle();
            let tally = shared.tally.replace(Tally::new(0));
            Ok(Driven { tally, taken: shared.taken.get(), samples: (first, last), seconds })
        })
        .await
}

/// One position of a window.
async fn hold<C: Client>(
    mut client: C,
    shared: Rc<Shared>,
    random: Rc<RefCell<Random>>,
) -> Result<(), Failure> {
    while shared.phase.get() != ENDING {
        let sent = clock::now();
        let ask = shared.draw(&mut random.borrow_mut(), sent);
        let code = client.hold(&ask).await?;
        let now = clock::now();
        if code == Outcome::Done.code() {
            shared.taken.set(shared.taken.get() + 1);
        }
        if shared.phase.get() == MEASURED {
            let (took, at) = (now.duration_since(sent), now.duration_since(shared.start));
            let (took, at) = (clock::micros(took), clock::micros(at));
            shared.tally.borrow_mut().count(Kind::Hold, code, took, at);
        }
    }
    Ok(())
}

async fn expire<C: Client>(mut client: C, shared: Rc<Shared>) -> Result<(), Failure> {
    while shared.phase.get() != ENDING {
        client.expire(clock::wall().as_millis()).await?;
        clock::sleep(EXPIRE).await;
    }
    Ok(())
}

impl Shared {
    /// What somebody wants next.
    fn draw(&self, random: &mut Random, now: Instant) -> Ask {
        let since = clock::micros(now.duration_since(self.start)) / 1_000;
        let wall = self.wall.plus_millis(since);
        let bits = u128::from(random.next()) << 64 | u128::from(random.next());
        let wish = Wish::draw(random, &self.load.supply);
        let patient = patient_key(wish.patient);
        Ask {
            id: RequestId::from_parts(wall, bits >> 32).0,
            patient,
            account: patient ^ 1,
            session: self.load.supply.first + u64::from(wish.session),
            slot: wish.slot,
            deadline: wall.as_millis() + TTL_MILLIS,
            most: self.load.most,
        }
    }

    /// Lets a run go on for so long, or until too many places are taken.
    async fn wait(&self, seconds: f64) {
        let places = self.load.supply.places();
        let limit = if places == 0 { u64::MAX } else { places * TAKEN_PERCENT / 100 };
        let until = clock::now() + Duration::from_secs_f64(seconds);
        while clock::now() < until && self.taken.get() < limit {
            clock::sleep(LOOK.min(until.saturating_duration_since(clock::now()))).await;
        }
    }
}
