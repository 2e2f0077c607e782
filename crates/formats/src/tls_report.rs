//! Aggregate reports about SMTP TLS (RFC 8460 §4.4): JSON to values and back. Reading takes what
//! real reporters send, within limits; what is no report is refused. Pure; the caller unpacks.

use serde::{Deserialize, Deserializer, Serialize};

/// Policies of one report.
pub const POLICIES_MAX: usize = 1000;
/// Failure details of one policy.
pub const DETAILS_MAX: usize = 10_000;
/// Bytes of one text; what is longer is cut.
pub const TEXT_BYTES_MAX: usize = 1000;
/// Bytes of a report.
pub const REPORT_BYTES_MAX: usize = 10 << 20;

/// A report.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// Who reports.
    #[serde(default)]
    pub organization_name: String,
    /// What time it is about.
    pub date_range: DateRange,
    /// Whom to ask about it: an address.
    #[serde(default, deserialize_with = "text_or_nothing")]
    pub contact_info: String,
    /// Its name among the reporter's reports.
    pub report_id: String,
    /// A group of sessions per policy.
    #[serde(default)]
    pub policies: Vec<PolicyReport>,
}

/// A span of time, as RFC 3339 writes it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DateRange {
    /// First moment.
    pub start_datetime: String,
    /// Last moment.
    pub end_datetime: String,
}

/// The sessions held against one policy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PolicyReport {
    /// The policy.
    pub policy: Policy,
    /// How many sessions.
    #[serde(default)]
    pub summary: Summary,
    /// Failures, a line per kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failure_details: Vec<FailureDetail>,
}

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Policy {
    /// `tlsa`, `sts`, `no-policy-found`.
    pub policy_type: String,
    /// TLSA records or lines of an MTA-STS policy.
    #[serde(
        default,
        deserialize_with = "texts",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub policy_string: Vec<String>,
    /// Whose policy.
    pub policy_domain: String,
    /// The MX hosts or patterns it is for.
    #[serde(
        default,
        deserialize_with = "texts",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub mx_host: Vec<String>,
}

/// How many sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Summary {
    /// As the policy wants them.
    pub total_successful_session_count: u64,
    /// Not so.
    pub total_failure_session_count: u64,
}

/// Failures of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FailureDetail {
    /// RFC 8460 §4.3.
    pub result_type: String,
    /// The reporter's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sending_mta_ip: Option<String>,
    /// The MX host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiving_mx_hostname: Option<String>,
    /// What that host called itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiving_mx_helo: Option<String>,
    /// The MX host's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiving_ip: Option<String>,
    /// How many sessions.
    #[serde(default)]
    pub failed_session_count: u64,
    /// Where to read more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub additional_information: Option<String>,
    /// A code or a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reason_code: Option<String>,
}

/// Why something is no report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsReportError {
    /// It is too large.
    #[error("the report has {0} bytes, more than are read")]
    TooLarge(usize),
    /// It is not the JSON of RFC 8460.
    #[error("the report is not the JSON of RFC 8460: {0}")]
    Json(String),
    /// It has more parts than any honest one.
    #[error("the report has too many policies or failures")]
    TooMany,
    /// It does not say what day it is about.
    #[error("the report's time is no time: {0}")]
    Time(String),
}

impl Report {
    /// Reads a report.
    ///
    /// # Errors
    /// Where it is none, or larger than the limits.
    pub fn parse(bytes: &[u8]) -> Result<Self, TlsReportError> {
        if bytes.len() > REPORT_BYTES_MAX {
            return Err(TlsReportError::TooLarge(bytes.len()));
        }
        let mut report: Self = serde_json::from_slice(bytes)
            .map_err(|error| TlsReportError::Json(error.to_string()))?;
        let details = |policy: &PolicyReport| policy.failure_details.len() > DETAILS_MAX;
        if report.policies.len() > POLICIES_MAX || report.policies.iter().any(details) {
            return Err(TlsReportError::TooMany);
        }
        report.clean();
        report.range_ms()?;
        Ok(report)
    }

    /// The JSON, in the field order of RFC 8460.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// First and last moment, milliseconds since 1970.
    ///
    /// # Errors
    /// Where one is no time.
    pub fn range_ms(&self) -> Result<(i64, i64), TlsReportError> {
        let range = &self.date_range;
        let time = |text: &str| crate::rfc3339::parse(text).map_err(TlsReportError::Time);
        Ok((time(&range.start_datetime)?, time(&range.end_datetime)?))
    }

    fn clean(&mut self) {
        for text in [
            &mut self.organization_name,
            &mut self.contact_info,
            &mut self.report_id,
        ] {
            clean(text);
        }
        for policy in &mut self.policies {
            clean(&mut policy.policy.policy_type);
            clean(&mut policy.policy.policy_domain);
            let texts = policy.policy.policy_string.iter_mut();
            texts.chain(&mut policy.policy.mx_host).for_each(clean);
            for detail in &mut policy.failure_details {
                clean(&mut detail.result_type);
                let texts = [
                    &mut detail.sending_mta_ip,
                    &mut detail.receiving_mx_hostname,
                    &mut detail.receiving_mx_helo,
                    &mut detail.receiving_ip,
                    &mut detail.additional_information,
                    &mut detail.failure_reason_code,
                ];
                texts.into_iter().flatten().for_each(clean);
            }
        }
    }
}

