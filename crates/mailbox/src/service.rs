//! The service itself: what every method needs. The methods stand in the files named after them.
//! Called by `queue`, `access` and `server`; holds no state of its own between calls.

use crate::error::Error;
use directory::AccountId;
use platform::clock::Clock;
use platform::segments::Segments;
use platform::signals::{Signals, Subscription};
use platform::store::{Store, Tx};

/// Mail at rest. Cheap to clone.
#[derive(Clone)]
pub struct Mailboxes {
    pub(crate) store: Store,
    pub(crate) segments: Segments,
    pub(crate) signals: Signals,
    pub(crate) clock: Clock,
}

impl Mailboxes {
    /// `store` was opened with `SCHEMA` and with the before-commit hook of `segments`.
    pub fn new(store: Store, segments: Segments, signals: Signals, clock: Clock) -> Self {
        Self {
            store,
            segments,
            signals,
            clock,
        }
    }

    /// Wakes the sessions of `account`. For callers of `deliver`, after their commit; every method
    /// that writes does it itself.
    pub fn announce(&self, account: AccountId) {
        self.signals.publish(account.0);
    }

    /// Listens for changes in `account`; `changes` then tells what they are.
    pub fn subscribe_to(&self, account: AccountId) -> Subscription {
        self.signals.subscribe(account.0)
    }

    /// A write of `account`, announced after its commit.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        account: AccountId,
        run: impl FnMut(&mut dyn Tx) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let value = self.store.write(run).await?;
        self.announce(account);
        Ok(value)
    }
}
