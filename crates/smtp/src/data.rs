//! The lines of a message on its way in: undoes dot-stuffing, finds the end of DATA, and meets line
//! endings that are not CRLF. Streams; holds at most two bytes back. Pure, called by DATA and BDAT.
//!
//! Only `<CR><LF>.<CR><LF>` ends DATA (RFC 5321 §4.1.1.4). Whoever takes another sequence for the
//! end can be made to see a second message inside the first one (SMTP smuggling), so a bare CR or a
//! bare LF never begins a line here, and none ever reaches a mailbox or another server.
//!
//! ```text
//!            "."            CR             LF
//!  LineStart ----> Dot ----------> DotCr ------> the end
//!   ^  | other      | other (dot dropped)  | other
//!   |  +-----> Middle <--+                 |
//!   |  LF       | CR  ^ other (a bare CR)  |
//!   +--------- Cr <---+--------------------+
//! ```

/// What to do with a CR without LF, or an LF without CR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BareEndings {
    /// Note that one was there; the message is refused at its end. What an mx does.
    Refuse,
    /// LF becomes CRLF, CR becomes a blank. What a submission server may do for old clients.
    Normalise,
}

/// Whether lines that begin with a dot have one more than they mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dots {
    /// DATA (RFC 5321 §4.5.2): remove one, and a dot alone is the end.
    Stuffed,
    /// BDAT (RFC 3030 §2): dots mean themselves, the end is elsewhere.
    Verbatim,
}

/// Where in a message the input stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// All input was taken; the message goes on.
    More,
    /// The message ended after this many bytes of the input; the rest is the next command.
    End {
        /// Bytes of the input that belonged to the message and its end.
        consumed: usize,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// After CRLF, or at the very beginning.
    LineStart,
    /// After a dot at the start of a line; the dot is held back.
    Dot,
    /// After dot and CR at the start of a line; both are held back.
    DotCr,
    /// Within a line.
    Middle,
    /// After a CR within a line; it is held back.
    Cr,
}

/// Takes a message in pieces of any size and gives its lines in pieces of its own choosing.
#[derive(Debug)]
pub struct Lines {
    at: At,
    dots: Dots,
    bare: BareEndings,
    bare_seen: bool,
}

impl Lines {
    /// At the beginning of a message.
    pub fn new(dots: Dots, bare: BareEndings) -> Self {
        Self {
            at: At::LineStart,
            dots,
            bare,
            bare_seen: false,
        }
    }

    /// Whether a bare CR or LF was met that `BareEndings::Refuse` forbids.
    pub fn must_be_refused(&self) -> bool {
        self.bare_seen && self.bare == BareEndings::Refuse
    }

