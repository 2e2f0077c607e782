//! `rohrpost audit`: how accounts connect, from what sessions recorded without addresses (S1-32, S2-19, S1-05).
//! The admin API looks; this says it in words. Changes nothing.

use super::Since;
use super::output::{Format, local, or_dash, shown, table};
use crate::cli::admin_api::{AdminApi, path};
use clap::{Args, Subcommand};
use formats::csv;
use https::api::account_audit::{AccountAudit, ExposedAt, FailingDevice, Needed};
use https::api::seen::{
    Connected, ExposedPassword, Looked, Postures, PosturesOfDay, SpotCheck, Unnamed,
};
use policy::samples::Posture;
use serde_json::json;

/// Lines of `audit unnamed`.
const UNNAMED_MAX: usize = 1000;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Lists connections in clear or with TLS older than 1.2, per account.
    ///
    /// Each with first and last day, service, port, encryption, TLS version and suite, mail program, what came
    /// of it, and how often. "proved" are an account's own: the password was right, or it had logged in from
    /// there or with that program before. "claimed" are those of whoever named the account.
    ///
    /// Example: rohrpost audit insecure --since 14d --csv
    Insecure(Listing),
    /// Tells how one account connects, what it should change, and whether its password came in clear.
    Account {
        /// The account's address.
        address: String,
        /// Print CSV (RFC 4180) of its connections.
        #[arg(long, conflicts_with = "json")]
        csv: bool,
        #[command(flatten)]
        format: Format,
    },
    /// Looks at some accounts chosen at random: the same with the same seed.
    ///
    /// Example: rohrpost audit sample -n 50 --seed 7
    Sample {
        /// How many accounts; at most 10000.
        #[arg(short = 'n', long = "accounts", default_value_t = 50)]
        accounts: usize,
        /// Decides which accounts. Who checks again gives the same one, who wants others another one.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// Print CSV (RFC 4180), a line per account.
        #[arg(long, conflicts_with = "json")]
        csv: bool,
        #[command(flatten)]
        format: Format,
    },
    /// Shows day by day how many accounts connect securely, insecurely, by the legacy hosts, and not at all.
    Trend(Listing),
    /// Lists accounts whose password came in clear and was not changed since.
    Exposed(Format),
    /// Counts failed handshakes and wrong connection modes that could be nobody's or anybody's.
    Unnamed(Listing),
}

#[derive(Args)]
pub(crate) struct Listing {
    /// How far back to look, in days such as 14d.
    #[arg(long, default_value = "14d")]
    since: Since,
    /// Print CSV (RFC 4180).
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    #[command(flatten)]
    format: Format,
}

pub(super) async fn run(verb: &Verb, api: &AdminApi) -> Result<String, String> {
    match verb {
        Verb::Insecure(listing) => insecure(listing, api).await,
        Verb::Account {
            address: login,
            csv,
            format,
        } => account(login, *csv, *format, api).await,
        Verb::Sample {
            accounts,
            seed,
            csv,
            format,
        } => {
            let (accounts, seed) = (accounts.to_string(), seed.to_string());
            let query = [("accounts", accounts.as_str()), ("seed", &seed)];
            let sample: SpotCheck = api.get(&path(&["audit", "sample"], &query)).await?;
            let text = sheet_or(*csv, *format, sample_table(&sample), sample_json(&sample))?;
            Ok(match *csv || format.is_json() {
                true => text,
                false => text + &sample_words(&sample),
            })
        }
        Verb::Trend(listing) => trend(listing, api).await,
        Verb::Exposed(format) => list_exposed(*format, api).await,
        Verb::Unnamed(listing) => unnamed(listing, api).await,
    }
}

/// What is asked for of a listing.
fn listed(what: &str, listing: &Listing) -> String {
    path(
        &["audit", what],
        &[("days", &listing.since.days().to_string())],
    )
}

/// A table: headings as they are in CSV, and its rows.
struct Sheet {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

/// The sheet as CSV or as columns, or the JSON.
fn sheet_or(
    as_csv: bool,
    format: Format,
    sheet: Sheet,
    json: serde_json::Value,
) -> Result<String, String> {
    if !as_csv {
        return shown(format, &json, || {
            let head: Vec<String> = sheet
                .head
                .iter()
                .map(|word| word.replace('_', " "))
                .collect();
            let head: Vec<String> = head.iter().map(|word| word.to_uppercase()).collect();
            let head: Vec<&str> = head.iter().map(String::as_str).collect();
            let dashed = |row: &Vec<String>| row.iter().map(|cell| or_dash(cell)).collect();
            table(&head, &sheet.rows.iter().map(dashed).collect::<Vec<_>>())
        });
    }
    let mut text = String::new();
    csv::push(&mut text, &sheet.head);
    for row in &sheet.rows {
        let cells: Vec<&str> = row.iter().map(String::as_str).collect();
        csv::push(&mut text, &cells);
    }
    Ok(text)
}

/// What a connection's cells are called.
const CONNECTION_HEAD: [&str; 12] = [
    "first_day",
    "last_day",
    "service",
    "port",
    "encryption",
    "door",
    "tls",
    "cipher",
    "client",
    "outcome",
    "whose",
    "seen",
];

fn connection_cells(row: &Connected) -> Vec<String> {
    vec![
        row.first_day.clone(),
        row.last_day.clone(),
        row.service.clone(),
        row.port.to_string(),
        row.encryption.clone(),
        row.door.clone(),
        row.tls.clone().unwrap_or_default(),
        row.cipher.clone(),
        row.client.clone(),
        row.outcome.clone(),
        whose(row.certain).to_owned(),
        row.seen.to_string(),
    ]
}

fn whose(certain: bool) -> &'static str {
    match certain {
        true => "proved",
        false => "claimed",
    }
}

