//! What is known about a connection or a message when rules are asked. Filled in by sessions, the queue and the
//! tester; borrowed, so that asking allocates nothing. Pure.

use super::fact::Fact;
use super::rule::RuleSet;
use crate::measure::Door;
use directory::AccountId;
use formats::header;
use platform::tls::TlsVersion;
use std::net::IpAddr;
use std::sync::Arc;

/// Longest value of a header field that rules see, in bytes; what is longer is cut.
pub(super) const HEADER_VALUE_BYTES_MAX: usize = 2_000;
/// Header fields of one name that rules see in one message.
const HEADER_FIELDS_MAX: usize = 200;
/// Bytes of their values together; of what is beyond it is known only that it is there. With it what one condition
/// looks at is bounded whoever wrote the message, and fields of one name hide none of another.
const HEADER_BYTES_MAX: usize = 16 * 1024;

/// A fact: not known (yet), known not to be there, or this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Known<T> {
    /// Nobody can tell at this point.
    #[default]
    Unknown,
    /// There is none, such as the account where nobody logged in.
    Absent,
    /// This.
    Is(T),
}

impl<T> Known<T> {
    /// What an option holds; its absence is known.
    pub fn of(value: Option<T>) -> Self {
        value.map_or(Self::Absent, Self::Is)
    }

    /// The same about something that follows from it.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Known<U> {
        match self {
            Self::Unknown => Known::Unknown,
            Self::Absent => Known::Absent,
            Self::Is(value) => Known::Is(make(value)),
        }
    }

    /// The value, where there is one.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Unknown | Self::Absent => None,
        }
    }
}

/// A recipient as rules see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recipient<'a> {
    /// The address.
    pub address: Known<&'a str>,
    /// Its domain as A-labels.
    pub domain: &'a str,
    /// The customer group, for those here.
    pub group: Known<&'a str>,
}

/// Which way a message goes, for rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It comes from another server.
    Inbound,
    /// A customer sends it.
    Outbound,
}

impl Way {
    /// The word in rules.
    pub fn word(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

/// TLS as rules see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tls<'a> {
    /// The version.
    pub version: TlsVersion,
    /// The suite's IANA name.
    pub cipher: &'a str,
}

/// Everything rules may ask about. The default: nothing is known.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts<'a> {
    /// The client's address.
    pub client: Known<IpAddr>,
    /// The client's name in the DNS.
    pub reverse_name: Known<&'a str>,
    /// The listener's port.
    pub port: Known<u16>,
    /// `mx`, `securemx`, `submission`.
    pub service: Known<&'a str>,
    /// Through which hosts it came.
    pub door: Known<Door>,
    /// TLS; absent in clear.
    pub tls: Known<Tls<'a>>,
    /// The mail program's key.
    pub program: Known<&'a str>,
    /// The name after EHLO.
    pub hello: Known<&'a str>,
    /// The name of the SASL mechanism.
    pub mechanism: Known<&'a str>,
    /// The account that is logged in.
    pub account: Known<&'a str>,
    /// Its number, for the canary share of a schedule.
    pub account_number: Option<AccountId>,
    /// Its group.
    pub account_group: Known<&'a str>,
    /// Which way the message goes.
    pub way: Known<Way>,
    /// The envelope sender; empty for the null sender.
    pub sender: Known<&'a str>,
    /// Its domain as A-labels; empty for the null sender.
    pub sender_domain: Known<&'a str>,
    /// Recipients: one at RCPT, all of the message later.
    pub recipients: Known<&'a [Recipient<'a>]>,
    /// The size in bytes: as announced by MAIL, then as it came.
    pub size: Known<u64>,
    /// The header fields rules ask about.
    pub headers: Known<&'a HeaderFacts>,
    /// Tags of earlier points.
    pub tags: &'a [Box<str>],
}

impl Facts<'_> {
    /// Whether the connection has TLS of at least this version.
    pub fn has_tls(&self, lowest: TlsVersion) -> bool {
        self.tls.value().is_some_and(|tls| tls.version >= lowest)
    }
}

/// A value of a header field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderValue {
    /// The text, decoded (RFC 2047) and unfolded.
    Text(Box<str>),
    /// Only what `hash_of` makes of it is known: of recorded facts.
    Hashed(u64),
}

/// The header fields of one message, as far as rules ask about them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderFacts {
    fields: Vec<(Box<str>, HeaderValue)>,
    /// The names that were looked for; `None`: all.
    looked_for: Option<HeaderNames>,
    /// What the hashes of recorded values were made with.
    pub(super) salt: u64,
}

/// What is still kept of the fields of one name.
#[derive(Debug, Clone, Copy)]
struct Allowance {
    fields: usize,
    bytes: usize,
}

impl Default for Allowance {
    fn default() -> Self {
        Self {
            fields: HEADER_FIELDS_MAX,
            bytes: HEADER_BYTES_MAX,
        }
    }
}

/// The names of header fields a set of rules asks about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderNames {
    names: Arc<[Box<str>]>,
}

