//! Waiting for the journal.

use std::future::poll_fn;
use std::task::{Context, Poll};

use super::engine::Engine;
use crate::model::Sequence;

/// The journal has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failed;

/// One task's view of the durable horizon. It registers once per advance, however often it is
/// polled in between.
#[derive(Debug, Default)]
pub(super) struct Horizon {
    /// The horizon at which the task's waker was registered.
    registered: Option<Sequence>,
}

impl Horizon {
    /// Waits until `sequence` is durable. Always polled by the same task.
    ///
    /// # Errors
    ///
    /// [`Failed`] where that will not be.
    pub(super) async fn reach(
        &mut self,
        engine: &dyn Engine,
        sequence: Sequence,
    ) -> Result<(), Failed> {
        poll_fn(|context| self.poll(context, engine, sequence)).await
    }

    fn poll(
        &mut self,
        context: &mut Context<'_>,
        engine: &dyn Engine,
        sequence: Sequence,
    ) -> Poll<Result<(), Failed>> {
        loop {
            let durable = engine.durable();
            if sequence <= durable {
                return Poll::Ready(Ok(()));
            }
            if engine.is_failed() {
                return Poll::Ready(Err(Failed));
            }
            if self.registered == Some(durable) {
                return Poll::Pending;
            }
            self.registered = Some(durable);
            engine.register(context.waker());
            // Look again: the horizon may have moved, or the journal failed, before the waker was
            // in place. Without a move the next round says so and waits.
            if engine.durable() == durable && !engine.is_failed() {
                return Poll::Pending;
            }
        }
    }
}
