//! What the tests of this crate share: two accounts on real stores, and a transport that plays a
//! script instead of speaking SMTP.

use directory::admin::{AccountHooks, Admin, Removals};
use directory::{AccountId, Directory};
use formats::address::Address;
use formats::message::Facts;
use mailbox::{INBOX, Mailboxes, UidSet};
use platform::clock::{Clock, Timestamp};
use platform::files::RealFiles;
use platform::random::Random;
use platform::segments::{SegmentOptions, Segments};
use platform::signals::Signals;
use platform::spool::{Spool, SpoolLimits};
use platform::store::{BeforeCommit, Engine, Options, Store, StoreError, Tx};
use queue::relay::{
    Attempt, Attempted, Attempting, Cause, Outcome, Peer, Relay, RelayParts, RelaySettings,
    Transport,
};
use queue::{
    Accept, DeliverTo, Dispatch, DsnOptions, Notify, Queue, Recipient, Return, ReversePath,
    TraceId, TraceIds,
};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;

/// The sender of every test.
pub(crate) const ANNA: &str = "anna@firma.test";

/// The accounts of every test.
const STATE: &str = r#"
[[domain]]
name = "firma.test"
[[account]]
login = "anna@firma.test"
[[account]]
login = "bernd@firma.test"
[[alias]]
address = "info@firma.test"
to = ["anna@firma.test"]
"#;

/// What the transport answers, and what it saw.
#[derive(Clone, Default)]
pub(crate) struct Script {
    inner: Arc<Mutex<Played>>,
    /// While set, no commit of the store succeeds.
    commits_fail: Arc<AtomicBool>,
}

#[derive(Default)]
struct Played {
    next: VecDeque<Outcome>,
    always: Option<Outcome>,
    /// Domains whose attempts never end.
    hangs: Vec<&'static str>,
    /// How long each attempt takes.
    pause: Duration,
    /// Each attempt makes the commits after it fail.
    breaks_commits: bool,
    attempts: usize,
    sent: Vec<String>,
    /// Domains that cannot be reached.
    dead: Vec<&'static str>,
    /// Domains that ask us to slow down.
    busy: Vec<&'static str>,
    /// Domain, MAIL FROM and route of each attempt.
    seen: Vec<Seen>,
}

/// What the transport saw of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) trace: TraceId,
    pub(crate) domain: String,
    pub(crate) mail_from: String,
    pub(crate) route: Option<String>,
    pub(crate) rules_of: Option<Box<str>>,
    pub(crate) front: Vec<u8>,
}

impl Script {
    pub(crate) fn of(outcomes: impl IntoIterator<Item = Outcome>) -> Self {
        let script = Self::default();
        script.inner.lock().unwrap().next.extend(outcomes);
        script
    }

    pub(crate) fn always(outcome: Outcome) -> Self {
        let script = Self::default();
        script.inner.lock().unwrap().always = Some(outcome);
        script
    }

    /// The same, where attempts to `domain` never end.
    pub(crate) fn hanging_for(self, domain: &'static str) -> Self {
        self.inner.lock().unwrap().hangs.push(domain);
        self
    }

    /// The same, where each attempt takes this long.
    pub(crate) fn pausing(self, pause: Duration) -> Self {
        self.inner.lock().unwrap().pause = pause;
        self
    }

    /// The same, where no commit succeeds after an attempt until `mend_commits`.
    pub(crate) fn breaking_commits(self) -> Self {
        self.inner.lock().unwrap().breaks_commits = true;
        self
    }

    /// The same, where `domain` cannot be reached until `revive`.
    pub(crate) fn dead_for(self, domain: &'static str) -> Self {
        self.inner.lock().unwrap().dead.push(domain);
        self
    }

    /// The same, where `domain` asks us to slow down whatever comes.
    pub(crate) fn busy_for(self, domain: &'static str) -> Self {
        self.inner.lock().unwrap().busy.push(domain);
        self
    }

    /// All domains can be reached from now on.
    pub(crate) fn revive(&self) {
        self.inner.lock().unwrap().dead.clear();
    }

    /// Ends what `breaking_commits` began.
    pub(crate) fn mend_commits(&self) {
        self.inner.lock().unwrap().breaks_commits = false;
        self.commits_fail.store(false, Ordering::SeqCst);
    }
}

