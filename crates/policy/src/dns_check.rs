//! Whether the DNS fits what a domain's mail leaves with (S3-52): names of the pool's addresses (PTR, back
//! again, as in EHLO) and the domain's SPF record against them; and what an author's domain elsewhere says
//! about mail that is not its own. Looks only; the CLI shows the lines.

mod pools;

pub use pools::{addresses_of, pools_of};

use crate::model::Pool;
use crate::spf::{SpfResult, check_host};
use directory::DomainName;
use platform::dns::{Outcome, Resolver};
use std::net::IpAddr;

/// Labels of a name that are looked at for a DMARC record, the name itself included (RFC 9989 §4.10).
const DMARC_LABELS_MAX: usize = 8;

/// How a line of the check is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Mail may be refused or taken for spam because of it.
    Warning,
    /// The DNS did not answer.
    Unknown,
}

impl Verdict {
    /// The word at the start of a line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Unknown => "unknown",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How it is.
    pub verdict: Verdict,
    /// What was seen and what to do.
    pub text: String,
}

fn good(text: String) -> Line {
    Line {
        verdict: Verdict::Good,
        text,
    }
}

fn warning(text: String) -> Line {
    Line {
        verdict: Verdict::Warning,
        text,
    }
}

fn unknown(text: String) -> Line {
    Line {
        verdict: Verdict::Unknown,
        text,
    }
}

