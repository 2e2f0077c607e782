//! The policies that hold now: in memory, below that in the store, and fetched where a domain announces
//! one that is not there. One fetch per domain at a time, at most a minute each, never in the way of
//! mail to others.

use super::https::FETCH_TIME_MAX;
use super::plan::{Failed, Kept, Plan, holding, plan};
use super::policy::{Mode, StsPolicy, announced_id, parse};
use super::{FetchError, PolicyFetcher, rows};
use crate::tlsrpt::{Failure, Observer, PolicyFound, SessionResult};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use platform::clock::{Clock, Timestamp};
use platform::dns::{Outcome, Resolver};
use platform::store::{Store, StoreError};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Domains remembered in memory; past it the ones without anything to know are forgotten.
const REMEMBERED_MAX: usize = 50_000;
/// Fetches under way at once; a domain past it goes without a policy for now, unless one is kept.
const FLIGHTS_MAX: usize = 256;
/// Age at which a policy in use is fetched again (RFC 8461 §3.3: once per day).
const REFRESH_AFTER: Duration = Duration::from_secs(24 * 3600);
/// Wait after a refresh that failed.
const REFRESH_RETRY_AFTER: Duration = Duration::from_secs(3600);
/// A policy nobody used for so long is left to run out.
const UNUSED_AFTER: Duration = Duration::from_secs(14 * 24 * 3600);
/// Policies refreshed in one go, and at the same time.
const REFRESHED_MAX: i64 = 5000;
const REFRESHED_AT_ONCE: usize = 16;
/// How often use is recorded.
const USE_RECORDED_EVERY: Duration = Duration::from_secs(24 * 3600);

/// What the cache works with.
pub struct StsParts {
    /// Where policies are kept.
    pub store: Store,
    /// Asked for the TXT records.
    pub resolver: Arc<dyn Resolver>,
    /// Fetches.
    pub fetcher: Arc<dyn PolicyFetcher>,
    /// Hears what is wrong with a policy.
    pub observer: Arc<dyn Observer>,
    /// The time.
    pub clock: Clock,
}

/// The policies that hold now. Cheap to clone.
#[derive(Clone)]
pub struct StsCache {
    inner: Arc<Inner>,
}

struct Inner {
    parts: StsParts,
    remembered: Mutex<HashMap<Box<str>, Entry>>,
    flights: Arc<Semaphore>,
}

/// Ends a flight, however its task ends: who waits goes on, and the next one may begin.
struct Landing {
    cache: StsCache,
    domain: Box<str>,
    _landed: watch::Sender<()>,
    _place: OwnedSemaphorePermit,
}

impl Drop for Landing {
    fn drop(&mut self) {
        if let Some(entry) = self.cache.lock().get_mut(&self.domain) {
            entry.flight = None;
        }
    }
}

/// What is remembered of a domain.
#[derive(Default)]
struct Entry {
    /// As in the store, once it was looked up there.
    kept: Option<Kept>,
    failed: Option<Failed>,
    /// Ends (its sender is dropped) when the fetch under way ended.
    flight: Option<watch::Receiver<()>>,
    /// When use was recorded last.
    used_at: Option<Timestamp>,
}

impl StsCache {
    /// An empty memory over what is in the store.
    pub fn new(parts: StsParts) -> Self {
        Self {
            inner: Arc::new(Inner {
                parts,
                remembered: Mutex::default(),
                flights: Arc::new(Semaphore::new(FLIGHTS_MAX)),
            }),
        }
    }

    /// The policy that holds for `domain` (A-labels, lower case) now. Waits for a fetch where a policy is
    /// announced that was not seen before; at most a minute.
    pub async fn policy(&self, domain: &str) -> Option<Arc<StsPolicy>> {
        let announced = self.announced(domain).await;
        self.recall(domain).await;
        let now = self.inner.parts.clock.now();
        let flight = {
            let mut remembered = self.lock();
            let entry = remembered.get(domain);
            let kept = entry.and_then(|entry| entry.kept.as_ref());
            let failed = entry.and_then(|entry| entry.failed.as_ref());
            match (plan(kept, failed, announced.as_deref(), now), announced) {
                (Plan::Use, _) | (_, None) => None,
                (Plan::Fetch, Some(id)) => self.flight(&mut remembered, domain, id),
                (Plan::FetchBeside, Some(id)) => {
                    let _ = self.flight(&mut remembered, domain, id);
                    None
                }
            }
        };
        if let Some(mut flight) = flight {
            // An error is the end of the flight: nothing is ever sent.
            while flight.changed().await.is_ok() {}
        }
        self.holding(domain)
    }

