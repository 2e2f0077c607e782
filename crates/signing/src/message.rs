//! What a signature covers, read from a spool: the header as one slice, the body as a hash that streams, so that a
//! large message is never held. Hashing pauses between slices, so that other tasks of the thread get their turn.

use crate::SigningError;
use crate::canonical::{RelaxedBody, SimpleBody};
use aws_lc_rs::digest::{Context, Digest, SHA256};
use formats::header;
use platform::spool::Spool;
use std::borrow::Cow;
use std::io;

/// Largest header that is signed or checked. Above what the SMTP server takes, fields added here included.
pub(crate) const HEADER_BYTES_MAX: usize = 4 << 20;
/// Bytes read at once from a spool that is in a file.
const READ_BYTES: u64 = 64 * 1024;
/// Bytes hashed before other tasks get their turn: some 200 µs.
const HASHED_AT_ONCE_BYTES: usize = 256 * 1024;

/// A header and where its body begins in the spool.
pub(crate) struct Header<'m> {
    /// From the first field to the empty line, which is included where there is one.
    pub(crate) bytes: Cow<'m, [u8]>,
    /// Offset of the body in the spool.
    pub(crate) body_start: u64,
}

/// Reads the header of `message` from `skip` on.
pub(crate) fn read_header(message: &Spool, skip: u64) -> Result<Header<'_>, SigningError> {
    let bytes = match message.as_memory() {
        Some(memory) => {
            let start = usize::try_from(skip).unwrap_or(usize::MAX);
            let sent = memory.get(start..).unwrap_or_default();
            let end = header::header_bytes(sent);
            Cow::Borrowed(sent.get(..end).unwrap_or_default())
        }
        None => Cow::Owned(read_header_from_file(message, skip)?),
    };
    if bytes.len() > HEADER_BYTES_MAX {
        return Err(SigningError::HeaderTooLarge(HEADER_BYTES_MAX));
    }
    let body_start = skip + bytes.len() as u64;
    Ok(Header { bytes, body_start })
}

fn read_header_from_file(message: &Spool, skip: u64) -> Result<Vec<u8>, SigningError> {
    let (mut at, end) = (skip.min(message.len()), message.len());
    let mut read: Vec<u8> = Vec::new();
    while at < end {
        let until = end.min(at + READ_BYTES);
        let before = read.len();
        read.extend_from_slice(&message.read_range(at..until)?);
        at = until;
        // The empty line may straddle two pieces.
        let from = before.saturating_sub(3);
        if has_empty_line(read.get(from..).unwrap_or_default()) || before == 0 {
            let end = header::header_bytes(&read);
            if end < read.len() || has_empty_line(&read) {
                read.truncate(end);
                return Ok(read);
            }
        }
        if read.len() > HEADER_BYTES_MAX {
            return Err(SigningError::HeaderTooLarge(HEADER_BYTES_MAX));
        }
    }
    Ok(read)
}

fn has_empty_line(bytes: &[u8]) -> bool {
    memchr::memmem::find(bytes, b"\n\r\n").is_some()
        || memchr::memmem::find(bytes, b"\n\n").is_some()
}

/// How a body is canonicalised (RFC 6376 §3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As we sign.
    Relaxed,
    /// As some others do.
    Simple,
}

enum Body {
    Relaxed(RelaxedBody),
    Simple(SimpleBody),
}

impl Body {
    fn push(&mut self, piece: &[u8], context: &mut Context) {
        match self {
            Self::Relaxed(body) => body.push(piece, context),
            Self::Simple(body) => body.push(piece, context),
        }
    }
}

/// SHA-256 of the canonical body that begins at `start`.
pub(crate) async fn body_hash(message: &Spool, start: u64, form: Form) -> io::Result<Digest> {
    let mut context = Context::new(&SHA256);
    let mut body = match form {
        Form::Relaxed => Body::Relaxed(RelaxedBody::default()),
        Form::Simple => Body::Simple(SimpleBody::default()),
    };
    if let Some(memory) = message.as_memory() {
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        let pieces = memory.get(start..).unwrap_or_default();
        for (n, piece) in pieces.chunks(HASHED_AT_ONCE_BYTES).enumerate() {
            if n > 0 {
                tokio::task::yield_now().await;
            }
            body.push(piece, &mut context);
        }
    } else {
        let (mut at, end) = (start, message.len());
        while at < end {
            let until = end.min(at + READ_BYTES);
            body.push(&message.read_range(at..until)?, &mut context);
            at = until;
            tokio::task::yield_now().await;
        }
    }
    match body {
        Body::Relaxed(body) => body.finish(&mut context),
        Body::Simple(body) => body.finish(&mut context),
    }
    Ok(context.finish())
}
