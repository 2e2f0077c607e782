//! APPEND (RFC 3501 §6.3.11), with several messages at once (RFC 3502) and APPENDUID (RFC 4315 §3).
//! Messages stream into a spool and from there to disk; none is held whole. What is refused is said
//! before the message comes if the peer waits, and read and dropped if it does not.

use super::{Outcome, copy, store};
use crate::imap::grammar::append::{self, Message, More};
use crate::imap::grammar::frame::{Literal, Sync};
use crate::imap::limits;
use crate::imap::reply::{Code, Reply};
use crate::imap::session::Session;
use crate::imap::wire::{Ended, Wire};
use directory::AccountId;
use mailbox::{MailboxId, NewMessage};
use platform::clock::Timestamp;
use platform::net::Deadline;
use platform::segments::BodyRef;
use platform::spool::Spool;

/// What an APPEND has come to.
enum Progress {
    /// All is well so far.
    Good {
        mailbox: MailboxId,
        messages: Vec<NewMessage>,
    },
    /// It will be refused; what still comes is dropped.
    Refused(Reply),
}

pub(in crate::imap) async fn run(
    session: &mut Session,
    head: Result<(Vec<u8>, Message), &'static str>,
    literal: Literal,
) -> Outcome {
    let account = session.state.identity().map(|identity| identity.account);
    let wire = &mut session.wire;
    if account.is_none()
        && literal.sync == Sync::Sends
        && literal.bytes > limits::STRANGER_LITERAL_BYTES_MAX
    {
        // Reading what a stranger sends on and on would only keep the connection.
        return Err(wire
            .bye("APPEND is for those who have logged in; goodbye.")
            .await);
    }
    let (mut progress, mut message) = begin(wire, account, head).await;
    let mut literal = literal;
    loop {
        if let Progress::Good { messages, .. } = &progress
            && let Some(refusal) = refuse_size(wire, messages.len(), literal)
        {
            progress = Progress::Refused(refusal);
        }
        progress = match progress {
            // The peer waits for a + and gets the refusal instead, so nothing more comes.
            Progress::Refused(reply) if literal.sync == Sync::Waits => return Ok(reply),
            Progress::Refused(reply) => {
                discard(wire, literal.bytes).await?;
                Progress::Refused(reply)
            }
            Progress::Good {
                mailbox,
                mut messages,
            } => {
                if literal.sync == Sync::Waits {
                    wire.invite(b"Ready for the message.").await?;
                }
                match receive(wire, literal.bytes).await? {
                    Ok(body) => match new_message(wire, body, message) {
                        Ok(new) => {
                            messages.push(new);
                            Progress::Good { mailbox, messages }
                        }
                        Err(reply) => Progress::Refused(reply),
                    },
                    Err(reply) => Progress::Refused(reply),
                }
            }
        };
        match more(wire).await? {
            Ok(More::End) => break,
            Ok(More::Message(next, announced)) => {
                message = next;
                literal = announced;
            }
            Err(text) => return Ok(Reply::bad(text)),
        }
    }
    let account = account.unwrap_or(AccountId(0));
    Ok(match progress {
        Progress::Refused(reply) => reply,
        Progress::Good { mailbox, messages } => finish(wire, account, mailbox, messages).await,
    })
}

/// Looks at everything that is known before the first message comes.
async fn begin(
    wire: &Wire,
    account: Option<AccountId>,
    head: Result<(Vec<u8>, Message), &'static str>,
) -> (Progress, Message) {
    let nothing = Message {
        flags: Vec::new(),
        date: None,
    };
    let (mailbox, message) = match (account, head) {
        (None, _) => {
            let reply = Reply::bad("APPEND is for those who have logged in; log in first.");
            return (Progress::Refused(reply), nothing);
        }
        (_, Err(text)) => return (Progress::Refused(Reply::bad(text)), nothing),
        (Some(account), Ok((name, message))) => (copy::target(wire, account, &name).await, message),
    };
    match mailbox {
        Ok(mailbox) => (
            Progress::Good {
                mailbox,
                messages: Vec::new(),
            },
            message,
        ),
        Err(reply) => (Progress::Refused(reply), message),
    }
}

