//! RCPT (RFC 5321 §4.1.1.3): asks the directory where the address leads, asks `rulings::recipient`,
//! and notes where the copies go. postmaster and abuse of every domain here lead somewhere; senders
//! rewritten for forwards lead notices back to whom they stand for.

use super::super::device;
use super::super::rules;
use super::super::rulings::recipient::{self, Peer, Place, RecipientFacts, Rewritten, TlsDuty};
use super::super::rulings::{Refusal, Ruling};
use super::super::session::{Outcome, Session};
use super::super::state::{Envelope, Sender, State};
use super::mail::{mailbox, not_offered};
use super::out_of_order;
use crate::grammar::{Path, RcptParameters};
use crate::reply::{Permanent, Reply, Status, Success, Transient};
use directory::{DomainName, Hosting, Resolution};
use formats::address::{Address, AddressError};
use formats::received::Charset;
use platform::store::StoreError;
use queue::{DeliverTo, Notify, Recipient, ReversePath};
use signing::srs::Reversed;
use std::sync::Arc;

pub(super) async fn run(
    session: &mut Session,
    path: Path<'_>,
    parameters: &RcptParameters<'_>,
) -> Outcome {
    let (sender, accepted) = match &session.state {
        State::InMail(_, sender) => (&**sender, 0),
        State::HasRecipients(_, envelope) => (&envelope.sender, envelope.accepted),
        _ => return out_of_order(),
    };
    let refused = sender.refused;
    let off = &session.listener.extensions_off;
    if let Some(off) = off.iter().find(|one| one.is_asked_by_rcpt(parameters)) {
        return Ok(Some(note_refused(session, not_offered(*off))));
    }
    let written = match forward_path(path, sender.charset) {
        Ok(written) => written,
        Err(error) => return Ok(Some(note_refused(session, bad_recipient(error)))),
    };
    let (address, rewritten) = original(session, sender, written.as_ref());
    let address = address.or_else(|| written.clone());
    let way = match look_up(session, written.as_ref(), address.as_ref()).await {
        Ok(way) => way,
        Err(error) => return Ok(Some(directory_failed(&error))),
    };
    let facts = RecipientFacts {
        peer: way.peer,
        rewritten,
        tls: way.tls_text.as_deref().map_or(TlsDuty::Met, TlsDuty::Unmet),
        place: match &way.elsewhere {
            None => Place::Here,
            Some(name) => Place::Elsewhere(name.as_deref()),
        },
        resolution: &way.resolution,
        accepted_before: accepted,
        refused_before: refused,
    };
    if let Ruling::Refuse(refusal) = recipient::rule(facts, session.limits()) {
        return refuse(session, refusal);
    }
    let login = session.login.as_ref();
    if let Err(refusal) = device::rule_recipient(login, written.as_ref()) {
        return refuse(session, refusal);
    }
    if let Some(written) = &written {
        match rules::rcpt(session, written).await {
            Ok(None) => {}
            Ok(Some(refusal)) => return refuse(session, refusal),
            Err(error) => return Ok(Some(directory_failed(&error))),
        }
    }
    if let Some(address) = &address
        && let Err(refusal) = quota(session, address)
    {
        return refuse(session, refusal);
    }
    proceed(session, way, address, parameters);
    Ok(Some(Reply::success(
        Success::Ok,
        Status::RECIPIENT_OK,
        "Recipient noted",
    )))
}

/// What was found out about a recipient.
struct Way {
    peer: Peer,
    resolution: Arc<Resolution>,
    /// The domain as A-labels, where another server asks.
    domain: Option<Box<str>>,
    /// What the domain wants told, where its demand on TLS is not met.
    tls_text: Option<String>,
    /// Set where mail for the domain comes in under another name, if that is known.
    elsewhere: Option<Option<Box<str>>>,
}

/// A sender we rewrote for a forward leads a notice back to the original sender.
fn original(
    session: &Session,
    sender: &Sender,
    written: Option<&Address>,
) -> (Option<Address>, Rewritten) {
    let Some(written) = written else {
        return (None, Rewritten::No);
    };
    match session.context.signing.srs_ruling(written) {
        Reversed::Ordinary => (None, Rewritten::No),
        Reversed::Sender(original) if sender.path == ReversePath::Null => {
            (Some(original), Rewritten::Notice)
        }
        Reversed::Sender(_) => (None, Rewritten::Letter),
        Reversed::Forged => (None, Rewritten::Forged),
        Reversed::Expired => (None, Rewritten::Expired),
    }
}

