//! The SMTP client: carries one queued message to one domain (RFC 5321 §5). Implements the queue's `Transport`;
//! decides nothing about routes (`routing` does), retries or notices (the queue does).
//!
//! It carries out the TLS duty of each host. Where a duty allows clear, TLS is used when offered; a handshake that
//! fails defers, and only a later attempt may go in clear, so that a passing fault does not cost secrecy.

mod connect;
mod dots;
mod failure;
mod forbidden;
mod offers;
mod reply;
mod report;
mod reuse;
mod session;
#[cfg(test)]
mod tests;
mod times;
mod told;
mod transaction;

pub use forbidden::{Forbidden, Literals};
pub use times::ClientTimes;

use connect::Origin;
use failure::{Failure, Kind};
use forbidden::Known;
use offers::Needs;
use platform::net::StreamError;
use platform::segments::Segments;
use platform::tls::ClientTls;
use policy::{Policies, Sender};
use queue::relay::{Attempt, Attempted, Attempting, Outcome, Peer, Transport};
use report::Reporter;
use reuse::Kept;
use routing::idn::ascii_domain;
use routing::{Hop, Request, Route, Router};
use session::{Opening, Security, Session};
use std::net::SocketAddr;
use told::Told;
use transaction::{Age, Transaction};

/// Hosts tried in one attempt.
const HOSTS_MAX: usize = 10;
/// Kept connections that may turn out to have ended, before a fresh one is made.
const STALE_MAX: usize = 20;

/// How the client behaves.
#[derive(Clone)]
pub struct ClientSettings {
    /// The name said in EHLO where no pool has one.
    pub host: String,
    /// How long each step may take.
    pub times: ClientTimes,
    /// Where mail must not go, however it is addressed.
    pub forbidden: Forbidden,
}

/// What the client works with.
pub struct ClientParts {
    /// Where mail goes, and how securely; also who hears of sessions.
    pub router: Router,
    /// Which pool mail leaves from.
    pub policies: Policies,
    /// The roots for certificates that must carry a name.
    pub tls: ClientTls,
}

/// Carries messages to other servers.
pub struct Client {
    settings: ClientSettings,
    parts: ClientParts,
    kept: Kept,
}

/// What becomes of a connection after a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Keep,
    Close,
}

/// One attempt under way.
struct Delivery<'a> {
    attempt: &'a Attempt,
    segments: &'a Segments,
    needs: Needs,
    origin: Origin,
    /// The domain whose rules hold, as A-labels.
    from: &'a str,
    /// The recipients' domain, as A-labels.
    to: &'a str,
}

impl Client {
    /// A client.
    pub fn new(settings: ClientSettings, parts: ClientParts) -> Self {
        let kept = Kept::new(parts.router.clock().clone());
        Self {
            settings,
            parts,
            kept,
        }
    }

