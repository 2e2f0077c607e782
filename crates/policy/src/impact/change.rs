//! What a setting that is about to be made can break: the questions a preview asks before it.

use super::Proposed;
use crate::measure::{Schedule, Service};
use crate::model::{OutboundTls, Scope, Stage};
use crate::rows::{as_written, domains_of};
use crate::setting::{Name, Value};
use directory::DomainName;
use platform::store::{StoreError, Tx};

/// Services people log in to.
pub(super) const LOGIN_SERVICES: [Service; 5] = [
    Service::Submission,
    Service::Imap,
    Service::Pop3,
    Service::ManageSieve,
    Service::Http,
];

/// The changes that a value of `name` (and `item`: a service's word or `*`) makes once it is enforced, for the
/// domains of `scope` one by one where they are asked so. Empty: it breaks nothing.
///
/// # Errors
/// Those of the store.
pub fn changes(
    tx: &mut dyn Tx,
    scope: &Scope,
    name: Name,
    item: &str,
    value: &Value,
) -> Result<Vec<Proposed>, StoreError> {
    Ok(match value {
        Value::LowestTls(lowest) if is_ever_enforced(&lowest.schedule) => {
            let mut all: Vec<Service> = services(item).into_iter().chain(servers(item)).collect();
            without_their_own(tx, scope, name, item, &mut all)?;
            let demanding = |service| Proposed::TlsVersion {
                service,
                lowest: lowest.version,
            };
            all.into_iter().map(demanding).collect()
        }
        Value::Schedule(schedule) if is_ever_enforced(schedule) => match name {
            Name::Cleartext => {
                let mut all = services(item);
                without_their_own(tx, scope, name, item, &mut all)?;
                all.into_iter().map(Proposed::Cleartext).collect()
            }
            Name::SenderOwnership => vec![Proposed::SenderOwnership],
            _ => Vec::new(),
        },
        Value::InboundTls(Some(demand)) if is_ever_enforced(&demand.schedule) => {
            of_domains(tx, scope, Proposed::InboundTls)?
        }
        Value::Spoofed(demand) if is_ever_enforced(&demand.schedule) => {
            vec![Proposed::SpoofedSender]
        }
        Value::OutboundTls(demand)
            if demand.level > OutboundTls::Off && is_ever_enforced(&demand.schedule) =>
        {
            of_domains(tx, scope, Proposed::OutboundTls)?
        }
        _ => Vec::new(),
    })
}

fn is_ever_enforced(schedule: &Schedule) -> bool {
    schedule
        .steps
        .iter()
        .any(|step| step.stage == Stage::Enforce)
}

fn services(item: &str) -> Vec<Service> {
    match Service::from_word(item) {
        Some(service) => vec![service],
        None => LOGIN_SERVICES.to_vec(),
    }
}

/// What is set for all services leaves out those that have a setting of their own in the same scope, unless that is an
/// exception, which ends.
fn without_their_own(
    tx: &mut dyn Tx,
    scope: &Scope,
    name: Name,
    item: &str,
    services: &mut Vec<Service>,
) -> Result<(), StoreError> {
    if Service::from_word(item).is_some() {
        return Ok(());
    }
    let mut left = Vec::with_capacity(services.len());
    for service in services.drain(..) {
        let own = as_written(tx, scope, name, service.word())?;
        if own.is_none_or(|own| own.expires_at.is_some()) {
            left.push(service);
        }
    }
    *services = left;
    Ok(())
}

/// Where other servers are spoken to, beside `services`.
fn servers(item: &str) -> impl Iterator<Item = Service> {
    let all = Service::from_word(item).is_none();
    all.then_some([Service::Mx, Service::Relay])
        .into_iter()
        .flatten()
}

fn of_domains(
    tx: &mut dyn Tx,
    scope: &Scope,
    proposed: impl Fn(DomainName) -> Proposed,
) -> Result<Vec<Proposed>, StoreError> {
    let domains = domains_of(tx, scope)?;
    let names = domains
        .iter()
        .filter_map(|name| DomainName::parse(name).ok());
    Ok(names.map(proposed).collect())
}
