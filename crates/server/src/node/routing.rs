//! Where mail goes, as the settings and the store have it: makes the router for a node and for the
//! CLI, and runs its chores. Decides nothing.

use super::{Parts, StartError};
use crate::settings::Settings;
use platform::clock::{Clock, Timestamp};
use platform::dns::Resolver;
use platform::https::HttpsClient;
use platform::random::Random;
use platform::store::Store;
use platform::tls::ClientTls;
use policy::Policies;
use routing::sts::{HttpsFetcher, PolicyFetcher};
use routing::tlsrpt::Observer;
use routing::{Router, RouterParts, RouterSettings};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// The port of mail exchangers (RFC 5321 §4.5.4.2).
const SMTP_PORT: u16 = 25;
/// The port of policy hosts (RFC 8461 §3.3).
const HTTPS_PORT: u16 = 443;
/// How often counts of TLS used are written.
const SEEN_EVERY: Duration = Duration::from_secs(5);
/// How often old counts and MTA-STS policies are looked at, by the node's clock.
const POLICIES_EVERY: Duration = Duration::from_secs(3600);

/// What the router takes from the node.
pub(crate) struct Sources {
    /// Rows.
    pub store: Store,
    /// The DNS.
    pub resolver: Arc<dyn Resolver>,
    /// What the provider decided.
    pub policies: Policies,
    /// Hears what TLS reports tell.
    pub observer: Arc<dyn Observer>,
    /// The time.
    pub clock: Clock,
    /// Chance.
    pub random: Random,
}

/// The router of this node.
///
/// # Errors
/// Where the roots that policy hosts are verified with cannot be used.
pub(crate) fn router(settings: &Settings, sources: Sources) -> Result<Router, StartError> {
    let listeners = settings.listeners.iter();
    let own_names = listeners
        .filter_map(|listener| listener.host_name.as_deref())
        .chain([settings.host_name.0.as_str()])
        .map(str::to_ascii_lowercase)
        .collect();
    Ok(Router::new(RouterParts {
        resolver: sources.resolver.clone(),
        policies: sources.policies,
        store: sources.store,
        fetcher: fetcher(settings, sources.resolver)?,
        observer: sources.observer,
        clock: sources.clock,
        random: sources.random,
        settings: RouterSettings {
            own_names,
            next_hop: Some(settings.next_hop.0.clone()).filter(|hop| !hop.is_empty()),
            port: u16::try_from(settings.smtp_port.0).unwrap_or(SMTP_PORT),
        },
    }))
}

fn fetcher(
    settings: &Settings,
    resolver: Arc<dyn Resolver>,
) -> Result<Arc<dyn PolicyFetcher>, StartError> {
    let tls = ClientTls::new(settings.ca_file.0.as_deref())
        .map_err(|error| StartError::new("tls.ca_file", error))?;
    let port = u16::try_from(settings.mta_sts_port.0).unwrap_or(HTTPS_PORT);
    // A policy host is named by whoever owns the recipients' domain.
    let networks = super::listeners::networks(&settings.forbidden_networks.0);
    let client = HttpsClient::new(resolver, tls).forbidding(&networks);
    Ok(Arc::new(HttpsFetcher::new(client, port)))
}

/// Writes counts, forgets old ones, keeps MTA-STS policies fresh.
pub(super) async fn chores(parts: Parts) {
    let mut last: Option<Timestamp> = None;
    loop {
        tokio::time::sleep(SEEN_EVERY).await;
        if let Err(error) = parts.router.seen().flush().await {
            tracing::warn!(%error, "routing.seen_not_written");
        }
        let now = parts.clock.now();
        if last.is_none_or(|last| now.since(last) >= POLICIES_EVERY || now < last) {
            last = Some(now);
            if let Err(error) = parts.router.seen().forget(now).await {
                tracing::warn!(%error, "routing.seen_not_forgotten");
            }
            refresh(&parts);
        }
    }
}

/// Beside the other chores, because policy hosts may be slow.
fn refresh(parts: &Parts) -> JoinHandle<()> {
    let router = parts.router.clone();
    tokio::spawn(async move {
        if let Err(error) = router.refresh_policies().await {
            tracing::warn!(%error, "routing.policies_not_refreshed");
        }
    })
}
