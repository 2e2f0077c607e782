//! Resolution over a model: what leads where, and that nothing can make it go round or across.

use super::*;
use crate::state::{Account, Domain, Profile, State, StateFacts};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn address(text: &str) -> Address {
    Address::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn key(text: &str) -> AddressKey {
    AddressKey::parse(text).unwrap()
}

fn rules() -> Rules {
    Rules {
        detail_separator: Some('+'),
        postmaster: None,
    }
}

/// `firma.test` and `verein.test`, accounts and aliases as given.
fn state(accounts: &[&str], aliases: &[(&str, &[&str])]) -> State {
    let mut state = State::default();
    for domain in ["firma.test", "verein.test"] {
        let name = DomainName::parse(domain).unwrap();
        state.domains.insert(name, Domain::default());
    }
    for login in accounts {
        state.accounts.insert(key(login), Account::default());
    }
    for (alias, to) in aliases {
        let to: BTreeSet<Address> = to.iter().map(|t| address(t)).collect();
        state.aliases.insert(key(alias), to);
    }
    state
}

fn find(state: &State, rules: &Rules, text: &str) -> Resolution {
    match resolve(&mut StateFacts::new(state), rules, &address(text)) {
        Ok(found) => found,
        Err(never) => match never {},
    }
}

/// `anna@firma.test+detail` for each delivery, then each forward.
fn where_to(state: &State, text: &str) -> Vec<String> {
    let Resolution::Local {
        deliveries,
        forwards,
    } = find(state, &rules(), text)
    else {
        return vec![format!("{:?}", find(state, &rules(), text))];
    };
    let logins: Vec<&AddressKey> = state.accounts.keys().collect();
    let mut all = Vec::new();
    for delivery in deliveries {
        assert_eq!(
            delivery.address,
            address(text),
            "the address stays as written"
        );
        let login = logins[usize::try_from(delivery.account.0 - 1).unwrap()];
        match delivery.detail {
            Some(detail) => all.push(format!("{login} {detail}")),
            None => all.push(login.to_string()),
        }
    }
    all.extend(forwards.iter().map(ToString::to_string));
    all
}

#[test]
fn addresses_lead_where_they_should() {
    let state = state(
        &[
            "anna@firma.test",
            "bernd@firma.test",
            "müller@firma.test",
            "x+y@firma.test",
        ],
        &[
            (
                "info@firma.test",
                &[
                    "anna@firma.test",
                    "bernd@firma.test",
                    "Partner@else.example",
                ],
            ),
            (
                "team@verein.test",
                &["info@firma.test", "anna+team@firma.test"],
            ),
            ("list@firma.test", &["anna+list@firma.test"]),
        ],
    );
    for (written, expected) in [
        ("anna@firma.test", &["anna@firma.test"][..]),
        ("ANNA@FIRMA.TEST", &["anna@firma.test"]),
        ("Anna+Liste@firma.test", &["anna@firma.test Liste"]),
        ("anna+@firma.test", &["anna@firma.test"]),
        ("anna+a+b@firma.test", &["anna@firma.test a+b"]),
        ("+a@firma.test", &["NoSuchAddress"]),
        ("x+y@firma.test", &["x+y@firma.test"]),
        ("MÜLLER@firma.test", &["müller@firma.test"]),
        ("mu\u{308}ller@firma.test", &["müller@firma.test"]),
        (
            "info@firma.test",
            &[
                "anna@firma.test",
                "bernd@firma.test",
                "Partner@else.example",
            ],
        ),
        (
            "team@verein.test",
            &[
                "anna@firma.test team",
                "bernd@firma.test",
                "Partner@else.example",
            ],
        ),
        (
            "info+x@firma.test",
            &[
                "anna@firma.test x",
                "bernd@firma.test x",
                "Partner@else.example",
            ],
        ),
        ("list+own@firma.test", &["anna@firma.test list"]),
        ("nobody@firma.test", &["NoSuchAddress"]),
        ("anna@verein.test", &["NoSuchAddress"]),
        ("anna@else.example", &["NoSuchDomain"]),
        ("anna@[192.0.2.1]", &["NoSuchDomain"]),
    ] {
        assert_eq!(where_to(&state, written), expected, "{written}");
    }
}

#[test]
fn without_a_separator_a_plus_is_a_letter() {
    let state = state(&["anna@firma.test"], &[]);
    let rules = Rules::default();
    assert_eq!(
        find(&state, &rules, "anna+x@firma.test"),
        Resolution::NoSuchAddress
    );
}

#[test]
fn a_domain_is_one_domain_in_both_spellings() {
    let mut state = state(&[], &[]);
    state
        .domains
        .insert(DomainName::parse("bücher.test").unwrap(), Domain::default());
    state
        .accounts
        .insert(key("anna@bücher.test"), Account::default());
    for written in [
        "anna@BÜCHER.test",
        "anna@xn--bcher-kva.test",
        "anna@XN--BCHER-KVA.TEST",
    ] {
        assert_eq!(
            where_to(&state, written),
            ["anna@xn--bcher-kva.test"],
            "{written}"
        );
    }
}

#[test]
fn the_catch_all_gets_what_nobody_else_does() {
    let mut state = state(
        &["anna@firma.test"],
        &[("info@firma.test", &["x@else.example"])],
    );
    let domain = state
        .domains
        .get_mut(&DomainName::parse("firma.test").unwrap())
        .unwrap();
    domain.catch_all = Some(address("anna@firma.test"));
    assert_eq!(where_to(&state, "egal@firma.test"), ["anna@firma.test"]);
    assert_eq!(where_to(&state, "info@firma.test"), ["x@else.example"]);
    assert_eq!(where_to(&state, "egal@verein.test"), ["NoSuchAddress"]);
}

#[test]
fn circles_are_found_however_they_are_made() {
    let circle = state(
        &["anna@firma.test"],
        &[
            ("a@firma.test", &["b@firma.test"]),
            ("b@firma.test", &["anna@firma.test", "c+x@verein.test"]),
            ("c@verein.test", &["a@firma.test"]),
            ("twice@firma.test", &["left@firma.test", "right@firma.test"]),
            ("left@firma.test", &["end@firma.test"]),
            ("right@firma.test", &["end@firma.test"]),
            ("end@firma.test", &["anna@firma.test"]),
        ],
    );
    for written in ["a@firma.test", "b@firma.test", "c@verein.test"] {
        assert_eq!(where_to(&circle, written), ["Loop"], "{written}");
    }
    assert_eq!(
        where_to(&circle, "twice@firma.test"),
        ["anna@firma.test"],
        "two ways are no circle"
    );

    let mut through_catch_all = state(&[], &[("a@firma.test", &["nobody@firma.test"])]);
    let firma = DomainName::parse("firma.test").unwrap();
    through_catch_all.domains.get_mut(&firma).unwrap().catch_all = Some(address("a@firma.test"));
    assert_eq!(where_to(&through_catch_all, "a@firma.test"), ["Loop"]);
    assert_eq!(where_to(&through_catch_all, "other@firma.test"), ["Loop"]);
}

#[test]
fn depth_width_and_work_are_bounded() {
    let name = |n: usize| format!("a{n}@firma.test");
    let mut deep = state(&["anna@firma.test"], &[]);
    for n in 0..ALIAS_DEPTH_MAX {
        let next = if n == 0 {
            "anna@firma.test".to_owned()
        } else {
            name(n - 1)
        };
        deep.aliases
            .insert(key(&name(n)), BTreeSet::from([address(&next)]));
    }
    assert_eq!(
        where_to(&deep, &name(ALIAS_DEPTH_MAX - 1)),
        ["anna@firma.test"]
    );
    deep.aliases.insert(
        key("top@firma.test"),
        BTreeSet::from([address(&name(ALIAS_DEPTH_MAX - 1))]),
    );
    assert_eq!(where_to(&deep, "top@firma.test"), ["Loop"]);

    for (targets, fits) in [(FAN_OUT_MAX, true), (FAN_OUT_MAX + 1, false)] {
        let mut wide = state(&[], &[]);
        let to = (0..targets)
            .map(|n| address(&format!("u{n}@else.example")))
            .collect();
        wide.aliases.insert(key("all@firma.test"), to);
        assert_eq!(where_to(&wide, "all@firma.test").len() == targets, fits);
    }

    // Each level leads twice to the next: 2^16 ways, but only 32 aliases.
    let mut braid = state(&["anna@firma.test"], &[]);
    for n in 0..8 {
        for side in ["l", "r"] {
            let to = match n {
                0 => BTreeSet::from([address("anna@firma.test")]),
                _ => ["l", "r"]
                    .map(|s| address(&format!("{s}{}@firma.test", n - 1)))
                    .into(),
            };
            braid
                .aliases
                .insert(key(&format!("{side}{n}@firma.test")), to);
        }
    }
    assert_eq!(where_to(&braid, "l7@firma.test"), ["anna@firma.test"]);
}

#[test]
fn suspended_accounts_and_domains_get_nothing() {
    let mut state = state(
        &["anna@firma.test", "bernd@firma.test", "clara@verein.test"],
        &[("both@firma.test", &["anna@firma.test", "bernd@firma.test"])],
    );
    let suspended = Profile {
        status: Status::Suspended,
        ..Profile::default()
    };
    state
        .accounts
        .get_mut(&key("anna@firma.test"))
        .unwrap()
        .profile = suspended;
    let verein = DomainName::parse("verein.test").unwrap();
    state.domains.get_mut(&verein).unwrap().status = Status::Suspended;
    assert_eq!(where_to(&state, "anna@firma.test"), ["Suspended"]);
    assert_eq!(where_to(&state, "both@firma.test"), ["bernd@firma.test"]);
    assert_eq!(where_to(&state, "clara@verein.test"), ["Suspended"]);
    assert_eq!(where_to(&state, "nobody@verein.test"), ["Suspended"]);
}

/// RFC 2142 and RFC 5321 §4.5.1.
#[test]
fn postmaster_and_abuse_always_arrive() {
    let mut state = state(
        &["anna@firma.test", "chef@verein.test"],
        &[("hostmaster@firma.test", &["postmaster@firma.test"])],
    );
    let provider = Rules {
        postmaster: Some(key("chef@verein.test")),
        ..rules()
    };
    let to = |state: &State, rules: &Rules, written: &str| match find(state, rules, written) {
        Resolution::Local {
            deliveries,
            forwards,
        } if forwards.is_empty() => deliveries.iter().map(|d| d.account.0).collect::<Vec<_>>(),
        other => panic!("{written}: {other:?}"),
    };
    for written in [
        "postmaster@firma.test",
        "Abuse@Firma.Test",
        "postmaster+x@firma.test",
        "hostmaster@firma.test",
    ] {
        assert_eq!(
            to(&state, &rules(), written),
            [1],
            "the first account: {written}"
        );
        assert_eq!(
            to(&state, &provider, written),
            [2],
            "the provider's: {written}"
        );
    }
    let firma = DomainName::parse("firma.test").unwrap();
    state.domains.get_mut(&firma).unwrap().contact = Some(address("anna@firma.test"));
    assert_eq!(
        to(&state, &provider, "abuse@firma.test"),
        [1],
        "the domain's contact"
    );
    state.aliases.insert(
        key("abuse@firma.test"),
        [address("chef@verein.test")].into(),
    );
    assert_eq!(
        to(&state, &provider, "abuse@firma.test"),
        [2],
        "an alias of that name"
    );
    state.aliases.insert(
        key("abuse@firma.test"),
        [address("abuse@firma.test")].into(),
    );
    assert_eq!(
        to(&state, &provider, "abuse@firma.test"),
        [1],
        "a circle is passed over"
    );
    for domain in state.domains.values_mut() {
        domain.status = Status::Suspended;
    }
    assert_eq!(
        find(&state, &provider, "postmaster@firma.test"),
        Resolution::NoPostmaster
    );
    assert_eq!(
        find(&state, &provider, "postmaster@else.example"),
        Resolution::NoSuchDomain
    );
}

/// Who gets a domain's postmaster mail only because nobody else would is not assigned that address.
#[test]
fn the_last_resort_is_no_assignment() {
    let mut state = state(
        &["anna@firma.test", "chef@verein.test"],
        &[("abuse@verein.test", &["anna@firma.test"])],
    );
    let provider = Rules {
        postmaster: Some(key("anna@firma.test")),
        ..rules()
    };
    let assigned = |state: &State, rules: &Rules, text: &str| {
        let found = resolve_assigned(&mut StateFacts::new(state), rules, &address(text));
        match found {
            Ok(Resolution::Local { deliveries, .. }) => Some(deliveries[0].account.0),
            Ok(Resolution::NoSuchAddress | Resolution::NoSuchDomain) => None,
            other => panic!("{text}: {other:?}"),
        }
    };
    for rules in [&rules(), &provider] {
        assert_eq!(assigned(&state, rules, "postmaster@verein.test"), None);
        assert_eq!(assigned(&state, rules, "Postmaster+x@verein.test"), None);
        assert_eq!(assigned(&state, rules, "postmaster@else.example"), None);
        assert_eq!(assigned(&state, rules, "abuse@verein.test"), Some(1));
        assert_eq!(assigned(&state, rules, "anna+x@firma.test"), Some(1));
    }
    let verein = DomainName::parse("verein.test").unwrap();
    state.domains.get_mut(&verein).unwrap().contact = Some(address("chef@verein.test"));
    assert_eq!(
        assigned(&state, &provider, "postmaster@verein.test"),
        Some(2)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Aliases at random, circles and all: every walk ends, and whoever gets mail is reachable over
    /// aliases that were made; nobody else is.
    #[test]
    fn mail_goes_only_where_aliases_lead(
        links in proptest::collection::vec((0..12usize, 0..16usize), 0..40),
        from in 0..12usize,
    ) {
        // 0..12 are aliases in two domains, 12..16 are accounts.
        let name = |n: usize| {
            let domain = if n.is_multiple_of(2) { "firma.test" } else { "verein.test" };
            if n < 12 { format!("alias{n}@{domain}") } else { format!("user{n}@{domain}") }
        };
        let accounts: Vec<String> = (12..16).map(name).collect();
        let accounts: Vec<&str> = accounts.iter().map(String::as_str).collect();
        let mut state = state(&accounts, &[]);
        for (alias, to) in &links {
            state.aliases.entry(key(&name(*alias))).or_default().insert(address(&name(*to)));
        }
        let mut reachable = BTreeSet::from([from]);
        for _ in 0..16 {
            let more: Vec<usize> = links.iter().filter(|(a, _)| reachable.contains(a)).map(|(_, b)| *b).collect();
            reachable.extend(more);
        }
        let expected: BTreeSet<String> = reachable.iter().filter(|n| **n >= 12).map(|n| name(*n)).collect();
        match find(&state, &rules(), &name(from)) {
            Resolution::Local { .. } => {
                let found: BTreeSet<String> = where_to(&state, &name(from)).into_iter().collect();
                prop_assert_eq!(found, expected);
            }
            Resolution::NoSuchAddress => prop_assert!(expected.is_empty()),
            Resolution::Loop => {}
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
