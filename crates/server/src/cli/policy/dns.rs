//! `rohrpost dns`: whether the DNS fits what mail leaves with.

use super::output::{self, Format};
use super::{Desk, Done, domain_name, invalid};
use clap::Subcommand;
use directory::DomainName;
use platform::dns::Resolver;
use policy::admin::PolicyError;
use policy::dns_check::{Line, Verdict, check_domain};
use policy::setting::{Name, Value};
use policy::{Pool, Scope};
use serde_json::json;
use std::net::IpAddr;
use std::sync::Arc;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Checks the addresses mail of a domain leaves from: PTR, the way back, EHLO name, SPF record.
    ///
    /// The addresses are those of the pools the domain, its accounts, its group or the installation
    /// use; without a pool those the node's own name has. Exit code 1 where something is to be done.
    ///
    /// Example: rohrpost dns check firma.example
    Check {
        /// A domain whose mail is handled here.
        #[arg(value_parser = domain_name)]
        domain: DomainName,
        #[command(flatten)]
        format: Format,
    },
}

pub(super) async fn run(verb: &Verb, desk: &Desk<'_>) -> Result<Done, PolicyError> {
    let Verb::Check { domain, format } = verb;
    // Says so where the domain is not one of ours.
    let scope = desk.admin.scope(&format!("domain:{domain}")).await?;
    let resolver = resolver(desk)?;
    let host_name = &desk.settings.host_name.0;
    let pools = pools(desk, &scope, &*resolver).await?;
    let lines = check_domain(&*resolver, domain, &pools, host_name).await;
    if lines.is_empty() {
        return Err(invalid(format!(
            "it is not known which addresses mail of {domain} leaves from: it uses no pool, and \
             {host_name} has no address in the DNS. Give {host_name} its A and AAAA records, or \
             make a pool with `rohrpost pool add`"
        )));
    }
    let values: Vec<_> = lines
        .iter()
        .map(|line| json!({"verdict": line.verdict.word(), "text": line.text}))
        .collect();
    let text = output::value(*format, &json!(values), || shown(&lines))?;
    Ok(Done {
        text,
        found: lines.iter().any(|line| line.verdict == Verdict::Warning),
    })
}

pub(super) fn resolver(desk: &Desk<'_>) -> Result<Arc<dyn Resolver>, PolicyError> {
    crate::node::resolver(desk.settings, &platform::clock::Clock::system()).map_err(invalid)
}

pub(super) fn shown(lines: &[Line]) -> String {
    let line = |line: &Line| format!("{:<8} {}.\n", line.verdict.word(), line.text);
    lines.iter().map(line).collect()
}

/// The pools mail of a scope leaves from: its own, and those of accounts inside a domain.
pub(super) async fn pools(
    desk: &Desk<'_>,
    scope: &Scope,
    resolver: &dyn Resolver,
) -> Result<Vec<Pool>, PolicyError> {
    let settings = desk.admin.settings().await?;
    let effective = desk.admin.effective(scope.clone(), desk.now).await?;
    let own = effective.into_iter().find(|e| e.name == Name::Pool);
    let mut names: Vec<String> = own.map(|e| e.value).into_iter().collect();
    for row in &settings {
        if row.name == Name::Pool && inside(desk, &row.scope, scope).await? {
            names.push(row.value.to_string());
        }
    }
    names.sort();
    names.dedup();
    let known = |name: &String| {
        settings.iter().find_map(|row| match &row.value {
            Value::Pool(pool) if row.item == *name => Some(Pool {
                name: name.clone(),
                ..pool.clone()
            }),
            _ => None,
        })
    };
    let mut pools: Vec<Pool> = names.iter().filter_map(known).collect();
    pools.extend(by_rule(desk, scope, &names).await?);
    if pools.is_empty() {
        let host_name = desk.settings.host_name.0.as_str();
        let found = resolver.addresses(host_name).await.found();
        return Ok(found
            .map(|answer| by_name(host_name, &answer.value))
            .into_iter()
            .collect());
    }
    Ok(pools)
}

/// The pool or the addresses that a rule names for mail of a domain, where it is another than those in `names`.
async fn by_rule(
    desk: &Desk<'_>,
    scope: &Scope,
    names: &[String],
) -> Result<Option<Pool>, PolicyError> {
    let Scope::Domain(domain) = scope else {
        return Ok(None);
    };
    let snapshot = desk.policies().await?.snapshot();
    let (domain, around) = (domain.clone(), scope.clone());
    let group = desk
        .store
        .read(move |tx| policy::rules::store::domain_group(tx, &domain))
        .await?;
    let sender = policy::Sender {
        account: None,
        domain: match &around {
            Scope::Domain(name) => name.as_str(),
            _ => "",
        },
        group: group.as_deref(),
    };
    // Mail to anywhere; rules that name a destination too are about single letters.
    let pool = snapshot.outgoing(&sender, "", desk.now).pool;
    Ok(pool
        .map(std::borrow::Cow::into_owned)
        .filter(|pool| !names.contains(&pool.name)))
}

/// Whether an account's scope lies in a domain's.
async fn inside(desk: &Desk<'_>, inner: &Scope, outer: &Scope) -> Result<bool, PolicyError> {
    let (Scope::Account(_), Scope::Domain(domain)) = (inner, outer) else {
        return Ok(false);
    };
    let inner = inner.clone();
    let read = desk.store.read(move |tx| policy::domains_of(tx, &inner));
    Ok(read.await?.iter().any(|name| name == domain.as_str()))
}

/// What the node's own name leads to, as if it were a pool.
fn by_name(host_name: &str, addresses: &[IpAddr]) -> Pool {
    let mut pool = Pool {
        name: format!("none; {host_name}"),
        ..Pool::default()
    };
    for address in addresses {
        match address {
            IpAddr::V4(address) => pool.v4.push(*address),
            IpAddr::V6(address) => pool.v6.push(*address),
        }
    }
    pool
}
