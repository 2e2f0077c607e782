//! Logins against a real store: who gets in, who waits, what it costs and what is remembered.

use super::check::is_right;
use super::*;
use crate::admin::{Dependents, NewAccount, NewDomain, NewPassword};
use crate::limits::PASSWORD_BYTES_MAX;
use crate::password::{COMPUTED, Outside, Verifier};
use crate::resolution::Status;
use crate::settings::{BackOff, Settings};
use crate::testing::{CHEAP, Fixture, NOON, key, name};
use crate::{AccountId, Directory};
use std::sync::atomic::Ordering;

async fn login_from(
    directory: &Directory,
    user: &str,
    password: &str,
    peer: &str,
    now: Timestamp,
) -> LoginRuling {
    let login = Login {
        user,
        password: password.as_bytes(),
        protocol: Protocol::Imap,
        peer: peer.parse().unwrap(),
        now,
    };
    directory.login(login).await
}

async fn login(directory: &Directory, user: &str, password: &str) -> LoginRuling {
    login_from(directory, user, password, "192.0.2.7", NOON).await
}

fn account_of(ruling: &LoginRuling) -> Option<AccountId> {
    match ruling {
        LoginRuling::Accepted(identity) => Some(identity.account),
        _ => None,
    }
}

const WRONG: LoginRuling = LoginRuling::Refused(Refusal::WrongPassword);
const UNKNOWN: LoginRuling = LoginRuling::Refused(Refusal::UnknownUser);
const SUSPENDED: LoginRuling = LoginRuling::Refused(Refusal::Suspended);

#[tokio::test]
async fn the_right_password_opens_and_no_other() {
    let fixture = Fixture::cheap().await;
    let anna = fixture.account("anna@firma.test", "annas wort").await;
    let bernd = fixture.account("bernd@firma.test", "bernds wort").await;
    let directory = &fixture.directory;
    for user in ["anna@firma.test", "Anna@FIRMA.test"] {
        assert_eq!(
            account_of(&login(directory, user, "annas wort").await),
            Some(anna)
        );
    }
    assert_eq!(
        account_of(&login(directory, "bernd@firma.test", "bernds wort").await),
        Some(bernd)
    );
    for (user, password, expected) in [
        ("anna@firma.test", "bernds wort", WRONG),
        ("anna@firma.test", "", WRONG),
        ("anna@firma.test", "Annas wort", WRONG),
        ("anna+x@firma.test", "annas wort", UNKNOWN),
        ("anna@verein.test", "annas wort", UNKNOWN),
        ("anna", "annas wort", UNKNOWN),
        ("", "annas wort", UNKNOWN),
        ("anna@firma.test\0", "annas wort", UNKNOWN),
    ] {
        assert_eq!(
            login(directory, user, password).await,
            expected,
            "{user:?} {password:?}"
        );
    }
    let long = "x".repeat(PASSWORD_BYTES_MAX + 1);
    assert_eq!(login(directory, "anna@firma.test", &long).await, WRONG);
    assert_eq!(login(directory, &long, "x").await, UNKNOWN);
}

#[tokio::test]
async fn every_refusal_reads_the_same() {
    let texts: std::collections::BTreeSet<&str> = [WRONG, UNKNOWN, SUSPENDED]
        .iter()
        .map(LoginRuling::text)
        .collect();
    assert_eq!(texts.len(), 1);
    let reasons: std::collections::BTreeSet<&str> = [WRONG, UNKNOWN, SUSPENDED]
        .iter()
        .map(LoginRuling::reason)
        .collect();
    assert_eq!(reasons.len(), 3, "the log tells them apart");
}

