//! Who is on the test server: anna and bernd of firma.test, a few addresses that lead elsewhere.
//! Never used outside tests.

use super::START;
use directory::{AccountId, Directory};
use mailbox::{MailboxName, Mailboxes};
use platform::clock::Clock;
use platform::random::Random;
use platform::store::Store;

pub(super) fn account(name: &str) -> AccountId {
    match name {
        "anna" => AccountId(1),
        "bernd" => AccountId(2),
        other => panic!("nobody is called {other}"),
    }
}

pub(super) async fn directory(store: &Store, _clock: &Clock) -> Directory {
    for name in ["anna", "bernd"] {
        let account = account(name);
        store
            .write(move |tx| mailbox::create_account_mailboxes(tx, account, START))
            .await
            .unwrap();
    }
    Directory::open(
        store.clone(),
        directory::Settings::default(),
        Random::seeded(3),
    )
    .await
    .unwrap()
}

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
