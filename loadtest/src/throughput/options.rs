//! The flags of `throughput`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::load::{Mix, PATIENTS};
use crate::node::Keep;

/// How throughput is measured.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// A running node instead of one of our own; may be given several times
    #[arg(long, value_name = "ADDR", requires = "certs")]
    pub(crate) server: Vec<SocketAddr>,
    /// The folder with authority.pem, gateway.pem, gateway.key, admin.pem, admin.key for --server
    #[arg(long, value_name = "DIR")]
    pub(crate) certs: Option<PathBuf>,
    /// Connections, one stream each
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) connections: u32,
    /// Requests under way on each connection
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=8_192))]
    pub(crate) window: u32,
    /// How long is measured; less where 60 % of the places are taken before
    #[arg(long, default_value_t = 10.0, value_name = "S")]
    pub(crate) seconds: f64,
    /// How long before that
    #[arg(long, default_value_t = 2.0, value_name = "S")]
    pub(crate) warmup: f64,
    /// What is sent
    #[arg(long, value_enum, default_value_t)]
    pub(crate) mix: Mix,
    /// One session of 288 × 10,000 places at a time, any slot, instead of all at once
    #[arg(long)]
    pub(crate) hot: bool,
    /// What an acknowledged change survives, for a node of our own
    #[arg(long, value_enum, default_value_t)]
    pub(crate) durability: Keep,
    /// Answers of a connection to collect before new requests are sent
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) batch: u32,
    /// Threads of the generator
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: u32,
    /// Threads of our node that move packets
    #[arg(long, default_value_t = 2)]
    pub(crate) node_threads: usize,
    /// Sessions
    #[arg(long, default_value_t = 12_500, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) sessions: u32,
    /// Slots of a session
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=288))]
    pub(crate) slots: u32,
    /// Places of a slot
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) quota: u16,
    /// Patients
    #[arg(long, default_value_t = PATIENTS, value_name = "N", conflicts_with = "hot")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(PATIENTS)))]
    pub(crate) patients: u32,
    /// The account of each patient has named them before: one hold each, given back
    #[arg(long, conflicts_with = "hot")]
    pub(crate) known: bool,
    /// A rule: so many live appointments of one patient at the most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=200))]
    pub(crate) limit: Option<u16>,
    /// A document of rules in force while it is measured
    #[arg(long, value_name = "FILE", conflicts_with = "limit")]
    pub(crate) rules: Option<PathBuf>,
    /// Where our node keeps its store; a temporary folder if not given
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Takes a snapshot of our node while it is measured
    #[arg(long)]
    pub(crate) snapshot: bool,
    /// Audits the store of our node afterwards; takes its time
    #[arg(long)]
    pub(crate) audit: bool,
    /// Where the random numbers start
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// One JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

impl Options {
    /// A short run with few sessions that audits its store: for the smoke test.
    pub(crate) const fn small(mix: Mix, hot: bool, seconds: f64) -> Self {
        Self {
            server: Vec::new(),
            certs: None,
            connections: 4,
            window: 64,
            seconds,
            warmup: 0.2,
            mix,
            hot,
            durability: Keep::Commit,
            batch: 1,
            threads: 1,
            node_threads: 2,
            sessions: 1_000,
            slots: 40,
            quota: 20,
            patients: PATIENTS,
            known: false,
            limit: None,
            rules: None,
            data_dir: None,
            snapshot: false,
            audit: true,
            seed: 1,
            json: false,
        }
    }
}
