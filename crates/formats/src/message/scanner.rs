//! The one pass over a message. Push it in chunks of any size; the facts do not depend on the split.
//!
//!  Header --empty line--> Body --boundary--> Header of the next part
//!     |                     |
//!     +--message/rfc822: Header of the message inside
//!
//! Lines are the unit: a whole line is looked at where it lies, an unfinished one is carried over to
//! the next push, and no more of it than the current state can use.

use memchr::memchr;

use super::facts::{Facts, Marks, PartRecord};
use super::fields::{Collector, FieldName};
use super::limits::{DEPTH_MAX, Limits};
use crate::date;
use tree::{Delimiter, Open, Root};

mod tree;

/// RFC 2046 §5.1.1 allows 70; longer ones occur.
const BOUNDARY_BYTES_MAX: usize = 200;
/// What can be used of a line in a body: `--`, boundary, `--`.
const BODY_LINE_BYTES_MAX: usize = BOUNDARY_BYTES_MAX + 4;
/// What can be used of a header line besides the value.
const NAME_BYTES_MAX: usize = 1000;
/// Large pushes are worked through in windows that stay in the processor's first cache.
const WINDOW_BYTES: usize = 16 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Header,
    Body,
}

/// A line end, by its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineEnd {
    None,
    Lf,
    CrLf,
}

impl LineEnd {
    fn bytes(self) -> u64 {
        match self {
            LineEnd::None => 0,
            LineEnd::Lf => 1,
            LineEnd::CrLf => 2,
        }
    }
}

/// A scan under way.
#[derive(Debug)]
pub struct Scanner {
    limits: Limits,
    facts: Facts,
    state: State,
    open: Vec<Open>,
    /// Open parts that have a boundary.
    boundaries: usize,
    collector: Collector,
    header_bytes: u64,
    /// Bytes of all lines that are finished.
    line_start: u64,
    /// Bytes of the unfinished line, and its beginning as far as it is of use.
    line_bytes: u64,
    line: Vec<u8>,
    previous_end: LineEnd,
    last_byte: u8,
    lines: u64,
    crlfs: u64,
    crs: u64,
}

impl Default for Scanner {
    fn default() -> Self {
        Self::with_limits(Limits::default())
    }
}

impl Scanner {
    /// A scan with the default limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// A scan with other limits.
    pub fn with_limits(mut limits: Limits) -> Self {
        limits.depth_max = limits.depth_max.clamp(1, DEPTH_MAX);
        limits.parts_max = limits.parts_max.max(1);
        let mut scanner = Self {
            limits,
            facts: Facts::default(),
            state: State::Header,
            open: Vec::new(),
            boundaries: 0,
            collector: Collector::new(limits),
            header_bytes: 0,
            line_start: 0,
            line_bytes: 0,
            line: Vec::new(),
            previous_end: LineEnd::None,
            last_byte: 0,
            lines: 0,
            crlfs: 0,
            crs: 0,
        };
        scanner.facts.parts.clear();
        scanner.facts.envelopes.clear();
        scanner.begin_part(0, Root::OfMessage);
        scanner
    }

    /// The next bytes of the message.
    pub fn push(&mut self, bytes: &[u8]) {
        for window in bytes.chunks(WINDOW_BYTES) {
            self.measure(window);
            self.push_window(window);
            self.last_byte = window.last().copied().unwrap_or(self.last_byte);
        }
    }

    /// What is known of the bytes pushed so far.
    pub fn marks(&self) -> Marks {
        let mut marks = self.facts.marks;
        // A CR at the very end may still get its LF.
        let waiting = u64::from(self.last_byte == b'\r');
        marks.bare_cr = self.crs - waiting > self.crlfs;
        marks.bare_lf = self.lines > self.crlfs;
        marks.line_bytes_max = marks
            .line_bytes_max
            .max(self.line_bytes - waiting.min(self.line_bytes));
        marks
    }

    /// Received fields of the message's own header so far.
    pub fn received_count(&self) -> u32 {
        self.facts.received_count
    }

    /// Ends the scan.
    pub fn finish(mut self) -> Facts {
        let size = self.line_start + self.line_bytes;
        if self.line_bytes > 0 {
            let line = std::mem::take(&mut self.line);
            let bytes = self.line_bytes;
            self.facts.marks.line_bytes_max = self.facts.marks.line_bytes_max.max(bytes);
            match self.state {
                State::Header => self.header_line(&line, bytes, LineEnd::None),
                State::Body if line.starts_with(b"--") => {
                    self.boundary_line(&line, bytes, LineEnd::None);
                }
                State::Body => {}
            }
        }
        if self.state == State::Header {
            self.end_field();
        }
        self.close_down_to(0, size, size, self.lines);
        self.facts.size = size;
        self.facts.marks.bare_cr = self.crs > self.crlfs;
        self.facts.marks.bare_lf = self.lines > self.crlfs;
        self.facts.date = self.facts.envelope().date.and_then(date::parse_rfc5322);
        self.facts
    }

