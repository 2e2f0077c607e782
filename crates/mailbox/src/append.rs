//! APPEND: messages a client brings. Bytes first (`keep`), then one transaction for all rows
//! (RFC 3502 §6.3.11: all or none).

use crate::copy::check_quota;
use crate::error::Error;
use crate::flags::{Flags, Keywords};
use crate::limits::{APPEND_MESSAGES_MAX, INLINE_READ_BYTES_MAX};
use crate::model::{MailboxId, Quota};
use crate::service::Mailboxes;
use crate::tally::{Tally, learn_keywords, reserve};
use crate::uidset::UidSet;
use directory::AccountId;
use formats::message::Scanner;
use platform::clock::Timestamp;
use platform::params;
use platform::segments::{BodyRef, Segments};
use platform::spool::Spool;
use platform::store::Tx;

/// One message to append; its bytes are kept already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// Where its bytes are, from `keep`.
    pub body: BodyRef,
    /// Its flags.
    pub flags: Flags,
    /// Its keywords.
    pub keywords: Keywords,
    /// The date the client gave, or now.
    pub internal_date: Timestamp,
}

/// Where messages went, for APPENDUID (RFC 4315 §3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// UIDVALIDITY of the mailbox.
    pub uidvalidity: u32,
    /// The UIDs in the order of the messages.
    pub uids: UidSet,
    /// The modification sequence of the change.
    pub modseq: i64,
}

impl Mailboxes {
    /// Scans a message and appends its bytes to the segments. They are durable and counted only
    /// once `append` has given them a row; without one, compaction removes them.
    pub async fn keep(&self, body: Spool) -> Result<BodyRef, Error> {
        let segments = self.segments.clone();
        if body.as_memory().is_some() && body.len() <= INLINE_READ_BYTES_MAX {
            return keep(&segments, &body);
        }
        tokio::task::spawn_blocking(move || keep(&segments, &body))
            .await
            .map_err(|error| Error::Bytes(std::io::Error::other(error)))?
    }

    /// Appends messages to a mailbox, all or none.
    ///
    /// # Errors
    /// `NoSuchMailbox`, `TooManyMessages`, `TooManyKeywords`, `OverQuota`, `UidsExhausted`.
    pub async fn append(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        messages: Vec<NewMessage>,
        quota: Option<Quota>,
    ) -> Result<Appended, Error> {
        if messages.len() > APPEND_MESSAGES_MAX {
            return Err(Error::TooManyMessages(APPEND_MESSAGES_MAX));
        }
        self.write(account, move |tx| {
            append(tx, account, mailbox, &messages, quota)
        })
        .await
    }
}

fn keep(segments: &Segments, body: &Spool) -> Result<BodyRef, Error> {
    let mut scanner = Scanner::new();
    body.for_each_chunk(|chunk| {
        scanner.push(chunk);
        Ok(())
    })?;
    Ok(segments.append(&scanner.finish().to_bytes(), body)?)
}

fn append(
    tx: &mut dyn Tx,
    account: AccountId,
    mailbox: MailboxId,
    messages: &[NewMessage],
    quota: Option<Quota>,
) -> Result<Appended, Error> {
    let mut tally = Tally::default();
    messages
        .iter()
        .for_each(|message| tally.add(message.flags, message.body.body_bytes));
    check_quota(tx, account, tally, quota)?;
    let reserved = reserve(tx, account, mailbox, tally)?;
    for (uid, message) in (reserved.first_uid..).zip(messages) {
        let keywords = learn_keywords(tx, account, mailbox, &message.keywords)?;
        tx.execute(
            "INSERT INTO messages (account, mailbox, uid, flags, modseq, keywords, size, \
             internal_date, segment, segment_offset, facts_bytes, body_bytes) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?7)",
            params![
                account.0,
                mailbox.0,
                uid,
                message.flags.bits(),
                reserved.modseq,
                keywords.stored(),
                message.body.body_bytes,
                message.internal_date.0,
                message.body.segment,
                message.body.offset,
                message.body.facts_bytes,
            ],
        )?;
    }
    // `reserve` checked that the numbers fit into 32 bits.
    let first = reserved.first_uid as u32;
    let uids = match messages.len() as u32 {
        0 => UidSet::new(),
        count => UidSet::range(first, first + (count - 1)),
    };
    Ok(Appended {
        uidvalidity: reserved.uidvalidity,
        uids,
        modseq: reserved.modseq,
    })
}
