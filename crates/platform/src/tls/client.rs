//! TLS as a client: for mail we send to other servers, and for tests. Either the server must prove its name to a
//! given set of roots, or it is only noted whether it could have (opportunistic TLS, RFC 7435).

use crate::tls::capture;
use crate::tls::server::provider;
use crate::tls::session::{Connection, Handshake};
use crate::tls::{HandshakeError, HandshakeFailure};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{UnbufferedClientConnection, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::path::Path;
use std::sync::Arc;

/// How a server's certificate was judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verification {
    /// It leads to a root of ours, is valid now and carries the name.
    Passed,
    /// It does not; the text says why.
    Failed(String),
    /// There were no roots to compare with.
    NotChecked,
}

/// Whether a certificate that fails verification ends the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Duty {
    Verified,
    Opportunistic,
}

/// A client's TLS settings. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
}

impl ClientTls {
    /// The server must prove its name to a root in the PEM file `roots`.
    ///
    /// # Errors
    /// In words, where the file is unreadable or holds no usable root.
    pub fn verified(roots: &Path) -> Result<Self, String> {
        Self::build(Some(read_roots(roots)?), Duty::Verified)
    }

    /// Any certificate will do; `TlsFacts::peer_certificate` says what it was and, where `roots` are given,
    /// whether it was good.
    ///
    /// # Errors
    /// In words, where the file is unreadable or holds no usable root.
    pub fn opportunistic(roots: Option<&Path>) -> Result<Self, String> {
        let roots = roots.map(read_roots).transpose()?;
        Self::build(roots, Duty::Opportunistic)
    }

    fn build(roots: Option<RootCertStore>, duty: Duty) -> Result<Self, String> {
        let provider = Arc::new(provider());
        let inner = roots
            .map(|roots| {
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                    .build()
            })
            .transpose()
            .map_err(|e| e.to_string())?;
        let verifier = NotingVerifier {
            inner,
            duty,
            provider: Arc::clone(&provider),
        };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|e| e.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        // A resumed session shows no certificate, and what each delivery did to verify one must be on record.
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Self {
            config: Arc::new(config),
        })
    }

    /// A handshake with the server called `server_name`.
    pub(crate) fn handshake(&self, server_name: &str) -> Result<Handshake, HandshakeError> {
        let name = ServerName::try_from(server_name.to_owned())
            .map_err(|_| HandshakeFailure::Malformed("the server's name is no host name"))?;
        let connection = UnbufferedClientConnection::new(Arc::clone(&self.config), name)
            .map_err(HandshakeFailure::from)?;
        Ok(Handshake::new(Connection::Client(connection), Vec::new()))
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

/// Verifies where there are roots, notes the outcome, and lets pass what need not be verified.
#[derive(Debug)]
struct NotingVerifier {
    inner: Option<Arc<WebPkiServerVerifier>>,
    duty: Duty,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for NotingVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(inner) = &self.inner else {
            capture::note_verification(Verification::NotChecked);
            return Ok(ServerCertVerified::assertion());
        };
        match inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Ok(verified) => {
                capture::note_verification(Verification::Passed);
                Ok(verified)
            }
            Err(e) => {
                capture::note_verification(Verification::Failed(e.to_string()));
                match self.duty {
                    Duty::Verified => Err(e),
                    Duty::Opportunistic => Ok(ServerCertVerified::assertion()),
                }
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
