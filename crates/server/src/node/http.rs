//! Wires HTTPS: its services from those of the node, its listeners, and the local socket over which the CLI speaks
//! to the same router.

use super::{Bound, Parts, StartError, installation_secret, zone_changes};
use crate::settings::{self, Mode, Role, Settings};
use directory::AddressKey;
use discovery::{Encryption, Listening, Protocol};
use https::proof::ProofKey;
use https::{Codes, Connecting, Face, LegacyHosts, Mailed, Services};
use platform::net::{Listener, Shutdown};
use platform::random::Random;
use policy::rules::record;
use rollout::dmarc::advisor::{Advisor, AdvisorParts};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

/// The port clients are sent to where no listener says.
const HTTPS_PORT: u16 = 443;

/// The API's socket in the data directory.
const SOCKET: &str = "api.sock";

/// What answers requests.
///
/// # Errors
/// Those of `zone_changes`.
pub(super) fn face(parts: &Parts) -> Result<Face, StartError> {
    let codes = Arc::new(NodeCodes(parts.clone()));
    services(parts, codes).map(Face::new)
}

/// The same for a command that works beside the store of a node that does not run.
///
/// # Errors
/// As `face`.
pub(crate) fn face_beside(parts: &Parts) -> Result<Face, StartError> {
    let codes = Arc::new(NoCodes(parts.settings.clone()));
    services(parts, codes).map(Face::new)
}

fn services(parts: &Parts, codes: Arc<dyn Codes>) -> Result<Services, StartError> {
    let settings = &parts.settings;
    let (store, resolver) = (parts.store.clone(), parts.resolver.clone());
    let zone_changes = zone_changes(settings, store, resolver.clone())?;
    Ok(Services {
        host_name: settings.host_name.0.as_str().into(),
        store: parts.store.clone(),
        clock: parts.clock.clone(),
        random: parts.random.clone(),
        directory: parts.directory.clone(),
        accounts: crate::accounts::admin(parts.directory.clone(), parts.clock.clone()),
        policies: parts.policies.clone(),
        desk: parts.desk.clone(),
        connections: parts.connections.clone(),
        rollouts: super::rollouts::rollouts(parts),
        findings: parts.findings.clone(),
        seen: parts.router.seen().clone(),
        queue: parts.queue.clone(),
        signing: parts.signing.clone(),
        codes,
        connecting: connecting(settings),
        advisor: Advisor::new(AdvisorParts {
            policies: parts.policies.clone(),
            resolver: resolver.clone(),
            changes: zone_changes.clone(),
            host_name: settings.host_name.0.as_str().into(),
            reports_address: reports_address(settings).into(),
        }),
        legacy: legacy_hosts(parts)?,
        resolver,
        zone_changes,
        facts_dir: settings.data_dir.join(record::DIRECTORY).into(),
        first_language: settings.notices_first.0.language(),
    })
}

/// Where customers connect, as far as the settings say it.
fn connecting(settings: &Settings) -> Connecting {
    let said = match settings.client_ports.0.as_slice() {
        [] => listening(settings.listeners.iter().map(|l| (l, l.address.port()))),
        ports => ports.to_vec(),
    };
    Connecting::new(said, settings.legacy_host_names())
}

/// Tells pages and discovery the ports that the system gave, unless a setting names others.
pub(super) fn tell_ports(settings: &Settings, face: &Face, bound: &[Bound]) {
    if settings.client_ports.0.is_empty() {
        let bound = bound.iter().map(|b| (&b.listener, b.address.port()));
        face.connecting().bound(listening(bound));
    }
}

/// The ports of those listeners that customers use.
fn listening<'a>(all: impl Iterator<Item = (&'a settings::Listener, u16)>) -> Vec<Listening> {
    let one = |(listener, port): (&settings::Listener, u16)| {
        let protocol = match listener.role {
            Role::Imap => Protocol::Imap,
            Role::Pop3 => Protocol::Pop3,
            Role::Submission => Protocol::Smtp,
            Role::Mx | Role::SecureMx | Role::Http => return None,
        };
        let encryption = match listener.mode {
            Mode::ImplicitTls => Encryption::ImplicitTls,
            Mode::StartTls => Encryption::StartTls,
            Mode::Redirect => return None,
        };
        Some(Listening {
            protocol,
            encryption,
            port,
        })
    };
    all.filter_map(one).collect()
}

