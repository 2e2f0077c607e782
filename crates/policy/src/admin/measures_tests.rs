//! Measures as operators change them: what is refused, what is paused, taken back and excepted from, and that
//! two nodes always hold the same.

use super::measures::{Exception, Place, Restored};
use super::*;
use crate::measure::{Measure, Service};
use crate::model::*;
use crate::testing::*;
use crate::{Legacy, LegacyClear, Stage};
use std::time::Duration;

const OPEN: &str = "observe; 2099-01-01 enforce";

fn place(scope: Scope, name: Name, item: &str) -> Place {
    Place {
        scope,
        name,
        item: item.to_owned(),
    }
}

fn everywhere(name: Name) -> Place {
    place(Scope::Installation, name, "*")
}

fn anna(fixture: &Fixture) -> Sender<'static> {
    Sender {
        account: Some(fixture.anna),
        domain: "firma.test",
        group: Some("business"),
    }
}

async fn try_set(fixture: &Fixture, wanted: Wanted) -> Result<Vec<String>, String> {
    let set = fixture.admin.set(wanted, author()).await;
    set.map_err(|error| error.to_string())
}

#[tokio::test]
async fn what_lets_old_things_in_says_when_that_ends() {
    let fixture = Fixture::new().await;
    let here = Scope::Installation;
    for (name, value) in [
        (Name::Cleartext, "observe"),
        (Name::Cleartext, "off"),
        (Name::Cleartext, "observe; 2099-01-01 warn"),
        (Name::Cleartext, "enforce; 2099-01-01 observe"),
        (Name::TlsVersion, "1.2 warn"),
    ] {
        let mut wanted = wanted(here.clone(), name, value);
        wanted.item = "*".into();
        let why = try_set(&fixture, wanted.clone()).await.unwrap_err();
        assert!(why.contains("must name the day"), "{why}");
        // An exception has its end instead.
        wanted.expires_at = Some(NOON.plus(Duration::from_secs(60)));
        wanted.scope = Scope::Account(fixture.anna);
        try_set(&fixture, wanted).await.unwrap();
    }
    for (name, value) in [
        (Name::Cleartext, OPEN),
        (Name::TlsVersion, "1.2 observe; 2099-01-01 enforce"),
        (Name::TlsVersion, "1.3 observe"),
    ] {
        let mut wanted = wanted(here.clone(), name, value);
        wanted.item = "*".into();
        assert_eq!(try_set(&fixture, wanted).await, Ok(Vec::new()));
    }
    let mut canary = wanted(
        here.clone(),
        Name::Cleartext,
        "warn; 2099-01-01 enforce; canary=10%",
    );
    canary.item = "imap".into();
    let warnings = try_set(&fixture, canary).await.unwrap();
    assert!(warnings[0].contains("never reach enforce"), "{warnings:?}");
}

#[tokio::test]
async fn a_setting_that_could_never_have_an_effect_is_refused() {
    let fixture = Fixture::new().await;
    for item in ["mx", "http", "managesieve", "imap", "pop3", "submission"] {
        for (value, only_where_old) in [
            ("1.2 observe; 2099-01-01 enforce", true),
            ("1.2 enforce; paused=observe", true),
            ("1.2 enforce", false),
            ("1.3 observe; 2099-01-01 enforce", false),
        ] {
            let mut wanted = wanted(Scope::Installation, Name::TlsVersion, value);
            wanted.item = item.into();
            let set = try_set(&fixture, wanted).await;
            let old = ["imap", "pop3", "submission"].contains(&item);
            match only_where_old && !old {
                true => {
                    let why = set.unwrap_err();
                    assert!(why.contains("at submission, imap, pop3"), "{why}");
                }
                false => drop(set.unwrap()),
            }
        }
    }
}

