//! DNS as a seam: mail exchangers, addresses, TLSA and TXT records, host names of addresses, each with a typed
//! outcome that tells whether DNSSEC proved it. `SystemResolver` asks real servers and validates itself,
//! `StaticResolver` answers from memory in tests. Never guesses: a failure is not an absence, and a name server's
//! word (the AD bit) is not a proof.

mod anchors;
mod ask;
mod denial;
mod dname;
mod effort;
mod fixed;
#[doc(hidden)]
pub mod fuzz;
mod probe;
mod proofs;
mod signed;
mod system;
pub mod update;
mod validate;

pub use anchors::Anchors;
pub use fixed::StaticResolver;
pub use system::SystemResolver;

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

/// Whether what was learned is proved by DNSSEC (RFC 4033 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Security {
    /// Not proved: the zone is not signed, or no trust anchor of ours covers it.
    Insecure,
    /// An unbroken chain of signatures leads from a trust anchor of ours to it.
    Secure,
}

/// What asking for records brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<T> {
    /// There are records.
    Found(Answer<T>),
    /// The name exists and has no record of this type.
    NoData(Security),
    /// The name does not exist (RFC 8020: nor does anything below it).
    NxDomain(Security),
    /// The zone is signed and the answer, or the proof that there is none, does not hold. What is behind it may be
    /// an attack or a mistake of the domain's operator; never treat it as an absence. The text is for the operator.
    Bogus(String),
    /// Nobody could say; ask again later. The text is for the operator.
    TemporaryFailure(String),
}

/// Records, how long they may be kept, and what they are worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    /// The records.
    pub value: T,
    /// How long they may be kept: the smallest TTL of them.
    pub ttl: Duration,
    /// Whether the records and every alias on the way to them are proved.
    pub security: Security,
    /// What the answer about the very name that was asked for is worth: its alias where it is one, otherwise its
    /// records. Not less than `security`.
    pub first: Security,
    /// The name that has the records, after aliases (CNAME), in lower case without the final dot.
    pub name: Box<str>,
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

/// What a host says about its certificate (RFC 6698 §2.1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tlsa {
    /// 0 PKIX-TA, 1 PKIX-EE, 2 DANE-TA, 3 DANE-EE.
    pub usage: u8,
    /// 0 the whole certificate, 1 its public key.
    pub selector: u8,
    /// 0 the bytes themselves, 1 their SHA-256, 2 their SHA-512.
    pub matching: u8,
    /// What the selected part is compared with.
    pub data: Box<[u8]>,
}

/// A future that a resolver returns.
pub type Lookup<'a, T> = Pin<Box<dyn Future<Output = Outcome<T>> + Send + 'a>>;

/// Asks the DNS. Names are given without the final dot, in A-label form.
pub trait Resolver: Send + Sync + 'static {
    /// The mail exchangers of `domain`. An absent MX is `NoData`; RFC 5321 §5.1 then means the domain's own addresses.
    fn mx<'a>(&'a self, domain: &'a str) -> Lookup<'a, Mx>;

    /// IPv6 and IPv4 addresses of `host`. A failure of one family counts only where the other found nothing; the
    /// answer is `Secure` only where both families' answers are.
    fn addresses<'a>(&'a self, host: &'a str) -> Lookup<'a, Vec<IpAddr>>;

    /// The TLSA records at `name`, such as `_25._tcp.mx.example.com`.
    fn tlsa<'a>(&'a self, name: &'a str) -> Lookup<'a, Vec<Tlsa>>;

    /// The TXT records at `name`, the strings of each joined (RFC 7208 §3.3).
    fn txt<'a>(&'a self, name: &'a str) -> Lookup<'a, Vec<Vec<u8>>>;

    /// The host names of `address` (PTR), in lower case without the final dot. Not verified against their addresses.
    fn reverse<'a>(&'a self, address: IpAddr) -> Lookup<'a, Vec<String>>;
}

impl<T> Outcome<T> {
    /// The same outcome with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Self::Found(answer) => Outcome::Found(Answer {
                value: change(answer.value),
                ttl: answer.ttl,
                security: answer.security,
                first: answer.first,
                name: answer.name,
            }),
            Self::NoData(security) => Outcome::NoData(security),
            Self::NxDomain(security) => Outcome::NxDomain(security),
            Self::Bogus(reason) => Outcome::Bogus(reason),
            Self::TemporaryFailure(reason) => Outcome::TemporaryFailure(reason),
        }
    }

    /// What was found.
    pub fn found(self) -> Option<Answer<T>> {
        match self {
            Self::Found(answer) => Some(answer),
            _ => None,
        }
    }

    /// What is known to be worth; `None` where nothing is known.
    pub fn security(&self) -> Option<Security> {
        match self {
            Self::Found(answer) => Some(answer.security),
            Self::NoData(security) | Self::NxDomain(security) => Some(*security),
            Self::Bogus(_) | Self::TemporaryFailure(_) => None,
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

/// What two questions about the same host mean together.
fn both_families(v6: Outcome<Vec<IpAddr>>, v4: Outcome<Vec<IpAddr>>) -> Outcome<Vec<IpAddr>> {
    use Outcome::{Bogus, Found, NoData, NxDomain, TemporaryFailure};
    match (v6, v4) {
        (Found(mut v6), Found(v4)) => {
            v6.value.extend(v4.value);
            v6.ttl = v6.ttl.min(v4.ttl);
            v6.security = v6.security.min(v4.security);
            v6.first = v6.first.min(v4.first);
            Found(v6)
        }
        // RFC 7672 §2.2.2: a family that cannot be proved is not there; the other may do.
        (Found(mut found), other) | (other, Found(mut found)) => {
            found.security = found
                .security
                .min(other.security().unwrap_or(found.security));
            Found(found)
        }
        (Bogus(reason), _) | (_, Bogus(reason)) => Bogus(reason),
        (TemporaryFailure(reason), _) | (_, TemporaryFailure(reason)) => TemporaryFailure(reason),
        (NxDomain(a), other) | (other, NxDomain(a)) => {
            NxDomain(a.min(other.security().unwrap_or(a)))
        }
        (NoData(a), NoData(b)) => NoData(a.min(b)),
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
    }

    #[test]
    fn a_failure_is_not_an_absence() {
        use Outcome::{Bogus, Found, NoData, NxDomain, TemporaryFailure};
        use Security::{Insecure, Secure};
        let failure = || TemporaryFailure("timed out".to_owned());
        let bogus = || Bogus("no signature".to_owned());
        let found = |security| {
            Outcome::Found(Answer {
                value: vec![IpAddr::from([192, 0, 2, 1])],
                ttl: Duration::from_secs(60),
                security,
                first: security,
                name: "mx.test".into(),
            })
        };
        assert_eq!(both_families(NoData(Secure), failure()), failure());
        assert_eq!(both_families(failure(), bogus()), bogus());
        assert_eq!(both_families(failure(), found(Secure)), found(Secure));
        assert_eq!(both_families(NoData(Secure), found(Secure)), found(Secure));
        // The absence may be that of an alias' target, so that it says nothing about the alias.
        let Found(both) = both_families(NoData(Insecure), found(Secure)) else {
            panic!("one family is enough");
        };
        assert_eq!((both.security, both.first), (Insecure, Secure));
        assert_eq!(
            both_families(NxDomain(Secure), NxDomain(Secure)),
            NxDomain(Secure)
        );
        assert_eq!(
            both_families(NoData(Secure), NoData(Insecure)),
            NoData(Insecure)
        );
    }
}
