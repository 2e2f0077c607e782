//! What one scan found out about a message, and the views on it. Values are raw header bytes,
//! unfolded and trimmed. All offsets count from the message's first byte.

use std::ops::Range;

use crate::date::DateTime;

/// A stretch of `Facts::text`; `NONE` stands for a value that is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) bytes: u32,
}

impl Span {
    pub(super) const NONE: Span = Span {
        start: u32::MAX,
        bytes: 0,
    };

    pub(super) fn is_none(self) -> bool {
        self.start == u32::MAX
    }
}

impl Default for Span {
    fn default() -> Self {
        Span::NONE
    }
}

/// A run of `Facts::params`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct ParamRun {
    pub(super) first: u32,
    pub(super) count: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PartRecord {
    pub(super) header_start: u64,
    pub(super) body_start: u64,
    pub(super) body_end: u64,
    pub(super) body_lines: u64,
    /// Index just past the last part inside this one.
    pub(super) next: u32,
    pub(super) kind: PartKind,
    pub(super) media_type: Span,
    pub(super) subtype: Span,
    pub(super) params: ParamRun,
    pub(super) id: Span,
    pub(super) description: Span,
    pub(super) encoding: Span,
    pub(super) md5: Span,
    pub(super) disposition: Span,
    pub(super) disposition_params: ParamRun,
    pub(super) language: Span,
    pub(super) location: Span,
    /// Index into `Facts::envelopes`.
    pub(super) envelope: Option<u32>,
}

impl PartRecord {
    pub(super) fn new(header_start: u64) -> Self {
        Self {
            header_start,
            body_start: header_start,
            body_end: header_start,
            body_lines: 0,
            next: 0,
            kind: PartKind::Leaf,
            media_type: Span::NONE,
            subtype: Span::NONE,
            params: ParamRun::default(),
            id: Span::NONE,
            description: Span::NONE,
            encoding: Span::NONE,
            md5: Span::NONE,
            disposition: Span::NONE,
            disposition_params: ParamRun::default(),
            language: Span::NONE,
            location: Span::NONE,
            envelope: None,
        }
    }
}

/// Number of fields in an envelope, in the order of [`Envelope`].
pub(super) const ENVELOPE_FIELDS: usize = 10;
pub(super) type EnvelopeSpans = [Span; ENVELOPE_FIELDS];

/// Facts about one message. Two are equal when they say the same.
#[derive(Debug, Clone)]
pub struct Facts {
    pub(super) size: u64,
    pub(super) marks: Marks,
    pub(super) received_count: u32,
    pub(super) date: Option<DateTime>,
    pub(super) references: Span,
    /// In the order in which they begin; never empty.
    pub(super) parts: Vec<PartRecord>,
    pub(super) params: Vec<(Span, Span)>,
    /// The first is the root's; never empty.
    pub(super) envelopes: Vec<EnvelopeSpans>,
    /// The bytes all spans point into.
    pub(super) text: Vec<u8>,
}

impl Default for Facts {
    /// The facts of the empty message.
    fn default() -> Self {
        let mut root = PartRecord::new(0);
        root.next = 1;
        root.envelope = Some(0);
        Self {
            size: 0,
            marks: Marks::default(),
            received_count: 0,
            date: None,
            references: Span::NONE,
            parts: vec![root],
            params: Vec::new(),
            envelopes: vec![[Span::NONE; ENVELOPE_FIELDS]],
            text: Vec::new(),
        }
    }
}

impl PartialEq for Facts {
    fn eq(&self, other: &Self) -> bool {
        self.to_bytes() == other.to_bytes()
    }
}

impl Eq for Facts {}

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
        self.size
    }

    /// Bytes of the message's header, the empty line included.
    pub fn header_bytes(&self) -> u64 {
        self.parts.first().map_or(0, |root| root.body_start)
    }

    /// Facts about the bytes themselves.
    pub fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Received fields of the message's own header (RFC 5321 §6.3).
    pub fn received_count(&self) -> u32 {
        self.received_count
    }

    /// The Date field, with the zone it was written in.
    pub fn date(&self) -> Option<DateTime> {
        self.date
    }

    /// The envelope of the message.
    pub fn envelope(&self) -> Envelope<'_> {
        self.envelope_at(0)
    }

    /// The References field.
    pub fn references(&self) -> Option<&[u8]> {
        self.slice(self.references)
    }

    /// The root of the MIME tree.
    pub fn root(&self) -> Part<'_> {
        Part {
            facts: self,
            index: 0,
        }
    }

    /// The part at this position of [`Facts::parts`].
    pub fn part(&self, index: usize) -> Option<Part<'_>> {
        (index < self.parts.len()).then_some(Part { facts: self, index })
    }

    /// All parts in the order in which they begin; the first is the root.
    pub fn parts(&self) -> impl ExactSizeIterator<Item = Part<'_>> + '_ {
        (0..self.parts.len()).map(|index| Part { facts: self, index })
    }

    fn slice(&self, span: Span) -> Option<&[u8]> {
        let start = span.start as usize;
        // An absent span starts past the end of any text.
        self.text
            .get(start..start.checked_add(span.bytes as usize)?)
    }

    fn envelope_at(&self, index: usize) -> Envelope<'_> {
        let spans = self.envelopes.get(index);
        let spans = spans.copied().unwrap_or([Span::NONE; ENVELOPE_FIELDS]);
        Envelope::from_values(spans.map(|span| match span.is_none() {
            true => None,
            false => self.slice(span),
        }))
    }

    fn param_run(
        &self,
        run: ParamRun,
    ) -> impl ExactSizeIterator<Item = (&'_ [u8], &'_ [u8])> + use<'_> {
        let first = run.first as usize;
        let run = self.params.get(first..first + run.count as usize);
        run.unwrap_or_default().iter().map(|&(name, value)| {
            (
                self.slice(name).unwrap_or_default(),
                self.slice(value).unwrap_or_default(),
            )
        })
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
    /// To; several fields are joined by commas.
    pub to: Option<&'a [u8]>,
    /// Cc; several fields are joined by commas.
    pub cc: Option<&'a [u8]>,
    /// Bcc; several fields are joined by commas.
    pub bcc: Option<&'a [u8]>,
    /// In-Reply-To.
    pub in_reply_to: Option<&'a [u8]>,
    /// Message-ID.
    pub message_id: Option<&'a [u8]>,
}

