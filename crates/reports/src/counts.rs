//! Counts TLS sessions per UTC day, domain, policy and failure, in memory, and writes them to the
//! store now and then. Called between two commands of an SMTP session, so it only counts. What was
//! counted since the last `flush` is lost in a crash: reports are aggregate and best effort.

use crate::day_of;
use formats::tls_report::{FailureDetail, Policy};
use platform::params;
use platform::store::{Store, StoreError};
use routing::tlsrpt::{Failure, Observer, PolicyFound, SessionResult};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex};

/// Different results held between two flushes; what does not fit is counted without its details,
/// and not at all where even that does not fit.
const RESULTS_MAX: usize = 50_000;

/// The counter. Cheap to clone; all clones count together.
#[derive(Clone, Default)]
pub struct TlsCounts {
    pending: Arc<Mutex<Pending>>,
}

#[derive(Default)]
struct Pending {
    counts: HashMap<Kind, u64>,
    lost: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    day: i64,
    domain: Arc<str>,
    policy: PolicyFound,
    failure: Option<Failure>,
}

impl Observer for TlsCounts {
    fn note(&self, result: SessionResult) {
        let kind = Kind {
            day: day_of(result.at.0),
            domain: result.domain,
            policy: result.policy,
            failure: result.failure,
        };
        let mut pending = self.pending.lock().unwrap_or_else(|e| e.into_inner());
        pending.add(kind, 1);
    }
}

impl Pending {
    fn add(&mut self, kind: Kind, sessions: u64) {
        let is_full = self.counts.len() >= RESULTS_MAX;
        let kind = match is_full && !self.counts.contains_key(&kind) {
            true => kind.without_details(),
            false => kind,
        };
        let has_room = self.counts.len() < RESULTS_MAX + RESULTS_MAX / 10;
        match self.counts.entry(kind) {
            Entry::Occupied(mut entry) => *entry.get_mut() += sessions,
            Entry::Vacant(entry) if has_room => {
                entry.insert(sessions);
            }
            Entry::Vacant(_) => self.lost += sessions,
        }
    }
}

impl Kind {
    fn without_details(mut self) -> Self {
        if let Some(failure) = &mut self.failure {
            failure.receiving_mx_helo = None;
            failure.receiving_ip = None;
            failure.sending_mta_ip = None;
            failure.reason = None;
        }
        self
    }
}

/// A row to be written.
struct Row {
    day: i64,
    domain: Arc<str>,
    kind: [u8; 16],
    policy: String,
    failure: String,
    sessions: i64,
}

impl TlsCounts {
    /// Writes what was counted since the last call, and forgets it. On an error it is kept.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn flush(&self, store: &Store) -> Result<(), StoreError> {
        let taken = {
            let mut pending = self.pending.lock().unwrap_or_else(|e| e.into_inner());
            if pending.lost > 0 {
                tracing::warn!(sessions = pending.lost, "reports.sessions_not_counted");
                pending.lost = 0;
            }
            std::mem::take(&mut pending.counts)
        };
        if taken.is_empty() {
            return Ok(());
        }
        let rows: Vec<Row> = taken
            .iter()
            .map(|(kind, count)| row(kind, *count))
            .collect();
        let written = store
            .write(move |tx| {
                for row in &rows {
                    tx.execute(
                        "INSERT INTO report_tls_sessions \
                         (day, domain, kind, policy, failure, sessions) \
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
                         ON CONFLICT (day, domain, kind) DO UPDATE \
                         SET sessions = report_tls_sessions.sessions + excluded.sessions",
                        params![
                            row.day,
                            &*row.domain,
                            &row.kind[..],
                            &row.policy,
                            &row.failure,
                            row.sessions
                        ],
                    )?;
                }
                Ok::<_, StoreError>(())
            })
            .await;
        // Where the commit may have happened, writing again could count twice; too few is better.
        if let Err(error) = &written
            && !matches!(error, StoreError::Uncertain(_))
        {
            let mut pending = self.pending.lock().unwrap_or_else(|e| e.into_inner());
            for (kind, count) in taken {
                pending.add(kind, count);
            }
        }
        written
    }
}

fn row(kind: &Kind, count: u64) -> Row {
    let policy = Policy {
        policy_type: kind.policy.kind.as_str().to_owned(),
        policy_string: kind.policy.strings.to_vec(),
        policy_domain: kind.policy.domain.to_string(),
        mx_host: kind.policy.mx_hosts.to_vec(),
    };
    let policy = serde_json::to_string(&policy).unwrap_or_default();
    let failure = kind.failure.as_ref().map(detail);
    let failure = failure.map_or(String::new(), |detail| {
        serde_json::to_string(&detail).unwrap_or_default()
    });
    let mut hasher = blake3::Hasher::new();
    hasher.update(policy.as_bytes());
    hasher.update(b"\0");
    hasher.update(failure.as_bytes());
    let mut name = [0; 16];
    name.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    Row {
        day: kind.day,
        domain: kind.domain.clone(),
        kind: name,
        policy,
        failure,
        sessions: i64::try_from(count).unwrap_or(i64::MAX),
    }
}

fn detail(failure: &Failure) -> FailureDetail {
    FailureDetail {
        result_type: failure.result.as_str().to_owned(),
        sending_mta_ip: failure.sending_mta_ip.map(|ip| ip.to_string()),
        receiving_mx_hostname: failure.receiving_mx_hostname.clone(),
        receiving_mx_helo: failure.receiving_mx_helo.clone(),
        receiving_ip: failure.receiving_ip.map(|ip| ip.to_string()),
        failed_session_count: 0,
        additional_information: None,
        failure_reason_code: failure.reason.clone(),
    }
}
