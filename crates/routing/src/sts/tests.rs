//! The cache against a resolver and a policy host from memory, with a clock that moves.

use super::*;
use crate::testing;
use crate::tlsrpt::{Observer, PolicyKind, SessionResult};
use platform::clock::{Clock, Timestamp};
use platform::dns::StaticResolver;
use platform::store::Store;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A policy host: says what it was told to say, once the gate lets it.
pub(crate) struct Hosts {
    answers: Mutex<HashMap<String, Result<Vec<u8>, FetchError>>>,
    asked: AtomicUsize,
    gate: Semaphore,
}

impl Default for Hosts {
    fn default() -> Self {
        Self {
            answers: Mutex::default(),
            asked: AtomicUsize::new(0),
            gate: Semaphore::new(1000),
        }
    }
}

impl Hosts {
    pub(crate) fn say(&self, domain: &str, mode: &str, mx: &str) {
        let text = format!("version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: 604800\n");
        self.answer(domain, Ok(text.into_bytes()));
    }

    fn answer(&self, domain: &str, answer: Result<Vec<u8>, FetchError>) {
        self.answers
            .lock()
            .unwrap()
            .insert(domain.to_owned(), answer);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl PolicyFetcher for Hosts {
    fn fetch<'a>(&'a self, domain: &'a str) -> Fetching<'a> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            let _through = self.gate.acquire().await.unwrap();
            let answers = self.answers.lock().unwrap();
            let refused = || Err(FetchError::Unreachable("refused".to_owned()));
            answers.get(domain).cloned().unwrap_or_else(refused)
        })
    }
}

#[derive(Default)]
pub(crate) struct Heard(pub(crate) Mutex<Vec<SessionResult>>);

impl Observer for Heard {
    fn note(&self, result: SessionResult) {
        self.0.lock().unwrap().push(result);
    }
}

impl Heard {
    pub(crate) fn results(&self) -> Vec<(String, &'static str)> {
        let heard = self.0.lock().unwrap();
        let failures = heard
            .iter()
            .filter_map(|r| r.failure.as_ref().map(|f| (r, f)));
        failures
            .map(|(result, failure)| (result.domain.to_string(), failure.result.as_str()))
            .collect()
    }
}

struct World {
    resolver: StaticResolver,
    hosts: Arc<Hosts>,
    heard: Arc<Heard>,
    clock: Clock,
    cache: StsCache,
}

impl World {
    fn new(store: Store) -> Self {
        let (resolver, hosts) = (StaticResolver::new(), Arc::new(Hosts::default()));
        let (heard, clock) = (Arc::new(Heard::default()), Clock::settable(NOW));
        let cache = StsCache::new(StsParts {
            store,
            resolver: Arc::new(resolver.clone()),
            fetcher: hosts.clone(),
            observer: heard.clone(),
            clock: clock.clone(),
        });
        Self {
            resolver,
            hosts,
            heard,
            clock,
            cache,
        }
    }

    fn announce(&self, domain: &str, id: &str) {
        let name = format!("_mta-sts.{domain}");
        self.resolver.forget(&name);
        self.resolver.add_txt(&name, &format!("v=STSv1; id={id};"));
    }

    async fn mode(&self, domain: &str) -> Option<Mode> {
        self.cache.policy(domain).await.map(|policy| policy.mode)
    }

    fn pass(&self, time: Duration) {
        let now = self.clock.now();
        assert!(self.clock.set(now.plus(time)));
    }

