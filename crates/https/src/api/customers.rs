//! How accounts connect and what they must do about it, live news of one, and legacy access.

use crate::access::{Right, Subject};
use crate::answer;
use crate::call::{Call, Created, Json, List, NoBody, NoQuery};
use crate::face::still_sees;
use crate::language::Language;
use crate::posture::{self, Posture, outcome_words};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::body::{Body, Bytes};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use futures_util::stream;
use platform::clock::Timestamp;
use policy::LocalTime;
use policy::admin::Author;
use policy::connections::{Belief, Connection, Live, Manner, Status};
use policy::legacy::Enrolments;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// How often a quiet stream of events says that it is there.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// Enrolments that are listed.
const LISTED_MAX: u32 = 1_000_000;

/// Their routes.
pub(super) fn routes() -> Vec<Route> {
    let (see, own) = ((Right::See, About::Account), (Right::Own, About::Account));
    let assist = (Right::Assist, About::Account);
    let look = (Right::See, About::Installation);
    const LEGACY: &str = "/api/v1/accounts/{account}/legacy-access";
    const LIVE: &str = "/api/v1/accounts/{account}/live";
    vec![
        Route::api(
            Method::GET,
            "/api/v1/accounts/{account}/connections",
            see,
            "How an account connects, and what it must do",
            connections,
        )
        .audited(),
        Route::page(Method::GET, LIVE, see, live).audited(),
        Route::api(
            Method::PUT,
            "/api/v1/accounts/{account}/own-legacy-access",
            own,
            "Keep an old client of one's own until the end date",
            enrol_self,
        ),
        Route::api(
            Method::PUT,
            LEGACY,
            assist,
            "Let an account use the legacy hosts",
            enrol,
        ),
        Route::api(Method::DELETE, LEGACY, assist, "End that", withdraw),
        Route::api(
            Method::GET,
            "/api/v1/legacy-access",
            look,
            "Who may use the legacy hosts",
            legacy,
        ),
    ]
}

/// One way an account connected.
#[derive(Serialize, ToSchema)]
struct Row {
    /// `submission`, `imap`, `pop3` …
    service: &'static str,
    port: u16,
    /// `clear`, `starttls` or `tls`.
    encryption: &'static str,
    /// `normal` or `legacy`.
    door: &'static str,
    tls: Option<String>,
    cipher: String,
    /// The program in words.
    client: String,
    /// Its key in the catalogue.
    client_key: String,
    outcome: &'static str,
    /// The outcome in words.
    meaning: &'static str,
    /// Whether it was certainly the account itself.
    certain: bool,
    /// Whether the same program has logged in securely since.
    settled: bool,
    seen: u64,
    first_day: String,
    last_day: String,
}

fn row(posture: &Posture, row: &Connection, language: Language) -> Row {
    let manner = &row.manner;
    Row {
        service: manner.service.word(),
        port: manner.port,
        encryption: manner.encryption.word(),
        door: manner.door.word(),
        tls: manner.tls.map(|version| version.to_string()),
        cipher: manner.cipher.to_string(),
        client: posture.client(&manner.client, language),
        client_key: manner.client.to_string(),
        outcome: manner.outcome.word(),
        meaning: outcome_words(manner.outcome, language),
        certain: row.belief == Belief::Proved,
        settled: row.settled,
        seen: row.seen,
        first_day: super::day(row.first_day),
        last_day: super::day(row.last_day),
    }
}

/// A device that does not meet what is demanded.
#[derive(Serialize, ToSchema)]
struct Device {
    client: String,
    service: &'static str,
    port: u16,
    measure: String,
    /// The shortest way to mend it.
    advice: Option<String>,
    /// The guide's name.
    guide: Option<String>,
    last_day: String,
}

