//! Which header fields a scan keeps, and the collecting of one value at a time: unfolding, trimming,
//! limits. The scanner calls it line by line; it never sees bodies.

use super::facts::{Facts, ParamRun, PartRecord, Span};
use super::limits::Limits;
use super::mime;

/// Fields that matter. The first ten are those of an envelope, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldName {
    Date,
    Subject,
    From,
    Sender,
    ReplyTo,
    To,
    Cc,
    Bcc,
    InReplyTo,
    MessageId,
    References,
    Received,
    ContentType,
    ContentTransferEncoding,
    ContentDisposition,
    ContentId,
    ContentDescription,
    ContentLanguage,
    ContentLocation,
    ContentMd5,
}

impl FieldName {
    /// The field called `name`, if it is kept in such a header.
    pub(super) fn find(name: &[u8], is_message: bool) -> Option<FieldName> {
        use FieldName::*;
        let is = |text: &str, field| name.eq_ignore_ascii_case(text.as_bytes()).then_some(field);
        match name.len() {
            2 => is("to", To).or_else(|| is("cc", Cc)),
            3 => is("bcc", Bcc),
            4 => is("from", From).or_else(|| is("date", Date)),
            6 => is("sender", Sender),
            7 => is("subject", Subject),
            8 => is("received", Received).or_else(|| is("reply-to", ReplyTo)),
            10 => is("message-id", MessageId)
                .or_else(|| is("references", References))
                .or_else(|| is("content-id", ContentId)),
            11 => is("in-reply-to", InReplyTo).or_else(|| is("content-md5", ContentMd5)),
            12 => is("content-type", ContentType),
            16 => is("content-language", ContentLanguage)
                .or_else(|| is("content-location", ContentLocation)),
            19 => is("content-disposition", ContentDisposition)
                .or_else(|| is("content-description", ContentDescription)),
            25 => is("content-transfer-encoding", ContentTransferEncoding),
            _ => None,
        }
        .filter(|&field| is_message || field as u8 >= ContentType as u8)
    }
}

/// Collects one value at a time.
#[derive(Debug)]
pub(super) struct Collector {
    limits: Limits,
    field: Option<FieldName>,
    value: Vec<u8>,
    /// Parameters weigh on the limit of kept bytes too, as they cost memory even where empty.
    param_bytes: usize,
    content_type_seen: bool,
    cut: bool,
}

