//! The keys in a certificate directory as DANE sees them: the digest of each public key, and new keys with a
//! request for a certificate. Private keys are written for their owner only and never shown.

use crate::dns::Tlsa;
use crate::tls::validity;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData as _};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// One key of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKey {
    /// The files' name without `.key` and `.crt`.
    pub stem: String,
    /// Whether a certificate lies beside it.
    pub certified: bool,
    /// Host names of the certificate, where there is one.
    pub names: Vec<String>,
    /// The record that means this key: `3 1 1`, which survives new certificates for it (RFC 7671 §5.1).
    pub record: Tlsa,
}

/// Every key in `directory`, by name. A directory that is not there has none.
///
/// # Errors
/// In words, where a file cannot be read or holds no key.
pub fn host_keys(directory: &Path) -> Result<Vec<HostKey>, String> {
    let wrong = |error: std::io::Error| format!("{} cannot be read: {error}", directory.display());
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(wrong(error)),
    };
    let mut keys = Vec::new();
    for entry in entries {
        let path = entry.map_err(wrong)?.path();
        if path.extension().is_some_and(|extension| extension == "key") {
            keys.push(host_key(&path)?);
        }
    }
    keys.sort_by(|a, b| a.stem.cmp(&b.stem));
    Ok(keys)
}

fn host_key(path: &Path) -> Result<HostKey, String> {
    let wrong = |path: &Path, why: String| format!("{} cannot be used: {why}", path.display());
    let pem = std::fs::read_to_string(path).map_err(|e| wrong(path, e.to_string()))?;
    let pem = zeroize::Zeroizing::new(pem);
    let key = KeyPair::from_pem(&pem).map_err(|e| wrong(path, e.to_string()))?;
    let public_key = key.subject_public_key_info();
    let chain = path.with_extension("crt");
    let certified = chain.exists();
    let mut names = Vec::new();
    if certified {
        let leaf =
            CertificateDer::from_pem_file(&chain).map_err(|e| wrong(&chain, e.to_string()))?;
        if validity::public_key(&leaf) != Some(public_key.as_slice()) {
            return Err(wrong(
                &chain,
                format!("it is not for the key {}", path.display()),
            ));
        }
        let parsed =
            webpki::EndEntityCert::try_from(&leaf).map_err(|e| wrong(&chain, e.to_string()))?;
        names.extend(parsed.valid_dns_names().map(str::to_ascii_lowercase));
    }
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &public_key);
    Ok(HostKey {
        stem: path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        certified,
        names,
        record: Tlsa {
            usage: 3,
            selector: 1,
            matching: 1,
            data: digest.as_ref().into(),
        },
    })
}

/// Writes a new ECDSA P-256 key `STEM.key` and a request for a certificate `STEM.csr` for `names` to `directory`.
///
/// # Errors
/// In words; also where the key is there already: it is never written over.
pub fn make_key(directory: &Path, stem: &str, names: &[String]) -> Result<(), String> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|e| e.to_string())?;
    let params = CertificateParams::new(names.to_vec()).map_err(|e| e.to_string())?;
    let request = params.serialize_request(&key).map_err(|e| e.to_string())?;
    let request = request.pem().map_err(|e| e.to_string())?;
    let mut made = std::fs::DirBuilder::new();
    made.recursive(true).mode(0o700);
    made.create(directory)
        .map_err(|e| format!("{}: {e}", directory.display()))?;
    let private = zeroize::Zeroizing::new(key.serialize_pem());
    for (extension, text) in [("key", private.as_str()), ("csr", request.as_str())] {
        let path = directory.join(format!("{stem}.{extension}"));
        let mut options = std::fs::OpenOptions::new();
        options.write(true).mode(0o600);
        let options = match extension {
            "key" => options.create_new(true),
            _ => options.create(true).truncate(true),
        };
        options
            .open(&path)
            .and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()
            })
            .map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_record_with_and_without_its_certificate() {
        let files = tempfile::tempdir().unwrap();
        assert_eq!(host_keys(&files.path().join("none")), Ok(Vec::new()));
        crate::tls::demo_ca(files.path(), &["mx.test"]).unwrap();
        let keys = host_keys(files.path()).unwrap();
        let stems: Vec<_> = keys.iter().map(|key| key.stem.as_str()).collect();
        assert_eq!(stems, ["ecdsa", "rsa"]);
        assert!(
            keys.iter()
                .all(|key| key.certified && key.names.contains(&"mx.test".to_owned()))
        );
        std::fs::remove_file(files.path().join("rsa.crt")).unwrap();
        let bare = host_keys(files.path()).unwrap();
        assert!(!bare[1].certified);
        assert_eq!(bare[1].record, keys[1].record);
        // A certificate of another key is no certificate of this one.
        std::fs::copy(files.path().join("ecdsa.crt"), files.path().join("rsa.crt")).unwrap();
        assert!(host_keys(files.path()).is_err());
    }

    #[test]
    fn a_new_key_is_never_written_over() {
        let files = tempfile::tempdir().unwrap();
        let next = files.path().join("next");
        make_key(&next, "mx", &["mx.test".to_owned()]).unwrap();
        assert!(make_key(&next, "mx", &["mx.test".to_owned()]).is_err());
        let keys = host_keys(&next).unwrap();
        assert_eq!((keys.len(), keys[0].record.data.len()), (1, 32));
        let request = std::fs::read_to_string(next.join("mx.csr")).unwrap();
        assert!(request.starts_with("-----BEGIN CERTIFICATE REQUEST-----"));
    }
}
