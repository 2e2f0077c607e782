//! The facts that the rules of large receivers are held against: asked of the DNS, and taken from what reports said.
//! Judges nothing.

use super::{Facts, Found};
use crate::dmarc::advisor::owner;
use crate::dmarc::figures::Figures;
use crate::dmarc::record::Record;
use crate::zone_change::look;
use directory::DomainName;
use platform::dns::{Outcome, Resolver};
use policy::spf::{SpfResult, check_host};
use std::net::IpAddr;

/// Looks at a hosted domain whose mail leaves from `addresses`. `dkim`: whether a key of its own signs its mail.
pub async fn look(
    resolver: &dyn Resolver,
    domain: &DomainName,
    addresses: &[IpAddr],
    dkim: Found,
    figures: &Figures,
) -> Facts {
    let record = look::txt(resolver, &owner(domain), "v=DMARC1").await;
    let text = record
        .as_ref()
        .ok()
        .and_then(|record| record.text.as_deref());
    Facts {
        spf: spf(resolver, domain, addresses).await,
        dkim,
        dmarc: text
            .and_then(|text| Record::parse(text).ok())
            .map(|record| record.wish()),
        dmarc_known: match record {
            Ok(_) => Found::Yes,
            Err(_) => Found::Unknown,
        },
        names: names(resolver, addresses).await,
        // TLS is used wherever it is offered; no setting turns that off.
        tls: Found::Yes,
        messages_per_day: figures.messages_per_day(),
        aligned_per_mille: figures.own_per_mille(),
    }
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

/// Whether SPF passes for every one of `addresses`.
pub async fn spf(resolver: &dyn Resolver, domain: &DomainName, addresses: &[IpAddr]) -> Found {
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

#[cfg(test)]
mod tests {
    use super::*;
    use platform::dns::StaticResolver;

    #[tokio::test]
    async fn what_is_there_is_found_and_what_is_not_is_not() {
        let (domain, dns) = (
            DomainName::parse("firma.test").unwrap(),
            StaticResolver::new(),
        );
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        let found = |facts: Facts| {
            (
                facts.spf,
                facts.names,
                facts.dmarc.is_some(),
                facts.dmarc_known,
            )
        };
        let none = Figures::default();
        let bare = look(&dns, &domain, &[address], Found::No, &none).await;
        assert_eq!(found(bare), (Found::No, Found::No, false, Found::Yes));
        dns.add_txt("firma.test", "v=spf1 ip4:192.0.2.7 -all");
        dns.add_txt("_dmarc.firma.test", "v=DMARC1; p=none");
        dns.add_reverse(address, "out.rp.test")
            .add_address("out.rp.test", address);
        let facts = look(&dns, &domain, &[address], Found::Yes, &none).await;
        assert_eq!(found(facts), (Found::Yes, Found::Yes, true, Found::Yes));
        // Nobody knows where its mail leaves from.
        let lost = look(&dns, &domain, &[], Found::Yes, &none).await;
        assert_eq!((lost.spf, lost.names), (Found::Unknown, Found::Unknown));
    }
}
