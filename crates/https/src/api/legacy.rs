//! Legacy access as a whole: how the gateway is and what is known of its library, the emergency switch, the proof for
//! domains that forbid it, and what was done. Who is enrolled is in `customers`, the names in the DNS in `legacy_dns`.

use super::author;
use crate::access::Right;
use crate::advisories;
use crate::answer;
use crate::call::{Call, Described, Json, List, NoBody, NoQuery, Told};
use crate::legacy_hosts::GatewayReport;
use crate::problem::Problem;
use crate::proof::{self, Proof, Statement, document};
use crate::route::{About, Route};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use platform::clock::Timestamp;
use policy::legacy::{Enrolments, Past, Stop, Stopped, USED_WITHIN_DAYS};
use policy::{Legacy, LegacyClear, OldVersions, Sender};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// Lines of the history.
const HISTORY_USUAL: u32 = 100;
/// Lines at most.
const HISTORY_MAX: u32 = 10_000;
/// Enrolments that are counted.
const ENROLMENTS_MAX: u32 = 1_000_000;
/// Looks at the gateway until it has carried out the switch: five seconds in all.
const LOOKS_MAX: u32 = 50;
/// Between two of them.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Their routes.
pub(super) fn routes() -> Vec<Route> {
    let look = (Right::See, About::Installation);
    let operate = (Right::Change, About::Installation);
    let of_domain = (Right::See, About::Domain);
    const STOPS: &str = "/api/v1/legacy/stops";
    vec![
        Route::api(
            Method::GET,
            "/api/v1/legacy/status",
            look,
            "The gateway, its TLS library with what is known of it, the end, and how many still come",
            status,
        ),
        Route::api(
            Method::GET,
            STOPS,
            look,
            "What stands switched off at the legacy hosts",
            stops,
        ),
        Route::api(
            Method::POST,
            STOPS,
            operate,
            "Switch old TLS or logins in clear off, at once; waits until the gateway has",
            stop,
        ),
        Route::api(
            Method::POST,
            "/api/v1/legacy/resume",
            operate,
            "Take that back",
            resume,
        ),
        Route::api(
            Method::GET,
            "/api/v1/legacy/history",
            look,
            "Who did what with legacy access, newest first",
            history,
        ),
        Route::api(
            Method::GET,
            "/api/v1/domains/{domain}/legacy-proof",
            of_domain,
            "A signed proof of a domain's TLS, where it forbids legacy access; every port is tried",
            proof,
        ),
        Route::api(
            Method::GET,
            "/api/v1/domains/{domain}/legacy-proof/pdf",
            of_domain,
            "The same as PDF, which carries the signed data",
            proof_pdf,
        ),
    ]
}

/// How legacy access is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LegacyStatus {
    /// Whether a gateway is configured.
    pub configured: bool,
    /// Where it connects.
    pub socket: Option<String>,
    /// The last day of legacy access; without one, it was never set.
    pub last_day: Option<String>,
    /// Whether that is over.
    pub over: bool,
    /// Accounts that may use the legacy hosts.
    pub enrolled: usize,
    /// How far back `used` looks.
    pub used_within_days: i64,
    /// Of them, those that logged in there of late.
    pub used: usize,
    /// What stands switched off.
    pub switched_off: Vec<SwitchedOff>,
    /// The gateway; without it, none is connected.
    pub gateway: Option<GatewayStatus>,
}

/// How the gateway is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct GatewayStatus {
    /// Its TLS library, as that names itself.
    pub library: String,
    /// TLS versions it speaks now, with commas between.
    pub versions: String,
    /// Whether sessions in clear may log in.
    pub cleartext: bool,
    /// Its listeners, such as `imaps 192.0.2.10:993`.
    pub listeners: Vec<String>,
    /// Open sessions in clear, over TLS 1.0, 1.1 and 1.2.
    #[schema(min_items = 4, max_items = 4)]
    pub sessions: Vec<u32>,
    /// What is known of the library: its support and its weaknesses, a sentence each.
    pub known_of_the_library: Vec<String>,
}

impl GatewayStatus {
    fn of(report: GatewayReport, today: &str) -> Self {
        Self {
            known_of_the_library: advisories::about(&report.library, today),
            library: report.library,
            versions: report.versions,
            cleartext: report.cleartext,
            listeners: report.listeners,
            sessions: report.sessions.to_vec(),
        }
    }
}

async fn status(call: Call, _: NoQuery, _: NoBody) -> Result<Json<LegacyStatus>, Problem> {
    let services = &call.services;
    services.connections.flush().await?;
    let policy = services.policies.snapshot();
    let end = policy.legacy_end();
    let all = enrolments(&call).list(ENROLMENTS_MAX).await?;
    let today = super::day(policy.day(call.now));
    let hosts = &services.legacy;
    Ok(Json(LegacyStatus {
        configured: hosts.socket.is_some(),
        socket: hosts.socket.as_ref().map(|path| path.display().to_string()),
        // The moment it ends is the beginning of the day after.
        last_day: end.map(|end| super::day(policy.day(Timestamp(end.0 - 1)))),
        over: end.is_some_and(|end| end <= call.now),
        enrolled: all.len(),
        used_within_days: USED_WITHIN_DAYS,
        used: all.iter().filter(|one| one.is_used(call.now)).count(),
        switched_off: listed(&call).await?,
        gateway: (hosts.gateway)().map(|report| GatewayStatus::of(report, &today)),
    }))
}

