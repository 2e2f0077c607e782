//! `rohrpost rules`: the operator's rules on the command line. Every verb asks the admin API, which makes a new version
//! of each change; here files are read and answers are put into lines. Decides nothing itself.

mod change;
mod show;
mod try_out;

use super::admin_api::{AdminApi, path};
use crate::settings::Settings;
use clap::{Args, Subcommand, ValueEnum};
use formats::language::Language;
use https::api::rules::Rules;
use policy::rules::RuleSet;
use std::path::{Path, PathBuf};

/// Largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What can be done with rules.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Lists the rules in the order in which they are asked.
    List {
        /// Print the set as JSON, as the API gives it.
        #[arg(long)]
        json: bool,
        /// The language of the words.
        #[arg(long, default_value = "en")]
        lang: Lang,
    },
    /// Shows one rule in full.
    Show {
        /// Its name.
        name: String,
        /// Print JSON instead of TOML.
        #[arg(long)]
        json: bool,
    },
    /// Adds a rule, or several, at the end or where --before or --after says.
    ///
    /// FILE holds one rule, or [[rules]] tables, as TOML or JSON; - reads standard input. The answer says what the
    /// linter thinks of the new set.
    ///
    /// Example: rohrpost rules add - --before accept-all <<'END'
    ///          name = "secure-firma"
    ///          at = ["rcpt"]
    ///          when.all = [ { fact = "tls", value = false },
    ///                       { fact = "recipient-domain", value = "firma.example" } ]
    ///          then = [ { do = "reject", status = "7.10", text = "Accepting only secure delivery (STARTTLS)" } ]
    ///          schedule = "observe; 2027-01-15 warn; 2027-02-01 enforce"
    ///          END
    #[command(verbatim_doc_comment)]
    Add {
        /// The file; - is standard input.
        file: PathBuf,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        why: Why,
    },
    /// Replaces a rule, or changes its schedule or note; its place stays.
    Set {
        /// Its name.
        name: String,
        /// The new rule; - is standard input. It may have another name.
        file: Option<PathBuf>,
        /// Only change from when on it acts, such as "observe; 2027-02-01 enforce".
        #[arg(long, conflicts_with = "file")]
        schedule: Option<String>,
        /// Only change the note.
        #[arg(long, conflicts_with = "file")]
        note: Option<String>,
        #[command(flatten)]
        why: Why,
    },
    /// Moves a rule to another place in the order.
    Move {
        /// Its name.
        name: String,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        why: Why,
    },
    /// Removes a rule.
    Remove {
        /// Its name.
        name: String,
        #[command(flatten)]
        why: Why,
    },
    /// Says what is likely to be a mistake: never reached, contradicting, never holding, in an odd order.
    ///
    /// Exit code 1 where there is something to say.
    Lint {
        /// A set that does not hold yet; the rules that hold when not given.
        file: Option<PathBuf>,
        /// The language of the words.
        #[arg(long, default_value = "en")]
        lang: Lang,
    },
    /// Tells which rule would decide about a message or a session, and why. Changes nothing.
    ///
    /// What is not given is not there: no TLS, nobody logged in, no recipients.
    ///
    /// Examples: rohrpost rules test mail.eml --from a@far.example --to anna@firma.example --client 192.0.2.7
    ///           rohrpost rules test --at rcpt --to x@mydomain.example --tls 1.2
    ///           rohrpost rules test --session session.toml --rules changed.toml
    #[command(verbatim_doc_comment)]
    Test(Box<try_out::TestOptions>),
    /// Tells what a changed set would have done in the last days, compared with the rules that hold.
    ///
    /// Looks at the facts this node has recorded (rules.record_facts): new refusals, no longer refused, other
    /// changes, and what cannot be told, by account and domain. Values of header fields were recorded as hashes only: rules
    /// that look into them beyond "is" cannot be told.
    Replay(try_out::ReplayOptions),
    /// What rules that are not enforced yet would have done to mail of other servers, by sender domain. For
    /// accounts see `rohrpost findings rule/NAME`.
    Seen {
        /// Only of this rule.
        rule: Option<String>,
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Lists the versions of the rules: who changed what, when and why.
    History {
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Shows what changed between two versions.
    Diff {
        /// The older version.
        from: i64,
        /// The newer version; the one that holds when not given.
        to: Option<i64>,
    },
    /// Makes an older version hold again, as a new one.
    Rollback {
        /// Which.
        #[arg(value_name = "VERSION")]
        number: i64,
        #[command(flatten)]
        why: Why,
    },
    /// Prints the whole set as TOML, for `rohrpost rules import`.
    Export {
        /// Print JSON instead of TOML.
        #[arg(long)]
        json: bool,
    },
    /// Replaces the whole set by that of a file.
    Import {
        /// The file, TOML or JSON; - is standard input.
        file: PathBuf,
        /// Only say what would change.
        #[arg(long)]
        plan: bool,
        #[command(flatten)]
        why: Why,
    },
    /// Explains facts, operators, actions and points.
    Words {
        /// The language of the words.
        #[arg(long, default_value = "en")]
        lang: Lang,
    },
}

/// A language of explanations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lang {
    /// English.
    En,
    /// German.
    De,
}

