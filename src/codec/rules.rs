//! Layouts of rules, strikes and restrictions.
//!
//! ```text
//! rules       version u32, from u64, u8 n, n (u64 since, i16 minutes), u8 n, n layers; see `notice`
//! layer       scope, condition, u8 n, n keys, by tag, each at most once
//! scope       u8 kind, what the kind needs: organization u32; department u32, resource u64, service u32
//! condition   classes u8, youngest u8, oldest u8, option on file, option first visit, u16 id kinds
//! key         1 no-shows: u8 within, u8 window, u16 its length, u8 begins, u8 used up, u8 mode, u8 n,
//!               n (u16 count, consequence, u8 term, u16 its length)
//!             2 limits: u8 n, n (u8 within, u8 period, u16 its length, u8 by, u8 counts, u16 most, u8 mode)
//!             3 violations: u8 n, n (u8 what, one bit each, u8 of whom, then as a key 1)
//!             4 cool-downs: u8 n, n rules; see `cooldown`
//!             5 admission: u8 n, n (u8 per, u32 rate, u32 every so many seconds, u32 burst, u16 minutes
//!               of the block, u64 channels, u8 mode), u8 n, n (u64 channels, u16 weight)
//!             6 deadline of cancels, 7 payment, 8 holder: see `payment`
//!             9 appeals: u8 term, u16 its length, u8 suspends, u8 most, u8 undecided
//!             11 waiting: u8 n, n (u8 within, u8 counts, u16 most, u8 mode)
//!             10 persons: see `persons`, 12 probing: see `probing`
//! consequence 1 | 2 u8 | 3 u64 channels | 4 u64 channels, u8 classes
//! ```
//!
//! What a layer does not say is not in its list, so that later versions can say more.

use arrayvec::ArrayVec;
use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use super::cooldown::CooldownRules;
use super::terms::OffsetList;
use crate::model::limits::{
    LAYER_LIMITS_MAX, LAYER_VIOLATIONS_MAX, RATES_MAX, RULE_TIERS_MAX, SHARES_MAX, WAIT_LIMITS_MAX,
};
use crate::model::{
    AdmissionRule, ApplyRules, Barred, Begins, BookingLimit, ChannelShare, CivilTime, Consequence,
    CountedOf, Counts, Day, DayOf, LISTED_MAX, LimitKey, LimitScope, NoShowRule, Period, Place,
    RateKey, RateRule, RecordReading, Restriction, RestrictionCause, RuleCondition, RuleKey,
    RuleLayer, RuleMode, RuleRef, RuleScope, RuleWhy, RulesApplied, RulesReading, ScopeKind,
    Strike, Struck, Term, Tier, Timestamp, ViolationRule, ViolationSet, WaitCounts, WaitKey,
    WaitLimit, Window,
};

layout_number!(Day);
layout_code!(RuleMode { Enforce, Shadow });
layout_code!(ScopeKind { Region, Organization, Department, Schedule, Service });
layout_code!(Begins { NextDay, AtOnce, FirstStrike });
layout_code!(RestrictionCause {
    NoShow,
    Staff,
    Unpaid,
    Release,
    Cancel,
    SameDayCancel,
    Booking,
    Probing,
    Late,
    Missed
});
layout_struct!(Place { organization, department, resource, service });
layout_struct!(RuleRef { version, layer, tier });
layout_code!(RuleKey {
    NoShow,
    Limits,
    Violations,
    Cooldown,
    Rates,
    Cancel,
    Payment,
    Holder,
    Appeal,
    Notice,
    Staff,
    Waitlist,
    Persons,
    Probing,
});
layout_struct!(RuleWhy { rule, key, within, count, limit, since, until, through });
layout_struct!(Strike { day, place });
layout_struct!(RuleCondition { classes, ages, on_file, first_visit, id_kinds });
layout_struct!(Tier { count, consequence, term });
layout_struct!(Restriction { within, cause, consequence, mode, from, until, rule, count, since });
layout_struct!(Struck { appointment, patient, strike, restriction, is_used_up });
layout_struct!(RulesApplied { request, fingerprint, rules });
layout_struct!(ApplyRules { request, rules });

