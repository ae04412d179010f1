//! `haoyuan ctl` for places that are given already: moves.

use clap::{Args, Subcommand};

use super::{CtlArguments, HoldClaims, Origin, PatientName, fresh_id, show, told};
use crate::cli::failure::Failure;
use crate::cli::ids;
use crate::model::{
    AccountId, AddPlace, AppointmentId, BlockSession, Command, DepartmentId, OrganizationId,
    PatientId, PaymentRef, Query, RequestId, Reschedule, ResourceId, Role, SessionId, SlotIndex,
    Substitute,
};

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
    /// List the nearest places that an appointment could move to now
    #[command(
        after_help = "Example:\n  haoyuan ctl alternatives 0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f"
    )]
    Alternatives {
        /// Which appointment; or give --session and --slot
        #[arg(value_parser = ids::appointment, required_unless_present = "session")]
        appointment: Option<AppointmentId>,
        /// Of a place in this session
        #[arg(long, value_parser = ids::session)]
        session: Option<SessionId>,
        /// Of this slot
        #[arg(long, default_value_t = 0)]
        slot: u16,
        /// Consecutive slots
        #[arg(long, default_value_t = 1)]
        count: u8,
        #[command(flatten)]
        patient: PatientName,
        #[command(flatten)]
        origin: Origin,
    },
    /// Close slots of a session: nothing there can be held, and who was booked there is displaced
    #[command(after_help = "Examples:
  haoyuan ctl block 1001 --reason 3              all slots
  haoyuan ctl block 1001 --first 12 --count 6 --reason 3")]
    Block(BlockTask),
    /// Open blocked slots again; who was displaced stays displaced
    Unblock(BlockTask),
    /// Put another resource into a session; appointments stay
    #[command(after_help = "Example:\n  haoyuan ctl substitute 1001 4712 --reason 3")]
    Substitute {
        /// The session
        #[arg(value_parser = ids::session)]
        session: SessionId,
        /// Who or what takes over
        resource: u64,
        #[command(flatten)]
        why: Why,
    },
    /// Add a place for one patient, and book it
    #[command(after_help = "Example:\n  haoyuan ctl add 1001 --slot 3 --patient-text 'Li Lei'")]
    Add {
        /// The session
        #[arg(value_parser = ids::session)]
        session: SessionId,
        /// The slot
        #[arg(long)]
        slot: u16,
        /// The payment, where it is paid already
        #[arg(long, value_parser = ids::payment)]
        payment: Option<PaymentRef>,
        #[command(flatten)]
        why: Why,
        #[command(flatten)]
        patient: PatientName,
        #[command(flatten)]
        origin: Origin,
    },
    /// List displaced appointments that have no other places yet
    #[command(after_help = "Examples:
  haoyuan ctl displaced
  haoyuan ctl displaced --session 1001
  haoyuan ctl displaced --organization 1 --department 12")]
    Displaced {
        /// Those that were in this session
        #[arg(long, value_parser = ids::session)]
        session: Option<SessionId>,
        /// Those that were in a department of this organization
        #[arg(long, requires = "department")]
        organization: Option<u32>,
        /// The department
        #[arg(long, requires = "organization")]
        department: Option<u32>,
    },
}

#[derive(Debug, Args)]
pub(super) struct BlockTask {
    /// The session
    #[arg(value_parser = ids::session)]
    session: SessionId,
    /// The first slot
    #[arg(long, default_value_t = 0)]
    first: u16,
    /// How many slots; to the end if absent
    #[arg(long)]
    count: Option<u16>,
    #[command(flatten)]
    why: Why,
}

/// Why something is changed, by whom, and under which id.
#[derive(Debug, Args)]
pub(super) struct Why {
    /// The reason, a code of the hospital
    #[arg(long, default_value_t = 0)]
    reason: u16,
    /// Who does it: 32 hex digits
    #[arg(long, value_name = "HEX", value_parser = ids::patient)]
    by: Option<PatientId>,
    /// The id of the request; a new one if absent. Give it again to ask again
    #[arg(long, value_parser = ids::request)]
    id: Option<RequestId>,
}

impl Why {
    fn request(&self) -> RequestId {
        self.id.unwrap_or_else(fresh_id)
    }

    fn by(&self) -> Option<AccountId> {
        self.by.map(|by| AccountId(by.0))
    }
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
        SupplyTask::Alternatives { appointment, session, slot, count, patient, origin } => {
            let query = Query::Alternatives {
                appointment: *appointment,
                session: session.unwrap_or_default(),
                slot: SlotIndex(*slot),
                count: *count,
                patient: patient.id(),
                channel: origin.channel,
                class: origin.class,
            };
            connection.run(Role::Counter, async |client| {
                show::alternatives(&told(client.alternatives(query).await, json)?, json)
            })
        }
        SupplyTask::Block(task) => block(arguments, task, true),
        SupplyTask::Unblock(task) => block(arguments, task, false),
        SupplyTask::Substitute { session, resource, why } => {
            let command = Command::Substitute(Substitute {
                request: why.request(),
                session: *session,
                resource: ResourceId(*resource),
                reason: why.reason,
                by: why.by(),
            });
            connection.run(Role::Admin, async |client| {
                show::done(*session, &told(client.alter(command).await, json)?, json)
            })
        }
        SupplyTask::Add { session, slot, payment, why, patient, origin } => {
            let appointment = AppointmentId(why.request().0);
            let command = Command::AddPlace(AddPlace {
                appointment,
                patient: patient.needed()?,
                session: *session,
                slot: SlotIndex(*slot),
                channel: origin.channel,
                class: origin.class,
                payment: *payment,
                reason: why.reason,
                by: why.by(),
            });
            connection.run(Role::Practitioner, async |client| {
                show::receipt(appointment, &told(client.alter(command).await, json)?, json)
            })
        }
        SupplyTask::Displaced { session, organization, department } => {
            let department = organization.zip(*department);
            let department = department.map(|(o, d)| (OrganizationId(o), DepartmentId(d)));
            connection.run(Role::Counter, async |client| {
                let mut after = AppointmentId(0);
                loop {
                    let query = Query::Displaced { session: *session, department, after };
                    let page = told(client.displaced(query).await, json)?;
                    show::appointments(&page.appointments, json)?;
                    match page.next {
                        Some(next) => after = next,
                        None => return Ok(()),
                    }
                }
            })
        }
    }
}

/// Closes slots, or opens them again. Without a count, to the end: the session says where that is.
fn block(arguments: &CtlArguments, task: &BlockTask, is_blocked: bool) -> Result<(), Failure> {
    let CtlArguments { connection, json, .. } = arguments;
    let json = *json;
    connection.run(Role::Admin, async |client| {
        let count = if let Some(count) = task.count {
            count
        } else {
            let reading = told(client.session(task.session).await, json)?;
            let slots = u16::try_from(reading.session.slot_count()).unwrap_or(u16::MAX);
            slots.saturating_sub(task.first)
        };
        let command = Command::BlockSession(BlockSession {
            request: task.why.request(),
            session: task.session,
            first: SlotIndex(task.first),
            count,
            is_blocked,
            reason: task.why.reason,
            by: task.why.by(),
        });
        show::done(task.session, &told(client.alter(command).await, json)?, json)
    })
}
