//! Decoded-text matching for IMAP SEARCH (RFC 3501 §6.4.4): transfer encodings and charsets are
//! decoded while streaming, letters compare without case, white space of any kind and length counts
//! as one space. Bounded memory; never reads by itself.

use std::fmt;
use std::ops::Range;

use encoding_rs::{CoderResult, Encoding, UTF_8};
use memchr::memmem::Finder;

use crate::header;
use crate::message::{Facts, Part, PartKind};
use crate::transfer;
use html::Html;

mod html;

/// A text to look for, prepared once per search.
#[derive(Clone)]
pub struct Needle {
    finder: Finder<'static>,
}

impl fmt::Debug for Needle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folded = String::from_utf8_lossy(self.finder.needle());
        f.debug_tuple("Needle").field(&folded).finish()
    }
}

impl Needle {
    /// Prepares `text`; the empty text is found everywhere.
    pub fn new(text: &str) -> Self {
        let mut folded = Folded::default();
        folded.push_str(text);
        Self {
            finder: Finder::new(&folded.bytes).into_owned(),
        }
    }

    /// Is the text in this plain text?
    pub fn is_in_text(&self, text: &str) -> bool {
        let mut folded = Folded::default();
        folded.push_str(text);
        self.finder.find(&folded.bytes).is_some()
    }

    /// Is the text in this raw header value, RFC 2047 decoded?
    pub fn is_in_header_value(&self, raw_value: &[u8]) -> bool {
        self.is_in_text(&header::decode_text(raw_value))
    }

    /// Is the text in any field of this header (name, colon and decoded value)?
    pub fn is_in_header(&self, header: &[u8]) -> bool {
        header::fields(header).any(|field| {
            let mut text = String::from_utf8_lossy(field.name).into_owned();
            text.push_str(": ");
            text.push_str(&header::decode_text(field.raw_value));
            self.is_in_text(&text)
        })
    }

    /// Is the text in a message that lies in memory?
    pub fn is_in_message(&self, message: &[u8], facts: &Facts, scope: Scope) -> bool {
        stretches(facts, scope).into_iter().any(|stretch| {
            let start = usize::try_from(stretch.range.start).unwrap_or(usize::MAX);
            let end = usize::try_from(stretch.range.end).unwrap_or(usize::MAX);
            let bytes = message.get(start..end).unwrap_or_default();
            let Some(part) = stretch.part.and_then(|index| facts.part(index)) else {
                return self.is_in_header(bytes);
            };
            let mut search = BodySearch::new(part, self);
            search.push(bytes) || search.finish()
        })
    }
}

/// BODY or TEXT of SEARCH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// BODY: bodies, and headers of parts and of messages inside.
    Body,
    /// TEXT: the message's own header too.
    Text,
}

/// One stretch of a message to look through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// Where it stands.
    pub range: Range<u64>,
    /// Index of the part whose body it is; `None` for a header.
    pub part: Option<usize>,
}

/// What to read for a search in `scope`, in order: headers, and bodies of text parts.
pub fn stretches(facts: &Facts, scope: Scope) -> Vec<Stretch> {
    let mut stretches = Vec::new();
    for part in facts.parts() {
        if part.index() > 0 || scope == Scope::Text {
            stretches.push(Stretch {
                range: part.header(),
                part: None,
            });
        }
        // A delivery status is read by people too; other types than these two hold no text.
        let is_text = matches!(part.media_type(), b"text" | b"message");
        if part.kind() == PartKind::Leaf && is_text {
            stretches.push(Stretch {
                range: part.body(),
                part: Some(part.index()),
            });
        }
    }
    stretches.retain(|stretch| !stretch.range.is_empty());
    stretches
}

/// Bytes decoded at a time, so that memory stays bounded however much is pushed.
const STEP_BYTES: usize = 16 << 10;

/// Looks for a needle in one part's body, pushed in chunks of any size.
pub struct BodySearch<'n> {
    needle: &'n Needle,
    transfer: transfer::Decoder,
    charset: encoding_rs::Decoder,
    html: Option<Html>,
    folded: Folded,
    /// Buffers kept between steps.
    decoded: Vec<u8>,
    text: String,
    found: bool,
}

impl<'n> BodySearch<'n> {
    /// Begins a search in the body of `part`.
    pub fn new(part: Part<'_>, needle: &'n Needle) -> Self {
        let is_html = part.media_type() == b"text" && part.subtype() == b"html";
        Self {
            needle,
            transfer: transfer::Decoder::new(part.encoding()),
            charset: charset(part.param("charset")).new_decoder(),
            html: is_html.then(Html::default),
            folded: Folded::default(),
            decoded: Vec::new(),
            text: String::new(),
            found: needle.finder.needle().is_empty(),
        }
    }

