//! The SMTP client: carries one queued message to one domain (RFC 5321 §5). Implements the queue's
//! `Transport`; decides nothing about retries or notices.
//!
//! TLS is opportunistic: used where offered, without checking the certificate. A broken handshake
//! defers; only a later attempt may go in clear, so that a passing fault does not cost secrecy.

mod dialogue;
mod dots;
mod idn;
mod reply;
mod route;
#[cfg(test)]
mod tests;

pub use dialogue::ClientTimes;

use dialogue::{Dialogue, Failure, Security};
use platform::dns::Resolver;
use platform::net::Stream;
use platform::random::Random;
use platform::segments::Segments;
use platform::tls::ClientTls;
use queue::relay::{Attempt, Attempted, Attempting, Cause, Outcome, Transport};
use route::{NextHop, Route};
use std::net::SocketAddr;
use std::sync::Arc;

/// Hosts tried in one attempt (RFC 5321 §5.1 wants at least two addresses).
const ADDRESSES_MAX: usize = 6;

/// How the client behaves.
#[derive(Clone)]
pub struct ClientSettings {
    /// The name said in EHLO.
    pub host: String,
    /// A server that takes everything, as `host:port`; `None` asks the DNS.
    pub next_hop: Option<String>,
    /// The port of mail exchangers: 25, another one in tests.
    pub port: u16,
    /// How long each step may take.
    pub times: ClientTimes,
}

/// Carries messages to other servers.
pub struct Client {
    settings: ClientSettings,
    resolver: Arc<dyn Resolver>,
    tls: ClientTls,
    random: Random,
}

impl Client {
    /// A client; `tls` should not insist on trusted certificates (RFC 7435).
    pub fn new(
        settings: ClientSettings,
        resolver: Arc<dyn Resolver>,
        tls: ClientTls,
        random: Random,
    ) -> Self {
        Self {
            settings,
            resolver,
            tls,
            random,
        }
    }

    async fn deliver(&self, attempt: &Attempt, segments: &Segments) -> Vec<Outcome> {
        let all = |outcome: Outcome| vec![outcome; attempt.recipients.len()];
        let hops = match route::find(
            self.settings.next_hop.as_deref(),
            &attempt.domain,
            self.settings.port,
            self.resolver.as_ref(),
            &self.random,
        )
        .await
        {
            Route::Hops(hops) => hops,
            Route::Never(reply) => {
                return all(Outcome::Failed {
                    reply,
                    cause: Cause::Other,
                });
            }
            Route::Later(reply) => {
                return all(Outcome::Deferred {
                    reply,
                    cause: Cause::Other,
                });
            }
        };
        let mut last = "4.4.1 no address of the recipient's server answered".to_owned();
        for hop in hops.iter().take(ADDRESSES_MAX) {
            match self.try_hop(hop, attempt, segments).await {
                Ok(outcomes) => return outcomes,
                // RFC 5321 §5.1: another host may take what this one cannot take now.
                Err(Failure::TryNextHost(reply)) => last = reply,
                Err(Failure::Permanent(reply)) => {
                    return all(Outcome::Failed {
                        reply,
                        cause: Cause::Other,
                    });
                }
            }
        }
        all(Outcome::Deferred {
            reply: last,
            cause: Cause::Other,
        })
    }

    async fn try_hop(
        &self,
        hop: &NextHop,
        attempt: &Attempt,
        segments: &Segments,
    ) -> Result<Vec<Outcome>, Failure> {
        let security = Security::Opportunistic { tls: &self.tls };
        match self.converse(hop, attempt, segments, security).await {
            Err(Failure::TryNextHost(reply))
                if attempt.is_retry() && reply.contains(dialogue::HANDSHAKE_FAILED) =>
            {
                self.converse(hop, attempt, segments, Security::Clear).await
            }
            other => other,
        }
    }

    async fn converse(
        &self,
        hop: &NextHop,
        attempt: &Attempt,
        segments: &Segments,
        security: Security<'_>,
    ) -> Result<Vec<Outcome>, Failure> {
        let stream = self.connect(hop.address).await.map_err(|error| {
            Failure::TryNextHost(format!("host={} 4.4.1 no connection: {error}", hop.host))
        })?;
        Dialogue::new(stream, &hop.host, &self.settings)
            .run(attempt, segments, security)
            .await
    }

    async fn connect(&self, address: SocketAddr) -> Result<Stream, platform::net::StreamError> {
        let deadline = platform::net::Deadline::after(self.settings.times.connect);
        Stream::connect(address, None, deadline).await
    }
}

impl Transport for Client {
    fn attempt<'a>(&'a self, attempt: &'a Attempt, segments: &'a Segments) -> Attempting<'a> {
        Box::pin(async move {
            Attempted {
                outcomes: self.deliver(attempt, segments).await,
                ..Attempted::default()
            }
        })
    }
}
