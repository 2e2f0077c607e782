//! Changing a measure, and showing what a change would do.

use super::{At, Wish, place};
use crate::cli::policy::{Desk, Why, impact, output};
use policy::admin::measures::{Exception, Place};
use policy::admin::typed::{self, called};
use policy::admin::{Consent, PolicyError, Wanted};
use policy::measure::{LocalTime, Zone};
use policy::setting::{Name, Value};
use policy::{Schedule, Stage};

/// How many days back previews look that nobody gave a number for.
const DAYS: u32 = 30;

/// What is shown before a change, and what is to be set.
struct Planned {
    wanted: Wanted,
    told: String,
}

pub(super) async fn plan(desk: &Desk<'_>, wish: &Wish) -> Result<String, PolicyError> {
    let planned = planned(desk, wish).await?;
    let mut told = planned.told;
    let warnings = desk.admin.check(planned.wanted, desk.now).await;
    match warnings {
        Ok(warnings) => warn(&mut told, &warnings),
        // A plan need not have been agreed to.
        Err(PolicyError::ConsentNeeded(why)) => told.push_str(&format!("Consent: {why}\n")),
        Err(error) => return Err(error),
    }
    Ok(told + "Nothing was changed.\n")
}

pub(super) async fn set(desk: &Desk<'_>, wish: &Wish, why: &Why) -> Result<String, PolicyError> {
    let planned = planned(desk, wish).await?;
    let (what, value) = (
        called(planned.wanted.name, &planned.wanted.item),
        planned.wanted.value.to_string(),
    );
    let mut told = planned.told;
    let warnings = desk.admin.set(planned.wanted, desk.author(why)).await?;
    warn(&mut told, &warnings);
    told.push_str(&format!("{what} for {} is now: {value}\n", wish.at.scope));
    Ok(told)
}

fn warn(told: &mut String, warnings: &[String]) {
    for warning in warnings {
        told.push_str(&format!("Warning: {warning}.\n"));
    }
}

async fn planned(desk: &Desk<'_>, wish: &Wish) -> Result<Planned, PolicyError> {
    let place = place(desk, &wish.at).await?;
    let text = wish.value.join(" ");
    let before = match place.name {
        Name::LegacyAccess => None,
        _ => Some(desk.admin.in_force(place.clone(), desk.now).await?),
    };
    let value = typed::value(place.name, &text, before.as_ref())?;
    let consent = wish.consent_by.clone().zip(wish.consent_text.clone());
    let wanted = Wanted {
        scope: place.scope,
        name: place.name,
        item: place.item,
        value,
        expires_at: None,
        consent: consent.map(|(by, text_version)| Consent { by, text_version }),
        owner: None,
    };
    let mut told = format!(
        "{} for {}: {}{}\n",
        called(wanted.name, &wanted.item),
        wish.at.scope,
        wanted.value,
        before.map_or_else(String::new, |before| format!(" (until now {before})")),
    );
    if let Some(schedule) = wanted.value.schedule() {
        told.push_str(&steps(schedule, &desk.admin.zone().await?));
    }
    let what = (wanted.name, wanted.item.as_str(), &wanted.value);
    if let Some(breaks) = impact::before(desk, &wanted.scope, what, wish.days).await? {
        told.push_str(&breaks);
    }
    Ok(Planned { wanted, told })
}

/// The steps with their moments, one a line.
fn steps(schedule: &Schedule, zone: &Zone) -> String {
    let mut text = String::new();
    for step in &schedule.steps {
        text.push_str(&match step.from {
            None => format!("  now: {}\n", step.stage),
            Some(from) => format!(
                "  from {from} ({}): {}\n",
                output::time(zone.beginning(from)),
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

pub(super) async fn pause(
    desk: &Desk<'_>,
    at: &At,
    stage: Stage,
    why: &Why,
) -> Result<String, PolicyError> {
    let place = place(desk, at).await?;
    let what = called(place.name, &place.item);
    let value = desk.admin.pause(place, stage, desk.author(why)).await?;
    Ok(format!("{what} for {} is now: {value}\n", at.scope))
}

/// Who would no longer get through with a value that is about to hold.
async fn breaks(
    desk: &Desk<'_>,
    place: &Place,
    value: Option<&Value>,
) -> Result<String, PolicyError> {
    let Some(value) = value else {
        return Ok(String::new());
    };
    let what = (place.name, place.item.as_str(), value);
    let told = impact::before(desk, &place.scope, what, DAYS).await?;
    Ok(told.unwrap_or_default())
}

pub(super) async fn resume(desk: &Desk<'_>, at: &At, why: &Why) -> Result<String, PolicyError> {
    let place = place(desk, at).await?;
    let what = called(place.name, &place.item);
    let held = desk.admin.in_force(place.clone(), desk.now).await?;
    let again = held.with_schedule(|schedule| schedule.with_pause(None));
    let told = breaks(desk, &place, again.as_ref()).await?;
    let value = desk.admin.resume(place, desk.author(why)).await?;
    Ok(format!("{told}{what} for {} is now: {value}\n", at.scope))
}

pub(super) async fn rollback(desk: &Desk<'_>, at: &At, why: &Why) -> Result<String, PolicyError> {
    let place = place(desk, at).await?;
    let what = called(place.name, &place.item);
    let value = match desk.admin.before_last_change(place.clone()).await? {
        Some(value) => value,
        None => desk.admin.in_force_around(place.clone(), desk.now).await?,
    };
    let mut told = breaks(desk, &place, Some(&value)).await?;
    let restored = desk.admin.rollback(place, desk.author(why)).await?;
    warn(&mut told, &restored.warnings);
    let unset = || "unset".to_owned();
    told.push_str(&format!(
        "{what} for {} is now: {} (until now {})\n",
        at.scope,
        restored.now.unwrap_or_else(unset),
        restored.before.unwrap_or_else(unset),
    ));
    Ok(told)
}

pub(super) async fn except(
    desk: &Desk<'_>,
    at: &At,
    (until, stage): (LocalTime, Stage),
    owner: &str,
    why: &Why,
) -> Result<String, PolicyError> {
    let place: Place = place(desk, at).await?;
    let what = called(place.name, &place.item);
    let end = desk.admin.zone().await?.end(until);
    let exception = Exception {
        place,
        stage,
        until: end,
        owner: owner.to_owned(),
    };
    let (value, warnings) = desk.admin.except(exception, desk.author(why)).await?;
    let mut told = String::new();
    warn(&mut told, &warnings);
    told.push_str(&format!(
        "{what} for {} is now: {value}, until {until} ({})\n",
        at.scope,
        output::time(end)
    ));
    Ok(told)
}

pub(super) async fn unset(desk: &Desk<'_>, at: &At, why: &Why) -> Result<String, PolicyError> {
    let place = place(desk, at).await?;
    let told = match place.name {
        Name::LegacyAccess => String::new(),
        _ => {
            let value = desk.admin.in_force_around(place.clone(), desk.now).await?;
            breaks(desk, &place, Some(&value)).await?
        }
    };
    let Place { scope, name, item } = place;
    let what = called(name, &item);
    let unset = desk.admin.unset(scope, name, item, desk.author(why));
    unset.await?;
    Ok(format!("{told}{what} is no longer set for {}\n", at.scope))
}
