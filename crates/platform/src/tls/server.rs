//! The TLS settings of a listener: Mozilla's "intermediate" of 2026 (guidelines 6.0), which is TLS 1.2 and 1.3 with
//! forward secrecy and authenticated encryption only. No early data, no client certificates, no renegotiation.

use crate::net::OlderTls;
use crate::tls::capture::ExporterCapture;
use crate::tls::certificates::{CertStore, CertificatesFor};
use crate::tls::session::{Connection, Handshake};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{Ticketer, cipher_suite, default_provider, kx_group};
use rustls::server::{NoServerSessionStorage, ResolvesServerCert, UnbufferedServerConnection};
use std::fmt;
use std::sync::Arc;

/// Whose order of cipher suites counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CipherOrder {
    /// Ours: AES-128-GCM before AES-256-GCM before ChaCha20 (TLS 1.2 too).
    #[default]
    Server,
    /// The client's, which knows whether it has AES in hardware.
    Client,
}

/// What can be set. Read when the server starts.
#[derive(Debug, Clone, Default)]
pub struct ServerTlsSettings {
    /// Whose order of cipher suites counts; default: ours.
    pub cipher_order: CipherOrder,
    /// Application protocols to agree on (ALPN), best first; default: none, which accepts whatever a client offers.
    pub alpn: Vec<Vec<u8>>,
    /// The listener's own name: clients that name no host, or one we do not have, get the certificate
    /// for it. `None`: the default of the certificates.
    pub host_name: Option<String>,
    /// Which versions are agreed on.
    pub versions: Versions,
}

/// Which versions of TLS a listener agrees on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Versions {
    /// 1.2 and 1.3.
    #[default]
    Both,
    /// 1.3 only.
    Tls13,
}

/// Says, as each handshake begins, which versions are agreed on: for what may change while a listener is open.
pub trait AskVersions: fmt::Debug + Send + Sync {
    /// The versions of this moment.
    fn versions(&self) -> Versions;
}

/// A listener's TLS. Cheap to clone; clones share certificates and session tickets.
#[derive(Debug, Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    /// The same for TLS 1.3 only, and who says when that is used.
    only_13: Option<(Arc<ServerConfig>, Arc<dyn AskVersions>)>,
    older: Option<Arc<dyn OlderTls>>,
}

/// How many tickets a TLS 1.3 client gets. Each costs us a key derivation and an encryption; a client that resumes
/// gets a fresh one, so one is enough to always have one.
const TICKETS: usize = 1;

impl ServerTls {
    /// TLS with the certificates of `store`, which may be reloaded while this is in use.
    ///
    /// # Errors
    /// Where the operating system has no randomness for ticket keys.
    pub fn new(store: Arc<CertStore>, settings: &ServerTlsSettings) -> Result<Self, rustls::Error> {
        let versions = match settings.versions {
            Versions::Both => &[&rustls::version::TLS13, &rustls::version::TLS12][..],
            Versions::Tls13 => &[&rustls::version::TLS13],
        };
        let certificates: Arc<dyn ResolvesServerCert> = match &settings.host_name {
            Some(name) => Arc::new(CertificatesFor::new(store, name)),
            None => store,
        };
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_protocol_versions(versions)?
            .with_no_client_auth()
            .with_cert_resolver(certificates);
        config.ignore_client_order = settings.cipher_order == CipherOrder::Server;
        config.alpn_protocols.clone_from(&settings.alpn);
        // Tickets need no memory here and work on both versions; their keys change every six hours.
        config.ticketer = Ticketer::new()?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = TICKETS;
        config.max_early_data_size = 0;
        config.key_log = Arc::new(ExporterCapture);
        Ok(Self {
            config: Arc::new(config),
            only_13: None,
            older: None,
        })
    }

    /// The same, but clients that are too old are offered to `older` before they are refused.
    #[must_use]
    pub fn with_older(self, older: Arc<dyn OlderTls>) -> Self {
        Self {
            older: Some(older),
            ..self
        }
    }

    /// The same, but `ask` may at any time leave out TLS 1.2.
    ///
    /// # Errors
    /// Those of `new`.
    pub fn with_versions(self, ask: Arc<dyn AskVersions>) -> Result<Self, rustls::Error> {
        let usual = &self.config;
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_cert_resolver(usual.cert_resolver.clone());
        config.ignore_client_order = usual.ignore_client_order;
        config.alpn_protocols.clone_from(&usual.alpn_protocols);
        config.ticketer = usual.ticketer.clone();
        config.session_storage = usual.session_storage.clone();
        config.send_tls13_tickets = usual.send_tls13_tickets;
        config.max_early_data_size = usual.max_early_data_size;
        config.key_log = usual.key_log.clone();
        Ok(Self {
            only_13: Some((Arc::new(config), ask)),
            ..self
        })
    }

    /// Who may take clients that are too old.
    pub(crate) fn older(&self) -> Option<&dyn OlderTls> {
        self.older.as_deref()
    }

    /// A handshake whose first bytes, `incoming`, are there already.
    pub(crate) fn handshake(&self, incoming: Vec<u8>) -> Result<Handshake, rustls::Error> {
        let config = match &self.only_13 {
            Some((config, ask)) if ask.versions() == Versions::Tls13 => config,
            _ => &self.config,
        };
        let connection = UnbufferedServerConnection::new(Arc::clone(config))?;
        Ok(Handshake::new(Connection::Server(connection), incoming))
    }
}

/// Suites and groups in our order. Mozilla guidelines 6.0, "intermediate".
pub(crate) fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
            cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        ],
        kx_groups: vec![
            kx_group::X25519MLKEM768,
            kx_group::X25519,
            kx_group::SECP256R1,
            kx_group::SECP384R1,
        ],
        ..default_provider()
    }
}