/// Time says nothing because the work is the same: one hash of today's cost for every wrong answer.
#[test]
fn every_wrong_answer_costs_a_hash_of_todays_cost() {
    let random = platform::random::Random::seeded(1);
    let stand_in = Verifier::stand_in(&CHEAP);
    let account = |password: Option<Verifier>, shut| account::LoginAccount {
        account: AccountId(1),
        login: "anna@firma.test".into(),
        group: None,
        pop3_delete: Pop3Delete::Remove,
        shut,
        password,
        derivation: None,
        keys: None,
        app_passwords: Vec::new(),
        credential_revision: 1,
    };
    let today = account(Some(Verifier::make(b"geheim", &CHEAP, &random)), false);
    let shut = account(Some(Verifier::make(b"geheim", &CHEAP, &random)), true);
    let imported = account(
        Some(Verifier::parse("{SSHA}mccTX27jfRx2J9MUbxDhuBL9UVJzYWx0U0FMVA==").unwrap()),
        false,
    );
    let without = account(None, false);
    let cost = |account: Option<&account::LoginAccount>| {
        let before = COMPUTED.get();
        assert!(!is_right(account, &stand_in, b"falsch", &CHEAP));
        COMPUTED.get() - before
    };
    assert_eq!(cost(None), 1, "no such user");
    assert_eq!(cost(Some(&today)), 1, "wrong password");
    assert_eq!(cost(Some(&shut)), 1, "suspended");
    assert_eq!(cost(Some(&imported)), 1, "imported hash");
    assert_eq!(cost(Some(&without)), 1, "no password");
}

#[tokio::test]
async fn a_suspended_account_or_domain_is_shut_and_opens_again() {
    let fixture = Fixture::cheap().await;
    fixture.account("anna@firma.test", "annas wort").await;
    let admin = &fixture.admin;
    let status = |status| NewAccount {
        status: Some(status),
        ..NewAccount::default()
    };
    assert!(
        account_of(&login(&fixture.directory, "anna@firma.test", "annas wort").await).is_some()
    );
    admin
        .set_account(&key("anna@firma.test"), &status(Status::Suspended), NOON)
        .await
        .unwrap();
    assert_eq!(
        login(&fixture.directory, "anna@firma.test", "annas wort").await,
        SUSPENDED
    );
    assert_eq!(
        login(&fixture.directory, "anna@firma.test", "falsch").await,
        WRONG
    );
    admin
        .set_account(&key("anna@firma.test"), &status(Status::Active), NOON)
        .await
        .unwrap();
    assert!(
        account_of(&login(&fixture.directory, "anna@firma.test", "annas wort").await).is_some()
    );
    let shut = NewDomain {
        status: Some(Status::Suspended),
        ..NewDomain::default()
    };
    admin
        .set_domain(&name("firma.test"), &shut, NOON)
        .await
        .unwrap();
    assert_eq!(
        login(&fixture.directory, "anna@firma.test", "annas wort").await,
        SUSPENDED
    );
}

const WAIT: &str = "back-off";

/// What the log says of a login of `user` from `peer`.
async fn reason(fixture: &Fixture, user: &str, password: &str, peer: &str) -> &'static str {
    login_from(&fixture.directory, user, password, peer, NOON)
        .await
        .reason()
}

#[tokio::test]
async fn a_guesser_waits_for_names_that_exist_and_names_that_do_not() {
    let fixture = Fixture::cheap().await;
    fixture.account("anna@firma.test", "annas wort").await;
    for (user, refused) in [
        ("anna@firma.test", "wrong-password"),
        ("nobody@firma.test", "unknown-user"),
    ] {
        for guess in 0..20 {
            let expected = if guess < 5 { refused } else { WAIT };
            let guess = format!("guess {guess}");
            assert_eq!(
                reason(&fixture, user, &guess, "192.0.2.7").await,
                expected,
                "{user} {guess}"
            );
        }
        assert_eq!(
            reason(&fixture, user, "guess 4", "192.0.2.7").await,
            refused,
            "repeated, nothing learned"
        );
    }
}

#[tokio::test]
async fn nobody_else_waits_and_the_wait_ends() {
    let fixture = Fixture::new(Settings {
        hashing: CHEAP,
        back_off: BackOff {
            never: vec!["198.51.100.0/24".parse().unwrap()],
            ..BackOff::default()
        },
        ..Settings::default()
    })
    .await;
    fixture.account("anna@firma.test", "annas wort").await;
    let right = async |peer| reason(&fixture, "anna@firma.test", "annas wort", peer).await;
    assert_eq!(right("192.0.2.200").await, "accepted");
    for guess in 0..6 {
        reason(
            &fixture,
            "anna@firma.test",
            &format!("guess {guess}"),
            "192.0.2.7",
        )
        .await;
    }
    // The right one is remembered, and a guesser in the same block must not profit from that.
    assert_eq!(right("192.0.2.200").await, WAIT);
    assert_eq!(right("203.0.113.9").await, "accepted", "elsewhere");
    for guess in 0..20 {
        let guess = format!("guess {guess}");
        let allowed = reason(&fixture, "anna@firma.test", &guess, "198.51.100.3").await;
        assert_eq!(allowed, "wrong-password", "allow-listed");
    }
    let later = NOON.plus(Duration::from_secs(3));
    let ruling = login_from(
        &fixture.directory,
        "anna@firma.test",
        "annas wort",
        "192.0.2.7",
        later,
    )
    .await;
    assert!(account_of(&ruling).is_some());
}

