//! A mail server that keeps what it is sent, for tests of delivery: without TLS, with good and bad
//! TLS, slow, refusing or hanging up at a chosen step. Changes its behaviour while it runs and
//! remembers every session. `foreign.rs` runs the same in OpenSSL, for TLS that rustls has not.

mod foreign;
mod session;

pub use foreign::Foreign;

use crate::authority::Identity;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// How long a test waits for something to arrive.
const ARRIVAL_TIME_MAX: Duration = Duration::from_secs(30);

/// Which TLS a sink agrees on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versions {
    /// 1.2 (AEAD only) and 1.3.
    Modern,
    /// 1.2 (AEAD only).
    Only12,
    /// 1.3.
    Only13,
}

/// What becomes of STARTTLS.
#[derive(Debug, Clone)]
pub enum StartTls {
    /// Not offered.
    None,
    /// Offered and done with this certificate.
    Works(Box<Identity>, Versions),
    /// Offered; after 220 comes something that is not TLS.
    Garbage,
    /// Offered; after 220 the connection is closed.
    HangsUp,
    /// Offered and answered with 454.
    Refused,
}

/// A point in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Before the greeting.
    Greeting,
    /// EHLO.
    Hello,
    /// MAIL.
    Mail,
    /// RCPT, every one.
    Rcpt,
    /// DATA.
    Data,
    /// After the final dot.
    Body,
}

/// What happens at a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// This reply, such as `451 4.3.2 not now`.
    Reply(String),
    /// The connection is closed without a reply.
    Drop,
    /// The reply comes later.
    Wait(Duration),
    /// The message is taken, but the connection is closed before the reply.
    DropAfterTaking,
}

/// What a sink does.
#[derive(Debug, Clone)]
pub struct Behaviour {
    /// TLS.
    pub start_tls: StartTls,
    /// EHLO keywords with arguments, beside STARTTLS and REQUIRETLS. Parameters whose keyword is
    /// missing are refused.
    pub keywords: Vec<String>,
    /// Whether REQUIRETLS is offered after TLS began (RFC 8689 §2).
    pub require_tls: bool,
    /// What goes wrong.
    pub troubles: Vec<(Step, Trouble)>,
    /// Recipients (by local part) that are refused, with the reply.
    pub refused: Vec<(String, String)>,
}

impl Default for Behaviour {
    /// No TLS, the usual extensions, takes everything.
    fn default() -> Self {
        let keywords = [
            "PIPELINING",
            "8BITMIME",
            "SMTPUTF8",
            "DSN",
            "ENHANCEDSTATUSCODES",
            "SIZE 52428800",
        ];
        Self {
            start_tls: StartTls::None,
            keywords: keywords.map(str::to_owned).to_vec(),
            require_tls: false,
            troubles: Vec::new(),
            refused: Vec::new(),
        }
    }
}

impl Behaviour {
    /// TLS with a certificate, otherwise as usual.
    pub fn tls(identity: &Identity) -> Self {
        Self::tls_versions(identity, Versions::Modern)
    }

    /// The same with a choice of versions.
    pub fn tls_versions(identity: &Identity, versions: Versions) -> Self {
        Self {
            start_tls: StartTls::Works(Box::new(identity.clone()), versions),
            ..Self::default()
        }
    }

    /// STARTTLS that goes wrong in this way, otherwise as usual.
    pub fn start_tls(start_tls: StartTls) -> Self {
        Self {
            start_tls,
            ..Self::default()
        }
    }

    /// With something going wrong.
    pub fn trouble(mut self, step: Step, trouble: Trouble) -> Self {
        self.troubles.push((step, trouble));
        self
    }

    /// Without an extension.
    pub fn without(mut self, keyword: &str) -> Self {
        self.keywords
            .retain(|have| have.split(' ').next() != Some(keyword));
        self
    }

    /// With an extension, instead of one of the same name.
    pub fn with(self, keyword: &str) -> Self {
        let name = keyword.split(' ').next().unwrap_or(keyword).to_owned();
        let mut changed = self.without(&name);
        changed.keywords.push(keyword.to_owned());
        changed
    }
}

/// What was agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFacts {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: String,
    /// The suite's name.
    pub cipher: String,
    /// SNI.
    pub server_name: Option<String>,
}

/// One connection.
#[derive(Debug, Clone)]
pub struct Session {
    /// When it was taken, by the machine's clock.
    pub began: SystemTime,
    /// From where.
    pub client: SocketAddr,
    /// Name in the last EHLO or HELO.
    pub hello: String,
    /// TLS, once it was agreed on.
    pub tls: Option<TlsFacts>,
    /// Why TLS was not agreed on after STARTTLS.
    pub tls_failure: Option<String>,
    /// Command lines in their order, both before and after TLS.
    pub commands: Vec<String>,
    /// Whether it is over.
    pub ended: bool,
}

/// One message that was taken.
#[derive(Clone)]
pub struct Mail {
    /// Index of its session.
    pub session: usize,
    /// TLS it came over.
    pub tls: Option<TlsFacts>,
    /// Address in MAIL; empty for the null path.
    pub from: String,
    /// What followed the address in MAIL.
    pub from_parameters: String,
    /// Addresses in RCPT, each with what followed.
    pub to: Vec<(String, String)>,
    /// The message, dots unstuffed.
    pub data: Vec<u8>,
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail")
            .field("session", &self.session)
            .field("tls", &self.tls)
            .field("from", &(&self.from, &self.from_parameters))
            .field("to", &self.to)
            .field("data", &self.text())
            .finish()
    }
}

