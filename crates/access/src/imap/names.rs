//! Mailbox names between the wire (modified UTF-7 in IMAP4rev1) and the mailbox crate (UTF-8), and the
//! patterns of LIST. Pure. Whether a mailbox exists is not asked here.

use super::reply::{Code, Reply};
use formats::{imap_text, utf7};
use mailbox::MailboxName;

/// What separates the levels of a name.
pub(super) const SEPARATOR: u8 = b'/';

/// Reads a name from the wire.
///
/// # Errors
/// The answer for a name that cannot be one: `NO [CANNOT]`, in which RFC 5530 §3 has such names refused.
pub(super) fn from_wire(name: &[u8]) -> Result<MailboxName, Reply> {
    let text = text_from_wire(name).ok_or_else(|| {
        Reply::no(
            Code::Cannot,
            "The mailbox name is not valid modified UTF-7 (RFC 3501, section 5.1.3).",
        )
    })?;
    MailboxName::parse(&text).map_err(Reply::from)
}

/// Reads a name or pattern from the wire. Clients that write plain UTF-8 are understood too: a name with
/// bytes above 127 cannot be modified UTF-7.
pub(super) fn text_from_wire(name: &[u8]) -> Option<String> {
    if name.is_ascii() {
        utf7::decode(name).ok()
    } else {
        String::from_utf8(name.to_vec()).ok()
    }
}

/// Writes a name as an `astring`.
pub(super) fn write(out: &mut Vec<u8>, name: &str) {
    let wire = utf7::encode(name);
    let plain = !wire.is_empty()
        && !wire.eq_ignore_ascii_case("NIL")
        && wire.bytes().all(super::grammar::cursor::is_astring_char);
    if plain {
        out.extend_from_slice(wire.as_bytes());
    } else {
        imap_text::write_string(out, wire.as_bytes(), imap_text::Utf8::Literals);
    }
}

/// The pattern that `reference` and `pattern` of LIST amount to (RFC 3501 §6.3.8). A run of wildcards
/// becomes the one it stands for, so that a long run costs `matches` nothing.
pub(super) fn join(reference: &str, pattern: &str) -> String {
    let reference = match pattern.starts_with('/') {
        true => "",
        false => reference,
    };
    let mut joined = String::with_capacity(reference.len() + pattern.len());
    for sign in reference.chars().chain(pattern.chars()) {
        match (joined.chars().next_back(), sign) {
            (Some('*'), '*' | '%') | (Some('%'), '%') => {}
            (Some('%'), '*') => {
                joined.pop();
                joined.push('*');
            }
            _ => joined.push(sign),
        }
    }
    joined
}

/// Whether `name` fits `pattern`: `*` stands for anything, `%` for anything within one level. INBOX is
/// compared without case. Takes time in proportion to name times pattern at worst, never more.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    if fits(pattern.as_bytes(), name.as_bytes()) {
        return true;
    }
    let first = pattern.split('/').next().unwrap_or_default();
    first.eq_ignore_ascii_case(MailboxName::INBOX)
        && fits(
            [MailboxName::INBOX, &pattern[first.len()..]]
                .concat()
                .as_bytes(),
            name.as_bytes(),
        )
}

/// One row of the usual table: which prefixes of the name the pattern so far can stand for.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let mut reached = vec![false; name.len() + 1];
    if let Some(start) = reached.first_mut() {
        *start = true;
    }
    for sign in pattern {
        let mut row = vec![false; name.len() + 1];
        for at in 0..=name.len() {
            let here = reached.get(at).copied().unwrap_or(false);
            let byte = at.checked_sub(1).and_then(|before| name.get(before));
            let before = |row: &[bool]| {
                at.checked_sub(1)
                    .and_then(|before| row.get(before).copied())
                    .unwrap_or(false)
            };
            let fits = match sign {
                b'*' => here || before(&row),
                b'%' => here || (before(&row) && byte != Some(&SEPARATOR)),
                sign => before(&reached) && byte == Some(sign),
            };
            if let Some(cell) = row.get_mut(at) {
                *cell = fits;
            }
        }
        if !row.contains(&true) {
            return false;
        }
        reached = row;
    }
    reached.last().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stay_within_a_level_or_cross_it() {
        for (pattern, name, wanted) in [
            ("*", "a/b", true),
            ("%", "a", true),
            ("%", "a/b", false),
            ("a/%", "a/b", true),
            ("a/%", "a/b/c", false),
            ("a*c", "a/b/c", true),
            ("%/%", "a/b", true),
            ("inbox", "INBOX", true),
            ("iNbOx/%", "INBOX/x", true),
            ("inboxes", "INBOX", false),
            ("", "a", false),
            ("a%%b", "ab", true),
            ("Sent", "sent", false),
        ] {
            assert_eq!(matches(pattern, name), wanted, "{pattern} {name}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_long_time() {
        let pattern = "*a".repeat(2000);
        assert!(!matches(&pattern, &"a".repeat(500)));
    }

    #[test]
    fn a_reference_goes_in_front() {
        assert_eq!(join("", "*"), "*");
        assert_eq!(join("a/", "%"), "a/%");
        assert_eq!(join("a/", "/b"), "/b");
    }

    #[test]
    fn a_run_of_wildcards_is_one() {
        assert_eq!(join("%", &"%".repeat(1000)), "%");
        assert_eq!(join("", "a%%*%b**%c%d"), "a*b*c%d");
    }
}
