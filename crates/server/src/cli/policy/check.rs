//! `rohrpost check domain`: whether a hosted domain keeps the rules large receivers publish for senders. The admin API
//! judges; this says it in words.

use super::output::{self, Format};
use super::{Done, dmarc, domain_name};
use crate::cli::admin_api::{AdminApi, path};
use clap::{Subcommand, ValueEnum};
use directory::DomainName;
use https::api::senders::CheckedRule;
use serde_json::json;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Lists each rule of a large receiver for senders, and whether the domain keeps it.
    ///
    /// Exit code 1 where one is not kept. What only the receiver can see (complaints) is "unknown";
    /// rules for bulk senders (5,000 messages a day and more) are "not-needed" for others.
    ///
    /// Example: rohrpost check domain firma.example --profile google
    Domain {
        /// A hosted domain.
        #[arg(value_parser = domain_name)]
        domain: DomainName,
        /// Whose rules; all when not given.
        #[arg(long)]
        profile: Option<Receiver>,
        /// The language of the texts.
        #[command(flatten)]
        speech: dmarc::Speech,
        #[command(flatten)]
        format: Format,
    },
}

/// A receiver on the command line.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Receiver {
    /// Gmail.
    Google,
    /// Yahoo and AOL.
    Yahoo,
    /// Outlook.com and its kin.
    Microsoft,
}

impl Receiver {
    fn word(self) -> &'static str {
        match self {
            Self::Google => "google",
            Self::Yahoo => "yahoo",
            Self::Microsoft => "microsoft",
        }
    }
}

pub(super) async fn run(verb: &Verb, api: &AdminApi) -> Result<Done, String> {
    let Verb::Domain {
        domain,
        profile,
        speech,
        format,
    } = verb;
    let mut query = vec![speech.query()];
    query.extend(profile.map(|receiver| ("profile", receiver.word())));
    let rules: Vec<CheckedRule> = api
        .get(&path(&["domains", domain.as_str(), "checks"], &query))
        .await?;
    let text = output::shown(*format, &json!(rules), || shown(&rules))?;
    let found = rules.iter().any(|rule| rule.verdict == "fail");
    Ok(Done { text, found })
}

fn shown(rules: &[CheckedRule]) -> String {
    let mut text = String::new();
    let mut profile = "";
    for rule in rules {
        if rule.profile != profile {
            profile = &rule.profile;
            text += &format!("{profile}\n");
        }
        let verdict = match rule.verdict.as_str() {
            "fail" => "warning",
            other => other,
        };
        text += &format!("{verdict:<10}  {:<21}  {}\n", rule.rule, rule.text);
    }
    text
}
