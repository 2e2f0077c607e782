//! Header fields over borrowed bytes: iterate, find, count, unfold, decode, edit. Never allocates to
//! look, never panics, keeps every byte it does not change. Structure of bodies is `message`'s.

use std::borrow::Cow;

mod addresses;
mod encoded_word;

pub use addresses::{ADDRESSES_MAX, Entry, parse_addresses};
pub use encoded_word::{decode_text, encode_text};

/// RFC 5322 §2.1.1 wishes for lines no longer than this, without CRLF.
pub const LINE_BYTES_WISHED: usize = 78;
/// RFC 5322 §2.1.1 forbids lines longer than this, without CRLF.
pub const LINE_BYTES_MAX: usize = 998;

/// One field as it stands in the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name without colon or trailing space, as written; empty for a line that is no field.
    pub name: &'a [u8],
    /// What follows the colon up to and including the final line end, folding included.
    pub raw_value: &'a [u8],
    /// Offset of the name in the header.
    pub start: usize,
    /// Offset just past the field's final line end.
    pub end: usize,
}

impl<'a> Field<'a> {
    /// Is this the field `name` (case ignored)?
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value, unfolded and trimmed; borrows unless it was folded.
    pub fn value(&self) -> Cow<'a, [u8]> {
        unfold(self.raw_value)
    }
}

/// Iterates over the fields of `header` up to the empty line or the end.
pub fn fields(header: &[u8]) -> Fields<'_> {
    Fields { header, at: 0 }
}

/// See [`fields`].
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    header: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let start = self.at;
        let rest = self.header.get(start..)?;
        if rest.is_empty() || rest.starts_with(b"\n") || rest.starts_with(b"\r\n") {
            return None;
        }
        let mut bytes = 0;
        loop {
            let line_feed = rest
                .get(bytes..)
                .and_then(|rest| memchr::memchr(b'\n', rest));
            let Some(line_feed) = line_feed else {
                bytes = rest.len();
                break;
            };
            bytes += line_feed + 1;
            if !matches!(rest.get(bytes), Some(b' ' | b'\t')) {
                break;
            }
        }
        let field = rest.get(..bytes).unwrap_or(rest);
        self.at = start + bytes;
        let first_line = memchr::memchr(b'\n', field).unwrap_or(field.len());
        let colon = memchr::memchr(b':', field).filter(|&colon| colon < first_line);
        let (name, raw_value) = match colon.and_then(|colon| field.split_at_checked(colon)) {
            Some((name, rest)) => (name.trim_ascii_end(), rest.get(1..).unwrap_or_default()),
            None => (&b""[..], field),
        };
        Some(Field {
            name,
            raw_value,
            start,
            end: self.at,
        })
    }
}

/// The first field called `name`.
pub fn find<'a>(header: &'a [u8], name: &str) -> Option<Field<'a>> {
    fields(header).find(|field| field.is(name))
}

/// How many fields are called `name`.
pub fn count(header: &[u8], name: &str) -> usize {
    fields(header).filter(|field| field.is(name)).count()
}

/// Length of the header of `message` including the empty line; the whole length if there is none.
pub fn header_bytes(message: &[u8]) -> usize {
    let mut line_start = 0;
    for line_feed in memchr::memchr_iter(b'\n', message) {
        let line = message.get(line_start..line_feed).unwrap_or_default();
        line_start = line_feed + 1;
        if matches!(line, b"" | b"\r") {
            return line_start;
        }
    }
    message.len()
}

/// Removes line ends of folding (RFC 5322 §2.2.3) and white space around the value.
pub fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    let value = value.trim_ascii();
    if memchr::memchr2(b'\r', b'\n', value).is_none() {
        return Cow::Borrowed(value);
    }
    let keeps = |&&byte: &&u8| byte != b'\r' && byte != b'\n';
    Cow::Owned(value.iter().filter(keeps).copied().collect())
}

/// A copy of `header` without the fields called `name`.
pub fn without(header: &[u8], name: &str) -> Vec<u8> {
    let mut kept = Vec::with_capacity(header.len());
    let mut at = 0;
    for field in fields(header).filter(|field| field.is(name)) {
        kept.extend_from_slice(header.get(at..field.start).unwrap_or_default());
        at = field.end;
    }
    kept.extend_from_slice(header.get(at..).unwrap_or_default());
    kept
}

