//! What the clients know: every request, what was answered, and what must be true after a kill.
//!
//! ```text
//! hold, book, release, cancel --> told (answered) | doubt (sent, and the node died)
//! after the restart: get, the doubtful again, the told again --> violations
//! ```
//!
//! **Architecture invariant:** it judges by answers only. It shares no state with the node.

use std::collections::BTreeMap;
use std::time::Duration;

use haoyuan::client::{CallError, Client, ids};
use haoyuan::model::{
    Action, Appointment, AppointmentId, AppointmentStatus, BookingChannel, Change, ClaimRequest,
    Claims, Hold, Outcome, PatientId, PaymentRef, Receipt, SessionId, SlotChoice, Ttl,
};
use tokio::sync::watch;

use crate::clock;
use crate::random::Random;

/// A client that does one thing after the other, and forgets nothing.
#[derive(Debug)]
pub(super) struct Teller {
    random: Random,
    entries: Vec<Entry>,
    /// Holds that were refused: there must be no appointment.
    refused: Vec<AppointmentId>,
    pub(super) counts: Counts,
}

/// How often what happened.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) answered: u64,
    pub(super) refused: u64,
    pub(super) in_doubt: u64,
    /// Of those in doubt: the node had done them.
    pub(super) in_doubt_done: u64,
    pub(super) checked: u64,
    pub(super) retried: u64,
}

#[derive(Debug)]
struct Entry {
    hold: Hold,
    told: Option<Told>,
    /// The last change that was answered with success.
    changed: Option<Change>,
    doubt: Option<Doubt>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    status: AppointmentStatus,
    claims: Claims,
    until: u64,
}

#[derive(Clone, Copy, Debug)]
enum Doubt {
    Hold,
    Change(Change),
}

/// Whose requests they are, and what goes on besides.
pub(super) struct Round<'a> {
    pub(super) client: &'a Client,
    pub(super) sessions: &'a [SessionId],
    /// Changes when the node is dead.
    pub(super) dead: watch::Receiver<bool>,
    /// Rings for each answer.
    pub(super) acks: &'a watch::Sender<u64>,
}

type Fault = String;

impl Teller {
    /// One without a past.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            entries: Vec::new(),
            refused: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// Asks until the node is dead. What the node said that it must not say is a fault.
    pub(super) async fn ask(&mut self, mut round: Round<'_>) -> Result<(), Fault> {
        loop {
            let index = self.next_entry(round.sessions);
            let entry = &mut self.entries[index];
            let request = entry.next_request(&mut self.random);
            let answered = tokio::select! {
                biased;
                _ = round.dead.changed() => None,
                answered = send(round.client, &entry.hold, request) => Some(answered),
            };
            match answered {
                Some(Ok(receipt)) => {
                    self.counts.answered += 1;
                    entry.learn(request, receipt);
                    round.acks.send_modify(|acks| *acks += 1);
                }
                Some(Err(CallError::Refused(refusal))) => {
                    self.counts.refused += 1;
                    self.refuse(index, request, refusal.outcome)?;
                }
                Some(Err(CallError::Unavailable(_))) | None => {
                    entry.doubt = Some(request);
                    self.counts.in_doubt += 1;
                    return Ok(());
                }
                Some(Err(other)) => return Err(format!("a request was answered with {other}")),
            }
        }
    }

    /// An entry to do something with; a new one half of the time.
    fn next_entry(&mut self, sessions: &[SessionId]) -> usize {
        let count = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        if 0 < count && self.random.below(100) < 50 {
            let index = self.random.below(count) as usize;
            if self.entries[index].is_live() {
                return index;
            }
        }
        let many = u32::try_from(sessions.len()).unwrap_or(u32::MAX);
        let session = sessions[self.random.below(many) as usize];
        let millis = if self.random.below(100) < 4 { SHORT_MILLIS } else { LONG_MILLIS };
        self.entries.push(Entry::new(session, millis));
        self.entries.len() - 1
    }

