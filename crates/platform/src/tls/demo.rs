//! Makes a certificate authority and server certificates of both kinds, for demo runs and tests.
//! Never used by a production server, whose certificates come from a real authority.

use crate::tls::CertStore;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize,
};
use std::io;
use std::path::{Path, PathBuf};

/// What `demo_ca` wrote.
#[derive(Debug, Clone)]
pub struct DemoFiles {
    /// The authority's certificate, `ca.pem`: what clients must trust.
    pub ca: PathBuf,
    /// Holds the certificates and keys, for `CertStore::from_dir`.
    pub directory: PathBuf,
}

/// Creates an authority and, signed by it, an ECDSA P-256 and an RSA-3072 certificate for `host_names`, 127.0.0.1 and
/// ::1. Files that are there already and name the same hosts stay as they are, so that a second start of a demo serves
/// the same authority.
/// Takes about a second, for the RSA key.
///
/// # Errors
/// Where a file cannot be written or a host name is not one.
pub fn demo_ca(directory: &Path, host_names: &[&str]) -> io::Result<DemoFiles> {
    let files = DemoFiles {
        ca: directory.join("ca.pem"),
        directory: directory.to_owned(),
    };
    let complete = ["ca.pem", "ecdsa.crt", "ecdsa.key", "rsa.crt", "rsa.key"]
        .iter()
        .all(|name| directory.join(name).exists());
    if complete && names_fit(directory, host_names) {
        return Ok(files);
    }
    std::fs::create_dir_all(directory)?;
    create(directory, host_names).map_err(io::Error::other)??;
    Ok(files)
}

fn names_fit(directory: &Path, host_names: &[&str]) -> bool {
    let Ok(store) = CertStore::from_dir(directory, None) else {
        return false;
    };
    let mut wanted: Vec<String> = host_names.iter().map(|n| n.to_ascii_lowercase()).collect();
    wanted.sort_unstable();
    wanted.dedup();
    store.names() == wanted
}

fn create(directory: &Path, host_names: &[&str]) -> Result<io::Result<()>, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
        .distinguished_name
        .push(DnType::CommonName, "Rohrpost demo authority");
    valid_from_now(&mut params);
    let ca_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let issuer = CertifiedIssuer::self_signed(params, ca_key)?;

    let kinds = [
        ("ecdsa", KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?),
        (
            "rsa",
            KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_3072)?,
        ),
    ];
    let mut written = write_public(&directory.join("ca.pem"), &issuer.pem());
    for (kind, key) in kinds {
        let leaf = leaf_params(host_names)?.signed_by(&key, &issuer)?;
        written = written
            .and_then(|()| {
                write_private(
                    &directory.join(kind).with_extension("key"),
                    &key.serialize_pem(),
                )
            })
            .and_then(|()| write_public(&directory.join(kind).with_extension("crt"), &leaf.pem()));
    }
    Ok(written)
}

fn leaf_params(host_names: &[&str]) -> Result<CertificateParams, rcgen::Error> {
    let mut names: Vec<String> = host_names.iter().map(|name| (*name).to_owned()).collect();
    names.extend(["127.0.0.1".to_owned(), "::1".to_owned()]);
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    if let Some(first) = host_names.first() {
        params.distinguished_name.push(DnType::CommonName, *first);
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    valid_from_now(&mut params);
    Ok(params)
}

/// Wide limits: a demo's clock may be set anywhere between these.
fn valid_from_now(params: &mut CertificateParams) {
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2049, 12, 31);
}

fn write_public(path: &Path, text: &str) -> io::Result<()> {
    std::fs::write(path, text)
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}
