//! Settings through the operations an operator has, and what lookups then find. In a store on disk.

use super::*;
use crate::model::*;
use crate::testing::*;
use platform::clock::Clock;
use platform::params;
use std::time::Duration;

fn sender(fixture: &Fixture) -> Sender<'static> {
    Sender {
        account: Some(fixture.anna),
        domain: "firma.test",
        group: Some("business"),
    }
}

#[tokio::test]
async fn the_most_specific_stage_and_the_strictest_tls_win() {
    let fixture = Fixture::new().await;
    let policies = fixture.policies().await;
    let anna = sender(&fixture);
    let snapshot = policies.snapshot();
    assert_eq!(snapshot.ownership(&anna, NOON).value, Stage::Enforce);
    assert_eq!(*snapshot.ownership(&anna, NOON).origin, Scope::Installation);
    assert_eq!(snapshot.outbound_tls(&anna, NOON).value, OutboundTls::Off);

    let account = Scope::Account(fixture.anna);
    fixture
        .set(Scope::Installation, Name::SenderOwnership, "off")
        .await;
    fixture
        .set(domain("firma.test"), Name::SenderOwnership, "observe")
        .await;
    fixture
        .set(account.clone(), Name::OutboundTls, "required")
        .await;
    fixture
        .set(domain("firma.test"), Name::OutboundTls, "off")
        .await;
    fixture
        .set(
            Scope::Group("business".into()),
            Name::OutboundTls,
            "required",
        )
        .await;
    assert_eq!(
        policies.snapshot().ownership(&anna, NOON).value,
        Stage::Enforce,
        "not yet read"
    );
    policies.refresh().await.unwrap();
    let snapshot = policies.snapshot();
    let stage = snapshot.ownership(&anna, NOON);
    assert_eq!(
        (stage.value, &*stage.origin),
        (Stage::Observe, &domain("firma.test"))
    );
    let demand = snapshot.outbound_tls(&anna, NOON);
    assert_eq!(demand.value, OutboundTls::Required);
    assert_eq!(
        *demand.origin,
        Scope::Group("business".into()),
        "the widest of equals"
    );
    let other = Sender {
        account: None,
        group: None,
        ..anna
    };
    assert_eq!(snapshot.outbound_tls(&other, NOON).value, OutboundTls::Off);
    what_is_shown_says_the_same(&fixture, account).await;
}

/// What `policy show` has must be what lookups find.
async fn what_is_shown_says_the_same(fixture: &Fixture, account: Scope) {
    let business = Scope::Group("business".into());
    let shown = fixture.admin.effective(account, NOON).await.unwrap();
    let tls = shown.iter().find(|e| e.name == Name::OutboundTls).unwrap();
    assert_eq!(
        (tls.value.as_str(), tls.origin.as_ref()),
        ("required", Some(&business))
    );
    let stage = shown
        .iter()
        .find(|e| e.name == Name::SenderOwnership)
        .unwrap();
    assert_eq!(
        (stage.value.as_str(), stage.origin.as_ref()),
        ("observe", Some(&domain("firma.test")))
    );
    let weight = shown.iter().find(|e| e.name == Name::Weight).unwrap();
    assert_eq!((weight.value.as_str(), &weight.origin), ("10", &None));
}

#[tokio::test]
async fn inbound_tls_needs_consent_and_keeps_it() {
    let fixture = Fixture::new().await;
    let mut on = wanted(domain("firma.test"), Name::InboundTls, "required");
    let refused = fixture.admin.set(on.clone(), author()).await.unwrap_err();
    assert!(
        matches!(refused, PolicyError::ConsentNeeded(_)),
        "{refused:?}"
    );
    let text = refused.to_string();
    assert!(
        text.contains("neither be restored nor delivered later"),
        "{text}"
    );
    assert!(
        text.contains("weder wiederherstellen noch nachträglich zustellen"),
        "{text}"
    );

    let consent = |version: &str| {
        Some(Consent {
            by: "Anna Chef".into(),
            text_version: version.into(),
        })
    };
    on.consent = consent("2019-01");
    let refused = fixture.admin.set(on.clone(), author()).await.unwrap_err();
    assert!(
        matches!(refused, PolicyError::ConsentNeeded(_)),
        "{refused:?}"
    );
    on.consent = consent(CONSENT_TEXT_VERSION);
    fixture.admin.set(on.clone(), author()).await.unwrap();
    let policies = fixture.policies().await;
    assert_eq!(
        policies.snapshot().inbound_tls("firma.test", NOON),
        Some(&InboundTls::default())
    );
    consent_stays_with_another_text_and_ends_with_off(
        &fixture,
        &policies,
        &consent(CONSENT_TEXT_VERSION),
    )
    .await;
    let account = wanted(Scope::Account(fixture.anna), Name::InboundTls, "required");
    let refused = fixture.admin.set(account, author()).await.unwrap_err();
    assert!(
        matches!(&refused, PolicyError::Invalid(text) if text.contains("whole domain")),
        "{refused}"
    );
}

