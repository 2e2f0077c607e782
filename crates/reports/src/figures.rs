//! Figures from reports about our own domains: written once per report, summed for people. Holds
//! counts only; the reports themselves stay in the mailbox they came to.

use crate::day_of;
use formats::dmarc_report;
use formats::tls_report;
use platform::clock::Timestamp;
use platform::params;
use platform::store::{StoreError, Tx};

/// Lines of figures read at once.
const LINES_MAX: i64 = 100_000;
/// Bytes of a text that is part of a key.
const KEY_BYTES_MAX: usize = 250;

/// Which reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// DMARC aggregate reports.
    Dmarc,
    /// TLS reports.
    Tls,
}

impl Kind {
    fn code(self) -> i64 {
        match self {
            Self::Dmarc => 1,
            Self::Tls => 2,
        }
    }
}

/// Whether it was proved who sent a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proven {
    /// By a DKIM signature.
    Yes,
    /// No, or nobody looked.
    No,
}

/// What came of writing a report down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Its figures count now.
    New,
    /// It was there already.
    Known,
}

/// Messages as others saw them, summed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DmarcLine {
    /// The UTC day.
    pub day: i64,
    /// Who reported.
    pub reporter: String,
    /// Where the messages came from.
    pub source: String,
    /// `none`, `quarantine`, `reject`.
    pub disposition: String,
    /// `pass`, `fail`.
    pub dkim: String,
    /// `pass`, `fail`.
    pub spf: String,
    /// How many.
    pub messages: i64,
}

/// Whose mail it was that others saw, summed over days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginLine {
    /// The address it came from.
    pub source: String,
    /// The domain of a valid signature; empty where there was none or nobody said.
    pub signer: String,
    /// The domain SPF was asked for; empty where nobody said.
    pub envelope: String,
    /// How many messages.
    pub messages: i64,
}

/// Sessions as others saw them, summed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsLine {
    /// The UTC day.
    pub day: i64,
    /// Who reported.
    pub reporter: String,
    /// `tlsa`, `sts`, `no-policy-found`.
    pub policy: String,
    /// A result type of RFC 8460 §4.3; empty for success.
    pub result: String,
    /// The MX host, where it was told.
    pub host: String,
    /// How many.
    pub sessions: i64,
}

/// Reports that were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Received {
    /// How many.
    pub reports: i64,
    /// Of them, those whose sender was proved.
    pub proven: i64,
}

fn key(text: &str) -> String {
    let mut kept = String::new();
    for letter in text.chars().filter(|letter| !letter.is_control()) {
        if kept.len() + letter.len_utf8() > KEY_BYTES_MAX {
            break;
        }
        kept.push(letter);
    }
    kept
}

/// How a report is known again.
struct Named<'a> {
    kind: Kind,
    domain: &'a str,
    reporter: &'a str,
    report: &'a str,
    day: i64,
    proven: Proven,
}

fn first_time(tx: &mut dyn Tx, named: &Named<'_>, now: Timestamp) -> Result<bool, StoreError> {
    let rows = tx.execute(
        "INSERT INTO report_received (kind, domain, reporter, report, day, received_at, proven) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
        params![
            named.kind.code(),
            named.domain,
            named.reporter,
            &key(named.report),
            named.day,
            now.0,
            named.proven == Proven::Yes
        ],
    )?;
    Ok(rows > 0)
}

/// Counts a DMARC report.
///
/// # Errors
/// Where the store fails.
pub fn write_dmarc(
    tx: &mut dyn Tx,
    report: &dmarc_report::Report,
    proven: Proven,
    now: Timestamp,
) -> Result<Written, StoreError> {
    let (domain, reporter) = (key(&report.domain), key(&report.organization));
    let day = report.begin.div_euclid(24 * 3600);
    let named = Named {
        kind: Kind::Dmarc,
        domain: &domain,
        reporter: &reporter,
        report: &report.report_id,
        day,
        proven,
    };
    if !first_time(tx, &named, now)? {
        return Ok(Written::Known);
    }
    for record in &report.records {
        tx.execute(
            "INSERT INTO report_dmarc \
             (domain, day, reporter, source, disposition, dkim, spf, messages) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
             ON CONFLICT (domain, day, reporter, source, disposition, dkim, spf) \
             DO UPDATE SET messages = report_dmarc.messages + excluded.messages",
            params![
                &domain,
                day,
                &reporter,
                &record.source.to_string(),
                record.disposition.as_str(),
                record.dkim.as_str(),
                record.spf.as_str(),
                bounded(record.count)
            ],
        )?;
        add_origin(tx, &domain, day, record)?;
    }
    Ok(Written::New)
}

/// Notes whose mail a record tells of: a valid signature of somebody else says more than one of the
/// domain itself.
fn add_origin(
    tx: &mut dyn Tx,
    domain: &str,
    day: i64,
    record: &dmarc_report::Record,
) -> Result<(), StoreError> {
    let own =
        |signer: &&String| signer.as_str() == domain || signer.ends_with(&format!(".{domain}"));
    let signers = &record.signers;
    let signer = signers
        .iter()
        .find(|signer| !own(signer))
        .or(signers.first());
    tx.execute(
        "INSERT INTO report_dmarc_origins (domain, day, source, signer, envelope, messages) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (domain, day, source, signer, envelope) \
         DO UPDATE SET messages = report_dmarc_origins.messages + excluded.messages",
        params![
            domain,
            day,
            &record.source.to_string(),
            &key(signer.map_or("", String::as_str)),
            &key(&record.envelope),
            bounded(record.count)
        ],
    )
    .map(drop)
}

