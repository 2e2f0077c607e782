//! What a rule does, as data. Each action says at which points it can be carried out; `smtp`, `queue` and
//! `routing` carry them out. Read from JSON and TOML and checked there, so that no later step can fail.

use super::fact::Fact;
use super::rule::{Point, shown};
use crate::model::{Delay, TlsLevel};
use crate::setting::{Name, Value};
use directory::sasl::Mechanism;
use formats::header_edit;
use platform::tls::TlsVersion;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// Longest text for a peer, in bytes.
pub const TEXT_BYTES_MAX: usize = 1_000;
/// Longest window of a rate: a day.
const RATE_SECONDS_MAX: u64 = 24 * 3600;

/// One thing a rule does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Action {
    /// No later rule is asked at this point. Does not lift what is no rule: nobody relays by it.
    Accept,
    /// Refuses for good, with exactly this text.
    Reject {
        /// What the peer is told.
        #[serde(default, skip_serializing_if = "Text::is_empty")]
        text: Text,
        /// The enhanced code without its class, such as `7.10`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<StatusCode>,
    },
    /// Refuses for now, with exactly this text.
    Defer {
        /// What the peer is told.
        #[serde(default, skip_serializing_if = "Text::is_empty")]
        text: Text,
        /// The enhanced code without its class, such as `7.1`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<StatusCode>,
    },
    /// Local copies go to the folder Junk.
    Junk,
    /// TLS is demanded: of the peer where mail comes in, of the other server where it leaves.
    RequireTls {
        /// The lowest version that will do.
        #[serde(default)]
        lowest: Lowest,
        /// What the other server must prove; only where mail leaves.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        level: Option<Level>,
        /// What a peer without it is told; the built-in text where there is none.
        #[serde(default, skip_serializing_if = "Text::is_empty")]
        text: Text,
    },
    /// Only these ways of logging in are offered, of those the node has; none at all for an empty list. The last
    /// rule that says something about it decides.
    AuthMechanisms {
        /// Their names.
        only: Vec<MechanismName>,
    },
    /// These extensions are not offered and not taken.
    ExtensionsOff {
        /// Their keywords.
        names: Vec<Extension>,
    },
    /// Changes the header: `remove first X-Originating-IP`, `add X-Checked: yes` and the like.
    Header {
        /// The change.
        action: HeaderAction,
    },
    /// The message travels as one of this customer group.
    Group {
        /// The group.
        name: String,
    },
    /// The message leaves from this pool of source addresses.
    Pool {
        /// The pool.
        name: String,
    },
    /// The message leaves from one of these addresses.
    Source {
        /// IPv4 and IPv6.
        addresses: Vec<IpAddr>,
    },
    /// Whose turn it is among waiting mail, -9 to 9.
    Priority {
        /// The higher first.
        value: i8,
    },
    /// The message leaves later.
    Delay {
        /// So long after it was accepted, or only between two times of the day.
        by: DelayBy,
    },
    /// One more recipient gets the message.
    Copy {
        /// Who.
        to: String,
    },
    /// At most so many in a window; what is beyond is refused for now.
    Rate {
        /// Of what each value is counted by itself; nothing: all together.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        by: Vec<Fact>,
        /// How many.
        count: u32,
        /// In which time.
        per: Window,
        /// What the peer is told beyond it.
        #[serde(default, skip_serializing_if = "Text::is_empty")]
        text: Text,
    },
    /// Later rules see this word as a tag, at this point and at later ones.
    Tag {
        /// The word.
        word: String,
    },
}

