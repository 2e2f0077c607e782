//! The DNS record of a key (RFC 6376 §3.6.1): its text in the forms people paste it, and what a lookup says about
//! it. Pure.

use crate::key::Algorithm;
use crate::lifecycle::Publication;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use platform::dns::Outcome;

/// RFC 1035 §3.3: a character-string of a TXT record holds no more.
const STRING_BYTES_MAX: usize = 255;
/// Longest text of a foreign record that is shown.
const SHOWN_CHARS_MAX: usize = 120;

/// A key as it is to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// Such as `rp2611a`.
    pub selector: String,
    /// The signing domain.
    pub domain: String,
    /// How it signs.
    pub algorithm: Algorithm,
    /// What `p=` holds, decoded.
    pub public_key: Vec<u8>,
}

impl KeyRecord {
    /// The name of the record, without the final dot.
    pub fn name(&self) -> String {
        format!("{}._domainkey.{}", self.selector, self.domain)
    }

    /// The value in one piece, as web forms take it. `h=sha256` because nothing else is signed here (RFC 8301).
    pub fn value(&self) -> String {
        format!(
            "v=DKIM1; k={}; h=sha256; p={}",
            self.algorithm.record_word(),
            BASE64.encode(&self.public_key)
        )
    }

    /// The line for a zone file: strings of at most 255 bytes, which verifiers join.
    pub fn zone_line(&self) -> String {
        let value = self.value();
        let strings: Vec<_> = value
            .as_bytes()
            .chunks(STRING_BYTES_MAX)
            .map(|piece| format!("\"{}\"", String::from_utf8_lossy(piece)))
            .collect();
        format!("{}. IN TXT ( {} )", self.name(), strings.join(" "))
    }

    /// Where the provider may publish it for a customer: at a name below the server's own.
    pub fn hosted_name(&self, host: &str) -> String {
        format!("{}.{}._dkim.{host}", self.selector, self.domain)
    }

    /// The alias by which the customer then points there.
    pub fn cname_line(&self, host: &str) -> String {
        format!("{}. IN CNAME {}.", self.name(), self.hosted_name(host))
    }

    /// What a lookup of the record says. Several records at one name are a mistake (RFC 6376 §3.6.2.2), because
    /// verifiers may take any of them.
    pub fn judge(&self, outcome: &Outcome<Vec<Vec<u8>>>) -> Publication {
        let answer = match outcome {
            Outcome::Found(answer) => answer,
            Outcome::NoData(_) | Outcome::NxDomain(_) => return Publication::Absent,
            Outcome::Bogus(why) => {
                return Publication::Differs(format!("DNSSEC refuses the answer: {why}"));
            }
            Outcome::TemporaryFailure(why) => return Publication::Unknown(why.clone()),
        };
        let [record] = answer.value.as_slice() else {
            return Publication::Differs(format!(
                "{} TXT records are there; only one may be",
                answer.value.len()
            ));
        };
        let Some(published) = PublishedKey::parse(record) else {
            return Publication::Differs(format!("it is no key record: {}", shown(record)));
        };
        if published.key.is_empty() {
            return Publication::Differs("p= is empty: the key is revoked there".to_owned());
        }
        if published.algorithm != Some(self.algorithm) {
            return Publication::Differs(format!("k= is not {}", self.algorithm.record_word()));
        }
        if published.key != self.public_key {
            return Publication::Differs("another key is published".to_owned());
        }
        if !published.takes_sha256 {
            return Publication::Differs("h= does not allow sha256".to_owned());
        }
        if published.testing {
            return Publication::Differs(
                "t=y says that signatures are a test; remove it".to_owned(),
            );
        }
        Publication::Seen
    }
}

/// A key record as somebody published it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublishedKey {
    /// `k=`; `None` for one that is not known here.
    pub(crate) algorithm: Option<Algorithm>,
    /// `p=`, decoded; empty where the key is revoked.
    pub(crate) key: Vec<u8>,
    /// `h=` is absent or names sha256.
    pub(crate) takes_sha256: bool,
    /// `t=y`.
    pub(crate) testing: bool,
    /// `t=s`: i= must be in the very domain.
    pub(crate) strict: bool,
    /// `s=` is absent or allows mail.
    pub(crate) for_mail: bool,
    /// The same, or `s=` allows TLS reports (RFC 8460 §3).
    pub(crate) for_tls_reports: bool,
}

