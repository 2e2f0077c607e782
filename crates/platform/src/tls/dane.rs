//! TLSA records against certificates (RFC 6698, RFC 7671, RFC 7672 §3.1): which records count, and which
//! certificate of a chain they mean. Pure: no I/O, no clock; called by `tls::verify` and, for `usable`, by routing.

use crate::dns::Tlsa;
use aws_lc_rs::digest;
use rustls_pki_types::CertificateDer;

/// DANE-TA: a certification authority of the server's choice.
pub const USAGE_TA: u8 = 2;
/// DANE-EE: the server's own certificate or key.
pub const USAGE_EE: u8 = 3;
const CERTIFICATE: u8 = 0;
const PUBLIC_KEY: u8 = 1;
const EXACT: u8 = 0;
const SHA256: u8 = 1;
const SHA512: u8 = 2;

/// Whether SMTP can use the record (RFC 7672 §3.1): usage DANE-TA or DANE-EE, known numbers, and data that can be
/// what it claims to be. Where no record of a host is usable, TLS is needed all the same, without proof.
pub fn usable(record: &Tlsa) -> bool {
    let known = matches!(record.usage, USAGE_TA | USAGE_EE)
        && matches!(record.selector, CERTIFICATE | PUBLIC_KEY);
    let sound = match record.matching {
        EXACT if record.selector == CERTIFICATE => {
            let certificate = CertificateDer::from_slice(&record.data);
            webpki::EndEntityCert::try_from(&certificate).is_ok()
                || webpki::anchor_from_trusted_cert(&certificate).is_ok()
        }
        EXACT => record.data.first() == Some(&0x30),
        SHA256 => record.data.len() == 32,
        SHA512 => record.data.len() == 64,
        _ => false,
    };
    known && sound
}

/// The records that count: usable ones, and of each usage and selector only the strongest digest, so that a
/// weaker one cannot be used to get past it (RFC 7671 §9).
pub(crate) fn effective(records: &[Tlsa]) -> Vec<&Tlsa> {
    let usable: Vec<&Tlsa> = records.iter().filter(|record| usable(record)).collect();
    let outdone = |record: &Tlsa| {
        record.matching == SHA256
            && usable.iter().any(|other| {
                other.matching == SHA512
                    && other.usage == record.usage
                    && other.selector == record.selector
            })
    };
    let counts = |record: &&&Tlsa| !outdone(record);
    usable.iter().filter(counts).copied().collect()
}

/// What a record can be compared with in a certificate.
pub(crate) struct Parts<'a> {
    pub(crate) certificate: &'a [u8],
    /// The DER of its SubjectPublicKeyInfo; `None` where it cannot be read.
    pub(crate) public_key: Option<&'a [u8]>,
}

/// Whether `record` means the certificate (RFC 6698 §2.1.3). Does not look at the usage.
pub(crate) fn matches(record: &Tlsa, parts: &Parts<'_>) -> bool {
    let selected = match record.selector {
        CERTIFICATE => parts.certificate,
        PUBLIC_KEY => match parts.public_key {
            Some(key) => key,
            None => return false,
        },
        _ => return false,
    };
    match record.matching {
        EXACT => *record.data == *selected,
        SHA256 => *record.data == *digest::digest(&digest::SHA256, selected).as_ref(),
        SHA512 => *record.data == *digest::digest(&digest::SHA512, selected).as_ref(),
        _ => false,
    }
}

/// The trust anchor that a DANE-TA record brings along whole: `2 0 0` a certificate, `2 1 0` a bare key.
pub(crate) enum Enclosed<'a> {
    Certificate(&'a [u8]),
    PublicKey(&'a [u8]),
}

/// What the record encloses; `None` for digests.
pub(crate) fn enclosed(record: &Tlsa) -> Option<Enclosed<'_>> {
    match (record.usage, record.selector, record.matching) {
        (USAGE_TA, CERTIFICATE, EXACT) => Some(Enclosed::Certificate(&record.data)),
        (USAGE_TA, PUBLIC_KEY, EXACT) => Some(Enclosed::PublicKey(&record.data)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(usage: u8, selector: u8, matching: u8, data: &[u8]) -> Tlsa {
        Tlsa {
            usage,
            selector,
            matching,
            data: data.into(),
        }
    }

    #[test]
    fn every_selector_and_matching_type() {
        let (certificate, key) = (&b"0certificate"[..], &b"0key"[..]);
        let parts = Parts {
            certificate,
            public_key: Some(key),
        };
        let sha256 = |bytes| digest::digest(&digest::SHA256, bytes).as_ref().to_vec();
        let sha512 = |bytes| digest::digest(&digest::SHA512, bytes).as_ref().to_vec();
        for (selector, matching, data, expected) in [
            (0, 0, certificate.to_vec(), true),
            (0, 0, key.to_vec(), false),
            (1, 0, key.to_vec(), true),
            (0, 1, sha256(certificate), true),
            (1, 1, sha256(certificate), false),
            (1, 1, sha256(key), true),
            (0, 2, sha512(certificate), true),
            (1, 2, sha512(key), true),
            (1, 2, sha256(key), false),
            (1, 3, sha256(key), false),
            (2, 1, sha256(key), false),
            (0, 1, Vec::new(), false),
        ] {
            let found = matches(&record(3, selector, matching, &data), &parts);
            assert_eq!(found, expected, "{selector} {matching}");
        }
        let unreadable = Parts {
            certificate,
            public_key: None,
        };
        assert!(!matches(&record(3, 1, 1, &sha256(key)), &unreadable));
    }

    #[test]
    fn what_smtp_cannot_use() {
        for (usage, selector, matching, bytes, expected) in [
            (3, 1, 1, 32, true),
            (2, 0, 1, 32, true),
            (3, 0, 2, 64, true),
            (0, 1, 1, 32, false),
            (1, 1, 1, 32, false),
            (4, 1, 1, 32, false),
            (3, 2, 1, 32, false),
            (3, 1, 3, 32, false),
            (3, 1, 1, 31, false),
            (3, 1, 2, 32, false),
            (3, 0, 0, 10, false),
            (3, 1, 0, 0, false),
        ] {
            let record = record(usage, selector, matching, &vec![0; bytes]);
            assert_eq!(usable(&record), expected, "{record:?}");
        }
    }

    /// RFC 7671 §9.
    #[test]
    fn the_strongest_digest_of_a_kind_counts() {
        let weak = record(3, 1, 1, &[1; 32]);
        let strong = record(3, 1, 2, &[2; 64]);
        let other = record(2, 1, 1, &[3; 32]);
        let records = [weak.clone(), strong.clone(), other.clone()];
        assert_eq!(effective(&records), [&strong, &other]);
        assert_eq!(effective(&records[..1]), [&weak]);
    }
}
