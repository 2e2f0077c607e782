//! Keys that sign what leaves (DKIM): where each is in its life and whose move it is, their DNS records, new ones, and
//! the end of old ones. The private part is nowhere in the API.

use super::time;
use crate::access::Right;
use crate::call::{Call, Json, List, NoBody, NoQuery};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use directory::DomainName;
use platform::clock::Timestamp;
use serde::{Deserialize, Serialize};
use signing::keyring::{Begin, Checked, Force, NewKeys};
use signing::lifecycle::{KEPT_PUBLISHED, KeyState, Publication, active_from};
use signing::{Algorithm, KeyRow, Naming, RsaSize, SigningError};
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// Keys that sign for longer than this are due for rotation (twice a year).
const ROTATE_AFTER: Duration = Duration::from_secs(183 * 86_400);

/// Their routes.
pub(super) fn routes() -> Vec<Route> {
    let look = (Right::See, About::Installation);
    let see = (Right::See, About::Domain);
    let operate = (Right::Change, About::Installation);
    const OF_DOMAIN: &str = "/api/v1/domains/{domain}/dkim";
    vec![
        Route::api(
            Method::GET,
            "/api/v1/dkim",
            look,
            "All DKIM keys, and the domains that have none",
            all,
        ),
        Route::api(
            Method::GET,
            OF_DOMAIN,
            see,
            "The DKIM keys of a domain: their records",
            of_domain,
        ),
        Route::api(
            Method::POST,
            OF_DOMAIN,
            operate,
            "Make the first DKIM keys of a domain",
            add,
        ),
        Route::api(
            Method::POST,
            "/api/v1/domains/{domain}/dkim/rotate",
            operate,
            "Make the next DKIM keys of a domain",
            rotate,
        ),
        Route::api(
            Method::POST,
            "/api/v1/domains/{domain}/dkim/check",
            operate,
            "Look in DNS for the records of a domain's DKIM keys now",
            check,
        ),
        Route::api(
            Method::DELETE,
            OF_DOMAIN,
            operate,
            "Remove DKIM keys that sign no more",
            remove,
        ),
    ]
}

/// A DKIM key.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DkimKey {
    /// The signing domain.
    pub domain: String,
    /// Unique within the domain.
    pub selector: String,
    /// `rsa` or `ed25519`.
    pub algorithm: String,
    /// The algorithm with the size, for people.
    pub kind: String,
    /// `new`, `published`, `active`, `retiring` or `revoked`.
    pub state: String,
    /// Where it is in its life and whose move it is.
    pub says: String,
    /// What DNS shows: `unknown`, `seen`, `absent` or `differs`.
    pub published: String,
    /// What is wrong with what DNS shows.
    pub finding: String,
    /// The name of its DNS record.
    pub name: String,
    /// What the record says.
    pub value: String,
    /// The record in a zone file.
    pub zone_line: String,
    /// The name in the provider's zone that an alias may point at.
    pub cname_target: String,
    /// That alias in a zone file.
    pub cname_line: String,
    /// When it was made.
    pub created: String,
    /// Since when it signs.
    pub activated: Option<String>,
    /// When it stopped.
    pub retired: Option<String>,
    /// When DNS was last asked.
    pub checked: Option<String>,
}

impl DkimKey {
    fn of(call: &Call, key: &KeyRow) -> Self {
        let (record, host) = (key.record(), call.services.signing.host());
        let at = |at: Option<Timestamp>| at.map(|at| time(at.0));
        Self {
            domain: key.domain.clone(),
            selector: key.selector.clone(),
            algorithm: key.algorithm.record_word().to_owned(),
            kind: kind(key),
            state: key.state.word().to_owned(),
            says: sentence(key, call.now),
            published: publication_word(&key.publication).to_owned(),
            finding: publication_text(&key.publication).to_owned(),
            name: record.name(),
            value: record.value(),
            zone_line: record.zone_line(),
            cname_target: record.hosted_name(host),
            cname_line: record.cname_line(host),
            created: time(key.created.0),
            activated: at(key.activated),
            retired: at(key.retired),
            checked: at(key.checked),
        }
    }
}

fn shown(call: &Call, keys: &[KeyRow]) -> Vec<DkimKey> {
    keys.iter().map(|key| DkimKey::of(call, key)).collect()
}

