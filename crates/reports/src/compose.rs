//! Makes a TLS report: the document, its packed form, and the message that carries it (RFC 8460 §4,
//! §5). Pure; the caller brings times and names.

use crate::DAY_MS;
use base64::Engine;
use formats::address::Address;
use formats::date::{DateTime, format_rfc5322};
use formats::header::write_field;
use formats::rfc3339;
use formats::tls_report::{DateRange, FailureDetail, Policy, PolicyReport, Report};
use std::collections::BTreeMap;
use std::io::Write;

/// Characters of a line of base64 (RFC 2045 §6.8).
const BASE64_LINE: usize = 76;

/// Who reports.
#[derive(Debug, Clone)]
pub struct Reporter<'a> {
    /// `organization-name`.
    pub organization: &'a str,
    /// `contact-info`; its domain is the submitter.
    pub contact: &'a Address,
    /// This server's name, for Message-ID.
    pub host: &'a str,
}

/// Sessions of one kind, as counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The policy they were held against.
    pub policy: Policy,
    /// What failed; `None` for sessions as the policy wants them.
    pub failure: Option<FailureDetail>,
    /// How many.
    pub sessions: u64,
}

/// The name of the report about a day and a domain. The same whenever it is asked for, so that a
/// receiver sees a repeated report as one (RFC 8460 §5.3).
pub fn report_id(reporter: &Reporter<'_>, day: i64, domain: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in [reporter.host.as_bytes(), b"\0", domain.as_bytes(), b"\0"] {
        hasher.update(part);
    }
    hasher.update(&day.to_be_bytes());
    let hash = hasher.finalize().to_hex();
    let date = rfc3339::format(day * DAY_MS);
    let date = date.get(..10).unwrap_or_default();
    format!("{date}.{}@{}", &hash[..16], reporter.host)
}

/// The document about one day and domain.
pub fn document(reporter: &Reporter<'_>, day: i64, domain: &str, counted: &[Counted]) -> Report {
    let mut policies: BTreeMap<String, PolicyReport> = BTreeMap::new();
    for group in counted {
        let key = serde_json::to_string(&group.policy).unwrap_or_default();
        let report = policies.entry(key).or_insert_with(|| PolicyReport {
            policy: group.policy.clone(),
            ..PolicyReport::default()
        });
        match &group.failure {
            None => report.summary.total_successful_session_count += group.sessions,
            Some(failure) => {
                report.summary.total_failure_session_count += group.sessions;
                report.failure_details.push(FailureDetail {
                    failed_session_count: group.sessions,
                    ..failure.clone()
                });
            }
        }
    }
    let seconds = |ms: i64| rfc3339::format(ms).replace(".000Z", "Z");
    Report {
        organization_name: reporter.organization.to_owned(),
        date_range: DateRange {
            start_datetime: seconds(day * DAY_MS),
            end_datetime: seconds((day + 1) * DAY_MS - 1000),
        },
        contact_info: reporter.contact.to_string(),
        report_id: report_id(reporter, day, domain),
        policies: policies.into_values().collect(),
    }
}

/// Packed with gzip.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    // Writing into memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// `sender!policy-domain!begin!end!id.json.gz` (RFC 8460 §5.1).
pub fn filename(reporter: &Reporter<'_>, day: i64, domain: &str) -> String {
    let begin = day * DAY_MS / 1000;
    let id: String = report_id(reporter, day, domain)
        .chars()
        .take_while(|letter| *letter != '@')
        .filter(char::is_ascii_alphanumeric)
        .collect();
    let sender = reporter.contact.domain();
    format!("{sender}!{domain}!{begin}!{}!{id}.json.gz", begin + 86_399)
}

/// A message that carries a packed report (RFC 8460 §5.3).
#[derive(Debug, Clone)]
pub struct Mail<'a> {
    /// Who reports.
    pub reporter: Reporter<'a>,
    /// Where it goes.
    pub to: &'a Address,
    /// The day it is about.
    pub day: i64,
    /// The domain it is about, as A-labels.
    pub domain: &'a str,
    /// The packed report.
    pub packed: &'a [u8],
    /// Now, milliseconds since 1970.
    pub unix_ms: i64,
}