fn connection_json(row: &Connected) -> serde_json::Value {
    let cells = connection_cells(row);
    let named = CONNECTION_HEAD.into_iter().zip(cells);
    let mut value: serde_json::Map<String, serde_json::Value> = named
        .map(|(name, cell)| (name.to_owned(), json!(cell)))
        .collect();
    value.insert("port".to_owned(), json!(row.port));
    value.insert("seen".to_owned(), json!(row.seen));
    value.insert("settled".to_owned(), json!(row.settled));
    serde_json::Value::Object(value)
}

async fn insecure(listing: &Listing, api: &AdminApi) -> Result<String, String> {
    let days = listing.since.days().to_string();
    let found: Vec<Connected> =
        super::whole_list(api, &["audit", "insecure"], &[("days", &days)]).await?;
    let mut head = vec!["account"];
    head.extend(CONNECTION_HEAD);
    let rows = found
        .iter()
        .map(|row| {
            let mut cells = vec![row.account.clone()];
            cells.extend(connection_cells(row));
            cells
        })
        .collect();
    let values: Vec<_> = found
        .iter()
        .map(|row| {
            let mut value = connection_json(row);
            value["account"] = json!(row.account);
            value
        })
        .collect();
    sheet_or(
        listing.csv,
        listing.format,
        Sheet { head, rows },
        json!(values),
    )
}

async fn account(
    login: &str,
    as_csv: bool,
    format: Format,
    api: &AdminApi,
) -> Result<String, String> {
    let at = path(&["accounts", login, "audit"], &[]);
    let found: AccountAudit = api.get(&at).await?;
    let sheet = Sheet {
        head: CONNECTION_HEAD.to_vec(),
        rows: found.connections.iter().map(connection_cells).collect(),
    };
    let values: Vec<_> = found.connections.iter().map(connection_json).collect();
    let json = json!({
        "account": found.account, "status": status_json(&found),
        "password_exposed": found.password_exposed.as_ref().map(exposed_json), "connections": values,
    });
    let text = sheet_or(as_csv, format, sheet, json)?;
    if as_csv || format.is_json() {
        return Ok(text);
    }
    Ok(format!(
        "{}: {}\n{text}",
        found.account,
        status_words(&found)
    ))
}

fn status_words(found: &AccountAudit) -> String {
    let mut text = match &found.needed {
        None => "nothing to do\n".to_owned(),
        Some(needed) => needed_words(needed, &found.zone),
    };
    if let Some(exposed) = &found.password_exposed {
        let whose = match exposed.certain {
            true => "",
            false => " (or somebody tried one in its name)",
        };
        text.push_str(&format!(
            "password-exposed: a password came in clear at {}{whose}, last on {}; it should be changed\n",
            exposed.service, exposed.last_day
        ));
    }
    text
}

fn needed_words(needed: &Needed, zone: &str) -> String {
    let mut text = format!("action needed since {}\n", needed.since);
    for unmet in &needed.measures {
        let from = unmet.enforced_from.as_deref();
        let from = from.map_or_else(String::new, |at| {
            format!(", enforced from {}", local(at, zone))
        });
        let (measure, stage) = (&unmet.measure, &unmet.stage);
        text.push_str(&format!("  measure: {measure} ({stage}{from})\n"));
    }
    for device in &needed.devices {
        let tls = device.tls.as_deref().unwrap_or("no TLS");
        text.push_str(&format!(
            "  device: {}, {} on port {}, {tls}, {}, last on {}\n",
            device.client_name, device.service, device.port, device.outcome, device.last_day
        ));
    }
    for sender in &needed.senders {
        text.push_str(&format!("  sender: {sender}\n"));
    }
    text
}