/// `written` is what RCPT says, `address` whom it stands for.
async fn look_up(
    session: &Session,
    written: Option<&Address>,
    address: Option<&Address>,
) -> Result<Way, StoreError> {
    let mut way = Way {
        peer: Peer::Customer,
        resolution: resolve(session, address).await?,
        domain: None,
        tls_text: None,
        elsewhere: None,
    };
    if session.login.is_some() {
        return Ok(way);
    }
    way.peer = Peer::Anonymous;
    let Some(domain) = written.and_then(|written| a_labels(written.domain())) else {
        return Ok(way);
    };
    if session.connection.stream.tls().is_none() {
        // A notice comes for whom the rewritten sender stands for, as well.
        let meant = address.and_then(|address| a_labels(address.domain()));
        way.tls_text = tls_text(session, &domain)
            .or_else(|| meant.and_then(|meant| tls_text(session, &meant)));
    }
    if !session.listener.groups.is_empty()
        && let Ok(name) = DomainName::parse(&domain)
    {
        let hosting = session.context.directory.hosting(&name).await?;
        if hosting != Hosting::Elsewhere && !session.listener.serves(hosting.group()) {
            way.elsewhere = Some(session.listener.place_of(hosting.group()).map(Box::from));
        }
    }
    way.domain = Some(domain);
    Ok(way)
}

/// What other servers are told where `domain`, as A-labels, takes mail over TLS only.
fn tls_text(session: &Session, domain: &str) -> Option<String> {
    let policy = session.context.policies.snapshot();
    let now = session.context.clock.now();
    let own = policy.inbound_tls(domain, now)?.text.clone();
    Some(own.unwrap_or_else(|| recipient::tls_text(domain, session.context.help_url(&policy))))
}

/// The domain in the form in which policy and directory name it.
fn a_labels(domain: &str) -> Option<Box<str>> {
    if domain.is_ascii() {
        return Some(domain.into());
    }
    let name = DomainName::parse(domain).ok()?;
    Some(name.as_str().into())
}

/// Counts one more recipient of a customer.
fn quota(session: &mut Session, address: &Address) -> Result<(), Refusal> {
    match &mut session.state {
        State::InMail(_, sender) => sender.quota.recipient(address),
        State::HasRecipients(_, envelope) => envelope.sender.quota.recipient(address),
        _ => Ok(()),
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
    // The node's own name: notices come from its postmaster, whatever a listener is called.
    let host_name = &session.context.settings.host_name;
    let Some(address) = address else {
        let own = format!("postmaster@{host_name}");
        return match Address::parse(&own) {
            Ok(written) => directory.resolve_postmaster(&written).await.map(Arc::new),
            Err(_) => Ok(Arc::new(Resolution::NoPostmaster)),
        };
    };
    let resolution = directory.resolve(address).await?;
    let is_ours = |name| is_our_postmaster(address, name);
    if *resolution == Resolution::NoSuchDomain
        && (is_ours(host_name) || is_ours(session.host_name()))
    {
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

/// Whether mail for it leaves again.
fn forwards(resolution: &Resolution) -> bool {
    matches!(resolution, Resolution::Local { forwards, .. } if !forwards.is_empty())
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

fn proceed(
    session: &mut Session,
    way: Way,
    address: Option<Address>,
    parameters: &RcptParameters<'_>,
) {
    let forwarding = address.clone().filter(|_| forwards(&way.resolution));
    let copies = copies(&way.resolution, address, parameters);
    let (greeting, mut envelope) = match std::mem::take(&mut session.state) {
        State::InMail(greeting, sender) => (
            greeting,
            Box::new(Envelope {
                sender: *sender,
                recipients: Vec::new(),
                accepted: 0,
                forwarding: Vec::new(),
                domains: Vec::new(),
            }),
        ),
        State::HasRecipients(greeting, envelope) => (greeting, envelope),
        other => {
            session.state = other;
            return;
        }
    };
    envelope.accepted += 1;
    if let Some(domain) = way.domain
        && !envelope.domains.contains(&domain)
    {
        envelope.domains.push(domain);
    }
    if let Some(address) = forwarding
        && !envelope.forwarding.contains(&address)
    {
        envelope.forwarding.push(address);
    }
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
pub(in crate::server) fn directory_failed(error: &StoreError) -> Reply {
    tracing::error!(%error, "looking up an address failed");
    Reply::transient(
        Transient::LocalError,
        Status::SYSTEM,
        "The address cannot be looked up for the moment. Try again later.",
    )
}