    /// Facts that need no lines; a plain loop the compiler turns into vector instructions.
    fn measure(&mut self, window: &[u8]) {
        let mut bits = 0u8;
        let mut nul = false;
        let mut crs = 0u64;
        for block in window.chunks(128) {
            let mut block_crs = 0u8;
            let mut block_nul = 0u8;
            for &byte in block {
                bits |= byte;
                block_nul |= u8::from(byte == 0);
                block_crs += u8::from(byte == b'\r');
            }
            nul |= block_nul != 0;
            crs += u64::from(block_crs);
        }
        self.crs += crs;
        self.facts.marks.nul |= nul;
        self.facts.marks.eight_bit |= bits >= 0x80;
    }

    fn push_window(&mut self, window: &[u8]) {
        let mut rest = window;
        if self.line_bytes > 0 {
            let Some(lf) = memchr(b'\n', rest) else {
                return self.carry(rest);
            };
            let (end_of_line, after) = rest.split_at(lf + 1);
            rest = after;
            let before_lf = match lf.checked_sub(1) {
                Some(at) => end_of_line.get(at).copied().unwrap_or(0),
                None => self.last_byte,
            };
            self.carry(end_of_line);
            let mut line = std::mem::take(&mut self.line);
            let bytes = std::mem::take(&mut self.line_bytes);
            self.line(&line, bytes, before_lf);
            line.clear();
            self.line = line;
        }
        while !rest.is_empty() {
            rest = match self.state {
                State::Body => self.body_lines(rest),
                State::Header => self.one_header_line(rest),
            };
        }
    }

