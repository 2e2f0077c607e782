//! Puts one question to the configured DNS servers, in turn, over UDP and TCP (RFC 1035 §4.2, RFC 6891, RFC 7766).
//! Says nothing about whether the answer is true; `validate` does. Each question has a socket of its own, so that
//! its port is as random as its number (RFC 5452 §9.2).

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, Record, RecordType};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How long a server may take in each round.
const ROUND_TIMES: [Duration; 2] = [Duration::from_millis(1500), Duration::from_secs(4)];
/// What a datagram to us may hold: fits into every path without fragments (DNS flag day 2020).
const DATAGRAM_BYTES_MAX: u16 = 1232;
/// Questions under way at once; each takes a socket.
const QUESTIONS_MAX: usize = 256;
/// Datagrams that are no answer to our question, before a server is given up for this round.
const STRAY_DATAGRAMS_MAX: usize = 20;

/// What a server said.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) answers: Vec<Record>,
    pub(super) authorities: Vec<Record>,
    /// NXDOMAIN; otherwise NOERROR.
    pub(super) no_such_name: bool,
}

/// The servers.
#[derive(Debug)]
pub(super) struct Servers {
    addresses: Vec<SocketAddr>,
    sockets: Semaphore,
}

/// Whether the question says that signatures are wanted (RFC 6891). Servers from before 1999 do not know how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extended {
    Yes,
    No,
}

impl Servers {
    pub(super) fn new(addresses: Vec<SocketAddr>) -> Self {
        Self {
            addresses,
            sockets: Semaphore::new(QUESTIONS_MAX),
        }
    }

    /// Those of `/etc/resolv.conf`.
    pub(super) fn of_system() -> Result<Vec<SocketAddr>, String> {
        let path = "/etc/resolv.conf";
        let text = std::fs::read_to_string(path).map_err(|e| {
            format!("the DNS servers in {path} cannot be used: {e}; name servers in the settings")
        })?;
        let servers: Vec<_> = resolv_conf(&text).collect();
        if servers.is_empty() {
            return Err(format!(
                "{path} names no DNS server; name servers in the settings"
            ));
        }
        Ok(servers)
    }

    /// Asks until a server says that there is something, nothing, or no such name. Anything else is an error, in words.
    pub(super) async fn ask(&self, name: &Name, kind: RecordType) -> Result<Reply, String> {
        let _socket = self.sockets.acquire().await.map_err(|e| e.to_string())?;
        let mut last = "no DNS server is configured".to_owned();
        for time in ROUND_TIMES {
            for &server in &self.addresses {
                let answer = match self.ask_one(server, name, kind, time, Extended::Yes).await {
                    Ok(message) if speaks_no_edns(&message) => {
                        self.ask_one(server, name, kind, time, Extended::No).await
                    }
                    answer => answer,
                };
                match answer.map(usable) {
                    Ok(Ok(reply)) => return Ok(reply),
                    Ok(Err(code)) => {
                        last = format!("the DNS server {server} answered {code} for {name} {kind}");
                    }
                    Err(e) => {
                        last = format!(
                            "the DNS server {server} does not answer for {name} {kind}: {e}"
                        );
                    }
                }
            }
        }
        Err(last)
    }

    /// Whether the servers pass on the signatures of the root zone; `None` where none of them says anything.
    pub(super) async fn pass_signatures(&self) -> Option<bool> {
        let root = Name::root();
        let kind = RecordType::DNSKEY;
        let mut said = None;
        for time in ROUND_TIMES {
            for &server in &self.addresses {
                let Ok(answer) = self.ask_one(server, &root, kind, time, Extended::Yes).await
                else {
                    continue;
                };
                // SERVFAIL and REFUSED say nothing about signatures: a server that is only just starting, perhaps.
                let tells = answer.metadata.response_code == ResponseCode::NoError;
                if !tells && !speaks_no_edns(&answer) {
                    continue;
                }
                if answer
                    .answers
                    .iter()
                    .any(|record| record.record_type() == RecordType::RRSIG)
                {
                    return Some(true);
                }
                said = Some(false);
            }
            if said.is_some() {
                break;
            }
        }
        said
    }

    async fn ask_one(
        &self,
        server: SocketAddr,
        name: &Name,
        kind: RecordType,
        time: Duration,
        extended: Extended,
    ) -> io::Result<Message> {
        let question = question(name, kind, extended);
        let bytes = question.to_vec().map_err(io::Error::other)?;
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        let answer = timeout(time, by_udp(server, &question, &bytes))
            .await
            .map_err(late)??;
        if !answer.metadata.truncation {
            return Ok(answer);
        }
        timeout(time, by_tcp(server, &question, &bytes))
            .await
            .map_err(late)?
    }
}