/// Writes `name: value` folded at white space to lines of 78 bytes where possible and never over 998,
/// with CRLF; line ends and controls in `value` become spaces.
pub fn write_field(out: &mut Vec<u8>, name: &str, value: &str) {
    let name: String = name
        .chars()
        .filter(|letter| letter.is_ascii_graphic() && *letter != ':')
        .collect();
    let mut line = name + ":";
    for word in value.split(|letter: char| letter.is_whitespace() || letter.is_control()) {
        if word.is_empty() {
            continue;
        }
        let fits = line.len() + 1 + word.len() <= LINE_BYTES_WISHED;
        // A line of white space only may not stand in a header (RFC 5322 §3.2.2).
        if !fits && !line.trim_ascii().is_empty() && !line.ends_with(':') {
            end_line(out, &mut line);
        }
        line.push(' ');
        let mut word = word;
        while line.len() + word.len() > LINE_BYTES_MAX {
            let (head, tail) = word.split_at(char_floor(word, LINE_BYTES_MAX - line.len()));
            line.push_str(head);
            end_line(out, &mut line);
            line.push(' ');
            word = tail;
        }
        line.push_str(word);
    }
    end_line(out, &mut line);
}

fn end_line(out: &mut Vec<u8>, line: &mut String) {
    out.extend_from_slice(line.as_bytes());
    out.extend_from_slice(b"\r\n");
    line.clear();
}

/// The largest index up to `index` at which `text` may be cut.
fn char_floor(text: &str, index: usize) -> usize {
    (0..=index.min(text.len()))
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: &[u8] =
        b"Received: a\r\n\tb\r\nSubject : x\r\nno field\r\n  goes on\r\nRECEIVED:\r\nTo:a\n\nbody: x\r\n";

    #[test]
    fn fields_are_found_where_they_stand() {
        let names: Vec<_> = fields(HEADER).map(|field| field.name).collect();
        assert_eq!(
            names,
            [&b"Received"[..], b"Subject", b"", b"RECEIVED", b"To"]
        );
        assert_eq!(count(HEADER, "received"), 2);
        let received = find(HEADER, "received").expect("a field");
        assert_eq!(&*received.value(), b"a\tb");
        assert_eq!(
            &HEADER[received.start..received.end],
            b"Received: a\r\n\tb\r\n"
        );
        assert_eq!(find(HEADER, "body"), None);
        assert_eq!(&HEADER[header_bytes(HEADER)..], b"body: x\r\n");
        assert_eq!(header_bytes(b"A: b\r\n"), 6);
        assert_eq!(header_bytes(b"\r\nx"), 2);
    }

    #[test]
    fn removing_a_field_leaves_the_rest_alone() {
        let kept = without(HEADER, "received");
        assert_eq!(
            kept,
            b"Subject : x\r\nno field\r\n  goes on\r\nTo:a\n\nbody: x\r\n"
        );
        assert_eq!(without(HEADER, "cc"), HEADER);
    }

    #[test]
    fn written_fields_are_folded_and_clean() {
        let write = |value: &str| {
            let mut out = Vec::new();
            write_field(&mut out, "X-Test", value);
            String::from_utf8(out).expect("text")
        };
        assert_eq!(write("a\r\nBcc: x\0y"), "X-Test: a Bcc: x y\r\n");
        assert_eq!(write(""), "X-Test:\r\n");
        let long = write(&"word ".repeat(40));
        assert!(
            long.lines().count() > 2 && long.lines().all(|line| line.len() <= 78),
            "{long}"
        );
        let huge = write(&"ä".repeat(3000));
        assert!(huge.lines().all(|line| line.len() <= 998));
        assert_eq!(huge.matches('ä').count(), 3000);
    }

    proptest! {
        #[test]
        fn fields_cover_the_header(header in "([A-Za-z:]{0,6}[ \t]?[a-z]{0,3}\r?\n?){0,12}") {
            let header = header.as_bytes();
            let mut at = 0;
            for field in fields(header) {
                prop_assert_eq!(field.start, at);
                prop_assert!(field.end > at);
                at = field.end;
            }
            prop_assert!(at <= header_bytes(header));
        }

        #[test]
        fn written_fields_read_back(value in "[a-zäß]{1,30}( [a-z]{1,1200}){0,5}") {
            let mut out = Vec::new();
            write_field(&mut out, "Subject", &value);
            prop_assert_eq!(fields(&out).count(), 1);
            let read = find(&out, "subject").expect("the field").value().into_owned();
            let read = String::from_utf8(read).expect("text");
            prop_assert_eq!(read.replace(' ', ""), value.replace(' ', ""));
        }
    }
}
