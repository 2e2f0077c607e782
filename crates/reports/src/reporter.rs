//! Sends TLS reports (RFC 8460): after each UTC day asks every domain mail went to whether it wants
//! a report, makes it, and hands it over by mail or HTTPS, for up to a day. One per node and store.

use crate::compose::{self, Mail, gzip};
use crate::counts::TlsCounts;
use crate::destination::{self, Destination};
use crate::outgoing::{self, Outgoing, State};
use crate::{DAY_MS, day_of};
use directory::Directory;
use formats::address::Address;
use formats::message::Facts;
use platform::clock::{Clock, Timestamp};
use platform::dns::{Outcome, Resolver};
use platform::https::{HttpsClient, Limits, Target, Upload};
use platform::spool::{Spool, SpoolLimits};
use platform::store::{Store, StoreError};
use queue::{
    Accept, Dispatch, DsnOptions, Origin, Queue, ReversePath, TlsRequiredNo, TraceIds, bounce,
    trace,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How often what is due is done, by the node's clock, which tests can move.
const STEP: Duration = Duration::from_secs(30);
/// How often that clock is looked at.
const CLOCK_POLL: Duration = Duration::from_secs(1);
/// Wait after midnight, so that sessions that end late are counted.
const QUIET_AFTER_MIDNIGHT: Duration = Duration::from_secs(10 * 60);
/// Reports spread over so much time after that (RFC 8460 §4.1).
const SPREAD: Duration = Duration::from_secs(4 * 3600);
/// Wait before a domain is asked again whose DNS failed, and before a report is tried again.
const WAIT_FIRST: Duration = Duration::from_secs(15 * 60);
const WAIT_LONGEST: Duration = Duration::from_secs(4 * 3600);
/// RFC 8460 §5.5.
const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3600);
/// How long it is remembered that a report was made.
const REMEMBERED: Duration = Duration::from_secs(3 * 24 * 3600);
/// Domains and reports looked at in one page.
const PAGE: i64 = 200;
/// Pages of reports handed over in one step; the next step goes on.
const PAGES_MAX: usize = 50;
/// A POST may take so long, and its answer be so large.
const POST: Limits = Limits {
    body_bytes_max: 64 * 1024,
    time_max: Duration::from_secs(60),
};

/// How reports introduce us.
#[derive(Debug, Clone)]
pub struct ReporterSettings {
    /// `organization-name`.
    pub organization: String,
    /// `contact-info`, and the sender of reports by mail.
    pub contact: Address,
    /// This server's name.
    pub host: String,
    /// Where messages are put together.
    pub spool: SpoolLimits,
}

/// What a reporter works with.
#[derive(Clone)]
pub struct ReporterParts {
    /// Rows.
    pub store: Store,
    /// What the sessions told.
    pub counts: TlsCounts,
    /// Asked for the records of domains.
    pub resolver: Arc<dyn Resolver>,
    /// Hands reports in; `None`: by mail only.
    pub https: Option<HttpsClient>,
    /// Takes reports by mail.
    pub queue: Queue,
    /// Tells which destinations are local.
    pub directory: Directory,
    /// The time.
    pub clock: Clock,
    /// Names for messages.
    pub traces: TraceIds,
}

/// The reporter.
pub struct Reporter {
    parts: ReporterParts,
    settings: ReporterSettings,
    /// Domains whose DNS failed, with the time to ask again.
    asked: HashMap<(i64, String), (Timestamp, Duration)>,
}

/// What a domain wants.
enum Wish {
    Reports(Vec<String>),
    Nothing,
    /// The DNS did not say.
    Unknown,
}

