//! Mail addresses as RFC 5321 §4.1.2 writes them in an envelope, with the UTF-8 of RFC 6531.
//! Parses and prints; never asks whether an address exists. Header addresses are `header`'s.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// RFC 5321 §4.5.3.1.1 asks for 64 at least; bounce addresses that carry the recipient (VERP, SRS)
/// are longer in practice, and the RFC wishes for no limit.
pub const LOCAL_PART_BYTES_MAX: usize = 255;
/// RFC 5321 §4.5.3.1.2.
pub const DOMAIN_BYTES_MAX: usize = 255;
/// RFC 1035 §2.3.4; checked on labels in ASCII.
pub const LABEL_BYTES_MAX: usize = 63;

/// A mailbox address `local@domain`.
///
/// The domain is held in lower case and as A-labels or U-labels exactly as written; the local part
/// keeps its case (RFC 5321 §2.4) and is held without quoting (`"a b"@x` has the local part `a b`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    local: Box<str>,
    domain: Box<str>,
}

/// May an address hold UTF-8 (RFC 6531)?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Utf8Policy {
    /// ASCII only; anything else is [`AddressError::NeedsUtf8`].
    Refuse,
    /// UTF-8 in local part and domain, as after SMTPUTF8.
    Accept,
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
    /// Over [`LOCAL_PART_BYTES_MAX`] or [`DOMAIN_BYTES_MAX`].
    #[error("the address is too long (255 bytes before the @, 255 after it)")]
    TooLong,
    /// Bytes above 127 without SMTPUTF8 (RFC 6531 §3.3).
    #[error("the address has characters that need SMTPUTF8")]
    NeedsUtf8,
}

impl Address {
    /// Reads a whole text as an address, UTF-8 allowed.
    pub fn parse(text: &str) -> Result<Address, AddressError> {
        let (address, used) = Self::mailbox(text.as_bytes(), Utf8Policy::Accept)?;
        match text.len() - used {
            0 => Ok(address),
            _ => Err(AddressError::Domain),
        }
    }

    /// Reads the address at the start of `bytes`, such as what follows `<` in an SMTP path; returns it
    /// and the bytes consumed. A source route (`@a,@b:`) is accepted and ignored (RFC 5321 §4.1.1.3).
    pub fn parse_prefix(bytes: &[u8], utf8: Utf8Policy) -> Result<(Address, usize), AddressError> {
        let route = source_route(bytes, utf8)?;
        let (address, used) = Self::mailbox(bytes.get(route..).unwrap_or_default(), utf8)?;
        Ok((address, route + used))
    }