    /// Keeps what is of use of an unfinished line.
    fn carry(&mut self, bytes: &[u8]) {
        self.line_bytes += bytes.len() as u64;
        let useful = match self.state {
            State::Header => {
                self.note_header_bytes(bytes);
                self.limits.value_bytes_max + NAME_BYTES_MAX
            }
            State::Body => BODY_LINE_BYTES_MAX,
        };
        let room = useful.saturating_sub(self.line.len()).min(bytes.len());
        self.line
            .extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    fn note_header_bytes(&mut self, bytes: &[u8]) {
        if !bytes.is_ascii() {
            self.facts.marks.eight_bit_header = true;
        }
    }

    /// A finished line, of which `line` is the useful beginning.
    fn line(&mut self, line: &[u8], bytes: u64, before_lf: u8) {
        let end = self.count_line(bytes, before_lf);
        match self.state {
            State::Header => self.header_line(line, bytes, end),
            State::Body => {
                if self.boundaries > 0 && line.starts_with(b"--") {
                    self.boundary_line(line, bytes, end);
                } else {
                    self.line_start += bytes;
                    self.previous_end = end;
                }
            }
        }
    }

    fn count_line(&mut self, bytes: u64, before_lf: u8) -> LineEnd {
        let end = match bytes > 1 && before_lf == b'\r' {
            true => LineEnd::CrLf,
            false => LineEnd::Lf,
        };
        self.lines += 1;
        self.crlfs += u64::from(end == LineEnd::CrLf);
        let text_bytes = bytes - end.bytes();
        self.facts.marks.line_bytes_max = self.facts.marks.line_bytes_max.max(text_bytes);
        end
    }

    fn one_header_line<'w>(&mut self, window: &'w [u8]) -> &'w [u8] {
        let Some(lf) = memchr(b'\n', window) else {
            self.carry(window);
            return &[];
        };
        let (line, rest) = window.split_at(lf + 1);
        self.note_header_bytes(line);
        let before_lf = match lf.checked_sub(1) {
            Some(at) => line.get(at).copied().unwrap_or(0),
            None => 0,
        };
        let end = self.count_line(line.len() as u64, before_lf);
        self.header_line(line, line.len() as u64, end);
        rest
    }

    /// The hot loop: lines of a body up to the next boundary or the end of the window. The counters
    /// live in registers and are written back once.
    fn body_lines<'w>(&mut self, window: &'w [u8]) -> &'w [u8] {
        let mut at = 0;
        let (mut lines, mut crlfs, mut longest) = (0u64, 0u64, 0usize);
        let mut previous_crlf = self.previous_end == LineEnd::CrLf;
        let mut boundary_end = None;
        for lf in memchr::memchr_iter(b'\n', window) {
            let line = &window[at..=lf];
            let crlf = line.len() > 1 && line[line.len() - 2] == b'\r';
            if self.boundaries > 0 && line.starts_with(b"--") {
                boundary_end = Some((lf + 1, crlf));
                break;
            }
            lines += 1;
            crlfs += u64::from(crlf);
            longest = longest.max(line.len() - 1 - usize::from(crlf));
            previous_crlf = crlf;
            at = lf + 1;
        }
        self.lines += lines;
        self.crlfs += crlfs;
        self.line_start += at as u64;
        self.facts.marks.line_bytes_max = self.facts.marks.line_bytes_max.max(longest as u64);
        if lines > 0 {
            self.previous_end = match previous_crlf {
                true => LineEnd::CrLf,
                false => LineEnd::Lf,
            };
        }
        let Some((next, crlf)) = boundary_end else {
            self.carry(&window[at..]);
            return &[];
        };
        let line = &window[at..next];
        let end = self.count_line(line.len() as u64, if crlf { b'\r' } else { 0 });
        self.boundary_line(line, line.len() as u64, end);
        &window[next..]
    }

    /// A line that begins with `--` while boundaries are open; it may be a delimiter or text.
    fn boundary_line(&mut self, line: &[u8], bytes: u64, end: LineEnd) {
        if !self.delimiter(line, bytes, end) {
            self.line_start += bytes;
            self.previous_end = end;
        }
    }

    /// RFC 2046 §5.1.1: a delimiter need only begin with the boundary. Where several fit, the longest
    /// is meant, and of equal ones the innermost.
    fn delimiter(&mut self, line: &[u8], bytes: u64, end: LineEnd) -> bool {
        let Some(text) = line.strip_prefix(b"--") else {
            return false;
        };
        let mut found: Option<(usize, usize)> = None;
        for (level, open) in self.open.iter().enumerate().rev() {
            if let Some(boundary) = &open.boundary
                && found.is_none_or(|(_, longest)| boundary.len() > longest)
                && text.starts_with(boundary)
            {
                found = Some((level, boundary.len()));
            }
        }
        let Some((level, boundary_bytes)) = found else {
            return false;
        };
        if self.state == State::Header {
            self.end_field();
        }
        let line_start = self.line_start;
        let content_end = line_start - self.previous_end.bytes().min(line_start);
        // This line is counted already, and the line end before it belongs to the delimiter.
        let own_line = u64::from(end != LineEnd::None);
        self.close_down_to(level + 1, line_start, content_end, self.lines - own_line);
        self.line_start += bytes;
        self.previous_end = end;
        let after = text.get(boundary_bytes..).unwrap_or_default();
        self.after_delimiter(
            level,
            match after.starts_with(b"--") {
                true => Delimiter::Close,
                false => Delimiter::Next,
            },
        );
        true
    }

    fn header_line(&mut self, line: &[u8], bytes: u64, end: LineEnd) {
        if self.boundaries > 0 && line.starts_with(b"--") && self.delimiter(line, bytes, end) {
            return;
        }
        self.line_start += bytes;
        self.previous_end = end;
        self.header_bytes += bytes;
        if bytes == end.bytes() {
            self.end_field();
            return self.end_header();
        }
        if self.header_bytes > self.limits.header_bytes_max {
            self.facts.marks.incomplete = true;
            return self.end_field();
        }
        // The same cut as in `carry`, so that the facts do not depend on how the message was split.
        let text_bytes = usize::try_from(bytes - end.bytes()).unwrap_or(usize::MAX);
        let useful = text_bytes.min(self.limits.value_bytes_max + NAME_BYTES_MAX);
        let text = line.get(..useful).unwrap_or(line);
        match text.first() {
            Some(b' ' | b'\t') => self.collector.continue_field(text),
            _ => {
                self.end_field();
                self.begin_field(text);
            }
        }
    }

    fn begin_field(&mut self, line: &[u8]) {
        let head = line.get(..NAME_BYTES_MAX).unwrap_or(line);
        let Some(colon) = memchr(b':', head) else {
            return;
        };
        let (name, rest) = line.split_at(colon);
        let is_message = self.part().is_some_and(|part| part.envelope.is_some());
        let Some(name) = FieldName::find(name.trim_ascii_end(), is_message) else {
            return;
        };
        if name == FieldName::Received {
            if self.open.len() == 1 {
                self.facts.received_count += 1;
            }
            return;
        }
        self.collector
            .begin_field(name, rest.get(1..).unwrap_or_default());
    }

    fn part(&mut self) -> Option<&mut PartRecord> {
        let open = self.open.last()?;
        self.facts.parts.get_mut(open.part)
    }

    fn end_field(&mut self) {
        if let Some(open) = self.open.last() {
            self.collector.end_field(&mut self.facts, open.part);
        }
    }
}
