//! What a port answers to clients of every age: a ClientHello is sent, and the first record that comes back says
//! whether it would be served. No handshake is finished and no login tried.

use platform::random::Random;
use serde::{Deserialize, Serialize};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use utoipa::ToSchema;

/// How long one try may take.
const TRY_TIME_MAX: Duration = Duration::from_secs(10);
/// Longest answer in clear before TLS, in bytes.
const CLEAR_BYTES_MAX: usize = 8 * 1024;

/// Suites with forward secrecy that clients of some age know; the last ones are for TLS 1.3.
const GOOD_SUITES: &[u16] = &[
    0xc02b, 0xc02f, 0xc02c, 0xc030, 0xc009, 0xc013, 0xc00a, 0xc014, 0x0033, 0x0039, 0x1301, 0x1302,
];
/// Static RSA, 3DES, RC4, NULL and anonymous suites.
const WEAK_SUITES: &[u16] = &[
    0x002f, 0x0035, 0x009c, 0x009d, 0x003c, 0x000a, 0xc012, 0x0016, 0x0005, 0x0004, 0xc011, 0x0001,
    0x0002, 0x003b, 0x0018, 0x0034, 0x003a,
];

/// One try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Tried {
    /// What a client offered.
    pub offered: String,
    /// What came of it.
    pub outcome: String,
}

/// How to get to TLS on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// It begins with TLS.
    Implicit,
    /// SMTP, RFC 3207.
    Smtp,
    /// IMAP, RFC 9051 §6.2.1.
    Imap,
    /// POP3, RFC 2595.
    Pop3,
}

/// Tries everything at `address`.
pub(crate) async fn port(address: SocketAddr, way: Way, host: &str, random: &Random) -> Vec<Tried> {
    let tries = [
        ("TLS 1.0", 0x0301, GOOD_SUITES),
        ("TLS 1.1", 0x0302, GOOD_SUITES),
        ("TLS 1.2", 0x0303, GOOD_SUITES),
        ("TLS 1.3", 0x0304, GOOD_SUITES),
        (
            "TLS 1.2 with static RSA, 3DES, RC4, NULL or anonymous suites only",
            0x0303,
            WEAK_SUITES,
        ),
    ];
    let mut tried = Vec::new();
    for (offered, version, suites) in tries {
        let hello = hello(version, suites, host, random);
        let answer = tokio::time::timeout(TRY_TIME_MAX, once(reachable(address), way, &hello));
        let outcome = match answer.await {
            Ok(Ok(record)) => outcome(&record),
            Ok(Err(error)) => format!("refused ({error})"),
            Err(_) => "no answer".to_owned(),
        };
        tried.push(Tried {
            offered: offered.to_owned(),
            outcome,
        });
    }
    tried
}

/// A listener on every address is tried on this host's own.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

async fn once(address: SocketAddr, way: Way, hello: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    let (greeting, command, answer) = match way {
        Way::Implicit => ("", "", ""),
        Way::Smtp => ("220 ", "EHLO probe.invalid\r\nSTARTTLS\r\n", "220 "),
        Way::Imap => ("* OK", "a STARTTLS\r\n", "a OK"),
        Way::Pop3 => ("+OK", "STLS\r\n", "+OK"),
    };
    if way != Way::Implicit {
        wait_for(&mut stream, greeting).await?;
        for line in command.split_inclusive('\n') {
            stream.write_all(line.as_bytes()).await?;
            let wanted = if line.starts_with("EHLO") {
                "250 "
            } else {
                answer
            };
            wait_for(&mut stream, wanted).await?;
        }
    }
    stream.write_all(hello).await?;
    let mut head = [0; 5];
    stream.read_exact(&mut head).await?;
    let length = usize::from(u16::from_be_bytes([head[3], head[4]])).min(1 << 14);
    let mut record = vec![0; length];
    stream.read_exact(&mut record).await?;
    record.insert(0, head[0]);
    Ok(record)
}

/// Reads until a line begins with `wanted`.
async fn wait_for(stream: &mut TcpStream, wanted: &str) -> io::Result<()> {
    let mut text = Vec::new();
    while text.len() < CLEAR_BYTES_MAX {
        text.push(stream.read_u8().await?);
        if text.ends_with(b"\n") {
            let so_far = String::from_utf8_lossy(&text);
            if so_far
                .lines()
                .last()
                .is_some_and(|line| line.starts_with(wanted))
            {
                return Ok(());
            }
        }
    }
    Err(io::Error::other("STARTTLS was not granted"))
}

