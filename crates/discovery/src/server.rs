//! The servers customers' programs connect to, in the order in which they should: TLS from the first byte before
//! STARTTLS, IMAP before POP3 (RFC 8314 §3; RFC 6186 §3.4). The only source of every answer in this crate and of the
//! pages. There is no value for a connection in clear, and none for a host of the legacy gateway.

use std::fmt;
use std::str::FromStr;

/// Longest host name, in bytes (RFC 1035 §2.3.4).
const HOST_BYTES_MAX: usize = 253;
/// Longest label of one, in bytes.
const LABEL_BYTES_MAX: usize = 63;

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// Reading with IMAP.
    Imap,
    /// Reading with POP3.
    Pop3,
    /// Sending (RFC 6409).
    Smtp,
}

impl Protocol {
    /// Every one, the preferred way of reading first.
    pub const ALL: [Self; 3] = [Self::Imap, Self::Pop3, Self::Smtp];

    /// The word in settings and answers.
    pub fn word(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::Smtp => "smtp",
        }
    }

    /// The port programs try by themselves.
    fn usual_port(self, encryption: Encryption) -> u16 {
        match (self, encryption) {
            (Self::Imap, Encryption::ImplicitTls) => 993,
            (Self::Imap, Encryption::StartTls) => 143,
            (Self::Pop3, Encryption::ImplicitTls) => 995,
            (Self::Pop3, Encryption::StartTls) => 110,
            (Self::Smtp, Encryption::ImplicitTls) => 465,
            (Self::Smtp, Encryption::StartTls) => 587,
        }
    }
}

/// When TLS begins. No third word: nothing is told that is not encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encryption {
    /// With the first byte.
    ImplicitTls,
    /// With a command, before anything is said that matters.
    StartTls,
}

impl Encryption {
    /// Both.
    pub const ALL: [Self; 2] = [Self::ImplicitTls, Self::StartTls];

    /// The word in settings.
    pub fn word(self) -> &'static str {
        match self {
            Self::ImplicitTls => "tls",
            Self::StartTls => "starttls",
        }
    }

    /// As mail programs name it.
    pub fn shown(self) -> &'static str {
        match self {
            Self::ImplicitTls => "SSL/TLS",
            Self::StartTls => "STARTTLS",
        }
    }
}

/// A port where customers are served, as a setting writes it: `imap tls 993`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Listening {
    /// What is spoken there.
    pub protocol: Protocol,
    /// When TLS begins.
    pub encryption: Encryption,
    /// Its number.
    pub port: u16,
}

impl fmt::Display for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (protocol, encryption) = (self.protocol.word(), self.encryption.word());
        write!(f, "{protocol} {encryption} {}", self.port)
    }
}

impl FromStr for Listening {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let read = || {
            let [protocol, encryption, port] = words.as_slice() else {
                return None;
            };
            Some(Self {
                protocol: Protocol::ALL.into_iter().find(|p| p.word() == *protocol)?,
                encryption: Encryption::ALL
                    .into_iter()
                    .find(|e| e.word() == *encryption)?,
                port: port.parse().ok().filter(|port| *port > 0)?,
            })
        };
        read().ok_or_else(|| {
            format!(
                "\"{text}\" is no port for customers; give imap, pop3 or smtp, then tls or starttls, then the number, \
                 such as \"imap tls 993\""
            )
        })
    }
}

/// A host that customers' programs may be sent to: a plain name, and not one of the legacy gateway.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(Box<str>);

impl HostName {
    /// `name`, unless it is one of `legacy` or named as such hosts are (`imap-legacy.…`). `None` also where it is no
    /// host name in A-labels.
    pub fn new(name: &str, legacy: &[&str]) -> Option<Self> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let fits = |label: &str| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
            (1..=LABEL_BYTES_MAX).contains(&label.len()) && label.bytes().all(plain)
        };
        let is_host = name.len() <= HOST_BYTES_MAX && name.split('.').all(fits);
        let is_listed = |host: &&str| host.trim_end_matches('.').eq_ignore_ascii_case(&name);
        let is_legacy = legacy.iter().any(is_listed)
            || name
                .split('.')
                .next()
                .is_some_and(|l| l.ends_with("-legacy"));
        (is_host && !is_legacy).then(|| Self(name.into()))
    }

    /// The name, in lower case without a final dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The host names customers use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hosts<'a> {
    /// For IMAP.
    pub imap: &'a str,
    /// For POP3.
    pub pop3: &'a str,
    /// For sending.
    pub smtp: &'a str,
}

