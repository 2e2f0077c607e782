//! Replies of another server (RFC 5321 §4.2): several lines, one code, bounded. Pure but for
//! reading lines from the stream.

use platform::net::{Deadline, Stream, StreamError};

/// RFC 5321 §4.5.3.1.5 allows 512; some servers write longer lines.
const LINE_BYTES_MAX: usize = 4096;
/// Lines of one reply; the longest EHLO answers have some thirty.
const LINES_MAX: usize = 128;
/// What is kept of a reply's text for notices and the trace.
const TEXT_BYTES_MAX: usize = 1000;

/// A whole reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) code: u16,
    /// The text of each line, after the code.
    pub(super) lines: Vec<String>,
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReplyError {
    #[error("the connection failed: {0}")]
    Stream(#[from] StreamError),
    #[error("the server does not speak SMTP")]
    NotSmtp,
}

impl Reply {
    /// Positive completion, 2yz (RFC 5321 §4.2.1). 354 is none: after it the work begins.
    pub(super) fn is_positive(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// Negative completion for good, 5yz.
    pub(super) fn is_permanent(&self) -> bool {
        self.code >= 500
    }

    /// Code and text in one line, as notices and the trace show it.
    pub(super) fn to_text(&self) -> String {
        let mut text = format!("{} {}", self.code, self.lines.join(" "));
        if text.len() > TEXT_BYTES_MAX {
            let end = (0..=TEXT_BYTES_MAX)
                .rev()
                .find(|i| text.is_char_boundary(*i));
            text.truncate(end.unwrap_or(0));
        }
        text
    }
}

pub(super) async fn read(stream: &mut Stream, deadline: Deadline) -> Result<Reply, ReplyError> {
    let mut reply = Reply {
        code: 0,
        lines: Vec::new(),
    };
    loop {
        let line = stream.read_line(LINE_BYTES_MAX, deadline).await?;
        let bytes = stream
            .buffer()
            .get(..line.content_bytes)
            .unwrap_or_default();
        let (code, more, text) = parse_line(bytes).ok_or(ReplyError::NotSmtp)?;
        let ends = !more;
        reply.code = code;
        reply.lines.push(text);
        stream.consume(line.total_bytes);
        if ends {
            return Ok(reply);
        }
        if reply.lines.len() >= LINES_MAX {
            return Err(ReplyError::NotSmtp);
        }
    }
}

/// `250-text`, `250 text` or `250`. Controls in the text become spaces.
fn parse_line(line: &[u8]) -> Option<(u16, bool, String)> {
    let code: u16 = std::str::from_utf8(line.get(..3)?).ok()?.parse().ok()?;
    let more = match line.get(3) {
        Some(b'-') => true,
        Some(b' ') | None => false,
        Some(_) => return None,
    };
    if !(200..600).contains(&code) {
        return None;
    }
    let text = String::from_utf8_lossy(line.get(4..).unwrap_or_default());
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    Some((code, more, clean.collect::<String>().trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_apart() {
        assert_eq!(
            parse_line(b"250-SIZE 100"),
            Some((250, true, "SIZE 100".to_owned()))
        );
        assert_eq!(
            parse_line(b"550 5.1.1 no\x07"),
            Some((550, false, "5.1.1 no".to_owned()))
        );
        assert_eq!(parse_line(b"250"), Some((250, false, String::new())));
        assert_eq!(parse_line(b"HTTP/1.1 400"), None);
        assert_eq!(parse_line(b"999 x"), None);
        assert_eq!(parse_line(b"2"), None);
    }
}
