//! Where mail for a domain goes: its MX hosts in order, or the one next hop from the settings
//! (RFC 5321 §5.1, RFC 7505). Facts come from the resolver; the order is decided here.

use super::idn::ascii_domain;
use platform::dns::{Mx, MxHost, Outcome, Resolver};
use platform::random::Random;
use std::net::{IpAddr, SocketAddr};

/// MX hosts looked at (a domain with more is broken or hostile).
const HOSTS_MAX: usize = 10;

/// One address to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NextHop {
    pub(super) host: String,
    pub(super) address: SocketAddr,
}

/// What the DNS says about a domain.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// Addresses, best first; not empty.
    Hops(Vec<NextHop>),
    /// Mail cannot go there; the text begins with an enhanced code.
    Never(String),
    /// Nobody can say now; the text begins with an enhanced code.
    Later(String),
}

pub(super) async fn find(
    next_hop: Option<&str>,
    domain: &str,
    port: u16,
    resolver: &dyn Resolver,
    random: &Random,
) -> Route {
    if let Some(fixed) = next_hop {
        let (host, port) = split_port(fixed, port);
        return addresses(vec![host.to_owned()], port, resolver).await;
    }
    if let Some(literal) = literal(domain) {
        let address = SocketAddr::new(literal, port);
        return Route::Hops(vec![NextHop {
            host: domain.to_owned(),
            address,
        }]);
    }
    let Some(name) = ascii_domain(domain) else {
        return Route::Never(format!(
            "5.1.2 {domain} is no domain name; check the address for a typing error"
        ));
    };
    match resolver.mx(&name).await {
        Outcome::Found(answer) => match answer.value {
            Mx::Null => Route::Never(format!(
                "5.1.10 {domain} says that it takes no mail (null MX); ask the recipient for \
                 another address"
            )),
            Mx::Hosts(hosts) => addresses(ordered(hosts, random), port, resolver).await,
        },
        // RFC 5321 §5.1: without MX the domain's own addresses are the host.
        Outcome::NoData(_) => addresses(vec![name.into_owned()], port, resolver).await,
        Outcome::NxDomain(_) => Route::Never(format!(
            "5.1.2 the domain {domain} does not exist; check the address for a typing error"
        )),
        Outcome::TemporaryFailure(why) | Outcome::Bogus(why) => {
            Route::Later(format!("4.4.3 the DNS does not answer for {domain}: {why}"))
        }
    }
}

/// By preference, equal ones in random order (RFC 5321 §5.1).
fn ordered(mut hosts: Vec<MxHost>, random: &Random) -> Vec<String> {
    hosts.sort_by_cached_key(|mx| (mx.preference, random.next_u64()));
    hosts
        .into_iter()
        .take(HOSTS_MAX)
        .map(|mx| mx.host)
        .collect()
}

async fn addresses(hosts: Vec<String>, port: u16, resolver: &dyn Resolver) -> Route {
    let mut hops = Vec::new();
    let mut failure = None;
    for host in hosts {
        if let Some(address) = literal(&host) {
            hops.push(NextHop {
                address: SocketAddr::new(address, port),
                host,
            });
            continue;
        }
        match resolver.addresses(&host).await {
            Outcome::Found(answer) => {
                hops.extend(answer.value.into_iter().map(|address| NextHop {
                    host: host.clone(),
                    address: SocketAddr::new(address, port),
                }))
            }
            Outcome::NoData(_) | Outcome::NxDomain(_) => {}
            Outcome::TemporaryFailure(why) | Outcome::Bogus(why) => failure = Some((host, why)),
        }
    }
    match (hops.is_empty(), failure) {
        (false, _) => Route::Hops(hops),
        (true, Some((host, why))) => {
            Route::Later(format!("4.4.3 the DNS does not answer for {host}: {why}"))
        }
        (true, None) => Route::Never(
            "5.4.4 the recipient's domain names no server that can be reached; ask them to mend \
             their DNS"
                .to_owned(),
        ),
    }
}

/// `127.0.0.1`, `[127.0.0.1]` and `[IPv6:::1]`.
fn literal(text: &str) -> Option<IpAddr> {
    let inner = text
        .strip_prefix('[')
        .and_then(|t| t.strip_suffix(']'))
        .unwrap_or(text);
    let inner = inner.strip_prefix("IPv6:").unwrap_or(inner);
    inner.parse().ok()
}

fn split_port(text: &str, default: u16) -> (&str, u16) {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && (!host.contains(':') || host.ends_with(']')) => {
            port.parse().map_or((text, default), |port| (host, port))
        }
        _ => (text, default),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn better_hosts_come_first_and_equal_ones_in_any_order() {
        let mx = |preference, host: &str| MxHost {
            preference,
            host: host.to_owned(),
        };
        let hosts = vec![mx(20, "c"), mx(10, "a"), mx(10, "b")];
        let mut firsts = std::collections::HashSet::new();
        for seed in 0..64 {
            let order = ordered(hosts.clone(), &Random::seeded(seed));
            assert_eq!(order[2], "c");
            firsts.insert(order[0].clone());
        }
        assert_eq!(firsts.len(), 2);
    }

    #[tokio::test]
    async fn the_dns_is_asked_for_the_ascii_form() {
        let resolver = platform::dns::StaticResolver::default();
        resolver.add_address("xn--bcher-kva.example", "192.0.2.1".parse().unwrap());
        let random = Random::seeded(1);
        let route = find(None, "bücher.example", 25, &resolver, &random).await;
        assert!(
            matches!(&route, Route::Hops(hops) if hops.len() == 1),
            "{route:?}"
        );
    }

    #[test]
    fn literals_and_ports_are_read() {
        assert_eq!(literal("[IPv6:::1]"), "::1".parse().ok());
        assert_eq!(literal("[192.0.2.1]"), "192.0.2.1".parse().ok());
        assert_eq!(literal("mx.example"), None);
        assert_eq!(
            split_port("relay.example:2525", 25),
            ("relay.example", 2525)
        );
        assert_eq!(split_port("::1", 25), ("::1", 25));
        assert_eq!(split_port("[::1]:26", 25), ("[::1]", 26));
    }
}
