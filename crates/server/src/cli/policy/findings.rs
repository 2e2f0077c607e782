//! `rohrpost findings`: what measures saw.

use super::output::{self, Format};
use super::{Desk, invalid};
use clap::Args;
use platform::store::Tx;
use policy::admin::PolicyError;
use policy::findings::{self, Measure};
use serde_json::json;

/// Findings shown at most.
const ROWS_MAX: i64 = 1_000_000;

#[derive(Args)]
pub(crate) struct Options {
    /// Only of this measure, such as sender-ownership, cleartext/imap or tls-version/submission.
    measure: Option<String>,
    #[command(flatten)]
    format: Format,
}

pub(super) async fn run(options: &Options, desk: &Desk<'_>) -> Result<String, PolicyError> {
    let measure = match options.measure.as_deref() {
        None => None,
        Some(word) => Some(Measure::from_word(word).ok_or_else(|| {
            let words: Vec<_> = Measure::built_in().map(|m| m.to_string()).collect();
            invalid(format!(
                "\"{word}\" is no measure; there are: {}",
                words.join(", ")
            ))
        })?),
    };
    desk.keep();
    let found = desk
        .store
        .read(move |tx: &mut dyn Tx| findings::list(tx, measure.as_ref(), ROWS_MAX))
        .await?;
    let values: Vec<_> = found
        .iter()
        .map(|(login, found)| {
            json!({
                "measure": found.measure.to_string(), "account": login, "detail": found.detail,
                "seen": found.seen, "first_day": output::day(found.first_day),
                "last_day": output::day(found.last_day),
            })
        })
        .collect();
    output::value(options.format, &json!(values), || {
        let line = |(login, found): &(String, findings::Finding)| {
            format!(
                "{login} -> {} ({}x, last {})\n",
                found.detail,
                found.seen,
                output::day(found.last_day)
            )
        };
        found.iter().map(line).collect()
    })
}