/// Where reports about our domains should go.
fn reports_address(settings: &Settings) -> String {
    match &settings.reports_address.0 {
        Some(address) => address.to_string(),
        None => format!("postmaster@{}", settings.host_name.0),
    }
}

fn legacy_hosts(parts: &Parts) -> Result<LegacyHosts, StartError> {
    let settings = &parts.settings;
    let gateway = parts.gateway.clone();
    Ok(LegacyHosts::new(
        settings.legacy_socket.0.clone(),
        settings.legacy_host_names(),
        Arc::new(move || gateway.as_ref().and_then(super::legacy::report)),
        proof_key(settings, &parts.random)?,
    ))
}

/// What proofs about the TLS of domains are signed with.
///
/// # Errors
/// Where the installation's secret cannot be read.
pub(crate) fn proof_key(settings: &Settings, random: &Random) -> Result<ProofKey, StartError> {
    let secret = installation_secret(&settings.data_dir, random)?;
    ProofKey::derived(secret.to_hex().as_bytes())
        .map_err(|error| StartError::new("the key of proofs", error))
}

/// Mails codes over the node's own queue.
struct NodeCodes(Parts);

impl Codes for NodeCodes {
    fn mail<'a>(
        &'a self,
        account: &'a AddressKey,
        address: &'a AddressKey,
        by: String,
    ) -> Mailed<'a> {
        Box::pin(crate::letters::identity_code(&self.0, account, address, by))
    }
}

/// Where no node runs, nobody mails anything.
struct NoCodes(Arc<Settings>);

impl Codes for NoCodes {
    fn mail<'a>(
        &'a self,
        _account: &'a AddressKey,
        _address: &'a AddressKey,
        _by: String,
    ) -> Mailed<'a> {
        let why = format!(
            "no node runs on {}, so nobody can mail the code; start it, or use `rohrpost identity grant`",
            self.0.data_dir.display()
        );
        Box::pin(async { Err(why) })
    }
}

/// The port that clients who come in clear are sent to: that of the first listener with TLS.
pub(super) fn port(bound: &[Bound]) -> u16 {
    let is_https = |bound: &&Bound| {
        bound.listener.role == Role::Http && bound.listener.mode == Mode::ImplicitTls
    };
    let found = bound.iter().find(is_https);
    found.map_or(HTTPS_PORT, |bound| bound.address.port())
}

/// Serves one listener.
pub(super) fn serve(listener: Listener, face: &Face, https_port: u16) -> JoinHandle<()> {
    let face = face.clone();
    tokio::spawn(listener.serve(Arc::new(move |connection| {
        https::serve(connection, face.clone(), https_port)
    })))
}

/// Where the CLI speaks to the API of the node of this data directory.
pub(crate) fn socket_path(data_dir: &Path) -> PathBuf {
    data_dir.join(SOCKET)
}

/// Binds the local socket and serves it: whoever can open it is the operator.
///
/// # Errors
/// Where the socket cannot be bound.
pub(super) fn listen_locally(
    data_dir: &Path,
    face: Face,
    shutdown: Shutdown,
) -> std::io::Result<JoinHandle<()>> {
    let listener = super::own_socket::bind(data_dir, SOCKET)?;
    Ok(tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = shutdown.requested() => return,
            };
            match accepted {
                Ok((stream, _)) => {
                    tokio::spawn(serve_locally(stream, face.clone(), shutdown.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "api.accept_failed");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }))
}

async fn serve_locally(stream: UnixStream, face: Face, shutdown: Shutdown) {
    // Users may be looked up in a directory elsewhere.
    let user = stream.peer_cred().map(|peer| peer.uid());
    let named = user.map(|user| tokio::task::spawn_blocking(move || user_name(user)));
    let user = match named {
        Ok(named) => named.await.unwrap_or_default(),
        Err(_) => String::new(),
    };
    https::serve_local(stream, &user, face, shutdown).await;
}

/// What a user of the operating system is called; its number where it has no name.
pub(crate) fn user_name(user: u32) -> String {
    let found = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(user));
    let name = found.ok().flatten().map(|user| user.name);
    name.unwrap_or_else(|| format!("uid {user}"))
}
