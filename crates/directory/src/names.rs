//! How the directory names things: accounts by a number that is never given twice, domains as
//! A-labels, addresses by the form in which two spellings of one address are equal.
//! Pure; whether a name exists is asked elsewhere.

use formats::address::Address;
use std::fmt;
use unicode_normalization::UnicodeNormalization as _;

/// An account. The number is never given to another account, so whoever takes over an address
/// never sees what its former owner left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub i64);

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A domain name as A-labels in lower case, at most 253 bytes, without a final dot. Two spellings
/// of one domain (`BÜCHER.example`, `xn--bcher-kva.example`) are equal here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainName(Box<str>);

/// RFC 1035 §2.3.4, as text without the final dot.
const DOMAIN_NAME_BYTES_MAX: usize = 253;
/// RFC 1035 §2.3.4.
const LABEL_BYTES_MAX: usize = 63;

impl DomainName {
    /// The domain `text` names, U-labels made into A-labels (RFC 5890, UTS 46 without transitional
    /// mapping).
    ///
    /// # Errors
    /// Where `text` is no host name: empty labels, other characters than letters, digits and
    /// hyphens, an address literal, or too long.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let refuse = || NameError::Domain(shown(text));
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.len() > DOMAIN_NAME_BYTES_MAX * 4 {
            return Err(refuse());
        }
        let ascii = idna::domain_to_ascii(text).map_err(|_| refuse())?;
        let well_formed = !ascii.is_empty()
            && ascii.len() <= DOMAIN_NAME_BYTES_MAX
            && ascii.split('.').all(|label| {
                (1..=LABEL_BYTES_MAX).contains(&label.len())
                    && !label.starts_with('-')
                    && !label.ends_with('-')
                    && label
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            });
        if well_formed {
            Ok(Self(ascii.into_boxed_str()))
        } else {
            Err(refuse())
        }
    }

    /// The A-label form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form people read: U-labels where the name has any.
    pub fn to_unicode(&self) -> String {
        idna::domain_to_unicode(&self.0).0
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An address in the form in which the directory compares it: the local part in lower case and
/// Unicode NFC, the domain as A-labels. RFC 5321 §2.4 lets the receiving host decide about case;
/// here `Anna@` and `anna@` are one mailbox, because no customer expects otherwise.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressKey {
    /// Domain first, so that keys sort by domain.
    domain: DomainName,
    local: Box<str>,
}

impl AddressKey {
    /// The key of `address`; `None` where its domain cannot be one of ours (an address literal).
    pub fn of(address: &Address) -> Option<Self> {
        let domain = DomainName::parse(address.domain()).ok()?;
        Some(Self::new(address.local(), domain))
    }

    /// The key of the address `text` (`name@domain`, UTF-8 allowed).
    ///
    /// # Errors
    /// Where `text` is no address.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        Address::parse(text)
            .ok()
            .and_then(|address| Self::of(&address))
            .ok_or_else(|| NameError::Address(shown(text)))
    }

    /// The key of `local` at `domain`.
    pub fn new(local: &str, domain: DomainName) -> Self {
        Self {
            domain,
            local: fold(local).into_boxed_str(),
        }
    }

    /// The local part, folded.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain.
    pub fn domain(&self) -> &DomainName {
        &self.domain
    }
}

impl fmt::Display for AddressKey {
    /// As an address that can be parsed again; quoted where the local part needs it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_string(&self.local) {
            write!(f, "{}@{}", self.local, self.domain)
        } else {
            f.write_str("\"")?;
            for c in self.local.chars() {
                if matches!(c, '"' | '\\') {
                    f.write_str("\\")?;
                }
                write!(f, "{c}")?;
            }
            write!(f, "\"@{}", self.domain)
        }
    }
}

/// RFC 5321 §4.1.2 `Dot-string`, with the UTF-8 of RFC 6531 §3.3.
fn is_dot_string(local: &str) -> bool {
    local.split('.').all(|atom| {
        !atom.is_empty()
            && atom.chars().all(|c| {
                c.is_ascii_alphanumeric() || !c.is_ascii() || "!#$%&'*+-/=?^_`{|}~".contains(c)
            })
    })
}

/// Lower case and NFC, as RFC 8265 §3.3 (UsernameCaseMapped) compares user names. Lower case and
/// not case folding: folding would make `straße@` and `strasse@` one mailbox.
pub(crate) fn fold(local: &str) -> String {
    if local.is_ascii() {
        return local.to_ascii_lowercase();
    }
    // Lower case may decompose (İ), so NFC comes last.
    local
        .nfc()
        .collect::<String>()
        .to_lowercase()
        .nfc()
        .collect()
}

/// Why a text names nothing the directory could hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not a domain.
    #[error("\"{0}\" is not a domain name; an example is firma.example")]
    Domain(String),
    /// Not an address.
    #[error("\"{0}\" is not an address; an example is anna@firma.example")]
    Address(String),
}

/// `text` as an error may show it: short and without control characters.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(120).collect()
}
