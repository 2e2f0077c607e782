//! How one account connects, what it should change and whether its password came in clear: what somebody looks at who
//! audits it. Changes nothing; that it was looked at is written to the audit log.

use super::seen::{Connected, connected};
use crate::access::Right;
use crate::call::{Call, Json, NoBody, NoQuery};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use platform::store::{StoreError, Tx};
use policy::clients::Catalogue;
use policy::connections::{self, ActionNeeded, Belief, Status};
use policy::exposed::{self, Exposed};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Its route.
pub(super) fn routes() -> Vec<Route> {
    let looked = Route::api(
        Method::GET,
        "/api/v1/accounts/{account}/audit",
        (Right::See, About::Account),
        "How an account connects, and what it should change",
        look,
    );
    vec![looked.audited()]
}

/// A measure the account does not meet.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct UnmetMeasure {
    /// Such as `cleartext/imap`.
    pub measure: String,
    /// How far it has come for the account.
    pub stage: String,
    /// From when on it is enforced; nothing: it is already, or no date is set.
    pub enforced_from: Option<String>,
}

/// A mail program that does not meet a measure.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct FailingDevice {
    /// Its key in the catalogue; empty where nothing is known.
    pub client: String,
    /// The same in words.
    pub client_name: String,
    /// What it speaks.
    pub service: String,
    /// At which of our ports.
    pub port: u16,
    /// `clear`, `starttls` or `tls`.
    pub encryption: String,
    /// `normal` or `legacy`.
    pub door: String,
    /// Its TLS version; nothing: none.
    pub tls: Option<String>,
    /// What came of it at last.
    pub outcome: String,
    /// What it does not meet.
    pub measure: String,
    /// How often.
    pub seen: u64,
    /// When first (UTC).
    pub first_day: String,
    /// When last (UTC).
    pub last_day: String,
}

/// What an account must do something about.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Needed {
    /// Since which day (UTC).
    pub since: String,
    /// What is or will be demanded.
    pub measures: Vec<UnmetMeasure>,
    /// What does not meet it.
    pub devices: Vec<FailingDevice>,
    /// Senders that are not the account's own.
    pub senders: Vec<String>,
}

/// That a password came in clear.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ExposedAt {
    /// Where.
    pub service: String,
    /// Whether it was certainly the account itself.
    pub certain: bool,
    /// How often.
    pub seen: u64,
    /// When first (UTC).
    pub first_day: String,
    /// When last (UTC).
    pub last_day: String,
}

/// How an account connects.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AccountAudit {
    /// Its address.
    pub account: String,
    /// The time zone of the installation, in which dates are meant.
    pub zone: String,
    /// What it must do; nothing: nothing.
    pub needed: Option<Needed>,
    /// Whether its password came in clear and was not changed since.
    pub password_exposed: Option<ExposedAt>,
    /// Every way in which it connected.
    pub connections: Vec<Connected>,
}

async fn look(call: Call, _: NoQuery, _: NoBody) -> Result<Json<AccountAudit>, Problem> {
    let login = call.login()?;
    let account = call.services.accounts.account_id(&login).await?;
    call.services.keep().await?;
    let (snapshot, now) = (call.services.policies.snapshot(), call.now);
    let zone = snapshot.zone().name().to_owned();
    let read = call.services.store.read(move |tx: &mut dyn Tx| {
        let status = connections::status(tx, &snapshot, account, now)?;
        let rows = connections::list(tx, account)?;
        Ok::<_, StoreError>((status, exposed::of(tx, account)?, rows))
    });
    let (status, exposed, rows) = read.await?;
    let login = login.to_string();
    let needed = match &status {
        Status::NothingToDo => None,
        Status::ActionNeeded(action) => Some(needed(action, &call.services.policies.catalogue())),
    };
    let connections = rows.iter().map(|row| connected(login.clone(), row));
    Ok(Json(AccountAudit {
        zone,
        needed,
        password_exposed: exposed.as_ref().map(exposed_at),
        connections: connections.collect(),
        account: login,
    }))
}

fn exposed_at(exposed: &Exposed) -> ExposedAt {
    ExposedAt {
        service: exposed.service.word().to_owned(),
        certain: exposed.belief == Belief::Proved,
        seen: exposed.seen,
        first_day: super::day(exposed.first_day),
        last_day: super::day(exposed.last_day),
    }
}

fn needed(action: &ActionNeeded, catalogue: &Catalogue) -> Needed {
    let measures = action.measures.iter().map(|one| UnmetMeasure {
        measure: one.measure.to_string(),
        stage: one.stage.word().to_owned(),
        enforced_from: one.enforced_from.map(|at| super::time(at.0)),
    });
    let devices = action.devices.iter().map(|one| FailingDevice {
        client: one.client.clone(),
        client_name: match one.client.as_str() {
            "" => "unknown".to_owned(),
            key => catalogue.from_key(key).to_string(),
        },
        service: one.service.word().to_owned(),
        port: one.port,
        encryption: one.encryption.word().to_owned(),
        door: one.door.word().to_owned(),
        tls: one.tls.map(|version| version.to_string()),
        outcome: one.outcome.word().to_owned(),
        measure: one.measure.to_string(),
        seen: one.seen,
        first_day: super::day(one.first_day),
        last_day: super::day(one.last_day),
    });
    Needed {
        since: super::day(action.since),
        measures: measures.collect(),
        devices: devices.collect(),
        senders: action.senders.clone(),
    }
}
