//! What the operator decides about the SMTP server, and the services it works with. Values only.
//! Made once by the wiring in `server`; shared by all sessions.

use crate::data::BareEndings;
use crate::limits::Limits;
use directory::Directory;
use directory::sasl::Mechanism;
use platform::clock::Clock;
use platform::net::Network;
use platform::random::Random;
use platform::spool::{SpoolBudget, SpoolLimits};
use queue::{Queue, TraceIds};
use std::path::Path;
use std::sync::Arc;

/// What a listener that speaks SMTP is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Port 25: other servers deliver to addresses here. Never relays for them.
    Mx,
    /// Ports 587 and 465: customers send. TLS and a login are required (RFC 8314 §3.3, RFC 6409 §4.3).
    Submission,
}

impl Role {
    /// The role among those that speak SMTP.
    pub(super) fn of(role: platform::net::Role) -> Option<Self> {
        match role {
            platform::net::Role::Mx => Some(Self::Mx),
            platform::net::Role::Submission => Some(Self::Submission),
            _ => None,
        }
    }

    /// The word in logs and traces.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mx => "mx",
            Self::Submission => "submission",
        }
    }
}

/// Whether customers may log in on a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginOffer {
    /// AUTH is offered, after TLS only.
    AfterTls,
    /// AUTH is not offered. The default of an mx.
    Never,
}

/// Settings of the SMTP server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The name in the greeting, in EHLO's answer and in Received.
    pub host_name: Box<str>,
    /// Every limit.
    pub limits: Limits,
    /// Whether an mx offers AUTH too, for customers whose clients still send by port 25.
    pub mx_login: LoginOffer,
    /// What becomes of bare CR and LF in submitted messages. An mx always refuses them.
    pub submission_bare_endings: BareEndings,
    /// Mechanisms of AUTH, in the order they are shown.
    pub mechanisms: Vec<Mechanism>,
    /// Test addresses that may say who the client is by XCLIENT; empty on a normal server.
    pub xclient_networks: Vec<Network>,
}

impl Settings {
    /// What a provider wants, for a host of this name.
    pub fn new(host_name: &str) -> Self {
        Self {
            host_name: host_name.into(),
            limits: Limits::default(),
            mx_login: LoginOffer::Never,
            submission_bare_endings: BareEndings::Normalise,
            mechanisms: vec![
                Mechanism::ScramSha256Plus,
                Mechanism::ScramSha256,
                Mechanism::Plain,
                Mechanism::Login,
            ],
            xclient_networks: Vec::new(),
        }
    }
}

/// What sessions work with.
pub struct ServerContext {
    /// Who is here, and who may log in.
    pub directory: Directory,
    /// Takes messages over.
    pub queue: Queue,
    /// Names messages. One for the whole node: the wiring replaces it where others give ids too.
    pub trace_ids: Arc<TraceIds>,
    /// The time.
    pub clock: Clock,
    /// For Message-ID.
    pub random: Random,
    /// Settings.
    pub settings: Settings,
    /// The memory all messages on their way in may take. One for the whole node: the wiring replaces
    /// it where other protocols take messages too.
    pub spool_budget: Arc<SpoolBudget>,
    spool: SpoolLimits,
}

impl ServerContext {
    /// Sessions that work with these services and spool large messages in `spool_dir`.
    pub fn new(
        directory: Directory,
        queue: Queue,
        clock: Clock,
        random: Random,
        settings: Settings,
        spool_dir: Arc<Path>,
    ) -> Self {
        let limits = &settings.limits;
        let budget = u64::try_from(limits.total_message_memory_bytes_max).unwrap_or(u64::MAX);
        Self {
            directory,
            queue,
            trace_ids: Arc::new(TraceIds::new(clock.clone())),
            clock,
            random,
            spool: SpoolLimits {
                memory_bytes: limits.message_memory_bytes_max,
                dir: spool_dir,
            },
            spool_budget: SpoolBudget::new(budget),
            settings,
        }
    }

    /// An empty spool within the limits of a session and of all together.
    pub(super) fn spool(&self) -> platform::spool::Spool {
        platform::spool::Spool::with_budget(self.spool.clone(), self.spool_budget.clone())
    }
}
