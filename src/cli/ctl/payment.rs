//! `haoyuan ctl order`, `pay`, `refund`, `refunds` and `name-patient`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::attested::Attested;
use super::{ChangeTask, CtlArguments, Origin, Output, PatientName, fresh_id, ids, show, told};
use crate::cli::failure::Failure;
use crate::cli::ids::uuid;
use crate::client::{CallError, Client};
use crate::model::{
    AccountId, AppointmentId, Bill, ClientKey, ClientKeys, NamePatient, Order, Pay, PaymentKind,
    PaymentRef, Query, Refund, RequestId, Role, Timestamp,
};
use crate::ops::clock::Clock;

/// What is done with payments, and with holds that name nobody yet.
#[derive(Debug, Subcommand)]
pub(super) enum PaymentTask {
    /// Move the deadline of a hold to that of a payment order; a rule says how far
    #[command(
        after_help = "Example:\n  haoyuan ctl order 0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f --minutes 30"
    )]
    Order {
        #[command(flatten)]
        target: ChangeTask,
        /// How long the order can be paid, in minutes from now
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=2_880))]
        minutes: u32,
    },
    /// Book a hold with a payment of a kind, also when the hold is over
    #[command(
        after_help = "Example:\n  haoyuan ctl pay 0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f --payment 42 --kind insurance"
    )]
    Pay {
        #[command(flatten)]
        target: ChangeTask,
        /// The payment's reference: a number or 32 hex digits
        #[arg(long, value_parser = ids::payment)]
        payment: PaymentRef,
        /// Who pays: self-pay, insurance, pre-authorization
        #[arg(long, default_value = "self-pay", value_parser = kind)]
        kind: PaymentKind,
    },
    /// Record that money was given back
    #[command(
        after_help = "Example:\n  haoyuan ctl refund 0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f --payment 42 --reference 4711"
    )]
    Refund {
        /// For which appointment it was paid
        #[arg(value_parser = ids::appointment)]
        appointment: AppointmentId,
        /// Which payment
        #[arg(long, value_parser = ids::payment)]
        payment: PaymentRef,
        /// The reference of what was given back
        #[arg(long, value_parser = ids::payment)]
        reference: PaymentRef,
        /// The id of the request; a new one if absent. Give it again to ask again
        #[arg(long, value_parser = ids::request)]
        id: Option<RequestId>,
    },
    /// List what is owed back, or the payments of one appointment
    #[command(after_help = "Example:\n  haoyuan ctl refunds --json")]
    Refunds {
        /// The appointment
        #[arg(value_parser = ids::appointment)]
        appointment: Option<AppointmentId>,
    },
    /// Name the patient of a hold that an account has
    #[command(
        after_help = "Example:\n  haoyuan ctl name-patient 0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f --account-text 13800000000 --patient-text 'Li Lei'"
    )]
    NamePatient {
        /// Which hold
        #[arg(value_parser = ids::appointment)]
        appointment: AppointmentId,
        #[command(flatten)]
        account: KeyNames,
        #[command(flatten)]
        patient: PatientName,
        /// The id of the request; a new one if absent. Give it again to ask again
        #[arg(long, value_parser = ids::request)]
        id: Option<RequestId>,
        #[command(flatten)]
        attested: Attested,
        #[command(flatten)]
        origin: Origin,
    },
}

/// Who is logged in.
#[derive(Debug, Args)]
#[group(required = false, multiple = false)]
pub(super) struct AccountName {
    /// The account: 32 hex digits
    #[arg(long, value_name = "HEX", value_parser = ids::account)]
    account: Option<AccountId>,
    /// The account, by any text, which is hashed here
    #[arg(long, value_name = "TEXT")]
    account_text: Option<String>,
}

/// With which telephone.
#[derive(Debug, Args)]
#[group(required = false, multiple = false)]
struct PhoneName {
    /// The telephone: 32 hex digits
    #[arg(long, value_name = "HEX", value_parser = ids::phone)]
    phone: Option<ClientKey>,
    /// The telephone, by any text, which is hashed here
    #[arg(long, value_name = "TEXT")]
    phone_text: Option<String>,
}

/// Who stands behind a request.
#[derive(Debug, Args)]
pub(super) struct KeyNames {
    #[command(flatten)]
    account: AccountName,
    #[command(flatten)]
    phone: PhoneName,
}

impl AccountName {
    /// The key of the account.
    pub(super) fn id(&self) -> Option<AccountId> {
        let named = || self.account_text.as_deref().map(ids::account_named);
        self.account.or_else(named)
    }
}

