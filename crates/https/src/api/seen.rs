//! What was seen: findings of measures and rules, insecure connections, spot checks, trends, passwords that came in
//! clear. Nothing here holds an address of a client; nothing is changed.

use crate::access::Right;
use crate::call::{Call, Json, List, NoBody, NoQuery};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use directory::AddressKey;
use platform::store::{StoreError, Tx};
use policy::connections::{self, Belief, Connection, Stranger};
use policy::impact::{self, Proposed};
use policy::samples::{self, Posture};
use policy::{Measure, exposed, findings, rules};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Rows of one answer.
const ROWS_MAX: u32 = 100_000;
/// Days that are looked back where nothing is said.
const DAYS_USUAL: u32 = 14;
/// Days at most.
const DAYS_MAX: u32 = 3650;
/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 3600 * 1000;

/// Their routes.
pub(super) fn routes() -> Vec<Route> {
    let look = (Right::See, About::Installation);
    let get = |path, words| (Method::GET, path, look, words);
    let (method, path, right, words) = get("/api/v1/findings", "What measures saw");
    let found = Route::api(method, path, right, words, found);
    let (method, path, right, words) = get(
        "/api/v1/rules/findings",
        "What rules that are not enforced would have done to mail of other servers",
    );
    let of_rules = Route::api(method, path, right, words, of_rules);
    let (method, path, right, words) = get(
        "/api/v1/audit/insecure",
        "Connections in clear or with TLS older than 1.2, per account",
    );
    let insecure = Route::api(method, path, right, words, insecure);
    let (method, path, right, words) = get(
        "/api/v1/audit/sample",
        "Some accounts chosen at random: the same with the same seed",
    );
    let sample = Route::api(method, path, right, words, sample);
    let (method, path, right, words) = get(
        "/api/v1/audit/trend",
        "Day by day, how many accounts connect securely",
    );
    let trend = Route::api(method, path, right, words, trend);
    let (method, path, right, words) = get(
        "/api/v1/audit/exposed",
        "Accounts whose password came in clear and was not changed since",
    );
    let exposed = Route::api(method, path, right, words, list_exposed);
    let (method, path, right, words) = get(
        "/api/v1/audit/unnamed",
        "Failed handshakes and wrong modes that could be anybody's",
    );
    let unnamed = Route::api(method, path, right, words, unnamed);
    let (method, path, right, words) = get(
        "/api/v1/impact/trend",
        "Day by day, how many a change would have locked out",
    );
    let of_change = Route::api(method, path, right, words, of_change);
    vec![
        found, of_rules, insecure, sample, trend, exposed, unnamed, of_change,
    ]
}

/// The first of so many days, today included.
fn first_day(call: &Call, days: Option<u32>) -> i64 {
    let days = days.unwrap_or(DAYS_USUAL).clamp(1, DAYS_MAX);
    call.now.0.div_euclid(DAY_MS) - i64::from(days - 1)
}

/// Which findings.
#[derive(Deserialize, IntoParams)]
struct WhichFindings {
    /// Only of this measure: `sender-ownership`, `tls-version/imap`, `cleartext/pop3`, `rule/NAME`.
    measure: Option<String>,
    /// Only of this account.
    account: Option<String>,
    /// Only what was seen in so many days; everything where it is not said.
    #[param(minimum = 1, maximum = 3650)]
    days: Option<u32>,
}

/// What a measure saw of an account.
#[derive(Serialize, ToSchema)]
struct Finding {
    measure: String,
    account: String,
    /// Such as the sender that was used.
    detail: String,
    seen: u64,
    first_day: String,
    last_day: String,
}

async fn found(call: Call, which: WhichFindings, _: NoBody) -> Result<List<Finding>, Problem> {
    let measure = match which.measure.as_deref().filter(|word| !word.contains('\0')) {
        None => None,
        Some(word) => Some(Measure::from_word(word).ok_or_else(|| {
            let words: Vec<_> = Measure::built_in().map(|m| m.to_string()).collect();
            Problem::invalid(format!(
                "There is no measure {word:?}; there are {}, and rule/NAME.",
                words.join(", ")
            ))
        })?),
    };
    let account = which
        .account
        .as_deref()
        .map(AddressKey::parse)
        .transpose()?;
    let account = account.map(|account| account.to_string());
    let first = which.days.map(|days| first_day(&call, Some(days)));
    call.services.findings.flush().await?;
    let read = call
        .services
        .store
        .read(move |tx: &mut dyn Tx| findings::list(tx, measure.as_ref(), ROWS_MAX.into()));
    let shown = read.await?.into_iter().filter(|(login, finding)| {
        first.is_none_or(|first| finding.last_day >= first)
            && account.as_ref().is_none_or(|account| account == login)
    });
    let shown = shown.map(|(login, finding)| Finding {
        measure: finding.measure.to_string(),
        account: login,
        detail: finding.detail,
        seen: finding.seen,
        first_day: super::day(finding.first_day),
        last_day: super::day(finding.last_day),
    });
    Ok(List(shown.collect()))
}

