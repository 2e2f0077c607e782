//! What reports say about a domain, gathered for the advisor: sources over two weeks, days with reports, pass
//! rates by receiver and day. Reads what `reports` counted; asks nobody.

use super::sources::{Reported, Source, classify};
use platform::store::{StoreError, Tx};
use reports::figures::{DmarcLine, dmarc, dmarc_origins};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The window in which sources are looked at, in days.
pub const SOURCES_DAYS: i64 = 14;
/// The window in which days with reports are counted.
pub const REPORTS_DAYS: i64 = 30;
/// Names of signers and envelopes that are kept for one source.
const NAMES_MAX: usize = 5;

/// What is known from reports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// Sources of the last two weeks, the most messages first.
    pub sources: Vec<Source>,
    /// Days of the last 30 with reports.
    pub report_days: usize,
    /// Messages and how many passed, by receiver and day, in order of the day.
    pub rates: Vec<Rate>,
}

/// How much passed at one receiver on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    /// The day, counted from 1970-01-01.
    pub day: i64,
    /// Who reported.
    pub reporter: String,
    /// Messages.
    pub messages: u64,
    /// Of them, those that passed DMARC.
    pub passed: u64,
}

impl Figures {
    /// Most messages of a day, over all receivers; `None` without reports.
    pub fn messages_per_day(&self) -> Option<u64> {
        let mut days: BTreeMap<i64, u64> = BTreeMap::new();
        for rate in &self.rates {
            *days.entry(rate.day).or_default() += rate.messages;
        }
        days.into_values().max()
    }

    /// The share of our own mail that passed, in thousandths; `None` where none was seen.
    pub fn own_per_mille(&self) -> Option<u64> {
        use super::sources::Class;
        let own = || self.sources.iter().filter(|s| s.class == Class::OurPool);
        let all: u64 = own().map(|s| s.reported.messages).sum();
        let failed: u64 = own().map(|s| s.reported.failed()).sum();
        (all > 0).then(|| all.saturating_sub(failed).saturating_mul(1000) / all)
    }
}

/// Gathers the figures of `domain` until `today`; `pool` are the addresses its mail leaves from.
///
/// # Errors
/// Those of the store.
pub fn gather(
    tx: &mut dyn Tx,
    domain: &str,
    pool: &[IpAddr],
    today: i64,
) -> Result<Figures, StoreError> {
    let lines = dmarc(tx, domain, today - REPORTS_DAYS + 1)?;
    let since = today - SOURCES_DAYS + 1;
    let mut reported: BTreeMap<IpAddr, Reported> = BTreeMap::new();
    for line in lines.iter().filter(|line| line.day >= since) {
        if let Ok(source) = line.source.parse() {
            count(
                reported.entry(source).or_insert_with(|| empty(source)),
                line,
            );
        }
    }
    for origin in dmarc_origins(tx, domain, since)? {
        let Ok(source) = origin.source.parse::<IpAddr>() else {
            continue;
        };
        if let Some(reported) = reported.get_mut(&source) {
            keep(&mut reported.signers, origin.signer);
            keep(&mut reported.envelopes, origin.envelope);
        }
    }
    let mut sources: Vec<Source> = reported
        .into_values()
        .map(|one| classify(domain, one, pool))
        .collect();
    sources.sort_by_key(|source| std::cmp::Reverse(source.reported.messages));
    let days: BTreeSet<i64> = lines.iter().map(|line| line.day).collect();
    Ok(Figures {
        sources,
        report_days: days.len(),
        rates: rates(&lines),
    })
}

fn empty(source: IpAddr) -> Reported {
    Reported {
        source,
        signers: Vec::new(),
        envelopes: Vec::new(),
        messages: 0,
        by_dkim: 0,
        by_spf: 0,
    }
}

fn count(reported: &mut Reported, line: &DmarcLine) {
    let messages = u64::try_from(line.messages).unwrap_or(0);
    reported.messages += messages;
    if line.dkim == "pass" {
        reported.by_dkim += messages;
    } else if line.spf == "pass" {
        reported.by_spf += messages;
    }
}

fn keep(names: &mut Vec<String>, name: String) {
    if !name.is_empty() && names.len() < NAMES_MAX && !names.contains(&name) {
        names.push(name);
    }
}

