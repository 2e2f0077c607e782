//! One running node: opens the stores, wires the services, binds the listeners, runs the chores.
//! The only place where everything meets; contains no protocol and no decision.

mod chores;
pub(crate) mod http;
mod keys;
pub(crate) mod legacy;
mod listeners;
pub(crate) mod own_socket;
mod parts;
mod policies;
mod reports;
mod rollouts;
pub(crate) mod routing;
mod secret;
#[cfg(test)]
mod tests;
mod tls_versions;
mod zones;

pub(crate) use parts::{
    COMPONENTS, Parts, StartError, directory_settings, engine, make_data_dir, open_parts,
    parts_beside, resolver, segments_dir,
};
pub(crate) use secret::{installation_secret, secret_path};
pub(crate) use zones::zone_changes;

use crate::control;
use crate::settings::Settings;
use access::imap::{ImapContext, ImapSettings};
use access::pop3::{MaildropLocks, Pop3Context};
use admission::DeskObserver;
use platform::clock::Clock;
use platform::net::{Deadline, Shutdown, ShutdownTrigger};
use platform::spool::SpoolLimits;
use platform::tls::{CertStore, ClientTls};
use queue::relay::{Relay, RelayParts, RelaySettings};
use queue::retry::RetryPlan;
use smtp::client::{Client, ClientParts, ClientSettings, ClientTimes, Forbidden, Literals};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long sessions and attempts may take to end after a stop was asked for.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);
/// How often the queue is looked through for what fell due.
const QUEUE_POLL: Duration = Duration::from_secs(1);

/// A running node; `stop` ends it.
pub(crate) struct Node {
    parts: Parts,
    certificates: Arc<CertStore>,
    trigger: ShutdownTrigger,
    bound: Vec<Bound>,
    relay: Arc<Relay>,
    relaying: tokio::task::JoinHandle<()>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

/// A bound listener as it turned out.
#[derive(Debug, Clone)]
pub(crate) struct Bound {
    /// As configured, in the order of the settings.
    pub listener: crate::settings::Listener,
    /// The real address.
    pub address: SocketAddr,
}

impl Node {
    /// Starts everything; connections are taken when it returns.
    ///
    /// # Errors
    /// In words an operator can act on. Nothing listens then.
    pub(crate) async fn start(settings: Settings, clock: Clock) -> Result<Self, StartError> {
        let parts = open_parts(&settings, clock).await?;
        keys::ensure_host_keys(&parts)
            .await
            .map_err(|error| StartError::new("DKIM keys", error))?;
        let certificates =
            CertStore::from_dir(&settings.certificate_dir, Some(&settings.host_name.0))
                .map_err(|error| StartError::new("tls.certificate_dir", error))?;
        let (trigger, shutdown) = Shutdown::new();
        let contexts = listeners::Contexts {
            smtp: smtp_context(&parts),
            imap: Arc::new(imap_context(&parts)),
            pop3: Arc::new(pop3_context(&parts)),
            https: http::face(&parts)?,
        };
        let observer = Arc::new(DeskObserver::new(parts.desk.clone()));
        let (bound, mut tasks) =
            listeners::bind(&parts, &certificates, &contexts, &shutdown, observer)?;
        http::tell_ports(&settings, &contexts.https, &bound);
        legacy::tell_ports(contexts.https.legacy(), &bound);
        let relay = relay(&parts, &bound)?;
        let relaying = tokio::spawn(relay.clone().run());
        tasks.extend(chores::start(&parts));
        tasks.extend(zones::start(&parts)?);
        tasks.extend(reports::start(&parts)?);
        tasks.extend(policies::start(&parts));
        tasks.push(rollouts::start(&parts, &bound));
        tasks.push(tokio::spawn(legacy::watch(parts.clone())));
        let local = http::listen_locally(&parts.settings.data_dir, contexts.https, shutdown)
            .map_err(|error| StartError::new("the API's local socket", error))?;
        tasks.push(local);
        let control = control::listen(&parts, certificates.clone())
            .map_err(|error| StartError::new("the control socket", error))?;
        tasks.push(tokio::spawn(control));
        Ok(Self {
            parts,
            certificates,
            trigger,
            bound,
            relay,
            relaying,
            tasks,
        })
    }

    /// The listeners with their real addresses.
    pub(crate) fn bound(&self) -> &[Bound] {
        &self.bound
    }

    /// The services, for what runs beside the node in one program.
    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Reads certificates again; what is broken is reported and the old ones stay.
    pub(crate) fn reload(&self) {
        control::reload(&self.certificates);
    }

