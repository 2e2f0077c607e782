//! What a line of a story holds, as typed values, and how they are stored: one JSON object. Pure.
//! Rows of older releases hold `name=value` text instead and stay readable as such.

use crate::relay::{Cause, Try};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Recipients named in the line of an acceptance; of more, the number is told.
pub const RECIPIENTS_TOLD_MAX: usize = 50;
/// Bytes of one foreign text in a line; what is longer is cut.
const TEXT_BYTES_MAX: usize = 1000;

/// The session that brought a message. Client address and name are kept apart from the rest and
/// shorter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Session {
    /// `mx`, `submission`; empty for a message of our own.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub role: String,
    /// The login address of who submitted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// That account's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<i64>,
    /// The relay source that handed it in for that account, without a login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The TLS session; `None` in the clear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<SessionTls>,
    /// The message this one is a notice about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notice_about: Option<String>,
    /// Who connected. Never part of the line itself.
    #[serde(skip)]
    pub client: Option<IpAddr>,
    /// What it said in EHLO or HELO. Never part of the line itself.
    #[serde(skip)]
    pub hello: Option<String>,
}

/// The TLS session of a client.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionTls {
    /// For example `TLSv1.3`.
    pub version: String,
    /// The cipher suite.
    pub cipher: String,
    /// The key exchange group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What the client's hello looked like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// A message was taken over.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Accepted {
    /// MAIL FROM; empty for the null sender.
    pub from: String,
    /// The first recipients, at most [`RECIPIENTS_TOLD_MAX`].
    pub to: Vec<String>,
    /// Recipients beyond those.
    #[serde(skip_serializing_if = "is_zero")]
    pub to_more: usize,
    /// Copies in mailboxes here.
    pub local: usize,
    /// Recipients that wait for another server or for their notice.
    pub waiting: usize,
    /// Size of the message.
    pub bytes: i64,
    /// Message-ID with its angle brackets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// How it came.
    pub session: Session,
}

/// An attempt for one recipient ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Settled {
    /// The recipient.
    pub to: String,
    /// The last reply, or our own reason.
    pub reply: String,
    /// Whether a TLS duty alone is to blame.
    #[serde(skip_serializing_if = "is_other")]
    pub cause: Cause,
    /// When it is tried next, milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_ms: Option<i64>,
    /// What was tried. Stands with the first recipient of an attempt; the others share it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tries: Vec<Try>,
}

/// A notice about the message was sent to its sender.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Noticed {
    /// The notice's own name.
    pub notice: String,
    /// `failed`, `delayed`, `relayed`, `delivered`, `expanded`.
    pub says: String,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Event `accepted`.
    Accepted(Box<Accepted>),
    /// Events `relayed`, `delivered`, `deferred`, `failed`.
    Settled(Box<Settled>),
    /// Event `bounced`.
    Noticed(Noticed),
    /// Text of an older release, or of an event that this one does not know.
    Text(String),
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

fn is_other(cause: &Cause) -> bool {
    *cause == Cause::Other
}

impl Told {
    /// Reads a stored line; what is no line of this release is kept as text.
    pub(super) fn read(event: &str, detail: &str) -> Self {
        let read = match event {
            _ if !detail.starts_with('{') => None,
            "accepted" => serde_json::from_str(detail).ok().map(Self::Accepted),
            "relayed" | "delivered" | "deferred" | "failed" => {
                serde_json::from_str(detail).ok().map(Self::Settled)
            }
            "bounced" => serde_json::from_str(detail).ok().map(Self::Noticed),
            _ => None,
        };
        read.unwrap_or_else(|| Self::Text(detail.to_owned()))
    }
}

/// A value as stored. NUL, which no store takes, cannot occur: JSON escapes it.
pub(crate) fn stored(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Foreign text fit for a line: no controls, not too long.
pub(crate) fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len().min(TEXT_BYTES_MAX));
    for letter in text.chars() {
        if cleaned.len() + letter.len_utf8() > TEXT_BYTES_MAX {
            break;
        }
        cleaned.push(if letter.is_control() { ' ' } else { letter });
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_read_back_and_old_ones_stay_text() {
        let settled = Settled {
            to: "b@else.test".into(),
            reply: "451 4.7.5 no \"proof\"\u{0}".into(),
            cause: Cause::TlsPolicy,
            next_ms: Some(5),
            tries: vec![Try::default()],
        };
        let text = stored(&settled);
        assert!(!text.contains('\0'));
        assert!(text.contains(r#""cause":"tls-policy""#), "{text}");
        assert_eq!(
            Told::read("deferred", &text),
            Told::Settled(Box::new(settled))
        );
        let old = "to=<b@else.test> host=mx 250 ok";
        assert_eq!(Told::read("relayed", old), Told::Text(old.into()));
        assert!(matches!(
            Told::read("accepted", "{\"from\":5}"),
            Told::Text(_)
        ));
    }

    #[test]
    fn addresses_of_clients_are_not_in_the_line() {
        let session = Session {
            client: Some([192, 0, 2, 1].into()),
            hello: Some("laptop".into()),
            ..Session::default()
        };
        let text = stored(&session);
        assert!(
            !text.contains("192.0.2.1") && !text.contains("laptop"),
            "{text}"
        );
    }
}
