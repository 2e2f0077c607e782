//! For fuzz targets: whatever a server may show as its certificates, and its DNS as TLSA records. Nobody else calls it.

use crate::dns::Tlsa;
use crate::tls::demand::Proof;
use crate::tls::verify::Shown;
use crate::tls::{dane, validity};
use rustls_pki_types::{CertificateDer, UnixTime};
use std::time::Duration;

/// Reads `bytes` as the data of a TLSA record and as certificates, the second from `cut` on.
///
/// # Panics
/// Where something proves what it cannot prove, or a part of a certificate lies outside it.
pub fn certificates(numbers: [u8; 3], cut: usize, bytes: &[u8]) {
    let [usage, selector, matching] = numbers.map(|number| number % 5);
    let (leaf, above) = bytes.split_at(cut.min(bytes.len()));
    for certificate in [bytes, leaf, above] {
        let key = validity::public_key(certificate).unwrap_or_default();
        assert!(key.is_empty() || memchr::memmem::find(certificate, key).is_some());
        let _name = validity::common_name(certificate);
        let _covers = validity::covers(certificate, now());
    }
    let leaf = CertificateDer::from_slice(leaf);
    let provider = crate::tls::server::provider();
    let shown = Shown {
        leaf: &leaf,
        intermediates: &[CertificateDer::from_slice(above)],
        roots: &[],
        algorithms: &provider.signature_verification_algorithms,
        now: now(),
    };
    let names = vec!["mx.test".to_owned()];
    let record = |data: &[u8]| Tlsa {
        usage,
        selector,
        matching,
        data: data.into(),
    };
    let judge = |record: Tlsa| {
        let (records, names) = (vec![record], names.clone());
        shown.judge(&Proof::Dane { records, names }).is_ok()
    };
    let _any = judge(record(bytes));
    for made_up in [[0; 32].as_slice(), &[0; 64]] {
        assert!(!judge(record(made_up)), "no certificate has this digest");
    }
    let whole = Tlsa {
        usage: dane::USAGE_EE,
        selector: 0,
        matching: 0,
        data: leaf.as_ref().into(),
    };
    assert_eq!(dane::usable(&whole), judge(whole));
    assert!(shown.judge(&Proof::Names(names.clone())).is_err());
}

fn now() -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(1_795_000_000))
}