    async fn deliver(&self, attempt: &Attempt, segments: &Segments) -> Attempted {
        let mut told = Told::new(attempt);
        let needs = match transaction::needs(attempt, segments) {
            Ok(needs) => needs,
            Err(error) => {
                let text = format!("4.3.0 reading the message failed: {error}");
                return told.deferred(text);
            }
        };
        let from = sender_domain(attempt);
        let to = ascii_domain(&attempt.domain).map_or_else(|| attempt.domain.clone(), Into::into);
        let sender = Sender {
            account: attempt.submitter,
            domain: &from,
            group: attempt.group.as_deref(),
        };
        let snapshot = self.parts.policies.snapshot();
        let now = self.parts.router.clock().now();
        let outgoing = snapshot.outgoing(&sender, &to, now);
        let watch = self.parts.policies.watch();
        watch.note(&outgoing.decision, sender.account, &from, now);
        let origin = Origin::of(outgoing.pool.as_deref(), &to, &self.settings.host);
        let next_hop = outgoing
            .destination
            .is_some_and(|rule| rule.next_hop.is_some());
        let chosen = attempt.route.is_some() || next_hop;
        drop(snapshot);
        let hops = match self
            .parts
            .router
            .route(&self.request(attempt, sender))
            .await
        {
            Route::Hops(hops) => hops,
            Route::Never(refusal) => return told.no_route(refusal, told::Prospect::Never),
            Route::Later(refusal) => return told.no_route(refusal, told::Prospect::Later),
        };
        let delivery = Delivery {
            attempt,
            segments,
            needs,
            origin,
            from: &from,
            to: &to,
        };
        for hop in hops.iter().take(HOSTS_MAX) {
            let addresses = match chosen {
                true => hop.addresses.clone(),
                false => self.settings.forbidden.without(&hop.addresses, known(hop)),
            };
            if addresses.is_empty() {
                let text = "5.4.4 the server's addresses are ones that mail is never sent to";
                let cause = queue::relay::Cause::Other;
                let failure = Failure::new(&hop.host, text, Kind::HostNever { cause });
                told.failure(hop, hop.addresses.first().copied(), failure);
                continue;
            }
            match self.at_host(&delivery, hop, &addresses, &mut told).await {
                Ok(outcomes) => return told.answered(outcomes),
                Err(end @ (Kind::Never | Kind::OurFault)) => return told.ended(end),
                // RFC 5321 §5.1: another host may take what this one cannot take now.
                Err(_) => {}
            }
        }
        told.exhausted()
    }

    fn request<'r>(&self, attempt: &'r Attempt, sender: Sender<'r>) -> Request<'r> {
        Request {
            sender,
            destination: &attempt.domain,
            require_tls: attempt.require_tls,
            tls_required_no: attempt.tls_required_no,
            override_route: attempt.route.as_deref(),
            now: self.parts.router.clock().now(),
        }
    }

    /// Tries one host: kept connections first, then a fresh one. What went wrong is with `told`.
    async fn at_host(
        &self,
        delivery: &Delivery<'_>,
        hop: &Hop,
        addresses: &[SocketAddr],
        told: &mut Told<'_>,
    ) -> Result<Vec<Outcome>, Kind> {
        let addresses = connect::in_turns(addresses);
        for _ in 0..STALE_MAX {
            let Some(session) = self.kept.take(hop, &addresses, &delivery.origin) else {
                break;
            };
            match self.carry(delivery, hop, session, Age::Kept, told).await {
                Err(Kind::Stale) => {}
                other => return other,
            }
        }
        match self
            .freshly(delivery, hop, &addresses, Security::AsDuty, told)
            .await
        {
            Err(Kind::Handshake) if delivery.attempt.is_retry() => {
                let clear = Security::ClearThisTime;
                self.freshly(delivery, hop, &addresses, clear, told).await
            }
            other => other,
        }
    }

    async fn freshly(
        &self,
        delivery: &Delivery<'_>,
        hop: &Hop,
        addresses: &[SocketAddr],
        security: Security,
        told: &mut Told<'_>,
    ) -> Result<Vec<Outcome>, Kind> {
        let mut left = addresses.to_vec();
        // RFC 5321 §5.1: a host has several addresses so that one may fail, also after it has answered.
        loop {
            let (address, stream) = match connect::connect(
                &left,
                &delivery.origin,
                self.settings.times.connect,
            )
            .await
            {
                Ok(connected) => connected,
                Err(failed) => return Err(not_connected(hop, delivery, failed, told)),
            };
            let opening = Opening {
                hop,
                origin: &delivery.origin,
                times: &self.settings.times,
                tls: &self.parts.tls,
                security,
                reporter: Reporter {
                    observer: self.parts.router.observer().as_ref(),
                    hop,
                    now: self.parts.router.clock().now(),
                },
            };
            let failure = match opening.open(stream, address).await {
                Ok(session) => return self.carry(delivery, hop, session, Age::Fresh, told).await,
                Err(failure) => failure,
            };
            let kind = failure.kind;
            told.failure(hop, Some(address), failure);
            left.retain(|other| *other != address);
            let lost = matches!(
                kind,
                Kind::NextHost {
                    peer: Peer::Unreachable,
                    ..
                }
            );
            if left.is_empty() || !lost {
                return Err(kind);
            }
        }
    }

