//! LIST and UIDL (RFC 1939 §5, §7): a line per message that is not marked.

use super::super::session::{Ended, Session, State, Then, Transaction};
use std::io::Write;

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    /// Bytes.
    Size,
    /// The name that stays the same over sessions, restarts and restores.
    Uidl,
}

pub(super) async fn run(
    session: &mut Session,
    column: Column,
    message: Option<u32>,
) -> Result<Then, Ended> {
    let State::Transaction(transaction) = &session.state else {
        return Ok(super::log_in_first(session));
    };
    if let Some(message) = message {
        match transaction.index(message) {
            Ok(index) => {
                let text = value(transaction, column, index);
                session.ok(&format!("{message} {text}"));
            }
            Err(text) => {
                session.refuse(&text);
                return Ok(session.count_error());
            }
        }
        return Ok(Then::GoOn);
    }
    let (messages, bytes) = transaction.totals();
    let count = transaction.maildrop.messages.len();
    session.ok(&format!("{messages} messages ({bytes} bytes)"));
    for index in 0..count {
        let State::Transaction(transaction) = &session.state else {
            break;
        };
        if !transaction.marked.contains(&index) {
            let text = value(transaction, column, index);
            let _ = write!(
                session.connection.stream.output(),
                "{} {text}\r\n",
                index + 1
            );
        }
        session.relieve().await?;
    }
    session.connection.stream.write(b".\r\n");
    Ok(Then::GoOn)
}

fn value(transaction: &Transaction, column: Column, index: usize) -> String {
    let Some(message) = transaction.maildrop.messages.get(index) else {
        return String::new();
    };
    match column {
        Column::Size => message.size.to_string(),
        Column::Uidl => transaction.maildrop.uidl(message),
    }
}
