//! The stores and services of a node, opened in the order they need each other. The CLI opens the
//! same ones, so that every face works on one truth.

use super::routing::{Sources, router};
use super::secret::{installation_secret, secret_path};
use crate::compaction::Holds;
use crate::settings::{Settings, StoreEngine};
use admission::{Desk, DeskParts};
use directory::settings::BackOff;
use directory::{AddressBlock, AddressKey, Directory};
use mailbox::Mailboxes;
use platform::clock::Clock;
use platform::dns::{Anchors, Resolver, SystemResolver};
use platform::files::{Files, RealFiles};
use platform::net::Gateway;
use platform::random::Random;
use platform::segments::{BodyRef, SegmentOptions, Segments};
use platform::signals::Signals;
use platform::spool::SpoolBudget;
use platform::store::{BeforeCommit, Component, Engine, Options, Store, StoreError, Tx};
use policy::{Connections, Findings, Policies, Usage};
use queue::{Queue, TraceIds};
use reports::TlsCounts;
use routing::Router;
use routing::tlsrpt::{Deaf, Observer};
use signing::{Signing, SigningParts};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Every table of the program, in the order they may refer to each other.
pub(crate) const COMPONENTS: &[Component] = &[
    directory::SCHEMA,
    policy::SCHEMA,
    policy::CLIENTS_SCHEMA,
    policy::CONNECTIONS_SCHEMA,
    policy::LEGACY_SCHEMA,
    policy::RULES_SCHEMA,
    mailbox::SCHEMA,
    routing::SCHEMA,
    queue::SCHEMA,
    signing::SCHEMA,
    reports::SCHEMA,
    https::SCHEMA,
    rollout::SCHEMA,
    rollout::zone_change::SCHEMA,
    rollout::dmarc::seen::SCHEMA,
];
/// Segments whose newest committed body is looked up at the start: more than a crash can leave
/// unsealed.
const EXAMINED_SEGMENTS_MAX: usize = 64;
/// Temporary files, in the data directory.
const TEMPORARY_DIR: &str = "tmp";
/// PostgreSQL connections that write.
const WRITERS: usize = 2;

/// Why the node does not start, in words an operator can act on.
#[derive(Debug)]
pub(crate) struct StartError {
    what: String,
    why: String,
}

