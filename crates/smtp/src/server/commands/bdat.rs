//! BDAT (RFC 3030): the message in chunks of announced size. The octets of a chunk are read whatever
//! the answer is, because they are on their way already; a refused chunk ends the transaction.

use super::super::incoming::Incoming;
use super::super::session::{End, Outcome, Session};
use super::super::state::{Chunks, Envelope, Greeting, State};
use super::super::{takeover, trace_fields};
use super::data::no_recipient;
use super::out_of_order;
use crate::data::Dots;
use crate::grammar::{Chunk, ChunkEnd};
use crate::reply::{Permanent, Reply, Status, Success, Transient};
use platform::net::Deadline;

pub(super) async fn run(session: &mut Session, chunk: Chunk, refused: Option<Reply>) -> Outcome {
    if let Some(reply) = refused {
        return refuse(session, chunk, reply).await;
    }
    match std::mem::take(&mut session.state) {
        State::HasRecipients(greeting, envelope) => {
            let chunks = begin(session, &greeting, *envelope);
            Box::pin(proceed(session, greeting, chunks, chunk)).await
        }
        State::InChunks(greeting, chunks) => {
            Box::pin(proceed(session, greeting, *chunks, chunk)).await
        }
        State::InMail(greeting, sender) => {
            let reply = no_recipient(sender.refused);
            session.state = State::InMail(greeting, sender);
            refuse(session, chunk, reply).await
        }
        other => {
            session.state = other;
            out_of_order()
        }
    }
}

/// A BDAT whose size cannot be read: nobody knows where the next command begins.
pub(super) fn unreadable() -> Reply {
    Reply::transient(
        Transient::Closing,
        Status::ARGUMENTS,
        "BDAT needs the number of octets of the chunk; without it the connection cannot go on.",
    )
}

fn begin(session: &Session, greeting: &Greeting, envelope: Envelope) -> Chunks {
    let incoming = Incoming::begin(
        trace_fields::front(session, greeting, &envelope),
        session.context.spool(),
        Dots::Verbatim,
        takeover::bare_endings(session),
        session.limits(),
    );
    Chunks { envelope, incoming }
}

/// Swallows the octets of a chunk, then answers.
async fn refuse(session: &mut Session, chunk: Chunk, reply: Reply) -> Outcome {
    swallow(session, chunk.bytes).await?;
    Ok(Some(reply))
}

async fn swallow(session: &mut Session, bytes: u64) -> Result<(), End> {
    if bytes > session.limits().message_bytes_max {
        session.gather(&too_large_to_skip());
        return Err(End::Closed("chunk-too-large"));
    }
    read(session, bytes, |_, _| Ok(())).await
}

fn too_large_to_skip() -> Reply {
    Reply::permanent(
        Permanent::TooLarge,
        Status::TOO_LARGE,
        "The chunk is larger than any message may be; the connection is closed.",
    )
}

async fn proceed(
    session: &mut Session,
    greeting: Greeting,
    mut chunks: Chunks,
    chunk: Chunk,
) -> Outcome {
    // The state is the one after a failure until the chunk is in.
    session.state = State::Greeted(greeting.clone());
    if chunk.bytes > session.limits().message_bytes_max.saturating_mul(2) {
        session.gather(&too_large_to_skip());
        return Err(End::Closed("chunk-too-large"));
    }
    let incoming = &mut chunks.incoming;
    read(session, chunk.bytes, |session, piece| {
        incoming.push(piece, session.limits());
        takeover::check_endless(session, incoming)
    })
    .await?;
    match chunk.end {
        ChunkEnd::Last => {
            let Chunks { envelope, incoming } = chunks;
            let announced = session.context.queue.expect();
            takeover::run(session, greeting, envelope, incoming, announced).await
        }
        ChunkEnd::More => match chunks.incoming.fault() {
            // RFC 3030 §2: after an error the client must begin again; the chunks it has sent
            // meanwhile are answered with 503.
            Some(fault) => Ok(Some(takeover::refuse(session, &chunks.envelope, fault))),
            None => {
                session.state = State::InChunks(greeting, Box::new(chunks));
                let text = format!("{} octets received", chunk.bytes);
                Ok(Some(Reply::success(Success::Ok, Status::OTHER, text)))
            }
        },
    }
}

/// Reads exactly `bytes` octets and gives them to `each`.
async fn read(
    session: &mut Session,
    bytes: u64,
    mut each: impl FnMut(&Session, &[u8]) -> Result<(), End>,
) -> Result<(), End> {
    let message_ends = session.deadline(session.limits().message_time);
    let mut left = bytes;
    while left > 0 {
        let buffer = session.connection.stream.buffer();
        let taken = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if taken == 0 {
            let idle = Deadline::after(session.limits().data_idle);
            session.fill(message_ends.or_earlier(idle)).await?;
            continue;
        }
        each(session, buffer.get(..taken).unwrap_or_default())?;
        session.connection.stream.consume(taken);
        left -= taken as u64;
    }
    Ok(())
}
