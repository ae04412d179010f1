//! Redis: the server, and a client with one Lua script for each operation.
//!
//! ```text
//! redis-server on loopback <-- 50 multiplexed connections, EVALSHA, keys of a few bytes
//! ```
//!
//! **Architecture invariant:** what an answer survives is read back from the server, never assumed.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use haoyuan::model::Role;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, RedisConnectionInfo, Value};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::contest::{Durability, System};
use super::drive::{Account, Ask, Client};
use super::server::{Server, free_port, text};
use crate::supply::Supply;
use crate::{Failure, certs};

/// The program.
pub(super) const PROGRAM: &str = "redis-server";

const HOLD: &str = include_str!("../../peers/hold.lua");
const HOLD_LEAN: &str = include_str!("../../peers/hold_lean.lua");
const BOOK: &str = include_str!("../../peers/book.lua");
const CANCEL: &str = include_str!("../../peers/cancel.lua");
const EXPIRE: &str = include_str!("../../peers/expire.lua");
const FILL: &str = include_str!("../../peers/fill.lua");
const COUNT: &str = include_str!("../../peers/count.lua");

/// Deadlines.
const DUE: &str = "due";

/// A server that listens.
#[derive(Debug)]
pub(super) struct Redis {
    pub(super) server: Server,
    port: u16,
    tls: Option<Arc<ClientConfig>>,
    /// The hashes of the scripts.
    scripts: Arc<Scripts>,
}

#[derive(Debug)]
struct Scripts {
    hold: String,
    book: String,
    cancel: String,
    expire: String,
    fill: String,
    count: String,
}

/// A connection that is shared by the positions of a window.
#[derive(Clone)]
pub(super) struct RedisClient {
    connection: MultiplexedConnection,
    scripts: Arc<Scripts>,
}

impl Redis {
    /// Starts a server in a folder, with a script for holds as the system says.
    pub(super) async fn start(
        folder: &Path,
        system: System,
        durability: Durability,
        tls: bool,
    ) -> Result<Self, Failure> {
        let port = free_port()?;
        let mut command = Command::new(PROGRAM);
        command.args(arguments(folder, port, durability));
        let tls = if tls { Some(secured(folder, port, &mut command)?) } else { None };
        let mut server = Server::start(command, None)?;
        let mut connection = server.until_ready(async || connect(port, tls.as_ref()).await).await?;
        let hold = if system == System::RedisLean { HOLD_LEAN } else { HOLD };
        let scripts = Arc::new(Scripts::load(&mut connection, hold).await?);
        Ok(Self { server, port, tls, scripts })
    }

    /// A connection more.
    pub(super) async fn connect(&self) -> Result<RedisClient, Failure> {
        let connection = connect(self.port, self.tls.as_ref()).await?;
        Ok(RedisClient { connection, scripts: Arc::clone(&self.scripts) })
    }
}

/// No snapshots and no rewriting of the log in the middle of a run, and nothing that counts latencies:
/// all of it is to the server's advantage.
fn arguments(folder: &Path, port: u16, durability: Durability) -> Vec<String> {
    let (append, sync) = match durability {
        Durability::Always => ("yes", "always"),
        Durability::Everysec => ("yes", "everysec"),
        _ => ("no", "no"),
    };
    let folder = text(folder);
    let pairs = [
        ("--port", port.to_string()),
        ("--bind", "127.0.0.1".to_owned()),
        ("--dir", folder),
        ("--daemonize", "no".to_owned()),
        ("--logfile", "redis.log".to_owned()),
        ("--loglevel", "warning".to_owned()),
        ("--save", String::new()),
        ("--appendonly", append.to_owned()),
        ("--appendfsync", sync.to_owned()),
        ("--auto-aof-rewrite-percentage", "0".to_owned()),
        ("--latency-tracking", "no".to_owned()),
    ];
    pairs.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
}

