//! Layouts of probing: what a layer says, and who probed.
//!
//! ```text
//! rule     refusals u16, minutes u16, of u8, mode u8
//! probed   appointment u128, patient u128, of u8, class u8, session u64, visit, count u16, since u64,
//!          rule, mode u8
//! ```

use crate::model::{Probed, ProbingRule};

layout_struct!(ProbingRule { refusals, minutes, of, mode });
layout_struct!(Probed {
    appointment,
    patient,
    of,
    class,
    session,
    visit,
    count,
    since,
    rule,
    mode,
});
