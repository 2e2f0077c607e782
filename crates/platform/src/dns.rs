//! DNS as a seam: mail exchangers and addresses of a host, with a typed outcome. `SystemResolver` asks real
//! servers, `StaticResolver` answers from memory in tests. Never guesses: a failure is not an absence.

use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What asking for records brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<T> {
    /// There are records.
    Found(Answer<T>),
    /// The name exists and has no record of this type.
    NoData,
    /// The name does not exist (RFC 8020: nor does anything below it).
    NxDomain,
    /// Nobody could say; ask again later. The text is for the operator.
    TemporaryFailure(String),
}

/// Records and how long they may be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    /// The records.
    pub value: T,
    /// How long they may be kept: the smallest TTL of them.
    pub ttl: Duration,
}

/// One mail exchanger.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MxHost {
    /// Lower is tried first (RFC 5321 §5.1).
    pub preference: u16,
    /// Host name in lower case without the final dot.
    pub host: String,
}

/// What a domain says about where its mail goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mx {
    /// Hosts, lowest preference first.
    Hosts(Vec<MxHost>),
    /// The domain takes no mail (RFC 7505: a single MX whose host is the root).
    Null,
}

/// A future that a resolver returns.
pub type Lookup<'a, T> = Pin<Box<dyn Future<Output = Outcome<T>> + Send + 'a>>;

/// Asks the DNS. Names are given without the final dot, in A-label form.
pub trait Resolver: Send + Sync + 'static {
    /// The mail exchangers of `domain`. An absent MX is `NoData`; RFC 5321 §5.1 then means the domain's own addresses.
    fn mx<'a>(&'a self, domain: &'a str) -> Lookup<'a, Mx>;

    /// IPv6 and IPv4 addresses of `host`. A failure of one family counts only where the other found nothing.
    fn addresses<'a>(&'a self, host: &'a str) -> Lookup<'a, Vec<IpAddr>>;
}

/// Asks DNS servers, and remembers answers for their TTL. Cheap to clone.
#[derive(Clone)]
pub struct SystemResolver {
    resolver: hickory_resolver::TokioResolver,
}

impl std::fmt::Debug for SystemResolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SystemResolver").finish_non_exhaustive()
    }
}

/// Answers kept in memory.
const CACHED_ANSWERS_MAX: u64 = 10_000;
/// How long one server may take for one attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(4);
/// How long all attempts together may take before a question counts as failed for now.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(12);

impl SystemResolver {
    /// Asks `servers`, or those of `/etc/resolv.conf` where the list is empty.
    ///
    /// # Errors
    /// In words, where `/etc/resolv.conf` is needed and cannot be used.
    pub fn new(servers: &[SocketAddr]) -> Result<Self, String> {
        use hickory_resolver::config::{NameServerConfig, ResolverConfig};
        use hickory_resolver::net::runtime::TokioRuntimeProvider;
        let mut builder = if servers.is_empty() {
            hickory_resolver::Resolver::builder_tokio().map_err(|e| {
                format!("the DNS servers in /etc/resolv.conf cannot be used: {e}; name servers in the settings")
            })?
        } else {
            let servers = servers.iter().map(|server| {
                let mut config = NameServerConfig::udp_and_tcp(server.ip());
                for connection in &mut config.connections {
                    connection.port = server.port();
                }
                config
            });
            let config = ResolverConfig::from_name_servers(servers.collect());
            hickory_resolver::Resolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        options.cache_size = CACHED_ANSWERS_MAX;
        options.timeout = ATTEMPT_TIMEOUT;
        let resolver = builder.build().map_err(|e| e.to_string())?;
        Ok(Self { resolver })
    }

    /// Asks for `kind` and lets `pick` choose from the records.
    async fn records<T>(
        &self,
        name: &str,
        kind: RecordType,
        pick: impl Fn(&RData) -> Option<T>,
    ) -> Outcome<Vec<T>> {
        let absolute = match absolute_name(name) {
            Ok(absolute) => absolute,
            // RFC 1035 §2.3.4: what does not fit into a name cannot exist.
            Err(_) => return Outcome::NxDomain,
        };
        let question = self.resolver.lookup(absolute, kind);
        let Ok(answer) = tokio::time::timeout(QUESTION_TIMEOUT, question).await else {
            return Outcome::TemporaryFailure("no DNS server answered in time".to_owned());
        };
        match answer {
            Ok(lookup) => {
                let answers = lookup.answers();
                let ttl = answers.iter().map(|record| record.ttl).min().unwrap_or(0);
                let value: Vec<T> = answers
                    .iter()
                    .filter_map(|record| pick(&record.data))
                    .collect();
                if value.is_empty() {
                    return Outcome::NoData;
                }
                Outcome::Found(Answer {
                    value,
                    ttl: Duration::from_secs(ttl.into()),
                })
            }
            Err(e) => Outcome::of_error(&e),
        }
    }
}

/// A name that no search list is tried on.
fn absolute_name(name: &str) -> Result<Name, hickory_resolver::proto::ProtoError> {
    let mut absolute = Name::from_ascii(name)?;
    absolute.set_fqdn(true);
    Ok(absolute)
}

impl<T> Outcome<T> {
    /// Absence only where a server said so; everything else is a failure for now.
    fn of_error(error: &NetError) -> Self {
        match error {
            NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
                ResponseCode::NXDomain => Self::NxDomain,
                ResponseCode::NoError => Self::NoData,
                other => Self::TemporaryFailure(format!("the DNS server answered {other}")),
            },
            other => Self::TemporaryFailure(other.to_string()),
        }
    }