    /// Takes no more connections, begins no more attempts, lets those under way end, stops.
    pub(crate) async fn stop(self) {
        self.trigger.request();
        self.relaying.abort();
        let (sessions, attempts) = tokio::join!(
            self.trigger.drained(Deadline::after(DRAIN_TIME_MAX)),
            self.relay.drained(DRAIN_TIME_MAX),
        );
        if sessions + attempts > 0 {
            tracing::warn!(sessions, attempts, "node.work_cut_off");
        }
        for task in self.tasks {
            task.abort();
        }
        policies::keep(&self.parts).await;
        policies::leave(&self.parts).await;
        reports::keep(&self.parts).await;
    }
}

fn smtp_context(parts: &Parts) -> Arc<smtp::server::ServerContext> {
    let from = &parts.settings;
    let mut settings = smtp::server::Settings::new(&from.host_name.0);
    settings.limits.message_bytes_max = from.message_size_max.0;
    settings.limits.recipients_max = from.recipients_max.0;
    settings.limits.message_memory_bytes_max =
        usize::try_from(from.message_memory.0).unwrap_or(usize::MAX);
    settings.limits.command_idle = from.smtp_idle_time_max.0;
    settings.xclient_networks = listeners::networks(&from.test_peers.0);
    let services = smtp::server::Services {
        directory: parts.directory.clone(),
        desk: parts.desk.clone(),
        queue: parts.queue.clone(),
        policies: parts.policies.clone(),
        findings: parts.findings.clone(),
        usage: parts.usage.clone(),
        signing: parts.signing.clone(),
        seen: parts.router.seen().clone(),
    };
    let mut context = smtp::server::ServerContext::new(
        services,
        parts.clock.clone(),
        parts.random.clone(),
        settings,
        parts.temporary_dir.clone(),
    );
    // One line of ids for sessions and notices, so that no id is given twice.
    context.trace_ids = Arc::new(parts.traces.clone());
    context.spool_budget = parts.spool_budget.clone();
    Arc::new(context)
}

fn imap_context(parts: &Parts) -> ImapContext {
    ImapContext {
        desk: parts.desk.clone(),
        mailboxes: parts.mailboxes.clone(),
        clock: parts.clock.clone(),
        spool: spool(parts),
        settings: ImapSettings {
            host_name: parts.settings.host_name.0.clone(),
            append_bytes_max: parts.settings.message_size_max.0,
            spool_budget: Some(parts.spool_budget.clone()),
            ..ImapSettings::default()
        },
    }
}

/// Where messages are put together that do not come by SMTP.
fn spool(parts: &Parts) -> SpoolLimits {
    SpoolLimits {
        memory_bytes: 1 << 20,
        dir: parts.temporary_dir.clone(),
    }
}

fn pop3_context(parts: &Parts) -> Pop3Context {
    Pop3Context {
        desk: parts.desk.clone(),
        mailboxes: parts.mailboxes.clone(),
        clock: parts.clock.clone(),
        locks: MaildropLocks::default(),
        host: parts.settings.host_name.0.clone(),
        mechanisms: directory::sasl::Mechanism::ALL.into(),
        idle_time_max: parts.settings.pop3_idle_time_max.0,
        handshake_time_max: parts.settings.handshake_time_max.0,
    }
}

/// Where mail must not go. One next hop for everything is the operator's choice, wherever it is.
fn forbidden(settings: &Settings, bound: &[Bound]) -> Forbidden {
    if !settings.next_hop.0.is_empty() {
        return Forbidden::default();
    }
    Forbidden {
        networks: listeners::networks(&settings.forbidden_networks.0),
        listeners: bound.iter().map(|bound| bound.address).collect(),
        literals: Literals::Global,
    }
}

fn relay(parts: &Parts, bound: &[Bound]) -> Result<Arc<Relay>, StartError> {
    let settings = &parts.settings;
    let tls = ClientTls::new(settings.ca_file.0.as_deref())
        .map_err(|error| StartError::new("tls.ca_file", error))?;
    let client = Client::new(
        ClientSettings {
            host: settings.host_name.0.clone(),
            times: ClientTimes::default(),
            forbidden: forbidden(&parts.settings, bound),
        },
        ClientParts {
            router: parts.router.clone(),
            policies: parts.policies.clone(),
            tls,
        },
    );
    Ok(Relay::new(
        RelayParts {
            queue: parts.queue.clone(),
            directory: parts.directory.clone(),
            transport: Arc::new(client),
            clock: parts.clock.clone(),
            random: parts.random.clone(),
            traces: parts.traces.clone(),
        },
        RelaySettings {
            attempts_max: settings.attempts_max.0,
            attempts_per_domain_max: settings.attempts_per_domain_max.0,
            entries_max: settings.queue_entries_max.0,
            plan: RetryPlan {
                first_wait: settings.retry_first.0,
                longest_wait: settings.retry_longest.0,
                warn_after: settings.warn_after.0,
                give_up_after: settings.give_up_after.0,
                tls_warn_after: settings.tls_warn_after.0,
                tls_give_up_after: settings.tls_give_up_after.0,
            },
            host: settings.host_name.0.clone(),
            spool: spool(parts),
            wording: queue::bounce::Wording {
                first: settings.notices_first.0.language(),
                policies: Some(parts.policies.clone()),
            },
            poll: QUEUE_POLL,
        },
    ))
}
