//! Which TLS versions a listener agrees on at the moment: TLS 1.2 goes where `tls-version` demands 1.3 of everybody
//! (S1-20), at the moment its date comes. What some accounts may still use is decided at their login.

use platform::clock::Clock;
use platform::tls::{AskVersions, Versions};
use policy::{Policies, Service};
use std::fmt;

/// Asks policy as each handshake begins.
pub(super) struct ByPolicy {
    pub(super) policies: Policies,
    pub(super) clock: Clock,
    pub(super) service: Service,
}

impl fmt::Debug for ByPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByPolicy")
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

impl AskVersions for ByPolicy {
    fn versions(&self) -> Versions {
        let now = self.clock.now();
        match self
            .policies
            .snapshot()
            .tls12_for_somebody(self.service, now)
        {
            true => Versions::Both,
            false => Versions::Tls13,
        }
    }
}
