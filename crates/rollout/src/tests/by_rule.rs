//! A rule of the operator's, and TLS for incoming mail, as steps of a rollout.

use super::*;
use crate::admin::TakenBack;
use crate::model::{Step, Visibility};
use policy::rules::{Facts, Known, Place, Point, Rule, RuleSet, evaluate, store};
use policy::setting::{Name, Value};
use policy::{Measure, Scope, Stage};

const RULE: &str = r#"{"name":"no-scanner","at":["mail"],"when":{"fact":"hello","value":"scanner"},
    "then":[{"do":"reject","text":"Please set the name\nof this host."}],"schedule":"observe"}"#;

fn step(measure: Measure, stage: Stage, date: &str) -> Step {
    Step {
        measure,
        value: None,
        stage,
        date: date.parse().unwrap(),
        visibility: Visibility::Public,
    }
}

fn of_rule() -> Rollout {
    let rule = || Measure::Rule("no-scanner".into());
    let mut plan = rollout();
    plan.legacy = None;
    plan.rounds.newsletter = None;
    plan.steps = vec![
        step(rule(), Stage::Warn, "2025-02-24"),
        step(rule(), Stage::Enforce, "2025-03-05"),
    ];
    plan
}

impl Town {
    async fn with_rule(&self, change: impl Fn(&RuleSet) -> RuleSet + Send + 'static) {
        let why = author(self.clock.now());
        let write = move |tx: &mut dyn Tx| store::change(tx, &why, |set| Ok(change(set)));
        self.store.write(write).await.unwrap();
        self.rollouts.policies.refresh().await.unwrap();
    }

    /// The schedule that holds; `None` where the rule is gone.
    async fn schedule(&self) -> Option<String> {
        let (_, set) = self.store.read(store::current).await.unwrap();
        let rule = set.named("no-scanner")?;
        Some(rule.schedule.to_string())
    }

    /// Sends a message as this account; tells whether it was taken.
    fn sends(&self, who: &str) -> bool {
        let (policies, now) = (&self.rollouts.policies, self.clock.now());
        let facts = Facts {
            hello: Known::Is("scanner"),
            account_number: Some(self.accounts[who]),
            ..Facts::default()
        };
        let snapshot = policies.snapshot();
        let decision = evaluate(snapshot.rules(), Point::Mail, &facts, now);
        let taken = decision.ruling.is_none();
        let watch = policies.watch();
        watch.note(&decision, facts.account_number, "firma.test", now);
        taken
    }

    async fn submits(&self, who: &str) {
        let seen = Seen {
            account: self.accounts[who],
            contact: Contact {
                service: Service::Submission,
                port: 465,
                encryption: Encryption::ImplicitTls,
                door: Door::Normal,
                tls: Some((TlsVersion::V1_3, "TLS_X")),
                client: OLD,
                outcome: Outcome::LoggedIn,
                peer: [192, 0, 2, 1].into(),
                now: self.clock.now(),
            },
        };
        self.connections.note(&seen);
        self.connections.flush().await.unwrap();
    }
}

fn rule() -> Rule {
    serde_json::from_str(RULE).unwrap()
}

async fn with_the_rule() -> Town {
    let town = Town::new("2025-02-10", &THREE).await;
    town.with_rule(|set| set.with(rule(), Place::Last).unwrap())
        .await;
    town
}

pub(super) async fn a_rule_is_announced_enforced_on_its_day_and_taken_back() {
    let mut town = with_the_rule().await;
    for who in &THREE[..2] {
        assert!(town.sends(who));
    }
    town.running(of_rule()).await;
    let planned = "observe; 2025-02-24 warn; 2025-03-05 enforce";
    assert_eq!(town.schedule().await.as_deref(), Some(planned));
    let impact = town.rollouts.impact("tls-2025", town.clock.now()).await;
    let impact = impact.unwrap();
    assert_eq!((impact.len(), impact[0].accounts.len()), (1, 2));

    let letters = town.on("2025-02-14T08:00").await;
    assert_eq!(letters, ["round anna@firma.test", "round bert@firma.test"]);
    let letter = town.letter(Kind::Round, "anna@firma.test").text;
    assert!(
        letter.contains("Please set the name of this host."),
        "{letter}"
    );
    for foreign in [
        "erschlüssel",
        "ncrypt",
        "TLS",
        "Programm",
        "program",
        "Gerät",
    ] {
        assert!(!letter.contains(foreign), "{foreign}: {letter}");
    }
    // Anna did what was asked and sends; nobody knows about Bert.
    assert!(town.clock.set(at("2025-02-17")));
    town.submits("anna@firma.test").await;
    let letters = town.on("2025-02-21T08:00").await;
    assert_eq!(letters, ["thanks anna@firma.test"]);
    let thanks = town.letter(Kind::Thanks, "anna@firma.test").text;
    assert!(!thanks.contains("verbindet sich"), "{thanks}");
    // While it warns, whoever does it again hears of it that day.
    assert!(town.clock.set(at("2025-02-25T10:00")));
    assert!(town.sends("bert@firma.test"));
    assert_eq!(town.on("2025-02-25T11:00").await, ["nudge bert@firma.test"]);
    let nudge = town.letter(Kind::Nudge, "bert@firma.test");
    assert!(!nudge.subject.contains("Einstellungen"), "{nudge:?}");

    assert!(town.clock.set(at("2025-03-04T23:59")));
    assert!(town.sends("bert@firma.test"));
    assert!(town.clock.set(at("2025-03-05T00:00")));
    assert!(!town.sends("bert@firma.test"));
    let back = town
        .rollouts
        .roll_back("tls-2025", author(town.clock.now()));
    let restored = vec!["installation: rule no-scanner".to_owned()];
    let left = Vec::new();
    assert_eq!(back.await.unwrap(), TakenBack { restored, left });
    assert_eq!(town.schedule().await.as_deref(), Some("observe"));
    assert!(town.sends("bert@firma.test"));
    let versions = town.store.read(|tx: &mut dyn Tx| store::versions(tx, 10));
    let versions = versions.await.unwrap();
    let reasons: Vec<_> = versions.iter().map(|one| one.reason.as_str()).collect();
    assert_eq!(reasons[..2], ["rollout tls-2025: RFC 8996"; 2]);
}

