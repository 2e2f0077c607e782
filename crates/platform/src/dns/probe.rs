//! Whether the configured DNS servers pass signatures on at all. Asked only where the operator named no trust anchors:
//! an installation behind servers that strip DNSSEC still sends mail, without DANE, and its operator is told. Servers
//! that once passed signatures on must do so for as long as the program runs. Used by `system`.

use super::ask::Servers;
use crate::clock::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// How long servers that strip signatures are believed to do so.
const UNSIGNED_TIME: Duration = Duration::from_secs(300);

/// What the servers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// They pass signatures on, or nobody knows yet; validation decides.
    Signed,
    /// They do not.
    Unsigned,
}

/// Looks, and remembers.
#[derive(Debug)]
pub(super) struct Probe {
    servers: Arc<Servers>,
    known: Mutex<Known>,
}

#[derive(Debug, Clone, Copy)]
enum Known {
    Nothing,
    Signed,
    UnsignedUntil(Timestamp),
}

impl Probe {
    pub(super) fn new(servers: Arc<Servers>) -> Self {
        Self {
            servers,
            known: Mutex::new(Known::Nothing),
        }
    }

    /// What the servers do, asked where it is not known. One asks, the others wait for it.
    pub(super) async fn seen(&self, now: Timestamp) -> Seen {
        let mut known = self.known.lock().await;
        match *known {
            Known::Signed => return Seen::Signed,
            Known::UnsignedUntil(until) if now < until => return Seen::Unsigned,
            Known::Nothing | Known::UnsignedUntil(_) => {}
        }
        let was_unsigned = matches!(*known, Known::UnsignedUntil(_));
        match self.servers.pass_signatures().await {
            Some(true) => {
                if was_unsigned {
                    tracing::info!("dns.signatures_are_back");
                }
                *known = Known::Signed;
                Seen::Signed
            }
            Some(false) => {
                if !was_unsigned {
                    tracing::warn!(
                        advice = "DANE protects nothing; name servers in dns.servers that pass DNSSEC \
                                  signatures on, or say dns.validate = false",
                        "dns.no_signatures"
                    );
                }
                *known = Known::UnsignedUntil(now.plus(UNSIGNED_TIME));
                Seen::Unsigned
            }
            // Silence proves nothing: without answers there is no mail to send either.
            None => Seen::Signed,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::clock::Clock;
    use crate::dns::{Anchors, Mx, MxHost, Outcome, Resolver as _, Security, SystemResolver};
    use hickory_proto::op::Message;
    use hickory_proto::rr::rdata::MX;
    use hickory_proto::rr::{Name, RData, Record, RecordType};
    use std::net::SocketAddr;
    use tokio::net::UdpSocket;

    /// A server that knows MX records and has never heard of DNSSEC.
    async fn plain_server() -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut datagram = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut datagram).await {
                let mut answer = Message::from_vec(&datagram[..length])
                    .unwrap()
                    .into_response();
                let asked = answer.queries[0].clone();
                if asked.query_type() == RecordType::MX {
                    let host = Name::from_ascii("mx.firma.test.").unwrap();
                    let data = RData::MX(MX::new(10, host));
                    answer.add_answer(Record::from_rdata(asked.name().clone(), 60, data));
                }
                socket
                    .send_to(&answer.to_vec().unwrap(), from)
                    .await
                    .unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn servers_without_signatures_stop_no_mail_unless_anchors_were_named() {
        let server = plain_server().await;
        let ask = |anchors| async move {
            let dns = SystemResolver::new(&[server], anchors, Clock::system()).unwrap();
            dns.mx("firma.test").await
        };
        let Outcome::Found(found) = ask(Anchors::root()).await else {
            panic!("no answer")
        };
        assert_eq!(found.security, Security::Insecure);
        let host = "mx.firma.test".to_owned();
        assert_eq!(
            found.value,
            Mx::Hosts(vec![MxHost {
                preference: 10,
                host
            }])
        );
        let named = Anchors::parse(
            ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
        );
        let strict = ask(named.unwrap()).await;
        assert!(!matches!(strict, Outcome::Found(_)), "{strict:?}");
    }
}
