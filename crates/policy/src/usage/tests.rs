//! Counting across messages, hours, days and restarts.

use super::*;
use crate::setting::Name;
use crate::testing::*;
use std::time::Duration;

const HOUR: i64 = 3600 * 1000;

fn sender(fixture: &Fixture) -> Sender<'static> {
    Sender {
        account: Some(fixture.anna),
        domain: "firma.test",
        group: Some("business"),
    }
}

async fn begin(usage: &Usage, fixture: &Fixture, now: i64) -> Result<Sending, Exceeded> {
    let policies = fixture.policies().await;
    let snapshot = policies.snapshot();
    usage
        .begin(&snapshot, &sender(fixture), Timestamp(now))
        .await
        .unwrap()
}

#[tokio::test]
async fn messages_count_when_they_are_taken_and_in_their_hour() {
    let fixture = Fixture::new().await;
    fixture
        .set(Scope::Account(fixture.anna), Name::MessagesPerHour, "2")
        .await;
    let usage = Usage::open(fixture.store.clone()).await.unwrap();
    let now = NOON.0;
    drop(begin(&usage, &fixture, now).await.unwrap());
    begin(&usage, &fixture, now).await.unwrap().accepted();
    let second = begin(&usage, &fixture, now).await.unwrap();
    let third = begin(&usage, &fixture, now).await.err().unwrap();
    assert_eq!((third.limit, third.allowed), (Limit::MessagesPerHour, 2));
    assert!(
        third.text().contains("2 messages an hour for this account"),
        "{}",
        third.text()
    );
    assert!(third.text().is_ascii() && third.text_de().is_ascii());
    drop(second);
    begin(&usage, &fixture, now).await.unwrap().accepted();
    usage.flush().await.unwrap();
    let restarted = Usage::open(fixture.store.clone()).await.unwrap();
    assert!(
        begin(&restarted, &fixture, now).await.is_err(),
        "a restart resets nothing"
    );
    assert!(begin(&restarted, &fixture, now + HOUR).await.is_ok());
}

#[tokio::test]
async fn recipients_of_a_domain_are_added_up() {
    let fixture = Fixture::new().await;
    fixture
        .set(domain("firma.test"), Name::DomainRecipientsPerDay, "3")
        .await;
    fixture
        .set(Scope::Installation, Name::RecipientsPerMessage, "2")
        .await;
    let usage = Usage::open(fixture.store.clone()).await.unwrap();
    let mut first = begin(&usage, &fixture, NOON.0).await.unwrap();
    first.recipient(&key("a@else.test")).unwrap();
    first.recipient(&key("b@else.test")).unwrap();
    let third = first.recipient(&key("c@else.test")).unwrap_err();
    assert_eq!(
        (third.limit, third.code()),
        (Limit::RecipientsPerMessage, (452, "4.5.3"))
    );
    first.accepted();
    let mut second = begin(&usage, &fixture, NOON.0).await.unwrap();
    second.recipient(&key("a@else.test")).unwrap();
    let fourth = second.recipient(&key("b@else.test")).unwrap_err();
    assert_eq!(
        (fourth.limit, fourth.scope),
        (Limit::RecipientsPerDay, domain("firma.test"))
    );
}

#[tokio::test]
async fn only_recipients_not_written_to_lately_are_new() {
    let fixture = Fixture::new().await;
    fixture
        .set(Scope::Account(fixture.anna), Name::NewRecipientsPerDay, "1")
        .await;
    let usage = Usage::open(fixture.store.clone()).await.unwrap();
    let mut first = begin(&usage, &fixture, NOON.0).await.unwrap();
    first.recipient(&key("a@else.test")).unwrap();
    first.recipient(&key("A@ELSE.test")).unwrap();
    let other = first.recipient(&key("b@else.test")).unwrap_err();
    assert_eq!(other.limit, Limit::NewRecipientsPerDay);
    first.accepted();
    usage.flush().await.unwrap();
    let restarted = Usage::open(fixture.store.clone()).await.unwrap();
    let mut again = begin(&restarted, &fixture, NOON.0).await.unwrap();
    again.recipient(&key("a@else.test")).unwrap();
    assert!(again.recipient(&key("b@else.test")).is_err());
    again.accepted();
    let month = NOON.0 + 30 * 24 * HOUR;
    let mut later = begin(&restarted, &fixture, month).await.unwrap();
    later.recipient(&key("b@else.test")).unwrap();
    assert!(
        later.recipient(&key("a@else.test")).is_err(),
        "forgotten after 30 days"
    );
}

#[tokio::test]
async fn a_day_ends_where_the_installation_is() {
    let fixture = Fixture::new().await;
    fixture
        .set(Scope::Installation, Name::TimeZone, "Europe/Berlin")
        .await;
    fixture
        .set(Scope::Account(fixture.anna), Name::RecipientsPerDay, "1")
        .await;
    let usage = Usage::open(fixture.store.clone()).await.unwrap();
    // 2026-11-22T23:30:00Z: half past midnight in Berlin.
    let now = 1_795_390_200_000;
    let mut sending = begin(&usage, &fixture, now).await.unwrap();
    sending.recipient(&key("a@else.test")).unwrap();
    let second = sending.recipient(&key("b@else.test")).unwrap_err();
    assert_eq!(second.wait, Duration::from_secs(23 * 3600 + 1800));
    let tomorrow = now + 23 * HOUR + HOUR / 2;
    assert!(begin(&usage, &fixture, tomorrow).await.is_ok());
}
