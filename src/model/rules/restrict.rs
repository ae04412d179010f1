//! Restrictions by hand, and what becomes of a restriction: it is lifted, suspended, appealed against
//! (限制, 解除, 暂停, 申诉).
//!
//! ```text
//! from |==========|          |======|            |........ until      === holds   ... does not
//!                 suspended         appealed ... lifted, or granted, or not decided by its term
//!                 until then
//! ```
//!
//! A restriction never lasts longer than was said when it was made: while it is suspended its term goes
//! on. What was refused while it held stays refused.
//!
//! **Architecture invariant:** steps are kept in the order in which they were taken, with who took them,
//! why, and what it rests on. Whether a restriction holds follows from the steps and the time alone; no
//! step is taken by a clock.

use super::no_show::{Consequence, Restriction, Term};
use super::{RuleScope, Rules};
use crate::model::actor::{BookingChannel, ChannelSet, Role};
use crate::model::appointment::PatientClass;
use crate::model::fingerprint::Fingerprint;
use crate::model::id::{EvidenceRef, PatientId, RequestId, RestrictionId, RulesVersion};
use crate::model::operation::Operation;
use crate::model::time::Timestamp;

/// Restricts a patient by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restrict {
    /// The id of the request, and of the restriction.
    pub request: RequestId,
    /// Whom.
    pub patient: PatientId,
    /// Where.
    pub within: RuleScope,
    /// What follows.
    pub consequence: Consequence,
    /// Since when; an instant that has passed is now.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// What it rests on.
    pub evidence: EvidenceRef,
    /// Why, a code of the hospital.
    pub reason: u16,
}

/// Does something about a restriction that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amend {
    /// The id of the request.
    pub request: RequestId,
    /// Who is restricted.
    pub patient: PatientId,
    /// Which restriction of theirs.
    pub restriction: RestrictionId,
    /// What to do.
    pub amendment: Amendment,
    /// What it rests on.
    pub evidence: EvidenceRef,
    /// Why, a code of the hospital.
    pub reason: u16,
}

/// What to do about a restriction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amendment {
    /// It ends now (解除).
    Lift,
    /// It does not hold until an instant; its term goes on (暂停).
    Suspend {
        /// Until when.
        until: Timestamp,
    },
    /// It is suspended no more.
    Resume,
    /// The appeal is refused: it stands.
    Uphold,
    /// The appeal is granted: it ends now.
    Grant,
}

/// Asks for a restriction to be looked at again (申诉).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appeal {
    /// The id of the request.
    pub request: RequestId,
    /// Who is restricted.
    pub patient: PatientId,
    /// Which restriction of theirs.
    pub restriction: RestrictionId,
    /// What the appeal rests on.
    pub evidence: EvidenceRef,
    /// Through which channel.
    pub channel: BookingChannel,
}

/// What a layer says about appeals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppealRule {
    /// Within which time an appeal is decided.
    pub term: Term,
    /// Whether the restriction does not hold meanwhile.
    pub is_suspending: bool,
    /// How many appeals there may be against one restriction, 1 or more.
    pub per_restriction: u8,
    /// What an appeal comes to that nobody decides.
    pub undecided: Undecided,
}

/// What an appeal comes to that nobody decides within its term.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Undecided {
    /// The restriction stands.
    #[default]
    Stands = 0,
    /// The restriction ends with the term.
    Lifted = 1,
}

/// See [`crate::model::Fact::Restricted`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restricted {
    /// The request that did it; the id of the restriction.
    pub request: RequestId,
    /// Its fingerprint.
    pub fingerprint: u64,
    /// Whom.
    pub patient: PatientId,
    /// What was made, from when it holds.
    pub restriction: Restriction,
    /// Who made it, and why.
    pub ground: Ground,
}

/// See [`crate::model::Fact::Amended`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amended {
    /// The fingerprint of the request that did it.
    pub fingerprint: u64,
    /// Who is restricted.
    pub patient: PatientId,
    /// Which restriction.
    pub restriction: RestrictionId,
    /// What was done.
    pub step: RestrictionStep,
}

