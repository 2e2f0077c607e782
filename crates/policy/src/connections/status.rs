//! Whether an account must do something, since when, and with which device: the answer pages and letters begin
//! with. Reads what the account did in the last weeks and what is demanded of it; changes nothing.

use super::{Belief, Connection, Outcome, list, window};
use crate::exposed::{self, Exposed};
use crate::findings;
use crate::measure::{DatedStep, Door, Encryption, Measure, Service};
use crate::model::{Legacy, Sender, Stage};
use crate::snapshot::Snapshot;
use directory::AccountId;
use platform::clock::Timestamp;
use platform::params;
use platform::store::{StoreError, Tx};
use platform::tls::TlsVersion;

/// What an account did longer ago than this, in days, asks nothing of it any more.
pub const STATUS_DAYS: u32 = 90;

/// Whether an account must do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// No.
    NothingToDo,
    /// Yes.
    ActionNeeded(ActionNeeded),
}

/// What an account must do something about. At least one of the lists is not empty, or a password is exposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionNeeded {
    /// Since when, in days since 1970 (UTC).
    pub since: i64,
    /// What is or will be demanded.
    pub measures: Vec<Demanded>,
    /// Devices and programs that do not meet it.
    pub devices: Vec<Device>,
    /// Senders that are not the account's own.
    pub senders: Vec<String>,
    /// The password came in clear and should be changed, once the devices are mended.
    pub exposed: Option<Exposed>,
}

/// A measure an account does not meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demanded {
    /// Which.
    pub measure: Measure,
    /// How far it has come for the account.
    pub stage: Stage,
    /// From when on it is enforced; `None`: it is already, or no date is set.
    pub enforced_from: Option<Timestamp>,
}

/// A mail program that does not meet what is demanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its key (`clients::Recognised::key`); empty where nothing is known.
    pub client: String,
    /// What it speaks.
    pub service: Service,
    /// At which of our ports.
    pub port: u16,
    /// How it connects.
    pub encryption: Encryption,
    /// By which door.
    pub door: Door,
    /// Its TLS version, where there is one.
    pub tls: Option<TlsVersion>,
    /// Whether it was refused at last, or still got in.
    pub outcome: Outcome,
    /// What it does not meet.
    pub measure: Measure,
    /// First day, in days since 1970 (UTC).
    pub first_day: i64,
    /// Last day, in days since 1970 (UTC).
    pub last_day: i64,
    /// How often.
    pub seen: u64,
}

/// Whether `account` must do something, after what it did in the last `STATUS_DAYS` days. Only what is, or is
/// dated to be, at the stage `Warn` or above asks something of a customer.
///
/// # Errors
/// Those of the store.
pub fn status(
    tx: &mut dyn Tx,
    snapshot: &Snapshot,
    account: AccountId,
    now: Timestamp,
) -> Result<Status, StoreError> {
    let Some((domain, group)) = belongs_to(tx, account)? else {
        return Ok(Status::NothingToDo);
    };
    let sender = Sender {
        account: Some(account),
        domain: &domain,
        group: group.as_deref(),
    };
    let demands = Demands {
        snapshot,
        sender: &sender,
        now,
    };
    let first_day = window(STATUS_DAYS, now);
    let rows = list(tx, account)?;
    let devices: Vec<Device> = rows
        .iter()
        .filter(|row| row.is_open(first_day))
        .filter_map(|row| demands.unmet_by(row))
        .collect();
    let senders = match demands.of(&Measure::SenderOwnership) {
        Some(_) => findings::of(tx, account, &Measure::SenderOwnership, first_day)?,
        None => Vec::new(),
    };
    let exposed = exposed::of(tx, account)?.filter(|found| found.belief == Belief::Proved);
    let since = devices
        .iter()
        .map(|device| device.first_day)
        .chain(senders.iter().map(|found| found.first_day))
        .chain(exposed.iter().map(|exposed| exposed.first_day))
        .min();
    let Some(since) = since else {
        return Ok(Status::NothingToDo);
    };
    let mut named: Vec<Measure> = devices
        .iter()
        .map(|device| device.measure.clone())
        .collect();
    named.extend((!senders.is_empty()).then_some(Measure::SenderOwnership));
    named.sort();
    named.dedup();
    Ok(Status::ActionNeeded(ActionNeeded {
        since,
        measures: named.into_iter().map(|m| demands.demanded(m)).collect(),
        devices,
        senders: senders.into_iter().map(|found| found.detail).collect(),
        exposed,
    }))
}

