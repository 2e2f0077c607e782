//! Records in the provider's own zones: who may change which (RFC 2136, by the settings), and the chores that
//! carry out planned changes and look what hosted domains publish for DMARC. Decides nothing; `rollout` does.

use super::{Parts, StartError};
use crate::settings::Settings;
use platform::clock::{Clock, Timestamp};
use platform::dns::update::{Primary, RecordKind, UpdateError, UpdateKey, ZoneRecord};
use platform::dns::{Anchors, Resolver, SystemResolver};
use platform::store::{StoreError, Tx};
use rollout::dmarc::seen;
use rollout::zone_change::{Hand, Held, Published, Publisher, Seen, ZoneChanges, look};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How often planned changes are looked at.
const TICK_EVERY: Duration = Duration::from_secs(1);
/// How soon a change that failed is tried again, by the node's clock.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// How often each domain's DMARC record is looked at, by the node's clock.
const LOOK_EVERY: Duration = Duration::from_secs(24 * 3600);
/// Between two questions about records; 8,000 domains take a quarter of an hour.
const LOOK_PACE: Duration = Duration::from_millis(100);

/// Changes zones of the settings' list, looks at all.
struct NodePublisher {
    primaries: Vec<(String, Primary)>,
    resolver: Arc<dyn Resolver>,
}

/// Sets the chores going.
///
/// # Errors
/// Those of `zone_changes`.
pub(super) fn start(parts: &Parts) -> Result<Vec<JoinHandle<()>>, StartError> {
    let (store, resolver) = (parts.store.clone(), parts.resolver.clone());
    let planned = zone_changes(&parts.settings, store, resolver)?;
    Ok(vec![
        tokio::spawn(changes(parts.clone(), planned)),
        tokio::spawn(standings(parts.clone())),
    ])
}

/// The handle on planned changes.
///
/// # Errors
/// Where the settings name zones and no server or key for them.
pub(crate) fn zone_changes(
    settings: &Settings,
    store: platform::store::Store,
    resolver: Arc<dyn Resolver>,
) -> Result<ZoneChanges, StartError> {
    let publisher = NodePublisher {
        primaries: primaries(settings)?,
        resolver,
    };
    Ok(ZoneChanges::new(store, Arc::new(publisher)))
}

fn primaries(settings: &Settings) -> Result<Vec<(String, Primary)>, StartError> {
    let zones = &settings.update_zones.0;
    if zones.is_empty() {
        return Ok(Vec::new());
    }
    let Some(address) = settings.update_servers.0.first() else {
        let why = "name the primary server of the zones in dns.update_zones, as \"address:port\"";
        return Err(StartError::new("dns.update_servers", why));
    };
    let in_key = |why: String| StartError::new("dns.update_key_file", why);
    let Some(path) = &settings.update_key_file.0 else {
        let why = "name the file tsig-keygen wrote for the zones in dns.update_zones";
        return Err(in_key(why.to_owned()));
    };
    let text = std::fs::read_to_string(path).map_err(|error| in_key(error.to_string()))?;
    let key = UpdateKey::parse(&text).map_err(|error| in_key(error.to_string()))?;
    zones
        .iter()
        .map(|zone| {
            let primary = Primary::new(*address, zone, &key);
            let primary = primary.map_err(|error| StartError::new("dns.update_zones", error))?;
            Ok((zone.to_ascii_lowercase(), primary))
        })
        .collect()
}

impl NodePublisher {
    /// The primary of the longest zone `owner` is in.
    fn primary(&self, owner: &str) -> Option<&Primary> {
        let inside = |zone: &str| owner == zone || owner.ends_with(&format!(".{zone}"));
        let zones = self.primaries.iter().filter(|(zone, _)| inside(zone));
        zones.max_by_key(|(zone, _)| zone.len()).map(|(_, p)| p)
    }
}

impl Publisher for NodePublisher {
    fn hand(&self, owner: &str) -> Hand {
        match self.primary(owner) {
            Some(_) => Hand::Ours,
            None => Hand::People,
        }
    }

