//! The body: white space at the ends of lines goes, runs of it become one space, empty lines at the end go.

use super::Sink;

/// Canonicalises a body that comes in pieces. Only CRLF ends a line; a lone CR or LF is text like any other, as the
/// receiving side takes no such line endings.
#[derive(Debug, Default, Clone)]
pub struct RelaxedBody {
    /// White space since the last text: written as one space if text follows, dropped before a line end.
    space: bool,
    /// A CR whose next byte is not known yet.
    carriage_return: bool,
    /// Line ends since the last text: written when text follows.
    line_ends: u64,
    /// Whether there was text at all.
    text: bool,
}

/// Line ends written at once.
const LINE_ENDS: &[u8] = b"\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n";

impl RelaxedBody {
    /// Takes the next piece.
    pub fn push(&mut self, piece: &[u8], sink: &mut impl Sink) {
        let mut rest = piece;
        while let Some(&first) = rest.first() {
            if self.carriage_return {
                self.carriage_return = false;
                if first == b'\n' {
                    self.end_line();
                    rest = rest.get(1..).unwrap_or_default();
                    continue;
                }
                self.before_text(sink);
                sink.take(b"\r");
            }
            match first {
                b' ' | b'\t' => {
                    self.space = true;
                    rest = rest.get(1..).unwrap_or_default();
                }
                b'\r' => {
                    self.carriage_return = true;
                    rest = rest.get(1..).unwrap_or_default();
                }
                _ => {
                    self.before_text(sink);
                    let unchanged = unchanged_prefix(rest);
                    let (text, after) = rest.split_at(unchanged);
                    sink.take(text);
                    rest = after;
                }
            }
        }
    }

    /// The end of the body: the last line is ended, empty lines at the end are gone. An empty body stays empty.
    pub fn finish(mut self, sink: &mut impl Sink) {
        if self.carriage_return {
            self.before_text(sink);
            sink.take(b"\r");
        }
        if self.text {
            sink.take(b"\r\n");
        }
    }

    fn end_line(&mut self) {
        self.space = false;
        self.line_ends += 1;
    }

    /// Writes what was held back, because text follows.
    fn before_text(&mut self, sink: &mut impl Sink) {
        write_line_ends(&mut self.line_ends, sink);
        if std::mem::take(&mut self.space) {
            sink.take(b" ");
        }
        self.text = true;
    }
}

/// How many bytes of `text`, which begins with neither white space nor CR, are canonical as they stand and are
/// followed by text for certain: single spaces inside lines and single line ends between lines with text pass.
fn unchanged_prefix(text: &[u8]) -> usize {
    let mut at = 0;
    loop {
        let Some(found) = memchr::memchr3(b' ', b'\t', b'\r', text.get(at..).unwrap_or_default())
        else {
            return text.len();
        };
        at += found;
        let passes = match text.get(at..) {
            Some([b' ', next, ..]) if !matches!(next, b' ' | b'\t' | b'\r') => 1,
            Some([b'\r', b'\n', next, ..]) if !matches!(next, b' ' | b'\t' | b'\r') => 2,
            _ => return at,
        };
        at += passes;
    }
}

/// The simple form (RFC 6376 §3.4.3), in which others sign: only empty lines at the end go. Never empty.
#[derive(Debug, Default, Clone)]
pub struct SimpleBody {
    carriage_return: bool,
    line_ends: u64,
}

impl SimpleBody {
    /// Takes the next piece.
    pub fn push(&mut self, piece: &[u8], sink: &mut impl Sink) {
        let mut rest = piece;
        while let Some(&first) = rest.first() {
            if self.carriage_return {
                self.carriage_return = false;
                if first == b'\n' {
                    self.line_ends += 1;
                    rest = rest.get(1..).unwrap_or_default();
                    continue;
                }
                self.before_text(sink);
                sink.take(b"\r");
            }
            if first == b'\r' {
                self.carriage_return = true;
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            self.before_text(sink);
            let text = memchr::memchr(b'\r', rest).unwrap_or(rest.len());
            let (text, after) = rest.split_at(text);
            sink.take(text);
            rest = after;
        }
    }

    /// The end of the body.
    pub fn finish(mut self, sink: &mut impl Sink) {
        if self.carriage_return {
            self.before_text(sink);
            sink.take(b"\r");
        }
        sink.take(b"\r\n");
    }

    fn before_text(&mut self, sink: &mut impl Sink) {
        write_line_ends(&mut self.line_ends, sink);
    }
}

/// Writes as many line ends as were held back.
fn write_line_ends(held: &mut u64, sink: &mut impl Sink) {
    let most = LINE_ENDS.len() / 2;
    while *held > 0 {
        let now = usize::try_from(*held).map_or(most, |n| n.min(most));
        sink.take(LINE_ENDS.get(..now * 2).unwrap_or(LINE_ENDS));
        *held -= now as u64;
    }
}