#[tokio::test]
async fn a_remembered_login_costs_no_hash_and_ends_with_the_password() {
    let fixture = Fixture::cheap().await;
    let anna = fixture.account("anna@firma.test", "annas wort").await;
    let directory = &fixture.directory;
    assert_eq!(
        account_of(&login(directory, "anna@firma.test", "annas wort").await),
        Some(anna)
    );
    let digest = |password: &[u8]| {
        let directory = directory.clone();
        let password = password.to_vec();
        async move {
            let account = directory.login_account("anna@firma.test").await.unwrap();
            directory
                .verified()
                .digest(account.as_deref(), "anna@firma.test", &password)
        }
    };
    let remembered = digest(b"annas wort").await;
    assert!(directory.verified().get(&remembered, NOON).is_some());
    let too_late = NOON.plus(Duration::from_secs(301));
    assert!(directory.verified().get(&remembered, too_late).is_none());
    let other = digest(b"annas worx").await;
    assert!(directory.verified().get(&other, NOON).is_none());

    fixture
        .admin
        .set_password(
            &key("anna@firma.test"),
            &NewPassword::clear("neues wort"),
            NOON,
        )
        .await
        .unwrap();
    assert_eq!(
        login(directory, "anna@firma.test", "annas wort").await,
        WRONG
    );
    assert_eq!(
        account_of(&login(directory, "anna@firma.test", "neues wort").await),
        Some(anna)
    );
    // The other node learns it by the revision.
    let elsewhere = &fixture.elsewhere;
    assert_eq!(
        account_of(&login(elsewhere, "anna@firma.test", "neues wort").await),
        Some(anna)
    );
    fixture
        .admin
        .set_password(
            &key("anna@firma.test"),
            &NewPassword::clear("drittes wort"),
            NOON,
        )
        .await
        .unwrap();
    elsewhere.refresh().await.unwrap();
    assert_eq!(
        login(elsewhere, "anna@firma.test", "neues wort").await,
        WRONG
    );
}

#[tokio::test]
async fn a_removed_password_opens_nothing() {
    let fixture = Fixture::cheap().await;
    let (anna, directory) = (key("anna@firma.test"), &fixture.directory);
    let clear = NewPassword::clear("kurzes wort");
    fixture
        .admin
        .add_account(&anna, &NewAccount::default(), &clear, NOON)
        .await
        .unwrap();
    assert!(account_of(&login(directory, "anna@firma.test", "kurzes wort").await).is_some());
    fixture
        .admin
        .set_password(&anna, &NewPassword::None, NOON)
        .await
        .unwrap();
    assert_eq!(
        login(directory, "anna@firma.test", "kurzes wort").await,
        WRONG
    );
    let state = fixture.admin.state().await.unwrap();
    let scram = state.accounts[&anna].credentials.scram.as_ref().unwrap();
    assert_eq!(
        (&state.accounts[&anna].credentials.password, &scram.keys),
        (&None, &None)
    );
}

#[tokio::test]
async fn an_imported_hash_is_renewed_at_the_first_login() {
    let fixture = Fixture::cheap().await;
    let imported = Verifier::parse("{SSHA}mccTX27jfRx2J9MUbxDhuBL9UVJzYWx0U0FMVA==").unwrap();
    let (login_name, admin) = (key("anna@firma.test"), &fixture.admin);
    admin
        .add_account(
            &login_name,
            &NewAccount::default(),
            &NewPassword::Hash(imported),
            NOON,
        )
        .await
        .unwrap();
    let before = admin.account(&login_name).await.unwrap();
    assert_eq!(
        (before.password_scheme.as_deref(), before.scram),
        (Some("SSHA"), false)
    );
    assert_eq!(
        login(&fixture.directory, "anna@firma.test", "falsch").await,
        WRONG
    );
    assert_eq!(
        admin
            .account(&login_name)
            .await
            .unwrap()
            .password_scheme
            .as_deref(),
        Some("SSHA")
    );
    assert!(account_of(&login(&fixture.directory, "anna@firma.test", "geheim").await).is_some());
    let after = admin.account(&login_name).await.unwrap();
    assert_eq!(
        (after.password_scheme.as_deref(), after.scram),
        (Some("ARGON2ID"), true)
    );
    assert!(account_of(&login(&fixture.elsewhere, "anna@firma.test", "geheim").await).is_some());
    assert_eq!(
        login(&fixture.elsewhere, "anna@firma.test", "falsch").await,
        WRONG
    );
}

