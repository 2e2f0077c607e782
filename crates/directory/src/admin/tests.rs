//! Operations on a real store: what they refuse, what they leave, and that the store then says what
//! the model says.

use super::*;
use crate::resolution::{Rules, Status};
use crate::rows::read;
use crate::testing::{CHEAP, Fixture, NOON, address, key, name};
use crate::{Login, LoginRuling, Protocol, Settings};
use platform::params;
use proptest::prelude::*;
use std::sync::Mutex;

mod state_file;

fn text<T: std::fmt::Debug>(result: Result<T, AdminError>) -> String {
    result.unwrap_err().to_string()
}

async fn resolution(fixture: &Fixture, written: &str) -> Resolution {
    (*fixture.directory.resolve(&address(written)).await.unwrap()).clone()
}

async fn accounts_behind(fixture: &Fixture, written: &str) -> Vec<i64> {
    match resolution(fixture, written).await {
        Resolution::Local { deliveries, .. } => deliveries.iter().map(|d| d.account.0).collect(),
        _ => Vec::new(),
    }
}

/// Three accounts in `firma.test`, and `verein.test` leading into it in every way there is.
async fn two_tangled_domains() -> Fixture {
    let fixture = Fixture::cheap().await;
    let admin = &fixture.admin;
    for login in ["a@firma.test", "b@firma.test", "c@firma.test"] {
        fixture.account(login, "ein wort").await;
    }
    fixture.account("v@verein.test", "ein wort").await;
    admin
        .add_alias(&key("only@verein.test"), &[address("a@firma.test")], NOON)
        .await
        .unwrap();
    admin
        .add_alias(
            &key("both@verein.test"),
            &[address("a@firma.test"), address("v@verein.test")],
            NOON,
        )
        .await
        .unwrap();
    admin
        .add_alias(&key("info@firma.test"), &[address("a@firma.test")], NOON)
        .await
        .unwrap();
    let contact = NewDomain {
        contact: Setting::To(address("a@firma.test")),
        ..NewDomain::default()
    };
    admin
        .set_domain(&name("verein.test"), &contact, NOON)
        .await
        .unwrap();
    fixture
}

#[tokio::test]
async fn a_domain_with_accounts_is_not_removed_by_mistake() {
    let fixture = two_tangled_domains().await;
    let admin = &fixture.admin;
    let refusal = text(
        admin
            .remove_domain(&name("firma.test"), Dependents::Keep, NOON)
            .await,
    );
    assert_eq!(
        refusal,
        "domain firma.test still has 3 accounts; remove them first or use --with-accounts, which destroys their mail"
    );
    assert_eq!(
        accounts_behind(&fixture, "a@firma.test").await,
        [1],
        "nothing happened"
    );

    let changes = admin
        .remove_domain(&name("firma.test"), Dependents::Remove, NOON)
        .await
        .unwrap();
    assert!(
        changes
            .iter()
            .any(|c| c.to_string() == "alias only@verein.test is removed"),
        "{changes:?}"
    );
    assert_eq!(
        admin.alias(&key("both@verein.test")).await.unwrap().to,
        ["v@verein.test"]
    );
    assert_eq!(
        admin.domain(&name("verein.test")).await.unwrap().contact,
        None
    );
    assert_eq!(
        resolution(&fixture, "a@firma.test").await,
        Resolution::NoSuchDomain
    );
    let state = admin.state().await.unwrap();
    assert_eq!(
        (
            state.domains.len(),
            state.accounts.len(),
            state.aliases.len()
        ),
        (1, 1, 1)
    );
}

