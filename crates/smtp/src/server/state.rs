//! Which SMTP command may come next, and what is known by then. Pure: no I/O, no clock, no policy;
//! those are asked in `commands/`. TLS and login are facts of the connection, not of this graph.
//!
//! ```text
//!  Connected --EHLO--> Greeted --MAIL--> InMail --RCPT--> HasRecipients --DATA--> (message) --+
//!      ^                |  ^               |                 |      |                         |
//!      |                |  +----- RSET, EHLO, MAIL refused --+      +-BDAT-> InChunks --LAST--+
//!      +--- STARTTLS ---+  ^                                                 |  ^  |          |
//!                          +------------------- RSET, EHLO ------------------+  +--+ BDAT     |
//!                          +------------------------------------------------------------------+
//! ```
//! STARTTLS forgets everything (RFC 3207 §4.2); AUTH stays in Greeted (RFC 4954 §4). DATA is no
//! state of its own: nothing but the message can come until it ended.

use super::incoming::Incoming;
use super::quota::Quota;
use super::rulings::travel::Travel;
use formats::address::Address;
use formats::received::{Charset, Greeting as Spoken};
use queue::{DsnOptions, Recipient, ReversePath, TraceId};

/// A state owns what is known by then, and nothing else.
#[derive(Debug, Default)]
pub(super) enum State {
    /// Nothing was said yet.
    #[default]
    Connected,
    /// The client said who it is.
    Greeted(Greeting),
    /// A transaction is open; nobody to deliver to yet.
    InMail(Greeting, Box<Sender>),
    /// At least one recipient was accepted.
    HasRecipients(Greeting, Box<Envelope>),
    /// Some chunks of the message came.
    InChunks(Greeting, Box<Chunks>),
}

/// What EHLO or HELO said.
#[derive(Debug, Clone)]
pub(super) struct Greeting {
    /// The name the client gave; syntactically harmless, otherwise unchecked.
    pub(super) name: Box<str>,
    /// Which of the two.
    pub(super) spoken: Spoken,
}

/// What MAIL said.
#[derive(Debug)]
pub(super) struct Sender {
    /// Names the message from here on.
    pub(super) trace: TraceId,
    /// MAIL FROM.
    pub(super) path: ReversePath,
    /// SMTPUTF8.
    pub(super) charset: Charset,
    /// RET and ENVID.
    pub(super) dsn: DsnOptions,
    /// REQUIRETLS, HOLDFOR, HOLDUNTIL, MT-PRIORITY.
    pub(super) travel: Travel,
    /// What it uses of the customer's limits.
    pub(super) quota: Quota,
    /// RCPT commands that were refused.
    pub(super) refused: usize,
}

/// Sender and accepted recipients.
#[derive(Debug)]
pub(super) struct Envelope {
    /// What MAIL said.
    pub(super) sender: Sender,
    /// Where the copies go; one RCPT can lead to several.
    pub(super) recipients: Vec<Recipient>,
    /// RCPT commands that were accepted.
    pub(super) accepted: usize,
    /// Addresses of ours among them that lead elsewhere, each once.
    pub(super) forwarding: Vec<Address>,
    /// Domains of ours that mail of other servers came for, as A-labels, each once.
    pub(super) domains: Vec<Box<str>>,
}

/// A message that comes by BDAT.
#[derive(Debug)]
pub(super) struct Chunks {
    /// Sender and recipients.
    pub(super) envelope: Envelope,
    /// What came so far.
    pub(super) incoming: Incoming,
}

/// A state without its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Connected,
    Greeted,
    InMail,
    HasRecipients,
    InChunks,
}

impl Kind {
    #[cfg(test)]
    pub(super) const ALL: [Kind; 5] = [
        Self::Connected,
        Self::Greeted,
        Self::InMail,
        Self::HasRecipients,
        Self::InChunks,
    ];
}

impl State {
    /// Which state this is.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Connected => Kind::Connected,
            Self::Greeted(..) => Kind::Greeted,
            Self::InMail(..) => Kind::InMail,
            Self::HasRecipients(..) => Kind::HasRecipients,
            Self::InChunks(..) => Kind::InChunks,
        }
    }

    /// What EHLO or HELO said, where one came.
    pub(super) fn greeting(&self) -> Option<&Greeting> {
        match self {
            Self::Connected => None,
            Self::Greeted(greeting)
            | Self::InMail(greeting, _)
            | Self::HasRecipients(greeting, _)
            | Self::InChunks(greeting, _) => Some(greeting),
        }
    }

    /// What MAIL said, until the message begins.
    pub(super) fn sender(&self) -> Option<&Sender> {
        match self {
            Self::InMail(_, sender) => Some(sender),
            Self::HasRecipients(_, envelope) => Some(&envelope.sender),
            Self::Connected | Self::Greeted(..) | Self::InChunks(..) => None,
        }
    }

    /// The state after RSET, and after the end of a transaction (RFC 5321 §4.1.1.5).
    pub(super) fn without_transaction(self) -> State {
        match self {
            Self::Connected => Self::Connected,
            Self::Greeted(greeting)
            | Self::InMail(greeting, _)
            | Self::HasRecipients(greeting, _)
            | Self::InChunks(greeting, _) => Self::Greeted(greeting),
        }
    }
}

/// The edges of the graph above; every change of state is one of them.
pub(super) fn may_follow(from: Kind, to: Kind) -> bool {
    use Kind::{Connected, Greeted, HasRecipients, InChunks, InMail};
    match to {
        // STARTTLS and XCLIENT; neither is allowed inside a transaction.
        Connected => matches!(from, Connected | Greeted),
        // EHLO and RSET may come at any time.
        Greeted => true,
        InMail => from == Greeted || from == InMail,
        HasRecipients => matches!(from, InMail | HasRecipients),
        InChunks => matches!(from, HasRecipients | InChunks),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_needs_greeting_sender_and_recipient_in_this_order() {
        use Kind::{Connected, Greeted, HasRecipients, InChunks, InMail};
        let forbidden = [
            (Connected, InMail),
            (Connected, HasRecipients),
            (Greeted, HasRecipients),
            (Connected, InChunks),
            (Greeted, InChunks),
            (InMail, InChunks),
            (HasRecipients, InMail),
            (InChunks, InMail),
            (InChunks, HasRecipients),
            (InMail, Connected),
            (HasRecipients, Connected),
            (InChunks, Connected),
        ];
        for from in Kind::ALL {
            for to in Kind::ALL {
                assert_eq!(
                    may_follow(from, to),
                    !forbidden.contains(&(from, to)),
                    "{from:?} {to:?}"
                );
            }
        }
    }
}
