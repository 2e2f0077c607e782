//! `rohrpost catalogue`: what is known of mail programs and devices, and an operator's own entries. A face over
//! `policy::clients`; works on the store beside a running node or without one, and tells a running node.

use super::policy::{now, operator};
use super::stores;
use crate::control::{Request, ask};
use crate::settings::Settings;
use clap::{Args, Subcommand};
use platform::clock::Clock;
use platform::store::{Store, Tx};
use policy::Policies;
use policy::admin::{Author, PolicyError};
use policy::clients::entry::{self, Entry};
use policy::clients::{Catalogue, Hints, rows};
use rollout::guides;
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
    let changes = matches!(
        verb,
        Verb::Add { .. } | Verb::Remove { .. } | Verb::Import { .. }
    );
    let store = match changes {
        true => stores::open_or_create_store(settings)?,
        false => stores::open_store(settings)?,
    };
    let text = super::block_on(async {
        let done = carry_out(settings, &store, verb).await;
        done.map_err(|error| error.to_string())
    })??;
    super::print(format_args!("{text}"));
    if changes {
        // Without a node there is nobody to tell; one that does not answer looks within a second.
        let _ = ask(&settings.data_dir, &Request::Refresh);
    }
    Ok(())
}

async fn carry_out(settings: &Settings, store: &Store, verb: &Verb) -> Result<String, PolicyError> {
    let author = |why: &Why| Author {
        by: why.by.clone().unwrap_or_else(operator),
        reason: why.reason.clone(),
        now: now(settings),
    };
    match verb {
        Verb::Add { file, why } => {
            let entries = read(file)?;
            let told = entries.iter().map(added).collect();
            rows::add(store, entries, author(why)).await?;
            Ok(told)
        }
        Verb::Import { file, why } => {
            let (wanted, author) = (rows::by_id(read(file)?), author(why));
            let replace = move |tx: &mut dyn Tx| rows::replace(tx, &wanted, &author);
            let changes = store.write(replace).await?;
            Ok(match changes.as_slice() {
                [] => "Nothing changes.\n".to_owned(),
                changes => changes.join("\n") + "\n",
            })
        }
        Verb::Remove { id, why } => match rows::take_away(store, id, author(why)).await? {
            true => Ok(format!("The entry {id} is removed.\n")),
            false => Err(missing(id)),
        },
        Verb::List { .. } | Verb::Show { .. } | Verb::Export { .. } | Verb::Recognise(_) => {
            let clock = Clock::settable(now(settings));
            let policies = Policies::open(store.clone(), clock).await?;
            tell(&policies.catalogue(), verb)
        }
    }
}

fn tell(catalogue: &Catalogue, verb: &Verb) -> Result<String, PolicyError> {
    match verb {
        Verb::List { json: true } => json(catalogue),
        Verb::List { json: false } => Ok(list(catalogue)),
        Verb::Show { id } => {
            let entry = catalogue.get(id).ok_or_else(|| missing(id))?;
            Ok(entry::write(std::iter::once(entry)))
        }
        Verb::Export { all } => {
            let wanted = catalogue.entries();
            let wanted = wanted.filter(|entry| *all || catalogue.is_own(&entry.id));
            Ok(entry::write(wanted))
        }
        Verb::Recognise(shown) => Ok(recognise(catalogue, shown)),
        Verb::Add { .. } | Verb::Import { .. } | Verb::Remove { .. } => Ok(String::new()),
    }
}

fn missing(id: &str) -> PolicyError {
    PolicyError::Missing(format!(
        "the catalogue has no entry \"{id}\" of your own; `rohrpost catalogue list` shows what there is"
    ))
}

