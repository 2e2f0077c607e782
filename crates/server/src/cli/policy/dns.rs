//! `rohrpost dns`: whether the DNS fits what mail leaves with. The admin API looks; this says it in words.

use super::output::{self, Format};
use super::{Done, domain_name};
use crate::cli::admin_api::{AdminApi, path};
use clap::Subcommand;
use directory::DomainName;
use https::api::discovery::DiscoveryRecord;
use https::api::senders::{DnsLine, WantedRecord, WantedRecords};
use serde_json::json;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Checks the addresses mail of a domain leaves from: PTR, the way back, EHLO name, SPF record.
    ///
    /// The addresses are those of the pools the domain, its accounts, its group or the installation
    /// use; without a pool those the node's own name has. Exit code 1 where something is to be done.
    ///
    /// Example: rohrpost dns check firma.example
    Check {
        /// A domain whose mail is handled here.
        #[arg(value_parser = domain_name)]
        domain: DomainName,
        #[command(flatten)]
        format: Format,
    },
    /// Lists the records by which mail programs find the servers: SRV, and the names asked for XML.
    ///
    /// Lines of a zone file, from the ports customers use (the listeners, or clients.ports) and the host names of
    /// `rohrpost rollout voice`. A service that is not offered gets a record that says so ("0 0 0 .").
    ///
    /// Example: rohrpost dns discovery firma.example >> firma.example.zone
    Discovery {
        /// A domain whose mail is handled here.
        #[arg(value_parser = domain_name)]
        domain: DomainName,
        #[command(flatten)]
        format: Format,
    },
    /// Lists the records for sending that a domain should have, against those it has: SPF, DKIM, DMARC.
    ///
    /// Of SPF and DMARC an example is shown; another record that does the same is as good. Exit code 1
    /// where something is to be done.
    ///
    /// Example: rohrpost dns records firma.example
    Records {
        /// A domain whose mail is handled here.
        #[arg(value_parser = domain_name)]
        domain: DomainName,
        #[command(flatten)]
        format: Format,
    },
}

pub(super) async fn run(verb: &Verb, api: &AdminApi) -> Result<Done, String> {
    match verb {
        Verb::Check { domain, format } => {
            let at = path(&["domains", domain.as_str(), "dns", "check"], &[]);
            let lines: Vec<DnsLine> = api.get(&at).await?;
            let line = |line: &DnsLine| format!("{:<8} {}.\n", line.verdict, line.text);
            let text = output::shown(*format, &json!(lines), || lines.iter().map(line).collect())?;
            let found = lines.iter().any(|line| line.verdict == "warning");
            Ok(Done { text, found })
        }
        Verb::Discovery { domain, format } => {
            let at = path(&["domains", domain.as_str(), "dns", "discovery"], &[]);
            let records: Vec<DiscoveryRecord> = api.get(&at).await?;
            let line = |record: &DiscoveryRecord| format!("{}\n", record.line);
            let text = output::shown(*format, &json!(records), || {
                records.iter().map(line).collect()
            })?;
            Ok(Done { text, found: false })
        }
        Verb::Records { domain, format } => {
            let at = path(&["domains", domain.as_str(), "dns", "records"], &[]);
            let found: WantedRecords = api.get(&at).await?;
            let text = output::shown(*format, &json!(found), || {
                found.records.iter().map(record).collect()
            })?;
            let lacks = |record: &WantedRecord| record.verdict == "warning";
            let found = found.records.iter().any(lacks);
            Ok(Done { text, found })
        }
    }
}

fn record(record: &WantedRecord) -> String {
    let WantedRecord {
        verdict,
        purpose,
        name,
        kind,
        wanted,
        found,
    } = record;
    let mut text = format!("{verdict:<8} {purpose:<6} {name} {kind}\n");
    if let Some(found) = found {
        text += &format!("  found   {found}\n");
    }
    if found.as_ref() != Some(wanted) && verdict != "good" {
        text += &format!("  wanted  {wanted}\n");
    }
    text
}
