//! Mail addresses as RFC 5321 §4.1.2 writes them in an envelope, with the UTF-8 of RFC 6531.
//! Parses and prints; never asks whether an address exists. Header addresses are `header`'s.

/// RFC 5321 §4.5.3.1.1.
pub const LOCAL_PART_BYTES_MAX: usize = 64;
/// RFC 5321 §4.5.3.1.2.
pub const DOMAIN_BYTES_MAX: usize = 255;

/// A mailbox address `local@domain`.
///
/// The domain is held in lower case and as A-labels or U-labels exactly as written; the local part
/// keeps its case (RFC 5321 §2.4) and is held without quoting (`"a b"@x` has the local part `a b`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    local: Box<str>,
    domain: Box<str>,
}

/// Why a text is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// There is no `@` outside quotes, or a part before or after it is missing.
    #[error("an address has the form name@domain")]
    Shape,
    /// The local part breaks the grammar of dot-string and quoted-string.
    #[error("the part before the @ has a character that must be quoted")]
    LocalPart,
    /// The domain breaks the grammar of domain and address-literal.
    #[error("the part after the @ is not a domain name")]
    Domain,
    /// RFC 5321 §4.5.3.1: local part over 64 or domain over 255 bytes.
    #[error("the address is too long (64 bytes before the @, 255 after it)")]
    TooLong,
    /// Bytes above 127 without SMTPUTF8 (RFC 6531 §3.3).
    #[error("the address has characters that need SMTPUTF8")]
    NeedsUtf8,
}

/// May an address hold UTF-8 (RFC 6531)?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Utf8Policy {
    /// ASCII only; anything else is [`AddressError::NeedsUtf8`].
    Refuse,
    /// UTF-8 in local part and domain, as after SMTPUTF8.
    Accept,
}

impl Address {
    /// Reads a whole text as an address, UTF-8 allowed.
    pub fn parse(text: &str) -> Result<Address, AddressError> {
        let _ = text;
        Err(AddressError::Shape)
    }

    /// Reads the address at the start of `bytes`, such as what follows `<` in an SMTP path; returns it
    /// and the bytes consumed. A source route (`@a,@b:`) is accepted and ignored (RFC 5321 §4.1.1.3).
    pub fn parse_prefix(bytes: &[u8], utf8: Utf8Policy) -> Result<(Address, usize), AddressError> {
        let _ = (bytes, utf8);
        Err(AddressError::Shape)
    }

    /// The part before the `@`, unquoted, in its own case.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The part after the `@`, in lower case; an address literal keeps its brackets.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Can it be used without SMTPUTF8?
    pub fn is_ascii(&self) -> bool {
        self.local.is_ascii() && self.domain.is_ascii()
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}
