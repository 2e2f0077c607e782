//! The handle everybody holds: gives the settings of the moment and notices when they were changed.

use crate::rows;
use crate::snapshot::Snapshot;
use platform::clock::Clock;
use platform::store::{Store, StoreError, Tx};
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
}

struct Held {
    revision: i64,
    snapshot: Arc<Snapshot>,
}

impl Policies {
    /// A handle on the settings in `store`. `clock` tells when an exception has ended.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn open(store: Store, clock: Clock) -> Result<Self, StoreError> {
        let (revision, snapshot) = read(&store, &clock).await?;
        let held = RwLock::new(Held { revision, snapshot });
        let inner = Inner { store, clock, held };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The settings of the moment; for one decision, not to be kept.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.held().snapshot.clone()
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
            let ended = held.snapshot.ends_at.is_some_and(|end| end <= now);
            (held.revision, ended)
        };
        if !ended && self.inner.store.read(rows::revision).await? == known {
            return Ok(());
        }
        let (revision, snapshot) = read(&self.inner.store, &self.inner.clock).await?;
        let mut held = self.inner.held.write().unwrap_or_else(|e| e.into_inner());
        // Two refreshes at once: what was read later stays.
        if revision >= held.revision {
            *held = Held { revision, snapshot };
        }
        Ok(())
    }

    /// The store it reads.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }
}

/// All settings and the revision they have.
async fn read(store: &Store, clock: &Clock) -> Result<(i64, Arc<Snapshot>), StoreError> {
    let (revision, settings, send_as) = store
        .read(|tx: &mut dyn Tx| {
            Ok::<_, StoreError>((
                rows::revision(tx)?,
                rows::settings(tx)?,
                rows::all_send_as(tx)?,
            ))
        })
        .await?;
    let snapshot = Snapshot::build(settings, send_as, clock.now());
    Ok((revision, Arc::new(snapshot)))
}