/// All keys.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DkimKeys {
    /// The name in which the server itself signs.
    pub host: String,
    /// The keys.
    pub keys: Vec<DkimKey>,
    /// Hosted domains that have none.
    pub without: Vec<String>,
}

async fn all(call: Call, _: NoQuery, _: NoBody) -> Result<Json<DkimKeys>, Problem> {
    let signing = &call.services.signing;
    let keys = signing.keyring().list().await.map_err(problem)?;
    let domains = call.services.accounts.domains().await?.into_iter();
    let without = domains.map(|domain| domain.name);
    let without = without.filter(|name| !keys.iter().any(|key| key.domain == **name));
    Ok(Json(DkimKeys {
        host: signing.host().to_owned(),
        without: without.collect(),
        keys: shown(&call, &keys),
    }))
}

/// The domain of the path, which is hosted here, is the server's own name, or has keys from when it was.
async fn domain(call: &Call) -> Result<DomainName, Problem> {
    let domain = call.domain()?;
    let signing = &call.services.signing;
    if domain.as_str() != signing.host()
        && let Err(missing) = call.services.accounts.domain(&domain).await
    {
        let keys = signing.keyring().of_domain(domain.as_str()).await;
        if keys.map_err(problem)?.is_empty() {
            return Err(missing.into());
        }
    }
    Ok(domain)
}

async fn of_domain(call: Call, _: NoQuery, _: NoBody) -> Result<List<DkimKey>, Problem> {
    let domain = domain(&call).await?;
    let signing = &call.services.signing;
    let keys = signing.keyring().of_domain(domain.as_str()).await;
    Ok(List(shown(&call, &keys.map_err(problem)?)))
}

/// How new keys are to be.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddDkimKeys {
    /// 2048 (where it is not said), 3072 or 4096.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rsa_bits: Option<u32>,
    /// Selectors rp1a, rp1b and rp2a, rp2b in turn, for customers who publish four CNAME records once.
    #[serde(default)]
    pub fixed_selectors: bool,
    /// Sign at once, whether the records are published or not.
    #[serde(default)]
    pub now: bool,
}

impl AddDkimKeys {
    fn wanted(&self) -> Result<NewKeys, Problem> {
        let rsa = match self.rsa_bits {
            None => RsaSize::default(),
            Some(bits) => RsaSize::from_bits(bits)
                .ok_or_else(|| Problem::invalid("rsa_bits is 2048, 3072 or 4096."))?,
        };
        Ok(NewKeys {
            rsa,
            naming: self.fixed_selectors.then_some(Naming::Fixed),
            begin: match self.now {
                true => Begin::Now,
                false => Begin::WhenSeen,
            },
        })
    }
}

async fn add(call: Call, _: NoQuery, sent: Json<AddDkimKeys>) -> Result<List<DkimKey>, Problem> {
    let (domain, new) = (call.domain()?, sent.0.wanted()?);
    let signing = &call.services.signing;
    let hosted = call.services.accounts.domain(&domain).await;
    if hosted.is_err() && domain.as_str() != signing.host() {
        return Err(Problem::missing(format!(
            "{domain} is no domain of this server; `rohrpost domain add {domain}` makes it one"
        )));
    }
    let made = signing.keyring().add(domain.as_str(), new).await;
    let made = shown(&call, &made.map_err(problem)?);
    call.note_after(&made);
    Ok(List(made))
}

async fn rotate(call: Call, _: NoQuery, sent: Json<AddDkimKeys>) -> Result<List<DkimKey>, Problem> {
    let domain = domain(&call).await?;
    let keyring = call.services.signing.keyring();
    let made = keyring.rotate(domain.as_str(), sent.0.wanted()?).await;
    let made = shown(&call, &made.map_err(problem)?);
    call.note_after(&made);
    Ok(List(made))
}

/// A key, and what a look in DNS changed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CheckedKey {
    /// The key afterwards.
    #[serde(flatten)]
    pub key: DkimKey,
    /// Its state before.
    pub state_before: String,
    /// Whether its record is not as it should be.
    pub is_problem: bool,
}

