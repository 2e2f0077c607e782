//! The questions of SEARCH that need a message's facts or bytes. Reads at most one piece at a time.

use crate::imap::grammar::search::{DateOf, Field, Key};
use crate::imap::limits;
use crate::imap::reply::{Code, Reply};
use formats::header;
use formats::message::{Envelope, Facts};
use formats::search::{BodySearch, Needle, Scope, Stretch, stretches};
use mailbox::{Content, Error};
use std::ops::Range;

/// One question.
pub(super) enum Leaf {
    /// The Date field is before the day.
    SentBefore(i64),
    /// On the day.
    SentOn(i64),
    /// On the day or later.
    SentSince(i64),
    /// A field of the envelope has the text.
    Field(Field, Needle),
    /// Any field of this name has the text.
    Header(Box<str>, Needle),
    /// The text is in the message.
    Text(Scope, Needle),
}

impl Leaf {
    /// The question a key asks.
    ///
    /// # Errors
    /// RFC 3501 §6.4.4: BADCHARSET where the text is not UTF-8.
    pub(super) fn new(key: &Key) -> Result<Self, Reply> {
        let needle = |text: &[u8]| match std::str::from_utf8(text) {
            Ok(text) => Ok(Needle::new(text)),
            Err(_) => Err(Reply::no(
                Code::BadCharset,
                "The text to look for is not UTF-8.",
            )),
        };
        Ok(match key {
            Key::Before(DateOf::Sent, day) => Self::SentBefore(day.0),
            Key::On(DateOf::Sent, day) => Self::SentOn(day.0),
            Key::Since(DateOf::Sent, day) => Self::SentSince(day.0),
            Key::Field(field, text) => Self::Field(*field, needle(text)?),
            Key::Header(name, text) => Self::Header(name.clone(), needle(text)?),
            Key::Body(text) => Self::Text(Scope::Body, needle(text)?),
            Key::Text(text) => Self::Text(Scope::Text, needle(text)?),
            _ => return Err(Reply::bad("This search key cannot be used here.")),
        })
    }
}

/// A message while it is asked; what several questions need is read once.
pub(super) struct Letter {
    content: Content,
    facts: Option<Facts>,
    header: Option<Vec<u8>>,
}

impl Letter {
    pub(super) fn new(content: Content) -> Self {
        Self {
            content,
            facts: None,
            header: None,
        }
    }

    /// Whether the answer is yes.
    pub(super) async fn holds(&mut self, leaf: &Leaf) -> Result<bool, Error> {
        match leaf {
            Leaf::SentBefore(day) => Ok(self.sent_day()?.is_some_and(|sent| sent < *day)),
            Leaf::SentOn(day) => Ok(self.sent_day()?.is_some_and(|sent| sent == *day)),
            Leaf::SentSince(day) => Ok(self.sent_day()?.is_some_and(|sent| sent >= *day)),
            Leaf::Field(field, needle) => {
                let envelope = self.facts()?.envelope();
                Ok(
                    of_envelope(&envelope, *field)
                        .is_some_and(|raw| needle.is_in_header_value(raw)),
                )
            }
            Leaf::Header(name, needle) => {
                let header = self.header().await?;
                Ok(header::fields(header)
                    .filter(|field| field.is(name))
                    .any(|field| needle.is_in_header_value(&field.value())))
            }
            Leaf::Text(scope, needle) => self.text(*scope, needle).await,
        }
    }

    /// RFC 3501 §6.4.4: the day as written, whatever the time and the zone.
    fn sent_day(&mut self) -> Result<Option<i64>, Error> {
        Ok(self.facts()?.date().map(|date| date.day()))
    }

    fn facts(&mut self) -> Result<&Facts, Error> {
        if self.facts.is_none() {
            self.facts = Some(self.content.facts()?);
        }
        self.facts
            .as_ref()
            .ok_or_else(|| Error::Damaged(String::new()))
    }

    async fn header(&mut self) -> Result<&[u8], Error> {
        if self.header.is_none() {
            let content = self.content.clone();
            let range = content.header(self.facts()?);
            self.header = Some(content.read(beginning(range)).await?);
        }
        Ok(self.header.as_deref().unwrap_or_default())
    }

    async fn text(&mut self, scope: Scope, needle: &Needle) -> Result<bool, Error> {
        let content = self.content.clone();
        let shift = content.prefix().len() as u64;
        if scope == Scope::Text && needle.is_in_header(content.prefix().as_bytes()) {
            return Ok(true);
        }
        let facts = self.facts()?;
        for Stretch { range, part } in stretches(facts, scope) {
            let range = range.start.saturating_add(shift)..range.end.saturating_add(shift);
            let Some(part) = part.and_then(|index| facts.parts().nth(index)) else {
                if needle.is_in_header(&content.read(beginning(range)).await?) {
                    return Ok(true);
                }
                continue;
            };
            let mut search = BodySearch::new(part, needle);
            let mut at = range.start;
            while at < range.end {
                let to = range.end.min(at.saturating_add(limits::BODY_CHUNK_BYTES));
                if search.push(&content.read(at..to).await?) {
                    return Ok(true);
                }
                at = to;
                tokio::task::yield_now().await;
            }
            if search.finish() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// As much of a header as is looked at.
fn beginning(range: Range<u64>) -> Range<u64> {
    let end = range.start.saturating_add(limits::HEADER_BYTES_MAX);
    range.start..range.end.min(end)
}

fn of_envelope<'a>(envelope: &Envelope<'a>, field: Field) -> Option<&'a [u8]> {
    match field {
        Field::Bcc => envelope.bcc,
        Field::Cc => envelope.cc,
        Field::From => envelope.from,
        Field::Subject => envelope.subject,
        Field::To => envelope.to,
    }
}
