//! What this server writes in front of a message: Return-Path and Received on an mx; Received without
//! the client, Date and Message-ID where missing, on submission. Builds text only.

use super::header_report::Author;
use super::incoming::{Edits, Front, Missing};
use super::relay;
use super::rules;
use super::senders;
use super::session::Session;
use super::state::{Envelope, Greeting, Sender};
use formats::date::DateTime;
use formats::received::{Channel, Client, Login, Protocol, Received, Tls};
use policy::Direction;
use queue::ReversePath;

/// The fields for a message that is about to come in, and what is done to its header.
pub(super) fn front(session: &Session, greeting: &Greeting, envelope: &Envelope) -> Front {
    let now = session.context.clock.now();
    let sender = &envelope.sender;
    let received = received(session, greeting, envelope, now.0);
    let return_path = formats::received::return_path(match &sender.path {
        ReversePath::Null => None,
        ReversePath::Address(address) => Some(address),
    });
    let fields = format!("{return_path}{received}");
    let Some(login) = &session.login else {
        return incoming_front(session, envelope, fields);
    };
    let host = session.host_name();
    let unique = session.context.random.next_u64();
    let missing = Missing {
        date: format!(
            "Date: {}\r\n",
            formats::date::format_rfc5322(DateTime::utc(now.0))
        ),
        message_id: format!("Message-ID: <{}.{unique:016x}@{host}>\r\n", sender.trace),
    };
    Front {
        fields,
        missing: Some(missing),
        author: Author::Customer,
        edits: Some(Edits {
            policy: session.context.policies.snapshot(),
            domain: senders::login_domain(login).into(),
            direction: Direction::Outbound,
        }),
        rules: rules::header(session, envelope).map(Box::new),
        held: session.context.spool(),
        hosts: own_names(session),
    }
}

/// The names under which this server writes Authentication-Results, or may be taken to.
fn own_names(session: &Session) -> Box<[Box<str>]> {
    let names = [session.context.signing.host(), session.host_name()];
    names.map(Box::from).into()
}

/// Mail of other servers passes through, unless a domain has its header changed; but who it says it is from is read.
/// What leaves again goes as it came, or its author's signature would no longer fit. One body serves all recipients, so
/// a domain's own actions count where all are its own.
fn incoming_front(session: &Session, envelope: &Envelope, fields: String) -> Front {
    let rules = rules::header(session, envelope).map(Box::new);
    let held = |fields, edits| Front {
        fields,
        missing: None,
        author: Author::Server,
        edits,
        rules,
        held: session.context.spool(),
        hosts: own_names(session),
    };
    if !envelope.forwarding.is_empty() {
        return held(fields, None);
    }
    let policy = session.context.policies.snapshot();
    let domain = match &envelope.domains[..] {
        [only] => only.clone(),
        _ => Box::default(),
    };
    let acts = policy
        .header_actions(&domain, Direction::Inbound)
        .next()
        .is_some();
    let changes = acts || policy.rules().needs_header();
    let edits = changes.then_some(Edits {
        policy,
        domain,
        direction: Direction::Inbound,
    });
    held(fields, edits)
}

/// RFC 5321 §4.4. The client's name and address are left out for customers: they would tell every
/// recipient where the sender is.
fn received(session: &Session, greeting: &Greeting, envelope: &Envelope, unix_ms: i64) -> String {
    let stream = &session.connection.stream;
    let client = Client {
        helo: &greeting.name,
        name: session.client_name.as_deref(),
        ip: stream.peer().ip(),
    };
    let id = envelope.sender.trace.to_string();
    // RFC 5321 §7.2: several recipients are not told of each other.
    // The author of a message learns nothing of where an alias leads.
    let only_recipient = match (&envelope.forwarding[..], &envelope.recipients[..]) {
        ([alias], _) if envelope.accepted == 1 => Some(alias),
        (_, [only]) if envelope.accepted == 1 => Some(&only.address),
        _ => None,
    };
    formats::received::received(&Received {
        client: session.login.is_none().then_some(client),
        by: session.host_name(),
        protocol: protocol(session, greeting, &envelope.sender),
        tls: stream.tls().map(|tls| Tls {
            cipher: tls.cipher,
            group: tls.group,
        }),
        id: &id,
        recipient: only_recipient,
        unix_ms,
    })
}

/// RFC 3848, RFC 6531 §4.3.
fn protocol(session: &Session, greeting: &Greeting, sender: &Sender) -> Protocol {
    Protocol {
        greeting: greeting.spoken,
        channel: match session.connection.stream.tls() {
            Some(_) => Channel::Tls,
            None => Channel::Plain,
        },
        login: match &session.login {
            Some(login) if relay::source(login).is_none() => Login::Authenticated,
            _ => Login::Anonymous,
        },
        charset: sender.charset,
    }
}

/// The session as the trace of a message shows it. Client address and name are kept for customers
/// too: the operator can look them up while they are kept, recipients never see them (S3-30).
pub(super) fn session_facts(session: &Session, greeting: &Greeting) -> queue::trace::Session {
    let stream = &session.connection.stream;
    queue::trace::Session {
        role: session.role.name().to_owned(),
        login: session.login.as_ref().map(|login| login.login.to_string()),
        account: session.login.as_ref().map(|login| login.account.0),
        tls: stream.tls().map(|tls| queue::trace::SessionTls {
            version: tls.version.as_str().to_owned(),
            cipher: tls.cipher.to_owned(),
            group: tls.group.map(str::to_owned),
            fingerprint: tls.client_fingerprint.as_deref().map(str::to_owned),
        }),
        source: (session.login.as_ref())
            .and_then(relay::source)
            .map(str::to_owned),
        notice_about: None,
        client: Some(stream.peer().ip()),
        hello: Some(greeting.name.to_string()),
    }
}
