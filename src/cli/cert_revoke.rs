//! `haoyuan cert revoke`: the list of certificates that are not good any more.
//!
//! **Architecture invariant:** whoever was on the list stays on it, and a list of another authority
//! is never overwritten.

use std::path::{Path, PathBuf};

use clap::Args;
use rustls::pki_types::CertificateDer;

use super::certs;
use super::failure::Failure;
use super::output::Output;
use crate::model::Timestamp;
use crate::ops::cert::{Authority, Validity, replace_file};
use crate::ops::clock::Clock;
use crate::ops::revoked::{self, Revoked, hex, without_zeros};
use crate::ops::tls;

#[derive(Debug, Args)]
pub(super) struct RevokeArguments {
    /// The folder of the authority that signed them
    #[arg(long, value_name = "DIR")]
    ca: PathBuf,
    /// The list; `revoked.pem` beside the authority if absent
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
    /// Certificates to revoke (PEM)
    #[arg(value_name = "CERTIFICATE")]
    certificates: Vec<PathBuf>,
    /// Serial number in hex, where the certificate is not at hand; the node's log shows it
    #[arg(long = "serial", value_name = "HEX", value_parser = serial)]
    serials: Vec<Serial>,
    /// Days until a new list is due; nodes do not insist on it
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
}

/// A serial number: as many bytes as it has.
#[derive(Clone, Debug)]
struct Serial(Vec<u8>);

fn serial(text: &str) -> Result<Serial, String> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .filter(|letter| *letter != ':')
        .map(|letter| letter.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let wrong = || "a serial number is 2 to 40 hex digits, with or without colons".to_owned();
    let digits = digits.filter(|digits| digits.len() % 2 == 0).ok_or_else(wrong)?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    let bytes = without_zeros(&bytes);
    if (1..=20).contains(&bytes.len()) { Ok(Serial(bytes)) } else { Err(wrong()) }
}

/// Runs the command.
pub(super) fn run(arguments: &RevokeArguments) -> Result<(), Failure> {
    let authority = certs::authority(&arguments.ca)?;
    let list = arguments.list.clone().unwrap_or_else(|| certs::revoked(&arguments.ca));
    let now = Clock::start().now();
    let before = read_list(&list, &authority)?;
    let mut all = before.clone();
    for path in &arguments.certificates {
        add(&mut all, serial_of(path)?, now);
    }
    for Serial(bytes) in &arguments.serials {
        add(&mut all, bytes.clone(), now);
    }
    let pem = authority.revocation_list(&all, Validity { now, days: arguments.days });
    let pem = pem.map_err(|error| certs::of_cert(&error))?;
    replace_file(&list, &pem).map_err(|error| certs::of_cert(&error))?;
    let mut output = Output::new();
    for revoked in all.iter().filter(|revoked| !before.contains(revoked)) {
        output.line(format_args!("revoked {}", hex(&revoked.serial)))?;
    }
    output.line(format_args!("wrote {}: {} revoked", list.display(), all.len()))?;
    output.flush()
}

fn add(all: &mut Vec<Revoked>, serial: Vec<u8>, since: Timestamp) {
    if !all.iter().any(|revoked| revoked.serial == serial) {
        all.push(Revoked { serial, since });
    }
}

/// Whom the list names now; nobody where there is none.
fn read_list(path: &Path, authority: &Authority) -> Result<Vec<Revoked>, Failure> {
    let unusable = |problem: &dyn std::fmt::Display| {
        Failure::usage(
            format!("{}: {problem}", path.display()),
            "name the list of this authority with --list, or another file to begin a new one",
        )
    };
    let pem = match std::fs::read(path) {
        Ok(pem) => pem,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unusable(&error)),
    };
    let own = tls::certificates(authority.pair().certificate.as_bytes());
    let own = own.map_err(|problem| unusable(&problem))?;
    let lists = revoked::lists(&pem, &own).map_err(|problem| unusable(&problem))?;
    let mut all = Vec::new();
    for list in &lists {
        all.extend(revoked::entries(list).map_err(|problem| unusable(&problem))?);
    }
    Ok(all)
}

fn serial_of(path: &Path) -> Result<Vec<u8>, Failure> {
    let unusable = |problem: &dyn std::fmt::Display| {
        Failure::usage(
            format!("{}: {problem}", path.display()),
            "name the certificate (PEM) that is to be revoked, or its number with --serial",
        )
    };
    let pem = std::fs::read(path).map_err(|error| unusable(&error))?;
    let chain = tls::certificates(&pem).map_err(|problem| unusable(&problem))?;
    let number = |leaf: &CertificateDer<'_>| {
        webpki::EndEntityCert::try_from(leaf).ok().map(|leaf| without_zeros(leaf.serial()))
    };
    chain.first().and_then(number).ok_or_else(|| unusable(&"it is no X.509 certificate"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_number_is_read_as_it_stands_in_a_certificate() {
        for (text, expected) in [
            ("00ff", Some(&[0xff][..])),
            ("0A:0b", Some(&[0x0a, 0x0b])),
            ("7f", Some(&[0x7f])),
            ("", None),
            ("0", None),
            ("00", None),
            ("zz", None),
            (&"11".repeat(21), None),
        ] {
            let read = serial(text).ok().map(|Serial(bytes)| bytes);
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }
}
