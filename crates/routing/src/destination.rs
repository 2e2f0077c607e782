//! What the DNS says about a destination: its hosts, their addresses and TLSA records. The same for
//! every sender, so that one look serves many messages. Asks the resolver; decides about no duty.

use crate::duty::{Chosen, Dane, DaneFailure};
use crate::host;
use crate::mx::{self, ABSENCE_KEPT, Exchangers};
use crate::sts::StsPolicy;
use crate::tlsrpt::{PolicyFound, PolicyKind};
use futures_util::future::join_all;
use platform::dns::{Answer, MxHost, Outcome, Resolver, Security, Tlsa};
use platform::tls::dane;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Addresses of one host that are kept (RFC 5321 §5.1 lets a client stop somewhere).
const ADDRESSES_MAX: usize = 8;
/// TLSA records of one host that are kept.
const TLSA_RECORDS_MAX: usize = 32;
/// How long anything is kept here at most; the resolver keeps what may be kept longer.
const KEPT_MAX: Duration = Duration::from_secs(60);
/// How long a failure is kept, so that a burst of messages asks once.
const FAILURE_KEPT: Duration = Duration::from_secs(5);

/// Whether TLSA records are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum AskTlsa {
    Yes,
    No,
}

/// A destination as the DNS knows it.
#[derive(Debug)]
pub(crate) struct Destination {
    /// The domain whose mail goes there, or the next hop's name.
    pub(crate) domain: Arc<str>,
    /// Who says that mail goes to these hosts.
    pub(crate) chosen: Chosen,
    /// By preference.
    pub(crate) hosts: Vec<Host>,
    /// The MTA-STS policy of the domain.
    pub(crate) sts: Option<Arc<StsPolicy>>,
    /// How long this may be used.
    pub(crate) ttl: Duration,
}

/// One host of it.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) preference: u16,
    pub(crate) reach: Reach,
    pub(crate) dane: Dane,
    /// What it is held against in TLS reports.
    pub(crate) found: Arc<[PolicyFound]>,
}

/// How a host is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Not empty. `security` is that of the address records.
    At {
        addresses: Vec<SocketAddr>,
        security: Security,
    },
    /// It has no address.
    Nowhere,
    /// Nobody can say now; the text begins with an enhanced code.
    Unknown(String),
}

/// Where a host is, as far as the TLSA look-up needs it.
struct Located {
    reach: Reach,
    /// The host, or what it is an alias of.
    canonical: Box<str>,
    /// Of its alias, where it is one; otherwise of the address records.
    first: Security,
    ttl: Duration,
}

impl Located {
    /// Without an alias, and nothing about it is proved.
    fn plainly(host: &str, reach: Reach, ttl: Duration) -> Self {
        Self {
            reach,
            canonical: host.into(),
            first: Security::Insecure,
            ttl,
        }
    }
}

/// What looking for a destination brought.
#[derive(Debug, Clone)]
pub(crate) enum Looked {
    Found(Arc<Destination>),
    /// Mail cannot go there; the text begins with an enhanced code.
    Never(String),
    /// Nobody can say now; the text begins with an enhanced code.
    Later(String),
}

/// What is asked for every host of a destination.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) resolver: &'a dyn Resolver,
    pub(crate) port: u16,
    pub(crate) tlsa: AskTlsa,
    /// The names of this installation, in lower case.
    pub(crate) ours: &'a [String],
}

