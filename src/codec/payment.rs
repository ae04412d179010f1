//! Layouts of payments, orders, refunds, naming a patient, and of what rules say about them.
//!
//! ```text
//! bill      appointment, patient, organization u32, kind u8, payment, since u64, refund u8,
//!           option reference, option rebooked
//! cancel    deadline, later u64 channels, late u8, mode u8
//! deadline  1 minutes u32 | 2 days u8, minute u16 | 3 the same, u8 n, n days u32 | 4 halves u8
//! payment   by u8, channels u64, late u8, option (minutes u16, times u8), mode u8
//! holder    by u8, limit u8
//! ```

use arrayvec::ArrayVec;
use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use super::demand::ClaimList;
use crate::model::limits::{BILLS_MAX, RULE_DAYS_MAX};
use crate::model::{
    Bill, Billed, BillsPage, CancelRule, Claims, Day, Deadline, Holder, HolderRule, LISTED_MAX,
    LateCancel, LatePayment, LeftLate, NamePatient, Order, OrderRule, Ordered, PatientNamed, Pay,
    PaymentKind, PaymentMode, PaymentRule, Refund, RefundState,
};

layout_code!(PaymentKind { SelfPay, Insurance, PreAuthorization });
layout_code!(RefundState { None, Due, Refunded });
layout_code!(LateCancel { Refuse, Mark });
layout_code!(LatePayment { Rebook, Refund });
layout_code!(Holder { Patient, Account });
layout_code!(PaymentMode {
    AtPickUp,
    SelfPay,
    SelfPayOrInsurance,
    SelfPayOnly,
    AfterVisit,
    PreAuthorization,
});
layout_struct!(Bill {
    appointment,
    patient,
    organization,
    kind,
    payment,
    since,
    refund,
    reference,
    rebooked,
});
layout_struct!(Billed { request, bill });
layout_struct!(Ordered { request, fingerprint, appointment, until, orders });
layout_struct!(LeftLate { appointment, patient, deadline, rule });
layout_with_lists!(PatientNamed {
    request,
    fingerprint,
    appointment,
    account,
    patient,
    class,
    claims as ClaimList<Claims>,
});
layout_struct!(Order { request, appointment, patient, channel, until });
layout_struct!(Pay { request, appointment, patient, channel, kind, payment });
layout_struct!(Refund { request, appointment, payment, reference });
layout_struct!(NamePatient { request, appointment, patient, keys, channel, class, attributes });
layout_struct!(CancelRule { until, later, late, mode });
layout_struct!(PaymentRule { by, channels, late, order, mode });
layout_struct!(OrderRule { minutes, times });
layout_struct!(HolderRule { by, limit });

type Bills = Vec<Bill>;
layout_list!(BillList<Bill>, Bills, u8, LISTED_MAX + BILLS_MAX, "more than is listed at once");
layout_with_lists!(BillsPage { next, bills as BillList<Bills> });

type Days = ArrayVec<Day, RULE_DAYS_MAX>;
layout_list!(
    DayList<Day>,
    Days,
    u8,
    RULE_DAYS_MAX,
    "more days than a deadline makes exceptions of"
);

impl Encode for Deadline {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        match self {
            Self::Minutes(minutes) => (1_u8, *minutes).encode(encoder),
            Self::Days { days, minute } => (2_u8, *days, *minute).encode(encoder),
            Self::Workdays { days, minute, except } => {
                (3_u8, *days, *minute).encode(encoder)?;
                DayList(except).encode(encoder)
            }
            Self::HalfDays(halves) => (4_u8, *halves).encode(encoder),
        }
    }
}

impl<Context> Decode<Context> for Deadline {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(match u8::decode(decoder)? {
            1 => Self::Minutes(Decode::decode(decoder)?),
            2 => Self::Days { days: Decode::decode(decoder)?, minute: Decode::decode(decoder)? },
            3 => Self::Workdays {
                days: Decode::decode(decoder)?,
                minute: Decode::decode(decoder)?,
                except: DayList::decode(decoder)?.0,
            },
            4 => Self::HalfDays(Decode::decode(decoder)?),
            _ => return Err(DecodeError::Other("Deadline")),
        })
    }
}
