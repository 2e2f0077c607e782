//! The installation secret and what is derived from it: the key that seals private keys at rest and the key of
//! SRS hashes. Never shown: no Debug, no Display, no Clone; memory is wiped when it is dropped. The program reads
//! it from a file of the node and gives it to `Signing::open`; the store never holds it.

use crate::SigningError;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{digest, hkdf, hmac};
use platform::random::Random;
use zeroize::Zeroizing;

/// Bytes of the secret.
pub const SECRET_BYTES: usize = 32;
/// Bytes of the mark by which the store recognises the secret it belongs to.
pub(crate) const MARK_BYTES: usize = 8;

/// Thirty-two random bytes that every node of an installation shares.
pub struct InstallationSecret(Zeroizing<[u8; SECRET_BYTES]>);

impl InstallationSecret {
    /// A fresh one.
    pub fn generate(random: &Random) -> Self {
        let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
        random.fill(bytes.as_mut_slice());
        Self(bytes)
    }

    /// Reads the text of a secret file: 64 hexadecimal digits, white space around them ignored. `None` where it is
    /// something else.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.trim_ascii().as_bytes();
        if digits.len() != SECRET_BYTES * 2 {
            return None;
        }
        let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = pair else { return None };
            let high = char::from(*high).to_digit(16)?;
            let low = char::from(*low).to_digit(16)?;
            *byte = u8::try_from(high << 4 | low).ok()?;
        }
        Some(Self(bytes))
    }

    /// The text of a secret file, wiped when it is dropped.
    pub fn to_hex(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(SECRET_BYTES * 2 + 1));
        for byte in self.0.iter() {
            for digit in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(u32::from(digit), 16));
            }
        }
        text.push('\n');
        text
    }

    /// By this the store recognises its secret; it tells nothing about it.
    pub(crate) fn mark(&self) -> [u8; MARK_BYTES] {
        let mut mark = [0; MARK_BYTES];
        mark.copy_from_slice(&self.derive(b"rohrpost mark 1")[..MARK_BYTES]);
        mark
    }

    /// The key of SRS hashes.
    pub(crate) fn srs_key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.derive(b"rohrpost srs 1").as_slice())
    }

    /// What seals private keys.
    pub(crate) fn vault(&self) -> Result<Vault, SigningError> {
        let key = self.derive(b"rohrpost dkim keys 1");
        let key =
            UnboundKey::new(&AES_256_GCM, key.as_slice()).map_err(|_| SigningError::Crypto)?;
        Ok(Vault(LessSafeKey::new(key)))
    }

    /// HKDF-SHA256 (RFC 5869); one key per purpose, so that no two uses can touch each other.
    fn derive(&self, purpose: &[u8]) -> Zeroizing<[u8; SECRET_BYTES]> {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"rohrpost installation");
        let mut derived = Zeroizing::new([0; SECRET_BYTES]);
        let filled = salt
            .extract(self.0.as_slice())
            .expand(&[purpose], hkdf::HKDF_SHA256)
            .and_then(|key| key.fill(derived.as_mut_slice()));
        if filled.is_err() {
            // Cannot fail for 32 bytes; a hash of both keeps keys apart all the same.
            let mut hash = digest::Context::new(&digest::SHA256);
            hash.update(self.0.as_slice());
            hash.update(purpose);
            derived.copy_from_slice(hash.finish().as_ref());
        }
        derived
    }
}

/// Seals and opens private keys with AES-256-GCM. What a key is for is authenticated with it, so that a row moved
/// to another domain or selector does not open.
pub(crate) struct Vault(LessSafeKey);

impl Vault {
    /// `plain` under a fresh nonce, which stands in front.
    pub(crate) fn seal(
        &self,
        plain: &[u8],
        purpose: &str,
        random: &Random,
    ) -> Result<Vec<u8>, SigningError> {
        let mut nonce = [0; NONCE_LEN];
        random.fill(&mut nonce);
        // The buffer is grown once, so that no copy of the key is left in freed memory.
        let mut bytes = Zeroizing::new(Vec::with_capacity(plain.len() + 64));
        bytes.extend_from_slice(plain);
        let nonce_value = Nonce::assume_unique_for_key(nonce);
        self.0
            .seal_in_place_append_tag(nonce_value, Aad::from(purpose.as_bytes()), &mut *bytes)
            .map_err(|_| SigningError::Crypto)?;
        let mut sealed = nonce.to_vec();
        sealed.extend_from_slice(&bytes);
        Ok(sealed)
    }

    /// What `seal` sealed for the same purpose; `None` for anything else.
    pub(crate) fn open(&self, sealed: &[u8], purpose: &str) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut bytes = Zeroizing::new(sealed.to_vec());
        let plain = self
            .0
            .open_in_place(nonce, Aad::from(purpose.as_bytes()), &mut bytes)
            .ok()?
            .len();
        bytes.truncate(plain);
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_text_is_read_back() {
        let secret = InstallationSecret::generate(&Random::seeded(7));
        let text = secret.to_hex();
        let again = InstallationSecret::from_hex(&text).expect("its own text");
        assert_eq!(again.mark(), secret.mark());
        assert!(InstallationSecret::from_hex("abc").is_none());
        assert!(InstallationSecret::from_hex(&"g".repeat(64)).is_none());
    }

    #[test]
    fn what_is_sealed_opens_for_its_purpose_and_secret_only() {
        let random = Random::seeded(1);
        let vault = |seed| {
            let secret = InstallationSecret::generate(&Random::seeded(seed));
            secret.vault().expect("a key of the right size")
        };
        let sealed = vault(1)
            .seal(b"key", "firma.test rp1", &random)
            .expect("seals");
        assert!(!sealed.windows(3).any(|w| w == b"key"));
        let opened = vault(1).open(&sealed, "firma.test rp1");
        assert_eq!(opened.as_deref().map(Vec::as_slice), Some(&b"key"[..]));
        assert!(vault(1).open(&sealed, "privat.test rp1").is_none());
        assert!(vault(2).open(&sealed, "firma.test rp1").is_none());
        assert!(
            vault(1)
                .open(&sealed[..sealed.len() - 1], "firma.test rp1")
                .is_none()
        );
        assert!(vault(1).open(b"", "firma.test rp1").is_none());
    }
}
