//! Connections kept for the next message to the same place. One serves only messages that would have opened the very
//! same one: same address, host, TLS duty, source address and EHLO name; so no policy bleeds into another message.
//! Kept for seconds, in bounded numbers.

use super::connect::Origin;
use super::session::{Security, Session, Stage};
use routing::{Duty, Hop};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

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
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    places: HashMap<Place, Vec<(Session, Instant)>>,
    total: usize,
    sweeping: bool,
}

impl Kept {
    /// The one used last, which is the likeliest to be still there.
    pub(super) fn take(
        &self,
        hop: &Hop,
        addresses: &[SocketAddr],
        origin: &Origin,
    ) -> Option<Session> {
        let mut inner = self.lock();
        if inner.total == 0 {
            return None;
        }
        for address in addresses {
            let place = Place::new(hop, *address, origin);
            let Some(sessions) = inner.places.get_mut(&place) else {
                continue;
            };
            let taken = sessions.pop();
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
        let worn = session.messages >= MESSAGES_MAX || session.opened.elapsed() > AGE_MAX;
        // One in clear after a failed handshake is an exception of one attempt.
        let exception = session.security == Security::ClearThisTime;
        if worn || exception || session.stage == Stage::Broken {
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
        sessions.push((session, Instant::now()));
        inner.total += 1;
        if !inner.sweeping {
            inner.sweeping = true;
            tokio::spawn(sweep(self.clone()));
        }
        None
    }

    /// Takes out what was idle too long. `None` once nothing is left, and nobody sweeps any more then.
    fn idle_too_long(&self) -> Option<Vec<Session>> {
        let mut inner = self.lock();
        let mut old = Vec::new();
        inner.places.retain(|_, sessions| {
            let (late, fresh) = std::mem::take(sessions)
                .into_iter()
                .partition(|(_, since)| since.elapsed() >= IDLE_MAX);
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
