//! `haoyuan cert`: certificates for a node and its clients.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::cert_revoke::{self, RevokeArguments};
use super::certs::{self, AUTHORITY, SERVER};
use super::failure::Failure;
use super::output::Output;
use crate::model::{Actor, BookingChannel, ChannelSet, OrganizationId, Organizations, Role};
use crate::ops::cert::{Authority, Pair, Validity};
use crate::ops::clock::Clock;

/// Makes the certificates by which node and clients know each other
///
/// A client's certificate says what it may do: one role, the organizations that it may touch, and
/// the channels that it may name. Keys are written so that only their owner can read them. Keep
/// ca.key off the node: it is needed to sign, and for nothing else.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CertArguments {
    #[command(subcommand)]
    kind: Kind,
}

const EXAMPLES: &str = "Example: a node and a gateway for hospital 1, channels 3 and 4:
  haoyuan cert ca --out pki
  haoyuan cert server --ca pki --out pki --name node1.example.org
  haoyuan cert client --ca pki --out pki --role gateway --organization 1 --channel 3,4 --days 90
  haoyuan cert revoke --ca pki --list pki/revoked.pem pki/gateway.pem";

#[derive(Debug, Subcommand)]
enum Kind {
    /// Make an authority: ca.pem for everybody, ca.key for who signs
    #[command(after_help = "Example:\n  haoyuan cert ca --out pki --days 3650")]
    Ca {
        #[command(flatten)]
        target: Target,
    },
    /// Make a node's certificate: server.pem and server.key
    #[command(
        after_help = "Example:\n  haoyuan cert server --ca pki --out pki --name localhost --name 10.0.0.5"
    )]
    Server {
        #[command(flatten)]
        target: Target,
        /// The folder of the authority
        #[arg(long, value_name = "DIR")]
        ca: PathBuf,
        /// A name or address under which clients reach the node; may be given several times
        #[arg(long = "name", value_name = "NAME", required = true)]
        names: Vec<String>,
    },
    /// Make a client's certificate: `<role>.pem` and `<role>.key`
    #[command(
        after_help = "Example:\n  haoyuan cert client --ca pki --out pki --role counter --organization 1,2"
    )]
    Client {
        #[command(flatten)]
        target: Target,
        /// The folder of the authority
        #[arg(long, value_name = "DIR")]
        ca: PathBuf,
        /// What the client is: gateway, counter, practitioner, admin, auditor, observer, replica
        #[arg(long, value_parser = role)]
        role: Role,
        /// The organizations that it may touch, by number; all if absent
        #[arg(long = "organization", value_name = "NUMBER", value_delimiter = ',')]
        organizations: Vec<u32>,
        /// The channels that it may name, 0 to 63; all if absent
        #[arg(long = "channel", value_name = "NUMBER", value_delimiter = ',', value_parser = channel)]
        channels: Vec<BookingChannel>,
        /// The name of the files, if not that of the role
        #[arg(long, value_name = "NAME")]
        file: Option<String>,
    },
    /// Put certificates on the list of those that are not good any more
    ///
    /// The list is made if it is not there, and keeps whom it named before. Nodes whose
    /// configuration names it (certificates.revoked) cut off the clients within seconds. Without a
    /// certificate an empty list is made, or a list is signed anew.
    #[command(
        after_help = "Example:\n  haoyuan cert revoke --ca pki --list pki/revoked.pem pki/gateway.pem"
    )]
    Revoke(RevokeArguments),
}

#[derive(Debug, Args)]
struct Target {
    /// The folder that the files go to; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Days that the certificate is good for
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
}

/// Reads a role's name.
pub(super) fn role(text: &str) -> Result<Role, String> {
    let names = Role::ALL.map(Role::name).join(", ");
    Role::from_name(text).ok_or_else(|| format!("a role is one of {names}"))
}

/// Reads a channel's number.
pub(super) fn channel(text: &str) -> Result<BookingChannel, String> {
    let channel = text.parse().ok().and_then(BookingChannel::new);
    channel.ok_or_else(|| "a channel is a number from 0 to 63".to_owned())
}

/// Runs the command.
pub(super) fn run(arguments: &CertArguments) -> Result<(), Failure> {
    match &arguments.kind {
        Kind::Ca { target } => {
            let authority = Authority::new(target.validity()).map_err(|it| certs::of_cert(&it))?;
            write(&target.out, AUTHORITY, &authority.pair())
        }
        Kind::Server { target, ca, names } => {
            let pair = certs::authority(ca)?.server(names, target.validity());
            write(&target.out, SERVER, &pair.map_err(|it| certs::of_cert(&it))?)
        }
        Kind::Client { target, ca, role, organizations, channels, file } => {
            let actor = actor(*role, organizations, channels)?;
            let pair = certs::authority(ca)?.client(role.name(), &actor, target.validity());
            let name = file.as_deref().unwrap_or_else(|| role.name());
            write(&target.out, name, &pair.map_err(|it| certs::of_cert(&it))?)
        }
        Kind::Revoke(arguments) => cert_revoke::run(arguments),
    }
}

impl Target {
    fn validity(&self) -> Validity {
        Validity { now: Clock::start().now(), days: self.days }
    }
}

fn actor(role: Role, organizations: &[u32], channels: &[BookingChannel]) -> Result<Actor, Failure> {
    let mut actor = Actor::unbounded(role);
    if !organizations.is_empty() {
        let mut only = arrayvec::ArrayVec::new();
        for number in organizations {
            only.try_push(OrganizationId(*number)).map_err(|_| {
                Failure::usage("a certificate names at most 32 organizations", "name none for all")
            })?;
        }
        actor.organizations = Organizations::Only(only);
    }
    if !channels.is_empty() {
        actor.channels = channels.iter().fold(ChannelSet(0), |set, channel| set.with(*channel));
    }
    Ok(actor)
}

fn write(folder: &Path, name: &str, pair: &Pair) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(|error| {
        Failure::usage(
            format!("cannot make {}: {error}", folder.display()),
            "name a folder that you may write to with --out",
        )
    })?;
    if certs::key(folder, name).exists() {
        return Err(Failure::usage(
            format!("{} is there already", certs::key(folder, name).display()),
            "name another folder with --out, or move the old files away",
        ));
    }
    let (pem, key) = pair.write(folder, name).map_err(|error| certs::of_cert(&error))?;
    let mut output = Output::new();
    output.line(format_args!("wrote {} and {}", pem.display(), key.display()))?;
    output.flush()
}