/// Why a report was not handed over.
#[derive(Debug, thiserror::Error)]
enum NotHandedOver {
    #[error("{0}")]
    Mail(#[from] queue::AcceptError),
    #[error("the message could not be put together: {0}")]
    Spool(#[from] std::io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Https(String),
    #[error("the destination leads nowhere")]
    Nowhere,
}

impl Reporter {
    /// A reporter; `run` sets it going.
    pub fn new(parts: ReporterParts, settings: ReporterSettings) -> Self {
        Self {
            parts,
            settings,
            asked: HashMap::new(),
        }
    }

    /// Works until dropped.
    pub async fn run(mut self) {
        let mut last: Option<Timestamp> = None;
        loop {
            let now = self.parts.clock.now();
            if last.is_none_or(|last| now.since(last) >= STEP || now < last) {
                last = Some(now);
                if let Err(error) = self.step().await {
                    tracing::warn!(%error, "reports.step_failed");
                }
            }
            tokio::time::sleep(CLOCK_POLL).await;
        }
    }

    /// Does what is due. Writes what was counted first, so that a report holds all of its day.
    ///
    /// # Errors
    /// Where the store fails; the next step goes on.
    pub async fn step(&mut self) -> Result<(), StoreError> {
        self.parts.counts.flush(&self.parts.store).await?;
        let now = self.parts.clock.now();
        self.ask_domains(now).await?;
        for _ in 0..PAGES_MAX {
            let store = &self.parts.store;
            let page = store.read(move |tx| outgoing::due(tx, now.0, PAGE)).await?;
            if page.is_empty() {
                break;
            }
            for report in page {
                self.hand_over(report, now).await?;
            }
        }
        let before = now.0.saturating_sub(ms(REMEMBERED));
        let store = &self.parts.store;
        store.write(move |tx| outgoing::forget(tx, before)).await?;
        Ok(())
    }

    async fn ask_domains(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let today = day_of(now.0);
        self.asked.retain(|(day, _), _| day + 3 > today);
        let mut after = (i64::MIN, String::new());
        loop {
            let place = after.clone();
            let page = self
                .parts
                .store
                .read(move |tx| outgoing::counted(tx, today, &place, PAGE))
                .await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = last.clone();
            for (day, domain) in page {
                if self.is_due(day, &domain, now) {
                    self.ask(day, domain, now).await?;
                }
            }
        }
    }

    fn is_due(&self, day: i64, domain: &str, now: Timestamp) -> bool {
        let ended = Timestamp((day + 1) * DAY_MS);
        let again = self.asked.get(&(day, domain.to_owned()));
        now >= ended.plus(QUIET_AFTER_MIDNIGHT + self.spread(domain))
            && again.is_none_or(|(at, _)| now >= *at)
    }

    /// A time of its own for every domain and reporter.
    fn spread(&self, domain: &str) -> Duration {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.settings.host.as_bytes());
        hasher.update(domain.as_bytes());
        let byte = hasher.finalize().as_bytes()[0];
        SPREAD.mul_f64(f64::from(byte) / 256.0)
    }

    async fn ask(&mut self, day: i64, domain: String, now: Timestamp) -> Result<(), StoreError> {
        let key = (day, domain);
        let destinations = match self.wish(&key.1).await {
            Wish::Reports(destinations) => destinations,
            Wish::Nothing => Vec::new(),
            Wish::Unknown => {
                let ended = Timestamp((day + 1) * DAY_MS);
                let wait = self.asked.get(&key).map_or(WAIT_FIRST, |(_, wait)| {
                    wait.saturating_mul(2).min(WAIT_LONGEST)
                });
                if now.since(ended) < GIVE_UP_AFTER {
                    self.asked.insert(key, (now.plus(wait), wait));
                    return Ok(());
                }
                Vec::new()
            }
        };
        self.asked.remove(&key);
        let (day, domain) = key;
        let wanted = domain.clone();
        let counted = self
            .parts
            .store
            .read(move |tx| outgoing::sessions(tx, day, &wanted))
            .await?;
        let report = compose::document(&self.reporter(), day, &domain, &counted);
        let packed = gzip(&report.to_json());
        let reports: Vec<_> = destinations
            .into_iter()
            .map(|destination| (destination, packed.clone()))
            .collect();
        self.parts
            .store
            .write(move |tx| outgoing::make(tx, day, &domain, &reports, now.0))
            .await
    }

    async fn wish(&self, domain: &str) -> Wish {
        let name = destination::record_name(domain);
        match self.parts.resolver.txt(&name).await {
            Outcome::Found(answer) => match destination::uris(&answer.value) {
                uris if uris.is_empty() => Wish::Nothing,
                uris => Wish::Reports(uris),
            },
            Outcome::NoData(_) | Outcome::NxDomain(_) => Wish::Nothing,
            Outcome::Bogus(why) | Outcome::TemporaryFailure(why) => {
                tracing::debug!(domain, why, "reports.record_unknown");
                Wish::Unknown
            }
        }
    }

    fn reporter(&self) -> compose::Reporter<'_> {
        compose::Reporter {
            organization: &self.settings.organization,
            contact: &self.settings.contact,
            host: &self.settings.host,
        }
    }

