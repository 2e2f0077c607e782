//! TLS as a client: for mail we send to other servers, for HTTPS, and for tests. What the server must prove is
//! said per handshake by a `Demand`; what it proved is in the session's facts.
//! No session is ever resumed: a resumed one shows no certificate, and a proof given for one policy would serve another.

use crate::tls::capture::{self, Verdict};
use crate::tls::demand::{Demand, Proof, Suites};
use crate::tls::server::provider;
use crate::tls::session::{Connection, Handshake};
use crate::tls::validity;
use crate::tls::verify::{Shown, bare};
use crate::tls::{HandshakeError, HandshakeFailure, TlsVersion};
use rustls::client::UnbufferedClientConnection;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore,
    SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{
    CertificateDer, ServerName, SubjectPublicKeyInfoDer, TrustAnchor, UnixTime,
};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// Where systems keep the roots they trust.
const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// A client's TLS settings. Cheap to clone.
#[derive(Clone)]
pub struct ClientTls {
    shared: Arc<Shared>,
}

struct Shared {
    roots: Roots,
    /// For any version and suite, the common case, and demanding nothing.
    open: Arc<ClientConfig>,
}

/// The roots of certificates; those of the system are read when they are first needed.
enum Roots {
    Given(Arc<RootCertStore>),
    System(OnceLock<Arc<RootCertStore>>),
}

impl Roots {
    fn get(&self) -> Arc<RootCertStore> {
        match self {
            Self::Given(roots) => Arc::clone(roots),
            Self::System(roots) => Arc::clone(roots.get_or_init(|| Arc::new(system_roots()))),
        }
    }
}

impl std::fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientTls").finish_non_exhaustive()
    }
}

impl ClientTls {
    /// Certificates are proved to the roots in the PEM file `roots`, or to those the system trusts.
    ///
    /// # Errors
    /// In words, where the file is unreadable or holds no usable root.
    pub fn new(roots: Option<&Path>) -> Result<Self, String> {
        let roots = match roots {
            Some(path) => Roots::Given(Arc::new(read_roots(path)?)),
            None => Roots::System(OnceLock::new()),
        };
        let verifier = DemandVerifier {
            proof: Proof::Any,
            audit: None,
            roots: Arc::new(RootCertStore::empty()),
            provider: provider_of(Suites::All),
        };
        let open = config(verifier, TlsVersion::V1_2).map_err(|e| e.to_string())?;
        Ok(Self {
            shared: Arc::new(Shared {
                roots,
                open: Arc::new(open),
            }),
        })
    }

    /// The roots that this is made with.
    pub(crate) fn roots(&self) -> Arc<RootCertStore> {
        self.shared.roots.get()
    }

    /// A handshake that must meet `demand`.
    pub(crate) fn handshake(&self, demand: &Demand) -> Result<Handshake, HandshakeError> {
        let config = self.config(demand).map_err(HandshakeFailure::from)?;
        let connection = UnbufferedClientConnection::new(config, server_name(&demand.server_name))
            .map_err(HandshakeFailure::from)?;
        Ok(Handshake::new(Connection::Client(connection), Vec::new()))
    }

    /// For other ways of moving bytes than `net::Stream`.
    pub(crate) fn config(&self, demand: &Demand) -> Result<Arc<ClientConfig>, rustls::Error> {
        if demand.proof == Proof::Any
            && demand.audit.is_none()
            && demand.version_min == TlsVersion::V1_2
            && demand.suites == Suites::All
        {
            return Ok(Arc::clone(&self.shared.open));
        }
        let needs_roots = |proof: &Proof| matches!(proof, Proof::Names(_));
        let roots = if needs_roots(&demand.proof) || demand.audit.as_ref().is_some_and(needs_roots)
        {
            self.roots()
        } else {
            Arc::new(RootCertStore::empty())
        };
        let verifier = DemandVerifier {
            proof: demand.proof.clone(),
            audit: demand.audit.clone(),
            roots,
            provider: provider_of(demand.suites),
        };
        Ok(Arc::new(config(verifier, demand.version_min)?))
    }
}

/// What goes into SNI. A name that is no host name sends none: the handshake must not fail for that where nothing
/// is to be proved, and where something is, the proof has the names.
pub(crate) fn server_name(text: &str) -> ServerName<'static> {
    ServerName::try_from(bare(text).to_owned())
        .unwrap_or(ServerName::from(IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
}

fn config(
    verifier: DemandVerifier,
    version_min: TlsVersion,
) -> Result<ClientConfig, rustls::Error> {
    let versions: &[&rustls::SupportedProtocolVersion] = match version_min {
        // Older versions are the legacy gateway's alone; no demand can lower ours.
        TlsVersion::V1_0 | TlsVersion::V1_1 | TlsVersion::V1_2 => {
            &[&rustls::version::TLS13, &rustls::version::TLS12]
        }
        TlsVersion::V1_3 => &[&rustls::version::TLS13],
    };
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&verifier.provider))
        .with_protocol_versions(versions)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

