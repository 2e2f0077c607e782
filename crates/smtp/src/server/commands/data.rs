//! DATA (RFC 5321 §4.1.1.4): the message as lines, ended by a dot alone. Whatever becomes of it, it is
//! read to its real end first, so that no part of it is taken for commands.

use super::super::incoming::Incoming;
use super::super::session::{End, Outcome, Session};
use super::super::state::{Envelope, Greeting, State};
use super::super::{takeover, trace_fields};
use super::out_of_order;
use crate::data::{Dots, Progress};
use crate::reply::{Intermediate, Permanent, Reply, Status};
use platform::net::Deadline;

pub(super) async fn run(session: &mut Session) -> Outcome {
    match std::mem::take(&mut session.state) {
        State::HasRecipients(greeting, envelope) => {
            Box::pin(proceed(session, greeting, *envelope)).await
        }
        State::InMail(greeting, sender) => {
            let refused = sender.refused;
            session.state = State::InMail(greeting, sender);
            Ok(Some(no_recipient(refused)))
        }
        other => {
            session.state = other;
            out_of_order()
        }
    }
}

/// RFC 5321 §3.3: 503 where RCPT never came, 554 where every one was refused.
pub(super) fn no_recipient(refused: usize) -> Reply {
    if refused == 0 {
        Reply::permanent(
            Permanent::BadSequence,
            Status::SEQUENCE,
            "RCPT comes before the message.",
        )
    } else {
        Reply::permanent(
            Permanent::Failed,
            Status::SEQUENCE,
            "No valid recipients; every RCPT was refused, see the answers there.",
        )
    }
}

async fn proceed(session: &mut Session, greeting: Greeting, envelope: Envelope) -> Outcome {
    session.gather(&Reply::intermediate(
        Intermediate::StartInput,
        "Send the message, end it with a line that has only a dot",
    ));
    // The state is the one after the message from here on: an error on the way ends the session.
    session.state = State::Greeted(greeting.clone());
    let mut incoming = Incoming::begin(
        trace_fields::front(session, &greeting, &envelope),
        session.context.spool(),
        Dots::Stuffed,
        takeover::bare_endings(session),
        session.limits(),
    );
    let announced = session.context.queue.expect();
    receive(session, &mut incoming).await?;
    takeover::run(session, greeting, envelope, incoming, announced).await
}

/// Reads to the end of the message.
async fn receive(session: &mut Session, incoming: &mut Incoming) -> Result<(), End> {
    let message_ends = session.deadline(session.limits().message_time);
    loop {
        let buffer = session.connection.stream.buffer();
        let progress = incoming.push(buffer, session.limits());
        let (consumed, ended) = match progress {
            Progress::End { consumed } => (consumed, true),
            Progress::More => (buffer.len(), false),
        };
        session.connection.stream.consume(consumed);
        if ended {
            return Ok(());
        }
        takeover::check_endless(session, incoming)?;
        let idle = Deadline::after(session.limits().data_idle);
        session.fill(message_ends.or_earlier(idle)).await?;
    }
}
