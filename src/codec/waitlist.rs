//! Layouts of waitlists: rules, requests, facts, and what snapshots keep.
//!
//! ```text
//! rule       entries u16, 5 u8, draw u32, offer u32, near offer u32, near u32, option hours, closes u64
//! join       request, patient, option account, channel, as whom, earliest, latest, u8 n, n sessions
//! leave      request, entry, patient, channel
//! WaitJoined option fingerprint, entry              PlaceOffered  entry, u8 n, n sessions, back, as Held
//! WaitLeft   option (request, fingerprint), entry, patient, u8 n, n sessions, why
//! WaitDrawn  session, seed
//! as whom    class; with 128 added to it the attributes follow
//! ```

use arrayvec::ArrayVec;
use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use crate::model::limits::{CLAIMS_MAX, WAITLIST_ENTRIES_MAX};
use crate::model::{
    Attributes, JoinWaitlist, LeaveWaitlist, PatientClass, PlaceOffered, Targets, WaitDrawn,
    WaitEnd, WaitEntry, WaitJoined, WaitLeft, WaitOrder, WaitState, WaitTarget, Waiter,
    WaitlistReading, WaitlistRule,
};

layout_code!(WaitEnd { Accepted, Left, Declined, Lapsed, Cleared, Blocked });
layout_struct!(WaitDrawn { session, seed });
layout_code!(WaitOrder { Opening, Draw, Time });
layout_struct!(WaitTarget { session, priority, order, drawn_at });
layout_struct!(LeaveWaitlist { request, entry, patient, channel });
layout_struct!(Waiter {
    entry,
    patient,
    channel,
    class,
    earliest,
    latest,
    priority,
    number,
    order,
    is_offered
});
layout_struct!(WaitlistReading { waiting, closes_at, entry, position, offer, likelihood });

layout_list!(TargetList<SessionId>, Targets, u8, CLAIMS_MAX, "more sessions than one may wait for");

type WaitTargets = ArrayVec<WaitTarget, CLAIMS_MAX>;
layout_list!(
    WaitTargetList<WaitTarget>,
    WaitTargets,
    u8,
    CLAIMS_MAX,
    "more sessions than one may wait for"
);

type Waiters = Vec<Waiter>;
layout_list!(
    WaiterList<Waiter>,
    Waiters,
    u16,
    WAITLIST_ENTRIES_MAX as usize,
    "more wait than a waitlist takes"
);

/// The class of a patient, and what is attested of them where anything is.
struct AsWhom(PatientClass, Attributes);

/// Beside the number of the class: attributes follow.
const ATTESTED: u8 = 1 << 7;

impl Encode for AsWhom {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        let Self(class, attributes) = *self;
        if attributes == Attributes::default() {
            return class.encode(encoder);
        }
        (class as u8 | ATTESTED).encode(encoder)?;
        attributes.encode(encoder)
    }
}

impl<Context> Decode<Context> for AsWhom {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let code = u8::decode(decoder)?;
        let mut classes = PatientClass::ALL.into_iter();
        let class = classes.find(|class| *class as u8 == code & !ATTESTED);
        let class = class.ok_or(DecodeError::Other("PatientClass"))?;
        if code & ATTESTED == 0 {
            return Ok(Self(class, Attributes::default()));
        }
        let attributes = Attributes::decode(decoder)?;
        // What says nothing is not written.
        if attributes == Attributes::default() {
            return Err(DecodeError::Other("attributes that say nothing"));
        }
        Ok(Self(class, attributes))
    }
}

impl Encode for JoinWaitlist {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.request.encode(encoder)?;
        self.patient.encode(encoder)?;
        self.account.encode(encoder)?;
        self.channel.encode(encoder)?;
        AsWhom(self.class, self.attributes).encode(encoder)?;
        self.earliest.encode(encoder)?;
        self.latest.encode(encoder)?;
        TargetList(&self.targets).encode(encoder)
    }
}

impl<Context> Decode<Context> for JoinWaitlist {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let (request, patient) = (Decode::decode(decoder)?, Decode::decode(decoder)?);
        let (account, channel) = (Decode::decode(decoder)?, Decode::decode(decoder)?);
        let AsWhom(class, attributes) = AsWhom::decode(decoder)?;
        Ok(Self {
            request,
            patient,
            account,
            channel,
            class,
            attributes,
            earliest: Decode::decode(decoder)?,
            latest: Decode::decode(decoder)?,
            targets: TargetList::<Targets>::decode(decoder)?.0,
        })
    }
}

impl Encode for WaitEntry {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.entry.encode(encoder)?;
        self.patient.encode(encoder)?;
        self.account.encode(encoder)?;
        self.channel.encode(encoder)?;
        AsWhom(self.class, self.attributes).encode(encoder)?;
        self.joined.encode(encoder)?;
        self.earliest.encode(encoder)?;
        self.latest.encode(encoder)?;
        WaitTargetList(&self.targets).encode(encoder)
    }
}

impl<Context> Decode<Context> for WaitEntry {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let (entry, patient) = (Decode::decode(decoder)?, Decode::decode(decoder)?);
        let (account, channel) = (Decode::decode(decoder)?, Decode::decode(decoder)?);
        let AsWhom(class, attributes) = AsWhom::decode(decoder)?;
        Ok(Self {
            entry,
            patient,
            account,
            channel,
            class,
            attributes,
            joined: Decode::decode(decoder)?,
            earliest: Decode::decode(decoder)?,
            latest: Decode::decode(decoder)?,
            targets: WaitTargetList::<WaitTargets>::decode(decoder)?.0,
        })
    }
}

layout_with_lists!(WaitState { drawn_at, seed, joined, brought, waiters as WaiterList<Waiters> });
layout_with_lists!(PlaceOffered { entry, targets as TargetList<Targets>, back, held });
layout_with_lists!(WaitLeft { request, entry, patient, targets as TargetList<Targets>, why });

impl Encode for WaitJoined {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.fingerprint.encode(encoder)?;
        self.entry.encode(encoder)
    }
}

impl<Context> Decode<Context> for WaitJoined {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let fingerprint = Decode::decode(decoder)?;
        let entry: WaitEntry = Decode::decode(decoder)?;
        Ok(Self { fingerprint, targets: entry.sessions(), entry })
    }
}

impl Encode for WaitlistRule {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.entries_max.encode(encoder)?;
        self.priority.iter().try_for_each(|class| class.encode(encoder))?;
        self.draw_millis.encode(encoder)?;
        self.offer_millis.encode(encoder)?;
        self.near_offer_millis.encode(encoder)?;
        self.near_millis.encode(encoder)?;
        self.hours.encode(encoder)?;
        self.closes_at.encode(encoder)
    }
}

impl<Context> Decode<Context> for WaitlistRule {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let entries_max = Decode::decode(decoder)?;
        let mut priority = [0; PatientClass::COUNT];
        for class in &mut priority {
            *class = u8::decode(decoder)?;
        }
        Ok(Self {
            entries_max,
            priority,
            draw_millis: Decode::decode(decoder)?,
            offer_millis: Decode::decode(decoder)?,
            near_offer_millis: Decode::decode(decoder)?,
            near_millis: Decode::decode(decoder)?,
            hours: Decode::decode(decoder)?,
            closes_at: Decode::decode(decoder)?,
        })
    }
}
