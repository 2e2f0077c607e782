//! Proofs of control and grants, with codes that are right, wrong, late and tried out.

use super::*;
use crate::testing::*;

const DAY: i64 = 24 * 3600 * 1000;

async fn asked(code: &str) -> (Fixture, Identities) {
    let fixture = Fixture::new().await;
    let identities = Identities::new(fixture.store.clone());
    identities
        .request(
            &key("anna@firma.test"),
            &key("anna@gmx.test"),
            code,
            author(),
        )
        .await
        .unwrap();
    (fixture, identities)
}

async fn confirm(identities: &Identities, code: &str, now: i64) -> Confirmed {
    identities
        .confirm(
            &key("anna@firma.test"),
            &key("anna@gmx.test"),
            code,
            Timestamp(now),
        )
        .await
        .unwrap()
}

#[tokio::test]
async fn the_right_code_makes_an_identity() {
    let code = new_code(&Random::seeded(7));
    assert_eq!((code.len(), code.matches('-').count()), (14, 2), "{code}");
    let (fixture, identities) = asked(&code).await;
    let policies = fixture.policies().await;
    assert_eq!(
        policies.snapshot().send_as(fixture.anna),
        [],
        "not before the code"
    );
    assert_eq!(
        confirm(&identities, "ABCD-EFGH-JKLM", NOON.0).await,
        Confirmed::Wrong { left: 4 }
    );
    let typed = code.to_lowercase().replace('-', " ");
    assert_eq!(
        confirm(&identities, &typed, NOON.0 + DAY - 1).await,
        Confirmed::Right
    );
    policies.refresh().await.unwrap();
    assert_eq!(
        policies.snapshot().send_as(fixture.anna),
        [Usable {
            send_as: SendAs::Address(key("anna@gmx.test")),
            kind: Kind::Proven,
        }]
    );
    assert_eq!(
        confirm(&identities, &code, NOON.0).await,
        Confirmed::NotWaiting,
        "once"
    );
    let row = fixture
        .store
        .read(|tx: &mut dyn Tx| list(tx, 0, 10))
        .await
        .unwrap();
    assert_eq!((row.len(), row[0].kind), (1, Kind::Proven));
}

#[tokio::test]
async fn codes_end_and_cannot_be_tried_out() {
    let (_fixture, identities) = asked("AAAA-BBBB-CCCC").await;
    assert_eq!(
        confirm(&identities, "AAAA-BBBB-CCCC", NOON.0 + DAY).await,
        Confirmed::NotWaiting
    );
    for left in (0..5).rev() {
        assert_eq!(
            confirm(&identities, "X", NOON.0).await,
            Confirmed::Wrong { left }
        );
    }
    assert_eq!(
        confirm(&identities, "AAAA-BBBB-CCCC", NOON.0).await,
        Confirmed::NotWaiting
    );
    let again = async |minutes: i64| {
        let author = Author {
            now: Timestamp(NOON.0 + minutes * 60_000),
            ..author()
        };
        identities
            .request(
                &key("anna@firma.test"),
                &key("anna@gmx.test"),
                "NEW",
                author,
            )
            .await
    };
    assert!(
        again(9)
            .await
            .unwrap_err()
            .to_string()
            .contains("a moment ago")
    );
    identities
        .forget_expired(Timestamp(NOON.0 + 9 * 60_000))
        .await
        .unwrap();
    assert!(again(9).await.is_err(), "also after the chore went through");
    again(10).await.unwrap();
    assert_eq!(confirm(&identities, "NEW", NOON.0).await, Confirmed::Right);
    assert!(again(30).await.unwrap_err().to_string().contains("already"));
}

#[tokio::test]
async fn addresses_here_need_no_code_and_strangers_no_flood() {
    let (fixture, identities) = asked("A").await;
    let ask = async |address: &str| {
        identities
            .request(&key("anna@firma.test"), &key(address), "A", author())
            .await
    };
    let own = ask("chef@firma.test").await.unwrap_err().to_string();
    assert!(own.contains("identity grant"), "{own}");
    for n in 1..WAITING_MAX {
        ask(&format!("a{n}@gmx.test")).await.unwrap();
    }
    assert!(ask("more@gmx.test").await.is_err());
    identities
        .forget_expired(Timestamp(NOON.0 + DAY))
        .await
        .unwrap();
    assert_eq!(identities.list(None, 100).await.unwrap(), []);
    drop(fixture);
}

#[tokio::test]
async fn grants_need_a_reason_and_go_with_whom_they_are_about() {
    let fixture = Fixture::new().await;
    let identities = Identities::new(fixture.store.clone());
    let any = SendAs::AnyAt(DomainName::parse("verein.test").unwrap());
    let silent = Author {
        reason: " ".into(),
        ..author()
    };
    assert!(
        identities
            .grant(&key("anna@firma.test"), &any, silent)
            .await
            .is_err()
    );
    identities
        .grant(&key("anna@firma.test"), &any, author())
        .await
        .unwrap();
    let policies = fixture.policies().await;
    assert_eq!(
        policies.snapshot().send_as(fixture.anna),
        [Usable {
            send_as: any.clone(),
            kind: Kind::Granted,
        }]
    );
    fixture
        .store
        .write(|tx: &mut dyn Tx| {
            crate::remove_domain(tx, &DomainName::parse("verein.test").unwrap())
        })
        .await
        .unwrap();
    policies.refresh().await.unwrap();
    assert_eq!(
        policies.snapshot().send_as(fixture.anna),
        [],
        "a new owner of verein.test is safe"
    );
    let gone = identities
        .remove(&key("anna@firma.test"), &any)
        .await
        .unwrap_err();
    assert!(
        gone.to_string().contains("has no identity *@verein.test"),
        "{gone}"
    );
}