/// TLS on both sides, as a node has it: a certificate for each, of one authority.
fn secured(folder: &Path, port: u16, command: &mut Command) -> Result<Arc<ClientConfig>, Failure> {
    let certificates = folder.join("certs");
    certs::make(&certificates)?;
    let file = |name: &str| text(&certificates.join(name));
    command.args(["--port", "0", "--tls-port", &port.to_string()]);
    command.args(["--tls-cert-file", &file("node.pem"), "--tls-key-file", &file("node.key")]);
    command.args(["--tls-ca-cert-file", &file("authority.pem"), "--tls-auth-clients", "yes"]);
    command.args(["--tls-protocols", "TLSv1.3"]);
    let mut client = certs::identity(&certificates, Role::Gateway.name())?.client(&[])?;
    client.alpn_protocols.clear();
    Ok(Arc::new(client))
}

async fn connect(
    port: u16,
    tls: Option<&Arc<ClientConfig>>,
) -> Result<MultiplexedConnection, Failure> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let about = RedisConnectionInfo::default();
    // An answer after an fsync may take its time, and a window of requests is written at once.
    let config =
        AsyncConnectionConfig::new().set_response_timeout(None).set_pipeline_buffer_size(256);
    let connection = match tls {
        None => {
            let (connection, driver) =
                MultiplexedConnection::new_with_config(&about, stream, config).await?;
            tokio::spawn(driver);
            connection
        }
        Some(tls) => {
            let connector = TlsConnector::from(Arc::clone(tls));
            let stream = connector.connect(certs::SERVER_NAME.try_into()?, stream).await?;
            let (connection, driver) =
                MultiplexedConnection::new_with_config(&about, stream, config).await?;
            tokio::spawn(driver);
            connection
        }
    };
    Ok(connection)
}

impl Scripts {
    async fn load(connection: &mut MultiplexedConnection, hold: &str) -> Result<Self, Failure> {
        let mut load = async |script: &str| {
            let mut command = Cmd::new();
            command.arg("SCRIPT").arg("LOAD").arg(script);
            Ok::<String, Failure>(command.query_async(connection).await?)
        };
        Ok(Self {
            hold: load(hold).await?,
            book: load(BOOK).await?,
            cancel: load(CANCEL).await?,
            expire: load(EXPIRE).await?,
            fill: load(FILL).await?,
            count: load(COUNT).await?,
        })
    }
}

impl RedisClient {
    async fn number(&mut self, command: &Cmd) -> Result<i64, Failure> {
        match self.connection.send_packed_command(command).await? {
            Value::Int(number) => Ok(number),
            other => Err(format!("Redis answered {other:?}").into()),
        }
    }

    async fn code(&mut self, command: &Cmd) -> Result<u16, Failure> {
        Ok(u16::try_from(self.number(command).await?)?)
    }

    async fn setting(&mut self, name: &str) -> Result<String, Failure> {
        let mut command = Cmd::new();
        command.arg("CONFIG").arg("GET").arg(name);
        let pair: Vec<String> = command.query_async(&mut self.connection).await?;
        Ok(pair.join(" "))
    }
}

/// A key of a letter and bytes.
fn key<const N: usize>(letter: u8, parts: &[&[u8]]) -> [u8; N] {
    let mut key = [letter; N];
    let bytes = parts.iter().flat_map(|part| part.iter());
    key.iter_mut().skip(1).zip(bytes).for_each(|(place, byte)| *place = *byte);
    key
}

fn hold_key(ask: &Ask) -> [u8; 17] {
    key(b'h', &[&ask.id.to_le_bytes()])
}

fn slot_key(ask: &Ask) -> [u8; 11] {
    key(b's', &[&ask.session.to_le_bytes(), &ask.slot.to_le_bytes()])
}

fn person_key(ask: &Ask) -> [u8; 17] {
    key(b'l', &[&ask.patient.to_le_bytes()])
}

fn block_key(patient: u128) -> [u8; 17] {
    key(b'r', &[&patient.to_le_bytes()])
}

/// Patient, session, slot and account.
fn record(ask: &Ask) -> [u8; 42] {
    let parts: [&[u8]; 4] = [
        &ask.patient.to_le_bytes(),
        &ask.session.to_le_bytes(),
        &ask.slot.to_le_bytes(),
        &ask.account.to_le_bytes(),
    ];
    let mut record = [0; 42];
    let bytes = parts.iter().flat_map(|part| part.iter());
    record.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
    record
}

