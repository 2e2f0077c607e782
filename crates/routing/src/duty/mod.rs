//! What TLS must be like on one hop: the recipient's published policies (DANE, MTA-STS), the rule for
//! the destination, what the sender's side demands of itself, and the message's own wishes, made into
//! one duty. Pure; `Router` gathers the facts, the SMTP client carries the duty out.
//!
//! The strictest demand wins. Only three things weaken anything, each said explicitly by the sending
//! side: `TLS-Required: No` (RFC 8689 §3), a rule of level `may`, and a rule marked as an exception.
//! The first two lift only what the recipient publishes; REQUIRETLS is lifted by none of them.

mod decide;
#[cfg(test)]
mod message_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod rule_tests;
#[cfg(test)]
mod tests;
mod words;

pub use decide::decide;

use crate::sts::StsPolicy;
use crate::tlsrpt::{PolicyKind, ResultType};
use platform::dns::{Security, Tlsa};
use platform::tls::{Demand, Proof, Suites, TlsVersion};
use policy::{DaneMode, Decided, DestinationRule, OutboundTls, Scope};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// What TLS must be like on one hop. Equal duties may share a connection, different ones must not.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Duty {
    /// The least that must be there before the envelope is said.
    pub floor: Floor,
    /// The lowest TLS version, wherever TLS is used.
    pub version_min: TlsVersion,
    /// Whose demand decided, and why.
    pub policy: AppliedPolicy,
    /// To be checked and reported, and never to stop anything: a policy under test.
    pub audit: Option<Proof>,
    /// What it counts as when the host does not meet it.
    pub cause: Cause,
}

/// The least that must be there before the envelope is said.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Floor {
    /// TLS where it is offered. Clear where it is not; after a failed handshake only in a later
    /// attempt, so that a passing fault does not cost secrecy.
    Clear,
    /// TLS with forward secrecy and AEAD, whoever the server is.
    Encrypt,
    /// TLS, and the server proves who it is.
    Proof(Proof),
}

impl Duty {
    /// What the handshake with a host is to demand; `server_name` is `Hop::server_name`.
    pub fn demand(&self, server_name: &str) -> Demand {
        let proof = match &self.floor {
            Floor::Proof(proof) => proof.clone(),
            Floor::Clear | Floor::Encrypt => Proof::Any,
        };
        Demand {
            server_name: server_name.to_owned(),
            proof,
            version_min: self.version_min,
            audit: self.audit.clone(),
            suites: Suites::All,
        }
    }

    /// Whether a connection in clear may carry the message at all.
    pub fn allows_clear(&self) -> bool {
        self.floor == Floor::Clear
    }
}

/// The policy that decided a duty, as the message's story tells it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AppliedPolicy {
    /// `dane`, `mta-sts`, `mandatory firma.test`, `opportunistic` …
    pub name: Cow<'static, str>,
    /// Why that one, in a sentence without a full stop.
    pub why: Cow<'static, str>,
    /// Whose demand it is, and so who could lift it.
    pub demander: Demander,
}

/// Whose demand a duty is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Demander {
    /// Nobody's: TLS where it is offered.
    Nobody,
    /// The recipient's domain published it.
    Recipient,
    /// A rule for the destination, set there.
    Rule(Arc<Scope>),
    /// The sender's side, for everything it sends; set there.
    Sender(Arc<Scope>),
    /// The message itself (REQUIRETLS).
    Message,
}

/// Whether the message may only travel over verified TLS, hop by hop (RFC 8689 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RequireTls {
    /// The sender did not ask for it.
    #[default]
    No,
    /// The sender said REQUIRETLS.
    Yes,
}

/// Whether the sender prefers delivery over the recipient's TLS policy (RFC 8689 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsRequiredNo {
    /// No such header field.
    #[default]
    Absent,
    /// `TLS-Required: No` is there.
    Present,
}