fn question(name: &Name, kind: RecordType, extended: Extended) -> Message {
    let mut message = Message::new(rand::random(), MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    // RFC 6840 §5.9: whoever validates wants to see what does not hold too, and says why it does not.
    message.metadata.checking_disabled = true;
    message.add_query(Query::query(name.clone(), kind));
    if extended == Extended::Yes {
        let mut edns = Edns::new();
        edns.set_dnssec_ok(true).set_max_payload(DATAGRAM_BYTES_MAX);
        message.set_edns(edns);
    }
    message
}

fn answers(answer: &Message, question: &Message) -> bool {
    let same = |a: &Query, b: &Query| {
        a.name() == b.name()
            && a.query_type() == b.query_type()
            && a.query_class() == b.query_class()
    };
    answer.metadata.id == question.metadata.id
        && answer.metadata.message_type == MessageType::Response
        && match (answer.queries.as_slice(), question.queries.as_slice()) {
            ([theirs], [ours]) => same(theirs, ours),
            // Servers that cannot read the question may leave it out.
            ([], _) => answer.metadata.response_code != ResponseCode::NoError,
            _ => false,
        }
}

async fn by_udp(server: SocketAddr, question: &Message, bytes: &[u8]) -> io::Result<Message> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    socket.connect(server).await?;
    socket.send(bytes).await?;
    let mut datagram = vec![0; usize::from(u16::MAX)];
    for _ in 0..STRAY_DATAGRAMS_MAX {
        let length = socket.recv(&mut datagram).await?;
        let datagram = datagram.get(..length).unwrap_or_default();
        match Message::from_vec(datagram) {
            Ok(message) if answers(&message, question) => return Ok(message),
            Ok(_) => {}
            Err(_) => match torn(datagram, question) {
                Some(Torn::Truncated) => {
                    let mut message = question.clone().into_response();
                    message.metadata.truncation = true;
                    return Ok(message);
                }
                Some(Torn::Unreadable) => {
                    return Err(io::Error::other("its answer cannot be read"));
                }
                None => {}
            },
        }
    }
    Err(io::Error::other("it sends datagrams that answer nothing"))
}

/// An answer to our question that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Torn {
    /// It says itself that it is cut; some servers cut in the middle of a record.
    Truncated,
    /// It is damaged, or has what the library does not take.
    Unreadable,
}

/// What the first bytes of a datagram say; `None` where it answers something else (RFC 1035 §4.1.1).
fn torn(datagram: &[u8], question: &Message) -> Option<Torn> {
    const RESPONSE: u8 = 0x80;
    const TRUNCATED: u8 = 0x02;
    let [high, low, flags, ..] = *datagram else {
        return None;
    };
    let number = u16::from_be_bytes([high, low]);
    if number != question.metadata.id || flags & RESPONSE == 0 {
        return None;
    }
    Some(match flags & TRUNCATED {
        0 => Torn::Unreadable,
        _ => Torn::Truncated,
    })
}

async fn by_tcp(server: SocketAddr, question: &Message, bytes: &[u8]) -> io::Result<Message> {
    let mut socket = TcpStream::connect(server).await?;
    let length = u16::try_from(bytes.len()).map_err(io::Error::other)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(bytes);
    socket.write_all(&framed).await?;
    let mut answer = vec![0; usize::from(socket.read_u16().await?)];
    socket.read_exact(&mut answer).await?;
    let message = Message::from_vec(&answer).map_err(io::Error::other)?;
    if !answers(&message, question) || message.metadata.truncation {
        return Err(io::Error::other("its answer fits no question of ours"));
    }
    Ok(message)
}

fn speaks_no_edns(message: &Message) -> bool {
    matches!(
        message.metadata.response_code,
        ResponseCode::FormErr | ResponseCode::NotImp
    )
}

/// The reply, or the code of a server that cannot say.
fn usable(message: Message) -> Result<Reply, ResponseCode> {
    let no_such_name = match message.metadata.response_code {
        ResponseCode::NoError => false,
        ResponseCode::NXDomain => true,
        other => return Err(other),
    };
    Ok(Reply {
        answers: message.answers,
        authorities: message.authorities,
        no_such_name,
    })
}

fn resolv_conf(text: &str) -> impl Iterator<Item = SocketAddr> + '_ {
    text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        if words.next() != Some("nameserver") {
            return None;
        }
        let address = words.next()?;
        // A zone (fe80::1%eth0) names an interface; such servers cannot be asked from here.
        address.parse().ok().map(|ip| SocketAddr::new(ip, 53))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_servers_are_read() {
        let text = "# by hand\nsearch example.com\nnameserver 192.0.2.1\nnameserver 2001:db8::1 \n\
                    nameserver fe80::1%eth0\noptions edns0\n";
        let found: Vec<_> = resolv_conf(text)
            .map(|address| address.to_string())
            .collect();
        assert_eq!(found, ["192.0.2.1:53", "[2001:db8::1]:53"]);
    }

    #[test]
    fn only_the_answer_to_the_question_counts() {
        let name = Name::from_ascii("mx.test.").unwrap();
        let asked = question(&name, RecordType::A, Extended::Yes);
        let mut answer = asked.clone().into_response();
        assert!(answers(&answer, &asked));
        answer.metadata.id = answer.metadata.id.wrapping_add(1);
        assert!(!answers(&answer, &asked));
        let mut other = question(&name, RecordType::AAAA, Extended::Yes).into_response();
        other.metadata.id = asked.metadata.id;
        assert!(!answers(&other, &asked));
        let mut chaos = asked.clone().into_response();
        chaos.queries[0].set_query_class(hickory_proto::rr::DNSClass::CH);
        assert!(!answers(&chaos, &asked));
    }

    #[test]
    fn an_answer_cut_in_the_middle_is_asked_for_again() {
        let name = Name::from_ascii("mx.test.").unwrap();
        let asked = question(&name, RecordType::A, Extended::Yes);
        let mut answer = asked.clone().into_response();
        let whole = answer.to_vec().unwrap();
        assert_eq!(torn(&whole[..20], &asked), Some(Torn::Unreadable));
        answer.metadata.truncation = true;
        let cut = answer.to_vec().unwrap();
        assert!(Message::from_vec(&cut[..20]).is_err());
        assert_eq!(torn(&cut[..20], &asked), Some(Torn::Truncated));
        let other = question(&name, RecordType::A, Extended::Yes);
        assert_eq!(torn(&asked.to_vec().unwrap(), &asked), None);
        if other.metadata.id != asked.metadata.id {
            assert_eq!(torn(&cut, &other), None);
        }
    }
}
