//! `rohrpost catalogue`: what is known of mail programs and devices, and an operator's own entries. Reads files and
//! prints what the admin API says.

use super::admin_api::{AdminApi, Method, path};
use crate::settings::Settings;
use clap::{Args, Subcommand};
use https::api::catalogue::{ChangedEntries, RecognisedAs};
use https::api::measures::Client;
use serde_json::json;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Verbs of the catalogue.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Lists entries: identifier, kind, newest TLS of their oldest and newest versions, guide. Own ones are
    /// marked with a star.
    List {
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Prints one entry as TOML, as `add` takes it.
    Show {
        /// Its identifier.
        id: String,
    },
    /// Adds the entries of a TOML file; those with the same identifier are replaced, built-in ones are covered.
    Add {
        /// The file.
        file: PathBuf,
        #[command(flatten)]
        why: Why,
    },
    /// Removes an own entry; a built-in one that it covered is back.
    Remove {
        /// Its identifier.
        id: String,
        #[command(flatten)]
        why: Why,
    },
    /// Prints the own entries as TOML, or all.
    Export {
        /// The built-in ones as well.
        #[arg(long)]
        all: bool,
    },
    /// Makes the own entries exactly those of a TOML file.
    Import {
        /// The file.
        file: PathBuf,
        #[command(flatten)]
        why: Why,
    },
    /// Says whom the catalogue would recognise by what a client shows.
    ///
    /// Example: rohrpost catalogue recognise --mailer "Microsoft Outlook 14.0"
    Recognise(Shown),
}

/// Who changes something and why.
#[derive(Args)]
pub(crate) struct Why {
    /// Why.
    #[arg(long, default_value = "")]
    reason: String,
    /// Who; the user of the operating system when not given.
    #[arg(long)]
    by: Option<String>,
}

/// What a client shows of itself.
#[derive(Args)]
pub(crate) struct Shown {
    /// The name in the IMAP command ID.
    #[arg(long)]
    imap_id: Option<String>,
    /// The version in it.
    #[arg(long)]
    imap_version: Option<String>,
    /// The operating system in it.
    #[arg(long)]
    imap_os: Option<String>,
    /// X-Mailer or User-Agent.
    #[arg(long)]
    mailer: Option<String>,
    /// What it says with EHLO.
    #[arg(long)]
    hello: Option<String>,
    /// The fingerprint of its ClientHello, as the log has it.
    #[arg(long)]
    fingerprint: Option<String>,
}

/// Carries out one verb.
///
/// # Errors
/// A text for the person at the terminal.
pub(super) fn run(settings: &Settings, verb: &Verb) -> Result<(), String> {
    let text = super::block_on(async {
        match verb {
            Verb::Add { .. } | Verb::Remove { .. } | Verb::Import { .. } => {
                change(verb, AdminApi::open_or_create(settings).await?).await
            }
            Verb::List { .. } | Verb::Show { .. } | Verb::Export { .. } | Verb::Recognise(_) => {
                tell(verb, &AdminApi::open(settings).await?).await
            }
        }
    })??;
    super::print(format_args!("{text}"));
    Ok(())
}

async fn change(verb: &Verb, api: AdminApi) -> Result<String, String> {
    let own = |why: &Why| path(&["catalogue", "own"], &[("reason", &why.reason)]);
    match verb {
        Verb::Add { file, why } => {
            let api = api.acting_for(why.by.as_deref());
            let text = read(file)?;
            let changed: ChangedEntries = api.send_text(Method::Post, &own(why), text).await?;
            Ok(told(&changed))
        }
        Verb::Import { file, why } => {
            let api = api.acting_for(why.by.as_deref());
            let text = read(file)?;
            let changed: ChangedEntries = api.send_text(Method::Put, &own(why), text).await?;
            Ok(match changed.changes.is_empty() {
                true => "Nothing changes.\n".to_owned(),
                false => told(&changed),
            })
        }
        Verb::Remove { id, why } => {
            let api = api.acting_for(why.by.as_deref());
            let place = path(&["catalogue", "own", id], &[("reason", &why.reason)]);
            let () = api.send(Method::Delete, &place, &()).await?;
            Ok(format!("The entry {id} is removed.\n"))
        }
        // Everything else only looks.
        _ => Ok(String::new()),
    }
}

