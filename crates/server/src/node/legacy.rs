//! The legacy gateway within a node: its socket, what it is told that clients may use, who of our own listeners'
//! clients is handed to it, and the daily look at who is left. Decides nothing: policy does. Only where
//! `legacy.socket` is set; without it TLS below 1.2 exists nowhere.

use super::listeners::Contexts;
use super::{Bound, Parts, StartError};
use crate::settings::{Settings, Words as _};
use gateway_link::{Allowed, Cleartext, Version, VersionSet};
use https::{GatewayReport, LegacyHosts, Port};
use platform::clock::{Clock, Timestamp};
use platform::net::{
    Connection, Gateway, GatewayListener, GatewayParts, GatewayUser, OlderTls, Role,
};
use platform::tls::ClientHello;
use policy::legacy::{Enrolments, Usable};
use policy::{LegacyClear, Policies, Service, Snapshot};
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How soon the gateway hears what clients may use from now on.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Enrolments looked at.
const ENROLMENTS_MAX: u32 = 1_000_000;
/// The version in a ClientHello of TLS 1.0; below it there is only SSL.
const TLS10: u16 = 0x0301;

/// The gateway of a node, not yet connected; `None` where none is configured. Nothing is allowed until
/// `watch` has looked.
pub(super) fn gateway(settings: &Settings) -> Option<Gateway> {
    let nothing = Allowed {
        versions: VersionSet::NONE,
        cleartext: Cleartext::Refused,
    };
    let wanted = settings.legacy_socket.0.is_some();
    wanted.then(|| Gateway::new(nothing))
}

/// Binds the gateway's socket and serves its clients; `None` where none is configured.
///
/// # Errors
/// Where the socket cannot be bound or the gateway's user does not exist.
pub(super) fn listen(
    node: &Parts,
    parts: GatewayParts,
    own: Arc<smtp::server::Listener>,
    contexts: &Contexts,
) -> Result<Option<JoinHandle<()>>, StartError> {
    let settings = &node.settings;
    let (Some(path), Some(gateway)) = (&settings.legacy_socket.0, &node.gateway) else {
        return Ok(None);
    };
    let user = user(&settings.legacy_user.0)?;
    let listener = GatewayListener::bind(path, user, gateway.clone(), parts)
        .map_err(|error| StartError::new(format!("legacy.socket {}", path.display()), error))?;
    let contexts = contexts.clone();
    let handler = Arc::new(move |connection| serve(connection, own.clone(), contexts.clone()));
    Ok(Some(tokio::spawn(listener.serve(handler))))
}

async fn serve(connection: Connection, own: Arc<smtp::server::Listener>, contexts: Contexts) {
    match connection.spec.role {
        Role::Submission => {
            Box::pin(smtp::server::serve(connection, contexts.smtp, own)).await;
        }
        Role::Imap => Box::pin(access::imap::serve(connection, contexts.imap)).await,
        Role::Pop3 => Box::pin(access::pop3::serve(connection, contexts.pop3)).await,
        // The link has no word for any other.
        Role::Mx | Role::SecureMx | Role::ManageSieve | Role::Http => {}
    }
}

