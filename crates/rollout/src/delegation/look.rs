//! What the DNS has of the wanted records already. Asks, changes nothing; a failure is not an absence.

use super::{Purpose, Type, Wanted};
use platform::dns::{Mx, Outcome, Resolver};

/// What is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// What is wanted.
    Published,
    /// Nothing.
    Missing,
    /// Something else of the same kind.
    Other(String),
    /// Something has to be said by the tool first.
    Open,
    /// The DNS did not answer; in words.
    Unknown(String),
}

impl Seen {
    /// The word in the API and on the command line.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Missing => "missing",
            Self::Other(_) => "other",
            Self::Open => "open",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// Looks for each of the records.
pub async fn look(resolver: &dyn Resolver, wanted: &[Wanted]) -> Vec<Seen> {
    let mut seen = Vec::with_capacity(wanted.len());
    for record in wanted {
        let Some(value) = &record.value else {
            seen.push(Seen::Open);
            continue;
        };
        let found = match record.kind {
            Type::Txt => text(resolver, record, value).await,
            Type::Cname => alias(resolver, &record.name, value).await,
            Type::Mx => exchanger(resolver, &record.name, value).await,
        };
        seen.push(found.unwrap_or_else(Seen::Unknown));
    }
    seen
}

/// What a text of the same kind has in it; SPF and DMARC begin with it.
fn is_alike(purpose: Purpose, text: &str) -> bool {
    match purpose {
        Purpose::Senders | Purpose::BounceSenders => text.starts_with("v=spf1"),
        Purpose::Policy | Purpose::Reports => text.starts_with("v=DMARC1"),
        Purpose::Key => text.contains("p="),
        Purpose::Bounces => false,
    }
}

/// Records differ in spaces and a final semicolon without meaning anything else by it.
fn plain(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    text.trim_end_matches(';').to_owned()
}

async fn text(resolver: &dyn Resolver, record: &Wanted, value: &str) -> Result<Seen, String> {
    let texts = match resolver.txt(&record.name).await {
        Outcome::Found(answer) => answer.value,
        Outcome::NoData(_) | Outcome::NxDomain(_) => return Ok(Seen::Missing),
        Outcome::Bogus(why) | Outcome::TemporaryFailure(why) => return Err(why),
    };
    let texts = texts.into_iter().filter_map(|t| String::from_utf8(t).ok());
    let alike: Vec<String> = texts.filter(|t| is_alike(record.purpose, t)).collect();
    let fits = |text: &str| match record.purpose {
        Purpose::Senders | Purpose::BounceSenders => {
            text.split_whitespace().eq(value.split_whitespace())
        }
        _ => plain(text) == plain(value),
    };
    Ok(match alike.as_slice() {
        [] => Seen::Missing,
        // Two SPF or DMARC records are none (RFC 7208 §4.5, RFC 9989 §4.7).
        [only] if fits(only) => Seen::Published,
        [only] => Seen::Other(only.clone()),
        more => Seen::Other(format!("{} records: {}", more.len(), more.join(" | "))),
    })
}

/// The name that has the records `name` leads to; `None`: there are none.
async fn behind(resolver: &dyn Resolver, name: &str) -> Result<Option<String>, String> {
    let outcomes = [
        resolver.txt(name).await.map(drop),
        resolver.mx(name).await.map(drop),
        resolver.addresses(name).await.map(drop),
    ];
    let mut trouble = None;
    for outcome in outcomes {
        match outcome {
            Outcome::Found(answer) => return Ok(Some(answer.name.to_string())),
            Outcome::NoData(_) | Outcome::NxDomain(_) => {}
            Outcome::Bogus(why) | Outcome::TemporaryFailure(why) => trouble = Some(why),
        }
    }
    trouble.map_or(Ok(None), Err)
}

/// Whether it ends where the target ends, which may be an alias itself.
async fn alias(resolver: &dyn Resolver, name: &str, target: &str) -> Result<Seen, String> {
    let Some(found) = behind(resolver, name).await? else {
        return Ok(Seen::Missing);
    };
    if found == name {
        return Ok(Seen::Other("records instead of an alias".to_owned()));
    }
    let same = found == target || behind(resolver, target).await?.as_deref() == Some(&*found);
    Ok(match same {
        true => Seen::Published,
        false => Seen::Other(format!("an alias to {found}")),
    })
}

async fn exchanger(resolver: &dyn Resolver, name: &str, value: &str) -> Result<Seen, String> {
    let wanted = value.rsplit(' ').next().unwrap_or(value);
    Ok(match resolver.mx(name).await {
        Outcome::Found(answer) => match answer.value {
            Mx::Hosts(hosts) if hosts.iter().any(|mx| mx.host == wanted) => Seen::Published,
            Mx::Hosts(hosts) => {
                let hosts: Vec<_> = hosts.into_iter().map(|mx| mx.host).collect();
                Seen::Other(hosts.join(", "))
            }
            Mx::Null => Seen::Other("an MX that takes no mail".to_owned()),
        },
        Outcome::NoData(_) | Outcome::NxDomain(_) => Seen::Missing,
        Outcome::Bogus(why) | Outcome::TemporaryFailure(why) => return Err(why),
    })
}