/// The beginning of a call of a script with so many keys.
fn call(script: &str, keys: u32) -> Cmd {
    let mut command = Cmd::new();
    command.arg("EVALSHA").arg(script).arg(keys);
    command
}

impl Client for RedisClient {
    async fn hold(&mut self, ask: &Ask) -> Result<u16, Failure> {
        let mut command = call(&self.scripts.hold, 5);
        command.arg(&hold_key(ask)).arg(&slot_key(ask)).arg(&person_key(ask));
        command.arg(&block_key(ask.patient)).arg(DUE).arg(&record(ask));
        command.arg(&ask.session.to_le_bytes()).arg(&ask.id.to_le_bytes());
        command.arg(ask.deadline).arg(ask.most);
        self.code(&command).await
    }

    async fn book(&mut self, ask: &Ask, now: u64) -> Result<u16, Failure> {
        let mut command = call(&self.scripts.book, 2);
        command.arg(&hold_key(ask)).arg(DUE).arg(&ask.id.to_le_bytes()).arg(now);
        self.code(&command).await
    }

    async fn cancel(&mut self, ask: &Ask) -> Result<u16, Failure> {
        let mut command = call(&self.scripts.cancel, 4);
        command.arg(&hold_key(ask)).arg(&slot_key(ask)).arg(&person_key(ask)).arg(DUE);
        command.arg(&ask.session.to_le_bytes()).arg(&ask.id.to_le_bytes());
        self.code(&command).await
    }

    async fn expire(&mut self, now: u64) -> Result<u64, Failure> {
        let mut command = call(&self.scripts.expire, 1);
        command.arg(DUE).arg(now);
        Ok(u64::try_from(self.number(&command).await?)?)
    }

    async fn restrict(&mut self, patient: u128) -> Result<(), Failure> {
        let mut command = Cmd::new();
        command.arg("SET").arg(&block_key(patient)).arg(1);
        Ok(command.query_async(&mut self.connection).await?)
    }

    async fn open(&mut self, supply: &Supply) -> Result<(), Failure> {
        let mut command = call(&self.scripts.fill, 0);
        command.arg(supply.first).arg(supply.sessions).arg(supply.slots).arg(supply.quota);
        self.number(&command).await.map(|_| ())
    }

    async fn account(&mut self, supply: &Supply) -> Result<Account, Failure> {
        let mut command = call(&self.scripts.count, 0);
        command.arg(supply.first).arg(supply.sessions).arg(supply.slots);
        let free = u64::try_from(self.number(&command).await?)?;
        let mut command = Cmd::new();
        command.arg("ZCARD").arg(DUE);
        Ok(Account { free, live: u64::try_from(self.number(&command).await?)? })
    }

    async fn durability(&mut self) -> Result<String, Failure> {
        let append = self.setting("appendonly").await?;
        Ok(format!("{append}, {}", self.setting("appendfsync").await?))
    }
}

/// What the server must say of its durability.
pub(super) const fn expected(durability: Durability) -> &'static str {
    match durability {
        Durability::Always => "appendonly yes, appendfsync always",
        Durability::Everysec => "appendonly yes, appendfsync everysec",
        _ => "appendonly no, appendfsync no",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_the_scripts_take_apart() {
        let ask = Ask {
            id: 7,
            patient: 0x0100,
            account: 3,
            session: 9,
            slot: 0x0201,
            deadline: 1,
            most: 1,
        };
        assert_eq!(slot_key(&ask), *b"s\x09\0\0\0\0\0\0\0\x01\x02");
        assert_eq!(person_key(&ask)[..4], *b"l\0\x01\0");
        // expire.lua finds person and slot in the record.
        assert_eq!(record(&ask)[..16], person_key(&ask)[1..]);
        assert_eq!(record(&ask)[16..26], slot_key(&ask)[1..]);
    }
}
