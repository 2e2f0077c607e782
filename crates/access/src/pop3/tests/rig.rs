//! A node in a temporary directory with one account and POP3 listeners on loopback, and a client that
//! knows lines, with and without TLS.

use crate::pop3::{MaildropLocks, Pop3Context, serve};
use crate::test_desk::{SCHEMAS, TestDesk};
use directory::admin::{AccountHooks, Admin, NewAccount, NewDomain, NewPassword};
use directory::sasl::Mechanism;
use directory::{AccountId, AddressKey, Directory, DomainName, Pop3Delete};
use mailbox::{
    ExpungeScope, Flags, INBOX, Keywords, MailboxName, Mailboxes, NewMessage, UidSet,
    create_account_mailboxes,
};
use platform::clock::{Clock, Timestamp};
use platform::files::RealFiles;
use platform::net::{
    Connection, ConnectionLimits, Deadline, LimitSettings, Listener, ListenerSpec, LogObserver,
    Mode, Role, Shutdown, ShutdownTrigger, Stream, StreamError,
};
use platform::random::Random;
use platform::segments::{SegmentOptions, Segments};
use platform::signals::Signals;
use platform::spool::{Spool, SpoolLimits};
use platform::store::{Engine, Options, Store, StoreError, Tx};
use platform::tls::{CertStore, ClientTls, Demand, ServerTls, ServerTlsSettings, demo_ca};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub(super) const ANNA: AccountId = AccountId(1);
pub(super) const LOGIN: &str = "anna@firma.test";
pub(super) const PASSWORD: &str = "correct horse battery";
const START: Timestamp = Timestamp(1_700_000_000_000);

pub(super) struct Rig {
    pub(super) context: Arc<Pop3Context>,
    pub(super) desk: TestDesk,
    pub(super) trigger: ShutdownTrigger,
    spool: SpoolLimits,
    shutdown: Shutdown,
    tls: ServerTls,
    _dir: tempfile::TempDir,
}

/// Makes an account's mailboxes with it.
struct Hooks;

impl AccountHooks for Hooks {
    fn added(&self, tx: &mut dyn Tx, account: AccountId) -> Result<(), StoreError> {
        create_account_mailboxes(tx, account, START)
    }
    fn removed(&self, _: &mut dyn Tx, _: AccountId) -> Result<(), StoreError> {
        Ok(())
    }
}

/// One certificate for all tests of the process: making one takes a while.
fn tls(dir: &Path) -> ServerTls {
    static TLS: OnceLock<ServerTls> = OnceLock::new();
    TLS.get_or_init(|| {
        let files = demo_ca(&dir.join("tls"), &["localhost"]).unwrap();
        let store = CertStore::from_dir(&files.directory, None).unwrap();
        ServerTls::new(store, &ServerTlsSettings::default()).unwrap()
    })
    .clone()
}

async fn add_anna(directory: &Directory, pop3_delete: Pop3Delete) {
    let admin = Admin::new(directory.clone(), Arc::new(Hooks));
    let domain = DomainName::parse("firma.test").unwrap();
    let new = NewDomain::default();
    admin.add_domain(&domain, &new, START).await.unwrap();
    let login = AddressKey::parse(LOGIN).unwrap();
    let account = NewAccount {
        pop3_delete: Some(pop3_delete),
        ..NewAccount::default()
    };
    let password = NewPassword::clear(PASSWORD);
    let added = admin.add_account(&login, &account, &password, START);
    assert_eq!(added.await.unwrap(), ANNA);
}

