//! DNS as a seam: mail exchangers and addresses of a host, with a typed outcome. `SystemResolver` asks real
//! servers, `StaticResolver` answers from memory in tests. Never guesses: a failure is not an absence.

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
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
