//! Rules in the store, recorded facts, replays, and what rules say about outgoing mail.

use super::{NOON, compiled};
use crate::measure::Zone;
use crate::model::{Sender, TlsLevel};
use crate::rules::record::{self, Recorded};
use crate::rules::replay::{Difference, Replay, Stages};
use crate::rules::store::{self, Change};
use crate::rules::*;
use crate::testing::{Fixture, author};
use platform::clock::{Clock, Timestamp};
use platform::random::Random;
use platform::store::Tx;
use std::time::Duration;

fn set(json: &str) -> RuleSet {
    RuleSet::from_json(json).unwrap()
}

fn rejecting(name: &str, when: &str) -> String {
    format!(
        r#"{{"name":"{name}","at":["rcpt"],"when":{when},"then":[{{"do":"reject","text":"no"}}]}}"#
    )
}

fn of(rules: &[String]) -> RuleSet {
    set(&format!(r#"{{"rules":[{}]}}"#, rules.join(",")))
}

#[tokio::test]
async fn a_version_is_made_where_nobody_was_faster_and_holds_at_the_next_look() {
    makes_versions(Fixture::new().await).await;
}

#[test]
fn postgresql_keeps_the_same() {
    Fixture::on_postgresql(makes_versions);
    Fixture::on_postgresql(counts_servers);
}

async fn makes_versions(fixture: Fixture) {
    let policies = fixture.policies().await;
    assert_eq!(policies.snapshot().rules().version(), 0);
    let put = |set: RuleSet, based_on| {
        let store = fixture.store.clone();
        async move {
            store
                .write(move |tx: &mut dyn Tx| store::put(tx, &set, based_on, &author()))
                .await
        }
    };
    let first = of(&[rejecting("a", "{}")]);
    assert_eq!(put(first.clone(), Some(0)).await.unwrap(), 1);
    assert_eq!(
        put(first.clone(), Some(1)).await.unwrap(),
        1,
        "nothing changed"
    );
    let second = of(&[rejecting("b", "{}"), rejecting("a", "{}")]);
    let late = put(second.clone(), Some(0)).await.unwrap_err();
    assert!(late.to_string().contains("changed meanwhile"), "{late}");
    assert_eq!(put(second.clone(), Some(1)).await.unwrap(), 2);
    policies.refresh().await.unwrap();
    let snapshot = policies.snapshot();
    assert_eq!(
        (snapshot.rules().version(), &**snapshot.rules().set()),
        (2, &second)
    );
    let read = fixture.store.read(|tx: &mut dyn Tx| {
        let old = store::version(tx, 1)?;
        Ok::<_, platform::store::StoreError>((old, store::versions(tx, 10)?))
    });
    let (old, all) = read.await.unwrap();
    assert_eq!(old.unwrap().1, first);
    let numbers: Vec<_> = all.iter().map(|one| one.number).collect();
    assert_eq!((numbers, all[0].reason.as_str()), (vec![2, 1], "to see"));
}

#[tokio::test]
async fn a_group_or_pool_that_does_not_exist_is_refused_when_a_rule_comes_to_name_it() {
    let fixture = Fixture::new().await;
    let put = |rules: Vec<String>| {
        let (store, set) = (fixture.store.clone(), of(&rules));
        async move {
            store
                .write(move |tx: &mut dyn Tx| store::put(tx, &set, None, &author()))
                .await
        }
    };
    let grouped =
        r#"{"name":"g","at":["data"],"then":[{"do":"group","name":"nobody"}]}"#.to_owned();
    let asking = rejecting(
        "a",
        r#"{"fact":"account-group","op":"is-one-of","value":["nobody"]}"#,
    );
    let pooled =
        r#"{"name":"p","at":["deliver"],"then":[{"do":"pool","name":"nowhere"}]}"#.to_owned();
    for (rule, said) in [
        (&grouped, "g names the group nobody"),
        (&asking, "a names the group nobody"),
        (&pooled, "p names the pool nowhere"),
    ] {
        let refused = put(vec![rule.clone()]).await.unwrap_err().to_string();
        assert!(refused.contains(said), "{refused}");
    }
    let make = |tx: &mut dyn Tx| {
        tx.execute(
            "INSERT INTO directory_groups (name, description) VALUES ('nobody', '')",
            &[],
        )
    };
    fixture.store.write(make).await.unwrap();
    put(vec![grouped.clone()]).await.unwrap();
    // The group goes: who changes another rule need not mend this one.
    let remove = |tx: &mut dyn Tx| tx.execute("DELETE FROM directory_groups", &[]);
    fixture.store.write(remove).await.unwrap();
    put(vec![grouped, rejecting("b", "{}")]).await.unwrap();
}

#[test]
fn differences_between_sets_are_named() {
    let (a, b, c) = (
        rejecting("a", "{}"),
        rejecting("b", "{}"),
        rejecting("c", "{}"),
    );
    let changed = rejecting("b", r#"{"fact":"tls","value":true}"#);
    let before = of(&[a.clone(), b, c.clone()]);
    let after = of(&[c, rejecting("d", "{}"), changed]);
    assert_eq!(
        store::diff(&before, &after),
        [
            Change::Removed("a".into()),
            Change::Added("d".into()),
            Change::Changed("b".into()),
            Change::Moved("c".into()),
            Change::Moved("b".into()),
        ]
    );
    assert_eq!(store::diff(&before, &before), []);
}

#[tokio::test]
async fn findings_about_servers_are_counted_by_sender_domain() {
    counts_servers(Fixture::new().await).await;
}

async fn counts_servers(fixture: Fixture) {
    let policies = fixture.policies().await;
    let json = rejecting("r", "{}").replace(r#""at""#, r#""schedule":"observe","at""#);
    let rules = compiled(&format!(r#"{{"rules":[{json}]}}"#));
    let decision = evaluate(&rules, Point::Rcpt, &Facts::default(), NOON);
    for domain in ["a.test", "b.test", "a.test"] {
        policies.watch().note(&decision, None, domain, NOON);
    }
    policies
        .watch()
        .note(&decision, Some(fixture.anna), "firma.test", NOON);
    policies.watch().flush().await.unwrap();
    policies.watch().note(&decision, None, "a.test", NOON);
    policies.watch().flush().await.unwrap();
    let read = |tx: &mut dyn Tx| servers::list(tx, Some("r"), 10);
    let seen = fixture.store.read(read).await.unwrap();
    let counts: Vec<_> = seen
        .iter()
        .map(|one| (one.domain.as_str(), one.seen))
        .collect();
    assert_eq!(counts, [("a.test", 3), ("b.test", 1)]);
    let findings = |tx: &mut dyn Tx| crate::findings::list(tx, None, 10);
    let found = fixture.store.read(findings).await.unwrap();
    assert_eq!(found[0].1.measure.to_string(), "rule/r");
}

#[tokio::test]
async fn what_is_recorded_can_be_read_again_without_what_it_said() {
    let files = tempfile::tempdir().unwrap();
    let dir = files.path().join("facts");
    let clock = Clock::settable(NOON);
    let (recorder, mut writer) = record::recorder(dir.clone(), clock.clone(), Random::seeded(1));
    let rules = compiled(
        r#"{"rules":[{"name":"r","at":["data"],"when":{"fact":"header:Subject","value":"Secret Plan"},
            "then":[{"do":"reject","text":"no"}]}]}"#,
    );
    let headers = HeaderFacts::read(
        b"Subject: secret plan\r\nX: y\r\n\r\n",
        rules.header_names(),
    );
    let facts = Facts {
        client: Known::Is([192, 0, 2, 7].into()),
        sender: Known::Is("x@far.test"),
        headers: Known::Is(&headers),
        ..Facts::default()
    };
    // What was recorded before the day's first turn has another salt, and is read with it.
    recorder.record(Point::Data, &facts, NOON);
    writer.turn().await;
    recorder.record(Point::Data, &facts, NOON);
    writer.turn().await;
    let read = || {
        let mut found: Vec<Recorded> = Vec::new();
        record::read(&dir, Timestamp(0), |one| found.push(one.clone())).unwrap();
        found
    };
    let found = read();
    assert_eq!(found.len(), 2);
    assert_ne!(found[0].salt, found[1].salt);
    // The end of a piece that a crash cut off.
    let path = std::fs::read_dir(&dir)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 20]).unwrap();
    assert!(!read().is_empty());
    let one = found[0].clone();
    only_hashes_are_left(&one);
    // Seven days later it is gone.
    assert!(clock.set(NOON.plus(Duration::from_secs(7 * 24 * 3600))));
    writer.turn().await;
    assert!(read().is_empty());
}

/// What can still be told of a message whose subject was "secret plan".
fn only_hashes_are_left(one: &Recorded) {
    let kept = serde_json::to_string(one).unwrap();
    assert!(!kept.to_lowercase().contains("secret"), "{kept}");
    let holds = |json: &str| {
        let rules = compiled(json);
        one.case.prepare(one.salt).at(Point::Data, |facts| {
            let decision = evaluate(&rules, Point::Data, facts, NOON);
            (decision.ruling.is_some(), decision.undecided.len())
        })
    };
    let rule = |when: &str| {
        format!(
            r#"{{"rules":[{{"name":"r","at":["data"],"when":{when},"then":[{{"do":"reject"}}]}}]}}"#
        )
    };
    assert_eq!(
        holds(&rule(r#"{"fact":"header:subject","value":"SECRET plan"}"#)),
        (true, 0)
    );
    assert_eq!(
        holds(&rule(r#"{"fact":"header:subject","value":"other"}"#)),
        (false, 0)
    );
    let looks_in = r#"{"fact":"header:subject","op":"contains","value":"plan"}"#;
    assert_eq!(holds(&rule(looks_in)), (false, 1), "only a hash is known");
    let not_asked = r#"{"fact":"header:x","op":"present"}"#;
    assert_eq!(
        holds(&rule(not_asked)),
        (false, 1),
        "nobody looked for it then"
    );
}

#[test]
fn a_replay_names_whom_a_change_concerns() {
    let from = |sender: &str, account: Option<&str>, to: &str| Recorded {
        at: NOON.0,
        point: Point::Rcpt,
        salt: 0,
        case: Case {
            sender: Some(sender.to_owned()),
            account: account.map(str::to_owned),
            recipients: vec![CaseRecipient {
                address: to.to_owned(),
                group: None,
            }],
            ..Case::default()
        },
    };
    let cases = [
        from("a@one.test", None, "x@here.test"),
        from("b@one.test", None, "x@here.test"),
        from("anna@firma.test", Some("anna@firma.test"), "y@far.test"),
        from("c@two.test", None, "x@here.test"),
        from("d@three.test", None, "x@here.test"),
    ];
    let sender = |domain: &str| format!(r#"{{"fact":"sender-domain","value":"{domain}"}}"#);
    let present = of(&[rejecting("old", &sender("two.test"))]);
    let changed = of(&[
        rejecting("strict", &sender("one.test")),
        rejecting("customers", r#"{"fact":"authenticated","value":true}"#),
        rejecting(
            "named",
            r#"{"all":[{"fact":"sender-domain","value":"three.test"},{"fact":"reverse-name","value":"x"}]}"#,
        ),
    ]);
    let mut replay = Replay::new(
        &present,
        &changed,
        Stages::AsTheyAre,
        &Zone::default(),
        NOON,
    );
    cases.iter().for_each(|case| replay.look(case));
    let report = replay.finish();
    let rows: Vec<_> = (report.rows.iter())
        .map(|(whom, count)| {
            (
                whom.difference,
                whom.who.as_str(),
                whom.rule.as_str(),
                *count,
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            (Difference::Refused, "anna@firma.test", "customers", 1),
            (Difference::Refused, "one.test", "strict", 2),
            (Difference::NoLongerRefused, "two.test", "", 1),
            (Difference::CannotBeTold, "three.test", "named", 1),
        ]
        .map(|(difference, who, rule, count)| match rule {
            "" => (difference, who, "old", count),
            rule => (difference, who, rule, count),
        })
    );
    assert_eq!(report.looked_at, 5);
}

#[tokio::test]
async fn a_rule_makes_outgoing_mail_stricter_never_laxer() {
    use crate::setting::Name;
    let fixture = Fixture::new().await;
    fixture
        .set_item(
            crate::Scope::Installation,
            Name::Destination,
            "partner.test",
            "secure version=1.3",
        )
        .await;
    for (item, level) in [("signed.test", "dane"), ("proved.test", "dane-only")] {
        fixture
            .set_item(crate::Scope::Installation, Name::Destination, item, level)
            .await;
    }
    let rules = set(
        r#"{"rules":[{"name":"tls","at":["deliver"],"when":{"fact":"sender-domain","value":"firma.test"},
            "then":[{"do":"require-tls"},{"do":"source","addresses":["192.0.2.9","2001:db8::9"]}]}]}"#,
    );
    let put = move |tx: &mut dyn Tx| store::put(tx, &rules, None, &author());
    fixture.store.write(put).await.unwrap();
    let snapshot = fixture.policies().await.snapshot();
    let leaves = |from: &'static str, to: &str| {
        let sender = Sender {
            account: None,
            domain: from,
            group: None,
        };
        let outgoing = snapshot.outgoing(&sender, to, NOON);
        let rule = outgoing
            .destination
            .map(|rule| (rule.level, rule.version_min.as_str()));
        (
            rule,
            outgoing
                .pool
                .map(|pool| (pool.name.clone(), pool.v4.len(), pool.v6.len())),
        )
    };
    let is_by_rule = |to: &str| {
        let sender = Sender {
            account: None,
            domain: "firma.test",
            group: None,
        };
        let destination = snapshot.outgoing(&sender, to, NOON).destination;
        destination.is_some_and(|rule| rule.by_rule)
    };
    // Where `dane` alone would let mail go in clear, the rule does not.
    assert_eq!(
        ["far.test", "signed.test", "proved.test", "partner.test"].map(is_by_rule),
        [true, true, false, false]
    );
    let may = r#"{"rules":[{"name":"tls","at":["deliver"],"then":[{"do":"require-tls","level":"may"}]}]}"#;
    assert!(RuleSet::from_json(may).is_err(), "it would lift DANE");
    let pool = Some(("rule:tls".to_owned(), 1, 1));
    let encrypt = Some((TlsLevel::Encrypt, "TLSv1.2"));
    let secure = Some((TlsLevel::Secure, "TLSv1.3"));
    assert_eq!(leaves("firma.test", "far.test"), (encrypt, pool.clone()));
    assert_eq!(leaves("firma.test", "partner.test"), (secure, pool));
    assert_eq!(leaves("other.test", "partner.test"), (secure, None));
    assert_eq!(leaves("other.test", "far.test"), (None, None));
}

/// The tester knows the same of an attempt as the queue does.
#[test]
fn of_an_attempt_to_deliver_the_envelope_is_known() {
    let case = Case {
        sender: Some("x@firma.test".to_owned()),
        account: Some("x@firma.test".to_owned()),
        recipients: vec![CaseRecipient {
            address: "y@far.test".to_owned(),
            group: None,
        }],
        ..Case::default()
    };
    let knows = |when: &str| {
        let json = format!(
            r#"{{"rules":[{{"name":"r","at":["deliver"],"when":{when},"then":[{{"do":"accept"}}]}}]}}"#
        );
        let rules = compiled(&json);
        let prepared = case.prepare(0);
        prepared.at(Point::Deliver, |facts| {
            evaluate(&rules, Point::Deliver, facts, NOON)
                .ruling
                .is_some()
        })
    };
    assert!(knows(r#"{"fact":"recipient-domain","value":"far.test"}"#));
    assert!(knows(r#"{"fact":"authenticated","value":true}"#));
    assert!(knows(r#"{"fact":"direction","value":"outbound"}"#));
}
