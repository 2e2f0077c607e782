//! Reports on real stores: made once whatever happens, kept over restarts, sent again where the
//! other side was away; and reports about us, counted once and only where they are proved.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use directory::admin::{AccountHooks, Admin, Removals};
use directory::{AccountId, Directory, Resolution};
use formats::address::Address;
use formats::message::Facts;
use formats::tls_report;
use mailbox::Mailboxes;
use platform::clock::{Clock, Timestamp};
use platform::dns::StaticResolver;
use platform::files::RealFiles;
use platform::params;
use platform::random::Random;
use platform::segments::{SegmentOptions, Segments};
use platform::signals::Signals;
use platform::spool::{Spool, SpoolLimits};
use platform::store::{Engine, Options, Store, StoreError, Tx};
use queue::{Accept, DeliverTo, Dispatch, DsnOptions, Notify, Queue, Recipient, ReversePath};
use queue::{TraceIds, trace};
use reports::compose::{self, Mail};
use reports::figures::{self, Kind};
use reports::inbox::Verifier;
use reports::{Inbox, InboxParts, Reporter, ReporterParts, ReporterSettings, TlsCounts};
use routing::tlsrpt::{Failure, Observer, PolicyFound, ResultType, SessionResult};
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// 2026-03-02T08:00:00Z.
const START: Timestamp = Timestamp(1_772_438_400_000);
const DAY: Duration = Duration::from_secs(24 * 3600);
const HOUR: Duration = Duration::from_secs(3600);
const STATE: &str = "[[domain]]\nname = \"firma.test\"\n[[account]]\nlogin = \"anna@firma.test\"\n";

struct Hooks(Clock);

impl AccountHooks for Hooks {
    fn added(&self, tx: &mut dyn Tx, account: AccountId) -> Result<(), StoreError> {
        mailbox::create_account_mailboxes(tx, account, self.0.now())
    }
    fn removed(&self, tx: &mut dyn Tx, account: AccountId) -> Result<(), StoreError> {
        mailbox::remove_account(tx, account)
    }
}

struct Setup {
    store: Store,
    directory: Directory,
    mailboxes: Mailboxes,
    queue: Queue,
    clock: Clock,
    traces: TraceIds,
    resolver: Arc<StaticResolver>,
    counts: TlsCounts,
    spool: SpoolLimits,
}

impl Setup {
    async fn open(dir: &Path, clock: Clock) -> Self {
        let random = Random::seeded(1);
        let options = SegmentOptions::new(clock.clone(), random.clone());
        let (segments, _) =
            Segments::open(&dir.join("segments"), options, Arc::new(RealFiles)).unwrap();
        let options = Options {
            engine: Engine::Sqlite {
                path: dir.join("t.sqlite"),
            },
            readers: 1,
            gather_max: Duration::ZERO,
            before_commit: Some(segments.before_commit()),
        };
        let schema = [
            directory::SCHEMA,
            mailbox::SCHEMA,
            queue::SCHEMA,
            reports::SCHEMA,
        ];
        let store = Store::open(options, &schema).unwrap();
        let settings = directory::Settings::default();
        let directory = Directory::open(store.clone(), settings, random)
            .await
            .unwrap();
        Admin::new(directory.clone(), Arc::new(Hooks(clock.clone())))
            .apply(STATE, Removals::Refused, clock.now())
            .await
            .unwrap();
        let mailboxes = Mailboxes::new(
            store.clone(),
            segments.clone(),
            Signals::default(),
            clock.clone(),
        );
        let newest = store.read(trace::newest).await.unwrap();
        Self {
            queue: Queue::new(store.clone(), segments, mailboxes.clone()),
            traces: TraceIds::after(clock.clone(), newest),
            resolver: Arc::new(StaticResolver::new()),
            counts: TlsCounts::default(),
            spool: SpoolLimits {
                memory_bytes: 1 << 20,
                dir: Arc::from(dir),
            },
            store,
            directory,
            mailboxes,
            clock,
        }
    }

