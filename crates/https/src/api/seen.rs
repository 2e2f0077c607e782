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
pub const ROWS_MAX: u32 = 100_000;
/// Rows of all answers together.
const ALL_ROWS_MAX: u32 = 1_000_000;
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
    /// Findings that are left out at the beginning; an answer has 100,000 at most.
    #[serde(default)]
    #[param(minimum = 0, maximum = 1000000)]
    offset: u32,
}

/// What a measure saw of an account.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// Which measure.
    pub measure: String,
    /// Its address.
    pub account: String,
    /// Such as the sender that was used.
    pub detail: String,
    /// How often.
    pub seen: u64,
    /// When first (UTC).
    pub first_day: String,
    /// When last (UTC).
    pub last_day: String,
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
    call.services.keep().await?;
    call.services.policies.watch().flush().await?;
    let read = call
        .services
        .store
        .read(move |tx: &mut dyn Tx| findings::list(tx, measure.as_ref(), ALL_ROWS_MAX.into()));
    let shown = read.await?.into_iter().filter(|(login, finding)| {
        first.is_none_or(|first| finding.last_day >= first)
            && account.as_ref().is_none_or(|account| account == login)
    });
    let shown = shown.skip(which.offset as usize).take(ROWS_MAX as usize);
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
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RuleFinding {
    /// Its name.
    pub rule: String,
    /// The sender's domain; empty for the null sender.
    pub domain: String,
    /// How often.
    pub seen: u64,
    /// When first (UTC).
    pub first_day: String,
    /// When last (UTC).
    pub last_day: String,
}

