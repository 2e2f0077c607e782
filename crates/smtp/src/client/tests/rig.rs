//! A queue with our client, and servers that play a script. Tests only.

use super::super::{Client, ClientParts, ClientSettings, ClientTimes, Forbidden};
use crate::test_storage;
use directory::admin::{NewDomain, NoHooks};
use directory::{Directory, DomainName};
use formats::address::Address;
use formats::message::Facts;
use mailbox::Mailboxes;
use platform::clock::{Clock, Timestamp};
use platform::dns::StaticResolver;
use platform::net::{Deadline, Stream};
use platform::random::Random;
use platform::signals::Signals;
use platform::spool::{Spool, SpoolLimits};
use platform::store::{Store, StoreError};
use platform::tls::{ClientTls, ServerTls};
use policy::admin::{Admin, Author, Wanted};
use policy::setting::{Name, Value};
use policy::{Policies, Scope};
use queue::relay::{Relay, RelayParts, RelaySettings};
use queue::{
    Accept, DeliverTo, Dispatch, DsnOptions, Notify, Queue, Recipient, ReversePath, TraceId,
    TraceIds,
};
use routing::sts::{FetchError, Fetching, PolicyFetcher};
use routing::tlsrpt::{Observer, SessionResult};
use routing::{Router, RouterParts, RouterSettings};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

const START: Timestamp = Timestamp(1_700_000_000_000);

/// What the peer answers to a line that begins so; the first match counts. `.` is the end of the
/// message, an empty answer closes the connection.
pub(super) type Answers = &'static [(&'static str, &'static str)];

/// A peer that knows no extension and takes everything.
pub(super) const WILLING: Answers = &[
    ("EHLO", "250 mx.else.test"),
    ("DATA", "354 go on"),
    ("QUIT", "221 bye"),
    ("", "250 ok"),
];

/// How a peer behaves.
#[derive(Clone)]
pub(super) struct Script {
    pub(super) answers: Answers,
    /// With which it answers STARTTLS; without it, it says what `answers` says and waits in clear.
    pub(super) tls: Option<ServerTls>,
    /// What it answers to EHLO in TLS, where that is something else.
    pub(super) after_tls: Option<&'static str>,
    /// Messages after which it closes without a word.
    pub(super) messages_max: usize,
}

impl Script {
    pub(super) fn of(answers: Answers) -> Self {
        Self {
            answers,
            tls: None,
            after_tls: None,
            messages_max: usize::MAX,
        }
    }
}

/// A peer. What it hears is kept as `connection line`; lines of messages as `connection > line`.
pub(super) struct Sink {
    pub(super) address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Sink {
    pub(super) async fn start(script: Script) -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into(), script).await
    }

    pub(super) async fn start_at(address: SocketAddr, script: Script) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let sink = Self {
            address,
            heard: heard.clone(),
        };
        tokio::spawn(async move {
            let mut number = 0;
            while let Ok((socket, _)) = listener.accept().await {
                number += 1;
                let stream = Stream::new(socket).unwrap();
                tokio::spawn(play(stream, number, script.clone(), heard.clone()));
            }
        });
        sink
    }

    pub(super) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(10))
}

async fn play(mut stream: Stream, number: usize, script: Script, heard: Arc<Mutex<Vec<String>>>) {
    stream.write(b"220 mx.else.test\r\n");
    let (mut in_data, mut messages) = (false, 0);
    loop {
        if stream.flush(soon()).await.is_err() {
            return;
        }
        let Ok(line) = stream.read_line(100_000, soon()).await else {
            return;
        };
        let text = String::from_utf8_lossy(&stream.buffer()[..line.content_bytes]).into_owned();
        stream.consume(line.total_bytes);
        if in_data && text != "." {
            heard.lock().unwrap().push(format!("{number} > {text}"));
            continue;
        }
        heard.lock().unwrap().push(format!("{number} {text}"));
        if let (Some(tls), "STARTTLS") = (&script.tls, text.as_str()) {
            stream.write(b"220 go ahead\r\n");
            if stream.start_tls(tls, soon()).await.is_err() {
                heard.lock().unwrap().push(format!("{number} (no TLS)"));
                return;
            }
            heard.lock().unwrap().push(format!("{number} (TLS)"));
            continue;
        }
        let fits = |(begin, _): &&(&str, &str)| text.starts_with(begin);
        let mut answer = script
            .answers
            .iter()
            .find(fits)
            .map_or("", |(_, answer)| answer);
        if stream.tls().is_some() && text.starts_with("EHLO") {
            answer = script.after_tls.unwrap_or(answer);
        }
        if in_data && text == "." {
            messages += 1;
        }
        in_data = answer.starts_with("354");
        if answer.is_empty() {
            return;
        }
        stream.write(format!("{answer}\r\n").as_bytes());
        if messages >= script.messages_max {
            let _ = stream.flush(soon()).await;
            return;
        }
    }
}