    /// The same outcome with another value.
    fn map<U>(self, change: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Self::Found(Answer { value, ttl }) => Outcome::Found(Answer {
                value: change(value),
                ttl,
            }),
            Self::NoData => Outcome::NoData,
            Self::NxDomain => Outcome::NxDomain,
            Self::TemporaryFailure(reason) => Outcome::TemporaryFailure(reason),
        }
    }
}

impl Mx {
    /// Puts MX records in order and recognises the null MX, whose host is the root: written here as the empty text.
    pub fn from_records(mut hosts: Vec<MxHost>) -> Self {
        hosts.sort();
        match hosts.as_slice() {
            [only] if only.host.is_empty() => Self::Null,
            _ => {
                // RFC 7505 §3: beside other records the root is no host anyone could deliver to.
                hosts.retain(|host| !host.host.is_empty());
                Self::Hosts(hosts)
            }
        }
    }
}

/// Lower case, without the final dot; the root is empty.
fn host_text(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

impl Resolver for SystemResolver {
    fn mx<'a>(&'a self, domain: &'a str) -> Lookup<'a, Mx> {
        Box::pin(async move {
            let found = self.records(domain, RecordType::MX, |data| match data {
                RData::MX(mx) => Some(MxHost {
                    preference: mx.preference,
                    host: host_text(&mx.exchange),
                }),
                _ => None,
            });
            found.await.map(Mx::from_records)
        })
    }

    fn addresses<'a>(&'a self, host: &'a str) -> Lookup<'a, Vec<IpAddr>> {
        Box::pin(async move {
            let pick = |data: &RData| match data {
                RData::A(a) => Some(IpAddr::V4(a.0)),
                RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
                _ => None,
            };
            let (v6, v4) = tokio::join!(
                self.records(host, RecordType::AAAA, pick),
                self.records(host, RecordType::A, pick),
            );
            both_families(v6, v4)
        })
    }
}

/// What two questions about the same host mean together.
fn both_families(v6: Outcome<Vec<IpAddr>>, v4: Outcome<Vec<IpAddr>>) -> Outcome<Vec<IpAddr>> {
    use Outcome::{Found, NoData, NxDomain, TemporaryFailure};
    match (v6, v4) {
        (Found(mut v6), Found(v4)) => {
            v6.value.extend(v4.value);
            v6.ttl = v6.ttl.min(v4.ttl);
            Found(v6)
        }
        (Found(found), _) | (_, Found(found)) => Found(found),
        (TemporaryFailure(reason), _) | (_, TemporaryFailure(reason)) => TemporaryFailure(reason),
        (NxDomain, _) | (_, NxDomain) => NxDomain,
        (NoData, NoData) => NoData,
    }
}

/// Answers from memory; for tests and for installations without DNS. Cheap to clone; clones share what they know.
/// A name with records of another type has no data; any other name does not exist.
#[derive(Debug, Clone, Default)]
pub struct StaticResolver {
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    mx: HashMap<String, Vec<MxHost>>,
    addresses: HashMap<String, Vec<IpAddr>>,
    failing: HashMap<String, String>,
}

/// The TTL of static answers.
const STATIC_TTL: Duration = Duration::from_secs(300);

impl StaticResolver {
    /// Knows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// `domain` gets an MX record; an empty `host` is the root (null MX).
    pub fn add_mx(&self, domain: &str, preference: u16, host: &str) -> &Self {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let mut known = self.lock();
        let hosts = known.mx.entry(domain.to_ascii_lowercase()).or_default();
        hosts.push(MxHost { preference, host });
        drop(known);
        self
    }

    /// `host` gets an address.
    pub fn add_address(&self, host: &str, address: IpAddr) -> &Self {
        let mut known = self.lock();
        let addresses = known
            .addresses
            .entry(host.to_ascii_lowercase())
            .or_default();
        addresses.push(address);
        drop(known);
        self
    }

    /// Every question about `name` fails for now, with `reason`.
    pub fn fail(&self, name: &str, reason: &str) -> &Self {
        let mut known = self.lock();
        known
            .failing
            .insert(name.to_ascii_lowercase(), reason.to_owned());
        drop(known);
        self
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn answer<T>(&self, name: &str, found: Option<T>) -> Outcome<T> {
        if let Some(reason) = self.failing.get(name) {
            return Outcome::TemporaryFailure(reason.clone());
        }
        match found {
            Some(value) => Outcome::Found(Answer {
                value,
                ttl: STATIC_TTL,
            }),
            None if self.mx.contains_key(name) || self.addresses.contains_key(name) => {
                Outcome::NoData
            }
            None => Outcome::NxDomain,
        }
    }
}

impl Resolver for StaticResolver {
    fn mx<'a>(&'a self, domain: &'a str) -> Lookup<'a, Mx> {
        let domain = domain.to_ascii_lowercase();
        let known = self.lock();
        let found = known.mx.get(&domain).cloned().map(Mx::from_records);
        let outcome = known.answer(&domain, found);
        Box::pin(std::future::ready(outcome))
    }

    fn addresses<'a>(&'a self, host: &'a str) -> Lookup<'a, Vec<IpAddr>> {
        let host = host.to_ascii_lowercase();
        let known = self.lock();
        let outcome = known.answer(&host, known.addresses.get(&host).cloned());
        Box::pin(std::future::ready(outcome))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(preference: u16, host: &str) -> MxHost {
        MxHost {
            preference,
            host: host.to_owned(),
        }
    }

    #[test]
    fn the_null_mx_is_recognised_only_alone() {
        assert_eq!(Mx::from_records(vec![host(0, "")]), Mx::Null);
        assert_eq!(
            Mx::from_records(vec![host(20, "b.test"), host(0, ""), host(10, "a.test")]),
            Mx::Hosts(vec![host(10, "a.test"), host(20, "b.test")])
        );
        assert_eq!(host_text(&Name::root()), "");
        assert_eq!(
            host_text(&Name::from_ascii("MX.Example.").unwrap()),
            "mx.example"
        );
    }

    #[test]
    fn a_failure_is_not_an_absence() {
        use Outcome::{NoData, NxDomain, TemporaryFailure};
        let failure = || TemporaryFailure("timed out".to_owned());
        let found = || {
            Outcome::Found(Answer {
                value: vec![IpAddr::from([192, 0, 2, 1])],
                ttl: STATIC_TTL,
            })
        };
        assert_eq!(both_families(NoData, failure()), failure());
        assert_eq!(both_families(failure(), found()), found());
        assert_eq!(both_families(NoData, found()), found());
        assert_eq!(both_families(NxDomain, NxDomain), NxDomain);
        assert_eq!(both_families(NoData, NoData), NoData);
    }

    #[tokio::test]
    async fn static_answers_are_typed() {
        let dns = StaticResolver::new();
        dns.add_mx("Firma.test", 10, "MX1.firma.test.")
            .add_mx("nomail.test", 0, ".")
            .add_address("mx1.firma.test", IpAddr::from([127, 0, 0, 1]))
            .fail("broken.test", "SERVFAIL");
        let Outcome::Found(mx) = dns.mx("firma.TEST").await else {
            panic!("there is an MX")
        };
        assert_eq!(mx.value, Mx::Hosts(vec![host(10, "mx1.firma.test")]));
        assert!(matches!(dns.mx("nomail.test").await, Outcome::Found(a) if a.value == Mx::Null));
        assert_eq!(dns.mx("mx1.firma.test").await, Outcome::NoData);
        assert_eq!(dns.mx("nowhere.test").await, Outcome::NxDomain);
        assert_eq!(
            dns.addresses("broken.test").await,
            Outcome::TemporaryFailure("SERVFAIL".to_owned())
        );
    }

    /// Nobody answers on the port: that must be a failure, and soon.
    #[tokio::test(start_paused = true)]
    async fn a_silent_server_is_a_temporary_failure() {
        let dns = SystemResolver::new(&["127.0.0.1:9".parse().unwrap()]).unwrap();
        assert!(matches!(
            dns.mx("firma.test").await,
            Outcome::TemporaryFailure(_)
        ));
        assert_eq!(dns.mx(&"x".repeat(300)).await, Outcome::NxDomain);
    }
}
