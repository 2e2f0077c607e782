//! A node in a temporary directory with one account and an IMAP listener on loopback.

use crate::imap::session::{Session, State};
use crate::imap::{ImapContext, ImapSettings};
use crate::test_desk::{SCHEMAS, TestDesk};
use directory::admin::{AccountHooks, Admin, NewAccount, NewDomain, NewPassword};
use directory::{AccountId, AddressKey, Credential, Directory, DomainName, Identity, Pop3Delete};
use mailbox::{MailboxName, Mailboxes, NewMessage, create_account_mailboxes};
use platform::clock::{Clock, Timestamp};
use platform::files::RealFiles;
use platform::net::{
    Connection, ConnectionLimits, Deadline, LimitSettings, Listener, ListenerSpec, LogObserver,
    Mode, Role, Shutdown, ShutdownTrigger, Stream,
};
use platform::random::Random;
use platform::segments::{SegmentOptions, Segments};
use platform::signals::Signals;
use platform::spool::{Spool, SpoolLimits};
use platform::store::{Engine, Options, Store, StoreError, Tx};
use platform::tls::{CertStore, ClientTls, Demand, ServerTls, ServerTlsSettings, demo_ca};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

pub(super) const ANNA: AccountId = AccountId(1);
pub(super) const LOGIN: &str = "anna@firma.test";
pub(super) const PASSWORD: &str = "correct horse battery";
pub(super) const START: Timestamp = Timestamp(1_700_000_000_000);

/// As whom a connection begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum As {
    /// Nobody, as in the real world.
    Stranger,
    /// Anna, who has logged in already; so that transcripts can be read without TLS.
    Anna,
}

pub(super) struct Rig {
    pub(super) context: Arc<ImapContext>,
    pub(super) desk: TestDesk,
    pub(super) trigger: ShutdownTrigger,
    shutdown: Shutdown,
    tls: ServerTls,
    dir: tempfile::TempDir,
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

async fn add_anna(directory: &Directory, clock: &Clock) {
    let admin = Admin::new(directory.clone(), Arc::new(Hooks));
    let domain = DomainName::parse("firma.test").unwrap();
    admin
        .add_domain(&domain, &NewDomain::default(), clock.now())
        .await
        .unwrap();
    let login = AddressKey::parse(LOGIN).unwrap();
    let password = NewPassword::clear(PASSWORD);
    let account = NewAccount::default();
    let id = admin
        .add_account(&login, &account, &password, clock.now())
        .await
        .unwrap();
    assert_eq!(id, ANNA);
}

/// One certificate for all tests of the process: making one takes a while.
fn tls(dir: &Path) -> ServerTls {
    static TLS: std::sync::OnceLock<ServerTls> = std::sync::OnceLock::new();
    TLS.get_or_init(|| {
        let files = demo_ca(&dir.join("tls"), &["localhost"]).unwrap();
        let store = CertStore::from_dir(&files.directory, None).unwrap();
        ServerTls::new(store, &ServerTlsSettings::default()).unwrap()
    })
    .clone()
}

impl Rig {
    pub(super) async fn new() -> Self {
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
        add_anna(&directory, &clock).await;
        let desk = TestDesk::open(&store, &directory, &clock).await;
        let context = ImapContext {
            desk: desk.desk.clone(),
            mailboxes,
            clock,
            spool: SpoolLimits {
                memory_bytes: 64 << 10,
                dir: dir.path().into(),
            },
            settings: ImapSettings {
                host_name: "imap.example".into(),
                product_version: "0".into(),
                append_bytes_max: 1 << 20,
                ..ImapSettings::default()
            },
        };
        let (trigger, shutdown) = Shutdown::new();
        let tls = tls(dir.path());
        Self {
            context: Arc::new(context),
            desk,
            trigger,
            shutdown,
            tls,
            dir,
        }
    }

    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A listener whose sessions begin `as_whom`.
    pub(super) fn listen(&self, as_whom: As) -> SocketAddr {
        let spec = ListenerSpec {
            address: "127.0.0.1:0".parse().unwrap(),
            mode: Mode::StartTls,
            role: Role::Imap,
            profile: "test".into(),
            proxy_from: Vec::new(),
            handshake_timeout: Duration::from_secs(10),
        };
        let limits = ConnectionLimits::new(LimitSettings::default());
        let listener = Listener::bind(
            spec,
            self.tls.clone(),
            limits,
            self.shutdown.clone(),
            Arc::new(LogObserver),
        )
        .unwrap();
        let address = listener.address();
        let context = self.context.clone();
        let handler = move |connection: Connection| {
            let context = context.clone();
            async move {
                let mut session = Session::new(connection, context);
                if as_whom == As::Anna {
                    session.state = State::Known(Arc::new(anna()));
                }
                crate::imap::to_the_end(session).await;
            }
        };
        tokio::spawn(listener.serve(Arc::new(handler)));
        address
    }

    pub(super) async fn connect(&self, as_whom: As) -> Client {
        Client::connect(self.listen(as_whom)).await
    }