async fn of_rules(call: Call, which: WhichRule, _: NoBody) -> Result<List<RuleFinding>, Problem> {
    let rule = which.rule.filter(|rule| !rule.contains('\0'));
    call.services.policies.watch().flush().await?;
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
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Connected {
    /// Its address.
    pub account: String,
    /// What was spoken.
    pub service: String,
    /// At which of our ports.
    pub port: u16,
    /// `clear`, `starttls` or `tls`.
    pub encryption: String,
    /// `normal` or `legacy`.
    pub door: String,
    /// The TLS version.
    pub tls: Option<String>,
    /// The suite.
    pub cipher: String,
    /// The program's key in the catalogue.
    pub client: String,
    /// What came of it.
    pub outcome: String,
    /// Whether it is in clear or older than TLS 1.2.
    pub insecure: bool,
    /// Whether it was certainly the account itself.
    pub certain: bool,
    /// Whether the same program has logged in securely since.
    pub settled: bool,
    /// How often.
    pub seen: u64,
    /// When first (UTC).
    pub first_day: String,
    /// When last (UTC).
    pub last_day: String,
}

pub(super) fn connected(account: String, row: &Connection) -> Connected {
    let manner = &row.manner;
    Connected {
        account,
        service: manner.service.word().to_owned(),
        port: manner.port,
        encryption: manner.encryption.word().to_owned(),
        door: manner.door.word().to_owned(),
        tls: manner.tls.map(|version| version.to_string()),
        cipher: manner.cipher.to_string(),
        client: manner.client.to_string(),
        outcome: manner.outcome.word().to_owned(),
        insecure: manner.is_insecure(),
        certain: row.belief == Belief::Proved,
        settled: row.settled,
        seen: row.seen,
        first_day: super::day(row.first_day),
        last_day: super::day(row.last_day),
    }
}

/// How far back, which part.
#[derive(Deserialize, IntoParams)]
struct BackInParts {
    /// So many days, today included; 14 where it is not said.
    #[param(minimum = 1, maximum = 3650)]
    days: Option<u32>,
    /// Connections that are left out at the beginning; an answer has 100,000 at most.
    #[serde(default)]
    #[param(minimum = 0, maximum = 1000000)]
    offset: u32,
}

async fn insecure(call: Call, back: BackInParts, _: NoBody) -> Result<List<Connected>, Problem> {
    let first = first_day(&call, back.days);
    let rows_max = back.offset.saturating_add(ROWS_MAX).min(ALL_ROWS_MAX);
    call.services.keep().await?;
    let read = call
        .services
        .store
        .read(move |tx: &mut dyn Tx| connections::insecure(tx, first, rows_max));
    let found = read.await?.into_iter().skip(back.offset as usize);
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
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Postures {
    /// In clear, or with TLS older than 1.2.
    pub insecure: u64,
    /// By the legacy hosts only.
    pub legacy: u64,
    /// Securely.
    pub secure: u64,
    /// Not at all.
    pub unseen: u64,
}

impl Postures {
    /// Each with its word.
    pub fn each(&self) -> [(&'static str, u64); 4] {
        Posture::ALL.map(|posture| {
            let count = match posture {
                Posture::Insecure => self.insecure,
                Posture::Legacy => self.legacy,
                Posture::Secure => self.secure,
                Posture::Unseen => self.unseen,
            };
            (posture.word(), count)
        })
    }

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
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Looked {
    /// Its address.
    pub account: String,
    /// `insecure`, `legacy`, `secure` or `unseen`.
    pub posture: String,
    /// Whether its password came in clear.
    pub password_exposed: bool,
    /// How it connected.
    pub connections: Vec<Connected>,
}

/// A spot check.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SpotCheck {
    /// What decided which.
    pub seed: u64,
    /// How many accounts it was taken from.
    pub of: u64,
    /// Which or how many.
    pub accounts: Vec<Looked>,
    /// How these connect.
    pub totals: Postures,
    /// The same of all accounts.
    pub everybody: Postures,
}

async fn sample(call: Call, choice: Choice, _: NoBody) -> Result<Json<SpotCheck>, Problem> {
    let wanted = choice.accounts.unwrap_or(50) as usize;
    let (wanted, seed, now) = (
        wanted.clamp(1, samples::ACCOUNTS_MAX),
        choice.seed,
        call.now,
    );
    call.services.keep().await?;
    let read = call.services.store.read(move |tx: &mut dyn Tx| {
        let sample = samples::sample(tx, wanted, seed, now)?;
        Ok::<_, StoreError>((sample, samples::totals(tx, now)?))
    });
    let (sample, everybody) = read.await?;
    let totals = Postures::of(|posture| sample.count(posture) as u64);
    let accounts = sample.accounts.into_iter().map(|one| Looked {
        posture: one.posture.word().to_owned(),
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
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PosturesOfDay {
    /// The day (UTC).
    pub day: String,
    /// Which or how many.
    pub accounts: Postures,
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
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ExposedPassword {
    /// Its address.
    pub account: String,
    /// What was spoken.
    pub service: String,
    /// Whether it was certainly the account itself.
    pub certain: bool,
    /// How often.
    pub seen: u64,
    /// When first (UTC).
    pub first_day: String,
    /// When last (UTC).
    pub last_day: String,
}

async fn list_exposed(call: Call, _: NoQuery, _: NoBody) -> Result<List<ExposedPassword>, Problem> {
    call.services.keep().await?;
    let read = call
        .services
        .store
        .read(|tx: &mut dyn Tx| exposed::list(tx, ROWS_MAX));
    let shown = read.await?.into_iter().map(|(login, one)| ExposedPassword {
        account: login,
        service: one.service.word().to_owned(),
        certain: one.belief == Belief::Proved,
        seen: one.seen,
        first_day: super::day(one.first_day),
        last_day: super::day(one.last_day),
    });
    Ok(List(shown.collect()))
}

/// Failures of a day that nobody could be named for.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Unnamed {
    /// The day (UTC).
    pub day: String,
    /// What was spoken.
    pub service: String,
    /// What came of it.
    pub outcome: String,
    /// `clear`, `starttls` or `tls`.
    pub encryption: String,
    /// The highest version that was offered.
    pub tls: Option<String>,
    /// The program's key in the catalogue.
    pub client: String,
    /// How often.
    pub seen: u64,
}

async fn unnamed(call: Call, back: Back, _: NoBody) -> Result<List<Unnamed>, Problem> {
    let first = first_day(&call, back.days);
    call.services.keep().await?;
    let read = call
        .services
        .store
        .read(move |tx: &mut dyn Tx| connections::strangers(tx, first, ROWS_MAX));
    let shown = read.await?.into_iter().map(|one: Stranger| Unnamed {
        day: super::day(one.day),
        service: one.service.word().to_owned(),
        outcome: one.outcome.word().to_owned(),
        encryption: one.encryption.word().to_owned(),
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
