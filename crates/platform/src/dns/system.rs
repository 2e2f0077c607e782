//! The resolver that asks DNS servers and validates their answers. Remembers what is known for its TTL; what is bogus
//! or could not be learned is never remembered. Follows no search list and gives no name a special meaning.

use super::anchors::{Anchors, Named};
use super::ask::Servers;
use super::probe::{Probe, Seen};
use super::validate::{Fault, Found, Known, Validator};
use super::{Answer, Lookup, Mx, MxHost, Outcome, Resolver, Tlsa, both_families};
use crate::clock::{Clock, Timestamp};
use hickory_proto::rr::{Name, RData, RecordType};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Answers kept in memory.
const CACHED_ANSWERS_MAX: usize = 20_000;
/// How long an answer is kept at most, whatever its TTL.
const CACHED_TIME_MAX: Duration = Duration::from_secs(24 * 3600);
/// How long one answer, with all that proves it, may take before it counts as failed for now.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(20);

/// Asks DNS servers, validates, and remembers answers for their TTL. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SystemResolver {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    validator: Validator,
    /// Where the servers keep signatures from us, and the operator named no anchors.
    unvalidated: Validator,
    probe: Option<Probe>,
    cache: Mutex<HashMap<(Name, RecordType), (Known, Timestamp)>>,
    /// By which answers grow old.
    clock: Clock,
}

impl SystemResolver {
    /// Asks `servers`, or those of `/etc/resolv.conf` where the list is empty. They may validate or not; only
    /// `anchors` count. Answers grow old by `clock`; signatures are judged by the real time.
    ///
    /// # Errors
    /// In words, where `/etc/resolv.conf` is needed and cannot be used.
    pub fn new(servers: &[SocketAddr], anchors: Anchors, clock: Clock) -> Result<Self, String> {
        let servers = match servers {
            [] => Servers::of_system()?,
            servers => servers.to_vec(),
        };
        let servers = Arc::new(Servers::new(servers));
        let probe = match anchors.named() {
            Named::ByProgram => Some(Probe::new(Arc::clone(&servers))),
            Named::ByOperator => None,
        };
        let unvalidated = Validator::new(Arc::clone(&servers), Anchors::none(), clock.clone());
        Ok(Self {
            shared: Arc::new(Shared {
                validator: Validator::new(servers, anchors, clock.clone()),
                unvalidated,
                probe,
                cache: Mutex::default(),
                clock,
            }),
        })
    }

    /// Asks for `kind` and lets `pick` choose from the records.
    async fn records<T>(
        &self,
        name: &str,
        kind: RecordType,
        pick: impl Fn(&RData) -> Option<T>,
    ) -> Outcome<Vec<T>> {
        // RFC 1035 §2.3.4: what does not fit into a name cannot exist.
        let Ok(name) = absolute_name(name) else {
            return Outcome::NxDomain(super::Security::Secure);
        };
        let known = match self.known(name, kind).await {
            Ok(known) => known,
            Err(Fault::Bogus(why)) => return Outcome::Bogus(why),
            Err(Fault::Temporary(why)) => return Outcome::TemporaryFailure(why),
        };
        let records = match known.found {
            Found::Records(records) => records,
            Found::NoData => return Outcome::NoData(known.security),
            Found::NxDomain => return Outcome::NxDomain(known.security),
        };
        let value: Vec<T> = records
            .iter()
            .filter_map(|record| pick(&record.data))
            .collect();
        if value.is_empty() {
            return Outcome::NoData(known.security);
        }
        Outcome::Found(Answer {
            value,
            ttl: known.ttl,
            security: known.security,
            first: known.first,
            name: host_text(&known.name).into(),
        })
    }

    async fn known(&self, name: Name, kind: RecordType) -> Result<Known, Fault> {
        let key = (name, kind);
        if let Some(known) = self.cached(&key) {
            return Ok(known);
        }
        let asking = self.validator().await.look_up(&key.0, kind);
        let known = tokio::time::timeout(ANSWER_TIME_MAX, asking)
            .await
            .map_err(|_| Fault::Temporary("the DNS servers did not answer in time".to_owned()))??;
        self.keep(key, &known);
        Ok(known)
    }

    async fn validator(&self) -> &Validator {
        match &self.shared.probe {
            Some(probe) if probe.seen(self.shared.clock.now()).await == Seen::Unsigned => {
                &self.shared.unvalidated
            }
            _ => &self.shared.validator,
        }
    }

    fn cached(&self, key: &(Name, RecordType)) -> Option<Known> {
        let cache = self
            .shared
            .cache
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (known, until) = cache.get(key)?;
        let left = until.since(self.shared.clock.now());
        if left.is_zero() {
            return None;
        }
        let mut known = known.clone();
        known.ttl = known.ttl.min(left);
        Some(known)
    }

    fn keep(&self, key: (Name, RecordType), known: &Known) {
        if known.ttl.is_zero() {
            return;
        }
        let now = self.shared.clock.now();
        let mut cache = self
            .shared
            .cache
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= CACHED_ANSWERS_MAX {
            cache.retain(|_, (_, until)| *until > now);
        }
        if cache.len() >= CACHED_ANSWERS_MAX {
            cache.clear();
        }
        cache.insert(
            key,
            (known.clone(), now.plus(known.ttl.min(CACHED_TIME_MAX))),
        );
    }
}

/// In lower case and up to the root.
fn absolute_name(name: &str) -> Result<Name, hickory_proto::ProtoError> {
    let mut absolute = Name::from_ascii(name)?.to_lowercase();
    absolute.set_fqdn(true);
    Ok(absolute)
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
#[path = "system_tests.rs"]
mod tests;
