//! Who is on the test server: anna and bernd of firma.test, and addresses that lead to them, to both,
//! or elsewhere; fang.test, whose catch-all is anna's; privat.test of the group "private".
//! Never used outside tests.

use super::START;
use directory::admin::{AccountHooks, Admin, NewAccount, NewDomain, NewPassword, Setting};
use directory::settings::Hashing;
use directory::{AccountId, AddressKey, Directory, DomainName};
use formats::address::Address;
use mailbox::{MailboxName, Mailboxes};
use platform::random::Random;
use platform::store::{Store, StoreError, Tx};
use std::sync::Arc;

/// The password of both.
pub(super) const PASSWORD: &str = "geheim-genug";

/// Makes and removes mailboxes with their accounts.
struct MailboxHooks;

impl AccountHooks for MailboxHooks {
    fn added(&self, tx: &mut dyn Tx, account: AccountId) -> Result<(), StoreError> {
        mailbox::create_account_mailboxes(tx, account, START)
    }

    fn removed(&self, tx: &mut dyn Tx, account: AccountId) -> Result<(), StoreError> {
        mailbox::remove_account(tx, account)
    }
}

/// A directory with the two in it, and their accounts.
pub(super) async fn directory(store: &Store) -> (Directory, [AccountId; 2]) {
    let settings = directory::Settings {
        hashing: Hashing {
            memory_kib: 8_192,
            passes: 1,
            ..Hashing::default()
        },
        ..directory::Settings::default()
    };
    let directory = Directory::open(store.clone(), settings, Random::seeded(3))
        .await
        .unwrap();
    let admin = Admin::new(directory.clone(), Arc::new(MailboxHooks));
    let domain = DomainName::parse("firma.test").unwrap();
    admin
        .add_domain(&domain, &NewDomain::default(), START)
        .await
        .unwrap();
    let mut accounts = [AccountId(0); 2];
    for (account, local) in accounts.iter_mut().zip(["anna", "bernd"]) {
        let login = AddressKey::new(local, domain.clone());
        let password = NewPassword::clear(PASSWORD);
        *account = admin
            .add_account(&login, &NewAccount::default(), &password, START)
            .await
            .unwrap();
    }
    for (local, to) in [
        ("team", &["anna@firma.test", "bernd@firma.test"][..]),
        ("outside", &["x@elsewhere.example"][..]),
    ] {
        let to: Vec<_> = to.iter().map(|to| Address::parse(to).unwrap()).collect();
        admin
            .add_alias(&AddressKey::new(local, domain.clone()), &to, START)
            .await
            .unwrap();
    }
    admin.add_group("private", "", START).await.unwrap();
    let private = NewDomain {
        group: Setting::To("private".into()),
        ..NewDomain::default()
    };
    let catching = NewDomain {
        catch_all: Setting::To(Address::parse("anna@firma.test").unwrap()),
        ..NewDomain::default()
    };
    for (name, domain) in [("privat.test", &private), ("fang.test", &catching)] {
        let name = DomainName::parse(name).unwrap();
        admin.add_domain(&name, domain, START).await.unwrap();
    }
    let carla = AddressKey::parse("carla@privat.test").unwrap();
    let to = [Address::parse("bernd@firma.test").unwrap()];
    admin.add_alias(&carla, &to, START).await.unwrap();
    directory.refresh().await.unwrap();
    (directory, accounts)
}

/// A message as a client sees it.
pub(super) async fn read(
    mailboxes: &Mailboxes,
    account: AccountId,
    name: &MailboxName,
    uid: u32,
) -> String {
    let view = mailboxes
        .open(account, name, mailbox::RecentClaim::Leave)
        .await
        .unwrap();
    let wanted = mailbox::UidSet::range(uid, uid);
    let page = mailboxes
        .rows(account, view.status.mailbox, wanted, 1)
        .await
        .unwrap();
    let content = mailboxes.content(&page.rows[0]);
    let bytes = content.read(0..content.size()).await.unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}
