//! Layouts of cool-downs: what a layer says, and for what somebody waits.
//!
//! ```text
//! rule      after u8 (bit 0 cancel, 1 release, 2 expiry), within u8, unit u8 (1 minutes, 2 hours,
//!           3 days), how many u16, mode u8
//! Cooled    patient u128, u8 n, n (appointment u128, scope, since u64, until u64, rule, mode u8)
//! ```

use crate::model::limits::LAYER_COOLDOWNS_MAX;
use crate::model::{Cooldown, CooldownLength, CooldownRule, Cooled, EndingSet};

layout_number!(EndingSet);
layout_checked!(
    CooldownLength as (u8, u16),
    |length| length.parts(),
    |(unit, length)| CooldownLength::of_parts(unit, length),
    "CooldownLength"
);
layout_struct!(CooldownRule { after, within, length, mode });
layout_struct!(Cooldown { appointment, within, since, until, rule, mode });

type Rules = Vec<CooldownRule>;
layout_list!(
    CooldownRules<CooldownRule>,
    Rules,
    u8,
    LAYER_COOLDOWNS_MAX,
    "more cool-downs than a layer has"
);
type Kept = Vec<Cooldown>;
layout_list!(CooldownList<Cooldown>, Kept, u8, u8::MAX as usize, "more than one record carries");
layout_with_lists!(Cooled { patient, cooldowns as CooldownList<Kept> });