/// What the first record says: its type, then its content.
fn outcome(record: &[u8]) -> String {
    match record {
        // An alert: level, description (RFC 8446 §6).
        [21, _, 70, ..] => "refused (alert protocol_version)".to_owned(),
        [21, _, 40, ..] => "refused (alert handshake_failure)".to_owned(),
        [21, _, description, ..] => format!("refused (alert {description})"),
        // A ServerHello: type, length, version, random, session id.
        [22, 2, _, _, _, major, minor, ..] => {
            format!("accepted ({})", chosen(record, [*major, *minor]))
        }
        _ => "refused (no TLS)".to_owned(),
    }
}

/// The version and suite of a ServerHello (RFC 8446 §4.1.3).
fn chosen(record: &[u8], version: [u8; 2]) -> String {
    let session = 7 + 32;
    let suite = record.get(session).and_then(|length| {
        let at = session + 1 + usize::from(*length);
        record.get(at..at + 2)
    });
    let suite = match suite {
        Some([high, low]) => format!("suite 0x{high:02x}{low:02x}"),
        _ => "no suite".to_owned(),
    };
    // TLS 1.3 writes 1.2 and says the truth in an extension; its suites tell as well.
    let version = match (version, suite.starts_with("suite 0x13")) {
        (_, true) => "TLS 1.3",
        ([3, 1], _) => "TLS 1.0",
        ([3, 2], _) => "TLS 1.1",
        ([3, 3], _) => "TLS 1.2",
        _ => "another version",
    };
    format!("{version}, {suite}")
}

/// A ClientHello (RFC 8446 §4.1.2) that offers one version.
fn hello(version: u16, suites: &[u16], host: &str, random: &Random) -> Vec<u8> {
    let mut body = version.min(0x0303).to_be_bytes().to_vec();
    let mut nonce = [0; 32];
    random.fill(&mut nonce);
    body.extend(nonce);
    body.push(0);
    body.extend(list(
        &suites
            .iter()
            .flat_map(|suite| suite.to_be_bytes())
            .collect::<Vec<_>>(),
    ));
    body.extend([1, 0]);
    let mut extensions = Vec::new();
    let mut extension = |kind: u16, content: &[u8]| {
        extensions.extend(kind.to_be_bytes());
        extensions.extend(list(content));
    };
    let mut name = vec![0];
    name.extend(list(host.as_bytes()));
    extension(0, &list(&name));
    extension(10, &list(&[0, 29, 0, 23, 0, 24]));
    extension(11, &[1, 0]);
    if version >= 0x0303 {
        extension(
            13,
            &list(&[4, 3, 8, 4, 4, 1, 5, 3, 8, 5, 5, 1, 8, 6, 6, 1, 2, 1]),
        );
    }
    if version == 0x0304 {
        extension(43, &[2, 3, 4]);
        // No share yet: the server asks for one of its choice, which is an answer, too (§4.2.8).
        extension(51, &[0, 0]);
    }
    body.extend(list(&extensions));
    let mut record = vec![22, 3, 1];
    let mut message = vec![1, 0];
    message.extend(list(&body));
    record.extend(list(&message));
    record
}

/// Bytes behind their length in two bytes.
fn list(bytes: &[u8]) -> Vec<u8> {
    let mut all = (bytes.len() as u16).to_be_bytes().to_vec();
    all.extend_from_slice(bytes);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::tls::client_hello::{Parsed, parse};

    #[test]
    fn hellos_offer_what_they_say() {
        for version in [0x0301, 0x0302, 0x0303, 0x0304] {
            let bytes = hello(version, GOOD_SUITES, "imap.rp.test", &Random::seeded(1));
            let Parsed::Hello(read) = parse(&bytes) else {
                panic!("{:?}", parse(&bytes));
            };
            assert_eq!(read.newest_version(), version);
            assert_eq!(read.server_name.as_deref(), Some("imap.rp.test"));
            assert_eq!(read.cipher_suites, GOOD_SUITES);
        }
    }

    #[test]
    fn records_are_told_apart() {
        assert_eq!(outcome(&[21, 2, 70]), "refused (alert protocol_version)");
        let mut server_hello = vec![22, 2, 0, 0, 40, 3, 1];
        server_hello.extend([7; 32]);
        server_hello.extend([0, 0xc0, 0x13, 0]);
        assert_eq!(outcome(&server_hello), "accepted (TLS 1.0, suite 0xc013)");
        assert_eq!(outcome(&[72, 84]), "refused (no TLS)");
    }
}
