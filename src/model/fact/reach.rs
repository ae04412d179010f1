//! What a fact touches: the request that it remembers, its appointment, its patient, and the places
//! that it gives back and takes.
//!
//! **Architecture invariant:** read off the fact alone. Live and replayed, it reaches the same shards.

use super::{Booked, Called, Ended, Fact, Held, Left, Progressed, Queued, Settled};
use crate::model::{
    AppointmentId, Claim, PatientId, PatientsMerged, RequestId, RulesVersion, SessionId, Timestamp,
};

impl Fact {
    /// The request whose id and fingerprint are remembered, if the fact is not a hold: a hold's
    /// appointment remembers its own.
    pub fn request(&self) -> Option<(RequestId, u64)> {
        match self {
            Self::SessionOpened(fact) => Some((fact.request, fact.fingerprint)),
            Self::Booked(fact) if fact.request == fact.appointment.request() => None,
            Self::Booked(Booked { request, fingerprint, .. })
            | Self::Progressed(Progressed { request, fingerprint, .. })
            | Self::Settled(Settled { request, fingerprint, .. })
            | Self::Queued(Queued { request, fingerprint, .. })
            | Self::Left(Left { request, fingerprint, .. })
            | Self::Called(Called { request, fingerprint, .. }) => Some((*request, *fingerprint)),
            Self::Ended(fact) => fact.request,
            Self::Freed(fact) => fact.ended.request,
            Self::EntryEnded(fact) => fact.request,
            Self::BeaconGiven(fact) => Some((fact.request, fact.fingerprint)),
            Self::QuotasSet(fact) => Some((fact.request, fact.fingerprint)),
            Self::Rescheduled(fact) => Some((fact.request, fact.fingerprint)),
            Self::SessionBlocked(fact) => Some((fact.block.request, fact.fingerprint)),
            Self::Substituted(fact) => Some((fact.substitute.request, fact.fingerprint)),
            Self::RulesApplied(fact) => Some((fact.request, fact.fingerprint)),
            Self::Restricted(fact) => Some((fact.request, fact.fingerprint)),
            Self::Amended(fact) => Some((fact.step.request, fact.fingerprint)),
            Self::PatientsMerged(fact) => Some((fact.request, fact.fingerprint)),
            Self::Held(_)
            | Self::Declined(_)
            | Self::Entered(_)
            | Self::DrawRevealed(_)
            | Self::DrawWon(_)
            | Self::Forgotten(_)
            | Self::Reclaimed(_)
            | Self::Returned(_)
            | Self::Swept(_)
            | Self::Displaced(_)
            | Self::PlaceAdded(_)
            | Self::Offered(_)
            | Self::PlaceOffered(_)
            | Self::Struck(_)
            | Self::Barred(_)
            | Self::Probed(_)
            | Self::Recorded(_)
            | Self::LeftLate(_)
            | Self::Phoned(_)
            | Self::DecidedUnder(_)
            | Self::Cooled(_)
            | Self::Bound(_)
            | Self::WaitDrawn(_) => None,
            Self::WaitJoined(fact) => Some((fact.entry.entry, fact.fingerprint?)),
            Self::WaitLeft(fact) => fact.request,
            Self::Billed(fact) => fact.request,
            Self::Ordered(fact) => Some((fact.request, fact.fingerprint)),
            Self::PatientNamed(fact) => Some((fact.request, fact.fingerprint)),
        }
    }

