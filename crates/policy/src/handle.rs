//! The handle everybody holds: gives the settings of the moment and notices when they were changed.

use crate::clients::{self, Catalogue};
use crate::legacy;
use crate::nodes::Report;
use crate::rows;
use crate::rules;
use crate::snapshot::{Contents, Snapshot};
use platform::clock::{Clock, Timestamp};
use platform::store::{Store, StoreError, Tx};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard};

/// Gives the settings of the moment. Cheap to clone; all clones show the same.
#[derive(Clone)]
pub struct Policies {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    clock: Clock,
    held: RwLock<Held>,
    watch: rules::Watch,
    /// When it was last sure that there is nothing newer, in milliseconds.
    current_at: AtomicI64,
}

struct Held {
    revision: i64,
    snapshot: Arc<Snapshot>,
    catalogue: Arc<Catalogue>,
}

impl Policies {
    /// A handle on the settings in `store`. `clock` tells when an exception has ended.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn open(store: Store, clock: Clock) -> Result<Self, StoreError> {
        let held = RwLock::new(read(&store, &clock).await?);
        let watch = rules::Watch::new(&store);
        let inner = Inner {
            store,
            watch,
            current_at: AtomicI64::new(clock.now().0),
            held,
            clock,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The settings of the moment; for one decision, not to be kept.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.held().snapshot.clone()
    }

    /// What is known about clients at the moment.
    pub fn catalogue(&self) -> Arc<Catalogue> {
        self.held().catalogue.clone()
    }

    /// What rules need while they are asked.
    pub fn watch(&self) -> &rules::Watch {
        &self.inner.watch
    }

    fn held(&self) -> RwLockReadGuard<'_, Held> {
        let held = self.inner.held.read();
        held.unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Looks whether settings were changed (by this or another process) or have ended, and reads them
    /// again if so. Called once a second and on a control message.
    ///
    /// # Errors
    /// Those of the store; the settings that were read before stay in use then.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let now = self.inner.clock.now();
        let (known, ended) = {
            let held = self.held();
            let ended = held.snapshot.ends.iter().any(|end| *end <= now);
            (held.revision, ended)
        };
        if !ended && self.inner.store.read(rows::revision).await? == known {
            self.inner.current_at.store(now.0, Ordering::Relaxed);
            return Ok(());
        }
        let mut fresh = read(&self.inner.store, &self.inner.clock).await?;
        let mut held = self.inner.held.write().unwrap_or_else(|e| e.into_inner());
        // Two refreshes at once: what was read later stays.
        if fresh.revision >= held.revision {
            // Settings change more often than clients: whom the catalogue remembers, it goes on knowing.
            if held.catalogue.has_same_entries(&fresh.catalogue) {
                fresh.catalogue = held.catalogue.clone();
            }
            *held = fresh;
        }
        self.inner.current_at.store(now.0, Ordering::Relaxed);
        Ok(())
    }

    /// What the node `node` says of itself at `now`; `trouble` is why its last refresh failed.
    pub fn report(&self, node: &str, now: Timestamp, trouble: Option<String>) -> Report {
        Report {
            node: node.to_owned(),
            revision: self.held().revision,
            current_at: Timestamp(self.inner.current_at.load(Ordering::Relaxed)),
            seen_at: now,
            trouble,
        }
    }

    /// The store it reads.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }
}

/// All settings, the operator's clients and the revision they have.
async fn read(store: &Store, clock: &Clock) -> Result<Held, StoreError> {
    let (revision, contents, own_clients) = store
        .read(|tx: &mut dyn Tx| {
            Ok::<_, StoreError>((rows::revision(tx)?, contents(tx)?, clients::rows::all(tx)?))
        })
        .await?;
    Ok(Held {
        revision,
        snapshot: Arc::new(Snapshot::build(contents, clock.now())),
        catalogue: Arc::new(Catalogue::new(own_clients)),
    })
}

/// What a snapshot is made of.
pub(crate) fn contents(tx: &mut dyn Tx) -> Result<Contents, StoreError> {
    Ok(Contents {
        settings: rows::settings(tx)?,
        send_as: rows::all_send_as(tx)?,
        enrolled: legacy::enrolled(tx)?,
        stopped: legacy::stopped(tx)?,
        rules: rules::store::current(tx)?,
    })
}