/// Looks at every address of `pools`, which mail of `domain` leaves from; a pool without a name greets as
/// `host_name`.
pub async fn check_domain(
    resolver: &dyn Resolver,
    domain: &DomainName,
    pools: &[Pool],
    host_name: &str,
) -> Vec<Line> {
    let mut lines = Vec::new();
    let record = whole_record(pools);
    for pool in pools {
        let hello = pool.hello.as_deref().unwrap_or(host_name);
        let v4 = pool.v4.iter().copied().map(IpAddr::V4);
        let addresses: Vec<IpAddr> = v4.chain(pool.v6.iter().copied().map(IpAddr::V6)).collect();
        for address in addresses {
            lines.push(names(resolver, address, hello, pool).await);
            let line = spf(resolver, address, domain, pool, &record).await;
            // That there is no record at all is said once, or somebody publishes one per address.
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    lines
}

/// Looks at the names of every address of a pool; one without a name greets as `host_name`.
pub async fn check_names(resolver: &dyn Resolver, pool: &Pool, host_name: &str) -> Vec<Line> {
    let hello = pool.hello.as_deref().unwrap_or(host_name);
    let mut lines = Vec::new();
    for address in addresses_of(std::slice::from_ref(pool)) {
        lines.push(names(resolver, address, hello, pool).await);
    }
    lines
}

/// An SPF record for all addresses of the pools.
pub fn whole_record(pools: &[Pool]) -> String {
    let v4 = pools.iter().flat_map(|pool| &pool.v4);
    let v4 = v4.map(|address| format!(" ip4:{address}"));
    let v6 = pools.iter().flat_map(|pool| &pool.v6);
    let v6 = v6.map(|address| format!(" ip6:{address}"));
    let terms: String = v4.chain(v6).collect();
    format!("v=spf1{terms} -all")
}

/// FCrDNS: the address has a name, the name has the address, and it is the name in EHLO (RFC 5321 §4.1.4).
async fn names(resolver: &dyn Resolver, address: IpAddr, hello: &str, pool: &Pool) -> Line {
    let from = format!("{address} (pool {})", pool.name);
    let names = match resolver.reverse(address).await {
        Outcome::Found(answer) => answer.value,
        Outcome::NoData(_) | Outcome::NxDomain(_) => {
            return warning(format!(
                "{from} has no name (PTR); many servers refuse mail from it. Ask whoever gave you the \
                 address to name it {hello}"
            ));
        }
        Outcome::Bogus(why) | Outcome::TemporaryFailure(why) => {
            return unknown(format!("the name of {from} could not be looked up: {why}"));
        }
    };
    if !names.iter().any(|name| name.eq_ignore_ascii_case(hello)) {
        return warning(format!(
            "{from} is named {} and greets as {hello}; let both be the same, by the PTR record or by \
             `rohrpost pool set {} --hello NAME`",
            names.join(", "),
            pool.name
        ));
    }
    match resolver.addresses(hello).await {
        Outcome::Found(answer) if answer.value.contains(&address) => good(format!(
            "{from} is named {hello}, and {hello} leads back to it"
        )),
        Outcome::Found(_) | Outcome::NoData(_) | Outcome::NxDomain(_) => warning(format!(
            "{from} is named {hello}, but {hello} does not lead back to it; add an {} record",
            if address.is_ipv4() { "A" } else { "AAAA" }
        )),
        Outcome::Bogus(why) | Outcome::TemporaryFailure(why) => {
            unknown(format!("{hello} could not be looked up: {why}"))
        }
    }
}

async fn spf(
    resolver: &dyn Resolver,
    address: IpAddr,
    domain: &DomainName,
    pool: &Pool,
    record: &str,
) -> Line {
    let from = format!("{address} (pool {})", pool.name);
    let term = if address.is_ipv4() { "ip4" } else { "ip6" };
    match check_host(resolver, address, domain.as_str(), "postmaster").await {
        SpfResult::Pass => good(format!("the SPF record of {domain} has {from}")),
        SpfResult::None => warning(format!(
            "{domain} has no SPF record; add a TXT record such as \"{record}\""
        )),
        SpfResult::TempError(why) => unknown(format!(
            "the SPF record of {domain} could not be looked up: {why}"
        )),
        SpfResult::PermError(why) => warning(format!(
            "the SPF record of {domain} cannot be used: {why}; receivers take it as broken"
        )),
        result => warning(format!(
            "the SPF record of {domain} lacks {from}: receivers get \"{}\" for it. Add {term}:{address} to \
             the record, or give the domain another pool",
            result.word()
        )),
    }
}

/// What a DMARC record asks receivers to do with mail that is not the domain's own (RFC 9989 §4.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DmarcPolicy {
    /// There is no record, or it asks for nothing.
    None,
    /// Put it among the spam.
    Quarantine,
    /// Refuse it.
    Reject,
    /// The DNS did not answer.
    Unknown,
}

/// The DMARC policy for `domain`, found by the walk up the tree of RFC 9989 §4.10.
pub async fn dmarc_policy(resolver: &dyn Resolver, domain: &DomainName) -> DmarcPolicy {
    let labels: Vec<&str> = domain.as_str().split('.').collect();
    let first = labels.len().saturating_sub(DMARC_LABELS_MAX - 1);
    let starts = std::iter::once(0).chain(first.max(1)..labels.len());
    for start in starts {
        let name = labels.get(start..).unwrap_or_default().join(".");
        let texts = match resolver.txt(&format!("_dmarc.{name}")).await {
            Outcome::Found(answer) => answer.value,
            Outcome::NoData(_) | Outcome::NxDomain(_) => continue,
            Outcome::Bogus(_) | Outcome::TemporaryFailure(_) => return DmarcPolicy::Unknown,
        };
        let records = texts
            .iter()
            .filter_map(|text| std::str::from_utf8(text).ok());
        let mut policies = records.filter_map(|text| dmarc_record(text, start > 0));
        if let Some(policy) = policies.next() {
            return policy;
        }
    }
    DmarcPolicy::None
}

/// The policy of one record, that for subdomains where it was found above the domain.
fn dmarc_record(text: &str, above: bool) -> Option<DmarcPolicy> {
    let mut tags = text.split(';').map(|tag| {
        let (name, value) = tag.split_once('=').unwrap_or((tag, ""));
        (
            name.trim().to_ascii_lowercase(),
            value.trim().to_ascii_lowercase(),
        )
    });
    if tags.next() != Some(("v".to_owned(), "dmarc1".to_owned())) {
        return None;
    }
    let tags: Vec<_> = tags.collect();
    let value = |wanted: &str| {
        tags.iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, v)| v.as_str())
    };
    let subdomains = if above { value("sp") } else { None };
    Some(match subdomains.or(value("p")) {
        Some("reject") => DmarcPolicy::Reject,
        Some("quarantine") => DmarcPolicy::Quarantine,
        _ => DmarcPolicy::None,
    })
}

