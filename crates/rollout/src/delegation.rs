//! A subdomain of a customer's domain for a tool that sends in its name past this provider (a newsletter service, a
//! shop): which records make its mail provably theirs, without a word in the records of the domain itself. `records`
//! is pure; `look` asks the DNS what is there already. Changes nothing.

mod look;
mod words;

pub use look::{Seen, look};

use crate::dmarc::record::Wish;
use directory::DomainName;
use formats::language::Language;
use std::net::IpAddr;

/// Longest key record that is taken over, in bytes; a 4096-bit RSA key has about 750.
const KEY_BYTES_MAX: usize = 2048;
/// Longest selector, in bytes (RFC 1035 §2.3.4: a label).
const SELECTOR_BYTES_MAX: usize = 63;
/// Senders of one tool; each costs lookups, of which SPF allows ten (RFC 7208 §4.6.4).
const SENDERS_MAX: usize = 8;
/// The label below the subdomain that bounces come back to.
pub const BOUNCE_LABEL: &str = "bounce";
/// The selector where none is given.
pub const SELECTOR_USUAL: &str = "tool1";

/// How the tool's key gets into the DNS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// An alias to a name of the tool, which may change the key behind it.
    Alias(DomainName),
    /// The record the tool shows, such as `v=DKIM1; k=rsa; p=…`.
    Record(String),
    /// The tool has not shown it yet.
    Later,
}

/// Where the tool sends from, for SPF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// Whatever this domain's SPF record says (`include:`).
    Include(DomainName),
    /// An address (`ip4:` or `ip6:`).
    Address(IpAddr),
}

impl From {
    /// As it is typed: a domain or an address.
    ///
    /// # Errors
    /// A sentence.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        let text = text.trim();
        let text = text.strip_prefix("include:").unwrap_or(text);
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        DomainName::parse(text).map(Self::Include).map_err(|_| {
            [
                format!("„{text}“ ist weder eine IP-Adresse noch die Domain eines SPF-Eintrags."),
                format!("\"{text}\" is neither an IP address nor the domain of an SPF record."),
            ]
        })
    }

    fn term(&self) -> String {
        match self {
            Self::Include(domain) => format!("include:{domain}"),
            Self::Address(IpAddr::V4(address)) => format!("ip4:{address}"),
            Self::Address(IpAddr::V6(address)) => format!("ip6:{address}"),
        }
    }
}

/// Where what cannot be delivered comes back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bounce {
    /// `bounce.` is an alias to a name of the tool, with its MX and SPF records.
    Alias(DomainName),
    /// `bounce.` has the tool's server as mail exchanger.
    Exchanger(DomainName),
    /// The tool uses a domain of its own, or has not said.
    Later,
}

/// A sentence for whoever typed something, in German and in English.
pub type Mistake = [String; 2];

/// What is delegated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegation {
    /// The hosted domain.
    pub domain: DomainName,
    /// The subdomain.
    pub name: DomainName,
    /// The selector of the tool's key.
    pub selector: String,
    /// Its key.
    pub key: Key,
    /// Where it sends from.
    pub from: Vec<From>,
    /// Where bounces go.
    pub bounce: Bounce,
}

/// What somebody typed, checked by `Delegation::new`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Typed<'a> {
    /// The subdomain, whole or only its first label.
    pub name: &'a str,
    /// The selector; empty: the usual one.
    pub selector: &'a str,
    /// The name the key's alias leads to; empty: none.
    pub key_alias: &'a str,
    /// The key's record; empty: none.
    pub key_record: &'a str,
    /// Domains and addresses, separated by spaces or commas; empty: not known.
    pub from: &'a str,
    /// The name the alias for bounces leads to; empty: none.
    pub bounce_alias: &'a str,
    /// The server for bounces; empty: none.
    pub bounce_exchanger: &'a str,
}

impl Delegation {
    /// Checks what was typed for a subdomain of `domain`.
    ///
    /// # Errors
    /// A sentence for whoever typed it.
    pub fn new(domain: &DomainName, typed: &Typed<'_>) -> Result<Self, Mistake> {
        Ok(Self {
            domain: domain.clone(),
            name: subdomain(domain, typed.name)?,
            selector: selector(typed.selector)?,
            key: key(typed)?,
            from: senders(typed.from)?,
            bounce: bounce(typed)?,
        })
    }
}

fn said(german: &str, english: &str) -> Mistake {
    [german.to_owned(), english.to_owned()]
}