impl HeaderNames {
    /// Those of a set, in order.
    pub(super) fn of(set: &RuleSet) -> Self {
        let mut names = Vec::new();
        for rule in set.rules() {
            rule.when.each_test(&mut |test| match &test.fact {
                Fact::Header(name) | Fact::HeaderCount(name) => names.push(name.clone()),
                _ => {}
            });
        }
        names.sort_unstable();
        names.dedup();
        Self {
            names: names.into(),
        }
    }

    /// Whether no rule looks at the header.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Its place among them, and the name as rules write it.
    fn find(&self, name: &[u8]) -> Option<(usize, &str)> {
        let mut all = self.names.iter().enumerate();
        all.find(|(_, known)| known.as_bytes().eq_ignore_ascii_case(name))
            .map(|(place, name)| (place, &**name))
    }
}

impl HeaderFacts {
    /// Reads the header once; fields nobody asks about are not kept.
    pub fn read(header: &[u8], names: &HeaderNames) -> Self {
        let mut fields = Vec::new();
        let mut left = vec![Allowance::default(); names.names.len()];
        for field in header::fields(header) {
            // Nobody asks: the header is not even walked through.
            if names.is_empty() {
                break;
            }
            let Some((place, name)) = names.find(field.name) else {
                continue;
            };
            let Some(left) = left.get_mut(place).filter(|left| left.fields > 0) else {
                continue;
            };
            let value = field.value();
            let cut = value.get(..left.bytes.min(HEADER_VALUE_BYTES_MAX));
            let cut = cut.unwrap_or(&value);
            left.fields -= 1;
            left.bytes -= cut.len();
            let text = header::decode_text(cut);
            fields.push((name.into(), HeaderValue::Text(text.into())));
        }
        Self::of(fields, Some(names.clone()), 0)
    }

    /// Fields of one name stand together, in the order they came: who asks about one walks over no others.
    fn of(
        mut fields: Vec<(Box<str>, HeaderValue)>,
        looked_for: Option<HeaderNames>,
        salt: u64,
    ) -> Self {
        fields.sort_by(|(one, _), (other, _)| one.cmp(other));
        Self {
            fields,
            looked_for,
            salt,
        }
    }

    /// Of a header nobody looked at: of no field is it known whether it is there.
    pub fn unread() -> Self {
        Self {
            looked_for: Some(HeaderNames::default()),
            ..Self::default()
        }
    }

    /// Of described and recorded values. `looked_for` are the names that would have been found, `None` for all;
    /// hashes were made with `salt`.
    pub(super) fn described(
        fields: Vec<(Box<str>, HeaderValue)>,
        looked_for: Option<Vec<Box<str>>>,
        salt: u64,
    ) -> Self {
        let looked_for = looked_for.map(|names| HeaderNames {
            names: names.into(),
        });
        Self::of(fields, looked_for, salt)
    }

    /// Whether fields of this name would have been found.
    pub(super) fn knows(&self, name: &str) -> bool {
        let names = self.looked_for.as_ref();
        names.is_none_or(|names| names.find(name.as_bytes()).is_some())
    }

    /// The names that were looked for; `None`: all.
    pub(super) fn looked_for(&self) -> Option<Vec<Box<str>>> {
        let names = self.looked_for.as_ref()?;
        Some(names.names.to_vec())
    }

    /// The values of the fields with this name, in lower case, from the top.
    pub(super) fn values<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h HeaderValue> {
        let start = self.fields.partition_point(|(known, _)| **known < *name);
        let from = self.fields.get(start..).unwrap_or_default().iter();
        let of_name = from.take_while(move |(known, _)| **known == *name);
        of_name.map(|(_, value)| value)
    }

    /// Every field.
    pub(super) fn all(&self) -> &[(Box<str>, HeaderValue)] {
        &self.fields
    }
}

/// What stands for a value where the value must not be kept: equal for texts that differ only in the case of
/// ASCII letters.
pub(super) fn hash_of(text: &str, salt: u64) -> u64 {
    // FNV-1a, then mixed: it only has to tell values apart, and is asked for thousands of times a second.
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ salt;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_fields_of_one_name_cost_little_and_hide_no_other() {
        let json = r#"{"rules":[{"name":"r","at":["data"],"when":{"any":[
            {"fact":"header:x-pad","op":"contains","value":"z"},{"fact":"header:subject","value":"last"}]},
            "then":[{"do":"reject","text":"no"}]}]}"#;
        let names = HeaderNames::of(&RuleSet::from_json(json).unwrap());
        let pad = format!("X-Pad: {}\r\n", "p".repeat(1_900));
        let header = format!(
            "{}Subject: first\r\nsubject: last\r\n\r\n",
            pad.repeat(1_000)
        );
        let facts = HeaderFacts::read(header.as_bytes(), &names);
        let text = |value: &HeaderValue| match value {
            HeaderValue::Text(text) => text.to_string(),
            HeaderValue::Hashed(_) => unreachable!("nothing is hashed"),
        };
        let subjects: Vec<_> = facts.values("subject").map(text).collect();
        assert_eq!(subjects, ["first", "last"]);
        let padding: Vec<_> = facts.values("x-pad").map(text).collect();
        assert_eq!(padding.len(), HEADER_FIELDS_MAX);
        let bytes: usize = padding.iter().map(String::len).sum();
        assert_eq!(bytes, HEADER_BYTES_MAX);
        assert_eq!(facts.values("x").count(), 0);
    }
}
