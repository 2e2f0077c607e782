//! Commands that try rules out: on a described session or a message, and on what was recorded in the last days.
//! Change nothing.

use super::change::as_json;
use super::{Done, Lang, read_set, text_of, text_of_error};
use crate::cli::admin_api::{AdminApi, Method, path};
use clap::Args;
use formats::{csv, header};
use https::api::trying::{AtPoint, ReplayOf, Replayed, Try};
use policy::rules::record::DAYS_KEPT;
use policy::rules::{Case, CaseRecipient};
use std::net::IpAddr;
use std::path::PathBuf;

/// Header fields of a test message that are looked at.
const FIELDS_MAX: usize = 1_000;

/// What `rules test` is asked.
#[derive(Args)]
pub(crate) struct TestOptions {
    /// A message; its header and size are looked at.
    mail: Option<PathBuf>,
    /// A described session as TOML or JSON: client, port, service, tls, hello, account, sender, recipients ...
    #[arg(long)]
    session: Option<PathBuf>,
    /// A set that does not hold yet; the rules that hold when not given.
    #[arg(long)]
    rules: Option<PathBuf>,
    /// Only this point: connect, hello, auth, mail, rcpt, data, route or deliver; all when not given.
    #[arg(long, alias = "stage")]
    at: Option<String>,
    /// The envelope sender; empty for the null sender.
    #[arg(long)]
    from: Option<String>,
    /// A recipient; can be given several times.
    #[arg(long)]
    to: Vec<String>,
    /// The client's address.
    #[arg(long)]
    client: Option<IpAddr>,
    /// The TLS version, such as 1.2; none for clear.
    #[arg(long)]
    tls: Option<String>,
    /// The name after EHLO.
    #[arg(long)]
    hello: Option<String>,
    /// The account that is logged in.
    #[arg(long)]
    account: Option<String>,
    /// The port the client connected to.
    #[arg(long)]
    port: Option<u16>,
    /// The language of the explanation.
    #[arg(long, default_value = "en")]
    lang: Lang,
}

/// What `rules replay` is asked.
#[derive(Args)]
pub(crate) struct ReplayOptions {
    /// The changed set, TOML or JSON.
    file: PathBuf,
    /// How many days back.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(i64).range(1..=DAYS_KEPT))]
    days: i64,
    /// As if every rule of the changed set were enforced.
    #[arg(long)]
    enforced: bool,
    /// Print CSV (RFC 4180).
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn test(api: &AdminApi, options: &TestOptions) -> Result<Done, String> {
    let rules = options.rules.as_deref().map(read_set).transpose()?;
    let body = Try {
        session: as_json(&case(options)?)?,
        rules: rules.as_ref().map(as_json).transpose()?,
        at: options.at.clone(),
    };
    let place = path(&["rules", "test"], &[("lang", options.lang.tag())]);
    let points: Vec<AtPoint> = api.send(Method::Post, &place, &body).await?;
    let mut text = String::new();
    for point in &points {
        text.push_str(&format!("{}: {}\n", point.point, ruled(point)));
        for line in point.why.iter().flat_map(|why| why.lines()) {
            text.push_str(&format!("  {line}\n"));
        }
    }
    if text.is_empty() {
        text.push_str("No rule is asked anywhere.\n");
    }
    Ok(text.into())
}

/// What rules decided, in a line.
fn ruled(point: &AtPoint) -> String {
    let mut parts = Vec::new();
    if let (Some(rule), Some(decision)) = (&point.decided_by, &point.decision) {
        parts.push(format!("{rule} decided: {decision}"));
    }
    parts.extend(point.also.iter().cloned());
    let noted = point.would_act.iter();
    parts.extend(noted.map(|one| format!("{} would act ({})", one.rule, one.stage)));
    match parts.is_empty() {
        true => "no rule acts".to_owned(),
        false => parts.join("; "),
    }
}

/// The session as it was described.
fn case(options: &TestOptions) -> Result<Case, String> {
    let mut case: Case = match &options.session {
        None => Case::default(),
        Some(file) => {
            let text = text_of(file)?;
            match text.trim_start().starts_with('{') {
                true => serde_json::from_str(&text).map_err(text_of_error)?,
                false => toml::from_str(&text).map_err(text_of_error)?,
            }
        }
    };
    case.client = options.client.or(case.client);
    case.port = options.port.or(case.port);
    case.hello = options.hello.clone().or(case.hello);
    case.account = options.account.clone().or(case.account);
    case.sender = options.from.clone().or(case.sender);
    match options.tls.as_deref() {
        None => {}
        Some("none") => case.tls = None,
        Some(version @ ("1.0" | "1.1" | "1.2" | "1.3")) => case.tls = Some(version.to_owned()),
        Some(other) => {
            return Err(format!(
                "\"{other}\" is no TLS version: give 1.2, 1.3 or none"
            ));
        }
    }
    for address in &options.to {
        case.recipients.push(CaseRecipient {
            address: address.clone(),
            group: None,
        });
    }
    if let Some(file) = &options.mail {
        add_mail(&mut case, file)?;
    }
    Ok(case)
}

fn add_mail(case: &mut Case, file: &std::path::Path) -> Result<(), String> {
    let mail = std::fs::read(file)
        .map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
    case.size.get_or_insert(mail.len() as u64);
    for field in header::fields(&mail).take(FIELDS_MAX) {
        let name = String::from_utf8_lossy(field.name).to_ascii_lowercase();
        case.headers
            .push((name, header::decode_text(&field.value())));
    }
    Ok(())
}

pub(super) async fn replay(api: &AdminApi, options: &ReplayOptions) -> Result<Done, String> {
    let body = ReplayOf {
        rules: as_json(&read_set(&options.file)?)?,
        days: u8::try_from(options.days).ok(),
        enforced: options.enforced,
    };
    let place = path(&["rules", "replay"], &[]);
    let found: Replayed = api.send(Method::Post, &place, &body).await?;
    if options.json {
        let text = serde_json::to_string_pretty(&found).map_err(text_of_error)?;
        return Ok((text + "\n").into());
    }
    Ok(match options.csv {
        true => sheet(&found),
        false => plain(&found),
    }
    .into())
}

fn sheet(found: &Replayed) -> String {
    let mut text = String::new();
    csv::push(
        &mut text,
        &["difference", "who", "to", "rule", "at", "count"],
    );
    for row in &found.rows {
        let count = row.count.to_string();
        csv::push(
            &mut text,
            &[
                &row.difference,
                &row.who,
                &row.to,
                &row.rule,
                &row.at,
                &count,
            ],
        );
    }
    text
}

fn plain(found: &Replayed) -> String {
    let mut text = format!(
        "Looked at {} logins, recipients and messages.\n",
        found.looked_at
    );
    if found.totals.is_empty() {
        text.push_str("Nothing would have been different.\n");
    }
    for total in &found.totals {
        text.push_str(&format!("{}: {}\n", total.difference, total.count));
        let rows = found.rows.iter();
        for row in rows.filter(|row| row.difference == total.difference) {
            let who = if row.who.is_empty() { "-" } else { &row.who };
            let to = match row.to.is_empty() {
                true => String::new(),
                false => format!(" -> {}", row.to),
            };
            text.push_str(&format!(
                "  {who}{to}: {} at {} ({}x)\n",
                row.rule, row.at, row.count
            ));
        }
    }
    if found.left_out > 0 {
        text.push_str(&format!("{} more were left out.\n", found.left_out));
    }
    text
}