    fn refuse(&mut self, index: usize, request: Doubt, outcome: Outcome) -> Result<(), Fault> {
        let entry = &self.entries[index];
        match (request, outcome) {
            (_, Outcome::Overloaded | Outcome::NotReady) => {}
            (Doubt::Hold, Outcome::SoldOut) => self.refused.push(entry.hold.appointment),
            (Doubt::Change(_), Outcome::HoldExpired | Outcome::WrongStatus)
                if entry.may_have_expired() => {}
            (request, outcome) => {
                return Err(format!("{request:?} of {entry:?} was refused: {outcome:?}"));
            }
        }
        if entry.told.is_none() {
            self.entries.swap_remove(index);
        }
        Ok(())
    }

    /// Compares the node with what it said before it died.
    pub(super) async fn verify(&mut self, client: &Client) -> Result<(), Fault> {
        for id in self.refused.drain(..) {
            match get(client, id).await? {
                None => self.counts.checked += 1,
                Some(found) => return Err(format!("{found:?} was refused, and is there")),
            }
        }
        let mut index = 0;
        while index < self.entries.len() {
            let is_sampled = self.random.below(4) == 0;
            let entry = &mut self.entries[index];
            let found = get(client, entry.hold.appointment).await?;
            entry.compare(found.as_ref())?;
            self.counts.checked += 1;
            if let Some(doubt) = entry.doubt.take() {
                self.counts.in_doubt_done += u64::from(entry.is_done(doubt, found.as_ref()));
                if !entry.settle(client, doubt, found.as_ref()).await? {
                    self.entries.swap_remove(index);
                    continue;
                }
            } else if is_sampled {
                entry.ask_again(client).await?;
                self.counts.retried += 1;
            }
            index += 1;
        }
        Ok(())
    }

    /// Adds the places that are surely taken.
    pub(super) fn add_taken(&self, taken: &mut BTreeMap<(SessionId, u16), u64>) {
        let sure = self.entries.iter().filter(|entry| !entry.is_short());
        for told in sure.filter_map(|entry| entry.told.as_ref()) {
            for claim in told.claims.iter().filter(|_| told.status.takes_places()) {
                *taken.entry((claim.session, claim.slot.0)).or_default() += 1;
            }
        }
    }
}

impl Entry {
    fn new(session: SessionId, ttl_millis: u32) -> Self {
        let appointment = ids::new_appointment_id(clock::wall());
        let claim = ClaimRequest { session, count: 1, slots: SlotChoice::Any };
        let hold = Hold {
            ttl: Ttl::from_millis(ttl_millis).unwrap_or(Ttl::DEFAULT),
            ..Hold::of(appointment, PatientId(appointment.0), [claim])
        };
        Self { hold, told: None, changed: None, doubt: None }
    }

    fn is_live(&self) -> bool {
        self.told.as_ref().is_some_and(|told| told.status.is_live())
    }

    fn is_short(&self) -> bool {
        self.hold.ttl.as_millis() == SHORT_MILLIS
    }

    /// Whether its deadline has passed, as far as we know.
    fn may_have_expired(&self) -> bool {
        let told = self.told.as_ref();
        self.is_short()
            && told.is_none_or(|told| {
                told.status == AppointmentStatus::Pending
                    && told.until <= clock::wall().as_millis() + CLOCK_MILLIS
            })
    }

    fn next_request(&self, random: &mut Random) -> Doubt {
        let Some(told) = &self.told else { return Doubt::Hold };
        let action = match told.status {
            AppointmentStatus::Pending if random.below(100) < 70 => {
                Action::Book { payment: PaymentRef(u128::from(random.next())) }
            }
            AppointmentStatus::Pending => Action::Release,
            _ => Action::Cancel,
        };
        Doubt::Change(Change {
            request: ids::new_request_id(clock::wall()),
            appointment: self.hold.appointment,
            patient: self.hold.patient,
            channel: self.hold.channel,
            action,
        })
    }

