//! Reads delivery status notices of others: multipart/report with report-type=delivery-status
//! (RFC 3464, RFC 6522, RFC 6533) into typed values. Bounded and without trust: every value is
//! foreign text, cut to a length, without controls. Decides nothing.

use super::{Action, one_line};
use crate::date::parse_rfc5322;
use crate::header;
use crate::message::{Facts, Part};
use crate::transfer::Decoder;

/// Recipients of one notice that are read; a forged one cannot make more work.
const RECIPIENTS_MAX: usize = 1000;
/// Bytes of the machine-readable part that are read.
const STATUS_BYTES_MAX: usize = 512 * 1024;
/// Bytes of the returned header that are read.
const RETURNED_HEADER_BYTES_MAX: usize = 64 * 1024;

/// A notice of another server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Reporting-MTA without its type.
    pub reporting_mta: Option<String>,
    /// Original-Envelope-Id: our ENVID, decoded.
    pub envelope_id: Option<String>,
    /// Arrival-Date, milliseconds since 1970.
    pub arrived_ms: Option<i64>,
    /// What became of whom; at least one.
    pub recipients: Vec<Reported>,
    /// Message-ID of the returned message or header.
    pub message_id: Option<String>,
}

/// What a notice says about one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// Final-Recipient without its type, the encoding of RFC 6533 undone.
    pub address: String,
    /// Original-Recipient, likewise.
    pub original: Option<String>,
    /// Action.
    pub action: Action,
    /// Status, for example `5.1.1`; `x.0.0` of the action's class where it is none.
    pub status: String,
    /// Remote-MTA without its type.
    pub remote_mta: Option<String>,
    /// Diagnostic-Code without its type.
    pub diagnostic: Option<String>,
    /// Will-Retry-Until, milliseconds since 1970.
    pub retry_until_ms: Option<i64>,
}

/// Reads a notice; `None` for every other message and for one that names no recipient.
pub fn parse(message: &[u8], facts: &Facts) -> Option<Report> {
    let root = facts.root();
    let is_report = root.media_type().eq_ignore_ascii_case(b"multipart")
        && root.subtype().eq_ignore_ascii_case(b"report")
        && root
            .param("report-type")
            .is_some_and(|kind| kind.eq_ignore_ascii_case(b"delivery-status"));
    if !is_report {
        return None;
    }
    let status = root.children().find(|part| {
        part.media_type().eq_ignore_ascii_case(b"message")
            && [&b"delivery-status"[..], b"global-delivery-status"]
                .iter()
                .any(|subtype| part.subtype().eq_ignore_ascii_case(subtype))
    })?;
    let mut report = parse_status(&decoded(message, status, STATUS_BYTES_MAX));
    report.message_id = root
        .children()
        .last()
        .and_then(|last| original_id(message, last));
    (!report.recipients.is_empty()).then_some(report)
}

/// Reads the machine-readable part alone.
pub fn parse_status(status: &[u8]) -> Report {
    let mut report = Report::default();
    let mut groups = Groups(status);
    let Some(first) = groups.next() else {
        return report;
    };
    report.reporting_mta = typed(first, "Reporting-MTA");
    report.envelope_id = text(first, "Original-Envelope-Id");
    report.arrived_ms = time(first, "Arrival-Date");
    report.recipients = groups.filter_map(recipient).take(RECIPIENTS_MAX).collect();
    report
}

fn recipient(group: &[u8]) -> Option<Reported> {
    let action = match text(group, "Action")?.to_ascii_lowercase().as_str() {
        "failed" => Action::Failed,
        "delayed" => Action::Delayed,
        "delivered" => Action::Delivered,
        "relayed" => Action::Relayed,
        "expanded" => Action::Expanded,
        _ => return None,
    };
    let class = match action {
        Action::Failed => '5',
        Action::Delayed => '4',
        _ => '2',
    };
    // RFC 3464 §2.3.4: a comment in parentheses may follow.
    let status = text(group, "Status")
        .and_then(|status| status.split([' ', '(']).next().map(str::to_owned))
        .filter(|status| super::is_status(status))
        .unwrap_or_else(|| format!("{class}.0.0"));
    Some(Reported {
        address: address(group, "Final-Recipient")?,
        original: address(group, "Original-Recipient"),
        action,
        status,
        remote_mta: typed(group, "Remote-MTA"),
        diagnostic: typed(group, "Diagnostic-Code"),
        retry_until_ms: time(group, "Will-Retry-Until"),
    })
}

/// Groups of fields with empty lines between them (RFC 3464 §2.1).
struct Groups<'a>(&'a [u8]);

impl<'a> Iterator for Groups<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while let Some(rest) = self
            .0
            .strip_prefix(b"\r\n")
            .or_else(|| self.0.strip_prefix(b"\n"))
        {
            self.0 = rest;
        }
        if self.0.is_empty() {
            return None;
        }
        let end = header::header_bytes(self.0).min(self.0.len());
        // A group that is no header at all would never end.
        let end = if end == 0 { self.0.len() } else { end };
        let (group, rest) = self.0.split_at(end);
        self.0 = rest;
        Some(group)
    }
}

fn text(group: &[u8], name: &str) -> Option<String> {
    let value = header::find(group, name)?.value().into_owned();
    let text = one_line(String::from_utf8_lossy(&value).trim());
    (!text.is_empty()).then_some(text)
}