    /// An appointment in whose home the fact is written. All of a `Forgotten` have the same home.
    pub fn appointment(&self) -> Option<AppointmentId> {
        match self {
            Self::SessionOpened(_)
            | Self::QuotasSet(_)
            | Self::Reclaimed(_)
            | Self::Called(_)
            | Self::Returned(_)
            | Self::Swept(_)
            | Self::SessionBlocked(_)
            | Self::Substituted(_)
            | Self::BeaconGiven(_)
            | Self::DrawRevealed(_)
            | Self::WaitJoined(_)
            | Self::WaitLeft(_)
            | Self::RulesApplied(_)
            | Self::Struck(_)
            | Self::Barred(_)
            | Self::Probed(_)
            | Self::Restricted(_)
            | Self::Amended(_)
            | Self::PatientsMerged(_)
            | Self::Recorded(_)
            | Self::DecidedUnder(_)
            | Self::Cooled(_)
            | Self::Bound(_)
            | Self::WaitDrawn(_) => None,
            Self::Freed(fact) => Some(fact.ended.appointment),
            Self::Entered(fact) => Some(fact.appointment),
            Self::DrawWon(fact) => Some(fact.appointment),
            Self::EntryEnded(fact) => Some(fact.appointment),
            Self::PlaceOffered(fact) => Some(fact.held.appointment),
            Self::Held(fact) => Some(fact.appointment),
            Self::Displaced(fact) => Some(fact.appointment),
            Self::PlaceAdded(fact) => Some(fact.appointment),
            Self::Offered(fact) => Some(fact.held.appointment),
            Self::Booked(fact) => Some(fact.appointment),
            Self::Ended(fact) => Some(fact.appointment),
            Self::Progressed(fact) => Some(fact.appointment),
            Self::Settled(fact) => Some(fact.appointment),
            Self::Queued(fact) => Some(fact.appointment),
            Self::Left(fact) => Some(fact.appointment),
            Self::Declined(fact) => Some(fact.appointment),
            Self::Rescheduled(fact) => Some(fact.appointment),
            Self::Forgotten(fact) => fact.appointments.first().copied(),
            Self::LeftLate(fact) => Some(fact.appointment),
            Self::Billed(fact) => Some(fact.bill.appointment),
            Self::Ordered(fact) => Some(fact.appointment),
            Self::PatientNamed(fact) => Some(fact.appointment),
            Self::Phoned(fact) => Some(fact.appointment),
        }
    }

    /// The patient whose ledger the fact changes.
    pub fn patient(&self) -> Option<PatientId> {
        match self {
            Self::Held(fact) => Some(fact.patient),
            Self::Ended(fact) => Some(fact.patient),
            Self::Freed(fact) => Some(fact.ended.patient),
            Self::WaitJoined(fact) => Some(fact.entry.patient),
            Self::Offered(fact) => Some(fact.held.patient),
            Self::WaitLeft(fact) => Some(fact.patient),
            Self::Settled(fact) => Some(fact.patient),
            Self::Entered(fact) => Some(fact.patient),
            Self::EntryEnded(fact) => Some(fact.patient),
            Self::Rescheduled(fact) => Some(fact.patient),
            Self::PlaceAdded(fact) => Some(fact.patient),
            Self::PlaceOffered(fact) => Some(fact.held.patient),
            Self::Left(fact) => Some(fact.patient),
            Self::Struck(fact) => Some(fact.patient),
            Self::Barred(fact) => Some(fact.patient),
            Self::Probed(fact) => Some(fact.patient),
            Self::Restricted(fact) => Some(fact.patient),
            Self::Amended(fact) => Some(fact.patient),
            Self::PatientsMerged(fact) => Some(fact.into),
            Self::Recorded(fact) => Some(fact.patient),
            Self::LeftLate(fact) => Some(fact.patient),
            Self::Cooled(fact) => Some(fact.patient),
            Self::PatientNamed(fact) => Some(fact.patient),
            Self::Bound(fact) => Some(fact.ledger()),
            Self::Billed(_)
            | Self::Ordered(_)
            | Self::Phoned(_)
            | Self::DecidedUnder(_)
            | Self::RulesApplied(_)
            | Self::Queued(_)
            | Self::Called(_)
            | Self::Swept(_)
            | Self::BeaconGiven(_)
            | Self::DrawRevealed(_)
            | Self::DrawWon(_)
            | Self::SessionBlocked(_)
            | Self::Displaced(_)
            | Self::Substituted(_)
            | Self::SessionOpened(_)
            | Self::Booked(_)
            | Self::Progressed(_)
            | Self::Declined(_)
            | Self::Forgotten(_)
            | Self::QuotasSet(_)
            | Self::Reclaimed(_)
            | Self::Returned(_)
            | Self::WaitDrawn(_) => None,
        }
    }

