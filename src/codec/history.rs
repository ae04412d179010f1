//! Layouts of what is kept of appointments that are over.
//!
//! ```text
//! recorded   patient u128, u8 ending, u32 booked, u32 ended, u8 n, n visits
//! visit      place, u8 appointment type, u32 day, u8 half
//! past       visit, u8 ending, u32 booked, u32 ended, u8 joined
//! ```

use crate::model::limits::CLAIMS_MAX;
use crate::model::{Ending, HalfDay, Past, Recorded, Visit, Visits};

layout_code!(Ending { Fulfilled, Missed, Cancelled, Released, Expired, Probed, Booked, Late });
layout_code!(HalfDay { Morning, Afternoon });
layout_struct!(Visit { place, appointment_type, day, half });
layout_struct!(Past { visit, ending, booked, ended, is_joined });
layout_list!(
    VisitList<Visit>,
    Visits,
    u8,
    CLAIMS_MAX,
    "more visits than an appointment has claims"
);
layout_with_lists!(Recorded { patient, ending, booked, ended, visits as VisitList<Visits> });