#[tokio::test]
async fn what_leads_to_an_account_is_named_before_it_goes() {
    let fixture = Fixture::cheap().await;
    let admin = &fixture.admin;
    fixture.account("anna@firma.test", "ein wort").await;
    fixture.account("bernd@firma.test", "ein wort").await;
    admin
        .add_alias(
            &key("info@firma.test"),
            &[address("Anna+info@firma.test")],
            NOON,
        )
        .await
        .unwrap();
    let all = NewDomain {
        catch_all: Setting::To(address("anna@firma.test")),
        ..NewDomain::default()
    };
    admin
        .set_domain(&name("firma.test"), &all, NOON)
        .await
        .unwrap();
    let refusal = text(
        admin
            .remove_account(&key("anna@firma.test"), Dependents::Keep, NOON)
            .await,
    );
    assert_eq!(
        refusal,
        "alias info@firma.test, domain firma.test still leads to anna@firma.test; change that first or use --with-aliases"
    );
    assert_eq!(
        admin
            .account(&key("anna@firma.test"))
            .await
            .unwrap()
            .aliases,
        ["info@firma.test"]
    );
    let changes = admin
        .remove_account(&key("anna@firma.test"), Dependents::Remove, NOON)
        .await
        .unwrap();
    let sentences: Vec<String> = changes.iter().map(ToString::to_string).collect();
    assert_eq!(
        sentences,
        [
            "alias info@firma.test is removed",
            "domain firma.test changes its catch-all from anna@firma.test to nothing",
            "account anna@firma.test is removed with all its mail",
        ]
    );
    assert_eq!(
        resolution(&fixture, "info@firma.test").await,
        Resolution::NoSuchAddress
    );
}

#[tokio::test]
async fn circles_and_dead_ends_are_refused_when_they_are_made() {
    let fixture = Fixture::cheap().await;
    let admin = &fixture.admin;
    fixture.account("anna@firma.test", "ein wort").await;
    let add =
        async |alias: &str, to: &str| admin.add_alias(&key(alias), &[address(to)], NOON).await;
    assert_eq!(
        text(add("a@firma.test", "nobody@firma.test").await),
        "alias a@firma.test leads to nobody@firma.test, which does not exist; add that account or alias first"
    );
    assert!(text(add("a@firma.test", "a@firma.test").await).contains("circle"));
    assert!(
        text(add("a@else.example", "anna@firma.test").await)
            .contains("domain else.example does not exist")
    );
    assert!(text(add("anna@firma.test", "x@else.example").await).contains("is an account already"));
    assert!(
        text(add("a@firma.test", "x@[192.0.2.1]").await).contains("no address mail can be led to")
    );
    add("a@firma.test", "anna@firma.test").await.unwrap();
    add("b@verein.test", "a@firma.test").await.unwrap();
    assert!(text(add("a@firma.test", "b@verein.test").await).contains("circle"));
    assert!(text(add("a@firma.test", "b+x@verein.test").await).contains("circle"));
    assert!(
        text(fixture.try_account("a@firma.test", "ein wort").await).contains("is an alias already")
    );
    let all = NewDomain {
        catch_all: Setting::To(address("nobody@firma.test")),
        ..NewDomain::default()
    };
    assert!(text(admin.set_domain(&name("firma.test"), &all, NOON).await).contains("circle"));
    assert_eq!(
        admin.alias(&key("a@firma.test")).await.unwrap().to,
        ["anna@firma.test"],
        "nothing half done"
    );
    let changes = add("a@firma.test", "Anna@FIRMA.test").await.unwrap();
    assert!(
        changes.is_empty(),
        "the same target in another spelling: {changes:?}"
    );
}

#[tokio::test]
async fn nothing_is_left_that_leads_nowhere() {
    let fixture = Fixture::cheap().await;
    let admin = &fixture.admin;
    fixture.account("anna@firma.test", "ein wort").await;
    let all = NewDomain {
        catch_all: Setting::To(address("anna@firma.test")),
        ..NewDomain::default()
    };
    admin
        .set_domain(&name("firma.test"), &all, NOON)
        .await
        .unwrap();
    let add =
        async |alias: &str, to: &str| admin.add_alias(&key(alias), &[address(to)], NOON).await;
    let only_caught = text(add("a@verein.test", "nobody@firma.test").await);
    assert!(only_caught.contains("does not exist"), "{only_caught}");
    add("a@firma.test", "anna@firma.test").await.unwrap();
    add("b@verein.test", "a+x@firma.test").await.unwrap();
    add("c@verein.test", "b@verein.test").await.unwrap();
    add("c@verein.test", "X@new.test").await.unwrap();
    let taken = text(
        admin
            .add_domain(&name("new.test"), &NewDomain::default(), NOON)
            .await,
    );
    assert!(
        taken.contains("alias c@verein.test leads into new.test"),
        "{taken}"
    );

    admin
        .remove_account(&key("anna@firma.test"), Dependents::Remove, NOON)
        .await
        .unwrap();
    let state = admin.state().await.unwrap();
    assert_eq!(
        state
            .aliases
            .keys()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["c@verein.test"]
    );
    assert_eq!(
        admin.alias(&key("c@verein.test")).await.unwrap().to,
        ["X@new.test"]
    );
    assert_eq!(
        admin.domain(&name("firma.test")).await.unwrap().catch_all,
        None
    );
}

