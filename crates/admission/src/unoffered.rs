//! A login that was tried where none is offered: whom it named, and whether a password came along. Pure;
//! the password itself is never looked at, kept or logged.

use crate::desk::Secret;
use directory::sasl::Mechanism;
use std::borrow::Cow;

/// What came over the wire.
#[derive(Debug, Clone, Copy)]
pub enum Unoffered<'a> {
    /// A name alone (POP3 USER).
    Name(&'a str),
    /// A name with its password (IMAP LOGIN, POP3 PASS after USER).
    Password(&'a str),
    /// The beginning of a SASL exchange with its initial response, decoded.
    Exchange(Mechanism, &'a [u8]),
}

impl<'a> Unoffered<'a> {
    /// Whom it names, and whether the password was there.
    pub(crate) fn named(&self) -> Option<(Cow<'a, str>, Secret)> {
        match *self {
            Self::Name(user) => Some((user.into(), Secret::Kept)),
            Self::Password(user) => Some((user.into(), Secret::Sent)),
            Self::Exchange(Mechanism::Plain, message) => {
                let mut parts = message.splitn(3, |byte| *byte == 0);
                let (_, user, password) = (parts.next(), parts.next()?, parts.next()?);
                let sent = !user.is_empty() && !password.is_empty();
                sent.then(|| (String::from_utf8_lossy(user), Secret::Sent))
            }
            Self::Exchange(Mechanism::Login, message) => {
                (!message.is_empty()).then(|| (String::from_utf8_lossy(message), Secret::Kept))
            }
            Self::Exchange(Mechanism::ScramSha256 | Mechanism::ScramSha256Plus, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_and_sends_while_login_only_names() {
        let named = |mechanism, message| Unoffered::Exchange(mechanism, message).named();
        assert_eq!(
            named(Mechanism::Plain, b"\0anna@firma.test\0geheim"),
            Some(("anna@firma.test".into(), Secret::Sent))
        );
        assert_eq!(named(Mechanism::Plain, b"\0anna@firma.test"), None);
        assert_eq!(named(Mechanism::Plain, b"\0anna@firma.test\0"), None);
        assert_eq!(named(Mechanism::Plain, b""), None);
        assert_eq!(
            named(Mechanism::Login, b"anna@firma.test"),
            Some(("anna@firma.test".into(), Secret::Kept))
        );
        assert_eq!(named(Mechanism::ScramSha256, b"n,,n=anna,r=x"), None);
    }
}
