//! What an account does, as it happens: for the support view, which turns green with the first secure login.
//! Knows the connections of its own node only.

use super::Manner;
use platform::clock::Timestamp;
use tokio::sync::broadcast;

/// Events a slow reader may be behind; what is older is skipped.
const BEHIND_MAX: usize = 32;

/// One connection of a watched account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// How it came and what became of it.
    pub manner: Manner,
    /// When.
    pub at: Timestamp,
}

/// Receives what one account does.
pub struct Live {
    receiver: broadcast::Receiver<Event>,
}

impl Live {
    /// The next connection. `None`: nothing will come any more.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.receiver.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

/// Tells the watchers of one account.
#[derive(Debug)]
pub(super) struct Teller {
    sender: broadcast::Sender<Event>,
}

impl Default for Teller {
    fn default() -> Self {
        Self {
            sender: broadcast::channel(BEHIND_MAX).0,
        }
    }
}

impl Teller {
    pub(super) fn listen(&self) -> Live {
        Live {
            receiver: self.sender.subscribe(),
        }
    }

    pub(super) fn tell(&self, event: Event) {
        // Nobody listens any more: the teller goes with the next `watch`.
        let _ = self.sender.send(event);
    }

    pub(super) fn is_heard(&self) -> bool {
        self.sender.receiver_count() > 0
    }
}
