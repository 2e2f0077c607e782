//! Trace lines a server adds: Received and Return-Path (RFC 5321 §4.4, RFC 3848, RFC 6531 §3.7.3,
//! the tls clause of RFC 8314 §7.4). Builds text only; every input is cleaned of CR, LF and controls.

use std::net::IpAddr;

use crate::address::Address;
use crate::date::{DateTime, format_rfc5322};
use crate::header::LINE_BYTES_WISHED;

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

impl Protocol {
    /// The keyword (RFC 3848; with SMTPUTF8 those of RFC 6531 §3.7.3; LMTP those of RFC 3848 too).
    pub fn keyword(self) -> &'static str {
        use Channel::{Plain, Tls};
        use Login::{Anonymous, Authenticated};
        let lmtp = self.greeting == Greeting::Lhlo;
        let utf8 = self.charset == Charset::Utf8;
        match (self.channel, self.login) {
            // Extensions cannot be used after HELO, so it has the one keyword.
            _ if self.greeting == Greeting::Helo => "SMTP",
            (Plain, Anonymous) => by(lmtp, utf8, ["ESMTP", "UTF8SMTP", "LMTP", "UTF8LMTP"]),
            (Plain, Authenticated) => by(lmtp, utf8, ["ESMTPA", "UTF8SMTPA", "LMTPA", "UTF8LMTPA"]),
            (Tls, Anonymous) => by(lmtp, utf8, ["ESMTPS", "UTF8SMTPS", "LMTPS", "UTF8LMTPS"]),
            (Tls, Authenticated) => by(
                lmtp,
                utf8,
                ["ESMTPSA", "UTF8SMTPSA", "LMTPSA", "UTF8LMTPSA"],
            ),
        }
    }
}