impl<'a> Envelope<'a> {
    pub(super) fn from_values(values: [Option<&'a [u8]>; ENVELOPE_FIELDS]) -> Self {
        let [
            date,
            subject,
            from,
            sender,
            reply_to,
            to,
            cc,
            bcc,
            in_reply_to,
            message_id,
        ] = values;
        Self {
            date,
            subject,
            from,
            sender,
            reply_to,
            to,
            cc,
            bcc,
            in_reply_to,
            message_id,
        }
    }
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

/// One node of the MIME tree.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    facts: &'a Facts,
    index: usize,
}

impl<'a> Part<'a> {
    // A `Part` is only made for an index that exists, and `parts` never shrinks.
    fn record(self) -> &'a PartRecord {
        &self.facts.parts[self.index]
    }

    fn value(self, span: Span) -> Option<&'a [u8]> {
        match span.is_none() {
            true => None,
            false => self.facts.slice(span),
        }
    }

    /// How the part is structured.
    pub fn kind(self) -> PartKind {
        self.record().kind
    }

    /// Its position in [`Facts::parts`].
    pub fn index(self) -> usize {
        self.index
    }

    /// Where its header stands, the empty line included.
    pub fn header(self) -> Range<u64> {
        self.record().header_start..self.record().body_start
    }

    /// Where its body stands; the line end before the next boundary is not part of it (RFC 2046 §5.1.1).
    pub fn body(self) -> Range<u64> {
        self.record().body_start..self.record().body_end
    }

    /// Line ends inside the body.
    pub fn body_lines(self) -> u64 {
        self.record().body_lines
    }

    /// The media type in lower case, `text` if there is none. A multipart whose boundary is missing or
    /// never seen counts as text/plain; one past the limits of the scan as application/octet-stream.
    pub fn media_type(self) -> &'a [u8] {
        self.value(self.record().media_type).unwrap_or(b"text")
    }

    /// The media subtype in lower case, `plain` if there is none.
    pub fn subtype(self) -> &'a [u8] {
        self.value(self.record().subtype).unwrap_or(b"plain")
    }

    /// Parameters of Content-Type: name in lower case and value; continuations are joined, values of
    /// `name*` are still percent-encoded (RFC 2231 §3, §4).
    pub fn params(self) -> impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])> {
        self.facts.param_run(self.record().params)
    }

    /// The parameter `name` of Content-Type.
    pub fn param(self, name: &str) -> Option<&'a [u8]> {
        self.params()
            .find(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }

    /// Content-ID.
    pub fn id(self) -> Option<&'a [u8]> {
        self.value(self.record().id)
    }

    /// Content-Description.
    pub fn description(self) -> Option<&'a [u8]> {
        self.value(self.record().description)
    }

    /// Content-Transfer-Encoding in lower case.
    pub fn encoding(self) -> Option<&'a [u8]> {
        self.value(self.record().encoding)
    }

    /// Content-MD5.
    pub fn md5(self) -> Option<&'a [u8]> {
        self.value(self.record().md5)
    }

    /// Content-Disposition.
    pub fn disposition(self) -> Option<Disposition<'a>> {
        let kind = self.value(self.record().disposition)?;
        Some(Disposition { kind, part: self })
    }

    /// Content-Language, raw: words separated by commas.
    pub fn language(self) -> Option<&'a [u8]> {
        self.value(self.record().language)
    }

    /// Content-Location.
    pub fn location(self) -> Option<&'a [u8]> {
        self.value(self.record().location)
    }

    /// The envelope, where this part is the root of a message (the whole one or one inside).
    pub fn envelope(self) -> Option<Envelope<'a>> {
        let index = self.record().envelope?;
        Some(self.facts.envelope_at(index as usize))
    }

    /// The parts directly inside.
    pub fn children(self) -> impl Iterator<Item = Part<'a>> {
        let end = self.record().next as usize;
        let first = Some(self.index + 1).filter(|&index| index < end);
        std::iter::successors(first, move |&index| {
            let next = self.facts.parts.get(index)?.next as usize;
            (next < end).then_some(next)
        })
        .map(move |index| Part {
            facts: self.facts,
            index,
        })
    }
}

/// Content-Disposition (RFC 2183).
#[derive(Debug, Clone, Copy)]
pub struct Disposition<'a> {
    /// `inline`, `attachment` or another word, in lower case.
    pub kind: &'a [u8],
    part: Part<'a>,
}

impl<'a> Disposition<'a> {
    /// Parameters, as [`Part::params`].
    pub fn params(self) -> impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])> {
        let run = self.part.record().disposition_params;
        self.part.facts.param_run(run)
    }
}
