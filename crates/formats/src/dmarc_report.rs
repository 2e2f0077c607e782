//! DMARC aggregate reports (RFC 7489 appendix C; RFC 9990, which replaced it): XML to values. A
//! bounded reader over events: no document types, no entities but the five of XML itself, no
//! nesting beyond what a report has. Pure; the caller unpacks.

use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};
use std::net::IpAddr;

/// Records of one report.
pub const RECORDS_MAX: usize = 100_000;
/// Bytes of one text; what is longer is cut.
pub const TEXT_BYTES_MAX: usize = 500;
/// Bytes of a report.
pub const REPORT_BYTES_MAX: usize = 32 << 20;
/// Elements inside each other; a report has six.
const DEPTH_MAX: usize = 16;

/// A report.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Who reports: `org_name`.
    pub organization: String,
    /// Whom to ask about it.
    pub email: String,
    /// Its name among the reporter's reports.
    pub report_id: String,
    /// First moment, seconds since 1970.
    pub begin: i64,
    /// Last moment, seconds since 1970.
    pub end: i64,
    /// The domain whose policy was looked at: `policy_published/domain`.
    pub domain: String,
    /// The published policy: `none`, `quarantine`, `reject`.
    pub policy: String,
    /// Lines of the report.
    pub records: Vec<Record>,
}

/// Messages with one source and one result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where they came from.
    pub source: IpAddr,
    /// How many.
    pub count: u64,
    /// What was done with them.
    pub disposition: Disposition,
    /// Whether an aligned DKIM signature was valid.
    pub dkim: Alignment,
    /// Whether SPF passed for an aligned domain.
    pub spf: Alignment,
    /// The domain in From.
    pub header_from: String,
    /// Why something else was done than the policy says: `forwarded`, `local_policy` …
    pub overrides: Vec<String>,
    /// Domains with a valid DKIM signature, aligned or not, in lower case.
    pub signers: Vec<String>,
    /// The domain SPF was asked for, in lower case; empty where the report does not say.
    pub envelope: String,
}

/// What a receiver did with messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub enum Disposition {
    /// Nothing out of the ordinary; RFC 9990 also writes `pass`.
    #[default]
    None,
    /// Put aside as suspicious.
    Quarantine,
    /// Refused.
    Reject,
}

impl Disposition {
    /// As a report writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }
}

/// Whether a check passed in alignment with From.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub enum Alignment {
    /// It passed.
    Pass,
    /// It did not.
    #[default]
    Fail,
}

impl Alignment {
    /// As a report writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
        }
    }
}

/// Why something is no report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DmarcReportError {
    /// It is too large.
    #[error("the report has {0} bytes, more than are read")]
    TooLarge(usize),
    /// It is not well-formed XML.
    #[error("the report is no XML: {0}")]
    Xml(String),
    /// It has a document type; honest reports have none.
    #[error("the report has a document type")]
    DocumentType,
    /// It has an entity that XML does not define.
    #[error("the report has an entity of its own")]
    Entity,
    /// It goes deeper than a report does.
    #[error("the report has elements {DEPTH_MAX} deep and more")]
    TooDeep,
    /// It has more records than any honest one.
    #[error("the report has more than {RECORDS_MAX} records")]
    TooMany,
    /// Its outermost element is another one.
    #[error("the outermost element is not feedback")]
    NotFeedback,
    /// Something that must be there is not, or is no number or address.
    #[error("{0} is missing or wrong")]
    Field(&'static str),
}

impl Report {
    /// Reads a report.
    ///
    /// # Errors
    /// Where it is none, or larger than the limits.
    pub fn parse(bytes: &[u8]) -> Result<Self, DmarcReportError> {
        if bytes.len() > REPORT_BYTES_MAX {
            return Err(DmarcReportError::TooLarge(bytes.len()));
        }
        let mut reading = Reading::default();
        // Reporters that write another character set than they say lose a letter, not the report.
        let text = String::from_utf8_lossy(bytes);
        let mut reader = Reader::from_str(&text);
        loop {
            let event = reader
                .read_event()
                .map_err(|error| DmarcReportError::Xml(error.to_string()))?;
            match event {
                Event::Start(start) => reading.open(start.local_name().as_ref())?,
                Event::Empty(start) => {
                    reading.open(start.local_name().as_ref())?;
                    reading.close()?;
                }
                Event::End(_) => reading.close()?,
                Event::Text(text) => reading.text(text.as_ref()),
                Event::CData(text) => reading.text(text.as_ref()),
                Event::GeneralRef(reference) => reading.reference(&reference)?,
                Event::DocType(_) => return Err(DmarcReportError::DocumentType),
                Event::Eof => break,
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            }
        }
        reading.finish()
    }
}

/// What was read so far.
#[derive(Default)]
struct Reading {
    path: Vec<String>,
    text: String,
    report: Report,
    begin: Option<i64>,
    end: Option<i64>,
    record: Unfinished,
    has_feedback: bool,
}

/// A record before its end tag.
#[derive(Default)]
struct Unfinished {
    source: Option<IpAddr>,
    count: Option<u64>,
    disposition: Disposition,
    dkim: Alignment,
    spf: Alignment,
    header_from: String,
    overrides: Vec<String>,
    signers: Vec<String>,
    envelope: String,
    /// The signature that is being read: its domain, and whether it was valid.
    signature: (String, Alignment),
}

