//! Decides whether one recipient is accepted. Pure: no I/O, no clock; the directory's answer is a
//! fact. An anonymous peer can reach local addresses only: there is no setting that opens a relay.

use super::Ruling;
use crate::limits::Limits;
use crate::reply::{Permanent, Reply, Status, Transient};
use directory::Resolution;

/// Who is asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Peer {
    /// Another server, or anybody else.
    Anonymous,
    /// A customer who logged in.
    Customer,
}

/// What is known when RCPT came.
#[derive(Debug, Clone, Copy)]
pub(in crate::server) struct RecipientFacts<'a> {
    /// Who is asking.
    pub(in crate::server) peer: Peer,
    /// Where the directory says mail for the address goes.
    pub(in crate::server) resolution: &'a Resolution,
    /// Recipients accepted in this transaction.
    pub(in crate::server) accepted_before: usize,
    /// Recipients refused in this transaction.
    pub(in crate::server) refused_before: usize,
}

/// The ruling on one RCPT.
pub(in crate::server) fn rule(facts: RecipientFacts<'_>, limits: &Limits) -> Ruling {
    if let Some(refused) = rule_counts(&facts, limits) {
        return refused;
    }
    match facts.resolution {
        Resolution::Local { .. } => Ruling::Accept,
        Resolution::NoSuchDomain if facts.peer == Peer::Customer => Ruling::Accept,
        Resolution::NoSuchDomain => Ruling::refuse(
            Reply::permanent(
                Permanent::Refused,
                Status::NOT_AUTHORISED,
                "Relaying refused: this server takes no mail for that domain from others. If you \
                 are a customer, send by your provider's submission server (port 465 or 587) with \
                 a login.",
            ),
            "relaying",
            "The domain is not hosted here and the peer is not logged in.",
        ),
        Resolution::NoSuchAddress => Ruling::refuse(
            Reply::permanent(
                Permanent::Refused,
                Status::BAD_MAILBOX,
                "No such address here. Check the spelling of the part before the @.",
            ),
            "unknown-address",
            "The domain is hosted here, the address is not.",
        ),
        Resolution::Suspended => Ruling::refuse(
            Reply::permanent(
                Permanent::Refused,
                Status::MAILBOX_DISABLED,
                "This mailbox is suspended and takes no mail. Reach the recipient another way.",
            ),
            "suspended",
            "Every account behind the address, or its domain, is suspended.",
        ),
        Resolution::Loop => Ruling::refuse(
            Reply::permanent(
                Permanent::Refused,
                Status::LOOP,
                "This address is forwarded in a circle. Its owner's provider must mend that.",
            ),
            "alias-loop",
            "The address leads to itself or through too many aliases; mend its targets.",
        ),
        // RFC 5321 §4.5.1: mail for postmaster must not be refused for good.
        Resolution::NoPostmaster => Ruling::refuse(
            Reply::transient(
                Transient::MailboxBusy,
                Status::SYSTEM,
                "This server has no mailbox for its postmaster yet. Try again later.",
            ),
            "no-postmaster",
            "There is no account at all to which mail for the postmaster could go; create one.",
        ),
    }
}

fn rule_counts(facts: &RecipientFacts<'_>, limits: &Limits) -> Option<Ruling> {
    // RFC 5321 §4.5.3.1.10: 452, and the client sends the rest in another transaction. One that goes
    // on for as many again does not listen.
    if facts.accepted_before >= limits.recipients_max
        && facts.refused_before < limits.refused_recipients_max.max(limits.recipients_max)
    {
        return Some(Ruling::refuse(
            Reply::transient(
                Transient::NoStorage,
                Status::TOO_MANY_RECIPIENTS,
                "Too many recipients for one message; send it to the others in another transaction.",
            ),
            "too-many-recipients",
            "The limit recipients_max was reached.",
        ));
    }
    if facts.refused_before >= limits.refused_recipients_max {
        return Some(Ruling::refuse(
            Reply::transient(
                Transient::Closing,
                Status::SECURITY,
                "Too many recipients were refused. Check the list of recipients and connect again.",
            ),
            "too-many-refused-recipients",
            "The limit refused_recipients_max was reached; the peer is trying addresses.",
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(peer: Peer, resolution: &Resolution, accepted: usize, refused: usize) -> String {
        let facts = RecipientFacts {
            peer,
            resolution,
            accepted_before: accepted,
            refused_before: refused,
        };
        match rule(facts, &Limits::default()) {
            Ruling::Accept => "accept".into(),
            Ruling::Refuse(no) => {
                format!("{} {} {}", no.reply.code(), no.reply.enhanced(), no.reason)
            }
        }
    }

    #[test]
    fn every_resolution_has_its_code() {
        let local = Resolution::Local {
            deliveries: Vec::new(),
            forwards: Vec::new(),
        };
        for (resolution, expected) in [
            (&local, "accept"),
            (&Resolution::NoSuchAddress, "550 5.1.1 unknown-address"),
            (&Resolution::Suspended, "550 5.2.1 suspended"),
            (&Resolution::Loop, "550 5.4.6 alias-loop"),
            (&Resolution::NoPostmaster, "450 4.3.0 no-postmaster"),
        ] {
            for peer in [Peer::Anonymous, Peer::Customer] {
                assert_eq!(code(peer, resolution, 0, 0), expected);
            }
        }
    }

    #[test]
    fn only_customers_reach_foreign_domains() {
        let foreign = Resolution::NoSuchDomain;
        assert_eq!(code(Peer::Customer, &foreign, 0, 0), "accept");
        assert_eq!(code(Peer::Anonymous, &foreign, 0, 0), "550 5.7.1 relaying");
    }

    #[test]
    fn recipients_are_counted_before_anything_else_is_told() {
        let limits = Limits::default();
        let unknown = Resolution::NoSuchAddress;
        assert_eq!(
            code(Peer::Anonymous, &unknown, limits.recipients_max, 0),
            "452 4.5.3 too-many-recipients"
        );
        assert_eq!(
            code(
                Peer::Customer,
                &unknown,
                limits.recipients_max,
                limits.recipients_max
            ),
            "421 4.7.0 too-many-refused-recipients"
        );
        assert_eq!(
            code(Peer::Anonymous, &unknown, 0, limits.refused_recipients_max),
            "421 4.7.0 too-many-refused-recipients"
        );
    }
}
