//! Bytes of a message: `BODY[...]` with partial ranges and the old `RFC822` names (RFC 3501 §6.4.5).
//! Reads and sends a piece at a time, so that no message is held whole.

use super::items::Message;
use crate::imap::grammar::fetch::{SectionItem, SectionName};
use crate::imap::limits;
use crate::imap::wire::{Ended, Wire, push_number};
use formats::section::SectionText;
use mailbox::{Content, Error};
use platform::net::StreamError;
use std::ops::Range;

/// Where the answer comes from.
enum Bytes {
    /// There is no such part.
    Nil,
    /// A range of the message.
    Range(Range<u64>),
    /// Fields picked from a header.
    Picked(Vec<u8>),
}

/// Writes the item. Bytes that cannot be read are NIL, and the error is given back.
pub(super) async fn write(
    message: &mut Message<'_>,
    wire: &mut Wire,
    item: &SectionItem,
) -> Result<Result<(), Error>, Ended> {
    write_name(wire.out(), item);
    let found = match find(message, item).await {
        Ok(found) => found,
        Err(error) => {
            wire.out().extend_from_slice(b"NIL");
            return Ok(Err(error));
        }
    };
    match found {
        Bytes::Nil => wire.out().extend_from_slice(b"NIL"),
        Bytes::Picked(bytes) => {
            let range = partial(0..bytes.len() as u64, item.partial);
            // Both ends lie within the bytes.
            let part = bytes
                .get(range.start as usize..range.end as usize)
                .unwrap_or_default();
            open_literal(wire.out(), part.len() as u64);
            wire.send(part).await?;
        }
        Bytes::Range(range) => {
            let content = message.content();
            return stream(wire, &content, partial(range, item.partial)).await;
        }
    }
    Ok(Ok(()))
}

fn write_name(out: &mut Vec<u8>, item: &SectionItem) {
    match item.name {
        SectionName::Rfc822 => out.extend_from_slice(b"RFC822 "),
        SectionName::Rfc822Header => out.extend_from_slice(b"RFC822.HEADER "),
        SectionName::Rfc822Text => out.extend_from_slice(b"RFC822.TEXT "),
        SectionName::Body => {
            out.extend_from_slice(b"BODY[");
            item.section.write(out);
            out.push(b']');
            // RFC 3501 §7.4.2: the answer repeats where it begins and not how long it is.
            if let Some((first, _)) = item.partial {
                out.push(b'<');
                push_number(out, u64::from(first));
                out.push(b'>');
            }
            out.push(b' ');
        }
    }
}

async fn find(message: &mut Message<'_>, item: &SectionItem) -> Result<Bytes, Error> {
    let section = &item.section;
    let content = message.content();
    if section.path.is_empty() && section.text == SectionText::Whole {
        return Ok(Bytes::Range(0..content.size()));
    }
    let Some(range) = content.locate(message.facts()?, section) else {
        return Ok(Bytes::Nil);
    };
    match &section.text {
        SectionText::HeaderFields(filter) => {
            let end = range.start.saturating_add(limits::HEADER_BYTES_MAX);
            let header = content.read(range.start..range.end.min(end)).await?;
            Ok(Bytes::Picked(filter.apply(&header)))
        }
        _ => Ok(Bytes::Range(range)),
    }
}

/// The part of `range` that `<first.bytes>` asks for; empty where it lies behind the end.
fn partial(range: Range<u64>, wanted: Option<(u32, u32)>) -> Range<u64> {
    let Some((first, bytes)) = wanted else {
        return range;
    };
    let start = range.start.saturating_add(u64::from(first)).min(range.end);
    let end = start.saturating_add(u64::from(bytes)).min(range.end);
    start..end
}

fn open_literal(out: &mut Vec<u8>, bytes: u64) {
    out.push(b'{');
    push_number(out, bytes);
    out.extend_from_slice(b"}\r\n");
}

/// Sends a range as a literal. Once its length is told there is no way back: bytes that cannot be
/// read then end the connection, because anything else would be taken for the message.
async fn stream(
    wire: &mut Wire,
    content: &Content,
    range: Range<u64>,
) -> Result<Result<(), Error>, Ended> {
    let mut at = range.start;
    let mut opened = false;
    loop {
        let to = range.end.min(at.saturating_add(limits::BODY_CHUNK_BYTES));
        let piece = match content.read(at..to).await {
            Ok(piece) if piece.len() as u64 == to - at => piece,
            Ok(_) if !opened => {
                wire.out().extend_from_slice(b"NIL");
                return Ok(Err(Error::Damaged(
                    "a message is shorter than its row says".into(),
                )));
            }
            Err(error) if !opened => {
                wire.out().extend_from_slice(b"NIL");
                return Ok(Err(error));
            }
            Ok(_) => return Err(broken("shorter than its row says")),
            Err(error) => return Err(broken(&error.to_string())),
        };
        if !opened {
            open_literal(wire.out(), range.end - range.start);
            opened = true;
        }
        wire.send(&piece).await?;
        at = to;
        if at >= range.end {
            return Ok(Ok(()));
        }
    }
}

fn broken(why: &str) -> Ended {
    tracing::error!(target: "imap", why, "a message could not be sent to its end");
    Ended::Stream(StreamError::Closed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_range_stays_inside() {
        assert_eq!(partial(10..20, None), 10..20);
        assert_eq!(partial(10..20, Some((0, 5))), 10..15);
        assert_eq!(partial(10..20, Some((8, 5))), 18..20);
        assert_eq!(partial(10..20, Some((10, 5))), 20..20);
        assert_eq!(partial(10..20, Some((u32::MAX, u32::MAX))), 20..20);
    }
}