    /// Lets fetches that nobody waits for end.
    async fn settle(&self) {
        for _ in 0..50 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

#[tokio::test]
async fn a_policy_is_fetched_once_and_again_when_its_id_changes() {
    let world = World::new(testing::store());
    world.announce("a.test", "1");
    world.hosts.say("a.test", "enforce", "mx.a.test");
    assert_eq!(world.mode("a.test").await, Some(Mode::Enforce));
    assert_eq!(world.mode("a.test").await, Some(Mode::Enforce));
    assert_eq!(world.mode("b.test").await, None);
    assert_eq!(world.hosts.asked(), 1);
    world.hosts.say("a.test", "none", "mx.a.test");
    world.announce("a.test", "2");
    assert_eq!(world.mode("a.test").await, Some(Mode::None));
    assert_eq!(world.hosts.asked(), 2);
}

#[tokio::test]
async fn a_policy_survives_a_restart_and_outages_until_it_is_too_old() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(testing::open(dir.path()));
    world.announce("a.test", "1");
    world.hosts.say("a.test", "enforce", "mx.a.test");
    assert_eq!(world.mode("a.test").await, Some(Mode::Enforce));
    drop(world);

    let world = World::new(testing::open(dir.path()));
    // No TXT record any more, then no DNS, then a new id and no policy host.
    assert_eq!(world.mode("a.test").await, Some(Mode::Enforce));
    world.resolver.fail("_mta-sts.a.test", "SERVFAIL");
    assert_eq!(world.mode("a.test").await, Some(Mode::Enforce));
    world.announce("a.test", "2");
    assert_eq!(world.mode("a.test").await, Some(Mode::Enforce));
    assert_eq!(world.hosts.asked(), 1);
    world.pass(7 * DAY - Duration::from_secs(60));
    assert_eq!(world.mode("a.test").await, Some(Mode::Enforce));
    world.pass(Duration::from_secs(120));
    assert_eq!(world.mode("a.test").await, None);
}

#[tokio::test]
async fn a_failed_fetch_is_reported_and_repeated_after_five_minutes() {
    let world = World::new(testing::store());
    for (domain, error) in [
        ("a.test", FetchError::Unreachable("no route".to_owned())),
        ("b.test", FetchError::Certificate("expired".to_owned())),
    ] {
        world.announce(domain, "1");
        world.hosts.answer(domain, Err(error));
        assert_eq!(world.mode(domain).await, None);
    }
    world.announce("c.test", "1");
    world.hosts.answer("c.test", Ok(b"<html>".to_vec()));
    assert_eq!(world.mode("c.test").await, None);
    let of = |domain: &str, result| (domain.to_owned(), result);
    assert_eq!(
        world.heard.results(),
        [
            of("a.test", "sts-policy-fetch-error"),
            of("b.test", "sts-webpki-invalid"),
            of("c.test", "sts-policy-invalid"),
        ]
    );
    let kinds: Vec<_> = world
        .heard
        .0
        .lock()
        .unwrap()
        .iter()
        .map(|r| r.policy.kind)
        .collect();
    assert_eq!(kinds, [PolicyKind::Sts; 3]);

    world.pass(Duration::from_secs(299));
    assert_eq!(world.mode("a.test").await, None);
    assert_eq!(world.hosts.asked(), 3);
    world.hosts.say("a.test", "testing", "mx.a.test");
    world.pass(Duration::from_secs(2));
    // Mail does not wait for the second fetch; later mail has its outcome.
    assert_eq!(world.mode("a.test").await, None);
    world.settle().await;
    assert_eq!(world.mode("a.test").await, Some(Mode::Testing));
    assert_eq!(world.hosts.asked(), 4);
}

#[tokio::test]
async fn one_fetch_serves_everybody_who_waits_and_nobody_else_waits() {
    let world = Arc::new(World::new(testing::store()));
    let closed = world.hosts.gate.acquire_many(1000).await.unwrap();
    world.announce("slow.test", "1");
    world.hosts.say("slow.test", "enforce", "mx.slow.test");
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let world = world.clone();
            tokio::spawn(async move { world.mode("slow.test").await })
        })
        .collect();
    world.settle().await;
    assert_eq!(world.mode("other.test").await, None);
    assert!(waiting.iter().all(|task| !task.is_finished()));
    drop(closed);
    for task in waiting {
        assert_eq!(task.await.unwrap(), Some(Mode::Enforce));
    }
    assert_eq!(world.hosts.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_policy_host_has_one_minute() {
    let world = World::new(testing::store());
    let _closed = world.hosts.gate.acquire_many(1000).await.unwrap();
    world.announce("slow.test", "1");
    world.hosts.say("slow.test", "enforce", "mx.slow.test");
    let began = tokio::time::Instant::now();
    assert_eq!(world.mode("slow.test").await, None);
    assert_eq!(began.elapsed().as_secs(), 60);
    assert_eq!(
        world.heard.results(),
        [("slow.test".to_owned(), "sts-policy-fetch-error")]
    );
}

#[tokio::test]
async fn a_policy_in_use_is_fetched_again_once_a_day() {
    once_a_day(testing::store()).await;
}

#[test]
fn postgresql_keeps_policies_too() {
    testing::on_postgresql(once_a_day);
}

async fn once_a_day(store: Store) {
    let world = World::new(store);
    for domain in ["used.test", "unused.test"] {
        world.announce(domain, "1");
        let text = format!("version: STSv1\nmode: enforce\nmx: mx.{domain}\nmax_age: 31557600\n");
        world.hosts.answer(domain, Ok(text.into_bytes()));
        assert_eq!(world.mode(domain).await, Some(Mode::Enforce));
    }
    world.pass(DAY - Duration::from_secs(1));
    world.cache.refresh().await.unwrap();
    assert_eq!(world.hosts.asked(), 2);
    world.pass(Duration::from_secs(2));
    world.hosts.say("used.test", "testing", "mx.used.test");
    world.cache.refresh().await.unwrap();
    assert_eq!(world.hosts.asked(), 4);
    assert_eq!(world.mode("used.test").await, Some(Mode::Testing));
    // The policy host is away: what is kept holds, and it is asked once an hour.
    world.pass(DAY + Duration::from_secs(1));
    world
        .hosts
        .answer("used.test", Err(FetchError::Unreachable("away".to_owned())));
    world.cache.refresh().await.unwrap();
    world.cache.refresh().await.unwrap();
    assert_eq!(world.hosts.asked(), 6);
    assert_eq!(world.mode("used.test").await, Some(Mode::Testing));
    // Nobody wrote to the other one for two weeks.
    world.pass(14 * DAY);
    world.settle().await;
    world.cache.refresh().await.unwrap();
    assert_eq!(
        world.hosts.asked(),
        6,
        "one is unused, the other one ran out"
    );
    assert_eq!(world.mode("used.test").await, None);
}
