//! `rohrpost findings`: what measures saw. The admin API looks; this says it in words.

use super::Since;
use super::output::{self, Format};
use crate::cli::admin_api::AdminApi;
use clap::Args;
use formats::csv;
use https::api::seen::Finding;
use policy::Measure;
use serde_json::json;

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

pub(super) async fn run(options: &Options, api: &AdminApi) -> Result<String, String> {
    let days = options.since.map(|since| since.days().to_string());
    let mut query = Vec::new();
    query.extend(options.measure.as_deref().map(|word| ("measure", word)));
    query.extend(options.account.as_deref().map(|of| ("account", of)));
    query.extend(days.as_deref().map(|days| ("days", days)));
    let found: Vec<Finding> = super::whole_list(api, &["findings"], &query).await?;
    if options.csv {
        return Ok(sheet(&found));
    }
    output::shown(options.format, &json!(found), || {
        found.iter().map(line).collect()
    })
}

/// What was found of senders says it all; of other measures, their name has to be said.
fn line(found: &Finding) -> String {
    let measure = match found.measure == Measure::SenderOwnership.to_string() {
        true => String::new(),
        false => format!("{}: ", found.measure),
    };
    format!(
        "{measure}{} -> {} ({}x, last {})\n",
        found.account,
        output::or_dash(&found.detail),
        found.seen,
        found.last_day
    )
}

fn sheet(found: &[Finding]) -> String {
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
    for one in found {
        let seen = one.seen.to_string();
        let (first, last) = (&one.first_day, &one.last_day);
        csv::push(
            &mut text,
            &[&one.measure, &one.account, &one.detail, &seen, first, last],
        );
    }
    text
}