    /// Hands the message over a session, and keeps the session if it can serve again.
    async fn carry(
        &self,
        delivery: &Delivery<'_>,
        hop: &Hop,
        mut session: Session,
        age: Age,
        told: &mut Told<'_>,
    ) -> Result<Vec<Outcome>, Kind> {
        let transaction = Transaction {
            session: &mut session,
            times: &self.settings.times,
            attempt: delivery.attempt,
            segments: delivery.segments,
            needs: delivery.needs,
            age,
        };
        let mut done = Next::Keep;
        let result = match transaction.run().await {
            Ok(outcomes) => {
                session.messages += 1;
                if outcomes
                    .iter()
                    .any(|outcome| matches!(outcome, Outcome::Deferred { .. }))
                {
                    // It has no room or no time just now; a fresh start later suits it better.
                    done = Next::Close;
                }
                told.talked(hop, &session, &outcomes);
                if outcomes
                    .iter()
                    .any(|outcome| matches!(outcome, Outcome::Relayed { .. }))
                {
                    let router = &self.parts.router;
                    let now = router.clock().now();
                    router
                        .seen()
                        .outbound(delivery.from, delivery.to, session.protection, now);
                }
                Ok(outcomes)
            }
            Err(failure) => {
                let kind = failure.kind;
                if kind != Kind::Stale {
                    told.failed_at(hop, &session, failure);
                }
                Err(kind)
            }
        };
        let left = match done {
            Next::Keep => self.kept.keep(hop, &delivery.origin, session),
            Next::Close => Some(session),
        };
        if let Some(session) = left {
            session.quit().await;
        }
        result
    }
}

/// What it means that none of a host's addresses took a connection.
fn not_connected(
    hop: &Hop,
    delivery: &Delivery<'_>,
    failed: Vec<(SocketAddr, StreamError)>,
    told: &mut Told<'_>,
) -> Kind {
    let mut kind = Kind::NextHost {
        cause: queue::relay::Cause::Other,
        peer: Peer::Unreachable,
    };
    for (address, error) in failed {
        let failure = match &error {
            StreamError::SourceUnusable { .. } => {
                kind = Kind::OurFault;
                let pool = delivery.origin.pool.as_deref().unwrap_or_default();
                let text = format!(
                    "4.3.5 pool {pool}: {error}; the operator must give the address to this host or take it out of \
                     the pool"
                );
                Failure::new(&hop.host, &text, kind)
            }
            _ => Failure::next_host(
                &hop.host,
                &format!("4.4.1 no connection: {error}"),
                Peer::Unreachable,
            ),
        };
        told.failure(hop, Some(address), failure);
    }
    kind
}

fn known(hop: &Hop) -> Known {
    match hop.is_address() {
        true => Known::Literally,
        false => Known::ByName,
    }
}

/// The domain whose rules hold, as A-labels in lower case: the sender's; for a notice that of the sender of the
/// message it is about. Empty where there is none.
fn sender_domain(attempt: &Attempt) -> String {
    let domain = match &attempt.sender {
        queue::ReversePath::Null => attempt.rules_of.as_deref().unwrap_or_default(),
        queue::ReversePath::Address(address) => address.domain(),
    };
    ascii_domain(domain).map_or_else(|| domain.to_ascii_lowercase(), Into::into)
}

impl Transport for Client {
    fn attempt<'a>(&'a self, attempt: &'a Attempt, segments: &'a Segments) -> Attempting<'a> {
        Box::pin(self.deliver(attempt, segments))
    }
}
