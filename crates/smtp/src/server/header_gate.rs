//! Watches the header section of a message stream past: counts Received, notes which fields are
//! there, says where the header ends, and sets the empty line that a header without one lacks.
//! Changes nothing else. Pure; holds back at most the name of one field.

/// RFC 5322 §2.1.1: no line is longer, so no field name is.
const FIELD_NAME_BYTES_MAX: usize = 998;

/// A piece of the message, in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Bytes of the header section.
    Header(&'a [u8]),
    /// The header section ended, and this was in it; comes exactly once.
    HeaderEnds(Seen),
    /// Bytes after it, beginning with the empty line.
    Body(&'a [u8]),
}

/// What was seen in the header.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Received fields.
    pub(super) received: usize,
    /// A Date field.
    pub(super) date: bool,
    /// A Message-ID field.
    pub(super) message_id: bool,
    /// An Authentication-Results field.
    pub(super) results: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before the first byte of a line.
    LineStart,
    /// Within what may be a field name; its bytes are held back.
    Name,
    /// Within the rest of a header line.
    Rest,
    /// Behind the header.
    Body,
}

/// The state of the watch.
#[derive(Debug)]
pub(super) struct HeaderGate {
    at: At,
    name: Vec<u8>,
    fields: usize,
    seen: Seen,
}

impl HeaderGate {
    /// Before the first byte of a message.
    pub(super) fn new() -> Self {
        Self {
            at: At::LineStart,
            name: Vec::new(),
            fields: 0,
            seen: Seen::default(),
        }
    }

    /// Takes the next bytes and hands them on with their place. Lines end with LF.
    ///
    /// # Errors
    /// What `sink` returns.
    pub(super) fn push<E>(
        &mut self,
        input: &[u8],
        sink: &mut impl FnMut(Piece<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = input;
        while let Some(&first) = rest.first() {
            match self.at {
                At::Body => return sink(Piece::Body(rest)),
                At::Rest => {
                    let line = memchr::memchr(b'\n', rest).map_or(rest.len(), |feed| feed + 1);
                    let (head, after) = rest.split_at(line);
                    if head.ends_with(b"\n") {
                        self.at = At::LineStart;
                    }
                    sink(Piece::Header(head))?;
                    rest = after;
                }
                At::LineStart => match first {
                    b' ' | b'\t' if self.fields > 0 => self.at = At::Rest,
                    b'\r' | b'\n' => {
                        self.at = At::Body;
                        sink(Piece::HeaderEnds(self.seen))?;
                    }
                    _ => self.at = At::Name,
                },
                At::Name => rest = self.field_name(rest, sink)?,
            }
        }
        Ok(())
    }

    /// Reads on within a field name; gives what follows.
    fn field_name<'a, E>(
        &mut self,
        rest: &'a [u8],
        sink: &mut impl FnMut(Piece<'_>) -> Result<(), E>,
    ) -> Result<&'a [u8], E> {
        // RFC 5322 §2.2: printable ASCII without colon; §4.5 allows blanks before the colon.
        let in_name = |b: &u8| matches!(b, 33..=57 | 59..=126 | b' ' | b'\t');
        let end = rest.iter().position(|b| !in_name(b));
        let (head, after) = rest.split_at(end.unwrap_or(rest.len()));
        self.name.extend_from_slice(head);
        let Some(&stop) = after.first() else {
            if self.name.len() > FIELD_NAME_BYTES_MAX {
                self.begin_body(sink)?;
            }
            return Ok(after);
        };
        let name = self.name.trim_ascii_end();
        if stop != b':' || name.is_empty() || name.contains(&b' ') || name.contains(&b'\t') {
            self.begin_body(sink)?;
            return Ok(after);
        }
        if name.eq_ignore_ascii_case(b"Received") {
            self.seen.received += 1;
        } else if name.eq_ignore_ascii_case(b"Date") {
            self.seen.date = true;
        } else if name.eq_ignore_ascii_case(b"Message-ID") {
            self.seen.message_id = true;
        } else if name.eq_ignore_ascii_case(b"Authentication-Results") {
            self.seen.results = true;
        }
        self.fields += 1;
        self.at = At::Rest;
        sink(Piece::Header(&self.name))?;
        self.name.clear();
        Ok(after)
    }

