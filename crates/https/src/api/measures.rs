//! What would break: previews of changes, in JSON and CSV; the catalogue of clients; and what measures saw.

use crate::access::Right;
use crate::answer;
use crate::call::{Call, Json, List, NoBody, NoQuery};
use crate::form;
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use platform::store::Tx;
use policy::Scope;
use policy::admin::Admin;
use policy::clients::{Catalogue, Entry, TlsAbility};
use policy::impact::{self, Impact, Now, Proposed, Question, Sum};
use policy::setting::{Name, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// Days that a preview looks back where nothing is said.
const DAYS_USUAL: u32 = 30;
/// Days it looks back at most.
const DAYS_MAX: u32 = 365;

/// Their routes.
pub(super) fn routes() -> Vec<Route> {
    let look = (Right::See, About::Installation);
    let anyone = (Right::Public, About::Installation);
    vec![
        Route::api(
            Method::GET,
            "/api/v1/impact",
            look,
            "Who would no longer get through if this were enforced now",
            preview,
        ),
        Route::page(Method::GET, "/api/v1/impact.csv", look, sheet),
        Route::api(
            Method::GET,
            "/api/v1/catalogue/clients",
            anyone,
            "Mail programs and devices, their versions and what TLS they speak",
            clients,
        ),
        Route::api(
            Method::GET,
            "/api/catalogue/clients",
            anyone,
            "The same under its short address",
            clients,
        ),
    ]
}

/// Which change, for whom.
#[derive(Deserialize, IntoParams)]
struct Asked {
    /// Such as `tls-version/imap=1.2`, `cleartext/pop3`, `sender-ownership`, `outbound-tls/firma.example`, `rule/NAME`.
    change: String,
    /// Whom it is for: `installation`, a group, a domain, an address.
    scope: Option<String>,
    /// What was seen in so many days counts.
    #[param(minimum = 1, maximum = 365)]
    days: Option<u32>,
}

/// How many accounts share something.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Share {
    /// What they share.
    pub name: String,
    /// How many they are.
    pub accounts: u64,
}

/// An account that would no longer get through.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Affected {
    /// Its address.
    pub account: String,
    /// Its domain.
    pub domain: String,
    /// Its group.
    pub group: Option<String>,
    /// The programs concerned, as keys of the catalogue.
    pub clients: Vec<String>,
    /// Such as the senders it used.
    pub details: Vec<String>,
    /// Whether it gets through today.
    pub works_today: bool,
    /// How often that was seen.
    pub seen: u64,
    /// When last (UTC).
    pub last_day: String,
}

/// Another server that mail is exchanged with.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Server {
    /// Our domain.
    pub ours: String,
    /// Its domain.
    pub domain: String,
    /// Messages that did not meet the change.
    pub stopped: u64,
    /// Messages that did.
    pub passing: u64,
    /// When last one did not (UTC).
    pub last_day: String,
}

/// Who would no longer get through.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Preview {
    /// The change, as `impact` takes it.
    pub change: String,
    /// How many days were looked back.
    pub days: u32,
    /// Accounts that get through today and would not any more.
    pub locked_out: usize,
    /// All accounts concerned.
    pub accounts: Vec<Affected>,
    /// Their domains.
    pub domains: Vec<Share>,
    /// Their groups.
    pub groups: Vec<Share>,
    /// Their programs, as keys of the catalogue.
    pub clients: Vec<Share>,
    /// What these keys stand for, in words.
    pub client_names: BTreeMap<String, String>,
    /// Servers concerned.
    pub servers: Vec<Server>,
    /// Accounts that do the same and have an exception that lets them.
    pub excepted: u64,
    /// Accounts that do the same at the legacy hosts only.
    pub on_legacy: u64,
}

impl Preview {
    /// As the API says it, with `catalogue` for the names of programs.
    pub fn of(impact: Impact, catalogue: &Catalogue) -> Self {
        let keys = impact.accounts.iter().flat_map(|one| one.clients.iter());
        let keys = keys.chain(impact.clients.iter().map(|sum| &sum.name));
        let named = |key: &str| match key {
            "" => "unknown".to_owned(),
            key => catalogue.from_key(key).to_string(),
        };
        let client_names = keys.map(|key| (key.to_string(), named(key))).collect();
        let shares = |sums: Vec<Sum>| {
            let share = |sum: Sum| Share {
                name: sum.name.to_string(),
                accounts: sum.accounts,
            };
            sums.into_iter().map(share).collect()
        };
        let locked_out = impact.locked_out();
        let accounts = impact.accounts.into_iter().map(|account| Affected {
            account: account.login,
            domain: account.domain.to_string(),
            group: account.group.map(|group| group.to_string()),
            clients: account.clients.iter().map(ToString::to_string).collect(),
            details: account.details.iter().map(ToString::to_string).collect(),
            works_today: account.now == Now::Works,
            seen: account.seen,
            last_day: super::day(account.last_day),
        });
        Self {
            change: impact.proposed.to_string(),
            days: impact.days,
            locked_out,
            accounts: accounts.collect(),
            domains: shares(impact.domains),
            groups: shares(impact.groups),
            clients: shares(impact.clients),
            client_names,
            servers: impact.servers.into_iter().map(server).collect(),
            excepted: impact.excepted,
            on_legacy: impact.on_legacy,
        }
    }
}