fn status_json(found: &AccountAudit) -> serde_json::Value {
    let Some(needed) = &found.needed else {
        return json!({"action_needed": false});
    };
    let device = |one: &FailingDevice| {
        json!({
            "client": one.client, "service": one.service, "port": one.port,
            "encryption": one.encryption, "door": one.door, "tls": one.tls, "outcome": one.outcome,
            "measure": one.measure, "first_day": one.first_day, "last_day": one.last_day,
            "seen": one.seen,
        })
    };
    json!({
        "action_needed": true, "since": needed.since, "measures": needed.measures,
        "devices": needed.devices.iter().map(device).collect::<Vec<_>>(), "senders": needed.senders,
    })
}

fn exposed_json(exposed: &ExposedAt) -> serde_json::Value {
    json!({
        "service": exposed.service, "proved": exposed.certain, "seen": exposed.seen,
        "first_day": exposed.first_day, "last_day": exposed.last_day,
    })
}

fn sample_table(sample: &SpotCheck) -> Sheet {
    let row = |one: &Looked| {
        let insecure = one.connections.iter().filter(|row| row.insecure);
        let last = one.connections.iter().map(|row| &row.last_day).max();
        vec![
            one.account.clone(),
            one.posture.clone(),
            if one.password_exposed { "yes" } else { "no" }.to_owned(),
            insecure.count().to_string(),
            last.cloned().unwrap_or_default(),
        ]
    };
    Sheet {
        head: vec![
            "account",
            "posture",
            "password_exposed",
            "insecure_connections",
            "last_day",
        ],
        rows: sample.accounts.iter().map(row).collect(),
    }
}

fn sample_words(sample: &SpotCheck) -> String {
    let line = |postures: &Postures| {
        let each = postures.each();
        let each = each.map(|(posture, count)| format!("{posture} {count}"));
        each.join(", ")
    };
    format!(
        "\nThese {}: {}\nAll {}: {}\n",
        sample.accounts.len(),
        line(&sample.totals),
        sample.of,
        line(&sample.everybody)
    )
}

fn sample_json(sample: &SpotCheck) -> serde_json::Value {
    let accounts: Vec<_> = sample
        .accounts
        .iter()
        .map(|one| {
            json!({
                "account": one.account, "posture": one.posture,
                "password_exposed": one.password_exposed,
                "connections": one.connections.iter().map(connection_json).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "seed": sample.seed, "of": sample.of, "accounts": accounts,
        "totals": sample.totals, "everybody": sample.everybody,
    })
}

async fn trend(listing: &Listing, api: &AdminApi) -> Result<String, String> {
    let days: Vec<PosturesOfDay> = api.get(&listed("trend", listing)).await?;
    let mut head = vec!["day"];
    head.extend(Posture::ALL.map(Posture::word));
    let cells = |of: &PosturesOfDay| {
        let mut cells = vec![of.day.clone()];
        cells.extend(of.accounts.each().map(|(_, count)| count.to_string()));
        cells
    };
    let value = |of: &PosturesOfDay| {
        let mut value = json!(of.accounts);
        value["day"] = json!(of.day);
        value
    };
    let values: Vec<_> = days.iter().map(value).collect();
    let rows = days.iter().map(cells).collect();
    sheet_or(
        listing.csv,
        listing.format,
        Sheet { head, rows },
        json!(values),
    )
}

async fn list_exposed(format: Format, api: &AdminApi) -> Result<String, String> {
    let found: Vec<ExposedPassword> = api.get(&path(&["audit", "exposed"], &[])).await?;
    let row = |one: &ExposedPassword| {
        vec![
            one.account.clone(),
            one.service.clone(),
            whose(one.certain).to_owned(),
            one.seen.to_string(),
            one.first_day.clone(),
            one.last_day.clone(),
        ]
    };
    let head = vec![
        "account",
        "service",
        "whose",
        "seen",
        "first_day",
        "last_day",
    ];
    let value = |one: &ExposedPassword| {
        json!({
            "account": one.account, "service": one.service, "proved": one.certain, "seen": one.seen,
            "first_day": one.first_day, "last_day": one.last_day,
        })
    };
    let values: Vec<_> = found.iter().map(value).collect();
    let rows = found.iter().map(row).collect();
    sheet_or(false, format, Sheet { head, rows }, json!(values))
}

async fn unnamed(listing: &Listing, api: &AdminApi) -> Result<String, String> {
    let mut found: Vec<Unnamed> = api.get(&listed("unnamed", listing)).await?;
    found.truncate(UNNAMED_MAX);
    let cells = |one: &Unnamed| {
        vec![
            one.day.clone(),
            one.service.clone(),
            one.outcome.clone(),
            one.encryption.clone(),
            one.tls.clone().unwrap_or_default(),
            one.client.clone(),
            one.seen.to_string(),
        ]
    };
    let head = vec![
        "day",
        "service",
        "outcome",
        "encryption",
        "tls",
        "client",
        "seen",
    ];
    let rows = found.iter().map(cells).collect();
    sheet_or(
        listing.csv,
        listing.format,
        Sheet { head, rows },
        json!(found),
    )
}
