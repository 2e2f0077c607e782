//! IMAP and POP3
