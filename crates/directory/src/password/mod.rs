//! Passwords at rest: prepared, hashed, compared. Blocking and slow on purpose; callers run it on
//! the hash workers. Clear text never leaves a call and is never logged.

mod app;
mod app_limits;
mod imported;
mod verifier;

pub use app::{AppPasswordHash, generate};
pub use app_limits::{AppLimits, Outside, Party, Services};
#[cfg(test)]
pub(crate) use verifier::COMPUTED;
pub use verifier::{HashFormatError, Verifier};

use std::borrow::Cow;

/// The form of a password that is hashed: SASLprep (RFC 4013), as RFC 5802 §2.2 and RFC 4616 §2
/// ask for, so that PLAIN and SCRAM mean the same password however the device composes an `é`.
/// What SASLprep forbids or does not know (code points younger than Unicode 3.2, such as emoji, or
/// other encodings than UTF-8) is taken as it is, as PostgreSQL does; clients do likewise.
pub fn prepare(password: &[u8]) -> Cow<'_, [u8]> {
    if password.is_ascii() {
        return Cow::Borrowed(password);
    }
    match std::str::from_utf8(password).map(stringprep::saslprep) {
        Ok(Ok(Cow::Owned(prepared))) => Cow::Owned(prepared.into_bytes()),
        _ => Cow::Borrowed(password),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_password_typed_on_two_devices_is_one_password() {
        assert_eq!(
            prepare("pa\u{301}ss".as_bytes()),
            prepare("p\u{e1}ss".as_bytes())
        );
        assert_eq!(prepare("a\u{a0}b".as_bytes()).as_ref(), b"a b");
        assert_eq!(prepare(b"\xff\xfe").as_ref(), b"\xff\xfe");
        assert_eq!(
            prepare("\u{1f511}".as_bytes()).as_ref(),
            "\u{1f511}".as_bytes()
        );
    }
}
