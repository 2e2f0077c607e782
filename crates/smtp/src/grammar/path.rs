//! Paths of MAIL and RCPT: finds the mailbox between the angle brackets and drops source routes.
//! Pure. Whether the mailbox itself is well formed is `formats::address`'s business.

use super::text::as_text;
use crate::limits::PATH_BYTES_MAX;

/// What stands between the angle brackets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path<'a> {
    /// `<>`
    Null,
    /// `<Postmaster>` without a domain (RFC 5321 §4.5.1).
    Postmaster,
    /// `local-part@domain`, not yet checked.
    Mailbox(&'a str),
}

/// ```abnf
/// Reverse-path = Path / "<>"                          ; RFC 5321 §4.1.2
/// ```
/// Gives the path and what follows it.
pub(super) fn reverse(text: &[u8]) -> Option<(Path<'_>, &[u8])> {
    match bracketed(text)? {
        ("", rest) => Some((Path::Null, rest)),
        (inner, rest) => Some((Path::Mailbox(without_route(inner)?), rest)),
    }
}

/// ```abnf
/// Forward-path = Path / "<Postmaster>"                ; RFC 5321 §4.1.1.3
/// ```
pub(super) fn forward(text: &[u8]) -> Option<(Path<'_>, &[u8])> {
    match bracketed(text)? {
        ("", _) => None,
        (inner, rest) if inner.eq_ignore_ascii_case("postmaster") => Some((Path::Postmaster, rest)),
        (inner, rest) => Some((Path::Mailbox(without_route(inner)?), rest)),
    }
}

/// `"<" … ">"`, where a `>` inside quotes does not end it. What follows must be nothing or a blank.
fn bracketed(text: &[u8]) -> Option<(&str, &[u8])> {
    let text = text.strip_prefix(b"<")?;
    let mut quoted = false;
    let mut escaped = false;
    for (at, &byte) in text.iter().enumerate().take(PATH_BYTES_MAX) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => {
                let (inner, rest) = (text.get(..at)?, text.get(at + 1..)?);
                let ends_well =
                    rest.is_empty() || rest.starts_with(b" ") || rest.starts_with(b"\t");
                return ends_well.then_some((as_text(inner)?, rest));
            }
            _ => {}
        }
    }
    None
}

/// ```abnf
/// Path         = "<" [ A-d-l ":" ] Mailbox ">"
/// A-d-l        = At-domain *( "," At-domain )
/// ```
/// RFC 5321 §4.1.1.3: source routes must be accepted, should be ignored.
fn without_route(inner: &str) -> Option<&str> {
    if !inner.starts_with('@') {
        return Some(inner);
    }
    // A domain has no colon except within an address literal.
    let mut in_literal = false;
    let colon = inner.bytes().position(|byte| {
        match byte {
            b'[' => in_literal = true,
            b']' => in_literal = false,
            _ => {}
        }
        byte == b':' && !in_literal
    })?;
    let route = &inner[..colon];
    let hops_are_domains = route.split(',').all(|hop| {
        hop.strip_prefix('@')
            .is_some_and(|name| !name.is_empty() && !name.contains(['@', '"', ' ']))
    });
    let mailbox = &inner[colon + 1..];
    (hops_are_domains && !mailbox.is_empty()).then_some(mailbox)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_ends_at_the_bracket_outside_quotes() {
        assert_eq!(
            reverse(b"<a@b> SIZE=1"),
            Some((Path::Mailbox("a@b"), &b" SIZE=1"[..]))
        );
        assert_eq!(
            reverse(b"<\"x>y\"@b>"),
            Some((Path::Mailbox("\"x>y\"@b"), &b""[..]))
        );
        assert_eq!(
            reverse(b"<\"x\\\">y\"@b>"),
            Some((Path::Mailbox("\"x\\\">y\"@b"), &b""[..]))
        );
        assert_eq!(reverse(b"<>"), Some((Path::Null, &b""[..])));
        for bad in [&b"a@b"[..], b"<a@b", b"<a@b>x", b"", b"<\"a@b>", b"<a\0@b>"] {
            assert_eq!(reverse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn source_routes_are_dropped() {
        let mailbox = |text| forward(text).map(|(path, _)| path);
        assert_eq!(
            mailbox(b"<@a.example,@b.example:c@d>"),
            Some(Path::Mailbox("c@d"))
        );
        assert_eq!(mailbox(b"<@[IPv6:::1]:c@d>"), Some(Path::Mailbox("c@d")));
        for bad in [&b"<@a.example>"[..], b"<@a,b:c@d>", b"<@a:>", b"<@:c@d>"] {
            assert_eq!(mailbox(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn postmaster_needs_no_domain_and_nobody_is_no_recipient() {
        assert_eq!(forward(b"<postMaster>"), Some((Path::Postmaster, &b""[..])));
        assert_eq!(forward(b"<>"), None);
    }
}