#[tokio::test]
async fn legacy_access_ends_and_warns_where_it_lasts() {
    let fixture = Fixture::new().await;
    let policies = fixture.policies().await;
    // 2027-01-15 is today.
    for (until, warning) in [
        ("2027-04-14", None),
        ("2027-04-16", Some("more than 90 days")),
        ("2027-01-14", Some("has passed")),
        ("2027-02-28", None),
    ] {
        let value = format!("until {until} cleartext");
        let wanted = wanted(Scope::Installation, Name::LegacyAccess, &value);
        let warnings = try_set(&fixture, wanted).await.unwrap();
        match warning {
            None => assert!(warnings.is_empty(), "{until} {warnings:?}"),
            Some(text) => assert!(warnings[0].contains(text), "{until} {warnings:?}"),
        }
    }
    policies.refresh().await.unwrap();
    let anna = anna(&fixture);
    let legacy = policies.snapshot().legacy(&anna, NOON);
    let Legacy::Until {
        end,
        versions,
        clear,
    } = legacy
    else {
        panic!("{legacy:?}");
    };
    assert!(versions.tls10 && versions.tls11);
    assert_eq!(clear, LegacyClear::Allowed);
    assert_eq!(policies.snapshot().legacy(&anna, end), Legacy::Off);
    fixture
        .set(domain("firma.test"), Name::LegacyAccess, "forbidden")
        .await;
    policies.refresh().await.unwrap();
    assert_eq!(policies.snapshot().legacy(&anna, NOON), Legacy::Forbidden);
}

#[tokio::test]
async fn items_are_services() {
    let fixture = Fixture::new().await;
    for (name, value, item, right) in [
        (Name::Cleartext, OPEN, "imap", true),
        (Name::Cleartext, OPEN, "", true),
        (Name::Cleartext, OPEN, "mx", false),
        (Name::Cleartext, OPEN, "relay", false),
        (Name::Cleartext, OPEN, "smtp", false),
        (Name::TlsVersion, "1.3", "relay", false),
        (Name::TlsVersion, "1.3", "IMAP", false),
    ] {
        let mut wanted = wanted(Scope::Installation, name, value);
        wanted.item = item.into();
        let set = try_set(&fixture, wanted).await;
        assert_eq!(set.is_ok(), right, "{name}/{item}: {set:?}");
    }
}

#[tokio::test]
async fn a_pause_is_taken_back_without_a_trace() {
    let fixture = Fixture::new().await;
    let policies = fixture.policies().await;
    let anna = anna(&fixture);
    let cleartext = Measure::Cleartext(Service::Imap);
    let admin = &fixture.admin;
    let imap = place(domain("firma.test"), Name::Cleartext, "imap");
    let nothing = admin.resume(imap.clone(), author()).await.unwrap_err();
    assert!(
        nothing.to_string().contains("nothing to resume"),
        "{nothing}"
    );
    let paused = admin.pause(imap.clone(), Stage::Observe, author()).await;
    assert_eq!(paused.unwrap().to_string(), "enforce; paused=observe");
    policies.refresh().await.unwrap();
    assert_eq!(
        policies.snapshot().stage(&cleartext, &anna, NOON).value,
        Stage::Observe
    );
    admin.resume(imap.clone(), author()).await.unwrap();
    assert_eq!(admin.settings().await.unwrap(), Vec::new());

    fixture
        .set_item(Scope::Installation, Name::Cleartext, "*", OPEN)
        .await;
    let all = everywhere(Name::Cleartext);
    admin
        .pause(all.clone(), Stage::Off, author())
        .await
        .unwrap();
    assert!(
        admin
            .pause(all.clone(), Stage::Enforce, author())
            .await
            .is_err()
    );
    let value = admin.resume(all, author()).await.unwrap();
    assert_eq!(value.to_string(), OPEN);
    let weight = place(Scope::Installation, Name::Weight, "");
    assert!(admin.pause(weight, Stage::Off, author()).await.is_err());
    let off = place(Scope::Installation, Name::OutboundTls, "");
    assert!(admin.pause(off, Stage::Off, author()).await.is_err());
}

