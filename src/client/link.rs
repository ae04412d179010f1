//! One connection of the pool: who waits for what, and the task that moves the bytes.
//!
//! ```text
//! Link::submit -> queue --wake--> driver: frames out, replies in -> the call that waits
//!                                 '-- broken: everybody who waits is told, and asks again
//! ```
//!
//! **Architecture invariant:** a reply or the news of a broken connection reaches every call that
//! was submitted, exactly once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, oneshot};

use super::backlog::{Backlog, StretchId};
use super::dial::{Dialer, Farewell};
use super::error::CallError;
use super::lane::{Lane, LaneReceiver, LaneSender};
use crate::protocol::{FrameKind, Packer, Reply, Request, write_request};

/// What a call gets: a reply, or why there is none.
pub(super) type Answered = Result<Reply, CallError>;

#[derive(Debug)]
pub(super) struct Link {
    state: Mutex<State>,
    wake: Notify,
    /// Bounds the calls that wait.
    slots: Semaphore,
    /// Calls that wait, those for a slot too, by the time since which they do.
    backlog: Mutex<Backlog>,
    start: Instant,
}

/// A call that is counted while it waits, however it ends.
struct Waiting<'a> {
    link: &'a Link,
    asked: StretchId,
}

#[derive(Debug, Default)]
struct State {
    queue: Packer,
    waiting: HashMap<u32, oneshot::Sender<Answered>, RandomState>,
    correlation: u32,
}

/// The longest pause between attempts to connect.
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// The first one.
pub(super) const BACKOFF_MIN: Duration = Duration::from_millis(10);

impl Link {
    pub(super) fn new(in_flight_max: usize) -> Self {
        Self {
            state: Mutex::default(),
            wake: Notify::new(),
            slots: Semaphore::new(in_flight_max.max(1)),
            backlog: Mutex::default(),
            start: now(),
        }
    }

    /// For how long the oldest call has waited for its reply.
    pub(super) fn waits(&self) -> Duration {
        Duration::from_micros(self.backlog.lock().waits(self.micros()))
    }

    fn micros(&self) -> u64 {
        u64::try_from(now().duration_since(self.start).as_micros()).unwrap_or(u64::MAX)
    }

    fn wait(&self) -> Waiting<'_> {
        let asked = self.backlog.lock().ask(self.micros());
        Waiting { link: self, asked }
    }

    /// Sends a request and waits for its reply.
    pub(super) async fn call(&self, request: &Request) -> Answered {
        let _waiting = self.wait();
        let Ok(_slot) = self.slots.acquire().await else {
            return Err(CallError::Unavailable("the client is closed".to_owned()));
        };
        let (answer, answered) = oneshot::channel();
        {
            let mut state = self.state.lock();
            let correlation = state.correlation;
            state.correlation = correlation.wrapping_add(1);
            state.queue.item(FrameKind::Requests, |buffer| {
                write_request(correlation, request, buffer);
            });
            state.waiting.insert(correlation, answer);
        }
        self.wake.notify_one();
        answered
            .await
            .unwrap_or_else(|_| Err(CallError::Unavailable("the client is closed".to_owned())))
    }

    /// Keeps a connection while there is something to send. Never ends: the client aborts it.
    #[expect(clippy::infinite_loop, reason = "its end is the drop of the client")]
    pub(super) async fn drive(self: Arc<Self>, dialer: Arc<Dialer>, name: Arc<str>) {
        let mut backoff = BACKOFF_MIN;
        loop {
            while self.state.lock().queue.is_empty() {
                self.wake.notified().await;
            }
            let error = match self.connect_and_carry(&dialer, &name, &mut backoff).await {
                Ok(()) => CallError::Unavailable("the node ended the stream".to_owned()),
                Err(error) => error,
            };
            self.fail_all(&error);
            pause(backoff).await;
            backoff = BACKOFF_MAX.min(backoff * 2);
        }
    }

    async fn connect_and_carry(
        &self,
        dialer: &Dialer,
        name: &str,
        backoff: &mut Duration,
    ) -> Result<(), CallError> {
        let connection = dialer.connect().await?;
        let Lane { mut sender, mut receiver, .. } = Lane::open(&connection, name).await?;
        // Declared last, dropped first.
        let _farewell = Farewell(connection);
        *backoff = BACKOFF_MIN;
        self.carry(&mut sender, &mut receiver).await
    }

    /// Moves requests and replies until the stream ends.
    async fn carry(
        &self,
        sender: &mut LaneSender,
        receiver: &mut LaneReceiver,
    ) -> Result<(), CallError> {
        loop {
            if sender.is_idle() {
                let frames = self.state.lock().queue.take();
                if !frames.is_empty() {
                    sender.queue_frames(frames);
                }
            }
            let busy = !sender.is_idle();
            let mut replies = Vec::new();
            tokio::select! {
                biased;
                written = sender.flush(), if busy => written?,
                going_on = receiver.receive(|correlation, reply| replies.push((correlation, reply)))
                    => {
                    self.answer(replies);
                    if !going_on? {
                        return Ok(());
                    }
                }
                () = self.wake.notified(), if !busy => {}
            }
        }
    }

    fn answer(&self, replies: Vec<(u32, Reply)>) {
        let mut state = self.state.lock();
        for (correlation, reply) in replies {
            // Nobody waits any more where a call ran out of time.
            if let Some(waiting) = state.waiting.remove(&correlation) {
                drop(waiting.send(Ok(reply)));
            }
        }
    }

    fn fail_all(&self, error: &CallError) {
        let waiting = {
            let mut state = self.state.lock();
            drop(state.queue.take());
            std::mem::take(&mut state.waiting)
        };
        for (_, call) in waiting {
            drop(call.send(Err(error.clone())));
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.link.backlog.lock().answer(self.asked);
    }
}

pub(super) fn now() -> Instant {
    #![expect(clippy::disallowed_methods, reason = "how long a call waits is no fact")]
    Instant::now()
}

pub(super) async fn pause(duration: Duration) {
    #![expect(clippy::disallowed_methods, reason = "the next attempt is due by the clock")]
    tokio::time::sleep(duration).await;
}