async fn check(call: Call, _: NoQuery, _: NoBody) -> Result<List<CheckedKey>, Problem> {
    let domain = domain(&call).await?;
    let signing = &call.services.signing;
    let checked = signing.keyring().check(domain.as_str()).await;
    let checked = checked.map_err(problem)?;
    let shown = checked.iter().map(|checked| CheckedKey {
        key: DkimKey::of(&call, &checked.key),
        state_before: checked.before.word().to_owned(),
        is_problem: is_problem(checked),
    });
    Ok(List(shown.collect()))
}

/// Which keys.
#[derive(Deserialize, IntoParams)]
struct Which {
    /// Only this one.
    selector: Option<String>,
    /// Keys that sign, or whose records mail under way still needs, too.
    #[serde(default)]
    force: bool,
}

async fn remove(call: Call, which: Which, _: NoBody) -> Result<List<DkimKey>, Problem> {
    let domain = domain(&call).await?;
    let force = match which.force {
        true => Force::Yes,
        false => Force::No,
    };
    let keyring = call.services.signing.keyring();
    let gone = keyring.remove(domain.as_str(), which.selector.as_deref(), force);
    let gone = shown(&call, &gone.await.map_err(problem)?);
    call.note_before(&gone);
    Ok(List(gone))
}

fn problem(error: SigningError) -> Problem {
    match error {
        SigningError::Store(error) => error.into(),
        SigningError::Refused(_) | SigningError::Damaged { .. } | SigningError::WrongSecret => {
            Problem::conflict(error.to_string())
        }
        other => Problem::fault(&other),
    }
}

fn kind(key: &KeyRow) -> String {
    match key.algorithm {
        // The bytes of the modulus and some 38 around it.
        Algorithm::Rsa => format!(
            "RSA {}",
            key.public_key.len().saturating_sub(38) / 128 * 1024
        ),
        Algorithm::Ed25519 => "Ed25519".to_owned(),
    }
}

fn minute(at: Timestamp) -> String {
    let text = time(at.0).chars().take(16).collect::<String>();
    text.replace('T', " ") + " UTC"
}

/// Where a key is and whose move it is.
fn sentence(key: &KeyRow, now: Timestamp) -> String {
    let at = |at: Option<Timestamp>| at.map_or_else(|| "?".to_owned(), minute);
    match key.state {
        KeyState::New => format!(
            "waits for its DNS record{}; publish it, `rohrpost dkim check {}` looks at once",
            finding(key),
            key.domain
        ),
        KeyState::Published => format!(
            "its record is in DNS; it signs from {} on, when no cache can still lack it",
            at(key.seen.map(active_from))
        ),
        KeyState::Active => {
            let since = key.activated;
            let advice = match since.is_some_and(|since| now.since(since) > ROTATE_AFTER) {
                true => format!(
                    "; older than six months, run: rohrpost dkim rotate {}",
                    key.domain
                ),
                false => String::new(),
            };
            format!("signs since {}{}{advice}", at(since), finding(key))
        }
        KeyState::Retiring => format!(
            "signed until {}; its record must stay in DNS until {}",
            at(key.retired),
            at(key.retired.map(|retired| retired.plus(KEPT_PUBLISHED)))
        ),
        KeyState::Revoked => format!(
            "its private half is destroyed; take its record out of DNS, then: rohrpost dkim remove {} {}",
            key.domain, key.selector
        ),
    }
}

fn finding(key: &KeyRow) -> String {
    match &key.publication {
        Publication::Seen => String::new(),
        Publication::Unknown(why) if why.is_empty() => String::new(),
        Publication::Unknown(why) => format!(" (DNS did not answer: {why})"),
        Publication::Absent => " (DNS has no such record)".to_owned(),
        Publication::Differs(what) => format!(" (the record in DNS is wrong: {what})"),
    }
}

fn publication_word(publication: &Publication) -> &'static str {
    match publication {
        Publication::Unknown(_) => "unknown",
        Publication::Seen => "seen",
        Publication::Absent => "absent",
        Publication::Differs(_) => "differs",
    }
}

fn publication_text(publication: &Publication) -> &str {
    match publication {
        Publication::Unknown(text) | Publication::Differs(text) => text,
        Publication::Seen | Publication::Absent => "",
    }
}

fn is_problem(checked: &Checked) -> bool {
    checked.key.state < KeyState::Retiring && checked.key.publication != Publication::Seen
}