fn subdomain(domain: &DomainName, text: &str) -> Result<DomainName, Mistake> {
    let text = text.trim().trim_end_matches('.');
    let whole = match text.contains('.') {
        true => text.to_owned(),
        false => format!("{text}.{domain}"),
    };
    let name = DomainName::parse(&whole).map_err(|_| {
        [
            format!("„{text}“ ist kein Name einer Subdomain."),
            format!("\"{text}\" is no name of a subdomain."),
        ]
    })?;
    let is_below = name
        .as_str()
        .strip_suffix(domain.as_str())
        .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'));
    // Names with an underscore are those of records, not of places.
    match is_below && !name.as_str().contains('_') {
        true => Ok(name),
        false => Err([
            format!("{name} ist keine Subdomain von {domain}."),
            format!("{name} is no subdomain of {domain}."),
        ]),
    }
}

fn selector(text: &str) -> Result<String, Mistake> {
    let text = text.trim();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    match text {
        "" => Ok(SELECTOR_USUAL.to_owned()),
        text if text.len() <= SELECTOR_BYTES_MAX && text.bytes().all(plain) => {
            Ok(text.to_ascii_lowercase())
        }
        _ => Err([
            format!(
                "„{text}“ ist kein Selektor: Buchstaben, Ziffern und Bindestriche, etwa tool1."
            ),
            format!("\"{text}\" is no selector: letters, digits and hyphens, such as tool1."),
        ]),
    }
}

fn host(text: &str) -> Result<DomainName, Mistake> {
    let text = text.trim().trim_end_matches('.');
    DomainName::parse(text).map_err(|_| {
        [
            format!("„{text}“ ist kein Hostname."),
            format!("\"{text}\" is no host name."),
        ]
    })
}

fn key(typed: &Typed<'_>) -> Result<Key, Mistake> {
    let record = typed.key_record.trim();
    match (typed.key_alias.trim(), record) {
        ("", "") => Ok(Key::Later),
        (alias, "") => host(alias).map(Key::Alias),
        ("", record) => {
            let plain = |b: u8| b == b' ' || b.is_ascii_graphic();
            let has_key = record.split(';').any(|tag| tag.trim().starts_with("p="));
            let fits = record.len() <= KEY_BYTES_MAX && record.bytes().all(plain);
            match has_key && fits && !record.contains(['"', '\\']) {
                true => Ok(Key::Record(record.to_owned())),
                false => Err(said(
                    "Der Schlüsseleintrag enthält p= mit dem öffentlichen Schlüssel, ohne Anführungszeichen.",
                    "The key record holds p= with the public key, without quotation marks.",
                )),
            }
        }
        _ => Err(said(
            "Geben Sie entweder den Alias oder den Text des Schlüssels an, nicht beides.",
            "Give either the alias or the record of the key, not both.",
        )),
    }
}

fn senders(text: &str) -> Result<Vec<From>, Mistake> {
    let words = text.split([' ', ',', '\n']).filter(|word| !word.is_empty());
    let from: Vec<From> = words.map(From::parse).collect::<Result<_, _>>()?;
    match from.len() > SENDERS_MAX {
        true => Err([
            format!(
                "Höchstens {SENDERS_MAX} Absender passen in einen SPF-Eintrag, der noch geprüft wird."
            ),
            format!(
                "At most {SENDERS_MAX} senders fit into an SPF record that is still looked at."
            ),
        ]),
        false => Ok(from),
    }
}

fn bounce(typed: &Typed<'_>) -> Result<Bounce, Mistake> {
    match (typed.bounce_alias.trim(), typed.bounce_exchanger.trim()) {
        ("", "") => Ok(Bounce::Later),
        (alias, "") => host(alias).map(Bounce::Alias),
        ("", exchanger) => host(exchanger).map(Bounce::Exchanger),
        _ => Err(said(
            "Geben Sie für Unzustellbares entweder einen Alias oder einen Server an, nicht beides.",
            "Give either an alias or a server for bounces, not both.",
        )),
    }
}

/// The type of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// A text.
    Txt,
    /// An alias.
    Cname,
    /// A mail exchanger.
    Mx,
}

impl Type {
    /// As a zone file writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Txt => "TXT",
            Self::Cname => "CNAME",
            Self::Mx => "MX",
        }
    }
}

/// What a record is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Who may send (SPF).
    Senders,
    /// The key of signatures (DKIM).
    Key,
    /// What receivers do with mail that proves nothing, and report (DMARC).
    Policy,
    /// That reports may be sent to another domain (RFC 9990 §4).
    Reports,
    /// Where bounces come back to.
    Bounces,
    /// Who may send with the bounce name (SPF).
    BounceSenders,
}

/// A record to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// What for.
    pub purpose: Purpose,
    /// Its name, without a final dot.
    pub name: String,
    /// Its type.
    pub kind: Type,
    /// What it holds, without quotation marks; `None`: the tool has to say it first.
    pub value: Option<String>,
}