/// One way to connect. Only `Servers::new` makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    at: Listening,
    host: HostName,
}

impl Server {
    /// What is spoken.
    pub fn protocol(&self) -> Protocol {
        self.at.protocol
    }

    /// When TLS begins.
    pub fn encryption(&self) -> Encryption {
        self.at.encryption
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.at.port
    }

    /// The host.
    pub fn host(&self) -> &HostName {
        &self.host
    }
}

/// All ways to connect, the best of each protocol first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Servers {
    all: Vec<Server>,
}

impl Servers {
    /// Those of a provider that listens there, without what would lead to a host in `legacy`.
    pub fn new(listening: &[Listening], hosts: &Hosts<'_>, legacy: &[&str]) -> Self {
        let mut listening = listening.to_vec();
        listening.sort_by_key(|at| {
            let is_unusual = at.port != at.protocol.usual_port(at.encryption);
            (at.protocol, at.encryption, is_unusual, at.port)
        });
        listening.dedup();
        let server = |at: Listening| {
            let host = match at.protocol {
                Protocol::Imap => hosts.imap,
                Protocol::Pop3 => hosts.pop3,
                Protocol::Smtp => hosts.smtp,
            };
            let host = HostName::new(host, legacy)?;
            Some(Server { at, host })
        };
        Self {
            all: listening.into_iter().filter_map(server).collect(),
        }
    }

    /// All of them.
    pub fn all(&self) -> &[Server] {
        &self.all
    }

    /// Those of one protocol.
    pub fn of(&self, protocol: Protocol) -> impl Iterator<Item = &Server> {
        self.all.iter().filter(move |s| s.protocol() == protocol)
    }

    /// The one to try first.
    pub fn best(&self, protocol: Protocol) -> Option<&Server> {
        self.of(protocol).next()
    }

    /// The one with this encryption to try first.
    pub fn with(&self, protocol: Protocol, encryption: Encryption) -> Option<&Server> {
        self.of(protocol).find(|s| s.encryption() == encryption)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use proptest::prelude::*;

    #[test]
    fn tls_from_the_first_byte_comes_first_and_imap_before_pop3() {
        let ports: Vec<u16> = testing::servers().all().iter().map(Server::port).collect();
        assert_eq!(ports, [993, 143, 995, 110, 465, 587]);
        let unusual = testing::of(&["smtp starttls 2525", "smtp starttls 587", "smtp tls 466"]);
        let ports: Vec<u16> = unusual.all().iter().map(Server::port).collect();
        assert_eq!(ports, [466, 587, 2525]);
    }

    #[test]
    fn a_port_is_written_and_read() {
        for text in ["imap tls 993", "pop3 starttls 110", "smtp tls 465"] {
            assert_eq!(text.parse::<Listening>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "imap clear 143",
            "imap 993",
            "imap tls 0",
            "mx tls 25",
            "imap tls 65536",
        ] {
            assert!(text.parse::<Listening>().is_err(), "{text}");
        }
    }

    #[test]
    fn no_program_is_sent_to_a_legacy_host() {
        for name in [
            "imap-legacy.rp.test",
            "OLD.rp.test.",
            "old.rp.test",
            "",
            "a b.test",
            "a..b",
        ] {
            assert_eq!(HostName::new(name, &["old.rp.test"]), None, "{name}");
        }
        let hosts = Hosts {
            imap: "imap-legacy.rp.test",
            pop3: "old.rp.test",
            smtp: "smtp.rp.test",
        };
        let listening: Vec<Listening> = ["imap tls 993", "pop3 tls 995", "smtp tls 465"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        let servers = Servers::new(&listening, &hosts, &["old.rp.test"]);
        assert_eq!(servers.all().len(), 1);
        assert_eq!(servers.best(Protocol::Imap), None);
    }

    proptest! {
        #[test]
        fn whatever_is_a_host_name_needs_no_escaping(name in ".{0,80}") {
            if let Some(host) = HostName::new(&name, &[]) {
                prop_assert!(host.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b)));
                prop_assert!(!host.as_str().starts_with('.') && !host.as_str().ends_with('.'));
            }
        }
    }
}
