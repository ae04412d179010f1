//! Layouts of cool-downs: what a layer says, and for what somebody waits.
//!
//! ```text
//! rule      after u8 (bit 0 cancel, 1 release, 2 expiry), within u8, unit u8 (1 minutes, 2 hours,
//!           3 days, 4 minutes after the return; + 16 for an account, + 32 for a telephone),
//!           how many u16, mode u8
//! Cooled    patient u128, u8 n, n (appointment u128, scope, since u64, until u64, rule,
//!           mode u8, + 16 of an account, + 32 of a telephone)
//! ```

use crate::model::limits::LAYER_COOLDOWNS_MAX;
use crate::model::{
    AppointmentId, Cooldown, CooldownLength, CooldownRule, Cooled, CountedOf, EndingSet, RuleMode,
    RuleRef, RuleScope, ScopeKind, Timestamp,
};

layout_number!(EndingSet);
type Parts = (EndingSet, ScopeKind, u8, u16, RuleMode);
layout_checked!(
    CooldownRule as Parts,
    |rule| {
        let (unit, length) = rule.length.parts();
        (rule.after, rule.within, unit | (rule.of as u8) << 4, length, rule.mode)
    },
    |(after, within, unit, length, mode)| {
        let length = CooldownLength::of_parts(unit & 0xf, length)?;
        let of = *WHO.get(usize::from(unit >> 4))?;
        Some(CooldownRule { after, within, length, of, mode })
    },
    "CooldownRule"
);
type Kept = (AppointmentId, RuleScope, Timestamp, Timestamp, RuleRef, u8);
layout_checked!(
    Cooldown as Kept,
    |it| {
        let mode = it.mode as u8 | (it.of as u8) << 4;
        (it.appointment, it.within, it.since, it.until, it.rule, mode)
    },
    |(appointment, within, since, until, rule, mode)| {
        let of = *WHO.get(usize::from(mode >> 4))?;
        let mode = *MODES.get(usize::from(mode & 0xf))?;
        Some(Cooldown { appointment, within, since, until, rule, of, mode })
    },
    "Cooldown"
);

/// Who waits, by number.
const WHO: [CountedOf; 3] = [CountedOf::Patient, CountedOf::Account, CountedOf::Phone];

/// Whether it is applied, by number.
const MODES: [RuleMode; 2] = [RuleMode::Enforce, RuleMode::Shadow];

type Rules = Vec<CooldownRule>;
layout_list!(
    CooldownRules<CooldownRule>,
    Rules,
    u8,
    LAYER_COOLDOWNS_MAX,
    "more cool-downs than a layer has"
);
type List = Vec<Cooldown>;
layout_list!(CooldownList<Cooldown>, List, u8, u8::MAX as usize, "more than one record carries");
layout_with_lists!(Cooled { patient, cooldowns as CooldownList<List> });
