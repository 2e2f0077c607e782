//! Keys from their making to their end, with a DNS in memory and a clock that is moved: what signs when, what is
//! refused, and what two processes on one store see of each other.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use platform::clock::{Clock, Timestamp};
use platform::dns::StaticResolver;
use platform::random::Random;
use platform::spool::{Spool, SpoolLimits};
use platform::store::{Engine, Options, Store};
use signing::keyring::{Begin, Force, NewKeys};
use signing::lifecycle::{KeyState, Publication};
use signing::{InstallationSecret, KeyRow, Naming, Signing, SigningError, SigningParts};
use std::sync::Arc;
use std::time::Duration;

const HOST: &str = "mx.host.test";
const FIRMA: &str = "firma.test";

struct Desk {
    dir: tempfile::TempDir,
    dns: StaticResolver,
    clock: Clock,
}

impl Desk {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            dns: StaticResolver::new(),
            clock: Clock::settable(Timestamp::from_seconds(1_795_000_000)),
        }
    }

    async fn open(&self) -> Signing {
        let path = self.dir.path().join("store.sqlite");
        self.open_on(Engine::Sqlite { path }).await
    }

    async fn open_on(&self, engine: Engine) -> Signing {
        let options = Options {
            engine,
            readers: 1,
            gather_max: Duration::ZERO,
            before_commit: None,
        };
        let parts = SigningParts {
            store: Store::open(options, &[signing::SCHEMA]).unwrap(),
            secret: InstallationSecret::generate(&Random::seeded(3)),
            clock: self.clock.clone(),
            random: Random::seeded(4),
            resolver: Arc::new(self.dns.clone()),
            host: HOST.to_owned(),
        };
        Signing::open(parts).await.unwrap()
    }

    fn publish(&self, keys: &[KeyRow]) {
        for key in keys {
            self.dns
                .add_txt(&key.record().name(), &key.record().value());
        }
    }

    fn forward(&self, by: Duration) {
        self.clock.set(self.clock.now().plus(by));
    }

    /// The selectors that sign for `FIRMA`.
    async fn signers(&self, signing: &Signing) -> Vec<String> {
        let mut spool = Spool::new(SpoolLimits {
            memory_bytes: 1 << 20,
            dir: Arc::from(self.dir.path()),
        });
        spool.push(b"From: a@firma.test\r\n\r\nx\r\n").unwrap();
        let front = signing.sign(&spool, 0, Some(FIRMA), FIRMA).await.unwrap();
        let front = String::from_utf8(front).unwrap();
        let selector = |part: &str| part.split(';').next().unwrap().to_owned();
        front
            .split(" s=")
            .flat_map(|t| t.split("\ts="))
            .skip(1)
            .map(selector)
            .collect()
    }
}

fn states(keys: &[KeyRow]) -> Vec<(&str, KeyState)> {
    keys.iter()
        .map(|key| (key.selector.as_str(), key.state))
        .collect()
}

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test]
async fn a_key_is_rotated_without_a_moment_in_which_mail_cannot_be_verified() {
    use KeyState::{Active, New, Published, Revoked};
    let desk = Desk::new();
    let signing = desk.open().await;
    let keyring = signing.keyring();
    let first = keyring.add(FIRMA, NewKeys::default()).await.unwrap();
    assert_eq!(states(&first), [("rp2611a", New), ("rp2611b", New)]);
    assert!(
        desk.signers(&signing).await.is_empty(),
        "nothing signs before it is seen"
    );
    assert_eq!(
        keyring.check(FIRMA).await.unwrap()[0].key.publication,
        Publication::Absent
    );
    desk.publish(&first);
    keyring.check(FIRMA).await.unwrap();
    assert_eq!(desk.signers(&signing).await, ["rp2611a", "rp2611b"]);

    let second = keyring.rotate(FIRMA, NewKeys::default()).await.unwrap();
    assert_eq!(states(&second), [("rp2611c", New), ("rp2611d", New)]);
    let again = keyring.rotate(FIRMA, NewKeys::default()).await.unwrap();
    assert_eq!(
        states(&again),
        states(&second),
        "the pair that waits is shown again"
    );
    desk.publish(&second);
    keyring.check(FIRMA).await.unwrap();
    assert_eq!(
        desk.signers(&signing).await,
        ["rp2611a", "rp2611b"],
        "caches may lack the new ones"
    );
    // Static answers have a TTL of five minutes.
    desk.forward(Duration::from_secs(590));
    keyring.check(FIRMA).await.unwrap();
    let now = keyring.of_domain(FIRMA).await.unwrap();
    assert_eq!(states(&now)[2], ("rp2611c", Published));
    desk.forward(Duration::from_secs(10));
    keyring.check(FIRMA).await.unwrap();
    assert_eq!(desk.signers(&signing).await, ["rp2611c", "rp2611d"]);

    let refused = keyring.remove(FIRMA, Some("rp2611a"), Force::No).await;
    assert!(
        matches!(refused, Err(SigningError::Refused(_))),
        "mail under way needs it"
    );
    desk.forward(DAY * 14);
    assert_eq!(keyring.due().await.unwrap(), [FIRMA]);
    keyring.check(FIRMA).await.unwrap();
    let now = keyring.of_domain(FIRMA).await.unwrap();
    assert_eq!(
        states(&now),
        [
            ("rp2611a", Revoked),
            ("rp2611b", Revoked),
            ("rp2611c", Active),
            ("rp2611d", Active)
        ]
    );
    keyring
        .remove(FIRMA, Some("rp2611a"), Force::No)
        .await
        .unwrap();
    let refused = keyring.remove(FIRMA, None, Force::No).await;
    assert!(matches!(refused, Err(SigningError::Refused(why)) if why.contains("--force")));
    keyring.remove(FIRMA, None, Force::Yes).await.unwrap();
    assert!(desk.signers(&signing).await.is_empty());
}

