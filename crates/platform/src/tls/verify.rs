//! Looks whether a server's certificates meet a proof. Pure but for the time, which is an argument; called from
//! rustls' callback in `tls::client`. The server's signature over the handshake is rustls' business.

use crate::dns::Tlsa;
use crate::tls::dane::{self, Enclosed, Parts};
use crate::tls::demand::{CertificateFault, CertificateFaultKind as Kind, Proof, Verified};
use crate::tls::validity;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls_pki_types::{CertificateDer, Der, ServerName, TrustAnchor, UnixTime};
use webpki::EndEntityCert;

/// What the server showed, and with what it is judged.
pub(crate) struct Shown<'a> {
    pub(crate) leaf: &'a CertificateDer<'a>,
    pub(crate) intermediates: &'a [CertificateDer<'a>],
    pub(crate) roots: &'a [TrustAnchor<'static>],
    pub(crate) algorithms: &'a WebPkiSupportedAlgorithms,
    pub(crate) now: UnixTime,
}

/// Certificates looked at in a chain; a longer one is broken or hostile.
const CHAIN_CERTIFICATES_MAX: usize = 10;

impl Shown<'_> {
    /// What the server proved.
    pub(crate) fn judge(&self, proof: &Proof) -> Result<Verified, CertificateFault> {
        match proof {
            Proof::Any => Ok(Verified::NotAsked),
            Proof::Names(names) => {
                self.chain(self.roots)?;
                self.carries(names)?;
                Ok(Verified::Names)
            }
            Proof::Dane { records, names } => self.dane(records, names),
            Proof::Fingerprints(fingerprints) => self.fingerprint(fingerprints),
        }
    }

    fn parsed(&self) -> Result<EndEntityCert<'_>, CertificateFault> {
        EndEntityCert::try_from(self.leaf).map_err(|error| {
            let text = format!("the server's certificate cannot be read: {error}");
            CertificateFault::new(Kind::NotTrusted, text)
        })
    }

    /// Whether the leaf leads to one of `anchors` and all on the way is valid now.
    fn chain(&self, anchors: &[TrustAnchor<'_>]) -> Result<(), CertificateFault> {
        let leaf = self.parsed()?;
        let usage = webpki::KeyUsage::server_auth();
        let all = self.algorithms.all;
        leaf.verify_for_usage(
            all,
            anchors,
            self.intermediates,
            self.now,
            usage,
            None,
            None,
        )
        .map(drop)
        .map_err(|error| chain_fault(&error))
    }

    /// Whether the leaf carries one of `names` (RFC 9525 §6: SAN dNSName only).
    fn carries(&self, names: &[String]) -> Result<(), CertificateFault> {
        let leaf = self.parsed()?;
        let carried = names.iter().any(|name| {
            ServerName::try_from(bare(name))
                .is_ok_and(|name| leaf.verify_is_valid_for_subject_name(&name).is_ok())
        });
        if carried {
            return Ok(());
        }
        let has: Vec<&str> = leaf.valid_dns_names().take(5).collect();
        let text = format!(
            "the server's certificate is for {}, not for {}",
            if has.is_empty() {
                "no host name".to_owned()
            } else {
                has.join(", ")
            },
            names.join(" or ")
        );
        Err(CertificateFault::new(Kind::HostMismatch, text))
    }

    /// The same for DANE-TA: RFC 7672 §3.2.3, a certificate without any dNSName is known by its common name.
    fn carries_or_is_called(&self, names: &[String]) -> Result<(), CertificateFault> {
        if self.parsed()?.valid_dns_names().next().is_none()
            && let Some(called) = validity::common_name(self.leaf)
            && names.iter().any(|name| is_called(called, bare(name)))
        {
            return Ok(());
        }
        self.carries(names)
    }

    fn fingerprint(&self, wanted: &[[u8; 32]]) -> Result<Verified, CertificateFault> {
        let sha256 = |bytes: &[u8]| {
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
            wanted.iter().any(|wanted| wanted == digest.as_ref())
        };
        if sha256(self.leaf) || public_key(self.leaf).is_some_and(|key| sha256(&key)) {
            return Ok(Verified::Fingerprint);
        }
        Err(CertificateFault::new(
            Kind::FingerprintMismatch,
            "the server's certificate has none of the fingerprints demanded",
        ))
    }

    /// RFC 7672 §3.1: any record that matches will do. What a record with the right certificate lacks otherwise
    /// (name, dates) is told rather than "no match".
    fn dane(&self, records: &[Tlsa], names: &[String]) -> Result<Verified, CertificateFault> {
        let mut fault = CertificateFault::new(
            Kind::TlsaMismatch,
            "the server's certificate matches none of its TLSA records",
        );
        for record in dane::effective(records) {
            let outcome = match record.usage {
                dane::USAGE_EE => self.dane_ee(record),
                _ => self.dane_ta(record, names),
            };
            match outcome {
                Some(Ok(())) => {
                    return Ok(Verified::Dane {
                        usage: record.usage,
                        selector: record.selector,
                        matching: record.matching,
                    });
                }
                Some(Err(found)) => fault = found,
                None => {}
            }
        }
        Err(fault)
    }

    /// RFC 7672 §3.1.1: neither names nor dates of the certificate count.
    fn dane_ee(&self, record: &Tlsa) -> Option<Result<(), CertificateFault>> {
        let key = public_key(self.leaf);
        let parts = Parts {
            certificate: self.leaf,
            public_key: key.as_deref(),
        };
        dane::matches(record, &parts).then_some(Ok(()))
    }

    /// RFC 7672 §3.1.2: the authority is in the chain the server sent, or whole in the record.
    fn dane_ta(&self, record: &Tlsa, names: &[String]) -> Option<Result<(), CertificateFault>> {
        let mut fault = None;
        let sent = self.intermediates.iter().take(CHAIN_CERTIFICATES_MAX);
        for certificate in sent {
            let key = public_key(certificate);
            let parts = Parts {
                certificate,
                public_key: key.as_deref(),
            };
            if dane::matches(record, &parts) {
                match self.under_certificate(certificate, names) {
                    Ok(()) => return Some(Ok(())),
                    Err(found) => fault = Some(found),
                }
            }
        }
        let enclosed = match dane::enclosed(record) {
            Some(Enclosed::Certificate(der)) => {
                Some(self.under_certificate(&CertificateDer::from_slice(der), names))
            }
            Some(Enclosed::PublicKey(key)) => self.under_key(key, names),
            None => None,
        };
        match enclosed {
            Some(Ok(())) => Some(Ok(())),
            other => fault.map(Err).or(other),
        }
    }

    fn under_certificate(
        &self,
        authority: &CertificateDer<'_>,
        names: &[String],
    ) -> Result<(), CertificateFault> {
        let anchor = webpki::anchor_from_trusted_cert(authority).map_err(|e| chain_fault(&e))?;
        self.chain(std::slice::from_ref(&anchor))?;
        // An anchor's own dates do not count in a path; for an authority that the server chose they do.
        if !validity::covers(authority, self.now) {
            return Err(CertificateFault::new(
                Kind::Expired,
                "the authority's certificate that the TLSA record means has expired",
            ));
        }
        self.carries_or_is_called(names)
    }

    /// A bare key has no name: it may have issued any certificate of the chain.
    fn under_key(&self, key: &[u8], names: &[String]) -> Option<Result<(), CertificateFault>> {
        // The anchor wants what is inside the outer SEQUENCE.
        let inner = validity::sequence_content(key)?;
        let chain = std::iter::once(self.leaf).chain(self.intermediates);
        let mut fault = None;
        for certificate in chain.take(CHAIN_CERTIFICATES_MAX) {
            let Ok(issued) = EndEntityCert::try_from(certificate) else {
                continue;
            };
            let anchor = TrustAnchor {
                subject: Der::from_slice(issued.issuer()),
                subject_public_key_info: Der::from_slice(inner),
                name_constraints: None,
            };
            match self.chain(std::slice::from_ref(&anchor)) {
                Ok(()) => return Some(self.carries_or_is_called(names)),
                Err(found) if found.kind == Kind::Expired => fault = Some(found),
                Err(_) => {}
            }
        }
        fault.map(Err)
    }
}

