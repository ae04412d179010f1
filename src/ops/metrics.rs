//! What the node tells a Prometheus server about itself.
//!
//! ```text
//! scrape --> Collector --> Node::sample() --> Sample (plain numbers) --> text
//! ```
//!
//! **Architecture invariant:** nothing here is on the path of a request. Counters live where they
//! are counted; a scrape reads them. [`METRICS`] is the one list, and a test holds it against
//! `docs/operations.md`.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

/// What can be asked of a running node.
pub trait Node: Send + Sync + 'static {
    /// The numbers now.
    fn sample(&self) -> Sample;

    /// Whether the process does what it is for: its journal has not failed.
    ///
    /// # Errors
    ///
    /// What is wrong, in a sentence.
    fn health(&self) -> Result<(), String>;

    /// Whether clients may be sent here: recovered, clock good, not stopping.
    ///
    /// # Errors
    ///
    /// What it waits for, in a sentence.
    fn readiness(&self) -> Result<(), String>;
}

/// The numbers of one moment. Counters count from the start of the process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Requests that were answered: operation, outcome, how many.
    pub requests: Vec<(&'static str, &'static str, u64)>,
    /// How long requests took from their arrival to their answer: those that waited for the disk,
    /// and those that were answered at once.
    pub request_seconds: [(&'static str, Histogram); 2],
    /// How long commits took, fsync included.
    pub commit_seconds: Histogram,
    /// Records in all commits.
    pub committed_records: u64,
    /// Bytes in all commits.
    pub committed_bytes: u64,
    /// Requests that were shed: reason, how many.
    pub shed: Vec<(&'static str, u64)>,
    /// Requests that rates limited: kind of key, mode, how many.
    pub rate_limited: Vec<(&'static str, &'static str, u64)>,
    /// Requests granted though a rule in shadow would have refused them: key of the rule, how many.
    pub shadow_refusals: Vec<(&'static str, u64)>,
    /// Requests that found no bucket to be counted in.
    pub rate_uncounted: u64,
    /// Buckets of persons and machines that are not full.
    pub rate_buckets: u64,
    /// Of a thousand patients, those whose holds are let in at present.
    pub admitted_permille: u64,
    /// The time from arrival to answer that shedding aims at, in seconds.
    pub delay_target_seconds: f64,
    /// Bytes of requests' records that wait for the disk.
    pub queue_request_bytes: u64,
    /// Bytes of the node's own records that wait for the disk.
    pub queue_upkeep_bytes: u64,
    /// Holds that wait for their booking or their deadline.
    pub holds_live: u64,
    /// Appointments in memory, of every status.
    pub appointments: u64,
    /// Sessions in memory.
    pub sessions: u64,
    /// Places that could be taken now.
    pub places_free: u64,
    /// Holds that expired.
    pub expired: u64,
    /// How far expiry is behind the earliest deadline that has passed, in milliseconds.
    pub expiry_lag_millis: u64,
    /// How late holds were ended.
    pub expiry_lateness_seconds: Histogram,
    /// Clients that are connected.
    pub connections: u64,
    /// Connections that were turned away.
    pub connections_refused: u64,
    /// Connections that were cut off.
    pub connections_cut: u64,
    /// Handshakes under way.
    pub handshakes: u64,
    /// First packets that were answered with a Retry.
    pub handshakes_retried: u64,
    /// First packets that were dropped.
    pub handshakes_dropped: u64,
    /// Days that the node's certificate is still good for.
    pub certificate_days_left: i64,
    /// Sets of certificates that were taken while running.
    pub certificates_taken: u64,
    /// Sets of certificates that were refused while running.
    pub certificates_refused: u64,
    /// Whether the certificate files are not what is in force.
    pub certificates_behind: bool,
    /// The last record appended.
    pub appended_sequence: u64,
    /// The last record that is durable.
    pub durable_sequence: u64,
    /// Seconds since the last snapshot.
    pub snapshot_age_seconds: u64,
    /// Wall minus the node's time, in milliseconds.
    pub clock_gap_millis: i64,
    /// Whether expiry waits for an operator to confirm the time.
    pub clock_suspended: bool,
}

/// A distribution in buckets of seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// The upper end of each bucket, ascending, and how many are in it.
    pub buckets: Vec<(f64, u64)>,
}

/// One metric.
#[derive(Clone, Copy)]
pub struct Metric {
    /// Its name on the wire, without the suffix that its kind adds.
    pub name: &'static str,
    /// What it says, in one sentence.
    pub help: &'static str,
    /// When a person should look.
    pub alert: &'static str,
    read: Read,
}

#[derive(Clone, Copy)]
enum Read {
    Requests,
    Latencies,
    Shed,
    RateLimited,
    ShadowRefusals,
    Real(fn(&Sample) -> f64),
    Counter(fn(&Sample) -> u64),
    Gauge(fn(&Sample) -> u64),
    SignedGauge(fn(&Sample) -> i64),
    Histogram(fn(&Sample) -> &Histogram),
}

/// Every metric, in the order of the documentation.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "haoyuan_requests",
        help: "Requests answered, by operation and outcome.",
        alert: "the share of `Overloaded` or `NotReady` grows",
        read: Read::Requests,
    },
    Metric {
        name: "haoyuan_request_seconds",
        help: "Time from a request's arrival to its answer, by class: durable or at_once.",
        alert: "p99 over 50 ms for 5 minutes",
        read: Read::Latencies,
    },
    Metric {
        name: "haoyuan_commit_seconds",
        help: "Time of a group commit, fsync included.",
        alert: "p99 over 20 ms: the disk is slow or shared",
        read: Read::Histogram(|sample| &sample.commit_seconds),
    },
    counter("haoyuan_committed_records", "Records committed.", "–", |sample| {
        sample.committed_records
    }),
    counter("haoyuan_committed_bytes", "Bytes committed.", "–", |sample| sample.committed_bytes),
    Metric {
        name: "haoyuan_shed",
        help: "Requests shed as `Overloaded`, by reason: turn, delay, queue or memory.",
        alert: "any",
        read: Read::Shed,
    },
    Metric {
        name: "haoyuan_rate_limited",
        help: "Requests limited by rates, by kind of key and mode: those in `shadow` were let through.",
        alert: "`key=\"connection\"` or `key=\"channel\"` with `mode=\"enforce\"`: a gateway is cut short",
        read: Read::RateLimited,
    },
    Metric {
        name: "haoyuan_shadow_refusals",
        help: "Requests granted that a rule in shadow would have refused, by key of the rule; of rates see `haoyuan_rate_limited`.",
        alert: "more than was meant, before the rule is enforced",
        read: Read::ShadowRefusals,
    },
    counter(
        "haoyuan_rate_uncounted",
        "Requests that found no bucket of a person or machine to be counted in.",
        "any: somebody asks with millions of keys",
        |sample| sample.rate_uncounted,
    ),
    gauge(
        "haoyuan_rate_buckets",
        "Buckets of persons and machines that are not full, about; 917,504 fit.",
        "over 800,000",
        |sample| sample.rate_buckets,
    ),
    gauge(
        "haoyuan_admitted_permille",
        "Of a thousand patients, those whose holds are let in at present.",
        "under 1,000",
        |sample| sample.admitted_permille,
    ),
    Metric {
        name: "haoyuan_delay_target_seconds",
        help: "Time from arrival to answer that shedding aims at.",
        alert: "at `limits.delay_max_ms`: the disk is slow",
        read: Read::Real(|sample| sample.delay_target_seconds),
    },
    gauge(
        "haoyuan_queue_request_bytes",
        "Bytes of requests' records that wait for the disk.",
        "over half of `journal.queue_bytes`",
        |sample| sample.queue_request_bytes,
    ),
    gauge(
        "haoyuan_queue_upkeep_bytes",
        "Bytes of the node's own records that wait for the disk.",
        "it only grows",
        |sample| sample.queue_upkeep_bytes,
    ),
    gauge("haoyuan_holds_live", "Holds that wait for booking or deadline.", "–", |sample| {
        sample.holds_live
    }),
    gauge(
        "haoyuan_appointments",
        "Appointments in memory.",
        "over 80 % of `engine.appointments_max`",
        |sample| sample.appointments,
    ),
    gauge("haoyuan_sessions", "Sessions in memory.", "–", |sample| sample.sessions),
    gauge("haoyuan_places_free", "Places that could be taken now.", "–", |sample| {
        sample.places_free
    }),
    counter("haoyuan_expired", "Holds that expired.", "–", |sample| sample.expired),
    gauge(
        "haoyuan_expiry_lag_milliseconds",
        "How far expiry is behind the earliest passed deadline.",
        "over 1,000 for a minute",
        |sample| sample.expiry_lag_millis,
    ),
    gauge("haoyuan_connections", "Clients connected.", "near `limits.connections_max`", |sample| {
        sample.connections
    }),
    counter(
        "haoyuan_connections_refused",
        "Connections turned away: certificate, protocol, number, or an unfinished handshake.",
        "it grows faster than clients come and go",
        |sample| sample.connections_refused,
    ),
    counter(
        "haoyuan_connections_cut",
        "Connections cut off: too slow, or with a certificate that is not valid any more.",
        "it grows and nobody was revoked",
        |sample| sample.connections_cut,
    ),
    gauge("haoyuan_handshakes", "Handshakes under way.", "over 100 for a minute", |sample| {
        sample.handshakes
    }),
    counter(
        "haoyuan_handshakes_retried",
        "First packets of clients, each answered with a Retry.",
        "hundreds a second: a flood",
        |sample| sample.handshakes_retried,
    ),
    counter(
        "haoyuan_handshakes_dropped",
        "Handshakes that were not begun, because too many were under way.",
        "any: a flood from addresses that are real",
        |sample| sample.handshakes_dropped,
    ),
    Metric {
        name: "haoyuan_certificate_days_left",
        help: "Days that the node's certificate is still good for.",
        alert: "below 30",
        read: Read::SignedGauge(|sample| sample.certificate_days_left),
    },
    counter(
        "haoyuan_certificates_taken",
        "Times that changed certificate files were put in force.",
        "–",
        |sample| sample.certificates_taken,
    ),
    counter(
        "haoyuan_certificates_refused",
        "Times that changed certificate files were refused.",
        "any",
        |sample| sample.certificates_refused,
    ),
    gauge(
        "haoyuan_certificates_behind",
        "1 while the certificate files are refused and older ones stay in force.",
        "1",
        |sample| u64::from(sample.certificates_behind),
    ),
    gauge("haoyuan_appended_sequence", "The last record appended.", "–", |sample| {
        sample.appended_sequence
    }),
    gauge(
        "haoyuan_durable_sequence",
        "The last record that is durable.",
        "it stands still while the appended one moves",
        |sample| sample.durable_sequence,
    ),
    gauge(
        "haoyuan_snapshot_age_seconds",
        "Time since the last snapshot.",
        "over twice `journal.snapshot_every_minutes`",
        |sample| sample.snapshot_age_seconds,
    ),
    Metric {
        name: "haoyuan_clock_gap_milliseconds",
        help: "Wall minus the node's time.",
        alert: "beyond ±500",
        read: Read::SignedGauge(|sample| sample.clock_gap_millis),
    },
    gauge(
        "haoyuan_clock_suspended",
        "1 while expiry waits for an operator to confirm the time.",
        "1",
        |sample| u64::from(sample.clock_suspended),
    ),
];

