//! The refusals of the operator's rules as replies: the rule's own words, or ours where it has none. `rules` asks.

use super::super::rulings::{Refusal, recipient};
use super::super::session::Session;
use crate::reply::{Permanent, Reply, Status, Transient};
use platform::clock::Timestamp;
use policy::Snapshot;
use policy::rules::{Acting, Action, Decision, Facts, Point, Room, StatusCode};

/// What is done to the counters of rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counting {
    /// It is counted as long as there is room.
    Counts,
    /// Only whether there is room: it is counted later, if it comes to that.
    Looks,
}

/// The first refusal in the order of the rules: a demand that is not met, a rate that is used up, or the ruling.
pub(super) fn refusal(
    session: &Session,
    policy: &Snapshot,
    point: Point,
    facts: &Facts<'_>,
    decision: &Decision<'_>,
    (counting, now): (Counting, Timestamp),
) -> Option<Refusal> {
    let rates = &session.context.policies.watch().rates;
    let room = |acting: &Acting<'_>| match counting {
        Counting::Counts => rates.count(acting, facts, now),
        Counting::Looks => rates.look(acting, facts, now),
    };
    let demands = decision
        .actions
        .iter()
        .find_map(|acting| match acting.action {
            Action::RequireTls { lowest, text, .. } if !facts.has_tls(lowest.0) => {
                Some((acting, no_tls(session, policy, point, text.as_str())))
            }
            Action::Rate { text, .. } => match room(acting) {
                Room::Left => None,
                Room::Full { .. } => {
                    Some((acting, later(session, policy, point, None, text.as_str())))
                }
            },
            _ => None,
        });
    let ruled = || {
        let acting = decision.ruling.as_ref()?;
        let reply = match acting.action {
            Action::Reject { text, status } => {
                never(session, policy, point, status.as_ref(), text.as_str())
            }
            Action::Defer { text, status } => {
                later(session, policy, point, status.as_ref(), text.as_str())
            }
            _ => return None,
        };
        Some((acting, reply))
    };
    let (acting, reply) = demands.or_else(ruled)?;
    Some(told(acting, point, reply))
}

fn told(acting: &Acting<'_>, point: Point, reply: Reply) -> Refusal {
    tracing::info!(rule = acting.rule.name, %point, action = acting.action.word(), "smtp rule refused");
    Refusal {
        reply,
        reason: "rule",
        explain: "a rule of the operator's says so; its name is in the line before",
    }
}

/// The rule's words exactly, or ours where it has none.
fn words(session: &Session, policy: &Snapshot, text: &str) -> String {
    if !text.is_empty() {
        return text.to_owned();
    }
    let help = session.context.help_url(policy);
    format!(
        "This provider does not take it; a rule says so. What to do: {help}rule\n\
         Dieser Anbieter nimmt das nicht an; eine Regel verlangt es so. Was zu tun ist: {help}rule"
    )
}

fn never(
    session: &Session,
    policy: &Snapshot,
    point: Point,
    status: Option<&StatusCode>,
    text: &str,
) -> Reply {
    let code = match point {
        // RFC 5321 §3.1.
        Point::Connect => Permanent::Failed,
        Point::Auth => Permanent::BadCredentials,
        _ => Permanent::Refused,
    };
    let status = status_of(status, Status::NOT_AUTHORISED);
    Reply::permanent(code, status, words(session, policy, text))
}

fn later(
    session: &Session,
    policy: &Snapshot,
    point: Point,
    status: Option<&StatusCode>,
    text: &str,
) -> Reply {
    let code = match point {
        Point::Connect => Transient::Closing,
        Point::Auth => Transient::NotAvailable,
        Point::Mail | Point::Rcpt => Transient::MailboxBusy,
        _ => Transient::LocalError,
    };
    let status = status_of(status, Status::NOT_AUTHORISED);
    Reply::transient(code, status, words(session, policy, text))
}

fn status_of(given: Option<&StatusCode>, default: Status) -> Status {
    given.map_or(default, |code| Status(code.0.0, code.0.1))
}

fn no_tls(session: &Session, policy: &Snapshot, point: Point, text: &str) -> Reply {
    let code = match point {
        Point::Auth => Permanent::FirstDoThis,
        _ => Permanent::Refused,
    };
    let text = match text {
        "" => recipient::tls_text(session.host_name(), session.context.help_url(policy)),
        own => own.to_owned(),
    };
    Reply::permanent(code, Status::ENCRYPTION_NEEDED, text)
}
