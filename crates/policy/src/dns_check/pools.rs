//! Which addresses mail of a scope leaves from: the pools that settings and rules name for it and for what is inside
//! it, or what the node's own name leads to. Looks only; the self-checks of the DNS and the DMARC advisor ask.

use crate::admin::{Admin, PolicyError};
use crate::handle::Policies;
use crate::model::{Pool, Scope, Sender};
use crate::rows;
use crate::rules;
use crate::setting::{Name, Value};
use platform::clock::Timestamp;
use platform::dns::Resolver;
use std::net::IpAddr;

/// The pools mail of `scope` leaves from: its own, those of accounts inside a domain, the one a rule names. Without any,
/// one made of the addresses of `host_name`, or none where that has no address.
///
/// # Errors
/// Those of the store.
pub async fn pools_of(
    policies: &Policies,
    resolver: &dyn Resolver,
    host_name: &str,
    scope: &Scope,
    now: Timestamp,
) -> Result<Vec<Pool>, PolicyError> {
    let admin = Admin::new(policies.store().clone());
    let settings = admin.settings().await?;
    let effective = admin.effective(scope.clone(), now).await?;
    let own = effective.into_iter().find(|e| e.name == Name::Pool);
    let mut names: Vec<String> = own.map(|e| e.value).into_iter().collect();
    for row in &settings {
        if row.name == Name::Pool && is_inside(policies, &row.scope, scope).await? {
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
    pools.extend(by_rule(policies, scope, &names, now).await?);
    if pools.is_empty() {
        let found = resolver.addresses(host_name).await.found();
        return Ok(found
            .map(|answer| by_name(host_name, &answer.value))
            .into_iter()
            .collect());
    }
    Ok(pools)
}

/// The addresses of pools.
pub fn addresses_of(pools: &[Pool]) -> Vec<IpAddr> {
    let v4 = pools.iter().flat_map(|pool| &pool.v4).copied();
    let v6 = pools.iter().flat_map(|pool| &pool.v6).copied();
    v4.map(IpAddr::V4).chain(v6.map(IpAddr::V6)).collect()
}

/// The pool or the addresses that a rule names for mail of a domain, where it is another than those in `names`.
async fn by_rule(
    policies: &Policies,
    scope: &Scope,
    names: &[String],
    now: Timestamp,
) -> Result<Option<Pool>, PolicyError> {
    let Scope::Domain(domain) = scope else {
        return Ok(None);
    };
    let name = domain.clone();
    let group = policies
        .store()
        .read(move |tx| rules::store::domain_group(tx, &name))
        .await?;
    let sender = Sender {
        account: None,
        domain: domain.as_str(),
        group: group.as_deref(),
    };
    let snapshot = policies.snapshot();
    // Mail to anywhere; rules that name a destination too are about single letters.
    let pool = snapshot.outgoing(&sender, "", now).pool;
    Ok(pool
        .map(std::borrow::Cow::into_owned)
        .filter(|pool| !names.contains(&pool.name)))
}

/// Whether an account's scope lies in a domain's.
async fn is_inside(policies: &Policies, inner: &Scope, outer: &Scope) -> Result<bool, PolicyError> {
    let (Scope::Account(_), Scope::Domain(domain)) = (inner, outer) else {
        return Ok(false);
    };
    let inner = inner.clone();
    let read = policies
        .store()
        .read(move |tx| rows::domains_of(tx, &inner));
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
