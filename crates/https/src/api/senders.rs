//! Whether a hosted domain keeps the rules large receivers have for senders, and its DNS: what mail leaves with, and the
//! records it should have against those it has. Looks only.

use crate::access::Right;
use crate::call::{Call, Json, List, NoBody, NoQuery};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use directory::DomainName;
use policy::dns_check::{Verdict, addresses_of, check_domain, pools_of};
use policy::{Pool, Scope};
use rollout::conformity::{Found, Profile, facts, judge};
use rollout::dmarc::advisor::owner;
use rollout::dmarc::record::Record;
use rollout::zone_change::look;
use serde::{Deserialize, Serialize};
use signing::lifecycle::{KeyState, Publication};
use utoipa::{IntoParams, ToSchema};

/// Their routes.
pub(super) fn routes() -> Vec<Route> {
    let see = (Right::See, About::Domain);
    vec![
        Route::api(
            Method::GET,
            "/api/v1/domains/{domain}/checks",
            see,
            "Each rule of large receivers for senders, and whether the domain keeps it",
            checks,
        ),
        Route::api(
            Method::GET,
            "/api/v1/domains/{domain}/dns/check",
            see,
            "Whether the DNS fits the addresses its mail leaves from",
            check,
        ),
        Route::api(
            Method::GET,
            "/api/v1/domains/{domain}/dns/records",
            see,
            "Records for sending it should have, against those it has",
            records,
        ),
    ]
}

/// A domain that is hosted here, and the pools its mail leaves from.
async fn sender(call: &Call) -> Result<(DomainName, Vec<Pool>), Problem> {
    let domain = call.domain()?;
    let services = &call.services;
    services.accounts.domain(&domain).await?;
    let (resolver, scope) = (&*services.resolver, Scope::Domain(domain.clone()));
    let host_name = &services.host_name;
    let pools = pools_of(&services.policies, resolver, host_name, &scope, call.now).await?;
    Ok((domain, pools))
}

/// Whose rules.
#[derive(Deserialize, IntoParams)]
struct Rules {
    /// Of all where it is not said.
    #[param(inline)]
    profile: Option<Receiver>,
}

/// A large receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Receiver {
    Google,
    Yahoo,
    Microsoft,
}

impl From<Receiver> for Profile {
    fn from(receiver: Receiver) -> Self {
        match receiver {
            Receiver::Google => Self::Google,
            Receiver::Yahoo => Self::Yahoo,
            Receiver::Microsoft => Self::Microsoft,
        }
    }
}

/// A rule and whether it is kept.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CheckedRule {
    /// `google`, `yahoo` or `microsoft`.
    pub profile: String,
    /// Its short name.
    pub rule: String,
    /// `pass`, `fail`, `unknown` (it cannot be seen from here) or `not-needed` (it is for bulk senders).
    pub verdict: String,
    /// What it wants, and what to do where it is not kept.
    pub text: String,
}

async fn checks(call: Call, rules: Rules, _: NoBody) -> Result<List<CheckedRule>, Problem> {
    let (domain, pools) = sender(&call).await?;
    let figures = call.services.advisor.figures(&domain, call.now).await?;
    let keys = keys(&call, &domain).await?;
    let dkim = match keys.iter().any(|key| key.state == KeyState::Active) {
        true => Found::Yes,
        false => Found::No,
    };
    let (resolver, addresses) = (&*call.services.resolver, addresses_of(&pools));
    let facts = facts::look(resolver, &domain, &addresses, dkim, &figures).await;
    let profiles = match rules.profile {
        Some(receiver) => vec![receiver.into()],
        None => Profile::ALL.to_vec(),
    };
    let of = |profile: Profile| {
        let judged = judge(profile, &facts, call.language).into_iter();
        judged.map(move |rule| CheckedRule {
            profile: profile.word().to_owned(),
            rule: rule.rule.to_owned(),
            verdict: rule.verdict.word().to_owned(),
            text: rule.text.to_owned(),
        })
    };
    Ok(List(profiles.into_iter().flat_map(of).collect()))
}

async fn keys(call: &Call, domain: &DomainName) -> Result<Vec<signing::KeyRow>, Problem> {
    let keys = call
        .services
        .signing
        .keyring()
        .of_domain(domain.as_str())
        .await;
    keys.map_err(|error| Problem::fault(&error))
}

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DnsLine {
    /// `good`, `warning` or `unknown` (the DNS did not answer).
    pub verdict: String,
    /// What was seen and what to do.
    pub text: String,
}

