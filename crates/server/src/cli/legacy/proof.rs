//! `rohrpost legacy proof` and `verify`: a signed statement about the TLS of a customer's domain. The admin API makes it;
//! whoever has the key can check it without this server.

use super::pretty;
use crate::cli::admin_api::{AdminApi, path};
use crate::node::http::proof_key;
use crate::settings::Settings;
use https::proof::{Proof, checked, document};
use platform::random::Random;
use std::path::Path;

/// Largest file that is read as a proof, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

pub(super) async fn make(
    api: &AdminApi,
    domain: &str,
    pdf: Option<&Path>,
) -> Result<String, String> {
    let at = path(&["domains", domain, "legacy-proof"], &[]);
    let proof: Proof = api.get(&at).await?;
    if let Some(path) = pdf {
        std::fs::write(path, document::pdf(&proof))
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    pretty(&proof)
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
        None => proof_key(settings, &Random::from_os())
            .map_err(|error| error.to_string())?
            .public(),
    };
    let statement = checked(&bytes, &key)?;
    Ok(format!(
        "The proof is genuine: made by {} on {} about {}.",
        statement.host, statement.made_at, statement.domain
    ))
}
