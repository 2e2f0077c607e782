//! One session per maildrop (RFC 1939 §4, RFC 2449 §8.1.1 IN-USE). In-process; a lock goes with
//! its holder.

use directory::AccountId;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard};

/// Which maildrops are open. Cheap to clone; all clones share one table.
#[derive(Debug, Clone, Default)]
pub struct MaildropLocks {
    open: Arc<Mutex<HashSet<AccountId>>>,
}

/// An open maildrop.
#[derive(Debug)]
pub(super) struct MaildropLock {
    table: MaildropLocks,
    account: AccountId,
}

impl MaildropLocks {
    /// Takes the lock; `None` where another session has it.
    pub(super) fn take(&self, account: AccountId) -> Option<MaildropLock> {
        let taken = self.table().insert(account);
        taken.then(|| MaildropLock {
            table: self.clone(),
            account,
        })
    }

    fn table(&self) -> MutexGuard<'_, HashSet<AccountId>> {
        self.open
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Drop for MaildropLock {
    fn drop(&mut self) {
        self.table.table().remove(&self.account);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_maildrop_opens_once_at_a_time() {
        let locks = MaildropLocks::default();
        let held = locks.take(AccountId(1));
        assert!(held.is_some());
        assert!(locks.take(AccountId(1)).is_none());
        assert!(locks.take(AccountId(2)).is_some());
        drop(held);
        assert!(locks.take(AccountId(1)).is_some());
    }
}
