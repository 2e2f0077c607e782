//! How much is sent with an app password: counted in the store, so that neither a restart nor another node begins anew.
//! Costs nothing where the password has no such limit. The SMTP session asks at MAIL.

use super::{Credential, Identity};
use crate::Directory;
use crate::rows::write;
use platform::clock::Timestamp;
use platform::store::{StoreError, Tx};

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
    /// Counts one more message of whoever logged in, where its app password limits how many it sends.
    ///
    /// # Errors
    /// Those of the store; inside, that the limit is reached, and nothing was counted.
    pub async fn count_send(
        &self,
        identity: &Identity,
        now: Timestamp,
    ) -> Result<Result<(), SendsReached>, StoreError> {
        let Credential::AppPassword {
            label,
            limits: Some(limits),
        } = &identity.credential
        else {
            return Ok(Ok(()));
        };
        let (per_hour, per_day) = (limits.per_hour, limits.per_day);
        if per_hour.is_none() && per_day.is_none() {
            return Ok(Ok(()));
        }
        let most = |limit: Option<u32>| limit.map_or(i64::MAX, i64::from);
        let hour = (now.seconds().div_euclid(HOUR_SECONDS), most(per_hour));
        let day = (now.seconds().div_euclid(DAY_SECONDS), most(per_day));
        let (account, label) = (identity.account, label.clone());
        let counted = self
            .store()
            .write(move |tx: &mut dyn Tx| write::app_password_sends(tx, account, &label, hour, day))
            .await?;
        Ok(match counted {
            true => Ok(()),
            false => Err(SendsReached { per_hour, per_day }),
        })
    }
}