impl Mail<'_> {
    /// The whole message with CRLF line ends.
    pub fn build(&self) -> Vec<u8> {
        let (reporter, domain) = (&self.reporter, self.domain);
        let submitter = reporter.contact.domain();
        let id = report_id(reporter, self.day, domain);
        let boundary = format!("=_{}", id.split('@').next().unwrap_or("report"));
        let mut out = Vec::with_capacity(self.packed.len() * 4 / 3 + 2048);
        write_field(
            &mut out,
            "Date",
            &format_rfc5322(DateTime::utc(self.unix_ms)),
        );
        write_field(&mut out, "From", &format!("<{}>", reporter.contact));
        write_field(&mut out, "To", &format!("<{}>", self.to));
        let subject = format!("Report Domain: {domain} Submitter: {submitter} Report-ID: <{id}>");
        write_field(&mut out, "Subject", &subject);
        write_field(&mut out, "Message-ID", &format!("<{id}>"));
        write_field(&mut out, "TLS-Report-Domain", domain);
        write_field(&mut out, "TLS-Report-Submitter", submitter);
        // RFC 8460 §5.3: a report must arrive although the TLS it is about fails.
        write_field(&mut out, "TLS-Required", "No");
        write_field(&mut out, "Auto-Submitted", "auto-generated");
        write_field(&mut out, "MIME-Version", "1.0");
        let content_type =
            format!("multipart/report; report-type=\"tlsrpt\"; boundary=\"{boundary}\"");
        write_field(&mut out, "Content-Type", &content_type);
        let begin = rfc3339::format(self.day * DAY_MS);
        let date = begin.get(..10).unwrap_or_default();
        let text = format!(
            "\r\n--{boundary}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n\
             This is an aggregate TLS report (RFC 8460) from {submitter}\r\n\
             about mail sent to {domain} on {date} (UTC).\r\n\
             \r\n--{boundary}\r\nContent-Type: application/tlsrpt+gzip\r\n\
             Content-Transfer-Encoding: base64\r\n"
        );
        out.extend_from_slice(text.as_bytes());
        let name = filename(reporter, self.day, domain);
        let disposition = format!("attachment; filename=\"{name}\"");
        write_field(&mut out, "Content-Disposition", &disposition);
        out.extend_from_slice(b"\r\n");
        let encoded = base64::engine::general_purpose::STANDARD.encode(self.packed);
        for line in encoded.as_bytes().chunks(BASE64_LINE) {
            out.extend_from_slice(line);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use formats::message::Facts;

    fn contact() -> Address {
        Address::parse("tls-reports@firma.test").unwrap()
    }

    fn reporter(contact: &Address) -> Reporter<'_> {
        Reporter {
            organization: "Firma",
            contact,
            host: "mx.rp.test",
        }
    }

    fn policy() -> Policy {
        Policy {
            policy_type: "tlsa".into(),
            policy_string: vec!["3 1 1 AB".into()],
            policy_domain: "else.test".into(),
            mx_host: vec!["mx.else.test".into()],
        }
    }

    #[test]
    fn sessions_are_summed_by_policy() {
        let failure = FailureDetail {
            result_type: "certificate-expired".into(),
            ..FailureDetail::default()
        };
        let counted = |failure, sessions| Counted {
            policy: policy(),
            failure,
            sessions,
        };
        let contact = contact();
        let report = document(
            &reporter(&contact),
            20_779,
            "else.test",
            &[counted(None, 5), counted(Some(failure), 2)],
        );
        assert_eq!(report.date_range.start_datetime, "2026-11-22T00:00:00Z");
        assert_eq!(report.date_range.end_datetime, "2026-11-22T23:59:59Z");
        let [policy] = &report.policies[..] else {
            panic!("{report:?}")
        };
        assert_eq!(policy.summary.total_successful_session_count, 5);
        assert_eq!(policy.summary.total_failure_session_count, 2);
        assert_eq!(policy.failure_details[0].failed_session_count, 2);
        assert_eq!(Report::parse(&report.to_json()).unwrap(), report);
    }

    #[test]
    fn the_message_is_as_the_rfc_wants_it() {
        let (contact, to) = (contact(), Address::parse("tls@else.test").unwrap());
        let packed = gzip(b"{}");
        let mail = Mail {
            reporter: reporter(&contact),
            to: &to,
            day: 20_779,
            domain: "else.test",
            packed: &packed,
            unix_ms: 20_780 * DAY_MS,
        };
        let bytes = mail.build();
        let facts = Facts::scan(&bytes);
        assert!(!facts.marks().bare_lf && !facts.marks().bare_cr);
        assert_eq!(facts.root().param("report-type"), Some(&b"tlsrpt"[..]));
        let text = String::from_utf8(bytes).unwrap();
        for wanted in [
            "Subject: Report Domain: else.test Submitter: firma.test Report-ID:",
            "TLS-Report-Domain: else.test\r\n",
            "TLS-Report-Submitter: firma.test\r\n",
            "firma.test!else.test!1795305600!1795391999!",
            "Content-Type: application/tlsrpt+gzip\r\n",
        ] {
            assert!(text.contains(wanted), "{wanted} is missing in {text}");
        }
        assert_eq!(facts.root().children().count(), 2);
    }

    #[test]
    fn a_report_keeps_its_name() {
        let contact = contact();
        let id = report_id(&reporter(&contact), 20_779, "else.test");
        assert_eq!(id, report_id(&reporter(&contact), 20_779, "else.test"));
        assert_ne!(id, report_id(&reporter(&contact), 20_780, "else.test"));
        assert!(
            id.starts_with("2026-11-22.") && id.ends_with("@mx.rp.test"),
            "{id}"
        );
    }
}
