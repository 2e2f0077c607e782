//! A real server on loopback for tests: SQLite store, segments, directory, TLS, and a client that
//! sends raw bytes. Never used outside tests. `transcripts` runs the files beside the commands.

mod delivery;
mod login_rules;
mod people;
mod rules;
mod scram;
mod soup;
mod standing;
mod transcripts;

use super::{ServerContext, Services, Settings, serve};
use crate::limits::Limits;
use crate::server;
use crate::test_storage;
use admission::{Desk, DeskParts};
use directory::{AccountId, AddressKey};
use mailbox::Mailboxes;
use platform::clock::{Clock, Timestamp};
use platform::dns::StaticResolver;
use platform::net::{
    ConnectionLimits, Deadline, LimitSettings, Listener, ListenerSpec, LogObserver, Mode, Role,
    Shutdown, ShutdownTrigger, Stream, StreamError,
};
use platform::random::Random;
use platform::signals::Signals;
use platform::store::{Store, StoreError};
use platform::tls::{CertStore, ClientTls, Demand, ServerTls, ServerTlsSettings, demo_ca};
use policy::admin::{Author, Consent, Wanted};
use policy::{Connections, Findings, Policies, Usage};
use queue::Queue;
use routing::seen::Seen;
use signing::{InstallationSecret, Signing, SigningParts};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// When every test begins: 2023-11-14T22:13:20Z.
const START: Timestamp = Timestamp(1_700_000_000_000);

/// Certificates for all tests of this process; the RSA key takes a while.
fn certificates() -> &'static (PathBuf, tempfile::TempDir) {
    static FILES: OnceLock<(PathBuf, tempfile::TempDir)> = OnceLock::new();
    FILES.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        (demo_ca(dir.path(), &["mx.rp.test"]).unwrap().ca, dir)
    })
}

fn server_tls() -> ServerTls {
    let (_, dir) = certificates();
    let certificates = CertStore::from_dir(dir.path(), None).unwrap();
    ServerTls::new(certificates, &ServerTlsSettings::default()).unwrap()
}

/// A running server with the people of `people.rs`.
pub(super) struct TestServer {
    pub(super) context: Arc<ServerContext>,
    pub(super) mailboxes: Mailboxes,
    pub(super) store: Store,
    connections: Connections,
    pub(super) anna: AccountId,
    pub(super) bernd: AccountId,
    pub(super) mx: SocketAddr,
    pub(super) securemx: SocketAddr,
    /// An mx called mx2.rp.test for the group "private", for smaller messages.
    pub(super) groupmx: SocketAddr,
    pub(super) submission: SocketAddr,
    pub(super) submissions: SocketAddr,
    pub(super) shutdown: ShutdownTrigger,
    _dir: tempfile::TempDir,
}

/// A listener for mail of one group, with limits of its own.
fn for_one_group() -> server::Listener {
    let limits = Limits {
        message_bytes_max: 100_000,
        ..Limits::default()
    };
    server::Listener {
        hello: Some("mx2.rp.test".into()),
        groups: vec!["private".into()],
        places: [("private".into(), "mx2.rp.test".into())].into(),
        limits: Some(limits),
        ..server::Listener::default()
    }
}

impl TestServer {
    pub(super) async fn start(settings: Settings) -> Self {
        Self::start_with(settings, server::Listener::default()).await
    }

