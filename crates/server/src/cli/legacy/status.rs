//! `rohrpost legacy status` and `list`: who has legacy access, who still uses it, and how the gateway is.

use super::{Desk, ENROLMENTS_MAX, advisories, day_text, invalid, switch};
use crate::node::legacy::{USED_WITHIN_DAYS, is_used};
use policy::admin::PolicyError;
use policy::legacy::Enrolment;
use serde_json::json;

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

pub(super) async fn status(desk: &Desk<'_>, json: bool) -> Result<String, PolicyError> {
    desk.keep();
    let policies = desk.policies().await?;
    let policy = policies.snapshot();
    let end = policy.legacy_end();
    let over = end.is_some_and(|end| end <= desk.now);
    let last_day = end.map(|end| day_text(policy.day(platform::clock::Timestamp(end.0 - 1))));
    let all = desk.enrolments.list(ENROLMENTS_MAX).await?;
    let used = all.iter().filter(|one| is_used(one, desk.now)).count();
    let stops = desk.enrolments.stops().await?;
    let report = switch::report(desk);
    let today = day_text(policy.day(desk.now));
    let library = report
        .as_ref()
        .map(|report| advisories::about(&report.library, &today));
    if json {
        return pretty(&json!({
            "configured": desk.settings.legacy_socket.0.is_some(),
            "last_day": last_day,
            "over": over,
            "enrolled": all.len(),
            "used_within_days": USED_WITHIN_DAYS,
            "used": used,
            "switched_off": stops.iter().map(|stop| json!({
                "what": stop.what, "since": formats::rfc3339::format(stop.since.0),
                "by": stop.by, "reason": stop.reason,
            })).collect::<Vec<_>>(),
            "gateway": report.as_ref().map(|report| json!({
                "library": report.library, "versions": report.versions,
                "cleartext": report.cleartext, "listeners": report.listeners,
                "sessions": report.sessions, "known_of_the_library": library,
            })),
        }));
    }
    let mut text = match (&last_day, over) {
        (None, _) => "Legacy access: none is set (legacy-access).\n".to_owned(),
        (Some(day), false) => format!("Legacy access: until {day}, the last day.\n"),
        (Some(day), true) => format!(
            "Legacy access: over since {day} was the last day; `rohrpost legacy dns` says what to take out \
             of the DNS.\n"
        ),
    };
    text.push_str(&format!(
        "Enrolled: {}, of them {used} came within {USED_WITHIN_DAYS} days.\n",
        all.len()
    ));
    for stop in &stops {
        text.push_str(&format!(
            "Switched off: {} since {} by {}{}.\n",
            stop.what,
            formats::rfc3339::format(stop.since.0),
            stop.by,
            if stop.reason.is_empty() {
                String::new()
            } else {
                format!(" ({})", stop.reason)
            }
        ));
    }
    match (&report, &desk.settings.legacy_socket.0) {
        (Some(report), _) => {
            text.push_str(&format!(
                "Gateway: connected, {}.\n  Speaks TLS {}; in clear: {}.\n  Sessions: {}.\n",
                report.library,
                report.versions,
                if report.cleartext {
                    "logins allowed"
                } else {
                    "no logins"
                },
                switch::sessions(report)
            ));
            for listener in &report.listeners {
                text.push_str(&format!("  Listens: {listener}\n"));
            }
        }
        (None, Some(path)) => text.push_str(&format!(
            "Gateway: not connected at {}; nobody is served there. Its library is unknown.\n",
            path.display()
        )),
        (None, None) => text.push_str("Gateway: none is configured (legacy.socket).\n"),
    }
    for line in library.iter().flatten() {
        text.push_str(&format!("  {line}\n"));
    }
    Ok(text)
}

fn pretty(value: &serde_json::Value) -> Result<String, PolicyError> {
    let text = serde_json::to_string_pretty(value).map_err(invalid)?;
    Ok(text + "\n")
}
