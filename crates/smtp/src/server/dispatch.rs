//! How a message that came in whole is to travel on: for which group, from when, under which demands,
//! and where it came from. Gathers; `rulings::travel` decided what MAIL asked for.

use super::header_report::HeaderReport;
use super::rulings::message::Fault;
use super::senders;
use super::session::Session;
use super::state::{Envelope, Greeting};
use directory::{DomainName, Identity};
use formats::address::Address;
use platform::clock::Timestamp;
use platform::store::StoreError;
use policy::Snapshot;
use queue::{Dispatch, Origin, TlsRequiredNo};

/// The dispatch of a message. `report` is that of its header, `author_domain` the domain that may sign
/// it.
///
/// # Errors
/// Those of the store, which is asked only about mail of other servers that leaves again.
pub(super) async fn dispatch(
    session: &Session,
    greeting: &Greeting,
    envelope: &Envelope,
    report: &HeaderReport,
    author_domain: Option<String>,
    now: Timestamp,
) -> Result<Dispatch, StoreError> {
    let travel = envelope.sender.travel;
    let mut dispatch = Dispatch {
        priority: travel.priority,
        release_at: travel.release_at,
        require_tls: travel.require_tls,
        tls_required_no: match report.tls_required_no {
            true => TlsRequiredNo::Present,
            false => TlsRequiredNo::Absent,
        },
        marks: marks(&envelope.forwarding),
        ..Dispatch::default()
    };
    match &session.login {
        Some(login) => {
            let policy = session.context.policies.snapshot();
            dispatch.group = login.group.as_deref().map(Box::from);
            dispatch.release_at = release_at(&policy, login, travel.release_at, now);
            dispatch.origin = Origin::Submitted {
                author_domain,
                login_domain: Some(senders::login_domain(login).to_owned()),
            };
        }
        None => {
            let forwarded_by = envelope.forwarding.first().map(Address::domain);
            dispatch.group = group_of(session, forwarded_by).await?;
            dispatch.origin = Origin::Foreign {
                client: session.connection.stream.peer().ip(),
                hello: greeting.name.to_string(),
                forwarded_by: forwarded_by.map(str::to_owned),
            };
        }
    }
    Ok(dispatch)
}

/// The later of what the customer asked for and the time for undoing. When the group's mail leaves is
/// reckoned by the queue, for all ways mail comes to it.
fn release_at(
    policy: &Snapshot,
    login: &Identity,
    asked: Option<Timestamp>,
    now: Timestamp,
) -> Option<Timestamp> {
    let scope = senders::scope(login);
    let hold_back = policy.hold_back(&scope);
    let undo = (!hold_back.is_zero()).then(|| now.plus(hold_back));
    asked.max(undo).filter(|latest| *latest > now)
}

async fn group_of(
    session: &Session,
    forwarded_by: Option<&str>,
) -> Result<Option<Box<str>>, StoreError> {
    let Some(domain) = forwarded_by.and_then(|domain| DomainName::parse(domain).ok()) else {
        return Ok(None);
    };
    let hosting = session.context.directory.hosting(&domain).await?;
    Ok(hosting.group().map(Box::from))
}

/// What a forward carries, so that a circle is seen when it comes back.
fn marks(forwarding: &[Address]) -> String {
    let mut marks = String::new();
    for address in forwarding {
        marks.push_str("Delivered-To: ");
        marks.push_str(&address.to_string());
        marks.push_str("\r\n");
    }
    marks
}

/// A message that one of its addresses here has forwarded before would be forwarded again, and again.
pub(super) fn check_circle(forwarding: &[Address], report: &HeaderReport) -> Result<(), Fault> {
    let marked = |address: &Address| {
        let written = address.to_string().to_lowercase();
        report.delivered_to.contains(&written)
    };
    match forwarding.iter().any(marked) {
        true => Err(Fault::ForwardLoop),
        false => Ok(()),
    }
}
