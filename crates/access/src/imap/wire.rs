//! The connection as commands see it: the stream, what the server shares, and writing that waits for
//! slow readers. Of the protocol's state it holds what every answer may depend on; the rest is `session`.

use super::ImapContext;
use super::limits;
use admission::{Barred, Standing};
use platform::net::{Connection, Deadline, StreamError};
use std::sync::Arc;

/// Why a session ends.
#[derive(Debug)]
pub(super) enum Ended {
    /// LOGOUT, or a BYE of ours that is written already.
    Said,
    /// Nothing can be sent or read any more.
    Stream(StreamError),
}

impl From<StreamError> for Ended {
    fn from(error: StreamError) -> Self {
        Self::Stream(error)
    }
}

/// Whether the peer is told modification sequences with flags (RFC 7162 §3.1). Once on, it stays on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condstore {
    /// The peer has used nothing of the extension.
    Off,
    /// It has.
    On,
}

/// What every command may use: the connection and what all sessions share.
pub(super) struct Wire {
    pub(super) connection: Connection,
    pub(super) context: Arc<ImapContext>,
    /// The tag of the command that is being done; ESEARCH repeats it.
    pub(super) tag: Box<str>,
    /// Whether modification sequences are told.
    pub(super) condstore: Condstore,
    /// Whether the session may go on.
    pub(super) standing: Standing,
}

impl Wire {
    /// Where answers are written; see `relieve`.
    pub(super) fn out(&mut self) -> &mut Vec<u8> {
        self.connection.stream.output()
    }

    /// Whether so much is written that it should leave before more is written.
    pub(super) fn is_full(&self) -> bool {
        self.connection.stream.pending_bytes() >= limits::OUTPUT_BYTES
    }

    /// Sends what is written if it has become much. Called between the rows of a long answer, while
    /// nothing of the store is held. Ends where the session may no longer go on, as `send`.
    pub(super) async fn relieve(&mut self) -> Result<(), Ended> {
        if !self.is_full() {
            return Ok(());
        }
        let deadline = Deadline::after(limits::WRITE_STALL);
        tokio::select! {
            biased;
            barred = self.standing.withdrawn() => Err(cut_off(&barred)),
            flushed = self.connection.stream.flush(deadline) => Ok(flushed?),
        }
    }

    /// Sends what is written.
    pub(super) async fn flush(&mut self) -> Result<(), Ended> {
        let deadline = Deadline::after(limits::WRITE_STALL);
        Ok(self.connection.stream.flush(deadline).await?)
    }

    /// Sends many bytes, such as a piece of a message, without gathering them. Where the session may no longer go on the
    /// connection ends: words in the middle of a message would be taken for part of it.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        let deadline = Deadline::after(limits::WRITE_STALL);
        tokio::select! {
            biased;
            barred = self.standing.withdrawn() => Err(cut_off(&barred)),
            sent = self.connection.stream.send(bytes, deadline) => Ok(sent?),
        }
    }

    /// Says BYE and why.
    pub(super) async fn bye(&mut self, text: &str) -> Ended {
        self.out().extend_from_slice(b"* BYE ");
        self.out().extend_from_slice(text.as_bytes());
        self.out().extend_from_slice(b"\r\n");
        // A peer that takes nothing is not waited for again.
        match self
            .connection
            .stream
            .flush(Deadline::after(limits::GOODBYE))
            .await
        {
            Ok(()) => Ended::Said,
            Err(error) => Ended::Stream(error),
        }
    }

    /// Asks for what the peer waits to send.
    pub(super) async fn invite(&mut self, text: &[u8]) -> Result<(), Ended> {
        self.out().extend_from_slice(b"+ ");
        self.out().extend_from_slice(text);
        self.out().extend_from_slice(b"\r\n");
        self.flush().await
    }
}

fn cut_off(barred: &Barred) -> Ended {
    tracing::info!(reason = barred.refusal.reason, "imap session cut off");
    Ended::Stream(StreamError::Closed)
}

/// Appends `number` in decimal digits; the hot path of FETCH formats nothing else.
pub(super) fn push_number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        if let Some(digit) = digits.get_mut(at) {
            // A remainder of ten fits a byte.
            *digit = b'0' + (rest % 10) as u8;
        }
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

/// `MODSEQ (n)` of FETCH (RFC 7162 §3.1.4.2).
pub(super) fn push_modseq(out: &mut Vec<u8>, modseq: i64) {
    out.extend_from_slice(b"MODSEQ (");
    push_number(out, modseq.unsigned_abs());
    out.push(b')');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_full() {
        for number in [0, 7, 10, 4_294_967_295, u64::MAX] {
            let mut out = Vec::new();
            push_number(&mut out, number);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }
}
