//! The end of a message, for DATA and BDAT alike: asks `rulings::message`, hands the message to the
//! queue, and answers. 250 is said only after the queue's transaction is durable; on every other way
//! out the peer still has the message.

use super::incoming::{Incoming, Message};
use super::rulings::Ruling;
use super::rulings::message::{self, Fault};
use super::session::{End, Outcome, Session};
use super::settings::Role;
use super::state::{Envelope, Greeting};
use super::trace_fields;
use crate::data::BareEndings;
use crate::reply::{Reply, Status, Success, Transient};
use platform::store::Expectation;
use queue::{Accept, AcceptError};

/// What becomes of bare CR and LF on this connection.
pub(super) fn bare_endings(session: &Session) -> BareEndings {
    match session.role {
        Role::Mx => BareEndings::Refuse,
        Role::Submission => session.context.settings.submission_bare_endings,
    }
}

/// A refused message is read to its end, but not for ever.
pub(super) fn check_endless(session: &Session, incoming: &Incoming) -> Result<(), End> {
    if incoming.is_endless(session.limits()) {
        return Err(End::Closed("refused-message-too-long"));
    }
    Ok(())
}

/// The message is in: take it over or refuse it.
pub(super) async fn run(
    session: &mut Session,
    greeting: Greeting,
    envelope: Envelope,
    incoming: Incoming,
    announced: Expectation,
) -> Outcome {
    let message = match incoming.finish() {
        Ok(message) => message,
        Err(fault) => return Ok(Some(refuse(session, &envelope, fault))),
    };
    session.flush_acknowledgement().await?;
    let bytes = message.bytes;
    let trace = envelope.sender.trace;
    let recipients = envelope.accepted;
    let accept = accept(session, &greeting, envelope, message, announced);
    match session.context.queue.accept(accept).await {
        Ok(()) => {
            tracing::info!(
                %trace,
                role = session.role.name(),
                bytes,
                recipients,
                account = session.login.as_ref().map(|identity| identity.account.0),
                tls = session.connection.stream.tls().map(|tls| tls.version.as_str()),
                "smtp message accepted"
            );
            let text = format!("Accepted as {trace}");
            session.acknowledge(&Reply::success(Success::Ok, Status::OTHER, text));
            Ok(None)
        }
        Err(error) => Ok(Some(failed(&error, &trace.to_string()))),
    }
}

fn accept(
    session: &Session,
    greeting: &Greeting,
    envelope: Envelope,
    message: Message,
    announced: Expectation,
) -> Accept {
    Accept {
        trace: envelope.sender.trace,
        session: trace_fields::session_facts(session, greeting),
        sender: envelope.sender.path,
        recipients: envelope.recipients,
        submitter: session.login.as_ref().map(|identity| identity.account),
        dsn: envelope.sender.dsn,
        body: message.body,
        facts: message.facts,
        now: session.context.clock.now(),
        announced: Some(announced),
        dispatch: queue::Dispatch::default(),
    }
}

/// Refuses a message for what it is.
pub(super) fn refuse(session: &Session, envelope: &Envelope, fault: Fault) -> Reply {
    match message::rule(Some(fault), session.limits()) {
        Ruling::Refuse(refusal) => {
            tracing::info!(
                trace = %envelope.sender.trace,
                role = session.role.name(),
                reason = refusal.reason,
                code = refusal.reply.code(),
                account = session.login.as_ref().map(|identity| identity.account.0),
                explain = refusal.explain,
                "smtp message refused"
            );
            refusal.reply
        }
        Ruling::Accept => storage_failed(),
    }
}

/// Our fault: nothing of the message was kept, the peer comes again.
fn failed(error: &AcceptError, trace: &str) -> Reply {
    tracing::error!(trace, %error, "taking a message over failed");
    storage_failed()
}

fn storage_failed() -> Reply {
    Reply::transient(
        Transient::LocalError,
        Status::SYSTEM,
        "The message could not be stored for the moment; nothing of it was kept. Try again later.",
    )
}
