//! The closed loop: connections that keep a window of requests under way, as cheaply as it goes.
//!
//! ```text
//! reply -> Tally (counts, latency, account) -> what next (Mix) -> template, patched -> frame
//!           '------------- one clock reading for all that came at once -------------'
//! ```
//!
//! **Architecture invariant:** the generator shares the machine with the node that it measures, so
//! it allocates, locks and asks for the time once per reading of a stream, not once per request.

mod connection;
mod lanes;
mod mix;
mod tally;
mod template;
mod wish;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicU8, AtomicU64};
use std::sync::{Arc, Barrier};
use std::time::Instant;

use self::connection::Connection;
pub(crate) use self::lanes::{Clocked, Lanes, run_by_clock};
pub(crate) use self::mix::{Kind, Mix};
pub(crate) use self::tally::Tally;
pub(crate) use self::template::{Patch, Template, one_hold};
pub(crate) use self::wish::{PATIENTS, Wish, account_key, patient_key};
use crate::supply::Supply;
use crate::{Failure, clock};

/// What to do, and to which node.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The node, or several addresses of it.
    pub(crate) servers: Vec<SocketAddr>,
    /// Our certificates.
    pub(crate) certs: PathBuf,
    /// What is sent.
    pub(crate) mix: Mix,
    /// What it is about.
    pub(crate) supply: Supply,
    /// One session after the other, any slot, instead of all at once.
    pub(crate) hot: bool,
    /// Patients that are drawn from.
    pub(crate) patients: u32,
    /// Connections, over all threads.
    pub(crate) connections: u32,
    /// Requests under way on each.
    pub(crate) window: u32,
    /// Answers to collect before new requests are sent.
    pub(crate) batch: u32,
    /// Threads of the generator, each with a socket of its own.
    pub(crate) threads: u32,
    /// Where the random numbers start.
    pub(crate) seed: u64,
}

/// What the threads of a run share with who leads it.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Warming up, measured, or ending.
    pub(crate) phase: AtomicU8,
    /// Places taken so far, less those given back.
    pub(crate) taken: AtomicU64,
    /// The zero of all latencies.
    pub(crate) start: Instant,
    /// Waits for all threads and the leader.
    pub(crate) connected: Barrier,
}

/// Nothing is counted yet, but the account.
pub(crate) const WARMING: u8 = 0;
/// Answers that come now count.
pub(crate) const MEASURED: u8 = 1;
/// Nothing new is sent.
pub(crate) const ENDING: u8 = 2;

impl Shared {
    /// For so many threads and a leader.
    pub(crate) fn new(threads: u32) -> Self {
        Self {
            phase: AtomicU8::new(WARMING),
            taken: AtomicU64::new(0),
            start: clock::now(),
            connected: Barrier::new(threads as usize + 1),
        }
    }
}

/// Runs the connections of one thread to the end of the run, and says what they counted.
pub(crate) fn run_thread(
    plan: &Arc<Plan>,
    shared: &Arc<Shared>,
    thread: u32,
) -> Result<Tally, Failure> {
    let tally = Rc::new(RefCell::new(Tally::new(plan.supply.slot_count())));
    let start = |number, lane, (): &()| {
        Ok(Connection::new(lane, plan, shared, number).run(Rc::clone(&tally)))
    };
    let wait = || {
        shared.connected.wait();
    };
    Lanes::of(plan, thread, "loadtest").run(wait, start)?;
    Ok(tally.replace(Tally::new(0)))
}
