//! A signed statement about the TLS of a customer's domain, for insurers and authorities (S1-24): what is set, and what
//! each port answered. Whoever has the key can check it without this server. The API makes it, the CLI checks it; asks
//! no store.

pub mod document;
pub(crate) mod probe;

pub use probe::Tried;

use crate::legacy_hosts::Port as NodePort;
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use platform::clock::Timestamp;
use platform::random::Random;
use policy::{Measure, Sender, Service, Snapshot};
use probe::Way;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What the signing key is derived for; another word is another key.
const PURPOSE: &[u8] = b"rohrpost: proofs about the TLS of a domain, 1";

/// The statement and its signature: the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// What is stated.
    pub statement: Statement,
    /// The key (Ed25519, RFC 8032) it is signed with, in Base64.
    pub key: String,
    /// The signature over the statement as JSON without white space, in Base64.
    pub signature: String,
}

/// What is stated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// The customer's domain.
    pub domain: String,
    /// The server that says so.
    pub host: String,
    /// When.
    pub made_at: String,
    /// The domain's setting: always forbidden.
    pub legacy_access: String,
    /// What accounts of the domain need.
    pub services: Vec<NeededTls>,
    /// What each port answered.
    pub ports: Vec<TriedPort>,
}

/// What accounts of the domain need to log in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NeededTls {
    /// Such as `imap`.
    pub service: String,
    /// Such as `TLSv1.2, enforce`.
    pub lowest_tls: String,
    /// How far it has come that nobody logs in in clear.
    pub no_cleartext: String,
}

/// What a port answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TriedPort {
    /// `submission`, `imap` or `pop3`.
    pub role: String,
    /// `tls` or `starttls`.
    pub mode: String,
    /// Its number.
    pub port: u16,
    /// Each try.
    pub tried: Vec<Tried>,
}

/// What proofs of an installation are signed with.
pub struct ProofKey {
    pair: Ed25519KeyPair,
}

impl std::fmt::Debug for ProofKey {
    /// Without the secret half.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ProofKey").field(&self.public()).finish()
    }
}

impl ProofKey {
    /// The one that belongs to the secret of an installation.
    ///
    /// # Errors
    /// Where the library refuses, in words.
    pub fn derived(secret: &[u8]) -> Result<Self, String> {
        let seed = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), PURPOSE);
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_ref());
        pair.map(|pair| Self { pair })
            .map_err(|error| error.to_string())
    }

    /// The half that everybody may know, in Base64.
    pub fn public(&self) -> String {
        BASE64.encode(self.pair.public_key().as_ref())
    }

    /// A statement with its signature.
    ///
    /// # Errors
    /// Where it cannot be written as JSON, in words.
    pub fn sign(&self, statement: Statement) -> Result<Proof, String> {
        let bytes = serde_json::to_vec(&statement).map_err(|error| error.to_string())?;
        Ok(Proof {
            key: self.public(),
            signature: BASE64.encode(self.pair.sign(&bytes).as_ref()),
            statement,
        })
    }
}

/// What accounts of `sender`'s domain need at each service at `now`.
pub(crate) fn needed(policy: &Snapshot, sender: &Sender<'_>, now: Timestamp) -> Vec<NeededTls> {
    let services = [Service::Submission, Service::Imap, Service::Pop3];
    let of = |service: Service| {
        let (version, stage) = policy.lowest_tls(service, sender, now).value;
        let clear = policy.stage(&Measure::Cleartext(service), sender, now);
        NeededTls {
            service: service.word().to_owned(),
            lowest_tls: format!("{version}, {}", stage.word()),
            no_cleartext: clear.value.word().to_owned(),
        }
    };
    services.map(of).into()
}

/// Tries every port that customers use, all at once.
pub(crate) async fn tried(ports: &[NodePort], host: &str, random: &Random) -> Vec<TriedPort> {
    let each = ports
        .iter()
        .filter_map(|port| way(port).map(|way| (port, way)));
    let each = each.map(|(port, way)| async move {
        TriedPort {
            tried: probe::port(port.address, way, host, random).await,
            port: port.address.port(),
            role: port.role.clone(),
            mode: port.mode.clone(),
        }
    });
    futures_util::future::join_all(each).await
}

