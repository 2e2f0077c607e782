//! IMAP syntax for what `message::Facts` knows: ENVELOPE, BODY, BODYSTRUCTURE, and the string forms
//! (quoted, literal, NIL) of RFC 3501 §4.3 and RFC 9051 §4.3. Writes into a buffer; knows no session.

use crate::header::{Entry, parse_addresses};
use crate::message::{Envelope, Facts, Part, PartKind};

/// How bytes over 127 may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Utf8 {
    /// Only in literals (RFC 3501 §4.3).
    Literals,
    /// In quoted strings, where they are UTF-8 (RFC 6855 §3, IMAP4rev2).
    Quoted,
}

/// Which form of the structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Structure {
    /// BODY, without extension data.
    Body,
    /// BODYSTRUCTURE, with it.
    BodyStructure,
}

/// Writes a string: quoted where possible, else a literal. NUL, which IMAP cannot carry, is left out.
pub fn write_string(out: &mut Vec<u8>, value: &[u8], utf8: Utf8) {
    let plain = |&byte: &u8| matches!(byte, 0x20..=0x7e | b'\t') && byte != b'"' && byte != b'\\';
    if value.iter().all(plain) {
        out.push(b'"');
        out.extend_from_slice(value);
        out.push(b'"');
        return;
    }
    let high_fits = utf8 == Utf8::Quoted && std::str::from_utf8(value).is_ok();
    let quotable = |byte: u8| !matches!(byte, 0 | b'\r' | b'\n') && (byte < 0x80 || high_fits);
    if value.iter().copied().all(quotable) {
        out.push(b'"');
        for &byte in value {
            if byte == b'"' || byte == b'\\' {
                out.push(b'\\');
            }
            out.push(byte);
        }
        out.push(b'"');
        return;
    }
    let nuls = memchr::memchr_iter(0, value).count();
    out.extend_from_slice(format!("{{{}}}\r\n", value.len() - nuls).as_bytes());
    out.extend(value.iter().copied().filter(|&byte| byte != 0));
}

/// Writes a string, or NIL.
pub fn write_nstring(out: &mut Vec<u8>, value: Option<&[u8]>, utf8: Utf8) {
    match value {
        Some(value) => write_string(out, value, utf8),
        None => out.extend_from_slice(b"NIL"),
    }
}

fn write_number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(number.to_string().as_bytes());
}

/// Writes the parenthesised ENVELOPE (RFC 3501 §7.4.2).
pub fn write_envelope(out: &mut Vec<u8>, envelope: &Envelope<'_>, utf8: Utf8) {
    out.push(b'(');
    write_nstring(out, envelope.date, utf8);
    out.push(b' ');
    write_nstring(out, envelope.subject, utf8);
    out.push(b' ');
    let from = out.len();
    write_addresses(out, envelope.from, utf8);
    let from = from..out.len();
    // RFC 3501 §7.4.2: absent or empty, these two are the same as From.
    for value in [envelope.sender, envelope.reply_to] {
        out.push(b' ');
        let start = out.len();
        write_addresses(out, value, utf8);
        if out.get(start..) == Some(b"NIL") {
            out.truncate(start);
            out.extend_from_within(from.clone());
        }
    }
    for value in [envelope.to, envelope.cc, envelope.bcc] {
        out.push(b' ');
        write_addresses(out, value, utf8);
    }
    out.push(b' ');
    write_nstring(out, envelope.in_reply_to, utf8);
    out.push(b' ');
    write_nstring(out, envelope.message_id, utf8);
    out.push(b')');
}

fn write_addresses(out: &mut Vec<u8>, value: Option<&[u8]>, utf8: Utf8) {
    let entries = value.map(parse_addresses).unwrap_or_default();
    if entries.is_empty() {
        return out.extend_from_slice(b"NIL");
    }
    out.push(b'(');
    for entry in &entries {
        write_address(out, entry, utf8);
    }
    out.push(b')');
}

// address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")"
fn write_address(out: &mut Vec<u8>, entry: &Entry<'_>, utf8: Utf8) {
    match entry {
        Entry::Mailbox {
            name,
            route,
            local,
            domain,
        } => {
            out.push(b'(');
            write_nstring(out, name.as_deref(), utf8);
            out.push(b' ');
            write_nstring(out, route.as_deref(), utf8);
            out.push(b' ');
            // NIL would mean the end of a group here, and the beginning of one in the host.
            write_string(out, local, utf8);
            out.push(b' ');
            write_string(out, domain, utf8);
            out.push(b')');
        }
        Entry::GroupStart { name } => {
            out.extend_from_slice(b"(NIL NIL ");
            write_string(out, name, utf8);
            out.extend_from_slice(b" NIL)");
        }
        Entry::GroupEnd => out.extend_from_slice(b"(NIL NIL NIL NIL)"),
    }
}

