//! A message as a client sees it: the recipient's own lines, then the body everybody shares. The one
//! place that knows of the two parts; sizes, ranges and section offsets here are the client's.
//! Keeps nothing: every read goes to the segments, long ones on a blocking thread.

use crate::error::Error;
use crate::limits::INLINE_READ_BYTES_MAX;
use crate::model::MessageRow;
use crate::service::Mailboxes;
use formats::message::Facts;
use formats::section::Section;
use platform::segments::{BodyRef, Segments};
use std::io;
use std::ops::Range;

/// The bytes of one message.
#[derive(Clone)]
pub struct Content {
    segments: Segments,
    body: BodyRef,
    prefix: Box<str>,
}

impl Mailboxes {
    /// The bytes of the message of `row`.
    pub fn content(&self, row: &MessageRow) -> Content {
        Content {
            segments: self.segments.clone(),
            body: row.body,
            prefix: row.prefix.clone().unwrap_or_default(),
        }
    }
}

impl Content {
    /// Bytes of the whole message (RFC822.SIZE).
    pub fn size(&self) -> u64 {
        self.prefix_bytes() + self.body_bytes()
    }

    /// The lines in front of the body, each ending in CRLF; empty for none.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    fn prefix_bytes(&self) -> u64 {
        self.prefix.len() as u64
    }

    fn body_bytes(&self) -> u64 {
        u64::try_from(self.body.body_bytes).unwrap_or(0)
    }

    /// The bytes `range` of the message; what lies past its end is left out.
    ///
    /// # Errors
    /// `Bytes` where the segment cannot be read or its bytes are damaged.
    pub async fn read(&self, range: Range<u64>) -> Result<Vec<u8>, Error> {
        let (own, shared) = split(range, self.prefix_bytes(), self.body_bytes());
        let own = &self.prefix.as_bytes()[own];
        if shared.is_empty() {
            return Ok(own.to_vec());
        }
        let body = self.read_body(shared).await?;
        if own.is_empty() {
            return Ok(body);
        }
        let mut bytes = Vec::with_capacity(own.len() + body.len());
        bytes.extend_from_slice(own);
        bytes.extend_from_slice(&body);
        Ok(bytes)
    }

    async fn read_body(&self, range: Range<u64>) -> Result<Vec<u8>, Error> {
        if range.end - range.start <= INLINE_READ_BYTES_MAX {
            return Ok(self.segments.read_body(&self.body, range)?);
        }
        let (segments, body) = (self.segments.clone(), self.body);
        let read = tokio::task::spawn_blocking(move || segments.read_body(&body, range)).await;
        Ok(read.map_err(io::Error::other)??)
    }

    /// The facts of the body, as stored. Their offsets count from the body's first byte, so use
    /// `locate` and `header` for ranges; envelope, structure and part sizes hold as they are.
    ///
    /// # Errors
    /// `Bytes` where they cannot be read, `Damaged` where they are none.
    pub fn facts(&self) -> Result<Facts, Error> {
        let bytes = self.facts_bytes()?;
        Facts::from_bytes(&bytes).map_err(|error| Error::Damaged(error.to_string()))
    }

    /// The facts in their stored form, for `Envelope::from_facts_bytes`.
    ///
    /// # Errors
    /// `Bytes` where they cannot be read.
    pub fn facts_bytes(&self) -> Result<Vec<u8>, Error> {
        Ok(self.segments.read_facts(&self.body)?)
    }

    /// Where `section` stands in the message; `None` where there is no such part.
    pub fn locate(&self, facts: &Facts, section: &Section) -> Option<Range<u64>> {
        let located = section.locate(facts)?;
        let shift = self.prefix_bytes();
        let end = located.range.end.saturating_add(shift);
        // The recipient's lines are the first of the message's own header.
        let start = if located.begins_message {
            0
        } else {
            located.range.start + shift
        };
        Some(start..end)
    }

    /// Where the message's own header stands, its empty line included.
    pub fn header(&self, facts: &Facts) -> Range<u64> {
        0..self.prefix_bytes() + facts.header_bytes()
    }
}

/// `range` of the whole as a range of the first part and one of the second, each within its part.
fn split(range: Range<u64>, first: u64, second: u64) -> (Range<usize>, Range<u64>) {
    let end = range.end.min(first + second);
    let start = range.start.min(end);
    // The first part lies in memory, so its ends fit.
    let own = start.min(first) as usize..end.min(first) as usize;
    (own, start.saturating_sub(first)..end.saturating_sub(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_split_at_the_end_of_the_prefix() {
        assert_eq!(split(0..100, 10, 50), (0..10, 0..50));
        assert_eq!(split(4..12, 10, 50), (4..10, 0..2));
        assert_eq!(split(10..12, 10, 50), (10..10, 0..2));
        assert_eq!(split(2..5, 10, 50), (2..5, 0..0));
        assert_eq!(split(60..70, 10, 50), (10..10, 50..50));
        assert_eq!(split(u64::MAX..u64::MAX, 0, 0), (0..0, 0..0));
        #[allow(clippy::reversed_empty_ranges, reason = "a client can ask for it")]
        let backwards = split(9..3, 10, 50);
        assert_eq!(backwards, (3..3, 0..0));
    }
}