    /// Fetches again what is a day old and in use, and removes what ran out. For an hourly chore.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let parts = &self.inner.parts;
        let now = parts.clock.now();
        let before = move |by: Duration| {
            Timestamp(
                now.0
                    .saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)),
            )
        };
        let stale = parts
            .store
            .read(move |tx| {
                rows::stale_ones(
                    tx,
                    now,
                    before(REFRESH_AFTER),
                    before(REFRESH_RETRY_AFTER),
                    before(UNUSED_AFTER),
                    REFRESHED_MAX,
                )
            })
            .await?;
        let mut under_way = FuturesUnordered::new();
        for stale in stale {
            if under_way.len() >= REFRESHED_AT_ONCE {
                under_way.next().await;
            }
            under_way.push(self.refresh_one(stale));
        }
        while under_way.next().await.is_some() {}
        parts
            .store
            .write(move |tx| rows::forget_expired(tx, now))
            .await
            .map(drop)
    }

    async fn refresh_one(&self, stale: rows::Stale) {
        let rows::Stale { domain, kept } = stale;
        let id = self.announced(&domain).await;
        let id = id.unwrap_or_else(|| kept.id.clone().into());
        let flight = {
            let mut remembered = self.lock();
            let entry = remembered.entry(domain.as_str().into()).or_default();
            if entry.kept.is_none() {
                entry.kept = Some(kept.clone());
            }
            self.flight(&mut remembered, &domain, id)
        };
        if let Some(mut flight) = flight {
            while flight.changed().await.is_ok() {}
        }
        let failed = self
            .lock()
            .get(domain.as_str())
            .is_some_and(|entry| entry.failed.is_some());
        if failed {
            // RFC 8461 §3.3: the operator hears of it, unless the policy is none anyway.
            if kept.policy.mode != Mode::None {
                tracing::warn!(domain, "sts.refresh_failed");
            }
            let now = self.inner.parts.clock.now();
            let tried = move |tx: &mut dyn platform::store::Tx| rows::tried(tx, &domain, now);
            if let Err(error) = self.inner.parts.store.write(tried).await {
                tracing::warn!(%error, "sts.store_failed");
            }
        }
    }

    /// The id in the TXT record. A failure counts as none: what is kept holds, and without that there is
    /// nothing to hold to (RFC 8461 §3.3).
    async fn announced(&self, domain: &str) -> Option<String> {
        let name = format!("_mta-sts.{domain}");
        match self.inner.parts.resolver.txt(&name).await {
            Outcome::Found(answer) => announced_id(&answer.value),
            _ => None,
        }
    }

    /// Brings what the store knows into memory, unless it is there.
    async fn recall(&self, domain: &str) {
        if self.lock().contains_key(domain) {
            return;
        }
        let wanted = domain.to_owned();
        let read = self
            .inner
            .parts
            .store
            .read(move |tx| rows::read(tx, &wanted));
        match read.await {
            Ok(kept) => {
                let mut remembered = self.lock();
                if remembered.len() >= REMEMBERED_MAX {
                    // What is kept is in the store, too; only flights are nowhere else.
                    remembered.retain(|_, entry| entry.flight.is_some());
                }
                let entry = remembered.entry(domain.into()).or_default();
                if entry.kept.is_none() {
                    entry.kept = kept;
                }
            }
            // Not remembered as absent: the next message asks again.
            Err(error) => tracing::warn!(%error, "sts.store_failed"),
        }
    }

    fn holding(&self, domain: &str) -> Option<Arc<StsPolicy>> {
        let now = self.inner.parts.clock.now();
        let mut remembered = self.lock();
        let entry = remembered.get_mut(domain)?;
        let policy = holding(entry.kept.as_ref(), now)?;
        let recorded = entry.used_at.replace(now);
        match recorded {
            Some(at) if now.since(at) < USE_RECORDED_EVERY => entry.used_at = Some(at),
            _ => self.record_use(domain, now),
        }
        Some(policy)
    }

    /// So that a policy in use is refreshed. Beside the message that used it.
    fn record_use(&self, domain: &str, now: Timestamp) {
        let (store, domain) = (self.inner.parts.store.clone(), domain.to_owned());
        tokio::spawn(async move {
            if let Err(error) = store.write(move |tx| rows::used(tx, &domain, now)).await {
                tracing::warn!(%error, "sts.store_failed");
            }
        });
    }

    /// Joins the fetch under way, or begins one. `None` where too many are under way.
    fn flight(
        &self,
        remembered: &mut HashMap<Box<str>, Entry>,
        domain: &str,
        id: String,
    ) -> Option<watch::Receiver<()>> {
        if let Some(flight) = remembered
            .get(domain)
            .and_then(|entry| entry.flight.as_ref())
        {
            return Some(flight.clone());
        }
        let place = self.inner.flights.clone().try_acquire_owned().ok()?;
        let (landed, flight) = watch::channel(());
        let entry = remembered.entry(domain.into()).or_default();
        entry.flight = Some(flight.clone());
        let landing = Landing {
            cache: self.clone(),
            domain: domain.into(),
            _landed: landed,
            _place: place,
        };
        tokio::spawn(async move { landing.cache.fetch(&landing.domain, &id).await });
        Some(flight)
    }

    async fn fetch(&self, domain: &str, id: &str) {
        let parts = &self.inner.parts;
        let fetched = tokio::time::timeout(FETCH_TIME_MAX, parts.fetcher.fetch(domain)).await;
        let fetched = fetched.unwrap_or_else(|_| {
            let error = "the policy host did not answer within a minute";
            Err(FetchError::Unreachable(error.to_owned()))
        });
        let parsed =
            fetched.and_then(|bytes| parse(&bytes).map_err(|e| FetchError::Invalid(e.to_string())));
        let now = parts.clock.now();
        match parsed {
            Ok(policy) => {
                let kept = Kept {
                    expires_at: now.plus(policy.max_age),
                    policy: Arc::new(policy),
                    id: id.into(),
                };
                self.keep(domain, kept, now).await;
            }
            Err(error) => {
                tracing::info!(domain, %error, "sts.fetch_failed");
                self.report(domain, &error, now);
                let mut remembered = self.lock();
                let entry = remembered.entry(domain.into()).or_default();
                entry.failed = Some(Failed {
                    id: id.into(),
                    at: now,
                });
            }
        }
    }

    async fn keep(&self, domain: &str, kept: Kept, now: Timestamp) {
        let (row, name) = (kept.clone(), domain.to_owned());
        let written = self
            .inner
            .parts
            .store
            .write(move |tx| rows::write(tx, &name, &row, now))
            .await;
        if let Err(error) = written {
            tracing::warn!(%error, "sts.store_failed");
        }
        let mut remembered = self.lock();
        let entry = remembered.entry(domain.into()).or_default();
        entry.kept = Some(kept);
        entry.failed = None;
        entry.used_at = Some(now);
    }

    /// RFC 8460 §4.3.2.2.
    fn report(&self, domain: &str, error: &FetchError, now: Timestamp) {
        let domain: Arc<str> = domain.into();
        let kept = self
            .lock()
            .get(&*domain)
            .and_then(|entry| entry.kept.clone());
        let policy = match kept {
            Some(kept) => kept.policy.found(&domain),
            None => PolicyFound {
                kind: crate::tlsrpt::PolicyKind::Sts,
                ..PolicyFound::nothing(&domain)
            },
        };
        let failure = Failure::before_connection(error.result_type(), None, &error.to_string());
        self.inner.parts.observer.note(SessionResult {
            at: now,
            domain,
            policy,
            failure: Some(failure),
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Entry>> {
        self.inner
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
