//! What is kept of an appointment when it is over.
//!
//! ```text
//! held --> released | expired                 booked --> cancelled | fulfilled, late or not | missed
//!            `---------------- Recorded: its visits, the day it was made, the day it ended
//! ```
//!
//! What the patient did not bring about is not kept: a place that was blocked, an offer that was left,
//! an entry that was not drawn.
//!
//! **Architecture invariant:** it is kept whatever rules are in force, for those that come later.

use super::view::{Context, View};
use crate::model::{Action, Appointment, AppointmentStatus, Day, Ending, Fact, Recorded};

/// What is kept of an appointment that ends.
pub(super) fn recorded(
    view: &View<'_>,
    context: &Context<'_>,
    appointment: &Appointment,
    ending: Ending,
) -> Option<Fact> {
    let Appointment { id, patient, .. } = *appointment;
    if !is_own_doing(view, appointment) {
        return None;
    }
    let civil = &context.rules.civil;
    let line = view.lines(patient).find(|live| live.appointment() == id)?;
    let visits = appointment
        .claims
        .iter()
        .filter_map(|claim| Some(view.stay(context, claim.session)?.visit(civil, claim.slot)));
    let ended = civil.day_of(context.now);
    // A snapshot of a version that kept no histories does not say.
    let booked = line.since().map_or(Day(0), |since| civil.day_of(since));
    let recorded = Recorded { patient, ending, booked, ended, visits: visits.collect() };
    (!recorded.visits.is_empty()).then(|| Fact::Recorded(Box::new(recorded)))
}

/// Whether the end of an appointment, if it comes now, can be the patient's doing: it is no offer, has
/// its places, and does not wait for a draw.
pub(super) fn is_own_doing(view: &View<'_>, appointment: &Appointment) -> bool {
    let Appointment { id, patient, .. } = *appointment;
    let is_offer = appointment.is_offer() || view.offered(patient, id).is_some();
    !is_offer && !appointment.is_displaced() && appointment.draw().is_none()
}

/// How an appointment ends by an action, whose patient came late or did not; `None` where it goes on.
pub(super) const fn ending_of(
    action: Action,
    status: AppointmentStatus,
    is_late: bool,
) -> Option<Ending> {
    match (action, status) {
        (Action::Release, AppointmentStatus::Cancelled) => Some(Ending::Released),
        (Action::Cancel, AppointmentStatus::Cancelled) => Some(Ending::Cancelled),
        (_, AppointmentStatus::Fulfilled) if is_late => Some(Ending::Late),
        (_, AppointmentStatus::Fulfilled) => Some(Ending::Fulfilled),
        (_, AppointmentStatus::NoShow) => Some(Ending::Missed),
        _ => None,
    }
}