fn read(file: &Path) -> Result<Vec<Entry>, PolicyError> {
    let unreadable =
        |error: std::io::Error| PolicyError::Invalid(format!("{}: {error}", file.display()));
    if std::fs::metadata(file).map_err(unreadable)?.len() > FILE_BYTES_MAX {
        let text = format!("{} has more than {FILE_BYTES_MAX} bytes", file.display());
        return Err(PolicyError::Invalid(text));
    }
    let text = std::fs::read_to_string(file).map_err(unreadable)?;
    let in_file = |problem| PolicyError::Invalid(format!("{}: {problem}", file.display()));
    entry::parse(&text).map_err(in_file)
}

/// What was added; a guide nobody has is no error, as guides come with the program.
fn added(entry: &Entry) -> String {
    let mut text = format!("The catalogue has the entry {} now.\n", entry.id);
    if guides::get(&entry.guide).is_none() {
        let known: Vec<_> = guides::all().iter().map(guides::Guide::id).collect();
        let _strings_take_everything = writeln!(
            text,
            "warning: there is no guide \"{}\"; its users get the general one. There are: {}",
            entry.guide,
            known.join(", ")
        );
    }
    text
}

/// The newest TLS of the oldest and of the newest version.
fn tls_range(entry: &Entry) -> String {
    let of_versions = entry.versions.iter().filter_map(|v| v.newest_tls);
    let all = of_versions.chain(entry.newest_tls);
    let (least, most) = (all.clone().min(), all.max());
    match (least, most) {
        (Some(least), Some(most)) if least != most => {
            format!("{}..{}", least.word(), most.word())
        }
        (Some(tls), _) => tls.word().to_owned(),
        (None, _) => "-".to_owned(),
    }
}

fn list(catalogue: &Catalogue) -> String {
    let mut text = format!(
        "  {:<24}{:<14}{:<10}{:<14}{}\n",
        "ID", "CLASS", "TLS", "GUIDE", "NAME"
    );
    for entry in catalogue.entries() {
        let mark = match catalogue.is_own(&entry.id) {
            true => "*",
            false => " ",
        };
        let (id, class, guide) = (&entry.id, entry.class.word(), &entry.guide);
        let tls = tls_range(entry);
        let _strings_take_everything = writeln!(
            text,
            "{mark} {id:<24}{class:<14}{tls:<10}{guide:<14}{}",
            entry.name
        );
    }
    text
}

fn json(catalogue: &Catalogue) -> Result<String, PolicyError> {
    let entries: Vec<_> = catalogue
        .entries()
        .map(|entry| {
            let versions: Vec<_> = entry
                .versions
                .iter()
                .map(|version| {
                    serde_json::json!({
                        "label": version.label.as_ref(),
                        "newest_tls": version.newest_tls.map(|tls| tls.word()),
                        "updated_tls": version.updated_tls.map(|tls| tls.word()),
                        "support_ended": version.support_ended,
                    })
                })
                .collect();
            serde_json::json!({
                "id": entry.id.as_ref(), "name": entry.name.as_ref(), "vendor": entry.vendor,
                "class": entry.class.word(), "platform": entry.platform.word(),
                "guide": entry.guide.as_ref(), "own": catalogue.is_own(&entry.id),
                "newest_tls": entry.newest_tls.map(|tls| tls.word()), "versions": versions,
            })
        })
        .collect();
    serde_json::to_string_pretty(&entries)
        .map(|text| text + "\n")
        .map_err(|error| PolicyError::Invalid(error.to_string()))
}

fn recognise(catalogue: &Catalogue, shown: &Shown) -> String {
    let found = catalogue.recognise(&Hints {
        fingerprint: shown.fingerprint.as_deref(),
        offered_versions: None,
        imap_id_name: shown.imap_id.as_deref(),
        imap_id_version: shown.imap_version.as_deref(),
        imap_id_os: shown.imap_os.as_deref(),
        hello: shown.hello.as_deref(),
        mailer: shown.mailer.as_deref(),
    });
    let tls = found.newest_tls.map_or("-", |tls| tls.word());
    format!(
        "{found}\nkey: {}\nsure: {:?}\nnewest TLS: {tls}\nguide: {}\n",
        found.key(),
        found.confidence,
        found.guide
    )
}