fn way(port: &NodePort) -> Option<Way> {
    Some(match (port.role.as_str(), port.mode.as_str()) {
        ("submission" | "imap" | "pop3", "tls") => Way::Implicit,
        ("submission", _) => Way::Smtp,
        ("imap", _) => Way::Imap,
        ("pop3", _) => Way::Pop3,
        _ => return None,
    })
}

/// The statement in a file, JSON or PDF, where it was signed with `key` (Base64) and changed nowhere.
///
/// # Errors
/// Why it proves nothing.
pub fn checked(bytes: &[u8], key: &str) -> Result<Statement, String> {
    let is_pdf = bytes.starts_with(b"%PDF-");
    let json = match is_pdf {
        true => document::carried(bytes).ok_or("this PDF carries no proof")?,
        false => bytes.to_vec(),
    };
    let proof: Proof =
        serde_json::from_slice(&json).map_err(|error| format!("this is no proof: {error}"))?;
    if proof.key != key {
        return Err("it was signed with another key than the one that was asked for".to_owned());
    }
    let decoded = |text: &str| BASE64.decode(text).map_err(|error| error.to_string());
    let statement = serde_json::to_vec(&proof.statement).map_err(|error| error.to_string())?;
    UnparsedPublicKey::new(&ED25519, decoded(key)?)
        .verify(&statement, &decoded(&proof.signature)?)
        .map_err(|_| "the signature is wrong: something was changed".to_owned())?;
    // What people read in a PDF must be what was signed.
    if is_pdf && document::pdf(&proof) != bytes {
        return Err("the text of this PDF is not the one that was signed".to_owned());
    }
    Ok(proof.statement)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof() -> Proof {
        let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let statement = Statement {
            domain: "firma.test".to_owned(),
            host: "mx.rp.test".to_owned(),
            made_at: "2026-11-22T00:00:00Z".to_owned(),
            legacy_access: "forbidden".to_owned(),
            services: vec![NeededTls {
                service: "imap".to_owned(),
                lowest_tls: "TLSv1.2, enforce".to_owned(),
                no_cleartext: "enforce".to_owned(),
            }],
            ports: vec![TriedPort {
                role: "imap".to_owned(),
                mode: "tls".to_owned(),
                port: 993,
                tried: vec![Tried {
                    offered: "TLS 1.0".to_owned(),
                    outcome: "refused (alert protocol_version)".to_owned(),
                }],
            }],
        };
        let bytes = serde_json::to_vec(&statement).unwrap();
        Proof {
            key: BASE64.encode(key.public_key().as_ref()),
            signature: BASE64.encode(key.sign(&bytes).as_ref()),
            statement,
        }
    }

    #[test]
    fn a_proof_is_genuine_until_something_is_changed() {
        let proof = proof();
        let json = serde_json::to_vec_pretty(&proof).unwrap();
        assert!(checked(&json, &proof.key).is_ok());
        let other = BASE64.encode([1; 32]);
        assert!(checked(&json, &other).unwrap_err().contains("another key"));
        let text = String::from_utf8(json).unwrap().replace("993", "994");
        assert!(
            checked(text.as_bytes(), &proof.key)
                .unwrap_err()
                .contains("changed")
        );
    }

    #[test]
    fn the_text_of_the_pdf_counts_too() {
        let proof = proof();
        let pdf = document::pdf(&proof);
        assert!(checked(&pdf, &proof.key).is_ok());
        let at = pdf.windows(3).position(|three| three == b"993").unwrap();
        let mut changed = pdf.clone();
        changed[at] = b'8';
        assert!(
            checked(&changed, &proof.key)
                .unwrap_err()
                .contains("not the one that was signed")
        );
        assert!(checked(b"%PDF-1.4\n", &proof.key).is_err());
    }
}
