//! What can be wrong with rules, and what to do about it.

use super::WaitLimit;
use crate::model::limits::{
    CHANGES_MAX, COOLDOWN_DAYS_MAX, LAYER_COOLDOWNS_MAX, LAYER_LIMITS_MAX, LAYER_VIOLATIONS_MAX,
    LIMIT_COUNT_MAX, NOTICE_DAYS_MAX, PERSONS_MAX, PROBING_MINUTES_MAX, RATE_MAX, RATES_MAX,
    RULE_LAYERS_MAX, RULE_TIERS_MAX, RULES_BYTES_MAX, SHARES_MAX, VIOLATION_DAYS_MAX,
    VIOLATION_MONTHS_MAX,
};

/// What is wrong with rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RulesFault {
    /// Too many layers.
    #[error("rules have at most {RULE_LAYERS_MAX} layers")]
    Layers,
    /// They say more than one record carries.
    #[error(
        "rules take up to {RULES_BYTES_MAX} bytes; a layer takes 40, and what it says a few for each key"
    )]
    Bytes,
    /// The offsets of local time are out of order, too many or too large.
    #[error("the offsets of local time are in order, at most eight, each within a day")]
    Civil,
    /// A layer is about nobody.
    #[error(
        "the ages of a layer run from a younger to an older, and it names a class and a kind of identity document"
    )]
    Condition,
    /// The notice is longer than a year.
    #[error("notice of stricter rules is at most {NOTICE_DAYS_MAX} days")]
    Notice,
    /// A rule about no-shows counts nothing, or its tiers are out of order.
    #[error(
        "a rule about no-shows has 1 to {RULE_TIERS_MAX} tiers, each after more strikes than the one before, each of them for a time"
    )]
    NoShow,
    /// A limit names a time that is none, or two say the same.
    #[error(
        "a layer has at most {LAYER_LIMITS_MAX} limits, no two of them of the same; a limit is of 1 to 366 days or 1 to 12 months, names 0 to {LIMIT_COUNT_MAX}, counts half-days by visit, and needs a period where it counts what is over"
    )]
    Limits,
    /// A rule about violations counts nothing, or further back than is kept, or says what another does.
    #[error(
        "a layer has at most {LAYER_VIOLATIONS_MAX} rules about violations, no two that count the same; each counts some of them in at most {VIOLATION_DAYS_MAX} days or {VIOLATION_MONTHS_MAX} months, has tiers as a rule about no-shows, and does not begin with the first where they are used up"
    )]
    Violations,
    /// Rates or shares are said elsewhere than for the region, or are out of range.
    #[error(
        "rates and shares are said for the region and everybody: at most {RATES_MAX} rates of 1 to {RATE_MAX} in 1 s to a day, that block only persons and machines, and {SHARES_MAX} shares"
    )]
    Rates,
    /// A deadline of cancels lies too far ahead, or its exceptions are out of order.
    #[error(
        "a deadline of cancels lies at most 60 days before the visit, at 00:00 to 24:00, and its exceptions are in order"
    )]
    Cancel,
    /// A payment order may never move a deadline, or too far.
    #[error("a payment order moves a deadline once or more, by 1 to 2880 minutes")]
    Payment,
    /// An account may have no hold, or too many.
    #[error("an account has 1 to 8 holds at a time whose patients it has not named")]
    Holder,
    /// A rule about appeals gives no time, or lets nobody appeal.
    #[error(
        "a rule about appeals gives a time to decide in, and lets a restriction be appealed against once or more"
    )]
    Appeal,
    /// A limit of waiting counts further than it can, or two say the same.
    #[error(
        "a limit of waiting counts in the region, a hospital or a department, no two of a layer the same, and names 0 to {}",
        WaitLimit::MOST_MAX
    )]
    Waitlist,
    /// A cool-down follows from nothing, or lasts no time or too long.
    #[error(
        "a layer has at most {LAYER_COOLDOWNS_MAX} cool-downs, each after a cancel, a release or an expiry, for a minute to {COOLDOWN_DAYS_MAX} days"
    )]
    Cooldown,
    /// A rule about persons names no number, one that is too large, or one of a kind that there is not.
    #[error(
        "a rule about persons says of accounts, telephones or patients how many others they have: 1 to {PERSONS_MAX} patients of an account, patients and accounts of a telephone, accounts of a patient; 1 to {CHANGES_MAX} changes in a day or longer; and 0 to {PERSONS_MAX} new patients in 1 to 1440 minutes, where it says how many an account has"
    )]
    Persons,
    /// A rule about probing counts too few refusals, or in no time or too long a one.
    #[error("a rule about probing counts 2 refusals or more in 1 to {PROBING_MINUTES_MAX} minutes")]
    Probing,
}