/// What somebody should know who sends from here as an address of `domain`, which is elsewhere (S0-11).
/// `addresses` are those mail leaves from, as far as they are known.
pub async fn warn_about(
    resolver: &dyn Resolver,
    domain: &DomainName,
    addresses: &[IpAddr],
) -> Vec<Line> {
    let mut lines = vec![warning(format!(
        "mail from here as {domain} does not carry the DKIM signature of {domain}; receivers see that it \
         did not come from there"
    ))];
    let mut allowed = !addresses.is_empty();
    for address in addresses {
        let result = check_host(resolver, *address, domain.as_str(), "postmaster").await;
        allowed &= result == SpfResult::Pass;
        if matches!(result, SpfResult::Fail | SpfResult::SoftFail) {
            lines.push(warning(format!(
                "{domain} publishes by SPF that {address} does not send for it ({})",
                result.word()
            )));
        }
    }
    let advice = "send such mail through the other provider's server instead";
    lines.extend(match dmarc_policy(resolver, domain).await {
        _ if allowed => None,
        DmarcPolicy::Reject => Some(warning(format!(
            "{domain} asks by DMARC (p=reject) that such mail be refused: most of it will not arrive; {advice}"
        ))),
        DmarcPolicy::Quarantine => Some(warning(format!(
            "{domain} asks by DMARC (p=quarantine) that such mail be taken for spam; {advice}"
        ))),
        DmarcPolicy::Unknown => Some(unknown(format!(
            "the DMARC record of {domain} could not be looked up"
        ))),
        DmarcPolicy::None => None,
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::dns::StaticResolver;

    fn name(text: &str) -> DomainName {
        DomainName::parse(text).unwrap()
    }

    fn pool() -> Pool {
        Pool {
            name: "b".into(),
            v4: vec!["192.0.2.7".parse().unwrap()],
            v6: vec![],
            hello: Some("mx7.test".into()),
        }
    }

    async fn verdicts(dns: &StaticResolver) -> Vec<(Verdict, String)> {
        let lines = check_domain(dns, &name("firma.test"), &[pool()], "mx.test").await;
        lines
            .into_iter()
            .map(|line| (line.verdict, line.text))
            .collect()
    }

    #[tokio::test]
    async fn what_is_missing_is_named_until_it_is_there() {
        let dns = StaticResolver::new();
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        let lines = verdicts(&dns).await;
        assert!(lines[0].1.contains("has no name (PTR)"), "{lines:?}");
        assert!(lines[1].1.contains("no SPF record"), "{lines:?}");
        dns.add_txt("firma.test", "v=spf1 ip4:192.0.2.8 -all");
        dns.add_reverse(address, "mx7.test");
        let lines = verdicts(&dns).await;
        assert!(lines[0].1.contains("does not lead back"), "{lines:?}");
        assert_eq!(lines[1].0, Verdict::Warning);
        assert!(lines[1].1.contains("lacks 192.0.2.7 (pool b)"), "{lines:?}");
        dns.add_address("mx7.test", address);
        assert_eq!(verdicts(&dns).await[0].0, Verdict::Good);
        let fine = StaticResolver::new();
        fine.add_txt("firma.test", "v=spf1 a:mx7.test -all");
        fine.add_address("mx7.test", address)
            .add_reverse(address, "other.test");
        let lines = verdicts(&fine).await;
        assert!(
            lines[0]
                .1
                .contains("is named other.test and greets as mx7.test"),
            "{lines:?}"
        );
        assert_eq!(lines[1].0, Verdict::Good);
    }

    #[tokio::test]
    async fn a_record_that_is_missing_is_asked_for_once_and_for_all_addresses() {
        let both = Pool {
            v6: vec!["2001:db8::7".parse().unwrap()],
            ..pool()
        };
        let dns = StaticResolver::new();
        let lines = check_domain(&dns, &name("firma.test"), &[both], "mx.test").await;
        let texts: Vec<_> = (lines.iter())
            .filter(|line| line.text.contains("no SPF record"))
            .collect();
        assert_eq!(texts.len(), 1, "{lines:?}");
        let wanted = "\"v=spf1 ip4:192.0.2.7 ip6:2001:db8::7 -all\"";
        assert!(texts[0].text.ends_with(wanted), "{lines:?}");
    }

    #[tokio::test]
    async fn dmarc_is_found_up_the_tree_and_warns() {
        let dns = StaticResolver::new();
        dns.add_txt("_dmarc.gmx.test", "v=DMARC1; p=reject; sp=quarantine");
        assert_eq!(
            dmarc_policy(&dns, &name("gmx.test")).await,
            DmarcPolicy::Reject
        );
        assert_eq!(
            dmarc_policy(&dns, &name("a.b.gmx.test")).await,
            DmarcPolicy::Quarantine
        );
        assert_eq!(
            dmarc_policy(&dns, &name("other.test")).await,
            DmarcPolicy::None
        );
        let lines = warn_about(&dns, &name("gmx.test"), &[]).await;
        assert!(
            lines.iter().any(|line| line.text.contains("p=reject")),
            "{lines:?}"
        );
        dns.add_txt("gmx.test", "v=spf1 ip4:192.0.2.7 -all");
        let ours = ["192.0.2.7".parse().unwrap()];
        let lines = warn_about(&dns, &name("gmx.test"), &ours).await;
        assert!(
            !lines.iter().any(|line| line.text.contains("p=reject")),
            "{lines:?}"
        );
    }
}