/// Something that stands switched off.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SwitchedOff {
    /// `tls-1.0`, `tls-1.1` or `cleartext`.
    pub what: String,
    /// Since when.
    pub since: String,
    /// Who did it.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl From<Stop> for SwitchedOff {
    fn from(stop: Stop) -> Self {
        Self {
            what: stop.what,
            since: super::time(stop.since.0),
            by: stop.by,
            reason: stop.reason,
        }
    }
}

fn enrolments(call: &Call) -> Enrolments {
    Enrolments::new(call.services.store.clone())
}

async fn listed(call: &Call) -> Result<Vec<SwitchedOff>, Problem> {
    let stops = enrolments(call).stops().await?;
    Ok(stops.into_iter().map(SwitchedOff::from).collect())
}

async fn stops(call: Call, _: NoQuery, _: NoBody) -> Result<List<SwitchedOff>, Problem> {
    Ok(List(listed(&call).await?))
}

/// One thing that can be switched.
#[derive(Debug, Serialize, Deserialize, Clone, Copy, PartialEq, Eq, ToSchema)]
pub enum Switch {
    /// TLS 1.0.
    #[serde(rename = "tls-1.0")]
    Tls10,
    /// TLS 1.1.
    #[serde(rename = "tls-1.1")]
    Tls11,
    /// Logins in clear.
    #[serde(rename = "cleartext")]
    Cleartext,
}

impl Switch {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Tls10 => "tls-1.0",
            Self::Tls11 => "tls-1.1",
            Self::Cleartext => "cleartext",
        }
    }
}

/// What is switched, and why.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Switches {
    /// What.
    #[schema(min_items = 1, max_items = 3)]
    pub what: Vec<Switch>,
    /// Kept in the history.
    pub reason: String,
}

impl Switches {
    fn stopped(&self) -> Stopped {
        Stopped {
            versions: OldVersions {
                tls10: self.what.contains(&Switch::Tls10),
                tls11: self.what.contains(&Switch::Tls11),
            },
            clear: (self.what.contains(&Switch::Cleartext)).then_some(LegacyClear::Refused),
        }
    }
}

/// Whether the gateway has carried a switch out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CarriedOut {
    /// No gateway is connected; one that comes is told before it serves anybody.
    NoGateway,
    /// It has.
    Done,
    /// It did not confirm it within five seconds; stop it by hand.
    Late,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Switched {
    /// Enrolled accounts that get a notice.
    pub notices: u64,
    /// Everything that stands switched off now.
    pub stops: Vec<SwitchedOff>,
    /// Whether the gateway has carried it out.
    pub carried_out: CarriedOut,
    /// Its open sessions after that: in clear, over TLS 1.0, 1.1 and 1.2.
    pub sessions: Option<Vec<u32>>,
}

async fn stop(call: Call, _: NoQuery, sent: Json<Switches>) -> Result<Json<Switched>, Problem> {
    call.note_before(&listed(&call).await?);
    let what = sent.0.stopped();
    let notices = enrolments(&call)
        .stop(what, author(&call, sent.0.reason))
        .await?;
    call.services.policies.refresh().await?;
    let stops = listed(&call).await?;
    call.note_after(&stops);
    let (carried_out, report) = wait_for_gateway(&call, &what).await;
    Ok(Json(Switched {
        notices,
        stops,
        carried_out,
        sessions: report.map(|report| report.sessions.to_vec()),
    }))
}