    /// Takes `input` and calls `sink` with message bytes, in order.
    ///
    /// # Errors
    /// What `sink` returns; the message cannot be continued then.
    pub fn push<E>(
        &mut self,
        input: &[u8],
        mut sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Progress, E> {
        // `input[from..at]` is seen but not yet given to the sink, so that pieces are long.
        let mut from = 0;
        let mut at = 0;
        while let Some(&byte) = input.get(at) {
            match self.at {
                At::LineStart if byte == b'.' && self.dots == Dots::Stuffed => {
                    give(input, from, at, &mut sink)?;
                    at += 1;
                    from = at;
                    self.at = At::Dot;
                }
                At::LineStart => self.at = At::Middle,
                At::Dot if byte == b'\r' => {
                    at += 1;
                    from = at;
                    self.at = At::DotCr;
                }
                At::Dot => self.at = At::Middle,
                At::DotCr if byte == b'\n' => {
                    self.at = At::LineStart;
                    return Ok(Progress::End { consumed: at + 1 });
                }
                At::DotCr => self.at = At::Cr,
                At::Cr if byte == b'\n' => {
                    sink(b"\r\n")?;
                    at += 1;
                    from = at;
                    self.at = At::LineStart;
                }
                At::Cr => {
                    self.bare_cr(&mut sink)?;
                    self.at = At::Middle;
                }
                At::Middle => at = self.line(input, &mut from, at, &mut sink)?,
            }
        }
        give(input, from, at, &mut sink)?;
        Ok(Progress::More)
    }

    /// Goes on from `at`, within a line, to behind the next CR or LF; gives where that is.
    fn line<E>(
        &mut self,
        input: &[u8],
        from: &mut usize,
        at: usize,
        sink: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<usize, E> {
        let rest = input.get(at..).unwrap_or_default();
        let Some(ending) = memchr::memchr2(b'\r', b'\n', rest).map(|found| found + at) else {
            return Ok(input.len());
        };
        if input.get(ending) == Some(&b'\r') {
            match input.get(ending + 1) {
                Some(b'\n') => {
                    self.at = At::LineStart;
                    return Ok(ending + 2);
                }
                Some(_) => {
                    give(input, *from, ending, sink)?;
                    self.bare_cr(sink)?;
                }
                None => {
                    give(input, *from, ending, sink)?;
                    self.at = At::Cr;
                }
            }
        } else {
            give(input, *from, ending, sink)?;
            self.bare_seen = true;
            sink(if self.bare == BareEndings::Normalise {
                b"\r\n"
            } else {
                b"\n"
            })?;
        }
        *from = ending + 1;
        Ok(ending + 1)
    }

    fn bare_cr<E>(&mut self, sink: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.bare_seen = true;
        sink(if self.bare == BareEndings::Normalise {
            b" "
        } else {
            b"\r"
        })
    }

    /// The message ends here although no dot said so (after BDAT LAST). A last line without CRLF
    /// gets one, because everything that stores or sends messages thinks in lines.
    ///
    /// # Errors
    /// What `sink` returns.
    pub fn finish<E>(&mut self, mut sink: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        if self.at == At::Cr {
            self.bare_cr(&mut sink)?;
            self.at = At::Middle;
        }
        if self.at == At::Middle {
            sink(b"\r\n")?;
            self.at = At::LineStart;
        }
        Ok(())
    }
}

fn give<E>(
    input: &[u8],
    from: usize,
    to: usize,
    sink: &mut impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    match input.get(from..to) {
        Some(piece) if !piece.is_empty() => sink(piece),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::convert::Infallible;

    /// Runs `input` cut into `sizes`; gives the message, the bytes behind the end, and the reader.
    fn run(
        input: &[u8],
        sizes: &[usize],
        dots: Dots,
        bare: BareEndings,
    ) -> (Vec<u8>, Option<Vec<u8>>, Lines) {
        let mut lines = Lines::new(dots, bare);
        let mut message = Vec::new();
        let mut rest = input;
        let mut sizes = sizes.iter().cycle();
        while !rest.is_empty() {
            let size = sizes
                .next()
                .map_or(rest.len(), |s| (*s).clamp(1, rest.len()));
            let (piece, after) = rest.split_at(size);
            let taken = lines.push(piece, |bytes| {
                message.extend_from_slice(bytes);
                Ok::<_, Infallible>(())
            });
            match taken {
                Ok(Progress::End { consumed }) => {
                    let left = [&piece[consumed..], after].concat();
                    return (message, Some(left), lines);
                }
                Ok(Progress::More) => rest = after,
            }
        }
        (message, None, lines)
    }

    /// The same by splitting the whole at CRLF.
    fn model(input: &[u8], bare: BareEndings) -> (Vec<u8>, Option<Vec<u8>>, bool) {
        let mut message = Vec::new();
        let mut bare_seen = false;
        let mut rest = input;
        while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
            let line = &rest[..end];
            rest = &rest[end + 2..];
            if line == b"." {
                return (message, Some(rest.to_vec()), bare_seen);
            }
            for &byte in line.strip_prefix(b".").unwrap_or(line) {
                match (byte, bare) {
                    (b'\n', BareEndings::Normalise) => message.extend_from_slice(b"\r\n"),
                    (b'\r', BareEndings::Normalise) => message.push(b' '),
                    _ => message.push(byte),
                }
                bare_seen |= byte == b'\r' || byte == b'\n';
            }
            message.extend_from_slice(b"\r\n");
        }
        (message, None, bare_seen)
    }

    #[test]
    fn the_end_is_found_and_dots_are_unstuffed() {
        let (message, rest, lines) = run(
            b"a\r\n..b\r\n.c\r\n\r\n.\r\nQUIT\r\n",
            &[1000],
            Dots::Stuffed,
            BareEndings::Refuse,
        );
        assert_eq!(message, b"a\r\n.b\r\nc\r\n\r\n");
        assert_eq!(rest.as_deref(), Some(&b"QUIT\r\n"[..]));
        assert!(!lines.must_be_refused());
    }

    #[test]
    fn an_empty_message_ends_at_once() {
        let (message, rest, _) = run(b".\r\n", &[1], Dots::Stuffed, BareEndings::Refuse);
        assert_eq!((message, rest), (Vec::new(), Some(Vec::new())));
    }

    #[test]
    fn no_other_sequence_ends_a_message() {
        // The vectors of the smuggling publications of December 2023, and their relatives.
        for ending in [
            &b"\n.\n"[..],
            b"\n.\r\n",
            b"\r.\r\n",
            b"\r\n.\n",
            b"\r\n.\r",
            b"\r.\r",
            b"\r.\n",
            b"\n.\r",
            b"\r\n\0.\r\n",
            b"\r\n.\0\r\n",
            b"\r\r\n.\r\r\n",
            b"\r\n.\r\r\n",
            b"\n\n.\n\n",
            b"\r\n. \r\n",
        ] {
            let smuggled = [b"first", ending, b"MAIL FROM:<x@evil>\r\n"].concat();
            for size in [1, 2, 3, 1000] {
                let (_, rest, lines) = run(&smuggled, &[size], Dots::Stuffed, BareEndings::Refuse);
                assert_eq!(rest, None, "{ending:?} ended the message");
                let only_crlf =
                    ending == b"\r\n\0.\r\n" || ending == b"\r\n.\0\r\n" || ending == b"\r\n. \r\n";
                assert_eq!(lines.must_be_refused(), !only_crlf, "{ending:?}");
            }
        }
    }

    #[test]
    fn normalising_leaves_no_bare_ending() {
        let (message, rest, lines) = run(
            b"a\nb\rc\r\r\n\n.\r\nd\r\n.\r\n",
            &[3],
            Dots::Stuffed,
            BareEndings::Normalise,
        );
        assert_eq!(
            String::from_utf8_lossy(&message),
            "a\r\nb c \r\n\r\n.\r\nd\r\n"
        );
        assert_eq!(rest.as_deref(), Some(&b""[..]));
        assert!(!lines.must_be_refused());
    }

    #[test]
    fn chunks_keep_their_dots_and_get_a_last_line_ending() {
        let (mut message, rest, mut lines) =
            run(b".\r\n..\r\nend", &[2], Dots::Verbatim, BareEndings::Refuse);
        assert_eq!(rest, None);
        let finished = lines.finish(|bytes| {
            message.extend_from_slice(bytes);
            Ok::<_, Infallible>(())
        });
        assert_eq!(finished, Ok(()));
        assert_eq!(message, b".\r\n..\r\nend\r\n");
    }

    #[test]
    fn a_chunked_message_that_ends_with_cr_has_a_bare_one() {
        let (_, _, mut lines) = run(b"end\r", &[9], Dots::Verbatim, BareEndings::Refuse);
        assert_eq!(lines.finish(|_| Ok::<_, Infallible>(())), Ok(()));
        assert!(lines.must_be_refused());
    }

    proptest! {
        #[test]
        fn agrees_with_the_model_however_it_is_cut(
            input in proptest::collection::vec(
                prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), Just(b'a')], 0..60),
            sizes in proptest::collection::vec(1_usize..7, 1..20),
            normalise in any::<bool>(),
        ) {
            let bare = if normalise { BareEndings::Normalise } else { BareEndings::Refuse };
            // The model knows whole messages only.
            let input = [&input[..], b"\r\n.\r\n"].concat();
            let (message, rest, lines) = run(&input, &sizes, Dots::Stuffed, bare);
            let (expected, expected_rest, bare_seen) = model(&input, bare);
            prop_assert_eq!(message, expected);
            prop_assert_eq!(rest, expected_rest);
            prop_assert_eq!(lines.must_be_refused(), bare_seen && !normalise);
        }
    }
}
