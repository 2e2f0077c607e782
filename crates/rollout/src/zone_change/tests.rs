//! Changes of records through their dates, with a zone in memory. Tests only.

use super::service::{Held, Published, Seen};
use super::*;
use platform::dns::update::UpdateError;
use platform::store::{Engine, Options, Store, StoreError, Tx};
use std::sync::{Arc, Mutex};

const DAY: i64 = 24 * 3600 * 1000;
const AT: Timestamp = Timestamp(1_601_416_800_000);

struct Zone {
    hand: Hand,
    holds: Mutex<ZoneRecord>,
    fails: Mutex<Option<UpdateError>>,
    /// Called off while the zone is changed.
    interrupts: Mutex<Option<Store>>,
}

impl Publisher for Zone {
    fn hand(&self, _: &str) -> Hand {
        self.hand
    }

    fn replace<'a>(
        &'a self,
        _: &'a str,
        before: &'a ZoneRecord,
        after: &'a ZoneRecord,
    ) -> Published<'a> {
        Box::pin(async move {
            if let Some(error) = self.fails.lock().unwrap().clone() {
                return Err(error);
            }
            let store = self.interrupts.lock().unwrap().take();
            if let Some(store) = store {
                let sql = "UPDATE zone_changes SET state = 'cancelled'";
                let off = store.write(move |tx: &mut dyn Tx| tx.execute(sql, &[]));
                let off: Result<u64, StoreError> = off.await;
                off.unwrap();
            }
            let mut holds = self.holds.lock().unwrap();
            if holds.text != before.text {
                return Err(UpdateError::Changed);
            }
            *holds = after.clone();
            Ok(())
        })
    }

    fn held<'a>(&'a self, _: &'a str, _: RecordKind, _: &'a str) -> Held<'a> {
        Box::pin(async move { Ok(self.holds.lock().unwrap().clone()) })
    }

    fn look<'a>(&'a self, _: &'a str, _: RecordKind, _: &'a str) -> Seen<'a> {
        Box::pin(async move { Ok(self.holds.lock().unwrap().text.clone()) })
    }
}

struct Rig {
    changes: ZoneChanges,
    zone: Arc<Zone>,
    store: Store,
    _dir: tempfile::TempDir,
}

fn record(text: &str, ttl_seconds: u32) -> ZoneRecord {
    ZoneRecord::txt((!text.is_empty()).then(|| text.to_owned()), ttl_seconds)
}

async fn rig(hand: Hand) -> Rig {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        engine: Engine::Sqlite {
            path: dir.path().join("store.sqlite"),
        },
        readers: 1,
        gather_max: Duration::ZERO,
        before_commit: None,
    };
    let zone = Arc::new(Zone {
        hand,
        holds: Mutex::new(record("v=DMARC1; p=none", 3600)),
        fails: Mutex::new(None),
        interrupts: Mutex::new(None),
    });
    let store = Store::open(options, &[SCHEMA]).unwrap();
    let changes = ZoneChanges::new(store.clone(), zone.clone());
    let rig = Rig {
        changes,
        zone,
        store,
        _dir: dir,
    };
    rig.changes.plan(new("v=DMARC1; p=none")).await.unwrap();
    rig
}

fn new(before: &str) -> NewChange {
    NewChange {
        domain: "firma.test".into(),
        owner: "_dmarc.firma.test".into(),
        before: record(before, 3600),
        after: record("v=DMARC1; p=quarantine", 3600),
        at: AT,
        by: "test".into(),
        reason: "next stage".into(),
    }
}

impl Rig {
    async fn at(&self, millis: i64) -> (State, ZoneRecord, String) {
        self.changes.tick(Timestamp(AT.0 + millis)).await.unwrap();
        let change = self.changes.list("firma.test").await.unwrap().remove(0);
        let holds = self.zone.holds.lock().unwrap().clone();
        (change.state, holds, change.trouble)
    }
}