fn rates(lines: &[DmarcLine]) -> Vec<Rate> {
    let mut sums: BTreeMap<(i64, &str), (u64, u64)> = BTreeMap::new();
    for line in lines {
        let messages = u64::try_from(line.messages).unwrap_or(0);
        let sum = sums.entry((line.day, &line.reporter)).or_default();
        sum.0 += messages;
        if line.dkim == "pass" || line.spf == "pass" {
            sum.1 += messages;
        }
    }
    let rate = |((day, reporter), (messages, passed)): ((i64, &str), (u64, u64))| Rate {
        day,
        reporter: reporter.to_owned(),
        messages,
        passed,
    };
    sums.into_iter().map(rate).collect()
}

#[cfg(test)]
mod tests {
    use super::super::sources::Class;
    use super::*;
    use formats::dmarc_report::Report;
    use platform::clock::Timestamp;
    use platform::store::{Engine, Options, Store};
    use reports::figures::{Proven, write_dmarc};

    const DAY: i64 = 20_000;

    fn report(name: &str, day: i64, rows: &[(&str, u64, &str, &str, &str)]) -> Report {
        let rows: String = rows
            .iter()
            .map(|(source, count, dkim, spf, signer)| {
                format!(
                    "<record><row><source_ip>{source}</source_ip><count>{count}</count>\
                     <policy_evaluated><disposition>none</disposition><dkim>{dkim}</dkim>\
                     <spf>{spf}</spf></policy_evaluated></row><identifiers>\
                     <header_from>firma.test</header_from></identifiers><auth_results><dkim>\
                     <domain>{signer}</domain><result>pass</result></dkim></auth_results></record>"
                )
            })
            .collect();
        let begin = day * 86_400;
        Report::parse(
            format!(
                "<feedback><report_metadata><org_name>{name}</org_name><report_id>{name}{day}\
                 </report_id><date_range><begin>{begin}</begin><end>{begin}</end></date_range>\
                 </report_metadata><policy_published><domain>firma.test</domain><p>none</p>\
                 </policy_published>{rows}</feedback>"
            )
            .as_bytes(),
        )
        .unwrap()
    }

    #[tokio::test]
    async fn figures_equal_a_count_by_hand() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options {
            engine: Engine::Sqlite {
                path: dir.path().join("store.sqlite"),
            },
            readers: 1,
            gather_max: std::time::Duration::ZERO,
            before_commit: None,
        };
        let store = Store::open(options, &[reports::SCHEMA]).unwrap();
        let figures = store
            .write(|tx: &mut dyn Tx| {
                let ours = ("192.0.2.7", 10, "pass", "pass", "firma.test");
                let sent = ("198.51.100.9", 4, "fail", "fail", "sendgrid.net");
                let old = ("203.0.113.5", 9, "fail", "fail", "");
                for report in [
                    report("big", DAY, &[ours, sent]),
                    report("small", DAY, &[("192.0.2.7", 2, "fail", "fail", "")]),
                    report("big", DAY - 1, &[ours]),
                    report("big", DAY - SOURCES_DAYS, &[old]),
                    report("big", DAY - REPORTS_DAYS, &[old]),
                ] {
                    write_dmarc(tx, &report, Proven::Yes, Timestamp(0))?;
                }
                gather(tx, "firma.test", &["192.0.2.7".parse().unwrap()], DAY)
            })
            .await
            .unwrap();
        assert_eq!(figures.report_days, 3);
        let told: Vec<_> = figures
            .sources
            .iter()
            .map(|s| (s.class.clone(), s.reported.messages, s.reported.failed()))
            .collect();
        assert_eq!(
            told,
            [
                (Class::OurPool, 22, 2),
                (Class::Service("SendGrid".into()), 4, 4)
            ]
        );
        assert_eq!(figures.own_per_mille(), Some(909));
        assert_eq!(figures.messages_per_day(), Some(16));
        let last: Vec<_> = figures.rates.iter().rev().take(2).collect();
        assert_eq!((last[0].reporter.as_str(), last[0].passed), ("small", 0));
        assert_eq!((last[1].messages, last[1].passed), (14, 10));
    }
}