    /// This line is no header field: the body begins here without the empty line that RFC 5322
    /// §2.1 puts before it. Without one, fields we add would run into the text.
    fn begin_body<E>(
        &mut self,
        sink: &mut impl FnMut(Piece<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.at = At::Body;
        sink(Piece::HeaderEnds(self.seen))?;
        sink(Piece::Body(b"\r\n"))?;
        sink(Piece::Body(&self.name))?;
        self.name.clear();
        Ok(())
    }

    /// The message ends.
    ///
    /// # Errors
    /// What `sink` returns.
    pub(super) fn finish<E>(
        &mut self,
        sink: &mut impl FnMut(Piece<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self.at {
            At::Body => Ok(()),
            At::Name => self.begin_body(sink),
            At::LineStart | At::Rest => {
                self.at = At::Body;
                sink(Piece::HeaderEnds(self.seen))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::convert::Infallible;

    /// The header, the body (`None` where no end was told), and what was seen.
    fn run(input: &[u8], size: usize) -> (String, Option<String>, Seen) {
        let mut gate = HeaderGate::new();
        let mut header = Vec::new();
        let mut body: Option<Vec<u8>> = None;
        let mut sink = |piece: Piece<'_>| {
            match (piece, &mut body) {
                (Piece::Header(bytes), None) => header.extend_from_slice(bytes),
                (Piece::HeaderEnds(_), None) => body = Some(Vec::new()),
                (Piece::Body(bytes), Some(body)) => body.extend_from_slice(bytes),
                (piece, _) => panic!("{piece:?} out of order"),
            }
            Ok::<_, Infallible>(())
        };
        for piece in input.chunks(size.max(1)) {
            let _ = gate.push(piece, &mut sink);
        }
        let _ = gate.finish(&mut sink);
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (text(header), body.map(text), gate.seen)
    }

    #[test]
    fn the_header_ends_at_the_empty_line() {
        let message =
            b"Received: a\r\n\tb\r\nreceived:c\r\nDATE : x\r\nMessage-id: <1>\r\n\r\nDate: no\r\n";
        for size in 1..message.len() {
            let (header, body, seen) = run(message, size);
            assert!(header.ends_with("Message-id: <1>\r\n"), "{header}");
            assert_eq!(body.as_deref(), Some("\r\nDate: no\r\n"));
            assert_eq!(
                seen,
                Seen {
                    received: 2,
                    date: true,
                    message_id: true,
                    results: false
                }
            );
        }
    }

    #[test]
    fn a_body_without_its_empty_line_gets_one() {
        for size in 1..20 {
            let (header, body, _) = run(b"Subject: x\r\nHello Anna, \r\nbye\r\n", size);
            assert_eq!(header, "Subject: x\r\n");
            assert_eq!(body.as_deref(), Some("\r\nHello Anna, \r\nbye\r\n"));
        }
        let (header, body, _) = run(b" folded from nothing\r\n", 100);
        assert_eq!(
            (header.as_str(), body.as_deref()),
            ("", Some("\r\n folded from nothing\r\n"))
        );
        let long = "x".repeat(5_000);
        let (_, body, _) = run(long.as_bytes(), 10);
        assert_eq!(body, Some(format!("\r\n{long}")));
    }

    #[test]
    fn nothing_and_a_header_alone_are_messages() {
        assert_eq!(
            run(b"", 1),
            (String::new(), Some(String::new()), Seen::default())
        );
        let (header, body, _) = run(b"Subject: x\r\n", 4);
        assert_eq!(
            (header.as_str(), body.as_deref()),
            ("Subject: x\r\n", Some(""))
        );
    }

    proptest! {
        #[test]
        fn the_cut_does_not_matter_and_nothing_is_lost(
            input in "[ab: \t\r\n]{0,80}", size in 1_usize..10
        ) {
            let whole = run(input.as_bytes(), usize::MAX);
            prop_assert_eq!(&run(input.as_bytes(), size), &whole);
            let (header, body, _) = whole;
            let together = format!("{header}{}", body.unwrap_or_default());
            let with_line = format!("{header}{}", together[header.len()..].strip_prefix("\r\n").unwrap_or("\u{0}"));
            prop_assert!(together == input || with_line == input);
        }
    }
}
