//! Delivery status notices: multipart/report of RFC 6522 and RFC 3464 (RFC 6533 where an address is
//! not ASCII), with a text for people in German and English. Builds bytes; decides nothing, sends
//! nothing. The caller brings time and a unique token, and skips notices to the null path.

use crate::address::Address;
use crate::date::{DateTime, format_rfc5322};
use crate::header::{self, write_field};
use crate::language::Language;

mod advice;
mod people;
pub mod report;

/// Bytes of one foreign text, such as another server's answer; a longer one is cut.
const FOREIGN_BYTES_MAX: usize = 2000;

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
    /// Delivered to several recipients in place of this one, here or elsewhere.
    Expanded,
}

/// What stands behind a failure or a delay, where the status alone does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reason {
    /// What the status says.
    #[default]
    Status,
    /// The sender's side sends over secure TLS only, by a switch the sender can change.
    MandatoryTls,
    /// The recipient's domain demands proved TLS (DANE, MTA-STS) and fails its own demand.
    RecipientTls,
    /// The message said REQUIRETLS (RFC 8689).
    RequireTls,
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
    /// What stands behind it.
    pub reason: Reason,
    /// Enhanced status code such as `5.1.1` (RFC 3463). Anything else is written as `x.0.0`.
    pub status: &'a str,
    /// Host that answered.
    pub remote_mta: Option<&'a str>,
    /// Its answer, code and text, lines joined: `550 5.1.1 no such user`.
    pub diagnostic: Option<&'a str>,
    /// Our own reason, where no host answered.
    pub own_reason: Option<&'a str>,
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
    /// The language of the first half of the text; the other one follows.
    pub first: Language,
    /// Base of the pages that explain what a sender can do, without a slash at its end.
    pub help: Option<&'a str>,
}

/// Writes the whole message with CRLF line ends.
pub fn build(notice: &Notice<'_>) -> Vec<u8> {
    let returned = match notice.returned {
        Returned::Headers(message) => message
            .get(..header::header_bytes(message))
            .unwrap_or(message),
        Returned::Message(message) => message,
    };
    let mut out = Vec::with_capacity(returned.len() + 4096);
    let boundary = format!("=_{}", token(notice.token));
    let charset = charset_of(notice);
    write_header(&mut out, notice, &boundary, returned);
    begin_part(&mut out, &boundary);
    out.extend_from_slice(b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n");
    quoted_printable(&mut out, &people::text(notice, returned));
    begin_part(&mut out, &boundary);
    // RFC 6533 §4: the global types allow UTF-8, which a mail to an ASCII sender must not need.
    out.extend_from_slice(match charset {
        Charset::Ascii => b"Content-Type: message/delivery-status\r\n\r\n".as_slice(),
        Charset::Utf8 => b"Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
    });
    write_status(&mut out, notice, charset);
    begin_part(&mut out, &boundary);
    write_returned(&mut out, &notice.returned, returned);
    out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    out
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Charset {
    Ascii,
    Utf8,
}

/// A sender with an address that is not ASCII can take UTF-8 everywhere.
fn charset_of(notice: &Notice<'_>) -> Charset {
    match notice.to.is_ascii() && notice.from.is_ascii() {
        true => Charset::Ascii,
        false => Charset::Utf8,
    }
}

/// Only what may stand in a boundary and a Message-ID.
fn token(text: &str) -> String {
    let is_safe = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    let token: String = text.chars().filter(is_safe).take(60).collect();
    match token.is_empty() {
        true => "notice".to_owned(),
        false => token,
    }
}

/// Only what may stand in a host name; an unusable one becomes `localhost`.
fn host(text: &str) -> String {
    let is_safe =
        |letter: &char| letter.is_ascii_alphanumeric() || b".-_:[]".contains(&(*letter as u8));
    let is_ascii = text.is_ascii();
    let host: String = text
        .chars()
        .filter(|letter| is_ascii && is_safe(letter))
        .take(255)
        .collect();
    match host.is_empty() {
        true => "localhost".to_owned(),
        false => host,
    }
}

fn begin_part(out: &mut Vec<u8>, boundary: &str) {
    out.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
}

fn write_header(out: &mut Vec<u8>, notice: &Notice<'_>, boundary: &str, returned: &[u8]) {
    let date = format_rfc5322(DateTime::utc(notice.unix_ms));
    write_field(out, "Date", &date);
    write_field(
        out,
        "From",
        &format!("Mail Delivery System <{}>", notice.from),
    );
    write_field(out, "To", &format!("<{}>", notice.to));
    write_field(out, "Subject", &people::subject(notice));
    let id = format!("<{}@{}>", token(notice.token), host(notice.reporting_mta));
    write_field(out, "Message-ID", &id);
    if let Some(original) = original_id(returned) {
        write_field(out, "In-Reply-To", &original);
        write_field(out, "References", &original);
    }
    // RFC 3834 §5: auto-replied, as this answers one message.
    write_field(out, "Auto-Submitted", "auto-replied");
    write_field(out, "MIME-Version", "1.0");
    let content_type =
        format!("multipart/report; report-type=delivery-status; boundary=\"{boundary}\"");
    write_field(out, "Content-Type", &content_type);
    // For readers without MIME; also ends the header.
    out.extend_from_slice(b"\r\nThis is a delivery status notice in MIME format.\r\n");
}

/// The Message-ID of the original, if it is one that can be repeated.
fn original_id(returned: &[u8]) -> Option<String> {
    let value = header::find(returned, "message-id")?.value().into_owned();
    let id = String::from_utf8(value).ok()?;
    let inside = id.strip_prefix('<')?.strip_suffix('>')?;
    let is_safe = |byte: u8| byte.is_ascii_graphic() && !b"<>()\"\\,;".contains(&byte);
    (inside.contains('@') && inside.len() <= 500 && inside.bytes().all(is_safe)).then_some(id)
}

/// Foreign text on one line, without controls, at most [`FOREIGN_BYTES_MAX`] long.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for letter in text.chars() {
        if line.len() + letter.len_utf8() > FOREIGN_BYTES_MAX {
            break;
        }
        line.push(if letter.is_control() { ' ' } else { letter });
    }
    line
}

