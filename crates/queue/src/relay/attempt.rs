//! What the worker hands to a `Transport` and what comes back. Values and one trait; decides
//! nothing. The SMTP client implements the trait.

use crate::dispatch::{RequireTls, TlsRequiredNo};
use crate::envelope::{DsnOptions, Notify, ReversePath};
use crate::trace::TraceId;
use crate::work;
use directory::AccountId;
use formats::address::Address;
use platform::clock::Timestamp;
use platform::segments::{BodyRef, Segments};
pub use routing::Cause;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

/// One try: some recipients of one message in one domain.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The message.
    pub trace: TraceId,
    /// MAIL FROM as it was taken; notices go there.
    pub sender: ReversePath,
    /// MAIL FROM as it is to be said: rewritten where the message is a forward.
    pub mail_from: ReversePath,
    /// RET and ENVID.
    pub dsn: DsnOptions,
    /// The account that submitted it; `None` for mail from other servers and our own.
    pub submitter: Option<AccountId>,
    /// The domain whose rules for the way hold where the sender is null.
    pub rules_of: Option<Box<str>>,
    /// The customer group it belongs to.
    pub group: Option<Box<str>>,
    /// Header lines to be sent before the body: the signatures.
    pub front: Vec<u8>,
    /// REQUIRETLS (RFC 8689).
    pub require_tls: RequireTls,
    /// `TLS-Required: No` (RFC 8689 §3).
    pub tls_required_no: TlsRequiredNo,
    /// The operator's way for this message, as `host:port`, instead of the DNS.
    pub route: Option<String>,
    /// The recipients' domain.
    pub domain: String,
    /// Who is tried, at most `ATTEMPT_RECIPIENTS_MAX`.
    pub recipients: Vec<Waiting>,
    /// Where the message's bytes are.
    pub body: BodyRef,
    /// When it was taken over.
    pub accepted_at: Timestamp,
    /// Before which time it was kept back.
    pub(crate) released_at: Option<Timestamp>,
}

impl Attempt {
    /// What the schedule calls its destination.
    pub(crate) fn destination(&self) -> Cow<'_, str> {
        work::destination(&self.domain, self.route.as_deref())
    }

    /// Whether an operator gives it back instead of having it tried.
    pub(crate) fn is_ordered_back(&self) -> bool {
        (self.recipients.first()).is_some_and(|first| first.ordered == Ordered::Return)
    }

    /// From when on it could leave.
    pub(crate) fn since(&self) -> Timestamp {
        self.released_at
            .unwrap_or(self.accepted_at)
            .max(self.accepted_at)
    }

    /// Whether it was tried before.
    pub fn is_retry(&self) -> bool {
        self.recipients.iter().any(|waiting| waiting.attempts > 0)
    }
}

/// A recipient waiting in the queue.
#[derive(Debug, Clone)]
pub struct Waiting {
    pub(crate) n: i64,
    /// RCPT TO.
    pub address: Address,
    /// NOTIFY.
    pub notify: Notify,
    /// ORCPT.
    pub original: Option<String>,
    pub(crate) attempts: u32,
    /// Why the last attempt failed; `None` before the first.
    pub(crate) cause: Option<Cause>,
    pub(crate) warned: bool,
    /// The mailbox it goes to, where it is for one here and was kept back.
    pub(crate) account: Option<AccountId>,
    pub(crate) ordered: Ordered,
}

/// What an operator ordered for a recipient beside trying it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ordered {
    /// Nothing.
    Nothing,
    /// Give it back to its sender.
    Return,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attempted {
    /// Every host and address that was tried, in their order, for the message's story.
    pub tries: Vec<Try>,
    /// One per recipient, in their order.
    pub outcomes: Vec<Outcome>,
    /// What it tells about the destination as a whole.
    pub peer: Peer,
}

/// What an attempt tells about its destination, whichever message it was. The scheduler slows down
/// or backs off the destination by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Peer {
    /// It talked to us; what it said is about this message.
    #[default]
    Answered,
    /// It asked us to slow down: 421, or a 4yz before MAIL.
    Busy,
    /// No route, no connection, no handshake: no message would get through now.
    Unreachable,
    /// Nothing was tried, or only what this sender demands stood in the way.
    Unknown,
}

/// One connection, or the finding that there can be none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Try {
    /// The mail exchanger, or the domain where none was found.
    pub host: String,
    /// Where it was tried; `None` where no address was known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<SocketAddr>,
    /// The TLS session, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSeen>,
    /// The name of the TLS policy that applied: `dane`, `mta-sts`, `opportunistic` …
    pub policy: String,
    /// Why that one, in words.
    pub why: String,
    /// The reply or failure, in words.
    pub result: String,
}

/// A TLS session as the trace tells it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TlsSeen {
    /// For example `TLSv1.3`.
    pub version: String,
    /// The cipher suite.
    pub cipher: String,
    /// How the server's identity was proved, in a word: `dane`, `name`, `no` …
    pub verified: String,
}

/// What came of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The next server took it over.
    Relayed {
        /// Its words, with host and TLS facts: `name=value …`.
        detail: String,
        /// Whether it also took over the duty to send notices.
        notices: Notices,
    },
    /// It may work later.
    Deferred {
        /// Reply or local reason, with enhanced code where there is one.
        reply: String,
        /// Whether a TLS duty alone is to blame.
        cause: Cause,
    },
    /// It will not work.
    Failed {
        /// Reply or local reason, with enhanced code where there is one.
        reply: String,
        /// Whether a TLS duty alone is to blame.
        cause: Cause,
    },
}

impl Outcome {
    /// Why it failed; `Other` for a success.
    pub fn cause(&self) -> Cause {
        match self {
            Self::Relayed { .. } => Cause::Other,
            Self::Deferred { cause, .. } | Self::Failed { cause, .. } => *cause,
        }
    }
}

/// Who sends notices about a relayed recipient (RFC 3461 §5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notices {
    /// The next server knows DSN.
    NextServer,
    /// It does not; a "relayed" notice is ours where SUCCESS was asked for.
    Us,
}

/// A running attempt.
pub type Attempting<'a> = Pin<Box<dyn Future<Output = Attempted> + Send + 'a>>;

/// What carries a message to another server. Implemented by the SMTP client.
pub trait Transport: Send + Sync {
    /// Tries once, within its own time limits. Must give one outcome per recipient; a missing one
    /// counts as deferred.
    fn attempt<'a>(&'a self, attempt: &'a Attempt, segments: &'a Segments) -> Attempting<'a>;
}
