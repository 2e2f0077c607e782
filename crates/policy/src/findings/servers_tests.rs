//! Findings about servers on both engines, and the settings of mail in our names as snapshots give them.

use crate::impact::{Proposed, Question, preview};
use crate::model::{Scope, Sender, Stage};
use crate::setting::Name;
use crate::spoofed::Spoofed;
use crate::testing::{Fixture, NOON, domain};
use crate::{Findings, Measure};
use directory::DomainName;
use platform::store::{StoreError, Tx};

const SPOOFED: Measure = Measure::SpoofedSender;

async fn counts(fixture: Fixture) {
    let findings = Findings::new(fixture.store.clone());
    for _ in 0..3 {
        findings.note_server(SPOOFED, "firma.test", "mail.far.test (far.test)", NOON);
        findings.note(SPOOFED, fixture.anna, "mail.far.test (far.test)", NOON);
    }
    findings.note_server(SPOOFED, "gone.test", "mail.far.test (far.test)", NOON);
    findings.flush().await.unwrap();
    findings.note_server(SPOOFED, "firma.test", "mail.far.test (far.test)", NOON);
    findings.flush().await.unwrap();
    let snapshot = fixture.policies().await.snapshot();
    let asked = snapshot.clone();
    let ask = async |scope: Scope| {
        let snapshot = asked.clone();
        let read = fixture.store.read(move |tx: &mut dyn Tx| {
            let question = Question {
                proposed: &Proposed::SpoofedSender,
                scope: &scope,
                days: 30,
                snapshot: &snapshot,
                now: NOON,
            };
            preview(tx, &question, Vec::new())
        });
        read.await.unwrap()
    };
    for scope in [
        Scope::Installation,
        domain("firma.test"),
        Scope::Group("business".into()),
    ] {
        let impact = ask(scope).await;
        let servers: Vec<_> = impact
            .servers
            .iter()
            .map(|s| (s.ours.as_str(), s.stopped))
            .collect();
        assert_eq!(servers, [("firma.test", 4)]);
        assert_eq!(impact.accounts[0].login, "anna@firma.test");
    }
    assert!(ask(Scope::Account(fixture.anna)).await.servers.is_empty());
    let removed = fixture.store.write(|tx: &mut dyn Tx| {
        let name = DomainName::parse("firma.test").expect("a name");
        super::servers::remove_domain(tx, &name)?;
        super::servers::list(tx, &SPOOFED, None, 0)
    });
    assert_eq!(removed.await.unwrap(), []);
    findings.note_server(SPOOFED, "firma.test", "x (y)", NOON);
    findings.flush().await.unwrap();
    let later = platform::clock::Timestamp(NOON.0 + 10 * 24 * 3600 * 1000);
    findings
        .forget(std::time::Duration::from_secs(60), later)
        .await
        .unwrap();
    let left = fixture.store.read(|tx: &mut dyn Tx| {
        Ok::<_, StoreError>(super::servers::list(tx, &SPOOFED, None, 0)?.len())
    });
    assert_eq!(left.await.unwrap(), 0);
}

#[tokio::test]
async fn servers_are_counted_per_hosted_domain_and_forgotten() {
    counts(Fixture::new().await).await;
}

#[test]
fn servers_are_counted_on_postgresql() {
    Fixture::on_postgresql(counts);
}

#[tokio::test]
async fn what_is_set_for_the_author_decides() {
    let fixture = Fixture::new().await;
    let author = Sender {
        account: Some(fixture.anna),
        domain: "firma.test",
        group: Some("business"),
    };
    let found = |snapshot: &crate::Snapshot| snapshot.spoofed(&author, NOON).value;
    let first = fixture.policies().await.snapshot();
    assert_eq!(found(&first), (Spoofed::Reject, Stage::Observe));
    let here = Scope::Installation;
    fixture
        .set(here.clone(), Name::SpoofedSender, "enforce")
        .await;
    fixture
        .set(domain("firma.test"), Name::SpoofedSender, "junk warn")
        .await;
    fixture
        .set(here.clone(), Name::TrustedSealers, "lists.test")
        .await;
    fixture
        .set(domain("firma.test"), Name::TrustedSealers, "own.test")
        .await;
    fixture
        .set(domain("firma.test"), Name::TrustedRelays, "192.0.2.0/28")
        .await;
    let account = Scope::Account(fixture.anna);
    fixture
        .set_item(account.clone(), Name::RelaySource, "web1", "198.51.100.7")
        .await;
    let snapshot = fixture.policies().await.snapshot();
    assert_eq!(found(&snapshot), (Spoofed::Junk, Stage::Warn));
    let other = Sender {
        domain: "other.test",
        account: None,
        group: None,
    };
    assert_eq!(
        snapshot.spoofed(&other, NOON).value,
        (Spoofed::Reject, Stage::Enforce)
    );
    let sealers: Vec<_> = snapshot
        .trusted_sealers("firma.test")
        .map(DomainName::as_str)
        .collect();
    assert_eq!(sealers, ["lists.test", "own.test"]);
    let client = "192.0.2.9".parse().unwrap();
    assert!(snapshot.is_trusted_relay("firma.test", client));
    assert!(!snapshot.is_trusted_relay("other.test", client));
    let source = snapshot
        .relay_source("198.51.100.7".parse().unwrap())
        .unwrap();
    assert_eq!((&*source.name, source.account), ("web1", fixture.anna));
    fixture.set(account, Name::SpoofedSender, "off").await;
    let snapshot = fixture.policies().await.snapshot();
    assert_eq!(found(&snapshot), (Spoofed::Reject, Stage::Off));
}
