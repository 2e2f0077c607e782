//! What a rollout sets, whatever it is kept in: a setting of the registry, or the schedule of one of the operator's
//! rules, which live in a set of their own with versions. Read, written, held and given back here, inside
//! transactions of `Rollouts`; never anything else of a rule than its schedule.

use super::RolloutError;
use super::within::{shown, wanted};
use crate::plan::{self, Pace, Setting, Target};
use crate::rows::{Before, Made};
use platform::store::Tx;
use policy::admin::{Author, CONSENT_TEXT_VERSION, Wanted, within};
use policy::rules::{Rule, store};
use policy::setting::{Name, Value};
use policy::{Schedule, Scope};

/// What a row of a rollout is about.
pub(super) fn target(made: &Made) -> Result<Target, RolloutError> {
    Target::from_word(&made.name)
        .ok_or_else(|| RolloutError::Invalid(format!("{} is no setting any more", made.name)))
}

/// What holds there before a rollout sets it. What belongs to it and no rollout says (the text of `inbound-tls`)
/// is taken over.
pub(super) fn complete(tx: &mut dyn Tx, setting: &mut Setting) -> Result<(), RolloutError> {
    let name = match setting.target {
        Target::Rule => {
            let rule = rule(tx, &setting.scope, &setting.item)?;
            setting.before = Some(rule.schedule.to_string());
            return Ok(());
        }
        Target::Setting(name) => name,
    };
    let known = within::setting(tx, &setting.scope, name, &setting.item)?;
    if let (Value::InboundTls(Some(planned)), Some(known)) = (&mut setting.value, &known)
        && let Value::InboundTls(Some(held)) = &known.value
    {
        planned.text = held.text.clone();
    }
    setting.before = known.map(|row| row.value.to_string());
    Ok(())
}

/// Sets it; gives what is to be remembered.
pub(super) fn set(
    tx: &mut dyn Tx,
    setting: &Setting,
    because: &Author,
) -> Result<Made, RolloutError> {
    let mut made = Made {
        scope: setting.scope.clone(),
        name: setting.target.to_string(),
        item: setting.item.clone(),
        written: setting.value.to_string(),
        before: None,
    };
    let before = |value: String| Before {
        value,
        expires_at: None,
        owner: None,
    };
    match (setting.target, &setting.value) {
        (Target::Rule, Value::Schedule(schedule)) => {
            let rule = rule(tx, &setting.scope, &setting.item)?;
            let whole = serde_json::to_string(&rule).map_err(unwritable)?;
            made.before = Some(before(whole));
            schedule_rule(tx, &rule.name, schedule, because)?;
        }
        (Target::Rule, _) => return Err(RolloutError::Invalid("a rule has a schedule".to_owned())),
        (Target::Setting(name), value) => {
            let known = within::setting(tx, &setting.scope, name, &setting.item)?;
            let agreed = known.as_ref().is_some_and(|row| row.consent.is_some());
            if name == Name::InboundTls && !agreed {
                return Err(consent_first(&setting.scope));
            }
            made.before = known.map(|row| Before {
                expires_at: row.expires_at,
                owner: row.owner,
                ..before(row.value.to_string())
            });
            within::set(tx, wanted(&made, name, value.clone()), because)?;
        }
    }
    Ok(made)
}

/// S4-09: a rollout gives nobody's consent.
fn consent_first(scope: &Scope) -> RolloutError {
    RolloutError::Invalid(format!(
        "{scope}: nobody has agreed to inbound-tls there yet. Record the consent first, with a stage that refuses \
         nothing: rohrpost measure set DOMAIN inbound-tls observe --consent-by NAME --consent-text \
         {CONSENT_TEXT_VERSION}"
    ))
}

/// Holds its schedule, or lets it go on; gives what is written now, `None` where it was so already.
pub(super) fn pace(
    tx: &mut dyn Tx,
    made: &Made,
    pace: Pace,
    because: &Author,
) -> Result<Result<Option<String>, Left>, RolloutError> {
    let target = target(made)?;
    let value = plan::paced(target, &made.written, pace).map_err(RolloutError::Invalid)?;
    let written = value.to_string();
    if let Some(left) = left(tx, made, target)? {
        return Ok(Err(left));
    }
    if written == made.written {
        return Ok(Ok(None));
    }
    match (target, value) {
        (Target::Rule, Value::Schedule(schedule)) => {
            schedule_rule(tx, &made.item, &schedule, because)?;
        }
        (Target::Setting(name), value) => {
            within::set(tx, wanted(made, name, value), because)?;
        }
        (Target::Rule, _) => {}
    }
    Ok(Ok(Some(written)))
}

