//! `rohrpost legacy status` and `list`: who has legacy access, who still uses it, and how the gateway is.

use super::{in_brackets, pretty, switch};
use crate::cli::admin_api::{AdminApi, path};
use https::api::customers::Enrolment;
use https::api::legacy::{GatewayStatus, LegacyStatus};
use serde_json::json;

pub(super) async fn list(api: &AdminApi, left: bool, json: bool) -> Result<String, String> {
    let mut all: Vec<Enrolment> = api.get(&path(&["legacy-access"], &[])).await?;
    if left {
        all.retain(|enrolment| enrolment.is_used);
    }
    if json {
        let values: Vec<_> = all.iter().map(value).collect();
        return pretty(&values);
    }
    Ok(all.iter().map(line).collect())
}

fn value(enrolment: &Enrolment) -> serde_json::Value {
    json!({
        "account": enrolment.account,
        "since": enrolment.since,
        "until": enrolment.until,
        "by": enrolment.by,
        "reason": enrolment.reason,
        "last_used": enrolment.last_used,
    })
}

fn line(enrolment: &Enrolment) -> String {
    let since: String = enrolment.since.chars().take(10).collect();
    let used = match &enrolment.last_used {
        None => "never used".to_owned(),
        Some(day) => format!("used {day}"),
    };
    let reason = match enrolment.reason.is_empty() {
        true => String::new(),
        false => format!(", {}", enrolment.reason),
    };
    format!(
        "{}  since {since} by {}{reason}  {used}\n",
        enrolment.account, enrolment.by
    )
}

pub(super) async fn status(api: &AdminApi, json: bool) -> Result<String, String> {
    let status: LegacyStatus = api.get(&path(&["legacy", "status"], &[])).await?;
    match json {
        true => pretty(&as_json(&status)),
        false => Ok(text(&status)),
    }
}

fn as_json(status: &LegacyStatus) -> serde_json::Value {
    json!({
        "configured": status.configured,
        "last_day": status.last_day,
        "over": status.over,
        "enrolled": status.enrolled,
        "used_within_days": status.used_within_days,
        "used": status.used,
        "switched_off": status.switched_off,
        "gateway": status.gateway,
    })
}

fn text(status: &LegacyStatus) -> String {
    let mut text = match (&status.last_day, status.over) {
        (None, _) => "Legacy access: none is set (legacy-access).\n".to_owned(),
        (Some(day), false) => format!("Legacy access: until {day}, the last day.\n"),
        (Some(day), true) => format!(
            "Legacy access: over since {day} was the last day; `rohrpost legacy dns` says what to take \
             out of the DNS.\n"
        ),
    };
    text.push_str(&format!(
        "Enrolled: {}, of them {} came within {} days.\n",
        status.enrolled, status.used, status.used_within_days
    ));
    for stop in &status.switched_off {
        text.push_str(&format!(
            "Switched off: {} since {} by {}{}.\n",
            stop.what,
            stop.since,
            stop.by,
            in_brackets(&stop.reason)
        ));
    }
    text.push_str(&match (&status.gateway, &status.socket) {
        (Some(gateway), _) => gateway_text(gateway),
        (None, Some(path)) => format!(
            "Gateway: not connected at {path}; nobody is served there. Its library is unknown.\n"
        ),
        (None, None) => "Gateway: none is configured (legacy.socket).\n".to_owned(),
    });
    text
}

fn gateway_text(gateway: &GatewayStatus) -> String {
    let clear = match gateway.cleartext {
        true => "logins allowed",
        false => "no logins",
    };
    let listeners = gateway.listeners.iter();
    let listeners: String = listeners.map(|at| format!("  Listens: {at}\n")).collect();
    let known = gateway.known_of_the_library.iter();
    let known: String = known.map(|line| format!("  {line}\n")).collect();
    format!(
        "Gateway: connected, {}.\n  Speaks TLS {}; in clear: {clear}.\n  Sessions: {}.\n{listeners}{known}",
        gateway.library,
        gateway.versions,
        switch::sessions(&gateway.sessions)
    )
}