async fn check(call: Call, _: NoQuery, _: NoBody) -> Result<List<DnsLine>, Problem> {
    let (domain, pools) = sender(&call).await?;
    let (resolver, host_name) = (&*call.services.resolver, &call.services.host_name);
    let lines = check_domain(resolver, &domain, &pools, host_name).await;
    if lines.is_empty() {
        return Err(Problem::conflict([
            format!(
                "Es ist nicht bekannt, von welchen Adressen Post von {domain} ausgeht: Die Domain nutzt keinen Pool, und \
                 {host_name} hat im DNS keine Adresse. Geben Sie {host_name} seine A- und AAAA-Einträge, oder legen Sie \
                 einen Pool an (`rohrpost pool add`)."
            ),
            format!(
                "it is not known which addresses mail of {domain} leaves from: it uses no pool, and \
                 {host_name} has no address in the DNS. Give {host_name} its A and AAAA records, or \
                 make a pool with `rohrpost pool add`"
            ),
        ]));
    }
    let shown = lines.into_iter().map(|line| DnsLine {
        verdict: line.verdict.word().to_owned(),
        text: line.text,
    });
    Ok(List(shown.collect()))
}

/// A record that a domain should have.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct WantedRecord {
    /// What it is for: `spf`, `dkim` or `dmarc`.
    pub purpose: String,
    /// Its name.
    pub name: String,
    /// Its type, such as `TXT`.
    pub kind: String,
    /// What should be there: of SPF and DMARC records an example, where another one does as well.
    pub wanted: String,
    /// What is there; without it, nothing.
    pub found: Option<String>,
    /// `good`, `warning` or `unknown` (the DNS did not answer).
    pub verdict: String,
}

/// The records of a domain.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct WantedRecords {
    /// The domain.
    pub domain: String,
    /// Each record.
    pub records: Vec<WantedRecord>,
}

async fn records(call: Call, _: NoQuery, _: NoBody) -> Result<Json<WantedRecords>, Problem> {
    let (domain, pools) = sender(&call).await?;
    let mut records = vec![spf(&call, &domain, &pools).await];
    for key in keys(&call, &domain).await? {
        if key.state != KeyState::Revoked {
            records.push(dkim(&call, &key).await);
        }
    }
    records.push(dmarc(&call, &domain).await);
    Ok(Json(WantedRecords {
        domain: domain.to_string(),
        records,
    }))
}

/// What was found, with its verdict where it is known.
async fn found(
    call: &Call,
    name: &str,
    start: &str,
    is_good: impl Fn(&str) -> bool,
) -> (Option<String>, String) {
    let seen = look::txt(&*call.services.resolver, name, start).await;
    let (text, verdict) = match seen {
        Err(_) => (None, Verdict::Unknown),
        Ok(record) => match record.text {
            Some(text) if is_good(&text) => (Some(text), Verdict::Good),
            other => (other, Verdict::Warning),
        },
    };
    (text, verdict.word().to_owned())
}

async fn spf(call: &Call, domain: &DomainName, pools: &[Pool]) -> WantedRecord {
    let (resolver, addresses) = (&*call.services.resolver, addresses_of(pools));
    let passes = facts::spf(resolver, domain, &addresses).await;
    let (found, seen) = found(call, domain.as_str(), "v=spf1", |_| passes == Found::Yes).await;
    WantedRecord {
        purpose: "spf".to_owned(),
        name: domain.to_string(),
        kind: "TXT".to_owned(),
        wanted: policy::dns_check::whole_record(pools),
        found,
        verdict: match passes {
            Found::Unknown => Verdict::Unknown.word().to_owned(),
            Found::Yes | Found::No => seen,
        },
    }
}

async fn dkim(call: &Call, key: &signing::KeyRow) -> WantedRecord {
    let record = key.record();
    let (name, wanted) = (record.name(), record.value());
    // Receivers read it with more patience than a comparison letter by letter.
    let seen = call.services.resolver.txt(&name).await;
    let is_good = record.judge(&seen) == Publication::Seen;
    let (found, verdict) = found(call, &name, "", |_| is_good).await;
    WantedRecord {
        purpose: "dkim".to_owned(),
        kind: "TXT".to_owned(),
        name,
        wanted,
        found,
        verdict,
    }
}

async fn dmarc(call: &Call, domain: &DomainName) -> WantedRecord {
    let name = owner(domain);
    let is_good = |text: &str| Record::parse(text).is_ok_and(|r| !r.reports_to().is_empty());
    let (found, verdict) = found(call, &name, "v=DMARC1", is_good).await;
    let first = || Record::first(call.services.advisor.reports_address()).to_string();
    WantedRecord {
        purpose: "dmarc".to_owned(),
        kind: "TXT".to_owned(),
        wanted: match &found {
            Some(text) if is_good(text) => text.clone(),
            _ => first(),
        },
        name,
        found,
        verdict,
    }
}
