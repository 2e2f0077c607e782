//! What becomes of findings when the addresses they are about become the account's own.

use super::*;
use crate::testing::{Fixture, NOON, key};
use directory::admin::{AccountHooks, Admin, LeadsThere, NewAccount, NewDomain, NewPassword};
use directory::admin::{Dependents, Setting};
use directory::{AccountId, DomainName};

/// As the program has it.
struct Settling;

impl AccountHooks for Settling {
    fn added(&self, _: &mut dyn Tx, _: AccountId) -> Result<(), StoreError> {
        Ok(())
    }
    fn removed(&self, _: &mut dyn Tx, _: AccountId) -> Result<(), StoreError> {
        Ok(())
    }
    fn reached(
        &self,
        tx: &mut dyn Tx,
        account: AccountId,
        leads_there: &LeadsThere<'_>,
    ) -> Result<(), StoreError> {
        settle_owned(tx, account, leads_there)
    }
}

#[tokio::test]
async fn an_alias_or_catch_all_settles_what_was_found_about_its_addresses() {
    let fixture = Fixture::new().await;
    let directory = fixture.directory.directory().clone();
    let admin = Admin::new(directory, std::sync::Arc::new(Settling));
    let (info, team, boss) = (
        key("info@firma.test"),
        key("team@firma.test"),
        key("boss@firma.test"),
    );
    let (new, none) = (NewAccount::default(), NewPassword::None);
    admin.add_account(&boss, &new, &none, NOON).await.unwrap();
    let findings = Findings::new(fixture.store.clone());
    let used = [
        "any@firma.test",
        "boss@firma.test",
        "info@firma.test",
        "Team+x@firma.test",
        "x@gmx.example",
        "From: (none)",
    ];
    for used in used {
        findings.note(Measure::SenderOwnership, fixture.anna, used, NOON);
    }
    findings.flush().await.unwrap();
    let left = async || {
        let account = fixture.anna;
        let read = move |tx: &mut dyn Tx| of(tx, account, &Measure::SenderOwnership, 0);
        let found = fixture.store.read(read).await.unwrap();
        let details: Vec<String> = found.into_iter().map(|one| one.detail).collect();
        details
    };
    let anna = Address::parse("anna@firma.test").unwrap();
    // An alias of an alias, whose last step comes later.
    let to_info = [Address::parse("info@firma.test").unwrap()];
    let to_boss = [Address::parse("boss@firma.test").unwrap()];
    admin.add_alias(&info, &to_boss, NOON).await.unwrap();
    admin.add_alias(&team, &to_info, NOON).await.unwrap();
    assert_eq!(left().await.len(), used.len());
    admin
        .add_alias(&info, std::slice::from_ref(&anna), NOON)
        .await
        .unwrap();
    let rest = [
        "From: (none)",
        "any@firma.test",
        "boss@firma.test",
        "x@gmx.example",
    ];
    assert_eq!(left().await, rest);
    // A catch-all takes what is nobody's, and no mailbox of somebody else's until that goes.
    let new = NewDomain {
        catch_all: Setting::To(anna),
        ..NewDomain::default()
    };
    let firma = DomainName::parse("firma.test").unwrap();
    admin.set_domain(&firma, &new, NOON).await.unwrap();
    let rest = ["From: (none)", "boss@firma.test", "x@gmx.example"];
    assert_eq!(left().await, rest);
    admin
        .remove_account(&boss, Dependents::Remove, NOON)
        .await
        .unwrap();
    assert_eq!(left().await, ["From: (none)", "x@gmx.example"]);
}
