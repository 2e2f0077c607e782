//! `rohrpost domain delegate`: the records of a subdomain for a tool that sends in a customer's name.

use super::{Format, output};
use crate::cli::admin_api::{AdminApi, path};
use clap::Args;
use directory::DomainName;
use https::api::delegation::{DelegatedName, DelegatedRecord};

/// What the tool says.
#[derive(Args)]
pub(crate) struct Tool {
    /// The subdomain, such as news.firma.example; its domain is hosted here.
    #[arg(value_parser = super::domain_name)]
    name: DomainName,
    /// The selector of the tool's key.
    #[arg(long, default_value = "tool1")]
    selector: String,
    /// The name of the tool that the key's alias (CNAME) leads to.
    #[arg(long, value_name = "NAME", conflicts_with = "key_record")]
    key_alias: Option<String>,
    /// The key's record, where the tool shows a text.
    #[arg(long, value_name = "TEXT")]
    key_record: Option<String>,
    /// A domain with an SPF record or an address the tool sends from; may be given several times.
    #[arg(long, value_name = "DOMAIN|ADDRESS")]
    from: Vec<String>,
    /// The name of the tool that the alias for bounces leads to.
    #[arg(long, value_name = "NAME", conflicts_with = "bounce_mx")]
    bounce_alias: Option<String>,
    /// The tool's server that takes bounces.
    #[arg(long, value_name = "HOST")]
    bounce_mx: Option<String>,
    #[command(flatten)]
    format: Format,
}

pub(super) async fn run(tool: &Tool, api: &AdminApi) -> Result<String, String> {
    let from = tool.from.join(",");
    let said = [
        ("selector", Some(&tool.selector)),
        ("key_alias", tool.key_alias.as_ref()),
        ("key_record", tool.key_record.as_ref()),
        ("from", Some(&from)),
        ("bounce_alias", tool.bounce_alias.as_ref()),
        ("bounce_mx", tool.bounce_mx.as_ref()),
    ];
    let query: Vec<(&str, &str)> = said
        .iter()
        .filter_map(|(name, value)| Some((*name, value.as_ref()?.as_str())))
        .collect();
    let found: DelegatedName = api
        .get(&path(&["delegations", tool.name.as_str()], &query))
        .await?;
    Ok(output::value(tool.format, &found, shown))
}

fn shown(found: &DelegatedName) -> String {
    let records: String = found.records.iter().map(record).collect();
    format!(
        "; {} for a tool that sends in the name of {}\n{records}; {}\n",
        found.name, found.domain, found.advice_en
    )
}

/// A line of a zone file below what it is for and how it is.
fn record(record: &DelegatedRecord) -> String {
    let state = match (&*record.state, &record.seen) {
        ("other", Some(seen)) => format!("differs: {seen}"),
        ("unknown", Some(why)) => format!("unknown: {why}"),
        (state, _) => state.to_owned(),
    };
    format!("; {state:<9}  {}\n{}\n", record.why_en, record.line)
}