/// Gives it back as it was before; says what was done, for people.
pub(super) fn give_back(
    tx: &mut dyn Tx,
    made: &Made,
    because: &Author,
) -> Result<Result<String, Left>, RolloutError> {
    let target = target(made)?;
    if let Some(left) = left(tx, made, target)? {
        return Ok(Err(left));
    }
    match target {
        Target::Rule => give_back_rule(tx, made, because).map(Ok),
        Target::Setting(name) => {
            give_back_setting(tx, made, name, because)?;
            Ok(Ok(shown(made)))
        }
    }
}

fn give_back_rule(tx: &mut dyn Tx, made: &Made, because: &Author) -> Result<String, RolloutError> {
    let before = made.before.as_ref().map(|before| before.value.as_str());
    let before: Rule = serde_json::from_str(before.unwrap_or_default()).map_err(unwritable)?;
    let held = rule(tx, &made.scope, &made.item)?;
    schedule_rule(tx, &made.item, &before.schedule, because)?;
    let same = Rule {
        schedule: before.schedule.clone(),
        ..held
    } == before;
    Ok(match same {
        true => shown(made),
        false => format!(
            "{} (its schedule; what else somebody changed in it since stays)",
            shown(made)
        ),
    })
}

fn give_back_setting(
    tx: &mut dyn Tx,
    made: &Made,
    name: Name,
    because: &Author,
) -> Result<(), RolloutError> {
    let Some(before) = &made.before else {
        return Ok(within::unset(tx, &made.scope, name, &made.item, because)?);
    };
    let value = Value::parse(name, &before.value).map_err(RolloutError::Invalid)?;
    let back = Wanted {
        expires_at: before.expires_at,
        owner: before.owner.clone(),
        ..wanted(made, name, value)
    };
    if back.expires_at.is_some_and(|end| end <= because.now) {
        within::unset(tx, &made.scope, name, &made.item, because)?;
    } else {
        within::set(tx, back, because)?;
    }
    Ok(())
}

/// Why something is left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// Somebody set it since.
    Changed,
    /// The rule is gone.
    Gone,
}

impl Left {
    /// For the person who asked.
    pub(super) fn says(self, made: &Made) -> String {
        match self {
            Self::Changed => shown(made),
            Self::Gone => format!("{} (it was removed)", shown(made)),
        }
    }
}

fn left(tx: &mut dyn Tx, made: &Made, target: Target) -> Result<Option<Left>, RolloutError> {
    let holds = match target {
        Target::Rule => {
            let (_, set) = store::current(tx)?;
            let Some(rule) = set.named(&made.item) else {
                return Ok(Some(Left::Gone));
            };
            rule.schedule.to_string()
        }
        Target::Setting(name) => {
            let known = within::setting(tx, &made.scope, name, &made.item)?;
            let Some(known) = known else {
                return Ok(Some(Left::Changed));
            };
            known.value.to_string()
        }
    };
    Ok((holds != made.written).then_some(Left::Changed))
}

fn rule(tx: &mut dyn Tx, scope: &Scope, name: &str) -> Result<Rule, RolloutError> {
    if *scope != Scope::Installation {
        return Err(RolloutError::Invalid(format!(
            "rule/{name} is asked about everybody; a rollout of it is for the installation"
        )));
    }
    let (_, set) = store::current(tx)?;
    set.named(name).cloned().ok_or_else(|| {
        RolloutError::Missing(format!(
            "there is no rule {name}; make it first, with a stage that refuses nothing: \
             rohrpost rules add FILE, with schedule = \"observe\""
        ))
    })
}

fn schedule_rule(
    tx: &mut dyn Tx,
    name: &str,
    schedule: &Schedule,
    because: &Author,
) -> Result<(), RolloutError> {
    store::change(tx, because, |set| set.with_schedule(name, schedule.clone()))?;
    Ok(())
}

fn unwritable(error: serde_json::Error) -> RolloutError {
    RolloutError::Invalid(format!("the rule as it was cannot be read: {error}"))
}
