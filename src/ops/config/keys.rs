//! The one list of configuration keys.

use crate::model::limits::CHANNELS_MAX;

/// One key of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name, with the table before a dot.
    pub name: &'static str,
    /// The unit of its value.
    pub unit: &'static str,
    /// The least and the greatest value; `None` where it is no number.
    pub range: Option<(u64, u64)>,
    /// What it is for, in one sentence.
    pub what: &'static str,
}

/// Every key, in the order of the documentation.
pub const KEYS: &[Key] = &[
    text("listen", "address", "Where clients connect (UDP)."),
    text("metrics", "address", "Where metrics and health are served; absent: nowhere."),
    text("data_dir", "path", "The folder of journal and snapshots."),
    text(
        "draw_key",
        "path",
        "The secret that draws are made from; absent: keys/draw.key in the data folder.",
    ),
    number("worker_threads", "threads", 0, 1_024, "Serve connections; 0 is one for each core."),
    number(
        "engine.retention_hours",
        "hours",
        1,
        720,
        "Requests and ended appointments are remembered.",
    ),
    number(
        "engine.appointments_max",
        "appointments",
        1,
        1 << 32,
        "Kept in memory; beyond it the node is overloaded.",
    ),
    number(
        "engine.hold_minutes",
        "minutes",
        1,
        1_440,
        "A hold lasts where the session document says nothing.",
    ),
    number(
        "engine.refusals_kept",
        "refusals",
        0,
        1 << 24,
        "Remembered in memory for `ctl explain`, 96 bytes each as they come; 0 keeps none.",
    ),
    text(
        "journal.durability",
        "commit | none",
        "Answers wait for the disk; none is for measurements only.",
    ),
    number(
        "journal.queue_bytes",
        "bytes",
        1 << 20,
        1 << 30,
        "Records that wait for the disk; beyond it requests are shed.",
    ),
    number(
        "journal.snapshot_every_records",
        "records",
        100,
        1 << 40,
        "A snapshot is taken after so many.",
    ),
    number(
        "journal.snapshot_every_minutes",
        "minutes",
        1,
        10_080,
        "A snapshot is taken after so long, if anything changed.",
    ),
    number(
        "journal.tree_blocks",
        "blocks",
        2,
        4_000,
        "Of up to 7,000 bytes; the log is pruned in trees of so many.",
    ),
    number(
        "journal.archive_files",
        "files",
        0,
        1_000_000,
        "The newest files of pruned records are kept; 0 keeps all.",
    ),
    number(
        "journal.commit_delay_us",
        "microseconds",
        0,
        1_000_000,
        "Every commit waits; for tests of slow disks.",
    ),
    number(
        "limits.delay_max_ms",
        "milliseconds",
        0,
        10_000,
        "A new hold may wait for the disk; what would wait longer is shed. 0 sheds only when the queue is full.",
    ),
    number(
        "limits.connections_max",
        "connections",
        1,
        65_536,
        "At a time; the next one is refused.",
    ),
    number(
        "limits.connections_per_certificate",
        "connections",
        1,
        65_536,
        "Of one client certificate at a time; the next one is closed with code 5.",
    ),
    number(
        "limits.mtu_max",
        "bytes",
        1_200,
        6_500,
        "Of a UDP packet; absent: what suits the address (loopback takes the longest).",
    ),
    text("certificates.ca", "path", "PEM of the authority that signs clients' certificates."),
    text("certificates.cert", "path", "PEM of the node's certificate."),
    text("certificates.key", "path", "PEM of its private key."),
    text(
        "certificates.revoked",
        "path",
        "PEM of the lists of revoked certificates (CRL); absent: nobody is revoked.",
    ),
    text("channels", "number = name", "Names of booking channels, 0 to 63."),
    text("log.format", "text | json", "The form of a log line."),
    text("log.level", "filter", "From which level on: error, warn, info, debug, trace."),
];

impl Key {
    /// Unit and range, for people: `(minutes, 1 to 1440)`.
    pub fn bounds(&self) -> String {
        match self.range {
            Some((least, greatest)) => format!("({}, {least} to {greatest})", self.unit),
            None => format!("({})", self.unit),
        }
    }
}

const fn number(
    name: &'static str,
    unit: &'static str,
    least: u64,
    greatest: u64,
    what: &'static str,
) -> Key {
    Key { name, unit, range: Some((least, greatest)), what }
}

const fn text(name: &'static str, unit: &'static str, what: &'static str) -> Key {
    Key { name, unit, range: None, what }
}

// What `channels` of KEYS promises.
const _: () = assert!(CHANNELS_MAX == 64);
