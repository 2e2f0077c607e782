//! `rohrpost rollout`: announcements, their measures and their letters on the command line. A face over
//! `rollout::Rollouts`; works on the store beside a running node, which sends what is written here.

mod letters;
mod show;
mod voice;

use super::policy::output::{self, Format};
use super::policy::{now, operator};
use super::stores;
use crate::control::{Request, ask};
use crate::settings::Settings;
use clap::{Args, Subcommand};
use platform::clock::{Clock, Timestamp};
use policy::Policies;
use policy::admin::Author;
use rollout::{Rollout, RolloutError, Rollouts, document};
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

/// What a verb works with.
struct Desk {
    rollouts: Rollouts,
    policies: Policies,
    now: Timestamp,
}

impl Desk {
    fn author(&self, why: &Why) -> Author {
        Author {
            by: why.by.clone().unwrap_or_else(operator),
            reason: why.reason.clone(),
            now: self.now,
        }
    }
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
    let store = match verb.changes_something() {
        true => stores::open_or_create_store(settings)?,
        false => stores::open_store(settings)?,
    };
    // What sessions saw until now counts in plans and rounds.
    let _ = ask(&settings.data_dir, &Request::Keep);
    let now = now(settings);
    let text = super::block_on(async {
        let policies = Policies::open(store.clone(), Clock::settable(now))
            .await
            .map_err(|error| error.to_string())?;
        let desk = Desk {
            rollouts: Rollouts::new(store, policies.clone(), &settings.host_name.0),
            policies,
            now,
        };
        let done = carry_out(verb, &desk).await;
        done.map_err(|error| error.to_string())
    })??;
    super::print(format_args!("{text}"));
    if verb.changes_something() {
        // Without a node there is nobody to tell; one that does not answer looks within a second.
        let _ = ask(&settings.data_dir, &Request::Refresh);
    }
    Ok(())
}

async fn carry_out(verb: &Verb, desk: &Desk) -> Result<String, RolloutError> {
    let rollouts = &desk.rollouts;
    match verb {
        Verb::Sample => Ok(String::new()),
        Verb::Create { file, why } => {
            let rollout = read(file)?;
            let slug = rollout.slug.clone();
            let warnings = rollouts.create(rollout, desk.author(why)).await?;
            let kept = format!(
                "Rollout {slug} is kept as a draft. Look at it by `rohrpost rollout preview {slug}` and \
                 `rohrpost rollout plan {slug}`, then `rohrpost rollout announce {slug}`.\n"
            );
            Ok(warned(&warnings) + &kept)
        }
        Verb::Update { file, why } => {
            let rollout = read(file)?;
            let slug = rollout.slug.clone();
            let warnings = rollouts.update(rollout, desk.author(why)).await?;
            Ok(warned(&warnings) + &format!("Rollout {slug} is changed.\n"))
        }
        Verb::Remove { slug } => {
            rollouts.remove(slug).await?;
            Ok(format!("Rollout {slug} is removed.\n"))
        }
        Verb::List { format } => show::list(desk, *format).await,
        Verb::Show { slug } => show::one(desk, slug).await,
        Verb::Export { slug } => document(&rollouts.get(slug).await?.rollout),
        Verb::Preview(options) => show::preview(desk, options).await,
        Verb::Plan { slug } => show::plan(desk, slug).await,
        Verb::Impact { slug, csv } => show::impact(desk, slug, *csv).await,
        Verb::Letters(options) => letters::run(desk, options).await,
        Verb::Contacts { slug } => letters::contacts(desk, slug).await,
        Verb::Voice(verb) => voice::run(desk, verb).await,
        other => go_on(other, desk).await,
    }
}

/// What brings a rollout from one state into the next.
async fn go_on(verb: &Verb, desk: &Desk) -> Result<String, RolloutError> {
    let rollouts = &desk.rollouts;
    match verb {
        Verb::Announce { slug, why } => {
            rollouts.announce(slug, desk.author(why)).await?;
            let voice = rollouts.voice().await?;
            let page = rollout::announce::page(&voice, slug);
            Ok(format!("Rollout {slug} is announced: {page}\n"))
        }
        Verb::Start { slug, why } => {
            let plan = show::plan(desk, slug).await?;
            rollouts.start(slug, desk.author(why)).await?;
            Ok(format!("{plan}Rollout {slug} runs.\n"))
        }
        Verb::Pause { slug, why } => {
            let done = rollouts.pause(slug, desk.author(why)).await?;
            Ok(show::taken_back(&done) + &format!("Rollout {slug} is paused.\n"))
        }
        Verb::Resume { slug, why } => {
            let done = rollouts.resume(slug, desk.author(why)).await?;
            Ok(show::taken_back(&done) + &format!("Rollout {slug} runs.\n"))
        }
        Verb::Rollback { slug, why } => {
            let done = rollouts.roll_back(slug, desk.author(why)).await?;
            Ok(show::taken_back(&done) + &format!("Rollout {slug} is rolled back.\n"))
        }
        Verb::End { slug, why } => {
            rollouts.end(slug, desk.author(why)).await?;
            Ok(format!("Rollout {slug} is over; what it set stays.\n"))
        }
        Verb::Round { slug, why, .. } => {
            let letters = rollouts.round_now(slug, desk.author(why)).await?;
            Ok(format!("{letters} letters are written.\n"))
        }
        // Everything else is answered above.
        _ => Ok(String::new()),
    }
}

fn warned(warnings: &[String]) -> String {
    warnings
        .iter()
        .map(|warning| format!("warning: {warning}\n"))
        .collect()
}

fn read(file: &Path) -> Result<Rollout, RolloutError> {
    let invalid = |why: String| RolloutError::Invalid(format!("{}: {why}", file.display()));
    let mut text = String::new();
    let read = match file.to_str() {
        Some("-") => std::io::stdin()
            .take(FILE_BYTES_MAX)
            .read_to_string(&mut text),
        _ => std::fs::File::open(file)
            .and_then(|opened| opened.take(FILE_BYTES_MAX).read_to_string(&mut text)),
    };
    read.map_err(|error| invalid(error.to_string()))?;
    toml::from_str(&text).map_err(|error| invalid(error.to_string()))
}

fn json(
    format: Format,
    value: &serde_json::Value,
    plain: impl FnOnce() -> String,
) -> Result<String, RolloutError> {
    Ok(output::value(format, value, plain)?)
}
