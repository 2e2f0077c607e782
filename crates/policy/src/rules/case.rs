//! A described session: every fact by value, readable and writable as JSON and TOML. What the tester is given, what is
//! recorded, and what is replayed. Never asks anybody; facts that come later than a point are hidden from it.

use super::fact::Fact;
use super::facts::{Facts, HeaderFacts, HeaderValue, Known, Recipient, Tls, Way};
use super::rule::Point;
use crate::measure::Door;
use directory::{AccountId, DomainName};
use platform::tls::TlsVersion;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A session as values. What is left out is not there, but for `reverse-name` and `program`, which are then not known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Case {
    /// The client's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<IpAddr>,
    /// Its name in the DNS; empty: it is known to have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reverse_name: Option<String>,
    /// The listener's port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// `mx`, `securemx` or `submission`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// It came through the legacy hosts.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub legacy: bool,
    /// The TLS version, such as `1.2`; left out: in clear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<String>,
    /// The suite's IANA name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cipher: Option<String>,
    /// The mail program's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// The name after EHLO.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hello: Option<String>,
    /// The way of logging in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mechanism: Option<String>,
    /// The account that is logged in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Its number, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_number: Option<i64>,
    /// Its group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_group: Option<String>,
    /// The envelope sender; empty for the null sender.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// Recipients.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<CaseRecipient>,
    /// Bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Header fields as `(name in lower case, value)`, where the values may be kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// Header fields as `(name in lower case, hash of the value)`, of recorded cases.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hashed_headers: Vec<(String, u64)>,
    /// Names of header fields that would have been seen; left out: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen_headers: Option<Vec<Box<str>>>,
    /// Tags that were set before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Box<str>>,
}

/// A recipient of a case.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct CaseRecipient {
    /// The address.
    pub address: String,
    /// Its customer group, for those here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// A case made ready for one salt of hashes.
pub struct Prepared<'c> {
    case: &'c Case,
    sender_domain: String,
    domains: Vec<String>,
    headers: HeaderFacts,
}

/// The domain of an address as A-labels in lower case; empty for what has none.
pub fn domain_of(address: &str) -> String {
    let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
    match DomainName::parse(domain) {
        Ok(name) => name.to_string(),
        Err(_) => domain.to_ascii_lowercase(),
    }
}

impl Case {
    /// Makes what facts borrow. `salt` is what `hashed_headers` were made with.
    pub fn prepare(&self, salt: u64) -> Prepared<'_> {
        let texts = self.headers.iter().map(|(name, value)| {
            let name = name.to_ascii_lowercase().into_boxed_str();
            (name, HeaderValue::Text(value.as_str().into()))
        });
        let hashes = self.hashed_headers.iter();
        let hashes = hashes.map(|(name, hash)| (name.as_str().into(), HeaderValue::Hashed(*hash)));
        let recipients = self.recipients.iter();
        Prepared {
            case: self,
            sender_domain: domain_of(self.sender.as_deref().unwrap_or_default()),
            domains: recipients.map(|r| domain_of(&r.address)).collect(),
            headers: HeaderFacts::described(
                texts.chain(hashes).collect(),
                self.seen_headers.clone(),
                salt,
            ),
        }
    }

    fn version(&self) -> Option<TlsVersion> {
        match self.tls.as_deref()? {
            "1.0" => Some(TlsVersion::V1_0),
            "1.1" => Some(TlsVersion::V1_1),
            "1.3" => Some(TlsVersion::V1_3),
            _ => Some(TlsVersion::V1_2),
        }
    }
}

fn hide<T>(value: Known<T>, shown: bool) -> Known<T> {
    if shown { value } else { Known::Unknown }
}

fn maybe(value: &Option<String>) -> Known<&str> {
    match value.as_deref() {
        None => Known::Unknown,
        Some("") => Known::Absent,
        Some(text) => Known::Is(text),
    }
}

