//! `rohrpost rollout`: announcements, their measures and their letters on the command line. Reads files and prints what
//! the admin API says; decides nothing itself.

mod letters;
mod show;
mod voice;

use super::admin_api::{AdminApi, Method, path};
use super::policy::output::Format;
use crate::settings::Settings;
use clap::{Args, Subcommand};
use https::api::letters::{WriteRound, WrittenRound};
use https::api::rollouts::{
    KeptRollout, RolloutAction, SteerRollout, SteeredRollout, Warnings, WriteRollout,
};
use rollout::{Rollout, document};
use serde::de::DeserializeOwned;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What can be done with rollouts.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Prints a rollout to begin with, as TOML.
    Sample,
    /// Keeps a new rollout as a draft; nobody sees it, nothing is set.
    ///
    /// Every text is filled in every form (German and English, Sie and Du, both gender forms, each mail
    /// program's guide) first; what would be left unfilled is named and nothing is kept.
    Create {
        /// The file (TOML); - reads standard input.
        file: PathBuf,
        #[command(flatten)]
        why: Why,
    },
    /// Changes a rollout: all of it until it starts, then its texts, rounds and notes.
    Update {
        /// The file (TOML); - reads standard input.
        file: PathBuf,
        #[command(flatten)]
        why: Why,
    },
    /// Removes a draft, or a rollout that was rolled back.
    Remove {
        /// Its name.
        slug: String,
    },
    /// Lists rollouts, newest first.
    List {
        #[command(flatten)]
        format: Format,
    },
    /// Shows a rollout: dates (internal ones too), letters, notes, history.
    Show {
        /// Its name.
        slug: String,
    },
    /// Prints its file, as `create` and `update` read it.
    Export {
        /// Its name.
        slug: String,
    },
    /// Prints every text in every form, as readers would get it.
    Preview(show::Preview),
    /// Shows what starting it would set, and whom that concerns today. Sets nothing.
    Plan {
        /// Its name.
        slug: String,
    },
    /// Shows whom it concerns today, by name.
    Impact {
        /// Its name.
        slug: String,
        /// Print CSV (RFC 4180), a line per account.
        #[arg(long)]
        csv: bool,
    },
    /// Makes its page public; the newsletter goes out on its date from then on.
    Announce {
        /// Its name.
        slug: String,
        #[command(flatten)]
        why: Why,
    },
    /// Sets its schedules, all or none, after showing the plan; rounds go out from then on.
    Start {
        /// Its name.
        slug: String,
        #[command(flatten)]
        why: Why,
    },
    /// Holds its measures at observe, whatever the dates say, and its letters back.
    Pause {
        /// Its name.
        slug: String,
        #[command(flatten)]
        why: Why,
    },
    /// Lets its dates hold again.
    Resume {
        /// Its name.
        slug: String,
        #[command(flatten)]
        why: Why,
    },
    /// Sets back everything it set. Settings that somebody changed since are named and left.
    Rollback {
        /// Its name.
        slug: String,
        #[command(flatten)]
        why: Why,
    },
    /// Ends it: what it set stays, no more letters go out.
    End {
        /// Its name.
        slug: String,
        #[command(flatten)]
        why: Why,
    },
    /// Shows its letters: round, reader, and what became of each, with the time.
    Letters(letters::Options),
    /// Writes a round of letters now, to whom it concerns now; a running node sends them within a second.
    ///
    /// Rounds that are asked for are numbered from 1001.
    Round {
        /// Its name.
        slug: String,
        /// Say that now is meant; planned rounds need no command.
        #[arg(long, required = true)]
        now: bool,
        #[command(flatten)]
        why: Why,
    },
    /// Prints whom it concerns with their domain and its contact as CSV, for letters on paper or by others.
    Contacts {
        /// Its name.
        slug: String,
    },
    /// How the provider speaks in all texts: name, sender, telephone, Sie or Du, hosts.
    #[command(subcommand)]
    Voice(voice::Verb),
}

/// Who changes something and why.
#[derive(Args, Debug, Clone)]
pub(crate) struct Why {
    /// Why; kept in the history. The rollout's own reason when not given.
    #[arg(long, default_value = "")]
    reason: String,
    /// Who; the user of the operating system when not given.
    #[arg(long)]
    by: Option<String>,
}

impl Verb {
    fn changes_something(&self) -> bool {
        match self {
            Self::Sample
            | Self::List { .. }
            | Self::Show { .. }
            | Self::Export { .. }
            | Self::Preview(_)
            | Self::Plan { .. }
            | Self::Impact { .. }
            | Self::Letters(_)
            | Self::Contacts { .. } => false,
            Self::Voice(verb) => verb.changes_something(),
            _ => true,
        }
    }
}

/// Carries out one command.
///
/// # Errors
/// A text for the person at the terminal.
pub(super) fn run(settings: &Settings, verb: &Verb) -> Result<(), String> {
    if matches!(verb, Verb::Sample) {
        super::print(format_args!("{}", include_str!("sample.toml")));
        return Ok(());
    }
    let text = super::block_on(async {
        let api = match verb.changes_something() {
            true => AdminApi::open_or_create(settings).await?,
            false => AdminApi::open(settings).await?,
        };
        carry_out(verb, api).await
    })??;
    super::print(format_args!("{text}"));
    Ok(())
}