    fn learn(&mut self, request: Doubt, receipt: Receipt) {
        let Some(status) = receipt.status else { return };
        let until = receipt.until.as_millis();
        self.told = Some(Told { status, claims: receipt.claims, until });
        if let Doubt::Change(change) = request {
            self.changed = Some(change);
        }
    }

    /// What the appointment may be: what was told, what the doubtful request makes of it, and the
    /// end of a hold whose time has come.
    fn compare(&self, found: Option<&Appointment>) -> Result<(), Fault> {
        let Some(told) = &self.told else { return Ok(()) };
        let Some(found) = found else {
            return Err(format!("LOST: {:?} was told {told:?}", self.hold.appointment));
        };
        let doubted = match self.doubt {
            Some(Doubt::Change(change)) => told.status.after(change.action.event()),
            _ => None,
        };
        let expired = self.may_have_expired() && found.status == AppointmentStatus::Cancelled;
        if found.status != told.status && Some(found.status) != doubted && !expired {
            return Err(format!("LOST: {:?} was told {told:?}, found {found:?}", found.id));
        }
        if found.claims != told.claims {
            return Err(format!("MOVED: {:?} was told {told:?}, found {found:?}", found.id));
        }
        Ok(())
    }

    /// Whether the node had done what was in doubt.
    fn is_done(&self, doubt: Doubt, found: Option<&Appointment>) -> bool {
        match doubt {
            Doubt::Hold => found.is_some(),
            Doubt::Change(_) => found.map(|it| it.status) != self.told.as_ref().map(|it| it.status),
        }
    }

    /// Asks again for what was in doubt, twice. `false`, if there is no such appointment now.
    async fn settle(
        &mut self,
        client: &Client,
        doubt: Doubt,
        found: Option<&Appointment>,
    ) -> Result<bool, Fault> {
        let first = send(client, &self.hold, doubt).await;
        let again = send(client, &self.hold, doubt).await;
        match (first, again) {
            (Ok(first), Ok(again)) => {
                let is_same = (first.status, &first.claims) == (again.status, &again.claims);
                let is_short = self.may_have_expired() || self.is_short();
                if !(is_short || is_same && again.retried) {
                    return Err(format!("RETRY DIFFERS: {doubt:?}: {first:?}, then {again:?}"));
                }
                let is_kept = found.is_none_or(|found| found.claims == again.claims);
                if matches!(doubt, Doubt::Hold) && found.is_some() && !(first.retried && is_kept) {
                    return Err(format!("TWICE: {found:?}, then {first:?}"));
                }
                self.learn(doubt, again);
                Ok(true)
            }
            (Err(CallError::Refused(first)), Err(CallError::Refused(again)))
                if first.outcome == again.outcome =>
            {
                match first.outcome {
                    Outcome::SoldOut if found.is_none() => Ok(false),
                    Outcome::HoldExpired | Outcome::WrongStatus if self.is_short() => Ok(true),
                    other => Err(format!("{doubt:?} of {self:?}, asked again, is {other:?}")),
                }
            }
            // Refused for want of a place is not for ever: another client gave one back meanwhile.
            (Err(CallError::Refused(first)), Ok(again))
                if first.outcome == Outcome::SoldOut && found.is_none() =>
            {
                self.learn(doubt, again);
                Ok(true)
            }
            (first, again) if self.is_short() => {
                let is_told = first.is_ok() || again.is_ok() || self.told.is_some();
                Ok(is_told)
            }
            (first, again) => Err(format!("RETRY DIFFERS: {doubt:?}: {first:?}, then {again:?}")),
        }
    }

    /// Asks again for what was answered before: the answer is where the appointment stands.
    async fn ask_again(&self, client: &Client) -> Result<(), Fault> {
        let Some(told) = self.told.as_ref().filter(|_| !self.is_short()) else { return Ok(()) };
        let changed = self.changed.map(Doubt::Change);
        for request in std::iter::once(Doubt::Hold).chain(changed) {
            let answer = send(client, &self.hold, request).await;
            let is_same = answer.as_ref().is_ok_and(|receipt| {
                receipt.retried
                    && receipt.status == Some(told.status)
                    && receipt.claims == told.claims
                    && receipt.until.as_millis() == told.until
            });
            if !is_same {
                return Err(format!("RETRY DIFFERS: {request:?} was {told:?}, is {answer:?}"));
            }
        }
        Ok(())
    }
}