impl Prepared<'_> {
    fn recipients(&self, point: Point) -> Vec<Recipient<'_>> {
        let known = |fact: Fact| fact.known_at(point);
        let each = self.case.recipients.iter().zip(&self.domains);
        each.map(|(recipient, domain)| Recipient {
            address: hide(
                Known::Is(recipient.address.as_str()),
                known(Fact::Recipient),
            ),
            domain,
            group: hide(
                Known::of(recipient.group.as_deref()),
                known(Fact::RecipientGroup),
            ),
        })
        .collect()
    }

    /// Calls `ask` with the facts as they are known at `point`.
    pub fn at<T>(&self, point: Point, ask: impl FnOnce(&Facts<'_>) -> T) -> T {
        let case = self.case;
        let known = |fact: Fact| fact.known_at(point);
        let recipients = self.recipients(point);
        let session = point != Point::Deliver;
        let way = match &case.account {
            Some(_) => Way::Outbound,
            None => Way::Inbound,
        };
        let facts = Facts {
            client: hide(Known::of(case.client), session),
            reverse_name: hide(maybe(&case.reverse_name), session),
            port: hide(Known::of(case.port), session),
            service: hide(Known::of(case.service.as_deref()), session),
            door: hide(
                Known::Is(if case.legacy {
                    Door::Legacy
                } else {
                    Door::Normal
                }),
                session,
            ),
            tls: hide(
                Known::of(case.version().map(|version| Tls {
                    version,
                    cipher: case.cipher.as_deref().unwrap_or_default(),
                })),
                session,
            ),
            program: hide(maybe(&case.program), session),
            hello: hide(Known::of(case.hello.as_deref()), known(Fact::Hello)),
            mechanism: hide(Known::of(case.mechanism.as_deref()), known(Fact::Mechanism)),
            account: hide(Known::of(case.account.as_deref()), session),
            account_number: (case.account_number.or(case.account.as_ref().map(|_| 0)))
                .map(AccountId),
            account_group: Known::of(case.account_group.as_deref()),
            way: hide(Known::Is(way), known(Fact::Direction)),
            sender: hide(Known::of(case.sender.as_deref()), known(Fact::Sender)),
            sender_domain: hide(
                Known::of(case.sender.as_ref().map(|_| self.sender_domain.as_str())),
                known(Fact::SenderDomain),
            ),
            recipients: hide(Known::Is(&recipients[..]), known(Fact::RecipientDomain)),
            size: hide(Known::of(case.size), known(Fact::Size)),
            headers: hide(Known::Is(&self.headers), known(Fact::Header("x".into()))),
            tags: match known(Fact::Tag) && session {
                true => &case.tags,
                false => &[],
            },
        };
        ask(&facts)
    }
}

impl Case {
    /// The same as values, for what outlives the session. Values of header fields only as hashes made with `salt`.
    pub fn of(facts: &Facts<'_>, salt: u64) -> Self {
        let text = |known: Known<&str>| known.value().map(str::to_owned);
        let recipients = facts.recipients.value().unwrap_or_default();
        let headers = facts.headers.value().map_or(&[][..], HeaderFacts::all);
        let tls = facts.tls.value();
        Self {
            client: facts.client.value(),
            reverse_name: match facts.reverse_name {
                Known::Absent => Some(String::new()),
                known => text(known),
            },
            port: facts.port.value(),
            service: text(facts.service),
            legacy: facts.door.value() == Some(Door::Legacy),
            tls: tls.map(|tls| tls.version.as_str().trim_start_matches("TLSv").to_owned()),
            cipher: tls.map(|tls| tls.cipher.to_owned()),
            program: text(facts.program),
            hello: text(facts.hello),
            mechanism: text(facts.mechanism),
            account: text(facts.account),
            account_number: facts.account_number.map(|number| number.0),
            account_group: text(facts.account_group),
            sender: text(facts.sender),
            recipients: recipients
                .iter()
                .map(|recipient| CaseRecipient {
                    address: match recipient.address.value() {
                        Some(address) => address.to_owned(),
                        None => format!("@{}", recipient.domain),
                    },
                    group: text(recipient.group),
                })
                .collect(),
            size: facts.size.value(),
            headers: Vec::new(),
            hashed_headers: headers
                .iter()
                .map(|(name, value)| {
                    let hash = match value {
                        HeaderValue::Text(text) => super::facts::hash_of(text, salt),
                        HeaderValue::Hashed(hash) => *hash,
                    };
                    (name.to_string(), hash)
                })
                .collect(),
            seen_headers: facts.headers.value().and_then(HeaderFacts::looked_for),
            tags: facts.tags.to_vec(),
        }
    }
}
