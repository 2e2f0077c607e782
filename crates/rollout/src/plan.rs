//! What a rollout sets: for each measure and each scope of its audience one schedule (of a setting, or of a rule), and
//! legacy access. Pure; `Rollouts` reads what holds before and writes what is planned here in one transaction.

use crate::check::by_measure;
use crate::model::{Rollout, Step};
use policy::setting::{Name, Value};
use policy::{Measure, Schedule, Scope, Stage};
use std::fmt;

/// What a schedule is given to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A setting of the registry.
    Setting(Name),
    /// One of the operator's rules; the item is its name.
    Rule,
}

impl Target {
    /// The target with this word, as `Display` writes it.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "rule" => Some(Self::Rule),
            word => Name::from_word(word).map(Self::Setting),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting(name) => name.fmt(f),
            Self::Rule => f.write_str("rule"),
        }
    }
}

/// One setting a rollout makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Where.
    pub scope: Scope,
    /// What.
    pub target: Target,
    /// Which service, where there are several; the name of a rule.
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
        let (target, item) = place(&measure);
        let first = current(&measure);
        let text = text(&steps, first, rollout.canary, pace);
        let demanded = steps.first().and_then(|step| step.value.as_deref());
        settings.push(Setting {
            scope: scope.clone(),
            target,
            item,
            value: value(target, demanded, &text)?,
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
            target: Target::Setting(Name::LegacyAccess),
            item: String::new(),
            value: Value::parse(Name::LegacyAccess, &text)?,
            before: None,
            loosens: None,
        });
    }
    Ok(settings)
}

fn place(measure: &Measure) -> (Target, String) {
    let setting = |name, item: &str| (Target::Setting(name), item.to_owned());
    match measure {
        Measure::TlsVersion(service) => setting(Name::TlsVersion, service.word()),
        Measure::Cleartext(service) => setting(Name::Cleartext, service.word()),
        Measure::SenderOwnership => setting(Name::SenderOwnership, ""),
        Measure::OutboundTls => setting(Name::OutboundTls, ""),
        Measure::InboundTls => setting(Name::InboundTls, ""),
        Measure::SpoofedSender => setting(Name::SpoofedSender, ""),
        Measure::Rule(name) => (Target::Rule, name.to_string()),
    }
}

/// The schedule with what is demanded, where the setting has a choice.
fn value(target: Target, demanded: Option<&str>, schedule: &str) -> Result<Value, String> {
    let Target::Setting(name) = target else {
        return schedule.parse().map(Value::Schedule);
    };
    let text = match name {
        Name::TlsVersion => format!("{} {schedule}", demanded.unwrap_or("1.2")),
        Name::OutboundTls => format!("{} {schedule}", demanded.unwrap_or("required")),
        Name::InboundTls => format!("required [{schedule}]"),
        Name::SpoofedSender => format!("{} {schedule}", demanded.unwrap_or("reject")),
        _ => schedule.to_owned(),
    };
    Value::parse(name, &text)
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
pub fn paced(target: Target, value: &str, pace: Pace) -> Result<Value, String> {
    let paused = (pace == Pace::Paused).then_some(Stage::Observe);
    let value = match target {
        Target::Setting(name) => Value::parse(name, value)?,
        Target::Rule => Value::Schedule(value.parse()?),
    };
    Ok(match value {
        Value::Schedule(schedule) => Value::Schedule(schedule.with_pause(paused)),
        Value::LowestTls(mut lowest) => {
            lowest.schedule = lowest.schedule.with_pause(paused);
            Value::LowestTls(lowest)
        }
        Value::OutboundTls(mut demand) => {
            demand.schedule = demand.schedule.with_pause(paused);
            Value::OutboundTls(demand)
        }
        Value::InboundTls(Some(mut demand)) => {
            demand.schedule = demand.schedule.with_pause(paused);
            Value::InboundTls(Some(demand))
        }
        Value::Spoofed(mut demand) => {
            demand.schedule = demand.schedule.with_pause(paused);
            Value::Spoofed(demand)
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
            .map(|one| format!("{} {} = {}", one.target, one.item, one.value))
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
        let there_and_back = |target, value: &str, paused: &str| {
            let held = paced(target, value, Pace::Paused).unwrap().to_string();
            assert_eq!(held, paused);
            let free = paced(target, &held, Pace::Dated).unwrap().to_string();
            assert_eq!(free, value);
        };
        there_and_back(
            Target::Setting(Name::TlsVersion),
            "1.2 observe; 2025-03-05 enforce",
            "1.2 observe; 2025-03-05 enforce; paused=observe",
        );
        there_and_back(
            Target::Setting(Name::InboundTls),
            "required [observe; 2025-03-05 enforce] Only TLS",
            "required [observe; 2025-03-05 enforce; paused=observe] Only TLS",
        );
        there_and_back(
            Target::Rule,
            "warn; 2025-03-05 enforce",
            "warn; 2025-03-05 enforce; paused=observe",
        );
    }

    #[test]
    fn a_rule_and_tls_for_incoming_mail_have_schedules_as_well() {
        let mut rollout = rollout();
        rollout.legacy = None;
        for (step, measure) in rollout.steps.iter_mut().zip([
            Measure::Rule("no-exe".into()),
            Measure::Rule("no-exe".into()),
            Measure::InboundTls,
            Measure::OutboundTls,
        ]) {
            step.measure = measure;
        }
        let settings = settings(&rollout, &Scope::Installation, Pace::Dated, |_| Stage::Off);
        let shown: Vec<_> = settings
            .unwrap()
            .iter()
            .map(|one| format!("{} {} = {}", one.target, one.item, one.value))
            .collect();
        assert_eq!(
            shown,
            [
                "inbound-tls  = required [off; 2025-03-05 enforce]",
                "outbound-tls  = required off; 2025-04-01 enforce",
                "rule no-exe = off; 2025-02-01 warn; 2025-03-05 enforce",
            ]
        );
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
