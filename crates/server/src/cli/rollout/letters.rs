//! Letters and contacts of a rollout on the command line.

use crate::cli::admin_api::{AdminApi, path};
use crate::cli::policy::output::{Format, moment, ms, or_dash, shown, table};
use clap::Args;
use formats::csv;
use https::api::letters::{Concerned, Letter};
use serde_json::json;

/// Letters shown.
const LETTERS_MAX: &str = "1000000";

#[derive(Args)]
pub(crate) struct Options {
    /// Only of this rollout.
    slug: Option<String>,
    /// List every letter; this is what happens without it, too.
    #[arg(long)]
    list: bool,
    /// Only this round.
    #[arg(long)]
    round: Option<i64>,
    /// Print CSV (RFC 4180).
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    #[command(flatten)]
    format: Format,
}

pub(super) async fn run(api: &AdminApi, options: &Options) -> Result<String, String> {
    let round = options.round.map(|round| round.to_string());
    let mut query = vec![("limit", LETTERS_MAX)];
    query.extend(round.as_deref().map(|round| ("round", round)));
    let place = match &options.slug {
        Some(slug) => path(&["rollouts", slug, "letters"], &query),
        None => path(&["letters"], &query),
    };
    let all: Vec<Letter> = api.get(&place).await?;
    if options.csv {
        let mut sheet = String::new();
        csv::push(&mut sheet, &HEADINGS);
        for letter in &all {
            csv::push(&mut sheet, &cells(letter).each_ref().map(String::as_str));
        }
        return Ok(sheet);
    }
    let values: Vec<_> = all
        .iter()
        .map(|letter| {
            json!({
                "rollout": letter.rollout, "round": letter.round, "kind": letter.kind,
                "to": letter.address, "written": ms(&letter.written), "due": ms(&letter.due),
                "status": letter.status, "since": ms(&letter.since), "reply": letter.reply,
                "message": letter.message,
            })
        })
        .collect();
    shown(options.format, &json!(values), || {
        let rows: Vec<_> = all.iter().map(|letter| cells(letter).to_vec()).collect();
        table(&HEADINGS, &rows)
    })
}

const HEADINGS: [&str; 9] = [
    "ROLLOUT", "ROUND", "KIND", "TO", "WRITTEN", "STATUS", "SINCE", "MESSAGE", "REPLY",
];

fn cells(letter: &Letter) -> [String; 9] {
    [
        or_dash(&letter.rollout),
        letter.round.to_string(),
        letter.kind.clone(),
        letter.address.clone(),
        moment(&letter.written),
        letter.status.clone(),
        moment(&letter.since),
        or_dash(&letter.message),
        or_dash(&letter.reply),
    ]
}

/// Whom it concerns, with who answers for the domain: for letters by other ways (S1-33).
pub(super) async fn contacts(api: &AdminApi, slug: &str) -> Result<String, String> {
    let concerned: Vec<Concerned> = super::of(api, slug, &["contacts"]).await?;
    let mut sheet = String::new();
    csv::push(
        &mut sheet,
        &["account", "domain", "group", "domain contact", "seen"],
    );
    for one in &concerned {
        csv::push(
            &mut sheet,
            &[
                &one.account,
                &one.domain,
                one.group.as_deref().unwrap_or_default(),
                one.domain_contact.as_deref().unwrap_or_default(),
                &one.seen.join("; "),
            ],
        );
    }
    Ok(sheet)
}
