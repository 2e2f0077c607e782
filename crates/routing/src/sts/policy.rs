//! The text of an MTA-STS policy and of the TXT record that announces it (RFC 8461 §3). Pure; the
//! bytes come from strangers, so every length has a limit and nothing is trusted.

use crate::tlsrpt::{PolicyFound, PolicyKind};
use std::sync::Arc;
use std::time::Duration;

/// Longest policy that is read (RFC 8461 §3.3).
pub const POLICY_BYTES_MAX: usize = 64 * 1024;
/// Longest `max_age` (RFC 8461 §3.2): a year and a bit.
pub const MAX_AGE_SECONDS_MAX: u64 = 31_557_600;
/// Patterns kept of one policy; a domain with more MX hosts than this does not exist.
const MX_PATTERNS_MAX: usize = 256;
/// Longest name of a field (RFC 8461 §3.2, `sts-policy-ext-name`).
const FIELD_NAME_BYTES_MAX: usize = 32;
/// Longest `id` (RFC 8461 §3.1).
const ID_BYTES_MAX: usize = 32;

/// What a sender is to do where a host does not fit (RFC 8461 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Not deliver through it.
    Enforce,
    /// Report it, and deliver.
    Testing,
    /// Nothing: the domain has no policy (any more).
    None,
}

impl Mode {
    /// As a policy writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Testing => "testing",
            Self::None => "none",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::Enforce, Self::Testing, Self::None]
            .into_iter()
            .find(|mode| mode.as_str() == text)
    }
}

/// A policy as it was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StsPolicy {
    /// What to do where a host does not fit.
    pub mode: Mode,
    /// How long it may be kept after it was fetched; at most `MAX_AGE_SECONDS_MAX`.
    pub max_age: Duration,
    /// Names and `*.` patterns in lower case. Not empty, unless the mode is `None`.
    pub mx: Vec<String>,
}

impl StsPolicy {
    /// Whether mail may go to the MX host `host` (RFC 8461 §4.1). A `*` stands for exactly one label.
    pub fn allows(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.');
        self.mx
            .iter()
            .any(|pattern| match pattern.strip_prefix("*.") {
                Some(parent) => host.split_once('.').is_some_and(|(label, rest)| {
                    !label.is_empty() && rest.eq_ignore_ascii_case(parent)
                }),
                None => host.eq_ignore_ascii_case(pattern),
            })
    }

    /// Its lines, as TLS reports show them (RFC 8460 §4.4).
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec!["version: STSv1".to_owned()];
        lines.push(format!("mode: {}", self.mode.as_str()));
        lines.extend(self.mx.iter().map(|pattern| format!("mx: {pattern}")));
        lines.push(format!("max_age: {}", self.max_age.as_secs()));
        lines
    }

    /// What a TLS report says about it.
    pub(crate) fn found(&self, domain: &Arc<str>) -> PolicyFound {
        PolicyFound {
            kind: PolicyKind::Sts,
            strings: self.lines().into(),
            domain: domain.clone(),
            mx_hosts: self.mx.clone().into(),
        }
    }
}

/// Why a text is no policy; for logs and TLS reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// More than `POLICY_BYTES_MAX`.
    #[error("the policy is longer than 64 KiB")]
    TooLong,
    /// Not UTF-8.
    #[error("the policy is not text")]
    NotText,
    /// A line that is no `name: value`.
    #[error("line {0} of the policy is no \"name: value\"")]
    Line(usize),
    /// `version` is missing or not `STSv1`.
    #[error("the policy does not say \"version: STSv1\"")]
    Version,
    /// `mode` is missing or unknown.
    #[error("the policy's mode is missing or none of enforce, testing, none")]
    Mode,
    /// `max_age` is missing, no number or too large.
    #[error("the policy's max_age is missing, no number or above 31557600")]
    MaxAge,
    /// `mx` is missing, no host name or there are too many.
    #[error("the policy's mx is missing or no host name")]
    Mx,
}

/// Reads a policy (RFC 8461 §3.2).
///
/// ```text
/// sts-policy-record = sts-policy-field *WSP *(sts-policy-term sts-policy-field *WSP) [sts-policy-term]
/// sts-policy-field  = name ":" *WSP value     ; term: LF or CRLF
/// ```
///
/// # Errors
/// What is wrong with it; the sender then goes on with what it has cached, or without a policy.
pub fn parse(bytes: &[u8]) -> Result<StsPolicy, PolicyError> {
    if bytes.len() > POLICY_BYTES_MAX {
        return Err(PolicyError::TooLong);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| PolicyError::NotText)?;
    let mut fields = Fields::default();
    for (number, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let line = line.trim_end_matches([' ', '\t']);
        // Empty lines are not in the grammar; editors leave them at the end, and they say nothing.
        if line.is_empty() {
            continue;
        }
        fields.take(line, number + 1)?;
    }
    fields.finish()
}

