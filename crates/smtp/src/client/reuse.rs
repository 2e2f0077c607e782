//! Connections kept for the next message to the same place. One serves only messages that would have opened the very
//! same one: same address, host, TLS duty, source address and EHLO name; so no policy bleeds into another message.
//! Kept for seconds, in bounded numbers.

use super::connect::Origin;
use super::session::{Security, Session};
use platform::clock::{Clock, Timestamp};
use routing::{Duty, Hop};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a connection may be idle; many servers close soon after.
const IDLE_MAX: Duration = Duration::from_secs(5);
/// How old a connection may become.
const AGE_MAX: Duration = Duration::from_secs(300);
/// Messages one connection carries; servers count and slow down.
const MESSAGES_MAX: u32 = 100;
/// Idle connections altogether.
const KEPT_MAX: usize = 200;
/// Idle connections to one place.
const KEPT_PER_PLACE_MAX: usize = 20;
/// How often it is looked for connections that were idle too long.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// What a message and a connection must have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    address: SocketAddr,
    host: String,
    server_name: String,
    duty: Duty,
    source: Option<IpAddr>,
    hello: String,
}

impl Place {
    pub(super) fn new(hop: &Hop, address: SocketAddr, origin: &Origin) -> Self {
        Self {
            address,
            host: hop.host.clone(),
            server_name: hop.server_name.clone(),
            duty: hop.duty.clone(),
            source: origin.source(address),
            hello: origin.hello.clone(),
        }
    }
}

/// The kept connections. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    inner: Arc<Mutex<Inner>>,
    clock: Clock,
}

#[derive(Debug, Default)]
struct Inner {
    places: HashMap<Place, Vec<(Session, Timestamp)>>,
    total: usize,
    sweeping: bool,
}

impl Kept {
    /// Nothing is kept yet; connections grow old by `clock`.
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            inner: Arc::default(),
            clock,
        }
    }

    /// The one used last, which is the likeliest to be still there.
    pub(super) fn take(
        &self,
        hop: &Hop,
        addresses: &[SocketAddr],
        origin: &Origin,
    ) -> Option<Session> {
        let now = self.clock.now();
        let mut inner = self.lock();
        if inner.total == 0 {
            return None;
        }
        for address in addresses {
            let place = Place::new(hop, *address, origin);
            let Some(sessions) = inner.places.get_mut(&place) else {
                continue;
            };
            // Those that are too old are swept away soon.
            let fresh = |(_, since): &mut (Session, Timestamp)| is_fresh(*since, now);
            let taken = sessions.pop_if(fresh);
            if sessions.is_empty() {
                inner.places.remove(&place);
            }
            if let Some((session, _)) = taken {
                inner.total -= 1;
                return Some(session);
            }
        }
        None
    }

    /// Keeps a session for the next message; gives it back where it cannot be kept.
    pub(super) fn keep(&self, hop: &Hop, origin: &Origin, session: Session) -> Option<Session> {
        let now = self.clock.now();
        let age = now.since(session.opened);
        let worn = session.messages >= MESSAGES_MAX || age > AGE_MAX;
        // One in clear after a failed handshake is an exception of one attempt.
        let exception = session.security == Security::ClearThisTime;
        if worn || exception || !session.stage.is_usable() {
            return Some(session);
        }
        let place = Place::new(hop, session.address, origin);
        let mut inner = self.lock();
        if inner.total >= KEPT_MAX {
            return Some(session);
        }
        let sessions = inner.places.entry(place).or_default();
        if sessions.len() >= KEPT_PER_PLACE_MAX {
            return Some(session);
        }
        sessions.push((session, now));
        inner.total += 1;
        if !inner.sweeping {
            inner.sweeping = true;
            tokio::spawn(sweep(self.clone()));
        }
        None
    }

    /// Takes out what was idle too long. `None` once nothing is left, and nobody sweeps any more then.
    fn idle_too_long(&self) -> Option<Vec<Session>> {
        let now = self.clock.now();
        let mut inner = self.lock();
        let mut old = Vec::new();
        inner.places.retain(|_, sessions| {
            let (late, fresh) = std::mem::take(sessions)
                .into_iter()
                .partition(|(_, since)| !is_fresh(*since, now));
            *sessions = fresh;
            old.extend(late);
            !sessions.is_empty()
        });
        inner.total -= old.len();
        if inner.total == 0 && old.is_empty() {
            inner.sweeping = false;
            return None;
        }
        Some(old.into_iter().map(|(session, _)| session).collect())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Neither idle too long nor from the future, as after the clock was set back.
fn is_fresh(since: Timestamp, now: Timestamp) -> bool {
    since <= now && now.since(since) < IDLE_MAX
}

async fn sweep(kept: Kept) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let Some(old) = kept.idle_too_long() else {
            return;
        };
        for session in old {
            session.quit().await;
        }
    }
}
