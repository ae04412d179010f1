//! What was refused lately, to be explained: rings of fixed size that forget the oldest.
//!
//! ```text
//! request id --hash--> one of 256 parts: mutex | ring of refusals | small ring of who asked too often
//! ```
//!
//! Parts are many, so that threads seldom meet, and small, so that looking through one for an id
//! needs no index. A part grows by chunks: a node that refuses nothing has none. The board's sold-out
//! answers do not come here.
//!
//! **Architecture invariant:** volatile, and bounded: 96 bytes for each entry. Nothing is decided
//! by it.

use parking_lot::Mutex;

use crate::model::{
    AppointmentId, BookingChannel, Command, Operation, Outcome, PatientId, Refusal, RefusedRequest,
    RequestId, RuleWhy, SessionId, Timestamp,
};

/// The newest refusals.
#[derive(Debug)]
pub(super) struct RefusalRing {
    parts: Vec<Mutex<Part>>,
    /// Spreads ids over parts as nobody outside can tell.
    key: u64,
    /// Entries of a part.
    each: usize,
}

#[derive(Debug, Default)]
struct Part {
    kept: Ring,
    /// Who asked too often, apart: a flood of those pushes nothing else out.
    shed: Ring,
}

/// A ring of entries, in chunks that are made when they are first needed.
#[derive(Debug, Default)]
struct Ring {
    chunks: Vec<Vec<Entry>>,
    /// Where the next one goes.
    next: usize,
    /// The request of the last one, so that it need not be looked at.
    last: u128,
}

/// One refusal: 96 bytes.
#[derive(Clone, Copy, Debug)]
struct Entry {
    request: u128,
    /// The patient, or of a request about an appointment that one; 0 where it names neither.
    subject: u128,
    at: Timestamp,
    /// The first session that the request names, 0 where it names none.
    session: u64,
    retry_after_millis: u32,
    outcome: Outcome,
    operation: Operation,
    channel: BookingChannel,
    why: Option<RuleWhy>,
}

const _: () = assert!(size_of::<Entry>() == 96, "a refusal is kept in 96 bytes");

/// Parts of the ring: more than there are threads by far.
const PARTS: usize = 256;

/// Entries of a chunk: 24 KB.
const CHUNK: usize = 256;

/// One of so many entries is for who asked too often.
const SHED_SHARE: usize = 32;

impl RefusalRing {
    /// A ring of about so many entries, at least one for each part; 0 keeps nothing.
    pub(super) fn new(entries: usize, key: u64) -> Self {
        let parts = if entries == 0 { 0 } else { PARTS };
        let each = entries.div_ceil(PARTS);
        Self { parts: (0..parts).map(|_| Mutex::default()).collect(), key, each }
    }

    /// How many it keeps at most.
    pub(super) fn entries(&self) -> usize {
        self.parts.len().saturating_mul(self.each)
    }

    /// Notes a refusal. Those by role, shape or id, and those of a node that is busy, are not kept.
    pub(super) fn note(&self, now: Timestamp, command: &Command, refusal: &Refusal) {
        let is_rate = refusal.outcome == Outcome::RateLimited;
        if refusal.outcome < Outcome::IdReused && !(is_rate && refusal.why.is_some()) {
            return;
        }
        let request = command.request();
        let Some(part) = self.part(request) else { return };
        let (subject, session, channel) = parts_of(command);
        let entry = Entry {
            request: request.0,
            subject,
            at: now,
            session: session.0,
            retry_after_millis: refusal.retry_after_millis,
            outcome: refusal.outcome,
            operation: command.operation(),
            channel,
            why: refusal.why,
        };
        let shed = self.each / SHED_SHARE;
        let mut part = part.lock();
        if is_rate && 0 < shed {
            part.shed.push(entry, shed);
        } else {
            part.kept.push(entry, self.each.saturating_sub(shed));
        }
    }

    /// The newest refusal of a request.
    pub(super) fn find(&self, request: RequestId) -> Option<RefusedRequest> {
        let part = self.part(request)?.lock();
        let all = part.kept.entries().chain(part.shed.entries());
        let own = all.filter(|entry| entry.request == request.0);
        own.max_by_key(|entry| entry.at).map(Entry::told)
    }

