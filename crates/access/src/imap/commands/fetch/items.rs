//! The data items of FETCH, a handler each (RFC 3501 §7.4.2). What a message's items share, its facts
//! and its bytes, is read at most once.

use super::section;
use crate::imap::grammar::fetch::Item;
use crate::imap::selected::Selected;
use crate::imap::wire::{Ended, Wire, push_modseq, push_number};
use formats::date::{DateTime, format_internaldate};
use formats::imap_text::{self, Structure, Utf8};
use formats::message::{Envelope, Facts};
use mailbox::{Content, Error, Mailboxes, MessageRow};
use platform::clock::Timestamp;

/// One message on its way out.
pub(super) struct Message<'a> {
    row: &'a MessageRow,
    mailboxes: &'a Mailboxes,
    content: Option<Content>,
    facts_bytes: Option<Vec<u8>>,
    facts: Option<Facts>,
}

impl<'a> Message<'a> {
    pub(super) fn new(mailboxes: &'a Mailboxes, row: &'a MessageRow) -> Self {
        Self {
            row,
            mailboxes,
            content: None,
            facts_bytes: None,
            facts: None,
        }
    }

    /// Writes one item. An item that cannot be read is NIL, and the error is given back.
    pub(super) async fn write(
        &mut self,
        wire: &mut Wire,
        selected: &Selected,
        item: &Item,
    ) -> Result<Result<(), Error>, Ended> {
        let row = self.row;
        let out = wire.out();
        match item {
            Item::Uid => uid(out, row.uid),
            Item::Flags => selected.write_flags(out, row.uid, row.flags, &row.keywords),
            Item::InternalDate => internal_date(out, row.internal_date),
            Item::ModSeq => push_modseq(out, row.modseq),
            Item::Rfc822Size => rfc822_size(out, row.size),
            Item::Envelope => return Ok(self.envelope(out)),
            Item::Body => return Ok(self.structure(out, Structure::Body)),
            Item::BodyStructure => return Ok(self.structure(out, Structure::BodyStructure)),
            Item::Section(item) => return section::write(self, wire, item).await,
        }
        Ok(Ok(()))
    }

    /// Where its bytes are.
    pub(super) fn content(&mut self) -> Content {
        let (mailboxes, row) = (self.mailboxes, self.row);
        self.content
            .get_or_insert_with(|| mailboxes.content(row))
            .clone()
    }

    /// What is known of its bytes.
    pub(super) fn facts(&mut self) -> Result<&Facts, Error> {
        if self.facts.is_none() {
            let facts = Facts::from_bytes(self.facts_bytes()?);
            self.facts = Some(facts.map_err(|error| Error::Damaged(error.to_string()))?);
        }
        self.facts
            .as_ref()
            .ok_or_else(|| Error::Damaged(String::new()))
    }

    fn facts_bytes(&mut self) -> Result<&[u8], Error> {
        if self.facts_bytes.is_none() {
            self.facts_bytes = Some(self.content().facts_bytes()?);
        }
        Ok(self.facts_bytes.as_deref().unwrap_or_default())
    }

    fn envelope(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        out.extend_from_slice(b"ENVELOPE ");
        let start = out.len();
        let written = self.facts_bytes().and_then(|bytes| {
            let envelope = Envelope::from_facts_bytes(bytes)
                .map_err(|error| Error::Damaged(error.to_string()))?;
            imap_text::write_envelope(out, &envelope, Utf8::Literals);
            Ok(())
        });
        if written.is_err() {
            out.truncate(start);
            out.extend_from_slice(b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
        }
        written
    }

    fn structure(&mut self, out: &mut Vec<u8>, structure: Structure) -> Result<(), Error> {
        out.extend_from_slice(match structure {
            Structure::Body => b"BODY ".as_slice(),
            Structure::BodyStructure => b"BODYSTRUCTURE ".as_slice(),
        });
        match self.facts() {
            Ok(facts) => {
                imap_text::write_structure(out, facts, structure, Utf8::Literals);
                Ok(())
            }
            Err(error) => {
                out.extend_from_slice(b"(\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 0 0)");
                Err(error)
            }
        }
    }
}

/// `UID`
pub(super) fn uid(out: &mut Vec<u8>, uid: u32) {
    out.extend_from_slice(b"UID ");
    push_number(out, u64::from(uid));
}

/// `INTERNALDATE`, in UTC: the zone of a client is not kept.
fn internal_date(out: &mut Vec<u8>, date: Timestamp) {
    out.extend_from_slice(b"INTERNALDATE \"");
    out.extend_from_slice(format_internaldate(DateTime::utc(date.0)).as_bytes());
    out.push(b'"');
}

/// `RFC822.SIZE`
fn rfc822_size(out: &mut Vec<u8>, size: u64) {
    out.extend_from_slice(b"RFC822.SIZE ");
    push_number(out, size);
}