impl Wanted {
    /// As a line of a zone file; a comment where the tool has to say something first.
    pub fn line(&self) -> String {
        let (name, kind) = (&self.name, self.kind.word());
        match (&self.value, self.kind) {
            (None, _) => format!("; {name}. IN {kind} (the tool shows it)"),
            (Some(value), Type::Txt) => {
                format!("{name}. IN TXT {}", crate::zone_change::quoted(value))
            }
            (Some(value), Type::Cname) => format!("{name}. IN CNAME {value}."),
            (Some(value), Type::Mx) => format!("{name}. IN MX {value}."),
        }
    }

    /// What it is for, in a sentence.
    pub fn why(&self, language: Language) -> &'static str {
        words::purpose(self.purpose, self.value.is_some(), language)
    }
}

/// Why mail that is sent past this provider is in danger, in a paragraph.
pub fn danger(language: Language) -> &'static str {
    words::danger(language)
}

/// What to keep in mind with the records, in a paragraph.
pub fn advice(language: Language) -> &'static str {
    words::advice(language)
}

/// What is known of the domain around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Around<'a> {
    /// What the domain's own record asks for its subdomains; `None`: it has none.
    pub wish: Option<Wish>,
    /// Where reports go.
    pub reports_address: &'a str,
}

/// The records for it.
pub fn records(delegation: &Delegation, around: &Around<'_>) -> Vec<Wanted> {
    let name = &delegation.name;
    let spf = spf(&delegation.from, &delegation.bounce);
    let mut records = vec![
        Wanted {
            purpose: Purpose::Senders,
            name: name.to_string(),
            kind: Type::Txt,
            value: spf.clone(),
        },
        key_record(delegation),
        Wanted {
            purpose: Purpose::Policy,
            name: format!("_dmarc.{name}"),
            kind: Type::Txt,
            value: Some(dmarc(around)),
        },
    ];
    records.extend(report_record(delegation, around));
    let bounce_name = format!("{BOUNCE_LABEL}.{name}");
    let bounces = |kind, value| Wanted {
        purpose: Purpose::Bounces,
        name: bounce_name.clone(),
        kind,
        value,
    };
    match &delegation.bounce {
        Bounce::Alias(host) => records.push(bounces(Type::Cname, Some(host.to_string()))),
        Bounce::Exchanger(host) => {
            records.push(bounces(Type::Mx, Some(format!("10 {host}"))));
            records.push(Wanted {
                purpose: Purpose::BounceSenders,
                name: bounce_name.clone(),
                kind: Type::Txt,
                value: spf,
            });
        }
        Bounce::Later => records.push(bounces(Type::Cname, None)),
    }
    records
}

/// Where bounces have a name with records of its own, nobody sends as the subdomain itself in the envelope.
fn spf(from: &[From], bounce: &Bounce) -> Option<String> {
    let terms: String = from
        .iter()
        .map(|from| format!(" {}", from.term()))
        .collect();
    match (from.is_empty(), bounce) {
        (true, Bounce::Exchanger(_) | Bounce::Later) => None,
        _ => Some(format!("v=spf1{terms} -all")),
    }
}

fn key_record(delegation: &Delegation) -> Wanted {
    let (kind, value) = match &delegation.key {
        Key::Alias(host) => (Type::Cname, Some(host.to_string())),
        Key::Record(text) => (Type::Txt, Some(text.clone())),
        Key::Later => (Type::Txt, None),
    };
    Wanted {
        purpose: Purpose::Key,
        name: format!("{}._domainkey.{}", delegation.selector, delegation.name),
        kind,
        value,
    }
}

/// No milder than the domain around it. The signature must name the subdomain itself, the envelope may name one below
/// it (RFC 9989 §4.7, adkim and aspf).
fn dmarc(around: &Around<'_>) -> String {
    let wish = around.wish.unwrap_or(Wish::None).word();
    format!(
        "v=DMARC1; p={wish}; adkim=s; aspf=r; rua=mailto:{}",
        around.reports_address
    )
}

/// Reports go to another organization only where that one says so.
fn report_record(delegation: &Delegation, around: &Around<'_>) -> Option<Wanted> {
    let (_, to) = around.reports_address.rsplit_once('@')?;
    let own = delegation.domain.as_str();
    let is_own = to == own || to.ends_with(&format!(".{own}"));
    (!is_own).then(|| Wanted {
        purpose: Purpose::Reports,
        name: format!("{}._report._dmarc.{to}", delegation.name),
        kind: Type::Txt,
        value: Some("v=DMARC1".to_owned()),
    })
}

#[cfg(test)]
mod tests;
