//! Accounts that know their patients: each has named them before anything is measured.
//!
//! In life an account names a patient once, and books for years. A hold by an account that has never named
//! its patient is another, longer request.
//!
//! **Architecture invariant:** nothing is left of it but whom accounts have: each place is given back.

use haoyuan::client::Lane;
use haoyuan::model::{
    AccountId, Action, AppointmentId, BookingChannel, Change, ClaimRequest, ClientKeys, Hold,
    PatientId, RequestId, SessionId, SlotChoice, SlotIndex, Timestamp,
};
use haoyuan::protocol::{Reply, Request};

use crate::load::{Plan, account_key, patient_key};
use crate::pipeline::pipeline;
use crate::random::mix;
use crate::{Failure, clock};

/// Holds a place for every patient of a plan, by its account, and gives it back.
pub(super) async fn name_all(lane: &mut Lane, plan: &Plan) -> Result<(), Failure> {
    let now = clock::wall();
    let take = |patient, reply| match reply {
        Reply::Receipt(_) => Ok(()),
        other => Err(format!("patient {patient} was not named: {other:?}").into()),
    };
    pipeline(lane, plan.patients, |patient| hold(plan, now, patient), take).await?;
    pipeline(lane, plan.patients, |patient| release(now, patient), take).await
}

fn hold(plan: &Plan, now: Timestamp, patient: u32) -> Request {
    let supply = &plan.supply;
    // All slots in turn: they have places for everybody.
    let index = u64::from(patient) % supply.slot_count() as u64;
    let (session, slot) = (index / u64::from(supply.slots), index % u64::from(supply.slots));
    let slot = SlotIndex(u16::try_from(slot).expect("a session has at most 288 slots"));
    let claim = ClaimRequest {
        session: SessionId(supply.first + session),
        count: 1,
        slots: SlotChoice::at(slot),
    };
    let key = patient_key(patient);
    Request::from(Hold {
        keys: ClientKeys { account: Some(AccountId(account_key(key))), ..ClientKeys::default() },
        ..Hold::of(appointment(now, patient), PatientId(key), [claim])
    })
}

fn release(now: Timestamp, patient: u32) -> Request {
    Request::from(Change {
        request: id(now, patient, 2),
        appointment: appointment(now, patient),
        patient: Some(PatientId(patient_key(patient))),
        channel: BookingChannel::default(),
        action: Action::Release,
    })
}

fn appointment(now: Timestamp, patient: u32) -> AppointmentId {
    AppointmentId(id(now, patient, 1).0)
}

/// The nth request about a patient.
fn id(now: Timestamp, patient: u32, nth: u64) -> RequestId {
    let number = u64::from(patient) << 2 | nth;
    RequestId::from_parts(now, u128::from(mix(number)))
}
