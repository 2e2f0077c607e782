//! The header field Authentication-Results (RFC 8601): fields of strangers that claim to be ours are taken out, ours
//! is put in front of a message that came in whole. Pure but for the spool; called by `incoming` and `spoofed`.

use super::incoming::Message;
use formats::header::{Field, fields};
use formats::message::Scanner;
use platform::spool::Spool;
use std::io;

/// Bytes read at once from a spool that is in a file.
const READ_BYTES: u64 = 64 * 1024;
/// Bytes copied before other tasks get their turn.
const COPIED_AT_ONCE_BYTES: usize = 256 * 1024;

/// The header without fields that claim one of `hosts` wrote them (RFC 8601 §5); `None` where there is none.
pub(super) fn without_forged(header: &[u8], hosts: &[&str]) -> Option<Vec<u8>> {
    let forged = |field: &Field<'_>| field.is("Authentication-Results") && claims(field, hosts);
    let first = fields(header).find(forged)?;
    let mut kept = Vec::with_capacity(header.len());
    kept.extend_from_slice(header.get(..first.start).unwrap_or_default());
    let mut at = first.end;
    for field in fields(header).filter(|field| field.start >= first.end) {
        if forged(&field) {
            kept.extend_from_slice(header.get(at..field.start).unwrap_or_default());
            at = field.end;
        }
    }
    kept.extend_from_slice(header.get(at..).unwrap_or_default());
    Some(kept)
}

/// Whether the authserv-id of a field is one of `hosts`. What cannot be read is taken to claim it (RFC 8601 §5: those
/// who read it may be less strict than we are).
fn claims(field: &Field<'_>, hosts: &[&str]) -> bool {
    let value = field.value();
    let Some(id) = authserv_id(&value) else {
        return true;
    };
    let id = id.strip_suffix(b".").unwrap_or(id);
    hosts
        .iter()
        .any(|host| id.eq_ignore_ascii_case(host.as_bytes()))
}

/// The first word behind comments, with its quotes taken away; `None` where there is no such.
fn authserv_id(value: &[u8]) -> Option<&[u8]> {
    let mut rest = value.trim_ascii_start();
    while rest.first() == Some(&b'(') {
        rest = behind_comment(rest)?.trim_ascii_start();
    }
    let ends = |byte: &u8| byte.is_ascii_whitespace() || b";(\"".contains(byte);
    let (rest, end) = match rest.strip_prefix(b"\"") {
        Some(quoted) => (quoted, memchr::memchr(b'"', quoted)?),
        None => (rest, rest.iter().position(ends).unwrap_or(rest.len())),
    };
    // An escaped character hides what the word is.
    rest.get(..end)
        .filter(|word| !word.is_empty() && !word.contains(&b'\\'))
}

/// What follows the comment that `text` begins with (RFC 5322 §3.2.2: they nest).
fn behind_comment(text: &[u8]) -> Option<&[u8]> {
    let (mut depth, mut escaped) = (0_usize, false);
    for (n, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'(' => depth += 1,
            b')' if depth <= 1 => return text.get(n + 1..),
            b')' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The same message with `field` in front, behind our Return-Path. Copies it into `spool`, which is empty.
///
/// # Errors
/// Those of the spools.
pub(super) async fn with_field(
    message: Message,
    field: &str,
    mut spool: Spool,
) -> io::Result<Message> {
    let mut scanner = Scanner::new();
    let mut put = |bytes: &[u8]| {
        scanner.push(bytes);
        spool.push(bytes)
    };
    let body = &message.body;
    let first = body.read_range(0..body.len().min(READ_BYTES))?;
    let start = match first.starts_with(b"Return-Path:") {
        true => memchr::memchr(b'\n', &first).map_or(0, |feed| feed + 1),
        false => 0,
    };
    put(first.get(..start).unwrap_or_default())?;
    put(field.as_bytes())?;
    match body.as_memory() {
        Some(memory) => {
            let rest = memory.get(start..).unwrap_or_default();
            for piece in rest.chunks(COPIED_AT_ONCE_BYTES) {
                put(piece)?;
                tokio::task::yield_now().await;
            }
        }
        None => {
            let mut at = start as u64;
            while at < body.len() {
                let until = body.len().min(at + READ_BYTES);
                put(&body.read_range(at..until)?)?;
                at = until;
                tokio::task::yield_now().await;
            }
        }
    }
    Ok(Message {
        body: spool,
        facts: scanner.finish().to_bytes(),
        ..message
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTS: [&str; 2] = ["mx.rp.test", "securemx.rp.test"];

    #[test]
    fn fields_in_our_name_go_and_those_of_others_stay() {
        let header = "Received: a\r\nAuthentication-Results: mx.rp.test;\r\n\tdmarc=pass\r\nSubject: x\r\n\
                      authentication-results : (we (all)) MX.RP.TEST. 1; spf=pass\r\n\
                      Authentication-Results: far.test; dkim=pass\r\n\
                      Authentication-Results: \"securemx.rp.test\"; none\r\nFrom: a@b.test\r\n\r\n";
        let left = without_forged(header.as_bytes(), &HOSTS).unwrap();
        assert_eq!(
            String::from_utf8(left).unwrap(),
            "Received: a\r\nSubject: x\r\nAuthentication-Results: far.test; dkim=pass\r\n\
             From: a@b.test\r\n\r\n"
        );
        let others = b"Authentication-Results: far.test; dkim=pass (mx.rp.test)\r\nSubject: x\r\n";
        assert_eq!(without_forged(others, &HOSTS), None);
    }

    #[test]
    fn what_cannot_be_read_is_not_believed() {
        for value in [
            "",
            "(open",
            "\"open",
            "; spf=pass",
            "\"mx\\.rp.test\"; none",
        ] {
            let header = format!("Authentication-Results: {value}\r\n");
            let left = without_forged(header.as_bytes(), &HOSTS);
            assert_eq!(left.as_deref(), Some(&b""[..]), "{value}");
        }
    }

    #[tokio::test]
    async fn our_field_stands_behind_the_return_path() {
        let spool = || {
            Spool::new(platform::spool::SpoolLimits {
                memory_bytes: 100,
                dir: std::env::temp_dir().into(),
            })
        };
        for body in ["hi\r\n".to_owned(), "text\r\n".repeat(30_000)] {
            let text =
                format!("Return-Path: <a@b.test>\r\nReceived: us\r\nFrom: x@y.test\r\n\r\n{body}");
            let mut old = spool();
            old.push(text.as_bytes()).unwrap();
            let message = Message {
                body: old,
                facts: Vec::new(),
                bytes: 7,
                report: super::super::header_report::HeaderReport::default(),
                original_header: None,
            };
            let new = with_field(message, "A-R: x\r\n", spool()).await.unwrap();
            let whole = new.body.read_range(0..new.body.len()).unwrap();
            let expected = text.replace("Received", "A-R: x\r\nReceived");
            assert_eq!(String::from_utf8(whole).unwrap(), expected);
            let mut scanner = Scanner::new();
            scanner.push(expected.as_bytes());
            assert_eq!(new.facts, scanner.finish().to_bytes());
            assert_eq!(new.bytes, 7);
        }
    }
}
