//! Foreign programs against a running `rohrpost demo`, one module per program, and two tests for
//! which no program exists: thousands of hostile connections, and accounts that must not see each
//! other's mail.

mod curl;
mod hostile;
mod isolation;
mod mbsync;
mod neomutt;
mod openssl;
mod python;
mod schemathesis;
mod sending;
mod swaks;
