//! Commands that try rules out: on a described session or a message, and on what was recorded in the last days.
//! Change nothing.

use super::{Desk, Done, Lang, invalid, read_set, text_of};
use clap::Args;
use directory::AddressKey;
use formats::{csv, header};
use platform::store::{StoreError, Tx};
use policy::admin::PolicyError;
use policy::rules::record::{self, DAYS_KEPT};
use policy::rules::replay::{Replay, Report, Stages};
use policy::rules::{
    Case, CaseRecipient, Compiled, Decision, Effect, Point, RuleSet, explain, store,
};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

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

async fn set_of(desk: &Desk<'_>, file: Option<&PathBuf>) -> Result<(i64, RuleSet), PolicyError> {
    match file {
        Some(file) => Ok((0, read_set(file)?)),
        None => desk.current().await,
    }
}

pub(super) async fn test(desk: &Desk<'_>, options: &TestOptions) -> Result<Done, PolicyError> {
    let (version, set) = set_of(desk, options.rules.as_ref()).await?;
    let zone = desk.policies().await?.snapshot().zone().clone();
    let compiled = Compiled::new(Arc::new(set), &zone, version);
    let mut case = case(desk, options).await?;
    let points = match &options.at {
        None => &Point::ALL[..],
        Some(word) => {
            let found = Point::ALL.iter().position(|point| point.word() == word);
            let at = found.ok_or_else(|| {
                let words = Point::ALL.map(|point| point.word()).join(", ");
                invalid(format!("\"{word}\" is no point; give one of {words}"))
            })?;
            &Point::ALL[at..=at]
        }
    };
    let mut text = String::new();
    for point in points {
        let asked = compiled.asks_at(*point);
        if !asked && options.at.is_none() {
            continue;
        }
        let (ends, tags) = case.prepare(0).at(*point, |facts| {
            let (decision, explained) = explain(&compiled, *point, facts, desk.now);
            text.push_str(&format!("{point}: {}\n", ruled(&decision)));
            for one in explained
                .iter()
                .filter(|one| one.effect != Effect::NotAsked)
            {
                for line in one.in_words(options.lang.into()).lines() {
                    text.push_str(&format!("  {line}\n"));
                }
            }
            let ruling = decision.ruling;
            let ends = ruling.is_some_and(|acting| acting.action.word() != "accept");
            (ends, decision.tags().map(Box::from).collect::<Vec<_>>())
        });
        case.tags.extend(tags);
        if ends {
            break;
        }
    }
    if text.is_empty() {
        text.push_str("No rule is asked anywhere.\n");
    }
    Ok(text.into())
}

/// What rules decided, in a line.
fn ruled(decision: &Decision<'_>) -> String {
    use formats::language::Language::English;
    let mut parts = Vec::new();
    if let Some(acting) = decision.ruling {
        parts.push(format!(
            "{} decided: {}",
            acting.rule.name,
            acting.action.in_words(English)
        ));
    }
    for acting in &decision.actions {
        parts.push(format!(
            "{}: {}",
            acting.rule.name,
            acting.action.in_words(English)
        ));
    }
    for noted in &decision.noted {
        parts.push(format!("{} would act ({})", noted.rule.name, noted.stage));
    }
    match parts.is_empty() {
        true => "no rule acts".to_owned(),
        false => parts.join("; "),
    }
}