/// Which rule.
#[derive(Deserialize, IntoParams)]
struct WhichRule {
    /// Only of this rule.
    rule: Option<String>,
}

/// What a rule would have done to mail of another domain.
#[derive(Serialize, ToSchema)]
struct RuleFinding {
    rule: String,
    /// The sender's domain; empty for the null sender.
    domain: String,
    seen: u64,
    first_day: String,
    last_day: String,
}

async fn of_rules(call: Call, which: WhichRule, _: NoBody) -> Result<List<RuleFinding>, Problem> {
    let rule = which.rule.filter(|rule| !rule.contains('\0'));
    let read = call
        .services
        .store
        .read(move |tx: &mut dyn Tx| rules::servers::list(tx, rule.as_deref(), ROWS_MAX.into()));
    let shown = read.await?.into_iter().map(|one| RuleFinding {
        rule: one.rule,
        domain: one.domain,
        seen: one.seen,
        first_day: super::day(one.first_day),
        last_day: super::day(one.last_day),
    });
    Ok(List(shown.collect()))
}

/// How far back.
#[derive(Deserialize, IntoParams)]
struct Back {
    /// So many days, today included; 14 where it is not said.
    #[param(minimum = 1, maximum = 3650)]
    days: Option<u32>,
}

/// One way an account connected, in the words of the catalogue.
#[derive(Serialize, ToSchema)]
struct Connected {
    account: String,
    service: &'static str,
    port: u16,
    /// `clear`, `starttls` or `tls`.
    encryption: &'static str,
    /// `normal` or `legacy`.
    door: &'static str,
    tls: Option<String>,
    cipher: String,
    /// The program's key in the catalogue.
    client: String,
    outcome: &'static str,
    /// Whether it was certainly the account itself.
    certain: bool,
    /// Whether the same program has logged in securely since.
    settled: bool,
    seen: u64,
    first_day: String,
    last_day: String,
}

fn connected(account: String, row: &Connection) -> Connected {
    let manner = &row.manner;
    Connected {
        account,
        service: manner.service.word(),
        port: manner.port,
        encryption: manner.encryption.word(),
        door: manner.door.word(),
        tls: manner.tls.map(|version| version.to_string()),
        cipher: manner.cipher.to_string(),
        client: manner.client.to_string(),
        outcome: manner.outcome.word(),
        certain: row.belief == Belief::Proved,
        settled: row.settled,
        seen: row.seen,
        first_day: super::day(row.first_day),
        last_day: super::day(row.last_day),
    }
}

async fn insecure(call: Call, back: Back, _: NoBody) -> Result<List<Connected>, Problem> {
    let first = first_day(&call, back.days);
    call.services.connections.flush().await?;
    let read = call
        .services
        .store
        .read(move |tx: &mut dyn Tx| connections::insecure(tx, first, ROWS_MAX));
    let found = read.await?.into_iter();
    Ok(List(
        found.map(|(login, row)| connected(login, &row)).collect(),
    ))
}

/// Which accounts.
#[derive(Deserialize, IntoParams)]
struct Choice {
    /// How many; 50 where it is not said.
    #[param(minimum = 1, maximum = 10000)]
    accounts: Option<u32>,
    /// Decides which ones.
    #[serde(default)]
    #[param(minimum = 0)]
    seed: u64,
}

/// How many accounts connect in each way.
#[derive(Serialize, ToSchema)]
struct Postures {
    insecure: u64,
    legacy: u64,
    secure: u64,
    unseen: u64,
}

impl Postures {
    fn of(count: impl Fn(Posture) -> u64) -> Self {
        Self {
            insecure: count(Posture::Insecure),
            legacy: count(Posture::Legacy),
            secure: count(Posture::Secure),
            unseen: count(Posture::Unseen),
        }
    }

    fn from_counts(counts: [u64; 4]) -> Self {
        let all = Posture::ALL.into_iter().zip(counts);
        Self::of(|wanted| {
            let found = all.clone().find(|(posture, _)| *posture == wanted);
            found.map_or(0, |(_, count)| count)
        })
    }
}

/// An account of a spot check.
#[derive(Serialize, ToSchema)]
struct Looked {
    account: String,
    /// `insecure`, `legacy`, `secure` or `unseen`.
    posture: &'static str,
    password_exposed: bool,
    connections: Vec<Connected>,
}

/// A spot check.
#[derive(Serialize, ToSchema)]
struct SpotCheck {
    seed: u64,
    /// How many accounts it was taken from.
    of: u64,
    accounts: Vec<Looked>,
    totals: Postures,
    /// The same of all accounts.
    everybody: Postures,
}