    /// Whose ledger the fact takes something out of besides: an account's, of a hold whose patient is
    /// named.
    pub fn holder(&self) -> Option<PatientId> {
        match self {
            Self::PatientNamed(fact) => Some(fact.account.holder()),
            _ => None,
        }
    }

    /// What another ledger than the patient's gives up: the fact is of two keys of one person.
    pub fn merged(&self) -> Option<&PatientsMerged> {
        match self {
            Self::PatientsMerged(fact) => Some(fact),
            _ => None,
        }
    }

    /// The session that the fact changes by itself, not through claims.
    pub fn session(&self) -> Option<SessionId> {
        match self {
            Self::SessionOpened(fact) => Some(fact.session.id),
            Self::QuotasSet(fact) => Some(fact.session),
            Self::Reclaimed(fact) => Some(fact.session),
            Self::Entered(fact) => Some(fact.draw.session),
            Self::BeaconGiven(fact) => Some(fact.draw.session),
            Self::DrawRevealed(fact) => Some(fact.draw.session),
            Self::DrawWon(fact) => Some(fact.claim.session),
            Self::EntryEnded(fact) => Some(fact.draw.session),
            Self::Returned(fact) => Some(fact.session),
            Self::Swept(session) => Some(*session),
            Self::SessionBlocked(fact) => Some(fact.block.session),
            Self::Substituted(fact) => Some(fact.substitute.session),
            Self::WaitDrawn(fact) => Some(fact.session),
            Self::Queued(fact) => Some(fact.session),
            Self::Left(fact) => Some(fact.session),
            Self::Called(fact) => Some(fact.session),
            Self::DecidedUnder(_)
            | Self::RulesApplied(_)
            | Self::Struck(_)
            | Self::Barred(_)
            | Self::Probed(_)
            | Self::Restricted(_)
            | Self::Amended(_)
            | Self::PatientsMerged(_)
            | Self::Recorded(_)
            | Self::LeftLate(_)
            | Self::Cooled(_)
            | Self::Billed(_)
            | Self::Ordered(_)
            | Self::PatientNamed(_)
            | Self::Phoned(_)
            | Self::Bound(_)
            | Self::Displaced(_)
            | Self::PlaceAdded(_)
            | Self::Offered(_)
            | Self::WaitJoined(_)
            | Self::PlaceOffered(_)
            | Self::WaitLeft(_)
            | Self::Held(_)
            | Self::Freed(_)
            | Self::Booked(_)
            | Self::Ended(_)
            | Self::Progressed(_)
            | Self::Settled(_)
            | Self::Declined(_)
            | Self::Forgotten(_)
            | Self::Rescheduled(_) => None,
        }
    }

    /// The places that the fact gives back. They come back before it takes others.
    pub fn freed(&self) -> &[Claim] {
        match self {
            Self::Ended(fact) => &fact.claims,
            Self::Freed(fact) => &fact.ended.claims,
            Self::Rescheduled(fact) => &fact.from,
            Self::Displaced(fact) => &fact.claims,
            Self::Entered(_)
            | Self::BeaconGiven(_)
            | Self::DrawRevealed(_)
            | Self::EntryEnded(_)
            | Self::DrawWon(_)
            | Self::Swept(_)
            | Self::SessionBlocked(_)
            | Self::Substituted(_)
            | Self::PlaceAdded(_)
            | Self::Offered(_)
            | Self::Held(_)
            | Self::SessionOpened(_)
            | Self::Booked(_)
            | Self::Progressed(_)
            | Self::Settled(_)
            | Self::Declined(_)
            | Self::Forgotten(_)
            | Self::QuotasSet(_)
            | Self::Reclaimed(_)
            | Self::Queued(_)
            | Self::Left(_)
            | Self::Called(_)
            | Self::Returned(_)
            | Self::WaitJoined(_)
            | Self::PlaceOffered(_)
            | Self::WaitLeft(_)
            | Self::RulesApplied(_)
            | Self::Struck(_)
            | Self::Barred(_)
            | Self::Probed(_)
            | Self::Restricted(_)
            | Self::Amended(_)
            | Self::PatientsMerged(_)
            | Self::Recorded(_)
            | Self::LeftLate(_)
            | Self::Cooled(_)
            | Self::Billed(_)
            | Self::Ordered(_)
            | Self::PatientNamed(_)
            | Self::Phoned(_)
            | Self::DecidedUnder(_)
            | Self::Bound(_)
            | Self::WaitDrawn(_) => &[],
        }
    }

