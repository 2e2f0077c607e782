//! Accepting, relaying and reporting over real stores: what is acknowledged is there once, what
//! fails comes back to the sender, and nobody gets a notice about a notice.

use crate::support::{ANNA, Script, Setup, address};
use platform::clock::Timestamp;
use queue::relay::{Cause, Outcome};
use queue::{Notify, Return, ReversePath};
use std::time::Duration;

#[tokio::test]
async fn a_message_for_two_local_recipients_is_stored_once() {
    let setup = Setup::new(Script::default()).await;
    let body = "Subject: x\r\n\r\nhello\r\n";
    setup
        .accept(
            "sender@other.test",
            &["anna@firma.test", "bernd@firma.test"],
            body,
        )
        .await;
    let (anna, bernd) = (setup.inbox("anna").await, setup.inbox("bernd").await);
    assert_eq!(anna.len(), 1);
    assert!(
        anna[0].starts_with("Delivered-To: anna@firma.test\r\n"),
        "{anna:?}"
    );
    assert!(bernd[0].ends_with(body), "{bernd:?}");
    assert_eq!(setup.stored_bodies(), 1);
}

#[tokio::test]
async fn two_addresses_of_one_account_get_one_copy() {
    let setup = Setup::new(Script::default()).await;
    setup
        .accept(
            "s@other.test",
            &["anna@firma.test", "info@firma.test"],
            "\r\nx\r\n",
        )
        .await;
    assert_eq!(setup.inbox("anna").await.len(), 1);
}

#[tokio::test]
async fn a_relayed_message_leaves_the_queue() {
    let script = Script::of([Outcome::Relayed {
        detail: "host=mx.else.test 250 ok".into(),
        notices: queue::relay::Notices::NextServer,
    }]);
    let setup = Setup::new(script).await;
    let trace = setup
        .accept(ANNA, &["x@else.test"], "Subject: out\r\n\r\nx\r\n")
        .await;
    setup.until_queue_has(0).await;
    assert_eq!(setup.attempts(), 1);
    let story = setup.story(trace).await;
    assert_eq!(story, ["accepted", "relayed"]);
    assert!(setup.inbox("anna").await.is_empty());
}

#[tokio::test]
async fn a_permanent_failure_comes_back_to_the_sender_once() {
    let script = Script::of([Outcome::Failed {
        reply: "host=mx.else.test 550 5.1.1 no such user".into(),
        cause: Cause::Other,
    }]);
    let setup = Setup::new(script).await;
    let trace = setup
        .accept(ANNA, &["x@else.test"], "Subject: secret plan\r\n\r\nx\r\n")
        .await;
    setup.until_queue_has(0).await;
    let inbox = setup.inbox("anna").await;
    assert_eq!(inbox.len(), 1);
    for part in [
        "Return-Path: <>",
        "550 5.1.1 no such user",
        "Status: 5.1.1",
        "secret plan",
        "x@else.test",
    ] {
        assert!(inbox[0].contains(part), "no «{part}» in\n{}", inbox[0]);
    }
    assert_eq!(setup.story(trace).await, ["accepted", "failed", "bounced"]);
}

#[tokio::test]
async fn a_temporary_failure_is_tried_again_and_given_up_at_the_end() {
    let deferred = Outcome::Deferred {
        reply: "host=mx.else.test 451 4.3.0 busy".into(),
        cause: Cause::Other,
    };
    let setup = Setup::new(Script::always(deferred)).await;
    setup
        .accept(ANNA, &["x@else.test"], "Subject: late\r\n\r\nx\r\n")
        .await;
    setup.until_attempts(1).await;
    setup.advance(Duration::from_secs(4 * 3600 + 60));
    setup.until_attempts(2).await;
    setup.until_inbox("anna", 1).await;
    let warning = &setup.inbox("anna").await[0];
    assert!(
        warning.contains("Action: delayed") && warning.contains("Will-Retry-Until"),
        "{warning}"
    );
    setup.advance(Duration::from_secs(5 * 24 * 3600));
    setup.until_queue_has(0).await;
    let inbox = setup.inbox("anna").await;
    assert_eq!(inbox.len(), 2);
    assert!(
        inbox[1].contains("Action: failed") && inbox[1].contains("5.4.7"),
        "{}",
        inbox[1]
    );
}

#[tokio::test]
async fn nobody_is_told_about_a_failed_notice() {
    let script = Script::always(Outcome::Failed {
        reply: "550 5.1.1 no".into(),
        cause: Cause::Other,
    });
    let setup = Setup::new(script).await;
    setup
        .accept_from(ReversePath::Null, &["x@else.test"], "\r\nx\r\n")
        .await;
    setup.until_queue_has(0).await;
    assert!(setup.inbox("anna").await.is_empty());
}

#[tokio::test]
async fn notify_never_is_honoured() {
    let setup = Setup::new(Script::always(Outcome::Failed {
        reply: "550 no".into(),
        cause: Cause::Other,
    }))
    .await;
    setup
        .accept_with(ANNA, &["x@else.test"], Notify::NEVER, Return::Unspecified)
        .await;
    setup.until_queue_has(0).await;
    assert!(setup.inbox("anna").await.is_empty());
}