impl Action {
    /// The word after `do`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Reject { .. } => "reject",
            Self::Defer { .. } => "defer",
            Self::Junk => "junk",
            Self::RequireTls { .. } => "require-tls",
            Self::AuthMechanisms { .. } => "auth-mechanisms",
            Self::ExtensionsOff { .. } => "extensions-off",
            Self::Header { .. } => "header",
            Self::Group { .. } => "group",
            Self::Pool { .. } => "pool",
            Self::Source { .. } => "source",
            Self::Priority { .. } => "priority",
            Self::Delay { .. } => "delay",
            Self::Copy { .. } => "copy",
            Self::Rate { .. } => "rate",
            Self::Tag { .. } => "tag",
        }
    }

    /// Whether no later rule is asked at the same point.
    pub fn is_terminal(&self) -> bool {
        matches!(
            self,
            Self::Accept | Self::Reject { .. } | Self::Defer { .. }
        )
    }

    /// Whether somebody may no longer get through because of it.
    pub fn can_break(&self) -> bool {
        matches!(
            self,
            Self::Reject { .. }
                | Self::Defer { .. }
                | Self::RequireTls { .. }
                | Self::Rate { .. }
                | Self::AuthMechanisms { .. }
                | Self::ExtensionsOff { .. }
        )
    }

    /// Where it can be carried out.
    pub fn points(&self) -> &'static [Point] {
        use Point::{Auth, Connect, Data, Deliver, Hello, Mail, Rcpt, Route};
        match self {
            Self::Accept | Self::Tag { .. } => &Point::ALL,
            Self::Reject { .. } | Self::Defer { .. } => &[Connect, Hello, Auth, Mail, Rcpt, Data],
            Self::Rate { .. } => &[Connect, Hello, Auth, Mail, Rcpt, Data],
            Self::Junk => &[Data, Route],
            Self::RequireTls { .. } => &[Auth, Mail, Rcpt, Deliver],
            Self::AuthMechanisms { .. } | Self::ExtensionsOff { .. } => &[Connect, Hello],
            Self::Header { .. } => &[Data],
            Self::Group { .. } | Self::Priority { .. } | Self::Delay { .. } | Self::Copy { .. } => {
                &[Data, Route]
            }
            Self::Pool { .. } | Self::Source { .. } => &[Deliver],
        }
    }

    /// Why its values make no sense.
    pub(super) fn check(&self) -> Result<(), String> {
        let word = |text: &str, what: &str| {
            let fits = (1..=100).contains(&text.len())
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
            fits.then_some(())
                .ok_or_else(|| format!("\"{}\" is no {what}", shown(text)))
        };
        match self {
            Self::Group { name } => word(name, "name of a group"),
            Self::Pool { name } => word(name, "name of a pool"),
            Self::Tag { word: tag } => word(tag, "tag"),
            Self::Priority { value } if !(-9..=9).contains(value) => {
                Err("a priority is -9 to 9".to_owned())
            }
            Self::Source { addresses } if addresses.is_empty() || addresses.len() > 64 => {
                Err("source needs 1 to 64 addresses".to_owned())
            }
            Self::Rate { count: 0, .. } => Err("a rate lets at least 1 through".to_owned()),
            Self::Rate { by, .. } if by.len() > 4 => {
                Err("a rate is counted by at most 4 facts".to_owned())
            }
            Self::Copy { to } => formats::address::Address::parse(to)
                .map(drop)
                .map_err(|error| format!("\"{}\" is no address: {error}", shown(to))),
            Self::RequireTls {
                level: Some(Level(TlsLevel::May)),
                ..
            } => Err(
                "require-tls with level may would demand nothing, and lift what the other side \
                 publishes; give encrypt, dane, dane-only, verify or secure"
                    .to_owned(),
            ),
            Self::ExtensionsOff { names } if names.is_empty() => {
                Err("extensions-off needs names of extensions".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// A text for a peer: printable ASCII in one or more lines, as replies carry nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Text(Box<str>);

impl Text {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<String> for Text {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(format!("a text has at most {TEXT_BYTES_MAX} bytes"));
        }
        // RFC 5321 §4.2: textstring. Umlauts would reach the reader as question marks.
        let fits = text.chars().all(|c| c == '\n' || (' '..='~').contains(&c));
        fits.then(|| Self(text.trim().into()))
            .ok_or_else(|| "a reply of SMTP holds ASCII only: write ae, oe, ue".to_owned())
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.0.into()
    }
}

macro_rules! written {
    ($(#[$doc:meta])* $name:ident($inner:ty), $read:expr, $show:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(pub $inner);

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                let read: fn(&str) -> Result<$inner, String> = $read;
                read(&text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let show: fn(&$inner) -> String = $show;
                f.write_str(&show(&self.0))
            }
        }

        impl From<$name> for String {
            fn from(written: $name) -> Self {
                written.to_string()
            }
        }
    };
}

written! {
    /// The enhanced code of a refusal without its class (RFC 3463 §2): subject and detail.
    StatusCode((u8, u16)),
    |text| {
        // The class follows from the action; who writes it all the same means the same.
        let short = text.strip_prefix("5.").or_else(|| text.strip_prefix("4.")).filter(|rest| rest.contains('.'));
        let parts = short.unwrap_or(text).split_once('.');
        let read = parts.and_then(|(subject, detail)| {
            let subject = subject.parse::<u8>().ok().filter(|s| *s <= 7)?;
            let detail = detail.parse::<u16>().ok().filter(|d| *d <= 999)?;
            Some((subject, detail))
        });
        read.ok_or_else(|| format!("\"{}\" is no enhanced code; an example is 7.10", shown(text)))
    },
    |(subject, detail)| format!("{subject}.{detail}")
}

written! {
    /// The lowest TLS version.
    Lowest(TlsVersion),
    |text| match text {
        "1.2" => Ok(TlsVersion::V1_2),
        "1.3" => Ok(TlsVersion::V1_3),
        _ => Err(format!("\"{}\" is not 1.2 or 1.3", shown(text))),
    },
    |version| version.as_str().trim_start_matches("TLSv").to_owned()
}

impl Default for Lowest {
    fn default() -> Self {
        Self(TlsVersion::V1_2)
    }
}

written! {
    /// What another server must prove.
    Level(TlsLevel),
    |text| {
        let known = TlsLevel::ALL.into_iter().find(|level| level.word() == text);
        known
            .filter(|level| !matches!(level, TlsLevel::Fingerprint))
            .ok_or_else(|| format!(
                "\"{}\" is no level; give one of encrypt, dane, dane-only, verify, secure",
                shown(text)
            ))
    },
    |level| level.word().to_owned()
}

written! {
    /// A way of logging in.
    MechanismName(Mechanism),
    |text| Mechanism::parse(text).ok_or_else(|| format!(
        "\"{}\" is no way of logging in; give PLAIN, LOGIN, SCRAM-SHA-256 or SCRAM-SHA-256-PLUS",
        shown(text)
    )),
    |mechanism| mechanism.name().to_owned()
}

written! {
    /// A change of the header.
    HeaderAction(header_edit::Action),
    |text| text.parse().map_err(|error| format!("\"{}\": {error}", shown(text))),
    ToString::to_string
}

written! {
    /// How mail is delayed.
    DelayBy(Delay),
    |text| match Value::parse(Name::Delay, text) {
        Ok(Value::Delay(delay)) => Ok(delay),
        _ => Err(format!("\"{}\" is no delay; give 90s, 10m, 2h or 20:00-22:00", shown(text))),
    },
    ToString::to_string
}

written! {
    /// The window of a rate.
    Window(Duration),
    |text| {
        let wrong = || format!("\"{}\" is no time; give 90s, 10m, 2h or 1d", shown(text));
        let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
        let unit = match unit { "s" => 1, "m" => 60, "h" => 3600, "d" => 24 * 3600, _ => return Err(wrong()) };
        let seconds = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(unit));
        seconds
            .filter(|s| (1..=RATE_SECONDS_MAX).contains(s))
            .map(Duration::from_secs)
            .ok_or_else(wrong)
    },
    |window| {
        let seconds = window.as_secs();
        match seconds {
            s if s % (24 * 3600) == 0 => format!("{}d", s / (24 * 3600)),
            s if s % 3600 == 0 => format!("{}h", s / 3600),
            s if s % 60 == 0 => format!("{}m", s / 60),
            s => format!("{s}s"),
        }
    }
}

/// An extension of SMTP that can be switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Extension {
    /// RFC 2920; only the announcement goes, whoever pipelines is understood.
    Pipelining,
    /// RFC 6152.
    EightBitMime,
    /// RFC 6531.
    SmtpUtf8,
    /// RFC 3461.
    Dsn,
    /// RFC 3030.
    Chunking,
    /// RFC 1870; only the announcement goes.
    Size,
    /// RFC 9422; only the announcement goes.
    Limits,
    /// RFC 3207.
    StartTls,
    /// RFC 8689.
    RequireTls,
    /// RFC 4865.
    FutureRelease,
    /// RFC 6710.
    MtPriority,
}

impl Extension {
    /// Every one.
    pub const ALL: [Self; 11] = [
        Self::Pipelining,
        Self::EightBitMime,
        Self::SmtpUtf8,
        Self::Dsn,
        Self::Chunking,
        Self::Size,
        Self::Limits,
        Self::StartTls,
        Self::RequireTls,
        Self::FutureRelease,
        Self::MtPriority,
    ];

    /// The keyword in EHLO.
    pub fn keyword(self) -> &'static str {
        match self {
            Self::Pipelining => "PIPELINING",
            Self::EightBitMime => "8BITMIME",
            Self::SmtpUtf8 => "SMTPUTF8",
            Self::Dsn => "DSN",
            Self::Chunking => "CHUNKING",
            Self::Size => "SIZE",
            Self::Limits => "LIMITS",
            Self::StartTls => "STARTTLS",
            Self::RequireTls => "REQUIRETLS",
            Self::FutureRelease => "FUTURERELEASE",
            Self::MtPriority => "MT-PRIORITY",
        }
    }
}

impl TryFrom<String> for Extension {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let known = Self::ALL.into_iter();
        let mut found = known.filter(|e| e.keyword().eq_ignore_ascii_case(&text));
        found.next().ok_or_else(|| {
            let words = Self::ALL.map(Self::keyword).join(", ");
            format!(
                "\"{}\" cannot be switched off; these can: {words}",
                shown(&text)
            )
        })
    }
}

impl From<Extension> for String {
    fn from(extension: Extension) -> Self {
        extension.keyword().to_owned()
    }
}

/// A set of extensions; none by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extensions(u16);

impl Extensions {
    /// Adds one.
    pub fn add(&mut self, extension: Extension) {
        self.0 |= 1 << (extension as u16);
    }

    /// Adds those of another set.
    pub fn add_all(&mut self, others: Self) {
        self.0 |= others.0;
    }

    /// Whether it is in.
    pub fn contains(self, extension: Extension) -> bool {
        self.0 & (1 << (extension as u16)) != 0
    }

    /// Whether the keyword of EHLO is in.
    pub fn contains_keyword(self, keyword: &str) -> bool {
        let mut known = Extension::ALL.into_iter();
        known.any(|e| e.keyword() == keyword && self.contains(e))
    }
}