#[tokio::test]
async fn a_rollback_restores_what_was_before_the_last_change() {
    let fixture = Fixture::new().await;
    let admin = &fixture.admin;
    let all = everywhere(Name::TlsVersion);
    let here = Scope::Installation;
    let never = admin.rollback(all.clone(), author()).await.unwrap_err();
    assert!(never.to_string().contains("never changed"), "{never}");
    fixture
        .set_item(here.clone(), Name::TlsVersion, "*", "1.3 observe")
        .await;
    fixture
        .set_item(here.clone(), Name::TlsVersion, "*", "1.3 enforce")
        .await;
    let restored = |now: Option<&str>, before: Option<&str>| Restored {
        now: now.map(str::to_owned),
        before: before.map(str::to_owned),
        warnings: Vec::new(),
    };
    for (now, before) in [
        ("1.3 observe", "1.3 enforce"),
        ("1.3 enforce", "1.3 observe"),
    ] {
        let back = admin.rollback(all.clone(), author()).await.unwrap();
        assert_eq!(back, restored(Some(now), Some(before)));
    }
    let unset = admin.unset(here.clone(), Name::TlsVersion, "*".into(), author());
    unset.await.unwrap();
    let back = admin.rollback(all.clone(), author()).await.unwrap();
    assert_eq!(back, restored(Some("1.3 enforce"), None));
    let back = admin.rollback(all, author()).await.unwrap();
    assert_eq!(back, restored(None, Some("1.3 enforce")));
    assert_eq!(admin.settings().await.unwrap(), Vec::new());
}

#[tokio::test]
async fn a_rollback_restores_ends_and_consents() {
    let fixture = Fixture::new().await;
    let admin = &fixture.admin;
    let of_anna = Scope::Account(fixture.anna);
    let mut exception = wanted(of_anna.clone(), Name::SenderOwnership, "off");
    let end = NOON.plus(Duration::from_secs(3600));
    exception.expires_at = Some(end);
    try_set(&fixture, exception).await.unwrap();
    fixture
        .set(of_anna.clone(), Name::SenderOwnership, "enforce")
        .await;
    let ownership = place(of_anna, Name::SenderOwnership, "");
    admin.rollback(ownership.clone(), author()).await.unwrap();
    assert_eq!(admin.settings().await.unwrap()[0].expires_at, Some(end));
    // What has ended meanwhile does not come back.
    admin.rollback(ownership.clone(), author()).await.unwrap();
    let later = Author {
        now: end,
        ..author()
    };
    assert_eq!(admin.rollback(ownership, later).await.unwrap().now, None);

    let mut inbound = wanted(domain("firma.test"), Name::InboundTls, "required");
    inbound.consent = Some(Consent {
        by: "anna".into(),
        text_version: CONSENT_TEXT_VERSION.into(),
    });
    try_set(&fixture, inbound).await.unwrap();
    fixture
        .set(domain("firma.test"), Name::InboundTls, "off")
        .await;
    let tls = place(domain("firma.test"), Name::InboundTls, "");
    let back = admin.rollback(tls, author()).await.unwrap();
    assert_eq!(back.now.as_deref(), Some("required"));
}

#[tokio::test]
async fn an_exception_has_an_owner_a_reason_and_an_end() {
    let fixture = Fixture::new().await;
    let policies = fixture.policies().await;
    let exception = |scope: Scope, name, item: &str| Exception {
        place: place(scope, name, item),
        stage: Stage::Observe,
        until: NOON.plus(Duration::from_secs(3600)),
        owner: "Support, ticket 17".into(),
    };
    let of_anna = || exception(Scope::Account(fixture.anna), Name::TlsVersion, "imap");
    let admin = &fixture.admin;
    let except = |exception, author| async move {
        let made = admin.except(exception, author).await;
        made.map(drop).map_err(|error| error.to_string())
    };
    let no_reason = Author {
        reason: " ".into(),
        ..author()
    };
    let outbound = exception(Scope::Account(fixture.anna), Name::OutboundTls, "");
    for (wrong, by, why) in [
        (of_anna(), no_reason, "a reason"),
        (
            Exception {
                owner: "".into(),
                ..of_anna()
            },
            author(),
            "who answers",
        ),
        (
            Exception {
                until: NOON,
                ..of_anna()
            },
            author(),
            "in the future",
        ),
        (
            exception(Scope::Installation, Name::Cleartext, "*"),
            author(),
            "for everybody",
        ),
        (outbound, author(), "strictest"),
    ] {
        let said = except(wrong, by).await.unwrap_err();
        assert!(said.contains(why), "{said}");
    }
    fixture
        .set_item(Scope::Installation, Name::TlsVersion, "*", "1.3 enforce")
        .await;
    except(of_anna(), author()).await.unwrap();
    let rows = admin.settings().await.unwrap();
    let row = rows.iter().find(|row| row.expires_at.is_some()).unwrap();
    assert_eq!(row.owner.as_deref(), Some("Support, ticket 17"));
    assert_eq!(row.value.to_string(), "1.3 observe");
    policies.refresh().await.unwrap();
    let (snapshot, anna) = (policies.snapshot(), anna(&fixture));
    let stage = |now| snapshot.lowest_tls(Service::Imap, &anna, now).value.1;
    assert_eq!(stage(NOON), Stage::Observe);
    assert_eq!(stage(NOON.plus(Duration::from_secs(3600))), Stage::Enforce);
}