/// The metrics of a node, ready to be printed.
pub struct Metrics {
    registry: Registry,
}

struct Scrape(Arc<dyn Node>);

impl Metrics {
    /// The metrics of that node.
    pub fn new(node: Arc<dyn Node>) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Scrape(node)));
        Self { registry }
    }

    /// The numbers now, in the text format of Prometheus (`OpenMetrics` 1.0).
    ///
    /// # Panics
    ///
    /// Never: a string takes what is written to it.
    pub fn render(&self) -> String {
        let mut out = String::new();
        text::encode(&mut out, &self.registry).expect("a string takes what is written to it");
        out
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scrape").finish_non_exhaustive()
    }
}

impl fmt::Debug for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metric").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Metric {
    /// The kind of the metric, as Prometheus calls it.
    pub const fn kind(&self) -> &'static str {
        match self.read {
            Read::Requests
            | Read::Shed
            | Read::RateLimited
            | Read::ShadowRefusals
            | Read::Counter(_) => "counter",
            Read::Gauge(_) | Read::SignedGauge(_) | Read::Real(_) => "gauge",
            Read::Histogram(_) | Read::Latencies => "histogram",
        }
    }

    fn encode(&self, encoder: &mut DescriptorEncoder<'_>, sample: &Sample) -> fmt::Result {
        let kind = match self.read {
            Read::Requests
            | Read::Shed
            | Read::RateLimited
            | Read::ShadowRefusals
            | Read::Counter(_) => MetricType::Counter,
            Read::Gauge(_) | Read::SignedGauge(_) | Read::Real(_) => MetricType::Gauge,
            Read::Histogram(_) | Read::Latencies => MetricType::Histogram,
        };
        let help = self.help.trim_end_matches('.');
        let mut encoder = encoder.encode_descriptor(self.name, help, None, kind)?;
        match self.read {
            Read::Requests => encode_requests(&mut encoder, sample),
            Read::Shed => encode_by(&mut encoder, "reason", &sample.shed),
            Read::ShadowRefusals => encode_by(&mut encoder, "rule", &sample.shadow_refusals),
            Read::RateLimited => sample.rate_limited.iter().try_for_each(|(key, mode, count)| {
                let labels = [("key", *key), ("mode", *mode)];
                encoder.encode_family(&labels)?.encode_counter::<NoLabelSet, u64, u64>(count, None)
            }),
            Read::Real(read) => encoder.encode_gauge(&read(sample)),
            Read::Latencies => sample.request_seconds.iter().try_for_each(|(class, histogram)| {
                encode_histogram(&mut encoder.encode_family(&[("class", *class)])?, histogram)
            }),
            Read::Counter(read) => {
                encoder.encode_counter::<NoLabelSet, u64, u64>(&read(sample), None)
            }
            Read::Gauge(read) => encoder.encode_gauge(&signed(read(sample))),
            Read::SignedGauge(read) => encoder.encode_gauge(&read(sample)),
            Read::Histogram(read) => encode_histogram(&mut encoder, read(sample)),
        }
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let sample = self.0.sample();
        METRICS.iter().try_for_each(|metric| metric.encode(&mut encoder, &sample))
    }
}