/// The size is known before the message comes (RFC 7889 §4 names the code).
fn refuse_size(wire: &Wire, messages: usize, literal: Literal) -> Option<Reply> {
    let bytes_max = wire.context.settings.append_bytes_max;
    if literal.bytes > bytes_max {
        return Some(Reply::no(
            Code::TooBig,
            format!("The message is larger than the {bytes_max} bytes a message may have."),
        ));
    }
    if literal.bytes == 0 {
        return Some(Reply::no(Code::Cannot, "A message without a byte is none."));
    }
    if messages >= limits::APPEND_MESSAGES_MAX {
        return Some(Reply::no(
            Code::Limit,
            "Please append at most 100 messages at once.",
        ));
    }
    None
}

/// Streams a message of `bytes` bytes to disk.
async fn receive(wire: &mut Wire, bytes: u64) -> Result<Result<BodyRef, Reply>, Ended> {
    let mut spool = new_spool(wire);
    let mut left = bytes;
    let mut has_nul = false;
    while left > 0 {
        let stream = &mut wire.connection.stream;
        if stream.buffer().is_empty() {
            stream.fill(Deadline::after(limits::COMMAND_REST)).await?;
        }
        let there = stream.buffer();
        let take = usize::try_from(left).map_or(there.len(), |left| left.min(there.len()));
        let piece = there.get(..take).unwrap_or_default();
        has_nul |= memchr::memchr(0, piece).is_some();
        if let Err(error) = spool.push(piece) {
            stream.consume(take);
            discard(wire, left - take as u64).await?;
            return Ok(Err(Reply::from(mailbox::Error::Bytes(error))));
        }
        stream.consume(take);
        left -= take as u64;
    }
    if has_nul {
        // RFC 3501 §9: a literal holds no NUL; such a message could never be fetched.
        return Ok(Err(Reply::no(
            Code::Cannot,
            "The message holds the byte 0, which mail must not.",
        )));
    }
    let mailboxes = wire.context.mailboxes.clone();
    Ok(mailboxes.keep(spool).await.map_err(Reply::from))
}

fn new_spool(wire: &Wire) -> Spool {
    let limits = wire.context.spool.clone();
    match &wire.context.settings.spool_budget {
        Some(budget) => Spool::with_budget(limits, budget.clone()),
        None => Spool::new(limits),
    }
}

/// Reads and drops a message nobody wants.
async fn discard(wire: &mut Wire, bytes: u64) -> Result<(), Ended> {
    if bytes > limits::DISCARD_BYTES_MAX {
        return Err(wire.bye("[TOOBIG] That is far too much; goodbye.").await);
    }
    let mut left = bytes;
    while left > 0 {
        let stream = &mut wire.connection.stream;
        if stream.buffer().is_empty() {
            stream.fill(Deadline::after(limits::COMMAND_REST)).await?;
        }
        let take = usize::try_from(left).map_or(stream.buffer().len(), |left| {
            left.min(stream.buffer().len())
        });
        stream.consume(take);
        left -= take as u64;
    }
    Ok(())
}

/// The line after a message.
async fn more(wire: &mut Wire) -> Result<Result<More, &'static str>, Ended> {
    let stream = &mut wire.connection.stream;
    let deadline = Deadline::after(limits::COMMAND_REST);
    let line = stream
        .read_line(limits::STRANGER_COMMAND_BYTES_MAX, deadline)
        .await?;
    let text = stream
        .buffer()
        .get(..line.content_bytes)
        .unwrap_or_default();
    let more = append::more(text).map_err(|fault| fault.text);
    stream.consume(line.total_bytes);
    Ok(more)
}

fn new_message(wire: &Wire, body: BodyRef, message: Message) -> Result<NewMessage, Reply> {
    let (flags, keywords) = store::split_flags(&message.flags)?;
    let internal_date = match message.date {
        Some(date) => Timestamp(date.unix_ms),
        None => wire.context.clock.now(),
    };
    Ok(NewMessage {
        body,
        flags,
        keywords,
        internal_date,
    })
}

async fn finish(
    wire: &mut Wire,
    account: AccountId,
    mailbox: MailboxId,
    messages: Vec<NewMessage>,
) -> Reply {
    let mailboxes = wire.context.mailboxes.clone();
    let quota = wire.context.settings.quota;
    match mailboxes.append(account, mailbox, messages, quota).await {
        Ok(appended) => {
            let code = format!("APPENDUID {} {}", appended.uidvalidity, appended.uids);
            Reply::ok_with(Code::With(code.into()), "Appended.")
        }
        Err(error) => {
            let reply = Reply::from(error);
            // The mailbox went while its message came.
            if reply.has_code(&Code::Nonexistent) {
                reply.recoded(Code::TryCreate)
            } else {
                reply
            }
        }
    }
}
