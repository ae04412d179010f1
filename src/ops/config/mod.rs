//! The configuration: a TOML file under flags, every key with its unit, range and default.
//!
//! ```text
//! file --> Config (unknown keys rejected) --> flags override --> check() --> Config that is right
//!                                                   `--> render(): what --print-config prints
//! ```
//!
//! **Architecture invariant:** [`KEYS`] is the one list of keys. Ranges are checked by it, the
//! printed configuration is commented from it, and a test holds it against `docs/operations.md`.

mod keys;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use self::keys::{KEYS, Key};
use crate::model::{BookingChannel, Ttl};

/// Everything that can be set. `Default` is fit for a laptop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where clients connect (UDP).
    pub listen: SocketAddr,
    /// Where `/metrics`, `/healthz` and `/readyz` are served; nowhere if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<SocketAddr>,
    /// The folder of journal and snapshots.
    pub data_dir: PathBuf,
    /// The key file of draws; `keys/draw.key` in the data folder if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draw_key: Option<PathBuf>,
    /// Threads that serve connections; 0 is one for each core.
    pub worker_threads: usize,
    /// See [`EngineConfig`].
    pub engine: EngineConfig,
    /// See [`JournalConfig`].
    pub journal: JournalConfig,
    /// See [`LimitsConfig`].
    pub limits: LimitsConfig,
    /// See [`CertificatesConfig`].
    pub certificates: CertificatesConfig,
    /// Names of booking channels, by number.
    pub channels: BTreeMap<String, String>,
    /// See [`LogConfig`].
    pub log: LogConfig,
}

/// What the engine remembers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineConfig {
    /// Hours that requests and ended appointments are remembered.
    pub retention_hours: u64,
    /// Appointments in memory.
    pub appointments_max: u64,
    /// Minutes that a hold lasts where the client says nothing.
    pub hold_minutes: u32,
    /// Refusals that are remembered to be explained.
    pub refusals_kept: usize,
}

/// What survives what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JournalConfig {
    /// When an answer leaves.
    pub durability: Durability,
    /// Bytes of records that wait for the disk.
    pub queue_bytes: u64,
    /// Records after which a snapshot is taken.
    pub snapshot_every_records: u64,
    /// Minutes after which a snapshot is taken.
    pub snapshot_every_minutes: u64,
    /// Blocks in a tree of the log: what is pruned at once.
    pub tree_blocks: u32,
    /// Files of pruned records that are kept; 0 keeps all.
    pub archive_files: u64,
    /// Microseconds that every commit waits, for tests of slow disks.
    pub commit_delay_us: u64,
}

/// When an answer leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// After its record is on the disk.
    #[default]
    Commit,
    /// At once; a power cut forgets what was answered. For measurements only.
    None,
}

/// What a client may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Milliseconds that a new hold may wait for the disk; 0 sheds only when the queue is full.
    pub delay_max_ms: u64,
    /// Connections at a time.
    pub connections_max: u32,
    /// Connections at a time of one client certificate.
    pub connections_per_certificate: u32,
    /// Bytes of a UDP packet at most; what suits the address if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu_max: Option<u16>,
}

/// Who the node is, and whom it believes. The first three or none (with `--dev`). All are read again
/// when they change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CertificatesConfig {
    /// PEM of the authority that signed the clients' certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// PEM of the node's certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<PathBuf>,
    /// PEM of its private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// PEM of the lists of revoked certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<PathBuf>,
}

/// How the node tells what it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// Text or JSON.
    pub format: LogFormat,
    /// From which level on.
    pub level: String,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// Why a configuration is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {reason}; give --config a readable TOML file")]
    Unreadable {
        /// Which file.
        path: String,
        /// Why.
        reason: std::io::Error,
    },
    /// The file is no TOML, or has a key that is none.
    #[error("{path}: {reason}\ncorrect the file; `haoyuan serve --print-config` prints every key")]
    Malformed {
        /// Which file.
        path: String,
        /// Where and why.
        reason: String,
    },
    /// A number is out of range.
    #[error("{key} = {value} is out of range; it takes {least} to {greatest} {unit}")]
    OutOfRange {
        /// Which key.
        key: &'static str,
        /// What it was set to.
        value: u64,
        /// The least value.
        least: u64,
        /// The greatest value.
        greatest: u64,
        /// The unit.
        unit: &'static str,
    },
    /// Some of the three certificate paths are missing.
    #[error("certificates.{missing} is missing; set ca, cert and key, or use --dev on a laptop")]
    Certificates {
        /// Which one.
        missing: &'static str,
    },
    /// A channel has no number that is one, or no name.
    #[error(
        "channels.{number} = {name:?}: a channel is a number from 0 to 63 and a name that is not empty"
    )]
    Channel {
        /// What stands before the equals sign.
        number: String,
        /// What stands after it.
        name: String,
    },
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7_433)),
            metrics: None,
            data_dir: PathBuf::from("haoyuan-data"),
            draw_key: None,
            worker_threads: 0,
            engine: EngineConfig::default(),
            journal: JournalConfig::default(),
            limits: LimitsConfig::default(),
            certificates: CertificatesConfig::default(),
            channels: BTreeMap::new(),
            log: LogConfig::default(),
        }
    }
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            retention_hours: 24,
            appointments_max: 20_000_000,
            hold_minutes: 15,
            refusals_kept: 1 << 20,
        }
    }
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self {
            durability: Durability::Commit,
            queue_bytes: 16 << 20,
            snapshot_every_records: 4_000_000,
            snapshot_every_minutes: 60,
            tree_blocks: 2_000,
            archive_files: 0,
            commit_delay_us: 0,
        }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            delay_max_ms: 250,
            connections_max: 4_096,
            connections_per_certificate: 1_024,
            mtu_max: None,
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".to_owned() }
    }
}

