//! Export, plan and apply on a real store.

use super::*;

const FILE: &str = r#"
    [[group]]
    name = "business"
    [[domain]]
    name = "firma.test"
    group = "business"
    catch_all = "anna@firma.test"
    [[account]]
    login = "Anna@firma.test"
    password = "annas wort"
    pop3_delete = "keep"
    [[alias]]
    address = "info@firma.test"
    to = ["anna@firma.test", "x@else.example"]
"#;

fn sentences(planned: &Planned) -> Vec<String> {
    planned.changes.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_plan_says_everything_and_changes_nothing() {
    let fixture = Fixture::cheap().await;
    let admin = &fixture.admin;
    fixture.account("old@firma.test", "altes wort").await;
    let before = admin.export().await.unwrap();
    let plan = admin.plan(FILE).await.unwrap();
    assert_eq!(
        sentences(&plan),
        [
            "account old@firma.test is removed with all its mail",
            "group business is added",
            "domain firma.test changes its group from nothing to business and changes its catch-all from nothing to anna@firma.test",
            "account anna@firma.test is added",
            "alias info@firma.test is added and leads to anna@firma.test, x@else.example",
            "domain verein.test is removed",
        ]
    );
    assert_eq!(admin.export().await.unwrap(), before);
    let refused = text(admin.apply(FILE, Removals::Refused, NOON).await);
    assert!(refused.contains("would remove 1 accounts"), "{refused}");
    assert_eq!(
        admin.export().await.unwrap(),
        before,
        "a refused apply changes nothing"
    );
    admin.apply(FILE, Removals::Allowed, NOON).await.unwrap();
    let again = admin.plan(FILE).await.unwrap();
    assert_eq!(
        sentences(&again),
        Vec::<String>::new(),
        "the clear password is right already"
    );
}

#[tokio::test]
async fn an_export_makes_the_same_directory_elsewhere() {
    let fixture = Fixture::cheap().await;
    let admin = &fixture.admin;
    admin.apply(FILE, Removals::Refused, NOON).await.unwrap();
    let anna = key("anna@firma.test");
    let phone = admin
        .add_app_password(
            &anna,
            "phone",
            &"per-hour=20 network=192.0.2.0/24".parse().unwrap(),
            NOON,
        )
        .await
        .unwrap()
        .password;
    let export = admin.export().await.unwrap();
    assert!(!export.contains("annas wort"));
    assert!(admin.plan(&export).await.unwrap().changes.is_empty());

    let copy = Fixture::cheap().await;
    copy.admin
        .apply(&export, Removals::Refused, NOON)
        .await
        .unwrap();
    assert_eq!(copy.admin.export().await.unwrap(), export);
    for password in ["annas wort", &phone] {
        let login = Login {
            user: "anna@firma.test",
            password: password.as_bytes(),
            protocol: Protocol::Imap,
            peer: "192.0.2.1".parse().unwrap(),
            now: NOON,
        };
        assert!(matches!(
            copy.directory.login(login).await,
            LoginRuling::Accepted(_)
        ));
    }
    assert_eq!(copy.admin.account(&anna).await.unwrap().pop3_delete, "keep");
}

#[tokio::test]
async fn a_file_that_does_not_fit_together_is_refused() {
    let fixture = Fixture::cheap().await;
    let file = "[[alias]]\naddress = \"x@y.test\"\nto = [\"z@y.test\"]";
    let refused = text(fixture.admin.apply(file, Removals::Allowed, NOON).await);
    assert!(
        refused.contains("y.test, which does not exist"),
        "{refused}"
    );
}