#[tokio::test]
async fn a_success_that_was_asked_for_is_reported() {
    let setup = Setup::new(Script::default()).await;
    let notify = Notify {
        success: true,
        failure: true,
        delay: false,
    };
    setup
        .accept_with(ANNA, &["bernd@firma.test"], notify, Return::Headers)
        .await;
    setup.until_inbox("anna", 1).await;
    let notice = &setup.inbox("anna").await[0];
    assert!(
        notice.contains("Action: delivered") && notice.contains("bernd@firma.test"),
        "{notice}"
    );
    setup.until_queue_has(0).await;
    assert_eq!(setup.inbox("bernd").await.len(), 1);
}

#[tokio::test]
async fn what_waits_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let deferred = Outcome::Deferred {
        reply: "451 4.3.0 busy".into(),
        cause: Cause::Other,
    };
    let setup = Setup::open(dir.path(), Script::always(deferred)).await;
    setup
        .accept(ANNA, &["x@else.test"], "Subject: late\r\n\r\nx\r\n")
        .await;
    setup.until_attempts(1).await;
    setup.close().await;
    let relayed = Outcome::Relayed {
        detail: "host=mx.else.test 250 ok".into(),
        notices: queue::relay::Notices::NextServer,
    };
    let setup = Setup::open(dir.path(), Script::of([relayed])).await;
    setup.advance(Duration::from_secs(3600));
    setup.until_queue_has(0).await;
    assert_eq!(setup.sent(), ["Subject: late\r\n\r\nx\r\n"]);
}

#[tokio::test]
async fn old_stories_are_forgotten() {
    let setup = Setup::new(Script::default()).await;
    let trace = setup
        .accept("s@other.test", &["anna@firma.test"], "\r\nx\r\n")
        .await;
    assert_eq!(setup.story(trace).await.len(), 1);
    let far = Timestamp(setup.now().0 + 1);
    let forgotten = setup
        .store()
        .write(move |tx| queue::trace::forget(tx, far, 100))
        .await;
    assert!(matches!(forgotten, Ok(1)), "{forgotten:?}");
    assert!(setup.story(trace).await.is_empty());
    assert_eq!(address("a@b.test").domain(), "b.test");
}

#[tokio::test]
async fn what_was_relayed_is_not_sent_again_because_it_could_not_be_written_down() {
    let script = Script::always(Outcome::Relayed {
        detail: "host=mx.else.test 250 ok".into(),
        notices: queue::relay::Notices::NextServer,
    });
    let setup = Setup::new(script.breaking_commits()).await;
    setup
        .accept(ANNA, &["x@else.test"], "Subject: out\r\n\r\nx\r\n")
        .await;
    setup.until_attempts(1).await;
    // Long enough for a record to be tried, to fail, and for the row to be found due again.
    tokio::time::sleep(Duration::from_millis(300)).await;
    setup.script().mend_commits();
    setup.until_queue_has(0).await;
    assert_eq!(setup.attempts(), 1);
}

#[tokio::test]
async fn a_message_whose_bytes_are_damaged_is_still_reported_to_its_sender() {
    let script = Script::always(Outcome::Deferred {
        reply: "4.3.0 reading the message failed".into(),
        cause: Cause::Other,
    });
    let setup = Setup::new(script).await;
    let body = "Subject: out\r\n\r\nx\r\n";
    let trace = setup.accept(ANNA, &["x@else.test"], body).await;
    while setup.story(trace).await != ["accepted", "deferred"] {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    setup.damage_bodies();
    setup.advance(Duration::from_secs(6 * 24 * 3600));
    setup.until_queue_has(0).await;
    setup.until_inbox("anna", 1).await;
}

#[tokio::test]
async fn a_domain_that_hangs_does_not_keep_others_waiting() {
    let script = Script::always(Outcome::Relayed {
        detail: "host=mx.else.test 250 ok".into(),
        notices: queue::relay::Notices::NextServer,
    });
    let setup = Setup::new(script.hanging_for("dead.test")).await;
    let dead: Vec<String> = (0..2100).map(|n| format!("n{n}@dead.test")).collect();
    let dead: Vec<&str> = dead.iter().map(String::as_str).collect();
    for half in dead.chunks(700) {
        setup.accept(ANNA, half, "Subject: out\r\n\r\nx\r\n").await;
    }
    setup
        .accept(ANNA, &["x@live.test"], "Subject: live\r\n\r\nx\r\n")
        .await;
    setup.until_attempts(1).await;
    assert!(setup.sent()[0].contains("live"));
}

#[tokio::test]
async fn a_stop_waits_for_attempts_under_way_but_not_for_ever() {
    let relayed = Outcome::Relayed {
        detail: "host=mx.else.test 250 ok".into(),
        notices: queue::relay::Notices::NextServer,
    };
    let script = Script::always(relayed)
        .pausing(Duration::from_millis(200))
        .hanging_for("dead.test");
    let setup = Setup::new(script).await;
    let body = "Subject: out\r\n\r\nx\r\n";
    setup.accept(ANNA, &["x@else.test"], body).await;
    setup.accept(ANNA, &["x@dead.test"], body).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(setup.stop().await, 1);
    setup.until_queue_has(1).await;
}