/// Who did something about a restriction, why, and what it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ground {
    /// As what: the role of the certificate.
    pub by: Role,
    /// Why, a code of the hospital; 0 where a patient asks.
    pub reason: u16,
    /// What it rests on.
    pub evidence: EvidenceRef,
}

/// What was done about a restriction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestrictionStep {
    /// The request that did it.
    pub request: RequestId,
    /// When.
    pub at: Timestamp,
    /// Who, and why.
    pub ground: Ground,
    /// What.
    pub what: StepKind,
}

/// What may be done about a restriction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// It ended.
    Lifted,
    /// It does not hold until an instant.
    Suspended(Timestamp),
    /// It was suspended no more.
    Resumed,
    /// An appeal was made.
    Appealed(AppealTerm),
    /// The appeal was refused.
    Upheld,
    /// The appeal was granted: it ended.
    Granted,
}

/// What the rules in force said about an appeal when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppealTerm {
    /// Until when it can be decided.
    pub due: Timestamp,
    /// Whether the restriction does not hold until then, or until it is decided.
    pub is_suspending: bool,
    /// What it comes to if it is not decided.
    pub undecided: Undecided,
    /// The version of the rules that said so.
    pub rules: RulesVersion,
}

/// A restriction, and what was done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptRestriction {
    /// Its id: the request that made it, or the appointment that was missed.
    pub id: RestrictionId,
    /// The restriction, as it was made.
    pub restriction: Restriction,
    /// Who made it by hand, and why.
    pub ground: Option<Ground>,
    /// What was done about it, oldest first.
    pub steps: Vec<RestrictionStep>,
}

/// Where a restriction stands at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RestrictionState {
    /// It begins later.
    Ahead = 0,
    /// It holds.
    Holds = 1,
    /// It does not hold for a while.
    Suspended = 2,
    /// It was ended before its time.
    Lifted = 3,
    /// Its time has passed.
    Over = 4,
}

impl Restrict {
    /// A hash of everything but the id of the request.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint_as(self.patient)
    }

    /// The same as if it named another key of the patient.
    pub fn fingerprint_as(&self, patient: PatientId) -> u64 {
        let mut print = Fingerprint::new(Operation::Restrict as u64);
        print.add_wide(patient.0).add_wide(self.evidence.0).add(u64::from(self.reason));
        self.within.words().iter().for_each(|word| {
            print.add(*word);
        });
        self.consequence.fingerprint(&mut print);
        print.add(self.from.as_millis()).add(self.until.as_millis()).finish()
    }
}

impl Amend {
    /// A hash of everything but the id of the request.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint_as(self.patient)
    }

    /// The same as if it named another key of the patient.
    pub fn fingerprint_as(&self, patient: PatientId) -> u64 {
        let mut print = Fingerprint::new(Operation::Amend as u64);
        let (kind, until) = self.amendment.parts();
        print.add_wide(patient.0).add_wide(self.restriction.0).add_wide(self.evidence.0);
        print.add(u64::from(self.reason) | u64::from(kind) << 16).add(until.as_millis()).finish()
    }
}

impl Amendment {
    /// Its number, and its instant, zero where it has none.
    pub const fn parts(self) -> (u8, Timestamp) {
        let none = Timestamp::from_millis(0);
        match self {
            Self::Lift => (1, none),
            Self::Suspend { until } => (2, until),
            Self::Resume => (3, none),
            Self::Uphold => (4, none),
            Self::Grant => (5, none),
        }
    }

    /// The amendment of a number.
    pub const fn from_parts(kind: u8, until: Timestamp) -> Option<Self> {
        match (kind, until.as_millis()) {
            (1, 0) => Some(Self::Lift),
            (2, _) => Some(Self::Suspend { until }),
            (3, 0) => Some(Self::Resume),
            (4, 0) => Some(Self::Uphold),
            (5, 0) => Some(Self::Grant),
            _ => None,
        }
    }
}

