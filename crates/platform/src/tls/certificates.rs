//! The server's certificates: for each host name one with an ECDSA key and one with an RSA key, side by side. Chooses
//! by what the client asks for and can verify; loads anew from the files while serving.
//! A broken new file never replaces a working certificate. Called by rustls at each handshake and by the wiring.

use crate::tls::capture;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{NamedGroup, SignatureAlgorithm, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// A certificate chain and its key, as PEM files. The chain begins with the host's own certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain.
    pub chain: PathBuf,
    /// The private key: PKCS #8, PKCS #1 or SEC1.
    pub key: PathBuf,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// There is none to serve.
    #[error(
        "no certificate was found in {0}; put a chain NAME.crt and its key NAME.key there, both as PEM"
    )]
    None(PathBuf),
    /// The directory cannot be listed.
    #[error("the directory {path} cannot be read: {source}")]
    Directory {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// One of the files cannot be read or holds no PEM of the right kind.
    #[error("{path} cannot be used: {reason}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why, in words.
        reason: String,
    },
    /// Chain and key are each readable but of no use together.
    #[error("the certificate {chain} and the key {key} cannot be used: {reason}")]
    Pair {
        /// The chain's file.
        chain: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why, in words.
        reason: String,
    },
}

/// What a reload did.
#[derive(Debug, Default)]
pub struct ReloadReport {
    /// How many certificates are served now.
    pub served: usize,
    /// Which files were not taken over, and why; what was served from them before still is.
    pub kept: Vec<CertificateError>,
}

/// Which kind of key a certificate has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyKind {
    Ecdsa,
    Rsa,
}

/// One certificate, ready for use.
struct Certificate {
    files: CertificateFiles,
    names: Vec<String>,
    kind: KeyKind,
    certified: Arc<CertifiedKey>,
    end_point: Arc<[u8]>,
}

/// The certificates of one host name.
#[derive(Default, Clone)]
struct Pair {
    ecdsa: Option<Arc<Certificate>>,
    rsa: Option<Arc<Certificate>>,
}

/// All certificates by name, as of one load.
#[derive(Default)]
struct Table {
    all: Vec<Arc<Certificate>>,
    /// Lower-case names; a wildcard stands under its parent with a leading dot: `.example.org`.
    by_name: HashMap<String, Pair>,
    default: Pair,
}

/// Where the files are.
#[derive(Debug, Clone)]
enum Source {
    Directory(PathBuf),
    Files(Vec<CertificateFiles>),
}

/// The certificates that are served, and where they come from. Share it behind an `Arc`.
pub struct CertStore {
    source: Source,
    default_name: Option<String>,
    table: RwLock<Arc<Table>>,
}

impl fmt::Debug for CertStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertStore")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl CertStore {
    /// Every `NAME.crt` with its `NAME.key` in `directory`. A client that names no host, or one we do not have,
    /// gets the certificate for `default_name`, or else the first in the order of file names.
    ///
    /// # Errors
    /// Where any of them is broken or there is none.
    pub fn from_dir(
        directory: &Path,
        default_name: Option<&str>,
    ) -> Result<Arc<Self>, CertificateError> {
        Self::load(Source::Directory(directory.to_owned()), default_name)
    }

    /// Exactly these files.
    ///
    /// # Errors
    /// Where any of them is broken or there is none.
    pub fn from_settings(
        files: Vec<CertificateFiles>,
        default_name: Option<&str>,
    ) -> Result<Arc<Self>, CertificateError> {
        Self::load(Source::Files(files), default_name)
    }

    fn load(source: Source, default_name: Option<&str>) -> Result<Arc<Self>, CertificateError> {
        let certificates = source
            .list()?
            .into_iter()
            .map(load_certificate)
            .collect::<Result<Vec<_>, _>>()?;
        let default_name = default_name.map(str::to_ascii_lowercase);
        let table = Table::new(certificates, default_name.as_deref());
        Ok(Arc::new(Self {
            source,
            default_name,
            table: RwLock::new(Arc::new(table)),
        }))
    }

    /// Reads the files again and serves what they hold now. What cannot be used is reported, and what was served
    /// from the same files before goes on being served.
    pub fn reload(&self) -> ReloadReport {
        let before = self.table();
        let listed = match self.source.list() {
            Ok(listed) => listed,
            Err(e) => {
                return ReloadReport {
                    served: before.all.len(),
                    kept: vec![e],
                };
            }
        };
        let mut kept = Vec::new();
        let mut certificates = Vec::new();
        for files in listed {
            let old = before.all.iter().find(|old| old.files == files);
            match load_certificate(files) {
                Ok(certificate) => certificates.push(certificate),
                Err(e) => {
                    kept.push(e);
                    certificates.extend(old.cloned());
                }
            }
        }
        let served = certificates.len();
        let table = Arc::new(Table::new(certificates, self.default_name.as_deref()));
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = table;
        ReloadReport { served, kept }
    }

    /// The host names that are served, wildcards as `*.example.org`, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self
            .table()
            .by_name
            .keys()
            .map(|name| match name.strip_prefix('.') {
                Some(parent) => format!("*.{parent}"),
                None => name.clone(),
            })
            .collect();
        names.sort_unstable();
        names
    }

    fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Source {
    fn list(&self) -> Result<Vec<CertificateFiles>, CertificateError> {
        let (listed, place) = match self {
            Self::Files(files) => (files.clone(), Path::new("the settings")),
            Self::Directory(directory) => (list_directory(directory)?, directory.as_path()),
        };
        if listed.is_empty() {
            return Err(CertificateError::None(place.to_owned()));
        }
        Ok(listed)
    }
}

