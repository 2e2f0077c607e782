//! The frames as values. Plain data; `wire` writes and reads them.

use std::fmt;
use std::net::SocketAddr;

/// What a client wants to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// SMTP for customers (RFC 6409). There is no MX on the gateway.
    Submission,
    /// IMAP.
    Imap,
    /// POP3.
    Pop3,
}

/// When TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// With the first byte.
    ImplicitTls,
    /// With a command, or never.
    StartTls,
}

/// A listener of the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Door {
    /// What is spoken.
    pub protocol: Protocol,
    /// When TLS begins.
    pub mode: Mode,
    /// Where it listens; of a connection, the address the client came to.
    pub local: SocketAddr,
}

/// A client that waits for its first answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Where it came in.
    pub door: Door,
    /// Its address.
    pub peer: SocketAddr,
}

/// A TLS version the gateway speaks. Nothing older and nothing newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// TLS 1.0, RFC 2246.
    Tls10,
    /// TLS 1.1, RFC 4346.
    Tls11,
    /// TLS 1.2, RFC 5246.
    Tls12,
}

impl Version {
    /// All of them, oldest first.
    pub const ALL: [Self; 3] = [Self::Tls10, Self::Tls11, Self::Tls12];

    /// As settings and orders write it: `1.0`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Tls10 => "1.0",
            Self::Tls11 => "1.1",
            Self::Tls12 => "1.2",
        }
    }

    /// The version with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.word() == word)
    }

    fn bit(self) -> u8 {
        match self {
            Self::Tls10 => 1,
            Self::Tls11 => 2,
            Self::Tls12 => 4,
        }
    }
}

/// Some TLS versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct VersionSet(u8);

impl VersionSet {
    /// None.
    pub const NONE: Self = Self(0);
    /// All.
    pub const ALL: Self = Self(7);

    /// Those whose bits are set; other bits are ignored.
    pub fn from_bits(bits: u8) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// One bit per version, the oldest lowest.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// Whether `version` is among them.
    pub fn has(self, version: Version) -> bool {
        self.0 & version.bit() != 0
    }

    /// With `version`.
    #[must_use]
    pub fn with(self, version: Version) -> Self {
        Self(self.0 | version.bit())
    }

    /// Without those of `others`.
    #[must_use]
    pub fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Those in both.
    #[must_use]
    pub fn and(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Oldest first.
    pub fn iter(self) -> impl Iterator<Item = Version> {
        Version::ALL.into_iter().filter(move |one| self.has(*one))
    }

    /// From `1.0,1.1`; `None` where a word is no version or one stands twice.
    pub fn parse(text: &str) -> Option<Self> {
        text.split(',').try_fold(Self::NONE, |set, word| {
            let version = Version::from_word(word.trim())?;
            (!set.has(version)).then(|| set.with(version))
        })
    }
}

impl fmt::Display for VersionSet {
    /// `1.0,1.1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, version) in self.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(f, "{comma}{}", version.word())?;
        }
        Ok(())
    }
}

impl FromIterator<Version> for VersionSet {
    fn from_iter<I: IntoIterator<Item = Version>>(versions: I) -> Self {
        versions.into_iter().fold(Self::NONE, Self::with)
    }
}

/// What clients may use now. The core says so; the gateway ends sessions that use anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// TLS versions.
    pub versions: VersionSet,
    /// Whether a session may go on in clear. STARTTLS is offered either way.
    pub cleartext: Cleartext,
}

/// Whether sessions in clear are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleartext {
    /// They may log in.
    Served,
    /// Only STARTTLS and leaving.
    Refused,
}

/// A TLS session that began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Started<'a> {
    /// What was agreed on.
    pub version: Version,
    /// The suite's name as IANA has it.
    pub cipher: &'a str,
    /// The host name the client asked for.
    pub server_name: Option<&'a str>,
    /// The client's first bytes: its ClientHello with record headers.
    pub hello: &'a [u8],
}

/// Sessions open now, by how they are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sessions {
    /// In clear.
    pub clear: u32,
    /// TLS 1.0.
    pub tls10: u32,
    /// TLS 1.1.
    pub tls11: u32,
    /// TLS 1.2.
    pub tls12: u32,
}

/// How the gateway is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// What it knows to be allowed: the last order it has carried out.
    pub allowed: Allowed,
    /// Open sessions.
    pub sessions: Sessions,
    /// Its listeners, at most `LISTENERS_MAX`.
    pub doors: Vec<Door>,
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Gateway, first: this connection is for status and orders.
    Control {
        /// `LINK_VERSION` of the gateway.
        link_version: u16,
        /// The TLS library, as it names itself.
        library: &'a str,
    },
    /// Gateway, first: this connection is a client's.
    Client(Waiting),
    /// Core, first on a connection that it made itself: do the handshake with this client, which has sent these
    /// bytes already.
    TakeOver(&'a [u8]),
    /// Bytes from or for the client.
    Data(&'a [u8]),
    /// Core: send these last bytes in clear, then do the handshake.
    StartTls(&'a [u8]),
    /// Gateway: the handshake is done.
    TlsStarted(Started<'a>),
    /// Gateway: the handshake failed; the client was told.
    TlsFailed {
        /// Why, for the log.
        reason: &'a str,
        /// What the client sent first.
        hello: &'a [u8],
    },
    /// Core: say goodbye to the client in its TLS session and close.
    End,
    /// Core: what clients may use from now on.
    Allowed(Allowed),
    /// Core: two descriptors come with this frame, a client's socket and the connection for it.
    HandOver,
    /// Gateway: how it is.
    Status(Status),
}