/// What the sending side asks for, the same for every host of a destination.
#[derive(Debug, Clone)]
pub struct Demands<'a> {
    /// The recipients' domain, as A-labels.
    pub destination: &'a str,
    /// The sender's side, for everything it sends.
    pub sender: Decided<OutboundTls>,
    /// The rule for the destination.
    pub rule: Option<&'a DestinationRule>,
    /// What DANE does here.
    pub dane: DaneMode,
    /// The message's wish for more.
    pub require_tls: RequireTls,
    /// The message's wish for less.
    pub tls_required_no: TlsRequiredNo,
}

/// What is known of one host.
#[derive(Debug, Clone, Copy)]
pub struct HostFacts<'a> {
    /// Its name as the MX record or the rule gives it, or an address literal.
    pub host: &'a str,
    /// Who says that mail for the destination goes there.
    pub chosen: Chosen,
    /// What its TLSA records say.
    pub dane: &'a Dane,
    /// The MTA-STS policy of the domain whose MX it is.
    pub sts: Option<&'a StsPolicy>,
}

/// Who says that mail goes to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    /// The MX records, or their absence.
    Mx(Security),
    /// Our own side, by a next hop.
    Operator,
}

/// What DANE says about a host (RFC 7672 §2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dane {
    /// Nothing was looked up, or could count; the text says why.
    NotApplicable(&'static str),
    /// There are provably no records, or only unsigned ones.
    Absent,
    /// Signed records, at least one of which can be used.
    Usable {
        /// The TLSA base domain: the host, or what it is an alias of. Also the SNI.
        base: Box<str>,
        /// Names a certificate under DANE-TA may have (RFC 7672 §3.2.2).
        names: Vec<String>,
        /// The usable ones.
        records: Vec<Tlsa>,
    },
    /// Signed records, none of which can be used (RFC 7672 §2.2: TLS, unauthenticated).
    Unusable {
        /// The TLSA base domain; also the SNI.
        base: Box<str>,
        /// All of them.
        records: Vec<Tlsa>,
    },
    /// Nobody knows: the answer does not validate, or there is none. Never an absence.
    Failed {
        /// Whether the answer was there and wrong.
        kind: DaneFailure,
        /// For the operator.
        why: String,
    },
}

/// How a look-up for DANE failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DaneFailure {
    /// The answer does not validate.
    Bogus,
    /// There was none.
    NoAnswer,
}

/// What came out for one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// The duty, or why the host must not be used.
    pub duty: Result<Duty, Unusable>,
    /// What the recipient's domain should hear in a TLS report. Allocates nothing where empty.
    pub notes: Vec<Note>,
}

/// A finding for the TLS report of the recipient's domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// RFC 8460 §4.3.
    pub result: ResultType,
    /// For the other side's operator.
    pub reason: String,
}

impl Note {
    /// The policy it is about.
    pub fn about(&self) -> PolicyKind {
        match self.result.is_about_dane() {
            true => PolicyKind::Tlsa,
            false => PolicyKind::Sts,
        }
    }
}

/// Why a host must not be used for this message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// What happened and whose move it is, beginning with an enhanced code.
    pub reply: String,
    /// Whether it is a TLS duty alone that forbids it.
    pub cause: Cause,
    /// Whether waiting can help.
    pub prospect: Prospect,
    /// Whose demand forbids it.
    pub policy: AppliedPolicy,
}

/// Whether waiting can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prospect {
    /// The message waits.
    MayPass,
    /// RFC 8689 §4.2.1 wants the sender told at once.
    Lasts,
}

/// Why a message could not be handed over. Kept in the stories of messages under these names.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Only because TLS is not what our own side demands (the sender's duty, a rule, REQUIRETLS); the
    /// sender is warned and told earlier then, because they can lift it.
    TlsPolicy,
    /// Anything else, and also what only the recipient's own policy forbids: a fault of theirs, which
    /// they may mend within the usual time.
    #[default]
    Other,
}