/// What was said so far. Of a field that may come once the first counts (RFC 8461 §3.2).
#[derive(Default)]
struct Fields<'a> {
    version: Option<&'a str>,
    mode: Option<&'a str>,
    max_age: Option<&'a str>,
    mx: Vec<String>,
}

impl<'a> Fields<'a> {
    fn take(&mut self, line: &'a str, number: usize) -> Result<(), PolicyError> {
        let (name, value) = line.split_once(':').ok_or(PolicyError::Line(number))?;
        let well_formed = (1..=FIELD_NAME_BYTES_MAX).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
        let value = value.trim_start_matches([' ', '\t']);
        if !well_formed || value.chars().any(char::is_control) {
            return Err(PolicyError::Line(number));
        }
        match name {
            "version" => _ = self.version.get_or_insert(value),
            "mode" => _ = self.mode.get_or_insert(value),
            "max_age" => _ = self.max_age.get_or_insert(value),
            "mx" => {
                if self.mx.len() >= MX_PATTERNS_MAX {
                    return Err(PolicyError::Mx);
                }
                self.mx.push(pattern(value).ok_or(PolicyError::Mx)?);
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<StsPolicy, PolicyError> {
        if self.version != Some("STSv1") {
            return Err(PolicyError::Version);
        }
        let mode = self.mode.and_then(Mode::parse).ok_or(PolicyError::Mode)?;
        let max_age = self.max_age.and_then(seconds).ok_or(PolicyError::MaxAge)?;
        if self.mx.is_empty() && mode != Mode::None {
            return Err(PolicyError::Mx);
        }
        Ok(StsPolicy {
            mode,
            max_age: Duration::from_secs(max_age),
            mx: self.mx,
        })
    }
}

/// `1*10(DIGIT)`, at most `MAX_AGE_SECONDS_MAX`.
fn seconds(text: &str) -> Option<u64> {
    let digits = (1..=10).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let seconds = digits.then(|| text.parse().ok())??;
    (seconds <= MAX_AGE_SECONDS_MAX).then_some(seconds)
}

/// `["*."] Domain`, in lower case.
fn pattern(text: &str) -> Option<String> {
    let host = text.strip_prefix("*.").unwrap_or(text);
    let host_name = (1..=253).contains(&host.len())
        && host.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        });
    host_name.then(|| text.to_ascii_lowercase())
}

/// The id in the TXT records at `_mta-sts.DOMAIN` (RFC 8461 §3.1); `None` where they announce no
/// policy. Records that do not begin with `v=STSv1;` are somebody else's; two that do are no policy.
///
/// ```text
/// sts-text-record = sts-version 1*(sts-field-delim sts-field) [sts-field-delim]
/// sts-id          = %s"id" *WSP "=" *WSP 1*32(ALPHA / DIGIT)
/// ```
pub fn announced_id(records: &[Vec<u8>]) -> Option<String> {
    let mut ours = records
        .iter()
        .filter(|record| record.starts_with(b"v=STSv1"));
    let (record, None) = (ours.next()?, ours.next()) else {
        return None;
    };
    let mut fields = std::str::from_utf8(record).ok()?.split(';');
    // `v=STSv10` begins like ours and is not.
    if fields.next()?.trim_end() != "v=STSv1" {
        return None;
    }
    fields.find_map(|field| {
        let (name, value) = field.split_once('=')?;
        let value = value.trim();
        let well_formed = (1..=ID_BYTES_MAX).contains(&value.len())
            && value.bytes().all(|b| b.is_ascii_alphanumeric());
        (name.trim() == "id" && well_formed).then(|| value.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "version: STSv1\r\nmode: enforce\r\nmx: mail.Example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n";

    #[test]
    fn the_policy_of_the_rfc_is_read() {
        let policy = parse(GOOD.as_bytes()).unwrap();
        assert_eq!(policy.mode, Mode::Enforce);
        assert_eq!(policy.max_age.as_secs(), 604_800);
        assert_eq!(policy.mx, ["mail.example.com", "*.example.net"]);
        assert_eq!(parse(GOOD.replace('\r', "").as_bytes()), Ok(policy.clone()));
        assert_eq!(parse(policy.lines().join("\n").as_bytes()), Ok(policy));
    }

    #[test]
    fn a_star_stands_for_exactly_one_label() {
        let policy = parse(GOOD.as_bytes()).unwrap();
        for fits in ["mail.example.com", "MAIL.example.com.", "mx1.example.net"] {
            assert!(policy.allows(fits), "{fits}");
        }
        for not in [
            "example.net",
            ".example.net",
            "a.mx1.example.net",
            "xmail.example.com",
            "mail.example.com.evil.test",
            "",
        ] {
            assert!(!policy.allows(not), "{not}");
        }
    }

    #[test]
    fn the_first_of_a_repeated_field_counts_and_unknown_ones_do_not() {
        let text = "version: STSv1\nmode: testing\nmode: enforce\nfuture-field: \u{e4}b c\nmx: a.test\nmax_age: 1\nmax_age: 9\n\n";
        let policy = parse(text.as_bytes()).unwrap();
        assert_eq!((policy.mode, policy.max_age.as_secs()), (Mode::Testing, 1));
    }

    #[test]
    fn mode_none_needs_no_host() {
        let policy = parse(b"version: STSv1\nmode: none\nmax_age: 86400").unwrap();
        assert_eq!((policy.mode, policy.mx.len()), (Mode::None, 0));
    }

    #[test]
    fn what_is_no_policy_says_why() {
        let with = |from: &str, to: &str| parse(GOOD.replace(from, to).as_bytes());
        assert_eq!(with("STSv1", "STSv2"), Err(PolicyError::Version));
        assert_eq!(with("version: STSv1\r\n", ""), Err(PolicyError::Version));
        assert_eq!(with("enforce", "Enforce"), Err(PolicyError::Mode));
        assert_eq!(with("604800", "31557601"), Err(PolicyError::MaxAge));
        assert_eq!(with("604800", "-1"), Err(PolicyError::MaxAge));
        assert_eq!(with("604800", "00000000001"), Err(PolicyError::MaxAge));
        assert_eq!(with("*.example.net", "*.*.net"), Err(PolicyError::Mx));
        assert_eq!(with("*.example.net", "a b"), Err(PolicyError::Mx));
        assert_eq!(with("mx: ", "m_x: "), Err(PolicyError::Mx));
        assert_eq!(with("mode: ", "mode "), Err(PolicyError::Line(2)));
        assert_eq!(parse(b"<html>"), Err(PolicyError::Line(1)));
        assert_eq!(parse(&[0xff; 9]), Err(PolicyError::NotText));
        assert_eq!(
            parse(&vec![b'\n'; POLICY_BYTES_MAX + 1]),
            Err(PolicyError::TooLong)
        );
        let many = format!("{GOOD}{}", "mx: a.test\n".repeat(MX_PATTERNS_MAX));
        assert_eq!(parse(many.as_bytes()), Err(PolicyError::Mx));
    }

    #[test]
    fn the_record_announces_an_id() {
        let id = |records: &[&str]| {
            announced_id(
                &records
                    .iter()
                    .map(|r| r.as_bytes().to_vec())
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(
            id(&["v=STSv1; id=20160831085700Z;"]).unwrap(),
            "20160831085700Z"
        );
        assert_eq!(id(&["v=spf1 -all", "v=STSv1;x=y; id = a1"]).unwrap(), "a1");
        for none in [
            "v=STSv1",
            "v=STSv1;",
            "v=STSv10; id=1",
            "v=STSv1; id=",
            "v=STSv1; id=a-b",
            "v=STSv1; id=012345678901234567890123456789012",
            " v=STSv1; id=1",
        ] {
            assert_eq!(id(&[none]), None, "{none}");
        }
        assert_eq!(id(&["v=STSv1; id=1", "v=STSv1; id=2"]), None);
        assert_eq!(id(&[]), None);
    }

    proptest::proptest! {
        #[test]
        fn what_was_read_is_read_the_same_from_its_own_lines(
            lines in proptest::collection::vec(
                "(version: ?STSv1|mode: ?(enforce|testing|none)|mx: ?(\\*\\.)?[A-Za-z0-9.-]{0,12}|max_age: ?[0-9]{0,11}|[ -~]{0,20})\r?",
                0..12,
            ),
            noise in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
        ) {
            let _ = (parse(&noise), announced_id(&[noise]));
            if let Ok(policy) = parse(lines.join("\n").as_bytes()) {
                proptest::prop_assert!(policy.max_age.as_secs() <= MAX_AGE_SECONDS_MAX);
                for pattern in &policy.mx {
                    proptest::prop_assert!(policy.allows(&pattern.replacen('*', "mx", 1)));
                }
                let again = parse(policy.lines().join("\r\n").as_bytes());
                proptest::prop_assert_eq!(again, Ok(policy));
            }
        }
    }
}
