//! What a rollout sets: for each measure and each scope of its audience one schedule, and legacy access. Pure;
//! `Rollouts` reads what holds before and writes what is planned here in one transaction.

use crate::check::by_measure;
use crate::model::{Rollout, Step};
use policy::setting::{Name, Value};
use policy::{Measure, Schedule, Scope, Stage};

/// One setting a rollout makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Where.
    pub scope: Scope,
    /// What.
    pub name: Name,
    /// Which service, where there are several.
    pub item: String,
    /// The value.
    pub value: Value,
    /// What was set exactly there before; `None`: nothing.
    pub before: Option<String>,
    /// The step that lowers what holds, where there is one.
    pub loosens: Option<String>,
}

/// Whether schedules hold by their dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// They do.
    Dated,
    /// They are held at observe.
    Paused,
}

/// What `rollout` sets at `scope`. `current` tells the stage a measure has there now, which holds on until the
/// first step.
///
/// # Errors
/// A sentence for the operator.
pub fn settings(
    rollout: &Rollout,
    scope: &Scope,
    pace: Pace,
    current: impl Fn(&Measure) -> Stage,
) -> Result<Vec<Setting>, String> {
    let mut settings = Vec::new();
    for (measure, steps) in by_measure(rollout) {
        let (name, item) = place(&measure)?;
        let first = current(&measure);
        let text = text(&steps, first, rollout.canary, pace);
        let text = match (name, steps.first().and_then(|step| step.value.as_deref())) {
            (Name::TlsVersion, value) => format!("{} {text}", value.unwrap_or("1.2")),
            (Name::OutboundTls, value) => format!("{} {text}", value.unwrap_or("required")),
            _ => text,
        };
        settings.push(Setting {
            scope: scope.clone(),
            name,
            item,
            value: Value::parse(name, &text)?,
            before: None,
            loosens: loosens(&measure, &steps, first),
        });
    }
    if let Some(legacy) = &rollout.legacy {
        let versions = match legacy.tls.is_empty() {
            true => "none".to_owned(),
            false => legacy.tls.join(","),
        };
        let clear = if legacy.cleartext { " cleartext" } else { "" };
        let text = format!("until {} tls={versions}{clear}", legacy.until);
        settings.push(Setting {
            scope: scope.clone(),
            name: Name::LegacyAccess,
            item: String::new(),
            value: Value::parse(Name::LegacyAccess, &text)?,
            before: None,
            loosens: None,
        });
    }
    Ok(settings)
}

fn place(measure: &Measure) -> Result<(Name, String), String> {
    Ok(match measure {
        Measure::TlsVersion(service) => (Name::TlsVersion, service.word().to_owned()),
        Measure::Cleartext(service) => (Name::Cleartext, service.word().to_owned()),
        Measure::SenderOwnership => (Name::SenderOwnership, String::new()),
        Measure::OutboundTls => (Name::OutboundTls, String::new()),
        Measure::InboundTls | Measure::SpoofedSender | Measure::Rule(_) => {
            return Err(format!("{measure} is not set by a rollout"));
        }
    })
}

fn text(steps: &[&Step], first: Stage, canary: Option<u8>, pace: Pace) -> String {
    let schedule = Schedule {
        steps: Vec::new(),
        canary,
        paused: (pace == Pace::Paused).then_some(Stage::Observe),
    };
    let mut text = first.word().to_owned();
    for step in steps {
        text.push_str(&format!("; {} {}", step.date, step.stage.word()));
    }
    text.push_str(&schedule.to_string());
    text
}

/// The first step below what holds before it.
fn loosens(measure: &Measure, steps: &[&Step], first: Stage) -> Option<String> {
    let mut before = first;
    for step in steps {
        if step.stage < before {
            return Some(format!(
                "{measure} goes down from {} to {} on {}",
                before.word(),
                step.stage.word(),
                step.date
            ));
        }
        before = step.stage;
    }
    None
}

/// The same setting with its schedule held, or let go.
///
/// # Errors
/// Where the value has no schedule that can be held.
pub fn paced(name: Name, value: &str, pace: Pace) -> Result<Value, String> {
    let paused = (pace == Pace::Paused).then_some(Stage::Observe);
    Ok(match Value::parse(name, value)? {
        Value::Schedule(schedule) => Value::Schedule(schedule.with_pause(paused)),
        Value::LowestTls(mut lowest) => {
            lowest.schedule = lowest.schedule.with_pause(paused);
            Value::LowestTls(lowest)
        }
        Value::OutboundTls(mut demand) => {
            demand.schedule = demand.schedule.with_pause(paused);
            Value::OutboundTls(demand)
        }
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rollout;

    #[test]
    fn several_measures_have_dates_of_their_own_and_what_holds_now_holds_until_the_first() {
        let settings = settings(&rollout(), &Scope::Installation, Pace::Dated, |_| {
            Stage::Observe
        })
        .unwrap();
        let shown: Vec<_> = settings
            .iter()
            .map(|one| format!("{} {} = {}", one.name, one.item, one.value))
            .collect();
        assert_eq!(
            shown,
            [
                "tls-version imap = 1.2 observe; 2025-02-01 warn; 2025-03-05 enforce",
                "cleartext imap = observe; 2025-03-05 enforce",
                "sender-ownership  = observe; 2025-04-01 enforce",
                "legacy-access  = until 2025-05-30 tls=1.0,1.1 cleartext",
            ]
        );
    }

    #[test]
    fn a_pause_is_put_in_and_taken_out_again() {
        let (name, value) = (Name::TlsVersion, "1.2 observe; 2025-03-05 enforce");
        let held = paced(name, value, Pace::Paused).unwrap().to_string();
        assert_eq!(held, "1.2 observe; 2025-03-05 enforce; paused=observe");
        let free = paced(name, &held, Pace::Dated).unwrap().to_string();
        assert_eq!(free, value);
    }

    #[test]
    fn a_step_that_goes_down_is_said() {
        let settings = settings(&rollout(), &Scope::Installation, Pace::Dated, |_| {
            Stage::Enforce
        })
        .unwrap();
        let loosens: Vec<_> = settings.iter().filter_map(|s| s.loosens.clone()).collect();
        assert_eq!(
            loosens,
            ["tls-version/imap goes down from enforce to warn on 2025-02-01"]
        );
    }
}