    fn replace<'a>(
        &'a self,
        owner: &'a str,
        before: &'a ZoneRecord,
        after: &'a ZoneRecord,
    ) -> Published<'a> {
        Box::pin(async move {
            match self.primary(owner) {
                Some(primary) => primary.replace(owner, before, after).await,
                None => Err(UpdateError::Invalid(format!(
                    "{owner} is in no zone this server may change (dns.update_zones)"
                ))),
            }
        })
    }

    fn held<'a>(&'a self, owner: &'a str, kind: RecordKind, start: &'a str) -> Held<'a> {
        Box::pin(async move {
            let Some(primary) = self.primary(owner) else {
                return look::record(&*self.resolver, owner, kind, start).await;
            };
            // Others remember it for a while and count its time to live down; whoever has the zone does not.
            let fresh = SystemResolver::new(&[primary.address()], Anchors::none(), Clock::system());
            let fresh = fresh.map_err(|error| error.to_string())?;
            look::record(&fresh, owner, kind, start).await
        })
    }

    fn look<'a>(&'a self, owner: &'a str, kind: RecordKind, start: &'a str) -> Seen<'a> {
        Box::pin(async move {
            let seen = look::record(&*self.resolver, owner, kind, start).await?;
            Ok(seen.text)
        })
    }
}

/// Carries out what is due.
async fn changes(parts: Parts, changes: ZoneChanges) {
    let mut failed: Option<Timestamp> = None;
    loop {
        tokio::time::sleep(TICK_EVERY).await;
        let now = parts.clock.now();
        if failed.is_some_and(|at| now >= at && now.since(at) < AGAIN_AFTER) {
            continue;
        }
        failed = match tick(&changes, now).await {
            Ok(Tick::Clean) => None,
            Ok(Tick::Troubled) => Some(now),
            Err(error) => {
                tracing::warn!(%error, "zone.changes_failed");
                Some(now)
            }
        };
    }
}

/// How a round went.
enum Tick {
    /// Nothing is in trouble.
    Clean,
    /// Something has to be tried again.
    Troubled,
}

async fn tick(changes: &ZoneChanges, now: Timestamp) -> Result<Tick, StoreError> {
    changes.tick(now).await?;
    let open = changes.open().await?;
    let troubled = |c: &rollout::zone_change::Change| !c.trouble.is_empty();
    Ok(if open.iter().any(troubled) {
        Tick::Troubled
    } else {
        Tick::Clean
    })
}

/// Looks once a day what each hosted domain publishes.
async fn standings(parts: Parts) {
    let mut last: Option<Timestamp> = None;
    loop {
        let now = parts.clock.now();
        if last.is_none_or(|last| now.since(last) >= LOOK_EVERY || now < last) {
            last = Some(now);
            if let Err(error) = look_at_all(&parts).await {
                tracing::warn!(%error, "dmarc.look_failed");
            }
        }
        tokio::time::sleep(TICK_EVERY).await;
    }
}

async fn look_at_all(parts: &Parts) -> Result<(), StoreError> {
    let scope = policy::Scope::Installation;
    let domains = parts
        .store
        .read(move |tx| policy::domains_of(tx, &scope))
        .await?;
    for domain in domains {
        match look_at(parts, &domain).await {
            Ok(()) => {}
            Err(why) => tracing::info!(domain, why, "dmarc.record_not_seen"),
        }
        tokio::time::sleep(LOOK_PACE).await;
    }
    Ok(())
}

async fn look_at(parts: &Parts, domain: &str) -> Result<(), String> {
    let owner = format!("_dmarc.{domain}");
    let seen = look::txt(&*parts.resolver, &owner, "v=DMARC1").await?;
    let record = seen.text.unwrap_or_default();
    let day = parts.policies.snapshot().day(parts.clock.now());
    let domain = domain.to_owned();
    let written = parts
        .store
        .write(move |tx: &mut dyn Tx| seen::note(tx, &domain, &record, day));
    written.await.map_err(|error| error.to_string())
}