/// The session as it was described, with what the directory knows of accounts and recipients.
async fn case(desk: &Desk<'_>, options: &TestOptions) -> Result<Case, PolicyError> {
    let mut case: Case = match &options.session {
        None => Case::default(),
        Some(file) => {
            let text = text_of(file)?;
            match text.trim_start().starts_with('{') {
                true => serde_json::from_str(&text).map_err(invalid)?,
                false => toml::from_str(&text).map_err(invalid)?,
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
            return Err(invalid(format!(
                "\"{other}\" is no TLS version: give 1.2, 1.3 or none"
            )));
        }
    }
    for address in &options.to {
        case.recipients.push(CaseRecipient {
            address: address.clone(),
            group: None,
        });
    }
    if case.service.is_none() {
        let service = if case.account.is_some() {
            "submission"
        } else {
            "mx"
        };
        case.service = Some(service.to_owned());
    }
    if let Some(file) = &options.mail {
        add_mail(&mut case, file)?;
    }
    look_up(desk, &mut case).await?;
    Ok(case)
}

fn add_mail(case: &mut Case, file: &std::path::Path) -> Result<(), PolicyError> {
    let mail = std::fs::read(file)
        .map_err(|error| invalid(format!("{} cannot be read: {error}", file.display())))?;
    case.size.get_or_insert(mail.len() as u64);
    for field in header::fields(&mail).take(FIELDS_MAX) {
        let name = String::from_utf8_lossy(field.name).to_ascii_lowercase();
        case.headers
            .push((name, header::decode_text(&field.value())));
    }
    Ok(())
}

/// Groups of accounts and recipients here, where the description does not say them.
async fn look_up(desk: &Desk<'_>, case: &mut Case) -> Result<(), PolicyError> {
    let mut described = case.clone();
    *case = desk
        .store
        .read(move |tx: &mut dyn Tx| {
            for recipient in &mut described.recipients {
                if let (None, Ok(key)) = (&recipient.group, AddressKey::parse(&recipient.address)) {
                    recipient.group = store::domain_group(tx, key.domain())?;
                }
            }
            let account = described.account.as_deref().map(AddressKey::parse);
            if let Some(Ok(key)) = account
                && let Some((number, group)) = store::account(tx, &key)?
            {
                described.account_number = Some(number.0);
                described.account_group = described.account_group.take().or(group);
            }
            Ok::<_, StoreError>(described.clone())
        })
        .await?;
    Ok(())
}

pub(super) async fn replay(desk: &Desk<'_>, options: &ReplayOptions) -> Result<Done, PolicyError> {
    let (_, present) = desk.current().await?;
    let changed = read_set(&options.file)?;
    let zone = desk.policies().await?.snapshot().zone().clone();
    let stages = match options.enforced {
        true => Stages::AllEnforced,
        false => Stages::AsTheyAre,
    };
    let mut replay = Replay::new(&present, &changed, stages, &zone, desk.now);
    let day_ms = 24 * 3600 * 1000;
    let from = platform::clock::Timestamp(desk.now.0.saturating_sub(options.days * day_ms));
    let dir = desk.settings.data_dir.join(record::DIRECTORY);
    record::read(&dir, from, |one| replay.look(one))
        .map_err(|error| invalid(format!("{} cannot be read: {error}", dir.display())))?;
    let report = replay.finish();
    if options.json {
        let text = serde_json::to_string_pretty(&report).map_err(invalid)?;
        return Ok((text + "\n").into());
    }
    Ok(match options.csv {
        true => sheet(&report),
        false => plain(&report),
    }
    .into())
}

fn sheet(report: &Report) -> String {
    let mut text = String::new();
    csv::push(
        &mut text,
        &["difference", "who", "to", "rule", "at", "count"],
    );
    for (whom, count) in &report.rows {
        let count = count.to_string();
        let (word, at) = (whom.difference.word(), whom.point);
        csv::push(
            &mut text,
            &[word, &whom.who, &whom.to, &whom.rule, at, &count],
        );
    }
    text
}

fn plain(report: &Report) -> String {
    let mut text = format!(
        "Looked at {} logins, recipients and messages.\n",
        report.looked_at
    );
    if report.totals.is_empty() {
        text.push_str("Nothing would have been different.\n");
    }
    for (difference, count) in &report.totals {
        text.push_str(&format!("{}: {count}\n", difference.word()));
        for (whom, count) in report
            .rows
            .iter()
            .filter(|(whom, _)| whom.difference == *difference)
        {
            let who = if whom.who.is_empty() { "-" } else { &whom.who };
            let to = match whom.to.is_empty() {
                true => String::new(),
                false => format!(" -> {}", whom.to),
            };
            text.push_str(&format!(
                "  {who}{to}: {} at {} ({count}x)\n",
                whom.rule, whom.point
            ));
        }
    }
    if report.left_out > 0 {
        text.push_str(&format!("{} more were left out.\n", report.left_out));
    }
    text
}
