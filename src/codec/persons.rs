//! Layouts of rules about persons, and of who is bound to whom.
//!
//! ```text
//! persons   option account, option phone, option patient, option new patients, mode u8
//!   each    patients u8, accounts u8, option (most u8, period u8, u16 its length)
//!   new     most u8, minutes u16
//! bound     tie u8, holder u128, bound u128, option instead of u128, beyond u8, rule, u8 n, n days u32
//! ```

use crate::model::limits::CHANGES_MAX;
use crate::model::{Bound, Changes, Day, NewPatients, PersonsRule, Tie, TieRule};

layout_code!(Tie { AccountPatient, PhonePatient, PhoneAccount, PatientAccount });
layout_struct!(Changes { most, period });
layout_struct!(NewPatients { most, minutes });
layout_struct!(TieRule { patients, accounts, changes });
layout_struct!(PersonsRule { account, phone, patient, new_patients, mode });

type Days = Vec<Day>;
layout_list!(DayList<Day>, Days, u8, CHANGES_MAX as usize, "more changes than are kept");
layout_with_lists!(Bound {
    tie,
    holder,
    other,
    instead_of,
    is_beyond,
    rule,
    changed as DayList<Days>,
});
