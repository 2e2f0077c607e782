//! `rohrpost export`, and `plan` and `apply` of a state file: the directory, and with it the policy, which
//! stands in the same file and is carried out in a transaction of its own after the directory's.

use super::super::policy::state as policy;
use super::{Desk, Format, output};
use clap::Args;
use directory::admin::{AdminError, Removals};
use directory::state::Change;
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

pub(super) async fn export(desk: &mut Desk<'_>) -> Result<String, AdminError> {
    let mut text = desk.admin.export().await?;
    let settings = policy::export(desk.admin.directory().store(), desk.now)
        .await
        .map_err(AdminError::Invalid)?;
    if !settings.is_empty() {
        text.push('\n');
        text.push_str(&settings);
    }
    Ok(text)
}

pub(super) async fn plan(verb: &Plan, desk: &mut Desk<'_>) -> Result<String, AdminError> {
    let text = read(&verb.file, desk)?;
    let (directory, wish) = policy::split(&text).map_err(AdminError::Invalid)?;
    let planned = desk.admin.plan(&directory).await?.changes;
    let store = desk.admin.directory().store();
    let settings = policy::plan(store, &wish, desk.now)
        .await
        .map_err(AdminError::Invalid)?;
    let breaks = policy::breaks(store, &settings, desk.now)
        .await
        .map_err(AdminError::Invalid)?;
    let mut sentences = all(&planned, settings.sentences);
    sentences.extend(breaks);
    output::sentences(verb.format, sentences)
}

pub(super) async fn apply(verb: &Apply, desk: &mut Desk<'_>) -> Result<String, AdminError> {
    let text = read(&verb.file, desk)?;
    let (directory, wish) = policy::split(&text).map_err(AdminError::Invalid)?;
    let removals = if verb.remove_accounts {
        Removals::Allowed
    } else {
        Removals::Refused
    };
    let done = desk.admin.apply(&directory, removals, desk.now).await?;
    let store = desk.admin.directory().store();
    // What went with its account is gone already, so this is planned after the directory's part.
    let halfway = |why: String| {
        AdminError::Invalid(format!(
            "domains, accounts, aliases and groups are as the file says; of its policy and identities \
             nothing was done: {}. Mend the file and apply it again",
            why.trim_end_matches('.')
        ))
    };
    let settings = policy::plan(store, &wish, desk.now)
        .await
        .map_err(halfway)?;
    policy::apply(store, &settings, desk.now)
        .await
        .map_err(halfway)?;
    output::sentences(verb.format, all(&done.changes, settings.sentences))
}

fn all(directory: &[Change], policy: Vec<String>) -> Vec<String> {
    let mut sentences: Vec<String> = directory.iter().map(ToString::to_string).collect();
    sentences.extend(policy);
    sentences
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
