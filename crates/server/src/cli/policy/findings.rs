//! `rohrpost findings`: what measures saw.

use super::output::{self, Format};
use super::{Desk, Since, invalid};
use clap::Args;
use formats::csv;
use platform::store::Tx;
use policy::Measure;
use policy::admin::PolicyError;
use policy::findings::{self, Finding};
use serde_json::json;

/// Findings shown at most.
const ROWS_MAX: i64 = 1_000_000;

#[derive(Args)]
pub(crate) struct Options {
    /// Only of this measure: sender-ownership, tls-version/imap, cleartext/pop3, rule/NAME and the like.
    measure: Option<String>,
    /// Only what was seen in the last days, such as 14d.
    #[arg(long)]
    since: Option<Since>,
    /// Only of this account.
    #[arg(long)]
    account: Option<String>,
    /// Print CSV (RFC 4180).
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    #[command(flatten)]
    format: Format,
}

pub(super) async fn run(options: &Options, desk: &Desk<'_>) -> Result<String, PolicyError> {
    let measure = match options.measure.as_deref() {
        None => None,
        Some(word) => Some(Measure::from_word(word).ok_or_else(|| {
            let words: Vec<_> = Measure::built_in().map(|m| m.to_string()).collect();
            invalid(format!(
                "\"{word}\" is no measure; there are: {}, and rule/NAME",
                words.join(", ")
            ))
        })?),
    };
    let account = match options.account.as_deref() {
        None => None,
        Some(text) => Some(super::address(text).map_err(invalid)?.to_string()),
    };
    desk.keep();
    let mut found = desk
        .store
        .read(move |tx: &mut dyn Tx| findings::list(tx, measure.as_ref(), ROWS_MAX))
        .await?;
    let first_day = options.since.map(|since| since.first_day(desk.now));
    found.retain(|(login, finding)| {
        first_day.is_none_or(|first| finding.last_day >= first)
            && account.as_ref().is_none_or(|account| account == login)
    });
    if options.csv {
        return Ok(sheet(&found));
    }
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
        found.iter().map(line).collect()
    })
}

/// What was found of senders says it all; of other measures, their name has to be said.
fn line((login, found): &(String, Finding)) -> String {
    let measure = match &found.measure {
        Measure::SenderOwnership => String::new(),
        measure => format!("{measure}: "),
    };
    format!(
        "{measure}{login} -> {} ({}x, last {})\n",
        output::or_dash(&found.detail),
        found.seen,
        output::day(found.last_day)
    )
}

fn sheet(found: &[(String, Finding)]) -> String {
    let mut text = String::new();
    let head = [
        "measure",
        "account",
        "detail",
        "seen",
        "first_day",
        "last_day",
    ];
    csv::push(&mut text, &head);
    for (login, one) in found {
        let (first, last) = (output::day(one.first_day), output::day(one.last_day));
        let (measure, seen) = (one.measure.to_string(), one.seen.to_string());
        csv::push(
            &mut text,
            &[&measure, login, &one.detail, &seen, &first, &last],
        );
    }
    text
}