// RFC 3464 §2: per-message fields, then a group of fields per recipient, empty lines between.
fn write_status(out: &mut Vec<u8>, notice: &Notice<'_>, charset: Charset) {
    if let Some(envelope_id) = notice.envelope_id {
        status_field(out, "Original-Envelope-Id", envelope_id, charset);
    }
    let mta = format!("dns; {}", host(notice.reporting_mta));
    status_field(out, "Reporting-MTA", &mta, charset);
    let arrived = format_rfc5322(DateTime::utc(notice.arrived_ms));
    status_field(out, "Arrival-Date", &arrived, charset);
    for recipient in notice.recipients {
        out.extend_from_slice(b"\r\n");
        write_recipient(out, recipient, charset);
    }
}

fn write_recipient(out: &mut Vec<u8>, recipient: &Recipient<'_>, charset: Charset) {
    if let Some((kind, address)) = recipient
        .original
        .and_then(|original| original.split_once(';'))
    {
        let original = typed_address(kind.trim(), address.trim(), charset);
        status_field(out, "Original-Recipient", &original, charset);
    }
    let address = recipient.address.to_string();
    let kind = if address.is_ascii() {
        "rfc822"
    } else {
        "utf-8"
    };
    let last = typed_address(kind, &address, charset);
    status_field(out, "Final-Recipient", &last, charset);
    let (action, class) = match recipient.action {
        Action::Failed => ("failed", '5'),
        Action::Delayed => ("delayed", '4'),
        Action::Delivered => ("delivered", '2'),
        Action::Relayed => ("relayed", '2'),
        Action::Expanded => ("expanded", '2'),
    };
    status_field(out, "Action", action, charset);
    let status = match is_status(recipient.status) {
        true => recipient.status.to_owned(),
        false => format!("{class}.0.0"),
    };
    status_field(out, "Status", &status, charset);
    if let Some(mta) = recipient.remote_mta {
        status_field(out, "Remote-MTA", &format!("dns; {}", host(mta)), charset);
    }
    if let Some(diagnostic) = recipient.diagnostic {
        let diagnostic = format!("smtp; {}", one_line(diagnostic));
        status_field(out, "Diagnostic-Code", &diagnostic, charset);
    }
    if let Some(reason) = recipient.own_reason {
        // RFC 3464 §2.1.2: types of one's own begin with X-.
        let reason = format!("X-Rohrpost; {}", one_line(reason));
        status_field(out, "Diagnostic-Code", &reason, charset);
    }
    if let Some(last_ms) = recipient.last_attempt_ms {
        let date = format_rfc5322(DateTime::utc(last_ms));
        status_field(out, "Last-Attempt-Date", &date, charset);
    }
    if let (Action::Delayed, Some(until_ms)) = (recipient.action, recipient.retry_until_ms) {
        let date = format_rfc5322(DateTime::utc(until_ms));
        status_field(out, "Will-Retry-Until", &date, charset);
    }
}

