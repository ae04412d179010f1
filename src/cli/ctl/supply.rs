//! `haoyuan ctl` for places that are given already: moves.

use clap::Subcommand;

use super::{CtlArguments, HoldClaims, Origin, PatientName, fresh_id, show, told};
use crate::cli::failure::Failure;
use crate::cli::ids;
use crate::model::{AppointmentId, RequestId, Reschedule, Role};

#[derive(Debug, Subcommand)]
pub(super) enum SupplyTask {
    /// Move an appointment to other places: all new ones are taken and all old ones freed, or nothing
    #[command(
        after_help = "Example:\n  haoyuan ctl reschedule 0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f 1002 --slot 4,5"
    )]
    Reschedule {
        /// Which appointment
        #[arg(value_parser = ids::appointment)]
        appointment: AppointmentId,
        #[command(flatten)]
        claims: HoldClaims,
        /// The id of the request; a new one if absent. Give it again to ask again
        #[arg(long, value_parser = ids::request)]
        id: Option<RequestId>,
        #[command(flatten)]
        patient: PatientName,
        #[command(flatten)]
        origin: Origin,
    },
}

/// Runs a task of this file.
pub(super) fn run(arguments: &CtlArguments, task: &SupplyTask) -> Result<(), Failure> {
    let CtlArguments { connection, json, .. } = arguments;
    let json = *json;
    match task {
        SupplyTask::Reschedule { appointment, claims, id, patient, origin } => {
            let ask = Reschedule {
                request: id.unwrap_or_else(fresh_id),
                appointment: *appointment,
                patient: patient.id(),
                channel: origin.channel,
                claims: claims.claims()?,
            };
            connection.run(Role::Counter, async |client| {
                let receipt = told(client.reschedule(ask).await, json)?;
                show::receipt(*appointment, &receipt, json)
            })
        }
    }
}
