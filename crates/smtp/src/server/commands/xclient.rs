//! XCLIENT: lets tests and filters on listed addresses say who the client is, as Postfix's tools do.
//! Everything the client said before is forgotten, as after STARTTLS. A login cannot be given.

use super::super::session::Session;
use super::super::state::State;
use crate::reply::{Permanent, Reply, Status};
use std::net::{IpAddr, SocketAddr};

pub(super) fn run(session: &mut Session, attributes: &[(&str, String)]) -> Reply {
    let mut peer = session.connection.stream.peer();
    let mut client_name = session.client_name.clone();
    for (name, value) in attributes {
        let known = match name.to_ascii_uppercase().as_str() {
            "ADDR" => address(value).map(|ip| peer = SocketAddr::new(ip, peer.port())),
            "PORT" => value.parse().ok().map(|port| peer.set_port(port)),
            "NAME" => host_name(value).map(|name| client_name = name),
            // The client says both again with its next EHLO.
            "HELO" | "PROTO" => Some(()),
            _ => None,
        };
        if known.is_none() {
            return Reply::permanent(
                Permanent::BadArgument,
                Status::ARGUMENTS,
                "XCLIENT takes ADDR=, NAME=, PORT=, HELO= and PROTO= here.",
            );
        }
    }
    let local = session.connection.stream.local();
    session.connection.stream.set_addresses(peer, local);
    session.client_name = client_name;
    session.login = None;
    session.told = None;
    session.enter(State::Connected);
    session.watch();
    session.greeting()
}

/// `192.0.2.1` or `IPV6:2001:db8::1`.
fn address(value: &str) -> Option<IpAddr> {
    let bare = value
        .get(..5)
        .filter(|prefix| prefix.eq_ignore_ascii_case("IPV6:"))
        .and_then(|prefix| value.get(prefix.len()..))
        .unwrap_or(value);
    bare.parse().ok()
}

/// A host name, or `[UNAVAILABLE]` and `[TEMPUNAVAIL]` for none.
fn host_name(value: &str) -> Option<Option<Box<str>>> {
    if value.eq_ignore_ascii_case("[UNAVAILABLE]") || value.eq_ignore_ascii_case("[TEMPUNAVAIL]") {
        return Some(None);
    }
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    (!value.is_empty() && value.len() <= 255 && value.bytes().all(fits)).then(|| Some(value.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_in_two_forms() {
        assert_eq!(address("192.0.2.1"), "192.0.2.1".parse().ok());
        assert_eq!(address("ipv6:2001:db8::1"), "2001:db8::1".parse().ok());
        assert_eq!(address("x"), None);
    }

    #[test]
    fn a_name_may_be_unavailable() {
        assert_eq!(host_name("mx.example"), Some(Some("mx.example".into())));
        assert_eq!(host_name("[unavailable]"), Some(None));
        assert_eq!(host_name("a b"), None);
    }
}
