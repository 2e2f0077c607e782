//! Records as the world sees them: what a change is planned from, and what tells whether people made it.

use platform::dns::update::{RecordKind, ZoneRecord};
use platform::dns::{Outcome, Resolver};
use std::net::IpAddr;

/// The TXT record at `owner` that begins with `start`; without a text where there is none.
///
/// # Errors
/// In words, where the DNS did not say.
pub async fn txt(resolver: &dyn Resolver, owner: &str, start: &str) -> Result<ZoneRecord, String> {
    match resolver.txt(owner).await {
        Outcome::Found(answer) => {
            let texts = answer.value.into_iter();
            let mut texts = texts.filter_map(|text| String::from_utf8(text).ok());
            let text = texts.find(|text| text.starts_with(start));
            Ok(ZoneRecord::txt(text, seconds(answer.ttl)))
        }
        Outcome::NoData(_) | Outcome::NxDomain(_) => Ok(ZoneRecord::txt(None, 0)),
        Outcome::Bogus(why) | Outcome::TemporaryFailure(why) => Err(unknown(owner, &why)),
    }
}

/// The addresses of `owner`: those of IPv4 and those of IPv6, as far as there are any.
///
/// # Errors
/// In words, where the DNS did not say.
pub async fn addresses(resolver: &dyn Resolver, owner: &str) -> Result<Vec<ZoneRecord>, String> {
    let answer = match resolver.addresses(owner).await {
        Outcome::Found(answer) => answer,
        Outcome::NoData(_) | Outcome::NxDomain(_) => return Ok(Vec::new()),
        Outcome::Bogus(why) | Outcome::TemporaryFailure(why) => return Err(unknown(owner, &why)),
    };
    let of = |kind: RecordKind, wanted: fn(&IpAddr) -> bool| {
        let mut all: Vec<&IpAddr> = answer.value.iter().filter(|ip| wanted(ip)).collect();
        all.sort();
        let words: Vec<String> = all.iter().map(ToString::to_string).collect();
        ZoneRecord {
            kind,
            text: (!words.is_empty()).then(|| words.join(" ")),
            ttl_seconds: seconds(answer.ttl),
        }
    };
    let both = [
        of(RecordKind::A, IpAddr::is_ipv4),
        of(RecordKind::Aaaa, IpAddr::is_ipv6),
    ];
    Ok(both.into_iter().filter(|set| set.text.is_some()).collect())
}

/// What is at `owner` of one kind; of TXT records the one that begins with `start`.
///
/// # Errors
/// In words, where the DNS did not say.
pub async fn record(
    resolver: &dyn Resolver,
    owner: &str,
    kind: RecordKind,
    start: &str,
) -> Result<ZoneRecord, String> {
    if kind == RecordKind::Txt {
        return txt(resolver, owner, start).await;
    }
    let all = addresses(resolver, owner).await?;
    let found = all.into_iter().find(|set| set.kind == kind);
    Ok(found.unwrap_or(ZoneRecord {
        kind,
        text: None,
        ttl_seconds: 0,
    }))
}

fn seconds(ttl: std::time::Duration) -> u32 {
    u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX)
}

fn unknown(owner: &str, why: &str) -> String {
    format!("{owner} could not be looked up: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::dns::StaticResolver;

    #[tokio::test]
    async fn addresses_are_told_by_kind_and_in_order() {
        let dns = StaticResolver::new();
        for address in ["192.0.2.9", "2001:db8::7", "192.0.2.10"] {
            dns.add_address("imap-legacy.rp.test", address.parse().unwrap());
        }
        let found = addresses(&dns, "imap-legacy.rp.test").await.unwrap();
        let told: Vec<_> = found
            .iter()
            .map(|set| (set.kind.word(), set.text.as_deref().unwrap_or("")))
            .collect();
        assert_eq!(
            told,
            [("A", "192.0.2.9 192.0.2.10"), ("AAAA", "2001:db8::7")]
        );
        assert!(addresses(&dns, "none.rp.test").await.unwrap().is_empty());
        let none = record(&dns, "none.rp.test", RecordKind::A, "").await;
        assert_eq!(none.unwrap().text, None);
    }
}
