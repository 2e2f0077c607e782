//! Delivery status notices: multipart/report of RFC 6522 and RFC 3464 (RFC 6533 where an address is
//! not ASCII), with a text for people in German and English. Builds bytes; decides nothing, sends
//! nothing. The caller brings time and a unique token, and skips notices to the null path.

use crate::address::Address;

/// What happened to the recipients of a notice (RFC 3464 §2.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Given up for good.
    Failed,
    /// Not yet delivered, still being tried.
    Delayed,
    /// Delivered (asked for with NOTIFY=SUCCESS).
    Delivered,
    /// Handed to a host that does not report successes.
    Relayed,
}

/// One recipient of a notice.
#[derive(Debug, Clone)]
pub struct Recipient<'a> {
    /// The recipient this host tried.
    pub address: &'a Address,
    /// ORCPT with its type, decoded from xtext: `rfc822;anna@firma.test` (RFC 3461 §4.2).
    pub original: Option<&'a str>,
    /// What happened.
    pub action: Action,
    /// Enhanced status code such as `5.1.1` (RFC 3463). Anything else is written as `x.0.0`.
    pub status: &'a str,
    /// Host that answered.
    pub remote_mta: Option<&'a str>,
    /// Its answer, code and text, lines joined: `550 5.1.1 no such user`.
    pub diagnostic: Option<&'a str>,
    /// Last attempt, milliseconds since 1970.
    pub last_attempt_ms: Option<i64>,
    /// Until when a delayed message is tried, milliseconds since 1970.
    pub retry_until_ms: Option<i64>,
}

/// How much of the original goes back (RET, RFC 3461 §4.3).
#[derive(Debug, Clone, Copy)]
pub enum Returned<'a> {
    /// The header only; anything after the first empty line is ignored.
    Headers(&'a [u8]),
    /// The whole message.
    Message(&'a [u8]),
}

/// A notice to one sender about one message.
#[derive(Debug, Clone)]
pub struct Notice<'a> {
    /// Name of this host.
    pub reporting_mta: &'a str,
    /// Address in From, e.g. `postmaster@firma.test`; the envelope sender is always null.
    pub from: &'a Address,
    /// The sender of the original message.
    pub to: &'a Address,
    /// Now, milliseconds since 1970.
    pub unix_ms: i64,
    /// Unique text of letters and digits; Message-ID and boundaries are made from it.
    pub token: &'a str,
    /// ENVID, decoded from xtext.
    pub envelope_id: Option<&'a str>,
    /// When the original arrived, milliseconds since 1970.
    pub arrived_ms: i64,
    /// What happened to whom; at least one.
    pub recipients: &'a [Recipient<'a>],
    /// What goes back.
    pub returned: Returned<'a>,
}

/// Writes the whole message with CRLF line ends.
pub fn build(notice: &Notice<'_>) -> Vec<u8> {
    let _ = notice;
    Vec::new()
}