impl Question<'_> {
    /// The destination `domain` by its MX records. `sts` is waited for at the same time.
    pub(crate) async fn by_mx(
        self,
        domain: &str,
        sts: impl Future<Output = Option<Arc<StsPolicy>>>,
    ) -> Looked {
        let (answer, sts) = tokio::join!(self.resolver.mx(domain), sts);
        match mx::read(domain, answer, self.ours) {
            Exchangers::Hosts {
                hosts,
                chosen,
                canonical,
                ttl,
            } => {
                // RFC 7672 §3.2.2: the next-hop domain and what it is an alias of.
                let mut names = vec![domain.to_owned()];
                if &*canonical != domain {
                    names.push(canonical.into());
                }
                self.hosts(domain, hosts, chosen, &names, sts, ttl).await
            }
            Exchangers::Never(why) => Looked::Never(why),
            Exchangers::Later(why) => Looked::Later(why),
        }
    }

    /// The one host `name`, which our own side chose.
    pub(crate) async fn by_host(self, name: &str) -> Looked {
        let host = MxHost {
            preference: 0,
            host: name.to_owned(),
        };
        self.hosts(name, vec![host], Chosen::Operator, &[], None, KEPT_MAX)
            .await
    }

    async fn hosts(
        self,
        domain: &str,
        hosts: Vec<MxHost>,
        chosen: Chosen,
        names: &[String],
        sts: Option<Arc<StsPolicy>>,
        ttl: Duration,
    ) -> Looked {
        let domain: Arc<str> = domain.into();
        let looked = hosts
            .into_iter()
            .map(|mx| self.host(mx, chosen, names, &domain, sts.as_deref()));
        let looked = join_all(looked).await;
        let ttl = looked.iter().map(|(_, ttl)| *ttl).fold(ttl, Duration::min);
        Looked::Found(Arc::new(Destination {
            domain,
            chosen,
            hosts: looked.into_iter().map(|(host, _)| host).collect(),
            sts,
            ttl: ttl.min(KEPT_MAX),
        }))
    }

    async fn host(
        self,
        mx: MxHost,
        chosen: Chosen,
        names: &[String],
        domain: &Arc<str>,
        sts: Option<&StsPolicy>,
    ) -> (Host, Duration) {
        let located = self.addresses(&mx.host).await;
        let (dane, dane_ttl) = self.dane(&mx.host, chosen, &located, names).await;
        let host = Host {
            found: found(domain, &mx.host, &dane, sts),
            name: mx.host,
            preference: mx.preference,
            reach: located.reach,
            dane,
        };
        (host, located.ttl.min(dane_ttl))
    }

    async fn addresses(self, host: &str) -> Located {
        let at = |addresses: Vec<IpAddr>, security| Reach::At {
            addresses: some_of_each_family(addresses)
                .map(|address| SocketAddr::new(address, self.port))
                .collect(),
            security,
        };
        if let Some(address) = host::literal(host) {
            let reach = at(vec![address], Security::Insecure);
            return Located::plainly(host, reach, KEPT_MAX);
        }
        match self.resolver.addresses(host).await {
            Outcome::Found(Answer {
                value,
                ttl,
                security,
                first,
                name,
            }) => Located {
                reach: at(value, security),
                first,
                canonical: name,
                ttl,
            },
            Outcome::NoData(_) | Outcome::NxDomain(_) => {
                Located::plainly(host, Reach::Nowhere, ABSENCE_KEPT)
            }
            Outcome::Bogus(why) => {
                let why = format!(
                    "4.7.5 the DNS answers for the addresses of {host} are forged or wrong ({why}); \
                     whoever runs its DNS must mend DNSSEC, and it is tried again"
                );
                Located::plainly(host, Reach::Unknown(why), FAILURE_KEPT)
            }
            Outcome::TemporaryFailure(why) => {
                let why = format!("4.4.3 the DNS does not answer for {host}: {why}");
                Located::plainly(host, Reach::Unknown(why), FAILURE_KEPT)
            }
        }
    }

    /// RFC 7672 §2.2: what the TLSA records of a host say. `names` are the next-hop domain's.
    async fn dane(
        self,
        host: &str,
        chosen: Chosen,
        located: &Located,
        names: &[String],
    ) -> (Dane, Duration) {
        if self.tlsa == AskTlsa::No {
            return (Dane::NotApplicable("DANE is off"), KEPT_MAX);
        }
        if host::literal(host).is_some() {
            return (
                Dane::NotApplicable("an address has no TLSA records"),
                KEPT_MAX,
            );
        }
        if chosen == Chosen::Mx(Security::Insecure) {
            let why = "the MX records are not signed";
            return (Dane::NotApplicable(why), KEPT_MAX);
        }
        // RFC 7672 §2.2.2: addresses first, and no TLSA question below an unsigned zone, where many
        // servers fail to answer it.
        let canonical = &*located.canonical;
        let bases = match &located.reach {
            // RFC 7672 §2.2.3: the fully expanded name first, the unexpanded one second.
            Reach::At {
                security: Security::Secure,
                ..
            } if canonical != host => &[canonical, host][..],
            Reach::At {
                security: Security::Secure,
                ..
            } => &[host][..],
            // RFC 7672 §2.2.2, "Insecure CNAME": a signed alias into an unsigned zone may have records itself.
            Reach::At { .. } if canonical != host && located.first == Security::Secure => {
                &[host][..]
            }
            Reach::At { .. } => {
                let why = "the host's address records are not signed";
                return (Dane::NotApplicable(why), KEPT_MAX);
            }
            Reach::Nowhere | Reach::Unknown(_) => {
                return (Dane::NotApplicable("the host has no address"), KEPT_MAX);
            }
        };
        let mut ttl = KEPT_MAX;
        for base in bases {
            let name = format!("_{}._tcp.{base}", self.port);
            match self.resolver.tlsa(&name).await {
                Outcome::Found(answer) if answer.security == Security::Secure => {
                    return (records(base, host, names, answer.value), answer.ttl);
                }
                Outcome::Found(answer) => ttl = ttl.min(answer.ttl),
                Outcome::NoData(_) | Outcome::NxDomain(_) => {}
                Outcome::Bogus(why) => return failed(DaneFailure::Bogus, &name, &why),
                Outcome::TemporaryFailure(why) => {
                    return failed(DaneFailure::NoAnswer, &name, &why);
                }
            }
        }
        (Dane::Absent, ttl)
    }
}