    // Mailbox = Local-part "@" ( Domain / address-literal )
    fn mailbox(bytes: &[u8], utf8: Utf8Policy) -> Result<(Address, usize), AddressError> {
        let (local, local_used) = match bytes.first() {
            Some(b'"') => quoted_string(bytes, utf8)?,
            _ => dot_string(bytes, utf8)?,
        };
        let rest = match bytes.get(local_used..) {
            Some([b'@', rest @ ..]) => rest,
            // A byte that ends the local part early is a wrong character, not a missing domain,
            // where an @ still follows.
            Some(rest) if memchr::memchr(b'@', rest).is_some() => {
                return Err(AddressError::LocalPart);
            }
            _ => return Err(AddressError::Shape),
        };
        let (domain, domain_used) = domain(rest, utf8)?;
        let address = Address {
            local: local.into_boxed_str(),
            domain: domain.into_boxed_str(),
        };
        Ok((address, local_used + 1 + domain_used))
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

    /// Is the domain an address literal such as `[192.0.2.1]`?
    pub fn is_literal(&self) -> bool {
        self.domain.starts_with('[')
    }

    /// The address in lower case, unquoted: equal for spellings that reach the same account here.
    pub fn key(&self) -> String {
        let mut key = self.local.to_lowercase();
        key.push('@');
        key.push_str(&self.domain);
        key
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_string(&self.local) {
            return write!(f, "{}@{}", self.local, self.domain);
        }
        f.write_str("\"")?;
        for letter in self.local.chars() {
            if letter == '"' || letter == '\\' {
                f.write_str("\\")?;
            }
            write!(f, "{letter}")?;
        }
        write!(f, "\"@{}", self.domain)
    }
}

impl std::str::FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

/// RFC 5322 §3.2.3 `atext`; bytes over 127 are added by RFC 6531 §3.3.
fn is_atext(byte: u8) -> bool {
    byte >= 0x80 || byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

fn is_dot_string(local: &str) -> bool {
    local
        .split('.')
        .all(|atom| !atom.is_empty() && atom.bytes().all(is_atext))
}

fn utf8_text(bytes: &[u8], utf8: Utf8Policy, wrong: AddressError) -> Result<&str, AddressError> {
    if utf8 == Utf8Policy::Refuse && !bytes.is_ascii() {
        return Err(AddressError::NeedsUtf8);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| wrong)?;
    if text.chars().any(char::is_control) {
        return Err(wrong);
    }
    Ok(text)
}

// Dot-string = Atom *("." Atom)
fn dot_string(bytes: &[u8], utf8: Utf8Policy) -> Result<(String, usize), AddressError> {
    let used = bytes
        .iter()
        .position(|&byte| !is_atext(byte) && byte != b'.')
        .unwrap_or(bytes.len());
    let local = bytes.get(..used).unwrap_or_default();
    if local.is_empty() {
        return Err(AddressError::Shape);
    }
    if local.len() > LOCAL_PART_BYTES_MAX {
        return Err(AddressError::TooLong);
    }
    let local = utf8_text(local, utf8, AddressError::LocalPart)?;
    match is_dot_string(local) {
        true => Ok((local.to_owned(), used)),
        false => Err(AddressError::LocalPart),
    }
}

// Quoted-string = DQUOTE *(qtextSMTP / quoted-pairSMTP) DQUOTE
fn quoted_string(bytes: &[u8], utf8: Utf8Policy) -> Result<(String, usize), AddressError> {
    let mut local = Vec::new();
    let mut rest = bytes.iter().enumerate().skip(1);
    while let Some((at, &byte)) = rest.next() {
        match byte {
            b'"' if local.is_empty() => return Err(AddressError::LocalPart),
            b'"' => {
                let text = utf8_text(&local, utf8, AddressError::LocalPart)?;
                return Ok((text.to_owned(), at + 1));
            }
            b'\\' => match rest.next() {
                Some((_, &escaped @ 0x20..=0x7e)) => local.push(escaped),
                _ => return Err(AddressError::LocalPart),
            },
            0x20..=0x7e | 0x80.. => local.push(byte),
            _ => return Err(AddressError::LocalPart),
        }
        if local.len() > LOCAL_PART_BYTES_MAX {
            return Err(AddressError::TooLong);
        }
    }
    Err(AddressError::Shape)
}

// Domain = sub-domain *("." sub-domain), or an address literal
fn domain(bytes: &[u8], utf8: Utf8Policy) -> Result<(String, usize), AddressError> {
    if bytes.first() == Some(&b'[') {
        return address_literal(bytes);
    }
    let used = bytes
        .iter()
        .position(|&byte| {
            byte < 0x80 && !byte.is_ascii_alphanumeric() && !matches!(byte, b'.' | b'-' | b'_')
        })
        .unwrap_or(bytes.len());
    let name = bytes.get(..used).unwrap_or_default();
    if name.is_empty() {
        return Err(AddressError::Shape);
    }
    if name.len() > DOMAIN_BYTES_MAX {
        return Err(AddressError::TooLong);
    }
    let name = utf8_text(name, utf8, AddressError::Domain)?;
    let labels_fit = name.split('.').all(label_fits);
    // No top-level domain is a number (RFC 3696 §2); this is an IP address without its brackets.
    let last_is_number = name
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    if !labels_fit || last_is_number {
        return Err(AddressError::Domain);
    }
    let lower = name.to_lowercase();
    match lower.len() <= DOMAIN_BYTES_MAX {
        true => Ok((lower, used)),
        false => Err(AddressError::TooLong),
    }
}

// Underscores are no host name characters but occur in mail domains and harm nobody. A U-label may
// take more bytes than the A-label that counts.
fn label_fits(label: &str) -> bool {
    let hyphen_outside = label.starts_with('-') || label.ends_with('-');
    let too_long = label.is_ascii() && label.len() > LABEL_BYTES_MAX;
    !(label.is_empty() || hyphen_outside || too_long || label.chars().any(char::is_whitespace))
}

// address-literal = "[" ( IPv4-address-literal / "IPv6:" IPv6-addr ) "]"
fn address_literal(bytes: &[u8]) -> Result<(String, usize), AddressError> {
    let end = bytes
        .iter()
        .take(64)
        .position(|&byte| byte == b']')
        .ok_or(AddressError::Domain)?;
    let inside = bytes.get(1..end).unwrap_or_default();
    let inside = std::str::from_utf8(inside).map_err(|_| AddressError::Domain)?;
    let literal = match inside.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => {
            let address = inside.get(5..).unwrap_or_default().parse::<Ipv6Addr>();
            format!("[IPv6:{}]", address.map_err(|_| AddressError::Domain)?)
        }
        _ => {
            let address = inside.parse::<Ipv4Addr>();
            format!("[{}]", address.map_err(|_| AddressError::Domain)?)
        }
    };
    Ok((literal, end + 1))
}

// A-d-l = At-domain *( "," At-domain ), followed by ":"
fn source_route(bytes: &[u8], utf8: Utf8Policy) -> Result<usize, AddressError> {
    if bytes.first() != Some(&b'@') {
        return Ok(0);
    }
    let mut used = 0;
    loop {
        match bytes.get(used) {
            Some(b'@') => {
                let host = bytes.get(used + 1..).unwrap_or_default();
                used += 1 + domain(host, utf8)?.1;
            }
            _ => return Err(AddressError::Shape),
        }
        match bytes.get(used) {
            Some(b',') => used += 1,
            Some(b':') => return Ok(used + 1),
            _ => return Err(AddressError::Shape),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn good_addresses_print_as_they_should() {
        for (text, local, printed) in [
            ("anna@firma.test", "anna", "anna@firma.test"),
            (
                "Anna.B+tag@FIRMA.Test",
                "Anna.B+tag",
                "Anna.B+tag@firma.test",
            ),
            ("\"a b\"@x.test", "a b", "\"a b\"@x.test"),
            ("\"anna\"@x.test", "anna", "anna@x.test"),
            (r#""q\"\\"@x.test"#, r#"q"\"#, r#""q\"\\"@x.test"#),
            ("\"@\"@x.test", "@", "\"@\"@x.test"),
            ("\".a\"@x.test", ".a", "\".a\"@x.test"),
            ("a@[192.0.2.1]", "a", "a@[192.0.2.1]"),
            ("a@[ipv6:2001:DB8::1]", "a", "a@[IPv6:2001:db8::1]"),
            ("jörg@Müller.test", "jörg", "jörg@müller.test"),
            ("a@localhost", "a", "a@localhost"),
            ("a@my_host.test", "a", "a@my_host.test"),
            (
                "!#$%&'*+-/=?^_`{|}~@x.test",
                "!#$%&'*+-/=?^_`{|}~",
                "!#$%&'*+-/=?^_`{|}~@x.test",
            ),
        ] {
            let address = Address::parse(text).expect(text);
            assert_eq!(address.local(), local, "{text}");
            assert_eq!(address.to_string(), printed, "{text}");
        }
    }

    #[test]
    fn bad_addresses_are_refused_for_the_right_reason() {
        use AddressError::*;
        for (text, error) in [
            ("", Shape),
            ("anna", Shape),
            ("@x.test", Shape),
            ("anna@", Shape),
            ("\"anna@x.test", Shape),
            (".anna@x.test", LocalPart),
            ("anna.@x.test", LocalPart),
            ("an..na@x.test", LocalPart),
            ("an na@x.test", LocalPart),
            ("an(c)na@x.test", LocalPart),
            ("\"\"@x.test", LocalPart),
            ("\"a\r\nb\"@x.test", LocalPart),
            ("\"a\"b@x.test", LocalPart),
            ("a@x..test", Domain),
            ("a@-x.test", Domain),
            ("a@x-.test", Domain),
            ("a@x.test.", Domain),
            ("a@x.test b", Domain),
            ("a@x@y", Domain),
            ("a@192.0.2.1", Domain),
            ("a@[192.0.2.256]", Domain),
            ("a@[IPv6:zz]", Domain),
            ("a@[192.0.2.1", Domain),
            ("a@[192.0.2.1]x", Domain),
            ("a\u{85}@x.test", LocalPart),
        ] {
            assert_eq!(Address::parse(text), Err(error), "{text:?}");
        }
        let long = |local: usize, domain: usize| {
            Address::parse(&format!(
                "{}@{}.test",
                "l".repeat(local),
                "d.".repeat(domain / 2) + "d"
            ))
        };
        assert!(long(255, 200).is_ok());
        assert_eq!(long(256, 200), Err(TooLong));
        assert_eq!(long(1, 260), Err(TooLong));
        assert_eq!(
            Address::parse(&format!("a@{}.test", "d".repeat(64))),
            Err(Domain)
        );
    }

    #[test]
    fn a_path_may_hold_a_source_route_and_ends_where_the_address_ends() {
        let cases: [(&[u8], &str, usize); 3] = [
            (b"anna@x.test> SIZE=1", "anna@x.test", 11),
            (b"@a.test,@b.test:anna@x.test>", "anna@x.test", 27),
            (b"\"a>b\"@x.test>", "\"a>b\"@x.test", 12),
        ];
        for (bytes, printed, used) in cases {
            let (address, consumed) =
                Address::parse_prefix(bytes, Utf8Policy::Refuse).expect(printed);
            assert_eq!((address.to_string().as_str(), consumed), (printed, used));
        }
        for bad in ["@a.test", "@a.test:", "@a.test,anna@x", "@:a@x", "@a@x"] {
            assert!(
                Address::parse_prefix(bad.as_bytes(), Utf8Policy::Refuse).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn utf8_needs_permission() {
        for text in ["jörg@x.test", "a@müller.test", "\"jö\"@x.test"] {
            let refused = Address::parse_prefix(text.as_bytes(), Utf8Policy::Refuse);
            assert_eq!(refused, Err(AddressError::NeedsUtf8));
            let (address, _) =
                Address::parse_prefix(text.as_bytes(), Utf8Policy::Accept).expect(text);
            assert!(!address.is_ascii());
        }
        assert!(Address::parse_prefix(b"\xff@x.test", Utf8Policy::Accept).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Address::parse_prefix(&bytes, Utf8Policy::Accept);
        }

        #[test]
        fn what_prints_parses_back(text in r#"("[ -~äß]{1,20}"|[a-zA-Z.+"\\@ ]{1,12})@[a-z\[\].0-9:-]{1,20}"#) {
            if let Ok(address) = Address::parse(&text) {
                prop_assert_eq!(Address::parse(&address.to_string()), Ok(address));
            }
        }
    }
}