    fn part(&self, request: RequestId) -> Option<&Mutex<Part>> {
        let bytes = request.0.to_le_bytes();
        let (low, _) = bytes.split_first_chunk::<8>()?;
        let mixed = (u64::from_le_bytes(*low) ^ self.key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.parts.get(usize::try_from(mixed >> 56).ok()?)
    }
}

impl Ring {
    fn push(&mut self, entry: Entry, most: usize) {
        // Who repeats the same request does not push out others.
        if self.last == entry.request {
            let last = self.next.checked_sub(1).unwrap_or_else(|| most.saturating_sub(1));
            if let Some(known) = self.at(last) {
                *known = entry;
                return;
            }
        }
        self.last = entry.request;
        if let Some(oldest) = self.at(self.next) {
            *oldest = entry;
        } else {
            if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
                let left = most.saturating_sub(self.chunks.len().saturating_mul(CHUNK));
                self.chunks.push(Vec::with_capacity(CHUNK.min(left)));
            }
            if let Some(chunk) = self.chunks.last_mut() {
                chunk.push(entry);
            }
        }
        self.next =
            if self.next.saturating_add(1) < most { self.next.saturating_add(1) } else { 0 };
    }

    fn at(&mut self, index: usize) -> Option<&mut Entry> {
        self.chunks.get_mut(index / CHUNK)?.get_mut(index % CHUNK)
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.chunks.iter().flatten()
    }
}

impl Entry {
    fn told(&self) -> RefusedRequest {
        let is_about_appointment = is_about_appointment(self.operation);
        let (patient, appointment) = match self.subject {
            0 => (None, None),
            subject if is_about_appointment => (None, Some(AppointmentId(subject))),
            subject => (Some(PatientId(subject)), None),
        };
        RefusedRequest {
            at: self.at,
            operation: self.operation,
            outcome: self.outcome,
            retry_after_millis: self.retry_after_millis,
            why: self.why,
            patient,
            appointment,
            session: Some(SessionId(self.session)).filter(|session| session.0 != 0),
            channel: self.channel,
        }
    }
}

/// Whether what is asked for is done to an appointment that exists.
const fn is_about_appointment(operation: Operation) -> bool {
    use Operation as O;
    matches!(
        operation,
        O::Book
            | O::Release
            | O::Cancel
            | O::Arrive
            | O::CheckIn
            | O::Fulfil
            | O::NoShow
            | O::Reschedule
            | O::Order
            | O::Pay
            | O::Refund
            | O::NamePatient
    )
}

