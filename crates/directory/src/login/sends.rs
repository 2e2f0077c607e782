//! How much is sent with an app password: counted in the store, so that neither a restart nor another node begins anew.
//! Costs nothing where the password has no such limit. The SMTP session asks at MAIL
//! and counts when it takes the message over.

use super::{Credential, Identity};
use crate::rows::{read, write};
use crate::{AccountId, Directory};
use platform::clock::Timestamp;
use platform::store::{StoreError, Tx};
use std::sync::Arc;

const HOUR_SECONDS: i64 = 3600;
const DAY_SECONDS: i64 = 86_400;

/// As many messages as the app password may send were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendsReached {
    /// How many it may send in an hour, where that is limited.
    pub per_hour: Option<u32>,
    /// How many it may send in a day, where that is limited.
    pub per_day: Option<u32>,
}

impl Directory {
    /// Whether whoever logged in may send one more message. Counts nothing yet; costs one read of the store where its
    /// app password limits how many it sends.
    ///
    /// # Errors
    /// Those of the store; inside, that the limit is reached.
    pub async fn sends_left(
        &self,
        identity: &Identity,
        now: Timestamp,
    ) -> Result<Result<(), SendsReached>, StoreError> {
        let Some(allowed) = Allowed::of(identity, now) else {
            return Ok(Ok(()));
        };
        let reached = allowed.reached;
        let left = self
            .store()
            .read(move |tx: &mut dyn Tx| {
                let (account, label) = (allowed.account, &allowed.label);
                read::app_password_may_send(tx, account, label, allowed.hour, allowed.day)
            })
            .await?;
        Ok(left.then_some(()).ok_or(reached))
    }

    /// Counts one more message of whoever logged in, where its app password limits how many it sends.
    ///
    /// # Errors
    /// Those of the store; inside, that the limit is reached, and nothing was counted.
    pub async fn count_send(
        &self,
        identity: &Identity,
        now: Timestamp,
    ) -> Result<Result<(), SendsReached>, StoreError> {
        let Some(allowed) = Allowed::of(identity, now) else {
            return Ok(Ok(()));
        };
        let reached = allowed.reached;
        let counted = self
            .store()
            .write(move |tx: &mut dyn Tx| {
                let (account, label) = (allowed.account, &allowed.label);
                write::app_password_sends(tx, account, label, allowed.hour, allowed.day)
            })
            .await?;
        Ok(counted.then_some(()).ok_or(reached))
    }
}

/// How much may be sent in the hour and the day of the moment.
struct Allowed {
    account: AccountId,
    label: Arc<str>,
    /// The hour since 1970, and how many messages it may have.
    hour: (i64, i64),
    /// The day, likewise.
    day: (i64, i64),
    reached: SendsReached,
}

impl Allowed {
    /// `None` where nothing is limited.
    fn of(identity: &Identity, now: Timestamp) -> Option<Self> {
        let Credential::AppPassword { label, limits } = &identity.credential else {
            return None;
        };
        let limits = limits.as_ref()?;
        let (per_hour, per_day) = (limits.per_hour, limits.per_day);
        if per_hour.is_none() && per_day.is_none() {
            return None;
        }
        let most = |limit: Option<u32>| limit.map_or(i64::MAX, i64::from);
        Some(Self {
            account: identity.account,
            label: label.clone(),
            hour: (now.seconds().div_euclid(HOUR_SECONDS), most(per_hour)),
            day: (now.seconds().div_euclid(DAY_SECONDS), most(per_day)),
            reached: SendsReached { per_hour, per_day },
        })
    }
}
