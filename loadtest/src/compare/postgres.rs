//! `PostgreSQL`: the server, and a client with one function for each operation.
//!
//! ```text
//! initdb once, tables, functions -> a copy of the folder for each run -> postgres on loopback
//! 50 connections, prepared statements, pipelined; each call is a transaction of its own
//! ```
//!
//! **Architecture invariant:** what an answer survives is read back from the server, never assumed.

use std::error::Error;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use bytes::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, accepts, to_sql_checked};
use tokio_postgres::{Config, NoTls, Statement};

use super::contest::Durability;
use super::drive::{Account, Ask, Client};
use super::server::{Server, free_port, text};
use crate::supply::Supply;
use crate::{Failure, clock};

const SCHEMA: &str = include_str!("../../peers/schema.sql");
const FUNCTIONS: &str = include_str!("../../peers/functions.sql");

/// What an administrator sets for a machine that does nothing else: memory, a log that is not written
/// anew in the middle of a run, no compiler for functions of a millisecond. Tables that are empty when
/// a statement is first planned must not be read from front to back for ever after.
const SETTINGS: [&str; 10] = [
    "shared_buffers=1GB",
    "max_wal_size=8GB",
    "checkpoint_timeout=30min",
    "max_connections=100",
    "wal_buffers=64MB",
    "jit=off",
    "enable_seqscan=off",
    "huge_pages=try",
    "autovacuum_naptime=10s",
    "logging_collector=off",
];

/// The role and the database of a run.
const ROLE: &str = "loadtest";
const DATABASE: &str = "postgres";

/// Whom it runs as, where we are root: it refuses to.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// Its programs, a folder with everything but a run, and whom it runs as.
#[derive(Debug)]
pub(super) struct Installation {
    programs: PathBuf,
    folder: tempfile::TempDir,
    user: Option<(u32, u32)>,
}

/// A server that listens.
#[derive(Debug)]
pub(super) struct Postgres {
    pub(super) server: Server,
    port: u16,
    data: PathBuf,
}

/// A connection that is shared by the positions of a window.
#[derive(Clone)]
pub(super) struct PostgresClient {
    client: Arc<tokio_postgres::Client>,
    statements: Arc<Statements>,
}

struct Statements {
    hold: Statement,
    book: Statement,
    cancel: Statement,
    expire: Statement,
}

impl Installation {
    /// Makes a database with tables and functions in it, in a folder of its own.
    pub(super) async fn new(programs: PathBuf, base: Option<&Path>) -> Result<Self, Failure> {
        let folder = super::server::folder(base)?;
        let user = unprivileged()?;
        if let Some((user, group)) = user {
            chown(folder.path(), Some(user), Some(group))?;
        }
        let installation = Self { programs, folder, user };
        let template = installation.template();
        let mut make = installation.command("initdb");
        make.args(["--no-sync", "--auth", "trust", "--username", ROLE, "--pgdata"]).arg(&template);
        done(make)?;
        let postgres = installation.serve(template, Durability::On).await?;
        let client = plain(postgres.port).await?;
        client.batch_execute(SCHEMA).await?;
        client.batch_execute(FUNCTIONS).await?;
        drop(client);
        installation.shut(&postgres.data)?;
        Ok(installation)
    }

    fn template(&self) -> PathBuf {
        self.folder.path().join("template")
    }

    /// A program of it, run as whom it must.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(self.folder.path()).env("LC_ALL", "C");
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    fn stop(&self, data: &Path, mode: &str) -> Command {
        let mut command = self.command("pg_ctl");
        command.args(["stop", "--wait", "--mode", mode, "--pgdata"]).arg(data);
        command
    }

    /// Stops it so that its folder can be copied.
    fn shut(&self, data: &Path) -> Result<(), Failure> {
        done(self.stop(data, "fast"))
    }

    /// Starts a server on a fresh copy.
    pub(super) async fn start(&self, durability: Durability) -> Result<Postgres, Failure> {
        let data = self.folder.path().join("run");
        if data.exists() {
            std::fs::remove_dir_all(&data)?;
        }
        let mut copy = Command::new("cp");
        copy.args(["--archive", "--reflink=auto"]).arg(self.template()).arg(&data);
        done(copy)?;
        self.serve(data, durability).await
    }

    async fn serve(&self, data: PathBuf, durability: Durability) -> Result<Postgres, Failure> {
        let port = free_port()?;
        let mut command = self.command("postgres");
        let log = std::fs::File::create(self.folder.path().join("log"))?;
        command.arg("-D").arg(&data).args(["-p", &port.to_string(), "-h", "127.0.0.1"]);
        command.arg("-k").arg(self.folder.path()).stderr(Stdio::from(log));
        command.args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
        command.args(["-c", &format!("synchronous_commit={}", durability.name())]);
        let stop = self.stop(&data, "immediate");
        let mut server = Server::start(command, Some(stop))?;
        server.until_ready(async || plain(port).await).await?;
        Ok(Postgres { server, port, data })
    }
}

impl Postgres {
    /// A connection more.
    pub(super) async fn connect(&self) -> Result<PostgresClient, Failure> {
        let client = plain(self.port).await?;
        let statements = Statements {
            hold: client.prepare("SELECT hold($1, $2, $3, $4, $5, $6, $7, $8)").await?,
            book: client.prepare("SELECT book($1, $2)").await?,
            cancel: client.prepare("SELECT cancel($1)").await?,
            expire: client.prepare("SELECT expire($1)").await?,
        };
        Ok(PostgresClient { client: Arc::new(client), statements: Arc::new(statements) })
    }

