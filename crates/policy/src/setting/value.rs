//! Values and their text: what is typed, stored and shown is one form, and reading it gives the value
//! again. Pure.

use super::{Name, staged};
use crate::measure::Schedule;
use crate::model::{
    DaneMode, Delay, DestinationRule, InboundTls, Language, LegacyAccess, LowestTls,
    OutboundDemand, OutboundTls, Pool, Scope, TlsLevel,
};
use crate::relay_source::RelaySource;
use crate::spoofed::SpoofedDemand;
use directory::DomainName;
use formats::header_edit::{ACTIONS_MAX, Action};
use platform::net::Network;
use platform::tls::TlsVersion;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// Longest text of a value, in bytes.
const VALUE_BYTES_MAX: usize = 64 * 1024;
/// Addresses of one pool.
const POOL_ADDRESSES_MAX: usize = 256;
/// Names or fingerprints of one rule.
const LIST_MAX: usize = 100;
/// Longest delay, in seconds: a week.
const DELAY_SECONDS_MAX: u64 = 7 * 24 * 3600;
/// Hold-back times that may be chosen, in seconds.
const HOLD_BACK_SECONDS: [u32; 5] = [0, 5, 10, 20, 30];

/// A value of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Of `sender-ownership` and `cleartext`.
    Schedule(Schedule),
    /// Of `tls-version`.
    LowestTls(LowestTls),
    /// Of `legacy-access`.
    Legacy(LegacyAccess),
    /// Of `outbound-tls`.
    OutboundTls(OutboundDemand),
    /// Of `inbound-tls`; `None` is off.
    InboundTls(Option<InboundTls>),
    /// Of `spoofed-sender`.
    Spoofed(SpoofedDemand),
    /// Of `trusted-sealers`.
    Domains(Vec<DomainName>),
    /// Of `trusted-relays`.
    Networks(Vec<Network>),
    /// Of `relay-source`; its name is not part of the text.
    RelaySource(RelaySource),
    /// Of `dane`.
    Dane(DaneMode),
    /// A name, a URL, a time zone.
    Word(String),
    /// A number.
    Number(u32),
    /// A limit; `None` is no limit.
    Limit(Option<u32>),
    /// Of `priority`.
    Priority(i8),
    /// Of `delay`.
    Delay(Delay),
    /// Of `language`.
    Language(Language),
    /// On or off.
    Switch(Switch),
    /// Of `headers-inbound` and `headers-outbound`.
    Actions(Vec<Action>),
    /// Of `destination`; its origin and end are not part of the text.
    Destination(Box<DestinationRule>),
    /// Of `pool-addresses`; its name is not part of the text.
    Pool(Pool),
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

impl Value {
    /// Reads a value of `name`.
    ///
    /// # Errors
    /// A sentence that says what can be given.
    pub fn parse(name: Name, text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.len() > VALUE_BYTES_MAX || text.contains('\0') {
            return Err(format!("the value of {name} is too long or holds a NUL"));
        }
        let read = match name {
            Name::SenderOwnership | Name::Cleartext => {
                return staged::schedule(name, text).map(Self::Schedule);
            }
            Name::TlsVersion => return staged::lowest_tls(text).map(Self::LowestTls),
            Name::LegacyAccess => return staged::legacy(text).map(Self::Legacy),
            Name::OutboundTls => return staged::outbound_tls(text).map(Self::OutboundTls),
            Name::InboundTls => return staged::inbound_tls(text).map(Self::InboundTls),
            Name::SpoofedSender => return staged::spoofed(text).map(Self::Spoofed),
            Name::TrustedSealers => return list(name, text, DomainName::parse).map(Self::Domains),
            Name::TrustedRelays => return list(name, text, Network::from_str).map(Self::Networks),
            Name::RelaySource => return RelaySource::parse(text).map(Self::RelaySource),
            Name::Dane => dane(text).map(Self::Dane),
            Name::Pool => pool_name(text).map(Self::Word),
            Name::Weight => number(text, 1, 1000).map(Self::Number),
            Name::Priority => text
                .parse()
                .ok()
                .filter(|n| (-9..=9).contains(n))
                .map(Self::Priority),
            Name::Delay => delay(text).map(Self::Delay),
            Name::HoldBack => number(text, 0, 30)
                .filter(|n| HOLD_BACK_SECONDS.contains(n))
                .map(Self::Number),
            Name::StripOrigin | Name::StripMailProgram => switch(text).map(Self::Switch),
            Name::HeadersOutbound | Name::HeadersInbound => return actions(text),
            Name::Language => match text {
                "de" => Some(Self::Language(Language::German)),
                "en" => Some(Self::Language(Language::English)),
                _ => None,
            },
            Name::HelpUrl => help_url(text).map(Self::Word),
            Name::TimeZone => crate::local_time::zone(text).map(|_| Self::Word(text.to_owned())),
            Name::Destination => return destination(text).map(|r| Self::Destination(Box::new(r))),
            Name::PoolAddresses => return pool(text).map(Self::Pool),
            _ if text == "none" => Some(Self::Limit(None)),
            _ => number(text, 0, 1_000_000_000).map(|n| Self::Limit(Some(n))),
        };
        read.ok_or_else(|| {
            format!(
                "\"{text}\" is no value of {name}; give {}",
                name.described().syntax
            )
        })
    }
}

