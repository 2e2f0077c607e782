//! When a policy is used as it is kept, fetched, or waited for (RFC 8461 §3.3, §5.1). Pure.

use super::StsPolicy;
use platform::clock::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// Wait after a failed fetch before the same version is tried again (RFC 8461 §3.3: five minutes or more).
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(5 * 60);

/// A policy that was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) policy: Arc<StsPolicy>,
    pub(super) id: Box<str>,
    pub(super) expires_at: Timestamp,
}

/// A fetch that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failed {
    /// The announced id.
    pub(super) id: Box<str>,
    pub(super) at: Timestamp,
}

/// What to do for a message that goes there now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Plan {
    /// What is kept holds, if anything is.
    Use,
    /// Fetch, and wait for the outcome; what is kept holds if it fails.
    Fetch,
    /// Fetch, and do not wait: it failed before, and mail to a domain whose policy host is broken is
    /// not to wait a minute every time.
    FetchBeside,
}

/// `announced` is the id in the TXT record, where there is one.
pub(super) fn plan(
    kept: Option<&Kept>,
    failed: Option<&Failed>,
    announced: Option<&str>,
    now: Timestamp,
) -> Plan {
    let Some(announced) = announced else {
        return Plan::Use;
    };
    let holds = kept.filter(|kept| kept.expires_at > now);
    if holds.is_some_and(|kept| *kept.id == *announced) {
        return Plan::Use;
    }
    match failed.filter(|failed| *failed.id == *announced) {
        Some(failed) if now.since(failed.at) < RETRY_AFTER => Plan::Use,
        Some(_) => Plan::FetchBeside,
        None => Plan::Fetch,
    }
}

/// What holds now.
pub(super) fn holding(kept: Option<&Kept>, now: Timestamp) -> Option<Arc<StsPolicy>> {
    kept.filter(|kept| kept.expires_at > now)
        .map(|kept| kept.policy.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sts::Mode;

    const NOW: Timestamp = Timestamp(1_000_000_000);

    fn kept(id: &str, expires_in_ms: i64) -> Kept {
        Kept {
            policy: Arc::new(StsPolicy {
                mode: Mode::Enforce,
                max_age: Duration::from_secs(1),
                mx: vec!["mx.test".to_owned()],
            }),
            id: id.into(),
            expires_at: Timestamp(NOW.0 + expires_in_ms),
        }
    }

    fn failed(id: &str, ago: Duration) -> Failed {
        Failed {
            id: id.into(),
            at: Timestamp(NOW.0 - i64::try_from(ago.as_millis()).unwrap()),
        }
    }

    #[test]
    fn what_is_announced_is_fetched_once() {
        assert_eq!(plan(None, None, None, NOW), Plan::Use);
        assert_eq!(plan(None, None, Some("1"), NOW), Plan::Fetch);
        assert_eq!(plan(Some(&kept("1", 1)), None, Some("1"), NOW), Plan::Use);
        assert_eq!(plan(Some(&kept("1", 0)), None, Some("1"), NOW), Plan::Fetch);
        assert_eq!(plan(Some(&kept("1", 1)), None, Some("2"), NOW), Plan::Fetch);
    }

    #[test]
    fn a_failed_fetch_is_repeated_beside_and_not_too_soon() {
        let soon = failed("1", RETRY_AFTER - Duration::from_millis(1));
        assert_eq!(plan(None, Some(&soon), Some("1"), NOW), Plan::Use);
        assert_eq!(plan(None, Some(&soon), Some("2"), NOW), Plan::Fetch);
        let late = failed("1", RETRY_AFTER);
        assert_eq!(plan(None, Some(&late), Some("1"), NOW), Plan::FetchBeside);
    }

    #[test]
    fn a_policy_holds_while_the_dns_says_nothing_and_ends_with_its_age() {
        let policy = kept("1", 1);
        assert_eq!(plan(Some(&policy), None, None, NOW), Plan::Use);
        assert!(holding(Some(&policy), NOW).is_some());
        assert!(holding(Some(&kept("1", 0)), NOW).is_none());
    }
}