    fn reporter(&self) -> Reporter {
        let parts = ReporterParts {
            store: self.store.clone(),
            counts: self.counts.clone(),
            resolver: self.resolver.clone(),
            https: None,
            queue: self.queue.clone(),
            directory: self.directory.clone(),
            clock: self.clock.clone(),
            traces: self.traces.clone(),
        };
        let settings = ReporterSettings {
            organization: "Rohrpost".into(),
            contact: Address::parse("postmaster@firma.test").unwrap(),
            host: "mx.rp.test".into(),
            spool: self.spool.clone(),
        };
        Reporter::new(parts, settings)
    }

    fn note(&self, domain: &str, failure: Option<ResultType>) {
        let domain: Arc<str> = domain.into();
        self.counts.note(SessionResult {
            at: self.clock.now(),
            policy: PolicyFound::nothing(&domain),
            domain,
            failure: failure.map(|result| Failure::before_connection(result, None, "why")),
        });
    }

    fn forward(&self, by: Duration) {
        self.clock.set(self.clock.now().plus(by));
    }

    async fn waiting(&self, address: &'static str) -> i64 {
        let count = move |tx: &mut dyn Tx| {
            tx.one(
                "SELECT count(*) FROM queue_recipients WHERE address = ?1",
                params![address],
                |row| row.int(0),
            )
        };
        let found: Result<_, StoreError> = self.store.read(count).await;
        found.unwrap().unwrap()
    }

    /// Puts a message into anna's mailbox.
    async fn receive(&self, message: &[u8]) -> AccountId {
        let anna = Address::parse("anna@firma.test").unwrap();
        let resolution = self.directory.resolve(&anna).await.unwrap();
        let Resolution::Local { deliveries, .. } = resolution.as_ref() else {
            panic!("anna is here")
        };
        let account = deliveries[0].account;
        let mut body = Spool::new(self.spool.clone());
        body.push(message).unwrap();
        let accept = Accept {
            trace: self.traces.next(),
            sender: ReversePath::Null,
            recipients: vec![Recipient {
                address: anna,
                deliver_to: DeliverTo::Account(account),
                notify: Notify::DEFAULT,
                original: None,
            }],
            submitter: None,
            dsn: DsnOptions::default(),
            facts: Facts::scan(message).to_bytes(),
            body,
            session: trace::Session::default(),
            now: self.clock.now(),
            announced: None,
            dispatch: Dispatch::default(),
        };
        self.queue.accept(accept).await.unwrap();
        account
    }

    fn inbox(&self, signer: Option<&'static str>) -> Inbox {
        Inbox::new(InboxParts {
            store: self.store.clone(),
            mailboxes: self.mailboxes.clone(),
            directory: self.directory.clone(),
            clock: self.clock.clone(),
            verifier: Some(Arc::new(SignedBy(signer))),
            address: Address::parse("anna@firma.test").unwrap(),
        })
    }
}

struct SignedBy(Option<&'static str>);

impl Verifier for SignedBy {
    fn signers<'a>(
        &'a self,
        _: &'a [u8],
    ) -> Pin<Box<dyn Future<Output = Vec<String>> + Send + 'a>> {
        Box::pin(async { self.0.map(str::to_owned).into_iter().collect() })
    }
}

#[tokio::test]
async fn a_report_is_made_once_and_survives_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::settable(START);
    {
        let setup = Setup::open(dir.path(), clock.clone()).await;
        setup.note("else.test", None);
        setup.note("else.test", Some(ResultType::CertificateExpired));
        setup.note("silent.test", None);
        setup.reporter().step().await.unwrap();
        assert_eq!(
            setup.waiting("tls@else.test").await,
            0,
            "the day is not over"
        );
    }
    clock.set(START.plus(DAY));
    let setup = Setup::open(dir.path(), clock.clone()).await;
    let record = "v=TLSRPTv1; rua=mailto:tls@else.test";
    setup.resolver.add_txt("_smtp._tls.else.test", record);
    setup.reporter().step().await.unwrap();
    assert_eq!(setup.waiting("tls@else.test").await, 1);
    // Neither a second step, nor a second program, nor sessions written late make another one.
    setup.reporter().step().await.unwrap();
    drop(setup);
    let setup = Setup::open(dir.path(), clock.clone()).await;
    setup.resolver.add_txt("_smtp._tls.else.test", record);
    clock.set(START);
    setup.note("else.test", None);
    clock.set(START.plus(DAY + HOUR));
    setup.reporter().step().await.unwrap();
    setup.reporter().step().await.unwrap();
    assert_eq!(setup.waiting("tls@else.test").await, 1);
    // The next day has one of its own.
    setup.note("else.test", None);
    setup.forward(DAY);
    setup.reporter().step().await.unwrap();
    assert_eq!(setup.waiting("tls@else.test").await, 2);
}

