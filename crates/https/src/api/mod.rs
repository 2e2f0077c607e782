//! The API under `/api/v1`: typed requests and answers over the same operations as the CLI. A file per part; each gives
//! its routes, and the types of what goes in and comes out, which the CLI reads and writes, too.

pub mod account_audit;
pub mod accounts;
pub mod administration;
pub mod aliases;
pub mod announcements;
pub mod catalogue;
pub mod customers;
pub mod delegation;
pub mod discovery;
pub mod dkim;
pub mod dmarc;
pub mod document;
pub mod domains;
pub mod egress;
pub mod figures;
pub mod groups;
pub mod identities;
pub mod legacy;
pub mod legacy_dns;
pub mod letters;
pub mod measures;
pub mod policy;
pub mod relay_sources;
pub mod rollouts;
pub mod rules;
pub mod seen;
pub mod senders;
pub(crate) mod session;
pub mod staging;
pub mod state;
pub mod stories;
pub mod trying;
pub mod waiting;

use crate::access::{Right, Subject};
use crate::call::Call;
use crate::problem::Problem;
use crate::route::Route;
use ::policy::admin::Author;
use directory::AddressKey;
use formats::rfc3339;
use platform::clock::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What was done.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct WhatChanged {
    /// A sentence each, in the order in which it was done; none where it was so already.
    pub changes: Vec<String>,
}

impl WhatChanged {
    fn of(changes: &[impl ToString]) -> Self {
        Self {
            changes: changes.iter().map(ToString::to_string).collect(),
        }
    }
}

/// All routes of the API.
pub(crate) fn routes() -> Vec<Route> {
    let mut routes = Vec::new();
    routes.extend(session::routes());
    routes.extend(domains::routes());
    routes.extend(aliases::routes());
    routes.extend(groups::routes());
    routes.extend(accounts::routes());
    routes.extend(account_audit::routes());
    routes.extend(customers::routes());
    routes.extend(policy::routes());
    routes.extend(measures::routes());
    routes.extend(staging::routes());
    routes.extend(seen::routes());
    routes.extend(egress::routes());
    routes.extend(relay_sources::routes());
    routes.extend(identities::routes());
    routes.extend(legacy::routes());
    routes.extend(legacy_dns::routes());
    routes.extend(figures::routes());
    routes.extend(dmarc::routes());
    routes.extend(announcements::routes());
    routes.extend(delegation::routes());
    routes.extend(discovery::routes());
    routes.extend(senders::routes());
    routes.extend(rollouts::routes());
    routes.extend(letters::routes());
    routes.extend(rules::routes());
    routes.extend(trying::routes());
    routes.extend(catalogue::routes());
    routes.extend(waiting::routes());
    routes.extend(stories::routes());
    routes.extend(dkim::routes());
    routes.extend(state::routes());
    routes.extend(administration::routes());
    routes.extend(document::routes());
    routes
}

/// A time as the API says it.
fn time(ms: i64) -> String {
    rfc3339::format(ms)
}

/// A day as the API says it.
fn day(since_1970: i64) -> String {
    let mut text = time(since_1970.saturating_mul(86_400_000));
    text.truncate("2026-11-22".len());
    text
}

/// A time as the API takes it.
fn time_in(text: &str) -> Result<Timestamp, Problem> {
    rfc3339::parse(text)
        .map(Timestamp)
        .map_err(|error| Problem::invalid(error.to_string()))
}

/// For histories: who calls, why, and when.
fn author(call: &Call, reason: String) -> Author {
    Author {
        by: call.who(),
        // What stands in the query may hold what no text that is stored may.
        reason: reason.replace('\0', ""),
        now: call.now,
    }
}

/// Refuses to remove what something that the caller does not see leads to: that would change it, and its name is
/// nobody's business.
async fn refuse_foreign_references(call: &Call, key: &AddressKey) -> Result<(), Problem> {
    let caller = call.caller()?;
    if caller.may(Right::See, &Subject::Installation) {
        return Ok(());
    }
    let accounts = &call.services.accounts;
    let address = key.to_string();
    let aliases = accounts.aliases(None).await?;
    let by_alias = aliases.iter().any(|alias| {
        let leads_here = alias.to.iter().any(|target| is_same(target, key));
        leads_here && !caller.sees_account(&alias.address)
    });
    let domains = accounts.domains().await?;
    let by_domain = domains.iter().any(|domain| {
        let mut named = [&domain.catch_all, &domain.contact].into_iter().flatten();
        named.any(|target| is_same(target, key)) && !caller.sees_domain(&domain.name)
    });
    match by_alias || by_domain {
        true => Err(Problem::conflict(format!(
            "Something outside of what you administer leads to {address}; please ask your provider to remove it."
        ))),
        false => Ok(()),
    }
}

fn is_same(target: &str, key: &AddressKey) -> bool {
    AddressKey::parse(target).is_ok_and(|target| target == *key)
}
