//! Letters and contacts of a rollout on the command line.

use super::super::policy::output::{Format, or_dash, table, time};
use super::{Desk, json};
use clap::Args;
use formats::csv;
use rollout::{RolloutError, ledger};
use serde_json::json as value;

/// Letters shown.
const LETTERS_MAX: i64 = 1_000_000;

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

pub(super) async fn run(desk: &Desk, options: &Options) -> Result<String, RolloutError> {
    let slug = options.slug.as_deref();
    let mut all = desk.rollouts.letters(slug, LETTERS_MAX).await?;
    all.retain(|entry| options.round.is_none_or(|round| entry.key.round == round));
    if options.csv {
        let mut sheet = String::new();
        csv::push(&mut sheet, &HEADINGS);
        for entry in &all {
            csv::push(&mut sheet, &cells(entry).each_ref().map(String::as_str));
        }
        return Ok(sheet);
    }
    let values: Vec<_> = all
        .iter()
        .map(|entry| {
            value!({
                "rollout": entry.key.slug, "round": entry.key.round, "kind": entry.key.kind.word(),
                "to": entry.address, "written": entry.written_at.0, "due": entry.due_at.0,
                "status": entry.status.word(), "since": entry.status_at.0, "reply": entry.reply,
                "message": named(entry),
            })
        })
        .collect();
    json(options.format, &value!(values), || {
        let rows: Vec<_> = all.iter().map(|entry| cells(entry).to_vec()).collect();
        table(&HEADINGS, &rows)
    })
}

const HEADINGS: [&str; 9] = [
    "ROLLOUT", "ROUND", "KIND", "TO", "WRITTEN", "STATUS", "SINCE", "MESSAGE", "REPLY",
];

/// The message's name, for `rohrpost trace`.
fn named(entry: &ledger::Entry) -> String {
    match entry.token {
        0 => String::new(),
        token => queue::TraceId(token).to_string(),
    }
}

fn cells(entry: &ledger::Entry) -> [String; 9] {
    [
        or_dash(&entry.key.slug),
        entry.key.round.to_string(),
        entry.key.kind.word().to_owned(),
        entry.address.clone(),
        time(entry.written_at),
        entry.status.word().to_owned(),
        time(entry.status_at),
        or_dash(&named(entry)),
        or_dash(&entry.reply),
    ]
}

/// Whom it concerns, with who answers for the domain: for letters by other ways (S1-33).
pub(super) async fn contacts(desk: &Desk, slug: &str) -> Result<String, RolloutError> {
    let concerned = desk.rollouts.concerned(slug, desk.now).await?;
    let contacts = desk.rollouts.domain_contacts().await?;
    let catalogue = desk.policies.catalogue();
    let mut sheet = String::new();
    csv::push(
        &mut sheet,
        &["account", "domain", "group", "domain contact", "seen"],
    );
    for one in &concerned {
        let mut seen: Vec<_> = one
            .seen
            .iter()
            .map(|seen| {
                let client = catalogue.from_key(&seen.client);
                format!("{}: {client}", seen.measure)
            })
            .collect();
        seen.sort();
        seen.dedup();
        let contact = contacts.get(one.domain.as_ref());
        csv::push(
            &mut sheet,
            &[
                &one.login,
                &one.domain,
                one.group.as_deref().unwrap_or_default(),
                contact.map(String::as_str).unwrap_or_default(),
                &seen.join("; "),
            ],
        );
    }
    Ok(sheet)
}
