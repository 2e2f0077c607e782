//! The services that answers are made from. Wired once by the server; holds no state of its own.

use crate::connecting::Connecting;
use crate::legacy_hosts::LegacyHosts;
use admission::Desk;
use directory::admin::Admin;
use directory::{AddressKey, Directory};
use formats::language::Language;
use platform::clock::Clock;
use platform::dns::Resolver;
use platform::random::Random;
use platform::store::{Store, StoreError};
use policy::{Connections, Findings, Policies};
use queue::Queue;
use rollout::Rollouts;
use rollout::dmarc::advisor::Advisor;
use rollout::zone_change::ZoneChanges;
use routing::seen::Seen;
use signing::Signing;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

/// A letter that is being handed over.
pub type Mailed<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// Mails codes that prove who reads an address.
pub trait Codes: Send + Sync {
    /// Makes a code for `account` to send as `address`, and mails it there. The error is a sentence for whoever asked.
    fn mail<'a>(
        &'a self,
        account: &'a AddressKey,
        address: &'a AddressKey,
        by: String,
    ) -> Mailed<'a>;
}

/// What the API and the pages work with. Cheap to clone.
#[derive(Clone)]
pub struct Services {
    /// The name of this node, for links.
    pub host_name: Arc<str>,
    /// Rows.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// Randomness, for tokens.
    pub random: Random,
    /// Who is here, and logins.
    pub directory: Directory,
    /// Changes to the directory, mailboxes included.
    pub accounts: Admin,
    /// What the provider decided.
    pub policies: Policies,
    /// Who may log in, and how.
    pub desk: Desk,
    /// How accounts connect.
    pub connections: Connections,
    /// Announcements and letters.
    pub rollouts: Rollouts,
    /// What measures saw.
    pub findings: Findings,
    /// Which TLS mail of other servers used.
    pub seen: Seen,
    /// Mail in motion.
    pub queue: Queue,
    /// Signatures and their keys.
    pub signing: Signing,
    /// Proofs by mail.
    pub codes: Arc<dyn Codes>,
    /// Where customers' programs connect.
    pub connecting: Connecting,
    /// The DNS.
    pub resolver: Arc<dyn Resolver>,
    /// The way of domains to a strict DMARC policy.
    pub advisor: Advisor,
    /// The legacy hosts.
    pub legacy: LegacyHosts,
    /// Planned changes of records.
    pub zone_changes: ZoneChanges,
    /// Where the facts that rules are replayed over were recorded.
    pub facts_dir: Arc<Path>,
    /// The language of customers for whom none is set.
    pub first_language: Language,
}

impl Services {
    /// Writes what sessions and delivery have counted so far, for answers that look at it.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn keep(&self) -> Result<(), StoreError> {
        self.connections.flush().await?;
        self.findings.flush().await?;
        self.policies.watch().flush().await?;
        self.seen.flush().await
    }
}
