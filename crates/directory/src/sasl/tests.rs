//! Whole exchanges over the neutral interface, as the three protocols run them.

use super::*;
use crate::admin::{NewAccount, NewPassword};
use crate::password::{AppLimits, Outside, Verifier};
use crate::scram::tests::client_final;
use crate::testing::{Fixture, NOON, key};

fn peer(plus: PlusOffer) -> Peer {
    Peer {
        protocol: Protocol::Submission,
        address: "192.0.2.7".parse().unwrap(),
        bindings: ChannelBindings {
            tls_exporter: Some([7; 32]),
            tls_server_end_point: None,
        },
        plus,
    }
}

/// An exchange in which every name is admitted.
struct Admitting(Exchange);

impl Admitting {
    fn start(directory: &Directory, mechanism: Mechanism, peer: Peer) -> Self {
        Self(Exchange::start(directory, mechanism, peer))
    }

    async fn first(&mut self, initial: Option<&[u8]>, now: Timestamp) -> Step {
        let step = self.0.first(initial, now).await;
        self.admit(step, now).await
    }

    async fn step(&mut self, message: &[u8], now: Timestamp) -> Step {
        let step = self.0.step(message, now).await;
        self.admit(step, now).await
    }

    async fn admit(&mut self, step: Step, now: Timestamp) -> Step {
        match step {
            Step::Named(_) => self.0.admit(now).await,
            other => other,
        }
    }
}

fn start(fixture: &Fixture, mechanism: Mechanism) -> Admitting {
    Admitting::start(&fixture.directory, mechanism, peer(PlusOffer::Offered))
}

