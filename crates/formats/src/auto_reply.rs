//! Whether an automatic answer may be sent to a message (RFC 3834 §2): vacation, echo, letters that
//! answer. Pure: envelope and header in, ruling out. Who was answered lately (once per sender and
//! week), and to whom mail may be sent at all, the caller must know.

use crate::address::Address;
use crate::header::{self, Entry, parse_addresses};

/// Who would answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Responder {
    /// On behalf of a person: vacation. Answers only what was addressed to that person.
    Personal,
    /// A service that is written to on purpose: echo.
    Service,
}

/// A message that came in.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// MAIL FROM; `None` for the null sender. The answer would go there (RFC 3834 §4).
    pub sender: Option<&'a Address>,
    /// Every address of the one who would answer.
    pub own: &'a [Address],
    /// The message's header; a body after it is ignored.
    pub header: &'a [u8],
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    /// An answer may be sent to the sender of the envelope.
    Answer,
    /// No answer.
    Silence(Reason),
}

/// Why no answer may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// MAIL FROM or Return-Path is `<>`.
    NullSender,
    /// The sender is the one who would answer.
    OwnAddress,
    /// The sender is a program by its name: mailer-daemon, owner-…, …-request, …
    MachineSender,
    /// Auto-Submitted is there and not `no`.
    AutoSubmitted,
    /// A List-* field is there.
    MailingList,
    /// Precedence is bulk, list or junk.
    Bulk,
    /// It is a report: a delivery notice, a read receipt.
    Report,
    /// The sender asks for no automatic answers.
    NotWanted,
    /// None of the own addresses is in To, Cc, Bcc or their Resent- forms.
    NotAddressed,
}

impl Reason {
    /// In words, for the operator.
    pub fn explain(self) -> &'static str {
        match self {
            Self::NullSender => "its sender is <>, which is for notices only",
            Self::OwnAddress => "its sender is the address that would answer",
            Self::MachineSender => "its sender is a program by its name",
            Self::AutoSubmitted => "it was sent automatically itself (Auto-Submitted)",
            Self::MailingList => "it came through a mailing list (List-*)",
            Self::Bulk => "it is bulk mail (Precedence)",
            Self::Report => "it is a report about another message",
            Self::NotWanted => "its sender asks for no automatic answers",
            Self::NotAddressed => "it is not addressed to the one who would answer (To, Cc)",
        }
    }
}

/// Fields that name recipients (RFC 5322 §3.6.3, §3.6.6).
const RECIPIENT_FIELDS: [&str; 6] = ["To", "Cc", "Bcc", "Resent-To", "Resent-Cc", "Resent-Bcc"];
/// Local parts of senders that are programs.
const MACHINES: [&str; 12] = [
    "mailer-daemon",
    "postmaster",
    "listserv",
    "majordomo",
    "noreply",
    "no-reply",
    "donotreply",
    "do-not-reply",
    "bounce",
    "bounces",
    "nobody",
    "root",
];

/// Decides whether an answer may be sent.
pub fn rule(incoming: &Incoming<'_>, responder: Responder) -> Ruling {
    match silence(incoming, responder) {
        Some(reason) => Ruling::Silence(reason),
        None => Ruling::Answer,
    }
}

fn silence(incoming: &Incoming<'_>, responder: Responder) -> Option<Reason> {
    let Some(sender) = incoming.sender else {
        return Some(Reason::NullSender);
    };
    let header = incoming
        .header
        .get(..header::header_bytes(incoming.header))
        .unwrap_or(incoming.header);
    if incoming.own.iter().any(|own| own.key() == sender.key()) {
        return Some(Reason::OwnAddress);
    }
    if is_machine(sender.local()) {
        return Some(Reason::MachineSender);
    }
    if let Some(reason) = header::fields(header).find_map(|field| speaks_against(&field)) {
        return Some(reason);
    }
    let is_personal = responder == Responder::Personal;
    (is_personal && !is_addressed(header, incoming.own)).then_some(Reason::NotAddressed)
}

/// RFC 3834 §2: "owner-*", "*-request", "MAILER-DAEMON", etc. VERP makes owner-x+anna=firma.test
/// and bounces+… of them.
fn is_machine(local: &str) -> bool {
    let local = local.to_ascii_lowercase();
    let name = local.split(['+', '=']).next().unwrap_or_default();
    MACHINES.contains(&name)
        || name.starts_with("owner-")
        || name.starts_with("bounce-")
        || name.starts_with("bounces-")
        || ["-request", "-owner", "-bounces", "-bounce"]
            .iter()
            .any(|end| name.ends_with(end))
}

