//! Mail that waits: for its time, for its destination, for the operator; and called back.

use crate::support::{ANNA, Script, Setup};
use platform::clock::{Clock, Timestamp};
use platform::dns::StaticResolver;
use platform::files::RealFiles;
use platform::random::Random;
use platform::segments::{SegmentOptions, Segments};
use platform::store::{Component, Engine, Options, Store, StoreError};
use queue::list::Filter;
use queue::manage::{CancelError, Order};
use queue::relay::{Notices, Outcome};
use queue::{Dispatch, Hold, Origin, Queue, TraceId};
use signing::{InstallationSecret, Signing, SigningParts};
use std::sync::Arc;
use std::time::Duration;

fn relayed() -> Outcome {
    Outcome::Relayed {
        detail: "host=mx.else.test 250 ok".into(),
        notices: Notices::NextServer,
    }
}

async fn setup() -> Setup {
    Setup::new(Script::always(relayed())).await
}

fn later(setup: &Setup, seconds: u64) -> Dispatch {
    Dispatch {
        release_at: Some(setup.now().plus(Duration::from_secs(seconds))),
        ..Dispatch::default()
    }
}

fn message(id: TraceId) -> Filter {
    Filter {
        message: Some(id.0),
        ..Filter::default()
    }
}

async fn order(setup: &Setup, filter: &Filter, order: Order) -> u64 {
    let done = (setup.queue())
        .order(filter, &order, None, setup.now())
        .await;
    done.unwrap().changed
}

/// Long enough for several polls of the worker.
async fn a_while() {
    tokio::time::sleep(Duration::from_millis(150)).await;
}

#[tokio::test]
async fn held_back_mail_leaves_at_its_time_for_here_and_elsewhere() {
    let setup = setup().await;
    let to = ["x@else.test", "bernd@firma.test"];
    setup.dispatch(&to, later(&setup, 30)).await;
    setup.advance(Duration::from_secs(28));
    a_while().await;
    assert_eq!(setup.attempts(), 0);
    assert!(setup.inbox("bernd").await.is_empty());
    setup.advance(Duration::from_secs(2));
    setup.until_queue_has(0).await;
    assert_eq!(setup.attempts(), 1);
    assert_eq!(setup.inbox("bernd").await.len(), 1);
}

#[tokio::test]
async fn held_back_mail_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let setup = Setup::open(dir.path(), Script::always(relayed())).await;
    let dispatch = later(&setup, 3600);
    setup
        .dispatch(&["x@else.test", "bernd@firma.test"], dispatch)
        .await;
    setup.close().await;
    let setup = Setup::open(dir.path(), Script::always(relayed())).await;
    a_while().await;
    assert_eq!(setup.attempts(), 0);
    setup.advance(Duration::from_secs(3600));
    setup.until_queue_has(0).await;
    assert_eq!((setup.attempts(), setup.inbox("bernd").await.len()), (1, 1));
}

#[tokio::test]
async fn what_was_called_back_never_arrives() {
    let setup = setup().await;
    let to = ["x@else.test", "bernd@firma.test"];
    let id = setup.dispatch(&to, later(&setup, 30)).await;
    let cancelled = setup.queue().cancel(id, setup.now()).await.unwrap();
    assert_eq!(cancelled.sender, ANNA);
    assert_eq!(cancelled.recipients, to);
    setup.advance(Duration::from_secs(60));
    a_while().await;
    assert_eq!(setup.attempts(), 0);
    assert!(setup.inbox("bernd").await.is_empty());
    assert_eq!(setup.story(id).await, ["accepted", "cancelled"]);
    let again = setup.queue().cancel(id, setup.now()).await;
    assert!(matches!(again, Err(CancelError::NotWaiting)), "{again:?}");
}