#[tokio::test]
async fn app_passwords_open_one_account_and_are_revoked_one_by_one() {
    let fixture = Fixture::cheap().await;
    let anna = fixture.account("anna@firma.test", "annas wort").await;
    fixture.account("bernd@firma.test", "bernds wort").await;
    let (admin, login_name) = (&fixture.admin, key("anna@firma.test"));
    let phone = admin
        .add_app_password(&login_name, "phone", &AppLimits::default(), NOON)
        .await
        .unwrap()
        .password;
    let tablet = admin
        .add_app_password(&login_name, "tablet", &AppLimits::default(), NOON)
        .await
        .unwrap()
        .password;
    let ruling = login(&fixture.directory, "anna@firma.test", &phone).await;
    let LoginRuling::Accepted(identity) = ruling else {
        panic!("{ruling:?}")
    };
    assert_eq!(
        (identity.account, identity.credential),
        (
            anna,
            Credential::AppPassword {
                label: "phone".into(),
                limits: None
            }
        )
    );
    assert_eq!(
        login(&fixture.directory, "bernd@firma.test", &phone).await,
        WRONG
    );
    let used: Vec<_> = admin
        .app_passwords(&login_name)
        .await
        .unwrap()
        .into_iter()
        .map(|app| (app.label, app.last_used_day))
        .collect();
    assert_eq!(
        used,
        [
            ("phone".to_owned(), Some(1_800_000_000 / 86_400)),
            ("tablet".to_owned(), None)
        ]
    );
    admin
        .remove_app_password(&login_name, "phone", NOON)
        .await
        .unwrap();
    assert_eq!(
        login(&fixture.directory, "anna@firma.test", &phone).await,
        WRONG
    );
    assert!(account_of(&login(&fixture.directory, "anna@firma.test", &tablet).await).is_some());
    assert!(
        account_of(&login(&fixture.directory, "anna@firma.test", "annas wort").await).is_some()
    );
}

#[tokio::test]
async fn a_re_created_account_is_another_account() {
    let fixture = Fixture::cheap().await;
    let first = fixture.account("anna@firma.test", "annas wort").await;
    assert!(
        account_of(&login(&fixture.directory, "anna@firma.test", "annas wort").await).is_some()
    );
    fixture
        .admin
        .remove_account(&key("anna@firma.test"), Dependents::Keep, NOON)
        .await
        .unwrap();
    assert_eq!(
        login(&fixture.directory, "anna@firma.test", "annas wort").await,
        UNKNOWN
    );
    let second = fixture.account("anna@firma.test", "annas wort").await;
    assert_ne!(first, second);
    assert_eq!(
        account_of(&login(&fixture.directory, "anna@firma.test", "annas wort").await),
        Some(second)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_connections_at_once_get_in_with_the_right_password() {
    let fixture = Fixture::cheap().await;
    fixture.account("anna@firma.test", "annas wort").await;
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let directory = fixture.directory.clone();
            tokio::spawn(async move { login(&directory, "anna@firma.test", "annas wort").await })
        })
        .collect();
    for task in tasks {
        let ruling = task.await.unwrap();
        assert!(account_of(&ruling).is_some(), "{ruling:?}");
    }
}

