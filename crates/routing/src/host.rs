//! How hosts are written where somebody names one: address literals, and next hops with and without
//! a port. Pure.

use std::net::IpAddr;

/// `127.0.0.1`, `[127.0.0.1]`, `[IPv6:::1]` and `::1`.
pub(crate) fn literal(text: &str) -> Option<IpAddr> {
    let inner = text
        .strip_prefix('[')
        .and_then(|t| t.strip_suffix(']'))
        .unwrap_or(text);
    let inner = match inner.get(..5) {
        // RFC 5321 §4.1.3: the tag is case-insensitive, as all ABNF strings are.
        Some(tag) if tag.eq_ignore_ascii_case("ipv6:") => &inner[5..],
        _ => inner,
    };
    inner.parse().ok()
}

/// A server that takes mail instead of the destination's own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum NextHop {
    /// This host, whatever its MX says.
    Host { host: String, port: u16 },
    /// The MX hosts of this domain.
    Domain { domain: String, port: u16 },
}

/// What a host name without brackets means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bare {
    /// The host.
    Host,
    /// A domain whose MX is looked up.
    Domain,
}

impl NextHop {
    /// The host or domain.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Host { host, .. } => host,
            Self::Domain { domain, .. } => domain,
        }
    }

    /// `host`, `[host]`, `192.0.2.1`, `[192.0.2.1]`, `[IPv6:2001:db8::1]`, each with an optional `:port`.
    pub(crate) fn parse(text: &str, bare: Bare, port_default: u16) -> Self {
        let (host, port) = split_port(text.trim(), port_default);
        let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        if literal(host).is_none() && inner.is_none() && bare == Bare::Domain {
            let domain = host.to_owned();
            return Self::Domain { domain, port };
        }
        Self::Host {
            host: inner.unwrap_or(host).to_owned(),
            port,
        }
    }
}

fn split_port(text: &str, default: u16) -> (&str, u16) {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && (!host.contains(':') || host.ends_with(']')) => {
            port.parse().map_or((text, default), |port| (host, port))
        }
        _ => (text, default),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_ports_are_read() {
        assert_eq!(literal("[IPv6:::1]"), "::1".parse().ok());
        assert_eq!(literal("[ipv6:::1]"), "::1".parse().ok());
        assert_eq!(literal("[192.0.2.1]"), "192.0.2.1".parse().ok());
        assert_eq!(literal("mx.example"), None);
        assert_eq!(literal("äöüß"), None);
        assert_eq!(
            split_port("relay.example:2525", 25),
            ("relay.example", 2525)
        );
        assert_eq!(split_port("::1", 25), ("::1", 25));
        assert_eq!(split_port("[::1]:26", 25), ("[::1]", 26));
    }

    #[test]
    fn brackets_say_that_no_mx_is_looked_up() {
        let host = |host: &str, port| NextHop::Host {
            host: host.to_owned(),
            port,
        };
        let rule = |text| NextHop::parse(text, Bare::Domain, 25);
        assert_eq!(rule("[relay.example]:26"), host("relay.example", 26));
        assert_eq!(rule("192.0.2.1:26"), host("192.0.2.1", 26));
        assert_eq!(rule("[IPv6:::1]"), host("IPv6:::1", 25));
        let domain = "relay.example".to_owned();
        assert_eq!(rule("relay.example"), NextHop::Domain { domain, port: 25 });
        let global = NextHop::parse("relay.example:26", Bare::Host, 25);
        assert_eq!(global, host("relay.example", 26));
    }
}