    /// Has everything that was opened written out, so that a run does not pay for it.
    pub(super) async fn settle(&self) -> Result<(), Failure> {
        let client = plain(self.port).await?;
        // Neither runs beside another statement.
        client.batch_execute("VACUUM ANALYZE").await?;
        Ok(client.batch_execute("CHECKPOINT").await?)
    }
}

/// Whom to run as: nobody else, unless we are root.
fn unprivileged() -> Result<Option<(u32, u32)>, Failure> {
    use std::os::unix::fs::MetadataExt;
    if std::fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd")?;
    let find = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2);
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    };
    let found = USERS.iter().find_map(|name| find(name));
    found.map(Some).ok_or_else(|| "it does not run as root, and there is no other user".into())
}

fn done(mut command: Command) -> Result<(), Failure> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let program = text(Path::new(command.get_program()));
    Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
}

async fn plain(port: u16) -> Result<tokio_postgres::Client, Failure> {
    let mut config = Config::new();
    config.host("127.0.0.1").port(port).user(ROLE).dbname(DATABASE);
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// A number of 128 bits as the server keeps it.
#[derive(Debug)]
struct Uuid(u128);

impl ToSql for Uuid {
    #[expect(clippy::big_endian_bytes, reason = "a UUID is written from its first byte on")]
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(&self.0.to_be_bytes());
        Ok(IsNull::No)
    }

    accepts!(UUID);
    to_sql_checked!();
}

impl PostgresClient {
    async fn code(
        &self,
        statement: &Statement,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<u16, Failure> {
        let row = self.client.query_one(statement, values).await?;
        Ok(u16::try_from(row.try_get::<_, i16>(0)?)?)
    }

    async fn number(&self, query: &str, values: &[&(dyn ToSql + Sync)]) -> Result<u64, Failure> {
        let row = self.client.query_one(query, values).await?;
        Ok(u64::try_from(row.try_get::<_, i64>(0)?)?)
    }

    async fn setting(&self, name: &str) -> Result<String, Failure> {
        let row = self.client.query_one(&format!("SHOW {name}"), &[]).await?;
        Ok(format!("{name} {}", row.try_get::<_, String>(0)?))
    }
}

impl Client for PostgresClient {
    async fn hold(&mut self, ask: &Ask) -> Result<u16, Failure> {
        let (id, patient, account) = (Uuid(ask.id), Uuid(ask.patient), Uuid(ask.account));
        let (session, slot) = (ask.session.cast_signed(), ask.slot.cast_signed());
        let (deadline, most) = (ask.deadline.cast_signed(), i32::from(ask.most));
        let now = clock::wall().as_millis().cast_signed();
        let values: [&(dyn ToSql + Sync); 8] =
            [&id, &patient, &account, &session, &slot, &deadline, &most, &now];
        self.code(&self.statements.hold, &values).await
    }

    async fn book(&mut self, ask: &Ask, now: u64) -> Result<u16, Failure> {
        self.code(&self.statements.book, &[&Uuid(ask.id), &now.cast_signed()]).await
    }

    async fn cancel(&mut self, ask: &Ask) -> Result<u16, Failure> {
        self.code(&self.statements.cancel, &[&Uuid(ask.id)]).await
    }

    async fn expire(&mut self, now: u64) -> Result<u64, Failure> {
        let row = self.client.query_one(&self.statements.expire, &[&now.cast_signed()]).await?;
        Ok(u64::try_from(row.try_get::<_, i64>(0)?)?)
    }

    async fn restrict(&mut self, patient: u128) -> Result<(), Failure> {
        let insert = "INSERT INTO restriction VALUES ($1, 9223372036854775807)";
        self.client.execute(insert, &[&Uuid(patient)]).await?;
        Ok(())
    }

    async fn open(&mut self, supply: &Supply) -> Result<(), Failure> {
        let insert = "INSERT INTO slot SELECT session, slot, $4 \
            FROM generate_series($1, $2) AS session, generate_series(0, $3) AS slot";
        let (first, last) = (supply.first, supply.first + u64::from(supply.sessions) - 1);
        let (first, last) = (first.cast_signed(), last.cast_signed());
        let (slots, places) = (supply.slots.cast_signed() - 1, i32::from(supply.quota));
        let types = [Type::INT8, Type::INT8, Type::INT4, Type::INT4];
        let insert = self.client.prepare_typed(insert, &types).await?;
        self.client.execute(&insert, &[&first, &last, &slots, &places]).await?;
        Ok(())
    }

    async fn account(&mut self, supply: &Supply) -> Result<Account, Failure> {
        let sum = "SELECT sum(free)::bigint FROM slot WHERE session BETWEEN $1 AND $2";
        let last = supply.first + u64::from(supply.sessions) - 1;
        let free = self.number(sum, &[&supply.first.cast_signed(), &last.cast_signed()]).await?;
        let count = "SELECT count(*) FROM appointment WHERE status <> 'c'";
        Ok(Account { free, live: self.number(count, &[]).await? })
    }

    async fn durability(&mut self) -> Result<String, Failure> {
        let commit = self.setting("synchronous_commit").await?;
        Ok(format!("{commit}, {}", self.setting("fsync").await?))
    }
}

/// What the server must say of its durability.
pub(super) fn expected(durability: Durability) -> String {
    format!("synchronous_commit {}, fsync on", durability.name())
}
