//! `rohrpost legacy status` and `list`: who has legacy access, who still uses it, and how the gateway is.

use super::{Desk, ENROLMENTS_MAX, advisories, day_text, invalid, switch};
use crate::node::legacy::{GatewayReport, USED_WITHIN_DAYS, is_used};
use platform::clock::Timestamp;
use policy::admin::PolicyError;
use policy::legacy::{Enrolment, Stop};
use serde_json::json;
use std::path::PathBuf;

pub(super) async fn list(desk: &Desk<'_>, left: bool, json: bool) -> Result<String, PolicyError> {
    desk.keep();
    let mut all = desk.enrolments.list(ENROLMENTS_MAX).await?;
    if left {
        all.retain(|enrolment| is_used(enrolment, desk.now));
    }
    if json {
        let values: Vec<_> = all.iter().map(value).collect();
        return pretty(&json!(values));
    }
    Ok(all.iter().map(line).collect())
}

fn value(enrolment: &Enrolment) -> serde_json::Value {
    json!({
        "account": enrolment.login,
        "since": formats::rfc3339::format(enrolment.since.0),
        "until": enrolment.until.map(|until| formats::rfc3339::format(until.0)),
        "by": enrolment.by,
        "reason": enrolment.reason,
        "last_used": enrolment.last_used_day.map(day_text),
    })
}

fn line(enrolment: &Enrolment) -> String {
    let since = day_text(enrolment.since.0.div_euclid(24 * 3600 * 1000));
    let used = enrolment.last_used_day.map_or_else(
        || "never used".to_owned(),
        |day| format!("used {}", day_text(day)),
    );
    let reason = match enrolment.reason.is_empty() {
        true => String::new(),
        false => format!(", {}", enrolment.reason),
    };
    format!(
        "{}  since {since} by {}{reason}  {used}\n",
        enrolment.login, enrolment.by
    )
}

/// Everything `status` tells.
struct Overview {
    configured: Option<PathBuf>,
    /// The last day of legacy access.
    last_day: Option<String>,
    over: bool,
    enrolled: usize,
    used: usize,
    stops: Vec<Stop>,
    gateway: Option<GatewayReport>,
    /// What is known of the gateway's library.
    library: Vec<String>,
}

pub(super) async fn status(desk: &Desk<'_>, json: bool) -> Result<String, PolicyError> {
    desk.keep();
    let policies = desk.policies().await?;
    let policy = policies.snapshot();
    let end = policy.legacy_end();
    let all = desk.enrolments.list(ENROLMENTS_MAX).await?;
    let gateway = switch::report(desk);
    let today = day_text(policy.day(desk.now));
    let overview = Overview {
        configured: desk.settings.legacy_socket.0.clone(),
        last_day: end.map(|end| day_text(policy.day(Timestamp(end.0 - 1)))),
        over: end.is_some_and(|end| end <= desk.now),
        enrolled: all.len(),
        used: all.iter().filter(|one| is_used(one, desk.now)).count(),
        stops: desk.enrolments.stops().await?,
        library: gateway
            .as_ref()
            .map(|report| advisories::about(&report.library, &today))
            .unwrap_or_default(),
        gateway,
    };
    match json {
        true => pretty(&overview.json()),
        false => Ok(overview.text()),
    }
}

impl Overview {
    fn json(&self) -> serde_json::Value {
        let stop = |stop: &Stop| {
            json!({
                "what": stop.what, "since": formats::rfc3339::format(stop.since.0),
                "by": stop.by, "reason": stop.reason,
            })
        };
        json!({
            "configured": self.configured.is_some(),
            "last_day": self.last_day,
            "over": self.over,
            "enrolled": self.enrolled,
            "used_within_days": USED_WITHIN_DAYS,
            "used": self.used,
            "switched_off": self.stops.iter().map(stop).collect::<Vec<_>>(),
            "gateway": self.gateway.as_ref().map(|report| json!({
                "library": report.library, "versions": report.versions,
                "cleartext": report.cleartext, "listeners": report.listeners,
                "sessions": report.sessions, "known_of_the_library": self.library,
            })),
        })
    }

    fn text(&self) -> String {
        let mut text = match (&self.last_day, self.over) {
            (None, _) => "Legacy access: none is set (legacy-access).\n".to_owned(),
            (Some(day), false) => format!("Legacy access: until {day}, the last day.\n"),
            (Some(day), true) => format!(
                "Legacy access: over since {day} was the last day; `rohrpost legacy dns` says what to take \
                 out of the DNS.\n"
            ),
        };
        text.push_str(&format!(
            "Enrolled: {}, of them {} came within {USED_WITHIN_DAYS} days.\n",
            self.enrolled, self.used
        ));
        for stop in &self.stops {
            let reason = match stop.reason.is_empty() {
                true => String::new(),
                false => format!(" ({})", stop.reason),
            };
            let since = formats::rfc3339::format(stop.since.0);
            text.push_str(&format!(
                "Switched off: {} since {since} by {}{reason}.\n",
                stop.what, stop.by
            ));
        }
        text.push_str(&self.gateway_text());
        for line in &self.library {
            text.push_str(&format!("  {line}\n"));
        }
        text
    }

    fn gateway_text(&self) -> String {
        match (&self.gateway, &self.configured) {
            (Some(report), _) => {
                let clear = match report.cleartext {
                    true => "logins allowed",
                    false => "no logins",
                };
                let listeners = report.listeners.iter();
                let listeners: String = listeners.map(|at| format!("  Listens: {at}\n")).collect();
                format!(
                    "Gateway: connected, {}.\n  Speaks TLS {}; in clear: {clear}.\n  Sessions: {}.\n{listeners}",
                    report.library,
                    report.versions,
                    switch::sessions(report)
                )
            }
            (None, Some(path)) => format!(
                "Gateway: not connected at {}; nobody is served there. Its library is unknown.\n",
                path.display()
            ),
            (None, None) => "Gateway: none is configured (legacy.socket).\n".to_owned(),
        }
    }
}

fn pretty(value: &serde_json::Value) -> Result<String, PolicyError> {
    let text = serde_json::to_string_pretty(value).map_err(invalid)?;
    Ok(text + "\n")
}
