//! How people reach their mail: IMAP and POP3. Speaks the protocols over a stream it is given;
//! mailboxes, accounts and passwords belong to the crates `mailbox` and `directory`.

pub mod imap;
pub mod pop3;
#[cfg(test)]
mod test_desk;
