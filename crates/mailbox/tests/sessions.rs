//! What a session sees of a mailbox while others change it: \Recent, notices, pages, batches and
//! what it missed.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod support;

use mailbox::{
    ExpungeScope, Expunged, FlagChange, FlagOperation, Flags, INBOX, Keywords, RecentClaim, UidSet,
    limits,
};
use std::collections::BTreeSet;
use support::{ANNA, BERND, at, fill, name, node, seen};

#[tokio::test]
async fn recent_messages_are_for_one_session() {
    let (_dir, node) = node().await;
    fill(&node, INBOX, 3).await;
    let inbox = name("INBOX");
    assert_eq!(
        node.mailboxes
            .open(ANNA, &inbox, RecentClaim::Leave)
            .await
            .unwrap()
            .recent,
        3
    );
    let first = node
        .mailboxes
        .open(ANNA, &inbox, RecentClaim::Take)
        .await
        .unwrap();
    assert_eq!((first.recent, first.status.recent_from), (3, 1));
    assert_eq!(
        node.mailboxes
            .open(ANNA, &inbox, RecentClaim::Take)
            .await
            .unwrap()
            .recent,
        0
    );
    fill(&node, INBOX, 1).await;
    let status = node.mailboxes.status(ANNA, &inbox).await.unwrap();
    assert_eq!(node.mailboxes.recent(ANNA, status).await.unwrap(), 1);
}

#[tokio::test]
async fn every_write_wakes_the_account_and_only_it() {
    let (_dir, node) = node().await;
    let (mut anna, mut bernd) = (
        node.mailboxes.subscribe_to(ANNA),
        node.mailboxes.subscribe_to(BERND),
    );
    fill(&node, INBOX, 2).await;
    assert!(anna.take());
    let one = UidSet::range(1, 1);
    node.mailboxes
        .store_flags(ANNA, INBOX, one.clone(), seen(FlagOperation::Add), None)
        .await
        .unwrap();
    assert!(anna.take());
    node.mailboxes
        .store_flags(ANNA, INBOX, one.clone(), seen(FlagOperation::Add), None)
        .await
        .unwrap();
    assert!(!anna.take(), "nothing changed, so nobody is woken");
    node.mailboxes
        .copy(ANNA, INBOX, one.clone(), INBOX, None)
        .await
        .unwrap();
    assert!(anna.take());
    node.mailboxes
        .move_messages(ANNA, INBOX, one, at(&node, "Trash").await)
        .await
        .unwrap();
    assert!(anna.take());
    node.mailboxes.create(ANNA, &name("x"), None).await.unwrap();
    assert!(anna.take());
    node.mailboxes.delete(ANNA, &name("x")).await.unwrap();
    assert!(anna.take());
    assert!(!bernd.take());
}

#[tokio::test]
async fn large_changes_go_in_batches_and_reach_a_session_whole() {
    let (_dir, node) = node().await;
    fill(&node, INBOX, 4_500).await;
    let watermark = node
        .mailboxes
        .status_of(ANNA, INBOX)
        .await
        .unwrap()
        .watermark();
    let mut rest = UidSet::range(1, u32::MAX);
    let mut batches = 0;
    while !rest.is_empty() {
        let change = seen(FlagOperation::Add);
        let stored = node
            .mailboxes
            .store_flags(ANNA, INBOX, rest, change, None)
            .await
            .unwrap();
        assert!(stored.rows.len() <= limits::BATCH_MESSAGES_MAX);
        rest = stored.rest;
        batches += 1;
    }
    assert_eq!(batches, 5);
    assert_eq!(
        node.mailboxes.status_of(ANNA, INBOX).await.unwrap().unseen,
        0
    );
    let (mut since, mut told, mut answers) = (watermark, BTreeSet::new(), 0);
    loop {
        let changes = node.mailboxes.changes(ANNA, INBOX, since).await.unwrap();
        assert!(changes.flags.len() <= limits::CHANGED_ROWS_MAX);
        told.extend(changes.flags.iter().map(|row| row.uid));
        since = changes.watermark;
        answers += 1;
        if !changes.more {
            break;
        }
    }
    assert_eq!((told.len(), answers > 1), (4_500, true));
}

#[tokio::test]
async fn pages_of_rows_end_where_they_say() {
    let (_dir, node) = node().await;
    fill(&node, INBOX, 25).await;
    let mut wanted = UidSet::from_ranges([(1, 7), (9, 9), (12, u32::MAX)]);
    let mut uids = Vec::new();
    while !wanted.is_empty() {
        let page = node.mailboxes.rows(ANNA, INBOX, wanted, 4).await.unwrap();
        assert!(page.rows.len() <= 4);
        uids.extend(page.rows.iter().map(|row| row.uid));
        wanted = page.rest;
    }
    assert_eq!(uids, (1..=7).chain([9]).chain(12..=25).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_session_that_slept_past_the_tombstones_compares() {
    let (_dir, node) = node().await;
    fill(&node, INBOX, 4_000).await;
    let slept = node
        .mailboxes
        .status_of(ANNA, INBOX)
        .await
        .unwrap()
        .watermark();
    let odd = |from: u32, to: u32| (from..=to).filter(|uid| uid % 2 == 1).collect::<UidSet>();
    let few = ExpungeScope::Exactly(odd(1, 1_001));
    node.mailboxes.expunge(ANNA, INBOX, few).await.unwrap();
    let awake = node
        .mailboxes
        .status_of(ANNA, INBOX)
        .await
        .unwrap()
        .watermark();
    let many = ExpungeScope::Exactly(odd(1_003, 3_999));
    node.mailboxes.expunge(ANNA, INBOX, many).await.unwrap();
    let known = UidSet::range(1, 4_000);
    for since in [slept, awake] {
        let changes = node.mailboxes.changes(ANNA, INBOX, since).await.unwrap();
        assert!(matches!(changes.expunged, Expunged::AllBut(_)));
        assert_eq!(changes.gone_from(&known), odd(1, 3_999));
    }
    let tombstones = node
        .store
        .read(|tx| tx.one("SELECT count(*) FROM expunged", &[], |row| row.int(0)))
        .await
        .unwrap();
    assert!(tombstones.unwrap() <= limits::TOMBSTONES_MAX);
}

#[tokio::test]
async fn unchangedsince_leaves_later_changes_alone() {
    let (_dir, node) = node().await;
    fill(&node, INBOX, 3).await;
    let modseq = node
        .mailboxes
        .status_of(ANNA, INBOX)
        .await
        .unwrap()
        .highest_modseq;
    let change = || FlagChange {
        operation: FlagOperation::Add,
        flags: Flags::FLAGGED,
        keywords: Keywords::default(),
    };
    let two = UidSet::range(2, 2);
    node.mailboxes
        .store_flags(ANNA, INBOX, two, change(), None)
        .await
        .unwrap();
    let all = UidSet::range(1, 3);
    let change = FlagChange {
        operation: FlagOperation::Replace,
        ..seen(FlagOperation::Add)
    };
    let stored = node
        .mailboxes
        .store_flags(ANNA, INBOX, all.clone(), change, Some(modseq))
        .await
        .unwrap();
    assert_eq!(stored.modified, UidSet::range(2, 2));
    let rows = node
        .mailboxes
        .flag_rows(ANNA, INBOX, all)
        .await
        .unwrap()
        .rows;
    let flags: Vec<_> = rows.iter().map(|row| row.flags).collect();
    assert_eq!(flags, [Flags::SEEN, Flags::FLAGGED, Flags::SEEN]);
}
