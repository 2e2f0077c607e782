//! The one log line about a login, the same for every protocol. RFC 8314 §4.2 wants the TLS facts
//! in it. Holds the client's address, so it falls under the retention of raw logs.

use crate::{LoginRuling, Protocol};
use platform::tls::TlsFacts;
use std::net::IpAddr;

/// Logs what became of a login.
pub fn record(ruling: &LoginRuling, protocol: Protocol, peer: IpAddr, tls: Option<&TlsFacts>) {
    let account = match ruling {
        LoginRuling::Accepted(identity) => Some(identity.account.0),
        LoginRuling::Refused(_) | LoginRuling::TryLater { .. } => None,
    };
    tracing::info!(
        protocol = protocol.name(),
        outcome = ruling.reason(),
        account,
        %peer,
        tls = tls.map(|tls| tls.version.as_str()),
        cipher = tls.map(|tls| tls.cipher),
        group = tls.and_then(|tls| tls.group),
        fingerprint = tls.and_then(|tls| tls.client_fingerprint.as_deref()),
        "login"
    );
}