/// Our suites, made once.
pub(crate) fn provider_of(suites: Suites) -> Arc<CryptoProvider> {
    static ALL: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    static BITS_256: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    match suites {
        Suites::All => Arc::clone(ALL.get_or_init(|| Arc::new(provider()))),
        Suites::Bits256 => Arc::clone(BITS_256.get_or_init(|| {
            let mut provider = provider();
            provider.cipher_suites.retain(|suite| {
                let name = suite.suite().as_str().unwrap_or_default();
                name.contains("AES_256") || name.contains("CHACHA20")
            });
            Arc::new(provider)
        })),
    }
}

fn read_roots(path: &Path) -> Result<RootCertStore, String> {
    let wrong =
        |reason: String| format!("the roots in {} cannot be used: {reason}", path.display());
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(path).map_err(|e| wrong(e.to_string()))? {
        let root = root.map_err(|e| wrong(e.to_string()))?;
        // A system's bundle may hold some that no modern parser takes; the others count.
        let _skipped = roots.add(root);
    }
    if roots.is_empty() {
        return Err(wrong("there is none".to_owned()));
    }
    Ok(roots)
}

/// The first bundle that is there; without one nothing is trusted, and what demands a trusted name fails.
fn system_roots() -> RootCertStore {
    let found = SYSTEM_ROOTS
        .iter()
        .find_map(|path| read_roots(Path::new(path)).ok());
    found.unwrap_or_else(|| {
        tracing::warn!("tls.no_system_roots");
        RootCertStore::empty()
    })
}

/// Judges the server's certificates by one demand and notes the verdict.
struct DemandVerifier {
    proof: Proof,
    audit: Option<Proof>,
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl std::fmt::Debug for DemandVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DemandVerifier")
            .field("proof", &self.proof)
            .finish_non_exhaustive()
    }
}

impl ServerCertVerifier for DemandVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let roots: &[TrustAnchor<'static>] = &self.roots.roots;
        let shown = Shown {
            leaf: end_entity,
            intermediates,
            roots,
            algorithms: &self.provider.signature_verification_algorithms,
            now,
        };
        let proved = shown.judge(&self.proof);
        let outcome = match &proved {
            Ok(_) => Ok(ServerCertVerified::assertion()),
            Err(fault) => Err(rustls::Error::InvalidCertificate(CertificateError::Other(
                OtherError(Arc::new(fault.clone())),
            ))),
        };
        capture::note_verdict(Verdict {
            proved,
            audit: self.audit.as_ref().map(|proof| shown.judge(proof)),
        });
        outcome
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        match odd_key(certificate) {
            Some(key) => verify_by_key(message, &key, signed, algorithms),
            None => verify_tls12_signature(message, certificate, signed, algorithms),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        match odd_key(certificate) {
            Some(key) => verify_tls13_signature_with_raw_key(message, &key, signed, algorithms),
            None => verify_tls13_signature(message, certificate, signed, algorithms),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// The key of a certificate that webpki does not read: one of version 1, say, or with a serial number below zero. It
/// proves no name, but where only the key counts, or nothing, the server need not have a better one.
fn odd_key<'a>(certificate: &'a CertificateDer<'_>) -> Option<SubjectPublicKeyInfoDer<'a>> {
    if webpki::EndEntityCert::try_from(certificate).is_ok() {
        return None;
    }
    validity::public_key(certificate).map(SubjectPublicKeyInfoDer::from)
}

/// TLS 1.2: the scheme names the hash and the kind of key, not the curve (RFC 5246 §7.4.1.4.1).
fn verify_by_key(
    message: &[u8],
    key: &SubjectPublicKeyInfoDer<'_>,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    let wrong = || rustls::Error::InvalidCertificate(CertificateError::BadSignature);
    let key = webpki::RawPublicKeyEntity::try_from(key).map_err(|_| wrong())?;
    let of_scheme = algorithms
        .mapping
        .iter()
        .filter(|(scheme, _)| *scheme == signed.scheme)
        .flat_map(|(_, algorithms)| *algorithms);
    for algorithm in of_scheme {
        if key
            .verify_signature(*algorithm, message, signed.signature())
            .is_ok()
        {
            return Ok(HandshakeSignatureValid::assertion());
        }
    }
    Err(wrong())
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
