//! Dot-stuffing of an outgoing message (RFC 5321 §4.5.2). Pure; chunks may be cut anywhere.

/// Doubles a dot at the beginning of a line and writes the end of the message.
#[derive(Debug)]
pub(super) struct DotStuffer {
    /// The last two bytes that went out.
    last: [u8; 2],
}

impl Default for DotStuffer {
    fn default() -> Self {
        Self { last: *b"\r\n" }
    }
}

impl DotStuffer {
    pub(super) fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        out.reserve(chunk.len());
        let mut start = 0;
        let mut double = |at: usize, start: &mut usize| {
            out.extend_from_slice(chunk.get(*start..at).unwrap_or_default());
            out.push(b'.');
            *start = at;
        };
        // Where the last chunk ended with a line, or in the middle of its end.
        match (self.last, chunk) {
            ([b'\r', b'\n'], [b'.', ..]) => double(0, &mut start),
            ([_, b'\r'], [b'\n', b'.', ..]) => double(1, &mut start),
            _ => {}
        }
        for line_end in memchr::memmem::find_iter(chunk, b"\r\n.") {
            double(line_end + 2, &mut start);
        }
        out.extend_from_slice(chunk.get(start..).unwrap_or_default());
        self.last = match chunk {
            [.., before, last] => [*before, *last],
            [last] => [self.last[1], *last],
            [] => self.last,
        };
    }

    /// The final dot, on a line of its own.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        if self.last != *b"\r\n" {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b".\r\n");
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stuffed(chunks: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut stuffer = DotStuffer::default();
        chunks
            .iter()
            .for_each(|chunk| stuffer.push(chunk, &mut out));
        stuffer.finish(&mut out);
        out
    }

    #[test]
    fn dots_at_line_starts_are_doubled_wherever_chunks_are_cut() {
        let message: &[u8] = b".a\r\n..\r\nb.c\r\n.\r\nd";
        let whole = stuffed(&[message]);
        assert_eq!(whole, b"..a\r\n...\r\nb.c\r\n..\r\nd\r\n.\r\n");
        for cut in 0..message.len() {
            let (a, b) = message.split_at(cut);
            assert_eq!(stuffed(&[a, b]), whole, "cut at {cut}");
        }
    }

    #[test]
    fn a_message_that_ends_with_a_line_gets_no_empty_one() {
        assert_eq!(stuffed(&[b"a\r\n"]), b"a\r\n.\r\n");
        assert_eq!(stuffed(&[]), b".\r\n");
    }
}
