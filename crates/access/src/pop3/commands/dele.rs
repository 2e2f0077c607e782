//! DELE and RSET (RFC 1939 §5): marks for removal at QUIT. An account may be set to keep its mail.

use super::super::session::Transaction;
use directory::Pop3Delete;

pub(super) fn run(transaction: &mut Transaction, message: u32) -> Result<String, String> {
    let index = transaction.index(message)?;
    if transaction.identity.pop3_delete == Pop3Delete::Keep {
        return Err(
            "[SYS/PERM] this account is set to keep mail that POP3 fetches; set your mail \
                    program to leave messages on the server"
                .to_owned(),
        );
    }
    transaction.marked.insert(index);
    Ok(format!("message {message} will be removed at QUIT"))
}

pub(super) fn reset(transaction: &mut Transaction) -> Result<String, String> {
    transaction.marked.clear();
    Ok(format!("{} messages", transaction.maildrop.messages.len()))
}