#[tokio::test]
async fn a_limited_app_password_opens_what_it_was_made_for_and_counts_what_it_sends() {
    let fixture = Fixture::cheap().await;
    fixture.account("anna@firma.test", "annas wort").await;
    let limits = "send-only per-hour=2 per-day=3 network=192.0.2.0/24";
    let made = fixture
        .admin
        .add_app_password(
            &key("anna@firma.test"),
            "scanner",
            &limits.parse().unwrap(),
            NOON,
        )
        .await
        .unwrap();
    let try_login = async |protocol, peer: &str| {
        let login = Login {
            user: "anna@firma.test",
            password: made.password.as_bytes(),
            protocol,
            peer: peer.parse().unwrap(),
            now: NOON,
        };
        fixture.directory.login(login).await
    };
    let outside = |which| LoginRuling::Refused(Refusal::OutsideLimits(which));
    let LoginRuling::Accepted(identity) = try_login(Protocol::Submission, "192.0.2.7").await else {
        panic!("the scanner does not get in");
    };
    // Remembered by now, and refused all the same; in the words of a wrong password.
    let elsewhere = try_login(Protocol::Imap, "192.0.2.7").await;
    assert_eq!(elsewhere, outside(Outside::Services));
    assert_eq!(elsewhere.text(), WRONG.text());
    assert_eq!(
        try_login(Protocol::Submission, "198.51.100.7").await,
        outside(Outside::Networks)
    );
    assert_eq!(identity.limits().unwrap().to_string(), limits);

    let send = async |directory: &Directory, at: Timestamp| {
        directory.count_send(&identity, at).await.unwrap().is_ok()
    };
    let hour = |hours: u64| NOON.plus(Duration::from_secs(3600 * hours));
    assert!(send(&fixture.directory, hour(0)).await);
    assert!(send(&fixture.elsewhere, hour(0)).await);
    assert!(
        !send(&fixture.directory, hour(0)).await,
        "two an hour, on all nodes together"
    );
    let left = fixture
        .directory
        .sends_left(&identity, hour(0))
        .await
        .unwrap();
    assert!(left.is_err(), "asking says the same");
    let left = fixture
        .directory
        .sends_left(&identity, hour(1))
        .await
        .unwrap();
    assert_eq!(left, Ok(()), "and counts nothing");
    assert!(send(&fixture.directory, hour(1)).await);
    assert!(!send(&fixture.directory, hour(2)).await, "three a day");
    assert!(send(&fixture.directory, hour(24)).await);
}

/// What an app password outside its limits costs a guesser, and what it tells: nothing a wrong password does not.
#[tokio::test]
async fn an_app_password_outside_its_limits_is_a_wrong_password() {
    let fixture = Fixture::cheap().await;
    fixture.account("anna@firma.test", "annas wort").await;
    let (anna, limits) = (key("anna@firma.test"), "send-only".parse().unwrap());
    let made = fixture
        .admin
        .add_app_password(&anna, "scanner", &limits, NOON)
        .await
        .unwrap();
    let directory = &fixture.directory;
    let try_login = async |password: &str, protocol| {
        let login = Login {
            user: "anna@firma.test",
            password: password.as_bytes(),
            protocol,
            peer: "192.0.2.7".parse().unwrap(),
            now: NOON,
        };
        let hashes = || directory.pool().begun.load(Ordering::Relaxed);
        let before = hashes();
        let reason = directory.login(login).await.reason();
        (reason, hashes() - before)
    };
    let send = Protocol::Submission;
    let outside = "app-password-other-service";
    assert_eq!(try_login(&made.password, send).await, ("accepted", 0));
    for guess in 0..3 {
        let guess = format!("guess {guess}");
        assert_eq!(
            try_login(&guess, Protocol::Imap).await,
            ("wrong-password", 1)
        );
    }
    // Remembered where it is right, and yet a hash; the wrong passwords before it are not forgotten.
    let read = try_login(&made.password, Protocol::Imap).await;
    assert_eq!(read, (outside, 1));
    let again = try_login(&made.password, Protocol::Imap).await;
    assert_eq!(again, (outside, 0), "as a wrong password that comes again");
    assert_eq!(
        try_login(&made.password, send).await,
        ("accepted", 0),
        "it is still right where it is made for"
    );
    assert_eq!(
        try_login("guess 5", Protocol::Imap).await.0,
        "wrong-password"
    );
    assert_eq!(try_login("guess 6", Protocol::Imap).await, (WAIT, 0));
    assert_eq!(
        try_login(&made.password, Protocol::Imap).await,
        (outside, 0),
        "known, as a wrong one is"
    );
}