fn list_directory(directory: &Path) -> Result<Vec<CertificateFiles>, CertificateError> {
    let unreadable = |source| CertificateError::Directory {
        path: directory.to_owned(),
        source,
    };
    let mut listed = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let chain = entry.map_err(unreadable)?.path();
        if chain
            .extension()
            .is_some_and(|extension| extension == "crt")
        {
            listed.push(CertificateFiles {
                key: chain.with_extension("key"),
                chain,
            });
        }
    }
    listed.sort_by(|a, b| a.chain.cmp(&b.chain));
    Ok(listed)
}

fn load_certificate(files: CertificateFiles) -> Result<Arc<Certificate>, CertificateError> {
    let wrong_file = |path: &Path, reason: String| CertificateError::File {
        path: path.to_owned(),
        reason,
    };
    let chain = CertificateDer::pem_file_iter(&files.chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| wrong_file(&files.chain, e.to_string()))?;
    let Some(leaf) = chain.first().cloned() else {
        return Err(wrong_file(
            &files.chain,
            "it holds no certificate".to_owned(),
        ));
    };
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|e| wrong_file(&files.key, e.to_string()))?;
    let wrong_pair = |reason: String| CertificateError::Pair {
        chain: files.chain.clone(),
        key: files.key.clone(),
        reason,
    };
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let certified =
        CertifiedKey::from_der(chain, key, &provider).map_err(|e| wrong_pair(e.to_string()))?;
    let kind = match certified.key.algorithm() {
        SignatureAlgorithm::ECDSA => KeyKind::Ecdsa,
        SignatureAlgorithm::RSA => KeyKind::Rsa,
        _ => {
            return Err(wrong_pair(
                "the key is neither ECDSA nor RSA, and mail clients understand nothing else"
                    .to_owned(),
            ));
        }
    };
    let names = dns_names(&leaf).map_err(|e| wrong_pair(e.to_string()))?;
    if names.is_empty() {
        return Err(wrong_pair(
            "the certificate names no host (subjectAltName)".to_owned(),
        ));
    }
    Ok(Arc::new(Certificate {
        files,
        names,
        kind,
        certified: Arc::new(certified),
        end_point: end_point_hash(&leaf),
    }))
}

/// The DNS names of a certificate, in lower case.
fn dns_names(leaf: &CertificateDer<'_>) -> Result<Vec<String>, webpki::Error> {
    let parsed = webpki::EndEntityCert::try_from(leaf)?;
    Ok(parsed
        .valid_dns_names()
        .map(str::to_ascii_lowercase)
        .collect())
}

impl Table {
    fn new(certificates: Vec<Arc<Certificate>>, default_name: Option<&str>) -> Self {
        let mut table = Self::default();
        for certificate in &certificates {
            for name in &certificate.names {
                let key = name.strip_prefix('*').unwrap_or(name).to_owned();
                table.by_name.entry(key).or_default().add(certificate);
            }
        }
        table.default = default_name
            .and_then(|name| table.find(name))
            .or_else(|| {
                let first = certificates.first()?.names.first()?;
                table.find(first)
            })
            .unwrap_or_default();
        table.all = certificates;
        table
    }

    /// Exact name first, then the wildcard of its parent (RFC 9525 §6.3: for one label only).
    fn find(&self, name: &str) -> Option<Pair> {
        if let Some(pair) = self.by_name.get(name) {
            return Some(pair.clone());
        }
        let (_label, parent) = name.split_at_checked(name.find('.')?)?;
        self.by_name.get(parent).cloned()
    }
}

