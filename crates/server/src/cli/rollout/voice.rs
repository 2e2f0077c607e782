//! How the provider speaks, on the command line.

use super::super::policy::output::{Format, or_dash, table};
use super::{Desk, Why, json};
use clap::Subcommand;
use rollout::RolloutError;
use rollout::voice::Word;
use serde_json::json as value;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Lists what is said about the provider and what each word is for.
    List {
        #[command(flatten)]
        format: Format,
    },
    /// Says one thing; all texts change with it.
    ///
    /// Example: rohrpost rollout voice set phone "030 1234567"
    Set {
        /// Which, as `list` names them.
        #[arg(value_parser = word)]
        word: Word,
        /// What is said from now on.
        value: String,
        #[command(flatten)]
        why: Why,
    },
    /// Says one thing as it is said by itself.
    Unset {
        /// Which, as `list` names them.
        #[arg(value_parser = word)]
        word: Word,
        #[command(flatten)]
        why: Why,
    },
}

impl Verb {
    pub(super) fn changes_something(&self) -> bool {
        !matches!(self, Self::List { .. })
    }
}

fn word(text: &str) -> Result<Word, String> {
    Word::from_word(text).ok_or_else(|| {
        let words: Vec<_> = Word::ALL.iter().map(|(_, name, ..)| *name).collect();
        format!("\"{text}\" is none of {}", words.join(", "))
    })
}

pub(super) async fn run(desk: &Desk, verb: &Verb) -> Result<String, RolloutError> {
    match verb {
        Verb::List { format } => {
            let voice = desk.rollouts.voice().await?;
            let said: serde_json::Map<_, _> = Word::ALL
                .iter()
                .map(|(word, name, ..)| ((*name).to_owned(), value!(voice.said(*word))))
                .collect();
            json(*format, &value!(said), || {
                let rows: Vec<_> = Word::ALL
                    .iter()
                    .map(|(word, name, syntax, says)| {
                        vec![
                            (*name).to_owned(),
                            or_dash(voice.said(*word)),
                            (*syntax).to_owned(),
                            (*says).to_owned(),
                        ]
                    })
                    .collect();
                table(&["WORD", "SAID NOW", "GIVE", "WHAT IT IS"], &rows)
            })
        }
        Verb::Set { word, value, why } => {
            desk.rollouts
                .say(*word, Some(value), desk.author(why))
                .await?;
            Ok(format!("{word} is now: {value}\n"))
        }
        Verb::Unset { word, why } => {
            desk.rollouts.say(*word, None, desk.author(why)).await?;
            Ok(format!("{word} is said as by itself.\n"))
        }
    }
}