/// A value of the form `type; value`.
fn typed(group: &[u8], name: &str) -> Option<String> {
    let text = text(group, name)?;
    let (_, value) = text.split_once(';')?;
    let value = value.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

fn address(group: &[u8], name: &str) -> Option<String> {
    let text = text(group, name)?;
    let (kind, value) = text.split_once(';')?;
    let value = value.trim().trim_start_matches('<').trim_end_matches('>');
    let is_utf8 = kind.trim().eq_ignore_ascii_case("utf-8");
    let value = match is_utf8 {
        true => unicode_from_embedded(value),
        false => value.to_owned(),
    };
    (!value.is_empty() && !value.chars().any(char::is_control)).then_some(value)
}

/// RFC 6533 §3: `\x{F6}` stands for one character.
fn unicode_from_embedded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\\x{") {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let inside = from.get(3..).unwrap_or_default();
        let decoded = inside.split_once('}').and_then(|(digits, after)| {
            let is_short = (1..=6).contains(&digits.len());
            let code = u32::from_str_radix(digits, 16).ok().filter(|_| is_short)?;
            Some((char::from_u32(code)?, after))
        });
        match decoded {
            Some((letter, after)) => {
                out.push(letter);
                rest = after;
            }
            None => {
                out.push_str("\\x{");
                rest = inside;
            }
        }
    }
    out + rest
}

fn time(group: &[u8], name: &str) -> Option<i64> {
    let value = header::find(group, name)?.value().into_owned();
    parse_rfc5322(&value).map(|date| date.unix_ms)
}

/// Message-ID of what the notice returns (RFC 6522 §3: the last part).
fn original_id(message: &[u8], part: Part<'_>) -> Option<String> {
    let is_returned = [
        &b"rfc822"[..],
        b"global",
        b"rfc822-headers",
        b"global-headers",
    ]
    .iter()
    .any(|subtype| part.subtype().eq_ignore_ascii_case(subtype));
    let bytes = decoded(message, part, RETURNED_HEADER_BYTES_MAX);
    let header = header::find(&bytes, "Message-ID").filter(|_| is_returned)?;
    let header = header.value().into_owned();
    let text = one_line(String::from_utf8_lossy(&header).trim());
    (text.starts_with('<') && text.ends_with('>')).then_some(text)
}

/// A part's content, at most `bytes_max` of it before decoding.
fn decoded(message: &[u8], part: Part<'_>, bytes_max: usize) -> Vec<u8> {
    let body = part.body();
    let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(message.len());
    let raw = message
        .get(place(body.start)..place(body.end))
        .unwrap_or_default();
    let raw = raw.get(..bytes_max).unwrap_or(raw);
    let mut out = Vec::new();
    let mut decoder = Decoder::new(part.encoding());
    decoder.push(raw, &mut out);
    decoder.finish(&mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const GMAIL: &[u8] = b"Reporting-MTA: dns; googlemail.com\r\nArrival-Date: Wed, 17 Jul 1996 02:33:20 -0700 (PDT)\r\nX-Original-Message-ID: <1@firma.test>\r\n\r\nFinal-Recipient: rfc822; bernd@x.test\r\nAction: failed\r\nStatus: 5.1.1 (no such user)\r\nRemote-MTA: dns; mx.x.test. (192.0.2.1, the server for the domain\r\n x.test.)\r\nDiagnostic-Code: smtp; 550-5.1.1 The email account\r\n does not exist.\r\nLast-Attempt-Date: Wed, 17 Jul 1996 02:33:20 -0700 (PDT)\r\n\r\nFinal-Recipient: utf-8; j\\x{F6}rg@x.test\r\nAction: DELAYED\r\nStatus: soon\r\nWill-Retry-Until: Fri, 02 Jan 1970 00:00:00 +0000\r\n\r\n";

    #[test]
    fn a_foreign_notice_is_read() {
        let report = parse_status(GMAIL);
        assert_eq!(report.reporting_mta.as_deref(), Some("googlemail.com"));
        assert_eq!(report.arrived_ms, Some(837_596_000_000));
        let [bernd, jorg] = &report.recipients[..] else {
            panic!("{report:?}")
        };
        assert_eq!(
            (bernd.address.as_str(), bernd.status.as_str()),
            ("bernd@x.test", "5.1.1")
        );
        assert_eq!(bernd.action, Action::Failed);
        assert!(
            bernd
                .diagnostic
                .as_deref()
                .unwrap()
                .contains("does not exist.")
        );
        assert_eq!(
            (jorg.address.as_str(), jorg.status.as_str()),
            ("jörg@x.test", "4.0.0")
        );
        assert_eq!(jorg.action, Action::Delayed);
        assert_eq!(jorg.retry_until_ms, Some(86_400_000));
    }

    #[test]
    fn what_is_no_notice_is_none() {
        for other in [
            &b"Subject: x\r\n\r\nhello"[..],
            b"Content-Type: multipart/report; report-type=disposition-notification; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\nFinal-Recipient: rfc822; a@b.c\r\nAction: failed\r\n--b--\r\n",
            b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n--b--\r\n",
        ] {
            assert_eq!(parse(other, &Facts::scan(other)), None);
        }
    }

    #[test]
    fn odd_encodings_of_letters_stay_text() {
        for odd in [
            "\\x{",
            "\\x{}",
            "\\x{ZZ}",
            "\\x{110000}",
            "\\x{1234567}a",
            "a\\x",
        ] {
            assert_eq!(unicode_from_embedded(odd), odd);
        }
    }
}