#[tokio::test]
async fn groups_are_kept_while_something_is_in_them() {
    let fixture = Fixture::cheap().await;
    let admin = &fixture.admin;
    let grouped = NewDomain {
        group: Setting::To("business".into()),
        ..NewDomain::default()
    };
    assert!(
        text(admin.set_domain(&name("firma.test"), &grouped, NOON).await)
            .contains("group business does not exist")
    );
    admin
        .add_group("business", "with contract", NOON)
        .await
        .unwrap();
    assert!(text(admin.add_group("business", "", NOON).await).contains("exists already"));
    assert!(text(admin.add_group(" ", "", NOON).await).contains("cannot name a group"));
    admin
        .set_domain(&name("firma.test"), &grouped, NOON)
        .await
        .unwrap();
    assert_eq!(
        text(admin.remove_group("business", NOON).await),
        "group business still has 1 domains and 0 accounts; give them another group first"
    );
    fixture.account("anna@firma.test", "annas wort").await;
    let login = Login {
        user: "anna@firma.test",
        password: b"annas wort",
        protocol: Protocol::Pop3,
        peer: "192.0.2.1".parse().unwrap(),
        now: NOON,
    };
    match fixture.directory.login(login).await {
        LoginRuling::Accepted(identity) => {
            assert_eq!(identity.group.as_deref(), Some("business"), "its domain's")
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn passwords_that_nobody_could_use_are_refused() {
    let fixture = Fixture::cheap().await;
    assert!(text(fixture.try_account("a@firma.test", "kurz").await).contains("at least 8"));
    assert!(
        text(fixture.try_account("a@firma.test", "mit\nUmbruch").await)
            .contains("control character")
    );
    assert!(
        text(fixture.try_account("a@firma.test", &"x".repeat(2000)).await).contains("longer than")
    );
    assert!(
        format!("{:?}", NewPassword::clear("geheim"))
            .find("geheim")
            .is_none()
    );
}

/// Notes what it is told, in the same transaction.
struct Noting(Mutex<Vec<String>>);

impl AccountHooks for Noting {
    fn added(&self, tx: &mut dyn Tx, account: AccountId) -> Result<(), StoreError> {
        let rows = tx.one(
            "SELECT COUNT(*) FROM directory_accounts WHERE account = ?1",
            params![account.0],
            |row| row.int(0),
        )?;
        self.0
            .lock()
            .unwrap()
            .push(format!("added {account} {rows:?}"));
        if account.0 == 2 {
            return Err(StoreError::Engine("no room".into()));
        }
        Ok(())
    }
    fn removed(&self, _: &mut dyn Tx, account: AccountId) -> Result<(), StoreError> {
        self.0.lock().unwrap().push(format!("removed {account}"));
        Ok(())
    }
}

#[tokio::test]
async fn hooks_run_inside_and_can_stop_everything() {
    let fixture = Fixture::cheap().await;
    let hooks = Arc::new(Noting(Mutex::default()));
    let admin = Admin::new(fixture.directory.clone(), hooks.clone());
    let add = async |login: &str| {
        admin
            .add_account(
                &key(login),
                &NewAccount::default(),
                &NewPassword::None,
                NOON,
            )
            .await
    };
    add("a@firma.test").await.unwrap();
    assert!(matches!(
        add("b@firma.test").await,
        Err(AdminError::Store(_))
    ));
    assert!(text(admin.account(&key("b@firma.test")).await).contains("does not exist"));
    admin
        .remove_account(&key("a@firma.test"), Dependents::Keep, NOON)
        .await
        .unwrap();
    assert_eq!(
        *hooks.0.lock().unwrap(),
        ["added 1 Some(1)", "added 2 Some(1)", "removed 1"]
    );
}

#[tokio::test]
async fn a_change_is_seen_at_once_here_and_after_a_refresh_elsewhere() {
    let fixture = Fixture::cheap().await;
    let anna = address("anna@firma.test");
    for directory in [&fixture.directory, &fixture.elsewhere] {
        directory.refresh().await.unwrap();
        assert_eq!(
            *directory.resolve(&anna).await.unwrap(),
            Resolution::NoSuchAddress
        );
    }
    fixture.account("anna@firma.test", "ein wort").await;
    assert!(matches!(
        *fixture.directory.resolve(&anna).await.unwrap(),
        Resolution::Local { .. }
    ));
    assert_eq!(
        *fixture.elsewhere.resolve(&anna).await.unwrap(),
        Resolution::NoSuchAddress,
        "remembered"
    );
    fixture.elsewhere.refresh().await.unwrap();
    assert!(matches!(
        *fixture.elsewhere.resolve(&anna).await.unwrap(),
        Resolution::Local { .. }
    ));
    let first = fixture.elsewhere.resolve(&anna).await.unwrap();
    let second = fixture.elsewhere.resolve(&anna).await.unwrap();
    assert!(Arc::ptr_eq(&first, &second), "the second comes from memory");
}

#[tokio::test]
async fn an_address_elsewhere_is_known_by_its_domain_until_that_is_hosted_here() {
    let fixture = Fixture::cheap().await;
    let (first, second) = (address("a@nah.test"), address("b@nah.test"));
    let directory = &fixture.elsewhere;
    directory.resolve(&first).await.unwrap();
    let known = directory.resolve(&second).await.unwrap();
    assert_eq!(*known, Resolution::NoSuchDomain);
    let again = directory.resolve(&first).await.unwrap();
    assert!(Arc::ptr_eq(&known, &again), "both come from memory");
    fixture
        .admin
        .add_domain(&name("nah.test"), &NewDomain::default(), NOON)
        .await
        .unwrap();
    directory.refresh().await.unwrap();
    for address in [first, second] {
        let resolution = directory.resolve(&address).await.unwrap();
        assert_eq!(*resolution, Resolution::NoSuchAddress);
    }
}

#[tokio::test]
async fn role_addresses_of_every_domain_arrive() {
    let fixture = Fixture::new(Settings {
        hashing: CHEAP,
        postmaster: Some(key("chef@verein.test")),
        ..Settings::default()
    })
    .await;
    assert_eq!(
        resolution(&fixture, "postmaster@firma.test").await,
        Resolution::NoPostmaster
    );
    fixture.account("first@firma.test", "ein wort").await;
    assert_eq!(
        accounts_behind(&fixture, "postmaster@verein.test").await,
        [1]
    );
    let chef = fixture.account("chef@verein.test", "ein wort").await;
    assert_eq!(
        accounts_behind(&fixture, "ABUSE@firma.test").await,
        [chef.0]
    );
    let bare = fixture
        .directory
        .resolve_postmaster(&address("postmaster@mx.provider.test"))
        .await
        .unwrap();
    assert!(matches!(bare, Resolution::Local { deliveries, .. } if deliveries[0].account == chef));
    let suspended = NewDomain {
        status: Some(Status::Suspended),
        ..NewDomain::default()
    };
    fixture
        .admin
        .set_domain(&name("firma.test"), &suspended, NOON)
        .await
        .unwrap();
    assert_eq!(
        accounts_behind(&fixture, "abuse@firma.test").await,
        [chef.0]
    );
}

/// What random operators do, in order.
#[derive(Debug, Clone)]
enum Doing {
    AddAccount(u8),
    RemoveAccount(u8),
    AddAlias(u8, u8),
    RemoveAlias(u8),
    CatchAll(u8, u8),
    Apply(u8),
}

fn doing() -> impl Strategy<Value = Doing> {
    prop_oneof![
        3 => (0..6u8).prop_map(Doing::AddAccount),
        1 => (0..6u8).prop_map(Doing::RemoveAccount),
        4 => (6..14u8, 0..14u8).prop_map(|(a, b)| Doing::AddAlias(a, b)),
        1 => (6..14u8).prop_map(Doing::RemoveAlias),
        1 => (0..2u8, 0..14u8).prop_map(|(d, t)| Doing::CatchAll(d, t)),
        1 => (0..6u8).prop_map(Doing::Apply),
    ]
}

fn person(number: u8) -> String {
    let domain = if number.is_multiple_of(2) {
        "firma.test"
    } else {
        "verein.test"
    };
    format!("p{number}@{domain}")
}

async fn run(fixture: &Fixture, doing: Doing) {
    let admin = &fixture.admin;
    // Refusals are part of it.
    match doing {
        Doing::AddAccount(n) => {
            let _ = admin
                .add_account(
                    &key(&person(n)),
                    &NewAccount::default(),
                    &NewPassword::None,
                    NOON,
                )
                .await;
        }
        Doing::RemoveAccount(n) => {
            let _ = admin
                .remove_account(&key(&person(n)), Dependents::Remove, NOON)
                .await;
        }
        Doing::AddAlias(a, b) => {
            let _ = admin
                .add_alias(&key(&person(a)), &[address(&person(b))], NOON)
                .await;
        }
        Doing::RemoveAlias(a) => {
            let _ = admin
                .remove_alias(&key(&person(a)), Dependents::Remove, NOON)
                .await;
        }
        Doing::CatchAll(d, t) => {
            let new = NewDomain {
                catch_all: Setting::To(address(&person(t))),
                ..NewDomain::default()
            };
            let domain = if d == 0 { "firma.test" } else { "verein.test" };
            let _ = admin.set_domain(&name(domain), &new, NOON).await;
        }
        Doing::Apply(n) => {
            let mut text = admin.export().await.unwrap();
            if admin.account(&key(&person(n))).await.is_err() {
                text.push_str(&format!("\n[[account]]\nlogin = \"{}\"\n", person(n)));
            }
            let _ = admin.apply(&text, Removals::Refused, NOON).await;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever operators do: the directory stays free of problems, its answers are those of the
    /// model it exports, an address of an account leads to that account and no other, and numbers
    /// of removed accounts never come back.
    #[test]
    fn the_store_and_the_model_never_part(doings in proptest::collection::vec(doing(), 1..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let fixture = Fixture::cheap().await;
            let rules = Rules { detail_separator: Some('+'), postmaster: None };
            let mut numbers = std::collections::BTreeMap::new();
            for doing in doings {
                run(&fixture, doing.clone()).await;
                let state = fixture.admin.state().await.unwrap();
                assert_eq!(crate::state::problems(&state, &rules), Vec::<String>::new(), "after {doing:?}");
                let mut ids = std::collections::BTreeMap::new();
                for login in state.accounts.keys() {
                    let id = fixture.admin.account_id(login).await.unwrap();
                    let before = numbers.insert(id, login.clone());
                    assert!(before.is_none_or(|b| b == *login), "{id} was given twice");
                    assert_eq!(accounts_behind(&fixture, &login.to_string()).await, [id.0]);
                    ids.insert(id.0, login.clone());
                }
                let mut facts = crate::state::StateFacts::new(&state);
                for number in 0..14 {
                    let written = person(number);
                    let model = match resolve(&mut facts, &rules, &address(&written)) {
                        Ok(Resolution::Local { deliveries, .. }) => {
                            let logins: Vec<_> = state.accounts.keys().collect();
                            deliveries.iter().map(|d| logins[d.account.0 as usize - 1].clone()).collect()
                        }
                        Ok(_) => Vec::new(),
                        Err(never) => match never {},
                    };
                    let stored: Vec<_> = accounts_behind(&fixture, &written).await.iter().map(|id| ids[id].clone()).collect();
                    assert_eq!(stored, model, "{written} after {doing:?}");
                }
            }
        });
    }
}

#[tokio::test]
async fn damaged_rows_are_reported_and_not_guessed() {
    let fixture = Fixture::cheap().await;
    fixture.account("anna@firma.test", "ein wort").await;
    let broken = fixture
        .directory
        .store()
        .write(|tx: &mut dyn Tx| tx.execute("UPDATE directory_accounts SET status = 7", params![]))
        .await;
    assert_eq!(broken.unwrap(), 1);
    let wanted = key("anna@firma.test");
    let error = fixture
        .directory
        .store()
        .read(move |tx: &mut dyn Tx| read::account(tx, &wanted))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("has a status 7"), "{error}");
    assert!(
        fixture
            .directory
            .resolve(&address("anna@firma.test"))
            .await
            .is_err()
    );
}