impl Config {
    /// Reads a file. Ranges are checked by [`Self::check`], after the flags had their say.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Unreadable`] and [`ConfigError::Malformed`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|reason| ConfigError::Unreadable { path: name.clone(), reason })?;
        Self::parse(&name, &text)
    }

    /// Reads the text of a file of that name.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Malformed`].
    pub fn parse(name: &str, text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| ConfigError::Malformed {
            path: name.to_owned(),
            reason: error.to_string().trim_end().to_owned(),
        })
    }

    /// Checks every range.
    ///
    /// # Errors
    ///
    /// The first key that is out of range, in the order of [`KEYS`].
    pub fn check(&self) -> Result<(), ConfigError> {
        for key in KEYS {
            let (Some((least, greatest)), Some(value)) = (key.range, self.number(key.name)) else {
                continue;
            };
            if value < least || greatest < value {
                let (key, unit) = (key.name, key.unit);
                return Err(ConfigError::OutOfRange { key, value, least, greatest, unit });
            }
        }
        self.check_certificates()?;
        self.channel_names().map(drop)
    }

    /// The names of the channels, by channel.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Channel`] for a number that is none, or an empty name.
    pub fn channel_names(&self) -> Result<BTreeMap<BookingChannel, String>, ConfigError> {
        let named = |(number, name): (&String, &String)| {
            let channel = number.parse().ok().and_then(BookingChannel::new);
            // One spelling for each: no "+3" and no "03" beside "3".
            let channel = channel.filter(|channel| channel.number().to_string() == *number);
            channel
                .filter(|_| !name.is_empty())
                .map(|channel| (channel, name.clone()))
                .ok_or_else(|| ConfigError::Channel { number: number.clone(), name: name.clone() })
        };
        self.channels.iter().map(named).collect()
    }

    /// How long a hold lasts where nobody says otherwise.
    pub fn hold_ttl(&self) -> Ttl {
        Ttl::from_millis(self.engine.hold_minutes.saturating_mul(60_000)).unwrap_or(Ttl::DEFAULT)
    }

    /// The configuration as a file, every key commented.
    ///
    /// # Panics
    ///
    /// Never: every key is a TOML value.
    pub fn render(&self) -> String {
        let values = toml::Table::try_from(self).expect("every key is a TOML value");
        let mut lines = Vec::new();
        let mut open = "";
        for key in KEYS {
            let comment = format!("# {} {}", key.what, key.bounds());
            if key.name == "channels" {
                lines.extend([String::new(), comment, "[channels]".to_owned()]);
                let channel = |(number, name): (&String, &String)| {
                    format!("{number} = {}", toml::Value::from(name.as_str()))
                };
                lines.extend(self.channels.iter().map(channel));
                continue;
            }
            let (table, name) = key.name.split_once('.').unwrap_or(("", key.name));
            if table != open {
                open = table;
                lines.extend([String::new(), format!("[{table}]")]);
            }
            let table = values.get(table).and_then(toml::Value::as_table).unwrap_or(&values);
            let value = table.get(name);
            let unset = || format!("# {name} = ");
            lines.extend([comment, value.map_or_else(unset, |value| format!("{name} = {value}"))]);
        }
        lines.push(String::new());
        lines.join("\n")
    }

    fn check_certificates(&self) -> Result<(), ConfigError> {
        let paths = &self.certificates;
        let named = [("ca", &paths.ca), ("cert", &paths.cert), ("key", &paths.key)];
        if named.iter().all(|(_, path)| path.is_none()) && paths.revoked.is_none() {
            return Ok(());
        }
        match named.iter().find(|(_, path)| path.is_none()) {
            Some((missing, _)) => Err(ConfigError::Certificates { missing }),
            None => Ok(()),
        }
    }

    fn number(&self, key: &str) -> Option<u64> {
        Some(match key {
            "worker_threads" => self.worker_threads as u64,
            "engine.retention_hours" => self.engine.retention_hours,
            "engine.appointments_max" => self.engine.appointments_max,
            "engine.hold_minutes" => u64::from(self.engine.hold_minutes),
            "engine.refusals_kept" => self.engine.refusals_kept as u64,
            "journal.queue_bytes" => self.journal.queue_bytes,
            "journal.snapshot_every_records" => self.journal.snapshot_every_records,
            "journal.snapshot_every_minutes" => self.journal.snapshot_every_minutes,
            "journal.tree_blocks" => u64::from(self.journal.tree_blocks),
            "journal.archive_files" => self.journal.archive_files,
            "journal.commit_delay_us" => self.journal.commit_delay_us,
            "limits.delay_max_ms" => self.limits.delay_max_ms,
            "limits.connections_max" => u64::from(self.limits.connections_max),
            "limits.connections_per_certificate" => {
                u64::from(self.limits.connections_per_certificate)
            }
            "limits.mtu_max" => self.limits.mtu_max.map(u64::from)?,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        match Config::parse("node.toml", text).and_then(|config| config.check()) {
            Ok(()) => "taken".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_bad_key_is_refused_with_its_name_value_and_range() {
        for (text, expected) in [
            ("", "taken"),
            ("worker_threads = 2\n[channels]\n3 = \"app\"", "taken"),
            ("listn = \"127.0.0.1:1\"", "unknown field `listn`"),
            ("[journal]\nfsync = true", "unknown field `fsync`"),
            ("[journal]\ndurability = \"maybe\"", "unknown variant `maybe`"),
            ("listen = \"here\"", "invalid socket address"),
            (
                "[limits]\nmtu_max = 9000",
                "limits.mtu_max = 9000 is out of range; it takes 1200 to 6500 bytes",
            ),
            (
                "[engine]\nretention_hours = 0",
                "engine.retention_hours = 0 is out of range; it takes 1 to 720 hours",
            ),
            ("[engine]\nhold_minutes = -1", "invalid value"),
            ("[certificates]\nca = \"ca.pem\"", "certificates.cert is missing"),
            ("[certificates]\nrevoked = \"revoked.pem\"", "certificates.ca is missing"),
            (
                "[limits]\nconnections_per_certificate = 0",
                "limits.connections_per_certificate = 0 is out of range",
            ),
            ("[channels]\n64 = \"fax\"", "channels.64 = \"fax\""),
            ("[channels]\n1 = \"\"", "channels.1 = \"\""),
            ("[channels]\n\"+1\" = \"app\"", "channels.+1 = \"app\""),
            ("[channels]\n01 = \"app\"", "channels.01 = \"app\""),
        ] {
            let message = refusal(text);
            assert!(message.contains(expected), "{text:?}: {message}");
        }
    }

    #[test]
    fn every_numeric_key_is_checked_and_every_default_is_in_range() {
        let mut config = Config::default();
        config.limits.mtu_max = Some(1_452);
        for key in KEYS {
            assert_eq!(key.range.is_some(), config.number(key.name).is_some(), "{}", key.name);
        }
        config.check().unwrap();
    }

    #[test]
    fn what_is_printed_is_read_back_as_it_was() {
        let metrics = Some(SocketAddr::from(([127, 0, 0, 1], 9_100)));
        let mut config = Config { metrics, ..Config::default() };
        config.channels.insert("3".to_owned(), "app \"two\"".to_owned());
        config.certificates.ca = Some(PathBuf::from("a/ca.pem"));
        config.log.format = LogFormat::Json;
        let printed = config.render();
        assert_eq!(Config::parse("printed", &printed).unwrap(), config, "{printed}");
        assert_eq!(
            Config::parse("printed", &Config::default().render()).unwrap(),
            Config::default()
        );
    }

    #[test]
    fn the_documentation_names_every_key_with_unit_range_and_default() {
        let page = include_str!("../../../docs/operations.md");
        let values = toml::Table::try_from(Config::default()).unwrap();
        for key in KEYS {
            let range = key.range.map_or_else(
                || "–".to_owned(),
                |(least, greatest)| format!("{least} – {greatest}"),
            );
            let mut at = Some(&toml::Value::Table(values.clone())).cloned();
            for part in key.name.split('.') {
                at = at.and_then(|value| value.get(part).cloned());
            }
            let default = match at {
                None => "–".to_owned(),
                Some(toml::Value::Table(_)) => "none".to_owned(),
                Some(toml::Value::String(text)) => format!("`{text}`"),
                Some(value) => format!("`{value}`"),
            };
            let row = format!(
                "| `{}` | {} | {range} | {default} | {}",
                key.name,
                key.unit.replace('|', "\\|"),
                key.what
            );
            assert!(page.contains(&row), "docs/operations.md misses: {row}");
        }
    }
}
