//! What FETCH can be asked (RFC 3501 §6.4.5): data items, their sections and partial ranges.

use super::cursor::{Cursor, Empty};
use super::{Fault, Parsed};
use crate::imap::limits;
use formats::section::{Section, SectionError, SectionText};

/// A data item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// `FLAGS`
    Flags,
    /// `UID`
    Uid,
    /// `INTERNALDATE`
    InternalDate,
    /// `RFC822.SIZE`
    Rfc822Size,
    /// `ENVELOPE`
    Envelope,
    /// `MODSEQ` (RFC 7162 §3.1.4.2)
    ModSeq,
    /// `BODY`: the structure without extension data.
    Body,
    /// `BODYSTRUCTURE`
    BodyStructure,
    /// Bytes of the message.
    Section(SectionItem),
}

/// An item that answers with bytes of the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionItem {
    /// Under which name it was asked for and is answered.
    pub name: SectionName,
    /// Which bytes.
    pub section: Section,
    /// First byte and number of bytes, where only a part is wanted.
    pub partial: Option<(u32, u32)>,
    /// Whether it sets `\Seen`.
    pub seen: Seen,
}

/// The names of RFC 3501 §6.4.5 for bytes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SectionName {
    /// `BODY[...]`
    Body,
    /// `RFC822`
    Rfc822,
    /// `RFC822.HEADER`
    Rfc822Header,
    /// `RFC822.TEXT`
    Rfc822Text,
}

/// Whether fetching marks the message as read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It sets `\Seen`.
    Sets,
    /// It leaves the flags alone.
    Peeks,
}

/// ```abnf
/// "ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")"
/// ```
pub fn items(cursor: &mut Cursor<'_>) -> Parsed<Vec<Item>> {
    if cursor.peek() == Some(b'(') {
        let mut items = Vec::new();
        for item in cursor.list(Empty::Refused, limits::FETCH_ITEMS_MAX, item)? {
            if !items.contains(&item) {
                items.push(item);
            }
        }
        return Ok(items);
    }
    use Item::{Body, Envelope, Flags, InternalDate, Rfc822Size};
    if cursor.take_word(b"ALL") {
        return Ok(vec![Flags, InternalDate, Rfc822Size, Envelope]);
    }
    if cursor.take_word(b"FAST") {
        return Ok(vec![Flags, InternalDate, Rfc822Size]);
    }
    if cursor.take_word(b"FULL") {
        return Ok(vec![Flags, InternalDate, Rfc822Size, Envelope, Body]);
    }
    Ok(vec![item(cursor)?])
}

/// ```abnf
/// fetch-att = "ENVELOPE" / "FLAGS" / "INTERNALDATE" / "RFC822" [".HEADER" / ".SIZE" / ".TEXT"] /
///             "BODY" ["STRUCTURE"] / "UID" / "MODSEQ" /
///             "BODY" section ["<" number "." nz-number ">"] /
///             "BODY.PEEK" section ["<" number "." nz-number ">"]
/// ```
fn item(cursor: &mut Cursor<'_>) -> Parsed<Item> {
    let name = cursor.run(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
    let item = match name.to_ascii_uppercase().as_slice() {
        b"FLAGS" => Item::Flags,
        b"UID" => Item::Uid,
        b"MODSEQ" => Item::ModSeq,
        b"INTERNALDATE" => Item::InternalDate,
        b"RFC822.SIZE" => Item::Rfc822Size,
        b"ENVELOPE" => Item::Envelope,
        b"BODYSTRUCTURE" => Item::BodyStructure,
        b"BODY" if cursor.peek() != Some(b'[') => Item::Body,
        b"BODY" => body(cursor, Seen::Sets)?,
        b"BODY.PEEK" => body(cursor, Seen::Peeks)?,
        b"RFC822" => old(SectionName::Rfc822, SectionText::Whole, Seen::Sets),
        b"RFC822.HEADER" => old(SectionName::Rfc822Header, SectionText::Header, Seen::Peeks),
        b"RFC822.TEXT" => old(SectionName::Rfc822Text, SectionText::Text, Seen::Sets),
        _ => {
            return Err(Fault::new(
                "FETCH knows FLAGS, UID, MODSEQ, INTERNALDATE, ENVELOPE, BODYSTRUCTURE, RFC822.SIZE, \
                 BODY[...], BODY.PEEK[...], RFC822, RFC822.HEADER and RFC822.TEXT.",
            ));
        }
    };
    Ok(item)
}

fn old(name: SectionName, text: SectionText, seen: Seen) -> Item {
    Item::Section(SectionItem {
        name,
        section: Section {
            path: Vec::new(),
            text,
        },
        partial: None,
        seen,
    })
}

fn body(cursor: &mut Cursor<'_>, seen: Seen) -> Parsed<Item> {
    let section = section(cursor)?;
    let mut partial = None;
    if cursor.take(b'<') {
        let first = cursor.number()?;
        cursor.expect(b'.', "A range such as <0.1024> was expected.")?;
        let bytes = cursor.number_nonzero()?;
        cursor.expect(b'>', "A range such as <0.1024> was expected.")?;
        partial = Some((first, bytes));
    }
    Ok(Item::Section(SectionItem {
        name: SectionName::Body,
        section,
        partial,
        seen,
    }))
}

/// ```abnf
/// section      = "[" [section-spec] "]"
/// section-spec = section-msgtext / (section-part ["." section-text])
/// section-part = nz-number *("." nz-number)
/// section-text = section-msgtext / "MIME"
/// ```
fn section(cursor: &mut Cursor<'_>) -> Parsed<Section> {
    const NO_SECTION: Fault =
        Fault::new("A section such as [], [TEXT], [1.2] or [1.MIME] was expected.");
    cursor.expect(b'[', NO_SECTION.text)?;
    let (section, bytes) = Section::parse(cursor.rest()).map_err(|error| match error {
        SectionError::Grammar => NO_SECTION,
        SectionError::MimeNeedsPart => Fault::new("MIME needs a part, as in [1.MIME]."),
        SectionError::TooLong => Fault::new("[LIMIT] The section has too many parts or names."),
    })?;
    cursor.skip(bytes);
    cursor.expect(b']', NO_SECTION.text)?;
    Ok(section)
}
