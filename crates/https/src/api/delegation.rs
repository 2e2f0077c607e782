//! The records of a subdomain for a tool that sends in a customer's name. Changes nothing.

use crate::access::Right;
use crate::call::{Call, Json, NoBody};
use crate::delegation::{Delegated, of};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use formats::language::Language;
use rollout::delegation::{Seen, Typed, Wanted, advice, danger};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Their routes.
pub(super) fn routes() -> Vec<Route> {
    vec![Route::api(
        Method::GET,
        "/api/v1/delegations/{name}",
        (Right::See, About::Each),
        "The records a subdomain needs so that a tool may send in its name, and which are published",
        one,
    )]
}

/// What the tool says.
#[derive(Deserialize, IntoParams)]
struct Tool {
    /// The selector of its key; `tool1` where none is given.
    #[serde(default)]
    selector: String,
    /// The name of the tool that the key's alias (CNAME) leads to.
    #[serde(default)]
    key_alias: String,
    /// The key's record, where it is a text.
    #[serde(default)]
    key_record: String,
    /// Domains of SPF records and addresses it sends from, separated by commas.
    #[serde(default)]
    from: String,
    /// The name of the tool that the alias for bounces leads to.
    #[serde(default)]
    bounce_alias: String,
    /// The tool's server that bounces go to.
    #[serde(default)]
    bounce_mx: String,
}

/// A record.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DelegatedRecord {
    /// Its name.
    pub name: String,
    /// `TXT`, `CNAME` or `MX`.
    pub kind: String,
    /// What it holds; nothing where the tool has to say it first.
    pub value: Option<String>,
    /// As a line of a zone file.
    pub line: String,
    /// What it is for, in German.
    pub why_de: String,
    /// The same in English.
    pub why_en: String,
    /// `published`, `missing`, `other`, `open` (the tool has to say something) or `unknown`.
    pub state: String,
    /// What is there instead, or why it is not known.
    pub seen: Option<String>,
}

/// A delegated subdomain.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DelegatedName {
    /// The hosted domain.
    pub domain: String,
    /// The subdomain.
    pub name: String,
    /// Its records, in the order to be published.
    pub records: Vec<DelegatedRecord>,
    /// Why mail that is sent past this provider is in danger, in German.
    pub danger_de: String,
    /// The same in English.
    pub danger_en: String,
    /// What to keep in mind, in German.
    pub advice_de: String,
    /// The same in English.
    pub advice_en: String,
}

fn shown(record: Wanted, seen: Seen) -> DelegatedRecord {
    DelegatedRecord {
        line: record.line(),
        why_de: record.why(Language::German).to_owned(),
        why_en: record.why(Language::English).to_owned(),
        kind: record.kind.word().to_owned(),
        name: record.name,
        value: record.value,
        state: seen.word().to_owned(),
        seen: match seen {
            Seen::Other(text) | Seen::Unknown(text) => Some(text),
            Seen::Published | Seen::Missing | Seen::Open => None,
        },
    }
}

async fn one(call: Call, tool: Tool, _: NoBody) -> Result<Json<DelegatedName>, Problem> {
    let typed = Typed {
        name: call.param("name"),
        selector: &tool.selector,
        key_alias: &tool.key_alias,
        key_record: &tool.key_record,
        from: &tool.from,
        bounce_alias: &tool.bounce_alias,
        bounce_exchanger: &tool.bounce_mx,
    };
    let Delegated {
        delegation,
        records,
    } = of(&call, &typed).await?;
    let records = records
        .into_iter()
        .map(|(wanted, seen)| shown(wanted, seen));
    Ok(Json(DelegatedName {
        domain: delegation.domain.to_string(),
        name: delegation.name.to_string(),
        records: records.collect(),
        danger_de: danger(Language::German).to_owned(),
        danger_en: danger(Language::English).to_owned(),
        advice_de: advice(Language::German).to_owned(),
        advice_en: advice(Language::English).to_owned(),
    }))
}
