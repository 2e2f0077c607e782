//! A connection to one of a host's addresses: both families at once with a head start (RFC 8305), from the source
//! address of the sender's pool. A pool's address that this host does not have ends the attempt; no other one of its
//! family is used in its place. Of a family that the pool does not name, the system chooses the address.

use platform::net::{Deadline, Stream, StreamError};
use policy::Pool;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::task::JoinSet;

/// Head start of an address before the next one is tried beside it (RFC 8305 §5).
const HEAD_START: Duration = Duration::from_millis(250);
/// Addresses of one host that are tried (RFC 5321 §5.1 wants at least two).
const ADDRESSES_MAX: usize = 6;

/// Where connections come from, and the name they greet with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) pool: Option<String>,
    pub(super) v4: Option<Ipv4Addr>,
    pub(super) v6: Option<Ipv6Addr>,
    pub(super) hello: String,
}

impl Origin {
    /// The pool's, or the system's choice and the node's name. Of several addresses a destination always meets the
    /// same one, so that its connections can be used again and its opinion of us does not waver.
    pub(super) fn of(pool: Option<&Pool>, destination: &str, node: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        destination.hash(&mut hasher);
        let turn = usize::try_from(hasher.finish() >> 33).unwrap_or(0);
        let Some(pool) = pool else {
            return Self {
                pool: None,
                v4: None,
                v6: None,
                hello: node.to_owned(),
            };
        };
        Self {
            pool: Some(pool.name.clone()),
            v4: pool.v4.get(turn % pool.v4.len().max(1)).copied(),
            v6: pool.v6.get(turn % pool.v6.len().max(1)).copied(),
            hello: pool.hello.clone().unwrap_or_else(|| node.to_owned()),
        }
    }

    /// The source for a connection to `address`.
    pub(super) fn source(&self, address: SocketAddr) -> Option<IpAddr> {
        match address {
            SocketAddr::V4(_) => self.v4.map(IpAddr::V4),
            SocketAddr::V6(_) => self.v6.map(IpAddr::V6),
        }
    }
}

/// IPv6 first, then in turns.
pub(super) fn in_turns(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut v6 = addresses.iter().filter(|address| address.is_ipv6());
    let mut v4 = addresses.iter().filter(|address| address.is_ipv4());
    let mut ordered = Vec::with_capacity(addresses.len());
    loop {
        let (six, four) = (v6.next(), v4.next());
        if six.is_none() && four.is_none() {
            ordered.truncate(ADDRESSES_MAX);
            return ordered;
        }
        ordered.extend(six.into_iter().chain(four));
    }
}

/// The first connection that comes about; otherwise what was wrong with each address.
pub(super) async fn connect(
    addresses: &[SocketAddr],
    origin: &Origin,
    time_max: Duration,
) -> Result<(SocketAddr, Stream), Vec<(SocketAddr, StreamError)>> {
    if let [only] = addresses {
        let stream = Stream::connect(*only, origin.source(*only), Deadline::after(time_max)).await;
        return stream
            .map(|stream| (*only, stream))
            .map_err(|error| vec![(*only, error)]);
    }
    let mut waiting = addresses.iter().copied();
    let mut under_way = JoinSet::new();
    let mut failed = Vec::new();
    loop {
        if let Some(address) = waiting.next() {
            let source = origin.source(address);
            under_way.spawn(async move {
                let deadline = Deadline::after(time_max);
                (address, Stream::connect(address, source, deadline).await)
            });
        }
        let ended = if waiting.len() > 0 {
            match tokio::time::timeout(HEAD_START, under_way.join_next()).await {
                Ok(ended) => ended,
                // The next one gets its chance beside those under way.
                Err(_) => continue,
            }
        } else {
            under_way.join_next().await
        };
        match ended {
            Some(Ok((address, Ok(stream)))) => return Ok((address, stream)),
            Some(Ok((address, Err(error)))) => {
                let ours = matches!(error, StreamError::SourceUnusable { .. });
                failed.push((address, error));
                if ours {
                    return Err(failed);
                }
            }
            Some(Err(_)) => {}
            None if waiting.len() == 0 => return Err(failed),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    fn soon() -> Duration {
        Duration::from_secs(5)
    }

    fn anywhere() -> Origin {
        Origin::of(None, "else.test", "mx.rp.test")
    }

    #[test]
    fn families_take_turns() {
        let of = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (a, b, c) = (
            of("192.0.2.1:25"),
            of("192.0.2.2:25"),
            of("[2001:db8::1]:25"),
        );
        assert_eq!(in_turns(&[a, b, c]), [c, a, b]);
        assert_eq!(in_turns(&[a; 20]).len(), ADDRESSES_MAX);
    }

    #[test]
    fn a_destination_always_meets_the_same_source() {
        let pool = Pool {
            name: "bulk".into(),
            v4: vec![[192, 0, 2, 1].into(), [192, 0, 2, 2].into()],
            v6: Vec::new(),
            hello: Some("bulk.rp.test".into()),
        };
        let of = |destination: &str| Origin::of(Some(&pool), destination, "mx.rp.test");
        assert_eq!(of("a.test"), of("a.test"));
        let different: std::collections::HashSet<_> =
            (0..50).map(|n| of(&format!("{n}.test")).v4).collect();
        assert_eq!(different.len(), 2);
        assert_eq!(of("a.test").hello, "bulk.rp.test");
        assert_eq!(of("a.test").source("[::1]:25".parse().unwrap()), None);
        assert_eq!(anywhere().hello, "mx.rp.test");
    }

    #[tokio::test]
    async fn a_dead_address_does_not_keep_the_living_waiting() {
        let living = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dead = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        let addresses = [dead, living.local_addr().unwrap()];
        let (address, _) = connect(&addresses, &anywhere(), soon()).await.unwrap();
        assert_eq!(address, addresses[1]);
        let failed = connect(&[dead, dead], &anywhere(), soon())
            .await
            .unwrap_err();
        assert_eq!(failed.len(), 2);
    }

    /// 192.0.2.0/24 is nobody's.
    #[tokio::test]
    async fn a_source_that_is_not_ours_ends_it() {
        let living = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = living.local_addr().unwrap();
        let origin = Origin {
            v4: Some([192, 0, 2, 1].into()),
            ..anywhere()
        };
        for addresses in [&[address][..], &[address, address]] {
            let failed = connect(addresses, &origin, soon()).await.unwrap_err();
            assert!(matches!(failed[0].1, StreamError::SourceUnusable { .. }));
        }
    }
}
