//! Every bound of the directory, with its reason. Limits an operator may want to move are in
//! `settings`; what stands here protects the program itself.

/// How many aliases may follow one another before an address is taken for a loop. Real chains have
/// two or three links.
pub const ALIAS_DEPTH_MAX: usize = 16;

/// How many accounts and external addresses one address may lead to, all chains followed. Larger
/// lists are mailing lists and need a list manager, not an alias.
pub const FAN_OUT_MAX: usize = 1000;

/// Longest password that is looked at; a longer one is a wrong one. Long enough for pass phrases,
/// short enough that hashing it costs nothing.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// Longest user name that is looked at: local part, `@`, domain (RFC 5321 §4.5.3.1), in UTF-8.
pub const USER_BYTES_MAX: usize = 64 + 1 + 255;

/// Longest SASL message after base64 decoding that an exchange takes. PLAIN is the longest: two
/// user names, a password and two NUL. RFC 4954 §4 asks for lines of 12288 base64 bytes at most.
pub const SASL_MESSAGE_BYTES_MAX: usize = 2 * USER_BYTES_MAX + PASSWORD_BYTES_MAX + 2;

/// App passwords one account may have; each costs a hash at a login that fails.
pub const APP_PASSWORDS_MAX: usize = 100;

/// Longest label of an app password and longest name of a group, in bytes.
pub const LABEL_BYTES_MAX: usize = 100;

/// Wrong passwords remembered per account and address block, so that a device which repeats its
/// old password is not taken for somebody who guesses.
pub const WRONG_PASSWORDS_REMEMBERED_MAX: usize = 4;

/// SCRAM iterations a client is asked for at most; a higher count in an imported verifier would let
/// one row cost every login of that account seconds on the client.
pub const SCRAM_ITERATIONS_MAX: u32 = 1_000_000;

/// RFC 7677 §4: at least 4096 iterations for SCRAM-SHA-256.
pub const SCRAM_ITERATIONS_MIN: u32 = 4096;
