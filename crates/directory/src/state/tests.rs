//! States as text and as plans: what is exported comes back, and a plan does what it says.

use super::*;
use crate::password::generate;
use crate::resolution::Rules;
use crate::settings::Hashing;
use platform::random::Random;
use proptest::prelude::*;

const CHEAP: Hashing = Hashing {
    memory_kib: 8,
    passes: 1,
    lanes: 1,
    scram_iterations: 4096,
};

fn derivation(seed: u64) -> Derivation {
    Derivation {
        salt: seed.to_le_bytes().to_vec(),
        iterations: 4096,
    }
}

fn keys(seed: u8) -> Keys {
    Keys {
        stored_key: [seed; 32],
        server_key: [seed.wrapping_add(1); 32],
    }
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

/// A state out of a few small choices, so that two of them often share names.
fn any_state() -> impl Strategy<Value = State> {
    let account = (0..4u8, 0..3u8, 0..3u8, 0..3u8, any::<bool>());
    (
        proptest::collection::btree_map(0..3u8, 0..3u8, 0..3),
        proptest::collection::btree_map(
            0..3u8,
            (any::<bool>(), any::<bool>(), any::<bool>()),
            0..3,
        ),
        proptest::collection::vec((0..3u8, account), 0..6),
        proptest::collection::vec(
            (
                0..3u8,
                0..4u8,
                proptest::collection::btree_set(0..6u8, 1..4),
            ),
            0..6,
        ),
    )
        .prop_map(|(groups, domains, accounts, aliases)| {
            let mut state = State::default();
            for (name, text) in groups {
                let description = if text == 0 {
                    String::new()
                } else {
                    format!("text \"{text}\"\n")
                };
                state
                    .groups
                    .insert(format!("group {name}"), Group { description });
            }
            for (name, (shut, grouped, caught)) in domains {
                let domain = Domain {
                    status: if shut {
                        Status::Suspended
                    } else {
                        Status::Active
                    },
                    group: grouped.then(|| "group 0".to_owned()),
                    catch_all: caught.then(|| address("someone@else.example")),
                    contact: shut.then(|| address("\"a b\"@else.example")),
                };
                state
                    .domains
                    .insert(DomainName::parse(&format!("d{name}.test")).unwrap(), domain);
            }
            for (domain, (name, password, apps, pop3, shut)) in accounts {
                let login = AddressKey::parse(&format!("user{name}@d{domain}.test")).unwrap();
                state
                    .accounts
                    .insert(login, an_account(password, apps, pop3, shut));
            }
            for (domain, name, to) in aliases {
                let alias = AddressKey::parse(&format!("alias{name}@d{domain}.test")).unwrap();
                let to = to
                    .iter()
                    .map(|n| address(&format!("Target{n}@else.example")))
                    .collect();
                state.aliases.insert(alias, to);
            }
            state
        })
}

fn an_account(password: u8, apps: u8, pop3: u8, shut: bool) -> Account {
    let random = Random::seeded(7);
    let salt = u64::from(password);
    Account {
        profile: Profile {
            status: if shut {
                Status::Suspended
            } else {
                Status::Active
            },
            group: shut.then(|| "group 1".to_owned()),
            pop3_delete: [Pop3Delete::Remove, Pop3Delete::Trash, Pop3Delete::Keep]
                [usize::from(pop3)],
        },
        credentials: Credentials {
            password: (password > 0).then(|| Verifier::make(&[b'p', password], &CHEAP, &random)),
            scram: Some(Scram {
                derivation: derivation(salt),
                keys: (password > 1).then(|| keys(password)),
            }),
            app_passwords: Some(
                (0..apps)
                    .map(|n| {
                        let hash = AppPasswordHash::make(&format!("{n}"), &Random::seeded(salt));
                        let keys = (n > 0).then(|| keys(n));
                        (
                            format!("phone \"{n}\""),
                            AppPassword {
                                hash,
                                keys,
                                limits: AppLimits {
                                    per_hour: (n % 2 == 0).then_some(20),
                                    ..AppLimits::default()
                                },
                            },
                        )
                    })
                    .collect(),
            ),
        },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn an_export_comes_back_and_changes_nothing(state in any_state()) {
        let text = export(&state);
        let wanted = parse(&text).map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
        prop_assert_eq!(&wanted.state, &state);
        prop_assert!(wanted.clear_passwords.is_empty());
        prop_assert_eq!(plan(&state, &wanted.state), vec![]);
        prop_assert_eq!(export(&wanted.state), text);
    }

    #[test]
    fn a_plan_leads_from_one_state_to_the_other(from in any_state(), to in any_state()) {
        let mut state = from.clone();
        for change in plan(&from, &to) {
            prop_assert!(change.to_string().len() > 10);
            change.apply(&mut state);
        }
        let mut expected = to.clone();
        for (login, account) in &mut expected.accounts {
            // A file cannot say "no password" of an account that has one: it says nothing of it.
            if account.credentials.password.is_none() {
                let before = from.accounts.get(login);
                account.credentials.password = before.and_then(|a| a.credentials.password.clone());
            }
        }
        prop_assert_eq!(&state, &expected);
        prop_assert_eq!(plan(&state, &to), vec![]);
    }

    #[test]
    fn credentials_that_are_not_named_stay(from in any_state(), to in any_state()) {
        let mut silent = to.clone();
        for account in silent.accounts.values_mut() {
            account.credentials = Credentials::default();
        }
        let mut state = from.clone();
        for change in plan(&from, &silent) {
            prop_assert!(!matches!(change, Change::PasswordReplaced { .. } | Change::AppPasswordRemoved { .. }), "{}", change);
            change.apply(&mut state);
        }
        for (login, account) in &state.accounts {
            if let Some(before) = from.accounts.get(login) {
                prop_assert_eq!(&account.credentials, &before.credentials);
            }
        }
    }
}

#[test]
fn a_new_password_takes_the_old_scram_keys_away() {
    let login = AddressKey::parse("anna@firma.test").unwrap();
    let mut from = State::default();
    from.accounts
        .insert(login.clone(), an_account(2, 2, 0, false));
    let mut to = from.clone();
    let random = Random::seeded(3);
    let new = Verifier::make(generate(&random).as_bytes(), &CHEAP, &random);
    let wanted = &mut to.accounts.get_mut(&login).unwrap().credentials;
    *wanted = Credentials {
        password: Some(new.clone()),
        ..Credentials::default()
    };
    let changes = plan(&from, &to);
    assert_eq!(
        changes[0].to_string(),
        "the password of account anna@firma.test is replaced"
    );
    for change in changes {
        change.apply(&mut from);
    }
    let after = &from.accounts[&login].credentials;
    assert_eq!(after.password, Some(new));
    assert_eq!(after.scram.as_ref().unwrap().keys, None);
    assert!(
        after
            .app_passwords
            .as_ref()
            .unwrap()
            .values()
            .any(|app| app.keys.is_some())
    );
}

#[test]
fn what_a_file_may_not_say_is_refused_with_its_line() {
    for (text, line, word) in [
        (
            "[[domain]]\nname = \"firma.test\"\ncolour = \"red\"\n",
            "line 3",
            "colour",
        ),
        ("[[domian]]\nname = \"firma.test\"\n", "line 1", "domian"),
        (
            "[[domain]]\nname = \"not a domain\"\n",
            "line 2",
            "not a domain",
        ),
        (
            "[[domain]]\nname = \"a.test\"\n[[domain]]\nname = \"A.test\"\n",
            "line 4",
            "second time",
        ),
        ("[[account]]\nlogin = \"anna\"\n", "line 2", "anna"),
        (
            "[[account]]\nlogin = \"anna@a.test\"\nstatus = \"gone\"\n",
            "line 2",
            "suspended",
        ),
        (
            "[[account]]\nlogin = \"anna@a.test\"\npassword_hash = \"{PLAIN}x\"\n",
            "line 2",
            "ARGON2ID",
        ),
        (
            "[[account]]\nlogin = \"anna@a.test\"\npassword_hash = \"{CRYPT}x\"\npassword = \"y\"\n",
            "line 2",
            "give one",
        ),
        (
            "[[alias]]\naddress = \"x@a.test\"\nto = []\n",
            "line 2",
            "leads nowhere",
        ),
        (
            "[[alias]]\naddress = \"x@a.test\"\nto = [\"y\"]\n",
            "line 2",
            "\"y\"",
        ),
        ("[[alias]]\naddress = \"x@a.test\"\n", "line 1", "to"),
        ("what", "line 1", ""),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(
            error.contains(line) && error.contains(word),
            "{text}\n{error}"
        );
        assert!(
            error.contains("[[account]]\nlogin = \"anna@firma.example\""),
            "an example: {error}"
        );
    }
}

#[test]
fn what_does_not_fit_together_is_said() {
    let text = r#"
        [[domain]]
        name = "firma.test"
        group = "none"
        catch_all = "nobody@firma.test"
        [[account]]
        login = "anna@firma.test"
        [[account]]
        login = "bernd@else.test"
        [[alias]]
        address = "anna@firma.test"
        to = ["x@else.example"]
        [[alias]]
        address = "a@firma.test"
        to = ["b@firma.test"]
        [[alias]]
        address = "b@firma.test"
        to = ["a@firma.test", "x@else.example"]
    "#;
    let rules = Rules {
        detail_separator: Some('+'),
        postmaster: None,
    };
    let problems = problems(&parse(text).unwrap().state, &rules).join("\n");
    for expected in [
        "domain firma.test is in group none, which does not exist",
        "the catch-all of domain firma.test leads to nobody@firma.test",
        "account bernd@else.test is in domain else.test, which does not exist",
        "anna@firma.test is an account and an alias",
        "alias a@firma.test leads back to itself",
    ] {
        assert!(
            problems.contains(expected),
            "{expected} is not in:\n{problems}"
        );
    }
}

#[test]
fn a_plan_speaks_in_sentences() {
    let from = parse("[[domain]]\nname = \"firma.test\"\n[[alias]]\naddress = \"x@firma.test\"\nto = [\"z@else.example\"]\n").unwrap().state;
    let to = parse(
        "[[domain]]\nname = \"firma.test\"\nstatus = \"suspended\"\ncatch_all = \"anna@firma.test\"\n\
         [[account]]\nlogin = \"Anna@firma.test\"\n\
         [[alias]]\naddress = \"x@firma.test\"\nto = [\"z@else.example\", \"Y@else.example\"]\n",
    )
    .unwrap()
    .state;
    let sentences: Vec<String> = plan(&from, &to).iter().map(ToString::to_string).collect();
    assert_eq!(
        sentences,
        [
            "domain firma.test is now suspended and changes its catch-all from nothing to anna@firma.test",
            "account anna@firma.test is added",
            "alias x@firma.test now also leads to Y@else.example",
        ]
    );
}
