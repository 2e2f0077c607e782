//! An IMAP server with one account, for trying clients and for profiles: no SMTP, no settings.
//! `imap_node DIR PORT MESSAGES`: STARTTLS on PORT, TLS on PORT+1; anna@firma.test, password "demo-password".
//! DIR/tls/ca.pem is what clients must trust. Never part of a release.

use access::imap::{ImapContext, ImapSettings, serve};
use admission::{Desk, DeskParts};
use directory::admin::{AccountHooks, Admin, NewAccount, NewDomain, NewPassword};
use directory::{AccountId, AddressKey, Directory, DomainName};
use mailbox::{Flags, Keywords, MailboxName, Mailboxes, NewMessage, create_account_mailboxes};
use platform::clock::Clock;
use platform::files::RealFiles;
use platform::net::{
    Connection, ConnectionLimits, LimitSettings, Listener, ListenerSpec, LogObserver, Mode, Role,
    Shutdown,
};
use platform::random::Random;
use platform::segments::{SegmentOptions, Segments};
use platform::signals::Signals;
use platform::spool::{Spool, SpoolLimits};
use platform::store::{Engine, Options, Store, StoreError, Tx};
use platform::tls::{CertStore, ServerTls, ServerTlsSettings, demo_ca};
use policy::{Connections, Findings, Policies};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

struct Hooks(Clock);

impl AccountHooks for Hooks {
    fn added(&self, tx: &mut dyn Tx, account: AccountId) -> Result<(), StoreError> {
        create_account_mailboxes(tx, account, self.0.now())
    }
    fn removed(&self, _: &mut dyn Tx, _: AccountId) -> Result<(), StoreError> {
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, dir, port, messages] = arguments.as_slice() else {
        return Err("usage: imap_node DIR PORT MESSAGES".into());
    };
    let (dir, port, messages) = (
        Path::new(dir),
        port.parse::<u16>()?,
        messages.parse::<usize>()?,
    );
    std::fs::create_dir_all(dir)?;
    let (context, directory) = open(dir).await?;
    if let Some(account) = add_account(&context, directory).await? {
        fill(&context, account, messages).await?;
    }
    let files = demo_ca(&dir.join("tls"), &["localhost"])?;
    let certificates = CertStore::from_dir(&files.directory, None)?;
    let tls = ServerTls::new(certificates, &ServerTlsSettings::default())?;
    let (_trigger, shutdown) = Shutdown::new();
    let context = Arc::new(context);
    for (mode, port) in [(Mode::StartTls, port), (Mode::ImplicitTls, port + 1)] {
        let spec = ListenerSpec {
            address: ([127, 0, 0, 1], port).into(),
            mode,
            role: Role::Imap,
            profile: "demo".into(),
            proxy_from: Vec::new(),
            handshake_timeout: Duration::from_secs(30),
        };
        let mut limits = LimitSettings::default();
        limits.address_connections_max = limits.connections_max;
        let limits = ConnectionLimits::new(limits);
        let listener = Listener::bind(
            spec,
            tls.clone(),
            limits,
            shutdown.clone(),
            Arc::new(LogObserver),
        )?;
        let context = context.clone();
        let handler = move |connection: Connection| serve(connection, context.clone());
        tokio::spawn(listener.serve(Arc::new(handler)));
    }
    println!("ready");
    std::future::pending().await
}

async fn open(dir: &Path) -> Result<(ImapContext, Directory), Box<dyn Error>> {
    let clock = Clock::system();
    let options = SegmentOptions::new(clock.clone(), Random::from_os());
    let (segments, _) = Segments::open(&dir.join("segments"), options, Arc::new(RealFiles))?;
    let options = Options {
        engine: Engine::Sqlite {
            path: dir.join("store.sqlite"),
        },
        readers: 2,
        gather_max: Duration::from_millis(1),
        before_commit: Some(segments.before_commit()),
    };
    let schemas = [
        directory::SCHEMA,
        mailbox::SCHEMA,
        policy::SCHEMA,
        policy::CLIENTS_SCHEMA,
        policy::CONNECTIONS_SCHEMA,
        policy::LEGACY_SCHEMA,
        policy::RULES_SCHEMA,
    ];
    let store = Store::open(options, &schemas)?;
    let settings = directory::Settings::default();
    let directory = Directory::open(store.clone(), settings, Random::from_os()).await?;
    let desk = Desk::new(DeskParts {
        directory: directory.clone(),
        policies: Policies::open(store.clone(), clock.clone()).await?,
        connections: Connections::new(store.clone()),
        findings: Findings::new(store.clone()),
        clock: clock.clone(),
        host_name: "localhost".into(),
    });
    let context = ImapContext {
        desk,
        mailboxes: Mailboxes::new(store, segments, Signals::default(), clock.clone()),
        clock,
        spool: SpoolLimits {
            memory_bytes: 256 << 10,
            dir: dir.into(),
        },
        settings: ImapSettings::default(),
    };
    Ok((context, directory))
}

/// `None` where the account is there already.
async fn add_account(
    context: &ImapContext,
    directory: Directory,
) -> Result<Option<AccountId>, Box<dyn Error>> {
    let now = context.clock.now();
    let admin = Admin::new(directory, Arc::new(Hooks(context.clock.clone())));
    let domain = DomainName::parse("firma.test")?;
    if admin
        .add_domain(&domain, &NewDomain::default(), now)
        .await
        .is_err()
    {
        return Ok(None);
    }
    let login = AddressKey::parse("anna@firma.test")?;
    let password = NewPassword::clear("demo-password");
    Ok(Some(
        admin
            .add_account(&login, &NewAccount::default(), &password, now)
            .await?,
    ))
}

async fn fill(
    context: &ImapContext,
    account: AccountId,
    messages: usize,
) -> Result<(), Box<dyn Error>> {
    let inbox = context
        .mailboxes
        .status(account, &MailboxName::inbox())
        .await?
        .mailbox;
    let mut new = Vec::new();
    for number in 0..messages {
        let mut spool = Spool::new(context.spool.clone());
        let text = format!(
            "From: Sender {number} <sender{number}@shop.example>\r\nTo: anna@firma.test\r\n\
             Subject: Message {number}\r\nDate: Sun, 22 Nov 2026 12:00:00 +0100\r\n\
             Message-ID: <{number}@shop.example>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\
             This is message {number}.\r\n"
        );
        spool.push(text.as_bytes())?;
        new.push(NewMessage {
            body: context.mailboxes.keep(spool).await?,
            flags: if number % 3 == 0 {
                Flags::NONE
            } else {
                Flags::SEEN
            },
            keywords: Keywords::default(),
            internal_date: context.clock.now(),
        });
        if new.len() == 1000 || number + 1 == messages {
            context
                .mailboxes
                .append(account, inbox, std::mem::take(&mut new), None)
                .await?;
        }
    }
    Ok(())
}