impl Rig {
    pub(super) async fn new(pop3_delete: Pop3Delete) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::settable(START);
        let options = SegmentOptions::new(clock.clone(), Random::seeded(1));
        let segments = dir.path().join("segments");
        let (segments, _) = Segments::open(&segments, options, Arc::new(RealFiles)).unwrap();
        let options = Options {
            engine: Engine::Sqlite {
                path: dir.path().join("store.sqlite"),
            },
            readers: 2,
            gather_max: Duration::ZERO,
            before_commit: Some(segments.before_commit()),
        };
        let store = Store::open(options, SCHEMAS).unwrap();
        let mailboxes = Mailboxes::new(store.clone(), segments, Signals::default(), clock.clone());
        let settings = directory::Settings::default();
        let directory = Directory::open(store.clone(), settings, Random::seeded(2))
            .await
            .unwrap();
        add_anna(&directory, pop3_delete).await;
        let desk = TestDesk::open(&store, &directory, &clock).await;
        let (trigger, shutdown) = Shutdown::new();
        Self {
            context: Arc::new(Pop3Context {
                desk: desk.desk.clone(),
                mailboxes,
                clock,
                locks: MaildropLocks::default(),
                host: "pop3.example".to_owned(),
                mechanisms: Mechanism::ALL.into(),
                idle_time_max: Duration::from_secs(600),
                handshake_time_max: Duration::from_secs(10),
            }),
            desk,
            trigger,
            spool: SpoolLimits {
                memory_bytes: 64 << 10,
                dir: dir.path().into(),
            },
            shutdown,
            tls: tls(dir.path()),
            _dir: dir,
        }
    }

    fn listen(&self, mode: Mode) -> SocketAddr {
        let spec = ListenerSpec {
            address: "127.0.0.1:0".parse().unwrap(),
            mode,
            role: Role::Pop3,
            profile: "test".into(),
            proxy_from: Vec::new(),
            handshake_timeout: Duration::from_secs(10),
        };
        let limits = ConnectionLimits::new(LimitSettings::default());
        let (tls, shutdown) = (self.tls.clone(), self.shutdown.clone());
        let listener = Listener::bind(spec, tls, limits, shutdown, Arc::new(LogObserver)).unwrap();
        let address = listener.address();
        let context = self.context.clone();
        let handler = move |connection: Connection| serve(connection, context.clone());
        tokio::spawn(listener.serve(Arc::new(handler)));
        address
    }

    /// A client on a STARTTLS port (in clear at first) or on an implicit one.
    pub(super) async fn connect(&self, mode: Mode) -> Client {
        let address = self.listen(mode);
        let stream = Stream::connect(address, None, soon()).await.unwrap();
        let mut client = Client { stream };
        if mode == Mode::ImplicitTls {
            client.start_tls().await;
        }
        client
    }

    /// A client whose maildrop is open.
    pub(super) async fn logged_in(&self) -> Client {
        let mut client = self.connect(Mode::ImplicitTls).await;
        client.line().await;
        client.ask(&format!("USER {LOGIN}")).await;
        let welcome = client.ask(&format!("PASS {PASSWORD}")).await;
        assert!(welcome.starts_with("+OK"), "{welcome}");
        client
    }

    /// Puts a message into INBOX, as a delivery would.
    pub(super) async fn mail(&self, text: &[u8]) {
        let mailboxes = &self.context.mailboxes;
        let mut spool = Spool::new(self.spool.clone());
        spool.push(text).unwrap();
        let body = mailboxes.keep(spool).await.unwrap();
        let new = NewMessage {
            body,
            flags: Flags::NONE,
            keywords: Keywords::default(),
            internal_date: START,
        };
        let appended = mailboxes.append(ANNA, INBOX, vec![new], None);
        appended.await.unwrap();
    }

    /// How many messages a mailbox has.
    pub(super) async fn count(&self, name: &str) -> u64 {
        let name = MailboxName::parse(name).unwrap();
        let status = self.context.mailboxes.status(ANNA, &name);
        u64::from(status.await.unwrap().messages)
    }

    /// Another program removes a message.
    pub(super) async fn expunge(&self, uid: u32) {
        let scope = ExpungeScope::Exactly(UidSet::range(uid, uid));
        let gone = self.context.mailboxes.expunge(ANNA, INBOX, scope);
        gone.await.unwrap();
    }
}

pub(super) struct Client {
    pub(super) stream: Stream,
}

impl Client {
    pub(super) async fn start_tls(&mut self) {
        let tls = ClientTls::new(None).unwrap();
        let demand = Demand::opportunistic("localhost");
        let started = self.stream.start_tls_client(&tls, &demand, soon());
        started.await.unwrap();
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write(bytes);
        self.stream.flush(soon()).await.unwrap();
    }

    /// The next line without its end; `(closed)` and `(silence)` where there is none.
    pub(super) async fn line(&mut self) -> String {
        let deadline = Deadline::after(Duration::from_secs(5));
        match self.stream.read_line(60_000, deadline).await {
            Ok(line) => {
                let text = self.stream.buffer()[..line.content_bytes].to_vec();
                self.stream.consume(line.total_bytes);
                String::from_utf8_lossy(&text).into_owned()
            }
            Err(StreamError::TimedOut) => "(silence)".to_owned(),
            Err(_) => "(closed)".to_owned(),
        }
    }

    /// Says a line and gives the first line of the answer.
    pub(super) async fn ask(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n").as_bytes()).await;
        self.line().await
    }
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}
