//! What random operations do not reach: restarts, restored backups, limits, large mailboxes, bytes,
//! notices, and faults that `verify` must find.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod support;

use mailbox::{
    DeliverInto, Error, ExpungeScope, FlagChange, FlagOperation, Flags, INBOX, Keywords, Quota,
    RecentClaim, SpecialUse, Swept, UidSet, Watermark, after_restore, limits, remove_account,
    retarget,
};
use platform::params;
use std::collections::BTreeSet;
use support::{ANNA, BERND, Node, at, fill, name, new_messages, node, nowhere, spool};

#[tokio::test]
async fn an_account_starts_with_its_special_mailboxes_subscribed() {
    let (_dir, node) = node().await;
    let list = node.mailboxes.list(ANNA).await.unwrap();
    let special: BTreeSet<_> = list.iter().filter_map(|info| info.special_use).collect();
    assert_eq!(special, SpecialUse::ALL.into_iter().collect());
    assert!(list.iter().all(|info| info.subscribed));
    assert_eq!(list.len(), 6);
    assert_eq!(at(&node, "inbox").await, INBOX);
}

#[tokio::test]
async fn uids_and_uidvalidity_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::open(dir.path());
    node.create_account(ANNA).await;
    for number in 0..3 {
        node.deliver(ANNA, DeliverInto::Inbox, nowhere(number), Flags::NONE)
            .await
            .unwrap();
    }
    let all = ExpungeScope::Exactly(UidSet::range(1, 3));
    node.mailboxes.expunge(ANNA, INBOX, all).await.unwrap();
    let before = node.mailboxes.status(ANNA, &name("INBOX")).await.unwrap();
    drop(node);
    let node = Node::open(dir.path());
    assert_eq!(
        node.mailboxes.status(ANNA, &name("INBOX")).await.unwrap(),
        before
    );
    let next = node
        .deliver(ANNA, DeliverInto::Inbox, nowhere(4), Flags::NONE)
        .await
        .unwrap();
    assert_eq!(next.uid, 4);
}

#[tokio::test]
async fn after_a_restore_no_uid_comes_twice_and_sessions_compare() {
    let (_dir, node) = node().await;
    fill(&node, INBOX, 5).await;
    let seen_later = Watermark {
        uidnext: 9,
        modseq: 12,
    };
    let before = node.mailboxes.maildrop(ANNA).await.unwrap();
    node.store.write(|tx| after_restore(tx)).await.unwrap();
    let next = node
        .deliver(ANNA, DeliverInto::Inbox, nowhere(9), Flags::NONE)
        .await
        .unwrap();
    assert!(next.uid > 1_000_000, "{next:?}");
    let after = node.mailboxes.maildrop(ANNA).await.unwrap();
    assert_eq!(
        after.uidl(&after.messages[0]),
        before.uidl(&before.messages[0])
    );
    let changes = node
        .mailboxes
        .changes(ANNA, INBOX, seen_later)
        .await
        .unwrap();
    let known = UidSet::range(1, 8);
    assert_eq!(changes.gone_from(&known), UidSet::range(6, 8));
    assert_eq!(changes.arrived, UidSet::range(next.uid, next.uid));
}

#[tokio::test]
async fn uids_end_with_an_error_not_with_a_second_turn() {
    let (_dir, node) = node().await;
    node.store
        .write(|tx| {
            tx.execute(
                "UPDATE mailboxes SET uidnext = 4294967294 WHERE mailbox = 1",
                &[],
            )
        })
        .await
        .unwrap();
    let last = node
        .deliver(ANNA, DeliverInto::Inbox, nowhere(1), Flags::NONE)
        .await
        .unwrap();
    assert_eq!(last.uid, u32::MAX - 1);
    let full = node
        .deliver(ANNA, DeliverInto::Inbox, nowhere(2), Flags::NONE)
        .await;
    assert!(matches!(full, Err(Error::UidsExhausted)), "{full:?}");
    let status = node.mailboxes.status(ANNA, &name("INBOX")).await.unwrap();
    assert_eq!((status.messages, status.uidnext), (1, u32::MAX));
}

