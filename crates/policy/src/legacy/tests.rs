//! Enrolment follows the setting, what is switched off is off at every door, and notices wait until they are taken.

use super::*;
use crate::gate::{Attempt, Ruling, login};
use crate::measure::Door;
use crate::model::Scope;
use crate::setting::Name;
use crate::testing::{Fixture, author, key};
use platform::tls::TlsVersion;

async fn with_access() -> (Fixture, Enrolments) {
    let fixture = Fixture::new().await;
    let value = "until 2999-05-30 tls=1.0,1.1 cleartext";
    fixture
        .set(Scope::Installation, Name::LegacyAccess, value)
        .await;
    let enrolments = Enrolments::new(fixture.store.clone());
    (fixture, enrolments)
}

async fn ruling(
    fixture: &Fixture,
    door: Door,
    tls: Option<TlsVersion>,
) -> Result<(), &'static str> {
    let policies = fixture.policies().await;
    let policy = policies.snapshot();
    let attempt = Attempt {
        service: Service::Imap,
        door,
        tls,
        sender: Some(Sender {
            account: Some(fixture.anna),
            domain: "firma.test",
            group: Some("business"),
        }),
        enrolled: policy.enrolled(fixture.anna),
        help: "https://help.test/",
        now: fixture.clock.now(),
    };
    match login(&policy, &attempt) {
        Ruling::Admit(_) => Ok(()),
        Ruling::Refuse(refusal) => Err(refusal.reason),
    }
}

#[tokio::test]
async fn only_the_enrolled_get_in() {
    let (fixture, enrolments) = with_access().await;
    let old = Some(TlsVersion::V1_0);
    assert_eq!(
        ruling(&fixture, Door::Legacy, old).await,
        Err("legacy-not-enrolled")
    );
    let anna = key("anna@firma.test");
    enrolments.enrol(&anna, None, author()).await.unwrap();
    assert_eq!(ruling(&fixture, Door::Legacy, old).await, Ok(()));
    assert_eq!(
        enrolments.list(10).await.unwrap()[0].login,
        "anna@firma.test"
    );
    assert!(enrolments.withdraw(&anna, author()).await.unwrap());
    assert!(ruling(&fixture, Door::Legacy, old).await.is_err());
    assert!(!enrolments.withdraw(&anna, author()).await.unwrap());
    let history = enrolments.history(10).await.unwrap();
    assert_eq!(history.len(), 2);
    assert_eq!(history[0].what, "withdrawn: anna@firma.test");
}

#[tokio::test]
async fn nobody_is_enrolled_after_the_end_or_against_the_domain() {
    let (fixture, enrolments) = with_access().await;
    let anna = key("anna@firma.test");
    let mut late = author();
    late.now = Timestamp(i64::MAX / 2);
    let error = enrolments
        .enrol(&anna, None, late.clone())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("has ended"), "{error}");
    let says_what_to_do = error
        .to_string()
        .contains("rohrpost policy set installation");
    assert!(says_what_to_do, "{error}");
    let error = enrolments.enrol(&anna, Some(late.now), author()).await;
    assert!(matches!(error, Err(PolicyError::Invalid(_))));
    let firma = Scope::Domain(anna.domain().clone());
    fixture.set(firma, Name::LegacyAccess, "forbidden").await;
    let error = enrolments.enrol(&anna, None, author()).await.unwrap_err();
    assert!(error.to_string().contains("does not allow"), "{error}");
}

#[tokio::test]
async fn an_end_of_ones_own_comes_without_a_change() {
    let (fixture, enrolments) = with_access().await;
    let until = author().now.plus(std::time::Duration::from_secs(60));
    let anna = key("anna@firma.test");
    enrolments
        .enrol(&anna, Some(until), author())
        .await
        .unwrap();
    let policies = fixture.policies().await;
    assert!(policies.snapshot().enrolled(fixture.anna));
    fixture.clock.set(until);
    policies.refresh().await.unwrap();
    assert!(!policies.snapshot().enrolled(fixture.anna));
}

#[tokio::test]
async fn what_is_switched_off_is_off_and_everybody_is_told() {
    let (fixture, enrolments) = with_access().await;
    let anna = key("anna@firma.test");
    enrolments.enrol(&anna, None, author()).await.unwrap();
    let tls10 = Stopped {
        versions: OldVersions {
            tls10: true,
            tls11: false,
        },
        clear: None,
    };
    assert_eq!(enrolments.stop(tls10, author()).await.unwrap(), 1);
    let now = author().now;
    let usable = fixture.policies().await.snapshot().usable_at_gateway(now);
    assert!(!usable.versions.tls10 && usable.versions.tls11);
    assert_eq!(usable.clear, LegacyClear::Allowed);
    let door = Door::Legacy;
    assert!(
        ruling(&fixture, door, Some(TlsVersion::V1_0))
            .await
            .is_err()
    );
    assert!(ruling(&fixture, door, Some(TlsVersion::V1_1)).await.is_ok());
    let waiting = fixture.store.read(|tx| notices(tx, 10)).await.unwrap();
    let kinds: Vec<_> = waiting.iter().map(|notice| notice.kind).collect();
    assert_eq!(kinds, [NoticeKind::Enrolled, NoticeKind::SwitchedOff]);
    assert_eq!(waiting[1].detail, "tls-1.0");
    let done = waiting.clone();
    fixture
        .store
        .write(move |tx| forget_notices(tx, &done))
        .await
        .unwrap();
    assert!(
        fixture
            .store
            .read(|tx| notices(tx, 10))
            .await
            .unwrap()
            .is_empty()
    );
    let clear = Stopped {
        clear: Some(LegacyClear::Refused),
        ..Stopped::default()
    };
    enrolments.stop(clear, author()).await.unwrap();
    assert!(ruling(&fixture, door, None).await.is_err());
    assert_eq!(enrolments.stops().await.unwrap().len(), 2);
    enrolments.resume(clear, author()).await.unwrap();
    enrolments.resume(tls10, author()).await.unwrap();
    assert!(ruling(&fixture, door, None).await.is_ok());
    assert!(ruling(&fixture, door, Some(TlsVersion::V1_0)).await.is_ok());
}

