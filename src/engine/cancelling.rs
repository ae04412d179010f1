//! Decides whether a place is left in time.
//!
//! ```text
//! each place that is given back: the nearest rule about it -> deadline <= now?
//!   refused, unless the channel may leave later      marked: LeftLate, with the earliest deadline
//! ```

use super::view::{Context, View};
use crate::model::{
    Appointment, AppointmentStatus, Attributes, BookingChannel, LateCancel, LeftLate, Outcome,
    Place, Refusal, Role, RuleKey, RuleRef, RuleWhy, Timestamp,
};

/// What comes of leaving the places of an appointment now: nothing, a mark, or a refusal. It binds
/// who acts for patients.
pub(super) fn leave(
    view: &View<'_>,
    context: &Context<'_>,
    appointment: &Appointment,
    channel: BookingChannel,
) -> Result<Option<LeftLate>, Refusal> {
    let by_patient = matches!(context.actor.role, Role::Gateway | Role::Counter);
    if !by_patient || appointment.status == AppointmentStatus::Pending {
        return Ok(None);
    }
    let rules = context.rules;
    let mut mark: Option<LeftLate> = None;
    for claim in appointment.places() {
        let Some(session) = view.session(claim.session) else { continue };
        let place = Place::of(session.spec());
        let said = rules.nearest(
            &place,
            |when| when.holds(appointment.class, Attributes::default()),
            |layer| layer.cancel.as_ref(),
        );
        let applied = said.filter(|(_, rule)| context.applies(RuleKey::Cancel, rule.mode));
        let Some((layer, rule)) = applied else { continue };
        let deadline = rule.until.of(&rules.civil, session.spec().slot_start(claim.slot));
        if context.now < deadline {
            continue;
        }
        if rule.late == LateCancel::Refuse && !rule.later.contains(channel) {
            let why = context.why(RuleKey::Cancel, layer);
            let why = RuleWhy { since: deadline, through: rule.later, ..why };
            let late = too_late(context.now, deadline, appointment.status);
            return Err(Refusal { why: Some(why), ..late });
        }
        let rule = RuleRef { version: rules.version, layer, tier: 0 };
        let left =
            LeftLate { appointment: appointment.id, patient: appointment.patient, deadline, rule };
        if mark.is_none_or(|other| deadline < other.deadline) {
            mark = Some(left);
        }
    }
    Ok(mark)
}

/// The hint says how long ago the deadline was: there is nothing to wait for.
fn too_late(now: Timestamp, deadline: Timestamp, status: AppointmentStatus) -> Refusal {
    Refusal { status: Some(status), ..Refusal::until(Outcome::CancelTooLate, deadline, now) }
}