#[tokio::test]
async fn a_removed_account_takes_no_mail_and_leaves_nothing() {
    let (_dir, node) = node().await;
    fill(&node, INBOX, 2_500).await;
    fill(&node, at(&node, "Archive").await, 1).await;
    node.store
        .write(|tx| remove_account(tx, ANNA))
        .await
        .unwrap();
    let refused = node
        .deliver(ANNA, DeliverInto::Inbox, nowhere(1), Flags::NONE)
        .await;
    assert!(matches!(refused, Err(Error::NoSuchMailbox)), "{refused:?}");
    assert!(node.mailboxes.list(ANNA).await.unwrap().is_empty());
    assert_eq!(node.mailboxes.usage(ANNA).await.unwrap().messages, 0);
    assert!(!node.mailboxes.references(None).await.unwrap().is_empty());
    while node.mailboxes.sweep().await.unwrap() == Swept::Some {}
    assert_eq!(node.mailboxes.references(None).await.unwrap(), []);
    assert_eq!(node.mailboxes.list(BERND).await.unwrap().len(), 6);
}

#[tokio::test]
async fn a_name_used_again_gets_another_uidvalidity_within_the_same_second() {
    let (_dir, node) = node().await;
    let mut given = BTreeSet::new();
    for _ in 0..3 {
        node.mailboxes.create(ANNA, &name("x"), None).await.unwrap();
        let status = node.mailboxes.status(ANNA, &name("x")).await.unwrap();
        assert!(given.last().is_none_or(|last| *last < status.uidvalidity));
        given.insert(status.uidvalidity);
        node.mailboxes.delete(ANNA, &name("x")).await.unwrap();
    }
}

#[tokio::test]
async fn special_uses_lead_deliveries_and_inbox_takes_the_rest() {
    let (_dir, node) = node().await;
    let junk = at(&node, "Junk").await;
    let into = DeliverInto::SpecialUse(SpecialUse::Junk);
    assert_eq!(
        node.deliver(ANNA, into, nowhere(1), Flags::NONE)
            .await
            .unwrap()
            .mailbox,
        junk
    );
    let taken = node
        .mailboxes
        .create(ANNA, &name("Spam"), Some(SpecialUse::Junk))
        .await;
    assert!(matches!(
        taken,
        Err(Error::SpecialUseTaken(SpecialUse::Junk))
    ));
    node.mailboxes.delete(ANNA, &name("Junk")).await.unwrap();
    assert_eq!(
        node.deliver(ANNA, into, nowhere(2), Flags::NONE)
            .await
            .unwrap()
            .mailbox,
        INBOX
    );
    let gone = DeliverInto::Mailbox(junk);
    assert_eq!(
        node.deliver(ANNA, gone, nowhere(3), Flags::NONE)
            .await
            .unwrap()
            .mailbox,
        INBOX
    );
    node.mailboxes
        .create(ANNA, &name("Spam"), Some(SpecialUse::Junk))
        .await
        .unwrap();
}

#[tokio::test]
async fn deliveries_that_come_together_get_one_uid_each() {
    let (_dir, node) = node().await;
    let node = std::sync::Arc::new(node);
    let tasks: Vec<_> = (0..50)
        .map(|number| {
            let node = node.clone();
            tokio::spawn(async move {
                node.deliver(ANNA, DeliverInto::Inbox, nowhere(number), Flags::NONE)
                    .await
                    .unwrap()
            })
        })
        .collect();
    let mut uids = BTreeSet::new();
    for task in tasks {
        uids.insert(task.await.unwrap().uid);
    }
    assert_eq!(uids, (1..=50).collect());
}