impl Lang {
    fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
        }
    }
}

impl From<Lang> for Language {
    fn from(lang: Lang) -> Self {
        match lang {
            Lang::En => Self::English,
            Lang::De => Self::German,
        }
    }
}

/// Where in the order.
#[derive(Args, Debug, Clone)]
#[group(multiple = false)]
pub(crate) struct Place {
    /// Before this rule.
    #[arg(long)]
    before: Option<String>,
    /// After this rule.
    #[arg(long)]
    after: Option<String>,
    /// Before all others.
    #[arg(long)]
    first: bool,
}

/// Who changes something and why.
#[derive(Args, Debug, Clone)]
pub(crate) struct Why {
    /// Why; kept with the version.
    #[arg(long, default_value = "")]
    reason: String,
    /// Who; the user of the operating system when not given.
    #[arg(long)]
    by: Option<String>,
}

impl Verb {
    /// Why something is changed, where it is.
    fn why(&self) -> Option<&Why> {
        match self {
            Self::Add { why, .. }
            | Self::Set { why, .. }
            | Self::Move { why, .. }
            | Self::Remove { why, .. }
            | Self::Rollback { why, .. }
            | Self::Import { why, .. } => Some(why),
            _ => None,
        }
    }
}

/// The rules that hold, and their version.
async fn current(api: &AdminApi) -> Result<(i64, RuleSet), String> {
    let held: Rules = api.get(&path(&["rules"], &[])).await?;
    Ok((
        held.version,
        serde_json::from_value(held.rules).map_err(text_of_error)?,
    ))
}

fn text_of_error(error: impl ToString) -> String {
    error.to_string()
}

/// What is printed, and how the program ends.
struct Done {
    text: String,
    /// Why the exit code is 1.
    found: Option<&'static str>,
}

impl From<String> for Done {
    fn from(text: String) -> Self {
        Self { text, found: None }
    }
}

/// Carries out one command.
///
/// # Errors
/// A text for the person at the terminal.
pub(super) fn run(settings: &Settings, verb: &Verb) -> Result<(), String> {
    let done = super::block_on(async {
        let api = match verb.why() {
            Some(why) => {
                let api = AdminApi::open_or_create(settings).await?;
                api.acting_for(why.by.as_deref())
            }
            None => AdminApi::open(settings).await?,
        };
        match verb {
            Verb::List { json, lang } => show::list(&api, *json, (*lang).into()).await,
            Verb::Show { name, json } => show::one(&api, name, *json).await,
            Verb::Lint { file, lang } => show::lint(&api, file.as_deref(), *lang).await,
            Verb::Seen { rule, json } => show::seen(&api, rule.as_deref(), *json).await,
            Verb::History { json } => show::history(&api, *json).await,
            Verb::Diff { from, to } => show::diff(&api, *from, *to).await,
            Verb::Export { json } => show::export(&api, *json).await,
            Verb::Words { lang } => Ok(show::words((*lang).into()).into()),
            Verb::Test(options) => try_out::test(&api, options).await,
            Verb::Replay(options) => try_out::replay(&api, options).await,
            changing => change::run(&api, changing).await,
        }
    })??;
    super::print(format_args!("{}", done.text));
    done.found.map_or(Ok(()), |why| Err(why.to_owned()))
}

/// The text of a file, or of standard input.
fn text_of(path: &Path) -> Result<String, String> {
    use std::io::Read;
    let mut text = String::new();
    let cannot = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let read = match path.to_str() {
        Some("-") => std::io::stdin()
            .take(FILE_BYTES_MAX)
            .read_to_string(&mut text),
        _ => {
            let file = std::fs::File::open(path).map_err(cannot)?;
            file.take(FILE_BYTES_MAX).read_to_string(&mut text)
        }
    };
    read.map_err(cannot)?;
    Ok(text)
}

/// A set, or one rule, as TOML or JSON.
fn read_set(path: &Path) -> Result<RuleSet, String> {
    let text = text_of(path)?;
    let is_json = text.trim_start().starts_with(['{', '['])
        && serde_json::from_str::<serde_json::Value>(&text).is_ok();
    match is_json {
        true => RuleSet::from_json(&text).or_else(|error| {
            let one = serde_json::from_str(&text);
            one.map_err(|_| error)
                .and_then(|rule| RuleSet::new(vec![rule]))
        }),
        false => RuleSet::from_toml(&text).or_else(|error| {
            // One rule without the table's name around it.
            match text.contains("[[rules]]") {
                true => Err(error),
                false => toml::from_str(&text)
                    .map_err(|error| error.to_string())
                    .and_then(|rule| RuleSet::new(vec![rule])),
            }
        }),
    }
}
