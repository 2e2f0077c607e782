//! RETR and TOP (RFC 1939 §5, §7): a message, or its header and the first lines of its body,
//! dot-stuffed, read from storage in chunks.

use super::super::limits::{CHUNK_BYTES, SEND_TIME_MAX};
use super::super::session::{Ended, Session, State, Then};
use mailbox::{Content, INBOX, UidSet};
use platform::net::{Deadline, StreamError};

/// How much of a message is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Amount {
    /// All of it.
    All,
    /// The header and this many lines of the body.
    BodyLines(u64),
}

pub(super) async fn run(
    session: &mut Session,
    message: u32,
    amount: Amount,
) -> Result<Then, Ended> {
    let State::Transaction(transaction) = &session.state else {
        return Ok(super::log_in_first(session));
    };
    let index = match transaction.index(message) {
        Ok(index) => index,
        Err(text) => {
            session.refuse(&text);
            return Ok(session.count_error());
        }
    };
    let Some(wanted) = transaction.maildrop.messages.get(index) else {
        return Ok(Then::GoOn);
    };
    let (account, size, uid) = (transaction.identity.account, wanted.size, wanted.uid);
    let mailboxes = &session.context.mailboxes;
    let found = mailboxes
        .rows(account, INBOX, UidSet::range(uid, uid), 1)
        .await;
    let content = match found.map(|page| page.rows.first().map(|row| mailboxes.content(row))) {
        Ok(Some(content)) => content,
        Ok(None) => {
            session.refuse("[SYS/TEMP] another program removed this message meanwhile");
            return Ok(Then::GoOn);
        }
        Err(error) => {
            tracing::error!(%error, "pop3.read_failed");
            session.refuse("[SYS/TEMP] the message cannot be read right now; try again later");
            return Ok(Then::GoOn);
        }
    };
    session.ok(&format!("{size} bytes"));
    send(session, &content, amount).await
}

async fn send(session: &mut Session, content: &Content, amount: Amount) -> Result<Then, Ended> {
    let mut cut = Cut::new(amount);
    let mut at = 0;
    let mut out = Vec::new();
    while at < content.size() && !cut.is_done() {
        let range = at..content.size().min(at + CHUNK_BYTES);
        let chunk = match content.read(range.clone()).await {
            Ok(chunk) => chunk,
            Err(error) => {
                // A message cannot be ended honestly half-way: the connection goes instead.
                tracing::error!(%error, "pop3.read_failed");
                return Ok(Then::End);
            }
        };
        out.clear();
        cut.push(&chunk, &mut out);
        send_piece(session, &out).await?;
        at = range.end;
    }
    out.clear();
    cut.finish(&mut out);
    send_piece(session, &out).await?;
    Ok(Then::GoOn)
}

/// Sends a piece of a message. Where the session may no longer go on the connection ends instead: words in the middle of
/// a message would be taken for part of it.
async fn send_piece(session: &mut Session, piece: &[u8]) -> Result<(), Ended> {
    let deadline = Deadline::after(SEND_TIME_MAX);
    tokio::select! {
        biased;
        barred = session.standing.withdrawn() => {
            tracing::info!(reason = barred.refusal.reason, "pop3 session cut off");
            Err(StreamError::Closed.into())
        }
        sent = session.connection.stream.send(piece, deadline) => Ok(sent?),
    }
}

/// Stuffs dots and stops after enough lines. Pure; chunks may be cut anywhere.
struct Cut {
    amount: Amount,
    in_body: bool,
    line_is_empty: bool,
    at_line_start: bool,
    /// The last two bytes.
    tail: [u8; 2],
    body_lines: u64,
}

impl Cut {
    fn new(amount: Amount) -> Self {
        Self {
            amount,
            in_body: false,
            line_is_empty: true,
            at_line_start: true,
            tail: *b"\r\n",
            body_lines: 0,
        }
    }

    fn is_done(&self) -> bool {
        matches!(self.amount, Amount::BodyLines(max) if self.in_body && self.body_lines >= max)
    }

    fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let mut rest = chunk;
        while !rest.is_empty() && !self.is_done() {
            let newline = memchr::memchr(b'\n', rest);
            let (line, after) = rest.split_at(newline.map_or(rest.len(), |at| at + 1));
            if self.at_line_start && line.first() == Some(&b'.') {
                out.push(b'.');
            }
            out.extend_from_slice(line);
            self.tail = match *line {
                [.., a, b] => [a, b],
                [b] => [self.tail[1], b],
                [] => self.tail,
            };
            self.line_is_empty &= line.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
            self.at_line_start = newline.is_some();
            if newline.is_some() {
                self.end_line();
            }
            rest = after;
        }
    }

    fn end_line(&mut self) {
        if self.in_body {
            self.body_lines += 1;
        } else if self.line_is_empty {
            self.in_body = true;
        }
        self.line_is_empty = true;
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        // Clients wait for CRLF "." CRLF; an appended message may end with a bare LF, or none.
        if self.tail != *b"\r\n" {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b".\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(amount: Amount, chunks: &[&[u8]]) -> String {
        let mut cut = Cut::new(amount);
        let mut out = Vec::new();
        chunks.iter().for_each(|chunk| cut.push(chunk, &mut out));
        cut.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn top_gives_the_header_and_some_lines() {
        let message: &[u8] = b"A: 1\r\nB: 2\r\n\r\none\r\n.two\r\nthree\r\n";
        let head = "A: 1\r\nB: 2\r\n\r\n";
        assert_eq!(
            cut(Amount::BodyLines(0), &[message]),
            format!("{head}.\r\n")
        );
        assert_eq!(
            cut(Amount::BodyLines(2), &[message]),
            format!("{head}one\r\n..two\r\n.\r\n")
        );
        for at in 0..message.len() {
            let (a, b) = message.split_at(at);
            let whole = cut(Amount::All, &[message]);
            assert_eq!(cut(Amount::All, &[a, b]), whole, "cut at {at}");
            assert_eq!(
                cut(Amount::BodyLines(1), &[a, b]),
                format!("{head}one\r\n.\r\n")
            );
        }
    }

    #[test]
    fn a_last_line_without_end_gets_one() {
        assert_eq!(cut(Amount::All, &[b"x"]), "x\r\n.\r\n");
        assert_eq!(cut(Amount::All, &[b"x\n"]), "x\n\r\n.\r\n");
        assert_eq!(cut(Amount::All, &[b"x\r", b"\n"]), "x\r\n.\r\n");
        assert_eq!(cut(Amount::All, &[]), ".\r\n");
    }
}
