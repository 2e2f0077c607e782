//! `rohrpost export`, and `plan` and `apply` of a state file: everything that an installation's operator decided, as the
//! admin API writes and reads it. Reads the file and prints what the API says.

use super::{Desk, Format, output};
use crate::cli::admin_api::{AdminApi, Method, path};
use clap::Args;
use https::api::state::Changes;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Largest state file that is read, in bytes; the API takes as much from here.
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

pub(super) async fn export(api: &AdminApi) -> Result<String, String> {
    api.text(&path(&["state"], &[])).await
}

pub(super) async fn plan(verb: &Plan, desk: &mut Desk<'_>) -> Result<String, String> {
    let text = read(&verb.file, desk.input)?;
    let place = path(&["state", "plan"], &[]);
    let planned = desk.api.send_text(Method::Post, &place, text).await?;
    Ok(told(verb.format, &planned))
}

pub(super) async fn apply(verb: &Apply, desk: &mut Desk<'_>) -> Result<String, String> {
    let text = read(&verb.file, desk.input)?;
    let removals = match verb.remove_accounts {
        true => "allowed",
        false => "refused",
    };
    let place = path(&["state"], &[("removals", removals)]);
    let done = desk.api.send_text(Method::Put, &place, text).await?;
    Ok(told(verb.format, &done))
}

/// Warnings, then a sentence for each change, then whom it cuts off.
fn told(format: Format, changes: &Changes) -> String {
    output::value(format, changes, |changes| {
        let mut text = String::new();
        for warning in &changes.warnings {
            text.push_str(&format!("warning: {warning}\n"));
        }
        let breaks = changes.breaks.iter().map(|one| &one.told);
        let all = changes.changes.iter().chain(breaks).cloned().collect();
        text + &output::sentences(Format { json: false }, all)
    })
}

fn read(file: &Path, input: &mut dyn Read) -> Result<String, String> {
    let mut text = String::new();
    let outcome = match file == Path::new("-") {
        true => input.take(STATE_BYTES_MAX).read_to_string(&mut text),
        false => std::fs::File::open(file)
            .and_then(|f| f.take(STATE_BYTES_MAX).read_to_string(&mut text)),
    };
    match outcome {
        Ok(_) => Ok(text),
        Err(error) => Err(format!("{} cannot be read: {error}", file.display())),
    }
}