async fn tell(verb: &Verb, api: &AdminApi) -> Result<String, String> {
    match verb {
        Verb::List { json } => {
            let all: Vec<Client> = api.get(&path(&["catalogue", "clients"], &[])).await?;
            match json {
                true => as_json(&all),
                false => Ok(list(&all)),
            }
        }
        Verb::Show { id } => api.text(&path(&["catalogue", "entries", id], &[])).await,
        Verb::Export { all: true } => api.text(&path(&["catalogue", "entries"], &[])).await,
        Verb::Export { all: false } => api.text(&path(&["catalogue", "own"], &[])).await,
        Verb::Recognise(shown) => recognise(api, shown).await,
        // Everything else changes something.
        _ => Ok(String::new()),
    }
}

fn told(changed: &ChangedEntries) -> String {
    let changes = changed.changes.iter().map(|change| format!("{change}\n"));
    let warnings = changed.warnings.iter();
    let warnings = warnings.map(|warning| format!("warning: {warning}\n"));
    changes.chain(warnings).collect()
}

fn read(file: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("{}: {error}", file.display());
    if std::fs::metadata(file).map_err(unreadable)?.len() > FILE_BYTES_MAX {
        return Err(format!(
            "{} has more than {FILE_BYTES_MAX} bytes",
            file.display()
        ));
    }
    std::fs::read_to_string(file).map_err(unreadable)
}

/// The newest TLS of the oldest and of the newest version.
fn tls_range(entry: &Client) -> String {
    let of_versions = entry.versions.iter().map(|version| &version.newest_tls);
    let all = of_versions.chain([&entry.newest_tls]).flatten();
    let (least, most) = (all.clone().min(), all.max());
    match (least, most) {
        (Some(least), Some(most)) if least != most => format!("{least}..{most}"),
        (Some(tls), _) => tls.clone(),
        (None, _) => "-".to_owned(),
    }
}

fn list(all: &[Client]) -> String {
    let mut text = format!(
        "  {:<24}{:<14}{:<10}{:<14}{}\n",
        "ID", "CLASS", "TLS", "GUIDE", "NAME"
    );
    for entry in all {
        let mark = match entry.own {
            true => "*",
            false => " ",
        };
        let (id, class, guide) = (&entry.id, &entry.class, &entry.guide);
        let tls = tls_range(entry);
        let _strings_take_everything = writeln!(
            text,
            "{mark} {id:<24}{class:<14}{tls:<10}{guide:<14}{}",
            entry.name
        );
    }
    text
}

fn as_json(all: &[Client]) -> Result<String, String> {
    let entries: Vec<_> = all
        .iter()
        .map(|entry| {
            let versions: Vec<_> = entry
                .versions
                .iter()
                .map(|version| {
                    json!({
                        "label": version.label, "newest_tls": version.newest_tls,
                        "updated_tls": version.updated_tls, "support_ended": version.support_ended,
                    })
                })
                .collect();
            json!({
                "id": entry.id, "name": entry.name, "vendor": entry.vendor, "class": entry.class,
                "platform": entry.platform, "guide": entry.guide, "own": entry.own,
                "newest_tls": entry.newest_tls, "versions": versions,
            })
        })
        .collect();
    serde_json::to_string_pretty(&entries)
        .map(|text| text + "\n")
        .map_err(|error| error.to_string())
}

async fn recognise(api: &AdminApi, shown: &Shown) -> Result<String, String> {
    let given = [
        ("imap_id", &shown.imap_id),
        ("imap_version", &shown.imap_version),
        ("imap_os", &shown.imap_os),
        ("mailer", &shown.mailer),
        ("hello", &shown.hello),
        ("fingerprint", &shown.fingerprint),
    ];
    let given = given.into_iter();
    let query: Vec<_> = given
        .filter_map(|(name, value)| Some((name, value.as_deref()?)))
        .collect();
    let found: RecognisedAs = api.get(&path(&["catalogue", "recognise"], &query)).await?;
    Ok(format!(
        "{}\nkey: {}\nsure: {}\nnewest TLS: {}\nguide: {}\n",
        found.client,
        found.key,
        found.confidence,
        found.newest_tls.as_deref().unwrap_or("-"),
        found.guide
    ))
}
