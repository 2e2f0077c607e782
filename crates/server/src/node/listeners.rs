//! Binds the listeners of the settings and hands their connections to the protocols' sessions.

use super::{Bound, StartError};
use crate::settings::{self, Settings, Words};
use access::imap::ImapContext;
use access::pop3::Pop3Context;
use platform::net::{
    ConnectionLimits, LimitSettings, Listener, ListenerSpec, LogObserver, Mode, Network, Role,
    Shutdown,
};
use platform::tls::ServerTls;
use smtp::server::ServerContext;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// What the sessions of each protocol work with.
#[derive(Clone)]
pub(super) struct Contexts {
    pub(super) smtp: Arc<ServerContext>,
    pub(super) imap: Arc<ImapContext>,
    pub(super) pop3: Arc<Pop3Context>,
}

/// Descriptors for other things than connections: the store, segments, messages on their way.
const OTHER_DESCRIPTORS: usize = 400;

/// As many connections as there can be descriptors for; past that nobody could even be refused.
fn connections_max(wished: usize) -> usize {
    let descriptors = platform::net::raise_descriptors_max();
    let possible = descriptors.saturating_sub(OTHER_DESCRIPTORS).max(16);
    if possible < wished {
        tracing::warn!(
            descriptors,
            connections_max = possible,
            "the system allows fewer open files than node.connections_max needs; raise LimitNOFILE"
        );
    }
    wished.min(possible)
}

/// Binds all, then serves all: a port that is taken stops the start before anybody connects.
pub(super) fn bind(
    settings: &Settings,
    tls: &ServerTls,
    contexts: &Contexts,
    shutdown: &Shutdown,
) -> Result<(Vec<Bound>, Vec<JoinHandle<()>>), StartError> {
    let connections_max = connections_max(settings.connections_max.0);
    let limits = ConnectionLimits::new(LimitSettings {
        connections_max,
        listener_connections_max: connections_max,
        address_connections_max: settings.connections_per_address_max.0,
        address_exempt: Vec::new(),
    });
    let mut bound = Vec::new();
    let mut listeners = Vec::new();
    for listener in &settings.listeners {
        let spec = ListenerSpec {
            address: listener.address,
            mode: mode(listener.mode),
            role: role(listener.role),
            profile: listener.profile.word().to_owned(),
            proxy_from: networks(&listener.proxy_from),
            handshake_timeout: settings.handshake_time_max.0,
        };
        let observer = Arc::new(LogObserver);
        let open = Listener::bind(
            spec,
            tls.clone(),
            limits.clone(),
            shutdown.clone(),
            observer,
        )
        .map_err(|error| StartError::new(format!("listening on {}", listener.address), error))?;
        bound.push(Bound {
            listener: listener.clone(),
            address: open.address(),
        });
        listeners.push(open);
    }
    let tasks = listeners
        .into_iter()
        .zip(&settings.listeners)
        .map(|(open, listener)| serve(open, listener.role, contexts.clone()))
        .collect();
    Ok((bound, tasks))
}

fn serve(listener: Listener, role: settings::Role, contexts: Contexts) -> JoinHandle<()> {
    match role {
        settings::Role::Mx | settings::Role::Submission => {
            tokio::spawn(listener.serve(Arc::new(move |connection| {
                smtp::server::serve(connection, contexts.smtp.clone())
            })))
        }
        settings::Role::Imap => tokio::spawn(listener.serve(Arc::new(move |connection| {
            access::imap::serve(connection, contexts.imap.clone())
        }))),
        settings::Role::Pop3 => tokio::spawn(listener.serve(Arc::new(move |connection| {
            access::pop3::serve(connection, contexts.pop3.clone())
        }))),
    }
}

fn mode(mode: settings::Mode) -> Mode {
    match mode {
        settings::Mode::ImplicitTls => Mode::ImplicitTls,
        settings::Mode::StartTls => Mode::StartTls,
    }
}

fn role(role: settings::Role) -> Role {
    match role {
        settings::Role::Mx => Role::Mx,
        settings::Role::Submission => Role::Submission,
        settings::Role::Imap => Role::Imap,
        settings::Role::Pop3 => Role::Pop3,
    }
}

pub(super) fn networks(networks: &[settings::Network]) -> Vec<Network> {
    networks
        .iter()
        .map(|network| Network::new(network.address, network.prefix_bits))
        .collect()
}
