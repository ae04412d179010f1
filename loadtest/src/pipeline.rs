//! Many requests over one lane, a window of them under way: for opening sessions and reading them.
//!
//! **Architecture invariant:** reads while it writes, so that two full windows cannot block each
//! other.

use haoyuan::client::Lane;
use haoyuan::protocol::{Reply, Request};

use crate::Failure;

/// Requests under way.
const WINDOW: u32 = 2_048;

/// Sends `count` requests that `make` makes and gives each reply to `take`.
pub(crate) async fn pipeline(
    lane: &mut Lane,
    count: u32,
    mut make: impl FnMut(u32) -> Request,
    mut take: impl FnMut(u32, Reply) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let (mut sent, mut answered) = (0, 0);
    while answered < count {
        while sent < count && sent - answered < WINDOW {
            lane.sender.queue(sent, &make(sent));
            sent += 1;
        }
        let busy = !lane.sender.is_idle();
        let mut result = Ok(());
        tokio::select! {
            biased;
            flushed = lane.sender.flush(), if busy => flushed?,
            going_on = lane.receiver.receive(|correlation, reply| {
                answered += 1;
                if result.is_ok() {
                    result = take(correlation, reply);
                }
            }) => if !going_on? {
                return Err("the node ended the stream".into());
            },
        }
        result?;
    }
    Ok(())
}