type Tiers = ArrayVec<Tier, RULE_TIERS_MAX>;
layout_list!(TierList<Tier>, Tiers, u8, RULE_TIERS_MAX, "more tiers than a rule has");
/// Two switches of a rule in one byte, of which the first version had the lower alone.
#[derive(Debug)]
struct Switches(bool, bool);
layout_checked!(
    Switches as u8,
    |switches| u8::from(switches.0) | u8::from(switches.1) << 1,
    |byte| (byte < 4).then_some(Switches(byte & 1 == 1, byte & 2 == 2)),
    "switches of a rule"
);

impl Encode for NoShowRule {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        (self.within, self.window, self.begins).encode(encoder)?;
        Switches(self.is_used_up, self.is_once).encode(encoder)?;
        self.mode.encode(encoder)?;
        TierList(&self.tiers).encode(encoder)
    }
}

impl<Context> Decode<Context> for NoShowRule {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let (within, window, begins) = Decode::decode(decoder)?;
        let Switches(is_used_up, is_once) = Decode::decode(decoder)?;
        let mode = Decode::decode(decoder)?;
        let tiers = TierList::<Tiers>::decode(decoder)?.0;
        Ok(Self { within, window, begins, is_used_up, is_once, mode, tiers })
    }
}

layout_number!(ViolationSet);
layout_code!(CountedOf { Patient, Account, Phone });
layout_struct!(ViolationRule { counts, of, rule });
type Violations = Vec<ViolationRule>;
layout_list!(
    ViolationList<ViolationRule>,
    Violations,
    u8,
    LAYER_VIOLATIONS_MAX,
    "more rules about violations than a layer has"
);
layout_struct!(Barred { appointment, patient, id, restriction });

layout_code!(LimitScope {
    Region,
    Organization,
    Department,
    Schedule,
    Service,
    Session,
    AppointmentType,
});
layout_code!(DayOf { Visit, Booking });
layout_code!(Counts { Live, All, Departments, Resources, Operations });
layout_checked!(
    Period as (u8, u16),
    |period| period.parts(),
    |(number, length)| Period::of_parts(number, length),
    "Period"
);
layout_struct!(LimitKey { within, period, by, counts });
layout_struct!(BookingLimit { key, most, mode });
type Limits = Vec<BookingLimit>;
layout_list!(LimitList<BookingLimit>, Limits, u8, LAYER_LIMITS_MAX, "more limits than a layer has");
layout_code!(WaitCounts { Sessions, Resources });
layout_struct!(WaitKey { within, counts });
layout_struct!(WaitLimit { key, most, mode });
type Waits = Vec<WaitLimit>;
layout_list!(WaitList<WaitLimit>, Waits, u8, WAIT_LIMITS_MAX, "more limits than a layer has");
layout_code!(RateKey { Connection, Channel, Account, Patient, Device, Address });
layout_struct!(RateRule { per, rate, every_seconds, burst, block_minutes, channels, mode });
layout_struct!(ChannelShare { channels, weight });
type Rates = Vec<RateRule>;
layout_list!(RateList<RateRule>, Rates, u8, RATES_MAX, "more rates than rules have");
type Shares = Vec<ChannelShare>;
layout_list!(ShareList<ChannelShare>, Shares, u8, SHARES_MAX, "more shares than rules have");
layout_with_lists!(AdmissionRule {
    rates as RateList<Rates>,
    shares as ShareList<Shares>,
});

layout_struct!(RulesReading { rules, next });
type Strikes = Vec<Strike>;
layout_list!(StrikeList<Strike>, Strikes, u8, LISTED_MAX, "more than is listed at once");
type Restrictions = Vec<Restriction>;
layout_list!(
    RestrictionList<Restriction>,
    Restrictions,
    u8,
    LISTED_MAX,
    "more than is listed at once"
);
layout_with_lists!(RecordReading {
    strikes as StrikeList<Strikes>,
    restrictions as RestrictionList<Restrictions>,
});