impl Collector {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            field: None,
            value: Vec::new(),
            param_bytes: 0,
            content_type_seen: false,
            cut: false,
        }
    }

    pub(super) fn begin_header(&mut self) {
        self.field = None;
        self.content_type_seen = false;
    }

    pub(super) fn begin_field(&mut self, field: FieldName, value: &[u8]) {
        self.field = Some(field);
        self.value.clear();
        self.continue_field(value.trim_ascii_start());
    }

    /// A folded line: only its line end is not part of the value (RFC 5322 §2.2.3).
    pub(super) fn continue_field(&mut self, text: &[u8]) {
        if self.field.is_none() {
            return;
        }
        let text = match self.value.is_empty() {
            true => text.trim_ascii_start(),
            false => text,
        };
        let room = self.limits.value_bytes_max.saturating_sub(self.value.len());
        self.cut |= room < text.len();
        self.value
            .extend_from_slice(text.get(..room).unwrap_or(text));
    }

    pub(super) fn end_field(&mut self, facts: &mut Facts, index: usize) {
        let Some(field) = self.field.take() else {
            return;
        };
        let value = std::mem::take(&mut self.value);
        self.store(facts, index, field, value.trim_ascii_end());
        self.value = value;
        facts.marks.incomplete |= std::mem::take(&mut self.cut);
    }

    /// Adds a value to the kept ones; `Span::NONE` where the limit is reached.
    pub(super) fn keep(&mut self, text: &mut Vec<u8>, value: &[u8]) -> Span {
        if text.len() + self.param_bytes + value.len() > self.limits.kept_bytes_max {
            self.cut = true;
            return Span::NONE;
        }
        let (Ok(start), Ok(bytes)) = (u32::try_from(text.len()), u32::try_from(value.len())) else {
            return Span::NONE;
        };
        text.extend_from_slice(value);
        Span { start, bytes }
    }

    fn store(&mut self, facts: &mut Facts, index: usize, field: FieldName, value: &[u8]) {
        use FieldName::*;
        let Some(part) = facts.parts.get_mut(index) else {
            return;
        };
        let place: &mut Span = match field {
            Received => return,
            ContentType => return self.content_type(facts, index, value),
            ContentDisposition => return self.content_disposition(facts, index, value),
            References if index == 0 => &mut facts.references,
            References => return,
            ContentTransferEncoding => &mut part.encoding,
            ContentId => &mut part.id,
            ContentDescription => &mut part.description,
            ContentLanguage => &mut part.language,
            ContentLocation => &mut part.location,
            ContentMd5 => &mut part.md5,
            _ => return self.envelope_field(facts, index, field, value),
        };
        if !place.is_none() {
            return;
        }
        if field == ContentTransferEncoding {
            let word = mime::encoding_word(value);
            if word.is_empty() {
                return;
            }
            *place = self.keep(&mut facts.text, &word.to_ascii_lowercase());
        } else {
            *place = self.keep(&mut facts.text, value);
        }
    }

    fn envelope_field(&mut self, facts: &mut Facts, index: usize, field: FieldName, value: &[u8]) {
        let envelope = facts.parts.get(index).and_then(|part| part.envelope);
        let spans = envelope.and_then(|at| facts.envelopes.get_mut(at as usize));
        let Some(place) = spans.and_then(|spans| spans.get_mut(field as usize)) else {
            return;
        };
        if place.is_none() {
            *place = self.keep(&mut facts.text, value);
            return;
        }
        // RFC 5322 §3.6 allows each only once; the first counts, but no recipient is dropped.
        let is_recipients = matches!(field, FieldName::To | FieldName::Cc | FieldName::Bcc);
        if !is_recipients || value.is_empty() {
            return;
        }
        let start = place.start as usize;
        let mut joined = facts
            .text
            .get(start..start + place.bytes as usize)
            .unwrap_or_default()
            .to_vec();
        if joined.len() + value.len() > self.limits.value_bytes_max {
            self.cut = true;
            return;
        }
        joined.extend_from_slice(b", ");
        joined.extend_from_slice(value);
        let span = self.keep(&mut facts.text, &joined);
        if !span.is_none() {
            *place = span;
        }
    }

    fn content_type(&mut self, facts: &mut Facts, index: usize, value: &[u8]) {
        if std::mem::replace(&mut self.content_type_seen, true) {
            return;
        }
        let parsed = mime::parse(value, self.limits.params_max);
        // RFC 2045 §5.2: what cannot be read is text/plain.
        let Some((media_type, subtype)) = mime::split_type(&parsed.word) else {
            return;
        };
        let media_type = self.keep(&mut facts.text, media_type);
        let subtype = self.keep(&mut facts.text, subtype);
        let params = self.params(facts, &parsed);
        if let Some(part) = facts.parts.get_mut(index)
            && !media_type.is_none()
            && !subtype.is_none()
        {
            *part = PartRecord {
                media_type,
                subtype,
                params,
                ..*part
            };
        }
    }

    fn content_disposition(&mut self, facts: &mut Facts, index: usize, value: &[u8]) {
        let seen = facts
            .parts
            .get(index)
            .map(|part| part.disposition.is_none());
        if seen != Some(true) {
            return;
        }
        let parsed = mime::parse(value, self.limits.params_max);
        if parsed.word.is_empty() {
            return;
        }
        let disposition = self.keep(&mut facts.text, &parsed.word);
        let disposition_params = self.params(facts, &parsed);
        if let Some(part) = facts.parts.get_mut(index) {
            part.disposition = disposition;
            part.disposition_params = disposition_params;
        }
    }

    fn params(&mut self, facts: &mut Facts, parsed: &mime::Value) -> ParamRun {
        self.cut |= parsed.cut;
        let first = facts.params.len();
        for (name, value) in &parsed.params {
            self.param_bytes += size_of::<(Span, Span)>();
            let name = self.keep(&mut facts.text, name);
            let value = self.keep(&mut facts.text, value);
            if value.is_none() {
                break;
            }
            facts.params.push((name, value));
        }
        let count = facts.params.len() - first;
        match (u32::try_from(first), u32::try_from(count)) {
            (Ok(first), Ok(count)) => ParamRun { first, count },
            _ => ParamRun::default(),
        }
    }
}