impl Appeal {
    /// A hash of everything but the id of the request and the channel, which says who asks.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint_as(self.patient)
    }

    /// The same as if it named another key of the patient.
    pub fn fingerprint_as(&self, patient: PatientId) -> u64 {
        let mut print = Fingerprint::new(Operation::Appeal as u64);
        print.add_wide(patient.0).add_wide(self.restriction.0).add_wide(self.evidence.0).finish()
    }
}

impl StepKind {
    /// The name in JSON and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lifted => "Lifted",
            Self::Suspended(_) => "Suspended",
            Self::Resumed => "Resumed",
            Self::Appealed(_) => "Appealed",
            Self::Upheld => "Upheld",
            Self::Granted => "Granted",
        }
    }
}

impl RestrictionState {
    /// The name in JSON and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ahead => "ahead",
            Self::Holds => "holds",
            Self::Suspended => "suspended",
            Self::Lifted => "lifted",
            Self::Over => "over",
        }
    }
}

impl Undecided {
    /// The name in documents, JSON and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stands => "stands",
            Self::Lifted => "lifted",
        }
    }
}

impl AppealRule {
    /// How many bytes it takes at most.
    pub(super) const fn weight() -> usize {
        8
    }

    pub(super) fn is_sound(self) -> bool {
        self.per_restriction != 0 && self.term != Term::Days(0) && self.term != Term::Months(0)
    }

    pub(super) fn fingerprint(self, print: &mut Fingerprint) {
        let (term, length) = self.term.parts();
        print.add(
            9 | u64::from(term) << 8
                | u64::from(length) << 16
                | u64::from(self.is_suspending) << 32
                | u64::from(self.per_restriction) << 40
                | (self.undecided as u64) << 48,
        );
    }
}

impl Consequence {
    /// Whether it keeps a patient of a class from booking through a channel, whatever they have.
    pub const fn bars(self, channel: BookingChannel, class: PatientClass) -> bool {
        match self {
            Self::Warn | Self::Lower(_) | Self::Fewer(_) => false,
            Self::Refuse { but } => !but.contains(channel),
            Self::RefuseBut { channels, classes } => {
                !(channels.contains(channel) && classes.contains(class))
            }
        }
    }
}

impl Consequence {
    /// Through which channels a patient of a class books all the same.
    pub const fn passes(self, class: PatientClass) -> ChannelSet {
        match self {
            Self::Warn | Self::Lower(_) | Self::Fewer(_) => ChannelSet::ALL,
            Self::Refuse { but } => but,
            Self::RefuseBut { channels, classes } if classes.contains(class) => channels,
            Self::RefuseBut { .. } => ChannelSet(0),
        }
    }
}

impl RuleScope {
    /// Whether all of another scope lies in it.
    pub fn covers(self, other: Self) -> bool {
        match self {
            Self::Region => true,
            Self::Organization(_) => self.organization() == other.organization(),
            Self::Department(..) | Self::Schedule(..) | Self::Service(..) => self == other,
        }
    }
}

impl Rules {
    /// What the nearest layer says about appeals against a restriction. A layer has to be about all of
    /// where the restriction holds, and about an outpatient of whom nothing is attested.
    pub fn appeals(&self, within: RuleScope) -> Option<&AppealRule> {
        let is_about = |when: &super::RuleCondition| {
            when.holds(PatientClass::Outpatient, crate::model::Attributes::default())
        };
        let said = self.layers.iter().enumerate().filter_map(|(index, layer)| {
            let holds = layer.scope.covers(within) && is_about(&layer.when);
            let rule = layer.appeal.as_ref().filter(|_| holds)?;
            Some((layer.scope.kind(), index, rule))
        });
        said.max_by_key(|(kind, index, _)| (*kind, *index)).map(|(.., rule)| rule)
    }
}
