//! Changes of one thing take turns on a node, so that what was compared with If-Match (`Call::expect`) still holds when
//! the change is made. Between nodes the store's transactions decide. Called by `face` for each change.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// Places to take turns at; things that share one wait for each other without need.
const PLACES: usize = 64;

/// The places.
pub(crate) struct Turns {
    places: Vec<Arc<Mutex<()>>>,
}

impl Default for Turns {
    fn default() -> Self {
        let places = (0..PLACES).map(|_| Arc::default());
        Self {
            places: places.collect(),
        }
    }
}

impl Turns {
    /// Waits until it is one's turn with `thing`, and has it until the guard goes.
    pub(crate) async fn take(&self, thing: &str) -> Option<OwnedMutexGuard<()>> {
        let mut hasher = DefaultHasher::new();
        thing.hash(&mut hasher);
        let place = usize::try_from(hasher.finish() % PLACES as u64).unwrap_or(0);
        let place = self.places.get(place)?.clone();
        Some(place.lock_owned().await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[tokio::test]
    async fn one_at_a_time() {
        let turns = Turns::default();
        let first = turns.take("domain firma.test").await;
        assert!(first.is_some());
        assert!(turns.take("domain firma.test").now_or_never().is_none());
        drop(first);
        assert!(turns.take("domain firma.test").now_or_never().is_some());
    }
}
