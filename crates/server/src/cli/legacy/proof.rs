//! `rohrpost legacy proof` and `verify`: a signed statement about the TLS of a customer's domain, for insurers and
//! authorities. The statement holds what is set and what each port answered; whoever has the key can check it
//! without this server.

use super::probe::{self, Tried, Way};
use super::{Desk, document, invalid};
use crate::control::{BoundPort, Request, ask};
use crate::node::installation_secret;
use crate::settings::Settings;
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use directory::DomainName;
use platform::random::Random;
use policy::admin::PolicyError;
use policy::{Legacy, Measure, Sender, Service, Snapshot};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What the signing key is derived for; another word is another key.
const PURPOSE: &[u8] = b"rohrpost: proofs about the TLS of a domain, 1";
/// Largest file that is read as a proof, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// The statement and its signature: the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Proof {
    /// What is stated.
    pub(super) statement: Statement,
    /// The key (Ed25519, RFC 8032) it is signed with, in Base64.
    pub(super) key: String,
    /// The signature over the statement as JSON without white space, in Base64.
    signature: String,
}

/// What is stated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Statement {
    /// The customer's domain.
    pub(super) domain: String,
    /// The server that says so.
    pub(super) host: String,
    /// When.
    pub(super) made_at: String,
    /// The domain's setting: always forbidden.
    pub(super) legacy_access: String,
    /// What accounts of the domain need.
    pub(super) services: Vec<Needed>,
    /// What each port answered.
    pub(super) ports: Vec<Port>,
}

/// What accounts of the domain need to log in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Needed {
    pub(super) service: String,
    /// Such as `TLSv1.2, enforce`.
    pub(super) lowest_tls: String,
    /// How far it has come that nobody logs in in clear.
    pub(super) no_cleartext: String,
}

/// What a port answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Port {
    pub(super) role: String,
    pub(super) mode: String,
    pub(super) port: u16,
    pub(super) tried: Vec<Tried>,
}

pub(super) async fn make(
    desk: &Desk<'_>,
    domain: &str,
    pdf: Option<&Path>,
) -> Result<String, PolicyError> {
    let domain = DomainName::parse(domain).map_err(invalid)?;
    let policies = desk.policies().await?;
    let policy = policies.snapshot();
    let sender = Sender {
        account: None,
        domain: domain.as_str(),
        group: None,
    };
    if policy.legacy(&sender, desk.now) != Legacy::Forbidden {
        return Err(invalid(format!(
            "{domain} does not forbid legacy access, so there is nothing to prove; first `rohrpost policy set \
             {domain} legacy-access forbidden`"
        )));
    }
    let statement = Statement {
        domain: domain.to_string(),
        host: desk.settings.host_name.0.clone(),
        made_at: formats::rfc3339::format(desk.now.0),
        legacy_access: "forbidden".to_owned(),
        services: needed(&policy, &sender, desk),
        ports: ports(desk).await?,
    };
    let proof = sign(desk.settings, statement).map_err(invalid)?;
    if let Some(path) = pdf {
        std::fs::write(path, document::pdf(&proof))
            .map_err(|error| invalid(format!("{}: {error}", path.display())))?;
    }
    let text = serde_json::to_string_pretty(&proof).map_err(invalid)?;
    Ok(text + "\n")
}

fn needed(policy: &Snapshot, sender: &Sender<'_>, desk: &Desk<'_>) -> Vec<Needed> {
    let services = [Service::Submission, Service::Imap, Service::Pop3];
    let of = |service: Service| {
        let (version, stage) = policy.lowest_tls(service, sender, desk.now).value;
        let clear = policy.stage(&Measure::Cleartext(service), sender, desk.now);
        Needed {
            service: service.word().to_owned(),
            lowest_tls: format!("{version}, {}", stage.word()),
            no_cleartext: clear.value.word().to_owned(),
        }
    };
    services.map(of).into()
}

/// Tries every port of the running node that customers use.
async fn ports(desk: &Desk<'_>) -> Result<Vec<Port>, PolicyError> {
    let asked = ask(&desk.settings.data_dir, &Request::Listeners).map_err(invalid)?;
    let answer = asked.ok_or_else(|| {
        invalid("no node runs here; the proof states what its ports answer, so start it first")
    })?;
    let bound: Vec<BoundPort> = serde_json::from_str(&answer.text).map_err(invalid)?;
    let random = Random::from_os();
    let mut ports = Vec::new();
    for port in bound {
        let Some(way) = way(&port) else {
            continue;
        };
        let host = &desk.settings.host_name.0;
        ports.push(Port {
            tried: probe::port(port.address, way, host, &random).await,
            port: port.address.port(),
            role: port.role,
            mode: port.mode,
        });
    }
    Ok(ports)
}

fn way(port: &BoundPort) -> Option<Way> {
    Some(match (port.role.as_str(), port.mode.as_str()) {
        ("submission" | "imap" | "pop3", "tls") => Way::Implicit,
        ("submission", _) => Way::Smtp,
        ("imap", _) => Way::Imap,
        ("pop3", _) => Way::Pop3,
        _ => return None,
    })
}

fn signing_key(settings: &Settings) -> Result<Ed25519KeyPair, String> {
    let secret = installation_secret(&settings.data_dir, &Random::from_os())
        .map_err(|error| error.to_string())?;
    let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.to_hex().as_bytes());
    let seed = hmac::sign(&secret, PURPOSE);
    Ed25519KeyPair::from_seed_unchecked(seed.as_ref()).map_err(|error| error.to_string())
}

fn sign(settings: &Settings, statement: Statement) -> Result<Proof, String> {
    let key = signing_key(settings)?;
    let bytes = serde_json::to_vec(&statement).map_err(|error| error.to_string())?;
    Ok(Proof {
        statement,
        key: BASE64.encode(key.public_key().as_ref()),
        signature: BASE64.encode(key.sign(&bytes).as_ref()),
    })
}

/// Checks a file; the text says what it proves.
///
/// # Errors
/// Why it proves nothing.
pub(super) fn verify(
    settings: &Settings,
    file: &Path,
    key: Option<&str>,
) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", file.display());
    if std::fs::metadata(file).map_err(failed)?.len() > FILE_BYTES_MAX {
        return Err("the file is too large for a proof".to_owned());
    }
    let bytes = std::fs::read(file).map_err(failed)?;
    let key = match key {
        Some(key) => key.to_owned(),
        None => BASE64.encode(signing_key(settings)?.public_key().as_ref()),
    };
    let statement = checked(&bytes, &key)?;
    Ok(format!(
        "The proof is genuine: made by {} on {} about {}.",
        statement.host, statement.made_at, statement.domain
    ))
}

/// The statement in a file, where it was signed with `key` and changed nowhere.
fn checked(bytes: &[u8], key: &str) -> Result<Statement, String> {
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
            services: vec![Needed {
                service: "imap".to_owned(),
                lowest_tls: "TLSv1.2, enforce".to_owned(),
                no_cleartext: "enforce".to_owned(),
            }],
            ports: vec![Port {
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