/// How an account stands.
#[derive(Serialize, ToSchema)]
struct Stands {
    account: String,
    /// `nothing-to-do` or `action-needed`.
    status: &'static str,
    /// Since which day something must be done.
    since: Option<String>,
    devices: Vec<Device>,
    /// Senders that are not its own.
    senders: Vec<String>,
    /// Whether its password came in clear and should be changed.
    password_exposed: bool,
    /// Whether it may use the legacy hosts.
    enrolled: bool,
    /// The last day of legacy access.
    legacy_until: Option<String>,
    connections: Vec<Row>,
}

async fn connections(call: Call, _: NoQuery, _: NoBody) -> Result<Json<Stands>, Problem> {
    let posture = posture::of(&call, &call.login()?).await?;
    let language = call.language;
    let devices = posture.devices().iter().map(|device| {
        let guide = posture.guide(&device.client, language);
        Device {
            client: posture.client(&device.client, language),
            service: device.service.word(),
            port: device.port,
            measure: device.measure.to_string(),
            advice: guide.as_ref().map(|guide| guide.brief.clone()),
            guide: guide.map(|guide| guide.id.to_owned()),
            last_day: super::day(device.last_day),
        }
    });
    let action = match &posture.status {
        Status::NothingToDo => None,
        Status::ActionNeeded(action) => Some(action),
    };
    Ok(Json(Stands {
        account: posture.login.to_string(),
        status: match action {
            None => "nothing-to-do",
            Some(_) => "action-needed",
        },
        since: action.map(|action| super::day(action.since)),
        devices: devices.collect(),
        senders: action
            .map(|action| action.senders.clone())
            .unwrap_or_default(),
        password_exposed: action.is_some_and(|action| action.exposed.is_some()),
        enrolled: posture.enrolled,
        legacy_until: posture.legacy_end(language),
        connections: posture
            .connections
            .iter()
            .map(|c| row(&posture, c, language))
            .collect(),
    }))
}

/// News of one account, as server-sent events: `connection` with what it did, `data` as in `Row`.
#[derive(Serialize)]
struct News<'a> {
    service: &'static str,
    port: u16,
    encryption: &'static str,
    tls: Option<String>,
    client_key: &'a str,
    outcome: &'static str,
    /// Whether this login was secure: the tick turns green.
    secure: bool,
    at: String,
}

/// S1-35. The stream ends with the connection's time; clients begin anew by themselves.
async fn live(call: Call) -> Result<Response, Problem> {
    let services = &call.services;
    let account = services.accounts.account_id(&call.login()?).await?;
    let (live, subject) = (
        services.connections.watch(account),
        Subject::Account(call.login()?),
    );
    let begun = (live, call, subject);
    let news = stream::unfold(begun, |(mut live, call, subject)| async {
        let line = next(&mut live).await?;
        // A session that has ended, or a token that was revoked, sees nothing any more.
        match still_sees(&call, &subject).await {
            true => Some((
                Ok::<_, Infallible>(Bytes::from(line)),
                (live, call, subject),
            )),
            false => None,
        }
    });
    let response = answer::with_body(StatusCode::OK, "text/event-stream", Body::from_stream(news));
    Ok(response)
}

async fn next(live: &mut Live) -> Option<String> {
    match tokio::time::timeout(SIGN_OF_LIFE, live.next()).await {
        Ok(event) => event.map(|event| said(&event.manner, event.at.0)),
        Err(_quiet) => Some(": still here\n\n".to_owned()),
    }
}

fn said(manner: &Manner, at: i64) -> String {
    let news = News {
        service: manner.service.word(),
        port: manner.port,
        encryption: manner.encryption.word(),
        tls: manner.tls.map(|version| version.to_string()),
        client_key: &manner.client,
        outcome: manner.outcome.word(),
        secure: manner.is_secure_login(),
        at: super::time(at),
    };
    let data = serde_json::to_string(&news).unwrap_or_default();
    format!("event: connection\ndata: {data}\n\n")
}