impl Preview {
    /// Of what concerns other servers only.
    pub(super) fn of_servers(change: String, days: u32, servers: Vec<impact::Server>) -> Self {
        Self {
            change,
            days,
            locked_out: 0,
            accounts: Vec::new(),
            domains: Vec::new(),
            groups: Vec::new(),
            clients: Vec::new(),
            client_names: BTreeMap::new(),
            servers: servers.into_iter().map(server).collect(),
            excepted: 0,
            on_legacy: 0,
        }
    }
}

fn server(server: impact::Server) -> Server {
    Server {
        ours: server.ours,
        domain: server.domain,
        stopped: server.stopped,
        passing: server.passing,
        last_day: super::day(server.last_day),
    }
}

/// The preview of one change.
pub(super) async fn ask(
    call: &Call,
    change: Proposed,
    scope: Scope,
    days: u32,
) -> Result<Impact, Problem> {
    call.services.keep().await?;
    let (snapshot, now) = (call.services.policies.snapshot(), call.now);
    let read = call.services.store.read(move |tx: &mut dyn Tx| {
        let servers = routing::seen::servers(tx, &change, days, now)?;
        let question = Question {
            proposed: &change,
            scope: &scope,
            days,
            snapshot: &snapshot,
            now,
        };
        impact::preview(tx, &question, servers)
    });
    Ok(read.await?)
}

/// The previews of everything that a setting changes.
pub(super) async fn of_setting(
    call: &Call,
    scope: &Scope,
    (name, item, value): (Name, &str, &Value),
    days: Option<u32>,
) -> Result<Vec<Preview>, Problem> {
    let (at, item, value) = (scope.clone(), item.to_owned(), value.clone());
    let changes = call
        .services
        .store
        .read(move |tx: &mut dyn Tx| impact::changes(tx, &at, name, &item, &value))
        .await?;
    let mut previews = Vec::new();
    let days = days.unwrap_or(DAYS_USUAL).clamp(1, DAYS_MAX);
    let catalogue = call.services.policies.catalogue();
    for change in changes {
        let impact = ask(call, change, scope.clone(), days).await?;
        previews.push(Preview::of(impact, &catalogue));
    }
    Ok(previews)
}

async fn asked(call: &Call, asked: Asked) -> Result<Impact, Problem> {
    let change = Proposed::from_word(&asked.change);
    let change = change.ok_or_else(|| {
        Problem::invalid(
            "There is no such change; examples are tls-version/imap=1.2 and cleartext/pop3.",
        )
    })?;
    let scope = match asked.scope.filter(|scope| !scope.contains('\0')) {
        Some(scope) => {
            Admin::new(call.services.store.clone())
                .scope(&scope)
                .await?
        }
        None => Scope::Installation,
    };
    let days = asked.days.unwrap_or(DAYS_USUAL).clamp(1, DAYS_MAX);
    ask(call, change, scope, days).await
}

async fn preview(call: Call, which: Asked, _: NoBody) -> Result<Json<Preview>, Problem> {
    let impact = asked(&call, which).await?;
    Ok(Json(Preview::of(
        impact,
        &call.services.policies.catalogue(),
    )))
}

async fn sheet(call: Call) -> Result<Response, Problem> {
    let query = call.uri.query();
    let days = form::asked(query, "days").and_then(|days| days.parse().ok());
    let which = Asked {
        change: form::asked(query, "change").unwrap_or_default(),
        scope: form::asked(query, "scope"),
        days,
    };
    let impact = asked(&call, which).await?;
    Ok(answer::with_body(
        StatusCode::OK,
        "text/csv; charset=utf-8",
        impact.csv(),
    ))
}

/// A mail program or device.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Client {
    /// The first part of its keys.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Who makes it.
    pub vendor: String,
    /// What kind of thing it is.
    pub class: String,
    /// What it runs on.
    pub platform: String,
    /// The guide for it.
    pub guide: String,
    /// The newest TLS of versions that are not listed.
    pub newest_tls: Option<String>,
    /// Whether the operator wrote this entry.
    pub own: bool,
    /// Oldest first.
    pub versions: Vec<Version>,
}

/// Versions that are alike.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Version {
    /// What they are called.
    pub label: String,
    /// As installed.
    pub newest_tls: Option<String>,
    /// After an update or a setting the guide tells of.
    pub updated_tls: Option<String>,
    /// The last day of the vendor's support.
    pub support_ended: Option<String>,
    /// A guide of its own.
    pub guide: Option<String>,
}

fn client(entry: &Entry, own: bool) -> Client {
    let word = |ability: Option<TlsAbility>| ability.map(|tls| tls.word().to_owned());
    let versions = entry.versions.iter().map(|version| Version {
        label: version.label.to_string(),
        newest_tls: word(version.newest_tls),
        updated_tls: word(version.updated_tls),
        support_ended: version.support_ended.as_deref().map(str::to_owned),
        guide: version.guide.as_deref().map(str::to_owned),
    });
    Client {
        id: entry.id.to_string(),
        name: entry.name.to_string(),
        vendor: entry.vendor.to_string(),
        class: entry.class.word().to_owned(),
        platform: entry.platform.word().to_owned(),
        guide: entry.guide.to_string(),
        newest_tls: word(entry.newest_tls),
        own,
        versions: versions.collect(),
    }
}

async fn clients(call: Call, _: NoQuery, _: NoBody) -> Result<List<Client>, Problem> {
    let catalogue = call.services.policies.catalogue();
    let clients = catalogue
        .entries()
        .map(|entry| client(entry, catalogue.is_own(&entry.id)));
    Ok(List(clients.collect()))
}