async fn send(client: &Client, hold: &Hold, request: Doubt) -> Result<Receipt, CallError> {
    match request {
        Doubt::Hold => client.hold(hold.clone()).await,
        Doubt::Change(change) => client.change(change).await,
    }
}

async fn get(client: &Client, id: AppointmentId) -> Result<Option<Appointment>, Fault> {
    match client.get(id, None, BookingChannel::default()).await {
        Ok(found) => Ok(Some(found)),
        Err(CallError::Refused(refusal)) if refusal.outcome == Outcome::AppointmentNotFound => {
            Ok(None)
        }
        Err(other) => Err(format!("{id:?} cannot be read: {other}")),
    }
}

/// Holds that come to their end while the node is dead or serves.
const SHORT_MILLIS: u32 = 1_500;
/// Holds that no run outlives.
const LONG_MILLIS: u32 = 6 * 3_600_000;
/// The node's clock and ours are one; a slew of 500 ppm makes less than this.
const CLOCK_MILLIS: u64 = 50;

/// How long a call may take before the node counts as dead.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;
    use haoyuan::model::{
        Cause, Claim, OrganizationId, PatientClass, PoolIndex, RulesVersion, Sharing, SlotIndex,
        Timestamp,
    };

    fn entry(doubt: Option<Action>) -> Entry {
        let mut entry = Entry::new(SessionId(1), LONG_MILLIS);
        let claims = std::iter::once(claim(0)).collect();
        entry.told = Some(Told { status: AppointmentStatus::Booked, claims, until: 9 });
        entry.doubt = doubt.map(|action| {
            Doubt::Change(Change {
                request: ids::new_request_id(clock::wall()),
                appointment: entry.hold.appointment,
                patient: None,
                channel: BookingChannel::default(),
                action,
            })
        });
        entry
    }

    fn claim(slot: u16) -> Claim {
        Claim { session: SessionId(1), slot: SlotIndex(slot), count: 1, pool: PoolIndex(0) }
    }

    fn found(entry: &Entry, status: AppointmentStatus, slot: u16) -> Appointment {
        Appointment {
            id: entry.hold.appointment,
            patient: PatientId(1),
            account: None,
            organization: OrganizationId(1),
            channel: BookingChannel::default(),
            class: PatientClass::Outpatient,
            sharing: Sharing::Cancel,
            status,
            cause: Cause::None,
            until: Timestamp::from_millis(9),
            fingerprint: 0,
            payment: None,
            rules: RulesVersion(0),
            claims: std::iter::once(claim(slot)).collect(),
        }
    }

    #[test]
    fn what_was_told_and_is_not_so_is_a_fault() {
        use AppointmentStatus as S;
        for (doubt, status, slot, is_fault) in [
            (None, Some(S::Booked), 0, false),
            (None, None, 0, true),
            (None, Some(S::Pending), 0, true),
            (None, Some(S::Cancelled), 0, true),
            (None, Some(S::Booked), 1, true),
            // A cancellation that was never answered may have been done, or not.
            (Some(Action::Cancel), Some(S::Cancelled), 0, false),
            (Some(Action::Cancel), Some(S::Booked), 0, false),
            (Some(Action::Cancel), Some(S::Arrived), 0, true),
            (Some(Action::Cancel), None, 0, true),
        ] {
            let entry = entry(doubt);
            let found = status.map(|status| found(&entry, status, slot));
            let compared = entry.compare(found.as_ref());
            assert_eq!(compared.is_err(), is_fault, "{doubt:?} {status:?} {slot}: {compared:?}");
        }
    }
}
