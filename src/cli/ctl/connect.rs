//! From flags to a client: where the node is, who we are.

use std::future::Future;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::cli::failure::Failure;
use crate::cli::{cert, certs};
use crate::client::{CallError, Client, ClientConfig};
use crate::model::{Outcome, Refusal, Role};
use crate::ops::config::Config;
use crate::protocol::ALPN;

/// How to reach the node, and as whom.
#[derive(Debug, Args)]
pub(in crate::cli) struct Connection {
    /// Where the node listens
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7433", global = true)]
    server: String,
    /// The name in the node's certificate
    #[arg(long, value_name = "NAME", default_value = "localhost", global = true)]
    server_name: String,
    /// The folder of ca.pem, `<role>.pem` and `<role>.key`; by default that of `serve --dev`
    #[arg(long, value_name = "DIR", global = true)]
    certs: Option<PathBuf>,
    /// As whom: gateway, counter, practitioner, admin, auditor, observer; by default who may do it
    #[arg(long, value_parser = cert::role, global = true)]
    role: Option<Role>,
    /// Seconds that the node may take to answer
    #[arg(long, value_name = "SECONDS", default_value_t = 10, global = true)]
    patience: u64,
}

impl Connection {
    /// Runs `work` with a client, in a runtime of its own.
    pub(super) fn run<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        role: Role,
        work: impl FnOnce(Client) -> F,
    ) -> Result<T, Failure> {
        self.run_beside(&Config::default().data_dir, role, work)
    }

    /// As [`run`](Self::run), of a node that serves `data_dir`: where `serve --dev` put its
    /// certificates.
    pub(in crate::cli) fn run_beside<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        data_dir: &Path,
        role: Role,
        work: impl FnOnce(Client) -> F,
    ) -> Result<T, Failure> {
        let addresses = self.addresses()?;
        let folder = self.certs.clone().unwrap_or_else(|| certs::dev_folder(data_dir));
        let name = self.role.unwrap_or(role).name();
        let tls =
            certs::identity(&folder, name)?.client(ALPN).map_err(|error| certs::of_tls(&error))?;
        let mut config = ClientConfig::new(addresses, &self.server_name, tls);
        config.deadline = Duration::from_secs(self.patience);
        "haoyuan ctl".clone_into(&mut config.name);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let client = Client::new(&config).map_err(|error| of_call(&error))?;
            let done = work(client).await;
            // The farewell is sent by tasks of the connection; without it the node would wait.
            for _ in 0..FAREWELL_TURNS {
                tokio::task::yield_now().await;
            }
            done
        })
    }

    fn addresses(&self) -> Result<Vec<SocketAddr>, Failure> {
        let found = self.server.to_socket_addrs().map_err(|error| {
            Failure::usage(
                format!("{} is no address: {error}", self.server),
                "give an address and a port with --server, as 127.0.0.1:7433",
            )
        })?;
        Ok(found.collect())
    }
}

/// What a failed call means for who asked.
pub(in crate::cli) fn of_call(error: &CallError) -> Failure {
    let advice = match error {
        CallError::Refused(refusal) => of_refusal(*refusal),
        CallError::Unavailable(_) => {
            "is the node running there? What was asked may have been done: ask again with the \
             same --id, or look with `haoyuan ctl get`"
        }
        CallError::Gone { .. } => "watch from a later record with --from",
        _ => "check --certs and --server-name: the node must know our certificate, and we its",
    };
    Failure::failed(error.to_string(), advice)
}

/// What to do about a refusal.
fn of_refusal(refusal: Refusal) -> &'static str {
    match refusal.outcome {
        Outcome::RoleNotPermitted => "use a certificate of another role with --role",
        Outcome::ChannelNotPermitted | Outcome::ChannelNotShared => {
            "name the channel that it was booked through, or one of your certificate, with --channel"
        }
        Outcome::OrganizationNotPermitted => "use a certificate that names the organization",
        Outcome::SoldOut => "try another slot or session; places come back when holds expire",
        Outcome::SessionNotFound => "open the session first with `haoyuan ctl open`",
        Outcome::SlotNotFound | Outcome::SlotInPast => {
            "`haoyuan ctl availability SESSION` shows the slots"
        }
        Outcome::PoolNotFound => "no pool of the session is for this --channel and --class",
        Outcome::AlreadyHasAppointment => "`haoyuan ctl list PATIENT` shows the appointment",
        Outcome::AppointmentNotFound => "check the id, and the patient if one was given",
        Outcome::HoldExpired | Outcome::WrongStatus => {
            "`haoyuan ctl get APPOINTMENT` shows where it stands"
        }
        Outcome::TooLate => "the session takes nobody so late; a practitioner may still see them",
        Outcome::NobodyWaiting => "`haoyuan ctl queue SESSION` shows who checked in",
        Outcome::IdReused => "leave --id away to get a new one",
        outcome if outcome.is_transient() => "try again in a moment",
        _ => "docs/protocol.md explains every outcome",
    }
}

/// Turns of the runtime that closing a connection takes at most.
const FAREWELL_TURNS: usize = 64;
