//! The services that answers are made from. Wired once by the server; holds no state of its own.

use admission::Desk;
use directory::Directory;
use directory::admin::Admin;
use platform::clock::Clock;
use platform::random::Random;
use platform::store::Store;
use policy::{Connections, Findings, Policies};
use queue::Queue;
use rollout::Rollouts;
use signing::Signing;

/// What the API and the pages work with. Cheap to clone.
#[derive(Clone)]
pub struct Services {
    /// The name of this node, for links.
    pub host_name: std::sync::Arc<str>,
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
    /// Mail in motion.
    pub queue: Queue,
    /// Signatures and their keys.
    pub signing: Signing,
}