/// Looks until the gateway says that nothing of `stopped` is allowed or open any more.
async fn wait_for_gateway(call: &Call, stopped: &Stopped) -> (CarriedOut, Option<GatewayReport>) {
    let mut last = None;
    for _ in 0..LOOKS_MAX {
        match (call.services.legacy.gateway)() {
            None => return (CarriedOut::NoGateway, None),
            Some(report) if is_done(&report, stopped) => return (CarriedOut::Done, Some(report)),
            Some(report) => last = Some(report),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    (CarriedOut::Late, last)
}

fn is_done(report: &GatewayReport, stopped: &Stopped) -> bool {
    let allowed: Vec<_> = report.versions.split(',').collect();
    let [_, tls10, tls11, _] = report.sessions;
    let gone =
        |stopped: bool, word: &str, open: u32| !stopped || (!allowed.contains(&word) && open == 0);
    gone(stopped.versions.tls10, "1.0", tls10)
        && gone(stopped.versions.tls11, "1.1", tls11)
        // Sessions in clear that are open then are new, and wait for STARTTLS.
        && (!stopped.stops_clear() || !report.cleartext)
}

async fn resume(
    call: Call,
    _: NoQuery,
    sent: Json<Switches>,
) -> Result<List<SwitchedOff>, Problem> {
    call.note_before(&listed(&call).await?);
    let what = sent.0.stopped();
    enrolments(&call)
        .resume(what, author(&call, sent.0.reason))
        .await?;
    call.services.policies.refresh().await?;
    let stops = listed(&call).await?;
    call.note_after(&stops);
    Ok(List(stops))
}

/// How much of the history.
#[derive(Deserialize, IntoParams)]
struct Lines {
    /// At most so many; 100 where it is not said.
    #[param(minimum = 1, maximum = 10000)]
    limit: Option<u32>,
}

/// A line of the history.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LegacyPast {
    /// When.
    pub at: String,
    /// Who.
    pub by: String,
    /// What was done.
    pub what: String,
    /// Why.
    pub reason: String,
}

async fn history(call: Call, lines: Lines, _: NoBody) -> Result<List<LegacyPast>, Problem> {
    let limit = lines.limit.unwrap_or(HISTORY_USUAL).clamp(1, HISTORY_MAX);
    let past = enrolments(&call).history(limit).await?.into_iter();
    let shown = past.map(|past: Past| LegacyPast {
        at: super::time(past.at.0),
        by: past.by,
        what: past.what,
        reason: past.reason,
    });
    Ok(List(shown.collect()))
}

/// Makes the proof for the domain of the path.
async fn made(call: &Call) -> Result<Proof, Problem> {
    let domain = call.domain()?;
    let services = &call.services;
    services.accounts.domain(&domain).await?;
    let name = domain.clone();
    let read = services
        .store
        .read(move |tx| policy::rules::store::domain_group(tx, &name));
    let group = read.await?;
    let sender = Sender {
        account: None,
        domain: domain.as_str(),
        group: group.as_deref(),
    };
    let policy = services.policies.snapshot();
    if policy.legacy(&sender, call.now) != Legacy::Forbidden {
        return Err(Problem::conflict([
            format!(
                "{domain} verbietet Legacy-Zugang nicht, also gibt es nichts zu beweisen; zuerst `rohrpost policy set \
                 {domain} legacy-access forbidden`."
            ),
            format!(
                "{domain} does not forbid legacy access, so there is nothing to prove; first `rohrpost policy set \
                 {domain} legacy-access forbidden`"
            ),
        ]));
    }
    let ports = services.legacy.ports().ok_or_else(|| {
        Problem::conflict([
            "Hier läuft kein Knoten; der Beweis sagt, was seine Ports antworten. Starten Sie ihn zuerst.",
            "no node runs here; the proof states what its ports answer, so start it first",
        ])
    })?;
    let _permit = services.legacy.proofs().acquire().await;
    let statement = Statement {
        domain: domain.to_string(),
        host: services.host_name.to_string(),
        made_at: super::time(call.now.0),
        legacy_access: "forbidden".to_owned(),
        services: proof::needed(&policy, &sender, call.now),
        ports: proof::tried(ports, &services.host_name, &services.random).await,
    };
    let signed = services.legacy.key.sign(statement);
    signed.map_err(|error| Problem::fault(&error))
}

async fn proof(call: Call, _: NoQuery, _: NoBody) -> Result<Json<Proof>, Problem> {
    Ok(Json(made(&call).await?))
}

/// A PDF.
struct Pdf(Vec<u8>);

impl Told for Pdf {
    const STATUS: StatusCode = StatusCode::OK;

    fn respond(self) -> Result<Response, Problem> {
        Ok(answer::with_body(StatusCode::OK, "application/pdf", self.0))
    }

    fn describe() -> Described {
        Described::text("application/pdf")
    }
}

async fn proof_pdf(call: Call, _: NoQuery, _: NoBody) -> Result<Pdf, Problem> {
    Ok(Pdf(document::pdf(&made(&call).await?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn done_means_not_allowed_and_none_open() {
        let mut report = GatewayReport {
            library: "OpenSSL".to_owned(),
            versions: "1.1,1.2".to_owned(),
            cleartext: true,
            sessions: [3, 1, 0, 2],
            listeners: Vec::new(),
        };
        let what = |what: &[Switch]| {
            let switches = Switches {
                what: what.to_vec(),
                reason: String::new(),
            };
            switches.stopped()
        };
        let tls10 = what(&[Switch::Tls10]);
        assert!(!is_done(&report, &tls10));
        report.sessions[1] = 0;
        assert!(is_done(&report, &tls10));
        assert!(!is_done(&report, &what(&[Switch::Tls10, Switch::Tls11])));
        assert!(!is_done(&report, &what(&[Switch::Cleartext])));
        report.cleartext = false;
        assert!(is_done(&report, &what(&[Switch::Cleartext])));
    }
}