/// Signatures of one record that are kept.
const SIGNERS_MAX: usize = 10;
/// Reasons of one record that are kept.
const OVERRIDES_MAX: usize = 10;

impl Reading {
    fn open(&mut self, name: &str) -> Result<(), DmarcReportError> {
        if self.path.len() >= DEPTH_MAX {
            return Err(DmarcReportError::TooDeep);
        }
        if self.path.is_empty() {
            if name != "feedback" || self.has_feedback {
                return Err(DmarcReportError::NotFeedback);
            }
            self.has_feedback = true;
        }
        self.path.push(name.chars().take(TEXT_BYTES_MAX).collect());
        self.text.clear();
        Ok(())
    }

    fn text(&mut self, text: &str) {
        for letter in text.chars() {
            if self.text.len() + letter.len_utf8() > TEXT_BYTES_MAX {
                return;
            }
            self.text
                .push(if letter.is_control() { ' ' } else { letter });
        }
    }

    fn reference(&mut self, reference: &BytesRef<'_>) -> Result<(), DmarcReportError> {
        let letter = match reference.as_ref() {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => reference
                .resolve_char_ref()
                .ok()
                .flatten()
                .ok_or(DmarcReportError::Entity)?,
        };
        self.text(letter.encode_utf8(&mut [0; 4]));
        Ok(())
    }

    fn close(&mut self) -> Result<(), DmarcReportError> {
        let text = std::mem::take(&mut self.text);
        let text = text.trim();
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let inside = path.get(1..).unwrap_or_default();
        match inside {
            ["report_metadata", "org_name"] => self.report.organization = text.to_owned(),
            ["report_metadata", "email"] => self.report.email = text.to_owned(),
            ["report_metadata", "report_id"] => self.report.report_id = text.to_owned(),
            ["report_metadata", "date_range", "begin"] => self.begin = text.parse().ok(),
            ["report_metadata", "date_range", "end"] => self.end = text.parse().ok(),
            ["policy_published", "domain"] => {
                self.report.domain = text.trim_end_matches('.').to_ascii_lowercase();
            }
            ["policy_published", "p"] => self.report.policy = text.to_owned(),
            ["record"] => self.end_record()?,
            ["record", rest @ ..] => self.record.field(rest, text),
            _ => {}
        }
        self.path.pop();
        Ok(())
    }

    fn end_record(&mut self) -> Result<(), DmarcReportError> {
        if self.report.records.len() >= RECORDS_MAX {
            return Err(DmarcReportError::TooMany);
        }
        let record = std::mem::take(&mut self.record);
        self.report.records.push(Record {
            source: record.source.ok_or(DmarcReportError::Field("source_ip"))?,
            count: record.count.ok_or(DmarcReportError::Field("count"))?,
            disposition: record.disposition,
            dkim: record.dkim,
            spf: record.spf,
            header_from: record.header_from,
            overrides: record.overrides,
            signers: record.signers,
            envelope: record.envelope,
        });
        Ok(())
    }

    fn finish(self) -> Result<Report, DmarcReportError> {
        if !self.has_feedback {
            return Err(DmarcReportError::NotFeedback);
        }
        if !self.path.is_empty() {
            return Err(DmarcReportError::Xml("it ends early".to_owned()));
        }
        let mut report = self.report;
        for (text, name) in [
            (&report.report_id, "report_id"),
            (&report.domain, "policy_published/domain"),
        ] {
            if text.is_empty() {
                return Err(DmarcReportError::Field(name));
            }
        }
        report.begin = self.begin.ok_or(DmarcReportError::Field("begin"))?;
        report.end = self.end.ok_or(DmarcReportError::Field("end"))?;
        Ok(report)
    }
}

impl Unfinished {
    fn field(&mut self, path: &[&str], text: &str) {
        let alignment = || match text.eq_ignore_ascii_case("pass") {
            true => Alignment::Pass,
            false => Alignment::Fail,
        };
        match path {
            ["row", "source_ip"] => self.source = text.parse().ok(),
            ["row", "count"] => self.count = text.parse().ok(),
            ["row", "policy_evaluated", "disposition"] => {
                self.disposition = match text.to_ascii_lowercase().as_str() {
                    "quarantine" => Disposition::Quarantine,
                    "reject" => Disposition::Reject,
                    _ => Disposition::None,
                }
            }
            ["row", "policy_evaluated", "dkim"] => self.dkim = alignment(),
            ["row", "policy_evaluated", "spf"] => self.spf = alignment(),
            ["row", "policy_evaluated", "reason", "type"]
                if self.overrides.len() < OVERRIDES_MAX =>
            {
                self.overrides.push(text.to_owned());
            }
            ["identifiers", "header_from"] => self.header_from = text.to_ascii_lowercase(),
            ["auth_results", "spf", "domain"] => self.envelope = text.to_ascii_lowercase(),
            ["auth_results", "dkim", "domain"] => self.signature.0 = text.to_ascii_lowercase(),
            ["auth_results", "dkim", "result"] => self.signature.1 = alignment(),
            ["auth_results", "dkim"] => {
                let (domain, valid) = std::mem::take(&mut self.signature);
                let new = !domain.is_empty() && !self.signers.contains(&domain);
                if valid == Alignment::Pass && new && self.signers.len() < SIGNERS_MAX {
                    self.signers.push(domain);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
