//! Trace lines a server adds: Received and Return-Path (RFC 5321 §4.4, RFC 3848, RFC 6531 §3.7.3,
//! the tls clause of RFC 8314 §7.4). Builds text only; every input is cleaned of CR, LF and controls.

use std::net::IpAddr;

use crate::address::Address;

/// The `with` keyword of a Received line (RFC 3848, RFC 6531 §3.7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocol {
    /// What the client greeted with.
    pub greeting: Greeting,
    /// Was the session encrypted?
    pub channel: Channel,
    /// Was the client logged in?
    pub login: Login,
    /// Was SMTPUTF8 asked for?
    pub charset: Charset,
}

/// What the client greeted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Greeting {
    /// HELO.
    Helo,
    /// EHLO.
    Ehlo,
    /// LHLO (RFC 2033).
    Lhlo,
}

/// Was the session encrypted?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// TLS, from the start or by STARTTLS.
    Tls,
    /// No TLS.
    Plain,
}

/// Was the client logged in?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// AUTH succeeded.
    Authenticated,
    /// No AUTH.
    Anonymous,
}

/// Was SMTPUTF8 asked for in MAIL?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// Plain envelope.
    Ascii,
    /// MAIL … SMTPUTF8.
    Utf8,
}

/// The client as a Received line shows it (never on submission, S3-28).
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    /// The name given in HELO or EHLO.
    pub helo: &'a str,
    /// The verified reverse name, if known.
    pub name: Option<&'a str>,
    /// The address of the connection.
    pub ip: IpAddr,
}

/// The `tls` clause (RFC 8314 §7.4).
#[derive(Debug, Clone, Copy)]
pub struct Tls<'a> {
    /// IANA name of the cipher suite, e.g. `TLS_AES_256_GCM_SHA384`.
    pub cipher: &'a str,
    /// IANA name of the key-exchange group, e.g. `X25519MLKEM768`.
    pub group: Option<&'a str>,
}

/// Everything a Received line says.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// The client; `None` writes the line without a FROM part.
    pub client: Option<Client<'a>>,
    /// The name of this host.
    pub by: &'a str,
    /// The protocol spoken.
    pub protocol: Protocol,
    /// The tls clause.
    pub tls: Option<Tls<'a>>,
    /// The id under which this host logs the message.
    pub id: &'a str,
    /// The recipient; give it only when there is exactly one (RFC 5321 §7.2).
    pub recipient: Option<&'a Address>,
    /// When the message arrived, in milliseconds since 1970-01-01T00:00:00Z; written in UTC.
    pub unix_ms: i64,
}

/// Writes the whole field, folded, with its final CRLF.
pub fn received(facts: &Received<'_>) -> String {
    let _ = facts;
    String::new()
}

/// Writes `Return-Path: <…>` with its final CRLF; `None` is the null path.
pub fn return_path(sender: Option<&Address>) -> String {
    let _ = sender;
    String::new()
}