async fn carry_out(verb: &Verb, api: AdminApi) -> Result<String, String> {
    match verb {
        Verb::Sample => Ok(String::new()),
        Verb::Create { file, why } => {
            let (slug, written) = read(file, why)?;
            let api = api.acting_for(why.by.as_deref());
            let place = path(&["rollouts"], &[]);
            let told: Warnings = api.send(Method::Post, &place, &written).await?;
            let kept = format!(
                "Rollout {slug} is kept as a draft. Look at it by `rohrpost rollout preview {slug}` and \
                 `rohrpost rollout plan {slug}`, then `rohrpost rollout announce {slug}`.\n"
            );
            Ok(warned(&told.warnings) + &kept)
        }
        Verb::Update { file, why } => {
            let (slug, written) = read(file, why)?;
            let api = api.acting_for(why.by.as_deref());
            let place = path(&["rollouts", &slug], &[]);
            let told: Warnings = api.send(Method::Put, &place, &written).await?;
            Ok(warned(&told.warnings) + &format!("Rollout {slug} is changed.\n"))
        }
        Verb::Remove { slug } => {
            let place = path(&["rollouts", slug], &[]);
            let () = api.send(Method::Delete, &place, &()).await?;
            Ok(format!("Rollout {slug} is removed.\n"))
        }
        Verb::List { format } => show::list(&api, *format).await,
        Verb::Show { slug } => show::one(&api, slug).await,
        Verb::Export { slug } => {
            let kept: KeptRollout = of(&api, slug, &[]).await?;
            document(&rollout(&kept)?).map_err(|error| error.to_string())
        }
        Verb::Preview(options) => show::preview(&api, options).await,
        Verb::Plan { slug } => show::plan(&api, slug).await,
        Verb::Impact { slug, csv } => show::impact(&api, slug, *csv).await,
        Verb::Letters(options) => letters::run(&api, options).await,
        Verb::Contacts { slug } => letters::contacts(&api, slug).await,
        Verb::Voice(verb) => voice::run(api, verb).await,
        other => go_on(other, api).await,
    }
}

/// What belongs to a rollout.
async fn of<T: DeserializeOwned>(api: &AdminApi, slug: &str, part: &[&str]) -> Result<T, String> {
    let place = [&["rollouts", slug][..], part].concat();
    api.get(&path(&place, &[])).await
}

/// The document of a rollout.
fn rollout(kept: &KeptRollout) -> Result<Rollout, String> {
    let read = kept.rollout();
    read.map_err(|error| format!("rollout {} cannot be read: {error}", kept.slug))
}

/// What brings a rollout from one state into the next.
async fn go_on(verb: &Verb, api: AdminApi) -> Result<String, String> {
    let (slug, why) = match verb {
        Verb::Announce { slug, why }
        | Verb::Start { slug, why }
        | Verb::Pause { slug, why }
        | Verb::Resume { slug, why }
        | Verb::Rollback { slug, why }
        | Verb::End { slug, why }
        | Verb::Round { slug, why, .. } => (slug.as_str(), why),
        // Everything else is answered above.
        _ => return Ok(String::new()),
    };
    let api = api.acting_for(why.by.as_deref());
    let steer = async |action| steer(&api, action, slug, &why.reason).await;
    match verb {
        Verb::Announce { .. } => {
            let done = steer(RolloutAction::Announce).await?;
            Ok(format!("Rollout {slug} is announced: {}\n", done.page))
        }
        Verb::Start { .. } => {
            let plan = show::plan(&api, slug).await?;
            steer(RolloutAction::Start).await?;
            Ok(format!("{plan}Rollout {slug} runs.\n"))
        }
        Verb::Pause { .. } => {
            let done = steer(RolloutAction::Pause).await?;
            Ok(show::settings(&done) + &format!("Rollout {slug} is paused.\n"))
        }
        Verb::Resume { .. } => {
            let done = steer(RolloutAction::Resume).await?;
            Ok(show::settings(&done) + &format!("Rollout {slug} runs.\n"))
        }
        Verb::Rollback { .. } => {
            let done = steer(RolloutAction::RollBack).await?;
            Ok(show::settings(&done) + &format!("Rollout {slug} is rolled back.\n"))
        }
        Verb::End { .. } => {
            steer(RolloutAction::End).await?;
            Ok(format!("Rollout {slug} is over; what it set stays.\n"))
        }
        _ => {
            let place = path(&["rollouts", slug, "rounds"], &[]);
            let meant = WriteRound {
                reason: why.reason.clone(),
            };
            let written: WrittenRound = api.send(Method::Post, &place, &meant).await?;
            Ok(format!("{} letters are written.\n", written.letters))
        }
    }
}

async fn steer(
    api: &AdminApi,
    action: RolloutAction,
    slug: &str,
    reason: &str,
) -> Result<SteeredRollout, String> {
    let wanted = SteerRollout {
        action,
        reason: reason.to_owned(),
    };
    let place = path(&["rollouts", slug, "state"], &[]);
    api.send(Method::Post, &place, &wanted).await
}

fn warned(warnings: &[String]) -> String {
    warnings
        .iter()
        .map(|warning| format!("warning: {warning}\n"))
        .collect()
}

/// The rollout in a file: its slug, and what the API takes.
fn read(file: &Path, why: &Why) -> Result<(String, WriteRollout), String> {
    let invalid = |why: String| format!("{}: {why}", file.display());
    let mut text = String::new();
    let read = match file.to_str() {
        Some("-") => std::io::stdin()
            .take(FILE_BYTES_MAX)
            .read_to_string(&mut text),
        _ => std::fs::File::open(file)
            .and_then(|opened| opened.take(FILE_BYTES_MAX).read_to_string(&mut text)),
    };
    read.map_err(|error| invalid(error.to_string()))?;
    let rollout: Rollout = toml::from_str(&text).map_err(|error| invalid(error.to_string()))?;
    let document = serde_json::to_value(&rollout).map_err(|error| invalid(error.to_string()))?;
    let reason = why.reason.clone();
    Ok((rollout.slug, WriteRollout { document, reason }))
}
