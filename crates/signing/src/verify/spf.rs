//! SPF (RFC 7208): may this client send for this domain? Asks the DNS within the limits of §4.6.4; never refuses.

use super::spf_macro::{Facts, expand};
use platform::dns::{Mx, Outcome, Resolver};
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

/// RFC 7208 §4.6.4: terms that ask the DNS.
const LOOKUPS_MAX: u32 = 10;
/// RFC 7208 §4.6.4: of those, without an answer.
const VOID_LOOKUPS_MAX: u32 = 2;
/// RFC 7208 §4.6.4: names of one `mx` or `ptr`.
const NAMES_MAX: usize = 10;
/// Longest record that is read.
const RECORD_BYTES_MAX: usize = 4096;

/// RFC 7208 §2.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spf {
    None,
    Neutral,
    Pass,
    Fail,
    SoftFail,
    TempError,
    PermError,
}

impl Spf {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Neutral => "neutral",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

/// Checks one sender.
pub(crate) struct Check<'a> {
    resolver: &'a dyn Resolver,
    facts: Facts<'a>,
    lookups: u32,
    voids: u32,
}

/// `Ok` matched or not, `Err` the result that ends it.
type Matched = Result<bool, Spf>;

impl<'a> Check<'a> {
    /// `facts.domain` is the domain of the sender, or the EHLO name for the null sender.
    pub(crate) fn new(resolver: &'a dyn Resolver, facts: Facts<'a>) -> Self {
        Self {
            resolver,
            facts,
            lookups: 0,
            voids: 0,
        }
    }

    /// check_host() (RFC 7208 §4).
    pub(crate) async fn run(mut self) -> Spf {
        let domain = self.facts.sender_domain.to_owned();
        self.host(domain).await
    }