fn encode_requests(encoder: &mut MetricEncoder<'_>, sample: &Sample) -> fmt::Result {
    for (operation, outcome, count) in &sample.requests {
        let labels = [("operation", *operation), ("outcome", *outcome)];
        encoder.encode_family(&labels)?.encode_counter::<NoLabelSet, u64, u64>(count, None)?;
    }
    Ok(())
}

/// Counters told apart by one label.
fn encode_by(
    encoder: &mut MetricEncoder<'_>,
    label: &'static str,
    counts: &[(&'static str, u64)],
) -> fmt::Result {
    counts.iter().try_for_each(|(value, count)| {
        let label = [(label, *value)];
        encoder.encode_family(&label)?.encode_counter::<NoLabelSet, u64, u64>(count, None)
    })
}

/// The sum is that of the buckets' upper ends: too much by less than half.
fn encode_histogram(encoder: &mut MetricEncoder<'_>, histogram: &Histogram) -> fmt::Result {
    let count = histogram.buckets.iter().map(|(_, count)| count).sum();
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let sum = histogram.buckets.iter().map(|(end, count)| end * *count as f64).sum();
    let mut buckets = histogram.buckets.clone();
    buckets.push((f64::MAX, 0));
    encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
}

const fn counter(
    name: &'static str,
    help: &'static str,
    alert: &'static str,
    read: fn(&Sample) -> u64,
) -> Metric {
    Metric { name, help, alert, read: Read::Counter(read) }
}

const fn gauge(
    name: &'static str,
    help: &'static str,
    alert: &'static str,
    read: fn(&Sample) -> u64,
) -> Metric {
    Metric { name, help, alert, read: Read::Gauge(read) }
}

/// A gauge's value; Prometheus keeps it as a float anyway.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Node for Fixed {
        fn sample(&self) -> Sample {
            Sample {
                requests: vec![("hold", "Done", 7), ("hold", "SoldOut", 2)],
                request_seconds: [
                    ("durable", Histogram { buckets: vec![(0.001, 8), (0.002, 1)] }),
                    ("at_once", Histogram::default()),
                ],
                holds_live: 5,
                clock_gap_millis: -12,
                shed: vec![("turn", 3), ("delay", 0)],
                rate_limited: vec![("address", "shadow", 4)],
                shadow_refusals: vec![("limits", 6)],
                delay_target_seconds: 0.012,
                ..Sample::default()
            }
        }

        fn health(&self) -> Result<(), String> {
            Ok(())
        }

        fn readiness(&self) -> Result<(), String> {
            Err("the journal is being read".to_owned())
        }
    }

    #[test]
    fn a_scrape_shows_what_the_node_says() {
        let page = Metrics::new(Arc::new(Fixed)).render();
        for line in [
            "haoyuan_requests_total{operation=\"hold\",outcome=\"Done\"} 7",
            "haoyuan_requests_total{operation=\"hold\",outcome=\"SoldOut\"} 2",
            "haoyuan_request_seconds_bucket{le=\"0.002\",class=\"durable\"} 9",
            "haoyuan_request_seconds_count{class=\"durable\"} 9",
            "haoyuan_holds_live 5",
            "haoyuan_clock_gap_milliseconds -12",
            "haoyuan_shed_total{reason=\"turn\"} 3",
            "haoyuan_rate_limited_total{key=\"address\",mode=\"shadow\"} 4",
            "haoyuan_shadow_refusals_total{rule=\"limits\"} 6",
            "haoyuan_delay_target_seconds 0.012",
            "# EOF",
        ] {
            assert!(page.lines().any(|found| found == line), "no line {line:?} in\n{page}");
        }
    }

    #[test]
    fn the_documentation_names_every_metric_with_kind_meaning_and_alert() {
        let page = include_str!("../../docs/operations.md");
        for metric in METRICS {
            let row = format!(
                "| `{}` | {} | {} | {} |",
                metric.name,
                metric.kind(),
                metric.help,
                metric.alert
            );
            assert!(page.contains(&row), "docs/operations.md misses: {row}");
        }
    }
}
