//! How the provider speaks, on the command line.

use super::Why;
use crate::cli::admin_api::{AdminApi, Method, path};
use crate::cli::policy::output::{Format, or_dash, shown, table};
use clap::Subcommand;
use https::api::letters::{Said, SaidNow, Say};
use rollout::voice::Word;
use serde_json::json;

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

pub(super) async fn run(api: AdminApi, verb: &Verb) -> Result<String, String> {
    match verb {
        Verb::List { format } => {
            let words: Vec<Said> = api.get(&path(&["voice"], &[])).await?;
            let said = words.iter();
            let said: serde_json::Map<_, _> = said
                .map(|said| (said.word.clone(), json!(said.value)))
                .collect();
            shown(*format, &json!(said), || {
                let rows: Vec<_> = words
                    .iter()
                    .map(|said| {
                        vec![
                            said.word.clone(),
                            or_dash(&said.value),
                            said.syntax.clone(),
                            said.meaning.clone(),
                        ]
                    })
                    .collect();
                table(&["WORD", "SAID NOW", "GIVE", "WHAT IT IS"], &rows)
            })
        }
        Verb::Set { word, value, why } => {
            let api = api.acting_for(why.by.as_deref());
            let say = Say {
                value: value.clone(),
                reason: why.reason.clone(),
            };
            let place = path(&["voice", word.word()], &[]);
            let now: SaidNow = api.send(Method::Put, &place, &say).await?;
            Ok(format!("{word} is now: {}\n", now.value))
        }
        Verb::Unset { word, why } => {
            let api = api.acting_for(why.by.as_deref());
            let place = path(&["voice", word.word()], &[("reason", &why.reason)]);
            let _: SaidNow = api.send(Method::Delete, &place, &()).await?;
            Ok(format!("{word} is said as by itself.\n"))
        }
    }
}
