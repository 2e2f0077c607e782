//! Letters between their writing and their readers: cut off, handed over by two nodes, waiting for a week to pass.
//! Tests only.

use super::*;
use crate::ledger;
use platform::store::StoreError;

/// Writes what is due without sending it.
async fn written(town: &Town) -> usize {
    let (random, now) = (Random::seeded(3), town.clock.now());
    town.rollouts.write_due(&random, now).await.unwrap()
}

pub(super) async fn a_round_that_was_cut_off_is_written_whole() {
    let mut town = three_old().await;
    town.clock.set(at("2025-02-14T08:00"));
    assert_eq!(written(&town).await, 3);
    // The power went before the round was noted as done, and before a letter left.
    town.store
        .write(|tx: &mut dyn Tx| tx.execute("DELETE FROM rollout_rounds", &[]))
        .await
        .unwrap();
    assert_eq!(
        town.step().await,
        [
            "round anna@firma.test",
            "round bert@firma.test",
            "round carl@firma.test"
        ]
    );
}

pub(super) async fn two_nodes_hand_a_letter_over_once() {
    let town = three_old().await;
    town.clock.set(at("2025-02-14T08:00"));
    assert_eq!(written(&town).await, 3);
    let now = town.clock.now();
    let due = || {
        town.store
            .read(move |tx: &mut dyn Tx| ledger::due(tx, Status::Written, now, 100))
    };
    // Both nodes read the page before either takes it.
    let (one, other) = (due().await.unwrap(), due().await.unwrap());
    assert_eq!(town.runner.claimed(one).await.unwrap().len(), 3);
    assert!(town.runner.claimed(other).await.unwrap().is_empty());
    assert!(due().await.unwrap().is_empty(), "left alone for a while");
    // A node that took letters and died lets go of them; their names stay.
    town.clock.set(at("2025-02-14T08:10"));
    let later = town.clock.now();
    let again = town
        .store
        .read(move |tx: &mut dyn Tx| ledger::due(tx, Status::Written, later, 100));
    let again = again.await.unwrap();
    let names: Vec<_> = again.iter().map(|entry| entry.token).collect();
    let taken = town.runner.claimed(again).await.unwrap();
    assert_eq!(
        names,
        taken.iter().map(|entry| entry.token).collect::<Vec<_>>()
    );
    assert!(names.len() == 3 && !names.contains(&0), "{names:?}");
}

/// A second rollout about the same, whose first round comes four days after a letter.
async fn second(town: &mut Town) {
    let now = town.clock.now();
    town.rollouts.end("tls-2025", author(now)).await.unwrap();
    let mut second = rollout();
    second.slug = "second".into();
    second
        .steps
        .retain(|step| step.stage == policy::Stage::Enforce);
    second.rounds.newsletter = None;
    second.rounds.first = Some("2025-02-18T08:00".parse().unwrap());
    town.running(second).await;
    assert!(town.on("2025-02-18T08:00").await.is_empty(), "it waits");
}

pub(super) async fn a_letter_that_waited_counts_from_when_it_left() {
    let mut town = three_old().await;
    assert_eq!(town.on("2025-02-14T08:00").await.len(), 3);
    second(&mut town).await;
    assert_eq!(town.on("2025-02-21T08:00").await.len(), 3);
    assert!(
        town.on("2025-02-25T08:00").await.is_empty(),
        "four days later"
    );
    assert_eq!(town.on("2025-02-28T08:00").await.len(), 3);
}

pub(super) async fn nobody_is_thanked_whose_letter_never_left() {
    let mut town = three_old().await;
    assert_eq!(town.on("2025-02-14T08:00").await.len(), 3);
    second(&mut town).await;
    town.clock.set(at("2025-02-19T08:00"));
    town.login("anna@firma.test", OLD, TlsVersion::V1_2).await;
    let now = town.clock.now();
    town.rollouts
        .round_now("second", author(now))
        .await
        .unwrap();
    let letters = town.rollouts.letters(Some("second"), 100).await.unwrap();
    let thanks = letters.iter().find(|entry| entry.key.kind == Kind::Thanks);
    assert_eq!(thanks, None);
}