impl Value {
    /// The stages of a measure's value; `None` where it has none.
    pub fn schedule(&self) -> Option<&Schedule> {
        match self {
            Self::Schedule(schedule) => Some(schedule),
            Self::LowestTls(lowest) => Some(&lowest.schedule),
            Self::OutboundTls(demand) if demand.level > OutboundTls::Off => Some(&demand.schedule),
            Self::InboundTls(Some(demand)) => Some(&demand.schedule),
            Self::Spoofed(demand) => Some(&demand.schedule),
            _ => None,
        }
    }

    /// The same with other stages; `None` where it has none.
    #[must_use]
    pub fn with_schedule(&self, change: impl FnOnce(Schedule) -> Schedule) -> Option<Self> {
        let changed = change(self.schedule()?.clone());
        let mut value = self.clone();
        match &mut value {
            Self::Schedule(schedule) => *schedule = changed,
            Self::LowestTls(lowest) => lowest.schedule = changed,
            Self::OutboundTls(demand) => demand.schedule = changed,
            Self::InboundTls(Some(demand)) => demand.schedule = changed,
            Self::Spoofed(demand) => demand.schedule = changed,
            _ => return None,
        }
        Some(value)
    }
}

/// Words between spaces and commas, at most `LIST_MAX`, each once.
fn list<T: PartialEq, E: fmt::Display>(
    name: Name,
    text: &str,
    read: impl Fn(&str) -> Result<T, E>,
) -> Result<Vec<T>, String> {
    let mut found = Vec::new();
    for word in text.split([' ', ',', '\n', '\t']) {
        if word.is_empty() {
            continue;
        }
        let one = read(word).map_err(|why| format!("\"{word}\" in {name}: {why}"))?;
        if !found.contains(&one) {
            found.push(one);
        }
    }
    match found.len() {
        0 => Err(format!(
            "{name} names at least one; give {}",
            name.described().syntax
        )),
        1..=LIST_MAX => Ok(found),
        _ => Err(format!("{name} names at most {LIST_MAX}")),
    }
}

fn show_list<T: fmt::Display>(list: &[T], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (n, one) in list.iter().enumerate() {
        write!(f, "{}{one}", if n > 0 { " " } else { "" })?;
    }
    Ok(())
}

fn number(text: &str, least: u32, most: u32) -> Option<u32> {
    text.parse().ok().filter(|n| (least..=most).contains(n))
}

fn dane(text: &str) -> Option<DaneMode> {
    [DaneMode::Enforce, DaneMode::Audit, DaneMode::Off]
        .into_iter()
        .find(|mode| mode.word() == text)
}

fn switch(text: &str) -> Option<Switch> {
    match text {
        "on" => Some(Switch::On),
        "off" => Some(Switch::Off),
        _ => None,
    }
}

/// A name of a pool: a word of letters, digits, hyphens, dots and underscores.
pub(crate) fn pool_name(text: &str) -> Option<String> {
    let fits = (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    fits.then(|| text.to_owned())
}

fn delay(text: &str) -> Option<Delay> {
    if text == "none" {
        return Some(Delay::None);
    }
    if let Some((from, to)) = text.split_once('-') {
        let (from_minute, to_minute) = (minute(from)?, minute(to)?);
        return (from_minute != to_minute).then_some(Delay::Window {
            from_minute,
            to_minute,
        });
    }
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    let seconds = digits.parse::<u64>().ok()?.checked_mul(seconds)?;
    (1..=DELAY_SECONDS_MAX)
        .contains(&seconds)
        .then(|| Delay::For(Duration::from_secs(seconds)))
}

fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let two = |digits: &str, max: u16| {
        let fits = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| digits.parse::<u16>().ok())
            .flatten()
            .filter(|n| *n <= max)
    };
    Some(two(hour, 23)? * 60 + two(minute, 59)?)
}