async fn consent_stays_with_another_text_and_ends_with_off(
    fixture: &Fixture,
    policies: &crate::Policies,
    given: &Option<Consent>,
) {
    fixture
        .set(domain("firma.test"), Name::InboundTls, "required Only TLS")
        .await;
    let rows = fixture.admin.settings().await.unwrap();
    assert_eq!(&rows[0].consent, given, "another text, the same consent");
    fixture
        .set(domain("firma.test"), Name::InboundTls, "off")
        .await;
    policies.refresh().await.unwrap();
    assert_eq!(policies.snapshot().inbound_tls("firma.test", NOON), None);
    let past = fixture
        .admin
        .history(Some(domain("firma.test")), 10)
        .await
        .unwrap();
    assert_eq!(past.len(), 3);
    assert_eq!(&past[2].consent, given);
    assert_eq!(
        (past[0].before.as_deref(), past[0].after.as_deref()),
        (Some("required Only TLS"), None)
    );
    let again = fixture.admin.set(
        wanted(domain("firma.test"), Name::InboundTls, "required"),
        author(),
    );
    assert!(
        matches!(again.await, Err(PolicyError::ConsentNeeded(_))),
        "off ends a consent"
    );
}

#[tokio::test]
async fn what_goes_takes_its_settings_along() {
    let fixture = Fixture::new().await;
    let anna = fixture.anna;
    fixture
        .set(Scope::Account(anna), Name::HoldBack, "30")
        .await;
    fixture
        .set(domain("firma.test"), Name::HoldBack, "10")
        .await;
    fixture
        .set(Scope::Group("business".into()), Name::Weight, "30")
        .await;
    let policies = fixture.policies().await;
    let who = sender(&fixture);
    assert_eq!(policies.snapshot().hold_back(&who), Duration::from_secs(30));
    assert_eq!(policies.snapshot().class(Some("business")).weight, 30);
    fixture
        .store
        .write(move |tx: &mut dyn Tx| {
            crate::remove_account(tx, anna)?;
            crate::remove_domain(tx, &DomainName::parse("firma.test").unwrap())?;
            crate::remove_group(tx, "business")
        })
        .await
        .unwrap();
    policies.refresh().await.unwrap();
    assert_eq!(policies.snapshot().hold_back(&who), Duration::ZERO);
    assert_eq!(
        policies.snapshot().class(Some("business")),
        Class::default()
    );
    assert_eq!(fixture.admin.settings().await.unwrap(), []);
    assert_eq!(fixture.admin.history(None, 10).await.unwrap(), []);
}

