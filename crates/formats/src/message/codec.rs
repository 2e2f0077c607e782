//! The stored form of `Facts`: a version byte, then the root's envelope, then the rest, so that an
//! ENVELOPE can be answered from the first bytes. Reading checks everything and never panics.
//!
//! Numbers are LEB128; a value is its length plus one, then its bytes; 0 stands for no value.
//! A later release may add bytes at the end under the same version only if older ones may ignore them.

use super::facts::{
    ENVELOPE_FIELDS, Envelope, EnvelopeSpans, Facts, Marks, ParamRun, PartKind, PartRecord, Span,
};
use super::limits::DEPTH_MAX;
use crate::date::DateTime;

const VERSION: u8 = 1;

/// Why stored facts cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FactsError {
    /// Written by a later release.
    #[error("the stored message facts have version {0}, which this release does not know")]
    Version(u8),
    /// Shorter than it says, or inconsistent.
    #[error("the stored message facts are damaged")]
    Damaged,
}

impl Facts {
    /// The compact stored form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer {
            facts: self,
            out: Vec::with_capacity(self.text.len() + 32 + 16 * self.parts.len()),
        };
        writer.out.push(VERSION);
        writer.envelope(0);
        writer.number(self.size);
        writer.out.push(mark_bits(&self.marks));
        writer.number(self.marks.line_bytes_max);
        writer.number(u64::from(self.received_count));
        writer.date(self.date);
        writer.value(self.references);
        writer.number(self.parts.len() as u64);
        let mut start = 0;
        for (index, part) in self.parts.iter().enumerate() {
            writer.part(index, part, &mut start);
        }
        writer.out
    }

    /// Reads the stored form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Facts, FactsError> {
        let mut reader = Reader::new(bytes)?;
        let mut facts = Facts {
            parts: Vec::new(),
            envelopes: vec![reader.envelope()?],
            size: reader.number()?,
            marks: marks_from_bits(reader.byte()?),
            ..Facts::default()
        };
        facts.marks.line_bytes_max = reader.number()?;
        facts.received_count = reader.small()?;
        facts.date = reader.date()?;
        facts.references = reader.value()?;
        let parts = reader.small()? as usize;
        // No part takes fewer bytes than this, so a lying count cannot make us allocate.
        if parts == 0 || parts > reader.left() / PART_BYTES_MIN {
            return Err(FactsError::Damaged);
        }
        facts.parts.reserve_exact(parts);
        let mut start = 0;
        for index in 0..parts {
            let part = reader.part(&mut facts, index, &mut start)?;
            facts.parts.push(part);
        }
        match tree_is_sound(&facts) {
            true => {
                facts.text = bytes.to_vec();
                Ok(facts)
            }
            false => Err(FactsError::Damaged),
        }
    }
}

impl<'a> Envelope<'a> {
    /// Reads only the root's envelope out of stored facts.
    pub fn from_facts_bytes(bytes: &'a [u8]) -> Result<Envelope<'a>, FactsError> {
        let spans = Reader::new(bytes)?.envelope()?;
        Ok(Envelope::from_values(spans.map(|span| {
            let start = span.start as usize;
            bytes.get(start..start.checked_add(span.bytes as usize)?)
        })))
    }
}

/// Start, header bytes, body bytes, lines, parts inside, kind, two bytes of presence.
const PART_BYTES_MIN: usize = 8;

const HAS_TYPE: u16 = 1;
const HAS_PARAMS: u16 = 1 << 1;
const HAS_ID: u16 = 1 << 2;
const HAS_DESCRIPTION: u16 = 1 << 3;
const HAS_ENCODING: u16 = 1 << 4;
const HAS_MD5: u16 = 1 << 5;
const HAS_DISPOSITION: u16 = 1 << 6;
const HAS_LANGUAGE: u16 = 1 << 7;
const HAS_LOCATION: u16 = 1 << 8;
const HAS_ENVELOPE: u16 = 1 << 9;

fn mark_bits(marks: &Marks) -> u8 {
    u8::from(marks.bare_cr)
        | u8::from(marks.bare_lf) << 1
        | u8::from(marks.nul) << 2
        | u8::from(marks.eight_bit) << 3
        | u8::from(marks.eight_bit_header) << 4
        | u8::from(marks.incomplete) << 5
}

fn marks_from_bits(bits: u8) -> Marks {
    Marks {
        line_bytes_max: 0,
        bare_cr: bits & 1 != 0,
        bare_lf: bits & 2 != 0,
        nul: bits & 4 != 0,
        eight_bit: bits & 8 != 0,
        eight_bit_header: bits & 16 != 0,
        incomplete: bits & 32 != 0,
    }
}

struct Writer<'f> {
    facts: &'f Facts,
    out: Vec<u8>,
}