/// Whom or what a command is about, the first session that it names, and its channel.
fn parts_of(command: &Command) -> (u128, SessionId, BookingChannel) {
    let no = (SessionId(0), BookingChannel::default());
    let first =
        |claims: &[crate::model::ClaimRequest]| claims.first().map_or(no.0, |it| it.session);
    match command {
        Command::Hold(hold) => {
            (hold.patient.map_or(0, |patient| patient.0), first(&hold.claims), hold.channel)
        }
        Command::Change(change) => (change.appointment.0, no.0, change.channel),
        Command::Reschedule(ask) => (ask.appointment.0, first(&ask.claims), ask.channel),
        Command::AddPlace(add) => (add.patient.0, add.session, add.channel),
        Command::JoinWaitlist(join) => {
            (join.patient.0, join.targets.first().copied().unwrap_or(no.0), join.channel)
        }
        Command::LeaveWaitlist(leave) => (leave.patient.0, no.0, leave.channel),
        Command::OpenSession(open) => (0, open.session.id, no.1),
        Command::SetQuotas(set) => (0, set.session, no.1),
        Command::BlockSession(block) => (0, block.session, no.1),
        Command::Substitute(substitute) => (0, substitute.session, no.1),
        Command::RevealDraw(reveal) => (0, reveal.draw.session, no.1),
        Command::CallNext(call) => (0, call.session, no.1),
        Command::ApplyRules(_) => (0, no.0, no.1),
        Command::Order(order) => (order.appointment.0, no.0, order.channel),
        Command::Pay(pay) => (pay.appointment.0, no.0, pay.channel),
        Command::Refund(refund) => (refund.appointment.0, no.0, no.1),
        Command::NamePatient(name) => (name.appointment.0, no.0, name.channel),
        Command::Restrict(ask) => (ask.patient.0, no.0, no.1),
        Command::Amend(ask) => (ask.patient.0, no.0, no.1),
        Command::Appeal(appeal) => (appeal.patient.0, no.0, appeal.channel),
        Command::MergePatients(ask) => (ask.from.0, no.0, no.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Hold, RuleKey, RuleRef};

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn hold(number: u128) -> Command {
        Command::Hold(Hold {
            channel: BookingChannel::new(3).unwrap(),
            ..Hold::of(AppointmentId(RequestId::from_parts(NOW, number).0), PatientId(7), [])
        })
    }

    fn note(ring: &RefusalRing, number: u128, outcome: Outcome) {
        ring.note(NOW, &hold(number), &outcome.into());
    }

    fn knows(ring: &RefusalRing, number: u128) -> bool {
        ring.find(hold(number).request()).is_some()
    }

    #[test]
    fn a_refusal_is_told_as_it_was_and_the_newest_of_a_request_first() {
        let ring = RefusalRing::new(10_000, 5);
        let why = RuleWhy::of(RuleKey::Limits, RuleRef::default());
        let until = RuleWhy { until: NOW.plus_millis(9), ..why };
        note(&ring, 1, Outcome::SessionBlocked);
        note(&ring, 2, Outcome::SessionBlocked);
        ring.note(NOW.plus_millis(1), &hold(1), &Refusal::by_rule(Outcome::Restricted, NOW, until));
        let expected = RefusedRequest {
            at: NOW.plus_millis(1),
            operation: Operation::Hold,
            outcome: Outcome::Restricted,
            retry_after_millis: 9,
            why: Some(until),
            patient: Some(PatientId(7)),
            appointment: None,
            session: None,
            channel: BookingChannel::new(3).unwrap(),
        };
        assert_eq!(ring.find(hold(1).request()), Some(expected));
        assert!(knows(&ring, 2) && !knows(&ring, 3));
    }

    #[test]
    fn the_newest_are_kept_and_memory_is_bounded() {
        let ring = RefusalRing::new(1 << 16, 5);
        assert_eq!(ring.entries(), 1 << 16);
        for number in 0..1 << 18 {
            note(&ring, number, Outcome::PoolNotFound);
        }
        let chunks =
            |part: &Mutex<Part>| part.lock().kept.chunks.iter().map(Vec::len).sum::<usize>();
        let kept: usize = ring.parts.iter().map(chunks).sum();
        assert!(kept <= 1 << 16, "{kept}");
        let lost = ((1 << 18) - 60_000..1 << 18).filter(|number| !knows(&ring, *number)).count();
        assert!(lost < 600, "{lost} of the last 60,000 are lost");
        assert!((0..1_000).all(|number| !knows(&ring, number)));
    }

    #[test]
    fn who_asks_too_often_or_repeats_one_request_pushes_nobody_out() {
        let ring = RefusalRing::new(256 * 64, 5);
        (0..4_000).for_each(|number| note(&ring, number, Outcome::PoolNotFound));
        let why = RuleWhy::of(RuleKey::Rates, RuleRef::default());
        for number in 0..100_000 {
            ring.note(
                NOW,
                &hold(1 << 40 | number),
                &Refusal::by_rule(Outcome::RateLimited, NOW, why),
            );
            note(&ring, 9_000, Outcome::PoolNotFound);
        }
        assert!((0..4_000).all(|number| knows(&ring, number)));
    }

    #[test]
    fn what_is_refused_by_role_shape_or_load_is_not_kept_and_a_ring_of_none_keeps_nothing() {
        let (ring, none) = (RefusalRing::new(256, 5), RefusalRing::new(0, 5));
        for (number, outcome) in (0..).zip(Outcome::ALL) {
            note(&none, number, *outcome);
            note(&ring, number, *outcome);
            assert_eq!(knows(&ring, number), Outcome::IdReused <= *outcome, "{outcome:?}");
            assert!(!knows(&none, number));
        }
    }
}