#[tokio::test]
async fn destinations_are_found_by_name_parent_and_star_and_end() {
    let fixture = Fixture::new().await;
    let all = Scope::Installation;
    fixture
        .set_item(all.clone(), Name::Destination, "*", "encrypt")
        .await;
    fixture
        .set_item(all.clone(), Name::Destination, "*.gmx.test", "dane")
        .await;
    fixture
        .set_item(all.clone(), Name::Destination, "GMX.test", "dane-only")
        .await;
    let mut exception = wanted(
        Scope::Account(fixture.anna),
        Name::Destination,
        "may exception",
    );
    exception.item = "gmx.test".into();
    exception.expires_at = Some(Timestamp(NOON.0 + 60_000));
    fixture
        .admin
        .set(exception.clone(), author())
        .await
        .unwrap();
    exception.scope = all;
    assert!(matches!(
        fixture.admin.set(exception, author()).await,
        Err(PolicyError::Invalid(_))
    ));
    let policies = fixture.policies().await;
    let anna = sender(&fixture);
    let level = |name: &str| {
        policies
            .snapshot()
            .destination(&anna, name)
            .map(|rule| rule.level)
    };
    assert_eq!(level("other.test"), Some(TlsLevel::Encrypt));
    assert_eq!(level("mail.de.gmx.test"), Some(TlsLevel::Dane));
    assert_eq!(level("gmx.test"), Some(TlsLevel::May), "the account's own");
    let clock: &Clock = &fixture.clock;
    clock.set(Timestamp(NOON.0 + 60_001));
    policies.refresh().await.unwrap();
    let level = policies
        .snapshot()
        .destination(&anna, "gmx.test")
        .map(|rule| rule.level);
    assert_eq!(
        level,
        Some(TlsLevel::DaneOnly),
        "an exception ends by itself"
    );
}

#[tokio::test]
async fn pools_are_kept_while_they_are_used() {
    let fixture = Fixture::new().await;
    let business = Scope::Group("business".into());
    let early = fixture
        .admin
        .set(wanted(business.clone(), Name::Pool, "b"), author())
        .await;
    assert!(matches!(early, Err(PolicyError::Missing(_))));
    let addresses = "192.0.2.7 2001:db8::7 hello=mx7.test";
    fixture
        .set_item(Scope::Installation, Name::PoolAddresses, "b", addresses)
        .await;
    fixture.set(business.clone(), Name::Pool, "b").await;
    let policies = fixture.policies().await;
    let snapshot = policies.snapshot();
    let pool = snapshot.pool(&sender(&fixture)).unwrap();
    assert_eq!(
        (pool.name.as_str(), pool.hello.as_deref()),
        ("b", Some("mx7.test"))
    );
    assert_eq!((pool.v4.len(), pool.v6.len()), (1, 1));
    let gone = fixture
        .admin
        .unset(
            Scope::Installation,
            Name::PoolAddresses,
            "b".into(),
            author(),
        )
        .await
        .unwrap_err();
    assert_eq!(
        gone.to_string(),
        "pool b is still used by group business; give them another pool first"
    );
    fixture
        .admin
        .unset(business.clone(), Name::Pool, String::new(), author())
        .await
        .unwrap();
    fixture
        .admin
        .unset(
            Scope::Installation,
            Name::PoolAddresses,
            "b".into(),
            author(),
        )
        .await
        .unwrap();
    let twice = fixture
        .admin
        .unset(business, Name::Pool, String::new(), author())
        .await;
    assert!(matches!(twice, Err(PolicyError::Missing(_))));
}

#[tokio::test]
async fn header_actions_come_from_the_list_then_everybody_then_the_domain() {
    let fixture = Fixture::new().await;
    let policies = fixture.policies().await;
    let count = |direction| {
        policies
            .snapshot()
            .header_actions("firma.test", direction)
            .count()
    };
    let built_in = formats::header_edit::default_outbound().len();
    assert_eq!(
        (count(Direction::Outbound), count(Direction::Inbound)),
        (built_in, 0)
    );
    fixture
        .set(domain("firma.test"), Name::StripOrigin, "off")
        .await;
    fixture
        .set(
            Scope::Installation,
            Name::HeadersOutbound,
            "remove X-A\nadd X-B: c",
        )
        .await;
    fixture
        .set(
            domain("firma.test"),
            Name::HeadersOutbound,
            "rename X-B X-C",
        )
        .await;
    policies.refresh().await.unwrap();
    let shown: Vec<String> = policies
        .snapshot()
        .header_actions("firma.test", Direction::Outbound)
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        shown,
        ["remove all X-A", "add X-B: c", "rename all X-B X-C"]
    );
    let warned = fixture
        .admin
        .set(
            wanted(Scope::Installation, Name::HeadersInbound, "remove DKIM-*"),
            author(),
        )
        .await
        .unwrap();
    assert!(warned[0].contains("DKIM-Signature"), "{warned:?}");
}

