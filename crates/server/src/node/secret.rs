//! The file of the installation secret: `installation.secret` in the data directory, readable by its owner only. It
//! is made at the first start and never changed. It stands beside the store, not in it, so that a dump of the
//! database alone gives away no private key; `backup` copies it, and every node of an installation has the same one.

use super::parts::StartError;
use platform::random::Random;
use signing::InstallationSecret;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Where the secret of a data directory is.
pub(crate) fn secret_path(data_dir: &Path) -> PathBuf {
    data_dir.join("installation.secret")
}

/// Reads the secret, or makes it where there is none. `Signing::open` then finds out whether the store's keys were
/// sealed with this one.
///
/// # Errors
/// Where the file cannot be read or made, or holds something else.
pub(crate) fn installation_secret(
    data_dir: &Path,
    random: &Random,
) -> Result<InstallationSecret, StartError> {
    let path = secret_path(data_dir);
    let failed = |error| StartError::new(path.display().to_string(), error);
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let text = Zeroizing::new(text);
            InstallationSecret::from_hex(&text).ok_or_else(|| {
                StartError::new(
                    path.display().to_string(),
                    "is no installation secret (64 hexadecimal digits); put back the file from a backup or \
                     from another node",
                )
            })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let secret = InstallationSecret::generate(random);
            match write_new(&path, &secret) {
                // Another process was quicker: its secret counts.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    installation_secret(data_dir, random)
                }
                written => written.map(|()| secret).map_err(failed),
            }
        }
        Err(error) => Err(failed(error)),
    }
}

/// The file appears whole or not at all.
fn write_new(path: &Path, secret: &InstallationSecret) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let new = path.with_extension(format!("new-{}", std::process::id()));
    let _ = std::fs::remove_file(&new);
    let mut file = std::fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(secret.to_hex().as_bytes())?;
    file.sync_all()?;
    // A link, unlike a renaming, does not replace what another process has put there.
    let linked = std::fs::hard_link(&new, path);
    std::fs::remove_file(&new)?;
    linked?;
    path.parent()
        .map_or(Ok(()), |dir| std::fs::File::open(dir)?.sync_all())
}
