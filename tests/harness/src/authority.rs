//! A certificate authority for peers of the server under test: good certificates and every usual
//! kind of bad one. Keys are ECDSA P-256 where nothing else is said.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, PublicKeyData, RsaKeySize,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::path::{Path, PathBuf};

/// An authority with its own root.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// When a certificate is valid. Wide, because a test's clock may stand anywhere between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// 2020 to 2049.
    Long,
    /// Expired at the end of 2020.
    Expired,
}

/// A certificate chain with its key.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Leaf first.
    pub chain: Vec<Vec<u8>>,
    /// PKCS #8.
    pub key: Vec<u8>,
    /// SubjectPublicKeyInfo of the leaf.
    pub public_key: Vec<u8>,
    /// The same as PEM: chain, then key.
    pub pem: (String, String),
}

impl Default for Authority {
    fn default() -> Self {
        Self::new("Test authority")
    }
}

impl Authority {
    /// Makes one.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        limit(&mut params, Validity::Long);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a root");
        Self { issuer }
    }

    /// The root as PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// The root as DER.
    pub fn der(&self) -> Vec<u8> {
        self.issuer.der().to_vec()
    }

    /// Writes the root to a file.
    pub fn write(&self, path: &Path) {
        std::fs::write(path, self.pem()).expect("a CA file");
    }

    /// A certificate for these names; the chain holds the root as well, as DANE-TA needs it
    /// (RFC 7672 §3.1.1).
    pub fn issue(&self, names: &[&str], validity: Validity) -> Identity {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
        self.issue_for(names, validity, &key)
    }

    /// The same with an RSA key, which takes a second to make.
    pub fn issue_rsa(&self, names: &[&str]) -> Identity {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a key");
        self.issue_for(names, Validity::Long, &key)
    }

    fn issue_for(&self, names: &[&str], validity: Validity, key: &KeyPair) -> Identity {
        let leaf = leaf(names, validity);
        let leaf = leaf.signed_by(key, &self.issuer).expect("a certificate");
        identity(vec![leaf.der().to_vec(), self.der()], key)
    }
}

/// A certificate that vouches for itself.
pub fn self_signed(names: &[&str]) -> Identity {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    let leaf = leaf(names, Validity::Long);
    let leaf = leaf.self_signed(&key).expect("a certificate");
    identity(vec![leaf.der().to_vec()], &key)
}

fn leaf(names: &[&str], validity: Validity) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("host names");
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
    ];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    limit(&mut params, validity);
    params
}

fn limit(params: &mut CertificateParams, validity: Validity) {
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = match validity {
        Validity::Long => rcgen::date_time_ymd(2049, 12, 31),
        Validity::Expired => rcgen::date_time_ymd(2020, 12, 31),
    };
}

fn identity(chain: Vec<Vec<u8>>, key: &KeyPair) -> Identity {
    let pem = |bytes: &Vec<u8>| {
        let text = crate::lines::base64(bytes);
        let lines: Vec<&str> = (0..text.len())
            .step_by(64)
            .map(|at| &text[at..text.len().min(at + 64)])
            .collect();
        let lines = lines.join("\n");
        format!("-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n")
    };
    Identity {
        pem: (chain.iter().map(pem).collect(), key.serialize_pem()),
        chain,
        key: key.serialize_der(),
        public_key: key.subject_public_key_info(),
    }
}

impl Identity {
    /// The data of a TLSA record `* 1 1` of the leaf: SHA-256 of its public key.
    pub fn spki_sha256(&self) -> [u8; 32] {
        sha256(&self.public_key)
    }

    /// SHA-256 of the leaf, as a fingerprint or the data of a TLSA record `* 0 1`.
    pub fn sha256(&self) -> [u8; 32] {
        sha256(&self.chain[0])
    }

    /// What a rustls server is configured with.
    pub fn rustls(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let chain = self.chain.iter().cloned().map(CertificateDer::from);
        let key = PrivatePkcs8KeyDer::from(self.key.clone());
        (chain.collect(), key.into())
    }

    /// Writes chain and key into a folder; gives their paths.
    pub fn write(&self, dir: &Path) -> (PathBuf, PathBuf) {
        let (chain, key) = (dir.join("chain.pem"), dir.join("key.pem"));
        std::fs::write(&chain, &self.pem.0).expect("a file");
        std::fs::write(&key, &self.pem.1).expect("a file");
        (chain, key)
    }
}

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).into()
}
