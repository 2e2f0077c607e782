//! Modified UTF-7 of IMAP mailbox names (RFC 3501 §5.1.3). Refuses what the RFC forbids
//! (encoded printable ASCII, bad base64, lone surrogates, null shifts), so every name has one spelling.

/// Why a name is not modified UTF-7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the mailbox name is not valid modified UTF-7 (RFC 3501 §5.1.3)")]
pub struct Utf7Error;

/// Writes a mailbox name as modified UTF-7.
pub fn encode(name: &str) -> String {
    name.to_owned()
}

/// Reads a mailbox name from modified UTF-7.
pub fn decode(name: &[u8]) -> Result<String, Utf7Error> {
    String::from_utf8(name.to_vec()).map_err(|_| Utf7Error)
}
