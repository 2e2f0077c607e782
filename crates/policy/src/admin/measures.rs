//! What is done to a measure beside setting it: pause, resume, take the last change back, make an exception.
//! Each runs in one transaction and is checked like any other change; faces call them through `Admin` or,
//! inside a transaction of their own, directly.

use super::{Admin, Around, Author, PolicyError, Wanted, checks, scope_words, set, unset};
use crate::model::{Scope, Sender, Stage};
use crate::rows::{self, Setting};
use crate::setting::{Name, Value};
use crate::snapshot::Snapshot;
use platform::clock::Timestamp;
use platform::store::Tx;

/// Lines of history that are looked through for a consent.
const HISTORY_LINES_MAX: i64 = 200;

/// A setting, as it is named by people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where it is set.
    pub scope: Scope,
    /// What; a measure.
    pub name: Name,
    /// Of which service; empty or `*` for all, empty for measures without services.
    pub item: String,
}

/// An exception to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// For whom, from which measure.
    pub place: Place,
    /// The stage that holds instead.
    pub stage: Stage,
    /// From when on it no longer holds.
    pub until: Timestamp,
    /// Who answers for it.
    pub owner: String,
}

/// What taking back a change did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What holds again; `None`: nothing is set there any more.
    pub now: Option<String>,
    /// What held until then.
    pub before: Option<String>,
    /// For the person who asked.
    pub warnings: Vec<String>,
}

impl Admin {
    /// Holds a measure at a stage, whatever its dates say, until `resume`. Gives the value that holds now.
    ///
    /// # Errors
    /// `Invalid` where there is nothing to pause, and as `set`.
    pub async fn pause(
        &self,
        place: Place,
        at: Stage,
        author: Author,
    ) -> Result<Value, PolicyError> {
        self.store
            .write(move |tx: &mut dyn Tx| pause(tx, &place, at, &author))
            .await
    }

    /// Takes a pause back, so that the dates hold again.
    ///
    /// # Errors
    /// `Invalid` where it is not paused there, and as `set`.
    pub async fn resume(&self, place: Place, author: Author) -> Result<Value, PolicyError> {
        self.store
            .write(move |tx: &mut dyn Tx| resume(tx, &place, &author))
            .await
    }

    /// Has what was set before the last change of a setting hold again; a second time takes that back.
    ///
    /// # Errors
    /// `Missing` where it was never changed, and as `set`.
    pub async fn rollback(&self, place: Place, author: Author) -> Result<Restored, PolicyError> {
        self.store
            .write(move |tx: &mut dyn Tx| rollback(tx, &place, &author))
            .await
    }

    /// Makes an exception from a measure, with somebody who answers for it, a reason and an end.
    ///
    /// # Errors
    /// `Invalid` without those, for everybody at once, or for a measure that no narrower setting weakens;
    /// and as `set`.
    pub async fn except(
        &self,
        exception: Exception,
        author: Author,
    ) -> Result<(Value, Vec<String>), PolicyError> {
        self.store
            .write(move |tx: &mut dyn Tx| except(tx, &exception, &author))
            .await
    }
}

impl Admin {
    /// What making a setting would warn of; changes nothing.
    ///
    /// # Errors
    /// As `set`.
    pub async fn check(&self, wanted: Wanted, now: Timestamp) -> Result<Vec<String>, PolicyError> {
        let check = self.store.read(move |tx: &mut dyn Tx| {
            let (_, warnings) = checks::checked(tx, wanted.clone(), now)?;
            Ok::<_, PolicyError>(warnings)
        });
        check.await
    }

    /// What is set at a place itself, whether it is a measure or not.
    ///
    /// # Errors
    /// `Invalid` for an item there cannot be, `Store`.
    pub async fn set_at(&self, place: &Place) -> Result<Option<Setting>, PolicyError> {
        let Place { scope, name, item } = place.clone();
        let item = checks::checked_item(name, &item)?;
        let read = self
            .store
            .read(move |tx: &mut dyn Tx| rows::one_setting(tx, &scope, name, &item));
        Ok(read.await?)
    }

    /// The value that holds at a place, wherever it was set.
    ///
    /// # Errors
    /// `Missing` where the scope is gone, `Store`.
    pub async fn in_force(&self, place: Place, now: Timestamp) -> Result<Value, PolicyError> {
        let read = self
            .store
            .read(move |tx: &mut dyn Tx| in_force(tx, &place, now));
        read.await
    }

    /// The value that would hold at a place if nothing were set there.
    ///
    /// # Errors
    /// `Missing` where the scope is gone, `Store`.
    pub async fn in_force_around(
        &self,
        place: Place,
        now: Timestamp,
    ) -> Result<Value, PolicyError> {
        let read = self.store.read(move |tx: &mut dyn Tx| {
            let place = checked(&place)?;
            in_force_around(tx, &place, now)
        });
        read.await
    }

