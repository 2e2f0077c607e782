//! What a state file would break: for each change the accounts and servers that would no longer get through. Called by
//! the plan of a file; changes nothing. Settings of scopes that come with the same file are left out: nothing was seen
//! of them.

use super::Changes;
use crate::api::measures::Preview;
use crate::problem::Problem;
use crate::services::Services;
use platform::clock::Timestamp;
use platform::store::Tx;
use policy::admin::{PolicyError, within};
use policy::impact::{self, Impact, Proposed, Question};
use policy::setting::{Name, Value};
use policy::{Scope, Snapshot};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// What was seen in so many days counts.
const DAYS: u32 = 30;

/// Somebody would no longer get through.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Break {
    /// What would be changed, such as `tls-version imap for installation`.
    pub what: String,
    /// In a sentence, with where to look them up.
    pub told: String,
    /// Who that is.
    pub impact: Preview,
}

/// A change that can break something.
struct Asked {
    what: String,
    scope: String,
    change: Kind,
}

enum Kind {
    Setting {
        name: Name,
        item: String,
        value: Value,
    },
    Rule(String),
}

/// What the changes would break.
pub(super) async fn breaks(
    services: &Services,
    changes: &Changes,
    now: Timestamp,
) -> Result<Vec<Break>, Problem> {
    services.policies.refresh().await?;
    let (snapshot, catalogue) = (services.policies.snapshot(), services.policies.catalogue());
    let mut found = Vec::new();
    for asked in asked(changes) {
        let asked = Arc::new(asked);
        let (question, snapshot) = (asked.clone(), snapshot.clone());
        let impacts = services
            .store
            .read(move |tx: &mut dyn Tx| question.ask(tx, &snapshot, now))
            .await?;
        let impacts = impacts.into_iter().filter(|impact| !impact.is_empty());
        found.extend(impacts.map(|impact| Break {
            what: asked.what.clone(),
            told: asked.sentence(&impact),
            impact: Preview::of(impact, &catalogue),
        }));
    }
    Ok(found)
}

fn asked(changes: &Changes) -> Vec<Asked> {
    let put = changes.settings.put.iter();
    let put = put.map(|(key, entry)| (key, Some(entry.value.clone())));
    // What holds where a setting is taken away, unless a wider scope says otherwise.
    let removed = changes.settings.remove.iter();
    let removed = removed.map(|key| (key, default(key.name)));
    let settings = put.chain(removed).filter_map(|(key, value)| {
        Some(Asked {
            what: key.to_string(),
            scope: key.scope.clone(),
            change: Kind::Setting {
                name: key.name,
                item: key.item.clone(),
                value: value?,
            },
        })
    });
    let rules = changes.changed_rules.iter().map(|name| Asked {
        what: format!("rule {name}"),
        scope: "installation".to_owned(),
        change: Kind::Rule(name.clone()),
    });
    settings.chain(rules).collect()
}

fn default(name: Name) -> Option<Value> {
    name.is_measure()
        .then(|| Value::parse(name, name.described().default).ok())
        .flatten()
}

impl Asked {
    fn ask(
        &self,
        tx: &mut dyn Tx,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<Vec<Impact>, PolicyError> {
        let scope = match within::scope(tx, &self.scope) {
            Ok(scope) => scope,
            Err(PolicyError::Missing(_)) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut found = Vec::new();
        for proposed in self.proposed(tx, &scope)? {
            let servers = routing::seen::servers(tx, &proposed, DAYS, now)?;
            let question = Question {
                proposed: &proposed,
                scope: &scope,
                days: DAYS,
                snapshot,
                now,
            };
            found.push(impact::preview(tx, &question, servers)?);
        }
        Ok(found)
    }

    fn proposed(&self, tx: &mut dyn Tx, scope: &Scope) -> Result<Vec<Proposed>, PolicyError> {
        match &self.change {
            Kind::Setting { name, item, value } => {
                Ok(impact::changes(tx, scope, *name, item, value)?)
            }
            Kind::Rule(name) => Ok(vec![Proposed::Rule(name.as_str().into())]),
        }
    }

    fn sentence(&self, impact: &Impact) -> String {
        let (accounts, servers) = (impact.locked_out(), impact.servers.len());
        let who = match impact.proposed {
            Proposed::InboundTls(_) | Proposed::OutboundTls(_) => {
                format!("{servers} domains elsewhere")
            }
            _ => format!(
                "{accounts} accounts in {} domains here",
                impact.domains.len()
            ),
        };
        format!(
            "{}: enforced today, it would cut off {who}, after what was seen in the last {DAYS} days; `rohrpost \
             impact {} --scope {}` names them",
            self.what, impact.proposed, self.scope
        )
    }
}