impl KeyNames {
    /// The keys of a request.
    pub(super) fn keys(&self) -> ClientKeys {
        let PhoneName { phone, phone_text } = &self.phone;
        let phone = phone.or_else(|| phone_text.as_deref().map(ids::phone_named));
        ClientKeys { account: self.account.id(), phone, ..ClientKeys::default() }
    }
}

fn kind(text: &str) -> Result<PaymentKind, String> {
    let found = PaymentKind::ALL.into_iter().find(|kind| kind.name() == text);
    found.ok_or_else(|| "a kind is one of self-pay, insurance, pre-authorization".to_owned())
}

/// Runs one of them.
pub(super) fn run(arguments: &CtlArguments, task: &PaymentTask) -> Result<(), Failure> {
    let (connection, json) = (&arguments.connection, arguments.json);
    match task {
        PaymentTask::Order { target, minutes } => {
            let millis = u64::from(*minutes) * 60_000;
            let order = Order {
                request: target.id.unwrap_or_else(fresh_id),
                appointment: target.appointment,
                patient: target.patient.id(),
                channel: target.origin.channel,
                until: Clock::start().now().plus_millis(millis),
            };
            connection.run(Role::Counter, async |client| {
                show::receipt(order.appointment, &told(client.order(order).await, json)?, json)
            })
        }
        PaymentTask::Pay { target, payment, kind } => {
            let pay = Pay {
                request: target.id.unwrap_or_else(fresh_id),
                appointment: target.appointment,
                patient: target.patient.id(),
                channel: target.origin.channel,
                kind: *kind,
                payment: *payment,
            };
            connection.run(Role::Counter, async |client| {
                let receipt = told(client.pay(pay).await, json)?;
                // Another appointment, where the hold was over.
                let booked = receipt.appointment.unwrap_or(pay.appointment);
                show::receipt(booked, &receipt, json)
            })
        }
        PaymentTask::Refund { appointment, payment, reference, id } => {
            let request = id.unwrap_or_else(fresh_id);
            let (appointment, payment, reference) = (*appointment, *payment, *reference);
            let refund = Refund { request, appointment, payment, reference };
            connection.run(Role::Counter, async |client| {
                show::receipt(appointment, &told(client.refund(refund).await, json)?, json)
            })
        }
        PaymentTask::Refunds { appointment } => connection.run(Role::Counter, async |client| {
            let bills = told(all(&client, *appointment).await, json)?;
            print(&bills, json)
        }),
        PaymentTask::NamePatient { appointment, account, patient, id, attested, origin } => {
            let name = NamePatient {
                request: id.unwrap_or_else(fresh_id),
                appointment: *appointment,
                patient: patient.needed()?,
                keys: account.keys(),
                channel: origin.channel,
                class: origin.class,
                attributes: attested.attributes(),
            };
            connection.run(Role::Counter, async |client| {
                show::receipt(*appointment, &told(client.name_patient(name).await, json)?, json)
            })
        }
    }
}

/// All pages.
async fn all(client: &Client, of: Option<AppointmentId>) -> Result<Vec<Bill>, CallError> {
    let (mut bills, mut after) = (Vec::new(), AppointmentId(0));
    loop {
        let page = client.bills(Query::ReadBills { appointment: of, after }).await?;
        bills.extend(page.bills);
        let Some(next) = page.next else { return Ok(bills) };
        after = next;
    }
}

fn print(bills: &[Bill], json: bool) -> Result<(), Failure> {
    let mut output = Output::new();
    for bill in bills {
        if json {
            output.json(&as_json(bill))?;
        } else {
            let (id, state) = (uuid(bill.appointment.0), bill.refund.name());
            let (kind, payment) = (bill.kind.name(), bill.payment.0);
            let since = show::time(bill.since);
            output.line(format_args!("{id} {kind} {payment:032x} refund {state} since {since}"))?;
        }
    }
    if bills.is_empty() && !json {
        output.line("nothing")?;
    }
    output.flush()
}

fn as_json(bill: &Bill) -> Value {
    let reference = |reference: PaymentRef| format!("{:032x}", reference.0);
    json!({
        "appointment": uuid(bill.appointment.0),
        "patient": format!("{:032x}", bill.patient.0),
        "organization": bill.organization.0,
        "kind": bill.kind.name(),
        "payment": reference(bill.payment),
        "since_ms": Timestamp::as_millis(bill.since),
        "refund": bill.refund.name(),
        "reference": bill.reference.map(reference),
        "rebooked": bill.rebooked.map(|id| uuid(id.0)),
    })
}