/// The tag of what a layer says about no-shows.
const NO_SHOW: u8 = 1;
/// Of deadlines of cancels, of payments and of who may hold: see `payment`.
const CANCEL: u8 = 6;
const PAYMENT: u8 = 7;
const HOLDER: u8 = 8;

/// The tag of how many appointments somebody may have.
const LIMITS: u8 = 2;
/// The tag of how long one waits after a place was given up.
const COOLDOWN: u8 = 4;
/// The tag of what else counts against somebody.
const VIOLATIONS: u8 = 3;
/// The tag of what a layer says about admission.
const ADMISSION: u8 = 5;

/// The tag of what a layer says about appeals.
const APPEAL: u8 = 9;
/// Of how many others somebody is.
const PERSONS: u8 = 10;

/// The tag of how much somebody may wait for.
const WAITLIST: u8 = 11;
/// The tag of who asks too often for what is not to be had.
const PROBING: u8 = 12;

impl Encode for CivilTime {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        OffsetList(&self.0).encode(encoder)
    }
}

impl<Context> Decode<Context> for CivilTime {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self(OffsetList::<Vec<(Timestamp, i16)>>::decode(decoder)?.0))
    }
}

impl Encode for RuleScope {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.kind().encode(encoder)?;
        match self {
            Self::Region => Ok(()),
            Self::Organization(organization) => organization.encode(encoder),
            Self::Department(organization, department) => {
                (*organization, *department).encode(encoder)
            }
            Self::Schedule(organization, resource) => (*organization, *resource).encode(encoder),
            Self::Service(organization, service) => (*organization, *service).encode(encoder),
        }
    }
}

impl<Context> Decode<Context> for RuleScope {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let kind = ScopeKind::decode(decoder)?;
        if kind == ScopeKind::Region {
            return Ok(Self::Region);
        }
        let organization = Decode::decode(decoder)?;
        Ok(match kind {
            ScopeKind::Region => Self::Region,
            ScopeKind::Organization => Self::Organization(organization),
            ScopeKind::Department => Self::Department(organization, Decode::decode(decoder)?),
            ScopeKind::Schedule => Self::Schedule(organization, Decode::decode(decoder)?),
            ScopeKind::Service => Self::Service(organization, Decode::decode(decoder)?),
        })
    }
}

impl Encode for RuleLayer {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.scope.encode(encoder)?;
        self.when.encode(encoder)?;
        let said = [
            self.no_show.is_some(),
            !self.limits.is_empty(),
            !self.violations.is_empty(),
            self.admission.is_some(),
            self.cancel.is_some(),
            self.payment.is_some(),
            self.holder.is_some(),
            self.appeal.is_some(),
            !self.waitlist.is_empty(),
            !self.cooldown.is_empty(),
            self.persons.is_some(),
            self.probing.is_some(),
        ];
        said.into_iter().map(u8::from).sum::<u8>().encode(encoder)?;
        key(NO_SHOW, self.no_show.as_ref(), encoder)?;
        if !self.limits.is_empty() {
            LIMITS.encode(encoder)?;
            LimitList(&self.limits).encode(encoder)?;
        }
        if !self.violations.is_empty() {
            VIOLATIONS.encode(encoder)?;
            ViolationList(&self.violations).encode(encoder)?;
        }
        if !self.cooldown.is_empty() {
            COOLDOWN.encode(encoder)?;
            CooldownRules(&self.cooldown).encode(encoder)?;
        }
        key(ADMISSION, self.admission.as_ref(), encoder)?;
        key(CANCEL, self.cancel.as_ref(), encoder)?;
        key(PAYMENT, self.payment.as_ref(), encoder)?;
        key(HOLDER, self.holder.as_ref(), encoder)?;
        key(APPEAL, self.appeal.as_ref(), encoder)?;
        key(PERSONS, self.persons.as_deref(), encoder)?;
        if !self.waitlist.is_empty() {
            WAITLIST.encode(encoder)?;
            encode_list!(&self.waitlist, u8, encoder);
        }
        key(PROBING, self.probing.as_ref(), encoder)
    }
}