/// What the client is to meet.
pub(super) struct Setup {
    pub(super) dns: StaticResolver,
    pub(super) next_hop: Option<String>,
    pub(super) port: u16,
    pub(super) forbidden: Forbidden,
    pub(super) roots: Option<PathBuf>,
    pub(super) dispatch: Dispatch,
}

impl Setup {
    /// Everything goes to `peer`.
    pub(super) fn hop(peer: SocketAddr) -> Self {
        Self {
            next_hop: Some(peer.to_string()),
            ..Self::mx(&[], 25)
        }
    }

    /// The MX hosts of else.test, best first.
    pub(super) fn mx(hosts: &[(&str, [u8; 4])], port: u16) -> Self {
        let dns = StaticResolver::new();
        for (at, (host, address)) in (1_u16..).zip(hosts) {
            dns.add_mx("else.test", at * 10, host)
                .add_address(host, (*address).into());
        }
        Self {
            dns,
            next_hop: None,
            port,
            forbidden: Forbidden::default(),
            roots: None,
            dispatch: Dispatch::default(),
        }
    }
}

/// There are no policy hosts.
struct NoPolicies;

impl PolicyFetcher for NoPolicies {
    fn fetch<'a>(&'a self, _: &'a str) -> Fetching<'a> {
        Box::pin(std::future::ready(Err(FetchError::Unreachable(
            "no host".into(),
        ))))
    }
}

/// Keeps what TLS reports would tell.
#[derive(Default)]
struct Results(Mutex<Vec<SessionResult>>);

impl Observer for Results {
    fn note(&self, result: SessionResult) {
        self.0.lock().unwrap().push(result);
    }
}

pub(super) struct Rig {
    store: Store,
    queue: Queue,
    spool: SpoolLimits,
    results: Arc<Results>,
    dispatch: Dispatch,
    next: AtomicU64,
    pub(super) clock: Clock,
    policies: Policies,
    _dir: tempfile::TempDir,
}

/// One attempt at a time, looked for often.
fn relay_settings(spool: &SpoolLimits) -> RelaySettings {
    RelaySettings {
        attempts_max: 1,
        attempts_per_domain_max: 1,
        entries_max: 1_000_000,
        plan: Default::default(),
        host: "mx.rp.test".into(),
        spool: spool.clone(),
        wording: Default::default(),
        poll: Duration::from_millis(10),
    }
}

impl Rig {
    /// Hosts `domain` and sets a policy for it.
    pub(super) async fn set_policy(&self, domain: &str, name: Name, value: &str) {
        let domain = DomainName::parse(domain).unwrap();
        let settings = directory::Settings::default();
        let directory = Directory::open(self.store.clone(), settings, Random::seeded(1)).await;
        directory::admin::Admin::new(directory.unwrap(), Arc::new(NoHooks))
            .add_domain(&domain, &NewDomain::default(), self.clock.now())
            .await
            .unwrap();
        let wanted = Wanted {
            scope: Scope::Domain(domain),
            name,
            item: String::new(),
            value: Value::parse(name, value).unwrap(),
            expires_at: None,
            consent: None,
            owner: None,
        };
        let author = Author {
            by: "tester".to_owned(),
            reason: String::new(),
            now: self.clock.now(),
        };
        let admin = Admin::new(self.store.clone());
        admin.set(wanted, author).await.unwrap();
        self.policies.refresh().await.unwrap();
    }