fn actions(text: &str) -> Result<Value, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let actions = lines
        .map(|line| {
            line.parse::<Action>()
                .map_err(|error| format!("\"{line}\" is no action on a header: {error}"))
        })
        .collect::<Result<Vec<_>, _>>()?;
    if actions.len() > ACTIONS_MAX {
        return Err(format!("there may be at most {ACTIONS_MAX} actions"));
    }
    Ok(Value::Actions(actions))
}

fn help_url(text: &str) -> Option<String> {
    let fits = text.len() <= 100
        && (text.starts_with("https://") || text.starts_with("http://"))
        && text.ends_with('/')
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && b != b'<' && b != b'>');
    fits.then(|| text.to_owned())
}

fn destination(text: &str) -> Result<DestinationRule, String> {
    let mut words = text.split_whitespace();
    let level = words.next().unwrap_or_default();
    let level = TlsLevel::ALL
        .into_iter()
        .find(|known| known.word() == level)
        .ok_or_else(|| {
            format!(
                "\"{level}\" is no level; give one of may, encrypt, dane, dane-only, verify, secure, \
                 fingerprint"
            )
        })?;
    let mut rule = DestinationRule {
        level,
        version_min: TlsVersion::V1_2,
        names: Vec::new(),
        fingerprints: Vec::new(),
        next_hop: None,
        exception: false,
        by_rule: false,
        expires_at: None,
        origin: Arc::new(Scope::Installation),
    };
    for word in words {
        match word.split_once('=') {
            Some(("version", "1.2")) => rule.version_min = TlsVersion::V1_2,
            Some(("version", "1.3")) => rule.version_min = TlsVersion::V1_3,
            Some(("names", list)) => rule.names = each(list, host_name)?,
            Some(("fingerprints", list)) => rule.fingerprints = each(list, fingerprint)?,
            Some(("next-hop", hop)) => rule.next_hop = Some(next_hop(hop)?),
            None if word == "exception" => rule.exception = true,
            _ => {
                return Err(format!(
                    "\"{word}\" is not part of a destination; give {}",
                    Name::Destination.described().syntax
                ));
            }
        }
    }
    if level == TlsLevel::Fingerprint && rule.fingerprints.is_empty() {
        return Err(
            "the level fingerprint needs fingerprints=SHA256 of the certificates".to_owned(),
        );
    }
    Ok(rule)
}

fn each<T>(list: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    let parts: Vec<_> = list.split(',').filter(|part| !part.is_empty()).collect();
    if parts.len() > LIST_MAX {
        return Err(format!("a list may have at most {LIST_MAX} entries"));
    }
    parts.into_iter().map(read).collect()
}

/// A host name, or `.parent` for every host below.
fn host_name(text: &str) -> Result<String, String> {
    let (dot, name) = match text.strip_prefix('.') {
        Some(name) => (".", name),
        None => ("", text),
    };
    let name = DomainName::parse(name).map_err(|error| error.to_string())?;
    Ok(format!("{dot}{name}"))
}

fn fingerprint(text: &str) -> Result<[u8; 32], String> {
    let wrong = || {
        format!(
            "\"{text}\" is no fingerprint; give the SHA-256 of the certificate as 64 hex digits"
        )
    };
    let digits: Vec<u8> = text.bytes().filter(|b| *b != b':').collect();
    if digits.len() != 64 {
        return Err(wrong());
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
    }
    Ok(bytes)
}

/// `host`, `[host]`, `[192.0.2.1]`, `[2001:db8::1]`, each with an optional `:port`.
fn next_hop(text: &str) -> Result<String, String> {
    let wrong = || {
        format!(
            "\"{text}\" is no next hop; examples are relay.firma.example, [mx.firma.example]:2525, \
             [192.0.2.1]"
        )
    };
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or_else(wrong)?;
            (
                host,
                after
                    .strip_prefix(':')
                    .or(after.is_empty().then_some(""))
                    .ok_or_else(wrong)?,
            )
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    if !port.is_empty() && number(port, 1, 65535).is_none() {
        return Err(wrong());
    }
    let literal = text.starts_with('[') && host.parse::<IpAddr>().is_ok();
    if !literal && DomainName::parse(host).is_err() {
        return Err(wrong());
    }
    Ok(text.to_ascii_lowercase())
}