/// Writes the parenthesised BODY or BODYSTRUCTURE (RFC 3501 §7.4.2).
pub fn write_structure(out: &mut Vec<u8>, facts: &Facts, structure: Structure, utf8: Utf8) {
    write_part(out, facts.root(), structure, utf8);
}

// Recursion is bounded: no facts are deeper than `message::DEPTH_MAX`.
fn write_part(out: &mut Vec<u8>, part: Part<'_>, structure: Structure, utf8: Utf8) {
    out.push(b'(');
    match part.kind() {
        PartKind::Multipart => {
            for child in part.children() {
                write_part(out, child, structure, utf8);
            }
            out.push(b' ');
            write_string(out, part.subtype(), utf8);
            if structure == Structure::BodyStructure {
                out.push(b' ');
                write_params(out, part.params(), utf8);
                write_extension(out, part, utf8);
            }
        }
        PartKind::Leaf | PartKind::Message => write_single(out, part, structure, utf8),
    }
    out.push(b')');
}

fn write_single(out: &mut Vec<u8>, part: Part<'_>, structure: Structure, utf8: Utf8) {
    write_string(out, part.media_type(), utf8);
    out.push(b' ');
    write_string(out, part.subtype(), utf8);
    out.push(b' ');
    let is_text = part.media_type() == b"text";
    let names_charset = part.params().any(|(name, _)| name.starts_with(b"charset"));
    // RFC 2045 §5.2: text without a charset is US-ASCII.
    let default_charset =
        (is_text && !names_charset).then_some((&b"charset"[..], &b"us-ascii"[..]));
    write_params(out, part.params().chain(default_charset), utf8);
    for value in [part.id(), part.description()] {
        out.push(b' ');
        write_nstring(out, value, utf8);
    }
    out.push(b' ');
    write_string(out, part.encoding().unwrap_or(b"7bit"), utf8);
    out.push(b' ');
    let body = part.body();
    write_number(out, body.end - body.start);
    if let (PartKind::Message, Some(inside)) = (part.kind(), part.children().next()) {
        out.push(b' ');
        write_envelope(out, &inside.envelope().unwrap_or_default(), utf8);
        out.push(b' ');
        write_part(out, inside, structure, utf8);
        out.push(b' ');
        write_number(out, part.body_lines());
    } else if is_text {
        out.push(b' ');
        write_number(out, part.body_lines());
    }
    if structure == Structure::BodyStructure {
        out.push(b' ');
        write_nstring(out, part.md5(), utf8);
        write_extension(out, part, utf8);
    }
}

fn write_params<'a>(
    out: &mut Vec<u8>,
    params: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    utf8: Utf8,
) {
    let start = out.len();
    for (name, value) in params {
        out.push(if out.len() == start { b'(' } else { b' ' });
        write_string(out, name, utf8);
        out.push(b' ');
        write_string(out, value, utf8);
    }
    match out.len() == start {
        true => out.extend_from_slice(b"NIL"),
        false => out.push(b')'),
    }
}

// SP body-fld-dsp SP body-fld-lang SP body-fld-loc
fn write_extension(out: &mut Vec<u8>, part: Part<'_>, utf8: Utf8) {
    out.push(b' ');
    match part.disposition() {
        Some(disposition) => {
            out.push(b'(');
            write_string(out, disposition.kind, utf8);
            out.push(b' ');
            write_params(out, disposition.params(), utf8);
            out.push(b')');
        }
        None => out.extend_from_slice(b"NIL"),
    }
    out.push(b' ');
    write_languages(out, part.language().unwrap_or_default(), utf8);
    out.push(b' ');
    write_nstring(out, part.location(), utf8);
}

