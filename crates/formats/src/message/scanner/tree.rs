//! The tree a scan grows: parts are begun, opened as multiparts or messages, and closed. Called by
//! the scanner's line handling, on headers that end and on delimiters; never looks at lines itself.

use super::super::facts::{ENVELOPE_FIELDS, PartKind, PartRecord, Span};
use super::{BOUNDARY_BYTES_MAX, Scanner, State};

/// A part whose end has not been seen.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) part: usize,
    /// Line ends of the message before the part's body.
    lines_before_body: u64,
    /// Present while a delimiter of this multipart may still come.
    pub(super) boundary: Option<Box<[u8]>>,
    children: u32,
    children_type: ChildrenType,
    /// A child was left out because of a limit.
    starved: bool,
    body_seen: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChildrenType {
    Plain,
    /// multipart/digest: messages (RFC 2046 §5.1.5).
    Digest,
}

/// What a delimiter line does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delimiter {
    /// `--boundary`: the next part begins.
    Next,
    /// `--boundary--`: no more parts.
    Close,
}

/// What a new part is the root of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    /// A message, so it has an envelope.
    OfMessage,
    /// Only itself.
    OfPart,
}

impl Scanner {
    pub(super) fn begin_part(&mut self, header_start: u64, root: Root) {
        let mut record = PartRecord::new(header_start);
        if root == Root::OfMessage {
            record.envelope = u32::try_from(self.facts.envelopes.len()).ok();
            self.facts.envelopes.push([Span::NONE; ENVELOPE_FIELDS]);
        }
        self.open.push(Open {
            part: self.facts.parts.len(),
            lines_before_body: self.lines,
            boundary: None,
            children: 0,
            children_type: ChildrenType::Plain,
            starved: false,
            body_seen: false,
        });
        self.facts.parts.push(record);
        self.state = State::Header;
        self.header_bytes = 0;
        self.collector.begin_header();
    }

    pub(super) fn after_delimiter(&mut self, level: usize, delimiter: Delimiter) {
        let part_room = self.facts.parts.len() < self.limits.parts_max;
        let Some(open) = self.open.get_mut(level) else {
            return;
        };
        self.state = State::Body;
        if delimiter == Delimiter::Close {
            open.boundary = None;
            self.boundaries -= 1;
        } else if part_room {
            open.children += 1;
            self.begin_part(self.line_start, Root::OfPart);
        } else {
            open.starved = true;
            self.facts.marks.incomplete = true;
        }
    }

    /// The empty line was seen: decide what the body is.
    pub(super) fn end_header(&mut self) {
        let level = self.open.len();
        let digest = level
            .checked_sub(2)
            .and_then(|parent| self.open.get(parent))
            .is_some_and(|parent| parent.children_type == ChildrenType::Digest);
        let Some(open) = self.open.last_mut() else {
            return;
        };
        open.lines_before_body = self.lines;
        open.body_seen = true;
        self.state = State::Body;
        let part_room = self.facts.parts.len() < self.limits.parts_max;
        let Some(part) = self.facts.parts.get_mut(open.part) else {
            return;
        };
        part.body_start = self.line_start;
        if digest && part.media_type.is_none() {
            part.media_type = self.collector.keep(&mut self.facts.text, b"message");
            part.subtype = self.collector.keep(&mut self.facts.text, b"rfc822");
        }
        let index = open.part;
        match self.kind_of(index) {
            PartKind::Leaf => {}
            _ if level >= self.limits.depth_max || !part_room => self.make_opaque(index),
            PartKind::Multipart => self.open_multipart(index),
            PartKind::Message => {
                self.set_kind(index, PartKind::Message);
                if let Some(open) = self.open.last_mut() {
                    open.children = 1;
                }
                self.begin_part(self.line_start, Root::OfMessage);
            }
        }
    }

    fn kind_of(&self, index: usize) -> PartKind {
        let Some(part) = self.facts.part(index) else {
            return PartKind::Leaf;
        };
        match (part.media_type(), part.subtype()) {
            (b"multipart", _) => PartKind::Multipart,
            (b"message", b"rfc822" | b"global") => PartKind::Message,
            _ => PartKind::Leaf,
        }
    }

    fn set_kind(&mut self, index: usize, kind: PartKind) {
        if let Some(part) = self.facts.parts.get_mut(index) {
            part.kind = kind;
        }
    }

    fn open_multipart(&mut self, index: usize) {
        let part = self.facts.part(index);
        let boundary = part
            .and_then(|part| part.param("boundary"))
            .map(|boundary| boundary.trim_ascii_end())
            .filter(|boundary| (1..=BOUNDARY_BYTES_MAX).contains(&boundary.len()));
        let Some(boundary) = boundary.map(Box::from) else {
            return self.make_plain(index);
        };
        let digest = part.is_some_and(|part| part.subtype() == b"digest");
        self.set_kind(index, PartKind::Multipart);
        if let Some(open) = self.open.last_mut() {
            open.boundary = Some(boundary);
            self.boundaries += 1;
            if digest {
                open.children_type = ChildrenType::Digest;
            }
        }
    }

    /// A multipart without a usable boundary shows its bytes as text, so that nothing is hidden.
    fn make_plain(&mut self, index: usize) {
        if let Some(part) = self.facts.parts.get_mut(index) {
            part.kind = PartKind::Leaf;
            (part.media_type, part.subtype) = (Span::NONE, Span::NONE);
            part.params = Default::default();
        }
    }

    /// A part past the limits can be fetched but not be looked into.
    fn make_opaque(&mut self, index: usize) {
        self.facts.marks.incomplete = true;
        let media_type = self.collector.keep(&mut self.facts.text, b"application");
        let subtype = self.collector.keep(&mut self.facts.text, b"octet-stream");
        if let Some(part) = self.facts.parts.get_mut(index) {
            part.kind = PartKind::Leaf;
            part.params = Default::default();
            (part.media_type, part.subtype) = (media_type, subtype);
        }
    }

    /// Ends all parts from `level` on. `line_start` is where the line begins that ends them, `lines`
    /// counts the line ends before it, and `content_end` is without the last of those.
    pub(super) fn close_down_to(
        &mut self,
        level: usize,
        line_start: u64,
        content_end: u64,
        lines: u64,
    ) {
        let parts = u32::try_from(self.facts.parts.len()).unwrap_or(u32::MAX);
        // An empty part between two delimiters begins after the line end that belongs to the second.
        let mut inner_end = 0;
        while self.open.len() > level
            && let Some(open) = self.open.pop()
        {
            self.boundaries -= usize::from(open.boundary.is_some());
            let outermost = self.open.len() == level;
            let Some(part) = self.facts.parts.get_mut(open.part) else {
                continue;
            };
            if open.body_seen {
                part.body_end = content_end.max(part.body_start).max(inner_end);
                let given_up = u64::from(part.body_end < line_start);
                part.body_lines = lines.saturating_sub(given_up + open.lines_before_body);
            } else {
                // A header that ends without an empty line keeps its own line end, unless it is a
                // message inside a part, which cannot reach further than that part.
                let end = if outermost { line_start } else { content_end };
                part.body_start = end.max(part.header_start);
                part.body_end = part.body_start;
            }
            inner_end = part.body_end;
            part.next = parts;
            if part.kind == PartKind::Multipart && open.children == 0 {
                match open.starved {
                    true => self.make_opaque(open.part),
                    false => self.make_plain(open.part),
                }
            }
        }
    }
}
