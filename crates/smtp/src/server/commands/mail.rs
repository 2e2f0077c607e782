//! MAIL (RFC 5321 §4.1.1.2): begins a transaction, names the message, keeps what is known about its
//! sender and form. Asks `rulings::sender`; whether the sender exists is not asked here.

use super::super::rulings::sender::{self, SenderFacts};
use super::super::rulings::{Refusal, Ruling};
use super::super::session::Session;
use super::super::state::{Sender, State};
use crate::grammar::{MailParameters, Path};
use crate::reply::{Permanent, Reply, Status, Success};
use formats::address::{Address, AddressError};
use formats::received::Charset;
use queue::{DsnOptions, ReversePath};

pub(super) fn run(session: &mut Session, path: Path<'_>, parameters: &MailParameters<'_>) -> Reply {
    let charset = if parameters.utf8 {
        Charset::Utf8
    } else {
        Charset::Ascii
    };
    let sender = match reverse_path(path, charset) {
        Ok(sender) => sender,
        Err(error) => return bad_sender(error),
    };
    let facts = SenderFacts {
        declared_bytes: parameters.size,
        messages_before: session.counters.messages,
    };
    if let Ruling::Refuse(refusal) = sender::rule(facts, session.limits()) {
        return refuse(session, refusal);
    }
    proceed(session, sender, charset, parameters)
}

fn reverse_path(path: Path<'_>, charset: Charset) -> Result<ReversePath, AddressError> {
    match path {
        Path::Null => Ok(ReversePath::Null),
        Path::Postmaster => Err(AddressError::Shape),
        Path::Mailbox(text) => mailbox(text, charset).map(ReversePath::Address),
    }
}

/// An address of the envelope; beyond ASCII only with SMTPUTF8 (RFC 6531 §3.4).
pub(super) fn mailbox(text: &str, charset: Charset) -> Result<Address, AddressError> {
    let address = Address::parse(text)?;
    if charset == Charset::Ascii && !address.is_ascii() {
        return Err(AddressError::NeedsUtf8);
    }
    Ok(address)
}

fn bad_sender(error: AddressError) -> Reply {
    match error {
        // RFC 6531 §3.5.
        AddressError::NeedsUtf8 => Reply::permanent(
            Permanent::Refused,
            Status::NEEDS_UTF8,
            "The sender's address has characters that need the parameter SMTPUTF8 of MAIL.",
        ),
        other => Reply::permanent(
            Permanent::BadMailbox,
            Status::BAD_SENDER_SYNTAX,
            format!("The sender is no address: {other}."),
        ),
    }
}

fn refuse(session: &Session, refusal: Refusal) -> Reply {
    tracing::info!(
        role = session.role.name(),
        reason = refusal.reason,
        code = refusal.reply.code(),
        explain = refusal.explain,
        "smtp sender refused"
    );
    refusal.reply
}

fn proceed(
    session: &mut Session,
    path: ReversePath,
    charset: Charset,
    parameters: &MailParameters<'_>,
) -> Reply {
    let sender = Sender {
        trace: session.context.trace_ids.next(),
        path,
        body: parameters.body,
        charset,
        dsn: DsnOptions {
            envelope_id: parameters.envelope_id.map(String::from),
            ret: parameters.ret,
        },
        refused: 0,
    };
    session.counters.messages += 1;
    session.counters.idle_commands = 0;
    if let Some(greeting) = session.state.greeting().cloned() {
        session.enter(State::InMail(greeting, Box::new(sender)));
    }
    Reply::success(Success::Ok, Status::SENDER_OK, "Sender noted")
}
