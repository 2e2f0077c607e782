//! `rohrpost check domain`: whether a hosted domain keeps the rules large receivers publish for senders. Gathers
//! facts from the DNS, the DKIM keys and the reports; `rollout::conformity` judges.

use super::output::{self, Format};
use super::{Desk, Done, dmarc, dns, domain_name, invalid};
use crate::node::open_signing;
use clap::{Subcommand, ValueEnum};
use directory::DomainName;
use platform::clock::Clock;
use platform::dns::{Outcome, Resolver};
use platform::random::Random;
use policy::Scope;
use policy::admin::PolicyError;
use policy::spf::{SpfResult, check_host};
use rollout::conformity::{Facts, Found, Judged, Profile, Verdict, judge};
use rollout::dmarc::figures::gather;
use rollout::dmarc::record::Record;
use rollout::zone_change::look::txt;
use serde_json::json;
use signing::lifecycle::KeyState;
use std::net::IpAddr;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Lists each rule of a large receiver for senders, and whether the domain keeps it.
    ///
    /// Exit code 1 where one is not kept. What only the receiver can see (complaints) is "unknown";
    /// rules for bulk senders (5,000 messages a day and more) are "not-needed" for others.
    ///
    /// Example: rohrpost check domain firma.example --profile google
    Domain {
        /// A hosted domain.
        #[arg(value_parser = domain_name)]
        domain: DomainName,
        /// Whose rules; all when not given.
        #[arg(long)]
        profile: Option<Receiver>,
        /// The language of the texts.
        #[command(flatten)]
        speech: dmarc::Speech,
        #[command(flatten)]
        format: Format,
    },
}

/// A receiver on the command line.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Receiver {
    /// Gmail.
    Google,
    /// Yahoo and AOL.
    Yahoo,
    /// Outlook.com and its kin.
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

pub(super) async fn run(verb: &Verb, desk: &Desk<'_>) -> Result<Done, PolicyError> {
    let Verb::Domain {
        domain,
        profile,
        speech,
        format,
    } = verb;
    let facts = facts(desk, domain).await?;
    let profiles: Vec<Profile> = match profile {
        Some(receiver) => vec![(*receiver).into()],
        None => Profile::ALL.to_vec(),
    };
    let judged: Vec<(Profile, Vec<Judged>)> = profiles
        .into_iter()
        .map(|profile| (profile, judge(profile, &facts, speech.language())))
        .collect();
    let values: Vec<_> = judged
        .iter()
        .flat_map(|(profile, rules)| rules.iter().map(move |rule| (profile, rule)))
        .map(|(profile, rule)| {
            json!({"profile": profile.word(), "rule": rule.rule,
                "verdict": rule.verdict.word(), "text": rule.text})
        })
        .collect();
    let text = output::value(*format, &json!(values), || shown(&judged))?;
    let fails = |rule: &Judged| rule.verdict == Verdict::Fail;
    let found = judged.iter().any(|(_, rules)| rules.iter().any(fails));
    Ok(Done { text, found })
}

fn shown(judged: &[(Profile, Vec<Judged>)]) -> String {
    let mut text = String::new();
    for (profile, rules) in judged {
        text += &format!("{}\n", profile.word());
        for rule in rules {
            let verdict = match rule.verdict {
                Verdict::Fail => "warning",
                other => other.word(),
            };
            text += &format!("{verdict:<10}  {:<21}  {}\n", rule.rule, rule.text);
        }
    }
    text
}

async fn facts(desk: &Desk<'_>, domain: &DomainName) -> Result<Facts, PolicyError> {
    let scope: Scope = desk.admin.scope(&format!("domain:{domain}")).await?;
    let resolver = dns::resolver(desk)?;
    let addresses = dmarc::addresses(desk, &scope, &*resolver).await?;
    let record = txt(&*resolver, &format!("_dmarc.{domain}"), "v=DMARC1").await;
    let today = desk.now.0.div_euclid(24 * 3600 * 1000);
    let (name, pool) = (domain.to_string(), addresses.clone());
    let figures = desk
        .store
        .read(move |tx| gather(tx, &name, &pool, today))
        .await?;
    let dmarc = match &record {
        Ok(seen) => seen
            .text
            .as_deref()
            .and_then(|text| Record::parse(text).ok())
            .map(|record| record.wish()),
        Err(_) => None,
    };
    Ok(Facts {
        spf: spf(&*resolver, domain, &addresses).await,
        dkim: dkim(desk, domain, resolver.clone()).await?,
        dmarc,
        dmarc_known: if record.is_ok() {
            Found::Yes
        } else {
            Found::Unknown
        },
        names: names(&*resolver, &addresses).await,
        // TLS is used wherever it is offered; no setting turns that off.
        tls: Found::Yes,
        messages_per_day: figures.messages_per_day(),
        aligned_per_mille: figures.own_per_mille(),
    })
}

/// All of them, as long as there are any.
fn all(found: impl Iterator<Item = Found>) -> Found {
    let mut sum = None;
    for one in found {
        sum = Some(match (sum, one) {
            (Some(Found::No), _) | (_, Found::No) => Found::No,
            (Some(Found::Unknown), _) | (_, Found::Unknown) => Found::Unknown,
            _ => Found::Yes,
        });
    }
    sum.unwrap_or(Found::Unknown)
}

async fn spf(resolver: &dyn Resolver, domain: &DomainName, addresses: &[IpAddr]) -> Found {
    let mut found = Vec::new();
    for address in addresses {
        let result = check_host(resolver, *address, domain.as_str(), "postmaster").await;
        found.push(match result {
            SpfResult::Pass => Found::Yes,
            SpfResult::TempError(_) => Found::Unknown,
            _ => Found::No,
        });
    }
    all(found.into_iter())
}

async fn dkim(
    desk: &Desk<'_>,
    domain: &DomainName,
    resolver: std::sync::Arc<dyn Resolver>,
) -> Result<Found, PolicyError> {
    let (clock, random) = (Clock::settable(desk.now), Random::from_os());
    let signing = open_signing(desk.settings, &desk.store, &clock, &random, resolver)
        .await
        .map_err(invalid)?;
    let keys = signing.keyring().of_domain(domain.as_str()).await;
    let keys = keys.map_err(invalid)?;
    let active = keys.iter().any(|key| key.state == KeyState::Active);
    Ok(if active { Found::Yes } else { Found::No })
}

/// Each address has a name that leads back to it.
async fn names(resolver: &dyn Resolver, addresses: &[IpAddr]) -> Found {
    let mut found = Vec::new();
    for address in addresses {
        found.push(name(resolver, *address).await);
    }
    all(found.into_iter())
}

async fn name(resolver: &dyn Resolver, address: IpAddr) -> Found {
    let names = match resolver.reverse(address).await {
        Outcome::Found(answer) => answer.value,
        Outcome::NoData(_) | Outcome::NxDomain(_) => return Found::No,
        Outcome::Bogus(_) | Outcome::TemporaryFailure(_) => return Found::Unknown,
    };
    for name in names {
        match resolver.addresses(&name).await {
            Outcome::Found(answer) if answer.value.contains(&address) => return Found::Yes,
            Outcome::Bogus(_) | Outcome::TemporaryFailure(_) => return Found::Unknown,
            _ => {}
        }
    }
    Found::No
}