    /// Puts a message into INBOX, as a delivery would.
    pub(super) async fn mail(&self, text: &[u8]) {
        self.mail_many(text, 1).await;
    }

    /// Puts the same message into INBOX many times.
    pub(super) async fn mail_many(&self, text: &[u8], times: usize) {
        let mailboxes = &self.context.mailboxes;
        let mut spool = Spool::new(self.context.spool.clone());
        spool.push(text).unwrap();
        let body = mailboxes.keep(spool).await.unwrap();
        let inbox = mailboxes
            .status(ANNA, &MailboxName::inbox())
            .await
            .unwrap()
            .mailbox;
        let new = NewMessage {
            body,
            flags: mailbox::Flags::NONE,
            keywords: mailbox::Keywords::default(),
            internal_date: START,
        };
        let mut left = times;
        while left > 0 {
            let now = left.min(1000);
            mailboxes
                .append(ANNA, inbox, vec![new.clone(); now], None)
                .await
                .unwrap();
            left -= now;
        }
    }
}

/// A client over TLS, which has given STARTTLS.
pub(super) struct SecureClient {
    pub(super) stream: Stream,
}

impl SecureClient {
    pub(super) async fn connect(rig: &Rig) -> Self {
        let address = rig.listen(As::Stranger);
        let mut stream = Stream::connect(address, None, soon()).await.unwrap();
        stream.read_line(1000, soon()).await.unwrap();
        // RFC 3501 §6.2.1: what is pipelined behind STARTTLS must not be carried out.
        stream.write(b"s STARTTLS\r\nevil NOOP\r\n");
        let mut client = Self { stream };
        client.stream.flush(soon()).await.unwrap();
        let mut greeting = Vec::new();
        while !greeting.ends_with(b"s OK Begin TLS now.\r\n") {
            client.stream.fill(soon()).await.unwrap();
            greeting.extend_from_slice(client.stream.buffer());
            let bytes = client.stream.buffer().len();
            client.stream.consume(bytes);
        }
        let tls = ClientTls::new(None).unwrap();
        client
            .stream
            .start_tls_client(&tls, &Demand::opportunistic("localhost"), soon())
            .await
            .unwrap();
        client
    }

    /// Sends a line and reads up to the line that begins with `until`.
    pub(super) async fn say(&mut self, line: &str, until: &str) -> Vec<String> {
        self.stream.write(line.as_bytes());
        self.stream.write(b"\r\n");
        self.stream.flush(soon()).await.unwrap();
        let mut lines = Vec::new();
        loop {
            let line = self.stream.read_line(60_000, soon()).await.unwrap();
            let text = self.stream.buffer()[..line.content_bytes].to_vec();
            self.stream.consume(line.total_bytes);
            lines.push(String::from_utf8_lossy(&text).into_owned());
            if lines.last().is_some_and(|line| line.starts_with(until)) {
                return lines;
            }
        }
    }
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

pub(super) fn anna() -> Identity {
    Identity {
        account: ANNA,
        login: "anna@firma.test".into(),
        group: None,
        pop3_delete: Pop3Delete::Remove,
        credential: Credential::Password,
    }
}

/// A client that knows lines and nothing else.
pub(super) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    pub(super) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream: BufReader::new(stream),
        }
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).await.unwrap();
    }

    /// The same to a server that may have gone.
    pub(super) async fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.get_mut().write_all(bytes).await
    }

    /// Sends nothing more and reads everything that still comes.
    pub(super) async fn finish(mut self) -> Vec<String> {
        // Refused where the server has gone already.
        let _gone = self.stream.get_mut().shutdown().await;
        let mut lines = Vec::new();
        while let Some(line) = self.line().await {
            lines.push(line);
        }
        lines
    }

    /// The next line without its end; `None` at the end of the connection.
    pub(super) async fn line(&mut self) -> Option<String> {
        let line = self.line_within(Duration::from_secs(20)).await;
        line.expect("the server says something within 20 s")
    }

    /// The same; `Err` where nothing comes in time.
    pub(super) async fn line_within(&mut self, time: Duration) -> Result<Option<String>, ()> {
        let mut line = Vec::new();
        let read = self.stream.read_until(b'\n', &mut line);
        let bytes = tokio::time::timeout(time, read)
            .await
            .map_err(drop)?
            .unwrap_or(0);
        let text = String::from_utf8_lossy(&line);
        Ok((bytes > 0).then(|| text.trim_end_matches(['\r', '\n']).to_owned()))
    }

    /// Sends a command and reads up to its answer.
    pub(super) async fn command(&mut self, command: &str) -> Vec<String> {
        self.send(format!("{command}\r\n").as_bytes()).await;
        let tag = command.split(' ').next().unwrap_or_default();
        let mut lines = Vec::new();
        while let Some(line) = self.line().await {
            let last = line.split(' ').next() == Some(tag);
            lines.push(line);
            if last {
                break;
            }
        }
        lines
    }
}