#[tokio::test]
async fn who_takes_over_an_address_is_not_sent_for_by_others() {
    let fixture = Fixture::new().await;
    let identities = Identities::new(fixture.store.clone());
    let bernd = fixture
        .directory
        .add_account(
            &key("bernd@firma.test"),
            &directory::admin::NewAccount::default(),
            &directory::admin::NewPassword::None,
            NOON,
        )
        .await
        .unwrap();
    let anna = SendAs::Address(key("anna@firma.test"));
    identities
        .grant(&key("bernd@firma.test"), &anna, author())
        .await
        .unwrap();
    let removed = fixture.anna;
    fixture
        .store
        .write(move |tx: &mut dyn Tx| crate::remove_account(tx, removed))
        .await
        .unwrap();
    let policies = fixture.policies().await;
    assert_eq!(policies.snapshot().send_as(bernd), []);
}

#[tokio::test]
async fn an_alias_that_goes_takes_the_grants_about_it_along() {
    let fixture = Fixture::new().await;
    let identities = Identities::new(fixture.store.clone());
    let info = SendAs::Address(key("info@firma.test"));
    identities
        .grant(&key("anna@firma.test"), &info, author())
        .await
        .unwrap();
    let policies = fixture.policies().await;
    assert_eq!(policies.snapshot().send_as(fixture.anna).len(), 1);
    fixture
        .store
        .write(|tx: &mut dyn Tx| crate::remove_address(tx, &key("info@firma.test")))
        .await
        .unwrap();
    policies.refresh().await.unwrap();
    assert_eq!(policies.snapshot().send_as(fixture.anna), []);
}

#[test]
fn a_proof_counts_for_addresses_elsewhere_only() {
    let address = key("anna@gmx.test");
    let covers = |kind, home| {
        let usable = Usable {
            send_as: SendAs::Address(address.clone()),
            kind,
        };
        usable.covers(&address, home)
    };
    assert!(covers(Kind::Proven, Home::Elsewhere));
    assert!(!covers(Kind::Proven, Home::Here), "the domain moved here");
    assert!(covers(Kind::Granted, Home::Here) && covers(Kind::Granted, Home::Elsewhere));
    let any = Usable {
        send_as: SendAs::AnyAt(address.domain().clone()),
        kind: Kind::Granted,
    };
    assert!(any.covers(&key("x@gmx.test"), Home::Here));
    assert!(!any.covers(&key("x@mail.gmx.test"), Home::Here));
}

#[tokio::test]
async fn a_full_account_can_still_be_granted_what_it_has() {
    let (_fixture, identities) = asked("A").await;
    let login = key("anna@firma.test");
    let nth = |n: i64| SendAs::Address(key(&format!("a{n}@gmx.test")));
    for n in 1..IDENTITIES_MAX {
        identities.grant(&login, &nth(n), author()).await.unwrap();
    }
    assert!(identities.grant(&login, &nth(0), author()).await.is_err());
    identities.grant(&login, &nth(1), author()).await.unwrap();
    let broken = Author {
        reason: "two\nlines".into(),
        ..author()
    };
    assert!(identities.grant(&login, &nth(1), broken).await.is_err());
}

/// Nobody is written to about a sender that became the account's own.
#[tokio::test]
async fn findings_about_a_sender_end_where_it_becomes_the_accounts_own() {
    use crate::{Findings, Measure};
    let fixture = Fixture::new().await;
    let found = Findings::new(fixture.store.clone());
    for sender in [
        "me@gmx.test",
        "other@gmx.test",
        "x@shop.test",
        "y@shop.test",
    ] {
        found.note(Measure::SenderOwnership, fixture.anna, sender, NOON);
    }
    found.flush().await.unwrap();
    let identities = Identities::new(fixture.store.clone());
    let (anna, me) = (key("anna@firma.test"), key("me@gmx.test"));
    let request = identities.request(&anna, &me, "CODE", author());
    request.await.unwrap();
    assert_eq!(details(&fixture).await.len(), 4, "not by asking");
    let confirmed = identities.confirm(&anna, &me, "CODE", NOON).await.unwrap();
    assert_eq!(confirmed, Confirmed::Right);
    let shop = SendAs::AnyAt(DomainName::parse("shop.test").unwrap());
    let mut granted = author();
    granted.reason = "their shop".into();
    identities.grant(&anna, &shop, granted).await.unwrap();
    assert_eq!(details(&fixture).await, ["other@gmx.test"]);
}

async fn details(fixture: &Fixture) -> Vec<String> {
    let account = fixture.anna;
    let read = fixture.store.read(move |tx: &mut dyn Tx| {
        crate::findings::of(tx, account, &crate::Measure::SenderOwnership, 0)
    });
    let found = read.await.unwrap().into_iter();
    found.map(|finding| finding.detail).collect()
}
