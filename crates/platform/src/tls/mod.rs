//! TLS as rustls on aws-lc-rs does it: TLS 1.2 and 1.3 with forward secrecy only, two kinds of certificate side
//! by side, and the facts of a session that rules, statistics and channel binding need.
//! Never offers anything older; called by `net` (which moves the bytes) and by the wiring (which has the settings).

mod capture;
pub mod certificates;
pub mod client;
pub mod client_hello;
pub mod dane;
mod demand;
pub mod demo;
mod facts;
pub(crate) mod failure;
mod fingerprint;
#[doc(hidden)]
pub mod fuzz;
pub mod host_keys;
mod server;
pub(crate) mod session;
mod validity;
mod verify;

pub use certificates::{CertStore, CertificateError, CertificateFiles, ReloadReport};
pub use client::ClientTls;
pub use client_hello::ClientHello;
pub use demand::{CertificateFault, CertificateFaultKind, Demand, Proof, Suites, Verified};
pub use demo::{DemoFiles, demo_ca};
pub use facts::{PeerCertificate, TlsFacts, TlsVersion};
pub use failure::{HandshakeError, HandshakeFailure};
pub use server::{AskVersions, CipherOrder, ServerTls, ServerTlsSettings, Versions};

#[cfg(test)]
mod openssl_tests;