impl Writer<'_> {
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.out.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.out.push(number as u8);
    }

    fn value(&mut self, span: Span) {
        let start = span.start as usize;
        match self.facts.text.get(start..start + span.bytes as usize) {
            Some(value) if !span.is_none() => {
                self.number(u64::from(span.bytes) + 1);
                self.out.extend_from_slice(value);
            }
            _ => self.out.push(0),
        }
    }

    fn envelope(&mut self, index: usize) {
        let facts = self.facts;
        for &span in facts.envelopes.get(index).into_iter().flatten() {
            self.value(span);
        }
    }

    fn date(&mut self, date: Option<DateTime>) {
        let Some(date) = date else {
            return self.out.push(0);
        };
        self.out.push(1);
        self.out.extend_from_slice(&date.unix_ms.to_le_bytes());
        self.out
            .extend_from_slice(&date.offset_minutes.to_le_bytes());
    }

    fn params(&mut self, run: ParamRun) {
        let facts = self.facts;
        let first = run.first as usize;
        let params = facts.params.get(first..first + run.count as usize);
        let params = params.unwrap_or_default();
        self.number(params.len() as u64);
        for &(name, value) in params {
            self.value(name);
            self.value(value);
        }
    }

    fn part(&mut self, index: usize, part: &PartRecord, start: &mut u64) {
        self.number(part.header_start - *start);
        *start = part.header_start;
        self.number(part.body_start - part.header_start);
        self.number(part.body_end - part.body_start);
        self.number(part.body_lines);
        self.number(u64::from(part.next) - index as u64);
        self.out.push(match part.kind {
            PartKind::Leaf => 0,
            PartKind::Multipart => 1,
            PartKind::Message => 2,
        });
        // The root's envelope stands at the front.
        let inner_envelope = part.envelope.filter(|_| index > 0);
        let mut has = 0;
        for (bit, present) in [
            (HAS_TYPE, !part.media_type.is_none()),
            (HAS_PARAMS, part.params.count > 0),
            (HAS_ID, !part.id.is_none()),
            (HAS_DESCRIPTION, !part.description.is_none()),
            (HAS_ENCODING, !part.encoding.is_none()),
            (HAS_MD5, !part.md5.is_none()),
            (HAS_DISPOSITION, !part.disposition.is_none()),
            (HAS_LANGUAGE, !part.language.is_none()),
            (HAS_LOCATION, !part.location.is_none()),
            (HAS_ENVELOPE, inner_envelope.is_some()),
        ] {
            has |= if present { bit } else { 0 };
        }
        self.out.extend_from_slice(&has.to_le_bytes());
        if has & HAS_TYPE != 0 {
            self.value(part.media_type);
            self.value(part.subtype);
        }
        if has & HAS_PARAMS != 0 {
            self.params(part.params);
        }
        for (bit, span) in [
            (HAS_ID, part.id),
            (HAS_DESCRIPTION, part.description),
            (HAS_ENCODING, part.encoding),
            (HAS_MD5, part.md5),
            (HAS_LANGUAGE, part.language),
            (HAS_LOCATION, part.location),
            (HAS_DISPOSITION, part.disposition),
        ] {
            if has & bit != 0 {
                self.value(span);
            }
        }
        if has & HAS_DISPOSITION != 0 {
            self.params(part.disposition_params);
        }
        if let Some(envelope) = inner_envelope {
            self.envelope(envelope as usize);
        }
    }
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Reader<'b> {
    fn new(bytes: &'b [u8]) -> Result<Self, FactsError> {
        match bytes.first() {
            _ if u32::try_from(bytes.len()).is_err() => Err(FactsError::Damaged),
            Some(&VERSION) => Ok(Self { bytes, at: 1 }),
            Some(&version) if version > VERSION => Err(FactsError::Version(version)),
            _ => Err(FactsError::Damaged),
        }
    }

    fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn byte(&mut self) -> Result<u8, FactsError> {
        let byte = self.bytes.get(self.at).ok_or(FactsError::Damaged)?;
        self.at += 1;
        Ok(*byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FactsError> {
        let array = self
            .bytes
            .get(self.at..)
            .and_then(|rest| rest.first_chunk());
        self.at += N;
        array.copied().ok_or(FactsError::Damaged)
    }

    fn number(&mut self) -> Result<u64, FactsError> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let low = u64::from(byte & 0x7f);
            if low << shift >> shift != low {
                return Err(FactsError::Damaged);
            }
            number |= low << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(FactsError::Damaged)
    }

    fn small(&mut self) -> Result<u32, FactsError> {
        u32::try_from(self.number()?).map_err(|_| FactsError::Damaged)
    }

    fn value(&mut self) -> Result<Span, FactsError> {
        let Some(bytes) = self.small()?.checked_sub(1) else {
            return Ok(Span::NONE);
        };
        if bytes as usize > self.left() {
            return Err(FactsError::Damaged);
        }
        let start = u32::try_from(self.at).map_err(|_| FactsError::Damaged)?;
        self.at += bytes as usize;
        Ok(Span { start, bytes })
    }

    fn envelope(&mut self) -> Result<EnvelopeSpans, FactsError> {
        let mut spans = [Span::NONE; ENVELOPE_FIELDS];
        for span in &mut spans {
            *span = self.value()?;
        }
        Ok(spans)
    }

    fn date(&mut self) -> Result<Option<DateTime>, FactsError> {
        match self.byte()? {
            0 => Ok(None),
            1 => {
                let unix_ms = i64::from_le_bytes(self.array()?);
                let offset_minutes = i16::from_le_bytes(self.array()?);
                match offset_minutes.abs_diff(0) < 1440 {
                    true => Ok(Some(DateTime {
                        unix_ms,
                        offset_minutes,
                    })),
                    false => Err(FactsError::Damaged),
                }
            }
            _ => Err(FactsError::Damaged),
        }
    }

    fn params(&mut self, facts: &mut Facts) -> Result<ParamRun, FactsError> {
        let count = self.small()?;
        // A parameter takes at least its two lengths.
        if count as usize > self.left() / 2 {
            return Err(FactsError::Damaged);
        }
        let first = u32::try_from(facts.params.len()).map_err(|_| FactsError::Damaged)?;
        for _ in 0..count {
            let param = (self.value()?, self.value()?);
            facts.params.push(param);
        }
        Ok(ParamRun { first, count })
    }

    fn part(
        &mut self,
        facts: &mut Facts,
        index: usize,
        start: &mut u64,
    ) -> Result<PartRecord, FactsError> {
        let add = |a: u64, b: u64| a.checked_add(b).ok_or(FactsError::Damaged);
        *start = add(*start, self.number()?)?;
        let mut part = PartRecord::new(*start);
        part.body_start = add(*start, self.number()?)?;
        part.body_end = add(part.body_start, self.number()?)?;
        part.body_lines = self.number()?;
        let index = u32::try_from(index).map_err(|_| FactsError::Damaged)?;
        part.next = self
            .small()?
            .checked_add(index)
            .ok_or(FactsError::Damaged)?;
        part.kind = match self.byte()? {
            0 => PartKind::Leaf,
            1 => PartKind::Multipart,
            2 => PartKind::Message,
            _ => return Err(FactsError::Damaged),
        };
        let has = u16::from_le_bytes(self.array()?);
        if has & HAS_TYPE != 0 {
            part.media_type = self.value()?;
            part.subtype = self.value()?;
        }
        if has & HAS_PARAMS != 0 {
            part.params = self.params(facts)?;
        }
        for (bit, span) in [
            (HAS_ID, &mut part.id),
            (HAS_DESCRIPTION, &mut part.description),
            (HAS_ENCODING, &mut part.encoding),
            (HAS_MD5, &mut part.md5),
            (HAS_LANGUAGE, &mut part.language),
            (HAS_LOCATION, &mut part.location),
            (HAS_DISPOSITION, &mut part.disposition),
        ] {
            if has & bit != 0 {
                *span = self.value()?;
            }
        }
        if has & HAS_DISPOSITION != 0 {
            part.disposition_params = self.params(facts)?;
        }
        if index == 0 {
            part.envelope = Some(0);
        } else if has & HAS_ENVELOPE != 0 {
            let envelope = self.envelope()?;
            part.envelope = u32::try_from(facts.envelopes.len()).ok();
            facts.envelopes.push(envelope);
        }
        Ok(part)
    }
}

