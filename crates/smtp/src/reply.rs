//! SMTP replies as values: typed codes, enhanced codes (RFC 3463), texts, lines of at most 512 bytes.
//! A permanent refusal cannot hold a 4yz code, and the enhanced class always agrees with the code.
//! Made by commands and rulings, written by the session; never reads or writes a socket itself.

use crate::limits::REPLY_LINE_BYTES_MAX;
use std::borrow::Cow;

/// 2yz: done (RFC 5321 §4.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Success {
    /// Answers HELP.
    Help = 214,
    /// The greeting, and the go-ahead for STARTTLS.
    Ready = 220,
    /// Answers QUIT.
    Closing = 221,
    /// RFC 4954 §6: logged in.
    LoggedIn = 235,
    /// Requested action completed.
    Ok = 250,
    /// RFC 5321 §3.5.3: neither confirmed nor denied.
    CannotVerify = 252,
}

/// 3yz: go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Intermediate {
    /// RFC 4954 §4: the client's turn in a SASL exchange.
    Challenge = 334,
    /// Start mail input.
    StartInput = 354,
}

/// 4yz: not now, try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Transient {
    /// The connection closes.
    Closing = 421,
    /// The mailbox is not available for the moment.
    MailboxBusy = 450,
    /// Local error in processing.
    LocalError = 451,
    /// Not enough storage, or too many recipients.
    NoStorage = 452,
    /// RFC 4954 §6, RFC 3207 §4: a login or TLS cannot be had for the moment.
    NotAvailable = 454,
}

/// 5yz: never in this form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Permanent {
    /// Command unrecognised, or the line is too long.
    Unrecognised = 500,
    /// Syntax error in parameters.
    BadArgument = 501,
    /// Command not implemented.
    NotImplemented = 502,
    /// Bad sequence of commands.
    BadSequence = 503,
    /// Parameter not implemented.
    ParameterNotImplemented = 504,
    /// RFC 4954 §6, RFC 3207 §4: log in or start TLS first.
    FirstDoThis = 530,
    /// RFC 4954 §6: credentials invalid.
    BadCredentials = 535,
    /// Mailbox unavailable, or refused by policy.
    Refused = 550,
    /// Message too large.
    TooLarge = 552,
    /// Mailbox name not allowed.
    BadMailbox = 553,
    /// Transaction failed.
    Failed = 554,
    /// MAIL or RCPT parameter not recognised.
    UnknownParameter = 555,
}

/// The two lower parts of an enhanced status code; the class follows from the reply code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(pub u8, pub u16);

impl Status {
    /// RFC 3463 §3.1: nothing more to say.
    pub const OTHER: Status = Status(0, 0);
    /// Bad destination mailbox.
    pub const BAD_MAILBOX: Status = Status(1, 1);
    /// Bad destination system.
    pub const BAD_DOMAIN: Status = Status(1, 2);
    /// Bad destination mailbox address syntax.
    pub const BAD_RECIPIENT_SYNTAX: Status = Status(1, 3);
    /// Destination address valid.
    pub const RECIPIENT_OK: Status = Status(1, 5);
    /// Other address status, used for the sender (RFC 2034 examples).
    pub const SENDER_OK: Status = Status(1, 0);
    /// Bad sender's mailbox address syntax.
    pub const BAD_SENDER_SYNTAX: Status = Status(1, 7);
    /// Mailbox disabled.
    pub const MAILBOX_DISABLED: Status = Status(2, 1);
    /// Mailbox full.
    pub const MAILBOX_FULL: Status = Status(2, 2);
    /// Other or undefined mail system status.
    pub const SYSTEM: Status = Status(3, 0);
    /// System not accepting network messages.
    pub const SHUTTING_DOWN: Status = Status(3, 2);
    /// Message too big for system.
    pub const TOO_LARGE: Status = Status(3, 4);
    /// Bad connection: the peer took too long.
    pub const TIMED_OUT: Status = Status(4, 2);
    /// Routing loop detected.
    pub const LOOP: Status = Status(4, 6);
    /// Invalid command: out of order.
    pub const SEQUENCE: Status = Status(5, 1);
    /// Syntax error.
    pub const SYNTAX: Status = Status(5, 2);
    /// Too many recipients.
    pub const TOO_MANY_RECIPIENTS: Status = Status(5, 3);
    /// Invalid command arguments.
    pub const ARGUMENTS: Status = Status(5, 4);
    /// RFC 4954 §6: authentication exchange line is too long.
    pub const AUTH_LINE: Status = Status(5, 6);
    /// Other or undefined media error.
    pub const CONTENT: Status = Status(6, 0);
    /// RFC 6531 §3.4: a mailbox needs SMTPUTF8 that was not asked for.
    pub const NEEDS_UTF8: Status = Status(6, 7);
    /// RFC 6710 §4.1: the priority that was asked for was changed.
    pub const PRIORITY_CHANGED: Status = Status(3, 6);
    /// RFC 5248 registry: encryption needed.
    pub const ENCRYPTION_NEEDED: Status = Status(7, 10);
    /// Other or undefined security status.
    pub const SECURITY: Status = Status(7, 0);
    /// Delivery not authorised.
    pub const NOT_AUTHORISED: Status = Status(7, 1);
    /// RFC 4954 §6: credentials invalid.
    pub const CREDENTIALS: Status = Status(7, 8);
    /// X.7.26: multiple authentication checks failed (RFC 7372 §3.3).
    pub const MANY_CHECKS_FAILED: Status = Status(7, 26);
    /// X.4.3: directory server failure.
    pub const NO_DIRECTORY: Status = Status(4, 3);
}

