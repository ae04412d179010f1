//! Lists of revoked certificates (CRL): read, and looked at before they are believed.
//!
//! **Architecture invariant:** a list that none of the authorities signed is refused as a whole.
//! Believed, it would fail every handshake with a client of the authority whose name it bears.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};

use super::tls::provider;
use crate::model::Timestamp;

/// A certificate that is not good any more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revoked {
    /// Its serial number, most significant byte first, without zeros in front.
    pub serial: Vec<u8>,
    /// Since when.
    pub since: Timestamp,
}

/// The lists of a PEM text, each signed by one of the authorities.
///
/// # Errors
///
/// What is wrong, in words.
pub fn lists(
    pem: &[u8],
    authorities: &[CertificateDer<'_>],
) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
    let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(pem).collect();
    let lists = lists.map_err(|error| error.to_string())?;
    if lists.is_empty() {
        return Err("there is no list of revoked certificates in the file".to_owned());
    }
    for list in &lists {
        entries(list)?;
        if !authorities.iter().any(|authority| is_signed_by(list, authority)) {
            return Err(
                "a list of revoked certificates is signed by none of the authorities".to_owned()
            );
        }
    }
    Ok(lists)
}

/// Whom a list names.
///
/// # Errors
///
/// What is wrong, in words.
pub fn entries(list: &CertificateRevocationListDer<'_>) -> Result<Vec<Revoked>, String> {
    let fault = |error| format!("the list of revoked certificates cannot be read: {error}");
    let parsed = webpki::BorrowedCertRevocationList::from_der(list).map_err(fault)?;
    let entry = |entry: Result<webpki::BorrowedRevokedCert<'_>, _>| {
        let entry = entry.map_err(fault)?;
        let since = Timestamp::from_millis(entry.revocation_date.as_secs().saturating_mul(1_000));
        Ok(Revoked { serial: without_zeros(entry.serial_number), since })
    };
    parsed.into_iter().map(entry).collect()
}

/// A serial number as [`Revoked::serial`] has it: X.509 puts a zero before a high bit.
pub fn without_zeros(serial: &[u8]) -> Vec<u8> {
    serial.iter().copied().skip_while(|byte| *byte == 0).collect()
}

/// A serial number in hex digits.
pub fn hex(serial: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
    serial.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Whether an authority signed a list. webpki would find out only in a handshake.
fn is_signed_by(list: &[u8], authority: &CertificateDer<'_>) -> bool {
    let checked = || {
        let (_, body) = element(list)?.content()?;
        let (signed, rest) = split(body)?;
        let (_, rest) = split(rest)?;
        // A bit string begins with the number of bits that are left over: none.
        let (0, signature) = element(rest)?.content()?.1.split_first()? else { return None };
        let authority = webpki::EndEntityCert::try_from(authority).ok()?;
        let algorithms = provider().signature_verification_algorithms.all;
        let good = |algorithm: &&dyn rustls::pki_types::SignatureVerificationAlgorithm| {
            authority.verify_signature(*algorithm, signed, signature).is_ok()
        };
        Some(algorithms.iter().any(good))
    };
    checked().unwrap_or(false)
}

/// One DER element, header included.
struct Element<'a>(&'a [u8]);

impl<'a> Element<'a> {
    fn content(&self) -> Option<(u8, &'a [u8])> {
        let (header, length) = header(self.0)?;
        Some((*self.0.first()?, self.0.get(header..header.checked_add(length)?)?))
    }
}

fn element(bytes: &[u8]) -> Option<Element<'_>> {
    split(bytes).map(|(element, _)| Element(element))
}

/// The first element, header included, and what follows.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (header, length) = header(bytes)?;
    bytes.split_at_checked(header.checked_add(length)?)
}