#[tokio::test]
async fn a_quota_refuses_the_whole_operation() {
    let (_dir, node) = node().await;
    fill(&node, INBOX, 2).await;
    let bytes = node.mailboxes.usage(ANNA).await.unwrap().bytes;
    let quota = Quota {
        bytes_max: bytes + 60,
        messages_max: 10,
    };
    let append = node
        .mailboxes
        .append(ANNA, INBOX, new_messages(2), Some(quota))
        .await;
    assert!(matches!(append, Err(Error::OverQuota)), "{append:?}");
    let copy = node
        .mailboxes
        .copy(ANNA, INBOX, UidSet::range(1, 2), INBOX, Some(quota))
        .await;
    assert!(matches!(copy, Err(Error::OverQuota)), "{copy:?}");
    assert_eq!(node.mailboxes.usage(ANNA).await.unwrap().messages, 2);
    node.mailboxes
        .append(ANNA, INBOX, new_messages(1), Some(quota))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_subscription_outlives_its_mailbox() {
    let (_dir, node) = node().await;
    node.mailboxes.subscribe(ANNA, &name("x/y")).await.unwrap();
    node.mailboxes.delete(ANNA, &name("Junk")).await.unwrap();
    let names = node.mailboxes.subscriptions(ANNA).await.unwrap();
    assert!(names.contains(&"x/y".to_owned()) && names.contains(&"Junk".to_owned()));
    node.mailboxes
        .unsubscribe(ANNA, &name("x/y"))
        .await
        .unwrap();
    assert!(
        !node
            .mailboxes
            .subscriptions(ANNA)
            .await
            .unwrap()
            .contains(&"x/y".to_owned())
    );
    assert!(
        !node
            .mailboxes
            .subscriptions(BERND)
            .await
            .unwrap()
            .contains(&"x/y".to_owned())
    );
}

#[tokio::test]
async fn an_account_has_a_bounded_number_of_mailboxes() {
    let (_dir, node) = node().await;
    node.store
        .write(|tx| {
            for number in 0..limits::MAILBOXES_MAX as i64 - 6 {
                tx.execute(
                    "INSERT INTO mailboxes SELECT account, ?1, 'm' || ?1, 1, 1, 1, 0, 0, 0, 0, 1, \
                     0, 0, NULL, NULL, 0 FROM mailbox_accounts WHERE account = 1",
                    params![number + 100],
                )?;
            }
            Ok::<_, platform::store::StoreError>(())
        })
        .await
        .unwrap();
    let full = node.mailboxes.create(ANNA, &name("one more"), None).await;
    assert!(matches!(full, Err(Error::TooManyMailboxes)), "{full:?}");
}

#[tokio::test]
async fn bytes_are_the_recipients_lines_and_then_the_body() {
    let (dir, node) = node().await;
    let message = b"From: a@b.test\r\nSubject: Hallo\r\n\r\nErste Zeile\r\nZweite\r\n";
    let body = node
        .mailboxes
        .keep(spool(dir.path(), message))
        .await
        .unwrap();
    node.deliver(ANNA, DeliverInto::Inbox, body, Flags::NONE)
        .await
        .unwrap();
    let page = node
        .mailboxes
        .rows(ANNA, INBOX, UidSet::range(1, 1), 1)
        .await
        .unwrap();
    let content = node.mailboxes.content(&page.rows[0]);
    let whole = [b"Delivered-To: x@firma.test\r\n".as_slice(), message].concat();
    assert_eq!(content.size(), whole.len() as u64);
    assert_eq!(page.rows[0].size, content.size());
    assert_eq!(content.read(0..u64::MAX).await.unwrap(), whole);
    assert_eq!(content.read(20..40).await.unwrap(), &whole[20..40]);
    assert_eq!(content.read(40..45).await.unwrap(), &whole[40..45]);
    assert_eq!(content.read(u64::MAX..u64::MAX).await.unwrap(), b"");
    let facts = content.facts().unwrap();
    assert_eq!(facts.envelope().subject, Some(&b"Hallo"[..]));
    let header = content.header(&facts);
    assert!(
        content
            .read(header.clone())
            .await
            .unwrap()
            .ends_with(b"Hallo\r\n\r\n")
    );
    assert_eq!(
        content.read(header.end..u64::MAX).await.unwrap(),
        b"Erste Zeile\r\nZweite\r\n"
    );
}

#[tokio::test]
async fn a_large_body_comes_whole() {
    let (dir, node) = node().await;
    let mut message = b"Subject: big\r\n\r\n".to_vec();
    (0..40_000).for_each(|line| message.extend_from_slice(format!("line {line}\r\n").as_bytes()));
    let body = node
        .mailboxes
        .keep(spool(dir.path(), &message))
        .await
        .unwrap();
    node.deliver(ANNA, DeliverInto::Inbox, body, Flags::NONE)
        .await
        .unwrap();
    let page = node
        .mailboxes
        .rows(ANNA, INBOX, UidSet::range(1, 1), 1)
        .await
        .unwrap();
    let content = node.mailboxes.content(&page.rows[0]);
    let bytes = content
        .read(content.prefix().len() as u64..u64::MAX)
        .await
        .unwrap();
    assert!(bytes == message);
}

#[tokio::test]
async fn verify_says_which_counter_is_wrong() {
    let (_dir, node) = node().await;
    fill(&node, INBOX, 11).await;
    node.store
        .write(|tx| {
            tx.execute(
                "UPDATE mailboxes SET messages = 12 WHERE account = 1 AND mailbox = 1",
                &[],
            )?;
            tx.execute("DELETE FROM mailboxes WHERE account = 2", &[])
        })
        .await
        .unwrap();
    let recount = node.mailboxes.recount(None).await.unwrap();
    assert_eq!(
        recount.faults,
        ["mailbox 1 of account 1 says 12 messages, 11 are there"]
    );
    node.store
        .write(|tx| {
            tx.execute(
                "UPDATE messages SET account = 2, uid = uid + 10 WHERE uid < 3",
                &[],
            )
        })
        .await
        .unwrap();
    let orphans = node.mailboxes.orphans().await.unwrap();
    assert_eq!(
        orphans,
        ["account 2 has 2 messages in mailbox 1, which does not exist"]
    );
}

#[tokio::test]
async fn compaction_moves_every_reference_to_a_body() {
    let (_dir, node) = node().await;
    let (old, new) = (nowhere(1), mailbox_ref(77, 5));
    for account in [ANNA, BERND, ANNA] {
        node.deliver(account, DeliverInto::Inbox, old, Flags::NONE)
            .await
            .unwrap();
    }
    node.deliver(ANNA, DeliverInto::Inbox, nowhere(2), Flags::NONE)
        .await
        .unwrap();
    let into = node.mailboxes.references_into(9, 0).await.unwrap();
    assert_eq!(
        into.iter().map(|r| r.body.offset).collect::<Vec<_>>(),
        [100, 100, 100, 200]
    );
    let moved = node
        .store
        .write(move |tx| retarget(tx, old, new))
        .await
        .unwrap();
    assert_eq!(moved, 3);
    assert_eq!(node.mailboxes.references_into(9, 0).await.unwrap().len(), 1);
    let into = node.mailboxes.references_into(77, 0).await.unwrap();
    assert!(
        into.iter()
            .all(|r| r.body.offset == 5 && r.body.body_bytes == old.body_bytes)
    );
}

fn mailbox_ref(segment: i64, offset: i64) -> platform::segments::BodyRef {
    platform::segments::BodyRef {
        segment,
        offset,
        ..nowhere(1)
    }
}

async fn keep_keyword(node: &Node, operation: FlagOperation, keyword: &str) -> Result<(), Error> {
    let change = FlagChange {
        operation,
        flags: Flags::NONE,
        keywords: Keywords::new([keyword]).unwrap(),
    };
    let one = UidSet::range(1, 1);
    node.mailboxes
        .store_flags(ANNA, INBOX, one, change, None)
        .await
        .map(drop)
}

#[tokio::test]
async fn keywords_no_message_has_any_more_make_room() {
    let (_dir, node) = node().await;
    fill(&node, INBOX, 1).await;
    let inbox = name("INBOX");
    for number in 0..limits::KEYWORDS_MAX + 5 {
        keep_keyword(&node, FlagOperation::Replace, &format!("k{number}"))
            .await
            .unwrap();
    }
    let view = node
        .mailboxes
        .open(ANNA, &inbox, RecentClaim::Leave)
        .await
        .unwrap();
    assert!(view.keywords.iter().count() <= limits::KEYWORDS_MAX);
    assert!(view.keywords.contains("k104") && !view.keywords.contains("k1"));
    keep_keyword(&node, FlagOperation::Remove, "never-seen")
        .await
        .unwrap();
    let view = node
        .mailboxes
        .open(ANNA, &inbox, RecentClaim::Leave)
        .await
        .unwrap();
    assert!(!view.keywords.contains("never-seen"));
}

#[tokio::test]
async fn a_copy_brings_its_keywords_along() {
    let (_dir, node) = node().await;
    fill(&node, INBOX, 1).await;
    keep_keyword(&node, FlagOperation::Add, "$Forwarded")
        .await
        .unwrap();
    let trash = at(&node, "Trash").await;
    node.mailboxes
        .copy(ANNA, INBOX, UidSet::range(1, 1), trash, None)
        .await
        .unwrap();
    let view = node
        .mailboxes
        .open(ANNA, &name("Trash"), RecentClaim::Leave)
        .await
        .unwrap();
    assert!(view.keywords.contains("$forwarded"));
}
