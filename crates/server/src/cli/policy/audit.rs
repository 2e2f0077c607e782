//! `rohrpost audit`: how accounts connect, from what sessions recorded without addresses (S1-32, S2-19, S1-05).
//! Changes nothing.

use super::output::{Format, day, or_dash, table, value};
use super::{Desk, Since, address, invalid};
use clap::{Args, Subcommand};
use formats::csv;
use policy::admin::PolicyError;
use policy::clients::Catalogue;
use policy::connections::{self, ActionNeeded, Belief, Connection, Status, Stranger};
use policy::exposed::{self, Exposed};
use policy::samples::{self, Looked, Posture, Sample};
use serde_json::json;

/// Rows of `audit insecure`.
const ROWS_MAX: u32 = 1_000_000;
/// Lines of `audit unnamed`.
const UNNAMED_MAX: u32 = 1000;

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

pub(super) async fn run(verb: &Verb, desk: &Desk<'_>) -> Result<String, PolicyError> {
    desk.keep();
    match verb {
        Verb::Insecure(listing) => insecure(listing, desk).await,
        Verb::Account {
            address: login,
            csv,
            format,
        } => account(login, *csv, *format, desk).await,
        Verb::Sample {
            accounts,
            seed,
            csv,
            format,
        } => {
            let (wanted, seed, now) = (*accounts, *seed, desk.now);
            let read = move |tx: &mut dyn platform::store::Tx| {
                let sample = samples::sample(tx, wanted, seed, now)?;
                Ok::<_, platform::store::StoreError>((sample, samples::totals(tx, now)?))
            };
            let (sample, everybody) = desk.store.read(read).await?;
            sheet_or(
                *csv,
                *format,
                sample_table(&sample),
                sample_json(&sample, seed, everybody),
            )
            .map(|text| match *csv || format.is_json() {
                true => text,
                false => text + &sample_words(&sample, everybody),
            })
        }
        Verb::Trend(listing) => trend(listing, desk).await,
        Verb::Exposed(format) => list_exposed(*format, desk).await,
        Verb::Unnamed(listing) => unnamed(listing, desk).await,
    }
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
) -> Result<String, PolicyError> {
    if !as_csv {
        return value(format, &json, || {
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

fn connection_cells(row: &Connection) -> Vec<String> {
    let manner = &row.manner;
    let whose = match row.belief {
        Belief::Proved => "proved",
        Belief::Claimed => "claimed",
    };
    vec![
        day(row.first_day),
        day(row.last_day),
        manner.service.to_string(),
        manner.port.to_string(),
        manner.encryption.to_string(),
        manner.door.word().to_owned(),
        manner.tls.map(|tls| tls.to_string()).unwrap_or_default(),
        manner.cipher.to_string(),
        manner.client.to_string(),
        manner.outcome.word().to_owned(),
        whose.to_owned(),
        row.seen.to_string(),
    ]
}

fn connection_json(row: &Connection) -> serde_json::Value {
    let cells = connection_cells(row);
    let named = CONNECTION_HEAD.into_iter().zip(cells);
    let mut value: serde_json::Map<String, serde_json::Value> = named
        .map(|(name, cell)| (name.to_owned(), json!(cell)))
        .collect();
    value.insert("port".to_owned(), json!(row.manner.port));
    value.insert("seen".to_owned(), json!(row.seen));
    value.insert("settled".to_owned(), json!(row.settled));
    serde_json::Value::Object(value)
}

async fn insecure(listing: &Listing, desk: &Desk<'_>) -> Result<String, PolicyError> {
    let first_day = listing.since.first_day(desk.now);
    let read = desk
        .store
        .read(move |tx| connections::insecure(tx, first_day, ROWS_MAX));
    let found = read.await?;
    let mut head = vec!["account"];
    head.extend(CONNECTION_HEAD);
    let rows = found
        .iter()
        .map(|(login, row)| {
            let mut cells = vec![login.clone()];
            cells.extend(connection_cells(row));
            cells
        })
        .collect();
    let values: Vec<_> = found
        .iter()
        .map(|(login, row)| {
            let mut value = connection_json(row);
            value["account"] = json!(login);
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
    desk: &Desk<'_>,
) -> Result<String, PolicyError> {
    let key = address(login).map_err(invalid)?;
    let scope = desk.admin.scope(&format!("account:{key}")).await?;
    let policy::Scope::Account(number) = scope else {
        return Err(invalid(format!("{key} is no account")));
    };
    let policies = desk.policies().await?;
    let (snapshot, now) = (policies.snapshot(), desk.now);
    let read = desk.store.read(move |tx| {
        let status = connections::status(tx, &snapshot, number, now)?;
        let rows = connections::list(tx, number)?;
        Ok::<_, platform::store::StoreError>((status, exposed::of(tx, number)?, rows))
    });
    let (status, exposed, rows) = read.await?;
    let sheet = Sheet {
        head: CONNECTION_HEAD.to_vec(),
        rows: rows.iter().map(connection_cells).collect(),
    };
    let values: Vec<_> = rows.iter().map(connection_json).collect();
    let json = json!({
        "account": key.to_string(), "status": status_json(&status),
        "password_exposed": exposed.as_ref().map(exposed_json), "connections": values,
    });
    let text = sheet_or(as_csv, format, sheet, json)?;
    if as_csv || format.is_json() {
        return Ok(text);
    }
    let said = status_words(&status, exposed.as_ref(), &policies.catalogue());
    Ok(format!("{key}: {said}\n{text}"))
}

fn status_words(status: &Status, exposed: Option<&Exposed>, catalogue: &Catalogue) -> String {
    let mut text = match status {
        Status::NothingToDo => "nothing to do\n".to_owned(),
        Status::ActionNeeded(needed) => needed_words(needed, catalogue),
    };
    if let Some(exposed) = exposed {
        let whose = match exposed.belief {
            Belief::Proved => "",
            Belief::Claimed => " (or somebody tried one in its name)",
        };
        text.push_str(&format!(
            "password-exposed: a password came in clear at {}{whose}, last on {}; it should be changed\n",
            exposed.service,
            day(exposed.last_day)
        ));
    }
    text
}

fn needed_words(needed: &ActionNeeded, catalogue: &Catalogue) -> String {
    let mut text = format!("action needed since {}\n", day(needed.since));
    for demanded in &needed.measures {
        let from = demanded.enforced_from.map(super::output::time);
        let from = from.map_or_else(String::new, |at| format!(", enforced from {at}"));
        let (measure, stage) = (&demanded.measure, demanded.stage);
        text.push_str(&format!("  measure: {measure} ({stage}{from})\n"));
    }
    for device in &needed.devices {
        let client = match device.client.as_str() {
            "" => "unknown".to_owned(),
            key => catalogue.from_key(key).to_string(),
        };
        let tls = device
            .tls
            .map_or_else(|| "no TLS".to_owned(), |tls| tls.to_string());
        text.push_str(&format!(
            "  device: {client}, {} on port {}, {tls}, {}, last on {}\n",
            device.service,
            device.port,
            device.outcome.word(),
            day(device.last_day)
        ));
    }
    for sender in &needed.senders {
        text.push_str(&format!("  sender: {sender}\n"));
    }
    text
}

fn status_json(status: &Status) -> serde_json::Value {
    let Status::ActionNeeded(needed) = status else {
        return json!({"action_needed": false});
    };
    let measures: Vec<_> = needed
        .measures
        .iter()
        .map(|one| {
            json!({
                "measure": one.measure.to_string(), "stage": one.stage.word(),
                "enforced_from": one.enforced_from.map(super::output::time),
            })
        })
        .collect();
    let devices: Vec<_> = needed
        .devices
        .iter()
        .map(|one| {
            json!({
                "client": one.client, "service": one.service.word(), "port": one.port,
                "encryption": one.encryption.word(), "door": one.door.word(),
                "tls": one.tls.map(|tls| tls.as_str()), "outcome": one.outcome.word(),
                "measure": one.measure.to_string(), "first_day": day(one.first_day),
                "last_day": day(one.last_day), "seen": one.seen,
            })
        })
        .collect();
    json!({
        "action_needed": true, "since": day(needed.since), "measures": measures,
        "devices": devices, "senders": needed.senders,
    })
}

fn exposed_json(exposed: &Exposed) -> serde_json::Value {
    json!({
        "service": exposed.service.word(), "proved": exposed.belief == Belief::Proved,
        "seen": exposed.seen, "first_day": day(exposed.first_day),
        "last_day": day(exposed.last_day),
    })
}

fn sample_table(sample: &Sample) -> Sheet {
    let row = |one: &Looked| {
        let insecure = one.rows.iter().filter(|row| row.manner.is_insecure());
        let last = one.rows.iter().map(|row| row.last_day).max();
        vec![
            one.login.clone(),
            one.posture.word().to_owned(),
            if one.exposed { "yes" } else { "no" }.to_owned(),
            insecure.count().to_string(),
            last.map(day).unwrap_or_default(),
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

fn sample_words(sample: &Sample, everybody: [u64; 4]) -> String {
    let line = |posture: Posture, count: u64| format!("{} {count}", posture.word());
    let here: Vec<_> = Posture::ALL
        .into_iter()
        .map(|posture| line(posture, sample.count(posture) as u64))
        .collect();
    let all: Vec<_> = Posture::ALL
        .into_iter()
        .zip(everybody)
        .map(|(posture, count)| line(posture, count))
        .collect();
    format!(
        "\nThese {}: {}\nAll {}: {}\n",
        sample.accounts.len(),
        here.join(", "),
        sample.of,
        all.join(", ")
    )
}

fn sample_json(sample: &Sample, seed: u64, everybody: [u64; 4]) -> serde_json::Value {
    let accounts: Vec<_> = sample
        .accounts
        .iter()
        .map(|one| {
            json!({
                "account": one.login, "posture": one.posture.word(), "password_exposed": one.exposed,
                "connections": one.rows.iter().map(connection_json).collect::<Vec<_>>(),
            })
        })
        .collect();
    let counted = |count: &dyn Fn(Posture) -> u64| -> serde_json::Value {
        let each = Posture::ALL.into_iter();
        let each = each.map(|posture| (posture.word().to_owned(), json!(count(posture))));
        serde_json::Value::Object(each.collect())
    };
    json!({
        "seed": seed, "of": sample.of, "accounts": accounts,
        "totals": counted(&|posture| sample.count(posture) as u64),
        "everybody": counted(&|posture| everybody[posture as usize]),
    })
}

async fn trend(listing: &Listing, desk: &Desk<'_>) -> Result<String, PolicyError> {
    let first_day = listing.since.first_day(desk.now);
    let read = desk.store.read(move |tx| samples::trend(tx, first_day));
    let days = read.await?;
    let mut head = vec!["day"];
    head.extend(Posture::ALL.map(Posture::word));
    let cells = |(of, counts): &(i64, [u64; 4])| {
        let mut cells = vec![day(*of)];
        cells.extend(counts.iter().map(ToString::to_string));
        cells
    };
    let values: Vec<_> = days
        .iter()
        .map(|(of, counts)| {
            let each = Posture::ALL.into_iter().zip(counts);
            let mut value: serde_json::Map<_, _> = each
                .map(|(posture, count)| (posture.word().to_owned(), json!(count)))
                .collect();
            value.insert("day".to_owned(), json!(day(*of)));
            serde_json::Value::Object(value)
        })
        .collect();
    let rows = days.iter().map(cells).collect();
    sheet_or(
        listing.csv,
        listing.format,
        Sheet { head, rows },
        json!(values),
    )
}

async fn list_exposed(format: Format, desk: &Desk<'_>) -> Result<String, PolicyError> {
    let found = desk.store.read(|tx| exposed::list(tx, ROWS_MAX)).await?;
    let rows = found
        .iter()
        .map(|(login, one)| {
            let whose = match one.belief {
                Belief::Proved => "proved",
                Belief::Claimed => "claimed",
            };
            vec![
                login.clone(),
                one.service.to_string(),
                whose.to_owned(),
                one.seen.to_string(),
                day(one.first_day),
                day(one.last_day),
            ]
        })
        .collect();
    let head = vec![
        "account",
        "service",
        "whose",
        "seen",
        "first_day",
        "last_day",
    ];
    let values: Vec<_> = found
        .iter()
        .map(|(login, one)| {
            let mut value = exposed_json(one);
            value["account"] = json!(login);
            value
        })
        .collect();
    sheet_or(false, format, Sheet { head, rows }, json!(values))
}

async fn unnamed(listing: &Listing, desk: &Desk<'_>) -> Result<String, PolicyError> {
    let first_day = listing.since.first_day(desk.now);
    let read = desk
        .store
        .read(move |tx| connections::strangers(tx, first_day, UNNAMED_MAX));
    let found = read.await?;
    let cells = |one: &Stranger| {
        vec![
            day(one.day),
            one.service.to_string(),
            one.outcome.word().to_owned(),
            one.encryption.to_string(),
            one.tls.map(|tls| tls.to_string()).unwrap_or_default(),
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
    let values: Vec<_> = found
        .iter()
        .map(|one| {
            json!({
                "day": day(one.day), "service": one.service.word(), "outcome": one.outcome.word(),
                "encryption": one.encryption.word(), "tls": one.tls.map(|tls| tls.as_str()),
                "client": one.client, "seen": one.seen,
            })
        })
        .collect();
    let rows = found.iter().map(cells).collect();
    sheet_or(
        listing.csv,
        listing.format,
        Sheet { head, rows },
        json!(values),
    )
}