impl StartError {
    /// `what` is a setting or a part of the program.
    pub(crate) fn new(what: impl Into<String>, why: impl fmt::Display) -> Self {
        Self {
            what: what.into(),
            why: why.to_string(),
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

impl std::error::Error for StartError {}

/// Stores and services, open.
#[derive(Clone)]
pub(crate) struct Parts {
    /// What the file says.
    pub settings: Arc<Settings>,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
    /// Rows.
    pub store: Store,
    /// Message bytes.
    pub segments: Segments,
    /// Who is here.
    pub directory: Directory,
    /// Mail at rest.
    pub mailboxes: Mailboxes,
    /// The DNS.
    pub resolver: Arc<dyn Resolver>,
    /// What the provider decided.
    pub policies: Policies,
    /// What measures saw.
    pub findings: Findings,
    /// How accounts connect.
    pub connections: Connections,
    /// Who may log in, and how.
    pub desk: Desk,
    /// How much of its limits everybody has used.
    pub usage: Usage,
    /// Where mail goes, and how securely.
    pub router: Router,
    /// What TLS sessions told, for TLS reports.
    pub tls_counts: TlsCounts,
    /// Signatures on what leaves.
    pub signing: Signing,
    /// Mail in motion.
    pub queue: Queue,
    /// Names for messages.
    pub traces: TraceIds,
    /// Who wants no segment removed just now.
    pub holds: Holds,
    /// Where large messages are put together.
    pub temporary_dir: Arc<Path>,
    /// The legacy gateway, where one is configured.
    pub gateway: Option<Gateway>,
    /// The memory that messages on their way in may take, whichever protocol brings them.
    pub spool_budget: Arc<SpoolBudget>,
}

/// The folder of message segments in a data directory.
pub(crate) fn segments_dir(settings: &Settings) -> PathBuf {
    settings.data_dir.join("segments")
}

/// Which engine the settings ask for.
pub(crate) fn engine(settings: &Settings) -> Engine {
    match settings.store_engine.0 {
        StoreEngine::Sqlite => Engine::Sqlite {
            path: settings.data_dir.join("rohrpost.sqlite"),
        },
        StoreEngine::Postgresql => Engine::Postgres {
            url: settings.store_url.0.clone(),
            connections: WRITERS,
        },
    }
}

/// What services stand on.
struct Opened {
    store: Store,
    segments: Segments,
    temporary_dir: Arc<Path>,
}

/// Opens everything below the protocols.
///
/// # Errors
/// Where a store or the data directory cannot be used.
pub(crate) async fn open_parts(settings: &Settings, clock: Clock) -> Result<Parts, StartError> {
    let random = Random::from_os();
    let place = || format!("node.data_dir {}", settings.data_dir.display());
    let in_data_dir = |error| StartError::new(place(), error);
    make_data_dir(&settings.data_dir).map_err(in_data_dir)?;
    let (store, segments) = open_storage(settings, clock.clone(), random.clone()).await?;
    let opened = Opened {
        store,
        segments,
        temporary_dir: empty_temporary_dir(&settings.data_dir).map_err(in_data_dir)?,
    };
    parts(settings, (clock, random), opened).await
}

/// The same over rows that a command has opened, beside a node that may be starting: takes no lock, mends and removes
/// nothing, and can read messages but write none.
///
/// # Errors
/// Where the data directory cannot be used.
pub(crate) async fn parts_beside(settings: &Settings, store: Store) -> Result<Parts, StartError> {
    let (clock, random) = (Clock::system(), Random::from_os());
    let dir = segments_dir(settings);
    let in_dir =
        |error| StartError::new(format!("the message segments in {}", dir.display()), error);
    let files: Arc<dyn Files> = Arc::new(RealFiles);
    files.create_dir(&dir).map_err(in_dir)?;
    let options = SegmentOptions::new(clock.clone(), random.clone());
    let (segments, _) = Segments::open_to_read(&dir, options, files).map_err(in_dir)?;
    let opened = Opened {
        store,
        segments,
        temporary_dir: Arc::from(settings.data_dir.join(TEMPORARY_DIR)),
    };
    parts(settings, (clock, random), opened).await
}

async fn parts(
    settings: &Settings,
    (clock, random): (Clock, Random),
    opened: Opened,
) -> Result<Parts, StartError> {
    let Opened {
        store,
        segments,
        temporary_dir,
    } = opened;
    let signals = Signals::default();
    let mailboxes = Mailboxes::new(store.clone(), segments.clone(), signals, clock.clone());
    let directory = Directory::open(store.clone(), directory_settings(settings), random.clone())
        .await
        .map_err(|error| StartError::new("the directory", error))?;
    let in_policy = |error| StartError::new("the policy", error);
    let opened = Policies::open(store.clone(), clock.clone()).await;
    let policies = opened.map_err(in_policy)?;
    let usage = Usage::open(store.clone()).await.map_err(in_policy)?;
    let resolver = resolver(settings, &clock)?;
    policies.watch().resolve_with(resolver.clone());
    let signing = open_signing(settings, &store, &clock, &random, resolver.clone()).await?;
    let tls_counts = TlsCounts::default();
    let router = router(
        settings,
        Sources {
            store: store.clone(),
            resolver: resolver.clone(),
            policies: policies.clone(),
            observer: observer(settings, &tls_counts),
            clock: clock.clone(),
            random: random.clone(),
        },
    )?;
    let newest = store
        .read(queue::trace::newest)
        .await
        .map_err(|error| StartError::new("the store", error))?;
    let watching = desk_parts(settings, &directory, &policies, &clock);
    Ok(Parts {
        settings: Arc::new(settings.clone()),
        queue: Queue::new(store.clone(), segments.clone(), mailboxes.clone())
            .with_policies(policies.clone())
            .with_signing(signing.clone()),
        traces: TraceIds::after(clock.clone(), newest),
        clock,
        random,
        findings: watching.findings.clone(),
        connections: watching.connections.clone(),
        desk: Desk::new(watching),
        policies,
        usage,
        store,
        segments,
        resolver,
        router,
        tls_counts,
        signing,
        directory,
        mailboxes,
        holds: Holds::default(),
        temporary_dir,
        gateway: super::legacy::gateway(settings),
        spool_budget: SpoolBudget::new(settings.message_memory_total.0),
    })
}

fn desk_parts(
    settings: &Settings,
    directory: &Directory,
    policies: &Policies,
    clock: &Clock,
) -> DeskParts {
    let store = policies.store();
    DeskParts {
        directory: directory.clone(),
        policies: policies.clone(),
        connections: Connections::new(store.clone()),
        findings: Findings::new(store.clone()),
        clock: clock.clone(),
        host_name: settings.host_name.0.as_str().into(),
    }
}

/// Who hears of TLS sessions: nobody where no reports are sent.
fn observer(settings: &Settings, counts: &TlsCounts) -> Arc<dyn Observer> {
    match settings.reports_send_tls.0 {
        true => Arc::new(counts.clone()),
        false => Arc::new(Deaf),
    }
}

/// The DNS as the settings name it.
///
/// # Errors
/// Where `/etc/resolv.conf` is needed, or the file of trust anchors, and cannot be used.
pub(crate) fn resolver(
    settings: &Settings,
    clock: &Clock,
) -> Result<Arc<dyn Resolver>, StartError> {
    let anchors = match &settings.trust_anchor_file.0 {
        _ if !settings.dns_validate.0 => Anchors::none(),
        Some(path) => {
            Anchors::read(path).map_err(|error| StartError::new("dns.trust_anchor_file", error))?
        }
        None => Anchors::root(),
    };
    let resolver = SystemResolver::new(&settings.dns_servers.0, anchors, clock.clone())
        .map_err(|error| StartError::new("dns.servers", error))?;
    Ok(Arc::new(resolver))
}

/// Signing with the keys of `store` and the secret of the data directory.
///
/// # Errors
/// Where the secret cannot be read, or is not the one the keys were sealed with.
pub(crate) async fn open_signing(
    settings: &Settings,
    store: &Store,
    clock: &Clock,
    random: &Random,
    resolver: Arc<dyn Resolver>,
) -> Result<Signing, StartError> {
    let secret = installation_secret(&settings.data_dir, random)?;
    let path = secret_path(&settings.data_dir);
    Signing::open(SigningParts {
        store: store.clone(),
        secret,
        clock: clock.clone(),
        random: random.clone(),
        resolver,
        host: settings.host_name.0.clone(),
    })
    .await
    .map_err(|error| StartError::new(path.display().to_string(), error))
}

/// Rows and bytes. The lock comes first, so that no second node touches anything; then the store,
/// because it knows which bytes are durable: damage to those is rot, which must be reported, not
/// the torn tail of a crash, which is cut.
async fn open_storage(
    settings: &Settings,
    clock: Clock,
    random: Random,
) -> Result<(Store, Segments), StartError> {
    let dir = segments_dir(settings);
    let in_dir =
        |error| StartError::new(format!("the message segments in {}", dir.display()), error);
    let files: Arc<dyn Files> = Arc::new(RealFiles);
    let lock = Segments::lock(&dir, files.as_ref()).map_err(in_dir)?;
    let opened = Arc::new(OnceLock::new());
    let store = open_store(settings, before_commit(opened.clone())).await?;
    let mut options = SegmentOptions::new(clock, random);
    options.segment_bytes_max = settings.segment_size.0;
    options.committed = store
        .read(newest_bodies)
        .await
        .map_err(|error| StartError::new("the store", error))?;
    let (segments, recovery) = Segments::open_locked(&dir, options, files, lock).map_err(in_dir)?;
    let _ = opened.set(segments.clone());
    for cut in recovery.cut {
        tracing::info!(detail = cut, "segments.tail_cut_after_crash");
    }
    for rot in recovery.rot {
        tracing::error!(detail = rot, "segments.damaged");
    }
    Ok((store, segments))
}

/// Makes bytes durable before the rows that refer to them. Before the segments are open there are
/// no such rows, only migrations.
fn before_commit(opened: Arc<OnceLock<Segments>>) -> BeforeCommit {
    Arc::new(move || opened.get().map_or(Ok(()), Segments::sync))
}

fn newest_bodies(tx: &mut dyn Tx) -> Result<Vec<BodyRef>, StoreError> {
    let mut newest = mailbox::verify::newest_bodies(tx, EXAMINED_SEGMENTS_MAX)?;
    newest.extend(queue::verify::newest_bodies(tx, EXAMINED_SEGMENTS_MAX)?);
    Ok(newest)
}

async fn open_store(settings: &Settings, before_commit: BeforeCommit) -> Result<Store, StartError> {
    let options = Options {
        engine: engine(settings),
        readers: settings.store_readers.0,
        gather_max: settings.store_gather_time_max.0,
        before_commit: Some(before_commit),
    };
    // Migrations and the first connection block.
    let opened = tokio::task::spawn_blocking(move || Store::open(options, COMPONENTS)).await;
    opened
        .map_err(|error| StartError::new("the store", error))?
        .map_err(|error| StartError::new("the store", error))
}

/// Makes the data directory, readable by its owner only.
pub(crate) fn make_data_dir(data_dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data_dir)
}

/// The folder of temporary files, emptied; only for who holds the lock.
fn empty_temporary_dir(data_dir: &Path) -> std::io::Result<Arc<Path>> {
    use std::os::unix::fs::DirBuilderExt;
    let temporary = data_dir.join(TEMPORARY_DIR);
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&temporary)?;
    for left_over in std::fs::read_dir(&temporary)?.flatten() {
        let _ = std::fs::remove_file(left_over.path());
    }
    Ok(Arc::from(temporary))
}

/// What the file says about addresses and logins.
pub(crate) fn directory_settings(settings: &Settings) -> directory::Settings {
    directory::Settings {
        postmaster: settings.postmaster.0.as_ref().and_then(AddressKey::of),
        back_off: BackOff {
            never: never_slowed(settings),
            ..BackOff::default()
        },
        detail_separator: settings.subaddress_separator.0.chars().next(),
        hash_workers: settings.login_workers.0,
        login_remembered: settings.login_remember_time.0,
        ..directory::Settings::default()
    }
}

fn never_slowed(settings: &Settings) -> Vec<AddressBlock> {
    let networks = settings.never_slowed.0.iter();
    networks
        .map(|network| AddressBlock::around(network.address, network.prefix_bits))
        .collect()
}
