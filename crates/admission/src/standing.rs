//! Whether a session may go on: one that came in clear, with an old TLS version or by the legacy door is
//! told to go within seconds when policy would no longer let it in. All others are never bothered. Held by
//! a session, asked wherever it waits for its client.

use crate::desk::scope;
use crate::outcome::Barred;
use crate::{Desk, Visit};
use directory::{AccountId, Identity};
use platform::tls::TlsVersion;
use policy::{Door, Encryption, Sender, Service};
use std::pin::Pin;
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// How often policy is asked: with the second a change takes to be read, well within the five that such a
/// session may last.
const ASKED_EVERY: Duration = Duration::from_secs(2);

/// Watches over one session.
#[derive(Default)]
pub struct Standing {
    /// `None`: nothing to watch.
    watched: Option<Box<Watched>>,
}

struct Watched {
    desk: Desk,
    facts: Facts,
    who: Option<Who>,
    ask: Pin<Box<Sleep>>,
}

/// Of a visit what policy asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    pub(crate) service: Service,
    pub(crate) door: Door,
    pub(crate) tls: Option<TlsVersion>,
}

struct Who {
    account: Option<AccountId>,
    domain: Box<str>,
    group: Option<Box<str>>,
}

impl Standing {
    pub(crate) fn new(desk: &Desk, visit: &Visit<'_>, identity: Option<&Identity>) -> Self {
        let facts = visit.facts();
        let old = facts.tls.is_some_and(|tls| tls < TlsVersion::V1_2);
        // A stranger in clear is asked for TLS when it wants to log in; it holds nothing until then.
        let clear = visit.encryption == Encryption::Clear && identity.is_some();
        let watched = (facts.door == Door::Legacy || old || clear).then(|| {
            Box::new(Watched {
                desk: desk.clone(),
                facts,
                who: identity.map(Who::of),
                ask: Box::pin(sleep(ASKED_EVERY)),
            })
        });
        Self { watched }
    }

    /// Returns when the session has to end, with what to tell its client; otherwise never. May be dropped
    /// and asked again at any time.
    pub async fn withdrawn(&mut self) -> Barred {
        let Some(watched) = &mut self.watched else {
            return std::future::pending().await;
        };
        loop {
            watched.ask.as_mut().await;
            watched.ask.set(sleep(ASKED_EVERY));
            let sender = watched.who.as_ref().map(Who::sender);
            if let Err(barred) = watched.desk.still_admits(watched.facts, sender) {
                return barred;
            }
        }
    }
}

impl Who {
    fn of(identity: &Identity) -> Self {
        let sender = scope(identity);
        Self {
            account: sender.account,
            domain: sender.domain.into(),
            group: sender.group.map(Box::from),
        }
    }

    fn sender(&self) -> Sender<'_> {
        Sender {
            account: self.account,
            domain: &self.domain,
            group: self.group.as_deref(),
        }
    }
}