/// As many as are kept; where there are more, half of them of each family.
fn some_of_each_family(addresses: Vec<IpAddr>) -> impl Iterator<Item = IpAddr> {
    let (v6, v4): (Vec<_>, Vec<_>) = addresses.into_iter().partition(IpAddr::is_ipv6);
    let half = ADDRESSES_MAX / 2;
    let v6_kept = v6
        .len()
        .min(half.max(ADDRESSES_MAX.saturating_sub(v4.len())));
    let v6 = v6.into_iter().take(v6_kept);
    v6.chain(v4.into_iter().take(ADDRESSES_MAX - v6_kept))
}

fn failed(kind: DaneFailure, name: &str, why: &str) -> (Dane, Duration) {
    let why = format!("{name}: {why}");
    (Dane::Failed { kind, why }, FAILURE_KEPT)
}

/// Signed records as a proof, as far as they can be used.
fn records(base: &str, host: &str, next_hop: &[String], mut records: Vec<Tlsa>) -> Dane {
    records.truncate(TLSA_RECORDS_MAX);
    let usable: Vec<Tlsa> = records
        .iter()
        .filter(|r| dane::usable(r))
        .cloned()
        .collect();
    if usable.is_empty() {
        return Dane::Unusable {
            base: base.into(),
            records,
        };
    }
    let mut names = vec![base.to_owned()];
    for name in next_hop.iter().map(String::as_str).chain([host]) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    Dane::Usable {
        base: base.into(),
        names,
        records: usable,
    }
}

/// What a host is held against, for TLS reports.
fn found(
    domain: &Arc<str>,
    host: &str,
    dane: &Dane,
    sts: Option<&StsPolicy>,
) -> Arc<[PolicyFound]> {
    let mut found = Vec::new();
    if let Dane::Usable { records, .. } | Dane::Unusable { records, .. } = dane {
        found.push(PolicyFound {
            kind: PolicyKind::Tlsa,
            strings: records.iter().map(presentation).collect(),
            domain: domain.clone(),
            mx_hosts: [host.to_owned()].into(),
        });
    }
    if let Some(policy) = sts.filter(|policy| policy.mode != crate::sts::Mode::None) {
        found.push(policy.found(domain));
    }
    if found.is_empty() {
        found.push(PolicyFound::nothing(domain));
    }
    found.into()
}

/// RFC 6698 §2.2: numbers and hexadecimal digits.
fn presentation(record: &Tlsa) -> String {
    let Tlsa {
        usage,
        selector,
        matching,
        data,
    } = record;
    let mut text = format!("{usage} {selector} {matching} ");
    for byte in data {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_addresses_of_one_family_leave_room_for_the_other() {
        let v4 = |n: usize| vec![IpAddr::from([192, 0, 2, 1]); n];
        let v6 = |n: usize| vec![IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]); n];
        for (of_v6, of_v4, kept_v6, kept_v4) in [
            (20, 2, 6, 2),
            (20, 20, 4, 4),
            (2, 20, 2, 6),
            (20, 0, 8, 0),
            (1, 1, 1, 1),
        ] {
            let all = [v6(of_v6), v4(of_v4)].concat();
            let kept: Vec<_> = some_of_each_family(all).collect();
            let kept_of_v6 = kept.iter().filter(|ip| ip.is_ipv6()).count();
            assert_eq!((kept_of_v6, kept.len() - kept_of_v6), (kept_v6, kept_v4));
        }
    }
}