async fn sample(call: Call, choice: Choice, _: NoBody) -> Result<Json<SpotCheck>, Problem> {
    let wanted = choice.accounts.unwrap_or(50) as usize;
    let (wanted, seed, now) = (
        wanted.clamp(1, samples::ACCOUNTS_MAX),
        choice.seed,
        call.now,
    );
    call.services.connections.flush().await?;
    let read = call.services.store.read(move |tx: &mut dyn Tx| {
        let sample = samples::sample(tx, wanted, seed, now)?;
        Ok::<_, StoreError>((sample, samples::totals(tx, now)?))
    });
    let (sample, everybody) = read.await?;
    let totals = Postures::of(|posture| sample.count(posture) as u64);
    let accounts = sample.accounts.into_iter().map(|one| Looked {
        posture: one.posture.word(),
        password_exposed: one.exposed,
        connections: (one.rows.iter())
            .map(|row| connected(one.login.clone(), row))
            .collect(),
        account: one.login,
    });
    Ok(Json(SpotCheck {
        seed,
        of: sample.of,
        accounts: accounts.collect(),
        totals,
        everybody: Postures::from_counts(everybody),
    }))
}

/// How accounts connected on a day.
#[derive(Serialize, ToSchema)]
struct PosturesOfDay {
    day: String,
    accounts: Postures,
}

async fn trend(call: Call, back: Back, _: NoBody) -> Result<List<PosturesOfDay>, Problem> {
    let first = first_day(&call, back.days);
    let read = call
        .services
        .store
        .read(move |tx: &mut dyn Tx| samples::trend(tx, first));
    let days = read.await?.into_iter().map(|(day, counts)| PosturesOfDay {
        day: super::day(day),
        accounts: Postures::from_counts(counts),
    });
    Ok(List(days.collect()))
}

/// An account whose password came in clear.
#[derive(Serialize, ToSchema)]
struct ExposedPassword {
    account: String,
    service: &'static str,
    /// Whether it was certainly the account itself.
    certain: bool,
    seen: u64,
    first_day: String,
    last_day: String,
}

async fn list_exposed(call: Call, _: NoQuery, _: NoBody) -> Result<List<ExposedPassword>, Problem> {
    call.services.connections.flush().await?;
    let read = call
        .services
        .store
        .read(|tx: &mut dyn Tx| exposed::list(tx, ROWS_MAX));
    let shown = read.await?.into_iter().map(|(login, one)| ExposedPassword {
        account: login,
        service: one.service.word(),
        certain: one.belief == Belief::Proved,
        seen: one.seen,
        first_day: super::day(one.first_day),
        last_day: super::day(one.last_day),
    });
    Ok(List(shown.collect()))
}

/// Failures of a day that nobody could be named for.
#[derive(Serialize, ToSchema)]
struct Unnamed {
    day: String,
    service: &'static str,
    outcome: &'static str,
    encryption: &'static str,
    /// The highest version that was offered.
    tls: Option<String>,
    /// The program's key in the catalogue.
    client: String,
    seen: u64,
}

async fn unnamed(call: Call, back: Back, _: NoBody) -> Result<List<Unnamed>, Problem> {
    let first = first_day(&call, back.days);
    call.services.connections.flush().await?;
    let read = call
        .services
        .store
        .read(move |tx: &mut dyn Tx| connections::strangers(tx, first, ROWS_MAX));
    let shown = read.await?.into_iter().map(|one: Stranger| Unnamed {
        day: super::day(one.day),
        service: one.service.word(),
        outcome: one.outcome.word(),
        encryption: one.encryption.word(),
        tls: one.tls.map(|version| version.to_string()),
        client: one.client,
        seen: one.seen,
    });
    Ok(List(shown.collect()))
}

/// Which change, how far back.
#[derive(Deserialize, IntoParams)]
struct WhichTrend {
    /// As of `impact`.
    change: String,
    /// So many days, today included; 14 where it is not said.
    #[param(minimum = 1, maximum = 3650)]
    days: Option<u32>,
}

/// Whom a change would have locked out on a day.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ImpactOfDay {
    /// The day (UTC).
    pub day: String,
    /// Accounts.
    pub accounts: u64,
    /// Their domains.
    pub domains: u64,
}

async fn of_change(call: Call, which: WhichTrend, _: NoBody) -> Result<List<ImpactOfDay>, Problem> {
    let change = Proposed::from_word(&which.change)
        .filter(|_| !which.change.contains('\0'))
        .ok_or_else(|| {
            Problem::invalid(
                "There is no such change; examples are tls-version/imap=1.2 and cleartext/pop3.",
            )
        })?;
    let first = first_day(&call, which.days);
    let read = call
        .services
        .store
        .read(move |tx: &mut dyn Tx| impact::trend(tx, &change, first));
    let shown = read.await?.into_iter().map(|of| ImpactOfDay {
        day: super::day(of.day),
        accounts: of.accounts,
        domains: of.domains,
    });
    Ok(List(shown.collect()))
}
