//! `rohrpost plan` and `rohrpost apply` of a state file.

use super::{Desk, Format, output};
use clap::Args;
use directory::admin::{AdminError, Removals};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Largest state file that is read; a million accounts need about half of it.
const STATE_BYTES_MAX: u64 = 1 << 30;

#[derive(Args)]
pub(crate) struct Plan {
    /// The state file; - for standard input.
    file: PathBuf,
    #[command(flatten)]
    format: Format,
}

#[derive(Args)]
pub(crate) struct Apply {
    /// The state file; - for standard input.
    file: PathBuf,
    /// Remove accounts that are not in the file, with all their mail.
    #[arg(long)]
    remove_accounts: bool,
    #[command(flatten)]
    format: Format,
}

pub(super) async fn plan(verb: &Plan, desk: &mut Desk<'_>) -> Result<String, AdminError> {
    let text = read(&verb.file, desk)?;
    output::changes(verb.format, &desk.admin.plan(&text).await?.changes)
}

pub(super) async fn apply(verb: &Apply, desk: &mut Desk<'_>) -> Result<String, AdminError> {
    let text = read(&verb.file, desk)?;
    let removals = if verb.remove_accounts {
        Removals::Allowed
    } else {
        Removals::Refused
    };
    let done = desk.admin.apply(&text, removals, desk.now).await?;
    output::changes(verb.format, &done.changes)
}

fn read(file: &Path, desk: &mut Desk<'_>) -> Result<String, AdminError> {
    let mut text = String::new();
    let outcome = if file == Path::new("-") {
        desk.input.take(STATE_BYTES_MAX).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|f| f.take(STATE_BYTES_MAX).read_to_string(&mut text))
    };
    match outcome {
        Ok(_) => Ok(text),
        Err(error) => Err(AdminError::Invalid(format!(
            "{} cannot be read: {error}",
            file.display()
        ))),
    }
}