/// Writes a key with its tag, where the layer says it.
fn key<E: Encoder>(
    tag: u8,
    value: Option<&impl Encode>,
    encoder: &mut E,
) -> Result<(), EncodeError> {
    let Some(value) = value else { return Ok(()) };
    tag.encode(encoder)?;
    value.encode(encoder)
}

impl<Context> Decode<Context> for RuleLayer {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let (scope, when) = (Decode::decode(decoder)?, Decode::decode(decoder)?);
        let mut layer = Self { scope, when, ..Self::default() };
        let (count, mut last) = (u8::decode(decoder)?, 0);
        for _ in 0..count {
            let tag = u8::decode(decoder)?;
            if tag <= last {
                return Err(DecodeError::Other("keys are out of order"));
            }
            last = tag;
            match tag {
                NO_SHOW => layer.no_show = Some(Decode::decode(decoder)?),
                LIMITS => {
                    layer.limits = LimitList::decode(decoder)?.0;
                    // A key that says nothing is not written.
                    if layer.limits.is_empty() {
                        return Err(DecodeError::Other("a layer names limits and has none"));
                    }
                }
                COOLDOWN => {
                    layer.cooldown = CooldownRules::decode(decoder)?.0;
                    if layer.cooldown.is_empty() {
                        return Err(DecodeError::Other("a layer names cool-downs and has none"));
                    }
                }
                VIOLATIONS => {
                    layer.violations = ViolationList::decode(decoder)?.0;
                    if layer.violations.is_empty() {
                        return Err(DecodeError::Other("a layer names violations and has none"));
                    }
                }
                ADMISSION => layer.admission = Some(Decode::decode(decoder)?),
                CANCEL => layer.cancel = Some(Decode::decode(decoder)?),
                PAYMENT => layer.payment = Some(Decode::decode(decoder)?),
                HOLDER => layer.holder = Some(Decode::decode(decoder)?),
                APPEAL => layer.appeal = Some(Decode::decode(decoder)?),
                WAITLIST => {
                    layer.waitlist = WaitList::<Waits>::decode(decoder)?.0.into();
                    if layer.waitlist.is_empty() {
                        return Err(DecodeError::Other("a layer names limits and has none"));
                    }
                }
                PROBING => layer.probing = Some(Decode::decode(decoder)?),
                PERSONS => layer.persons = Some(Box::new(Decode::decode(decoder)?)),
                _ => {
                    return Err(DecodeError::Other("a layer says what this version does not know"));
                }
            }
        }
        Ok(layer)
    }
}

impl Encode for Window {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.parts().encode(encoder)
    }
}

impl<Context> Decode<Context> for Window {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(match <(u8, u16)>::decode(decoder)? {
            (1, days) => Self::Days(days),
            (2, months) => Self::Months(narrow(months)?),
            (3, 0) => Self::Month,
            (4, 0) => Self::Quarter,
            (5, 0) => Self::Year,
            (6, 0) => Self::InARow,
            (7, 0) => Self::Ever,
            _ => return Err(DecodeError::Other("Window")),
        })
    }
}

impl Encode for Term {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.parts().encode(encoder)
    }
}

impl<Context> Decode<Context> for Term {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(match <(u8, u16)>::decode(decoder)? {
            (1, days) => Self::Days(days),
            (2, months) => Self::Months(narrow(months)?),
            (3, 0) => Self::MonthEnd,
            (4, 0) => Self::DayEnd,
            (5, 0) => Self::QuarterEnd,
            (6, 0) => Self::YearEnd,
            _ => return Err(DecodeError::Other("Term")),
        })
    }
}

fn narrow(months: u16) -> Result<u8, DecodeError> {
    u8::try_from(months).map_err(|_| DecodeError::Other("more months than can be counted"))
}

