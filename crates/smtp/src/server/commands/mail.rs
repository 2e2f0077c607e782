//! MAIL (RFC 5321 §4.1.1.2): begins a transaction, names the message, keeps what is known about its
//! sender, form and way. Asks `rulings::sender` and `rulings::travel`; of customers also whether the
//! sender is theirs and how much they have sent. Whether another server's sender exists is not asked.

use super::super::device;
use super::super::extension::Extension;
use super::super::quota::Quota;
use super::super::rules;
use super::super::rulings::sender::{self, SenderFacts};
use super::super::rulings::travel::{self, Offered, Travel};
use super::super::rulings::{Refusal, Ruling};
use super::super::senders;
use super::super::session::Session;
use super::super::settings::Role;
use super::super::state::{Sender, State};
use crate::grammar::{MailParameters, Path};
use crate::reply::{Permanent, Reply, Status, Success};
use directory::Identity;
use formats::address::{Address, AddressError};
use formats::received::Charset;
use platform::store::StoreError;
use queue::{DsnOptions, ReversePath};

pub(super) async fn run(
    session: &mut Session,
    path: Path<'_>,
    parameters: &MailParameters<'_>,
) -> Reply {
    let charset = if parameters.utf8 {
        Charset::Utf8
    } else {
        Charset::Ascii
    };
    let path = match reverse_path(path, charset) {
        Ok(path) => path,
        Err(error) => return bad_sender(error),
    };
    let off = &session.listener.extensions_off;
    if let Some(off) = off.iter().find(|one| one.is_asked_by_mail(parameters)) {
        return not_offered(*off);
    }
    let facts = SenderFacts {
        declared_bytes: parameters.size,
        messages_before: session.counters.messages,
    };
    if let Ruling::Refuse(refusal) = sender::rule(facts, session.limits()) {
        return refuse(session, refusal);
    }
    if let Some(refusal) = rules::mail(session, &path, parameters.size) {
        return refuse(session, refusal);
    }
    let travel = match rule_travel(session, parameters) {
        Ok(travel) => travel,
        Err(refusal) => return refuse(session, refusal),
    };
    let quota = match session.login.clone() {
        None => Quota::default(),
        Some(login) => match Box::pin(ask_about(session, &login, &path)).await {
            Ok(Ok(quota)) => quota,
            Ok(Err(refusal)) => return refuse(session, refusal),
            Err(error) => return super::rcpt::directory_failed(&error),
        },
    };
    let dsn = DsnOptions {
        envelope_id: parameters.envelope_id.map(String::from),
        ret: parameters.ret,
    };
    let sender = Sender {
        trace: session.context.trace_ids.next(),
        path,
        charset,
        dsn,
        travel,
        quota,
        refused: 0,
    };
    proceed(session, sender)
}

fn rule_travel(session: &Session, parameters: &MailParameters<'_>) -> Result<Travel, Refusal> {
    let asks = parameters.require_tls || parameters.hold.is_some() || parameters.priority.is_some();
    if !asks {
        return Ok(Travel::default());
    }
    let offered = offered(session);
    let group = session.login.as_ref().and_then(|login| login.group.clone());
    let class = session.context.policies.snapshot().class(group.as_deref());
    let now = session.context.clock.now();
    travel::rule(parameters, offered, class.priority, session.limits(), now)
}

/// What of it this connection offers.
pub(super) fn offered(session: &Session) -> Offered {
    let in_tls = session.connection.stream.tls().is_some();
    // RFC 4865 §3 and RFC 6710 §9: for customers; on an mx whoever has not logged in is none.
    let customer = session.role == Role::Submission || session.login.is_some();
    Offered {
        require_tls: in_tls,
        submission: in_tls && customer,
    }
}

/// Whether the sender is the customer's, and whether there is room for another message.
async fn ask_about(
    session: &Session,
    login: &Identity,
    path: &ReversePath,
) -> Result<Result<Quota, Refusal>, StoreError> {
    if let Ruling::Refuse(refusal) = senders::rule_envelope(session, login, path).await? {
        return Ok(Err(refusal));
    }
    let context = &session.context;
    let now = context.clock.now();
    if let Err(refusal) = device::rule_mail(&context.directory, login, path, now).await? {
        return Ok(Err(refusal));
    }
    Quota::begin(session, login).await
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

/// RFC 5321 §4.1.1.11.
pub(super) fn not_offered(extension: Extension) -> Reply {
    Reply::permanent(
        Permanent::UnknownParameter,
        Status::ARGUMENTS,
        format!(
            "{} is not offered here; the answer to EHLO lists what is.",
            extension.keyword()
        ),
    )
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

fn proceed(session: &mut Session, sender: Sender) -> Reply {
    session.counters.messages += 1;
    session.counters.idle_commands = 0;
    let travel = sender.travel;
    if let Some(greeting) = session.state.greeting().cloned() {
        session.enter(State::InMail(greeting, Box::new(sender)));
    }
    if travel.lowered {
        // RFC 6710 §4.1: the new priority comes first in the text.
        let text = format!("{} is the priority your provider allows", travel.priority);
        return Reply::success(Success::Ok, Status::PRIORITY_CHANGED, text);
    }
    Reply::success(Success::Ok, Status::SENDER_OK, "Sender noted")
}
