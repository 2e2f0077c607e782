//! S3-54: a newsletter is held for ten minutes, or until 22:00; a sender asks for later delivery
//! (RFC 4865), or has time to take a message back.

use harness::dns::Signing;
use harness::sink::Behaviour;
use harness::{Lab, Letter};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// What the queue says about the only recipient that waits.
fn why(lab: &Lab) -> String {
    let row = lab.wait_queue(&["\"why\""]);
    let row: serde_json::Value = serde_json::from_str(&row).expect("JSON");
    row["why"].as_str().unwrap_or_default().to_owned()
}

/// Nothing arrives in several rounds of the server's look at its queue.
#[allow(
    clippy::disallowed_methods,
    reason = "tests wait on the machine's clock"
)]
fn settle() {
    std::thread::sleep(Duration::from_millis(1500));
}

#[test]
fn a_newsletter_is_held_for_ten_minutes() {
    let lab = Lab::start();
    let sink = lab.domain("away.test", Signing::Unsigned, Behaviour::default());
    lab.cli(&["group", "set", "privat.test", "newsletter"]);
    lab.policy("newsletter", "delay", "10m");
    lab.send("anna", "box@away.test", "at once");
    assert!(sink.wait_mails(1)[0].text().contains("at once"));
    lab.send("carla", "box@away.test", "news");
    assert_eq!(why(&lab), "kept-back");
    lab.forward(9 * MINUTE);
    settle();
    assert_eq!(sink.mails().len(), 1);
    lab.forward(MINUTE + Duration::from_secs(1));
    assert!(sink.wait_mails(2)[1].text().contains("news"));
}

#[test]
fn a_newsletter_is_held_until_ten_in_the_evening() {
    let lab = Lab::start();
    let sink = lab.domain("away.test", Signing::Unsigned, Behaviour::default());
    lab.cli(&["group", "set", "privat.test", "newsletter"]);
    lab.policy("installation", "time-zone", "Europe/Berlin");
    lab.policy("newsletter", "delay", "22:00-06:00");
    // It is nine in the morning in Berlin.
    lab.send("carla", "box@away.test", "news");
    lab.forward(Duration::from_secs(12 * 3600 + 59 * 60));
    settle();
    assert!(sink.mails().is_empty());
    lab.forward(MINUTE + Duration::from_secs(1));
    sink.wait_mails(1);
    lab.send("carla", "box@away.test", "late news");
    sink.wait_mails(2);
}

#[test]
fn later_delivery_is_as_the_sender_asked() {
    let lab = Lab::start();
    let sink = lab.domain("away.test", Signing::Unsigned, Behaviour::default());
    let letter = Letter::new("anna", "box@away.test", "later").parameters("HOLDFOR=3600");
    let reply = lab.submit(&letter.and("bernd@firma.test"));
    assert!(reply.starts_with("250"), "{reply}");
    lab.forward(Duration::from_secs(3590));
    settle();
    assert!(sink.mails().is_empty());
    assert!(lab.inbox("bernd").is_empty());
    lab.forward(Duration::from_secs(12));
    sink.wait_mails(1);
    lab.wait_inbox("bernd", &["later"]);
}

#[test]
fn what_is_taken_back_in_time_never_arrives() {
    let lab = Lab::start();
    let sink = lab.domain("away.test", Signing::Unsigned, Behaviour::default());
    lab.policy("anna@firma.test", "hold-back", "30");
    let send = |subject: &str| {
        let letter = Letter::new("anna", "box@away.test", subject).and("bernd@firma.test");
        let reply = lab.submit(&letter);
        let id = reply.trim_end().rsplit(' ').next().unwrap_or_default();
        assert!(reply.starts_with("250"), "{reply}");
        id.to_owned()
    };
    let mistake = send("mistake");
    send("meant");
    lab.forward(Duration::from_secs(24));
    settle();
    assert!(sink.mails().is_empty());
    let told = lab.cli(&["queue", "cancel", &mistake]);
    assert!(told.contains("nothing of it was sent"), "{told}");
    lab.forward(Duration::from_secs(6));
    assert!(sink.wait_mails(1)[0].text().contains("meant"));
    lab.wait_inbox("bernd", &["meant"]);
    lab.forward(10 * MINUTE);
    settle();
    assert_eq!(sink.mails().len(), 1);
    assert_eq!(lab.inbox("bernd").len(), 1);
    let (ok, _, errors) = lab.server.cli(&["queue", "cancel", &mistake]);
    assert!(!ok && errors.contains("does not wait"), "{errors}");
}
