//! What a node does about DKIM keys by itself: makes those of its own name at the first start, looks in DNS for the
//! records of all, moves keys on, and says in the log when a record that signatures need is gone or another.

use super::Parts;
use directory::DomainName;
use signing::keyring::{Begin, Checked, NewKeys};
use signing::lifecycle::{KeyState, Publication};
use std::time::Duration;

/// How soon what is due is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How often domains without keys are named in the log, in looks: once a day.
const NAMED_EVERY_LOOKS: u64 = 24 * 60;
/// Domains named in one log line.
const NAMED_MAX: usize = 5;

/// Makes keys for the server's own name, which signs notices and whatever has no keys of its own. They sign at
/// once: a receiver that finds no record treats the mail as unsigned, and publishing is all that is left to do.
///
/// # Errors
/// Those of the store.
pub(super) async fn ensure_host_keys(parts: &Parts) -> Result<(), signing::SigningError> {
    let keyring = parts.signing.keyring();
    let Ok(host) = DomainName::parse(parts.signing.host()) else {
        tracing::warn!(host = parts.signing.host(), "dkim.host_name_is_no_domain");
        return Ok(());
    };
    if !keyring.of_domain(host.as_str()).await?.is_empty() {
        return Ok(());
    }
    let new = NewKeys {
        begin: Begin::Now,
        ..NewKeys::default()
    };
    match keyring.add(host.as_str(), new).await {
        Ok(_) => tracing::info!(
            domain = host.as_str(),
            "dkim.host_keys_made: publish the records that `rohrpost dkim show` prints for it"
        ),
        // Another node made them in the same moment.
        Err(signing::SigningError::Refused(why)) => tracing::debug!(why, "dkim.host_keys_there"),
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Runs for ever.
pub(super) async fn watch(parts: Parts) {
    let mut looks: u64 = 0;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        match parts.signing.keyring().due().await {
            Ok(domains) => {
                for domain in domains {
                    check(&parts, &domain).await;
                }
            }
            Err(error) => tracing::warn!(%error, "dkim.look_failed"),
        }
        if looks.is_multiple_of(NAMED_EVERY_LOOKS) {
            name_domains_without_keys(&parts).await;
        }
        looks += 1;
    }
}

async fn check(parts: &Parts, domain: &str) {
    match parts.signing.keyring().check(domain).await {
        Ok(all) => all.iter().for_each(report),
        Err(error) => tracing::warn!(domain, %error, "dkim.check_failed"),
    }
}

/// Says what changed. A key that waits for its record is no news; one that signs without it is, each day.
fn report(checked: &Checked) {
    let key = &checked.key;
    let record = key.record().name();
    if checked.before != key.state {
        tracing::info!(
            record,
            before = checked.before.word(),
            after = key.state.word(),
            "dkim.key_moved_on"
        );
    }
    if key.state != KeyState::Active {
        return;
    }
    match &key.publication {
        Publication::Absent => tracing::warn!(
            record,
            "dkim.record_missing: signatures fail; publish what `rohrpost dkim show` prints"
        ),
        Publication::Differs(what) => tracing::warn!(
            record,
            what,
            "dkim.record_differs: signatures fail; publish what `rohrpost dkim show` prints"
        ),
        Publication::Seen | Publication::Unknown(_) => {}
    }
}

async fn name_domains_without_keys(parts: &Parts) {
    let admin = crate::accounts::admin(parts.directory.clone(), parts.clock.clone());
    let (domains, keys) = (admin.domains().await, parts.signing.keyring().list().await);
    let (Ok(domains), Ok(keys)) = (domains, keys) else {
        return;
    };
    let without: Vec<&str> = domains
        .iter()
        .map(|domain| domain.name.as_str())
        .filter(|name| {
            keys.binary_search_by(|key| key.domain.as_str().cmp(name))
                .is_err()
        })
        .collect();
    if !without.is_empty() {
        let some = without
            .iter()
            .take(NAMED_MAX)
            .copied()
            .collect::<Vec<_>>()
            .join(" ");
        tracing::warn!(
            count = without.len(),
            some,
            "dkim.domains_without_keys: their mail is signed for the host only; run `rohrpost dkim add --all`"
        );
    }
}