impl Connection {
    /// Whether it was the account itself, on `first_day` or later, and was not settled since.
    pub fn is_open(&self, first_day: i64) -> bool {
        self.belief == Belief::Proved && !self.settled && self.last_day >= first_day
    }
}

/// What is demanded of one account.
struct Demands<'a> {
    snapshot: &'a Snapshot,
    sender: &'a Sender<'a>,
    now: Timestamp,
}

impl Demands<'_> {
    /// The stage of a measure that asks something of a customer, now or at a date to come.
    fn of(&self, measure: &Measure) -> Option<Stage> {
        let stage = self.snapshot.stage(measure, self.sender, self.now).value;
        (stage >= Stage::Warn || self.enforced_from(measure).is_some()).then_some(stage)
    }

    fn enforced_from(&self, measure: &Measure) -> Option<Timestamp> {
        let steps = self.snapshot.steps(measure, self.sender, self.now).value;
        let comes = |step: &DatedStep| {
            let from = step.from.filter(|from| *from > self.now)?;
            (step.stage == Stage::Enforce).then_some(from)
        };
        steps.iter().find_map(comes)
    }

    fn demanded(&self, measure: Measure) -> Demanded {
        let stage = self.snapshot.stage(&measure, self.sender, self.now).value;
        let enforced_from = match stage {
            Stage::Enforce => None,
            _ => self.enforced_from(&measure),
        };
        Demanded {
            enforced_from,
            stage,
            measure,
        }
    }

    fn unmet_by(&self, row: &Connection) -> Option<Device> {
        let manner = &row.manner;
        if matches!(manner.outcome, Outcome::WrongPassword | Outcome::WrongMode) {
            return None;
        }
        let service = manner.service;
        let lowest = self.lowest(service);
        let measure = match manner.tls {
            None if manner.encryption == Encryption::Clear => Measure::Cleartext(service),
            Some(version) if version < lowest => Measure::TlsVersion(service),
            _ => return None,
        };
        // Where 1.3 is aimed at, what is below 1.2 is refused at every stage of that.
        let too_old =
            manner.tls.is_some_and(|v| v < TlsVersion::V1_2) && lowest == TlsVersion::V1_3;
        // At the legacy hosts the normal measures do not count, but the end does.
        let ends = manner.door == Door::Legacy
            && matches!(
                self.snapshot.legacy(self.sender, self.now),
                Legacy::Until { .. }
            );
        if !ends && !too_old {
            self.of(&measure)?;
        }
        Some(Device {
            client: manner.client.to_string(),
            service,
            port: manner.port,
            encryption: manner.encryption,
            door: manner.door,
            tls: manner.tls,
            outcome: manner.outcome,
            measure,
            first_day: row.first_day,
            last_day: row.last_day,
            seen: row.seen,
        })
    }

    fn lowest(&self, service: Service) -> TlsVersion {
        self.snapshot
            .lowest_tls(service, self.sender, self.now)
            .value
            .0
    }
}

/// The domain of an account and its group, or its domain's.
fn belongs_to(
    tx: &mut dyn Tx,
    account: AccountId,
) -> Result<Option<(String, Option<String>)>, StoreError> {
    tx.one(
        "SELECT a.domain, COALESCE(a.group_name, d.group_name) FROM directory_accounts a \
         LEFT JOIN directory_domains d ON d.domain = a.domain WHERE a.account = ?1",
        params![account.0],
        |row| {
            Ok((
                row.text(0)?.to_owned(),
                row.maybe_text(1)?.map(str::to_owned),
            ))
        },
    )
}
