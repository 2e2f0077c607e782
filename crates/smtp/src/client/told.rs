//! Gathers what an attempt met, for the message's story and for the scheduler, and says what it means in the end.
//! Pure.

use super::failure::{Failure, Kind};
use super::session::Session;
use queue::relay::{Attempt, Attempted, Cause, Outcome, Peer, TlsSeen, Try};
use routing::{Hop, Refusal};
use std::net::SocketAddr;

/// What was met so far.
pub(super) struct Told<'a> {
    attempt: &'a Attempt,
    tries: Vec<Try>,
    failures: Vec<Failure>,
}

/// Whether a route may be there later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prospect {
    Never,
    Later,
}

impl<'a> Told<'a> {
    pub(super) fn new(attempt: &'a Attempt) -> Self {
        Self {
            attempt,
            tries: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// A host could not be used.
    pub(super) fn failure(&mut self, hop: &Hop, address: Option<SocketAddr>, failure: Failure) {
        self.note(hop, address, None, &failure.reply);
        self.failures.push(failure);
    }

    /// A host could not be used in the end, although a session came about.
    pub(super) fn failed_at(&mut self, hop: &Hop, session: &Session, failure: Failure) {
        self.note(
            hop,
            Some(session.address),
            session.tls.clone(),
            &failure.reply,
        );
        self.failures.push(failure);
    }

    /// A host said what becomes of the message.
    pub(super) fn talked(&mut self, hop: &Hop, session: &Session, outcomes: &[Outcome]) {
        let refused = outcomes
            .iter()
            .find(|outcome| !matches!(outcome, Outcome::Relayed { .. }));
        let text = match refused.or(outcomes.first()) {
            Some(Outcome::Relayed { detail, .. }) => detail.as_str(),
            Some(Outcome::Deferred { reply, .. } | Outcome::Failed { reply, .. }) => reply,
            None => "",
        };
        self.note(hop, Some(session.address), session.tls.clone(), text);
    }

    fn note(&mut self, hop: &Hop, address: Option<SocketAddr>, tls: Option<TlsSeen>, text: &str) {
        let policy = &hop.duty.policy;
        self.tries.push(Try {
            host: hop.host.clone(),
            address,
            tls,
            policy: policy.name.to_string(),
            why: policy.why.to_string(),
            result: words(text).to_owned(),
        });
    }

    /// The message cannot be read, or the like: nobody was asked.
    pub(super) fn deferred(self, reply: String) -> Attempted {
        let cause = Cause::Other;
        self.all(Outcome::Deferred { reply, cause }, Peer::Unknown)
    }

    /// Routing knows no host.
    pub(super) fn no_route(mut self, refusal: Refusal, prospect: Prospect) -> Attempted {
        let policy = refusal.policy.as_ref();
        self.tries.push(Try {
            host: self.attempt.domain.clone(),
            address: None,
            tls: None,
            policy: policy.map_or_else(String::new, |policy| policy.name.to_string()),
            why: policy.map_or_else(String::new, |policy| policy.why.to_string()),
            result: refusal.reply.clone(),
        });
        let Refusal { reply, cause, .. } = refusal;
        match (prospect, cause) {
            (Prospect::Never, _) => self.all(Outcome::Failed { reply, cause }, Peer::Answered),
            // A duty of this message says nothing about the destination.
            (Prospect::Later, Cause::TlsPolicy) => {
                self.all(Outcome::Deferred { reply, cause }, Peer::Unknown)
            }
            (Prospect::Later, Cause::Other) => {
                self.all(Outcome::Deferred { reply, cause }, Peer::Unreachable)
            }
        }
    }

    /// A host answered for every recipient.
    pub(super) fn answered(self, outcomes: Vec<Outcome>) -> Attempted {
        Attempted {
            tries: self.tries,
            outcomes,
            peer: Peer::Answered,
        }
    }

    /// The last failure ends the attempt.
    pub(super) fn ended(self, end: Kind) -> Attempted {
        let reply = self.failures.last().map(|failure| failure.reply.clone());
        let reply = reply.unwrap_or_default();
        let cause = Cause::Other;
        match end {
            Kind::Never => self.all(Outcome::Failed { reply, cause }, Peer::Answered),
            _ => self.all(Outcome::Deferred { reply, cause }, Peer::Answered),
        }
    }

    /// No host took the message. What a TLS duty forbids is told first: without it the message would be on its way.
    pub(super) fn exhausted(self) -> Attempted {
        let by_policy = |failure: &&Failure| failure.cause() == Cause::TlsPolicy;
        let told = self
            .failures
            .iter()
            .find(by_policy)
            .or(self.failures.last());
        let (reply, cause) = match told {
            Some(failure) => (failure.reply.clone(), failure.cause()),
            None => {
                let text = "4.4.1 no address of the recipient's server answered";
                (text.to_owned(), Cause::Other)
            }
        };
        let hopeless = !self.failures.is_empty()
            && self
                .failures
                .iter()
                .all(|failure| matches!(failure.kind, Kind::HostNever { .. }));
        let peers: Vec<Peer> = self.failures.iter().map(Failure::peer).collect();
        let peer = [Peer::Answered, Peer::Busy]
            .into_iter()
            .find(|peer| peers.contains(peer))
            .unwrap_or(Peer::Unreachable);
        match hopeless {
            true => self.all(Outcome::Failed { reply, cause }, peer),
            false => self.all(Outcome::Deferred { reply, cause }, peer),
        }
    }

    fn all(self, outcome: Outcome, peer: Peer) -> Attempted {
        Attempted {
            outcomes: vec![outcome; self.attempt.recipients.len()],
            tries: self.tries,
            peer,
        }
    }
}

/// The text without the facts before it (`host=… tls=… cipher=…`), which a try has by themselves.
fn words(text: &str) -> &str {
    let mut rest = text;
    for fact in ["host=", "tls=", "cipher="] {
        if rest.starts_with(fact) {
            rest = rest.split_once(' ').map_or("", |(_, after)| after);
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_try_repeats_no_facts() {
        assert_eq!(
            words("host=mx.test tls=TLSv1.3 cipher=X 250 ok a=b"),
            "250 ok a=b"
        );
        assert_eq!(words("4.4.1 no connection"), "4.4.1 no connection");
    }
}
