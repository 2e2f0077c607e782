//! Sessions that logged in with a limited app password: gathers what `rulings::device` needs, and counts what is sent.
//! Costs a look at the login where the password is not limited.

use super::header_report::HeaderReport;
use super::rulings::{Refusal, device};
use directory::{Directory, Identity};
use formats::address::Address;
use platform::clock::Timestamp;
use platform::store::StoreError;
use queue::ReversePath;

/// At MAIL: as whom it sends, and whether it may send another message.
///
/// # Errors
/// Those of the store.
pub(super) async fn rule_mail(
    directory: &Directory,
    login: &Identity,
    path: &ReversePath,
    now: Timestamp,
) -> Result<Result<(), Refusal>, StoreError> {
    let Some(limits) = login.limits() else {
        return Ok(Ok(()));
    };
    if let Err(refusal) = device::sender(limits, path) {
        return Ok(Err(refusal));
    }
    let left = directory.sends_left(login, now).await?;
    Ok(left.map_err(device::too_many))
}

/// At RCPT: to whom it sends. `None` is the postmaster of this server.
pub(super) fn rule_recipient(
    login: Option<&Identity>,
    address: Option<&Address>,
) -> Result<(), Refusal> {
    match login.and_then(Identity::limits) {
        None => Ok(()),
        Some(limits) => device::recipient(limits, address),
    }
}

/// When the message is in: who the header says it is from. Counts it then; this is the last ruling before it is taken
/// over.
///
/// # Errors
/// Those of the store.
pub(super) async fn rule_message(
    directory: &Directory,
    login: &Identity,
    report: &HeaderReport,
    now: Timestamp,
) -> Result<Result<(), Refusal>, StoreError> {
    let Some(limits) = login.limits() else {
        return Ok(Ok(()));
    };
    if let Err(refusal) = device::header(limits, report.claims.as_ref()) {
        return Ok(Err(refusal));
    }
    let counted = directory.count_send(login, now).await?;
    Ok(counted.map_err(device::too_many))
}