/// One reply: a code, perhaps an enhanced code, and text of one or more lines (separated by `\n`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    status: Option<Status>,
    text: Cow<'static, str>,
}

impl Reply {
    /// A 2yz reply with an enhanced code.
    pub fn success(code: Success, status: Status, text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(code as u16, Some(status), text.into())
    }

    /// A 2yz reply to which RFC 2034 §4 gives no enhanced code: the greeting and the one to EHLO.
    pub fn bare(code: Success, text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(code as u16, None, text.into())
    }

    /// A 3yz reply; these have no enhanced code (RFC 2034 §4).
    pub fn intermediate(code: Intermediate, text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(code as u16, None, text.into())
    }

    /// A 4yz reply.
    pub fn transient(code: Transient, status: Status, text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(code as u16, Some(status), text.into())
    }

    /// A 5yz reply.
    pub fn permanent(code: Permanent, status: Status, text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(code as u16, Some(status), text.into())
    }

    fn new(code: u16, status: Option<Status>, text: Cow<'static, str>) -> Self {
        Self { code, status, text }
    }

    /// The three digits.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The enhanced code, e.g. `5.1.1`; empty where the reply has none.
    pub fn enhanced(&self) -> String {
        self.status
            .map_or_else(String::new, |Status(subject, detail)| {
                format!("{}.{subject}.{detail}", self.code / 100)
            })
    }

    /// The text without codes.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether this says no (4yz or 5yz).
    pub fn is_refusal(&self) -> bool {
        self.code >= 400
    }

    /// Appends the reply as it goes over the wire. Long lines are broken at blanks so that none is
    /// over 512 bytes (RFC 5321 §4.5.3.1.5). Control characters and anything outside ASCII become
    /// `?`, so that no text taken from a peer can forge a line (RFC 5321 §4.2 `textstring`).
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let enhanced = self.enhanced();
        let overhead = 4
            + 2
            + if enhanced.is_empty() {
                0
            } else {
                enhanced.len() + 1
            };
        let room = REPLY_LINE_BYTES_MAX - overhead;
        let mut lines = self.text.split('\n').flat_map(|line| Wrapped {
            rest: Some(line),
            room,
        });
        let mut line = lines.next();
        while let Some(text) = line {
            let following = lines.next();
            let separator = if following.is_some() { b'-' } else { b' ' };
            out.extend_from_slice(&[
                b'0' + (self.code / 100 % 10) as u8,
                b'0' + (self.code / 10 % 10) as u8,
                b'0' + (self.code % 10) as u8,
                separator,
            ]);
            if !enhanced.is_empty() {
                out.extend_from_slice(enhanced.as_bytes());
                out.push(b' ');
            }
            out.extend(
                text.bytes()
                    .map(|b| if (b' '..=b'~').contains(&b) { b } else { b'?' }),
            );
            out.extend_from_slice(b"\r\n");
            line = following;
        }
    }
}

/// A text cut into pieces of at most `room` bytes, at blanks where there are any.
struct Wrapped<'a> {
    rest: Option<&'a str>,
    room: usize,
}

impl<'a> Iterator for Wrapped<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.rest?;
        if text.len() <= self.room {
            self.rest = None;
            return Some(text);
        }
        let hard = text.floor_char_boundary(self.room);
        let (head, rest) = match text[..hard].rfind(' ') {
            Some(blank) if blank > 0 => (&text[..blank], &text[blank + 1..]),
            _ => text.split_at(hard),
        };
        self.rest = Some(rest);
        Some(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wire(reply: &Reply) -> String {
        let mut out = Vec::new();
        reply.write_to(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_enhanced_class_follows_the_code() {
        let refused = Reply::permanent(Permanent::Refused, Status::BAD_MAILBOX, "No such user.");
        assert_eq!(wire(&refused), "550 5.1.1 No such user.\r\n");
        let later = Reply::transient(Transient::NoStorage, Status::TOO_MANY_RECIPIENTS, "Later.");
        assert_eq!(wire(&later), "452 4.5.3 Later.\r\n");
    }

    #[test]
    fn every_line_of_a_reply_repeats_the_codes() {
        let hello = Reply::bare(Success::Ok, "mx.example\nPIPELINING\nSIZE 10");
        assert_eq!(
            wire(&hello),
            "250-mx.example\r\n250-PIPELINING\r\n250 SIZE 10\r\n"
        );
        let two = Reply::permanent(Permanent::Failed, Status::LOOP, "One.\nTwo.");
        assert_eq!(wire(&two), "554-5.4.6 One.\r\n554 5.4.6 Two.\r\n");
    }

    #[test]
    fn no_text_can_forge_a_line() {
        let forged = Reply::permanent(Permanent::BadArgument, Status::SYNTAX, "a\r250 ok\0ü");
        assert_eq!(wire(&forged), "501 5.5.2 a?250 ok???\r\n");
    }

    proptest! {
        #[test]
        fn no_line_is_over_512_bytes(text in "(?s).{0,2000}") {
            let written = wire(&Reply::permanent(Permanent::Failed, Status::SYSTEM, text));
            prop_assert!(written.ends_with("\r\n"));
            for line in written.split_inclusive("\r\n") {
                prop_assert!(line.len() <= 512);
                prop_assert!(line.starts_with("554"));
            }
        }
    }
}
