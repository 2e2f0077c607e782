//! A private key in memory: it signs digests and says what its public half is, nothing else. No Debug, no Display,
//! no Clone, and no way to its bytes but the sealed form, so that no log line and no panic message can hold them.

use crate::SigningError;
use aws_lc_rs::digest::Digest;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use zeroize::Zeroizing;

/// How a key signs (RFC 8301, RFC 8463). Both hash with SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// `rsa-sha256` with a key of at least 2048 bits.
    Rsa,
    /// `ed25519-sha256`.
    Ed25519,
}

impl Algorithm {
    /// The value of `a=` in a signature.
    pub fn signature_word(self) -> &'static str {
        match self {
            Self::Rsa => "rsa-sha256",
            Self::Ed25519 => "ed25519-sha256",
        }
    }

    /// The value of `k=` in a key record.
    pub fn record_word(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::Ed25519 => "ed25519",
        }
    }

    pub(crate) fn number(self) -> i64 {
        match self {
            Self::Rsa => 0,
            Self::Ed25519 => 1,
        }
    }

    pub(crate) fn from_number(number: i64) -> Option<Self> {
        match number {
            0 => Some(Self::Rsa),
            1 => Some(Self::Ed25519),
            _ => None,
        }
    }
}

/// Size of RSA keys. 2048 bits is what every verifier takes and what fits well into DNS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RsaSize {
    /// 2048 bits; RFC 8301 §3.2 demands no more, and signing is fastest.
    #[default]
    Bits2048,
    /// 3072 bits: three times the time to sign.
    Bits3072,
    /// 4096 bits: seven times the time to sign; some verifiers do not take it (RFC 8301 §3.2).
    Bits4096,
}

impl RsaSize {
    /// From the number of bits.
    pub fn from_bits(bits: u32) -> Option<Self> {
        match bits {
            2048 => Some(Self::Bits2048),
            3072 => Some(Self::Bits3072),
            4096 => Some(Self::Bits4096),
            _ => None,
        }
    }
}

enum Pair {
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A private key.
pub(crate) struct SigningKey(Pair);

impl SigningKey {
    /// A fresh key; the operating system's randomness is used by the library. RSA takes some 100 ms of CPU.
    pub(crate) fn generate(algorithm: Algorithm, size: RsaSize) -> Result<Self, SigningError> {
        let failed = |_| SigningError::Crypto;
        let pair = match algorithm {
            Algorithm::Rsa => Pair::Rsa(
                RsaKeyPair::generate(match size {
                    RsaSize::Bits2048 => KeySize::Rsa2048,
                    RsaSize::Bits3072 => KeySize::Rsa3072,
                    RsaSize::Bits4096 => KeySize::Rsa4096,
                })
                .map_err(failed)?,
            ),
            Algorithm::Ed25519 => Pair::Ed25519(Ed25519KeyPair::generate().map_err(failed)?),
        };
        Ok(Self(pair))
    }

    /// From PKCS #8; `None` where the bytes are no such key.
    pub(crate) fn from_pkcs8(algorithm: Algorithm, pkcs8: &[u8]) -> Option<Self> {
        let pair = match algorithm {
            Algorithm::Rsa => Pair::Rsa(RsaKeyPair::from_pkcs8(pkcs8).ok()?),
            Algorithm::Ed25519 => Pair::Ed25519(Ed25519KeyPair::from_pkcs8(pkcs8).ok()?),
        };
        Some(Self(pair))
    }

    /// PKCS #8, to be sealed at once.
    pub(crate) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, SigningError> {
        // The library's buffer is wiped when it is dropped, as ours is.
        let der: Pkcs8V1Der<'_> = match &self.0 {
            Pair::Rsa(pair) => pair.as_der(),
            Pair::Ed25519(pair) => pair.as_der(),
        }
        .map_err(|_| SigningError::Crypto)?;
        Ok(Zeroizing::new(der.as_ref().to_vec()))
    }

    /// How it signs.
    pub(crate) fn algorithm(&self) -> Algorithm {
        match self.0 {
            Pair::Rsa(_) => Algorithm::Rsa,
            Pair::Ed25519(_) => Algorithm::Ed25519,
        }
    }

    /// What goes into `p=` of its record: SubjectPublicKeyInfo for RSA (RFC 6376 §3.6.1, as everybody publishes
    /// it), the 32 bytes of the key for Ed25519 (RFC 8463 §4).
    pub(crate) fn public_bytes(&self) -> Result<Vec<u8>, SigningError> {
        match &self.0 {
            Pair::Rsa(pair) => {
                let der =
                    AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(pair.public_key());
                Ok(der.map_err(|_| SigningError::Crypto)?.as_ref().to_vec())
            }
            Pair::Ed25519(pair) => Ok(pair.public_key().as_ref().to_vec()),
        }
    }

    /// Signs the SHA-256 `digest` of a header. RFC 8463 §3: Ed25519 signs the hash, not the header.
    pub(crate) fn sign(&self, digest: &Digest) -> Result<Vec<u8>, SigningError> {
        match &self.0 {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign_digest(&RSA_PKCS1_SHA256, digest, &mut signature)
                    .map_err(|_| SigningError::Crypto)?;
                Ok(signature)
            }
            Pair::Ed25519(pair) => Ok(pair.sign(digest.as_ref()).as_ref().to_vec()),
        }
    }
}
