//! Everything of a session that sees a peer's bytes without asking anybody else, in one function:
//! lines, grammar, replies, DATA and BDAT with header and scanner. For fuzz targets; never called by
//! the server. A session as a whole is fuzzed over a socket by the tests of this module.

use super::header_report::Author;
use super::incoming::{Edits, Front, Incoming, Missing};
use crate::data::{BareEndings, Dots, Progress};
use crate::grammar::{self, ChunkEnd, Command};
use crate::limits::Limits;
use crate::reply::{Permanent, Reply, Status};
use platform::net::Line;
use platform::spool::{Spool, SpoolLimits};
use std::sync::Arc;

/// Bytes of one message; small, so that spools stay in memory.
const MESSAGE_BYTES_MAX: u64 = 32 * 1024;

/// Reads `bytes` as one side of a dialogue. Must not panic, whatever they are.
pub fn dialogue(bytes: &[u8]) {
    let limits = Limits {
        message_bytes_max: MESSAGE_BYTES_MAX,
        ..Limits::default()
    };
    let mut rest = bytes;
    while let Some(line) = Line::find(rest, 0) {
        let (text, after) = rest.split_at(line.total_bytes);
        let text = text.get(..line.content_bytes).unwrap_or_default();
        rest = match grammar::command(text) {
            Ok(Command::Data) => data(after, &limits),
            Ok(Command::Bdat(chunk)) => {
                let bytes = usize::try_from(chunk.bytes)
                    .unwrap_or(usize::MAX)
                    .min(after.len());
                let (chunk_bytes, after) = after.split_at(bytes);
                if chunk.end == ChunkEnd::Last {
                    let mut incoming = begin(Dots::Verbatim, &limits);
                    incoming.push(chunk_bytes, &limits);
                    let _kept_or_refused = incoming.finish();
                }
                after
            }
            Ok(_) => after,
            Err(bad) => {
                let mut wire = Vec::new();
                let reply =
                    Reply::permanent(Permanent::BadArgument, Status::SYNTAX, bad.to_string());
                reply.write_to(&mut wire);
                after
            }
        };
    }
}

fn data<'a>(bytes: &'a [u8], limits: &Limits) -> &'a [u8] {
    let mut incoming = begin(Dots::Stuffed, limits);
    // Cut where a socket might.
    let middle = bytes.len() / 2;
    let (first, second) = bytes.split_at(middle);
    let consumed = match incoming.push(first, limits) {
        Progress::End { consumed } => consumed,
        Progress::More => match incoming.push(second, limits) {
            Progress::End { consumed } => middle + consumed,
            Progress::More => bytes.len(),
        },
    };
    let _kept_or_refused = incoming.finish();
    bytes.get(consumed..).unwrap_or_default()
}

fn begin(dots: Dots, limits: &Limits) -> Incoming {
    let missing = Missing {
        date: "Date: x\r\n".into(),
        message_id: "Message-ID: <x@y>\r\n".into(),
    };
    let spool = || {
        Spool::new(SpoolLimits {
            memory_bytes: 4 * MESSAGE_BYTES_MAX as usize,
            dir: std::path::Path::new("/nonexistent").into(),
        })
    };
    let front = Front {
        fields: "Received: x\r\n".into(),
        missing: Some(missing),
        author: Author::Customer,
        edits: Some(Edits {
            policy: Arc::default(),
            domain: "example.org".into(),
            direction: policy::Direction::Outbound,
        }),
        rules: None,
        held: spool(),
        hosts: ["rp.test".into()].into(),
    };
    Incoming::begin(front, spool(), dots, BareEndings::Normalise, limits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_dialogue_panics(
            parts in proptest::collection::vec(
                prop_oneof![
                    Just("DATA\r\n".to_owned()),
                    Just("BDAT 20 LAST\r\n".to_owned()),
                    Just("\r\n.\r\n".to_owned()),
                    Just("Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n".to_owned()),
                    "[ -~\\r\\n]{0,30}",
                ],
                0..20,
            ),
        ) {
            dialogue(parts.concat().as_bytes());
        }
    }
}