    /// The next bytes of the body, still encoded. True once the needle is found; more is not needed.
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        for step in bytes.chunks(STEP_BYTES) {
            if self.found {
                break;
            }
            let mut decoded = std::mem::take(&mut self.decoded);
            decoded.clear();
            self.transfer.push(step, &mut decoded);
            self.look(&decoded, Last::No);
            self.decoded = decoded;
        }
        self.found
    }

    /// The end of the body: was the needle found?
    pub fn finish(mut self) -> bool {
        if !self.found {
            let mut decoded = Vec::new();
            let transfer = std::mem::replace(&mut self.transfer, transfer::Decoder::new(None));
            transfer.finish(&mut decoded);
            self.look(&decoded, Last::Yes);
        }
        self.found
    }

    fn look(&mut self, decoded: &[u8], last: Last) {
        let mut rest = decoded;
        loop {
            self.text.clear();
            let room = self.charset.max_utf8_buffer_length(rest.len());
            self.text
                .reserve(room.unwrap_or(4 * STEP_BYTES).min(4 * STEP_BYTES));
            let (result, read, _) =
                self.charset
                    .decode_to_string(rest, &mut self.text, last == Last::Yes);
            rest = rest.get(read..).unwrap_or_default();
            match &mut self.html {
                Some(html) => html.push(&self.text, &mut self.folded),
                None => self.folded.push_str(&self.text),
            }
            self.found |= self.needle.finder.find(&self.folded.bytes).is_some();
            if self.found {
                return;
            }
            self.folded.keep_last(self.needle.finder.needle().len());
            if result == CoderResult::InputEmpty {
                return;
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    No,
    Yes,
}

/// What a charset label means in mail. Text that claims to be ASCII, or nothing, and is not, is
/// UTF-8 more often than anything else.
fn charset(label: Option<&[u8]>) -> &'static Encoding {
    match label {
        None => UTF_8,
        Some(label) if label.eq_ignore_ascii_case(b"us-ascii") => UTF_8,
        Some(label) => Encoding::for_label(label).unwrap_or(UTF_8),
    }
}

/// Text with case and white space folded.
#[derive(Default)]
struct Folded {
    bytes: Vec<u8>,
    /// The last letter was white space; it may lie before what `keep_last` kept.
    after_space: bool,
}

impl Folded {
    fn push_str(&mut self, text: &str) {
        self.bytes.reserve(text.len());
        let mut rest = text;
        while !rest.is_empty() {
            let ascii = rest
                .bytes()
                .position(|byte| byte >= 0x80)
                .unwrap_or(rest.len());
            let (head, tail) = rest.split_at(ascii);
            for byte in head.bytes() {
                self.push_ascii(byte);
            }
            let mut letters = tail.chars();
            if let Some(letter) = letters.next() {
                self.push(letter);
            }
            rest = letters.as_str();
        }
    }

    fn push_ascii(&mut self, byte: u8) {
        if byte.is_ascii_whitespace() {
            return self.push_space();
        }
        self.after_space = false;
        self.bytes.push(byte.to_ascii_lowercase());
    }

    fn push_space(&mut self) {
        if !self.after_space {
            self.bytes.push(b' ');
        }
        self.after_space = true;
    }

    fn push(&mut self, letter: char) {
        if letter.is_ascii() {
            return self.push_ascii(letter as u8);
        }
        // A soft hyphen is not seen, so nobody types it.
        if letter == '\u{ad}' {
            return;
        }
        if letter.is_whitespace() {
            return self.push_space();
        }
        self.after_space = false;
        // The lower case of the upper case makes one of the forms that only differ in place, such as
        // the two small sigmas; a letter whose upper case is two letters stays itself.
        let mut upper = letter.to_uppercase();
        let letter = match (upper.next(), upper.next()) {
            (Some(upper), None) => upper,
            _ => letter,
        };
        for lower in letter.to_lowercase() {
            let mut buffer = [0; 4];
            self.bytes
                .extend_from_slice(lower.encode_utf8(&mut buffer).as_bytes());
        }
    }

    /// Forgets all but the bytes in which a needle of this length may have begun.
    fn keep_last(&mut self, needle_bytes: usize) {
        let surplus = self
            .bytes
            .len()
            .saturating_sub(needle_bytes.saturating_sub(1));
        self.bytes.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(needle: &str, message: &[u8], scope: Scope) -> bool {
        Needle::new(needle).is_in_message(message, &Facts::scan(message), scope)
    }

    fn in_part(needle: &str, header: &str, body: &[u8]) -> bool {
        let message = [header.as_bytes(), b"\r\n\r\n", body].concat();
        found(needle, &message, Scope::Body)
    }

    #[test]
    fn case_and_space_do_not_matter() {
        for (needle, text) in [
            ("", ""),
            ("GRÜSSE", "viele grüsse"),
            ("straße", "STRAẞE"),
            ("ΣΑΣ", "σας"),
            ("a b", "A\r\n\tB"),
            ("a\u{a0}b", "a b"),
            ("silbentrennung", "Silben\u{ad}trennung"),
        ] {
            assert!(Needle::new(needle).is_in_text(text), "{needle} {text}");
        }
        assert!(!Needle::new("ab").is_in_text("a b"));
        assert!(!Needle::new("x").is_in_text(""));
    }

    #[test]
    fn headers_are_decoded() {
        let header = b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n aus Berlin\r\nFrom: a@x\r\n\r\n";
        let is_in = |needle: &str| Needle::new(needle).is_in_header(header);
        assert!(is_in("GRÜßE AUS"));
        assert!(is_in("subject: grü"));
        assert!(!is_in("utf-8"));
        assert!(Needle::new("jörg").is_in_header_value(b"=?iso-8859-1?Q?J=F6rg?= <j@x>"));
    }

    #[test]
    fn bodies_are_decoded() {
        let qp = "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable";
        assert!(in_part(
            "grüße aus",
            qp,
            b"viele Gr=FC=\r\n=DFe\r\naus Berlin"
        ));
        assert!(!in_part("fc", qp, b"viele Gr=FC=DFe"));
        let base64 = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64";
        assert!(in_part("grüße", base64, b"R3LD\r\nvMOf\r\nZQ"));
        assert!(in_part(
            "日本",
            "Content-Type: text/plain; charset=iso-2022-jp",
            b"\x1b$BF|K\\\x1b(B"
        ));
        assert!(in_part("grüße", "Subject: x", "Grüße".as_bytes()));
        assert!(!in_part("x", "Subject: x", b"body"));
        assert!(!in_part("abc", "Content-Type: image/png", b"abc"));
    }

    #[test]
    fn markup_is_not_text() {
        let html = "Content-Type: text/html; charset=utf-8";
        let body = b"<html><style>p { color: red }</style><p class=\"hidden\">Gr&uuml;&#xDF;e <b>aus</b> Ber<i>lin</i><br>Nord&nbsp;&amp; S&#252;d<!-- secret --></p><p>Ende";
        for needle in ["grüße aus berlin nord & süd", "süd ende"] {
            assert!(in_part(needle, html, body), "{needle}");
        }
        for needle in ["color", "hidden", "secret", "<b>", "berlinnord", "südende"] {
            assert!(!in_part(needle, html, body), "{needle}");
        }
        assert!(in_part("a < b & c &x; d", html, b"a < b & c &x; d"));
    }

    #[test]
    fn the_scope_decides_about_the_header() {
        let message = b"Subject: outside\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/pdf; name=\"rechnung.pdf\"\r\n\r\nbytes\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inside\r\n\r\ndeep\r\n--b--\r\n";
        assert!(found("outside", message, Scope::Text));
        assert!(!found("outside", message, Scope::Body));
        for needle in ["rechnung.pdf", "inside", "deep"] {
            assert!(found(needle, message, Scope::Body), "{needle}");
        }
        assert!(!found("bytes", message, Scope::Text));
    }

    proptest! {
        #[test]
        fn splits_do_not_matter(
            body in proptest::collection::vec(prop_oneof![
                Just("abc".to_owned()), Just(" ".to_owned()), Just("\r\n".to_owned()), Just("=C3=BC".to_owned()),
                Just("=".to_owned()), Just("<b>".to_owned()), Just("<p>".to_owned()), Just("&uuml;".to_owned()),
                Just("<!--".to_owned()), Just("-->".to_owned()), Just("<style>".to_owned()), Just("</style>".to_owned()),
            ], 0..20),
            cut in any::<prop::sample::Index>(),
            needle in "[abcü ]{1,6}",
        ) {
            let body = body.concat();
            let message = format!("Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{body}");
            let facts = Facts::scan(message.as_bytes());
            let needle = Needle::new(&needle);
            let search = |pieces: [&[u8]; 2]| {
                let mut search = BodySearch::new(facts.root(), &needle);
                search.push(pieces[0]);
                search.push(pieces[1]);
                search.finish()
            };
            let (head, tail) = body.as_bytes().split_at(cut.index(body.len() + 1));
            prop_assert_eq!(search([head, tail]), search([body.as_bytes(), b""]));
        }

        #[test]
        fn never_panics(message in proptest::collection::vec(any::<u8>(), 0..80), charset in "[a-z0-9-]{0,12}|utf-16|iso-2022-jp|gb18030", needle in "\\PC{0,5}") {
            let mut whole = format!("Content-Type: text/html; charset={charset}\r\n\r\n").into_bytes();
            whole.extend_from_slice(&message);
            let _ = found(&needle, &whole, Scope::Text);
        }
    }
}