#[tokio::test]
async fn a_record_that_is_withdrawn_starts_the_waiting_anew() {
    let desk = Desk::new();
    let signing = desk.open().await;
    let keyring = signing.keyring();
    let begin_now = NewKeys {
        begin: Begin::Now,
        ..NewKeys::default()
    };
    let first = keyring.add(FIRMA, begin_now).await.unwrap();
    assert_eq!(
        desk.signers(&signing).await.len(),
        2,
        "with Begin::Now they sign unseen"
    );
    desk.publish(&first);
    let second = keyring.rotate(FIRMA, NewKeys::default()).await.unwrap();
    desk.publish(&second);
    keyring.check(FIRMA).await.unwrap();
    // The record is another for an hour: what was seen before does not count.
    let name = second[0].record().name();
    desk.dns.add_txt(&name, "v=DKIM1; p=AAAA");
    desk.forward(HOUR);
    keyring.check(FIRMA).await.unwrap();
    let now = keyring.of_domain(FIRMA).await.unwrap();
    assert_eq!(states(&now)[2].1, KeyState::New);
    assert!(matches!(now[2].publication, Publication::Differs(_)));
    assert_eq!(
        states(&now)[3].1,
        KeyState::Active,
        "the other one had its time"
    );
    assert_eq!(desk.signers(&signing).await, ["rp2611a", "rp2611d"]);
    // DNS that is away changes nothing, and says so.
    desk.dns.fail(&name, "SERVFAIL");
    let checked = keyring.check(FIRMA).await.unwrap();
    assert_eq!(
        checked[2].key.publication,
        Publication::Unknown("SERVFAIL".to_owned())
    );
    // The operator may overrule it.
    keyring.activate(FIRMA).await.unwrap();
    assert_eq!(desk.signers(&signing).await, ["rp2611c", "rp2611d"]);
}

#[tokio::test]
async fn fixed_selectors_take_turns() {
    let desk = Desk::new();
    let signing = desk.open().await;
    let keyring = signing.keyring();
    let fixed = NewKeys {
        begin: Begin::Now,
        naming: Some(Naming::Fixed),
        ..NewKeys::default()
    };
    let plain = NewKeys {
        begin: Begin::Now,
        ..NewKeys::default()
    };
    keyring.add(FIRMA, fixed).await.unwrap();
    keyring.rotate(FIRMA, plain).await.unwrap();
    assert_eq!(desk.signers(&signing).await, ["rp2a", "rp2b"]);
    let refused = keyring.rotate(FIRMA, plain).await;
    assert!(
        matches!(refused, Err(SigningError::Refused(_))),
        "the first pair's records are still needed"
    );
    desk.forward(DAY * 14);
    keyring.check(FIRMA).await.unwrap();
    keyring
        .remove(FIRMA, Some("rp1a"), Force::No)
        .await
        .unwrap();
    keyring
        .remove(FIRMA, Some("rp1b"), Force::No)
        .await
        .unwrap();
    keyring.rotate(FIRMA, plain).await.unwrap();
    assert_eq!(desk.signers(&signing).await, ["rp1a", "rp1b"]);
}

#[tokio::test]
async fn another_process_is_noticed_at_the_next_look() {
    let desk = Desk::new();
    let (node, command) = (desk.open().await, desk.open().await);
    assert!(desk.signers(&node).await.is_empty());
    let new = NewKeys {
        begin: Begin::Now,
        ..NewKeys::default()
    };
    command.keyring().add(FIRMA, new).await.unwrap();
    let twice = command.keyring().add(FIRMA, new).await;
    assert!(matches!(twice, Err(SigningError::Refused(why)) if why.contains("dkim rotate")));
    assert!(
        desk.signers(&node).await.is_empty(),
        "it is remembered until somebody looks"
    );
    node.refresh().await.unwrap();
    assert_eq!(desk.signers(&node).await.len(), 2);
    assert_eq!(node.keyring().list().await.unwrap().len(), 2);
}

/// The same statements on PostgreSQL.
#[test]
fn postgresql_keeps_keys_too() {
    let cluster = harness::postgres::Cluster::start();
    let engine = Engine::Postgres {
        url: cluster.database(),
        connections: 1,
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let desk = Desk::new();
        let signing = desk.open_on(engine).await;
        let keyring = signing.keyring();
        let first = keyring.add(FIRMA, NewKeys::default()).await.unwrap();
        assert_eq!(keyring.due().await.unwrap(), [FIRMA]);
        desk.publish(&first);
        keyring.check(FIRMA).await.unwrap();
        assert_eq!(desk.signers(&signing).await.len(), 2);
        assert!(keyring.due().await.unwrap().is_empty());
        keyring.rotate(FIRMA, NewKeys::default()).await.unwrap();
        keyring.activate(FIRMA).await.unwrap();
        assert_eq!(keyring.list().await.unwrap().len(), 4);
        desk.forward(DAY * 15);
        keyring.check(FIRMA).await.unwrap();
        keyring
            .remove(FIRMA, Some("rp2611a"), Force::No)
            .await
            .unwrap();
        assert_eq!(desk.signers(&signing).await, ["rp2611c", "rp2611d"]);
    });
}
