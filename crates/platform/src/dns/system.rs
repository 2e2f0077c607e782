//! The resolver that asks DNS servers.

use super::{Answer, Lookup, Mx, MxHost, Outcome, Resolver, Security, Tlsa, both_families};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

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
    pub fn new(servers: &[SocketAddr], _anchors: Option<&Path>) -> Result<Self, String> {
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
            Err(_) => return Outcome::NxDomain(Security::Insecure),
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
                    return Outcome::NoData(Security::Insecure);
                }
                Outcome::Found(Answer {
                    value,
                    ttl: Duration::from_secs(ttl.into()),
                    security: Security::Insecure,
                    name: name.into(),
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
                ResponseCode::NXDomain => Self::NxDomain(Security::Insecure),
                ResponseCode::NoError => Self::NoData(Security::Insecure),
                other => Self::TemporaryFailure(format!("the DNS server answered {other}")),
            },
            other => Self::TemporaryFailure(other.to_string()),
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

    fn tlsa<'a>(&'a self, name: &'a str) -> Lookup<'a, Vec<Tlsa>> {
        Box::pin(async move {
            let pick = |data: &RData| match data {
                RData::TLSA(tlsa) => Some(Tlsa {
                    usage: tlsa.cert_usage.into(),
                    selector: tlsa.selector.into(),
                    matching: tlsa.matching.into(),
                    data: tlsa.cert_data.clone().into(),
                }),
                _ => None,
            };
            self.records(name, RecordType::TLSA, pick).await
        })
    }

    fn txt<'a>(&'a self, name: &'a str) -> Lookup<'a, Vec<Vec<u8>>> {
        Box::pin(async move {
            let pick = |data: &RData| match data {
                RData::TXT(txt) => Some(txt.txt_data.concat()),
                _ => None,
            };
            self.records(name, RecordType::TXT, pick).await
        })
    }

    fn reverse<'a>(&'a self, address: IpAddr) -> Lookup<'a, Vec<String>> {
        Box::pin(async move {
            let pick = |data: &RData| match data {
                RData::PTR(ptr) => Some(host_text(&ptr.0)),
                _ => None,
            };
            let name = Name::from(address).to_ascii();
            self.records(&name, RecordType::PTR, pick).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nobody answers on the port: that must be a failure, and soon.
    #[tokio::test(start_paused = true)]
    async fn a_silent_server_is_a_temporary_failure() {
        let dns = SystemResolver::new(&["127.0.0.1:9".parse().unwrap()], None).unwrap();
        assert!(matches!(
            dns.mx("firma.test").await,
            Outcome::TemporaryFailure(_)
        ));
        assert_eq!(
            dns.mx(&"x".repeat(300)).await,
            Outcome::NxDomain(Security::Insecure)
        );
    }
}
