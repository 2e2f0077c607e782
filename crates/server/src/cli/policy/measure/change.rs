//! Changing a measure, and showing what a change would do.

use super::Wish;
use crate::cli::admin_api::{AdminApi, Method, path};
use crate::cli::policy::{Why, impact, output};
use https::api::staging::{self, At, Changed, Except, Pause};
use policy::Schedule;
use policy::admin::typed;
use policy::measure::Zone;
use policy::setting::Value;

pub(super) async fn plan(api: &AdminApi, wish: &Wish) -> Result<String, String> {
    let at = path(&["measures", "plan"], &[]);
    let planned: Changed = api.send(Method::Post, &at, &wished(wish, "")).await?;
    let mut told = shown(&planned, &wish.at.scope);
    warn(&mut told, &planned.warnings);
    if let Some(why) = &planned.consent {
        told.push_str(&format!("Consent: {why}\n"));
    }
    Ok(told + "Nothing was changed.\n")
}

pub(super) async fn set(api: &AdminApi, wish: &Wish, why: &Why) -> Result<String, String> {
    let (at, scope) = (path(&["measures"], &[]), &wish.at.scope);
    let wish = wished(wish, &why.reason);
    let done: Changed = api.send(Method::Put, &at, &wish).await?;
    let mut told = shown(&done, scope);
    warn(&mut told, &done.warnings);
    Ok(told + &is_now(&done, scope))
}

fn wished(wish: &Wish, reason: &str) -> staging::Wish {
    staging::Wish {
        scope: wish.at.scope.clone(),
        measure: wish.at.measure.clone(),
        value: wish.value.join(" "),
        reason: reason.to_owned(),
        consent_by: wish.consent_by.clone(),
        consent_text: wish.consent_text.clone(),
        days: Some(wish.days),
    }
}

fn warn(told: &mut String, warnings: &[String]) {
    for warning in warnings {
        told.push_str(&format!("Warning: {warning}.\n"));
    }
}

fn is_now(done: &Changed, scope: &str) -> String {
    let value = done.value.as_deref().unwrap_or("unset");
    format!("{} for {scope} is now: {value}\n", done.measure)
}

/// Who would no longer get through with what is about to hold.
fn breaks(done: &Changed) -> String {
    impact::before(&done.impact, &done.scope).unwrap_or_default()
}

/// What is wanted, from when on, and who would no longer get through.
fn shown(wanted: &Changed, scope: &str) -> String {
    let value = wanted.value.as_deref().unwrap_or_default();
    let before = wanted.before.as_ref();
    let before = before.map_or_else(String::new, |before| format!(" (until now {before})"));
    let mut told = format!("{} for {scope}: {value}{before}\n", wanted.measure);
    let value = typed::name(&wanted.measure).map(|(name, _)| Value::parse(name, value));
    if let Ok(Ok(value)) = &value
        && let Some(schedule) = value.schedule()
    {
        told.push_str(&steps(schedule, &wanted.zone));
    }
    told + &breaks(wanted)
}

/// The steps with their moments, one a line.
fn steps(schedule: &Schedule, zone: &str) -> String {
    let zone = Zone::named(zone).unwrap_or_default();
    let mut text = String::new();
    for step in &schedule.steps {
        text.push_str(&match step.from {
            None => format!("  now: {}\n", step.stage),
            Some(from) => format!(
                "  from {from} ({}): {}\n",
                zone.shown(zone.beginning(from)),
                step.stage
            ),
        });
    }
    if let Some(share) = schedule.canary {
        text.push_str(&format!("  the last for {share} % of the accounts only\n"));
    }
    if let Some(stage) = schedule.paused {
        text.push_str(&format!("  paused at {stage} whatever the dates say\n"));
    }
    text
}

pub(super) async fn pause(api: &AdminApi, pause: &Pause) -> Result<String, String> {
    let at = path(&["measures", "pause"], &[]);
    let done: Changed = api.send(Method::Post, &at, pause).await?;
    Ok(is_now(&done, &pause.scope))
}

pub(super) async fn resume(api: &AdminApi, place: &At) -> Result<String, String> {
    let at = path(&["measures", "resume"], &[]);
    let done: Changed = api.send(Method::Post, &at, place).await?;
    Ok(breaks(&done) + &is_now(&done, &place.scope))
}

pub(super) async fn rollback(api: &AdminApi, place: &At) -> Result<String, String> {
    let at = path(&["measures", "rollback"], &[]);
    let done: Changed = api.send(Method::Post, &at, place).await?;
    let mut told = breaks(&done);
    warn(&mut told, &done.warnings);
    let unset = || "unset".to_owned();
    told.push_str(&format!(
        "{} for {} is now: {} (until now {})\n",
        done.measure,
        place.scope,
        done.value.unwrap_or_else(unset),
        done.before.unwrap_or_else(unset),
    ));
    Ok(told)
}

pub(super) async fn except(api: &AdminApi, except: &Except) -> Result<String, String> {
    let at = path(&["measures", "except"], &[]);
    let done: Changed = api.send(Method::Post, &at, except).await?;
    let mut told = String::new();
    warn(&mut told, &done.warnings);
    let end = done.until.as_deref().unwrap_or_default();
    told.push_str(&format!(
        "{} for {} is now: {}, until {} ({})\n",
        done.measure,
        except.scope,
        done.value.unwrap_or_default(),
        except.until,
        output::local(end, &done.zone),
    ));
    Ok(told)
}

pub(super) async fn unset(api: &AdminApi, place: &At) -> Result<String, String> {
    let at = path(&["measures", "unset"], &[]);
    let done: Changed = api.send(Method::Post, &at, place).await?;
    let told = breaks(&done);
    let what = &done.measure;
    Ok(format!(
        "{told}{what} is no longer set for {}\n",
        place.scope
    ))
}