impl Mail {
    /// The message as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.data).into_owned()
    }
}

#[derive(Debug, Default)]
struct Log {
    sessions: Vec<Session>,
    mails: Vec<Mail>,
}

#[derive(Debug)]
struct Shared {
    behaviour: Mutex<Behaviour>,
    log: Mutex<Log>,
    changed: Condvar,
    /// Sockets of sessions, to close them.
    open: Mutex<Vec<TcpStream>>,
    stop: AtomicBool,
}

impl Shared {
    fn new(behaviour: Behaviour) -> Arc<Self> {
        Arc::new(Self {
            behaviour: Mutex::new(behaviour),
            log: Mutex::default(),
            changed: Condvar::new(),
            open: Mutex::default(),
            stop: AtomicBool::new(false),
        })
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the record of a session, and wakes who waits.
    fn note(&self, session: usize, change: impl FnOnce(&mut Session)) {
        if let Some(session) = self.log().sessions.get_mut(session) {
            change(session);
        }
        self.changed.notify_all();
    }

    fn begin(&self, client: SocketAddr, now: SystemTime) -> usize {
        let mut log = self.log();
        log.sessions.push(Session {
            began: now,
            client,
            hello: String::new(),
            tls: None,
            tls_failure: None,
            commands: Vec::new(),
            ended: false,
        });
        log.sessions.len() - 1
    }

    fn take(&self, mail: Mail) {
        self.log().mails.push(mail);
        self.changed.notify_all();
    }

    fn behaviour(&self) -> Behaviour {
        let behaviour = self.behaviour.lock();
        behaviour.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A running sink; it takes no more connections when its handle goes.
#[derive(Debug)]
pub struct Sink {
    shared: Arc<Shared>,
    address: SocketAddr,
    /// OpenSSL's side, where there is one.
    foreign: Option<std::process::Child>,
}

impl Sink {
    /// Starts one. Port 0 takes a free one.
    ///
    /// # Panics
    /// Where the address is taken.
    pub fn start(address: SocketAddr, behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind(address).expect("a free address");
        let address = listener.local_addr().expect("a bound socket");
        let shared = Shared::new(behaviour);
        let served = shared.clone();
        std::thread::spawn(move || accept(&listener, &served));
        Self {
            shared,
            address,
            foreign: None,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Behaves differently from the next command on. A foreign sink stays as it is.
    pub fn behave(&self, behaviour: Behaviour) {
        let mut now = self.shared.behaviour.lock();
        **now.as_mut().expect("nobody panics holding it") = behaviour;
    }

    /// Closes all connections. A foreign sink stays as it is.
    pub fn hang_up(&self) {
        let open = self.shared.open.lock();
        for socket in open.expect("nobody panics holding it").drain(..) {
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
    }

    /// All sessions so far.
    pub fn sessions(&self) -> Vec<Session> {
        self.shared.log().sessions.clone()
    }

    /// All messages so far.
    pub fn mails(&self) -> Vec<Mail> {
        self.shared.log().mails.clone()
    }

    /// Waits until `count` messages were taken.
    ///
    /// # Panics
    /// Where they do not come.
    pub fn wait_mails(&self, count: usize) -> Vec<Mail> {
        self.wait("messages", count, |log| log.mails.len() >= count);
        self.mails()
    }

    /// Waits until `count` sessions are over.
    ///
    /// # Panics
    /// Where they do not come.
    pub fn wait_sessions(&self, count: usize) -> Vec<Session> {
        let over = |log: &Log| log.sessions.iter().filter(|s| s.ended).count() >= count;
        self.wait("sessions", count, over);
        self.sessions()
    }

    fn wait(&self, what: &str, count: usize, enough: impl Fn(&Log) -> bool) {
        let log = self.shared.log();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(log, ARRIVAL_TIME_MAX, |log| !enough(log));
        let (log, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(
            !waited.timed_out(),
            "{count} {what} were expected, this came: {log:#?}"
        );
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(mut child) = self.foreign.take() {
            let _ = child.kill();
            let _ = child.wait();
            return;
        }
        // The thread waits for a connection; this is one.
        let _ = TcpStream::connect(self.address);
    }
}

#[allow(clippy::disallowed_methods, reason = "tests use the machine's clock")]
fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stop.load(Ordering::Relaxed) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let Ok(client) = stream.peer_addr() else {
            continue;
        };
        let (Ok(second), Ok(third)) = (stream.try_clone(), stream.try_clone()) else {
            continue;
        };
        let open = shared.open.lock();
        open.expect("nobody panics holding it").push(second);
        let session = shared.begin(client, SystemTime::now());
        let shared = shared.clone();
        std::thread::spawn(move || {
            session::serve(stream, &shared, session);
            // `open` holds the socket, too, so that going out of scope does not close it.
            let _ = third.shutdown(std::net::Shutdown::Both);
            shared.note(session, |session| session.ended = true);
        });
    }
}
