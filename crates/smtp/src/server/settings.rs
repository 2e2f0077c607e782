//! What the operator decides about the SMTP server, and the services it works with. Values only.
//! Made once by the wiring in `server`; shared by all sessions.

use super::extension::Extension;
use crate::data::BareEndings;
use crate::limits::Limits;
use admission::Desk;
use directory::Directory;
use directory::sasl::Mechanism;
use platform::clock::Clock;
use platform::net::Network;
use platform::random::Random;
use platform::spool::{SpoolBudget, SpoolLimits};
use policy::{Findings, Policies, Snapshot, Usage};
use queue::{Queue, TraceIds};
use routing::seen::Seen;
use signing::Signing;
use std::path::Path;
use std::sync::Arc;

/// What a listener that speaks SMTP is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Port 25: other servers deliver to addresses here. Never relays for them.
    Mx,
    /// The same, but no mail comes in before TLS was started; the MX of domains that take mail over
    /// TLS only.
    SecureMx,
    /// Ports 587 and 465: customers send. TLS and a login are required (RFC 8314 §3.3, RFC 6409 §4.3).
    Submission,
}

impl Role {
    /// The role among those that speak SMTP.
    pub(super) fn of(role: platform::net::Role) -> Option<Self> {
        match role {
            platform::net::Role::Mx => Some(Self::Mx),
            platform::net::Role::SecureMx => Some(Self::SecureMx),
            platform::net::Role::Submission => Some(Self::Submission),
            _ => None,
        }
    }

    /// The word in logs and traces.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mx => "mx",
            Self::SecureMx => "securemx",
            Self::Submission => "submission",
        }
    }
}

/// What sets one listener apart from others with its role. The default is nothing.
#[derive(Debug, Clone, Default)]
pub struct Listener {
    /// Its name in the greeting, in EHLO's answer and in Received; `None`: the node's.
    pub hello: Option<Box<str>>,
    /// Customer groups whose domains it takes mail for; empty: all. Only for mail from other servers.
    pub groups: Vec<Box<str>>,
    /// Which group's mail comes in where: group and name, of all listeners that serve only some groups.
    pub places: Arc<[(Box<str>, Box<str>)]>,
    /// Its own limits; `None`: the node's.
    pub limits: Option<Limits>,
    /// Whether an mx offers AUTH too, for customers whose mail programs still send by port 25. What they
    /// send after it is a submission in everything. A submission listener always offers AUTH.
    pub login: LoginOffer,
    /// Mechanisms of AUTH in the order they are shown; `None`: the node's.
    pub mechanisms: Option<Box<[Mechanism]>>,
    /// Extensions of ESMTP that are neither offered nor accepted.
    pub extensions_off: Box<[Extension]>,
}

impl Listener {
    /// Its own limits, else the node's.
    pub(super) fn limits<'a>(&'a self, node: &'a Settings) -> &'a Limits {
        self.limits.as_ref().unwrap_or(&node.limits)
    }

    /// Whether mail for a domain of `group` comes in here.
    pub(super) fn serves(&self, group: Option<&str>) -> bool {
        self.groups.is_empty()
            || group.is_some_and(|group| self.groups.iter().any(|g| **g == *group))
    }

    /// Whether an extension is offered.
    pub(super) fn offers(&self, extension: Extension) -> bool {
        !self.extensions_off.contains(&extension)
    }

    /// Its own mechanisms, else the node's.
    pub(super) fn mechanisms<'a>(&'a self, node: &'a Settings) -> &'a [Mechanism] {
        self.mechanisms.as_deref().unwrap_or(&node.mechanisms)
    }

    /// Where mail for `group` comes in.
    pub(super) fn place_of(&self, group: Option<&str>) -> Option<&str> {
        let (_, name) = self.places.iter().find(|(of, _)| group == Some(of))?;
        Some(name)
    }
}

/// Whether customers may log in on a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoginOffer {
    /// AUTH is offered, after TLS only; on a submission listener before it, too, while policy does not
    /// refuse that to everybody.
    AfterTls,
    /// AUTH is not offered. The default of an mx.
    #[default]
    Never,
}

/// Settings of the SMTP server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The name in the greeting, in EHLO's answer and in Received.
    pub host_name: Box<str>,
    /// Every limit.
    pub limits: Limits,
    /// What becomes of bare CR and LF in submitted messages. Those of other servers are always refused.
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
            submission_bare_endings: BareEndings::Normalise,
            mechanisms: Mechanism::ALL.into(),
            xclient_networks: Vec::new(),
        }
    }
}

/// The services sessions work with.
pub struct Services {
    /// Who is here.
    pub directory: Directory,
    /// Who may log in, and how.
    pub desk: Desk,
    /// Takes messages over.
    pub queue: Queue,
    /// What the provider decided about senders, limits, TLS and headers.
    pub policies: Policies,
    /// Collects what a measure would have refused.
    pub findings: Findings,
    /// Counts what customers send, against their limits.
    pub usage: Usage,
    /// Recognises the senders it rewrote for forwards.
    pub signing: Signing,
    /// Remembers which TLS mail came in with.
    pub seen: Seen,
}

/// What sessions work with.
pub struct ServerContext {
    /// Who is here.
    pub directory: Directory,
    /// Who may log in, and how.
    pub desk: Desk,
    /// Takes messages over.
    pub queue: Queue,
    /// What the provider decided about senders, limits, TLS and headers.
    pub policies: Policies,
    /// Collects what a measure would have refused.
    pub findings: Findings,
    /// Counts what customers send, against their limits.
    pub usage: Usage,
    /// Recognises the senders it rewrote for forwards.
    pub signing: Signing,
    /// Remembers which TLS mail came in with.
    pub seen: Seen,
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
    help_url: Box<str>,
}

impl ServerContext {
    /// Sessions that work with these services and spool large messages in `spool_dir`.
    pub fn new(
        services: Services,
        clock: Clock,
        random: Random,
        settings: Settings,
        spool_dir: Arc<Path>,
    ) -> Self {
        let Services {
            directory,
            desk,
            queue,
            policies,
            findings,
            usage,
            signing,
            seen,
        } = services;
        let limits = &settings.limits;
        let budget = u64::try_from(limits.total_message_memory_bytes_max).unwrap_or(u64::MAX);
        Self {
            directory,
            desk,
            queue,
            policies,
            findings,
            usage,
            signing,
            seen,
            trace_ids: Arc::new(TraceIds::new(clock.clone())),
            clock,
            random,
            spool: SpoolLimits {
                memory_bytes: limits.message_memory_bytes_max,
                dir: spool_dir,
            },
            spool_budget: SpoolBudget::new(budget),
            help_url: policy::own_help_url(&settings.host_name).into(),
            settings,
        }
    }

    /// Where refusals point for help, with a final slash: what policy says, else this host's page.
    pub(super) fn help_url<'a>(&'a self, policy: &'a Snapshot) -> &'a str {
        policy.help_url().unwrap_or(&self.help_url)
    }

    /// An empty spool within the limits of a session and of all together.
    pub(super) fn spool(&self) -> platform::spool::Spool {
        platform::spool::Spool::with_budget(self.spool.clone(), self.spool_budget.clone())
    }
}
