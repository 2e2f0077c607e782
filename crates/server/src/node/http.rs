//! Wires HTTPS: its services from those of the node, its listeners, and the local socket over which the CLI speaks
//! to the same router.

use super::{Bound, Parts, StartError, zone_changes};
use crate::settings::{Mode, Role};
use directory::AddressKey;
use https::{Codes, Face, Mailed, Services};
use platform::net::{Listener, Shutdown};
use policy::rules::record;
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
pub(crate) fn face(parts: &Parts) -> Result<Face, StartError> {
    let settings = &parts.settings;
    let (store, resolver) = (parts.store.clone(), parts.resolver.clone());
    Ok(Face::new(Services {
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
        queue: parts.queue.clone(),
        signing: parts.signing.clone(),
        codes: Arc::new(NodeCodes(parts.clone())),
        zone_changes: zone_changes(settings, store, resolver)?,
        facts_dir: settings.data_dir.join(record::DIRECTORY).into(),
    }))
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
        Box::pin(async move {
            let (account, address) = (account.to_string(), address.to_string());
            let mailed = crate::letters::identity_code(&self.0, &account, &address, by).await;
            mailed.map(drop)
        })
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