    /// The value `rollback` would restore; `None` where nothing would be set, or it was never changed.
    ///
    /// # Errors
    /// `Invalid` for what is no measure, `Store`.
    pub async fn before_last_change(&self, place: Place) -> Result<Option<Value>, PolicyError> {
        let read = self.store.read(move |tx: &mut dyn Tx| {
            let Place { scope, name, item } = checked(&place)?;
            let last = rows::history_of(tx, &scope, name, &item, 1)?;
            let text = last.into_iter().next().and_then(|last| last.before);
            Ok::<_, PolicyError>(text.and_then(|text| Value::parse(name, &text).ok()))
        });
        read.await
    }

    /// Asks the settings of the moment on behalf of a scope, such as a domain's accounts without settings of
    /// their own.
    ///
    /// # Errors
    /// `Missing` where the scope is gone, `Store`.
    pub async fn on_behalf_of<T>(
        &self,
        scope: &Scope,
        now: Timestamp,
        ask: impl FnOnce(&Snapshot, &Sender<'_>) -> T,
    ) -> Result<T, PolicyError> {
        let scope = scope.clone();
        let (around, contents) = self
            .store
            .read(move |tx: &mut dyn Tx| {
                Ok::<_, PolicyError>((Around::of(tx, &scope)?, crate::handle::contents(tx)?))
            })
            .await?;
        let mut sender = Sender {
            account: None,
            domain: "",
            group: None,
        };
        for scope in &around.0 {
            match scope {
                Scope::Account(number) => sender.account = Some(*number),
                Scope::Domain(name) => sender.domain = name.as_str(),
                Scope::Group(name) => sender.group = Some(name),
                Scope::Installation => {}
            }
        }
        Ok(ask(&Snapshot::build(contents, now), &sender))
    }
}

/// As `Admin::pause`.
///
/// # Errors
/// Those of `Admin::pause`.
pub fn pause(
    tx: &mut dyn Tx,
    place: &Place,
    at: Stage,
    author: &Author,
) -> Result<Value, PolicyError> {
    let place = checked(place)?;
    let value = in_force(tx, &place, author.now)?;
    let paused = value
        .with_schedule(|schedule| schedule.with_pause(Some(at)))
        .filter(|_| at < Stage::Enforce)
        .ok_or_else(|| nothing_to(tx, "pause", &place))?;
    put(tx, &place, paused, author)
}

/// As `Admin::resume`.
///
/// # Errors
/// Those of `Admin::resume`.
pub fn resume(tx: &mut dyn Tx, place: &Place, author: &Author) -> Result<Value, PolicyError> {
    let place = checked(place)?;
    let own = rows::one_setting(tx, &place.scope, place.name, &place.item)?;
    let paused = own
        .map(|own| own.value)
        .filter(|value| value.schedule().is_some_and(|s| s.paused.is_some()));
    let value = paused.and_then(|value| value.with_schedule(|schedule| schedule.with_pause(None)));
    let value = value.ok_or_else(|| nothing_to(tx, "resume", &place))?;
    // What the pause alone brought here goes with it.
    if in_force_around(tx, &place, author.now)? == value {
        unset(tx, &place.scope, place.name, &place.item, author)?;
        return Ok(value);
    }
    put(tx, &place, value, author)
}

/// As `Admin::rollback`.
///
/// # Errors
/// Those of `Admin::rollback`.
pub fn rollback(tx: &mut dyn Tx, place: &Place, author: &Author) -> Result<Restored, PolicyError> {
    let place = checked(place)?;
    let Place { scope, name, item } = &place;
    let lines = rows::history_of(tx, scope, *name, item, HISTORY_LINES_MAX)?;
    let Some(last) = lines.first() else {
        let whose = scope_words(tx, scope)?;
        return Err(PolicyError::Missing(format!(
            "{} was never changed for {whose}",
            place.what()
        )));
    };
    let mut restored = Restored {
        now: last.before.clone(),
        before: last.after.clone(),
        warnings: Vec::new(),
    };
    let ended = last.expires_before.is_some_and(|end| end <= author.now);
    match &last.before {
        Some(text) if !ended => {
            let given = lines.iter().find(|line| line.after.as_ref() == Some(text));
            let wanted = Wanted {
                scope: scope.clone(),
                name: *name,
                item: item.clone(),
                value: Value::parse(*name, text).map_err(PolicyError::Invalid)?,
                expires_at: last.expires_before,
                consent: given.and_then(|line| line.consent.clone()),
                owner: None,
            };
            restored.warnings = set(tx, wanted, author)?;
        }
        // What had an end that has come would not hold again.
        _ => {
            restored.now = None;
            if rows::as_written(tx, scope, *name, item)?.is_some() {
                unset(tx, scope, *name, item, author)?;
            }
        }
    }
    Ok(restored)
}

/// As `Admin::except`.
///
/// # Errors
/// Those of `Admin::except`.
pub fn except(
    tx: &mut dyn Tx,
    exception: &Exception,
    author: &Author,
) -> Result<(Value, Vec<String>), PolicyError> {
    let invalid = |why: &str| Err(PolicyError::Invalid(why.to_owned()));
    if exception.owner.trim().is_empty() || author.reason.trim().is_empty() {
        return invalid("an exception needs who answers for it, and a reason");
    }
    if exception.until <= author.now {
        return invalid("an exception ends in the future");
    }
    let place = checked(&exception.place)?;
    match (place.name, &place.scope) {
        (_, Scope::Installation) => {
            return invalid(
                "an exception is for an account, a domain or a group; for everybody set the measure itself",
            );
        }
        (Name::OutboundTls, _) => {
            return invalid(
                "of outbound-tls the strictest holds, which no exception weakens; for one destination see \
                 `rohrpost destination set --exception`",
            );
        }
        _ => {}
    }
    let schedule = crate::measure::Schedule::always(exception.stage);
    let value = in_force(tx, &place, author.now)?
        .with_schedule(|_| schedule)
        .ok_or_else(|| nothing_to(tx, "except from", &place))?;
    let wanted = Wanted {
        scope: place.scope.clone(),
        name: place.name,
        item: place.item.clone(),
        value: value.clone(),
        expires_at: Some(exception.until),
        consent: None,
        owner: Some(exception.owner.clone()),
    };
    let warnings = set(tx, wanted, author)?;
    Ok((value, warnings))
}

impl Place {
    /// The measure's word, such as `cleartext/imap`.
    pub fn what(&self) -> String {
        match self.item.as_str() {
            "" => self.name.to_string(),
            item => format!("{}/{item}", self.name),
        }
    }
}

fn checked(place: &Place) -> Result<Place, PolicyError> {
    if !place.name.is_measure() {
        return Err(PolicyError::Invalid(format!(
            "{} is no measure: it has no stages",
            place.name
        )));
    }
    Ok(Place {
        item: checks::checked_item(place.name, &place.item)?,
        ..place.clone()
    })
}

fn nothing_to(tx: &mut dyn Tx, what: &str, place: &Place) -> PolicyError {
    match scope_words(tx, &place.scope) {
        Ok(whose) => PolicyError::Invalid(format!(
            "there is nothing to {what}: {} for {whose}",
            place.what()
        )),
        Err(error) => PolicyError::Store(error),
    }
}

fn put(
    tx: &mut dyn Tx,
    place: &Place,
    value: Value,
    author: &Author,
) -> Result<Value, PolicyError> {
    let before = rows::one_setting(tx, &place.scope, place.name, &place.item)?;
    let wanted = Wanted {
        scope: place.scope.clone(),
        name: place.name,
        item: place.item.clone(),
        value: value.clone(),
        expires_at: before.as_ref().and_then(|row| row.expires_at),
        consent: None,
        owner: before.and_then(|row| row.owner),
    };
    set(tx, wanted, author)?;
    Ok(value)
}

/// What holds at a place: what is set there, or around it, or the default.
///
/// # Errors
/// `Missing` where the scope is gone, `Store`.
pub fn in_force(tx: &mut dyn Tx, place: &Place, now: Timestamp) -> Result<Value, PolicyError> {
    let place = checked(place)?;
    let own = rows::one_setting(tx, &place.scope, place.name, &place.item)?;
    match own.filter(|row| row.expires_at.is_none_or(|end| end > now)) {
        Some(own) => Ok(own.value),
        None => in_force_around(tx, &place, now),
    }
}

/// What would hold at a place if nothing were set there.
fn in_force_around(tx: &mut dyn Tx, place: &Place, now: Timestamp) -> Result<Value, PolicyError> {
    let Around(scopes) = Around::of(tx, &place.scope)?;
    for scope in &scopes {
        let own = (*scope != place.scope).then_some(place.item.as_str());
        let wide = (!place.item.is_empty() && place.item != "*").then_some("*");
        for item in own.into_iter().chain(wide) {
            let found = rows::one_setting(tx, scope, place.name, item)?;
            if let Some(row) = found.filter(|row| row.expires_at.is_none_or(|end| end > now)) {
                return Ok(row.value);
            }
        }
    }
    let default = place.name.described().default;
    Value::parse(place.name, default).map_err(PolicyError::Invalid)
}
