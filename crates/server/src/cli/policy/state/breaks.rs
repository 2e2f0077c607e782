//! What the settings of a state file would break: a sentence for each change after which somebody would no longer
//! get through. Called by `rohrpost plan`; changes nothing.

use super::{Changes, Key, told};
use platform::clock::{Clock, Timestamp};
use platform::store::{Store, StoreError};
use policy::admin::Admin;
use policy::impact::{self, Impact, Proposed, Question};
use policy::setting::{Name, Value};
use policy::{Policies, Scope, Snapshot};
use std::sync::Arc;

/// What was seen in so many days counts.
const DAYS: u32 = 30;

/// A sentence for each change that would lock somebody out. Settings of scopes that come with the same file are
/// left out: nothing was seen of them.
///
/// # Errors
/// Those of the store, in words.
pub(in crate::cli) async fn breaks(
    store: &Store,
    changes: &Changes,
    now: Timestamp,
) -> Result<Vec<String>, String> {
    let said = |error: StoreError| error.to_string();
    let admin = Admin::new(store.clone());
    let clock = Clock::settable(now);
    let policies = Policies::open(store.clone(), clock).await.map_err(said)?;
    let put = changes
        .put
        .iter()
        .map(|(key, entry)| (key, Some(&entry.value)));
    let removed = changes.remove.iter().map(|key| (key, None));
    let mut sentences = Vec::new();
    for (key, value) in put.chain(removed) {
        let Ok(scope) = admin.scope(&key.0).await else {
            continue;
        };
        let Some(value) = value.cloned().or_else(|| default(key.1)) else {
            continue;
        };
        let question = Asked {
            scope,
            name: key.1,
            item: key.2.clone(),
            value,
            snapshot: policies.snapshot(),
            now,
        };
        let found = question.ask(store).await.map_err(said)?;
        let found = found.iter().filter(|impact| !impact.is_empty());
        sentences.extend(found.map(|impact| sentence(key, impact)));
    }
    Ok(sentences)
}

/// What holds where a setting is taken away, unless a wider scope says otherwise.
fn default(name: Name) -> Option<Value> {
    name.is_measure()
        .then(|| Value::parse(name, name.described().default).ok())
        .flatten()
}

struct Asked {
    scope: Scope,
    name: Name,
    item: String,
    value: Value,
    snapshot: Arc<Snapshot>,
    now: Timestamp,
}

impl Asked {
    async fn ask(self, store: &Store) -> Result<Vec<Impact>, StoreError> {
        store
            .read(move |tx| {
                let changes = impact::changes(tx, &self.scope, self.name, &self.item, &self.value)?;
                let mut found = Vec::with_capacity(changes.len());
                for proposed in &changes {
                    let servers = routing::seen::servers(tx, proposed, DAYS, self.now)?;
                    let question = Question {
                        proposed,
                        scope: &self.scope,
                        days: DAYS,
                        snapshot: &self.snapshot,
                        now: self.now,
                    };
                    found.push(impact::preview(tx, &question, servers)?);
                }
                Ok(found)
            })
            .await
    }
}

fn sentence(key: &Key, impact: &Impact) -> String {
    let (accounts, servers) = (impact.locked_out(), impact.servers.len());
    let who = match impact.proposed {
        Proposed::InboundTls(_) | Proposed::OutboundTls(_) => {
            format!("{servers} domains elsewhere")
        }
        Proposed::SpoofedSender => format!(
            "mail of {servers} servers elsewhere in the name of {accounts} accounts here"
        ),
        _ => format!(
            "{accounts} accounts in {} domains here",
            impact.domains.len()
        ),
    };
    format!(
        "{}: enforced today, it would cut off {who}, after what was seen in the last {DAYS} days; `rohrpost \
         impact {} --scope {}` names them",
        told(key),
        impact.proposed,
        key.0
    )
}