    /// When the places of one of the freed claims come back: zero at once, [`Timestamp::MAX`] never.
    pub fn back(&self, index: usize) -> Timestamp {
        match self {
            Self::Freed(fact) => fact.back.get(index).copied().unwrap_or_default(),
            Self::Rescheduled(fact) => fact.back.get(index).copied().unwrap_or_default(),
            _ => Timestamp::default(),
        }
    }

    /// The places that the fact takes; those of an offer were on their way back.
    pub fn taken(&self) -> &[Claim] {
        match self {
            Self::Held(fact) => &fact.claims,
            Self::Rescheduled(fact) => &fact.to,
            Self::PlaceAdded(fact) => &fact.claims,
            Self::Offered(fact) => &fact.held.claims,
            Self::PlaceOffered(fact) => &fact.held.claims,
            Self::DrawWon(fact) => std::slice::from_ref(&fact.claim),
            Self::Entered(_)
            | Self::BeaconGiven(_)
            | Self::DrawRevealed(_)
            | Self::EntryEnded(_)
            | Self::Swept(_)
            | Self::SessionBlocked(_)
            | Self::Substituted(_)
            | Self::Displaced(_)
            | Self::Ended(_)
            | Self::Freed(_)
            | Self::SessionOpened(_)
            | Self::Booked(_)
            | Self::Progressed(_)
            | Self::Settled(_)
            | Self::Declined(_)
            | Self::Forgotten(_)
            | Self::QuotasSet(_)
            | Self::Reclaimed(_)
            | Self::Queued(_)
            | Self::Left(_)
            | Self::Called(_)
            | Self::Returned(_)
            | Self::WaitJoined(_)
            | Self::WaitLeft(_)
            | Self::RulesApplied(_)
            | Self::Struck(_)
            | Self::Barred(_)
            | Self::Probed(_)
            | Self::Restricted(_)
            | Self::Amended(_)
            | Self::PatientsMerged(_)
            | Self::Recorded(_)
            | Self::LeftLate(_)
            | Self::Cooled(_)
            | Self::Billed(_)
            | Self::Ordered(_)
            | Self::PatientNamed(_)
            | Self::Phoned(_)
            | Self::DecidedUnder(_)
            | Self::Bound(_)
            | Self::WaitDrawn(_) => &[],
        }
    }

    /// The sessions whose waitlists the fact changes.
    pub fn targets(&self) -> &[SessionId] {
        match self {
            Self::WaitJoined(fact) => &fact.targets,
            Self::PlaceOffered(fact) => &fact.targets,
            Self::WaitLeft(fact) => &fact.targets,
            _ => &[],
        }
    }

    /// The hold that the fact makes, whoever asked for it.
    pub fn held(&self) -> Option<&Held> {
        match self {
            Self::Held(held) => Some(held),
            Self::Offered(fact) => Some(&fact.held),
            Self::PlaceOffered(fact) => Some(&fact.held),
            _ => None,
        }
    }

    /// The version of the rules that the fact says it was decided under, zero where none were in force.
    /// Most facts leave that to [`Self::DecidedUnder`].
    pub fn under(&self) -> Option<RulesVersion> {
        match self {
            Self::DecidedUnder(version) => Some(*version),
            Self::PlaceAdded(fact) => Some(fact.rules),
            Self::Entered(fact) => Some(fact.rules),
            _ => self.held().map(|held| held.rules),
        }
    }

    /// The end that the fact makes, whenever the places come back.
    pub fn ended(&self) -> Option<&Ended> {
        match self {
            Self::Ended(ended) => Some(ended),
            Self::Freed(freed) => Some(&freed.ended),
            _ => None,
        }
    }
}