impl Pair {
    fn add(&mut self, certificate: &Arc<Certificate>) {
        let place = match certificate.kind {
            KeyKind::Ecdsa => &mut self.ecdsa,
            KeyKind::Rsa => &mut self.rsa,
        };
        place.get_or_insert_with(|| Arc::clone(certificate));
    }
}

/// Whether the client can verify an ECDSA certificate of ours. rustls has left out of the signature schemes what
/// does not go with any suite that both sides have.
fn takes_ecdsa(hello: &ClientHello<'_>) -> bool {
    let by_scheme = hello.signature_schemes().iter().any(|scheme| {
        matches!(
            scheme,
            SignatureScheme::ECDSA_NISTP256_SHA256 | SignatureScheme::ECDSA_NISTP384_SHA384
        )
    });
    // RFC 8422 §5.1: in TLS 1.2 the groups also say which curves a certificate may have; in TLS 1.3 they do not.
    let speaks_tls13 = hello
        .cipher_suites()
        .iter()
        .any(|suite| u16::from(*suite) >> 8 == 0x13);
    let by_curve = hello.named_groups().is_none_or(|groups| {
        groups
            .iter()
            .any(|group| matches!(group, NamedGroup::secp256r1 | NamedGroup::secp384r1))
    });
    by_scheme && (speaks_tls13 || by_curve)
}

/// The certificates of a store for a listener that has a name of its own: who names no host, or one we
/// do not have, gets the certificate for that name.
#[derive(Debug)]
pub(crate) struct CertificatesFor {
    store: Arc<CertStore>,
    name: String,
}

impl CertificatesFor {
    pub(crate) fn new(store: Arc<CertStore>, name: &str) -> Self {
        Self {
            store,
            name: name.to_ascii_lowercase(),
        }
    }
}

impl ResolvesServerCert for CertificatesFor {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.store.choose(&hello, Some(&self.name))
    }
}

impl ResolvesServerCert for CertStore {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(&hello, None)
    }
}

impl CertStore {
    fn choose(&self, hello: &ClientHello<'_>, own: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let table = self.table();
        let pair = hello
            .server_name()
            .and_then(|name| table.find(&name.to_ascii_lowercase()))
            .or_else(|| own.and_then(|name| table.find(name)))
            .unwrap_or_else(|| table.default.clone());
        let chosen = if takes_ecdsa(hello) {
            pair.ecdsa.or(pair.rsa)
        } else {
            pair.rsa.or(pair.ecdsa)
        }?;
        capture::note_end_point(Arc::clone(&chosen.end_point));
        Some(Arc::clone(&chosen.certified))
    }
}

/// SHA-256 of a certificate's DER encoding.
pub(crate) fn sha256(certificate: &CertificateDer<'_>) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate);
    digest.as_ref().first_chunk().copied().unwrap_or_default()
}

/// RFC 5929 §4.1: the certificate hashed with the hash of its own signature, and SHA-256 in place of anything weaker.
fn end_point_hash(certificate: &CertificateDer<'_>) -> Arc<[u8]> {
    use aws_lc_rs::digest;
    let hash = match signature_oid(certificate) {
        // ecdsa-with-SHA384, sha384WithRSAEncryption
        Some([0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3])
        | Some([0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 0x0c]) => &digest::SHA384,
        // ecdsa-with-SHA512, sha512WithRSAEncryption
        Some([0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4])
        | Some([0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 0x0d]) => &digest::SHA512,
        _ => &digest::SHA256,
    };
    Arc::from(digest::digest(hash, certificate).as_ref())
}

/// The signature algorithm's OID: Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { OID … } … }.
fn signature_oid(certificate: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = der_element(certificate, 0x30)?;
    let (_tbs, rest) = der_element(certificate, 0x30)?;
    let (algorithm, _) = der_element(rest, 0x30)?;
    let (oid, _) = der_element(algorithm, 0x06)?;
    Some(oid)
}

/// The content of the DER element at the front, and what follows it.
fn der_element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    if *found != tag {
        return None;
    }
    if *first < 0x80 {
        return rest.split_at_checked(usize::from(*first));
    }
    let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
    if length.len() > 4 {
        return None;
    }
    let length = length
        .iter()
        .fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
    rest.split_at_checked(length)
}

#[cfg(test)]
#[path = "certificates_tests.rs"]
mod tests;