impl Transport for Script {
    fn attempt<'a>(&'a self, attempt: &'a Attempt, segments: &'a Segments) -> Attempting<'a> {
        Box::pin(async move {
            let size = attempt.body.body_bytes as u64;
            let body = segments.read_body(&attempt.body, 0..size);
            let hangs = |played: &Played| played.hangs.contains(&attempt.domain.as_str());
            if hangs(&self.inner.lock().unwrap()) {
                std::future::pending::<()>().await;
            }
            let pause = self.inner.lock().unwrap().pause;
            tokio::time::sleep(pause).await;
            let mut played = self.inner.lock().unwrap();
            if played.breaks_commits {
                self.commits_fail.store(true, Ordering::SeqCst);
            }
            let body = body.unwrap_or_else(|error| error.to_string().into_bytes());
            played.attempts += 1;
            played.seen.push(Seen {
                trace: attempt.trace,
                domain: attempt.domain.clone(),
                mail_from: attempt.mail_from.to_text(),
                route: attempt.route.clone(),
                rules_of: attempt.rules_of.clone(),
                front: attempt.front.clone(),
            });
            let domain = attempt.domain.as_str();
            let lacking = match (played.dead.contains(&domain), played.busy.contains(&domain)) {
                (true, _) => Some(("4.4.1 nobody answered", Peer::Unreachable)),
                (_, true) => Some(("421 4.7.0 slowly please", Peer::Busy)),
                _ => None,
            };
            if let Some((reply, peer)) = lacking {
                let reply = reply.to_owned();
                let cause = Cause::Other;
                return Attempted {
                    outcomes: vec![Outcome::Deferred { reply, cause }; attempt.recipients.len()],
                    peer,
                    ..Attempted::default()
                };
            }
            played.sent.push(String::from_utf8(body).unwrap());
            let next = played.next.pop_front().or_else(|| played.always.clone());
            let next = next.expect("an answer in the script");
            Attempted {
                outcomes: vec![next; attempt.recipients.len()],
                ..Attempted::default()
            }
        })
    }
}

/// Syncs the segments, unless the script wants the commit to fail.
fn before_commit(segments: &Segments, script: &Script) -> BeforeCommit {
    let (sync, fails) = (segments.before_commit(), script.commits_fail.clone());
    Arc::new(move || match fails.load(Ordering::SeqCst) {
        true => Err(std::io::Error::other("the test says no")),
        false => sync(),
    })
}

struct Hooks(Clock);

impl AccountHooks for Hooks {
    fn added(&self, tx: &mut dyn Tx, account: AccountId) -> Result<(), StoreError> {
        mailbox::create_account_mailboxes(tx, account, self.0.now())
    }
    fn removed(&self, tx: &mut dyn Tx, account: AccountId) -> Result<(), StoreError> {
        mailbox::remove_account(tx, account)
    }
}

pub(crate) fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn relay_settings(spool: SpoolLimits) -> RelaySettings {
    RelaySettings {
        attempts_max: 10,
        attempts_per_domain_max: 2,
        entries_max: 1_000_000,
        plan: Default::default(),
        host: "mx.rp.test".into(),
        spool,
        wording: Default::default(),
        poll: Duration::from_millis(10),
    }
}

fn open_store(dir: &Path, segments: &Segments, script: &Script) -> Store {
    let options = Options {
        engine: Engine::Sqlite {
            path: dir.join("t.sqlite"),
        },
        readers: 1,
        gather_max: Duration::ZERO,
        before_commit: Some(before_commit(segments, script)),
    };
    let schema = [
        directory::SCHEMA,
        mailbox::SCHEMA,
        signing::SCHEMA,
        queue::SCHEMA,
    ];
    Store::open(options, &schema).unwrap()
}

/// A queue with its worker running.
pub(crate) struct Setup {
    store: Store,
    segments: Segments,
    directory: Directory,
    mailboxes: Mailboxes,
    queue: Queue,
    traces: TraceIds,
    clock: Clock,
    script: Script,
    spool: SpoolLimits,
    relay: Arc<Relay>,
    worker: JoinHandle<()>,
    _dir: Option<tempfile::TempDir>,
}

