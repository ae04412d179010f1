//! Where a stream's requests are decided and their answers sorted: to be said now, or later.
//!
//! **Architecture invariant:** no await. What this touches belongs to one stream.

use super::Shared;
use super::metrics::Tally;
use super::outbox::Outbox;
use super::push::{self, Push};
use crate::codec::blank_hold;
use crate::model::{
    Actor, Command, Operation, OperationKind, Outcome, Query, Refusal, Sequence, Timestamp,
};
use crate::protocol::{
    Reply, Request, RequestFault, RequestParts, split_request, write_receipt, write_reply,
};
use crate::service::Meter;

pub(super) struct Desk<'a> {
    pub(super) outbox: Outbox,
    /// What the stream turns into once everything before is answered.
    pub(super) push: Option<Push>,
    pub(super) tally: Tally,
    pub(super) actor: &'a Actor,
    pub(super) shared: &'a Shared,
    /// Whether the client reads why a rule refuses.
    pub(super) says_why: bool,
    /// The hold that each hold is read into: half a kilobyte that need not be moved.
    hold: Option<Box<Command>>,
    /// What the stream has asked for lately.
    meter: Meter,
}

/// When a batch was read: the time that its commands are told, and the horizon then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now: Timestamp,
    pub(super) durable: Sequence,
    /// Whether it may have waited in the node for too long.
    pub(super) is_late: bool,
}

/// An item that is too short to be answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct TooShort;

impl<'a> Desk<'a> {
    pub(super) fn new(actor: &'a Actor, shared: &'a Shared, meter: Meter) -> Self {
        let (outbox, tally) = (Outbox::default(), Tally::default());
        Self { outbox, push: None, tally, actor, shared, says_why: false, hold: None, meter }
    }

    /// Answers the request that fills an item.
    ///
    /// # Errors
    ///
    /// [`TooShort`]; everything else has an answer.
    pub(super) fn answer(&mut self, moment: Moment, item: &[u8]) -> Result<(), TooShort> {
        let parts = match split_request(item) {
            Ok(parts) => parts,
            Err(Some(RequestFault { correlation, outcome })) => {
                self.refuse(correlation, outcome.into());
                return Ok(());
            }
            Err(None) => return Err(TooShort),
        };
        if self.decide(moment, &parts).is_none() {
            self.refuse(parts.correlation, parts.malformed().outcome.into());
        }
        Ok(())
    }

    /// `None` where the fields are not well formed.
    fn decide(&mut self, moment: Moment, parts: &RequestParts<'_>) -> Option<()> {
        let correlation = parts.correlation;
        match parts.operation {
            Operation::Hold => {
                let blank = || Box::new(Command::Hold(blank_hold()));
                let mut hold = self.hold.take().unwrap_or_else(blank);
                let read = parts.hold_into(&mut hold);
                if read.is_some() {
                    self.command(moment, correlation, &hold);
                }
                self.hold = Some(hold);
                read
            }
            operation => self.decide_other(moment, operation.kind(), parts),
        }
    }

    /// Whatever is no hold. `None` where the fields are not well formed.
    fn decide_other(
        &mut self,
        moment: Moment,
        kind: OperationKind,
        parts: &RequestParts<'_>,
    ) -> Option<()> {
        let correlation = parts.correlation;
        match kind {
            OperationKind::Command => self.command(moment, correlation, &parts.command()?),
            OperationKind::Query => self.query(moment, correlation, &parts.query()?),
            OperationKind::Push => self.turn(correlation, &parts.push()?),
        }
        Some(())
    }

    fn command(&mut self, moment: Moment, correlation: u32, command: &Command) {
        let arrival = (moment.now, moment.is_late);
        let engine = &self.shared.engine;
        let mut answer = engine.call_metered(arrival, self.actor, &mut self.meter, command);
        self.tally.count(match &answer.result {
            Ok(receipt) if receipt.retried => Outcome::AlreadyDone,
            Ok(_) => Outcome::Done,
            Err(refusal) => refusal.outcome,
        });
        if let Err(refusal) = &mut answer.result {
            *refusal = self.worded(*refusal);
        }
        self.say(moment, answer.after, |buffer| write_receipt(correlation, &answer.result, buffer));
    }

    fn query(&mut self, moment: Moment, correlation: u32, query: &Query) {
        let answer =
            self.shared.engine.read_metered(moment.now, self.actor, &mut self.meter, query);
        let refused = |refusal| Reply::Refused(self.worded(refusal));
        let reply = answer.result.map_or_else(refused, Reply::Reading);
        self.tally.count(reply.outcome());
        self.say(moment, answer.after, |buffer| write_reply(correlation, &reply, buffer));
    }

    /// Turns the stream into one that pushes, if the client may have it.
    fn turn(&mut self, correlation: u32, request: &Request) {
        match push::permitted(self.actor, request.operation()) {
            Err(outcome) => self.refuse(correlation, outcome.into()),
            Ok(()) => self.push = Some(Push::new(correlation, request)),
        }
    }

    fn say(&mut self, moment: Moment, after: Sequence, write: impl FnOnce(&mut Vec<u8>)) {
        if after <= moment.durable {
            self.outbox.say(write);
        } else {
            self.outbox.say_after(after, write);
        }
    }

    /// A refusal in the words of the version that the client speaks.
    fn worded(&self, refusal: Refusal) -> Refusal {
        Refusal { why: refusal.why.filter(|_| self.says_why), ..refusal }
    }

    fn refuse(&mut self, correlation: u32, refusal: Refusal) {
        self.tally.count(refusal.outcome);
        self.outbox.say(|buffer| write_reply(correlation, &Reply::Refused(refusal), buffer));
    }

    /// Adds a reply of a push stream, which has no batch.
    pub(super) fn reply(&mut self, correlation: u32, reply: &Reply) {
        self.tally.count(reply.outcome());
        self.outbox.say(|buffer| write_reply(correlation, reply, buffer));
        self.end_batch();
    }

    /// Adds what was counted to the node's metrics.
    pub(super) fn end_batch(&mut self) {
        self.shared.metrics.add(&mut self.tally);
    }
}
