//! Why a host could not be used, and what follows from it for the message. Plain data; made by the session with the
//! host, read by the loop over hosts.

use queue::relay::{Cause, Peer};

/// A failure at one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// `host=… ` and what happened, with an enhanced code.
    pub(super) reply: String,
    pub(super) kind: Kind,
}

/// What follows from a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Another host, or the same one later, may do.
    NextHost { cause: Cause, peer: Peer },
    /// The handshake broke where nothing demands TLS: a later attempt may go in clear.
    Handshake,
    /// A kept connection had ended meanwhile; a fresh one is in order, and this does not count.
    Stale,
    /// This host will not take the message, however often it is tried; another may.
    HostNever { cause: Cause },
    /// No host can take this message.
    Never,
    /// Our own side is at fault; no host is to be tried before that is mended.
    OurFault,
}

impl Failure {
    pub(super) fn new(host: &str, text: &str, kind: Kind) -> Self {
        Self {
            reply: format!("host={host} {text}"),
            kind,
        }
    }

    /// One that says nothing about TLS.
    pub(super) fn next_host(host: &str, text: &str, peer: Peer) -> Self {
        let cause = Cause::Other;
        Self::new(host, text, Kind::NextHost { cause, peer })
    }

    /// How much a failure tells when several hosts failed: what a TLS duty forbids comes first, because without it
    /// the message would be on its way.
    pub(super) fn cause(&self) -> Cause {
        match self.kind {
            Kind::NextHost { cause, .. } | Kind::HostNever { cause } => cause,
            _ => Cause::Other,
        }
    }

    pub(super) fn peer(&self) -> Peer {
        match self.kind {
            Kind::NextHost { peer, .. } => peer,
            Kind::Stale => Peer::Unreachable,
            // The next try of the same message may go in clear, and of each message only that: one
            // that is not let near the host for the failures of others would never get so far.
            Kind::Handshake => Peer::Answered,
            Kind::HostNever { .. } | Kind::Never | Kind::OurFault => Peer::Answered,
        }
    }
}
