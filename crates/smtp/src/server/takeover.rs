//! The end of a message, for DATA and BDAT alike: asks `rulings::message` and, for customers, whether
//! its senders are theirs; hands the message to the queue, and answers. 250 is said only after the
//! queue's transaction is durable; on every other way out the peer still has the message.

use super::commands::directory_failed;
use super::device;
use super::dispatch::{check_circle, dispatch};
use super::incoming::{Incoming, Message};
use super::rules;
use super::rulings::message::{self, Fault};
use super::rulings::{Refusal, Ruling};
use super::senders::{self, Passed};
use super::session::{End, Outcome, Session};
use super::spoofed;
use super::state::{Envelope, Greeting};
use super::trace_fields;
use crate::data::BareEndings;
use crate::reply::{Reply, Status, Success, Transient};
use platform::clock::Timestamp;
use platform::store::{Expectation, StoreError};
use policy::ownership::Objection;
use queue::{Accept, AcceptError, Dispatch, ReversePath};
use routing::seen::{Identity, Protection};

/// What becomes of bare CR and LF on this connection.
pub(super) fn bare_endings(session: &Session) -> BareEndings {
    match &session.login {
        None => BareEndings::Refuse,
        Some(_) => session.context.settings.submission_bare_endings,
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
    mut envelope: Envelope,
    incoming: Incoming,
    announced: Expectation,
) -> Outcome {
    let message = incoming.finish().and_then(|message| {
        check_circle(&envelope.forwarding, &message.report)?;
        Ok(message)
    });
    let mut message = match message {
        Ok(message) => message,
        Err(fault) => return Ok(Some(refuse(session, &envelope, fault))),
    };
    session.flush_acknowledgement().await?;
    session.recognise(message.report.mailer.take());
    let now = session.context.clock.now();
    let judged = match rule(session, &greeting, &mut envelope, message, now).await {
        Ok(Ok(judged)) => judged,
        Ok(Err(refusal)) => return Ok(Some(told(session, &envelope, refusal))),
        Err(error) => return Ok(Some(directory_failed(&error))),
    };
    let Judged {
        message,
        dispatch,
        noted,
        unproved,
    } = judged;
    let bytes = message.bytes;
    let trace = envelope.sender.trace;
    let recipients = envelope.accepted;
    let quota = std::mem::take(&mut envelope.sender.quota);
    note_tls(session, &envelope, now);
    let accept = Accept {
        trace,
        session: trace_fields::session_facts(session, &greeting),
        sender: envelope.sender.path,
        recipients: envelope.recipients,
        submitter: session.login.as_ref().map(|identity| identity.account),
        dsn: envelope.sender.dsn,
        body: message.body,
        facts: message.facts,
        now,
        announced: Some(announced),
        dispatch,
    };
    match session.context.queue.accept(accept).await {
        Ok(()) => {
            quota.accepted();
            senders::note(session, &noted, now);
            spoofed::note(session, &unproved, now);
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

/// A message that may be taken over.
struct Judged {
    message: Message,
    dispatch: Dispatch,
    /// What would have stopped its senders.
    noted: Vec<Objection>,
    /// Whom nobody answers for.
    unproved: spoofed::Noted,
}

/// Everything that is ruled about a message that is in: its senders, who answers for it, the operator's rules.
async fn rule(
    session: &Session,
    greeting: &Greeting,
    envelope: &mut Envelope,
    message: Message,
    now: Timestamp,
) -> Result<Result<Judged, Refusal>, StoreError> {
    let (mut dispatch, noted) = match judge(session, greeting, envelope, &message, now).await? {
        Ok(judged) => judged,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let looking = spoofed::judge(session, greeting, envelope, message, &mut dispatch, now);
    let (message, unproved) = match Box::pin(looking).await? {
        Ok(looked) => looked,
        Err(refusal) => return Ok(Err(refusal)),
    };
    match rules::message(session, envelope, &message, &mut dispatch).await? {
        Ok(taken) => envelope.recipients.extend(taken.copies),
        Err(refusal) => return Ok(Err(refusal)),
    }
    Ok(Ok(Judged {
        message,
        dispatch,
        noted,
        unproved,
    }))
}

/// Whether a customer may send what the header says it is from (everybody else may), how the message
/// then travels on, and what is noted about its senders.
async fn judge(
    session: &Session,
    greeting: &Greeting,
    envelope: &Envelope,
    message: &Message,
    now: Timestamp,
) -> Result<Result<(Dispatch, Vec<Objection>), Refusal>, StoreError> {
    let report = &message.report;
    let passed = match &session.login {
        None => Passed::default(),
        Some(login) => {
            match senders::rule_header(session, login, &envelope.sender.path, report).await? {
                Ok(passed) => passed,
                Err(refusal) => return Ok(Err(refusal)),
            }
        }
    };
    let author = passed.author_domain;
    let dispatch = dispatch(session, greeting, envelope, report, author, now).await?;
    if let Some(login) = &session.login {
        let directory = &session.context.directory;
        if let Err(refusal) = device::rule_message(directory, login, report, now).await? {
            return Ok(Err(refusal));
        }
    }
    Ok(Ok((dispatch, passed.noted)))
}

/// Remembers for previews of the TLS switch which mail comes in how.
fn note_tls(session: &Session, envelope: &Envelope, now: Timestamp) {
    let version = session.connection.stream.tls().map(|tls| tls.version);
    let protection = Protection::of(version, Identity::Unknown);
    let sender_domain = match &envelope.sender.path {
        ReversePath::Null => "",
        ReversePath::Address(address) => address.domain(),
    };
    for domain in &envelope.domains {
        let seen = &session.context.seen;
        seen.inbound(domain, sender_domain, protection, now);
    }
}

/// Refuses a message for what it is.
pub(super) fn refuse(session: &Session, envelope: &Envelope, fault: Fault) -> Reply {
    match message::rule(Some(fault), session.limits()) {
        Ruling::Refuse(refusal) => told(session, envelope, refusal),
        Ruling::Accept => storage_failed(),
    }
}

/// The reply of a refusal, which goes to the log.
fn told(session: &Session, envelope: &Envelope, refusal: Refusal) -> Reply {
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