// body-fld-lang = nstring / "(" string *(SP string) ")"; always the list, which is what clients meet.
fn write_languages(out: &mut Vec<u8>, value: &[u8], utf8: Utf8) {
    let start = out.len();
    let tags = value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    for tag in tags.filter(|tag| !tag.is_empty()) {
        out.push(if out.len() == start { b'(' } else { b' ' });
        write_string(out, tag, utf8);
    }
    match out.len() == start {
        true => out.extend_from_slice(b"NIL"),
        false => out.push(b')'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn string(value: &[u8], utf8: Utf8) -> Vec<u8> {
        let mut out = Vec::new();
        write_string(&mut out, value, utf8);
        out
    }

    fn envelope(header: &str) -> String {
        let facts = Facts::scan(header.as_bytes());
        let mut out = Vec::new();
        write_envelope(&mut out, &facts.envelope(), Utf8::Literals);
        String::from_utf8_lossy(&out).into_owned()
    }

    fn structure(message: &str, structure: Structure) -> String {
        let mut out = Vec::new();
        write_structure(
            &mut out,
            &Facts::scan(message.as_bytes()),
            structure,
            Utf8::Literals,
        );
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn strings_take_the_form_they_need() {
        assert_eq!(string(b"", Utf8::Literals), b"\"\"");
        assert_eq!(string(b"a \"b\\", Utf8::Literals), b"\"a \\\"b\\\\\"");
        assert_eq!(string(b"a\r\nb", Utf8::Quoted), b"{4}\r\na\r\nb");
        assert_eq!(string(b"a\0b", Utf8::Literals), b"{2}\r\nab");
        assert_eq!(
            string("ä".as_bytes(), Utf8::Literals),
            "{2}\r\nä".as_bytes()
        );
        assert_eq!(string("ä".as_bytes(), Utf8::Quoted), "\"ä\"".as_bytes());
        assert_eq!(string(b"\xff", Utf8::Quoted), b"{1}\r\n\xff");
    }

    #[test]
    fn envelopes_are_written() {
        assert_eq!(
            envelope("\r\n"),
            "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
        );
        // The example of RFC 3501 §8.
        assert_eq!(
            envelope(
                "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\nFrom: Terry Gray <gray@cac.washington.edu>\r\nSubject: IMAP4rev1 WG mtg summary and minutes\r\nTo: imap@cac.washington.edu\r\ncc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\nMessage-Id: <B27397-0100000@cac.washington.edu>\r\n\r\n"
            ),
            "(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"IMAP4rev1 WG mtg summary and minutes\" ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) ((NIL NIL \"imap\" \"cac.washington.edu\")) ((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) NIL NIL \"<B27397-0100000@cac.washington.edu>\")"
        );
        assert_eq!(
            envelope(
                "From: a@x\r\nSender:\r\nReply-To: b@y\r\nTo: undisclosed-recipients:;\r\nSubject:\r\nIn-Reply-To: <1@x>\r\n\r\n"
            ),
            "(NIL \"\" ((NIL NIL \"a\" \"x\")) ((NIL NIL \"a\" \"x\")) ((NIL NIL \"b\" \"y\")) ((NIL NIL \"undisclosed-recipients\" NIL)(NIL NIL NIL NIL)) NIL NIL \"<1@x>\" NIL)"
        );
    }

    #[test]
    fn structures_are_written() {
        assert_eq!(
            structure("\r\nx\r\n", Structure::Body),
            "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 1)"
        );
        let mixed = "Content-Type: multipart/mixed; boundary=b\r\nContent-Language: de, en\r\n\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nx\r\n--b\r\nContent-Type: image/png\r\nContent-ID: <i@x>\r\nContent-Disposition: attachment; filename=\"a b.png\"\r\nContent-MD5: abc\r\nContent-Language: de\r\n\r\n1234\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ny\r\n--b--\r\n";
        assert_eq!(
            structure(mixed, Structure::Body),
            "((\"text\" \"html\" (\"charset\" \"utf-8\") NIL NIL \"8bit\" 1 0)(\"image\" \"png\" NIL \"<i@x>\" NIL \"7bit\" 4)(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 15 (NIL \"x\" NIL NIL NIL NIL NIL NIL NIL NIL) (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0) 2) \"mixed\")"
        );
        assert_eq!(
            structure(mixed, Structure::BodyStructure),
            "((\"text\" \"html\" (\"charset\" \"utf-8\") NIL NIL \"8bit\" 1 0 NIL NIL NIL NIL)(\"image\" \"png\" NIL \"<i@x>\" NIL \"7bit\" 4 \"abc\" (\"attachment\" (\"filename\" \"a b.png\")) (\"de\") NIL)(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 15 (NIL \"x\" NIL NIL NIL NIL NIL NIL NIL NIL) (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0 NIL NIL NIL NIL) 2 NIL NIL NIL NIL) \"mixed\" (\"boundary\" \"b\") NIL (\"de\" \"en\") NIL)"
        );
    }

    proptest! {
        #[test]
        fn strings_read_back(value in proptest::collection::vec(1u8.., 0..30), quoted in any::<bool>()) {
            let utf8 = if quoted { Utf8::Quoted } else { Utf8::Literals };
            let out = string(&value, utf8);
            let read: Vec<u8> = match out.strip_prefix(b"\"") {
                Some(rest) => {
                    prop_assert!(quoted || out.is_ascii());
                    let mut rest = rest[..rest.len() - 1].iter();
                    let mut read = Vec::new();
                    while let Some(&byte) = rest.next() {
                        read.push(if byte == b'\\' { *rest.next().expect("escaped") } else { byte });
                    }
                    read
                }
                None => out[out.windows(2).position(|pair| pair == b"\r\n").expect("end") + 2..].to_vec(),
            };
            prop_assert_eq!(read, value);
        }
    }
}
