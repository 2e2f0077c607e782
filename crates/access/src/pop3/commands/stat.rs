//! STAT (RFC 1939 §5): number and size of the messages that are not marked.

use super::super::session::Transaction;

pub(super) fn run(transaction: &mut Transaction) -> Result<String, String> {
    let (messages, bytes) = transaction.totals();
    Ok(format!("{messages} {bytes}"))
}