/// Until when, and why.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Enrol {
    /// When it ends (RFC 3339), or the last day of it (`2027-05-30`, in the installation's time zone); without it, with
    /// legacy access itself.
    pub until: Option<String>,
    /// Why; kept in the history.
    #[schema(min_length = 1, max_length = 2000)]
    pub reason: String,
}

/// That an account is enrolled.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Enrolled {
    /// When it ends.
    pub until: String,
    /// The last day of it, in the installation's time zone.
    pub last_day: String,
}

/// The moment a text names: itself, or the end of a local day.
fn end_in(call: &Call, text: &str) -> Result<Timestamp, Problem> {
    match text.parse::<LocalTime>() {
        Ok(day) => Ok(call.services.policies.snapshot().zone().end(day)),
        Err(_) => super::time_in(text),
    }
}

async fn enrol_with(
    call: &Call,
    until: Option<String>,
    reason: String,
) -> Result<Enrolled, Problem> {
    let until = until
        .as_deref()
        .map(|text| end_in(call, text))
        .transpose()?;
    let author = Author {
        by: call.who(),
        reason,
        now: call.now,
    };
    let enrolments = Enrolments::new(call.services.store.clone());
    let until = enrolments.enrol(&call.login()?, until, author).await?;
    call.services.policies.refresh().await?;
    let policy = call.services.policies.snapshot();
    Ok(Enrolled {
        until: super::time(until.0),
        // The moment it ends is the beginning of the day after.
        last_day: super::day(policy.day(Timestamp(until.0 - 1))),
    })
}

async fn enrol(call: Call, _: NoQuery, sent: Json<Enrol>) -> Result<Created<Enrolled>, Problem> {
    let Json(Enrol { until, reason }) = sent;
    Ok(Created(enrol_with(&call, until, reason).await?))
}

async fn enrol_self(call: Call, _: NoQuery, _: NoBody) -> Result<Created<Enrolled>, Problem> {
    let reason = "by the owner of the account".to_owned();
    Ok(Created(enrol_with(&call, None, reason).await?))
}

/// Why.
#[derive(Deserialize, IntoParams)]
struct Why {
    /// Kept in the history.
    reason: Option<String>,
}

/// That an account may no longer use the legacy hosts.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Withdrawn {
    /// Whether it might before.
    pub was_enrolled: bool,
}

async fn withdraw(call: Call, why: Why, _: NoBody) -> Result<Json<Withdrawn>, Problem> {
    let reason = why.reason.unwrap_or_else(|| "no longer needed".to_owned());
    let author = Author {
        by: call.who(),
        reason: reason.replace('\0', ""),
        now: call.now,
    };
    let enrolments = Enrolments::new(call.services.store.clone());
    let was_enrolled = enrolments.withdraw(&call.login()?, author).await?;
    call.services.policies.refresh().await?;
    Ok(Json(Withdrawn { was_enrolled }))
}

/// Somebody who may use the legacy hosts.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Enrolment {
    /// The login address.
    pub account: String,
    /// Since when.
    pub since: String,
    /// When it ends, where not with legacy access itself.
    pub until: Option<String>,
    /// Who enrolled it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// The last day it logged in there.
    pub last_used: Option<String>,
    /// Whether that was of late: it would be cut off today.
    pub is_used: bool,
}

async fn legacy(call: Call, _: NoQuery, _: NoBody) -> Result<List<Enrolment>, Problem> {
    call.services.connections.flush().await?;
    let list = Enrolments::new(call.services.store.clone())
        .list(LISTED_MAX)
        .await?;
    let shown = list.into_iter().map(|enrolment| Enrolment {
        is_used: enrolment.is_used(call.now),
        account: enrolment.login,
        since: super::time(enrolment.since.0),
        until: enrolment.until.map(|until| super::time(until.0)),
        by: enrolment.by,
        reason: enrolment.reason,
        last_used: enrolment.last_used_day.map(super::day),
    });
    Ok(List(shown.collect()))
}