/// Who may connect: a user's name or number; empty: whoever this program runs as.
fn user(name: &str) -> Result<GatewayUser, StartError> {
    if name.is_empty() {
        return Ok(GatewayUser(rustix::process::getuid().as_raw()));
    }
    if let Ok(number) = name.parse() {
        return Ok(GatewayUser(number));
    }
    let failed = |why: String| StartError::new("legacy.user", why);
    match nix::unistd::User::from_name(name) {
        Ok(Some(user)) => Ok(GatewayUser(user.uid.as_raw())),
        Ok(None) => Err(failed(format!("there is no user {name} on this machine"))),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// Hands clients of our own listeners to the gateway while somebody may still use TLS that old there.
#[derive(Clone)]
pub(super) struct OldClients {
    pub(super) gateway: Gateway,
    pub(super) policies: Policies,
    pub(super) clock: Clock,
    pub(super) service: Service,
}

impl std::fmt::Debug for OldClients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OldClients")
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

impl OlderTls for OldClients {
    fn take_over(
        &self,
        client: BorrowedFd<'_>,
        hello: &ClientHello,
        _local: SocketAddr,
    ) -> Option<UnixStream> {
        let (policy, now) = (self.policies.snapshot(), self.clock.now());
        if hello.newest_version() < TLS10 || !policy.old_tls_for_somebody(self.service, now) {
            return None;
        }
        // The gateway may not have heard yet of what was set a moment ago.
        self.gateway.allow(allowed(policy.usable_at_gateway(now)));
        self.gateway.take_over(client)
    }
}

/// What policy says, in the words of the link.
fn allowed(usable: Usable) -> Allowed {
    let versions = [
        (Version::Tls10, usable.versions.tls10),
        (Version::Tls11, usable.versions.tls11),
        (Version::Tls12, true),
    ];
    let on = versions.into_iter().filter(|(_, on)| *on);
    Allowed {
        versions: on.map(|(version, _)| version).collect(),
        cleartext: match usable.clear {
            LegacyClear::Allowed => Cleartext::Served,
            LegacyClear::Refused => Cleartext::Refused,
        },
    }
}

/// Tells the gateway what holds, and looks once a day who is left.
pub(super) async fn watch(parts: Parts) {
    let Some(gateway) = parts.gateway.clone() else {
        return;
    };
    let mut day = None;
    loop {
        let (policy, now) = (parts.policies.snapshot(), parts.clock.now());
        gateway.allow(allowed(policy.usable_at_gateway(now)));
        let today = policy.day(now);
        // The day begins anew where a test moves the clock.
        let over = policy.legacy_end().filter(|end| *end <= now);
        if day != Some((today, over)) {
            day = Some((today, over));
            look_back(&parts, &policy, now, over).await;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Once a day and at the end: who is left, for the log.
async fn look_back(parts: &Parts, policy: &Snapshot, now: Timestamp, over: Option<Timestamp>) {
    let enrolments = Enrolments::new(parts.store.clone());
    if let Some(end) = over {
        match enrolments.note_end(end, now).await {
            Ok(0) => {}
            Ok(notices) => tracing::info!(notices, "legacy.ended"),
            Err(error) => tracing::warn!(%error, "legacy.end_not_noted"),
        }
    }
    match enrolments.list(ENROLMENTS_MAX).await {
        Ok(all) if all.is_empty() => {}
        Ok(all) => {
            let used = all.iter().filter(|one| one.is_used(now)).count();
            let ends_in_days = policy
                .legacy_end()
                .map(|end| policy.day(end) - policy.day(now));
            tracing::info!(enrolled = all.len(), used, ends_in_days, "legacy.left");
        }
        Err(error) => tracing::warn!(%error, "legacy.list_failed"),
    }
}

/// Tells the API where connections are taken.
pub(super) fn tell_ports(hosts: &LegacyHosts, bound: &[Bound]) {
    let port = |bound: &Bound| Port {
        role: bound.listener.role.word().to_owned(),
        mode: bound.listener.mode.word().to_owned(),
        address: bound.address,
    };
    hosts.bound(bound.iter().map(port).collect());
}

/// What the gateway says of itself; `None` where none is connected and ready.
pub(crate) fn report(gateway: &Gateway) -> Option<GatewayReport> {
    let state = gateway.state()?;
    let status = state.status?;
    let open = status.sessions;
    Some(GatewayReport {
        library: state.library.into(),
        versions: status.allowed.versions.to_string(),
        cleartext: status.allowed.cleartext == Cleartext::Served,
        sessions: [open.clear, open.tls10, open.tls11, open.tls12],
        listeners: status.doors.iter().map(listener).collect(),
    })
}

fn listener(door: &gateway_link::Door) -> String {
    use gateway_link::{Mode, Protocol};
    let name = match (door.protocol, door.mode) {
        (Protocol::Submission, Mode::StartTls) => "smtp-submission",
        (Protocol::Submission, Mode::ImplicitTls) => "submissions",
        (Protocol::Imap, Mode::StartTls) => "imap",
        (Protocol::Imap, Mode::ImplicitTls) => "imaps",
        (Protocol::Pop3, Mode::StartTls) => "pop3",
        (Protocol::Pop3, Mode::ImplicitTls) => "pop3s",
    };
    format!("{name} {}", door.local)
}