/// RFC 6533 §3: in a report of ASCII, an address that is not is written `utf-8; j\x{F6}rg@…`.
fn typed_address(kind: &str, address: &str, charset: Charset) -> String {
    if address.is_ascii() || charset == Charset::Utf8 {
        return format!("{kind}; {address}");
    }
    let mut encoded = String::from("utf-8; ");
    for letter in address.chars() {
        match letter {
            '!'..='~' if !matches!(letter, '+' | '\\' | '=') => encoded.push(letter),
            _ => encoded += &format!("\\x{{{:02X}}}", u32::from(letter)),
        }
    }
    encoded
}

fn status_field(out: &mut Vec<u8>, name: &str, value: &str, charset: Charset) {
    let is_foreign = |letter: char| charset == Charset::Ascii && !letter.is_ascii();
    let value: String = value
        .chars()
        .map(|letter| if is_foreign(letter) { '?' } else { letter })
        .collect();
    write_field(out, name, &one_line(&value));
}

// RFC 3463 §2: class "." subject "." detail
fn is_status(status: &str) -> bool {
    let mut numbers = status.split('.');
    let class = numbers.next();
    let is_number = |number: Option<&str>| {
        number.is_some_and(|number| {
            (1..=3).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    matches!(class, Some("2" | "4" | "5"))
        && is_number(numbers.next())
        && is_number(numbers.next())
        && numbers.next().is_none()
}

fn write_returned(out: &mut Vec<u8>, kind: &Returned<'_>, returned: &[u8]) {
    let header = returned
        .get(..header::header_bytes(returned))
        .unwrap_or(returned);
    // RFC 6532 §3.7 and RFC 6533 §5: message/rfc822 may not have UTF-8 in its header.
    let content_type = match (kind, header.is_ascii()) {
        (Returned::Headers(_), true) => "text/rfc822-headers",
        (Returned::Headers(_), false) => "message/global-headers",
        (Returned::Message(_), true) => "message/rfc822",
        (Returned::Message(_), false) => "message/global",
    };
    write_field(out, "Content-Type", content_type);
    if !returned.is_ascii() {
        write_field(out, "Content-Transfer-Encoding", "8bit");
    }
    out.extend_from_slice(b"\r\n");
    // A lone CR or LF would make the next server refuse the notice.
    let mut rest = returned;
    while let Some(at) = memchr::memchr2(b'\r', b'\n', rest) {
        let (line, end) = rest.split_at(at);
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
        rest = end
            .strip_prefix(b"\r\n")
            .or(end.get(1..))
            .unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// Writes text with LF line ends as quoted-printable (RFC 2045 §6.7), so that the report is 7-bit
/// unless what is returned is not.
pub fn quoted_printable(out: &mut Vec<u8>, text: &str) {
    for line in text.lines() {
        let mut line_bytes = 0;
        let bytes = line.as_bytes();
        for (at, &byte) in bytes.iter().enumerate() {
            let is_last = at + 1 == bytes.len();
            let plain = matches!(byte, b'!'..=b'~' if byte != b'=') || (byte == b' ' && !is_last);
            let needed = if plain { 1 } else { 3 };
            // 76 with the sign of a soft line break.
            if line_bytes + needed > 75 {
                out.extend_from_slice(b"=\r\n");
                line_bytes = 0;
            }
            match plain {
                true => out.push(byte),
                false => out.extend_from_slice(format!("={byte:02X}").as_bytes()),
            }
            line_bytes += needed;
        }
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests;