pub(super) async fn what_a_letter_was_about_goes_with_it() {
    let mut town = three_old().await;
    assert_eq!(town.on("2025-02-14T08:00").await.len(), 3);
    let facts = town.store.read(|tx: &mut dyn Tx| {
        tx.all("SELECT facts FROM rollout_letters", &[], |row| {
            Ok(row.text(0)?.to_owned())
        })
    });
    let facts: Result<Vec<String>, StoreError> = facts.await;
    assert_eq!(facts.unwrap(), ["{}", "{}", "{}"]);
}

#[tokio::test]
async fn a_program_without_a_name_is_probably_the_only_one_that_connects_alike() {
    let mut town = three_old().await;
    let contact = |service, client| Contact {
        service,
        port: 993,
        encryption: Encryption::ImplicitTls,
        door: Door::Normal,
        tls: Some((TlsVersion::V1_0, "TLS_X")),
        client,
        outcome: Outcome::LoggedIn,
        peer: [192, 0, 2, 1].into(),
        now: town.clock.now(),
    };
    // Dora's program says who it is only when it sends; Anna has two that connect alike.
    let seen = [
        ("dora@firma.test", Service::Imap, "unknown"),
        ("dora@firma.test", Service::Submission, OLD),
        ("anna@firma.test", Service::Imap, "unknown"),
        (
            "anna@firma.test",
            Service::Submission,
            "windows-live-mail/15/windows",
        ),
    ];
    for (who, service, client) in seen {
        let account = town.accounts[who];
        let contact = contact(service, client);
        town.connections.note(&Seen { account, contact });
    }
    assert_eq!(town.on("2025-02-14T08:00").await.len(), 4);
    let text = town
        .letter(Kind::Round, "dora@firma.test")
        .text
        .replace('\n', " ");
    assert!(text.contains("vermutlich Microsoft Outlook 2010"), "{text}");
    assert!(!text.contains("seinen Namen nicht nennt"), "{text}");
    assert!(
        !text.contains("alle Programme und Geräte"),
        "the guide for all: {text}"
    );
    let text = town
        .letter(Kind::Round, "anna@firma.test")
        .text
        .replace('\n', " ");
    assert!(text.contains("seinen Namen nicht nennt"), "{text}");
}

#[tokio::test]
async fn legacy_access_is_offered_where_it_is_open_and_its_domain_does_not_forbid_it() {
    use policy::setting::{Name, Value};
    let people = ["anna@firma.test", "bert@streng.test"];
    let mut town = Town::new("2025-02-10", &people).await;
    for who in people {
        town.login(who, "hp-printer/-/any", TlsVersion::V1_0).await;
    }
    let admin = policy::admin::Admin::new(town.store.clone());
    let forbidden = policy::admin::Wanted {
        scope: policy::Scope::Domain(DomainName::parse("streng.test").unwrap()),
        name: Name::LegacyAccess,
        item: String::new(),
        value: Value::parse(Name::LegacyAccess, "forbidden").unwrap(),
        expires_at: None,
        consent: None,
        owner: None,
    };
    let now = town.clock.now();
    admin.set(forbidden, author(now)).await.unwrap();
    let mut plan = rollout();
    plan.rounds.newsletter = None;
    plan.steps
        .retain(|step| step.stage == policy::Stage::Enforce);
    town.running(plan).await;
    assert_eq!(town.on("2025-02-14T08:00").await.len(), 2);
    let text = |who| town.letter(Kind::Round, who).text.replace('\n', " ");
    let open = text("anna@firma.test");
    assert!(
        open.contains("Übergangszugang") && open.contains("30.05.2025"),
        "{open}"
    );
    let closed = text("bert@streng.test");
    assert!(
        !closed.contains("Übergangszugang") && !closed.contains("legacy"),
        "{closed}"
    );
}