fn pool(text: &str) -> Result<Pool, String> {
    let mut pool = Pool::default();
    for word in text
        .split([' ', ',', '\n', '\t'])
        .filter(|word| !word.is_empty())
    {
        if let Some(name) = word.strip_prefix("hello=") {
            let name = DomainName::parse(name).map_err(|error| error.to_string())?;
            pool.hello = Some(name.to_string());
            continue;
        }
        match word.parse() {
            Ok(IpAddr::V4(address)) => pool.v4.push(address),
            Ok(IpAddr::V6(address)) => pool.v6.push(address),
            Err(_) => {
                return Err(format!(
                    "\"{word}\" is no IP address; give {}",
                    Name::PoolAddresses.described().syntax
                ));
            }
        }
    }
    if pool.v4.len() + pool.v6.len() > POOL_ADDRESSES_MAX {
        return Err(format!(
            "a pool may have at most {POOL_ADDRESSES_MAX} addresses"
        ));
    }
    Ok(pool)
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Schedule(schedule) => schedule.fmt(f),
            Self::LowestTls(lowest) => staged::show_lowest_tls(lowest, f),
            Self::Legacy(access) => staged::show_legacy(access, f),
            Self::OutboundTls(demand) => staged::show_outbound_tls(demand, f),
            Self::InboundTls(demand) => staged::show_inbound_tls(demand.as_ref(), f),
            Self::Spoofed(demand) => staged::show_spoofed(demand, f),
            Self::Domains(domains) => show_list(domains, f),
            Self::Networks(networks) => show_list(networks, f),
            Self::RelaySource(source) => source.fmt(f),
            Self::Dane(mode) => f.write_str(mode.word()),
            Self::Word(word) => f.write_str(word),
            Self::Number(n) | Self::Limit(Some(n)) => n.fmt(f),
            Self::Limit(None) => f.write_str("none"),
            Self::Priority(n) => n.fmt(f),
            Self::Delay(delay) => delay.fmt(f),
            Self::Language(Language::German) => f.write_str("de"),
            Self::Language(Language::English) => f.write_str("en"),
            Self::Switch(Switch::On) => f.write_str("on"),
            Self::Switch(Switch::Off) => f.write_str("off"),
            Self::Actions(actions) => {
                for (n, action) in actions.iter().enumerate() {
                    write!(f, "{}{action}", if n > 0 { "\n" } else { "" })?;
                }
                Ok(())
            }
            Self::Destination(rule) => show_destination(rule, f),
            Self::Pool(pool) => show_pool(pool, f),
        }
    }
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::For(wait) => {
                let seconds = wait.as_secs();
                match () {
                    () if seconds.is_multiple_of(3600) => write!(f, "{}h", seconds / 3600),
                    () if seconds.is_multiple_of(60) => write!(f, "{}m", seconds / 60),
                    () => write!(f, "{seconds}s"),
                }
            }
            Self::Window {
                from_minute: from,
                to_minute: to,
            } => write!(
                f,
                "{:02}:{:02}-{:02}:{:02}",
                from / 60,
                from % 60,
                to / 60,
                to % 60
            ),
        }
    }
}

fn show_destination(rule: &DestinationRule, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(rule.level.word())?;
    if rule.version_min == TlsVersion::V1_3 {
        f.write_str(" version=1.3")?;
    }
    if !rule.names.is_empty() {
        write!(f, " names={}", rule.names.join(","))?;
    }
    for (n, print) in rule.fingerprints.iter().enumerate() {
        f.write_str(if n == 0 { " fingerprints=" } else { "," })?;
        print.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
    }
    if let Some(hop) = &rule.next_hop {
        write!(f, " next-hop={hop}")?;
    }
    if rule.exception {
        f.write_str(" exception")?;
    }
    Ok(())
}

fn show_pool(pool: &Pool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let addresses = pool.v4.iter().map(ToString::to_string);
    let addresses = addresses.chain(pool.v6.iter().map(ToString::to_string));
    let mut words: Vec<String> = addresses.collect();
    words.extend(pool.hello.as_ref().map(|name| format!("hello={name}")));
    f.write_str(&words.join(" "))
}

impl DaneMode {
    /// The word on the command line, in files and in logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Audit => "audit",
            Self::Off => "off",
        }
    }
}

impl TlsLevel {
    /// Every level.
    pub const ALL: [Self; 7] = [
        Self::May,
        Self::Encrypt,
        Self::Dane,
        Self::DaneOnly,
        Self::Verify,
        Self::Secure,
        Self::Fingerprint,
    ];

    /// The word on the command line, in files and in logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::May => "may",
            Self::Encrypt => "encrypt",
            Self::Dane => "dane",
            Self::DaneOnly => "dane-only",
            Self::Verify => "verify",
            Self::Secure => "secure",
            Self::Fingerprint => "fingerprint",
        }
    }
}