    async fn hand_over(&self, report: Outgoing, now: Timestamp) -> Result<(), StoreError> {
        self.mark(&report, State::HandedOver, now.0).await?;
        let handed = match destination::parse(&report.destination) {
            Some(Destination::Mail(to)) => self.mail(&report, &to, now).await,
            Some(Destination::Https(target)) => self.post(&report, &target).await,
            None => Err(NotHandedOver::Nowhere),
        };
        let (domain, to) = (&report.domain, &report.destination);
        let Err(error) = handed else {
            tracing::info!(domain, to, "reports.tls_report_handed_over");
            return Ok(());
        };
        let age = Duration::from_millis(u64::try_from(now.0 - report.made_at).unwrap_or(0));
        let doubled = WAIT_FIRST.saturating_mul(1 << report.attempts.clamp(0, 10));
        let next_at = now.plus(doubled.min(WAIT_LONGEST)).0;
        let state = match age >= GIVE_UP_AFTER || matches!(error, NotHandedOver::Nowhere) {
            true => State::GivenUp,
            false => State::Waits,
        };
        tracing::info!(domain, to, %error, ?state, "reports.tls_report_not_handed_over");
        self.mark(&report, state, next_at).await
    }

    async fn mark(&self, report: &Outgoing, state: State, next_at: i64) -> Result<(), StoreError> {
        let report = report.clone();
        self.parts
            .store
            .write(move |tx| outgoing::mark(tx, &report, state, next_at))
            .await
    }

    async fn mail(
        &self,
        report: &Outgoing,
        to: &Address,
        now: Timestamp,
    ) -> Result<(), NotHandedOver> {
        let recipients = bounce::recipients(to, &self.parts.directory).await?;
        if recipients.is_empty() {
            return Err(NotHandedOver::Nowhere);
        }
        let sender = &self.settings.contact;
        let mut bytes = format!("Return-Path: <{sender}>\r\n").into_bytes();
        let mail = Mail {
            reporter: self.reporter(),
            to,
            day: report.day,
            domain: &report.domain,
            packed: &report.document,
            unix_ms: now.0,
        };
        bytes.extend(mail.build());
        let mut body = Spool::new(self.settings.spool.clone());
        body.push(&bytes)?;
        self.parts
            .queue
            .accept(Accept {
                trace: self.parts.traces.next(),
                sender: ReversePath::Address(sender.clone()),
                recipients,
                submitter: None,
                dsn: DsnOptions::default(),
                facts: Facts::scan(&bytes).to_bytes(),
                body,
                session: trace::Session::default(),
                now,
                announced: None,
                // RFC 8460 §5.3: neither DANE nor MTA-STS may stop a report.
                dispatch: Dispatch {
                    origin: Origin::Ours,
                    tls_required_no: TlsRequiredNo::Present,
                    ..Dispatch::default()
                },
            })
            .await?;
        Ok(())
    }

    async fn post(&self, report: &Outgoing, target: &Target) -> Result<(), NotHandedOver> {
        let Some(https) = &self.parts.https else {
            return Err(NotHandedOver::Nowhere);
        };
        let upload = Upload {
            content_type: "application/tlsrpt+gzip",
            content_encoding: None,
            bytes: report.document.clone(),
        };
        let answer = https
            .post(target, upload, POST)
            .await
            .map_err(|error| NotHandedOver::Https(error.to_string()))?;
        match answer.status {
            200..=299 => Ok(()),
            status => Err(NotHandedOver::Https(format!(
                "the server answered {status}"
            ))),
        }
    }
}

fn ms(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