    /// The same; mx and submission listeners have something of their `own`.
    pub(super) async fn start_with(settings: Settings, own: server::Listener) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::settable(START);
        let (store, segments) = test_storage::open(dir.path(), &clock);
        let mailboxes = Mailboxes::new(
            store.clone(),
            segments.clone(),
            Signals::default(),
            clock.clone(),
        );
        let (directory, [anna, bernd]) = people::directory(&store).await;
        let signing = signing(&store, &clock).await;
        let queue = Queue::new(store.clone(), segments, mailboxes.clone());
        let policies = Policies::open(store.clone(), clock.clone()).await.unwrap();
        let findings = Findings::new(store.clone());
        let connections = Connections::new(store.clone());
        let desk = Desk::new(DeskParts {
            directory: directory.clone(),
            policies: policies.clone(),
            connections: connections.clone(),
            findings: findings.clone(),
            clock: clock.clone(),
            host_name: settings.host_name.clone(),
        });
        let services = Services {
            directory,
            desk,
            queue: queue.with_signing(signing.clone()),
            policies,
            findings,
            usage: Usage::open(store.clone()).await.unwrap(),
            signing,
            seen: Seen::new(store.clone()),
        };
        let context = Arc::new(ServerContext::new(
            services,
            clock,
            Random::seeded(2),
            settings,
            dir.path().into(),
        ));
        let (shutdown, handle) = Shutdown::new();
        let listen = |role, mode, own| listen(role, mode, &context, own, &handle);
        let mx = listen(Role::Mx, Mode::StartTls, own.clone());
        let securemx = listen(Role::SecureMx, Mode::StartTls, server::Listener::default());
        let groupmx = listen(Role::Mx, Mode::StartTls, for_one_group());
        let submission = listen(Role::Submission, Mode::StartTls, own.clone());
        let submissions = listen(Role::Submission, Mode::ImplicitTls, own);
        Self {
            mailboxes,
            store,
            connections,
            anna,
            bernd,
            mx,
            securemx,
            groupmx,
            submission,
            submissions,
            shutdown,
            context,
            _dir: dir,
        }
    }

    /// Makes one setting of policy: where, name, value.
    pub(super) async fn policy(&self, scope: &str, name: &str, value: &str) {
        self.set(scope, name, "", value).await;
    }

    /// Makes one setting of policy: where, name, item, value.
    pub(super) async fn set(&self, scope: &str, name: &str, item: &str, value: &str) {
        let admin = policy::admin::Admin::new(self.store.clone());
        let name = policy::setting::Name::from_word(name).unwrap();
        let wanted = Wanted {
            scope: admin.scope(scope).await.unwrap(),
            name,
            item: item.to_owned(),
            value: policy::setting::Value::parse(name, value).unwrap(),
            expires_at: None,
            consent: Some(Consent {
                by: "anna".into(),
                text_version: policy::admin::CONSENT_TEXT_VERSION.into(),
            }),
            owner: None,
        };
        admin.set(wanted, author()).await.unwrap();
        self.context.policies.refresh().await.unwrap();
    }

    /// Lets anna send as `address`.
    pub(super) async fn grant(&self, address: &str) {
        let identities = policy::identities::Identities::new(self.store.clone());
        let address = AddressKey::parse(address).unwrap();
        let anna = AddressKey::parse("anna@firma.test").unwrap();
        identities
            .grant(&anna, &policy::SendAs::Address(address), author())
            .await
            .unwrap();
        self.context.policies.refresh().await.unwrap();
    }

    /// How an account connected.
    pub(super) async fn visits(&self, account: AccountId) -> Vec<policy::connections::Connection> {
        self.connections.flush().await.unwrap();
        let seen = self
            .store
            .read(move |tx| policy::connections::list(tx, account))
            .await;
        seen.map_err(|e: StoreError| e).unwrap()
    }

    /// What was found about senders: detail and how often.
    pub(super) async fn findings(&self) -> Vec<(String, u64)> {
        self.context.findings.flush().await.unwrap();
        let found = self
            .store
            .read(|tx| policy::findings::list(tx, None, 100))
            .await;
        let found = found.map_err(|e: StoreError| e).unwrap();
        found
            .into_iter()
            .map(|(_, finding)| (finding.detail, finding.seen))
            .collect()
    }

    /// Every message in the INBOX of `account`, as a client sees it.
    pub(super) async fn inbox(&self, account: AccountId) -> Vec<String> {
        let name = mailbox::MailboxName::inbox();
        let maildrop = self.mailboxes.maildrop(account).await.unwrap();
        let mut messages = Vec::new();
        for message in &maildrop.messages {
            messages.push(people::read(&self.mailboxes, account, &name, message.uid).await);
        }
        messages
    }
}

fn author() -> Author {
    Author {
        by: "test".into(),
        reason: "a test".into(),
        now: START,
    }
}

async fn signing(store: &Store, clock: &Clock) -> Signing {
    Signing::open(SigningParts {
        store: store.clone(),
        secret: InstallationSecret::generate(&Random::seeded(5)),
        clock: clock.clone(),
        random: Random::seeded(4),
        resolver: Arc::new(StaticResolver::default()),
        host: "mx.rp.test".into(),
    })
    .await
    .unwrap()
}

fn listen(
    role: Role,
    mode: Mode,
    context: &Arc<ServerContext>,
    own: server::Listener,
    shutdown: &Shutdown,
) -> SocketAddr {
    let spec = ListenerSpec {
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        mode,
        role,
        profile: "default".into(),
        proxy_from: Vec::new(),
        handshake_timeout: Duration::from_secs(10),
    };
    let limits = ConnectionLimits::new(LimitSettings::default());
    let listener = Listener::bind(
        spec,
        server_tls(),
        limits,
        shutdown.clone(),
        Arc::new(LogObserver),
    )
    .unwrap();
    let address = listener.address();
    let context = context.clone();
    let own = Arc::new(own);
    let handler = move |connection| serve(connection, context.clone(), own.clone());
    tokio::spawn(listener.serve(Arc::new(handler)));
    address
}

/// A client that says what it is told to.
pub(super) struct Client {
    pub(super) stream: Stream,
}

impl Client {
    pub(super) async fn connect(address: SocketAddr) -> Self {
        let stream = Stream::connect(address, None, soon()).await.unwrap();
        Self { stream }
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write(bytes);
        // A server that has closed is found out when reading.
        let _closed = self.stream.flush(soon()).await;
    }

    /// The next line without its CRLF; `None` where the server closed.
    pub(super) async fn line(&mut self) -> Option<String> {
        match self.stream.read_line(1024, soon()).await {
            Ok(line) => {
                let text = String::from_utf8_lossy(&self.stream.buffer()[..line.content_bytes]);
                let text = text.into_owned();
                self.stream.consume(line.total_bytes);
                Some(text)
            }
            Err(StreamError::Closed | StreamError::Io(_) | StreamError::Tls(_)) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// A whole reply; its lines joined with `\n`.
    pub(super) async fn reply(&mut self) -> String {
        let mut lines = Vec::new();
        loop {
            let line = self
                .line()
                .await
                .expect("a reply, not the end of the connection");
            let last = line.as_bytes().get(3) != Some(&b'-');
            lines.push(line);
            if last {
                return lines.join("\n");
            }
        }
    }

    /// Sends a line and reads the reply.
    pub(super) async fn ask(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n").as_bytes()).await;
        self.reply().await
    }

    pub(super) async fn start_tls(&mut self) {
        let (ca, _) = certificates();
        let tls = ClientTls::new(Some(ca)).unwrap();
        self.stream
            .start_tls_client(&tls, &Demand::verified("mx.rp.test"), soon())
            .await
            .unwrap();
    }
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}