#[tokio::test]
async fn mandatory_tls_has_stages() {
    let fixture = Fixture::new().await;
    let policies = fixture.policies().await;
    let anna = anna(&fixture);
    fixture
        .set(domain("firma.test"), Name::OutboundTls, "required observe")
        .await;
    fixture
        .set(
            Scope::Installation,
            Name::OutboundTls,
            "authenticated warn; 2027-01-16 enforce",
        )
        .await;
    let mut inbound = wanted(
        domain("firma.test"),
        Name::InboundTls,
        "required [warn; 2027-01-16 enforce]",
    );
    inbound.consent = Some(Consent {
        by: "anna".into(),
        text_version: CONSENT_TEXT_VERSION.into(),
    });
    try_set(&fixture, inbound).await.unwrap();
    policies.refresh().await.unwrap();
    let snapshot = policies.snapshot();
    // 2027-01-15T08:00Z is now; the day ends in Berlin.
    let midnight = snapshot.day_end(NOON);
    let before = Timestamp(midnight.0 - 1);
    for (now, outbound, stage) in [
        (NOON, OutboundTls::Off, Stage::Warn),
        (before, OutboundTls::Off, Stage::Warn),
        (midnight, OutboundTls::Authenticated, Stage::Enforce),
    ] {
        assert_eq!(snapshot.outbound_tls(&anna, now).value, outbound);
        for measure in [Measure::OutboundTls, Measure::InboundTls] {
            assert_eq!(
                snapshot.stage(&measure, &anna, now).value,
                stage,
                "{measure}"
            );
        }
        let taken_over_tls_only = snapshot.inbound_tls("firma.test", now).is_some();
        assert_eq!(taken_over_tls_only, stage == Stage::Enforce);
    }
    assert_eq!(snapshot.next_change(NOON), Some(midnight));
}

mod nodes_agree {
    use super::*;
    use proptest::prelude::*;

    /// All but the first name one of the places that were changed before, by its number.
    #[derive(Debug, Clone)]
    enum Change {
        /// One setting, or several at once, as `apply` makes them.
        Set(Vec<(usize, usize, usize)>),
        Unset(usize),
        Pause(usize),
        Resume(usize),
        Rollback(usize),
        Refresh(usize),
    }

    const MEASURES: [(Name, &str); 5] = [
        (Name::Cleartext, "*"),
        (Name::Cleartext, "imap"),
        (Name::TlsVersion, "imap"),
        (Name::SenderOwnership, ""),
        (Name::OutboundTls, ""),
    ];
    const SCHEDULES: [&str; 4] = [
        "enforce",
        "observe; 2027-01-16 enforce",
        "warn; 2027-01-16 enforce; 2027-03-28T02:30 observe; 2027-06-01 enforce; canary=50%",
        "off; 2027-10-31T02:30 enforce; paused=warn",
    ];

    fn change() -> impl Strategy<Value = Change> {
        let one = (0..4usize, 0..MEASURES.len(), 0..SCHEDULES.len());
        prop_oneof![
            4 => prop::collection::vec(one, 1..4).prop_map(Change::Set),
            2 => (0..99usize).prop_map(Change::Unset),
            1 => (0..99usize).prop_map(Change::Pause),
            1 => (0..99usize).prop_map(Change::Resume),
            3 => (0..99usize).prop_map(Change::Rollback),
            4 => (0..2usize).prop_map(Change::Refresh),
        ]
    }

