//! Change notices between sessions: "something in this account changed". In-process.
//! A notice carries no data; who is woken reads the store. Called after a commit, never before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// The notice board. Cheap to clone; all clones share one board.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    topics: Arc<Mutex<HashMap<i64, watch::Sender<u64>>>>,
}

/// One listener on one account; dropping it ends the subscription.
#[derive(Debug)]
pub struct Subscription {
    receiver: Option<watch::Receiver<u64>>,
    account: i64,
    board: Signals,
}

impl Signals {
    /// Listens for changes of `account` from now on.
    pub fn subscribe(&self, account: i64) -> Subscription {
        let mut topics = self.lock();
        let receiver = topics
            .entry(account)
            .or_insert_with(|| watch::channel(0).0)
            .subscribe();
        Subscription {
            receiver: Some(receiver),
            account,
            board: self.clone(),
        }
    }

    /// Wakes every listener on `account`. Costs one map look-up where nobody listens.
    pub fn publish(&self, account: i64) {
        if let Some(sender) = self.lock().get(&account) {
            sender.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<i64, watch::Sender<u64>>> {
        self.topics
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Subscription {
    /// Waits for a notice that came after the last one this listener saw. Safe to cancel.
    pub async fn changed(&mut self) {
        let alive = match &mut self.receiver {
            Some(receiver) => receiver.changed().await.is_ok(),
            None => false,
        };
        if !alive {
            // The sender lives as long as a subscription does, so this is never reached.
            std::future::pending::<()>().await;
        }
    }

    /// Marks everything up to now as seen; true where there was something new.
    pub fn take(&mut self) -> bool {
        let Some(receiver) = &mut self.receiver else {
            return false;
        };
        let new = receiver.has_changed().unwrap_or(false);
        receiver.mark_unchanged();
        new
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut topics = self.board.lock();
        self.receiver = None;
        if topics
            .get(&self.account)
            .is_some_and(|sender| sender.receiver_count() == 0)
        {
            topics.remove(&self.account);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_listeners_of_the_account_wake() {
        let board = Signals::default();
        let (mut anna, mut bernd) = (board.subscribe(1), board.subscribe(2));
        board.publish(1);
        anna.changed().await;
        assert!(!anna.take());
        assert!(!bernd.take());
    }

    #[test]
    fn a_topic_goes_with_its_last_listener() {
        let board = Signals::default();
        drop(board.subscribe(7));
        assert!(board.lock().is_empty());
    }
}
