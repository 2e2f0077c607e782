//! The whole table of roles, rights and subjects.

use super::*;

fn domain(name: &str) -> DomainName {
    DomainName::parse(name).unwrap()
}

fn login(address: &str) -> AddressKey {
    AddressKey::parse(address).unwrap()
}

fn caller(role: Role) -> Caller {
    Caller {
        who: "x".into(),
        role,
        domains: match role {
            Role::DomainAdmin => vec![domain("firma.test")],
            _ => Vec::new(),
        },
        account: Some((AccountId(7), login("me@elsewhere.test"))),
        proof: Proof::Token,
    }
}

const RIGHTS: [Right; 4] = [Right::See, Right::Assist, Right::Own, Right::Change];

/// Which of `RIGHTS` the role has.
fn rights(role: Role, subject: &Subject) -> String {
    let caller = caller(role);
    let may = |right: &Right| match caller.may(*right, subject) {
        true => '+',
        false => '-',
    };
    RIGHTS.iter().map(may).collect()
}

#[test]
fn who_may_do_what() {
    let subjects = [
        Subject::Installation,
        Subject::Domain(domain("firma.test")),
        Subject::Domain(domain("privat.test")),
        Subject::Account(login("anna@firma.test")),
        Subject::Account(login("carla@privat.test")),
        Subject::Account(login("me@elsewhere.test")),
    ];
    let of = |role| subjects.each_ref().map(|subject| rights(role, subject));
    // See, Assist, Own, Change.
    assert_eq!(of(Role::Operator), ["++++"; 6]);
    assert_eq!(
        of(Role::Support),
        ["++--", "++--", "++--", "++--", "++--", "+++-"]
    );
    assert_eq!(
        of(Role::DomainAdmin),
        ["----", "++++", "----", "++++", "----", "+++-"]
    );
    assert_eq!(
        of(Role::User),
        ["----", "----", "----", "----", "----", "+++-"]
    );
}

#[test]
fn nobody_comes_by_more_through_an_account_of_their_domain() {
    let (own, other) = (domain("firma.test"), domain("privat.test"));
    let admin = caller(Role::DomainAdmin);
    assert!(admin.may_stand_for(Role::User, &[]));
    assert!(admin.may_stand_for(Role::DomainAdmin, std::slice::from_ref(&own)));
    assert!(!admin.may_stand_for(Role::DomainAdmin, &[own, other.clone()]));
    assert!(!admin.may_stand_for(Role::Support, &[]));
    assert!(!admin.may_stand_for(Role::Operator, &[]));
    assert!(caller(Role::Operator).may_stand_for(Role::Operator, &[other]));
}

#[test]
fn nobody_gets_only_what_is_public() {
    for right in RIGHTS {
        assert_eq!(rule(None, right, &Subject::Each), Ruling::WhoAreYou);
    }
    assert_eq!(
        rule(None, Right::Public, &Subject::Installation),
        Ruling::Admitted
    );
}

#[test]
fn a_name_that_cannot_be_read_is_seen_by_nobody() {
    assert!(!caller(Role::Operator).sees_domain("a b"));
    assert!(!caller(Role::Operator).sees_account("no address"));
}