    pub(super) async fn new(setup: Setup) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (clock, random) = (Clock::settable(START), Random::seeded(1));
        let (store, segments) = test_storage::open(dir.path(), &clock);
        let mailboxes = Mailboxes::new(
            store.clone(),
            segments.clone(),
            Signals::default(),
            clock.clone(),
        );
        let settings = directory::Settings::default();
        let directory = Directory::open(store.clone(), settings, random.clone()).await;
        let queue = Queue::new(store.clone(), segments, mailboxes);
        let spool = SpoolLimits {
            memory_bytes: 1 << 20,
            dir: dir.path().into(),
        };
        let results = Arc::new(Results::default());
        let policies = Policies::open(store.clone(), clock.clone()).await.unwrap();
        let router = Router::new(RouterParts {
            resolver: Arc::new(setup.dns),
            policies: policies.clone(),
            store: store.clone(),
            fetcher: Arc::new(NoPolicies),
            observer: results.clone(),
            clock: clock.clone(),
            random: random.clone(),
            settings: RouterSettings {
                own_names: Vec::new(),
                next_hop: setup.next_hop,
                port: setup.port,
            },
        });
        let settings = ClientSettings {
            host: "mx.rp.test".into(),
            times: ClientTimes::default(),
            forbidden: setup.forbidden,
        };
        let parts = ClientParts {
            router,
            policies: policies.clone(),
            tls: ClientTls::new(setup.roots.as_deref()).unwrap(),
        };
        let client = Client::new(settings, parts);
        let parts = RelayParts {
            queue: queue.clone(),
            directory: directory.unwrap(),
            transport: Arc::new(client),
            clock: clock.clone(),
            random,
            traces: TraceIds::new(clock.clone()),
        };
        tokio::spawn(Relay::new(parts, relay_settings(&spool)).run());
        Self {
            store,
            queue,
            spool,
            results,
            dispatch: setup.dispatch,
            next: AtomicU64::new(7),
            clock,
            policies,
            _dir: dir,
        }
    }

    /// Sends a message to one recipient and gives what the trace says came of it.
    pub(super) async fn relay(&self, text: &str) -> String {
        let trace = self.accept(text).await;
        self.told(trace, 1).await
    }

    /// Puts a message to one recipient into the queue.
    pub(super) async fn accept(&self, text: &str) -> TraceId {
        self.accept_with(text, self.dispatch.clone()).await
    }

    /// The same, sent in another way.
    pub(super) async fn accept_with(&self, text: &str, dispatch: Dispatch) -> TraceId {
        let trace = TraceId(
            self.next
                .fetch_add(1, Ordering::Relaxed)
                .try_into()
                .unwrap(),
        );
        let mut body = Spool::new(self.spool.clone());
        body.push(text.as_bytes()).unwrap();
        let accept = Accept {
            trace,
            sender: ReversePath::Null,
            recipients: vec![Recipient {
                address: Address::parse("x@else.test").unwrap(),
                deliver_to: DeliverTo::Remote,
                notify: Notify::DEFAULT,
                original: None,
            }],
            submitter: None,
            dsn: DsnOptions::default(),
            facts: Facts::scan(text.as_bytes()).to_bytes(),
            body,
            session: queue::trace::Session::default(),
            now: START,
            announced: None,
            dispatch,
        };
        self.queue.accept(accept).await.unwrap();
        trace
    }

    /// What came of the `n`th attempt.
    pub(super) async fn told(&self, trace: TraceId, n: usize) -> String {
        for _ in 0..500 {
            let read = self.store.read(move |tx| queue::trace::read(tx, trace));
            let story = read.await.map_err(|error: StoreError| error).unwrap();
            let mut came = story.iter().filter(|entry| {
                ["relayed", "deferred", "failed"].contains(&entry.event.to_string().as_str())
            });
            if let Some(entry) = came.nth(n - 1) {
                return format!("{} {}", entry.event, entry.detail);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("nothing came of the attempt");
    }

    /// What TLS reports would tell: the result types, `success` for none.
    pub(super) fn results(&self) -> Vec<&'static str> {
        let results = self.results.0.lock().unwrap();
        let word = |result: &SessionResult| {
            result
                .failure
                .as_ref()
                .map_or("success", |failure| failure.result.as_str())
        };
        results.iter().map(word).collect()
    }
}