fn by(lmtp: bool, utf8: bool, words: [&'static str; 4]) -> &'static str {
    let [smtp, smtp_utf8, lmtp_plain, lmtp_utf8] = words;
    match (lmtp, utf8) {
        (false, false) => smtp,
        (false, true) => smtp_utf8,
        (true, false) => lmtp_plain,
        (true, true) => lmtp_utf8,
    }
}

/// Bytes of one foreign text in a trace line; a longer one is cut.
const TEXT_BYTES_MAX: usize = 255;

/// Writes the whole field, folded, with its final CRLF.
pub fn received(facts: &Received<'_>) -> String {
    let mut words = Vec::new();
    if let Some(client) = &facts.client {
        words.push(format!("from {}", clean(client.helo)));
        // RFC 5321 §4.1.3: an IPv6 address has its tag.
        let ip = match client.ip.to_canonical() {
            IpAddr::V4(ip) => format!("[{ip}]"),
            IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
        };
        words.push(match client.name {
            Some(name) => format!("({} {ip})", clean(name)),
            None => format!("({ip})"),
        });
    }
    words.push(format!("by {}", clean(facts.by)));
    words.push(format!("with {}", facts.protocol.keyword()));
    words.push(format!("id {}", clean(facts.id)));
    if let Some(recipient) = facts.recipient {
        words.push(format!("for <{recipient}>"));
    }
    // RFC 5321 §4.4 puts registered clauses after FOR; these two are of RFC 8314 §4.3.
    if let Some(tls) = &facts.tls {
        words.push(format!("tls {}", clean(tls.cipher)));
        if let Some(group) = tls.group {
            words.push(format!("group {}", clean(group)));
        }
    }
    let date = format_rfc5322(DateTime::utc(facts.unix_ms));
    if let Some(last) = words.last_mut() {
        last.push(';');
    }
    words.push(date);
    folded("Received:", &words)
}

/// Folds between the clauses only, which is where people look for them.
fn folded(name: &str, clauses: &[String]) -> String {
    let mut text = String::from(name);
    let mut line_bytes = text.len();
    for clause in clauses {
        if line_bytes + 1 + clause.len() > LINE_BYTES_WISHED && line_bytes > name.len() {
            text.push_str("\r\n\t");
            line_bytes = 8;
        } else {
            text.push(' ');
            line_bytes += 1;
        }
        text.push_str(clause);
        line_bytes += clause.len();
    }
    text.push_str("\r\n");
    text
}

/// A word that can stand in a trace line: no white space, no controls, nothing that opens a comment.
fn clean(text: &str) -> String {
    let mut word = String::with_capacity(text.len().min(TEXT_BYTES_MAX));
    for letter in text.chars() {
        let harmless = !letter.is_control()
            && !letter.is_whitespace()
            && !matches!(letter, '(' | ')' | '<' | '>' | ';' | '"' | '\\');
        let letter = if harmless { letter } else { '?' };
        if word.len() + letter.len_utf8() > TEXT_BYTES_MAX {
            break;
        }
        word.push(letter);
    }
    match word.is_empty() {
        true => "unknown".to_owned(),
        false => word,
    }
}

/// Writes `Return-Path: <…>` with its final CRLF; `None` is the null path.
pub fn return_path(sender: Option<&Address>) -> String {
    match sender {
        Some(sender) => format!("Return-Path: <{sender}>\r\n"),
        None => "Return-Path: <>\r\n".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PROTOCOL: Protocol = Protocol {
        greeting: Greeting::Ehlo,
        channel: Channel::Tls,
        login: Login::Anonymous,
        charset: Charset::Ascii,
    };

    #[test]
    fn a_line_from_another_host_names_it() {
        let recipient = Address::parse("anna@firma.test").expect("an address");
        let line = received(&Received {
            client: Some(Client {
                helo: "mail.x.test",
                name: Some("host.x.test"),
                ip: "192.0.2.1".parse().expect("an address"),
            }),
            by: "mx.firma.test",
            protocol: PROTOCOL,
            tls: Some(Tls {
                cipher: "TLS_AES_256_GCM_SHA384",
                group: Some("X25519MLKEM768"),
            }),
            id: "abc",
            recipient: Some(&recipient),
            unix_ms: 837_596_665_000,
        });
        assert_eq!(
            line,
            "Received: from mail.x.test (host.x.test [192.0.2.1]) by mx.firma.test\r\n\twith ESMTPS id abc for <anna@firma.test> tls TLS_AES_256_GCM_SHA384\r\n\tgroup X25519MLKEM768; Wed, 17 Jul 1996 09:44:25 +0000\r\n"
        );
    }

    #[test]
    fn a_submission_line_does_not_name_the_client() {
        let line = received(&Received {
            client: None,
            by: "mail.firma.test",
            protocol: Protocol {
                login: Login::Authenticated,
                ..PROTOCOL
            },
            tls: None,
            id: "abc",
            recipient: None,
            unix_ms: 0,
        });
        assert_eq!(
            line,
            "Received: by mail.firma.test with ESMTPSA id abc;\r\n\tThu, 01 Jan 1970 00:00:00 +0000\r\n"
        );
    }

    #[test]
    fn keywords_follow_the_registry() {
        use Channel::*;
        use Charset::*;
        use Greeting::*;
        use Login::*;
        for (greeting, channel, login, charset, keyword) in [
            (Helo, Plain, Anonymous, Ascii, "SMTP"),
            (Ehlo, Plain, Anonymous, Ascii, "ESMTP"),
            (Ehlo, Plain, Authenticated, Ascii, "ESMTPA"),
            (Ehlo, Tls, Anonymous, Ascii, "ESMTPS"),
            (Ehlo, Tls, Authenticated, Ascii, "ESMTPSA"),
            (Ehlo, Plain, Anonymous, Utf8, "UTF8SMTP"),
            (Ehlo, Tls, Authenticated, Utf8, "UTF8SMTPSA"),
            (Lhlo, Tls, Anonymous, Ascii, "LMTPS"),
            (Lhlo, Plain, Anonymous, Utf8, "UTF8LMTP"),
        ] {
            let protocol = Protocol {
                greeting,
                channel,
                login,
                charset,
            };
            assert_eq!(protocol.keyword(), keyword);
        }
    }

    #[test]
    fn paths_are_written() {
        let address = Address::parse("\"a b\"@x.test").expect("an address");
        assert_eq!(
            return_path(Some(&address)),
            "Return-Path: <\"a b\"@x.test>\r\n"
        );
        assert_eq!(return_path(None), "Return-Path: <>\r\n");
    }

    proptest! {
        #[test]
        fn nothing_breaks_out_of_the_line(helo in any::<String>(), name in any::<String>(), id in "\\PC{0,600}") {
            let line = received(&Received {
                client: Some(Client { helo: &helo, name: Some(&name), ip: "::1".parse().expect("an address") }),
                by: "mx",
                protocol: PROTOCOL,
                tls: None,
                id: &id,
                recipient: None,
                unix_ms: 0,
            });
            prop_assert_eq!(crate::header::fields(line.as_bytes()).count(), 1);
            prop_assert!(line.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n'])));
            prop_assert_eq!(line.matches('(').count(), 1);
            prop_assert_eq!(line.matches(';').count(), 1);
        }
    }
}