#[tokio::test]
async fn a_domain_whose_dns_fails_is_asked_again() {
    let dir = tempfile::tempdir().unwrap();
    let setup = Setup::open(dir.path(), Clock::settable(START)).await;
    setup.note("else.test", None);
    setup.resolver.fail("_smtp._tls.else.test", "SERVFAIL");
    let mut reporter = setup.reporter();
    setup.forward(DAY);
    reporter.step().await.unwrap();
    setup.resolver.forget("_smtp._tls.else.test");
    setup.resolver.add_txt(
        "_smtp._tls.else.test",
        "v=TLSRPTv1; rua=mailto:tls@else.test",
    );
    reporter.step().await.unwrap();
    assert_eq!(setup.waiting("tls@else.test").await, 0, "not at once");
    setup.forward(HOUR);
    reporter.step().await.unwrap();
    assert_eq!(setup.waiting("tls@else.test").await, 1);
}

#[tokio::test]
async fn a_destination_that_takes_nothing_is_given_up_after_a_day() {
    let dir = tempfile::tempdir().unwrap();
    let setup = Setup::open(dir.path(), Clock::settable(START)).await;
    setup.note("else.test", None);
    setup.resolver.add_txt(
        "_smtp._tls.else.test",
        "v=TLSRPTv1; rua=mailto:gone@firma.test",
    );
    let mut reporter = setup.reporter();
    for _ in 0..40 {
        setup.forward(HOUR);
        reporter.step().await.unwrap();
    }
    let left = |tx: &mut dyn Tx| {
        tx.one(
            "SELECT count(*) FROM report_outgoing WHERE state = 0",
            &[],
            |row| row.int(0),
        )
    };
    let left: Result<_, StoreError> = setup.store.read(left).await;
    assert_eq!(left.unwrap(), Some(0));
}

/// A TLS report about firma.test with 5 good and 2 bad sessions, as mail.
fn report_mail() -> Vec<u8> {
    let contact = Address::parse("tls@big.test").unwrap();
    let reporter = compose::Reporter {
        organization: "Big",
        contact: &contact,
        host: "mx.big.test",
    };
    let policy = tls_report::Policy {
        policy_type: "sts".into(),
        policy_domain: "Firma.Test".into(),
        ..tls_report::Policy::default()
    };
    let counted = |failure, sessions| compose::Counted {
        policy: policy.clone(),
        failure,
        sessions,
    };
    let failure = tls_report::FailureDetail {
        result_type: "certificate-expired".into(),
        ..tls_report::FailureDetail::default()
    };
    let counted = [counted(None, 5), counted(Some(failure), 2)];
    let document = compose::document(&reporter, 20_513, "firma.test", &counted);
    let to = Address::parse("anna@firma.test").unwrap();
    Mail {
        reporter,
        to: &to,
        day: 20_513,
        domain: "firma.test",
        packed: &compose::gzip(&document.to_json()),
        unix_ms: START.0,
    }
    .build()
}

#[tokio::test]
async fn only_a_signed_tls_report_counts_and_only_once() {
    for (signer, reports, sessions) in [
        (None, 0, 0),
        (Some("other.test"), 0, 0),
        (Some("big.test"), 1, 7),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let setup = Setup::open(dir.path(), Clock::settable(START)).await;
        let inbox = setup.inbox(signer);
        for _ in 0..2 {
            let account = setup.receive(&report_mail()).await;
            inbox.read_new(account).await.unwrap();
            inbox.read_new(account).await.unwrap();
        }
        let read = |tx: &mut dyn Tx| -> Result<_, StoreError> {
            let received = figures::received(tx, Kind::Tls, "firma.test", 0)?;
            Ok((received, figures::tls(tx, "firma.test", 0)?))
        };
        let (received, lines) = setup.store.read(read).await.unwrap();
        assert_eq!(received.reports, reports, "{signer:?}");
        assert_eq!(received.proven, reports);
        let sum: i64 = lines.iter().map(|line| line.sessions).sum();
        assert_eq!(sum, sessions, "{lines:?}");
    }
}