impl Setup {
    pub(crate) async fn new(script: Script) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut setup = Self::open(dir.path(), script).await;
        setup._dir = Some(dir);
        setup
    }

    pub(crate) async fn open(dir: &Path, script: Script) -> Self {
        let start = Clock::settable(Timestamp(1_800_000_000_000));
        Self::open_at(dir, script, start, async |_, queue| queue).await
    }

    /// The same at another time and with a queue that is made up further.
    pub(crate) async fn open_at(
        dir: &Path,
        script: Script,
        clock: Clock,
        made_up: impl AsyncFnOnce(&Store, Queue) -> Queue,
    ) -> Self {
        let random = Random::seeded(1);
        let options = SegmentOptions::new(clock.clone(), random.clone());
        let (segments, _) =
            Segments::open(&dir.join("segments"), options, Arc::new(RealFiles)).unwrap();
        let store = open_store(dir, &segments, &script);
        let settings = directory::Settings::default();
        let directory = Directory::open(store.clone(), settings, random.clone())
            .await
            .unwrap();
        let admin = Admin::new(directory.clone(), Arc::new(Hooks(clock.clone())));
        admin
            .apply(STATE, Removals::Refused, clock.now())
            .await
            .unwrap();
        let mailboxes = Mailboxes::new(
            store.clone(),
            segments.clone(),
            Signals::default(),
            clock.clone(),
        );
        let queue = Queue::new(store.clone(), segments.clone(), mailboxes.clone());
        let queue = made_up(&store, queue).await;
        let newest = store.read(queue::trace::newest).await.unwrap();
        let traces = TraceIds::after(clock.clone(), newest);
        let spool = SpoolLimits {
            memory_bytes: 1 << 20,
            dir: Arc::from(dir),
        };
        let parts = RelayParts {
            queue: queue.clone(),
            directory: directory.clone(),
            transport: Arc::new(script.clone()),
            clock: clock.clone(),
            random,
            traces: traces.clone(),
        };
        let relay = Relay::new(parts, relay_settings(spool.clone()));
        let worker = tokio::spawn(relay.clone().run());
        Self {
            store,
            segments,
            directory,
            mailboxes,
            queue,
            traces,
            clock,
            script,
            spool,
            relay,
            worker,
            _dir: None,
        }
    }

    /// Ends the worker; gives how many attempts do not end within half a second.
    pub(crate) async fn stop(&self) -> usize {
        self.worker.abort();
        self.relay.drained(Duration::from_millis(500)).await
    }

    /// Ends the worker and lets go of every store.
    pub(crate) async fn close(self) {
        assert_eq!(self.stop().await, 0);
        let _ = self.worker.await;
    }

    pub(crate) async fn accept(&self, from: &str, to: &[&str], body: &str) -> TraceId {
        self.accept_from(ReversePath::Address(address(from)), to, body)
            .await
    }

    pub(crate) async fn accept_from(&self, from: ReversePath, to: &[&str], body: &str) -> TraceId {
        self.take(from, to, body, Notify::DEFAULT, Return::Unspecified)
            .await
    }

    pub(crate) async fn accept_with(&self, from: &str, to: &[&str], notify: Notify, ret: Return) {
        let from = ReversePath::Address(address(from));
        self.take(from, to, "Subject: x\r\n\r\nx\r\n", notify, ret)
            .await;
    }

    /// Anna's message, not taken over yet.
    pub(crate) async fn bare(&self, to: &[&str]) -> Accept {
        let from = ReversePath::Address(address(ANNA));
        self.message(from, to, "Subject: x\r\n\r\nx\r\n").await
    }

    /// Anna's message that travels as `dispatch` says.
    pub(crate) async fn dispatch(&self, to: &[&str], dispatch: Dispatch) -> TraceId {
        let from = ReversePath::Address(address(ANNA));
        let mut accept = self.message(from, to, "Subject: x\r\n\r\nx\r\n").await;
        accept.dispatch = dispatch;
        let trace = accept.trace;
        self.queue.accept(accept).await.unwrap();
        trace
    }

    async fn take(
        &self,
        sender: ReversePath,
        to: &[&str],
        text: &str,
        notify: Notify,
        ret: Return,
    ) -> TraceId {
        let mut accept = self.message(sender, to, text).await;
        for recipient in &mut accept.recipients {
            recipient.notify = notify;
        }
        accept.dsn.ret = ret;
        let trace = accept.trace;
        self.queue.accept(accept).await.unwrap();
        trace
    }

    async fn message(&self, sender: ReversePath, to: &[&str], text: &str) -> Accept {
        let mut body = Spool::new(self.spool.clone());
        body.push(text.as_bytes()).unwrap();
        let trace = self.traces.next();
        let mut recipients = Vec::new();
        for to in to {
            let resolution = self.directory.resolve(&address(to)).await.unwrap();
            let deliver_to = match resolution.as_ref() {
                directory::Resolution::Local { deliveries, .. } => {
                    DeliverTo::Account(deliveries[0].account)
                }
                _ => DeliverTo::Remote,
            };
            let address = address(to);
            recipients.push(Recipient {
                address,
                deliver_to,
                notify: Notify::DEFAULT,
                original: None,
            });
        }
        Accept {
            trace,
            sender,
            recipients,
            submitter: None,
            dsn: DsnOptions {
                envelope_id: None,
                ret: Return::Unspecified,
            },
            facts: Facts::scan(text.as_bytes()).to_bytes(),
            body,
            session: queue::trace::Session::default(),
            now: self.clock.now(),
            announced: Some(self.queue.expect()),
            dispatch: queue::Dispatch::default(),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn script(&self) -> &Script {
        &self.script
    }

    /// Writes over the bytes of all messages, as a bad disk would.
    pub(crate) fn damage_bodies(&self) {
        use std::os::unix::fs::FileExt;
        for segment in std::fs::read_dir(self.segments.dir()).unwrap().flatten() {
            let file = std::fs::OpenOptions::new()
                .write(true)
                .open(segment.path())
                .unwrap();
            let bytes = file.metadata().unwrap().len();
            file.write_all_at(&vec![0xaa; bytes as usize], 0).unwrap();
        }
    }

    pub(crate) fn set_clock(&self, to: Timestamp) -> bool {
        self.clock.set(to)
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.set(self.clock.now().plus(by));
        self.queue.wake();
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.script.inner.lock().unwrap().seen.clone()
    }

    pub(crate) async fn rows(&self) -> Vec<queue::list::Row> {
        let all = queue::list::Filter::default();
        let page = (self.store)
            .read(move |tx| queue::list::page(tx, &all, None))
            .await;
        page.map_err(|e: StoreError| e).unwrap()
    }

    pub(crate) fn attempts(&self) -> usize {
        self.script.inner.lock().unwrap().attempts
    }

    pub(crate) fn sent(&self) -> Vec<String> {
        self.script.inner.lock().unwrap().sent.clone()
    }

    pub(crate) fn stored_bodies(&self) -> usize {
        let mut bodies = 0;
        for segment in self.segments.list() {
            self.segments
                .each_message(segment.number, |_| {
                    bodies += 1;
                    Ok(())
                })
                .unwrap();
        }
        bodies
    }

    pub(crate) async fn inbox(&self, name: &str) -> Vec<String> {
        let address = address(&format!("{name}@firma.test"));
        let resolution = self.directory.resolve(&address).await.unwrap();
        let directory::Resolution::Local { deliveries, .. } = resolution.as_ref() else {
            panic!("{name} is no account");
        };
        let account = deliveries[0].account;
        let all = UidSet::range(1, u32::MAX);
        let page = self.mailboxes.rows(account, INBOX, all, 100).await.unwrap();
        let mut messages = Vec::new();
        for row in &page.rows {
            let content = self.mailboxes.content(row);
            let bytes = content.read(0..content.size()).await.unwrap();
            messages.push(String::from_utf8(bytes).unwrap());
        }
        messages
    }

    pub(crate) async fn story(&self, trace: TraceId) -> Vec<String> {
        let entries = self
            .store
            .read(move |tx| queue::trace::read(tx, trace))
            .await;
        let entries: Vec<queue::trace::Entry> = entries.map_err(|e: StoreError| e).unwrap();
        entries.into_iter().map(|entry| entry.event).collect()
    }

    pub(crate) async fn until_queue_has(&self, rows: usize) {
        for _ in 0..500 {
            let page = self
                .store
                .read(|tx| queue::list::page(tx, &queue::list::Filter::default(), None))
                .await;
            if page.map_err(|e: StoreError| e).unwrap().len() == rows {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the queue never has {rows} rows");
    }

    pub(crate) async fn until_attempts(&self, attempts: usize) {
        for _ in 0..500 {
            if self.attempts() >= attempts {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("there were {} attempts, not {attempts}", self.attempts());
    }

    pub(crate) async fn until_inbox(&self, name: &str, messages: usize) {
        for _ in 0..500 {
            if self.inbox(name).await.len() >= messages {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{name} never has {messages} messages");
    }
}