/// The lengths of an element's header and content.
fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    let first = *bytes.get(1)?;
    if first < 0x80 {
        return Some((2, usize::from(first)));
    }
    let count = usize::from(first & 0x7f);
    let digits =
        bytes.get(2..count.checked_add(2)?).filter(|digits| (1..=4).contains(&digits.len()))?;
    let length = digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit));
    Some((count + 2, length))
}

/// The common name in a certificate's subject: how an authority of ours is called.
pub(super) fn common_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let leaf = webpki::EndEntityCert::try_from(certificate).ok()?;
    let subject = leaf.subject();
    let at = subject.windows(COMMON_NAME.len()).position(|window| window == COMMON_NAME)?;
    let (_, name) = element(subject.get(at + COMMON_NAME.len()..)?)?.content()?;
    String::from_utf8(name.to_vec()).ok()
}

/// The object identifier 2.5.4.3 in DER.
const COMMON_NAME: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x03];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::cert::{Authority, Validity};
    use crate::ops::tls::{certificates, serial_of};

    fn validity() -> Validity {
        Validity { now: Timestamp::from_millis(1_700_000_000_000), days: 10 }
    }

    #[test]
    fn a_list_is_read_as_it_was_made_and_only_for_its_own_authority() {
        let (ours, other) =
            (Authority::new(validity()).unwrap(), Authority::new(validity()).unwrap());
        let der =
            |authority: &Authority| certificates(authority.pair().certificate.as_bytes()).unwrap();
        let since = Timestamp::from_millis(1_700_000_000_000);
        for serials in [vec![], vec![vec![7]], (1..=200).map(|n: u8| vec![n, 0x80, n]).collect()] {
            let named: Vec<Revoked> =
                serials.into_iter().map(|serial| Revoked { serial, since }).collect();
            let pem = ours.revocation_list(&named, validity()).unwrap();
            let read = lists(pem.as_bytes(), &der(&ours)).unwrap();
            assert!(entries(&read[0]).unwrap() == named);
            assert!(lists(pem.as_bytes(), &der(&other)).unwrap_err().contains("signed by none"));
            let both = [der(&other), der(&ours)].concat();
            assert!(lists(pem.as_bytes(), &both).is_ok(), "one of several");
            let mut changed = read[0].to_vec();
            let middle = changed.len() / 2;
            changed[middle] ^= 1;
            assert!(!is_signed_by(&changed, &der(&ours)[0]));
        }
        for text in ["", "hello", &ours.pair().certificate] {
            assert!(lists(text.as_bytes(), &der(&ours)).is_err(), "{text}");
        }
    }

    #[test]
    fn der_that_is_cut_or_lies_about_its_length_is_no_element() {
        for bytes in [
            &[][..],
            &[0x30],
            &[0x30, 5, 1],
            &[0x30, 0x80],
            &[0x30, 0x84, 255, 255, 255, 255],
            &[0x30, 0x89, 1, 1, 1, 1, 1, 1, 1, 1, 1],
        ] {
            assert!(split(bytes).is_none(), "{bytes:?}");
        }
        assert_eq!(split(&[0x30, 0x81, 1, 9, 8]), Some((&[0x30, 0x81, 1, 9][..], &[8][..])));
    }

    #[test]
    fn two_authorities_have_two_names_and_certificates_have_numbers() {
        let name = |authority: &Authority| {
            common_name(&certificates(authority.pair().certificate.as_bytes()).unwrap()[0]).unwrap()
        };
        let (one, other) =
            (Authority::new(validity()).unwrap(), Authority::new(validity()).unwrap());
        assert_ne!(name(&one), name(&other));
        assert_eq!(name(&one), name(&Authority::from_pair(&one.pair()).unwrap()));
        let pair = one.server(&["localhost".to_owned()], validity()).unwrap();
        let serial = serial_of(&certificates(pair.certificate.as_bytes()).unwrap()[0]).unwrap();
        assert!(16 <= serial.len() && serial.bytes().all(|digit| digit.is_ascii_hexdigit()));
    }
}
