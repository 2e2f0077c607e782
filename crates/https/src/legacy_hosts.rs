//! What a node knows of its legacy hosts: the gateway as it says it is, the names, its own ports, and the key of proofs.
//! Wired by the server; asks nobody by itself.

use crate::proof::ProofKey;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use tokio::sync::Semaphore;

/// Proofs that are made at once: each tries every port.
const PROOFS_AT_ONCE_MAX: usize = 2;

/// How the gateway is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayReport {
    /// Its TLS library, as that names itself.
    pub library: String,
    /// TLS versions it speaks now, with commas between.
    pub versions: String,
    /// Whether sessions in clear may log in.
    pub cleartext: bool,
    /// Open sessions in clear, over TLS 1.0, 1.1 and 1.2.
    pub sessions: [u32; 4],
    /// Its listeners, such as `imaps 192.0.2.10:993`.
    pub listeners: Vec<String>,
}

/// Where this node takes connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// As in the settings.
    pub role: String,
    /// As in the settings.
    pub mode: String,
    /// The real address.
    pub address: SocketAddr,
}

/// Asks the gateway how it is; `None` where none is connected and ready.
pub type AskGateway = Arc<dyn Fn() -> Option<GatewayReport> + Send + Sync>;

/// See the module's text. Cheap to clone.
#[derive(Clone)]
pub struct LegacyHosts {
    /// Where the gateway connects; `None` where none is configured.
    pub socket: Option<PathBuf>,
    /// The names of the legacy hosts.
    pub names: Vec<String>,
    /// The gateway.
    pub gateway: AskGateway,
    /// Signs proofs.
    pub key: Arc<ProofKey>,
    ports: Arc<OnceLock<Vec<Port>>>,
    proofs: Arc<Semaphore>,
}

impl LegacyHosts {
    /// Those of a node that does not listen yet.
    pub fn new(
        socket: Option<PathBuf>,
        names: Vec<String>,
        gateway: AskGateway,
        key: ProofKey,
    ) -> Self {
        Self {
            socket,
            names,
            gateway,
            key: Arc::new(key),
            ports: Arc::default(),
            proofs: Arc::new(Semaphore::new(PROOFS_AT_ONCE_MAX)),
        }
    }

    /// Tells where connections are taken; once, at the start.
    pub fn bound(&self, ports: Vec<Port>) {
        let _ = self.ports.set(ports);
    }

    /// Where connections are taken; `None` where no node runs.
    pub(crate) fn ports(&self) -> Option<&[Port]> {
        self.ports.get().map(Vec::as_slice)
    }

    /// The right to make a proof now.
    pub(crate) fn proofs(&self) -> &Semaphore {
        &self.proofs
    }
}
