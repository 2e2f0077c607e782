//! Tells every listener and session that the server wants to stop, and waits until they have.
//! The wiring holds the trigger; sessions hold a `Shutdown`.

use crate::net::Deadline;
use tokio::sync::watch;

/// Asks for the stop and waits for it.
#[derive(Debug)]
pub struct ShutdownTrigger {
    requested: watch::Sender<bool>,
}

/// Held by a listener or session; as long as one exists, the server is not drained.
#[derive(Debug, Clone)]
pub struct Shutdown {
    requested: watch::Receiver<bool>,
}

impl Shutdown {
    /// A trigger and the first handle to it.
    pub fn new() -> (ShutdownTrigger, Self) {
        let (sender, receiver) = watch::channel(false);
        (
            ShutdownTrigger { requested: sender },
            Self {
                requested: receiver,
            },
        )
    }

    /// Whether the server wants to stop.
    pub fn is_requested(&self) -> bool {
        *self.requested.borrow()
    }

    /// Returns when the server wants to stop (also when the trigger is gone). May be dropped and asked again.
    pub async fn requested(&self) {
        let mut receiver = self.requested.clone();
        let _gone_counts_as_requested = receiver.wait_for(|requested| *requested).await;
    }
}

impl ShutdownTrigger {
    /// Asks every holder to finish.
    pub fn request(&self) {
        self.requested.send_replace(true);
    }

    /// Another handle.
    pub fn handle(&self) -> Shutdown {
        Shutdown {
            requested: self.requested.subscribe(),
        }
    }

    /// Waits until every `Shutdown` is dropped, at most until `deadline`; returns how many were left.
    pub async fn drained(&self, deadline: Deadline) -> usize {
        let _late = tokio::time::timeout_at(deadline.instant(), self.requested.closed()).await;
        self.requested.receiver_count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn holders_are_told_and_waited_for() {
        let (trigger, handle) = Shutdown::new();
        assert!(!handle.is_requested());
        assert_eq!(
            trigger
                .drained(Deadline::after(Duration::from_millis(5)))
                .await,
            1
        );
        let session = tokio::spawn(async move { handle.requested().await });
        trigger.request();
        session.await.unwrap();
        assert_eq!(
            trigger
                .drained(Deadline::after(Duration::from_secs(5)))
                .await,
            0
        );
    }
}