    fn scope(fixture: &Fixture, n: usize) -> Scope {
        match n {
            0 => Scope::Installation,
            1 => Scope::Group("business".into()),
            2 => domain("firma.test"),
            _ => Scope::Account(fixture.anna),
        }
    }

    fn of(fixture: &Fixture, (s, m, v): (usize, usize, usize)) -> Wanted {
        let (name, item) = MEASURES[m];
        let value = match name {
            Name::TlsVersion => format!("1.3 {}", SCHEDULES[v]),
            Name::OutboundTls => format!("required {}", SCHEDULES[v]),
            _ => SCHEDULES[v].to_owned(),
        };
        Wanted {
            item: item.to_owned(),
            ..wanted(scope(fixture, s), name, &value)
        }
    }

    /// What does not fit (nothing to resume, no longer set) changes nothing.
    async fn carry_out(
        fixture: &Fixture,
        nodes: &[crate::Policies; 2],
        change: Change,
        touched: &mut Vec<(usize, usize)>,
    ) {
        let admin = &fixture.admin;
        let at = |n: usize| {
            let (s, m) = touched
                .get(n % touched.len().max(1))
                .copied()
                .unwrap_or((0, 0));
            place(scope(fixture, s), MEASURES[m].0, MEASURES[m].1)
        };
        match change {
            Change::Set(all) => {
                touched.extend(all.iter().map(|(s, m, _)| (*s, *m)));
                let all = all.into_iter().map(|one| (String::new(), of(fixture, one)));
                let none = identities::Wanted::default();
                let apply = admin.apply(all.collect(), Vec::new(), none, author());
                apply.await.unwrap();
            }
            Change::Unset(n) => {
                let at = at(n);
                drop(admin.unset(at.scope, at.name, at.item, author()).await);
            }
            Change::Pause(n) => drop(admin.pause(at(n), Stage::Observe, author()).await),
            Change::Resume(n) => drop(admin.resume(at(n), author()).await),
            Change::Rollback(n) => drop(admin.rollback(at(n), author()).await),
            Change::Refresh(node) => nodes[node].refresh().await.unwrap(),
        }
    }

    /// Every moment at which something could change, and the one before it.
    fn moments() -> Vec<Timestamp> {
        let zone = crate::Zone::default();
        let dates = [
            "2027-01-16",
            "2027-03-28T02:30",
            "2027-06-01",
            "2027-10-31T02:30",
        ];
        let at = |text: &str| zone.beginning(text.parse().unwrap());
        let around = dates
            .iter()
            .flat_map(|text| [Timestamp(at(text).0 - 1), at(text)]);
        around.chain([NOON]).collect()
    }

    fn stages(policies: &crate::Policies) -> Vec<Stage> {
        let snapshot = policies.snapshot();
        let mut stages = Vec::new();
        for account in 0..6 {
            let sender = Sender {
                account: Some(directory::AccountId(account)),
                domain: if account < 3 {
                    "firma.test"
                } else {
                    "other.test"
                },
                group: (account % 2 == 0).then_some("business"),
            };
            for measure in Measure::built_in() {
                for now in moments() {
                    stages.push(snapshot.stage(&measure, &sender, now).value);
                }
            }
        }
        stages
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
        #[test]
        fn whatever_is_changed_in_whatever_order(changes in prop::collection::vec(change(), 1..20)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let fixture = Fixture::new().await;
                let nodes = [fixture.policies().await, fixture.policies().await];
                let mut touched = Vec::new();
                for change in changes {
                    carry_out(&fixture, &nodes, change, &mut touched).await;
                }
                for node in &nodes {
                    node.refresh().await.unwrap();
                }
                // A third that has just started, long after all dates: nothing depends on when a node reads.
                fixture.clock.set(moments()[7].plus(Duration::from_secs(1)));
                let fresh = fixture.policies().await;
                let held = stages(&nodes[0]);
                prop_assert_eq!(&held, &stages(&nodes[1]));
                prop_assert_eq!(&held, &stages(&fresh));
                Ok(())
            })?;
        }
    }
}
