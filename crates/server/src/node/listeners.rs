//! Binds the listeners of the settings and hands their connections to the protocols' sessions.

use super::legacy::{self, OldClients};
use super::tls_versions::ByPolicy;
use super::{Bound, Parts, StartError};
use crate::settings::{self, Profile, Settings, Words};
use access::imap::ImapContext;
use access::pop3::Pop3Context;
use admission::DeskObserver;
use platform::net::{
    ConnectionLimits, GatewayParts, LimitSettings, Listener, ListenerSpec, Mode, Network, Role,
    Shutdown,
};
use platform::tls::{CertStore, CipherOrder, ServerTls, ServerTlsSettings, Versions};
use policy::Service;
use smtp::server::{LoginOffer, ServerContext};
use std::sync::Arc;
use tokio::task::JoinHandle;

/// What the sessions of each protocol work with.
#[derive(Clone)]
pub(super) struct Contexts {
    pub(super) smtp: Arc<ServerContext>,
    pub(super) imap: Arc<ImapContext>,
    pub(super) pop3: Arc<Pop3Context>,
    pub(super) https: https::Face,
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

fn limits(settings: &Settings) -> Arc<ConnectionLimits> {
    let connections_max = connections_max(settings.connections_max.0);
    ConnectionLimits::new(LimitSettings {
        connections_max,
        listener_connections_max: connections_max,
        address_connections_max: settings.connections_per_address_max.0,
        address_exempt: Vec::new(),
    })
}

/// Binds all, then serves all: a port that is taken stops the start before anybody connects.
pub(super) fn bind(
    parts: &Parts,
    certificates: &Arc<CertStore>,
    contexts: &Contexts,
    shutdown: &Shutdown,
    observer: Arc<DeskObserver>,
) -> Result<(Vec<Bound>, Vec<JoinHandle<()>>), StartError> {
    let settings = &*parts.settings;
    let limits = limits(settings);
    let usual_tls = tls(settings, certificates, None)?;
    let places: Arc<[_]> = places(settings).into();
    let mut bound = Vec::new();
    let mut tasks = Vec::new();
    let mut open = Vec::new();
    for listener in &settings.listeners {
        let spec = ListenerSpec {
            address: listener.address,
            mode: mode(listener.mode),
            role: role(listener.role),
            profile: listener.profile.word().to_owned(),
            proxy_from: networks(&listener.proxy_from),
            handshake_timeout: settings.handshake_time_max.0,
        };
        let has_its_own = listener.host_name.is_some()
            || listener.profile != Profile::Default
            || listener.role == settings::Role::Http;
        let tls = match has_its_own {
            true => tls(settings, certificates, Some(listener))?,
            false => usual_tls.clone(),
        };
        let tls = ruled(parts, listener, tls)?;
        let (limits, observer) = (limits.clone(), observer.clone());
        let listening =
            Listener::bind(spec, tls, limits, shutdown.clone(), observer).map_err(|error| {
                StartError::new(format!("listening on {}", listener.address), error)
            })?;
        bound.push(Bound {
            listener: listener.clone(),
            address: listening.address(),
        });
        open.push(listening);
    }
    let https_port = super::http::port(&bound);
    for (open, listener) in open.into_iter().zip(&settings.listeners) {
        let own = Arc::new(own_settings(listener, &places, contexts));
        tasks.push(serve(
            open,
            listener.role,
            https_port,
            own,
            own_contexts(listener, contexts),
        ));
    }
    let gateway = GatewayParts {
        tls: usual_tls,
        limits,
        shutdown: shutdown.clone(),
        observer: Arc::new(DeskObserver::at_legacy_hosts(parts.desk.clone())),
        handshake_timeout: settings.handshake_time_max.0,
    };
    let own = smtp::server::Listener {
        places,
        ..smtp::server::Listener::default()
    };
    tasks.extend(legacy::listen(parts, gateway, Arc::new(own), contexts)?);
    Ok((bound, tasks))
}

/// TLS of a listener as policy rules it: which versions, and what becomes of older ones.
fn ruled(
    parts: &Parts,
    listener: &settings::Listener,
    tls: ServerTls,
) -> Result<ServerTls, StartError> {
    let by_policy = ByPolicy {
        policies: parts.policies.clone(),
        clock: parts.clock.clone(),
        service: Service::of(role(listener.role)),
    };
    let tls = tls
        .with_versions(Arc::new(by_policy))
        .map_err(|error| StartError::new("TLS", error))?;
    Ok(match old_clients(parts, listener) {
        Some(old) => tls.with_older(Arc::new(old)),
        None => tls,
    })
}

/// Who may take clients of such a listener that are too old for it.
fn old_clients(parts: &Parts, listener: &settings::Listener) -> Option<OldClients> {
    let service = match listener.role {
        settings::Role::Submission => Service::Submission,
        // Customers who log in on port 25 may be as old as others.
        settings::Role::Mx | settings::Role::SecureMx if listener.login => Service::Submission,
        settings::Role::Imap => Service::Imap,
        settings::Role::Pop3 => Service::Pop3,
        settings::Role::Mx | settings::Role::SecureMx | settings::Role::Http => return None,
    };
    Some(OldClients {
        gateway: parts.gateway.clone()?,
        policies: parts.policies.clone(),
        clock: parts.clock.clone(),
        service,
    })
}

/// TLS of one listener, or (`None`) of those without anything of their own.
fn tls(
    settings: &Settings,
    certificates: &Arc<CertStore>,
    listener: Option<&settings::Listener>,
) -> Result<ServerTls, StartError> {
    let tls_settings = ServerTlsSettings {
        cipher_order: match settings.prefer_server_order.0 {
            true => CipherOrder::Server,
            false => CipherOrder::Client,
        },
        host_name: listener.and_then(|listener| listener.host_name.clone()),
        versions: match listener.map(|listener| listener.profile) {
            Some(Profile::Modern) => Versions::Tls13,
            Some(Profile::Default) | None => Versions::Both,
        },
        alpn: match listener.map(|listener| listener.role) {
            Some(settings::Role::Http) => vec![b"http/1.1".to_vec()],
            _ => Vec::new(),
        },
    };
    ServerTls::new(certificates.clone(), &tls_settings)
        .map_err(|error| StartError::new("TLS", error))
}

/// Which group's mail comes in under which name.
fn places(settings: &Settings) -> Vec<(Box<str>, Box<str>)> {
    let limited = settings.listeners.iter().flat_map(|listener| {
        let name = listener.host_name.as_ref();
        let name = name.unwrap_or(&settings.host_name.0);
        let groups = listener.groups.iter();
        groups.map(|group| (Box::from(group.as_str()), Box::from(name.as_str())))
    });
    limited.collect()
}

/// What an SMTP listener has of its own.
fn own_settings(
    listener: &settings::Listener,
    places: &Arc<[(Box<str>, Box<str>)]>,
    contexts: &Contexts,
) -> smtp::server::Listener {
    let limits =
        (listener.recipients_max.is_some() || listener.message_size_max.is_some()).then(|| {
            let mut limits = contexts.smtp.settings.limits.clone();
            limits.recipients_max = listener.recipients_max.unwrap_or(limits.recipients_max);
            limits.message_bytes_max = listener
                .message_size_max
                .unwrap_or(limits.message_bytes_max);
            limits
        });
    smtp::server::Listener {
        hello: listener.host_name.as_deref().map(Box::from),
        groups: listener
            .groups
            .iter()
            .map(|group| Box::from(group.as_str()))
            .collect(),
        places: places.clone(),
        limits,
        login: match listener.login {
            true => LoginOffer::AfterTls,
            false => LoginOffer::Never,
        },
        mechanisms: listener.mechanisms.as_deref().map(Box::from),
        extensions_off: listener.extensions_off.as_slice().into(),
    }
}

/// The contexts of one listener: those of all, but for how people may log in there.
fn own_contexts(listener: &settings::Listener, contexts: &Contexts) -> Contexts {
    let mut own = contexts.clone();
    if let Some(mechanisms) = &listener.mechanisms {
        let mut imap = ImapContext::clone(&own.imap);
        imap.settings.mechanisms = mechanisms.as_slice().into();
        own.imap = Arc::new(imap);
        let mut pop3 = Pop3Context::clone(&own.pop3);
        pop3.mechanisms = mechanisms.as_slice().into();
        own.pop3 = Arc::new(pop3);
    }
    own
}

fn serve(
    listener: Listener,
    role: settings::Role,
    https_port: u16,
    own: Arc<smtp::server::Listener>,
    contexts: Contexts,
) -> JoinHandle<()> {
    match role {
        settings::Role::Mx | settings::Role::SecureMx | settings::Role::Submission => {
            tokio::spawn(listener.serve(Arc::new(move |connection| {
                smtp::server::serve(connection, contexts.smtp.clone(), own.clone())
            })))
        }
        settings::Role::Imap => tokio::spawn(listener.serve(Arc::new(move |connection| {
            access::imap::serve(connection, contexts.imap.clone())
        }))),
        settings::Role::Pop3 => tokio::spawn(listener.serve(Arc::new(move |connection| {
            access::pop3::serve(connection, contexts.pop3.clone())
        }))),
        settings::Role::Http => super::http::serve(listener, &contexts.https, https_port),
    }
}

fn mode(mode: settings::Mode) -> Mode {
    match mode {
        settings::Mode::ImplicitTls => Mode::ImplicitTls,
        // In clear until the protocol says otherwise, which that of redirects never does.
        settings::Mode::StartTls | settings::Mode::Redirect => Mode::StartTls,
    }
}

fn role(role: settings::Role) -> Role {
    match role {
        settings::Role::Mx => Role::Mx,
        settings::Role::SecureMx => Role::SecureMx,
        settings::Role::Submission => Role::Submission,
        settings::Role::Imap => Role::Imap,
        settings::Role::Pop3 => Role::Pop3,
        settings::Role::Http => Role::Http,
    }
}

pub(super) fn networks(networks: &[settings::Network]) -> Vec<Network> {
    networks
        .iter()
        .map(|network| Network::new(network.address, network.prefix_bits))
        .collect()
}
