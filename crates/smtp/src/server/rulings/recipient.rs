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

/// Whether the address is a sender this server rewrote for a forward (SRS), to which notices return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Rewritten {
    /// It is an ordinary address.
    No,
    /// It is, and a notice returns to it; the resolution is that of the original sender.
    Notice,
    /// It is, but the message has a sender, so it is no notice.
    Letter,
    /// It looks like one, but was not made here.
    Forged,
    /// It was one, too long ago.
    Expired,
}

/// Whether the recipient's domain takes mail of this session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum TlsDuty<'a> {
    /// It has no demand, or the session is in TLS.
    Met,
    /// It takes mail over TLS only; this is what it wants others to be told.
    Unmet(&'a str),
}

/// Whether mail for the recipient's domain comes in on this listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Place<'a> {
    /// It does.
    Here,
    /// It comes in elsewhere, under this name if there is one.
    Elsewhere(Option<&'a str>),
}

/// What is known when RCPT came.
#[derive(Debug, Clone, Copy)]
pub(in crate::server) struct RecipientFacts<'a> {
    /// Who is asking.
    pub(in crate::server) peer: Peer,
    /// Whether the address is one we rewrote.
    pub(in crate::server) rewritten: Rewritten,
    /// The domain's demand on TLS. Always met for customers.
    pub(in crate::server) tls: TlsDuty<'a>,
    /// Where mail for the domain comes in. Always here for customers.
    pub(in crate::server) place: Place<'a>,
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
    if let Some(refused) = rule_way(&facts).or_else(|| rule_rewritten(&facts)) {
        return refused;
    }
    match facts.resolution {
        Resolution::Local { .. } => Ruling::Accept,
        Resolution::NoSuchDomain if facts.peer == Peer::Customer => Ruling::Accept,
        // Whoever has such an address got it from us with a message we forwarded.
        Resolution::NoSuchDomain if facts.rewritten == Rewritten::Notice => Ruling::Accept,
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

/// Whether mail for the domain may come in this way at all; told before whether the address exists.
fn rule_way(facts: &RecipientFacts<'_>) -> Option<Ruling> {
    if let TlsDuty::Unmet(text) = facts.tls {
        return Some(Ruling::refuse(
            Reply::permanent(
                Permanent::Refused,
                Status::ENCRYPTION_NEEDED,
                text.to_owned(),
            ),
            "tls-required",
            "The recipient's domain takes mail over TLS only, and the peer did not start TLS.",
        ));
    }
    let Place::Elsewhere(name) = facts.place else {
        return None;
    };
    let host = name.map_or_else(String::new, |name| format!(" ({name})"));
    // Not for good: the sender may work with the name server's answer of yesterday, and finds the
    // right host when it asks again.
    Some(Ruling::refuse(
        Reply::transient(
            Transient::MailboxBusy,
            Status::NOT_AUTHORISED,
            format!(
                "Mail for this domain comes in at another host of ours{host}; look up its MX again \
                 and deliver there."
            ),
        ),
        "other-group",
        "The listener takes no mail for the group of the recipient's domain.",
    ))
}

/// RFC 5321 §6.2 leaves no room for guesses: an address that was not made here leads nowhere.
fn rule_rewritten(facts: &RecipientFacts<'_>) -> Option<Ruling> {
    let (status, text, reason, explain) = match facts.rewritten {
        Rewritten::No | Rewritten::Notice => return None,
        // Other servers rewrite senders too, with hashes of their own.
        Rewritten::Forged if *facts.resolution == Resolution::NoSuchDomain => return None,
        Rewritten::Letter => (
            Status::NOT_AUTHORISED,
            "This address takes delivery notices only (with an empty sender). Write to the person's \
             own address.",
            "srs-not-a-notice",
            "Mail with a sender came for an address that was made for notices about a forward.",
        ),
        Rewritten::Forged => (
            Status::BAD_MAILBOX,
            "No such address here; it was not made by this server.",
            "srs-forged",
            "The address looks like a sender rewritten for a forward, but its hash is wrong.",
        ),
        Rewritten::Expired => (
            Status::BAD_MAILBOX,
            "This address was made for notices about a message that is too old by now.",
            "srs-expired",
            "The sender was rewritten too long ago.",
        ),
    };
    let reply = Reply::permanent(Permanent::Refused, status, text);
    Some(Ruling::refuse(reply, reason, explain))
}

/// What servers without TLS are told where the domain gives no text of its own: in both languages,
/// with the place to read on.
pub(in crate::server) fn tls_text(domain: &str, help_url: &str) -> String {
    format!(
        "{domain} takes mail over TLS only (STARTTLS, TLS 1.2 or newer). Please switch on TLS for \
         outgoing mail on the sending server. {help_url}tls\n\
         {domain} nimmt Mail nur ueber TLS an (STARTTLS, TLS 1.2 oder neuer). Bitte schalten Sie auf \
         dem sendenden Server TLS fuer ausgehende Mail ein. {help_url}tls"
    )
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
        shown(RecipientFacts {
            peer,
            accepted_before: accepted,
            refused_before: refused,
            ..ordinary(resolution)
        })
    }

    fn ordinary(resolution: &Resolution) -> RecipientFacts<'_> {
        RecipientFacts {
            peer: Peer::Anonymous,
            rewritten: Rewritten::No,
            tls: TlsDuty::Met,
            place: Place::Here,
            resolution,
            accepted_before: 0,
            refused_before: 0,
        }
    }

    fn shown(facts: RecipientFacts<'_>) -> String {
        match rule(facts, &Limits::default()) {
            Ruling::Accept => "accept".into(),
            Ruling::Refuse(no) => {
                format!("{} {} {}", no.reply.code(), no.reply.enhanced(), no.reason)
            }
        }
    }

    #[test]
    fn a_domain_that_demands_tls_says_so_before_anything_about_the_address() {
        let unknown = Resolution::NoSuchAddress;
        let facts = RecipientFacts {
            tls: TlsDuty::Unmet("Only TLS."),
            ..ordinary(&unknown)
        };
        assert_eq!(shown(facts), "550 5.7.10 tls-required");
        let Ruling::Refuse(no) = rule(facts, &Limits::default()) else {
            panic!("accepted")
        };
        assert_eq!(no.reply.text(), "Only TLS.");
    }

    #[test]
    fn the_built_in_text_is_in_two_languages_and_short_lines() {
        let text = tls_text(&"d".repeat(253), "https://mx.rp.test/h/");
        let mut wire = Vec::new();
        let reply = Reply::permanent(Permanent::Refused, Status::ENCRYPTION_NEEDED, text);
        reply.write_to(&mut wire);
        let wire = String::from_utf8(wire).unwrap();
        assert!(
            wire.lines().count() >= 2 && wire.contains("https://mx.rp.test/h/tls"),
            "{wire}"
        );
        for line in wire.split_inclusive("\r\n") {
            assert!(line.len() <= 512 && !line.contains('?'), "{line}");
        }
    }

    #[test]
    fn a_listener_of_other_groups_puts_off() {
        let known = Resolution::NoSuchAddress;
        let facts = RecipientFacts {
            place: Place::Elsewhere(Some("mx2.rp.test")),
            ..ordinary(&known)
        };
        assert_eq!(shown(facts), "450 4.7.1 other-group");
    }

    #[test]
    fn only_notices_return_to_rewritten_senders() {
        let (foreign, here) = (Resolution::NoSuchDomain, Resolution::NoSuchAddress);
        for (rewritten, resolution, expected) in [
            (Rewritten::Notice, &foreign, "accept"),
            (Rewritten::Letter, &foreign, "550 5.7.1 srs-not-a-notice"),
            (Rewritten::Forged, &here, "550 5.1.1 srs-forged"),
            (Rewritten::Forged, &foreign, "550 5.7.1 relaying"),
            (Rewritten::Expired, &foreign, "550 5.1.1 srs-expired"),
            (Rewritten::No, &foreign, "550 5.7.1 relaying"),
        ] {
            let facts = RecipientFacts {
                rewritten,
                ..ordinary(resolution)
            };
            assert_eq!(shown(facts), expected);
        }
        let facts = RecipientFacts {
            rewritten: Rewritten::Forged,
            peer: Peer::Customer,
            ..ordinary(&foreign)
        };
        assert_eq!(shown(facts), "accept", "another server's rewriting");
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
