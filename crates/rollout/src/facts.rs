//! What a letter is about: what was seen of an account, or whom a digest lists. Stored with the letter's row
//! until it leaves, so that it can be written again after a crash. Values only; no addresses of clients.

use policy::Measure;
use serde::{Deserialize, Serialize};

/// One way an account connected, or a sender it used.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sighting {
    /// The word of the measure that would refuse it.
    pub measure: String,
    /// The word of the service; empty for a sender.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service: String,
    /// `TLS 1.0`; `None` in clear and where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<String>,
    /// Whether there was no encryption at all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub clear: bool,
    /// The key of the mail program, or the sender that was used; empty for a rule.
    pub client: String,
    /// What a rule will answer.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub says: String,
    /// The last day, counted from 1970-01-01.
    pub last_day: i64,
}

impl Sighting {
    /// The kind of its measure: the word without the service.
    pub fn kind(&self) -> &str {
        Measure::from_word(&self.measure).map_or("other", |measure| kind(&measure))
    }
}

/// The kind of a measure that texts tell apart.
pub fn kind(measure: &Measure) -> &'static str {
    match measure {
        Measure::TlsVersion(_) => "tls-version",
        Measure::Cleartext(_) => "cleartext",
        Measure::SenderOwnership => "sender-ownership",
        Measure::OutboundTls => "outbound-tls",
        Measure::InboundTls => "inbound-tls",
        Measure::SpoofedSender => "other",
        Measure::Rule(_) => "rule",
    }
}

/// Whether a kind is about how a mail program connects; texts about programs and their encryption fit no other.
pub fn is_of_connections(kind: &str) -> bool {
    matches!(kind, "tls-version" | "cleartext")
}

/// A mailbox in a digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mailbox {
    /// Its address.
    pub account: String,
    /// What was seen of it.
    pub seen: Vec<Sighting>,
}

/// What a letter is about.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// Of the account.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<Sighting>,
    /// Of a digest: the first mailboxes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mailboxes: Vec<Mailbox>,
    /// Of a digest: how many there are.
    #[serde(skip_serializing_if = "is_zero")]
    pub count: usize,
    /// Of a legacy notice: the last day, as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub legacy_until: Option<crate::model::LocalDate>,
}

impl Facts {
    /// Everything that was seen, of the account and of listed mailboxes.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Sighting> {
        let listed = self.mailboxes.iter().flat_map(|mailbox| &mailbox.seen);
        self.seen.iter().chain(listed)
    }
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}