#[tokio::test]
async fn the_switch_counts_at_the_normal_hosts_too() {
    let (fixture, enrolments) = with_access().await;
    for name in [Name::TlsVersion, Name::Cleartext] {
        let value = match name {
            Name::TlsVersion => "1.2 observe; 2999-01-01 enforce",
            _ => "observe; 2999-01-01 enforce",
        };
        fixture
            .set_item(Scope::Installation, name, "imap", value)
            .await;
    }
    let old = Some(TlsVersion::V1_1);
    assert!(ruling(&fixture, Door::Normal, old).await.is_ok());
    assert!(ruling(&fixture, Door::Normal, None).await.is_ok());
    let all = Stopped {
        versions: OldVersions {
            tls10: true,
            tls11: true,
        },
        clear: Some(LegacyClear::Refused),
    };
    enrolments.stop(all, author()).await.unwrap();
    assert!(ruling(&fixture, Door::Normal, old).await.is_err());
    assert!(ruling(&fixture, Door::Normal, None).await.is_err());
}

#[tokio::test]
async fn the_end_is_acted_on_once() {
    let (fixture, enrolments) = with_access().await;
    let anna = key("anna@firma.test");
    enrolments.enrol(&anna, None, author()).await.unwrap();
    let end = fixture.policies().await.snapshot().legacy_end().unwrap();
    assert_eq!(enrolments.note_end(end, end).await.unwrap(), 1);
    assert_eq!(enrolments.note_end(end, end).await.unwrap(), 0);
}

#[tokio::test]
async fn what_is_opened_anew_is_open_to_nobody_of_before() {
    opens_anew(Fixture::new().await).await;
}

#[test]
fn postgresql_opens_anew_likewise() {
    Fixture::on_postgresql(opens_anew);
}

async fn opens_anew(fixture: Fixture) {
    let enrolments = Enrolments::new(fixture.store.clone());
    let anna = key("anna@firma.test");
    let firma = Scope::Domain(anna.domain().clone());
    let all = || Scope::Installation;
    let set = async |scope, value| fixture.set(scope, Name::LegacyAccess, value).await;
    let unset = async |scope: Scope| {
        let unset = fixture
            .admin
            .unset(scope, Name::LegacyAccess, String::new(), author());
        unset.await.unwrap();
    };
    let old = Some(TlsVersion::V1_0);
    let enrolled = async || ruling(&fixture, Door::Legacy, old).await;
    let open = "until 2999-05-30 tls=1.0";

    // Lengthened or shortened while it is open: the same access.
    set(all(), "until 2999-01-30 tls=1.0").await;
    enrolments.enrol(&anna, None, author()).await.unwrap();
    set(all(), open).await;
    assert_eq!(enrolled().await, Ok(()));

    // Closed and opened, by the installation or the domain.
    for close in ["off", "forbidden", "until 2026-05-30 tls=1.0"] {
        for scope in [all(), firma.clone()] {
            set(scope.clone(), close).await;
            set(scope.clone(), open).await;
            let told = enrolled().await;
            assert_eq!(told, Err("legacy-not-enrolled"), "{close} {scope}");
            enrolments.enrol(&anna, None, author()).await.unwrap();
            assert_eq!(enrolled().await, Ok(()));
        }
        unset(firma.clone()).await;
    }
    // The domain's no is taken back, and the installation's yes holds again.
    set(firma.clone(), "forbidden").await;
    unset(firma.clone()).await;
    assert_eq!(enrolled().await, Err("legacy-not-enrolled"));
    enrolments.enrol(&anna, None, author()).await.unwrap();
    // What one file says at once closes nothing in between.
    let both = vec![(
        String::new(),
        crate::testing::wanted(firma.clone(), Name::LegacyAccess, open),
    )];
    let gone = vec![(all(), Name::LegacyAccess, String::new())];
    let identities = crate::identities::Wanted::default();
    let applied = fixture.admin.apply(both, gone, identities, author()).await;
    applied.unwrap();
    assert_eq!(enrolled().await, Ok(()));

    // Reached its day, and opened a month later.
    fixture.clock.set(Timestamp(32_700_000_000_000));
    let mut late = author();
    late.now = fixture.clock.now();
    let wanted = crate::testing::wanted(firma, Name::LegacyAccess, "until 3007-01-30 tls=1.0");
    let warnings = fixture.admin.set(wanted, late).await.unwrap();
    let warned = warnings.iter().any(|text| text.contains("1 accounts were"));
    assert!(warned, "{warnings:?}");
    assert_eq!(enrolled().await, Err("legacy-not-enrolled"));
    let history = enrolments.history(1).await.unwrap();
    assert_eq!(
        history[0].what,
        "enrolments at firma.test that were over: 1"
    );
}