impl Encode for Consequence {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        match self {
            Self::Warn => 1_u8.encode(encoder),
            Self::Lower(by) => (2_u8, *by).encode(encoder),
            Self::Refuse { but } => (3_u8, *but).encode(encoder),
            Self::RefuseBut { channels, classes } => {
                (4_u8, *channels).encode(encoder)?;
                classes.encode(encoder)
            }
            Self::Fewer(most) => (5_u8, *most).encode(encoder),
        }
    }
}

impl<Context> Decode<Context> for Consequence {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(match u8::decode(decoder)? {
            1 => Self::Warn,
            2 => Self::Lower(Decode::decode(decoder)?),
            3 => Self::Refuse { but: Decode::decode(decoder)? },
            4 => Self::RefuseBut {
                channels: Decode::decode(decoder)?,
                classes: Decode::decode(decoder)?,
            },
            5 => Self::Fewer(Decode::decode(decoder)?),
            _ => return Err(DecodeError::Other("Consequence")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{decode_exact, encode_into};

    #[test]
    fn each_consequence_has_its_number_and_the_earlier_ones_keep_theirs() {
        use crate::model::{ChannelSet, ClassSet};
        for (consequence, expected) in [
            (Consequence::Warn, &[1_u8][..]),
            (Consequence::Lower(2), &[2, 2]),
            (Consequence::Refuse { but: ChannelSet(5) }, &[3, 5, 0, 0, 0, 0, 0, 0, 0]),
            (
                Consequence::RefuseBut { channels: ChannelSet(1), classes: ClassSet(8) },
                &[4, 1, 0, 0, 0, 0, 0, 0, 0, 8],
            ),
            (Consequence::Fewer(2), &[5, 2]),
        ] {
            let mut bytes = Vec::new();
            encode_into(&consequence, &mut bytes);
            assert_eq!(bytes, expected);
            assert_eq!(decode_exact::<Consequence>(&bytes), Ok(consequence));
        }
        assert!(decode_exact::<Consequence>(&[6, 1]).is_err());
    }

    #[test]
    fn each_term_has_its_number_and_two_switches_are_one_byte() {
        for (term, expected) in [
            (Term::Days(2), [1_u8, 2, 0]),
            (Term::Months(2), [2, 2, 0]),
            (Term::MonthEnd, [3, 0, 0]),
            (Term::DayEnd, [4, 0, 0]),
            (Term::QuarterEnd, [5, 0, 0]),
            (Term::YearEnd, [6, 0, 0]),
        ] {
            let mut bytes = Vec::new();
            encode_into(&term, &mut bytes);
            assert_eq!(bytes, expected);
            assert_eq!(decode_exact::<Term>(&bytes), Ok(term));
        }
        assert!(decode_exact::<Term>(&[7, 0, 0]).is_err());
        for (is_used_up, is_once, expected) in
            [(false, false, 0_u8), (true, false, 1), (false, true, 2), (true, true, 3)]
        {
            let mut bytes = Vec::new();
            encode_into(&Switches(is_used_up, is_once), &mut bytes);
            assert_eq!(bytes, [expected]);
            let Switches(first, second) = decode_exact(&bytes).unwrap();
            assert_eq!((first, second), (is_used_up, is_once));
        }
        assert!(decode_exact::<Switches>(&[4]).is_err());
    }

    #[test]
    fn a_layer_that_names_a_key_and_says_nothing_of_it_is_refused() {
        let mut bytes = Vec::new();
        encode_into(&RuleLayer::default(), &mut bytes);
        assert_eq!(decode_exact::<RuleLayer>(&bytes), Ok(RuleLayer::default()));
        // One key instead of none: none of its entries.
        *bytes.last_mut().unwrap() = 1;
        for tag in [LIMITS, VIOLATIONS, COOLDOWN] {
            let bytes = [bytes.as_slice(), &[tag, 0]].concat();
            assert!(decode_exact::<RuleLayer>(&bytes).is_err());
        }
    }
}
