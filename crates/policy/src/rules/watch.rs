//! What rules need beside themselves while they are asked: counters of rates, findings of rules that are not enforced,
//! the recorder, a resolver for names of clients. One for the whole node; `Policies` holds it.

use super::evaluate::Decision;
use super::facts::Facts;
use super::rates::Rates;
use super::record::Recorder;
use super::rule::Point;
use super::servers::ServerFindings;
use crate::findings::Findings;
use crate::measure::Measure;
use directory::AccountId;
use platform::clock::Timestamp;
use platform::dns::Resolver;
use platform::store::{Store, StoreError};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How long the name of a client is waited for.
const REVERSE_WAIT: Duration = Duration::from_secs(3);
/// Names of one client that are compared with its address.
const REVERSE_NAMES_MAX: usize = 3;

/// What rules need while they are asked.
pub struct Watch {
    /// Counters of rates.
    pub rates: Rates,
    servers: ServerFindings,
    findings: Findings,
    recorder: OnceLock<Recorder>,
    resolver: OnceLock<Arc<dyn Resolver>>,
}

impl Watch {
    pub(crate) fn new(store: &Store) -> Self {
        Self {
            rates: Rates::default(),
            servers: ServerFindings::new(store.clone()),
            findings: Findings::new(store.clone()),
            recorder: OnceLock::new(),
            resolver: OnceLock::new(),
        }
    }

    /// From now on facts are recorded. Only the first call counts.
    pub fn record_with(&self, recorder: Recorder) {
        let _ = self.recorder.set(recorder);
    }

    /// Who is asked for names of clients. Only the first call counts.
    pub fn resolve_with(&self, resolver: Arc<dyn Resolver>) {
        let _ = self.resolver.set(resolver);
    }

    /// Notes what rules that are not enforced would have done: about an account, or about the sender's domain.
    pub fn note(
        &self,
        decision: &Decision<'_>,
        account: Option<AccountId>,
        sender_domain: &str,
        now: Timestamp,
    ) {
        for noted in &decision.noted {
            let name = noted.rule.name.as_str();
            match account {
                Some(account) => {
                    let what = noted.rule.then.first().map_or("", |action| action.word());
                    self.findings
                        .note(Measure::Rule(name.into()), account, what, now);
                }
                None => self.servers.note(name, sender_domain, now),
            }
        }
    }

    /// Records facts, if that is switched on.
    pub fn record(&self, point: Point, facts: &Facts<'_>, now: Timestamp) {
        if let Some(recorder) = self.recorder.get() {
            recorder.record(point, facts, now);
        }
    }

    /// Whether facts are recorded.
    pub fn records(&self) -> bool {
        self.recorder.get().is_some()
    }

    /// The name of a client in the DNS that leads back to its address; `Ok(None)`: it has none, `Err`: nobody can
    /// tell for the moment.
    ///
    /// # Errors
    /// Where there is no answer.
    pub async fn reverse_name(&self, address: IpAddr) -> Result<Option<String>, NoAnswer> {
        let resolver = self.resolver.get().ok_or(NoAnswer)?;
        let look = async {
            let names = resolver.reverse(address).await;
            let Some(names) = names.found() else {
                return Ok(None);
            };
            for name in names.value.into_iter().take(REVERSE_NAMES_MAX) {
                let back = resolver.addresses(&name).await.found();
                if back.is_some_and(|back| back.value.contains(&address)) {
                    return Ok(Some(name));
                }
            }
            Ok(None)
        };
        tokio::time::timeout(REVERSE_WAIT, look)
            .await
            .unwrap_or(Err(NoAnswer))
    }

    /// Writes what waits. Called by a chore and before a node stops.
    ///
    /// # Errors
    /// Those of the store; what was not written goes on waiting.
    pub async fn flush(&self) -> Result<(), StoreError> {
        self.servers.flush().await?;
        self.findings.flush().await
    }
}

/// The DNS did not answer, or nobody is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoAnswer;