fn challenge(step: Step) -> String {
    match step {
        Step::Challenge(bytes) => String::from_utf8(bytes).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn is_in(step: &Step) -> bool {
    matches!(step, Step::Done(LoginRuling::Accepted(_)))
}

#[tokio::test]
async fn plain_with_and_without_initial_response() {
    let fixture = Fixture::cheap().await;
    fixture.account("anna@firma.test", "annas wort").await;
    fixture.account("bernd@firma.test", "bernds wort").await;
    let message = b"\0anna@firma.test\0annas wort";
    assert!(is_in(
        &start(&fixture, Mechanism::Plain)
            .first(Some(message), NOON)
            .await
    ));
    let mut exchange = start(&fixture, Mechanism::Plain);
    assert_eq!(challenge(exchange.first(None, NOON).await), "");
    assert!(is_in(&exchange.step(message, NOON).await));
    assert!(
        matches!(exchange.step(message, NOON).await, Step::Malformed(_)),
        "it is over"
    );

    let first = async |message: &[u8]| {
        start(&fixture, Mechanism::Plain)
            .first(Some(message), NOON)
            .await
    };
    assert!(is_in(
        &first(b"Anna@firma.test\0anna@firma.test\0annas wort").await
    ));
    assert_eq!(
        first(b"bernd@firma.test\0anna@firma.test\0annas wort").await,
        Step::Done(LoginRuling::Refused(Refusal::OtherIdentity))
    );
    assert_eq!(
        first(b"\0anna@firma.test\0x").await,
        Step::Done(LoginRuling::Refused(Refusal::WrongPassword))
    );
    for message in [
        &b""[..],
        b"anna",
        b"\0anna@firma.test",
        b"\0\0x",
        b"\0x\0",
        b"\0x\0y\0z",
    ] {
        assert!(
            matches!(first(message).await, Step::Malformed(_)),
            "{message:?}"
        );
    }
    assert!(matches!(
        first(&vec![b'x'; SASL_MESSAGE_BYTES_MAX + 1]).await,
        Step::Malformed(_)
    ));
}

#[tokio::test]
async fn login_asks_twice() {
    let fixture = Fixture::cheap().await;
    fixture.account("anna@firma.test", "annas wort").await;
    let mut exchange = start(&fixture, Mechanism::Login);
    assert_eq!(challenge(exchange.first(None, NOON).await), "Username:");
    assert_eq!(
        challenge(exchange.step(b"anna@firma.test", NOON).await),
        "Password:"
    );
    assert!(is_in(&exchange.step(b"annas wort", NOON).await));
    let mut exchange = start(&fixture, Mechanism::Login);
    assert_eq!(
        challenge(exchange.first(Some(b"anna@firma.test"), NOON).await),
        "Password:"
    );
    assert!(is_in(&exchange.step(b"annas wort", NOON).await));
}

/// Runs SCRAM as a client; gives the last step.
async fn scram(fixture: &Fixture, mechanism: Mechanism, user: &str, password: &str) -> Step {
    let (gs2, binding): (&str, &[u8]) = match mechanism {
        Mechanism::ScramSha256Plus => ("p=tls-exporter,,", &[7; 32]),
        _ => ("n,,", &[]),
    };
    let bare = format!("n={user},r=clientnonce");
    let mut exchange = start(fixture, mechanism);
    assert_eq!(challenge(exchange.first(None, NOON).await), "");
    let server_first = match exchange.step(format!("{gs2}{bare}").as_bytes(), NOON).await {
        Step::Challenge(bytes) => String::from_utf8(bytes).unwrap(),
        other => return other,
    };
    let last = client_final(
        password.as_bytes(),
        &bare,
        &[gs2.as_bytes(), binding].concat(),
        &server_first,
    );
    match exchange.step(last.as_bytes(), NOON).await {
        Step::Challenge(proof) => {
            assert!(proof.starts_with(b"v="));
            exchange.step(b"", NOON).await
        }
        other => other,
    }
}

/// Makes anna an app password.
async fn app_password(fixture: &Fixture, label: &str, limits: &AppLimits) -> String {
    let anna = key("anna@firma.test");
    let made = fixture.admin.add_app_password(&anna, label, limits, NOON);
    made.await.unwrap().password.to_string()
}

fn unlimited(label: &str) -> Credential {
    Credential::AppPassword {
        label: label.into(),
        limits: None,
    }
}

#[tokio::test]
async fn scram_refuses_an_app_password_outside_its_network() {
    let fixture = Fixture::cheap().await;
    fixture.account("anna@firma.test", "annas wort").await;
    let limits = "network=203.0.113.0/24".parse().unwrap();
    let scanner = app_password(&fixture, "scanner", &limits).await;
    for mechanism in [Mechanism::ScramSha256, Mechanism::ScramSha256Plus] {
        assert_eq!(
            scram(&fixture, mechanism, "anna@firma.test", &scanner).await,
            Step::Done(LoginRuling::Refused(Refusal::OutsideLimits(
                Outside::Networks
            )))
        );
    }
}

#[tokio::test]
async fn scram_opens_with_password_and_app_password_bound_or_not() {
    let fixture = Fixture::cheap().await;
    let anna = fixture.account("anna@firma.test", "annas wort").await;
    fixture.account("bernd@firma.test", "bernds wort").await;
    let phone = app_password(&fixture, "phone", &AppLimits::default()).await;
    for mechanism in [Mechanism::ScramSha256, Mechanism::ScramSha256Plus] {
        for (password, credential) in [
            ("annas wort", Credential::Password),
            (phone.as_str(), unlimited("phone")),
        ] {
            match scram(&fixture, mechanism, "anna@firma.test", password).await {
                Step::Done(LoginRuling::Accepted(identity)) => {
                    assert_eq!((identity.account, identity.credential), (anna, credential));
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(is_in(
            &scram(&fixture, mechanism, "ANNA@firma.test", "annas wort").await
        ));
        assert_eq!(
            scram(&fixture, mechanism, "anna@firma.test", "bernds wort").await,
            Step::Done(LoginRuling::Refused(Refusal::WrongPassword))
        );
    }
    // A new password keeps the app password working: its keys hang on the account's salt.
    fixture
        .admin
        .set_password(
            &key("anna@firma.test"),
            &NewPassword::clear("neues wort"),
            NOON,
        )
        .await
        .unwrap();
    assert!(is_in(
        &scram(&fixture, Mechanism::ScramSha256, "anna@firma.test", &phone).await
    ));
    assert!(is_in(
        &scram(
            &fixture,
            Mechanism::ScramSha256,
            "anna@firma.test",
            "neues wort"
        )
        .await
    ));
    assert!(!is_in(
        &scram(
            &fixture,
            Mechanism::ScramSha256,
            "anna@firma.test",
            "annas wort"
        )
        .await
    ));
}

#[tokio::test]
async fn an_unknown_user_goes_the_whole_way_with_a_salt_that_stays() {
    let fixture = Fixture::cheap().await;
    fixture.account("anna@firma.test", "annas wort").await;
    let server_first = async |directory: &Directory, user: &str| {
        let mut exchange = Admitting::start(
            directory,
            Mechanism::ScramSha256,
            peer(PlusOffer::NotOffered),
        );
        challenge(
            exchange
                .first(Some(format!("n,,n={user},r=abc").as_bytes()), NOON)
                .await,
        )
    };
    let salt = |first: &str| first.split(',').nth(1).unwrap().to_owned();
    let nobody = server_first(&fixture.directory, "nobody@firma.test").await;
    assert_eq!(
        salt(&nobody),
        salt(&server_first(&fixture.directory, "Nobody@firma.test").await)
    );
    assert_eq!(
        salt(&nobody),
        salt(&server_first(&fixture.elsewhere, "nobody@firma.test").await),
        "on every node"
    );
    assert_ne!(
        salt(&nobody),
        salt(&server_first(&fixture.directory, "nobody2@firma.test").await)
    );
    let anna = server_first(&fixture.directory, "anna@firma.test").await;
    assert_eq!(salt(&nobody).len(), salt(&anna).len());
    assert_eq!(
        nobody.split(',').nth(2),
        anna.split(',').nth(2),
        "the same iterations"
    );
    assert_eq!(
        scram(&fixture, Mechanism::ScramSha256, "nobody@firma.test", "x").await,
        Step::Done(LoginRuling::Refused(Refusal::UnknownUser))
    );
}

#[tokio::test]
async fn guessing_by_scram_waits_too() {
    let fixture = Fixture::cheap().await;
    fixture.account("anna@firma.test", "annas wort").await;
    for guess in 0..5 {
        let step = scram(
            &fixture,
            Mechanism::ScramSha256,
            "anna@firma.test",
            &format!("guess{guess}"),
        )
        .await;
        assert_eq!(
            step,
            Step::Done(LoginRuling::Refused(Refusal::WrongPassword))
        );
    }
    let step = scram(
        &fixture,
        Mechanism::ScramSha256,
        "anna@firma.test",
        "annas wort",
    )
    .await;
    assert!(
        matches!(step, Step::Done(LoginRuling::TryLater { .. })),
        "{step:?}"
    );
    let plain = start(&fixture, Mechanism::Plain)
        .first(Some(b"\0anna@firma.test\0annas wort"), NOON)
        .await;
    assert!(
        matches!(plain, Step::Done(LoginRuling::TryLater { .. })),
        "one table for all mechanisms"
    );
}

#[tokio::test]
async fn an_imported_hash_opens_to_scram_after_one_login_by_plain() {
    let fixture = Fixture::cheap().await;
    let imported = Verifier::parse("{SSHA}mccTX27jfRx2J9MUbxDhuBL9UVJzYWx0U0FMVA==").unwrap();
    let login = key("anna@firma.test");
    fixture
        .admin
        .add_account(
            &login,
            &NewAccount::default(),
            &NewPassword::Hash(imported),
            NOON,
        )
        .await
        .unwrap();
    // The other node has it in memory as it was before.
    assert!(
        fixture
            .elsewhere
            .login_account("anna@firma.test")
            .await
            .unwrap()
            .unwrap()
            .lacks_keys()
    );
    assert!(!is_in(
        &scram(
            &fixture,
            Mechanism::ScramSha256,
            "anna@firma.test",
            "geheim"
        )
        .await
    ));
    let plain = start(&fixture, Mechanism::Plain)
        .first(Some(b"\0anna@firma.test\0geheim"), NOON)
        .await;
    assert!(is_in(&plain), "{plain:?}");
    assert!(is_in(
        &scram(
            &fixture,
            Mechanism::ScramSha256,
            "anna@firma.test",
            "geheim"
        )
        .await
    ));
    let elsewhere = Fixture {
        directory: fixture.elsewhere.clone(),
        ..fixture
    };
    assert!(is_in(
        &scram(
            &elsewhere,
            Mechanism::ScramSha256,
            "anna@firma.test",
            "geheim"
        )
        .await
    ));
}

#[tokio::test]
async fn a_client_that_was_lied_to_about_plus_is_refused() {
    let fixture = Fixture::cheap().await;
    fixture.account("anna@firma.test", "annas wort").await;
    let step = start(&fixture, Mechanism::ScramSha256)
        .first(Some(b"y,,n=anna@firma.test,r=x"), NOON)
        .await;
    assert_eq!(
        step,
        Step::Done(LoginRuling::Refused(Refusal::ChannelBinding))
    );
}

#[tokio::test]
async fn policy_rules_on_the_name_before_any_secret_is_looked_at() {
    let fixture = Fixture::cheap().await;
    let account = fixture.account("anna@firma.test", "annas wort").await;
    let named = |step: Step| match step {
        Step::Named(claimed) => claimed,
        other => panic!("{other:?}"),
    };
    for (mechanism, first) in [
        (Mechanism::Plain, &b"\0Anna@Firma.test\0falsch"[..]),
        (Mechanism::Plain, b"\0Anna@Firma.test\0annas wort"),
        (Mechanism::Login, b"Anna@Firma.test"),
        (Mechanism::ScramSha256, b"n,,n=Anna@Firma.test,r=abc"),
    ] {
        let mut exchange =
            Exchange::start(&fixture.directory, mechanism, peer(PlusOffer::NotOffered));
        let claimed = named(exchange.first(Some(first), NOON).await);
        assert_eq!(claimed.account, Some(account), "{mechanism:?}");
        assert_eq!(&*claimed.user, "anna@firma.test");
        assert_eq!(claimed.domain(), "firma.test");
        assert!(
            matches!(exchange.step(b"", NOON).await, Step::Malformed(_)),
            "only the ruling goes on"
        );
        assert!(matches!(exchange.admit(NOON).await, Step::Malformed(_)));
    }
    let unknown = fixture.directory.claimed("otto@firma.test").await.unwrap();
    assert_eq!((unknown.account, unknown.domain()), (None, "firma.test"));
    assert_eq!(
        fixture.directory.claimed("otto").await.unwrap().domain(),
        ""
    );
}
