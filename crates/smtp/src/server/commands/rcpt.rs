//! RCPT (RFC 5321 §4.1.1.3): asks the directory where the address leads, asks `rulings::recipient`,
//! and notes where the copies go. postmaster and abuse of every domain here lead somewhere.

use super::super::rulings::recipient::{self, Peer, RecipientFacts};
use super::super::rulings::{Refusal, Ruling};
use super::super::session::{Outcome, Session};
use super::super::state::{Envelope, Sender, State};
use super::mail::mailbox;
use super::out_of_order;
use crate::grammar::{Path, RcptParameters};
use crate::reply::{Permanent, Reply, Status, Success, Transient};
use directory::Resolution;
use formats::address::{Address, AddressError};
use formats::received::Charset;
use platform::store::StoreError;
use queue::{DeliverTo, Notify, Recipient};
use std::sync::Arc;

pub(super) async fn run(
    session: &mut Session,
    path: Path<'_>,
    parameters: &RcptParameters<'_>,
) -> Outcome {
    let (charset, accepted, refused) = match &session.state {
        State::InMail(_, sender) => (sender.charset, 0, sender.refused),
        State::HasRecipients(_, envelope) => (
            envelope.sender.charset,
            envelope.accepted,
            envelope.sender.refused,
        ),
        _ => return out_of_order(),
    };
    let address = match forward_path(path, charset) {
        Ok(address) => address,
        Err(error) => return Ok(Some(note_refused(session, bad_recipient(error)))),
    };
    let resolution = match resolve(session, address.as_ref()).await {
        Ok(resolution) => resolution,
        Err(error) => return Ok(Some(directory_failed(&error))),
    };
    let facts = RecipientFacts {
        peer: if session.login.is_some() {
            Peer::Customer
        } else {
            Peer::Anonymous
        },
        resolution: &resolution,
        accepted_before: accepted,
        refused_before: refused,
    };
    match recipient::rule(facts, session.limits()) {
        Ruling::Refuse(refusal) => refuse(session, refusal),
        Ruling::Accept => {
            let copies = copies(&resolution, address, parameters);
            proceed(session, copies);
            Ok(Some(Reply::success(
                Success::Ok,
                Status::RECIPIENT_OK,
                "Recipient noted",
            )))
        }
    }
}

/// `None` is `<Postmaster>` without a domain.
fn forward_path(path: Path<'_>, charset: Charset) -> Result<Option<Address>, AddressError> {
    match path {
        Path::Null => Err(AddressError::Shape),
        Path::Postmaster => Ok(None),
        Path::Mailbox(text) => mailbox(text, charset).map(Some),
    }
}

async fn resolve(
    session: &Session,
    address: Option<&Address>,
) -> Result<Arc<Resolution>, StoreError> {
    let directory = &session.context.directory;
    let host_name = &session.context.settings.host_name;
    let Some(address) = address else {
        let own = format!("postmaster@{host_name}");
        return match Address::parse(&own) {
            Ok(written) => directory.resolve_postmaster(&written).await.map(Arc::new),
            Err(_) => Ok(Arc::new(Resolution::NoPostmaster)),
        };
    };
    let resolution = directory.resolve(address).await?;
    if *resolution == Resolution::NoSuchDomain && is_our_postmaster(address, host_name) {
        return directory.resolve_postmaster(address).await.map(Arc::new);
    }
    Ok(resolution)
}

/// RFC 5321 §4.5.1, RFC 2142 §4: our host name need not be a domain with accounts, but notices come
/// from its postmaster, and people answer them.
fn is_our_postmaster(address: &Address, host_name: &str) -> bool {
    address.domain().eq_ignore_ascii_case(host_name)
        && ["postmaster", "abuse"]
            .iter()
            .any(|name| address.local().eq_ignore_ascii_case(name))
}

/// Where the copies for one accepted RCPT go.
fn copies(
    resolution: &Resolution,
    address: Option<Address>,
    parameters: &RcptParameters<'_>,
) -> Vec<Recipient> {
    let copy = |address: Address, deliver_to: DeliverTo| Recipient {
        address,
        deliver_to,
        notify: parameters.notify.unwrap_or(Notify::DEFAULT),
        original: parameters.original.map(String::from),
    };
    match resolution {
        Resolution::Local {
            deliveries,
            forwards,
        } => {
            let local = deliveries
                .iter()
                .map(|to| copy(to.address.clone(), DeliverTo::Account(to.account)));
            let forwarded = forwards
                .iter()
                .map(|to| copy(to.clone(), DeliverTo::Remote));
            local.chain(forwarded).collect()
        }
        _ => address
            .map(|address| copy(address, DeliverTo::Remote))
            .into_iter()
            .collect(),
    }
}

fn proceed(session: &mut Session, copies: Vec<Recipient>) {
    let (greeting, mut envelope) = match std::mem::take(&mut session.state) {
        State::InMail(greeting, sender) => (
            greeting,
            Box::new(Envelope {
                sender: *sender,
                recipients: Vec::new(),
                accepted: 0,
            }),
        ),
        State::HasRecipients(greeting, envelope) => (greeting, envelope),
        other => {
            session.state = other;
            return;
        }
    };
    envelope.accepted += 1;
    for copy in copies {
        // The same address twice is one recipient (RFC 5321 §4.1.1.3 leaves it to us).
        let known = |other: &Recipient| {
            other.address == copy.address && other.deliver_to == copy.deliver_to
        };
        if !envelope.recipients.iter().any(known) {
            envelope.recipients.push(copy);
        }
    }
    session.state = State::HasRecipients(greeting, envelope);
}

fn refuse(session: &mut Session, refusal: Refusal) -> Outcome {
    // One line for all recipients beyond the limit, so that nobody fills the log.
    if refusal.reason != "too-many-recipients" || refused_before(session) == 0 {
        tracing::info!(
            role = session.role.name(),
            reason = refusal.reason,
            code = refusal.reply.code(),
            explain = refusal.explain,
            "smtp recipient refused"
        );
    }
    let reply = note_refused(session, refusal.reply);
    if reply.code() == 421 {
        return Ok(Some(reply));
    }
    // Refused recipients have a limit of their own and do not count as errors.
    session.gather(&reply);
    Ok(None)
}

/// Recipients refused in this transaction.
fn refused_before(session: &Session) -> usize {
    match &session.state {
        State::InMail(_, sender) => sender.refused,
        State::HasRecipients(_, envelope) => envelope.sender.refused,
        _ => 0,
    }
}

fn note_refused(session: &mut Session, reply: Reply) -> Reply {
    match &mut session.state {
        State::InMail(_, sender) => count(sender),
        State::HasRecipients(_, envelope) => count(&mut envelope.sender),
        _ => {}
    }
    reply
}

fn count(sender: &mut Sender) {
    sender.refused += 1;
}

fn bad_recipient(error: AddressError) -> Reply {
    match error {
        // RFC 6531 §3.5.
        AddressError::NeedsUtf8 => Reply::permanent(
            Permanent::BadMailbox,
            Status::NEEDS_UTF8,
            "The recipient's address has characters that need the parameter SMTPUTF8 of MAIL.",
        ),
        other => Reply::permanent(
            Permanent::BadMailbox,
            Status::BAD_RECIPIENT_SYNTAX,
            format!("The recipient is no address: {other}."),
        ),
    }
}

/// Our fault: the peer keeps the message and comes again.
fn directory_failed(error: &StoreError) -> Reply {
    tracing::error!(%error, "looking up a recipient failed");
    Reply::transient(
        Transient::LocalError,
        Status::SYSTEM,
        "The address cannot be looked up for the moment. Try again later.",
    )
}
