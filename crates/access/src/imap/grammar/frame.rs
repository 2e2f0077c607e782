//! Where a command ends: lines joined by literals (RFC 3501 §4.3, RFC 7888). Looks at each byte once
//! however small the pieces in which it arrives, and never asks for more than its bounds allow.
//! Called by the session with everything that has arrived since the last command.

use super::append::{self, Head};
use super::command::{self, Request};
use super::{Fault, Parsed};
use crate::imap::limits;

/// Whether the peer waits for our `+` before it sends a literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// `{5}`: it waits.
    Waits,
    /// `{5+}`: it has sent it already (RFC 7888).
    Sends,
}

/// A literal as announced at the end of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Literal {
    /// Its length.
    pub bytes: u64,
    /// Whether the peer waits.
    pub sync: Sync,
}

/// How much one command may take; smaller before login.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Lines and literals together.
    pub command_bytes_max: usize,
    /// One literal.
    pub literal_bytes_max: u64,
}

impl Bounds {
    /// For peers that have not logged in.
    pub const STRANGER: Self = Self {
        command_bytes_max: limits::STRANGER_COMMAND_BYTES_MAX,
        literal_bytes_max: limits::STRANGER_LITERAL_BYTES_MAX,
    };
    /// For peers that have logged in.
    pub const KNOWN: Self = Self {
        command_bytes_max: limits::COMMAND_BYTES_MAX,
        literal_bytes_max: limits::LITERAL_BYTES_MAX,
    };
}

/// What to do with the connection after a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The next command begins after the bytes consumed.
    Continue,
    /// Where the next command begins is not known, so the connection has to end.
    Close,
}

/// What the bytes so far amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// No complete command yet.
    NeedMore,
    /// The command goes on with a literal. Said once for each; a peer that waits gets its `+` now.
    NeedLiteral(Literal),
    /// An APPEND up to its first message. The literal begins after `consumed` bytes.
    Append {
        /// The tag of the command.
        tag: Box<str>,
        /// What stands before the literal, or what is wrong with it.
        head: Parsed<(Vec<u8>, append::Message)>,
        /// The literal that follows.
        literal: Literal,
        /// Bytes of the input that are done with.
        consumed: usize,
    },
    /// A complete command.
    Done {
        /// The command and its tag.
        request: Request,
        /// Bytes of the input that are done with.
        consumed: usize,
    },
    /// A command that is refused.
    Bad {
        /// The tag, if one could be read.
        tag: Option<Box<str>>,
        /// What was wrong.
        fault: Fault,
        /// Bytes of the input that are done with.
        consumed: usize,
        /// Whether the connection can go on.
        then: Then,
    },
}

/// Remembers how far a command has been looked at. One for each command; fresh ones are `default`.
#[derive(Debug, Default)]
pub struct Assembler {
    /// Where the current line begins.
    line: usize,
    /// Before here there is no line end that has not been dealt with.
    scanned: usize,
    literals: u32,
}

impl Assembler {
    /// Looks at `input`, which begins where the command begins and has grown since the last call.
    pub fn step(&mut self, input: &[u8], bounds: &Bounds) -> Outcome {
        loop {
            let unseen = input.get(self.scanned..).unwrap_or_default();
            let Some(found) = memchr::memchr(b'\n', unseen) else {
                return self.wait(input, bounds);
            };
            let next_line = self.scanned + found + 1;
            if next_line > bounds.command_bytes_max {
                return too_long(input);
            }
            let line = input.get(self.line..next_line).unwrap_or_default();
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let Some(literal) = literal_suffix(line) else {
                let frame = input.get(..self.line + line.len()).unwrap_or_default();
                return finish(frame, next_line);
            };
            let so_far = input.get(..next_line).unwrap_or_default();
            match append::head(so_far) {
                Head::OtherCommand => {}
                Head::Message(head) => {
                    let tag = command::tag_of(so_far).unwrap_or_default();
                    return Outcome::Append {
                        tag,
                        head,
                        literal,
                        consumed: next_line,
                    };
                }
            }
            if let Some(refusal) = self.refuse(input, next_line, literal, bounds) {
                return refusal;
            }
            self.literals += 1;
            // Bounded by the check above, so it fits.
            let data_end = next_line + usize::try_from(literal.bytes).unwrap_or(0);
            self.line = data_end;
            self.scanned = data_end;
            if literal.sync == Sync::Waits {
                return Outcome::NeedLiteral(literal);
            }
        }
    }

    /// The name of the command that is arriving, in upper case, if it has been sent by now.
    pub fn name(input: &[u8]) -> String {
        command::name_of(input)
    }

    fn wait(&mut self, input: &[u8], bounds: &Bounds) -> Outcome {
        if input.len() > bounds.command_bytes_max {
            return too_long(input);
        }
        self.scanned = self.scanned.max(input.len());
        Outcome::NeedMore
    }

    fn refuse(
        &self,
        input: &[u8],
        next_line: usize,
        literal: Literal,
        bounds: &Bounds,
    ) -> Option<Outcome> {
        let room = bounds.command_bytes_max.saturating_sub(next_line);
        let fits = literal.bytes <= bounds.literal_bytes_max
            && usize::try_from(literal.bytes).is_ok_and(|bytes| bytes <= room);
        if fits && self.literals < limits::COMMAND_LITERALS_MAX {
            return None;
        }
        Some(Outcome::Bad {
            tag: command::tag_of(input),
            fault: Fault::new("[TOOBIG] This literal is larger than this command may have."),
            consumed: next_line,
            // RFC 7888 §4: a literal that is already on its way can only be read or cut off.
            then: match literal.sync {
                Sync::Waits => Then::Continue,
                Sync::Sends => Then::Close,
            },
        })
    }
}

fn too_long(input: &[u8]) -> Outcome {
    Outcome::Bad {
        tag: command::tag_of(input),
        fault: Fault::new("[LIMIT] The command is too long."),
        consumed: input.len(),
        then: Then::Close,
    }
}

fn finish(frame: &[u8], consumed: usize) -> Outcome {
    match command::parse(frame) {
        Ok(request) => Outcome::Done { request, consumed },
        Err(fault) => Outcome::Bad {
            tag: command::tag_of(frame),
            fault,
            consumed,
            then: Then::Continue,
        },
    }
}

/// ```abnf
/// "{" number ["+"] "}" CRLF
/// ```
/// No argument but a literal can end so: `{` is no ATOM-CHAR and a quoted string ends with `"`.
pub fn literal_suffix(line: &[u8]) -> Option<Literal> {
    let inside = line.strip_suffix(b"}")?;
    let (inside, sync) = match inside.strip_suffix(b"+") {
        Some(inside) => (inside, Sync::Sends),
        None => (inside, Sync::Waits),
    };
    let digits = inside
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let (before, digits) = inside.split_at_checked(inside.len() - digits)?;
    if digits.is_empty() || before.last() != Some(&b'{') {
        return None;
    }
    let bytes = digits.iter().fold(0u64, |sum, digit| {
        sum.saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    });
    Some(Literal { bytes, sync })
}