#[tokio::test]
async fn limits_are_those_of_the_nearest_scope_and_added_up_where_they_belong() {
    let fixture = Fixture::new().await;
    let policies = fixture.policies().await;
    let anna = sender(&fixture);
    assert_eq!(policies.snapshot().limits(&anna), []);
    fixture
        .set(Scope::Installation, Name::MessagesPerHour, "100")
        .await;
    fixture
        .set(Scope::Installation, Name::RecipientsPerDay, "500")
        .await;
    fixture
        .set(Scope::Account(fixture.anna), Name::MessagesPerHour, "none")
        .await;
    fixture
        .set(
            Scope::Group("business".into()),
            Name::DomainMessagesPerHour,
            "1000",
        )
        .await;
    policies.refresh().await.unwrap();
    let limits = policies.snapshot().limits(&anna);
    let own = Limits {
        recipients_per_day: Some(500),
        ..Limits::default()
    };
    let together = Limits {
        messages_per_hour: Some(1000),
        ..Limits::default()
    };
    assert_eq!(
        limits,
        [
            (Scope::Account(fixture.anna), own),
            (domain("firma.test"), together)
        ]
    );
}

#[tokio::test]
async fn scopes_are_named_as_people_name_them() {
    let fixture = Fixture::new().await;
    let scope = async |text: &str| fixture.admin.scope(text).await;
    assert_eq!(scope("installation").await.unwrap(), Scope::Installation);
    assert_eq!(scope("Firma.TEST").await.unwrap(), domain("firma.test"));
    assert_eq!(
        scope("Anna@firma.test").await.unwrap(),
        Scope::Account(fixture.anna)
    );
    assert_eq!(
        scope("business").await.unwrap(),
        Scope::Group("business".into())
    );
    assert!(matches!(
        scope("domain:business").await,
        Err(PolicyError::Missing(_))
    ));
    assert!(matches!(
        scope("bernd@firma.test").await,
        Err(PolicyError::Missing(_))
    ));
}

/// Writes a value that only a newer version knows over one that is there.
async fn written_by_a_newer_version(fixture: &Fixture, name: Name) {
    let write = fixture.store.write(move |tx: &mut dyn Tx| {
        tx.execute(
            "UPDATE policy_settings SET value = 'brand-new' WHERE name = ?1",
            params![name.described().word],
        )?;
        rows::bump_revision(tx)
    });
    write.await.unwrap();
}

#[tokio::test]
async fn a_value_of_a_newer_version_never_lifts_a_duty_and_can_be_replaced() {
    let fixture = Fixture::new().await;
    let policies = fixture.policies().await;
    let (anna, firma) = (sender(&fixture), domain("firma.test"));
    fixture.set(firma.clone(), Name::Language, "de").await;
    fixture
        .set(firma.clone(), Name::OutboundTls, "required")
        .await;
    written_by_a_newer_version(&fixture, Name::Language).await;
    policies.refresh().await.unwrap();
    let snapshot = policies.snapshot();
    assert_eq!(snapshot.language(&anna), None);
    assert_eq!(
        snapshot.outbound_tls(&anna, NOON).value,
        OutboundTls::Required
    );

    written_by_a_newer_version(&fixture, Name::OutboundTls).await;
    let why = policies.refresh().await.unwrap_err().to_string();
    assert!(why.contains("outbound-tls for domain firma.test"), "{why}");
    let held = policies.snapshot().outbound_tls(&anna, NOON).value;
    assert_eq!(held, OutboundTls::Required);
    fixture
        .set(firma.clone(), Name::OutboundTls, "authenticated")
        .await;
    policies.refresh().await.unwrap();
    let held = policies.snapshot().outbound_tls(&anna, NOON).value;
    assert_eq!(held, OutboundTls::Authenticated);

    written_by_a_newer_version(&fixture, Name::OutboundTls).await;
    let admin = &fixture.admin;
    let unset = admin.unset(firma, Name::OutboundTls, String::new(), author());
    unset.await.unwrap();
    policies.refresh().await.unwrap();
}

#[tokio::test]
async fn what_was_not_set_is_told_with_the_address_of_the_account() {
    let fixture = Fixture::new().await;
    let account = Scope::Account(fixture.anna);
    let unset = fixture
        .admin
        .unset(account, Name::Language, String::new(), author());
    assert_eq!(
        unset.await.unwrap_err().to_string(),
        "language is not set for account anna@firma.test"
    );
}
