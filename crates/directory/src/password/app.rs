//! Passwords the program makes: 100 random bits each. Because nobody can guess them, one salted
//! BLAKE3 is enough to store them; a slow hash would only make an account with many app passwords
//! slow to log in.

use super::verifier::{HashFormatError, decode, encode};
use crate::limits::PASSWORD_BYTES_MAX;
use platform::random::Random;
use subtle::ConstantTimeEq as _;

/// Letters and digits that cannot be taken for one another when read aloud; 32 of them, 5 bits each.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Characters of a generated password, without the hyphens.
const GENERATED_CHARS: usize = 20;
/// Characters between two hyphens.
const GROUP_CHARS: usize = 5;

/// A fresh password of 20 letters and digits in groups of five: 100 random bits.
pub fn generate(random: &Random) -> String {
    let mut bytes = [0; GENERATED_CHARS];
    random.fill(&mut bytes);
    let mut password = String::with_capacity(GENERATED_CHARS + GENERATED_CHARS / GROUP_CHARS);
    for (index, byte) in bytes.into_iter().enumerate() {
        if index > 0 && index % GROUP_CHARS == 0 {
            password.push('-');
        }
        password.push(char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]));
    }
    password
}

/// A stored app password, `$blake3$<salt>$<digest>` in base64 without padding. Only for passwords
/// made by `generate`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppPasswordHash {
    salt: [u8; 16],
    digest: [u8; 32],
}

impl AppPasswordHash {
    /// The hash of `password` with a fresh salt.
    pub fn make(password: &str, random: &Random) -> Self {
        let mut salt = [0; 16];
        random.fill(&mut salt);
        Self {
            salt,
            digest: digest(&salt, password.as_bytes()),
        }
    }

    /// Reads `$blake3$<salt>$<digest>`.
    ///
    /// # Errors
    /// Where the text is something else.
    pub fn parse(text: &str) -> Result<Self, HashFormatError> {
        let refuse = || HashFormatError::new("$blake3$<salt>$<digest>, as export writes it");
        let (salt, digest) = text
            .strip_prefix("$blake3$")
            .and_then(|rest| rest.split_once('$'))
            .ok_or_else(refuse)?;
        let salt = decode(salt).and_then(|bytes| bytes.try_into().ok());
        let digest = decode(digest).and_then(|bytes| bytes.try_into().ok());
        match (salt, digest) {
            (Some(salt), Some(digest)) => Ok(Self { salt, digest }),
            _ => Err(refuse()),
        }
    }

    /// Whether `password` is this one; takes the same time for every answer.
    pub fn matches(&self, password: &[u8]) -> bool {
        password.len() <= PASSWORD_BYTES_MAX
            && bool::from(digest(&self.salt, password).ct_eq(&self.digest))
    }
}

impl std::fmt::Display for AppPasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "$blake3${}${}", encode(&self.salt), encode(&self.digest))
    }
}

fn digest(salt: &[u8; 16], password: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("rohrpost app password 1");
    hasher.update(salt);
    hasher.update(password);
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_password_is_long_readable_and_never_the_same() {
        let random = Random::seeded(1);
        let one = generate(&random);
        assert_eq!(one.len(), 23, "{one}");
        assert!(
            one.bytes().all(|b| b == b'-' || ALPHABET.contains(&b)),
            "{one}"
        );
        assert_ne!(one, generate(&random));
    }

    #[test]
    fn a_hash_survives_its_text_and_knows_its_password() {
        let random = Random::seeded(2);
        let hash = AppPasswordHash::make("kx3mu", &random);
        let again = AppPasswordHash::parse(&hash.to_string()).unwrap();
        assert_eq!(hash, again);
        assert!(again.matches(b"kx3mu"));
        assert!(!again.matches(b"kx3mv"));
        assert!(!again.matches(b""));
        assert_ne!(
            hash,
            AppPasswordHash::make("kx3mu", &random),
            "the salt is fresh"
        );
        assert!(AppPasswordHash::parse("$blake3$AA$AA").is_err());
        assert!(AppPasswordHash::parse("{SSHA}AAAA").is_err());
    }
}
