//! The handle the rim holds.

use crate::login::TryLaterReason;
use crate::{Login, LoginRuling, Resolution, Settings};
use formats::address::Address;
use platform::random::Random;
use platform::store::{Store, StoreError};
use std::sync::Arc;
use std::time::Duration;

/// Answers where mail goes and who may log in. Cheap to clone; all clones share one cache.
#[derive(Clone)]
pub struct Directory {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) settings: Settings,
    pub(crate) random: Random,
}

impl Directory {
    /// A handle on the directory in `store`; makes the installation's secrets at the first start.
    pub async fn open(
        store: Store,
        settings: Settings,
        random: Random,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            inner: Arc::new(Inner {
                store,
                settings,
                random,
            }),
        })
    }

    /// The settings it was opened with.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// The store it reads.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// Looks whether the directory was changed (by this or another process) and forgets what it
    /// remembered if so. Called once a second and on a control message.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Where mail for `address` goes. Without store access where it is remembered.
    pub async fn resolve(&self, _address: &Address) -> Result<Arc<Resolution>, StoreError> {
        Ok(Arc::new(Resolution::NoSuchDomain))
    }

    /// Where mail for `<Postmaster>` without a domain goes (RFC 5321 §4.1.1.3).
    pub async fn resolve_postmaster(&self) -> Result<Arc<Resolution>, StoreError> {
        Ok(Arc::new(Resolution::NoPostmaster))
    }

    /// Whether a user may log in with a password. Never fails: what fails inside is `TryLater`.
    pub async fn login(&self, _login: Login<'_>) -> LoginRuling {
        LoginRuling::TryLater {
            reason: TryLaterReason::Busy,
            after: Duration::from_secs(60),
        }
    }
}