/// Do the parts form one tree over the message, in order and without overlap?
fn tree_is_sound(facts: &Facts) -> bool {
    // The parts around the current one: index just past them, and where their bodies end.
    let mut around: Vec<(u32, u64)> = Vec::new();
    // Where the next part may begin.
    let mut floor = 0;
    for (index, part) in (0u32..).zip(&facts.parts) {
        while let Some(&(next, body_end)) = around.last()
            && next == index
        {
            floor = body_end;
            around.pop();
        }
        let fits = match around.last() {
            Some(&(next, body_end)) => part.next <= next && part.body_end <= body_end,
            None => {
                index == 0
                    && part.header_start == 0
                    && part.next as usize == facts.parts.len()
                    && part.body_end == facts.size
            }
        };
        let child = facts.parts.get(index as usize + 1);
        let children_fit = match part.kind {
            PartKind::Leaf => part.next == index + 1,
            PartKind::Multipart => part.next > index + 1,
            PartKind::Message => {
                part.next > index + 1
                    && child
                        .is_some_and(|child| child.next == part.next && child.envelope.is_some())
            }
        };
        if !fits || !children_fit || part.header_start < floor || around.len() >= DEPTH_MAX {
            return false;
        }
        floor = part.body_start;
        around.push((part.next, part.body_end));
    }
    true
}