#[tokio::test]
async fn what_is_under_way_or_was_tried_is_not_called_back() {
    let script = Script::always(relayed()).pausing(Duration::from_millis(300));
    let setup = Setup::new(script.dead_for("dead.test")).await;
    let busy = setup.dispatch(&["x@else.test"], Dispatch::default()).await;
    let tried = setup.dispatch(&["x@dead.test"], Dispatch::default()).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let refused = setup.queue().cancel(busy, setup.now()).await;
    assert!(matches!(refused, Err(CancelError::UnderWay)), "{refused:?}");
    setup.until_queue_has(1).await;
    setup.until_attempts(2).await;
    a_while().await;
    let refused = setup.queue().cancel(tried, setup.now()).await;
    assert!(
        matches!(refused, Err(CancelError::Attempted)),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_message_with_a_copy_delivered_is_not_called_back() {
    let setup = Setup::new(Script::always(relayed()).hanging_for("else.test")).await;
    let (to, held) = (["bernd@firma.test", "x@other.test"], Hold::None);
    let dispatch = Dispatch {
        hold: held,
        ..Dispatch::default()
    };
    let id = setup.dispatch(&to, dispatch).await;
    let refused = setup.queue().cancel(id, setup.now()).await;
    assert!(refused.is_err(), "{refused:?}");
}

#[tokio::test]
async fn a_dead_destination_is_probed_and_the_rest_waits_untouched() {
    let script = Script::always(relayed()).dead_for("dead.test");
    let setup = Setup::new(script).await;
    for _ in 0..300 {
        setup.dispatch(&["x@dead.test"], Dispatch::default()).await;
    }
    setup.dispatch(&["x@live.test"], Dispatch::default()).await;
    setup.until_queue_has(300).await;
    let tries = setup.attempts() - 1;
    assert!(tries <= 10, "{tries} attempts at a dead destination");
    setup.advance(Duration::from_secs(40));
    setup.until_attempts(tries + 2).await;
    a_while().await;
    assert_eq!(setup.attempts(), tries + 2, "one probe");
    setup.script().revive();
    setup.advance(Duration::from_secs(900));
    setup.until_queue_has(0).await;
}

#[tokio::test]
async fn a_restart_remembers_what_is_down() {
    let dir = tempfile::tempdir().unwrap();
    let script = Script::always(relayed()).dead_for("dead.test");
    let setup = Setup::open(dir.path(), script.clone()).await;
    setup.dispatch(&["x@dead.test"], Dispatch::default()).await;
    setup.until_attempts(1).await;
    a_while().await;
    setup.dispatch(&["y@dead.test"], Dispatch::default()).await;
    setup.close().await;
    let attempts = script.clone();
    let clock = Clock::settable(Timestamp(1_800_000_005_000));
    let setup = Setup::open_at(dir.path(), script, clock, async |_, queue| queue).await;
    a_while().await;
    assert_eq!(setup.attempts(), 1);
    attempts.revive();
    setup.advance(Duration::from_secs(400));
    setup.until_queue_has(0).await;
    let down = setup.store().read(queue::list::down).await;
    assert!(down.map_err(|e: StoreError| e).unwrap().is_empty());
}

#[tokio::test]
async fn senders_hear_of_late_mail_although_its_destination_is_not_tried() {
    let setup = Setup::new(Script::always(relayed()).dead_for("dead.test")).await;
    for n in 0..20 {
        let to = format!("n{n}@dead.test");
        setup.dispatch(&[&to], Dispatch::default()).await;
    }
    setup.until_attempts(1).await;
    a_while().await;
    let tries = setup.attempts();
    setup.advance(Duration::from_secs(4 * 3600 + 60));
    setup.until_inbox("anna", 20).await;
    let more = setup.attempts() - tries;
    assert!(more <= 8, "{more} attempts to tell 20 senders");
    a_while().await;
    assert_eq!(setup.inbox("anna").await.len(), 20, "each once");
}

#[tokio::test]
async fn what_is_held_waits_for_its_release() {
    let setup = setup().await;
    let dispatch = Dispatch {
        hold: Hold::Held,
        ..Dispatch::default()
    };
    let id = setup.dispatch(&["x@else.test"], dispatch).await;
    let later = setup.dispatch(&["x@else.test"], later(&setup, 30)).await;
    assert_eq!(order(&setup, &message(later), Order::Hold).await, 1);
    setup.advance(Duration::from_secs(7 * 24 * 3600));
    a_while().await;
    assert_eq!(setup.attempts(), 0);
    assert_eq!(setup.rows().await[0].held.as_deref(), Some("rule"));
    assert_eq!(order(&setup, &message(id), Order::Retry).await, 0);
    assert_eq!(order(&setup, &Filter::default(), Order::Release).await, 2);
    setup.until_queue_has(0).await;
    assert_eq!(setup.attempts(), 2);
    assert_eq!(setup.story(id).await, ["accepted", "ordered", "relayed"]);
}

#[tokio::test]
async fn orders_reach_what_they_mean_only() {
    let script = Script::always(relayed()).dead_for("dead.test");
    let setup = Setup::new(script).await;
    let group = Dispatch {
        group: Some("private".into()),
        ..Dispatch::default()
    };
    setup.dispatch(&["x@dead.test"], group).await;
    setup
        .dispatch(&["y@dead.test", "z@dead.test"], Dispatch::default())
        .await;
    setup.until_attempts(1).await;
    a_while().await;
    let of_group = Filter {
        group: Some("private".into()),
        ..Filter::default()
    };
    let route = Some("relay.test:2525".to_owned());
    setup.script().revive();
    assert_eq!(
        order(&setup, &of_group, Order::Reroute(route.clone())).await,
        1
    );
    setup.until_queue_has(2).await;
    assert_eq!(setup.seen().last().unwrap().route, route);
    let from = |text: &str| Filter {
        from: Some(text.into()),
        to_domain: Some("dead.test".into()),
        ..Filter::default()
    };
    assert_eq!(order(&setup, &from("@irma.test"), Order::Retry).await, 0);
    assert_eq!(order(&setup, &from("@firma.test"), Order::Retry).await, 2);
    setup.until_queue_has(0).await;
}

#[tokio::test]
async fn what_the_operator_returns_comes_back_to_its_sender() {
    let setup = Setup::new(Script::always(relayed()).dead_for("dead.test")).await;
    let id = setup.dispatch(&["x@dead.test"], Dispatch::default()).await;
    setup.until_attempts(1).await;
    a_while().await;
    let tries = setup.attempts();
    assert_eq!(order(&setup, &message(id), Order::Return).await, 1);
    setup.until_queue_has(0).await;
    setup.until_inbox("anna", 1).await;
    assert_eq!(setup.attempts(), tries, "nothing is sent for it");
    assert!(setup.inbox("anna").await[0].contains("5.3.2"));
}

#[tokio::test]
async fn groups_share_a_full_queue() {
    let script = Script::always(relayed()).pausing(Duration::from_millis(5));
    let setup = Setup::new(script).await;
    let of = |group: &str| Dispatch {
        group: Some(group.into()),
        ..Dispatch::default()
    };
    for _ in 0..150 {
        setup.dispatch(&["x@else.test"], of("newsletter")).await;
    }
    let ours = setup.dispatch(&["x@else.test"], of("business")).await;
    setup.until_queue_has(0).await;
    let order = setup.seen();
    let place = order.iter().position(|seen| seen.trace == ours).unwrap();
    // What was under way when it came, and a turn.
    assert!(place < 150, "place {place} of {}", order.len());
}

/// A message that arrived under the first release's tables.
#[tokio::test]
async fn rows_of_the_first_release_are_delivered() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::settable(Timestamp(1_800_000_000_000));
    let options = SegmentOptions::new(clock, Random::seeded(7));
    let (segments, _) =
        Segments::open(&dir.path().join("segments"), options, Arc::new(RealFiles)).unwrap();
    let first = Component {
        name: queue::SCHEMA.name,
        migrations: &queue::SCHEMA.migrations[..1],
    };
    let options = Options {
        engine: Engine::Sqlite {
            path: dir.path().join("t.sqlite"),
        },
        readers: 1,
        gather_max: Duration::ZERO,
        before_commit: Some(segments.before_commit()),
    };
    let schema = [directory::SCHEMA, mailbox::SCHEMA, signing::SCHEMA, first];
    let store = Store::open(options, &schema).unwrap();
    let text = b"Subject: old\r\n\r\nx\r\n";
    let mut spool = platform::spool::Spool::new(platform::spool::SpoolLimits {
        memory_bytes: 1 << 20,
        dir: Arc::from(dir.path()),
    });
    spool.push(text).unwrap();
    let facts = formats::message::Facts::scan(text).to_bytes();
    let body = segments.append(&facts, &spool).unwrap();
    let written: Result<(), StoreError> = store
        .write(move |tx| {
            tx.execute(
                "INSERT INTO queue_messages (message, accepted_at, sender, submitter, envelope_id, \
                 ret, segment, segment_offset, facts_bytes, body_bytes) \
                 VALUES (4711, 1799999999000, 'anna@firma.test', NULL, NULL, 0, ?1, ?2, ?3, ?4)",
                platform::params![body.segment, body.offset, body.facts_bytes, body.body_bytes],
            )?;
            tx.execute(
                "INSERT INTO queue_recipients (message, n, domain, address, notify, original, \
                 attempts, next_attempt_at, delay_notified, last_reply) \
                 VALUES (4711, 0, 'else.test', 'x@else.test', 6, NULL, 1, 1799999999000, 0, 'busy')",
                &[],
            )?;
            Ok(())
        })
        .await;
    written.unwrap();
    drop((store, segments));
    let setup = Setup::open(dir.path(), Script::always(relayed())).await;
    setup.until_queue_has(0).await;
    assert_eq!(setup.sent(), ["Subject: old\r\n\r\nx\r\n"]);
    let refused = setup.queue().cancel(TraceId(4711), setup.now()).await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn a_forward_leaves_with_a_rewritten_sender_and_its_bounce_goes_to_the_real_one() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::settable(Timestamp(1_800_000_000_000));
    let parts_clock = clock.clone();
    let with_signing = async move |store: &Store, queue: Queue| {
        let signing = Signing::open(SigningParts {
            store: store.clone(),
            secret: InstallationSecret::generate(&Random::seeded(7)),
            clock: parts_clock,
            random: Random::seeded(3),
            resolver: Arc::new(StaticResolver::default()),
            host: "mx.rp.test".into(),
        });
        queue.with_signing(signing.await.unwrap())
    };
    let script = Script::always(Outcome::Failed {
        reply: "host=mx.else.test 550 5.1.1 no such user".into(),
        cause: queue::relay::Cause::Other,
    });
    let setup = Setup::open_at(dir.path(), script, clock, with_signing).await;
    let foreign = Dispatch {
        origin: Origin::Foreign {
            client: "192.0.2.1".parse().unwrap(),
            hello: "mx.other.test".into(),
            forwarded_by: Some("firma.test".into()),
        },
        ..Dispatch::default()
    };
    setup.dispatch(&["x@else.test"], foreign).await;
    setup.until_inbox("anna", 1).await;
    let seen = &setup.seen()[0];
    assert!(seen.mail_from.starts_with("SRS0"), "{seen:?}");
    assert!(seen.mail_from.ends_with("@firma.test"), "{seen:?}");
}

/// Every session's future has room for that of its acceptance, also while it is idle.
#[tokio::test]
async fn taking_over_costs_idle_sessions_little() {
    let setup = setup().await;
    let accept = setup.bare(&["x@else.test"]).await;
    let taking = setup.queue().accept(accept);
    assert!(std::mem::size_of_val(&taking) < 2048);
    taking.await.unwrap();
}

#[tokio::test]
async fn what_is_under_way_is_not_sent_another_way_as_well() {
    let script = Script::always(relayed()).pausing(Duration::from_millis(200));
    let setup = Setup::new(script).await;
    setup.dispatch(&["x@else.test"], Dispatch::default()).await;
    a_little().await;
    let to = Order::Reroute(Some("127.0.0.1:2525".into()));
    let done = (setup.queue())
        .order(&Filter::default(), &to, None, setup.now())
        .await
        .unwrap();
    setup.until_queue_has(0).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(setup.attempts(), 1, "{:?}", setup.seen());
    assert_eq!((done.changed, done.under_way), (0, 1));
}

#[tokio::test]
async fn a_retry_by_the_operator_sends_nothing_twice() {
    let script = Script::always(relayed()).pausing(Duration::from_millis(50));
    let setup = Setup::new(script.dead_for("dead.test")).await;
    for _ in 0..9 {
        setup.dispatch(&["x@dead.test"], Dispatch::default()).await;
    }
    setup.until_attempts(1).await;
    a_while().await;
    setup.advance(Duration::from_secs(3));
    setup.script().revive();
    let before = setup.attempts();
    order(&setup, &Filter::default(), Order::Retry).await;
    setup.until_queue_has(0).await;
    a_while().await;
    assert_eq!(setup.attempts(), before + 9, "{:?}", setup.seen());
}

#[tokio::test]
async fn what_is_returned_while_it_is_under_way_goes_back_after_the_attempt() {
    let script = Script::always(relayed()).pausing(Duration::from_millis(200));
    let setup = Setup::new(script.dead_for("dead.test")).await;
    setup.dispatch(&["x@dead.test"], Dispatch::default()).await;
    a_little().await;
    assert_eq!(order(&setup, &Filter::default(), Order::Return).await, 1);
    setup.until_queue_has(0).await;
    setup.until_inbox("anna", 1).await;
    assert_eq!(setup.attempts(), 1);
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_hide_what_falls_due() {
    let setup = setup().await;
    let start = setup.now();
    setup.advance(Duration::from_secs(24 * 3600));
    a_while().await;
    assert!(setup.set_clock(start));
    setup.dispatch(&["x@else.test"], later(&setup, 30)).await;
    setup.advance(Duration::from_secs(31));
    setup.until_queue_has(0).await;
}

/// Long enough for an attempt to begin.
async fn a_little() {
    tokio::time::sleep(Duration::from_millis(80)).await;
}

#[tokio::test]
async fn senders_hear_of_mail_for_a_destination_that_is_always_busy() {
    let setup = Setup::new(Script::always(relayed()).busy_for("busy.test")).await;
    for n in 0..40 {
        let to = format!("n{n}@busy.test");
        setup.dispatch(&[&to], Dispatch::default()).await;
    }
    setup.until_attempts(1).await;
    a_while().await;
    let tries = setup.attempts();
    setup.advance(Duration::from_secs(4 * 3600 + 60));
    setup.until_inbox("anna", 40).await;
    let more = setup.attempts() - tries;
    assert!(more <= 10, "{more} attempts to tell 40 senders");
}

#[tokio::test]
async fn a_notice_says_whose_rules_hold_for_it() {
    let failed = Outcome::Failed {
        reply: "550 5.1.1 no such user".into(),
        cause: Default::default(),
    };
    let script = Script::of([failed, relayed()]);
    let setup = Setup::new(script).await;
    setup
        .accept(
            "anna@elsewhere.test",
            &["x@else.test"],
            "Subject: x\r\n\r\nx\r\n",
        )
        .await;
    setup.until_attempts(2).await;
    let seen = setup.seen();
    assert_eq!(seen[1].domain, "elsewhere.test");
    assert_eq!(seen[1].rules_of.as_deref(), Some("elsewhere.test"));
}