#[tokio::test]
async fn a_record_is_shortened_changed_on_the_minute_and_settled() {
    let rig = rig(Hand::Ours).await;
    let (old, new) = ("v=DMARC1; p=none", "v=DMARC1; p=quarantine");
    let done = |state, text, ttl| (state, record(text, ttl), String::new());
    assert_eq!(rig.at(-DAY).await, done(State::Planned, old, 3600));
    // A time to live and an hour before.
    assert_eq!(rig.at(-7_200_001).await, done(State::Planned, old, 3600));
    assert_eq!(
        rig.at(-7_200_000).await,
        done(State::Shortened, old, SHORT_TTL_SECONDS)
    );
    assert_eq!(
        rig.at(-1).await,
        done(State::Shortened, old, SHORT_TTL_SECONDS)
    );
    assert_eq!(
        rig.at(0).await,
        done(State::Published, new, SHORT_TTL_SECONDS)
    );
    assert_eq!(
        rig.at(2 * DAY - 1).await,
        done(State::Published, new, SHORT_TTL_SECONDS)
    );
    assert_eq!(rig.at(2 * DAY).await, done(State::Settled, new, 3600));
    let back = rig.changes.roll_back("firma.test", 1).await.unwrap();
    assert_eq!(back.state, State::RolledBack);
    assert_eq!(rig.at(3 * DAY).await, done(State::RolledBack, old, 3600));
    let twice = rig.changes.roll_back("firma.test", 1).await.unwrap_err();
    assert!(twice.to_string().contains("nothing to take back"));
}

#[tokio::test]
async fn what_is_called_off_while_it_is_done_is_undone() {
    let rig = rig(Hand::Ours).await;
    *rig.zone.interrupts.lock().unwrap() = Some(rig.store.clone());
    let (state, holds, _) = rig.at(0).await;
    assert_eq!(state, State::Cancelled);
    assert_eq!(holds.text.as_deref(), Some("v=DMARC1; p=none"));
}

#[tokio::test]
async fn what_was_done_before_a_crash_is_found_done() {
    let rig = rig(Hand::Ours).await;
    *rig.zone.holds.lock().unwrap() = record("v=DMARC1; p=quarantine", SHORT_TTL_SECONDS);
    assert_eq!(rig.at(0).await.0, State::Published);
}

#[tokio::test]
async fn a_strangers_change_is_left_alone() {
    let rig = rig(Hand::Ours).await;
    let other = record("v=DMARC1; p=reject", 60);
    *rig.zone.holds.lock().unwrap() = other.clone();
    let (state, holds, trouble) = rig.at(0).await;
    assert_eq!((state, holds), (State::Overtaken, other));
    assert!(trouble.contains("plan it again"), "{trouble}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_asked_again() {
    let rig = rig(Hand::Ours).await;
    let server = "192.0.2.1:53".parse().unwrap();
    let down = UpdateError::Unreachable {
        server,
        why: "no route".into(),
    };
    *rig.zone.fails.lock().unwrap() = Some(down);
    let (state, _, trouble) = rig.at(0).await;
    assert_eq!(state, State::Planned);
    assert!(trouble.contains("no route"), "{trouble}");
    *rig.zone.fails.lock().unwrap() = None;
    let (state, _, trouble) = rig.at(60_000).await;
    assert_eq!((state, trouble.as_str()), (State::Published, ""));
}

#[tokio::test]
async fn what_people_change_is_looked_for() {
    let rig = rig(Hand::People).await;
    let (state, holds, trouble) = rig.at(0).await;
    assert_eq!(state, State::Planned);
    assert_eq!(holds.ttl_seconds, 3600, "nobody touched it");
    assert!(trouble.contains("does not hold"), "{trouble}");
    *rig.zone.holds.lock().unwrap() = record("v=DMARC1; p=quarantine", 3600);
    assert_eq!(rig.at(60_000).await.0, State::Settled);
}

#[tokio::test]
async fn one_change_of_a_record_at_a_time() {
    let rig = rig(Hand::Ours).await;
    let second = rig.changes.plan(new("v=DMARC1; p=none")).await.unwrap_err();
    assert!(matches!(second, ZoneChangeError::UnderWay { id: 1, .. }));
    rig.at(-7_200_000).await;
    let called_off = rig.changes.roll_back("firma.test", 1).await.unwrap();
    assert_eq!(called_off.state, State::Cancelled);
    assert_eq!(rig.zone.holds.lock().unwrap().ttl_seconds, 3600);
    assert_eq!(rig.changes.plan(new("v=DMARC1; p=none")).await.unwrap(), 2);
    assert_eq!(rig.at(0).await.0, State::Published);
}

#[test]
fn a_diff_reads_like_a_zone_file() {
    let change = Change {
        id: 1,
        domain: "firma.test".into(),
        owner: "_dmarc.firma.test".into(),
        before: record("", 0),
        after: record(&format!("v=DMARC1; rua={}", "m".repeat(300)), 60),
        at: AT,
        state: State::Planned,
        trouble: String::new(),
        by: String::new(),
        reason: String::new(),
    };
    let text = diff(&change);
    assert!(text.starts_with("+ _dmarc.firma.test. 60 IN TXT \"v=DMARC1; rua=mmm"));
    assert_eq!(text.matches('"').count(), 4, "two strings: {text}");
}
