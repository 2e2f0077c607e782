//! What goes in front of a message when it leaves, and the sender it leaves with: the one place
//! where `signing` is asked. Called while a message is taken over, after all changes to its header
//! and before it is acknowledged; never for mail that stays here.

use crate::accept::Accept;
use crate::dispatch::{Front, Origin};
use crate::envelope::ReversePath;
use platform::spool::Spool;
use signing::{ReceivedFrom, Signing, SigningError};
use std::io;

/// Longest line of ours that stands before the message and is not sent.
const RETURN_PATH_BYTES_MAX: u64 = 1024;

/// Signatures for what is ours, a seal and a rewritten sender for a forward; above them the marks of
/// the addresses that forward it.
///
/// # Errors
/// Those of `Signing`, and of reading the message.
pub(crate) async fn make(signing: &Signing, message: &Accept) -> Result<Front, SigningError> {
    let mut front = signatures(signing, message).await?;
    let marks = message.dispatch.marks.as_bytes();
    if !marks.is_empty() {
        front.lines.splice(0..0, marks.iter().copied());
    }
    Ok(front)
}

async fn signatures(signing: &Signing, message: &Accept) -> Result<Front, SigningError> {
    let skip = return_path_bytes(&message.body)?;
    let sender = match &message.sender {
        ReversePath::Null => None,
        ReversePath::Address(address) => Some(address),
    };
    match &message.dispatch.origin {
        Origin::Ours => Ok(Front {
            lines: signing.sign(&message.body, skip, None, "").await?,
            forward_sender: None,
        }),
        Origin::Submitted {
            author_domain,
            login_domain,
        } => {
            let of_sender = || sender.map_or("", |sender| sender.domain());
            let own = login_domain.as_deref().unwrap_or_else(of_sender);
            let author = author_domain.as_deref();
            Ok(Front {
                lines: signing.sign(&message.body, skip, author, own).await?,
                forward_sender: None,
            })
        }
        Origin::Foreign {
            client,
            hello,
            forwarded_by,
        } => {
            let Some(forwarded_by) = forwarded_by else {
                return Ok(Front::default());
            };
            let received = ReceivedFrom {
                client: *client,
                hello: hello.clone(),
                mail_from: sender.cloned(),
                forwarded_by: forwarded_by.clone(),
            };
            // A bounce has the null sender and keeps it: nothing comes back to a bounce.
            let forward_sender = sender
                .map(|sender| ReversePath::Address(signing.srs_forward(sender, forwarded_by)));
            Ok(Front {
                lines: signing.seal(&message.body, skip, &received).await?,
                forward_sender,
            })
        }
    }
}

/// The length of the Return-Path line we put in front; it never leaves (RFC 5321 §4.4).
fn return_path_bytes(body: &Spool) -> io::Result<u64> {
    let read;
    let head = match body.as_memory() {
        Some(bytes) => bytes,
        None => {
            read = body.read_range(0..body.len().min(RETURN_PATH_BYTES_MAX))?;
            &read
        }
    };
    const NAME: &[u8] = b"Return-Path:";
    if !(head.get(..NAME.len())).is_some_and(|name| name.eq_ignore_ascii_case(NAME)) {
        return Ok(0);
    }
    let end = head.iter().position(|byte| *byte == b'\n');
    Ok(end.map_or(0, |end| end as u64 + 1))
}