impl PublishedKey {
    /// `None` for what is no key record (RFC 6376 §3.6.1).
    pub(crate) fn parse(record: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(record).ok()?;
        let tags = tags(text)?;
        let value = |tag: &str| {
            tags.iter()
                .find(|(name, _)| *name == tag)
                .map(|(_, value)| *value)
        };
        if tags
            .iter()
            .position(|(name, _)| *name == "v")
            .is_some_and(|at| at != 0)
            || value("v").is_some_and(|version| version != "DKIM1")
        {
            return None;
        }
        let list = |tag: &str| value(tag).map(|value| value.split(':').map(str::trim));
        let has = |tag: &str, wanted: &[&str]| {
            list(tag).is_none_or(|mut all| all.any(|one| wanted.contains(&one)))
        };
        Some(Self {
            algorithm: match value("k").unwrap_or("rsa") {
                "rsa" => Some(Algorithm::Rsa),
                "ed25519" => Some(Algorithm::Ed25519),
                _ => None,
            },
            key: decode(value("p")?)?,
            takes_sha256: has("h", &["sha256"]),
            testing: value("t").is_some() && has("t", &["y"]),
            strict: value("t").is_some() && has("t", &["s"]),
            for_mail: has("s", &["*", "email"]),
            for_tls_reports: has("s", &["*", "email", "tlsrpt"]),
        })
    }
}

/// `tag=value` pairs (RFC 6376 §3.2), trimmed; `None` where the text breaks the grammar or a tag comes twice.
pub(crate) fn tags(text: &str) -> Option<Vec<(&str, &str)>> {
    const TAGS_MAX: usize = 64;
    let mut found: Vec<(&str, &str)> = Vec::new();
    let white = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n');
    let text = text.trim_matches(white);
    for pair in text.strip_suffix(';').unwrap_or(text).split(';') {
        let (name, value) = pair.split_once('=')?;
        let name = name.trim_matches(white);
        let well_formed = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !well_formed || found.len() == TAGS_MAX || found.iter().any(|(known, _)| *known == name)
        {
            return None;
        }
        found.push((name, value.trim_matches(white)));
    }
    Some(found)
}

/// Base64 with white space in it, as records and signatures have it.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let packed: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let lenient = base64::engine::GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        base64::engine::GeneralPurposeConfig::new()
            .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    lenient.decode(packed).ok()
}

fn shown(record: &[u8]) -> String {
    String::from_utf8_lossy(record)
        .chars()
        .filter(|letter| !letter.is_control())
        .take(SHOWN_CHARS_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::dns::{Answer, Security};
    use std::time::Duration;

    fn record() -> KeyRecord {
        KeyRecord {
            selector: "rp2611a".into(),
            domain: "firma.test".into(),
            algorithm: Algorithm::Rsa,
            public_key: vec![7; 294],
        }
    }

    fn found(texts: &[&str]) -> Outcome<Vec<Vec<u8>>> {
        Outcome::Found(Answer {
            value: texts.iter().map(|text| text.as_bytes().to_vec()).collect(),
            ttl: Duration::from_secs(60),
            security: Security::Insecure,
            first: Security::Insecure,
            name: "x".into(),
        })
    }

    #[test]
    fn the_record_is_written_in_strings_that_fit() {
        let line = record().zone_line();
        assert!(
            line.starts_with(
                "rp2611a._domainkey.firma.test. IN TXT ( \"v=DKIM1; k=rsa; h=sha256; p="
            )
        );
        let strings: Vec<_> = line.split('"').skip(1).step_by(2).collect();
        assert!(strings.len() > 1 && strings.iter().all(|s| s.len() <= 255));
        assert_eq!(strings.concat(), record().value());
        assert_eq!(
            record().cname_line("mx.host.test"),
            "rp2611a._domainkey.firma.test. IN CNAME rp2611a.firma.test._dkim.mx.host.test."
        );
    }

    #[test]
    fn what_is_published_is_judged() {
        let ours = record();
        let value = ours.value();
        let p = value.split("p=").nth(1).unwrap();
        let seen = [
            value.clone(),
            format!("p={p}"),
            format!(" v=DKIM1;p={} {};", &p[..50], &p[50..]),
        ];
        for text in &seen {
            assert_eq!(ours.judge(&found(&[text])), Publication::Seen, "{text}");
        }
        let differs = [
            "v=DKIM1; p=".to_owned(),
            "v=spf1 -all".to_owned(),
            format!("v=DKIM1; k=ed25519; p={p}"),
            format!("v=DKIM1; h=sha1; p={p}"),
            format!("v=DKIM1; t=s:y; p={p}"),
            format!("v=DKIM1; p={}", p.replacen('B', "C", 1)),
            format!("p={p}; v=DKIM1"),
        ];
        for text in &differs {
            assert!(
                matches!(ours.judge(&found(&[text])), Publication::Differs(_)),
                "{text}"
            );
        }
        assert!(matches!(
            ours.judge(&found(&[&value, &value])),
            Publication::Differs(_)
        ));
        assert_eq!(
            ours.judge(&Outcome::NxDomain(Security::Secure)),
            Publication::Absent
        );
        let failure = Outcome::TemporaryFailure("x".into());
        assert_eq!(ours.judge(&failure), Publication::Unknown("x".into()));
    }
}