/// Foreign text without controls, at most [`TEXT_BYTES_MAX`] long.
fn clean(text: &mut String) {
    if text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control) {
        let mut kept = String::new();
        for letter in text.chars().filter(|letter| !letter.is_control()) {
            if kept.len() + letter.len_utf8() > TEXT_BYTES_MAX {
                break;
            }
            kept.push(letter);
        }
        *text = kept;
    }
}

/// Some reporters write one text where a list belongs, and null for nothing.
fn texts<'de, D: Deserializer<'de>>(reader: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Texts {
        Many(Vec<String>),
        One(String),
        Nothing(()),
    }
    Ok(match Texts::deserialize(reader)? {
        Texts::Many(texts) => texts,
        Texts::One(text) => vec![text],
        Texts::Nothing(()) => Vec::new(),
    })
}

fn text_or_nothing<'de, D: Deserializer<'de>>(reader: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(reader)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = r#"{
     "organization-name": "Company-X",
     "date-range": {
       "start-datetime": "2016-04-01T00:00:00Z",
       "end-datetime": "2016-04-01T23:59:59Z"
     },
     "contact-info": "sts-reporting@company-x.example",
     "report-id": "5065427c-23d3-47ca-b6e0-946ea0e8c4be",
     "policies": [{
       "policy": {
         "policy-type": "sts",
         "policy-string": ["version: STSv1","mode: testing",
               "mx: *.mail.company-y.example","max_age: 86400"],
         "policy-domain": "company-y.example",
         "mx-host": "*.mail.company-y.example"
       },
       "summary": {
         "total-successful-session-count": 5326,
         "total-failure-session-count": 303
       },
       "failure-details": [{
         "result-type": "certificate-expired",
         "sending-mta-ip": "2001:db8:abcd:0012::1",
         "receiving-mx-hostname": "mx1.mail.company-y.example",
         "failed-session-count": 100
       }, {
         "result-type": "starttls-not-supported",
         "sending-mta-ip": "2001:db8:abcd:0013::1",
         "receiving-mx-hostname": "mx2.mail.company-y.example",
         "receiving-ip": "203.0.113.56",
         "failed-session-count": 200,
         "additional-information": "https://reports.company-x.example/report_info ? id = 5065427 c - 23 d3# StarttlsNotSupported"
       }, {
         "result-type": "validation-failure",
         "sending-mta-ip": "198.51.100.62",
         "receiving-ip": "203.0.113.58",
         "receiving-mx-hostname": "mx-backup.mail.company-y.example",
         "failed-session-count": 3,
         "failure-reason-code": "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED"
       }]
     }]
   }"#;

    #[test]
    fn the_example_of_the_rfc_is_read_and_written() {
        let report = Report::parse(EXAMPLE.as_bytes()).unwrap();
        assert_eq!(report.organization_name, "Company-X");
        assert_eq!(report.range_ms().unwrap().0, 1_459_468_800_000);
        let policy = &report.policies[0];
        assert_eq!(policy.policy.mx_host, ["*.mail.company-y.example"]);
        assert_eq!(policy.summary.total_successful_session_count, 5326);
        assert_eq!(policy.failure_details[1].failed_session_count, 200);
        assert_eq!(Report::parse(&report.to_json()).unwrap(), report);
    }

    #[test]
    fn what_is_missing_in_the_wild_is_taken() {
        let text = r#"{"organization-name":"Big","date-range":{"start-datetime":"2026-11-21T00:00:00Z","end-datetime":"2026-11-21T23:59:59Z"},"contact-info":null,"report-id":"x","policies":[{"policy":{"policy-type":"no-policy-found","policy-domain":"firma.test","mx-host":null},"summary":{"total-successful-session-count":3}}],"extra":1}"#;
        let report = Report::parse(text.as_bytes()).unwrap();
        assert_eq!(report.policies[0].summary.total_successful_session_count, 3);
    }

    #[test]
    fn what_is_no_report_is_refused() {
        for bad in [
            "",
            "[]",
            "{}",
            "null",
            "\u{feff}",
            r#"{"date-range":{"start-datetime":"yesterday","end-datetime":"x"},"report-id":"x"}"#,
            r#"{"date-range":{"start-datetime":"2026-11-21T00:00:00Z","end-datetime":"2026-11-21T23:59:59Z"},"report-id":"x","policies":[{"policy":{"policy-type":"sts","policy-domain":"a"},"summary":{"total-successful-session-count":-1}}]}"#,
        ] {
            assert!(Report::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        let deep = "[".repeat(100_000);
        assert!(Report::parse(deep.as_bytes()).is_err());
    }

    #[test]
    fn long_and_odd_texts_are_cut() {
        let long = "x\\u0000y".repeat(2000);
        let text = format!(
            r#"{{"organization-name":"{long}","date-range":{{"start-datetime":"2026-11-21T00:00:00Z","end-datetime":"2026-11-21T23:59:59Z"}},"report-id":"x"}}"#
        );
        let report = Report::parse(text.as_bytes()).unwrap();
        assert_eq!(report.organization_name.len(), TEXT_BYTES_MAX);
        assert!(!report.organization_name.contains('\0'));
    }
}
