//! The connections of one thread of a generator: opened, begun together, run to their end.
//!
//! ```text
//! thread t of n: connections t, t + n, ... --> all threads wait --> run --> what each brought
//! ```
//!
//! **Architecture invariant:** a thread that cannot connect still waits with the others, so that who leads
//! them never waits for it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use haoyuan::client::{CallError, Lane};
use haoyuan::model::Role;
use haoyuan::protocol::FrameKind;
use tokio::task::{JoinSet, LocalSet};

use super::Plan;
use crate::{Failure, certs, clock};

/// How often a connection that sends by the clock looks what is due.
const LOOK: Duration = Duration::from_millis(1);

/// Which connections, and to which node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lanes<'a> {
    pub(crate) servers: &'a [SocketAddr],
    pub(crate) certs: &'a Path,
    /// Over all threads.
    pub(crate) connections: u32,
    pub(crate) threads: u32,
    pub(crate) thread: u32,
    /// What the node's logs call them.
    pub(crate) name: &'a str,
}

/// What decides when something is sent, and takes the answers. Times are in µs from its start.
pub(crate) trait Clocked {
    /// What time it is.
    fn micros(&self) -> u64;

    /// Takes a reply.
    fn settle(&mut self, kind: FrameKind, unit: &[u8], now: u64) -> Result<(), CallError>;

    /// Whether nothing more is sent, nor awaited.
    fn is_done(&self, now: u64) -> bool;

    /// What is due, as frames.
    fn frames(&mut self, now: u64) -> Vec<u8>;
}

impl<'a> Lanes<'a> {
    /// Those of a plan.
    pub(crate) fn of(plan: &'a Plan, thread: u32, name: &'a str) -> Self {
        let Plan { connections, threads, .. } = *plan;
        Self { servers: &plan.servers, certs: &plan.certs, connections, threads, thread, name }
    }

    /// Opens them, waits for the others, runs them, and says what each brought.
    pub(crate) fn run<B, T: 'static, F: Future<Output = Result<T, Failure>> + 'static>(
        &self,
        wait: impl FnOnce() -> B,
        mut start: impl FnMut(u32, Lane, &B) -> Result<F, Failure>,
    ) -> Result<Vec<T>, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let local = LocalSet::new();
        let opened = local.block_on(&runtime, self.open());
        let begun = wait();
        let mut running = JoinSet::new();
        for (number, lane) in opened? {
            running.spawn_local_on(start(number, lane, &begun)?, &local);
        }
        local.block_on(&runtime, async {
            let mut brought = Vec::new();
            while let Some(ended) = running.join_next().await {
                brought.push(ended??);
            }
            clock::linger().await;
            Ok(brought)
        })
    }

    async fn open(&self) -> Result<Vec<(u32, Lane)>, Failure> {
        let dialer = certs::dialer(self.certs, self.servers, Role::Gateway)?;
        let mut lanes = Vec::new();
        for number in (0..self.connections).filter(|number| number % self.threads == self.thread) {
            lanes.push((number, Lane::open(&dialer.connect().await?, self.name).await?));
        }
        Ok(lanes)
    }
}

/// Sends by the clock and takes answers until the desk is done.
pub(crate) async fn run_by_clock<D: Clocked>(mut lane: Lane, mut desk: D) -> Result<D, Failure> {
    let mut ticks = clock::every(LOOK);
    loop {
        let busy = !lane.sender.is_idle();
        // Every unit that comes with one reading has the same time.
        let mut now = None;
        tokio::select! {
            biased;
            flushed = lane.sender.flush(), if busy => flushed?,
            going_on = lane.receiver.receive_units(|kind, unit| {
                let now = *now.get_or_insert_with(|| desk.micros());
                desk.settle(kind, unit, now)
            }) => if !going_on? {
                return Err("the node ended the stream".into());
            },
            _ = ticks.tick() => now = Some(desk.micros()),
        }
        let Some(now) = now else { continue };
        if desk.is_done(now) {
            return Ok(desk);
        }
        let frames = desk.frames(now);
        if !frames.is_empty() {
            lane.sender.queue_frames(frames);
        }
    }
}