fn speaks_against(field: &header::Field<'_>) -> Option<Reason> {
    // The value without comments and parameters (RFC 3834 §5: `no` may be followed by them).
    let word = |field: &header::Field<'_>| {
        let value = String::from_utf8_lossy(&field.value()).to_ascii_lowercase();
        let end = value.find([';', '(', ' ', '\t']).unwrap_or(value.len());
        value.get(..end).unwrap_or_default().to_owned()
    };
    if field.is("Auto-Submitted") {
        return (word(field) != "no").then_some(Reason::AutoSubmitted);
    }
    if field.is("Return-Path") {
        let is_null = field.value().trim_ascii() == b"<>";
        return is_null.then_some(Reason::NullSender);
    }
    if field.is("Precedence") {
        let is_bulk = matches!(word(field).as_str(), "bulk" | "list" | "junk");
        return is_bulk.then_some(Reason::Bulk);
    }
    if field.is("Content-Type") {
        return (word(field) == "multipart/report").then_some(Reason::Report);
    }
    if field.is("X-Auto-Response-Suppress") {
        // MS-OXCMAIL §2.1.3.2.1: what Exchange writes for this.
        let value = String::from_utf8_lossy(&field.value()).to_ascii_lowercase();
        let mut wishes = value.split([',', ';', ' ']);
        let is_wished = wishes.any(|wish| matches!(wish, "all" | "oof" | "autoreply"));
        return is_wished.then_some(Reason::NotWanted);
    }
    let is_list = field
        .name
        .get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"List-"));
    is_list.then_some(Reason::MailingList)
}

fn is_addressed(header: &[u8], own: &[Address]) -> bool {
    let own: Vec<String> = own.iter().map(Address::key).collect();
    header::fields(header)
        .filter(|field| RECIPIENT_FIELDS.iter().any(|name| field.is(name)))
        .any(|field| {
            parse_addresses(&field.value()).iter().any(|entry| {
                let Entry::Mailbox { local, domain, .. } = entry else {
                    return false;
                };
                let local = String::from_utf8_lossy(local).to_lowercase();
                let domain = String::from_utf8_lossy(domain).to_ascii_lowercase();
                own.contains(&format!("{local}@{domain}"))
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn ruling(sender: &str, fields: &str, responder: Responder) -> Ruling {
        let (sender, own) = (Address::parse(sender).ok(), [address("anna@firma.test")]);
        let header = format!("From: b@else.test\r\n{fields}\r\n");
        let incoming = Incoming {
            sender: sender.as_ref(),
            own: &own,
            header: header.as_bytes(),
        };
        rule(&incoming, responder)
    }

    const TO_ANNA: &str = "To: \"Anna\" <Anna@Firma.test>, c@else.test\r\n";

    #[test]
    fn ordinary_mail_may_be_answered() {
        for fields in [
            TO_ANNA.to_owned(),
            "Cc: friends: x@y.test, anna@firma.test;\r\n".to_owned(),
            "To: list@else.test\r\nResent-To: anna@firma.test\r\n".to_owned(),
            format!("{TO_ANNA}Auto-Submitted: No (a person)\r\nPrecedence: first-class\r\n"),
            format!(
                "{TO_ANNA}Return-Path: <b@else.test>\r\nContent-Type: multipart/mixed; a=b\r\n"
            ),
        ] {
            let ruled = ruling("b@else.test", &fields, Responder::Personal);
            assert_eq!(ruled, Ruling::Answer, "{fields}");
        }
    }

    #[test]
    fn what_is_not_to_be_answered_says_why() {
        for (sender, fields, reason) in [
            ("", "", Reason::NullSender),
            ("ANNA@firma.test", "", Reason::OwnAddress),
            ("owner-list@else.test", "", Reason::MachineSender),
            ("list-request@else.test", "", Reason::MachineSender),
            ("MAILER-DAEMON@else.test", "", Reason::MachineSender),
            (
                "bounces+anna=firma.test@else.test",
                "",
                Reason::MachineSender,
            ),
            (
                "b@else.test",
                "Auto-Submitted: auto-generated; x=y\r\n",
                Reason::AutoSubmitted,
            ),
            ("b@else.test", "auto-submitted:\r\n", Reason::AutoSubmitted),
            (
                "b@else.test",
                "list-id: <x.else.test>\r\n",
                Reason::MailingList,
            ),
            (
                "b@else.test",
                "List-Unsubscribe: <https://x>\r\n",
                Reason::MailingList,
            ),
            ("b@else.test", "Precedence: Bulk\r\n", Reason::Bulk),
            (
                "b@else.test",
                "Content-Type: multipart/report; x=y\r\n",
                Reason::Report,
            ),
            ("b@else.test", "Return-Path: <>\r\n", Reason::NullSender),
            (
                "b@else.test",
                "X-Auto-Response-Suppress: DR, OOF\r\n",
                Reason::NotWanted,
            ),
        ] {
            let fields = format!("{TO_ANNA}{fields}");
            let ruled = ruling(sender, &fields, Responder::Service);
            assert_eq!(ruled, Ruling::Silence(reason), "{sender} {fields}");
            assert!(reason.explain().starts_with("it"));
        }
    }

    #[test]
    fn only_a_service_answers_what_names_others() {
        let to = "To: everybody@firma.test\r\n";
        let ruled = |responder| ruling("b@else.test", to, responder);
        assert_eq!(
            ruled(Responder::Personal),
            Ruling::Silence(Reason::NotAddressed)
        );
        assert_eq!(ruled(Responder::Service), Ruling::Answer);
    }
}
