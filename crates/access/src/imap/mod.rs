//! IMAP4rev1 (RFC 3501) and its extensions: one session per connection. Speaks the protocol; mail is
//! `mailbox`'s, accounts and passwords are `directory`'s, bytes on the wire are `platform::net`'s.
//! The server wires `serve` to its IMAP listeners.

pub mod capability;
mod commands;
pub mod grammar;
pub mod limits;
mod names;
mod reply;
mod selected;
mod session;
mod wire;

use admission::Desk;
use directory::sasl::Mechanism;
use mailbox::{Mailboxes, Quota};
use platform::clock::Clock;
use platform::net::{Connection, Deadline};
use platform::spool::{SpoolBudget, SpoolLimits};
use std::sync::Arc;

/// What all IMAP sessions share.
#[derive(Clone)]
pub struct ImapContext {
    /// Who may log in, and how.
    pub desk: Desk,
    /// Their mail.
    pub mailboxes: Mailboxes,
    /// The time.
    pub clock: Clock,
    /// Where appended messages go on their way.
    pub spool: SpoolLimits,
    /// What an operator may set.
    pub settings: ImapSettings,
}

/// What an operator may set about IMAP. Evaluated: per connection.
#[derive(Debug, Clone)]
pub struct ImapSettings {
    /// Our name in the greeting, such as `imap.example.net`.
    pub host_name: String,
    /// The answer to ID (RFC 2971): what this software is called.
    pub product_name: String,
    /// And its version.
    pub product_version: String,
    /// Mechanisms of AUTHENTICATE, in the order they are shown.
    pub mechanisms: Arc<[Mechanism]>,
    /// The largest message APPEND takes, in bytes; 1 MiB to 2 GiB.
    pub append_bytes_max: u64,
    /// What each account may store; `None` for no limit.
    pub quota: Option<Quota>,
    /// The memory that messages of all sessions may take on their way in; `None` leaves it to the
    /// limit of each. Best shared with SMTP.
    pub spool_budget: Option<Arc<SpoolBudget>>,
}

impl Default for ImapSettings {
    fn default() -> Self {
        Self {
            host_name: "localhost".to_owned(),
            product_name: "Rohrpost".to_owned(),
            product_version: env!("CARGO_PKG_VERSION").to_owned(),
            mechanisms: Mechanism::ALL.into(),
            append_bytes_max: 64 << 20,
            quota: None,
            spool_budget: None,
        }
    }
}

/// Serves one connection to its end.
pub async fn serve(connection: Connection, context: Arc<ImapContext>) {
    to_the_end(session::Session::new(connection, context)).await;
}

async fn to_the_end(mut session: session::Session) {
    let ended = session.run().await;
    if let session::State::Selected(selected) = &mut session.state {
        selected.leave(&session.wire).await;
    }
    if matches!(ended, wire::Ended::Said) {
        let stream = &mut session.wire.connection.stream;
        // A peer that is gone already is no news.
        let _gone = stream.shutdown(Deadline::after(limits::GOODBYE)).await;
    }
}

#[cfg(test)]
mod tests;
