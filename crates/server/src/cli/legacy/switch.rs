//! `rohrpost legacy disable` and `enable`: the emergency switch, and waiting until the gateway has carried it out.

use super::{Desk, What, Why, invalid};
use crate::control::{Request, ask};
use crate::node::legacy::GatewayReport;
use policy::admin::PolicyError;
use policy::legacy::Stopped;
use policy::{LegacyClear, OldVersions};
use std::time::Duration;

/// How long the gateway may take.
const LOOKS_MAX: u32 = 50;
/// Pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) async fn disable(
    desk: &Desk<'_>,
    what: &What,
    now: bool,
    why: &Why,
) -> Result<String, PolicyError> {
    let stopped = stopped(what)?;
    if !now {
        return Err(invalid(
            "this ends sessions at once and until you take it back; say --now if that is meant",
        ));
    }
    let notices = desk.enrolments.stop(stopped, desk.author(why)).await?;
    desk.refresh();
    let mut text = format!(
        "Switched off: {}. {notices} enrolled accounts get a notice.\n",
        stopped.words().join(", ")
    );
    text.push_str(&match carried_out(desk, &stopped).await {
        Told::NoGateway => {
            "No gateway is connected; one that comes is told before it serves anybody.\n".to_owned()
        }
        Told::Done(report) => format!(
            "The gateway has carried it out. Sessions now: {}.\n",
            sessions(&report)
        ),
        Told::Late => {
            return Err(invalid(
                "the switch is stored, but the gateway did not confirm it within 5 seconds; stop \
                 rohrpost-legacy",
            ));
        }
    });
    Ok(text)
}

pub(super) async fn enable(desk: &Desk<'_>, what: &What, why: &Why) -> Result<String, PolicyError> {
    let stopped = stopped(what)?;
    desk.enrolments.resume(stopped, desk.author(why)).await?;
    desk.refresh();
    Ok(format!(
        "No longer switched off: {}. What legacy-access and the measures say holds again.\n",
        stopped.words().join(", ")
    ))
}

fn stopped(what: &What) -> Result<Stopped, PolicyError> {
    let mut versions = OldVersions::default();
    for word in what.tls.iter().flat_map(|text| text.split(',')) {
        match word.trim() {
            "1.0" => versions.tls10 = true,
            "1.1" => versions.tls11 = true,
            other => {
                return Err(invalid(format!(
                    "--tls takes 1.0, 1.1 or 1.0,1.1; \"{other}\" cannot be switched off here"
                )));
            }
        }
    }
    Ok(Stopped {
        versions,
        clear: what.cleartext.then_some(LegacyClear::Refused),
    })
}

enum Told {
    NoGateway,
    Done(GatewayReport),
    Late,
}

/// Looks until the gateway says that nothing of `stopped` is allowed or open any more.
async fn carried_out(desk: &Desk<'_>, stopped: &Stopped) -> Told {
    for _ in 0..LOOKS_MAX {
        match report(desk) {
            None => return Told::NoGateway,
            Some(report) if is_done(&report, stopped) => return Told::Done(report),
            Some(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
    Told::Late
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

/// What a running node knows of its gateway.
pub(super) fn report(desk: &Desk<'_>) -> Option<GatewayReport> {
    let answer = ask(&desk.settings.data_dir, &Request::Legacy).ok()??;
    serde_json::from_str(&answer.text)
        .ok()
        .filter(|_| answer.ok)
}

/// Open sessions in words.
pub(super) fn sessions(report: &GatewayReport) -> String {
    let [clear, tls10, tls11, tls12] = report.sessions;
    format!("{clear} in clear, {tls10} over TLS 1.0, {tls11} over TLS 1.1, {tls12} over TLS 1.2")
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
        let what = |tls: &str, cleartext| {
            stopped(&What {
                tls: (!tls.is_empty()).then(|| tls.to_owned()),
                cleartext,
            })
        };
        let tls10 = what("1.0", false).unwrap();
        assert!(!is_done(&report, &tls10));
        report.sessions[1] = 0;
        assert!(is_done(&report, &tls10));
        assert!(!is_done(&report, &what("1.0,1.1", false).unwrap()));
        assert!(!is_done(&report, &what("", true).unwrap()));
        report.cleartext = false;
        assert!(is_done(&report, &what("", true).unwrap()));
        assert!(what("1.2", false).is_err());
    }
}