    fn host(&mut self, domain: String) -> Pin<Box<dyn Future<Output = Spf> + Send + '_>> {
        Box::pin(async move {
            let record = match self.record(&domain).await {
                Ok(Some(record)) => record,
                Ok(None) => return Spf::None,
                Err(result) => return result,
            };
            match self.terms(&record, &domain).await {
                Ok(result) | Err(result) => result,
            }
        })
    }

    async fn record(&mut self, domain: &str) -> Result<Option<String>, Spf> {
        if !domain.contains('.') || domain.len() > 253 {
            return Ok(None);
        }
        let answer = match self.resolver.txt(domain).await {
            Outcome::Found(answer) => answer.value,
            Outcome::NoData(_) | Outcome::NxDomain(_) => return Ok(None),
            Outcome::Bogus(_) | Outcome::TemporaryFailure(_) => return Err(Spf::TempError),
        };
        let mut records = answer.iter().filter(|record| {
            let version = record.get(..6).unwrap_or_default();
            version.eq_ignore_ascii_case(b"v=spf1") && matches!(record.get(6), None | Some(b' '))
        });
        let record = records.next();
        match (record, records.next()) {
            (None, _) => Ok(None),
            (Some(record), None) if record.len() <= RECORD_BYTES_MAX && record.is_ascii() => {
                Ok(Some(String::from_utf8_lossy(record).into_owned()))
            }
            // RFC 7208 §4.5: two records are an error.
            _ => Err(Spf::PermError),
        }
    }

    async fn terms(&mut self, record: &str, domain: &str) -> Result<Spf, Spf> {
        let terms = record.split(' ').skip(1).filter(|term| !term.is_empty());
        let mut redirect = None;
        for term in terms {
            if let Some((name, value)) = modifier(term) {
                if name.eq_ignore_ascii_case("redirect") {
                    // RFC 7208 §6: once only.
                    if redirect.replace(value).is_some() {
                        return Err(Spf::PermError);
                    }
                }
                continue;
            }
            let (result, mechanism) = match term.as_bytes().first() {
                Some(b'+') => (Spf::Pass, term.get(1..)),
                Some(b'-') => (Spf::Fail, term.get(1..)),
                Some(b'~') => (Spf::SoftFail, term.get(1..)),
                Some(b'?') => (Spf::Neutral, term.get(1..)),
                _ => (Spf::Pass, Some(term)),
            };
            if self
                .mechanism(mechanism.unwrap_or_default(), domain)
                .await?
            {
                return Ok(result);
            }
        }
        let Some(redirect) = redirect else {
            return Ok(Spf::Neutral);
        };
        self.count_lookup()?;
        let target = self.expand(redirect, domain)?;
        match self.host(target).await {
            Spf::None => Err(Spf::PermError),
            result => Ok(result),
        }
    }

    async fn mechanism(&mut self, term: &str, domain: &str) -> Matched {
        let end = term.find([':', '/']).unwrap_or(term.len());
        let (name, rest) = term.split_at(end);
        let argument = rest.strip_prefix(':');
        match name.to_ascii_lowercase().as_str() {
            "all" if rest.is_empty() => Ok(true),
            "ip4" | "ip6" => self.address_block(argument, name),
            "a" => self.a(rest, domain).await,
            "mx" => self.mx(rest, domain).await,
            "ptr" => self.ptr(argument, domain).await,
            "include" => self.include(argument.ok_or(Spf::PermError)?, domain).await,
            "exists" => {
                self.count_lookup()?;
                let name = self.expand(argument.ok_or(Spf::PermError)?, domain)?;
                // RFC 7208 §5.7: an A record, whatever the client's family is.
                Ok(self.addresses(&name).await?.iter().any(IpAddr::is_ipv4))
            }
            _ => Err(Spf::PermError),
        }
    }

    fn address_block(&self, argument: Option<&str>, name: &str) -> Matched {
        let argument = argument.ok_or(Spf::PermError)?;
        let (address, bits) = match argument.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (argument, None),
        };
        let address: IpAddr = address.parse().map_err(|_| Spf::PermError)?;
        if address.is_ipv4() != name.eq_ignore_ascii_case("ip4") {
            return Err(Spf::PermError);
        }
        let bits = prefix(bits, if address.is_ipv4() { 32 } else { 128 })?;
        Ok(covers(address, bits, self.facts.client))
    }

    async fn a(&mut self, rest: &str, domain: &str) -> Matched {
        let (name, bits) = self.target(rest, domain)?;
        self.count_lookup()?;
        self.any_covers(&name, bits).await
    }

    async fn mx(&mut self, rest: &str, domain: &str) -> Matched {
        let (name, bits) = self.target(rest, domain)?;
        self.count_lookup()?;
        let hosts = match self.resolver.mx(&name).await {
            Outcome::Found(answer) => match answer.value {
                Mx::Hosts(hosts) => hosts,
                Mx::Null => return Ok(false),
            },
            Outcome::NoData(_) | Outcome::NxDomain(_) => {
                self.count_void()?;
                return Ok(false);
            }
            Outcome::Bogus(_) | Outcome::TemporaryFailure(_) => return Err(Spf::TempError),
        };
        if hosts.len() > NAMES_MAX {
            return Err(Spf::PermError);
        }
        for host in hosts {
            if self.any_covers(&host.host, bits).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn ptr(&mut self, argument: Option<&str>, domain: &str) -> Matched {
        self.count_lookup()?;
        let wanted = match argument {
            Some(spec) => self.expand(spec, domain)?,
            None => domain.to_owned(),
        };
        let wanted = wanted.to_ascii_lowercase();
        let names = match self.resolver.reverse(self.facts.client).await {
            Outcome::Found(answer) => answer.value,
            // RFC 7208 §5.5: errors are no match.
            _ => return Ok(false),
        };
        for name in names.into_iter().take(NAMES_MAX) {
            let inside = name == wanted
                || name
                    .strip_suffix(&wanted)
                    .is_some_and(|above| above.ends_with('.'));
            if inside
                && let Outcome::Found(answer) = self.resolver.addresses(&name).await
                && answer.value.contains(&self.facts.client)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn include(&mut self, spec: &str, domain: &str) -> Matched {
        self.count_lookup()?;
        let target = self.expand(spec, domain)?;
        // RFC 7208 §5.2.
        match self.host(target).await {
            Spf::Pass => Ok(true),
            Spf::Fail | Spf::SoftFail | Spf::Neutral => Ok(false),
            Spf::TempError => Err(Spf::TempError),
            Spf::PermError | Spf::None => Err(Spf::PermError),
        }
    }

    async fn any_covers(&mut self, name: &str, bits: (u8, u8)) -> Matched {
        let client = self.facts.client;
        let addresses = self.addresses(name).await?;
        Ok(addresses.into_iter().any(|address| {
            let bits = if address.is_ipv4() { bits.0 } else { bits.1 };
            covers(address, bits, client)
        }))
    }

    async fn addresses(&mut self, name: &str) -> Result<Vec<IpAddr>, Spf> {
        match self.resolver.addresses(name).await {
            Outcome::Found(answer) => Ok(answer.value),
            Outcome::NoData(_) | Outcome::NxDomain(_) => {
                self.count_void()?;
                Ok(Vec::new())
            }
            Outcome::Bogus(_) | Outcome::TemporaryFailure(_) => Err(Spf::TempError),
        }
    }

    /// The `:domain` and `/bits//bits` of `a` and `mx`.
    fn target(&self, rest: &str, domain: &str) -> Result<(String, (u8, u8)), Spf> {
        let (spec, bits) = match rest.strip_prefix(':') {
            // A slash inside a macro is a delimiter, not a prefix.
            Some(spec) => {
                let closed = spec.rfind('}').map_or(0, |at| at + 1);
                let slash = spec.get(closed..).and_then(|tail| tail.find('/'));
                let end = slash.map_or(spec.len(), |at| closed + at);
                (
                    Some(spec.get(..end).unwrap_or_default()),
                    spec.get(end..).unwrap_or_default(),
                )
            }
            None => (None, rest),
        };
        let (v4, v6) = match bits.split_once("//") {
            Some((v4, v6)) => (v4.strip_prefix('/'), Some(v6)),
            None => (bits.strip_prefix('/'), None),
        };
        let name = match spec {
            Some(spec) => self.expand(spec, domain)?,
            None => domain.to_owned(),
        };
        Ok((name, (prefix(v4, 32)?, prefix(v6, 128)?)))
    }

    fn expand(&self, spec: &str, domain: &str) -> Result<String, Spf> {
        expand(spec, &self.facts, domain).ok_or(Spf::PermError)
    }

    fn count_lookup(&mut self) -> Result<(), Spf> {
        self.lookups += 1;
        if self.lookups > LOOKUPS_MAX {
            Err(Spf::PermError)
        } else {
            Ok(())
        }
    }

    fn count_void(&mut self) -> Result<(), Spf> {
        self.voids += 1;
        if self.voids > VOID_LOOKUPS_MAX {
            Err(Spf::PermError)
        } else {
            Ok(())
        }
    }
}

/// `name=value`.
fn modifier(term: &str) -> Option<(&str, &str)> {
    let (name, value) = term.split_once('=')?;
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    plain.then_some((name, value))
}

fn prefix(text: Option<&str>, most: u8) -> Result<u8, Spf> {
    let Some(text) = text else { return Ok(most) };
    let bits = text
        .parse()
        .ok()
        .filter(|bits| *bits <= most && !text.starts_with('+'));
    bits.ok_or(Spf::PermError)
}

fn covers(block: IpAddr, bits: u8, client: IpAddr) -> bool {
    match (block, client.to_canonical()) {
        (IpAddr::V4(block), IpAddr::V4(client)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            block.to_bits() & mask == client.to_bits() & mask
        }
        (IpAddr::V6(block), IpAddr::V6(client)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            block.to_bits() & mask == client.to_bits() & mask
        }
        _ => false,
    }
}
