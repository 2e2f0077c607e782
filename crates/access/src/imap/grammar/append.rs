//! APPEND (RFC 3501 §6.3.11) with several messages (RFC 3502), up to but never including a literal.

use super::command::{self, Flag};
use super::cursor::{Cursor, Empty};
use super::date;
use super::frame::{self, Literal};
use super::{Fault, Parsed};
use crate::imap::limits;
use formats::date::DateTime;

/// What stands before one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The flags it is to have.
    pub flags: Vec<Flag>,
    /// INTERNALDATE; the time of arrival if absent.
    pub date: Option<DateTime>,
}

/// What a command that has reached a literal is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    /// No APPEND, or one whose literal is the mailbox name: collect it.
    OtherCommand,
    /// An APPEND whose literal is a message: the mailbox and what stands before the message.
    Message(Parsed<(Vec<u8>, Message)>),
}

/// What follows a message of an APPEND.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum More {
    /// The end of the command.
    End,
    /// Another message.
    Message(Message, Literal),
}

/// ```abnf
/// append     = "APPEND" SP mailbox 1*append-message        ; RFC 3502 §6.3.11
/// append-message = SP [flag-list SP] [date-time SP] literal
/// ```
/// `line` ends after the line end that follows a literal's length.
pub fn head(line: &[u8]) -> Head {
    let mut cursor = Cursor::new(line);
    if command::tag(&mut cursor).is_err() || !cursor.take(b' ') || !cursor.take_word(b"APPEND") {
        return Head::OtherCommand;
    }
    if !cursor.take(b' ') {
        return Head::Message(Err(Fault::new("APPEND needs a mailbox and a message.")));
    }
    if cursor.peek() == Some(b'{') {
        let mut name = cursor.clone();
        let announced = name.run(|byte| byte != b'\n');
        if name.rest() == b"\n" && frame::literal_suffix(announced.trim_ascii_end()).is_some() {
            return Head::OtherCommand;
        }
    }
    Head::Message(head_rest(&mut cursor))
}

fn head_rest(cursor: &mut Cursor<'_>) -> Parsed<(Vec<u8>, Message)> {
    let mailbox = command::mailbox(cursor)?;
    cursor.space()?;
    Ok((mailbox, message(cursor)?))
}

fn message(cursor: &mut Cursor<'_>) -> Parsed<Message> {
    let mut flags = Vec::new();
    if cursor.peek() == Some(b'(') {
        flags = cursor.list(Empty::Allowed, limits::FLAGS_MAX, command::flag)?;
        cursor.space()?;
    }
    let mut date = None;
    if cursor.peek() == Some(b'"') {
        date = Some(date::date_time(cursor)?);
        cursor.space()?;
    }
    if cursor.peek() != Some(b'{') {
        return Err(Fault::new(
            "APPEND takes the message as a literal, such as {310}.",
        ));
    }
    let announced = cursor.run(|byte| byte != b'\n').trim_ascii_end();
    if announced.iter().filter(|byte| **byte == b'{').count() != 1 {
        return Err(Fault::new("There is something after the last argument."));
    }
    Ok(Message { flags, date })
}

/// Reads what follows a message, a line without its line end.
pub fn more(line: &[u8]) -> Parsed<More> {
    if line.is_empty() {
        return Ok(More::End);
    }
    let literal = frame::literal_suffix(line)
        .ok_or(Fault::new("After the message a line end was expected."))?;
    let mut cursor = Cursor::new(line);
    cursor.space()?;
    Ok(More::Message(message(&mut cursor)?, literal))
}