/// Whether the common name `called` is `name`, or a wildcard as its whole first label stands for it.
fn is_called(called: &str, name: &str) -> bool {
    let below = |name: &str| {
        name.split_once('.')
            .map(|(_, below)| below.to_ascii_lowercase())
    };
    match called.strip_prefix("*.") {
        Some(parent) => below(name).is_some_and(|below| below == parent.to_ascii_lowercase()),
        None => called.eq_ignore_ascii_case(name),
    }
}

/// The DER of a certificate's SubjectPublicKeyInfo.
fn public_key(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    validity::public_key(certificate).map(<[u8]>::to_vec)
}

/// An address without its brackets.
pub(crate) fn bare(name: &str) -> &str {
    let inner = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    let inner = inner.unwrap_or(name);
    inner
        .strip_prefix("IPv6:")
        .unwrap_or(inner)
        .trim_end_matches('.')
}

fn chain_fault(error: &webpki::Error) -> CertificateFault {
    use webpki::Error as E;
    match error {
        E::CertExpired { .. } => {
            CertificateFault::new(Kind::Expired, "the server's certificate has expired")
        }
        E::CertNotValidYet { .. } => {
            CertificateFault::new(Kind::Expired, "the server's certificate is not valid yet")
        }
        E::UnknownIssuer => CertificateFault::new(
            Kind::NotTrusted,
            "the server's certificate comes from no authority we trust",
        ),
        E::CaUsedAsEndEntity => CertificateFault::new(
            Kind::NotTrusted,
            "the server shows the certificate of an authority in place of its own; most often it signed it itself",
        ),
        other => CertificateFault::new(
            Kind::NotTrusted,
            format!("the server's certificate cannot be trusted: {other}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::digest::{SHA256, digest};
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    use std::time::Duration;

    struct Chain {
        leaf: CertificateDer<'static>,
        authority: CertificateDer<'static>,
    }

    /// A leaf for mx.test from an authority of its own, each valid in these years.
    fn chain(leaf_years: (i32, i32), authority_years: (i32, i32)) -> Chain {
        chain_called(leaf_years, authority_years, None, Some("mx.test"))
    }

    fn chain_called(
        leaf_years: (i32, i32),
        authority_years: (i32, i32),
        called: Option<&str>,
        name: Option<&str>,
    ) -> Chain {
        let dated = |mut params: CertificateParams, (begin, end): (i32, i32)| {
            params.not_before = rcgen::date_time_ymd(begin, 1, 1);
            params.not_after = rcgen::date_time_ymd(end, 1, 1);
            params
        };
        let key = KeyPair::generate().unwrap();
        let mut params = dated(CertificateParams::new(Vec::new()).unwrap(), authority_years);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        let names: Vec<String> = name.map(str::to_owned).into_iter().collect();
        let mut params = dated(CertificateParams::new(names).unwrap(), leaf_years);
        if let Some(called) = called {
            params
                .distinguished_name
                .push(rcgen::DnType::CommonName, called);
        }
        let leaf = params
            .signed_by(&KeyPair::generate().unwrap(), &issuer)
            .unwrap();
        Chain {
            leaf: leaf.der().clone(),
            authority: authority.der().clone(),
        }
    }

    const GOOD: (i32, i32) = (2020, 2040);
    const OVER: (i32, i32) = (2000, 2010);

    fn record(usage: u8, selector: u8, matching: u8, certificate: &CertificateDer<'_>) -> Tlsa {
        let selected = match selector {
            0 => certificate.to_vec(),
            _ => validity::public_key(certificate).unwrap().to_vec(),
        };
        let data = match matching {
            0 => selected,
            _ => digest(&SHA256, &selected).as_ref().to_vec(),
        };
        Tlsa {
            usage,
            selector,
            matching,
            data: data.into(),
        }
    }

    fn judge(
        chain: &Chain,
        sent: &[CertificateDer<'static>],
        record: Tlsa,
        name: &str,
    ) -> Option<Kind> {
        let provider = crate::tls::server::provider();
        let shown = Shown {
            leaf: &chain.leaf,
            intermediates: sent,
            roots: &[],
            algorithms: &provider.signature_verification_algorithms,
            now: UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000)),
        };
        let proof = Proof::Dane {
            records: vec![record],
            names: vec![name.to_owned()],
        };
        shown.judge(&proof).err().map(|fault| fault.kind)
    }

    /// RFC 7671 §5.1, RFC 7672 §3.1.1.
    #[test]
    fn dane_ee_looks_at_neither_names_nor_dates() {
        let old = chain(OVER, OVER);
        let other = chain(GOOD, GOOD);
        for (selector, matching) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let own = record(3, selector, matching, &old.leaf);
            assert_eq!(judge(&old, &[], own.clone(), "other.test"), None);
            assert_eq!(judge(&other, &[], own, "mx.test"), Some(Kind::TlsaMismatch));
        }
        // The authority's record is none for the leaf.
        let wrong = record(3, 0, 1, &old.authority);
        let sent = [old.authority.clone()];
        assert_eq!(
            judge(&old, &sent, wrong, "mx.test"),
            Some(Kind::TlsaMismatch)
        );
    }

    /// RFC 7671 §5.2, RFC 7672 §3.1.2.
    #[test]
    fn dane_ta_wants_the_chain_the_name_and_the_dates() {
        let good = chain(GOOD, GOOD);
        let sent = [good.authority.clone()];
        for (selector, matching) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let own = || record(2, selector, matching, &good.authority);
            assert_eq!(
                judge(&good, &sent, own(), "mx.test"),
                None,
                "{selector} {matching}"
            );
            assert_eq!(
                judge(&good, &sent, own(), "other.test"),
                Some(Kind::HostMismatch)
            );
            // Only a record that holds the authority whole can do without the server sending it.
            let unsent = judge(&good, &[], own(), "mx.test");
            let expected = (matching != 0).then_some(Kind::TlsaMismatch);
            assert_eq!(unsent, expected, "{selector} {matching}");
            let stranger = record(2, selector, matching, &chain(GOOD, GOOD).authority);
            assert!(judge(&good, &sent, stranger, "mx.test").is_some());
            for dates in [(OVER, GOOD), (GOOD, OVER)] {
                let old = chain(dates.0, dates.1);
                let own = record(2, selector, 1, &old.authority);
                let found = judge(&old, std::slice::from_ref(&old.authority), own, "mx.test");
                assert_eq!(found, Some(Kind::Expired), "{dates:?}");
            }
        }
        // The leaf is no authority, though the record means it.
        let leaf = record(2, 0, 1, &good.leaf);
        assert_eq!(
            judge(&good, &sent, leaf, "mx.test"),
            Some(Kind::TlsaMismatch)
        );
    }

    /// RFC 7672 §3.2.3.
    #[test]
    fn dane_ta_takes_the_common_name_where_there_is_no_other() {
        for (called, also, name, expected) in [
            ("mx.test", None, "mx.test", None),
            ("MX.test", None, "mx.test", None),
            ("*.test", None, "mx.test", None),
            ("*.test", None, "a.mx.test", Some(Kind::HostMismatch)),
            ("m*.test", None, "mx.test", Some(Kind::HostMismatch)),
            ("other.test", None, "mx.test", Some(Kind::HostMismatch)),
            (
                "mx.test",
                Some("other.test"),
                "mx.test",
                Some(Kind::HostMismatch),
            ),
        ] {
            let good = chain_called(GOOD, GOOD, Some(called), also);
            let own = record(2, 0, 1, &good.authority);
            let sent = std::slice::from_ref(&good.authority);
            assert_eq!(judge(&good, sent, own, name), expected, "{called} {also:?}");
        }
    }

    /// An authority that the record means, but that did not issue the leaf, proves nothing.
    #[test]
    fn an_authority_beside_the_chain_proves_nothing() {
        let (good, other) = (chain(GOOD, GOOD), chain(GOOD, GOOD));
        let sent = [good.authority.clone(), other.authority.clone()];
        let beside = record(2, 0, 1, &other.authority);
        assert_eq!(
            judge(&good, &sent, beside, "mx.test"),
            Some(Kind::NotTrusted)
        );
    }
}
