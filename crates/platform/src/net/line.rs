//! Finds the end of a command line in buffered bytes and says how it ended. Pure; called by `Stream::read_line`
//! and by the protocol crates' own readers.

/// How a line ended. RFC 5321 §2.3.8 allows only CRLF; what a bare LF means is the session's ruling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineEnding {
    /// CR LF.
    CrLf,
    /// LF without a CR before it.
    BareLf,
}

/// A complete line at the start of the buffer: `buffer()[..content_bytes]` is its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// Bytes before the line ending.
    pub content_bytes: usize,
    /// Bytes including the line ending: what to `consume`.
    pub total_bytes: usize,
    /// How it ended.
    pub ending: LineEnding,
}

impl Line {
    /// The first line of `bytes`, where the first `searched_bytes` are known to hold no LF.
    pub fn find(bytes: &[u8], searched_bytes: usize) -> Option<Self> {
        let rest = bytes.get(searched_bytes..)?;
        let feed = searched_bytes + memchr::memchr(b'\n', rest)?;
        let ending = match feed.checked_sub(1).and_then(|before| bytes.get(before)) {
            Some(b'\r') => LineEnding::CrLf,
            _ => LineEnding::BareLf,
        };
        Some(Self {
            content_bytes: match ending {
                LineEnding::CrLf => feed - 1,
                LineEnding::BareLf => feed,
            },
            total_bytes: feed + 1,
            ending,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_two_endings_apart() {
        let line = Line::find(b"NOOP\r\nQUIT\r\n", 0).unwrap();
        assert_eq!(
            (line.content_bytes, line.total_bytes, line.ending),
            (4, 6, LineEnding::CrLf)
        );
        let line = Line::find(b"NOOP\nQUIT\r\n", 0).unwrap();
        assert_eq!(
            (line.content_bytes, line.total_bytes, line.ending),
            (4, 5, LineEnding::BareLf)
        );
        assert_eq!(Line::find(b"NOOP\r", 0), None);
        assert_eq!(Line::find(b"", 3), None);
    }

    #[test]
    fn sees_a_cr_that_was_searched_before() {
        let line = Line::find(b"NOOP\r\n", 5).unwrap();
        assert_eq!(line.ending, LineEnding::CrLf);
        assert_eq!(Line::find(b"\n", 0).unwrap().content_bytes, 0);
    }
}