pub(super) async fn what_somebody_changed_in_a_rule_since_is_said() {
    let town = with_the_rule().await;
    town.running(of_rule()).await;
    let now = town.clock.now();
    town.rollouts.pause("tls-2025", author(now)).await.unwrap();
    let held = town.schedule().await.unwrap();
    assert!(held.ends_with("paused=observe"), "{held}");
    town.rollouts.resume("tls-2025", author(now)).await.unwrap();
    // Another rollout cannot set the same.
    let mut second = of_rule();
    second.slug = "second".into();
    town.rollouts.create(second, author(now)).await.unwrap();
    town.rollouts.announce("second", author(now)).await.unwrap();
    let refused = town.rollouts.start("second", author(now)).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("is set by rollout tls-2025"), "{refused}");
    // Its text is mended meanwhile: that stays, and is told.
    town.with_rule(|set| {
        let note = "mended".to_owned();
        let mended = Rule {
            note,
            ..set.named("no-scanner").unwrap().clone()
        };
        set.with_changed("no-scanner", mended).unwrap()
    })
    .await;
    let back = town.rollouts.roll_back("tls-2025", author(now)).await;
    let said = back.unwrap().restored.concat();
    assert!(said.contains("changed in it since stays"), "{said}");
    assert_eq!(town.schedule().await.as_deref(), Some("observe"));
    // Its schedule was changed by hand: it is left as it is.
    town.rollouts.start("second", author(now)).await.unwrap();
    town.with_rule(|set| {
        let by_hand = "off".parse().unwrap();
        set.with_schedule("no-scanner", by_hand).unwrap()
    })
    .await;
    let back = town.rollouts.roll_back("second", author(now)).await;
    assert_eq!(back.unwrap().left, ["installation: rule no-scanner"]);
    assert_eq!(town.schedule().await.as_deref(), Some("off"));
    // It is gone: nothing can be set, and that is said.
    town.with_rule(|set| set.without("no-scanner").unwrap())
        .await;
    let mut third = of_rule();
    third.slug = "third".into();
    town.rollouts.create(third, author(now)).await.unwrap();
    let refused = town.rollouts.plan("third", now).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("no rule no-scanner"), "{refused}");
}

pub(super) async fn inbound_tls_keeps_its_consent_and_its_text() {
    let town = Town::new("2025-02-10", &THREE).await;
    let now = town.clock.now();
    let mut plan = rollout();
    plan.legacy = None;
    plan.audience = vec!["firma.test".into()];
    plan.steps = vec![step(Measure::InboundTls, Stage::Enforce, "2025-03-05")];
    town.rollouts.create(plan, author(now)).await.unwrap();
    town.rollouts
        .announce("tls-2025", author(now))
        .await
        .unwrap();
    let refused = town.rollouts.start("tls-2025", author(now)).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("nobody has agreed"), "{refused}");

    let admin = policy::admin::Admin::new(town.store.clone());
    let domain = Scope::Domain(DomainName::parse("firma.test").unwrap());
    let agreed = policy::admin::Wanted {
        scope: domain.clone(),
        name: Name::InboundTls,
        item: String::new(),
        value: Value::parse(Name::InboundTls, "required [observe] Only TLS").unwrap(),
        expires_at: None,
        consent: Some(policy::admin::Consent {
            by: "Anna".into(),
            text_version: policy::admin::CONSENT_TEXT_VERSION.into(),
        }),
        owner: None,
    };
    admin.set(agreed, author(now)).await.unwrap();
    let held = || async {
        let settings = admin.settings().await.unwrap();
        let row = settings
            .into_iter()
            .find(|row| row.scope == domain)
            .unwrap();
        assert!(row.consent.is_some());
        row.value.to_string()
    };
    town.rollouts.start("tls-2025", author(now)).await.unwrap();
    let planned = "required [observe; 2025-03-05 enforce] Only TLS";
    assert_eq!(held().await, planned);
    town.rollouts.pause("tls-2025", author(now)).await.unwrap();
    assert!(held().await.contains("paused=observe"));
    town.rollouts.resume("tls-2025", author(now)).await.unwrap();
    town.rollouts
        .roll_back("tls-2025", author(now))
        .await
        .unwrap();
    assert_eq!(held().await, "required [observe] Only TLS");
}

#[test]
fn what_a_rule_cannot_be_for_is_said() {
    let mut plan = of_rule();
    plan.audience = vec!["firma.test".into()];
    let checked = crate::check::check(&plan);
    assert!(checked.problems[0].contains("is asked about everybody"));
    assert!(
        checked
            .warnings
            .iter()
            .any(|text| text.contains("texts.de.means"))
    );
    plan.steps = vec![step(Measure::InboundTls, Stage::Enforce, "2025-03-05")];
    assert_eq!(crate::check::check(&plan).problems, [""; 0]);
    plan.audience = vec!["installation".into()];
    plan.canary = Some(10);
    assert_eq!(crate::check::check(&plan).problems.len(), 2);
}