/// Counts what a TLS report says about `domain`.
///
/// # Errors
/// Where the store fails.
pub fn write_tls(
    tx: &mut dyn Tx,
    domain: &str,
    report: &tls_report::Report,
    proven: Proven,
    now: Timestamp,
) -> Result<Written, StoreError> {
    let reporter = key(&report.organization_name);
    let day = report.range_ms().map_or(0, |(begin, _)| day_of(begin));
    let named = Named {
        kind: Kind::Tls,
        domain,
        reporter: &reporter,
        report: &report.report_id,
        day,
        proven,
    };
    if !first_time(tx, &named, now)? {
        return Ok(Written::Known);
    }
    let about = |policy: &&tls_report::PolicyReport| domain_of(policy) == domain;
    for policy in report.policies.iter().filter(about) {
        let kind = key(&policy.policy.policy_type);
        let mut add =
            |result: &str, host: &str, sessions: u64| {
                tx.execute(
                "INSERT INTO report_tls (domain, day, reporter, policy, result, host, sessions) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
                 ON CONFLICT (domain, day, reporter, policy, result, host) \
                 DO UPDATE SET sessions = report_tls.sessions + excluded.sessions",
                params![domain, day, &reporter, &kind, &key(result), &key(host), bounded(sessions)],
            )
            .map(drop)
            };
        let summary = &policy.summary;
        if summary.total_successful_session_count > 0 {
            add("", "", summary.total_successful_session_count)?;
        }
        let mut told = 0_u64;
        for failure in &policy.failure_details {
            let host = failure.receiving_mx_hostname.as_deref().unwrap_or_default();
            add(&failure.result_type, host, failure.failed_session_count)?;
            told = told.saturating_add(failure.failed_session_count);
        }
        // Kinds of failures may overlap (RFC 8460 §4); what no detail tells still counts.
        let rest = summary.total_failure_session_count.saturating_sub(told);
        if rest > 0 {
            add("unspecified", "", rest)?;
        }
    }
    Ok(Written::New)
}

/// The domain a part of a TLS report is about.
pub fn domain_of(policy: &tls_report::PolicyReport) -> String {
    let domain = policy.policy.policy_domain.trim_end_matches('.');
    key(&domain.to_ascii_lowercase())
}

fn bounded(count: u64) -> i64 {
    // Sums of many forged counts must stay within what a store can hold.
    i64::try_from(count).unwrap_or(i64::MAX).min(1 << 40)
}

/// Reports about a domain since a UTC day.
pub fn received(
    tx: &mut dyn Tx,
    kind: Kind,
    domain: &str,
    since: i64,
) -> Result<Received, StoreError> {
    tx.one(
        "SELECT count(*), count(CASE WHEN proven <> 0 THEN 1 END) FROM report_received \
         WHERE kind = ?1 AND domain = ?2 AND day >= ?3",
        params![kind.code(), domain, since],
        |row| {
            Ok(Received {
                reports: row.int(0)?,
                proven: row.int(1)?,
            })
        },
    )
    .map(Option::unwrap_or_default)
}

/// DMARC figures of a domain since a UTC day.
pub fn dmarc(tx: &mut dyn Tx, domain: &str, since: i64) -> Result<Vec<DmarcLine>, StoreError> {
    tx.all(
        "SELECT day, reporter, source, disposition, dkim, spf, messages FROM report_dmarc \
         WHERE domain = ?1 AND day >= ?2 ORDER BY day, reporter, messages DESC, source LIMIT ?3",
        params![domain, since, LINES_MAX],
        |row| {
            Ok(DmarcLine {
                day: row.int(0)?,
                reporter: row.text(1)?.to_owned(),
                source: row.text(2)?.to_owned(),
                disposition: row.text(3)?.to_owned(),
                dkim: row.text(4)?.to_owned(),
                spf: row.text(5)?.to_owned(),
                messages: row.int(6)?,
            })
        },
    )
}

/// Whose mail reports about a domain tell of, since a UTC day; the most first.
///
/// # Errors
/// Where the store fails.
pub fn dmarc_origins(
    tx: &mut dyn Tx,
    domain: &str,
    since: i64,
) -> Result<Vec<OriginLine>, StoreError> {
    tx.all(
        "SELECT source, signer, envelope, CAST(SUM(messages) AS BIGINT) AS total \
         FROM report_dmarc_origins WHERE domain = ?1 AND day >= ?2 \
         GROUP BY source, signer, envelope ORDER BY total DESC, source, signer, envelope LIMIT ?3",
        params![domain, since, LINES_MAX],
        |row| {
            Ok(OriginLine {
                source: row.text(0)?.to_owned(),
                signer: row.text(1)?.to_owned(),
                envelope: row.text(2)?.to_owned(),
                messages: row.int(3)?,
            })
        },
    )
}

/// TLS figures of a domain since a UTC day.
pub fn tls(tx: &mut dyn Tx, domain: &str, since: i64) -> Result<Vec<TlsLine>, StoreError> {
    tx.all(
        "SELECT day, reporter, policy, result, host, sessions FROM report_tls \
         WHERE domain = ?1 AND day >= ?2 ORDER BY day, reporter, policy, result, host LIMIT ?3",
        params![domain, since, LINES_MAX],
        |row| {
            Ok(TlsLine {
                day: row.int(0)?,
                reporter: row.text(1)?.to_owned(),
                policy: row.text(2)?.to_owned(),
                result: row.text(3)?.to_owned(),
                host: row.text(4)?.to_owned(),
                sessions: row.int(5)?,
            })
        },
    )
}
