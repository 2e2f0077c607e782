//! What one scan found out about a message, and the views on it. Values are raw header bytes,
//! unfolded and trimmed. All offsets count from the message's first byte.

use std::ops::Range;

/// Facts about one message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    marks: Marks,
    received_count: u32,
}

/// What SMTP wants to know about the bytes themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marks {
    /// Bytes of the longest line without its line end.
    pub line_bytes_max: u64,
    /// A CR that is not followed by LF.
    pub bare_cr: bool,
    /// An LF that does not follow a CR.
    pub bare_lf: bool,
    /// A NUL byte.
    pub nul: bool,
    /// A byte over 127 anywhere.
    pub eight_bit: bool,
    /// A byte over 127 in the message's own header or a part's header (RFC 6532).
    pub eight_bit_header: bool,
    /// A limit of the scan was reached; the facts are correct but not complete.
    pub incomplete: bool,
}

impl Facts {
    /// Scans a message that lies in memory.
    pub fn scan(message: &[u8]) -> Facts {
        let mut scanner = super::Scanner::new();
        scanner.push(message);
        scanner.finish()
    }

    /// Bytes of the message.
    pub fn size(&self) -> u64 {
        0
    }

    /// Bytes of the message's header, the empty line included.
    pub fn header_bytes(&self) -> u64 {
        0
    }

    /// Facts about the bytes themselves.
    pub fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Received fields of the message's own header (RFC 5321 §6.3).
    pub fn received_count(&self) -> u32 {
        self.received_count
    }

    /// The Date field, in milliseconds since 1970-01-01T00:00:00Z, with the zone it was written in.
    pub fn date(&self) -> Option<crate::date::DateTime> {
        None
    }

    /// The envelope of the message.
    pub fn envelope(&self) -> Envelope<'_> {
        Envelope::default()
    }

    /// The References field.
    pub fn references(&self) -> Option<&[u8]> {
        None
    }

    /// The root of the MIME tree.
    pub fn root(&self) -> Part<'_> {
        Part {
            facts: self,
            index: 0,
        }
    }

    /// All parts in the order in which they begin; the first is the root.
    pub fn parts(&self) -> impl Iterator<Item = Part<'_>> + '_ {
        std::iter::once(self.root())
    }
}

/// The fields of IMAP's ENVELOPE (RFC 3501 §7.4.2), raw.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// Date.
    pub date: Option<&'a [u8]>,
    /// Subject.
    pub subject: Option<&'a [u8]>,
    /// From.
    pub from: Option<&'a [u8]>,
    /// Sender.
    pub sender: Option<&'a [u8]>,
    /// Reply-To.
    pub reply_to: Option<&'a [u8]>,
    /// To.
    pub to: Option<&'a [u8]>,
    /// Cc.
    pub cc: Option<&'a [u8]>,
    /// Bcc.
    pub bcc: Option<&'a [u8]>,
    /// In-Reply-To.
    pub in_reply_to: Option<&'a [u8]>,
    /// Message-ID.
    pub message_id: Option<&'a [u8]>,
}

/// How a part is structured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartKind {
    /// No parts inside.
    Leaf,
    /// multipart/*, with at least one child.
    Multipart,
    /// message/rfc822 or message/global; its one child is the root of the message inside.
    Message,
}

/// Content-Disposition (RFC 2183).
#[derive(Debug, Clone, Copy)]
pub struct Disposition<'a> {
    /// `inline`, `attachment` or another word, in lower case.
    pub kind: &'a [u8],
    pub(crate) part: Part<'a>,
}

/// One node of the MIME tree.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    facts: &'a Facts,
    index: usize,
}

impl<'a> Part<'a> {
    /// How the part is structured.
    pub fn kind(self) -> PartKind {
        PartKind::Leaf
    }

    /// Its position in [`Facts::parts`].
    pub fn index(self) -> usize {
        self.index
    }

    /// Where its header stands, the empty line included.
    pub fn header(self) -> Range<u64> {
        0..0
    }

    /// Where its body stands; the line end before the next boundary is not part of it (RFC 2046 §5.1.1).
    pub fn body(self) -> Range<u64> {
        0..0
    }

    /// Line ends inside the body.
    pub fn body_lines(self) -> u64 {
        0
    }

    /// The media type in lower case, `text` if there is none.
    pub fn media_type(self) -> &'a [u8] {
        b"text"
    }

    /// The media subtype in lower case, `plain` if there is none.
    pub fn subtype(self) -> &'a [u8] {
        b"plain"
    }

    /// Parameters of Content-Type: name in lower case and value; continuations are joined, values of
    /// `name*` are still percent-encoded (RFC 2231 §3, §4).
    pub fn params(self) -> impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])> {
        std::iter::empty()
    }

    /// The parameter `name` of Content-Type.
    pub fn param(self, name: &str) -> Option<&'a [u8]> {
        self.params()
            .find(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }

    /// Content-ID.
    pub fn id(self) -> Option<&'a [u8]> {
        None
    }

    /// Content-Description.
    pub fn description(self) -> Option<&'a [u8]> {
        None
    }

    /// Content-Transfer-Encoding in lower case.
    pub fn encoding(self) -> Option<&'a [u8]> {
        None
    }

    /// Content-MD5.
    pub fn md5(self) -> Option<&'a [u8]> {
        None
    }

    /// Content-Disposition.
    pub fn disposition(self) -> Option<Disposition<'a>> {
        None
    }

    /// Content-Language, raw: words separated by commas.
    pub fn language(self) -> Option<&'a [u8]> {
        None
    }

    /// Content-Location.
    pub fn location(self) -> Option<&'a [u8]> {
        None
    }

    /// The envelope, where this part is the root of a message (the whole one or one inside).
    pub fn envelope(self) -> Option<Envelope<'a>> {
        let _ = self.facts;
        None
    }

    /// The parts directly inside.
    pub fn children(self) -> impl Iterator<Item = Part<'a>> {
        std::iter::empty()
    }
}

impl<'a> Disposition<'a> {
    /// Parameters, as [`Part::params`].
    pub fn params(self) -> impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])> {
        let _ = self.part;
        std::iter::empty()
    }
}
